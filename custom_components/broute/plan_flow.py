"""An electricity plan, typed in with the bill in the hand; see energy/plans.py for how it is kept."""

from collections.abc import Callable, Mapping
from datetime import date
from typing import TYPE_CHECKING, Any, Final

from homeassistant.components.sensor import DOMAIN as SENSOR_DOMAIN
from homeassistant.config_entries import SOURCE_RECONFIGURE, ConfigSubentryFlow, SubentryFlowResult
from homeassistant.const import ATTR_UNIT_OF_MEASUREMENT
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.importlib import async_import_module
from homeassistant.helpers.selector import (
    BooleanSelector,
    DateSelector,
    EntitySelector,
    EntitySelectorConfig,
    NumberSelector,
    NumberSelectorConfig,
    NumberSelectorMode,
    SelectSelector,
    SelectSelectorConfig,
    SelectSelectorMode,
    TextSelector,
    TextSelectorConfig,
    TimeSelector,
)
from homeassistant.util import dt as dt_util
import probatio

from .aiobroute import JST
from .const import DOMAIN, SUBENTRY_PLAN
from .energy.dashboard import async_is_cost_wanted, async_prices, async_want_cost, has_dashboard
from .energy.ledger import ENERGY_OUT
from .energy.plan_text import (
    AMPERE,
    BANDS,
    BASICS,
    DEMAND,
    ENERGIES,
    KVA,
    MARKET,
    MINIMUM,
    MONTH,
    NONE,
    STEPS,
    InvalidTextError,
    dates,
    lines,
    number,
    numbers,
    table,
)
from .energy.recorder import is_recorded
from .energy.terms import LEVIES, Days, InvalidPlanError, Rounding
from .words import async_words

if TYPE_CHECKING:
    from datetime import datetime

CONF_IN_DASHBOARD: Final = "in_dashboard"

MONTHS: Final = tuple(str(month) for month in range(1, 13))

LEVIES_SHOWN: Final = 3
"""Years of the levy that are proposed; older ones can be typed in."""

BASIC_FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    MONTH: ("month_price", "is_halved"),
    AMPERE: ("ampere_price", "amperes", "is_halved"),
    KVA: ("kva_price", "kva", "is_halved"),
    DEMAND: ("demand_price", "is_halved"),
    MINIMUM: ("minimum_price", "included"),
}
"""What is asked for each basic charge: its price, and what it is multiplied by or includes."""

TEXT: Final = TextSelector()
LINES: Final = TextSelector(TextSelectorConfig(multiline=True))
PRICE_ENTITY: Final = EntitySelector(EntitySelectorConfig(domain=[SENSOR_DOMAIN, "number", "input_number"]))


def _select(options: tuple[str, ...], key: str, *, multiple: bool = False) -> SelectSelector:
    return SelectSelector(
        SelectSelectorConfig(
            options=list(options), translation_key=key, multiple=multiple, mode=SelectSelectorMode.DROPDOWN
        )
    )


