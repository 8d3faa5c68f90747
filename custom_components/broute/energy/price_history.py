"""What an entity said that a half-hour costs: read from the recorder, in yen per kWh.

A half-hour has the price that the entity had for the longest part of it. Where it had none for more than half of the
time, or Home Assistant was off, there is none: what was there before says nothing of it. Millionths of a yen, times
are seconds since 1970.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Final
import unicodedata

from homeassistant.components.recorder.db_schema import RecorderRuns, States, Statistics
from homeassistant.components.recorder.history import state_changes_during_period
from homeassistant.components.recorder.models import process_timestamp
from homeassistant.components.recorder.statistics import get_metadata
from homeassistant.const import ATTR_UNIT_OF_MEASUREMENT
from homeassistant.util import dt as dt_util
from sqlalchemy import func, select

from .ledger import HALF_HOUR_SECONDS, MICRO
from .recorder import async_read, reading

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant, State
    from sqlalchemy.orm import Session

HOUR: Final = 3600

MOST: Final = Decimal(1000)
"""Yen per kWh; the market in Japan ends at 999. What is more has another unit than it says."""

IN_TIME: Final = 900
"""Seconds after an hour in which the recorder makes its row; rows of hours in which it was off come later."""

UNITS: Final = {
    f"{money}/{energy}": factor
    for money in ("jpy", "yen", "¥", "円")
    for energy, factor in (("kwh", Decimal(1)), ("mwh", Decimal("0.001")), ("wh", Decimal(1000)))
}

type Prices = dict[int, int]

type Segment = tuple[float, float, int | None]
"""From when to when an entity had a price, or had none."""


@dataclass(frozen=True, slots=True)
class Run:
    """A time in which Home Assistant ran."""

    begin: float
    end: float


class NoPriceError(ValueError):
    """What an entity says is no price."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


def price_of(state: str, unit: str | None) -> Decimal:
    """Return yen per kWh.

    Raises:
        NoPriceError: it is no number, has another unit, or is more than any price.

    """
    try:
        value = Decimal(state)
    except InvalidOperation:
        raise NoPriceError("price_unavailable") from None
    if not value.is_finite():
        raise NoPriceError("price_unavailable")
    factor = UNITS.get(unicodedata.normalize("NFKC", unit or "").replace(" ", "").lower())
    if factor is None:
        raise NoPriceError("price_unit")
    if abs(value * factor) > MOST:
        raise NoPriceError("price_too_high")
    return value * factor


def price_of_state(state: State | None) -> Decimal | None:
    """Return yen per kWh, if the entity says it."""
    if state is None:
        return None
    try:
        return price_of(state.state, state.attributes.get(ATTR_UNIT_OF_MEASUREMENT))
    except NoPriceError:
        return None


async def async_prices(hass: HomeAssistant, entity_id: str, begin: int, end: int) -> Prices:
    """Return the prices of the half-hours from one on to before another; those without one are missing.

    Raises:
        RecorderUnavailableError: the recorder cannot be asked at present.

    """
    return await async_read(hass, _read, entity_id, begin, end)


def _read(hass: HomeAssistant, entity_id: str, begin: int, end: int) -> Prices:
    since, until = (dt_util.utc_from_timestamp(at) for at in (begin, end))
    states = state_changes_during_period(hass, since, until, entity_id).get(entity_id, [])
    changes = [(state.last_updated_timestamp, _micro(price_of_state(state))) for state in states]
    with reading(hass) as session:
        runs = _runs(session, end)
        found = _constant_hours(hass, session, entity_id, begin, end)
    return found | held(segments(changes, runs, end), begin, end)


def _micro(price: Decimal | None) -> int | None:
    return None if price is None else round(price * MICRO)


