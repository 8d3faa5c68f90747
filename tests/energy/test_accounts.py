"""Costs in a real recorder, read back through Home Assistant's own public commands."""

import asyncio
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from homeassistant.data_entry_flow import FlowResultType
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers import entity_registry as er
import pytest

from custom_components.broute.aiobroute import JST
from custom_components.broute.energy.accounts import entities_of
from custom_components.broute.energy.bill import Usage, add_up, bill, costs, hours, periods, returns
from custom_components.broute.energy.plans import contract_of
from custom_components.broute.energy.tariff import Contract, Market, Plan, midnight, simple

from ..aiobroute.virtual_time import START
from ..home import dongle, elapse, entry_of, set_up, state
from ..plans import CONTRACT, ONE_PRICE, THREE_STEPS, fill_in
from ..recorder import bars
from ..simulator import scenarios
from .test_backfill import DAY, HOUR, MINUTE, house, live
from .test_recorder import until_asked_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from homeassistant.core import HomeAssistant

    from ..simulator.transport import SimulatedPort
    from ..soak.installation import Installation

HALF_HOUR = timedelta(minutes=30)


def statistic(kind: str) -> str:
    return f"sensor.smart_meter_{kind}"


def true_energy(
    counter: Callable[[datetime], Decimal], first: datetime, end: datetime
) -> dict[datetime, Decimal | None]:
    """Return what the meter itself counted in each half-hour."""
    found: dict[datetime, Decimal | None] = {}
    while first < end:
        found[first] = counter(first + HALF_HOUR) - counter(first)
        first += HALF_HOUR
    return found


def true_usage(sim: SimulatedPort, shown: dict[datetime, Decimal]) -> Usage:
    first, end = min(shown), max(shown) + HOUR
    return Usage(taken=true_energy(sim.meter.energy_in, first, end), fed=true_energy(sim.meter.energy_out, first, end))


