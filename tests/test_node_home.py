"""A meter of the home network over days: new addresses, silence, exchanges, and what is said of them."""

from dataclasses import replace
from datetime import timedelta
import json
import logging
from typing import TYPE_CHECKING, Any

from homeassistant.components.repairs import DOMAIN as REPAIRS
from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import CONF_DEVICE
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers import issue_registry as ir
from homeassistant.helpers.json import JSONEncoder
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.broute.diagnostics import async_get_config_entry_diagnostics

from .aiobroute.virtual_time import clock
from .home import DOMAIN, elapse, now, set_up, state, state_of, until
from .simulator import scenarios
from .simulator.faults import Fault
from .simulator.lan import LanNode, Place, lan_node, own_place, port_taken

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from homeassistant.core import HomeAssistant

    from .simulator.scenarios import Scenario

pytestmark = pytest.mark.own_loop

SERIAL = "S18012345678"
NEW_SERIAL = "S26087654321"
POWER = "sensor.smart_meter_power"
ENERGY = "sensor.smart_meter_energy_import"


@pytest.fixture(autouse=True)
async def _network(home_network: None, hass: HomeAssistant) -> AsyncIterator[None]:  # noqa: ARG001  # it comes first
    assert await async_setup_component(hass, REPAIRS, {})
    yield
    await elapse(hass, 3)


def entry_at(place: Place, serial: str = SERIAL, **data: Any) -> MockConfigEntry:
    """Return the entry that the config flow makes of a node."""
    return MockConfigEntry(
        domain=DOMAIN,
        title="Smart meter",
        unique_id=serial,
        data={
            CONF_DEVICE: f"echonet://{serial}",
            "node": {"address": place.address, "identity": serial, "is_strict": True},
            **data,
        },
    )


def node(scenario: Scenario = scenarios.SOLAR, serial: str = SERIAL, place: Place | None = None) -> Any:
    return lan_node(replace(scenario, meter=replace(scenario.meter, serial=serial)), place, clock=clock)


def issues(hass: HomeAssistant) -> dict[str, ir.IssueEntry]:
    found = ir.async_get(hass).issues.values()
    return {str(issue.translation_key): issue for issue in found if issue.domain == DOMAIN and issue.active}


def shown(hass: HomeAssistant) -> bool:
    """Return whether there are values."""
    return state(hass, POWER) not in {"unknown", "unavailable"}


async def test_a_new_address_is_no_event(hass: HomeAssistant) -> None:
    with node() as meter:
        entry = entry_at(meter.place)
        await set_up(hass, entry)
        meter.on(own_place())
        await elapse(hass, 300)
        assert shown(hass)
        assert entry.data["node"]["address"] == meter.place.address
        assert not issues(hass)
        # The next start asks there at once.
        await hass.config_entries.async_unload(entry.entry_id)
        begun = now()
        await hass.config_entries.async_setup(entry.entry_id)
        assert now() - begun < 0.5


async def test_a_new_address_while_home_assistant_was_off(hass: HomeAssistant) -> None:
    with node() as meter:
        entry = entry_at(own_place())
        await set_up(hass, entry)
        assert state_of(entry) is ConfigEntryState.LOADED
        assert entry.data["node"]["address"] == meter.place.address


async def test_a_meter_that_is_off_for_a_day(hass: HomeAssistant) -> None:
    with node() as meter:
        await set_up(hass, entry_at(meter.place))
        await elapse(hass, 60)
        meter.off()
        await elapse(hass, 3000)
        assert not shown(hass)
        assert not issues(hass)
        await elapse(hass, 83_400)
        assert issues(hass).keys() == {"no_node"}
        meter.on()
        await until(lambda: shown(hass), within=180)
        assert not issues(hass)


