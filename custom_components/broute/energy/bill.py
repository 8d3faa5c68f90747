"""What was used times what it costs: half-hours, bills, and what a bill will be; pure arithmetic, see docs/costs.md.

The cost of half-hours is exact, so that it adds up in whatever order; only a bill is rounded.
"""

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Final, override

from ..aiobroute import JST
from .demand import MONTHS, contract_demand, peak
from .tariff import (
    HALF_HOUR,
    PRICE_STEP,
    ZERO,
    Adjustment,
    Bands,
    Contract,
    DemandCharge,
    Market,
    Plan,
    Span,
    Step,
    bill_month,
    midnight,
    price_of,
    pro_rata,
)

type HalfHours = Mapping[datetime, Decimal | None]
"""kWh by the start of the half-hour, in UTC; what is missing or `None` is not known."""

DAY: Final = timedelta(days=1)
WEEK: Final = timedelta(weeks=1)

COMPARED: Final = timedelta(days=365)
"""So far back plans are compared."""

WEEKS: Final = 4
"""So many weeks back a forecast looks."""

NOTHING: Final = Adjustment(ZERO)


class Overlaid(Mapping[datetime, Decimal | None]):
    """Half-hours with others before them; neither is copied."""

    def __init__(self, over: HalfHours, under: HalfHours) -> None:
        self._over = over
        self._under = under

    @override
    def __getitem__(self, start: datetime) -> Decimal | None:
        return self._over[start] if start in self._over else self._under[start]

    @override
    def get[T](self, start: datetime, default: T | None = None, /) -> Decimal | T | None:
        # That of the base class raises and catches an error for each half-hour that is missing.
        return self._over[start] if start in self._over else self._under.get(start, default)

    @override
    def __contains__(self, start: object) -> bool:
        return start in self._over or start in self._under

    @override
    def __iter__(self) -> Iterator[datetime]:
        return iter({*self._over, *self._under})

    @override
    def __len__(self) -> int:
        return len({*self._over, *self._under})


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What the meter counted, and what is to be known about the time."""

    taken: HalfHours
    """From the grid."""
    fed: HalfHours = field(default_factory=dict)
    """Into the grid."""
    prices: Mapping[str, HalfHours] = field(default_factory=dict)
    """Yen per kWh by who tells them, and by the start of the half-hour; what is missing has no price."""
    holidays: Container[date] = ()
    """Public holidays."""


@dataclass(frozen=True, slots=True)
class Period:
    """Days that are on one bill."""

    span: Span
    whole: Span
    """The billing period that it is, or a part of: a contract began or ended within it."""

    @property
    def half_hours(self) -> int:
        """Return how many a whole billing period has."""
        return self.whole.days * 48


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Yen by what they are for; all but the discount are positive as a rule."""

    basic: Decimal = ZERO
    energy: Decimal = ZERO
    fuel: Decimal = ZERO
    levy: Decimal = ZERO
    support: Decimal = ZERO
    """What is taken off by kWh; negative."""
    discount: Decimal = ZERO
    """What is taken off by month; negative."""

    @property
    def total(self) -> Decimal:
        """Return the sum, not rounded."""
        return self.basic + self.energy + self.fuel + self.levy + self.support + self.discount

    def __add__(self, other: Parts) -> Parts:
        """Return both together."""
        return Parts(
            basic=self.basic + other.basic,
            energy=self.energy + other.energy,
            fuel=self.fuel + other.fuel,
            levy=self.levy + other.levy,
            support=self.support + other.support,
            discount=self.discount + other.discount,
        )


