"""The recording of a connection for a report, as a switch."""

from typing import TYPE_CHECKING, Any, override

from homeassistant.components.switch import SwitchEntity, SwitchEntityDescription
from homeassistant.components.switch.const import SwitchDeviceClass
from homeassistant.const import EntityCategory, Platform
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.dispatcher import async_dispatcher_connect

from .const import CONF_NODE, DOMAIN
from .entity import MeterEntity, unique_id
from .reports import async_begin, async_end, async_is_recording, signal_of

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant
    from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

    from .coordinator import MeterConfigEntry

PARALLEL_UPDATES = 0

RECORD = SwitchEntityDescription(
    key="record",
    translation_key="record",
    device_class=SwitchDeviceClass.SWITCH,
    entity_category=EntityCategory.DIAGNOSTIC,
)


async def async_setup_entry(
    hass: HomeAssistant, entry: MeterConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Add the switch of a meter; without a dongle there is nothing to record."""
    if CONF_NODE in entry.data:
        registry = er.async_get(hass)
        # The meter may have been read over a dongle before.
        if (left := registry.async_get_entity_id(Platform.SWITCH, DOMAIN, unique_id(entry, RECORD))) is not None:
            registry.async_remove(left)
        return
    async_add_entities([RecordSwitch(entry.runtime_data, RECORD)])


class RecordSwitch(MeterEntity, SwitchEntity):
    """On while a connection is recorded; what it becomes is a file to download."""

    _domain = Platform.SWITCH

    @override
    async def async_added_to_hass(self) -> None:
        await super().async_added_to_hass()
        signal = signal_of(self.coordinator.config_entry)
        self.async_on_remove(async_dispatcher_connect(self.hass, signal, self.async_write_ha_state))

    @property
    @override
    def available(self) -> bool:
        """Return whether it can be used: without a connection, too, which is what most reports are about."""
        return True

    @property
    @override
    def is_on(self) -> bool:
        return async_is_recording(self.hass, self.coordinator.config_entry)

    @override
    async def async_turn_on(self, **kwargs: Any) -> None:
        if not self.is_on:
            await async_begin(self.hass, self.coordinator.config_entry)

    @override
    async def async_turn_off(self, **kwargs: Any) -> None:
        await async_end(self.hass, self.coordinator.config_entry)
