"""Measured demand: the published examples, and the running half-hour against a meter that counts in steps."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

from hypothesis import given, settings, strategies as st
import pytest

from custom_components.broute.energy.demand import Peak, RunningDemand, contract_demand, half_hour, peak

BEGIN = datetime(2026, 11, 25, 0, 0, tzinfo=UTC)
HALF_HOUR = timedelta(minutes=30)
STEP = Decimal("0.1")


def test_the_demand_of_a_half_hour_is_twice_its_kwh() -> None:
    energy = {BEGIN: Decimal("0.7"), BEGIN + 2 * HALF_HOUR: Decimal("1.2"), BEGIN + 3 * HALF_HOUR: Decimal("1.2")}
    found = peak({**energy, BEGIN + HALF_HOUR: None}, BEGIN, BEGIN + 4 * HALF_HOUR)
    assert found is not None
    assert (found.demand, found.start) == (Decimal("2.4"), BEGIN + 2 * HALF_HOUR)
    assert peak(energy, BEGIN + 4 * HALF_HOUR, BEGIN + 9 * HALF_HOUR) is None
    assert peak(energy, BEGIN, BEGIN + 2 * HALF_HOUR) == Peak(Decimal("1.4"), BEGIN), "the end is not among them"


def months(peaks: dict[str, str], *, until: str, since: str = "2016-05") -> list[Decimal | None]:
    """Return the peaks of all months from the first to the last one; 1 kW where nothing else is said."""
    year, month = int(since[:4]), int(since[5:])
    found: list[Decimal | None] = []
    while f"{year}-{month:02}" <= until:
        found.append(Decimal(peaks.get(f"{year}-{month:02}", "1")))
        year, month = (year, month + 1) if month < 12 else (year + 1, 1)
    return found


# tohoku-epco.co.jp/dprivate/menu/lowpressure.html: a contract from May 2016 on.
TOHOKU = {"2016-08": "5", "2017-01": "4", "2017-02": "3"}


@pytest.mark.parametrize(
    ("month", "of"), [("2017-01", "2016-08"), ("2017-07", "2016-08"), ("2017-08", "2017-01"), ("2018-01", "2017-02")]
)
def test_the_example_of_tohoku(month: str, of: str) -> None:
    assert contract_demand(months(TOHOKU, until=month)) == Decimal(TOHOKU[of])


# yonden.co.jp/business/price/determine.html: years A (2016) and B (2017).
YONDEN = {"2016-07": "9", "2016-08": "8", "2017-08": "8.5"}


@pytest.mark.parametrize(
    ("month", "of"), [("2017-06", "2016-07"), ("2017-07", "2016-08"), ("2017-08", "2017-08"), ("2017-09", "2017-08")]
)
def test_the_example_of_shikoku(month: str, of: str) -> None:
    assert contract_demand(months(YONDEN, until=month, since="2016-01")) == Decimal(YONDEN[of])


# kepco.jp/biz/yakkan/high/charge: the highest so far, then the highest of a year as older ones go.
KANSAI = {"2016-05": "100", "2016-06": "110", "2016-12": "105", "2017-09": "108"}


@pytest.mark.parametrize(
    ("month", "of"),
    [("2016-05", "100"), ("2016-06", "110"), ("2017-05", "110"), ("2017-06", "105"), ("2017-12", "108")],
)
def test_the_example_of_kansai(month: str, of: str) -> None:
    assert contract_demand(months(KANSAI, until=month)) == Decimal(of)


def test_periods_without_a_known_half_hour_do_not_count() -> None:
    assert contract_demand([]) is None
    assert contract_demand([None, None]) is None
    assert contract_demand([Decimal(9), *[None] * 11]) == 9
    assert contract_demand([Decimal(9), *[None] * 11, Decimal(3)]) == 3


def test_the_beginning_of_a_half_hour() -> None:
    assert half_hour(BEGIN + timedelta(minutes=29, seconds=59)) == BEGIN
    assert half_hour(BEGIN + HALF_HOUR) == BEGIN + HALF_HOUR


def test_a_steady_load_from_the_beginning_on() -> None:
    running = RunningDemand.first(BEGIN, Decimal(100), Decimal(4000), base=Decimal(100))
    assert running.demand(STEP) == 4
    running = running.following(BEGIN + timedelta(minutes=15), Decimal(101), Decimal(4000))
    assert running.energy(STEP) == 1
    assert running.demand(STEP) == 4
    # Switched off for the second half.
    running = running.following(BEGIN + timedelta(minutes=15, seconds=1), Decimal(101), Decimal(0))
    demand = running.demand(STEP)
    assert demand is not None
    assert abs(demand - 2) < Decimal("0.01")


def test_nobody_saw_the_beginning() -> None:
    running = RunningDemand.first(BEGIN + timedelta(minutes=10), Decimal(100), Decimal(4000))
    assert running.demand(STEP) is None
    running = running.following(BEGIN + timedelta(minutes=29), Decimal("101.2"), Decimal(4000))
    assert running.demand(STEP) is None
    running = running.following(BEGIN + timedelta(minutes=31), Decimal("101.4"), Decimal(4000))
    assert running.demand(STEP) == 4


def test_after_a_long_silence_over_the_turn_nobody_knows_what_flowed_before_it() -> None:
    running = RunningDemand.first(BEGIN, Decimal(100), Decimal(4000), base=Decimal(100))
    running = running.following(BEGIN + timedelta(minutes=31), Decimal(102), Decimal(4000))
    assert running.demand(STEP) is None


def test_a_silence_of_five_minutes_is_no_long_one() -> None:
    running = RunningDemand.first(BEGIN + timedelta(minutes=28), Decimal(100), Decimal(4000))
    short = running.following(BEGIN + timedelta(minutes=33), Decimal("100.4"), Decimal(4000))
    assert short.demand(STEP) == 4
    assert running.following(BEGIN + timedelta(minutes=33, seconds=1), Decimal("100.4"), Decimal(4000)).base is None


def test_a_counter_that_begins_again_is_no_energy() -> None:
    running = RunningDemand.first(BEGIN, Decimal(100), Decimal(4000), base=Decimal(100))
    assert running.following(BEGIN + timedelta(minutes=1), Decimal(0), Decimal(4000)).demand(STEP) is None
    assert RunningDemand.first(BEGIN, Decimal(1), Decimal(4000), base=Decimal(100)).demand(STEP) is None


def test_an_older_reading_changes_nothing() -> None:
    running = RunningDemand.first(BEGIN, Decimal(100), Decimal(4000), base=Decimal(100))
    assert running.following(BEGIN, Decimal(101), Decimal(1)) is running


def test_what_is_fed_in_is_no_demand() -> None:
    running = RunningDemand.first(BEGIN, Decimal(100), Decimal(-3000), base=Decimal(100))
    running = running.following(BEGIN + timedelta(minutes=10), Decimal(100), Decimal(-3000))
    assert running.demand(STEP) == 0


@settings(max_examples=200)
@given(
    fraction=st.integers(0, 99),
    load=st.lists(st.integers(0, 9000), min_size=90, max_size=90),
    start=st.integers(0, 59),
)
def test_it_is_the_true_energy_at_each_moment(fraction: int, load: list[int], start: int) -> None:
    at = BEGIN + timedelta(seconds=start)
    true = 1000 + Decimal(fraction) / 1000
    running = RunningDemand.first(at, true // STEP * STEP, Decimal(load[0]))
    begun: Decimal | None = None
    for before, power in pairwise(load):
        following = at + timedelta(minutes=1)
        mean = Decimal(before + power) / 2 / 60 / 1000
        if half_hour(following) > at:
            part = Decimal((half_hour(following) - at) // timedelta(seconds=1)) / 60
            begun = true + mean * part
        true += mean
        at = following
        running = running.following(at, true // STEP * STEP, Decimal(power))
        energy = running.energy(STEP)
        assert (energy is None) == (begun is None)
        if energy is not None and begun is not None:
            # The power is as it is read, and the counter's bounds leave the truth alone.
            assert abs(energy - (true - begun)) < Decimal("0.000001")


def test_a_coarse_counter_bounds_a_power_that_was_measured_at_bad_moments() -> None:
    # The power is 6 kW at each poll, and nothing in between: the counter hardly moves.
    running = RunningDemand.first(BEGIN, Decimal(100), Decimal(6000), base=Decimal(100))
    for minute in range(1, 30):
        running = running.following(BEGIN + timedelta(minutes=minute), Decimal(100), Decimal(6000))
    assert running.energy(STEP) == STEP
    # And the other way round: the counter moves, and no poll sees why.
    running = RunningDemand.first(BEGIN, Decimal(100), Decimal(0), base=Decimal(100))
    for minute in range(1, 30):
        running = running.following(BEGIN + timedelta(minutes=minute), 100 + minute * STEP, Decimal(0))
    assert running.energy(STEP) == Decimal("2.8")
