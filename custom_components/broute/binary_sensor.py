"""What the meter says of itself, as a binary sensor."""

from typing import TYPE_CHECKING, override

from homeassistant.components.binary_sensor import BinarySensorEntity, BinarySensorEntityDescription
from homeassistant.components.binary_sensor.const import BinarySensorDeviceClass
from homeassistant.const import EntityCategory, Platform

from .entity import MeterEntity

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant
    from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

    from .coordinator import MeterConfigEntry

PARALLEL_UPDATES = 0

FAULT = BinarySensorEntityDescription(
    key="fault",
    translation_key="fault",
    device_class=BinarySensorDeviceClass.PROBLEM,
    entity_category=EntityCategory.DIAGNOSTIC,
)


async def async_setup_entry(
    _: HomeAssistant, entry: MeterConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Add the fault status, which every meter has."""
    async_add_entities([FaultSensor(entry.runtime_data, FAULT)])


class FaultSensor(MeterEntity, BinarySensorEntity):
    """Whether the meter has found a fault in itself."""

    _domain = Platform.BINARY_SENSOR

    @property
    @override
    def is_on(self) -> bool | None:
        return self.coordinator.details.is_faulty
