"""The ledger: the meter's own counter at each half-hour, for each meter and direction, kept for good.

Everything that comes after it is derived from it and can be thrown away: see docs/energy.md.
"""

from array import array
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import IntEnum
import logging
import sys
from typing import Final

from ..aiobroute import JST, MeterProfile

_LOGGER = logging.getLogger(__name__)

ENERGY_IN: Final = "energy_in"
ENERGY_OUT: Final = "energy_out"
DIRECTIONS: Final = (ENERGY_IN, ENERGY_OUT)
"""What a meter counts; the names are also those of the sensors."""

HALF_HOUR: Final = timedelta(minutes=30)
HALF_HOUR_SECONDS: Final = 1800
SLOTS: Final = 48
"""Half-hours in a day; Japan has no summer time."""

MICRO: Final = 1_000_000
"""Millionths of a kWh in a kWh: energies are whole numbers of them, so that adding up ten years is exact and quick."""

UNKNOWN: Final = -1
"""Instead of a count."""

FUTURE: Final = timedelta(minutes=10)
"""By how much a meter's clock may be ahead of ours."""

LATE: Final = timedelta(minutes=45)
"""How old a counter may be that a meter announces as its newest."""


class Source(IntEnum):
    """Who told a counter; the higher one wins."""

    NOBODY = 0
    POLL = 1
    """The last reading before the half-hour."""
    PUSH = 2
    """Announced by the meter, or asked for as its newest counter at a fixed time (APPX EA, EB)."""
    HISTORY = 3
    """The meter's memory (APPX E2, E4, EC)."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How a meter counts."""

    step: int
    """Millionths of a kWh in one count."""
    span: int | None
    """Counts after which the counter begins again at zero."""

    @classmethod
    def of(cls, profile: MeterProfile) -> Scale | None:
        """Take it from what the meter tells of itself; `None` if it does not tell the unit of its counters."""
        step = profile.energy(1)
        if step is None:
            return None
        return cls(int(step * MICRO), None if profile.digits is None else 10**profile.digits)

    def count(self, energy: Decimal) -> int:
        """Return the count that stands for some kWh."""
        return int(energy * MICRO) // self.step


@dataclass(frozen=True, slots=True)
class Sample:
    """What a meter counted at a moment that is no half-hour."""

    at: int
    """Seconds since 1970."""
    counts: Mapping[str, int]


@dataclass(slots=True)
class Tenure:
    """The time in which one meter was in its place."""

    meter: str
    """Its MAC."""
    scale: Scale | None = None
    """How it counts; `None` until it was first heard."""
    since: int | None = None
    """When the meter before it was last heard, seconds since 1970: what this one counted until then was elsewhere."""
    first: Sample | None = None
    """When it was first heard."""
    last: Sample | None = None
    """When it was last heard."""
    oldest: dict[str, tuple[int, int]] = field(default_factory=dict)
    """The first half-hour that was ever known of each direction, and its count: they outlive the file of that month."""


@dataclass(slots=True)
class Counts:
    """The counters of one meter and direction in one month, a place for each half-hour."""

    values: array[int]
    sources: bytearray
    answered: bytearray
    """1 where the meter's memory was asked and has no value."""

    @classmethod
    def of(cls, slots: int) -> Counts:
        """Return a month of which nothing is known."""
        return cls(array("q", [UNKNOWN]) * slots, bytearray(slots), bytearray(slots))


