"""A serial URL behind which a record answers in whatever order it is asked, for programs that are not `record`.

The answer to a question comes as late as it came then. To a Get of properties that were not asked for together the
meter answers with the values that it told of each; what it refused, or was not asked, it refuses. Questions that differ
from the recorded ones by more than that have no answer, and are kept.
"""

import asyncio
from contextlib import contextmanager
import re
from typing import TYPE_CHECKING

from custom_components.broute.aiobroute.records.units import Bytes, Data, Line, Packet, Unit, units_of

from .replay import ORDER, Event, read
from .simulator.echonet import CONTROLLER, METER, Esv, Frame
from .simulator.transport import offered
from .transcripts import transcript

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .simulator.transport import SimTransport

type Answer = list[tuple[float, Unit]]
"""What the module said, and how many seconds after the question."""

FRAME = re.compile(r"([0-9A-F]{4})( ?)(1081[0-9A-F]{4}[0-9A-F]{14,})$")
"""An ECHONET frame at the end of a unit, after its length."""

ZEROS = ":".join(["0000"] * 8)
"""Addresses in a transcript; its MACs are zeros, too, which belong to another address."""

JOIN = re.compile("line SKJOIN |frame 0056")

KINDS = (
    *("SKSETPWD", "SKSETRBID", "SKLL64", "SKJOIN", "SKADDNBR"),
    *(r"SKSREG \w+ ", "SKSCAN .*4$", "SKSCAN .*5$", "SKSCAN .*6$", "SKSCAN .*7$"),
)
"""Commands that get the same answer whatever follows; a longer scan finds what a shorter one does not."""


def kind_of(question: str) -> str:
    """Return what two questions have in common that get the same answer."""
    text = question.removeprefix("line ")
    return next((kind for kind in KINDS if re.match(kind, text)), question)


def exchanges_of(events: Sequence[Event]) -> list[tuple[Unit, Answer]]:
    """Return each question with what the module said until the next one."""
    exchanges: list[tuple[float, Unit, Answer]] = []
    for event in events:
        if event.unit is None:
            continue
        if event.way == ">":
            exchanges.append((event.at, event.unit, []))
        elif exchanges:
            exchanges[-1][2].append((event.at - exchanges[-1][0], event.unit))
    return [(question, answer) for _, question, answer in exchanges]


def frame_in(unit: Unit) -> Frame | None:
    """Return the ECHONET frame that a unit carries, if it does."""
    found = FRAME.search(str(unit))
    return Frame.decode(bytes.fromhex(found[3])) if found is not None else None


def with_frame(unit: Unit, frame: Frame) -> Unit:
    """Return a unit with another frame."""
    digits = frame.encode().hex().upper()

    def exchanged(text: str) -> str:
        return FRAME.sub(lambda found: f"{len(digits) // 2:04X}{found[2]}{digits}", text)

    match unit:
        case Line(text, end):
            return Line(exchanged(text), end)
        case Data(head, data, end):
            whole = exchanged(head + data.hex().upper())
            return Data(whole.removesuffix(digits), bytes.fromhex(digits), end)
        case Packet(code, data, is_request):
            return Packet(code, bytes.fromhex(exchanged(data.hex().upper())), is_request)
        case _:
            raise TypeError(f"{unit} carries no frame")


class Answers:
    """What a record has answers for."""

    def __init__(self, text: str) -> None:
        self._answers: dict[str, list[Answer]] = {}
        self._values: dict[int, list[bytes]] = {}
        """What the meter told of each property, one after the other."""
        self._template: Answer = []
        """How a Get was answered."""
        for question, answer in exchanges_of(read(text)):
            asked = frame_in(question)
            if asked is None:
                self._answers.setdefault(kind_of(str(question)), []).append(answer)
                continue
            told = [frame for _, unit in answer if (frame := frame_in(unit)) is not None and frame.tid == asked.tid]
            if asked.service != Esv.GET:
                self._answers.setdefault(self._key(asked), []).append(answer)
            elif told:
                self._template = answer
                for epc, edt in told[0].properties:
                    self._values.setdefault(epc, []).extend([edt] if edt else [])

    @staticmethod
    def _key(asked: Frame) -> str:
        return f"{asked.service:02X} {asked.properties}"

    def to(self, question: Unit) -> Answer | None:
        """Return the next answer to a question, or nothing if the record has none."""
        asked = frame_in(question)
        if asked is None:
            return _next(self._answers.get(kind_of(str(question)), []))
        if asked.service != Esv.GET or asked.destination != METER or asked.source != CONTROLLER:
            answer = _next(self._answers.get(self._key(asked), []))
            return None if answer is None else [(delay, _addressed(unit, asked)) for delay, unit in answer]
        if not self._template:
            return None
        properties = tuple((epc, _next(self._values.get(epc, [])) or b"") for epc, _ in asked.properties)
        service = Esv.GET_RES if all(edt for _, edt in properties) else Esv.GET_SNA
        reply = Frame(tid=asked.tid, source=METER, destination=CONTROLLER, service=service, properties=properties)
        return [(delay, unit if frame_in(unit) is None else with_frame(unit, reply)) for delay, unit in self._template]


