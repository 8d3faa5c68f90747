"""Plans in Home Assistant's own forms: what is asked, what is refused, and what becomes of it."""

from dataclasses import replace
from datetime import date, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from homeassistant.config_entries import SOURCE_USER
from homeassistant.data_entry_flow import FlowResultType
import pytest

from custom_components.broute.energy.plans import contract_of
from custom_components.broute.energy.tariff import (
    Adjustment,
    Band,
    DemandCharge,
    Hours,
    Market,
    MinimumCharge,
    Month,
    MonthlyCharge,
    Plan,
    SizeCharge,
    Step,
    simple,
)
from custom_components.broute.energy.terms import Days

from .home import entry_of, set_up
from .plans import ADJUSTMENTS, CONTRACT, ONE_PRICE, STEPS, THREE_STEPS, begin, fill_in, submit
from .simulator import scenarios
from .simulator.transport import simulated_port

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from homeassistant.config_entries import SubentryFlowResult
    from homeassistant.core import HomeAssistant
    from pytest_homeassistant_custom_component.common import MockConfigEntry

BANDS = {**CONTRACT, "energy": "bands", "basic": "none"}
NIGHT = {
    "name": "夜間",
    "begin": "23:00:00",
    "end": "07:00:00",
    "days": "every_day",
    "months": [str(month) for month in range(1, 13)],
    "prices": "16.30",
    "is_more": False,
}
REST = {"name": "昼間", "prices": "28.11, 35.76", "limits": "90"}
MONTHLY = {"month_price": "1000", "is_halved": False}
FULL_WIDTH = "522.58".translate({ord(sign): ord(sign) + 0xFEE0 for sign in "0123456789."})


@pytest.fixture(params=[True])
async def entry(request: pytest.FixtureRequest, hass: HomeAssistant) -> AsyncGenerator[MockConfigEntry]:
    """Have a meter, with or without solar cells."""
    with simulated_port(scenarios.SOLAR if request.param else scenarios.NORMAL) as sim:
        entry = entry_of(sim)
        await set_up(hass, entry)
        yield entry
        await hass.config_entries.async_unload(entry.entry_id)


def only_plan(entry: MockConfigEntry) -> Plan:
    contract = contract_of(entry)
    assert contract is not None
    (plan,) = contract.plans
    return plan


