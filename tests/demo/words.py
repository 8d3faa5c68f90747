"""What a person reads, in one language: the integration's own words, and those of Home Assistant's frontend."""

from collections.abc import Iterator, Mapping
import json
from pathlib import Path

import hass_frontend
import homeassistant

from .client import Json
from .home_assistant import INTEGRATION

FRAGMENTS = ("", "config", "energy", "lovelace")
"""The folders of the frontend's translations that have to do with us."""


def _flat(texts: Mapping[str, Json], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in texts.items():
        if isinstance(value, str):
            yield prefix + key, value
        else:
            yield from _flat(value, f"{prefix}{key}.")


def _of_frontend(lang: str) -> Iterator[tuple[str, str]]:
    for fragment in FRAGMENTS:
        folder = Path(hass_frontend.where()) / "static" / "translations" / fragment
        # The name ends in a checksum; en-GB is another language.
        (path,) = (path for path in folder.glob(f"{lang}-*.json") if path.stem.count("-") == 1)
        yield from _read(path).items()


CORE = Path(homeassistant.__file__).parent / "components" / "homeassistant" / "translations"


def _read(path: Path) -> Mapping[str, Json]:
    texts: Mapping[str, Json] = json.loads(path.read_text())
    return texts


class Words:
    """The texts of one language by their keys."""

    def __init__(self, lang: str) -> None:
        self.lang = lang
        self._ours = dict(_flat(_read(INTEGRATION / "translations" / f"{lang}.json")))
        self._core = dict(_flat(_read(CORE / f"{lang}.json")))
        self._frontend = dict(_of_frontend(lang))

    def ours(self, key: str, **placeholders: object) -> str:
        """Return a text of the integration."""
        return self._ours[key].format(**placeholders)

    def all_of_ours(self) -> Mapping[str, str]:
        """Return all texts of the integration, by their keys, with their placeholders."""
        return self._ours

    def frontend(self, key: str) -> str:
        """Return a text of the frontend; all keys begin with `ui`."""
        return self._frontend[f"ui.{key}"]

    def core(self, key: str) -> str:
        """Return a text that Home Assistant has for all integrations."""
        return self._core[key]
