"""The B-Route Smart Meter integration."""

from typing import TYPE_CHECKING

from homeassistant.const import Platform

from .coordinator import MeterCoordinator

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant

    from .coordinator import MeterConfigEntry

PLATFORMS = [Platform.SENSOR]


async def async_setup_entry(hass: HomeAssistant, entry: MeterConfigEntry) -> bool:
    """Set up a meter from a config entry."""
    coordinator = MeterCoordinator(hass, entry)
    # A failed setup must release the port, too: nobody else can open it.
    entry.async_on_unload(coordinator.async_close)
    await coordinator.async_config_entry_first_refresh()
    entry.runtime_data = coordinator
    await hass.config_entries.async_forward_entry_setups(entry, PLATFORMS)
    return True


async def async_unload_entry(hass: HomeAssistant, entry: MeterConfigEntry) -> bool:
    """Unload a config entry."""
    return await hass.config_entries.async_unload_platforms(entry, PLATFORMS)
