"""What electricity costs, as sensors; they are there as soon as there is a plan."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING, Any, Final, override

from homeassistant.components.sensor import (
    SensorDeviceClass,
    SensorEntity,
    SensorEntityDescription,
    SensorStateClass,
)
from homeassistant.const import UnitOfEnergy, UnitOfPower
from homeassistant.core import callback

from .aiobroute import JST
from .devices import plan_info
from .energy.accounts import YEN, Accounts
from .energy.dashboard import COMPENSATION, COST
from .energy.figures import Figures
from .entity import MeterEntity

if TYPE_CHECKING:
    from homeassistant.helpers.device_registry import DeviceInfo
    from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

    from .coordinator import MeterConfigEntry, MeterCoordinator


SHOWN: Final = Decimal("0.0001")
"""Yen; the recorder adds up what the total shows."""


@dataclass(frozen=True, kw_only=True)
class CostSensorDescription(SensorEntityDescription):
    """A sensor and what it shows of the figures."""

    figure_fn: Callable[[Figures], Decimal | None]
    about_fn: Callable[[Figures], Mapping[str, Any] | None] = lambda _: None


def _so_far(figures: Figures) -> Mapping[str, Any]:
    """Return the days of the bill, and how much of it is not known."""
    return {
        "first_day": figures.period.span.first.isoformat(),
        "end": figures.period.span.end.isoformat(),
        "hours_unknown": figures.unknown / 2,
        "hours_without_price": figures.unpriced / 2,
    }


def _peak(figures: Figures) -> Mapping[str, Any] | None:
    if figures.peak is None:
        return None
    return {"time": figures.peak.start.astimezone(JST).isoformat()}


def _forecast(figures: Figures) -> Mapping[str, Any]:
    """Return how it was made."""
    return {
        "method": "same_weekdays_of_four_weeks",
        "end": figures.period.span.end.isoformat(),
        "hours_estimated": figures.estimated / 2,
    }


def _figure(
    key: str,
    figure_fn: Callable[[Figures], Decimal | None],
    about_fn: Callable[[Figures], Mapping[str, Any] | None] = lambda _: None,
    *,
    unit: str = YEN,
    decimals: int = 0,
    is_enabled: bool = True,
) -> CostSensorDescription:
    """Return a sensor of a figure; yen, if nothing else is said."""
    return CostSensorDescription(
        key=key,
        translation_key=key,
        device_class=DEVICE_CLASSES.get(unit),
        state_class=None if unit in DEVICE_CLASSES else SensorStateClass.MEASUREMENT,
        native_unit_of_measurement=unit,
        suggested_display_precision=decimals,
        entity_registry_enabled_default=is_enabled,
        figure_fn=figure_fn,
        about_fn=about_fn,
    )


DEVICE_CLASSES: Final[Mapping[str, SensorDeviceClass]] = {
    YEN: SensorDeviceClass.MONETARY,
    UnitOfEnergy.KILO_WATT_HOUR: SensorDeviceClass.ENERGY,
    UnitOfPower.KILO_WATT: SensorDeviceClass.POWER,
}

COST_SENSORS: tuple[CostSensorDescription, ...] = (
    _figure("period_cost", lambda figures: figures.cost, _so_far),
    _figure("period_energy", lambda figures: figures.energy, _so_far, unit=UnitOfEnergy.KILO_WATT_HOUR, decimals=1),
    _figure("bill_forecast", lambda figures: figures.forecast, _forecast),
    _figure(
        "period_peak",
        lambda figures: None if figures.peak is None else figures.peak.demand,
        _peak,
        unit=UnitOfPower.KILO_WATT,
        decimals=1,
    ),
    _figure("today_cost", lambda figures: figures.today_cost, is_enabled=False),
    _figure(
        "today_energy",
        lambda figures: figures.today_energy,
        unit=UnitOfEnergy.KILO_WATT_HOUR,
        decimals=1,
        is_enabled=False,
    ),
    _figure("last_bill", lambda figures: figures.last_bill, is_enabled=False),
    _figure(
        "price",
        lambda figures: figures.price,
        unit=f"{YEN}/{UnitOfEnergy.KILO_WATT_HOUR}",
        decimals=2,
        is_enabled=False,
    ),
    _figure(
        "contract_demand",
        lambda figures: figures.contract_demand,
        unit=UnitOfPower.KILO_WATT,
        decimals=1,
        is_enabled=False,
    ),
)

TOTALS: tuple[SensorEntityDescription, ...] = tuple(
    SensorEntityDescription(
        key=key,
        translation_key=key,
        device_class=SensorDeviceClass.MONETARY,
        state_class=SensorStateClass.TOTAL,
        native_unit_of_measurement=YEN,
        suggested_display_precision=0,
    )
    for key in (COST, COMPENSATION)
)
"""For the Energy dashboard: all that is known, from the first half-hour with a plan on."""


def add_cost_sensors(
    entry: MeterConfigEntry, accounts: Accounts, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Add the sensors as soon as there is something to show."""
    coordinator = entry.runtime_data
    missing = list(COST_SENSORS)
    totals = list(TOTALS)

    @callback
    def add() -> None:
        if accounts.figures is not None and missing:
            async_add_entities([CostSensor(coordinator, accounts, description) for description in missing])
            missing.clear()
        if new := [description for description in totals if description.key in accounts.totals]:
            totals[:] = [description for description in totals if description not in new]
            async_add_entities([TotalSensor(coordinator, accounts, description) for description in new])

    entry.async_on_unload(accounts.async_add_listener(add))
    add()


class AccountsEntity(MeterEntity, SensorEntity):
    """Something that the accounts say of a plan; it is known without a connection."""

    def __init__(self, coordinator: MeterCoordinator, accounts: Accounts, description: SensorEntityDescription) -> None:
        super().__init__(coordinator, description)
        self._accounts = accounts

    @override
    def _device(self) -> DeviceInfo:
        return plan_info(self.coordinator.hass, self.coordinator.config_entry)

    @override
    def _in_english(self, title: str) -> str:
        # Without the name of the plan's device, as it was before there was one.
        return super()._in_english(title) or f"{title} {self._own_name_in_english()}"

    @override
    async def async_added_to_hass(self) -> None:
        """Subscribe to the accounts."""
        await super().async_added_to_hass()
        self.async_on_remove(self._accounts.async_add_listener(self.async_write_ha_state))


class CostSensor(AccountsEntity):
    """A figure of the bill that runs."""

    entity_description: CostSensorDescription

    @property
    @override
    def available(self) -> bool:
        return self._accounts.figures is not None

    @property
    @override
    def native_value(self) -> Decimal | None:
        figures = self._accounts.figures
        return None if figures is None else self.entity_description.figure_fn(figures)

    @property
    @override
    def extra_state_attributes(self) -> Mapping[str, Any] | None:
        figures = self._accounts.figures
        return None if figures is None else self.entity_description.about_fn(figures)


class TotalSensor(AccountsEntity):
    """What was paid, or brought in, since the first half-hour that is known."""

    @property
    @override
    def available(self) -> bool:
        return self.entity_description.key in self._accounts.totals

    @property
    @override
    def native_value(self) -> Decimal | None:
        total = self._accounts.totals.get(self.entity_description.key)
        return None if total is None else total.quantize(SHOWN, ROUND_HALF_UP)
