"""A place in the Energy dashboard, offered by the config flow; with the real one of Home Assistant."""

from typing import TYPE_CHECKING, Any

from homeassistant.components.energy.data import ENERGY_SOURCE_SCHEMA, async_get_manager
from homeassistant.config_entries import SOURCE_USER, ConfigEntryState
from homeassistant.const import CONF_DEVICE
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import entity_registry as er
from homeassistant.setup import async_setup_component
import pytest

from ..home import CREDENTIALS, DOMAIN, MAC, entry_of, set_up
from ..plans import ONE_PRICE, fill_in
from ..simulator import scenarios
from ..simulator.scenarios import Scenario
from ..simulator.transport import simulated_port

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

    from homeassistant.components.energy.data import SourceType
    from homeassistant.components.recorder.core import Recorder
    from homeassistant.config_entries import ConfigFlowResult
    from homeassistant.core import HomeAssistant

    from ..simulator.transport import SimulatedPort

GRID: SourceType = {
    "type": "grid",
    "stat_energy_from": "sensor.other_import",
    "stat_energy_to": None,
    "stat_cost": None,
    "entity_energy_price": None,
    "number_energy_price": 31.5,
    "stat_compensation": None,
    "entity_energy_price_export": None,
    "number_energy_price_export": None,
    "cost_adjustment_day": 0,
}
SOLAR: SourceType = {"type": "solar", "stat_energy_from": "sensor.roof", "config_entry_solar_forecast": None}
DEVICES: list[Any] = [{"stat_consumption": "sensor.fridge"}]


@pytest.fixture
def sim() -> Iterator[SimulatedPort]:
    """Offer a dongle near a house with solar cells."""
    with simulated_port(scenarios.SOLAR) as sim:
        yield sim


@pytest.fixture(autouse=True)
async def _recorder(recorder_mock: Recorder, hass: HomeAssistant) -> AsyncGenerator[None]:  # noqa: ARG001  # it comes first
    """Have a recorder, and end what is still being imported before it ends."""
    yield
    for entry in hass.config_entries.async_loaded_entries(DOMAIN):
        await hass.config_entries.async_unload(entry.entry_id)


async def dashboard(hass: HomeAssistant, *sources: SourceType) -> None:
    """Set the Energy dashboard up as a person has left it."""
    assert await async_setup_component(hass, "energy", {})
    if sources:
        manager = await async_get_manager(hass)
        await manager.async_update({"energy_sources": list(sources), "device_consumption": DEVICES})


async def shown(hass: HomeAssistant) -> list[SourceType]:
    """Return what the dashboard shows, which its own form would take."""
    manager = await async_get_manager(hass)
    sources = manager.data["energy_sources"] if manager.data else []
    ENERGY_SOURCE_SCHEMA(sources)
    return sources


async def last_form(hass: HomeAssistant, sim: SimulatedPort) -> ConfigFlowResult:
    flow = await hass.config_entries.flow.async_init(DOMAIN, context={"source": SOURCE_USER})
    flow = await hass.config_entries.flow.async_configure(flow["flow_id"], {CONF_DEVICE: sim.url, **CREDENTIALS})
    await hass.async_block_till_done()
    flow = await hass.config_entries.flow.async_configure(flow["flow_id"])
    assert flow["step_id"] in {"finish", "finish_export"}
    return flow


def offered(flow: ConfigFlowResult) -> dict[str, Any]:
    """Return what the form has without anybody's doing."""
    assert flow["data_schema"] is not None
    return dict(flow["data_schema"]({}))


async def finish(hass: HomeAssistant, flow: ConfigFlowResult, **choice: bool) -> None:
    flow = await hass.config_entries.flow.async_configure(flow["flow_id"], choice)
    assert flow["type"] is FlowResultType.CREATE_ENTRY
    await hass.async_block_till_done()
    assert flow["result"].state is ConfigEntryState.LOADED
    assert "energy" not in flow["result"].data


def entity(hass: HomeAssistant, key: str) -> str | None:
    return er.async_get(hass).async_get_entity_id("sensor", DOMAIN, f"{MAC}_{key}")


def meter_of(hass: HomeAssistant) -> Any:
    """Return the grid connection that the meter is."""
    return {
        **GRID,
        "stat_energy_from": entity(hass, "energy_in"),
        "stat_energy_to": entity(hass, "energy_out"),
        "stat_rate": entity(hass, "power"),
        "number_energy_price": None,
    }


@pytest.mark.parametrize(
    ("language", "entity_id"), [("en", "sensor.smart_meter_energy_import"), ("ja", "sensor.smart_meter_energy_import")]
)
async def test_a_meter_is_added_to_an_empty_dashboard(
    hass: HomeAssistant, sim: SimulatedPort, language: str, entity_id: str
) -> None:
    hass.config.language = language
    await dashboard(hass)
    flow = await last_form(hass, sim)
    assert offered(flow) == {"energy": True, "costs": True}
    await finish(hass, flow)
    assert await shown(hass) == [meter_of(hass)]
    assert entity(hass, "energy_in") == entity_id


async def test_what_is_there_stays_as_it_is(hass: HomeAssistant, sim: SimulatedPort) -> None:
    await dashboard(hass, GRID, SOLAR)
    flow = await last_form(hass, sim)
    # It may be the same electricity.
    assert offered(flow) == {"energy": False, "costs": False}
    await finish(hass, flow, energy=True)
    assert await shown(hass) == [GRID, SOLAR, meter_of(hass)]
    manager = await async_get_manager(hass)
    assert manager.data is not None
    assert manager.data["device_consumption"] == DEVICES


