"""Many energy soaks, as many at a time as there are cores."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
import logging
from multiprocessing import get_context
import os
from pathlib import Path
import time
from typing import override

from tests.databases import Database, database, server
from tests.own_network import own_network

from .energy import EnergyResult, Make, energy_soak, sqlite
from .network import LAN

SHOWN = 5
"""So many failures of each seed are told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What all seeds have in common."""

    days: float
    module: str
    history_days: int | None
    has_costs: bool = False
    recorder: str


@dataclass(frozen=True, slots=True)
class Line:
    """What is told of a seed."""

    seed: int
    result: EnergyResult
    seconds: float
    """Of CPU, of this process; a database server's own are not in it."""

    @override
    def __str__(self) -> str:
        """Return it in one line, under `HEAD`."""
        result = self.result
        verdict = "failed" if result.failures else "ok"
        return (
            f"{self.seed:6} {result.outages.total():8} {result.hours:7} {len(result.wrong):6} {result.lost:9} "
            f"{result.warnings.total():9} {self.seconds:8.1f}  {verdict}"
        )


HEAD = "  seed  outages   hours  wrong  lost kWh  warnings  CPU sec"


def seeds_of(text: str) -> list[int]:
    """Return the numbers of a list like 1,5,9-12.

    Raises:
        ValueError: it is none.

    """
    seeds: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        seeds += range(int(first), int(last or first) + 1)
    return seeds


@contextmanager
def databases(recorder: str) -> Iterator[Callable[[int], Make]]:
    """Start what a recorder needs, and return what makes an empty database for a seed."""
    if recorder == "sqlite":
        yield lambda _: sqlite
        return
    with server(recorder) as url:
        yield lambda seed: partial(_database, recorder, url, seed)


def _database(recorder: str, url: str, seed: int, folder: Path) -> Database:
    return database(recorder, url, f"soak_{seed}", folder)


def run(order: Order, seeds: Sequence[int], tell: Callable[[str], None]) -> int:
    """Run each seed, tell a line of each and a summary, and return how many failed."""
    tell(HEAD)
    lines: list[Line] = []
    broken: list[int] = []
    with databases(order.recorder) as make, ProcessPoolExecutor(os.cpu_count(), get_context("spawn")) as pool:
        runs = {pool.submit(_run, order, seed, make(seed)): seed for seed in seeds}
        for done in as_completed(runs):
            if (error := done.exception()) is not None:
                broken.append(runs[done])
                tell(f"{runs[done]:6} broke off: {error!r}")
                continue
            line = done.result()
            lines.append(line)
            tell(str(line))
            failures = line.result.failures
            for failure in failures[:SHOWN]:
                tell(f"        {failure}")
            if len(failures) > SHOWN:
                tell(f"        and {len(failures) - SHOWN} more")
    failed = sorted([*broken, *(line.seed for line in lines if line.result.failures)])
    tell(
        f"{len(lines)} seeds, {sum(line.result.outages.total() for line in lines)} outages, "
        f"{sum(line.result.hours for line in lines)} hours checked, "
        f"{sum(len(line.result.wrong) for line in lines)} wrong, {sum(line.result.lost for line in lines)} kWh lost, "
        f"{sum(line.result.warnings.total() for line in lines)} warnings, "
        f"{sum(line.seconds for line in lines):.0f} CPU seconds"
    )
    tell(f"failed: {', '.join(map(str, failed))}" if failed else "all of them right")
    return len(failed)


def _run(order: Order, seed: int, make: Make) -> Line:
    logging.lastResort = None  # What is unexpected is in the result.
    if order.module == LAN:
        own_network()
    begin = time.process_time()
    result = energy_soak(
        order.days,
        seed,
        module=order.module,
        history_days=order.history_days,
        has_costs=order.has_costs,
        make=make,
    )
    return Line(seed, result, time.process_time() - begin)
