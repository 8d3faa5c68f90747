"""A record of a connection, made in Home Assistant: checked, downloaded, and replayed."""

import asyncio
from http import HTTPStatus
import logging
from pathlib import Path
import re
from typing import TYPE_CHECKING, Any

from homeassistant.components import persistent_notification
from homeassistant.components.persistent_notification import (
    Notification,
    UpdateType,
    _async_get_or_create_notifications,
)
from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import ATTR_ENTITY_ID, STATE_OFF, STATE_ON, STATE_UNAVAILABLE
from homeassistant.core import Context, callback
from homeassistant.exceptions import ServiceValidationError, Unauthorized
from homeassistant.setup import async_setup_component
import pytest

from custom_components.broute.aiobroute.records.checker import check
from custom_components.broute.reports import async_is_recording

from . import hardware
from .aiobroute.test_record import PASSWORD, ROUTE_B_ID, everything, secretive
from .home import dongle, elapse, entries_of, entry_of, set_up, state, state_of, until
from .simulator import scenarios
from .test_replay import notes, replayed

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant
    from pytest_homeassistant_custom_component.common import MockConfigEntry, MockUser
    from pytest_homeassistant_custom_component.typing import ClientSessionGenerator, WebSocketGenerator


SWITCH = "switch.smart_meter_recording_for_a_report"
SECRETS = {"route_b_id": ROUTE_B_ID, "password": PASSWORD}
HOUSE = secretive(scenarios.SOLAR)


@pytest.fixture
def media(hass: HomeAssistant, tmp_path: Path) -> Path:
    """Have a folder for the media."""
    hass.config.media_dirs = {"local": str(tmp_path)}
    return tmp_path / "broute"


def page_with(folder: Path, text: str) -> str:
    """Return the page of hardware as it is once a record is sent."""
    (folder / "house.txt").write_text(text)
    return hardware.page(folder)


async def begin(hass: HomeAssistant, minutes: int = 0, user: MockUser | None = None, **data: Any) -> None:
    await hass.services.async_call(
        "broute",
        "record_connection",
        {"minutes": minutes, **data},
        blocking=True,
        context=Context(user_id=user and user.id),
    )


async def switch(hass: HomeAssistant, service: str) -> None:
    await hass.services.async_call("switch", service, {ATTR_ENTITY_ID: SWITCH}, blocking=True)


def told(hass: HomeAssistant, entry: MockConfigEntry) -> dict[str, Any]:
    """Return the notification about a record."""
    return {**_async_get_or_create_notifications(hass)[f"broute_record_{entry.entry_id}"]}


def is_over(hass: HomeAssistant, entry: MockConfigEntry) -> bool:
    return bool(told(hass, entry)["title"] != "Recording a connection")


def files(media: Path) -> list[str]:
    return [path.name for path in media.iterdir()] if media.is_dir() else []


def the_record(media: Path) -> str:
    (path,) = media.iterdir()
    assert re.fullmatch(r"broute_record_\d{8}_\d{6}\.txt", path.name), "nothing in a name names a household"
    return path.read_text("ascii")


async def test_a_record_is_made_checked_and_replayed(
    hass: HomeAssistant,
    media: Path,
    tmp_path: Path,
    each_kind: str,
    caplog: pytest.LogCaptureFixture,
    hass_client_no_auth: ClientSessionGenerator,
) -> None:
    caplog.set_level(logging.DEBUG)
    with dongle(HOUSE) as sim:
        entry = entry_of(sim, **SECRETS)
        await set_up(hass, entry)
        assert state(hass, SWITCH) == STATE_OFF
        await begin(hass)
        assert state(hass, SWITCH) == STATE_ON
        await until(lambda: is_over(hass, entry), within=600)
        await hass.async_block_till_done()
        assert state(hass, SWITCH) == STATE_OFF
        secrets = everything(sim)
        readings = entry.runtime_data.readings
        await elapse(hass, 90)
        assert entry.runtime_data.readings > readings, each_kind
    text = the_record(media)
    assert check(text, secrets) == []
    assert "= note worked history of a day" in text
    assert text.splitlines()[-1].endswith("= note end whole")
    for secret in (ROUTE_B_ID, PASSWORD):
        assert secret not in caplog.text
    message = told(hass, entry)["message"]
    assert "failed" not in message
    (link,) = re.findall(r"\]\((/[^)]+)\)", message)
    client = await hass_client_no_auth()
    response = await client.get(link)
    assert response.status == HTTPStatus.OK
    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert await response.text() == text
    assert notes(await replayed(text)) == notes(text)
    assert "[house](../tests/records/house.txt) |" in page_with(tmp_path, text)


