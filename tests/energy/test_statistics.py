"""From the ledger to the recorder's rows: whatever the counters are, the bars are what the meter counted."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from random import Random

from hypothesis import example, given, settings, strategies as st
import pytest

from custom_components.broute.energy.ledger import (
    ENERGY_IN,
    ENERGY_OUT,
    HALF_HOUR_SECONDS,
    MICRO,
    Ledger,
    Scale,
    Source,
)
from custom_components.broute.energy.statistics import (
    CHUNK,
    FASTEST,
    HOUR,
    LOOK_BACK,
    NOTHING,
    PERIOD,
    SLACK,
    Carry,
    Chunk,
    Derivation,
    Point,
    Row,
    Summary,
    Wanted,
    chunk_of,
    corrections_of,
    differences,
    energies,
    offset_of,
    plausible,
    running,
    shift_of,
    summary_of,
)

from .ledgers import BEGIN, TENTH, A, B, C, derived, fill, ledger_of, moment, rows_of, series

HALF = HALF_HOUR_SECONDS
STEP = TENTH.step
NARROW = Scale(100_000, 10**4)
"""Begins again at zero after 1,000 kWh."""

rises = st.integers(0, 250)
"""What flows in a half-hour: up to 50 kW."""


@dataclass
class Truth:
    """What a place used, counted beside the ledger by the plainest means."""

    ledger: Ledger = field(default_factory=Ledger)
    sums: dict[int, int] = field(default_factory=dict)
    """At each time of which a counter is known."""
    states: dict[int, int] = field(default_factory=dict)
    total: int = 0
    at: int = BEGIN

    def live(self, meter: str, first: int, each: Sequence[int | None], scale: Scale = TENTH) -> None:
        """Let a meter count half-hours in a row; of a negative rise its amount flows, but its counter gets lost."""
        self.ledger.begin(meter)
        count, is_begun = first, False
        assert scale.span is not None
        for rise in each:
            amount = abs(rise or 0)
            is_known = rise is not None and rise >= 0
            if is_begun:
                count += amount
            if is_known:
                if is_begun:
                    self.total += self.pending + amount
                fill(self.ledger, {self.at: count % scale.span}, scale=scale)
                self.sums[self.at], self.states[self.at] = self.total * scale.step, count % scale.span * scale.step
                is_begun, self.pending = True, 0
            elif is_begun:
                self.pending += amount
            self.at += HALF

    pending: int = 0


def bars_of(found: Mapping[int, Row]) -> dict[int, int]:
    """Return the bar of each hour that follows another one."""
    ordered = [found[start] for start in sorted(found)]
    return {row.start: row.sum - before.sum for before, row in pairwise(ordered)}


@settings(max_examples=30)
@given(st.data())
def test_each_hour_whose_ends_are_known_is_the_meters(data: st.DataObject) -> None:
    chance = Random(data.draw(st.integers(0, 2**32)))  # a story, no secret
    scale = data.draw(st.sampled_from([TENTH, NARROW, Scale(10_000, 10**8), Scale(1_000_000, 10**5)]))
    assert scale.span is not None
    most = 25 * MICRO // scale.step
    truth = Truth(at=BEGIN - BEGIN % CHUNK + data.draw(st.integers(-60, 60)) * HALF)
    first = data.draw(st.sampled_from([0, 1, scale.span - 1, scale.span - most, scale.span // 2]))
    gaps = data.draw(st.sampled_from([0.0, 0.1, 0.5, 0.9]))
    length = data.draw(st.sampled_from([2, 5, 60, 600]))
    # No gap is longer than it takes to count round.
    each = [-chance.randint(0, 5) if chance.random() < gaps else chance.choice((0, most, 3)) for _ in range(length)]
    truth.live(A, first, [0, *each], scale)
    found = rows_of(derived(truth.ledger))
    begun = min(truth.sums)
    due = {at - HOUR for at in truth.sums if at % HOUR == 0 and at != begun}
    assert set(found) == due
    for start, row in found.items():
        assert row == Row(start, truth.states[start + HOUR], truth.sums[start + HOUR])


def test_a_gap_is_in_its_last_hour() -> None:
    counts = series(BEGIN, 10, [1] * 20)
    for slot in range(5, 9):
        del counts[BEGIN + slot * HALF]
    found = rows_of(derived(ledger_of(counts)))
    assert bars_of(found) == {
        BEGIN + HOUR: 2 * STEP,
        BEGIN + 4 * HOUR: 6 * STEP,
        **{BEGIN + hour * HOUR: 2 * STEP for hour in range(5, 10)},
    }


meters = st.lists(
    st.tuples(
        st.sampled_from([A, B, C]),
        st.sampled_from([0, 3, 2920, 43_210, 999_990]),  # Also used ones, and near the wrap.
        st.lists(st.integers(0, 200), min_size=1, max_size=6),
        st.integers(0, 3),  # Half-hours that go by while meters are exchanged.
        st.booleans(),  # Whether it is heard between two half-hours, when it comes and when it goes.
    ),
    min_size=1,
    max_size=5,
)


@given(story=meters, place=st.integers(-4, 4), has_past=st.booleans())
def test_no_difference_between_two_meters_is_formed(
    story: list[tuple[str, int, list[int], int, bool]], place: int, *, has_past: bool
) -> None:
    at = BEGIN - BEGIN % CHUNK + place * HALF
    ledger, total, before = Ledger(), 0, ""
    bounds = []
    for meter, first, each, pause, is_heard in story:
        if meter == before:
            continue
        before, is_known = meter, meter in {tenure.meter for tenure in ledger.tenures}
        ledger.begin(meter)
        since, low = ledger.tenures[-1].since, total
        if has_past and since is not None and not is_known:
            # A life of its own, in its memory: ends with the last half-hour at which the other one was here.
            past = series(since // HALF * HALF - 40 * HALF, (first - 4000) % 10**6, [100] * 40)
            fill(ledger, {time: count for time, count in past.items() if time <= since})
        count = first
        if is_heard:
            ledger.hear(moment(at + 60), {ENERGY_IN: count}, TENTH)
        at += HALF
        for number, rise in enumerate(each):
            # Nobody heard it before its first half-hour: then what it counted until then is not known.
            if is_heard or number:
                count += rise
                total += rise
            fill(ledger, {at: count % 10**6})
            at += HALF
        if is_heard:
            count += 1
            total += 1
            ledger.hear(moment(at - HALF + 600), {ENERGY_IN: count % 10**6}, TENTH)
        bounds.append((at, low, total))
        at += pause * HALF
    is_last_heard = story and ledger.tenures[-1].last is not None
    shown = derived(ledger, at + HOUR)[-1].after.total
    # What the present meter shows just now is not derived: the recorder does that.
    assert shown == (total - (1 if is_last_heard else 0)) * STEP
    found = rows_of(derived(ledger, at + HOUR))
    ordered = [found[start] for start in sorted(found)]
    assert all(row.sum - earlier.sum >= 0 for earlier, row in pairwise(ordered))
    for end, low, high in bounds:
        within = [row.sum for row in ordered if row.start + HOUR < end]
        assert all(value <= high * STEP for value in within)
        assert low <= high


@pytest.mark.parametrize("first", [0, 2_920, 43_210, 999_999])
@pytest.mark.parametrize("hours", [2, 30, 24 * 25])
def test_the_hour_that_has_two_meters_shows_both(first: int, hours: int) -> None:
    ledger = ledger_of(series(BEGIN, 100, [5] * 32))  # To 16:00, and polled at 16:10.
    ledger.hear(moment(BEGIN + 60), {ENERGY_IN: 100}, TENTH)
    ledger.hear(moment(BEGIN + 16 * HOUR + 600), {ENERGY_IN: 262}, TENTH)
    ledger.begin(B)
    # Its own life of twenty days; it is here from 16:20 on and confirmed after some hours.
    past = series(BEGIN - 20 * 24 * HOUR, (first - 9 * 992) % 10**6, [9] * 992)
    fill(ledger, {at: count for at, count in past.items() if at <= BEGIN + 16 * HOUR})
    fill(ledger, series(BEGIN + 16 * HOUR + HALF, first, [4] * 2 * hours))
    ledger.hear(moment(BEGIN + (16 + hours) * HOUR + 1234), {ENERGY_IN: (first + 8 * hours) % 10**6}, TENTH)
    found = rows_of(derived(ledger))
    bars = bars_of(found)
    assert found[BEGIN].sum == 10 * STEP
    assert {bars[BEGIN + hour * HOUR] for hour in range(1, 16)} == {10 * STEP}
    assert bars[BEGIN + 16 * HOUR] == (2 + 4) * STEP  # The old one until 16:10, the new one from 16:30 on.
    assert {bars[BEGIN + hour * HOUR] for hour in range(17, 16 + hours)} == {8 * STEP}


def test_the_old_meters_last_hour_stands_though_the_new_one_tells_nothing() -> None:
    ledger = ledger_of(series(BEGIN, 100, [5] * 4))
    ledger.hear(moment(BEGIN), {ENERGY_IN: 100}, TENTH)
    ledger.hear(moment(BEGIN + 2 * HOUR + 600), {ENERGY_IN: 103 + 20}, TENTH)
    assert rows_of(derived(ledger)).keys() == {BEGIN, BEGIN + HOUR}
    ledger.begin(B)
    found = rows_of(derived(ledger))
    assert found[BEGIN + 2 * HOUR] == Row(BEGIN + 2 * HOUR, 123 * STEP, 23 * STEP)


def test_a_sample_of_one_direction_is_none_of_the_other() -> None:
    ledger = ledger_of(series(BEGIN, 100, [5] * 4))
    fill(ledger, series(BEGIN, 7, [1] * 4), key=ENERGY_OUT)
    ledger.hear(moment(BEGIN + 2 * HOUR + 600), {ENERGY_IN: 123}, TENTH)
    ledger.begin(B)
    assert rows_of(derived(ledger))[BEGIN + 2 * HOUR].sum == 23 * STEP
    assert max(rows_of(derived(ledger, key=ENERGY_OUT))) == BEGIN + HOUR


def test_nothing_from_nothing() -> None:
    assert derived(Ledger()) == []
    ledger = Ledger()
    ledger.begin(A)
    assert derived(ledger) == []
    fill(ledger, {BEGIN: 5})
    assert derived(ledger, key=ENERGY_OUT) == []
    assert rows_of(derived(ledger)) == {}
    assert derived(ledger)[-1].after.first == Point(BEGIN, 5 * STEP, 10**6 * STEP, STEP)


def test_what_was_heard_alone_is_a_beginning() -> None:
    ledger = Ledger()
    ledger.begin(A)
    ledger.hear(moment(BEGIN + 100), {ENERGY_IN: 50}, TENTH)
    assert derived(ledger)[-1].after.first == Point(BEGIN + 100, 50 * STEP, 10**6 * STEP, STEP)
    fill(ledger, {BEGIN + HOUR: 52})
    assert rows_of(derived(ledger)) == {BEGIN: Row(BEGIN, 52 * STEP, 2 * STEP)}


@pytest.mark.parametrize("edge", [0, CHUNK])
@pytest.mark.parametrize("off", range(-10, 11))
@pytest.mark.parametrize("wrong", [0, 500_000])
def test_a_single_wrong_value_is_left_out_alone_at_any_place(edge: int, off: int, wrong: int) -> None:
    begin = chunk_of(BEGIN) + edge
    counts = series(begin - 30 * HALF, 10_000, [3] * 60)
    right = rows_of(derived(ledger_of(counts, scale=Scale(100_000, None))))
    at = begin + off * HALF
    found = rows_of(derived(ledger_of({**counts, at: wrong}, scale=Scale(100_000, None))))
    assert found == {start: row for start, row in right.items() if start + HOUR != at}


@pytest.mark.parametrize("number", range(1, LOOK_BACK))
@pytest.mark.parametrize("wrong", [0, 500_000])
@pytest.mark.parametrize("place", [0, 5, -1])
def test_several_wrong_values(number: int, wrong: int, place: int) -> None:
    counts = series(BEGIN, 10_000, [3] * 60)
    times = sorted(counts)
    begin = place if place >= 0 else len(times) - number
    spoilt = {at: wrong + 1000 * i * (-1) ** i for i, at in enumerate(times[begin : begin + number])}
    spoilt = {at: max(0, value) for at, value in spoilt.items()}
    scale = Scale(100_000, None)
    ledger = ledger_of({**counts, **spoilt}, scale=scale)
    kept = {at: count for at, count in counts.items() if at not in spoilt}
    assert rows_of(derived(ledger)) == rows_of(derived(ledger_of(kept, scale=scale)))


def test_a_wrong_value_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    counts = series(BEGIN, 10_000, [3] * 20)
    ledger = ledger_of({**counts, BEGIN + 6 * HALF: 500_000}, scale=Scale(100_000, None))
    derivation = Derivation(ENERGY_IN)
    for count in (1, 2):
        asyncio.run(derivation.chunks(ledger, BEGIN + 86400))
        fill(ledger, {BEGIN + (20 + count) * HALF: 10_060 + count}, scale=Scale(100_000, None))
    told = [record.getMessage() for record in caplog.records if "cannot be" in record.getMessage()]
    assert told == [f"Left out a counter that cannot be: 50000.0 kWh at {moment(BEGIN + 6 * HALF)}"]


@given(st.lists(rises, min_size=2, max_size=12), st.integers(0, 9_999))
def test_what_can_be_true_is_kept_as_it_is(each: list[int], first: int) -> None:
    counts = series(BEGIN, first, each, NARROW.span)
    points = [Point(at, count * STEP, 10**4 * STEP, STEP) for at, count in counts.items()]
    assert plausible(points, None) == points
    assert plausible(points[1:], points[0]) == points[1:]


def test_a_counter_before_that_was_wrong_does_not_spoil_what_follows() -> None:
    points = [Point(at, count * STEP, None, STEP) for at, count in series(BEGIN, 100, [1] * 5, None).items()]
    wrong = Point(BEGIN - HALF, 90_000 * STEP, None, STEP)
    assert plausible(points, wrong) == points
    assert plausible([], wrong) == []
    assert plausible([], None) == []
    # One that contradicts all that was, is left out.
    assert plausible([wrong], points[0]) in ([], [wrong])


@pytest.mark.parametrize(
    ("seconds", "is_exact", "most"),
    [(HALF, True, 251), (HOUR, True, 501), (HALF, False, 334), (0, True, 1), (0, False, 84)],
)
def test_how_much_can_have_flowed(seconds: int, *, is_exact: bool, most: int) -> None:
    before = Point(BEGIN, 100 * STEP, None, STEP)
    for rise in (0, 1, most - 1, most):
        after = Point(BEGIN + seconds, (100 + rise) * STEP, None, STEP, is_exact)
        assert after.rise_from(before) == rise * STEP
        assert replace(after, is_exact=True).rise_from(replace(before, is_exact=is_exact)) == rise * STEP
    assert Point(BEGIN + seconds, (101 + most) * STEP, None, STEP, is_exact).rise_from(before) is None
    assert Point(BEGIN + seconds, 99 * STEP, None, STEP, is_exact).rise_from(before) is None
    assert Point(BEGIN - HOUR, 100 * STEP, None, STEP).rise_from(before) is None
    assert (FASTEST, SLACK, PERIOD) == (50, 600, 300)


def test_a_counter_begins_again() -> None:
    before = Point(BEGIN, 999_990 * STEP, 10**6 * STEP, STEP)
    assert Point(BEGIN + HOUR, 9 * STEP, 10**6 * STEP, STEP).rise_from(before) == 19 * STEP
    assert Point(BEGIN + HOUR, 500 * STEP, 10**6 * STEP, STEP).rise_from(before) is None
    assert Point(BEGIN + HOUR, 9 * STEP, None, STEP).rise_from(before) is None


@pytest.mark.parametrize(("counter", "risen"), [(0, 0), (-1, 9), (-9, 1), (-10, 0), (-11, None)])
def test_whatever_falls_has_begun_again(counter: int, risen: int | None) -> None:
    points = [Point(at, energy, span=10, step=1) for at, energy in ((BEGIN, 10), (BEGIN + HALF, 10 + counter))]
    assert points[1].rise_from(points[0]) == risen


def test_a_poll_may_be_as_late_as_it_is() -> None:
    # What flowed in forty minutes, told for thirty: the poll is ten minutes older than it is taken for.
    ledger = ledger_of({BEGIN: 0, BEGIN + HOUR: 800}, scale=Scale(100_000, None))
    fill(ledger, {BEGIN + HALF: 333}, source=Source.POLL, scale=Scale(100_000, None))
    assert rows_of(derived(ledger_of({BEGIN: 0, BEGIN + HALF: 333, BEGIN + HOUR: 400}, scale=Scale(100_000, None))))
    assert energies(ledger, ENERGY_IN, BEGIN, BEGIN + HOUR)[BEGIN] == 333 * STEP


operations = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.integers(0, 1000), st.integers(0, 200), st.sampled_from(Source)),
        st.tuples(st.just("hear"), st.integers(0, 1000), st.integers(0, 200)),
        st.tuples(st.just("begin"), st.sampled_from([A, B])),
        st.tuples(st.just("correct"), st.integers(0, 500), st.integers(0, 90)),
        st.tuples(st.just("scale")),
        st.tuples(st.just("look"), st.integers(1, 25)),
    ),
    max_size=25,
)


@settings(max_examples=30)
@given(operations)
@example([("begin", B), ("hear", 900, 0), ("scale",)])
def test_what_is_kept_is_what_would_be_derived_anew(story: list[tuple[object, ...]]) -> None:
    ledger = ledger_of(series(BEGIN, 0, [100] * 900))
    kept = Derivation(ENERGY_IN)
    until = BEGIN + 25 * 86400

    async def same() -> None:
        assert await kept.chunks(ledger, until) == await Derivation(ENERGY_IN).chunks(ledger, until)

    for each in story:
        match each:
            case ("put", int(slot), int(off), Source() as source) if source:
                at = BEGIN + slot * HALF
                ledger.put(ENERGY_IN, moment(at), slot * 100 + off, source, TENTH, now=moment(at), overrule=True)
            case ("hear", int(slot), int(off)):
                ledger.hear(moment(BEGIN + slot * HALF + 77), {ENERGY_IN: slot * 100 + off}, TENTH)
            case ("begin", str(meter)):
                ledger.begin(meter)
            case ("correct", int(hour), int(energy)):
                ledger.correct(ENERGY_IN, BEGIN + hour * HOUR, energy * STEP if energy % 3 else None)
            case ("scale",):
                ledger.hear(moment(until), {}, Scale(10_000, 10**6))
            case ("look", int(days)):
                until = BEGIN + days * 86400
        asyncio.run(same())


def test_only_what_has_changed_is_derived_anew() -> None:
    ledger = ledger_of(series(BEGIN - 80 * 86400, 0, [1] * 90 * 48))
    derivation = Derivation(ENERGY_IN)

    async def look() -> list[int]:
        return [id(chunk) for chunk in await derivation.chunks(ledger, BEGIN + 10 * 86400)]

    before = asyncio.run(look())
    assert asyncio.run(look()) == before
    fill(ledger, {BEGIN + 10 * 86400 - HALF: 4319}, key=ENERGY_OUT)
    fill(ledger, {BEGIN + 10 * 86400 + HALF: 4321})
    changed = [one != other for one, other in zip(before, asyncio.run(look()), strict=True)]
    assert not any(changed[:6])
    assert changed[-1]


def test_a_correction_is_of_its_hour_only() -> None:
    ledger = ledger_of(series(BEGIN, 100, [5] * 2000))
    right = rows_of(derived(ledger))
    hours = [BEGIN, BEGIN + 7 * HOUR, chunk_of(BEGIN + CHUNK) - HOUR, chunk_of(BEGIN + CHUNK), BEGIN + 900 * HOUR]
    for hour in hours:
        ledger.correct(ENERGY_IN, hour, 42 * STEP)
    found = rows_of(derived(ledger))
    assert found[BEGIN].sum == 42 * STEP
    assert {hour for hour, bar in bars_of(found).items() if bar != bars_of(right)[hour]} == set(hours[1:])
    assert {bars_of(found)[hour] for hour in hours[1:]} == {42 * STEP}
    assert {row.state for row in found.values()} == {row.state for row in right.values()}


@given(st.lists(rises, min_size=1, max_size=600), st.sets(st.integers(0, 600), max_size=5), st.integers(0, 999_999))
def test_the_half_hours(each: list[int], missing: set[int], first: int) -> None:
    counts = series(BEGIN, first, each)
    kept = {at: count for at, count in counts.items() if (at - BEGIN) // HALF not in missing}
    begin, end = BEGIN + HALF, BEGIN + (len(each) - 1) * HALF
    found = energies(ledger_of(kept), ENERGY_IN, begin, end)
    rise = {at: (counts[at + HALF] - count) * STEP for at, count in counts.items() if at + HALF in counts}
    due = {at: energy for at, energy in rise.items() if at in kept and at + HALF in kept}
    for at in kept:
        if at % HOUR == 0 and at + HALF not in kept and at + HOUR in kept:
            energy = rise[at] + rise[at + HALF]
            due |= {at: energy - energy // 2, at + HALF: energy // 2}
    assert found == {at: energy for at, energy in due.items() if begin <= at < end}
    assert list(found) == sorted(found)


def test_the_halves_of_an_hour_are_added_up_to_it() -> None:
    ledger = ledger_of({BEGIN: 100, BEGIN + HOUR: 103, BEGIN + HOUR + HALF: 104, BEGIN + 2 * HOUR + HALF: 106})
    found = energies(ledger, ENERGY_IN, BEGIN - HOUR, BEGIN + 3 * HOUR)
    assert found[BEGIN] + found[BEGIN + HALF] == 3 * STEP
    assert abs(found[BEGIN] - found[BEGIN + HALF]) <= 1
    assert found[BEGIN + HOUR] == STEP
    assert found.keys() == {BEGIN, BEGIN + HALF, BEGIN + HOUR}, "from half past to half past is no hour"
    assert energies(ledger, ENERGY_IN, BEGIN + HALF, BEGIN + HOUR).keys() == {BEGIN + HALF}


@pytest.mark.parametrize("off", [-HALF, 0, HALF])
@pytest.mark.parametrize("number", [1, 2, 3])
def test_the_half_hours_around_the_border_of_two_chunks(off: int, number: int) -> None:
    begin = chunk_of(BEGIN) + CHUNK + off
    ledger = ledger_of(series(begin - 4 * HALF, 7, range(1, 10)))
    found = energies(ledger, ENERGY_IN, begin, begin + number * HALF)
    assert found == {begin + slot * HALF: (5 + slot) * STEP for slot in range(number)}


def test_what_was_first_heard_right_at_the_border_of_two_chunks() -> None:
    border = chunk_of(BEGIN) + CHUNK
    ledger = Ledger()
    ledger.begin(A)
    ledger.hear(moment(border), {ENERGY_IN: 100}, TENTH)
    fill(ledger, series(border + HOUR, 103, [1, 1]))
    assert Wanted(derived(ledger), 0, border + 2 * HOUR).first == Point(border, 100 * STEP, 10**6 * STEP, STEP)
    assert rows_of(derived(ledger))[border] == Row(border, 103 * STEP, 3 * STEP)


def test_the_half_hours_of_two_meters() -> None:
    ledger = ledger_of(series(BEGIN, 100, [5] * 4))
    ledger.hear(moment(BEGIN + 2 * HOUR + 600), {ENERGY_IN: 121}, TENTH)
    ledger.begin(B)
    fill(ledger, series(BEGIN, 5000, [7] * 10))
    found = energies(ledger, ENERGY_IN, BEGIN, BEGIN + 5 * HOUR)
    here = [BEGIN + slot * HALF for slot in range(5, 10)]
    assert found == {**{BEGIN + slot * HALF: 5 * STEP for slot in range(4)}, **dict.fromkeys(here, 7 * STEP)}
    assert energies(ledger, ENERGY_OUT, BEGIN, BEGIN + 5 * HOUR) == {}


rows = st.lists(st.integers(0, 25_000_000), min_size=2, max_size=240)


def as_rows(each: Sequence[int], begin: int = chunk_of(BEGIN)) -> list[Row]:
    total, found = 10**11, []
    for number, energy in enumerate(each):
        total += energy
        found.append(Row(begin + number * HOUR, total - 5 * 10**10, total))
    return found


@given(rows, st.data())
def test_no_change_that_anybody_could_see_is_overlooked(each: list[int], data: st.DataObject) -> None:
    right = as_rows(each)
    place = data.draw(st.integers(0, len(each) - 1))
    change = data.draw(st.integers(STEP, 10**12)) * data.draw(st.sampled_from([1, -1]))
    what = data.draw(st.sampled_from(["sum", "state"]))
    spoilt = [*right]
    spoilt[place] = replace(right[place], **{what: getattr(right[place], what) + change})
    begin = right[0].start
    assert not summary_of(begin, right).is_like(summary_of(begin, spoilt))
    assert not summary_of(begin, right).is_like(summary_of(begin, right[:-1]))
    assert summary_of(begin, right).is_like(summary_of(begin, right))
    rounded = [Row(row.start, row.state + 1, row.sum - 1) for row in right]
    assert summary_of(begin, right).is_like(summary_of(begin, rounded))


@pytest.mark.parametrize("apart", [1, 5])
def test_two_changes_that_cancel_out_nearby_are_seen(apart: int) -> None:
    assert_seen(240, apart)


@pytest.mark.parametrize(("length", "apart"), [(2, 1), (24, 1), (240, 6), (240, 239)])
def test_two_changes_that_cancel_out_are_seen(length: int, apart: int) -> None:
    assert_seen(length, apart)


def assert_seen(length: int, apart: int) -> None:
    right = as_rows([500_000] * length)
    spoilt = [*right]
    spoilt[0] = replace(right[0], sum=right[0].sum + STEP)
    spoilt[apart] = replace(right[apart], sum=right[apart].sum - STEP)
    assert not summary_of(right[0].start, right).is_like(summary_of(right[0].start, spoilt))


@given(rows, st.integers(0, 250), st.integers(-(10**9), 10**12))
def test_the_summary_of_a_chunk(each: list[int], hours: int, offset: int) -> None:
    right = as_rows(each)
    chunk = Chunk.of(right[0].start, right, Carry(), Carry())
    assert chunk.rows == right
    assert chunk.first == right[0]
    assert Chunk.of(BEGIN, [], Carry(), Carry()).first is None
    until = right[0].start + hours * HOUR
    moved = [Row(row.start, row.state, row.sum + offset) for row in right if row.start + HOUR <= until]
    assert chunk.summary(offset, until) == summary_of(chunk.begin, moved)
    assert Wanted([chunk], offset, until).rows(chunk) == moved
    total = sum(row.sum for row in moved)
    weighted = sum(row.sum * number for number, row in enumerate(moved))
    assert chunk.summary(offset, until) == Summary(len(moved), total, sum(row.state for row in moved), weighted)


def apply(wanted: Wanted, recorded: Mapping[int, Row]) -> tuple[dict[int, Row], int]:
    """Compare each chunk with what is recorded, write the differences; return what is there then, and their number."""
    there, number = dict(recorded), 0
    for chunk in wanted.chunks:
        within = [recorded[at] for at in sorted(recorded) if chunk.compared_from <= at < chunk.begin + CHUNK]
        later = (each.first for each in wanted.chunks if each.begin > chunk.begin and each.first is not None)
        following = next(later, None)
        if following is not None:
            following = replace(following, sum=following.sum + wanted.offset)
        found = differences(wanted, chunk, within, following)
        there.update({row.start: row for row in found})
        number += len(found)
    return there, number


@settings(max_examples=60)
@given(st.data())
def test_whatever_is_recorded_once_is_enough(data: st.DataObject) -> None:
    chance = Random(data.draw(st.integers(0, 2**32)))  # a story, no secret
    length = data.draw(st.sampled_from([4, 40, 700]))
    gaps = data.draw(st.sampled_from([0.0, 0.2, 0.8]))
    begin = chunk_of(BEGIN) + data.draw(st.integers(-9, 9)) * HALF
    whole = series(begin, 100, [chance.choice((0, 1, 250)) for _ in range(length)])
    known = {at: count for at, count in whole.items() if chance.random() >= gaps}
    if not known:
        return
    ledger = ledger_of(known)
    if data.draw(st.booleans()):
        ledger.begin(B)
        fill(ledger, series(begin + length * HALF + HALF, 7, [3] * 9))
    offset = data.draw(st.integers(-(10**7), 10**10))
    until = begin + data.draw(st.integers(0, length // 2 + 6)) * HOUR
    until -= until % HOUR
    wanted = Wanted(derived(ledger, begin + (length + 20) * HALF), offset, until)
    recorded = {}
    for start in range(begin - begin % HOUR - 5 * HOUR, until + 5 * HOUR, HOUR):
        true = whole.get(start + HOUR)
        if chance.random() < 0.7:
            state = true * STEP if true is not None and chance.random() < 0.7 else chance.randint(0, 10**9)
            recorded[start] = Row(start, state, chance.randint(0, 10**10))
    there, _ = apply(wanted, recorded)
    again, number = apply(wanted, there)
    assert (number, again) == (0, there)
    for chunk in wanted.chunks:
        for row in wanted.rows(chunk):
            assert there[row.start].is_like(row)
    first = wanted.first
    assert first is not None
    for start, row in recorded.items():
        if start + HOUR <= first.at or start + HOUR > until:
            assert there[start] == row
    assert set(there) - set(recorded) <= {row.start for chunk in wanted.chunks for row in chunk.rows}
    # Within the ledger no bar is below zero: who adds up what is shown gets what flowed.
    ordered = [there[start] for start in sorted(there) if start + HOUR > first.at and start + HOUR <= until]
    for before, row in pairwise(ordered):
        assert row.sum >= before.sum - NOTHING or chunk_of(before.start) != chunk_of(row.start)


def test_what_is_kept_on_both_sides_of_the_end_of_a_chunk_fits() -> None:
    edge = chunk_of(BEGIN)
    counts = series(edge - 4 * HOUR, 1000, [5] * 16)
    known = {at: count for at, count in counts.items() if not edge - HOUR <= at <= edge + 2 * HOUR}
    wanted = Wanted(derived(ledger_of(known), edge + 4 * HOUR), 0, edge + 4 * HOUR)
    kept = [Row(edge - HOUR, 1050 * STEP, 0), Row(edge, 1040 * STEP, 0)]
    there, _ = apply(wanted, {row.start: row for row in kept})
    assert all(bar >= 0 for bar in bars_of(there).values())


def test_nothing_is_written_without_a_ledger() -> None:
    wanted = Wanted([], 0, BEGIN)
    assert (wanted.first, wanted.end) == (None, Carry())
    chunk = Chunk.of(chunk_of(BEGIN), [], Carry(), Carry())
    assert differences(Wanted([chunk], 0, BEGIN), chunk, [Row(BEGIN - HOUR, 5, 5)], None) == []


def with_a_gap(missing: Sequence[int]) -> Wanted:
    """Return ten hours of 1 kWh each, of some of which the meter no longer has the ends."""
    counts = series(BEGIN, 1000, [5] * 20)
    for hour in missing:
        del counts[BEGIN + (hour + 1) * HOUR]
    return Wanted(derived(ledger_of(counts), BEGIN + 10 * HOUR), 7_000_000, BEGIN + 10 * HOUR)


def as_meter(hour: int, off: int = 0) -> Row:
    """Return the row of an hour as the meter counted it, or with a state that is off."""
    return Row(BEGIN + hour * HOUR, (1000 + (hour + 1) * 10 + off) * STEP, 7_000_000 + ((hour + 1) * 10 + off) * STEP)


def test_what_only_the_recorder_knows_is_kept_if_it_fits() -> None:
    wanted = with_a_gap([4, 5, 6])
    true = {row.start: row for row in map(as_meter, range(10))}
    odd = {as_meter(hour, off).start: as_meter(hour, off) for hour, off in ((4, 3), (5, -2), (6, 1))}
    there, number = apply(wanted, true | odd)
    assert (there, number) == (true | odd, 0)
    # Its sums are put right, its states are kept.
    shifted = {start: replace(row, sum=row.sum + 12_345_678) for start, row in (true | odd).items()}
    assert apply(wanted, shifted)[0] == true | odd


@pytest.mark.parametrize("state", [0, 900, 1039, 1081, 2000, 99_999])
def test_what_cannot_be_is_made_flat(state: int) -> None:
    wanted = with_a_gap([4, 5, 6])
    true = {row.start: row for row in map(as_meter, range(10)) if row.start not in {BEGIN + 4 * HOUR, BEGIN + 6 * HOUR}}
    start = BEGIN + 5 * HOUR
    before = as_meter(3)
    if before.state <= state * STEP <= as_meter(7).state:
        pytest.fail("it fits")
    there, _ = apply(wanted, true | {start: Row(start, state * STEP, 1)})
    assert there[start] == Row(start, before.state, before.sum)
    assert bars_of(there)[BEGIN + 7 * HOUR] == 40 * STEP


def test_after_the_last_counter() -> None:
    counts = series(BEGIN, 1000, [5] * 8)
    wanted = Wanted(derived(ledger_of(counts), BEGIN + 10 * HOUR), 7_000_000, BEGIN + 10 * HOUR)
    assert apply(wanted, {as_meter(hour).start: as_meter(hour) for hour in range(8)})[1] == 0
    there, _ = apply(wanted, {BEGIN + 4 * HOUR: Row(BEGIN + 4 * HOUR, as_meter(4).state, 3)})
    assert there[BEGIN + 4 * HOUR] == as_meter(4)
    there, _ = apply(wanted, {BEGIN + 5 * HOUR: Row(BEGIN + 5 * HOUR, 5, 3)})
    assert there[BEGIN + 5 * HOUR] == replace(as_meter(3), start=BEGIN + 5 * HOUR)


def test_a_row_before_the_first_of_the_ledgers() -> None:
    counts = series(BEGIN + HALF, 1000, [5] * 8)
    del counts[BEGIN + HOUR]
    wanted = Wanted(derived(ledger_of(counts), BEGIN + 10 * HOUR), 7_000_000, BEGIN + 10 * HOUR)
    there, _ = apply(wanted, {BEGIN: Row(BEGIN, 1004 * STEP, 3), BEGIN - HOUR: Row(BEGIN - HOUR, 1, 2)})
    assert there[BEGIN] == Row(BEGIN, 1004 * STEP, 7_000_000)
    assert there[BEGIN - HOUR] == Row(BEGIN - HOUR, 1, 2)


@pytest.mark.parametrize("number", [0, 1, 2, 240])
def test_a_summary_is_like_another_to_within_its_rounding(number: int) -> None:
    rows = Summary(number, 5.0, 7.0, 11.0)
    bound = max(number, 1)
    for name, off in (("sums", bound), ("states", bound), ("weighted", bound * 120)):
        for sign in (1, -1):
            assert rows.is_like(replace(rows, **{name: getattr(rows, name) + sign * off}))
            assert not rows.is_like(replace(rows, **{name: getattr(rows, name) + sign * (off + 1)}))
    assert not rows.is_like(replace(rows, count=number + 1))


def test_the_summary_of_a_single_row() -> None:
    row = Row(BEGIN, 5, 7)
    chunk = Chunk.of(chunk_of(BEGIN), [row], Carry(), Carry())
    assert chunk.summary(0, BEGIN + HOUR) == summary_of(chunk.begin, [row])
    assert chunk.summary(0, BEGIN + HOUR - 1) == summary_of(chunk.begin, [])


def test_a_row_is_like_another() -> None:
    row = Row(BEGIN, 1000, 2000)
    assert row.is_like(Row(BEGIN, 1000 + NOTHING, 2000 - NOTHING))
    assert not row.is_like(Row(BEGIN, 1001 + NOTHING, 2000))
    assert not row.is_like(Row(BEGIN, 1000, 1999 - NOTHING))


@pytest.mark.parametrize(
    ("before", "first", "offset"),
    [
        (None, 100, 0),
        (Row(BEGIN - HOUR, 98 * STEP, 55), 100, 55 + 2 * STEP),  # Of the same meter.
        (Row(BEGIN - 2 * HOUR + 1, 98 * STEP, 55), 100, 55 + 2 * STEP),
        (Row(BEGIN - 2 * HOUR, 98 * STEP, 55), 100, 55),  # An hour is missing: whose counter is it?
        (Row(BEGIN - HOUR + 1, 98 * STEP, 55), 100, 55),
        (Row(BEGIN - HOUR, 101 * STEP, 55), 100, 55),  # It does not fit.
        (Row(BEGIN - HOUR, 98 * STEP, 55), 2000, 55),
        (Row(BEGIN - HOUR, 999_999 * STEP, 55), 0, 55 + STEP),  # It begins again.
    ],
)
def test_what_the_sums_begin_with(before: Row | None, first: int, offset: int) -> None:
    assert offset_of(before, Point(BEGIN, first * STEP, 10**6 * STEP, STEP)) == offset


def test_what_the_sums_begin_with_if_there_is_no_counter() -> None:
    assert offset_of(Row(BEGIN, 1, 2), None) == 2


STATES = [1000 + 10 * (hour + 1) for hour in range(60)]


def wanted_rows(hours: int = 60) -> list[Row]:
    return [Row(BEGIN + hour * HOUR, STATES[hour] * STEP, (hour + 1) * 10 * STEP) for hour in range(hours)]


def adjusted(rows_before: Sequence[Row], steps: Mapping[int, int]) -> dict[int, Row]:
    """Do what Home Assistant does: add a number to the sums of all rows from an hour on."""
    return {
        row.start: replace(row, sum=row.sum + sum(step for hour, step in steps.items() if row.start >= hour))
        for row in rows_before
    }


@given(
    st.dictionaries(
        st.integers(1, 59).map(lambda hour: BEGIN + hour * HOUR),
        st.integers(-40_000, 40_000).filter(lambda step: abs(step) > NOTHING).map(lambda step: step * 1000),
        min_size=1,
        max_size=4,
    )
)
def test_corrections_by_hand_are_found(steps: dict[int, int]) -> None:
    hours = sorted(steps)
    # Two in a row that cancel out are what one spoilt row looks like.
    if any(b - a == HOUR and abs(steps[a] + steps[b]) <= NOTHING for a, b in pairwise(hours)):
        return
    right = wanted_rows()
    end = right[-1].start + HOUR
    found = corrections_of(right, adjusted(right, steps), [], end, sum(steps.values()))
    assert found == {hour: 10 * STEP + step for hour, step in steps.items()}
    # Home Assistant moves the rows of five minutes, too; what does not is no correction by hand.
    assert corrections_of(right, adjusted(right, steps), [], end, sum(steps.values()) + 10**6) == {}


@pytest.mark.parametrize(("off", "is_found"), [(3 * NOTHING, True), (3 * NOTHING + 1, False)])
def test_the_recorders_rounding_of_each_row_adds_up(off: int, *, is_found: bool) -> None:
    right = wanted_rows()
    steps = {BEGIN + 9 * HOUR: 3 * MICRO, BEGIN + 30 * HOUR: 2 * MICRO}
    found = corrections_of(right, adjusted(right, steps), [], right[-1].start + HOUR, 5 * MICRO + off)
    assert bool(found) is is_found


def test_nothing_is_no_correction() -> None:
    right = wanted_rows()
    end = right[-1].start + HOUR
    assert corrections_of(right, {row.start: row for row in right}, [], end, 0) == {}
    assert corrections_of(right, {}, [], end, 0) == {}
    assert corrections_of([], {}, [], end, 0) == {}


@pytest.mark.parametrize("off", [-5 * MICRO, 12 * MICRO])
@pytest.mark.parametrize("hour", [0, 1, 30, 58])
def test_a_single_spoilt_row_is_no_correction(hour: int, off: int) -> None:
    right = wanted_rows()
    recorded = {row.start: row for row in right}
    start = BEGIN + hour * HOUR
    recorded[start] = replace(recorded[start], sum=recorded[start].sum + off)
    found = corrections_of(right, recorded, [], right[-1].start + HOUR, 0)
    assert found == {}


@pytest.mark.parametrize(("off", "is_found"), [(NOTHING, False), (NOTHING + 1, True)])
def test_two_corrections_are_no_spoilt_row(off: int, *, is_found: bool) -> None:
    right = wanted_rows()
    steps = {BEGIN + 9 * HOUR: 3 * MICRO, BEGIN + 10 * HOUR: off - 3 * MICRO}
    found = corrections_of(right, adjusted(right, steps), [], right[-1].start + HOUR, off)
    assert bool(found) is is_found


def test_a_correction_beside_a_spoilt_row() -> None:
    right = wanted_rows()
    recorded = adjusted(right, {BEGIN + 9 * HOUR: 3 * MICRO})
    spoilt = BEGIN + 30 * HOUR
    recorded[spoilt] = replace(recorded[spoilt], sum=5)
    found = corrections_of(right, recorded, [], right[-1].start + HOUR, 3 * MICRO)
    assert found == {BEGIN + 9 * HOUR: 10 * STEP + 3 * MICRO}


@pytest.mark.parametrize("off", [0, NOTHING])
def test_a_rows_state_has_to_be_the_meters(off: int) -> None:
    right = wanted_rows()
    recorded = adjusted(right, {BEGIN + 9 * HOUR: 3 * MICRO})
    start = BEGIN + 9 * HOUR
    recorded[start] = replace(recorded[start], state=recorded[start].state + off)
    assert corrections_of(right, recorded, [], right[-1].start + HOUR, 3 * MICRO) == {start: 10 * STEP + 3 * MICRO}
    recorded[start] = replace(recorded[start], state=recorded[start].state + 1)
    is_found = off < NOTHING
    assert bool(corrections_of(right, recorded, [], right[-1].start + HOUR, 3 * MICRO)) is is_found


@pytest.mark.parametrize(
    ("hours", "is_found"), [(-3, True), (-2, False), (-1, False), (0, False), (1, False), (2, True), (3, True)]
)
def test_nothing_near_an_exchange_is_a_correction(hours: int, *, is_found: bool) -> None:
    right = wanted_rows()
    boundary = BEGIN + 20 * HOUR
    steps = {boundary + hours * HOUR: 3 * MICRO}
    found = corrections_of(right, adjusted(right, steps), [boundary], right[-1].start + HOUR, 3 * MICRO)
    assert bool(found) is is_found


def test_what_was_never_seen_right_is_not_corrected() -> None:
    right = wanted_rows()
    steps = {BEGIN + 20 * HOUR: 3 * MICRO}
    for hours, is_found in ((20, False), (21, True), (60, True)):
        found = corrections_of(right, adjusted(right, steps), [], BEGIN + hours * HOUR, 3 * MICRO)
        assert bool(found) is is_found


def test_a_row_that_is_missing_is_no_correction() -> None:
    right = wanted_rows()
    recorded = adjusted(right, {BEGIN + 20 * HOUR: 3 * MICRO})
    del recorded[BEGIN + 19 * HOUR]
    assert corrections_of(right, recorded, [], right[-1].start + HOUR, 3 * MICRO) == {}


class Recorder:
    """Rows of five minutes as Home Assistant's sensor integration makes them."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self.rows = {row.start: row for row in rows}

    def see(self, start: int, state: int) -> None:
        """Count on from the newest row."""
        last = self.rows[max(self.rows)]
        total = last.sum + (state if state < 0.9 * last.state else state - last.state)
        self.rows[start] = Row(start, state, total)

    def write(self, rows: Sequence[Row]) -> None:
        self.rows.update({row.start: row for row in rows})


