"""What the meter measures, as sensors."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, cast, override

from homeassistant.components.sensor import (
    DOMAIN as SENSOR_DOMAIN,
    SensorDeviceClass,
    SensorEntity,
    SensorEntityDescription,
    SensorStateClass,
)
from homeassistant.const import (
    PERCENTAGE,
    SIGNAL_STRENGTH_DECIBELS_MILLIWATT,
    EntityCategory,
    UnitOfElectricCurrent,
    UnitOfEnergy,
    UnitOfPower,
    UnitOfTime,
)
from homeassistant.core import callback
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.importlib import async_import_module
from homeassistant.helpers.restore_state import ExtraStoredData, RestoredExtraData, RestoreEntity
from homeassistant.util import dt as dt_util

from .aiobroute import ENERGY_OUT, FIXED_TIME_IN, MINUTE_ENERGY
from .const import CONF_EXCHANGED, DOMAIN
from .coordinator import MeterCoordinator
from .demand_sensor import RunningDemandSensor
from .energy.plausibility import PlausibilityFilter, Sample
from .entity import MeterEntity, unique_id

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant
    from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

    from .coordinator import MeterConfigEntry
    from .energy.accounts import Accounts
    from .energy.details import Details, Energy

PARALLEL_UPDATES = 0


@dataclass(frozen=True, kw_only=True)
class MeterSensorDescription(SensorEntityDescription):
    """A sensor and what it shows of the meter."""

    value_fn: Callable[[MeterCoordinator], Decimal | float | datetime | None]
    attributes_fn: Callable[[MeterCoordinator], Mapping[str, Any] | None] = lambda _: None
    last_reset_fn: Callable[[MeterCoordinator], datetime | None] = lambda _: None
    is_optional: bool = False
    """Whether there are meters without it."""
    is_kept: bool = False
    """Whether it is known without a connection, too."""


def _larger(*currents: Decimal | None) -> Decimal | None:
    """Return the current of the phase that carries most, in either direction: a main breaker trips on it."""
    return max((current for current in currents if current is not None), key=abs, default=None)


def _history(meter: MeterCoordinator) -> dict[str, Any] | None:
    """Return what there is to know of the import of the history, beside how much of it is done."""
    progress, oldest = meter.history_progress, meter.history_start
    if progress is None:
        return None
    return {
        "days_read": progress.days_read,
        "days": progress.days,
        "oldest": None if oldest is None else oldest.isoformat(),
        "without_value": progress.without_value,
        "last_error": progress.error,
    }


SENSORS: tuple[MeterSensorDescription, ...] = (
    MeterSensorDescription(
        key="power",
        translation_key="power",
        device_class=SensorDeviceClass.POWER,
        state_class=SensorStateClass.MEASUREMENT,
        native_unit_of_measurement=UnitOfPower.WATT,
        value_fn=lambda meter: meter.data.power,
    ),
    MeterSensorDescription(
        key="current",
        translation_key="current",
        device_class=SensorDeviceClass.CURRENT,
        state_class=SensorStateClass.MEASUREMENT,
        native_unit_of_measurement=UnitOfElectricCurrent.AMPERE,
        suggested_display_precision=1,
        value_fn=lambda meter: _larger(meter.data.current_r, meter.data.current_t),
    ),
    MeterSensorDescription(
        key="current_r",
        translation_key="current_r",
        device_class=SensorDeviceClass.CURRENT,
        state_class=SensorStateClass.MEASUREMENT,
        native_unit_of_measurement=UnitOfElectricCurrent.AMPERE,
        suggested_display_precision=1,
        value_fn=lambda meter: meter.data.current_r,
    ),
    MeterSensorDescription(
        key="current_t",
        translation_key="current_t",
        device_class=SensorDeviceClass.CURRENT,
        state_class=SensorStateClass.MEASUREMENT,
        native_unit_of_measurement=UnitOfElectricCurrent.AMPERE,
        suggested_display_precision=1,
        value_fn=lambda meter: meter.data.current_t,
        is_optional=True,
    ),
    MeterSensorDescription(
        key="rssi",
        translation_key="rssi",
        device_class=SensorDeviceClass.SIGNAL_STRENGTH,
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=False,
        state_class=SensorStateClass.MEASUREMENT,
        native_unit_of_measurement=SIGNAL_STRENGTH_DECIBELS_MILLIWATT,
        suggested_display_precision=0,
        value_fn=lambda meter: meter.data.rssi,
        is_optional=True,
    ),
    MeterSensorDescription(
        key="clock_drift",
        translation_key="clock_drift",
        device_class=SensorDeviceClass.DURATION,
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=False,
        state_class=SensorStateClass.MEASUREMENT,
        native_unit_of_measurement=UnitOfTime.SECONDS,
        suggested_display_precision=0,
        value_fn=lambda meter: None if (drift := meter.details.clock_drift) is None else drift.total_seconds(),
        is_optional=True,
    ),
    MeterSensorDescription(
        key="fixed_time",
        translation_key="fixed_time",
        device_class=SensorDeviceClass.TIMESTAMP,
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=False,
        value_fn=lambda meter: None if (fixed := meter.details.fixed_in) is None else fixed.time,
        is_optional=True,
    ),
    MeterSensorDescription(
        key="history_start",
        translation_key="history_start",
        device_class=SensorDeviceClass.TIMESTAMP,
        entity_category=EntityCategory.DIAGNOSTIC,
        # Each step of the import is a line under Activity.
        entity_registry_enabled_default=False,
        value_fn=lambda meter: meter.history_start,
        is_optional=True,
        is_kept=True,
    ),
    MeterSensorDescription(
        key="history_progress",
        translation_key="history_progress",
        entity_category=EntityCategory.DIAGNOSTIC,
        native_unit_of_measurement=PERCENTAGE,
        value_fn=lambda meter: None if meter.history_progress is None else meter.history_progress.percent,
        attributes_fn=_history,
        is_optional=True,
        is_kept=True,
    ),
)


def _half_hour(key: str, value_fn: Callable[[Details], Energy | None]) -> MeterSensorDescription:
    """Return what flowed in the last half-hour: tariffs that follow the market are settled by it."""

    def energy(meter: MeterCoordinator) -> Decimal | None:
        found = value_fn(meter.details)
        return None if found is None else found.energy

    def begin(meter: MeterCoordinator) -> datetime | None:
        found = value_fn(meter.details)
        return None if found is None else found.time

    return MeterSensorDescription(
        key=key,
        translation_key=key,
        device_class=SensorDeviceClass.ENERGY,
        entity_registry_enabled_default=False,
        state_class=SensorStateClass.TOTAL,
        native_unit_of_measurement=UnitOfEnergy.KILO_WATT_HOUR,
        value_fn=energy,
        last_reset_fn=begin,
        is_optional=True,
    )


def _energy(key: str, value_fn: Callable[[MeterCoordinator], Decimal | None]) -> MeterSensorDescription:
    """Return a counter for the Energy dashboard."""
    return MeterSensorDescription(
        key=key,
        translation_key=key,
        device_class=SensorDeviceClass.ENERGY,
        state_class=SensorStateClass.TOTAL_INCREASING,
        native_unit_of_measurement=UnitOfEnergy.KILO_WATT_HOUR,
        value_fn=value_fn,
        is_optional=key != "energy_in",
    )


def _timed_energy(key: str, value_fn: Callable[[Details], Energy | None]) -> MeterSensorDescription:
    """Return a counter at a time of the past; it has no statistics, as the same energy would be counted twice."""

    def energy(meter: MeterCoordinator) -> Decimal | None:
        found = value_fn(meter.details)
        return None if found is None else found.energy

    return MeterSensorDescription(
        key=key,
        translation_key=key,
        device_class=SensorDeviceClass.ENERGY,
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=False,
        native_unit_of_measurement=UnitOfEnergy.KILO_WATT_HOUR,
        value_fn=energy,
        is_optional=True,
    )


ENERGIES: tuple[MeterSensorDescription, ...] = (
    _energy("energy_in", lambda meter: meter.data.energy_in),
    _energy("energy_out", lambda meter: meter.data.energy_out),
    _timed_energy("fixed_in", lambda details: details.fixed_in),
    _timed_energy("fixed_out", lambda details: details.fixed_out),
    _timed_energy("minute_in", lambda details: details.minute_in),
    _timed_energy("minute_out", lambda details: details.minute_out),
)
"""Counters, as soon as the meter has told what they count; until then, a value would be wrong by powers of ten."""

HALF_HOURS: tuple[MeterSensorDescription, ...] = (
    _half_hour("half_hour_in", lambda details: details.half_hour_in),
    _half_hour("half_hour_out", lambda details: details.half_hour_out),
)
"""Differences of counters, of the same meters."""


async def async_setup_entry(
    hass: HomeAssistant, entry: MeterConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Add a sensor for everything that this meter measures."""
    coordinator = entry.runtime_data
    registry = er.async_get(hass)
    missing = list(SENSORS + ENERGIES + HALF_HOURS)

    def is_there(description: MeterSensorDescription) -> bool:
        """Return whether the meter has it, or once had: a value may be missing for a moment."""
        if description in ENERGIES + HALF_HOURS and coordinator.profile.energy(1) is None:
            return False
        return (
            not description.is_optional
            or description.value_fn(coordinator) is not None
            or registry.async_get_entity_id(SENSOR_DOMAIN, DOMAIN, unique_id(entry, description)) is not None
        )

    @callback
    def add_new() -> None:
        """Add what has its first value, such as the export of solar cells that were put into operation."""
        removed = _remove_absent(coordinator)
        missing.extend(each for each in SENSORS + ENERGIES + HALF_HOURS if each.key in removed and each not in missing)
        if new := [description for description in missing if is_there(description)]:
            missing[:] = [description for description in missing if description not in new]
            async_add_entities(
                (EnergySensor if description in ENERGIES else MeterSensor)(coordinator, description)
                for description in new
            )

    async def add_costs(accounts: Accounts) -> None:
        """Add the sensors of a plan."""
        await async_import_module(hass, f"{__package__}.cost_sensor")
        from .cost_sensor import add_cost_sensors  # noqa: PLC0415  # it is loaded by now

        add_cost_sensors(entry, accounts, async_add_entities)

    add_new()
    entry.async_on_unload(coordinator.async_add_listener(add_new))
    if coordinator.profile.unit is not None:
        async_add_entities([RunningDemandSensor(coordinator)])
        await coordinator.accounting.async_when_loaded(add_costs)


