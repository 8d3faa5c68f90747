"""The last events of the connection, for the diagnostics."""

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from homeassistant.core import callback
from homeassistant.util import dt as dt_util
from homeassistant.util.hass_dict import HassKey

if TYPE_CHECKING:
    from datetime import datetime

    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant

EVENTS: Final = 50
"""How many of the last events are kept; all are counted."""


@dataclass(slots=True)
class Duration:
    """How long something takes, in seconds."""

    count: int = 0
    last: float = 0.0
    longest: float = 0.0
    total: float = 0.0

    def add(self, seconds: float) -> None:
        """Take another time that it took."""
        self.count += 1
        self.last = seconds
        self.longest = max(seconds, self.longest)
        self.total += seconds


class Journal:
    """Counts everything, remembers the latest, and takes the times; holds nothing that is secret."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """`clock` returns seconds of a monotonic clock."""
        self._clock = clock
        self._counts: Counter[str] = Counter()
        self._events: deque[tuple[datetime, str]] = deque(maxlen=EVENTS)
        self._durations: dict[str, Duration] = {}
        self._begun: tuple[str, float] | None = None

    @callback
    def note(self, event: str, detail: str = "") -> None:
        """Write down an event; details are not counted each on their own."""
        self._counts[event] += 1
        self._events.append((dt_util.utcnow(), f"{event}: {detail}" if detail else event))

    @callback
    def begin(self, step: str) -> None:
        """Take the time from here on; the step before was carried out."""
        self.end()
        self._begun = step, self._clock()

    @callback
    def end(self) -> None:
        """Take the time of the step that was carried out, if there was one."""
        if self._begun is not None:
            step, begun = self._begun
            self._durations.setdefault(step, Duration()).add(self._clock() - begun)
            self._begun = None

    @callback
    def fail(self, event: str, detail: str) -> None:
        """Write down what ended the step that was under way, and when; its time would say nothing."""
        if self._begun is not None:
            step, begun = self._begun
            detail = f"{detail} (in {step}, after {self._clock() - begun:.1f} s)"
        self.give_up()
        self.note(event, detail)

    @callback
    def give_up(self) -> None:
        """Drop the step that was under way."""
        self._begun = None

    def as_dict(self) -> dict[str, Any]:
        """Return everything, the latest event last."""
        return {
            "counts": dict(sorted(self._counts.items())),
            "seconds": {
                step: {name: round(value, 2) for name, value in asdict(duration).items()}
                for step, duration in self._durations.items()
            },
            "events": [f"{time.isoformat(timespec='milliseconds')} {event}" for time, event in self._events],
        }


JOURNALS: Final[HassKey[WeakKeyDictionary[ConfigEntry, Journal]]] = HassKey("broute_journals")
"""Each try to set an entry up begins with a new coordinator, but goes on with the journal."""


@callback
def async_journal(hass: HomeAssistant, entry: ConfigEntry) -> Journal:
    """Return the journal of an entry, which lives as long as the entry."""
    journals = hass.data.setdefault(JOURNALS, WeakKeyDictionary())
    return journals.setdefault(entry, Journal(hass.loop.time))
