"""Ledgers for tests, filled as the meter would fill them."""

import asyncio
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

from custom_components.broute.energy.ledger import ENERGY_IN, HALF_HOUR_SECONDS, Ledger, Scale, Source
from custom_components.broute.energy.statistics import Chunk, Derivation, Row

TENTH = Scale(100_000, 10**6)
"""Counts of 0.1 kWh, six digits."""
BEGIN = int(datetime(2026, 10, 29, 15, tzinfo=UTC).timestamp())
"""A midnight in Japan, two days before the end of a month."""
A, B, C = "001C6400AAAAAAAA", "001C6400BBBBBBBB", "001C6400CCCCCCCC"
"""Meters."""


def moment(at: int) -> datetime:
    return datetime.fromtimestamp(at, UTC)


def fill(
    ledger: Ledger,
    counts: Mapping[int, int],
    *,
    key: str = ENERGY_IN,
    source: Source = Source.HISTORY,
    scale: Scale = TENTH,
) -> None:
    """Put counters of the present meter at some times."""
    for at, count in counts.items():
        now = moment(at) if source is Source.PUSH else moment(at) + timedelta(days=99)
        ledger.put(key, moment(at), count, source, scale, now=now)


def ledger_of(
    counts: Mapping[int, int],
    *,
    key: str = ENERGY_IN,
    source: Source = Source.HISTORY,
    scale: Scale = TENTH,
) -> Ledger:
    """Return the ledger of one meter."""
    ledger = Ledger()
    ledger.begin(A)
    fill(ledger, counts, key=key, source=source, scale=scale)
    return ledger


def series(begin: int, first: int, rises: Iterable[int], span: int | None = TENTH.span) -> dict[int, int]:
    """Return the counters of half-hours in a row; the rises follow the first one."""
    counts, count = {begin: first}, first
    for number, rise in enumerate(rises, 1):
        count += rise
        counts[begin + number * HALF_HOUR_SECONDS] = count if span is None else count % span
    return counts


def derived(ledger: Ledger, until: int | None = None, key: str = ENERGY_IN) -> list[Chunk]:
    """Return everything derived anew."""
    if until is None:
        ends = [month.begin + month.days * 86400 for month in ledger.months.values()]
        ends += [each.last.at for each in ledger.tenures if each.last is not None]
        until = max(ends, default=0) + 1
    return asyncio.run(Derivation(key).chunks(ledger, until))


def rows_of(chunks: Iterable[Chunk]) -> dict[int, Row]:
    return {row.start: row for chunk in chunks for row in chunk.rows}