def usage_until(sim: SimulatedPort, first: datetime, now: datetime) -> Usage:
    """Return what the meter counted from one time to another, with what it has counted of the last half-hour."""
    running = now.replace(minute=now.minute // 30 * 30, second=0)
    taken, fed = (true_energy(counter, first, running) for counter in (sim.meter.energy_in, sim.meter.energy_out))
    start = running.astimezone(UTC)
    taken[start] = sim.meter.energy_in(now) - sim.meter.energy_in(running)
    fed[start] = sim.meter.energy_out(now) - sim.meter.energy_out(running)
    return Usage(taken=taken, fed=fed)


async def assert_costs_true(home: Installation, sim: SimulatedPort, *, hours_shown: int) -> dict[datetime, Decimal]:
    """Hold all bars of costs to the meter and the plans."""
    contract = contract_of(home.entry)
    assert contract is not None
    shown = await bars(home.hass, statistic("cost"), START - 120 * DAY)
    assert len(shown) >= hours_shown
    assert max(shown) - min(shown) == HOUR * (len(shown) - 1), "there are holes"
    usage = true_usage(sim, shown)
    first, last = (at.astimezone(JST).date() for at in (min(shown), max(shown)))
    wanted: dict[datetime, Decimal | None] = {}
    for period in periods(contract, first, last + DAY):
        wanted |= hours(costs(contract, usage, period))
    for hour, bar in shown.items():
        yen = wanted[hour.astimezone(UTC)]
        assert yen is not None
        assert abs(bar - yen) < Decimal("0.0005"), hour
    return shown


async def compare_plans(hass: HomeAssistant) -> dict[str, Any]:
    answer = await hass.services.async_call("broute", "compare_plans", {}, blocking=True, return_response=True)
    assert answer is not None
    return answer


def test_costs_of_a_new_plan_reach_back_to_the_first_half_hour(tmp_path: Path) -> None:
    async def story() -> None:
        async with house(tmp_path) as (home, sim):
            await home.start()
            await asyncio.sleep(20 * MINUTE)
            result = await fill_in(home.hass, home.entry, THREE_STEPS)
            assert result["type"] is FlowResultType.CREATE_ENTRY
            await asyncio.sleep(5 * MINUTE)
            shown = await assert_costs_true(home, sim, hours_shown=24 * 97)
            # A whole billing period adds up to its bill.
            contract = contract_of(home.entry)
            assert contract is not None
            usage = true_usage(sim, shown)
            for period in periods(contract, START.date() - 60 * DAY, START.date() - 30 * DAY):
                inside = [yen for hour, yen in shown.items() if period.span.start_time <= hour < period.span.end_time]
                assert len(inside) == period.span.days * 24
                assert abs(sum(inside) - bill(contract, usage, period).total) < 2
            # What was fed in, too.
            brought = await bars(home.hass, statistic("compensation"), START - 120 * DAY)
            wanted = hours(returns(contract, usage, min(shown), max(shown)))
            assert all(
                abs(yen - (wanted.get(hour.astimezone(UTC)) or yen)) < Decimal("0.0005")
                for hour, yen in brought.items()
            )
            assert sum(brought.values()) > 0
            # And every hour from now on, as soon as it is over.
            await asyncio.sleep(130 * MINUTE)
            await assert_costs_true(home, sim, hours_shown=len(shown) + 2)
            # The sensors show all of it, up to the last reading.
            now, first = START + timedelta(minutes=155), min(shown).astimezone(UTC)
            usage = usage_until(sim, first, now)
            due = [
                cost
                for period in periods(contract, first.astimezone(JST).date(), now.date() + DAY)
                for cost in costs(contract, usage, period)
                if first <= cost.start <= now
            ]
            paid, earned = add_up(due).yen, add_up(returns(contract, usage, first, now)).yen
            assert paid > earned > 1000
            assert abs(Decimal(state(home.hass, statistic("cost"))) - paid) < Decimal("1.5")
            assert abs(Decimal(state(home.hass, statistic("compensation"))) - earned) < Decimal("1.5")

    live(story)


def test_a_day_of_an_older_bill_that_is_known_later(tmp_path: Path) -> None:
    async def story() -> None:
        async with house(tmp_path) as (home, sim):
            await home.start()
            await until_asked_for(sim, 20)
            sim.meter.device.values[0xE2] = b""
            await until_asked_for(sim, 22)
            del sim.meter.device.values[0xE2]
            await fill_in(home.hass, home.entry, ONE_PRICE)
            await asyncio.sleep(8 * MINUTE)
            missing = START.astimezone(JST).date() - 20 * DAY
            known = await bars(home.hass, statistic("cost"), START - 120 * DAY)
            assert len(known) > 24 * 60
            assert sum(yen for hour, yen in known.items() if hour.astimezone(JST).date() == missing) == 0
            await asyncio.sleep(20 * MINUTE)
            await assert_costs_true(home, sim, hours_shown=24 * 97)

    live(story)


def test_an_outage_and_a_changed_plan(tmp_path: Path) -> None:
    async def story() -> None:
        async with house(tmp_path) as (home, sim):
            await home.start()
            await fill_in(home.hass, home.entry, ONE_PRICE)
            await asyncio.sleep(25 * MINUTE)
            before = await assert_costs_true(home, sim, hours_shown=24 * 97)
            await home.stop()
            await asyncio.sleep(6 * 60 * MINUTE)
            await home.start()
            await asyncio.sleep(70 * MINUTE)
            after = await assert_costs_true(home, sim, hours_shown=len(before) + 6)
            assert all(after[hour] == yen for hour, yen in before.items())
            (subentry,) = home.entry.subentries
            dearer = {**ONE_PRICE, "price": {"price": "62"}}
            result = await fill_in(home.hass, home.entry, dearer, subentry)
            assert result["reason"] == "reconfigure_successful"
            await asyncio.sleep(2 * MINUTE)
            doubled = await assert_costs_true(home, sim, hours_shown=len(after))
            assert all(abs(doubled[hour] - 2 * yen) < Decimal("0.001") for hour, yen in after.items())
            # A second plan from yesterday on leaves the days before as they are.
            yesterday = (START.astimezone(JST).date() - DAY).isoformat()
            cheaper = {**ONE_PRICE, "contract": {**CONTRACT, "energy": "one", "basic": "none", "valid_from": yesterday}}
            await fill_in(home.hass, home.entry, cheaper)
            await asyncio.sleep(2 * MINUTE)
            await assert_costs_true(home, sim, hours_shown=len(doubled))
            # A sensor that a person deletes is not waited for.
            er.async_get(home.hass).async_remove(statistic("cost"))
            await asyncio.sleep(40 * MINUTE)
            assert home.entry.runtime_data.accounting.accounts.is_right

    live(story)


def test_what_a_person_sees(tmp_path: Path) -> None:
    async def story() -> None:
        async with house(tmp_path) as (home, sim):
            await home.start()
            await fill_in(home.hass, home.entry, THREE_STEPS)
            await asyncio.sleep(40 * MINUTE)
            names = (
                "cost_this_billing_period",
                "energy_this_billing_period",
                "bill_forecast",
                "highest_demand_this_billing_period",
            )
            states = {name: home.hass.states.get(f"sensor.smart_meter_{name}") for name in names}
            contract = contract_of(home.entry)
            assert contract is not None
            today = datetime.fromtimestamp(asyncio.get_running_loop().time(), UTC)
            (period,) = periods(contract, START.astimezone(JST).date(), START.astimezone(JST).date() + DAY)
            begin = period.span.start_time
            cost, energy, forecast, peak = (states[name] for name in names)
            assert cost is not None
            assert energy is not None
            assert forecast is not None
            assert peak is not None
            now = sim.meter.energy_in(START + timedelta(minutes=40))
            assert abs(Decimal(energy.state) - (now - sim.meter.energy_in(begin))) < Decimal("0.2"), today
            assert cost.attributes["hours_unknown"] == 0
            assert cost.attributes["first_day"] == "2026-11-10"
            assert Decimal(forecast.state) > Decimal(cost.state) > 0
            highest = max(
                (value or Decimal(0)) * 2
                for value in true_energy(sim.meter.energy_in, begin, START.replace(minute=0)).values()
            )
            assert Decimal(peak.state) == highest
            assert "time" in peak.attributes
            # An offer, typed in with a first day to come, beside the plan of today.
            to_come = {**CONTRACT, "name": "新プラン", "energy": "one", "basic": "none", "valid_from": "2027-04-01"}
            await fill_in(home.hass, home.entry, {**ONE_PRICE, "contract": to_come})
            compared = await compare_plans(home.hass)
            first, last = (midnight(date.fromisoformat(compared[f"{name}_day"])) for name in ("first", "last"))
            assert last == midnight(START.astimezone(JST).date() - DAY)
            assert last - first >= 97 * DAY
            used = sim.meter.energy_in(last + DAY) - sim.meter.energy_in(first)
            present, offer = compared["plans"]
            assert (present["name"], offer["name"], offer["valid_from"]) == ("従量電灯B", "新プラン", "2027-04-01")
            for plan in (present, offer):
                assert abs(Decimal(plan["energy"]) - used) < Decimal("0.001")
                assert plan["hours"] == ((last - first).days + 1) * 24
                assert plan["hours_unknown"] == plan["hours_without_price"] == 0
            # Each of its bills is rounded down.
            assert 31 * used - 6 < offer["cost"] <= 31 * used
            assert present["cost"] != offer["cost"]

    live(story)


def test_the_last_bill_is_known_as_soon_as_its_hours_are(tmp_path: Path) -> None:
    async def story() -> None:
        async with house(tmp_path) as (home, sim):
            sim.meter.device.refuse(0xE2, 0xE4)
            await home.start()
            await fill_in(home.hass, home.entry, THREE_STEPS)
            await asyncio.sleep(45 * MINUTE)
            accounts = home.entry.runtime_data.accounting.accounts
            assert accounts.figures is not None
            assert accounts.figures.last_bill is None
            sim.meter.device.refusals.clear()
            await asyncio.sleep(120 * MINUTE)
            contract, period = contract_of(home.entry), accounts.figures.period
            assert contract is not None
            (last,) = periods(contract, period.span.first - DAY, period.span.first)
            used = true_energy(sim.meter.energy_in, last.span.start_time, last.span.end_time)
            assert accounts.figures.last_bill == bill(contract, Usage(taken=used), last).total > 0

    live(story)


def test_plans_that_are_gone_and_plans_that_cannot_be(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        async with house(tmp_path) as (home, _):
            await home.start()
            await fill_in(home.hass, home.entry, ONE_PRICE)
            await asyncio.sleep(25 * MINUTE)
            sensor = "sensor.smart_meter_cost_this_billing_period"
            assert Decimal(state(home.hass, sensor)) > 0
            (number,) = home.entry.subentries
            subentry = home.entry.subentries[number]
            right = dict(subentry.data)
            broken = {**right, "energy": "steps", "limits": ["300", "120"], "prices": ["1", "2", "3"]}
            home.hass.config_entries.async_update_subentry(home.entry, subentry, data=broken)
            await asyncio.sleep(2)
            assert state(home.hass, sensor) == "unavailable"
            assert "There is no cost until the plans are mended" in caplog.text
            # A change is looked at at once, however short the last look was ago.
            home.hass.config_entries.async_update_subentry(home.entry, subentry, data=right)
            await asyncio.sleep(2)
            assert Decimal(state(home.hass, sensor)) > 0
            # So is one that comes while it is being looked at.
            paid = Decimal(state(home.hass, sensor))
            dearer = {**right, "prices": ["310"]}
            home.hass.config_entries.async_update_subentry(home.entry, subentry, data=dearer)
            await asyncio.sleep(0)
            home.hass.config_entries.async_update_subentry(home.entry, subentry, data=right)
            await asyncio.sleep(2)
            assert paid <= Decimal(state(home.hass, sensor)) < 2 * paid
            # From tomorrow on: no bill runs today, and what was written has no bar any more.
            future = {**right, "valid_from": (START.date() + 2 * DAY).isoformat()}
            home.hass.config_entries.async_update_subentry(home.entry, subentry, data=future)
            await asyncio.sleep(3 * MINUTE)
            assert state(home.hass, sensor) == "unavailable"
            assert not any((await bars(home.hass, statistic("cost"), START - 120 * DAY)).values())
            home.hass.config_entries.async_remove_subentry(home.entry, number)
            await asyncio.sleep(2 * MINUTE)
            assert home.entry.runtime_data.accounting.accounts.figures is None
            with pytest.raises(ServiceValidationError, match="nothing to compare"):
                await compare_plans(home.hass)
            # A plan that comes after that counts at once.
            await fill_in(home.hass, home.entry, ONE_PRICE)
            await asyncio.sleep(2 * MINUTE)
            assert Decimal(state(home.hass, sensor)) > 0

    live(story)


def test_who_tells_prices() -> None:
    begins = [date(2026, month, 1) for month in (1, 2, 3, 4)]
    told = Market(entity="sensor.market")
    contract = Contract(
        (
            Plan(valid_from=begins[0], energy=simple(Decimal(30)), levies={}),
            Plan(valid_from=begins[1], energy=told, levies={}, fuel_entity="sensor.fuel"),
            Plan(valid_from=begins[2], energy=simple(Decimal(30)), levies={}, fuel_entity="sensor.other_fuel"),
            Plan(valid_from=begins[3], energy=told, levies={}),
        )
    )
    assert entities_of(contract) == {"sensor.market", "sensor.fuel", "sensor.other_fuel"}


async def test_without_a_recorder_there_are_figures_all_the_same(hass: HomeAssistant) -> None:
    with dongle(scenarios.NORMAL) as sim:
        entry = entry_of(sim)
        await set_up(hass, entry)
        registry = er.async_get(hass)
        for key in ("price", "today_cost", "last_bill", "contract_demand", "today_energy"):
            unique_id = f"{entry.unique_id}_{key}"
            registry.async_get_or_create("sensor", "broute", unique_id, config_entry=entry, suggested_object_id=key)
        registry.async_update_entity("sensor.smart_meter_demand_of_the_running_half_hour", disabled_by=None)
        await hass.config_entries.async_reload(entry.entry_id)
        with pytest.raises(ServiceValidationError, match="nothing to compare"):
            await compare_plans(hass)
        await fill_in(hass, entry, {**ONE_PRICE, "contract": {**CONTRACT, "energy": "one", "basic": "none"}})
        await elapse(hass, 20 * MINUTE)
        assert not entry.runtime_data.accounting.accounts.is_right
        assert Decimal(state(hass, "sensor.price")) == 31
        assert state(hass, "sensor.last_bill") == "unknown", "nobody asked the meter for it"
        # Without a recorder, only what is polled is in the ledger.
        for _ in range(70):
            await elapse(hass, MINUTE)
        energy, cost = (Decimal(state(hass, f"sensor.{key}")) for key in ("today_energy", "today_cost"))
        assert cost == 31 * energy > 0
        demand = Decimal(state(hass, "sensor.contract_demand"))
        assert 0 < demand < 20
        accounts = entry.runtime_data.accounting.accounts
        holidays = (await accounts.async_usage()).holidays
        assert date(2026, 11, 23) in holidays, "勤労感謝の日"
        assert date(2026, 11, 24) not in holidays
        assert Decimal(state(hass, "sensor.smart_meter_demand_of_the_running_half_hour")) >= 0
        await hass.config_entries.async_unload(entry.entry_id)
