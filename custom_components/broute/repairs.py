"""What a person can do something about: it appears in the repairs by itself, and goes by itself."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from hashlib import sha256
from statistics import median
from typing import TYPE_CHECKING, Any, Final, override

from homeassistant.components.repairs import ConfirmRepairFlow, RepairsFlow, RepairsFlowResult
from homeassistant.config_entries import (
    SIGNAL_CONFIG_ENTRY_CHANGED,
    ConfigEntryState,
)
from homeassistant.const import CONF_DEVICE
from homeassistant.core import callback
from homeassistant.helpers import device_registry as dr, issue_registry as ir
from homeassistant.helpers.dispatcher import async_dispatcher_connect
from homeassistant.helpers.importlib import async_import_module
from homeassistant.util.hass_dict import HassKey

from .aiobroute import shown
from .const import CONF_NODE, CONF_PAN, DOMAIN
from .devices import name_of
from .dongle.reauth import async_forget_refusals
from .exchange import async_exchange

if TYPE_CHECKING:
    from homeassistant.config_entries import ConfigEntry, ConfigEntryChange
    from homeassistant.core import HomeAssistant

    from .aiobroute import Reading

DOCS: Final = "https://github.com/broute-smart-meter/home-assistant-broute/blob/main/docs"
HELP_URLS: Final[Mapping[str, str]] = {"ja": f"{DOCS}/troubleshooting.ja.md#修復"}
HELP_URL: Final = f"{DOCS}/troubleshooting.md#repairs"
"""The section that explains them, in the language of the installation where there is one."""

UNHEARD: Final = 3600
"""Seconds; shorter silences are a matter of the radio and pass by themselves."""

FAILURES: Final[Mapping[str, tuple[str, int]]] = {
    "port_missing": ("port_missing", 0),
    "port_busy": ("port_busy", 0),
    "port_permission": ("port_permission", 0),
    "port_address": ("port_address", 0),
    "port_refused": ("port_refused", 0),
    "port_closed": ("port_closed", 0),
    "port_telnet": ("port_telnet", 0),
    "port_not_telnet": ("port_not_telnet", UNHEARD),
    "port_host": ("port_host", UNHEARD),
    "port_unreachable": ("port_unreachable", UNHEARD),
    "port_error": ("port_error", UNHEARD),
    "no_module": ("no_module", UNHEARD),
    "module_error": ("no_module", UNHEARD),
    "join_refused": ("join_refused", 0),
    "no_meter": ("no_meter", UNHEARD),
    "join_unanswered": ("no_meter", UNHEARD),
    "meter_silent": ("no_meter", UNHEARD),
    "session_lost": ("no_meter", UNHEARD),
    "no_node": ("no_node", UNHEARD),
    "node_port_busy": ("node_port_busy", 0),
}
"""The issue that a failure raises, by the failure's translation key, and the seconds it has to last."""

WEAK: Final = -88.0
"""dBm; modules understand down to some -100, but then every little thing in between counts."""
GOOD_AGAIN: Final = -84.0
READINGS: Final = 10

CLOCK_TOLERANCE: Final = timedelta(minutes=5)

EXCHANGED: Final = ("meter_exchanged", "node_exchanged")
"""Those that ask whether another meter has taken the place of ours."""

ISSUES: Final = ("join_refused", "no_meter", "no_node", "node_port_busy", "weak_radio", "clock", *EXCHANGED)
"""Those of a meter; the others are of a port, which several meters may share."""


@dataclass(frozen=True, slots=True)
class Outage:
    """Why a port does not work; meters that share it have the same."""

    issue: str
    device: str
    reason: str = field(compare=False)


OUTAGES: Final[HassKey[dict[str, Outage]]] = HassKey(f"{DOMAIN}_outages")
"""By entry."""

TROUBLES: Final[HassKey[dict[str, float]]] = HassKey(f"{DOMAIN}_troubles")
"""Since when an entry has been failing; each try to set it up begins with a new coordinator."""


class Issues:
    """The issues of one entry."""

    def __init__(self, hass: HomeAssistant, entry: ConfigEntry) -> None:
        self._hass = hass
        self._entry = entry
        self._rssis: deque[float] = deque(maxlen=READINGS)

    @callback
    def failed(self, key: str, reason: str = "") -> None:
        """Raise the issue of a failure, if it has lasted long enough."""
        issue, patience = FAILURES.get(key, (None, 0))
        if self.lasting() < patience:
            issue = None
        elif issue == "no_meter" and CONF_NODE in self._entry.data:
            issue = "no_node"  # No radio is to blame.
        self._clear({name for name, _ in FAILURES.values() if name != issue})
        is_of_port = issue is not None and issue not in ISSUES
        outage = Outage(issue, self._entry.data[CONF_DEVICE], reason) if issue is not None and is_of_port else None
        _change_outage(self._hass, self._entry, outage)
        if issue is not None and outage is None:
            # What others do with a port nobody can change from here.
            self._raise(issue, data=None if issue == "node_port_busy" else {"entry_id": self._entry.entry_id})

    @callback
    def lasting(self) -> float:
        """Return for how many seconds the meter has not been read; the first failure begins it."""
        now = self._hass.loop.time()
        return now - self._hass.data.setdefault(TROUBLES, {}).setdefault(self._entry.entry_id, now)

    @callback
    def succeeded(self, reading: Reading) -> None:
        """Take back what is over, and look at the radio."""
        self._hass.data.get(TROUBLES, {}).pop(self._entry.entry_id, None)
        _change_outage(self._hass, self._entry, None)
        self._clear({*EXCHANGED, *(name for name, _ in FAILURES.values())})
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
    def exchanged(self, place: Mapping[str, Any]) -> None:
        """Ask whether the meter that answers now, at some place, takes that of the old one."""
        issue, kind = ("node_exchanged", CONF_NODE) if CONF_NODE in place else ("meter_exchanged", CONF_PAN)
        self._raise(issue, data={"entry_id": self._entry.entry_id, **place[kind]})

    def _clear(self, issues: set[str]) -> None:
        for issue in issues:
            ir.async_delete_issue(self._hass, DOMAIN, f"{issue}_{self._entry.entry_id}")

    def _raise(self, issue: str, data: dict[str, Any] | None = None, **placeholders: str) -> None:
        issue_id = f"{issue}_{self._entry.entry_id}"
        _create_issue(self._hass, issue_id, issue, data, {"title": self._entry.title, **placeholders})


