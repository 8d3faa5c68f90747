"""`record`: a whole connection, written down so that it can be shown to others; and whether a file can be."""

import argparse
import asyncio
from collections.abc import Awaitable, Collection
from datetime import timedelta
import json
from pathlib import Path

from .. import (
    HALF_HOURS,
    IDENTIFICATION_NUMBER,
    MINUTES,
    NOTIFICATION_MAP,
    ROUTE_B_ID,
    SET_MAP,
    BRouteError,
    HistoryError,
    MeterRefusedError,
    MeterTimeoutError,
    ModuleError,
    Notification,
    Progress,
    PropertyRefusedError,
    SmartMeter,
    connect,
)
from ..records.checker import Finding, check
from ..records.recorder import Recorder
from .console import Console
from .leaving import leaving
from .progress import show_progress

READINGS = 7
PAUSE = 10.0
"""Seconds between two readings."""

NETWORK = "://"

NAMING = {ROUTE_B_ID.code: 0, IDENTIFICATION_NUMBER.code: 4}
"""Properties that name a household, and how many of their bytes only name the maker."""

REFUSALS = (PropertyRefusedError, MeterRefusedError, MeterTimeoutError, HistoryError)
"""What ends a step, but not the record."""

FINDINGS = 10
"""Of what is wrong with a file, so many are told."""


class RecordError(BRouteError):
    """There is no record that may be shown."""


async def record(options: argparse.Namespace) -> None:
    """Record a connection, or check a record.

    Raises:
        RecordError: there is none that may be shown.
        BRouteError: the connection failed; the record tells how.

    """
    if options.check is not None:
        _check_file(options.console, options.check, [options.credentials.route_b_id, options.credentials.password])
        return
    path: Path = options.output
    try:
        out = path.open("x", encoding="ascii", newline="\n")
    except FileExistsError:
        raise RecordError(f"{path} exists already: choose another name") from None
    except OSError as err:
        raise RecordError(f"{path} cannot be written: {err.strerror}") from None
    secrets = {options.credentials.route_b_id, options.credentials.password}

    def write(line: str) -> None:
        out.write(line)
        out.flush()  # Whatever ends us, the file is whole up to here.

    recorder = Recorder(write, asyncio.get_running_loop().time)
    try:
        await Connection(options, recorder, secrets).record()
    finally:
        out.close()
        secrets |= recorder.inventions.replaced
        _finish(options.console, path, secrets)


def _finish(console: Console, path: Path, secrets: Collection[str]) -> None:
    """Keep a record only if it may be shown."""
    text = path.read_text("ascii")
    if findings := check(text, secrets):
        path.unlink()
        raise RecordError(f"the record was deleted, as it must not be shown: {_said(findings)}")
    console.print(f"{path}: {text.count(chr(10))} lines. Read it before you show it to anybody.")


def _check_file(console: Console, path: Path, secrets: Collection[str]) -> None:
    try:
        text = path.read_text("ascii")
    except UnicodeDecodeError:
        raise RecordError(f"{path} is no record") from None
    except OSError as err:
        raise RecordError(f"{path} cannot be read: {err.strerror}") from None
    known = [secret for secret in secrets if secret]
    if findings := check(text, known):
        raise RecordError(f"{path} must not be shown: {_said(findings)}")
    looked = (
        "your Route B ID and password are not in it"
        if len(known) > 1
        else "set BROUTE_ID and BROUTE_PASSWORD to look for them, too"
    )
    console.print(f"{path}: nothing in it names a household; {looked}.")


def _said(findings: Collection[Finding]) -> str:
    said = [f"line {each.line}: {each.reason}" if each.line else each.reason for each in list(findings)[:FINDINGS]]
    more = [f"and {len(findings) - FINDINGS} more"] if len(findings) > FINDINGS else []
    return "; ".join((*said, *more))


class Connection:
    """A connection that is recorded from its beginning to its end."""

    def __init__(self, options: argparse.Namespace, recorder: Recorder, secrets: set[str]) -> None:
        """Add to `secrets` what the meter tells that names a household."""
        self._options = options
        self._console: Console = options.console
        self._recorder = recorder
        self._secrets = secrets
        self._told: list[Notification] = []

    async def record(self) -> None:
        """Do all that a connection does, each once.

        Raises:
            BRouteError: it failed; that is recorded.

        """
        note = self._recorder.note
        note(f"version {version_of(Path(__file__).parents[2])}")
        note("port network" if NETWORK in self._options.port else "port device")
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
        options = self._options
        show = show_progress(self._console)

        def progress(step: Progress) -> None:
            self._recorder.note(f"step {step.stage.name.lower()}")
            show(step)

        meter = await connect(
            options.port,
            options.credentials,
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
            await self._step("history of minutes", self._minutes(meter))
        await self._step("readings", self._readings(meter))
        if self._options.minutes:
            await self._step("announcements", self._wait())
        await meter.leave()

    async def _step(self, name: str, step: Awaitable[object]) -> None:
        """Do a step; what the meter refuses ends it only."""
        self._recorder.note(f"step {name}")
        self._console.step(name)
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
            self._console.count("recording property", number, len(codes))
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

    async def _minutes(self, meter: SmartMeter) -> None:
        now = await meter.history.clock()
        await meter.history.minutes(now - timedelta(minutes=1), 10)

    async def _readings(self, meter: SmartMeter) -> None:
        for number in range(1, READINGS + 1):
            self._console.count("recording reading", number, READINGS)
            await meter.read()
            if number < READINGS:
                await asyncio.sleep(PAUSE)

    async def _wait(self) -> None:
        """Listen to what the meter tells unasked.

        Raises:
            MeterTimeoutError: it told nothing in all that time.

        """
        for minute in range(1, self._options.minutes + 1):
            self._console.count(
                "waiting for announcements (Ctrl-C ends it, and keeps the record), minute",
                minute,
                self._options.minutes,
            )
            await asyncio.sleep(60.0)
        if not self._told:
            raise MeterTimeoutError("nothing was announced")


def _failed(err: BRouteError) -> str:
    """Return what failed without words that may name a port or a household."""
    code = f" {err.code}" if isinstance(err, ModuleError) and err.code else ""
    return f"failed {type(err).__name__}{code}"


def version_of(integration: Path) -> str:
    """Return the version of the integration that this is a part of, if it is."""
    manifest = integration / "manifest.json"
    return str(json.loads(manifest.read_text("utf-8"))["version"]) if manifest.exists() else "unknown"
