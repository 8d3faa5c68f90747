"""Let the pages of a browser run for a part of the time only: python -m tests.browser.slow_pages PID SLOWNESS.

What Chromium offers for that itself keeps a core busy also while a page waits, and no more than two browsers fit on two
cores then.
"""

from collections.abc import Iterator
from contextlib import suppress
import signal
import sys
import time

import psutil

RUNS = 0.01
"""Seconds for which a page may run before it is stopped."""

LOOKS = 0.25
"""Seconds until new pages are looked for."""


def main() -> None:
    """Slow the pages of a browser down until it is gone, or this is told to end."""
    browser, slowness = psutil.Process(int(sys.argv[1])), float(sys.argv[2])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    pages, looked = list(_pages(browser)), time.monotonic()
    print("slow", flush=True)  # noqa: T201  # whoever started this waits for it
    try:
        while browser.is_running():
            begin = time.monotonic()
            if begin - looked > LOOKS:
                pages, looked = list(_pages(browser)), begin
            time.sleep(RUNS)
            _signal(pages, signal.SIGSTOP)
            time.sleep((time.monotonic() - begin) * (slowness - 1))
            _signal(pages, signal.SIGCONT)
    finally:
        _signal(pages, signal.SIGCONT)


def _pages(browser: psutil.Process) -> Iterator[psutil.Process]:
    with suppress(psutil.NoSuchProcess):
        for child in browser.children(recursive=True):
            with suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
                if "--type=renderer" in child.cmdline():
                    yield child


def _signal(pages: list[psutil.Process], number: signal.Signals) -> None:
    for page in pages:
        with suppress(psutil.NoSuchProcess):
            page.send_signal(number)


if __name__ == "__main__":
    main()
