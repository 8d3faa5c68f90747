"""Make small mistakes at random, one after the other, and see whether the tests notice them: scripts/mutate."""

import argparse
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
import random
import secrets
import sys
from tempfile import TemporaryDirectory
import time
from typing import TYPE_CHECKING, Final

from .operators import Mutant, mutants
from .selection import Selection
from .trial import PYTEST, Trial, TrialError, Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT: Final = Path(__file__).parents[2]
INTEGRATION: Final = Path("custom_components", "broute")

PATIENCE: Final = 4.0
"""Times as long as without a mistake the tests may take, which are then stopped: the machine may be busier by then."""
MOMENT: Final = 10.0
"""Seconds that they may take in any case."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What was tried, and what the tests said."""

    survivors: Sequence[str]
    """As patches."""
    verdicts: Counter[Verdict]

    @property
    def found(self) -> float:
        """Percent of the mistakes that the tests noticed."""
        tried = self.verdicts.total()
        return 100 * (tried - self.verdicts[Verdict.SURVIVED]) / tried


def files_of(root: Path, paths: Sequence[Path]) -> list[Path]:
    """Return the source files at or below some paths, by their place in the tree.

    Raises:
        TrialError: there are none.

    """
    found = [file for path in paths for file in ([root / path] if path.suffix else sorted((root / path).rglob("*.py")))]
    if not found:
        raise TrialError(f"no file at {', '.join(map(str, paths))}")
    return [file.relative_to(root) for file in found]


def chosen(root: Path, files: Sequence[Path], count: int, seed: int) -> list[tuple[Path, Mutant]]:
    """Return some of the mistakes that can be made; the same seed chooses the same.

    Raises:
        TrialError: there is nothing to choose from.

    """
    possible = [(file, mutant) for file in files for mutant in mutants((root / file).read_text())]
    if not possible:
        raise TrialError("no mistake can be made there")
    return random.Random(seed).sample(possible, min(count, len(possible)))


def own_tests(root: Path, path: Path) -> Path:
    """Return the tests of a room of the integration, or of one of its files.

    Raises:
        TrialError: they have to be named.

    """
    name = path.relative_to(INTEGRATION) if path.is_relative_to(INTEGRATION) else path
    for tests in (Path("tests", *name.parts[:1]), Path("tests", f"test_{name.stem}.py")):
        if name.parts and (root / tests).exists():
            return tests
    raise TrialError(f"--tests has to say which tests {path} has")


def mutate(
    root: Path,
    mistakes: Sequence[tuple[Path, Mutant]],
    command: Sequence[str],
    *,
    jobs: int = 1,
    limit: float | None = None,
    tests: Sequence[str] = (),
) -> Result:
    """Make one mistake after the other in copies of a tree, and run a command that has to fail.

    Where tests for pytest are named, only those are run that execute the line of a mistake.

    Raises:
        TrialError: the command fails without a mistake, or does not run.

    """
    with TemporaryDirectory(prefix="broute-mutate-") as folder, ThreadPoolExecutor(jobs) as pool:
        trials: SimpleQueue[Trial] = SimpleQueue()
        for number in range(jobs):
            trials.put(Trial.copy(root, Path(folder, str(number)), command))
        began = time.monotonic()
        trial = trials.get()
        if tests:
            # What is made in one file is used in those beside it.
            folders = {file.parent for file, _ in mistakes}
            selection = Selection.measure(trial, tests, files_of(root, sorted(folders)), 3600, jobs=jobs)
        else:
            selection = None
            code, output = trial.run(3600)
            if code != 0:
                raise TrialError(f"the tests fail without a mistake:\n{output}")
        trials.put(trial)
        needed = time.monotonic() - began
        print(f"{needed:.1f} s without a mistake", flush=True)

        def attempt(mistake: tuple[Path, Mutant]) -> Verdict:
            trial = trials.get()
            try:
                fitting = () if selection is None else selection.of(mistake[0], mistake[1].line)
                alone = (*PYTEST, *fitting) if fitting else command
                verdict = trial.try_out(*mistake, limit or MOMENT + PATIENCE * needed, alone)
            finally:
                trials.put(trial)
            file, mutant = mistake
            print(f"{verdict.value:17}  {file}:{mutant.line}  {mutant.what}", flush=True)
            return verdict

        verdicts = list(pool.map(attempt, mistakes))
    survivors = [
        mutant.diff((root / file).read_text(), str(file))
        for (file, mutant), verdict in zip(mistakes, verdicts, strict=True)
        if verdict is Verdict.SURVIVED
    ]
    return Result(survivors=survivors, verdicts=Counter(verdicts))


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/mutate", description=__doc__)
    parser.add_argument(
        "--path", type=Path, action="append", help="file or folder to make mistakes in (the integration's energy/)"
    )
    parser.add_argument("--tests", action="append", help="that have to notice them (those of the same name)")
    parser.add_argument("--count", type=int, default=80, help="how many mistakes (80)")
    parser.add_argument("--seed", type=int, help="brings the same mistakes again (chosen by chance)")
    parser.add_argument("--jobs", type=int, default=1, help="how many at a time (1)")
    parser.add_argument("--limit", type=float, help="seconds for each (four times what the tests need without one)")
    parser.add_argument("--least", type=float, default=95, help="percent that have to be found (95)")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None, root: Path = ROOT) -> int:
    """Do what the command line says."""
    options = _arguments(arguments)
    seed = secrets.randbelow(100_000) if options.seed is None else options.seed
    paths = options.path or [INTEGRATION / "energy"]
    try:
        tests = options.tests or [str(own_tests(root, path)) for path in paths]
        mistakes = chosen(root, files_of(root, paths), options.count, seed)
        named = [f"--path {path}" for path in paths] + [f"--tests {name}" for name in tests]
        print(f"scripts/mutate --seed {seed} --count {options.count}", *named, flush=True)
        result = mutate(root, mistakes, (*PYTEST, *tests), jobs=options.jobs, limit=options.limit, tests=tests)
    except TrialError as err:
        print(f"FAILED    {err}", file=sys.stderr)
        return 2
    for survivor in result.survivors:
        print("", survivor, sep="\n")
    survived, timed_out = result.verdicts[Verdict.SURVIVED], result.verdicts[Verdict.TIMED_OUT]
    tried = result.verdicts.total()
    print(
        f"\n{tried - survived} of {tried} found, {result.found:.1f} %; {timed_out} of them by their time; seed {seed}"
    )
    return int(result.found < options.least)


if __name__ == "__main__":
    sys.exit(main())
