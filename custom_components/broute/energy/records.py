"""The history as a person asks for it: half-hours, or sums of hours, days, months and billing periods; pure arithmetic.

What is not known is in no sum, and each sum says from how many half-hours it was made.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
import csv
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
import io
from typing import Final

from ..aiobroute import JST
from .bill import Cost, Period, Usage, bill, costs, periods, returns
from .demand import PER_HALF_HOUR, Peak, half_hour
from .length import Length
from .tariff import HALF_HOUR, SEN, ZERO, Contract, midnight

DAY: Final = timedelta(days=1)
HOUR: Final = timedelta(hours=1)

SLOTS: Final = 48
"""Half-hours of a day."""

CLOCK: Final = "%Y-%m-%d %H:%M"
"""A time that spreadsheets understand."""

FIXED: Final[Mapping[Length, timedelta]] = {Length.HALF_HOUR: HALF_HOUR, Length.HOUR: HOUR, Length.DAY: DAY}


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What flowed in some time, and what it cost."""

    start: datetime
    end: datetime
    half_hours: int
    """Those that are over."""
    energy_in: Decimal | None
    """kWh; `None` if nothing of it is known."""
    known_in: int
    """Half-hours whose kWh are known."""
    energy_out: Decimal | None
    known_out: int
    cost: Decimal | None
    """Yen, with the share of the fixed charges."""
    priced_in: int
    """Half-hours whose cost is known."""
    compensation: Decimal | None
    """Yen for what was fed into the grid."""
    priced_out: int
    peak: Peak | None
    bill: Decimal | None = None
    """Yen of a billing period that is over, rounded as the plan says."""


@dataclass(frozen=True, slots=True)
class _Span:
    start: datetime
    end: datetime
    period: Period | None = None


def records(
    contract: Contract | None,
    usage: Usage,
    length: Length,
    first: date,
    last: date,
    *,
    begins: Collection[datetime],
    now: datetime,
) -> list[Record]:
    """Return each half-hour, hour, day, month or billing period that has one of some days, in order of time.

    `begins` is when the first half-hour that is known begins, in each direction that has one; days before that are left
    out. A month or a billing period is whole, as far as it is over. Without a plan there are no billing periods.
    """
    if not begins:
        return []
    now = half_hour(now)
    first = max(first, min(begins).astimezone(JST).date())
    spans = [span for span in _spans(contract, length, first, last) if span.start < now]
    if not spans:
        return []
    half_hours = _half_hours(contract, usage, spans[0].start, min(spans[-1].end, now))
    found = []
    for span in spans:
        count = (min(span.end, now) - span.start) // HALF_HOUR
        record = _add_up(span, [next(half_hours) for _ in range(count)])
        if contract is not None and span.period is not None and span.end <= now and record.cost is not None:
            record = replace(record, bill=bill(contract, usage, span.period).total)
        found.append(record)
    return found


def _spans(contract: Contract | None, length: Length, first: date, last: date) -> Iterator[_Span]:
    if length is Length.BILLING_PERIOD:
        for period in () if contract is None else periods(contract, first, last + DAY):
            yield _Span(period.span.start_time, period.span.end_time, period)
    elif length is Length.MONTH:
        month = first.replace(day=1)
        while month <= last:
            following = (month + 31 * DAY).replace(day=1)
            yield _Span(midnight(month), midnight(following))
            month = following
    else:
        start, step = midnight(first), FIXED[length]
        while start < midnight(last + DAY):
            yield _Span(start, start + step)
            start += step


type _HalfHour = tuple[datetime, Decimal | None, Decimal | None, Cost | None, Cost | None]
"""Start, kWh in and out, what the one costs, and what the other brings."""


def _half_hours(contract: Contract | None, usage: Usage, start: datetime, end: datetime) -> Iterator[_HalfHour]:
    """Yield all half-hours of some time, also those before the first plan."""
    priced = iter(()) if contract is None else _costs(contract, usage, start, end)
    cost = next(priced, None)
    brought = iter(()) if contract is None else returns(contract, usage, start, end)
    while start < end:
        is_billed = cost is not None and cost.start == start
        yield start, usage.taken.get(start), usage.fed.get(start), cost if is_billed else None, next(brought, None)
        if is_billed:
            cost = next(priced, None)
        start += HALF_HOUR


def _costs(contract: Contract, usage: Usage, start: datetime, end: datetime) -> Iterator[Cost]:
    for period in periods(contract, start.astimezone(JST).date(), (end - HALF_HOUR).astimezone(JST).date() + DAY):
        for cost in costs(contract, usage, period):
            if start <= cost.start < end:
                yield cost


def _add_up(span: _Span, half_hours: Sequence[_HalfHour]) -> Record:
    energies_in = [taken for _, taken, _, _, _ in half_hours if taken is not None]
    energies_out = [fed for _, _, fed, _, _ in half_hours if fed is not None]
    bought = [cost for _, _, _, cost, _ in half_hours if cost is not None]
    yen_in = [cost.variable for cost in bought if cost.variable is not None]
    yen_out = [cost.variable for _, _, _, _, cost in half_hours if cost is not None and cost.variable is not None]
    fixed = sum((cost.fixed.total for cost in bought), ZERO)
    highest = max(
        ((taken, start) for start, taken, _, _, _ in half_hours if taken is not None),
        key=lambda known: known[0],
        default=None,
    )
    return Record(
        start=span.start,
        end=span.end,
        half_hours=len(half_hours),
        energy_in=sum(energies_in, ZERO) if energies_in else None,
        known_in=len(energies_in),
        energy_out=sum(energies_out, ZERO) if energies_out else None,
        known_out=len(energies_out),
        cost=sum(yen_in, fixed) if yen_in else None,
        priced_in=len(yen_in),
        compensation=sum(yen_out, ZERO) if yen_out else None,
        priced_out=len(yen_out),
        peak=None if highest is None else Peak(highest[0] * PER_HALF_HOUR, highest[1]),
    )


def half_hour_table(half_hours: Iterable[Record], heads: Sequence[str]) -> str:
    """Return a row for each half-hour: start, kWh in and out, kW, yen; what is not known is empty."""
    rows = [
        [
            each.start.astimezone(JST).strftime(CLOCK),
            _plain(each.energy_in),
            _plain(each.energy_out),
            "" if each.peak is None else _plain(each.peak.demand),
            _plain(None if each.cost is None else sen(each.cost)),
        ]
        for each in half_hours
    ]
    return _table([heads, *rows])


def day_table(half_hours: Iterable[Record], head: str) -> str:
    """Return a row for each day with the kWh of its 48 half-hours; what is not known is empty."""
    days: dict[str, list[str]] = {}
    for each in half_hours:
        start = each.start.astimezone(JST)
        line = days.setdefault(f"{start:%Y-%m-%d}", [""] * SLOTS)
        line[start.hour * 2 + (start.minute == 30)] = _plain(each.energy_in)
    heads = [head, *(f"{slot // 2:02}:{slot % 2 * 30:02}" for slot in range(SLOTS))]
    return _table([heads, *([day, *line] for day, line in days.items())])


def sen(yen: Decimal) -> Decimal:
    """Return yen with two decimal places."""
    return yen.quantize(SEN, ROUND_HALF_UP)


def _plain(number: Decimal | None) -> str:
    return "" if number is None else format(number.normalize(), "f")


def _table(rows: Iterable[Sequence[str]]) -> str:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue()
