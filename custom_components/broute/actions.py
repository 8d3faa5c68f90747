"""Actions: the meter's half-hours as data, and days compared anew."""

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

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant, ServiceCall, ServiceResponse

    from .coordinator import MeterConfigEntry
    from .energy.backfill import Backfill

ATTR_FIRST: Final = "first_day"
ATTR_LAST: Final = "last_day"

KEPT_DAYS: Final = 36_525
"""The ledger keeps everything; a day of another century is a slip."""

SCHEMA: Final = probatio.Schema(
    {
        probatio.Optional(ATTR_CONFIG_ENTRY_ID): str,
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
