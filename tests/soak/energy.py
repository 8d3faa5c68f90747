"""Weeks in which this and that is off: at the end each bar of the Energy dashboard must be the meter's."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
import logging
from pathlib import Path
import random
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final, override

from homeassistant.helpers import entity_registry as er
import time_machine

from custom_components.broute.aiobroute import JST
from tests.aiobroute.virtual_time import START, VirtualTimeLoop, clock
from tests.home import DOMAIN
from tests.recorder import bars
from tests.simulator.meter import MeterSettings
from tests.simulator.scenarios import Scenario
from tests.simulator.transport import simulated_port

from .installation import Installation, last

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from tests.simulator.meter import Meter
    from tests.simulator.transport import SimulatedPort

HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(days=1)

SPAN: Final = Decimal(100_000)
"""kWh after which the counters begin again at zero."""

NEW_MAC: Final = "001C640003D2FFFF"

CALM: Final = (3 * 3600.0, 4 * 86_400.0)
"""Seconds between two outages, at least and at most; in the least time the whole history can be read."""

IMPORTING: Final = (1.0, 240.0)
"""Seconds after a start at which Home Assistant is killed: while it imports."""


EXPECTED: Final = (
    "Error fetching",
    "Error requesting",
    "was shutdown cleanly",
    "Ended unfinished session",
)
"""Parts of what is rightly said of a meter out of reach, and after Home Assistant was killed."""


@dataclass(slots=True, kw_only=True)
class EnergyResult:
    """What a run found."""

    days: float
    meter: MeterSettings
    outages: Counter[str] = field(default_factory=Counter)
    hours: int = 0
    """Bars that were compared, of both directions."""
    wrong: list[str] = field(default_factory=list)
    lost: Decimal = Decimal(0)
    """kWh by which the sums from the first to the last hour of each meter differ, in either direction."""
    warnings: Counter[str] = field(default_factory=Counter)

    @property
    def failures(self) -> list[str]:
        """What must not be, in words."""
        return [
            *(f"wrong: {text}" for text in self.wrong),
            *([f"energy lost: {self.lost} kWh"] if self.lost else []),
            *(f"warned, {count} times: {text}" for text, count in self.warnings.items()),
        ]


class _Warnings(logging.Handler):
    """Collects what the recorder and we warn of."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: Counter[str] = Counter()

    @override
    def emit(self, record: logging.LogRecord) -> None:
        is_expected = any(text in record.getMessage() for text in EXPECTED)
        is_of_interest = record.name.startswith(
            ("homeassistant.components.recorder", "homeassistant.components.sensor", "custom_components.broute")
        )
        if is_of_interest and not is_expected:
            self.texts[record.getMessage()] += 1


@dataclass(slots=True)
class House:
    """A meter, a dongle and Home Assistant, which are not always on; and what could be known when they were."""

    sim: SimulatedPort
    home: Installation
    chance: random.Random
    meters: list[tuple[datetime, Meter]] = field(default_factory=list)
    """Each meter and when it was put up, the first one first."""
    knowable: set[tuple[int, datetime]] = field(default_factory=set)
    """Number of a meter, and the start of an hour that it still remembered while everything was on."""

    async def last(self, least: float, most: float) -> None:
        """Let some seconds pass."""
        await last(self.chance, least, most)

    def note(self, begin: datetime) -> None:
        """Take note of what could be read in a time in which everything was on."""
        number, (installed, meter) = len(self.meters) - 1, self.meters[-1]
        # In the first minutes the history is read; a day older may be gone by then.
        oldest = begin.astimezone(JST).replace(hour=0, minute=0, second=0, microsecond=0)
        oldest -= DAY * (meter.settings.history_days - 2)
        hour = max(oldest, installed.replace(minute=0, second=0, microsecond=0) + HOUR)
        end = clock() - HOUR - timedelta(minutes=10)
        while hour < end:
            self.knowable.add((number, hour))
            hour += HOUR

    def true(self, key: str, number: int, begin: datetime, end: datetime) -> Decimal:
        """Return what a meter counted between two times that its own clock showed."""
        meter = self.meters[number][1]
        counter, offset = getattr(meter, key), meter.settings.clock_offset
        return Decimal((counter(end - offset) - counter(begin - offset)) % SPAN)


async def _off(house: House) -> None:
    await house.home.stop()
    await house.last(300, 60 * 86_400)
    await house.home.start()


async def _killed(house: House) -> None:
    """Kill Home Assistant while it imports."""
    await house.home.stop()
    await house.last(300, 20 * 86_400)
    await house.home.start()
    await house.last(*IMPORTING)
    await house.home.kill()
    await house.last(10, 7200)
    await house.home.start()


async def _unplugged(house: House) -> None:
    house.sim.unplug()
    await house.last(300, 10 * 86_400)
    house.sim.plug()


async def _unreachable(house: House) -> None:
    house.sim.air.is_reachable = False
    await house.last(300, 20 * 86_400)
    house.sim.air.is_reachable = True


