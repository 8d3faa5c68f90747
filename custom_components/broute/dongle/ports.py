"""Which port a dongle is on, and when it is there again."""

from collections.abc import Callable, Collection
import os
from typing import TYPE_CHECKING, Final

from homeassistant.components import usb
from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import CONF_DEVICE
from homeassistant.core import callback

from ..const import CONF_NODE, DOMAIN

if TYPE_CHECKING:
    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant

CONF_STICK: Final = "stick"
"""What tells the USB stick of an entry from others, and the port on which it was seen."""


@callback
def async_watch_ports(hass: HomeAssistant, on_appeared: Callable[[ConfigEntry], None]) -> None:
    """Call back when the dongle of a loaded entry is there again, on whichever port."""

    @callback
    def ports_changed(added: set[usb.USBDevice], _: set[usb.USBDevice]) -> None:
        for entry in hass.config_entries.async_entries(DOMAIN, include_ignore=False):
            if CONF_NODE in entry.data:
                continue
            hass.async_create_task(_async_look_for(hass, entry, added, on_appeared), f"{DOMAIN} ports")

    usb.async_register_port_event_callback(hass, ports_changed)


async def _async_look_for(
    hass: HomeAssistant,
    entry: ConfigEntry,
    added: Collection[usb.USBDevice],
    on_appeared: Callable[[ConfigEntry], None],
) -> None:
    """Take the port of an entry, if it is among those that are new."""
    port = entry.data[CONF_DEVICE]
    device = next((device for device in added if port in (device.device, device.resolved_device)), None)
    if device is None:
        device = await _async_moved(hass, entry, added)
    if device is not None:
        # The platform names a device by its identity where it can, and such a path stays.
        found = {CONF_DEVICE: device.device, CONF_STICK: {CONF_DEVICE: device.device, "identity": _identity(device)}}
        hass.config_entries.async_update_entry(entry, data={**entry.data, **found})
    elif (proxy := _renamed(hass, port)) is not None:
        hass.config_entries.async_update_entry(entry, data={**entry.data, CONF_DEVICE: proxy})
    else:
        return
    if entry.state is ConfigEntryState.SETUP_RETRY:
        hass.config_entries.async_schedule_reload(entry.entry_id)
    elif entry.state is ConfigEntryState.LOADED:
        on_appeared(entry)


async def _async_moved(
    hass: HomeAssistant, entry: ConfigEntry, added: Collection[usb.USBDevice]
) -> usb.USBDevice | None:
    """Return the new port of the stick that was on the port of the entry, if that is gone."""
    port, stick = entry.data[CONF_DEVICE], entry.data.get(CONF_STICK)
    if stick is None or stick[CONF_DEVICE] != port or stick["identity"] is None:
        return None
    same = [device for device in added if _identity(device) == stick["identity"]]
    if len(same) != 1 or await hass.async_add_executor_job(os.path.exists, port):
        return None
    return same[0]


async def async_stick_on(hass: HomeAssistant, port: str) -> dict[str, object]:
    """Return what an entry keeps of the USB stick on its port, or nothing if there is none."""
    path = await hass.async_add_executor_job(os.path.realpath, port)
    for device in await usb.async_scan_serial_ports(hass):
        if isinstance(device, usb.USBDevice) and {port, path} & {device.device, device.resolved_device}:
            return {CONF_STICK: {CONF_DEVICE: port, "identity": _identity(device)}}
    return {}


def name_of(port: str, in_use: Collection[str]) -> str:
    """Return the name of a port that stays; entries that share a dongle know it by one name (blocking).

    /dev/ttyUSB0 may be another dongle after the next start.
    """
    device = usb.get_serial_by_id(port)
    return next((name for name in in_use if os.path.realpath(name) == os.path.realpath(device)), device)


def _identity(device: usb.USBDevice) -> str | None:
    """Return what no other stick has; some have no serial number."""
    return f"{device.vid}:{device.pid} {device.serial_number}" if device.serial_number else None


def _renamed(hass: HomeAssistant, port: str) -> str | None:
    """Ask the platform, which also knows serial proxies; before 2026.11 it could not be asked."""
    find: Callable[[HomeAssistant, str], str | None] | None = getattr(usb, "async_find_moved_serial_port", None)
    return None if find is None else find(hass, port)
