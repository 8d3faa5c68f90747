"""What may be off, broken or replaced for hours to weeks; each outage is over when it returns."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
import random
from tempfile import TemporaryDirectory
from typing import Final

from homeassistant.helpers import entity_registry as er

from tests.aiobroute.virtual_time import clock
from tests.databases import Sqlite, memory
from tests.recorder import ask
from tests.simulator.meter import MeterSettings

from .house import DAY, UNSAVED, House

MINUTE: Final = timedelta(minutes=1)
HOUR: Final = 60 * MINUTE

JUMPS: Final = (-DAY, -HOUR, HOUR, DAY)
"""By which a meter's clock jumps."""

IMPORTING: Final = (1.0, 240.0)
"""Seconds after a start in which Home Assistant imports."""

USED: Final = 20 * DAY
"""How long a used meter has counted somewhere else before it is brought."""

COUNTERS: Final = ("0", "0.3", "17", "292", "4321", "61000", "99950", "99999.5")
"""kWh that a new meter shows when it is brought: nothing, what it was tested with, years, and close to the end."""

REFUSED: Final = (
    (0xE2,),
    (0xE4,),
    (0xEC,),
    (0xE0,),
    (0xE3,),
    (0xE5,),
    (0x97, 0x98),
    (0xE1, 0xD3),
    (0xE2, 0xE4),
    (0xE2, 0xE4, 0xEC),
)
"""Properties that a meter refuses at the same time."""


async def _off(house: House) -> None:
    await house.home.stop()
    await house.last(300, 60 * 86_400)
    await house.home.start()


async def _killed(house: House) -> None:
    """Kill Home Assistant while it imports."""
    await house.home.stop()
    await house.last(300, 20 * 86_400)
    await house.home.start()
    await house.last(*IMPORTING)
    await house.kill()
    await house.last(10, 7200)
    await house.home.start()


async def _unplugged(house: House) -> None:
    house.sim.unplug()
    await house.last_with_restart(300, 10 * 86_400)
    house.sim.plug()


async def _unreachable(house: House) -> None:
    house.sim.air.is_reachable = False
    await house.last_with_restart(300, 20 * 86_400)
    house.sim.air.is_reachable = True


async def _exchanged(house: House) -> None:
    """Let the utility bring another meter, and a person confirm it minutes to days later."""
    chance, heard = house.chance, clock()
    is_on = chance.random() < 0.75
    if not is_on:
        await house.home.stop()
        await house.last(300, 3 * 86_400)
    first = house.services[0]
    if house.service.meter is not first.meter and chance.random() < 0.4:
        house.bring_back(first, heard)
    else:
        counters = Decimal(chance.choice(COUNTERS)), Decimal(chance.choice(COUNTERS))
        house.exchange(new_meter(house), counters, heard)
    if not is_on:
        house.services[-2].heard = None
        await house.last(5, 7200)
        await house.home.start()
    await house.last_with_restart(60, 5 * 86_400)
    await house.confirm_exchange()


def new_meter(house: House) -> MeterSettings:
    """Return a meter of another make that counts another household: it may have been elsewhere before."""
    chance, number = house.chance, len(house.services)
    return replace(
        meter_of(chance),
        seed=number + 1,
        solar=house.service.meter.settings.solar,
        serial=f"S26{number:09}",
        installed=clock() - chance.choice((0, 1)) * USED,
        rival_turns=0,
    )


async def _full_importing(house: House) -> None:
    """Let the disk be full while Home Assistant imports."""
    await house.home.stop()
    await house.last(300, 20 * 86_400)
    is_full_before = house.chance.random() < 0.5
    if not is_full_before:
        await house.home.start()
        await house.last(*IMPORTING)
    with house.disk_full():
        if is_full_before:
            await house.home.start()
        await house.last_with_restart(5, 1800)


async def _full(house: House) -> None:
    """Let the disk be full for hours, with Home Assistant off before, in between or after it."""
    if house.chance.random() < 0.4:
        await house.home.stop()
        await house.last(300, 2 * 86_400)
        await house.home.start()
    with house.disk_full():
        await house.last_with_restart(900, 86_400)
        is_off = house.chance.random() < 0.3
        if is_off:
            await house.home.stop()
    if is_off:
        await house.last(300, 2 * 86_400)
        await house.home.start()


async def _older_database(house: House) -> None:
    """Put back a copy of the database that is hours to days old."""
    house.database.keep("older")
    await house.last_with_restart(3600, 4 * 86_400)
    if house.chance.random() < 0.2:
        await _exchanged(house)
    await house.home.stop()
    await house.last(5, 86_400)
    house.database.put_back("older")
    await house.home.start()
    await house.last_with_restart(5, 3600)


async def _lost_database(house: House) -> None:
    """Delete the database or, if it is a file, damage it."""
    await house.home.stop()
    await house.last(5, 86_400)
    house.warnings.are_expected = isinstance(house.database, Sqlite) and house.chance.random() < 0.3
    if house.warnings.are_expected and isinstance(house.database, Sqlite):
        house.database.damage()
    else:
        house.database.delete()
    await house.home.start()
    house.warnings.are_expected = False
    await house.last_with_restart(5, 3600)


async def _cleared(house: House) -> None:
    """Let a person delete the statistics of a sensor."""
    key = house.chance.choice(house.directions)
    await ask(house.home.hass, "recorder/clear_statistics", statistic_ids=[house.entity_id(key)])
    await house.last_with_restart(5, 3600)