async def test_the_progress_is_shown(hass: HomeAssistant, media: Path) -> None:
    with dongle(HOUSE) as sim:
        entry = entry_of(sim, **SECRETS)
        await set_up(hass, entry)
        shown: list[str] = []

        @callback
        def look(_: UpdateType, notifications: dict[str, Notification]) -> None:
            shown.extend(found["message"].split("\n")[0] for found in notifications.values())

        persistent_notification.async_register_callback(hass, look)
        await begin(hass, minutes=2)
        await until(lambda: is_over(hass, entry), within=900)
    steps = [re.sub(r" \d+/\d+", "", text) for text in dict.fromkeys(shown)]
    assert list(dict.fromkeys(steps))[:-1] == [
        "Waiting for the dongle",
        "Looking for the Wi-SUN module",
        "Searching for the meter",
        "Connecting to the meter",
        "Reading the meter",
        "Recording its properties",
        "Recording its history",
        "Recording readings",
        "Waiting for what the meter announces, minutes",
    ]
    assert "Waiting for what the meter announces, minutes 2/2" in shown
    assert the_record(media)


@pytest.mark.parametrize("seconds", [0, 0.1, 3, 15, 20, 40, 200])
async def test_it_can_be_ended_at_any_time(hass: HomeAssistant, media: Path, each_kind: str, seconds: float) -> None:
    with dongle(HOUSE) as sim:
        entry = entry_of(sim, **SECRETS)
        await set_up(hass, entry)
        await switch(hass, "turn_on")
        await switch(hass, "turn_on")
        if seconds:
            await elapse(hass, seconds)
        await switch(hass, "turn_off")
        assert state(hass, SWITCH) == STATE_OFF
        assert is_over(hass, entry)
        if seconds > 5:
            text = the_record(media)
            assert text.splitlines()[-1].endswith("= note end stopped"), each_kind
            assert check(text, everything(sim)) == []
        await elapse(hass, 90)
        assert state(hass, "sensor.smart_meter_power") != STATE_UNAVAILABLE
        await switch(hass, "turn_off")


async def test_an_impatient_person_ends_it_but_once(hass: HomeAssistant, media: Path) -> None:
    with dongle(HOUSE) as sim:
        entry = entry_of(sim, **SECRETS)
        await set_up(hass, entry)
        await begin(hass)
        await elapse(hass, 5)
        ends = []
        while not files(media) and async_is_recording(hass, entry):
            ends.append(hass.async_create_task(switch(hass, "turn_off")))
            await asyncio.sleep(0)
        assert len(ends) > 3
        await ends[0]
        assert is_over(hass, entry)
        await asyncio.gather(*ends)
    assert the_record(media).splitlines()[-1].endswith("= note end stopped")


async def test_one_that_is_ended_before_it_has_begun(hass: HomeAssistant, media: Path) -> None:
    with dongle(HOUSE) as sim:
        entry = entry_of(sim, **SECRETS)
        await set_up(hass, entry)
        await begin(hass)
        await switch(hass, "turn_off")
        assert told(hass, entry)["title"] == "There is no record"
        assert not files(media)


@pytest.mark.parametrize("end", ["unload", "remove", "stop"])
async def test_what_there_is_is_kept_when_the_entry_goes(hass: HomeAssistant, media: Path, end: str) -> None:
    with dongle(HOUSE) as sim:
        entry = entry_of(sim, **SECRETS)
        await set_up(hass, entry)
        await begin(hass)
        await elapse(hass, 40)
        if end == "stop":
            await hass.async_stop(force=True)
        elif end == "unload":
            assert await hass.config_entries.async_unload(entry.entry_id)
        else:
            await hass.config_entries.async_remove(entry.entry_id)
        await hass.async_block_till_done(wait_background_tasks=True)
        assert sim.record.opens == sim.record.closes
    assert the_record(media).splitlines()[-1].endswith("= note end stopped")


