"""Costs in the Energy dashboard: shown if a person asks for it, and what was there before is brought back."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

from homeassistant.components.energy.data import async_get_manager
import pytest

from custom_components.broute.energy.plans import contract_of

from ..plans import ONE_PRICE, begin, fill_in, submit
from .test_backfill import MINUTE, house, live
from .test_dashboard import dashboard, shown

if TYPE_CHECKING:
    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant

SOURCE: Any = {
    "type": "grid",
    "stat_energy_from": "sensor.smart_meter_energy_import",
    "stat_energy_to": "sensor.smart_meter_energy_export",
    "stat_cost": None,
    "entity_energy_price": None,
    "number_energy_price": 31.5,
    "stat_compensation": None,
    "entity_energy_price_export": None,
    "number_energy_price_export": 8.5,
    "cost_adjustment_day": 0,
}
OTHER: Any = {**SOURCE, "stat_energy_from": "sensor.other", "stat_energy_to": None}
SELLING = {**ONE_PRICE, "feed_in": {"feed_in": "16", "is_feed_in_by_hours": False}}
WITH_COST: Any = {**SOURCE, "stat_cost": "sensor.smart_meter_cost", "number_energy_price": None}
WITH_BOTH: Any = {
    **WITH_COST,
    "stat_compensation": "sensor.smart_meter_compensation",
    "number_energy_price_export": None,
}


async def choose_costs(hass: HomeAssistant, entry: ConfigEntry, *, wanted: bool) -> None:
    """Choose in the options."""
    flow = await hass.config_entries.options.async_init(entry.entry_id)
    flow = await hass.config_entries.options.async_configure(flow["flow_id"], {"next_step_id": "settings"})
    assert flow["data_schema"] is not None
    values = {str(key): (key.description or {}).get("suggested_value") for key in flow["data_schema"].schema}
    assert values["costs"] is not wanted
    typed = {**flow["data_schema"]({}), "interval": values["interval"], "costs": wanted}
    await hass.config_entries.options.async_configure(flow["flow_id"], typed)
    await hass.async_block_till_done()
    assert "costs" not in entry.options


def test_the_costs_take_the_place_of_a_price_which_comes_back(tmp_path: Path) -> None:
    async def story() -> None:
        async with house(tmp_path) as (home, _):
            await home.start()
            hass, entry = home.hass, home.entry
            await dashboard(hass, OTHER, SOURCE)
            flow = await submit(hass, await begin(hass, entry), ONE_PRICE["contract"])
            assert flow["data_schema"] is not None
            (price,) = flow["data_schema"].schema
            assert price.description["suggested_value"] == "31.5"
            await fill_in(hass, entry, SELLING)
            await asyncio.sleep(5 * MINUTE)
            assert await shown(hass) == [OTHER, WITH_BOTH]
            (subentry,) = entry.subentries
            await fill_in(hass, entry, SELLING, subentry)
            await asyncio.sleep(MINUTE)
            assert await shown(hass) == [OTHER, WITH_BOTH]
            # What a person changes there later stays.
            manager = await async_get_manager(hass)
            by_hand = {**WITH_BOTH, "stat_cost": None, "number_energy_price": 28.0}
            await manager.async_update({"energy_sources": [OTHER, by_hand]})  # type: ignore[typeddict-item]
            await asyncio.sleep(40 * MINUTE)
            assert await shown(hass) == [OTHER, by_hand]
            await manager.async_update({"energy_sources": [OTHER, WITH_BOTH]})  # type: ignore[typeddict-item]
            await fill_in(hass, entry, {**SELLING, "dashboard": {"in_dashboard": False}}, subentry)
            assert await shown(hass) == [OTHER, SOURCE]

    live(story)


def test_an_export_price_stays_until_a_plan_says_what_is_paid(tmp_path: Path) -> None:
    async def story() -> None:
        async with house(tmp_path) as (home, _):
            await home.start()
            hass, entry = home.hass, home.entry
            await dashboard(hass, SOURCE)
            await fill_in(hass, entry, ONE_PRICE)
            await asyncio.sleep(5 * MINUTE)
            assert await shown(hass) == [WITH_COST]
            (subentry,) = entry.subentries
            await fill_in(hass, entry, SELLING, subentry)
            await asyncio.sleep(5 * MINUTE)
            assert await shown(hass) == [WITH_BOTH]
            await choose_costs(hass, entry, wanted=False)
            assert await shown(hass) == [SOURCE]

    live(story)


@pytest.mark.parametrize(
    ("prices", "first"),
    [
        ({}, "one"),
        ({"number_energy_price": None, "entity_energy_price": "sensor.price"}, "market"),
        ({"number_energy_price": None, "entity_energy_price": "sensor.euro"}, None),
        ({"number_energy_price": None}, None),
    ],
)
def test_the_options_make_a_price_the_first_plan(tmp_path: Path, prices: dict[str, Any], first: str | None) -> None:
    async def story() -> None:
        async with house(tmp_path) as (home, _):
            await home.start()
            hass, entry = home.hass, home.entry
            hass.states.async_set("sensor.price", "12.5", {"unit_of_measurement": "JPY/kWh"})
            hass.states.async_set("sensor.euro", "0.25", {"unit_of_measurement": "EUR/kWh"})
            source: Any = {**SOURCE, **prices}
            await dashboard(hass, source)
            await asyncio.sleep(2 * MINUTE)
            assert not entry.subentries, "nobody has asked"
            await choose_costs(hass, entry, wanted=True)
            await asyncio.sleep(5 * MINUTE)
            if first is None:
                assert not entry.subentries
                assert await shown(hass) == [source]
            else:
                (plan,) = entry.subentries.values()
                assert (plan.title, plan.data["energy"]) == ("Price of the Energy dashboard", first)
                contract = contract_of(entry)
                assert contract is not None
                assert contract.plans[0].feed_in is not None
                assert await shown(hass) == [{**WITH_BOTH, "entity_energy_price": None}]
            await choose_costs(hass, entry, wanted=False)
            await asyncio.sleep(MINUTE)
            assert await shown(hass) == [source]

    live(story)
