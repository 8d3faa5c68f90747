"""The radio side of every kind of module: networks, the PANA session, datagrams, airtime."""

from collections import deque
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from functools import partial
from random import Random
from typing import TYPE_CHECKING

from .echonet import CONTROLLER, METER, PROFILE, Esv, Frame, Properties, Telegram
from .faults import ECHONET_PORT, EFFECTS, PANA_PORT, Datagram, Fault
from .meter import HALF_HOUR, Clock, Meter
from .pana import authentication

if TYPE_CHECKING:
    from collections.abc import Callable

    from .record import Record
    from .timeline import Action, Calendar, Timeline

ROUTE_B_ID = "0123456789ABCDEF0123456789ABCDEF"
PASSWORD = "0123456789AB"

BITRATE = 100_000
OVERHEAD = 60
"""Bytes of the lower layers per datagram."""
BEACON_REQUEST = 0.006
"""Seconds on the air per scanned channel."""

HOUR = timedelta(hours=1)
UNHEARD_REPEATS = (0.0, 2.0, 6.0, 14.0, 22.0, 30.0)
UNHEARD = 38.0
"""Seconds until a module gives up joining (2 + 4 + 8 + 8 + 8 + 8)."""
LATE = 30.0
RENEWAL = 0.8
"""The part of a session's lifetime after which a module authenticates again."""
NOTICE_TRIES = 3
NOTICE_WAIT = timedelta(seconds=20)


class Happening(Enum):
    """What a module is told by its radio and its PANA client."""

    RESOLVING = "the address has to be resolved first"
    RESOLVED = "the neighbour answered"
    SENT = "a datagram was sent and acknowledged"
    NOT_SENT = "a datagram could not be sent"
    JOINED = "authenticated, for the first time or again"
    REFUSED = "the meter refused to authenticate"
    UNHEARD = "the meter did not answer"
    ENDED_BY_METER = "the meter ended the session"
    TERMINATED = "the session was ended as we asked"
    TERMINATED_ALONE = "the session was ended without an answer"
    EXPIRED = "the session's lifetime is over"
    RESTRICTED = "the transmit time is used up"
    RELEASED = "sending is allowed again"


class Sending(Enum):
    """How the sending of a datagram goes."""

    SENT = "sent, then accepted"
    ACCEPTED_FIRST = "accepted, then sent"
    NOT_SENT = "accepted, but not sent"
    RESOLVED = "accepted while the address is resolved, then sent"
    RESOLVED_FIRST = "the address is resolved, sent, then accepted"
    UNRESOLVED = "accepted, but the address is never resolved"
    REFUSED = "not accepted"
    SILENT = "nothing is ever said"

    @property
    def arrives(self) -> bool:
        """Whether the datagram reaches the meter."""
        return self in {Sending.SENT, Sending.ACCEPTED_FIRST, Sending.RESOLVED, Sending.RESOLVED_FIRST}


