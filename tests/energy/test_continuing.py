"""The history of another sensor, continued: with a real recorder, through the options."""

import asyncio
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
import json
from pathlib import Path
from typing import TYPE_CHECKING, Final

from homeassistant.data_entry_flow import FlowResultType
from homeassistant.util import dt as dt_util
import pytest

from custom_components.broute.diagnostics import async_get_config_entry_diagnostics

from ..aiobroute.virtual_time import START
from ..former import HOUR, REMO, choose, configure, continue_history, hours, put, undo
from ..recorder import ask, bars
from ..simulator import scenarios
from ..simulator.meter import MeterSettings
from .test_backfill import DAY, EXPORT, IMPORT, MINUTE, house, live, rename_table
from .test_dashboard import dashboard, shown
from .test_recorder import database_of

if TYPE_CHECKING:
    from homeassistant.components.energy.data import SourceType

    from ..simulator.transport import SimulatedPort
    from ..soak.installation import Installation

FEW_DAYS: Final = replace(scenarios.SOLAR, meter=MeterSettings(solar=True, history_days=5))
MIDNIGHT: Final = START.replace(hour=0, minute=0, second=0)
OURS: Final = MIDNIGHT - 4 * DAY
"""Where the meter's memory begins."""
THEIRS: Final = MIDNIGHT - 40 * DAY
LONG_AGO: Final = MIDNIGHT - 1500 * DAY
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


async def start_beside_another(home: Installation) -> dict[datetime, Decimal]:
    """Read what the meter remembers, and return the hours that another sensor has."""
    await home.start()
    await asyncio.sleep(20 * MINUTE)
    theirs = hours(THEIRS, MIDNIGHT, HOLE)
    await put(home.hass, theirs)
    return theirs


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
            assert await undo(home) == told
            shown = await bars(home.hass, IMPORT, LONG_AGO)
            assert {hour: bar for hour, bar in shown.items() if hour in alone} == alone
            assert min(shown) == min(alone)
            await home.stop()
            (kept,) = (file for file in home.stored() if file.name.endswith(".continued"))
            assert json.loads(kept.read_text())["data"] == {}, "what is gone is not looked after any more"

    live(story)


async def correct(home: Installation, hour: datetime, kwh: float) -> None:
    """Correct the sums from an hour on, as a person does."""
    unit = {"adjustment_unit_of_measurement": "kWh", "statistic_id": IMPORT}
    await ask(home.hass, "recorder/adjust_sum_statistics", start_time=hour.isoformat(), adjustment=kwh, **unit)


@pytest.mark.parametrize("trouble", ["deleted", "older", "cleared", "corrected"])
def test_whatever_is_done_to_the_database(tmp_path: Path, trouble: str) -> None:
    async def story() -> None:
        async with house(tmp_path, FEW_DAYS) as (home, sim):
            theirs = await start_beside_another(home)
            if trouble == "older":
                database_of(home).keep("older")
            await continue_history(home, energy_in=REMO)
            if trouble == "corrected":
                await asyncio.sleep(70 * MINUTE)
                await correct(home, OURS - 50 * HOUR, 2.5)
                theirs[OURS - 50 * HOUR] += Decimal("2.5")
                await asyncio.sleep(70 * MINUTE)
                await assert_continued(home, sim, theirs)
            if trouble == "cleared":
                await ask(home.hass, "recorder/clear_statistics", statistic_ids=[IMPORT, REMO])
            else:
                await home.stop()
                if trouble == "older":
                    database_of(home).put_back("older")
                else:
                    database_of(home).delete()
                await home.start()
            await asyncio.sleep(70 * MINUTE)
            await assert_continued(home, sim, theirs)

    live(story)


def test_what_is_continued_is_shown_while_the_meter_is_still_being_read(tmp_path: Path) -> None:
    async def story() -> None:
        async with house(tmp_path, scenarios.SOLAR) as (home, sim):
            theirs = hours(MIDNIGHT - 140 * DAY, MIDNIGHT - 100 * DAY)
            await home.start()
            await put(home.hass, theirs)
            # From then on, the recorder is told of the meter's days only when there are twice as many.
            await asyncio.sleep(4.5 * MINUTE)
            read = len(sim.record.datagrams_from_client)
            await continue_history(home, energy_in=REMO)
            shown = await bars(home.hass, IMPORT, LONG_AGO)
            assert {hour: bar for hour, bar in shown.items() if hour in theirs} == theirs
            assert min(shown.keys() - theirs.keys()) > MIDNIGHT - 60 * DAY
            await asyncio.sleep(3 * MINUTE)
            assert len(sim.record.datagrams_from_client) > read + 20, "it was still being read"

    live(story)


