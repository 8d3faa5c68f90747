"""The layer rules of docs/architecture.md: arrows go down only."""

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path
import re

import pytest

ROOT = Path(__file__).parents[1]
INTEGRATION = ROOT / "custom_components" / "broute"
STACK = INTEGRATION / "aiobroute"

BELOW = {
    "__init__": {
        *("address", "causes", "doctor", "echonet", "errors", "history", "listeners", "meter", "module", "profile"),
        *("leaving", "node", "probe", "recording", "session", "transactions"),
    },
    "__main__": {"", "cli"},
    "cli": {"", "doctor", "lan", "recording", "records"},
    "lan": {
        *("echonet", "errors", "listeners", "meter", "node", "profile", "resumption", "session", "transactions"),
    },
    "node": {"address", "errors"},
    "records": {"echonet", "errors"},
    "records.checker": set(),
    "doctor": {
        *("address", "causes", "echonet", "errors", "listeners", "meter", "module", "probe", "session"),
        "transactions",
    },
    "recording": {
        *("echonet", "errors", "leaving", "listeners", "meter", "module", "records", "transactions"),
    },
    "leaving": {"errors", "meter"},
    "causes": {"errors"},
    "meter": {
        "capacity",
        "echonet",
        "errors",
        "history",
        "listeners",
        "module",
        "probe",
        "path",
        "profile",
        "refusals",
        "resumption",
        "session",
        "transactions",
    },
    "path": {"errors"},
    "resumption": {"echonet", "errors", "module", "session"},
    "history": {"capacity", "echonet", "errors", "profile", "transactions"},
    "transactions": {"capacity", "echonet", "errors", "path", "refusals", "session"},
    "refusals": set(),
    "capacity": set(),
    "profile": {"echonet", "errors"},
    "session": {"errors", "listeners", "module"},
    "probe": {"address", "errors", "j11", "listeners", "module", "port", "skstack"},
    "module": set(),
    "link": {"command", "errors", "listeners", "port"},
    "command": {"errors"},
    "listeners": set(),
    "port": {"address", "errors", "listeners", "outage"},
    "outage": {"address", "errors"},
    "address": set(),
    "errors": set(),
    "skstack": {"command", "errors", "module"},
    "skstack.module": {"errors", "link", "listeners", "module", "port", "skstack"},
    "j11": {"command", "errors", "module"},
    "j11.module": {"errors", "j11", "link", "listeners", "module", "port"},
    "echonet": {"errors"},
}
"""What each file or folder of aiobroute may import of aiobroute; "" is its public face."""

