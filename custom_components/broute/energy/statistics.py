"""What the meter remembers against what the recorder has: pure arithmetic, see docs/energy.md.

The recorder keeps a row for each hour: the counter's state at its end, and a sum; the bar of an hour in the Energy
dashboard is its sum less the sum of the row before.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise
import logging
from typing import Final

_LOGGER = logging.getLogger(__name__)

HOUR: Final = timedelta(hours=1)

FASTEST: Final = Decimal(50)
"""kWh in an hour; from 50 kW on, a customer gets no low-voltage supply, and no meter of this kind."""

LOOK_BACK: Final = 8
"""So many wrong values in a row are recognized."""

NOTHING: Final = Decimal("0.000001")
"""kWh; the recorder counts in binary, and what is less is its rounding."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the recorder, for an hour or for five minutes; kWh."""

    start: datetime
    state: Decimal
    sum: Decimal

    @property
    def end(self) -> datetime:
        """Return the end of the hour."""
        return self.start + HOUR

    @property
    def base(self) -> Decimal:
        """Return what is the same in all rows that were counted on from one another."""
        return self.sum - self.state


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """What the recorder has of one counter, in order of time."""

    rows: Sequence[Row]
    """Hours: from some days before the first known counter on; the recorder fills in what it missed while it was off,
    with a state that may be older than what was imported, and makes a negative bar of it.
    """
    running: Sequence[Row]
    """Five minutes each; the recorder counts on from the last one."""
    compiled: datetime
    """Up to here the recorder has made its own rows; a row that is imported before it has costs others theirs."""


@dataclass(frozen=True, slots=True)
class Adjustment:
    """A number that is added to the sums of all rows from a time on."""

    start: datetime
    energy: Decimal


@dataclass(frozen=True, slots=True)
class Plan:
    """What makes the recorder's rows true: first the adjustment, then the rows."""

    adjustment: Adjustment | None
    rows: Sequence[Row]


@dataclass(frozen=True, slots=True)
class Counter:
    """How a meter counts."""

    span: Decimal | None
    """kWh after which it begins again at zero."""
    since: datetime | None = None
    """When this meter took the place of another one; the other one's rows end here."""

    def has_counted(self, time: datetime) -> bool:
        """Return whether it was this meter already."""
        return self.since is None or time >= self.since

    def rise(self, before: Decimal, after: Decimal, time: timedelta) -> Decimal | None:
        """Return the energy between two states; `None` if so much cannot have flowed in this time."""
        energy = after - before
        if energy < 0 and self.span is not None:
            energy += self.span
        return energy if 0 <= energy <= FASTEST * Decimal(time / HOUR) else None

    def plausible(self, known: Mapping[datetime, Decimal]) -> dict[datetime, Decimal]:
        """Leave out what this meter cannot have counted: the longest chain of values that can be true is kept."""
        times = sorted(time for time in known if self.has_counted(time))
        chains: list[tuple[int, int | None]] = []  # Length of the best chain that ends here, and the link before.
        for i, time in enumerate(times):
            best: tuple[int, int | None] = (1, None)
            for j in range(i - 1, max(i - 1 - LOOK_BACK, -1), -1):
                if chains[j][0] >= best[0] and self.rise(known[times[j]], known[time], time - times[j]) is not None:
                    best = (chains[j][0] + 1, j)
            chains.append(best)
        kept = set()
        link = max(range(len(times)), key=lambda i: chains[i][0], default=None)
        while link is not None:
            kept.add(link)
            link = chains[link][1]
        for i, time in enumerate(times):
            if i not in kept:
                _LOGGER.debug("Left out a counter that cannot be: %s kWh at %s", known[time], time)
        return {time: known[time] for i, time in enumerate(times) if i in kept}


def plan(recorded: Recorded, known: Mapping[datetime, Decimal], counter: Counter, *, overrule: bool = False) -> Plan:
    """Return what brings the recorder's rows into line with the meter's plausible counters at full hours.

    An hour of which the meter knows only the end takes the energy since the last that is known: it must not be lost,
    and not be heaped onto an hour that is known. Hours that somebody has corrected by hand keep their energy, unless
    they are to be overruled.
    """
    if not known:
        return Plan(None, ())
    course = _course(recorded, known, counter, overrule=overrule)
    adjustment = _adjustment(recorded, course, counter)
    wanted = []
    last = course.points[0].sum
    for point in course.points:
        row = course.rows.get(point.time)
        if row is not None:
            if adjustment is not None and row.start >= adjustment.start:
                row = replace(row, sum=row.sum + adjustment.energy)
            is_wanted = max(abs(row.sum - point.sum), abs(row.state - point.state)) > NOTHING
        else:
            is_closed = point.time <= recorded.compiled
            is_wanted = is_closed and (point.time - HOUR in known or point.sum - last > NOTHING)
        if is_wanted:
            wanted.append(Row(point.time - HOUR, point.state, point.sum))
        last = point.sum
    return Plan(adjustment, wanted)


