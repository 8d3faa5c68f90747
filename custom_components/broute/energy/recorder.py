"""The recorder's rows brought into line with the ledger: compared, written, read back and compared again.

Together with price_history.py, which only reads, the only file that touches the recorder and its tables.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from itertools import batched
import logging
from typing import TYPE_CHECKING, Any, Final, override

from homeassistant.components.recorder.const import DOMAIN as RECORDER_DOMAIN
from homeassistant.components.recorder.db_schema import (
    RecorderRuns,
    Statistics,
    StatisticsRuns,
    StatisticsShortTerm,
)
from homeassistant.components.recorder.entity_options import is_entity_recorded
from homeassistant.components.recorder.models import (
    StatisticData,
    StatisticMeanType,
    StatisticMetaData,
    process_timestamp,
)
from homeassistant.components.recorder.statistics import async_import_statistics, get_metadata
from homeassistant.components.recorder.tasks import RecorderTask, SynchronizeTask
from homeassistant.const import UnitOfEnergy
from homeassistant.helpers.recorder import DATA_INSTANCE, get_instance, session_scope
from homeassistant.util import dt as dt_util
from homeassistant.util.unit_conversion import EnergyConverter
from sqlalchemy import BigInteger, bindparam, cast as sql_cast, delete, func, insert, literal_column, select, update
from sqlalchemy.exc import SQLAlchemyError

from .continued import Former, adopted
from .ledger import MICRO, Ledger
from .statistics import (
    CHUNK,
    HOUR,
    NOTHING,
    PERIOD,
    Chunk,
    Derivation,
    Row,
    Summary,
    Wanted,
    begin_of,
    chunk_of,
    corrections_of,
    differences,
    first_of,
    offset_of,
    running,
    shift_of,
    summary_of,
    surplus,
)

if TYPE_CHECKING:
    from datetime import datetime

    from homeassistant.components.recorder.core import Recorder
    from homeassistant.core import HomeAssistant
    from sqlalchemy import ColumnElement
    from sqlalchemy.orm import Session

_LOGGER = logging.getLogger(__name__)

PATIENCE: Final = 60
"""Seconds to wait for the recorder; it may be in the middle of a backup, a migration or a repair."""

ROUNDS: Final = 3
"""How often in a row it is written; the recorder may make a row of its own meanwhile."""

BATCH: Final = 240
"""Rows that are queued at a time, so that neither the event loop nor the recorder is held up."""

NEWEST: Final = 3000
"""Rows of five minutes; the recorder keeps those of ten days."""

RECENT: Final = 2
"""Chunks whose rows may still change; those before them are only looked at one by one if their total has changed."""

FAR: Final = 1 << 40
"""Seconds since 1970; after all rows."""

type Summaries = Mapping[int, Summary]

type Total = tuple[Any, ...]
"""Of all rows before some time: unit, what they begin with, number, and sums of the values by the database."""


class RecorderUnavailableError(Exception):
    """The recorder is not there, not ready, or its database cannot be read at present."""


@dataclass(frozen=True, slots=True)
class Span:
    """Which rows are of interest."""

    first: int
    """When the rows that are derived begin; 0 if there are none."""
    since: int
    """The first chunk of interest."""
    border: int
    """Where the recent chunks begin; 0 if all are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """What the recorder has of one statistic, in brief."""

    unit: str
    compiled: int
    """Up to here the recorder has made its own rows."""
    run: float | None
    """When the present run of Home Assistant began, by the database: another database has another one."""
    runs: frozenset[float]
    """All runs that it knows of."""
    total: Total | None
    """Of the rows before the recent chunks, if that was asked for."""
    is_past_known: bool
    """Whether that is what was expected; if so, there are no summaries of these rows."""
    summaries: Summaries
    before: Row | None
    """The last row of an hour before these begin."""
    latest: Row | None
    """The last row of five minutes, from which the recorder counts on."""

    def summary(self, chunk: Chunk) -> Summary:
        """Return that of the rows of a chunk."""
        return self.summaries.get(chunk.begin, summary_of(chunk.begin, ()))


