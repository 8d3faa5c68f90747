"""Moving over from the built-in route_b_smart_meter: what it has of a meter becomes ours, see docs/migration.md."""

from collections.abc import Collection, Iterable, Mapping
import logging
import re
from typing import TYPE_CHECKING, Any, Final, cast

from homeassistant.components.automation import automations_with_entity
from homeassistant.components.energy.data import async_get_manager
from homeassistant.components.lovelace.const import LOVELACE_DATA, MODE_STORAGE, ConfigNotFound
from homeassistant.components.recorder.db_schema import StatesMeta, StatisticsMeta
from homeassistant.components.recorder.statistics import async_update_statistics_metadata
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


async def async_names(hass: HomeAssistant, old: ConfigEntry, measured: Collection[str]) -> dict[str, str]:
    """Return the new names of the entities that have the Route B ID in theirs, those of their costs included."""
    entities = er.async_get(hass)
    moving = [
        entity_id
        for theirs, ours in SENSORS.items()
        if ours in measured
        and (entity_id := entities.async_get_entity_id(SENSOR_DOMAIN, BUILT_IN, f"{old.unique_id}_{theirs}"))
    ]
    taken = await _async_recorded(hass)
    names: dict[str, str] = {}
    for entity_id in [*moving, *_costs(hass, {entities.entities[entity_id].id for entity_id in moving})]:
        domain, name = split_entity_id(entity_id)
        if (plain := _plain_name(entity_id, old)) != name:
            new = entities.async_get_available_entity_id(domain, plain, reserved_entity_ids=taken)
            names[entity_id] = new
            taken.add(new)
    return names


async def async_move(
    hass: HomeAssistant, entry: ConfigEntry, old: ConfigEntry, measured: Collection[str], names: Mapping[str, str]
) -> bool:
    """Make everything that the built-in integration has of this meter ours; return whether there was anything to do."""
    gone = {each for each in names if not er.async_get(hass).async_is_registered(each)}
    statistics = await _async_statistics(hass)
    # The recorder had not come to these; who has its new name already does not tell it again.
    missed = {each for each in gone & statistics if names[each] not in statistics}
    # Costs were counted under the old name once more, until the Energy dashboard was told the new one.
    left = {each for each in (gone & statistics) - missed if each.rpartition("_")[0] in names}
    is_changed = _move_entities(hass, entry, old, measured, names)
    for entity_id in sorted(missed):
        async_update_statistics_metadata(hass, entity_id, new_statistic_id=names[entity_id])
        get_instance(hass).async_update_states_metadata(entity_id, new_entity_id=names[entity_id])
    if left:
        get_instance(hass).async_clear_statistics(sorted(left))
    if ENERGY in hass.config.components:
        is_changed |= await _async_follow_in_energy(hass, entry, names)
    return await _async_follow_in_dashboards(hass, names) or is_changed or bool(missed | left)


@callback
def _move_entities(
    hass: HomeAssistant, entry: ConfigEntry, old: ConfigEntry, measured: Collection[str], names: Mapping[str, str]
) -> bool:
    """Move entities and device; return whether there were any.

    The recorder follows a new name with statistics and history.
    """
    entities, devices = er.async_get(hass), dr.async_get(hass)
    is_changed = False
    for theirs, ours in SENSORS.items():
        entity_id = entities.async_get_entity_id(SENSOR_DOMAIN, BUILT_IN, f"{old.unique_id}_{theirs}")
        unique_id = f"{entry.unique_id}_{ours}"
        is_ours = entities.async_get_entity_id(SENSOR_DOMAIN, DOMAIN, unique_id) is not None
        if entity_id is not None and ours in measured and not is_ours:
            entities.async_update_entity_platform(
                entity_id, DOMAIN, new_config_entry_id=entry.entry_id, new_unique_id=unique_id
            )
            is_changed = True
        if (entity_id := entities.async_get_entity_id(SENSOR_DOMAIN, DOMAIN, unique_id)) is not None:
            is_changed |= _rename(hass, entity_id, names)
    for device in dr.async_entries_for_config_entry(devices, old.entry_id):
        devices.async_update_device(
            device.id,
            new_config_entry_id=entry.entry_id,
            new_identifiers={(DOMAIN, str(entry.unique_id))},
        )
        is_changed = True
    return is_changed


