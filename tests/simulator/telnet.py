"""A serial server that speaks telnet with the option of RFC 2217, in front of a dongle."""

import asyncio
from typing import TYPE_CHECKING, Final, cast, override

if TYPE_CHECKING:
    from .dongle import Dongle

IAC: Final = 0xFF
SB: Final = 0xFA
SE: Final = 0xF0
WILL, WONT, DO, DONT = 0xFB, 0xFC, 0xFD, 0xFE
COM_PORT: Final = 44
SUPPORTED: Final = {0, 3, COM_PORT}
"""BINARY (RFC 856), SUPPRESS-GO-AHEAD (RFC 858), COM-PORT-OPTION (RFC 2217)."""

SET_MASKS: Final = frozenset({10, 11})
"""SET-LINESTATE-MASK and SET-MODEMSTATE-MASK, which pyserial and ser2net 4.3 do not acknowledge."""

ANSWER: Final = 100
"""Added to the number of a command in its acknowledgement (RFC 2217, 3)."""


class TelnetSocket(asyncio.Protocol):
    """A TCP connection to a dongle, as an RFC 2217 server has it."""

    def __init__(self, dongle: Dongle, *, silent_about: frozenset[int] = frozenset()) -> None:
        """Acknowledge every command but those that some servers are silent about."""
        self._dongle = dongle
        self._silent_about = silent_about
        self._input = bytearray()
        self._said: set[tuple[int, int]] = set()
        self.commands: list[int] = []
        """What was asked for, in order."""

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._dongle.open(_Writer(self._transport))
        for verb, option in ((WILL, 3), (DO, 0), (WILL, 0), (DO, COM_PORT)):
            self._say(verb, option)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._dongle.close()

    @override
    def data_received(self, data: bytes) -> None:
        self._input += data
        while self._input:
            length = self._take()
            if not length:
                return
            del self._input[:length]

    def _take(self) -> int:
        """Handle what the input begins with; return how long it is, or 0 if it is not complete."""
        if self._input[0] != IAC:
            end = self._input.find(IAC)
            end = len(self._input) if end < 0 else end
            self._dongle.receive(bytes(self._input[:end]))
            return end
        if len(self._input) < 2:
            return 0
        match self._input[1]:
            case 255:
                self._dongle.receive(b"\xff")
            case 0xFB | 0xFC | 0xFD | 0xFE if len(self._input) < 3:
                return 0
            case 0xFB | 0xFC | 0xFD | 0xFE:
                self._negotiate(self._input[1], self._input[2])
                return 3
            case 0xFA:
                end = self._input.find(bytes((IAC, SE)))
                if end < 0:
                    return 0
                self._obey(bytes(self._input[2:end]))
                return end + 2
        return 2

    def _negotiate(self, verb: int, option: int) -> None:
        if verb in {WILL, DO}:
            answer = {WILL: (DO, DONT), DO: (WILL, WONT)}[verb][option not in SUPPORTED]
            self._say(answer, option)

    def _say(self, verb: int, option: int) -> None:
        # Who answers what he asked for himself is answered for ever (RFC 854).
        if (verb, option) not in self._said:
            self._said.add((verb, option))
            self._transport.write(bytes((IAC, verb, option)))

    def _obey(self, order: bytes) -> None:
        if order[0] != COM_PORT:
            return
        command = order[1]
        self.commands.append(command)
        if command not in self._silent_about:
            self._transport.write(bytes((IAC, SB, COM_PORT, command + ANSWER)) + order[2:] + bytes((IAC, SE)))


class _Writer:
    """The host behind a telnet connection, as the dongle sees it."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._transport.write(data.replace(b"\xff", b"\xff\xff"))

    def unplugged(self) -> None:
        self._transport.close()
