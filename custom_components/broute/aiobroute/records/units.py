"""What goes over a port, cut where a module's messages end, and as lines of a record."""

from collections.abc import Iterator
from dataclasses import dataclass, field
import re
import struct
from typing import override

REQUEST = bytes.fromhex("D0EA83FC")
FROM_MODULE = bytes.fromhex("D0F9EE5D")
"""The unique codes before the frames of a J11 module (UARTIF 3.1)."""

_HEAD = struct.Struct(">4sHHHH")

LONGEST = 4096
"""Bytes of a line, at most: an ERXUDP line has some 2600."""

LONGEST_DATAGRAM = 0x04D0
"""Bytes (SK 3.7)."""

ENDS = {"": b"\r\n", "-cr": b"\r", "-lf": b"\n", "-open": b""}
"""How a line ends, by what its name in a record ends with."""

HEX_DIGITS = b"0123456789ABCDEFabcdef"

_RECEIVED = re.compile(
    rb"ERXUDP (?:[0-9A-F:]+ ){2}(?:[0-9A-F]{4} ){2}[0-9A-F]{16} (?:[0-9A-F]{1,2} ){1,3}([0-9A-F]{4}) "
)
_SENT = re.compile(rb"SKSENDTO 1 [0-9A-F:]{39} [0-9A-F]{4} [0-9A-F] (?:[0-9A-F] )?([0-9A-F]{4}) ")
"""What stands before binary data, which may hold the end of a line (SK 3.7, 4.1)."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of text, as it is."""

    text: str
    end: str = ""
    """A key of `ENDS`."""

    def encode(self) -> bytes:
        """Return the bytes."""
        return self.text.encode("latin-1") + ENDS[self.end]

    @override
    def __str__(self) -> str:
        """Return it as in a record."""
        return f"line{self.end} {self.text}".rstrip()


@dataclass(frozen=True, slots=True)
class Data:
    """A line of text with binary data at its end."""

    head: str
    """With the space before the data."""
    data: bytes
    end: str = ""

    def encode(self) -> bytes:
        """Return the bytes."""
        return self.head.encode("latin-1") + self.data + ENDS[self.end]

    @override
    def __str__(self) -> str:
        """Return it as in a record."""
        return f"data{self.end} {self.head}{self.data.hex().upper()}".rstrip()


@dataclass(frozen=True, slots=True)
class Packet:
    """A frame of a J11 module, in either direction."""

    code: int
    data: bytes
    is_request: bool

    def encode(self) -> bytes:
        """Return the bytes, with the checksums that belong to them (UARTIF 3.1)."""
        head = struct.pack(">4sHH", REQUEST if self.is_request else FROM_MODULE, self.code, 4 + len(self.data))
        return head + struct.pack(">HH", sum(head) & 0xFFFF, sum(self.data) & 0xFFFF) + self.data

    @override
    def __str__(self) -> str:
        """Return it as in a record."""
        return f"frame {self.code:04X} {self.data.hex().upper()}".rstrip()


@dataclass(frozen=True, slots=True)
class Bytes:
    """Something that is not understood, and of which only the length is kept."""

    size: int
    data: bytes = field(default=b"", compare=False, repr=False)
    """What it was, as far as anybody may want to see it."""

    @override
    def __str__(self) -> str:
        """Return it as in a record."""
        return f"bytes {self.size}"


type Unit = Line | Data | Packet | Bytes


def units_of(sent: bytes) -> Iterator[Unit]:
    """Yield what was said to a module at once."""
    if sent.startswith(REQUEST):
        match _packet(sent, REQUEST):
            case Packet() as packet, size if size == len(sent):
                yield packet
            case _:
                yield Bytes(len(sent))
        return
    while sent:
        if (found := _SENT.match(sent)) is not None and len(sent) == found.end() + int(found[1], 16):
            yield Data(found[0].decode("latin-1"), sent[found.end() :], "-open")
            return
        text, end, rest = sent.partition(b"\r\n")
        if not end:
            yield Bytes(len(sent))
            return
        yield Line(text.decode("latin-1"))
        sent = rest


