"""Writes docs/hardware.md from the records in tests/records: `python -m tests.hardware`."""

from pathlib import Path
import re

ROOT = Path(__file__).parents[1]
RECORDS = ROOT / "tests" / "records"
PAGE = ROOT / "docs" / "hardware.md"

SIMULATED = "simulator-"
"""Begins the names of records that a simulated dongle made."""

HEAD = """# Hardware

Made by `python -m tests.hardware` from the [records](records.md) in `tests/records`, each of which the tests replay.
What is not here may work as well: nobody has sent a record of it yet. Yours is welcome.

| Module | Firmware | Meter | Release | What worked | What did not | Version | Record |
|---|---|---|---|---|---|---|---|
"""

NONE = "| simulator only | | | | | | | |\n"

SIMULATION = """
Records of simulated dongles, which prove that recording and replaying work:

| Module | Firmware | Meter | Release | What worked | What did not | Version | Record |
|---|---|---|---|---|---|---|---|
"""


def row(record: Path) -> str:
    """Return a line of the table."""
    text = record.read_text()

    def told(note: str) -> list[str]:
        return re.findall(f"= note {note} (.*)", text)

    module, _, firmware = (told("module") or ["-"])[0].partition(" ")
    meter, _, release = (told("meter") or ["-"])[0].partition(" ")
    cells = (
        *(module, firmware, meter, release),
        ", ".join(told("worked")) or "-",
        ", ".join(told("failed")) or "-",
        *told("version"),
        f"[{record.stem}](../tests/records/{record.name})",
    )
    return f"| {' | '.join(cells)} |\n"


def page(records: Path = RECORDS) -> str:
    """Return the whole page."""
    real: list[str] = []
    simulated: list[str] = []
    for record in sorted(records.glob("*.txt")):
        (simulated if record.name.startswith(SIMULATED) else real).append(row(record))
    return HEAD + ("".join(real) or NONE) + SIMULATION + "".join(simulated)


if __name__ == "__main__":
    PAGE.write_text(page())
