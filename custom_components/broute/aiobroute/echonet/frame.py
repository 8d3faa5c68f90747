"""ECHONET Lite frames of format 1 (EL2 3.2)."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
import struct
from typing import Self

from ..errors import FrameError

CONTROLLER = 0x05FF01
"""Our own object: a controller, instance 1 (AIF 2.1)."""
SMART_METER = 0x028801
"""Low-voltage smart electric energy meter, instance 1."""
NODE_PROFILE = 0x0EF001

_HEAD = struct.Struct(">HHHBHBBB")
_FORMAT_1 = 0x1081


class Esv(IntEnum):
    """Services (EL2 3.2.5)."""

    SETI_SNA = 0x50
    SETC_SNA = 0x51
    GET_SNA = 0x52
    INF_SNA = 0x53
    SETI = 0x60
    SETC = 0x61
    GET = 0x62
    INF_REQ = 0x63
    SET_RES = 0x71
    GET_RES = 0x72
    INF = 0x73
    INFC = 0x74
    INFC_RES = 0x7A


_SERVICES = {esv.value: esv for esv in Esv}


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One request, answer or notification."""

    tid: int
    """Transaction ID, 0 to FFFF; an answer carries its request's."""
    source: int
    """Object code of the sender."""
    destination: int
    """Object code of the receiver."""
    esv: Esv
    properties: tuple[tuple[int, bytes], ...]
    """Property codes with their data; empty data in an SNA answer means refused."""

    def encode(self) -> bytes:
        """Return the bytes of the frame."""
        head = _HEAD.pack(
            _FORMAT_1,
            self.tid,
            self.source >> 8,
            self.source & 0xFF,
            self.destination >> 8,
            self.destination & 0xFF,
            self.esv,
            len(self.properties),
        )
        return head + b"".join([bytes((code, len(data))) + data for code, data in self.properties])

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read a frame.

        Raises:
            FrameError: the bytes are not one whole frame of format 1.

        """
        if len(data) < _HEAD.size:
            raise FrameError(f"a frame of {len(data)} bytes is too short")
        form, tid, source, source_instance, destination, destination_instance, code, count = _HEAD.unpack_from(data)
        if form != _FORMAT_1:
            raise FrameError(f"not a frame of format 1: {form:04X}")
        if (esv := _SERVICES.get(code)) is None:
            raise FrameError(f"unknown service {code:02X}")
        return cls(
            tid=tid,
            source=source << 8 | source_instance,
            destination=destination << 8 | destination_instance,
            esv=esv,
            properties=_properties(data, count),
        )

    @classmethod
    def get(cls, tid: int, codes: Iterable[int]) -> Self:
        """Ask the meter for properties."""
        return cls._request(Esv.GET, tid, [(code, b"") for code in codes])

    @classmethod
    def setc(cls, tid: int, code: int, data: bytes) -> Self:
        """Set a property of the meter, answer wanted."""
        return cls._request(Esv.SETC, tid, [(code, data)])

    @classmethod
    def _request(cls, esv: Esv, tid: int, properties: list[tuple[int, bytes]]) -> Self:
        return cls(tid=tid, source=CONTROLLER, destination=SMART_METER, esv=esv, properties=tuple(properties))

    def confirmation(self) -> Self:
        """Return the INFC_Res that a notification of the kind INFC wants (EL2 3.2.5)."""
        return type(self)(
            tid=self.tid,
            source=self.destination,
            destination=self.source,
            esv=Esv.INFC_RES,
            properties=tuple((code, b"") for code, _ in self.properties),
        )


def with_tid(data: bytes, tid: int) -> bytes:
    """Return the bytes of a frame as those of another transaction."""
    return data[:2] + tid.to_bytes(2) + data[4:]


def _properties(data: bytes, count: int) -> tuple[tuple[int, bytes], ...]:
    properties = []
    position, size = _HEAD.size, len(data)
    for _ in range(count):
        start = position + 2
        end = start + data[start - 1] if start <= size else start
        if end > size:
            raise FrameError("a frame that ends within a property")
        properties.append((data[position], data[start:end]))
        position = end
    if position != size:
        raise FrameError(f"{size - position} bytes too many in a frame")
    return tuple(properties)
