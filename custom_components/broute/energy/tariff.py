"""What electricity costs by contract: pure arithmetic, see docs/costs.md.

Yen and kWh are decimal numbers throughout. A half-hour is named by its start; days and months are those
of Japan.
"""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import ROUND_HALF_UP, Decimal
from itertools import pairwise
from typing import Final

from ..aiobroute import JST
from .terms import LEVIES, Days, Fault, InvalidPlanError, Rounding

HALF_HOUR: Final = timedelta(minutes=30)

ZERO: Final = Decimal(0)

FIRST_LEVY_MONTH: Final = 4

SEN: Final = Decimal("0.01")

PRICE_STEP: Final = Decimal("0.000001")
"""Yen per kWh; a price that was divided is rounded to this, so that sums are the same in whatever order."""


@dataclass(frozen=True, slots=True)
class Step:
    """A price up to so many kWh of the billing period."""

    limit: Decimal | None
    """kWh; `None` for the last step, which does not end."""
    price: Decimal
    """Yen per kWh."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hours:
    """A part of the day on some days of some months; over midnight, each half-hour belongs to its own day."""

    begin: time = time(0)
    end: time = time(0)
    """The same as the beginning for the whole day."""
    days: Days = Days.EVERY_DAY
    months: frozenset[int] = frozenset(range(1, 13))

    def __post_init__(self) -> None:
        """Take half-hours only, as the meter counts.

        Raises:
            InvalidPlanError: for any other time, and for months that there are not.
        """
        if any(at.minute % 30 or at.second or at.microsecond for at in (self.begin, self.end)):
            raise InvalidPlanError(Fault.BAND_HALF_HOURS)
        if not self.months or not self.months <= frozenset(range(1, 13)):
            raise InvalidPlanError(Fault.MONTH)

    def includes(self, at: time, month: int, *, is_holiday: bool) -> bool:
        """Return whether a half-hour of a kind of day belongs to it."""
        if month not in self.months or (self.days is not Days.EVERY_DAY and is_holiday != (self.days is Days.HOLIDAYS)):
            return False
        if self.begin < self.end:
            return self.begin <= at < self.end
        return self.begin == self.end or at >= self.begin or at < self.end


@dataclass(frozen=True, slots=True)
class Band:
    """Hours with prices of their own; the steps count what was used within them."""

    name: str
    steps: tuple[Step, ...]
    hours: tuple[Hours, ...] = ()
    """Without any: all hours that no other band has."""

    def __post_init__(self) -> None:
        """Take steps that rise.

        Raises:
            InvalidPlanError: where a step ends before the one below, or after the last one.
        """
        if not self.steps:
            raise InvalidPlanError(Fault.NO_STEPS)
        if self.steps[-1].limit is not None:
            raise InvalidPlanError(Fault.LAST_STEP_ENDS)
        limits = [ZERO] + [step.limit for step in self.steps[:-1] if step.limit is not None]
        if len(limits) != len(self.steps) or any(lower >= upper for lower, upper in pairwise(limits)):
            raise InvalidPlanError(Fault.STEPS_FALL)


@dataclass(frozen=True, slots=True)
class Bands:
    """Prices by time, by steps, or by both; one price is a single band with a single step."""

    bands: tuple[Band, ...]
    holidays: frozenset[tuple[int, int]] = frozenset()
    """Month and day of what the plan has for holidays beside the public ones, as the days about New Year."""
    _table: Mapping[tuple[int, bool], tuple[Band, ...]] = field(init=False, repr=False, compare=False, hash=False)

    def __post_init__(self) -> None:
        """Give each half-hour its band.

        Raises:
            InvalidPlanError: for a half-hour that has none, or several.
        """
        if len({band.name for band in self.bands}) != len(self.bands):
            raise InvalidPlanError(Fault.BAND_NAMES)
        table = {
            (month, is_holiday): tuple(self._band(_time(number), month, is_holiday=is_holiday) for number in range(48))
            for month in range(1, 13)
            for is_holiday in (False, True)
        }
        object.__setattr__(self, "_table", table)

    def _band(self, at: time, month: int, *, is_holiday: bool) -> Band:
        found = [
            band for band in self.bands if any(hours.includes(at, month, is_holiday=is_holiday) for hours in band.hours)
        ] or [band for band in self.bands if not band.hours]
        if len(found) == 1:
            return found[0]
        raise InvalidPlanError(Fault.BANDS_OVERLAP if found else Fault.BANDS_INCOMPLETE)

    def at(self, start: datetime, holidays: Container[date]) -> Band:
        """Return the band of a half-hour."""
        local = start.astimezone(JST)
        day = local.date()
        is_holiday = day.weekday() >= 5 or (day.month, day.day) in self.holidays or day in holidays
        return self._table[day.month, is_holiday][2 * local.hour + local.minute // 30]


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """A price for each half-hour from elsewhere: price / (1 - loss) * factor + surcharge."""

    factor: Decimal = Decimal(1)
    loss: Decimal = ZERO
    """The part that is lost on the way, below 1."""
    surcharge: Decimal = ZERO
    """Yen per kWh."""
    entity: str = ""
    """Who tells the price."""

    def __post_init__(self) -> None:
        """Take a loss that leaves something.

        Raises:
            InvalidPlanError: for one that does not.
        """
        if not 0 <= self.loss < 1:
            raise InvalidPlanError(Fault.LOSS)

    def price(self, price: Decimal) -> Decimal:
        """Return yen per kWh of a half-hour with this price at the market."""
        return (price / (1 - self.loss) * self.factor + self.surcharge).quantize(PRICE_STEP, ROUND_HALF_UP)


@dataclass(frozen=True, slots=True)
class MonthlyCharge:
    """A basic charge (基本料金) of so many yen a month."""

    price: Decimal
    is_halved_if_unused: bool = False

    def yen(self, demand: Decimal | None) -> Decimal:  # noqa: ARG002  # asked like the others
        """Return the charge of a billing period."""
        return self.price


@dataclass(frozen=True, slots=True)
class SizeCharge:
    """A basic charge by the size of the contract: per 10 A (アンペア制) or per kVA, rounded to a hundredth of a yen."""

    price: Decimal
    """Yen a month for each unit."""
    size: Decimal
    """The units: kVA, or tens of amperes."""
    is_halved_if_unused: bool = False

    def yen(self, demand: Decimal | None) -> Decimal:  # noqa: ARG002  # asked like the others
        """Return the charge of a billing period."""
        return (self.price * self.size).quantize(SEN, ROUND_HALF_UP)


@dataclass(frozen=True, slots=True)
class DemandCharge:
    """A basic charge by measured demand (実量制), see demand.py."""

    price: Decimal
    """Yen a month for each kW."""
    is_whole: bool = True
    """The contract has whole kW, half a kW rounded up."""
    is_halved_if_unused: bool = False

    def contract(self, demand: Decimal) -> Decimal:
        """Return the contract's kW for the highest demand of a year."""
        return demand.quantize(Decimal(1), ROUND_HALF_UP) if self.is_whole else demand

    def yen(self, demand: Decimal | None) -> Decimal:
        """Return the charge of a billing period; nothing as long as no demand is known."""
        return ZERO if demand is None else (self.contract(demand) * self.price).quantize(SEN, ROUND_HALF_UP)