def _next[T](following: list[T]) -> T | None:
    """Return the first one, and keep the last one for good."""
    return None if not following else following.pop(0) if len(following) > 1 else following[0]


def _addressed(unit: Unit, asked: Frame) -> Unit:
    """Return an answer with the transaction ID of what was asked this time."""
    frame = frame_in(unit)
    if frame is None:
        return unit
    return with_frame(
        unit,
        Frame(
            tid=asked.tid,
            source=frame.source,
            destination=frame.destination,
            service=frame.service,
            properties=frame.properties,
        ),
    )


class AnsweringPort:
    """A dongle that answers out of records: the first one that has an answer."""

    url: str

    def __init__(self, *texts: str) -> None:
        self._records = [Answers(text) for text in texts]
        self._is_joined = False
        """Whether there is a session, without which the meter does not answer."""
        self._host: SimTransport | None = None
        self._handles: list[asyncio.TimerHandle] = []
        self.unanswered: list[str] = []

    def open(self, host: SimTransport, baud_rate: int) -> None:  # noqa: ARG002  # any is right
        """Give the port to a host."""
        self._host = host

    def close(self) -> None:
        """Take the port from its host."""
        self._host = None
        for handle in self._handles:
            handle.cancel()

    def receive(self, data: bytes) -> None:
        """Take what the host says, and answer as the module did."""
        for question in units_of(data):
            self._is_joined |= JOIN.match(str(question)) is not None
            if frame_in(question) is not None and not self._is_joined:
                continue
            answers = [answer for record in self._records if (answer := record.to(question)) is not None]
            if not answers:
                self.unanswered.append(str(question))
                continue
            answer = max(answers, key=bool)
            loop = asyncio.get_running_loop()
            self._handles += [
                loop.call_later(delay + number * ORDER, self._say, unit) for number, (delay, unit) in enumerate(answer)
            ]

    def _say(self, unit: Unit) -> None:
        if self._host is not None:
            self._host.data_received(bytes(unit.size) if isinstance(unit, Bytes) else unit.encode())


@contextmanager
def answering_port(*texts: str) -> Iterator[AnsweringPort]:
    """Offer records under a URL of their own."""
    port = AnsweringPort(*texts)
    with offered(port, "answers"):  # type: ignore[arg-type]  # it has what a transport needs of it
        yield port


def record_of(name: str) -> str:
    """Return a transcript of a real dongle as a record; what was sent in a frame is known by its answer."""
    lines = [re.fullmatch(r"(\d+) ([<>]) (.*)|(\d+) # host reports: connected .*", line) for line in transcript(name)]
    events = [("0.000", "=", "open 115200")]
    for number, found in enumerate(lines):
        assert found is not None
        if found[4] is not None:
            events.append((found[4], "<", f"line EVENT 25 {ZEROS}"))
        elif found[3].startswith("SKSENDTO"):
            told = next(each[3] for each in lines[number:] if each is not None and (each[3] or "").startswith("ERXUDP"))
            reply = Frame.decode(bytes.fromhex(told.rpartition(" ")[2]))
            properties = tuple((epc, b"") for epc, _ in reply.properties)
            asked = Frame(tid=reply.tid, source=CONTROLLER, destination=METER, service=Esv.GET, properties=properties)
            events.append((found[1], ">", f"data-open {found[3].partition('<')[0]}{asked.encode().hex().upper()}"))
        else:
            events.append((found[1], found[2], f"line {found[3]}"))
    events = [(at, way, what.replace(ZEROS, "FE80:0000:0000:0000:0200:0000:0000:0000")) for at, way, what in events]
    head, *rest = events
    told_at = [f"{int(at) / 1000:10.3f} {way} {what}" for at, way, what in rest]
    return "\n".join(["broute-record 1", f"{head[0]:>10} {head[1]} {head[2]}", *told_at, ""])
