"""Home Assistant's Integration Quality Scale: quality_scale.yaml says what is true.

A rule that can be looked at has a test of its name here; the comment of every other one names the test, file or heading
where it is to be seen.
"""

import ast
from collections.abc import AsyncGenerator, Iterator
from datetime import timedelta
from functools import cache
from importlib.metadata import metadata
import json
import logging
from pathlib import Path
import re
import sys
from typing import TYPE_CHECKING, Any

import homeassistant
from homeassistant.components.diagnostics.const import DOMAIN as DIAGNOSTICS
from homeassistant.config_entries import HANDLERS, SOURCE_REAUTH, SOURCE_USB, ConfigEntryState
from homeassistant.const import CONF_DEVICE, CONF_PASSWORD, EntityCategory
from homeassistant.core import SupportsResponse
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import device_registry as dr, entity_registry as er
from homeassistant.setup import async_setup_component
from homeassistant.util import yaml as yaml_util
import pytest

from custom_components.broute.coordinator import MeterCoordinator

from .demo.words import Words
from .home import CREDENTIALS, DOMAIN, MAC, dongle, elapse, entry_of, look_for_sticks, set_up, stick, until
from .simulator import scenarios

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant
    from homeassistant.helpers.entity_registry import RegistryEntry
    from pytest_homeassistant_custom_component.common import MockConfigEntry

ROOT = Path(__file__).parents[1]
INTEGRATION = ROOT / "custom_components" / DOMAIN
STACK = INTEGRATION / "aiobroute"
MANIFEST = json.loads((INTEGRATION / "manifest.json").read_text())
ENGLISH, JAPANESE = (json.loads((INTEGRATION / "translations" / f"{lang}.json").read_text()) for lang in ("en", "ja"))
README, README_JA = (ROOT / name for name in ("README.md", "README.ja.md"))
DOCS = ROOT / "docs"
PAGES = [*ROOT.glob("*.md"), *DOCS.rglob("*.md")]
TWINS = {page.with_name(page.name.replace(".ja.", ".")): page for page in sorted(PAGES) if ".ja" in page.suffixes}
"""What is written for those who use the integration: the Japanese page of each English one, README first."""
FRONT_DOOR = 250
"""Lines of a README, at most; what is longer is a page of its own."""
MEASURED = {"power", "current", "current_r", "current_t", "energy_in", "energy_out"}
"""What a household wants to know."""
CONSUMPTION = MEASURED | {"half_hour_in", "half_hour_out", "running_demand"}
"""The rest is diagnostic."""
MENUS = [
    f"panel.config.{key}"
    for key in (
        "dashboard.devices.main",
        "dashboard.system.main",
        "dashboard.tools.main",
        "energy.grid.add_connection",
        "energy.grid.dialog.energy_from_grid",
        "energy.grid.dialog.energy_to_grid",
        "integrations.add_integration",
        "integrations.config_entry.delete",
        "integrations.config_entry.disable_debug_logging",
        "integrations.config_entry.download_diagnostics",
        "integrations.config_entry.enable_debug_logging",
        "integrations.config_entry.reconfigure",
        "integrations.config_entry.state.setup_retry",
        "integrations.config_flow.submit",
        "network.caption",
        "repairs.caption",
        "tools.tabs.statistics.title",
    )
]
"""What README and the pages that it leads to name of Home Assistant's frontend."""
UNKNOWN_ITEM = "components.combo-box.unknown_item"
"""What the frontend says of an address that was typed; the forms tell what to think of it."""
PLAN = "config_subentries.plan.initiate_flow.user"
NAMES_OF_OTHERS = {"設定", "⋮", "カスタムリポジトリ", "Smart Meter B Route", "わが家"}
"""The sidebar's, an icon, HACS's, the built-in integration's, which has no other in Japanese, and a home's."""


def content(name: str) -> Any:
    return yaml_util.load_yaml(INTEGRATION / name)


SCALE: dict[str, dict[str, str]] = content("quality_scale.yaml")["rules"]
DONE = [rule for rule, record in SCALE.items() if record["status"] == "done"]


def services() -> dict[str, Any]:
    """Return the actions that are described."""
    return dict(content("services.yaml")) if (INTEGRATION / "services.yaml").exists() else {}


