"""Records are replayed against the whole stack: what worked once works, and what failed fails in the same way."""

from contextlib import suppress
from pathlib import Path
import re

import pytest

from custom_components.broute.aiobroute import BRouteError, Credentials
from custom_components.broute.aiobroute.recording import Recording
from custom_components.broute.aiobroute.records.checker import check

from . import hardware
from .aiobroute.virtual_time import run
from .replay import MismatchError, replayed_port

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


async def replayed(text: str) -> str:
    """Do what was recorded once more, and return the record of that.

    Raises:
        MismatchError: another question came.

    """
    said: list[str] = []
    credentials = Credentials(route_b_id(text), "X" * 12)
    with replayed_port(text) as port:
        with suppress(BRouteError):
            await Recording(port.url, credentials, said.append, version="0", minutes=0).run()
        if port.mismatch is None:
            assert not port.left
    return "".join(said)


def replay(text: str) -> str:
    """Do so in virtual time."""
    return run(replayed(text))


@pytest.mark.parametrize("record", RECORDS, ids=lambda path: path.stem)
def test_a_record_may_be_shown(record: Path) -> None:
    assert check(record.read_text()) == []


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
