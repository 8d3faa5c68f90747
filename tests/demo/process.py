"""A child process that tells where it stopped, and never stays behind."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
import os
from pathlib import Path
import shutil
import signal
from typing import Self, assert_never

TAIL = 15
"""Lines of a log that are shown after a failure."""


class StepError(Exception):
    """A step did not succeed; the text says what was seen instead."""

    def __init__(self, reason: str, log: Path | None = None) -> None:
        super().__init__(reason)
        self.log = log

    @classmethod
    def unexpected(cls, what: str, seen: object) -> Self:
        """Make the error for an answer that is not as it should be."""
        return cls(f"{what}: {seen}")


@dataclass(frozen=True, slots=True)
class Found[T]:
    """What was waited for; nothing else ends a wait."""

    value: T


@dataclass(frozen=True, slots=True)
class NotYet:
    """It is not there yet, which is no answer."""

    seen: str
    """What is there instead, for the error."""


async def until[T](look: Callable[[], Awaitable[Found[T] | NotYet]], *, within: float, pause: float = 0.1) -> T:
    """Look again and again, for at most so many seconds, until something is found.

    Raises:
        StepError: it was not found; the error says what was seen last.

    """
    seen = "nobody could look"
    try:
        async with asyncio.timeout(within) as limit:
            while True:
                match await look():
                    case Found(value):
                        return value
                    case NotYet(seen):
                        await asyncio.sleep(pause)
                    case other:  # `False` or `None` would be taken for an answer where nobody checks types
                        assert_never(other)
    except TimeoutError:
        if not limit.expired():
            raise
        raise StepError(f"after {within:g} s: {seen}") from None


def tail(log: Path) -> str:
    """Return the last lines of a log."""
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    return "\n".join(lines[-TAIL:])


class Process:
    """A child in a process group of its own, so that Ctrl-C in the terminal reaches us first."""

    def __init__(self, name: str, child: asyncio.subprocess.Process, log: Path) -> None:
        self.name = name
        self.log = log
        self.fault: str | None = "it was never stopped"
        """What was not right about its end."""
        self._child = child

    async def ended(self) -> int:
        """Wait for the end and return the exit code."""
        return await self._child.wait()

    async def unless_ended[T](self, doing: Awaitable[T], *, within: float | None = None) -> T:
        """Await something that makes sense only while the child lives, with a limit in seconds."""
        task = asyncio.ensure_future(doing)
        end = asyncio.ensure_future(self.ended())
        try:
            await asyncio.wait({task, end}, timeout=within, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
            if end.done():
                raise StepError(f"{self.name} ended by itself with exit code {end.result()}", self.log)
            raise StepError(f"{self.name} needed more than {within:g} s", self.log)
        finally:
            task.cancel()
            end.cancel()
            await asyncio.wait({task, end})

    async def stop(self, *, within: float) -> None:
        """Ask the child to end; after some seconds, or when we are told to hurry, end its whole group."""
        try:
            with suppress(ProcessLookupError):
                self._child.send_signal(signal.SIGTERM)
            async with asyncio.timeout(within):
                code = await self.ended()
            self.fault = f"exit code {code}" if code else "children left behind" if self._has_group() else None
        except TimeoutError:
            self.fault = f"no end within {within:g} s of SIGTERM"
        finally:
            with suppress(ProcessLookupError):
                os.killpg(self._child.pid, signal.SIGKILL)
            await self.ended()

    def _has_group(self) -> bool:
        with suppress(ProcessLookupError):
            os.killpg(self._child.pid, 0)
            return True
        return False


@asynccontextmanager
async def running(name: str, *command: str | Path, log: Path, grace: float = 20) -> AsyncIterator[Process]:
    """Run a child for the length of a `with`; what it prints goes to a file."""
    if setpriv := shutil.which("setpriv"):
        # Even if we are killed, nothing that holds ports stays behind.
        command = (setpriv, "--pdeathsig", "TERM", *command)
    with log.open("wb") as output:
        child = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
    process = Process(name, child, log)
    try:
        yield process
    finally:
        await process.stop(within=grace)
