"""Actions: the history as data and as a file, days compared anew, plans side by side, and a record for a report."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import ATTR_CONFIG_ENTRY_ID
from homeassistant.core import SupportsResponse, callback
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers.importlib import async_import_module
from homeassistant.helpers.service import async_get_config_entry, async_register_admin_service
from homeassistant.util import dt as dt_util
import probatio

from .aiobroute import HISTORY_DAYS, JST, BRouteError
from .const import CONF_NODE, DOMAIN
from .energy.length import Length
from .energy.source import HistoryUnavailableError
from .export import Layout, async_export
from .reports import LONGEST, MINUTES, async_begin

if TYPE_CHECKING:
    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant, ServiceCall, ServiceResponse

    from .coordinator import MeterConfigEntry

ATTR_FIRST: Final = "first_day"
ATTR_LAST: Final = "last_day"
ATTR_PERIOD: Final = "period"
ATTR_LAYOUT: Final = "layout"
ATTR_MINUTES: Final = "minutes"

ANSWERS: Final[Mapping[Length, str]] = {
    Length.HALF_HOUR: "half_hours",
    Length.HOUR: "hours",
    Length.DAY: "days",
    Length.MONTH: "months",
    Length.BILLING_PERIOD: "billing_periods",
}
"""What the list is called that `get_history` returns."""

KEPT_DAYS: Final = 36_525
"""The ledger keeps everything; a day of another century is a slip."""

SCHEMA_OF_METER: Final = probatio.Schema({probatio.Optional(ATTR_CONFIG_ENTRY_ID): str})
SCHEMA: Final = SCHEMA_OF_METER.extend(
    {
        probatio.Required(ATTR_FIRST): cv.date,
        probatio.Required(ATTR_LAST): cv.date,
    }
)
SCHEMA_OF_HISTORY: Final = SCHEMA.extend(
    {probatio.Optional(ATTR_PERIOD, default=Length.HALF_HOUR): probatio.Coerce(Length)}
)
SCHEMA_OF_EXPORT: Final = SCHEMA.extend(
    {probatio.Optional(ATTR_LAYOUT, default=Layout.HALF_HOUR): probatio.Coerce(Layout)}
)


SCHEMA_OF_RECORD: Final = SCHEMA_OF_METER.extend(
    {probatio.Optional(ATTR_MINUTES, default=MINUTES): probatio.Coerce(int)}
)

RECORDED: Final = frozenset({ConfigEntryState.LOADED, ConfigEntryState.SETUP_RETRY})
"""A meter that cannot be reached is what most reports are about."""


@callback
def async_setup_actions(hass: HomeAssistant) -> None:
    """Register the actions, whether there is a meter or not."""

    async def get_history(call: ServiceCall) -> ServiceResponse:
        entry, first, last = _asked(hass, call, KEPT_DAYS)
        accounts, period = await entry.runtime_data.accounting.async_accounts(), call.data[ATTR_PERIOD]
        if period is Length.BILLING_PERIOD and accounts.contract is None:
            raise ServiceValidationError(translation_domain=DOMAIN, translation_key="no_plan")
        with _told_to_a_person():
            found = await accounts.async_records(period, first, last)
        await async_import_module(hass, f"{__package__}.answers")
        from .answers import half_hour, total  # noqa: PLC0415  # it is loaded by now

        tell = half_hour if period is Length.HALF_HOUR else total
        return {ANSWERS[period]: [tell(record) for record in found]}

    async def export_history(call: ServiceCall) -> ServiceResponse:
        entry, first, last = _asked(hass, call, KEPT_DAYS)
        with _told_to_a_person():
            return {**await async_export(hass, entry, first, last, call.data[ATTR_LAYOUT])}

    async def import_history(call: ServiceCall) -> ServiceResponse:
        entry, first, last = _asked(hass, call, HISTORY_DAYS)
        with _told_to_a_person():
            return {**await entry.runtime_data.history.async_import(first, last)}

    async def compare_plans(call: ServiceCall) -> ServiceResponse:
        entry: MeterConfigEntry = async_get_config_entry(hass, DOMAIN, call.data.get(ATTR_CONFIG_ENTRY_ID))
        accounts = await entry.runtime_data.accounting.async_accounts()
        with _told_to_a_person():
            found = await accounts.async_compare()
        if found is None:
            raise ServiceValidationError(translation_domain=DOMAIN, translation_key="nothing_to_compare")
        await async_import_module(hass, f"{__package__}.answers")
        from .answers import compared  # noqa: PLC0415  # it is loaded by now

        first, last, comparisons = found
        return {
            ATTR_FIRST: first.isoformat(),
            ATTR_LAST: last.isoformat(),
            "plans": [compared(comparison) for comparison in comparisons],
        }

    async def record_connection(call: ServiceCall) -> None:
        entry, minutes = _recorded(hass, call), call.data[ATTR_MINUTES]
        if CONF_NODE in entry.data:
            raise ServiceValidationError(translation_domain=DOMAIN, translation_key="record_no_dongle")
        if not 0 <= minutes <= LONGEST:
            raise ServiceValidationError(
                translation_domain=DOMAIN,
                translation_key="wrong_minutes",
                translation_placeholders={"minutes": str(LONGEST)},
            )
        await async_begin(hass, entry, minutes)

    # It writes files, and the readings wait meanwhile.
    async_register_admin_service(hass, DOMAIN, "record_connection", record_connection, SCHEMA_OF_RECORD)
    hass.services.async_register(DOMAIN, "compare_plans", compare_plans, SCHEMA_OF_METER, SupportsResponse.ONLY)
    hass.services.async_register(DOMAIN, "get_history", get_history, SCHEMA_OF_HISTORY, SupportsResponse.ONLY)
    # It overrules statistics and what was corrected by hand.
    async_register_admin_service(
        hass, DOMAIN, "import_history", import_history, SCHEMA, supports_response=SupportsResponse.OPTIONAL
    )
    # It writes files.
    async_register_admin_service(
        hass, DOMAIN, "export_history", export_history, SCHEMA_OF_EXPORT, supports_response=SupportsResponse.OPTIONAL
    )


def _recorded(hass: HomeAssistant, call: ServiceCall) -> ConfigEntry:
    """Return whose connection is to be recorded."""
    wanted = call.data.get(ATTR_CONFIG_ENTRY_ID)
    entries = [
        entry
        for entry in hass.config_entries.async_entries(DOMAIN)
        if entry.state in RECORDED and wanted in (None, entry.entry_id)
    ]
    if len(entries) == 1:
        return entries[0]
    entry: ConfigEntry = async_get_config_entry(hass, DOMAIN, wanted)
    return entry


def _asked(hass: HomeAssistant, call: ServiceCall, days: int) -> tuple[MeterConfigEntry, date, date]:
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
    return entry, first, last


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
