"""Issues that name the cause, come and go by themselves, and one that is fixed by a click."""

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from homeassistant.config_entries import SOURCE_REAUTH, ConfigEntryDisabler, ConfigEntryState
from homeassistant.const import CONF_PASSWORD, STATE_UNAVAILABLE
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import device_registry as dr, entity_registry as er, issue_registry as ir
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.common import async_capture_events

from custom_components.broute.repairs import Issues

from .home import (
    CREDENTIALS,
    DOMAIN,
    MAC,
    dongle,
    elapse,
    entries_of,
    entry_of,
    set_up,
    state,
    state_of,
    without_history,
)
from .simulator import scenarios
from .simulator.meter import Refusal
from .simulator.radio import RadioSettings
from .simulator.record import JOIN
from .simulator.scenarios import Scenario

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant
    from homeassistant.helpers.issue_registry import IssueEntry
    from pytest_homeassistant_custom_component.common import MockConfigEntry

    from .simulator.meter import MeterSettings
    from .simulator.transport import SimulatedPort

NEW_MAC = "001C640003D2FFFF"


class Nobody:
    """Holds a port and never reads."""

    def data_received(self, data: bytes) -> None:
        pass

    def unplugged(self) -> None:
        pass


def issues(hass: HomeAssistant) -> dict[str, IssueEntry]:
    registry = ir.async_get(hass)
    found = {str(issue.translation_key): issue for issue in registry.issues.values() if issue.domain == DOMAIN}
    assert all(issue.learn_more_url for issue in found.values())
    return found


async def test_the_port_is_gone_and_comes_back(hass: HomeAssistant) -> None:
    with dongle() as sim:
        await set_up(hass, entry_of(sim))
        assert not issues(hass)
        sim.unplug()
        await elapse(hass, 1)
        assert (issues(hass)["port_missing"].translation_placeholders or {})["port"] == sim.url
        sim.plug()
        await elapse(hass, 75)
        assert not issues(hass)


async def test_a_meter_that_was_never_set_up_is_disabled(hass: HomeAssistant) -> None:
    with dongle() as sim:
        sim.unplug()
        entry = entry_of(sim)
        await set_up(hass, entry)
        assert set(issues(hass)) == {"port_missing"}
        await hass.config_entries.async_set_disabled_by(entry.entry_id, ConfigEntryDisabler.USER)
        assert not issues(hass)
        await hass.config_entries.async_set_disabled_by(entry.entry_id, None)
        assert set(issues(hass)) == {"port_missing"}


async def test_another_program_has_the_port(hass: HomeAssistant) -> None:
    with dongle() as sim:
        sim.open(Nobody())
        entry = entry_of(sim)
        await set_up(hass, entry)
        assert entry.reason == f"Another program is using {sim.url}"
        assert set(issues(hass)) == {"port_busy"}
        sim.unplug()
        await elapse(hass, 20)
        assert set(issues(hass)) == {"port_missing"}
        sim.plug()
        await elapse(hass, 60)
        assert state_of(entry) is ConfigEntryState.LOADED
        assert not issues(hass)


async def test_no_meter_for_an_hour(hass: HomeAssistant) -> None:
    with dongle() as sim:
        await set_up(hass, entry_of(sim))
        sim.air.is_reachable = False
        await elapse(hass, 3500)
        assert not issues(hass)
        await elapse(hass, 500)
        assert set(issues(hass)) == {"no_meter"}
        sim.air.is_reachable = True
        await elapse(hass, 300)
        assert not issues(hass)


async def test_the_hour_goes_on_while_home_assistant_retries_the_setup(hass: HomeAssistant) -> None:
    with dongle() as sim:
        sim.air.is_reachable = False
        entry = entry_of(sim)
        await set_up(hass, entry)
        assert state_of(entry) is ConfigEntryState.SETUP_RETRY
        assert entry.reason == "The meter was not heard. Is the dongle close enough to it?"
        await elapse(hass, 5000)
        assert set(issues(hass)) == {"no_meter"}
        await hass.config_entries.async_remove(entry.entry_id)
        assert not issues(hass)


def reauth_flows(hass: HomeAssistant) -> list[str]:
    return [
        flow["flow_id"]
        for flow in hass.config_entries.flow.async_progress()
        if flow["context"]["source"] == SOURCE_REAUTH
    ]


def joins(sim: SimulatedPort) -> int:
    return sim.record.count(JOIN)


