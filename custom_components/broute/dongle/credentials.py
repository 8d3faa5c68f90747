"""What the utility's letters say, as a person types it."""

import re
from typing import TYPE_CHECKING, Any, Final
import unicodedata

from homeassistant.const import CONF_PASSWORD

from ..const import CONF_ROUTE_B_ID

if TYPE_CHECKING:
    from collections.abc import Mapping

FORMS: Final = {CONF_ROUTE_B_ID: re.compile("[0-9A-F]{32}"), CONF_PASSWORD: re.compile("[!-~]{12}")}
"""What ID and password look like, without the spaces that may have been typed."""

MISREAD: Final = str.maketrans("OIL", "011")
"""Letters that an ID never has, and the digits that they were read from."""

ALIKE: Final = frozenset("0Oo1Il2Z5S8B")
"""Characters of a password that look like others in print."""


def checked(typed: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return what was meant, and an error for each field that cannot be right."""
    # A Japanese keyboard may have typed full-width letters, and the letters from the utility print blocks of four.
    data = {key: re.sub(r"\s", "", unicodedata.normalize("NFKC", text)) for key, text in typed.items()}
    data[CONF_ROUTE_B_ID] = data.get(CONF_ROUTE_B_ID, "").replace("-", "").upper().translate(MISREAD)
    errors = {key: f"invalid_{key}" for key, form in FORMS.items() if not form.fullmatch(data.get(key, ""))}
    return data, errors


def alike(password: str) -> str:
    """Return the places, counted from 1, of characters that may have been misread."""
    return ", ".join(str(place) for place, character in enumerate(password, 1) if character in ALIKE) or "—"
