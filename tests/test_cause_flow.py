"""Repairs that find the cause: the doctor at the entry's own port, beside a coordinator that waits."""

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import STATE_UNAVAILABLE
from homeassistant.data_entry_flow import EVENT_DATA_ENTRY_FLOW_PROGRESSED, FlowResultType
from homeassistant.helpers import issue_registry as ir
from homeassistant.setup import async_setup_component
import pytest

from custom_components.broute.aiobroute.cli.findings import TROUBLES
from custom_components.broute.dongle.sharing import async_lease

from .home import (
    CREDENTIALS,
    DOMAIN,
    dongle,
    elapse,
    entries_of,
    entry_of,
    now,
    set_up,
    state,
    state_of,
    until,
    without_history,
)
from .simulator import scenarios
from .simulator.radio import RadioSettings
from .simulator.scenarios import Scenario

if TYPE_CHECKING:
    from homeassistant.core import Event, HomeAssistant
    from homeassistant.helpers.issue_registry import IssueEntry
    from pytest_homeassistant_custom_component.common import MockConfigEntry

    from .simulator.transport import SimulatedPort

TEXTS = Path(__file__).parents[1] / "custom_components" / "broute" / "translations"


WAITING = {FlowResultType.SHOW_PROGRESS, FlowResultType.SHOW_PROGRESS_DONE}


def issue_of(hass: HomeAssistant, key: str) -> IssueEntry:
    (issue,) = [issue for issue in ir.async_get(hass).issues.values() if issue.translation_key == key]
    assert issue.is_fixable
    return issue


class Fix:
    """A person who opens a repair."""

    def __init__(self, hass: HomeAssistant) -> None:
        self._hass = hass
        self._manager = hass.data["repairs"]["flow_manager"]
        self.flow: dict[str, Any] = {}

    async def open(self, issue: str) -> None:
        context = {"issue_id": issue_of(self._hass, issue).issue_id}
        self.flow = await self._manager.async_init(DOMAIN, context=context)
        assert self.flow["step_id"] == "trouble"

    async def choose(self, option: str) -> None:
        self.flow = await self._manager.async_configure(self.flow["flow_id"], {"next_step_id": option})

    async def submit(self) -> None:
        self.flow = await self._manager.async_configure(self.flow["flow_id"], {})

    async def look(self) -> None:
        self.flow = await self._manager.async_configure(self.flow["flow_id"])

    def close(self) -> None:
        self._manager.async_abort(self.flow["flow_id"])

    async def findings(self) -> str:
        """Wait for what is found, as the frontend does."""
        while self.flow["type"] in WAITING:
            await asyncio.sleep(1)
            await self.look()
        assert self.flow["step_id"] == "findings"
        found: str = self.flow["description_placeholders"]["findings"]
        return found


@pytest.fixture
async def fix(hass: HomeAssistant) -> Fix:
    assert await async_setup_component(hass, "repairs", {})
    return Fix(hass)


async def unheard(hass: HomeAssistant, sim: SimulatedPort) -> MockConfigEntry:
    """Return a meter that has not been heard for an hour."""
    entry = entry_of(sim)
    await set_up(hass, entry)
    sim.air.is_reachable = False
    await elapse(hass, 4000)
    return entry


async def test_a_meter_that_is_not_heard(hass: HomeAssistant, fix: Fix, each_kind: str) -> None:
    with dongle() as sim:
        await unheard(hass, sim)
        await fix.open("no_meter")
        assert fix.flow["menu_options"] == ["examine", "ignore"]
        assert fix.flow["description_placeholders"]["title"] == "Smart meter"
        await fix.choose("examine")
        assert fix.flow["type"] is FlowResultType.SHOW_PROGRESS
        lines = (await fix.findings()).split("\n\n")
        assert len(lines) == 11, each_kind
        assert lines[0] == f"✔ **Port**: The port can be opened. ({sim.url})"
        assert f"✘ **Search**: {' '.join(TROUBLES['no_meter'])}" in lines
        assert lines[-1].startswith("· **Announcements**: Not examined")
        await fix.submit()
        assert fix.flow["step_id"] == "trouble"
        sim.air.is_reachable = True
        await elapse(hass, 300)
        assert state(hass, "sensor.smart_meter_power") != STATE_UNAVAILABLE
        assert not ir.async_get(hass).issues


async def test_what_is_found_is_told_in_japanese(hass: HomeAssistant, fix: Fix) -> None:
    hass.config.language = "ja"
    words = json.loads((TEXTS / "ja.json").read_text())["common"]
    with dongle() as sim:
        await unheard(hass, sim)
        await fix.open("no_meter")
        await fix.choose("examine")
        assert fix.flow["description_placeholders"]["check"] == words["check_port"]
        found = await fix.findings()
        assert f"✘ **{words['check_scan']}**: {words['found_no_meter']}" in found


async def test_a_wrong_password(hass: HomeAssistant, fix: Fix) -> None:
    with dongle() as sim:
        await set_up(hass, entry_of(sim, password="OLD456789ABC"))
        await fix.open("join_refused")
        assert fix.flow["menu_options"] == ["form", "examine"]
        await fix.choose("examine")
        found = await fix.findings()
        assert f"✘ **Connection**: {' '.join(TROUBLES['join_refused'])}" in found
        assert not [secret for secret in (*CREDENTIALS.values(), "OLD456789ABC") if secret in found]


