"""From the bytes of an SK module to messages, without I/O."""

import binascii
from functools import lru_cache
import logging
import re
import string

from .messages import Event, EventNumber, Fail, Line, Message, Ok, PanDescriptor, ReceivedUdp

_LOGGER = logging.getLogger(__name__)

MAX_DATAGRAM = 0x04D0
"""Longest UDP payload of a module (SK 3.7)."""

MAX_LINE = 1024
"""No line of text comes near it; what is longer is line noise."""

_EVENT = re.compile(r"([0-9A-F]{2})(?: ([0-9A-F:]{39}))?(?: [0-9A-F])?(?: ([0-9A-F]{2}))? *")
_HEX_DIGITS = string.hexdigits.encode()
_MARK = re.compile(
    # Some answers end in a bare CR (SK 3.31), so an LF cannot be waited for: one that comes later is noise.
    rb"\r\n?|ERXUDP ([0-9A-F:]{39}) [0-9A-F:]{39} [0-9A-F]{4} ([0-9A-F]{4}) [0-9A-F]{16} "
    # Modules differ in which of these flags they print: LQI, security, side.
    rb"(?:([0-9A-F]{2}) )?([0-9A-F]) (?:[0-9A-F] )?([0-9A-F]{4}) (?=(.))",
    re.DOTALL,
)
"""Where a line of text ends, or the payload of a datagram begins (SK 4.1)."""
_NOISE = re.compile(r"^[^!-~]+")
_BLOCK = {
    "Channel": re.compile("[0-9A-F]{2}"),
    "Pan ID": re.compile("[0-9A-F]{4}"),
    "Addr": re.compile("[0-9A-F]{16}"),
    "LQI": re.compile("[0-9A-F]{2}"),
}
"""What an EPANDESC block must hold (SK 4.5)."""


class _DamagedError(Exception):
    """What was read is not what it began as."""


class Decoder:
    """Bytes in, messages out; what is damaged is left out."""

    def __init__(self) -> None:
        self._buffer = b""
        self._needed = 1
        """Bytes that have to be there before the next message can be read, as far as is known."""
        self._messages: list[Message] = []
        self._block: dict[str, str] | None = None

    def receive(self, data: bytes) -> list[Message]:
        """Return the messages that these bytes complete."""
        self._buffer += data
        while len(self._buffer) >= self._needed:
            self._needed = 1
            try:
                self._read_one()
            except _DamagedError as err:
                # Damaged bytes may hold a credential: only the reason is told.
                _LOGGER.debug("skipped: %s", err)
        messages, self._messages = self._messages, []
        return messages

    def _read_one(self) -> None:
        """Take one message from the buffer, if it is whole."""
        mark = _MARK.search(self._buffer, 0, MAX_LINE)
        if mark is None:
            if len(self._buffer) < MAX_LINE:
                self._needed = len(self._buffer) + 1
            else:
                self._read_line(MAX_LINE, MAX_LINE)
        elif mark[1] is None:
            self._read_line(*mark.span())
        else:
            self._read_datagram(mark)

    def _read_line(self, end: int, next_one: int) -> None:
        line, self._buffer = self._buffer[:end], self._buffer[next_one:]
        if b"ERXUDP " in line:
            raise _DamagedError("ERXUDP with a wrong head")
        text = line.decode("ascii", "replace").rstrip()
        self._line(text if "!" <= text[:1] <= "~" else _NOISE.sub("", text))

    def _read_datagram(self, head: re.Match[bytes]) -> None:
        """Read by length: hexadecimal digits, or raw bytes that may hold CR, LF and spaces (SK 3.30)."""
        source, port, lqi, secured, length, first = head.groups()
        start, size, data = head.end(), int(length, 16), None
        if size > MAX_DATAGRAM:
            self._buffer = self._buffer[start:]
            raise _DamagedError("ERXUDP longer than a datagram can be")
        if first in _HEX_DIGITS:
            end = start + 2 * size
            if self._lacks(end + 1):
                return
            data = _bytes(self._buffer[start : end + 1])
        if data is None:
            end = start + size
            if self._lacks(end + 1):
                return
            if not self._buffer.startswith(b"\r", end):
                self._buffer = self._buffer[start:]
                raise _DamagedError(f"ERXUDP without its {size} bytes")
            data = self._buffer[start:end]
        self._buffer = self._buffer[end + 1 :].removeprefix(b"\n")
        self._messages.append(
            ReceivedUdp(
                source=source.decode(),
                port=int(port, 16),
                lqi=None if lqi is None else int(lqi, 16),
                secured=secured == b"1",
                data=data,
            )
        )

    def _lacks(self, size: int) -> bool:
        """Return whether so many bytes are not there yet; they are waited for."""
        self._needed = size if len(self._buffer) < size else 1
        return self._needed > 1

    def _line(self, text: str) -> None:
        match text.split(" ", 1):
            case [""]:
                pass
            case ["OK"]:
                self._messages.append(Ok())
            case ["OK", value]:
                self._messages.append(Ok(value))
            case ["FAIL", code]:
                self._messages.append(Fail(code))
            case [first, rest] if first.endswith("EVENT"):
                event = _event_of(rest)
                if event.number == EventNumber.SCAN_FINISHED:
                    self._end_block()
                self._messages.append(event)
            case [first] if first.endswith("EPANDESC"):
                self._end_block()
                self._block = {}
            case _ if self._block is not None and ":" in text:
                key, _, value = text.partition(":")
                self._block[key] = value
                if key == "PairID":  # The last line, in both families.
                    self._end_block()
            case _:
                self._messages.append(Line(text))

    def _end_block(self) -> None:
        """Give out the block that was being read, if it is whole."""
        block, self._block = self._block, None
        if block is None:
            return
        if not all(form.fullmatch(block.get(key, "")) for key, form in _BLOCK.items()):
            _LOGGER.debug("skipped: EPANDESC cut in half")
            return
        self._messages.append(
            PanDescriptor(
                channel=int(block["Channel"], 16),
                pan_id=int(block["Pan ID"], 16),
                mac=block["Addr"],
                lqi=int(block["LQI"], 16),
                pair_id=block.get("PairID"),
            )
        )


@lru_cache(maxsize=16)
def _event_of(words: str) -> Event:
    """Return the event that the words behind EVENT stand for: those of a poll are always the same."""
    found = _EVENT.fullmatch(words)
    if found is None:
        raise _DamagedError("EVENT of a wrong form")
    number, address, parameter = found.groups()
    return Event(int(number, 16), address or "", None if parameter is None else int(parameter, 16))


def _bytes(digits: bytes) -> bytes | None:
    """Return what hexadecimal digits and a CR stand for; `None` if it is something else."""
    if not digits.endswith(b"\r"):
        return None
    try:
        return binascii.unhexlify(digits[:-1])
    except binascii.Error:
        return None
