"""The command line: `python -m aiobroute read|watch|scan|properties|history|set`."""

import argparse
import asyncio
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from contextlib import suppress
from datetime import date, datetime, time, timedelta
from decimal import Decimal
import getpass
import json
import logging
import os
import re
import signal
import sys

from . import (
    INSTALLATION_LOCATION,
    JST,
    NOTIFICATION_MAP,
    PROPERTIES,
    SET_MAP,
    BRouteError,
    Counts,
    Credentials,
    Day,
    DayHistory,
    Direction,
    FixedTimeCount,
    HistoryError,
    HistorySelector,
    HistorySpan,
    JoinRefusedError,
    MeterProfile,
    MeterRefusedError,
    MinuteCounts,
    NoHistoryError,
    Notification,
    Pan,
    Progress,
    Reading,
    SessionLostError,
    SmartMeter,
    Stage,
    connect,
    find,
)


class MissingError(BRouteError):
    """Something of what was asked for was not told."""


RECONNECT_PAUSE = 10.0
"""Seconds between a failure and the next try of `watch`."""
LEAVE_WITHIN = 1.0
"""Seconds for the end of the session, once somebody wants to stop."""

TEXTS = {
    Stage.PROBE: "asking the port for a Wi-SUN module",
    Stage.JOIN: "joining the meter",
    Stage.WAIT: "the meter does not answer yet; waiting for up to twelve minutes",
    Stage.READ: "reading the meter",
}

