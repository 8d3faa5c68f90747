"""The command line: `python -m aiobroute scan|read|watch|properties|history|record|doctor|set`."""

import argparse
import asyncio
from collections.abc import Sequence
import logging
import os
import signal
import sys

from . import BRouteError
from .cli.arguments import parse
from .cli.commands import COMMANDS
from .cli.console import Console


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit status."""
    try:
        options = parse(arguments, COMMANDS)
        if options.debug:
            logging.basicConfig(level=logging.DEBUG, format="%(asctime)s %(name)s %(message)s")
        else:
            # Otherwise Python prints what a library warns of, beside the one line in which we say it ourselves.
            logging.basicConfig(handlers=[logging.NullHandler()])
        asyncio.run(_until_signal(options))
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


async def _until_signal(options: argparse.Namespace) -> None:
    """Run a command until it ends or the process is told to stop; that is no failure."""
    # What only programs read is not told how far it is; but a person may look on.
    is_quiet = options.quiet or (options.json and not sys.stderr.isatty())
    options.console = Console(is_quiet=is_quiet, is_plain=options.debug)
    task = asyncio.ensure_future(options.command(options))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        options.console.note("stopped")
    finally:
        options.console.close()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


if __name__ == "__main__":
    sys.exit(main())
