"""A J11 module behind a port."""

import asyncio
from collections.abc import Callable, Collection
import logging

from ..errors import ModuleError, PortError
from ..link import Link
from ..listeners import nobody
from ..module import (
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
)
from ..port import Port
from .commands import (
    NO_SESSION,
    PANA_LIMITS,
    QUICK,
    dwell_of,
    end_pana,
    end_route_b,
    get_version,
    open_udp_port,
    reset,
    scan,
    send,
    set_credentials,
    set_up,
    start_pana,
    start_route_b,
)
from .frame import FAMILY, Decoder
from .messages import (
    ECHONET_PORT,
    NOT_DECRYPTED,
    Connection,
    ConnectionChanged,
    Message,
    PacketLost,
    PanaEnded,
    ReceivedUdp,
    Scanned,
    Started,
    message_of,
)

_LOGGER = logging.getLogger(__name__)

ASSOCIATIONS = 3
"""How often a meter that is heard is asked to connect: the first time fails on many real ones."""

RENEWAL_PAUSE = 60.0
"""Seconds in which no second authentication is begun: a meter that keeps none is not worth the airtime."""


RESTRICTION = 300.0
"""Seconds after which a module that may not send is tried again, as it does not tell when it may."""


class J11Module:
    """A Wi-SUN module that speaks the binary UART protocol."""

    def __init__(self, link: Link[Message], firmware: str) -> None:
        """Take over a link on which `identify` found the module."""
        self._link = link
        self._info = ModuleInfo(FAMILY, firmware)
        self._credentials = Credentials("", "")
        self._address = ""
        self._is_started = False
        """Whether Route B is in operation: then a module takes no other settings."""
        self._is_joined = False
        self._renewal: asyncio.Task[None] | None = None
        self._next_renewal = 0.0
        self._release: asyncio.TimerHandle | None = None
        self._on_datagram: Callable[[Datagram], None] = nobody
        self._on_event: Callable[[ModuleEvent], None] = nobody
        link.on_message = self._message
        link.on_lost = self._lost

    @property
    def info(self) -> ModuleInfo:
        """Return family and firmware."""
        return self._info

    @property
    def channels(self) -> frozenset[int]:
        """Return the channels of 400 kHz, by the numbers of the SK commands (UARTIF table 21)."""
        return ODD_CHANNELS

    def attach(self, *, on_datagram: Callable[[Datagram], None], on_event: Callable[[ModuleEvent], None]) -> None:
        """Send what arrives from now on to these two."""
        self._on_datagram, self._on_event = on_datagram, on_event

    async def prepare(self, credentials: Credentials) -> None:
        """Reset the module, then set mode and credentials: nothing of it survives the next reset."""
        self._credentials = credentials
        await self._begin(min(self.channels))

    async def adopt(self, credentials: Credentials, pan: Pan) -> None:
        """Hand over what arrives for ECHONET Lite; all else is known only by a reset module (UARTIF 3.2.3.1)."""
        self._credentials, self._address = credentials, pan.address
        await self._link.run(open_udp_port())

    def resumed(self) -> None:
        """Take the session that was found for ours."""
        self._is_started = self._is_joined = True

    async def scan(self, channels: Collection[int], duration: int) -> list[Beacon]:
        """Return the meters that answer our pairing ID (UARTIF 3.2.3.4)."""
        await self._stop()
        return await self._link.run(scan(self._credentials.pair_id, channels, duration))

    def scan_seconds(self, channels: Collection[int], duration: int) -> float:
        """Return how long such a scan takes (UARTIF 3.2.3.4)."""
        return dwell_of(duration) * len(channels)

    async def join(self, pan: Pan) -> JoinOutcome:
        """Connect to the meter on its channel, then authenticate with it (UARTIF 3.4.3.1, 3.4.3.2)."""
        # What ends from now on is the session before.
        self._address, self._is_joined = pan.address, False
        await self._stop()
        await self._link.run(set_up(pan.channel))
        # The module learns the PAN from the beacon: another meter may have taken the place of ours.
        if (found := await self._associate(pan)) is None or found.pan.mac != pan.mac:
            return JoinOutcome.UNHEARD
        await self._link.run(open_udp_port())
        for limit in PANA_LIMITS:
            if (outcome := await self._link.run(start_pana(limit))) is not None:
                return outcome
        _LOGGER.debug("the authentication has not come to an end; it is given up")
        await self._link.run(end_pana())
        return JoinOutcome.UNHEARD

    async def send(self, address: str, data: bytes) -> SendOutcome:
        """Send a datagram (UARTIF 3.2.3.3)."""
        try:
            outcome = await self._link.run(send(address, data))
        except ModuleError as err:
            if err.code is None or int(err.code, 16) not in NO_SESSION:
                raise
            self._end(ModuleEvent.ENDED)
            return SendOutcome.UNACKNOWLEDGED
        if outcome is SendOutcome.RESTRICTED:
            self._restricted()
        return outcome

    async def leave(self) -> None:
        """End the session, if there is one (UARTIF 3.4.3.3)."""
        self._is_joined = False
        await self._link.run(end_pana())
        await self._stop()

    def close(self) -> None:
        """Release the port, now."""
        if self._renewal is not None:
            self._renewal.cancel()
        self._end_restriction()
        self._link.close()

    async def wait_closed(self) -> None:
        """Return when the port is free for others."""
        await self._link.wait_closed()
        if self._renewal is not None:
            await asyncio.wait([self._renewal])

    async def _begin(self, channel: int) -> None:
        self._is_started = self._is_joined = False
        await self._link.run(reset())
        await self._link.run(set_up(channel))
        await self._link.run(set_credentials(self._credentials))

    async def _associate(self, pan: Pan) -> Beacon | None:
        """Start Route B; after a failure from a reset module again, if the meter can be heard at all."""
        for _ in range(ASSOCIATIONS):
            found = await self._link.run(start_route_b())
            if found is not None:
                self._is_started = True
                return found
            await self._begin(pan.channel)
            if not await self.scan({pan.channel}, LISTEN_DURATION):
                break
        return None

    async def _stop(self) -> None:
        if self._is_started:
            self._is_started = False
            await self._link.run(end_route_b())

    async def _renew(self) -> None:
        """Authenticate anew: nobody says that a module does so by itself."""
        try:
            await self._link.run(start_pana())
        except ModuleError:
            self._end(ModuleEvent.ENDED)
        except PortError:
            pass  # The listeners were called.

    def _message(self, message: Message) -> None:
        match message:
            case ReceivedUdp(port=port) if port == ECHONET_PORT:
                self._on_datagram(
                    Datagram(
                        source=message.source, encrypted=message.encrypted, data=message.data, rssi=float(message.rssi)
                    )
                )
            case Scanned(_, beacons):
                for _ in beacons:
                    self._on_event(ModuleEvent.BEACON)
            case PanaEnded(JoinOutcome.JOINED):
                self._is_joined = True
                self._on_event(ModuleEvent.JOINED)
            case PanaEnded():
                self._end(ModuleEvent.JOIN_FAILED)
            case ConnectionChanged(Connection.PANA_LOST) if self._is_joined:
                self._authentication_lost()
            case PacketLost(reason, source) if reason == NOT_DECRYPTED and source in ("", self._address):
                self._keys_differ()
            case ConnectionChanged(Connection.MAC_LOST) if self._is_joined:
                self._end(ModuleEvent.ENDED_BY_METER)
            case Started() if self._is_started:
                self._is_started = False
                self._end(ModuleEvent.ENDED)

    def _keys_differ(self) -> None:
        """Make the session anew; one that is only being tried ends, and one that is being made is not disturbed."""
        if self._is_joined:
            self._authentication_lost()
        elif self._renewal is None or self._renewal.done():
            self._on_event(ModuleEvent.ENDED)

    def _authentication_lost(self) -> None:
        """Begin a new one: its lifetime is over, or the meter ended it; the module does not tell which."""
        loop = asyncio.get_running_loop()
        if loop.time() < self._next_renewal:
            self._end(ModuleEvent.ENDED_BY_METER)
            return
        self._next_renewal = loop.time() + RENEWAL_PAUSE
        self._end(ModuleEvent.EXPIRED)
        self._renewal = loop.create_task(self._renew())

    def _restricted(self) -> None:
        self._end_restriction()
        self._release = asyncio.get_running_loop().call_later(RESTRICTION, self._on_event, ModuleEvent.RELEASED)
        self._on_event(ModuleEvent.RESTRICTED)

    def _end_restriction(self) -> None:
        if self._release is not None:
            self._release.cancel()
            self._release = None

    def _end(self, event: ModuleEvent) -> None:
        self._is_joined = False
        self._on_event(event)

    def _lost(self) -> None:
        self._on_event(ModuleEvent.PORT_LOST)


def link_to(port: Port) -> Link[Message]:
    """Return a link on which commands can be carried out."""
    decoder = Decoder()
    return Link(
        port,
        lambda data: map(message_of, decoder.receive(data)),
        _LOGGER,
        give_up=lambda: map(message_of, decoder.give_up()),
    )


async def identify(port: Port, *, patience: float) -> J11Module | None:
    """Ask whether a J11 module is on the port, which stays open if none is.

    Raises:
        ModuleError: a J11 module that does not tell its version even after a reset.
        PortError: the port was closed.

    """
    link = link_to(port)
    for _ in range(2):
        try:
            return J11Module(link, await link.attempt(get_version(patience)))
        except TimeoutError:
            continue
        except ModuleError:
            # It does what a former program began: a scan takes up to a minute.
            await link.run(reset())
            return J11Module(link, await link.run(get_version(QUICK)))
    return None
