"""An SK module behind a port."""

from collections.abc import Callable, Collection
import logging

from ..errors import ModuleError
from ..link import Link
from ..listeners import nobody
from ..module import (
    ALL_CHANNELS,
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
    CRLF,
    scan_seconds,
    skinfo,
    skjoin,
    skreset,
    skscan,
    sksendto,
    sksetpwd,
    sksetrbid,
    sksreg,
    sksreg_read,
    skterm,
    skver,
)
from .decoder import MAX_DATAGRAM, Decoder
from .dialects import Dialect, dialect_of
from .messages import (
    ECHONET_PORT,
    Event,
    EventNumber,
    Message,
    PanDescriptor,
    ReceivedUdp,
    rssi_of,
)

_LOGGER = logging.getLogger(__name__)

NO_SESSION = "ER10"
"""The error code of a command that needs a session (SK 7)."""

MODULE_EVENTS = {
    EventNumber.BEACON_RECEIVED: ModuleEvent.BEACON,
    EventNumber.JOINED: ModuleEvent.JOINED,
    EventNumber.JOIN_FAILED: ModuleEvent.JOIN_FAILED,
    EventNumber.ENDED_BY_METER: ModuleEvent.ENDED_BY_METER,
    EventNumber.ENDED: ModuleEvent.ENDED,
    EventNumber.END_UNANSWERED: ModuleEvent.END_UNANSWERED,
    EventNumber.EXPIRED: ModuleEvent.EXPIRED,
    EventNumber.RESTRICTED: ModuleEvent.RESTRICTED,
    EventNumber.RELEASED: ModuleEvent.RELEASED,
}


class SkModule:
    """A Wi-SUN module that speaks SK commands."""

    def __init__(self, link: Link[Message], dialect: Dialect, firmware: str) -> None:
        """Take over a link on which `identify` found the module."""
        self._link = link
        self._dialect = dialect
        self._info = ModuleInfo(dialect.family, firmware)
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
        """Return all channels of the band."""
        return ALL_CHANNELS

    def attach(self, *, on_datagram: Callable[[Datagram], None], on_event: Callable[[ModuleEvent], None]) -> None:
        """Send what arrives from now on to these two."""
        self._on_datagram, self._on_event = on_datagram, on_event

    async def prepare(self, credentials: Credentials) -> None:
        """Reset the module, then set echo, signal strength and credentials: nothing of it is kept in flash."""
        await self._link.run(skreset())
        await self._link.run(sksreg("SFE", "0"))
        if self._dialect.prints_lqi:
            await self._link.run(sksreg("SA2", "1"))
        await self._link.run(sksetpwd(credentials.password))
        await self._link.run(sksetrbid(credentials.route_b_id))
        if await self._is_restricted():
            self._on_event(ModuleEvent.RESTRICTED)

    async def adopt(self, credentials: Credentials, pan: Pan) -> None:  # noqa: ARG002  # a session has them
        """Set echo and signal strength, and have the session renew itself (SK 3.1)."""
        await self._link.run(sksreg("SFE", "0"))
        if self._dialect.prints_lqi:
            await self._link.run(sksreg("SA2", "1"))
        await self._link.run(sksreg("S17", "1"))
        if await self._is_restricted():
            self._on_event(ModuleEvent.RESTRICTED)

    def resumed(self) -> None:
        """Do nothing: the module goes on as it did."""

    async def scan(self, channels: Collection[int], duration: int) -> list[Beacon]:
        """Return the meters that answer our pairing ID (SK 3.9)."""
        return [_beacon(found) for found in await self._link.run(skscan(self._dialect, channels, duration))]

    def scan_seconds(self, channels: Collection[int], duration: int) -> float:
        """Return how long such a scan takes (SK 3.9)."""
        return scan_seconds(channels, duration)

    async def join(self, pan: Pan) -> JoinOutcome:
        """Authenticate with the meter (SK 3.4)."""
        await self._link.run(sksreg("S2", f"{pan.channel:X}"))
        await self._link.run(sksreg("S3", f"{pan.pan_id:04X}"))
        outcome = await self._link.run(skjoin(pan.address))
        if outcome is None:
            _LOGGER.debug("the authentication has not come to an end; it is given up")
            await self.leave()
        return outcome or JoinOutcome.UNHEARD

    async def send(self, address: str, data: bytes) -> SendOutcome:
        """Send an encrypted datagram (SK 3.7)."""
        if len(data) > MAX_DATAGRAM:
            raise ModuleError(f"a datagram of {len(data)} bytes is too long")
        try:
            return await self._link.run(sksendto(self._dialect, address, data))
        except ModuleError as err:
            if err.code != NO_SESSION:
                raise
            self._on_event(ModuleEvent.ENDED)
            return SendOutcome.UNACKNOWLEDGED

    async def leave(self) -> None:
        """End the session, if there is one (SK 3.6)."""
        try:
            await self._link.run(skterm())
        except ModuleError as err:
            if err.code != NO_SESSION:
                raise

    def close(self) -> None:
        """Release the port, now."""
        self._link.close()

    async def wait_closed(self) -> None:
        """Return when the port is free for others."""
        await self._link.wait_closed()

    async def _is_restricted(self) -> bool:
        try:
            return await self._link.run(sksreg_read("SFB")) == "1"
        except ModuleError as err:
            if err.code is None:
                raise
            return False  # BP35C2: no manual says that it has SFB.

    def _message(self, message: Message) -> None:
        match message:
            case ReceivedUdp(port=port) if port == ECHONET_PORT:
                rssi = None if message.lqi is None else rssi_of(message.lqi)
                self._on_datagram(
                    Datagram(source=message.source, encrypted=message.secured, data=message.data, rssi=rssi)
                )
            case Event(number) if number in MODULE_EVENTS:
                self._on_event(MODULE_EVENTS[EventNumber(number)])

    def _lost(self) -> None:
        self._on_event(ModuleEvent.PORT_LOST)


def link_to(port: Port) -> Link[Message]:
    """Return a link on which SK commands can be carried out."""
    return Link(port, Decoder().receive, _LOGGER, line_end=CRLF)


async def identify(port: Port, *, patience: float) -> SkModule | None:
    """Ask whether an SK module is on the port, which stays open if none is.

    Raises:
        ModuleError: an SK module of a family that we do not know.
        PortError: the port was closed.

    """
    link = link_to(port)
    # Ends a line that another program left half-written; its FAIL costs the first try.
    link.write(CRLF)
    for _ in range(2):
        try:
            firmware = await link.attempt(skver(patience))
        except (TimeoutError, ModuleError):
            continue
        return SkModule(link, dialect_of(await link.run(skinfo())), firmware)
    return None


def _beacon(descriptor: PanDescriptor) -> Beacon:
    return Beacon(
        pan=Pan(channel=descriptor.channel, pan_id=descriptor.pan_id, mac=descriptor.mac),
        rssi=rssi_of(descriptor.lqi),
        lqi=descriptor.lqi,
        pair_id=descriptor.pair_id,
    )
