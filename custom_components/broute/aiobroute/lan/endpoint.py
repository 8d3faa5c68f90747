"""A UDP socket in the event loop, until it is closed."""

import asyncio
from collections.abc import Callable
import logging
import socket
from typing import override

from .sockets import SocketAddress

_LOGGER = logging.getLogger(__name__)


class Endpoint(asyncio.DatagramProtocol):
    """Passes on what arrives."""

    def __init__(self, on_datagram: Callable[[bytes, SocketAddress], None]) -> None:
        """Use `open`."""
        self._on_datagram = on_datagram
        self._closed = asyncio.get_running_loop().create_future()

    @classmethod
    async def open(cls, sock: socket.socket, on_datagram: Callable[[bytes, SocketAddress], None]) -> "Endpoint":
        """Take over a socket; what arrives there goes on from now on."""
        loop = asyncio.get_running_loop()
        _, endpoint = await loop.create_datagram_endpoint(lambda: cls(on_datagram), sock=sock)
        return endpoint

    @property
    def is_connected(self) -> bool:
        """Return whether all that is sent goes to one address."""
        return self._transport.get_extra_info("peername") is not None

    def send(self, data: bytes, to: SocketAddress | None = None) -> None:
        """Send a datagram; whether it arrives nobody tells."""
        self._transport.sendto(data, to)

    async def close(self) -> None:
        """Return when others can have the address."""
        self._transport.abort()
        await asyncio.shield(self._closed)

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.DatagramTransport)  # noqa: S101  # no other is made of such a socket
        self._transport = transport

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._closed.set_result(None)

    @override
    def datagram_received(self, data: bytes, addr: SocketAddress) -> None:
        self._on_datagram(data, addr)

    @override
    def error_received(self, exc: Exception) -> None:
        # Each is about one datagram, which will be repeated: an interface comes back, a router learns the way.
        _LOGGER.debug("not sent: %s", exc)
