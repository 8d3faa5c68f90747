"""What all entities of a meter share."""

import re
from typing import TYPE_CHECKING, ClassVar, Final

from homeassistant.const import Platform
from homeassistant.helpers.device_registry import DeviceInfo
from homeassistant.helpers.translation import async_get_cached_translations
from homeassistant.helpers.update_coordinator import CoordinatorEntity
from homeassistant.util import slugify

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
    _domain: ClassVar[Platform] = Platform.SENSOR

    def __init__(self, coordinator: MeterCoordinator, description: EntityDescription) -> None:
        """Belong to the meter's device."""
        super().__init__(coordinator)
        self.entity_description = description
        self._attr_unique_id = unique_id(coordinator.config_entry, description)
        hass, title = coordinator.hass, coordinator.config_entry.title
        # Home Assistant has read them for the names of the platform's entities.
        texts = async_get_cached_translations(hass, hass.config.language, "common", DOMAIN)
        self._attr_device_info = DeviceInfo(
            identifiers={(DOMAIN, str(coordinator.config_entry.unique_id))},
            name=title,
            model=texts[f"component.{DOMAIN}.common.model"],
            model_id=MODEL_ID,
        )
        if (name := self._in_english(title, texts[f"component.{DOMAIN}.common.meter"])) is not None:
            self.entity_id = f"{self._domain}.{slugify(name)}"

    def _in_english(self, title: str, default: str) -> str | None:
        """Return the entity's full name in English, or None where a person has chosen another title for the meter.

        Entity ids are made of letters a to z. One made of the sounds of a Japanese title would be hard to read, and no
        example would fit.
        """
        if (numbered := re.fullmatch(rf"{re.escape(default)}( \d+)?", title)) is None:
            return None
        # Home Assistant has read them, too, for entity ids.
        hass, key = self.coordinator.hass, self.entity_description.translation_key
        names = async_get_cached_translations(hass, "en", "entity", DOMAIN)
        meter = async_get_cached_translations(hass, "en", "common", DOMAIN)[f"component.{DOMAIN}.common.meter"]
        return f"{meter}{numbered[1] or ''} {names[f'component.{DOMAIN}.entity.{self._domain}.{key}.name']}"


def unique_id(entry: MeterConfigEntry, description: EntityDescription) -> str:
    """Return the meter's own identity and the name of what is shown; no credential is part of it."""
    return f"{entry.unique_id}_{description.key}"
