"""What hassfest and the HACS action would refuse, as far as it can be seen without the network.

Both run in .github/workflows/validate.yml; hassfest is no part of Home Assistant's package.
"""

import ast
from collections.abc import Iterator
from functools import cache
import json
from pathlib import Path
import re
from typing import TYPE_CHECKING, Any

from awesomeversion import AwesomeVersion, AwesomeVersionStrategy
import hass_frontend
import homeassistant.components
from homeassistant.const import Platform
from homeassistant.helpers import config_validation as cv, service
from homeassistant.setup import async_setup_component
from homeassistant.util import yaml as yaml_util
import pytest
import yarl

from .home import DOMAIN

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant

ROOT = Path(__file__).parents[1]
INTEGRATION = ROOT / "custom_components" / DOMAIN
MANIFEST = json.loads((INTEGRATION / "manifest.json").read_text())
HACS = json.loads((ROOT / "hacs.json").read_text())
LANGUAGES = ("en", "ja")

REQUIRED = {
    "codeowners",
    "documentation",
    "domain",
    "integration_type",
    "iot_class",
    "issue_tracker",
    "name",
    "version",
}
KNOWN = REQUIRED | {
    "after_dependencies",
    "bluetooth",
    "categories",
    "config_flow",
    "connectivity",
    "dependencies",
    "dhcp",
    "disabled",
    "homekit",
    "iot_standards",
    "loggers",
    "lorawan",
    "mqtt",
    "preview_features",
    "quality_scale",
    "requirements",
    "single_config_entry",
    "ssdp",
    "usb",
    "zeroconf",
}
"""hassfest refuses a key that it does not know. "categories" and "connectivity" are new in Home Assistant 2026.11."""

WITHOUT_DEPENDENCY = {"diagnostics", "persistent_notification", "repairs", *Platform}
"""Components whose files are imported without a dependency: they find ours, or are there in every Home Assistant."""

KEY = re.compile(r"[a-z0-9]+([_-][a-z0-9]+)*")
ADDRESS = re.compile(r"(https?|ftps?|mqtts?|socket)://[a-z0-9-]+(\.[a-z0-9-]+)*\.[a-z]{2,5}\b|www\.", re.IGNORECASE)

SECTIONS = {
    "common",
    "config",
    "config_subentries",
    "device",
    "entity",
    "exceptions",
    "issues",
    "options",
    "selector",
    "services",
    "system_health",
    "title",
}
FLOW = {"abort", "create_entry", "error", "flow_title", "progress", "step"}
STEP = {
    "data",
    "data_description",
    "description",
    "menu_option_descriptions",
    "menu_options",
    "sections",
    "submit",
    "title",
}


def texts(language: str) -> Any:
    return json.loads((INTEGRATION / "translations" / f"{language}.json").read_text())


