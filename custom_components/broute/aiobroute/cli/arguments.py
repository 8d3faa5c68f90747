"""The arguments of the command line, and what is wrong with them, in words."""

import argparse
from collections.abc import Callable, Mapping, Sequence
from datetime import date
import getpass
import os
from pathlib import Path
import re
import unicodedata

from .. import HISTORY_DAYS, Credentials, Pan, is_node

LONGEST_INTERVAL = 86400.0
"""Seconds."""

NOTICES = 31
"""Minutes in which a meter tells its counters at a half-hour at least once."""

LONGEST_WAIT = 1440
"""Minutes."""


def parse(
    arguments: Sequence[str] | None, commands: Mapping[str, Callable[[argparse.Namespace], object]]
) -> argparse.Namespace:
    """Return the arguments with the credentials; `commands` has what carries out each command.

    Raises:
        SystemExit: something is wrong with them, as standard error says.

    """
    top = _parser(commands)
    options = top.parse_args(arguments)
    if getattr(options, "csv", False) and options.json:
        top.error("choose --csv or --json")
    is_check = getattr(options, "check", None) is not None
    is_search = getattr(options, "lan", False)
    if options.port is None and not (is_check or is_search):
        top.error("the following arguments are required: --port")
    if is_search or (options.port is not None and is_node(options.port)):
        _check_lan(top, options, is_search=is_search)
        options.credentials = None
        return options
    if options.interface is not None:
        top.error("--interface is for meters in the home network: --port echonet://SERIAL, or scan --lan")
    if is_check:
        options.credentials = Credentials(options.route_b_id or "", os.environ.get("BROUTE_PASSWORD", ""))
        return options
    try:
        options.credentials = Credentials(
            _given(options.route_b_id), _password(is_checked=not options.takes_any_credentials)
        )
    except argparse.ArgumentTypeError as err:
        top.error(str(err))
    return options


def _check_lan(top: argparse.ArgumentParser, options: argparse.Namespace, *, is_search: bool) -> None:
    """Exit if something is asked for that only a Wi-SUN dongle can do."""
    if is_search and options.port is not None:
        top.error("--lan asks all nodes of the home network: leave --port out")
    if not is_search and not options.works_over_lan:
        top.error("this command needs a Wi-SUN dongle; `scan --lan` finds the meters in the home network")
    if getattr(options, "pan", None) is not None:
        top.error("--pan says where a meter is on the air, and this one is in the home network")


def _given(route_b_id: str | None) -> str:
    if not route_b_id:
        raise argparse.ArgumentTypeError("no Route B ID: give --id ID, or set BROUTE_ID")
    return route_b_id


def _parser(commands: Mapping[str, Callable[[argparse.Namespace], object]]) -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="aiobroute", description="Read a smart meter over Route B.")
    found = top.add_subparsers(required=True, metavar="COMMAND")
    offline, lenient, common = _common(needs_port=False), _common(id_form=_meant), _common()
    joining = argparse.ArgumentParser(add_help=False, parents=[common])
    joining.add_argument(
        "--pan", type=_pan, metavar="PAN", help="where the meter is on the air, as `scan` prints it: spares the scan"
    )

    def add(name: str, text: str, parent: argparse.ArgumentParser = joining) -> argparse.ArgumentParser:
        command = found.add_parser(name, parents=[parent], help=text, description=text)
        command.set_defaults(command=commands[name])
        return command

    doctor = add("doctor", "examine everything that a connection needs, and say what is wrong and what to do", lenient)
    doctor.set_defaults(takes_any_credentials=True, works_over_lan=False)
    scan = add("scan", "find the meter, and print where it is on the air", _common(needs_port=False))
    scan.add_argument(
        "--lan", action="store_true", help="find the meters in the home network; needs no port, no ID and no password"
    )
    scan.set_defaults(works_over_lan=False)
    add("read", "print one reading")
    watch = add("watch", "print a reading again and again, reconnecting if need be")
    watch.add_argument("--interval", type=_seconds, default=60.0, metavar="S", help="seconds (default: 60)")
    add("properties", "print every property that the meter names")
    history = add("history", "print the half-hours that the meter remembers, in kWh")
    which = history.add_mutually_exclusive_group()
    which.add_argument("--days", type=_days, default=1, metavar="N", help="today and the days before (default: 1)")
    which.add_argument("--date", type=_date, metavar="DAY", help="one day, such as 2026-11-23")
    history.add_argument("--csv", action="store_true", help="print comma-separated values")
    history.add_argument(
        "--differences",
        action="store_true",
        help="the kWh of each half-hour, instead of what the meter's counters showed at its beginning",
    )
    record = add("record", "write a connection down so that it can be shown to others, or check a record", offline)
    file = record.add_mutually_exclusive_group(required=True)
    file.add_argument("-o", "--output", type=Path, metavar="FILE", help="where to write; it must not exist yet")
    file.add_argument("--check", type=Path, metavar="FILE", help="say whether this record may be shown; needs no port")
    record.set_defaults(works_over_lan=False)
    record.add_argument(
        "--minutes",
        type=_minutes,
        default=NOTICES,
        metavar="N",
        help=f"how long to wait for what the meter tells unasked, each half-hour (default: {NOTICES})",
    )
    record.add_argument(
        "--keep",
        nargs="+",
        default=[],
        metavar="NAME",
        help="let what a record before has shown under these names be in the file, if it comes again; nothing is asked",
    )
    setting = add("set", "set a property of the meter")
    setting.add_argument("property", choices=["installation-location"])
    setting.add_argument("value", type=_byte, help="one byte in hexadecimal, such as 08 for a living room")
    return top


