"""From the bytes of a J11 module to frames and back, without I/O."""

from collections.abc import Iterator
from dataclasses import dataclass, field
import logging
import struct

_LOGGER = logging.getLogger(__name__)

FAMILY = "J11"

GET_VERSION = 0x006B
"""Code of the command that every module answers, whatever it was told before."""

REQUEST = bytes.fromhex("D0EA83FC")
"""The unique code before everything that goes to a module."""

FROM_MODULE = bytes.fromhex("D0F9EE5D")
"""The unique code before everything that a module says."""

MAX_DATA = 1349
"""Bytes of data of the longest frame."""

_HEAD = struct.Struct(">4sHH")
_CHECKSUMS = struct.Struct(">HH")
_HEADER_SIZE = _HEAD.size + _CHECKSUMS.size


@dataclass(frozen=True, slots=True)
class Frame:
    """What is said at once, in either direction."""

    code: int
    """Command code; a response has that of its request plus 2000 hex."""
    # The credentials are data, too.
    data: bytes = field(default=b"", repr=False)

    def encode(self) -> bytes:
        """Return the bytes of a request."""
        # The checksums count for the length, what stands before them does not.
        head = _HEAD.pack(REQUEST, self.code, _CHECKSUMS.size + len(self.data))
        return head + _CHECKSUMS.pack(_checksum(head), _checksum(self.data)) + self.data


class Decoder:
    """Bytes in, frames of a module out; what is damaged is left out."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def receive(self, data: bytes) -> Iterator[Frame]:
        """Yield the frames that these bytes complete."""
        self._buffer += data
        yield from self._frames()

    def give_up(self) -> Iterator[Frame]:
        """Wait no longer for the rest of a frame; yield those that arrived within it."""
        while self._buffer:
            del self._buffer[0]
            yield from self._frames()

    def _frames(self) -> Iterator[Frame]:
        while self._find():
            _, code, length = _HEAD.unpack_from(self._buffer)
            header_sum, data_sum = _CHECKSUMS.unpack_from(self._buffer, _HEAD.size)
            size = length - _CHECKSUMS.size
            if header_sum != _checksum(self._buffer[: _HEAD.size]) or not 0 <= size <= MAX_DATA:
                self._skip("header")
                continue
            if len(self._buffer) < _HEADER_SIZE + size:
                return
            data = bytes(self._buffer[_HEADER_SIZE : _HEADER_SIZE + size])
            if data_sum != _checksum(data):
                self._skip("data")
                continue
            del self._buffer[: _HEADER_SIZE + size]
            yield Frame(code, data)

    def _find(self) -> bool:
        """Drop what stands before the next unique code; return whether a header is there."""
        start = self._buffer.find(FROM_MODULE)
        # Without one, the last bytes may be its beginning.
        del self._buffer[: start if start >= 0 else 1 - len(FROM_MODULE)]
        return start >= 0 and len(self._buffer) >= _HEADER_SIZE

    def _skip(self, part: str) -> None:
        """Look for the next frame one byte further: this one is none."""
        # Damaged bytes may hold anything: only the place is told.
        _LOGGER.debug("skipped: a frame with a damaged %s", part)
        del self._buffer[0]


def _checksum(data: bytes | bytearray) -> int:
    return sum(data) & 0xFFFF
