"""What was kept, given out: as data, and as files for a spreadsheet."""

import asyncio
import csv
from datetime import datetime, timedelta
from decimal import Decimal
from http import HTTPStatus
import io
from pathlib import Path
import re
from typing import TYPE_CHECKING, Any

from homeassistant.core import Context
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError, Unauthorized
from homeassistant.setup import async_setup_component
import pytest

from custom_components.broute.energy.plans import contract_of

from .aiobroute.virtual_time import START
from .energy.test_backfill import DAY, MINUTE, call, house, live
from .home import dongle, elapse, entries_of, entry_of, set_up
from .plans import ONE_PRICE, THREE_STEPS, fill_in
from .simulator import scenarios

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant
    from pytest_homeassistant_custom_component.common import MockUser
    from pytest_homeassistant_custom_component.typing import ClientSessionGenerator, WebSocketGenerator

HALF_HOUR = timedelta(minutes=30)
TODAY = {"first_day": START.date().isoformat(), "last_day": START.date().isoformat()}


@pytest.fixture
def media(hass: HomeAssistant, tmp_path: Path) -> Path:
    """Have a folder for the media."""
    hass.config.media_dirs = {"local": str(tmp_path)}
    return tmp_path


async def export(hass: HomeAssistant, user: MockUser | None = None, **data: Any) -> Any:
    return await hass.services.async_call(
        "broute",
        "export_history",
        {**TODAY, **data},
        blocking=True,
        return_response=True,
        context=Context(user_id=user and user.id),
    )


def rows_of(made: Any) -> list[list[str]]:
    """Return the rows as Excel takes them: by the mark at the beginning it knows that it is UTF-8."""
    content = Path(made["path"]).read_bytes()
    assert content.startswith(b"\xef\xbb\xbf")
    return list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")))


def test_sums_are_those_of_the_meter(tmp_path: Path) -> None:
    async def story() -> None:
        async with house(tmp_path) as (home, sim):
            await home.start()
            with pytest.raises(ServiceValidationError, match="no electricity plan"):
                await call(home, "get_history", START, START, period="billing_period")
            await fill_in(home.hass, home.entry, THREE_STEPS)
            await elapse(home.hass, 20 * MINUTE)
            asked = len(sim.record.datagrams_from_client)
            first, last = START - 70 * DAY, START - 3 * DAY
            answers = {
                period: (await call(home, "get_history", first, last, period=period))[f"{period}s"]
                for period in ("half_hour", "hour", "day", "month", "billing_period")
            }
            assert len(sim.record.datagrams_from_client) == asked, "the meter was asked"
            assert [len(answers[period]) for period in ("half_hour", "hour", "day")] == [68 * 48, 68 * 24, 68]
            counter = sim.meter.energy_in
            for period in ("hour", "day", "month", "billing_period"):
                for row in answers[period]:
                    begin, end = (datetime.fromisoformat(row[name]) for name in ("start", "end"))
                    if row["half_hours"] == row["half_hours_in"] == (end - begin) // HALF_HOUR:
                        assert Decimal(str(round(row["energy_in"], 3))) == counter(end) - counter(begin)
                        assert row["half_hours_cost"] == row["half_hours"]
                    highest = datetime.fromisoformat(row["demand_start"])
                    demand = (counter(highest + HALF_HOUR) - counter(highest)) * 2
                    assert Decimal(str(round(row["demand"], 3))) == demand
            (over,) = [row for row in answers["billing_period"] if row["start"].startswith("2026-10-10")]
            assert over["half_hours_in"] == over["half_hours"] == 31 * 48
            days = [row["cost"] for row in answers["day"] if over["start"] <= row["start"] < over["end"]]
            assert len(days) == 31
            assert abs(sum(days) - over["bill"]) < 2
            assert over["compensation"] == pytest.approx(16 * over["energy_out"])

    live(story)


def test_a_hole_is_unknown(tmp_path: Path) -> None:
    async def story() -> None:
        async with house(tmp_path, import_history=False) as (home, _):
            await home.start()
            await elapse(home.hass, 130 * MINUTE)
            await home.stop()
            await asyncio.sleep(3 * 60 * MINUTE)
            await home.start()
            await elapse(home.hass, 70 * MINUTE)
            (day,) = (await call(home, "get_history", START, START, period="day"))["days"]
            half_hours = (await call(home, "get_history", START, START))["half_hours"]
            known = [row for row in half_hours if row["energy_in"] is not None]
            assert 0 < len(known) < len(half_hours) == day["half_hours"]
            assert day["half_hours_in"] == len(known)
            assert day["energy_in"] == pytest.approx(sum(row["energy_in"] for row in known))
            assert day["cost"] is None, "there is no plan"

    live(story)


