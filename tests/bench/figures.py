"""What is measured, and what it is held against."""

from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

FLAT = 1.05
"""Two rounds of the same differ by as much."""

SLACK = 1.2
"""A figure of time, or of what takes time, may miss its target by so much before `--check` fails."""

EXACT = 1.0
"""The same of what depends on no machine's mood."""

TOLD = 1.01
"""The same of datagrams: what the meter tells unasked at the half hour is among two hundred polls."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One row: less is better in all of them."""

    title: str
    unit: str
    limit: float | None = None
    """What it may be at most, of itself."""
    slack: float = SLACK
    """By how much a target may be missed before `--check` fails."""
    ratios: Mapping[str, float] = field(default_factory=dict)
    """What it may be at most for each one of another stack."""
    samples: dict[str, list[float]] = field(default_factory=dict)
    """By stack, in the order of the rounds."""

    @property
    def ours(self) -> float:
        """The median of our own samples."""
        return median(self.samples["ours"])

    def ratio(self, stack: str) -> float:
        """Return the median of our samples' ratios to another stack's of the same round."""
        return median(a / b for a, b in zip(self.samples["ours"], self.samples[stack], strict=True))

    def misses(self, slack: float = 1.0) -> Iterator[str]:
        """Yield which targets are missed by more than that, or were not measured; ratios before the limit."""
        for stack, target in self.ratios.items():
            if not self._has(stack) or self.ratio(stack) > target * slack:
                yield stack
        if self.limit is not None and (not self._has() or self.ours > self.limit * slack):
            yield "limit"

    def failures(self) -> Iterator[str]:
        """Yield what is missed by more than a machine's mood, in words."""
        for missed in self.misses(self.slack):
            if not self._has(*() if missed == "limit" else (missed,)):
                yield f"{self.title}: {missed} not measured"
            elif missed == "limit":
                yield f"{self.title}: {self.ours:.2f}, at most {self.limit:g} {self.unit}".rstrip() + " wanted"
            else:
                target = self.ratios[missed]
                yield f"{self.title}: {self.ratio(missed):.2f} of {missed}, at most {target:.2f} wanted"

    def _has(self, *stacks: str) -> bool:
        return all(self.samples.get(stack) for stack in ("ours", *stacks))


def figures() -> dict[str, Figure]:
    """Return all figures, without samples."""
    return {
        "restart_warm": Figure(
            title="restart to first reading, session left", unit="s", limit=1.9, ratios={"radio_warm": 1.4}
        ),
        "restart": Figure(title="restart to first reading, no session", unit="s", limit=6, ratios={"radio": 1.3}),
        "install": Figure(
            title="first install to first reading", unit="s", ratios={"radio_install": 1.15, "built_in": 1 / 3}
        ),
        "datagrams": Figure(title="datagrams a poll, out and in", unit="", limit=2, slack=TOLD),
        "bytes": Figure(title="serial bytes a poll, both ways", unit="bytes"),
        "cpu": Figure(
            title="CPU a poll", unit="ms", limit=0.5, ratios={"built_in": 1 / 5, "best": 1 / 3, "floor": 1.5}
        ),
        "cpu_j11": Figure(title="J11 module: CPU a poll", unit="ms", limit=0.5),
        "restart_warm_j11": Figure(title="J11 module: restart to first reading, session left", unit="s", limit=1.9),
        "restart_j11": Figure(
            title="J11 module: restart to first reading, no session", unit="s", limit=8.5, ratios={"broute_j11": 1.0}
        ),
        "cpu_lan": Figure(title="no dongle: CPU a poll", unit="ms", limit=0.5, ratios={"dongle": 1.0}),
        "restart_lan": Figure(
            title="no dongle: restart to first reading, answers after 0.05 s at most", unit="s", limit=0.55
        ),
        "decode": Figure(title="decoding one ERXUDP with four properties", unit="µs", ratios={"momonga": 1.0}),
        "threads": Figure(title="threads more", unit="", limit=1, slack=EXACT),
        "descriptors": Figure(title="open descriptors more", unit="", limit=1, slack=EXACT),
        "memory": Figure(title="memory above the interpreter", unit="MB", limit=3),
        "import": Figure(title="CPU to import, above the serial library", unit="ms", limit=30),
        "history": Figure(
            title="99 days of both directions, answers after 0.6 s", unit="s", limit=700, ratios={"radio": 1.3}
        ),
        "history_late": Figure(title="latest end of a poll meanwhile, after it was due", unit="s", limit=7),
        "lost_event": Figure(title="a lost session noticed by its event", unit="s", limit=1),
        "lost_silent": Figure(title="a lost session noticed by silence", unit="s", limit=40),
        "crowd": Figure(title="50 meters in one process, every 10 s: share of a core", unit="%", limit=25),
        "crowd_late": Figure(title="50 meters: latest begin of a poll", unit="s", limit=1),
        "growth_cpu": Figure(title="CPU a poll, polls 9,001 to 10,000", unit="ms", ratios={"first": FLAT}),
        "growth_memory": Figure(title="memory after 10,000 polls", unit="MB", ratios={"first": FLAT}),
        "linear_cpu": Figure(title="CPU a poll, each of 50 meters", unit="ms", ratios={"one": FLAT}),
        "linear_memory": Figure(title="memory for each further meter, up to 50", unit="MB"),
        "home_start": Figure(title="Home Assistant: CPU added to its start", unit="ms", limit=50),
        "home_poll": Figure(title="Home Assistant: event loop's time a poll", unit="ms", limit=2),
    }
