"""Setting up a meter of the home network: the simulated node is on this machine's own loop."""

from dataclasses import replace
import re
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from homeassistant.components import usb
from homeassistant.config_entries import (
    SOURCE_INTEGRATION_DISCOVERY,
    SOURCE_RECONFIGURE,
    SOURCE_USER,
    ConfigEntryState,
)
from homeassistant.const import CONF_DEVICE
from homeassistant.data_entry_flow import FlowResultType
import pytest

from .aiobroute.virtual_time import clock
from .home import CREDENTIALS, DOMAIN, MAC, dongle, elapse, entry_of, now, set_up, state, state_of, stick
from .simulator import scenarios
from .simulator.lan import LanNode, lan_node, own_place, port_taken
from .test_config_flow import connect, submit, suggested, typed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping
    from contextlib import AbstractContextManager

    from homeassistant.config_entries import ConfigEntry, ConfigFlowResult
    from homeassistant.core import HomeAssistant

    from .simulator.scenarios import Scenario
    from .simulator.transport import SimulatedPort

pytestmark = [pytest.mark.own_loop, pytest.mark.usefixtures("no_port")]

SERIAL = "S18012345678"
URL = f"echonet://{SERIAL}"
BY_DONGLE = "Not in this list: it is read over a Wi-SUN dongle"


def of(scenario: Scenario = scenarios.SOLAR, serial: str = SERIAL) -> Scenario:
    """Return a scenario whose meter has a serial number."""
    return replace(scenario, meter=replace(scenario.meter, serial=serial))


def node(scenario: Scenario | None = None, **options: Any) -> AbstractContextManager[LanNode]:
    """Have a meter in the network, in virtual time."""
    return lan_node(scenario or of(), clock=clock, **options)


@pytest.fixture
def no_port() -> Iterator[None]:
    """Have no serial port, whatever this machine has."""
    with patch("homeassistant.components.usb.utils.list_serial_ports", return_value=[]):
        yield


@pytest.fixture(autouse=True)
async def _ended(home_network: None, hass: HomeAssistant) -> AsyncIterator[None]:  # noqa: ARG001  # it comes first
    """Let a search end: it goes on when its flow is over, and Home Assistant's stop would not wait for its sockets."""
    yield
    await elapse(hass, 3)


def have_port(hass: HomeAssistant) -> None:
    """Have a serial port, as those with a stick do."""
    usb.async_register_serial_port_scanner(hass, lambda _: [stick("/dev/serial/by-id/some-stick")])


async def begin(hass: HomeAssistant) -> ConfigFlowResult:
    return await hass.config_entries.flow.async_init(DOMAIN, context={"source": SOURCE_USER})


async def change(hass: HomeAssistant, entry: ConfigEntry) -> ConfigFlowResult:
    return await hass.config_entries.flow.async_init(
        DOMAIN, context={"source": SOURCE_RECONFIGURE, "entry_id": entry.entry_id}
    )


async def choose(hass: HomeAssistant, flow: ConfigFlowResult, step: str) -> ConfigFlowResult:
    return await hass.config_entries.flow.async_configure(flow["flow_id"], {"next_step_id": step})


def names_in(flow: ConfigFlowResult) -> list[str]:
    """Return what can be chosen in the form's only field."""
    assert flow["data_schema"] is not None
    (selector,) = flow["data_schema"].schema.values()
    names: list[str] = selector.config["options"]
    return names


def offered(flow: ConfigFlowResult) -> list[str]:
    """Return the serial numbers of the meters that the form's only field offers."""
    *names, last = names_in(flow)
    assert last == BY_DONGLE
    assert all(re.fullmatch(r"Toshiba \w+ \(127\.[.\d]+\)", name) for name in names)
    return [name.split()[1] for name in names]


def named(flow: ConfigFlowResult) -> Mapping[str, str]:
    """Return what the texts of a form name."""
    return flow["description_placeholders"] or {}


