"""Each sensor against what the meter itself counts."""

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from homeassistant.const import CONF_DEVICE, STATE_UNAVAILABLE, STATE_UNKNOWN
from homeassistant.helpers import device_registry as dr, entity_registry as er, translation
from homeassistant.setup import async_setup_component
import pytest

from .aiobroute.virtual_time import clock
from .home import DOMAIN, MAC, dongle, elapse, entries_of, entry_of, set_up, state
from .simulator import scenarios
from .simulator.meter import MeterSettings
from .simulator.scenarios import PASSWORD, ROUTE_B_ID, Scenario

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant
    from homeassistant.helpers.device_registry import DeviceEntry
    from pytest_homeassistant_custom_component.common import MockConfigEntry
    from syrupy.assertion import SnapshotAssertion

    from .simulator.transport import SimulatedPort

KEYS = ("power", "current", "current_r", "current_t", "energy_in", "energy_out")


def shown(hass: HomeAssistant) -> dict[str, str]:
    """Return what each sensor shows, by its key."""
    entities = er.async_get(hass)
    found = {key: entities.async_get_entity_id("sensor", DOMAIN, f"{MAC}_{key}") for key in KEYS}
    return {
        key: state(hass, entity_id)
        for key, entity_id in found.items()
        if entity_id is not None and not entities.entities[entity_id].disabled
    }


@pytest.mark.parametrize("module", ["bp35c2", "bp35a1", "rl7023", "rl7023dss"])
@pytest.mark.parametrize(
    ("scenario", "keys"),
    [
        (scenarios.NORMAL, "power current current_r current_t energy_in"),
        (scenarios.SOLAR, "power current current_r current_t energy_in energy_out"),
        (scenarios.ONE_PHASE, "power current energy_in"),
        (scenarios.COEFFICIENT, "power current current_r current_t energy_in"),
        (scenarios.SECOND_GENERATION, "power current current_r current_t energy_in"),
        (scenarios.NO_EXPORT_DATA, "power current current_r current_t energy_in"),
        (scenarios.NO_UNIT, "power current current_r current_t"),
        (scenarios.MULTI_GET_REFUSED, "power current current_r current_t energy_in"),
        (scenarios.MULTI_GET_IGNORED, "power current current_r current_t energy_in"),
    ],
)
async def test_the_sensors_of_every_kind_of_meter(
    hass: HomeAssistant, scenario: Scenario, keys: str, module: str
) -> None:
    with dongle(scenario, module=module) as sim:
        await set_up(hass, entry_of(sim))
        for _ in range(3):
            values = shown(hass)
            assert values.keys() == set(keys.split())
            assert_true(sim, values)
            await elapse(hass, 60)


def assert_true(sim: SimulatedPort, values: dict[str, str]) -> None:
    """Compare with the meter's own registers, as they are a few seconds later."""
    power = int(values["power"])
    assert abs(power - sim.meter.power(clock())) <= max(120, abs(power) // 4)
    currents = Decimal(values.get("current_r", values["current"])) + Decimal(values.get("current_t", "0"))
    assert abs(power - 100 * currents) < 40
    phases = [Decimal(values[key]) for key in ("current_r", "current_t") if key in values]
    assert Decimal(values["current"]) == max(phases, key=abs, default=Decimal(values["current"]))
    step = Decimal("0.2") * (sim.meter.settings.coefficient or 1)
    if "energy_in" in values:
        assert 0 <= sim.meter.energy_in(clock()) - Decimal(values["energy_in"]) <= step
    if "energy_out" in values:
        assert 0 <= sim.meter.energy_out(clock()) - Decimal(values["energy_out"]) <= step


async def test_the_entities(hass: HomeAssistant, snapshot: SnapshotAssertion) -> None:
    with dongle(scenarios.SOLAR) as sim:
        entry = entry_of(sim)
        await set_up(hass, entry)
        for entity in er.async_entries_for_config_entry(er.async_get(hass), entry.entry_id):
            found = hass.states.get(entity.entity_id)
            assert (found is None) == entity.disabled
            assert {
                "unique_id": entity.unique_id,
                "category": entity.entity_category,
                "disabled_by": entity.disabled_by,
                "options": {key: dict(value) for key, value in entity.options.items()},
                "state": found and found.state,
                "attributes": found and dict(found.attributes),
            } == snapshot(name=entity.entity_id)


def only_device(hass: HomeAssistant, entry: MockConfigEntry) -> DeviceEntry:
    (device,) = dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)
    return device


