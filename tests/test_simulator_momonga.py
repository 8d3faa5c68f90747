"""A library that we did not write reads the simulated meter, unchanged, in its own process and environment."""

import asyncio
import json
from pathlib import Path

import pytest

from tests.simulator.process import ROOT, controlled, simulator

PEER = ROOT / ".venv-peers" / "bin" / "python"

READ = """
import json, sys
from momonga import Momonga

# Pauses between requests that only the patience of a real meter needs.
meter = Momonga("0123456789ABCDEF0123456789ABCDEF", "0123456789AB", sys.argv[1])
meter.internal_xmit_interval = 0.05
with meter:
    reading = {
        "power": meter.get_instantaneous_power(),
        "current": meter.get_instantaneous_current(),
        "energy_in": meter.get_measured_cumulative_energy(),
        "energy_out": meter.get_measured_cumulative_energy(reverse=True),
        "coefficient": meter.energy_coefficient,
        "unit": meter.energy_unit,
    }
print(json.dumps(reading))
"""


@pytest.mark.usefixtures("socket_enabled")
@pytest.mark.parametrize(("module", "payload"), [("bp35c2", "hex"), ("bp35a1", "binary")])
async def test_momonga_reads_the_meter(module: str, payload: str, tmp_path: Path) -> None:
    link = tmp_path / "dongle"
    arguments = ["--pty", str(link), "--control", "127.0.0.1:0", "--module", module, "--payload", payload]
    async with simulator(*arguments, "--scenario", "solar", "--speed", "100") as ready, controlled(ready) as control:
        before = await control.do("counters")
        peer = await asyncio.create_subprocess_exec(
            PEER, "-c", READ, link, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        output, errors = await peer.communicate()
        assert peer.returncode == 0, errors.decode()
        after = await control.do("counters")
        record = await control.do("record")
    reading = json.loads(output)
    assert reading["unit"] == 0.1
    assert reading["coefficient"] == 1
    for key in ("energy_in", "energy_out"):
        assert float(before[key]) - 0.05 <= reading[key] <= float(after[key]) + 0.05
    # Each was read in a minute of its own at most.
    powers = {before["power"], after["power"]}
    assert reading["power"] in powers
    assert any(abs(power - 100 * sum(reading["current"].values())) < 11 for power in powers)
    assert record["happenings"][-1] == "TERMINATED"
    # It needs hexadecimal payloads, and writes the flash for them.
    assert record["flash_writes"] == (["WOPT 01"] if payload == "binary" else [])
