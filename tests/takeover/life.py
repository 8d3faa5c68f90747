"""A Home Assistant in a process of its own, which can be killed: `python -m tests.takeover.life FOLDER DEED`.

It lives in virtual time, with a real recorder on a file. What it has come to is a line on its standard output.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import timedelta
import json
from pathlib import Path
import sys
from typing import Final

from homeassistant.components.energy.data import async_get_manager
from homeassistant.config_entries import SOURCE_USER, ConfigEntryDisabler
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import entity_registry as er
from homeassistant.setup import async_setup_component
import time_machine

from tests import newer  # noqa: F401  # the harness needs it first
from tests.aiobroute.virtual_time import START, VirtualTimeLoop, clock
from tests.databases import Sqlite
from tests.home import DOMAIN
from tests.recorder import ask, bars, written
from tests.simulator import scenarios
from tests.simulator.meter import MeterSettings
from tests.simulator.transport import SimulatedPort, simulated_port
from tests.soak.installation import Installation

from .test_takeover import BUILT_IN, OLD, OLD_POWER, built_in, connect_quickly, grid, registered

DAYS: Final = 60
"""Which the built-in integration has recorded."""
REMEMBERED: Final = 3
"""Days."""
LATER: Final = 3600.0
"""Seconds between the beginnings of two lives."""

HOUR: Final = timedelta(hours=1)
BEGIN: Final = START.replace(minute=0, second=0) - DAYS * 24 * HOUR


async def prepare(home: Installation, sim: SimulatedPort) -> None:
    """Let the built-in integration have recorded a meter."""
    hass = home.hass
    entry = built_in(sim.url)
    registered(hass, entry)
    hass.config_entries.async_update_entry(entry, title="Route B")
    assert await async_setup_component(hass, "energy", {})
    manager = await async_get_manager(hass)
    await manager.async_update({"energy_sources": [grid(OLD, OLD_POWER)]})  # type: ignore[typeddict-item]  # as the browser
    metadata = {
        "mean_type": 0,
        "has_sum": True,
        "name": None,
        "source": "recorder",
        "statistic_id": OLD,
        "unit_class": "energy",
        "unit_of_measurement": "kWh",
    }
    rows = []
    first = sim.meter.energy_in(BEGIN)
    for number in range(DAYS * 24 - 1):
        at = BEGIN + number * HOUR
        state = sim.meter.energy_in(at + HOUR)
        rows.append({"start": at.isoformat(), "state": float(state), "sum": float(state - first)})
    await ask(hass, "recorder/import_statistics", metadata=metadata, stats=rows)
    await written(hass)


async def move(home: Installation, _: SimulatedPort) -> None:
    """Move over, and let everything get to the disk."""
    hass = home.hass
    assert await async_setup_component(hass, "energy", {})
    tell("moving")
    flow = await hass.config_entries.flow.async_init(DOMAIN, context={"source": SOURCE_USER})
    flow = await hass.config_entries.flow.async_configure(flow["flow_id"], {"next_step_id": "takeover"})
    flow = await connect_quickly(hass, flow)
    assert flow["type"] is FlowResultType.CREATE_ENTRY, flow
    await asyncio.sleep(300)
    tell("moved")


async def look(home: Installation, sim: SimulatedPort) -> None:
    """Go on after a start, and tell what there is."""
    hass = home.hass
    assert await async_setup_component(hass, "energy", {})
    ours = hass.config_entries.async_entries(DOMAIN)
    if ours:
        assert await async_setup_component(hass, DOMAIN, {})
    await asyncio.sleep(900)
    await written(hass)
    (theirs,) = hass.config_entries.async_entries(BUILT_IN)
    entities = er.async_get(hass).entities.values()
    energy = [entity for entity in entities if entity.unique_id.endswith(("total_consumption", "energy_in"))]
    manager = await async_get_manager(hass)
    assert manager.data is not None
    shown = await bars(hass, energy[0].entity_id, BEGIN - HOUR)
    wrong = [hour for hour, bar in shown.items() if bar != sim.meter.energy_in(hour + HOUR) - sim.meter.energy_in(hour)]
    statistics = await ask(hass, "recorder/list_statistic_ids", statistic_type="sum")
    tell(
        json.dumps(
            {
                "entries": len(ours),
                "is_disabled": theirs.disabled_by is ConfigEntryDisabler.USER,
                "energy": [(entity.entity_id, entity.platform) for entity in energy],
                "shown": [source["stat_energy_from"] for source in manager.data["energy_sources"]],
                "rate": [source["stat_rate"] for source in manager.data["energy_sources"]],
                "hours": len(shown),
                "wrong": [str(hour) for hour in wrong],
                "statistics": sorted(row["statistic_id"] for row in statistics),
            }
        )
    )


DEEDS: Final[Mapping[str, tuple[int, Callable[[Installation, SimulatedPort], Awaitable[None]]]]] = {
    "prepare": (0, prepare),
    "move": (1, move),
    "look": (2, look),
    "look again": (3, look),
}
"""When each begins, and what it is."""


def tell(text: str) -> None:
    """Say something to who is waiting for it."""
    print(text, flush=True)  # noqa: T201  # that is what it is for


async def live(folder: Path, deed: str) -> None:
    """Start, do something, and stop."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualTimeLoop)
    number, do = DEEDS[deed]
    loop.now = number * LATER
    scenario = replace(scenarios.SOLAR, meter=MeterSettings(solar=True, history_days=REMEMBERED))
    with time_machine.travel(clock(), tick=False) as wall, simulated_port(scenario, speed=1, clock=clock) as sim:
        loop.wall = wall
        home = Installation(folder, sim, lambda _: None, Sqlite(folder / "statistics.db"))
        home.starts = 1  # There is no entry of ours but the one that is made.
        await home.start(has_integration=False)
        await do(home, sim)
        await home.stop()
        loop.wall = loop.settle = None


def main(arguments: list[str]) -> None:
    """Do what is asked for."""
    folder, deed = arguments
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(live(Path(folder), deed))


if __name__ == "__main__":
    main(sys.argv[1:])
