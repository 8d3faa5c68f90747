"""The command line: `python -m aiobroute scan|read|watch|properties|history|record|doctor|set`."""

import argparse
import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
import logging
import os
import signal
import sys
from threading import Timer

from . import BRouteError
from .cli.arguments import parse
from .cli.commands import COMMANDS
from .cli.console import Console

END_WITHIN = 2.5
"""Seconds after which a process that was told to stop ends, whatever it still waits for."""


def _nothing() -> None:
    """Do nothing."""


type _OnStop = Callable[[], Callable[[], object]]
"""Is called when the process is told to stop, and returns what calls off whatever that has begun."""


def main(arguments: Sequence[str] | None = None, on_stop: _OnStop = lambda: _nothing) -> int:
    """Run one command; return its exit status."""
    try:
        options = parse(arguments, COMMANDS)
        if options.debug:
            logging.basicConfig(level=logging.DEBUG, format="%(asctime)s %(name)s %(message)s")
        else:
            # Otherwise Python prints what a library warns of, beside the one line in which we say it ourselves.
            logging.basicConfig(handlers=[logging.NullHandler()])
        asyncio.run(_until_signal(options, on_stop))
        sys.stdout.flush()
    except KeyboardInterrupt:  # While the password was asked for.
        print("stopped", file=sys.stderr)
    except BrokenPipeError:
        # Such as `head`, which has seen enough. Python flushes once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except BRouteError as err:
        print(f"aiobroute: {err}", file=sys.stderr)
        return 1
    return 0


async def _until_signal(options: argparse.Namespace, on_stop: _OnStop) -> None:
    """Run a command until it ends or the process is told to stop; that is no failure."""
    # What only programs read is not told how far it is; but a person may look on.
    is_quiet = options.quiet or (options.json and not sys.stderr.isatty())
    console = options.console = Console(is_quiet=is_quiet, is_plain=options.debug)
    task = asyncio.ensure_future(options.command(options))
    loop = asyncio.get_running_loop()

    def stop(number: int) -> None:
        console.can_ask &= number == signal.SIGINT  # Whoever pressed Ctrl-C is still there.
        console.call_off = console.call_off or on_stop()
        task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop, number)
    try:
        await task
    except asyncio.CancelledError:
        console.note("stopped")
    finally:
        console.close()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


if __name__ == "__main__":

    def end(status: int) -> None:
        """End without taking apart what was loaded: where Home Assistant is beside it, that takes seconds."""
        with suppress(OSError, ValueError):
            sys.stdout.flush()
        os._exit(status)

    def hurry() -> Callable[[], object]:
        """End in time, whatever happens; return what calls that off."""
        # A thread that looks up a name, for instance, cannot be called back, and would be waited for.
        last_resort = Timer(END_WITHIN, end, (0,))
        last_resort.daemon = True
        last_resort.start()
        return last_resort.cancel

    end(main(on_stop=hurry))
