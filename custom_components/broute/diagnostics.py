"""What a person may hand on when asking for help."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime, timedelta
from decimal import Decimal
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from homeassistant.components.diagnostics import async_redact_data
from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import CONF_DEVICE, CONF_PASSWORD

from .const import CONF_NODE, CONF_PAN, CONF_PROFILE, CONF_REPLACED, CONF_ROUTE_B_ID
from .dongle.journal import async_journal
from .dongle.sharing import async_interval, async_sharers

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant

    from .coordinator import MeterConfigEntry, MeterCoordinator

TO_REDACT = {CONF_NODE, CONF_PAN, CONF_PASSWORD, CONF_PROFILE, CONF_REPLACED, CONF_ROUTE_B_ID, "unique_id"}


async def async_get_config_entry_diagnostics(hass: HomeAssistant, entry: MeterConfigEntry) -> dict[str, Any]:
    """Return what is known of the meter and of the way to it, without what identifies a household."""
    about: dict[str, Any] = {
        # What a meter of the home network calls itself is its address, too.
        "entry": async_redact_data(entry.as_dict(), TO_REDACT | ({CONF_DEVICE} if CONF_NODE in entry.data else set())),
        "state": entry.state.value,
        "reason": entry.reason,
        **_way(hass, entry),
        "seconds_between_readings": async_interval(hass, entry).total_seconds(),
        "journal": async_journal(hass, entry).as_dict(),
    }
    if entry.state is ConfigEntryState.LOADED:
        about |= _meter(entry.runtime_data)
    return about


def _way(hass: HomeAssistant, entry: MeterConfigEntry) -> dict[str, Any]:
    """Return what leads to the meter."""
    if CONF_NODE in entry.data:
        node = entry.data[CONF_NODE]
        address = ip_address(node["address"])
        of_node = {
            "ip_version": address.version,
            "is_link_local": address.is_link_local,
            "is_strict": node["is_strict"],
        }
        return {"node": of_node | {"is_named": node["identity"] != node["address"]}}
    return {"pan": _pan(entry.data[CONF_PAN]), "dongle": {"meters": async_sharers(hass, entry.data[CONF_DEVICE])}}


def _pan(pan: Mapping[str, Any]) -> dict[str, Any]:
    """Return where the meter is; only the maker's part of its MAC, of which many PAN IDs are the end."""
    mac, pan_id = str(pan["mac"]), f"{pan['pan_id']:04X}"
    is_tail = mac.endswith(pan_id)
    return {"channel": pan["channel"], "pan_id": "as the MAC ends" if is_tail else pan_id, "mac_begins": mac[:6]}


def _meter(coordinator: MeterCoordinator) -> dict[str, Any]:
    profile = coordinator.profile
    return {
        "module": None if coordinator.module is None else asdict(coordinator.module),
        "meter": {
            "manufacturer": profile.manufacturer,
            "version": profile.version,
            "unit": str(profile.unit),
            "coefficient": profile.coefficient,
            "digits": profile.digits,
            "gettable": _codes(profile.gettable),
            "settable": _codes(profile.settable),
            "announced": _codes(profile.announced),
        },
        "reading": _exact(asdict(coordinator.data)),
        "dropped_datagrams": 0 if coordinator.meter is None else coordinator.meter.dropped,
        "details": _exact(asdict(coordinator.details)),
        "history": coordinator.history.as_dict(),
        "last_error": str(coordinator.last_exception or ""),
    }


def _codes(codes: frozenset[int]) -> list[str]:
    return [f"{code:02X}" for code in sorted(codes)]


def _exact(value: object) -> object:
    """Show a decimal with its own digits, not as the nearest binary number; times in ISO 8601."""
    match value:
        case dict():
            return {name: _exact(part) for name, part in value.items()}
        case Decimal():
            return str(value)
        case datetime():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case frozenset():
            return _codes(value)
    return value
