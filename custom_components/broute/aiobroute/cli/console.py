"""Where a command line prints: answers on standard output, everything else on standard error."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
import json
import os
import shutil
import sys

from .columns import bar

EVERY = 10
"""Of how many steps one is told of where a line cannot be overwritten."""

BAR = 20
"""Characters of a bar that shows how far it is."""

ERASE = "\r\x1b[K"
"""Goes back to the beginning of the line, and clears it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    text: str
    begun: float
    """In the event loop's time."""
    seconds: float | None = None
    """How long it takes, if that is known."""
    share: float | None = None
    """How much of it is done, if it is counted."""

    def line(self, now: float) -> str:
        """Return what is shown of it at some time."""
        past = now - self.begun
        if self.seconds is not None:
            past = min(past, self.seconds)
            return f"{_bar(past / self.seconds)} {self.text}, {past:.0f} of {self.seconds:.0f} s"
        if self.share is not None:
            return f"{_bar(self.share)} {self.text}"
        return f"{self.text}, {past:.0f} s" if past >= 1 else self.text


def _bar(share: float) -> str:
    return f"|{bar(share, BAR, sys.stderr.encoding):{BAR}}|"


class Console:
    """Prints answers, and how far it is: in a line that is overwritten on a terminal, in plain lines elsewhere."""

    def __init__(self, *, is_quiet: bool = False, is_plain: bool = False) -> None:
        """Tell of no steps if quiet; overwrite nothing if plain."""
        # There is no standard input for who has closed it.
        self.can_ask = sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()
        self.call_off: Callable[[], object] | None = None
        """Keeps the process from ending before a person has answered, if it was told to stop."""
        self._is_quiet = is_quiet
        self._is_live = sys.stderr.isatty() and not is_plain and os.environ.get("TERM") != "dumb"
        self._tick: asyncio.TimerHandle | None = None

    def print(self, text: str) -> None:
        """Print an answer."""
        self.close()
        print(text, flush=True)

    def print_json(self, row: Mapping[str, object]) -> None:
        """Print an answer for a program."""
        self.print(json.dumps(row, default=_number))

    def note(self, text: str) -> None:
        """Tell what is no answer, but has to be known."""
        self.close()
        print(text, file=sys.stderr, flush=True)

    async def ask(self, question: str) -> str:
        """Return the line that a person types, and wait for it even if the process was to end; only if `can_ask`."""
        self.close()
        print(question, end="", file=sys.stderr, flush=True)
        loop = asyncio.get_running_loop()
        typed = asyncio.Event()
        # A terminal is readable when a line is whole. A thread that waits for one could not be called back.
        loop.add_reader(sys.stdin.fileno(), typed.set)
        if self.call_off is not None:
            self.call_off()
            self.call_off = None
        try:
            await typed.wait()
            return sys.stdin.readline()
        finally:
            loop.remove_reader(sys.stdin.fileno())

    def step(self, text: str, seconds: float | None = None) -> None:
        """Say what begins now and, if that is known, how many seconds it takes."""
        if self._is_quiet:
            return
        if self._is_live:
            self._show(_Step(text=text, begun=_now(), seconds=seconds))
        else:
            self.note(text if seconds is None else f"{text}, {seconds:.0f} s")

    def count(self, what: str, number: int, of: int) -> None:
        """Say which of so many steps begins now."""
        if self._is_quiet:
            return
        text = f"{what} {number} of {of}"
        if self._is_live:
            self._show(_Step(text=text, begun=_now(), share=(number - 1) / of))
        elif number % EVERY == 1 or number == of:
            self.note(text)

    def close(self) -> None:
        """Erase what is shown of the present step."""
        if self._tick is not None:
            self._tick.cancel()
            self._tick = None
            print(ERASE, end="", file=sys.stderr, flush=True)

    def _show(self, step: _Step) -> None:
        if self._tick is not None:
            self._tick.cancel()
        self._tick = asyncio.get_running_loop().call_later(1.0, self._show, step)
        line = step.line(_now())[: shutil.get_terminal_size().columns - 1]
        print(ERASE + line, end="", file=sys.stderr, flush=True)


def _now() -> float:
    return asyncio.get_running_loop().time()


def _number(value: Decimal) -> float:
    """Return what JSON prints with exactly the digits of a counter or current, which are at most twelve."""
    return float(value)
