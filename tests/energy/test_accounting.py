"""Accounts are kept by who has a plan, and by nobody else."""

from typing import TYPE_CHECKING

from homeassistant.helpers import entity_registry as er

from ..aiobroute.virtual_time import START
from ..home import dongle, elapse, entry_of, set_up, state
from ..plans import ONE_PRICE, fill_in
from ..simulator import scenarios

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant

MINUTE = 60
TODAY = START.date().isoformat()
ASKED = {"first_day": TODAY, "last_day": TODAY, "period": "day"}


async def test_accounts_begin_with_the_first_plan(hass: HomeAssistant) -> None:
    with dongle(scenarios.NORMAL) as sim:
        entry = entry_of(sim)
        await set_up(hass, entry)
        await elapse(hass, 2 * MINUTE)
        accounting = entry.runtime_data.accounting
        assert accounting.accounts is None
        assert hass.states.get("sensor.smart_meter_cost_of_the_billing_period") is None
        await fill_in(hass, entry, ONE_PRICE)
        await elapse(hass, 35 * MINUTE)
        accounts = await accounting.async_accounts()
        assert accounts.figures is not None
        registry = er.async_get(hass)
        name = registry.async_get_entity_id("sensor", "broute", f"{entry.unique_id}_period_cost")
        assert name is not None
        assert state(hass, name) != "unavailable"
        # After a reload they are there from the beginning.
        await hass.config_entries.async_reload(entry.entry_id)
        assert (accounts := entry.runtime_data.accounting.accounts) is not None
        assert accounts.contract is not None
        await elapse(hass, MINUTE)
        assert state(hass, name) != "unavailable"
        await hass.config_entries.async_unload(entry.entry_id)


async def test_an_action_needs_accounts_but_no_sensors(hass: HomeAssistant) -> None:
    with dongle(scenarios.NORMAL) as sim:
        entry = entry_of(sim)
        await set_up(hass, entry)
        told = await hass.services.async_call("broute", "get_history", ASKED, blocking=True, return_response=True)
        assert told is not None
        accounts = entry.runtime_data.accounting.accounts
        assert accounts is not None
        assert not [each for each in hass.states.async_entity_ids("sensor") if each.endswith(("_cost", "_bill"))]
        # The plan that comes now is seen by the same accounts.
        await fill_in(hass, entry, ONE_PRICE)
        assert accounts.contract is not None
        assert entry.runtime_data.accounting.accounts is accounts
        await hass.config_entries.async_unload(entry.entry_id)
