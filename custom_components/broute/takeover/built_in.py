"""The built-in route_b_smart_meter, whose meters can become ours.

What of Home Assistant the move itself needs is loaded with move.py, by those only who move.
"""

from typing import TYPE_CHECKING, Final

from homeassistant.config_entries import SOURCE_IGNORE, ConfigEntryDisabler, OperationNotAllowed
from homeassistant.const import CONF_DEVICE, CONF_ID, CONF_PASSWORD
from homeassistant.core import callback
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.importlib import async_import_module
from homeassistant.helpers.recorder import DATA_INSTANCE, async_migration_in_progress

from ..const import BUILT_IN, CONF_ROUTE_B_ID

if TYPE_CHECKING:
    from collections.abc import Collection

    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant

CONF_TAKES_OVER: Final = "takes_over"
"""The built-in integration's entry whose entities are to become those of ours; not there any more once they are."""


@callback
def async_built_in(hass: HomeAssistant) -> list[ConfigEntry]:
    """Return the meters of the built-in integration that are not ours yet."""
    registry = er.async_get(hass)
    return [
        entry
        for entry in hass.config_entries.async_entries(BUILT_IN)
        if entry.source != SOURCE_IGNORE and er.async_entries_for_config_entry(registry, entry.entry_id)
    ]


def known_of(entry: ConfigEntry) -> dict[str, str]:
    """Return port and credentials of a built-in entry under our names."""
    return {
        CONF_DEVICE: entry.data[CONF_DEVICE],
        CONF_ROUTE_B_ID: entry.data[CONF_ID],
        CONF_PASSWORD: entry.data[CONF_PASSWORD],
    }


async def async_used_by(hass: HomeAssistant, entry: ConfigEntry) -> list[str]:
    """Return the automations and scripts that name entities which will be called otherwise."""
    await _async_load_takeover(hass)
    from .move import used_by  # noqa: PLC0415  # it is loaded by now

    return used_by(hass, entry)


async def async_stop(hass: HomeAssistant, entry: ConfigEntry) -> str | None:
    """Unload the entry that has the port; return what prevents it."""
    if entry.domain == BUILT_IN and DATA_INSTANCE in hass.data and async_migration_in_progress(hass):
        return "recorder_busy"
    # It may just be connecting, which cannot be unloaded.
    async with entry.setup_lock:
        pass
    try:
        is_stopped = await hass.config_entries.async_unload(entry.entry_id)
    except OperationNotAllowed:
        is_stopped = False
    return None if is_stopped else "still_running"


async def async_disable_built_in(hass: HomeAssistant, entry: ConfigEntry) -> None:
    """Keep the built-in integration off the port that is ours now, over a restart, too."""
    if (old := _taken_over(hass, entry)) is not None:
        await hass.config_entries.async_set_disabled_by(old.entry_id, ConfigEntryDisabler.USER)


async def async_take_over(hass: HomeAssistant, entry: ConfigEntry, measured: Collection[str]) -> None:
    """Make ours what this meter measures of a built-in entry; afterwards there is nothing left to be done."""
    if CONF_TAKES_OVER not in entry.data:
        return
    if (old := _taken_over(hass, entry)) is not None:
        await _async_load_takeover(hass)
        from .move import async_move  # noqa: PLC0415  # it is loaded by now

        await async_move(hass, entry, old, measured)
    data = {key: value for key, value in entry.data.items() if key != CONF_TAKES_OVER}
    hass.config_entries.async_update_entry(entry, data=data)


async def _async_load_takeover(hass: HomeAssistant) -> None:
    """Import it where reading files does not stop the event loop."""
    await async_import_module(hass, f"{__package__}.move")


@callback
def _taken_over(hass: HomeAssistant, entry: ConfigEntry) -> ConfigEntry | None:
    return hass.config_entries.async_get_entry(entry.data.get(CONF_TAKES_OVER, ""))
