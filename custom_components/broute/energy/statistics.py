"""From the ledger to the rows that the recorder should have, and what differs: pure arithmetic, see docs/energy.md.

The recorder keeps a row for each hour: the counter's state at its end, and a sum; the bar of an hour in the Energy
dashboard is its sum less the sum of the row before. Energies are millionths of a kWh, times are seconds since 1970.
"""

from array import array
import asyncio
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
import logging
from typing import Final

from ..aiobroute import JST
from .ledger import HALF_HOUR_SECONDS, MICRO, UNKNOWN, Continued, Hour, Ledger, Month, Sample, Scale, Source, Tenure

_LOGGER = logging.getLogger(__name__)

HOUR: Final = 3600
PERIOD: Final = 300
"""Seconds; what the recorder compiles at a time."""

FASTEST: Final = 50
"""kWh in an hour; from 50 kW on, a customer gets no low-voltage supply, and no meter of this kind."""

SLACK: Final = 600
"""Seconds by which a counter that was polled may be older than the half-hour that it stands for."""

LOOK_BACK: Final = 8
"""So many wrong values in a row are recognized."""

AHEAD: Final = LOOK_BACK * HALF_HOUR_SECONDS
"""Seconds; whether a counter can be true is seen by those that come after it, too."""

CHUNK: Final = 10 * 24 * HOUR
"""Seconds; what is derived, and compared with the recorder, at a time."""

NOTHING: Final = 10
"""Millionths of a kWh; the recorder counts in binary, and what is less is its rounding."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row of an hour, or of five minutes."""

    start: int
    state: int
    sum: int

    def is_like(self, other: Row) -> bool:
        """Return whether there is no difference that anybody could see."""
        return max(abs(self.state - other.state), abs(self.sum - other.sum)) <= NOTHING


@dataclass(frozen=True, slots=True)
class Point:
    """A counter of one meter at some time."""

    at: int
    energy: int
    span: int | None
    """Millionths of a kWh after which it begins again at zero."""
    step: int
    is_exact: bool = True
    """Whether it was read at just this time."""

    def rise_from(self, before: Point) -> int | None:
        """Return the energy since another point of the same meter; `None` if so much cannot have flowed."""
        energy = self.energy - before.energy
        if energy < 0 and self.span is not None:
            energy += self.span
        time = self.at - before.at + (0 if self.is_exact and before.is_exact else SLACK)
        return energy if 0 <= energy <= FASTEST * MICRO * time // HOUR + self.step else None


@dataclass(frozen=True, slots=True)
class Carry:
    """Where the sums stand at the end of a time."""

    total: int = 0
    """Energy since the first counter, and of the hours that were continued."""
    tenure: int = 0
    """Number of the present tenure."""
    last: Point | None = None
    """The last counter in this tenure that counts."""
    first: Point | None = None
    """The first counter of all."""
    row: Row | None = None
    """The last row."""


@dataclass(frozen=True, slots=True)
class Summary:
    """What tells two series of rows apart without a look at each: their number, and sums of their values."""

    count: int
    sums: float
    states: float
    weighted: float
    """The sums, each times the hours since the beginning of the chunk."""

    def is_like(self, other: Summary) -> bool:
        """Return whether no row can differ by as much as anybody could see."""
        if self.count != other.count:
            return False
        # Each number was rounded by less than one.
        bound = max(self.count, 1)
        return (
            abs(self.sums - other.sums) <= bound
            and abs(self.states - other.states) <= bound
            and abs(self.weighted - other.weighted) <= bound * CHUNK / HOUR / 2
        )


