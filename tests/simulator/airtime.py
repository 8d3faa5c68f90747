"""How long a module has transmitted: the law allows 360 seconds in an hour (T108)."""

from collections import deque
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .meter import Clock

HOUR = timedelta(hours=1)

BITRATE = 100_000
OVERHEAD = 60
"""Bytes of the lower layers per datagram."""
BEACON_REQUEST = 0.006
"""Seconds on the air per scanned channel."""


def on_air(size: int) -> float:
    """Return the seconds that a datagram occupies the air."""
    return 8 * (size + OVERHEAD) / BITRATE


class Airtime:
    """The seconds that a module has transmitted (T108)."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._spent: deque[tuple[datetime, float]] = deque()
        self.total = 0.0
        """Seconds since the simulation began."""
        self.is_used_up = False

    def spend(self, seconds: float) -> None:
        """Transmit."""
        self.total += seconds
        self._spent.append((self._clock(), seconds))

    def last_hour(self) -> float:
        """Return the seconds of the last hour."""
        while self._spent and self._spent[0][0] <= self._clock() - HOUR:
            self._spent.popleft()
        return sum(seconds for _, seconds in self._spent)
