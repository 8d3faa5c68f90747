"""What a person may choose once the meter is there."""

from typing import TYPE_CHECKING, Any, Final

from homeassistant.config_entries import OptionsFlowWithReload
from homeassistant.const import CONF_DEVICE, UnitOfTime
from homeassistant.helpers.selector import BooleanSelector, NumberSelector, NumberSelectorConfig, NumberSelectorMode
import probatio

from .const import CONF_COSTS, CONF_IMPORT_HISTORY, CONF_INTERVAL, CONF_NOTIFICATIONS, CONF_SPREAD_FIXED
from .dongle.sharing import async_interval, async_sharers, async_shortest
from .energy.dashboard import async_is_cost_wanted, async_is_shown, async_want_cost

if TYPE_CHECKING:
    from homeassistant.config_entries import ConfigFlowResult

LONGEST: Final = 3600

AIRTIME: Final = 0.01
"""Seconds that the module transmits for one reading: a request of 20 bytes at 100 kbit/s (SK 3.7)."""
LEASE_AIRTIME: Final = 0.06
"""Seconds that the module transmits for a reading on a dongle that is shared: the meter has to be joined for it."""
AIRTIME_LIMIT: Final = 360
"""Seconds of transmission in an hour (ARIB STD-T108)."""


class MeterOptionsFlow(OptionsFlowWithReload):
    """Asks how often the meter is to be read, and what else of it is wanted."""

    async def async_step_init(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Show the form until it is filled in."""
        entry = self.config_entry
        if user_input is not None:
            options = {key: value for key, value in user_input.items() if key != CONF_COSTS}
            if CONF_COSTS in user_input:
                await async_want_cost(self.hass, entry, is_wanted=user_input[CONF_COSTS])
            return self.async_create_entry(data={**options, CONF_INTERVAL: int(user_input[CONF_INTERVAL])})
        interval = int(async_interval(self.hass, entry).total_seconds())
        shortest = async_shortest(self.hass, entry)
        sharers = async_sharers(self.hass, entry.data[CONF_DEVICE])
        return self.async_show_form(
            step_id="init",
            data_schema=self.add_suggested_values_to_schema(
                schema(interval, shortest, has_costs=await async_is_shown(self.hass, entry)),
                {
                    **entry.options,
                    CONF_INTERVAL: interval,
                    CONF_COSTS: await async_is_cost_wanted(self.hass, entry),
                },
            ),
            description_placeholders={
                "interval": str(interval),
                "airtime": _airtime(interval, sharers),
                "shortest": str(shortest),
                "most_airtime": _airtime(shortest, sharers),
                "limit": str(AIRTIME_LIMIT),
            },
        )


def schema(interval: int, shortest: int, *, has_costs: bool) -> probatio.Schema:
    """Return what the form asks for; about costs in the Energy dashboard only who is in it."""
    costs: dict[probatio.Required, BooleanSelector] = {}
    if has_costs:
        costs[probatio.Required(CONF_COSTS, default=False)] = BooleanSelector()
    return probatio.Schema(
        {
            probatio.Required(CONF_INTERVAL, default=interval): NumberSelector(
                NumberSelectorConfig(
                    min=shortest,
                    max=LONGEST,
                    step=1,
                    mode=NumberSelectorMode.BOX,
                    unit_of_measurement=UnitOfTime.SECONDS,
                    translation_key=CONF_INTERVAL,
                )
            ),
            probatio.Required(CONF_NOTIFICATIONS, default=True): BooleanSelector(),
            probatio.Required(CONF_IMPORT_HISTORY, default=True): BooleanSelector(),
            probatio.Required(CONF_SPREAD_FIXED, default=True): BooleanSelector(),
            **costs,
        }
    )


def _airtime(interval: int, sharers: int) -> str:
    """Return the seconds in an hour that readings make the module transmit; those of all meters that share it."""
    each = LEASE_AIRTIME * sharers if sharers > 1 else AIRTIME
    return f"{each * 3600 / interval:.2g}"