async def set_up_node(hass: HomeAssistant) -> ConfigEntry:
    """Set up the meter that answers, through the form."""
    flow = await submit(hass, await begin(hass), {CONF_DEVICE: URL})
    assert flow["type"] is FlowResultType.CREATE_ENTRY
    entry: ConfigEntry = flow["result"]
    return entry


async def test_a_meter_that_answers_is_set_up_without_credentials(hass: HomeAssistant) -> None:
    with node() as meter:
        flow = await begin(hass)
        assert flow["step_id"] == "network"
        assert offered(flow) == [SERIAL]
        flow = await submit(hass, flow, {CONF_DEVICE: names_in(flow)[0]})
        assert flow["type"] is FlowResultType.CREATE_ENTRY
        entry = flow["result"]
        assert entry.state is ConfigEntryState.LOADED
        assert entry.unique_id == SERIAL
        assert {**entry.data, "profile": None} == {
            CONF_DEVICE: URL,
            "node": {"address": meter.place.address, "identity": SERIAL, "is_strict": True},
            "profile": None,
        }
        assert entry.data["profile"]["E1"] == "01"
        assert state(hass, "sensor.smart_meter_power") != "unknown"
        assert not hass.states.async_entity_ids("switch")


async def test_a_restart_asks_the_meter_once(hass: HomeAssistant) -> None:
    with node() as meter:
        entry = await set_up_node(hass)
        asked = len(meter.record.datagrams_from_client)
        await hass.config_entries.async_unload(entry.entry_id)
        begun = now()
        await hass.config_entries.async_setup(entry.entry_id)
        assert now() - begun < 0.5
        assert state(hass, "sensor.smart_meter_power") != "unknown"
        # What it is asked besides comes later.
        assert meter.record.datagrams_from_client[asked][10] == 0x62
        await hass.async_block_till_done()


async def test_a_meter_without_a_serial_number_is_known_by_its_node(hass: HomeAssistant) -> None:
    with node(of(serial="0" * 12)) as meter:
        flow = await begin(hass)
        url = f"echonet://{offered(flow)[0]}"
        assert url.startswith("echonet://FE")
        flow = await submit(hass, flow, {CONF_DEVICE: url})
        entry = flow["result"]
        meter.on(own_place())
        await elapse(hass, 300)
        assert state(hass, "sensor.smart_meter_power") != "unavailable"
        assert entry.data[CONF_DEVICE] == url


async def test_the_last_form_shows_the_reading(hass: HomeAssistant) -> None:
    with node():
        flow = await connect(hass, await begin(hass), {CONF_DEVICE: URL})
        assert flow["step_id"] == "finish_network"
        assert SERIAL in named(flow)["meter"]
        assert named(flow)["energy_out"].endswith(" kWh")


@pytest.mark.parametrize("has_port", [False, True])
async def test_who_has_no_meter_in_the_network_notices_nothing(hass: HomeAssistant, *, has_port: bool) -> None:
    if has_port:
        await hass.config_entries.flow.async_init(DOMAIN, context={"source": SOURCE_USER})
        have_port(hass)
    begun = now()
    flow = await begin(hass)
    assert flow["step_id"] == "user"
    assert now() - begun < 0.2


async def test_who_has_both_is_asked(hass: HomeAssistant) -> None:
    with node(), dongle() as sim:
        await begin(hass)  # The platform has to be there to be told of a port.
        have_port(hass)
        flow = await begin(hass)
        assert flow["step_id"] == "kind"
        assert flow["menu_options"] == ["new", "network"]
        # A page that is opened anew shows the same.
        again = await hass.config_entries.flow.async_configure(flow["flow_id"])
        assert (again["step_id"], again["menu_options"]) == (flow["step_id"], flow["menu_options"])
        assert (await choose(hass, flow, "network"))["step_id"] == "network"
        flow = await choose(hass, await begin(hass), "new")
        assert flow["step_id"] == "user"
        flow = await submit(hass, flow, typed(sim))
        assert flow["result"].unique_id == MAC


