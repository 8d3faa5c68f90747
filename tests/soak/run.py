"""A run: trouble after trouble, with a look at everything in between."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
import gc
import logging
from pathlib import Path
import random
from tempfile import TemporaryDirectory
from typing import Any, Final

import time_machine

from tests.aiobroute.virtual_time import VirtualTimeLoop, clock
from tests.home import until
from tests.simulator.meter import MeterSettings
from tests.simulator.radio import RadioSettings
from tests.simulator.scenarios import Scenario
from tests.simulator.transport import SimulatedPort

from .installation import Installation, Unexpected
from .network import NetworkMeter, simulated_meter
from .troubles import LONE, NETWORK_LONE, NETWORK_TROUBLES, TROUBLES, Site, Trouble
from .truth import Truth

SCENARIO: Final = Scenario(
    summary="a house with solar cells, counters in hundredths, and a meter that wants a pause between sessions",
    meter=MeterSettings(solar=True, unit=0x02, digits=8),
    radio=RadioSettings(rejoin_pause=10.0),
)

CALM: Final = (2.0, 900.0)
"""Seconds between two troubles, at least and at most."""

LONELINESS: Final = 0.15
"""How often the trouble is one of those that happen on their own."""

LOOK: Final = 30.0
"""Seconds between two looks at what is shown, and at the airtime."""

INTERVAL: Final = 60.0
"""Seconds between two readings."""

TARDY: Final = 10.0
"""Seconds after which a reading is late."""

STEP: Final = 2.0
"""Seconds between two looks for a reading."""

LIMIT: Final = 300.0
"""Seconds after a trouble in which the meter must be read again: a poll, a silence and a whole scan need most of it."""

AIRTIME: Final = 36.0
"""Seconds in any hour that the module may transmit: a tenth of what the law allows (ARIB STD-T108)."""

PATIENCE: Final = 3600.0
"""Seconds after which a connection that has not come back counts as a failure."""


class StuckError(Exception):
    """The meter was never read again."""


@dataclass(slots=True)
class Readings:
    """Which readings came."""

    came: int = 0
    late: int = 0
    """Of them, those that came more than `TARDY` after the time."""
    missing: int = 0
    gaps: dict[str, float] = field(default_factory=dict)
    """Seconds between two readings, the longest after each trouble, if it was late."""

    @property
    def due(self) -> int:
        """How many there should be."""
        return self.came + self.missing

    @property
    def share(self) -> float:
        """Percent of those due that came."""
        return 100 * self.came / max(1, self.due)

    def add(self, gap: float, trouble: str) -> None:
        """Count a reading that comes so many seconds after the one before."""
        self.came += 1
        self.missing += max(0, round(gap / INTERVAL) - 1)
        if gap > INTERVAL + TARDY:
            self.late += 1
            self.gaps[trouble] = max(gap, self.gaps.get(trouble, 0))


@dataclass(slots=True, kw_only=True)
class Result:
    """What a run found."""

    limit: float
    """Seconds that a recovery may take."""
    injected: Counter[str] = field(default_factory=Counter)
    """How often each trouble happened."""
    recoveries: int = 0
    slowest: dict[str, float] = field(default_factory=dict)
    """Seconds from the end of a trouble to the next reading, the longest for each."""
    readings: Readings = field(default_factory=Readings)
    comparisons: int = 0
    wrong: list[str] = field(default_factory=list)
    energy_lost: Decimal = Decimal(0)
    """kWh, by the arithmetic of Home Assistant's statistics."""
    airtime: float = 0.0
    """Seconds, the most in any hour."""
    leaks: dict[str, int] = field(default_factory=dict)
    unexpected: Counter[str] = field(default_factory=Counter)
    """What was logged as an error, or raised where nobody caught it."""

    @property
    def failures(self) -> list[str]:
        """What must not be, in words."""
        return [
            *([] if self.comparisons else ["nothing compared"]),
            *([f"airtime: {self.airtime:.1f} s in an hour"] if self.airtime > AIRTIME else []),
            *(f"slow: {seconds:.1f} s after {name}" for name, seconds in self.slowest.items() if seconds > self.limit),
            *(f"wrong: {text}" for text in self.wrong),
            *([f"energy lost: {self.energy_lost} kWh"] if self.energy_lost else []),
            *(f"leaked: {count} {kind}" for kind, count in self.leaks.items() if count > 0),
            *(f"unexpected, {count} times: {text}" for text, count in self.unexpected.items()),
        ]


def soak(hours: float, seed: int, module: str, limit: float = LIMIT, calm: float = CALM[1]) -> Result:
    """Let hours of trouble pass as quickly as the machine can; the same seed brings the same ones.

    Between two troubles are `calm` seconds at most.
    """
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(_run(hours, seed, module, limit, calm))


