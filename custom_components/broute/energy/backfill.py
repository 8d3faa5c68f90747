"""The meter's history for the recorder: what is missing is found, read, and written; the arithmetic is history's."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from itertools import pairwise
import logging
from typing import TYPE_CHECKING, Any, Final, Self

from homeassistant.components.recorder.const import DOMAIN as RECORDER_DOMAIN
from homeassistant.components.recorder.db_schema import (
    Statistics,
    StatisticsMeta,
    StatisticsRuns,
    StatisticsShortTerm,
)
from homeassistant.components.recorder.models import (
    StatisticData,
    StatisticMeanType,
    StatisticMetaData,
    process_timestamp,
)
from homeassistant.components.recorder.statistics import async_import_statistics, get_metadata
from homeassistant.components.sensor import DOMAIN as SENSOR_DOMAIN
from homeassistant.const import EVENT_RECORDER_5MIN_STATISTICS_GENERATED, UnitOfEnergy
from homeassistant.core import callback
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.event import async_track_utc_time_change
from homeassistant.helpers.recorder import DATA_INSTANCE, get_instance, session_scope
from homeassistant.helpers.storage import Store
from homeassistant.util import dt as dt_util
from homeassistant.util.unit_conversion import EnergyConverter
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from ..aiobroute import (
    HALF_HOURS,
    HISTORY_DAYS,
    HISTORY_IN,
    JST,
    BRouteError,
    Counters,
    PropertyRefusedError,
)
from ..const import DOMAIN
from .source import HistoryUnavailableError, MeterSource
from .statistics import HOUR, Counter, Plan, Recorded, Row, plan

if TYPE_CHECKING:
    from homeassistant.components.recorder.core import Recorder
    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import Event, HomeAssistant
    from sqlalchemy.orm import Session

    from ..aiobroute import SmartMeter

_LOGGER = logging.getLogger(__name__)

KEYS: Final = ("energy_in", "energy_out")
"""Sensors with statistics, which are also names of what the meter counts."""

SPAN_HOURS: Final = 5
"""Full hours that the twelve half-hours of one answer always hold."""

EMPTY_DAYS: Final = 3
"""After so many days without any value the meter remembers nothing older; on a single one it had no power."""

LOOK_MINUTE: Final = 6
"""Of each hour: by then the recorder has made its rows, and a clock that is a little late shows the hour."""

SAVE_DELAY: Final = 10
"""Seconds; days come quicker than a memory card likes to be written."""

PERIOD: Final = timedelta(minutes=5)
"""What the recorder compiles at a time."""

FILLED: Final = timedelta(days=12)
"""The recorder fills in rows with the last state for the time in which it was off: ten days of it, by default."""

PROGRESS: Final = timedelta(days=7)
"""How much further back the history goes when that is told again: each change is a line under Activity."""

HALF_HOUR: Final = timedelta(minutes=30)

type Known = dict[datetime, Decimal]

type FirstRows = dict[str, datetime | None]
"""When the recorder's rows of each counter begin; `None` without any."""


@dataclass(frozen=True, slots=True)
class Covered:
    """A time of which all hours were compared with the meter."""

    start: datetime
    end: datetime
    oldest: Mapping[str, Known]
    """The first counters in it that the meter knows: what came before it is counted on up to there."""

    def as_dict(self) -> dict[str, Any]:
        """Return what can be stored."""
        oldest = {key: {time.isoformat(): str(state) for time, state in at.items()} for key, at in self.oldest.items()}
        return {"start": self.start.isoformat(), "end": self.end.isoformat(), "oldest": oldest}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Self:
        """Take what was stored."""
        oldest = {
            key: {datetime.fromisoformat(time): Decimal(state) for time, state in at.items()}
            for key, at in stored["oldest"].items()
        }
        return cls(datetime.fromisoformat(stored["start"]), datetime.fromisoformat(stored["end"]), oldest)


