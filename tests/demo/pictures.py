"""What the pictures of the documentation show: written beside them when they are taken, and compared with today's."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256
import json
import re
from typing import TYPE_CHECKING, Final

from .home_assistant import PROJECT

if TYPE_CHECKING:
    from pathlib import Path

FOLDER: Final = PROJECT / "docs" / "images"
RECORD: Final = "shown.json"
"""The name of the file beside the pictures."""

SUBJECTS: Final[Mapping[str, str]] = {
    "device": r"common\.meter",
    "energy": r"entity\.sensor\.energy_(in|out)\.name",
    "first-reading": r"config\.step\.finish_export\..*",
    "form": r"config\.step\.user\..*",
    "progress": r"config\.progress\.scan",
    "repair": r"issues\.meter_exchanged\.fix_flow\.step\.confirm\..*",
}
"""The keys of the texts that each picture shows, besides the names of entities."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What a picture shows."""

    digest: str
    """The SHA-256 of its file."""
    texts: Mapping[str, str]
    """The integration's texts, by their keys in the translations."""
    page: str
    """The SHA-256 of the file that was pasted, of a picture of a dashboard; otherwise empty."""


def digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    return sha256(path.read_bytes()).hexdigest()


def subject(name: str, texts: Mapping[str, str], entities: Mapping[str, str]) -> Mapping[str, str]:
    """Return the texts that a picture has to show: those of its subject, and for the device the names of entities."""
    chosen = {key: text for key, text in texts.items() if re.fullmatch(SUBJECTS.get(name, ""), key)}
    return {**chosen, **(entities if name == "device" else {})}


def fragments(text: str) -> Iterator[str]:
    """Yield the parts of a text between placeholders and Markdown, without spaces."""
    for part in re.split(r"\{\w+\}|\*\*|^- |\n", text, flags=re.MULTILINE):
        if fragment := re.sub(r"\s", "", part):
            yield fragment


def missing(shown: str, texts: Mapping[str, str]) -> list[str]:
    """Return the keys of texts that are not on a page, of which all text is given."""
    page = re.sub(r"\s", "", shown)
    return [key for key, text in texts.items() if any(fragment not in page for fragment in fragments(text))]


def read(folder: Path = FOLDER) -> dict[str, Shown]:
    """Return what the pictures of a folder show, by their file names."""
    path = folder / RECORD
    return {name: Shown(**record) for name, record in json.loads(path.read_text()).items()} if path.exists() else {}


def write(folder: Path, name: str, shown: Shown) -> None:
    """Keep what a picture shows."""
    records = {**read(folder), name: shown}
    content = {name: asdict(record) for name, record in sorted(records.items())}
    (folder / RECORD).write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def changes(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Return what is different now, a line for each text."""
    return [
        f"{key}: {before.get(key)!r} is {now.get(key)!r} now"
        for key in sorted({*before, *now})
        if before.get(key) != now.get(key)
    ]
