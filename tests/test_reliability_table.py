"""The tables and pictures of the documentation, held to what they describe."""

import ast
from pathlib import Path
import re

from custom_components.broute.aiobroute.module import ModuleEvent
from custom_components.broute.aiobroute.session import TRANSITIONS, State

TESTS = Path(__file__).parent
DOCS = TESTS.parent / "docs"


def functions() -> set[str]:
    trees = (ast.parse(file.read_text()) for file in TESTS.rglob("test_*.py"))
    return {
        node.name
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


def test_each_row_of_the_fault_table_names_a_test() -> None:
    rows = [
        line
        for line in (DOCS / "reliability.md").read_text().partition("\n## A month")[0].splitlines()
        if line.startswith("| ") and not line.startswith("| fault ")
    ]
    named = [re.findall(r"`(test_\w+)` \|$", row) for row in rows]
    assert len(rows) >= 30
    assert all(len(names) == 1 for names in named)
    assert {names[0] for names in named} <= functions()


def test_the_picture_of_the_states_shows_the_table() -> None:
    picture = (DOCS / "architecture.md").read_text().split("stateDiagram-v2")[1].split("```")[0]
    arrows = re.findall(r"(\w+) --> (\w+): (.*)", picture)
    drawn = {
        (State[before], ModuleEvent[event], State[after])
        for before, after, events in arrows
        for event in re.findall(r"[A-Z_]{3,}(?= ?(?:\(|,|$))", events.replace("EVENT ", ""))
    }
    assert drawn == {(before, event, after) for (before, event), after in TRANSITIONS.items()}
