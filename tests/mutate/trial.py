"""A copy of the tree in which a mistake is made, and the tests that are to notice it."""

from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
import os
from pathlib import Path
import shutil
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .operators import Mutant

NOT_COPIED: Final = (".git", ".venv*", ".python", ".tools", ".demo", ".*_cache", "__pycache__", "build", "docs")
ENVIRONMENTS: Final = (".venv", ".venv-peers")
"""Those that tests look for beside themselves."""

PYTEST: Final = (sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider")

FAILED: Final = frozenset({1, 2})
"""Exit codes of pytest: a test has failed, or could not even be collected."""
NOT_IMPORTED: Final = ("ImportError while loading conftest", "ERROR collecting")
"""What pytest says, with the exit code of a wrong command line, if nothing can be imported because of a mistake."""


class TrialError(Exception):
    """The tests say nothing: they fail without any mistake, or do not run."""


class Verdict(Enum):
    """What the tests said of a mistake."""

    FOUND = "found"
    TIMED_OUT = "found by its time"
    SURVIVED = "SURVIVED"


@dataclass(frozen=True, slots=True)
class Trial:
    """A copy of the tree."""

    root: Path
    command: Sequence[str]
    """What runs the tests."""

    @classmethod
    def copy(cls, source: Path, root: Path, command: Sequence[str]) -> Trial:
        """Copy a tree, so that the working tree stays as it is."""
        shutil.copytree(source, root, symlinks=True, ignore=shutil.ignore_patterns(*NOT_COPIED))
        for name in ENVIRONMENTS:
            if (environment := source / name).exists():
                (root / name).symlink_to(environment.resolve())
        return cls(root, command)

    def run(self, limit: float, command: Sequence[str] | None = None) -> tuple[int | None, str]:
        """Run the tests; return the exit code, or nothing after so many seconds, and what was printed."""
        # Bytecode is kept by second and size, which two mistakes may have in common.
        surroundings = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
        with subprocess.Popen(  # noqa: S603  # our own tests
            command or self.command,
            cwd=self.root,
            env=surroundings,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        ) as process:
            try:
                output, _ = process.communicate(timeout=limit)
            except subprocess.TimeoutExpired:
                return None, ""
            else:
                return process.returncode, output
            finally:
                # What the tests have started belongs to their group.
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)

    def try_out(self, file: Path, mutant: Mutant, limit: float, command: Sequence[str] | None = None) -> Verdict:
        """Make a mistake in a file, run the tests, or a command instead, and put it right again.

        Raises:
            TrialError: the tests did not run.

        """
        path = self.root / file
        source = path.read_text()
        path.write_text(mutant.text)
        try:
            code, output = self.run(limit, command)
        finally:
            path.write_text(source)
        if code is None:
            return Verdict.TIMED_OUT
        if code and code not in FAILED and not any(words in output for words in NOT_IMPORTED):
            raise TrialError(f"exit code {code}:\n{output}")
        return Verdict.FOUND if code else Verdict.SURVIVED
