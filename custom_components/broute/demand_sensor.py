"""The demand of the running half-hour, as a sensor; it needs no plan."""

from decimal import Decimal
from typing import TYPE_CHECKING, override

from homeassistant.components.sensor import (
    SensorDeviceClass,
    SensorEntity,
    SensorEntityDescription,
    SensorStateClass,
)
from homeassistant.const import UnitOfPower
from homeassistant.core import callback
from homeassistant.util import dt as dt_util

from .energy.demand import RunningDemand, half_hour
from .energy.ledger import ENERGY_IN
from .entity import MeterEntity

if TYPE_CHECKING:
    from .coordinator import MeterCoordinator

RUNNING_DEMAND = SensorEntityDescription(
    key="running_demand",
    translation_key="running_demand",
    device_class=SensorDeviceClass.POWER,
    state_class=SensorStateClass.MEASUREMENT,
    native_unit_of_measurement=UnitOfPower.KILO_WATT,
    suggested_display_precision=2,
    entity_registry_enabled_default=False,
)
"""The demand that the running half-hour will have if the present power stays."""


class RunningDemandSensor(MeterEntity, SensorEntity):
    """Follows the readings of the running half-hour."""

    def __init__(self, coordinator: MeterCoordinator) -> None:
        super().__init__(coordinator, RUNNING_DEMAND)
        self._running: RunningDemand | None = None
        self._readings = 0

    @callback
    @override
    def _handle_coordinator_update(self) -> None:
        reading = self.coordinator.data
        # Listeners are called for other news, too.
        if self.coordinator.readings != self._readings:
            self._readings = self.coordinator.readings
            if reading.energy_in is not None and reading.power is not None:
                self._follow(reading.energy_in, Decimal(reading.power))
        super()._handle_coordinator_update()

    def _follow(self, counter: Decimal, power: Decimal) -> None:
        now, before, ledger = dt_util.utcnow(), self._running, self.coordinator.history.ledger
        self._running = (
            RunningDemand.first(now, counter, power) if before is None else before.following(now, counter, power)
        )
        if self._running.base is None and ledger.tenures:
            base = ledger.energy(ENERGY_IN, int(half_hour(now).timestamp()))
            self._running = RunningDemand.first(now, counter, power, base)

    @property
    @override
    def native_value(self) -> Decimal | None:
        step = self.coordinator.profile.energy(1)
        return None if self._running is None or step is None else self._running.demand(step)
