"""One function per SK command: its bytes, and what its answer looks like (see `command.py`)."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import lru_cache

from ..command import Command, OnceMoreError, Script
from ..errors import ModuleError
from ..module import ALL_CHANNELS, JoinOutcome, SendOutcome
from .dialects import Dialect
from .messages import (
    ECHONET_PORT,
    PANA_PORT,
    Event,
    EventNumber,
    Fail,
    Line,
    Message,
    Ok,
    PanDescriptor,
    ReceivedUdp,
)

type SkCommand[T] = Command[Message, T]
type Replies[T] = Script[Message, T]

CRLF = b"\r\n"

NOT_UNDERSTOOD = "ER09"
"""The error code of a command that did not arrive as it was sent (SK 7)."""

OK_GRACE = 1.0
"""Seconds in which an OK follows what belongs behind it, or never comes; most come within some milliseconds."""

LINE_GRACE = 0.2
"""The same after the answer of a command that has nothing to do with the radio."""

BLOCK_GRACE = 1.0
"""Seconds; an EPANDESC block can come up to 0.7 s after its EVENT 20, even after EVENT 22."""


def skreset() -> SkCommand[None]:
    """Set the module back to its defaults; it forgets session and credentials (SK 3.25)."""
    return _command("SKRESET", b"SKRESET\r\n", _ok, 3.0)


def skver(timeout: float) -> SkCommand[str]:
    """Ask for the firmware version (SK 3.23)."""
    return _command("SKVER", b"SKVER\r\n", _line("EVER "), timeout)


def skinfo() -> SkCommand[str]:
    """Ask for addresses and settings; return the whole line (SK 3.2)."""

    def replies() -> Replies[str]:
        return "EINFO " + (yield from _line("EINFO ")())

    return _command("SKINFO", b"SKINFO\r\n", replies)


def sksreg(register: str, value: str) -> SkCommand[None]:
    """Write a volatile register (SK 3.1)."""
    line = f"SKSREG {register} {value}"
    return _command(line, line.encode() + CRLF, _ok)


def sksreg_read(register: str) -> SkCommand[str]:
    """Read a register (SK 3.1)."""
    line = f"SKSREG {register}"
    return _command(line, line.encode() + CRLF, _line("ESREG "))


def sksetpwd(password: str) -> SkCommand[None]:
    """Set the Route B password (SK 3.16)."""
    return _command("SKSETPWD", f"SKSETPWD {len(password):X} {password}".encode() + CRLF, _ok)


def sksetrbid(route_b_id: str) -> SkCommand[None]:
    """Set the Route B ID; its last eight characters become the pairing ID of scans (SK 3.17)."""
    return _command("SKSETRBID", f"SKSETRBID {route_b_id}".encode() + CRLF, _ok)


def scan_seconds(channels: Collection[int], duration: int) -> float:
    """Return how long a scan listens altogether (SK 3.9)."""
    return 0.0096 * ((1 << duration) + 1) * len(channels)


def skscan(dialect: Dialect, channels: Collection[int], duration: int) -> SkCommand[list[PanDescriptor]]:
    """Listen for meters with our pairing ID (SK 3.9)."""

    def replies() -> Replies[list[PanDescriptor]]:
        found: list[PanDescriptor] = []
        beacons, accepted, finished = 0, False, False
        while not (accepted and finished) or len(found) < beacons:
            match (yield BLOCK_GRACE if finished else None):
                case Ok():
                    # What ended before it was an older scan.
                    accepted, finished = True, finished and accepted
                case Event(EventNumber.BEACON_RECEIVED):
                    beacons += 1
                case PanDescriptor() as descriptor:
                    found.append(descriptor)
                case Event(EventNumber.SCAN_FINISHED):
                    finished = True
                case None:  # No block follows any more, and no OK: it got lost.
                    break
        return found

    mask = sum(1 << (channel - min(ALL_CHANNELS)) for channel in channels)
    line = f"SKSCAN 2 {mask:08X} {duration:X}{dialect.side}"
    return _command(line, line.encode() + CRLF, replies, scan_seconds(channels, duration) + 5.0)


def skjoin(address: str) -> SkCommand[JoinOutcome | None]:
    """Authenticate with the meter; `None` if it has not come to an end after all the time that it may take (SK 3.4)."""

    def replies() -> Replies[JoinOutcome | None]:
        course, accepted = _Authentication(address), False
        while not (accepted and course.is_over):
            match (yield OK_GRACE if course.result else None if accepted else ACCEPTANCE):
                case Ok():
                    accepted = True
                case Fail() as fail if not accepted:  # Later, it is another command's.
                    raise _error("SKJOIN", fail)
                case None if not (accepted or course.result):
                    raise TimeoutError
                case None:
                    break
                case message:
                    course.take(message)
        return course.result

    line = f"SKJOIN {address}"
    return Command("SKJOIN", line.encode() + CRLF, replies, JOIN_PATIENCE, alive=skver(QUICK), limit=JOIN_LIMIT)


@dataclass(slots=True)
class _Authentication:
    """What is known of an authentication that goes on."""

    address: str
    outcome: JoinOutcome | None = None
    """What the module said."""
    is_heard: bool = False
    is_shown: bool = False
    """Whether the module tells what it sends."""
    is_proved: bool = False
    """Whether the meter sends what only a session makes possible: the event got lost, or is about to come."""
    questions: int = 0
    """How often the module has answered what it was asked meanwhile, since it last said anything else."""

    @property
    def is_over(self) -> bool:
        """Return whether nothing more is to be expected; what fell silent has ended, and what told so got lost."""
        return self.outcome is not None or (self.is_shown and self.questions >= JOIN_QUESTIONS)

    @property
    def result(self) -> JoinOutcome | None:
        return self.outcome or (JoinOutcome.JOINED if self.is_proved else None)

    def take(self, message: Message) -> None:
        match message:
            case ReceivedUdp(port=port, source=source) if port == PANA_PORT and source == self.address:
                self.is_heard, self.is_shown, self.questions = True, True, 0
            case ReceivedUdp(source=source, secured=True) if self.is_heard and source == self.address:
                self.is_proved = True
            case Event(EventNumber.JOINED, sender) if sender == self.address:
                self.outcome = JoinOutcome.JOINED
            case Event(EventNumber.JOIN_FAILED, sender) if sender == self.address:
                # The event is the same for a wrong password and for silence: only a meter that is heard refuses.
                self.outcome = JoinOutcome.REFUSED if self.is_heard else JoinOutcome.UNHEARD
            case Event(EventNumber.UDP_SENT):
                self.is_shown, self.questions = True, 0
            case Line(text) if text.startswith("EVER "):
                self.questions += 1


JOIN_PATIENCE = 60.0
"""Seconds; most authentications end within ten, and of a meter that is not heard within forty."""

JOIN_QUESTIONS = 2
"""Answers in a row to what is asked every minute; PANA itself repeats at least every half minute (RFC 5191)."""

JOIN_LIMIT = 720.0
"""Seconds; with all its repetitions PANA may take 706 (RFC 5191)."""

ACCEPTANCE = 15.0
"""Seconds without a word after which an authentication has not begun."""


def skterm() -> SkCommand[None]:
    """End the session (SK 3.6)."""

    def replies() -> Replies[None]:
        accepted, ended = False, False
        while not (accepted and ended):
            match (yield OK_GRACE if ended else None):
                case Ok():
                    accepted = True
                case Event(EventNumber.ENDED | EventNumber.END_UNANSWERED):
                    ended = True
                case None:
                    break

    return _command("SKTERM", b"SKTERM\r\n", replies, 15.0)


def sksendto(dialect: Dialect, address: str, data: bytes) -> SkCommand[SendOutcome]:
    """Send one encrypted datagram; 01 does not tell why it was not sent (SK 3.7)."""

    def replies() -> Replies[SendOutcome]:
        accepted, outcome = False, None
        while not accepted or outcome is None:
            match (yield ADDRESS_RESOLUTION if accepted else OK_GRACE if outcome else None):
                case Ok():
                    accepted = True
                case Event(EventNumber.UDP_SENT, receiver, (0 | 1) as parameter) if receiver == address:
                    outcome = SendOutcome.UNACKNOWLEDGED if parameter else SendOutcome.SENT
                case None:  # No OK comes; or its address could not be resolved: then no further EVENT 21 does.
                    break
        return outcome or SendOutcome.UNACKNOWLEDGED

    return _command("SKSENDTO", _sksendto_head(dialect.side, address, len(data)) + data, replies, 10.0)


@lru_cache(maxsize=16)
def _sksendto_head(side: str, address: str, size: int) -> bytes:
    # Security 1: encrypted or not at all, so that a lost session shows at once.
    return f"SKSENDTO 1 {address} {ECHONET_PORT:04X} 1{side} {size:04X} ".encode()


ADDRESS_RESOLUTION = 4.0
"""Seconds in which EVENT 21 follows OK; 0.34 was the longest seen, without neighbour solicitation."""


QUICK = 2.0
"""Seconds in which a module answers what needs no radio."""


def _command[T](name: str, data: bytes, replies: Callable[[], Replies[T]], timeout: float = QUICK) -> SkCommand[T]:
    """Return a command that a FAIL ends at any stage (SK 3.1)."""

    def guarded() -> Replies[T]:
        script = replies()
        patience = next(script)
        while not isinstance(message := (yield patience), Fail):
            try:
                patience = script.send(message)
            except StopIteration as end:
                answer: T = end.value
                return answer
        raise _error(name, message)

    return Command(name, data, guarded, timeout)


def _error(name: str, fail: Fail) -> ModuleError:
    kind = OnceMoreError if fail.code == NOT_UNDERSTOOD else ModuleError
    return kind(f"{name} failed with {fail.code}", fail.code)


def _ok() -> Replies[None]:
    while not isinstance((yield None), Ok):
        pass


def _line(prefix: str) -> Callable[[], Replies[str]]:
    """Expect a line that begins so, and then the OK; return the rest of the line."""

    def replies() -> Replies[str]:
        answer, accepted = None, False
        while answer is None or not accepted:
            match (yield None if answer is None else LINE_GRACE):
                case Line(text) if text.startswith(prefix):
                    answer = text.removeprefix(prefix)
                case Ok() if answer is not None:
                    accepted = True
                case None if answer is not None:
                    break
        return answer

    return replies