@dataclass(slots=True)
class Tally:
    """What an import did; hours of one direction."""

    read: int = 0
    imported: int = 0
    corrected: int = 0

    def add(self, made: Plan, there: set[datetime]) -> None:
        """Count what a plan makes of the hours that are there; an adjustment changes the first one alone."""
        changed = {row.start for row in made.rows}
        self.imported += len(changed - there)
        if made.adjustment is not None:
            changed.add(made.adjustment.start)
        self.corrected += len(changed & there)


@dataclass(slots=True)
class _Memory:
    """What is kept over a restart."""

    meter: str | None = None
    since: datetime | None = None
    oldest: datetime | None = None
    covered: list[Covered] = field(default_factory=list)
    rows: FirstRows = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        return {
            "meter": self.meter,
            "since": self.since and self.since.isoformat(),
            "oldest": self.oldest and self.oldest.isoformat(),
            "covered": [covered.as_dict() for covered in self.covered],
            "rows": {key: first and first.isoformat() for key, first in self.rows.items()},
        }

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Self:
        return cls(
            stored["meter"],
            stored["since"] and datetime.fromisoformat(stored["since"]),
            stored["oldest"] and datetime.fromisoformat(stored["oldest"]),
            [Covered.from_dict(covered) for covered in stored["covered"]],
            {key: first and datetime.fromisoformat(first) for key, first in stored["rows"].items()},
        )

    def lacks(self, rows: FirstRows) -> bool:
        """Return whether the recorder has less than was compared.

        It may have another database, or a sensor may have been switched off until now.
        """
        return any(
            key not in self.rows or ((before := self.rows[key]) is not None and (first is None or first > before))
            for key, first in rows.items()
        )

    def cover(self, new: Covered) -> None:
        """Take note that a time was compared; times that touch become one."""
        merged = new
        apart = []
        for old in self.covered:
            if old.end < merged.start or merged.end < old.start:
                apart.append(old)
            else:
                first, then = sorted((old, merged), key=lambda covered: covered.start)
                oldest = {key: first.oldest.get(key) or then.oldest.get(key, {}) for key in KEYS}
                merged = Covered(first.start, max(old.end, merged.end), oldest)
        self.covered = sorted([*apart, merged], key=lambda covered: covered.start)

    def forget(self, since: datetime) -> None:
        """Let the time since then be compared once more."""
        self.covered = [replace(old, end=min(old.end, since)) for old in self.covered if old.start < since]

    def newest_gap(self, floor: datetime, top: datetime) -> tuple[datetime, datetime] | None:
        """Return the newest time below `top` that was not compared."""
        for covered in reversed(self.covered):
            if covered.end < top:
                floor = max(covered.end, floor)
                break
            top = min(top, covered.start)
        return (floor, top) if floor < top else None

    def following(self, at: datetime) -> Mapping[str, Known]:
        """Return the first counters of a time that was compared and begins here."""
        return next((covered.oldest for covered in self.covered if covered.start == at), {})


def async_store(hass: HomeAssistant, entry_id: str) -> Store[dict[str, Any]]:
    """Return where an entry keeps what it has compared."""
    return Store(hass, 1, f"{DOMAIN}.{entry_id}.history")