async def test_three_steps_from_a_bill(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    result = await fill_in(hass, entry, THREE_STEPS)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["title"] == "従量電灯B (2026-01-01)"
    plan = only_plan(entry)
    assert plan.valid_from == date(2026, 1, 1)
    assert plan.energy.bands[0].steps == (  # type: ignore[union-attr]  # no market
        Step(Decimal(120), Decimal("29.80")),
        Step(Decimal(300), Decimal("36.40")),
        Step(None, Decimal("40.49")),
    )
    assert plan.basic == SizeCharge(Decimal("311.75"), Decimal(4), is_halved_if_unused=True)
    assert plan.billing.day == 10
    assert plan.fuel == {Month(2026, 11): Adjustment(Decimal("-1.23"))}
    assert plan.levies == {2025: Adjustment(Decimal("3.98")), 2026: Adjustment(Decimal("4.18"))}
    assert plan.discount == 55
    assert plan.feed_in is not None
    assert not any(isinstance(value, float) for value in result["data"].values())


@pytest.mark.parametrize("entry", [False], indirect=True)
async def test_who_sells_nothing_is_not_asked_for_it(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    forms = {step: typed for step, typed in ONE_PRICE.items() if step != "feed_in"}
    assert (await fill_in(hass, entry, forms))["type"] is FlowResultType.CREATE_ENTRY
    assert only_plan(entry).feed_in is None


async def test_day_and_night(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    noon = {**NIGHT, "name": "昼", "begin": "10:00:00", "end": "14:00:00", "days": "weekdays", "months": ["7"]}
    forms = {**THREE_STEPS, "contract": BANDS, "band": [{**NIGHT, "is_more": True}, noon], "rest": REST}
    await fill_in(hass, entry, forms)
    energy = only_plan(entry).energy
    steps = (Step(Decimal(90), Decimal("28.11")), Step(None, Decimal("35.76")))
    low = (Step(None, Decimal("16.30")),)
    everyday = Hours(begin=time(23), end=time(7))
    assert energy.bands == (  # type: ignore[union-attr]  # no market
        Band("夜間", low, (everyday,)),
        Band("昼", low, (replace(everyday, begin=time(10), end=time(14), days=Days.WEEKDAYS, months=frozenset({7})),)),
        Band("昼間", steps),
    )


@pytest.mark.parametrize(
    ("kind", "typed", "charge"),
    [
        ("month", {"month_price": "1,000円"}, MonthlyCharge(Decimal(1000))),
        ("kva", {"kva_price": "311.75", "kva": "6"}, SizeCharge(Decimal("311.75"), Decimal(6))),
        ("demand", {"demand_price": "500"}, DemandCharge(Decimal(500))),
        ("minimum", {"minimum_price": FULL_WIDTH, "included": "15"}, MinimumCharge(Decimal("522.58"), Decimal(15))),
    ],
)
async def test_basic_charges(
    hass: HomeAssistant, entry: MockConfigEntry, kind: str, typed: dict[str, str], charge: object
) -> None:
    halved = {} if kind == "minimum" else {"is_halved": False}
    forms = {**ONE_PRICE, "contract": {**ONE_PRICE["contract"], "basic": kind}, "basic": {**typed, **halved}}
    await fill_in(hass, entry, forms)
    assert only_plan(entry).basic == charge


@pytest.mark.parametrize(
    ("forms", "step", "wrong", "errors"),
    [
        ({}, "contract", {**CONTRACT, "reading_dates": "2026-04-09\nlater"}, {"reading_dates": "invalid_dates"}),
        ({}, "price", {"price": "cheap"}, {"price": "invalid_number"}),
        ({}, "price", {"price": "NaN"}, {"price": "invalid_number"}),
        ({}, "price", {"price": "1e9"}, {"price": "invalid_number"}),
        ({"contract": CONTRACT}, "steps", {**STEPS, "prices": "29.80, 36.40"}, {"prices": "no_steps"}),
        ({"contract": CONTRACT}, "steps", {**STEPS, "limits": "300, 120"}, {"prices": "steps_fall"}),
        ({"contract": CONTRACT}, "steps", {**STEPS, "limits": "a"}, {"limits": "invalid_numbers"}),
        (
            {"contract": CONTRACT, "steps": STEPS},
            "basic",
            {"ampere_price": "-1", "amperes": "x", "is_halved": False},
            {"ampere_price": "invalid_number", "amperes": "invalid_number"},
        ),
        ({"contract": BANDS}, "band", {**NIGHT, "begin": "23:15:00"}, {"begin": "band_half_hours"}),
        ({"contract": BANDS}, "band", {**NIGHT, "months": []}, {"begin": "month"}),
        (
            {"contract": BANDS, "band": [{**NIGHT, "is_more": True}]},
            "band",
            {**NIGHT, "name": "b"},
            {"begin": "bands_overlap"},
        ),
        ({"contract": BANDS, "band": [{**NIGHT, "is_more": True}]}, "band", NIGHT, {"begin": "band_names"}),
        ({"contract": BANDS, "band": NIGHT}, "rest", {**REST, "name": "夜間"}, {"name": "band_names"}),
        ({}, "adjustments", {**ADJUSTMENTS, "fuel": "2026-13: 1"}, {"fuel": "invalid_months"}),
        ({}, "adjustments", {**ADJUSTMENTS, "fuel": "2026-01: 1\n2026/01: 2"}, {"fuel": "invalid_months"}),
        ({}, "adjustments", {**ADJUSTMENTS, "levies": "May: 4.18"}, {"levies": "invalid_years"}),
        ({}, "adjustments", {**ADJUSTMENTS, "levies": "2026-05: 4.18"}, {"levies": "invalid_years"}),
        ({}, "feed_in", {"feed_in": "much", "is_feed_in_by_hours": False}, {"feed_in": "invalid_number"}),
    ],
)
async def test_what_is_wrong_is_said_at_its_field_and_can_be_mended(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    forms: dict[str, Any],
    step: str,
    wrong: dict[str, Any],
    errors: dict[str, str],
) -> None:
    right: dict[str, Any] = {**ONE_PRICE, "band": NIGHT, "rest": REST, **forms}
    if forms.get("contract") is CONTRACT:
        right |= {"steps": STEPS, "basic": THREE_STEPS["basic"]}
    left = {key: list(typed) if isinstance(typed, list) else [typed] for key, typed in right.items()}
    flow = await begin(hass, entry)
    while flow["step_id"] != step or (step == "band" and left["band"] and left["band"][0].get("is_more")):
        flow = await submit(hass, flow, left[str(flow["step_id"])].pop(0))
    flow = await submit(hass, flow, wrong)
    assert flow["step_id"] == step
    assert flow["errors"] == errors
    if step == "band" and not left["band"]:
        left["band"] = [{**NIGHT, "name": "c", "begin": "08:00:00", "end": "09:00:00"}]
    while flow["type"] is FlowResultType.FORM:
        flow = await submit(hass, flow, left[str(flow["step_id"])].pop(0))
    assert flow["type"] is FlowResultType.CREATE_ENTRY


async def test_two_plans_cannot_begin_on_one_day(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    await fill_in(hass, entry, ONE_PRICE)
    flow = await submit(hass, await begin(hass, entry), CONTRACT)
    assert flow["errors"] == {"valid_from": "same_day"}
    flow = await submit(hass, flow, {**CONTRACT, "valid_from": "2027-01-01"})
    assert flow["step_id"] == "steps"


@pytest.mark.parametrize(
    "forms",
    [
        THREE_STEPS,
        ONE_PRICE,
        {**ONE_PRICE, "contract": {**ONE_PRICE["contract"], "basic": "month"}, "basic": MONTHLY},
        {
            **THREE_STEPS,
            "contract": BANDS,
            "band": [{**NIGHT, "is_more": True}, {**NIGHT, "name": "b", "begin": "07:00:00", "end": "08:00:00"}],
            "rest": REST,
        },
    ],
)
async def test_a_plan_is_changed_from_what_it_was(
    hass: HomeAssistant, entry: MockConfigEntry, forms: dict[str, Any]
) -> None:
    await fill_in(hass, entry, forms)
    before = only_plan(entry)
    (subentry,) = entry.subentries
    flow = await begin(hass, entry, subentry)
    while flow["type"] is FlowResultType.FORM:
        assert flow["data_schema"] is not None
        suggested = {
            str(key): (key.description or {}).get("suggested_value", None) for key in flow["data_schema"].schema
        }
        defaults = {str(key): key.default() for key in flow["data_schema"].schema if callable(key.default)}
        typed = defaults | {key: value for key, value in suggested.items() if value not in (None, "")}
        flow = await submit(hass, flow, typed)
    assert flow["reason"] == "reconfigure_successful"
    assert only_plan(entry) == before


async def test_the_dates_of_a_calendar(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    contract = {**CONTRACT, "reading_dates": "2026/05/11, 2026-04-09,\n2026-04-09"}
    fuel = {**ADJUSTMENTS, "fuel": "\n2026-05 = ▲1.23\n\n2026-04: 0.10\n"}
    await fill_in(hass, entry, {**THREE_STEPS, "contract": contract, "adjustments": fuel})
    plan = only_plan(entry)
    assert plan.billing.dates == (date(2026, 4, 9), date(2026, 5, 11))
    assert plan.fuel == {
        Month(2026, 4): Adjustment(Decimal("0.10")),
        Month(2026, 5): Adjustment(Decimal("-1.23")),
    }


async def test_a_plan_of_another_kind_begins_with_empty_fields(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    await fill_in(hass, entry, THREE_STEPS)
    (subentry,) = entry.subentries
    minimum = {**CONTRACT, "basic": "minimum"}
    forms = {**THREE_STEPS, "contract": minimum, "basic": {"minimum_price": "522.58", "included": "15"}}
    await fill_in(hass, entry, forms, subentry)
    assert only_plan(entry).basic == MinimumCharge(Decimal("522.58"), Decimal(15))
    await fill_in(hass, entry, forms, subentry)


MARKET = {**CONTRACT, "energy": "market", "basic": "none"}
MARKETED = {"price_entity": "sensor.market", "factor": "1.1", "loss": "6.9", "surcharge": "7.25"}


def tell(hass: HomeAssistant, state: str, unit: str | None, entity_id: str = "sensor.market") -> None:
    hass.states.async_set(entity_id, state, {} if unit is None else {"unit_of_measurement": unit})


@pytest.mark.usefixtures("recorder_mock")
class TestPriceEntities:
    async def test_a_market(self, hass: HomeAssistant, entry: MockConfigEntry) -> None:
        tell(hass, "12.34", "JPY/kWh")
        tell(hass, "-1.50", "円/kWh", "input_number.fuel")
        adjustments = {**ADJUSTMENTS, "fuel_entity": "input_number.fuel"}
        await fill_in(hass, entry, {**ONE_PRICE, "contract": MARKET, "market": MARKETED, "adjustments": adjustments})
        plan = only_plan(entry)
        assert plan.energy == Market(
            factor=Decimal("1.1"), loss=Decimal("0.069"), surcharge=Decimal("7.25"), entity="sensor.market"
        )
        assert plan.fuel_entity == "input_number.fuel"
        # It is changed from what it was.
        (subentry,) = entry.subentries
        flow = await submit(hass, await begin(hass, entry, subentry), MARKET)
        assert suggested(flow) == MARKETED

    @pytest.mark.parametrize(
        ("state", "unit", "error"),
        [
            ("unavailable", "JPY/kWh", "price_unavailable"),
            ("unknown", "JPY/kWh", "price_unavailable"),
            ("NaN", "JPY/kWh", "price_unavailable"),
            ("0.25", "EUR/kWh", "price_unit"),
            ("12.34", None, "price_unit"),
            ("12340", "JPY/kWh", "price_too_high"),
        ],
    )
    async def test_what_is_no_price_is_said_at_its_field(
        self, hass: HomeAssistant, entry: MockConfigEntry, state: str, unit: str | None, error: str
    ) -> None:
        tell(hass, state, unit)
        flow = await submit(hass, await begin(hass, entry), MARKET)
        flow = await submit(hass, flow, MARKETED)
        assert (flow["step_id"], flow["errors"]) == ("market", {"price_entity": error})
        tell(hass, "12340", "JPY/MWh")
        flow = await submit(hass, flow, {**MARKETED, "loss": "100"})
        assert flow["errors"] == {"loss": "loss"}
        flow = await submit(hass, flow, MARKETED)
        assert flow["step_id"] == "adjustments"
        tell(hass, state, unit, "sensor.fuel")
        flow = await submit(hass, flow, {**ADJUSTMENTS, "fuel_entity": "sensor.fuel"})
        assert (flow["step_id"], flow["errors"]) == ("adjustments", {"fuel_entity": error})

    async def test_an_entity_that_is_not_there(self, hass: HomeAssistant, entry: MockConfigEntry) -> None:
        flow = await submit(hass, await begin(hass, entry), MARKET)
        flow = await submit(hass, flow, MARKETED)
        assert flow["errors"] == {"price_entity": "price_unavailable"}


async def test_without_a_recorder_an_entity_cannot_tell_prices(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    tell(hass, "12.34", "JPY/kWh")
    flow = await submit(hass, await begin(hass, entry), MARKET)
    flow = await submit(hass, flow, MARKETED)
    assert flow["errors"] == {"price_entity": "price_not_recorded"}


def suggested(flow: SubentryFlowResult) -> dict[str, Any]:
    assert flow["data_schema"] is not None
    return {str(key): key.description["suggested_value"] for key in flow["data_schema"].schema if key.description}


async def test_what_is_fed_in_by_hours(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    evening = {key: value for key, value in NIGHT.items() if key != "limits"} | {"name": "夕方", "prices": "20"}
    evening |= {"begin": "16:00:00", "end": "19:00:00"}
    forms = {
        **ONE_PRICE,
        "feed_in": {"is_feed_in_by_hours": True, "feed_in_until": "2035-03-31"},
        "feed_in_band": evening,
        "feed_in_rest": {"name": "そのほか", "prices": "8.5"},
    }
    await fill_in(hass, entry, forms)
    plan = only_plan(entry)
    assert plan.feed_in is not None
    assert plan.feed_in_until == date(2035, 3, 31)
    assert plan.feed_in.bands == (
        Band("夕方", (Step(None, Decimal(20)),), (Hours(begin=time(16), end=time(19)),)),
        Band("そのほか", (Step(None, Decimal("8.5")),)),
    )
    (subentry,) = entry.subentries
    await fill_in(hass, entry, {**forms, "feed_in": {"feed_in": "16", "is_feed_in_by_hours": False}}, subentry)
    assert only_plan(entry).feed_in == simple(Decimal(16))


async def test_two_structures_are_ready_to_be_filled_in(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    flow = await hass.config_entries.subentries.async_init((entry.entry_id, "plan"), context={"source": SOURCE_USER})
    assert flow["type"] is FlowResultType.MENU
    assert flow["menu_options"] == ["three_steps", "day_and_night", "other"]
    flow = await begin(hass, entry, structure="three_steps")
    assert suggested(flow)["basic"] == "ampere"
    contract = {key: value for key, value in CONTRACT.items() if key != "energy"}
    flow = await submit(hass, flow, contract)
    assert flow["step_id"] == "steps"
    assert suggested(flow) == {"limits": "120, 300"}
    flow = await begin(hass, entry, structure="day_and_night")
    flow = await submit(hass, flow, contract)
    assert flow["step_id"] == "band"
    assert suggested(flow) == {"name": "Night", "begin": "23:00:00", "end": "07:00:00"}
    flow = await submit(hass, flow, NIGHT)
    assert (flow["step_id"], suggested(flow)) == ("rest", {"name": "Day"})
    forms = {**THREE_STEPS, "contract": contract, "band": NIGHT, "rest": REST}
    await fill_in(hass, entry, forms, structure="day_and_night")
    assert [band.name for band in only_plan(entry).energy.bands] == ["夜間", "昼間"]  # type: ignore[union-attr]  # no market


async def test_a_day_to_come_and_the_last_day_of_months(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    contract = {**ONE_PRICE["contract"], "valid_from": "2028-02-29", "billing_day": 31}
    await fill_in(hass, entry, {**ONE_PRICE, "contract": contract})
    plan = only_plan(entry)
    assert plan.valid_from == date(2028, 2, 29)
    span = plan.billing.span(date(2028, 2, 29))
    assert (span.first, span.end) == (date(2028, 2, 29), date(2028, 3, 31))
