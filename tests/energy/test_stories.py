"""Exchanges of a meter, each of which once left a wrong bar behind."""

import asyncio
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Final

import pytest

from custom_components.broute.aiobroute import JST

from ..aiobroute.virtual_time import clock
from ..simulator.meter import MeterSettings
from ..soak.energy import EnergyResult, energy_story, heal

if TYPE_CHECKING:
    from ..soak.house import House

MINUTE: Final = timedelta(minutes=1)
DAY: Final = timedelta(days=1)

RIVAL: Final = 20
"""Turns that another controller takes at the meter's history right after us."""


def at(day: int, hour: int, minute: int) -> datetime:
    """Return a time in the month in which the stories begin, on the 23rd at 14:07:30."""
    return datetime(2026, 11, day, hour, minute, 30, tzinfo=JST)


async def until(time: datetime) -> None:
    await asyncio.sleep((time - clock()).total_seconds())


def exchange(
    old: MeterSettings, exchanged: datetime, confirmed: datetime, *, kwh: str = "0", used: timedelta = timedelta()
) -> EnergyResult:
    """Let a meter be exchanged for one that shows some kWh, and was used elsewhere for some time."""

    async def live(house: House, result: EnergyResult) -> None:
        result.outages["meter exchanged"] += 1
        begin = clock()
        await until(exchanged)
        house.note(begin)
        new = MeterSettings(
            seed=2,
            unit=old.unit,
            digits=old.digits,
            solar=old.solar,
            history_days=old.history_days,
            clock_offset=old.clock_offset,
            roll_over=old.roll_over,
            serial="S26087654321",
            installed=clock() - used,
        )
        house.exchange(new, (Decimal(kwh), Decimal(kwh)), clock())
        await until(confirmed)
        await house.confirm_exchange()
        await heal(house, clock())

    return energy_story(old, live)


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("unit", "digits", "solar", "days", "offset", "late", "rival", "exchanged", "confirmed"),
    [
        pytest.param(2, 7, False, 30, 3, 10, RIVAL, at(23, 19, 55), at(23, 22, 34), id="after three hours"),
        pytest.param(
            1, 6, False, 14, 3, 10, 0, at(24, 14, 35), at(27, 8, 16), id="after three days", marks=pytest.mark.slow
        ),
        pytest.param(2, 7, False, 14, 0, 0, 0, at(25, 1, 41), at(25, 14, 10), id="after half a day"),
        pytest.param(
            1,
            6,
            True,
            30,
            0,
            10,
            RIVAL,
            at(23, 17, 39),
            at(28, 2, 2),
            id="before the history was read",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_new_meter_that_is_confirmed_late(
    unit: int,
    digits: int,
    solar: bool,  # noqa: FBT001  # a row of the table
    days: int,
    offset: int,
    late: int,
    rival: int,
    exchanged: datetime,
    confirmed: datetime,
) -> None:
    old = MeterSettings(
        unit=unit,
        digits=digits,
        solar=solar,
        history_days=days,
        clock_offset=offset * MINUTE,
        roll_over=late * MINUTE,
        rival_day=3,
        rival_turns=rival,
    )
    result = exchange(old, exchanged, confirmed)
    assert not result.failures
    assert result.hours > 24 * (days - 3)


@pytest.mark.parametrize("kwh", ["292", "4321"])
def test_a_used_meter(kwh: str) -> None:
    old = MeterSettings(solar=True, history_days=30)
    result = exchange(old, at(23, 16, 10), at(23, 18, 40), kwh=kwh, used=20 * DAY)
    assert not result.failures
    assert result.hours > 24 * 27


def test_a_month_of_a_meter_that_is_gone_is_damaged() -> None:
    async def live(house: House, result: EnergyResult) -> None:
        result.outages["ledger damaged"] += 1
        begin = clock()
        await until(at(23, 17, 20))
        house.note(begin)
        new = MeterSettings(seed=2, solar=True, history_days=14, serial="S26087654321", installed=clock())
        house.exchange(new, (Decimal(0), Decimal(0)), clock())
        await until(at(23, 18, 40))
        await house.confirm_exchange()
        await until(at(23, 23, 40))
        await house.home.stop()
        former = [file for file in house.home.stored() if house.services[0].mac in file.name]
        assert former[-2].name.endswith("2026-10")
        for file in former[-2:]:
            file.write_bytes(file.read_bytes()[:1000])
        house.warnings.are_expected = True
        await house.home.start()
        await heal(house, clock())

    result = energy_story(MeterSettings(solar=True, history_days=30), live)
    assert not result.failures
    assert result.hours > 24 * 27


@pytest.mark.slow
def test_the_first_month_of_all_is_damaged_when_the_meter_remembers_it_no_more_and_then_the_database_is_lost() -> None:
    async def live(house: House, result: EnergyResult) -> None:
        result.outages["ledger damaged"] += 1
        begin = clock()
        await until(at(23, 17, 20))
        house.note(begin)
        await house.home.stop()
        await asyncio.sleep(30 * DAY.total_seconds())
        await house.home.start()
        await asyncio.sleep(2 * 3600)
        await house.home.stop()
        august, *_ = house.home.stored()
        assert august.name.endswith("2026-08")
        august.write_bytes(august.read_bytes()[:1000])
        house.warnings.are_expected = True
        await house.home.start()
        await asyncio.sleep(600)
        await house.home.stop()
        house.database.delete()
        await house.home.start()
        await heal(house, clock())

    result = energy_story(MeterSettings(solar=True, history_days=99), live)
    assert not result.failures
    assert result.hours > 24 * 97
