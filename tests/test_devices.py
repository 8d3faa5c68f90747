"""The meter's device, and that of the electricity plan beside it."""

from typing import TYPE_CHECKING

from homeassistant.helpers import device_registry as dr, entity_registry as er, issue_registry as ir
from homeassistant.setup import async_setup_component
import pytest

from .home import DOMAIN, MAC, dongle, elapse, entry_of, set_up, state
from .plans import ONE_PRICE, fill_in
from .simulator import scenarios

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant
    from homeassistant.helpers.device_registry import DeviceEntry
    from pytest_homeassistant_custom_component.common import MockConfigEntry

NEW_MAC = "001C640003D2FFFF"

FIGURES = {"period_cost", "period_energy", "bill_forecast", "period_peak", "cost", "compensation"}
"""What is enabled at first, of a house that sells."""

SELLING = {**ONE_PRICE, "feed_in": {"feed_in": "16", "is_feed_in_by_hours": False}}


def devices_of(hass: HomeAssistant, entry: MockConfigEntry) -> tuple[DeviceEntry, DeviceEntry]:
    """Return the meter and the plan."""
    every = dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)
    meter, plan = sorted(every, key=lambda device: device.entry_type is dr.DeviceEntryType.SERVICE)
    return meter, plan


def keys_of(hass: HomeAssistant, device: DeviceEntry, *, has_disabled: bool = False) -> set[str]:
    """Return what the entities of a device are, without the meter's own identity."""
    every = er.async_entries_for_device(er.async_get(hass), device.id, include_disabled_entities=has_disabled)
    return {entity.unique_id.partition("_")[2] for entity in every}


@pytest.mark.parametrize(
    ("language", "title", "names", "sensor"),
    [
        ("en", "Smart meter", ("Smart meter", "Electricity plan"), "sensor.smart_meter_bill_forecast"),
        ("ja", "スマートメーター 2", ("スマートメーター 2", "料金プラン 2"), "sensor.smart_meter_2_bill_forecast"),
        ("en", "Annex", ("Annex", "Annex Electricity plan"), "sensor.annex_bill_forecast"),
    ],
)
async def test_what_a_plan_says_has_a_device_of_its_own(
    hass: HomeAssistant, language: str, title: str, names: tuple[str, str], sensor: str
) -> None:
    hass.config.language = language
    with dongle(scenarios.SOLAR) as sim:
        entry = entry_of(sim)
        entry.add_to_hass(hass)
        # As it was made before plans had a device.
        registry = er.async_get(hass)
        old = registry.async_get_or_create("sensor", DOMAIN, f"{MAC}_cost", config_entry=entry, object_id_base="yen")
        hass.config_entries.async_update_entry(entry, title=title)
        await set_up(hass, entry)
        (only,) = dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)
        await fill_in(hass, entry, SELLING)
        await elapse(hass, 3600)
        meter, plan = devices_of(hass, entry)
        assert meter.id == only.id == plan.via_device_id
        assert (meter.name, plan.name) == names
        assert keys_of(hass, plan) == FIGURES
        assert not keys_of(hass, meter, has_disabled=True) & keys_of(hass, plan, has_disabled=True)
        assert "running_demand" in keys_of(hass, meter, has_disabled=True), "it needs no plan"
        assert registry.async_get(old.entity_id) is not None, "it keeps its name"
        assert float(state(hass, sensor)) >= 0
        assert (plan.manufacturer, plan.serial_number, plan.hw_version) == (None, None, None)
        hass.config_entries.async_update_entry(entry, title="Shed")
        await hass.async_block_till_done()
        text = names[1].removeprefix("Annex ").removesuffix(" 2")
        assert [device.name for device in devices_of(hass, entry)] == ["Shed", f"Shed {text}"]
        await hass.config_entries.async_unload(entry.entry_id)


async def test_another_meter_keeps_the_plan_and_what_it_says(hass: HomeAssistant) -> None:
    assert await async_setup_component(hass, "repairs", {})
    with dongle(scenarios.SOLAR) as sim:
        entry = entry_of(sim)
        await set_up(hass, entry)
        await fill_in(hass, entry, SELLING)
        await elapse(hass, 3600)
        before = devices_of(hass, entry)
        names = {entity.entity_id for entity in er.async_entries_for_device(er.async_get(hass), before[1].id)}
        sim.exchange_meter(mac=NEW_MAC)
        await elapse(hass, 300)
        (issue_id,) = [issue for _, issue in ir.async_get(hass).issues if issue.startswith("meter_exchanged")]
        manager = hass.data["repairs"]["flow_manager"]
        flow = await manager.async_init(DOMAIN, context={"issue_id": issue_id})
        await manager.async_configure(flow["flow_id"], {})
        await elapse(hass, 3600)
        meter, plan = devices_of(hass, entry)
        assert (meter.id, plan.id) == (before[0].id, before[1].id)
        assert (meter.identifiers, plan.identifiers) == ({(DOMAIN, NEW_MAC)}, {(DOMAIN, f"{NEW_MAC}_plan")})
        assert {entity.entity_id for entity in er.async_entries_for_device(er.async_get(hass), plan.id)} == names
        assert keys_of(hass, plan) == FIGURES
        assert float(state(hass, "sensor.smart_meter_compensation")) >= 0
        await hass.config_entries.async_unload(entry.entry_id)
