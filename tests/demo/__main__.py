"""A real Home Assistant reads a simulated smart meter: see --help."""

import argparse
import asyncio
from contextlib import AsyncExitStack, contextmanager
import fcntl
import os
from pathlib import Path
import shutil
import signal
import sys
import tempfile
import traceback
from typing import TYPE_CHECKING

from tests.simulator.dongle import MODULES

from .check import answers, check
from .client import PASSWORD, USERNAME
from .environment import environment
from .home_assistant import NAMES, PROGRAM, PROJECT, RESTART, HomeAssistant, free_port, home_assistant
from .integration import add_meter, choose_for_energy, find_entry, find_sensors
from .process import StepError, tail
from .simulator import LAN, Simulator, simulator
from .steps import say, step

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator

FOLDER = PROJECT / ".demo"
PORT = 8123
NEXT_PORTS = 100
"""How many ports after the usual one are tried before any free one."""

SET_UP = 180.0
"""Seconds; a scan of all channels and two joins take one minute."""

SPEED = 4.0
"""Of the radio: a month of history is there within a minute."""


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/demo", description=__doc__)
    parser.add_argument("--lang", choices=sorted(NAMES), default="ja", help="language of the frontend and of the names")
    parser.add_argument(
        "--module",
        choices=[*sorted(MODULES), LAN],
        default="bp35c2",
        help="what is inside the dongle; lan: there is none",
    )
    parser.add_argument("--port", type=int, help=f"where the frontend is; by default {PORT} or the next that is free")
    parser.add_argument("--fresh", action="store_true", help=f"delete what earlier runs left in {FOLDER.name}/")
    parser.add_argument(
        "--check", action="store_true", help="nobody looks: compare everything with the meter, then end"
    )
    parser.add_argument(
        "--home-assistant", metavar="VERSION", help="with --check: this one, in an environment of its own"
    )
    parser.add_argument("--statistics", action="store_true", help="with --check: wait for the first statistics, too")
    arguments = parser.parse_args()
    if (arguments.statistics or arguments.home_assistant) and not arguments.check:
        parser.error("--statistics and --home-assistant go with --check")
    return arguments


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep a second demo away from the folder."""
    folder.mkdir(exist_ok=True)
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise StepError(f"another demo is running in {folder}") from None
    finally:
        os.close(handle)


def _clear(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


async def _set_up(hass: HomeAssistant, meter: Simulator) -> None:
    """Add the meter, where an earlier run has not."""
    if not await find_entry(hass.client):
        with step("the config flow sets up the meter; the radio takes its time"):
            await hass.process.unless_ended(add_meter(hass.client, answers(meter.port)), within=SET_UP)
        with step("the Energy dashboard knows the prices"):
            await choose_for_energy(hass.client, await find_sensors(hass.client))


async def _show(folder: Path, *, lang: str, module: str, port: int) -> None:
    """Let a person look until Ctrl-C."""
    async with AsyncExitStack() as stack:
        with step("the simulator offers a meter" if module == LAN else "the simulator offers a dongle"):
            meter = await stack.enter_async_context(simulator(folder, module=module, speed=SPEED))
        interface = "lo" if module == LAN else None
        while await _run(folder, meter, lang=lang, port=port, interface=interface) == RESTART:
            say("          Home Assistant wants to start again")


async def _run(folder: Path, meter: Simulator, *, lang: str, port: int, interface: str | None) -> int:
    """Run Home Assistant once and return its exit code."""
    async with AsyncExitStack() as stack:
        with step("Home Assistant starts"):
            hass = await stack.enter_async_context(home_assistant(folder, lang=lang, port=port, interface=interface))
        await _set_up(hass, meter)
        say(f"\n          {hass.address}  user {USERNAME}, password {PASSWORD}\n          Ctrl-C ends it.\n")
        code = await meter.process.unless_ended(hass.process.ended())
    if code != RESTART:
        raise StepError(f"Home Assistant ended by itself with exit code {code}", hass.process.log)
    return code


async def _demo(arguments: argparse.Namespace) -> None:
    with _alone(FOLDER):
        if arguments.fresh:
            _clear(FOLDER)
        port = free_port(*([arguments.port] if arguments.port else range(PORT, PORT + NEXT_PORTS)))
        if arguments.port not in {None, port}:
            raise StepError(f"port {arguments.port} is not free")
        await _show(FOLDER, lang=arguments.lang, module=arguments.module, port=port)


async def _check(arguments: argparse.Namespace) -> None:
    program = PROGRAM
    if arguments.home_assistant:
        with step("Home Assistant is installed"):
            program = await environment(arguments.home_assistant)
    folder = Path(tempfile.mkdtemp(prefix="broute-demo-"))
    try:
        await check(
            folder,
            lang=arguments.lang,
            module=arguments.module,
            with_statistics=arguments.statistics,
            program=program,
        )
    except StepError as err:
        # The folder stays: it has the logs.
        err.log = err.log or folder / "home-assistant.log"
        raise
    except BaseException:
        shutil.rmtree(folder)
        raise
    shutil.rmtree(folder)


async def _until_told(doing: Coroutine[None, None, None]) -> None:
    """Do something until Ctrl-C or SIGTERM; at a second one, whatever takes long to end is killed."""
    task = asyncio.ensure_future(doing)
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    await task


def main() -> int:
    """Do what the command line says."""
    arguments = _arguments()
    try:
        asyncio.run(_until_told(_check(arguments) if arguments.check else _demo(arguments)))
    except StepError as err:
        if err.log is not None:
            say(f"\n{tail(err.log)}\n\nThese were the last lines of {err.log}")
        if err.__cause__ is not None:
            traceback.print_exception(err.__cause__)
        say(f"FAILED    {err}")
        return 1
    except asyncio.CancelledError:
        say("\r          ended")
        return 1 if arguments.check else 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
