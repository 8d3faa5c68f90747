"""Plans as they are kept in an entry."""

from datetime import date, time
from decimal import Decimal
from typing import Any

from homeassistant.util import dt as dt_util
import pytest

from custom_components.broute.energy.plans import band_of, plan_of, plan_of_prices, steps_of
from custom_components.broute.energy.tariff import (
    Adjustment,
    Band,
    Bands,
    Billing,
    DemandCharge,
    Hours,
    Market,
    MinimumCharge,
    Month,
    MonthlyCharge,
    SizeCharge,
    Step,
    simple,
)
from custom_components.broute.energy.terms import LEVIES, Days, Fault, InvalidPlanError, Rounding

LEAST: dict[str, Any] = {
    "name": "Plan",
    "valid_from": "2026-04-01",
    "energy": "one",
    "prices": ["31"],
    "basic": "none",
    "billing_day": 10,
    "levies": {"2026": "4.18"},
}
NIGHT = {
    "name": "night",
    "prices": ["20"],
    "begin": "23:00:00",
    "end": "07:00:00",
    "days": "weekdays",
    "months": [1, 12],
}
HOURS = Hours(begin=time(23), end=time(7), days=Days.WEEKDAYS, months=frozenset({1, 12}))


def test_the_least_that_a_plan_has() -> None:
    plan = plan_of(LEAST)
    assert (plan.name, plan.valid_from, plan.energy) == ("Plan", date(2026, 4, 1), simple(Decimal(31)))
    assert (plan.basic, plan.billing, plan.discount) == (None, Billing(10), Decimal(0))
    assert (plan.fuel, plan.fuel_entity, plan.support) == ({}, "", {})
    assert plan.levies == {2026: Adjustment(Decimal("4.18"))}
    assert plan.total_rounding is plan.levy_rounding is Rounding.DOWN
    assert plan.feed_in is None
    assert plan.feed_in_until is None


def test_all_that_a_plan_may_have() -> None:
    more = {
        "reading_dates": ["2026-05-11", "2026-06-10"],
        "fuel": {"2026-05": "-1.23"},
        "fuel_entity": "sensor.fuel",
        "support": {"2026-12": "-2"},
        "discount": "55",
        "total_rounding": "none",
        "levy_rounding": "half_up",
        "feed_in": "16",
        "feed_in_until": "2030-03-31",
    }
    plan = plan_of(LEAST | more)
    assert plan.billing == Billing(10, (date(2026, 5, 11), date(2026, 6, 10)))
    assert plan.fuel == {Month(2026, 5): Adjustment(Decimal("-1.23"))}
    assert plan.support == {Month(2026, 12): Adjustment(Decimal(-2))}
    assert (plan.fuel_entity, plan.discount) == ("sensor.fuel", Decimal(55))
    assert (plan.total_rounding, plan.levy_rounding) == (Rounding.NONE, Rounding.HALF_UP)
    assert (plan.feed_in, plan.feed_in_until) == (simple(Decimal(16)), date(2030, 3, 31))
    by_hours = plan_of(LEAST | {"feed_in": "16", "feed_in_bands": [NIGHT, {"name": "day", "prices": ["9"]}]}).feed_in
    assert by_hours == Bands(
        (Band("night", (Step(None, Decimal(20)),), (HOURS,)), Band("day", (Step(None, Decimal(9)),)))
    )


@pytest.mark.parametrize(
    ("typed", "charge"),
    [
        ({"basic": "month", "basic_price": "1000", "is_halved": True}, MonthlyCharge(Decimal(1000), True)),
        ({"basic": "month", "basic_price": "1000"}, MonthlyCharge(Decimal(1000), False)),
        ({"basic": "ampere", "basic_price": "311.75", "basic_size": "40"}, SizeCharge(Decimal("311.75"), Decimal(4))),
        ({"basic": "kva", "basic_price": "400", "basic_size": "6"}, SizeCharge(Decimal(400), Decimal(6))),
        (
            {"basic": "demand", "basic_price": "500", "is_halved": True},
            DemandCharge(Decimal(500), is_halved_if_unused=True),
        ),
        ({"basic": "minimum", "basic_price": "700", "basic_size": "15"}, MinimumCharge(Decimal(700), Decimal(15))),
    ],
    ids=["month", "never halved", "ampere", "kva", "demand", "minimum"],
)
def test_basic_charges(typed: dict[str, Any], charge: object) -> None:
    assert plan_of(LEAST | typed).basic == charge


def test_prices_of_a_market() -> None:
    typed = {"energy": "market", "factor": "1.1", "loss": "6.9", "surcharge": "2.5", "price_entity": "sensor.price"}
    energy = plan_of(LEAST | typed).energy
    assert energy == Market(
        factor=Decimal("1.1"), loss=Decimal("0.069"), surcharge=Decimal("2.5"), entity="sensor.price"
    )


def test_bands_and_steps() -> None:
    assert band_of(NIGHT | {"limits": ["120"], "prices": ["20", "25"]}) == Band(
        "night", (Step(Decimal(120), Decimal(20)), Step(None, Decimal(25))), (HOURS,)
    )
    rest = {"name": "rest", "prices": ["30"]}
    assert plan_of(LEAST | {"energy": "bands", "bands": [NIGHT, rest]}).energy == Bands((band_of(NIGHT), band_of(rest)))
    with pytest.raises(InvalidPlanError) as raised:
        steps_of(["120", "300"], ["30", "36"])
    assert raised.value.fault is Fault.NO_STEPS


def test_a_plan_of_nothing_but_a_price() -> None:
    plan = plan_of(plan_of_prices("Dashboard", "31.5", None, "16"))
    assert (plan.name, plan.energy, plan.feed_in) == ("Dashboard", simple(Decimal("31.5")), simple(Decimal(16)))
    assert plan.valid_from == date(dt_util.utcnow().year - 1, 1, 1)
    assert (plan.basic, plan.billing.day) == (None, 1)
    assert set(plan.levies.values()) == {Adjustment(Decimal(0))}
    market = plan_of(plan_of_prices("Dashboard", None, "sensor.price", None))
    assert market.energy == Market(entity="sensor.price")
    assert market.feed_in is None


def test_each_year_has_its_levy() -> None:
    assert list(LEVIES) == list(range(2012, 2027))
    assert min(plan_of(plan_of_prices("Dashboard", "31", None, None)).levies) == 2012
