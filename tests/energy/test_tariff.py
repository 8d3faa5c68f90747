"""Plans as a person may write them down."""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

from hypothesis import given, strategies as st
import pytest

from custom_components.broute.aiobroute import JST
from custom_components.broute.energy.tariff import (
    HALF_HOUR,
    Adjustment,
    Band,
    Bands,
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
    bill_month,
    price_of,
    pro_rata,
    simple,
    stepped,
)
from custom_components.broute.energy.terms import LEVIES, Days, Fault, InvalidPlanError, Rounding

YEN = Decimal(30)
LESS = Decimal("-0.01")
"""Less than nothing, by the least that a bill shows."""
ONE = (Step(None, YEN),)
NIGHT = Hours(begin=time(23), end=time(7))


def at(day: date, number: int) -> datetime:
    """Return a half-hour of a day in Japan."""
    return datetime.combine(day, time(), JST).astimezone(UTC) + number * HALF_HOUR


def slow_price(steps: list[tuple[int | None, Decimal]], used: int, energy: int) -> Decimal:
    """Return yen, kWh by kWh."""
    yen = Decimal(0)
    for number in range(used, used + energy):
        yen += next(price for limit, price in steps if limit is None or number < limit)
    return yen


prices = st.decimals(min_value=0, max_value=99, places=2)


@given(
    limits=st.lists(st.integers(1, 400), unique=True, max_size=5),
    each=st.lists(prices, min_size=6, max_size=6),
    used=st.integers(0, 500),
    energy=st.integers(0, 500),
)
def test_a_crossed_step_has_both_prices(limits: list[int], each: list[Decimal], used: int, energy: int) -> None:
    steps = list(zip([*sorted(limits), None], each, strict=False))
    band = stepped([Step(None if limit is None else Decimal(limit), price) for limit, price in steps]).bands[0]
    assert price_of(band.steps, Decimal(used), Decimal(energy)) == slow_price(steps, used, energy)


