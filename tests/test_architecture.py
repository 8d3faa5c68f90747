"""The layer rule of docs/architecture.md: arrows go down only."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
INTEGRATION = ROOT / "custom_components" / "broute"
STACK = INTEGRATION / "aiobroute"

BELOW = {
    "__init__": {"echonet", "errors", "history", "meter", "module", "profile", "session", "transactions"},
    "__main__": {""},
    "meter": {
        "echonet",
        "errors",
        "history",
        "listeners",
        "module",
        "probe",
        "profile",
        "resumption",
        "session",
        "transactions",
    },
    "resumption": {"echonet", "errors", "module", "session"},
    "history": {"echonet", "errors", "profile", "transactions"},
    "transactions": {"echonet", "errors", "module", "session"},
    "profile": {"echonet", "errors"},
    "session": {"errors", "listeners", "module"},
    "probe": {"errors", "j11", "module", "port", "skstack"},
    "module": set(),
    "link": {"command", "errors", "listeners", "port"},
    "command": {"errors"},
    "listeners": set(),
    "port": {"errors", "listeners"},
    "errors": set(),
    "skstack": {"command", "errors", "module"},
    "skstack.module": {"errors", "link", "listeners", "module", "port", "skstack"},
    "j11": {"command", "errors", "module"},
    "j11.module": {"errors", "j11", "link", "listeners", "module", "port"},
    "echonet": {"errors"},
}
"""What each file or folder of aiobroute may import of aiobroute; "" is its public face."""

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


def _own_imports(path: Path) -> Iterator[str]:
    """Yield what a file of aiobroute imports of aiobroute, by its name from the top."""
    folder = path.parent.relative_to(STACK).parts
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


def test_home_assistant_files_use_the_public_face_only() -> None:
    for path in INTEGRATION.glob("*.py"):
        deep = [name for level, name in _imports(path) if level == 1 and name.startswith("aiobroute.")]
        assert not deep, f"{path.name} imports {deep}"


def test_the_simulator_knows_nothing_of_ours() -> None:
    for path in (ROOT / "tests" / "simulator").rglob("*.py"):
        foreign = [
            name for _, name in _imports(path) if name.startswith(("custom_components", "homeassistant", "aiobroute"))
        ]
        assert not foreign, f"{path.name} imports {foreign}"
