"""The figures of the bill that runs, against all of its half-hours worked out at once."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

from hypothesis import given, strategies as st
import pytest

from custom_components.broute.aiobroute import JST
from custom_components.broute.energy.bill import (
    Cost,
    HalfHours,
    Usage,
    add_up,
    bill,
    costs,
    demands,
    forecast,
    periods,
    returns,
)
from custom_components.broute.energy.demand import Peak
from custom_components.broute.energy.figures import (
    Figures,
    Settled,
    brought_in,
    figures,
    flowed_since,
    settle,
    total_of,
)
from custom_components.broute.energy.tariff import (
    HALF_HOUR,
    Contract,
    Market,
    MonthlyCharge,
    Plan,
    Span,
    Step,
    simple,
    stepped,
)

MAY = date(2026, 5, 1)
BEGIN = datetime(2026, 4, 30, 15, tzinfo=UTC)
"""The first of May in Japan."""
STEPS = stepped((Step(Decimal(5), Decimal(20)), Step(None, Decimal(30))))
STEPPED = Plan(
    valid_from=date(2026, 4, 1),
    energy=STEPS,
    basic=MonthlyCharge(Decimal(1488)),
    levies={},
    feed_in=simple(Decimal(8)),
)
CONTRACT = Contract((STEPPED,))
PER_HALF_HOUR = Decimal(1)
"""Of 1,488 yen in the 1,488 half-hours of May."""


def d(text: str) -> Decimal:
    return Decimal(text)


def day_of(number: int, *energy: str) -> HalfHours:
    """Return half-hours from the beginning of a day of May on."""
    return {BEGIN + timedelta(days=number - 1) + place * HALF_HOUR: d(kwh) for place, kwh in enumerate(energy)}


def at(number: int, hour: int, minute: int = 0) -> datetime:
    """Return a time of day in May."""
    return datetime.combine(date(2026, 5, number), time(hour, minute), JST).astimezone(UTC)


def worked_out(
    contract: Contract,
    usage: Usage,
    now: datetime,
    taken_since: datetime | None = None,
    fed_since: datetime | None = None,
    *,
    before: Figures | None = None,
    last_bill: Decimal | None = None,
    is_spread: bool = True,
) -> tuple[Settled, Figures, Decimal]:
    settled = settle(contract, usage, now, taken_since, fed_since, is_spread=is_spread)
    assert settled is not None
    found, total = figures(contract, usage, now, before, settled, last_bill, is_spread=is_spread)
    return settled, found, total


def test_the_figures_of_a_small_bill() -> None:
    usage = Usage(taken=day_of(1, "2", "2", "0.5", "1.5", "0.25"), fed=day_of(1, "1", "2"))
    settled, shown, total = worked_out(CONTRACT, usage, at(1, 2, 10), last_bill=d("4321"))
    assert shown.period.span == Span(MAY, date(2026, 6, 1))
    assert shown.energy == shown.today_energy == d("6.25")
    # 5 kWh at 20 yen, 1.25 at 30, and five half-hours of the basic charge.
    assert shown.cost == shown.today_cost == total == 100 + d("37.5") + 5 * PER_HALF_HOUR
    assert (shown.unknown, shown.unpriced) == (0, 0)
    assert shown.peak == Peak(Decimal(4), BEGIN)
    assert shown.contract_demand == 4
    assert shown.price == 30
    assert shown.last_bill == 4321
    # What comes is the mean of what is known so far, on which the first days of all weeks have to rely.
    wanted = forecast(CONTRACT, usage, shown.period, at(1, 2, 30))
    assert (shown.forecast, shown.estimated) == (wanted.total, wanted.estimated)
    # The last four half-hours may still be told of by a reading.
    assert settled.used.until == at(1, 0, 30)
    assert settled.so_far.energy == settled.this_day.energy == 2
    assert settled.total == 40 + PER_HALF_HOUR


def test_what_is_not_known_and_what_has_no_price() -> None:
    plan = replace(STEPPED, energy=Market(entity="sensor.price"), basic=None)
    prices = {"sensor.price": {BEGIN: d("10"), BEGIN + HALF_HOUR: d("11")}}
    usage = Usage(taken={**day_of(1, "1", "1", "1"), BEGIN + 4 * HALF_HOUR: d("1")}, prices=prices)
    _, shown, total = worked_out(Contract((plan,)), usage, at(1, 2, 29))
    assert (shown.unknown, shown.unpriced) == (1, 2)
    assert shown.cost == total == 21
    assert shown.energy == 4
    assert shown.price is None, "of the half-hour that runs"
    _, shown, _ = worked_out(Contract((plan,)), usage, at(1, 0, 59))
    assert shown.price == 11


@pytest.mark.parametrize(("used", "price"), [("4.998", 20), ("4.999", 20), ("5", 30), ("5.001", 30)])
def test_what_one_more_kwh_costs(used: str, price: int) -> None:
    _, shown, _ = worked_out(CONTRACT, Usage(taken={BEGIN: d(used)}), at(1, 0, 10))
    assert shown.price == price
    _, shown, _ = worked_out(CONTRACT, Usage(taken=day_of(1, used)), at(1, 0, 40))
    assert shown.price == price, "the half-hour that runs may have nothing yet"


def test_the_day_begins_in_japan() -> None:
    usage = Usage(taken={**day_of(1, "1"), **day_of(2, "2", "3")})
    settled, shown, _ = worked_out(CONTRACT, usage, at(2, 0, 0))
    assert shown.today_energy == 2
    assert shown.energy == 3
    assert settled.this_day.energy == 0
    assert settled.so_far.half_hours == 45
    _, shown, _ = worked_out(CONTRACT, usage, at(2, 12))
    assert shown.today_energy == 5
    assert shown.today_cost == 4 * 20 + 30 + 25 * PER_HALF_HOUR, "1 kWh of the first step was used the day before"


def test_the_total_begins_with_the_first_half_hour_that_is_known() -> None:
    usage = Usage(taken=day_of(1, *["1"] * 12))
    for since in range(12):
        _, shown, total = worked_out(CONTRACT, usage, at(1, 5, 59), BEGIN + since * HALF_HOUR)
        steps_before = min(since, 5) * 20 + max(since - 5, 0) * 30
        assert total == shown.cost - steps_before - since * PER_HALF_HOUR
    _, shown, total = worked_out(CONTRACT, usage, at(1, 5, 59), BEGIN - HALF_HOUR)
    assert total == shown.cost, "what was known before was on other bills"


def test_fixed_charges_may_be_left_out_of_the_total() -> None:
    usage = Usage(taken=day_of(1, *["1"] * 12))
    settled, shown, total = worked_out(CONTRACT, usage, at(1, 5, 59), BEGIN, is_spread=False)
    assert total == 5 * 20 + 7 * 30 == shown.cost - 12 * PER_HALF_HOUR
    assert settled.total == 5 * 20 + 3 * 30


def test_what_was_fed_in() -> None:
    usage = Usage(taken={}, fed=day_of(1, *["1"] * 12))
    assert brought_in(CONTRACT, usage, BEGIN, at(1, 1)) == 2 * 8
    for since, number in ((None, 0), (BEGIN - HALF_HOUR, 8), (BEGIN, 8), (BEGIN + 3 * HALF_HOUR, 5)):
        settled = settle(CONTRACT, usage, at(1, 5, 59), None, since, is_spread=True)
        assert settled is not None
        assert settled.brought_in == number * 8


def test_what_changes_with_half_hours_only_is_taken_over() -> None:
    usage = Usage(taken=day_of(1, "2", "2", "0.5"))
    settled, before, _ = worked_out(CONTRACT, usage, at(1, 1, 5), last_bill=d("1"))
    later = replace(usage, taken={**usage.taken, BEGIN + 2 * HALF_HOUR: d("3")})
    shown, total = figures(CONTRACT, later, at(1, 1, 20), before, settled, d("2"), is_spread=True)
    assert shown == replace(before, cost=d("163"), energy=Decimal(7), today_cost=d("163"), today_energy=Decimal(7))
    assert total == 163


def test_before_the_first_plan_there_is_no_bill() -> None:
    day_before = datetime(2026, 3, 31, 14, 59, tzinfo=UTC)
    assert settle(CONTRACT, Usage(taken={}), day_before, None, None, is_spread=True) is None
    assert settle(CONTRACT, Usage(taken={}), day_before + HALF_HOUR, None, None, is_spread=True) is not None


def test_the_total_of_a_bill_of_which_something_has_a_cost() -> None:
    (period,) = periods(CONTRACT, MAY, MAY + timedelta(days=1))
    assert total_of(CONTRACT, Usage(taken={}), period) is None
    known = Usage(taken={BEGIN: Decimal(1)})
    assert total_of(CONTRACT, known, period) == bill(CONTRACT, known, period).total == 1508
    market = Contract((replace(STEPPED, energy=Market(entity="sensor.price"), basic=None),))
    assert total_of(market, known, period) is None
    assert total_of(market, replace(known, prices={"sensor.price": {BEGIN: d("9")}}), period) == 9


@given(
    taken=st.dictionaries(st.integers(0, 99), st.decimals(0, 3, places=3)),
    fed=st.dictionaries(st.integers(0, 99), st.decimals(0, 3, places=3)),
    minutes=st.integers(0, 3000),
    since=st.integers(-2, 99),
    is_spread=st.booleans(),
)
def test_a_bill_in_two_parts_is_the_bill(
    taken: Mapping[int, Decimal], fed: Mapping[int, Decimal], minutes: int, since: int, *, is_spread: bool
) -> None:
    usage = Usage(
        taken={BEGIN + number * HALF_HOUR: energy for number, energy in taken.items()},
        fed={BEGIN + number * HALF_HOUR: energy for number, energy in fed.items()},
    )
    now, first = BEGIN + timedelta(minutes=minutes), BEGIN + since * HALF_HOUR
    settled, shown, total = worked_out(CONTRACT, usage, now, first, first, is_spread=is_spread)

    def until_now(cost: Cost) -> bool:
        return cost.start <= now

    each = list(filter(until_now, costs(CONTRACT, usage, settled.period)))
    so_far = add_up(each)
    assert (shown.cost, shown.energy, shown.unknown) == (so_far.yen, so_far.energy, so_far.unknown)
    today = now.astimezone(JST).date()
    this_day = add_up(cost for cost in each if cost.start.astimezone(JST).date() == today)
    assert (shown.today_cost, shown.today_energy) == (this_day.yen, this_day.energy)
    assert total == add_up((cost for cost in each if cost.start >= first), with_fixed=is_spread).yen
    assert shown.contract_demand == demands(CONTRACT, usage, settled.period)
    brought = settled.brought_in + brought_in(CONTRACT, usage, max(settled.used.until, first), now)
    assert brought == add_up(returns(CONTRACT, usage, max(first, BEGIN), now)).yen
    running = now.replace(minute=now.minute // 30 * 30)
    known = [(energy, start) for start, energy in usage.taken.items() if energy is not None and start < running]
    assert (shown.peak is None) is (not known)
    if shown.peak is not None:
        assert shown.peak.demand == 2 * max(known)[0]


# What a reading tells of the half-hours that the ledger does not know yet.


def counted(**known: str) -> Mapping[datetime, Decimal]:
    """Return counters by the time of the first of May, such as `h0130`."""
    return {at(1, int(name[1:3]), int(name[3:])): d(counter) for name, counter in known.items()}


def since_counter(counter: Decimal | None, known: Mapping[datetime, Decimal], now: datetime) -> HalfHours:
    return flowed_since(counter, known.get, now)


def test_what_flowed_since_the_half_hour_began() -> None:
    assert since_counter(d("101.5"), counted(h0100="101", h0030="99"), at(1, 1, 10)) == {at(1, 1): d("0.5")}
    assert since_counter(d("101"), counted(h0100="101"), at(1, 1)) == {at(1, 1): 0}


def test_what_flowed_in_several_half_hours_is_spread_evenly() -> None:
    found = since_counter(d("103"), counted(h0000="100"), at(1, 1, 15))
    assert found == {at(1, 0): d("1.2"), at(1, 0, 30): d("1.2"), at(1, 1): d("0.6")}
    found = since_counter(d("100.1"), counted(h0000="100"), at(1, 1, 10))
    # Thousandths, and the rest in the half-hour that runs.
    assert found == {at(1, 0): d("0.043"), at(1, 0, 30): d("0.043"), at(1, 1): d("0.014")}


def test_a_counter_is_looked_for_three_half_hours_back() -> None:
    assert len(since_counter(Decimal(9), counted(h0000="5"), at(1, 1, 59))) == 4
    assert since_counter(Decimal(9), counted(h0000="5"), at(1, 2)) == {}
    assert since_counter(Decimal(9), {}, at(1, 2)) == {}


def test_no_counter_says_nothing() -> None:
    assert since_counter(None, counted(h0100="5"), at(1, 1, 10)) == {}


def test_a_counter_below_the_last_one_says_nothing() -> None:
    assert since_counter(Decimal(4), counted(h0100="5", h0030="1"), at(1, 1, 10)) == {}


@given(
    back=st.integers(0, 3),
    seconds=st.integers(0, 1799),
    flowed=st.decimals(0, 200, places=3),
)
def test_all_that_flowed_is_spread(back: int, seconds: int, flowed: Decimal) -> None:
    now = at(1, 3) + timedelta(seconds=seconds)
    first = at(1, 3) - back * HALF_HOUR
    found = since_counter(7 + flowed, {first: Decimal(7)}, now)
    assert sorted(found) == [first + number * HALF_HOUR for number in range(back + 1)]
    spread = [energy for energy in found.values() if energy is not None]
    assert sum(spread) == flowed
    if now > first:
        even = flowed * 1800 / Decimal((now - first).total_seconds())
        assert all(abs(energy - even) <= d("0.0005") for start, energy in found.items() if start != at(1, 3) and energy)
        assert spread[-1] >= d("-0.002")
