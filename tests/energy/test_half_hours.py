"""What the ledger knows, beside a plain dictionary."""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal

from hypothesis import given, strategies as st
import pytest

from custom_components.broute.energy.half_hours import PART, KnownEnergies, Slots, parts_of_month, span_of

HALF_HOUR = 1800
BEGIN = 20_000 * PART
"""Where a part begins."""

places = st.integers(-3, 3).map(lambda number: BEGIN + number * HALF_HOUR)
energies = st.dictionaries(places, st.integers(0, 2**40))


def at(start: int) -> datetime:
    return datetime.fromtimestamp(start, UTC)


def test_millionths_of_a_kwh_by_the_start_of_a_half_hour() -> None:
    known = KnownEnergies({BEGIN: 1_250_000, BEGIN + HALF_HOUR: 0})
    assert known[at(BEGIN)] == known.get(at(BEGIN)) == Decimal("1.25")
    assert known.get(at(BEGIN + HALF_HOUR), Decimal(7)) == 0
    assert known.get(at(BEGIN - HALF_HOUR)) is None
    assert known.get(at(BEGIN - HALF_HOUR), Decimal(7)) == 7
    with pytest.raises(KeyError):
        known[at(BEGIN - HALF_HOUR)]
    assert at(BEGIN) in known
    assert at(BEGIN - HALF_HOUR) not in known
    assert BEGIN not in known, "a number is no time"
    assert list(known) == [at(BEGIN), at(BEGIN + HALF_HOUR)]
    assert len(known) == 2


def test_any_time_zone_names_the_same_half_hour() -> None:
    known = KnownEnergies({BEGIN: 1})
    assert known[at(BEGIN).astimezone()] == Decimal("0.000001")


@given(takes=st.lists(st.tuples(places, st.integers(0, 5), energies), max_size=5))
def test_slots_are_a_dictionary_in_parts(takes: list[tuple[int, int, Mapping[int, int]]]) -> None:
    slots, wanted = Slots(), dict[int, int]()
    for begin, number, found in takes:
        within = range(begin, begin + number * HALF_HOUR, HALF_HOUR)
        before = dict(wanted)
        for start in within:
            wanted.pop(start, None)
        wanted |= {start: energy for start, energy in found.items() if start in within}
        assert slots.take(begin, begin + number * HALF_HOUR, found) is (wanted != before)
        assert dict(slots) == wanted
        assert sorted(slots) == sorted(wanted)
        assert len(slots) == len(wanted)
        for start in range(BEGIN - 4 * HALF_HOUR, BEGIN + 9 * HALF_HOUR, HALF_HOUR):
            assert (start in slots) is (start in wanted)
            assert slots.get(start) == wanted.get(start)
    text: object = "0"
    assert text not in slots
    with pytest.raises(KeyError):
        slots[BEGIN - 9 * HALF_HOUR]


def test_parts_are_in_the_order_of_time() -> None:
    slots = Slots()
    days = range(BEGIN, BEGIN + 3 * PART, 86_400)
    for start in days:
        slots.take(start, start + HALF_HOUR, {start: 1})
    assert list(slots) == list(days)


def test_from_the_first_half_hour_to_the_end_of_the_last_one() -> None:
    assert span_of({}) is None
    assert span_of({BEGIN: 0}) == (at(BEGIN), at(BEGIN + HALF_HOUR))
    assert span_of({BEGIN + 9 * HALF_HOUR: 1, BEGIN: 0}) == (at(BEGIN), at(BEGIN + 10 * HALF_HOUR))


def test_a_month_is_taken_with_the_hour_before_it() -> None:
    assert parts_of_month(BEGIN, 2) == [
        (BEGIN - 3600, BEGIN),
        (BEGIN, BEGIN + 86_400),
        (BEGIN + 86_400, BEGIN + 2 * 86_400),
    ]