@dataclass(frozen=True, slots=True)
class Verified:
    """That all rows of hours up to some time, and what the recorder counts on from, were seen to be right."""

    until: int
    run: float
    """In which run of Home Assistant: a database without this run is another one."""


@dataclass(frozen=True, slots=True)
class Past:
    """All but the recent chunks: what was wanted, and what the recorder had, when both were compared last."""

    chunks: Sequence[Chunk]
    total: Total


@dataclass(slots=True)
class Changes:
    """What was changed; hours of both directions."""

    imported: int = 0
    corrected: int = 0


@dataclass(slots=True)
class Reconciler:
    """Makes the rows of one statistic true."""

    hass: HomeAssistant
    key: str
    verified: Verified | None = None
    is_right: bool = False
    """Whether everything was right when it was looked at last."""
    _offset: int = 0
    """What the sums began with when they were looked at last."""
    _derivation: Derivation = field(init=False)
    _recalled: set[tuple[str, int]] = field(default_factory=set)
    """Of which meters, and from when on, the recorder was asked for what the ledger has not."""
    _settled: dict[int, tuple[Summary, Summary]] = field(default_factory=dict)
    """Chunks of which the recorder has more than the ledger: what was wanted, and what was there when it was right."""
    _past: Past | None = None
    """As it was when everything was right."""
    _seen: Past | None = None
    """As it was looked at last."""

    def __post_init__(self) -> None:
        """Derive everything anew."""
        self._derivation = Derivation(self.key)

    async def async_reconcile(
        self, ledger: Ledger, statistic_id: str, changes: Changes, *, overrule: bool = False
    ) -> None:
        """Compare, write and read back until everything is right, or the recorder does not take it.

        Raises:
            RecorderUnavailableError: the recorder cannot be asked at present.

        """
        self.is_right = False
        if not is_entity_recorded(self.hass, statistic_id):
            self.is_right = True
            return
        await self._async_recall(ledger, statistic_id)
        await self._async_adopt(ledger, statistic_id)
        since = 0
        for _ in range(ROUNDS):
            wanted, overview = await self._async_look(ledger, statistic_id, since)
            if wanted.begin is None:
                self.is_right = True
                return
            different = self._different(wanted, overview, since)
            there = await self._async_rows(statistic_id, different)
            if not overrule and self._take_corrections(ledger, wanted, overview, different, there):
                continue
            rows = await _async_missing(wanted, different, there)
            gone = sorted({start for each in different for start in surplus(wanted, each, there[each.begin])})
            short = await self._async_short(ledger, statistic_id, wanted, overview)
            if not rows and not short and not gone:
                self._settle(wanted, overview, different)
                self._forget_continued(ledger, wanted)
                return
            known = {row.start for rows in there.values() for row in rows}
            changes.imported += sum(row.start not in known for row in rows)
            changes.corrected += sum(row.start in known for row in rows)
            if gone:
                get_instance(self.hass).queue_task(RemoveTask(statistic_id, gone))
            await self._async_write(statistic_id, overview.unit, rows, short)
            # Only what was written is read back: all else has just been compared.
            since = chunk_of(min([*gone, *(row.start for row in rows)], default=wanted.until))

    async def _async_recall(self, ledger: Ledger, statistic_id: str) -> None:
        """Take from the recorder what the ledger had and lost: a damaged month that no meter remembers any more."""
        for lost in ledger.lost(self.key, int(dt_util.utcnow().timestamp())):
            place = (lost.tenure.meter, lost.begin)
            if place not in self._recalled:
                rows = await async_read(self.hass, _hours, statistic_id, lost.begin - HOUR, lost.end)
                self._recalled.add(place)
                ledger.recall(self.key, lost, {row.start + HOUR: row.state for row in rows})

    async def async_check(self, ledger: Ledger, statistic_id: str) -> bool:
        """Return whether the recorder counts on from the truth, which is quickly seen.

        Raises:
            RecorderUnavailableError: the recorder cannot be asked at present.

        """
        if not self.is_right or not is_entity_recorded(self.hass, statistic_id):
            return self.is_right
        wanted = Wanted(await self._async_chunks(ledger), self._offset, 0, ledger.continued.get(self.key))
        if wanted.first is None:
            return True
        latest = await async_read(self.hass, _newest, statistic_id, 1)
        return any(_is_right(shift_of(wanted, row)) for row in latest)

    async def async_first(self, ledger: Ledger) -> int | None:
        """Return the time of the first counter of the ledger that can be true."""
        first = first_of(await self._async_chunks(ledger))
        return None if first is None else first.at

    def _forget_continued(self, ledger: Ledger, wanted: Wanted) -> None:
        """Do not look any more after hours that were copied and are gone again."""
        continued = wanted.continued
        if continued is not None and continued.statistic_id is None and continued is ledger.continued.get(self.key):
            ledger.begin_with(self.key, None)

    async def _async_adopt(self, ledger: Ledger, statistic_id: str) -> None:
        """Take in what the recorder has between the hours before the ledger and its begin: months may have got lost."""
        continued, first = ledger.continued.get(self.key), await self.async_first(ledger)
        if continued is None or first is None or first - HOUR < continued.end:
            return
        rows = await async_read(self.hass, _hours, statistic_id, continued.begin, first - HOUR + 1)
        if (more := adopted(continued, rows)) is not None and continued is ledger.continued.get(self.key):
            ledger.begin_with(self.key, more)

    async def _async_chunks(self, ledger: Ledger) -> list[Chunk]:
        return await self._derivation.chunks(ledger, int(dt_util.utcnow().timestamp()))

    async def _async_look(self, ledger: Ledger, statistic_id: str, since: int) -> tuple[Wanted, Overview]:
        continued, chunks = ledger.continued.get(self.key), await self._async_chunks(ledger)
        first = first_of(chunks)
        begin = begin_of(continued, first)
        past = chunks[:-RECENT]
        border = chunks[-RECENT].begin if past else 0
        expected = self._past.total if self._past is not None and self._past.chunks == past else None
        await async_written(self.hass)
        span = Span(0 if begin is None else begin, since, border)
        overview = await async_read(self.hass, _overview, statistic_id, span, expected)
        # Of the same meter are those only that the ledger follows right away.
        self._offset = offset_of(overview.before, first if first is not None and first.at == begin else None)
        if overview.total is not None:
            self._seen = Past(past, overview.total)
        return Wanted(chunks, self._offset, overview.compiled, continued), overview

    def _different(self, wanted: Wanted, overview: Overview, since: int) -> list[Chunk]:
        """Return the chunks from some time on in which the recorder has something else, in order of time."""
        different = []
        chunks = wanted.chunks[-RECENT:] if overview.is_past_known else wanted.chunks
        for chunk in (chunk for chunk in chunks if chunk.begin >= since):
            due = chunk.summary(wanted.offset, wanted.until)
            there = overview.summary(chunk)
            settled = self._settled.get(chunk.begin)
            if not due.is_like(there) and not (settled is not None and _are_like(settled, (due, there))):
                different.append(chunk)
        return different

    def _settle(self, wanted: Wanted, overview: Overview, different: Iterable[Chunk]) -> None:
        """Take note that everything is right; chunks that differ all the same have rows that the ledger has not."""
        for chunk in different:
            there = overview.summary(chunk)
            self._settled[chunk.begin] = (chunk.summary(wanted.offset, wanted.until), there)
        self._past = self._seen
        self.is_right = True
        self.verified = None if overview.run is None else Verified(wanted.until, overview.run)

    def _take_corrections(
        self,
        ledger: Ledger,
        wanted: Wanted,
        overview: Overview,
        different: Iterable[Chunk],
        there: Mapping[int, list[Row]],
    ) -> bool:
        """Keep what a person has corrected since everything was right; return whether there is anything."""
        shift = None if overview.latest is None else shift_of(wanted, overview.latest)
        if self.verified is None or self.verified.run not in overview.runs or shift is None:
            return False
        due = [row for chunk in different for row in wanted.rows(chunk)]
        recorded = {row.start: row for rows in there.values() for row in rows}
        boundaries = [tenure.since for tenure in ledger.tenures if tenure.since is not None]
        found = corrections_of(due, recorded, boundaries, self.verified.until, shift)
        for hour, energy in found.items():
            _LOGGER.debug("%s: corrected by hand from %s", self.key, dt_util.utc_from_timestamp(hour))
            ledger.correct(self.key, hour, energy)
        return bool(found)

    async def _async_rows(self, statistic_id: str, chunks: Iterable[Chunk]) -> dict[int, list[Row]]:
        """Return what the recorder has in some chunks."""
        return {
            chunk.begin: await async_read(self.hass, _hours, statistic_id, chunk.compared_from, chunk.begin + CHUNK)
            for chunk in chunks
        }

    async def _async_short(self, ledger: Ledger, statistic_id: str, wanted: Wanted, overview: Overview) -> list[Row]:
        """Return the rows of five minutes that have to be written."""
        if overview.latest is not None and _is_right(shift_of(wanted, overview.latest)):
            return []
        newest = await async_read(self.hass, _newest, statistic_id, NEWEST)
        return running(wanted, newest, ledger.tenures[-1].since, overview.compiled - PERIOD)

    async def _async_write(self, statistic_id: str, unit: str, hours: list[Row], short: list[Row]) -> None:
        """Queue rows, some at a time; the recorder keeps the order."""
        metadata = _metadata(statistic_id, unit)
        if hours:
            since = dt_util.utc_from_timestamp(hours[0].start)
            _LOGGER.debug("%s: %s hours from %s on", statistic_id, len(hours), since)
        for some in batched(hours, BATCH, strict=False):
            async_import_statistics(self.hass, metadata, _data(some, unit))
            await asyncio.sleep(0)
        if short:
            _LOGGER.debug("%s: the recorder is made to count on from %s", statistic_id, short[-1])
        for some in batched(short, BATCH, strict=False):
            get_instance(self.hass).async_import_statistics(metadata, _data(some, unit), StatisticsShortTerm)
            await asyncio.sleep(0)