@dataclass(frozen=True, slots=True)
class MinimumCharge:
    """A charge that includes the first kWh (最低料金)."""

    price: Decimal
    included: Decimal
    """kWh of a billing period; the steps go on behind them."""
    is_halved_if_unused: bool = False

    def yen(self, demand: Decimal | None) -> Decimal:  # noqa: ARG002  # asked like the others
        """Return the charge of a billing period."""
        return self.price


type BasicCharge = MonthlyCharge | SizeCharge | DemandCharge | MinimumCharge


@dataclass(frozen=True, slots=True)
class Adjustment:
    """What is added for each kWh of a billing period, or taken off."""

    price: Decimal
    """Yen per kWh."""
    minimum: Decimal | None = None
    """Yen for what a minimum charge includes; `None` for the price times its kWh."""

    def lump(self, included: Decimal) -> Decimal:
        """Return yen for what a minimum charge includes, whether it is used or not."""
        return (self.price * included).quantize(SEN, ROUND_HALF_UP) if self.minimum is None else self.minimum


@dataclass(frozen=True, slots=True, order=True)
class Month:
    """The month of a bill."""

    year: int
    month: int


@dataclass(frozen=True, slots=True)
class Span:
    """Days from the first to before the last one; in Japan, midnight to midnight."""

    first: date
    end: date

    @property
    def start_time(self) -> datetime:
        """Return the first midnight, in UTC."""
        return midnight(self.first)

    @property
    def end_time(self) -> datetime:
        """Return the last midnight, in UTC."""
        return midnight(self.end)

    @property
    def days(self) -> int:
        """Return how many they are."""
        return (self.end - self.first).days


