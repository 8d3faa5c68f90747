"""The rows of costs: worked out bill by bill, compared with the recorder's, written, read back and compared again.

Costs are millionths of a yen, times are seconds since 1970. A row is the sum at the end of an hour, by its start.
"""

from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from homeassistant.util import dt as dt_util

from .bill import Cost, Period, Usage, costs, returns
from .ledger import HALF_HOUR_SECONDS, MICRO
from .recorder import (
    RecorderUnavailableError,
    async_compiled,
    async_count_on,
    async_own_rows,
    async_own_summaries,
    async_write_own,
    async_written,
)
from .statistics import CHUNK, HOUR, Row, Summary, chunk_of
from .tariff import ZERO, DemandCharge

if TYPE_CHECKING:
    from datetime import datetime

    from homeassistant.core import HomeAssistant

    from .tariff import Contract

NOTHING: Final = 100
"""Millionths of a yen; what differs by less is the recorder's binary counting."""

RECENT: Final = 3 * HOUR
"""Seconds; hours that are not known yet have the recorder's own rows, which follow the sensor."""

ROUNDS: Final = 3
"""How often in a row it is written and read back."""

type Known = tuple[datetime, datetime]
"""From the first half-hour that is known to the end of the last one."""


@dataclass(frozen=True, slots=True)
class Piece:
    """The rows of some time; those of a bill count from its beginning."""

    starts: array[int]
    sums: array[int]
    total: int = 0


EMPTY: Final = Piece(array("q"), array("q"))


def known_part(period: Period, known: Known) -> Known:
    """Return beginning and end of what is known of a bill's time; the end comes first if that is nothing."""
    return max(period.span.start_time, known[0]), min(period.span.end_time, known[1])


def piece_of_costs(contract: Contract, usage: Usage, period: Period, known: Known, *, is_spread: bool) -> Piece:
    """Return what the hours of a bill cost, with their shares of the fixed charges or without."""
    begin, end = known_part(period, known)
    half_hours = (cost for cost in costs(contract, usage, period) if begin <= cost.start < end)
    return _piece(half_hours, is_spread=is_spread)


def piece_of_returns(contract: Contract, usage: Usage, period: Period, known: Known, *, is_spread: bool) -> Piece:
    """Return what the hours of a bill bring in; nothing as long as no plan says what is paid."""
    if all(plan.feed_in is None for plan in contract.plans):
        return EMPTY
    return _piece(returns(contract, usage, *known_part(period, known)), is_spread=is_spread)


def _piece(half_hours: Iterable[Cost], *, is_spread: bool) -> Piece:
    """Add up; what is not known adds nothing but its share of the fixed charges."""
    total = Decimal(0)
    starts, sums = array("q"), array("q")
    for cost in half_hours:
        total += cost.variable or ZERO
        if is_spread:
            total += cost.fixed.total
        if cost.start.minute:
            starts.append(int(cost.start.timestamp()) - HALF_HOUR_SECONDS)
            sums.append(round(total * MICRO))
    return Piece(starts, sums, round(total * MICRO))


def has_demand_charge(contract: Contract) -> bool:
    """Return whether what one bill is depends on those of a year before."""
    return any(isinstance(plan.basic, DemandCharge) for plan in contract.plans)


@dataclass(frozen=True, slots=True)
class Wanted:
    """The rows of all bills, with sums that count from the first one; chunk by chunk."""

    chunks: Mapping[int, Piece]
    summaries: Mapping[int, Summary]
    end: int | None
    """Start of the last row."""
    total: int
    is_whole: bool
    """Whether no row has to wait for the recorder to have compiled its hour."""

    @classmethod
    def of(cls, pieces: Sequence[Piece], compiled: int) -> Wanted:
        """Put bills one behind the other, up to when the recorder has compiled: a row that came earlier would clash."""
        chunks: dict[int, Piece] = {}
        total = 0
        is_whole = True
        for piece in pieces:
            for start, part in zip(piece.starts, piece.sums, strict=True):
                if start + HOUR > compiled:
                    is_whole = False
                    continue
                chunk = chunks.setdefault(chunk_of(start), Piece(array("q"), array("q")))
                chunk.starts.append(start)
                chunk.sums.append(total + part)
            total += piece.total
        end = max((chunk.starts[-1] for chunk in chunks.values()), default=None)
        return cls(chunks, {begin: _summary(begin, chunk) for begin, chunk in chunks.items()}, end, total, is_whole)


def _summary(begin: int, chunk: Piece) -> Summary:
    total = sum(chunk.sums)
    weighted = sum(part * ((start - begin) // HOUR) for start, part in zip(chunk.starts, chunk.sums, strict=True))
    return Summary(len(chunk.starts), total, total, weighted)


@dataclass(slots=True)
class CostRows:
    """Makes the rows of one sensor's statistic true; its value is the sum of all, so that the recorder counts on."""

    hass: HomeAssistant
    statistic_id: str
    unit: str
    written: int = 0
    """Rows that were written so far."""
    _settled: dict[int, tuple[Summary | None, Summary]] = field(default_factory=dict)
    """Chunks with rows that nobody wants any more: what was wanted, and what was there when they had no bar."""

    async def async_reconcile(self, pieces: Sequence[Piece]) -> bool:
        """Compare, write and read back until the recorder has what is wanted; return whether no hour has to wait.

        Raises:
            RecorderUnavailableError: it cannot be asked at present, or does not keep them.

        """
        wanted = await self.hass.async_add_executor_job(Wanted.of, pieces, await async_compiled(self.hass))
        for _ in range(ROUNDS):
            await async_written(self.hass)
            there = await async_own_summaries(self.hass, self.statistic_id)
            is_any = await self._async_write(wanted, there)
            if not await async_count_on(self.hass, self.statistic_id, self.unit, wanted.total) and not is_any:
                return wanted.is_whole
        raise RecorderUnavailableError("the recorder does not keep the costs")

    async def _async_write(self, wanted: Wanted, there: Mapping[int, Summary]) -> bool:
        """Write what differs; return whether there was anything."""
        last, is_any = 0, False
        now = int(dt_util.utcnow().timestamp())
        own = now if wanted.end is None else max(now - RECENT, wanted.end)
        for begin in sorted({*wanted.chunks, *there}):
            due, found = wanted.summaries.get(begin), there.get(begin)
            chunk = wanted.chunks.get(begin, EMPTY)
            if not _are_like(due, found) and (found is None or self._settled.get(begin) != (due, found)):
                recorded = await async_own_rows(self.hass, self.statistic_id, begin, begin + CHUNK)
                if different := _differences(chunk, recorded, last, own):
                    await async_write_own(self.hass, self.statistic_id, self.unit, different)
                    self.written += len(different)
                    is_any = True
                elif found is not None:
                    self._settled[begin] = (due, found)
            last = chunk.sums[-1] if chunk.sums else last
        return is_any


def _are_like(due: Summary | None, found: Summary | None) -> bool:
    return due is not None and found is not None and due.is_like(found)


def _differences(wanted: Piece, there: Mapping[int, int], last: int, own: int) -> list[Row]:
    """Return the rows that have to be written; rows that nobody wants any more have no bar.

    What begins after some time is the recorder's own.
    """
    due = dict(zip(wanted.starts, wanted.sums, strict=True))
    changed = []
    for start in sorted({*due, *there}):
        if start > own:
            break
        last = due.get(start, last)
        if start not in there or abs(there[start] - last) > NOTHING:
            changed.append(Row(start, last, last))
    return changed
