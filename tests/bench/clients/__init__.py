"""Programs that read a meter, each in a process and an environment of its own; nothing here but the standard library.

A client is given a task and its options, says "ready" when it is connected, waits for a line if the task wants one, and
ends with a line of JSON: what it measured of itself.
"""

import json
from pathlib import Path
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ROUTE_B_ID = "0123456789ABCDEF0123456789ABCDEF"
PASSWORD = "0123456789AB"


def resident() -> float:
    """Return the memory of this process in MB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("the kernel tells no VmRSS")


def descriptors() -> int:
    """Return how many files this process has open."""
    # Listing them needs one itself.
    return len(list(Path("/proc/self/fd").iterdir())) - 1


def threads() -> int:
    """Return how many threads Python knows of."""
    return threading.active_count()


class Polls:
    """CPU time of the whole process, user and system, by blocks of polls."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._done = 0
        self._began = time.process_time()
        self.cpu: list[float] = []
        """ms for each poll of a block."""
        self.resident: list[float] = []
        """MB at the end of a block."""

    def end(self) -> None:
        """Count one poll."""
        self._done += 1
        if self._done % self._count == 0:
            now = time.process_time()
            self.cpu.append((now - self._began) / self._count * 1000)
            self.resident.append(resident())
            self._began = time.process_time()


def ready() -> None:
    """Say that the meter can be read now."""
    print("ready", flush=True)


def told() -> None:
    """Wait until the task goes on."""
    sys.stdin.readline()


def perform(tasks: Mapping[str, Callable[..., Any]]) -> None:
    """Do what the command line says: a task, and its options in JSON."""
    task, options = sys.argv[1], json.loads(sys.argv[2])
    print(json.dumps(tasks[task](**options)), flush=True)
