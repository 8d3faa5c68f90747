"""ECHONET Lite frames, and a node that answers requests to its objects (EL2 3.2)."""

from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

HEADER = bytes.fromhex("1081")
METER = bytes.fromhex("028801")
CONTROLLER = bytes.fromhex("05FF01")
PROFILE = bytes.fromhex("0EF001")

type Properties = tuple[tuple[int, bytes], ...]


class Esv(IntEnum):
    """Services (EL2 3.2.5)."""

    SET_I = 0x60
    SET_C = 0x61
    GET = 0x62
    INF_REQ = 0x63
    SET_GET = 0x6E
    SET_RES = 0x71
    GET_RES = 0x72
    INF = 0x73
    INFC = 0x74
    INFC_RES = 0x7A
    SET_GET_RES = 0x7E
    SET_I_SNA = 0x50
    SET_C_SNA = 0x51
    GET_SNA = 0x52
    INF_SNA = 0x53
    SET_GET_SNA = 0x5E


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One ECHONET Lite frame of format 1 (EL2 3.2)."""

    tid: int
    source: bytes
    destination: bytes
    service: int
    properties: Properties
    gets: Properties | None = None
    """The second half of SetGet."""

    def encode(self) -> bytes:
        """Return the frame's bytes."""
        head = HEADER + self.tid.to_bytes(2) + self.source + self.destination + bytes([self.service])
        return head + _encoded(self.properties) + (b"" if self.gets is None else _encoded(self.gets))

    @classmethod
    def decode(cls, data: bytes) -> Frame:
        """Return the frame that the bytes are.

        Raises:
            ValueError: they are not exactly one frame.

        """
        if data[:2] != HEADER or len(data) < 12:
            raise ValueError("not an ECHONET Lite frame")
        service = data[10]
        properties, end = _decoded(data, 11)
        gets = None
        if service in {Esv.SET_GET, Esv.SET_GET_RES, Esv.SET_GET_SNA}:
            gets, end = _decoded(data, end)
        if end != len(data):
            raise ValueError("bytes are left over")
        tid = int.from_bytes(data[2:4])
        return cls(tid=tid, source=data[4:7], destination=data[7:10], service=service, properties=properties, gets=gets)


def _encoded(properties: Properties) -> bytes:
    return bytes([len(properties)]) + b"".join(bytes([epc, len(edt)]) + edt for epc, edt in properties)


def _decoded(data: bytes, start: int) -> tuple[Properties, int]:
    properties = []
    try:
        count, position = data[start], start + 1
        for _ in range(count):
            epc, size = data[position], data[position + 1]
            edt = data[position + 2 : position + 2 + size]
            position += 2 + size
            properties.append((epc, edt))
    except IndexError:
        raise ValueError("a property is cut off") from None
    if position > len(data):
        raise ValueError("a value is cut off")
    return tuple(properties), position


def property_map(codes: set[int]) -> bytes:
    """Return a property map, as a list or from sixteen codes on as bits (EL2 appendix 1)."""
    if len(codes) < 16:
        return bytes([len(codes), *sorted(codes)])
    columns = [sum(1 << (code >> 4) - 8 for code in codes if code & 0x0F == low) for low in range(16)]
    return bytes([len(codes), *columns])


class Excess(Enum):
    """What becomes of a Get that asks for more than a node can answer."""

    REFUSED = "what is too much is refused"
    OMITTED = "what is too much is not mentioned in the answer"
    ALL_REFUSED = "everything is refused"
    IGNORED = "there is no answer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ability:
    """How much a node can answer."""

    properties: int | None = None
    """In one Get."""
    size: int | None = None
    """Bytes of one answer."""
    excess: Excess = Excess.REFUSED
    answers_many: bool = True
    """Otherwise a Get of several properties stays without an answer."""
    stops_at_refusal: bool = False
    """Whether it refuses everything behind the first property that it refuses."""
    ignored: frozenset[int] = frozenset()
    """A Get with one of these stays without an answer."""


class EchonetObject(Protocol):
    """What a node has to know of one of its objects."""

    def read(self, epc: int) -> bytes | None:
        """Return the value, or nothing if there is no such property."""

    def write(self, epc: int, edt: bytes) -> bool:
        """Set a value; return whether it was taken."""


