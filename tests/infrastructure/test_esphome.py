"""A real ESPHome node: through the command line, and through Home Assistant's own ESPHome integration."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
import json
from pathlib import Path
import signal
from urllib.parse import urlencode, urlsplit

import pytest

from tests.demo.check import answers
from tests.demo.client import Client, Json
from tests.demo.home_assistant import HomeAssistant, complaints, home_assistant, parse_log
from tests.demo.integration import add_meter, find_sensors
from tests.demo.process import Found, NotYet, until

from .esphome import PORT_NAME, hass_program, node
from .servers import Server, command_line, interrupt, opening

pytestmark = [pytest.mark.usefixtures("socket_enabled"), pytest.mark.timeout(300)]

BACK = 90.0
"""Seconds within which all is well again; a poll is due within sixty, and a busy machine takes its time."""

FREEZE = 5.0

SUCCESS = "(success: True)"


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    hass_program("python")  # Skips.
    async with node(tmp_path) as running:
        yield running


def start(url: str, command: str, *arguments: str) -> AbstractAsyncContextManager[asyncio.subprocess.Process]:
    """Run the command line where ESPHome's library is installed."""
    return command_line(url, command, *arguments, python=hass_program("python"))


async def read(url: str) -> tuple[Mapping[str, object] | None, str]:
    """Return a reading of the command line, and what it says to a person."""
    async with start(url, "read") as child:
        output, errors = await child.communicate()
        return (None if child.returncode else json.loads(output)), errors.decode()


async def next_reading(child: asyncio.subprocess.Process) -> Mapping[str, Json]:
    """Return the next one that `watch` prints."""
    assert child.stdout is not None
    async with asyncio.timeout(BACK):
        reading: Mapping[str, Json] = json.loads(await child.stdout.readline())
    return reading


async def test_the_command_line(server: Server) -> None:
    async with start(server.url, "watch", "--interval", "1") as watching:
        assert (await next_reading(watching))["energy_in"]
        # A second client is told so in one line, and does no harm to the first.
        reading, errors = await read(server.url)
        assert reading is None
        assert errors.count("\n") == 1
        assert "is in use" in errors
        assert errors.count("esphome://") == 1
        assert (await next_reading(watching))["energy_in"]
        # The node knows its port by another name.
        reading, errors = await read(server.url.replace("dongle", "stick"))
        assert reading is None
        assert errors.count("\n") == 1
        assert "does not exist" in errors
        # What was asked of a frozen node is answered when it goes on, or asked anew.
        server.signal(signal.SIGSTOP)
        await asyncio.sleep(FREEZE)
        server.signal(signal.SIGCONT)
        assert (await next_reading(watching))["energy_in"]
        await server.kill()
        reading, errors = await read(server.url)
        assert reading is None
        assert errors.count("\n") == 1
        assert "connection refused" in errors
        await server.start()
        # What was printed before the end is not the answer of the new one.
        began = datetime.now(UTC)
        while datetime.fromisoformat(str((await next_reading(watching))["time"])) < began:
            pass
        # Ctrl-C ends it, whoever is frozen.
        server.signal(signal.SIGSTOP)
        async with start(server.url, "read") as second:
            await opening(second)
            used, unopened = await interrupt(watching, second)
        server.signal(signal.SIGCONT)
        assert used.splitlines()[-1] == "stopped"
        assert unopened == "stopped\n"


async def add_node(client: Client, server: Server) -> str:
    """Add the node to Home Assistant's own ESPHome integration; return the id of its entry."""
    form = await client.post("/api/config/config_entries/flow", handler="esphome", show_advanced_options=False)
    answer = await client.post(
        f"/api/config/config_entries/flow/{form['flow_id']}", host="127.0.0.1", port=urlsplit(server.url).port
    )
    assert answer["type"] == "create_entry", answer
    return str(answer["result"]["entry_id"])


async def polled(hass: HomeAssistant) -> None:
    """Have the meter read until that succeeds; a value that stays the same is not reported anew."""
    before = hass.log.count(SUCCESS)

    async def look() -> Found[None] | NotYet:
        power = (await find_sensors(hass.client))["power"]
        await hass.client.post("/api/services/homeassistant/update_entity", entity_id=power.entity_id)
        state = (await find_sensors(hass.client))["power"].state
        if hass.log.count(SUCCESS) == before or state in {"unavailable", "unknown"}:
            return NotYet(f"the power is {state}")
        return Found(None)

    await until(look, within=BACK, pause=1)


async def unavailable(client: Client) -> None:
    """Wait until no power is shown."""

    async def look() -> Found[None] | NotYet:
        state = (await find_sensors(client))["power"].state
        return Found(None) if state == "unavailable" else NotYet(f"the power is {state}")

    await until(look, within=BACK, pause=0.3)


async def test_home_assistant(server: Server, tmp_path: Path) -> None:
    async with home_assistant(tmp_path, lang="en", program=hass_program("hass")) as hass:
        client = hass.client
        node_entry = await add_node(client, server)
        query = urlencode({"port_name": PORT_NAME})
        url = f"esphome-hass://esphome/{node_entry}?{query}"
        entry = await add_meter(client, answers(url))
        # A second client is told so, and does no harm to the first.
        _, errors = await read(server.url)
        assert "is in use" in errors
        await polled(hass)
        server.signal(signal.SIGSTOP)
        await asyncio.sleep(FREEZE)
        server.signal(signal.SIGCONT)
        await polled(hass)
        await server.kill()
        await unavailable(client)
        await server.start()
        await polled(hass)
        await client.delete(f"/api/config/config_entries/entry/{entry}")
        # The port is free again.
        reading, errors = await read(server.url)
        assert reading is not None, errors
    told = complaints(parse_log(hass.log))
    assert [record.level for record in told] == ["ERROR"], told
