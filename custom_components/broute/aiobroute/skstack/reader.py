"""Reading from bytes that arrive in pieces of any size."""

from collections.abc import Generator
import re

type Parse[T] = Generator[None, None, T]
"""A parser: yields when it needs more bytes, returns what it read."""


class ByteReader:
    """A buffer that parsers wait at."""

    def __init__(self) -> None:
        """Start empty."""
        self._buffer = bytearray()

    def feed(self, data: bytes) -> None:
        """Add what has arrived."""
        self._buffer += data

    def unread(self, data: bytes) -> None:
        """Put bytes back, to be read again."""
        self._buffer[:0] = data

    def peek(self) -> Parse[int]:
        """Return the next byte and leave it there."""
        while not self._buffer:
            yield
        return self._buffer[0]

    def read_exact(self, size: int) -> Parse[bytes]:
        """Read that many bytes, whatever they are."""
        while len(self._buffer) < size:
            yield
        return self._take(size)

    def read_until(self, mark: re.Pattern[bytes], limit: int) -> Parse[bytes]:
        """Read up to and with the mark, or to the limit if it comes first."""
        while (found := mark.search(self._buffer, 0, limit)) is None and len(self._buffer) < limit:
            yield
        return self._take(found.end() if found else limit)

    def _take(self, size: int) -> bytes:
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return data
