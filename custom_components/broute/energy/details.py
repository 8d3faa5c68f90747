"""What the meter tells beside its readings: asked for now and then, or pushed by it."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING, Final, Self

from homeassistant.util import dt as dt_util

from ..aiobroute import (
    CURRENT_DATE,
    CURRENT_TIME,
    FAULT_STATUS,
    FIXED_TIME_IN,
    FIXED_TIME_OUT,
    JST,
    MINUTE_ENERGY,
    AnyProperty,
    Counters,
    FixedTimeCount,
    MeterProfile,
    Property,
    Reading,
    Values,
)
from .statistics import FASTEST

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..aiobroute import SmartMeter

DETAILS: Final[tuple[AnyProperty, ...]] = (
    FAULT_STATUS,
    CURRENT_TIME,
    CURRENT_DATE,
    FIXED_TIME_IN,
    FIXED_TIME_OUT,
    MINUTE_ENERGY,
)
"""Asked for together, in one request."""

DETAILS_INTERVAL: Final = 300.0
"""Seconds."""

MINUTE: Final = timedelta(minutes=1)
HALF_HOUR: Final = timedelta(minutes=30)
HOUR: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Energy:
    """A counter at a time that the meter itself names."""

    time: datetime
    energy: Decimal | None
    """kWh, as on the meter's display."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Details:
    """What is known; `None` is unknown."""

    is_faulty: bool | None = None
    clock_drift: timedelta | None = None
    """How far the meter's clock is ahead of ours; it shows no seconds, so within its minute it is right."""
    fixed_in: Energy | None = None
    """The counter at the last full or half hour."""
    fixed_out: Energy | None = None
    minute_in: Energy | None = None
    """The counter at the last full minute; only meters of the second generation tell it."""
    minute_out: Energy | None = None
    half_hour_in: Energy | None = None
    """What flowed in the last half-hour that is over, and when that began."""
    half_hour_out: Energy | None = None

    def asked(self, values: Values, profile: MeterProfile, now: datetime, took: timedelta) -> Self:
        """Return what is known after an answer, which came now or, in parts, within the time that it took."""
        day, time = values.read(CURRENT_DATE), values.read(CURRENT_TIME)
        minute = values.read(MINUTE_ENERGY)
        return replace(
            self.told(values, profile),
            is_faulty=values.read(FAULT_STATUS),
            clock_drift=None if day is None or time is None else _drift(datetime.combine(day, time, JST), now, took),
            minute_in=None if minute is None else Energy(minute.time, profile.energy(minute.counts.energy_in)),
            minute_out=None if minute is None else Energy(minute.time, profile.energy(minute.counts.energy_out)),
        )

    def told(self, values: Values, profile: MeterProfile) -> Self:
        """Return what is known after a notification."""
        is_faulty = values.read(FAULT_STATUS)
        fixed_in = _fixed(values, FIXED_TIME_IN, profile)
        fixed_out = _fixed(values, FIXED_TIME_OUT, profile)
        return replace(
            self,
            is_faulty=self.is_faulty if is_faulty is None else is_faulty,
            fixed_in=fixed_in or self.fixed_in,
            fixed_out=fixed_out or self.fixed_out,
            half_hour_in=_half_hour(self.fixed_in, fixed_in, self.half_hour_in),
            half_hour_out=_half_hour(self.fixed_out, fixed_out, self.half_hour_out),
        )

    def remembered(self, counters: Sequence[Counters]) -> Self:
        """Return what is known after a history was read, in order of time."""
        last = counters[-2:]
        energies_in = [Energy(each.start, each.energy_in) for each in last]
        energies_out = [Energy(each.start, each.energy_out) for each in last]
        return replace(
            self,
            half_hour_in=_newest_half_hour([*energies_in, self.fixed_in], self.half_hour_in),
            half_hour_out=_newest_half_hour([*energies_out, self.fixed_out], self.half_hour_out),
        )

    def unanswered(self) -> Self:
        """Return what stays true without an answer: what has a time of its own."""
        return replace(self, is_faulty=None, clock_drift=None)

    def newest(self, reading: Reading, at: datetime) -> Reading:
        """Return a reading of this time with the counters that were fixed since."""
        at += self.clock_drift or timedelta(0)
        return replace(
            reading,
            energy_in=_newest(reading.energy_in, self.fixed_in, at),
            energy_out=_newest(reading.energy_out, self.fixed_out, at),
        )


def _fixed(values: Values, row: Property[FixedTimeCount], profile: MeterProfile) -> Energy | None:
    fixed = values.read(row)
    return None if fixed is None else Energy(fixed.time, profile.energy(fixed.count))


def _half_hour(before: Energy | None, after: Energy | None, known: Energy | None) -> Energy | None:
    """Return the newest half-hour that lies between two counters of the meter."""
    if before is None or after is None or after.time - before.time != HALF_HOUR:
        return known
    if before.energy is None or after.energy is None or before.energy > after.energy:
        return known
    if known is not None and known.time > before.time:
        return known
    return Energy(before.time, after.energy - before.energy)


def _newest_half_hour(counters: Sequence[Energy | None], known: Energy | None) -> Energy | None:
    """Return the newest half-hour that lies between two neighbours of a series of counters."""
    for before, after in pairwise(counters):
        known = _half_hour(before, after, known)
    return known


def _newest(read: Decimal | None, fixed: Energy | None, at: datetime) -> Decimal | None:
    """Take the later counter; the higher one where the meter's clock cannot tell, as it shows no seconds."""
    if read is None or fixed is None or fixed.energy is None or fixed.time <= at - MINUTE:
        return read
    # Far above the reading is a counter from before it began again.
    most = read + FASTEST * Decimal((abs(fixed.time - at) + MINUTE) / HOUR)
    return fixed.energy if read < fixed.energy <= most else read


def _drift(shown: datetime, now: datetime, took: timedelta) -> timedelta:
    return max(shown - now, min(shown + MINUTE + took - now, timedelta(0)))


class DetailsReader:
    """Asks for the details now and then, and keeps what is known."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """`clock` returns seconds of a monotonic clock."""
        self.details = Details()
        self._clock = clock
        self._due = 0.0

    def is_due(self) -> bool:
        """Return whether it is time to ask, at most once an interval."""
        if self._clock() < self._due:
            return False
        self._due = self._clock() + DETAILS_INTERVAL
        return True

    async def ask(self, meter: SmartMeter) -> None:
        """Ask the meter.

        Raises:
            BRouteError: it did not answer.

        """
        begun = dt_util.utcnow()
        values = await meter.get(*(row for row in DETAILS if meter.profile.has(row)))
        now = dt_util.utcnow()
        self.details = self.details.asked(values, meter.profile, now, now - begun)
