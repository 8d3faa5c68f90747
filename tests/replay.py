"""A serial URL behind which a record is replayed (docs/records.md): the same questions get the recorded answers."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
import re

from custom_components.broute.aiobroute.records.units import Bytes, Data, Line, Packet, Unit, units_of

from .simulator.transport import SimTransport, offered

EVENT = re.compile(
    r" *(?P<at>\d+\.\d{3}) (?P<way>[=<>]) (?P<kind>[a-z]+)(?P<end>-(?:cr|lf|open))?(?:-kept)?(?: (?P<content>.*))?"
)

ORDER = 1e-6
"""Seconds between answers of the same millisecond: a loop keeps no order among timers of the same time."""

TIDS = re.compile("(1081)([0-9A-F]{4})((?:028801|05FF01)[0-9A-F]*)$")
"""A frame of ECHONET Lite at the end of a question or an answer; its transaction ID begins anywhere."""


@dataclass(frozen=True, slots=True)
class Event:
    """A line of a record."""

    at: float
    way: str
    kind: str
    unit: Unit | None


class MismatchError(AssertionError):
    """A question that the record has no answer for."""


def read(text: str) -> list[Event]:
    """Return the events of a record."""
    events = []
    for line in text.splitlines()[1:]:
        found = EVENT.fullmatch(line)
        assert found is not None, line
        unit = None
        if found["way"] in "<>":
            unit = _unit(found["kind"], found["end"] or "", found["content"] or "", is_request=found["way"] == ">")
        events.append(Event(float(found["at"]), found["way"], found["kind"], unit))
    return events


def _unit(kind: str, end: str, content: str, *, is_request: bool) -> Unit:
    match kind:
        case "line":
            return Line(content, end)
        case "data":
            head, _, digits = content.rpartition(" ")
            return Data(f"{head} ", bytes.fromhex(digits), end)
        case "frame":
            code, _, digits = content.partition(" ")
            return Packet(int(code, 16), bytes.fromhex(digits), is_request)
        case "bytes":
            return Bytes(int(content))
    raise AssertionError(kind)


class ReplayedPort:
    """A dongle that says what it said when the record was made."""

    url: str

    def __init__(self, text: str) -> None:
        self._events = [event for event in read(text) if event.way != "=" or event.kind in {"open", "closed"}]
        self._place = 0
        self._tids: dict[str, str] = {}
        """Transaction IDs of the record, and what they are now."""
        self._host: SimTransport | None = None
        self._handles: list[asyncio.TimerHandle] = []
        self.mismatch: MismatchError | None = None

    @property
    def left(self) -> list[Event]:
        """Return the questions that nobody has asked."""
        return [event for event in self._events[self._place :] if event.way == ">"]

    def open(self, host: SimTransport, baud_rate: int) -> None:  # noqa: ARG002  # the record's questions tell enough
        """Give the port to a host."""
        self._host = host
        self._expect("open", None)

    def close(self) -> None:
        """Take the port from its host."""
        self._host = None
        for handle in self._handles:
            handle.cancel()

    def receive(self, data: bytes) -> None:
        """Take what the host says, and answer as the module did."""
        for unit in units_of(data):
            self._expect("", unit)

    def _expect(self, kind: str, asked: Unit | None) -> None:
        if self.mismatch is not None:
            return
        # What was said unasked until this question came; the host may be a moment earlier than it was.
        while self._place < len(self._events) and self._events[self._place].way == "<":
            self._place += 1
        event = self._events[self._place] if self._place < len(self._events) else None
        if event is None or (event.kind != kind if asked is None else not self._is_same(event.unit, asked)):
            told = "nothing more" if event is None else event.unit or event.kind
            self.mismatch = MismatchError(f"asked: {asked or kind}\nin the record: {told}")
            return
        self._place += 1
        self._answer(event.at)

    def _is_same(self, recorded: Unit | None, asked: Unit) -> bool:
        if isinstance(recorded, Bytes):
            return recorded.size == (asked.size if isinstance(asked, Bytes) else len(asked.encode()))
        before, now = TIDS.search(str(recorded)), TIDS.search(str(asked))
        if before is not None and now is not None:
            self._tids[before[2]] = now[2]
            return TIDS.sub(r"\1----\3", str(recorded)) == TIDS.sub(r"\1----\3", str(asked))
        return str(recorded) == str(asked)

    def _answer(self, since: float) -> None:
        """Say what follows in the record until the next question, as late as then."""
        loop = asyncio.get_running_loop()
        for number, event in enumerate(self._events[self._place :]):
            if event.way != "<":
                break
            self._handles.append(loop.call_later(event.at - since + number * ORDER, self._say, event))

    def _say(self, event: Event) -> None:
        if self._host is not None and event.unit is not None:
            self._host.data_received(self._encoded(event.unit))

    def _encoded(self, unit: Unit) -> bytes:
        """Return the bytes of an answer with the transaction ID of what was asked this time."""
        if isinstance(unit, Bytes):
            return bytes(unit.size)
        tid = TIDS.search(str(unit))
        if tid is None or tid[2] not in self._tids:
            return unit.encode()
        before, now = tid[2], self._tids[tid[2]]
        match unit:
            case Line(text, end):
                return Line(_renumbered(text, before, now), end).encode()
            case Data(head, data, end):
                return Data(head, bytes.fromhex(_renumbered(data.hex().upper(), before, now)), end).encode()
            case Packet(code, data, is_request):
                return Packet(code, bytes.fromhex(_renumbered(data.hex().upper(), before, now)), is_request).encode()


def _renumbered(text: str, before: str, now: str) -> str:
    return TIDS.sub(lambda found: found[1] + (now if found[2] == before else found[2]) + found[3], text)


@contextmanager
def replayed_port(text: str) -> Iterator[ReplayedPort]:
    """Offer a record under a URL of its own.

    Raises:
        MismatchError: something was asked that the record has no answer for.

    """
    port = ReplayedPort(text)
    with offered(port, "replay"):  # type: ignore[arg-type]  # it has what a transport needs of it
        yield port
    if port.mismatch is not None:
        raise port.mismatch
