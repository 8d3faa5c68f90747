"""Records are replayed against the whole stack: what worked once works, and what failed fails in the same way."""

import asyncio
from contextlib import suppress
from pathlib import Path
import re

import pytest

from custom_components.broute.aiobroute import BRouteError, Credentials
from custom_components.broute.aiobroute.recording import Recording
from custom_components.broute.aiobroute.records.checker import check

from . import hardware
from .aiobroute.virtual_time import clock, run
from .replay import MismatchError, replayed_port
from .simulator import scenarios
from .simulator.scenarios import PASSWORD, ROUTE_B_ID
from .simulator.transport import simulated_port

RECORDS = sorted((Path(__file__).parent / "records").glob("*.txt"))


def notes(text: str) -> list[str]:
    """Return what a record says of itself, but for the version that made it, and the kind of its port."""
    return [note for note in re.findall("= note (.*)", text) if not note.startswith(("version", "port"))]


def route_b_id(text: str) -> str:
    """Return the invented ID with which a record was made."""
    if (line := re.search("SKSETRBID ([0-9A-F]{32})", text)) is not None:
        return line[1]
    frame = re.search("> frame 0054 ([0-9A-F]{64})", text)
    return "B0" * 16 if frame is None else bytes.fromhex(frame[1]).decode()


def waited(text: str) -> int:
    """Return how many minutes of announcements a record has; one that was stopped would have had more."""
    times = r"(\d+\.\d{3}) = note step announcements\n(?:(?!.* = note ).*\n)* *(\d+\.\d{3}) = note (.*)"
    if (found := re.search(times, text)) is None:
        return 0
    return round((float(found[2]) - float(found[1])) / 60) + (found[3] == "end stopped")


async def replayed(text: str) -> str:
    """Do what was recorded once more, and return the record of that.

    Raises:
        MismatchError: another question came.

    """
    said: list[str] = []
    credentials = Credentials(route_b_id(text), "X" * 12)
    with replayed_port(text) as port:
        recording = Recording(port.url, credentials, said.append, version="0", minutes=waited(text))
        task = asyncio.ensure_future(recording.run())
        if (stopped := re.search(r"(\d+\.\d{3}) = note end stopped", text)) is not None:
            asyncio.get_running_loop().call_later(float(stopped[1]), task.cancel)
        with suppress(BRouteError, asyncio.CancelledError):
            await task
        if port.mismatch is None:
            assert not port.left
    return "".join(said)


def replay(text: str) -> str:
    """Do so in virtual time."""
    return run(replayed(text))


@pytest.mark.parametrize("record", RECORDS, ids=lambda path: path.stem)
def test_a_record_may_be_shown(record: Path) -> None:
    assert check(record.read_text()) == []


@pytest.mark.parametrize("stopped", [None, 40.0, 500.0, 1290.0], ids=["whole", "readings", "waiting", "later"])
def test_a_record_that_was_just_made_happens_again(each_kind: str, stopped: float | None) -> None:  # noqa: ARG001  # of each kind of module
    """With what the meter announces meanwhile, as people make it; and if they end it sooner."""
    said: list[str] = []

    async def make() -> None:
        with simulated_port(scenarios.SOLAR, speed=1, clock=clock) as sim:
            credentials = Credentials(ROUTE_B_ID, PASSWORD)
            task = asyncio.ensure_future(Recording(sim.url, credentials, said.append, version="0", minutes=31).run())
            if stopped is not None:
                asyncio.get_running_loop().call_later(stopped, task.cancel)
            with suppress(asyncio.CancelledError):
                await task

    run(make())
    text = "".join(said)
    assert ("worked announcements" in notes(text)) == (stopped is None)
    assert notes(replay(text)) == notes(text)


@pytest.mark.parametrize("record", RECORDS, ids=lambda path: path.stem)
def test_what_was_recorded_happens_again(record: Path) -> None:
    text = record.read_text()
    assert notes(replay(text)) == notes(text)


@pytest.mark.parametrize("record", RECORDS[:1], ids=lambda path: path.stem)
def test_another_question_is_a_clear_failure(record: Path) -> None:
    text = record.read_text().replace("> line SKSREG SFE 0", "> line SKSREG SFE 1")
    with pytest.raises(MismatchError, match="asked: line SKSREG SFE 0\nin the record: line SKSREG SFE 1"):
        replay(text)


def test_the_page_of_hardware_is_made_from_the_records(tmp_path: Path) -> None:
    assert hardware.PAGE.read_text() == hardware.page()
    real = tmp_path / "rs-wsuha-p-house.txt"
    real.write_text(RECORDS[0].read_text())
    assert "simulator only" in hardware.PAGE.read_text()
    assert "simulator only" not in hardware.page(tmp_path)
    assert "[rs-wsuha-p-house](../tests/records/rs-wsuha-p-house.txt)" in hardware.page(tmp_path)


@pytest.mark.parametrize("lang", hardware.READMES)
def test_the_table_of_the_readme_is_made_from_the_records(tmp_path: Path, lang: str) -> None:
    readme = hardware.READMES[lang].read_text()
    assert hardware.with_table(readme, lang) == readme
    for name in ("bp35c2-one", "rs-wsuha-p-two", "bp35c2-j11-three", "simulator-four"):
        (tmp_path / f"{name}.txt").touch()
    rows = hardware.with_table(readme, lang, tmp_path).splitlines()
    changed = [row for row in rows if row not in readme.splitlines()]
    assert [re.findall(r"`(\w+)` \|.*?(\d+)", row) for row in changed] == [[("BP35C2", "2")], [("J11", "1")]]
    assert len(rows) == len(readme.splitlines())


def test_a_record_is_named_after_its_module(tmp_path: Path) -> None:
    (tmp_path / "my-house.txt").touch()
    with pytest.raises(LookupError, match=r"my-house\.txt has to begin with one of bp35c0, bp35c2, rs-wsuha-p"):
        hardware.table("en", tmp_path)
