"""Moving over from the built-in route_b_smart_meter: what it has of a meter becomes ours, see docs/migration.md."""

from collections.abc import Collection, Mapping
import logging
import re
from typing import TYPE_CHECKING, Any, Final, cast

from homeassistant.components.automation import automations_with_entity
from homeassistant.components.energy.data import async_get_manager
from homeassistant.components.lovelace.const import LOVELACE_DATA, MODE_STORAGE, ConfigNotFound
from homeassistant.components.recorder.db_schema import StatesMeta, StatisticsMeta
from homeassistant.components.script import scripts_with_entity
from homeassistant.components.sensor import DOMAIN as SENSOR_DOMAIN
from homeassistant.const import CONF_ID
from homeassistant.core import callback, split_entity_id
from homeassistant.helpers import device_registry as dr, entity_registry as er
from homeassistant.helpers.recorder import DATA_INSTANCE, get_instance, session_scope
from sqlalchemy import select

from ..const import BUILT_IN, DOMAIN

if TYPE_CHECKING:
    from homeassistant.components.energy.data import EnergyPreferencesUpdate
    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant

_LOGGER = logging.getLogger(__name__)

SENSORS: Final[Mapping[str, str]] = {
    "total_consumption": "energy_in",
    "instantaneous_power": "power",
    "instantaneous_current_r_phase": "current_r",
    "instantaneous_current_t_phase": "current_t",
}
"""What the built-in integration measures, and what it is called here."""

ENERGY: Final = "energy"
"""Home Assistant's Energy dashboard, which counts costs in entities that are named after their source."""


@callback
def used_by(hass: HomeAssistant, entry: ConfigEntry) -> list[str]:
    """Return the automations and scripts that name entities which will be called otherwise."""
    registry = er.async_get(hass)
    found = set()
    for entity in er.async_entries_for_config_entry(registry, entry.entry_id):
        if _plain_name(entity.entity_id, entry) != split_entity_id(entity.entity_id)[1]:
            found |= {*automations_with_entity(hass, entity.entity_id), *scripts_with_entity(hass, entity.entity_id)}
    return sorted(state.name for user in found if (state := hass.states.get(user)) is not None)


async def async_move(hass: HomeAssistant, entry: ConfigEntry, old: ConfigEntry, measured: Collection[str]) -> None:
    """Make everything that the built-in integration has of this meter ours, as far as we measure it."""
    renamed = _move_entities(hass, entry, old, measured, await _async_recorded(hass))
    if ENERGY in hass.config.components:
        renamed |= await _async_follow_in_energy(hass, entry, old, renamed)
    await _async_follow_in_dashboards(hass, renamed)


@callback
def _move_entities(
    hass: HomeAssistant, entry: ConfigEntry, old: ConfigEntry, measured: Collection[str], recorded: set[str]
) -> dict[str, str]:
    """Move entities and device; return the new names of those that are called otherwise now.

    The recorder follows a new name with statistics and history.
    """
    entities, devices = er.async_get(hass), dr.async_get(hass)
    renamed: dict[str, str] = {}
    for theirs, ours in SENSORS.items():
        entity_id = entities.async_get_entity_id(SENSOR_DOMAIN, BUILT_IN, f"{old.unique_id}_{theirs}")
        if entity_id is None or ours not in measured:
            continue
        entities.async_update_entity_platform(
            entity_id, DOMAIN, new_config_entry_id=entry.entry_id, new_unique_id=f"{entry.unique_id}_{ours}"
        )
        renamed |= _rename(hass, entity_id, old, recorded)
    for device in dr.async_entries_for_config_entry(devices, old.entry_id):
        devices.async_update_device(
            device.id,
            new_config_entry_id=entry.entry_id,
            new_identifiers={(DOMAIN, str(entry.unique_id))},
        )
    return renamed


