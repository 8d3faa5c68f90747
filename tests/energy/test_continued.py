"""What is taken of another sensor's hours, and how the rows of the ledger follow."""

from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise

from hypothesis import given, strategies as st
import pytest

from custom_components.broute.energy.continued import (
    Former,
    Preview,
    adopted,
    believable,
    continuing,
    own_hours,
    preview_of,
    undone,
)
from custom_components.broute.energy.ledger import (
    ENERGY_IN,
    ENERGY_OUT,
    HALF_HOUR_SECONDS,
    MICRO,
    UNKNOWN,
    Continued,
    Ledger,
)
from custom_components.broute.energy.statistics import (
    CHUNK,
    HOUR,
    Point,
    Row,
    Wanted,
    begin_of,
    chunk_of,
    differences,
    surplus,
)

from .ledgers import BEGIN, TENTH, derived, ledger_of, moment, rows_of, series

STEP = TENTH.step


def former(begin: int, energies: Sequence[int | None], total: int = 0) -> list[Former]:
    """Return rows with these energies, one an hour; `None` is a hole."""
    rows = []
    for number, energy in enumerate(energies):
        if energy is not None:
            total += energy
            rows.append(Former(begin + number * HOUR, total))
    return rows


def kwh(*energies: float | None) -> list[int | None]:
    return [None if energy is None else round(energy * MICRO) for energy in energies]


def believed(rows: Sequence[Former]) -> dict[int, float]:
    """Return hours since the beginning with their kWh."""
    return {(start - BEGIN) // HOUR: energy / MICRO for start, energy in believable(rows)}


def bars(rows: Mapping[int, Row]) -> dict[int, int]:
    """Return what the Energy dashboard shows: of the first row, its sum."""
    known = [Row(0, 0, 0), *(rows[start] for start in sorted(rows))]
    return {row.start: row.sum - before.sum for before, row in pairwise(known)}


def preview(theirs: Sequence[Former], first: int, *, own: Sequence[Row] = ()) -> Preview:
    found = continuing("sensor.former", theirs, own_hours(own), first, None)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("energies", "kept"),
    [
        pytest.param((1, 2, 3), {0: 1, 1: 2, 2: 3}, id="as they are"),
        pytest.param((1, None, None, 3), {0: 1, 3: 3}, id="a hole stays one"),
        pytest.param((1, 2, -2, 3), {0: 1, 1: 2, 3: 1}, id="a dip"),
        pytest.param((1, 1000, -999, 3), {0: 1, 2: 1, 3: 3}, id="a spike"),
        pytest.param((1, 900, -1, -898, 3), {0: 1, 3: 1, 4: 3}, id="a spike of two hours"),
        pytest.param((1, 900, -899), {0: 1, 2: 1}, id="a spike at the end"),
        pytest.param((1, 900, *[0] * 7, -899), {0: 1, 9: 1}, id="a spike of eight hours"),
        pytest.param((1, 900, *[0] * 8, -899, 1), {0: 1} | dict.fromkeys(range(2, 10), 0) | {11: 1}, id="no spike"),
        pytest.param((1, -5000, *[1] * 10), {0: 1} | dict.fromkeys(range(2, 12), 1), id="it begins anew below"),
        pytest.param((1, 5000, *[1] * 10), {0: 1} | dict.fromkeys(range(2, 12), 1), id="it begins anew above"),
        pytest.param((5000, *[1] * 10), dict.fromkeys(range(1, 11), 1), id="it does not begin at zero"),
        pytest.param((1, *[0] * 100, 300, 2), {0: 1} | dict.fromkeys(range(1, 101), 0) | {101: 300, 102: 2}, id="late"),
        pytest.param((1, *[None] * 100, 4000, 2), {0: 1, 101: 4000, 102: 2}, id="what flowed in a hole"),
        pytest.param((1, *[1200] * 30, 1), {0: 1, 31: 1}, id="a unit a thousand times too large"),
        pytest.param((), {}, id="nothing"),
    ],
)
def test_what_is_believed(energies: Sequence[float | None], kept: dict[int, float]) -> None:
    assert believed(former(BEGIN, kwh(*energies))) == kept


