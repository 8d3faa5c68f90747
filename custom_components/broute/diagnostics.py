"""What a person may hand on when asking for help."""

from dataclasses import asdict
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
            "reading": {name: _exact(value) for name, value in asdict(coordinator.data).items()},
            "last_error": str(coordinator.last_exception or ""),
        },
        TO_REDACT,
    )


def _codes(codes: frozenset[int]) -> list[str]:
    return [f"{code:02X}" for code in sorted(codes)]


def _exact(value: object) -> object:
    """Show a decimal with its own digits, not as the nearest binary number."""
    return str(value) if isinstance(value, Decimal) else value
