"""What the meter refuses to tell at present, and when to ask for it again."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
import math

SHORTEST_PAUSE = 30.0
"""Seconds between two exchanges for one refused property alone."""

SILENCE_PAUSE = 600.0
"""As `SHORTEST_PAUSE`, of a property at which the meter falls silent: each such try costs more than half a minute."""

LONGEST_PAUSE = 3600.0
"""Seconds; nothing that the property map names is given up."""

GROWTH = 4
"""A pause is this part of the time since the first refusal: a value is back after at most a quarter more."""

LASTING_COUNT = 3
LASTING_TIME = 60.0
"""So many refusals over so many seconds are more than a meter that starts, where no property map tells."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Refusal:
    """How often and when a property was refused."""

    first: float
    last: float
    count: int
    shortest: float


class Refusals:
    """A refusal is about now: what the property map names is asked for again, with growing pauses, for ever."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """`clock` returns seconds of a monotonic clock."""
        self.gettable: frozenset[int] = frozenset()
        """Codes that the property map names; empty as long as the meter has not told."""
        self._clock = clock
        self._refusals: dict[int, _Refusal] = {}

    @property
    def are_none(self) -> bool:
        """Return whether nothing was refused lately."""
        return not self._refusals

    def choose(self, codes: Iterable[int], besides: Iterable[int] = ()) -> tuple[list[int], list[int]]:
        """Return what to ask for, and what only after it, as the meter falls silent at it.

        What the property map does not name is left out; what was refused lately, too, unless it is all that is asked
        for.
        """
        gettable = self.gettable
        named = [code for code in codes if not gettable or code in gettable]
        besides = [code for code in besides if not gettable or code in gettable]
        if not self._refusals:
            return named + besides, []
        wanted = [code for code in named if self.admits(code)] or named
        wanted += [code for code in besides if self.admits(code)]
        silent = [code for code in wanted if self.is_silent(code)]
        return [code for code in wanted if code not in silent], silent

    def names(self, code: int) -> bool:
        """Return whether the meter has a property, or may have it."""
        return not self.gettable or code in self.gettable

    def admits(self, code: int) -> bool:
        """Return whether to ask for a property along with others."""
        refusal = self._refusals.get(code)
        return refusal is None or refusal.count == 1 or self.is_due(code)

    def last(self, code: int) -> float:
        """Return when a property was refused the last time, by the clock; long ago if it was not."""
        refusal = self._refusals.get(code)
        return -math.inf if refusal is None else refusal.last

    def is_due(self, code: int) -> bool:
        """Return whether a property is worth an exchange of its own."""
        refusal = self._refusals.get(code)
        if refusal is None:
            return True
        pause = min(max((refusal.last - refusal.first) / GROWTH, refusal.shortest), LONGEST_PAUSE)
        return self._clock() >= refusal.last + pause

    def is_silent(self, code: int) -> bool:
        """Return whether the meter fell silent at a property the last time."""
        refusal = self._refusals.get(code)
        return refusal is not None and refusal.shortest == SILENCE_PAUSE

    def is_lasting(self, code: int) -> bool:
        """Return whether a property was refused three times over a minute."""
        refusal = self._refusals.get(code)
        if refusal is None:
            return False
        return refusal.count >= LASTING_COUNT and refusal.last - refusal.first >= LASTING_TIME

    def refused(self, code: int, *, is_silent: bool = False) -> None:
        """Count a refusal, or a silence that only this property meets."""
        now = self._clock()
        before = self._refusals.get(code)
        self._refusals[code] = _Refusal(
            first=before.first if before else now,
            last=now,
            count=before.count + 1 if before else 1,
            shortest=SILENCE_PAUSE if is_silent else SHORTEST_PAUSE,
        )

    def answered(self, code: int) -> None:
        """Clear the refusals of a property."""
        self._refusals.pop(code, None)