async def test_the_device(hass: HomeAssistant) -> None:
    with dongle() as sim:
        entry = entry_of(sim)
        await set_up(hass, entry)
        device = only_device(hass, entry)
        assert device.identifiers == {(DOMAIN, MAC)}
        assert device.name == "Smart meter"
        assert device.manufacturer == "Toshiba"
        assert device.model == "Low-voltage smart electric energy meter"
        assert device.model_id == "0x0288"
        assert device.serial_number == "S18012345678"
        assert device.sw_version == "F.0"
        assert device.hw_version == "BP35C2 1.5.2"


async def test_the_device_shows_the_dongle_that_reads_now(hass: HomeAssistant) -> None:
    with dongle() as sim:
        entry = entry_of(sim)
        await set_up(hass, entry)
        sim.unplug()
        await elapse(hass, 60)
    with dongle(module="j11") as other:
        hass.config_entries.async_update_entry(entry, data={**entry.data, CONF_DEVICE: other.url})
        await elapse(hass, 120)
        assert (only_device(hass, entry).hw_version or "").startswith("J11 ")


async def test_a_device_is_named_after_its_entry(hass: HomeAssistant) -> None:
    with dongle() as sim:
        entry = entry_of(sim)
        entry.add_to_hass(hass)
        # As version 1.0 made it.
        er.async_get(hass).async_get_or_create(
            "sensor", DOMAIN, f"{MAC}_power", object_id_base="smart_meter_power", config_entry=entry
        )
        hass.config_entries.async_update_entry(entry, title="Annex")
        await set_up(hass, entry)
        assert only_device(hass, entry).name == "Annex"
        assert {entity.entity_id for entity in hass.states.async_all("sensor")} >= {
            "sensor.smart_meter_power",
            "sensor.annex_energy_import",
        }
        hass.config_entries.async_update_entry(entry, title="Shed")
        await hass.async_block_till_done()
        assert only_device(hass, entry).name == "Shed"
        for name in ("sensor.smart_meter_power", "sensor.annex_energy_import"):
            found = hass.states.get(name)
            assert found is not None
            assert found.attributes["friendly_name"].startswith("Shed ")


async def test_two_meters_can_be_told_apart(hass: HomeAssistant) -> None:
    with dongle(scenarios.TWO_METERS) as sim:
        for entry in entries_of(sim):
            entry.add_to_hass(hass)
        assert await async_setup_component(hass, DOMAIN, {})
        await elapse(hass, 60)
        assert {device.name for device in dr.async_get(hass).devices} == {"Smart meter 1", "Smart meter 2"}
        names = {found.attributes["friendly_name"] for found in hass.states.async_all("sensor")}
        assert {"Smart meter 1 Power", "Smart meter 2 Power"} <= names


@pytest.mark.parametrize(
    ("title", "sensor", "fault"),
    [
        ("スマートメーター", "sensor.smart_meter_energy_import", "binary_sensor.smart_meter_fault"),
        ("スマートメーター 2", "sensor.smart_meter_2_energy_import", "binary_sensor.smart_meter_2_fault"),
        ("Annex", "sensor.annex_energy_import", "binary_sensor.annex_fault"),
    ],
    ids=["first", "second", "own"],
)
async def test_entity_ids_are_english(hass: HomeAssistant, title: str, sensor: str, fault: str) -> None:
    hass.config.language = "ja"
    with dongle(scenarios.SOLAR) as sim:
        entry = entry_of(sim)
        entry.add_to_hass(hass)
        hass.config_entries.async_update_entry(entry, title=title)
        await set_up(hass, entry)
        found = {entity.entity_id for entity in er.async_entries_for_config_entry(er.async_get(hass), entry.entry_id)}
        assert {sensor, fault} <= found


