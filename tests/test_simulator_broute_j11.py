"""A second library that we did not write reads the simulated meter, over the binary protocol."""

import asyncio
from decimal import Decimal
import json
from pathlib import Path

import pytest

from tests.simulator.process import ROOT, controlled, simulator

PEER = ROOT / ".venv-peers" / "bin" / "python"

READ = """
import asyncio, json, sys
from broute_j11 import J11Session, SerialTransport, SessionConfig

async def main():
    config = SessionConfig(auth_id="0123456789ABCDEF0123456789ABCDEF", password=sys.argv[2], scan_duration=6)
    session = J11Session(SerialTransport(sys.argv[1]), config)
    async with session:
        reading = await session.async_read_meter()
        profile, link, stats = session.profile, session.link, session.stats
        print(json.dumps({
            "power": reading.instantaneous_power,
            "currents": [str(reading.current_r_phase), str(reading.current_t_phase)],
            "energy_in": str(reading.cumulative_forward_energy),
            "energy_out": str(reading.cumulative_reverse_energy),
            "coefficient": profile.coefficient,
            "unit": str(profile.unit),
            "serial": profile.serial_number,
            "where": [link.channel, link.pan_id, link.mac_address.hex(), link.rssi],
            "firmware": link.firmware_version,
            "retries": [stats.timeouts, stats.echonet_retries, stats.reconnects],
            "damaged": [stats.frames.discarded_bytes, stats.frames.checksum_errors, stats.frames.format_errors],
        }))

asyncio.run(main())
"""


async def read(link: Path, password: str) -> tuple[int | None, str, str]:
    peer = await asyncio.create_subprocess_exec(
        PEER, "-c", READ, link, password, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    output, errors = await peer.communicate()
    return peer.returncode, output.decode(), errors.decode()


@pytest.mark.usefixtures("socket_enabled")
async def test_broute_j11_joins_and_reads_the_meter(tmp_path: Path) -> None:
    link = tmp_path / "dongle"
    arguments = ["--pty", str(link), "--control", "127.0.0.1:0", "--module", "j11", "--scenario", "solar"]
    async with simulator(*arguments, "--speed", "20") as ready, controlled(ready) as control:
        before = await control.do("counters")
        status, output, errors = await read(link, "0123456789AB")
        assert status == 0, errors
        after = await control.do("counters")
        record = await control.do("record")
    reading = json.loads(output)
    for key in ("energy_in", "energy_out"):
        assert Decimal(before[key]) - Decimal("0.1") <= Decimal(reading[key]) <= Decimal(after[key])
    assert reading["power"] in {before["power"], after["power"]}
    assert (reading["coefficient"], reading["unit"]) == (1, "0.1")
    assert reading["serial"].startswith("S18012345678")
    assert reading["where"] == [0x0C, 0x8A3C, "001c640003d2a1b7", -43]
    assert reading["firmware"] == f"1.3.{0x158A}"
    assert reading["retries"] == reading["damaged"] == [0, 0, 0]
    names = [command.split()[0] for command in record["commands"]]
    asked = ["RESET", "GET_VERSION", "SET_UP", "SET_CREDENTIALS", "SCAN", "SET_UP", "START_ROUTE_B", "OPEN_UDP_PORT"]
    assert names[: len(asked)] == asked
    assert names[-1] == "END_PANA"
    assert record["happenings"][-1] == "TERMINATED"
    assert not record["flash_writes"]


@pytest.mark.usefixtures("socket_enabled")
async def test_broute_j11_tells_a_wrong_password(tmp_path: Path) -> None:
    link = tmp_path / "dongle"
    async with simulator("--pty", str(link), "--module", "j11", "--speed", "50"):
        status, _, errors = await read(link, "BAD456789ABC")
    assert status == 1
    assert "AuthenticationError: the meter rejected the Route-B credentials (result 0x02)" in errors