@dataclass(frozen=True, slots=True)
class Chunk:
    """The rows of one chunk of time, in order of time; sums count from the beginning of the ledger."""

    begin: int
    before: Carry
    after: Carry
    _packed: array[int]
    """Start, state and sum of each row: ten years of them are kept in memory."""
    _whole: tuple[Summary, int]
    """The summary of all rows, and the sum of their weights."""

    @classmethod
    def of(cls, begin: int, rows: Sequence[Row], before: Carry, after: Carry) -> Chunk:
        """Take rows in order of time."""
        packed = array("q", (number for row in rows for number in (row.start, row.state, row.sum)))
        return cls(begin, before, after, packed, _added_up(begin, rows))

    @property
    def rows(self) -> list[Row]:
        """Return the rows."""
        return [Row(*self._packed[at : at + 3]) for at in range(0, len(self._packed), 3)]

    @property
    def first(self) -> Row | None:
        """Return the first row."""
        return Row(*self._packed[:3]) if self._packed else None

    @property
    def compared_from(self) -> int:
        """Return where to begin to compare: right after the last row before it, or at its own beginning."""
        return self.begin if self.before.row is None else min(self.begin, self.before.row.start + HOUR)

    def summary(self, offset: int, until: int) -> Summary:
        """Return the summary of the rows that end by some time, on top of an offset."""
        plain, hours = self._whole
        if self._packed and self._packed[-3] + HOUR > until:
            plain, hours = _added_up(self.begin, [row for row in self.rows if row.start + HOUR <= until])
        return Summary(plain.count, plain.sums + offset * plain.count, plain.states, plain.weighted + offset * hours)


def summary_of(begin: int, rows: Sequence[Row]) -> Summary:
    """Return the summary of rows of a chunk."""
    return _added_up(begin, rows)[0]