def _remove_absent(coordinator: MeterCoordinator) -> set[str]:
    """After an exchange, remove what only the old meter had, as soon as the new one has told; return the keys."""
    entry, registry = coordinator.config_entry, er.async_get(coordinator.hass)
    if CONF_EXCHANGED not in entry.data or not coordinator.last_update_success:
        return set()
    if not coordinator.profile.is_complete or coordinator.data.refused:
        return set()
    data = {key: value for key, value in entry.data.items() if key != CONF_EXCHANGED}
    coordinator.hass.config_entries.async_update_entry(entry, data=data)
    removed = set()
    for key in _absent(coordinator):
        if (entity := registry.async_get_entity_id(SENSOR_DOMAIN, DOMAIN, f"{entry.unique_id}_{key}")) is not None:
            registry.async_remove(entity)
            removed.add(key)
    return removed


def _absent(coordinator: MeterCoordinator) -> set[str]:
    """Return the keys of what this meter does not measure, by its own words and a reading without refusals."""
    reading, profile = coordinator.data, coordinator.profile
    absent = set()
    if reading.current_r is not None and reading.current_t is None:
        absent.add("current_t")
    if reading.energy_out is None or not profile.has(ENERGY_OUT):
        absent |= {"energy_out", "fixed_out", "minute_out", "half_hour_out"}
    if not profile.has(FIXED_TIME_IN):
        absent |= {"fixed_in", "fixed_time"}
    if not profile.has(MINUTE_ENERGY):
        absent |= {"minute_in", "minute_out"}
    return absent


