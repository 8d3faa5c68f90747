"""Which tests execute a line, so that a mistake in it is tried out with these alone, the quickest first."""

import ast
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree as ET

from coverage import CoverageData

from .trial import PYTEST, TrialError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .trial import Trial

DATA: Final = ".mutate.coverage"
SETTINGS: Final = ".mutate.ini"
TIMES: Final = ".mutate.xml"


@dataclass(frozen=True, slots=True)
class Selection:
    """What was executed by which test."""

    trees: Mapping[Path, ast.Module]
    """The files in which mistakes are made, as they are without one."""
    seconds: Mapping[str, float]
    """What each test needs."""
    lines: Mapping[Path, Mapping[int, Sequence[str]]]
    """The tests that execute each line of each file; one without a name is what happens before all tests.

    What is outside of functions is executed before all tests, or by the first test that needs the file.
    """

    @classmethod
    def measure(
        cls, trial: Trial, tests: Sequence[str], files: Sequence[Path], limit: float, *, jobs: int = 1
    ) -> Selection:
        """Run all tests once, some at a time, and see what they do.

        Raises:
            TrialError: they fail without a mistake.

        """
        root = trial.root
        included = "\n    ".join(str(root / file) for file in files)
        (root / SETTINGS).write_text(f"[run]\ncore = ctrace\ndata_file = {root / DATA}\ninclude =\n    {included}\n")
        measured = ("-o", "timeout=0", "--cov", f"--cov-config={SETTINGS}", "--cov-context=test", "--cov-report=")
        beside = ("-n", str(jobs)) if jobs > 1 else ()
        timed = (f"--junitxml={TIMES}", "-o", "junit_family=xunit1")
        code, output = trial.run(limit, (*PYTEST, *measured, *timed, *beside, *tests))
        if code != 0:
            raise TrialError(f"the tests fail without a mistake:\n{output}")
        data = CoverageData(str(root / DATA))
        data.read()
        return cls(
            {file: ast.parse((root / file).read_text()) for file in files},
            {
                f"{case.get('file')}::{case.get('name')}": float(case.get("time", 0))
                for case in ET.parse(root / TIMES).iter("testcase")  # noqa: S314  # pytest wrote it
            },
            {file: data.contexts_by_lineno(str(root / file)) for file in files},
        )

    def of(self, file: Path, line: int) -> Sequence[str]:
        """Return the tests that execute the statement at a line, the quickest first, or none if all may."""
        names = self._executing(file, line)
        if "" in names or _is_imported(self.trees[file], line):
            names = self._using(file, line)
        if not names or not names <= self.seconds.keys():
            return ()
        return sorted(names, key=lambda name: self.seconds[name])

    def _executing(self, file: Path, line: int) -> set[str]:
        """Return the tests that execute the statement at a line; one without a name is what comes before."""
        executed = self.lines[file]
        numbers = _statement(self.trees[file], line)
        return {name.partition("|")[0] for number in numbers for name in executed.get(number, ())}

    def _using(self, file: Path, line: int) -> set[str]:
        """Return the tests that execute statements in which what is made there, before all tests, is named."""
        tests: set[str] = set()
        due, seen = _made(self.trees[file], line), set[str]()
        while due:
            seen.add(name := due.pop())
            for other, tree in self.trees.items():
                for place in _places(tree, name):
                    executing = self._executing(other, place)
                    is_imported = _is_imported(tree, place)
                    tests |= set() if is_imported else executing - {""}
                    due |= (_made(tree, place) if is_imported or "" in executing else set()) - seen
        return tests


def _is_imported(tree: ast.Module, line: int) -> bool:
    """Return whether a line is outside of functions: who imports it first executes it, for all others."""
    functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return not any(node.body[0].lineno <= line <= (node.end_lineno or 0) for node in functions)


def _made(tree: ast.Module, line: int) -> set[str]:
    """Return the names that the statements of a file, and of its classes, at a line make."""
    made: set[str] = set()
    for room in ast.walk(tree):
        for node in room.body if isinstance(room, ast.Module | ast.ClassDef) else ():
            if not node.lineno <= line <= (node.end_lineno or 0):
                continue
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                made.add(node.name)
            else:
                names = (each for each in ast.walk(node) if isinstance(each, ast.Name))
                made |= {each.id for each in names if isinstance(each.ctx, ast.Store)}
    return made


def _places(tree: ast.Module, name: str) -> set[int]:
    """Return the lines at which a name is used."""
    return {
        node.lineno
        for node in ast.walk(tree)
        if (isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Load))
        or (isinstance(node, ast.Attribute) and node.attr == name)
    }


def _statement(tree: ast.Module, line: int) -> range:
    """Return the lines of the smallest statement at a line; of one that has others within, those above them."""
    first, last = line, line
    for node in ast.walk(tree):
        if isinstance(node, ast.stmt) and node.lineno <= line <= (node.end_lineno or 0):
            body = getattr(node, "body", None)
            end = min(each.lineno for each in body) - 1 if body else node.end_lineno or node.lineno
            if line <= end:
                first, last = node.lineno, end
    return range(first, last + 1)
