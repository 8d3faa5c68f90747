"""Credentials that the meter refuses: asked for beside the polling, which goes on slowly."""

from typing import TYPE_CHECKING, Final

from homeassistant.config_entries import SOURCE_REAUTH
from homeassistant.core import callback
from homeassistant.util.hass_dict import HassKey

from ..const import DOMAIN

if TYPE_CHECKING:
    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant

REFUSALS: Final = 2
"""Connects in a row that a meter which was heard refused, twice each, before the credentials are asked for."""

SHORTEST_PAUSE: Final = 900.0
LONGEST_PAUSE: Final = 3600.0
"""Seconds between two connects from then on: a meter that had another device may take up to a day to let us in."""


class Reauthentication:
    """Whether the credentials of an entry are asked for, and when they are tried again meanwhile."""

    def __init__(self, hass: HomeAssistant, entry: ConfigEntry) -> None:
        self._hass = hass
        self._entry = entry
        self._refusals = 0
        self._next_try = float("-inf")

    @property
    def pause(self) -> float:
        """Return the seconds until the meter should be tried again."""
        return max(0.0, self._next_try - self._hass.loop.time())

    @callback
    def refused(self) -> None:
        """Take note that the meter was heard and refused; ask for other credentials if it was not the first time."""
        self._refusals += 1
        if self._refusals >= REFUSALS:
            pause = min(SHORTEST_PAUSE * 2 ** (self._refusals - REFUSALS), LONGEST_PAUSE)
            self._next_try = self._hass.loop.time() + pause
            self._entry.async_start_reauth(self._hass)

    @callback
    def failed(self) -> None:
        """Take note that something else keeps us from the meter: that says nothing about the credentials."""
        self._refusals, self._next_try = 0, float("-inf")

    @callback
    def answered(self) -> None:
        """Take the question back, as the meter has let us in."""
        self.failed()
        for flow in list(self._entry.async_get_active_flows(self._hass, {SOURCE_REAUTH})):
            self._hass.config_entries.flow.async_abort(flow["flow_id"])


REAUTHENTICATIONS: Final[HassKey[dict[str, Reauthentication]]] = HassKey(f"{DOMAIN}_reauthentications")
"""By entry; each try to set an entry up begins with a new coordinator, but the refusals are the old ones."""


@callback
def async_reauthentication(hass: HomeAssistant, entry: ConfigEntry) -> Reauthentication:
    """Return what is known of an entry's credentials."""
    known = hass.data.setdefault(REAUTHENTICATIONS, {})
    return known.setdefault(entry.entry_id, Reauthentication(hass, entry))


@callback
def async_forget_refusals(hass: HomeAssistant, entry: ConfigEntry) -> None:
    """Clear the count of refusals."""
    hass.data.get(REAUTHENTICATIONS, {}).pop(entry.entry_id, None)
