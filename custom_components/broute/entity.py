"""What all entities of a meter share."""

from typing import TYPE_CHECKING, ClassVar

from homeassistant.const import Platform
from homeassistant.helpers.translation import async_get_cached_translations
from homeassistant.helpers.update_coordinator import CoordinatorEntity
from homeassistant.util import slugify

from .const import DOMAIN
from .coordinator import MeterCoordinator
from .devices import meter_info, number_of

if TYPE_CHECKING:
    from homeassistant.helpers.device_registry import DeviceInfo
    from homeassistant.helpers.entity import EntityDescription

    from .coordinator import MeterConfigEntry


class MeterEntity(CoordinatorEntity[MeterCoordinator]):
    """An entity of a meter."""

    _attr_has_entity_name = True
    _domain: ClassVar[Platform] = Platform.SENSOR

    def __init__(self, coordinator: MeterCoordinator, description: EntityDescription) -> None:
        super().__init__(coordinator)
        self.entity_description = description
        self._attr_unique_id = unique_id(coordinator.config_entry, description)
        self._attr_device_info = self._device()
        if (name := self._in_english(coordinator.config_entry.title)) is not None:
            self.entity_id = f"{self._domain}.{slugify(name)}"

    def _device(self) -> DeviceInfo:
        """Return the device that it belongs to."""
        return meter_info(self.coordinator.hass, self.coordinator.config_entry)

    def _in_english(self, title: str) -> str | None:
        """Return the entity's full name in English, or None where a person has chosen another title for the meter.

        Entity ids are made of letters a to z. One made of the sounds of a Japanese title would be hard to read, and no
        example would fit.
        """
        hass = self.coordinator.hass
        # Home Assistant has read them for the names of the platform's entities, and for entity ids.
        own, english = (
            async_get_cached_translations(hass, language, "common", DOMAIN)[f"component.{DOMAIN}.common.meter"]
            for language in (hass.config.language, "en")
        )
        if (number := number_of(title, own)) is None:
            return None
        return f"{english}{number} {self._own_name_in_english()}"

    def _own_name_in_english(self) -> str:
        """Return the entity's name without that of its device."""
        names = async_get_cached_translations(self.coordinator.hass, "en", "entity", DOMAIN)
        key = self.entity_description.translation_key
        return names[f"component.{DOMAIN}.entity.{self._domain}.{key}.name"]


def unique_id(entry: MeterConfigEntry, description: EntityDescription) -> str:
    """Return the meter's own identity and the name of what is shown; no credential is part of it."""
    return f"{entry.unique_id}_{description.key}"
