"""A home with a meter: what the tests of the integration begin with."""

import asyncio
from typing import TYPE_CHECKING, Any

from homeassistant.components import usb
from homeassistant.const import CONF_DEVICE, CONF_PASSWORD
from pytest_homeassistant_custom_component.common import MockConfigEntry

from .aiobroute.virtual_time import clock
from .simulator import scenarios
from .simulator.scenarios import PASSWORD, ROUTE_B_ID, Scenario
from .simulator.transport import SimulatedPort, simulated_port

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from homeassistant.config_entries import ConfigEntryState
    from homeassistant.core import HomeAssistant

DOMAIN = "broute"
MAC = "001C640003D2A1B7"
PAN = {"channel": 0x31, "pan_id": 0x8A3C, "mac": MAC}
CREDENTIALS = {"route_b_id": ROUTE_B_ID, CONF_PASSWORD: PASSWORD}


def dongle(scenario: Scenario = scenarios.NORMAL, **options: Any) -> AbstractContextManager[SimulatedPort]:
    """Offer a dongle with the delays of a real one, in virtual time."""
    return simulated_port(scenario, speed=1, clock=clock, **options)


def entry_of(sim: SimulatedPort, **data: Any) -> MockConfigEntry:
    """Return the entry that the config flow makes of a dongle."""
    return MockConfigEntry(
        domain=DOMAIN,
        title="Smart meter",
        unique_id=MAC,
        data={CONF_DEVICE: sim.url, **CREDENTIALS, "pan": PAN, **data},
    )


def without_history(entry: MockConfigEntry) -> MockConfigEntry:
    """Return an entry, which is in no Home Assistant yet, whose meter is not asked for its history."""
    return MockConfigEntry(
        domain=DOMAIN,
        title=entry.title,
        unique_id=entry.unique_id,
        data=entry.data,
        options={"import_history": False},
    )


def entries_of(sim: SimulatedPort, **options: Any) -> list[MockConfigEntry]:
    """Return an entry for each meter within the dongle's reach."""
    entries = []
    for number, air in enumerate(sim.airs, 1):
        channel, pan_id, mac = air.place
        pan = {"channel": channel, "pan_id": pan_id, "mac": mac}
        credentials = {"route_b_id": air.settings.route_b_id, CONF_PASSWORD: air.settings.password}
        entry = MockConfigEntry(
            domain=DOMAIN,
            title=f"Smart meter {number}",
            unique_id=mac,
            data={CONF_DEVICE: sim.url, **credentials, "pan": pan},
            options=options,
        )
        entries.append(entry)
    return entries


def state_of(entry: MockConfigEntry) -> ConfigEntryState:
    """Return the state; a type checker would narrow it for good."""
    state: ConfigEntryState = entry.state
    return state


def state(hass: HomeAssistant, entity_id: str) -> str:
    """Return what an entity shows."""
    entity = hass.states.get(entity_id)
    assert entity is not None
    return entity.state


async def set_up(hass: HomeAssistant, entry: MockConfigEntry) -> bool:
    """Add an entry and let it begin."""
    entry.add_to_hass(hass)
    result = await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    return result


async def elapse(hass: HomeAssistant, seconds: float) -> None:
    """Let time pass."""
    await asyncio.sleep(seconds)
    await hass.async_block_till_done()


def now() -> float:
    """Return the virtual time in seconds."""
    return asyncio.get_running_loop().time()


async def until(is_so: Callable[[], bool], step: float = 0.1, *, within: float = 86_400) -> None:
    """Let time pass in small steps until something is so, for at most so many seconds."""
    end = now() + within
    while (answer := is_so()) is not True:
        assert answer is False, f"{answer!r} is neither yes nor no"
        assert now() < end, f"it was not so within {within:g} s"
        await asyncio.sleep(step)


def stick(path: str, *, serial: str | None = "DN01ABCD", resolved: str = "/dev/ttyUSB0") -> usb.USBDevice:
    """Return what the platform knows of an RS-WSUHA-P."""
    return usb.USBDevice(
        device=path,
        resolved_device=resolved,
        vid="0403",
        pid="6015",
        serial_number=serial,
        manufacturer="FTDI",
        description="FT230X Basic UART",
    )


async def look_for_sticks(hass: HomeAssistant, *sticks: usb.USBDevice) -> None:
    """Let the platform notice which sticks there are."""
    remove = usb.async_register_serial_port_scanner(hass, lambda _: sticks)
    await hass.data["usb"]._async_scan_serial()
    remove()
    await hass.async_block_till_done()