class HistoryImport:
    """Keeps the recorder in line with one meter; the owner of the task that does it."""

    def __init__(self, hass: HomeAssistant, entry: ConfigEntry, source: MeterSource) -> None:
        """Do nothing yet."""
        self._hass = hass
        self._entry = entry
        self._coordinator = source
        self._store = async_store(hass, entry.entry_id)
        self._memory = _Memory()
        self._is_loaded = False
        self._wanted = asyncio.Event()
        self._turn = asyncio.Lock()
        self._meter: SmartMeter | None = None
        self._is_behind = True
        self._is_joined = True
        self._newest: dict[str, Known] = {}
        entry.async_on_unload(self._async_save)

    @callback
    def async_start(self) -> None:
        """Look now, once an hour, and after a connect if the last look failed, until the entry is unloaded."""
        if DATA_INSTANCE not in self._hass.data:
            _LOGGER.debug("No recorder, no history")
            return
        entry = self._entry
        entry.async_create_background_task(self._hass, self._async_run(), f"{entry.title} history")
        entry.async_on_unload(self._coordinator.async_add_listener(self._updated))
        entry.async_on_unload(
            async_track_utc_time_change(
                self._hass, callback(lambda _: self._wanted.set()), minute=LOOK_MINUTE, second=0
            )
        )
        entry.async_on_unload(
            self._hass.bus.async_listen(EVENT_RECORDER_5MIN_STATISTICS_GENERATED, self._recorder_compiled)
        )
        self._updated()

    async def async_import(self, first: date, last: date) -> dict[str, int]:
        """Compare days again, whatever was compared or corrected by hand; return what was done.

        Raises:
            HistoryUnavailableError: there is no connection to the meter, or no recorder.
            BRouteError: the meter did not answer.

        """
        if DATA_INSTANCE not in self._hass.data:
            raise HistoryUnavailableError("there is no recorder", "history_no_recorder")
        await self._async_load()
        tally = Tally()
        asked = 0
        for day in reversed(_days(first, last)):
            async with self._turn:
                top = _full_hour(dt_util.utcnow())
                start, end = _midnight(day), min(_midnight(day + timedelta(days=1)), top)
                found = await self._async_days(day, day + timedelta(days=1))
                asked += len(self._statistic_ids()) * max((end - start) // HOUR, 0)
                if start < end:
                    await self._async_take(found, start, end, tally, overrule=True)
        self._tell_oldest()
        return {
            "hours_read": tally.read,
            "imported": tally.imported,
            "corrected": tally.corrected,
            "without_value": asked - tally.read,
        }

    async def async_half_hours(self, first: date, last: date) -> list[dict[str, Any]]:
        """Return what flowed in each half-hour of some days, in order of time, in kWh.

        Raises:
            HistoryUnavailableError: there is no connection to the meter.
            BRouteError: the meter did not answer.

        """
        found = []
        for day in _days(first, last):
            async with self._turn:
                found += await self._async_days(day)
        if last < dt_util.utcnow().astimezone(JST).date():
            async with self._turn:
                found += await self._async_days(last + timedelta(days=1))
        return [
            {
                "start": before.start.isoformat(),
                **{key: _difference(getattr(before, key), getattr(after, key)) for key in KEYS},
            }
            for before, after in pairwise(found)
            if after.start - before.start == HALF_HOUR and before.start.date() <= last
        ]

    async def _async_days(self, *days: date) -> list[Counters]:
        """Return what the meter remembers of some days; nothing of those that it has forgotten or not seen."""
        found = []
        for day in days:
            async with self._coordinator.async_meter() as meter:
                try:
                    found += await meter.history.day(day)
                except PropertyRefusedError as err:
                    _LOGGER.debug("Nothing of %s: %s", day, err)
        return found

    @callback
    def _updated(self) -> None:
        """Look again when there is a new connection, if the last look failed: meters may share a dongle in turns."""
        meter = self._coordinator.meter
        if meter is not None and meter is not self._meter and self._is_behind:
            self._wanted.set()
        self._meter = meter

    @callback
    def _recorder_compiled(self, _: Event[Any]) -> None:
        """Join the recorder's first row to what was imported before it; a meter is not asked for that."""
        if not self._is_joined:
            self._wanted.set()

    async def _async_run(self) -> None:
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            self._is_behind = True
            try:
                await self._async_load()
                await self._async_look()
            except BRouteError as err:
                _LOGGER.debug("The history waits: %s", err)
            except SQLAlchemyError as err:
                _LOGGER.warning("The history waits, the recorder's database cannot be read: %s", err)
            else:
                self._is_behind = False
            self._tell_oldest()

    async def _async_load(self) -> None:
        """Recall what was compared before; once, by whoever needs it first."""
        async with self._turn:
            if not self._is_loaded:
                self._memory = await self._async_recalled()
                self._is_loaded = True
                self._tell_oldest()

    async def _async_recalled(self) -> _Memory:
        stored = await self._store.async_load()
        memory = _Memory() if stored is None else _Memory.from_dict(stored)
        recorder = await self._async_recorder()
        if memory.lacks(await recorder.async_add_executor_job(_first_rows, self._hass, self._statistic_ids())):
            memory.covered.clear()
        # Whatever is missing, the half-hours that were over last are shown again.
        memory.forget(_full_hour(dt_util.utcnow()) - HOUR)
        meter = self._entry.unique_id
        if memory.meter not in (None, meter):
            # Another meter took the place of the one that the recorder's rows are of.
            since = await recorder.async_add_executor_job(
                _end_of_rows, self._hass, list(self._statistic_ids().values())
            )
            memory = _Memory(since=since, oldest=memory.oldest)
        memory.meter = meter
        return memory

    async def _async_save(self) -> None:
        """Write what is to be kept; whoever removes the entry finds nothing that is still to be written."""
        if self._is_loaded:
            await self._store.async_save(self._memory.as_dict())

    async def _async_look(self) -> None:
        if not self._is_joined:
            async with self._turn:
                await self._async_reconcile(self._newest, Tally())
        profile = self._coordinator.profile
        if not profile.has(HISTORY_IN) or profile.unit is None:
            return
        top = _full_hour(dt_util.utcnow())
        floor = _day_start(top) - timedelta(days=HISTORY_DAYS)
        if self._memory.since is not None:
            floor = max(floor, self._memory.since)
        is_first = not self._memory.covered
        if is_first:
            _LOGGER.info("Importing what the meter remembers, newest day first")
        tally = Tally()
        empty = 0
        while (gap := self._memory.newest_gap(floor, top)) is not None:
            async with self._turn:
                start, end = gap
                async with self._coordinator.async_meter() as meter:
                    begin, found = await self._async_read(meter, start, end, is_recent=end == top)
                empty = 0 if found else empty + 1
                if end == top:
                    # What the meter does not show yet is looked for in an hour: its clock may be a little late.
                    end = top = min(top, max((_full_hour(counters.start) for counters in found), default=begin))
                    self._coordinator.async_remembered(found)
                elif empty == EMPTY_DAYS:
                    begin = start
                if begin < end:
                    await self._async_take(found, begin, end, tally)
        if is_first:
            _LOGGER.info("Imported %s hours; the history goes back to %s", tally.imported, self._memory.oldest)

    async def _async_read(
        self, meter: SmartMeter, start: datetime, end: datetime, *, is_recent: bool
    ) -> tuple[datetime, list[Counters]]:
        """Ask for the end of a gap, in as few exchanges as it takes; return from when on it is known, and what."""
        if is_recent and end - start <= SPAN_HOURS * HOUR and meter.profile.has(HALF_HOURS):
            try:
                length = 2 * ((end - start) // HOUR) + 1
                return start, await meter.history.half_hours(end.astimezone(JST), length)
            except PropertyRefusedError as err:
                _LOGGER.debug("Asking for the day instead: %s", err)
        day = _day_start(end - HOUR)
        try:
            return max(start, day), await meter.history.day(day.astimezone(JST).date())
        except PropertyRefusedError as err:
            _LOGGER.debug("Nothing older: %s", err)
            return start, []

    async def _async_take(
        self, found: Iterable[Counters], start: datetime, end: datetime, tally: Tally, *, overrule: bool = False
    ) -> None:
        """Write what was read of a time, and take note that it was compared."""
        told: dict[str, Known] = {key: {**self._memory.following(end).get(key, {})} for key in KEYS}
        for counters in found:
            for key in KEYS:
                state = getattr(counters, key)
                if state is not None and counters.start.minute == 0 and start <= counters.start <= end:
                    told[key][counters.start.astimezone(UTC)] = state
        known = {key: self._counter.plausible(states) for key, states in told.items()}
        await self._async_reconcile(known, tally, overrule=overrule)
        # What is noted as compared has to be in the database: nobody would look at it again.
        recorder = await self._async_recorder()
        self._memory.rows |= await recorder.async_add_executor_job(_first_rows, self._hass, self._statistic_ids())
        self._memory.cover(Covered(start, end, {key: _only(states, min) for key, states in known.items() if states}))
        self._newest = {key: _only(states, max) for key, states in known.items() if states}
        oldest = min((min(states) for states in known.values() if states), default=None)
        if oldest is not None and (self._memory.oldest is None or oldest < self._memory.oldest):
            self._memory.oldest = oldest
            last = self._coordinator.history_start
            if last is None or last - oldest >= PROGRESS:
                self._tell_oldest()
        self._store.async_delay_save(self._memory.as_dict, SAVE_DELAY)

    @callback
    def _tell_oldest(self) -> None:
        self._coordinator.history_start = self._memory.oldest
        self._coordinator.async_update_listeners()

    async def _async_reconcile(self, known: Mapping[str, Known], tally: Tally, *, overrule: bool = False) -> None:
        """Bring the recorder's rows into line with the meter's counters."""
        recorder = await self._async_recorder()
        self._is_joined = True
        for key, statistic_id in self._statistic_ids().items():
            if not (states := known.get(key)):
                continue
            # What was queued before has to be in the database, or it would be done twice.
            await recorder.async_block_till_done()
            unit, recorded = await recorder.async_add_executor_job(_read, self._hass, statistic_id, min(states))
            self._is_joined &= bool(recorded.running)
            made = plan(recorded, states, self._counter, overrule=overrule)
            tally.read += sum(time + HOUR in states for time in states)
            tally.add(made, {row.start for row in recorded.rows})
            _write(self._hass, statistic_id, unit, made)

    async def _async_recorder(self) -> Recorder:
        """Return the recorder, as soon as it has made the rows that it missed while it was off."""
        recorder = get_instance(self._hass)
        await recorder.async_recorder_ready.wait()
        await recorder.async_block_till_done()
        return recorder

    @property
    def _counter(self) -> Counter:
        profile = self._coordinator.profile
        span = None if profile.digits is None else profile.energy(10**profile.digits)
        return Counter(span, self._memory.since)

    def _statistic_ids(self) -> dict[str, str]:
        """Return the entities that have statistics; a person may have given them other names meanwhile."""
        registry = er.async_get(self._hass)
        found = {}
        for key in KEYS:
            entity_id = registry.async_get_entity_id(SENSOR_DOMAIN, DOMAIN, f"{self._entry.unique_id}_{key}")
            entity = None if entity_id is None else registry.async_get(entity_id)
            if entity is not None and not entity.disabled:
                found[key] = entity.entity_id
        return found


def _only(states: Known, choose: Callable[[Iterable[datetime]], datetime]) -> Known:
    """Return the first or the last one alone."""
    time = choose(states)
    return {time: states[time]}


def _full_hour(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), JST).astimezone(UTC)


def _days(first: date, last: date) -> list[date]:
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]


