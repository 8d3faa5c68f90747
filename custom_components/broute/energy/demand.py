"""Demand: the mean power of half an hour, by which some contracts are measured (実量制); pure arithmetic."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final, Self

from .ledger import HALF_HOUR

ZERO: Final = Decimal(0)

MONTHS: Final = 12
"""Billing periods whose highest demand makes the contract: the present one and eleven before."""

LONGEST_GAP: Final = timedelta(minutes=5)
"""Between two readings; after more, nobody knows what flowed before and what after the turn of the half-hour."""

PER_HALF_HOUR: Final = 2
"""A half-hour's kWh times this are its mean kW."""


@dataclass(frozen=True, slots=True)
class Peak:
    """The highest demand of a time."""

    demand: Decimal
    """kW."""
    start: datetime
    """Of its half-hour; the first one, if there are several as high."""


def peak(energy: Mapping[datetime, Decimal | None], start: datetime, end: datetime) -> Peak | None:
    """Return the highest demand among the half-hours that are known."""
    found: Peak | None = None
    while start < end:
        known = energy.get(start)
        if known is not None and (found is None or known * PER_HALF_HOUR > found.demand):
            found = Peak(known * PER_HALF_HOUR, start)
        start += HALF_HOUR
    return found


def contract_demand(peaks: Sequence[Decimal | None]) -> Decimal | None:
    """Return the highest of a billing period's demand and those of the eleven before, in order of time.

    Periods without a known half-hour do not count.
    """
    return max((demand for demand in peaks[-MONTHS:] if demand is not None), default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningDemand:
    """What the running half-hour has had, and will have had if the present power stays."""

    at: datetime
    """Of the last reading."""
    counter: Decimal
    """kWh, in steps."""
    power: Decimal
    """W that are drawn."""
    added: Decimal = ZERO
    """kWh that the power adds up to since the beginning of the half-hour."""
    base: tuple[Decimal, Decimal] | None = None
    """kWh between which the counter was at the beginning of the half-hour; `None` if nobody saw it."""

    @classmethod
    def first(cls, at: datetime, counter: Decimal, power: Decimal, base: Decimal | None = None) -> Self:
        """Begin with a reading, and the counter at the beginning of its half-hour if another source has it."""
        return cls(
            at=at,
            counter=counter,
            power=max(power, ZERO),
            added=ZERO if base is None else counter - base,
            base=None if base is None or base > counter else (base, base),
        )

    def following(self, at: datetime, counter: Decimal, power: Decimal) -> Self:
        """Go on with the next reading."""
        if at <= self.at:
            return self
        if counter < self.counter:
            # A counter that begins again, or another meter's.
            return self.first(at, counter, power)
        power = max(power, ZERO)
        mean = (self.power + power) / 2
        begin = half_hour(at)
        if begin <= self.at:
            return replace(
                self, at=at, counter=counter, power=power, added=self.added + mean * _hours(at - self.at) / 1000
            )
        is_seen = at - self.at <= LONGEST_GAP
        return replace(
            self,
            at=at,
            counter=counter,
            power=power,
            added=mean * _hours(at - begin) / 1000,
            base=(self.counter, counter) if is_seen else None,
        )

    def energy(self, step: Decimal) -> Decimal | None:
        """Return kWh since the beginning of the half-hour, for a counter with such steps.

        The power is added up; the counter bounds it, as it has counted all but less than a step.
        """
        if self.base is None:
            return None
        lowest, highest = self.base
        return min(max(self.added, self.counter - highest - step, ZERO), self.counter - lowest + step)

    def demand(self, step: Decimal) -> Decimal | None:
        """Return kW that the half-hour will have at its end; `None` as long as its beginning is not known."""
        energy = self.energy(step)
        if energy is None:
            return None
        rest = half_hour(self.at) + HALF_HOUR - self.at
        return (energy + self.power * _hours(rest) / 1000) * PER_HALF_HOUR


def half_hour(at: datetime) -> datetime:
    """Return the beginning of a half-hour."""
    return at.replace(minute=at.minute // 30 * 30, second=0, microsecond=0)


def _hours(time: timedelta) -> Decimal:
    return Decimal(time // timedelta(microseconds=1)) / 3_600_000_000
