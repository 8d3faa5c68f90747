"""What the sensors show, compared with what the meter really measured."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from homeassistant.const import EVENT_STATE_CHANGED, STATE_UNAVAILABLE, STATE_UNKNOWN
from homeassistant.core import Event, EventStateChangedData, HomeAssistant, State, callback
from homeassistant.helpers import entity_registry as er

from tests.simulator.household import EPOCH

if TYPE_CHECKING:
    from tests.simulator.meter import Meter
    from tests.simulator.transport import SimulatedPort

    from .network import NetworkMeter

NEW = timedelta(seconds=50)
"""How old a value may be when it appears: three tries of twelve seconds, one of whose answers is a slow one."""

SHOWN = NEW + timedelta(seconds=101)
"""How old a value may be that is still shown: a minute's pause, and what a poll may take until it is overdue."""

MINUTE = timedelta(minutes=1)

COUNTERS = ("energy_in", "energy_out")
MEASURED = ("power", "current", "current_r", "current_t", *COUNTERS)
"""What is compared."""

RESET = Decimal("0.9")
"""Statistics take a fall to less than this part for a new counter, and a smaller one for what it is."""


@dataclass(slots=True)
class Total:
    """The energy that Home Assistant's statistics make of the states of a counter."""

    sum: Decimal = Decimal(0)
    """kWh; what is there after a fall counts as consumed since."""
    last: Decimal | None = None
    begun: Decimal = Decimal(0)
    """What the present meter counted when it was first read."""
    due: Decimal = Decimal(0)
    """What all meters before it counted while they were read."""

    def add(self, value: Decimal) -> None:
        """Take a state."""
        if self.last is None:
            self.begun = value
        else:
            self.sum += value if value < self.last * RESET else value - self.last
        self.last = value

    def exchanged(self) -> None:
        """Begin a new counter, which starts at zero."""
        assert self.last is not None
        self.due += self.last - self.begun
        self.begun = Decimal(0)

    def lost(self, least: Decimal, most: Decimal) -> Decimal:
        """Return the kWh that are missing, or too many, if the meter showed something between these."""
        counted = self.sum + self.begun - self.due
        return max(least - counted, counted - most, Decimal(0))


@dataclass(slots=True)
class Truth:
    """Looks at every state, and keeps what is not true."""

    sim: SimulatedPort | NetworkMeter
    trouble: str = ""
    """What is wrong at present, for the report of a failure."""
    comparisons: int = 0
    wrong: list[str] = field(default_factory=list)
    totals: dict[str, Total] = field(default_factory=lambda: {key: Total() for key in COUNTERS})
    _former: tuple[Meter, datetime] | None = None

    def attach(self, hass: HomeAssistant) -> None:
        """Look at each state that appears."""

        @callback
        def changed(event: Event[EventStateChangedData]) -> None:
            state = event.data["new_state"]
            if state is not None and (key := self._key(hass, state)) is not None:
                self._check(key, state, NEW)
                if key in self.totals:
                    self.totals[key].add(Decimal(state.state))

        hass.bus.async_listen(EVENT_STATE_CHANGED, changed)

    def look(self, hass: HomeAssistant) -> None:
        """Look at what has not changed: nothing old may be shown as new."""
        for state in hass.states.async_all("sensor"):
            if (key := self._key(hass, state)) is not None:
                self._check(key, state, SHOWN)

    def exchanged(self, former: Meter) -> None:
        """Accept what the meter before said, until it is too old."""
        self._former = (former, self.sim.clock())

    def confirmed(self) -> None:
        """Begin new counters: what comes now is the new meter's."""
        for total in self.totals.values():
            total.exchanged()

    def lost(self) -> Decimal:
        """Return how many kWh the statistics are off the meter's own counters by, right after a reading."""
        now = self.sim.clock()
        kwh = Decimal(0)
        for key, total in self.totals.items():
            oldest = max(now - NEW, self.sim.meter.settings.installed or EPOCH)
            kwh += total.lost(_shown(key, self.sim.meter, oldest), _shown(key, self.sim.meter, now))
        return kwh

    @property
    def is_new(self) -> bool:
        """Whether the meter has hardly counted anything."""
        return any(total.last is None or total.last < 1 for total in self.totals.values())

    @staticmethod
    def _key(hass: HomeAssistant, state: State) -> str | None:
        """Return what a sensor shows; `None` if it shows nothing, or is not ours."""
        entity = er.async_get(hass).async_get(state.entity_id)
        if (
            entity is None
            or (entity.platform, entity.domain) != ("broute", "sensor")
            or state.state in {STATE_UNAVAILABLE, STATE_UNKNOWN}
        ):
            return None
        key = entity.unique_id.partition("_")[2]
        return key if key in MEASURED else None

    def _check(self, key: str, state: State, age: timedelta) -> None:
        now = self.sim.clock()
        self.comparisons += 1
        if any(_is_true(key, Decimal(state.state), meter, now, age) for meter in self._meters(now, age)):
            return
        truth = _shown(key, self.sim.meter, now)
        self.wrong.append(f"{now:%d. %H:%M:%S} {key} {state.state}, in truth {truth}; last trouble: {self.trouble}")

    def _meters(self, now: datetime, age: timedelta) -> list[Meter]:
        if self._former is not None and now - self._former[1] < age:
            return [self.sim.meter, self._former[0]]
        return [self.sim.meter]


def _is_true(key: str, shown: Decimal, meter: Meter, now: datetime, age: timedelta) -> bool:
    """Return whether the meter said so at some time since."""
    if key in COUNTERS:
        oldest = max(now - age, meter.settings.installed or EPOCH)
        return _shown(key, meter, oldest) <= shown <= _shown(key, meter, now)
    # Power is the same for a whole minute.
    times = [now - age, *(now - MINUTE * back for back in range(age // MINUTE + 1))]
    return any(shown == _shown(key, meter, at) for at in times)


def _shown(key: str, meter: Meter, at: datetime) -> Decimal:
    """Return what a sensor has to show."""
    total = meter.power(at) // 10
    phase_r = total * meter.counters.share(at) // 100
    values = {
        "power": Decimal(meter.power(at)),
        "current": Decimal(max(phase_r, total - phase_r, key=abs)) / 10,
        "current_r": Decimal(phase_r) / 10,
        "current_t": Decimal(total - phase_r) / 10,
        "energy_in": meter.energy_in(at),
        "energy_out": meter.energy_out(at),
    }
    return values[key]