@pytest.mark.parametrize("at_once", [False, True])
def test_a_damaged_month_follows_the_hours_of_another_sensor(tmp_path: Path, *, at_once: bool) -> None:
    async def story() -> None:
        async with house(tmp_path, FEW_DAYS) as (home, sim):
            theirs = await start_beside_another(home)
            await continue_history(home, energy_in=REMO)
            await home.stop()
            # By then the meter remembers nothing of these days any more, only the database, until it is lost.
            await asyncio.sleep((9 * DAY).total_seconds())
            (november,) = (file for file in home.stored() if file.name.endswith("2026-11"))
            november.write_bytes(november.read_bytes()[:1000])
            if at_once:
                database_of(home).delete()
            await home.start()
            await asyncio.sleep(20 * MINUTE)
            await home.stop()
            database_of(home).delete()
            await home.start()
            await asyncio.sleep(20 * MINUTE)
            shown = await bars(home.hass, IMPORT, LONG_AGO)
            before = {hour: bar for hour, bar in shown.items() if hour < OURS}
            assert before == {hour: bar for hour, bar in theirs.items() if hour < OURS}
            ours = {hour: bar for hour, bar in shown.items() if OURS <= hour < MIDNIGHT + 13 * HOUR}
            assert len(ours) == (0 if at_once else 24 * 4 + 13)
            assert all(
                bar == sim.meter.energy_in(hour + HOUR) - sim.meter.energy_in(hour) for hour, bar in ours.items()
            )

    live(story)


@pytest.mark.parametrize("after", [3.0, 30.0])
def test_the_import_is_still_running(tmp_path: Path, after: float) -> None:
    async def story() -> None:
        async with house(tmp_path, FEW_DAYS) as (home, sim):
            await home.start()
            theirs = hours(THEIRS, MIDNIGHT, HOLE)
            await put(home.hass, theirs)
            await asyncio.sleep(after)
            await continue_history(home, energy_in=REMO)
            await asyncio.sleep(20 * MINUTE)
            await assert_continued(home, sim, theirs)
            await home.stop()
            await home.start()
            await asyncio.sleep(10 * MINUTE)
            await assert_continued(home, sim, theirs)

    live(story)


@pytest.mark.parametrize(("after", "is_undone"), [(0.0, False), (0.01, False), (0.01, True)])
def test_killed_in_the_middle(tmp_path: Path, after: float, *, is_undone: bool) -> None:
    async def story() -> None:
        async with house(tmp_path, FEW_DAYS) as (home, sim):
            theirs = await start_beside_another(home)
            if is_undone:
                await continue_history(home, energy_in=REMO)
                flow = await choose(home, "undo_history")
                theirs = {}
            else:
                flow = await configure(home, await choose(home), energy_in=REMO)
            await configure(home, flow)
            await asyncio.sleep(after)
            await home.kill()
            await home.start()
            await asyncio.sleep(10 * MINUTE)
            await assert_continued(home, sim, theirs)

    live(story)


def test_sums_that_are_being_moved_are_no_correction_by_hand(tmp_path: Path) -> None:
    async def story() -> None:
        async with house(tmp_path, FEW_DAYS) as (home, _):

            def verified() -> set[str]:
                (index,) = (file for file in home.stored() if file.name.endswith(".ledger"))
                return set(json.loads(index.read_text())["data"]["verified"])

            await home.start()
            await asyncio.sleep(150 * MINUTE)
            await put(home.hass, hours(THEIRS, MIDNIGHT))
            assert verified() == {"energy_in", "energy_out"}
            for step in ("continue_history", "undo_history"):
                flow = await choose(home, step)
                if step == "continue_history":
                    flow = await configure(home, flow, energy_in=REMO)
                await configure(home, flow)
                assert verified() == {"energy_out"}, "whoever is killed now takes half of it for a correction"
                await asyncio.sleep(150 * MINUTE)
                assert verified() == {"energy_in", "energy_out"}

    live(story)