@dataclass(frozen=True, slots=True)
class Telegram:
    """A frame on its way out."""

    payload: bytes
    to_all: bool = False
    """Sent to FF02::1 instead of the controller."""


@dataclass(frozen=True, slots=True)
class Node:
    """Objects that answer requests."""

    objects: Mapping[bytes, EchonetObject]
    ability: Ability = Ability()

    def answer(self, payload: bytes) -> Telegram | None:
        """Return the answer to a request, if there is to be one."""
        try:
            frame = Frame.decode(payload)
        except ValueError:
            return None
        target = self.objects.get(frame.destination)
        return None if target is None else self._serve(target, frame)

    def _serve(self, target: EchonetObject, frame: Frame) -> Telegram | None:
        match frame.service:
            case Esv.GET:
                gotten = self._answered(target, frame.properties)
                return None if gotten is None else _reply(frame, Esv.GET_RES, Esv.GET_SNA, gotten)
            case Esv.INF_REQ:
                return _reply(frame, Esv.INF, Esv.INF_SNA, self._gotten(target, frame.properties))
            case Esv.SET_I | Esv.SET_C:
                return _set(target, frame)
            case Esv.SET_GET:
                return self._set_get(target, frame)
        return None

    def _answered(self, target: EchonetObject, asked: Properties) -> Properties | None:
        """Return what a Get is answered with, if it is answered."""
        ability = self.ability
        if (len(asked) > 1 and not ability.answers_many) or any(epc in ability.ignored for epc, _ in asked):
            return None
        read = self._gotten(target, asked)
        fitting = self._fitting(read)
        if fitting == len(read):
            return read
        match ability.excess:
            case Excess.REFUSED:
                return read[:fitting] + tuple((epc, b"") for epc, _ in read[fitting:])
            case Excess.OMITTED:
                return read[:fitting]
            case Excess.ALL_REFUSED:
                return tuple((epc, b"") for epc, _ in read)
            case Excess.IGNORED:
                return None

    def _fitting(self, read: Properties) -> int:
        """Return how many of these properties an answer has room for."""
        room, size = self.ability.properties or len(read), 0
        for place, (_, edt) in enumerate(read):
            size += 2 + len(edt)
            if place == room or (self.ability.size is not None and size > self.ability.size):
                return place
        return len(read)

    def _gotten(self, target: EchonetObject, asked: Properties) -> Properties:
        """Return what was asked for; refused properties are empty."""
        gotten: list[tuple[int, bytes]] = []
        for epc, _ in asked:
            is_over = self.ability.stops_at_refusal and any(not edt for _, edt in gotten)
            gotten.append((epc, b"" if is_over else target.read(epc) or b""))
        return tuple(gotten)

    def _set_get(self, target: EchonetObject, frame: Frame) -> Telegram:
        written = _written(target, frame.properties)
        read = self._gotten(target, frame.gets or ())
        refused = any(edt for _, edt in written) or not all(edt for _, edt in read)
        service = Esv.SET_GET_SNA if refused else Esv.SET_GET_RES
        return Telegram(_returned(frame, service, written, read))


def _set(target: EchonetObject, frame: Frame) -> Telegram | None:
    written = _written(target, frame.properties)
    if any(edt for _, edt in written):
        service = Esv.SET_C_SNA if frame.service == Esv.SET_C else Esv.SET_I_SNA
        return Telegram(_returned(frame, service, written))
    return Telegram(_returned(frame, Esv.SET_RES, written)) if frame.service == Esv.SET_C else None


def _written(target: EchonetObject, wanted: Properties) -> Properties:
    """Write, and return what was refused with its value; taken properties are empty."""
    return tuple((epc, b"" if target.write(epc, edt) else edt) for epc, edt in wanted)


def _reply(request: Frame, success: Esv, failure: Esv, read: Properties) -> Telegram:
    service = success if len(read) == len(request.properties) and all(edt for _, edt in read) else failure
    return Telegram(_returned(request, service, read), to_all=service == Esv.INF)


def _returned(request: Frame, service: Esv, properties: Properties, gets: Properties | None = None) -> bytes:
    return Frame(
        tid=request.tid,
        source=request.destination,
        destination=request.source,
        service=service,
        properties=properties,
        gets=gets,
    ).encode()
