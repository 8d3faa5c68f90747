"""What a module says (UARTIF 3.2.5)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
import struct
from typing import override

from ..module import Beacon, JoinOutcome, Pan
from .frame import GET_VERSION, Frame

ECHONET_PORT = 0x0E1A

RESPONSE = 0x2000
"""What the code of a response has more than that of its request."""


class Code(IntEnum):
    """Codes of the commands that we send."""

    OPEN_UDP_PORT = 0x0005
    SEND = 0x0008
    SCAN = 0x0051
    START_ROUTE_B = 0x0053
    SET_CREDENTIALS = 0x0054
    START_PANA = 0x0056
    END_PANA = 0x0057
    END_ROUTE_B = 0x0058
    SET_UP = 0x005F
    GET_VERSION = GET_VERSION
    RESET = 0x00D9


class Notice(IntEnum):
    """Codes of what a module tells unasked."""

    SCANNED = 0x4051
    UDP_RECEIVED = 0x6018
    STARTED = 0x6019
    CONNECTION_CHANGED = 0x601A
    PANA_ENDED = 0x6028
    PACKET_LOST = 0x6038


class Connection(IntEnum):
    """What became of the connection to the meter (UARTIF 3.2.5.3)."""

    MAC_CONNECTED = 0x01
    PANA_CONNECTED = 0x02
    MAC_LOST = 0x03
    PANA_LOST = 0x04


@dataclass(frozen=True, slots=True)
class Response:
    """The answer to a command."""

    code: int
    """Of the command, not of the response."""
    result: int
    """01 if it was carried out (UARTIF table 34)."""
    # The answer to SEND repeats the beginning of the datagram.
    data: bytes = field(default=b"", repr=False)

    @override
    def __repr__(self) -> str:
        return f"answer to {self.code:04X}: {self.result:02X}"


@dataclass(frozen=True, slots=True)
class NotUnderstood:
    """What was sent last did not arrive as a frame; which command it was, the module does not know."""


@dataclass(frozen=True, slots=True)
class Scanned:
    """A channel was listened to (UARTIF 3.2.3.4)."""

    channel: int
    """By the numbers of the SK commands."""
    beacons: tuple[Beacon, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedUdp:
    """A datagram (UARTIF 3.2.5.1)."""

    source: str
    """IPv6 address, eight groups of four, upper case."""
    port: int
    encrypted: bool
    rssi: int
    """dBm."""
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Started:
    """The module was powered up or reset (UARTIF 3.2.4.2)."""


@dataclass(frozen=True, slots=True)
class ConnectionChanged:
    """The connection to the meter came about, or broke (UARTIF 3.2.5.3)."""

    connection: int


@dataclass(frozen=True, slots=True)
class PanaEnded:
    """An authentication came to its end (UARTIF 3.2.5.4)."""

    outcome: JoinOutcome


@dataclass(frozen=True, slots=True)
class PacketLost:
    """A packet came that the module could not read (UARTIF 3.2.5.5)."""

    reason: int
    source: str = ""
    """IPv6 address, eight groups of four, upper case; empty if the module did not tell."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """A frame that means nothing to us."""

    code: int

    @override
    def __repr__(self) -> str:
        return f"unknown frame {self.code:04X}"


type Message = (
    Response | NotUnderstood | Scanned | ReceivedUdp | Started | ConnectionChanged | PanaEnded | PacketLost | Unknown
)

NOT_UNDERSTOOD = frozenset({0x2FFF, 0xFFFF})
"""Codes with which a module answers what it cannot take for a frame."""

NOT_DECRYPTED = 0x01
"""Why a packet could not be read: the keys of the two sides differ (UARTIF 3.2.5.5)."""

LOWEST_CHANNEL = 4
"""J11's number of the lowest channel, which is number 33 of the SK commands; J11 counts each second of those."""

OUTCOMES: Mapping[int, JoinOutcome] = {
    0x01: JoinOutcome.JOINED,
    0x02: JoinOutcome.REFUSED,
    0x03: JoinOutcome.UNHEARD,
}
"""Results of an authentication (UARTIF 3.2.5.4)."""

IS_ENCRYPTED = 0x02
NOBODY_HEARD = 0x01

_SCANNED = struct.Struct(">BB")
_BEACON = struct.Struct(">QHb")
_RECEIVED_UDP = struct.Struct(">16sHHHBBbH")


def channel_of(number: int) -> int:
    """Return the SK commands' number of a channel of J11 (UARTIF table 21)."""
    return 33 + 2 * (number - LOWEST_CHANNEL)


def number_of(channel: int) -> int:
    """Return J11's number of a channel of the SK commands, an odd one (UARTIF table 21)."""
    return LOWEST_CHANNEL + (channel - 33) // 2


def message_of(frame: Frame) -> Message:
    """Return what a frame means."""
    try:
        if frame.code in _NOTICES:
            return _NOTICES[Notice(frame.code)](frame.data)
        if frame.code in NOT_UNDERSTOOD:
            return NotUnderstood()
        if frame.code & 0xF000 == RESPONSE:
            return Response(frame.code - RESPONSE, frame.data[0], frame.data[1:])
    except (struct.error, LookupError):
        pass  # Too short for what it claims to be, or a value that no manual has.
    return Unknown(frame.code)


def beacon_of(channel: int, mac: int, pan_id: int, rssi: int) -> Beacon:
    """Return a meter by the numbers that a module gives."""
    return Beacon(
        pan=Pan(channel=channel_of(channel), pan_id=pan_id, mac=f"{mac:016X}"), rssi=rssi, lqi=None, pair_id=None
    )


def _scanned(data: bytes) -> Scanned:
    result, channel = _SCANNED.unpack_from(data)
    if result == NOBODY_HEARD:
        return Scanned(channel_of(channel), ())
    beacons = [
        beacon_of(channel, *_BEACON.unpack_from(data, _SCANNED.size + 1 + place * _BEACON.size))
        for place in range(data[_SCANNED.size])
    ]
    return Scanned(channel_of(channel), tuple(beacons))


def _received_udp(data: bytes) -> ReceivedUdp:
    source, _, port, _, _, encryption, rssi, size = _RECEIVED_UDP.unpack_from(data)
    payload = data[_RECEIVED_UDP.size :]
    if len(payload) != size:
        raise struct.error("a datagram of another length than it says")
    return ReceivedUdp(
        source=_address(source),
        port=port,
        encrypted=encryption == IS_ENCRYPTED,
        rssi=rssi,
        data=payload,
    )


def _packet_lost(data: bytes) -> PacketLost:
    return PacketLost(data[0], _address(data[1:17]) if len(data) > 16 else "")


def _address(data: bytes) -> str:
    digits = data.hex().upper()
    return ":".join(digits[place : place + 4] for place in range(0, 32, 4))


_NOTICES: Mapping[Notice, Callable[[bytes], Message]] = {
    Notice.SCANNED: _scanned,
    Notice.UDP_RECEIVED: _received_udp,
    Notice.STARTED: lambda _: Started(),
    Notice.CONNECTION_CHANGED: lambda data: ConnectionChanged(data[0]),
    Notice.PANA_ENDED: lambda data: PanaEnded(OUTCOMES[data[0]]),
    Notice.PACKET_LOST: _packet_lost,
}