def test_another_sensor_takes_the_place_of_the_first(tmp_path: Path) -> None:
    async def story() -> None:
        async with house(tmp_path, FEW_DAYS) as (home, sim):
            await home.start()
            await asyncio.sleep(20 * MINUTE)
            await put(home.hass, hours(THEIRS, MIDNIGHT), REMO)
            shorter = {hour: kwh + 1 for hour, kwh in hours(THEIRS + 5 * DAY, OURS - 3 * DAY, HOLE).items()}
            await put(home.hass, shorter, "elsewhere:energy", unit="MWh", kwh=Decimal(1000))
            sold = {hour: kwh / 2 for hour, kwh in hours(LONG_AGO, LONG_AGO + 3 * DAY).items()}
            await put(home.hass, sold, "sensor.sold", unit="MJ", kwh=1 / Decimal("3.6"))
            for _ in range(2):
                await continue_history(home, energy_in=REMO, energy_out="sensor.sold")
                await continue_history(home, energy_in="elsewhere:energy")
                await asyncio.sleep(70 * MINUTE)
                await assert_continued(home, sim, shorter)
                await assert_continued(home, sim, {hour: round(kwh, 6) for hour, kwh in sold.items()}, EXPORT)
            await undo(home)
            await assert_continued(home, sim, {})
            await assert_continued(home, sim, {}, EXPORT)
            flow = await home.hass.config_entries.options.async_init(home.entry.entry_id)
            assert flow["menu_options"] == ["settings", "continue_history"]

    live(story)


def test_ours_had_hours_before_the_ledger(tmp_path: Path) -> None:
    """As after moving over from the built-in integration: they stay, and the other sensor's come before them."""

    async def story() -> None:
        async with house(tmp_path, FEW_DAYS) as (home, sim):
            await home.start()
            await asyncio.sleep(20 * MINUTE)
            own = {hour: kwh + 3 for hour, kwh in hours(HOLE[1] - DAY, OURS - DAY).items()}
            await put(home.hass, own, IMPORT)
            await asyncio.sleep(70 * MINUTE)
            theirs = hours(THEIRS, MIDNIGHT, (HOLE[0], HOLE[1] - 5 * DAY))
            await put(home.hass, theirs)
            await assert_continued(home, sim, own)
            told = await continue_history(home, energy_in=REMO)
            assert f"{dt_util.as_local(min(own)):%Y-%m-%d %H:%M}." in told
            before = {hour: kwh for hour, kwh in theirs.items() if hour < min(own)}
            await assert_continued(home, sim, {**before, **own})
            await home.stop()
            database_of(home).delete()
            await home.start()
            await asyncio.sleep(10 * MINUTE)
            await assert_continued(home, sim, {**before, **own})
            await undo(home)
            await assert_continued(home, sim, own)

    live(story)


def test_what_cannot_be_continued_is_said(tmp_path: Path) -> None:
    async def story() -> None:
        async with house(tmp_path, FEW_DAYS) as (home, _):
            await home.start()
            await asyncio.sleep(20 * MINUTE)
            hass = home.hass
            flow = await choose(home)
            assert (flow["type"], flow["reason"]) == (FlowResultType.ABORT, "history_of_nobody")
            await put(hass, hours(MIDNIGHT - DAY, MIDNIGHT), "sensor.late")
            await put(hass, hours(THEIRS, MIDNIGHT))
            flow = await configure(home, await choose(home))
            assert flow["errors"] == {"base": "history_not_chosen"}
            flow = await configure(home, flow, energy_in="sensor.late")
            assert flow["errors"] == {"energy_in": "history_not_before"}
            flow = await configure(home, flow, energy_in=REMO, energy_out=REMO)
            assert flow["errors"] == {"base": "history_chosen_twice"}
            flow = await configure(home, flow, energy_in=REMO)
            assert flow["step_id"] == "preview"
            await asyncio.sleep(HOUR.total_seconds())
            assert not home.entry.runtime_data.history.continues(), "nothing happens before it is confirmed"
            hass.config_entries.async_update_entry(home.entry, options={**home.entry.options, "import_history": False})
            await hass.config_entries.async_reload(home.entry.entry_id)
            assert (await choose(home))["reason"] == "history_off"

    live(story)


