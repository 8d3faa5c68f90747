"""A PANA session with one meter, over any Wi-SUN module."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
import logging
from typing import Any

from .errors import (
    AirtimeError,
    JoinError,
    JoinRefusedError,
    MeterNotFoundError,
    ModuleError,
    ModuleTimeoutError,
    SessionLostError,
)
from .listeners import nobody
from .module import (
    ALL_CHANNELS,
    LISTEN_DURATION,
    ODD_CHANNELS,
    Beacon,
    Credentials,
    Datagram,
    JoinOutcome,
    ModuleEvent,
    ModuleInfo,
    Pan,
    SendOutcome,
    WiSunModule,
)

_LOGGER = logging.getLogger(__name__)


class State(Enum):
    """Where a session stands."""

    UNKNOWN = auto()
    """No join has begun yet; the module may still have the session of an earlier connection."""
    JOINING = auto()
    JOINED = auto()
    EXPIRED = auto()
    """The lifetime is over and the module authenticates anew: nothing may be sent (SK 3.4)."""
    LOST = auto()
    """Final: another connection is needed."""


TRANSITIONS: Mapping[tuple[State, ModuleEvent], State] = {
    (State.UNKNOWN, ModuleEvent.RESUMED): State.JOINED,
    (State.UNKNOWN, ModuleEvent.PORT_LOST): State.LOST,
    (State.JOINING, ModuleEvent.JOINED): State.JOINED,
    (State.JOINING, ModuleEvent.PORT_LOST): State.LOST,
    (State.JOINED, ModuleEvent.EXPIRED): State.EXPIRED,
    (State.JOINED, ModuleEvent.JOIN_FAILED): State.LOST,
    (State.JOINED, ModuleEvent.ENDED_BY_METER): State.LOST,
    (State.JOINED, ModuleEvent.ENDED): State.LOST,
    (State.JOINED, ModuleEvent.END_UNANSWERED): State.LOST,
    (State.JOINED, ModuleEvent.PORT_LOST): State.LOST,
    (State.EXPIRED, ModuleEvent.JOINED): State.JOINED,
    (State.EXPIRED, ModuleEvent.JOIN_FAILED): State.LOST,
    (State.EXPIRED, ModuleEvent.ENDED_BY_METER): State.LOST,
    (State.EXPIRED, ModuleEvent.ENDED): State.LOST,
    (State.EXPIRED, ModuleEvent.END_UNANSWERED): State.LOST,
    (State.EXPIRED, ModuleEvent.PORT_LOST): State.LOST,
}
"""What each event makes of each state; what is not listed changes nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How long to wait for what, in seconds; the defaults suit real meters."""

    probe: float = 0.35
    """For a module's version when we do not know what is on the port; it needs some 10 ms, and may answer late."""
    answer: float = 12.0
    """For the meter's answer before the same request is sent again."""
    tries: int = 3
    """How often a request is sent; 36 s altogether are above the AIF's timer 1 and below its timer 2 (AIF 2.4.2)."""
    resumption: float = 4.0
    """For the answer in a session that an earlier connection may have left; one that is not there costs as much."""
    rejoin_pause: float = 10.0
    """After a refused join: a meter that still counts the session before refuses the next one."""
    reauthentication: float = 60.0
    """For the module to authenticate anew after the lifetime was over."""


SCAN_PASSES = ((ODD_CHANNELS, 6), (ALL_CHANNELS, 6), (ALL_CHANNELS, 7), (ALL_CHANNELS, 8))
"""Channels and durations to try in turn: a beacon that is missed at one duration is found at the next."""

SLOW_JOIN = 40.0
"""Seconds after which a person who waits is told that the meter does not answer yet."""

SEND_TRIES = 2
"""One datagram that is not acknowledged is bad luck; two are a lost link."""

BUSY_PAUSES = (0.5, 1.0, 2.0)
"""Seconds before a datagram is sent again that met a busy channel."""

