"""Each real server: a reading, a second client, a freeze, and a kill after which all is well again."""

import asyncio
from collections.abc import AsyncIterator
import os
from pathlib import Path
import signal
import sys

import pytest

from custom_components.broute.aiobroute import BRouteError, Credentials, JoinedMeter, PortError, connect
from tests.demo.home_assistant import PROJECT
from tests.simulator.scenarios import PASSWORD, ROUTE_B_ID

from .servers import BEGIN, SERVERS, Server, command_line, interrupt, opening

pytestmark = pytest.mark.usefixtures("socket_enabled")

CREDENTIALS = Credentials(ROUTE_B_ID, PASSWORD)

BACK = 15.0
"""Seconds within which a reading comes again after a server is back."""

FREEZE = 3.0

SECOND = {
    "ser2net raw": "is in use by another client",
    "ser2net RFC 2217": "is in use by another client",
    # It takes the next client when the first has gone.
    "pyserial": "does not answer as RFC 2217 wants it",
    "socat": "is in use by another program",
}
"""What a second client is told."""


@pytest.fixture(params=SERVERS)
async def server(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[str, Server]]:
    async with SERVERS[request.param](tmp_path) as running:
        yield request.param, running


async def back(url: str) -> JoinedMeter:
    """Connect as soon as it can be done."""
    async with asyncio.timeout(BACK):
        while True:
            try:
                meter = await connect(url, CREDENTIALS)
                await meter.read()
            except BRouteError:
                await asyncio.sleep(0.5)
            else:
                return meter


async def test_a_server_that_people_have(server: tuple[str, Server]) -> None:
    kind, running = server
    meter = await connect(running.url, CREDENTIALS)
    assert (await meter.read()).energy_in is not None
    # A second client is told so, and does no harm to the first.
    with pytest.raises(PortError) as caught:
        await connect(running.url, CREDENTIALS)
    assert SECOND[kind] in str(caught.value)
    assert (await meter.read()).energy_in is not None
    # What was asked of a frozen server is answered when it goes on.
    running.signal(signal.SIGSTOP)
    asking = asyncio.ensure_future(meter.read())
    await asyncio.sleep(FREEZE)
    running.signal(signal.SIGCONT)
    await asyncio.wait({asking}, timeout=BACK)
    if asking.exception() is not None:
        await meter.close()
        meter = await back(running.url)
    await running.kill()
    with pytest.raises(BRouteError):
        await meter.read()
    with pytest.raises(PortError):
        await connect(running.url, CREDENTIALS)
    await meter.close()
    await running.start()
    meter = await back(running.url)
    await meter.close()


async def test_the_command_line_ends_in_time_though_the_server_is_frozen(server: tuple[str, Server]) -> None:
    kind, running = server
    async with command_line(running.url, "watch", "--interval", "1") as first:
        assert first.stdout is not None
        async with asyncio.timeout(BEGIN):
            assert b"energy_in" in await first.stdout.readline()
        running.signal(signal.SIGSTOP)
        async with command_line(running.url, "read") as second:
            # By then one has asked, and the other waits for its port.
            await opening(second)
            used, unopened = await interrupt(first, second)
        running.signal(signal.SIGCONT)
    assert used.splitlines()[-1] == "stopped"
    assert first.returncode == 0
    # A terminal belongs to the first, whatever is behind it; a slow machine may not have got as far.
    assert unopened == "stopped\n" or (kind == "socat" and "is in use" in unopened)
    assert unopened.count("\n") == 1


LOOKING_UP = """
import runpy, socket, time
def look_up(*_, **__):
    print("looking", flush=True)
    time.sleep(600)
socket.getaddrinfo = look_up
runpy.run_module("custom_components.broute.aiobroute", run_name="__main__", alter_sys=True)
"""
"""The command line, on a machine whose name server says nothing."""


async def test_a_name_that_is_being_looked_up_keeps_nobody_waiting() -> None:
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-c", LOOKING_UP, "read", "--port", "socket://dongle.example:4000"),
        cwd=PROJECT,
        env={**os.environ, "BROUTE_ID": ROUTE_B_ID, "BROUTE_PASSWORD": PASSWORD},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert child.stdout is not None
    async with asyncio.timeout(BEGIN):
        assert await child.stdout.readline() == b"looking\n"
    # No thread can be ended from outside.
    (told,) = await interrupt(child)
    assert told.splitlines()[-1] == "stopped"
    assert child.returncode == 0