@given(
    st.lists(st.integers(0, 40 * MICRO) | st.none(), min_size=1, max_size=60),
    st.integers(0, 40 * MICRO),
    st.lists(st.integers(0, 40), min_size=2, max_size=20),
    st.sampled_from([0, 1]),
    st.integers(0, 5),
)
def test_sums_are_joined_without_a_step(
    energies: list[int | None],
    begun: int,
    rises: list[int],
    half: int,
    overlap: int,
) -> None:
    """Each hour of theirs before ours has its bar, each of ours too, and nothing is between them."""
    theirs = former(BEGIN, [begun, *energies])
    first = BEGIN + HOUR * max(1, len(energies) - overlap) + HALF_HOUR_SECONDS * half
    counts = series(first, 1_000_000 // 20, rises)
    ledger = ledger_of(counts)
    alone = bars(rows_of(derived(ledger)))
    found = preview(theirs, first)
    ledger.begin_with(ENERGY_IN, found.continued)
    shown = bars(rows_of(derived(ledger)))
    hour = first // HOUR * HOUR
    own = {start: bar for start, bar in alone.items() if start > hour or not half}
    known = {
        row.start: energy for row, energy in zip(theirs, [e for e in [begun, *energies] if e is not None], strict=True)
    }
    copied = {start: energy for start, energy in known.items() if start + HOUR <= first}
    expected = own | copied
    if half and hour in alone:
        expected[hour] = max(alone[hour], known.get(hour, 0))
    assert shown == expected
    assert found.energy == sum(copied.values())
    assert found.hours == sum(start < first for start in known)
    assert (found.begin, found.joint) == (BEGIN, first)
    assert found.end == min(max(start for start in known if start < first) + HOUR, first)
    assert found.left_out == 0
    assert preview_of(found.continued, first) == found


@given(st.integers(0, 3 * CHUNK // HOUR), st.integers(1, 2 * CHUNK // HOUR), st.integers(0, 500))
def test_over_any_number_of_chunks(gap: int, length: int, end: int) -> None:
    theirs = former(BEGIN, [MICRO] * length)
    first = BEGIN + (length + gap) * HOUR
    ledger = ledger_of(series(first, 0, [3] * (2 + end)))
    found = preview(theirs, first)
    ledger.begin_with(ENERGY_IN, found.continued)
    chunks = derived(ledger)
    shown = bars(rows_of(chunks))
    assert list(shown.values())[:length] == [MICRO] * length
    assert set(list(shown.values())[length:]) == {6 * STEP}
    assert all(after.begin - before.begin == CHUNK for before, after in pairwise(chunks))
    assert chunks[-1].after.first == Point(first, 0, 10**6 * STEP, STEP)


def test_hours_that_cannot_be_true_are_counted() -> None:
    energies = kwh(1, 2, 3, 900, -897, 4, -4000, 2)
    first = BEGIN + 20 * HOUR
    found = preview(former(BEGIN, energies), first)
    assert (found.hours, found.left_out, found.energy, found.begin) == (6, 2, 15 * MICRO, BEGIN)
    assert found.end == BEGIN + 8 * HOUR
    # What a sum begins with is no energy, and so nothing is left out.
    found = preview(former(BEGIN, energies, 10_000 * MICRO), first)
    assert (found.hours, found.left_out, found.energy, found.begin) == (5, 2, 14 * MICRO, BEGIN + HOUR)


def test_the_joint_follows_when_ours_begin_earlier() -> None:
    theirs = former(BEGIN, [MICRO] * 50)
    first = BEGIN + 40 * HOUR
    ledger = ledger_of(series(first, 500, [1] * 20))
    ledger.begin_with(ENERGY_IN, preview(theirs, first).continued)
    assert bars(rows_of(derived(ledger)))[first - HOUR] == MICRO
    earlier = series(first - 10 * HOUR, 480, [1] * 20)
    for at, count in earlier.items():
        month, slot = ledger._place(ledger.tenures[0].meter, at, TENTH)
        month.direction(ENERGY_IN).values[slot], month.direction(ENERGY_IN).sources[slot] = count, 3
        ledger._touch(month)
    shown = bars(rows_of(derived(ledger)))
    assert [shown[first - number * HOUR] for number in (11, 10, 1, 0)] == [MICRO, 2 * STEP, 2 * STEP, 2 * STEP]


def test_ours_that_begins_between_half_hours() -> None:
    first = BEGIN + 5 * HOUR + 450
    ledger = ledger_of(series(BEGIN + 6 * HOUR, 510, [1] * 4))
    ledger.hear(moment(first), {ENERGY_IN: 507}, TENTH)
    ledger.begin_with(ENERGY_IN, preview(former(BEGIN, [MICRO] * 9), first).continued)
    shown = bars(rows_of(derived(ledger)))
    assert shown == dict.fromkeys(range(BEGIN, BEGIN + 6 * HOUR, HOUR), MICRO) | {
        BEGIN + 6 * HOUR: 2 * STEP,
        BEGIN + 7 * HOUR: 2 * STEP,
    }


def test_own_hours_stay_and_theirs_come_before_them() -> None:
    own = [Row(BEGIN + (20 + number) * HOUR, (700 + number) * STEP, number * STEP) for number in range(10)]
    first = BEGIN + 30 * HOUR
    ledger = ledger_of(series(first, 712, [1] * 4))
    found = preview(former(BEGIN, [MICRO] * 25), first, own=own)
    assert (found.hours, found.joint) == (20, own[0].start)
    ledger.begin_with(ENERGY_IN, found.continued)
    rows = rows_of(derived(ledger))
    shown = bars(rows)
    assert list(shown.values()) == [MICRO] * 20 + [0] + [STEP] * 9 + [5 * STEP, 2 * STEP]
    assert [rows[row.start].state for row in own] == [row.state for row in own]
    ledger.begin_with(ENERGY_IN, undone(found.continued))
    assert [row for row in rows_of(derived(ledger)).values() if row.start < first] == own


def test_hours_that_ours_have_meanwhile_are_no_part_of_what_goes() -> None:
    found = preview(former(BEGIN, [MICRO] * 25), BEGIN + 30 * HOUR)
    assert (found.hours, found.energy, found.joint) == (25, 25 * MICRO, BEGIN + 30 * HOUR)
    # The meter has told more of its memory since then.
    earlier = preview_of(found.continued, BEGIN + 10 * HOUR)
    assert earlier is not None
    assert (earlier.hours, earlier.energy) == (10, 10 * MICRO)
    assert earlier.end == earlier.joint == BEGIN + 10 * HOUR


def test_nothing_from_before() -> None:
    assert continuing("sensor.former", former(BEGIN, [MICRO] * 3), [], BEGIN, None) is None
    assert continuing("sensor.former", [], [], BEGIN, None) is None
    assert preview_of(Continued.of(None, BEGIN, BEGIN + HOUR, []), BEGIN) is None


def test_what_was_copied_before_and_is_not_any_more_is_to_go() -> None:
    first = BEGIN + 40 * HOUR
    before = preview(former(BEGIN, [MICRO] * 40), first).continued
    found = continuing("sensor.other", former(BEGIN + 30 * HOUR, [MICRO] * 5), [], first, before)
    assert found is not None
    assert (found.continued.begin, found.continued.end) == (BEGIN, first)
    ledger = ledger_of(series(first, 712, [1] * 4))
    ledger.begin_with(ENERGY_IN, found.continued)
    chunks = derived(ledger)
    wanted = Wanted(chunks, 0, first + 2 * HOUR, found.continued)
    there = [Row(BEGIN - HOUR, 0, 0), *(Row(BEGIN + number * HOUR, number, number) for number in range(42))]
    gone = [
        start
        for chunk in chunks
        for start in surplus(wanted, chunk, [row for row in there if chunk.begin <= row.start < chunk.begin + CHUNK])
    ]
    kept = {BEGIN + number * HOUR for number in range(30, 35)}
    assert gone == [start for start in range(BEGIN, first, HOUR) if start not in kept]
    assert surplus(Wanted(chunks, 0, first), chunks[0], there) == []
    longer = continuing("sensor.longer", former(BEGIN - 9 * HOUR, [MICRO] * 44), [], first - HOUR, before)
    assert longer is not None
    assert (longer.continued.begin, longer.continued.end) == (BEGIN - 9 * HOUR, first)


def test_rows_of_before_that_nobody_knows_are_left_alone() -> None:
    first = BEGIN + 40 * HOUR
    continued = preview(former(BEGIN, [MICRO] * 20), BEGIN + 20 * HOUR).continued
    ledger = ledger_of(series(first, 712, [1] * 4))
    ledger.begin_with(ENERGY_IN, continued)
    chunks = derived(ledger)
    wanted = Wanted(chunks, 0, first + 2 * HOUR, continued)
    there = [Row(BEGIN + 25 * HOUR, 5, 5)]
    for chunk in chunks:
        assert there[0].start not in {row.start for row in differences(wanted, chunk, there, None)}
        assert surplus(wanted, chunk, there) == []


def test_rows_between_them_and_the_ledger_are_taken_in() -> None:
    continued = preview(former(BEGIN, [MICRO] * 20), BEGIN + 20 * HOUR).continued
    last = Row(BEGIN + 19 * HOUR, 0, 500)
    rows = [Row(BEGIN + 18 * HOUR, 0, 480), last, Row(BEGIN + 20 * HOUR, 7000, 520), Row(BEGIN + 23 * HOUR, 7050, 570)]
    more = adopted(continued, rows)
    assert more is not None
    assert more.own == [(rows[2].start, 20, 7000), (rows[3].start, 50, 7050)]
    assert (more.begin, more.end) == (BEGIN, BEGIN + 24 * HOUR)
    assert more.copied == continued.copied
    assert adopted(continued, [last]) is None
    alone = adopted(continued, rows[2:])
    assert alone is not None
    assert alone.own[0][1] == 0, "of what was before it, nobody knows"


def test_gaps_of_ours_right_after_theirs() -> None:
    """The recorder's own rows within a gap of the ledger are held against our counter, not against the other sensor."""
    first = BEGIN + 10 * HOUR
    counts = series(first, 1000, [0] * 2) | series(first + 5 * HOUR, 1010, [0] * 2)
    del counts[first + HOUR]
    ledger = ledger_of(counts)
    ledger.begin_with(ENERGY_IN, preview(former(BEGIN, [MICRO] * 10), first).continued)
    chunks = derived(ledger)
    (chunk,) = (chunk for chunk in chunks if chunk.begin == chunk_of(BEGIN))
    wanted = Wanted(chunks, 0, first + 6 * HOUR, ledger.continued[ENERGY_IN])
    there = [*chunk.rows[:10], Row(first, 1004 * STEP, 0)]
    written = differences(wanted, chunk, there, None)
    assert written[0] == Row(first, 1004 * STEP, 10 * MICRO + 4 * STEP)


def test_corrections_of_hours_that_were_copied_go_with_them() -> None:
    first = BEGIN + 10 * HOUR
    ledger = ledger_of(series(first, 1000, [1] * 4))
    continued = preview(former(BEGIN, [MICRO] * 10), first).continued
    ledger.begin_with(ENERGY_IN, continued)
    ledger.correct(ENERGY_IN, BEGIN + HOUR, 5)
    ledger.correct(ENERGY_IN, first, 7)
    assert list(bars(rows_of(derived(ledger))).values())[:3] == [MICRO, 5, MICRO]
    more = adopted(continued, [Row(first, 1, 1)])
    assert more is not None
    ledger.begin_with(ENERGY_IN, more)
    assert ledger.corrections[ENERGY_IN] == {BEGIN + HOUR: 5, first: 7}
    ledger.begin_with(ENERGY_IN, undone(continued))
    assert ledger.corrections[ENERGY_IN] == {first: 7}
    assert ledger.is_continued_changed


def test_where_rows_begin() -> None:
    first = Point(BEGIN, 5, None, 1)
    assert begin_of(None, None) is None
    assert begin_of(None, first) == BEGIN
    continued = Continued.of("sensor.former", BEGIN - HOUR, BEGIN, [(BEGIN - HOUR, 5, UNKNOWN)])
    assert begin_of(continued, first) == BEGIN - HOUR
    assert begin_of(continued, Point(BEGIN - 9 * HOUR, 5, None, 1)) == BEGIN - 9 * HOUR


def test_another_direction_is_not_concerned() -> None:
    first = BEGIN + 10 * HOUR
    ledger: Ledger = ledger_of(series(first, 1000, [1] * 4), key=ENERGY_OUT)
    ledger.begin_with(ENERGY_IN, preview(former(BEGIN, [MICRO] * 10), first).continued)
    assert min(rows_of(derived(ledger, key=ENERGY_OUT))) == first
    # Theirs are there, though ours have not begun.
    assert list(bars(rows_of(derived(ledger))).values()) == [MICRO] * 10


def test_the_sum_of_what_is_believed_is_theirs() -> None:
    energies = [3 * MICRO, 0, 2 * MICRO, 7]
    assert list(accumulate(energy for _, energy in believable(former(BEGIN, energies))))[-1] == sum(energies)