@dataclass(slots=True)
class Month:
    """What one meter counted in one month of the Japanese calendar."""

    meter: str
    year: int
    month: int
    scale: Scale
    counts: dict[str, Counts] = field(default_factory=dict)
    version: int = 0
    """Changes with each change of the counters."""
    begin: int = field(init=False)
    """The first half-hour, in seconds since 1970."""
    days: int = field(init=False)

    def __post_init__(self) -> None:
        """Take begin and length from the calendar."""
        following = date(self.year + self.month // 12, self.month % 12 + 1, 1)
        self.begin = int(datetime(self.year, self.month, 1, tzinfo=JST).timestamp())
        self.days = (following - date(self.year, self.month, 1)).days

    @property
    def name(self) -> str:
        """Return the month as in 2026-11."""
        return f"{self.year:04}-{self.month:02}"

    def direction(self, key: str) -> Counts:
        """Return the counters of one direction."""
        if key not in self.counts:
            self.counts[key] = Counts.of(self.days * SLOTS)
        return self.counts[key]


type Hour = tuple[int, int, int]
"""Start in seconds since 1970, energy, and state of the counter at its end, or `UNKNOWN`; millionths of a kWh."""


@dataclass(frozen=True, slots=True)
class Continued:
    """Hours of one direction from before the ledger: of another sensor first, then what the recorder had of ours."""

    statistic_id: str | None
    """Whose hours were copied; `None` if they are to go again."""
    begin: int
    """Seconds since 1970; from here on, the recorder is to have these hours and no others."""
    end: int
    """Up to here; the ledger may begin earlier by now."""
    starts: array[int]
    """Of each hour, in order of time."""
    energies: array[int]
    """Of each hour, millionths of a kWh."""
    states: array[int]
    """What our counter showed at the end of each hour; `UNKNOWN` for one that was copied."""

    @classmethod
    def of(cls, statistic_id: str | None, begin: int, end: int, hours: Sequence[Hour]) -> Continued:
        """Take hours in order of time."""
        columns = [array("q", (hour[place] for hour in hours)) for place in range(3)]
        return cls(statistic_id, begin, end, *columns)

    def between(self, begin: int, end: int) -> list[Hour]:
        """Return the hours that begin within some time."""
        some = slice(bisect_left(self.starts, begin), bisect_left(self.starts, end))
        return list(zip(self.starts[some], self.energies[some], self.states[some], strict=True))

    @property
    def own(self) -> list[Hour]:
        """Return the hours that the recorder had of ours."""
        return [hour for hour in self.between(self.begin, self.end) if hour[2] != UNKNOWN]

    @property
    def copied(self) -> list[Hour]:
        """Return the hours of the other sensor."""
        return [hour for hour in self.between(self.begin, self.end) if hour[2] == UNKNOWN]


@dataclass(frozen=True, slots=True)
class Lost:
    """A part of a month in which a meter was in its place, and of which counters are lost; seconds since 1970."""

    tenure: Tenure
    begin: int
    end: int
    """The last second of it."""


@dataclass(slots=True)
class Ledger:
    """All that was ever known of the meters of one place."""

    tenures: list[Tenure] = field(default_factory=list)
    """One after the other; a meter may come back."""
    months: dict[tuple[str, str], Month] = field(default_factory=dict)
    """By meter and name of the month."""
    corrections: dict[str, dict[int, int]] = field(default_factory=lambda: {key: {} for key in DIRECTIONS})
    """Hours that a person gave another energy: by their start in seconds since 1970, millionths of a kWh."""
    continued: dict[str, Continued] = field(default_factory=dict)
    """What was there before it, by direction."""
    damaged: set[tuple[str, str]] = field(default_factory=set)
    """Months of which a file could not be read, whatever is known of them since."""
    changed: set[tuple[str, str]] = field(default_factory=set)
    """Months that are not on disk as they are here."""
    is_index_changed: bool = False
    """Whether tenures or corrections are not on disk as they are here."""
    is_continued_changed: bool = False
    """The same of what was there before it."""

    @property
    def tenure(self) -> Tenure | None:
        """Return that of the present meter."""
        return self.tenures[-1] if self.tenures else None

    def begin(self, meter: str) -> bool:
        """Make a meter the present one; return whether it was not before.

        What the one before it counted ends where it was last heard.
        """
        before = self.tenure
        if before is not None and before.meter == meter:
            return False
        since = None if before is None else self._last_heard(before)
        self.tenures.append(Tenure(meter, since=since))
        self.is_index_changed = True
        return True

    def find_tenures(self) -> None:
        """Conclude from the months alone which meters were there, and when one took over from another."""
        newest = {month.meter: 0 for month in self.months.values()}
        for month in self.months.values():
            if (slots := _known(month)) is not None:
                newest[month.meter] = max(newest[month.meter], month.begin + slots[1] * HALF_HOUR_SECONDS)
        for meter in sorted(newest, key=newest.__getitem__):
            self.begin(meter)

    def hear(self, at: datetime, counts: Mapping[str, int], scale: Scale) -> None:
        """Take what the present meter shows just now."""
        tenure = self.tenures[-1]
        self._rescale(tenure, scale)
        sample = Sample(int(at.timestamp()), dict(counts))
        if tenure.first is None:
            tenure.first = sample
            self.is_index_changed = True
        tenure.last = sample

    def put(
        self,
        key: str,
        start: datetime,
        count: int,
        source: Source,
        scale: Scale,
        *,
        now: datetime,
        overrule: bool = False,
    ) -> bool:
        """Take the present meter's counter at a half-hour; return whether anything is new.

        The better source wins, and of equal ones the first, unless it is to be overruled.
        """
        at = int(start.timestamp())
        if at % HALF_HOUR_SECONDS:
            _LOGGER.debug("Left out a counter that is not of a half-hour: %s", start)
            return False
        if start > now + FUTURE or (source is Source.PUSH and start < now - LATE):
            _LOGGER.debug("Left out a counter of another time: %s", start)
            return False
        month, slot = self._place(self.tenures[-1].meter, at, scale)
        counts = month.direction(key)
        known = Source(counts.sources[slot])
        if known > source or (known == source and not overrule):
            if known >= Source.PUSH and counts.values[slot] != count:
                _LOGGER.debug("Left out a counter that differs from a better one: %s, %s", start, count)
            return False
        if (counts.values[slot], known) == (count, source):
            return False
        counts.values[slot], counts.sources[slot], counts.answered[slot] = count, source, 0
        self._touch(month)
        return True

    def put_none(self, key: str, start: datetime, scale: Scale) -> None:
        """Take note that the present meter's memory has no value of a half-hour."""
        month, slot = self._place(self.tenures[-1].meter, int(start.timestamp()), scale)
        counts = month.direction(key)
        if counts.sources[slot] < Source.HISTORY and not counts.answered[slot]:
            counts.answered[slot] = 1
            self._touch(month)

    def nones(self, key: str, day: date) -> int:
        """Return of how many half-hours of a Japanese day the present meter's memory has no value."""
        month = self.months.get((self.tenures[-1].meter, f"{day:%Y-%m}"))
        if month is None or key not in month.counts:
            return 0
        begin = (day.day - 1) * SLOTS
        return sum(month.counts[key].answered[begin : begin + SLOTS])

    def forget_none(self, key: str, day: date) -> None:
        """Mark a day that had half-hours without a value as to be read again."""
        tenure = self.tenures[-1]
        month = self.months.get((tenure.meter, f"{day:%Y-%m}"))
        if month is not None and key in month.counts:
            begin = (day.day - 1) * SLOTS
            month.counts[key].answered[begin : begin + SLOTS] = bytes(SLOTS)

    def holes(self, key: str, day: date) -> list[int]:
        """Return the half-hours of a Japanese day for which the present meter's memory is still to be asked."""
        tenure = self.tenures[-1]
        month = self.months.get((tenure.meter, f"{day:%Y-%m}"))
        if month is None or key not in month.counts:
            times = list(half_hours(day))
        else:
            counts, first = month.counts[key], (day.day - 1) * SLOTS
            times = [
                month.begin + slot * HALF_HOUR_SECONDS
                for slot in range(first, first + SLOTS)
                if counts.sources[slot] < Source.PUSH and not counts.answered[slot]
            ]
        return times if tenure.since is None else [at for at in times if at > tenure.since]

    def lost(self, key: str, until: int) -> list[Lost]:
        """Return the parts of months in which a meter was in its place, and that are damaged, or over and not known."""
        found = []
        for tenure, end in zip(self.tenures, self._ends(until), strict=True):
            since = self._began(tenure)
            if tenure.scale is None or since is None:
                continue
            for begin, following, name in _calendar(since, end):
                part = Lost(tenure, max(begin, since), min(following - 1, end))
                month = self.months.get((tenure.meter, name))
                is_known = month is not None and key in month.counts
                if (tenure.meter, name) in self.damaged or (part.end < until and not is_known):
                    found.append(part)
        return found

    def note_oldest(self) -> None:
        """Keep the first half-hour that is known of each meter in its place."""
        for tenure, end in zip(self.tenures, self._ends(sys.maxsize), strict=True):
            months = [month for month in self.months.values() if month.meter == tenure.meter]
            for key in DIRECTIONS:
                known = (
                    counter
                    for month in sorted(months, key=lambda month: month.begin)
                    if key in month.counts
                    for counter in _counters(month, month.counts[key])
                )
                found = next(((at, count) for at, count in known if (tenure.since or 0) < at <= end), None)
                if found is not None and (key not in tenure.oldest or found[0] < tenure.oldest[key][0]):
                    tenure.oldest[key] = found

    def recall(self, key: str, lost: Lost, energies: Mapping[int, int]) -> None:
        """Take what the recorder has of a meter whose own counters are lost: by time, in millionths of a kWh."""
        tenure = lost.tenure
        for at, energy in energies.items():
            # Where a meter took over, the counter is still that of the one before.
            if lost.begin <= at <= lost.end and at != tenure.since:
                self._recall(key, tenure, at, energy)
        # The recorder has no row that ends with the first counter of all.
        if tenure.scale is not None and key in tenure.oldest:
            at, count = tenure.oldest[key]
            if lost.begin <= at <= lost.end:
                self._recall(key, tenure, at, count * tenure.scale.step)

    def _recall(self, key: str, tenure: Tenure, at: int, energy: int) -> None:
        scale = tenure.scale
        if scale is None or at % HALF_HOUR_SECONDS or energy % scale.step:
            return
        month, slot = self._place(tenure.meter, at, scale)
        counts = month.direction(key)
        if counts.sources[slot] == Source.NOBODY:
            counts.values[slot], counts.sources[slot] = energy // scale.step, Source.POLL
            self._touch(month)

    def _began(self, tenure: Tenure) -> int | None:
        """Return from when on a meter is known to have been in its place."""
        if tenure.since is not None:
            return tenure.since
        times = [at for at, _ in tenure.oldest.values()]
        times += [] if tenure.first is None else [tenure.first.at]
        # What is before the first half-hour that was ever known was not this one's to count.
        months = [month.begin for month in self.months.values() if month.meter == tenure.meter]
        return min(times if tenure.oldest else [*times, *months], default=None)

    def _ends(self, until: int) -> list[int]:
        """Return when each tenure ends."""
        return [*(tenure.since or 0 for tenure in self.tenures[1:]), until][: len(self.tenures)]

    def energy(self, key: str, at: int) -> Decimal | None:
        """Return what the present meter counted at a half-hour, in kWh; `None` if that is not known."""
        found = None if self.tenure is None else self._find(self.tenure.meter, at)
        if found is None or key not in found[0].counts:
            return None
        month, slot = found
        count = month.counts[key].values[slot]
        return None if count == UNKNOWN else Decimal(count * month.scale.step) / MICRO

    def correct(self, key: str, hour: int, energy: int | None) -> None:
        """Keep the energy that a person gave an hour, or give it back that of the meter."""
        corrections = self.corrections[key]
        if corrections.get(hour) != energy:
            self.is_index_changed = True
        if energy is None:
            corrections.pop(hour, None)
        else:
            corrections[hour] = energy

    def begin_with(self, key: str, continued: Continued | None) -> None:
        """Set what is there before the ledger; corrections by hand of hours that were copied go with these."""
        before = self.continued.pop(key, None)
        if continued is not None:
            self.continued[key] = continued
        is_same = before is not None and continued is not None and before.statistic_id == continued.statistic_id
        for hour, _, _ in () if before is None or is_same else before.copied:
            self.correct(key, hour, None)
        self.is_continued_changed |= before != continued

    def oldest(self) -> datetime | None:
        """Return the first half-hour of which any counter is known."""
        for month in sorted(self.months.values(), key=lambda month: month.begin):
            if (slots := _known(month)) is not None:
                return datetime.fromtimestamp(month.begin + slots[0] * HALF_HOUR_SECONDS, UTC)
        return None

    def _last_heard(self, tenure: Tenure) -> int | None:
        """Return when a meter was last heard, or the newest half-hour that it told."""
        months = [month for month in self.months.values() if month.meter == tenure.meter]
        times = [] if tenure.last is None else [tenure.last.at]
        times += [
            month.begin + slots[1] * HALF_HOUR_SECONDS for month in months if (slots := _known(month)) is not None
        ]
        return max(times, default=None)

    def _rescale(self, tenure: Tenure, scale: Scale) -> None:
        """Set the scale of a meter; its counts stay as they were told."""
        if tenure.scale == scale:
            return
        tenure.scale = scale
        self.is_index_changed = True
        for month in self.months.values():
            if month.meter == tenure.meter and month.scale != scale:
                month.scale = scale
                self._touch(month)

    def _touch(self, month: Month) -> None:
        month.version += 1
        self.changed.add((month.meter, month.name))

    def _place(self, meter: str, at: int, scale: Scale) -> tuple[Month, int]:
        day = datetime.fromtimestamp(at, JST)
        key = (meter, f"{day:%Y-%m}")
        if key not in self.months:
            self.months[key] = Month(meter, day.year, day.month, scale)
        return self.months[key], _slot(day)

    def _find(self, meter: str, at: int) -> tuple[Month, int] | None:
        day = datetime.fromtimestamp(at, JST)
        month = self.months.get((meter, f"{day:%Y-%m}"))
        return None if month is None else (month, _slot(day))


def half_hours(day: date) -> Iterator[int]:
    """Yield the half-hours of a Japanese day, in seconds since 1970."""
    begin = int(datetime.combine(day, time(), JST).timestamp())
    yield from range(begin, begin + SLOTS * HALF_HOUR_SECONDS, HALF_HOUR_SECONDS)


def _calendar(begin: int, end: int) -> Iterator[tuple[int, int, str]]:
    """Yield begin, end and name of each Japanese month that some time has a part of."""
    while begin < end:
        day = datetime.fromtimestamp(begin, JST).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        following = (day + timedelta(days=31)).replace(day=1)
        yield int(day.timestamp()), int(following.timestamp()), f"{day:%Y-%m}"
        begin = int(following.timestamp())


def _slot(at: datetime) -> int:
    return (at.day - 1) * SLOTS + at.hour * 2 + at.minute // 30


def _counters(month: Month, counts: Counts) -> Iterator[tuple[int, int]]:
    """Yield the half-hours of a month that are known, with their counts, in order of time."""
    for slot, value in enumerate(counts.values):
        if value != UNKNOWN:
            yield month.begin + slot * HALF_HOUR_SECONDS, value


def _known(month: Month) -> tuple[int, int] | None:
    """Return the first and the last half-hour of a month that has a counter."""
    slots = [slot for counts in month.counts.values() for slot, value in enumerate(counts.values) if value != UNKNOWN]
    return (min(slots), max(slots)) if slots else None
