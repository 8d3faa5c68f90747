"""What can go wrong with an answer on its way through the air."""

from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING

from .echonet import Esv, Frame

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Callable, Mapping
    from random import Random

    from .radio import RadioSettings

ECHONET_PORT = 0x0E1A
PANA_PORT = 0x02CC

ANNOUNCED = frozenset({0x80, 0x81, 0x88, 0xEA, 0xEB})
"""What a meter tells unasked (APPX 3.3.25)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Datagram:
    """A UDP datagram as it reaches the module."""

    mac: str
    """The sender's."""
    data: bytes
    lqi: int
    to_all: bool = False
    is_secured: bool = True
    port: int = ECHONET_PORT


class Fault(Enum):
    """What happens to an answer."""

    LOST = "it never arrives"
    LATE = "it arrives long after anybody waits: half a minute later, at infinite speed with the next request"
    DOUBLED = "it arrives twice"
    CONTRADICTED = "a second one with the same TID says something else"
    FOREIGN_TID = "before it comes one to another request"
    FOREIGN_SENDER = "before it comes one with the same TID of another node"
    FOREIGN_OBJECT = "before it comes one with the same TID of another object of the meter"
    UNENCRYPTED = "before it comes one that was not encrypted"
    NOTIFICATION = "before it comes a notification that happens to have the same TID"
    TRUNCATED = "before it comes one that breaks off"
    WRONG_LENGTH = "before it comes one whose values lack their last byte"
    TRAILING = "before it comes one with bytes left over"
    UNKNOWN_PROPERTY = "it has a property that nobody asked for"
    REORDERED = "its properties come in another order"
    NOT_ECHONET = "before it comes something that is no ECHONET Lite at all"


def _untrue(frame: Frame) -> Frame:
    """Return the same frame with values that can be told from the true ones."""
    lies = tuple((epc, edt[:-1] + bytes([edt[-1] ^ 0x41]) if edt else edt) for epc, edt in frame.properties)
    return replace(frame, properties=lies)


def _told(frame: Frame) -> Frame:
    """Return a notification; what a meter really announces is true, as nobody but the meter could know better."""
    lies = dict(_untrue(frame).properties)
    properties = tuple((epc, edt if epc in ANNOUNCED else lies[epc]) for epc, edt in frame.properties)
    return replace(frame, service=Esv.INF, properties=properties)


def _short(frame: Frame) -> Frame:
    return replace(frame, properties=tuple((epc, edt[:-1]) for epc, edt in frame.properties))


def _ahead(change: Callable[[Frame], Frame]) -> Callable[[Datagram], list[Datagram]]:
    """Return what sends a changed frame before the true one."""
    return lambda true: [replace(true, data=change(Frame.decode(true.data)).encode()), true]


def _changed(change: Callable[[Frame], Frame]) -> Callable[[Datagram], list[Datagram]]:
    """Return what sends a changed frame instead of the true one."""
    return lambda true: [replace(true, data=change(Frame.decode(true.data)).encode())]


def _lie(true: Datagram) -> Datagram:
    return replace(true, data=_untrue(Frame.decode(true.data)).encode())


def next_fault(due: deque[Fault], settings: RadioSettings, chance: Random) -> Fault | None:
    """Return what happens to the next answer: what is due, or what chance has of the settings."""
    if due:
        return due.popleft()
    if settings.faults and chance.random() < settings.fault_rate:
        return chance.choice(settings.faults)
    return None


EFFECTS: Mapping[Fault, Callable[[Datagram], list[Datagram]]] = {
    Fault.LOST: lambda _: [],
    Fault.DOUBLED: lambda true: [true, true],
    Fault.CONTRADICTED: lambda true: [true, _lie(true)],
    Fault.FOREIGN_TID: _ahead(lambda frame: replace(_untrue(frame), tid=frame.tid ^ 0x0101)),
    Fault.FOREIGN_SENDER: lambda true: [replace(_lie(true), mac="001C6400FFFFFFFF"), true],
    Fault.FOREIGN_OBJECT: _ahead(lambda frame: replace(_untrue(frame), source=bytes.fromhex("027901"))),
    Fault.UNENCRYPTED: lambda true: [replace(_lie(true), is_secured=False), true],
    Fault.NOTIFICATION: _ahead(_told),
    Fault.TRUNCATED: lambda true: [replace(true, data=true.data[:-2]), true],
    Fault.WRONG_LENGTH: _ahead(_short),
    Fault.TRAILING: lambda true: [replace(true, data=_lie(true).data + b"\0\0"), true],
    Fault.UNKNOWN_PROPERTY: _changed(lambda frame: replace(frame, properties=(*frame.properties, (0xF0, b"\x01\x02")))),
    Fault.REORDERED: _changed(lambda frame: replace(frame, properties=frame.properties[::-1])),
    Fault.NOT_ECHONET: lambda true: [replace(true, data=bytes.fromhex("1082") + true.data[2:]), true],
}
"""What is received in place of an answer. LATE is a matter of time and not in here."""