class Renewal(Enum):
    """What becomes of a session at its end."""

    SILENT = "the module authenticates again in good time"
    LATE = "the lifetime ends first, then the module authenticates again"
    FAILS = "the lifetime ends, and the meter does not answer any more"


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A coordinator that can be heard."""

    channel: int = 0x31
    pan_id: int = 0x8A3C
    mac: str = "001C640003D2A1B7"
    lqi: int = 0xDD
    pairing_id: str = ROUTE_B_ID[-8:]
    answers_all: bool = False
    """Its beacon comes even if somebody else was called."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RadioSettings:
    """Who is on the air, and how well everything gets through."""

    network: Network = Network()
    """The meter's."""
    neighbours: tuple[Network, ...] = ()
    route_b_id: str = ROUTE_B_ID
    password: str = PASSWORD
    is_reachable: bool = True
    """Otherwise the meter neither hears nor is heard."""
    is_answering: bool = True
    """Otherwise the meter acknowledges datagrams and says nothing."""
    scan_duration: int = 0
    """The least scan duration that hears the meter's beacon."""
    refused_joins: int = 0
    """The first joins that are refused whatever the credentials are."""
    unheard_joins: int = 0
    """The first joins that nobody answers."""
    rejoin_pause: float = 0.0
    """Seconds after a terminated session in which the meter refuses the next; one refusal at infinite speed."""
    lifetime: int = 86_400
    """Seconds that a session lives."""
    renewal: Renewal = Renewal.SILENT
    sendings: tuple[Sending, ...] = ()
    """How the first datagrams go; all others are sent."""
    faults: tuple[Fault, ...] = ()
    """What happens to answers, one chosen by chance for each."""
    fault_rate: float = 1.0
    """The part of the answers to which something happens."""
    join_time: float = 4.0
    transmit_time: tuple[float, float] = (0.115, 0.343)
    reply_time: tuple[float, float] = (0.3, 1.2)
    """From the acknowledgement to the answer to one property; each kilobyte takes ten seconds more."""
    announces: Esv | None = Esv.INF
    """How the energy at fixed time is announced: INF, INFC or not at all."""
    announce_delay: timedelta = timedelta(seconds=40)
    """How long after :00 and :30."""
    airtime_limit: float = 350.0
    """Seconds of transmission in an hour after which nothing is sent any more."""
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Beacon:
    """A network heard in a scan, and when."""

    delay: float
    network: Network


@dataclass(frozen=True, slots=True)
class Transmission:
    """How the sending of a datagram goes, and how long it takes."""

    sending: Sending
    seconds: float


@dataclass(eq=False, slots=True)
class Session:
    """A PANA session."""

    is_expired: bool = False
    is_forgotten: bool = False
    """The meter does not know of it any more."""


