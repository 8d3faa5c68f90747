"""The words and yearly numbers of electricity contracts: what a form offers, and what can be wrong with a plan."""

from collections.abc import Mapping
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal
from enum import StrEnum
from typing import Final

LEVIES: Final[Mapping[int, Decimal]] = {
    2012: Decimal("0.22"),
    2013: Decimal("0.35"),
    2014: Decimal("0.75"),
    2015: Decimal("1.58"),
    2016: Decimal("2.25"),
    2017: Decimal("2.64"),
    2018: Decimal("2.90"),
    2019: Decimal("2.95"),
    2020: Decimal("2.98"),
    2021: Decimal("3.36"),
    2022: Decimal("3.45"),
    2023: Decimal("1.40"),
    2024: Decimal("3.49"),
    2025: Decimal("3.98"),
    2026: Decimal("4.18"),
}
"""Yen per kWh of the renewable energy levy (再エネ賦課金), the same in all of Japan.

Of a year's value is each billing period that begins from April on, so that it is first seen on the bill of May.
"""


class Fault(StrEnum):
    """What is wrong with a plan."""

    NO_STEPS = "no_steps"
    STEPS_FALL = "steps_fall"
    LAST_STEP_ENDS = "last_step_ends"
    BANDS_OVERLAP = "bands_overlap"
    BANDS_INCOMPLETE = "bands_incomplete"
    BAND_NAMES = "band_names"
    BAND_HALF_HOURS = "band_half_hours"
    MONTH = "month"
    BILLING_DAY = "billing_day"
    LOSS = "loss"
    NEGATIVE = "negative"
    SAME_DAY = "same_day"


class InvalidPlanError(ValueError):
    """A plan cannot be as it was written down."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.value)
        self.fault = fault


class Days(StrEnum):
    """The days on which a time of a band counts."""

    EVERY_DAY = "every_day"
    WEEKDAYS = "weekdays"
    HOLIDAYS = "holidays"
    """Saturdays, Sundays and public holidays."""


class Rounding(StrEnum):
    """What becomes of a part of a yen."""

    DOWN = "down"
    HALF_UP = "half_up"
    NONE = "none"

    def round(self, yen: Decimal) -> Decimal:
        """Return whole yen, or the same."""
        if self is Rounding.NONE:
            return yen
        return yen.quantize(Decimal(1), ROUND_DOWN if self is Rounding.DOWN else ROUND_HALF_UP)