AIRTIME_HOUR = 3600.0
"""Seconds over which the airtime is summed up (ARIB STD-T108): no restriction is longer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanPass:
    """A scan that begins now."""

    number: int
    """Counts from 1."""
    of: int
    seconds: float


def _nothing() -> None:
    """Do nothing."""


def _unheard(_: bytes, __: float | None) -> None:
    """Take what nobody listens to."""


class Session:
    """The way of datagrams between us and one meter; used once."""

    def __init__(
        self, module: WiSunModule, timing: Timing, on_event: Callable[[ModuleEvent], None] | None = None
    ) -> None:
        """Attach to the module; `on_event` is called with each of its events."""
        self.state = State.UNKNOWN
        self.restricted = False
        """Whether the module sends nothing because its hourly airtime is used up (ARIB STD-T108)."""
        self.dropped = 0
        """Datagrams that were not the meter's, or not encrypted."""
        self._module = module
        self._timing = timing
        self._pan: Pan | None = None
        self._address = ""
        self._restricted_until = 0.0
        self._changed = asyncio.Event()
        self._give_up: Callable[[], object] = _nothing
        self._on_event = on_event or nobody
        self._on_datagram: Callable[[bytes, float | None], None] = _unheard
        self._on_lost: Callable[[SessionLostError], None] = nobody
        self._reason = ""
        module.attach(on_datagram=self._datagram_received, on_event=self._event_received)

    def attach(
        self, *, on_datagram: Callable[[bytes, float | None], None], on_lost: Callable[[SessionLostError], None]
    ) -> None:
        """Send what arrives from now on to these two; with a datagram comes its signal strength in dBm, if known."""
        self._on_datagram, self._on_lost = on_datagram, on_lost

    @property
    def is_lost(self) -> bool:
        """Return whether the session is over."""
        return self.state is State.LOST

    @property
    def module(self) -> ModuleInfo:
        """Return what the module said about itself."""
        return self._module.info

    async def resume(self, credentials: Credentials, pan: Pan, data: bytes, answer: asyncio.Future[Any]) -> bool:
        """Send a request in the session that an earlier connection may have left; return whether it was answered.

        The callback for datagrams sets the answer. If there is none, nothing has changed but what a reset sets right.

        Raises:
            AirtimeError: nothing may be sent at present.
            ModuleTimeoutError: the module does not answer; the port is closed.
            PortError: the port went away.

        """
        until = asyncio.get_running_loop().time() + self._timing.resumption
        self._pan, self._address, self._give_up = pan, pan.address, answer.cancel
        try:
            await self._module.adopt(credentials, pan)
            self._check_airtime()
            outcome = await self._send_when_free(data)
        except ModuleTimeoutError:
            raise
        except ModuleError as err:
            _LOGGER.debug("no session to go on with: %s", err)
            return False
        self._check_airtime()
        if outcome is SendOutcome.SENT:
            await asyncio.wait([answer], timeout=until - asyncio.get_running_loop().time())
        if not answer.done() or answer.cancelled():
            _LOGGER.debug("no session to go on with")
            return False
        self._module.resumed()
        self._event_received(ModuleEvent.RESUMED)
        return True

    async def prepare(self, credentials: Credentials) -> None:
        """Reset the module and register the credentials."""
        self.state = State.JOINING
        await self._module.prepare(credentials)

    async def scan(
        self,
        credentials: Credentials,
        on_pass: Callable[[ScanPass], None],
        on_heard: Callable[[Sequence[Beacon]], None] = nobody,
    ) -> Beacon:
        """Return our meter, the strongest if several answer; all that each pass heard is passed on to `on_heard`.

        Raises:
            MeterNotFoundError: nobody answered in any pass.
            AirtimeError: nothing may be sent at present.

        """
        self._check_airtime()
        passes = [(channels & self._module.channels, duration) for channels, duration in SCAN_PASSES]
        for number, (channels, duration) in enumerate(passes, 1):
            seconds = self._module.scan_seconds(channels, duration)
            on_pass(ScanPass(number=number, of=len(passes), seconds=seconds))
            beacons = await self._module.scan(channels, duration)
            on_heard(beacons)
            ours = [beacon for beacon in beacons if beacon.pair_id in (None, credentials.pair_id)]
            _LOGGER.debug("scan pass %d heard %d networks, %d ours", number, len(beacons), len(ours))
            if ours:
                return max(ours, key=lambda beacon: beacon.rssi)
        raise MeterNotFoundError("no meter answers to this Route B ID")

    async def hears(self, pan: Pan) -> bool:
        """Listen on the meter's channel only, for less than a second."""
        return any(beacon.pan.mac == pan.mac for beacon in await self._module.scan({pan.channel}, LISTEN_DURATION))

    async def join(self, pan: Pan, on_slow: Callable[[], None] = _nothing) -> None:
        """Authenticate; a refusal is waited out once, and `on_slow` is called if the meter lets us wait.

        Raises:
            JoinRefusedError: the meter was heard and refused twice.
            JoinError: the meter did not answer.
            AirtimeError: nothing may be sent at present.

        """
        self._check_airtime()
        self._pan, self._address = pan, pan.address
        outcome = await self._join_once(pan, on_slow)
        if outcome is JoinOutcome.REFUSED:
            _LOGGER.debug("refused; trying once more in %g s", self._timing.rejoin_pause)
            await asyncio.sleep(self._timing.rejoin_pause)
            outcome = await self._join_once(pan, on_slow)
        match outcome:
            case JoinOutcome.REFUSED:
                raise JoinRefusedError("the meter refused the Route B ID or password")
            case JoinOutcome.UNHEARD:
                raise JoinError("the meter did not answer the authentication")
            case JoinOutcome.JOINED if self.state is not State.JOINED:
                raise SessionLostError(self._reason)

    async def _join_once(self, pan: Pan, on_slow: Callable[[], None]) -> JoinOutcome:
        slow = asyncio.get_running_loop().call_later(SLOW_JOIN, on_slow)
        try:
            outcome = await self._module.join(pan)
        finally:
            slow.cancel()
        if outcome is JoinOutcome.JOINED and self.state is State.JOINING:
            # What told so got lost; the meter's own datagram proves it.
            self._module.resumed()
            self._event_received(ModuleEvent.JOINED)
        return outcome

    async def renew(self) -> None:
        """Authenticate anew with the meter that was joined; what is to be sent meanwhile fails.

        Raises:
            SessionLostError: there is no session to renew.
            JoinError: the meter did not answer, or refused.

        """
        if self._pan is None or self.state is not State.JOINED:
            raise SessionLostError(self._reason or "there is no session")
        self.state = State.JOINING  # The end of the session before is no loss.
        await self.join(self._pan)

    async def send(self, data: bytes) -> None:
        """Send a datagram to the meter; wait while the session is renewed or the airtime is used up.

        Raises:
            SessionLostError: the session is over.

        """
        loop, failures = asyncio.get_running_loop(), 0
        until = loop.time() + 2 * AIRTIME_HOUR
        while failures < SEND_TRIES and loop.time() < until:
            if self.state is not State.JOINED or self.restricted:
                await self._may_send()
            match await self._send_when_free(data):
                case SendOutcome.SENT:
                    return
                case SendOutcome.BUSY:
                    # No session is lost by that: the request is repeated when its answer does not come.
                    self._on_event(ModuleEvent.NOT_SENT)
                    return
                case SendOutcome.UNACKNOWLEDGED if not self.restricted:
                    self._on_event(ModuleEvent.NOT_SENT)
                    failures += 1
        self._lose("the meter's radio does not answer")
        raise SessionLostError(self._reason)

    async def leave(self) -> None:
        """Terminate the session (SKTERM), if the module still answers."""
        self._on_lost = nobody
        await self._module.leave()

    async def close(self) -> None:
        """Release the port and return when others can open it."""
        self._on_datagram, self._on_lost = _unheard, nobody
        self._lose("the connection was closed")
        self._module.close()
        await self._module.wait_closed()

    async def _send_when_free(self, data: bytes) -> SendOutcome:
        for pause in BUSY_PAUSES:
            outcome = await self._module.send(self._address, data)
            if outcome is not SendOutcome.BUSY:
                return outcome
            _LOGGER.debug("the channel is busy; once more in %g s", pause)
            await asyncio.sleep(pause)
        return await self._module.send(self._address, data)

    async def _may_send(self) -> None:
        loop = asyncio.get_running_loop()
        while (renewing := self.state is State.EXPIRED) or (self.state is State.JOINED and self.restricted):
            self._changed.clear()
            until = loop.time() + self._timing.reauthentication if renewing else self._restricted_until
            try:
                async with asyncio.timeout_at(until):
                    await self._changed.wait()
            except TimeoutError:
                if renewing:
                    self._lose("the session was not renewed in time")
                else:
                    _LOGGER.debug("nobody told that airtime is available again; it is by now")
                    self._event_received(ModuleEvent.RELEASED)
        if self.state is not State.JOINED:
            raise SessionLostError(self._reason or "there is no session")

    def _check_airtime(self) -> None:
        if self.restricted:
            raise AirtimeError("the module has used up its airtime of this hour")

    def _datagram_received(self, datagram: Datagram) -> None:
        if datagram.source != self._address or not datagram.encrypted:
            self.dropped += 1
            _LOGGER.debug("dropped a datagram that is not the meter's, or not encrypted")
            return
        self._on_datagram(datagram.data, datagram.rssi)

    def _event_received(self, event: ModuleEvent) -> None:
        if self.state is State.UNKNOWN and event in NO_SESSION:
            # Of a session that was not ours yet, nobody wants to know; but it will not answer any more.
            self._give_up()
            return
        self._on_event(event)
        if self.state is State.LOST:
            return
        if event in (ModuleEvent.RESTRICTED, ModuleEvent.RELEASED):
            self.restricted = event is ModuleEvent.RESTRICTED
            self._restricted_until = asyncio.get_running_loop().time() + AIRTIME_HOUR
        state = TRANSITIONS.get((self.state, event), self.state)
        _LOGGER.debug("%s: %s -> %s", event.name, self.state.name, state.name)
        if state is State.LOST:
            self._lose(REASONS[event])
            return
        self.state = state
        self._changed.set()

    def _lose(self, reason: str) -> None:
        if self.state is State.LOST:
            return
        self.state, self._reason = State.LOST, reason
        self._changed.set()
        self._on_lost(SessionLostError(reason))


NO_SESSION = frozenset(
    {
        ModuleEvent.JOIN_FAILED,
        ModuleEvent.ENDED_BY_METER,
        ModuleEvent.ENDED,
        ModuleEvent.END_UNANSWERED,
        ModuleEvent.EXPIRED,
    }
)
"""Events after which there is nothing to go on with."""

REASONS: Mapping[ModuleEvent, str] = {
    ModuleEvent.JOIN_FAILED: "the meter did not renew the session",
    ModuleEvent.ENDED_BY_METER: "the meter ended the session",
    ModuleEvent.ENDED: "the session was ended",
    ModuleEvent.END_UNANSWERED: "the session was ended",
    ModuleEvent.PORT_LOST: "the port was closed",
}
"""Why each event that leads to LOST does."""