async def _disabled(house: House) -> None:
    """Let a person disable a sensor, and enable it again hours to days later."""
    key = house.chance.choice(house.directions)
    by = er.RegistryEntryDisabler.USER
    er.async_get(house.home.hass).async_update_entity(house.entity_id(key), disabled_by=by)
    await house.last_with_restart(1800, 5 * 86_400)
    er.async_get(house.home.hass).async_update_entity(house.entity_id(key), disabled_by=None)


async def _renamed(house: House) -> None:
    """Let a person give a sensor another name."""
    key = house.chance.choice(house.directions)
    name = f"sensor.{key}_{house.home.hass.loop.time():.0f}"
    er.async_get(house.home.hass).async_update_entity(house.entity_id(key), new_entity_id=name)
    await house.last_with_restart(5, 3600)


async def _perhaps_importing(house: House, off: float) -> None:
    """Let Home Assistant, now and then, be off for up to some seconds, and then begin to import."""
    if house.chance.random() < 0.4:
        await house.home.stop()
        await house.last(300, off)
        await house.home.start()
        await house.last(*IMPORTING)


async def _refused(house: House) -> None:
    """Let the meter refuse some of its properties, perhaps when they are needed most."""
    await _perhaps_importing(house, 5 * 86_400)
    with house.refusal(house.chance.choice(REFUSED)):
        await house.last_with_restart(5, 12 * 3600)


async def _clock_wrong(house: House) -> None:
    """Let the meter's clock jump by an hour to a day, perhaps when it is asked for days, and be set right later."""
    counters, right = house.sim.meter.counters, house.sim.meter.counters.clock_offset
    await _perhaps_importing(house, 20 * 86_400)
    counters.clock_offset = right + house.chance.choice(JUMPS)
    await house.last_with_restart(5, 86_400)
    counters.clock_offset = right


async def _restored(house: House) -> None:
    """Restore a backup of everything that is hours to days old."""
    with TemporaryDirectory(dir=memory()) as folder:
        house.home.back_up(Path(folder), "backup")
        saved = clock() - UNSAVED
        await house.last_with_restart(3600, 4 * 86_400)
        await house.home.stop()
        if saved > house.service.begin:
            house.home.restore(Path(folder), "backup")
        await house.last(5, 86_400)
        await house.home.start()
    await house.last_with_restart(5, 3600)


async def _unit_changed(house: House) -> None:
    """Let a person choose another unit for a sensor, and for its statistics."""
    hass, entity_id = house.home.hass, house.entity_id(house.chance.choice(house.directions))
    unit, statistics_unit = house.chance.choices(("kWh", "Wh", "MJ"), k=2)
    er.async_get(hass).async_update_entity_options(entity_id, "sensor", {"unit_of_measurement": unit})
    metadata = (await ask(hass, "recorder/get_statistics_metadata", statistic_ids=[entity_id]))[0]
    if (before := metadata["statistics_unit_of_measurement"]) != statistics_unit:
        units = {"old_unit_of_measurement": before, "new_unit_of_measurement": statistics_unit}
        await ask(hass, "recorder/change_statistics_unit", statistic_id=entity_id, **units)
    await house.last_with_restart(5, 3600)


async def _purged(house: House) -> None:
    """Let a person purge the database of what is older than a day or two."""
    hass = house.home.hass
    await hass.services.async_call("recorder", "purge", {"keep_days": house.chance.choice((1, 2))}, blocking=True)
    await house.last_with_restart(5, 3600)


async def _ledger_damaged(house: House) -> None:
    """Damage a file in which the meter's counters are kept, or cut it off.

    Which meters were there in between is in one file only: what is lost with it, nobody can know.
    """
    await house.home.stop()
    await house.last(5, 86_400)
    is_one_meter = len(house.services) == 1
    # Where what was copied of another sensor is lost with the database, nobody has it any more.
    files = [file for file in house.home.stored() if not file.name.endswith((".continued", ".takeover"))]
    files = [file for file in files if is_one_meter or not file.name.endswith(".ledger")]
    file = house.chance.choice(files)
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2] if house.chance.random() < 0.5 else b"\0" * len(content))
    house.warnings.are_expected = True
    await house.home.start()
    await house.last(60, 120)
    house.warnings.are_expected = False


OUTAGES: Final[Mapping[str, Callable[[House], Awaitable[None]]]] = {
    "Home Assistant off": _off,
    "Home Assistant killed while importing": _killed,
    "dongle unplugged": _unplugged,
    "no radio": _unreachable,
    "meter exchanged": _exchanged,
    "disk full while importing": _full_importing,
    "disk full for hours": _full,
    "older database put back": _older_database,
    "database lost": _lost_database,
    "statistics cleared": _cleared,
    "sensor disabled": _disabled,
    "sensor renamed": _renamed,
    "properties refused": _refused,
    "meter's clock wrong": _clock_wrong,
    "backup restored": _restored,
    "unit changed": _unit_changed,
    "database purged": _purged,
    "ledger damaged": _ledger_damaged,
}


def meter_of(chance: random.Random) -> MeterSettings:
    """Return one of the kinds of meters that there are."""
    unit, digits = chance.choice(((0x01, 6), (0x02, 7)))
    return MeterSettings(
        unit=unit,
        digits=digits,
        solar=chance.random() < 0.7,
        history_days=chance.choice((14, 30, 99)),
        clock_offset=chance.choice((-4, 0, 0, 3)) * MINUTE,
        roll_over=chance.choice((0, 0, 10)) * MINUTE,
        rival_day=3,
        rival_turns=chance.choice((0, 0, 20)),
    )
