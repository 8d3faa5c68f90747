"""A price of each half-hour that an entity of Home Assistant tells: it falls silent, says nonsense, and is renamed."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
import random
from typing import Final

from homeassistant.const import ATTR_UNIT_OF_MEASUREMENT, EVENT_HOMEASSISTANT_STOP
from homeassistant.core import Event, HomeAssistant, callback
from homeassistant.helpers import entity_registry as er

from tests.aiobroute.virtual_time import clock

HALF_HOUR: Final = timedelta(minutes=30)
MINUTE: Final = timedelta(minutes=1)

ENTITY: Final = "sensor.market"
RECORDED: Final = f"{ENTITY}*"

LATE: Final = timedelta(seconds=15)
"""After the half-hour has begun, its price is told."""

PRICES: Final = ("0.01", "0.01", "0.01", "7.35", "7.35", "12.4", "18.06", "31.99", "-0.5", "52")
"""Yen per kWh, some of them for several half-hours on end."""

NONSENSE: Final = (("unavailable", "JPY/kWh"), ("unknown", "JPY/kWh"), ("12.5", "EUR/kWh"), ("12500", "JPY/kWh"))
"""States and units that are no price."""

SILENT: Final = 0.03
"""How often it falls silent at a half-hour, for up to so many half-hours, and is renamed."""
LONGEST: Final = 12
RENAMED: Final = 0.004

LEAST: Final = HALF_HOUR / 2 + 2 * MINUTE
"""For so long a price has to be there to be that of its half-hour in any case."""
MOST: Final = HALF_HOUR / 2 - 2 * MINUTE
"""A price that was there for less than that counts for nothing."""

READ: Final = timedelta(minutes=11)
"""In this time after a half-hour, its price has been read from the recorder: two polls."""


def half_hour(at: datetime) -> datetime:
    """Return when the half-hour of a time began."""
    return at.replace(minute=at.minute // 30 * 30, second=0, microsecond=0)


@dataclass(slots=True)
class Market:
    """The market, and how long each price was to be seen while Home Assistant ran."""

    seed: int
    known: set[datetime] = field(default_factory=set)
    """Half-hours whose price was there, and was surely read."""
    _chance: random.Random = field(init=False)
    _seen: Counter[datetime] = field(default_factory=Counter)
    """Seconds."""
    _hass: HomeAssistant | None = None
    _since: datetime | None = None
    """When the price that is shown was told."""
    _silent: int = 0

    def __post_init__(self) -> None:
        self._chance = random.Random(self.seed)

    def price(self, start: datetime) -> Decimal:
        """Return yen per kWh of a half-hour."""
        return Decimal(random.Random(f"{self.seed} {start.timestamp()}").choice(PRICES))

    def could_be(self, start: datetime, *, is_lossy: bool = False) -> set[Decimal | None]:
        """Return the prices that a half-hour may have; `None` is none.

        Where what was kept was lost, an hour may have the only price that it and the hours beside it were seen with.
        """
        if is_lossy:
            return self.could_be(start) | self._around(start) | {None}
        seen = timedelta(seconds=self._seen[start])
        if seen < MOST:
            return {None}
        return {self.price(start)} if start in self.known and seen > LEAST else {self.price(start), None}

    def _around(self, start: datetime) -> set[Decimal]:
        """Return the price of three hours, if there was one."""
        first = start.replace(minute=0) - 2 * HALF_HOUR
        shown = {self.price(at) for at in (first + number * HALF_HOUR for number in range(6)) if self._seen[at]}
        return shown if len(shown) == 1 else set()

    @callback
    def attach(self, hass: HomeAssistant) -> None:
        """Be in a Home Assistant that starts."""
        self._hass = hass
        er.async_get(hass).async_get_or_create("sensor", "soak", "market", object_id_base="market")
        hass.bus.async_listen_once(EVENT_HOMEASSISTANT_STOP, self._stopped)
        self._tell()

    async def run(self) -> None:
        """Tell the price of each half-hour."""
        while True:
            following = half_hour(clock()) + HALF_HOUR + LATE
            await asyncio.sleep((following - clock()).total_seconds())
            if self._silent:
                self._silent -= 1
            elif self._chance.random() < SILENT:
                self._silent = self._chance.randint(1, LONGEST)
            self._tell()

    def note(self, begin: datetime) -> None:
        """Take note of what was surely read in a time in which everything was on."""
        start = half_hour(begin) + HALF_HOUR
        while start + HALF_HOUR < clock() - READ:
            self.known.add(start)
            start += HALF_HOUR

    @callback
    def _stopped(self, _: Event) -> None:
        self._end()
        self._hass = None

    @callback
    def _tell(self) -> None:
        if self._hass is None:
            return
        self._end()
        registry = er.async_get(self._hass)
        entity_id = registry.async_get_entity_id("sensor", "soak", "market")
        assert entity_id is not None
        if self._chance.random() < RENAMED:
            name = f"{ENTITY}_{clock():%d%H%M}"
            registry.async_update_entity(entity_id, new_entity_id=name)
            self._hass.states.async_remove(entity_id)
            entity_id = name
        state, unit = self._chance.choice(NONSENSE)
        if not self._silent:
            state, unit, self._since = str(self.price(half_hour(clock()))), "JPY/kWh", clock()
        attributes = {ATTR_UNIT_OF_MEASUREMENT: unit, "state_class": "measurement"}
        self._hass.states.async_set(entity_id, state, attributes)

    def _end(self) -> None:
        """Take note of how long a price was there."""
        if self._since is not None:
            start = half_hour(self._since)
            self._seen[start] += round((min(clock(), start + HALF_HOUR) - self._since).total_seconds())
            self._since = None
