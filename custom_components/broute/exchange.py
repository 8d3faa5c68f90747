"""Another meter in the place of an old one: entities, statistics and settings go on."""

from typing import TYPE_CHECKING, Any

from homeassistant.const import CONF_DEVICE
from homeassistant.core import callback
from homeassistant.helpers import device_registry as dr, entity_registry as er

from .aiobroute import url_of
from .const import CONF_EXCHANGED, CONF_NODE, CONF_PROFILE, DOMAIN
from .opening import identity_in

if TYPE_CHECKING:
    from collections.abc import Mapping

    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant


async def async_exchange(
    hass: HomeAssistant, entry: ConfigEntry, place: Mapping[str, Any], data: Mapping[str, Any] | None = None
) -> bool:
    """Move entities, device and entry to a new meter; return whether it is free, and no entry of its own.

    `place` is what an entry keeps of where that meter is, `data` what the entry has from now on besides, by default
    what it has. The entry has to be reloaded afterwards.
    """
    new = identity_in(place)
    if hass.config_entries.async_entry_for_domain_unique_id(DOMAIN, new) is not None:
        return False
    old = str(entry.unique_id)

    @callback
    def moved(entity: er.RegistryEntry) -> dict[str, str]:
        return {"new_unique_id": entity.unique_id.replace(old, new, 1)}

    await er.async_migrate_entries(hass, entry.entry_id, moved)
    devices = dr.async_get(hass)
    for device in dr.async_entries_for_config_entry(devices, entry.entry_id):
        identifiers = {(domain, identifier.replace(old, new, 1)) for domain, identifier in device.identifiers}
        # The new meter will tell of itself.
        devices.async_update_device(
            device.id, new_identifiers=identifiers, manufacturer=None, serial_number=None, sw_version=None
        )
    data = dict(entry.data) if data is None else dict(data)
    data.pop(CONF_PROFILE, None)
    data |= {**place, CONF_EXCHANGED: True}
    if CONF_NODE in place:
        data[CONF_DEVICE] = url_of(new)
    hass.config_entries.async_update_entry(entry, unique_id=new, data=data)
    return True
