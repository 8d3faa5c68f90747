"""What a person can do something about: it appears in the repairs by itself, and goes by itself."""

from collections import deque
from collections.abc import Mapping
from dataclasses import asdict
from datetime import timedelta
from statistics import median
from typing import TYPE_CHECKING, Any, Final, override

from homeassistant.components.repairs import ConfirmRepairFlow, RepairsFlow, RepairsFlowResult
from homeassistant.config_entries import SIGNAL_CONFIG_ENTRY_CHANGED, ConfigEntryState
from homeassistant.const import CONF_DEVICE
from homeassistant.core import callback
from homeassistant.helpers import device_registry as dr, entity_registry as er, issue_registry as ir
from homeassistant.helpers.dispatcher import async_dispatcher_connect
from homeassistant.util.hass_dict import HassKey

from .const import CONF_PAN, CONF_PROFILE, DOMAIN
from .dongle.reauth import async_forget_refusals

if TYPE_CHECKING:
    from homeassistant.config_entries import ConfigEntry, ConfigEntryChange
    from homeassistant.core import HomeAssistant

    from .aiobroute import Pan, Reading

README: Final = "https://github.com/broute-smart-meter/home-assistant-broute/blob/main"
HELP_URLS: Final[Mapping[str, str]] = {"ja": f"{README}/README.ja.md#修復"}
HELP_URL: Final = f"{README}/README.md#repairs"
"""The section that explains them, in the language of the installation where there is one."""

UNHEARD: Final = 3600
"""Seconds; shorter silences are a matter of the radio and pass by themselves."""

FAILURES: Final[Mapping[str, tuple[str, int]]] = {
    "port_missing": ("port_missing", 0),
    "port_busy": ("port_busy", 0),
    "join_refused": ("join_refused", 0),
    "no_meter": ("no_meter", UNHEARD),
    "join_unanswered": ("no_meter", UNHEARD),
    "meter_silent": ("no_meter", UNHEARD),
    "session_lost": ("no_meter", UNHEARD),
}
"""The issue that a failure raises, by the failure's translation key, and the seconds it has to last."""

WEAK: Final = -88.0
"""dBm; modules understand down to some -100, but then every little thing in between counts."""
GOOD_AGAIN: Final = -84.0
READINGS: Final = 10

CLOCK_TOLERANCE: Final = timedelta(minutes=5)

ISSUES: Final = ("port_missing", "port_busy", "join_refused", "no_meter", "weak_radio", "meter_exchanged", "clock")


TROUBLES: Final[HassKey[dict[str, float]]] = HassKey(f"{DOMAIN}_troubles")
"""Since when an entry has been failing; each try to set it up begins with a new coordinator."""


class Issues:
    """The issues of one entry."""

    def __init__(self, hass: HomeAssistant, entry: ConfigEntry) -> None:
        """Raise nothing yet."""
        self._hass = hass
        self._entry = entry
        self._rssis: deque[float] = deque(maxlen=READINGS)

    @callback
    def failed(self, key: str) -> None:
        """Tell what a person can put right."""
        now = self._hass.loop.time()
        since = self._hass.data.setdefault(TROUBLES, {}).setdefault(self._entry.entry_id, now)
        issue, patience = FAILURES.get(key, (None, 0))
        self._clear({name for name, _ in FAILURES.values() if name != issue})
        if issue is not None and now - since >= patience:
            self._raise(issue, port=self._entry.data[CONF_DEVICE])

    @callback
    def succeeded(self, reading: Reading) -> None:
        """Take back what is over, and look at the radio."""
        self._hass.data.get(TROUBLES, {}).pop(self._entry.entry_id, None)
        self._clear({"meter_exchanged", *(name for name, _ in FAILURES.values())})
        if reading.rssi is None:
            return
        self._rssis.append(reading.rssi)
        strength = median(self._rssis)
        if len(self._rssis) == READINGS and strength < WEAK:
            self._raise("weak_radio", rssi=f"{strength:.0f}")
        elif strength > GOOD_AGAIN:
            self._clear({"weak_radio"})

    @callback
    def checked_clock(self, deviation: timedelta) -> None:
        """Compare the meter's clock with ours; its history is dated by it."""
        if abs(deviation) > CLOCK_TOLERANCE:
            self._raise("clock", minutes=str(round(abs(deviation).total_seconds() / 60)))
        else:
            self._clear({"clock"})

    @callback
    def exchanged(self, pan: Pan) -> None:
        """Ask whether the meter that answers now takes the place of the old one."""
        self._raise("meter_exchanged", data={"entry_id": self._entry.entry_id, **asdict(pan)})

    def _clear(self, issues: set[str]) -> None:
        for issue in issues:
            ir.async_delete_issue(self._hass, DOMAIN, f"{issue}_{self._entry.entry_id}")

    def _raise(self, issue: str, data: dict[str, Any] | None = None, **placeholders: str) -> None:
        ir.async_create_issue(
            self._hass,
            DOMAIN,
            f"{issue}_{self._entry.entry_id}",
            data=data,
            is_fixable=data is not None,
            learn_more_url=HELP_URLS.get(self._hass.config.language, HELP_URL),
            severity=ir.IssueSeverity.WARNING,
            translation_key=issue,
            translation_placeholders={"title": self._entry.title, **placeholders},
        )