def _runs(session: Session, now: int) -> list[Run]:
    """Return when Home Assistant ran; of a run that ended without a word, up to the last thing that was recorded."""
    query = select(RecorderRuns.start, RecorderRuns.end, RecorderRuns.closed_incorrect).order_by(RecorderRuns.start)
    rows = session.execute(query).all()
    starts = [process_timestamp(start).timestamp() for start, _, _ in rows]
    found = []
    for number, (_, end, is_broken) in enumerate(rows):
        begin = starts[number]
        following = starts[number + 1] if number + 1 < len(rows) else None
        if following is None:
            last: float | None = now
        elif end is not None and not is_broken:
            last = process_timestamp(end).timestamp()
        else:
            within = (States.last_updated_ts >= begin, States.last_updated_ts < following)
            last = session.execute(select(func.max(States.last_updated_ts)).where(*within)).scalar()
        found.append(Run(begin, begin if last is None else last))
    return found


def segments(changes: Sequence[tuple[float, int | None]], runs: Iterable[Run], end: float) -> Iterator[Segment]:
    """Yield what an entity said and from when to when, as far as Home Assistant ran."""
    for run in runs:
        inside = [(at, price) for at, price in changes if run.begin <= at < run.end]
        limits = [*(at for at, _ in inside[1:]), min(run.end, end)]
        yield from ((at, until, price) for (at, price), until in zip(inside, limits, strict=True)) if inside else ()


def held(parts: Iterable[Segment], begin: int, end: int) -> Prices:
    """Return for each half-hour that is over the price that was there for the longest part of it."""
    seconds: dict[int, Counter[int]] = {}
    begin = -(-begin // HALF_HOUR_SECONDS) * HALF_HOUR_SECONDS
    for since, until, price in parts:
        if price is None:
            continue
        start = max(begin, int(since) // HALF_HOUR_SECONDS * HALF_HOUR_SECONDS)
        while start < min(until, end):
            length = min(until, start + HALF_HOUR_SECONDS) - max(since, start)
            seconds.setdefault(start, Counter())[price] += round(length)
            start += HALF_HOUR_SECONDS
    return {
        start: max(prices, key=prices.__getitem__)
        for start, prices in seconds.items()
        if prices.total() >= HALF_HOUR_SECONDS / 2
    }


def _constant_hours(hass: HomeAssistant, session: Session, entity_id: str, begin: int, end: int) -> Prices:
    """Return the prices of hours in which there was only one, by statistics: states are kept for some days only.

    A row does not tell for how long the price was there: the last one before a silence is in the row of the next hour
    for some seconds. So as long as there are states, they alone count; and before, the price has to be the only one of
    the hours before and after, too, whose rows were made in time.
    """
    metadata = get_metadata(hass, statistic_ids={entity_id}).get(entity_id)
    if metadata is None:
        return {}
    number, about = metadata
    oldest = session.execute(select(func.min(States.last_updated_ts))).scalar()
    end = end if oldest is None else min(end, int(oldest))
    query = select(Statistics.start_ts, Statistics.created_ts, Statistics.min, Statistics.max).where(
        Statistics.metadata_id == number, Statistics.start_ts >= begin - HOUR, Statistics.start_ts <= end
    )
    rows = {
        int(start): (lowest, highest)
        for start, created, lowest, highest in session.execute(query)
        if _is_in_time(start, created)
    }
    return constant(rows, about["unit_of_measurement"], begin, end)


def constant(rows: Mapping[int, tuple[float | None, float | None]], unit: str | None, begin: int, end: int) -> Prices:
    """Return for the half-hours within some time the price that was the only one of the hours around them, too.

    `rows` have the lowest and the highest one of each hour.
    """
    found: Prices = {}
    for start, (lowest, highest) in rows.items():
        around = {rows.get(start - HOUR), (lowest, highest), rows.get(start + HOUR)}
        if lowest is None or lowest != highest or len(around) > 1 or not begin <= start <= end - HOUR:
            continue
        try:
            price = round(price_of(repr(lowest), unit) * MICRO)
        except NoPriceError:
            continue
        found |= {start: price, start + HALF_HOUR_SECONDS: price}
    return found


def _is_in_time(start: float, created: float | None) -> bool:
    """Return whether the row of an hour was made when the hour was over, not afterwards."""
    return created is not None and 0 <= created - start - HOUR <= IN_TIME
