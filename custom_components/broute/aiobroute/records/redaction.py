"""What goes over a port as it may be shown: only what has a known form is kept, field by field."""

from collections.abc import Callable, Mapping
import re
import struct

from . import household
from .invention import Inventions
from .numbers import numbers_in, numbers_said
from .units import Bytes, Data, Line, Packet, Unit

PANA_PORT = 0x02CC
ECHONET_PORT = 0x0E1A

FIELDS: Mapping[str, str] = {
    "address": "(?:[0-9A-F]{4}:){7}[0-9A-F]{4}",
    "mac": "[0-9A-F]{16}",
    "pan_id": "[0-9A-F]{4}",
    "pair_id": "[0-9A-F]{8}",
    "route_b_id": "[0-9A-F]{32}",
    "password": "[!-~]{12}",
}
"""What is replaced, by the names that `Inventions` has for it."""

type _Form = tuple[re.Pattern[str], tuple[str, ...]]


def _form(text: str) -> _Form:
    """Return a pattern with a group for each field, and the fields' names."""
    pattern = re.sub(r"<(\w+)>", lambda found: f"({FIELDS[found[1]]})", text)
    return re.compile(pattern), tuple(re.findall(r"<(\w+)>", text))


FORMS = (
    # What is said to a module, and what it repeats of that (SK 3).
    _form("|SKVER|SKINFO|SKRESET|SKTERM"),
    _form("SKSREG S3 <pan_id>"),
    _form("SKSREG (?:S2|S16|S17|SA2|SFB|SFE)(?: [0-9A-F]{1,2})?"),
    _form("SKSETPWD C <password>"),
    _form("SKSETRBID <route_b_id>"),
    _form("SKSCAN 2 [0-9A-F]{8} [0-9A-F](?: 0)?"),
    _form("SKJOIN <address>"),
    # What a module says (SK 4).
    _form("OK(?: [0-9A-F]{2})?|FAIL ER[01][0-9]"),
    _form(r"EVER [0-9]{1,2}(?:\.[0-9]{1,2}){1,3}"),
    _form("ESREG [0-9A-F]{1,2}"),
    _form("EINFO <address> <mac> [0-9A-F]{2} <pan_id> (?:FFFE|[01]) ?"),
    _form("EVENT [0-9A-F]{2}(?: <address>)?(?: [0-9A-F])?(?: [0-9A-F]{2})? ?"),
    _form("EPANDESC"),
    _form(" *Channel:[0-9A-F]{2}| *Channel Page:[0-9A-F]{2}| *LQI:[0-9A-F]{2}| *Side:[0-9A-F]"),
    _form(" *Pan ID:<pan_id>"),
    _form(" *Addr:<mac>"),
    _form(" *PairID:<pair_id>"),
)
"""All lines of which more than the length is kept."""

SENT = _form("SKSENDTO 1 <address> (?:0E1A) [0-2](?: 0)? [0-9A-F]{4} ")
RECEIVED = _form(
    "ERXUDP <address> <address> (?:0E1A 0E1A|02CC 02CC) <mac> (?:[0-9A-F]{2} )?[01] (?:[01] )?[0-9A-F]{4} "
)
"""What stands before a payload."""

NEVER = re.compile("SKSETPWD|SKSETRBID|02CC", re.IGNORECASE)
"""What has a secret behind it, whatever form it has: a line with it cannot be asked for."""

LONGEST_KEPT = 200
"""Characters of a line that can be asked for."""


def shown(unit: Unit, inventions: Inventions) -> Unit:
    """Return a unit of the same form that may be shown; what is not understood becomes its length."""
    match unit:
        case Line(text, end):
            line = _line(text, inventions)
            return _unknown(text, end, len(unit.encode()), inventions) if line is None else Line(line, end)
        case Data(head, data, end):
            for form in (SENT, RECEIVED):
                if (known := _replaced(form, head, inventions)) is not None:
                    return Data(known, _payload(_port(head), data, inventions), end)
            inventions.nothing(data)
            return Bytes(len(unit.encode()))
        case Packet(code, data, is_request):
            return Packet(code, _frame(code, data, inventions, is_request=is_request), is_request)
        case Bytes(size, data) if data:
            return _unknown(data.decode("latin-1"), "-open", size, inventions)
    return unit


def _unknown(text: str, end: str, size: int, inventions: Inventions) -> Line | Bytes:
    """Return the length of a line, or the line with what is known in it replaced, if a person has asked for it."""
    text = inventions.words(text)
    may_be_asked_for = len(text) <= LONGEST_KEPT and text.isascii() and text.isprintable() and not NEVER.search(text)
    if may_be_asked_for and text.strip() and inventions.keeps(f"line: {text.rstrip()}", numbers_said(text)):
        return Line(text, end)
    return Bytes(size)


def _frame(code: int, data: bytes, inventions: Inventions, *, is_request: bool) -> bytes:
    """Return the data of a frame as they may be shown: zeros, if they are of an unknown form."""
    layouts = REQUESTS if is_request else ANSWERS
    if code in layouts:
        known = layouts[code](data, inventions)
        return inventions.nothing(data) if known is None else known
    if any(data) and inventions.keeps(f"frame {code:04X}: {data.hex().upper()}", numbers_in(data)):
        return data
    return bytes(len(data))


def _replaced(form: _Form, text: str, inventions: Inventions) -> str | None:
    """Return a text with its fields invented, if it has this form."""
    pattern, names = form
    if (found := pattern.fullmatch(text)) is None:
        return None
    for place, name in reversed(list(enumerate(names, 1))):
        if (value := found[place]) is not None:
            text = text[: found.start(place)] + getattr(inventions, name)(value) + text[found.end(place) :]
    return text


