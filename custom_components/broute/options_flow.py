"""What a person may choose once the meter is there."""

from datetime import UTC, datetime
from decimal import Decimal
from functools import wraps
from typing import TYPE_CHECKING, Any, Final

from homeassistant.config_entries import ConfigEntryState, OptionsFlowWithReload
from homeassistant.const import CONF_DEVICE, UnitOfTime
from homeassistant.helpers.selector import (
    BooleanSelector,
    NumberSelector,
    NumberSelectorConfig,
    NumberSelectorMode,
    SelectOptionDict,
    SelectSelector,
    SelectSelectorConfig,
    SelectSelectorMode,
)
from homeassistant.helpers.translation import async_get_translations
from homeassistant.util import dt as dt_util
import probatio

from .const import (
    CONF_COSTS,
    CONF_IMPORT_HISTORY,
    CONF_INTERVAL,
    CONF_NODE,
    CONF_NOTIFICATIONS,
    CONF_SPREAD_FIXED,
    DOMAIN,
)
from .dongle.sharing import async_interval, async_sharers, async_shortest
from .energy.dashboard import (
    async_change_back,
    async_change_over,
    async_is_cost_wanted,
    async_is_shown,
    async_shows,
    async_want_cost,
)
from .energy.ledger import MICRO
from .energy.recorder import RecorderUnavailableError, async_sums, has_recorder
from .energy.source import HistoryUnavailableError
from .reports import async_last
from .words import async_words

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from homeassistant.config_entries import ConfigFlowResult

    from .energy.backfill import Backfill
    from .energy.continued import Preview

LONGEST: Final = 3600

AIRTIME: Final = 0.01
"""Seconds that the module transmits for one reading: a request of 20 bytes at 100 kbit/s (SK 3.7)."""
LEASE_AIRTIME: Final = 0.06
"""Seconds that the module transmits for a reading on a dongle that is shared: the meter has to be joined for it."""
AIRTIME_LIMIT: Final = 360
"""Seconds of transmission in an hour (ARIB STD-T108)."""


CONF_IN_DASHBOARD: Final = "in_dashboard"
CONF_UNKNOWN: Final = "unknown"


type _Step = Callable[[MeterOptionsFlow, dict[str, Any] | None], Awaitable[ConfigFlowResult]]