async def test_a_dongle_after_all(hass: HomeAssistant) -> None:
    with node(), dongle() as sim:
        flow = await begin(hass)
        flow = await hass.config_entries.flow.async_configure(flow["flow_id"], {CONF_DEVICE: BY_DONGLE})
        assert flow["step_id"] == "user"
        flow = await submit(hass, flow, typed(sim))
        assert flow["result"].unique_id == MAC


@pytest.mark.parametrize("way", ["{}", "echonet://{}", "echonet://[{}]", " {} "])
async def test_an_address_can_be_typed(hass: HomeAssistant, way: str) -> None:
    with node() as meter:
        flow = await submit(hass, await begin(hass), {CONF_DEVICE: way.format(meter.place.address)})
        # Its address may change.
        assert flow["result"].data[CONF_DEVICE] == URL


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("192.168.1", "node_address"),
        ("fe80::1", "node_address"),
        ("x", "node_address"),
        ("S99999999999", "no_node"),
        ("127.0.0.3", "no_node"),
    ],
)
async def test_what_is_wrong_is_told_at_the_field(hass: HomeAssistant, text: str, error: str) -> None:
    with node():
        flow = await connect(hass, await begin(hass), {CONF_DEVICE: text})
        assert flow["step_id"] == "network"
        assert flow["errors"] == {CONF_DEVICE: error}
        flow = await submit(hass, flow, {CONF_DEVICE: URL})
        assert flow["type"] is FlowResultType.CREATE_ENTRY


async def test_a_meter_that_says_nothing_more(hass: HomeAssistant) -> None:
    with node() as meter:
        flow = await begin(hass)
        meter.mute(is_mute=True)
        flow = await connect(hass, flow, {CONF_DEVICE: URL})
        assert flow["errors"] == {CONF_DEVICE: "no_node"}


async def test_another_program_has_the_port_for_itself(hass: HomeAssistant) -> None:
    with port_taken():
        flow = await begin(hass)
        assert flow["step_id"] == "user"
        flow = await hass.config_entries.flow.async_configure(flow["flow_id"], {CONF_DEVICE: "echonet://"})
        assert flow["step_id"] == "network"
        flow = await connect(hass, flow, {CONF_DEVICE: "127.0.0.3"})
        assert flow["errors"] == {"base": "node_port_busy"}


async def test_a_meter_that_is_late_is_found_by_its_scheme(hass: HomeAssistant) -> None:
    with node() as meter:
        meter.off()
        flow = await begin(hass)
        assert flow["step_id"] == "user"
        meter.on()
        await elapse(hass, 3)
        flow = await hass.config_entries.flow.async_configure(flow["flow_id"], {CONF_DEVICE: "echonet://"})
        assert flow["step_id"] == "network"
        assert offered(flow) == [SERIAL]


async def test_a_meter_typed_as_the_port(hass: HomeAssistant) -> None:
    with node() as meter:
        meter.off()
        flow = await begin(hass)
        meter.on()
        flow = await submit(hass, flow, {CONF_DEVICE: f"echonet://{meter.place.address}"})
        assert flow["result"].unique_id == SERIAL


async def test_a_meter_that_is_late_is_offered(hass: HomeAssistant) -> None:
    with node(reply_time=(0.5, 0.6)):
        flow = await begin(hass)
        assert flow["step_id"] == "user"
        await elapse(hass, 3)
        flows = hass.config_entries.flow.async_progress_by_handler(DOMAIN)
        (card,) = [each for each in flows if each["context"]["source"] == SOURCE_INTEGRATION_DISCOVERY]
        assert SERIAL in card["context"]["title_placeholders"]["name"]
        shown = await hass.config_entries.flow.async_configure(card["flow_id"])
        assert offered(shown) == [SERIAL]
        flow = await submit(hass, shown, {CONF_DEVICE: URL})
        assert flow["result"].unique_id == SERIAL
        # It is not offered once more.
        await begin(hass)
        await elapse(hass, 3)
        flows = hass.config_entries.flow.async_progress_by_handler(DOMAIN)
        assert not [each for each in flows if each["context"]["source"] == SOURCE_INTEGRATION_DISCOVERY]