CONTRACT: Final = probatio.Schema(
    {
        probatio.Required("name"): TEXT,
        probatio.Required("valid_from"): DateSelector(),
        probatio.Required("energy"): _select(ENERGIES, "plan_energy"),
        probatio.Required("basic"): _select(BASICS, "plan_basic"),
        probatio.Required("billing_day", default=1): NumberSelector(
            NumberSelectorConfig(min=1, max=31, step=1, mode=NumberSelectorMode.BOX)
        ),
        probatio.Optional("reading_dates"): LINES,
    }
)
STRUCTURED: Final = probatio.Schema({key: value for key, value in CONTRACT.schema.items() if key != "energy"})
"""The same for a structure that says how the price is made."""
PRICE: Final = probatio.Schema({probatio.Required("price"): TEXT})
MARKETED: Final = probatio.Schema(
    {
        probatio.Required("price_entity"): PRICE_ENTITY,
        probatio.Required("factor"): TEXT,
        probatio.Required("loss"): TEXT,
        probatio.Required("surcharge"): TEXT,
    }
)
STEPPED: Final = probatio.Schema({probatio.Required("limits"): TEXT, probatio.Required("prices"): TEXT})
BAND: Final = probatio.Schema(
    {
        probatio.Required("name"): TEXT,
        probatio.Required("begin"): TimeSelector(),
        probatio.Required("end"): TimeSelector(),
        probatio.Required("days", default=Days.EVERY_DAY.value): _select(tuple(Days), "plan_days"),
        probatio.Required("months", default=list(MONTHS)): _select(MONTHS, "plan_months", multiple=True),
        probatio.Required("prices"): TEXT,
        probatio.Optional("limits"): TEXT,
        probatio.Required("is_more", default=False): BooleanSelector(),
    }
)
REST: Final = probatio.Schema(
    {
        probatio.Required("name"): TEXT,
        probatio.Required("prices"): TEXT,
        probatio.Optional("limits"): TEXT,
    }
)
FED_IN_BAND: Final = probatio.Schema({key: value for key, value in BAND.schema.items() if key != "limits"})
FED_IN_REST: Final = probatio.Schema({key: value for key, value in REST.schema.items() if key != "limits"})
ADJUSTMENTS: Final = probatio.Schema(
    {
        probatio.Optional("fuel"): LINES,
        probatio.Optional("fuel_entity"): PRICE_ENTITY,
        probatio.Required("levies"): LINES,
        probatio.Optional("support"): LINES,
        probatio.Optional("discount"): TEXT,
        probatio.Required("total_rounding", default=Rounding.DOWN.value): _select(tuple(Rounding), "plan_rounding"),
        probatio.Required("levy_rounding", default=Rounding.DOWN.value): _select(tuple(Rounding), "plan_rounding"),
    }
)
FEED_IN: Final = probatio.Schema(
    {
        probatio.Optional("feed_in"): TEXT,
        probatio.Required("is_feed_in_by_hours", default=False): BooleanSelector(),
        probatio.Optional("feed_in_until"): DateSelector(),
    }
)
DASHBOARD: Final = probatio.Schema({probatio.Required(CONF_IN_DASHBOARD, default=True): BooleanSelector()})


class _Form:
    """What was typed into a form, and what of it is wrong."""

    def __init__(self, typed: Mapping[str, Any]) -> None:
        self.typed = typed
        self.errors: dict[str, str] = {}

    def read[T](self, field: str, read: Callable[[str], T], error: str) -> T | None:
        """Return what was typed into a field; `None` if it was left empty, or is wrong."""
        text = self.typed.get(field)
        if not text:
            return None
        try:
            return read(text)
        except InvalidTextError:
            self.errors[field] = error
            return None

    def check(self, field: str, make: Callable[[], object]) -> None:
        """Put what cannot be at a field."""
        if not self.errors:
            try:
                make()
            except InvalidPlanError as err:
                self.errors[field] = err.fault.value


