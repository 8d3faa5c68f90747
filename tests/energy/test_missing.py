"""What is missing in a ledger, and when it is asked for."""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

from hypothesis import given, strategies as st

from custom_components.broute.aiobroute import JST, Counters
from custom_components.broute.energy.ledger import (
    ENERGY_IN,
    ENERGY_OUT,
    HALF_HOUR,
    HALF_HOUR_SECONDS,
    Ledger,
    half_hours,
)
from custom_components.broute.energy.missing import (
    Pauses,
    days_between,
    holes,
    hours_known,
    newest,
    newest_days,
    progress,
)

from .ledgers import BEGIN, TENTH, A, fill, ledger_of, moment, series

DAY = moment(BEGIN).astimezone(JST).date()
OTHER = DAY + timedelta(days=1)
BOTH = (ENERGY_IN, ENERGY_OUT)
A_WEEK_LATER = moment(BEGIN) + timedelta(days=7, hours=12)


def test_a_day_that_is_not_answered_is_left_alone_for_longer_each_time_up_to_a_day() -> None:
    pauses, at, lengths = Pauses(), 1000.0, []
    for _ in range(11):
        assert pauses.is_over(DAY, at)
        pauses.begin(DAY, at)
        left = pauses.left(at)
        assert left is not None
        lengths.append(left)
        assert not pauses.is_over(DAY, at + left - 1)
        at += left
    assert lengths == [300 * 2**number for number in range(9)] + [86_400] * 2
    pauses.end(DAY)
    pauses.end(OTHER)
    assert pauses.is_over(DAY, at)
    assert pauses.left(at) is None
    pauses.begin(DAY, at)
    assert pauses.left(at) == 300


def test_each_day_has_its_own_pause() -> None:
    pauses = Pauses()
    assert len(pauses) == 0
    pauses.begin(DAY, 0)
    pauses.begin(OTHER, 100)
    pauses.begin(OTHER, 100)
    assert len(pauses) == 2
    assert pauses.left(200) == 100
    assert (pauses.is_over(DAY, 300), pauses.is_over(OTHER, 699), pauses.is_over(OTHER, 700)) == (True, False, True)


@given(today=st.dates(date(2026, 1, 1), date(2026, 12, 31)), hour=st.times(), number=st.integers(0, 120))
def test_days(today: date, hour: time, number: int) -> None:
    found = newest_days(datetime.combine(today, hour, JST).astimezone(UTC), number)
    assert len(found) == number
    if found:
        assert found[0] == today
        assert found[::-1] == days_between(found[-1], found[0])
        assert found == sorted(set(found), reverse=True)
    assert days_between(today, today - timedelta(days=1)) == []


def test_the_meter_remembers_today_and_99_days() -> None:
    found = newest_days(moment(BEGIN))
    assert (found[0], found[-1]) == (DAY, DAY - timedelta(days=99))


@given(known=st.sets(st.integers(0, 47)), other=st.sets(st.integers(0, 47)), now=st.integers(0, 47))
def test_holes_are_what_is_over_and_not_known_in_any_direction(known: set[int], other: set[int], now: int) -> None:
    starts = list(half_hours(DAY))
    ledger = ledger_of({starts[number]: 10 for number in known})
    fill(ledger, {starts[number]: 10 for number in other}, key=ENERGY_OUT)
    at = moment(starts[now])
    assert holes(ledger, BOTH, DAY, at) == [starts[n] for n in range(now + 1) if n not in known & other]
    assert holes(ledger, [ENERGY_IN], DAY, at) == [starts[n] for n in range(now + 1) if n not in known]
    assert holes(ledger, [], DAY, at) == []


@given(known=st.sets(st.integers(0, 96)), other=st.sets(st.integers(0, 96)), elapsed=st.integers(0, 100))
def test_an_hour_is_known_if_both_of_its_ends_are(known: set[int], other: set[int], elapsed: int) -> None:
    ledger = ledger_of({BEGIN + number * HALF_HOUR_SECONDS: 10 for number in known})
    fill(ledger, {BEGIN + number * HALF_HOUR_SECONDS: 10 for number in other}, key=ENERGY_OUT)
    over = range(0, min(elapsed - 1, 95), 2)
    found = hours_known(ledger, BOTH, DAY, OTHER, moment(BEGIN + elapsed * HALF_HOUR_SECONDS))
    assert found == (sum({hour, hour + 2} <= each for each in (known, other) for hour in over), 2 * len(over))


def test_how_far_the_memory_has_been_read() -> None:
    ledger = Ledger()
    ledger.begin(A)
    nothing = progress(ledger, BOTH, set(), A_WEEK_LATER, None)
    assert (nothing.days, nothing.days_read, nothing.percent, nothing.without_value) == (100, 0, 0, 0)
    starts = list(half_hours(DAY))
    for key in BOTH:
        fill(ledger, series(starts[0], 10, [1] * 46), key=key)
        # Of the last one the memory has no value, and of one that is older than all there is.
        ledger.put_none(key, moment(starts[-1]), TENTH)
        for number in (1, 2):
            ledger.put_none(key, moment(starts[0]) - number * HALF_HOUR, TENTH)
    assert progress(ledger, BOTH, set(), A_WEEK_LATER, None).days_read == 1
    found = progress(ledger, BOTH, {DAY, OTHER}, A_WEEK_LATER, "it is mute")
    assert (found.days_read, found.without_value, found.error) == (2, 2, "it is mute")
    assert progress(ledger, [ENERGY_IN], set(), A_WEEK_LATER, None).without_value == 1


def test_what_is_younger_than_two_hours_need_not_be_read() -> None:
    midnight = moment(next(half_hours(OTHER)))
    ledger = ledger_of({})
    for minutes, is_read in ((119, 1), (120, 0)):
        assert progress(ledger, [ENERGY_IN], set(), midnight + timedelta(minutes=minutes), None).days_read == is_read


def test_the_newest_half_hours() -> None:
    ledger = ledger_of(series(BEGIN, 10, [1] * 20))
    fill(ledger, {BEGIN + 18 * HALF_HOUR_SECONDS: 70, BEGIN + 21 * HALF_HOUR_SECONDS: 71}, key=ENERGY_OUT)
    now = moment(BEGIN) + 21 * HALF_HOUR + timedelta(minutes=29)
    begin = moment(BEGIN).astimezone(JST)
    assert newest(ledger, now) == [
        Counters(start=begin + 18 * HALF_HOUR, energy_in=Decimal("2.8"), energy_out=Decimal(7)),
        Counters(start=begin + 19 * HALF_HOUR, energy_in=Decimal("2.9"), energy_out=None),
        Counters(start=begin + 20 * HALF_HOUR, energy_in=Decimal(3), energy_out=None),
        Counters(start=begin + 21 * HALF_HOUR, energy_in=None, energy_out=Decimal("7.1")),
    ]
    assert newest(ledger, now + timedelta(days=1)) == []
    assert newest(ledger, now)[0].start.tzinfo is JST
