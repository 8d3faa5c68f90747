"""A client of others reads the simulated node of the home network, and goes on doing so beside ours."""

import asyncio
from decimal import Decimal
import json
from typing import Any

import pytest

from custom_components.broute.aiobroute.lan import connect_node
from tests.simulator.lan import own_place
from tests.simulator.process import ROOT, controlled, simulator

PEER = ROOT / ".venv-peers" / "bin" / "python"

READ = """
import asyncio, contextlib, io, json, sys
from pychonet import ECHONETAPIClient, Factory
from pychonet.lib.udpserver import UDPServer

POWER, COUNTER, SERIAL = 0xE7, 0xE0, 0x8D

async def main():
    host, number = sys.argv[1], int(sys.argv[2])
    udp = UDPServer(local_ip="127.0.0.1")
    udp.run("0.0.0.0", 3610, asyncio.get_running_loop())
    client = ECHONETAPIClient(server=udp)
    with contextlib.redirect_stdout(io.StringIO()):  # It talks.
        found = await client.discover(host)
        await client.getAllPropertyMaps(host, 0x02, 0x88, 0x01)
        meter = Factory(host, client, 0x02, 0x88, 0x01)
        told = [[await meter.update(code) for code in (POWER, COUNTER, SERIAL)] for _ in range(number)]
    print(json.dumps({"found": found, "told": told, "has": meter.getGetProperties()}))

asyncio.run(main())
"""

pytestmark = [pytest.mark.own_loop, pytest.mark.usefixtures("echonet_port")]


async def read(host: str, number: int) -> dict[str, Any]:
    peer = await asyncio.create_subprocess_exec(
        PEER, "-c", READ, host, str(number), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    output, errors = await peer.communicate()
    assert peer.returncode == 0, errors.decode()
    read: dict[str, Any] = json.loads(output)
    return read


async def test_pychonet_reads_the_meter() -> None:
    place = own_place()
    arguments = ["--lan", f"{place.address}%lo", "--control", "127.0.0.1:0", "--scenario", "solar"]
    async with simulator(*arguments) as ready, controlled(ready) as control:
        before = await control.do("counters")
        found = await read(place.address, 1)
        after = await control.do("counters")
    assert found["found"] is True
    ((power, counter, serial),) = found["told"]
    assert power in {before["power"], after["power"]}
    assert Decimal(before["energy_in"]) <= counter * Decimal("0.1") <= Decimal(after["energy_in"])
    assert bytes.fromhex(serial) == b"S18012345678"
    assert {0xE0, 0xE2, 0xE3, 0xE7, 0xE8} <= set(found["has"])


async def test_pychonet_reads_one_meter_while_we_read_another() -> None:
    ours, theirs = own_place(), own_place()
    async with (
        simulator("--lan", f"{ours.address}%lo"),
        simulator("--lan", f"{theirs.address}%lo"),
        await connect_node(f"echonet://{ours.address}") as meter,
    ):
        reading = asyncio.ensure_future(read(theirs.address, 5))
        polls = 0
        while not reading.done():
            assert (await meter.read()).power is not None
            polls += 1
            await asyncio.sleep(0.05)
        told = (await reading)["told"]
    assert len(told) == 5
    assert all(power is not None for power, _, _ in told)
    assert polls > 5
