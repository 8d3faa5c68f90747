"""How often the meter is read, and what else of it is wanted."""

from typing import TYPE_CHECKING, Any

from homeassistant.data_entry_flow import FlowResultType, InvalidData
import pytest

from .aiobroute.virtual_time import START, clock
from .home import dongle, elapse, entry_of, set_up, state
from .simulator.scenarios import NORMAL, SOLAR

if TYPE_CHECKING:
    from homeassistant.config_entries import ConfigFlowResult
    from homeassistant.core import HomeAssistant
    from pytest_homeassistant_custom_component.common import MockConfigEntry

DEFAULTS = {"interval": 60, "notifications": True, "import_history": True, "spread_fixed": True}


async def start(hass: HomeAssistant, entry: MockConfigEntry) -> ConfigFlowResult:
    flow = await hass.config_entries.options.async_init(entry.entry_id)
    assert flow["type"] is FlowResultType.FORM
    assert flow["step_id"] == "init"
    return flow


async def choose(hass: HomeAssistant, entry: MockConfigEntry, **options: Any) -> None:
    flow = await start(hass, entry)
    flow = await hass.config_entries.options.async_configure(flow["flow_id"], {**DEFAULTS, **options})
    assert flow["type"] is FlowResultType.CREATE_ENTRY
    await hass.async_block_till_done()


async def test_the_form_offers_what_is_in_force(hass: HomeAssistant) -> None:
    with dongle() as sim:
        entry = entry_of(sim)
        await set_up(hass, entry)
        flow = await start(hass, entry)
        assert flow["data_schema"] is not None
        assert flow["data_schema"]({}) == DEFAULTS
        await choose(hass, entry, interval=30.0)
        assert entry.options == {**DEFAULTS, "interval": 30}
        flow = await start(hass, entry)
        assert flow["data_schema"] is not None
        suggested = {str(key): (key.description or {})["suggested_value"] for key in flow["data_schema"].schema}
        assert suggested == entry.options


async def test_the_form_says_what_it_costs(hass: HomeAssistant) -> None:
    with dongle() as sim:
        entry = entry_of(sim)
        await set_up(hass, entry)
        placeholders = {"shortest": "10", "most_airtime": "3.6", "limit": "360"}
        assert (await start(hass, entry))["description_placeholders"] == {
            **placeholders,
            "interval": "60",
            "airtime": "0.6",
        }
        await choose(hass, entry, interval=10)
        await elapse(hass, 5)
        before = sim.air.airtime.total
        await elapse(hass, 3600)
        # Details and the half-hourly answers come on top.
        assert 2 < sim.air.airtime.total - before < 5


@pytest.mark.parametrize("interval", [9, 3601, 0])
async def test_other_intervals_are_refused(hass: HomeAssistant, interval: int) -> None:
    with dongle() as sim:
        entry = entry_of(sim)
        await set_up(hass, entry)
        flow = await start(hass, entry)
        with pytest.raises(InvalidData):
            await hass.config_entries.options.async_configure(flow["flow_id"], {**DEFAULTS, "interval": interval})
        assert not entry.options
        await hass.config_entries.options.async_configure(flow["flow_id"], DEFAULTS)
        await hass.async_block_till_done()


@pytest.mark.parametrize(("interval", "readings"), [(10, 54), (300, 2), (600, 1)])
async def test_the_meter_is_read_as_often_as_was_chosen(hass: HomeAssistant, interval: int, readings: int) -> None:
    with dongle() as sim:
        entry = entry_of(sim)
        await set_up(hass, entry)
        await choose(hass, entry, interval=interval)
        begun = entry.runtime_data.readings
        await elapse(hass, 620)
        assert abs(entry.runtime_data.readings - begun - readings) <= 3 * (interval == 10)


async def test_an_entry_without_options_reads_once_a_minute(hass: HomeAssistant) -> None:
    with dongle() as sim:
        entry = entry_of(sim)
        await set_up(hass, entry)
        await elapse(hass, 620)
        assert 10 <= entry.runtime_data.readings <= 11


@pytest.mark.parametrize("wanted", [True, False])
async def test_notifications(hass: HomeAssistant, *, wanted: bool) -> None:
    with dongle(SOLAR) as sim:
        entry = entry_of(sim)
        await set_up(hass, entry)
        await choose(hass, entry, interval=3600, notifications=wanted)
        before = state(hass, "sensor.smart_meter_energy_export")
        # The next half-hour is at 14:30, and announced some 40 s later.
        await elapse(hass, 24 * 60)
        assert clock() > START.replace(minute=30) + NORMAL.radio.announce_delay
        assert (state(hass, "sensor.smart_meter_energy_export") != before) is wanted