async def test_a_file_that_can_be_downloaded(
    hass: HomeAssistant,
    media: Path,
    hass_client_no_auth: ClientSessionGenerator,
    hass_ws_client: WebSocketGenerator,
    hass_admin_user: MockUser,
    hass_access_token: str,
) -> None:
    assert await async_setup_component(hass, "media_source", {})
    hass.config.language = "ja"
    with dongle(scenarios.SOLAR) as sim:
        entry = entry_of(sim)
        await set_up(hass, entry)
        await fill_in(hass, entry, ONE_PRICE)
        for _ in range(70):
            await elapse(hass, MINUTE)
        assert contract_of(entry) is not None
        made = await export(hass)
        path = Path(made["path"])
        assert path == media / "broute" / "smart_meter_half_hour_20261123-20261123.csv"
        heads, *rows = rows_of(made)
        assert [head[:3] for head in heads] == ["開始日", "買電量", "売電量", "需要電", "電気料"]
        assert made["half_hours"] == len(rows)
        known = [row for row in rows if row[1]]
        assert len(known) == made["half_hours"] - made["half_hours_unknown"] > 0
        for start, energy, _, demand, yen in known:
            assert re.fullmatch(r"2026-11-23 \d\d:[03]0", start)
            assert Decimal(demand) == 2 * Decimal(energy)
            assert Decimal(yen) == 31 * Decimal(energy)
        by_day = await export(hass, layout="day")
        (heads, day) = rows_of(by_day)
        assert len(heads) == len(day) == 49
        assert day[0] == "2026-11-23"
        assert sorted(filter(None, day[1:])) == sorted(row[1] for row in known)

        # The fixture's token is good for half an hour.
        assert not hass.auth.async_validate_access_token(hass_access_token)
        (refresh_token,) = hass_admin_user.refresh_tokens.values()
        websocket = await hass_ws_client(access_token=hass.auth.async_create_access_token(refresh_token))
        await websocket.send_json_auto_id({"type": "media_source/browse_media", "media_content_id": ""})
        sources = (await websocket.receive_json())["result"]["children"]
        assert "media-source://broute" in [source["media_content_id"] for source in sources]
        await websocket.send_json_auto_id(
            {"type": "media_source/browse_media", "media_content_id": "media-source://broute"}
        )
        listed = (await websocket.receive_json())["result"]["children"]
        assert {each["title"] for each in listed} == {path.name, Path(by_day["path"]).name}
        await websocket.send_json_auto_id(
            {"type": "media_source/resolve_media", "media_content_id": made["media_content_id"]}
        )
        resolved = (await websocket.receive_json())["result"]
        assert resolved["mime_type"] == "text/csv"
        (note,) = hass.data["persistent_notification"].values()
        assert made["url"] not in note["message"]
        (link,) = re.findall(r"\((/.*)\)", note["message"])
        stranger = await hass_client_no_auth()
        for url, content in ((made["url"], path), (resolved["url"], path), (link, Path(by_day["path"]))):
            response = await stranger.get(url)
            assert response.status == HTTPStatus.OK
            assert response.headers["Content-Disposition"] == f'attachment; filename="{content.name}"'
            assert await response.read() == content.read_bytes()
        assert (await stranger.get(f"/api/broute/export/{path.name}")).status == HTTPStatus.UNAUTHORIZED
        await hass.config_entries.async_unload(entry.entry_id)


async def test_nothing_but_the_files_is_given_out(
    hass: HomeAssistant,
    media: Path,
    hass_client: ClientSessionGenerator,
    hass_ws_client: WebSocketGenerator,
) -> None:
    assert await async_setup_component(hass, "media_source", {})
    with dongle() as sim:
        await set_up(hass, entry_of(sim))
        client, websocket = await hass_client(), await hass_ws_client()
        (media / "secrets.csv").write_text("no")
        names = ["secrets.csv", "..%2Fsecrets.csv", "..", "%2e%2e%2fsecrets.csv", "nothing.csv", "a%00.csv"]
        for is_there in (False, True):
            if is_there:
                (media / "broute" / "folder.csv").mkdir(parents=True)
                (media / "broute" / "notes.txt").write_text("no")
                names += ["folder.csv", "notes.txt"]
            for name in names:
                assert (await client.get(f"/api/broute/export/{name}")).status >= HTTPStatus.BAD_REQUEST, name
            await websocket.send_json_auto_id(
                {"type": "media_source/browse_media", "media_content_id": "media-source://broute"}
            )
            assert (await websocket.receive_json())["result"]["children"] == []
        for command in ("resolve", "browse"):
            await websocket.send_json_auto_id(
                {"type": f"media_source/{command}_media", "media_content_id": "media-source://broute/../secrets.csv"}
            )
            assert not (await websocket.receive_json())["success"]


async def test_who_may_export_and_what_goes_wrong(
    hass: HomeAssistant, media: Path, hass_admin_user: MockUser, hass_read_only_user: MockUser
) -> None:
    with dongle() as sim:
        await set_up(hass, entry_of(sim))
        with pytest.raises(Unauthorized):
            await export(hass, hass_read_only_user)
        for user in (hass_admin_user, None):  # Nobody: an automation.
            assert not rows_of(await export(hass, user))[1:], "nothing is known yet"
        with pytest.raises(ServiceValidationError):
            await export(hass, first_day="2026-11-24")
        # A file where the folder should be.
        hass.config.media_dirs = {"nas": str(media / "file")}
        (media / "file").write_text("")
        with pytest.raises(HomeAssistantError, match="could not be"):
            await export(hass)


async def test_two_meters_have_two_files(hass: HomeAssistant, media: Path) -> None:
    hass.config.media_dirs = {}
    hass.config.config_dir = str(media)
    with dongle(scenarios.TWO_METERS) as sim:
        for entry in entries_of(sim):
            await set_up(hass, entry)
            hass.config_entries.async_update_entry(entry, title="../電気")
        paths = {
            (await export(hass, config_entry_id=entry.entry_id))["path"]
            for entry in hass.config_entries.async_entries("broute")
        }
        assert len(paths) == 2
        assert {Path(path).parent for path in paths} == {media / "media" / "broute"}
