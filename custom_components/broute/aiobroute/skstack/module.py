"""An SK module behind a port."""

import asyncio
from collections.abc import Callable, Collection
import logging
from typing import Any

from ..errors import ModuleError, ModuleTimeoutError, PortError
from ..module import (
    ALL_CHANNELS,
    Beacon,
    Credentials,
    Datagram,
    JoinOutcome,
    ModuleEvent,
    ModuleInfo,
    Pan,
)
from ..port import Port
from .commands import (
    CRLF,
    Command,
    Replies,
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
    Fail,
    Message,
    PanDescriptor,
    ReceivedUdp,
    rssi_of,
)

_LOGGER = logging.getLogger(__name__)

NO_SESSION = "ER10"
"""The error code of a command that needs a session (SK 7)."""

MODULE_EVENTS = {
    EventNumber.JOINED: ModuleEvent.JOINED,
    EventNumber.JOIN_FAILED: ModuleEvent.JOIN_FAILED,
    EventNumber.ENDED_BY_METER: ModuleEvent.ENDED_BY_METER,
    EventNumber.ENDED: ModuleEvent.ENDED,
    EventNumber.END_UNANSWERED: ModuleEvent.END_UNANSWERED,
    EventNumber.EXPIRED: ModuleEvent.EXPIRED,
    EventNumber.RESTRICTED: ModuleEvent.RESTRICTED,
    EventNumber.RELEASED: ModuleEvent.RELEASED,
}


class SkLink:
    """A port on which one SK command at a time is carried out."""

    def __init__(self, port: Port) -> None:
        """Listen to the port from now on."""
        self._port = port
        self._decoder = Decoder()
        self._turn = asyncio.Lock()
        self._exchange: _Exchange[Any] | None = None
        self.on_message: Callable[[Message], None] = _nobody
        self.on_lost: Callable[[], None] = _nothing
        port.attach(on_data=self._receive, on_lost=self._lost)

    async def run[T](self, command: Command[T]) -> T:
        """Carry out one command.

        Raises:
            ModuleError: the module refused it.
            ModuleTimeoutError: the answer was not complete in time; the port is closed.
            PortError: the port is, or was, closed.

        """
        try:
            return await self.attempt(command)
        except TimeoutError:
            self.abandon()
            raise ModuleTimeoutError(f"{command.name} was not answered") from None

    async def attempt[T](self, command: Command[T]) -> T:
        """Carry out one command, but leave the port open if there is no answer.

        Raises:
            TimeoutError: the answer was not complete in time.
            ModuleError: the module refused it.
            PortError: the port is, or was, closed.

        """
        async with self._turn:
            _LOGGER.debug("> %s", command.name)
            answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
            self._port.write(command.data)
            self._exchange = exchange = _Exchange(command.name, command.replies(), answer)
            try:
                async with asyncio.timeout(command.timeout):
                    return await answer
            except asyncio.CancelledError:
                # A half-read answer must not be left for the next command.
                self.abandon()
                raise
            finally:
                exchange.end()
                self._exchange = None

    def write(self, data: bytes) -> None:
        """Send bytes that belong to no command."""
        self._port.write(data)

    def abandon(self) -> None:
        """Close the port and tell whoever listens."""
        on_lost = self.on_lost
        self.close()
        on_lost()

    def close(self) -> None:
        """Close the port."""
        self.on_message, self.on_lost = _nobody, _nothing
        self._port.close()
        if self._exchange is not None:
            self._exchange.fail(PortError(f"{self._port.url} was closed"))

    async def wait_closed(self) -> None:
        """Return when the port can be opened again."""
        await self._port.wait_closed()

    def _receive(self, data: bytes) -> None:
        for message in self._decoder.receive(data):
            _LOGGER.debug("< %s", message)
            if self._exchange is not None:
                self._exchange.receive(message)
            self.on_message(message)

    def _lost(self, error: PortError) -> None:
        if self._exchange is not None:
            self._exchange.fail(error)
        self.abandon()


class _Exchange[T]:
    """A command that is being carried out."""

    def __init__(self, name: str, replies: Replies[T], answer: asyncio.Future[T]) -> None:
        self._name = name
        self._replies = replies
        self._answer = answer
        self._silence: asyncio.TimerHandle | None = None
        next(replies)

    def receive(self, message: Message | None) -> None:
        """Let the reply script have a message, or the end of its patience."""
        self._end_silence()
        if self._answer.done():
            return
        if isinstance(message, Fail):
            self.fail(ModuleError(f"{self._name} failed with {message.code}", message.code))
            return
        try:
            patience = self._replies.send(message)
        except StopIteration as end:
            self._answer.set_result(end.value)
            return
        if patience is not None:
            self._silence = asyncio.get_running_loop().call_later(patience, self.receive, None)

    def fail(self, error: ModuleError | PortError) -> None:
        """End with an error."""
        if not self._answer.done():
            self._answer.set_exception(error)

    def end(self) -> None:
        """Leave nothing behind."""
        self._end_silence()
        self._replies.close()

    def _end_silence(self) -> None:
        if self._silence is not None:
            self._silence.cancel()
            self._silence = None


class SkModule:
    """A Wi-SUN module that speaks SK commands."""

    def __init__(self, link: SkLink, dialect: Dialect, firmware: str) -> None:
        """Take over a link on which `identify` found the module."""
        self._link = link
        self._dialect = dialect
        self._info = ModuleInfo(dialect.family, firmware)
        self._on_datagram: Callable[[Datagram], None] = _nobody
        self._on_event: Callable[[ModuleEvent], None] = _nobody
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
        return await self._link.run(skjoin(pan.address))

    async def send(self, address: str, data: bytes) -> bool:
        """Send an encrypted datagram; return whether the meter's radio took it (SK 3.7)."""
        if len(data) > MAX_DATAGRAM:
            raise ModuleError(f"a datagram of {len(data)} bytes is too long")
        try:
            return await self._link.run(sksendto(self._dialect, address, data))
        except ModuleError as err:
            if err.code != NO_SESSION:
                raise
            self._on_event(ModuleEvent.ENDED)
            return False

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


async def identify(port: Port, *, patience: float) -> SkModule | None:
    """Ask whether an SK module is on the port, which stays open if none is.

    Raises:
        ModuleError: an SK module of a family that we do not know.
        PortError: the port was closed.

    """
    link = SkLink(port)
    # Ends a line that somebody left half-written; its FAIL costs the first try.
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


def _nobody(_: object) -> None:
    """Take what nobody listens to."""


def _nothing() -> None:
    """Do nothing."""
