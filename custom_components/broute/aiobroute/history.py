"""The half-hours that the meter remembers, dated by the meter's own calendar."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
import logging

from .echonet.properties import (
    CURRENT_DATE,
    CURRENT_TIME,
    HALF_HOURS,
    HALF_HOURS_SELECTOR,
    HISTORY_DAY,
    HISTORY_IN,
    HISTORY_OUT,
    JST,
    MINUTES,
    MINUTES_SELECTOR,
    DayHistory,
    HistorySelector,
    HistorySpan,
    Property,
)
from .errors import BRouteError, HistoryError, PropertyRefusedError
from .profile import MeterProfile
from .transactions import Transactions

_LOGGER = logging.getLogger(__name__)

HALF_HOUR = timedelta(minutes=30)
MINUTE = timedelta(minutes=1)

HISTORY_DAYS = 99
"""How many days back a meter can be asked (APPX E5)."""

TRIES = 5
"""How often a history is asked for while another controller, or midnight, comes in between."""

ROLLED = time(0, 31)
"""From here on every meter calls the day that its clock shows "day 0"; until the first half-hour some still do not."""

ROLL_PAUSE = 30.0
"""Seconds between two looks at a meter that does not yet show which day it calls "day 0"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counters:
    """Both counters at one time of the past."""

    start: datetime
    """The time at which they stood so, in Japanese time."""
    energy_in: Decimal | None
    """kWh taken from the grid, as on the meter's display."""
    energy_out: Decimal | None
    """kWh fed into the grid, as on the meter's display."""


class Direction(Enum):
    """Which of the two counters."""

    IN = "taken from the grid"
    OUT = "fed into the grid"


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """What the meter answered when it was asked for a day, each direction on its own."""

    date: date
    """By the meter's own calendar."""
    energies: Mapping[Direction, Mapping[datetime, Decimal | None]]
    """The counters in kWh at each half-hour that has begun, of each direction that was answered."""
    failures: Mapping[Direction, BRouteError]
    """Why each other direction was not answered this time: ask again later."""


@dataclass(frozen=True, slots=True)
class _Calendar:
    """What the meter calls "day 0", and for how long that is certain."""

    today: date
    shown: datetime
    """What the meter's clock showed."""
    asked: float
    """When it was asked, in the event loop's time."""
    certain: float
    """Seconds."""

    def is_certain(self, now: float) -> bool:
        """Return whether midnight cannot have passed."""
        return now < self.asked + self.certain

    def now(self, now: float) -> datetime:
        """Return the latest time that the meter's clock may show."""
        return self.shown + timedelta(seconds=now - self.asked) + MINUTE


