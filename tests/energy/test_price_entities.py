"""Entities that tell prices, and a person who gives them other ids."""

import asyncio
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from homeassistant.config_entries import ConfigEntryDisabler
from homeassistant.core import CoreState
from homeassistant.helpers import entity_registry as er
from homeassistant.setup import async_setup_component
import pytest

from custom_components.broute.energy.plans import contract_of
from custom_components.broute.energy.prices import KeptPrices
from custom_components.broute.energy.tariff import Market

from ..home import DOMAIN, dongle, entry_of, state
from ..plans import ONE_PRICE, fill_in
from ..simulator import scenarios
from ..simulator.meter import MeterSettings
from .test_backfill import MINUTE, house, live
from .test_costs_shown import SOURCE, choose_costs
from .test_dashboard import dashboard, shown

if TYPE_CHECKING:
    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant

SHORT = replace(scenarios.SOLAR, meter=MeterSettings(solar=True, history_days=14))
"""A memory that is read soon."""

MARKET = "sensor.market"
FUEL = "input_number.fuel"
FOLLOWING: dict[str, Any] = {
    **ONE_PRICE,
    "contract": {**ONE_PRICE["contract"], "energy": "market", "basic": "none"},
    "market": {"price_entity": MARKET, "factor": "1", "loss": "0", "surcharge": "0"},
    "adjustments": {**ONE_PRICE["adjustments"], "fuel_entity": FUEL},
}


def register(hass: HomeAssistant) -> None:
    """Let both have ids that a person can change."""
    for entity_id in (MARKET, FUEL):
        domain, _, name = entity_id.partition(".")
        er.async_get(hass).async_get_or_create(domain, "demo", name, object_id_base=name)


def tell(hass: HomeAssistant, entity_id: str, price: str) -> None:
    hass.states.async_set(entity_id, price, {"unit_of_measurement": "JPY/kWh"})


def rename(hass: HomeAssistant, old: str, new: str) -> None:
    """Give an entity another id, with all that is known of it, as its own integration does."""
    told = hass.states.get(old)
    er.async_get(hass).async_update_entity(old, new_entity_id=new)
    hass.states.async_remove(old)
    if told is not None:
        hass.states.async_set(new, told.state, told.attributes)


def named(entry: ConfigEntry) -> list[tuple[str, str]]:
    """Return who tells the price and the fuel adjustment of each plan."""
    contract = contract_of(entry)
    assert contract is not None
    found = []
    for plan in contract.plans:
        assert isinstance(plan.energy, Market)
        found.append((plan.energy.entity, plan.fuel_entity))
    return found


def test_a_renamed_entity_goes_on_telling_prices(tmp_path: Path) -> None:
    async def story() -> None:
        async with house(tmp_path, SHORT) as (home, _):
            await home.start()
            hass = home.hass
            register(hass)
            own = f"{home.entry.unique_id}_price"
            er.async_get(hass).async_get_or_create(
                "sensor", DOMAIN, own, config_entry=home.entry, object_id_base="price_now"
            )
            tell(hass, MARKET, "12.5")
            tell(hass, FUEL, "-1.5")
            await fill_in(hass, home.entry, FOLLOWING)
            await asyncio.sleep(95 * MINUTE)
            prices = home.entry.runtime_data.accounting.accounts.prices
            before = {entity: dict(known) for entity, known in prices.known.items()}
            assert before.keys() == {MARKET, FUEL}
            assert len(before[MARKET]) >= 2
            rename(hass, MARKET, "sensor.jepx")
            rename(hass, FUEL, "input_number.adjustment")
            assert named(home.entry) == [("sensor.jepx", "input_number.adjustment")]
            await asyncio.sleep(35 * MINUTE)
            assert prices.known.keys() == {"sensor.jepx", "input_number.adjustment"}
            assert prices.known["sensor.jepx"].items() > before[MARKET].items()
            assert Decimal(state(hass, "sensor.price_now")) == 11
            # The other one's name for it, within the same minute: each has its own prices afterwards.
            rename(hass, "sensor.jepx", "sensor.other")
            rename(hass, "input_number.adjustment", "input_number.other")
            rename(hass, "sensor.other", MARKET)
            await asyncio.sleep(MINUTE)
            assert named(home.entry) == [(MARKET, "input_number.other")]
            # It is on disk at once, and nothing of it is lost with the recorder's states.
            kept = KeptPrices(hass, home.entry.entry_id)
            await kept.async_load()
            assert kept.known.keys() == {MARKET, "input_number.other"}
            assert kept.known[MARKET].items() > before[MARKET].items()

    live(story)


