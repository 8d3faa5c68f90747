"""A house whose meter, dongle and Home Assistant are not always on, and what could be known of it when they were."""

import asyncio
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
import logging
from typing import TYPE_CHECKING, Final, Literal, override

from homeassistant.helpers import entity_registry as er

from custom_components.broute.aiobroute import JST
from tests.aiobroute.virtual_time import START, clock
from tests.home import DOMAIN

from .installation import Installation, last
from .run import StuckError

if TYPE_CHECKING:
    from collections.abc import Iterator
    import random

    from tests.databases import Database
    from tests.simulator.meter import Meter, MeterSettings
    from tests.simulator.transport import SimulatedPort

    from .market import Market
    from .network import NetworkMeter

HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(days=1)

SPAN: Final = Decimal(100_000)
"""kWh after which the counters begin again at zero."""

type Direction = Literal["energy_in", "energy_out"]

NEW_MAC: Final = "001C640003D2{:04X}"
"""Of each meter that the utility brings; no two have the same."""

RESTARTED: Final = 0.4
"""How often Home Assistant is restarted or killed in the middle of something else."""

READ: Final = timedelta(minutes=10)
"""How old an hour's end is by the time its counter has surely been read."""

UNSAVED: Final = timedelta(hours=3)
"""How far back a killed Home Assistant may have lost what it had read."""

RETRIED: Final = timedelta(hours=26)
"""After this time, what the meter refused has been asked for again: the pauses between tries grow up to a day."""

PATIENCE: Final = timedelta(hours=12)
"""After which an exchange that was not noticed counts as a failure."""

EXPECTED: Final = (
    "Setup of config entry",
    "Error fetching",
    "Error requesting",
    "was shutdown cleanly",
    "Ended unfinished session",
    "The unit of sensor.market",
)
"""Parts of what is rightly said of a meter out of reach, prices in other units, and after Home Assistant was killed."""


SKEW: Final = timedelta(minutes=7)
"""By how much the clocks of two meters may differ: which of them an hour belongs to is not known to the minute."""


class Warnings(logging.Handler):
    """Collects what the recorder and the integration warn of."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: Counter[str] = Counter()
        self.are_expected = False
        """Whether something is so broken that warnings are right."""

    @override
    def emit(self, record: logging.LogRecord) -> None:
        is_expected = self.are_expected or any(text in record.getMessage() for text in EXPECTED)
        is_of_interest = record.name.startswith(
            ("homeassistant.components.recorder", "homeassistant.components.sensor", "custom_components.broute")
        )
        if is_of_interest and not is_expected:
            self.texts[record.getMessage()] += 1


@dataclass(slots=True, kw_only=True)
class Service:
    """The time in which a meter is the one of the house."""

    meter: Meter
    mac: str
    begin: datetime
    end: datetime | None = None
    since: datetime
    """When the meter before was last heard; earlier energy of this one is not the house's."""
    heard: datetime | None = None
    """Up to here the meter was surely read at each half-hour before it was exchanged, if it was at all."""
    known: set[datetime] = field(default_factory=set)
    """Starts of hours that it still remembered while everything was on."""

    def counted(self, key: Direction, begin: datetime, end: datetime) -> Decimal:
        """Return the kWh that it counted between two times that its own clock showed."""
        counter, offset = getattr(self.meter, key), self.meter.settings.clock_offset
        installed = self.meter.settings.installed
        if installed is not None:
            begin, end = max(begin, installed + offset), max(end, installed + offset)
        energy: Decimal = counter(end - offset) - counter(begin - offset)
        return energy if energy >= 0 else energy + SPAN