def _is_shown_by_other(coordinator: MeterCoordinator, description: MeterSensorDescription) -> bool:
    """Return whether another sensor shows the same: a meter of one phase has only the current of R."""
    reading = coordinator.data
    if reading.current_r is None or reading.current_t is not None:
        return False
    entry, registry = coordinator.config_entry, er.async_get(coordinator.hass)
    phase = registry.async_get_entity_id(SENSOR_DOMAIN, DOMAIN, f"{entry.unique_id}_current_r")
    found = None if phase is None else registry.async_get(phase)
    if description.key == "current":
        return found is not None and not found.disabled  # Taken over, for instance.
    return description.key == "current_r"


class MeterSensor(MeterEntity, SensorEntity):
    """Something that the meter measures."""

    entity_description: MeterSensorDescription

    def __init__(self, coordinator: MeterCoordinator, description: MeterSensorDescription) -> None:
        super().__init__(coordinator, description)
        unit = coordinator.profile.unit
        if description.device_class is SensorDeviceClass.ENERGY and unit is not None:
            self._attr_suggested_display_precision = max(0, -int(unit.as_tuple().exponent))
        if _is_shown_by_other(coordinator, description):
            self._attr_entity_registry_enabled_default = False

    @property
    @override
    def available(self) -> bool:
        return self.entity_description.is_kept or super().available

    @property
    @override
    def native_value(self) -> Decimal | float | datetime | None:
        return self.entity_description.value_fn(self.coordinator)

    @property
    @override
    def extra_state_attributes(self) -> Mapping[str, Any] | None:
        return self.entity_description.attributes_fn(self.coordinator)

    @property
    @override
    def last_reset(self) -> datetime | None:
        return self.entity_description.last_reset_fn(self.coordinator)


