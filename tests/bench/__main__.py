"""Measure this project's stack beside others, on the same simulated meter."""

import argparse
import asyncio
from datetime import UTC, datetime
from importlib import metadata
import json
import os
from pathlib import Path
import platform
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from .figures import Figure, figures
from .measurements import BUSY, FULL, IDLE, QUICK, STAGGER, Extent, Measurement, Samples
from .report import bars, markdown, picture, table
from .stacks import PEERS, ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PAGE = ROOT / "docs" / "performance.md"
PICTURE = ROOT / "docs" / "performance.png"
BEGIN, END = "<!-- figures -->\n", "<!-- end of figures -->\n"


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="everything in a minute, in too few rounds to be quoted")
    parser.add_argument("--json", action="store_true", help="print the samples, the versions and the machine as JSON")
    parser.add_argument(
        "--check", action="store_true", help="fail if a target is missed by more than 20 %%, or a figure is not there"
    )
    parser.add_argument(
        "--statistics", action="store_true", help="measure only what a database of ten years costs to bring in line"
    )
    parser.add_argument("--write", action="store_true", help="put table and picture into docs/performance.md")
    return parser.parse_args(arguments)


def machine() -> dict[str, Any]:
    """Return what the figures depend on, but no name of the machine."""
    peers = subprocess.run(  # noqa: S603  # our own program
        [PEERS, "-m", "tests.bench.versions"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    model = next(
        (line.partition(": ")[2] for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line),
        platform.machine(),
    )
    versions = {name: metadata.version(name) for name in ("homeassistant", "serialx")}
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "processor": model,
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "versions": {**versions, **json.loads(peers.stdout)},
    }


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


async def measure(extent: Extent) -> dict[str, Figure]:
    """Do everything, round for round."""
    measured = figures()

    def keep(samples: Samples) -> None:
        for key, by_stack in samples.items():
            for stack, value in by_stack.items():
                measured[key].samples.setdefault(stack, []).append(value)

    async def begin_later(measurement: Measurement, number: int, place: int) -> Samples:
        await asyncio.sleep(place * STAGGER / extent.pace)
        return await measurement(extent, number)

    # Files are read and compiled once, so that the first round is like the others.
    for measurement in BUSY[:2]:
        await measurement(QUICK, 0)
    _say("waiting for the radio, all rounds at once")
    waits = [(measurement, number) for number in range(extent.rounds) for measurement in IDLE]
    tasks = [begin_later(measurement, number, place) for place, (measurement, number) in enumerate(waits)]
    for samples in await asyncio.gather(*tasks):
        keep(samples)
    for number in range(extent.rounds):
        for measurement in BUSY:
            _say(f"round {number + 1} of {extent.rounds}: {measurement.__name__}")
            keep(await measurement(extent, number))
    return measured


def write(measured: Mapping[str, Figure], facts: Mapping[str, Any]) -> None:
    """Put the figures into the page, between its marks, and draw the picture."""
    versions = ", ".join(f"{name} {version}" for name, version in facts["versions"].items())
    hardware = f"{facts['processor']}, {facts['cores']} cores, load {facts['load']:.0f}"
    caption = f"{facts['date']}, {hardware}, Python {facts['python']}, {versions}"
    before, _, rest = PAGE.read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    PAGE.write_text(f"{before}{BEGIN}{caption}.\n\n{markdown(measured)}\n\n```\n{bars(measured)}\n```\n{END}{after}")
    PICTURE.write_bytes(picture(measured, caption))


def _statistics(*, is_check: bool) -> int:
    from .ten_years import run  # noqa: PLC0415  # Home Assistant is loaded for this one only

    measured = run()
    for figure in measured.values():
        limit = "" if figure.limit is None else f"at most {figure.limit:g}"
        print(f"{figure.title:<58} {figure.ours:8.1f} {figure.unit:<3} {limit}")
    missed = [figure.title for figure in measured.values() if list(figure.misses())]
    for title in missed:
        _say(f"missed: {title}")
    return 1 if missed and is_check else 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says."""
    options = _arguments(arguments)
    if options.statistics:
        return _statistics(is_check=options.check)
    facts = machine()
    measured = asyncio.run(measure(QUICK if options.quick else FULL))
    if options.json:
        samples = {key: figure.samples for key, figure in measured.items()}
        print(json.dumps({"machine": facts, "quick": options.quick, "figures": samples}, indent=2))
    else:
        print(table(measured), bars(measured), sep="\n\n")
    if options.write:
        write(measured, facts)
    failures = [failure for figure in measured.values() for failure in figure.failures()]
    for failure in failures:
        _say(f"missed: {failure}")
    return 1 if failures and options.check else 0


if __name__ == "__main__":
    sys.exit(main())
