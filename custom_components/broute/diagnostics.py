"""What a person may hand on when asking for help."""

from dataclasses import asdict
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from homeassistant.components.diagnostics import async_redact_data
from homeassistant.const import CONF_PASSWORD

from .const import CONF_PROFILE, CONF_ROUTE_B_ID

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant

    from .coordinator import MeterConfigEntry

TO_REDACT = {CONF_PASSWORD, CONF_PROFILE, CONF_ROUTE_B_ID, "mac", "unique_id"}


async def async_get_config_entry_diagnostics(_: HomeAssistant, entry: MeterConfigEntry) -> dict[str, Any]:
    """Return what is known of the meter and of the way to it, without what identifies a household."""
    coordinator = entry.runtime_data
    profile = coordinator.profile
    return async_redact_data(
        {
            "entry": entry.as_dict(),
            "module": asdict(coordinator.module),
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
            "details": _exact(asdict(coordinator.details)),
            "last_error": str(coordinator.last_exception or ""),
        },
        TO_REDACT,
    )


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
    return value
