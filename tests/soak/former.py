"""Another sensor that has read the meter before, whose history a person continues at some time."""

import asyncio
from datetime import timedelta
from decimal import Decimal
import random
from typing import TYPE_CHECKING, Final

from homeassistant.config_entries import ConfigEntryState

from tests.aiobroute.virtual_time import START, clock
from tests.former import continue_history, put

from .house import DAY, HOUR, House

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from .house import Direction

BEFORE: Final = 25 * DAY
"""How long before the meter's memory the other sensor begins."""
HOLE: Final = timedelta(days=9)
SENSORS: Final[Mapping[Direction, str]] = {"energy_in": "sensor.former_in", "energy_out": "sensor.former_out"}
LATEST: Final = 3 * 86_400.0
"""Seconds."""


def hours_of(house: House, key: Direction) -> dict[datetime, Decimal]:
    """Return the bars of the other sensor: the meter's own, but for some days in which it was off."""
    service = house.services[0]
    begin = border_of(house) - BEFORE
    hours = [begin + number * HOUR for number in range((START - begin) // HOUR)]
    hours = [hour for hour in hours if not begin + HOLE <= hour < begin + 2 * HOLE]
    return {hour: service.counted(key, hour, hour + HOUR) for hour in hours}


def border_of(house: House) -> datetime:
    """Return up to when none of the hours can be known by the meter."""
    return house.services[0].since.replace(minute=0, second=0, microsecond=0)


async def continue_at_some_time(house: House, chance: random.Random) -> None:
    """Continue it minutes to days after the beginning, as soon as Home Assistant runs for a while."""
    await asyncio.sleep(5 * (LATEST / 5) ** chance.random())
    while True:
        try:
            if house.home.is_running and house.home.entry.state is ConfigEntryState.LOADED:
                await continue_former(house)
                return
        except Exception:  # noqa: BLE001  # Home Assistant ended meanwhile, or a sensor is disabled: later
            await asyncio.sleep(0)
        await asyncio.sleep(1800)


async def continue_former(house: House) -> None:
    """Let there be another sensor, and a person continue it."""
    for key in house.directions:
        await put(house.home.hass, hours_of(house, key), SENSORS[key])
    await continue_history(house.home, **{key: SENSORS[key] for key in house.directions})


def compare_former(house: House, key: Direction, shown: dict[datetime, Decimal]) -> list[str]:
    """Take the hours out of the bars that only the other sensor knows; return which of them are wrong, in words."""
    border = border_of(house)
    early = {hour: shown.pop(hour) for hour in [*shown] if hour < border}
    continued = house.home.entry.runtime_data.history.continues()
    due = {hour: kwh for hour, kwh in hours_of(house, key).items() if hour < border} if key in continued else {}
    return [
        f"{hour:%Y-%m-%d %H} {key} {early.get(hour)}, by the other sensor {due.get(hour)}, {clock():%m-%d}"
        for hour in sorted({*early, *due})
        if early.get(hour) != due.get(hour)
    ]