def _common(*, needs_port: bool = True, id_form: Callable[[str], str] | None = None) -> argparse.ArgumentParser:
    """Return what all commands understand; an ID has to have its form, unless another is given."""
    common = argparse.ArgumentParser(add_help=False)
    common.set_defaults(takes_any_credentials=False, works_over_lan=True)
    common.add_argument(
        "--port",
        required=needs_port,
        help="device path or serial URL, or echonet://SERIAL of a meter in the home network",
    )
    common.add_argument(
        "--interface",
        action="append",
        metavar="NAME",
        help="network interface on which a meter of the home network is looked for, once or more (default: all)",
    )
    common.add_argument(
        "--id",
        dest="route_b_id",
        type=id_form or _route_b_id,
        default=os.environ.get("BROUTE_ID") or None,
        metavar="ID",
        help=(
            "Route B ID, 32 digits and letters from A to F (default: BROUTE_ID). The password is taken from "
            "BROUTE_PASSWORD, or asked for"
        ),
    )
    common.add_argument("--json", action="store_true", help="print one JSON object a line")
    common.add_argument("-q", "--quiet", action="store_true", help="do not say how far it is")
    common.add_argument("--debug", action="store_true", help="log what goes over the line, without credentials")
    return common


def _typed(text: str) -> str:
    """Return what was meant: letters print blocks of four, and a Japanese keyboard types full-width characters."""
    return re.sub(r"\s", "", unicodedata.normalize("NFKC", text))


def _meant(text: str) -> str:
    """Return an ID as it is meant, whatever its form is."""
    return _typed(text).replace("-", "").upper()


def _route_b_id(text: str) -> str:
    route_b_id = _meant(text)
    if route_b_id and not re.fullmatch("[0-9A-F]{32}", route_b_id):
        raise argparse.ArgumentTypeError("a Route B ID has 32 characters, each a digit or a letter from A to F")
    return route_b_id


def _password(*, is_checked: bool) -> str:
    """Return the password, which is never an argument: other users of a machine can read those."""
    try:
        password = _typed(os.environ.get("BROUTE_PASSWORD") or getpass.getpass("Route B password: "))
    except EOFError:
        raise argparse.ArgumentTypeError("no Route B password: set BROUTE_PASSWORD") from None
    if is_checked and not re.fullmatch("[!-~]{12}", password):
        raise argparse.ArgumentTypeError("a Route B password has 12 letters and digits (BROUTE_PASSWORD)")
    return password


def _pan(text: str) -> Pan:
    found = re.fullmatch("([0-9A-F]{2}):([0-9A-F]{4}):([0-9A-F]{16})", text.upper())
    if found is None:
        raise argparse.ArgumentTypeError("a PAN looks like 31:8A3C:001C640003D2A1B7: copy what `scan` prints")
    return Pan(channel=int(found[1], 16), pan_id=int(found[2], 16), mac=found[3])


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 1 <= seconds <= LONGEST_INTERVAL:
        raise argparse.ArgumentTypeError(f"an interval is a number of seconds between 1 and {LONGEST_INTERVAL:.0f}")
    return seconds


def _days(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= HISTORY_DAYS + 1:
        raise argparse.ArgumentTypeError(
            f"the meter remembers {HISTORY_DAYS} days besides today: choose a number from 1 to {HISTORY_DAYS + 1}"
        )
    return int(text)


def _minutes(text: str) -> int:
    if not text.isdecimal() or int(text) > LONGEST_WAIT:
        raise argparse.ArgumentTypeError(f"choose a number of minutes from 0 to {LONGEST_WAIT}")
    return int(text)


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"a day looks like 2026-11-23, not {text}") from None


def _byte(text: str) -> int:
    if not re.fullmatch("[0-9A-Fa-f]{1,2}", text):
        raise argparse.ArgumentTypeError("one byte has two hexadecimal digits, such as 08")
    return int(text, 16)