DIRECTIONS = {Direction.IN: "energy_in", Direction.OUT: "energy_out"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit status."""
    options = _parser().parse_args(arguments)
    if options.debug:
        logging.basicConfig(level=logging.DEBUG, format="%(asctime)s %(name)s %(message)s")
    else:
        # Otherwise Python prints what a library warns of, beside the one line in which we say it ourselves.
        logging.basicConfig(handlers=[logging.NullHandler()])
    try:
        status = asyncio.run(_until_signal(options.command(options)))
        sys.stdout.flush()
    except BrokenPipeError:
        # Such as `head`, which has seen enough. Python flushes once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except BRouteError as err:
        print(f"{type(err).__name__.removesuffix('Error')}: {err}", file=sys.stderr)
        return 1
    return status


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
        help="Route B ID, 32 hexadecimal digits (default: BROUTE_ID); the password comes from BROUTE_PASSWORD",
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
    add("properties", _properties, "print every property that the meter names", joining)
    history = add("history", _history, "print the half-hours that the meter remembers, in kWh", joining)
    which = history.add_mutually_exclusive_group()
    which.add_argument("--days", type=_days, default=1, metavar="N", help="today and the days before (default: 1)")
    which.add_argument("--date", type=date.fromisoformat, metavar="D", help="one day, such as 2026-11-23")
    history.add_argument("--csv", action="store_true", help="print comma-separated values")
    setting = add("set", _set, "set a property of the meter", joining)
    setting.add_argument("property", choices=["installation-location"])
    setting.add_argument("value", type=_byte, help="one byte in hexadecimal, such as 08")
    add("scan", _scan, "find the meter and print where it is on the air", common)
    return parser


def _credentials(route_b_id: str) -> Credentials:
    route_b_id = re.sub(r"\s", "", route_b_id).upper()
    if not re.fullmatch("[0-9A-F]{32}", route_b_id):
        raise argparse.ArgumentTypeError("a Route B ID has 32 hexadecimal digits (--id or BROUTE_ID)")
    password = os.environ.get("BROUTE_PASSWORD") or getpass.getpass("Route B password: ")
    if len(password) != 12:
        raise argparse.ArgumentTypeError("a Route B password has 12 characters (BROUTE_PASSWORD)")
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


def _days(text: str) -> int:
    days = int(text)
    if not 1 <= days <= 100:
        raise argparse.ArgumentTypeError("a meter remembers between 1 and 100 days")
    return days


def _byte(text: str) -> int:
    if not re.fullmatch("[0-9A-Fa-f]{1,2}", text):
        raise argparse.ArgumentTypeError("one byte has two hexadecimal digits")
    return int(text, 16)


async def _read(options: argparse.Namespace) -> None:
    async with await _connect(options) as meter:
        reading = await meter.read()
        _print_reading(options, meter, reading)
    _check(reading.refused)


async def _watch(options: argparse.Namespace) -> None:
    family = None
    while True:
        told: asyncio.Queue[Notification | SessionLostError] = asyncio.Queue()
        try:
            meter = await connect(
                options.port,
                options.credentials,
                family=family,
                pan=options.pan,
                on_progress=_progress,
                on_notification=told.put_nowait,
                on_lost=told.put_nowait,
            )
            family, options.pan = meter.module.family, meter.pan
            try:
                await _watch_meter(options, meter, told)
            except asyncio.CancelledError:
                # In the middle of a command, the port is closed by now; a silent module must not keep a person waiting.
                with suppress(BRouteError, TimeoutError):
                    async with asyncio.timeout(LEAVE_WITHIN):
                        await meter.leave()
                raise
            finally:
                await meter.close()
        except JoinRefusedError:
            raise
        except BRouteError as err:
            print(f"{err}; trying again in {RECONNECT_PAUSE:g} s", file=sys.stderr)
            await asyncio.sleep(RECONNECT_PAUSE)


async def _watch_meter(
    options: argparse.Namespace, meter: SmartMeter, told: asyncio.Queue[Notification | SessionLostError]
) -> None:
    due = asyncio.get_running_loop().time()
    while True:
        try:
            reading = await meter.read()
        except MeterRefusedError as err:  # It is there, and may tell the next time.
            print(err, file=sys.stderr)
        else:
            _print_reading(options, meter, reading)
            if reading.refused:
                print(f"refused at present: {_names(reading.refused)}", file=sys.stderr)
        due += options.interval
        with suppress(TimeoutError):
            async with asyncio.timeout_at(due):
                while True:
                    news = await told.get()
                    if isinstance(news, SessionLostError):
                        raise news
                    _print_notification(options, meter, news)


async def _properties(options: argparse.Namespace) -> None:
    async with await _connect(options) as meter:
        await meter.get(SET_MAP, NOTIFICATION_MAP)
        profile, refused = meter.profile, set()
        for code in sorted(profile.gettable | profile.settable | profile.announced):
            raw = (await meter.get_codes(code)).data.get(code)
            row = PROPERTIES.get(code)
            if raw is None and code in profile.gettable:
                refused.add(code)
            _print(
                options,
                {
                    "code": f"{code:02X}",
                    "name": row.name if row else None,
                    "raw": raw.hex().upper() if raw else None,
                    "value": _plain(row.decode(raw), row.unit, profile) if row and raw else None,
                    "unit": row.unit if row else None,
                    "settable": code in profile.settable,
                    "refused": raw is None,
                },
            )
    if not profile.gettable:
        raise MissingError("refused at present: the map of the properties")
    _check(refused)


async def _history(options: argparse.Namespace) -> None:
    read: list[Day] = []
    missing: list[str] = []
    async with await _connect(options) as meter:
        newest = options.date or await meter.history.today()
        days = 1 if options.date else options.days
        for number in range(days):
            day = newest - timedelta(days=number)
            try:
                read.append(answer := await meter.history.ask(day))
            except (NoHistoryError, HistoryError) as err:
                missing.append(f"{day}: {err}")
                continue
            except BRouteError as err:
                if not read:
                    raise
                missing.append(f"{day} and what is older: {err}")
                break
            missing += [f"{day} ({DIRECTIONS[direction]}): {err}" for direction, err in answer.failures.items()]
            _say(f"day {number + 1} of {days}")
    if options.csv:
        print("start,energy_in,energy_out")
    for answer in reversed(read):
        _print_day(options, answer)
    if missing:
        raise MissingError("; ".join(reversed(missing)))


def _print_day(options: argparse.Namespace, answer: Day) -> None:
    for half_hour in answer.counters:
        row = {
            "start": half_hour.start.isoformat(),
            "energy_in": half_hour.energy_in,
            "energy_out": half_hour.energy_out,
        }
        if options.csv:
            print(",".join("" if value is None else str(value) for value in row.values()))
        else:
            _print(options, row)


async def _set(options: argparse.Namespace) -> None:
    async with await _connect(options) as meter:
        await meter.set(INSTALLATION_LOCATION, options.value)


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


def _check(refused: Collection[int]) -> None:
    """Raise an error if something of what was asked for was not told."""
    if refused:
        raise MissingError(f"refused at present: {_names(refused)}")


def _names(codes: Collection[int]) -> str:
    return ", ".join(
        f"{code:02X}" + (f" ({row.name})" if (row := PROPERTIES.get(code)) else "") for code in sorted(codes)
    )


def _say(text: str) -> None:
    """Tell a person how far it is; a program that reads our output has no use for it."""
    if sys.stderr.isatty():
        print(text, file=sys.stderr)


def _progress(progress: Progress) -> None:
    scan = progress.scan
    text = f"scanning, pass {scan.number} of {scan.of}: {scan.seconds:.0f} s" if scan else TEXTS[progress.stage]
    _say(text)


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


def _print_notification(options: argparse.Namespace, meter: SmartMeter, notification: Notification) -> None:
    for code, raw in notification.values.data.items():
        row = PROPERTIES.get(code)
        _print(
            options,
            {
                "announced": f"{code:02X}",
                "name": row.name if row else None,
                "value": _plain(row.decode(raw), row.unit, meter.profile) if row else None,
            },
        )


def _plain(value: object, unit: str | None, profile: MeterProfile) -> object:
    """Return a property's value in kWh where it is an energy, and in nothing that JSON does not have."""

    def energies(counts: Counts) -> dict[str, object]:
        return {
            "energy_in": profile.energy(counts.energy_in),
            "energy_out": profile.energy(counts.energy_out),
        }

    match value:
        case int() if unit == "kWh":
            return profile.energy(value)
        case FixedTimeCount(at, count):
            return {"time": at.isoformat(), "energy": profile.energy(count)}
        case MinuteCounts(at, counts):
            return {"time": at.isoformat(), **energies(counts)}
        case DayHistory(day, known):
            return {"day": day, "energy": [profile.energy(count) for count in known]}
        case HistorySelector(at, length):
            return {"time": at and at.isoformat(), "length": length}
        case HistorySpan(at, steps):
            return {"time": at and at.isoformat(), "energy": [energies(counts) for counts in steps]}
        case frozenset():
            return [f"{code:02X}" for code in sorted(value)]
        case date() | time():
            return value.isoformat()
        case _:
            return value


def _print(options: argparse.Namespace, row: Mapping[str, object]) -> None:
    if options.json:
        print(json.dumps(row, default=_number), flush=True)
    else:
        print("  ".join(f"{key} {'-' if value is None else value}" for key, value in row.items()), flush=True)


def _number(value: Decimal) -> float:
    """Return what JSON prints with exactly the digits of a counter or current, which are at most twelve."""
    return float(value)


if __name__ == "__main__":
    sys.exit(main())
