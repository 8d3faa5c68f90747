"""One open serial URL."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
import errno
import logging
from typing import override

import serialx
from serialx.descriptor_transport import DescriptorTransport

from .errors import PortBusyError, PortError, PortMissingError
from .listeners import nobody

_LOGGER = logging.getLogger(__name__)

_in_our_port = ContextVar("_in_our_port", default=False)
"""Set in whatever runs for one of our ports: the event loop keeps the context in which a port was opened."""

OPEN_TIMEOUT = 10.0
"""Seconds; a serial proxy or a TCP server on a home network answers within one or two."""

READ_SIZE = 4096
"""Bytes for which room is made at each read: no more wait in a terminal. serialx's own quarter of a megabyte is mapped
and unmapped each time, which takes longer than to decode what was read."""


def _is_not_of_our_port(record: logging.LogRecord) -> bool:
    """Keep serialx from logging the bytes of our ports: credentials are among them."""
    return record.levelno > logging.DEBUG or not _in_our_port.get()


@contextmanager
def _unlogged() -> Iterator[None]:
    """Run what writes to one of our ports, or starts reading from it."""
    token = _in_our_port.set(True)
    try:
        yield
    finally:
        _in_our_port.reset(token)


class _Receiver(asyncio.Protocol):
    """What the transport calls; passes everything on to whoever is attached."""

    on_data: Callable[[bytes], None] = staticmethod(nobody)
    on_lost: Callable[[Exception | None], None] = staticmethod(nobody)

    @override
    def data_received(self, data: bytes) -> None:
        self.on_data(data)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self.on_lost(exc)


class Port:
    """A serial device, TCP socket or serial proxy, open from its making to `close`."""

    def __init__(self, url: str, transport: serialx.BaseSerialTransport, receiver: _Receiver) -> None:
        """Take over what `open_port` has opened."""
        self.url = url
        self._transport = transport
        self._receiver = receiver

    def attach(self, *, on_data: Callable[[bytes], None], on_lost: Callable[[PortError], None]) -> None:
        """Send what arrives from now on to these two."""

        def lost(reason: Exception | None) -> None:
            on_lost(PortError(f"{self.url} went away" + (f": {reason}" if reason else "")))

        self._receiver.on_data, self._receiver.on_lost = on_data, lost

    def write(self, data: bytes) -> None:
        """Send bytes.

        Raises:
            PortError: the port is closed.

        """
        if self._transport.is_closing():
            raise PortError(f"{self.url} is closed")
        with _unlogged():
            self._transport.write(data)

    def close(self) -> None:
        """Release the port; nothing is told to anyone any more."""
        # A TCP peer that closes looks like our own close, so whoever listens is detached first.
        self._receiver.on_data = self._receiver.on_lost = nobody
        self._transport.abort()

    async def wait_closed(self) -> None:
        """Return when the port can be opened again."""
        await self._transport.wait_closed()


async def open_port(url: str, *, baudrate: int = 115200) -> Port:
    """Open a device path or serial URL.

    Raises:
        PortMissingError: there is no such device.
        PortBusyError: another program holds it.
        PortError: it cannot be opened for another reason.

    """
    receiver = _Receiver()
    try:
        with _unlogged():
            async with asyncio.timeout(OPEN_TIMEOUT):
                transport, _ = await serialx.create_serial_connection(
                    asyncio.get_running_loop(), lambda: receiver, url, baudrate=baudrate
                )
    except FileNotFoundError as err:
        raise PortMissingError(f"{url} does not exist") from err
    except TimeoutError as err:
        raise PortError(f"{url} did not open within {OPEN_TIMEOUT:g} s") from err
    except OSError as err:
        if err.errno == errno.EBUSY:
            raise PortBusyError(f"{url} is in use by another program") from err
        raise PortError(f"{url} cannot be opened: {err.strerror or err}") from err
    except (serialx.SerialException, ValueError) as err:
        raise PortError(f"{url} cannot be opened: {err}") from err
    # A copy: other threads import, and their loggers come into being meanwhile.
    for name, logger in logging.root.manager.loggerDict.copy().items():
        if name.startswith("serialx") and isinstance(logger, logging.Logger):
            logger.addFilter(_is_not_of_our_port)
    if isinstance(transport, DescriptorTransport):
        transport.max_size = READ_SIZE
    _LOGGER.debug("%s is open", url)
    return Port(url, transport, receiver)