def _difference(before: Decimal | None, after: Decimal | None) -> float | None:
    """Return the energy between two counters; `None` where a counter is missing, or has begun again."""
    return None if before is None or after is None or after < before else float(after - before)


def _day_start(at: datetime) -> datetime:
    """Return the midnight in Japan before a time."""
    return _midnight(at.astimezone(JST).date())


def _read(hass: HomeAssistant, statistic_id: str, first: datetime) -> tuple[str, Recorded]:
    """Return the unit of a statistic, and its rows from just before a time on, in kWh."""
    metadata = get_metadata(hass, statistic_ids={statistic_id}).get(statistic_id)
    with session_scope(hass=hass, read_only=True) as session:
        run = session.execute(select(func.max(StatisticsRuns.start))).scalar()
        compiled = datetime.min.replace(tzinfo=UTC) if run is None else process_timestamp(run) + PERIOD
        if metadata is None:
            return UnitOfEnergy.KILO_WATT_HOUR, Recorded(rows=[], running=[], compiled=compiled)
        number, about = metadata
        unit = about["unit_of_measurement"] or UnitOfEnergy.KILO_WATT_HOUR
        to_kwh = EnergyConverter.converter_factory(unit, UnitOfEnergy.KILO_WATT_HOUR)
        begin = first - FILLED
        before = _rows(session, Statistics, number, to_kwh, last_before=begin)
        rows = before + _rows(session, Statistics, number, to_kwh, since=begin)
        running = []
        if rows:
            running = _rows(session, StatisticsShortTerm, number, to_kwh, since=rows[-1].start)
        if not running:
            running = _rows(session, StatisticsShortTerm, number, to_kwh, last_before=datetime.max.replace(tzinfo=UTC))
    return unit, Recorded(rows=rows, running=running, compiled=compiled)


