"""The devices of an entry: its meter, and beside it the electricity plan, as soon as something has a cost."""

import re
from typing import TYPE_CHECKING, Final

from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.device_registry import DeviceInfo

from .const import DOMAIN
from .words import async_cached_words

if TYPE_CHECKING:
    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant
    from homeassistant.helpers.device_registry import DeviceEntry

MODEL_ID: Final = "0x0288"
"""ECHONET Lite's class of low-voltage smart electric energy meters: a meter does not tell its maker's name of it."""

PLAN: Final = "_plan"
"""What the identifier of a plan ends in, behind the meter's own."""


def meter_of(hass: HomeAssistant, entry: ConfigEntry) -> DeviceEntry | None:
    """Return the meter's device, if there is one by now."""
    return dr.async_get(hass).async_get_device_by_identifier((DOMAIN, str(entry.unique_id)), entry.entry_id)


def meter_info(hass: HomeAssistant, entry: ConfigEntry) -> DeviceInfo:
    """Return the meter; Home Assistant has to have read the texts, as it does for the names of entities."""
    return DeviceInfo(
        identifiers={(DOMAIN, str(entry.unique_id))},
        name=entry.title,
        model=async_cached_words(hass)["model"],
        model_id=MODEL_ID,
    )


def plan_info(hass: HomeAssistant, entry: ConfigEntry) -> DeviceInfo:
    """Return the electricity plan, a service of the meter."""
    info = DeviceInfo(
        identifiers={(DOMAIN, f"{entry.unique_id}{PLAN}")},
        name=_plan_name(entry.title, async_cached_words(hass)),
        entry_type=dr.DeviceEntryType.SERVICE,
    )
    if meter := meter_of(hass, entry):
        info["via_device_id"] = meter.id
    return info


def name_of(hass: HomeAssistant, entry: ConfigEntry, device: DeviceEntry) -> str | None:
    """Return what a device of an entry is called; as before, if nobody has read the texts yet."""
    if not any(identifier.endswith(PLAN) for _, identifier in device.identifiers):
        return entry.title
    texts = async_cached_words(hass)
    return _plan_name(entry.title, texts) if texts else device.name


def number_of(title: str, default: str) -> str | None:
    """Return the number in the title that a meter has by itself, perhaps none; `None` for a title of a person's own."""
    numbered = re.fullmatch(rf"{re.escape(default)}( \d+)?", title)
    return None if numbered is None else numbered[1] or ""


def _plan_name(title: str, texts: dict[str, str]) -> str:
    """Return the name of a meter's plan, with the meter's number or title if it has one."""
    number = number_of(title, texts["meter"])
    return f"{title} {texts['plan']}" if number is None else f"{texts['plan']}{number}"
