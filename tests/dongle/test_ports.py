"""A dongle that is pulled out, and put in again on the same port or on another."""

from typing import TYPE_CHECKING

from homeassistant.components import usb
from homeassistant.config_entries import SOURCE_USER, ConfigEntryState
from homeassistant.const import CONF_DEVICE, STATE_UNAVAILABLE
from homeassistant.setup import async_setup_component
import pytest

from custom_components.broute.dongle.ports import name_of

from ..home import (
    CREDENTIALS,
    DOMAIN,
    dongle,
    elapse,
    entry_of,
    look_for_sticks,
    now,
    set_up,
    state,
    state_of,
    stick,
    until,
)

if TYPE_CHECKING:
    from pathlib import Path

    from homeassistant.core import HomeAssistant

    from ..simulator.transport import SimulatedPort

POWER = "sensor.smart_meter_power"


async def test_the_port_of_a_stick_that_is_back_is_opened_at_once(hass: HomeAssistant) -> None:
    with dongle() as sim:
        await set_up(hass, entry_of(sim))
        await look_for_sticks(hass, stick(sim.url))
        sim.unplug()
        await elapse(hass, 12)
        await look_for_sticks(hass)
        assert state(hass, POWER) == STATE_UNAVAILABLE
        sim.plug()
        began = now()
        await look_for_sticks(hass, stick(sim.url))
        await until(lambda: state(hass, POWER) != STATE_UNAVAILABLE)
        assert now() - began < 7


async def test_the_port_of_a_stick_that_was_missing_at_the_start(hass: HomeAssistant) -> None:
    with dongle() as sim:
        entry = entry_of(sim)
        sim.unplug()
        await set_up(hass, entry)
        assert entry.reason == f"{sim.url} does not exist. Is the dongle plugged in?"
        await elapse(hass, 2)
        sim.plug()
        began = now()
        await look_for_sticks(hass, stick(sim.url))
        await until(lambda: state_of(entry) is ConfigEntryState.LOADED)
        assert now() - began < 8


async def test_other_sticks_are_nobody_s_business(hass: HomeAssistant) -> None:
    with dongle() as sim:
        entry = entry_of(sim)
        await set_up(hass, entry)
        sim.record.clear()
        await look_for_sticks(hass, stick("/dev/serial/by-id/other"))
        await look_for_sticks(hass, stick(sim.url))
        await elapse(hass, 1)
        assert not sim.record.commands
        assert await hass.config_entries.async_unload(entry.entry_id)
        await look_for_sticks(hass)
        await look_for_sticks(hass, stick(sim.url))
        await elapse(hass, 10)
        assert state_of(entry) is ConfigEntryState.NOT_LOADED
        assert not sim.record.commands


async def move(hass: HomeAssistant, before: SimulatedPort, after: usb.USBDevice) -> None:
    """Pull the dongle out, and put it in elsewhere."""
    before.unplug()
    await elapse(hass, 12)
    await look_for_sticks(hass)
    await look_for_sticks(hass, after)


async def test_a_stick_on_another_port_is_found_by_its_serial_number(hass: HomeAssistant) -> None:
    with dongle() as before, dongle() as after:
        entry = entry_of(before)
        await set_up(hass, entry)
        await look_for_sticks(hass, stick(before.url))
        began = now()
        await move(hass, before, stick(after.url))
        await until(lambda: state(hass, POWER) != STATE_UNAVAILABLE)
        assert now() - began < 12 + 7
        assert entry.data[CONF_DEVICE] == after.url
        # And on.
        before.plug()
        await move(hass, after, stick(before.url))
        assert entry.data[CONF_DEVICE] == before.url


async def test_a_stick_that_moved_while_home_assistant_was_off(hass: HomeAssistant) -> None:
    with dongle() as before, dongle() as after:
        entry = entry_of(before, stick={CONF_DEVICE: before.url, "identity": "0403:6015 DN01ABCD"})
        before.unplug()
        await set_up(hass, entry)
        assert state_of(entry) is ConfigEntryState.SETUP_RETRY
        await look_for_sticks(hass, stick(after.url))
        await until(lambda: state_of(entry) is ConfigEntryState.LOADED)
        assert entry.data[CONF_DEVICE] == after.url


