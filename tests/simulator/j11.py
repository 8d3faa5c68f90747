"""A pretend module that speaks the binary UART protocol: BP35C0-J11, BP35C1-J11, BP35C2-J11, RS-WSUHA-J11 (UARTIF)."""

from functools import partial
from random import Random
from typing import TYPE_CHECKING

from .faults import ECHONET_PORT
from .habits import ModuleSettings
from .j11commands import COMMANDS, DUAL, LOWEST, Code, Request, Result, ResultError
from .radio import Happening

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .faults import Datagram
    from .habits import Former
    from .line import Line
    from .neighbourhood import Neighbourhood
    from .radio import Network
    from .record import Record
    from .timeline import Action, Timeline

MAC = "001D129134567890"

REQUEST = bytes.fromhex("D0EA83FC")
FROM_MODULE = bytes.fromhex("D0F9EE5D")
HEAD = 12
LONGEST = 1349
"""Bytes of data."""

RESPONSE = 0x2000
SCANNED, RECEIVED, STARTED, CONNECTION, PANA_RESULT, LOST, UNKNOWN = (
    0x4051,
    0x6018,
    0x6019,
    0x601A,
    0x6028,
    0x6038,
    0x60D7,
)
NOT_FINISHED, BUSY, BAD_HEADER, BAD_DATA, TOO_LONG = 0x13, 0x3D, 0xF0, 0xF1, 0xF3
NO_FRAME, NO_COMMAND = 0x0FFF, 0xDFFF
"""Codes of what is no frame, and of what is not even known to be none: their responses are 2FFF and FFFF."""
NOT_DECRYPTED = 0x01

QUICK = 0.006
START = 1.0
"""Seconds from a reset or from power to the notification of the start."""
PATIENCE = 1.0
"""Seconds of silence within a frame (UARTIF table 34)."""
INTERRUPTION = 0.5

PANA_RESULTS: Mapping[Happening, int] = {Happening.JOINED: 0x01, Happening.REFUSED: 0x02, Happening.UNHEARD: 0x03}
PANA_LOST = 0x04
LOSSES = {Happening.ENDED_BY_METER, Happening.EXPIRED}
ENDS = {Happening.TERMINATED, Happening.TERMINATED_ALONE}


def frame(code: int, data: bytes = b"", *, unique: bytes = FROM_MODULE) -> bytes:
    """Return a frame with its two checksums."""
    head = unique + code.to_bytes(2) + (4 + len(data)).to_bytes(2)
    return head + (sum(head) & 0xFFFF).to_bytes(2) + (sum(data) & 0xFFFF).to_bytes(2) + data


def rssi_of(lqi: int) -> bytes:
    """Return the signal strength in dBm, as one byte in two's complement."""
    return round(0.275 * lqi - 104.27).to_bytes(1, signed=True)