def _line(text: str, inventions: Inventions) -> str | None:
    head, _, digits = text.rpartition(" ")
    if (known := _replaced(RECEIVED, f"{head} ", inventions)) is not None:
        if not re.fullmatch("(?:[0-9A-F]{2})+", digits):
            return None
        return known + _payload(_port(head), bytes.fromhex(digits), inventions).hex().upper()
    return next((known for form in FORMS if (known := _replaced(form, text, inventions)) is not None), None)


def _port(head: str) -> int:
    return PANA_PORT if " 02CC " in head else ECHONET_PORT


def _payload(port: int, data: bytes, inventions: Inventions) -> bytes:
    """Return a payload that may be shown: PANA carries the Route B ID."""
    return household.shown(data, inventions) if port == ECHONET_PORT else inventions.nothing(data)


type _Layout = Callable[[bytes, Inventions], bytes | None]


def _mac(data: bytes, inventions: Inventions) -> bytes:
    return bytes.fromhex(inventions.mac(data.hex().upper()))


def _pan_id(data: bytes, inventions: Inventions) -> bytes:
    return bytes.fromhex(inventions.pan_id(data.hex().upper()))


def _address(data: bytes, inventions: Inventions) -> bytes:
    digits = data.hex().upper()
    address = ":".join(digits[place : place + 4] for place in range(0, 32, 4))
    return bytes.fromhex(inventions.address(address).replace(":", ""))


def _exactly(*sizes: int) -> _Layout:
    """Keep data of these lengths."""
    return lambda data, _: data if len(data) in sizes else None


def _result(data: bytes, _: Inventions) -> bytes | None:
    """Keep the result, which is the first byte (UARTIF table 34)."""
    return data[:1] + bytes(len(data) - 1) if data else None


def _credentials(data: bytes, inventions: Inventions) -> bytes | None:
    text = data.decode("latin-1")
    if not re.fullmatch(FIELDS["route_b_id"] + FIELDS["password"], text):
        return None
    return (inventions.route_b_id(text[:32]) + inventions.password(text[32:])).encode()


def _scan(data: bytes, inventions: Inventions) -> bytes | None:
    pair_id = data[6:].decode("latin-1")
    return data[:6] + inventions.pair_id(pair_id).encode() if re.fullmatch(FIELDS["pair_id"], pair_id) else None


_SEND = struct.Struct(">16sHHH")


def _send(data: bytes, inventions: Inventions) -> bytes | None:
    if len(data) < _SEND.size:
        return None
    address, source, port, size = _SEND.unpack_from(data)
    if port != ECHONET_PORT or source != ECHONET_PORT:
        return None
    payload = _payload(port, data[_SEND.size :], inventions)
    return _SEND.pack(_address(address, inventions), source, port, size) + payload


def _sent(data: bytes, _: Inventions) -> bytes | None:
    """Keep result and outcome; the beginning of the datagram is repeated behind them."""
    return data[:2] + bytes(len(data) - 2) if len(data) >= 2 else None


def _started(data: bytes, inventions: Inventions) -> bytes | None:
    if len(data) != 13:
        return _result(data, inventions)
    return data[:2] + _pan_id(data[2:4], inventions) + _mac(data[4:12], inventions) + data[12:]


def _scanned(data: bytes, inventions: Inventions) -> bytes | None:
    if data[:1] != b"\x00":
        return data if len(data) == 2 else None
    if len(data) < 3 or len(data) != 3 + 11 * data[2]:
        return None
    found = (data[at : at + 11] for at in range(3, len(data), 11))
    return data[:3] + b"".join(
        _mac(each[:8], inventions) + _pan_id(each[8:10], inventions) + each[10:] for each in found
    )


_UDP = struct.Struct(">16sHH2sBBBH")


def _udp(data: bytes, inventions: Inventions) -> bytes | None:
    if len(data) < _UDP.size:
        return None
    source, port, own, pan_id, cast, encryption, rssi, size = _UDP.unpack_from(data)
    if (port, own) not in ((ECHONET_PORT, ECHONET_PORT), (PANA_PORT, PANA_PORT)):
        return None
    head = _UDP.pack(_address(source, inventions), port, own, _pan_id(pan_id, inventions), cast, encryption, rssi, size)
    return head + _payload(port, data[_UDP.size :], inventions)


def _peer(before: int, after: int) -> _Layout:
    """Keep what stands before and behind a MAC."""

    def show(data: bytes, inventions: Inventions) -> bytes | None:
        if len(data) != before + 8 + after:
            return _result(data, inventions)
        return data[:before] + _mac(data[before : before + 8], inventions) + data[before + 8 :]

    return show


def _lost(data: bytes, inventions: Inventions) -> bytes | None:
    if len(data) != 21:
        return _result(data, inventions)
    return data[:1] + _address(data[1:17], inventions) + data[17:]


REQUESTS: Mapping[int, _Layout] = {
    0x0005: _exactly(2),
    0x0008: _send,
    0x0051: _scan,
    0x0054: _credentials,
    0x005F: _exactly(4),
}
"""Commands with data; of any other command only the length of its data is kept (UARTIF 3.2, 3.4)."""

ANSWERS: Mapping[int, _Layout] = {
    **dict.fromkeys((0x2005, 0x2051, 0x2054, 0x2056, 0x2057, 0x2058, 0x205F, 0x20D9, 0x2FFF, 0xFFFF), _result),
    0x2008: _sent,
    0x2053: _started,
    0x206B: _exactly(1, 9),
    0x4051: _scanned,
    0x6018: _udp,
    0x601A: _peer(1, 1),
    0x6028: _peer(1, 0),
    0x6038: _lost,
}
"""Responses and notifications; of any other only the length of its data is kept."""