def _or_said(step: _Step) -> _Step:
    """Let a step end with the reason why the history cannot be looked at."""

    @wraps(step)
    async def told(flow: MeterOptionsFlow, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        try:
            return await step(flow, user_input)
        except HistoryUnavailableError as err:
            return flow.async_abort(reason=err.key)
        except RecorderUnavailableError:
            return flow.async_abort(reason="history_no_database")

    return told


class MeterOptionsFlow(OptionsFlowWithReload):
    """Asks how often the meter is to be read, and what else of it is wanted."""

    def __init__(self) -> None:
        self._previews: dict[str, Preview] = {}

    async def async_step_init(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Begin with a choice, if there is one."""
        if user_input is None and self._choices():
            return await self.async_step_menu()
        return await self.async_step_settings(user_input)

    async def async_step_menu(self, _: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Offer what can be done."""
        return self.async_show_menu(step_id="menu", menu_options=["settings", *self._choices()])

    def _choices(self) -> list[str]:
        """Return what can be done besides the settings."""
        choices = []
        if self.config_entry.state is ConfigEntryState.LOADED and has_recorder(self.hass):
            choices += ["continue_history", "undo_history"] if self._history.continues() else ["continue_history"]
        # A meter that cannot be reached is what most records are about.
        return [*choices, "keep_unknown"] if async_last(self.hass, self.config_entry) is not None else choices

    async def async_step_settings(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
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
            # No law limits what is sent over the home network.
            step_id="settings_network" if CONF_NODE in entry.data else "init",
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

    async def async_step_settings_network(self, user_input: dict[str, Any]) -> ConfigFlowResult:
        """Take the settings of a meter in the home network."""
        return await self.async_step_settings(user_input)

    @_or_said
    async def async_step_continue_history(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask whose history is to be continued, until there is one."""
        history, errors = self._history, {}
        ours = history.continuable()
        names = await async_sums(self.hass)
        if user_input is not None:
            errors = await self._async_choose(user_input, names)
            if not errors:
                return await self.async_step_preview(None)
        options = [
            SelectOptionDict(value=statistic_id, label=self._label(statistic_id, name))
            for statistic_id, name in names.items()
            if statistic_id not in ours.values()
        ]
        if not options:
            return self.async_abort(reason="history_of_nobody")
        return self.async_show_form(
            step_id="continue_history",
            data_schema=self.add_suggested_values_to_schema(
                continue_schema(ours, options), history.continues() if user_input is None else user_input
            ),
            errors=errors,
        )

    async def _async_choose(self, chosen: Mapping[str, str], names: Mapping[str, str | None]) -> dict[str, str]:
        """Look at what was chosen; return what is wrong with it."""
        self._previews.clear()
        if not chosen:
            return {"base": "history_not_chosen"}
        if len({*chosen.values()}) < len(chosen):
            return {"base": "history_chosen_twice"}
        errors = {}
        for key, statistic_id in chosen.items():
            preview = await self._history.async_preview(key, statistic_id) if statistic_id in names else None
            if preview is None:
                errors[key] = "history_not_before"
            else:
                self._previews[key] = preview
        return errors

    @_or_said
    async def async_step_preview(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Show what would be continued, and do it."""
        sources = {key: str(preview.continued.statistic_id) for key, preview in self._previews.items()}
        if user_input is None:
            is_shown = await async_shows(self.hass, sources.values())
            fields = {probatio.Required(CONF_IN_DASHBOARD, default=True): BooleanSelector()} if is_shown else {}
            return self.async_show_form(
                step_id="preview",
                data_schema=probatio.Schema(fields),
                description_placeholders={"history": await self._async_described(self._previews)},
            )
        ours = self._history.continuable()
        await self._history.async_continue(self._previews)
        if user_input.get(CONF_IN_DASHBOARD):
            await async_change_over(self.hass, self.config_entry, {sources[key]: ours[key] for key in sources})
        return self.async_create_entry(data=dict(self.config_entry.options))

    @_or_said
    async def async_step_undo_history(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Let what was copied go again, if that is confirmed."""
        history = self._history
        if user_input is None:
            found = {key: await history.async_preview(key) for key in history.continues()}
            there = {key: preview for key, preview in found.items() if preview is not None}
            return self.async_show_form(
                step_id="undo_history",
                data_schema=probatio.Schema({}),
                description_placeholders={"history": await self._async_described(there)},
            )
        await history.async_discontinue()
        await async_change_back(self.hass, self.config_entry)
        return self.async_create_entry(data=dict(self.config_entry.options))

    async def async_step_keep_unknown(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Show what the last record left out, and let it have what is chosen."""
        report, errors = async_last(self.hass, self.config_entry), {}
        if report is None:  # Another one has begun meanwhile.
            return self.async_abort(reason="record_gone")
        kept = report.kept
        if user_input is not None:
            kept = user_input.get(CONF_UNKNOWN, [])
            if (reason := await report.async_keep(kept)) is None:
                return self.async_create_entry(data=dict(self.config_entry.options))
            errors = {"base": reason}
        return self.async_show_form(
            step_id="keep_unknown",
            data_schema=self.add_suggested_values_to_schema(unknown_schema(report.choices), {CONF_UNKNOWN: kept}),
            description_placeholders={"hidden": str(report.hidden)},
            errors=errors,
        )

    @property
    def _history(self) -> Backfill:
        history: Backfill = self.config_entry.runtime_data.history
        return history

    def _label(self, statistic_id: str, name: str | None) -> str:
        state = self.hass.states.get(statistic_id)
        name = name or (None if state is None else state.name)
        return statistic_id if name is None else f"{name} ({statistic_id})"

    async def _async_described(self, previews: Mapping[str, Preview]) -> str:
        """Return what is copied in words, a paragraph for each direction."""
        words = await async_words(self.hass)
        names = await async_get_translations(self.hass, self.hass.config.language, "entity", {DOMAIN})
        paragraphs = []
        for key, preview in previews.items():
            text = words["continued"]
            text += f"\n{words['continued_but']}" if preview.left_out else ""
            paragraphs.append(
                text.format(
                    sensor=names[f"component.{DOMAIN}.entity.sensor.{key}.name"],
                    begin=_time(preview.begin),
                    end=_time(preview.end),
                    hours=f"{preview.hours:,}",
                    energy=f"{Decimal(preview.energy) / MICRO:,.1f}",
                    joint=_time(preview.joint),
                    left_out=f"{preview.left_out:,}",
                )
            )
        return "\n\n".join(paragraphs)


def _time(at: int) -> str:
    return f"{dt_util.as_local(datetime.fromtimestamp(at, UTC)):%Y-%m-%d %H:%M}"


def unknown_schema(choices: Mapping[str, str]) -> probatio.Schema:
    """Return what is asked for after a record: what of an unknown form may be in it."""
    options = [SelectOptionDict(value=name, label=label) for name, label in choices.items()]
    selector = SelectSelector(SelectSelectorConfig(options=options, mode=SelectSelectorMode.LIST, multiple=True))
    return probatio.Schema({probatio.Optional(CONF_UNKNOWN): selector})


def continue_schema(ours: Mapping[str, str], options: list[SelectOptionDict]) -> probatio.Schema:
    """Return what is asked for to continue other sensors: one for each direction."""
    selector = SelectSelector(SelectSelectorConfig(options=options, mode=SelectSelectorMode.DROPDOWN, sort=True))
    return probatio.Schema({probatio.Optional(key): selector for key in ours})


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