@cache
def headings(path: Path) -> dict[str, tuple[int, str, str]]:
    """Return level, heading and text below it up to the next heading of its rank, by GitHub's anchor."""
    text = re.sub(
        r"^```.*?^```", lambda block: block[0].replace("#", " "), path.read_text(), flags=re.MULTILINE | re.DOTALL
    )
    found = list(re.finditer(r"^(#+) (.*)$", text, re.MULTILINE))
    result = {}
    for heading in found:
        level = len(heading[1])
        ends = [other.start() for other in found if other.start() > heading.start() and len(other[1]) <= level]
        anchor = re.sub(r"[^\w\- ]", "", heading[2].lower()).replace(" ", "-")
        result[anchor] = (level, heading[2], text[heading.end() : min(ends, default=len(text))])
    return result


def below(anchor: str, page: Path = README) -> tuple[str, str]:
    """Return the text under a heading of a page and under its twin in Japanese."""
    index = list(headings(page)).index(anchor)
    return headings(page)[anchor][2], list(headings(TWINS[page]).values())[index][2]


def guide(lang: str) -> str:
    """Return all that is written for those who use the integration, in a language."""
    return "\n".join(page.read_text() for page in (TWINS.values() if lang == "ja" else TWINS))


def sources() -> Iterator[tuple[Path, ast.Module]]:
    """Yield every file of the Home Assistant side, those in folders as well."""
    for path in sorted(INTEGRATION.rglob("*.py")):
        if STACK not in path.parents:
            yield path, ast.parse(path.read_text())


def functions(name: str) -> set[str]:
    """Return the names of all functions of a file."""
    tree = ast.parse((INTEGRATION / name).read_text())
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def leaves(node: Any) -> Iterator[str]:
    if isinstance(node, str):
        yield node
        return
    for child in node.values():
        yield from leaves(child)


def labels(texts: Any, *sections: str) -> set[str]:
    """Return the labels of all fields of the flows."""
    steps = [step for section in sections for step in texts.get(section, {}).get("step", {}).values()]
    return {label for step in steps for label in leaves(step.get("data", {}))}


@pytest.fixture
async def entry(hass: HomeAssistant) -> AsyncGenerator[MockConfigEntry]:
    """Set up a meter that has everything of the first generation."""
    with dongle(scenarios.SOLAR) as sim:
        entry = entry_of(sim)
        await set_up(hass, entry)
        # The details come after the first reading, and half-hours with the second announcement.
        await elapse(hass, 5400)
        yield entry


@pytest.fixture
def entities(hass: HomeAssistant, entry: MockConfigEntry) -> list[RegistryEntry]:
    return er.async_entries_for_config_entry(er.async_get(hass), entry.entry_id)


def test_the_rules_are_those_of_home_assistant() -> None:
    files = Path(homeassistant.__file__).parent.glob("components/*/quality_scale.yaml")
    rules = {rule for path in files for rule in yaml_util.load_yaml_dict(path)["rules"]}
    assert len(rules) >= 54
    assert SCALE.keys() == rules


@pytest.mark.parametrize("rule", SCALE)
def test_each_rule_is_done_or_has_a_reason(rule: str) -> None:
    record = SCALE[rule]
    assert record.keys() == {"status", "comment"}
    assert record["status"] in {"done", "exempt"}
    assert record["comment"].endswith(".") or "/" in record["comment"] or "#" in record["comment"]


@pytest.mark.parametrize("rule", DONE)
def test_what_a_comment_names_is_there(rule: str) -> None:
    comment = SCALE[rule]["comment"]
    named = re.findall(r"[\w./-]+\.(?:py|md|json|yaml|typed)(?:(?:::|#)[\w-]+)?|\b(?:scripts/|tests/)[\w/]+", comment)
    for name in named:
        path, _, part = re.sub(r"::|#", "\0", name).partition("\0")
        (file,) = {found for found in (ROOT / path, INTEGRATION / path) if found.exists()}
        if "::" in name:
            assert re.search(rf"^async def {part}\(|^def {part}\(", file.read_text(), re.MULTILINE), name
        elif "#" in name:
            assert part in headings(file), name
            assert all(len(text) > 100 for text in below(part, file)), name
            assert file == README or f"]({file.relative_to(ROOT)}" in README.read_text(), "README does not lead there"
    assert named or f"test_{rule.replace('-', '_')}" in globals(), "nothing can be looked at"


