"""Who tells prices: entities that plans name, followed when a person gives them other ids.

Their ids in the registry are kept in the entry, too, for what is renamed while the integration is not there.
"""

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, Final

from homeassistant.config_entries import SIGNAL_CONFIG_ENTRY_CHANGED
from homeassistant.core import Event, callback
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.dispatcher import async_dispatcher_connect
from homeassistant.helpers.importlib import async_import_module

from ..const import CONF_PRICE_ENTITIES, CONF_PRICES, DOMAIN, SUBENTRY_PLAN

if TYPE_CHECKING:
    from homeassistant.config_entries import ConfigEntry, ConfigEntryChange
    from homeassistant.core import HomeAssistant
    from homeassistant.helpers.entity_registry import EventEntityRegistryUpdatedData

IN_PLANS: Final = ("price_entity", "fuel_entity")
IN_DASHBOARD: Final = ("entity_energy_price", "entity_energy_price_export")
"""Of what the dashboard had before, which is to come back with a name that there is."""


@callback
def async_follow_price_entities(hass: HomeAssistant) -> None:
    """Let the plans of all entries, and the prices that are kept for them, follow entities that are renamed."""

    @callback
    def rename(entry: ConfigEntry, names: Mapping[str, str]) -> None:
        if not names.keys() & _entities_of(entry):
            return
        _rename_in_entry(hass, entry, names)
        hass.async_create_task(_async_rename_kept(hass, entry, names), f"{entry.title} prices")

    @callback
    def updated(event: Event[EventEntityRegistryUpdatedData]) -> None:
        if event.data["action"] == "update" and (old := event.data.get("old_entity_id")) is not None:
            for entry in hass.config_entries.async_entries(DOMAIN):
                rename(entry, {old: event.data["entity_id"]})

    @callback
    def changed(_: ConfigEntryChange, entry: ConfigEntry) -> None:
        if hass.config_entries.async_get_entry(entry.entry_id) is entry and entry.domain == DOMAIN:
            _remember(hass, entry)

    for entry in hass.config_entries.async_entries(DOMAIN):
        rename(entry, _renamed_meanwhile(hass, entry))
        _remember(hass, entry)
    hass.bus.async_listen(er.EVENT_ENTITY_REGISTRY_UPDATED, updated)
    async_dispatcher_connect(hass, SIGNAL_CONFIG_ENTRY_CHANGED, changed)


async def _async_rename_kept(hass: HomeAssistant, entry: ConfigEntry, names: Mapping[str, str]) -> None:
    await async_import_module(hass, f"{__package__}.prices")
    from .prices import prices_of  # noqa: PLC0415  # it is loaded by now

    prices = prices_of(hass, entry)
    prices.rename(names)
    await prices.async_save()


def _entities_of(entry: ConfigEntry) -> set[str]:
    """Return who tells prices, by the plans or by what the dashboard had before."""
    plans = [each.data for each in entry.subentries.values() if each.subentry_type == SUBENTRY_PLAN]
    named = [plan.get(key) for plan in plans for key in IN_PLANS]
    named += [entry.data.get(CONF_PRICES, {}).get(key) for key in IN_DASHBOARD]
    return {entity for entity in named if entity}


@callback
def _remember(hass: HomeAssistant, entry: ConfigEntry) -> None:
    """Keep the ids that stay the same whatever the entities are called."""
    registry = er.async_get(hass)
    entities = {
        entity_id: entity.id
        for entity_id in sorted(_entities_of(entry))
        if (entity := registry.async_get(entity_id)) is not None
    }
    if entities != entry.data.get(CONF_PRICE_ENTITIES, {}):
        data = {key: value for key, value in entry.data.items() if key != CONF_PRICE_ENTITIES}
        data |= {CONF_PRICE_ENTITIES: entities} if entities else {}
        hass.config_entries.async_update_entry(entry, data=data)


def _renamed_meanwhile(hass: HomeAssistant, entry: ConfigEntry) -> dict[str, str]:
    """Return the present ids, by those that are no more, of entities that nobody followed for a while."""
    entities = er.async_get(hass).entities
    known = {old: entities.get_entry(number) for old, number in entry.data.get(CONF_PRICE_ENTITIES, {}).items()}
    return {old: found.entity_id for old, found in known.items() if found is not None and found.entity_id != old}


@callback
def _rename_in_entry(hass: HomeAssistant, entry: ConfigEntry, names: Mapping[str, str]) -> None:
    for subentry in list(entry.subentries.values()):
        if subentry.subentry_type == SUBENTRY_PLAN:
            hass.config_entries.async_update_subentry(entry, subentry, data=_renamed(subentry.data, IN_PLANS, names))
    if before := entry.data.get(CONF_PRICES):
        data = {**entry.data, CONF_PRICES: _renamed(before, IN_DASHBOARD, names)}
        hass.config_entries.async_update_entry(entry, data=data)


def _renamed(data: Mapping[str, Any], keys: Collection[str], names: Mapping[str, str]) -> dict[str, Any]:
    return {key: names.get(value, value) if key in keys and value else value for key, value in data.items()}
