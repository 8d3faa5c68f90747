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
_MARK = re.compile(
    rb"\r|ERXUDP ([0-9A-F:]{39}) [0-9A-F:]{39} [0-9A-F]{4} ([0-9A-F]{4}) [0-9A-F]{16} "
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
            except _DamagedError as err:
                # Damaged bytes may hold a credential: only the reason is told.
                _LOGGER.debug("skipped: %s", err)

    def _read_one(self) -> Parse[None]:
        # An LF belongs to the line before: some answers end in a bare CR (SK 3.31), so it cannot be waited for there.
        before, mark = yield from self._reader.read_until(_MARK, MAX_LINE)
        if mark is not None and mark[1] is not None:
            message = yield from self._received_udp(mark)
            self._messages.append(message)
        elif b"ERXUDP " in before:
            raise _DamagedError("ERXUDP with a wrong head")
        else:
            self._line(_NOISE.sub("", before.decode("ascii", "replace")).rstrip())

    def _received_udp(self, head: re.Match[bytes]) -> Parse[ReceivedUdp]:
        """Read by length: hexadecimal digits, or raw bytes that may hold CR, LF and spaces (SK 3.30)."""
        source, port, lqi, secured, length, first = head.groups()
        if (size := int(length, 16)) > MAX_DATAGRAM:
            raise _DamagedError("ERXUDP longer than a datagram can be")
        data = None
        if first in _HEX_DIGITS:
            data = _bytes((yield from self._reader.read_exact(2 * size + 1)))
            if data is None:
                self._reader.unread(2 * size + 1)
        if data is None:
            data = yield from self._reader.read_exact(size + 1)
            if not data.endswith(b"\r"):
                self._reader.unread(size + 1)
                raise _DamagedError(f"ERXUDP without its {size} bytes")
            data = data[:-1]
        return ReceivedUdp(
            source=source.decode(),
            port=int(port, 16),
            lqi=None if lqi is None else int(lqi, 16),
            secured=secured == b"1",
            data=data,
        )

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


def _bytes(digits: bytes) -> bytes | None:
    """Return what hexadecimal digits and a CR stand for; `None` if it is something else."""
    if not digits.endswith(b"\r"):
        return None
    try:
        return binascii.unhexlify(digits[:-1])
    except binascii.Error:
        return None
