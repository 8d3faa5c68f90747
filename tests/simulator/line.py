"""The serial line from the module to the host, and what can go wrong on it."""

from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

NOISE = (
    b"\xff\xfe\r\n",
    b"\x00\x13OK?\r\n",
    b"\xf8\xf8\xf8\xf8\n",
    b"EVENT\r\n",
    b"ERXUDP FE80 0E1A\r\n",
    b"  \r\n",
    b"\xe3\x81\xb2\r\n",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LineSettings:
    """What happens to the bytes that a module prints; the numbers are parts of all lines, or bytes."""

    noise: float = 0.0
    """Rubbish comes before a line."""
    unknown_events: float = 0.0
    """An event of an unknown number comes before a line."""
    truncated: float = 0.0
    """A line lacks its second half, its end included."""
    lost_bytes: float = 0.0
    """A byte is lost."""
    doubled_bytes: float = 0.0
    """A byte comes twice."""
    is_split: bool = False
    """Each byte comes on its own."""
    pan_description: Literal["whole", "cut", "late", "broken"] = "whole"
    """What tells of the meter: interrupted within, after the scan's end, or without its second half."""
    seed: int = 1


class Line:
    """Carries what a module prints to the host, if there is one."""

    def __init__(self, settings: LineSettings) -> None:
        self.settings = settings
        self.host: Callable[[bytes], None] | None = None
        self.unknown = b"EVENT 7F FE80:0000:0000:0000:021D:1291:1234:5678\r\n"
        """An event of an unknown number."""
        self.is_mute = False
        """Nothing gets through."""
        self._chance = Random(settings.seed)

    def write(self, data: bytes) -> None:
        """Print, with everything that goes wrong."""
        if self._happens(self.settings.noise):
            self.write_raw(self._chance.choice(NOISE))
        if self._happens(self.settings.unknown_events):
            self.write_raw(self.unknown)
        if self._happens(self.settings.truncated):
            data = data[: len(data) // 2]
        if self.settings.lost_bytes:
            data = bytes(byte for byte in data if not self._happens(self.settings.lost_bytes))
        if self.settings.doubled_bytes:
            data = b"".join(bytes([byte]) * (1 + self._happens(self.settings.doubled_bytes)) for byte in data)
        for part in [bytes([byte]) for byte in data] if self.settings.is_split else [data]:
            self.write_raw(part)

    def write_raw(self, data: bytes) -> None:
        """Print as it is."""
        if self.host is not None and not self.is_mute and data:
            self.host(data)

    def _happens(self, rate: float) -> bool:
        return rate > 0 and self._chance.random() < rate
