"""What is going to happen: delays of the radio on a timeline, appointments of the meter on its calendar."""

import asyncio
from collections.abc import Callable
import heapq
from itertools import count
import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

type Action = Callable[[], object]

TOLERANCE = 0.002
"""Seconds by which a loop's timer may come early."""


class Timeline:
    """Actions after a delay, in the order of their time; at infinite speed all of them at once, but in that order."""

    def __init__(self, speed: float) -> None:
        self._speed = speed
        self._shift = 0.0
        self._entries: list[tuple[float, int, Action]] = []
        self._number = count()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._handle: asyncio.Handle | None = None
        self._now = 0.0

    @property
    def is_instant(self) -> bool:
        """Whether no delay takes any time."""
        return math.isinf(self._speed)

    @property
    def now(self) -> float:
        """The time in radio seconds; at infinite speed that of the latest action."""
        if self._loop is None or self.is_instant:
            return self._now
        return self._loop.time() * self._speed + self._shift

    def change_speed(self, speed: float) -> None:
        """Let time pass at another finite speed from now on."""
        if self._loop is None or self.is_instant or math.isinf(speed):
            raise ValueError("only a speed at which time passes can be changed")
        self._shift += self._loop.time() * (self._speed - speed)
        self._speed = speed
        self._arm()

    def call_later(self, delay: float, action: Action) -> None:
        """Do something after some radio seconds."""
        heapq.heappush(self._entries, (self.now + delay, next(self._number), action))
        self._arm()

    def start(self) -> None:
        """Let time pass, in the running event loop."""
        self._loop = asyncio.get_running_loop()
        self._arm()

    def stop(self) -> None:
        """Let no time pass: nothing stays behind in the event loop."""
        self._now = self.now
        self._disarm()
        self._loop = None

    def catch_up(self) -> None:
        """Do at once what became due while time stood still; at infinite speed, everything."""
        while self._entries and (self.is_instant or self._entries[0][0] <= self.now):
            self._step()

    def _step(self) -> None:
        due, _, action = heapq.heappop(self._entries)
        self._now = max(self._now, due)
        action()

    def _disarm(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _arm(self) -> None:
        self._disarm()
        if self._loop is None or not self._entries:
            return
        if self.is_instant:
            self._handle = self._loop.call_soon(self._run)
        else:
            self._handle = self._loop.call_at((self._entries[0][0] - self._shift) / self._speed, self._run)

    def _run(self) -> None:
        self._handle = None
        if self._loop is None or not self._entries:
            return
        limit = math.inf if self.is_instant else self.now + TOLERANCE * self._speed
        if self._entries[0][0] <= limit:
            self._step()
        self._arm()


class Calendar:
    """Actions at a date, by the clock that the simulation was given; overdue ones happen at the next look."""

    def __init__(self, clock: Callable[[], datetime], *, is_live: bool) -> None:
        self._clock = clock
        self._is_live = is_live
        self._entries: list[tuple[datetime, int, Action]] = []
        self._number = count()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._handle: asyncio.TimerHandle | None = None

    def call_at(self, when: datetime, action: Action) -> None:
        """Do something at a date."""
        heapq.heappush(self._entries, (when, next(self._number), action))
        self._arm()

    def start(self) -> None:
        """Wake up by itself, in the running event loop, if the clock is a real one."""
        self._loop = asyncio.get_running_loop()
        self._arm()

    def stop(self) -> None:
        """Leave nothing behind in the event loop."""
        self._disarm()
        self._loop = None

    def catch_up(self) -> None:
        """Do what is due."""
        while self._entries and self._entries[0][0] <= self._clock():
            _, _, action = heapq.heappop(self._entries)
            action()
        self._arm()

    def _disarm(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _arm(self) -> None:
        self._disarm()
        if self._is_live and self._loop is not None and self._entries:
            wait = (self._entries[0][0] - self._clock()).total_seconds()
            self._handle = self._loop.call_later(max(wait, TOLERANCE), self.catch_up)
