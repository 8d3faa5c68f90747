"""One function per command: its bytes, and what its answer looks like (see `command.py`)."""

from collections.abc import Callable, Collection, Mapping
from enum import IntEnum
import struct

from ..command import Command, OnceMoreError, Script
from ..errors import ModuleError
from ..module import Beacon, Credentials, JoinOutcome, SendOutcome
from .frame import Frame
from .messages import (
    ECHONET_PORT,
    Code,
    Message,
    NotUnderstood,
    PanaEnded,
    ReceivedUdp,
    Response,
    Scanned,
    Started,
    beacon_of,
    number_of,
)

type J11Command[T] = Command[Message, T]
type Replies[T] = Script[Message, T]

QUICK = 5.0
"""Seconds in which a module answers what needs no radio."""


class Result(IntEnum):
    """Results that mean something to us (UARTIF table 34)."""

    DONE = 0x01
    NOT_IN_LIST = 0x02
    NO_SUCH_ADDRESS = 0x06
    PORT_IS_OPEN = 0x0A
    NOT_CONNECTED = 0x0E
    NOT_STARTED = 0x10
    NOT_FINISHED = 0x13
    NOTHING_STARTED = 0x37
    BUSY = 0x3D
    PANA_NOT_SET_UP = 0x51
    PANA_IS_RUNNING = 0x52
    PANA_HAS_NO_PEER = 0x53
    BAD_HEADER = 0xF0
    BAD_DATA = 0xF1
    TOO_SHORT = 0xF2
    TOO_LONG = 0xF3


NO_SESSION = frozenset(
    {
        Result.NOT_IN_LIST,
        Result.NO_SUCH_ADDRESS,
        Result.NOT_STARTED,
        Result.NOTHING_STARTED,
        Result.PANA_NOT_SET_UP,
        Result.PANA_HAS_NO_PEER,
    }
)
"""Results of a command that needs a session, if there is none."""

ONCE_MORE = frozenset(
    {
        Result.NOT_FINISHED,
        Result.BUSY,
        Result.BAD_HEADER,
        Result.BAD_DATA,
        Result.TOO_SHORT,
        Result.TOO_LONG,
    }
)
"""Results of a command that may succeed in a moment: it did not arrive as it was sent, or another one is not done."""

SEND_OUTCOMES: Mapping[int, SendOutcome] = {
    0x00: SendOutcome.SENT,
    0x02: SendOutcome.RESTRICTED,
    0x03: SendOutcome.BUSY,
    # 5 is no acknowledgement, 8 anything else.
    0x0F: SendOutcome.SENT,
}
"""What became of a datagram; F still waits in a queue, and the answer will tell (UARTIF 3.2.3.3)."""

MEANINGS: Mapping[int, str] = {
    Result.NOT_IN_LIST: "the address is not in its list of devices",
    0x03: "the command is not known",
    0x04: "a parameter has a wrong value",
    Result.NO_SUCH_ADDRESS: "nothing can be sent to this address",
    Result.PORT_IS_OPEN: "the port is open already",
    0x0B: "the port is not open",
    Result.NOT_CONNECTED: "no connection to the meter came about",
    0x0F: "not while it is in operation, or not in this mode",
    Result.NOT_STARTED: "not before Route B is started",
    0x11: "the parameters have a wrong length",
    0x12: "too many ports are open",
    Result.NOT_FINISHED: "the frame did not arrive within a second",
    0x14: "not in this mode",
    0x34: "not while Route B is in operation",
    0x35: "not while it authenticates",
    Result.NOTHING_STARTED: "nothing is started",
    Result.BUSY: "it is busy with another command",
    Result.PANA_NOT_SET_UP: "it has no credentials",
    Result.PANA_IS_RUNNING: "it is authenticating already",
    Result.PANA_HAS_NO_PEER: "it does not know whom to authenticate with",
    0x58: "it has credentials already",
    Result.BAD_HEADER: "the header arrived damaged",
    Result.BAD_DATA: "the data arrived damaged",
    Result.TOO_SHORT: "the frame arrived too short",
    Result.TOO_LONG: "the frame is too long",
}
"""What each result says (UARTIF table 34)."""