@dataclass(frozen=True, slots=True)
class Billing:
    """From when to when a bill counts (検針期間)."""

    day: int = 1
    """Of the month, on which a new period begins; the last day of a month that is shorter."""
    dates: tuple[date, ...] = ()
    """The days of the meter reading calendar, where they are known; before and after them, the day counts."""

    def __post_init__(self) -> None:
        """Take a day that there is, and put the dates in order.

        Raises:
            InvalidPlanError: for a day that no month has.
        """
        if not 1 <= self.day <= 31:
            raise InvalidPlanError(Fault.BILLING_DAY)
        object.__setattr__(self, "dates", tuple(sorted(set(self.dates))))

    def span(self, day: date) -> Span:
        """Return the billing period of a day."""
        first = max((known for known in self._near(day) if known <= day), default=day)
        return Span(first, min(known for known in self._near(day) if known > day))

    def _near(self, day: date) -> list[date]:
        """Return the days about this one on which a period begins."""
        months = [_month(day.year, day.month + offset) for offset in range(-2, 3)]
        regular = [_day(month, self.day) for month in months]
        if not self.dates:
            return regular
        # What comes within two weeks of a known date is the same reading.
        first, last = self.dates[0], self.dates[-1]
        return [
            known for known in regular if known < first - timedelta(days=14) or known > last + timedelta(days=14)
        ] + list(self.dates)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a contract says from a day on."""

    valid_from: date
    energy: Bands | Market
    name: str = ""
    basic: BasicCharge | None = None
    billing: Billing = Billing()
    fuel: Mapping[Month, Adjustment] = field(default_factory=dict)
    """The fuel adjustment (燃料費調整) by the month of the bill; nothing where there is none."""
    fuel_entity: str = ""
    """Who tells it for the months that are not there: what it says last within a billing period."""
    levies: Mapping[int, Adjustment] = field(
        default_factory=lambda: {year: Adjustment(price) for year, price in LEVIES.items()}
    )
    """The renewable energy levy by year; where a year has none yet, that of the year before."""
    support: Mapping[Month, Adjustment] = field(default_factory=dict)
    """What is taken off by kWh, by the month of the bill; positive."""
    discount: Decimal = ZERO
    """Yen a month that are taken off; positive."""
    discounts: Mapping[Month, Decimal] = field(default_factory=dict)
    """Yen that are taken off in single months; positive."""
    total_rounding: Rounding = Rounding.DOWN
    levy_rounding: Rounding = Rounding.DOWN
    feed_in: Bands | None = None
    """What is paid for what is fed in."""
    feed_in_until: date | None = None
    """The last day on which it is paid."""

    def __post_init__(self) -> None:
        """Take a basic charge that is none of a discount.

        Raises:
            InvalidPlanError: for a charge or a size below zero.
        """
        match self.basic:
            case SizeCharge(price, size) if price < 0 or size < 0:
                raise InvalidPlanError(Fault.NEGATIVE)
            case MinimumCharge(price, included) if price < 0 or included < 0:
                raise InvalidPlanError(Fault.NEGATIVE)
            case MonthlyCharge(price) | DemandCharge(price) if price < 0:
                raise InvalidPlanError(Fault.NEGATIVE)
            case _:
                pass

    @property
    def included(self) -> Decimal:
        """Return kWh that a minimum charge includes."""
        return self.basic.included if isinstance(self.basic, MinimumCharge) else ZERO

    def levy(self, span: Span) -> Adjustment:
        """Return the renewable energy levy of a billing period."""
        year = span.first.year if span.first.month >= FIRST_LEVY_MONTH else span.first.year - 1
        known = [other for other in self.levies if other <= year]
        return self.levies[max(known)] if known else Adjustment(ZERO)


@dataclass(frozen=True, slots=True)
class Contract:
    """Plans that followed one another."""

    plans: tuple[Plan, ...]
    """In order of time; before the first one, nothing has a cost."""

    def __post_init__(self) -> None:
        """Put the plans in order.

        Raises:
            InvalidPlanError: for two of the same day.
        """
        plans = tuple(sorted(self.plans, key=lambda plan: plan.valid_from))
        if any(before.valid_from == after.valid_from for before, after in pairwise(plans)):
            raise InvalidPlanError(Fault.SAME_DAY)
        object.__setattr__(self, "plans", plans)

    def plan(self, day: date) -> Plan | None:
        """Return the plan of a day."""
        return next((plan for plan in reversed(self.plans) if plan.valid_from <= day), None)


def price_of(steps: Sequence[Step], used: Decimal, energy: Decimal) -> Decimal:
    """Return yen for so many kWh after others; where a step is crossed, each side has its own price."""
    yen = ZERO
    end = used + energy
    for step in steps:
        limit = end if step.limit is None else min(end, step.limit)
        if limit > used:
            yen += (limit - used) * step.price
            used = limit
    return yen


def pro_rata(energy: Decimal, days: int, whole: int) -> Decimal:
    """Return kWh for a billing period that was cut (日割計算), rounded to whole ones."""
    return energy if days == whole else (energy * days / whole).quantize(Decimal(1), ROUND_HALF_UP)


def midnight(day: date) -> datetime:
    """Return when a day begins in Japan, in UTC."""
    return datetime.combine(day, time(), JST).astimezone(UTC)


def bill_month(span: Span) -> Month:
    """Return the month whose bill (N月分) it is: that of the last day."""
    last = span.end - timedelta(days=1)
    return Month(last.year, last.month)


def simple(price: Decimal) -> Bands:
    """Return one price for all hours."""
    return stepped([Step(None, price)])


def stepped(steps: Sequence[Step]) -> Bands:
    """Return steps (段階) for all hours."""
    return Bands((Band("", tuple(steps)),))


def _time(number: int) -> time:
    return time(number // 2, number % 2 * 30)


def _month(year: int, month: int) -> Month:
    years, number = divmod(month - 1, 12)
    return Month(year + years, number + 1)


def _day(month: Month, day: int) -> date:
    """Return a day of a month, or its last one."""
    following = _month(month.year, month.month + 1)
    last = date(following.year, following.month, 1) - timedelta(days=1)
    return last.replace(day=min(day, last.day))