def test_every_test_of_a_rule_belongs_to_one() -> None:
    anything = {name for name in globals() if name.startswith("test_")}
    rules = {f"test_{rule.replace('-', '_')}" for rule in SCALE}
    general = {name for name in anything - rules if not name.startswith(("test_the_", "test_each_", "test_every_"))}
    assert general == {
        "test_what_a_comment_names_is_there",
        "test_both_languages_have_the_same_shape",
        "test_a_readme_is_a_front_door",
    }


async def test_action_setup(hass: HomeAssistant) -> None:
    assert await async_setup_component(hass, DOMAIN, {})
    assert hass.services.async_services_for_domain(DOMAIN).keys() == services().keys()
    for rule in ("action-setup", "action-exceptions", "docs-actions"):
        assert SCALE[rule]["status"] == ("done" if services() else "exempt"), "quality_scale.yaml says otherwise"


async def test_appropriate_polling(entry: MockConfigEntry) -> None:
    assert entry.runtime_data.update_interval == timedelta(seconds=60)


def test_common_modules() -> None:
    assert "class MeterCoordinator" in (INTEGRATION / "coordinator.py").read_text()
    for platform in platforms():
        assert "from .entity import" in platform.read_text()


def platforms() -> list[Path]:
    """Return the files of the platforms."""
    return [path for path, tree in sources() if _sets_up_entities(tree)]


def _sets_up_entities(tree: ast.Module) -> bool:
    return any(
        isinstance(node, ast.AsyncFunctionDef) and node.name == "async_setup_entry" and len(node.args.args) == 3
        for node in tree.body
    )


def test_config_flow() -> None:
    assert MANIFEST["config_flow"]
    for texts in (ENGLISH, JAPANESE):
        for section in ("config", "options"):
            for name, step in texts.get(section, {}).get("step", {}).items():
                assert step.get("data", {}).keys() == step.get("data_description", {}).keys(), name


def test_config_flow_test_coverage() -> None:
    tested = (ROOT / "tests" / "test_config_flow.py").read_text()
    assert "pytest.raises" not in tested, "a failure is shown in the form"
    assert "_flow.py' --fail-under=100" in (ROOT / "scripts" / "test").read_text()


def test_dependency_transparency() -> None:
    # Of the holidays library, source and releases are public: github.com/vacanza/holidays, MIT.
    assert MANIFEST["requirements"] == ["holidays>=0.106"]
    about = metadata("holidays")
    assert about["License-Expression"] == "MIT"
    assert any("github.com/vacanza/holidays" in url for url in about.get_all("Project-URL", []))
    # What else is used is Home Assistant, and what it brings along by itself.
    brought = json.loads((Path(homeassistant.__file__).parent / "components/usb/manifest.json").read_text())
    assert "usb" in MANIFEST["dependencies"]
    assert [line for line in brought["requirements"] if line.startswith("serialx==")]
    core = {line.partition("=")[0].lower() for line in metadata("homeassistant").get_all("Requires-Dist", [])}
    assert {"aiohttp", "probatio", "sqlalchemy"} <= core
    used = {name for path in INTEGRATION.rglob("*.py") for name in _foreign(ast.parse(path.read_text()))}
    assert {"homeassistant", "holidays", "serialx"} <= used <= {"homeassistant", "holidays", "serialx", *core}
    assert (ROOT / "LICENSE").read_text().startswith("MIT License")