def reset() -> J11Command[None]:
    """Start the module anew; it forgets session and credentials (UARTIF 3.2.4.2)."""

    def replies() -> Replies[None]:
        # There is no response but a refusal, only what every start is followed by.
        while True:
            match (yield None):
                case Started():
                    return
                case Response(Code.RESET) as response:
                    _check(response)
                case NotUnderstood():
                    raise _not_understood(Code.RESET)

    return Command("RESET", Frame(Code.RESET).encode(), replies, 15.0)


def get_version(timeout: float) -> J11Command[str]:
    """Ask for the firmware version (UARTIF 3.2.4.1)."""

    def replies() -> Replies[str]:
        response = yield from _response(Code.GET_VERSION)
        firmware, major, minor, revision = _unpacked(">HBBI", response)
        return f"{major}.{minor}.{revision:X} ({firmware:04X})"

    return _command(Code.GET_VERSION, b"", replies, timeout)


def set_up(channel: int) -> J11Command[None]:
    """Choose Route B and HAN, no sleeping, a channel and 20 mW (UARTIF 3.2.2.1)."""
    return _simple(Code.SET_UP, bytes((DUAL_MODE, NO_SLEEP, number_of(channel), FULL_POWER)))


DUAL_MODE = 0x05
NO_SLEEP = 0x00
FULL_POWER = 0x00


def set_credentials(credentials: Credentials) -> J11Command[None]:
    """Set the Route B ID and password (UARTIF 3.4.2.1)."""
    return _simple(Code.SET_CREDENTIALS, (credentials.route_b_id + credentials.password).encode())


def dwell_of(duration: int) -> float:
    """Return how many seconds a scan listens on each channel (UARTIF 3.2.3.4)."""
    return 0.00964 * (1 << duration)


def scan(pair_id: str, channels: Collection[int], duration: int) -> J11Command[list[Beacon]]:
    """Listen for meters with our pairing ID (UARTIF 3.2.3.4)."""
    dwell = dwell_of(duration)

    def replies() -> Replies[list[Beacon]]:
        found: list[Beacon] = []
        accepted, scanned = False, set[int]()
        while not accepted or len(scanned) < len(channels):
            # Should a firmware answer before it scans, each channel has its time; what got lost, too.
            match (yield dwell + LAG if accepted or len(scanned) == len(channels) else None):
                case Response(Code.SCAN) as response:
                    _check(response)
                    accepted = True
                case NotUnderstood() if not scanned:
                    raise _not_understood(Code.SCAN)
                case Scanned(channel, beacons):
                    scanned.add(channel)
                    found.extend(beacons)
                case None:
                    break
        return found

    mask = sum(1 << number_of(channel) for channel in channels)
    data = struct.pack(">BIB8s", duration, mask, WITH_PAIR_ID, pair_id.encode())
    return _command(Code.SCAN, data, replies, 1.5 * dwell * len(channels) + QUICK)


WITH_PAIR_ID = 0x01
LAG = 0.5
"""Seconds that the result of a channel may be late."""


def start_route_b() -> J11Command[Beacon | None]:
    """Connect to the meter on the channel that was set; return it, or `None` without success (UARTIF 3.4.3.1)."""

    def replies() -> Replies[Beacon | None]:
        response = yield from _response(Code.START_ROUTE_B, Result.NOT_CONNECTED)
        if response.result == Result.NOT_CONNECTED:
            return None
        channel, pan_id, mac, rssi = _unpacked(">BHQb", response)
        return beacon_of(channel, mac, pan_id, rssi)

    return _command(Code.START_ROUTE_B, b"", replies, 60.0)


def open_udp_port() -> J11Command[None]:
    """Listen for ECHONET Lite (UARTIF 3.2.3.1)."""
    return _simple(Code.OPEN_UDP_PORT, ECHONET_PORT.to_bytes(2), Result.PORT_IS_OPEN)