def has_recorder(hass: HomeAssistant) -> bool:
    """Return whether there is a recorder."""
    return DATA_INSTANCE in hass.data


def is_recorded(hass: HomeAssistant, entity_id: str) -> bool:
    """Return whether the recorder keeps an entity."""
    return has_recorder(hass) and is_entity_recorded(hass, entity_id)


async def async_written(hass: HomeAssistant) -> None:
    """Return when the recorder has made the rows that it missed while it was off, and written what was queued so far.

    Raises:
        RecorderUnavailableError: it takes too long.

    """
    recorder = get_instance(hass)
    try:
        async with asyncio.timeout(PATIENCE):
            await recorder.async_recorder_ready.wait()
    except TimeoutError:
        raise RecorderUnavailableError("the recorder is not ready") from None
    written: asyncio.Future[None] = hass.loop.create_future()
    recorder.queue_task(SynchronizeTask(written))
    backlog = recorder.backlog + 1
    while not written.done() and recorder.backlog < backlog:
        # As long as it gets on, it only has much to do.
        backlog = recorder.backlog
        await asyncio.wait({written}, timeout=PATIENCE)
    if not written.done():
        raise RecorderUnavailableError("the recorder does not get to writing")


async def async_read[*Ts, T](hass: HomeAssistant, read: Callable[[HomeAssistant, *Ts], T], *arguments: *Ts) -> T:
    """Return what a function finds in the database; it runs in one of the recorder's threads.

    Raises:
        RecorderUnavailableError: the recorder cannot be asked at present.

    """
    stopped = RecorderUnavailableError("the recorder has stopped")
    try:
        job = get_instance(hass).async_add_executor_job(read, hass, *arguments)
    except RuntimeError:  # Its threads have ended.
        raise stopped from None
    try:
        return await job
    except SQLAlchemyError as err:
        raise RecorderUnavailableError(f"the recorder's database cannot be read: {type(err).__name__}") from err
    except asyncio.CancelledError:
        # A recorder that stops cancels what is not begun, which must not look as if this task was cancelled.
        if (task := asyncio.current_task()) is None or task.cancelling():
            raise
        raise stopped from None