def _foreign(tree: ast.Module) -> Iterator[str]:
    """Yield what a file imports that is neither Python's own nor ours."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                modules = [alias.name for alias in names]
            case ast.ImportFrom(module=str(module), level=0):
                modules = [module]
            case _:
                continue
        yield from {module.partition(".")[0] for module in modules} - sys.stdlib_module_names


def test_docs_actions() -> None:
    for text in below("actions", DOCS / "actions.md"):
        for action in services():
            assert f"| `{DOMAIN}.{action}` |" in text, action


def test_docs_conditions() -> None:
    assert not (INTEGRATION / "condition.py").exists()


def test_docs_triggers() -> None:
    assert not (INTEGRATION / "trigger.py").exists()


def test_entity_event_setup() -> None:
    for path in [*platforms(), INTEGRATION / "entity.py"]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and node.name == "__init__":
                assert not re.search(r"async_(track|listen|add_listener|dispatcher)", ast.unparse(node)), path


async def test_entity_unique_id(entities: list[RegistryEntry]) -> None:
    assert len({entity.unique_id for entity in entities}) == len(entities) > len(MEASURED)
    assert all(entity.unique_id.startswith(f"{MAC}_") for entity in entities)


async def test_has_entity_name(entities: list[RegistryEntry]) -> None:
    assert all(entity.has_entity_name for entity in entities)


async def test_runtime_data(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    assert isinstance(entry.runtime_data, MeterCoordinator)
    assert DOMAIN not in hass.data


DAYS = {"first_day": "2026-11-22", "last_day": "2026-11-22"}
FUTURE = {"first_day": "2027-11-22", "last_day": "2027-11-22"}
ASKED: dict[str, dict[str, str]] = {
    "compare_plans": {},
    "export_history": FUTURE,
    "get_history": FUTURE,
    "import_history": FUTURE,
    "record_connection": {"minutes": "61"},
}
"""What each action is asked for in vain: there is no plan, and nobody knows the future."""


async def act(hass: HomeAssistant, action: str, data: dict[str, str]) -> None:
    answers = hass.services.supports_response(DOMAIN, action) is not SupportsResponse.NONE
    await hass.services.async_call(DOMAIN, action, data, blocking=True, return_response=answers)


def told(error: HomeAssistantError) -> str:
    """Return the text of an error, which is one of ours or of Home Assistant's."""
    assert error.translation_domain in {DOMAIN, "homeassistant"}
    assert error.translation_key is not None
    if error.translation_domain == DOMAIN:
        assert error.translation_key in ENGLISH["exceptions"]
    return error.translation_key


@pytest.mark.parametrize("action", ASKED)
async def test_action_exceptions(hass: HomeAssistant, action: str) -> None:
    assert ASKED.keys() == services().keys()
    with dongle() as sim:
        entry = entry_of(sim)
        await set_up(hass, entry)
        with pytest.raises(ServiceValidationError) as caught:
            await act(hass, action, ASKED[action])
        assert told(caught.value) in {"wrong_days", "nothing_to_compare", "wrong_minutes"}
        with pytest.raises(ServiceValidationError) as caught:
            await act(hass, action, {**ASKED[action], "config_entry_id": "nobody"})
        told(caught.value)
        if action == "import_history":  # There is no recorder, which nobody who calls it can help.
            with pytest.raises(HomeAssistantError) as failed:
                await act(hass, action, DAYS)
            assert not isinstance(failed.value, ServiceValidationError)
            assert told(failed.value) == "history_no_recorder"
        assert await hass.config_entries.async_unload(entry.entry_id)
        with pytest.raises(ServiceValidationError) as caught:
            await act(hass, action, {**ASKED[action], "config_entry_id": entry.entry_id})
        told(caught.value)


def test_docs_configuration_parameters() -> None:
    has_options = "async_get_options_flow" in functions("config_flow.py")
    assert SCALE["docs-configuration-parameters"]["status"] == ("done" if has_options else "exempt")
    for texts, text in zip((ENGLISH, JAPANESE), below("options", DOCS / "settings.md"), strict=True):
        for label in labels(texts, "options"):
            assert f"| {label} |" in text, label


def test_docs_installation_parameters() -> None:
    for texts, text in zip((ENGLISH, JAPANESE), below("six-steps"), strict=True):
        for step in ("user", "finish", "finish_export"):
            for label in leaves(texts["config"]["step"][step]["data"]):
                assert f"| {label} |" in text, label


def test_integration_owner() -> None:
    assert MANIFEST["codeowners"]


async def test_log_when_unavailable(hass: HomeAssistant, caplog: pytest.LogCaptureFixture) -> None:
    with dongle(scenarios.SOLAR) as sim:
        await set_up(hass, entry_of(sim))
        await elapse(hass, 600)
        caplog.clear()
        sim.air.end_session()  # It is joined anew at once, which is worth no line.
        await elapse(hass, 600)
        sim.air.is_answering = False
        await elapse(hass, 3600)
        sim.air.is_answering = True
        await elapse(hass, 600)
        sim.unplug()
        await elapse(hass, 600)
        sim.plug()
        await elapse(hass, 600)
    told = [
        record.levelname
        for record in caplog.records
        if record.name.startswith(f"custom_components.{DOMAIN}") and record.levelno > logging.DEBUG
    ]
    assert told == ["ERROR", "INFO"] * 2, "the first failure and the first success after it"


