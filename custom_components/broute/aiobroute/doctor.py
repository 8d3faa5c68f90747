"""What keeps a meter from being read: every step of a connection is tried, and what is found is told as data.

Nothing is changed in the module but what a connection changes.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
import re

from .address import shown
from .causes import cause_of
from .echonet.properties import (
    CURRENTS,
    ENERGY_IN,
    ENERGY_UNIT,
    FIXED_TIME_IN,
    FIXED_TIME_OUT,
    HALF_HOURS,
    HISTORY_IN,
    HISTORY_OUT,
    JST,
    MINUTES,
    NOTIFICATION_MAP,
    POWER,
    SET_MAP,
)
from .errors import (
    BRouteError,
    HistoryError,
    MeterNotFoundError,
    MeterTimeoutError,
    ModuleError,
    NoHistoryError,
    PortError,
    PropertyRefusedError,
    SessionLostError,
)
from .listeners import nobody
from .meter import SmartMeter, meter_over
from .module import Beacon, Credentials, ModuleEvent
from .probe import probe
from .session import ScanPass, Session, Timing
from .transactions import Notification

LIMIT = 225.0
"""Seconds that everything may take together; a person waits for it."""

SESSION_LIMIT = 90.0
"""Seconds in which a session shows what it is good for; one that is deaf is begun anew within 39."""

WEAK = -88.0
"""Signal strength in dBm below which every little thing in between counts."""

ROUTINE_PASSES = 2
"""Passes of a scan in which a meter is usually heard; the others listen longer."""

ANSWERS = 5
"""So many show whether a session is steady."""

LATE = 7.0
"""Seconds; a meter answers within four. What was lost on its way is asked for again after twelve."""

CLOCK_TOLERANCE = timedelta(minutes=5)

MINUTE = timedelta(minutes=1)

FORMS = {"invalid_route_b_id": re.compile("[0-9A-F]{32}"), "invalid_password": re.compile("[!-~]{12}")}
"""What ID and password look like, by what is wrong otherwise."""

LONG = frozenset(row.code for row in (HISTORY_IN, HISTORY_OUT, HALF_HOURS, MINUTES))
"""Histories, which are a check of their own."""

MEASURED = (POWER, CURRENTS, ENERGY_IN)
"""What every meter has (APPX 3.3.25)."""


class Check(Enum):
    """What is looked at, in this order."""

    PORT = "port"
    MODULE = "module"
    CREDENTIALS = "credentials"
    AIRTIME = "airtime"
    SCAN = "scan"
    JOIN = "join"
    SESSION = "session"
    PROPERTIES = "properties"
    CLOCK = "clock"
    HISTORY = "history"
    NOTIFICATIONS = "notifications"


class Verdict(Enum):
    """What a finding means."""

    GOOD = "good"
    NOTICE = "notice"
    """It works, but not as well as it could."""
    BAD = "bad"
    SKIPPED = "skipped"
    """It was not looked at, because of what was found before, or because there was no time left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What was found at one check, without words."""

    check: Check
    verdict: Verdict
    key: str
    """Stable name of what was found; where an error was met, the same as everywhere (`CAUSES`)."""
    facts: Mapping[str, str | float] = field(default_factory=dict)
    """Numbers, codes and what a device said."""

    @property
    def details(self) -> str:
        """Return the facts as they stand behind a text in any language."""
        return ", ".join(FACTS[name].format(value) for name, value in self.facts.items())


FACTS: Mapping[str, str] = {
    "port": "{}",
    "error": "{}",
    "family": "{}",
    "firmware": "{}",
    "channel": "ch {}",
    "rssi": "{:g} dBm",
    "others": "+ {}",
    "seconds": "{} s",
    "count": "{}",
    "codes": "{}",
    "minutes": "{:+} min",
    "half_hours": "{} x 30 min",
}
"""How each fact is shown."""


ENTRANCE = frozenset(
    {Check.PORT, Check.MODULE, Check.CREDENTIALS, Check.AIRTIME, Check.SCAN, Check.JOIN, Check.SESSION}
)
"""Checks without which nothing further can be looked at."""

SPENT: Mapping[Check, str] = {Check.JOIN: "join_unanswered", Check.SESSION: "meter_silent"}
"""What it means that a check does not come to its end; those before have limits of their own."""


UNCLEAR = frozenset({"port_error", "module_error", "unexpected"})
"""Names of errors that do not say all that is known."""


async def examine(  # all but the first two may be left out
    url: str,
    credentials: Credentials,
    *,
    family: str | None = None,
    timing: Timing | None = None,
    limit: float = LIMIT,
    now: Callable[[], datetime] = lambda: datetime.now(JST),
    on_check: Callable[[Check], None] = nobody,
    on_finding: Callable[[Finding], None] = nobody,
) -> list[Finding]:
    """Go through everything that a connection needs, within `limit` seconds; return a finding for each check.

    `now` returns the time of day with which the meter's is compared. The credentials may have any form. The port is
    free again at the end; the session goes on in module and meter.
    """
    async with AsyncExitStack() as stack:
        until = asyncio.get_running_loop().time() + limit
        examination = _Examination(stack, url, credentials, timing or Timing(), now, until)
        return await examination.go_through(family, on_check, on_finding)


class _Examination:
    """One connection, and what was found by now."""

    _session: Session
    _beacon: Beacon
    _meter: SmartMeter

    def __init__(
        self,
        stack: AsyncExitStack,
        url: str,
        credentials: Credentials,
        timing: Timing,
        now: Callable[[], datetime],
        until: float,
    ) -> None:
        self._stack = stack
        self._url = url
        self._credentials = credentials
        self._timing = timing
        self._now = now
        self._until = until
        self._no_module: ModuleError | None = None
        self._events: list[ModuleEvent] = []
        self._told: list[Notification] = []
        self._times: list[float] = []
        self._strengths: list[float] = []
        self._is_lost = False

    async def go_through(
        self, family: str | None, on_check: Callable[[Check], None], on_finding: Callable[[Finding], None]
    ) -> list[Finding]:
        """Return a finding for each check."""
        steps: Mapping[Check, Callable[[], Awaitable[Finding]]] = {
            Check.PORT: lambda: self._port(family),
            Check.MODULE: self._module,
            Check.CREDENTIALS: self._form,
            Check.AIRTIME: self._airtime,
            Check.SCAN: self._scan,
            Check.JOIN: self._join,
            Check.SESSION: self._answers,
            Check.PROPERTIES: self._properties,
            Check.CLOCK: self._clock,
            Check.HISTORY: self._history,
            Check.NOTIFICATIONS: self._notifications,
        }
        findings: list[Finding] = []
        is_over = False
        for check, step in steps.items():
            if is_over:
                finding = _skipped(check, "not_reached")
            elif asyncio.get_running_loop().time() >= self._until:
                finding = _skipped(check, "no_time")
            else:
                on_check(check)
                finding = await self._outcome(check, step)
            findings.append(finding)
            on_finding(finding)
            is_barred = finding.verdict is Verdict.BAD and check in ENTRANCE
            is_over = is_over or is_barred or self._is_lost
        return findings

    async def _outcome(self, check: Check, step: Callable[[], Awaitable[Finding]]) -> Finding:
        try:
            async with asyncio.timeout_at(self._until):
                return await step()
        except TimeoutError:
            return _bad(check, SPENT[check]) if check in SPENT else _skipped(check, "no_time")
        except BRouteError as err:
            self._is_lost = isinstance(err, (ModuleError, PortError, SessionLostError))
            facts = {"error": err.reason if isinstance(err, PortError) else str(err)}
            return _bad(check, cause_of(err), **(facts if cause_of(err) in UNCLEAR else {}))

    async def _port(self, family: str | None) -> Finding:
        try:
            module = await probe(self._url, patience=self._timing.probe, family=family)
        except ModuleError as err:
            self._no_module = err
        else:
            self._session = Session(module, self._timing, self._events.append)
            self._stack.push_async_callback(self._session.close)
        return _good(Check.PORT, "port_opened", port=shown(self._url))

    async def _module(self) -> Finding:
        if self._no_module is not None:
            raise self._no_module
        module = self._session.module
        return _good(Check.MODULE, "module_answered", family=module.family, firmware=module.firmware)

    async def _form(self) -> Finding:
        values = (self._credentials.route_b_id, self._credentials.password)
        wrong = [key for (key, form), value in zip(FORMS.items(), values, strict=True) if not form.fullmatch(value)]
        return _bad(Check.CREDENTIALS, wrong[0]) if wrong else _good(Check.CREDENTIALS, "form_right")

    async def _airtime(self) -> Finding:
        await self._session.prepare(self._credentials)
        if self._session.restricted:
            return _bad(Check.AIRTIME, "airtime")
        return _good(Check.AIRTIME, "airtime_left")

    async def _scan(self) -> Finding:
        heard: dict[str, Beacon] = {}
        passes: list[ScanPass] = []

        def hear(beacons: Sequence[Beacon]) -> None:
            heard.update({beacon.pan.mac: beacon for beacon in beacons})

        self._events.clear()
        try:
            self._beacon = await self._session.scan(self._credentials, passes.append, hear)
        except MeterNotFoundError as err:
            is_damaged = not heard and ModuleEvent.BEACON in self._events
            key = "beacon_damaged" if is_damaged else cause_of(err)
            return _bad(Check.SCAN, key, **_others(heard.values()))
        rssi = self._beacon.rssi
        others = [beacon for mac, beacon in heard.items() if mac != self._beacon.pan.mac]
        facts: dict[str, str | float] = {"channel": self._beacon.pan.channel, "rssi": rssi, **_others(others)}
        if rssi < WEAK:
            return _notice(Check.SCAN, "weak_radio", **facts)
        if passes[-1].number > ROUTINE_PASSES:
            return _notice(Check.SCAN, "heard_late", **facts)
        return _good(Check.SCAN, "meter_heard", **facts)

    async def _join(self) -> Finding:
        self._events.clear()
        await self._session.join(self._beacon.pan)
        if ModuleEvent.JOIN_FAILED in self._events:
            return _notice(Check.JOIN, "joined_second")
        return _good(Check.JOIN, "joined")

    async def _answers(self) -> Finding:
        """Ask for the power several times; what is in the answers is looked at later."""
        self._events.clear()
        pan = self._beacon.pan
        self._meter = meter_over(self._session, self._timing, pan=pan, on_notification=self._told.append)
        try:
            async with asyncio.timeout(SESSION_LIMIT):
                for _ in range(ANSWERS):
                    await self._take_time()
        except TimeoutError:
            if self._session.restricted:
                return _bad(Check.SESSION, "airtime")
        except SessionLostError:
            if ModuleEvent.NOT_SENT not in self._events:
                raise
            self._is_lost = True
            return _bad(Check.SESSION, "radio_unanswered")
        return self._steadiness()

    def _steadiness(self) -> Finding:
        """Return what the times and events of a session say of it."""
        check = Check.SESSION
        if not self._times:
            return _bad(check, "meter_silent")
        slowest, weakest = max(self._times), min(self._strengths, default=0.0)
        if ModuleEvent.RESTRICTED in self._events:
            return _notice(check, "airtime")
        if ModuleEvent.JOINED in self._events:
            return _notice(check, "session_second")
        if len(self._times) < ANSWERS or slowest > LATE or ModuleEvent.NOT_SENT in self._events:
            return _notice(check, "answers_late", seconds=round(slowest))
        if weakest < WEAK:
            return _notice(check, "weak_radio", rssi=weakest)
        return _good(check, "answers", seconds=max(round(slowest), 1))

    async def _take_time(self) -> None:
        """Ask once, and keep how long the answer takes, be it a refusal."""
        begun = asyncio.get_running_loop().time()
        with suppress(MeterTimeoutError):
            await self._meter.get(POWER)
            self._times.append(asyncio.get_running_loop().time() - begun)
            if (rssi := self._meter.rssi) is not None:
                self._strengths.append(rssi)

    async def _properties(self) -> Finding:
        check, meter = Check.PROPERTIES, self._meter
        await meter.learn()
        await meter.read()
        await meter.get(SET_MAP, NOTIFICATION_MAP)
        profile = meter.profile
        wanted = sorted((profile.gettable or {row.code for row in MEASURED}) - LONG)
        values = await meter.get_codes(*wanted)
        if refused := [code for code in wanted if code not in values.data]:
            # Once more, as an answer may have been damaged.
            again = (await meter.get_codes(*refused)).data
            refused = [code for code in refused if code not in again]
        profile = meter.profile
        if ENERGY_UNIT.code in profile.unscaled_by:
            return _bad(check, "unit_untold")
        if refused:
            return _notice(check, "properties_refused", codes=_codes(refused))
        told = {POWER.code: values.read(POWER), ENERGY_IN.code: values.read(ENERGY_IN)}
        if empty := [code for code, value in told.items() if code in wanted and value is None]:
            return _notice(check, "values_missing", codes=_codes(empty))
        if not profile.gettable:
            return _notice(check, "map_untold")
        return _good(check, "properties_told", count=len(wanted))

    async def _clock(self) -> Finding:
        try:
            shown_at = await self._meter.history.clock()
        except PropertyRefusedError:
            return _notice(Check.CLOCK, "clock_untold")
        # It shows whole minutes.
        drift = shown_at - self._now().astimezone(JST).replace(second=0, microsecond=0)
        minutes = round(drift / MINUTE)
        if abs(drift) > CLOCK_TOLERANCE:
            return _bad(Check.CLOCK, "clock", minutes=minutes)
        return _good(Check.CLOCK, "clock_right", minutes=minutes)

    async def _history(self) -> Finding:
        check, history = Check.HISTORY, self._meter.history
        try:
            told = await history.ask(await history.today() - timedelta(days=1))
        except NoHistoryError:
            return _notice(check, "history_none")
        except PropertyRefusedError:
            return _notice(check, "history_refused")
        except HistoryError:
            return _notice(check, "history_disturbed")
        for failure in told.failures.values():
            return _notice(check, "history_silent" if isinstance(failure, MeterTimeoutError) else "history_refused")
        if not told.counters:
            return _notice(check, "history_empty")
        return _good(check, "history_told", half_hours=len(told.counters))

    async def _notifications(self) -> Finding:
        announced = self._meter.profile.announced
        if self._told:
            announced |= {code for notification in self._told for code in notification.values.data}
        if announced.isdisjoint((FIXED_TIME_IN.code, FIXED_TIME_OUT.code)):
            return _notice(Check.NOTIFICATIONS, "announces_nothing")
        return _good(Check.NOTIFICATIONS, "announces", codes=_codes(announced))


def _good(check: Check, key: str, **facts: str | float) -> Finding:
    return Finding(check=check, verdict=Verdict.GOOD, key=key, facts=facts)


def _notice(check: Check, key: str, **facts: str | float) -> Finding:
    return Finding(check=check, verdict=Verdict.NOTICE, key=key, facts=facts)


def _bad(check: Check, key: str, **facts: str | float) -> Finding:
    return Finding(check=check, verdict=Verdict.BAD, key=key, facts=facts)


def _skipped(check: Check, key: str) -> Finding:
    return Finding(check=check, verdict=Verdict.SKIPPED, key=key)


def _others(beacons: Collection[Beacon]) -> dict[str, str]:
    """Return where else on the air something was heard, and how strong, the strongest first."""
    strongest = sorted(beacons, key=lambda beacon: beacon.rssi, reverse=True)
    heard = ", ".join(f"ch {beacon.pan.channel} {beacon.rssi:g} dBm" for beacon in strongest)
    return {"others": heard} if heard else {}


def _codes(codes: Collection[int]) -> str:
    return " ".join(f"{code:02X}" for code in sorted(codes))
