"""What a meter says unasked (AIF 3.2.1, EL2 3.2.5)."""

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Protocol

from .echonet import CONTROLLER, METER, PROFILE, Esv, Frame, Telegram
from .meter import HALF_HOUR, floor

if TYPE_CHECKING:
    from .echonet import Properties
    from .meter import Clock, Meter
    from .radio import RadioSettings
    from .timeline import Calendar

TRIES = 3
WAIT = timedelta(seconds=20)
"""How long the meter waits for the answer to INFC."""


class Speaker(Protocol):
    """The way on which a meter tells something unasked."""

    settings: RadioSettings

    @property
    def meter(self) -> Meter:
        """The meter, which may be another one after a while."""

    def push(self, telegram: Telegram) -> None:
        """Let the meter send something of its own."""


class Notices:
    """The notifications of a meter: each half hour, on a change, and after joining."""

    def __init__(self, air: Speaker, clock: Clock, calendar: Calendar) -> None:
        self._air = air
        self._clock = clock
        self._calendar = calendar
        self._tid = 0
        self._unanswered: set[int] = set()

    def plan(self) -> None:
        """Make the appointment for the next half hour, by the meter's own clock."""
        counters = self._air.meter.counters
        due = floor(counters.time(), HALF_HOUR) + HALF_HOUR - counters.clock_offset
        self._calendar.call_at(due + self._air.settings.announce_delay, self._announce_half_hour)

    def announce(self, service: Esv, *codes: int, to_all: bool = False) -> None:
        """Send the values of some properties of the meter, if it has them."""
        values = [(epc, self._air.meter.device.read(epc)) for epc in codes]
        properties = tuple((epc, edt) for epc, edt in values if edt)
        self._notify(service, METER, CONTROLLER, properties, to_all=to_all)

    def announce_instances(self) -> None:
        """Send the instance list, as a node does that has come to a network (EL2 4.3.1)."""
        self._notify(Esv.INF, PROFILE, PROFILE, ((0xD5, b"\x01" + METER),), to_all=True)

    def hear(self, payload: bytes) -> None:
        """Take what may be the answer to INFC."""
        if payload[10:11] == bytes([Esv.INFC_RES]):
            self._unanswered.discard(int.from_bytes(payload[2:4]))

    def _announce_half_hour(self) -> None:
        self.plan()
        if self._air.settings.announces is not None:
            self.announce(self._air.settings.announces, 0xEA, 0xEB)

    def _notify(self, service: Esv, source: bytes, destination: bytes, properties: Properties, *, to_all: bool) -> None:
        self._tid = self._tid + 1 & 0xFFFF
        frame = Frame(tid=self._tid, source=source, destination=destination, service=service, properties=properties)
        wants_answer = service == Esv.INFC
        if wants_answer:
            self._unanswered.add(frame.tid)
        self._send(Telegram(frame.encode(), to_all), frame.tid, TRIES if wants_answer else 1)

    def _send(self, telegram: Telegram, tid: int, tries: int) -> None:
        """Send; again after a while, if an answer is wanted and none comes."""
        self._air.push(telegram)
        if tries > 1:
            self._calendar.call_at(self._clock() + WAIT, partial(self._repeat, telegram, tid, tries - 1))

    def _repeat(self, telegram: Telegram, tid: int, tries: int) -> None:
        if tid in self._unanswered:
            self._send(telegram, tid, tries)