@callback
def _rename(hass: HomeAssistant, entity_id: str, old: ConfigEntry, recorded: set[str]) -> dict[str, str]:
    """Take the Route B ID out of an entity's name; return the new name if it had it."""
    entities = er.async_get(hass)
    domain, name = split_entity_id(entity_id)
    plain = _plain_name(entity_id, old)
    if plain == name:
        return {}
    new = entities.async_get_available_entity_id(domain, plain, reserved_entity_ids=recorded)
    # The last that is heard of the old name: after the change, the recorder would begin another history under it.
    hass.states.async_remove(entity_id)
    entities.async_update_entity(entity_id, new_entity_id=new)
    return {entity_id: new}


def _plain_name(entity_id: str, old: ConfigEntry) -> str:
    return re.sub(f"_?{re.escape(old.data[CONF_ID].lower())}", "", split_entity_id(entity_id)[1]).strip("_") or "meter"


async def _async_recorded(hass: HomeAssistant) -> set[str]:
    """Return the names under which the recorder has something, also of entities that are no more."""

    def read() -> set[str]:
        with session_scope(hass=hass, read_only=True) as session:
            statistics = session.execute(select(StatisticsMeta.statistic_id)).scalars()
            return {str(name) for name in (*statistics, *session.execute(select(StatesMeta.entity_id)).scalars())}

    if DATA_INSTANCE not in hass.data:
        return set()
    recorder = get_instance(hass)
    await recorder.async_block_till_done()
    return await recorder.async_add_executor_job(read)


async def _async_follow_in_energy(
    hass: HomeAssistant, entry: ConfigEntry, old: ConfigEntry, renamed: Mapping[str, str]
) -> dict[str, str]:
    """Put the new names into the Energy dashboard, and rename its costs; return the new names of these."""
    entities = er.async_get(hass)
    manager = await async_get_manager(hass)
    data = cast("dict[str, list[Any]]", manager.data or {})
    if _replaced(data, renamed) == data:
        return {}
    # What counts the costs is the same entity before and after, and there cannot be both at once.
    unconcerned = {key: [item for item in items if _replaced(item, renamed) == item] for key, items in data.items()}
    sources = {entity.id for entity in er.async_entries_for_config_entry(entities, entry.entry_id)}
    costs: dict[str, str] = {}
    try:
        await manager.async_update(cast("EnergyPreferencesUpdate", unconcerned))
        recorded = await _async_recorded(hass)
        for cost in list(entities.entities.values()):
            if cost.platform == ENERGY and cost.unique_id.split("_")[0] in sources:
                costs |= _rename(hass, cost.entity_id, old, recorded)
    except Exception:
        # A cost sensor that was never added cannot be removed; the preferences are a person's, and must not be lost.
        _LOGGER.exception("The costs keep their names")
    await manager.async_update(cast("EnergyPreferencesUpdate", _replaced(data, {**renamed, **costs})))
    return costs


async def _async_follow_in_dashboards(hass: HomeAssistant, renamed: Mapping[str, str]) -> None:
    """Put the new names into the dashboards that were made in the browser; others are a person's files."""
    if LOVELACE_DATA not in hass.data:
        return
    for dashboard in hass.data[LOVELACE_DATA].dashboards.values():
        if dashboard.mode != MODE_STORAGE:
            continue
        try:
            config = await dashboard.async_load(force=False)
        except ConfigNotFound:
            continue  # It is made anew by Home Assistant whenever it is shown.
        if (new := _replaced(config, renamed)) != config:
            await dashboard.async_save(new)


def _replaced[T](value: T, renamed: Mapping[str, str]) -> T:
    """Return a copy in which entities have their new names, also within templates."""
    copy: Any = value
    match value:
        case dict():
            copy = {_replaced(key, renamed): _replaced(item, renamed) for key, item in value.items()}
        case list():
            copy = [_replaced(item, renamed) for item in value]
        case str():
            for old, new in renamed.items():
                copy = re.sub(rf"\b{re.escape(old)}\b", new, copy)
    return cast("T", copy)
