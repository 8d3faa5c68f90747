"""Records of the history and comparisons of plans, as actions return them."""

from typing import TYPE_CHECKING

from .aiobroute import JST
from .energy.records import sen
from .energy.terms import Rounding

if TYPE_CHECKING:
    from datetime import datetime
    from decimal import Decimal

    from homeassistant.util.json import JsonValueType

    from .energy.bill import Comparison
    from .energy.records import Record


def half_hour(record: Record) -> dict[str, JsonValueType]:
    """Return a half-hour; what is not known is nothing."""
    return {
        "start": _time(record.start),
        "energy_in": _number(record.energy_in),
        "energy_out": _number(record.energy_out),
        "demand": None if record.peak is None else _number(record.peak.demand),
        "cost": _yen(record.cost),
        "compensation": _yen(record.compensation),
    }


def total(record: Record) -> dict[str, JsonValueType]:
    """Return a sum, and from how many half-hours each of its numbers is."""
    told = {
        **half_hour(record),
        "end": _time(record.end),
        "demand_start": None if record.peak is None else _time(record.peak.start),
        "half_hours": record.half_hours,
        "half_hours_in": record.known_in,
        "half_hours_out": record.known_out,
        "half_hours_cost": record.priced_in,
        "half_hours_compensation": record.priced_out,
    }
    return told if record.bill is None else {**told, "bill": _yen(record.bill)}


def _time(at: datetime) -> str:
    return at.astimezone(JST).isoformat()


def _number(number: Decimal | None) -> float | None:
    """Return kWh or kW as JSON has numbers."""
    return None if number is None else float(number)


def _yen(yen: Decimal | None) -> float | None:
    """Return yen and sen as JSON has numbers."""
    return None if yen is None else float(sen(yen))


def compared(comparison: Comparison) -> dict[str, JsonValueType]:
    """Return what the days would have cost by a plan, in whole yen."""
    return {
        "name": comparison.plan.name,
        "valid_from": comparison.plan.valid_from.isoformat(),
        "cost": int(Rounding.HALF_UP.round(comparison.yen)),
        "energy": float(comparison.energy),
        "hours": comparison.half_hours / 2,
        "hours_unknown": comparison.unknown / 2,
        "hours_without_price": comparison.unpriced / 2,
    }