async def test_a_dongle_that_is_gone(hass: HomeAssistant, fix: Fix) -> None:
    with dongle() as sim:
        entry = entry_of(sim)
        await set_up(hass, entry)
        sim.unplug()
        await elapse(hass, 1)
        await fix.open("port_missing")
        await fix.choose("examine")
        assert f"✘ **Port**: {' '.join(TROUBLES['port_missing'])}" in await fix.findings()
        sim.plug()
        await elapse(hass, 75)
        assert state(hass, "sensor.smart_meter_power") != STATE_UNAVAILABLE


async def test_the_readings_wait_meanwhile_and_go_on(hass: HomeAssistant, fix: Fix) -> None:
    with dongle() as sim:
        entry = await unheard(hass, sim)
        await fix.open("no_meter")
        sim.air.is_reachable = True
        sim.record.clear()
        shown: list[str] = []

        async def ask(_: Event) -> None:
            await fix.look()
            if fix.flow["type"] in WAITING:
                shown.append(fix.flow["description_placeholders"]["check"])

        hass.bus.async_listen(EVENT_DATA_ENTRY_FLOW_PROGRESSED, ask)
        await fix.choose("examine")
        found = await fix.findings()
        assert "✘" not in found
        assert len(set(shown)) >= 11, "each check is shown"
        assert sim.record.opens - sim.record.closes in (0, 1)
        readings = entry.runtime_data.readings
        await elapse(hass, 90)
        assert entry.runtime_data.readings > readings
        assert state(hass, "sensor.smart_meter_power") != STATE_UNAVAILABLE


async def test_an_end_that_the_browser_has_missed_is_told_again(hass: HomeAssistant, fix: Fix) -> None:
    told: list[Event] = []
    with dongle() as sim:
        await unheard(hass, sim)
        await fix.open("no_meter")
        await fix.choose("examine")
        await asyncio.sleep(400)
        hass.bus.async_listen(EVENT_DATA_ENTRY_FLOW_PROGRESSED, told.append)
        await asyncio.sleep(51)
        assert len(told) in {2, 3}
        await fix.findings()
        told.clear()
        await asyncio.sleep(41)
        assert not told


async def test_a_window_that_is_closed_meanwhile(hass: HomeAssistant, fix: Fix) -> None:
    with dongle() as sim:
        await unheard(hass, sim)
        sim.air.is_reachable = True
        await fix.open("no_meter")
        await fix.choose("examine")
        await elapse(hass, 5)
        fix.close()
        await elapse(hass, 90)
        assert state(hass, "sensor.smart_meter_power") != STATE_UNAVAILABLE
        assert sim.record.opens - sim.record.closes == 1


async def test_a_meter_that_could_not_be_set_up(hass: HomeAssistant, fix: Fix) -> None:
    with dongle(scenarios.NO_METER) as sim:
        entry = entry_of(sim)
        await set_up(hass, entry)
        await elapse(hass, 5000)
        await fix.open("no_meter")
        await fix.choose("examine")
        assert "✘ **Search**" in await fix.findings()
        sim.air.is_reachable = True
        await elapse(hass, 700)
        assert state_of(entry) is ConfigEntryState.LOADED


async def test_a_meter_that_shares_its_dongle(hass: HomeAssistant, fix: Fix) -> None:
    with dongle(scenarios.TWO_METERS) as sim:
        entries = entries_of(sim)
        object.__setattr__(entries[0], "data", {**entries[0].data, "password": "OLD456789ABC"})
        for entry in entries:
            await set_up(hass, entry)
        await fix.open("join_refused")
        await fix.choose("examine")
        assert "✘ **Connection**" in await fix.findings()
        readings = entries[1].runtime_data.readings
        await elapse(hass, 180)
        assert entries[1].runtime_data.readings > readings


async def test_waiting_for_the_dongle_is_part_of_the_four_minutes(hass: HomeAssistant, fix: Fix) -> None:
    slow = Scenario(summary="", radio=RadioSettings(unheard_joins=99, unheard_time=311.0))
    with dongle(slow) as sim:
        await set_up(hass, without_history(entry_of(sim)))
        await until(lambda: bool(ir.async_get(hass).issues), within=10_000)
        async with async_lease(hass, sim.url):
            await fix.open("no_meter")
            await fix.choose("examine")
            begun = now()
            await elapse(hass, 50)
        assert f"✘ **Connection**: {' '.join(TROUBLES['join_unanswered'])}" in await fix.findings()
        assert 200 <= now() - begun <= 240


async def test_a_serial_proxy_whose_integration_is_not_there(hass: HomeAssistant, fix: Fix) -> None:
    with dongle() as sim:
        entry = await unheard(hass, sim)
        await fix.open("no_meter")
        hass.config_entries.async_update_entry(entry, data={**entry.data, "device": "esphome-hass://esphome/none"})
        await fix.choose("examine")
        assert "✘ **Port**" in await fix.findings()


async def test_a_repair_that_is_not_wanted(hass: HomeAssistant, fix: Fix) -> None:
    with dongle() as sim:
        await unheard(hass, sim)
        await fix.open("no_meter")
        await fix.choose("ignore")
        assert fix.flow["reason"] == "ignored"
        assert issue_of(hass, "no_meter").dismissed_version


async def test_a_repair_that_goes_away_while_it_is_open(hass: HomeAssistant, fix: Fix) -> None:
    with dongle() as sim:
        await unheard(hass, sim)
        await fix.open("no_meter")
        sim.air.is_reachable = True
        await until(lambda: not ir.async_get(hass).issues, within=600)
        await fix.choose("examine")
        assert "✘" not in await fix.findings()
        await fix.submit()
        assert fix.flow["description_placeholders"]["title"] == "Smart meter"
        await fix.choose("ignore")
        assert fix.flow["reason"] == "ignored"