def test_parallel_updates() -> None:
    assert platforms()
    for path in platforms():
        assert re.search(r"^PARALLEL_UPDATES = \d$", path.read_text(), re.MULTILINE), path


async def test_reauthentication_flow(hass: HomeAssistant) -> None:
    with dongle() as sim:
        entry = entry_of(sim, **{CONF_PASSWORD: "BAD456789ABC"})
        await set_up(hass, entry)
        await elapse(hass, 120)
        (flow,) = entry.async_get_active_flows(hass, {SOURCE_REAUTH})
        asked = await hass.config_entries.flow.async_configure(flow["flow_id"])
        assert asked["step_id"] == "reauth_confirm"
        await hass.config_entries.flow.async_configure(flow["flow_id"], CREDENTIALS)
        await hass.async_block_till_done()
        await hass.config_entries.flow.async_configure(flow["flow_id"])
        await hass.async_block_till_done()
        assert entry.state is ConfigEntryState.LOADED
        assert entry.data[CONF_PASSWORD] == CREDENTIALS[CONF_PASSWORD]
        assert not list(entry.async_get_active_flows(hass, {SOURCE_REAUTH}))


def test_test_coverage() -> None:
    gate = (ROOT / "scripts" / "test").read_text()
    assert min(map(int, re.findall(r"--fail-under=(\d+)", gate))) > 95


async def test_devices(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    (device,) = dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)
    assert device.manufacturer
    assert device.model
    assert device.model_id
    assert device.serial_number
    assert device.sw_version
    assert device.hw_version
    assert device.name == entry.title
    entities = er.async_entries_for_config_entry(er.async_get(hass), entry.entry_id)
    assert {entity.device_id for entity in entities} == {device.id}