def _rows(
    session: Session,
    table: type[Statistics | StatisticsShortTerm],
    number: int,
    to_kwh: Callable[[float], float],
    *,
    since: datetime | None = None,
    last_before: datetime | None = None,
) -> list[Row]:
    """Return the rows from a time on, or the last one before it."""
    query = select(table.start_ts, table.state, table.sum).where(table.metadata_id == number)
    if since is not None:
        query = query.where(table.start_ts >= since.timestamp()).order_by(table.start_ts)
    if last_before is not None:
        query = query.where(table.start_ts < last_before.timestamp()).order_by(table.start_ts.desc()).limit(1)
    return [
        Row(dt_util.utc_from_timestamp(start), _exact(to_kwh(state)), _exact(to_kwh(total)))
        for start, state, total in session.execute(query).tuples()
        if start is not None and state is not None and total is not None
    ]


def _exact(energy: float) -> Decimal:
    """Return the decimal number that a binary one stands for."""
    return Decimal(repr(round(energy, 6)))


def _first_rows(hass: HomeAssistant, statistic_ids: Mapping[str, str]) -> FirstRows:
    with session_scope(hass=hass, read_only=True) as session:
        found = session.execute(
            select(StatisticsMeta.statistic_id, func.min(Statistics.start_ts))
            .join(Statistics, Statistics.metadata_id == StatisticsMeta.id)
            .where(StatisticsMeta.statistic_id.in_(statistic_ids.values()))
            .group_by(StatisticsMeta.statistic_id)
        )
        begins = dict(found.tuples().all())
    firsts = {key: begins.get(statistic_id) for key, statistic_id in statistic_ids.items()}
    return {key: None if first is None else dt_util.utc_from_timestamp(first) for key, first in firsts.items()}


