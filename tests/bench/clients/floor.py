"""asyncio and serialx with nothing above them: what the same bytes cost at least in this process.

The module is set as we set it, so it prints what it prints to us: no echo, and the signal strength. Room is made for as
much as we make room for at each read. What comes is put together until the line of the answer is whole, but not read.
"""

import asyncio
from typing import Any, override

import serialx
from serialx.descriptor_transport import DescriptorTransport

from . import PASSWORD, ROUTE_B_ID, Polls, perform, ready, told

ADDRESS = "FE80:0000:0000:0000:021C:6400:03D2:A1B7"

READ_SIZE = 4096
"""Bytes; with serialx's own quarter of a megabyte the floor would be higher, and no floor."""

ANSWER = b" 1081000102880105FF0172"
"""How the answer begins within its line: what the meter tells unasked is none."""

SETTINGS = (
    "SKRESET",
    "SKSREG SFE 0",
    "SKSREG SA2 1",
    f"SKSETPWD C {PASSWORD}",
    f"SKSETRBID {ROUTE_B_ID}",
    "SKSREG S2 31",
    "SKSREG S3 8A3C",
)


class Lines(asyncio.Protocol):
    """Waits for a whole line in which something is found."""

    def __init__(self) -> None:
        self._input = b""
        self._wanted = b""
        self._found: asyncio.Future[None] | None = None

    def expect(self, wanted: bytes) -> asyncio.Future[None]:
        """Return what is done when such a line has come."""
        self._input, self._wanted = b"", wanted
        self._found = asyncio.get_running_loop().create_future()
        return self._found

    @override
    def data_received(self, data: bytes) -> None:
        self._input += data
        place = self._input.find(self._wanted)
        if self._found and not self._found.done() and place >= 0 and self._input.find(b"\r\n", place) >= 0:
            self._found.set_result(None)


def poll(url: str, warm_up: int, polls: int, blocks: int) -> Any:
    """Read again and again."""

    async def run() -> Any:
        loop = asyncio.get_running_loop()
        protocol = Lines()
        transport, _ = await serialx.create_serial_connection(loop, lambda: protocol, url, baudrate=115200)
        assert isinstance(transport, DescriptorTransport)
        transport.max_size = READ_SIZE

        async def exchange(data: bytes, until: bytes) -> None:
            found = protocol.expect(until)
            transport.write(data)
            await found

        for line in SETTINGS:
            await exchange(line.encode() + b"\r\n", b"OK")
        await exchange(f"SKJOIN {ADDRESS}\r\n".encode(), b"EVENT 25")
        datagram = bytes.fromhex("1081000105FF010288016204E700E800E000E300")
        request = f"SKSENDTO 1 {ADDRESS} 0E1A 1 0 {len(datagram):04X} ".encode() + datagram
        for _ in range(warm_up):
            await exchange(request, ANSWER)
        ready()
        told()
        measured = Polls(polls)
        for _ in range(polls * blocks):
            await exchange(request, ANSWER)
            measured.end()
        transport.abort()
        return {"cpu": measured.cpu}

    return asyncio.run(run())


if __name__ == "__main__":
    perform({"poll": poll})