class EnergySensor(MeterSensor, RestoreEntity):
    """A counter; what it cannot have reached is not shown until the meter says it twice."""

    def __init__(self, coordinator: MeterCoordinator, description: MeterSensorDescription) -> None:
        super().__init__(coordinator, description)
        self._filter = PlausibilityFilter(coordinator.profile)
        self._meter = coordinator.config_entry.unique_id
        self._value: Decimal | None = None
        self._seen: tuple[Decimal | None, int] | None = None

    @override
    async def async_added_to_hass(self) -> None:
        """Go on from what was shown before the restart."""
        await super().async_added_to_hass()
        restored = await self.async_get_last_extra_data()
        accepted = {} if restored is None else restored.as_dict()
        if accepted.get("meter") == self._meter:
            pause = dt_util.utcnow() - datetime.fromisoformat(accepted["time"])
            at = self.hass.loop.time() - pause.total_seconds()
            self._filter.accepted = Sample(Decimal(accepted["energy"]), at)
        self._check()

    @property
    @override
    def extra_restore_state_data(self) -> ExtraStoredData | None:
        if (accepted := self._filter.accepted) is None:
            return None
        pause = timedelta(seconds=self.hass.loop.time() - accepted.at)
        time = (dt_util.utcnow() - pause).isoformat()
        return RestoredExtraData({"meter": self._meter, "energy": str(accepted.value), "time": time})

    @callback
    @override
    def _handle_coordinator_update(self) -> None:
        self._check()
        super()._handle_coordinator_update()

    @property
    @override
    def native_value(self) -> Decimal | None:
        return self._value

    def _check(self) -> None:
        value = cast("Decimal | None", self.entity_description.value_fn(self.coordinator))
        # Listeners are called for other news, too: the same value confirms itself only in another reading.
        seen = value, self.coordinator.readings if self.entity_description.state_class else 0
        if seen != self._seen:
            self._seen = seen
            self._value = self._filter.check(value, self.hass.loop.time())
