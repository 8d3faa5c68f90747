"""What changes while costs are being counted: a fuel adjustment, the shares of fixed charges, the meter itself."""

import asyncio
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from custom_components.broute.aiobroute import JST
from custom_components.broute.energy.bill import Usage, costs, hours, periods
from custom_components.broute.energy.plans import contract_of

from ..aiobroute.virtual_time import START, clock
from ..plans import ONE_PRICE, THREE_STEPS, fill_in
from ..recorder import bars
from ..simulator import scenarios
from ..simulator.meter import MeterSettings
from .test_accounts import statistic, true_energy
from .test_backfill import DAY, HOUR, MINUTE, house, live

if TYPE_CHECKING:
    from collections.abc import Mapping

    from homeassistant.core import HomeAssistant

    from ..soak.installation import Installation

SHORT = replace(scenarios.NORMAL, meter=MeterSettings(history_days=14))
"""A memory that is read soon."""

FUEL = "input_number.fuel"
NEW_MAC = "001C640003D2FFFF"


def contract_from(day: date, forms: Mapping[str, Any]) -> dict[str, Any]:
    """Return the forms of a plan whose billing periods begin on a day of the month."""
    return {**forms, "contract": {**forms["contract"], "billing_day": day.day}}


def tell(hass: HomeAssistant, yen: str) -> None:
    hass.states.async_set(FUEL, yen, {"unit_of_measurement": "円/kWh"})


async def shown_from(home: Installation, first: datetime) -> dict[datetime, Decimal]:
    found = await bars(home.hass, statistic("cost"), START - 40 * DAY)
    return {hour.astimezone(UTC): yen for hour, yen in found.items() if hour >= first}


def test_a_fuel_adjustment_that_an_entity_tells(tmp_path: Path) -> None:
    """The last that it told in a billing period is that of all its hours; before, none of them has a cost."""
    first_day = START.astimezone(JST).date() - 5 * DAY
    begin = datetime.combine(first_day, datetime.min.time(), JST)
    forms = contract_from(first_day, ONE_PRICE)
    forms["adjustments"] = {**ONE_PRICE["adjustments"], "fuel_entity": FUEL}

    async def story() -> None:
        async with house(tmp_path, SHORT, interval=300) as (home, sim):
            await home.start()
            tell(home.hass, "-1.5")
            await fill_in(home.hass, home.entry, forms)
            home.hass.states.async_set(FUEL, "unavailable")

            async def assert_price(yen: Decimal | None) -> None:
                shown = await shown_from(home, begin)
                assert len(shown) > 5 * 24
                for hour, bar in shown.items():
                    energy = sim.meter.energy_in(hour + HOUR) - sim.meter.energy_in(hour)
                    assert abs(bar - (Decimal(0) if yen is None else (31 + yen) * energy)) < Decimal("0.0005"), hour

            await asyncio.sleep(20 * MINUTE)
            state = home.hass.states.get("sensor.smart_meter_cost_this_billing_period")
            assert state is not None
            assert state.attributes["hours_without_price"] > 5 * 24
            tell(home.hass, "-1.5")
            await asyncio.sleep(65 * MINUTE)
            await assert_price(Decimal("-1.5"))
            tell(home.hass, "0.25")
            await asyncio.sleep(65 * MINUTE)
            await assert_price(Decimal("0.25"))
            # What says nothing changes nothing.
            home.hass.states.async_set(FUEL, "unknown")
            await asyncio.sleep(65 * MINUTE)
            await assert_price(Decimal("0.25"))

    live(story)


def test_the_shares_of_fixed_charges_can_be_left_out(tmp_path: Path) -> None:
    async def story() -> None:
        async with house(tmp_path, SHORT, interval=300) as (home, sim):
            await home.start()
            await fill_in(home.hass, home.entry, THREE_STEPS)
            await asyncio.sleep(25 * MINUTE)
            contract = contract_of(home.entry)
            assert contract is not None

            async def assert_bars(*, is_spread: bool) -> dict[datetime, Decimal]:
                shown = await shown_from(home, START - 30 * DAY)
                taken = true_energy(sim.meter.energy_in, min(shown), max(shown) + HOUR)
                first, last = (at.astimezone(JST).date() for at in (min(shown), max(shown)))
                wanted: dict[datetime, Decimal | None] = {}
                for period in periods(contract, first, last + DAY):
                    wanted |= hours(costs(contract, Usage(taken=taken), period), with_fixed=is_spread)
                assert all(abs(bar - (wanted[hour] or 0)) < Decimal("0.0005") for hour, bar in shown.items())
                return shown

            before = await assert_bars(is_spread=True)
            for is_spread in (False, True):
                home.hass.config_entries.async_update_entry(
                    home.entry, options={**home.entry.options, "spread_fixed": is_spread}
                )
                await home.hass.config_entries.async_reload(home.entry.entry_id)
                await asyncio.sleep(5 * MINUTE)
                after = await assert_bars(is_spread=is_spread)
                assert (sum(after.values()) == sum(before.values())) is is_spread
            assert after == before

    live(story)