NO_PARTS: Final = Parts()


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a half-hour costs, or brings."""

    start: datetime
    used: Decimal | None
    """kWh; `None` if they are not known."""
    by_energy: Parts | None
    """What its kWh cost; `None` if they, or their price, are not known."""
    fixed: Parts = NO_PARTS
    """Its share in what does not depend on the kWh."""

    @property
    def variable(self) -> Decimal | None:
        """Return yen for the kWh."""
        return None if self.by_energy is None else self.by_energy.total

    @property
    def total(self) -> Decimal | None:
        """Return yen, with its share in the fixed charges."""
        return None if self.by_energy is None else self.by_energy.total + self.fixed.total


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """What a billing period costs; of one that runs, what it has cost so far, with the fixed charges in full."""

    period: Period
    energy: Decimal
    """kWh that are known."""
    parts: Parts
    total: Decimal
    """Yen, rounded as the plan says."""
    demand: Decimal | None
    """kW of the contract, if it is made by demand."""
    unknown: int
    """Half-hours whose kWh are not known."""
    unpriced: int
    """Half-hours whose kWh have no price."""
    estimated: int = 0
    """Half-hours whose kWh are a forecast."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sum:
    """Half-hours added up."""

    yen: Decimal
    energy: Decimal
    """kWh that are known."""
    half_hours: int
    unknown: int
    """Half-hours whose kWh are not known; their share in the fixed charges is in the yen all the same."""
    unpriced: int
    """Half-hours whose kWh have no price."""

    def plus(self, other: Sum) -> Sum:
        """Return both together."""
        return Sum(
            yen=self.yen + other.yen,
            energy=self.energy + other.energy,
            half_hours=self.half_hours + other.half_hours,
            unknown=self.unknown + other.unknown,
            unpriced=self.unpriced + other.unpriced,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What some days would have cost by a plan."""

    plan: Plan
    yen: Decimal
    """The bills of the days, each rounded."""
    energy: Decimal
    """kWh that are known."""
    half_hours: int
    unknown: int
    unpriced: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rates:
    """What a plan says of one billing period."""

    plan: Plan
    fixed: Parts
    fuel: Decimal | None
    """`None` if who tells it has not told it."""
    levy: Decimal
    support: Decimal
    included: Decimal
    steps: Mapping[str, tuple[Step, ...]]


def periods(contract: Contract, first: date, end: date) -> list[Period]:
    """Return the bills of all days from the first to before the last one, as far as there was a plan.

    A bill is cut where a plan with other billing periods begins, and at the beginning of the first plan.
    """
    if not contract.plans:
        return []
    found = []
    first = max(first, contract.plans[0].valid_from)
    while first < end:
        found.append(_period(contract, _plan(contract, first), first))
        first = found[-1].span.end
    return found


def _period(contract: Contract, plan: Plan, day: date) -> Period:
    whole = plan.billing.span(day)
    first, end = whole.first, whole.end
    for other in contract.plans:
        if whole.first < other.valid_from < whole.end:
            before = contract.plan(other.valid_from - DAY)
            if before is None or other.billing.span(other.valid_from) != whole or before.billing.span(day) != whole:
                if other.valid_from <= day:
                    first = other.valid_from
                else:
                    end = min(end, other.valid_from)
    return Period(Span(first, end), whole)


def demands(contract: Contract, usage: Usage, period: Period) -> Decimal | None:
    """Return the highest demand of a period and of the eleven before it that were billed by demand, too."""
    peaks: list[Decimal | None] = []
    while len(peaks) < MONTHS:
        highest = peak(usage.taken, period.span.start_time, period.span.end_time)
        peaks.append(None if highest is None else highest.demand)
        before = period.span.first - DAY
        plan = contract.plan(before)
        if plan is None or not isinstance(plan.basic, DemandCharge):
            break
        period = _period(contract, plan, before)
    return contract_demand(peaks[::-1])


@dataclass(frozen=True, slots=True)
class Used:
    """What was used on a bill before some time."""

    until: datetime
    total: Decimal
    by_band: Mapping[str, Decimal]


def used_until(contract: Contract, usage: Usage, period: Period, until: datetime) -> tuple[list[Cost], Used]:
    """Return the costs of a bill before some time, and what it takes to go on from there."""
    counting = _Counting(usage)
    each = list(_costs(contract, usage, period, counting, period.span.start_time, until))
    return each, Used(until, counting.total, dict(counting.by_band))


def costs_after(contract: Contract, usage: Usage, period: Period, used: Used, until: datetime) -> Iterator[Cost]:
    """Return the costs of a bill from what was used on it up to some time."""
    counting = _Counting(usage, total=used.total, by_band=dict(used.by_band))
    return _costs(contract, usage, period, counting, used.until, until)


def costs(contract: Contract, usage: Usage, period: Period) -> Iterator[Cost]:
    """Return the cost of each half-hour of a bill.

    Steps count what was used since the beginning of the bill, within each band; half-hours that are not known count
    nothing. Where one plan follows another within a bill, they go on counting.
    """
    return _costs(contract, usage, period, _Counting(usage), period.span.start_time, period.span.end_time)


def _costs(
    contract: Contract, usage: Usage, period: Period, counting: _Counting, since: datetime, until: datetime
) -> Iterator[Cost]:
    """Yield the cost of each half-hour between two times of a bill."""
    for begin, place, rates in _days(contract, usage, period, counting, (since - period.span.start_time) // DAY):
        for index in range(48):
            start = begin + index * HALF_HOUR
            if start < since:
                continue
            if start >= until:
                return
            yield Cost(
                start=start,
                used=usage.taken.get(start),
                by_energy=counting.add(rates, start),
                fixed=_share(rates.fixed, place + index, 1, period.half_hours),
            )


def _days(
    contract: Contract, usage: Usage, period: Period, counting: _Counting, first: int = 0
) -> Iterator[tuple[datetime, int, _Rates]]:
    """Yield the start of each day of a bill, the number of its first half-hour in the billing period, and its rates."""
    demand = _demand(contract, usage, period)
    before = (period.span.first - period.whole.first).days
    for number in range(first, period.span.days):
        plan = _plan(contract, period.span.first + number * DAY)
        if plan.valid_from not in counting.rates:
            counting.rates[plan.valid_from] = _rates(plan, usage, period, demand)
        yield period.span.start_time + number * DAY, (before + number) * 48, counting.rates[plan.valid_from]


@dataclass(slots=True)
class _Counting:
    """What was used so far on a bill."""

    usage: Usage
    rates: dict[date, _Rates] = field(default_factory=dict)
    total: Decimal = ZERO
    by_band: dict[str, Decimal] = field(default_factory=dict)

    def add(self, rates: _Rates, start: datetime) -> Parts | None:
        """Count a half-hour; return what its kWh cost, or `None` if they or their price are not known."""
        energy = self.usage.taken.get(start)
        if energy is None:
            return None
        free = min(max(rates.included - self.total, ZERO), energy)
        self.total += energy
        charged = energy - free
        source = rates.plan.energy
        if isinstance(source, Market):
            price = self.usage.prices.get(source.entity, {}).get(start)
            if price is None and charged:
                return None
            yen = ZERO if price is None else source.price(price) * charged
        else:
            name = source.at(start, self.usage.holidays).name
            before = self.by_band.get(name, ZERO)
            self.by_band[name] = before + energy
            yen = price_of(rates.steps[name], before + free, charged)
        if rates.fuel is None and energy:
            return None
        fuel = (rates.fuel or ZERO) * charged
        return Parts(energy=yen, fuel=fuel, levy=rates.levy * charged, support=-rates.support * charged)


def returns(contract: Contract, usage: Usage, start: datetime, end: datetime) -> Iterator[Cost]:
    """Return what each half-hour between two times brings by what was fed into the grid."""
    while start < end:
        day = start.astimezone(JST).date()
        plan = contract.plan(day)
        energy = usage.fed.get(start)
        brings = None
        if energy is not None and plan is not None:
            if plan.feed_in is not None and (plan.feed_in_until is None or day <= plan.feed_in_until):
                steps = plan.feed_in.at(start, usage.holidays).steps
                brings = Parts(energy=price_of(steps, ZERO, energy))
            elif not energy:
                brings = NO_PARTS
        yield Cost(start=start, used=energy, by_energy=brings)
        start += HALF_HOUR


def hours(half_hours: Iterable[Cost], *, with_fixed: bool = True) -> dict[datetime, Decimal | None]:
    """Return yen by the start of the hour; `None` where the cost of one of its half-hours is not known."""
    found: dict[datetime, Decimal | None] = {}
    for cost in half_hours:
        hour = cost.start.replace(minute=0)
        yen = cost.total if with_fixed else cost.variable
        before = found.get(hour, ZERO)
        found[hour] = None if yen is None or before is None else before + yen
    return found


def add_up(half_hours: Iterable[Cost], *, with_fixed: bool = True) -> Sum:
    """Return the sum of half-hours, and of how many it does not know."""
    yen, energy, number, unknown, unpriced = ZERO, ZERO, 0, 0, 0
    for cost in half_hours:
        number += 1
        yen += cost.variable or ZERO
        if with_fixed:
            yen += cost.fixed.total
        energy += cost.used or ZERO
        unknown += cost.used is None
        unpriced += cost.used is not None and cost.by_energy is None
    return Sum(yen=yen, energy=energy, half_hours=number, unknown=unknown, unpriced=unpriced)


def bill(contract: Contract, usage: Usage, period: Period, until: datetime | None = None) -> Bill:
    """Return the bill of a period; of one that runs, what was used up to a time, and the fixed charges in full."""
    parts, energy, unknown, unpriced = NO_PARTS, ZERO, 0, 0
    yen, fuel, levy, support = ZERO, ZERO, ZERO, ZERO
    counting = _Counting(usage)
    for begin, place, rates in _days(contract, usage, period, counting):
        parts += _share(rates.fixed, place, 48, period.half_hours)
        for start in (begin + index * HALF_HOUR for index in range(48)):
            if until is not None and start >= until:
                break
            used, by_energy = usage.taken.get(start), counting.add(rates, start)
            unknown += used is None
            energy += used or ZERO
            if by_energy is not None:
                yen += by_energy.energy
                fuel += by_energy.fuel
                levy += by_energy.levy
                support += by_energy.support
            elif used is not None:
                unpriced += 1
    parts += Parts(energy=yen, fuel=fuel, levy=levy, support=support)
    plan = _plan(contract, period.span.end - DAY)
    return Bill(
        period=period,
        energy=energy,
        parts=parts,
        total=plan.total_rounding.round(parts.total - parts.levy + plan.levy_rounding.round(parts.levy)),
        demand=_demand(contract, usage, period),
        unknown=unknown,
        unpriced=unpriced,
    )


def forecast(contract: Contract, usage: Usage, period: Period, now: datetime) -> Bill:
    """Return what a running bill will be: what was used so far, and the mean of the same weekdays of four weeks.

    What is not known so far is filled in the same way, and so are the prices of a market.
    """
    taken: dict[datetime, Decimal | None] = {}
    markets = {plan.energy.entity for plan in contract.plans if isinstance(plan.energy, Market)}
    prices: dict[str, dict[datetime, Decimal | None]] = {market: {} for market in markets}
    estimated = 0
    for start in _half_hours(period.span):
        if start >= now or usage.taken.get(start) is None:
            taken[start] = _expected(usage.taken, taken, start, now)
            estimated += taken[start] is not None
        for market, filled_in in prices.items():
            known = usage.prices.get(market, {})
            if known.get(start) is None:
                filled_in[start] = _expected(known, filled_in, start, now)
    told = {market: Overlaid(filled_in, usage.prices.get(market, {})) for market, filled_in in prices.items()}
    filled = replace(usage, taken=Overlaid(taken, usage.taken), prices={**usage.prices, **told})
    return replace(bill(contract, filled, period), estimated=estimated)


def expected(known: HalfHours, start: datetime, now: datetime) -> Decimal | None:
    """Return the mean of the same half-hour on the same weekdays of the last four weeks.

    Where none of them is known, that of all days of these weeks; `None` if there is none either.
    """
    back = max((now - start) // -WEEK + 1, 1) if start >= now else 1
    same = [known.get(start - (back + week) * WEEK) for week in range(WEEKS)]
    found = [value for value in same if value is not None]
    if not found:
        last = start - timedelta(days=max((start - now) // DAY + 1, 1))
        every = [known.get(last - number * DAY) for number in range(7 * WEEKS)]
        found = [value for value in every if value is not None]
    return (sum(found, ZERO) / len(found)).quantize(PRICE_STEP, ROUND_HALF_UP) if found else None


def _expected(known: HalfHours, before: HalfHours, start: datetime, now: datetime) -> Decimal | None:
    """Return the mean for a half-hour; from now on it is what it was a week before."""
    back = start - WEEK
    return before[back] if back >= now and back in before else expected(known, start, now)


def last_year(begin: datetime, end: datetime) -> tuple[date, date] | None:
    """Return the first of the whole days of a time, at most a year back, and the day after the last one.

    `None` if no day is whole.
    """
    last = end.astimezone(JST).date()
    first = max((begin + DAY - HALF_HOUR).astimezone(JST).date(), last - COMPARED)
    return (first, last) if first < last else None


def compare(plans: Sequence[Plan], usage: Usage, first: date, end: date) -> list[Comparison]:
    """Return what the days from the first to before the last one would have cost by each of some plans alone.

    Each is taken to have been the plan since ever: bills are whole, and demand is that of a year.
    """
    found = []
    for plan in plans:
        contract = Contract((replace(plan, valid_from=date.min),))
        bills = [
            bill(contract, usage, Period(Span(max(first, period.span.first), min(end, period.span.end)), period.whole))
            for period in periods(contract, first, end)
        ]
        found.append(
            Comparison(
                plan=plan,
                yen=sum((made.total for made in bills), ZERO),
                energy=sum((made.energy for made in bills), ZERO),
                half_hours=sum(made.period.span.days * 48 for made in bills),
                unknown=sum(made.unknown for made in bills),
                unpriced=sum(made.unpriced for made in bills),
            )
        )
    return found


def _plan(contract: Contract, day: date) -> Plan:
    """Return the plan of a day of a bill, of which there is always one."""
    return contract.plan(day) or contract.plans[0]


def _demand(contract: Contract, usage: Usage, period: Period) -> Decimal | None:
    """Return kW of the contract, where a plan of the period is billed by demand."""
    for day in (period.span.end - DAY, period.span.first):
        plan = _plan(contract, day)
        if isinstance(plan.basic, DemandCharge):
            highest = demands(contract, usage, period)
            return None if highest is None else plan.basic.contract(highest)
    return None


def _rates(plan: Plan, usage: Usage, period: Period, demand: Decimal | None) -> _Rates:
    month = bill_month(period.whole)
    fuel, levy = _fuel(plan, usage, period), plan.levy(period.whole)
    support = plan.support.get(month, NOTHING)
    basic = ZERO if plan.basic is None else plan.basic.yen(demand)
    if plan.basic is not None and plan.basic.is_halved_if_unused and _is_unused(usage, period):
        basic /= 2
    days, whole = period.span.days, period.whole.days
    energy = plan.energy
    return _Rates(
        plan=plan,
        fixed=Parts(
            basic=basic,
            fuel=ZERO if fuel is None else fuel.lump(plan.included),
            levy=levy.lump(plan.included),
            support=-support.lump(plan.included),
            discount=-(plan.discount + plan.discounts.get(month, ZERO)),
        ),
        fuel=None if fuel is None else fuel.price,
        levy=levy.price,
        support=support.price,
        included=pro_rata(plan.included, days, whole),
        steps={band.name: _cut(band.steps, days, whole) for band in energy.bands} if isinstance(energy, Bands) else {},
    )


def _fuel(plan: Plan, usage: Usage, period: Period) -> Adjustment | None:
    """Return the fuel adjustment of a bill; `None` if who tells it has told nothing in its time."""
    month = bill_month(period.whole)
    if month in plan.fuel or not plan.fuel_entity:
        return plan.fuel.get(month, NOTHING)
    told, start = usage.prices.get(plan.fuel_entity, {}), period.whole.end_time
    while start > period.whole.start_time:
        start -= HALF_HOUR
        if (price := told.get(start)) is not None:
            return Adjustment(price)
    return None


def _cut(steps: Iterable[Step], days: int, whole: int) -> tuple[Step, ...]:
    """Return the steps of a billing period that was cut."""
    return tuple(step if step.limit is None else Step(pro_rata(step.limit, days, whole), step.price) for step in steps)


def _is_unused(usage: Usage, period: Period) -> bool:
    return all(usage.taken.get(start) == 0 for start in _half_hours(period.span))


def _share(fixed: Parts, number: int, length: int, count: int) -> Parts:
    """Return what some half-hours of a billing period bear of the fixed charges; the shares of all add up to them."""
    end = number + length
    return Parts(
        basic=_part(fixed.basic, number, end, count),
        fuel=_part(fixed.fuel, number, end, count),
        levy=_part(fixed.levy, number, end, count),
        support=_part(fixed.support, number, end, count),
        discount=_part(fixed.discount, number, end, count),
    )


def _part(yen: Decimal, number: int, end: int, count: int) -> Decimal:
    if not yen:
        return ZERO
    return _rounded(yen * end / count) - _rounded(yen * number / count)


def _rounded(yen: Decimal) -> Decimal:
    return yen.quantize(PRICE_STEP, ROUND_HALF_UP)


def _half_hours(span: Span) -> Iterator[datetime]:
    """Return the start of each half-hour of some days."""
    start = midnight(span.first)
    return (start + number * HALF_HOUR for number in range(span.days * 48))