async def test_a_wrong_password_is_asked_for_only_after_the_meter_refused_again(
    hass: HomeAssistant, each_kind: str
) -> None:
    with dongle() as sim:
        entry = entry_of(sim, password="OLD456789ABC")
        await set_up(hass, entry)
        assert state_of(entry) is ConfigEntryState.SETUP_RETRY
        assert set(issues(hass)) == {"join_refused"}
        assert not reauth_flows(hass)
        await elapse(hass, 60)
        assert state_of(entry) is ConfigEntryState.SETUP_RETRY
        (flow_id,) = reauth_flows(hass)
        # Nobody knocks at the meter's door with a wrong password every minute; but now and then.
        sim.record.clear()
        await elapse(hass, 800)
        assert not joins(sim)
        await elapse(hass, 6400)
        assert 2 <= joins(sim) <= 6 if each_kind == "bp35c2" else joins(sim)
        assert reauth_flows(hass) == [flow_id]
        flow = await hass.config_entries.flow.async_configure(flow_id, CREDENTIALS)
        await hass.async_block_till_done()
        flow = await hass.config_entries.flow.async_configure(flow_id)
        assert flow["reason"] == "reauth_successful"
        await hass.async_block_till_done()
        assert state_of(entry) is ConfigEntryState.LOADED
        assert not issues(hass)


async def test_a_password_that_becomes_wrong(hass: HomeAssistant) -> None:
    with dongle() as sim:
        entry = entry_of(sim)
        await set_up(hass, entry)
        hass.config_entries.async_update_entry(entry, data={**entry.data, CONF_PASSWORD: "OLD456789ABC"})
        sim.air.end_session()
        await elapse(hass, 30)
        assert set(issues(hass)) == {"join_refused"}
        assert not reauth_flows(hass)
        await elapse(hass, 90)
        assert len(reauth_flows(hass)) == 1
        assert sim.record.opens == sim.record.closes


@pytest.mark.parametrize("is_loaded", [True, False])
@pytest.mark.timeout(120)
@pytest.mark.parametrize("hours", [1, 24])
async def test_a_meter_that_refuses_for_hours_is_back_by_itself(
    hass: HomeAssistant, each_kind: str, hours: int, *, is_loaded: bool
) -> None:
    """As it may after another device was connected to it."""
    with dongle() as sim:
        entry = without_history(entry_of(sim))
        good = sim.air.settings
        if is_loaded:
            await set_up(hass, entry)
        sim.air.settings = replace(good, password="ANOTHER45678")
        sim.air.end_session()
        if not is_loaded:
            await set_up(hass, entry)
        await elapse(hass, hours * 3600)
        (_,) = reauth_flows(hass)
        assert set(issues(hass)) == {"join_refused"}
        assert joins(sim) > 3 or each_kind == "j11"
        assert sim.air.airtime.last_hour() < 36
        sim.air.settings = good
        await elapse(hass, 3600 + 700)
        assert state_of(entry) is ConfigEntryState.LOADED
        assert state(hass, "sensor.smart_meter_power") != STATE_UNAVAILABLE
        assert not reauth_flows(hass)
        assert not issues(hass)
        assert not [issue for _, issue in ir.async_get(hass).issues if issue.startswith("config_entry_reauth")]


@pytest.mark.parametrize("is_silent", [True, False])
async def test_a_meter_that_lets_us_in_and_tells_nothing_does_not_ask_for_credentials(
    hass: HomeAssistant, *, is_silent: bool
) -> None:
    with dongle() as sim:
        await set_up(hass, without_history(entry_of(sim)))
        good = sim.air.settings
        sim.air.settings = replace(good, password="ANOTHER45678")
        sim.air.end_session()
        await elapse(hass, 600)
        assert reauth_flows(hass)
        sim.air.settings = good
        sim.air.is_answering = not is_silent
        sim.meter.device.refuse(0xE7, 0xE8, 0xE0, 0xE3)
        await elapse(hass, 1200)
        assert state(hass, "sensor.smart_meter_power") == STATE_UNAVAILABLE
        assert not reauth_flows(hass)
        assert not issues(hass)


async def test_a_reload_tries_at_once(hass: HomeAssistant) -> None:
    with dongle() as sim:
        entry = entry_of(sim)
        good = sim.air.settings
        sim.air.settings = replace(good, password="ANOTHER45678")
        await set_up(hass, entry)
        await elapse(hass, 120)
        assert reauth_flows(hass)
        sim.air.settings = good
        await hass.config_entries.async_reload(entry.entry_id)
        assert state_of(entry) is ConfigEntryState.LOADED
        assert not reauth_flows(hass)


