"""Actions: the meter's half-hours as data, days compared anew, and plans side by side."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

from homeassistant.const import ATTR_CONFIG_ENTRY_ID
from homeassistant.core import SupportsResponse, callback
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers.service import async_get_config_entry, async_register_admin_service
from homeassistant.util import dt as dt_util
import probatio

from .aiobroute import HISTORY_DAYS, JST, BRouteError
from .const import DOMAIN
from .energy.source import HistoryUnavailableError
from .energy.tariff import Rounding

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant, ServiceCall, ServiceResponse
    from homeassistant.util.json import JsonValueType

    from .coordinator import MeterConfigEntry
    from .energy.backfill import Backfill
    from .energy.bill import Comparison

ATTR_FIRST: Final = "first_day"
ATTR_LAST: Final = "last_day"

KEPT_DAYS: Final = 36_525
"""The ledger keeps everything; a day of another century is a slip."""

SCHEMA_OF_METER: Final = probatio.Schema({probatio.Optional(ATTR_CONFIG_ENTRY_ID): str})
SCHEMA: Final = SCHEMA_OF_METER.extend(
    {
        probatio.Required(ATTR_FIRST): cv.date,
        probatio.Required(ATTR_LAST): cv.date,
    }
)


@callback
def async_setup_actions(hass: HomeAssistant) -> None:
    """Register the actions, whether there is a meter or not."""

    async def get_history(call: ServiceCall) -> ServiceResponse:
        history, first, last = _asked(hass, call, KEPT_DAYS)
        with _told_to_a_person():
            return {"half_hours": list(await history.async_half_hours(first, last))}

    async def import_history(call: ServiceCall) -> ServiceResponse:
        history, first, last = _asked(hass, call, HISTORY_DAYS)
        with _told_to_a_person():
            return {**await history.async_import(first, last)}

    async def compare_plans(call: ServiceCall) -> ServiceResponse:
        entry: MeterConfigEntry = async_get_config_entry(hass, DOMAIN, call.data.get(ATTR_CONFIG_ENTRY_ID))
        with _told_to_a_person():
            found = await entry.runtime_data.accounts.async_compare()
        if found is None:
            raise ServiceValidationError(translation_domain=DOMAIN, translation_key="nothing_to_compare")
        first, last, comparisons = found
        return {
            ATTR_FIRST: first.isoformat(),
            ATTR_LAST: last.isoformat(),
            "plans": [_compared(comparison) for comparison in comparisons],
        }

    hass.services.async_register(DOMAIN, "compare_plans", compare_plans, SCHEMA_OF_METER, SupportsResponse.ONLY)
    hass.services.async_register(DOMAIN, "get_history", get_history, SCHEMA, SupportsResponse.ONLY)
    # It overrules statistics and what was corrected by hand.
    async_register_admin_service(
        hass, DOMAIN, "import_history", import_history, SCHEMA, supports_response=SupportsResponse.OPTIONAL
    )


def _asked(hass: HomeAssistant, call: ServiceCall, days: int) -> tuple[Backfill, date, date]:
    """Return whose history is wanted, and of which days, which cannot be older than some."""
    entry: MeterConfigEntry = async_get_config_entry(hass, DOMAIN, call.data.get(ATTR_CONFIG_ENTRY_ID))
    first, last = call.data[ATTR_FIRST], call.data[ATTR_LAST]
    today = dt_util.utcnow().astimezone(JST).date()
    if not today - timedelta(days=days) <= first <= last <= today:
        raise ServiceValidationError(
            translation_domain=DOMAIN,
            translation_key="wrong_days",
            translation_placeholders={"days": str(days)},
        )
    return entry.runtime_data.history, first, last


def _compared(comparison: Comparison) -> dict[str, JsonValueType]:
    """Return what the days would have cost by a plan, in whole yen."""
    return {
        "name": comparison.plan.name,
        "valid_from": comparison.plan.valid_from.isoformat(),
        "cost": int(Rounding.HALF_UP.round(comparison.yen)),
        "energy": float(comparison.energy),
        "hours": comparison.half_hours / 2,
        "hours_unknown": comparison.unknown / 2,
        "hours_without_price": comparison.unpriced / 2,
    }


@contextmanager
def _told_to_a_person() -> Iterator[None]:
    try:
        yield
    except HistoryUnavailableError as err:
        raise HomeAssistantError(translation_domain=DOMAIN, translation_key=err.key) from err
    except (BRouteError, OSError) as err:  # A disk can fail as well as a meter.
        raise HomeAssistantError(
            translation_domain=DOMAIN, translation_key="history_failed", translation_placeholders={"error": str(err)}
        ) from err
