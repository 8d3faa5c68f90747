"""The cost of half-hours and bills, against a slow second way to get them, and against published examples."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from itertools import pairwise
import random

from hypothesis import given, settings, strategies as st
import pytest

from custom_components.broute.aiobroute import JST
from custom_components.broute.energy.bill import (
    Bill,
    Cost,
    Overlaid,
    Period,
    Usage,
    add_up,
    bill,
    compare,
    costs,
    demands,
    expected,
    forecast,
    hours,
    last_year,
    periods,
    returns,
)
from custom_components.broute.energy.tariff import (
    HALF_HOUR,
    PRICE_STEP,
    Adjustment,
    Band,
    Bands,
    BasicCharge,
    Billing,
    Contract,
    DemandCharge,
    Hours,
    Market,
    MinimumCharge,
    Month,
    MonthlyCharge,
    Plan,
    SizeCharge,
    Span,
    Step,
    simple,
    stepped,
)
from custom_components.broute.energy.terms import Days, Rounding

LONG_AGO = date(2010, 1, 1)
MARCH = date(2026, 3, 1)
APRIL = date(2026, 4, 1)
MAY = date(2026, 5, 1)
FREE: Mapping[int, Adjustment] = {}


def midnight(day: date) -> datetime:
    return datetime.combine(day, time(), JST).astimezone(UTC)


def half_hours(first: date, end: date) -> list[datetime]:
    return [midnight(first) + number * HALF_HOUR for number in range((end - first).days * 48)]


def even(energy: Decimal, first: date = APRIL, end: date = MAY) -> dict[datetime, Decimal | None]:
    """Spread whole kWh over some days, at times of all kinds."""
    starts = half_hours(first, end)
    number = int(energy)
    return {
        start: Decimal(number * (index + 1) // len(starts) - number * index // len(starts))
        for index, start in enumerate(starts)
    }


def only_bill(plan: Plan, usage: Usage, first: date = APRIL, end: date = MAY) -> Bill:
    contract = Contract((plan,))
    (period,) = periods(contract, first, end)
    return bill(contract, usage, period)


def d(text: str) -> Decimal:
    return Decimal(text)


# What others published: the figures of each bill, and where they stand.


@dataclass(frozen=True, kw_only=True)
class Example:
    """A published bill."""

    source: str
    basic: BasicCharge | None = None
    bands: Bands
    used: Mapping[str, int]
    """kWh by band."""
    fuel: str = "0"
    levy: str = "0"
    discount: str = "0"
    yen: int
    levy_rounding: Rounding = Rounding.DOWN


def steps(*each: tuple[int | None, str]) -> tuple[Step, ...]:
    return tuple(Step(None if limit is None else Decimal(limit), d(price)) for limit, price in each)


NIGHT = Hours(begin=time(23), end=time(7))


def day_and_night(day: tuple[Step, ...], night: str) -> Bands:
    return Bands((Band("night", steps((None, night)), (NIGHT,)), Band("day", day)))


TEPCO_2019 = Example(
    source="a simulator's tests on GitHub (simulate, 従量電灯B and Looop, prices of October 2019)",
    basic=SizeCharge(Decimal(286), Decimal(1)),
    bands=stepped(steps((120, "19.88"), (300, "26.48"), (None, "30.57"))),
    used={"": 120},
    yen=2671,
)
TOHOKU_2015 = Example(
    source="tohoku-epco.co.jp/pastnews/fuel/1189176_1055.html, the model of 30 A and 280 kWh",
    basic=SizeCharge(Decimal(324), Decimal(3)),
    bands=stepped(steps((120, "18.24"), (300, "24.87"), (None, "28.75"))),
    used={"": 280},
    fuel="1.84",
    levy="0.75",
    yen=7865,
)
EXAMPLES = {
    "Kansai, minimum charge, 260 kWh": Example(
        source="kepco.jp/ryokin/menu/dento_a: 6,175 yen before fuel and levy",
        basic=MinimumCharge(d("522.58"), Decimal(15)),
        bands=stepped(steps((120, "20.21"), (300, "25.61"), (None, "28.59"))),
        used={"": 260},
        discount="55",
        yen=6175,
    ),
    "Kansai, minimum charge, 400 kWh": Example(
        source="harumoe.com/?p=4722",
        basic=MinimumCharge(d("341.02"), Decimal(15)),
        bands=stepped(steps((120, "19.81"), (300, "23.83"), (None, "27.3"))),
        used={"": 400},
        yen=9440,
    ),
    "Chubu, nothing used, half the basic charge": Example(
        source="kasikorera2017.hatenablog.com/entry/2019/09/30/222409, the bill of September 2019",
        basic=SizeCharge(d("280.80"), Decimal(2), is_halved_if_unused=True),
        bands=stepped(steps((120, "20.68"), (300, "25.08"), (None, "27.97"))),
        used={"": 0},
        fuel="-3.00",
        levy="2.95",
        yen=280,
    ),
    "TEPCO, energy alone, 320 kWh": Example(
        source="yoilife.com/kounetu/denryo.html",
        bands=stepped(steps((120, "17.87"), (300, "22.86"), (None, "24.13"))),
        used={"": 320},
        yen=6741,
    ),
    "TEPCO, 10 A, 120 kWh": TEPCO_2019,
    "TEPCO, 10 A, 300 kWh": replace(TEPCO_2019, used={"": 300}, yen=7438),
    "TEPCO, 10 A, 400 kWh": replace(TEPCO_2019, used={"": 400}, yen=10495),
    "Looop, one price and nothing else": Example(
        source="as TEPCO_2019", bands=simple(d("26.4")), used={"": 400}, yen=10560
    ),
    "Kansai, per kVA, 648 kWh": Example(
        source="okwave.jp/qa/q298165.html: 0.9 kVA, one price",
        basic=SizeCharge(Decimal(360), d("0.9")),
        bands=simple(d("18.94")),
        used={"": 648},
        yen=12597,
    ),
    "Tohoku, April 2015": TOHOKU_2015,
    "Tohoku, November 2015": replace(
        TOHOKU_2015, source="the same, pastnews/fuel/1190270_1055.html", fuel="-0.69", levy="1.58", yen=7388
    ),
    "Tohoku, June 2016": replace(
        TOHOKU_2015, source="Tohoku's press release no. 6 of 27 April 2016", fuel="-2.19", levy="2.25", yen=7156
    ),
    "Tohoku, September 2016": replace(
        TOHOKU_2015, source="Tohoku's press release no. 35 of 28 July 2016", fuel="-2.89", levy="2.25", yen=6960
    ),
}


@pytest.mark.parametrize("example", EXAMPLES.values(), ids=EXAMPLES)
def test_a_published_bill(example: Example) -> None:
    plan = Plan(
        valid_from=LONG_AGO,
        energy=example.bands,
        basic=example.basic,
        fuel={Month(2026, 4): Adjustment(d(example.fuel))},
        levies={2026: Adjustment(d(example.levy))},
        discount=d(example.discount),
        levy_rounding=example.levy_rounding,
    )
    starts: dict[str, list[datetime]] = {name: [] for name in example.used}
    for start in half_hours(APRIL, MAY):
        starts[example.bands.at(start, ()).name].append(start)
    taken = {
        start: Decimal(energy * (index + 1) // len(starts[name]) - energy * index // len(starts[name]))
        for name, energy in example.used.items()
        for index, start in enumerate(starts[name])
    }
    made = only_bill(plan, Usage(taken=taken))
    assert made.total == example.yen
    assert made.energy == sum(example.used.values())
    assert (made.unknown, made.unpriced) == (0, 0)


# The slow second way: 0.1 kWh at a time.


def slow_parts(plan: Plan, usage: Usage, span: Span) -> dict[datetime, Decimal | None]:
    """Return what the kWh of each half-hour cost, before what is charged by month."""
    included = plan.basic.included if isinstance(plan.basic, MinimumCharge) else Decimal(0)
    total, by_band = Decimal(0), dict[str, Decimal]()
    month = Month(span.end.year, span.end.month) if span.end.day > 1 else Month(span.first.year, span.first.month)
    added = plan.levies[2026].price
    for table, sign in ((plan.fuel, 1), (plan.support, -1)):
        if month in table:
            added += sign * table[month].price
    found: dict[datetime, Decimal | None] = {}
    for start in half_hours(span.first, span.end):
        energy = usage.taken.get(start)
        if energy is None:
            found[start] = None
            continue
        yen: Decimal | None = Decimal(0)
        name = "" if isinstance(plan.energy, Market) else plan.energy.at(start, usage.holidays).name
        for _ in range(int(energy * 10)):
            price = slow_price(plan, usage, start, name, by_band.get(name, Decimal(0)))
            if total >= included:
                yen = None if yen is None or price is None else yen + (price + added) / 10
            total += d("0.1")
            by_band[name] = by_band.get(name, Decimal(0)) + d("0.1")
        found[start] = yen
    return found


def slow_price(plan: Plan, usage: Usage, start: datetime, name: str, used: Decimal) -> Decimal | None:
    if isinstance(plan.energy, Market):
        price = usage.prices[""].get(start)
        return None if price is None else plan.energy.price(price)
    band = next(band for band in plan.energy.bands if band.name == name)
    return next(step.price for step in band.steps if step.limit is None or used < step.limit)


THREE = steps((120, "29.80"), (300, "36.40"), (None, "40.49"))
ENERGIES: tuple[Bands | Market, ...] = (
    simple(d("31")),
    stepped(THREE),
    day_and_night(steps((90, "28.11"), (None, "35.76")), "16.30"),
    Bands(
        (
            Band("rest", steps((None, "22.5")), (Hours(days=Days.HOLIDAYS),)),
            Band(
                "peak",
                steps((10, "44"), (50, "46"), (None, "50")),
                (Hours(begin=time(16), end=time(19, 30), days=Days.WEEKDAYS),),
            ),
            Band("other", THREE),
        )
    ),
    Market(factor=d("1.1"), loss=d("0.069"), surcharge=d("7.25")),
)
BASICS: tuple[BasicCharge | None, ...] = (
    None,
    MonthlyCharge(d("1000.01")),
    SizeCharge(d("311.75"), d("1.5")),
    DemandCharge(d("123.45")),
    MinimumCharge(d("522.58"), Decimal(15)),
)


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    money = st.decimals(-9, 9, places=2)
    adjustments = st.dictionaries(
        st.sampled_from([Month(2026, month) for month in range(3, 8)]), st.builds(Adjustment, money)
    )
    return Plan(
        valid_from=LONG_AGO,
        energy=draw(st.sampled_from(ENERGIES)),
        basic=draw(st.sampled_from(BASICS)),
        billing=Billing(draw(st.sampled_from([1, 2, 10, 28, 31]))),
        fuel=draw(adjustments),
        levies={2025: Adjustment(d("4.18")), 2026: Adjustment(d("4.18"))},
        support=draw(adjustments),
        discount=draw(st.decimals(0, 100, places=2)),
    )


@st.composite
def usages(draw: st.DrawFn, *, holes: bool = True) -> Usage:
    chance = random.Random(draw(st.integers(0, 2**32)))
    most = draw(st.sampled_from([0, 3, 12]))
    lost = draw(st.sampled_from([0, 0.01, 0.5])) if holes else 0
    starts = half_hours(date(2026, 3, 25), date(2026, 6, 5))
    return Usage(
        taken={start: None if chance.random() < lost else Decimal(chance.randint(0, most)) / 10 for start in starts},
        prices={"": {start: Decimal(chance.randint(-1, 4000)) / 100 for start in starts if chance.random() >= lost}},
        holidays={date(2026, 4, 29), date(2026, 5, 4)},
    )


def middle(plan: Plan) -> tuple[Contract, Period]:
    """Return the billing period of the middle of April."""
    contract = Contract((plan,))
    return contract, periods(contract, date(2026, 4, 15), date(2026, 4, 16))[0]


@settings(max_examples=60)
@given(plan=plans(), usage=usages())
def test_half_hours_cost_what_a_slow_way_says(plan: Plan, usage: Usage) -> None:
    contract, period = middle(plan)
    found = {cost.start: cost.variable for cost in costs(contract, usage, period)}
    assert found == slow_parts(plan, usage, period.span)


@settings(max_examples=60)
@given(plan=plans(), usage=usages())
def test_the_bars_of_a_billing_period_add_up_to_the_bill(plan: Plan, usage: Usage) -> None:
    contract, period = middle(plan)
    each = list(costs(contract, usage, period))
    made = bill(contract, usage, period)
    together = add_up(each)
    assert together.yen == made.parts.total
    assert abs(made.total - made.parts.total) < 2
    assert (together.energy, together.unknown, together.unpriced) == (made.energy, made.unknown, made.unpriced)
    assert add_up(each[:700]).plus(add_up(each[700:])) == together
    bars = hours(each)
    assert len(bars) * 2 == len(each) == together.half_hours
    if not made.unknown and not made.unpriced:
        assert sum(yen for yen in bars.values() if yen is not None) == made.parts.total
    # Without the fixed charges, the same less these.
    fixed = sum((cost.fixed.total for cost in each), Decimal(0))
    assert add_up(each, with_fixed=False).yen == together.yen - fixed


@settings(max_examples=40)
@given(plan=plans(), usage=usages(), day=st.dates(date(2026, 3, 31), date(2026, 5, 2)))
def test_a_plan_that_follows_the_same_plan_changes_nothing(plan: Plan, usage: Usage, day: date) -> None:
    contract, period = middle(plan)
    divided = Contract((plan, replace(plan, valid_from=day)))
    assert periods(divided, period.span.first, period.span.end) == [period]
    assert list(costs(divided, usage, period)) == list(costs(contract, usage, period))
    assert bill(divided, usage, period) == bill(contract, usage, period)


@settings(max_examples=40)
@given(plan=plans(), usage=usages(holes=False), cut=st.integers(0, 1488))
def test_a_half_hour_does_not_cost_another_price_when_later_ones_become_known(
    plan: Plan, usage: Usage, cut: int
) -> None:
    contract, period = middle(replace(plan, basic=None if isinstance(plan.basic, DemandCharge) else plan.basic))
    starts = half_hours(period.span.first, period.span.end)
    so_far = replace(usage, taken={start: usage.taken[start] for start in starts[:cut]})
    assert list(costs(contract, so_far, period))[:cut] == list(costs(contract, usage, period))[:cut]


def test_the_hour_in_which_a_step_is_crossed_has_both_prices() -> None:
    contract = Contract((Plan(valid_from=LONG_AGO, energy=stepped(THREE), levies=FREE),))
    (period,) = periods(contract, APRIL, MAY)
    start = midnight(APRIL)
    usage = Usage(taken={start: d("119.7"), start + HALF_HOUR: d("0.7"), start + 2 * HALF_HOUR: d("0.1")})
    bars = hours(costs(contract, usage, period))
    assert bars[start] == 120 * d("29.80") + d("0.4") * d("36.40")
    # The second hour has a half-hour that is not known.
    assert bars[start + 2 * HALF_HOUR] is None


def test_fixed_charges_are_the_same_each_hour_but_for_a_millionth() -> None:
    plan = Plan(valid_from=LONG_AGO, energy=simple(Decimal(0)), basic=MonthlyCharge(Decimal(1000)), levies=FREE)
    contract = Contract((plan,))
    (period,) = periods(contract, APRIL, MAY)
    bars = hours(costs(contract, Usage(taken=even(Decimal(0))), period))
    assert sum(yen for yen in bars.values() if yen is not None) == 1000
    assert all(yen is not None and abs(yen - Decimal(1000) / 720) < d("0.000002") for yen in bars.values())


@pytest.mark.parametrize("day", [2, 16, 30])
def test_the_fixed_charges_of_a_bill_in_two_parts_are_those_of_the_whole(day: int) -> None:
    plan = Plan(valid_from=LONG_AGO, energy=simple(Decimal(0)), basic=MonthlyCharge(d("1000.01")), levies=FREE)
    contract, usage = Contract((plan,)), Usage(taken=even(Decimal(0)))
    (whole,) = periods(contract, APRIL, MAY)
    assert bill(contract, usage, whole).parts.basic == d("1000.01")
    first, second = (
        Period(span, whole.span) for span in (Span(APRIL, date(2026, 4, day)), Span(date(2026, 4, day), MAY))
    )
    assert [*costs(contract, usage, first), *costs(contract, usage, second)] == list(costs(contract, usage, whole))
    assert sum(bill(contract, usage, part).parts.basic for part in (first, second)) == d("1000.01")


def test_what_the_minimum_charge_includes_fills_the_first_step() -> None:
    plan = Plan(
        valid_from=LONG_AGO, energy=stepped(steps((10, "1"), (None, "100"))), basic=MinimumCharge(d("0"), Decimal(6))
    )
    contract = Contract((replace(plan, levies=FREE),))
    (period,) = periods(contract, APRIL, MAY)
    # Six of the first twelve are charged, of which four are in the first step.
    usage = Usage(taken=dict.fromkeys(half_hours(APRIL, date(2026, 4, 2))[:2], Decimal(12)))
    assert [cost.variable for cost in costs(contract, usage, period)][:2] == [4 + 200, 1200]


def test_a_hole_costs_nobody_knows_what_and_the_sum_says_how_long_it_is() -> None:
    taken = even(Decimal(1440))
    lost = half_hours(APRIL, MAY)[100:104]
    for start in lost[:2]:
        taken[start] = None
    for start in lost[2:]:
        del taken[start]
    plan = Plan(valid_from=LONG_AGO, energy=simple(Decimal(10)), basic=MonthlyCharge(Decimal(1440)), levies=FREE)
    made = only_bill(plan, Usage(taken=taken))
    assert made.unknown == 4
    assert made.energy == 1436
    assert made.total == 14360 + 1440


def test_what_has_no_price_is_never_priced_with_that_of_another_hour() -> None:
    contract = Contract((Plan(valid_from=LONG_AGO, energy=Market(), levies=FREE),))
    (period,) = periods(contract, APRIL, MAY)
    starts = half_hours(APRIL, MAY)
    usage = Usage(
        taken={starts[0]: Decimal(1), starts[1]: Decimal(1), starts[2]: Decimal(0)},
        prices={"": {starts[0]: Decimal(12)}},
    )
    each = list(costs(contract, usage, period))
    # What was not used costs nothing at whatever price.
    assert [cost.variable for cost in each[:4]] == [12, None, 0, None]
    assert add_up(each[:4]).unpriced == 1
    assert bill(contract, usage, period).unpriced == 1


def test_a_minimum_charge_is_due_without_use_and_so_is_its_part_of_levy_and_fuel() -> None:
    plan = Plan(
        valid_from=LONG_AGO,
        energy=stepped(THREE),
        basic=MinimumCharge(d("522.58"), Decimal(15)),
        fuel={Month(2026, 4): Adjustment(d("-0.50"), d("-7.77"))},
        levies={2026: Adjustment(d("2.25"))},
    )
    made = only_bill(plan, Usage(taken=even(Decimal(3))))
    # 33.75 yen are the levy of 15 kWh; 33 of them are charged.
    assert made.total == int(d("522.58") - d("7.77") + 33)
    assert made.parts.levy == d("33.75")


def test_a_fuel_adjustment_is_what_was_told_last_within_the_bill() -> None:
    plan = Plan(valid_from=LONG_AGO, energy=simple(Decimal(10)), levies=FREE, fuel_entity="sensor.fuel")
    told: dict[datetime, Decimal | None] = {
        midnight(MARCH): Decimal(7),
        midnight(date(2026, 4, 12)): Decimal(3),
        midnight(date(2026, 4, 20)): Decimal(-2),
        midnight(date(2026, 4, 21)): None,
        midnight(date(2026, 5, 2)): Decimal(9),
    }
    made = only_bill(plan, Usage(taken=even(Decimal(100)), prices={"sensor.fuel": told}))
    assert made.total == 1000 + made.parts.fuel == 800
    assert made.unpriced == 0
    # What was told for other bills is no price for this one.
    for known in ({}, {midnight(MARCH): Decimal(7), midnight(MAY): Decimal(9)}):
        made = only_bill(plan, Usage(taken=even(Decimal(100)), prices={"sensor.fuel": known}))
        assert made.total == 0
        assert made.unpriced == 100


def test_a_running_bill_is_what_was_used_up_to_now_and_the_fixed_charges_in_full() -> None:
    plan = Plan(valid_from=LONG_AGO, energy=simple(Decimal(10)), basic=MonthlyCharge(Decimal(300)), levies=FREE)
    contract = Contract((plan,))
    (period,) = periods(contract, APRIL, MAY)
    made = bill(contract, Usage(taken=even(Decimal(1440))), period, until=midnight(date(2026, 4, 11)))
    assert made.unknown == 0
    assert made.energy == 480
    assert made.total == 4800 + 300


def test_nothing_is_halved_as_long_as_the_bill_runs() -> None:
    plan = Plan(
        valid_from=LONG_AGO,
        energy=simple(Decimal(30)),
        basic=MonthlyCharge(Decimal(1000), is_halved_if_unused=True),
        levies=FREE,
    )
    whole = even(Decimal(0))
    assert only_bill(plan, Usage(taken=whole)).total == 500
    assert only_bill(plan, Usage(taken=dict(list(whole.items())[:-1]))).total == 1000
    assert only_bill(plan, Usage(taken=even(Decimal(1)))).total == 1030


def test_both_roundings() -> None:
    plan = Plan(
        valid_from=LONG_AGO, energy=simple(d("10.6")), levies={2026: Adjustment(d("0.9"))}, total_rounding=Rounding.DOWN
    )
    usage = Usage(taken=even(Decimal(1)))
    assert only_bill(plan, usage).total == 10
    assert only_bill(replace(plan, levy_rounding=Rounding.NONE), usage).total == 11
    assert only_bill(replace(plan, levy_rounding=Rounding.HALF_UP), usage).total == 11
    assert only_bill(replace(plan, levy_rounding=Rounding.NONE, total_rounding=Rounding.NONE), usage).total == d("11.5")


def test_discounts_by_month_are_taken_off_once() -> None:
    plan = Plan(
        valid_from=LONG_AGO,
        energy=simple(Decimal(30)),
        levies=FREE,
        discount=Decimal(55),
        discounts={Month(2026, 4): Decimal(500), Month(2026, 5): Decimal(7)},
    )
    made = only_bill(plan, Usage(taken=even(Decimal(100))))
    assert made.total == 3000 - 555
    assert made.parts.discount == -555


# Bills and contracts that begin and end.


def test_before_the_first_plan_there_is_no_bill() -> None:
    contract = Contract((Plan(valid_from=date(2026, 4, 11), energy=simple(Decimal(30)), levies=FREE),))
    first, second = periods(contract, MARCH, date(2026, 6, 1))
    assert first.span == Span(date(2026, 4, 11), MAY)
    assert second.span == Span(MAY, date(2026, 6, 1))
    assert periods(Contract(()), MARCH, MAY) == []
    assert periods(contract, MARCH, APRIL) == []


def test_a_cut_bill_has_its_part_of_charges_and_steps() -> None:
    plan = Plan(
        valid_from=date(2026, 4, 21),
        energy=stepped(THREE),
        basic=MonthlyCharge(Decimal(900)),
        levies=FREE,
        billing=Billing(1),
    )
    made = only_bill(plan, Usage(taken=even(Decimal(50), date(2026, 4, 21), MAY)))
    # Ten of thirty days: 300 yen, and 40 kWh at the first price.
    assert made.parts.basic == 300
    assert made.parts.energy == 40 * d("29.80") + 10 * d("36.40")


def test_another_meter_reading_day_cuts_the_bill() -> None:
    before = Plan(valid_from=LONG_AGO, energy=simple(Decimal(30)), billing=Billing(10))
    after = Plan(valid_from=date(2026, 4, 20), energy=simple(Decimal(20)), billing=Billing(1))
    contract = Contract((before, after))
    spans = [period.span for period in periods(contract, date(2026, 4, 12), date(2026, 6, 1))]
    assert spans == [
        Span(date(2026, 4, 10), date(2026, 4, 20)),
        Span(date(2026, 4, 20), MAY),
        Span(MAY, date(2026, 6, 1)),
    ]


@settings(max_examples=60)
@given(
    valid=st.sets(st.dates(date(2025, 1, 1), date(2026, 12, 31)), min_size=1, max_size=5),
    days=st.lists(st.integers(1, 31), min_size=5, max_size=5),
)
def test_each_day_after_the_first_plan_is_on_one_bill(valid: set[date], days: list[int]) -> None:
    contract = Contract(
        tuple(
            Plan(valid_from=day, energy=simple(Decimal(30)), billing=Billing(billing))
            for day, billing in zip(sorted(valid), days, strict=False)
        )
    )
    found = periods(contract, date(2024, 12, 1), date(2027, 2, 1))
    assert found[0].span.first == min(valid)
    assert all(before.span.end == after.span.first for before, after in pairwise(found))
    assert found[-1].span.end >= date(2027, 2, 1)
    for period in found:
        assert period.whole.first <= period.span.first < period.span.end <= period.whole.end
        # Asked for by any of its days, it is the same.
        last = period.span.end - timedelta(days=1)
        assert periods(contract, last, period.span.end) == [period]


def test_a_price_change_within_a_bill_keeps_the_steps_counting() -> None:
    before = Plan(valid_from=LONG_AGO, energy=stepped(THREE), basic=MonthlyCharge(Decimal(300)), levies=FREE)
    dearer = steps((120, "30"), (300, "40"), (None, "50"))
    after = replace(before, valid_from=date(2026, 4, 16), energy=stepped(dearer), basic=MonthlyCharge(Decimal(600)))
    contract = Contract((before, after))
    (period,) = periods(contract, APRIL, MAY)
    made = bill(contract, Usage(taken=even(Decimal(240))), period)
    assert made.parts.energy == 120 * d("29.80") + 120 * Decimal(40)
    assert made.parts.basic == 450


# Demand.


def test_contract_by_demand_over_bills() -> None:
    plan = Plan(valid_from=LONG_AGO, energy=simple(Decimal(0)), basic=DemandCharge(Decimal(100)), levies=FREE)
    contract = Contract((replace(plan, basic=None), replace(plan, valid_from=date(2025, 7, 1))))
    taken = {
        midnight(date(2025, 6, 30)): Decimal(5),  # before the contract by demand
        midnight(date(2025, 7, 2)): Decimal(3),
        midnight(date(2026, 4, 2)): d("1.1"),
        midnight(date(2026, 6, 30)): d("1.2"),
        midnight(date(2026, 7, 1)): d("1.3"),
    }
    usage = Usage(taken=taken)
    found = {}
    for period in periods(contract, date(2025, 6, 1), date(2026, 8, 1)):
        made = bill(contract, usage, period)
        found[period.span.first.strftime("%Y-%m")] = made
    assert found["2025-06"].demand is None
    assert found["2025-06"].total == 0
    for month, demand in {"2025-07": 6, "2026-06": 6, "2026-07": 3}.items():
        assert found[month].demand == demand
        assert found[month].total == 100 * demand
    (june,) = periods(contract, date(2026, 6, 5), date(2026, 6, 6))
    assert demands(contract, usage, june) == 6


def test_a_contract_by_demand_that_ends_within_a_bill() -> None:
    by_demand = Plan(valid_from=LONG_AGO, energy=simple(Decimal(0)), basic=DemandCharge(Decimal(100)), levies=FREE)
    after = replace(by_demand, valid_from=date(2026, 4, 16), basic=None)
    contract = Contract((by_demand, after))
    (period,) = periods(contract, APRIL, MAY)
    made = bill(contract, Usage(taken=dict.fromkeys(half_hours(APRIL, MAY), Decimal(1))), period)
    assert made.demand == 2
    assert made.parts.basic == 100
    assert bill(contract, Usage(taken={}), period).demand is None


# What is fed in.


def test_what_is_fed_in_is_paid_until_the_last_day() -> None:
    plan = Plan(
        valid_from=APRIL, energy=simple(Decimal(30)), feed_in=simple(Decimal(16)), feed_in_until=date(2026, 4, 2)
    )
    starts = half_hours(MARCH, MAY)
    usage = Usage(taken={}, fed={start: Decimal(1) for start in starts} | {midnight(date(2026, 4, 3)): Decimal(0)})
    found = {cost.start: cost.total for cost in returns(Contract((plan,)), usage, starts[0], starts[-1])}
    assert found[midnight(date(2026, 3, 31))] is None
    assert found[midnight(APRIL)] == 16
    assert found[midnight(date(2026, 4, 3)) - HALF_HOUR] == 16
    # Nothing brings nothing, with or without a price; something without a price brings nobody knows what.
    assert found[midnight(date(2026, 4, 3))] == 0
    assert found[midnight(date(2026, 4, 3)) + HALF_HOUR] is None
    nothing = replace(plan, feed_in=None)
    assert next(returns(Contract((nothing,)), usage, midnight(APRIL), MAY_1)).total is None


MAY_1 = midnight(MAY)


def test_bands_of_what_is_fed_in() -> None:
    bands = Bands(
        (Band("noon", steps((None, "5")), (Hours(begin=time(10), end=time(14)),)), Band("other", steps((None, "9"))))
    )
    contract = Contract((Plan(valid_from=LONG_AGO, energy=simple(Decimal(30)), feed_in=bands),))
    usage = Usage(taken={}, fed={start: d("0.5") for start in half_hours(APRIL, MAY)})
    bars = hours(returns(contract, usage, midnight(APRIL), midnight(APRIL) + timedelta(days=1)))
    assert [yen for yen in bars.values() if yen is not None] == [9] * 10 + [5] * 4 + [9] * 10


# The forecast.

SOME = st.dictionaries(st.sampled_from(half_hours(APRIL, date(2026, 4, 2))), st.none() | st.decimals(0, 9, places=1))


def test_the_forecast_is_what_was_used_and_the_mean_of_the_same_weekdays() -> None:
    plan = Plan(valid_from=LONG_AGO, energy=simple(Decimal(10)), basic=MonthlyCharge(Decimal(720)), levies=FREE)
    contract = Contract((plan,))
    (period,) = periods(contract, APRIL, MAY)
    now = midnight(date(2026, 4, 20))
    taken: dict[datetime, Decimal | None] = {}
    for start in half_hours(MARCH, date(2026, 4, 20)):
        # One kWh each half-hour of a Sunday, nothing on other days.
        taken[start] = Decimal(1 if start.astimezone(JST).weekday() == 6 else 0)
    made = forecast(contract, Usage(taken=taken), period, now)
    # Four Sundays in April 2026: 5, 12, 19, 26.
    assert made.energy == 4 * 48
    assert made.total == 10 * 4 * 48 + 720
    assert (made.estimated, made.unknown) == (11 * 48, 0)


def test_the_forecast_of_a_market_takes_its_prices_from_the_same_weeks() -> None:
    contract = Contract((Plan(valid_from=LONG_AGO, energy=Market(), levies=FREE),))
    (period,) = periods(contract, APRIL, MAY)
    starts = half_hours(MARCH, date(2026, 4, 20))
    usage = Usage(taken=dict.fromkeys(starts, Decimal(1)), prices={"": dict.fromkeys(starts, Decimal(12))})
    assert forecast(contract, usage, period, midnight(date(2026, 4, 20))).total == 1440 * 12


@settings(max_examples=40)
@given(usage=usages(), elapsed=st.integers(-480, 1440))
def test_a_forecast_has_the_mean_of_other_weeks_wherever_nothing_is_known(usage: Usage, elapsed: int) -> None:
    contract = Contract((Plan(valid_from=LONG_AGO, energy=simple(Decimal(10)), levies=FREE),))
    (period,) = periods(contract, APRIL, MAY)
    now = midnight(APRIL) + elapsed * HALF_HOUR
    known = {start: energy for start, energy in usage.taken.items() if start < now}
    made = forecast(contract, Usage(taken=known), period, now)
    shown = [(known.get(start), expected(known, start, now)) for start in half_hours(APRIL, MAY)]
    guessed = [mean for energy, mean in shown if energy is None and mean is not None]
    assert made.estimated == len(guessed)
    assert made.energy == sum(guessed, Decimal(0)) + sum(energy for energy, _ in shown if energy is not None)


def test_a_forecast_without_anything_to_go_by_says_how_much_is_unknown() -> None:
    contract = Contract((Plan(valid_from=LONG_AGO, energy=simple(Decimal(10)), levies=FREE),))
    (period,) = periods(contract, APRIL, MAY)
    made = forecast(contract, Usage(taken={}), period, midnight(date(2026, 4, 20)))
    assert made.total == 0
    assert (made.unknown, made.estimated) == (1440, 0)


def test_the_forecast_of_simulated_years_is_near_the_bill() -> None:
    plan = Plan(valid_from=LONG_AGO, energy=stepped(THREE), basic=SizeCharge(d("311.75"), Decimal(4)))
    contract = Contract((plan,))
    errors = []
    for seed in range(3):
        chance = random.Random(seed)
        taken: dict[datetime, Decimal | None] = {}
        for start in half_hours(date(2025, 1, 1), date(2026, 1, 1)):
            local = start.astimezone(JST)
            season = 1 + abs(local.month - 7) / 6
            load = (0.1 + 0.3 * (7 <= local.hour < 23)) * season * (1.3 if local.weekday() >= 5 else 1)
            taken[start] = Decimal(int(load * chance.uniform(0.3, 1.7) * 100)) / 100
        usage = Usage(taken=taken)
        for period in periods(contract, date(2025, 2, 1), date(2026, 1, 1)):
            now = period.span.start_time + timedelta(days=10)
            known: dict[datetime, Decimal | None] = {start: energy for start, energy in taken.items() if start < now}
            guessed = forecast(contract, replace(usage, taken=known), period, now).total
            true = bill(contract, usage, period).total
            errors.append(abs(guessed / true - 1))
    # The seasons go on meanwhile; within a fifth of the bill, and mostly nearer.
    assert max(errors) < d("0.2")
    assert sorted(errors)[len(errors) // 2] < d("0.1")


@given(offset=st.integers(-100, 1440), now=st.integers(0, 47), seed=st.integers(0, 99))
def test_what_is_expected_is_the_mean_of_four_same_half_hours(offset: int, now: int, seed: int) -> None:
    chance = random.Random(seed)
    present = midnight(date(2026, 4, 20)) + now * HALF_HOUR
    start = present + offset * HALF_HOUR
    known: dict[datetime, Decimal | None] = {}
    for number in range(-60 * 48, 0):
        known[present + number * HALF_HOUR] = Decimal(chance.randint(0, 100))
    same = sorted(
        (time for time in known if time < min(start, present) and (start - time) % timedelta(weeks=1) == timedelta(0)),
        reverse=True,
    )[:4]
    wanted = sum((known[before] or Decimal(0) for before in same), Decimal(0)) / 4
    assert expected(known, start, present) == wanted
    for known_before in same:
        known[known_before] = None
    # Then that of the same half-hour on other days of these weeks.
    days = sorted(
        (time for time in known if time < min(start, present) and (start - time) % timedelta(days=1) == timedelta(0)),
        reverse=True,
    )[:28]
    told = [value for value in map(known.get, days) if value is not None]
    assert len(told) == 24
    mean = expected(known, start, present)
    assert mean is not None
    assert abs(mean - sum(told, Decimal(0)) / 24) <= PRICE_STEP / 2
    assert expected({}, start, present) is None


@given(over=SOME, under=SOME)
def test_half_hours_over_others(over: dict[datetime, Decimal | None], under: dict[datetime, Decimal | None]) -> None:
    both, wanted = Overlaid(over, under), {**under, **over}
    assert dict(both) == wanted
    assert len(both) == len(wanted)
    for start in half_hours(APRIL, date(2026, 4, 2)):
        assert (start in both) == (start in wanted)
        assert both.get(start) == wanted.get(start)
        assert both.get(start, Decimal(77)) == wanted.get(start, Decimal(77))


# Comparing plans.


@pytest.mark.parametrize(
    ("begin", "end", "days"),
    [
        ("2026-03-10 00:00", "2026-03-11 00:00", ("2026-03-10", "2026-03-11")),
        ("2026-03-10 00:00", "2026-03-11 23:30", ("2026-03-10", "2026-03-11")),
        ("2026-03-10 00:30", "2026-03-12 00:00", ("2026-03-11", "2026-03-12")),
        ("2026-03-10 00:30", "2026-03-11 23:30", None),
        ("2026-03-10 00:00", "2026-03-10 23:30", None),
        ("2025-03-11 00:00", "2026-03-11 09:00", ("2025-03-11", "2026-03-11")),
        ("2025-03-10 00:00", "2026-03-11 09:00", ("2025-03-11", "2026-03-11")),
        ("2025-03-11 00:30", "2026-03-11 09:00", ("2025-03-12", "2026-03-11")),
    ],
)
def test_the_whole_days_of_the_last_year(begin: str, end: str, days: tuple[str, str] | None) -> None:
    first, last = (datetime.fromisoformat(at).replace(tzinfo=JST).astimezone(UTC) for at in (begin, end))
    wanted = None if days is None else tuple(date.fromisoformat(day) for day in days)
    assert last_year(first, last) == wanted


def test_plans_are_compared_on_the_same_days() -> None:
    cheap = Plan(valid_from=date(2026, 4, 10), name="cheap", energy=simple(Decimal(20)), levies=FREE)
    by_demand = replace(cheap, name="demand", basic=DemandCharge(Decimal(100)), billing=Billing(15))
    taken = even(Decimal(3000), date(2026, 2, 1), date(2026, 6, 1))
    first, second = compare([cheap, by_demand], Usage(taken=taken), date(2026, 3, 10), date(2026, 5, 10))
    assert first.half_hours == second.half_hours == 61 * 48
    assert (
        first.energy
        == second.energy
        == sum(
            energy or 0
            for start, energy in taken.items()
            if midnight(date(2026, 3, 10)) <= start < midnight(date(2026, 5, 10))
        )
    )
    assert first.yen == 20 * first.energy
    # A kWh in a half-hour is 2 kW: 5 of 28 days, a whole month, and 25 of 30 days of 200 yen, each bill in whole yen.
    assert second.yen - first.yen == 35 + 200 + 166
    assert (first.unknown, first.unpriced) == (0, 0)


def test_a_cost_without_its_kwh() -> None:
    assert Cost(start=MAY_1, used=None, by_energy=None).total is None
