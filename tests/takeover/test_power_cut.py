"""A power cut at any moment of a takeover leaves the old or the new whole: a real Home Assistant, killed for real."""

import asyncio
from dataclasses import dataclass
import json
import os
from pathlib import Path
import random
import shutil
import signal
import sys
from typing import TYPE_CHECKING, Any, Final

import pytest

from .life import DAYS
from .test_takeover import BUILT_IN, CREDENTIAL, NEW, NEW_POWER, OLD, OLD_POWER

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PROJECT: Final = Path(__file__).parents[2]
CUTS: Final = int(os.environ.get("POWER_CUTS", "1"))
"""How many moments are tried; `POWER_CUTS=20` for more."""
SEED: Final = int(os.environ.get("POWER_CUT_SEED", "1"))


@dataclass(slots=True)
class Life:
    """A process that tells what it has come to."""

    process: asyncio.subprocess.Process
    log: Path

    @classmethod
    async def begin(cls, folder: Path, deed: str) -> Life:
        """Start it."""
        log = folder.with_suffix(".log")
        with log.open("ab") as errors:
            command = (sys.executable, "-m", "tests.takeover.life", str(folder), deed)
            process = await asyncio.create_subprocess_exec(
                *command, cwd=PROJECT, stdout=asyncio.subprocess.PIPE, stderr=errors
            )
        return cls(process, log)

    async def told(self) -> str:
        """Return the next line."""
        assert self.process.stdout is not None
        line = (await self.process.stdout.readline()).decode().strip()
        assert line, self.log.read_text()[-3000:]
        return line

    async def end(self) -> None:
        """Wait for its end, which has to be a good one."""
        assert await self.process.wait() == 0, self.log.read_text()[-3000:]

    async def kill(self) -> None:
        """Cut the power."""
        self.process.send_signal(signal.SIGKILL)
        await self.process.wait()


async def look(folder: Path, deed: str = "look") -> dict[str, Any]:
    """Start it again, and return what there is."""
    life = await Life.begin(folder, deed)
    found: dict[str, Any] = json.loads(await life.told())
    await life.end()
    return found


def assert_whole(found: dict[str, Any]) -> str:
    """Hold what there is to what it was before, or is afterwards; return which."""
    assert found["wrong"] == []
    assert found["hours"] >= DAYS * 24 - 1
    if found["entries"] == 0:
        assert not found["is_disabled"]
        assert (found["energy"], found["shown"]) == ([[OLD, BUILT_IN]], [OLD])
        assert (found["rate"], found["statistics"][0]) == ([OLD_POWER], OLD)
        return "old"
    assert found["is_disabled"]
    assert (found["energy"], found["shown"], found["rate"]) == ([[NEW, "broute"]], [NEW], [NEW_POWER])
    assert NEW in found["statistics"]
    return "new"


def named(found: dict[str, Any]) -> list[str]:
    """Return the statistics that have the credential in their names."""
    return [name for name in found["statistics"] if CREDENTIAL in name]


@pytest.fixture(autouse=True)
def _with_processes(socket_enabled: None) -> None:
    """Let children be watched."""


async def moments(folder: Path, length: float, chance: random.Random) -> AsyncIterator[tuple[float, Path]]:
    """Yield times within a move, one in each of equal parts, and a copy of what was before it."""
    for number in range(CUTS):
        copy = folder / f"cut {number}"
        shutil.copytree(folder / "before", copy)
        yield length * (number + chance.random()) / CUTS, copy
        shutil.rmtree(copy)


@pytest.mark.timeout(1800)
async def test_killed_at_random_moments(tmp_path: Path) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    (before / ".storage").mkdir(parents=True)
    await (await Life.begin(before, "prepare")).end()
    shutil.copytree(before, after)
    life = await Life.begin(after, "move")
    assert await life.told() == "moving"
    begun = asyncio.get_running_loop().time()
    assert await life.told() == "moved"
    length = asyncio.get_running_loop().time() - begun
    await life.end()
    found = await look(after)
    assert assert_whole(found) == "new"
    assert not named(found)
    outcomes = []
    async for moment, folder in moments(tmp_path, length, random.Random(SEED)):
        life = await Life.begin(folder, "move")
        assert await life.told() == "moving"
        await asyncio.sleep(moment)
        await life.kill()
        found = await look(folder)
        try:
            outcomes.append(f"{moment / length:.0%} {assert_whole(found)}")
            if outcomes[-1].endswith("new") and named(found):
                # The Energy dashboard counted costs under the old name until it was told the new one.
                found = await look(folder, "look again")
                assert assert_whole(found) == "new"
                assert not named(found)
        except AssertionError as err:
            err.add_note(f"killed after {moment:.3f} of {length:.3f} s: {found}")
            raise
    assert len(outcomes) == CUTS
    assert CUTS < 10 or {each.split()[1] for each in outcomes} == {"old", "new"}, outcomes
