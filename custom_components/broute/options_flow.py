"""What a person may choose once the meter is there."""

from typing import TYPE_CHECKING, Any, Final

from homeassistant.config_entries import OptionsFlowWithReload
from homeassistant.const import UnitOfTime
from homeassistant.helpers.selector import BooleanSelector, NumberSelector, NumberSelectorConfig, NumberSelectorMode
import probatio

from .const import CONF_IMPORT_HISTORY, CONF_INTERVAL, CONF_NOTIFICATIONS, UPDATE_INTERVAL

if TYPE_CHECKING:
    from homeassistant.config_entries import ConfigFlowResult

SHORTEST: Final = 10
"""Seconds; a meter takes up to four to answer, and has its own network to serve."""
LONGEST: Final = 3600

AIRTIME: Final = 0.01
"""Seconds that the module transmits for one reading: a request of 20 bytes at 100 kbit/s (SK 3.7)."""
AIRTIME_LIMIT: Final = 360
"""Seconds of transmission in an hour (ARIB STD-T108)."""

SCHEMA: Final = probatio.Schema(
    {
        probatio.Required(CONF_INTERVAL, default=UPDATE_INTERVAL.seconds): NumberSelector(
            NumberSelectorConfig(
                min=SHORTEST,
                max=LONGEST,
                step=1,
                mode=NumberSelectorMode.BOX,
                unit_of_measurement=UnitOfTime.SECONDS,
            )
        ),
        probatio.Required(CONF_NOTIFICATIONS, default=True): BooleanSelector(),
        probatio.Required(CONF_IMPORT_HISTORY, default=True): BooleanSelector(),
    }
)


class MeterOptionsFlow(OptionsFlowWithReload):
    """Asks how often the meter is to be read, and what else of it is wanted."""

    async def async_step_init(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Show the form until it is filled in."""
        if user_input is not None:
            return self.async_create_entry(data={**user_input, CONF_INTERVAL: int(user_input[CONF_INTERVAL])})
        interval = self.config_entry.options.get(CONF_INTERVAL, UPDATE_INTERVAL.seconds)
        return self.async_show_form(
            step_id="init",
            data_schema=self.add_suggested_values_to_schema(SCHEMA, self.config_entry.options),
            description_placeholders={
                "interval": str(interval),
                "airtime": _airtime(interval),
                "shortest": str(SHORTEST),
                "most_airtime": _airtime(SHORTEST),
                "limit": str(AIRTIME_LIMIT),
            },
        )


def _airtime(interval: int) -> str:
    """Return the seconds in an hour that readings make the module transmit."""
    return f"{AIRTIME * 3600 / interval:.2g}"