async def test_a_meter_that_cannot_be_reached(hass: HomeAssistant, media: Path) -> None:
    with dongle(secretive(scenarios.NO_METER)) as sim:
        entry = entry_of(sim, **SECRETS)
        await set_up(hass, entry)
        assert state_of(entry) is ConfigEntryState.SETUP_RETRY
        await begin(hass)
        await until(lambda: is_over(hass, entry), within=900)
        assert "The connection failed" in told(hass, entry)["message"]
        text = the_record(media)
        assert "= note failed MeterNotFoundError" in text
        sim.air.is_reachable = True
        await elapse(hass, 700)
        assert state_of(entry) is ConfigEntryState.LOADED


async def test_a_serial_proxy_whose_integration_is_not_there(hass: HomeAssistant, media: Path) -> None:
    with dongle(HOUSE) as sim:
        entry = entry_of(sim, **SECRETS, device="esphome-hass://esphome/none")
        await set_up(hass, entry)
        await begin(hass)
        await until(lambda: is_over(hass, entry), within=60)
    assert "The connection failed" in told(hass, entry)["message"]
    assert "= note port network" in the_record(media)


async def test_what_might_name_a_household_is_not_kept(hass: HomeAssistant, media: Path) -> None:
    # Ten digits that each scan has, too.
    own = "2055555556" + ROUTE_B_ID[10:]
    with dongle(HOUSE) as sim:
        entry = entry_of(sim, route_b_id=own, password=PASSWORD)
        await set_up(hass, entry)
        await begin(hass)
        await until(lambda: is_over(hass, entry), within=900)
    assert told(hass, entry)["title"] == "There is no record"
    assert "thrown away" in told(hass, entry)["message"]
    assert not files(media)


@pytest.fixture
def no_folder(media: Path) -> None:
    media.write_text("there cannot be a folder")


@pytest.mark.usefixtures("no_folder")
async def test_a_disk_that_cannot_be_written(hass: HomeAssistant) -> None:
    with dongle(HOUSE) as sim:
        entry = entry_of(sim, **SECRETS)
        await set_up(hass, entry)
        await begin(hass)
        await until(lambda: is_over(hass, entry), within=900)
    assert "The file cannot be written (" in told(hass, entry)["message"]


async def test_only_one_at_a_time_and_only_by_an_administrator(
    hass: HomeAssistant, media: Path, hass_read_only_user: MockUser
) -> None:
    with dongle(HOUSE) as sim:
        entry = entry_of(sim, **SECRETS)
        await set_up(hass, entry)
        with pytest.raises(Unauthorized):
            await begin(hass, user=hass_read_only_user)
        await begin(hass)
        with pytest.raises(ServiceValidationError) as caught:
            await begin(hass)
        assert caught.value.translation_key == "record_running"
        await switch(hass, "turn_off")
        assert not files(media)


async def test_which_of_two_meters_has_to_be_said(hass: HomeAssistant, media: Path) -> None:
    with dongle(scenarios.TWO_METERS) as sim:
        entries = entries_of(sim)
        for entry in entries:
            await set_up(hass, entry)
        with pytest.raises(ServiceValidationError):
            await begin(hass)
        await begin(hass, config_entry_id=entries[1].entry_id)
        await until(lambda: is_over(hass, entries[1]), within=900)
        readings = [entry.runtime_data.readings for entry in entries]
        await elapse(hass, 180)
        assert all(entry.runtime_data.readings > before for entry, before in zip(entries, readings, strict=True))
    assert "= note end whole" in the_record(media)


@pytest.fixture
def kept(media: Path) -> str:
    """Return the name of a record that is there, beside something else."""
    media.mkdir()
    (media / "something.else").write_text("")
    (media / (name := "broute_record_20261123_140730.txt")).write_text("broute-record 1\n")
    return name


async def test_the_media_browser_lists_it(hass: HomeAssistant, kept: str, hass_ws_client: WebSocketGenerator) -> None:
    assert await async_setup_component(hass, "media_source", {})
    with dongle(HOUSE) as sim:
        await set_up(hass, entry_of(sim, **SECRETS))
        client = await hass_ws_client()
        question = {"type": "media_source/browse_media", "media_content_id": "media-source://broute"}
        await client.send_json_auto_id(question)
        (child,) = (await client.receive_json())["result"]["children"]
    assert (child["title"], child["media_content_type"]) == (kept, "text/plain")
