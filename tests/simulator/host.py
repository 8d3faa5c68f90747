"""A bare host on a simulated port, for tests of the simulator itself."""

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import serialx

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from .transport import SimulatedPort

TURNS = 20
"""How often the event loop may go around without a byte before the simulation is taken to be done."""


class Host:
    """Writes bytes, and reads whatever comes of them at infinite speed."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def heard(self) -> bytes:
        """Return what comes until nothing more does."""
        data = b""
        while True:
            for _ in range(TURNS):
                await asyncio.sleep(0)
            if not self._reader._buffer:  # type: ignore[attr-defined]
                return data
            data += await self._reader.read(65_536)

    async def exchange(self, data: bytes) -> bytes:
        """Write, and return what comes."""
        self._writer.write(data)
        return await self.heard()

    async def ask(self, command: str) -> list[str]:
        """Return the lines that come after a command."""
        return lines_of(await self.exchange(command.encode() + b"\r\n"))


def lines_of(data: bytes) -> list[str]:
    """Return the lines that were printed."""
    return data.decode("latin-1").split("\r\n")[:-1]


@asynccontextmanager
async def opened(sim: SimulatedPort, baudrate: int = 115_200) -> AsyncIterator[Host]:
    """Open a simulated port for as long as it is needed."""
    reader, writer = await serialx.open_serial_connection(sim.url, baudrate=baudrate)
    try:
        yield Host(reader, writer)
    finally:
        writer.close()
        await writer.wait_closed()
