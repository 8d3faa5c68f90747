"""The browser tests again and again, as on a machine that is slow and busy: see --help."""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import get_context
import os
import subprocess
import sys
import time

from tests.demo.home_assistant import PROJECT
from tests.demo.steps import say

LOGS = PROJECT / "build" / "steady"
RUNS = 20
SLOWNESS = 3.0
TOGETHER = ("-n", "4", "--dist", "loadgroup")
"""Each browser is other work beside the others; on two cores there is room for four."""


def _work() -> None:
    """Keep a core busy, at the lowest priority that still counts beside a browser."""
    os.nice(5)
    while True:
        sum(range(100_000))


@contextmanager
def other_work(processes: int) -> Iterator[None]:
    """Keep the machine busy for the length of a `with`."""
    workers = [get_context("spawn").Process(target=_work, daemon=True) for _ in range(processes)]
    for worker in workers:
        worker.start()
    try:
        yield
    finally:
        for worker in workers:
            worker.terminate()
            worker.join()


def run(number: int, slowness: float, arguments: list[str]) -> bool:
    """Run the tests once, and keep what they printed; return whether all passed."""
    log = LOGS / f"{number}.log"
    command = (sys.executable, "-m", "pytest", "tests/browser", "-q", *TOGETHER, f"--slowness={slowness}", *arguments)
    begin = time.monotonic()
    with log.open("wb") as output:
        code = subprocess.run(command, cwd=PROJECT, stdout=output, stderr=subprocess.STDOUT, check=False).returncode  # noqa: S603
    last = log.read_text(errors="replace").strip().rpartition("\n")[2]
    say(f"{number:4}  {time.monotonic() - begin:5.0f} s  {last}" + ("" if code == 0 else f"  FAILED, see {log}"))
    return code == 0


def main() -> int:
    """Do what the command line says; what it does not know goes to pytest."""
    parser = argparse.ArgumentParser(prog="scripts/steady", description=__doc__)
    parser.add_argument("runs", type=int, nargs="?", default=RUNS, help=f"how often; {RUNS} if not given")
    parser.add_argument("--slowness", type=float, default=SLOWNESS, help="how many times slower Chromium is")
    parser.add_argument("--others", type=int, default=0, help="processes that work beside all browsers")
    arguments, rest = parser.parse_known_args()
    LOGS.mkdir(parents=True, exist_ok=True)
    with other_work(arguments.others):
        failed = sum(not run(number, arguments.slowness, rest) for number in range(1, arguments.runs + 1))
    say(f"{arguments.runs} runs, {failed} with a failure")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
