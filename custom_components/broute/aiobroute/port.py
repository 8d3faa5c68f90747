"""One open serial URL."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
import logging
import math
import re
from typing import override

import serialx
from serialx.descriptor_transport import DescriptorTransport
from serialx.platforms.serial_rfc2217 import RFC2217SerialTransport
from serialx.platforms.serial_rfc2217.types import Rfc2217Command, SetLinestateMaskCmd, SetModemstateMaskCmd

from .address import hide, is_network, shown
from .errors import PortBusyError, PortClosedError, PortError, PortNotTelnetError, PortTelnetError
from .listeners import Tap, nobody
from .outage import reason_of

_LOGGER = logging.getLogger(__name__)

_in_our_port = ContextVar("_in_our_port", default=False)
"""Set in all that runs for one of our ports: the event loop keeps the context in which a port was opened."""

OPEN_TIMEOUT = 10.0
"""Seconds; a serial proxy or a TCP server on a home network answers within one or two."""

CLOSE_TIMEOUT = 1.0
"""Seconds; a proxy that is frozen never says that it has let go, and a person who pressed Ctrl-C waits."""

GREETING = 200
"""Bytes at the beginning of a connection that may be a server's own words."""

TELNET_OPTIONS = tuple(bytes((0xFF, verb)) for verb in (0xFB, 0xFC, 0xFD, 0xFE))
"""How a telnet server begins: IAC and WILL, WONT, DO or DONT (RFC 854); no Wi-SUN module says that."""

SEVERAL_OPTIONS = re.compile(rb"(?:\xff[\xfb-\xfe][\x00-\x31]){2}")
"""How it goes on after a banner; a single one could be a module's noise."""

LOGGERS = ("serialx", "aioesphomeapi")
"""Libraries below us that log what goes over a port."""

READ_SIZE = 4096
"""Bytes for which room is made at each read: no more wait in a terminal. serialx's own quarter of a megabyte is mapped
and unmapped each time, which takes longer than to decode what was read."""


def _is_not_of_our_port(_: logging.LogRecord) -> bool:
    """Keep libraries from logging the bytes and addresses of our ports: credentials and keys are among them."""
    return not _in_our_port.get()


@contextmanager
def _unlogged() -> Iterator[None]:
    """Run what writes to one of our ports, or starts reading from it."""
    token = _in_our_port.set(True)
    try:
        yield
    finally:
        _in_our_port.reset(token)


class _Receiver(asyncio.Protocol):
    """What the transport calls; passes everything on to the attached callables."""

    def __init__(self, url: str, tap: Tap | None) -> None:
        self.tap = tap
        self.on_data: Callable[[bytes], None] = nobody
        self.on_lost: Callable[[PortError], None] = nobody
        self.greeting = b""
        """The first bytes that came."""
        self.lost: PortError | None = None
        self.is_negotiating = False
        """Whether a telnet server was reached."""
        self._url = url
        self._is_network = is_network(url)
        self._is_raw = url.lower().startswith(("socket://", "tcp://"))

    @override
    def data_received(self, data: bytes) -> None:
        if self._is_network and len(self.greeting) < GREETING:
            self.greeting += data[:GREETING]
            if self._is_raw and _is_telnet(self.greeting):
                self._lose(PortTelnetError("speaks telnet: use rfc2217:// instead of socket://", shown(self._url)))
                return
        if self.tap is not None:
            self.tap.received(data)
        self.on_data(data)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        is_closed = self._is_network and (exc is None or isinstance(exc, ConnectionError))
        error = self.refusal() if is_closed else None
        detail = exc.strerror if isinstance(exc, OSError) and exc.strerror else exc
        reason = hide(self._url, f"went away: {detail}" if detail else "went away")
        self._lose(error or PortError(reason, shown(self._url)))

    def refusal(self) -> PortError | None:
        """Return what a server that closes means by it, if it had nothing to pass on."""
        words = self.greeting.decode("ascii", "ignore")
        if "already in use" in words:
            return PortBusyError("is in use by another client", shown(self._url))
        if "open failure" in words:
            return PortClosedError("the server cannot open the device behind it", shown(self._url))
        if not self.greeting:
            return PortClosedError("the server closed the connection; often another client has it", shown(self._url))
        return None

    def _lose(self, error: PortError) -> None:
        if self.lost is None:
            self.lost = error
            self.untap()
            self.on_lost(error)

    def untap(self) -> None:
        """Let nobody hear any more what goes over the port."""
        tap, self.tap = self.tap, None
        if tap is not None:
            tap.closed()


def _is_telnet(greeting: bytes) -> bool:
    """Return whether a connection begins as only a telnet server begins one."""
    return greeting.startswith(TELNET_OPTIONS) or SEVERAL_OPTIONS.search(greeting) is not None


class _Rfc2217Transport(RFC2217SerialTransport):
    """An RFC 2217 port whose server need not acknowledge the masks; docs/ports.md has servers that do not."""

    @override
    async def _send_and_wait(self, cmd: Rfc2217Command) -> Rfc2217Command:
        if isinstance(cmd, SetModemstateMaskCmd | SetLinestateMaskCmd):
            self._send_command(cmd)
            return cmd
        return await super()._send_and_wait(cmd)

    @override
    async def _negotiate(self) -> None:
        self._receiver.is_negotiating = True
        await super()._negotiate()

    @override
    def _data_received(self, data: bytes) -> None:
        if not self._connection_made_called:
            # What a server says while options are negotiated is nobody's data.
            self._receiver.greeting += data[:GREETING]
        super()._data_received(data)

    @property
    def _receiver(self) -> _Receiver:
        assert isinstance(self._protocol, _Receiver)  # noqa: S101  # nobody else makes one
        return self._protocol


