"""Plans as they are kept in an entry: a subentry each, money as decimal numbers in text."""

from collections.abc import Iterable, Mapping
from datetime import date, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from homeassistant.util import dt as dt_util

from ..const import SUBENTRY_PLAN
from .plan_text import MARKET, NONE, ONE
from .tariff import (
    Adjustment,
    Band,
    Bands,
    BasicCharge,
    Billing,
    Contract,
    DemandCharge,
    Hours,
    Market,
    MinimumCharge,
    Month,
    MonthlyCharge,
    Plan,
    SizeCharge,
    Step,
    simple,
    stepped,
)
from .terms import LEVIES, Days, Fault, InvalidPlanError, Rounding

if TYPE_CHECKING:
    from homeassistant.config_entries import ConfigEntry


def contract_of(entry: ConfigEntry) -> Contract | None:
    """Return the plans of an entry; `None` as long as there is none."""
    plans = [plan_of(each.data) for each in entry.subentries.values() if each.subentry_type == SUBENTRY_PLAN]
    return Contract(tuple(plans)) if plans else None


def plan_of(data: Mapping[str, Any]) -> Plan:
    """Return a plan as it was typed in.

    Raises:
        InvalidPlanError: it cannot be as it was typed.

    """
    until = data.get("feed_in_until")
    return Plan(
        name=data["name"],
        valid_from=date.fromisoformat(data["valid_from"]),
        energy=_energy(data),
        basic=_basic(data),
        billing=Billing(data["billing_day"], tuple(date.fromisoformat(day) for day in data.get("reading_dates", ()))),
        fuel=_by_month(data.get("fuel", {})),
        fuel_entity=data.get("fuel_entity", ""),
        levies={int(year): Adjustment(Decimal(price)) for year, price in data["levies"].items()},
        support=_by_month(data.get("support", {})),
        discount=Decimal(data.get("discount", "0")),
        total_rounding=Rounding(data.get("total_rounding", Rounding.DOWN)),
        levy_rounding=Rounding(data.get("levy_rounding", Rounding.DOWN)),
        feed_in=_feed_in(data),
        feed_in_until=None if until is None else date.fromisoformat(until),
    )


def plan_of_prices(name: str, price: str | None, entity: str | None, feed_in: str | None) -> dict[str, Any]:
    """Return the data of a plan that has nothing but the price that the Energy dashboard had."""
    if entity is None:
        energy = {"energy": ONE, "prices": [price]}
    else:
        energy = {"energy": MARKET, "price_entity": entity, "factor": "1", "loss": "0", "surcharge": "0"}
    return {
        "name": name,
        # Before all that any meter remembers.
        "valid_from": date(dt_util.utcnow().year - 1, 1, 1).isoformat(),
        **energy,
        "basic": NONE,
        "billing_day": 1,
        "levies": {str(min(LEVIES)): "0"},
        "feed_in": feed_in,
    }


def _energy(data: Mapping[str, Any]) -> Bands | Market:
    match data["energy"]:
        case "bands":
            return Bands(tuple(band_of(band) for band in data["bands"]))
        case "market":
            return market_of(data)
        case _:
            return stepped(steps_of(data.get("limits", ()), data["prices"]))


def market_of(data: Mapping[str, Any]) -> Market:
    """Return a price that an entity tells; the loss is typed as a percentage.

    Raises:
        InvalidPlanError: it cannot be as it was typed.

    """
    return Market(
        factor=Decimal(data["factor"]),
        loss=Decimal(data["loss"]) / 100,
        surcharge=Decimal(data["surcharge"]),
        entity=data["price_entity"],
    )


def _feed_in(data: Mapping[str, Any]) -> Bands | None:
    """Return what is paid for what is fed in: by hours, or one price, or nothing."""
    if bands := data.get("feed_in_bands"):
        return Bands(tuple(band_of(band) for band in bands))
    price = data.get("feed_in")
    return None if price is None else simple(Decimal(price))


def band_of(data: Mapping[str, Any]) -> Band:
    """Return a band; one without a beginning has all hours that the others leave.

    Raises:
        InvalidPlanError: it cannot be as it was typed.

    """
    hours: tuple[Hours, ...] = ()
    if "begin" in data:
        hours = (
            Hours(
                begin=time.fromisoformat(data["begin"]),
                end=time.fromisoformat(data["end"]),
                days=Days(data["days"]),
                months=frozenset(int(month) for month in data["months"]),
            ),
        )
    return Band(data["name"], steps_of(data.get("limits", ()), data["prices"]), hours)


def steps_of(limits: Iterable[str], prices: Iterable[str]) -> tuple[Step, ...]:
    """Return steps; there is one price more than there are limits.

    Raises:
        InvalidPlanError: there is another number of prices.

    """
    ends = [*(Decimal(limit) for limit in limits), None]
    each = [Decimal(price) for price in prices]
    if len(ends) != len(each):
        raise InvalidPlanError(Fault.NO_STEPS)
    return tuple(Step(end, price) for end, price in zip(ends, each, strict=True))


def _basic(data: Mapping[str, Any]) -> BasicCharge | None:
    is_halved = data.get("is_halved", False)
    if data["basic"] == NONE:
        return None
    price = Decimal(data["basic_price"])
    match data["basic"]:
        case "ampere":
            return SizeCharge(price, Decimal(data["basic_size"]) / 10, is_halved)
        case "kva":
            return SizeCharge(price, Decimal(data["basic_size"]), is_halved)
        case "demand":
            return DemandCharge(price, is_halved_if_unused=is_halved)
        case "minimum":
            return MinimumCharge(price, Decimal(data["basic_size"]))
        case _:
            return MonthlyCharge(price, is_halved)


def _by_month(table: Mapping[str, str]) -> dict[Month, Adjustment]:
    return {Month(int(month[:4]), int(month[5:])): Adjustment(Decimal(price)) for month, price in table.items()}
