"""What the ledger has not of the meter's memory, when the meter is asked for it again, and how far it has been read."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Final

from ..aiobroute import HISTORY_DAYS, JST, Counters
from .demand import half_hour
from .intake import ANSWERED_AFTER
from .ledger import ENERGY_IN, ENERGY_OUT, HALF_HOUR, Ledger, half_hours
from .source import HistoryProgress
from .statistics import HOUR

FIRST_PAUSE: Final = 300.0
LONGEST_PAUSE: Final = 86_400.0
"""Seconds until a day that was not answered is asked for again; each time twice as many."""

SHOWN: Final = 4
"""Half-hours that are told; the newest ones may have no value yet."""


@dataclass(frozen=True, slots=True)
class _Pause:
    until: float
    length: float


@dataclass(slots=True)
class Pauses:
    """When days that were not answered are asked for again; times are in seconds, of the event loop."""

    _days: dict[date, _Pause] = field(default_factory=dict)

    def __len__(self) -> int:
        """Return how many days have to wait."""
        return len(self._days)

    def is_over(self, day: date, at: float) -> bool:
        """Return whether a day may be asked for."""
        pause = self._days.get(day)
        return pause is None or pause.until <= at

    def begin(self, day: date, at: float) -> None:
        """Leave a day alone for a while, each time for longer: it was not answered."""
        before = self._days.get(day)
        length = FIRST_PAUSE if before is None else min(2 * before.length, LONGEST_PAUSE)
        self._days[day] = _Pause(at + length, length)

    def end(self, day: date) -> None:
        """Ask for a day whenever it has holes: it was answered."""
        self._days.pop(day, None)

    def left(self, at: float) -> float | None:
        """Return the seconds until the first of the pauses is over, `None` if there is none."""
        return min((pause.until - at for pause in self._days.values()), default=None)


def newest_days(now: datetime, number: int = HISTORY_DAYS + 1) -> list[date]:
    """Return today and some days before it, by the Japanese calendar, the newest first."""
    today = now.astimezone(JST).date()
    return [today - timedelta(days=back) for back in range(number)]


def days_between(first: date, last: date) -> list[date]:
    """Return all days from the first to the last one."""
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]


def holes(ledger: Ledger, keys: Iterable[str], day: date, now: datetime) -> list[int]:
    """Return the half-hours of a day that the meter is to be asked for, in any of some directions, in order of time."""
    found = {at for key in keys for at in ledger.holes(key, day)}
    return sorted(at for at in found if at <= now.timestamp())


def hours_known(ledger: Ledger, keys: Collection[str], first: date, last: date, now: datetime) -> tuple[int, int]:
    """Return of how many hours of some days both ends are known, and how many hours there are, in all directions."""
    days = days_between(first, last)
    hours = [at for day in days for at in half_hours(day) if at % HOUR == 0 and at + HOUR <= now.timestamp()]
    known = sum(all(ledger.energy(key, at) is not None for at in (hour, hour + HOUR)) for key in keys for hour in hours)
    return known, len(hours) * len(keys)


def progress(
    ledger: Ledger, keys: Collection[str], just_read: Collection[date], now: datetime, error: str | None
) -> HistoryProgress:
    """Return how far the meter's memory has been read; `just_read` are days that are not in the ledger yet."""
    days, oldest = newest_days(now), ledger.oldest()
    # What is older than all of it is no gap: so long the meter does not remember.
    within = [] if oldest is None else [day for day in days if day >= oldest.astimezone(JST).date()]
    return HistoryProgress(
        days=len(days),
        days_read=sum(day in just_read or not holes(ledger, keys, day, now - ANSWERED_AFTER) for day in days),
        without_value=sum(ledger.nones(key, day) for key in keys for day in within),
        error=error,
    )


def newest(ledger: Ledger, now: datetime) -> list[Counters]:
    """Return the counters at the last half-hours, in kWh, in order of time, as far as they are known."""
    found = []
    for back in reversed(range(SHOWN)):
        start = half_hour(now).astimezone(JST) - back * HALF_HOUR
        energy_in, energy_out = (ledger.energy(key, int(start.timestamp())) for key in (ENERGY_IN, ENERGY_OUT))
        if energy_in is not None or energy_out is not None:
            found.append(Counters(start=start, energy_in=energy_in, energy_out=energy_out))
    return found
