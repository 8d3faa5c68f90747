"""What each SK command does to a pretend module (SK 3)."""

from dataclasses import dataclass
from functools import partial
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .radio import Beacon
    from .skstack import SkModule

LONGEST_DATAGRAM = 0x04D0
CHANNELS = range(0x21, 0x3D)
ADDRESS = "(?:[0-9A-F]{4}:){7}[0-9A-F]{4}"
MAC = "[0-9A-F]{16}"

BLOCK_DELAY = 0.65
"""Seconds from EVENT 20 to EPANDESC."""
INTERRUPTION = 1.0
SCAN_EXTRA = 0.5


class CommandError(Exception):
    """A command is answered with FAIL and this code (SK 7)."""


UNKNOWN_COMMAND = "ER04"
WRONG_NUMBER = "ER05"
WRONG_ARGUMENT = "ER06"
NOT_POSSIBLE = "ER10"

DEFAULTS: Mapping[str, str] = {
    "S2": "21",
    "S3": "FFFF",
    "S7": "00000000",
    "SA": "00000000",
    "S15": "0",
    "S16": "384",
    "S17": "1",
    "SA0": "0",
    "SA1": "0",
    "SA2": "0",
    "SFB": "0",
    "SFD": "0000000000000000",
    "SFE": "1",
    "SFF": "0",
}
"""Registers after power up; S02 and S0A are S2 and SA here (SK 3.1)."""

LEGAL: Mapping[str, str] = {
    "S2": "2[1-9A-F]|3[0-9A-C]",
    "S3": "[0-9A-F]{1,4}",
    "SA": ".{8}",
    "S15": "[01]",
    "S16": "[0-9A-F]{2,8}",
    "S17": "[01]",
    "SA0": "[01]",
    "SA1": "[01]",
    "SA2": "[01]",
    "SFE": "[01]",
    "SFF": "[01]",
}
"""What the registers that can be set may hold."""


@dataclass(frozen=True, slots=True)
class Head:
    """The arguments of a SKSENDTO whose payload is on its way."""

    address: str
    port: int
    security: int
    size: int


def link_local(mac: str) -> str:
    """Return the address that belongs to a MAC (SK 3.29)."""
    lower = f"{int(mac[:2], 16) ^ 2:02X}{mac[2:]}"
    return "FE80:0000:0000:0000:" + ":".join(lower[place : place + 4] for place in range(0, 16, 4))


def mac_of(address: str) -> str:
    """Return the MAC that a link-local address belongs to."""
    lower = address[20:].replace(":", "")
    return f"{int(lower[:2], 16) ^ 2:02X}{lower[2:]}"


def parse_head(arguments: list[str], *, has_side: bool) -> Head:
    """Return the checked arguments of SKSENDTO (SK 3.7)."""
    patterns = ["[1-6]", ADDRESS, "[0-9A-F]{4}", "[0-2]", *(["[01]"] if has_side else []), "[0-9A-F]{4}"]
    _expect(arguments, *patterns)
    size = int(arguments[-1], 16)
    if not 1 <= size <= LONGEST_DATAGRAM:
        raise CommandError(WRONG_ARGUMENT)
    return Head(arguments[1], int(arguments[2], 16), int(arguments[3]), size)


def _expect(arguments: list[str], *patterns: str) -> None:
    """Check the number and the form of arguments."""
    if len(arguments) != len(patterns):
        raise CommandError(WRONG_NUMBER)
    if not all(re.fullmatch(pattern, argument) for pattern, argument in zip(patterns, arguments, strict=True)):
        raise CommandError(WRONG_ARGUMENT)


def _skreset(module: SkModule, arguments: list[str]) -> None:
    _expect(arguments)
    module.restart()
    module.answer("OK")


def _skver(module: SkModule, arguments: list[str]) -> None:
    _expect(arguments)
    module.answer(f"EVER {module.dialect.version}", "OK")


def _skappver(module: SkModule, arguments: list[str]) -> None:
    _expect(arguments)
    if module.dialect.application is None:
        raise CommandError(UNKNOWN_COMMAND)
    module.answer(f"EAPPVER {module.dialect.application}", "OK")


def _skinfo(module: SkModule, arguments: list[str]) -> None:
    _expect(arguments)
    side = "0" if module.dialect.has_side else "FFFE"
    state = f"{module.registers['S2']} {module.registers['S3']} {side}"
    module.answer(f"EINFO {module.address} {module.dialect.mac} {state}", "OK")