async def _async_missing(wanted: Wanted, chunks: Iterable[Chunk], there: Mapping[int, list[Row]]) -> list[Row]:
    """Return the rows that have to be written."""
    missing = []
    for chunk in chunks:
        later = (each.first for each in wanted.chunks if each.begin > chunk.begin and each.first is not None)
        following = next(later, None)
        if following is not None:
            following = Row(following.start, following.state, following.sum + wanted.offset)
        missing += differences(wanted, chunk, there[chunk.begin], following)
        await asyncio.sleep(0)
    return missing


def _is_right(shift: int | None) -> bool:
    return shift is not None and abs(shift) <= NOTHING


def _are_like(before: tuple[Summary, Summary], now: tuple[Summary, Summary]) -> bool:
    return all(one.is_like(other) for one, other in zip(before, now, strict=True))


def _metadata(statistic_id: str, unit: str, unit_class: str | None = EnergyConverter.UNIT_CLASS) -> StatisticMetaData:
    return StatisticMetaData(
        mean_type=StatisticMeanType.NONE,
        has_sum=True,
        name=None,
        source=RECORDER_DOMAIN,
        statistic_id=statistic_id,
        unit_class=unit_class,
        unit_of_measurement=unit,
    )


def _data(rows: Iterable[Row], unit: str) -> list[StatisticData]:
    from_kwh = EnergyConverter.converter_factory(UnitOfEnergy.KILO_WATT_HOUR, unit)
    return [
        StatisticData(
            start=dt_util.utc_from_timestamp(row.start),
            state=from_kwh(row.state / MICRO),
            sum=from_kwh(row.sum / MICRO),
        )
        for row in rows
    ]


