"""A library that we did not write reads the simulated meter, unchanged, in its own process and environment."""

import asyncio
from contextlib import asynccontextmanager
import json
from pathlib import Path
import signal
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ROOT = Path(__file__).parent.parent
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
        "energy": meter.get_measured_cumulative_energy(),
        "coefficient": meter.energy_coefficient,
        "unit": meter.energy_unit,
    }
print(json.dumps(reading))
"""


@asynccontextmanager
async def simulator(*arguments: str) -> AsyncIterator[str]:
    """Run the simulator's command line; what it says when it is ready."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.simulator", *arguments, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        yield (await process.stdout.readline()).decode()
    finally:
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0


@pytest.mark.timeout(60)
@pytest.mark.parametrize("module", ["bp35c2", "bp35a1"])
async def test_momonga_reads_the_meter(module: str, tmp_path: Path) -> None:
    link = tmp_path / "dongle"
    async with simulator("--pty", str(link), "--module", module, "--speed", "100") as ready:
        assert ready == f"ready: {link}\n"
        peer = await asyncio.create_subprocess_exec(
            PEER, "-c", READ, link, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        output, errors = await peer.communicate()
    assert peer.returncode == 0, errors.decode()
    reading = json.loads(output)
    assert not link.is_symlink()
    assert reading["unit"] == 0.1
    assert reading["coefficient"] == 1
    assert reading["power"] > 0
    assert reading["power"] == pytest.approx(100 * sum(reading["current"].values()), abs=700)
    assert reading["energy"] > 10_000
