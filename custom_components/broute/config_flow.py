"""Setting up a meter: ask for port and credentials, then really connect."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import timedelta
from itertools import count
import logging
from typing import TYPE_CHECKING, Any, override
import unicodedata

from homeassistant.components import usb
from homeassistant.config_entries import (
    SOURCE_INTEGRATION_DISCOVERY,
    SOURCE_REAUTH,
    SOURCE_RECONFIGURE,
    SOURCE_USB,
    ConfigFlow,
)
from homeassistant.const import CONF_DEVICE, CONF_NAME, CONF_PASSWORD
from homeassistant.core import callback
from homeassistant.helpers import discovery_flow
from homeassistant.helpers.event import async_call_later, async_track_time_interval
from homeassistant.helpers.selector import (
    BooleanSelector,
    SelectOptionDict,
    SelectSelector,
    SelectSelectorConfig,
    SerialPortSelector,
    TextSelector,
    TextSelectorConfig,
    TextSelectorType,
)
import probatio

from .aiobroute import (
    ENERGY_UNIT,
    BRouteError,
    ModuleEvent,
    NodeAddressError,
    PortError,
    Progress,
    Stage,
    identity_of,
    is_node,
    nobody,
    parse_node,
    proposed,
    url_of,
)
from .const import (
    CONF_COSTS,
    CONF_ENERGY,
    CONF_MODULE,
    CONF_NODE,
    CONF_PAN,
    CONF_PROFILE,
    CONF_ROUTE_B_ID,
    DOMAIN,
    SUBENTRY_PLAN,
)
from .coordinator import error_key
from .dongle.credentials import alike, checked
from .dongle.ports import CONF_STICK, async_stick_on, name_of
from .dongle.progress import Connecting
from .dongle.sharing import async_lease
from .energy.dashboard import COMPENSATION, COST, async_has_grid, has_dashboard
from .exchange import async_exchange
from .nodes import NodeSearch, profile_of, reader_of
from .opening import async_open, identity_in, place_of
from .options_flow import MeterOptionsFlow
from .plan_flow import PlanFlow
from .progress_end import ProgressEnd
from .repairs import async_forget
from .takeover.built_in import CONF_TAKES_OVER, async_built_in, async_stop, async_used_by, known_of
from .words import async_words

if TYPE_CHECKING:
    from datetime import datetime
    from decimal import Decimal

    from homeassistant.config_entries import ConfigEntry, ConfigFlowResult, ConfigSubentryFlow
    from homeassistant.core import CALLBACK_TYPE
    from homeassistant.helpers.service_info.usb import UsbServiceInfo
    from homeassistant.helpers.typing import DiscoveryInfoType

    from .aiobroute import MeterProfile, Reading
    from .aiobroute.lan import FoundNode

_LOGGER = logging.getLogger(__name__)

PASSWORD_FIELD = TextSelector(TextSelectorConfig(type=TextSelectorType.PASSWORD, autocomplete="off"))
CREDENTIALS_SCHEMA = probatio.Schema(
    {
        probatio.Required(probatio.Secret(CONF_ROUTE_B_ID)): TextSelector(TextSelectorConfig(autocomplete="off")),
        probatio.Required(probatio.Secret(CONF_PASSWORD)): PASSWORD_FIELD,
    }
)
OPTIONAL_SCHEMA = probatio.Schema(
    {
        # Who types a meter of the home network as the port has none; of a dongle's meter both are asked for again.
        probatio.Optional(probatio.Secret(CONF_ROUTE_B_ID)): TextSelector(TextSelectorConfig(autocomplete="off")),
        probatio.Optional(probatio.Secret(CONF_PASSWORD)): PASSWORD_FIELD,
    }
)
PORT_SCHEMA = probatio.Schema({probatio.Required(CONF_DEVICE): SerialPortSelector()})
SCHEMA = PORT_SCHEMA.extend(OPTIONAL_SCHEMA.schema)
TAKEOVER_SCHEMA = PORT_SCHEMA.extend({probatio.Required(probatio.Secret(CONF_PASSWORD)): PASSWORD_FIELD})

FIELDS = {
    "no_module": CONF_DEVICE,
    "no_meter": CONF_ROUTE_B_ID,
    "join_refused": CONF_PASSWORD,
    "no_node": CONF_DEVICE,
    "node_address": CONF_DEVICE,
}
"""The field that is likely wrong; other errors concern the whole form."""

WAY = (CONF_DEVICE, CONF_MODULE, CONF_NODE, CONF_PAN, CONF_PASSWORD, CONF_ROUTE_B_ID, CONF_STICK)
"""What an entry has of the way to its meter; all of it changes if the meter is read in another way."""

HEARD_WITHIN = 0.15
"""Seconds in which a meter of the home network usually answers; so long the first form waits for one."""

UNKNOWN = "—"
"""Shown for what a meter does not tell."""

ABANDONED = 300.0
"""Seconds after which a flow that does not end is taken for abandoned: its window was closed."""


class MeterConfigFlow(ConfigFlow, domain=DOMAIN):
    """Sets up, changes and takes over meters; each is joined and read before anything is kept."""

    VERSION = 1

    def __init__(self) -> None:
        self._form = ""
        self._typed: dict[str, Any] = {}
        self._data: dict[str, Any] = {}
        self._errors: dict[str, str] = {}
        self._reason = ""
        self._stick = ""
        self._summary: dict[str, str] = {}
        self._counts = False
        self._exports = False
        self._task: asyncio.Task[dict[str, Any]] | None = None
        self._connecting = Connecting(self._time, Progress(Stage.PROBE))
        self._shown: tuple[str, dict[str, str]] | None = None
        self._built_in: ConfigEntry | None = None
        self._used_by: list[str] = []
        self._stopped: ConfigEntry | None = None
        self._end_waiting: CALLBACK_TYPE | None = None
        self._end = ProgressEnd(self)
        self._search: NodeSearch | None = None
        self._offered: dict[str, str] = {}
        """The URLs of the meters that are in the list, by their names."""
        self._is_it: list[str] = []
        """What a meter may be that is read in another way now, if it does not tell."""

    @staticmethod
    @callback
    @override
    def async_get_options_flow(config_entry: ConfigEntry) -> MeterOptionsFlow:
        return MeterOptionsFlow()

    @classmethod
    @callback
    @override
    def async_get_supported_subentry_types(cls, config_entry: ConfigEntry) -> dict[str, type[ConfigSubentryFlow]]:
        return {SUBENTRY_PLAN: PlanFlow}

    @override
    async def async_step_user(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        if self._form:
            return await self._async_ask("user", SCHEMA, user_input)
        return await self.async_step_start()

    @override
    async def async_step_usb(self, discovery_info: UsbServiceInfo) -> ConfigFlowResult:
        """Offer a stick that may be a Wi-SUN dongle; nothing is sent to it before a person says that it is."""
        await self.async_set_unique_id(usb.usb_unique_id_from_service_info(discovery_info))
        self._abort_if_unique_id_configured()  # A stick that was ignored is not offered again.
        if self._async_current_entries(include_ignore=False):
            return self.async_abort(reason="already_configured")
        ports = await usb.async_scan_serial_ports(self.hass)
        if discovery_info.device in await usb.async_get_serial_port_consumers(self.hass, ports):
            return self.async_abort(reason="in_use")
        self._stick = " ".join(filter(None, (discovery_info.manufacturer, discovery_info.description)))
        self.context["title_placeholders"] = {"name": self._stick}
        self._typed = {CONF_DEVICE: discovery_info.device}
        return await self.async_step_usb_confirm()

    async def async_step_usb_confirm(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Take the credentials for a stick that was found."""
        return await self._async_ask("usb_confirm", SCHEMA, user_input)

    @override
    async def async_step_integration_discovery(self, discovery_info: DiscoveryInfoType) -> ConfigFlowResult:
        """Offer a meter that answered only when the form for a dongle was shown already."""
        node, name = discovery_info[CONF_NODE], discovery_info[CONF_NAME]
        await self.async_set_unique_id(node["identity"])
        self._abort_if_unique_id_configured()
        self._offered = {name: url_of(node["identity"])}
        self._data = {CONF_NODE: node}
        self.context["title_placeholders"] = {"name": name}
        return await self.async_step_network()

    async def async_step_start(self, _: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask which kind of meter it is, if there is more than one."""
        is_heard = await self._async_hears_node()
        options = ["takeover"] if async_built_in(self.hass) else []
        if not is_heard or options or await usb.async_scan_serial_ports(self.hass):
            options.append("new")
        if is_heard:
            options.append("network")
        if len(options) == 1:
            return await (self.async_step_network() if is_heard else self.async_step_new())
        return self.async_show_menu(step_id="start" if "takeover" in options else "kind", menu_options=options)

    async def async_step_kind(self, _: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask whether the meter is read over a dongle."""
        return await self.async_step_start()

    async def async_step_new(self, _: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask for a meter behind a dongle that Home Assistant does not know yet."""
        return await self._async_ask("user", SCHEMA, None)

    async def async_step_network(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask which meter of the home network it is; there are no credentials."""
        self._form = "network"
        self._end.taken()
        if user_input is not None:
            chosen = user_input[CONF_DEVICE]
            if chosen == (await async_words(self.hass))["dongle_instead"]:
                self._typed, self._errors = {}, {}
                return await self._async_other_way()
            self._typed = user_input
            self._data = {key: value for key, value in self._data.items() if key == CONF_NODE}
            try:
                self._data[CONF_DEVICE] = _url_in(self._offered.get(chosen, chosen))
            except NodeAddressError:
                self._errors = {CONF_DEVICE: "node_address"}
            else:
                self._errors = {}
                return await self.async_step_connect()
        await self._async_look_for_nodes()
        names = [*self._offered, (await async_words(self.hass))["dongle_instead"]]
        # A field into which something can be typed shows a value, not its label.
        config = SelectSelectorConfig(options=names, custom_value=True)
        schema = probatio.Schema({probatio.Required(CONF_DEVICE): SelectSelector(config)})
        own = self._known.get(CONF_DEVICE)
        shown = next((name for name, url in self._offered.items() if own in (None, url)), own)
        suggested = {} if shown is None else {CONF_DEVICE: shown}
        return self.async_show_form(
            step_id="network",
            data_schema=self.add_suggested_values_to_schema(schema, suggested | self._typed),
            errors={field if field in schema.schema else "base": key for field, key in self._errors.items()},
            description_placeholders=self._placeholders,
        )

    async def async_step_takeover(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask for one of the meters of the built-in integration, if it has several."""
        entries = {entry.entry_id: entry for entry in async_built_in(self.hass)}
        chosen = next(iter(entries)) if len(entries) == 1 else (user_input or {}).get(CONF_TAKES_OVER)
        if chosen is None:
            return self.async_show_form(step_id="takeover", data_schema=_choice(entries.values()))
        self._built_in = entries[chosen]
        self._used_by = await async_used_by(self.hass, self._built_in)
        return await self.async_step_takeover_confirm()

    async def async_step_takeover_confirm(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Show what will happen; port and password can be changed."""
        if user_input is not None:
            user_input = {**user_input, CONF_ROUTE_B_ID: self._known[CONF_ROUTE_B_ID]}
        return await self._async_ask("takeover_confirm", TAKEOVER_SCHEMA, user_input)

    async def async_step_reconfigure(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Change port or credentials of a meter, or the way to it."""
        if self._form:
            return await self._async_ask("reconfigure", SCHEMA, user_input)
        if CONF_NODE in self._known:
            return await self.async_step_network()
        if await self._async_hears_node():
            return await self.async_step_way()
        return await self.async_step_dongle()

    async def async_step_way(self, _: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask how a meter is to be read."""
        return self.async_show_menu(step_id="way", menu_options=["dongle", "network"])

    async def async_step_dongle(self, _: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask for the port of the dongle, and the credentials, of a meter that is known."""
        return await self._async_ask("reconfigure", SCHEMA, None)

    async def _async_other_way(self) -> ConfigFlowResult:
        """Ask for a dongle after all."""
        return await (self.async_step_dongle() if self.source == SOURCE_RECONFIGURE else self.async_step_new())

    async def _async_hears_node(self) -> bool:
        """Return whether a meter of the home network answers at once; one that is late is offered by itself."""
        own = self.context.get("entry_id")
        self._search = await NodeSearch.async_begin(self.hass, own)
        if await self._search.async_heard_within(HEARD_WITHIN):
            return True
        if own is None:
            self._search.on_found = self._offer
        return False

    @callback
    def _offer(self, found: FoundNode) -> None:
        discovery_flow.async_create_flow(
            self.hass,
            DOMAIN,
            context={"source": SOURCE_INTEGRATION_DISCOVERY},
            data={CONF_NODE: asdict(found.node), CONF_NAME: _name(found)},
        )

    async def _async_look_for_nodes(self) -> None:
        """Ask for the meters of the home network, as long as there are none."""
        if self._offered:
            return
        if self._search is None or (self._search.task.done() and not self._search.found):
            self._search = await NodeSearch.async_begin(self.hass, self.context.get("entry_id"))
        await self._search.task
        self._offered = {_name(found): url_of(found.node.identity) for found in self._search.found}

    async def async_step_reauth(self, _: Mapping[str, Any]) -> ConfigFlowResult:
        """Ask for the credentials that the meter has refused."""
        return await self.async_step_reauth_confirm()

    async def async_step_reauth_confirm(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Take new credentials."""
        return await self._async_ask("reauth_confirm", CREDENTIALS_SCHEMA, user_input)

    async def _async_ask(
        self, form: str, schema: probatio.Schema, user_input: dict[str, Any] | None
    ) -> ConfigFlowResult:
        """Show a form until what is typed could be right, then connect with it."""
        self._form = form
        self._end.taken()
        if user_input is not None and schema is SCHEMA and is_node(user_input[CONF_DEVICE]):
            # All that is behind the scheme may be missing: then the meters that answer are shown.
            is_whole = user_input[CONF_DEVICE].partition("://")[2].strip("/ ")
            return await self.async_step_network({CONF_DEVICE: user_input[CONF_DEVICE]} if is_whole else None)
        if user_input is not None:
            self._typed = user_input
            self._data, self._errors = checked(user_input)
            if is_node(self._data.get(CONF_DEVICE, "")):
                self._errors[CONF_DEVICE] = "port_address"
            if (meant := proposed(self._data.get(CONF_DEVICE, ""))) is not None:
                self._typed = {**user_input, CONF_DEVICE: meant}
                self._errors[CONF_DEVICE] = "port_scheme"
            if not self._errors:
                if self.source not in (SOURCE_REAUTH, SOURCE_RECONFIGURE):
                    # The meter that runs need not be stopped to find out that it is the same.
                    self._async_abort_entries_match({CONF_ROUTE_B_ID: self._data[CONF_ROUTE_B_ID]})
                if CONF_DEVICE in self._data:
                    device = await self.hass.async_add_executor_job(
                        name_of, self._data[CONF_DEVICE], self._ports_of_others
                    )
                    self._data[CONF_DEVICE] = device
                return await self.async_step_connect()
        # What a meter of the network calls itself is no port.
        known = {} if CONF_NODE in self._known else self._known
        return self.async_show_form(
            step_id=form,
            data_schema=self.add_suggested_values_to_schema(schema, {**known, **self._typed}),
            # An error at a field that is not there would not be seen.
            errors={field if field in schema.schema else "base": key for field, key in self._errors.items()},
            description_placeholders=self._placeholders,
        )

    async def async_step_connect(self, _: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Show how far the connecting is; called again whenever something has changed."""
        if self._task is None:
            self._task = self.hass.async_create_task(self._async_connect_and_show(), eager_start=False)
        if not self._task.done():
            self._end.asked()
            self._shown = action, placeholders = self._connecting.text
            return self.async_show_progress(
                step_id="connect",
                progress_action=action,
                description_placeholders=placeholders,
                progress_task=self._task,
            )
        self._errors, self._task = self._task.result(), None
        self._end.begin()
        return self.async_show_progress_done(next_step_id=self._form if self._errors else "finish")

    async def async_step_finish(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Make or change the entry of the meter that was joined."""
        self._end.taken()
        if self.source in (SOURCE_REAUTH, SOURCE_RECONFIGURE):
            return await (self.async_step_moved() if self._is_it else self.async_step_same())
        # The MAC: every meter has one, it changes with the meter, and it is no credential. Many tell no serial number.
        await self.async_set_unique_id(identity_in(self._data), raise_on_progress=False)
        self._abort_if_unique_id_configured()
        if self._is_read_in_another_way:
            return self.async_abort(reason="same_meter")
        if user_input is None:
            return await self._async_show_reading()
        for flow in self._async_in_progress():
            if flow["context"]["source"] == SOURCE_USB:  # The same dongle, or one that nobody needs any more.
                self.hass.config_entries.flow.async_abort(flow["flow_id"])
        chosen: dict[str, Any] = {CONF_ENERGY: True} if user_input.get(CONF_ENERGY) else {}
        if user_input.get(CONF_COSTS):
            chosen[CONF_COSTS] = [COST, COMPENSATION]
        return self.async_create_entry(title=await self._async_title(), data={**self._data, **chosen})

    async def async_step_moved(self, _: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask whether the meter that is read in another way now is the old one, as it does not say so itself."""
        return self.async_show_menu(step_id="moved", menu_options=self._is_it, description_placeholders=self._summary)

    async def async_step_same(self, _: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Change the entry of a meter that is still the same."""
        entry = self._get_reauth_entry() if self.source == SOURCE_REAUTH else self._get_reconfigure_entry()
        self._stopped = None
        async_forget(self.hass, entry)  # What was refused before was other credentials.
        return self.async_update_reload_and_abort(entry, data=self._changed(entry))

    async def async_step_exchanged(self, _: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Let another meter take the place of the old one."""
        entry = self._get_reconfigure_entry()
        place: dict[str, Any] = {
            key: self._data[key] for key in (CONF_MODULE, CONF_NODE, CONF_PAN) if key in self._data
        }
        if not await async_exchange(self.hass, entry, place, self._changed(entry)):
            return self.async_abort(reason="already_configured")
        self._stopped = None
        async_forget(self.hass, entry)
        self.hass.config_entries.async_schedule_reload(entry.entry_id)
        return self.async_abort(reason="reconfigure_successful")

    def _changed(self, entry: ConfigEntry) -> dict[str, Any]:
        """Return the data of an entry after the change; nothing is left of another way to the meter."""
        is_other_way = self._is_other_way(entry.data)
        kept = {key: value for key, value in entry.data.items() if not (is_other_way and key in WAY)}
        return kept | self._data

    def _is_other_way(self, data: Mapping[str, Any]) -> bool:
        return (CONF_NODE in data) != (CONF_NODE in self._data)

    @property
    def _is_read_in_another_way(self) -> bool:
        """Return whether there is an entry that reads this meter over a dongle, or over the network, already."""
        profile = profile_of(self._data)
        own = identity_in(self._data) if profile is None else identity_of(profile.serial_number)
        reader = None if own is None else reader_of(self.hass, own)
        return reader is not None and (CONF_NODE in self._data or CONF_NODE in reader.data)

    async def _async_show_reading(self) -> ConfigFlowResult:
        """Show what the meter has told, and offer it a place in the Energy dashboard."""
        schema = probatio.Schema({})
        if self._counts and has_dashboard(self.hass):
            is_first = not await async_has_grid(self.hass)
            schema = probatio.Schema(
                {
                    probatio.Required(CONF_ENERGY, default=is_first): BooleanSelector(),
                    probatio.Required(CONF_COSTS, default=is_first): BooleanSelector(),
                }
            )
        # Who feeds in has to know that Home Assistant counts only what is registered.
        step_id = "finish_export" if self._exports else "finish"
        if CONF_NODE in self._data:
            step_id = "finish_network"
        return self.async_show_form(step_id=step_id, data_schema=schema, description_placeholders=self._summary)

    async def async_step_finish_export(self, user_input: dict[str, Any]) -> ConfigFlowResult:
        """Take what was chosen for a meter that counts what is fed in, too."""
        return await self.async_step_finish(user_input)

    async def async_step_finish_network(self, user_input: dict[str, Any]) -> ConfigFlowResult:
        """Take what was chosen for a meter of the home network."""
        return await self.async_step_finish(user_input)

    async def _async_title(self) -> str:
        """Return what a meter is called in the language of the installation; the second one gets a number."""
        name = (await async_words(self.hass))["meter"]
        taken = {entry.title for entry in self._async_current_entries()}
        return name if name not in taken else next(t for n in count(2) if (t := f"{name} {n}") not in taken)

    async def _async_connect_and_show(self) -> dict[str, str]:
        """Connect, and let the progress be seen; return what went wrong."""
        errors = await self._async_connect()
        await self._end.wait()
        return errors

    async def _async_connect(self) -> dict[str, str]:
        """Join the meter once and release the port again; return what went wrong."""
        entry = self._built_in
        if self.source == SOURCE_RECONFIGURE:
            entry = self._get_reconfigure_entry()
        if entry is None:
            return await self._async_join()
        self._stopped = entry
        errors: dict[str, str] | None = None
        try:
            # The entry has the port, and two cannot have it. One that is left half stopped could not be started again.
            stop = self.hass.async_create_task(async_stop(self.hass, entry))
            if (obstacle := await asyncio.shield(stop)) is not None:
                self._stopped = None
                return {"base": obstacle}
            errors = await self._async_join()
        finally:
            if errors == {}:
                self._end_waiting = async_call_later(self.hass, ABANDONED, self._start_again)
            else:
                self._start_again()
        if self._built_in is not None:
            self._data[CONF_TAKES_OVER] = self._built_in.entry_id
        return errors

    @callback
    def _start_again(self, _: datetime | None = None) -> None:
        """Set up the entry that was stopped again, if it is still there."""
        self._stop_waiting()
        stopped, self._stopped = self._stopped, None
        if stopped is not None and self.hass.config_entries.async_get_entry(stopped.entry_id) is not None:
            self.hass.config_entries.async_schedule_reload(stopped.entry_id)

    @callback
    def _stop_waiting(self) -> None:
        if self._end_waiting is not None:
            self._end_waiting()
            self._end_waiting = None

    @callback
    @override
    def async_notify_flow_changed(self) -> None:
        if not self._end.is_quiet:
            super().async_notify_flow_changed()

    @callback
    @override
    def async_remove(self) -> None:
        """Leave what had the port as it was, if nothing has taken its place."""
        self._end.taken()
        if self._search is not None:
            self._search.on_found = nobody
        # While it connects, the port is not free yet; and an entry of ours has disabled the built-in one that had it.
        if self._task is None or self._task.done():
            self._start_again()

    async def _async_join(self) -> dict[str, str]:
        data = {**self._known, **self._data}
        end_ticking = async_track_time_interval(self.hass, self._tick, timedelta(seconds=1), cancel_on_shutdown=True)
        try:
            async with (
                async_lease(self.hass, data[CONF_DEVICE]),
                await async_open(
                    self.hass,
                    data,
                    # A session that goes on would say nothing about what was typed.
                    must_join=True,
                    on_progress=self._progressed,
                    on_event=self._happened,
                ) as meter,
            ):
                reading = await meter.read()
                profile = meter.profile
                self._summary = _summary(profile, reading, (await async_words(self.hass))["feeding_in"])
                self._exports = reading.energy_out is not None
                # Without a unit there are no counters to show; one that is refused now comes later.
                self._counts = profile.unit is not None or ENERGY_UNIT.code in reading.refused
                self._data |= place_of(meter)
                if profile.is_complete:
                    self._data[CONF_PROFILE] = dict(profile.raw)
            if CONF_NODE in self._data:
                # By what the meter calls itself: its address may change.
                self._data[CONF_DEVICE] = url_of(self._data[CONF_NODE]["identity"])
            else:
                # It may be put in elsewhere before the platform sees it appear.
                self._data |= await async_stick_on(self.hass, data[CONF_DEVICE])
        except BRouteError as err:
            key = error_key(err)
            self._reason = err.reason if isinstance(err, PortError) else str(err)
            return {CONF_DEVICE if key.startswith("port_") else FIELDS.get(key, "base"): key}
        except Exception:
            _LOGGER.exception("Unexpected error while connecting")
            return {"base": "unexpected"}
        finally:
            end_ticking()
        if self._is_other(profile):
            return {"base": "other_meter"}
        if self._built_in is not None and profile.unit is None:
            return {"base": "meter_refuses" if ENERGY_UNIT.code in reading.refused else "no_unit"}
        return {}

    def _is_other(self, profile: MeterProfile) -> bool:
        """Return whether another meter than that of the entry has answered; a person is asked where it may be."""
        known, self._is_it = self._known, []
        if CONF_NODE not in known and CONF_PAN not in known:
            return False
        if not self._is_other_way(known):
            return identity_in(known) != identity_in(self._data)
        before = profile_of(known)
        old, new = (None if each is None else identity_of(each.serial_number) for each in (before, profile))
        if old is None or new is None:
            self._is_it = ["same", "exchanged"]
        elif old != new:
            self._is_it = ["exchanged"]
        return False

    @callback
    def _progressed(self, progress: Progress) -> None:
        self._connecting.begin(progress)
        self._tell()

    @callback
    def _happened(self, event: ModuleEvent) -> None:
        if event is ModuleEvent.BEACON:
            self._connecting.heard += 1
            self._tell()

    @callback
    def _tick(self, _: datetime) -> None:
        self._tell()

    @callback
    def _tell(self) -> None:
        """Send the text if it has changed, and the progress again: the frontend resets the ring with each text."""
        if self._connecting.text != self._shown:
            self._end.tell()
        self.async_update_progress(self._connecting.part)

    def _time(self) -> float:
        return self.hass.loop.time()

    @property
    def _ports_of_others(self) -> list[str]:
        """Return the ports of all entries but the one that is to be changed."""
        own = self.context.get("entry_id")
        entries = self._async_current_entries(include_ignore=False)
        return [entry.data[CONF_DEVICE] for entry in entries if entry.entry_id != own and CONF_NODE not in entry.data]

    @property
    def _placeholders(self) -> dict[str, str]:
        """Return what the texts of the forms name."""
        return {
            "stick": self._stick,
            "alike": alike(self._data.get(CONF_PASSWORD, "")),
            "used_by": ", ".join(self._used_by) or "-",
            **self._of_port,
        }

    @property
    def _of_port(self) -> dict[str, str]:
        """Return what the text about the port names, if there is one."""
        match self._errors.get(CONF_DEVICE, self._errors.get("base")):
            case "port_scheme":
                return {"proposal": self._typed[CONF_DEVICE]}
            case "port_error":
                return {"error": self._reason}
        return {}

    @property
    def _known(self) -> Mapping[str, Any]:
        """Return the data of the entry that is to be changed or taken over, if there is one already."""
        if self.source == SOURCE_REAUTH:
            return self._get_reauth_entry().data
        if self._built_in is not None:
            return known_of(self._built_in)
        return self._get_reconfigure_entry().data if self.source == SOURCE_RECONFIGURE else {}


def _summary(profile: MeterProfile, reading: Reading, feeding_in: str) -> dict[str, str]:
    """Return what the last form shows of the meter; `feeding_in` is how a negative power is shown."""
    rssi = None if reading.rssi is None else round(reading.rssi)
    meter = " ".join(filter(None, (profile.manufacturer, profile.serial_number)))
    power = _text(reading.power, "W")
    currents = (("R", reading.current_r), ("T", reading.current_t))
    return {
        "power": feeding_in.format(power=power) if reading.power is not None and reading.power < 0 else power,
        "current": ", ".join(f"{phase} {value:,} A" for phase, value in currents if value is not None) or UNKNOWN,
        "energy": _text(reading.energy_in, "kWh"),
        "energy_out": _text(reading.energy_out, "kWh"),
        "rssi": _text(rssi, "dBm"),
        "meter": meter or UNKNOWN,
    }


def _text(value: Decimal | int | None, unit: str) -> str:
    return UNKNOWN if value is None else f"{value:,} {unit}"


def _name(found: FoundNode) -> str:
    """Return what a meter is called in a list."""
    node, maker = found.node, found.profile.manufacturer
    name = " ".join(filter(None, (maker, None if node.identity == node.address else node.identity)))
    return f"{name} ({node.address})"


def _url_in(typed: str) -> str:
    """Return the URL of a meter that was chosen or typed: an address, or what the meter calls itself.

    Raises:
        NodeAddressError: it is neither.

    """
    text = unicodedata.normalize("NFKC", typed).strip()
    url = text if is_node(text) else url_of(text)
    parse_node(url)
    return url


def _choice(entries: Iterable[ConfigEntry]) -> probatio.Schema:
    """Return a form with one of several meters, told apart by their ports: there is no credential in them."""
    options = [SelectOptionDict(value=entry.entry_id, label=entry.data[CONF_DEVICE]) for entry in entries]
    return probatio.Schema({probatio.Required(CONF_TAKES_OVER): SelectSelector(SelectSelectorConfig(options=options))})