async def test_a_japanese_home(hass: HomeAssistant) -> None:
    hass.config.language = "ja"
    with dongle(scenarios.SOLAR) as sim:
        entry = entry_of(sim)
        entry.add_to_hass(hass)
        hass.config_entries.async_update_entry(entry, title="スマートメーター")
        await set_up(hass, entry)
        assert only_device(hass, entry).name == "スマートメーター"
        assert only_device(hass, entry).model == "低圧スマート電力量メーター"
        names = {found.attributes["friendly_name"] for found in hass.states.async_all("sensor")}
        assert names == {
            "スマートメーター 瞬時電力",
            "スマートメーター 電流",
            "スマートメーター 電流 R相",
            "スマートメーター 電流 T相",
            "スマートメーター 買電量",
            "スマートメーター 売電量",
        }
        texts = await translation.async_get_translations(hass, "ja", "config", {DOMAIN})
        assert texts[f"component.{DOMAIN}.config.step.user.data.route_b_id"] == "Bルート認証ID"


async def test_no_id_or_name_holds_a_credential(hass: HomeAssistant) -> None:
    with dongle(scenarios.SOLAR) as sim:
        entry = entry_of(sim)
        await set_up(hass, entry)
        everything = (
            f"{er.async_get(hass).entities.values()} {only_device(hass, entry)} {hass.states.async_all()} {entry.title}"
        )
        for secret in (ROUTE_B_ID, ROUTE_B_ID[-8:], PASSWORD):
            assert secret.lower() not in everything.lower()


@pytest.mark.parametrize(
    ("scenario", "unit"),
    [(scenarios.NORMAL, 1), (scenarios.ONE_PHASE, 2), (scenarios.SECOND_GENERATION, 3)],
)
async def test_energies_have_the_meter_s_own_decimals(hass: HomeAssistant, scenario: Scenario, unit: int) -> None:
    with dongle(scenario) as sim:
        await set_up(hass, entry_of(sim))
        entity = er.async_get(hass).async_get("sensor.smart_meter_energy_import")
        assert entity is not None
        assert entity.options["sensor"]["suggested_display_precision"] == unit
        assert len(shown(hass)["energy_in"].partition(".")[2]) == unit


@pytest.mark.parametrize("scenario", [scenarios.NO_DATA, scenarios.IMPOSSIBLE_VALUES])
async def test_what_the_meter_does_not_know_is_unknown(hass: HomeAssistant, scenario: Scenario) -> None:
    with dongle(scenario) as sim:
        await set_up(hass, entry_of(sim))
        assert shown(hass) == dict.fromkeys(("power", "current", "current_r", "energy_in"), STATE_UNKNOWN)


@pytest.mark.parametrize("is_there", [False, True])
async def test_one_phase_has_one_current(hass: HomeAssistant, *, is_there: bool) -> None:
    entities = er.async_get(hass)
    with dongle(scenarios.ONE_PHASE) as sim:
        entry = entry_of(sim)
        entry.add_to_hass(hass)
        if is_there:  # As a takeover leaves it.
            entities.async_get_or_create("sensor", DOMAIN, f"{MAC}_current_r", config_entry=entry)
        await set_up(hass, entry)
        enabled = {
            entity.unique_id.removeprefix(f"{MAC}_")
            for entity in er.async_entries_for_config_entry(entities, entry.entry_id)
            if not entity.disabled
        }
        assert {key for key in enabled if key.startswith("current")} == {"current_r" if is_there else "current"}


def swap(sim: SimulatedPort, **settings: Any) -> None:
    """Let the same meter measure something else."""
    sim.exchange_meter(replace(MeterSettings(solar=True), **settings), mac=MAC)


async def test_solar_cells_that_are_put_into_operation(hass: HomeAssistant) -> None:
    with dongle(scenarios.NO_EXPORT_DATA) as sim:
        entry = entry_of(sim)
        await set_up(hass, entry)
        assert "energy_out" not in shown(hass)
        swap(sim)
        await elapse(hass, 120)
        assert Decimal(shown(hass)["energy_out"]) > 0
        # From now on the meter is known to have it, even if it does not tell at the next start.
        swap(sim, values={0xE3: "FFFFFFFE"})
        await hass.config_entries.async_reload(entry.entry_id)
        await hass.async_block_till_done()
        assert shown(hass)["energy_out"] == STATE_UNKNOWN


async def test_a_value_is_never_older_than_its_poll(hass: HomeAssistant) -> None:
    with dongle() as sim:
        await set_up(hass, entry_of(sim))
        sim.air.is_answering = False
        await elapse(hass, 60 + 40)
        assert set(shown(hass).values()) == {STATE_UNAVAILABLE}
        # The connection is made anew without waiting for the next poll.
        sim.air.is_answering = True
        await elapse(hass, 10)
        assert STATE_UNAVAILABLE not in shown(hass).values()