HOME = {
    "__init__": {
        "actions",
        "aiobroute",
        "const",
        "coordinator",
        "dongle.ports",
        "energy.accounting",
        "energy.backfill",
        "energy.dashboard",
        "energy.price_entities",
        "energy.prices",
        "energy.store",
        "export",
        "repairs",
        "reports",
        "takeover.built_in",
    },
    "config_flow": {
        "aiobroute",
        "aiobroute.lan",
        "const",
        "coordinator",
        "dongle.credentials",
        "dongle.ports",
        "dongle.progress",
        "dongle.sharing",
        "energy.dashboard",
        "exchange",
        "nodes",
        "opening",
        "options_flow",
        "plan_flow",
        "progress_end",
        "repairs",
        "takeover.built_in",
        "words",
    },
    "sensor": {
        "aiobroute",
        "const",
        "coordinator",
        "cost_sensor",
        "demand_sensor",
        "energy.accounts",
        "energy.details",
        "energy.plausibility",
        "entity",
    },
    "binary_sensor": {"coordinator", "entity"},
    "switch": {"const", "coordinator", "entity", "reports"},
    "reports": {"const", "report", "words"},
    "report": {"aiobroute", "aiobroute.recording", "const", "dongle.sharing", "export"},
    "actions": {"aiobroute", "answers", "const", "coordinator", "energy.length", "energy.source", "export", "reports"},
    "answers": {"aiobroute", "energy.bill", "energy.records", "energy.terms"},
    "export": {"const", "coordinator", "energy.length", "energy.records", "words"},
    "media_source": {"const", "export"},
    "diagnostics": {"const", "coordinator", "dongle.journal", "dongle.sharing"},
    "entity": {"const", "coordinator", "devices"},
    "words": {"const"},
    "devices": {"const", "words"},
    "options_flow": {
        "const",
        "dongle.sharing",
        "energy.backfill",
        "energy.continued",
        "energy.dashboard",
        "energy.ledger",
        "energy.recorder",
        "energy.source",
        "reports",
        "words",
    },
    "coordinator": {
        "aiobroute",
        "connection",
        "const",
        "devices",
        "dongle.journal",
        "dongle.overdue",
        "dongle.reauth",
        "dongle.sharing",
        "energy.accounting",
        "energy.backfill",
        "energy.details",
        "energy.source",
        "repairs",
    },
    "repairs": {"aiobroute", "cause_flow", "const", "devices", "dongle.reauth", "exchange"},
    "exchange": {"aiobroute", "const", "opening"},
    "connection": {"aiobroute", "const", "dongle.journal", "dongle.sharing", "nodes", "opening"},
    "opening": {"aiobroute", "aiobroute.lan", "const", "nodes"},
    "nodes": {"aiobroute", "aiobroute.lan", "const"},
    "cause_flow": {"aiobroute", "aiobroute.doctor", "const", "dongle.sharing", "progress_end", "words"},
    "progress_end": set(),
    "const": set(),
    "dongle.credentials": {"const"},
    "dongle.journal": set(),
    "dongle.overdue": set(),
    "dongle.ports": {"const"},
    "dongle.progress": {"aiobroute"},
    "dongle.reauth": {"const"},
    "dongle.sharing": {"const"},
    "energy.backfill": {
        "aiobroute",
        "const",
        "energy.continued",
        "energy.intake",
        "energy.ledger",
        "energy.missing",
        "energy.recorder",
        "energy.source",
        "energy.statistics",
        "energy.store",
    },
    "energy.kept": set(),
    "energy.intake": {"aiobroute", "energy.demand", "energy.details", "energy.ledger"},
    "energy.missing": {
        "aiobroute",
        "energy.demand",
        "energy.intake",
        "energy.ledger",
        "energy.source",
        "energy.statistics",
    },
    "energy.source": {"aiobroute", "energy.details"},
    "energy.details": {"aiobroute", "energy.statistics"},
    "energy.continued": {"energy.ledger", "energy.statistics"},
    "energy.recorder": {"energy.continued", "energy.ledger", "energy.statistics"},
    "energy.plausibility": {"aiobroute", "energy.statistics"},
    "energy.statistics": {"aiobroute", "energy.ledger"},
    "energy.store": {"aiobroute", "const", "energy.ledger"},
    "energy.ledger": {"aiobroute"},
    "energy.bill": {"aiobroute", "energy.demand", "energy.tariff"},
    "energy.cost_rows": {"energy.bill", "energy.ledger", "energy.recorder", "energy.statistics", "energy.tariff"},
    "energy.demand": {"energy.ledger"},
    "energy.terms": set(),
    "energy.tariff": {"aiobroute", "energy.terms"},
    "energy.price_entities": {"const", "energy.prices"},
    "energy.first_plan": {"const", "energy.dashboard", "energy.plans", "energy.price_history"},
    "energy.dashboard": {"const"},
    "takeover.built_in": {"const", "takeover.move"},
    "takeover.move": {"const"},
    "dongle.__init__": set(),
    "demand_sensor": {"coordinator", "energy.demand", "energy.ledger", "entity"},
    "cost_sensor": {
        "aiobroute",
        "coordinator",
        "devices",
        "energy.accounts",
        "energy.dashboard",
        "energy.figures",
        "entity",
    },
    "plan_flow": {
        "aiobroute",
        "const",
        "energy.dashboard",
        "energy.ledger",
        "energy.plan_text",
        "energy.plans",
        "energy.price_history",
        "energy.recorder",
        "energy.tariff",
        "energy.terms",
        "words",
    },
    "energy.accounting": {"const", "energy.accounts", "energy.backfill", "energy.source"},
    "energy.accounts": {
        "aiobroute",
        "const",
        "energy.backfill",
        "energy.bill",
        "energy.cost_rows",
        "energy.dashboard",
        "energy.demand",
        "energy.figures",
        "energy.first_plan",
        "energy.half_hours",
        "energy.kept",
        "energy.ledger",
        "energy.length",
        "energy.plans",
        "energy.price_history",
        "energy.prices",
        "energy.recorder",
        "energy.records",
        "energy.source",
        "energy.statistics",
        "energy.tariff",
        "energy.terms",
    },
    "energy.figures": {"aiobroute", "energy.bill", "energy.demand", "energy.tariff"},
    "energy.half_hours": {"energy.ledger"},
    "energy.length": set(),
    "energy.records": {"aiobroute", "energy.bill", "energy.demand", "energy.length", "energy.tariff"},
    "energy.plan_text": set(),
    "energy.plans": {"const", "energy.plan_text", "energy.tariff", "energy.terms"},
    "energy.price_history": {"energy.ledger", "energy.recorder"},
    "energy.prices": {"aiobroute", "const", "energy.ledger", "energy.price_history", "energy.recorder"},
    "energy.__init__": set(),
    "takeover.__init__": set(),
}
"""What each file that knows Home Assistant may import of ours, also for type checkers and within a function."""

RECORDER_USERS = {"energy/price_history.py", "energy/recorder.py", "takeover/move.py"}
"""The first only reads; statistics are written by the second, and renamed by the third for those who move over."""

PURE = ("echonet", "j11", "skstack")
IMPURE = {"asyncio", "random", "serialx", "time"}


def _imports(path: Path) -> Iterator[tuple[int, str]]:
    """Yield (level, dotted name) of each import; a `from . import a` counts as the file `a`."""
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Import(names=names):
                yield from ((0, alias.name) for alias in names)
            case ast.ImportFrom(module=None, level=level, names=names):
                files = [alias.name for alias in names if (path.parent / f"{alias.name}.py").exists()]
                yield from ((level, name) for name in files or [""])
            case ast.ImportFrom(module=str(module), level=level):
                yield level, module


