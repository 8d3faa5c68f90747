"""How an entry begins and ends, and how it gets its dongle back."""

from typing import TYPE_CHECKING

from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import EVENT_HOMEASSISTANT_STARTED, RESTART_EXIT_CODE, STATE_UNAVAILABLE
from homeassistant.core import CoreState
from homeassistant.setup import async_setup_component
import pytest

from .home import DOMAIN, MAC, dongle, elapse, entry_of, now, set_up, state, state_of, until
from .simulator import scenarios
from .simulator.radio import Network, RadioSettings
from .simulator.scenarios import Scenario

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant
    from pytest_homeassistant_custom_component.common import MockConfigEntry

    from .simulator.transport import SimulatedPort

POWER = "sensor.smart_meter_power"
FAR_AWAY = Scenario(summary="", radio=RadioSettings(network=Network(channel=0x39), scan_duration=8))


async def test_home_assistant_does_not_wait_long_for_a_meter(hass: HomeAssistant) -> None:
    hass.set_state(CoreState.starting)
    with dongle(FAR_AWAY) as sim:
        entry = entry_of(sim)
        began = now()
        await set_up(hass, entry)
        assert now() - began <= 31
        assert state_of(entry) is ConfigEntryState.SETUP_RETRY
        assert entry.reason is not None
        assert "when Home Assistant has started" in entry.reason
        assert sim.record.opens == sim.record.closes
        hass.set_state(CoreState.running)
        hass.bus.async_fire(EVENT_HOMEASSISTANT_STARTED)
        await elapse(hass, 240)
        assert state_of(entry) is ConfigEntryState.LOADED


async def test_a_known_meter_is_there_within_six_seconds(hass: HomeAssistant) -> None:
    hass.set_state(CoreState.starting)
    with dongle() as sim:
        assert await async_setup_component(hass, "usb", {})
        entry = entry_of(sim)
        await set_up(hass, entry)
        profile = entry.data["profile"]
        await hass.config_entries.async_unload(entry.entry_id)
        await elapse(hass, 30)
        again = entry_of(sim, profile=profile)
        began = now()
        await set_up(hass, again)
        assert state_of(again) is ConfigEntryState.LOADED
        assert now() - began < 6


@pytest.mark.parametrize("profile", [{"E1": "zz"}, {"E1": "0101"}])
async def test_a_damaged_profile_is_read_anew(hass: HomeAssistant, profile: dict[str, str]) -> None:
    with dongle() as sim:
        entry = entry_of(sim, profile=profile)
        await set_up(hass, entry)
        assert state_of(entry) is ConfigEntryState.LOADED
        assert entry.data["profile"]["E1"] == "01"


async def test_a_session_that_is_lost_during_the_setup(hass: HomeAssistant) -> None:
    with dongle() as sim:
        entry = entry_of(sim)
        entry.add_to_hass(hass)
        setup = hass.async_create_task(hass.config_entries.async_setup(entry.entry_id))
        await until(lambda: bool(sim.record.datagrams_from_client))
        sim.air.end_session()
        assert not await setup
        assert entry.reason == "The connection to the meter was lost (the meter ended the session)"
        assert sim.record.opens == sim.record.closes
        await elapse(hass, 30)
        assert state_of(entry) is ConfigEntryState.LOADED


async def begin_refresh(hass: HomeAssistant, sim: SimulatedPort) -> MockConfigEntry:
    """Let an action of the user ask for values while the meter is looked for."""
    assert await async_setup_component(hass, "homeassistant", {})
    entry = entry_of(sim)
    await set_up(hass, entry)
    sim.air.is_reachable = False
    sim.air.end_session()
    await elapse(hass, 1)
    hass.async_create_task(
        hass.services.async_call("homeassistant", "update_entity", {"entity_id": POWER}, blocking=True)
    )
    return entry


@pytest.mark.parametrize("seconds", [0, 1, 20, 45, 60, 100])
async def test_unloading_takes_no_time_whatever_is_going_on(hass: HomeAssistant, seconds: float) -> None:
    with dongle() as sim:
        entry = await begin_refresh(hass, sim)
        await elapse_unfinished(seconds)
        began = now()
        assert await hass.config_entries.async_unload(entry.entry_id)
        assert now() - began < 2
        await elapse(hass, 300)
        assert sim.record.opens == sim.record.closes
        assert not hass.states.async_entity_ids("sensor") or state(hass, POWER) == STATE_UNAVAILABLE


async def elapse_unfinished(seconds: float) -> None:
    """Let time pass without waiting for anything."""
    reached = now() + seconds
    await until(lambda: now() >= reached, 1)


async def test_stopping_home_assistant_in_the_middle_of_a_search(hass: HomeAssistant) -> None:
    with dongle() as sim:
        await begin_refresh(hass, sim)
        await elapse_unfinished(50)
        await hass.async_stop(force=True)
        assert sim.record.opens == sim.record.closes


async def test_stopping_home_assistant_ends_the_session_politely(hass: HomeAssistant) -> None:
    with dongle() as sim:
        await set_up(hass, entry_of(sim))
        await elapse(hass, 10)
        began = now()
        await hass.async_stop(force=True)
        assert now() - began < 1
        assert sim.record.happenings[-1] == "TERMINATED"
        assert sim.record.opens == sim.record.closes


async def test_stopping_home_assistant_does_not_wait_for_a_meter_that_is_gone(hass: HomeAssistant) -> None:
    with dongle() as sim:
        await set_up(hass, entry_of(sim))
        await elapse(hass, 10)
        sim.air.is_reachable = False
        began = now()
        await hass.async_stop(force=True)
        assert now() - began < 4
        assert sim.record.commands[-1] == "SKTERM"
        assert sim.record.opens == sim.record.closes


async def test_stopping_home_assistant_without_a_dongle(hass: HomeAssistant) -> None:
    with dongle() as sim:
        await set_up(hass, entry_of(sim))
        sim.unplug()
        await elapse(hass, 1)
        await hass.async_stop(force=True)
        assert "SKTERM" not in sim.record.commands
        assert sim.record.opens == sim.record.closes


async def test_nothing_connects_any_more_while_home_assistant_stops(hass: HomeAssistant) -> None:
    with dongle() as sim:
        await set_up(hass, entry_of(sim))
        await elapse(hass, 10)
        for _ in range(2):  # The platform puts off what is asked for again so soon.
            sim.air.end_session()
            await elapse(hass, 7)
        await hass.async_stop(force=True)
        await elapse(hass, 20)
        assert sim.record.happenings[-1] == "ENDED_BY_METER"
        assert sim.record.opens == sim.record.closes


async def test_restarting_home_assistant_keeps_the_session(hass: HomeAssistant) -> None:
    with dongle() as sim:
        await set_up(hass, entry_of(sim))
        await elapse(hass, 10)
        await hass.async_stop(RESTART_EXIT_CODE, force=True)
        assert "SKTERM" not in sim.record.commands
        assert sim.air.is_joined
        assert sim.record.opens == sim.record.closes


async def test_a_removed_entry_leaves_nothing_behind(hass: HomeAssistant) -> None:
    with dongle(scenarios.SOLAR) as sim:
        entry = entry_of(sim)
        await set_up(hass, entry)
        assert await hass.config_entries.async_remove(entry.entry_id)
        await elapse(hass, 120)
        assert not hass.states.async_entity_ids("sensor")
        assert sim.record.opens == sim.record.closes == 1
        assert not hass.config_entries.async_entry_for_domain_unique_id(DOMAIN, MAC)