def _end_of_rows(hass: HomeAssistant, statistic_ids: Iterable[str]) -> datetime | None:
    numbers = [number for number, _ in get_metadata(hass, statistic_ids=set(statistic_ids)).values()]
    with session_scope(hass=hass, read_only=True) as session:
        last = session.execute(
            select(func.max(Statistics.start_ts)).where(
                Statistics.metadata_id.in_(numbers), Statistics.sum.is_not(None)
            )
        ).scalar()
    return None if last is None else dt_util.utc_from_timestamp(last) + HOUR


def _write(hass: HomeAssistant, statistic_id: str, unit: str, made: Plan) -> None:
    """Queue what was planned; the recorder keeps the order."""
    recorder = get_instance(hass)
    if (adjustment := made.adjustment) is not None:
        _LOGGER.debug("%s: %s kWh from %s on", statistic_id, adjustment.energy, adjustment.start)
        recorder.async_adjust_statistics(
            statistic_id, adjustment.start, float(adjustment.energy), UnitOfEnergy.KILO_WATT_HOUR
        )
    if not made.rows:
        return
    _LOGGER.debug("%s: %s hours from %s on", statistic_id, len(made.rows), made.rows[0].start)
    from_kwh = EnergyConverter.converter_factory(UnitOfEnergy.KILO_WATT_HOUR, unit)
    async_import_statistics(
        hass,
        StatisticMetaData(
            mean_type=StatisticMeanType.NONE,
            has_sum=True,
            name=None,
            source=RECORDER_DOMAIN,
            statistic_id=statistic_id,
            unit_class=EnergyConverter.UNIT_CLASS,
            unit_of_measurement=unit,
        ),
        [
            StatisticData(start=row.start, state=from_kwh(float(row.state)), sum=from_kwh(float(row.sum)))
            for row in made.rows
        ],
    )
