"""The built-in route_b_smart_meter, whose meters can become ours.

What of Home Assistant the move itself needs is loaded with move.py, by those only who move.
"""

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from homeassistant.config_entries import SOURCE_IGNORE, ConfigEntryDisabler, OperationNotAllowed
from homeassistant.const import CONF_DEVICE, CONF_ID, CONF_PASSWORD
from homeassistant.core import callback
from homeassistant.exceptions import ConfigEntryNotReady
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.importlib import async_import_module
from homeassistant.helpers.recorder import DATA_INSTANCE, async_migration_in_progress
from homeassistant.helpers.storage import STORAGE_DIR, Store

from ..const import BUILT_IN, CONF_ROUTE_B_ID, DOMAIN

if TYPE_CHECKING:
    from collections.abc import Collection

    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant

CONF_TAKES_OVER: Final = "takes_over"
"""The built-in integration's entry whose entities are to become those of ours; not there any more once they are."""

ENTRIES: Final = "core.config_entries"
"""The file in which Home Assistant keeps its entries, some second after each change."""
PAUSE: Final = 0.25
TRIES: Final = 40
"""Ten seconds."""


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
    """Make ours what this meter measures of a built-in entry; afterwards there is nothing left to be done.

    The recorder renames at once, Home Assistant writes its registries and the Energy dashboard up to a minute later.
    So the new names are kept before, and at the next start everything is done that a power cut has undone.

    Raises:
        ConfigEntryNotReady: our entry is not on disk yet, without which nobody would go on after a power cut.

    """
    kept: Store[dict[str, Any]] = Store(hass, 1, f"{DOMAIN}.{entry.entry_id}.takeover", atomic_writes=True)
    begun = await kept.async_load()
    if CONF_TAKES_OVER not in entry.data and begun is None:
        return
    old = _taken_over(hass, entry) if begun is None else hass.config_entries.async_get_entry(begun["entry"])
    is_done = old is None
    if old is not None:
        await _async_load_takeover(hass)
        from .move import async_move, async_names  # noqa: PLC0415  # it is loaded by now

        if begun is None:
            await _async_wait_for_disk(hass, entry, old)
            begun = {"entry": old.entry_id, "names": await async_names(hass, old, measured)}
            await kept.async_save(begun)
        is_done = not await async_move(hass, entry, old, measured, begun["names"])
    if CONF_TAKES_OVER in entry.data:
        data = {key: value for key, value in entry.data.items() if key != CONF_TAKES_OVER}
        hass.config_entries.async_update_entry(entry, data=data)
    if is_done:
        await kept.async_remove()


async def _async_wait_for_disk(hass: HomeAssistant, entry: ConfigEntry, old: ConfigEntry) -> None:
    """Wait until both entries are on disk as they are here, if Home Assistant keeps them there at all.

    Raises:
        ConfigEntryNotReady: that takes too long; it is tried again later.

    """
    path = Path(hass.config.path(STORAGE_DIR, ENTRIES))
    for _ in range(TRIES):
        if await hass.async_add_executor_job(_is_on_disk, path, entry.entry_id, old.entry_id):
            return
        await asyncio.sleep(PAUSE)
    raise ConfigEntryNotReady(translation_domain=DOMAIN, translation_key="not_on_disk")


def _is_on_disk(path: Path, entry_id: str, old_id: str) -> bool:
    """Return whether one entry is there and another one disabled, or whether there is no file."""
    try:
        entries = {each["entry_id"]: each for each in json.loads(path.read_bytes())["data"]["entries"]}
    except FileNotFoundError:
        return True
    except KeyError, OSError, TypeError, ValueError:
        return False
    return entry_id in entries and bool(entries.get(old_id, {}).get("disabled_by"))


async def _async_load_takeover(hass: HomeAssistant) -> None:
    """Import it where reading files does not stop the event loop."""
    await async_import_module(hass, f"{__package__}.move")


@callback
def _taken_over(hass: HomeAssistant, entry: ConfigEntry) -> ConfigEntry | None:
    return hass.config_entries.async_get_entry(entry.data.get(CONF_TAKES_OVER, ""))