@callback
def async_forget(hass: HomeAssistant, entry: ConfigEntry) -> None:
    """Take back everything about an entry that is no more."""
    hass.data.get(TROUBLES, {}).pop(entry.entry_id, None)
    async_forget_refusals(hass, entry)
    for issue in ISSUES:
        ir.async_delete_issue(hass, DOMAIN, f"{issue}_{entry.entry_id}")


@callback
def async_watch_entries(hass: HomeAssistant) -> None:
    """Forget about entries that are disabled or set up anew: one that could not be set up is not unloaded."""

    @callback
    def changed(_: ConfigEntryChange, entry: ConfigEntry) -> None:
        if entry.domain != DOMAIN:
            return
        if entry.disabled_by:
            async_forget(hass, entry)
        elif entry.state is ConfigEntryState.NOT_LOADED:  # Somebody wants it to be tried at once.
            async_forget_refusals(hass, entry)

    async_dispatcher_connect(hass, SIGNAL_CONFIG_ENTRY_CHANGED, changed)


class MeterExchangedFlow(ConfirmRepairFlow):
    """Lets the meter that answers now take the place of the old one: entities and statistics go on."""

    @override
    async def async_step_confirm(self, user_input: dict[str, str] | None = None) -> RepairsFlowResult:
        """Move entities, device and entry to the new meter."""
        if user_input is None:
            return await super().async_step_confirm()
        pan = {key: value for key, value in (self.data or {}).items() if key != "entry_id"}
        entry = self.hass.config_entries.async_get_entry(str((self.data or {})["entry_id"]))
        mac = str(pan["mac"])
        if entry is None or self.hass.config_entries.async_entry_for_domain_unique_id(DOMAIN, mac) is not None:
            return self.async_abort(reason="already_configured")
        old = str(entry.unique_id)

        @callback
        def moved(entity: er.RegistryEntry) -> dict[str, str]:
            return {"new_unique_id": entity.unique_id.replace(old, mac, 1)}

        await er.async_migrate_entries(self.hass, entry.entry_id, moved)
        devices = dr.async_get(self.hass)
        for device in dr.async_entries_for_config_entry(devices, entry.entry_id):
            devices.async_update_device(device.id, new_identifiers={(DOMAIN, mac)})
        data = {key: value for key, value in entry.data.items() if key != CONF_PROFILE}
        self.hass.config_entries.async_update_entry(entry, unique_id=mac, data={**data, CONF_PAN: pan})
        self.hass.config_entries.async_schedule_reload(entry.entry_id)
        return self.async_create_entry(data={})


async def async_create_fix_flow(_: HomeAssistant, issue_id: str, __: Mapping[str, Any] | None) -> RepairsFlow:
    """Return the flow of the one issue that can be fixed from here."""
    assert issue_id.startswith("meter_exchanged")  # noqa: S101  # no other is fixable
    return MeterExchangedFlow()
