"""What the meter measures, as sensors."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, override

from homeassistant.components.sensor import (
    DOMAIN as SENSOR_DOMAIN,
    SensorDeviceClass,
    SensorEntity,
    SensorEntityDescription,
    SensorStateClass,
)
from homeassistant.const import UnitOfElectricCurrent, UnitOfEnergy, UnitOfPower
from homeassistant.core import callback
from homeassistant.helpers import entity_registry as er

from .aiobroute import Reading
from .const import DOMAIN
from .entity import MeterEntity, unique_id

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant
    from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

    from .coordinator import MeterConfigEntry, MeterCoordinator

PARALLEL_UPDATES = 0


@dataclass(frozen=True, kw_only=True)
class MeterSensorDescription(SensorEntityDescription):
    """A sensor and the part of a reading it shows."""

    value_fn: Callable[[Reading], Decimal | int | None]
    is_optional: bool = False
    """Whether there are meters without it."""


SENSORS: tuple[MeterSensorDescription, ...] = (
    MeterSensorDescription(
        key="power",
        translation_key="power",
        device_class=SensorDeviceClass.POWER,
        state_class=SensorStateClass.MEASUREMENT,
        native_unit_of_measurement=UnitOfPower.WATT,
        value_fn=lambda reading: reading.power,
    ),
    MeterSensorDescription(
        key="current_r",
        translation_key="current_r",
        device_class=SensorDeviceClass.CURRENT,
        state_class=SensorStateClass.MEASUREMENT,
        native_unit_of_measurement=UnitOfElectricCurrent.AMPERE,
        suggested_display_precision=1,
        value_fn=lambda reading: reading.current_r,
    ),
    MeterSensorDescription(
        key="current_t",
        translation_key="current_t",
        device_class=SensorDeviceClass.CURRENT,
        state_class=SensorStateClass.MEASUREMENT,
        native_unit_of_measurement=UnitOfElectricCurrent.AMPERE,
        suggested_display_precision=1,
        value_fn=lambda reading: reading.current_t,
        is_optional=True,
    ),
)

ENERGIES: tuple[MeterSensorDescription, ...] = (
    MeterSensorDescription(
        key="energy_in",
        translation_key="energy_in",
        device_class=SensorDeviceClass.ENERGY,
        state_class=SensorStateClass.TOTAL_INCREASING,
        native_unit_of_measurement=UnitOfEnergy.KILO_WATT_HOUR,
        value_fn=lambda reading: reading.energy_in,
    ),
    MeterSensorDescription(
        key="energy_out",
        translation_key="energy_out",
        device_class=SensorDeviceClass.ENERGY,
        state_class=SensorStateClass.TOTAL_INCREASING,
        native_unit_of_measurement=UnitOfEnergy.KILO_WATT_HOUR,
        value_fn=lambda reading: reading.energy_out,
        is_optional=True,
    ),
)
"""Sensors of a meter that tells the unit of its counters; without it, a value would be wrong by powers of ten."""


async def async_setup_entry(
    hass: HomeAssistant, entry: MeterConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Add a sensor for everything that this meter measures."""
    coordinator = entry.runtime_data
    registry = er.async_get(hass)
    missing = list(SENSORS + (ENERGIES if coordinator.profile.unit is not None else ()))

    def is_there(description: MeterSensorDescription) -> bool:
        """Return whether the meter has it, or once had: a value may be missing for a moment."""
        return (
            not description.is_optional
            or description.value_fn(coordinator.data) is not None
            or registry.async_get_entity_id(SENSOR_DOMAIN, DOMAIN, unique_id(entry, description)) is not None
        )

    @callback
    def add_new() -> None:
        """Add what has its first value, such as the export of solar cells that were put into operation."""
        if new := [description for description in missing if is_there(description)]:
            missing[:] = [description for description in missing if description not in new]
            async_add_entities(MeterSensor(coordinator, description) for description in new)

    add_new()
    entry.async_on_unload(coordinator.async_add_listener(add_new))


class MeterSensor(MeterEntity, SensorEntity):
    """A part of each reading."""

    entity_description: MeterSensorDescription

    def __init__(self, coordinator: MeterCoordinator, description: MeterSensorDescription) -> None:
        """Show energies with the meter's own number of decimals."""
        super().__init__(coordinator, description)
        unit = coordinator.profile.unit
        if description in ENERGIES and unit is not None:
            self._attr_suggested_display_precision = max(0, -int(unit.as_tuple().exponent))

    @property
    @override
    def native_value(self) -> Decimal | int | None:
        return self.entity_description.value_fn(self.coordinator.data)
