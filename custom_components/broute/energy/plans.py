"""Plans as they are kept in an entry: a subentry each, money as decimal numbers in text."""

from collections.abc import Iterable, Mapping
from datetime import date, time
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Final
import unicodedata

from homeassistant.util import dt as dt_util

from .tariff import (
    LEVIES,
    Adjustment,
    Band,
    Bands,
    BasicCharge,
    Billing,
    Contract,
    Days,
    DemandCharge,
    Fault,
    Hours,
    InvalidPlanError,
    Market,
    MinimumCharge,
    Month,
    MonthlyCharge,
    Plan,
    Rounding,
    SizeCharge,
    Step,
    simple,
    stepped,
)

if TYPE_CHECKING:
    from homeassistant.config_entries import ConfigEntry

SUBENTRY_PLAN: Final = "plan"

ONE, STEPS, BANDS, MARKET = "one", "steps", "bands", "market"
ENERGIES: Final = (ONE, STEPS, BANDS, MARKET)
NONE, MONTH, AMPERE, KVA, DEMAND, MINIMUM = "none", "month", "ampere", "kva", "demand", "minimum"
BASICS: Final = (NONE, MONTH, AMPERE, KVA, DEMAND, MINIMUM)

MOST: Final = Decimal(1_000_000)
"""Yen or kWh; what is more is a slip of the finger."""


class InvalidTextError(ValueError):
    """What was typed is none of what was asked for."""


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


def _plain(text: str) -> str:
    """Return what was typed in full width as if it had been typed in half width."""
    return unicodedata.normalize("NFKC", text).replace("、", ",")


def numbers(text: str) -> list[str]:
    """Return the numbers of a line such as 120, 300.

    Raises:
        InvalidTextError: something in it is no number.

    """
    return [number(part) for part in _plain(text).split(",") if part.strip()]


def number(text: str) -> str:
    """Return a decimal number as it is kept; full-width digits and separators of thousands are understood.

    Raises:
        InvalidTextError: it is none, or larger than any price can be.

    """
    plain = _plain(text).replace(",", "").replace("円", "")
    for minus in ("\N{MINUS SIGN}", "▲", "△"):
        plain = plain.replace(minus, "-")
    try:
        found = Decimal(plain.strip())
    except InvalidOperation:
        raise InvalidTextError(text) from None
    if not found.is_finite() or abs(found) > MOST:
        raise InvalidTextError(text)
    return format(found, "f")


def table(text: str, length: int) -> dict[str, str]:
    """Return the lines of a table: a month (2026-04) or a year, and a number.

    Raises:
        InvalidTextError: a line is neither, or names the same twice.

    """
    found: dict[str, str] = {}
    for line in text.splitlines():
        if not line.strip():
            continue
        name, _, value = _plain(line).replace("=", ":").partition(":")
        key = name.strip().replace("/", "-")
        try:
            date.fromisoformat(f"{key}-01" if length == len("2026-04") else f"{key}-01-01")
        except ValueError:
            raise InvalidTextError(line) from None
        if len(key) != length or key in found:
            raise InvalidTextError(line)
        found[key] = number(value)
    return dict(sorted(found.items()))


def lines(table: Mapping[str, str]) -> str:
    """Return a table as it is typed."""
    return "\n".join(f"{key}: {value}" for key, value in table.items())


def dates(text: str) -> list[str]:
    """Return the dates of a meter reading calendar, one a line or with commas between.

    Raises:
        InvalidTextError: something in it is no date.

    """
    found = []
    for part in _plain(text).replace("\n", ",").split(","):
        if part.strip():
            try:
                found.append(date.fromisoformat(part.strip().replace("/", "-")).isoformat())
            except ValueError:
                raise InvalidTextError(part) from None
    return sorted(set(found))