def _create_issue(
    hass: HomeAssistant, issue_id: str, key: str, data: dict[str, Any] | None, placeholders: dict[str, str]
) -> None:
    ir.async_create_issue(
        hass,
        DOMAIN,
        issue_id,
        data=data,
        is_fixable=data is not None,
        learn_more_url=HELP_URLS.get(hass.config.language, HELP_URL),
        severity=ir.IssueSeverity.WARNING,
        translation_key=key,
        translation_placeholders=placeholders,
    )


@callback
def _change_outage(hass: HomeAssistant, entry: ConfigEntry, outage: Outage | None) -> None:
    """Show one issue for each port that does not work, with the names of all its meters."""
    outages = hass.data.setdefault(OUTAGES, {})
    before = outages.pop(entry.entry_id, None)
    if outage is not None:
        outages[entry.entry_id] = outage
    for changed in (before, outage):  # The reason of the later one is shown if it is the same outage.
        if changed is not None:
            _show_outage(hass, changed)


@callback
def _show_outage(hass: HomeAssistant, outage: Outage) -> None:
    # An address may have a key in it, and nobody needs to read the identity of an issue.
    issue_id = f"{outage.issue}_{sha256(outage.device.encode()).hexdigest()[:16]}"
    concerned = [entry_id for entry_id, other in hass.data[OUTAGES].items() if other == outage]
    entries = [entry for entry_id in concerned if (entry := hass.config_entries.async_get_entry(entry_id))]
    if not entries:
        ir.async_delete_issue(hass, DOMAIN, issue_id)
        return
    titles = ", ".join(sorted(entry.title for entry in entries))
    placeholders = {"title": titles, "port": shown(outage.device), "error": outage.reason}
    _create_issue(hass, issue_id, outage.issue, {"entry_id": entries[0].entry_id}, placeholders)


@callback
def async_forget(hass: HomeAssistant, entry: ConfigEntry) -> None:
    """Take back everything about an entry that is no more."""
    hass.data.get(TROUBLES, {}).pop(entry.entry_id, None)
    async_forget_refusals(hass, entry)
    _change_outage(hass, entry, None)
    for issue in ISSUES:
        ir.async_delete_issue(hass, DOMAIN, f"{issue}_{entry.entry_id}")


@callback
def async_watch_entries(hass: HomeAssistant) -> None:
    """Name devices after their entries, and drop what is known of entries that are disabled or set up anew.

    One that could not be set up is not unloaded.
    """

    @callback
    def changed(_: ConfigEntryChange, entry: ConfigEntry) -> None:
        if entry.domain != DOMAIN:
            return
        devices = dr.async_get(hass)
        for device in dr.async_entries_for_config_entry(devices, entry.entry_id):
            devices.async_update_device(device.id, name=name_of(hass, entry, device))
        if entry.disabled_by:
            async_forget(hass, entry)
        elif entry.state is ConfigEntryState.NOT_LOADED:  # It was reloaded by hand.
            async_forget_refusals(hass, entry)

    async_dispatcher_connect(hass, SIGNAL_CONFIG_ENTRY_CHANGED, changed)


class MeterExchangedFlow(ConfirmRepairFlow):
    """Lets the meter that answers now take the place of the old one: entities and statistics go on."""

    @override
    async def async_step_confirm(self, user_input: dict[str, str] | None = None) -> RepairsFlowResult:
        """Move entities, device and entry to the new meter."""
        if user_input is None:
            return await super().async_step_confirm()
        place = {key: value for key, value in (self.data or {}).items() if key != "entry_id"}
        entry = self.hass.config_entries.async_get_entry(str((self.data or {})["entry_id"]))
        kind = CONF_NODE if "identity" in place else CONF_PAN
        if entry is None or not await async_exchange(self.hass, entry, {kind: place}):
            return self.async_abort(reason="already_configured")
        self.hass.config_entries.async_schedule_reload(entry.entry_id)
        return self.async_create_entry(data={})


async def async_create_fix_flow(hass: HomeAssistant, issue_id: str, _: Mapping[str, Any] | None) -> RepairsFlow:
    """Return the flow of an issue that can be fixed from here, or whose cause can be found."""
    if issue_id.startswith(EXCHANGED):
        return MeterExchangedFlow()
    await async_import_module(hass, f"{__package__}.cause_flow")
    from .cause_flow import CauseFlow, JoinRefusedFlow, NoNodeFlow  # noqa: PLC0415  # it is loaded by now

    if issue_id.startswith("no_node"):
        return NoNodeFlow()
    return JoinRefusedFlow() if issue_id.startswith("join_refused") else CauseFlow()