def _sksreg(module: SkModule, arguments: list[str]) -> None:
    if len(arguments) not in {1, 2}:
        raise CommandError(WRONG_NUMBER)
    name = re.sub("^S0(?=.)", "S", arguments[0])
    if name not in module.registers:
        raise CommandError(WRONG_ARGUMENT)
    if len(arguments) == 1:
        return module.answer(f"ESREG {_register(module, name)}", "OK")
    if not re.fullmatch(LEGAL.get(name, "(?!)"), arguments[1]):
        raise CommandError(WRONG_ARGUMENT)
    module.registers[name] = arguments[1].zfill(4) if name == "S3" else arguments[1]
    return module.answer("OK")


def _register(module: SkModule, name: str) -> str:
    match name:
        case "SFB":
            return "1" if module.air.is_restricted else "0"
        case "SFD":
            return f"{int(module.air.airtime.total * 1000):016X}"
    return module.registers[name]


def _sksetpwd(module: SkModule, arguments: list[str]) -> None:
    _expect(arguments, "[0-9A-F]{1,2}", ".{1,32}")
    length, password = arguments
    if int(length, 16) != len(password):
        raise CommandError(WRONG_ARGUMENT)
    module.password = password
    module.answer("OK")


def _sksetrbid(module: SkModule, arguments: list[str]) -> None:
    _expect(arguments, ".{32}")
    (module.route_b_id,) = arguments
    module.registers["SA"] = module.route_b_id[-8:]
    module.answer("OK")


def _skscan(module: SkModule, arguments: list[str]) -> None:
    side = ["[01]"] if module.dialect.has_side else []
    _expect(arguments, "[023]", "[0-9A-F]{8}", "[0-9A-E]", *side)
    mode, mask, duration = arguments[0], int(arguments[1], 16), int(arguments[2], 16)
    module.answer(*([] if module.habits.loses_scan_answer else ["OK"]))
    # A scan that is asked for during another is accepted and never begins (log of a BP35A1, published by its owner).
    if module.is_scanning:
        return
    module.is_scanning = True
    channels = [channel for place, channel in enumerate(CHANNELS) if mask >> place & 1]
    dwell = 0.0096 * (2**duration + 1)
    end = dwell * len(channels) + SCAN_EXTRA
    if mode == "0":
        module.later(end, lambda: _end_energy_scan(module, channels))
        return
    pairing_id = module.registers["SA"] if mode == "2" else None
    for beacon in module.air.scan(channels, dwell, duration, pairing_id):
        _describe(module, beacon, end, pairs=mode == "2")
    module.later(end, lambda: _end_scan(module))


def _describe(module: SkModule, beacon: Beacon, end: float, *, pairs: bool) -> None:
    """Print EVENT 20, and after it the block about the network (SK 4.5)."""
    network = beacon.network
    lines = [
        "EPANDESC",
        f"  Channel:{network.channel:02X}",
        "  Channel Page:09",
        f"  Pan ID:{network.pan_id:04X}",
        f"  Addr:{network.mac}",
        f"  LQI:{network.lqi:02X}",
        *(["  Side:0"] if module.dialect.has_side else []),
        *([f"  PairID:{network.pairing_id}"] if pairs else []),
    ]
    module.later(beacon.delay, lambda: module.print(module.event(0x20, module.address)))
    kind = module.line.settings.pan_description
    delay = end + BLOCK_DELAY if kind == "late" else min(beacon.delay + BLOCK_DELAY, end - 0.05)
    for place, text in enumerate(lines[:4] if kind == "broken" else lines):
        interruption = INTERRUPTION if kind == "cut" and place > 2 else 0.0
        module.later(delay + place * 0.001 + interruption, partial(module.print, text))


def _end_scan(module: SkModule) -> None:
    module.is_scanning = False
    module.print(module.event(0x22, module.address))


def _end_energy_scan(module: SkModule, channels: list[int]) -> None:
    module.is_scanning = False
    module.print(module.event(0x1F, module.address))
    module.print("EEDSCAN")
    levels = " ".join(f"{channel:02X} {channel * 7 % 13 + 1:02X}" for channel in channels)
    module.print(f"0 {levels}" if module.dialect.has_side else levels)
    if module.dialect.ends_energy_scan:
        module.print("")