@given(
    begin=st.integers(0, 47),
    end=st.integers(0, 47),
    days=st.sampled_from(Days),
    months=st.sets(st.integers(1, 12), min_size=1),
    day=st.dates(date(2024, 1, 1), date(2027, 12, 31)),
    number=st.integers(0, 47),
    is_public_holiday=st.booleans(),
)
def test_a_band_has_the_half_hours_that_a_calendar_and_a_clock_say(
    *, begin: int, end: int, days: Days, months: set[int], day: date, number: int, is_public_holiday: bool
) -> None:
    hours = Hours(
        begin=time(begin // 2, begin % 2 * 30), end=time(end // 2, end % 2 * 30), days=days, months=frozenset(months)
    )
    bands = Bands((Band("special", ONE, (hours,)), Band("other", ONE)))
    # Around the clock from the beginning, until the end is reached.
    inside = []
    for offset in range(48):
        if offset and (begin + offset) % 48 == end:
            break
        inside.append((begin + offset) % 48)
    is_holiday = day.weekday() in (5, 6) or is_public_holiday
    is_day = {Days.EVERY_DAY: True, Days.WEEKDAYS: not is_holiday, Days.HOLIDAYS: is_holiday}[days]
    expected = "special" if number in inside and is_day and day.month in months else "other"
    assert bands.at(at(day, number), {day} if is_public_holiday else ()).name == expected


def test_a_band_without_hours_of_its_own_is_the_whole_day() -> None:
    assert all(Hours().includes(time(number // 2, number % 2 * 30), 1, is_holiday=False) for number in range(48))


def test_a_plan_has_holidays_of_its_own() -> None:
    bands = Bands((Band("rest", ONE, (Hours(days=Days.HOLIDAYS),)), Band("work", ONE)), frozenset({(12, 31)}))
    assert bands.at(at(date(2026, 12, 30), 20), ()).name == "work"
    assert bands.at(at(date(2026, 12, 31), 20), ()).name == "rest"


@pytest.mark.parametrize(
    ("make", "fault"),
    [
        (lambda: stepped([]), Fault.NO_STEPS),
        (lambda: stepped([Step(Decimal(120), YEN)]), Fault.LAST_STEP_ENDS),
        (lambda: stepped([Step(Decimal(300), YEN), Step(Decimal(120), YEN), *ONE]), Fault.STEPS_FALL),
        (lambda: stepped([Step(Decimal(120), YEN), Step(Decimal(120), YEN), *ONE]), Fault.STEPS_FALL),
        (lambda: stepped([Step(Decimal(0), YEN), *ONE]), Fault.STEPS_FALL),
        (lambda: stepped([*ONE, *ONE]), Fault.STEPS_FALL),
        (lambda: Bands(()), Fault.BANDS_INCOMPLETE),
        (lambda: Bands((Band("night", ONE, (NIGHT,)),)), Fault.BANDS_INCOMPLETE),
        (lambda: Bands((Band("a", ONE, (NIGHT,)), Band("b", ONE, (Hours(end=time(12)),)))), Fault.BANDS_OVERLAP),
        (lambda: Bands((Band("a", ONE), Band("b", ONE))), Fault.BANDS_OVERLAP),
        (lambda: Bands((Band("a", ONE, (NIGHT,)), Band("a", ONE))), Fault.BAND_NAMES),
        (lambda: Hours(begin=time(7, 15)), Fault.BAND_HALF_HOURS),
        (lambda: Hours(end=time(23, 59, 59)), Fault.BAND_HALF_HOURS),
        (lambda: Hours(months=frozenset()), Fault.MONTH),
        (lambda: Hours(months=frozenset({13})), Fault.MONTH),
        (lambda: Billing(0), Fault.BILLING_DAY),
        (lambda: Billing(32), Fault.BILLING_DAY),
        (lambda: Market(loss=Decimal(1)), Fault.LOSS),
        (lambda: Market(loss=LESS), Fault.LOSS),
        (lambda: plan(basic=MonthlyCharge(LESS)), Fault.NEGATIVE),
        (lambda: plan(basic=DemandCharge(LESS)), Fault.NEGATIVE),
        (lambda: plan(basic=SizeCharge(YEN, LESS)), Fault.NEGATIVE),
        (lambda: plan(basic=SizeCharge(LESS, YEN)), Fault.NEGATIVE),
        (lambda: plan(basic=MinimumCharge(YEN, LESS)), Fault.NEGATIVE),
        (lambda: plan(basic=MinimumCharge(LESS, YEN)), Fault.NEGATIVE),
        (lambda: Contract((plan(), plan())), Fault.SAME_DAY),
    ],
)
def test_what_cannot_be_is_named(make: object, fault: Fault) -> None:
    assert callable(make)
    with pytest.raises(InvalidPlanError) as raised:
        make()
    assert raised.value.fault is fault


def test_a_charge_may_be_nothing() -> None:
    zero = Decimal(0)
    charges = MonthlyCharge(zero), DemandCharge(zero), SizeCharge(zero, zero), MinimumCharge(zero, zero)
    assert [plan(basic=charge).basic for charge in charges] == list(charges)
    assert Market(loss=zero).loss == 0


def plan(
    valid_from: date = date(2020, 1, 1),
    *,
    basic: MonthlyCharge | DemandCharge | SizeCharge | MinimumCharge | None = None,
) -> Plan:
    return Plan(valid_from=valid_from, energy=simple(YEN), basic=basic)


def test_each_day_has_the_plan_that_was_valid() -> None:
    later, earlier = plan(date(2026, 4, 1)), plan(date(2025, 4, 1))
    contract = Contract((later, earlier))
    assert contract.plan(date(2025, 3, 31)) is None
    assert contract.plan(date(2025, 4, 1)) is earlier
    assert contract.plan(date(2026, 3, 31)) is earlier
    assert contract.plan(date(2026, 4, 1)) is later


@pytest.mark.parametrize(
    ("day", "within", "first", "end"),
    [
        (1, date(2026, 2, 28), date(2026, 2, 1), date(2026, 3, 1)),
        (10, date(2026, 1, 9), date(2025, 12, 10), date(2026, 1, 10)),
        (10, date(2026, 1, 10), date(2026, 1, 10), date(2026, 2, 10)),
        (31, date(2026, 2, 27), date(2026, 1, 31), date(2026, 2, 28)),
        (31, date(2026, 2, 28), date(2026, 2, 28), date(2026, 3, 31)),
        (31, date(2028, 2, 28), date(2028, 1, 31), date(2028, 2, 29)),
        (29, date(2028, 2, 29), date(2028, 2, 29), date(2028, 3, 29)),
        (29, date(2027, 3, 1), date(2027, 2, 28), date(2027, 3, 29)),
        (31, date(2026, 12, 31), date(2026, 12, 31), date(2027, 1, 31)),
    ],
)
def test_a_billing_day(day: int, within: date, first: date, end: date) -> None:
    assert Billing(day).span(within) == Span(first, end)


CALENDAR = (date(2026, 1, 9), date(2026, 2, 10), date(2026, 3, 11))


@pytest.mark.parametrize(
    ("within", "first", "end"),
    [
        (date(2026, 1, 8), date(2025, 12, 10), date(2026, 1, 9)),
        (date(2026, 1, 9), date(2026, 1, 9), date(2026, 2, 10)),
        (date(2026, 3, 10), date(2026, 2, 10), date(2026, 3, 11)),
        (date(2026, 3, 11), date(2026, 3, 11), date(2026, 4, 10)),
        (date(2026, 4, 10), date(2026, 4, 10), date(2026, 5, 10)),
    ],
)
def test_the_dates_of_a_calendar(within: date, first: date, end: date) -> None:
    assert Billing(10, CALENDAR[::-1]).span(within) == Span(first, end)


def test_the_day_means_the_same_reading_as_a_date_nearby() -> None:
    billing = Billing(10, (date(2026, 3, 12), date(2026, 4, 8)))
    assert billing.span(date(2026, 3, 11)) == Span(date(2026, 2, 10), date(2026, 3, 12))
    assert billing.span(date(2026, 4, 11)) == Span(date(2026, 4, 8), date(2026, 5, 10))


@pytest.mark.parametrize(("away", "is_another"), [(14, False), (15, True)])
def test_a_reading_more_than_two_weeks_from_a_date_is_another_one(away: int, *, is_another: bool) -> None:
    after = date(2026, 3, 10) + timedelta(days=away)
    found = Billing(10, (after,)).span(date(2026, 3, 11))
    assert found == Span(date(2026, 3, 10) if is_another else date(2026, 2, 10), after)
    before = date(2026, 3, 10) - timedelta(days=away)
    found = Billing(10, (before,)).span(date(2026, 3, 9))
    assert found == Span(before, date(2026, 3, 10) if is_another else date(2026, 4, 10))


@given(
    day=st.integers(1, 31),
    dates=st.sets(st.dates(date(2026, 1, 1), date(2026, 12, 31)), max_size=14),
    within=st.dates(date(2024, 1, 1), date(2028, 12, 31)),
)
def test_billing_periods_follow_one_another(day: int, dates: set[date], within: date) -> None:
    billing = Billing(day, tuple(dates))
    span = billing.span(within)
    assert span.first <= within < span.end
    assert billing.span(span.end).first == span.end
    assert billing.span(span.first) == span
    assert billing.span(span.end - timedelta(days=1)) == span


def test_a_new_levy_is_first_seen_on_the_bill_of_may() -> None:
    april = Span(date(2026, 3, 10), date(2026, 4, 10))
    may = Span(date(2026, 4, 10), date(2026, 5, 10))
    assert (bill_month(april), bill_month(may)) == (Month(2026, 4), Month(2026, 5))
    assert plan().levy(april).price == LEVIES[2025] == Decimal("3.98")
    assert plan().levy(may).price == LEVIES[2026] == Decimal("4.18")
    # As long as nobody knows the next one, the last one goes on; before the first one there was none.
    assert plan().levy(Span(date(2028, 4, 10), date(2028, 5, 10))).price == LEVIES[2026]
    assert plan().levy(Span(date(2012, 3, 10), date(2012, 4, 10))).price == 0


def test_a_market_price() -> None:
    looop = Market(factor=Decimal("1.1"), loss=Decimal("0.069"), surcharge=Decimal("7.5"))
    assert looop.price(Decimal(10)) == Decimal("19.315252")
    assert Market().price(Decimal("-0.01")) == Decimal("-0.01")


def test_basic_charges() -> None:
    # TEPCO 従量電灯B; 15 A is half a yen of a hundredth more than 1.5 times 10 A.
    assert SizeCharge(Decimal("311.75"), Decimal("1.5")).yen(None) == Decimal("467.63")
    assert SizeCharge(Decimal("311.75"), Decimal(4)).yen(None) == Decimal("1247.00")
    assert DemandCharge(Decimal(500)).yen(None) == 0
    assert DemandCharge(Decimal(500)).yen(Decimal("4.5")) == 2500
    assert DemandCharge(Decimal(500)).yen(Decimal("4.4")) == 2000
    assert DemandCharge(Decimal(500), is_whole=False).yen(Decimal("4.4")) == 2200
    assert MinimumCharge(Decimal("522.58"), Decimal(15)).yen(None) == Decimal("522.58")
    assert MonthlyCharge(Decimal(1000)).yen(Decimal(9)) == 1000
    assert Adjustment(Decimal("2.25")).lump(Decimal(15)) == Decimal("33.75")
    # hepco.co.jp, the levy of 従量電灯A for the first 9 kWh, 2013 and 2014.
    assert Adjustment(LEVIES[2013]).lump(Decimal(9)) == Decimal("3.15")
    assert Adjustment(LEVIES[2014]).lump(Decimal(9)) == Decimal("6.75")
    assert Adjustment(Decimal("2.25"), Decimal(33)).lump(Decimal(15)) == 33


def test_roundings() -> None:
    assert Rounding.DOWN.round(Decimal("1.99")) == 1
    assert Rounding.DOWN.round(Decimal("-1.99")) == -1
    assert Rounding.HALF_UP.round(Decimal("1.5")) == 2
    assert Rounding.NONE.round(Decimal("1.5")) == Decimal("1.5")


def test_limits_of_a_part_of_a_billing_period() -> None:
    assert pro_rata(Decimal(120), 30, 30) == 120
    assert pro_rata(Decimal(120), 10, 31) == 39
    assert pro_rata(Decimal(15), 15, 30) == 8


@pytest.mark.parametrize("low", ["0", "0.01"])
def test_a_charge_may_be_low(low: str) -> None:
    charge = Decimal(low)
    for basic in (
        MonthlyCharge(charge),
        DemandCharge(charge),
        SizeCharge(charge, charge),
        MinimumCharge(charge, charge),
    ):
        assert plan(basic=basic).basic is basic
