"""Devices that are no Wi-SUN modules, and what they say when they are spoken to."""

from typing import TYPE_CHECKING

from .habits import ModuleSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .line import Line

HABITS: Mapping[str, Callable[[bytes], bytes]] = {
    "silent": lambda _: b"",
    "echo": lambda data: data,
    "modem": lambda data: data + b"\r\nERROR\r\n" * (b"\r" in data),
    "gps": lambda _: b"$GPRMC,120005,A,3541.000,N,13945.000,E,000.0,000.0,231126,,*1D\r\n",
    "zigbee": lambda data: b"\x7e" * (b"\x7e" in data),
    "terminal": lambda data: data + b"\r\nPassword: " * data.count(b"\r"),
}
"""A GPS receiver talks unasked; a Zigbee stick answers only what begins as its own frames do."""


class Stranger:
    """A device with a habit."""

    def __init__(self, line: Line, habit: Callable[[bytes], bytes]) -> None:
        self._line = line
        self._habit = habit
        self.habits = ModuleSettings()

    def receive(self, data: bytes) -> None:
        """Take bytes from the host."""
        self._line.write(self._habit(data))

    def power_up(self) -> None:
        """Begin anew."""
