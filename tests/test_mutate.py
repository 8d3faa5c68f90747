"""A mistake that tests notice is found, one that they cannot notice survives, and the tree stays as it is."""

import ast
import os
from pathlib import Path
import sys

import pytest

from .mutate.__main__ import Result, chosen, files_of, main, mutate, own_tests
from .mutate.operators import Mutant, mutants
from .mutate.selection import Selection
from .mutate.trial import NOT_COPIED, PYTEST, Trial, TrialError, Verdict

ROOT = Path(__file__).parents[1]
STATISTICS = Path("custom_components", "broute", "energy", "statistics.py")
UNITTEST = (sys.executable, "-m", "unittest", "-q", "test_thing")
"""Quicker than pytest with Home Assistant's harness."""

THING = """\
def larger(a: int, b: int) -> int:
    unused = 1
    return a if a > b else b


def count(most: int) -> int:
    number = 0
    while number < most:
        number += 1
    return number
"""
TEST = """\
import unittest, thing


class Test(unittest.TestCase):
    def test(self):
        self.assertEqual((thing.larger(1, 2), thing.larger(3, 2)), (2, 3))
        self.assertEqual(thing.count(3), 3)
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    root.mkdir()
    (root / "thing.py").write_text(THING)
    (root / "test_thing.py").write_text(TEST)
    return root


def mistake(old: str, new: str) -> Mutant:
    """Return one of the mistakes that can be made in the thing."""
    text = THING.replace(old, new)
    assert text != THING
    return next(mutant for mutant in mutants(THING) if ast.dump(ast.parse(mutant.text)) == ast.dump(ast.parse(text)))


def tried(tree: Path, old: str, new: str, limit: float = 60) -> Result:
    return mutate(tree, [(Path("thing.py"), mistake(old, new))], UNITTEST, limit=limit)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("a > b", "a <= b"),
        ("number < most", "number <= most"),
        ("return number", "return None"),
    ],
)
def test_a_mistake_that_tests_notice_is_found(tree: Path, old: str, new: str) -> None:
    result = tried(tree, old, new)
    assert result.verdicts == {Verdict.FOUND: 1}
    assert result.found == 100
    assert not result.survivors


@pytest.mark.parametrize(("old", "new"), [("unused = 1", "unused = 2"), ("a > b", "a >= b")])
def test_a_harmless_mistake_survives_and_is_shown(tree: Path, old: str, new: str) -> None:
    result = tried(tree, old, new)
    assert result.verdicts == {Verdict.SURVIVED: 1}
    assert result.found == 0
    (patch,) = result.survivors
    assert "--- thing.py" in patch
    assert [line[0] for line in patch.splitlines()[3:] if line[0] != " "] == ["-", "+"]


def test_a_mistake_without_an_end_is_found_by_its_time(tree: Path) -> None:
    assert tried(tree, "number += 1", "pass", limit=2).verdicts == {Verdict.TIMED_OUT: 1}


def test_the_tree_stays_as_it_is(tree: Path) -> None:
    tried(tree, "a > b", "a <= b")
    assert (tree / "thing.py").read_text() == THING
    assert {path.name for path in tree.iterdir()} == {"thing.py", "test_thing.py"}


def test_one_mistake_does_not_stay_for_the_next(tree: Path) -> None:
    mistakes = [(Path("thing.py"), mistake(*each)) for each in (("a > b", "a <= b"), ("unused = 1", "unused = 2"))]
    result = mutate(tree, mistakes, UNITTEST, jobs=2)
    assert result.verdicts == {Verdict.FOUND: 1, Verdict.SURVIVED: 1}


@pytest.mark.parametrize("code", [0, 1])
def test_tests_that_say_nothing_are_no_measure(tree: Path, code: int) -> None:
    if code:
        (tree / "test_thing.py").write_text(TEST.replace("(2, 3)", "(2, 4)"))
    command = (
        UNITTEST if code else (sys.executable, "-c", "import sys, thing; sys.exit(5 if thing.larger(2, 2) else 5)")
    )
    with pytest.raises(TrialError, match="fail without a mistake"):
        mutate(tree, [(Path("thing.py"), mistake("a > b", "a <= b"))], command)


def test_an_exit_code_that_says_nothing_of_the_tests_is_no_verdict(tree: Path) -> None:
    trial = Trial(tree, (sys.executable, "-c", "raise SystemExit(4)"))
    with pytest.raises(TrialError, match="exit code 4"):
        trial.try_out(Path("thing.py"), mistake("a > b", "a <= b"), 60)
    assert (tree / "thing.py").read_text() == THING


@pytest.mark.parametrize("tests", ["test_thing.py", "test_thing.py::Larger::test_larger"])
@pytest.mark.parametrize("importing", ["conftest.py", "test_thing.py"])
def test_a_mistake_with_which_nothing_can_be_imported_is_found(tree: Path, importing: str, tests: str) -> None:
    (tree / importing).write_text("import thing\n")
    trial = Trial(tree, (*PYTEST, "-c", os.devnull, "--rootdir=.", "-p", "no:homeassistant", tests))
    verdict = trial.try_out(Path("thing.py"), Mutant(line=1, what="no program", text="def larger(a=1, b): ...\n"), 60)
    assert verdict is Verdict.FOUND


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("x = a <= b", {"x = (a < b)", "x = (a > b)"}),
        ("x = a is None", {"x = (a is not None)"}),
        ("x = a + b", {"x = (a - b)"}),
        ("x -= y", {"x += y", "pass"}),
        ("x = a and b", {"x = (a or b)", "x = (not a) and b", "x = a and (not b)"}),
        ("x = not a", {"x = (a)"}),
        ("x = 5", {"x = (6)", "x = (4)"}),
        ("x = True", {"x = (False)"}),
        ("x = min(a)", {"x = (max(a))"}),
        ("x = a[b:]", {"x = (a[b + 1:])", "x = (a[b:-1])"}),
        ("x = [y for y in z if y]", {"x = [y for y in z if (not y)]"}),
        ("if a:\n    b()", {"if (not a):\n    b()", "if a:\n    pass"}),
        ("def f():\n    return x", {"def f():\n    return None"}),
        ("x.y = z", {"pass"}),
        ("x = '漢字' if a else b", {"x = '漢字' if (not a) else b"}),
    ],
)
def test_what_can_be_done_wrong(source: str, expected: set[str]) -> None:
    assert {mutant.text for mutant in mutants(source)} == expected


@pytest.mark.parametrize(
    "source",
    [
        '"""A docstring."""',
        "x: int | None",
        "def f(x: int | None) -> int | str: ...",
        "_LOGGER.debug('%s', 1 + 1)",
        "_LOGGER = logging.getLogger(__name__)",
        "if TYPE_CHECKING:\n    import x",
        "@dataclass(frozen=True)\nclass X: ...",
        "type X = int | None",
        "def f():\n    return None",
    ],
)
def test_nothing_is_done_where_nothing_depends_on_it(source: str) -> None:
    assert mutants(source) == []


def test_every_mistake_is_a_program_and_another_one() -> None:
    source = (ROOT / STATISTICS).read_text()
    texts = [mutant.text for mutant in mutants(source)]
    assert len(texts) == len(set(texts)) > 50
    for text in texts[::8]:
        compile(text, STATISTICS.name, "exec")
        assert ast.dump(ast.parse(text)) != ast.dump(ast.parse(source))


def test_a_seed_chooses_the_same_again() -> None:
    files = files_of(ROOT, [STATISTICS])
    assert chosen(ROOT, files, 5, seed=1) == chosen(ROOT, files, 5, seed=1) != chosen(ROOT, files, 5, seed=2)
    assert len(chosen(ROOT, files, 5, seed=1)) == 5


def test_tests_are_those_of_the_same_name() -> None:
    integration = Path("custom_components", "broute")
    assert own_tests(ROOT, STATISTICS) == own_tests(ROOT, STATISTICS.parent) == Path("tests", "energy")
    assert own_tests(ROOT, integration / "aiobroute") == Path("tests", "aiobroute")
    assert own_tests(ROOT, integration / "repairs.py") == Path("tests", "test_repairs.py")
    with pytest.raises(TrialError):
        own_tests(ROOT, integration)


def test_what_is_not_there_is_no_success(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--path", "nothing", "--tests", "test_thing.py"], tree) == 2
    (tree / "thing.py").write_text("")
    assert main(["--path", "thing.py", "--tests", "test_thing.py"], tree) == 2
    assert "no mistake can be made" in capsys.readouterr().err
    assert ".git" in NOT_COPIED


def test_only_tests_that_execute_a_line_are_run_and_the_quickest_first() -> None:
    source = "def a():\n    if x:\n        return (\n            1 +\n            2\n        )\n    return 3\n"
    file = Path("thing.py")
    executed = {2: ["slow|run", "quick|run", "other|run"], 3: ["slow|run"], 5: ["quick|run"], 7: ["other|run", ""]}
    seconds = {"slow": 9.0, "quick": 1.0, "other": 2.0}
    selection = Selection({file: ast.parse(source)}, seconds, {file: executed})
    assert selection.of(file, 2) == ["quick", "other", "slow"]
    assert selection.of(file, 4) == ["quick", "slow"]
    # Before all tests, and by no test at all.
    assert selection.of(file, 7) == selection.of(file, 1) == ()


@pytest.mark.parametrize("first", ["", "f|run"])
def test_of_what_is_made_by_an_import_those_are_run_that_use_it(first: str) -> None:
    one = "A = 1\nB = A + 1\n\n\nclass C:\n    d = B\n    e = 2\n\n\ndef f():\n    return A\n"
    other = "def g():\n    return C.e\n\n\ndef h():\n    return C().d\n"
    files = {Path("one.py"): one, Path("other.py"): other}
    executed = {
        Path("one.py"): {**{line: [first] for line in (1, 2, 5, 6, 7, 10)}, 11: ["f|run"]},
        Path("other.py"): {1: [first], 2: ["g|run"], 5: [first], 6: ["h|run"]},
    }
    trees = {file: ast.parse(source) for file, source in files.items()}
    selection = Selection(trees, {"f": 3.0, "g": 2.0, "h": 1.0}, executed)
    assert selection.of(Path("one.py"), 1) == ["h", "g", "f"]
    assert selection.of(Path("one.py"), 6) == ["h", "g"]
    assert selection.of(Path("one.py"), 10) == ()


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize(("line", "verdict"), [(2, Verdict.SURVIVED), (6, Verdict.FOUND)])
def test_a_mistake_is_tried_out_with_the_tests_that_execute_it(
    tree: Path, line: int, verdict: Verdict, jobs: int
) -> None:
    source = "def one():\n    return 1\n\n\ndef two():\n    return 2\n"
    (tree / "pytest.ini").write_text("[pytest]\naddopts = -p no:homeassistant\n")
    (tree / "thing.py").write_text(source)
    (tree / "test_thing.py").write_text(
        "import thing\n\n\ndef test_one():\n    assert thing.one() in {0, 1}\n\n\n"
        "def test_two():\n    assert thing.two() == 2\n"
    )
    both = Mutant(line=line, what="both", text=source.replace("1", "0").replace("2", "3"))
    tests = ("test_thing.py",)
    result = mutate(tree, [(Path("thing.py"), both)], (*PYTEST, *tests), tests=tests, jobs=jobs)
    assert result.verdicts == {verdict: 1}