async def _exchanged(house: House) -> None:
    """Let the utility bring another meter, and a person confirm it some hours later."""
    house.sim.exchange_meter(replace(house.sim.meter.settings, serial="S26087654321", installed=clock()), mac=NEW_MAC)
    house.meters.append((clock(), house.sim.meter))
    await house.last(300, 5 * 86_400)
    while not await house.home.confirm_exchange():  # noqa: ASYNC110  # nobody tells when there is an issue
        await asyncio.sleep(60)


OUTAGES: Final[Mapping[str, Callable[[House], Awaitable[None]]]] = {
    "Home Assistant off": _off,
    "Home Assistant killed while importing": _killed,
    "dongle unplugged": _unplugged,
    "no radio": _unreachable,
    "meter exchanged": _exchanged,
}


def meter_of(chance: random.Random) -> MeterSettings:
    """Return one of the kinds of meters that there are."""
    unit, digits = chance.choice(((0x01, 6), (0x02, 7)))
    return MeterSettings(
        unit=unit,
        digits=digits,
        solar=chance.random() < 0.7,
        history_days=chance.choice((14, 30, 99)),
        clock_offset=timedelta(minutes=chance.choice((-4, 0, 0, 3))),
        roll_over=timedelta(minutes=chance.choice((0, 0, 10))),
        rival_day=3,
        rival_turns=chance.choice((0, 0, 20)),
    )


def energy_soak(
    days: float,
    seed: int,
    *,
    module: str = "bp35c2",
    history_days: int | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> EnergyResult:
    """Let days pass as quickly as the machine can, with a real recorder; the same seed brings the same outages.

    Each outage is told when it is over.
    """
    chance = random.Random(seed)
    meter = meter_of(chance)
    if history_days is not None:
        meter = replace(meter, history_days=history_days)
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(_run(days, seed, module, meter, chance, tell))


async def _run(
    days: float, seed: int, module: str, meter: MeterSettings, chance: random.Random, tell: Callable[[str], None]
) -> EnergyResult:
    random.seed(seed)  # Home Assistant staggers its polls by chance, too.
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualTimeLoop)
    result, warnings = EnergyResult(days=days, meter=meter), _Warnings()
    logging.getLogger().addHandler(warnings)
    try:
        with (
            time_machine.travel(clock(), tick=False) as loop.wall,
            TemporaryDirectory() as folder,
            simulated_port(Scenario(summary="", meter=meter), module=module, speed=1, clock=clock) as sim,
        ):
            # The counter begins again at zero within some weeks.
            sim.meter.counters.set(energy_in=SPAN - 400)
            config = Path(folder) / "config"
            config.mkdir()
            home = Installation(config, sim, lambda _: None, config / "statistics.db", {"interval": 300})
            house = House(sim, home, chance, [(START - 200 * DAY, sim.meter)])
            await home.start()
            await _live(house, result, START + days * DAY, tell)
            await _compare(house, result)
            await home.stop()
    finally:
        loop.wall = loop.settle = None
        logging.getLogger().removeHandler(warnings)
    result.warnings = warnings.texts
    return result


async def _live(house: House, result: EnergyResult, end: datetime, tell: Callable[[str], None]) -> None:
    while True:
        begin = clock()
        await house.last(*CALM)
        house.note(begin)
        if clock() >= end:
            return
        once = {_exchanged} if len(house.meters) > 1 else set()
        name, begin = house.chance.choice([name for name, outage in OUTAGES.items() if outage not in once]), clock()
        await OUTAGES[name](house)
        result.outages[name] += 1
        tell(f"{begin:%Y-%m-%d %H:%M} to {clock():%Y-%m-%d %H:%M}  {name}")


async def _compare(house: House, result: EnergyResult) -> None:
    for key in ("energy_in", "energy_out") if result.meter.solar else ("energy_in",):
        shown = await bars(house.home.hass, _entity_id(house, key), START - 120 * DAY)
        for number, hour in sorted(house.knowable):
            result.hours += 1
            true = house.true(key, number, hour, hour + HOUR)
            if shown.get(hour) != true:
                result.wrong.append(f"{hour:%Y-%m-%d %H} {key} {shown.get(hour)}, in truth {true}")
        result.wrong.extend(f"{hour:%Y-%m-%d %H} {key} {bar}" for hour, bar in shown.items() if bar < 0)
        for number in range(len(house.meters)):
            hours = [hour for each, hour in house.knowable if each == number]
            if hours:
                first, last = min(hours), max(hours)
                energy = sum(bar for hour, bar in shown.items() if first <= hour <= last)
                result.lost += abs(energy - house.true(key, number, first, last + HOUR))


def _entity_id(house: House, key: str) -> str:
    unique_id = f"{house.home.entry.unique_id}_{key}"
    entity_id = er.async_get(house.home.hass).async_get_entity_id("sensor", DOMAIN, unique_id)
    assert entity_id is not None
    return entity_id
