"""The half-hours that the meter remembers, dated by the meter's own calendar."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
import logging

from .capacity import Capacity
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
    AnyProperty,
    DayHistory,
    HistorySelector,
    HistorySpan,
    Property,
    Values,
)
from .errors import BRouteError, HistoryError, MeterTimeoutError, NoHistoryError, PropertyRefusedError
from .profile import MeterProfile
from .transactions import Transactions

_LOGGER = logging.getLogger(__name__)

HALF_HOUR = timedelta(minutes=30)
MINUTE = timedelta(minutes=1)

HISTORY_DAYS = 99
"""How many days back a meter can be asked (APPX E5)."""

TRIES = 5
"""How often a history is asked for while another controller, or midnight, comes in between."""

BOTH_DIRECTIONS = 2
"""Histories of a day that one Get may ask for: some 400 bytes."""

REFUSAL_PAUSES = (1.0, 5.0)
"""Seconds before a refused history is asked for again; what is refused for longer is for the caller to ask again."""

PATIENT_DAYS = 3
"""Days in a row of which something is refused, and after which the next is not waited for."""

SCALING_PAUSES = (*REFUSAL_PAUSES, 30.0, 30.0)
"""The same where unit or coefficient is refused; after so long, a meter without a map is believed to have none."""

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


DIRECTIONS: Mapping[Direction, Property[DayHistory]] = {Direction.IN: HISTORY_IN, Direction.OUT: HISTORY_OUT}


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """What the meter answered when it was asked for a day, each direction on its own."""

    date: date
    """By the meter's own calendar."""
    energies: Mapping[Direction, Mapping[datetime, Decimal | None]]
    """The counters in kWh at each half-hour that has begun, in order of time, of each direction that was answered.

    `None`: the meter answered that it has no value, now and later.
    """
    failures: Mapping[Direction, BRouteError]
    """Why each other direction that the meter has, or may have, was not answered this time: ask again later."""

    @property
    def counters(self) -> list[Counters]:
        """Return the half-hours that have a value, in order of time."""
        nothing: Mapping[datetime, Decimal | None] = {}
        energies_in = self.energies.get(Direction.IN, nothing)
        energies_out = self.energies.get(Direction.OUT, nothing)
        return [
            Counters(start=start, energy_in=energies_in.get(start), energy_out=energies_out.get(start))
            for start in energies_in or energies_out
            if (energies_in.get(start), energies_out.get(start)) != (None, None)
        ]


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

    def agrees(self, shown: datetime, now: float) -> bool:
        """Return whether the clock has gone on as clocks do: it shows minutes, and an answer takes its time."""
        return -3 * MINUTE <= shown - self.now(now) <= MINUTE