async def test_a_meter_that_is_set_up_is_not_offered(hass: HomeAssistant) -> None:
    with node(), node(of(serial="S18000000002")) as second:
        flow = await begin(hass)
        assert sorted(offered(flow)) == ["S18000000002", SERIAL]
        await submit(hass, flow, {CONF_DEVICE: URL})
        assert offered(await begin(hass)) == ["S18000000002"]
        second.off()
        assert (await begin(hass))["step_id"] == "user"


async def test_the_same_meter_is_not_set_up_twice(hass: HomeAssistant) -> None:
    with node() as meter, node(of(serial="S18000000002")):
        await set_up_node(hass)
        flow = await connect(hass, await begin(hass), {CONF_DEVICE: meter.place.address})
        assert flow["reason"] == "already_configured"


async def over_radio(hass: HomeAssistant, sim: SimulatedPort, **data: Any) -> ConfigEntry:
    """Set up a meter behind a dongle."""
    mock = entry_of(sim, **data)
    await set_up(hass, mock)
    assert state_of(mock) is ConfigEntryState.LOADED
    entry: ConfigEntry = mock
    return entry


async def test_a_meter_that_is_read_over_a_dongle_is_not_set_up_again(hass: HomeAssistant) -> None:
    with dongle(of()) as sim, node() as meter, node(of(serial="S18000000002")):
        await over_radio(hass, sim)
        flow = await begin(hass)
        assert offered(flow) == ["S18000000002"]
        flow = await connect(hass, flow, {CONF_DEVICE: meter.place.address})
        assert flow["reason"] == "same_meter"


async def test_a_meter_that_is_read_over_the_network_is_not_set_up_again(hass: HomeAssistant) -> None:
    with node(), dongle(of()) as sim:
        await set_up_node(hass)
        flow = await connect(hass, await begin(hass), typed(sim))
        assert flow["reason"] == "same_meter"


async def moved(hass: HomeAssistant, entry: ConfigEntry) -> ConfigFlowResult:
    """Choose the network in place of the dongle."""
    flow = await change(hass, entry)
    assert flow["menu_options"] == ["dongle", "network"]
    return await submit(hass, await choose(hass, flow, "network"), {CONF_DEVICE: URL})


async def test_from_a_dongle_to_the_network(hass: HomeAssistant) -> None:
    with dongle(of()) as sim, node():
        entry = await over_radio(hass, sim)
        assert hass.states.async_entity_ids("switch")
        await elapse(hass, 60)
        ids = {*hass.states.async_entity_ids("sensor")}
        flow = await moved(hass, entry)
        assert flow["reason"] == "reconfigure_successful"
        await hass.async_block_till_done()
        assert entry.state is ConfigEntryState.LOADED
        # Nothing is left of the other way, no credential above all; entities and ledger go on.
        assert entry.data.keys() == {CONF_DEVICE, "node", "profile"}
        assert entry.unique_id == MAC
        assert {*hass.states.async_entity_ids("sensor")} <= ids
        assert not hass.states.async_entity_ids("switch")
        opens = sim.record.opens
        await elapse(hass, 120)
        assert sim.record.opens == opens
        assert state(hass, "sensor.smart_meter_energy_import") != "unavailable"


async def test_from_the_network_to_a_dongle(hass: HomeAssistant) -> None:
    with node(), dongle(of()) as sim:
        entry = await set_up_node(hass)
        flow = await change(hass, entry)
        assert flow["step_id"] == "network"
        flow = await hass.config_entries.flow.async_configure(flow["flow_id"], {CONF_DEVICE: BY_DONGLE})
        assert flow["step_id"] == "reconfigure"
        # What the meter calls itself is no port.
        assert not any(suggested(flow).values())
        flow = await submit(hass, flow, typed(sim))
        assert flow["reason"] == "reconfigure_successful"
        await hass.async_block_till_done()
        assert entry.state is ConfigEntryState.LOADED
        assert entry.data.keys() >= {CONF_DEVICE, "pan", "module", "profile", *CREDENTIALS}
        assert "node" not in entry.data
        await elapse(hass, 120)
        assert state(hass, "sensor.smart_meter_power") != "unavailable"