def _added_up(begin: int, rows: Sequence[Row]) -> tuple[Summary, int]:
    """Return the summary of rows, and the sum of their weights."""
    hours = [(row.start - begin) // HOUR for row in rows]
    weighted = sum(row.sum * hour for row, hour in zip(rows, hours, strict=True))
    return Summary(len(rows), sum(row.sum for row in rows), sum(row.state for row in rows), weighted), sum(hours)


def chunk_of(at: int) -> int:
    """Return the beginning of the chunk that a row which starts at some time belongs to."""
    return at - at % CHUNK


@dataclass(slots=True)
class Derivation:
    """The rows of one direction; what has not changed since the last time is not derived anew."""

    key: str
    _known: dict[int, tuple[object, Chunk]] = field(default_factory=dict)
    _left_out: set[int] = field(default_factory=set)
    """Times of counters that cannot be, of which a line in the log is enough."""

    async def chunks(self, ledger: Ledger, until: int) -> list[Chunk]:
        """Return all chunks from the first counter of the ledger to some time, a few milliseconds at a time."""
        begins = [month.begin for month in ledger.months.values() if self.key in month.counts]
        begins += [sample.at for tenure in ledger.tenures for sample in _samples(tenure) if self.key in sample.counts]
        begins += [] if (continued := ledger.continued.get(self.key)) is None else [continued.begin + 1]
        if not begins:
            return []
        carry, chunks = Carry(), []
        for begin in range(chunk_of(min(begins) - 1), until, CHUNK):
            chunk = self._chunk(ledger, begin, carry)
            if chunk is None:
                await asyncio.sleep(0)
                chunk = self._derived(ledger, begin, carry)
            chunks.append(chunk)
            carry = chunk.after
        return chunks

    def _chunk(self, ledger: Ledger, begin: int, carry: Carry) -> Chunk | None:
        about, chunk = self._known.get(begin, (None, None))
        return chunk if about == self._about(ledger, begin, carry) else None

    def _derived(self, ledger: Ledger, begin: int, carry: Carry) -> Chunk:
        chunk, left_out = _derive(self.key, ledger, begin, carry)
        for point in left_out:
            if point.at not in self._left_out:
                self._left_out.add(point.at)
                time = datetime.fromtimestamp(point.at, UTC)
                _LOGGER.debug("Left out a counter that cannot be: %s kWh at %s", point.energy / MICRO, time)
        self._known[begin] = (self._about(ledger, begin, carry), chunk)
        return chunk

    def _about(self, ledger: Ledger, begin: int, carry: Carry) -> tuple[object, ...]:
        """Return everything that the rows of a chunk depend on."""
        return (
            carry,
            [(month.meter, month.name, month.version) for month in _months(ledger, begin)],
            [
                (each.meter, each.scale, each.since, each.first, _closing(ledger, i))
                for i, each in enumerate(ledger.tenures)
            ],
            _corrections(ledger, self.key, begin),
            _continued(ledger, self.key, begin),
        )


def _samples(tenure: Tenure) -> Iterator[Sample]:
    yield from (sample for sample in (tenure.first, tenure.last) if sample is not None)


def _closing(ledger: Ledger, number: int) -> Sample | None:
    """Return what the meter of a tenure that is over showed last."""
    return None if number == len(ledger.tenures) - 1 else ledger.tenures[number].last


def _months(ledger: Ledger, begin: int) -> list[Month]:
    """Return the months of all meters that a chunk has a part of, and what comes right after it."""
    names = {f"{datetime.fromtimestamp(at, JST):%Y-%m}" for at in (begin, begin + CHUNK + AHEAD)}
    meters = {tenure.meter for tenure in ledger.tenures}
    found = (ledger.months.get((meter, name)) for meter in meters for name in names)
    return sorted((month for month in found if month is not None), key=lambda month: (month.meter, month.name))


def _corrections(ledger: Ledger, key: str, begin: int) -> dict[int, int]:
    return {hour: energy for hour, energy in ledger.corrections[key].items() if begin <= hour < begin + CHUNK}


def _continued(ledger: Ledger, key: str, begin: int) -> list[Hour]:
    """Return the hours of a chunk from before the ledger."""
    continued = ledger.continued.get(key)
    return [] if continued is None else continued.between(begin, begin + CHUNK)


@dataclass(slots=True)
class _Former:
    """The hours of a chunk from before the ledger, and how the ledger follows."""

    hours: Sequence[Hour]
    corrections: Mapping[int, int]
    _partial: Hour | None = None
    """The hour in which the first counter of the ledger is."""
    _begun: int = 0
    """Energy up to that counter."""

    def rows(self, until: int, total: int) -> list[Row]:
        """Return the rows of the hours that end by some time, on top of what was before."""
        rows: list[Row] = []
        for start, energy, state in self.hours:
            if start + HOUR <= until:
                total += self.corrections.get(start, energy)
                rows.append(Row(start, total if state == UNKNOWN else state, total))
        return rows

    def begin(self, first: Point, row: Row | None, total: int) -> int:
        """Return the total at the first counter of the ledger, with what flowed since the last row if that is known."""
        states = {start: state for start, _, state in self.hours}
        self._partial = next((hour for hour in self.hours if hour[0] < first.at < hour[0] + HOUR), None)
        if row is not None and states.get(row.start, UNKNOWN) != UNKNOWN:
            total += _flowed(row, first)
        self._begun = total
        return total

    def end(self, start: int, row: Row | None, total: int, *, is_whole: bool) -> int:
        """Return the total at the end of an hour: completed, if the ledger begins within it, and corrected by hand."""
        if self._partial is not None and self._partial[0] == start:
            total, self._partial = max(total, self._begun + self._partial[1]), None
        if start in self.corrections and is_whole:
            total = (0 if row is None else row.sum) + self.corrections[start]
        return total


def _derive(key: str, ledger: Ledger, begin: int, before: Carry) -> tuple[Chunk, list[Point]]:
    """Return the rows of the hours that begin in a chunk, and the counters that were left out."""
    months, corrections = _months(ledger, begin), _corrections(ledger, key, begin)
    total, last, first, row = before.total, before.last, before.first, before.row
    rows: dict[int, Row] = {}
    former = _Former([] if first is not None else _continued(ledger, key, begin), corrections)
    number = before.tenure
    left_out = []
    while True:
        closing = _closing(ledger, number)
        points = list(_points(key, ledger, months, number, begin, begin + CHUNK + AHEAD))
        likely = plausible(points, last)
        left_out += [] if len(likely) == len(points) else [point for point in points if point not in likely]
        for point in likely:
            if point.at > begin + CHUNK:
                break
            if last is not None:
                total += point.rise_from(last) or 0
            last = point
            if first is None:
                first = point
                rows = {each.start: each for each in former.rows(point.at, total)}
                row = next(reversed(rows.values()), row)
                total = former.begin(point, row, total if row is None else row.sum)
            elif point.at % HOUR == 0 or (closing is not None and point.at == closing.at):
                start = (point.at - 1) // HOUR * HOUR
                total = former.end(start, row, total, is_whole=point.at % HOUR == 0)
                rows[start] = Row(start, point.energy, total)
                if point.at % HOUR == 0:
                    row = rows[start]
        if number + 1 == len(ledger.tenures) or _since(ledger, number + 1) > begin + CHUNK:
            break
        number, last = number + 1, None
    if first is None:
        rows = {each.start: each for each in former.rows(begin + CHUNK, total)}
        row = next(reversed(rows.values()), row)
        total = total if row is None else row.sum
    after = Carry(total, number, last, first, row)
    return Chunk.of(begin, sorted(rows.values(), key=lambda row: row.start), before, after), left_out


def energies(ledger: Ledger, key: str, begin: int, end: int) -> dict[int, int]:
    """Return what flowed in each half-hour that begins within some time, as far as it is known.

    Where only that of an hour is known, it is divided evenly: a month that was lost, and that no meter remembers, is
    known as the recorder has it, by hours.
    """
    found: dict[int, int] = {}
    for chunk in range(chunk_of(begin), end, CHUNK):
        months = _months(ledger, chunk)
        for number in range(len(ledger.tenures)):
            points = plausible(list(_points(key, ledger, months, number, chunk - 1, chunk + CHUNK)), None)
            for before, after in pairwise(point for point in points if point.at % HALF_HOUR_SECONDS == 0):
                time = after.at - before.at
                is_of_an_hour = time == HOUR and before.at % HOUR == 0
                energy = after.rise_from(before) if time == HALF_HOUR_SECONDS or is_of_an_hour else None
                if energy is None:
                    continue
                if is_of_an_hour:
                    found[before.at], found[before.at + HALF_HOUR_SECONDS] = energy - energy // 2, energy // 2
                else:
                    found[before.at] = energy
    return {at: energy for at, energy in sorted(found.items()) if begin <= at < end}


def _since(ledger: Ledger, number: int) -> int:
    return ledger.tenures[number].since or 0


def _points(key: str, ledger: Ledger, months: Sequence[Month], number: int, low: int, high: int) -> Iterator[Point]:
    """Yield the counters of a tenure after one time and up to another, in order of time."""
    tenure = ledger.tenures[number]
    if tenure.since is not None:
        low = max(low, tenure.since)
    if number + 1 < len(ledger.tenures):
        high = min(high, _since(ledger, number + 1))
    samples = [sample for sample in (tenure.first, _closing(ledger, number)) if sample is not None]
    found = [
        Point(sample.at, sample.counts[key] * scale.step, _span(scale), scale.step)
        for sample in samples
        if (scale := tenure.scale) is not None and key in sample.counts and low < sample.at <= high
    ]
    for month in months:
        if month.meter != tenure.meter or key not in month.counts:
            continue
        counts, step, span = month.counts[key], month.scale.step, _span(month.scale)
        slots = range(
            max(0, (low - month.begin) // HALF_HOUR_SECONDS + 1),
            min(len(counts.values), (high - month.begin) // HALF_HOUR_SECONDS + 1),
        )
        found += [
            Point(
                month.begin + slot * HALF_HOUR_SECONDS,
                counts.values[slot] * step,
                span,
                step,
                counts.sources[slot] != Source.POLL,
            )
            for slot in slots
            if counts.values[slot] != UNKNOWN
        ]
    times = set()
    for point in sorted(found, key=lambda point: (point.at, not point.is_exact)):
        if point.at not in times:
            times.add(point.at)
            yield point


def _span(scale: Scale) -> int | None:
    return None if scale.span is None else scale.span * scale.step


def plausible(points: Sequence[Point], last: Point | None) -> list[Point]:
    """Leave out what one meter cannot have counted: the longest chain of counters that can be true is kept.

    `last` is the counter before them, if there is one; that the chain follows from it counts, but is no must.
    """
    known = list(points) if last is None else [last, *points]
    if all(after.rise_from(before) is not None for before, after in pairwise(known)):
        return list(points)
    lengths: list[int] = []  # Of the best chain that ends here,
    links: list[int | None] = []  # and where the one before is.
    for i, point in enumerate(known):
        best, link = 1, None
        for j in range(i - 1, max(i - 1 - LOOK_BACK, -1), -1):
            if lengths[j] >= best and point.rise_from(known[j]) is not None:
                best, link = lengths[j] + 1, j
        lengths.append(best)
        links.append(link)
    kept = set()
    place: int | None = max(range(len(known)), key=lengths.__getitem__)
    while place is not None:
        kept.add(place)
        place = links[place]
    return [point for i, point in enumerate(known) if i in kept and point is not last]


@dataclass(frozen=True, slots=True)
class Wanted:
    """All rows that the recorder should have of one direction."""

    chunks: Sequence[Chunk]
    offset: int
    """What the sums of the recorder were before the ledger begins."""
    until: int
    """The end of the last hour that the recorder has compiled; a row that came earlier would cost others theirs."""
    continued: Continued | None = None
    """What is there before the ledger."""

    @property
    def first(self) -> Point | None:
        """Return the first counter."""
        return first_of(self.chunks)

    @property
    def begin(self) -> int | None:
        """Return from when on the rows are derived; those that end by then are not touched."""
        return begin_of(self.continued, self.first)

    @property
    def end(self) -> Carry:
        """Return where the sums stand now, without the offset."""
        return self.chunks[-1].after if self.chunks else Carry()

    def rows(self, chunk: Chunk) -> list[Row]:
        """Return the rows of a chunk as they should be."""
        return [
            Row(row.start, row.state, row.sum + self.offset) for row in chunk.rows if row.start + HOUR <= self.until
        ]


def first_of(chunks: Sequence[Chunk]) -> Point | None:
    """Return the first counter of the ledger, which the last of all chunks knows."""
    return next((chunk.after.first for chunk in reversed(chunks)), None)


def begin_of(continued: Continued | None, first: Point | None) -> int | None:
    """Return when the rows begin that are derived, with hours from before the ledger or with its first counter."""
    begins = [] if first is None else [first.at]
    return min(begins if continued is None else [*begins, continued.begin], default=None)


def offset_of(before: Row | None, first: Point | None) -> int:
    """Return what the sums begin with: the recorder's last row before the ledger, and what flowed up to there."""
    if before is None:
        return 0
    return before.sum + (0 if first is None else _flowed(before, first))


def _flowed(before: Row, first: Point) -> int:
    """Return what flowed between the end of a row and a counter within the next hour, if both can be of one meter."""
    if not 0 <= first.at - before.start - HOUR < HOUR:
        return 0  # Of whose counter it is, nobody knows.
    joined = Point(before.start + HOUR, before.state, first.span, first.step, is_exact=False)
    return first.rise_from(joined) or 0


def surplus(wanted: Wanted, chunk: Chunk, recorded: Sequence[Row]) -> list[int]:
    """Return the hours from before the ledger that the recorder has and should not have."""
    continued, first = wanted.continued, wanted.first
    if continued is None:
        return []
    end = continued.end if first is None else min(continued.end, first.at)
    due = {row.start for row in chunk.rows}
    starts = (row.start for row in recorded if continued.begin <= row.start and row.start + HOUR <= end)
    return [start for start in starts if start not in due]


def differences(wanted: Wanted, chunk: Chunk, recorded: Sequence[Row], following: Row | None) -> list[Row]:
    """Return the rows of a chunk that have to be written: the recorder lacks them, or has them otherwise.

    Rows of hours whose end the ledger does not know keep their state if it fits between its neighbours: those before
    the chunk, back to the last one that the ledger knows, belong to `recorded`; `following` is the first row after it.
    """
    first, begin = wanted.first, wanted.begin
    if begin is None:
        return []
    due = {row.start: row for row in wanted.rows(chunk)}
    there = {row.start: row for row in recorded if begin < row.start + HOUR <= wanted.until}
    before = chunk.before.row
    last = None if before is None else Row(before.start, before.state, before.sum + wanted.offset)
    ends = sorted(due)
    changed = []
    for start in sorted({*due, *there}):
        row = due.get(start)
        if row is None:
            if first is None or start + HOUR <= first.at:
                continue  # Of before the ledger.
            if last is not None and last.start + HOUR <= first.at:
                last = Row(first.at - HOUR, first.energy, last.sum)
            after = due[ends[place]] if (place := bisect_left(ends, start)) < len(ends) else following
            row = _between(last, there[start], after, wanted)
        if start not in there or not row.is_like(there[start]):
            changed.append(row)
        last = row
    return changed


def _between(last: Row | None, row: Row, after: Row | None, wanted: Wanted) -> Row:
    """Return what an hour should be whose end only the recorder knows."""
    flat = Row(row.start, row.state if last is None else last.state, wanted.offset if last is None else last.sum)
    end = wanted.end.last
    if last is None or end is None:
        return flat
    points = [Point(each.start + HOUR, each.state, end.span, end.step, is_exact=False) for each in (last, row)]
    risen = points[1].rise_from(points[0])
    if risen is None:
        return flat
    if after is not None:
        rest = Point(after.start + HOUR, after.state, end.span, end.step).rise_from(points[1])
        if rest is None or abs(risen + rest - (after.sum - last.sum)) > NOTHING:
            return flat
    return Row(row.start, row.state, last.sum + risen)


def corrections_of(
    wanted: Sequence[Row], recorded: Mapping[int, Row], boundaries: Sequence[int], verified: int, shift: int
) -> dict[int, int]:
    """Return the energy of the hours that a person has corrected since the rows were seen to be right.

    Home Assistant's correction adds a number to the sums of all rows from an hour on, those of five minutes included:
    their `shift` has to be the same. `verified` is the end of the last hour that was seen to be right, `boundaries`
    are the times at which another meter took over.
    """
    steps: list[tuple[int, int, int]] = []  # Hour, energy as it should be, how much it is off by.
    matched = [
        (row, recorded[row.start].sum - row.sum)
        for row in wanted
        if row.start + HOUR <= verified
        and row.start in recorded
        and abs(recorded[row.start].state - row.state) <= NOTHING
    ]
    for (before, off_before), (row, off) in pairwise(matched):
        is_joint = any(before.start <= boundary <= row.start + 2 * HOUR for boundary in boundaries)
        if row.start - before.start == HOUR and abs(off - off_before) > NOTHING and not is_joint:
            steps.append((row.start, row.sum - before.sum, off - off_before))
    steps = _without_spikes(steps)
    if abs(sum(step for _, _, step in steps) - shift) > NOTHING * (len(steps) + 1):
        return {}
    return {hour: energy + step for hour, energy, step in steps}


def _without_spikes(steps: Sequence[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
    """Leave out single rows that are off: no correction does that."""
    kept: list[tuple[int, int, int]] = []
    for step in steps:
        if kept and step[0] - kept[-1][0] == HOUR and abs(step[2] + kept[-1][2]) <= NOTHING:
            kept.pop()
        else:
            kept.append(step)
    return kept


def shift_of(wanted: Wanted, latest: Row) -> int | None:
    """Return by how much a row of five minutes is off; `None` if its state is none that this meter can have had."""
    end = wanted.end
    if end.last is None:
        return None
    total = end.total + wanted.offset
    shown = Point(latest.start + PERIOD, latest.state, end.last.span, end.last.step, is_exact=False)
    if shown.at >= end.last.at and (risen := shown.rise_from(end.last)) is not None:
        return latest.sum - total - risen
    if (risen := end.last.rise_from(shown)) is not None:
        return latest.sum - total + risen
    # As old as may be: the recorder repeats the last state that it knows.
    return 0 if abs(latest.sum - latest.state - (total - end.last.energy)) <= NOTHING else None


def running(wanted: Wanted, rows: Sequence[Row], since: int | None, slot: int) -> list[Row]:
    """Return the rows of five minutes that have to be written, so that the recorder counts on from the truth.

    `rows` are the newest ones, `since` is when this meter took over, `slot` the start of the last row that the recorder
    has compiled. Where no row can be of this meter, the recorder is made to count on from the last known counter.
    """
    end = wanted.end
    if end.last is None:
        return []
    anchor = Row(rows[-1].start if rows else slot, end.last.energy, end.total + wanted.offset)
    if not rows or (since is not None and rows[-1].start < since):
        return [] if rows and rows[-1].is_like(anchor) else [anchor]
    latest = rows[-1]
    shift = shift_of(wanted, latest)
    if shift is None:
        return [anchor]
    if abs(shift) <= NOTHING:
        return []
    shifts = ((row, shift_of(wanted, row)) for row in rows if since is None or row.start >= since)
    run = [row for row, off in shifts if off is not None and abs(off - shift) <= NOTHING]
    return [Row(row.start, row.state, row.sum - shift) for row in run]
