"""One line for each thing that was done or that failed."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
import sys
import time
from typing import TYPE_CHECKING

import aiohttp

from .process import StepError

if TYPE_CHECKING:
    from pathlib import Path

EXPECTED = (StepError, TimeoutError, OSError, aiohttp.ClientError)
"""What goes wrong with other programs; anything else is our own mistake, and its traceback is shown."""


def say(text: str) -> None:
    """Print a line, also into a pipe at once."""
    print(text, flush=True)  # noqa: T201  # a program prints


@contextmanager
def step(what: str) -> Iterator[list[str]]:
    """Say what was done and how long it took; what is put into the list is said as well.

    Raises:
        StepError: it failed; the error says so, and nothing is printed yet.

    """
    details: list[str] = []
    start = time.monotonic()
    if sys.stdout.isatty():
        print(f"        …  {what}", end="\r", flush=True)  # noqa: T201  # a person wonders what takes so long
    try:
        yield details
    except asyncio.CancelledError:
        raise
    except Exception as err:  # noqa: BLE001  # one line shall say at which step, for any failure
        log: Path | None = getattr(err, "log", None)
        reason = str(err) if isinstance(err, StepError) else f"{type(err).__name__} {err}"
        raise StepError(f"{what}: {reason}", log) from (None if isinstance(err, EXPECTED) else err)
    say(f"{time.monotonic() - start:6.1f} s  {'; '.join([what, *details])}")