class History:
    """The three histories of a meter; one is read at a time, as their selectors belong to the meter."""

    def __init__(self, transactions: Transactions, profile: MeterProfile) -> None:
        """Ask through the connection's transactions, so that a poll comes in between two of ours."""
        self._transactions = transactions
        self._profile = profile
        self._turn = asyncio.Lock()
        self._calendar: _Calendar | None = None

    async def clock(self) -> datetime:
        """Return the meter's own time, to the minute (APPX 97, 98).

        Raises:
            PropertyRefusedError: the meter does not tell the time.

        """
        # In one Get, or midnight falls between them.
        values = await self._transactions.get([CURRENT_TIME.code, CURRENT_DATE.code])
        day, at = values.read(CURRENT_DATE), values.read(CURRENT_TIME)
        if day is None or at is None:
            raise PropertyRefusedError("the meter does not tell the time")
        return datetime.combine(day, at, JST)

    async def today(self) -> date:
        """Return the date of the day that the meter calls 0.

        Raises:
            PropertyRefusedError: the meter does not tell the time.

        """
        async with self._turn:
            return (await self._today()).today

    async def days(self, days: Iterable[int]) -> AsyncIterator[list[Counters]]:
        """Yield the half-hours of each day, 0 being the meter's today, in the order of `days`.

        What the meter has no value for is left out.

        Raises:
            PropertyRefusedError: the meter does not remember that day.
            HistoryError: others use the meter's history all the time.

        """
        for day in days:
            async with self._turn:
                counters = await self._day(day)
            yield counters

    async def day(self, day: date) -> list[Counters]:
        """Return the half-hours of a date, in order of time, whatever number the meter gives it meanwhile.

        What the meter has no value for is left out.

        Raises:
            PropertyRefusedError: the meter does not remember that day.
            HistoryError: others use the meter's history all the time.

        """
        async with self._turn:
            number = await self._number(day)
            counters = await self._day(number)
            if await self._number(day) != number:  # Midnight does not come twice.
                counters = await self._day(number + 1)
        return counters

    async def ask(self, day: date) -> Day:
        """Ask for a date; a direction that is refused is a failure of its own."""
        try:
            counters = {each.start: each for each in await self.day(day)}
        except PropertyRefusedError as err:
            return Day(date=day, energies={}, failures={Direction.IN: err, Direction.OUT: err})
        energies: dict[Direction, Mapping[datetime, Decimal | None]] = {
            Direction.IN: {start: each.energy_in for start, each in counters.items()},
            Direction.OUT: {start: each.energy_out for start, each in counters.items()},
        }
        return Day(date=day, energies=energies, failures={})

    async def half_hours(self, newest: datetime, length: int) -> list[Counters]:
        """Return up to twelve half-hours that end with the newest, in order of time (APPX EC, ED).

        Raises:
            PropertyRefusedError: the meter has no such history.
            HistoryError: others use the meter's history all the time.

        """
        return await self._span(HALF_HOURS_SELECTOR, HALF_HOURS, newest, length, HALF_HOUR)

    async def minutes(self, newest: datetime, length: int) -> list[Counters]:
        """Return up to ten minutes that end with the newest, in order of time (APPX EE, EF).

        Raises:
            PropertyRefusedError: the meter has no such history.
            HistoryError: others use the meter's history all the time.

        """
        return await self._span(MINUTES_SELECTOR, MINUTES, newest, length, MINUTE)

    async def _number(self, day: date) -> int:
        number = ((await self._today()).today - day).days
        if not 0 <= number <= HISTORY_DAYS:
            raise PropertyRefusedError("no meter remembers that day")
        return number

    async def _day(self, day: int) -> list[Counters]:
        for _ in range(TRIES):
            calendar = await self._today()
            await self._transactions.set(HISTORY_DAY.code, HISTORY_DAY.encode(day))
            energy_in = await self._direction(HISTORY_IN)
            energy_out = await self._direction(HISTORY_OUT) if self._profile.has(HISTORY_OUT) else None
            if energy_in is None:
                raise PropertyRefusedError("the meter does not tell its history")
            if {energy_in.day, (energy_out or energy_in).day} != {day}:
                _LOGGER.debug("another controller asked for another day")
            elif (await self._today()).today != calendar.today:
                _LOGGER.debug("midnight passed")
            else:
                return self._counters(calendar, energy_in, energy_out)
        raise HistoryError(f"day {day} could not be read undisturbed")

    async def _direction(self, row: Property[DayHistory]) -> DayHistory | None:
        return (await self._transactions.get([row.code])).read(row)

    def _counters(self, calendar: _Calendar, energy_in: DayHistory, energy_out: DayHistory | None) -> list[Counters]:
        midnight = datetime.combine(calendar.today, time(), JST) - timedelta(days=energy_in.day)
        now = calendar.now(asyncio.get_running_loop().time())
        counters = []
        for slot, count in enumerate(energy_in.counts):
            start = midnight + slot * HALF_HOUR
            out = energy_out.counts[slot] if energy_out else None
            if (count, out) == (None, None):
                continue
            if start > now:
                _LOGGER.debug("left out a value of the future: %s", start)
                continue
            counters.append(
                Counters(
                    start=start,
                    energy_in=self._profile.energy(count),
                    energy_out=self._profile.energy(out),
                )
            )
        return counters

    async def _today(self) -> _Calendar:
        """Return the date of the meter's "day 0", asking only if midnight may have passed."""
        loop = asyncio.get_running_loop()
        while self._calendar is None or not self._calendar.is_certain(loop.time()):
            asked = loop.time()
            now = await self.clock()
            today = now.date()
            certain = 0.0
            if now.time() >= ROLLED:
                midnight = datetime.combine(today + timedelta(days=1), time(), JST)
                # The clock shows minutes: up to one of them may already be over.
                certain = (midnight - now - MINUTE).total_seconds()
            elif (rolled := await self._has_rolled()) is None:
                await asyncio.sleep(ROLL_PAUSE)
                continue
            elif not rolled:
                today -= timedelta(days=1)
            self._calendar = _Calendar(today, now, asked, certain)
            break
        return self._calendar

    async def _has_rolled(self) -> bool | None:
        """Return whether "day 0" begins at this midnight: then nothing behind its first slots is known yet."""
        await self._transactions.set(HISTORY_DAY.code, HISTORY_DAY.encode(0))
        history = await self._direction(HISTORY_IN)
        if history is None or history.day != 0:
            return None
        if any(count is not None for count in history.counts[2:]):
            return False
        return True if history.counts[0] is not None else None

    async def _span(
        self,
        selector: Property[HistorySelector],
        row: Property[HistorySpan],
        newest: datetime,
        length: int,
        step: timedelta,
    ) -> list[Counters]:
        data = selector.encode(HistorySelector(newest, length))
        async with self._turn:
            for _ in range(TRIES):
                await self._transactions.set(selector.code, data)
                span = (await self._transactions.get([row.code])).read(row)
                if span is None:
                    raise PropertyRefusedError(f"the meter does not tell its {row.name}")
                if (span.time, len(span.counts)) == (newest, length):
                    return self._steps(span, newest.astimezone(JST), step)
                _LOGGER.debug("another controller asked for another time")
        raise HistoryError(f"{row.name} could not be read undisturbed")

    def _steps(self, span: HistorySpan, newest: datetime, step: timedelta) -> list[Counters]:
        return [
            Counters(
                start=newest - back * step,
                energy_in=self._profile.energy(counts.energy_in),
                energy_out=self._profile.energy(counts.energy_out),
            )
            for back, counts in reversed(list(enumerate(span.counts)))
            if (counts.energy_in, counts.energy_out) != (None, None)
        ]
