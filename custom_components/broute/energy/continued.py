"""The history of another sensor under that of ours: what can be taken of its hours; pure arithmetic.

Energies are millionths of a kWh, times are seconds since 1970, as in statistics.py.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from .ledger import MICRO, UNKNOWN, Continued, Hour
from .statistics import HOUR, LOOK_BACK, Point, Row

STEP: Final = MICRO
"""Some counters know whole kWh only."""


@dataclass(frozen=True, slots=True)
class Former:
    """An hour of another sensor's statistics."""

    start: int
    sum: int


@dataclass(frozen=True, slots=True)
class Preview:
    """What comes before the ledger, in brief."""

    continued: Continued
    hours: int
    """So many are copied."""
    energy: int
    begin: int
    end: int
    """The end of the last hour that is copied."""
    joint: int
    """Where ours begin."""
    left_out: int
    """So many of the other sensor's hours are not copied: no household can have used what they show."""


def believable(rows: Sequence[Former]) -> Iterator[tuple[int, int]]:
    """Yield start and energy of the hours of a sum, in order of time, as far as it can be true.

    The bar of an hour is its sum less that of the row before, as in the Energy dashboard. A sum that falls or leaps and
    comes back within some rows was wrong in these; one that stays where it is began anew: what flowed meanwhile is not
    known. The first row has its sum as its energy if it began at zero.
    """
    if not rows:
        return
    before = Former(rows[0].start - HOUR, 0)
    for place, row in enumerate(rows):
        energy = _flowed(before, row)
        if energy is not None:
            yield row.start, energy
            # A counter that stood still for days, as its source was not heard, may show all of them at once.
            before = row if energy else before
        elif not any(_flowed(before, later) is not None for later in rows[place + 1 : place + 1 + LOOK_BACK]):
            before = row


def _flowed(before: Former, row: Former) -> int | None:
    """Return the energy between two rows, `None` if so much cannot have flowed."""
    points = [Point(each.start, each.sum, None, STEP, is_exact=False) for each in (before, row)]
    return points[1].rise_from(points[0])


def own_hours(rows: Sequence[Row], last: int = 0) -> list[Hour]:
    """Return the hours of a statistic of ours as they are, where its sum was `last` before them."""
    hours = [(rows[0].start, rows[0].sum - last, rows[0].state)] if rows else []
    return hours + [(row.start, row.sum - former.sum, row.state) for former, row in pairwise(rows)]


def continuing(
    statistic_id: str, theirs: Sequence[Former], own: Sequence[Hour], first: int, former: Continued | None
) -> Preview | None:
    """Return what comes before the ledger if another sensor is continued; `None` if it has nothing from before.

    `own` are the hours from before the ledger that ours had already, `first` is the first counter of the ledger,
    `former` what is there at present.
    """
    joint = min(first, own[0][0]) if own else first
    # The hour in which ours begins is completed by theirs.
    earlier = [row for row in theirs if row.start < joint]
    hours = list(believable(earlier))
    if not hours:
        return None
    begin = hours[0][0] if former is None else min(hours[0][0], former.begin)
    end = first if former is None else max(first, former.end)
    copied: list[Hour] = [(start, energy, UNKNOWN) for start, energy in hours]
    continued = Continued.of(statistic_id, begin, end, [*copied, *own])
    # A first row that does not begin at zero says no more than where the sum begins.
    return preview_of(continued, first, left_out=len(earlier) - len(hours) - (earlier[0].start < hours[0][0]))


def preview_of(continued: Continued, first: int, *, left_out: int = 0) -> Preview | None:
    """Return in brief what is copied; `None` if that is nothing. `first` is the first counter of the ledger."""
    joint = min(first, continued.own[0][0]) if continued.own else first
    hours = [hour for hour in continued.copied if hour[0] < joint]
    if not hours:
        return None
    return Preview(
        continued=continued,
        hours=len(hours),
        energy=sum(energy for start, energy, _ in hours if start + HOUR <= joint),
        begin=hours[0][0],
        end=min(hours[-1][0] + HOUR, joint),
        joint=joint,
        left_out=left_out,
    )


def undone(continued: Continued) -> Continued:
    """Return what comes before the ledger if no other sensor is continued any more."""
    return Continued.of(None, continued.begin, continued.end, continued.own)


def adopted(continued: Continued, rows: Sequence[Row]) -> Continued | None:
    """Return what comes before the ledger if the recorder has hours of ours after it; `None` if there are none."""
    before = [row for row in rows if row.start < continued.end]
    after = [row for row in rows if row.start >= continued.end]
    if not after:
        return None
    hours = own_hours(after, (before[-1] if before else after[0]).sum)
    known = continued.between(continued.begin, continued.end)
    return Continued.of(continued.statistic_id, continued.begin, after[-1].start + HOUR, [*known, *hours])