class Splitter:
    """Cuts what comes from a module, in pieces of any size, into units."""

    def __init__(self) -> None:
        """Start with nothing."""
        self._buffer = b""
        self._skipped = b""

    def receive(self, data: bytes) -> Iterator[Unit]:
        """Yield the units that these bytes complete."""
        self._buffer += data
        while self._buffer and (found := self._next()) is not None:
            unit, size = found
            done, self._buffer = self._buffer[:size], self._buffer[size:]
            if unit is None:
                self._skipped += done
                continue
            yield from self._skip()
            yield unit
        if not self._buffer:
            yield from self._skip()

    def flush(self) -> Iterator[Unit]:
        """Yield what was begun and not ended."""
        self._skipped += self._buffer
        self._buffer = b""
        yield from self._skip()

    def _skip(self) -> Iterator[Bytes]:
        skipped, self._skipped = self._skipped, b""
        if skipped:
            yield Bytes(len(skipped), skipped)

    def _next(self) -> tuple[Unit | None, int] | None:
        """Return the next unit, or none where something is to be skipped, and its size; `None` to wait for more."""
        buffer = self._buffer
        if FROM_MODULE.startswith(buffer[:4]):
            return _packet(buffer, FROM_MODULE)
        frame = buffer.find(FROM_MODULE)
        if (found := _RECEIVED.match(buffer)) is not None:
            return self._received(found)
        end = re.search(rb"[\r\n]", buffer)
        if frame >= 0 and (end is None or frame < end.start()):
            return None, frame
        if end is None:
            return (None, len(buffer)) if len(buffer) > LONGEST else None
        text = buffer[: end.start()].decode("latin-1")
        return self._ended(Line(text), end.start())

    def _received(self, found: re.Match[bytes]) -> tuple[Unit | None, int] | None:
        """Return a datagram: its data are hexadecimal digits, or as many raw bytes as are announced."""
        buffer, begin, size = self._buffer, found.end(), int(found[1], 16)
        head = found[0].decode("latin-1")
        if size > LONGEST_DATAGRAM:
            return None, begin
        if not buffer[begin:]:
            return None
        if buffer[begin] in HEX_DIGITS:
            digits = buffer[begin : begin + 2 * size]
            if len(buffer) <= begin + 2 * size and not set(digits) - set(HEX_DIGITS):
                return None
            if re.fullmatch(rb"[0-9A-Fa-f]*\r", buffer[begin : begin + 2 * size + 1]):
                return self._ended(Line(head + digits.decode()), begin + 2 * size)
        if len(buffer) <= begin + size:
            return None
        if buffer[begin + size] == ENDS["-cr"][0]:
            return self._ended(Data(head, buffer[begin : begin + size]), begin + size)
        return None, begin

    def _ended(self, unit: Line | Data, size: int) -> tuple[Unit, int]:
        """Return a unit with the end that stands behind it."""
        end = next(name for name, mark in ENDS.items() if self._buffer.startswith(mark, size))
        named = Line(unit.text, end) if isinstance(unit, Line) else Data(unit.head, unit.data, end)
        return named, size + len(ENDS[end])


def _packet(buffer: bytes, unique: bytes) -> tuple[Unit | None, int] | None:
    """Return a frame and its size; none and 1 if it is damaged; `None` if it is not whole yet."""
    if len(buffer) < _HEAD.size:
        return None
    _, code, length, head_sum, data_sum = _HEAD.unpack_from(buffer)
    if head_sum != sum(buffer[:8]) & 0xFFFF or not 4 <= length <= LONGEST:
        return None, 1
    size = 8 + length
    if len(buffer) < size:
        return None
    data = buffer[_HEAD.size : size]
    if data_sum != sum(data) & 0xFFFF:
        return None, 1
    return Packet(code, data, unique == REQUEST), size
