"""The figures of the bill that runs, with what the last reading tells; pure arithmetic.

What a reading cannot change any more is worked out once for each half-hour, as readings come every minute.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from ..aiobroute import JST
from .bill import (
    HalfHours,
    Overlaid,
    Period,
    Sum,
    Usage,
    Used,
    add_up,
    bill,
    costs_after,
    demands,
    forecast,
    periods,
    returns,
    used_until,
)
from .demand import Peak, half_hour, peak
from .tariff import HALF_HOUR, ZERO, Contract, midnight

DAY: Final = timedelta(days=1)

LATEST: Final = 4
"""Half-hours back to the last counter that is known; what flowed since is spread over them for the moment."""

PIECE_OF_ENERGY: Final = Decimal("0.001")
"""kWh; so little hardly ever crosses a step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What a person wants to know of the running bill; yen and kWh."""

    period: Period
    cost: Decimal
    """So far, with the share of the fixed charges in the days so far."""
    energy: Decimal
    unknown: int
    """Half-hours so far whose kWh are not known."""
    unpriced: int
    forecast: Decimal
    estimated: int
    """Half-hours of the forecast that are the mean of others."""
    peak: Peak | None
    contract_demand: Decimal | None
    """kW, not rounded: the highest of this bill and the eleven before."""
    today_cost: Decimal
    today_energy: Decimal
    last_bill: Decimal | None
    price: Decimal | None
    """Yen that one more kWh costs now."""


def flowed_since(counter: Decimal | None, counted: Callable[[datetime], Decimal | None], now: datetime) -> HalfHours:
    """Return kWh by half-hours since the last one at whose beginning the counter is known; evenly spread.

    Nothing is known without a counter of now. `counted` tells the counter at the beginning of a half-hour.
    """
    start = half_hour(now)
    for number in range(LATEST):
        begin = start - number * HALF_HOUR
        if (base := counted(begin)) is None:
            continue
        if counter is None or counter < base:
            return {}
        whole, found, total = Decimal((now - begin) / timedelta(seconds=1)), {}, counter - base
        for each in range(number):
            share = total * int(HALF_HOUR.total_seconds()) / whole
            found[begin + each * HALF_HOUR] = share.quantize(PIECE_OF_ENERGY)
        found[start] = total - sum(found.values(), ZERO)
        return found
    return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """The part of the bill that runs that a reading cannot change any more."""

    period: Period
    used: Used
    so_far: Sum
    this_day: Sum
    since: datetime
    """The first half-hour that counts for the total: the first that is known, or the first of the bill."""
    total: Decimal
    """Yen since then."""
    brought_in: Decimal
    """Yen since the first half-hour of what was fed in that is known."""


def settle(
    contract: Contract,
    usage: Usage,
    now: datetime,
    taken_since: datetime | None,
    fed_since: datetime | None,
    *,
    is_spread: bool,
) -> Settled | None:
    """Return what is settled of the bill that runs; `None` before the first plan.

    The first half-hours that are known of either direction are needed, too.
    """
    today = now.astimezone(JST).date()
    period = next(iter(periods(contract, today, today + DAY)), None)
    if period is None:
        return None
    begin = period.span.start_time
    until = max(begin, half_hour(now) - (LATEST - 1) * HALF_HOUR)
    each, used = used_until(contract, usage, period, until)
    since = begin if taken_since is None else max(begin, taken_since)
    return Settled(
        period=period,
        used=used,
        so_far=add_up(each),
        this_day=add_up(cost for cost in each if cost.start >= midnight(today)),
        since=since,
        total=add_up((cost for cost in each if cost.start >= since), with_fixed=is_spread).yen,
        brought_in=ZERO if fed_since is None else brought_in(contract, usage, max(begin, fed_since), until),
    )


def figures(
    contract: Contract,
    usage: Usage,
    now: datetime,
    before: Figures | None,
    settled: Settled,
    last_bill: Decimal | None,
    *,
    is_spread: bool,
) -> tuple[Figures, Decimal]:
    """Return the figures of the bill that runs, and yen since the first half-hour that is known.

    What changes with half-hours only is taken from those before, if there are any.
    """
    today, period = now.astimezone(JST).date(), settled.period
    each = list(costs_after(contract, usage, period, settled.used, half_hour(now) + HALF_HOUR))
    counted = (cost for cost in each if cost.start >= settled.since)
    total = settled.total + add_up(counted, with_fixed=is_spread).yen
    so_far = settled.so_far.plus(add_up(each))
    this_day = settled.this_day.plus(add_up(cost for cost in each if cost.start >= midnight(today)))
    if before is None:
        guessed = forecast(contract, usage, period, half_hour(now) + HALF_HOUR)
        before = Figures(
            period=period,
            cost=so_far.yen,
            energy=so_far.energy,
            unknown=so_far.unknown,
            unpriced=so_far.unpriced,
            forecast=guessed.total,
            estimated=guessed.estimated,
            peak=peak(usage.taken, period.span.start_time, half_hour(now)),
            contract_demand=demands(contract, usage, period),
            today_cost=this_day.yen,
            today_energy=this_day.energy,
            last_bill=last_bill,
            price=_price(contract, usage, settled, now),
        )
    shown = replace(
        before, cost=so_far.yen, energy=so_far.energy, today_cost=this_day.yen, today_energy=this_day.energy
    )
    return shown, total


def brought_in(contract: Contract, usage: Usage, since: datetime, now: datetime) -> Decimal:
    """Return yen that are brought in between two times."""
    return add_up(returns(contract, usage, since, now)).yen


def total_of(contract: Contract, usage: Usage, period: Period) -> Decimal | None:
    """Return the yen of a bill; `None` if nothing of its use has a cost."""
    made = bill(contract, usage, period)
    return None if made.unknown + made.unpriced >= made.period.span.days * 48 else made.total


def _price(contract: Contract, usage: Usage, settled: Settled, now: datetime) -> Decimal | None:
    """Return yen for one more kWh."""
    start = half_hour(now)
    energy = usage.taken.get(start) or ZERO
    found = []
    for used in (energy, energy + PIECE_OF_ENERGY):
        more = replace(usage, taken=Overlaid({start: used}, usage.taken))
        *_, cost = costs_after(contract, more, settled.period, settled.used, start + HALF_HOUR)
        found.append(cost.variable)
    cheaper, dearer = found
    return None if cheaper is None or dearer is None else (dearer - cheaper) / PIECE_OF_ENERGY