async def test_something_else_that_is_wrong_is_no_refusal(hass: HomeAssistant) -> None:
    with dongle() as sim:
        await set_up(hass, entry_of(sim))
        good = sim.air.settings
        sim.air.settings = replace(good, password="ANOTHER45678")
        sim.air.end_session()
        await elapse(hass, 30)
        sim.unplug()
        await elapse(hass, 60)
        sim.plug()
        await elapse(hass, 45)
        assert not reauth_flows(hass)
        sim.air.settings = good
        await elapse(hass, 120)
        assert not issues(hass)


async def test_a_weak_radio_never_accuses_the_password(hass: HomeAssistant) -> None:
    unheard = Scenario(summary="", radio=RadioSettings(unheard_joins=6))
    with dongle(unheard) as sim:
        entry = entry_of(sim)
        await set_up(hass, entry)
        await elapse(hass, 600)
        assert not reauth_flows(hass)
        assert state_of(entry) is ConfigEntryState.LOADED


async def test_a_single_refusal_passes(hass: HomeAssistant) -> None:
    with dongle() as sim:
        entry = entry_of(sim, password="OLD456789ABC")
        await set_up(hass, entry)
        hass.config_entries.async_update_entry(entry, data={**entry.data, CONF_PASSWORD: CREDENTIALS[CONF_PASSWORD]})
        await elapse(hass, 60)
        assert state_of(entry) is ConfigEntryState.LOADED
        assert not issues(hass)
        assert not reauth_flows(hass)


async def test_a_weak_signal(hass: HomeAssistant) -> None:
    weak = Scenario(summary="", radio=RadioSettings(network=scenarios.WEAK_RADIO.radio.network))
    with dongle(weak) as sim:
        await set_up(hass, entry_of(sim))
        assert not issues(hass)
        await elapse(hass, 600)
        issue = issues(hass)["weak_radio"]
        assert -95 < int((issue.translation_placeholders or {})["rssi"]) < -90
        sim.air.network = replace(sim.air.network, lqi=0xB2)
        await elapse(hass, 600)
        assert not issues(hass)


async def test_a_module_that_tells_no_strength_raises_nothing(hass: HomeAssistant) -> None:
    weak = Scenario(summary="", radio=RadioSettings(network=scenarios.WEAK_RADIO.radio.network))
    with dongle(weak, module="bp35a1") as sim:
        await set_up(hass, entry_of(sim))
        await elapse(hass, 600)
        assert not issues(hass)


def set_clock(sim: SimulatedPort, minutes: int) -> None:
    offset = timedelta(minutes=minutes)
    sim.exchange_meter(replace(scenarios.NORMAL.meter, clock_offset=offset), mac=MAC)


@pytest.mark.parametrize(("minutes", "told"), [(4, set()), (6, {"clock"}), (-6, {"clock"})])
async def test_the_clock_of_the_meter(hass: HomeAssistant, minutes: int, told: set[str]) -> None:
    with dongle() as sim:
        set_clock(sim, minutes)
        await set_up(hass, entry_of(sim))
        await elapse(hass, 400)
        assert set(issues(hass)) == told
        for issue in issues(hass).values():
            assert 5 <= int((issue.translation_placeholders or {})["minutes"]) <= 7
        # A meter that does not answer tells no time.
        sim.air.is_answering = False
        await elapse(hass, 400)
        assert set(issues(hass)) >= told
        sim.air.is_answering = True
        set_clock(sim, 0)
        await elapse(hass, 400)
        await elapse(hass, 400)
        assert not issues(hass)


async def exchange(hass: HomeAssistant, sim: SimulatedPort) -> tuple[MockConfigEntry, str]:
    """Let the utility exchange the meter; return the entry and the issue."""
    assert await async_setup_component(hass, "repairs", {})
    entry = entry_of(sim)
    await set_up(hass, entry)
    sim.exchange_meter(mac=NEW_MAC)
    await elapse(hass, 300)
    issue = issues(hass)["meter_exchanged"]
    assert issue.is_fixable
    return entry, issue.issue_id


