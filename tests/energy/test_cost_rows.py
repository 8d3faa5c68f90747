"""Rows of costs, put one behind the other and held against a real recorder of which rows were changed."""

from array import array
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from homeassistant.components.recorder.statistics import get_last_short_term_statistics
from homeassistant.helpers.recorder import get_instance
from homeassistant.util import dt as dt_util
from hypothesis import given, strategies as st
import pytest
from sqlalchemy import event

from custom_components.broute.energy.bill import Usage, periods
from custom_components.broute.energy.cost_rows import (
    CostRows,
    Piece,
    Wanted,
    has_demand_charge,
    known_part,
    piece_of_costs,
    piece_of_returns,
)
from custom_components.broute.energy.recorder import RecorderUnavailableError
from custom_components.broute.energy.statistics import CHUNK, HOUR
from custom_components.broute.energy.tariff import Contract, DemandCharge, MonthlyCharge, Plan, midnight, simple

from ..recorder import bars, full_disk

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant

STATISTIC = "sensor.a_cost"
BEGIN = 1_750_000_000 // CHUNK * CHUNK
YEN = 1_000_000


def piece(*yen: int, begin: int = BEGIN) -> Piece:
    """Return hours that cost so much each."""
    sums = [sum(yen[: number + 1]) * YEN for number in range(len(yen))]
    return Piece(array("q", (begin + number * HOUR for number in range(len(yen)))), array("q", sums), sum(yen) * YEN)