def _overview(hass: HomeAssistant, statistic_id: str, span: Span, expected: Total | None) -> Overview:
    """Read what is there, in brief; `expected` is the total of the past that needs no closer look."""
    metadata = get_metadata(hass, statistic_ids={statistic_id}).get(statistic_id)
    number, unit = _identified(metadata)
    before: Row | None = None
    summaries: Summaries = {}
    total: Total | None = None
    with reading(hass) as session:
        compiled = _compiled(session)
        starts = frozenset(_timestamp(start) for start in session.execute(select(RecorderRuns.start)).scalars())
        latest = _last(session, StatisticsShortTerm, number, unit)
        begin = span.first - HOUR + 1
        if span.first:
            before = _last(session, Statistics, number, unit, until=begin)
        if span.since < span.border <= compiled:
            # Before the summaries: what changes in between is in these, or seen to have changed the next time.
            total = (unit, before, *_added_up(session, number, begin, span.border))
        is_past_known = total is not None and total == expected
        if span.first:
            begin = max(begin, span.since, span.border if is_past_known else 0)
            summaries = _summaries(session, number, unit, begin, compiled - HOUR + 1)
    return Overview(
        unit=unit,
        compiled=compiled,
        run=max(starts, default=None),
        runs=starts,
        total=total,
        is_past_known=is_past_known,
        summaries=summaries,
        before=before,
        latest=latest,
    )


def reading(hass: HomeAssistant) -> AbstractContextManager[Session]:
    """Return a session in which nothing is written."""
    return session_scope(hass=hass, read_only=True)


def _compiled(session: Session) -> int:
    """Return up to when the recorder has compiled: a row of an hour that came earlier would cost others theirs."""
    run = session.execute(select(func.max(StatisticsRuns.start))).scalar()
    return 0 if run is None else int(_timestamp(run)) + PERIOD


def _timestamp(time: datetime) -> float:
    return process_timestamp(time).timestamp()