async def test_diagnostics(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    assert await async_setup_component(hass, DIAGNOSTICS, {})
    await hass.async_block_till_done()
    platform = hass.data[DIAGNOSTICS].platforms[entry.domain]
    assert platform.config_entry_diagnostics is not None


async def test_discovery(hass: HomeAssistant) -> None:
    assert await async_setup_component(hass, "usb", {})
    with dongle() as sim:
        await look_for_sticks(hass, stick(sim.url))
        await hass.async_block_till_done(wait_background_tasks=True)
        (card,) = hass.config_entries.flow.async_progress_by_handler(DOMAIN)
        assert card["context"]["source"] == SOURCE_USB
        assert card["step_id"] == "usb_confirm"
        assert not sim.record.opens
        hass.config_entries.flow.async_abort(card["flow_id"])


async def test_discovery_update_info(hass: HomeAssistant) -> None:
    with dongle() as before, dongle() as after:
        entry = entry_of(before)
        await set_up(hass, entry)
        await look_for_sticks(hass, stick(before.url))
        before.unplug()
        await look_for_sticks(hass)
        await look_for_sticks(hass, stick(after.url))
        await until(lambda: bool(after.record.opens), within=30)
        await hass.async_block_till_done(wait_background_tasks=True)
        assert entry.data[CONF_DEVICE] == after.url
        assert not hass.config_entries.flow.async_progress_by_handler(DOMAIN)


def test_docs_supported_functions() -> None:
    for texts, text in zip((ENGLISH, JAPANESE), below("the-entities", DOCS / "entities.md"), strict=True):
        for platform in texts["entity"].values():
            for key in MEASURED & platform.keys():
                assert f"| {platform[key]['name']} |" in text, key
        shown = [line for line in text.splitlines() if line.startswith("|")]
        assert len(shown) > len(MEASURED) + 2


def test_docs_troubleshooting() -> None:
    for texts, text in zip((ENGLISH, JAPANESE), below("if-it-does-not-work", DOCS / "troubleshooting.md"), strict=True):
        for key, message in texts["config"]["error"].items():
            first = re.split(r"(?<=[.?。])", message)[0]
            assert first in text, f"{key}: {first}"


def test_repair_issues() -> None:
    sides = zip(
        (ENGLISH, JAPANESE), ("the meter", "メーター"), below("repairs", DOCS / "troubleshooting.md"), strict=True
    )
    for texts, name, text in sides:
        for key, issue in texts["issues"].items():
            # A row may have several issues of one port.
            told = re.sub(rf"^(The port of )?{name}[:\uff1a]? ?", "", issue["title"].format(title=name))
            assert told.lower() in text.lower(), key


async def test_entity_category(entities: list[RegistryEntry]) -> None:
    assert {entity.translation_key for entity in entities} > CONSUMPTION
    for entity in entities:
        assert (entity.entity_category is None) == (entity.translation_key in CONSUMPTION), entity.entity_id
        assert entity.entity_category in {None, EntityCategory.DIAGNOSTIC}


async def test_entity_device_class(entities: list[RegistryEntry]) -> None:
    for entity in entities:
        assert entity.original_device_class is not None, entity.entity_id


async def test_entity_disabled_by_default(entities: list[RegistryEntry]) -> None:
    disabled = {str(entity.translation_key) for entity in entities if entity.disabled}
    assert {"rssi", "clock_drift", "fixed_in", "fixed_time"} <= disabled
    # At first there are the consumption, whether the meter has a fault, and what a person may be asked to switch on.
    shown = {str(entity.translation_key) for entity in entities if not entity.disabled}
    assert shown <= {*MEASURED, "fault", "record"}
    assert not disabled & MEASURED


async def test_entity_translations(entities: list[RegistryEntry]) -> None:
    for entity in entities:
        for texts in (ENGLISH, JAPANESE):
            assert texts["entity"][entity.domain][entity.translation_key]["name"]
        assert entity.original_name


def _raised(tree: ast.Module) -> Iterator[str]:
    """Yield the names of Home Assistant's errors that are raised, of those with a translation only."""
    for node in ast.walk(tree):
        match node:
            case ast.Raise(exc=ast.Call(func=ast.Name(id=name), keywords=keywords)) if name in ERRORS:
                # `**reason` has no name of its own.
                given = {keyword.arg for keyword in keywords}
                assert given & {"translation_key", None}, f"{name} without a translation"
                yield name


ERRORS = {
    "ConfigEntryAuthFailed",
    "ConfigEntryError",
    "ConfigEntryNotReady",
    "HomeAssistantError",
    "ServiceValidationError",
    "UpdateFailed",
}


def test_exception_translations() -> None:
    assert {"HomeAssistantError", "ServiceValidationError"} <= {name for _, tree in sources() for name in _raised(tree)}
    assert ENGLISH["exceptions"].keys() == JAPANESE["exceptions"].keys()


async def test_icon_translations(entities: list[RegistryEntry]) -> None:
    icons = json.loads((INTEGRATION / "icons.json").read_text())
    assert all(entity.original_icon is None for entity in entities)
    assert all(icon.startswith("mdi:") for icon in leaves(icons))
    assert icons.get("services", {}).keys() == services().keys()
    for path, tree in sources():
        assert not any(
            isinstance(node, ast.Constant) and str(node.value).startswith("mdi:") for node in ast.walk(tree)
        ), path


async def test_reconfiguration_flow(entry: MockConfigEntry) -> None:
    assert hasattr(HANDLERS[entry.domain], "async_step_reconfigure")


def test_async_dependency() -> None:
    # The command line has its process to itself, asks for a password, and writes a file.
    paths = [path for path in sorted(STACK.rglob("*.py")) if path.name != "__main__.py" and path.parent.name != "cli"]
    # Its sockets never wait: they are handed to the event loop, which has no other way to join a group.
    paths = [path for path in paths if path.parent.name != "lan"]
    assert len(paths) > 20
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text())):
            assert not _blocking(node), path


BLOCKING_MODULES = {
    *("_thread", "concurrent", "multiprocessing", "queue", "requests", "serial", "socket", "subprocess"),
    *("threading", "time"),
}
BLOCKING_CALLS = {"open", "run_in_executor", "to_thread"}