@dataclass(slots=True)
class House:
    """A meter, a dongle and Home Assistant, which are not always on; and what could be known when they were."""

    sim: SimulatedPort | NetworkMeter
    home: Installation
    database: Database
    chance: random.Random
    warnings: Warnings
    services: list[Service] = field(default_factory=list)
    """Of each meter, the first one first; one that comes back has several."""
    read_from: datetime = START
    """From here on, everything that is not read is missing for another reason than a refusal."""
    refused: datetime | None = None
    """When the meter refused something last."""
    killed: datetime | None = None
    """When Home Assistant was killed last."""
    market: Market | None = None
    """Who tells prices, if anybody does."""

    @property
    def service(self) -> Service:
        """Of the present meter."""
        return self.services[-1]

    async def last(self, least: float, most: float) -> None:
        """Let some seconds pass."""
        await last(self.chance, least, most)

    async def last_with_restart(self, least: float, most: float) -> None:
        """Let some seconds pass, in which Home Assistant may be restarted."""
        seconds = least * (most / least) ** self.chance.random()
        if self.chance.random() >= RESTARTED:
            await asyncio.sleep(seconds)
            return
        before = seconds * self.chance.random()
        await asyncio.sleep(before)
        await self.restart()
        await asyncio.sleep(seconds - before)

    async def restart(self) -> None:
        """Stop Home Assistant, or kill it, and start it again."""
        if self.chance.random() < 0.5:
            await self.kill()
        else:
            await self.home.stop()
        await self.last(5, 1800)
        await self.home.start()

    async def kill(self) -> None:
        """Kill Home Assistant."""
        self.killed = clock()
        await self.home.kill()

    @contextmanager
    def disk_full(self) -> Iterator[None]:
        """Let the recorder's statistics be refused by its database, about which everybody may complain."""
        self.database.refuse_statistics()
        self.warnings.are_expected = True
        try:
            yield
        finally:
            self.database.accept_statistics()
            self.warnings.are_expected = False

    @contextmanager
    def refusal(self, codes: tuple[int, ...]) -> Iterator[None]:
        """Let the meter refuse properties."""
        values = self.sim.meter.device.values
        values |= dict.fromkeys(codes, b"")
        try:
            yield
        finally:
            for code in codes:
                del values[code]
            self.refused = clock()
            self.read_from = clock() + RETRIED

    def exchange(self, settings: MeterSettings, counters: tuple[Decimal, Decimal], heard: datetime) -> None:
        """Let the utility bring another meter; the one before was heard until some time."""
        mac = NEW_MAC.format(len(self.services))
        self.sim.exchange_meter(settings, mac=mac)
        self.sim.meter.counters.set(*counters)
        self._exchanged(mac, heard)

    def bring_back(self, former: Service, heard: datetime) -> None:
        """Let the utility bring a meter that has been here before, and went on counting elsewhere."""
        air = self.sim.air
        self.sim.exchange_meter(former.meter.settings, mac=former.mac)
        air.meter = former.meter
        self._exchanged(former.mac, heard)

    def _exchanged(self, mac: str, heard: datetime) -> None:
        former, now = self.service, clock()
        former.end, former.heard = now, heard if former.known else None
        self.services.append(Service(meter=self.sim.meter, mac=mac, begin=now, since=heard))

    async def confirm_exchange(self) -> None:
        """Let a person confirm that the meter was exchanged, as soon as it was noticed.

        Raises:
            StuckError: it was not noticed in half a day.

        """
        end = clock() + PATIENCE
        while not await self.home.confirm_exchange():
            if clock() > end:
                raise StuckError(f"{clock():%Y-%m-%d %H:%M} nobody noticed that the meter was exchanged")
            await asyncio.sleep(60)
        if self.killed is not None and self.killed >= self.service.begin:
            # What was read of the old one last may be lost, and it cannot be asked any more.
            former = self.services[-2]
            former.heard = None
            former.known = {hour for hour in former.known if hour + HOUR < self.service.begin - UNSAVED}

    def note(self, begin: datetime) -> None:
        """Take note of what could be read in a time in which everything was on."""
        if self.market is not None:
            self.market.note(begin)
        begin = max(begin, self.read_from)
        service = self.service
        # In the first minutes the history is read; a day older may be gone by then.
        oldest = begin.astimezone(JST).replace(hour=0, minute=0, second=0, microsecond=0)
        oldest -= DAY * (service.meter.settings.history_days - 2)
        hour = max(oldest, (service.begin + SKEW).replace(minute=0, second=0, microsecond=0) + HOUR)
        while begin < clock() - HOUR and hour + HOUR < clock() - READ:
            service.known.add(hour)
            hour += HOUR

    def entity_id(self, key: Direction) -> str:
        """Return the present name of a counter's sensor."""
        unique_id = f"{self.home.entry.unique_id}_{key}"
        entity_id = er.async_get(self.home.hass).async_get_entity_id("sensor", DOMAIN, unique_id)
        assert entity_id is not None
        return entity_id

    @property
    def directions(self) -> tuple[Direction, ...]:
        """What is counted."""
        return ("energy_in", "energy_out") if self.service.meter.settings.solar else ("energy_in",)