class J11Module:
    """A module: frames in, frames out after a while; the radio is in air.py."""

    def __init__(
        self,
        air: Neighbourhood,
        timeline: Timeline,
        line: Line,
        record: Record,
        habits: ModuleSettings = ModuleSettings(),  # noqa: B008  # it is frozen
    ) -> None:
        self.air = air
        self.record = record
        self.line = line
        self.habits = habits
        self._timeline = timeline
        self._repetitions = habits.repetitions
        self._chance = Random(habits.seed)
        line.unknown = frame(UNKNOWN, b"\x01")
        air.attach(self._happened, self._received)
        self._forget()
        if habits.former is not None:
            self._take_over(habits.former)

    def power_up(self) -> None:
        """Begin anew, with nothing in the input."""
        self.restart()

    def restart(self) -> None:
        """Forget everything but the flash memory; deaf until it has started (UARTIF 3.2.4.2)."""
        self._forget()
        self._is_starting = True
        self.later(START, self._started)

    def _forget(self) -> None:
        self._input = bytearray()
        self._silence = object()
        self._is_starting = False
        self.settings: bytes | None = None
        self.credentials: tuple[str, str] | None = None
        self.ports: set[int] = set()
        self.network: Network | None = None
        """Whom Route B is in operation with."""
        self.is_authenticating = False
        self.busy_with: Code | None = None
        self._life = object()
        self.air.reset()

    def _take_over(self, former: Former) -> None:
        """Be as a former program left it, which had the one port open that everybody needs."""
        if former.meter is None:
            return
        way = self.air.take_over(former.meter)
        channel = LOWEST + (way.network.channel - 0x21) // 2
        self.settings = bytes([DUAL, 0, channel, 0])
        self.credentials = (way.settings.route_b_id, way.settings.password)
        self.network = way.network
        self.ports = {ECHONET_PORT}

    def _started(self) -> None:
        self._is_starting = False
        self.notify(STARTED)

    # What comes in

    def receive(self, data: bytes) -> None:
        """Take bytes from the host."""
        if self._is_starting:
            return
        self._input += data
        while self._take():
            pass
        self._silence = silence = object()
        if self._input:
            self.later(PATIENCE, lambda: self._give_up() if silence is self._silence else None)

    def _take(self) -> bool:
        """Take the next frame, or what stands before it, from the input; return whether there was one."""
        start = self._input.find(REQUEST)
        del self._input[: start if start >= 0 else max(0, len(self._input) - len(REQUEST) + 1)]
        if start < 0 or len(self._input) < HEAD:
            return False
        head = bytes(self._input[:HEAD])
        code, size = int.from_bytes(head[4:6]), int.from_bytes(head[6:8]) - 4
        if int.from_bytes(head[8:10]) != sum(head[:8]) & 0xFFFF:
            return self._skip(code, BAD_HEADER)
        if not 0 <= size <= LONGEST:
            return self._skip(code, TOO_LONG)
        if len(self._input) < HEAD + size:
            return False
        data = bytes(self._input[HEAD : HEAD + size])
        if int.from_bytes(head[10:12]) != sum(data) & 0xFFFF:
            return self._skip(code, BAD_DATA)
        del self._input[: HEAD + size]
        self._execute(Request(code, data))
        return True

    def _skip(self, code: int, result: int) -> bool:
        del self._input[:1]
        self.respond(code, result)
        return True

    def _give_up(self) -> None:
        """Wait no longer for the rest of a frame."""
        if len(self._input) >= HEAD:
            self.respond(int.from_bytes(self._input[4:6]), NOT_FINISHED)
        self._input.clear()

    def _execute(self, request: Request) -> None:
        name = Code(request.code).name if request.code in Code else f"{request.code:04X}"
        self.record.commands.append(f"{name} {request.data.hex().upper()}".rstrip())
        if self._wants_repetition():
            code, result = self._chance.choice(((request.code, BUSY), (NO_FRAME, BAD_HEADER), (NO_COMMAND, BAD_HEADER)))
            self.respond(code, result)
            return
        try:
            self._command(request.code)(self, request)
        except ResultError as error:
            self.respond(request.code, error.result)

    def _wants_repetition(self) -> bool:
        if self._repetitions:
            self._repetitions -= 1
            return True
        return self._chance.random() < self.habits.repetition_rate

    def _command(self, code: int) -> Callable[[J11Module, Request], None]:
        if code not in COMMANDS:
            raise ResultError(Result.UNKNOWN_COMMAND)
        if self.busy_with is not None and code != Code.RESET:
            raise ResultError(Result.BUSY)
        return COMMANDS[Code(code)]

    # What goes out

    def later(self, delay: float, action: Action) -> None:
        """Do something after a delay, unless the module is reset first."""
        life = self._life
        self._timeline.call_later(delay, lambda: action() if life is self._life else None)

    def respond(self, code: int, result: int = 0x01, data: bytes = b"", *, delay: float = QUICK) -> None:
        """Answer a request after a moment."""
        self.later(delay, partial(self._print, frame(code + RESPONSE & 0xFFFF, bytes([result]) + data)))

    def finish(self, code: int, result: int = 0x01, data: bytes = b"") -> None:
        """Answer the request that keeps the module busy."""
        self.busy_with = None
        self._print(frame(code + RESPONSE, bytes([result]) + data))

    def lose_answer(self) -> None:
        """Be ready for the next command without a word."""
        self.busy_with = None

    def notify(self, code: int, data: bytes = b"") -> None:
        """Tell something unasked."""
        self._print(frame(code, data))

    def notify_scanned(self, data: bytes) -> None:
        """Tell what was heard on a channel; what befalls a description befalls this frame."""
        whole = frame(SCANNED, data)
        kind = "whole" if len(data) == 2 else self.line.settings.pan_description
        first = len(whole) if kind == "whole" else len(whole) // 2
        self._print(whole[:first])
        if kind in {"cut", "late"}:
            self.later(INTERRUPTION, partial(self._print, whole[first:]))

    def _print(self, data: bytes) -> None:
        self.line.write(data)

    def _happened(self, happening: Happening) -> None:
        """Tell what this kind of module tells; of its airtime it says nothing."""
        if happening is Happening.UNDECIPHERABLE:
            self.notify(LOST, bytes([NOT_DECRYPTED]) + link_local(self._peer.hex()) + bytes([1, 1, 0, 0]))
        elif happening in PANA_RESULTS:
            self.is_authenticating = False
            self.notify(PANA_RESULT, bytes([PANA_RESULTS[happening]]) + self._peer)
        elif happening in LOSSES:
            if self.busy_with is Code.END_PANA:
                self.finish(Code.END_PANA)
            self.notify(CONNECTION, bytes([PANA_LOST]) + self._peer + rssi_of(self.air.network.lqi))
        elif happening in ENDS:
            self.finish(Code.END_PANA)

    @property
    def _peer(self) -> bytes:
        return bytes.fromhex((self.network or self.air.network).mac)

    def _received(self, datagram: Datagram) -> None:
        """Print a datagram for a port that is open (UARTIF 3.2.5.1)."""
        if datagram.port not in self.ports:
            return
        self.notify(
            RECEIVED,
            link_local(datagram.mac)
            + datagram.port.to_bytes(2) * 2
            + self.air.network.pan_id.to_bytes(2)
            + bytes([datagram.to_all, 0x02 if datagram.is_secured else 0x01])
            + rssi_of(datagram.lqi)
            + len(datagram.data).to_bytes(2)
            + datagram.data,
        )


def link_local(mac: str) -> bytes:
    """Return the address that belongs to a MAC."""
    first, *rest = bytes.fromhex(mac)
    return bytes.fromhex("FE80000000000000") + bytes([first ^ 0x02, *rest])
