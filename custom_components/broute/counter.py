"""Doubts about a counter: a single wrong byte must never become energy."""

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from .history import FASTEST

if TYPE_CHECKING:
    from .aiobroute import MeterProfile


@dataclass(frozen=True, slots=True)
class Sighting:
    """What a counter showed, and when."""

    value: Decimal
    """kWh."""
    at: float
    """Seconds of any clock that goes on steadily."""


class Doubts:
    """Passes on what can be true; what cannot has to be said twice."""

    def __init__(self, profile: MeterProfile) -> None:
        """Know the meter's step, and where its counter begins again."""
        self._step = profile.energy(1) or Decimal(0)
        self._span = None if profile.digits is None else profile.energy(10**profile.digits)
        self.believed: Sighting | None = None
        """The last value that was passed on; one from before a restart may be put here."""
        self._odd: Sighting | None = None

    def check(self, value: Decimal | None, at: float) -> Decimal | None:
        """Return the value, or `None` until another one agrees with it; `at` is seen with the clock of all others."""
        if value is None:
            return None
        sighting = Sighting(value, at)
        if self.believed is None or self._follows(self.believed, sighting) or self._follows(self._odd, sighting):
            self.believed, self._odd = sighting, None
            return value
        self._odd = sighting
        return None

    def _follows(self, before: Sighting | None, now: Sighting) -> bool:
        """Return whether so much energy can have flowed in between."""
        if before is None:
            return False
        rise = now.value - before.value
        if rise < 0 and self._span is not None:
            rise += self._span
        return 0 <= rise <= FASTEST * Decimal(now.at - before.at) / 3600 + self._step
