"""Writes a record while a connection goes on; docs/records.md has the format."""

from collections.abc import Callable, Iterable

from .invention import Inventions
from .redaction import shown
from .units import Splitter, Unit, units_of

HEADER = "broute-record 1"

SILENCE = 2.0
"""Seconds after which what was begun is not continued."""


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

    def _units(self, direction: str, units: Iterable[Unit]) -> None:
        for unit in units:
            self._event(direction, str(shown(unit, self.inventions)))

    def _event(self, direction: str, text: str) -> None:
        self._write(f"{self._now() - self._begun:10.3f} {direction} {text}\n")
