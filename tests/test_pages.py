"""The READMEs and pages for users name what a person really reads on the screen."""

from collections.abc import Iterable, Iterator
from importlib.util import find_spec
import json
from pathlib import Path
import re
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
QUOTED = {"en": r'"([^"]+)"', "ja": "「([^」]+)」"}
NAME = {"en": r'[^→|\n.,;:()"*]+', "ja": r"[^→|\n。、（）()「」*]+"}

NOT_OURS = {
    "en": {
        "Smart meter 2",
        "⋮",
        "⋮ of the meter",
        "menu ⋮ of the meter",
        "the cogwheel of the meter",
        "the pencil",
        "Custom repositories",
    },
    "ja": {
        *("スマートメーター 2", "⋮", "開いて鉛筆", "カスタムリポジトリ", "Integration"),
        *("電力メーター情報発信サービス（Bルートサービス）", "供給地点特定番号"),
    },
}
"""Icons, what HACS and utilities say, and a name that Home Assistant makes of one of ours."""


def texts(value: Any) -> Iterator[str]:
    """Yield all texts of a translation."""
    if isinstance(value, dict):
        for each in value.values():
            yield from texts(each)
    else:
        yield str(value)


def folder_of(package: str) -> Path:
    spec = find_spec(package)
    assert spec is not None
    assert spec.submodule_search_locations is not None
    return Path(spec.submodule_search_locations[0])


def on_screen(lang: str) -> str:
    """Return all that can be read on the screen in a language."""
    files = [
        ROOT / "custom_components" / "broute" / "translations" / f"{lang}.json",
        *(folder_of("hass_frontend") / "static" / "translations").rglob(f"{lang}-*.json"),
        folder_of("homeassistant") / "components" / "route_b_smart_meter" / "translations" / f"{lang}.json",
    ]
    blueprints = (ROOT / "blueprints").rglob("*_ja.yaml" if lang == "ja" else "*.yaml")
    found = [text for file in files for text in texts(json.loads(file.read_text()))]
    return "\n".join([*found, *(path.read_text() for path in blueprints)])


def named(page: str, lang: str) -> set[str]:
    """Return what a page quotes, and the parts of the ways that it shows, but for their ends."""
    text = re.sub(r"```.*?```|`[^`\n]*`|<[^>]*>|(?<=\])\([^)]*\)", "", page, flags=re.DOTALL)
    text = re.sub(r"\n *(?=[^\n|*#\-\d ])", " " if lang == "en" else "", text)
    ways = re.findall(f"{NAME[lang]}(?:→{NAME[lang]})+", text)
    parts = [part.strip(" []") for way in ways for part in way.split("→")[1:-1]]
    return {*re.findall(QUOTED[lang], text), *parts}


def pages(lang: str) -> Iterable[Path]:
    japanese = [ROOT / "README.ja.md", *(ROOT / "docs").glob("*.ja.md")]
    return japanese if lang == "ja" else [path.with_name(path.name.replace(".ja", "")) for path in japanese]


@pytest.mark.parametrize("lang", QUOTED)
def test_what_pages_name_is_on_the_screen(lang: str) -> None:
    screen = on_screen(lang)
    words = {path.name: named(path.read_text(), lang) for path in pages(lang)}
    assert sum(map(len, words.values())) > 40
    missing = {
        page: sorted(word for word in some - NOT_OURS[lang] if word not in screen) for page, some in words.items()
    }
    assert {page: some for page, some in missing.items() if some} == {}


def test_what_a_page_names() -> None:
    page = 'Say "One\ntwo", not `"x"`.\n* Settings → Devices & services → [Add](a → b.md), then\n* A → B (c) → D → E.\n'
    assert named(page, "en") == {"One two", "Devices & services", "D"}
    assert named("「設定」→「ツール」から、設定 → デバイスとサービス → 追加。", "ja") == {
        "設定",
        "ツール",
        "デバイスとサービス",
    }
