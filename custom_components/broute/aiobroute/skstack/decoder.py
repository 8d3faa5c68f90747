"""From the bytes of an SK module to messages, without I/O."""

import binascii
import logging
import re
import string

from .messages import Event, EventNumber, Fail, Line, Message, Ok, PanDescriptor, ReceivedUdp
from .reader import ByteReader, Parse

_LOGGER = logging.getLogger(__name__)

MAX_DATAGRAM = 0x04D0
"""Longest UDP payload of a module (SK 3.7)."""

MAX_LINE = 1024
"""No line of text comes near it; what is longer is line noise."""

_EVENT = re.compile(
    r"(?P<number>[0-9A-F]{2})(?: (?P<address>[0-9A-F:]{39}))?(?: [0-9A-F])?(?: (?P<parameter>[0-9A-F]{2}))? *"
)
_HEX_DIGITS = string.hexdigits.encode()
_LINE_END = re.compile(rb"\r|ERXUDP ")
"""Where a line of text ends, or a datagram begins."""
_HEAD = re.compile(
    rb"([0-9A-F:]{39}) [0-9A-F:]{39} ([0-9A-F]{4}) ([0-9A-F]{4}) [0-9A-F]{16} "
    # Which of these flags a module prints is its own affair: LQI, security, side.
    rb"(?:([0-9A-F]{2}) )?([0-9A-F]) (?:[0-9A-F] )?([0-9A-F]{4}) "
)
"""What comes between ERXUDP and its payload (SK 4.1)."""
_HEAD_END = re.compile(rb"\r|" + _HEAD.pattern)
MAX_HEAD = 128
"""No head is longer."""
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
        """Start at the beginning of a line."""
        self._reader = ByteReader()
        self._messages: list[Message] = []
        self._block: dict[str, str] | None = None
        self._parser = self._read_all()
        next(self._parser)

    def receive(self, data: bytes) -> list[Message]:
        """Return the messages that these bytes complete."""
        self._reader.feed(data)
        next(self._parser)
        messages, self._messages = self._messages, []
        return messages

    def _read_all(self) -> Parse[None]:
        while True:
            try:
                yield from self._read_one()
            except (_DamagedError, ValueError) as err:
                # Damaged bytes may hold a credential: only the reason is told.
                _LOGGER.debug("skipped: %s", err)

    def _read_one(self) -> Parse[None]:
        # An LF belongs to the line before: some answers end in a bare CR (SK 3.31), so it cannot be waited for there.
        line = yield from self._reader.read_until(_LINE_END, MAX_LINE)
        if line.endswith(b"ERXUDP "):
            message = yield from self._received_udp()
            self._messages.append(message)
        else:
            self._line(_NOISE.sub("", line.decode("ascii", "replace")).rstrip())

    def _received_udp(self) -> Parse[ReceivedUdp]:
        """Read by length: a binary payload may hold CR, LF and spaces."""
        head = _HEAD.fullmatch((yield from self._reader.read_until(_HEAD_END, MAX_HEAD)))
        if head is None:
            raise _DamagedError("ERXUDP with a wrong head")
        source, source_port, port, lqi, secured, length = head.groups()
        if (size := int(length, 16)) > MAX_DATAGRAM:
            raise _DamagedError("ERXUDP longer than a datagram can be")
        data = yield from self._payload(size)
        return ReceivedUdp(
            source=source.decode(),
            source_port=int(source_port, 16),
            port=int(port, 16),
            lqi=None if lqi is None else int(lqi, 16),
            secured=secured == b"1",
            data=data,
        )

    def _payload(self, size: int) -> Parse[bytes]:
        """Read hexadecimal digits or raw bytes, whichever the module prints (SK 3.30)."""
        if (yield from self._reader.peek()) in _HEX_DIGITS:
            text = yield from self._closed(2 * size)
            if text is not None:
                try:
                    return binascii.unhexlify(text)
                except binascii.Error:
                    self._reader.unread(text + b"\r")
        data = yield from self._closed(size)
        if data is None:
            raise _DamagedError(f"ERXUDP without its {size} bytes")
        return data

    def _closed(self, size: int) -> Parse[bytes | None]:
        """Read that many bytes and the CR behind them; without the CR, leave all of it."""
        data = yield from self._reader.read_exact(size + 1)
        if data.endswith(b"\r"):
            return data[:-1]
        self._reader.unread(data)
        return None

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
                self._event(rest)
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

    def _event(self, rest: str) -> None:
        found = _EVENT.fullmatch(rest)
        if found is None:
            raise _DamagedError("EVENT of a wrong form")
        number, parameter = int(found["number"], 16), found["parameter"]
        if number == EventNumber.SCAN_FINISHED:
            self._end_block()
        self._messages.append(Event(number, found["address"] or "", None if parameter is None else int(parameter, 16)))

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