class Airtime:
    """The seconds that a module has transmitted (T108)."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._spent: deque[tuple[datetime, float]] = deque()
        self.total = 0.0
        """Seconds since the simulation began."""

    def spend(self, seconds: float) -> None:
        """Transmit."""
        self.total += seconds
        self._spent.append((self._clock(), seconds))

    def last_hour(self) -> float:
        """Return the seconds of the last hour."""
        while self._spent and self._spent[0][0] <= self._clock() - HOUR:
            self._spent.popleft()
        return sum(seconds for _, seconds in self._spent)


class Air:
    """A module's radio and the meter at the other end."""

    def __init__(
        self,
        settings: RadioSettings,
        meter: Meter,
        clock: Clock,
        timeline: Timeline,
        calendar: Calendar,
        record: Record,
    ) -> None:
        self.settings = settings
        self.on_happening: Callable[[Happening], None] = lambda _: None
        self.on_datagram: Callable[[Datagram], None] = lambda _: None
        self.network = settings.network
        self.is_reachable = settings.is_reachable
        self.is_answering = settings.is_answering
        self.sendings = deque(settings.sendings)
        """How the next datagrams go."""
        self.faults: deque[Fault] = deque()
        """What happens to the next answers, before the settings' chance."""
        self.session: Session | None = None
        self.is_restricted = False
        self.airtime = Airtime(clock)
        self._clock = clock
        self._timeline = timeline
        self._calendar = calendar
        self._record = record
        self._chance = Random(settings.seed)
        self._story = 0
        self.knows_neighbour = False
        self._refused_joins = settings.refused_joins
        self._unheard_joins = settings.unheard_joins
        self._terminated: float | None = None
        self._late: list[Datagram] = []
        self._tid = 0
        self._unanswered: set[int] = set()
        self.meter = meter
        self._plan_announcement()

    @property
    def meter(self) -> Meter:
        """The meter at the other end."""
        return self._meter

    @meter.setter
    def meter(self, meter: Meter) -> None:
        self._meter = meter
        meter.device.on_change = lambda epc: self._announce(Esv.INF, (epc,), to_all=True)

    @property
    def is_joined(self) -> bool:
        """Whether datagrams can be sent."""
        return self.session is not None and not self.session.is_expired

    @property
    def _is_meter_talking(self) -> bool:
        return self.is_answering and self.session is not None and not self.session.is_forgotten

    # Scanning

    def scan(self, channels: list[int], dwell: float, duration: int, pairing_id: str | None) -> list[Beacon]:
        """Return who is heard at which time; without a pairing ID, everybody."""
        self._spend(BEACON_REQUEST * len(channels))
        return [
            Beacon((place + 1) * dwell, network)
            for place, channel in enumerate(channels)
            for network in (self.network, *self.settings.neighbours)
            if network.channel == channel and self._is_heard(network, duration, pairing_id)
        ]

    def _is_heard(self, network: Network, duration: int, pairing_id: str | None) -> bool:
        if self.is_restricted or (network is self.network and not self.is_reachable):
            return False
        if network is self.network and duration < self.settings.scan_duration:
            return False
        return network.answers_all or pairing_id in {None, network.pairing_id}

    # Joining and leaving

    def join(self, network: tuple[int, int, str], route_b_id: str, password: str) -> None:
        """Authenticate with the coordinator of this channel, PAN ID and MAC; what becomes of it is told later."""
        self._begin_story()
        self.session = None
        if network != (self.network.channel, self.network.pan_id, self.network.mac) or not self._hears_join():
            return self._fail_unheard()
        if self._refuses_join():
            return self._authenticate(lambda: self._happen(Happening.REFUSED), is_accepted=False)
        is_accepted = (route_b_id, password) == (self.settings.route_b_id, self.settings.password)
        end = self._joined if is_accepted else lambda: self._happen(Happening.REFUSED)
        return self._authenticate(end, is_accepted=is_accepted)

    def rejoin(self) -> None:
        """Authenticate again with a living session."""
        self._begin_story()
        self._renew_session()

    def terminate(self) -> None:
        """End the session; what becomes of it is told later."""
        self._begin_story()
        self.session = None
        if self.is_reachable:
            self._terminated = self._timeline.now
            self._later(0.1, lambda: self._happen(Happening.SENT))
            self._later(0.5, lambda: self._happen(Happening.TERMINATED))
        else:
            self._later(10.0, lambda: self._happen(Happening.TERMINATED_ALONE))

    def reset(self) -> None:
        """Forget the session and everything under way; the meter is not told."""
        self._begin_story()
        self.session = None
        self.knows_neighbour = False

    def add_neighbour(self) -> None:
        """Spare the resolution of the meter's address."""
        self.knows_neighbour = True

    def end_session(self) -> None:
        """Let the meter end the session."""
        self._lose_session(Happening.ENDED_BY_METER)

    def drop_session(self) -> None:
        """Let the meter forget the session without a word: it goes on acknowledging, but answers no more."""
        if self.session is not None:
            self.session.is_forgotten = True

    def expire(self, *, is_renewed: bool = True) -> None:
        """Let the lifetime end; then the session is renewed, or lost."""
        if self.session is None:
            return
        self._begin_story()
        self.session.is_expired = True
        self._happen(Happening.EXPIRED)
        if is_renewed and self.is_reachable:
            self._renew_session()
        else:
            self._later(UNHEARD, lambda: self._lose_session(Happening.UNHEARD))

    def restrict(self, is_restricted: bool = True) -> None:  # noqa: FBT001, FBT002  # it is the only argument
        """Forbid or allow sending, as the airtime limit does."""
        self.is_restricted = is_restricted
        self._happen(Happening.RESTRICTED if is_restricted else Happening.RELEASED)

    def _hears_join(self) -> bool:
        if self._unheard_joins:
            self._unheard_joins -= 1
            return False
        return self.is_reachable and not self.is_restricted

    def _refuses_join(self) -> bool:
        if self._refused_joins:
            self._refused_joins -= 1
            return True
        if self._terminated is None or not self.settings.rejoin_pause:
            return False
        is_pausing = self._timeline.now - self._terminated < self.settings.rejoin_pause
        if self._timeline.is_instant:
            self._terminated = None
        return is_pausing

    def _fail_unheard(self) -> None:
        for delay in UNHEARD_REPEATS:
            self._later(delay + 0.1, lambda: self._happen(Happening.RESOLVING))
        self._later(UNHEARD, lambda: self._happen(Happening.UNHEARD))

    def _authenticate(self, end: Action, *, is_accepted: bool) -> None:
        """Exchange the messages of an authentication, which takes the usual time, then end it."""
        messages = authentication(self.settings.route_b_id, self.settings.lifetime, is_accepted=is_accepted)
        step = self.settings.join_time / (len(messages) + 1)
        if not self.knows_neighbour:
            self.knows_neighbour = True
            self._later(step / 4, lambda: self._happen(Happening.RESOLVING))
            self._later(step / 3, lambda: self._happen(Happening.RESOLVED))
        self._later(step / 2, lambda: self._happen(Happening.SENT))
        for place, message in enumerate(messages, start=1):
            datagram = self._datagram(message, port=PANA_PORT, is_secured=False)
            self._later(place * step, partial(self._hand_over, datagram))
            self._later(place * step + 0.1, lambda: self._happen(Happening.SENT))
            self._spend(_on_air(len(message)))
        self._later(self.settings.join_time, end)

    def _joined(self) -> None:
        self._begin_session()
        instances = ((0xD5, b"\x01" + METER),)
        self._later(3.1, lambda: self._notify(Esv.INF, PROFILE, PROFILE, instances, to_all=True))

    def _begin_session(self) -> None:
        self.session = Session()
        self._happen(Happening.JOINED)
        part = RENEWAL if self.settings.renewal is Renewal.SILENT else 1.0
        when = self._clock() + timedelta(seconds=part * self.settings.lifetime)
        self._calendar.call_at(when, partial(self._end_lifetime, self.session))

    def _end_lifetime(self, session: Session) -> None:
        if session is not self.session or session.is_expired:
            return
        if self.settings.renewal is Renewal.SILENT and self.is_reachable:
            self._renew_session()
        else:
            self.expire(is_renewed=self.settings.renewal is not Renewal.FAILS)

    def _renew_session(self) -> None:
        self._authenticate(self._renewed, is_accepted=True)

    def _renewed(self) -> None:
        if self.session is not None:
            self._begin_session()

    def _lose_session(self, happening: Happening) -> None:
        self._begin_story()
        self.session = None
        self._happen(happening)

    # Sending and receiving

    def send(self, payload: bytes, *, port: int = ECHONET_PORT, is_secured: bool = True) -> Transmission:
        """Send a datagram to the meter; return how that goes."""
        if port == ECHONET_PORT:
            self._record.datagrams_from_client.append(payload)
        self._flush_late()
        seconds = self._between(self.settings.transmit_time)
        transmission = Transmission(self._next_sending(is_secured=is_secured), seconds)
        if transmission.sending is not Sending.REFUSED:
            self._spend(_on_air(len(payload)))
        if transmission.sending.arrives and is_secured and port == ECHONET_PORT:
            self._later(transmission.seconds + 0.01, partial(self._deliver, payload))
        return transmission

    def _next_sending(self, *, is_secured: bool) -> Sending:
        if is_secured and not self.is_joined:
            return Sending.REFUSED
        if self.is_restricted or not self.is_reachable:
            return Sending.NOT_SENT
        return self.sendings.popleft() if self.sendings else Sending.SENT

    def _deliver(self, payload: bytes) -> None:
        """Let the meter have a datagram."""
        if payload[10:11] == bytes([Esv.INFC_RES]):
            self._unanswered.discard(int.from_bytes(payload[2:4]))
        telegram = self.meter.answer(payload) if self._is_meter_talking else None
        if telegram is None:
            return
        fault = self._next_fault()
        answer = self._datagram(telegram.payload, to_all=telegram.to_all)
        if fault is Fault.LATE:
            self._late.append(answer)
            if not self._timeline.is_instant:
                self._later(LATE, self._flush_late)
            return
        delay = self._between(self.settings.reply_time) + len(telegram.payload) / 100
        for part in [answer] if fault is None else EFFECTS[fault](answer):
            self._later(delay, partial(self._hand_over, part))

    def _next_fault(self) -> Fault | None:
        if self.faults:
            return self.faults.popleft()
        if self.settings.faults and self._chance.random() < self.settings.fault_rate:
            return self._chance.choice(self.settings.faults)
        return None

    def _flush_late(self) -> None:
        for datagram in self._late:
            self._hand_over(datagram)
        self._late.clear()

    def _hand_over(self, datagram: Datagram) -> None:
        if datagram.port == ECHONET_PORT:
            self._record.datagrams_to_client.append(datagram.data)
        self.on_datagram(datagram)

    def _datagram(
        self, data: bytes, *, to_all: bool = False, port: int = ECHONET_PORT, is_secured: bool = True
    ) -> Datagram:
        lqi = max(0, min(0xFF, self.network.lqi + self._chance.randint(-4, 4)))
        return Datagram(mac=self.network.mac, data=data, lqi=lqi, to_all=to_all, port=port, is_secured=is_secured)

    # Notifications

    def _plan_announcement(self) -> None:
        shown = self.meter.counters.time()
        half_hours = (shown - shown.replace(hour=0, minute=0, second=0, microsecond=0)) // HALF_HOUR + 1
        midnight = shown.replace(hour=0, minute=0, second=0, microsecond=0)
        due = midnight + half_hours * HALF_HOUR - self.meter.settings.clock_offset + self.settings.announce_delay
        self._calendar.call_at(due, self._announce_half_hour)

    def _announce_half_hour(self) -> None:
        self._plan_announcement()
        if self.settings.announces is not None:
            self._announce(self.settings.announces, (0xEA, 0xEB))

    def _announce(self, service: Esv, codes: tuple[int, ...], *, to_all: bool = False) -> None:
        """Send the values of some properties of the meter, if it has them."""
        values = [(epc, self.meter.device.read(epc)) for epc in codes]
        properties = tuple((epc, edt) for epc, edt in values if edt)
        self._notify(service, METER, CONTROLLER, properties, to_all=to_all)

    def _notify(self, service: Esv, source: bytes, destination: bytes, properties: Properties, *, to_all: bool) -> None:
        self._tid = self._tid + 1 & 0xFFFF
        frame = Frame(tid=self._tid, source=source, destination=destination, service=service, properties=properties)
        if service == Esv.INFC:
            self._unanswered.add(frame.tid)
        self._send_notice(Telegram(frame.encode(), to_all), frame.tid, NOTICE_TRIES if service == Esv.INFC else 1)

    def _send_notice(self, telegram: Telegram, tid: int, tries: int) -> None:
        """Send a notification; again after a while, if it wants an answer and gets none."""
        if self.is_joined and self.is_reachable and self._is_meter_talking:
            self._hand_over(self._datagram(telegram.payload, to_all=telegram.to_all))
        if tries > 1:
            self._calendar.call_at(self._clock() + NOTICE_WAIT, partial(self._repeat_notice, telegram, tid, tries - 1))

    def _repeat_notice(self, telegram: Telegram, tid: int, tries: int) -> None:
        if tid in self._unanswered:
            self._send_notice(telegram, tid, tries)

    # Time

    def _begin_story(self) -> None:
        """Let what was under way come to nothing."""
        self._story += 1

    def _later(self, delay: float, action: Action) -> None:
        """Do something after a delay, unless another story began."""
        story = self._story
        self._timeline.call_later(delay, lambda: action() if story == self._story else None)

    def _between(self, limits: tuple[float, float]) -> float:
        return self._chance.uniform(*limits)

    def _happen(self, happening: Happening) -> None:
        self._record.happenings.append(happening.name)
        self.on_happening(happening)

    def _spend(self, seconds: float) -> None:
        self.airtime.spend(seconds)
        if not self.is_restricted and self.airtime.last_hour() > self.settings.airtime_limit:
            self.restrict(is_restricted=True)
            self._calendar.call_at(self._clock() + HOUR, lambda: self.restrict(is_restricted=False))


def _on_air(size: int) -> float:
    """Return the seconds that a datagram occupies the air."""
    return 8 * (size + OVERHEAD) / BITRATE
