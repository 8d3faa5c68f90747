"""What the meter tells, in the ledger."""

from datetime import timedelta
from decimal import Decimal

from hypothesis import example, given, strategies as st
import pytest

from custom_components.broute.aiobroute import JST, Day, Direction, Reading
from custom_components.broute.energy.details import Energy
from custom_components.broute.energy.intake import Intake
from custom_components.broute.energy.ledger import (
    ENERGY_IN,
    ENERGY_OUT,
    HALF_HOUR,
    HALF_HOUR_SECONDS,
    Ledger,
    Source,
    half_hours,
)

from .ledgers import BEGIN, TENTH, A, B, moment

HALF = moment(BEGIN) + 20 * HALF_HOUR
DAY = HALF.astimezone(JST).date()


@pytest.fixture
def intake() -> Intake:
    ledger = Ledger()
    ledger.begin(A)
    return Intake(ledger)


def read(energy_in: str | None, energy_out: str | None = None) -> Reading:
    taken, fed = (None if each is None else Decimal(each) for each in (energy_in, energy_out))
    return Reading(power=None, current_r=None, current_t=None, energy_in=taken, energy_out=fed, rssi=None)


def sources(intake: Intake, key: str = ENERGY_IN) -> dict[int, Source]:
    """Return who told the counters that are known, by half-hours since the beginning."""
    found = {}
    for number in range(4 * 48):
        at = BEGIN + number * HALF_HOUR_SECONDS
        if intake.ledger.energy(key, at) is not None:
            month = intake.ledger.months[A, f"{moment(at).astimezone(JST):%Y-%m}"]
            found[number] = Source(month.counts[key].sources[(at - month.begin) // HALF_HOUR_SECONDS])
    return found


@example(before=600, after=0)
@example(before=601, after=0)
@given(before=st.integers(-1000, 1700), after=st.integers(0, 1799))
def test_the_last_reading_within_ten_minutes_before_a_half_hour_stands_for_it(before: int, after: int) -> None:
    ledger = Ledger()
    ledger.begin(A)
    intake = Intake(ledger)
    intake.take_reading(read("10.0", "3.0"), TENTH, HALF - timedelta(seconds=before))
    intake.take_reading(read("11.0", "4.0"), TENTH, HALF + timedelta(seconds=max(after, -before)))
    is_known = 0 < before <= 600
    assert sources(intake) == sources(intake, ENERGY_OUT) == ({20: Source.POLL} if is_known else {})
    assert ledger.energy(ENERGY_IN, int(HALF.timestamp())) == (10 if is_known else None)
    assert ledger.energy(ENERGY_OUT, int(HALF.timestamp())) == (3 if is_known else None)


def test_a_reading_is_what_was_last_heard_of_the_meter(intake: Intake) -> None:
    intake.take_reading(read("10.0"), TENTH, HALF)
    intake.take_reading(read("10.5", "2.0"), TENTH, HALF + timedelta(minutes=1))
    tenure = intake.ledger.tenures[-1]
    assert tenure.first is not None
    assert tenure.last is not None
    assert (tenure.first.at, tenure.first.counts) == (HALF.timestamp(), {ENERGY_IN: 100})
    assert (tenure.last.at, tenure.last.counts) == (HALF.timestamp() + 60, {ENERGY_IN: 105, ENERGY_OUT: 20})


def test_a_reading_without_counters_is_none(intake: Intake) -> None:
    intake.take_reading(read("10.0"), TENTH, HALF - timedelta(minutes=2))
    intake.take_reading(read(None), TENTH, HALF - timedelta(minutes=1))
    intake.take_reading(read("11.0"), TENTH, HALF)
    # The reading before the half-hour had none, and the one before that was not the last.
    assert sources(intake) == {}
    last = intake.ledger.tenures[-1].last
    assert last is not None
    assert last.counts == {ENERGY_IN: 110}


@pytest.mark.parametrize("key", [ENERGY_IN, ENERGY_OUT])
def test_what_is_announced(intake: Intake, key: str) -> None:
    intake.take_announced(key, None, TENTH, HALF)
    intake.take_announced(key, Energy(HALF, None), TENTH, HALF)
    assert sources(intake, key) == {}
    intake.take_announced(key, Energy(HALF, Decimal("10.2")), TENTH, HALF + timedelta(minutes=3))
    assert sources(intake, key) == {20: Source.PUSH}
    assert intake.ledger.energy(key, int(HALF.timestamp())) == Decimal("10.2")
    # One that is old by now may be of any time.
    intake.take_announced(key, Energy(HALF + HALF_HOUR, Decimal("10.4")), TENTH, HALF + timedelta(minutes=76))
    assert sources(intake, key) == {20: Source.PUSH}


def test_what_is_announced_of_before_the_meter_was_there_is_another_ones(intake: Intake) -> None:
    ledger = intake.ledger
    intake.take_reading(read("10.0"), TENTH, HALF)
    ledger.begin(B)
    since = ledger.tenures[-1].since
    assert since is not None
    assert since >= HALF.timestamp()
    for number in (-1, 0, 1):
        start = moment(since) + number * HALF_HOUR
        intake.take_announced(ENERGY_IN, Energy(start, Decimal(5)), TENTH, start)
    known = [number for number in (-1, 0, 1) if ledger.energy(ENERGY_IN, since + number * HALF_HOUR_SECONDS)]
    assert known == [1]


@given(late=st.integers(0, 47), known=st.sets(st.integers(0, 47)))
def test_a_day_of_the_meters_memory(late: int, known: set[int]) -> None:
    ledger = Ledger()
    ledger.begin(A)
    intake, starts = Intake(ledger), [moment(at).astimezone(JST) for at in half_hours(DAY)]
    counters = {start: Decimal(number) if number in known else None for number, start in enumerate(starts)}
    answer = Day(date=DAY, energies={Direction.IN: counters, Direction.OUT: {starts[0]: Decimal(7)}}, failures={})
    intake.take_day(answer, TENTH, starts[late], overrule=False)
    # What is ahead by more than some minutes was not counted yet.
    assert sources(intake) == {number: Source.HISTORY for number in sorted(known) if number <= late}
    # A younger half-hour may get a value yet.
    answered = [number for number in range(late - 4) if number not in known]
    assert ledger.nones(ENERGY_IN, DAY) == len(answered)
    assert set(ledger.holes(ENERGY_IN, DAY)) == {
        int(starts[number].timestamp())
        for number in range(48)
        if number not in answered and (number not in known or number > late)
    }
    assert sources(intake, ENERGY_OUT) == {0: Source.HISTORY}


def test_the_memory_is_overruled_by_itself_only_if_that_is_asked_for(intake: Intake) -> None:
    start = HALF.astimezone(JST)
    for energy, is_overruled, seen in ((5, False, 5), (6, False, 5), (7, True, 7)):
        answer = Day(date=DAY, energies={Direction.IN: {start: Decimal(energy)}}, failures={})
        intake.take_day(answer, TENTH, HALF + timedelta(days=1), overrule=is_overruled)
        assert intake.ledger.energy(ENERGY_IN, int(HALF.timestamp())) == seen