async def confirm(hass: HomeAssistant, issue_id: str) -> FlowResultType:
    manager = hass.data["repairs"]["flow_manager"]
    flow = await manager.async_init(DOMAIN, context={"issue_id": issue_id})
    assert flow["step_id"] == "confirm"
    flow = await manager.async_configure(flow["flow_id"], {})
    await hass.async_block_till_done()
    result: FlowResultType = flow["type"]
    return result


async def test_an_exchanged_meter_takes_over_entities_and_device(hass: HomeAssistant) -> None:
    with dongle() as sim:
        entry, issue_id = await exchange(hass, sim)
        entities = er.async_get(hass)
        before = {entity.entity_id for entity in er.async_entries_for_config_entry(entities, entry.entry_id)}
        (device,) = dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)
        assert {found.state for found in hass.states.async_all(["binary_sensor", "sensor"])} == {"unavailable"}
        assert await confirm(hass, issue_id) is FlowResultType.CREATE_ENTRY
        assert state_of(entry) is ConfigEntryState.LOADED
        assert entry.unique_id == NEW_MAC
        assert entry.data["pan"]["mac"] == NEW_MAC
        after = er.async_entries_for_config_entry(entities, entry.entry_id)
        assert {entity.entity_id for entity in after} == before
        assert all(entity.unique_id.startswith(NEW_MAC) for entity in after)
        (same,) = dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)
        assert same.id == device.id
        assert same.identifiers == {(DOMAIN, NEW_MAC)}
        assert same.serial_number == "S26087654321"
        assert not issues(hass)
        assert float(state(hass, "sensor.smart_meter_energy_import")) < 1


def own_keys(hass: HomeAssistant, entry: MockConfigEntry) -> dict[str, str]:
    """Return what there is of each entity for as long as it is not removed, by its key."""
    found = er.async_entries_for_config_entry(er.async_get(hass), entry.entry_id)
    assert entry.unique_id is not None
    return {entity.unique_id.removeprefix(f"{entry.unique_id}_"): entity.id for entity in found}


SECOND_GENERATION = replace(scenarios.SOLAR.meter, release="R")
FEWER = replace(scenarios.ONE_PHASE.meter, serial="S26087654321")


async def exchange_for(
    hass: HomeAssistant, sim: SimulatedPort, new: MeterSettings
) -> tuple[MockConfigEntry, dict[str, str]]:
    """Exchange the meter by another kind and confirm it; return the entry and what it showed before."""
    assert await async_setup_component(hass, "repairs", {})
    entry = entry_of(sim)
    await set_up(hass, entry)
    await elapse(hass, 400)
    before = own_keys(hass, entry)
    sim.exchange_meter(new, mac=NEW_MAC)
    await elapse(hass, 300)
    assert await confirm(hass, issues(hass)["meter_exchanged"].issue_id) is FlowResultType.CREATE_ENTRY
    await elapse(hass, 400)
    return entry, before


async def test_what_only_the_old_meter_had_is_removed_with_it(hass: HomeAssistant) -> None:
    with dongle(replace(scenarios.SOLAR, meter=SECOND_GENERATION)) as sim:
        entry, before = await exchange_for(hass, sim, FEWER)
        gone = {"current_t", "energy_out", "fixed_out", "minute_in", "minute_out", "half_hour_out"}
        assert before.keys() - own_keys(hass, entry).keys() == gone & before.keys()
        assert {"current_t", "energy_out", "fixed_out", "minute_out"} <= before.keys()
        assert "exchanged" not in entry.data
        (device,) = dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)
        assert (device.serial_number, device.sw_version) == ("S26087654321", "F.0")


async def test_what_the_new_meter_refuses_at_first_is_not_taken_for_absent(hass: HomeAssistant) -> None:
    refusal = Refusal(codes=(0xE8, 0xE3), time=timedelta(seconds=200))
    with dongle(scenarios.SOLAR) as sim:
        new = replace(scenarios.SOLAR.meter, serial="S26087654321", refusals=(refusal,))
        # What is removed and comes back has the same id as before.
        changes = async_capture_events(hass, er.EVENT_ENTITY_REGISTRY_UPDATED)
        entry, before = await exchange_for(hass, sim, new)
        assert own_keys(hass, entry).items() >= before.items()
        assert [change.data["entity_id"] for change in changes if change.data["action"] == "remove"] == []
        assert "exchanged" not in entry.data