class PlanFlow(ConfigSubentryFlow):
    """Asks for what is on a bill, and for no more than the chosen kinds need."""

    def __init__(self) -> None:
        self._data: dict[str, Any] = {}
        self._before: Mapping[str, Any] = {}
        self._structure: str | None = None
        self._bands: list[dict[str, Any]] = []

    async def async_step_user(self, _: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Add a plan: one of the structures that most homes have, or any."""
        await self._async_load()
        return self.async_show_menu(step_id="user", menu_options=["three_steps", "day_and_night", "other"])

    async def _async_load(self) -> None:
        """Import what knows whether a plan is right, where reading files does not stop the event loop."""
        for name in ("plans", "price_history"):
            await async_import_module(self.hass, f"{__package__}.energy.{name}")

    async def async_step_three_steps(self, _: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Fill in steps and a basic charge by ampere."""
        self._structure = STEPS
        return await self.async_step_contract()

    async def async_step_day_and_night(self, _: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Fill in a price for the night, and one for the day."""
        self._structure = BANDS
        return await self.async_step_contract()

    async def async_step_other(self, _: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Ask for the kind of price, too."""
        return await self.async_step_contract()

    async def async_step_reconfigure(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Change a plan."""
        await self._async_load()
        self._before = self._get_reconfigure_subentry().data
        return await self.async_step_contract(user_input)

    async def async_step_contract(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Ask for the kind of plan."""
        errors: dict[str, str] = {}
        if user_input is not None:
            form = _Form(user_input)
            self._data = {
                **{key: user_input[key] for key in ("name", "valid_from", "basic")},
                "energy": self._structure or user_input["energy"],
                "billing_day": int(user_input["billing_day"]),
                "reading_dates": form.read("reading_dates", dates, "invalid_dates") or [],
            }
            errors = form.errors
            if date.fromisoformat(user_input["valid_from"]) in self._other_days():
                errors["valid_from"] = "same_day"
            if not errors:
                return await self._async_step_energy()
        today: datetime = dt_util.utcnow().astimezone(JST)
        suggested = {
            "valid_from": today.date().replace(month=1, day=1).isoformat(),
            "basic": NONE if self._structure is None else AMPERE,
            **self._before,
            "reading_dates": "\n".join(self._before.get("reading_dates", ())),
            **(user_input or {}),
        }
        return self._show("contract", CONTRACT if self._structure is None else STRUCTURED, suggested, errors)

    async def _async_step_energy(self) -> SubentryFlowResult:
        self._bands = []
        ask = {BANDS: self.async_step_band, STEPS: self.async_step_steps, MARKET: self.async_step_market}
        return await ask.get(self._data["energy"], self.async_step_price)()

    async def async_step_price(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Ask for the only price."""
        errors: dict[str, str] = {}
        if user_input is not None:
            form = _Form(user_input)
            self._data["prices"] = [form.read("price", number, "invalid_number") or "0"]
            if not (errors := form.errors):
                return await self.async_step_basic()
        prices = self._before.get("prices") or await async_prices(self.hass, self._get_entry())
        suggested = {"price": prices[0], **(user_input or {})}
        return self._show("price", PRICE, suggested, errors)

    async def async_step_steps(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Ask for the steps."""
        errors: dict[str, str] = {}
        if user_input is not None:
            limits, prices, errors = _steps(user_input)
            self._data |= {"limits": limits, "prices": prices}
            if not errors:
                return await self.async_step_basic()
        known = {key: ", ".join(self._before[key]) for key in ("limits", "prices") if self._before.get(key)}
        return self._show("steps", STEPPED, {"limits": "120, 300", **known, **(user_input or {})}, errors)

    async def async_step_market(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Ask who tells the price of each half-hour, and what is made of it."""
        from .energy.plans import market_of  # noqa: PLC0415  # it is loaded by now

        errors: dict[str, str] = {}
        if user_input is not None:
            form = _Form(user_input)
            market = {
                "price_entity": user_input["price_entity"],
                "factor": form.read("factor", _positive, "invalid_number") or "1",
                "loss": form.read("loss", _positive, "invalid_number") or "0",
                "surcharge": form.read("surcharge", number, "invalid_number") or "0",
            }
            form.check("loss", lambda: market_of(market))
            self._check_entity(form, "price_entity")
            self._data |= market
            if not (errors := form.errors):
                return await self.async_step_basic()
        known = {key: self._before[key] for key in _names(MARKETED) if key in self._before}
        suggested = {"factor": "1", "loss": "0", "surcharge": "0", **known, **(user_input or {})}
        return self._show("market", MARKETED, suggested, errors)

    def _check_entity(self, form: _Form, field: str) -> None:
        """Put at the field what is wrong with an entity that is to tell a price."""
        from .energy.price_history import NoPriceError, price_of  # noqa: PLC0415  # it is loaded by now

        entity_id = form.typed.get(field)
        if not entity_id:
            return
        state = self.hass.states.get(entity_id)
        try:
            if state is None:
                raise NoPriceError("price_unavailable")  # noqa: TRY301  # said at the field like all others
            price_of(state.state, state.attributes.get(ATTR_UNIT_OF_MEASUREMENT))
        except NoPriceError as err:
            form.errors[field] = err.key
            return
        if not is_recorded(self.hass, entity_id):
            form.errors[field] = "price_not_recorded"

    async def async_step_band(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Ask for the hours that have a price of their own."""
        return await self._async_step_band("", user_input)

    async def async_step_rest(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Ask for the price of all other hours."""
        return await self._async_step_rest("", user_input)

    async def async_step_feed_in_band(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Ask for the hours in which another price is paid for what is fed in."""
        return await self._async_step_band("feed_in_", user_input)

    async def async_step_feed_in_rest(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Ask what is paid in all other hours."""
        return await self._async_step_rest("feed_in_", user_input)

    async def _async_step_band(self, prefix: str, user_input: dict[str, Any] | None) -> SubentryFlowResult:
        from .energy.plans import band_of  # noqa: PLC0415  # it is loaded by now
        from .energy.tariff import Bands  # noqa: PLC0415  # as above

        errors: dict[str, str] = {}
        schema = FED_IN_BAND if prefix else BAND
        if user_input is not None:
            limits, prices, errors = _steps(user_input)
            band = {key: user_input[key] for key in ("name", "begin", "end", "days", "months")}
            band |= {"limits": limits, "prices": prices}
            form = _Form(user_input)
            form.errors = errors
            form.check("begin", lambda: band_of(band))
            rest = band_of({"name": "\0", "prices": ["0"]})
            form.check("begin", lambda: Bands((*(band_of(each) for each in [*self._bands, band]), rest)))
            if not errors:
                self._bands.append(band)
                step = self._async_step_band if user_input["is_more"] else self._async_step_rest
                return await step(prefix, None)
        known = [band for band in self._before.get(f"{prefix}bands", ()) if "begin" in band]
        place = len(self._bands)
        suggested: dict[str, Any] = {}
        if place == 0 and not prefix:
            suggested = {"name": await self._async_text("night"), "begin": "23:00:00", "end": "07:00:00"}
        if place < len(known):
            suggested = {**_typed(known[place]), "is_more": place + 1 < len(known)}
        return self._show(f"{prefix}band", schema, {**suggested, **(user_input or {})}, errors)

    async def _async_step_rest(self, prefix: str, user_input: dict[str, Any] | None) -> SubentryFlowResult:
        from .energy.plans import band_of  # noqa: PLC0415  # it is loaded by now
        from .energy.tariff import Bands  # noqa: PLC0415  # as above

        errors: dict[str, str] = {}
        schema = FED_IN_REST if prefix else REST
        if user_input is not None:
            limits, prices, errors = _steps(user_input)
            band = {"name": user_input["name"], "limits": limits, "prices": prices}
            form = _Form(user_input)
            form.errors = errors
            form.check("name", lambda: Bands(tuple(band_of(each) for each in [*self._bands, band])))
            if not errors:
                self._data[f"{prefix}bands"] = [*self._bands, band]
                self._bands = []
                return await (self._async_step_last() if prefix else self.async_step_basic())
        known = [_typed(band) for band in self._before.get(f"{prefix}bands", ()) if "begin" not in band]
        suggested = known[0] if known else {"name": await self._async_text("day")}
        return self._show(f"{prefix}rest", schema, {**suggested, **(user_input or {})}, errors)

    async def _async_text(self, key: str) -> str:
        """Return what something is called in the language of the installation."""
        return (await async_words(self.hass))[key]

    async def async_step_basic(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Ask for the basic charge."""
        kind = self._data["basic"]
        if kind == NONE:
            return await self.async_step_adjustments()
        errors: dict[str, str] = {}
        price, *others = BASIC_FIELDS[kind]
        size = next((field for field in others if field != "is_halved"), None)
        if user_input is not None:
            form = _Form(user_input)
            self._data["basic_price"] = form.read(price, _positive, "invalid_number") or "0"
            if size is not None:
                self._data["basic_size"] = form.read(size, _positive, "invalid_number") or "0"
            self._data["is_halved"] = user_input.get("is_halved", False)
            if not (errors := form.errors):
                return await self.async_step_adjustments()
        known = {}
        if self._before.get("basic") == kind:
            known = {price: self._before["basic_price"], "is_halved": self._before["is_halved"]}
            if size is not None:
                known[size] = self._before["basic_size"]
        return self._show("basic", basic_schema(kind), {**known, **(user_input or {})}, errors)

    async def async_step_adjustments(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Ask for what is added and taken off by kWh and by month."""
        errors: dict[str, str] = {}
        if user_input is not None:
            form = _Form(user_input)
            self._data |= {
                "fuel": form.read("fuel", _by_month, "invalid_months") or {},
                "levies": form.read("levies", _by_year, "invalid_years") or {},
                "support": form.read("support", _by_month, "invalid_months") or {},
                "discount": form.read("discount", number, "invalid_number") or "0",
                "fuel_entity": user_input.get("fuel_entity") or "",
                **{key: user_input[key] for key in ("total_rounding", "levy_rounding")},
            }
            self._check_entity(form, "fuel_entity")
            if not (errors := form.errors):
                return await (self.async_step_feed_in() if self._has_export() else self._async_step_last())
        newest = sorted(LEVIES)[-LEVIES_SHOWN:]
        suggested = {
            **{key: self._before[key] for key in ("discount", "total_rounding", "levy_rounding") if self._before},
            "fuel": lines(self._before.get("fuel", {})),
            "levies": lines(self._before.get("levies", {str(year): str(LEVIES[year]) for year in newest})),
            "support": lines(self._before.get("support", {})),
            **({"fuel_entity": self._before["fuel_entity"]} if self._before.get("fuel_entity") else {}),
            **(user_input or {}),
        }
        return self._show("adjustments", ADJUSTMENTS, suggested, errors)

    async def async_step_feed_in(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Ask what is paid for what is fed in."""
        errors: dict[str, str] = {}
        if user_input is not None:
            form = _Form(user_input)
            self._data["feed_in"] = form.read("feed_in", number, "invalid_number")
            self._data["feed_in_until"] = user_input.get("feed_in_until")
            if not (errors := form.errors):
                is_by_hours = user_input["is_feed_in_by_hours"]
                return await (self.async_step_feed_in_band() if is_by_hours else self._async_step_last())
        known = {key: self._before[key] for key in ("feed_in", "feed_in_until") if self._before.get(key) is not None}
        known["is_feed_in_by_hours"] = bool(self._before.get("feed_in_bands"))
        return self._show("feed_in", FEED_IN, {**known, **(user_input or {})}, errors)

    async def _async_step_last(self) -> SubentryFlowResult:
        """Offer the Energy dashboard, where there is one."""
        return await (self.async_step_dashboard() if has_dashboard(self.hass) else self._async_finish())

    async def async_step_dashboard(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Ask whether the Energy dashboard is to show the costs."""
        if user_input is None:
            is_shown = not self._plans() or await async_is_cost_wanted(self.hass, self._get_entry())
            return self._show("dashboard", DASHBOARD, {CONF_IN_DASHBOARD: is_shown}, {})
        await async_want_cost(self.hass, self._get_entry(), is_wanted=user_input[CONF_IN_DASHBOARD])
        return await self._async_finish()

    async def _async_finish(self) -> SubentryFlowResult:
        from .energy.plans import plan_of  # noqa: PLC0415  # it is loaded by now

        entry = self._get_entry()
        plan_of(self._data)
        title = f"{self._data['name']} ({self._data['valid_from']})"
        if self.source == SOURCE_RECONFIGURE:
            return self.async_update_and_abort(entry, self._get_reconfigure_subentry(), title=title, data=self._data)
        return self.async_create_entry(title=title, data=self._data)

    def _show(
        self, step: str, schema: probatio.Schema, suggested: Mapping[str, Any], errors: dict[str, str]
    ) -> SubentryFlowResult:
        return self.async_show_form(
            step_id=step, data_schema=self.add_suggested_values_to_schema(schema, suggested), errors=errors
        )

    def _has_export(self) -> bool:
        """Return whether the meter counts what is fed in."""
        unique_id = f"{self._get_entry().unique_id}_{ENERGY_OUT}"
        return er.async_get(self.hass).async_get_entity_id(SENSOR_DOMAIN, DOMAIN, unique_id) is not None

    def _plans(self) -> dict[str, Mapping[str, Any]]:
        """Return the plans that are there already."""
        subentries = self._get_entry().subentries.items()
        return {key: each.data for key, each in subentries if each.subentry_type == SUBENTRY_PLAN}

    def _other_days(self) -> set[date]:
        """Return the days on which other plans begin."""
        own = self._get_reconfigure_subentry().subentry_id if self.source == SOURCE_RECONFIGURE else None
        return {date.fromisoformat(data["valid_from"]) for key, data in self._plans().items() if key != own}


def basic_schema(kind: str) -> probatio.Schema:
    """Return what is asked for a basic charge."""
    return probatio.Schema(
        {
            (probatio.Required(field, default=False) if field == "is_halved" else probatio.Required(field)): (
                BooleanSelector() if field == "is_halved" else TEXT
            )
            for field in BASIC_FIELDS[kind]
        }
    )


def _steps(typed: Mapping[str, Any]) -> tuple[list[str], list[str], dict[str, str]]:
    """Return limits and prices, and what is wrong with them."""
    from .energy.plans import steps_of  # noqa: PLC0415  # it is loaded by now
    from .energy.tariff import stepped  # noqa: PLC0415  # as above

    form = _Form(typed)
    limits = form.read("limits", numbers, "invalid_numbers") or []
    prices = form.read("prices", numbers, "invalid_numbers") or []
    form.check("prices", lambda: stepped(steps_of(limits, prices)))
    return limits, prices, form.errors


def _typed(band: Mapping[str, Any]) -> dict[str, Any]:
    """Return a band as it was typed."""
    return {**band, "limits": ", ".join(band["limits"]), "prices": ", ".join(band["prices"])}


def _names(schema: probatio.Schema) -> list[str]:
    return [str(key) for key in schema.schema]


def _positive(text: str) -> str:
    found = number(text)
    if found.startswith("-"):
        raise InvalidTextError(text)
    return found


def _by_month(text: str) -> dict[str, str]:
    return table(text, len("2026-04"))


def _by_year(text: str) -> dict[str, str]:
    return table(text, len("2026"))
