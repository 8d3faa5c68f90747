"""Reading from bytes that arrive in pieces of any size."""

from collections.abc import Generator
import re

type Parse[T] = Generator[None, None, T]
"""A parser: yields when it needs more bytes, returns what it read."""


class ByteReader:
    """A buffer that parsers wait at."""

    def __init__(self) -> None:
        self._buffer = b""
        self._position = 0

    def feed(self, data: bytes) -> None:
        """Add what has arrived."""
        self._buffer = self._buffer[self._position :] + data
        self._position = 0

    def unread(self, size: int) -> None:
        """Go back by as many of the bytes that were read last: they will be read again."""
        self._position -= size

    def read_exact(self, size: int) -> Parse[bytes]:
        """Read that many bytes, whatever they are."""
        while len(self._buffer) - self._position < size:
            yield
        return self._take(size)

    def read_until(self, mark: re.Pattern[bytes], limit: int) -> Parse[tuple[bytes, re.Match[bytes] | None]]:
        """Read up to and with a mark; return what stands before it, and the mark. Without one, read to the limit."""
        while (found := mark.search(self._buffer, self._position, self._position + limit)) is None:
            if len(self._buffer) - self._position >= limit:
                return self._take(limit), None
            yield
        before = self._buffer[self._position : found.start()]
        self._position = found.end()
        return before, found

    def _take(self, size: int) -> bytes:
        start, self._position = self._position, self._position + size
        return self._buffer[start : self._position]