def test_prices_are_kept_while_the_meter_is_out_of_reach(tmp_path: Path) -> None:
    async def story() -> None:
        async with house(tmp_path, SHORT) as (home, sim):
            await home.start()
            tell(home.hass, MARKET, "12.5")
            tell(home.hass, FUEL, "-1.5")
            await fill_in(home.hass, home.entry, FOLLOWING)
            await asyncio.sleep(65 * MINUTE)
            before = len(home.entry.runtime_data.accounting.accounts.prices.known[MARKET])
            sim.air.is_reachable = False
            await asyncio.sleep(5 * 60 * MINUTE)
            assert len(home.entry.runtime_data.accounting.accounts.prices.known[MARKET]) >= before + 8

    live(story)


@pytest.mark.parametrize("is_running", [True, False], ids=["while it runs", "while it is not there"])
def test_a_disabled_meter_knows_who_was_renamed(tmp_path: Path, *, is_running: bool) -> None:
    async def story() -> None:
        async with house(tmp_path, SHORT) as (home, _):
            await home.start()
            register(home.hass)
            tell(home.hass, MARKET, "12.5")
            tell(home.hass, FUEL, "-1.5")
            await fill_in(home.hass, home.entry, FOLLOWING)
            await asyncio.sleep(65 * MINUTE)
            known = dict(home.entry.runtime_data.accounting.accounts.prices.known[MARKET])
            assert known
            await home.hass.config_entries.async_set_disabled_by(home.entry.entry_id, ConfigEntryDisabler.USER)
            if not is_running:
                await home.stop()
                # As long as its only entry is disabled, nothing of the integration is loaded.
                await home.start(has_integration=False)
            # They change names.
            rename(home.hass, MARKET, "sensor.between")
            rename(home.hass, FUEL, "input_number.between")
            await asyncio.sleep(MINUTE)
            if not is_running:
                await home.stop()
                await home.start()
            await home.hass.config_entries.async_set_disabled_by(home.entry.entry_id, None)
            await asyncio.sleep(2 * MINUTE)
            assert named(home.entry) == [("sensor.between", "input_number.between")]
            found = home.entry.runtime_data.accounting.accounts.prices.known
            assert found.keys() == {"sensor.between", "input_number.between"}
            assert found["sensor.between"].items() >= known.items()

    live(story)


async def test_two_that_change_names(hass: HomeAssistant) -> None:
    kept = KeptPrices(hass, "a")
    await kept.async_load()
    kept.known |= {MARKET: {0: 1}, FUEL: {0: 2, 1800: 3}}
    kept.rename({MARKET: FUEL, FUEL: MARKET})
    assert kept.known == {MARKET: {0: 2, 1800: 3}, FUEL: {0: 1}}


def test_the_price_that_the_dashboard_had_comes_back_with_its_new_name(tmp_path: Path) -> None:
    async def story() -> None:
        async with house(tmp_path, SHORT) as (home, _):
            await home.start()
            hass, entry = home.hass, home.entry
            register(hass)
            tell(hass, MARKET, "12.5")
            source: Any = {**SOURCE, "number_energy_price": None, "entity_energy_price": MARKET}
            await dashboard(hass, source)
            await choose_costs(hass, entry, wanted=True)
            await asyncio.sleep(5 * MINUTE)
            assert [plan.data["price_entity"] for plan in entry.subentries.values()] == [MARKET]
            rename(hass, MARKET, "sensor.jepx")
            await asyncio.sleep(MINUTE)
            assert [plan.data["price_entity"] for plan in entry.subentries.values()] == ["sensor.jepx"]
            await choose_costs(hass, entry, wanted=False)
            await asyncio.sleep(MINUTE)
            assert await shown(hass) == [{**source, "entity_energy_price": "sensor.jepx"}]

    live(story)


async def test_an_entity_that_nobody_uses_changes_nothing(hass: HomeAssistant) -> None:
    assert hass.state is CoreState.running
    with dongle() as sim:
        entry = entry_of(sim)
        entry.add_to_hass(hass)
        assert await async_setup_component(hass, DOMAIN, {})
        register(hass)
        before = dict(entry.data)
        rename(hass, MARKET, "sensor.jepx")
        er.async_get(hass).async_update_entity(FUEL, name="Fuel")
        await hass.async_block_till_done()
        assert dict(entry.data) == before
        await hass.config_entries.async_unload(entry.entry_id)
