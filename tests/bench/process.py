"""Simulators and clients as processes."""

import asyncio
from contextlib import asynccontextmanager, suppress
import json
import sys
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from tests.simulator.process import controlled, simulator

from .stacks import ROOT, Stack

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.simulator.process import Control


class ClientError(Exception):
    """A client ended otherwise than it should."""


class Client:
    """A client that does its task."""

    def __init__(self, stack: Stack, process: asyncio.subprocess.Process) -> None:
        self._stack = stack
        self._process = process

    async def ready(self) -> None:
        """Wait until it has connected."""
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        if line != b"ready\n":
            raise ClientError(await self._complaint(line))

    async def tell(self, line: str = "") -> None:
        """Let it go on."""
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode() + b"\n")
        # It may have ended by itself.
        with suppress(ConnectionError):
            await self._process.stdin.drain()

    async def result(self) -> Any:
        """Return what it measured."""
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        await self._process.wait()
        if self._process.returncode or not line:
            raise ClientError(await self._complaint(line))
        return json.loads(line)

    async def _complaint(self, line: bytes) -> str:
        assert self._process.stderr is not None
        errors = await self._process.stderr.read()
        return f"{self._stack.label}: {(line + errors).decode()}"


@asynccontextmanager
async def client(stack: Stack, task: str, **options: Any) -> AsyncIterator[Client]:
    """Run a client for the length of a `with`."""
    process = await asyncio.create_subprocess_exec(
        *stack.command(task, **options),
        cwd=ROOT,
        env=stack.surroundings(),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield Client(stack, process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def run(stack: Stack, task: str, **options: Any) -> Any:
    """Let a client do a task that needs nothing in between; return what it measured."""
    async with client(stack, task, **options) as running:
        return await running.result()


@asynccontextmanager
async def meter(scenario: str, speed: float, *, module: str = "bp35c2") -> AsyncIterator[tuple[str, Control]]:
    """Offer a simulated meter; yield its device and its control port."""
    with TemporaryDirectory(prefix="broute-bench-") as folder:
        device = f"{folder}/dongle"
        arguments = ["--pty", device, "--control", "127.0.0.1:0", "--scenario", scenario, "--speed", str(speed)]
        async with simulator(*arguments, "--module", module) as ready, controlled(ready) as control:
            yield device, control


@asynccontextmanager
async def street(meters: int, speed: float) -> AsyncIterator[list[str]]:
    """Offer many simulated meters; yield their devices."""
    with TemporaryDirectory(prefix="broute-bench-") as folder:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.bench.street", folder, f"--meters={meters}", f"--speed={speed}"),
            cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        try:
            line = (await process.stdout.readline()).decode()
            yield line.removeprefix("ready: ").split()
        finally:
            process.terminate()
            await process.wait()
