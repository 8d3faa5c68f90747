"""The simulator as another process, for tests that need one."""

import asyncio
from contextlib import asynccontextmanager
import json
from pathlib import Path
import re
import signal
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ROOT = Path(__file__).parent.parent.parent
READY = re.compile(r"ready: (?P<port>\S+)(?: control (?P<host>\S+):(?P<number>\d+))?\n")

LONGEST = 2**24
"""Bytes of an answer; the record of a long run is the longest."""


async def started(*arguments: str) -> asyncio.subprocess.Process:
    """Start the simulator with its output caught."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.simulator",
        *arguments,
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


@asynccontextmanager
async def simulator(*arguments: str, end: signal.Signals = signal.SIGTERM) -> AsyncIterator[re.Match[str]]:
    """Run the simulator until it is told to end; yield what it says when it is ready, which must be all it says."""
    process = await started(*arguments)
    assert process.stdout is not None
    line = (await process.stdout.readline()).decode()
    try:
        ready = READY.fullmatch(line)
        assert ready, line
        yield ready
    finally:
        if process.returncode is None:
            process.send_signal(end)
        output, errors = await process.communicate()
    assert (process.returncode, output, errors) == (0, b"", b"")


class Control:
    """The control port of a running simulator."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def do(self, order: str, **options: Any) -> Any:
        """Give an order; return the answer."""
        return await self.say(json.dumps({"do": order, **options}))

    async def say(self, text: str) -> Any:
        """Send a line; return the answer."""
        self._writer.write(text.encode() + b"\n")
        return json.loads(await self._reader.readline())


@asynccontextmanager
async def controlled(ready: re.Match[str]) -> AsyncIterator[Control]:
    """Connect to the control port of a simulator that is ready."""
    reader, writer = await asyncio.open_connection(ready["host"], int(ready["number"]), limit=LONGEST)
    try:
        yield Control(reader, writer)
    finally:
        writer.close()
        await writer.wait_closed()
