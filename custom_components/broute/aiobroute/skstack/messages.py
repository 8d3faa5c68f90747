"""What a module prints (SK 4)."""

from dataclasses import dataclass, field
from enum import IntEnum
from functools import cache
from typing import override

ECHONET_PORT = 0x0E1A
PANA_PORT = 0x02CC


class EventNumber(IntEnum):
    """Numbers of the EVENT lines that mean something to us (SK 4.8)."""

    BEACON_RECEIVED = 0x20
    UDP_SENT = 0x21
    SCAN_FINISHED = 0x22
    JOIN_FAILED = 0x24
    JOINED = 0x25
    ENDED_BY_METER = 0x26
    ENDED = 0x27
    END_UNANSWERED = 0x28
    EXPIRED = 0x29
    RESTRICTED = 0x32
    RELEASED = 0x33


@dataclass(frozen=True, slots=True)
class Ok:
    """A command was accepted."""

    value: str = ""
    """What stands behind `OK` on the same line (SK 3.31)."""


@dataclass(frozen=True, slots=True)
class Fail:
    """A command was refused."""

    code: str
    """`ER01` to `ER10` (SK 7)."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something happened on the air (SK 4.8)."""

    number: int
    address: str
    parameter: int | None = None

    @override
    def __repr__(self) -> str:
        return f"EVENT {self.number:02X} {self.address}" + ("" if self.parameter is None else f" {self.parameter:02X}")


@dataclass(frozen=True, slots=True, kw_only=True)
class PanDescriptor:
    """A coordinator that answered a scan (SK 4.5)."""

    channel: int
    pan_id: int
    mac: str
    """EUI-64, 16 hexadecimal digits."""
    lqi: int
    pair_id: str | None = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedUdp:
    """A datagram (SK 4.1)."""

    source: str
    port: int
    lqi: int | None
    secured: bool
    # A PANA datagram carries the Route B ID in clear text.
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Line:
    """Any other line: the answer of a command, an echo, noise."""

    text: str

    @override
    def __repr__(self) -> str:
        """Show answers only: an echo or a damaged line may hold a credential."""
        return self.text if self.text.startswith(("EVER ", "EINFO ", "ESREG ")) else "another line"


type Message = Ok | Fail | Event | PanDescriptor | ReceivedUdp | Line


@cache
def rssi_of(lqi: int) -> float:
    """Return the signal strength in dBm that a link quality stands for (SK 4.5)."""
    return round(0.275 * lqi - 104.27, 1)
