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
        """`known` is the largest number that worked before; never ask for more than `full`."""
        self.proved = known or 0
        """The largest number that worked."""
        self._full = full
        self._most = known or full
        self._too_many = self._most + 1
        """The least number that is known, or taken, not to work."""
        self._clock = clock
        self._retrial = clock() + RETRIAL
        self._silences = 0
        self._silent = 0
        """The number of the last that got no answer, although fewer did."""

    @property
    def most(self) -> int:
        """Return how many properties to ask for in one Get."""
        if self._most < self._full and self._clock() >= self._retrial:
            self._most, self._too_many = self._full, self._full + 1
        return self._most

    def prove(self, number: int) -> None:
        """Take note that the meter had room for so many."""
        self.proved = max(self.proved, number)
        if number >= self._silent:
            self._silences = 0
        if number >= self._most:
            self._search()

    def limit(self, number: int) -> None:
        """Ask for so many from now on, or for as many as ever worked."""
        self._most = min(max(number, self.proved), self.most)
        self._too_many = self._most + 1
        self._retrial = self._clock() + RETRIAL

    def exceed(self, number: int) -> None:
        """Take note that so many were too much; what is between that and what worked is tried in turn."""
        if number <= self.proved:
            return  # It worked before: a bad moment.
        self._too_many = min(number, self._too_many)
        self._retrial = self._clock() + RETRIAL
        self._search()

    def fall_silent(self, number: int) -> None:
        """Take note that so many got no answer, and fewer did."""
        self._silences, self._silent = self._silences + 1, number
        if self._silences >= SILENCES:
            self._silences = 0
            self.exceed(number)

    def _search(self) -> None:
        """Ask for what is halfway between what worked and what did not."""
        self._most = max((self.proved + self._too_many) // 2, self.proved, 1)
