"""Whether each bar of the Energy dashboard is what the meters counted."""

from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from tests.aiobroute.virtual_time import START, clock
from tests.recorder import bars

from .former import compare_former
from .house import DAY, HOUR

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from .energy import EnergyResult
    from .house import Direction, House, Service

MOST: Final = Decimal(50)
"""kWh in an hour: no house takes more."""

HALF_HOUR: Final = timedelta(minutes=30)

POLLS: Final = timedelta(minutes=12)
"""Two polls and a clock that is not quite right."""

COUNT: Final = Decimal("0.1")
"""kWh that a counter of the coarser kind counts in one step."""

type Bars = Mapping[datetime, Decimal]


async def compare(house: House, result: EnergyResult) -> None:
    """Compare all bars with what the meters counted."""
    for key in house.directions:
        shown = await bars(house.home.hass, house.entity_id(key), START - 200 * DAY)
        result.wrong += compare_former(house, key, shown)
        result.hours += sum(len(service.known) for service in house.services)
        wrong, lost = differences(house.services, key, shown)
        result.wrong += wrong
        result.lost += lost


def differences(services: Sequence[Service], key: Direction, shown: Bars) -> tuple[list[str], Decimal]:
    """Return what is wrong with the bars of a direction, in words, and how many kWh are lost or too many."""
    wrong = [text for service in services for text in _hours(service, key, shown)]
    for former, service in pairwise(services):
        wrong += _exchange(former, service, key, shown)
    wrong += [*_impossible(key, shown), *_too_much(services, key, shown)]
    return wrong, sum((_lost(service, key, shown) for service in services), Decimal(0))


def _hours(service: Service, key: Direction, shown: Bars) -> Iterator[str]:
    """Yield the hours that the meter knew and that have no bar, or a wrong one."""
    for hour in sorted(service.known):
        true = service.counted(key, hour, hour + HOUR)
        if shown.get(hour) != true:
            yield f"{hour:%Y-%m-%d %H} {key} {shown.get(hour)}, in truth {true}"


def _lost(service: Service, key: Direction, shown: Bars) -> Decimal:
    """Return the kWh by which all from the first to the last hour that the meter knew is off, in either direction."""
    if not service.known:
        return Decimal(0)
    first, last = min(service.known), max(service.known)
    energy = sum(bar for hour, bar in shown.items() if first <= hour <= last)
    return abs(energy - service.counted(key, first, last + HOUR))


def _exchange(former: Service, service: Service, key: Direction, shown: Bars) -> Iterator[str]:
    """Yield the hours of an exchange if they are not the sum of what can be known of both meters."""
    if former.heard is None or not service.known:
        return
    hour = service.begin.replace(minute=0, second=0, microsecond=0)
    heard = former.heard - POLLS
    heard -= (heard - hour) % HALF_HOUR
    least = former.counted(key, hour, heard) if heard > hour else Decimal(0)
    # One, or both between which the clocks of the two meters do not agree.
    end = min(hour + 2 * HOUR, max(hour + HOUR, min(service.known)))
    most = former.counted(key, hour - POLLS, service.begin + POLLS) + service.counted(key, hour, end + POLLS)
    bar = sum((bar for start, bar in shown.items() if hour <= start < end), Decimal(0))
    if not least <= bar <= most + COUNT:
        yield f"{hour:%Y-%m-%d %H} {key} {bar} at the exchange, in truth from {least} to {most}"


def _impossible(key: Direction, shown: Bars) -> Iterator[str]:
    """Yield what no house can take; a bar may have the energy of the hours without one before it, too."""
    before = min(shown, default=START) - HOUR
    for hour, bar in sorted(shown.items()):
        if not 0 <= bar <= MOST * Decimal((hour - before) / HOUR):
            yield f"{hour:%Y-%m-%d %H} {key} {bar}, which cannot be"
        before = hour


def _too_much(services: Sequence[Service], key: Direction, shown: Bars) -> Iterator[str]:
    """Yield the total if it is more than all meters counted while they were here."""
    most = Decimal(0)
    for service in services:
        since = service.since.replace(minute=0, second=0, microsecond=0) - HOUR
        most += service.counted(key, since, (service.end or clock()) + HOUR) + 2 * COUNT
    total = sum(shown.values(), Decimal(0))
    if total > most:
        yield f"{key} {total} in all, of {most}"
