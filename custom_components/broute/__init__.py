"""The B-Route Smart Meter integration."""

import asyncio
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING

from homeassistant.const import EVENT_HOMEASSISTANT_STOP, Platform
from homeassistant.core import callback
from homeassistant.exceptions import ConfigEntryNotReady
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers.importlib import async_import_module

from .actions import async_setup_actions
from .aiobroute import COEFFICIENT, ENERGY_IN, ENERGY_UNIT
from .const import CONF_ENERGY, CONF_IMPORT_HISTORY, DOMAIN
from .coordinator import MeterCoordinator
from .dongle.ports import async_watch_ports
from .energy.accounting import Accounting
from .energy.backfill import Backfill
from .energy.dashboard import async_add_if_requested
from .energy.price_entities import async_follow_price_entities
from .energy.store import LedgerStore
from .export import ExportView
from .repairs import async_forget, async_watch_entries
from .reports import async_end, async_forget_last
from .takeover.built_in import CONF_TAKES_OVER, async_disable_built_in, async_take_over

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant
    from homeassistant.helpers.typing import ConfigType

    from .coordinator import MeterConfigEntry

ENERGY_CODES = {ENERGY_IN.code, ENERGY_UNIT.code, COEFFICIENT.code}
"""Properties without which there is no energy."""

PLATFORMS = [Platform.BINARY_SENSOR, Platform.SENSOR, Platform.SWITCH]

CONFIG_SCHEMA = cv.config_entry_only_config_schema(DOMAIN)


async def async_setup(hass: HomeAssistant, _: ConfigType) -> bool:
    """Register the actions and downloads, and watch for dongles that are plugged in and entries that are disabled."""
    async_setup_actions(hass)
    hass.http.register_view(ExportView())
    async_watch_ports(hass, lambda entry: entry.runtime_data.async_port_appeared())
    async_watch_entries(hass)
    async_follow_price_entities(hass)
    return True


async def async_setup_entry(hass: HomeAssistant, entry: MeterConfigEntry) -> bool:
    """Set up a meter from a config entry."""
    await async_disable_built_in(hass, entry)
    coordinator = MeterCoordinator(hass, entry)
    # A failed setup must release the port, too: nobody else can open it.
    entry.async_on_unload(coordinator.async_close)
    entry.async_on_unload(hass.bus.async_listen(EVENT_HOMEASSISTANT_STOP, coordinator.async_stop))
    await coordinator.async_config_entry_first_refresh()
    entry.runtime_data = coordinator
    if CONF_TAKES_OVER in entry.data and coordinator.data.refused & (coordinator.profile.gettable or ENERGY_CODES):
        # What is not measured now would not be taken over.
        raise ConfigEntryNotReady(translation_domain=DOMAIN, translation_key="meter_refuses")
    measured = {name for name, value in asdict(coordinator.data).items() if value is not None}
    await async_take_over(hass, entry, measured)
    is_imported = entry.options.get(CONF_IMPORT_HISTORY, True)
    coordinator.history = Backfill(hass, entry, coordinator, is_enabled=is_imported)
    coordinator.accounting = Accounting(hass, entry, coordinator, coordinator.history)
    await coordinator.accounting.async_load_if_needed()
    await hass.config_entries.async_forward_entry_setups(entry, PLATFORMS)
    coordinator.async_show_device()
    await async_add_if_requested(hass, entry)
    entry.async_on_unload(coordinator.async_add_listener(_adding_later(hass, entry)))
    coordinator.history.async_start()
    coordinator.accounting.async_start()
    return True


def _adding_later(hass: HomeAssistant, entry: MeterConfigEntry) -> Callable[[], None]:
    """Return what adds to the Energy dashboard what the meter refused to tell at the start."""
    lock = asyncio.Lock()

    async def add() -> None:
        async with lock:
            await async_add_if_requested(hass, entry)

    @callback
    def add_later() -> None:
        if CONF_ENERGY in entry.data and not lock.locked():
            entry.async_create_background_task(hass, add(), f"{entry.title} dashboard")

    return add_later


async def async_unload_entry(hass: HomeAssistant, entry: MeterConfigEntry) -> bool:
    """Unload a config entry."""
    await async_end(hass, entry)
    async_forget(hass, entry)
    return await hass.config_entries.async_unload_platforms(entry, PLATFORMS)


async def async_remove_entry(hass: HomeAssistant, entry: MeterConfigEntry) -> None:
    """Leave nothing behind."""
    await async_end(hass, entry)
    async_forget_last(hass, entry)
    async_forget(hass, entry)
    await LedgerStore(hass, entry.entry_id).async_remove()
    await async_import_module(hass, f"{__package__}.energy.prices")
    from .energy.prices import prices_of  # noqa: PLC0415  # it is loaded by now

    await prices_of(hass, entry).async_remove()
