"""The history of another sensor, continued: with a real recorder, through the options."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Final

from homeassistant.data_entry_flow import FlowResultType
from homeassistant.util import dt as dt_util
import pytest

from ..aiobroute.virtual_time import START
from ..recorder import ask, bars
from ..simulator import scenarios
from ..simulator.meter import MeterSettings
from .former import HOUR, REMO, choose, configure, continue_history, hours, put, undo
from .test_backfill import DAY, EXPORT, IMPORT, MINUTE, house, live
from .test_recorder import database_of

if TYPE_CHECKING:
    from ..simulator.transport import SimulatedPort
    from ..soak.installation import Installation

FEW_DAYS: Final = replace(scenarios.SOLAR, meter=MeterSettings(solar=True, history_days=5))
MIDNIGHT: Final = START.replace(hour=0, minute=0, second=0)
OURS: Final = MIDNIGHT - 4 * DAY
"""Where the meter's memory begins."""
THEIRS: Final = MIDNIGHT - 40 * DAY
LONG_AGO: Final = START - 1500 * DAY
HOLE: Final = (MIDNIGHT - 30 * DAY, MIDNIGHT - 20 * DAY)


async def assert_continued(
    home: Installation, sim: SimulatedPort, theirs: dict[datetime, Decimal], entity_id: str = IMPORT
) -> None:
    """Hold all bars to the other sensor's before the meter's memory, and to the meter from there on."""
    shown = await bars(home.hass, entity_id, LONG_AGO)
    before = {hour: bar for hour, bar in shown.items() if hour < OURS}
    assert before == {hour: bar for hour, bar in theirs.items() if hour < OURS}
    counter = sim.meter.energy_in if entity_id == IMPORT else sim.meter.energy_out
    after = {hour: bar for hour, bar in shown.items() if hour >= OURS}
    assert len(after) >= 24 * 4 + 13
    for hour, bar in after.items():
        assert bar == counter(hour + HOUR) - counter(hour), hour
    assert max(after) - min(after) == HOUR * (len(after) - 1)


def test_a_month_of_another_sensor_is_previewed_continued_and_undone(tmp_path: Path) -> None:
    async def story() -> None:
        async with house(tmp_path, FEW_DAYS) as (home, sim):
            await home.start()
            await asyncio.sleep(20 * MINUTE)
            theirs = hours(THEIRS, MIDNIGHT, HOLE)
            await put(home.hass, theirs, unit="Wh", kwh=Decimal("0.001"), begun="7000000")
            alone = await bars(home.hass, IMPORT, LONG_AGO)
            flow = await choose(home)
            assert flow["step_id"] == "continue_history"
            told = await continue_history(home, energy_in=REMO)
            # Its first row says nothing, as it did not begin at zero.
            first, *_ = theirs
            del theirs[first]
            energy = sum(kwh for hour, kwh in theirs.items() if hour < OURS)
            assert f"{energy:,.1f} kWh" in told
            assert f"{dt_util.as_local(OURS):%Y-%m-%d %H:%M}." in told
            assert "left out" not in told
            await assert_continued(home, sim, theirs)
            await asyncio.sleep(70 * MINUTE)
            await assert_continued(home, sim, theirs)
            await undo(home)
            shown = await bars(home.hass, IMPORT, LONG_AGO)
            assert {hour: bar for hour, bar in shown.items() if hour in alone} == alone
            assert min(shown) == min(alone)

    live(story)
