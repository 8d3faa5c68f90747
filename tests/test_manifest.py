"""Manifest and texts: complete, in both languages, and used."""

import ast
import json
from pathlib import Path
import re
from typing import Any

import pytest

from custom_components.broute.coordinator import ERROR_KEYS
from custom_components.broute.sensor import ENERGIES, SENSORS

ROOT = Path(__file__).parents[1]
INTEGRATION = ROOT / "custom_components" / "broute"


def load(path: Path) -> Any:
    return json.loads(path.read_text())


def texts(language: str) -> dict[str, str]:
    def flatten(prefix: str, node: Any) -> dict[str, str]:
        if isinstance(node, str):
            return {prefix: node}
        return {name: text for key, child in node.items() for name, text in flatten(f"{prefix}.{key}", child).items()}

    return flatten("", load(INTEGRATION / "translations" / f"{language}.json"))


def test_the_manifest_is_in_order() -> None:
    manifest = load(INTEGRATION / "manifest.json")
    assert list(manifest) == ["domain", "name", *sorted(manifest.keys() - {"domain", "name"})]
    assert manifest["domain"] == INTEGRATION.name
    assert manifest["config_flow"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", manifest["version"])


def test_hacs_knows_the_oldest_home_assistant() -> None:
    hacs = load(ROOT / "hacs.json")
    assert hacs.keys() <= {"name", "country", "filename", "hide_default_branch", "homeassistant", "zip_release"}
    assert hacs["homeassistant"] == "2026.10.0"


def test_both_languages_say_the_same_things() -> None:
    english, japanese = texts("en"), texts("ja")
    assert english.keys() == japanese.keys()
    for key, text in english.items():
        assert sorted(re.findall(r"{(\w+)}", text)) == sorted(re.findall(r"{(\w+)}", japanese[key])), key
        assert text.strip()
        assert japanese[key].strip()


@pytest.mark.parametrize("key", sorted(set(ERROR_KEYS.values())))
def test_every_error_has_a_text(key: str) -> None:
    english = texts("en")
    assert f".exceptions.{key}.message" in english
    assert f".config.error.{key}" in english


def test_every_entity_has_a_name() -> None:
    for description in SENSORS + ENERGIES:
        assert f".entity.sensor.{description.translation_key}.name" in texts("en")


def test_every_translation_key_in_the_code_has_a_text() -> None:
    english = texts("en")
    for path in INTEGRATION.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.keyword(arg="step_id", value=ast.Constant(value=str(step))):
                    assert step == "connect" or f".config.step.{step}.title" in english, step


def test_icons_belong_to_entities() -> None:
    icons = load(INTEGRATION / "icons.json")["entity"]["sensor"]
    assert icons.keys() <= {description.translation_key for description in SENSORS + ENERGIES}
