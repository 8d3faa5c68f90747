"""Weeks in which this and that is off: at the end each bar of the Energy dashboard must be the meter's."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
import gc
import logging
from pathlib import Path
import random
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

import time_machine

from custom_components.broute.aiobroute import JST
from tests.aiobroute.virtual_time import START, VirtualTimeLoop, clock
from tests.databases import Database, Sqlite, memory
from tests.home import MAC
from tests.simulator.meter import MeterSettings
from tests.simulator.scenarios import Scenario

from .compare import compare
from .costs import add_plans, compare_costs
from .former import continue_at_some_time
from .house import DAY, RETRIED, SPAN, House, Service, Warnings
from .installation import Installation
from .market import RECORDED as MARKET, Market
from .network import LAN, simulated_meter
from .outages import OUTAGES, meter_of
from .run import StuckError

if TYPE_CHECKING:
    from collections.abc import Iterator


CALM: Final = (3 * 3600.0, 4 * 86_400.0)
"""Seconds between two outages, at least and at most; in the least time the whole history can be read."""

HASTY: Final = 0.3
"""How often the first outage comes in the first minutes of the entry."""
MINUTES: Final = (1.0, 900.0)

CONTINUED: Final = 0.5
"""How often the history of another sensor is continued."""

HEALED: Final = timedelta(hours=4)
"""In this time at the end, everything has come right: there is a look each hour."""

RECORDED: Final = (
    "sensor.smart_meter_energy_import",
    "sensor.smart_meter_energy_export",
    "sensor.energy_*",
    "sensor.smart_meter_cost",
    "sensor.smart_meter_compensation",
    MARKET,
)
"""What the recorder has to keep, also under other names: the rest would only cost time."""

type Make = Callable[[Path], Database]
type Tell = Callable[[str], None]


def sqlite(folder: Path) -> Database:
    """Return the database that Home Assistant has by itself."""
    return Sqlite(folder / "statistics.db")


@dataclass(slots=True, kw_only=True)
class EnergyResult:
    """What a run found."""

    days: float
    meter: MeterSettings
    outages: Counter[str] = field(default_factory=Counter)
    hours: int = 0
    """Bars that were compared, of both directions."""
    is_continued: bool = False
    """Whether the history of another sensor was continued at the end, whose bars were compared, too."""
    costs: int | None = None
    """Bars of costs that were compared, if that was asked for."""
    wrong: list[str] = field(default_factory=list)
    lost: Decimal = Decimal(0)
    """kWh by which the sums from the first to the last hour of each meter differ, in either direction."""
    warnings: Counter[str] = field(default_factory=Counter)

    @property
    def failures(self) -> list[str]:
        """What must not be, in words."""
        return [
            *([] if self.hours else ["no hour was compared"]),
            *(["no bar of costs was compared"] if self.costs == 0 else []),
            *(f"wrong: {text}" for text in self.wrong),
            *([f"energy lost: {self.lost} kWh"] if self.lost else []),
            *(f"warned, {count} times: {text}" for text, count in self.warnings.items()),
        ]


def energy_soak(
    days: float,
    seed: int,
    *,
    module: str = "bp35c2",
    history_days: int | None = None,
    has_costs: bool = False,
    tell: Tell = lambda _: None,
    make: Make = sqlite,
) -> EnergyResult:
    """Let days pass as quickly as the machine can, with a real recorder; the same seed brings the same outages.

    Each outage is told when it is over.
    """
    chance = random.Random(seed)
    meter = meter_of(chance)
    if history_days is not None:
        meter = replace(meter, history_days=history_days)

    market = Market(seed) if has_costs else None
    # Another source of chance: with and without costs, a seed brings the same outages.
    change = (START + DAY * days * random.Random(seed).uniform(0.1, 0.8)).astimezone(JST).date()

    # As above: whether another sensor is continued, and when, is drawn beside the outages.
    former = random.Random(f"former {seed}")

    async def live(house: House, result: EnergyResult) -> None:
        if former.random() < CONTINUED:
            continuing = asyncio.create_task(continue_at_some_time(house, former))
            try:
                await live_through(house, result)
            finally:
                continuing.cancel()
            result.is_continued = bool(house.home.entry.runtime_data.history.continues())
        else:
            await live_through(house, result)

    async def live_through(house: House, result: EnergyResult) -> None:
        if market is None:
            await _live(house, result, START + days * DAY, tell)
            return
        add_plans(house.home.hass, house.home.entry, change)
        telling = asyncio.create_task(market.run())
        await _live(house, result, START + days * DAY, tell)
        telling.cancel()
        is_lossy = "ledger damaged" in result.outages
        result.costs = await compare_costs(house, market, change, result.wrong, is_lossy=is_lossy)

    return energy_story(meter, live, chance=chance, module=module, days=days, make=make, market=market)


def energy_story(
    meter: MeterSettings,
    live: Callable[[House, EnergyResult], Awaitable[None]],
    *,
    chance: random.Random | None = None,
    module: str = "bp35c2",
    days: float = 0,
    make: Make = sqlite,
    market: Market | None = None,
) -> EnergyResult:
    """Let something happen to a house, and compare the bars at its end."""
    chance = chance or random.Random(0)
    random.seed(chance.random())  # Home Assistant staggers its polls by chance, too.
    result = EnergyResult(days=days, meter=meter)
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner, _warnings() as warnings:
        runner.run(_run(result, live, chance, module, make, warnings, market))
    result.warnings = warnings.texts
    return result


@contextmanager
def _warnings() -> Iterator[Warnings]:
    warnings = Warnings()
    logging.getLogger().addHandler(warnings)
    try:
        yield warnings
    finally:
        logging.getLogger().removeHandler(warnings)


async def _run(
    result: EnergyResult,
    live: Callable[[House, EnergyResult], Awaitable[None]],
    chance: random.Random,
    module: str,
    make: Make,
    warnings: Warnings,
    market: Market | None,
) -> None:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualTimeLoop)
    try:
        with (
            time_machine.travel(clock(), tick=False) as loop.wall,
            TemporaryDirectory(dir=memory()) as folder,
            simulated_meter(Scenario(summary="", meter=result.meter), module) as sim,
        ):
            # The counter begins again at zero within some weeks.
            sim.meter.counters.set(energy_in=SPAN - 400)
            database = make(Path(folder))
            attach = (lambda _: None) if market is None else market.attach
            home = Installation(Path(folder), sim, attach, database, {"interval": 300}, recorded=RECORDED)
            since = START - DAY * (result.meter.history_days + 1)
            service = Service(meter=sim.meter, mac="" if module == LAN else MAC, begin=START - 200 * DAY, since=since)
            house = House(sim, home, database, chance, warnings, [service], market=market)
            await home.start()
            gc.freeze()  # What Home Assistant has loaded stays; to look through it again and again costs a fifth.
            try:
                await live(house, result)
                await compare(house, result)
            except StuckError as stuck:
                result.wrong.append(str(stuck))
            finally:  # A recorder left running would keep the process from ending.
                if home.is_running:
                    await home.stop()
    finally:
        loop.wall = loop.settle = None
        gc.unfreeze()


async def _live(house: House, result: EnergyResult, end: datetime, tell: Tell) -> None:
    begin = clock()
    if house.chance.random() < HASTY:
        await house.last(*MINUTES)
        begin = await _outage(house, result, tell)
    while True:
        await house.last(*CALM)
        if clock() >= end:
            await heal(house, begin)
            return
        house.note(begin)
        begin = await _outage(house, result, tell)


async def heal(house: House, begin: datetime) -> None:
    """Let everything be on until all has come right, and take note of it."""
    healed = begin + HEALED
    if house.refused is not None:
        healed = max(healed, house.refused + RETRIED + HEALED)
    await asyncio.sleep(max(0.0, (healed - clock()).total_seconds()))
    house.note(begin)


async def _outage(house: House, result: EnergyResult, tell: Tell) -> datetime:
    """Let something happen, and return when it was over."""
    name, begin = house.chance.choice(list(OUTAGES)), clock()
    await OUTAGES[name](house)
    house.sim.record.clear()
    result.outages[name] += 1
    tell(f"{begin:%Y-%m-%d %H:%M} to {clock():%Y-%m-%d %H:%M}  {name}")
    return clock()