def start_pana(limit: float = 0.0) -> J11Command[JoinOutcome | None]:
    """Authenticate with the meter; `None` if that has not come to an end within the limit (UARTIF 3.4.3.2)."""

    def replies() -> Replies[JoinOutcome | None]:
        outcome, accepted, proved = None, False, False
        while not accepted or outcome is None:
            match (yield GRACE if outcome or proved else None if accepted else QUICK):
                case Response(Code.START_PANA) as response if not accepted:
                    # The module may have begun by itself, when it lost the session.
                    _check(response, Result.PANA_IS_RUNNING)
                    accepted = True
                case NotUnderstood() if not accepted:
                    raise _not_understood(Code.START_PANA)
                case PanaEnded(ended):
                    outcome = ended
                case ReceivedUdp(encrypted=True):
                    proved = True  # The notification got lost, or is about to come.
                case None if not (accepted or outcome or proved):
                    raise TimeoutError
                case None:
                    break
        return outcome or (JoinOutcome.JOINED if proved else None)

    return _command(Code.START_PANA, b"", replies, PANA_PATIENCE, alive=get_version(QUICK), limit=limit)


GRACE = 1.0
"""Seconds in which the response follows what belongs behind it, or never comes."""

PANA_PATIENCE = 60.0
"""Seconds; most authentications end within ten, and of a meter that is not heard within forty."""

PANA_LIMITS = (240.0, 480.0)
"""Seconds; with all its repetitions PANA may take 706 (RFC 5191).

In between the module is told once more: if it has come to an end long ago, and what told so got lost, it begins anew.
"""


def end_pana() -> J11Command[None]:
    """End the session, if there is one (UARTIF 3.4.3.3)."""
    # It may wait for a meter that does not answer.
    return _simple(Code.END_PANA, b"", *NO_SESSION, timeout=15.0)


def end_route_b() -> J11Command[None]:
    """Part from the meter, if there is one."""
    return _simple(Code.END_ROUTE_B, b"", *NO_SESSION)


def send(address: str, data: bytes) -> J11Command[SendOutcome]:
    """Send one datagram (UARTIF 3.2.3.3)."""

    def replies() -> Replies[SendOutcome]:
        response = yield from _response(Code.SEND)
        # The high half says whether it had to wait in a queue first.
        (outcome,) = _unpacked(">B", response)
        return SEND_OUTCOMES.get(outcome & 0x0F, SendOutcome.UNACKNOWLEDGED)

    head = bytes.fromhex(address.replace(":", "")) + struct.pack(">HHH", ECHONET_PORT, ECHONET_PORT, len(data))
    return _command(Code.SEND, head + data, replies, 15.0)


def _simple(code: Code, data: bytes, *also: Result, timeout: float = QUICK) -> J11Command[None]:
    """Expect nothing but success, or one of these results."""

    def replies() -> Replies[None]:
        yield from _response(code, *also)

    return _command(code, data, replies, timeout)


def _command[T](
    code: Code,
    data: bytes,
    replies: Callable[[], Replies[T]],
    timeout: float,
    *,
    alive: J11Command[str] | None = None,
    limit: float = 0.0,
) -> J11Command[T]:
    """Return a command that a start of the module ends at any stage: its answer would never come."""

    def guarded() -> Replies[T]:
        script = replies()
        patience = next(script)
        while not isinstance(message := (yield patience), Started):
            try:
                patience = script.send(message)
            except StopIteration as end:
                answer: T = end.value
                return answer
        raise ModuleError(f"the module started anew during {code.name}")

    return Command(code.name, Frame(code, data).encode(), guarded, timeout, alive=alive, limit=limit)


def _response(code: Code, *also: Result) -> Replies[Response]:
    """Wait for the response to a command; it must be a success, or one of these results."""
    while True:
        message = yield None
        match message:
            case Response(answered) if answered == code:
                _check(message, *also)
                return message
            case NotUnderstood():
                raise _not_understood(code)


def _check(response: Response, *also: Result) -> None:
    if response.result not in (Result.DONE, *also):
        meaning = MEANINGS.get(response.result, "an unknown result")
        name, result = Code(response.code).name, f"{response.result:02X}"
        kind = OnceMoreError if response.result in ONCE_MORE else ModuleError
        raise kind(f"{name} failed with {result}: {meaning}", result)


def _not_understood(code: Code) -> OnceMoreError:
    return OnceMoreError(f"{code.name} was not understood", f"{Result.BAD_HEADER:02X}")


def _unpacked(layout: str, response: Response) -> tuple[int, ...]:
    """Return the numbers at the beginning of an answer."""
    try:
        return struct.unpack_from(layout, response.data)
    except struct.error:
        raise ModuleError(f"{Code(response.code).name} was answered in an unknown form") from None
