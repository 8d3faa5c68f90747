"""How much the meter answers in one Get."""

from collections.abc import Callable

MOST = 7
"""Properties that every meter has to support in one Get (AIF lvsm 1.10)."""

RETRIAL = 86_400.0
"""Seconds after which more is tried again: what looked like a limit may have been a bad moment."""

SILENCES = 2
"""Larger requests that stay unanswered while a smaller one is answered; a single one may have been lost."""


class Capacity:
    """Learns from the answers how many properties one Get may ask for."""

    def __init__(self, full: int, known: int | None, clock: Callable[[], float]) -> None:
        """Begin with the largest number that worked before, if it is known; never ask for more than `full`."""
        self.proved = known or 0
        """The largest number that worked."""
        self._full = full
        self._most = known or full
        self._clock = clock
        self._retrial = clock() + RETRIAL
        self._silences = 0

    @property
    def most(self) -> int:
        """Return how many properties to ask for in one Get."""
        if self._most < self._full and self._clock() >= self._retrial:
            self._most = self._full
        return self._most

    def prove(self, number: int) -> None:
        """Take note that the meter had room for so many."""
        self.proved = max(self.proved, number)
        if number > 1:
            self._silences = 0

    def limit(self, number: int) -> None:
        """Ask for so many from now on, or for as many as ever worked."""
        self._most = min(max(number, self.proved), self.most)
        self._retrial = self._clock() + RETRIAL

    def fall_silent(self, number: int) -> None:
        """Take note that so many got no answer, and fewer did."""
        self._silences += 1
        if self._silences >= SILENCES:
            self.limit(number // 2)