def _identified(metadata: tuple[int, StatisticMetaData] | None) -> tuple[int, str]:
    """Return the number and the unit of a statistic; of one that is not there yet, those that it will have."""
    if metadata is None:
        return -1, UnitOfEnergy.KILO_WATT_HOUR
    number, about = metadata
    return number, about["unit_of_measurement"] or UnitOfEnergy.KILO_WATT_HOUR


def _hours(hass: HomeAssistant, statistic_id: str, begin: int, end: int) -> list[Row]:
    """Read the rows of the hours that begin within some time."""
    metadata = get_metadata(hass, statistic_ids={statistic_id}).get(statistic_id)
    with reading(hass) as session:
        return _rows(session, Statistics, *_identified(metadata), since=begin, until=end)


def _newest(hass: HomeAssistant, statistic_id: str, number: int) -> list[Row]:
    """Read the newest rows of five minutes."""
    metadata = get_metadata(hass, statistic_ids={statistic_id}).get(statistic_id)
    with reading(hass) as session:
        return _rows(session, StatisticsShortTerm, *_identified(metadata), newest=number)


def _rows(
    session: Session,
    table: type[Statistics | StatisticsShortTerm],
    number: int,
    unit: str,
    *,
    since: int | None = None,
    until: int | None = None,
    newest: int | None = None,
) -> list[Row]:
    """Return rows that begin from one time on and before another, or the newest of them, in order of time."""
    query = select(table.start_ts, table.state, table.sum).where(
        table.metadata_id == number, table.state.is_not(None), table.sum.is_not(None)
    )
    if since is not None:
        query = query.where(table.start_ts >= since)
    if until is not None:
        query = query.where(table.start_ts < until)
    query = query.order_by(table.start_ts.desc())
    if newest is not None:
        query = query.limit(newest)
    to_micro = _to_micro(unit)
    found: list[Any] = list(session.execute(query).all())
    return [Row(int(start), to_micro(state), to_micro(total)) for start, state, total in reversed(found)]


def _last(
    session: Session, table: type[Statistics | StatisticsShortTerm], number: int, unit: str, *, until: int | None = None
) -> Row | None:
    """Return the newest row, or the last one that begins before some time."""
    return next(iter(_rows(session, table, number, unit, until=until, newest=1)), None)


def _added_up(session: Session, number: int, since: int, until: int) -> Sequence[Any]:
    weighted = func.sum(Statistics.sum * Statistics.start_ts)
    query = select(func.count(), func.sum(Statistics.sum), func.sum(Statistics.state), weighted)
    return session.execute(query.where(*_is_whole(number, since, until))).one()


def _summaries(session: Session, number: int, unit: str, since: int, until: int) -> Summaries:
    start = sql_cast(Statistics.start_ts, BigInteger)
    # Written out, as databases compare the text of what is selected with that of what is grouped by.
    length = literal_column(str(CHUNK), BigInteger)
    chunk = start // length
    weighted = func.sum(Statistics.sum * (start % length) / HOUR)
    query = select(chunk, func.count(), func.sum(Statistics.sum), func.sum(Statistics.state), weighted)
    factor = EnergyConverter.converter_factory(unit, UnitOfEnergy.KILO_WATT_HOUR)(1.0) * MICRO
    return {
        int(number) * CHUNK: Summary(int(count), sums * factor, states * factor, weighted * factor)
        for number, count, sums, states, weighted in session.execute(
            query.where(*_is_whole(number, since, until)).group_by(chunk)
        )
    }


def _is_whole(number: int, since: int, until: int) -> Sequence[ColumnElement[bool]]:
    """Return what the rows of a statistic that begin within some time fulfil, if they have both values."""
    table = Statistics
    return (
        table.metadata_id == number,
        table.start_ts >= since,
        table.start_ts < until,
        table.state.is_not(None),
        table.sum.is_not(None),
    )


def _to_micro(unit: str) -> Callable[[float], int]:
    to_kwh = EnergyConverter.converter_factory(unit, UnitOfEnergy.KILO_WATT_HOUR)
    return lambda energy: round(to_kwh(energy) * MICRO)