@dataclass(frozen=True, slots=True)
class _Point:
    """What is true at the end of an hour."""

    time: datetime
    state: Decimal
    sum: Decimal
    is_known: bool = False
    """Whether the state is the meter's at just this time; the recorder's are of some moment before."""
    is_likely: bool = True
    """Whether the counter can have had this state."""

    @property
    def base(self) -> Decimal:
        return self.sum - self.state


@dataclass(frozen=True, slots=True)
class _Course:
    """The true sums, and the rows of the recorder that they concern, by the ends of the hours."""

    points: Sequence[_Point]
    rows: Mapping[datetime, Row]


def _course(recorded: Recorded, known: Mapping[datetime, Decimal], counter: Counter, *, overrule: bool) -> _Course:
    """Count on from the row before: by the meter, and by the recorder's own states where it has no value."""
    total = Decimal(0)
    rows: dict[datetime, Row] = {}
    for row in recorded.rows:
        if counter.since is not None and row.end <= counter.since:
            total = row.sum  # Another meter's: its sum goes on, its state does not.
        else:
            rows[row.end] = row
    last: _Point | None = None
    for end in sorted(rows)[:1]:
        if end <= min(known):
            total = rows[end].sum
            last = _Point(end, rows[end].state, total)
    corrections = {} if overrule else _corrections(rows.values())
    times = sorted(known)
    points = []
    for time in sorted({*rows, *known}):
        is_known = time in known
        state = known[time] if is_known else rows[time].state
        slack = timedelta(0) if is_known and last is not None and last.is_known else HOUR
        energy = Decimal(0) if last is None else counter.rise(last.state, state, time - last.time + slack)
        following = times[bisect_right(times, time) :][:1]
        if not is_known and any(counter.rise(state, known[end], end - time + HOUR) is None for end in following):
            energy = None
        is_likely = is_known or energy is not None
        if not is_likely and last is not None:
            state = last.state
        total += corrections.get(time, energy or Decimal(0))
        point = _Point(time, state, total, is_known, is_likely)
        points.append(point)
        # A state that has not changed may be as old as its first row.
        if is_known or last is None or state != last.state:
            last = point
    return _Course(points, rows)


def _corrections(rows: Iterable[Row]) -> dict[datetime, Decimal]:
    """Return the energy of hours whose sum was changed by hand.

    The recorder itself adds what the state has risen by; it does not if the state falls, or where it begins at zero.
    """
    corrections = {}
    for row, after in pairwise(sorted(rows, key=lambda row: row.start)):
        risen = after.state - row.state
        begins = 0 <= after.sum <= risen + NOTHING
        if row.end == after.start and risen >= 0 and not begins and abs(after.base - row.base) > NOTHING:
            corrections[after.end] = after.sum - row.sum
    return corrections


def _adjustment(recorded: Recorded, course: _Course, counter: Counter) -> Adjustment | None:
    """Return what the recorder's own counting is wrong by, from the first row that is wrong by as much."""
    running = [row for row in recorded.running if counter.has_counted(row.start)]
    newest = max((point for point in course.points if point.time in course.rows), key=lambda p: p.time, default=None)
    if newest is not None and newest.is_likely:
        row = course.rows[newest.time]
        is_same_run = not running or running[0].start < row.end or abs(running[-1].base - row.base) <= NOTHING
        if is_same_run:
            return _of_run(course, newest.base - row.base)
    if not running:
        return None
    latest = running[-1]
    near = max(
        (point for point in course.points if point.time <= latest.start),
        key=lambda point: point.time,
        default=course.points[0],
    )
    time = abs(latest.start - near.time) + HOUR
    rise = counter.rise(near.state, latest.state, time)
    if rise is None:
        # The recorder fills rows in with a state that may be days old.
        seen = min((row.start for row in recorded.rows if row.state == latest.state), default=latest.start)
        rise = -(counter.rise(latest.state, near.state, max(time, near.time - seen + HOUR)) or Decimal(0))
    start = next((row.start for row in running if abs(row.base - latest.base) <= NOTHING), latest.start)
    return _worth_while(Adjustment(start, near.sum + rise - latest.sum))


def _of_run(course: _Course, energy: Decimal) -> Adjustment | None:
    start = None
    for point in reversed(course.points):
        row = course.rows.get(point.time)
        if row is None:
            continue
        if abs(point.base - row.base - energy) > NOTHING:
            break
        start = row.start
    return None if start is None else _worth_while(Adjustment(start, energy))


def _worth_while(adjustment: Adjustment) -> Adjustment | None:
    return adjustment if abs(adjustment.energy) > NOTHING else None
