"""A PANA session with one meter, over any Wi-SUN module."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
import logging

from .errors import (
    AirtimeError,
    JoinError,
    JoinRefusedError,
    MeterNotFoundError,
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
    Pan,
    WiSunModule,
)

_LOGGER = logging.getLogger(__name__)


class State(Enum):
    """Where a session stands."""

    JOINING = auto()
    JOINED = auto()
    EXPIRED = auto()
    """The lifetime is over and the module authenticates anew: nothing may be sent (SK 3.4)."""
    LOST = auto()
    """Final: another connection is needed."""


TRANSITIONS: Mapping[tuple[State, ModuleEvent], State] = {
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
    rejoin_pause: float = 10.0
    """After a refused join: a meter that still counts the session before refuses the next one."""
    reauthentication: float = 60.0
    """For the module to authenticate anew after the lifetime was over."""


SCAN_PASSES = ((ODD_CHANNELS, 6), (ALL_CHANNELS, 6), (ALL_CHANNELS, 7), (ALL_CHANNELS, 8))
"""Channels and durations to try in turn: a beacon that is missed at one duration is found at the next."""

AIRTIME_HOUR = 3600.0
"""Seconds over which the airtime is summed up (ARIB STD-T108): no restriction is longer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanPass:
    """A scan that begins now."""

    number: int
    """Counts from 1."""
    of: int
    seconds: float


class Session:
    """The way of datagrams between us and one meter; used once."""

    def __init__(
        self, module: WiSunModule, timing: Timing, on_event: Callable[[ModuleEvent], None] | None = None
    ) -> None:
        """Listen to the module from now on; `on_event` is for whoever keeps a record."""
        self.state = State.JOINING
        self.restricted = False
        """Whether the module sends nothing because its hourly airtime is used up (ARIB STD-T108)."""
        self.dropped = 0
        """Datagrams that were not the meter's, or not encrypted."""
        self._module = module
        self._timing = timing
        self._address = ""
        self._restricted_until = 0.0
        self._changed = asyncio.Event()
        self._on_event = on_event or nobody
        self._on_datagram: Callable[[Datagram], None] = nobody
        self._on_lost: Callable[[SessionLostError], None] = nobody
        self._reason = ""
        module.attach(on_datagram=self._datagram_received, on_event=self._event_received)

    def attach(self, *, on_datagram: Callable[[Datagram], None], on_lost: Callable[[SessionLostError], None]) -> None:
        """Send what arrives from now on to these two."""
        self._on_datagram, self._on_lost = on_datagram, on_lost

    async def scan(self, credentials: Credentials, on_pass: Callable[[ScanPass], None]) -> Beacon:
        """Return our meter, the strongest if several answer.

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
            ours = [beacon for beacon in beacons if beacon.pair_id in (None, credentials.pair_id)]
            _LOGGER.debug("scan pass %d heard %d networks, %d ours", number, len(beacons), len(ours))
            if ours:
                return max(ours, key=lambda beacon: beacon.rssi)
        raise MeterNotFoundError("no meter answers to this Route B ID")

    async def hears(self, pan: Pan) -> bool:
        """Listen on the meter's channel only, for less than a second."""
        return any(beacon.pan.mac == pan.mac for beacon in await self._module.scan({pan.channel}, LISTEN_DURATION))

    async def join(self, pan: Pan) -> None:
        """Authenticate; a refusal is waited out once.

        Raises:
            JoinRefusedError: the meter was heard and refused twice.
            JoinError: the meter did not answer.
            AirtimeError: nothing may be sent at present.

        """
        self._check_airtime()
        self._address = pan.address
        outcome = await self._module.join(pan)
        if outcome is JoinOutcome.REFUSED:
            _LOGGER.debug("refused; trying once more in %g s", self._timing.rejoin_pause)
            await asyncio.sleep(self._timing.rejoin_pause)
            outcome = await self._module.join(pan)
        match outcome:
            case JoinOutcome.REFUSED:
                raise JoinRefusedError("the meter refused the Route B ID or password")
            case JoinOutcome.UNHEARD:
                raise JoinError("the meter did not answer the authentication")
            case JoinOutcome.JOINED if self.state is not State.JOINED:
                raise SessionLostError(self._reason)

    async def send(self, data: bytes) -> None:
        """Send a datagram to the meter; wait while the session is renewed or the airtime is used up.

        Raises:
            SessionLostError: the session is over.

        """
        for _ in range(2):  # One failure may be a busy channel; two are a lost link.
            await self._may_send()
            if await self._module.send(self._address, data):
                return
            self._on_event(ModuleEvent.NOT_SENT)
        self._lose("the meter's radio does not answer")
        raise SessionLostError(self._reason)

    async def leave(self) -> None:
        """End the session politely, if the module still can."""
        self._on_lost = nobody
        await self._module.leave()

    async def close(self) -> None:
        """Release the port and return when others can open it."""
        self._on_datagram = self._on_lost = nobody
        self._lose("the connection was closed")
        self._module.close()
        await self._module.wait_closed()

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
        self._on_datagram(datagram)

    def _event_received(self, event: ModuleEvent) -> None:
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


REASONS: Mapping[ModuleEvent, str] = {
    ModuleEvent.JOIN_FAILED: "the meter did not renew the session",
    ModuleEvent.ENDED_BY_METER: "the meter ended the session",
    ModuleEvent.ENDED: "the session was ended",
    ModuleEvent.END_UNANSWERED: "the session was ended",
    ModuleEvent.PORT_LOST: "the port was closed",
}
"""Why each event that leads to LOST does."""
