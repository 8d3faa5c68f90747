"""The command line: `python -m aiobroute read|watch|scan`."""

import argparse
import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
import getpass
import json
import logging
import os
import re
import signal
import sys

from . import (
    JST,
    BRouteError,
    Credentials,
    Pan,
    Progress,
    Reading,
    SmartMeter,
    Stage,
    connect,
    find,
)

RECONNECT_PAUSE = 10.0
"""Seconds between a failure and the next try of `watch`."""

TEXTS = {
    Stage.PROBE: "asking the port for a Wi-SUN module",
    Stage.JOIN: "joining the meter",
    Stage.READ: "reading the meter",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit status."""
    options = _parser().parse_args(arguments)
    if options.debug:
        logging.basicConfig(level=logging.DEBUG, format="%(asctime)s %(name)s %(message)s")
    try:
        return asyncio.run(_until_signal(options.command(options)))
    except BRouteError as err:
        print(f"{type(err).__name__.removesuffix('Error')}: {err}", file=sys.stderr)
        return 1


async def _until_signal(command: Coroutine[None, None, None]) -> int:
    """Run a command until it ends or the process is told to stop; that is no failure."""
    task = asyncio.ensure_future(command)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        print("stopped", file=sys.stderr)
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="aiobroute", description="Read a smart meter over Route B.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--port", required=True, help="device path or serial URL")
    common.add_argument(
        "--id",
        dest="credentials",
        type=_credentials,
        default=os.environ.get("BROUTE_ID", ""),
        help="Route-B ID, 32 hexadecimal digits (default: BROUTE_ID); the password comes from BROUTE_PASSWORD",
    )
    common.add_argument("--json", action="store_true", help="print one JSON object a line")
    common.add_argument("--debug", action="store_true", help="log what goes over the line, without credentials")
    joining = argparse.ArgumentParser(add_help=False, parents=[common])
    joining.add_argument(
        "--pan", type=_pan, help="CHANNEL:PANID:MAC as `scan` prints them in hexadecimal; then no scan is needed"
    )

    def add(
        name: str,
        run: Callable[[argparse.Namespace], Coroutine[None, None, None]],
        text: str,
        parent: argparse.ArgumentParser,
    ) -> argparse.ArgumentParser:
        command = commands.add_parser(name, parents=[parent], help=text, description=text)
        command.set_defaults(command=run)
        return command

    add("read", _read, "print one reading", joining)
    watch = add("watch", _watch, "print a reading again and again, reconnecting if need be", joining)
    watch.add_argument("--interval", type=_seconds, default=60.0, metavar="S", help="seconds (default: 60)")
    add("scan", _scan, "find the meter and print where it is on the air", common)
    return parser


def _credentials(route_b_id: str) -> Credentials:
    route_b_id = re.sub(r"\s", "", route_b_id).upper()
    if not re.fullmatch("[0-9A-F]{32}", route_b_id):
        raise argparse.ArgumentTypeError("a Route-B ID has 32 hexadecimal digits (--id or BROUTE_ID)")
    password = os.environ.get("BROUTE_PASSWORD") or getpass.getpass("Route-B password: ")
    if len(password) != 12:
        raise argparse.ArgumentTypeError("a Route-B password has 12 characters (BROUTE_PASSWORD)")
    return Credentials(route_b_id, password)


def _pan(text: str) -> Pan:
    found = re.fullmatch("([0-9A-F]{2}):([0-9A-F]{4}):([0-9A-F]{16})", text.upper())
    if found is None:
        raise argparse.ArgumentTypeError("a PAN looks like 31:8A3C:001C640003D2A1B7")
    return Pan(channel=int(found[1], 16), pan_id=int(found[2], 16), mac=found[3])


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 1 <= seconds <= 86400:
        raise argparse.ArgumentTypeError("an interval is between 1 and 86400 seconds")
    return seconds


async def _read(options: argparse.Namespace) -> None:
    async with await _connect(options) as meter:
        _print_reading(options, meter, await meter.read())


async def _watch(options: argparse.Namespace) -> None:
    while True:
        try:
            meter = await _connect(options)
            options.pan = meter.pan
            try:
                await _watch_meter(options, meter)
            except asyncio.CancelledError:
                await meter.leave()
                raise
            finally:
                await meter.close()
        except BRouteError as err:
            print(f"{err}; trying again in {RECONNECT_PAUSE:g} s", file=sys.stderr)
            await asyncio.sleep(RECONNECT_PAUSE)


async def _watch_meter(options: argparse.Namespace, meter: SmartMeter) -> None:
    loop = asyncio.get_running_loop()
    due = loop.time()
    while True:
        _print_reading(options, meter, await meter.read())
        due += options.interval
        await asyncio.sleep(due - loop.time())


async def _scan(options: argparse.Namespace) -> None:
    beacon, module = await find(options.port, options.credentials, on_progress=_progress)
    pan = beacon.pan
    _print(
        options,
        {
            "channel": f"{pan.channel:02X}",
            "pan_id": f"{pan.pan_id:04X}",
            "mac": pan.mac,
            "lqi": beacon.lqi,
            "rssi": beacon.rssi,
            "module": module.family,
            "firmware": module.firmware,
        },
    )


async def _connect(options: argparse.Namespace) -> SmartMeter:
    return await connect(options.port, options.credentials, pan=options.pan, on_progress=_progress)


def _progress(progress: Progress) -> None:
    if not sys.stderr.isatty():
        return
    scan = progress.scan
    text = f"scanning, pass {scan.number} of {scan.of}: {scan.seconds:.0f} s" if scan else TEXTS[progress.stage]
    print(text, file=sys.stderr)


def _print_reading(options: argparse.Namespace, meter: SmartMeter, reading: Reading) -> None:
    _print(
        options,
        {
            "time": datetime.now(JST).isoformat(timespec="seconds"),
            "power": reading.power,
            "current_r": reading.current_r,
            "current_t": reading.current_t,
            "energy_in": reading.energy_in,
            "energy_out": reading.energy_out,
            "rssi": reading.rssi,
            "coefficient": meter.profile.coefficient,
            "unit": meter.profile.unit,
        },
    )


def _print(options: argparse.Namespace, row: Mapping[str, object]) -> None:
    if options.json:
        # A float is printed with the fewest digits that tell it: a Decimal's own, as the counters have no more than 12.
        print(json.dumps(row, default=_number), flush=True)
    else:
        print("  ".join(f"{key} {'-' if value is None else value}" for key, value in row.items()), flush=True)


def _number(value: object) -> float:
    assert isinstance(value, Decimal)  # noqa: S101
    return float(value)


if __name__ == "__main__":
    sys.exit(main())