async def _run(hours: float, seed: int, module: str, limit: float, calm: float) -> Result:
    random.seed(seed)  # Home Assistant staggers its polls by chance, too.
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualTimeLoop)
    result, unexpected = Result(limit=limit), Unexpected()
    loop.set_exception_handler(lambda _, context: unexpected.texts.update([str(context)]))
    logging.getLogger().addHandler(unexpected)
    try:
        with (
            time_machine.travel(clock(), tick=False) as loop.wall,
            TemporaryDirectory() as folder,
            simulated_meter(SCENARIO, module) as sim,
        ):
            truth = Truth(sim)
            site = Site(sim, Installation(Path(folder), sim, truth.attach), truth, random.Random(seed))
            await site.home.start()
            await site.home.stop()
            before = _resources(loop)
            await site.home.start()
            try:
                await _live(site, result, 3600 * hours, calm)
            except StuckError as stuck:
                unexpected.texts[str(stuck)] += 1
            await site.home.stop()
            result.leaks = {kind: count - before[kind] for kind, count in _resources(loop).items()}
            if isinstance(sim, SimulatedPort):
                result.leaks["ports"] = sim.record.opens - sim.record.closes
    finally:
        loop.wall = None
        logging.getLogger().removeHandler(unexpected)
    result.comparisons, result.wrong, result.unexpected = truth.comparisons, truth.wrong, unexpected.texts
    return result


async def _live(site: Site, result: Result, seconds: float, calm: float) -> None:
    loop = asyncio.get_running_loop()
    watching = asyncio.gather(_watch(site, result), _count(site, result.readings))
    try:
        end = loop.time() + seconds
        while loop.time() < end:
            await site.last(CALM[0], calm)
            if loop.time() > end:
                break
            await _trouble(site, result)
            site.sim.record.clear()
        # The first reading after a start is there before the entities that show it.
        before = site.home.readings
        await until(lambda: site.home.readings not in {None, before}, 0.5, within=PATIENCE)
        result.energy_lost = site.truth.lost()
    finally:
        watching.cancel()
        # What ended it before is no good sign: then nobody has looked.
        with suppress(asyncio.CancelledError):
            await watching


async def _trouble(site: Site, result: Result) -> None:
    """Let one or two things go wrong, and measure how long it takes until the meter is read again."""
    chance, loop = site.chance, asyncio.get_running_loop()
    troubles, lone = troubles_of(site)
    if chance.random() < LONELINESS:
        names = [chance.choice(list(lone))]
    else:
        names = chance.sample(list(troubles), chance.choice((1, 1, 2)))
    result.injected.update(names)
    what = site.truth.trouble = " and ".join(names)
    site.is_calm = False
    async with asyncio.TaskGroup() as group:
        for name in names:
            group.create_task(_suffer(name, site))
    ended, before = loop.time(), site.home.readings
    if site.begun:
        ended, before = site.begun.pop(), None
    was_down = before is None
    while (readings := site.home.readings) in {None, before}:
        was_down = was_down or readings is None
        if loop.time() - ended > PATIENCE:
            raise StuckError(f"{site.sim.clock():%d. %H:%M:%S} never back after {what}")
        await asyncio.sleep(0.5)
    site.is_calm = True
    if was_down:
        result.recoveries += 1
        for name in names:
            result.slowest[name] = max(loop.time() - ended, result.slowest.get(name, 0))


async def _suffer(name: str, site: Site) -> None:
    troubles, lone = troubles_of(site)
    await (lone if name in lone else troubles)[name](site)


def troubles_of(site: Site) -> tuple[Mapping[str, Trouble], Mapping[str, Trouble]]:
    """Return what may happen, also together, and what happens on its own."""
    if isinstance(site.sim, NetworkMeter):
        return NETWORK_TROUBLES, NETWORK_LONE
    return TROUBLES, LONE


async def _watch(site: Site, result: Result) -> None:
    while True:
        await asyncio.sleep(LOOK)
        if isinstance(site.sim, SimulatedPort):
            result.airtime = max(result.airtime, site.sim.air.airtime.last_hour())
        if site.home.is_running:
            site.truth.look(site.home.hass)
        if site.is_calm and site.home.readings is None:
            trouble = site.truth.trouble
            site.truth.wrong.append(f"{site.sim.clock():%d. %H:%M:%S} not read though all is well since: {trouble}")


async def _count(site: Site, readings: Readings) -> None:
    """Look for readings, whose time is known to `STEP`."""
    loop = asyncio.get_running_loop()
    seen, at = site.home.readings, loop.time()
    while True:
        await asyncio.sleep(STEP)
        if (now := site.home.readings) not in {None, seen}:
            readings.add(loop.time() - at, site.truth.trouble)
            seen, at = now, loop.time()


def _resources(loop: VirtualTimeLoop) -> dict[str, int]:
    """Count what a Home Assistant that has stopped must have given back."""
    gc.collect()
    timers: list[Any] = loop._scheduled  # type: ignore[attr-defined]
    return {
        "descriptors": len(list(Path("/proc/self/fd").iterdir())),
        "tasks": len(asyncio.all_tasks()),
        "timers": sum(not timer.cancelled() for timer in timers),
    }