async def async_sums(hass: HomeAssistant) -> dict[str, str | None]:
    """Return all statistics of energies that are added up, each with its name if it has one of its own.

    Raises:
        RecorderUnavailableError: the recorder cannot be asked at present.

    """
    return await async_read(hass, _sums)


def _sums(hass: HomeAssistant) -> dict[str, str | None]:
    found = get_metadata(hass, statistic_type="sum").items()
    return {
        statistic_id: about["name"]
        for statistic_id, (_, about) in sorted(found)
        if about["unit_of_measurement"] in EnergyConverter.VALID_UNITS
    }


async def async_former(hass: HomeAssistant, statistic_id: str, until: int) -> list[Former]:
    """Return the hours of any statistic of energy that begin before some time; its unit is taken as it is now.

    Raises:
        RecorderUnavailableError: the recorder cannot be asked at present.

    """
    return await async_read(hass, _former, statistic_id, until)


def _former(hass: HomeAssistant, statistic_id: str, until: int) -> list[Former]:
    metadata = get_metadata(hass, statistic_ids={statistic_id}).get(statistic_id)
    if metadata is None or metadata[1]["unit_of_measurement"] not in EnergyConverter.VALID_UNITS:
        return []
    number, unit = _identified(metadata)
    query = (
        select(Statistics.start_ts, Statistics.sum)
        .where(Statistics.metadata_id == number, Statistics.sum.is_not(None), Statistics.start_ts < until)
        .order_by(Statistics.start_ts)
    )
    to_micro = _to_micro(unit)
    with reading(hass) as session:
        return [Former(int(start), to_micro(total)) for start, total in session.execute(query).all()]


async def async_hours(hass: HomeAssistant, statistic_id: str, begin: int, end: int) -> list[Row]:
    """Return the rows of a statistic of ours of the hours that begin within some time.

    Raises:
        RecorderUnavailableError: the recorder cannot be asked at present.

    """
    return await async_read(hass, _hours, statistic_id, begin, end)


async def async_compiled(hass: HomeAssistant) -> int:
    """Return up to when the recorder has compiled; what ends later is not to be written yet.

    Raises:
        RecorderUnavailableError: the recorder cannot be asked at present.

    """
    return await async_read(hass, _own_compiled)


def _own_compiled(hass: HomeAssistant) -> int:
    with reading(hass) as session:
        return _compiled(session)


async def async_own_summaries(hass: HomeAssistant, statistic_id: str) -> Summaries:
    """Return the chunks of a statistic of ours whose sums are its states, in millionths of its unit.

    Raises:
        RecorderUnavailableError: the recorder cannot be asked at present.

    """
    return await async_read(hass, _own_summaries, statistic_id)


async def async_own_rows(hass: HomeAssistant, statistic_id: str, begin: int, end: int) -> dict[int, int]:
    """Return the sums of the hours of such a statistic that begin within some time.

    Raises:
        RecorderUnavailableError: the recorder cannot be asked at present.

    """
    return await async_read(hass, _own_rows, statistic_id, begin, end)


def _own_summaries(hass: HomeAssistant, statistic_id: str) -> Summaries:
    metadata = get_metadata(hass, statistic_ids={statistic_id}).get(statistic_id)
    if metadata is None:
        return {}
    with reading(hass) as session:
        return _summaries(session, metadata[0], UnitOfEnergy.KILO_WATT_HOUR, 0, FAR)


def _own_rows(hass: HomeAssistant, statistic_id: str, begin: int, end: int) -> dict[int, int]:
    metadata = get_metadata(hass, statistic_ids={statistic_id}).get(statistic_id)
    if metadata is None:
        return {}
    with reading(hass) as session:
        rows = _rows(session, Statistics, metadata[0], UnitOfEnergy.KILO_WATT_HOUR, since=begin, until=end)
    return {row.start: row.sum for row in rows}