@pytest.mark.parametrize("chance", [0.3])
async def test_a_network_that_loses_doubles_and_delays(hass: HomeAssistant, chance: float) -> None:
    radio = replace(scenarios.SOLAR.radio, faults=(Fault.LOST, Fault.DOUBLED, Fault.LATE), fault_rate=chance)
    with node(replace(scenarios.SOLAR, radio=radio)) as meter:
        await set_up(hass, entry_at(meter.place))
        missing = 0
        for _ in range(120):
            await elapse(hass, 60)
            missing += not shown(hass)
        assert missing < 12
        assert not issues(hass)


async def test_what_it_announces_is_shown_at_once(hass: HomeAssistant) -> None:
    with node(scenarios.NORMAL) as meter:
        entry = entry_at(meter.place)
        entry.add_to_hass(hass)
        hass.config_entries.async_update_entry(entry, options={"interval": 3600})
        await hass.config_entries.async_setup(entry.entry_id)
        before = state(hass, ENERGY)
        await elapse(hass, 1801)
        assert state(hass, ENERGY) != before


async def test_a_program_that_has_the_port_for_itself(hass: HomeAssistant) -> None:
    with node() as meter:
        with port_taken():
            entry = entry_at(meter.place)
            await set_up(hass, entry)
            assert state_of(entry) is ConfigEntryState.SETUP_RETRY
            assert entry.reason == "Another program on this machine has UDP port 3610 for itself"
            issue = issues(hass)["node_port_busy"]
            assert not issue.is_fixable
        await elapse(hass, 300)
        assert state_of(entry) is ConfigEntryState.LOADED
        assert not issues(hass)


async def test_the_repair_of_a_silent_meter_opens_the_form(hass: HomeAssistant) -> None:
    with node() as meter:
        await set_up(hass, entry_at(meter.place))
        meter.mute(is_mute=True)
        await elapse(hass, 4000)
        manager = hass.data["repairs"]["flow_manager"]
        flow = await manager.async_init(DOMAIN, context={"issue_id": issues(hass)["no_node"].issue_id})
        assert flow["menu_options"] == ["form", "ignore"]
        flow = await manager.async_configure(flow["flow_id"], {"next_step_id": "form"})
        assert flow["type"] is FlowResultType.ABORT
        (form,) = hass.config_entries.flow.async_progress_by_handler(DOMAIN)
        assert flow["next_flow"][1] == form["flow_id"]
        assert form["step_id"] == "network"


async def test_another_meter_is_no_exchange_for_an_hour(hass: HomeAssistant) -> None:
    with node() as old, node(serial=NEW_SERIAL):
        await set_up(hass, entry_at(old.place))
        old.off()
        await elapse(hass, 3000)
        assert not issues(hass)
        old.on()
        await until(lambda: shown(hass), within=180)
        await elapse(hass, 7200)
        assert not issues(hass)


async def exchanged(hass: HomeAssistant, old: LanNode) -> MockConfigEntry:
    """Return the entry of a meter that is gone for good, and about which a person is asked."""
    entry = entry_at(old.place)
    await set_up(hass, entry)
    old.off()
    await elapse(hass, 4000)
    assert issues(hass).keys() == {"node_exchanged"}
    return entry


async def test_an_exchanged_meter_takes_the_place_of_the_old_one(hass: HomeAssistant) -> None:
    with node() as old, node(serial=NEW_SERIAL) as new:
        entry = await exchanged(hass, old)
        ids = {*hass.states.async_entity_ids("sensor")}
        manager = hass.data["repairs"]["flow_manager"]
        flow = await manager.async_init(DOMAIN, context={"issue_id": issues(hass)["node_exchanged"].issue_id})
        await manager.async_configure(flow["flow_id"], {})
        await hass.async_block_till_done()
        assert entry.unique_id == NEW_SERIAL
        assert entry.data[CONF_DEVICE] == f"echonet://{NEW_SERIAL}"
        assert entry.data["node"]["address"] == new.place.address
        assert state_of(entry) is ConfigEntryState.LOADED
        assert {*hass.states.async_entity_ids("sensor")} <= ids
        assert not issues(hass)


async def test_the_question_goes_when_the_old_meter_is_back(hass: HomeAssistant) -> None:
    with node() as old, node(serial=NEW_SERIAL):
        await exchanged(hass, old)
        old.on()
        await until(lambda: shown(hass), within=180)
        assert not issues(hass)


