"""The life of an entry: polls, losses, recoveries, and the port it gives back."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import STATE_UNAVAILABLE, STATE_UNKNOWN
from homeassistant.helpers import device_registry as dr, entity_registry as er
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.broute.diagnostics import async_get_config_entry_diagnostics

from .home import DOMAIN, MAC, PAN, dongle, elapse, entry_of, set_up, until, without_history
from .simulator import scenarios
from .simulator.j11 import REQUEST
from .simulator.meter import Refusal
from .simulator.record import JOIN, SCAN
from .simulator.scenarios import PASSWORD, ROUTE_B_ID
from .simulator.transport import SimTransport

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant

    from .simulator.scenarios import Scenario
    from .simulator.transport import SimulatedPort


pytestmark = pytest.mark.usefixtures("each_kind")
once = pytest.mark.parametrize("each_kind", ["bp35c2"], indirect=True)
"""For what only SK modules tell."""


def value(hass: HomeAssistant, key: str) -> str | None:
    entities = er.async_get(hass)
    entity_id = entities.async_get_entity_id("sensor", DOMAIN, f"{MAC}_{key}")
    if entity_id is None or entities.entities[entity_id].disabled:
        return None
    state = hass.states.get(entity_id)
    assert state is not None
    return state.state


def true_energy(sim: SimulatedPort) -> float:
    return sim.meter.device.counters.raw(sim.clock())[0] / 10


async def test_sensors_show_what_the_meter_counts(hass: HomeAssistant) -> None:
    with dongle(scenarios.SOLAR) as sim:
        entry = entry_of(sim)
        await set_up(hass, entry)
        assert value(hass, "energy_in") == pytest.approx(str(true_energy(sim)))
        assert float(value(hass, "energy_out") or 0) == sim.meter.device.counters.raw(sim.clock())[1] / 10
        assert abs(float(value(hass, "power") or 0) - sim.meter.device.counters.power(sim.clock())) < 50
        for entity in er.async_entries_for_config_entry(er.async_get(hass), entry.entry_id):
            for secret in (ROUTE_B_ID, PASSWORD, ROUTE_B_ID[-8:]):
                assert secret.lower() not in f"{entity.entity_id} {entity.unique_id}".lower()
        await hass.config_entries.async_unload(entry.entry_id)


@pytest.mark.parametrize(
    ("scenario", "missing"),
    [
        (scenarios.NORMAL, {"energy_out"}),
        (scenarios.NO_EXPORT_DATA, {"energy_out"}),
        (scenarios.ONE_PHASE, {"energy_out", "current_r", "current_t"}),
        (scenarios.NO_UNIT, {"energy_in", "energy_out"}),
    ],
)
async def test_only_what_the_meter_has(hass: HomeAssistant, scenario: Scenario, missing: set[str]) -> None:
    with dongle(scenario) as sim:
        await set_up(hass, entry_of(sim))
        keys = {"power", "current", "current_r", "current_t", "energy_in", "energy_out"}
        assert {key for key in keys if value(hass, key) is None} == missing


async def test_a_poll_is_one_datagram_a_minute(hass: HomeAssistant) -> None:
    with dongle() as sim:
        await set_up(hass, entry_of(sim))
        sim.record.clear()
        await elapse(hass, 600)
        assert 9 <= len(sim.record.datagrams_from_client) <= 10


async def test_unload_and_reload_release_the_port(hass: HomeAssistant) -> None:
    with dongle() as sim:
        entry = entry_of(sim)
        await set_up(hass, entry)
        assert await hass.config_entries.async_reload(entry.entry_id)
        assert (sim.record.opens, sim.record.closes) == (2, 1)
        assert await hass.config_entries.async_unload(entry.entry_id)
        await elapse(hass, 1)
        assert sim.record.closes == 2


async def test_a_failed_setup_releases_the_port(hass: HomeAssistant) -> None:
    with dongle(scenarios.SILENT_METER) as sim:
        entry = entry_of(sim)
        await set_up(hass, entry)
        assert entry.state is ConfigEntryState.SETUP_RETRY
        assert entry.reason is not None
        assert "did not answer" in entry.reason
        await hass.config_entries.async_unload(entry.entry_id)
        await elapse(hass, 1)
        assert sim.record.opens == sim.record.closes


async def test_a_lost_session_is_back_within_seconds(hass: HomeAssistant) -> None:
    with dongle() as sim:
        await set_up(hass, entry_of(sim))
        sim.record.clear()
        sim.air.end_session()
        await elapse(hass, 12)
        assert value(hass, "power") != STATE_UNAVAILABLE
        assert sim.record.count(JOIN) == 1
        assert not sim.record.count(SCAN)


@once
async def test_a_session_that_is_lost_during_a_poll_is_made_anew_once(hass: HomeAssistant) -> None:
    with dongle() as sim:
        await set_up(hass, entry_of(sim))
        await elapse(hass, 10)
        sim.record.clear()
        await until(lambda: bool(sim.record.datagrams_from_client))
        sim.air.end_session()
        await elapse(hass, 30)
        assert value(hass, "power") != STATE_UNAVAILABLE
        readings = [datagram for datagram in sim.record.datagrams_from_client if 0xE7 in datagram[12::2]]
        assert len(readings) == 2


async def test_a_silent_meter_is_unavailable_and_comes_back(hass: HomeAssistant) -> None:
    with dongle() as sim:
        await set_up(hass, entry_of(sim))
        sim.air.is_answering = False
        await elapse(hass, 300)
        assert value(hass, "power") == STATE_UNAVAILABLE
        sim.air.is_answering = True
        await elapse(hass, 150)
        assert value(hass, "power") != STATE_UNAVAILABLE


async def test_a_dongle_that_is_unplugged_comes_back(hass: HomeAssistant) -> None:
    with dongle() as sim:
        await set_up(hass, entry_of(sim))
        sim.unplug()
        await elapse(hass, 100)
        assert value(hass, "power") == STATE_UNAVAILABLE
        sim.plug()
        await elapse(hass, 100)
        assert value(hass, "power") != STATE_UNAVAILABLE


@once
async def test_used_up_airtime_is_told(hass: HomeAssistant) -> None:
    with dongle() as sim:
        entry = entry_of(sim)
        await set_up(hass, entry)
        sim.air.restrict()
        await elapse(hass, 300)
        assert value(hass, "power") == STATE_UNAVAILABLE
        sim.air.restrict(False)
        await elapse(hass, 200)
        assert value(hass, "power") != STATE_UNAVAILABLE


async def test_a_meter_that_moved_to_another_channel_is_remembered(hass: HomeAssistant) -> None:
    moved = replace(
        scenarios.NORMAL,
        radio=replace(scenarios.NORMAL.radio, network=replace(scenarios.NORMAL.radio.network, channel=0x39)),
    )
    with dongle(moved) as sim:
        entry = entry_of(sim)
        # Only the start of Home Assistant is too short for a scan.
        await set_up(hass, entry)
        assert entry.state is ConfigEntryState.LOADED
        assert entry.data["pan"] == {**PAN, "channel": 0x39}
        assert entry.data["profile"]["E1"] == "01"


@once
async def test_nothing_old_is_shown_while_the_meter_is_looked_for(hass: HomeAssistant) -> None:
    with dongle() as sim:
        await set_up(hass, entry_of(sim))
        await elapse(hass, 10)
        # The very same values come back afterwards.
        sim.meter.device.values |= {code: sim.meter.device.read(code) or b"" for code in (0xE0, 0xE7, 0xE8)}
        await elapse(hass, 60)
        shown = value(hass, "power")
        sim.air.network = replace(sim.air.network, channel=0x3A)
        sim.air.end_session()
        await asyncio.sleep(39)
        assert value(hass, "power") == shown
        await asyncio.sleep(2)
        assert value(hass, "power") == STATE_UNAVAILABLE
        await elapse(hass, 90)
        assert value(hass, "power") == shown


@once
async def test_the_log_has_the_reason_of_a_search_that_took_long(
    hass: HomeAssistant, caplog: pytest.LogCaptureFixture
) -> None:
    with dongle() as sim:
        await set_up(hass, entry_of(sim))
        await elapse(hass, 70)
        sim.air.is_reachable = False
        sim.air.end_session()
        await elapse(hass, 1800)
        sim.air.is_reachable = True
        await elapse(hass, 300)
    told = [record.getMessage() for record in caplog.records if record.name.endswith(".coordinator")]
    assert [text for text in told if text.startswith(("Error", "Fetching"))] == [
        "Error requesting Smart meter data: The meter took too long to answer",
        "Error fetching Smart meter data: The meter was not heard. Is the dongle close enough to it?",
        "Fetching Smart meter data recovered",
    ]


@once
async def test_both_kinds_of_dongle_live_side_by_side(hass: HomeAssistant) -> None:
    other = replace(scenarios.SOLAR.radio, network=replace(scenarios.SOLAR.radio.network, mac="001C640003D2FFFF"))
    with dongle() as sk, dongle(replace(scenarios.SOLAR, radio=other), module="j11") as j11:
        first, second = entry_of(sk), entry_of(j11)
        await set_up(hass, first)
        hass.config_entries.async_update_entry(first, title="Smart meter")
        second = MockConfigEntry(
            domain=DOMAIN,
            title="Smart meter 2",
            unique_id="001C640003D2FFFF",
            data={**second.data, "pan": {**PAN, "mac": "001C640003D2FFFF"}},
        )
        await set_up(hass, second)
        await elapse(hass, 600)
        for entry, sim, module in ((first, sk, "BP35C2"), (second, j11, "J11")):
            assert entry.state is ConfigEntryState.LOADED
            assert entry.data["module"] == module
            about = await async_get_config_entry_diagnostics(hass, entry)
            assert about["module"]["family"] == module
            assert about["module"]["firmware"]
            entity_id = er.async_get(hass).async_get_entity_id("sensor", DOMAIN, f"{entry.unique_id}_energy_in")
            assert entity_id is not None
            shown = hass.states.get(entity_id)
            assert shown is not None
            assert float(shown.state) == pytest.approx(true_energy(sim), abs=0.2)
            assert (sim.record.opens, sim.record.closes) == (1, 0)


@once
@pytest.mark.parametrize(("before", "after"), [("bp35c2", "j11"), ("j11", "bp35c2")])
async def test_a_dongle_of_another_kind_is_noticed_by_itself(hass: HomeAssistant, before: str, after: str) -> None:
    families = {"bp35c2": "BP35C2", "j11": "J11"}
    with dongle(module=before) as sim, dongle(module=after) as new:
        entry = entry_of(sim)
        await set_up(hass, entry)
        assert entry.data["module"] == families[before]
        sim.record.clear()
        await hass.config_entries.async_reload(entry.entry_id)
        # It is asked for what it is, and for nothing else.
        assert (b"SKVER" in sim.record.received) == (before != "j11")
        assert (REQUEST in sim.record.received) == (before == "j11")
        sim.unplug()
        SimTransport.ports[sim.url] = new
        await elapse(hass, 200)
        assert value(hass, "power") != STATE_UNAVAILABLE
        assert entry.data["module"] == families[after]
        await hass.config_entries.async_unload(entry.entry_id)
        SimTransport.ports[sim.url] = sim


VALUES = (0xE7, 0xE8, 0xE0, 0xE3)


@pytest.mark.parametrize("minutes", [1, 10, 60])
async def test_a_meter_that_refuses_everything_is_unavailable_and_back_at_the_next_poll(
    hass: HomeAssistant, minutes: int
) -> None:
    with dongle(scenarios.SOLAR) as sim:
        entry = without_history(entry_of(sim))
        await set_up(hass, entry)
        sim.meter.device.refuse(*VALUES, time=timedelta(minutes=minutes))
        await elapse(hass, 80)
        assert value(hass, "power") == STATE_UNAVAILABLE
        assert str(entry.runtime_data.last_exception) == (
            "The meter is connected and answers, but refuses to give any values at present"
        )
        await elapse(hass, 60 * minutes + 70)
        assert value(hass, "power") not in {None, STATE_UNAVAILABLE, STATE_UNKNOWN}
        assert value(hass, "energy_out") not in {None, STATE_UNAVAILABLE, STATE_UNKNOWN}
        assert (sim.record.opens, sim.record.count(JOIN)) == (1, 1), "there is nothing wrong with the connection"


async def test_a_meter_that_refuses_everything_at_the_start(hass: HomeAssistant) -> None:
    with dongle(scenarios.REFUSES_VALUES) as sim:
        entry = entry_of(sim)
        await set_up(hass, entry)
        assert entry.reason == "The meter is connected and answers, but refuses to give any values at present"
        await elapse(hass, 200)
        assert entry.state is ConfigEntryState.LOADED
        assert {value(hass, key) for key in ("power", "energy_in", "energy_out")}.isdisjoint({None, STATE_UNKNOWN})


@once
async def test_one_value_that_is_refused_is_unknown_for_that_long(hass: HomeAssistant) -> None:
    with dongle(scenarios.SOLAR) as sim:
        await set_up(hass, without_history(entry_of(sim)))
        sim.meter.device.refuse(0xE7, time=timedelta(minutes=8))
        await elapse(hass, 300)
        assert value(hass, "power") == STATE_UNKNOWN
        assert value(hass, "energy_in") == pytest.approx(str(true_energy(sim)), abs=1)
        await elapse(hass, 400)
        assert value(hass, "power") != STATE_UNKNOWN


@pytest.mark.parametrize("scenario", [scenarios.REFUSES_UNIT, scenarios.REFUSES_COEFFICIENT])
async def test_what_scales_the_energy_is_refused_at_the_start(hass: HomeAssistant, scenario: Scenario) -> None:
    with dongle(scenario) as sim:
        entry = entry_of(sim)
        await set_up(hass, entry)
        assert entry.state is ConfigEntryState.LOADED
        for _ in range(3):
            await elapse(hass, 60)
        shown = value(hass, "energy_in")
        assert shown is not None
        assert float(shown) == pytest.approx(float(sim.meter.energy_in(sim.clock())), abs=1)
        profile = entry.data["profile"]
        assert profile["E1"] == f"{scenario.meter.unit:02X}"
        assert profile.get("D3") == (None if scenario.meter.coefficient is None else "00000014")
        sim.record.clear()
        await hass.config_entries.async_reload(entry.entry_id)
        # Behind the header, which has a number by chance, are the codes.
        assert not [datagram for datagram in sim.record.datagrams_from_client if 0xE1 in datagram[12::2]]
        assert float(value(hass, "energy_in") or 0) == pytest.approx(float(sim.meter.energy_in(sim.clock())), abs=1)


@once
async def test_energy_that_was_kept_wrong_is_checked_after_the_update(hass: HomeAssistant) -> None:
    with dongle(scenarios.COEFFICIENT) as sim:
        entry = entry_of(sim, profile={"E1": "02", "D7": "06", "8A": "000016"})
        await set_up(hass, entry)
        assert float(value(hass, "energy_in") or 0) == pytest.approx(float(sim.meter.energy_in(sim.clock())), abs=1)
        assert entry.data["profile"]["D3"] == "00000014"


@once
async def test_a_manufacturer_that_is_told_late_is_shown(hass: HomeAssistant) -> None:
    late = replace(
        scenarios.NORMAL, meter=replace(scenarios.NORMAL.meter, refusals=(Refusal(codes=(0x8A,), answers=2),))
    )
    with dongle(late) as sim:
        entry = entry_of(sim)
        await set_up(hass, entry)
        await elapse(hass, 700)
        (device,) = dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)
        assert device.manufacturer == "Toshiba"


@pytest.mark.parametrize("is_running", [True, False])
async def test_a_meter_that_is_deaf_in_its_first_session(hass: HomeAssistant, *, is_running: bool) -> None:
    with dongle() as sim:
        entry = entry_of(sim)
        if is_running:
            await set_up(hass, entry)
            sim.air.deaf_sessions = 1
            sim.air.end_session()
        else:
            sim.air.deaf_sessions = 1
            await set_up(hass, entry)
        await elapse(hass, 45)
        assert value(hass, "power") not in {None, STATE_UNAVAILABLE}
