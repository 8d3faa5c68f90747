"""Write docs/hardware.md, and the tables of modules in both READMEs, from the records in tests/records.

`python -m tests.hardware`
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
import re

ROOT = Path(__file__).parents[1]
RECORDS = ROOT / "tests" / "records"
PAGE = ROOT / "docs" / "hardware.md"
READMES = {"en": ROOT / "README.md", "ja": ROOT / "README.ja.md"}

SIMULATED = "simulator-"
"""Begins the names of records that a simulated dongle made."""


@dataclass(frozen=True, slots=True)
class Row:
    """Modules of one kind, as the READMEs have them in their tables."""

    names: Sequence[str]
    """One of these begins the name of a record: a module, or what it is sold as, in small letters."""
    modules: str
    found_in: str
    family: str
    simulated: Mapping[str, str]
    """What was compared as long as there is no record, by language."""


ONLY = {"en": "simulator only", "ja": "シミュレーターのみ"}
ROWS = (
    Row(
        names=("bp35c0", "bp35c2", "rs-wsuha-p", "udg-1-wsne"),
        modules="ROHM BP35C0, BP35C2",
        found_in="RATOC RS-WSUHA-P, NTT UDG-1-WSNE",
        family="BP35C2",
        simulated={
            "en": f"{ONLY['en']}, which is compared with excerpts that real ones printed",
            "ja": f"{ONLY['ja']}（実機の出力の抜粋と照合済み）",
        },
    ),
    Row(
        names=("bp35a1",),
        modules="ROHM BP35A1",
        found_in="",
        family="BP35A1",
        simulated={
            "en": f"{ONLY['en']}; it and the decoder are compared with the log of a whole session with a real meter",
            "ja": f"{ONLY['ja']}（シミュレーターと受信処理を、実際のメーターとの一連の通信記録と照合済み）",
        },
    ),
    Row(
        names=("rl7023-ips",),
        modules="Tessera RL7023 Stick-D/IPS",
        found_in="",
        family="BP35A1",
        simulated=ONLY,
    ),
    Row(
        names=("rl7023-dss",),
        modules="Tessera RL7023 Stick-D/DSS",
        found_in="",
        family="BP35C2",
        simulated=ONLY,
    ),
    Row(
        names=("bp35c0-j11", "bp35c1-j11", "bp35c2-j11", "rs-wsuha-j11"),
        modules="ROHM BP35C0-J11, BP35C1-J11, BP35C2-J11",
        found_in="RATOC RS-WSUHA-J11",
        family="J11",
        simulated={
            "en": f"{ONLY['en']}, which a library of another author reads as well",
            "ja": f"{ONLY['ja']}（ほかの作者のライブラリーでも読み取りを確認済み）",
        },
    ),
)

HEADS = {
    "en": "| module | found in | family | tested with |",
    "ja": "| モジュール | 使われている製品など | 系統 | 確認のしかた |",
}
PROOF = {
    "en": "simulator, and {} that owners have sent ([which](docs/hardware.md))",
    "ja": "シミュレーターと、利用者から届いた記録{}件（[一覧](docs/hardware.md)）",
}

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


def kind_of(record: Path) -> Row:
    """Return the kind of module that a record is of, by its name.

    Raises:
        LookupError: its name does not begin with what a module or its product is called.

    """
    fitting = {name: row for row in ROWS for name in row.names if record.stem.startswith(f"{name}-")}
    if not fitting:
        names = ", ".join(name for row in ROWS for name in row.names)
        raise LookupError(f"{record.name} has to begin with one of {names}, and a hyphen")
    return fitting[max(fitting, key=len)]


def table(lang: str, records: Path = RECORDS) -> str:
    """Return the table of modules for the README of a language."""
    real = [kind_of(record) for record in sorted(records.glob("*.txt")) if not record.name.startswith(SIMULATED)]

    def line(row: Row) -> str:
        count = real.count(row)
        told = f"{count} record{'s' * (count > 1)}" if lang == "en" else str(count)
        names = f"| {row.modules} | {row.found_in}".rstrip() + f" | `{row.family}` | "
        if lang == "ja":
            names = names.replace(", ", "、").replace("Tessera", "テセラ")
        return f"{names}{PROOF[lang].format(told) if count else row.simulated[lang]} |\n"

    return f"{HEADS[lang]}\n|---|---|---|---|\n{''.join(map(line, ROWS))}"


def with_table(readme: str, lang: str, records: Path = RECORDS) -> str:
    """Return a README with the table of today."""
    before, _, rest = readme.partition(HEADS[lang])
    return f"{before}{table(lang, records)}\n{rest.partition('\n\n')[2]}"


if __name__ == "__main__":
    PAGE.write_text(page())
    for language, readme in READMES.items():
        readme.write_text(with_table(readme.read_text(), language))
