"""What all entities of a meter share."""

from typing import TYPE_CHECKING, Final

from homeassistant.helpers.device_registry import DeviceInfo
from homeassistant.helpers.translation import async_get_cached_translations
from homeassistant.helpers.update_coordinator import CoordinatorEntity

from .const import DOMAIN
from .coordinator import MeterCoordinator

if TYPE_CHECKING:
    from homeassistant.helpers.entity import EntityDescription

    from .coordinator import MeterConfigEntry


MODEL_ID: Final = "0x0288"
"""ECHONET Lite's class of low-voltage smart electric energy meters: a meter does not tell its maker's name of it."""


class MeterEntity(CoordinatorEntity[MeterCoordinator]):
    """An entity of a meter."""

    _attr_has_entity_name = True

    def __init__(self, coordinator: MeterCoordinator, description: EntityDescription) -> None:
        """Belong to the meter's device."""
        super().__init__(coordinator)
        self.entity_description = description
        self._attr_unique_id = unique_id(coordinator.config_entry, description)
        hass = coordinator.hass
        # Home Assistant has read them for the names of the platform's entities.
        texts = async_get_cached_translations(hass, hass.config.language, "common", DOMAIN)
        self._attr_device_info = DeviceInfo(
            identifiers={(DOMAIN, str(coordinator.config_entry.unique_id))},
            name=coordinator.config_entry.title,
            model=texts[f"component.{DOMAIN}.common.model"],
            model_id=MODEL_ID,
        )


def unique_id(entry: MeterConfigEntry, description: EntityDescription) -> str:
    """Return the meter's own identity and the name of what is shown; no credential is part of it."""
    return f"{entry.unique_id}_{description.key}"
