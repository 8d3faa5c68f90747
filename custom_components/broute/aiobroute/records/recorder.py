"""Writes a record while a connection goes on; docs/records.md has the format."""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
import hashlib

from .invention import Inventions
from .redaction import shown
from .units import Splitter, Unit, units_of

HEADER = "broute-record 1"

SILENCE = 2.0
"""Seconds after which what was begun is not continued."""

MOST = 1000
"""Lines with something of an unknown form that are kept in mind: a port at which something else is may have no end."""

KEPT = "-kept"
"""Ends the kind of a line that has something of an unknown form in it, as a person has asked for it."""

NAME = 6
"""Characters of a name: there are few to be told apart, and a person may type them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """Something of an unknown form that a module or meter said, of which the record has the length only."""

    text: str
    """What it is, and what was said; addresses that are known are replaced."""
    lines: tuple[int, ...]
    """Where it is in the record; counts from 1."""
    name: str
    """How a person asks for it; that of the same is the same in the next record."""


class Recorder:
    """Listens to a port and writes what went over it, as far as it may be shown."""

    def __init__(
        self, write: Callable[[str], object], now: Callable[[], float], inventions: Inventions | None = None
    ) -> None:
        """Write whole lines, with times in seconds since now."""
        self.inventions = inventions or Inventions()
        self._write = write
        self._now = now
        self._begun = self._heard = now()
        self._splitter = Splitter()
        self._lines = 1
        self._doubtful: dict[int, Unit] = {}
        """What has something of an unknown form, by its line."""
        write(f"{HEADER}\n")

    def opened(self, baudrate: int) -> None:
        """Write that the port is open."""
        self._splitter = Splitter()
        self._event("=", f"open {baudrate}")

    def sent(self, data: bytes) -> None:
        """Write what was said to the module."""
        self._units(">", units_of(data))

    def received(self, data: bytes) -> None:
        """Write what the module said, once it is whole."""
        if self._now() - self._heard > SILENCE:
            self._units("<", self._splitter.flush())
        self._heard = self._now()
        self._units("<", self._splitter.receive(data))

    def closed(self) -> None:
        """Write that the port is closed, and what was begun before."""
        self._units("<", self._splitter.flush())
        self._event("=", "closed")

    def note(self, text: str) -> None:
        """Write what is known by now, or what begins; it must have nothing in it that names a household."""
        self._event("=", f"note {text}")

    def unknown(self) -> list[Unknown]:
        """Return what of an unknown form there is, and can be asked for by what is known by now."""
        found: dict[str, list[int]] = {}
        for number, unit in self._doubtful.items():
            for text in dict.fromkeys(self._said(unit)[1]):
                found.setdefault(text, []).append(number)
        return [
            Unknown(text=text, lines=tuple(numbers), name=_name(self.inventions.without_words(text)))
            for text, numbers in found.items()
        ]

    def with_unknown(self, record: str, asked: Collection[Unknown]) -> str:
        """Return the record with something of an unknown form that a person has asked for."""
        lines = record.splitlines(keepends=True)
        texts = {each.text for each in asked}
        for number in {number for each in asked for number in each.lines}:
            said, _ = self._said(self._doubtful[number], texts)
            kind, _, content = said.partition(" ")
            head, _, _ = lines[number - 1].partition(" < ")
            lines[number - 1] = f"{head} < {kind}{KEPT} {content}\n"
        return "".join(lines)

    def _said(self, unit: Unit, asked: Collection[str] = ()) -> tuple[str, list[str]]:
        """Return a unit as in a record, and what of an unknown form it has."""
        self.inventions.asked, self.inventions.met = asked, []
        said = str(shown(unit, self.inventions))
        self.inventions.asked = ()
        return said, self.inventions.met

    def _units(self, direction: str, units: Iterable[Unit]) -> None:
        for unit in units:
            said, unknown = self._said(unit)
            self._event(direction, said)
            # Of what we say nothing is unknown.
            if unknown and direction == "<" and len(self._doubtful) < MOST:
                self._doubtful[self._lines] = unit

    def _event(self, direction: str, text: str) -> None:
        self._lines += 1
        self._write(f"{self._now() - self._begun:10.3f} {direction} {text}\n")


def _name(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:NAME]