@given(
    shift=st.integers(-(10**9), 10**9),
    number=st.integers(0, 30),
    late=st.integers(0, 5),
    power=st.integers(0, 40),
    first=st.sampled_from([5_000, 999_600, 999_990]),
    offset=st.sampled_from([0, 123_456_789]),
)
def test_the_recorder_counts_on_from_the_truth(
    shift: int, number: int, late: int, power: int, first: int, offset: int
) -> None:
    ledger = ledger_of(series(BEGIN, first, [power] * 10))
    end = BEGIN + 5 * HOUR
    wanted = Wanted(derived(ledger, end + HOUR), offset, end)
    begin = end - number * PERIOD + late * PERIOD

    def state(at: int) -> int:
        return (first + power * (at - BEGIN) // HALF) % 10**6 * STEP

    def truth(at: int) -> int:
        return (power * (at - BEGIN) // HALF) * STEP + offset

    times = [at for at in range(begin, begin + number * PERIOD, PERIOD) if at >= BEGIN]
    recorder = Recorder([Row(at, state(at + PERIOD), truth(at + PERIOD) + shift) for at in times])
    written = running(wanted, list(recorder.rows.values()), None, end - PERIOD)
    recorder.write(written)
    newest = recorder.rows[max(recorder.rows)]
    assert shift_of(wanted, newest) is not None
    assert abs(shift_of(wanted, newest) or 0) <= NOTHING
    assert running(wanted, [recorder.rows[at] for at in sorted(recorder.rows)], None, end - PERIOD) == []
    if times and abs(shift) > NOTHING:
        assert {row.start for row in written} == set(times), "a running hour has rows before and after"
    if times:
        assert [recorder.rows[at] for at in times] == [
            pytest.approx(Row(at, state(at + PERIOD), truth(at + PERIOD))) for at in times
        ] or all(abs(recorder.rows[at].sum - truth(at + PERIOD)) <= NOTHING for at in times)
    at = max(recorder.rows) + PERIOD
    at = max(at, end)
    if state(at + PERIOD) >= newest.state:
        recorder.see(at, state(at + PERIOD))
        assert abs(recorder.rows[at].sum - truth(at + PERIOD)) <= NOTHING


def test_no_rows_of_five_minutes_yet() -> None:
    ledger = ledger_of(series(BEGIN, 5_000, [4] * 10))
    wanted = Wanted(derived(ledger, BEGIN + 6 * HOUR), 70, BEGIN + 5 * HOUR)
    slot = BEGIN + 5 * HOUR - PERIOD
    assert running(wanted, [], None, slot) == [Row(slot, 5_040 * STEP, 40 * STEP + 70)]
    assert running(Wanted([], 70, BEGIN), [], None, slot) == []
    assert shift_of(Wanted([], 70, BEGIN), Row(slot, 1, 1)) is None


def exchanged() -> tuple[Wanted, int]:
    ledger = ledger_of(series(BEGIN, 5_000, [4] * 10))
    ledger.hear(moment(BEGIN), {ENERGY_IN: 5_000}, TENTH)
    ledger.hear(moment(BEGIN + 5 * HOUR + 60), {ENERGY_IN: 5_040}, TENTH)
    ledger.begin(B)
    since = ledger.tenures[-1].since
    assert since is not None
    fill(ledger, series(BEGIN + 5 * HOUR + HALF, 43_210, [4] * 3))
    return Wanted(derived(ledger, BEGIN + 8 * HOUR), 70, BEGIN + 6 * HOUR), since


def test_the_recorder_counts_on_from_the_new_meter() -> None:
    wanted, since = exchanged()
    # The last row is of the old meter: the next one would make a bar of the difference.
    old = Row(BEGIN + 5 * HOUR - PERIOD, 5_040 * STEP, 40 * STEP + 70)
    (anchor,) = running(wanted, [old], since, BEGIN + 7 * HOUR)
    assert anchor == Row(old.start, 43_222 * STEP, 52 * STEP + 70)
    assert running(wanted, [anchor], since, BEGIN + 7 * HOUR) == []
    recorder = Recorder([anchor])
    recorder.see(BEGIN + 7 * HOUR, 43_225 * STEP)
    assert recorder.rows[BEGIN + 7 * HOUR].sum == 55 * STEP + 70
    # It has jumped already.
    jumped = Row(BEGIN + 7 * HOUR, 43_223 * STEP, old.sum + (43_223 - 5_040) * STEP)
    before = replace(old, start=BEGIN + 5 * HOUR - PERIOD)
    assert running(wanted, [before, jumped], since, BEGIN + 7 * HOUR) == [
        Row(jumped.start, jumped.state, 53 * STEP + 70)
    ]


def test_a_row_that_begins_with_the_new_meter_is_the_new_meters() -> None:
    wanted, since = exchanged()
    new = Row(since, 43_209 * STEP, 39 * STEP + 70)
    assert running(wanted, [new], since, BEGIN + 7 * HOUR) == []
    spoilt = replace(new, sum=new.sum + STEP)
    assert running(wanted, [spoilt], since, BEGIN + 7 * HOUR) == [new]


def test_a_state_that_no_meter_can_have_had() -> None:
    ledger = ledger_of(series(BEGIN, 5_000, [4] * 10))
    wanted = Wanted(derived(ledger, BEGIN + 6 * HOUR), 70, BEGIN + 5 * HOUR)
    odd = Row(BEGIN + 5 * HOUR, 777_777 * STEP, 5)
    assert shift_of(wanted, odd) is None
    assert running(wanted, [odd], None, odd.start) == [Row(odd.start, 5_040 * STEP, 40 * STEP + 70)]


def test_the_recorder_repeats_an_old_state() -> None:
    ledger = ledger_of(series(BEGIN, 5_000, [4] * 10))
    wanted = Wanted(derived(ledger, BEGIN + 6 * HOUR), 70, BEGIN + 5 * HOUR)
    # The state of three hours ago, with its sum: counted on from, it makes what flowed since.
    old = Row(BEGIN + 5 * HOUR + 600, 5_012 * STEP, 12 * STEP + 70)
    assert shift_of(wanted, old) == 0
    assert running(wanted, [old], None, old.start) == []
    for off in (NOTHING, -NOTHING):
        assert shift_of(wanted, replace(old, sum=old.sum + off)) == 0
    assert shift_of(wanted, replace(old, sum=old.sum + NOTHING + 1)) is None


def test_only_rows_that_were_counted_on_from_one_another_are_moved() -> None:
    ledger = ledger_of(series(BEGIN, 5_000, [4] * 10))
    end = BEGIN + 5 * HOUR
    wanted = Wanted(derived(ledger, end + HOUR), 0, end)
    other = [Row(end + number * PERIOD, 5_040 * STEP, 1_000 * STEP) for number in range(3)]
    same = [Row(end + number * PERIOD, 5_041 * STEP, 900 * STEP) for number in range(3, 6)]
    assert running(wanted, [*other, *same], None, end) == [replace(row, sum=41 * STEP) for row in same]
    assert running(wanted, [*other, *same], end + 4 * PERIOD, end) == [replace(row, sum=41 * STEP) for row in same[1:]]


@given(st.integers(0, 2**33))
def test_chunks(at: int) -> None:
    begin = chunk_of(at)
    assert begin % CHUNK == 0
    assert 0 <= at - begin < CHUNK
    assert CHUNK % HOUR == 0
