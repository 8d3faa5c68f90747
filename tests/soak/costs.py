"""Whether each bar of the costs is what the meters' hours cost by a plan, worked out a second time and slowly."""

from datetime import date, datetime, time, timedelta
from decimal import Decimal
import itertools
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from homeassistant.config_entries import ConfigSubentry
from homeassistant.helpers import entity_registry as er

from custom_components.broute.aiobroute import JST
from tests.aiobroute.virtual_time import START
from tests.home import DOMAIN
from tests.recorder import bars

from .house import DAY, HOUR
from .market import ENTITY, HALF_HOUR

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant

    from .house import House, Service
    from .market import Market

BILLING_DAY: Final = 20
"""Near enough before the beginning that the memory of every meter has a whole period."""
BASIC: Final = Decimal("1247.00")
LEVY: Final = Decimal("3.98")
NIGHT: Final = ((Decimal(40), Decimal("16.30")), (None, Decimal("19.91")))
OTHERS: Final = ((Decimal(90), Decimal("28.11")), (None, Decimal("35.76")))

PLAN: Final = {
    "name": "昼と夜",
    "valid_from": "2025-01-01",
    "energy": "bands",
    "bands": [
        {
            "name": "夜",
            "begin": "23:00:00",
            "end": "07:00:00",
            "days": "every_day",
            "months": [str(month) for month in range(1, 13)],
            "limits": [str(NIGHT[0][0])],
            "prices": [str(price) for _, price in NIGHT],
        },
        {"name": "昼", "limits": [str(OTHERS[0][0])], "prices": [str(price) for _, price in OTHERS]},
    ],
    "basic": "month",
    "basic_price": str(BASIC),
    "billing_day": BILLING_DAY,
    "levies": {"2012": str(LEVY)},
    "feed_in": "8.5",
}
FED_IN: Final = Decimal("8.5")

BASIC_OF_MARKET: Final = Decimal("803.00")
FACTOR, LOSS, SURCHARGE = Decimal("1.1"), Decimal("6.9"), Decimal("7.25")
"""The loss is a percentage."""
MARKET_PLAN: Final = {
    **{key: value for key, value in PLAN.items() if key != "bands"},
    "name": "市場",
    "energy": "market",
    "price_entity": ENTITY,
    "factor": str(FACTOR),
    "loss": str(LOSS),
    "surcharge": str(SURCHARGE),
    "basic_price": str(BASIC_OF_MARKET),
}
"""It follows the other one, on some day of the run."""

NOTHING: Final = Decimal("0.001")
"""Yen; what the recorder counts in binary numbers, and shares of fixed charges that were rounded."""


def add_plans(hass: HomeAssistant, entry: ConfigEntry, change: date) -> None:
    """Let a person add the plans, the second one from a day on."""
    for plan in (PLAN, {**MARKET_PLAN, "valid_from": change.isoformat()}):
        data = MappingProxyType(plan)
        hass.config_entries.async_add_subentry(
            entry, ConfigSubentry(data=data, subentry_type="plan", title=str(plan["name"]), unique_id=None)
        )


async def compare_costs(house: House, market: Market, change: date, wrong: list[str], *, is_lossy: bool) -> int:
    """Compare all bars of costs and of what was brought in; return how many of costs, and tell what is wrong.

    If months were lost and taken back from the recorder, of their hours nobody knows the halves any more.
    """
    registry = er.async_get(house.home.hass)
    kinds = {"cost": costs_of(house.services, market, change, is_lossy=is_lossy)}
    if "energy_out" in house.directions:
        kinds["compensation"] = brought_in(house.services)
    for kind, wanted in kinds.items():
        sensor = registry.async_get_entity_id("sensor", DOMAIN, f"{house.home.entry.unique_id}_{kind}")
        if sensor is None:
            wrong.append(f"no sensor for the {kind}")
            continue
        shown = await bars(house.home.hass, sensor, START - 130 * DAY)
        wrong += [
            f"{hour:%Y-%m-%d %H} {kind} {shown.get(hour)} yen, in truth {' or '.join(map(str, sorted(yen)))}"
            for hour, yen in wanted.items()
            if min(abs(shown.get(hour, Decimal(-1)) - each) for each in yen) > NOTHING
        ]
    return len(kinds["cost"])


def brought_in(services: Sequence[Service]) -> dict[datetime, set[Decimal]]:
    """Return yen for what was fed in, by the hours that the meters knew."""
    return {
        hour: {FED_IN * service.counted("energy_out", hour, hour + HOUR)}
        for service in services
        for hour in sorted(service.known)
    }


def costs_of(
    services: Sequence[Service], market: Market, change: date, *, is_lossy: bool = False
) -> dict[datetime, set[Decimal]]:
    """Return yen by hour, or several if a price may have been seen or not.

    By steps, it is known up to the first hour of a billing period that is not: they need all before.
    """
    known = {hour: service for service in services for hour in service.known}
    if not known:
        return {}
    found: dict[datetime, set[Decimal]] = {}
    for begin, end in _billing_periods(min(known), max(known)):
        number = (end - begin) // HOUR
        used = {NIGHT: Decimal(0), OTHERS: Decimal(0)}
        is_all_known = True
        for hour in (begin + place * HOUR for place in range(number)):
            is_all_known = is_all_known and hour in known
            if hour >= _midnight(change):
                if hour in known:
                    found[hour] = {
                        BASIC_OF_MARKET / number + yen
                        for is_even in {False, is_lossy}
                        for yen in _by_market(known[hour], market, hour, is_even=is_even, is_lossy=is_lossy)
                    }
            elif is_all_known:
                energy = known[hour].counted("energy_in", hour, hour + HOUR)
                steps = NIGHT if hour.astimezone(JST).hour in (23, *range(7)) else OTHERS
                found[hour] = {_energy_price(steps, used[steps], energy) + LEVY * energy + BASIC / number}
                used[steps] += energy
    return found


def _by_market(service: Service, market: Market, hour: datetime, *, is_even: bool, is_lossy: bool) -> set[Decimal]:
    """Return yen for the kWh of an hour, or as if its halves were even; a half-hour without a price has no cost."""
    found = {Decimal(0)}
    for start in (hour, hour + HALF_HOUR):
        energy = service.counted("energy_in", start, start + HALF_HOUR)
        if is_even:
            energy = service.counted("energy_in", hour, hour + HOUR) / 2
        each = set()
        for price in market.could_be(start, is_lossy=is_lossy):
            full = None if price is None else price * 100 / (100 - LOSS) * FACTOR + SURCHARGE + LEVY
            each.add(Decimal(0) if full is None else full * energy)
        found = {before + yen for before in found for yen in each}
    return found


def _energy_price(steps: Sequence[tuple[Decimal | None, Decimal]], used: Decimal, energy: Decimal) -> Decimal:
    """Return yen for kWh after others; of two steps."""
    (limit, low), (_, high) = steps
    assert limit is not None
    cheap = min(max(limit - used, Decimal(0)), energy)
    return cheap * low + (energy - cheap) * high


def _billing_periods(first: datetime, last: datetime) -> Iterator[tuple[datetime, datetime]]:
    """Yield the periods that two times, and all between them, are in."""
    day = first.astimezone(JST).date() - timedelta(days=31)
    begins: list[datetime] = []
    while day <= last.astimezone(JST).date() + timedelta(days=32):
        if day.day == BILLING_DAY:
            begins.append(_midnight(day))
        day += timedelta(days=1)
    for begin, end in itertools.pairwise(begins):
        if begin <= last and end > first:
            yield begin, end


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), JST)