async def test_a_new_meter_that_tells_nothing_of_itself_is_not_shown_as_the_old_one(hass: HomeAssistant) -> None:
    with dongle() as sim:
        entry, issue_id = await exchange(hass, sim)
        (device,) = dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)
        assert None not in (device.manufacturer, device.serial_number, device.sw_version)
        sim.meter.device.values |= dict.fromkeys((0x82, 0x8A, 0x8D), b"")
        assert await confirm(hass, issue_id) is FlowResultType.CREATE_ENTRY
        (device,) = dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)
        assert (device.manufacturer, device.serial_number, device.sw_version) == (None, None, None)


async def test_a_new_meter_that_was_added_by_itself_takes_nothing_over(hass: HomeAssistant) -> None:
    with dongle() as sim:
        entry, issue_id = await exchange(hass, sim)
        other = entry_of(sim)
        object.__setattr__(other, "unique_id", NEW_MAC)
        other.add_to_hass(hass)
        assert await confirm(hass, issue_id) is FlowResultType.ABORT
        assert entry.unique_id == MAC


async def test_an_old_meter_that_is_back_needs_no_answer(hass: HomeAssistant) -> None:
    with dongle() as sim:
        _, _ = await exchange(hass, sim)
        sim.exchange_meter(scenarios.NORMAL.meter, mac=MAC)
        await elapse(hass, 300)
        assert not issues(hass)


async def test_a_dongle_with_two_meters_makes_one_repair_that_names_both(hass: HomeAssistant) -> None:
    with dongle(scenarios.TWO_METERS) as sim:
        for entry in entries_of(sim):
            await set_up(hass, entry)
        sim.unplug()
        await elapse(hass, 120)
        assert set(issues(hass)) == {"port_missing"}
        found = [issue for issue in ir.async_get(hass).issues.values() if issue.domain == DOMAIN]
        assert len(found) == 1
        assert (found[0].translation_placeholders or {})["title"] == "Smart meter 1, Smart meter 2"
        sim.plug()
        await elapse(hass, 180)
        assert not issues(hass)


async def test_the_last_reason_is_the_one_that_is_told(hass: HomeAssistant) -> None:
    with dongle() as sim:
        entry = entry_of(sim)
        entry.add_to_hass(hass)
        told = Issues(hass, entry)
        for reason in ("is closed", "closed at once", "is closed"):
            told.failed("port_closed", reason)
            (issue,) = ir.async_get(hass).issues.values()
            assert (issue.translation_placeholders or {})["error"] == reason


async def test_a_refusal_opens_the_form(hass: HomeAssistant) -> None:
    assert await async_setup_component(hass, "repairs", {})
    with dongle() as sim:
        entry = entry_of(sim, password="OLD456789ABC")
        await set_up(hass, entry)
        issue = issues(hass)["join_refused"]
        assert issue.is_fixable
        manager = hass.data["repairs"]["flow_manager"]
        flow = await manager.async_init(DOMAIN, context={"issue_id": issue.issue_id})
        assert flow["step_id"] == "trouble"
        flow = await manager.async_configure(flow["flow_id"], {"next_step_id": "form"})
        kind, flow_id = flow["next_flow"]
        assert kind == "config_flow"
        form = hass.config_entries.flow.async_get(flow_id)
        assert form["step_id"] == "reconfigure"
        assert form["context"]["entry_id"] == entry.entry_id
        hass.config_entries.flow.async_abort(flow_id)
        # Later Home Assistant asks by itself: that form is opened, not another one.
        await elapse(hass, 60)
        (asked,) = reauth_flows(hass)
        flow = await manager.async_init(DOMAIN, context={"issue_id": issue.issue_id})
        flow = await manager.async_configure(flow["flow_id"], {"next_step_id": "form"})
        assert flow["next_flow"] == ("config_flow", asked)


@pytest.mark.usefixtures("socket_enabled")
async def test_a_network_port_that_refuses_is_told_at_once(hass: HomeAssistant) -> None:
    with dongle() as sim:
        entry = entry_of(sim, device="socket://127.0.0.1:1?key=secret")
        await set_up(hass, entry)
        issue = issues(hass)["port_refused"]
        assert (issue.translation_placeholders or {})["port"] == "socket://127.0.0.1:1?key=***"
        assert entry.reason == (
            "socket://127.0.0.1:1?key=***: connection refused. The serial server is not running there"
        )
        hass.config_entries.async_update_entry(entry, data={**entry.data, "device": sim.url})
        await elapse(hass, 120)
        assert not issues(hass)