def test_a_month_that_nobody_remembers_keeps_its_costs(tmp_path: Path) -> None:
    """Its file is damaged, and its meter is gone: the recorder knows its hours, and costs follow from those."""

    async def story() -> None:
        async with house(tmp_path, SHORT, interval=300) as (home, sim):
            await home.start()
            await fill_in(home.hass, home.entry, ONE_PRICE)
            await asyncio.sleep(25 * MINUTE)
            before = await shown_from(home, START - 30 * DAY)
            assert sum(before.values()) > 1000
            old, exchanged = home.entry.unique_id, clock()
            sim.exchange_meter(MeterSettings(history_days=14, serial="S26", installed=exchanged), mac=NEW_MAC)
            await asyncio.sleep(15 * MINUTE)
            assert await home.confirm_exchange()
            await asyncio.sleep(65 * MINUTE)
            await home.stop()
            files = [file for file in home.stored() if f"{old}." in file.name]
            assert files
            for file in files:
                file.write_bytes(file.read_bytes()[:500])
            await home.start()
            await asyncio.sleep(130 * MINUTE)
            after = await shown_from(home, min(before))
            assert [hour for hour, yen in before.items() if abs(after[hour] - yen) > Decimal("0.0005")] == []

    live(story)


@pytest.mark.slow
def test_steps_count_on_when_the_meter_is_exchanged(tmp_path: Path) -> None:
    """The bill is that of both meters: neither its steps nor its fixed charges begin anew."""
    first_day = START.astimezone(JST).date() - 6 * DAY
    forms = contract_from(first_day, THREE_STEPS) | {"steps": {"limits": "60, 125", "prices": "20, 30, 40"}}

    async def story() -> None:
        async with house(tmp_path, SHORT, interval=300) as (home, sim):
            await home.start()
            await fill_in(home.hass, home.entry, forms)
            await asyncio.sleep(25 * MINUTE)
            first = await shown_from(home, datetime.combine(first_day, datetime.min.time(), JST))
            old, exchanged = sim.meter, clock()
            sim.exchange_meter(MeterSettings(history_days=14, serial="S26", installed=exchanged), mac=NEW_MAC)
            await asyncio.sleep(15 * MINUTE)
            assert await home.confirm_exchange()
            await asyncio.sleep(2 * 24 * 60 * MINUTE)
            shown = await shown_from(home, min(first))
            assert all(abs(shown[hour] - yen) < Decimal("0.0005") for hour, yen in first.items())
            hour = exchanged.replace(minute=0, second=0, microsecond=0)
            taken = true_energy(old.energy_in, min(shown), hour)
            taken |= true_energy(sim.meter.energy_in, hour + HOUR, max(shown) + HOUR)
            contract = contract_of(home.entry)
            assert contract is not None
            (period,) = periods(contract, first_day, first_day + DAY)
            # What both counted in the hour of the exchange is known to a poll; only the price of a step depends on it.
            both = old.energy_in(exchanged) - old.energy_in(hour) + sim.meter.energy_in(hour + HOUR)
            taken |= {hour: both / 2, hour + timedelta(minutes=30): both / 2}
            wanted = hours(costs(contract, Usage(taken=taken), period))
            off = [at for at, bar in shown.items() if at != hour and abs(bar - (wanted[at] or 0)) > Decimal("0.0005")]
            # One of them may have crossed a step earlier or later by what the poll did not see.
            assert len(off) <= 2, off
            before = sum((energy or Decimal(0) for at, energy in taken.items() if at < hour), Decimal(0))
            used = sum((energy or Decimal(0) for energy in taken.values()), Decimal(0))
            assert before < 125 < used, "no step was crossed after the exchange"
            assert abs(sum((bar - (wanted[at] or 0) for at, bar in shown.items()), Decimal(0))) < 10

    live(story)
