"""A connection that is recorded from its beginning to its end; docs/records.md says what is in a record."""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from datetime import timedelta

from .echonet.properties import (
    HALF_HOURS,
    IDENTIFICATION_NUMBER,
    MINUTES,
    NOTIFICATION_MAP,
    ROUTE_B_ID,
    SET_MAP,
)
from .errors import BRouteError, HistoryError, MeterRefusedError, MeterTimeoutError, ModuleError, PropertyRefusedError
from .leaving import leaving
from .listeners import nobody
from .meter import Progress, SmartMeter, connect
from .module import Credentials
from .records.checker import Finding, check
from .records.recorder import Recorder, Unknown
from .transactions import Notification

__all__ = ["RecordStep", "Recording", "Unknown"]

READINGS = 7
PAUSE = 10.0
"""Seconds between two readings."""

NETWORK = "://"

NAMING = {ROUTE_B_ID.code: 0, IDENTIFICATION_NUMBER.code: 4}
"""Properties that name a household, and how many of their bytes only name the maker."""

REFUSALS = (PropertyRefusedError, MeterRefusedError, MeterTimeoutError, HistoryError)
"""What ends a step, but not the record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordStep:
    """A step of a record that begins now."""

    name: str
    """As in the record."""
    number: int | None = None
    """Which of so many parts of it begins, from 1 on."""
    of: int | None = None


class Recording:
    """A record that is being made; used once."""

    def __init__(
        self,
        url: str,
        credentials: Credentials,
        write: Callable[[str], object],
        *,
        version: str,
        minutes: int,
        on_progress: Callable[[Progress], None] = nobody,
        on_step: Callable[[RecordStep], None] = nobody,
    ) -> None:
        """Write whole lines; `minutes` says how long to wait for what the meter tells unasked."""
        self._url = url
        self._credentials = credentials
        self._version = version
        self._minutes = minutes
        self._on_progress = on_progress
        self._on_step = on_step
        self._secrets = {credentials.route_b_id, credentials.password}
        self._recorder = Recorder(write, asyncio.get_running_loop().time)
        self._told: list[Notification] = []

    @property
    def secrets(self) -> set[str]:
        """Return what must not be in the record, as far as it is known by now."""
        return self._secrets | self._recorder.inventions.replaced

    def findings(self, record: str) -> list[Finding]:
        """Return why a record must not be shown: what was written, or what is to take its place."""
        return check(record, self.secrets, self._recorder.inventions.left_out)

    def unknown(self, record: str) -> tuple[list[Unknown], int]:
        """Return what of an unknown form a person may see and ask for, and how much more there is.

        The rest may name the household: it has a part of a secret in it, or looks as if.
        """
        left = every = self._recorder.unknown()
        while suspects := {each.line for each in self.findings(self._recorder.with_unknown(record, left))}:
            rest = [each for each in left if suspects.isdisjoint(each.lines)]
            # Nobody can say which one tells it if only several of them do.
            left = rest if len(rest) < len(left) else []
        return left, len(every) - len(left)

    def with_unknown(self, record: str, asked: Collection[Unknown]) -> str | None:
        """Return the record with what a person has asked for; none if it must not be shown then."""
        whole = self._recorder.with_unknown(record, asked)
        return None if self.findings(whole) else whole

    async def run(self) -> None:
        """Do all that a connection does, each once.

        Raises:
            BRouteError: it failed; that is recorded.

        """
        note = self._recorder.note
        note(f"version {self._version}")
        note("port network" if NETWORK in self._url else "port device")
        try:
            await self._connect()
        except asyncio.CancelledError:
            note("end stopped")
            raise
        except BRouteError as err:
            note(_failed(err))
            note("end whole")
            raise
        note("end whole")

    async def _connect(self) -> None:
        def progress(step: Progress) -> None:
            self._recorder.note(f"step {step.stage.name.lower()}")
            self._on_progress(step)

        meter = await connect(
            self._url,
            self._credentials,
            on_progress=progress,
            on_notification=self._told.append,
            tap=self._recorder,
        )
        async with leaving(meter):
            self._secrets.add(meter.pan.mac)
            self._recorder.note(f"module {meter.module.family} {meter.module.firmware}")
            await self._steps(meter)

    async def _steps(self, meter: SmartMeter) -> None:
        profile = meter.profile
        self._recorder.note(f"meter {profile.manufacturer or 'unknown'} {profile.version or 'unknown'}")
        await self._step("properties", self._properties(meter))
        await self._step("history of a day", self._day(meter))
        if profile.has(HALF_HOURS):
            await self._step("history of half hours", self._half_hours(meter))
        if profile.has(MINUTES):
            await self._step("history of minutes", self._last_minutes(meter))
        await self._step("readings", self._readings(meter))
        if self._minutes:
            await self._step("announcements", self._wait())
        await meter.leave()

    async def _step(self, name: str, step: Awaitable[object]) -> None:
        """Do a step; what the meter refuses ends it only."""
        self._recorder.note(f"step {name}")
        self._on_step(RecordStep(name=name))
        try:
            await step
        except REFUSALS as err:
            self._recorder.note(_failed(err))
        else:
            self._recorder.note(f"worked {name}")

    async def _properties(self, meter: SmartMeter) -> None:
        await meter.get(SET_MAP, NOTIFICATION_MAP)
        profile = meter.profile
        codes = sorted(profile.gettable | profile.settable | profile.announced)
        for number, code in enumerate(codes, 1):
            self._on_step(RecordStep(name="properties", number=number, of=len(codes)))
            told = (await meter.get_codes(code)).data
            if code in NAMING and code in told:
                self._secrets.add(told[code][NAMING[code] :].hex())
        if profile.serial_number:
            self._secrets.add(profile.serial_number)

    async def _day(self, meter: SmartMeter) -> None:
        await meter.history.day(await meter.history.today() - timedelta(days=1))

    async def _half_hours(self, meter: SmartMeter) -> None:
        # By the meter's own clock, so that a replay asks for the same.
        now = await meter.history.clock()
        await meter.history.half_hours(now.replace(minute=now.minute // 30 * 30), 12)

    async def _last_minutes(self, meter: SmartMeter) -> None:
        now = await meter.history.clock()
        await meter.history.minutes(now - timedelta(minutes=1), 10)

    async def _readings(self, meter: SmartMeter) -> None:
        for number in range(1, READINGS + 1):
            self._on_step(RecordStep(name="readings", number=number, of=READINGS))
            await meter.read()
            if number < READINGS:
                await asyncio.sleep(PAUSE)

    async def _wait(self) -> None:
        """Listen to what the meter tells unasked.

        Raises:
            MeterTimeoutError: it told nothing in all that time.

        """
        for minute in range(1, self._minutes + 1):
            self._on_step(RecordStep(name="announcements", number=minute, of=self._minutes))
            await asyncio.sleep(60.0)
        if not self._told:
            raise MeterTimeoutError("nothing was announced")


def _failed(err: BRouteError) -> str:
    """Return what failed without words that may name a port or a household."""
    code = f" {err.code}" if isinstance(err, ModuleError) and err.code else ""
    return f"failed {type(err).__name__}{code}"