def _blocking(node: ast.AST) -> set[str]:
    """Return what waits or has threads: modules that are imported, a function that is called."""
    match node:
        case ast.Import(names=names):
            return {alias.name.partition(".")[0] for alias in names} & BLOCKING_MODULES
        case ast.ImportFrom(module="socket", names=[ast.alias(name="gaierror")]):
            return set()  # The name of an error opens no socket.
        case ast.ImportFrom(module=str(module), level=0):
            return {module.partition(".")[0]} & BLOCKING_MODULES
        case ast.Call(func=ast.Name(id=name)):
            return {name} & BLOCKING_CALLS
        case ast.Call(func=ast.Attribute(attr=name)):
            # A port has a method of that name, too.
            return {name} & (BLOCKING_CALLS - {"open"})
    return set()


def test_inject_websession() -> None:
    for path in INTEGRATION.rglob("*.py"):
        assert not re.search(
            r"^\s*(import|from) (aiohttp(?! import hdrs, web$)|httpx|requests|urllib(?!\.parse))",
            path.read_text(),
            re.MULTILINE,
        ), path


def test_strict_typing() -> None:
    assert (INTEGRATION / "aiobroute" / "py.typed").exists()
    assert re.search(r"^strict = true$", (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert "type MeterConfigEntry = ConfigEntry[MeterCoordinator]" in (INTEGRATION / "coordinator.py").read_text()


def test_a_readme_is_a_front_door() -> None:
    for readme in (README, README_JA):
        assert len(readme.read_text().splitlines()) <= FRONT_DOOR, readme.name
        assert all(script in readme.read_text() for script in ("scripts/demo", "scripts/test"))


@pytest.mark.parametrize("page", TWINS, ids=[page.stem for page in TWINS])
def test_both_languages_have_the_same_shape(page: Path) -> None:
    twin = TWINS[page]
    assert [level for level, _, _ in headings(page).values()] == [level for level, _, _ in headings(twin).values()]
    for english, japanese in zip(headings(page).values(), headings(twin).values(), strict=True):
        for mark in (r"^\|", r"^[*-] ", r"^\d\. ", r"\]\(", r"<img "):
            assert len(re.findall(mark, english[2], re.MULTILINE)) == len(
                re.findall(mark, japanese[2], re.MULTILINE)
            ), (english[1], mark)


@pytest.mark.parametrize("page", TWINS, ids=[page.stem for page in TWINS])
def test_every_page_leads_to_those_in_its_language(page: Path) -> None:
    twin = TWINS[page]
    english, japanese = {path.name for path in TWINS}, {path.name for path in TWINS.values()}
    assert _pages_behind(page) & japanese == {twin.name}
    assert _pages_behind(twin) & english == {page.name}


def _pages_behind(page: Path) -> set[str]:
    """Return the names of the files that a page has links to."""
    return {Path(target.partition("#")[0]).name for target in re.findall(r"\]\(([^)]+)\)", page.read_text())}


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)|src(?:set)?=\"([^\"]+)\"", page.read_text()):
        path, _, anchor = "".join(target).partition("#")
        if path.startswith("https:"):
            continue
        file = page.parent / path if path else page
        assert file.exists(), path
        if anchor:
            assert anchor in headings(file), anchor


def test_every_picture_is_shown() -> None:
    shown = "".join(page.read_text() for page in PAGES)
    pictures = [path for path in (ROOT / "docs" / "images").iterdir() if "-phone." not in path.name]
    assert pictures
    assert [path.name for path in pictures if path.name not in shown] == []


@pytest.mark.parametrize("lang", ["en", "ja"])
def test_every_menu_has_the_name_that_the_frontend_shows(lang: str) -> None:
    words, text = Words(lang), " ".join(guide(lang).split())
    for key in MENUS:
        assert words.frontend(key) in text, key


def test_every_menu_that_is_named_is_one_of_these() -> None:
    words = Words("ja")
    known = {
        *map(words.frontend, (*MENUS, UNKNOWN_ITEM)),
        words.ours("title"),
        words.ours(PLAN),
        words.ours("entity.sensor.history_progress.name"),
        words.ours("issues.join_refused.fix_flow.step.trouble.menu_options.form"),
        words.ours("entity.switch.record.name"),
        words.ours("options.step.menu.menu_options.keep_unknown"),
        *NAMES_OF_OTHERS,
    }
    readme = re.findall("「([^」]+)」(?=→)|(?<=→)「([^」]+)」", guide("ja"))
    texts = re.findall("「([^」{]+)」()", "".join(leaves(JAPANESE)))
    assert len(readme) > len(MENUS)
    assert {"".join(name) for name in (*readme, *texts)} <= known
