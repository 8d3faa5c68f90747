"""The lengths of time into which the history can be added up."""

from enum import StrEnum


class Length(StrEnum):
    """What one row is the sum of."""

    HALF_HOUR = "half_hour"
    HOUR = "hour"
    DAY = "day"
    MONTH = "month"
    BILLING_PERIOD = "billing_period"