async def test_a_stick_that_moves_right_after_the_set_up(hass: HomeAssistant) -> None:
    assert await async_setup_component(hass, "usb", {})
    with dongle() as before, dongle() as after:
        await look_for_sticks(hass, stick(before.url))
        remove = usb.async_register_serial_port_scanner(hass, lambda _: [stick(before.url)])
        flow = await hass.config_entries.flow.async_init(DOMAIN, context={"source": SOURCE_USER})
        flow = await hass.config_entries.flow.async_configure(flow["flow_id"], {CONF_DEVICE: before.url, **CREDENTIALS})
        await hass.async_block_till_done()
        await hass.config_entries.flow.async_configure(flow["flow_id"])
        flow = await hass.config_entries.flow.async_configure(flow["flow_id"], {})
        await hass.async_block_till_done()
        remove()
        entry = flow["result"]
        assert entry.state is ConfigEntryState.LOADED
        await move(hass, before, stick(after.url))
        await until(lambda: state(hass, POWER) != STATE_UNAVAILABLE)
        assert entry.data[CONF_DEVICE] == after.url


@pytest.mark.parametrize("serial", [None, "DN09WXYZ"])
async def test_only_the_same_stick_is_taken(hass: HomeAssistant, serial: str | None) -> None:
    with dongle() as before, dongle() as other:
        entry = entry_of(before)
        await set_up(hass, entry)
        await look_for_sticks(hass, stick(before.url, serial=serial and "DN01ABCD"))
        await move(hass, before, stick(other.url, serial=serial))
        await elapse(hass, 120)
        assert entry.data[CONF_DEVICE] == before.url
        assert not other.record.opens


async def test_a_port_that_was_chosen_anew_is_left_alone(hass: HomeAssistant) -> None:
    with dongle() as before, dongle() as chosen, dongle() as other:
        entry = entry_of(before)
        await set_up(hass, entry)
        await look_for_sticks(hass, stick(before.url))
        hass.config_entries.async_update_entry(entry, data={**entry.data, CONF_DEVICE: chosen.url})
        await move(hass, before, stick(other.url))
        await elapse(hass, 120)
        assert entry.data[CONF_DEVICE] == chosen.url


async def test_a_port_that_is_still_there_has_not_moved(hass: HomeAssistant, tmp_path: Path) -> None:
    port = tmp_path / "ttyUSB0"
    port.touch()
    with dongle() as twin:
        entry = entry_of(twin, **{CONF_DEVICE: str(port), "stick": {CONF_DEVICE: str(port), "identity": "0403:6015 1"}})
        await set_up(hass, entry)
        await look_for_sticks(hass, stick(twin.url, serial="1"))
        await elapse(hass, 30)
        assert entry.data[CONF_DEVICE] == str(port)


async def test_a_path_by_identity_takes_the_place_of_a_number(hass: HomeAssistant) -> None:
    with dongle() as sim:
        entry = entry_of(sim, **{CONF_DEVICE: "/dev/ttyUSB7"})
        await set_up(hass, entry)
        await look_for_sticks(hass, stick(sim.url, resolved="/dev/ttyUSB7"))
        await until(lambda: state_of(entry) is ConfigEntryState.LOADED)
        assert entry.data[CONF_DEVICE] == sim.url


def test_entries_know_a_dongle_by_one_name(tmp_path: Path) -> None:
    (tmp_path / "ttyUSB0").touch()
    (tmp_path / "by-path").symlink_to("ttyUSB0")
    port, other_name = str(tmp_path / "ttyUSB0"), str(tmp_path / "by-path")
    assert name_of(port, []) == port
    assert name_of(port, ["socket://192.0.2.1:4000", other_name]) == other_name
    assert name_of(str(tmp_path / "ttyUSB1"), [other_name]) == str(tmp_path / "ttyUSB1")


async def test_a_port_that_the_platform_finds_again(hass: HomeAssistant, monkeypatch: pytest.MonkeyPatch) -> None:
    with dongle() as before, dongle() as after:
        entry = entry_of(before)
        await set_up(hass, entry)
        # As from 2026.11 on, for serial proxies of ESPHome among others.
        found = {before.url: after.url}.get
        monkeypatch.setattr(usb, "async_find_moved_serial_port", lambda _, port: found(port), raising=False)
        await move(hass, before, stick("/dev/serial/by-id/other", serial=None))
        assert entry.data[CONF_DEVICE] == after.url
        await until(lambda: state(hass, POWER) != STATE_UNAVAILABLE)
