"""PlausibilityFilter about a counter: a single wrong byte must never become energy."""

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from .statistics import FASTEST

if TYPE_CHECKING:
    from ..aiobroute import MeterProfile


@dataclass(frozen=True, slots=True)
class Sample:
    """What a counter showed, and when."""

    value: Decimal
    """kWh."""
    at: float
    """Seconds of any clock that goes on steadily."""


class PlausibilityFilter:
    """Passes on what can be true; what cannot has to be said twice."""

    def __init__(self, profile: MeterProfile) -> None:
        self._step = profile.energy(1) or Decimal(0)
        self._span = None if profile.digits is None else profile.energy(10**profile.digits)
        self.accepted: Sample | None = None
        """The last value that was passed on; one from before a restart may be put here."""
        self._odd: Sample | None = None

    def check(self, value: Decimal | None, at: float) -> Decimal | None:
        """Return the value, or `None` until another one agrees with it; `at` is seen with the clock of all others."""
        if value is None:
            return None
        sample = Sample(value, at)
        if self.accepted is None or self._follows(self.accepted, sample) or self._follows(self._odd, sample):
            self.accepted, self._odd = sample, None
            return value
        self._odd = sample
        return None

    def _follows(self, before: Sample | None, now: Sample) -> bool:
        """Return whether so much energy can have flowed in between."""
        if before is None:
            return False
        rise = now.value - before.value
        if rise < 0 and self._span is not None:
            rise += self._span
        return 0 <= rise <= FASTEST * Decimal(now.at - before.at) / 3600 + self._step