async def test_a_dongle_goes_on_where_the_network_has_a_meter(hass: HomeAssistant) -> None:
    with dongle(of()) as sim, node():
        entry = await over_radio(hass, sim)
        flow = await choose(hass, await change(hass, entry), "dongle")
        flow = await submit(hass, flow, typed(sim))
        assert flow["reason"] == "reconfigure_successful"


async def test_a_new_meter_in_the_network_takes_the_place_of_the_old_one(hass: HomeAssistant) -> None:
    with dongle(of(serial="S18000000001")) as sim, node():
        entry = await over_radio(hass, sim)
        ids = {*hass.states.async_entity_ids("sensor")}
        flow = await moved(hass, entry)
        assert flow["step_id"] == "moved"
        assert flow["menu_options"] == ["exchanged"]
        assert SERIAL in named(flow)["meter"]
        flow = await choose(hass, flow, "exchanged")
        assert flow["reason"] == "reconfigure_successful"
        await hass.async_block_till_done()
        assert entry.unique_id == SERIAL
        assert entry.data.keys() == {CONF_DEVICE, "node", "profile"}
        assert state_of(entry) is ConfigEntryState.LOADED
        assert {*hass.states.async_entity_ids("sensor")} <= ids


async def test_a_meter_of_another_entry_does_not_take_the_place_of_this_one(hass: HomeAssistant) -> None:
    with dongle(of(serial="S18000000001")) as sim, node() as meter, node(of(serial="S18000000002")):
        await set_up_node(hass)
        entry = await over_radio(hass, sim)
        flow = await choose(hass, await change(hass, entry), "network")
        flow = await submit(hass, flow, {CONF_DEVICE: meter.place.address})
        flow = await choose(hass, flow, "exchanged")
        assert flow["reason"] == "already_configured"
        await hass.async_block_till_done()
        assert entry.unique_id == MAC
        assert state_of(entry) is ConfigEntryState.LOADED


@pytest.mark.parametrize("is_same", [False, True])
async def test_a_meter_that_does_not_say_who_it_is(hass: HomeAssistant, *, is_same: bool) -> None:
    with dongle(of(serial="0" * 12)) as sim, node():
        entry = await over_radio(hass, sim)
        flow = await moved(hass, entry)
        assert flow["menu_options"] == ["same", "exchanged"]
        flow = await choose(hass, flow, "same" if is_same else "exchanged")
        assert flow["reason"] == "reconfigure_successful"
        await hass.async_block_till_done()
        assert entry.unique_id == (MAC if is_same else SERIAL)
        assert state_of(entry) is ConfigEntryState.LOADED


async def test_a_question_that_nobody_answers_leaves_the_meter_as_it_was(hass: HomeAssistant) -> None:
    with dongle(of(serial="S18000000001")) as sim, node():
        entry = await over_radio(hass, sim)
        before = dict(entry.data)
        flow = await moved(hass, entry)
        hass.config_entries.flow.async_abort(flow["flow_id"])
        await hass.async_block_till_done()
        assert entry.data == before
        assert state_of(entry) is ConfigEntryState.LOADED


async def test_another_meter_of_the_network_is_no_change_of_this_one(hass: HomeAssistant) -> None:
    with node(), node(of(serial="S18000000002")):
        entry = await set_up_node(hass)
        flow = await change(hass, entry)
        assert sorted(offered(flow)) == ["S18000000002", SERIAL]
        flow = await connect(hass, flow, {CONF_DEVICE: "echonet://S18000000002"})
        assert flow["errors"] == {"base": "other_meter"}


async def test_a_flow_that_is_closed_looks_no_further(hass: HomeAssistant) -> None:
    with node(reply_time=(0.5, 0.6)):
        flow = await begin(hass)
        hass.config_entries.flow.async_abort(flow["flow_id"])
        await elapse(hass, 3)
        assert not hass.config_entries.flow.async_progress_by_handler(DOMAIN)