@given(
    st.lists(st.lists(st.integers(-5, 100), max_size=300), max_size=5),
    st.integers(0, 1500),
    st.integers(0, CHUNK // HOUR),
    st.sampled_from([0, HOUR - 1]),
)
def test_bills_go_on_where_the_one_before_ended(bills: list[list[int]], hours: int, place: int, seconds: int) -> None:
    first = begin = BEGIN + place * HOUR
    pieces = []
    for yen in bills:
        pieces.append(piece(*yen, begin=begin))
        begin += len(yen) * HOUR
    # What the recorder has not compiled yet has to wait.
    wanted = Wanted.of(pieces, first + hours * HOUR + seconds)
    whole = [yen for bill in bills for yen in bill]
    assert wanted.total == sum(whole) * YEN
    assert wanted.is_whole is (hours >= len(whole))
    every = whole[:hours]
    assert wanted.end == (first + (len(every) - 1) * HOUR if every else None)
    sums = [total for at in sorted(wanted.chunks) for total in wanted.chunks[at].sums]
    assert sums == [sum(every[: number + 1]) * YEN for number in range(len(every))]
    assert sum(each.count for each in wanted.summaries.values()) == len(every)
    for start, each in wanted.summaries.items():
        rows = zip(wanted.chunks[start].starts, wanted.chunks[start].sums, strict=True)
        assert each.weighted == sum((at - start) // HOUR * total for at, total in rows)


def test_what_is_not_known_bears_its_share_only() -> None:
    fixed = MonthlyCharge(Decimal(1440))
    plan = Plan(valid_from=date(2026, 4, 1), energy=simple(Decimal(30)), basic=fixed, levies={})
    contract = Contract((plan,))
    (period,) = periods(contract, date(2026, 4, 1), date(2026, 4, 2))
    begin = period.span.start_time
    half_hour = timedelta(minutes=30)
    usage = Usage(taken={begin: Decimal(1), begin + half_hour: Decimal(2), begin + 2 * half_hour: Decimal(3)})
    found = piece_of_costs(contract, usage, period, (begin, begin + 4 * half_hour), is_spread=True)
    assert list(found.starts) == [int(begin.timestamp()), int(begin.timestamp()) + HOUR]
    assert list(found.sums) == [92 * YEN, (92 + 90 + 2) * YEN]
    bare = piece_of_costs(contract, usage, period, (begin, begin + 4 * half_hour), is_spread=False)
    assert list(bare.sums) == [90 * YEN, 180 * YEN]
    nothing = piece_of_returns(contract, usage, period, (begin, begin + half_hour), is_spread=True)
    assert (len(nothing.starts), len(nothing.sums), nothing.total) == (0, 0, 0)


def test_one_plan_of_several_is_enough() -> None:
    plan = Plan(valid_from=date(2026, 4, 1), energy=simple(Decimal(30)), basic=MonthlyCharge(Decimal(1440)))
    charged = Plan(valid_from=date(2026, 5, 1), energy=plan.energy, basic=DemandCharge(Decimal(300)))
    assert not has_demand_charge(Contract((plan,)))
    assert has_demand_charge(Contract((plan, charged)))
    selling = replace(plan, valid_from=date(2026, 4, 2), feed_in=simple(Decimal(8)))
    contract = Contract((plan, selling))
    (period,) = periods(contract, date(2026, 4, 2), date(2026, 4, 3))
    begin = midnight(date(2026, 4, 2))
    usage = Usage(taken={}, fed={begin: Decimal(1), begin + timedelta(minutes=30): Decimal(2)})
    known = begin, begin + timedelta(hours=1)
    assert piece_of_returns(contract, usage, period, known, is_spread=True).total == 24 * YEN


@given(before=st.integers(-96, 96), after=st.integers(-96, 96))
def test_a_bill_is_what_is_known_of_its_time(before: int, after: int) -> None:
    half_hour = timedelta(minutes=30)
    fixed, feed_in = MonthlyCharge(Decimal(1440)), simple(Decimal(8))
    plan = Plan(valid_from=date(2026, 3, 1), energy=simple(Decimal(30)), basic=fixed, feed_in=feed_in, levies={})
    contract = Contract((plan,))
    (period,) = periods(contract, date(2026, 4, 1), date(2026, 4, 2))
    known = period.span.start_time + before * half_hour, period.span.end_time + after * half_hour
    count = int((known[1] - known[0]) / half_hour)
    flowed = {known[0] + number * half_hour: Decimal(1) for number in range(count)}
    usage = Usage(taken=flowed, fed=flowed)
    inside = [at for at in flowed if period.span.start_time <= at < period.span.end_time]
    assert known_part(period, known) == (inside[0], inside[-1] + half_hour)
    hours = [int(at.timestamp()) - HOUR // 2 for at in inside if at.minute]
    for derived, yen in ((piece_of_costs, 30), (piece_of_returns, 8)):
        found = derived(contract, usage, period, known, is_spread=False)
        assert list(found.starts) == hours
        assert found.total == yen * len(inside) * YEN


async def shown(hass: HomeAssistant) -> list[Decimal]:
    found = await bars(hass, STATISTIC, datetime.fromtimestamp(BEGIN - HOUR, UTC))
    return [found[at] for at in sorted(found)]


def rows_read(hass: HomeAssistant) -> list[str]:
    """Return a list to which each look at rows one by one adds itself."""
    read: list[str] = []

    def executed(*execution: Any) -> None:
        read.extend([execution[2]] if str(execution[2]).startswith("SELECT statistics.start_ts") else [])

    event.listen(get_instance(hass).engine, "before_cursor_execute", executed)
    return read


@pytest.mark.usefixtures("recorder_mock")
async def test_only_what_differs_is_written(hass: HomeAssistant) -> None:
    rows = CostRows(hass, STATISTIC, "JPY")
    read = rows_read(hass)
    await rows.async_reconcile([piece(*range(300))])
    assert rows.written == 300
    assert read
    # What is right is not looked at row by row, also after a restart.
    read.clear()
    again = CostRows(hass, STATISTIC, "JPY")
    for each in (rows, again):
        await each.async_reconcile([piece(*range(300))])
    assert (rows.written, again.written) == (300, 0)
    assert not read
    assert [round(bar) for bar in await shown(hass)] == list(range(300))
    # One yen more in the hour 250: that row and those after it.
    changed = [*range(250), 251, *range(251, 300)]
    await rows.async_reconcile([piece(*changed)])
    assert rows.written == 350
    assert [round(bar) for bar in await shown(hass)] == changed


@pytest.mark.usefixtures("recorder_mock")
async def test_the_recorder_goes_on_from_all_that_it_cost(hass: HomeAssistant) -> None:
    """Also a sensor that is new: its first row of five minutes would begin at zero."""
    await CostRows(hass, STATISTIC, "JPY").async_reconcile([piece(*range(10))])
    job = get_instance(hass).async_add_executor_job
    found = await job(get_last_short_term_statistics, hass, 1, STATISTIC, False, {"state", "sum"})
    (last,) = found[STATISTIC]
    assert (last["state"], last["sum"]) == (45, 45)


@pytest.mark.usefixtures("recorder_mock")
async def test_an_hour_that_the_recorder_has_not_compiled_has_to_wait(hass: HomeAssistant) -> None:
    hour = int(dt_util.utcnow().timestamp()) // HOUR * HOUR
    rows = CostRows(hass, STATISTIC, "JPY")
    ended = piece(*range(10), begin=hour - 10 * HOUR)
    assert await rows.async_reconcile([ended]) is True
    # The meter's clock is ahead: it has told what the hour's end will show.
    assert await rows.async_reconcile([piece(*range(11), begin=hour - 10 * HOUR)]) is False
    assert rows.written == 10


@pytest.mark.usefixtures("recorder_mock")
async def test_rows_that_nobody_wants_any_more_have_no_bar(hass: HomeAssistant) -> None:
    rows = CostRows(hass, STATISTIC, "JPY")
    await rows.async_reconcile([piece(*[7] * 300)])
    await rows.async_reconcile([piece(*[7] * 100)])
    assert rows.written == 500
    await rows.async_reconcile([piece(*[7] * 100)])
    # That they are right is known from then on.
    read = rows_read(hass)
    await rows.async_reconcile([piece(*[7] * 100)])
    assert rows.written == 500
    assert not read
    assert [round(bar) for bar in await shown(hass)] == [7] * 100 + [0] * 200


@pytest.mark.usefixtures("recorder_mock")
async def test_costs_that_the_recorder_does_not_keep(hass: HomeAssistant) -> None:
    rows = CostRows(hass, STATISTIC, "JPY")
    with full_disk(hass), pytest.raises(RecorderUnavailableError, match="does not keep"):
        await rows.async_reconcile([piece(*range(10))])
    assert await rows.async_reconcile([piece(*range(10))])
    assert [round(bar) for bar in await shown(hass)] == list(range(10))


@pytest.mark.usefixtures("recorder_mock")
async def test_what_binary_counting_makes_of_a_yen_is_no_difference(hass: HomeAssistant) -> None:
    rows, due = CostRows(hass, STATISTIC, "JPY"), piece(*range(10))
    await rows.async_reconcile([due])
    for millionths, written in ((100, 10), (101, 20)):
        more = Piece(due.starts, array("q", (total + millionths for total in due.sums)), due.total + millionths)
        await rows.async_reconcile([more])
        assert rows.written == written