async def test_a_meter_of_another_entry_takes_no_place(hass: HomeAssistant) -> None:
    with node() as old, node(serial=NEW_SERIAL) as other:
        await set_up(hass, entry_at(old.place))
        await set_up(hass, entry_at(other.place, NEW_SERIAL))
        old.off()
        await elapse(hass, 4000)
        assert issues(hass).keys() == {"no_node"}


async def test_two_new_meters_are_no_exchange(hass: HomeAssistant) -> None:
    with node() as old, node(serial=NEW_SERIAL), node(serial="S26087654322"):
        await set_up(hass, entry_at(old.place))
        old.off()
        await elapse(hass, 4000)
        assert issues(hass).keys() == {"no_node"}


async def test_no_household_can_be_told_from_the_diagnostics(hass: HomeAssistant) -> None:
    with node() as meter:
        entry = entry_at(meter.place)
        await set_up(hass, entry)
        await elapse(hass, 600)
        meter.on(own_place())
        await elapse(hass, 600)
        text = json.dumps(await async_get_config_entry_diagnostics(hass, entry), cls=JSONEncoder)
        for secret in (SERIAL, meter.place.address, "127."):
            assert secret not in text
        about = json.loads(text)
        assert about["node"] == {"ip_version": 4, "is_link_local": False, "is_strict": True, "is_named": True}
        assert about["module"] is None
        assert about["journal"]["counts"]["connected"] == 2
        assert about["reading"]["power"] is not None


async def test_the_log_names_no_household(hass: HomeAssistant, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with node() as meter:
        await set_up(hass, entry_at(meter.place))
        meter.off()
        await elapse(hass, 4000)
        meter.on()
        await elapse(hass, 300)
    ours = "\n".join(record.getMessage() for record in caplog.records if "broute" in record.name)
    assert "The meter does not answer in the home network" in ours
    assert SERIAL not in ours
    assert "127." not in ours


async def test_there_is_nothing_to_record(hass: HomeAssistant) -> None:
    with node() as meter:
        await set_up(hass, entry_at(meter.place))
        with pytest.raises(ServiceValidationError, match="over a Wi-SUN dongle"):
            await hass.services.async_call(DOMAIN, "record_connection", {}, blocking=True)


async def test_the_options_say_nothing_of_a_radio(hass: HomeAssistant) -> None:
    with node() as meter:
        entry = entry_at(meter.place)
        await set_up(hass, entry)
        flow = await hass.config_entries.options.async_init(entry.entry_id)
        assert flow["step_id"] == "settings_network"
        given = {**entry.options, "interval": 10}
        flow = await hass.config_entries.options.async_configure(flow["flow_id"], given)
        await hass.async_block_till_done()
        assert flow["type"] is FlowResultType.CREATE_ENTRY
        asked = len(meter.record.datagrams_from_client)
        await elapse(hass, 100)
        assert len(meter.record.datagrams_from_client) - asked >= 9


async def test_two_meters_do_not_take_turns(hass: HomeAssistant) -> None:
    with node() as first, node(serial=NEW_SERIAL) as second:
        await set_up(hass, entry_at(first.place))
        await set_up(hass, entry_at(second.place, NEW_SERIAL))
        await elapse(hass, 600)
        first.off()
        await elapse(hass, 300)
        assert not shown(hass)
        powers = [entity for entity in hass.states.async_all("sensor") if entity.entity_id.endswith("power_2")]
        assert [entity.state not in {"unknown", "unavailable"} for entity in powers] == [True]


async def test_the_clock_goes_on(hass: HomeAssistant) -> None:
    """A datagram that comes half a minute late is none of an answer."""
    with node() as meter:
        await set_up(hass, entry_at(meter.place))
        meter.faults.extend([Fault.LATE] * 2)
        await elapse(hass, 180)
        assert shown(hass)
        assert clock() > meter.clock() - timedelta(seconds=1)
