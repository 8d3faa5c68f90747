"""Many simulated dongles in one process, each with a meter of its own."""

import argparse
import asyncio
from pathlib import Path
import signal

from tests.simulator import scenarios
from tests.simulator.dongle import Dongle
from tests.simulator.serve import Terminal


async def _serve(folder: Path, meters: int, speed: float) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    links = [folder / f"dongle{number}" for number in range(meters)]
    terminals = [Terminal(Dongle(scenarios.SOLAR, speed=speed), link) for link in links]
    print("ready:", *links, flush=True)
    await stop.wait()
    for terminal in terminals:
        terminal.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.bench.street", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--meters", type=int, default=50)
    parser.add_argument("--speed", type=float, default=1.0)
    arguments = parser.parse_args()
    asyncio.run(_serve(arguments.folder, arguments.meters, arguments.speed))