async def test_solar_cells_alone_are_no_grid(hass: HomeAssistant, sim: SimulatedPort) -> None:
    await dashboard(hass, SOLAR)
    assert offered(await last_form(hass, sim)) == {"energy": True, "costs": True}


async def test_nothing_is_added_if_nobody_wishes(hass: HomeAssistant, sim: SimulatedPort) -> None:
    await dashboard(hass, SOLAR)
    await finish(hass, await last_form(hass, sim), energy=False)
    assert await shown(hass) == [SOLAR]


@pytest.mark.parametrize("key", ["stat_energy_from", "stat_energy_to", "stat_rate"])
async def test_what_is_shown_already_is_not_shown_twice(hass: HomeAssistant, sim: SimulatedPort, key: str) -> None:
    names = {
        "stat_energy_from": "sensor.smart_meter_energy_import",
        "stat_energy_to": "sensor.smart_meter_energy_export",
        "stat_rate": "sensor.smart_meter_power",
    }
    old: Any = {**GRID, key: names[key]}
    await dashboard(hass, old)
    await finish(hass, await last_form(hass, sim), energy=True)
    assert await shown(hass) == [old]


async def test_what_was_removed_by_hand_does_not_come_back(hass: HomeAssistant, sim: SimulatedPort) -> None:
    await dashboard(hass)
    await finish(hass, await last_form(hass, sim))
    await (await async_get_manager(hass)).async_update({"energy_sources": []})  # type: ignore[typeddict-item]
    (entry,) = hass.config_entries.async_entries(DOMAIN)
    await hass.config_entries.async_reload(entry.entry_id)
    await hass.async_block_till_done()
    assert await shown(hass) == []


async def test_a_house_without_solar_cells_has_no_export(hass: HomeAssistant) -> None:
    await dashboard(hass)
    with simulated_port(scenarios.NO_EXPORT_DATA) as sim:
        await finish(hass, await last_form(hass, sim))
        assert await shown(hass) == [{**meter_of(hass), "stat_energy_to": None}]


async def test_a_meter_without_a_unit_has_nothing_to_show(hass: HomeAssistant) -> None:
    await dashboard(hass)
    with simulated_port(scenarios.NO_UNIT) as sim:
        flow = await last_form(hass, sim)
        assert offered(flow) == {}
        await finish(hass, flow)
    assert await shown(hass) == []


async def test_a_choice_waits_until_it_can_be_set(hass: HomeAssistant, sim: SimulatedPort) -> None:
    # Home Assistant was switched off before the first connection, and began without the dashboard.
    entry = entry_of(sim, energy=True)
    await set_up(hass, entry)
    assert entry.data["energy"] is True
    assert await hass.config_entries.async_unload(entry.entry_id)
    await dashboard(hass)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    assert "energy" not in entry.data
    assert await shown(hass) == [meter_of(hass)]


async def test_a_choice_survives_a_first_connection_that_fails(hass: HomeAssistant, sim: SimulatedPort) -> None:
    await dashboard(hass)
    flow = await last_form(hass, sim)
    sim.unplug()
    flow = await hass.config_entries.flow.async_configure(flow["flow_id"], {})
    await hass.async_block_till_done()
    entry = flow["result"]
    assert entry.state is ConfigEntryState.SETUP_RETRY
    assert await shown(hass) == []
    sim.plug()
    await hass.config_entries.async_reload(entry.entry_id)
    await hass.async_block_till_done()
    assert await shown(hass) == [meter_of(hass)]


async def test_a_meter_that_has_lost_its_unit_keeps_the_choice(hass: HomeAssistant) -> None:
    await dashboard(hass)
    with simulated_port(Scenario(summary="", meter=scenarios.NO_UNIT.meter)) as sim:
        entry = entry_of(sim, energy=True)
        await set_up(hass, entry)
        assert entry.data["energy"] is True
        assert await shown(hass) == []


async def test_the_last_step_of_the_set_up_asks_for_costs(hass: HomeAssistant, sim: SimulatedPort) -> None:
    await dashboard(hass)
    await finish(hass, await last_form(hass, sim), energy=True, costs=True)
    (entry,) = hass.config_entries.async_entries(DOMAIN)
    assert await shown(hass) == [meter_of(hass)], "there is no plan yet"
    assert entry.data["costs"] == ["cost", "compensation"]


async def test_who_is_not_in_the_dashboard_is_not_asked_for_costs(hass: HomeAssistant, sim: SimulatedPort) -> None:
    entry = entry_of(sim)
    await set_up(hass, entry)
    await dashboard(hass, SOLAR)
    flow = await hass.config_entries.options.async_init(entry.entry_id)
    assert flow["data_schema"] is not None
    assert "costs" not in {str(key) for key in flow["data_schema"].schema}


async def test_costs_are_shown_nowhere_without_a_place_for_them(hass: HomeAssistant, sim: SimulatedPort) -> None:
    entry = entry_of(sim)
    await set_up(hass, entry)
    await dashboard(hass, SOLAR)
    assert (await fill_in(hass, entry, ONE_PRICE))["type"] is FlowResultType.CREATE_ENTRY
    assert await shown(hass) == [SOLAR]
    (subentry,) = entry.subentries
    await fill_in(hass, entry, {**ONE_PRICE, "dashboard": {"in_dashboard": False}}, subentry)
    assert await shown(hass) == [SOLAR]
