"""What a person may hand on: useful, and without what identifies a household."""

import asyncio
from dataclasses import replace
from datetime import datetime
import json
from typing import TYPE_CHECKING, Any

from homeassistant.config_entries import ConfigEntryState
from homeassistant.helpers.json import JSONEncoder

from custom_components.broute.diagnostics import async_get_config_entry_diagnostics

from .home import MAC, PAN, dongle, elapse, entry_of, set_up, state_of
from .simulator import scenarios
from .simulator.radio import Sending
from .simulator.scenarios import PASSWORD, ROUTE_B_ID

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant
    from pytest_homeassistant_custom_component.common import MockConfigEntry


async def downloaded(hass: HomeAssistant, entry: MockConfigEntry) -> dict[str, Any]:
    """Return what a file would hold."""
    text = json.dumps(await async_get_config_entry_diagnostics(hass, entry), cls=JSONEncoder)
    serial = "S18012345678"
    for secret in (ROUTE_B_ID, ROUTE_B_ID[-8:], PASSWORD, MAC, MAC[-6:], serial, serial.encode().hex().upper()):
        assert secret not in text
    about: dict[str, Any] = json.loads(text)
    return about


async def test_module_meter_and_the_way_to_it(hass: HomeAssistant) -> None:
    with dongle(scenarios.COEFFICIENT) as sim:
        entry = entry_of(sim)
        await set_up(hass, entry)
        await elapse(hass, 600)
        about = await downloaded(hass, entry)
    assert about["state"] == "loaded"
    assert about["module"] == {"family": "BP35C2", "firmware": "1.5.2"}
    assert about["pan"] == {"channel": 0x31, "pan_id": "8A3C", "mac_begins": "001C64"}
    assert (about["meter"]["unit"], about["meter"]["coefficient"]) == ("0.01", 20)
    assert about["reading"]["power"] > 0
    assert about["details"]["clock_drift"] == 0
    journal = about["journal"]
    assert journal["counts"]["connected"] == journal["counts"]["event JOINED"] == 1
    assert journal["seconds"]["join"]["count"] == 1
    assert 4 <= journal["seconds"]["join"]["last"] < 5
    assert 10 <= journal["seconds"]["reply"]["count"] <= 11
    assert 0 < journal["seconds"]["reply"]["longest"] < 60


async def test_a_pan_id_that_is_the_end_of_the_mac(hass: HomeAssistant) -> None:
    tail = int(MAC[-4:], 16)
    network = replace(scenarios.NORMAL.radio.network, pan_id=tail)
    with dongle(replace(scenarios.NORMAL, radio=replace(scenarios.NORMAL.radio, network=network))) as sim:
        entry = entry_of(sim, pan={**PAN, "pan_id": tail})
        await set_up(hass, entry)
        assert MAC[-4:] not in json.dumps((await downloaded(hass, entry))["pan"])


async def test_what_happened_and_when(hass: HomeAssistant) -> None:
    with dongle() as sim:
        entry = entry_of(sim)
        await set_up(hass, entry)
        await elapse(hass, 10)
        sim.air.sendings.append(Sending.NOT_SENT)
        await elapse(hass, 60)
        sim.air.network = replace(sim.air.network, channel=0x39)
        sim.air.end_session()
        await elapse(hass, 120)
        journal = (await downloaded(hass, entry))["journal"]
    times, events = zip(*(event.split(" ", 1) for event in journal["events"]), strict=True)
    assert list(times) == sorted(times)
    assert all(datetime.fromisoformat(time).tzinfo for time in times)
    after = events[events.index("event NOT_SENT") :]
    assert [event for event in after if event != "notification"] == [
        "event NOT_SENT",
        "event ENDED_BY_METER",
        "lost: the meter ended the session",
        "probe",
        "join",
        "event JOIN_FAILED",
        "scan: pass 1 of 4",
        "event BEACON",
        "join",
        "event JOINED",
        "read",
        "connected: channel 57",
    ]
    assert journal["seconds"]["scan"]["count"] == 1


async def test_only_the_last_events_are_kept_but_all_are_counted(hass: HomeAssistant) -> None:
    with dongle() as sim:
        entry = entry_of(sim)
        await set_up(hass, entry)
        for _ in range(20):
            sim.air.end_session()
            await elapse(hass, 20)
        journal = (await downloaded(hass, entry))["journal"]
    assert len(journal["events"]) == 50
    assert journal["counts"]["event ENDED_BY_METER"] == 20
    assert journal["counts"]["connected"] == 21


async def test_an_entry_that_never_came_up_has_the_most_to_tell(hass: HomeAssistant) -> None:
    with dongle() as sim:
        sim.air.is_reachable = False
        entry = entry_of(sim)
        await set_up(hass, entry)
        await elapse(hass, 180)
        assert state_of(entry) is ConfigEntryState.SETUP_RETRY
        about = await downloaded(hass, entry)
    assert "meter" not in about
    assert "not heard" in about["reason"]
    assert about["journal"]["counts"]["failed: no_meter"] >= 2
    failed = [event for event in about["journal"]["events"] if "failed" in event]
    assert "no meter answers to this Route B ID (in scan, after" in failed[0]


async def test_a_step_that_was_broken_off_has_no_time(hass: HomeAssistant) -> None:
    with dongle() as sim:
        entry = entry_of(sim)
        await set_up(hass, entry)
        sim.air.is_reachable = False
        sim.air.end_session()
        await asyncio.sleep(20)
        await hass.config_entries.async_unload(entry.entry_id)
        sim.air.is_reachable = True
        await hass.config_entries.async_setup(entry.entry_id)
        journal = (await downloaded(hass, entry))["journal"]
    assert journal["counts"]["join"] == 3
    assert journal["seconds"]["join"]["count"] == 2
    assert journal["seconds"]["join"]["longest"] < 5