def test_a_history_that_cannot_be_looked_at_now(tmp_path: Path) -> None:
    async def story() -> None:
        async with house(tmp_path, FEW_DAYS) as (home, _):
            await home.start()
            await asyncio.sleep(20 * MINUTE)
            hass = home.hass
            await put(hass, hours(THEIRS, MIDNIGHT))
            rename_table(tmp_path, "statistics_meta", "mislaid")
            assert (await choose(home))["reason"] == "history_no_database"
            rename_table(tmp_path, "mislaid", "statistics_meta")
            flow = await configure(home, await choose(home), energy_in=REMO)
            hass.config_entries.async_update_entry(home.entry, options={**home.entry.options, "import_history": False})
            await hass.config_entries.async_reload(home.entry.entry_id)
            assert (await configure(home, flow))["reason"] == "history_off"

    live(story)


def test_the_recorder_does_not_keep_ours(tmp_path: Path) -> None:
    async def story() -> None:
        async with house(tmp_path, FEW_DAYS, recorded=["sensor.something"]) as (home, _):
            await home.start()
            await asyncio.sleep(20 * MINUTE)
            assert (await choose(home))["reason"] == "history_excluded"

    live(story)


def grid(energy_from: str, energy_to: str | None = None, price: float | None = 31.5) -> SourceType:
    """Return a grid connection as the Energy dashboard keeps it."""
    return {
        "type": "grid",
        "stat_energy_from": energy_from,
        "stat_energy_to": energy_to,
        "stat_cost": None,
        "entity_energy_price": None,
        "number_energy_price": price,
        "stat_compensation": None,
        "entity_energy_price_export": None,
        "number_energy_price_export": None,
        "cost_adjustment_day": 0,
    }


SOLD: Final = "sensor.remo_sold"
OTHER: Final = grid("sensor.other")


@pytest.mark.parametrize(
    ("before", "chosen", "after"),
    [
        pytest.param([OTHER, grid(REMO, SOLD)], (REMO, SOLD), [OTHER, grid(IMPORT, EXPORT)], id="both"),
        pytest.param([grid(REMO, SOLD)], (REMO,), [grid(IMPORT, SOLD)], id="one"),
        pytest.param(
            [grid(REMO), grid(IMPORT, EXPORT, None), OTHER], (REMO,), [grid(IMPORT, EXPORT, None), OTHER], id="ours"
        ),
        pytest.param(
            [grid(REMO, SOLD), grid(IMPORT)], (REMO,), [grid(REMO, SOLD), grid(IMPORT)], id="ours and half of it"
        ),
    ],
)
def test_the_energy_dashboard_is_changed_over_and_back(
    tmp_path: Path, before: list[SourceType], chosen: tuple[str, ...], after: list[SourceType]
) -> None:
    async def story() -> None:
        async with house(tmp_path, FEW_DAYS) as (home, _):
            await home.start()
            await asyncio.sleep(20 * MINUTE)
            for statistic_id in (REMO, SOLD):
                await put(home.hass, hours(THEIRS, THEIRS + DAY), statistic_id)
            await dashboard(home.hass, *before)
            flow = await configure(
                home, await choose(home), **dict(zip(("energy_in", "energy_out"), chosen, strict=False))
            )
            assert flow["data_schema"] is not None
            assert flow["data_schema"]({}) == {"in_dashboard": True}
            await configure(home, flow, in_dashboard=True)
            assert await shown(home.hass) == after
            await asyncio.sleep(60)
            about = await async_get_config_entry_diagnostics(home.hass, home.entry)
            assert REMO not in str(about)
            await undo(home)
            assert sorted(await shown(home.hass), key=str) == sorted(before, key=str)
            assert "replaced" not in home.entry.data

    live(story)


def test_the_energy_dashboard_is_left_alone_if_that_is_wished_or_it_shows_others(tmp_path: Path) -> None:
    async def story() -> None:
        async with house(tmp_path, FEW_DAYS) as (home, _):
            await home.start()
            await asyncio.sleep(20 * MINUTE)
            await put(home.hass, hours(THEIRS, THEIRS + DAY))
            await dashboard(home.hass, OTHER)
            flow = await configure(home, await choose(home), energy_in=REMO)
            assert flow["data_schema"] is not None
            assert flow["data_schema"]({}) == {}
            await dashboard(home.hass, OTHER, grid(REMO))
            flow = await configure(home, await choose(home), energy_in=REMO)
            await configure(home, flow, in_dashboard=False)
            await undo(home)
            assert await shown(home.hass) == [OTHER, grid(REMO)]

    live(story)