class Port:
    """A serial device, TCP socket or serial proxy, open from its making to `close`."""

    def __init__(self, url: str, transport: serialx.BaseSerialTransport, receiver: _Receiver) -> None:
        self.url = shown(url)
        """For people: what is secret in it is left out."""
        self._transport = transport
        self._receiver = receiver
        self._free_by = math.inf
        """When, by the event loop's clock, a port that was closed is waited for no longer."""

    def attach(self, *, on_data: Callable[[bytes], None], on_lost: Callable[[PortError], None]) -> None:
        """Send what arrives from now on to these two."""
        self._receiver.on_data, self._receiver.on_lost = on_data, on_lost

    def write(self, data: bytes) -> None:
        """Send bytes.

        Raises:
            PortError: the port is closed.

        """
        if (lost := self._receiver.lost) is not None:
            raise type(lost)(lost.reason, self.url)
        if self._transport.is_closing():
            raise PortError("is closed", self.url)
        # The same as `_unlogged`, which is done for each request: a generator more takes its time.
        token = _in_our_port.set(True)
        try:
            self._transport.write(data)
        finally:
            _in_our_port.reset(token)
        if self._receiver.tap is not None:
            self._receiver.tap.sent(data)

    def close(self) -> None:
        """Release the port; nothing is told to anyone any more."""
        # A TCP peer that closes looks like our own close, so the callables are detached first.
        self._receiver.on_data = self._receiver.on_lost = nobody
        self._receiver.untap()
        with _unlogged():
            self._transport.abort()
        self._free_by = min(self._free_by, asyncio.get_running_loop().time() + CLOSE_TIMEOUT)

    async def wait_closed(self) -> None:
        """Return when a port that was closed can be opened again, or will not say so any more."""
        if self._free_by <= asyncio.get_running_loop().time():
            return
        with suppress(TimeoutError):
            try:
                async with asyncio.timeout_at(self._free_by):
                    await self._transport.wait_closed()
            finally:
                # serialx has one future for all who wait, and who is interrupted has cancelled it.
                self._free_by = -math.inf


async def open_port(url: str, *, baudrate: int = 115200, tap: Tap | None = None) -> Port:
    """Open a device path or serial URL; `tap` hears everything that goes over it.

    Raises:
        PortError: it cannot be opened; each known reason has a kind of its own.

    """
    receiver = _Receiver(url, tap)
    begun = asyncio.get_running_loop().time()
    _silence()
    try:
        transport = await _connected(url, receiver, baudrate)
    except (OSError, serialx.SerialException, ValueError) as err:
        seconds = asyncio.get_running_loop().time() - begun
        raise _failure(url, receiver, err, seconds) from err
    if isinstance(transport, DescriptorTransport):
        transport.max_size = READ_SIZE
    if tap is not None:
        tap.opened(baudrate)
    _LOGGER.debug("%s is open", shown(url))
    return Port(url, transport, receiver)


async def _connected(url: str, receiver: _Receiver, baudrate: int) -> serialx.BaseSerialTransport:
    """Open a port, but wait neither for its opening nor for its closing without end.

    Raises:
        TimeoutError: it did not open in time.

    """
    is_rfc2217 = url.lower().startswith("rfc2217://")
    with _unlogged():
        opening = asyncio.ensure_future(
            serialx.create_serial_connection(
                asyncio.get_running_loop(),
                lambda: receiver,
                url,
                transport_cls=_Rfc2217Transport if is_rfc2217 else None,
                baudrate=baudrate,
            )
        )
    opened: set[_Opening] = set()
    try:
        opened, _ = await asyncio.wait({opening}, timeout=OPEN_TIMEOUT)
    finally:
        if not opened:
            await _give_up(opening)
    if not opened:
        raise TimeoutError
    return opening.result()[0]


type _Opening = asyncio.Future[tuple[serialx.BaseSerialTransport, asyncio.Protocol]]


async def _give_up(opening: _Opening) -> None:
    """End an opening; a proxy that is frozen never says that it has let go."""
    opening.cancel()
    opening.add_done_callback(_abandon)
    await asyncio.wait({opening}, timeout=CLOSE_TIMEOUT)


def _abandon(opening: _Opening) -> None:
    """Close what was opened in the very moment in which it was given up."""
    # Why it failed is of no interest any more, and would be logged if nobody looked.
    if not opening.cancelled() and opening.exception() is None:
        with _unlogged():
            opening.result()[0].abort()


def _failure(url: str, receiver: _Receiver, err: Exception, seconds: float) -> PortError:
    """Return in our own words why a port could not be opened."""
    if not receiver.is_negotiating:
        return reason_of(url, err, seconds)
    is_telnet = receiver.greeting.startswith(TELNET_OPTIONS)
    if isinstance(err, TimeoutError) and is_telnet:
        return reason_of(url, err, seconds)
    if isinstance(err, OSError) and not isinstance(err, TimeoutError):
        if (refusal := receiver.refusal()) is not None:
            return refusal
        if is_telnet:
            return PortClosedError("the server closed the connection; often another client has it", shown(url))
    return PortNotTelnetError("does not answer as RFC 2217 wants it; raw TCP ports need socket://", shown(url))


def _silence() -> None:
    """Keep the libraries below from logging what goes over our ports."""
    # A copy: other threads import, and their loggers come into being meanwhile.
    for name, logger in logging.root.manager.loggerDict.copy().items():
        if name.startswith(LOGGERS) and isinstance(logger, logging.Logger):
            logger.addFilter(_is_not_of_our_port)