def _skll64(module: SkModule, arguments: list[str]) -> None:
    _expect(arguments, MAC)
    module.answer(link_local(arguments[0]), delay=0.1)


def _skjoin(module: SkModule, arguments: list[str]) -> None:
    _expect(arguments, ADDRESS)
    (module.peer,) = arguments
    module.answer("OK")
    network = (int(module.registers["S2"], 16), int(module.registers["S3"], 16), mac_of(module.peer))
    module.air.join(network, module.route_b_id, module.password)


def _skrejoin(module: SkModule, arguments: list[str]) -> None:
    _expect(arguments)
    if module.air.session is None:
        raise CommandError(NOT_POSSIBLE)
    module.answer("OK")
    module.air.rejoin()


def _skterm(module: SkModule, arguments: list[str]) -> None:
    _expect(arguments)
    if module.air.session is None:
        raise CommandError(NOT_POSSIBLE)
    module.answer("OK", delay=0.2)
    module.air.terminate()


def _sksendto(module: SkModule, arguments: list[str]) -> None:  # noqa: ARG001  # as its siblings
    """Refuse a line: a proper head ends in a space, and its payload follows."""
    raise CommandError(WRONG_NUMBER)


def _skaddnbr(module: SkModule, arguments: list[str]) -> None:
    _expect(arguments, ADDRESS, MAC)
    module.air.meet(arguments[1])
    module.answer("OK")


def _sktable(module: SkModule, arguments: list[str]) -> None:
    _expect(arguments[:1] if module.dialect.has_side else arguments, "[12]")
    if arguments[0] == "1":
        return module.answer("EADDR", module.address, "OK")
    known = [f"{link_local(network.mac)} {network.mac} FFFF" for network in module.air.neighbours]
    return module.answer("ENEIGHBOR", *known, "OK")


def _skudpport(module: SkModule, arguments: list[str]) -> None:
    _expect(arguments, "[1-6]", "[0-9A-F]{4}")
    module.answer("OK")


def _skload(module: SkModule, arguments: list[str]) -> None:
    _expect(arguments)
    module.answer("OK")


def _sksave(module: SkModule, arguments: list[str]) -> None:
    _expect(arguments)
    module.record.flash_writes.append(module.record.commands[-1])
    module.answer("OK")


def _ropt(module: SkModule, arguments: list[str]) -> None:
    _expect_options(module, arguments, 0)
    module.answer("OK 01" if module.prints_hex else "OK 00", end="\r")


def _wopt(module: SkModule, arguments: list[str]) -> None:
    _expect_options(module, arguments, 1)
    module.record.flash_writes.append(module.record.commands[-1])
    module.prints_hex = arguments[0] == "01"
    module.answer("OK", end="\r")


def _ruart(module: SkModule, arguments: list[str]) -> None:
    _expect_options(module, arguments, 0)
    module.answer("OK 00", end="\r")


def _wuart(module: SkModule, arguments: list[str]) -> None:
    _expect_options(module, arguments, 1)
    module.record.flash_writes.append(module.record.commands[-1])
    module.answer("OK", end="\r")


def _expect_options(module: SkModule, arguments: list[str], count: int) -> None:
    """Check the arguments of a command that reads or writes options (SK 3.30)."""
    if not module.dialect.has_options:
        raise CommandError(UNKNOWN_COMMAND)
    _expect(arguments, *["[0-9A-F]{2}"] * count)


COMMANDS: Mapping[str, Callable[[SkModule, list[str]], None]] = {
    "ROPT": _ropt,
    "RUART": _ruart,
    "SKADDNBR": _skaddnbr,
    "SKAPPVER": _skappver,
    "SKERASE": _sksave,
    "SKINFO": _skinfo,
    "SKJOIN": _skjoin,
    "SKLL64": _skll64,
    "SKLOAD": _skload,
    "SKREJOIN": _skrejoin,
    "SKRESET": _skreset,
    "SKSAVE": _sksave,
    "SKSCAN": _skscan,
    "SKSENDTO": _sksendto,
    "SKSETPWD": _sksetpwd,
    "SKSETRBID": _sksetrbid,
    "SKSREG": _sksreg,
    "SKTABLE": _sktable,
    "SKTERM": _skterm,
    "SKUDPPORT": _skudpport,
    "SKVER": _skver,
    "WOPT": _wopt,
    "WUART": _wuart,
}