def _own_imports(path: Path, top: Path = STACK) -> Iterator[str]:
    """Yield what a file below some folder imports of that folder, by its name from there."""
    folder = path.parent.relative_to(top).parts
    for level, name in _imports(path):
        if level:
            parts = (*folder[: len(folder) - level + 1], *filter(None, name.split(".")))
            yield ".".join(parts)


def _layer(path: Path) -> str:
    name = ".".join(path.relative_to(STACK).with_suffix("").parts)
    return name if name in BELOW else name.split(".")[0]


@pytest.mark.parametrize("path", sorted(STACK.rglob("*.py")), ids=lambda path: str(path.relative_to(STACK)))
def test_aiobroute_imports_only_what_is_below(path: Path) -> None:
    layer = _layer(path)
    folder = layer.split(".")[0] if (STACK / layer.split(".")[0]).is_dir() else None
    for name in _own_imports(path):
        top = name.split(".")[0]
        assert top in BELOW[layer] or top == folder, f"{path.name} imports {name or 'the public face'}"


@pytest.mark.parametrize("folder", PURE)
def test_decoding_and_commands_do_no_io(folder: str) -> None:
    for path in (STACK / folder).glob("*.py"):
        if path.name != "module.py":
            assert not {name.split(".")[0] for level, name in _imports(path) if not level} & IMPURE, path


def test_aiobroute_does_not_know_home_assistant() -> None:
    for path in STACK.rglob("*.py"):
        assert not [name for level, name in _imports(path) if not level and name.startswith("homeassistant")]


def test_serialx_is_used_in_one_file() -> None:
    users = {path.name for path in STACK.rglob("*.py") for level, name in _imports(path) if name == "serialx"}
    assert users == {"port.py"}


HOME_FILES = sorted(path for path in INTEGRATION.rglob("*.py") if not path.is_relative_to(STACK))


def _home_imports(path: Path) -> set[str]:
    """Return what a file that knows Home Assistant imports of ours; a folder counts as its public face."""
    return {f"{name}.__init__" if f"{name}.__init__" in HOME else name for name in _own_imports(path, INTEGRATION)}


def _home_name(path: Path) -> str:
    return ".".join(path.relative_to(INTEGRATION).with_suffix("").parts)


@pytest.mark.parametrize("path", HOME_FILES, ids=_home_name)
def test_a_home_assistant_file_imports_what_its_row_says(path: Path) -> None:
    # Of aiobroute only the public face is in a row, and what is not part of it because few homes need it.
    assert not _home_imports(path) - HOME[_home_name(path)]


def test_there_is_a_row_for_each_home_assistant_file() -> None:
    assert {_home_name(path) for path in HOME_FILES} == set(HOME)


@pytest.mark.parametrize("table", [BELOW, HOME], ids=["aiobroute", "Home Assistant"])
def test_no_circle(table: dict[str, set[str]]) -> None:
    # Raises CycleError, which tells the circle.
    list(TopologicalSorter({name: below - {name} for name, below in table.items()}).static_order())


def test_rooms_do_not_know_each_other() -> None:
    for name, below in HOME.items():
        room, _, file = name.rpartition(".")
        if room and file:
            assert {each.partition(".")[0] for each in below} <= {room, "const", "aiobroute"}, name


def test_the_recorder_is_touched_in_few_files() -> None:
    users = {
        str(path.relative_to(INTEGRATION))
        for path in HOME_FILES
        for level, name in _imports(path)
        if not level and name.startswith(("homeassistant.components.recorder", "sqlalchemy"))
    }
    assert users == RECORDER_USERS


def test_the_table_of_home_assistant_files_is_that_of_the_page() -> None:
    page = (
        (ROOT / "docs" / "architecture.md").read_text().partition("## The Home Assistant side")[2].partition("\n## ")[0]
    )
    rows = dict(re.findall(r"^\| `([\w/]+)\.py` \|.*\| ([^|]*) \|$", page, re.MULTILINE))
    told = {name.replace("/", "."): set(re.findall(r"[\w.]+", cell)) for name, cell in rows.items()}
    assert told == {name: below for name, below in HOME.items() if not name.endswith(".__init__")}


def test_the_simulator_knows_nothing_of_ours() -> None:
    for path in (ROOT / "tests" / "simulator").rglob("*.py"):
        foreign = [
            name for _, name in _imports(path) if name.startswith(("custom_components", "homeassistant", "aiobroute"))
        ]
        assert not foreign, f"{path.name} imports {foreign}"


@pytest.mark.parametrize("name", ["bill", "cost_rows", "demand", "plans", "prices", "tariff"])
def test_money_is_never_a_binary_number(name: str) -> None:
    """A tenth of a yen is none: what is counted and paid is Decimal, or whole millionths."""
    tree = ast.parse((INTEGRATION / "energy" / f"{name}.py").read_text())
    for node in ast.walk(tree):
        assert not (isinstance(node, ast.Constant) and isinstance(node.value, float)), ast.unparse(node)
        assert not (isinstance(node, ast.Name) and node.id == "float"), ast.unparse(node)