def items(node: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield each text and where it is."""
    for key, child in node.items():
        if isinstance(child, str):
            yield f"{path}{key}", child
        else:
            yield from items(child, f"{path}{key}.")


@cache
def icons_of_the_frontend() -> set[str]:
    """Return the names of all icons that the frontend has."""
    files = (hass_frontend.where() / "static" / "mdi").glob("*.json")
    return {f"mdi:{name}" for path in files for name in _names(json.loads(path.read_text()))}


def _names(content: Any) -> Iterator[str]:
    # Beside the icons, a list of the files.
    if isinstance(content, dict) and "parts" not in content:
        yield from content


def imported_components() -> set[str]:
    """Return the components of Home Assistant that the integration imports."""
    found = set()
    for path in INTEGRATION.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.ImportFrom(module="homeassistant.components", names=names):
                    found |= {alias.name for alias in names}
                case ast.ImportFrom(module=str(module)) if module.startswith("homeassistant.components."):
                    found.add(module.split(".")[2])
    return found


def test_the_manifest_has_known_keys_only() -> None:
    assert REQUIRED <= MANIFEST.keys() <= KNOWN


def test_the_manifest_is_in_order() -> None:
    assert list(MANIFEST) == ["domain", "name", *sorted(MANIFEST.keys() - {"domain", "name"})]


def test_the_manifest_has_the_words_that_others_have() -> None:
    """A word that no integration of a newer Home Assistant has is one that hassfest does not know, either."""
    folder = Path(homeassistant.components.__path__[0])
    others = [json.loads(path.read_text()) for path in folder.glob("*/manifest.json")]
    assert len(others) > 1000
    for key in ("categories", "connectivity"):
        # The oldest Home Assistant that we support has neither.
        if known := {word for manifest in others for word in manifest.get(key, ())}:
            assert set(MANIFEST[key]) <= known


def test_the_manifest_has_values_of_the_right_form() -> None:
    assert MANIFEST["domain"] == INTEGRATION.name
    assert MANIFEST["integration_type"] in {"device", "hub", "service"}
    assert MANIFEST["iot_class"] in {"local_polling", "local_push"}
    assert all(re.fullmatch(r"@[\w-]+", owner) for owner in MANIFEST["codeowners"])
    for key in ("documentation", "issue_tracker"):
        assert yarl.URL(MANIFEST[key]).scheme == "https"
    AwesomeVersion(MANIFEST["version"], ensure_strategy=AwesomeVersionStrategy.SEMVER)


def test_what_is_imported_is_a_dependency() -> None:
    dependencies = {*MANIFEST.get("dependencies", ()), *MANIFEST.get("after_dependencies", ())}
    assert "usb" in dependencies
    assert imported_components() <= dependencies | WITHOUT_DEPENDENCY


def test_usb_matchers_are_in_the_right_case() -> None:
    source = (INTEGRATION / "config_flow.py").read_text()
    assert ("usb" in MANIFEST) == ("def async_step_usb(" in source)
    for matcher in MANIFEST.get("usb", ()):
        assert matcher.keys() <= {"vid", "pid", "serial_number", "manufacturer", "description", "known_devices"}
        for key, value in matcher.items():
            if key != "known_devices":
                assert value == (value.upper() if key in {"vid", "pid"} else value.lower())
        # A chip that is in a thousand devices says nothing.
        assert "description" in matcher


def test_there_is_a_config_flow() -> None:
    assert MANIFEST["config_flow"]
    source = (INTEGRATION / "config_flow.py").read_text()
    assert "async_set_unique_id" in source
    assert "_abort_if_unique_id_configured" in source
    assert "CONFIG_SCHEMA = cv.config_entry_only_config_schema(DOMAIN)" in (INTEGRATION / "__init__.py").read_text()


def test_texts_are_where_home_assistant_looks_for_them() -> None:
    assert not (INTEGRATION / "strings.json").exists()
    assert {path.name for path in (INTEGRATION / "translations").iterdir()} == {f"{name}.json" for name in LANGUAGES}


@pytest.mark.parametrize("language", LANGUAGES)
def test_texts_are_in_known_places(language: str) -> None:
    found = texts(language)
    assert found.keys() <= SECTIONS
    for section in ("config", "options"):
        flow = found.get(section, {})
        assert flow.keys() <= FLOW
        for name, step in flow.get("step", {}).items():
            assert step.keys() <= STEP, name
            assert step.get("data_description", {}).keys() <= step.get("data", {}).keys(), name
    for name, issue in found["issues"].items():
        assert "title" in issue, name
        assert ("description" in issue) != ("fix_flow" in issue), name
    for path, _ in items(found):
        assert all(KEY.fullmatch(part) for part in path.split(".")), path


@pytest.mark.parametrize("language", LANGUAGES)
def test_texts_have_nothing_in_them_that_is_forbidden(language: str) -> None:
    for path, text in items(texts(language)):
        cv.string_with_no_html(text)
        assert not re.search(r"'{\w+}'", text), path
        assert not re.search(r"\[%|%\]", text), path
        assert not ADDRESS.search(text), f"{path}: an address belongs into a placeholder"
        assert all(name.isidentifier() for name in re.findall(r"{([^}]*)}", text)), path
        if re.match(r"entity\.\w+\.\w+\.state", path):
            assert "{" not in text, path


def test_icons_exist() -> None:
    icons = json.loads((INTEGRATION / "icons.json").read_text())
    assert icons.keys() <= {"entity", "services"}
    assert "mdi:home" in icons_of_the_frontend()
    assert {icon for _, icon in items(icons)} <= icons_of_the_frontend()
    for platform, entities in icons["entity"].items():
        assert entities.keys() <= texts("en")["entity"][platform].keys()


async def test_actions_are_described(hass: HomeAssistant) -> None:
    assert await async_setup_component(hass, DOMAIN, {})
    registered = hass.services.async_services_for_domain(DOMAIN)
    described = (await service.async_get_all_descriptions(hass)).get(DOMAIN, {})
    icons = json.loads((INTEGRATION / "icons.json").read_text()).get("services", {})
    path = INTEGRATION / "services.yaml"
    written = yaml_util.load_yaml_dict(path) if path.exists() else {}
    assert registered.keys() == described.keys() == icons.keys() == written.keys()
    for language in LANGUAGES:
        names = texts(language).get("services", {})
        assert names.keys() == registered.keys()
        for action, description in described.items():
            assert names[action]["name"]
            assert names[action]["description"]
            assert names[action].get("fields", {}).keys() == description["fields"].keys()
            for field in names[action].get("fields", {}).values():
                assert field["name"]
                assert field["description"]


def test_hacs_has_known_keys_only() -> None:
    assert {"name"} <= HACS.keys()
    assert HACS.keys() <= {
        "content_in_root",
        "country",
        "filename",
        "hacs",
        "hide_default_branch",
        "homeassistant",
        "name",
        "persistent_directory",
        "zip_release",
    }


def test_there_is_one_integration_and_what_hacs_shows_of_it() -> None:
    folders = {path.name for path in (ROOT / "custom_components").iterdir() if (path / "manifest.json").exists()}
    assert folders == {DOMAIN}
    assert (ROOT / "README.md").exists()
    assert (INTEGRATION / "brand" / "icon.png").exists()


def test_the_release_has_the_file_that_hacs_looks_for() -> None:
    workflow = (ROOT / ".github" / "workflows" / "release.yml").read_text()
    assert HACS["zip_release"]
    assert f"--output={HACS['filename']}" in workflow
    # The content of the folder, without the folder.
    assert f'"HEAD:custom_components/{DOMAIN}"' in workflow


def test_the_oldest_home_assistant_is_the_one_that_is_tested() -> None:
    pinned = re.search(r"# Home Assistant ([\d.]+), the oldest", (ROOT / "requirements_test.txt").read_text())
    assert pinned is not None
    oldest, tested = AwesomeVersion(HACS["homeassistant"]), AwesomeVersion(pinned[1])
    assert (oldest.major, oldest.minor) == (tested.major, tested.minor)
    assert oldest <= tested
    assert f'"{tested}"' in (ROOT / ".github" / "workflows" / "ci.yml").read_text()
    blueprints = [*(ROOT / "blueprints").rglob("*.yaml")]
    assert blueprints
    for path in blueprints:
        assert f"min_version: {oldest}" in path.read_text()


def test_hassfest_and_hacs_are_asked_in_the_workflow() -> None:
    workflow = (ROOT / ".github" / "workflows" / "validate.yml").read_text()
    assert "home-assistant/actions/hassfest@" in workflow
    assert "hacs/action@" in workflow
    assert "category: integration" in workflow
