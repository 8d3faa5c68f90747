"""How far the connecting is, for a person who waits."""

from dataclasses import dataclass
import math
from typing import TYPE_CHECKING, Final

from ..aiobroute import Stage

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..aiobroute import Progress

SECONDS: Final = {Stage.PROBE: 2.0, Stage.JOIN: 4.0, Stage.WAIT: 680.0, Stage.READ: 3.0, Stage.SEARCH: 3.0}
"""How long the steps of connecting usually take; a scan tells it itself."""

TICK: Final = 5
"""Seconds in which the time that is left is told: a text that changes more often cannot be read."""


@dataclass(slots=True)
class Connecting:
    """The step that is under way."""

    clock: Callable[[], float]
    """Gives seconds of a clock that goes on steadily."""
    progress: Progress
    began: float = 0.0
    heard: int = 0
    """Networks that this scan pass has heard so far."""

    def begin(self, progress: Progress) -> None:
        """Begin the next step."""
        self.progress, self.began, self.heard = progress, self.clock(), 0

    @property
    def part(self) -> float:
        """Return the part of the step that is over, 0 to 1."""
        return min(self._elapsed / self._expected, 1)

    @property
    def text(self) -> tuple[str, dict[str, str]]:
        """Return which text tells of the step, and what it names."""
        scan = self.progress.scan
        left = max(self._expected - self._elapsed, 1)
        return self.progress.stage.name.lower(), {
            "number": str(scan.number if scan else 0),
            "of": str(scan.of if scan else 0),
            "seconds": str(math.ceil(left / TICK) * TICK),
            "heard": str(self.heard),
        }

    @property
    def _elapsed(self) -> float:
        return self.clock() - self.began

    @property
    def _expected(self) -> float:
        scan = self.progress.scan
        return scan.seconds if scan else SECONDS[self.progress.stage]
