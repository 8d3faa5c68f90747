"""A serial server in a network: what may happen before, between and in place of the bytes that it passes on."""

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, cast, override

from .serve import Socket
from .telnet import IAC, TelnetSocket

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from .dongle import Dongle

EVERY = 10
"""How often something from the dongle is interrupted."""

FRONTS: Mapping[str, type[Socket | TelnetSocket]] = {"socket": Socket, "rfc2217": TelnetSocket}
"""What a server speaks, by the scheme of its URL."""


class Network:
    """A dongle behind a TCP port."""

    def __init__(self, dongle: Dongle, scheme: str, *, greeting: bytes = b"", interruption: bytes = b"") -> None:
        self.front = FRONTS[scheme]
        self.dongle = dongle
        self.greeting = greeting
        """What the server says of itself when a connection is made."""
        self.interruption = interruption
        """What it says now and then in the middle of what comes from the dongle."""
        self.is_silent = False
        """Whether it takes connections, but does nothing with them."""
        self.hangs_up = 0
        """How many of the next connections it closes at once."""
        self.connections: list[Connection] = []
        """Those that are open."""

    def vanish(self) -> None:
        """Lose what belongs to the connections without telling anybody, as if the cable had been pulled."""
        for connection in self.connections:
            connection.forget()

    @asynccontextmanager
    async def listening(self, port: int = 0) -> AsyncIterator[str]:
        """Serve on this machine; yield host and port."""
        async with listening(lambda: Connection(self), port) as address:
            yield address


@asynccontextmanager
async def listening(protocol: Callable[[], asyncio.Protocol], port: int = 0) -> AsyncIterator[str]:
    """Offer a TCP server on this machine; yield host and port."""
    server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", port)
    host, port = server.sockets[0].getsockname()
    try:
        yield f"{host}:{port}"
    finally:
        server.close()
        server.close_clients()
        await server.wait_closed()


class Connection(asyncio.Protocol):
    """A connection of a client to the dongle, as long as the server knows of it."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._front: Socket | TelnetSocket | None = None

    def forget(self) -> None:
        """Pass nothing on any more."""
        if self._front is not None:
            self._front.connection_lost(None)
            self._front = None

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast("asyncio.Transport", transport)
        self._network.connections.append(self)
        if self._network.hangs_up:
            self._network.hangs_up -= 1
            transport.close()
        elif not self._network.is_silent:
            self._front = self._network.front(self._network.dongle)
            self._front.connection_made(_Interrupted(transport, self._network.interruption))
            transport.write(self._network.greeting)

    @override
    def data_received(self, data: bytes) -> None:
        if self._front is not None:
            self._front.data_received(data)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._network.connections.remove(self)
        self.forget()


class _Interrupted(asyncio.Transport):
    """Writes something in the middle of what is written."""

    def __init__(self, transport: asyncio.Transport, interruption: bytes) -> None:
        super().__init__()
        self._transport = transport
        self._interruption = interruption
        self._number = 0

    @override
    def write(self, data: bytes | bytearray | memoryview) -> None:
        whole, place = bytes(data), len(data) // 2
        # What telnet itself says has to stay in one piece.
        if IAC not in whole:
            self._number += 1
            if not self._number % EVERY:
                whole = whole[:place] + self._interruption + whole[place:]
        self._transport.write(whole)

    @override
    def close(self) -> None:
        self._transport.close()

    @override
    def abort(self) -> None:
        self._transport.abort()
