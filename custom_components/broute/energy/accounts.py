"""What the meter's half-hours cost by the plans of an entry: figures for sensors, and statistics of each hour.

The sensors show the sum of all that is known, so every row of their statistics can be made true at any time, also for
hours before the set-up, and after a plan was changed: the recorder only goes on from there.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import partial
import logging
from typing import TYPE_CHECKING, Final

from homeassistant.config_entries import SIGNAL_CONFIG_ENTRY_CHANGED
from homeassistant.core import CALLBACK_TYPE, callback
from homeassistant.helpers.dispatcher import async_dispatcher_connect
from homeassistant.helpers.event import async_call_later, async_track_time_interval
from homeassistant.util import dt as dt_util

from ..aiobroute import JST
from ..const import CONF_COSTS, CONF_SPREAD_FIXED
from .bill import Comparison, HalfHours, Overlaid, Period, Usage, compare, last_year, periods
from .cost_rows import EMPTY, CostRows, Known, Piece, has_demand_charge, known_part, piece_of_costs, piece_of_returns
from .dashboard import COMPENSATION, COST, async_show_cost_if_wanted, cost_entity_id
from .demand import half_hour
from .figures import LATEST, Figures, Settled, brought_in, figures, flowed_since, settle, total_of
from .first_plan import async_take_price
from .half_hours import KnownEnergies, Slots, parts_of_month, span_of
from .kept import Kept, changes_within
from .ledger import ENERGY_IN, ENERGY_OUT, HALF_HOUR, MICRO
from .plans import contract_of
from .price_history import price_of_state
from .prices import KeptPrices, prices_of
from .recorder import RecorderUnavailableError, has_recorder, is_recorded
from .records import Record, records
from .statistics import energies
from .tariff import Contract, Market, midnight
from .terms import InvalidPlanError

if TYPE_CHECKING:
    from collections.abc import Container

    from homeassistant.config_entries import ConfigEntry, ConfigEntryChange
    from homeassistant.core import HomeAssistant

    from .backfill import Backfill
    from .length import Length
    from .source import MeterSource

_LOGGER = logging.getLogger(__name__)

HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(days=1)
A_YEAR: Final = timedelta(days=400)
"""Longer than the billing periods by which a demand counts."""

YEN: Final = "JPY"

REST: Final = 20.0
"""Seconds between two looks, at least; the second one that sees the same ledger writes."""

KINDS: Final = {COST: ENERGY_IN, COMPENSATION: ENERGY_OUT}

type Pieces = Mapping[str, list[tuple[Period, Piece]]]
"""The rows of all bills, by sensor."""

type Version = tuple[tuple[tuple[str, str, int], ...], tuple[object, ...]]

DERIVED: Final = {COST: piece_of_costs, COMPENSATION: piece_of_returns}


@dataclass(slots=True)
class Accounts:
    """Keeps figures and statistics of one entry in line with its ledger and its plans."""

    hass: HomeAssistant
    entry: ConfigEntry
    source: MeterSource
    history: Backfill
    contract: Contract | None = None
    figures: Figures | None = None
    totals: Mapping[str, Decimal] = field(default_factory=dict)
    """Yen of all that is known, by what they are: cost or compensation."""
    prices: KeptPrices = field(init=False)
    is_right: bool = False
    """Whether all rows were seen to be right when they were looked at last."""
    _is_wanted: bool = False
    _is_hurried: bool = False
    """Whether a plan was changed while it looked."""
    _task: asyncio.Task[None] | None = None
    _cancel_rest: CALLBACK_TYPE | None = None
    _known: dict[str, Slots] = field(default_factory=lambda: {key: Slots() for key in KINDS.values()})
    _holidays: Container[date] | None = None
    _spans: dict[str, Known | None] = field(default_factory=dict)
    """From the first half-hour that is known to the end of the last one."""
    _taking: asyncio.Lock = field(default_factory=asyncio.Lock)
    _version: Version | None = None
    _figured: tuple[object, ...] = ()
    _settled: Settled | None = None
    _last_bill: Kept[Decimal | None] = field(default_factory=Kept)
    """Yen of the bill before the one that runs."""
    _written: tuple[object, ...] = ()
    _seen: tuple[object, ...] = ()
    _changes: Counter[date] = field(default_factory=Counter)
    """How often half-hours of each day have changed."""
    _pieces: Kept[Pieces] = field(default_factory=Kept)
    _derived_by: Contract | None = None
    _derived: dict[tuple[str, Period], tuple[object, Piece]] = field(default_factory=dict)
    _rows: dict[str, CostRows] = field(default_factory=dict)
    _listeners: list[Callable[[], None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Keep prices beside the ledger."""
        self.prices = prices_of(self.hass, self.entry)

    @callback
    def async_start(self) -> None:
        """Follow the meter, the ledger and the plans from now on."""
        self._take_plans()
        self.entry.async_on_unload(self.source.async_add_listener(self._want))
        self.entry.async_on_unload(
            async_dispatcher_connect(self.hass, SIGNAL_CONFIG_ENTRY_CHANGED, self._entry_changed)
        )
        self.entry.async_on_unload(
            async_track_time_interval(self.hass, self._look_for_prices, HOUR, cancel_on_shutdown=True)
        )
        self.entry.async_on_unload(self._stop_resting)
        self._want()

    async def async_compare(self) -> tuple[date, date, list[Comparison]] | None:
        """Return what each plan alone would have cost from the first to the last day of a year, or of what is known.

        `None` if no whole day is known, or there is no plan.
        """
        await self.history.async_load()
        await self._async_take_ledger()
        known, contract = self._spans.get(ENERGY_IN), self.contract
        days = None if known is None else last_year(*known)
        if days is None or contract is None:
            return None
        first, end = days
        usage = await self.async_usage()
        return first, end - DAY, await self.hass.async_add_executor_job(compare, contract.plans, usage, first, end)

    async def async_usage(self) -> Usage:
        """Return what is known of half-hours at present."""
        if self._holidays is None:
            self._holidays = await self.hass.async_add_executor_job(holidays_of_japan)
        await self.prices.async_load()
        taken, fed = (KnownEnergies(self._known[key]) for key in (ENERGY_IN, ENERGY_OUT))
        prices = {entity: KnownEnergies(known) for entity, known in self.prices.known.items()}
        return Usage(taken=taken, fed=fed, prices=prices, holidays=self._holidays)

    async def async_records(self, length: Length, first: date, last: date) -> list[Record]:
        """Return what flowed in each half-hour, day, … that has one of some days, and what it cost; nobody is asked."""
        await self.history.async_load()
        await self._async_take_ledger()
        begins = [span[0] for span in self._spans.values() if span is not None]
        now, usage = dt_util.utcnow(), await self.async_usage()
        job = partial(records, self.contract, usage, length, first, last, begins=begins, now=now)
        return await self.hass.async_add_executor_job(job)

    @callback
    def async_add_listener(self, told: Callable[[], None]) -> CALLBACK_TYPE:
        """Call back when there are new figures."""
        self._listeners.append(told)
        return lambda: self._listeners.remove(told)

    @callback
    def _entry_changed(self, _: ConfigEntryChange, entry: ConfigEntry) -> None:
        if entry.entry_id != self.entry.entry_id:
            return
        if self._take_plans() or entry.data.get(CONF_COSTS):
            self._stop_resting()
            self._is_hurried = self._task is not None
            self._want()

    @callback
    def _take_plans(self) -> bool:
        """Take the plans as they are now; return whether they were others before."""
        before = self.contract
        try:
            self.contract = contract_of(self.entry)
        except InvalidPlanError as err:
            _LOGGER.warning("There is no cost until the plans are mended: %s", err)
            self.contract = None
        return before != self.contract

    @callback
    def _look_for_prices(self, _: datetime) -> None:
        """Look at what entities have told, also while the meter says nothing: the recorder forgets it."""
        if self.contract is not None and entities_of(self.contract):
            self._want()

    @callback
    def _want(self) -> None:
        """Schedule an update after the last one; without plans there is nothing to do."""
        is_asked = self.contract is not None or self.figures is not None or self.entry.data.get(CONF_COSTS)
        if not is_asked and self._task is None:
            return
        self._is_wanted = True
        if self._task is None and self._cancel_rest is None:
            self._look()

    @callback
    def _look(self, _: datetime | None = None) -> None:
        self._cancel_rest = None
        if self._is_wanted:
            self._is_wanted = False
            self._task = self.entry.async_create_background_task(
                self.hass, self._async_look(), f"{self.entry.title} costs", eager_start=False
            )

    @callback
    def _stop_resting(self) -> None:
        if self._cancel_rest is not None:
            self._cancel_rest()
            self._cancel_rest = None

    async def _async_look(self) -> None:
        try:
            await self.history.async_load()
            await async_take_price(self.hass, self.entry)
            await self._async_account()
            await async_show_cost_if_wanted(self.hass, self.entry)
        except RecorderUnavailableError as err:
            _LOGGER.debug("The costs wait: %s", err)
        except Exception:
            _LOGGER.exception("The costs wait for the next look")
        self._task = None
        self._cancel_rest = async_call_later(self.hass, 0 if self._is_hurried else REST, self._look)
        self._is_hurried = False
        for told in tuple(self._listeners):
            told()

    async def _async_account(self) -> None:
        contract, now = self.contract, dt_util.utcnow()
        if contract is None:
            self.figures, self.totals, self._figured, self._written = None, {}, (), ()
            return
        await self._async_take_ledger()
        unavailable: RecorderUnavailableError | None = None
        try:
            await self._async_take_prices(contract, now)
        except RecorderUnavailableError as err:
            unavailable = err  # The figures of today need no database; a half-hour without a price says so.
        usage = await self.async_usage()
        version = (contract, self._version, sum(self.prices.changes.values()))
        pieces = await self._pieces.get(version, partial(self._async_pieces, contract, usage))
        await self._async_figure(contract, usage, pieces, now)
        if unavailable is not None:
            raise unavailable
        # While the history is being read, the sums of all later hours change again and again: it is waited for.
        is_settled, self._seen = self._seen == version, version
        if self._written == version or not has_recorder(self.hass):
            return
        self._is_wanted = True
        if not is_settled:
            return
        self.is_right = False
        if await self._async_write(pieces):
            self._written, self._is_wanted, self.is_right = version, False, True

    async def _async_figure(self, contract: Contract, usage: Usage, pieces: Pieces, now: datetime) -> None:
        """Work out what is shown at present."""
        start = half_hour(now)
        taken, fed = (self._since_known(key, now) for key in (ENERGY_IN, ENERGY_OUT))
        prices = {
            entity: Overlaid({start: price}, usage.prices.get(entity, {}))
            for entity in entities_of(contract)
            if (price := price_of_state(self.hass.states.get(entity))) is not None
        }
        live = replace(
            usage,
            taken=Overlaid(taken, usage.taken),
            fed=Overlaid(fed, usage.fed),
            prices={**usage.prices, **prices},
        )
        looked = (contract, self._version, start, tuple(sorted(self.prices.changes.items())))
        before, settled = (self.figures, self._settled) if looked == self._figured else (None, None)
        job = self.hass.async_add_executor_job
        if settled is None:
            firsts = (None if (span := self._spans.get(key)) is None else span[0] for key in (ENERGY_IN, ENERGY_OUT))
            settled = await job(partial(settle, contract, usage, now, *firsts, is_spread=self._is_spread))
        if settled is None:
            self.figures, self.totals, self._figured = None, {}, ()
            return
        last_bill = before.last_bill if before else await self._async_last_bill(contract, live, settled.period, now)
        self.figures, so_far = await job(
            partial(figures, contract, live, now, before, settled, last_bill, is_spread=self._is_spread)
        )
        self._figured, self._settled = looked, settled
        period, totals = settled.period, {}
        for kind, key in KINDS.items():
            base = sum(piece.total for other, piece in pieces[kind] if other.span.first < period.span.first)
            is_there = kind == COST or any(plan.feed_in is not None for plan in contract.plans)
            if is_there and (known := self._spans.get(key)) is not None:
                if kind == COMPENSATION:
                    since = max(settled.used.until, known[0])
                    so_far = settled.brought_in + await job(brought_in, contract, live, since, now)
                totals[kind] = Decimal(base) / MICRO + so_far
        self.totals = totals

    async def _async_last_bill(self, contract: Contract, live: Usage, period: Period, now: datetime) -> Decimal | None:
        """Return the yen of the bill before one, which hardly ever changes."""
        job = self.hass.async_add_executor_job
        if not (found := await job(periods, contract, period.span.first - DAY, period.span.first)):
            return None
        (last,) = found
        # For some half-hours after its end, a reading still adds to it.
        at = half_hour(now) if now - LATEST * HALF_HOUR < last.span.end_time else None
        made_of = (contract, last, at, self._changes_within(last, A_YEAR))
        return await self._last_bill.get(made_of, partial(job, total_of, contract, live, last))

    def _changes_within(self, period: Period, back: timedelta) -> tuple[int, int]:
        """Return how often what a bill is made of has changed: the ledger's days, and the months of prices."""
        return changes_within(self._changes, self.prices.changes, period.whole.first - back, period.whole.end)

    @property
    def _is_spread(self) -> bool:
        return bool(self.entry.options.get(CONF_SPREAD_FIXED, True))

    async def _async_take_prices(self, contract: Contract, now: datetime) -> None:
        """Take what entities have told of the half-hours that the ledger knows.

        Raises:
            RecorderUnavailableError: the recorder cannot be asked at present.

        """
        entities = entities_of(contract)
        await self.prices.async_load()
        known = self._spans.get(ENERGY_IN)
        if not entities or known is None or not has_recorder(self.hass):
            return
        first = max(known[0], midnight(contract.plans[0].valid_from))
        await self.prices.async_update(entities, int(first.timestamp()), int(now.timestamp()))

    def _since_known(self, key: str, now: datetime) -> HalfHours:
        """Return what flowed since the last counter that is known, as far as the reading tells."""
        counter, ledger = getattr(self.source.data, key), self.history.ledger
        return flowed_since(counter, lambda begin: ledger.energy(key, int(begin.timestamp())), now)

    async def _async_take_ledger(self) -> None:
        """Take what is new in the ledger, a month at a time."""
        async with self._taking:
            await self._async_take()

    async def _async_take(self) -> None:
        ledger = self.history.ledger
        counts = tuple(sorted((m.meter, m.name, m.version) for m in ledger.months.values()))
        tenures = tuple((each.meter, each.since, each.scale) for each in ledger.tenures)
        version: Version = (counts, tenures)
        if version == self._version:
            return
        before, meters = ((), ()) if self._version is None else self._version
        changed = {name for _, name, _ in (set(counts) ^ set(before) if meters == tenures else counts)}
        months = {month.name: month for month in ledger.months.values()}
        for name in sorted(changed):
            for begin, until in parts_of_month(months[name].begin, months[name].days):
                for key, known in self._known.items():
                    if known.take(begin, until, energies(ledger, key, begin, until)):
                        day = datetime.fromtimestamp(begin, JST).date()
                        self._changes[day] += 1
                    await asyncio.sleep(0)
        for key, known in self._known.items():
            self._spans[key] = await self.hass.async_add_executor_job(span_of, known)
        self._version = version

    async def _async_write(self, pieces: Pieces) -> bool:
        """Write what has changed to the recorder; return whether each sensor has all its hours by now.

        Raises:
            RecorderUnavailableError: it cannot be asked at present.

        """
        whole = []
        for kind in KINDS:
            statistic_id = cost_entity_id(self.hass, self.entry, kind)
            if statistic_id is not None and is_recorded(self.hass, statistic_id):
                if kind not in self._rows or self._rows[kind].statistic_id != statistic_id:
                    self._rows[kind] = CostRows(self.hass, statistic_id, YEN)
                whole.append(await self._rows[kind].async_reconcile([piece for _, piece in pieces[kind]]))
        return all(whole)

    async def _async_pieces(self, contract: Contract, usage: Usage) -> Pieces:
        return {kind: await self._async_pieces_of(kind, contract, usage) for kind in DERIVED}

    async def _async_pieces_of(self, kind: str, contract: Contract, usage: Usage) -> list[tuple[Period, Piece]]:
        """Return the rows of all bills; those that nothing has changed of are known from the last time."""
        if self._derived_by is not contract:
            self._derived.clear()
            self._derived_by = contract
        if (known := self._spans.get(KINDS[kind])) is None:
            return []
        first, last = (at.astimezone(JST).date() for at in known)
        back = A_YEAR if has_demand_charge(contract) else DAY
        derive, job = partial(DERIVED[kind], is_spread=self._is_spread), self.hass.async_add_executor_job
        pieces = []
        for period in await job(periods, contract, first, last + DAY):
            made_of = known_part(period, known), self._changes_within(period, back)
            before, piece = self._derived.get((kind, period), (None, EMPTY))
            if before != made_of:
                piece = await job(derive, contract, usage, period, known)
                self._derived[kind, period] = made_of, piece
            pieces.append((period, piece))
        return pieces


def entities_of(contract: Contract) -> set[str]:
    """Return who tells prices."""
    markets = {plan.energy.entity for plan in contract.plans if isinstance(plan.energy, Market)}
    return {*markets, *(plan.fuel_entity for plan in contract.plans)} - {""}


def holidays_of_japan() -> Container[date]:
    """Return the public holidays; the library is loaded when it is first needed, which takes a moment."""
    from holidays import country_holidays  # noqa: PLC0415  # not in the event loop

    return country_holidays("JP")