@callback
def _rename(hass: HomeAssistant, entity_id: str, names: Mapping[str, str]) -> bool:
    """Give an entity its new name; return whether it had the old one."""
    if entity_id not in names or er.async_get(hass).async_is_registered(names[entity_id]):
        return False
    # The last that is heard of the old name: after the change, the recorder would begin another history under it.
    hass.states.async_remove(entity_id)
    er.async_get(hass).async_update_entity(entity_id, new_entity_id=names[entity_id])
    return True


@callback
def _costs(hass: HomeAssistant, sources: Iterable[str]) -> list[str]:
    """Return the entities in which the Energy dashboard counts the costs of some others.

    Their unique IDs begin with the identity of these, or with the name of one that there was not.
    """
    entities = er.async_get(hass).entities.values()
    begins = tuple(f"{source}_" for source in sources)
    return [
        entity.entity_id for entity in entities if entity.platform == ENERGY and entity.unique_id.startswith(begins)
    ]


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


async def _async_statistics(hass: HomeAssistant) -> set[str]:
    """Return the names under which there are statistics."""

    def read() -> set[str]:
        with session_scope(hass=hass, read_only=True) as session:
            return {str(name) for name in session.execute(select(StatisticsMeta.statistic_id)).scalars()}

    return await get_instance(hass).async_add_executor_job(read) if DATA_INSTANCE in hass.data else set()


async def _async_follow_in_energy(hass: HomeAssistant, entry: ConfigEntry, names: Mapping[str, str]) -> bool:
    """Put the new names into the Energy dashboard, and rename its costs; return whether there was anything to do."""
    entities = er.async_get(hass)
    manager = await async_get_manager(hass)
    data = cast("dict[str, list[Any]]", manager.data or {})
    sources = {entity.id for entity in er.async_entries_for_config_entry(entities, entry.entry_id)}
    costs = _costs(hass, sources)
    # After a power cut the dashboard may look for a name that is no more, and count the costs of that.
    strays = _costs(hass, names)
    if _replaced(data, names) == data and not names.keys() & costs and not strays:
        return False
    # What counts the costs is the same entity before and after, and there cannot be both at once.
    new = _replaced(data, names)
    unconcerned = {
        key: [item for item in items if _replaced(item, names) == item and not _names_any(item, names.values())]
        for key, items in data.items()
    }
    try:
        await manager.async_update(cast("EnergyPreferencesUpdate", unconcerned))
        await _async_recorded(hass)  # What is heard of the old name last is written before it changes.
        for cost in costs:
            _rename(hass, cost, names)
    except Exception:
        # A cost sensor that was never added cannot be removed; the preferences are a person's, and must not be lost.
        _LOGGER.exception("The costs keep their names")
    await manager.async_update(cast("EnergyPreferencesUpdate", new))
    for stray in strays:
        entities.async_remove(stray)
    return True


def _names_any(item: object, entity_ids: Collection[str]) -> bool:
    """Return whether something has the name of an entity in it."""
    match item:
        case dict():
            return any(_names_any(each, entity_ids) for each in item.values())
        case list():
            return any(_names_any(each, entity_ids) for each in item)
    return item in entity_ids


async def _async_follow_in_dashboards(hass: HomeAssistant, names: Mapping[str, str]) -> bool:
    """Put the new names into the dashboards that were made in the browser, others are a person's files.

    Return whether there was anything to do.
    """
    is_changed = False
    if LOVELACE_DATA not in hass.data:
        return is_changed
    for dashboard in hass.data[LOVELACE_DATA].dashboards.values():
        if dashboard.mode != MODE_STORAGE:
            continue
        try:
            config = await dashboard.async_load(force=False)
        except ConfigNotFound:
            continue  # It is made anew by Home Assistant whenever it is shown.
        if (new := _replaced(config, names)) != config:
            await dashboard.async_save(new)
            is_changed = True
    return is_changed


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
