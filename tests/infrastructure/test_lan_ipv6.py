"""A meter in the network over IPv6, with groups, between two interfaces that exist for this test only."""

import asyncio
import json
import os
from pathlib import Path
import shutil
import sys

import pytest

from tests.simulator import scenarios
from tests.simulator.process import ROOT

pytestmark = [pytest.mark.usefixtures("socket_enabled"), pytest.mark.timeout(120)]

NAMESPACE = ("unshare", "--map-root-user", "--net")
"""A network of one's own, in which anybody may do what only the administrator may outside."""

METER = """
set -eu
ip link set lo up
ip link add home0 type veth peer name meter0
ip link set home0 up
ip link set meter0 up
until [ "$(ip -6 -o addr show scope link -tentative | wc -l)" = 2 ]; do sleep 0.1; done
address=$(ip -6 addr show dev meter0 scope link | grep -o 'fe80[^/]*')
"$PYTHON" -m tests.simulator --lan "$address%meter0" > "$READY" &
trap 'kill %1' EXIT
until [ -s "$READY" ]; do kill -0 %1; sleep 0.1; done
"""
"""A simulated meter behind an interface of its own, as the first job; its link-local address is in $address."""

SCRIPT = """
cd "$STACK"
"$PYTHON" -m aiobroute scan --lan --json
"$PYTHON" -m aiobroute read --port "echonet://$SERIAL" --json
"$PYTHON" -m aiobroute read --port "echonet://[$address%home0]" --json
"$PYTHON" -m aiobroute history --port "echonet://$SERIAL" --json | tail -n 1
"""


async def _run(*command: str, **environment: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    return process.returncode or 0, output.decode(), errors.decode()


async def own_network_or_skip() -> None:
    """Skip the test where nobody may make a network."""
    if shutil.which("unshare") is None or shutil.which("ip") is None:
        pytest.skip("unshare and ip are needed to make a network")
    if (await _run(*NAMESPACE, "true"))[0] != 0:
        pytest.skip("this machine lets nobody make a network of one's own")


async def run_in_own_network(script: str, **environment: str) -> tuple[int, str, str]:
    """Run a script in a network that exists for it only; return its exit code, what it printed, and its errors."""
    return await _run(*NAMESPACE, "bash", "-c", script, **environment)


async def test_a_meter_with_a_link_local_address(tmp_path: Path) -> None:
    """Found, read by what it calls itself and by its address, over the group ff02::1."""
    await own_network_or_skip()
    serial = scenarios.NORMAL.meter.serial
    names = {"PYTHON": sys.executable, "STACK": str(ROOT / "custom_components" / "broute"), "SERIAL": serial}
    code, output, errors = await run_in_own_network(METER + SCRIPT, READY=str(tmp_path / "ready"), **names)
    assert code == 0, errors
    found, by_name, by_address, last = map(json.loads, output.splitlines())
    assert found["meter"] == serial
    assert found["address"].startswith("fe80::")
    assert found["address"].endswith("%home0")
    assert by_name["power"] is not None
    assert by_address["counter_in"] >= by_name["counter_in"]
    assert last