async def async_write_own(hass: HomeAssistant, statistic_id: str, unit: str, rows: Sequence[Row]) -> None:
    """Queue hours of such a statistic, some at a time, in order of time."""
    metadata = _metadata(statistic_id, unit, None)
    for some in batched(rows, BATCH, strict=False):
        get_instance(hass).queue_task(WriteTask(metadata, some))
        await asyncio.sleep(0)


async def async_count_on(hass: HomeAssistant, statistic_id: str, unit: str, total: int) -> bool:
    """Write the row from which the recorder counts on with the sensor's own values; return whether one was written.

    It adds to the last sum by how much the value has changed; so one row with both alike is enough. Where there is none
    yet, it begins with `total`.

    Raises:
        RecorderUnavailableError: the recorder cannot be asked at present.

    """
    last = await async_read(hass, _counted, statistic_id, total)
    if last is None or abs(last.state - last.sum) <= NOTHING:
        return False
    row = StatisticData(start=dt_util.utc_from_timestamp(last.start), state=last.state / MICRO, sum=last.state / MICRO)
    get_instance(hass).async_import_statistics(_metadata(statistic_id, unit, None), [row], StatisticsShortTerm)
    return True


def _counted(hass: HomeAssistant, statistic_id: str, total: int) -> Row | None:
    """Return the last row of five minutes; one that is still to be made has no sum yet."""
    metadata = get_metadata(hass, statistic_ids={statistic_id}).get(statistic_id)
    with reading(hass) as session:
        unit = UnitOfEnergy.KILO_WATT_HOUR
        if metadata is not None and (last := _last(session, StatisticsShortTerm, metadata[0], unit)) is not None:
            return last
        run = session.execute(select(func.max(StatisticsRuns.start))).scalar()
    return None if run is None else Row(int(_timestamp(run)), total, 0)


@dataclass(slots=True)
class WriteTask(RecorderTask):
    """Gives hours their sums, all in one or two statements: the recorder itself does it row by row."""

    metadata: StatisticMetaData
    rows: Sequence[Row]
    """In order of time."""

    @override
    def run(self, instance: Recorder) -> None:
        """Change the rows that are there and add the others, in the recorder's own thread."""
        manager, statistic_id = instance.statistics_meta_manager, self.metadata["statistic_id"]
        table, now = Statistics, dt_util.utcnow().timestamp()
        change = (
            update(table)
            .where(table.metadata_id == bindparam("number"), table.start_ts == bindparam("at"))
            .values(state=bindparam("total"), sum=bindparam("total"))
        )
        with session_scope(session=instance.get_session()) as session:
            before = manager.get_many(session, statistic_ids={statistic_id})
            _, number = manager.update_or_add(session, self.metadata, before)
            limits = table.start_ts >= self.rows[0].start, table.start_ts <= self.rows[-1].start
            known = set(session.execute(select(table.start_ts).where(table.metadata_id == number, *limits)).scalars())
            changed = [
                {"number": number, "at": row.start, "total": row.sum / MICRO} for row in self.rows if row.start in known
            ]
            added = [
                {
                    "metadata_id": number,
                    "created_ts": now,
                    "start_ts": row.start,
                    "state": row.sum / MICRO,
                    "sum": row.sum / MICRO,
                }
                for row in self.rows
                if row.start not in known
            ]
            if changed:
                session.connection().execute(change, changed)
            if added:
                session.connection().execute(insert(table), added)


@dataclass(slots=True)
class RemoveTask(RecorderTask):
    """Takes hours out of a statistic of ours."""

    statistic_id: str
    starts: Sequence[int]

    @override
    def run(self, instance: Recorder) -> None:
        """Delete the rows, in the recorder's own thread."""
        with session_scope(session=instance.get_session()) as session:
            known = instance.statistics_meta_manager.get_many(session, statistic_ids={self.statistic_id})
            for number, _ in known.values():
                for some in batched(self.starts, BATCH, strict=False):
                    session.execute(
                        delete(Statistics).where(Statistics.metadata_id == number, Statistics.start_ts.in_(some)),
                        execution_options={"synchronize_session": False},
                    )