class History:
    """The three histories of a meter; one is read at a time, as their selectors belong to the meter."""

    def __init__(
        self,
        transactions: Transactions,
        profile: Callable[[], MeterProfile],
        capacity: Capacity,
        learn_scaling: Callable[[], Awaitable[bool]],
    ) -> None:
        """Ask through the connection's transactions, so that a poll comes in between two of ours.

        `learn_scaling` asks for what makes energies of counts, and returns whether there was anything to ask for.
        """
        self._transactions = transactions
        self._profile = profile
        self._learn_scaling = learn_scaling
        self._capacity = capacity
        self._turn = asyncio.Lock()
        self._calendar: _Calendar | None = None
        self._refused_days = 0
        """How many there were in a row."""

    async def clock(self) -> datetime:
        """Return the meter's own time, to the minute (APPX 97, 98).

        Raises:
            PropertyRefusedError: the meter does not tell the time.

        """
        # In one Get, or midnight falls between them.
        values = await self._ask(CURRENT_TIME, CURRENT_DATE)
        day, at = values.read(CURRENT_DATE), values.read(CURRENT_TIME)
        if day is None or at is None:
            raise PropertyRefusedError("the meter does not tell the time")
        shown = datetime.combine(day, at, JST)
        if self._calendar is not None and not self._calendar.agrees(shown, asyncio.get_running_loop().time()):
            _LOGGER.debug("The meter's clock has been set: it shows %s", shown)
            self._calendar = None
        return shown

    async def today(self) -> date:
        """Return the date of the day that the meter calls 0.

        Raises:
            PropertyRefusedError: the meter does not tell the time.

        """
        async with self._turn:
            return (await self._today()).today

    async def ask(self, day: date) -> Day:
        """Ask for a date, whatever number the meter gives it meanwhile.

        A direction that is refused, or met by silence, is a failure of its own; it says nothing about other days.

        Raises:
            NoHistoryError: there is no such day, now and later.
            HistoryError: others use the meter's history all the time.

        """
        try:
            async with self._turn:
                return await self._dated(day)
        except NoHistoryError:
            raise
        except (PropertyRefusedError, MeterTimeoutError) as err:
            return Day(date=day, energies={}, failures=dict.fromkeys(self._directions(), err))

    async def days(self, days: Iterable[int]) -> AsyncIterator[list[Counters]]:
        """Yield the half-hours of each day, 0 being the meter's today, in the order of `days`.

        What the meter has no value for is left out.

        Raises:
            NoHistoryError: the meter has no history.
            PropertyRefusedError: the meter refuses to tell of a day at present.
            MeterTimeoutError: the meter does not answer for a day.
            HistoryError: others use the meter's history all the time.

        """
        for day in days:
            async with self._turn:
                answer = await self._day(day)
            yield _whole(answer)

    async def day(self, day: date) -> list[Counters]:
        """Return the half-hours of a date, in order of time, whatever number the meter gives it meanwhile.

        What the meter has no value for is left out.

        Raises:
            NoHistoryError: there is no such day, now and later.
            PropertyRefusedError: the meter refuses to tell of that day at present.
            MeterTimeoutError: the meter does not answer for that day.
            HistoryError: others use the meter's history all the time.

        """
        return _whole(await self.ask(day))

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
        if number < 0:
            raise NoHistoryError("that day has not begun yet")
        if number > HISTORY_DAYS:
            raise NoHistoryError(f"the meter remembers {HISTORY_DAYS} days")
        return number

    def _directions(self) -> list[Direction]:
        """Return the directions that the meter counts, or may count."""
        if named := [direction for direction, row in DIRECTIONS.items() if self._profile().has(row)]:
            return named
        raise NoHistoryError("the meter has no history")

    async def _dated(self, day: date) -> Day:
        number = await self._number(day)
        answer = await self._day(number)
        if await self._number(day) != number:  # Midnight does not come twice.
            answer = await self._day(number + 1)
        return answer

    async def _day(self, day: int) -> Day:
        for _ in range(TRIES):
            calendar = await self._today()
            told, failures = await self._told(day)
            if {history.day for history in told.values()} - {day}:
                _LOGGER.debug("another controller asked for another day")
            elif (await self._today()).today != calendar.today:
                _LOGGER.debug("midnight passed")
            else:
                return self._answer(calendar, day, told, failures)
        raise HistoryError(f"day {day} could not be read undisturbed")

    async def _told(
        self, day: int
    ) -> tuple[dict[Direction, DayHistory], dict[Direction, PropertyRefusedError | MeterTimeoutError]]:
        """Return what the meter tells of a day by its number, and why it does not tell the rest."""
        asked = self._directions()
        told: dict[Direction, DayHistory] = {}
        error: PropertyRefusedError | MeterTimeoutError = PropertyRefusedError("the meter does not tell its history")
        try:
            await self._scale()
            await self._select(HISTORY_DAY, day)
            values = await self._ask(*(DIRECTIONS[direction] for direction in asked), capacity=self._capacity)
            read = {direction: values.read(DIRECTIONS[direction]) for direction in asked}
            told = {direction: history for direction, history in read.items() if history is not None}
        except (PropertyRefusedError, MeterTimeoutError) as err:
            error = err
        self._refused_days = 0 if len(told) == len(asked) else self._refused_days + 1
        return told, {direction: error for direction in asked if direction not in told}

    @property
    def _patience(self) -> tuple[float, ...]:
        """Return the pauses; what is refused again and again is not waited for on each of a hundred days."""
        return REFUSAL_PAUSES if self._refused_days < PATIENT_DAYS else ()

    async def _scale(self) -> None:
        """See to it that it is known what a count stands for: otherwise the meter is asked in vain.

        Raises:
            PropertyRefusedError: the meter does not tell.

        """
        pauses = iter(SCALING_PAUSES if self._patience else ())
        while self._profile().unscaled_by:
            is_asked = await self._learn_scaling()
            if not self._profile().unscaled_by:
                return
            if not is_asked or (pause := next(pauses, None)) is None:
                raise PropertyRefusedError("the meter does not tell the unit or the coefficient of its counters")
            await asyncio.sleep(pause)

    async def _select[T](self, row: Property[T], value: T) -> None:
        """Set the selector of a history; set it again if that is refused."""
        data = row.encode(value)
        for pause in self._patience:
            try:
                await self._transactions.set(row.code, data)
            except PropertyRefusedError as err:
                _LOGGER.debug("%s; once more in %g s", err, pause)
                await asyncio.sleep(pause)
            else:
                return
        await self._transactions.set(row.code, data)

    async def _ask(self, *rows: AnyProperty, capacity: Capacity | None = None) -> Values:
        """Ask, and ask again for what is refused."""
        codes, refusals, pauses = [row.code for row in rows], self._transactions.refusals, iter(self._patience)
        found: dict[int, bytes] = {}
        while True:
            found |= (await self._transactions.get(codes, capacity=capacity)).data
            # To be met by silence once more takes half a minute.
            codes = [code for code in codes if code not in found and not refusals.is_silent(code)]
            if not codes or (pause := next(pauses, None)) is None:
                return Values(found)
            await asyncio.sleep(pause)

    def _answer(
        self,
        calendar: _Calendar,
        day: int,
        told: Mapping[Direction, DayHistory],
        failures: Mapping[Direction, PropertyRefusedError | MeterTimeoutError],
    ) -> Day:
        midnight = datetime.combine(calendar.today, time(), JST) - timedelta(days=day)
        now = calendar.now(asyncio.get_running_loop().time())
        energies: dict[Direction, dict[datetime, Decimal | None]] = {}
        future: set[datetime] = set()
        for direction, history in told.items():
            starts = [midnight + slot * HALF_HOUR for slot in range(len(history.counts))]
            slots = dict(zip(starts, history.counts, strict=True))
            # What has not come yet has no value, whatever the meter says.
            future |= {start for start, count in slots.items() if start > now and count is not None}
            energies[direction] = {start: self._profile().energy(slots[start]) for start in starts if start <= now}
        for start in sorted(future):
            _LOGGER.debug("left out a value of the future: %s", start)
        return Day(date=midnight.date(), energies=energies, failures=failures)

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
        await self._select(HISTORY_DAY, 0)
        history = (await self._ask(HISTORY_IN)).read(HISTORY_IN)
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
        selected = HistorySelector(newest, length)
        async with self._turn:
            await self._scale()
            for _ in range(TRIES):
                await self._select(selector, selected)
                span = (await self._ask(row)).read(row)
                if span is None:
                    raise PropertyRefusedError(f"the meter does not tell its {row.name}")
                if (span.time, len(span.counts)) == (newest, length):
                    return self._steps(span, newest.astimezone(JST), step)
                _LOGGER.debug("another controller asked for another time")
        raise HistoryError(f"{row.name} could not be read undisturbed")

    def _steps(self, span: HistorySpan, newest: datetime, step: timedelta) -> list[Counters]:
        profile = self._profile()
        return [
            Counters(
                start=newest - back * step,
                energy_in=profile.energy(counts.energy_in),
                energy_out=profile.energy(counts.energy_out),
            )
            for back, counts in reversed(list(enumerate(span.counts)))
            if (counts.energy_in, counts.energy_out) != (None, None)
        ]


def _whole(answer: Day) -> list[Counters]:
    """Return the half-hours of a day of which every direction was answered.

    Raises:
        PropertyRefusedError: one was refused.
        MeterTimeoutError: one met silence.

    """
    for error in answer.failures.values():
        raise error
    return answer.counters
