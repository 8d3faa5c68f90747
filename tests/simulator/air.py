"""The air between a module of any kind and its meter: scans, the PANA session, datagrams."""

from collections import deque
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from random import Random
from typing import TYPE_CHECKING

from .airtime import BEACON_REQUEST, HOUR, Airtime, on_air
from .echonet import Esv, Telegram
from .faults import ECHONET_PORT, EFFECTS, PANA_PORT, Datagram, Fault, next_fault
from .notices import Notices
from .pana import authentication
from .radio import Beacon, Happening, Renewal, Sending, Transmission

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .meter import Clock, Meter
    from .radio import Network, RadioSettings
    from .record import Record
    from .timeline import Action, Calendar, Timeline

UNHEARD_REPEATS = (0.0, 2.0, 6.0, 14.0, 22.0, 30.0)
INITIATION = 16
"""Bytes of the message with which a client begins to authenticate (RFC 5191)."""
UNHEARD = 38.0
"""Seconds until a module gives up renewing a session (2 + 4 + 8 + 8 + 8 + 8)."""
LONGEST_REPEAT = 30.0
"""Seconds between two repetitions, where they go on for minutes."""
TERMINATION = 0.5
TERMINATION_ALONE = 10.0
INSTANCES = 3.1
"""Seconds from joining to the meter's instance list (log of a BP35A1, published by its owner)."""
CHANGE = 2.0
"""Seconds from a change of the meter's to its announcement."""
LATE = 30.0
RENEWAL = 0.8
"""The part of a session's lifetime after which a module authenticates again."""


@dataclass(eq=False, slots=True)
class Session:
    """A PANA session, as the module sees it."""

    is_expired: bool = False
    is_dropped: bool = False
    """The meter does not know of it any more."""
    is_garbled: bool = False
    """The keys of the two sides differ."""
    is_deaf: bool = False
    """The meter takes requests, but answers none."""


class Air:
    """A module's radio, and the meter at the other end."""

    def __init__(
        self,
        settings: RadioSettings,
        meter: Meter,
        clock: Clock,
        timeline: Timeline,
        calendar: Calendar,
        record: Record,
        airtime: Airtime,
    ) -> None:
        self.settings = settings
        self.on_happening: Callable[[Happening], None] = lambda _: None
        self.on_datagram: Callable[[Datagram], None] = lambda _: None
        self.network = settings.network
        """The meter's; it may change its channel or its MAC."""
        self.is_reachable = settings.is_reachable
        self.is_answering = settings.is_answering
        self.sendings = deque(settings.sendings)
        """How the next datagrams go."""
        self.faults: deque[Fault] = deque()
        """What happens to the next answers, before the settings' chance."""
        self.session: Session | None = None
        self.knows_neighbour = False
        self.airtime = airtime
        """The module's, which may have other meters as well."""
        self._clock = clock
        self._timeline = timeline
        self._calendar = calendar
        self._record = record
        self._notices = Notices(self, clock, calendar)
        self._chance = Random(settings.seed)
        self._story = 0
        self._refused_joins = settings.refused_joins
        self._unheard_joins = settings.unheard_joins
        self._garbled_sessions = settings.garbled_sessions
        self._failing_associations = settings.failing_associations
        self.deaf_sessions = settings.deaf_sessions
        """How many of the next sessions are deaf to requests."""
        self._terminated: float | None = None
        self._late: list[Datagram] = []
        self.meter = meter
        self._notices.plan()

    @property
    def meter(self) -> Meter:
        """The meter at the other end."""
        return self._meter

    @meter.setter
    def meter(self, meter: Meter) -> None:
        self._meter = meter
        meter.device.on_change = self._announce_change

    @property
    def place(self) -> tuple[int, int, str]:
        """Where the meter is to be found: channel, PAN ID and MAC."""
        return self.network.channel, self.network.pan_id, self.network.mac

    @property
    def is_restricted(self) -> bool:
        """Whether the airtime limit forbids sending."""
        return self.airtime.is_used_up

    @is_restricted.setter
    def is_restricted(self, is_restricted: bool) -> None:
        self.airtime.is_used_up = is_restricted

    @property
    def is_joined(self) -> bool:
        """Whether datagrams can be sent."""
        return self.session is not None and not self.session.is_expired

    def call(self, channels: Sequence[int]) -> None:
        """Send the beacon requests of a scan."""
        self._spend(BEACON_REQUEST * len(channels))

    def heard(self, channels: Sequence[int], dwell: float, duration: int, pairing_id: str | None) -> list[Beacon]:
        """Return who answers a scan at which time; without a pairing ID, everybody."""
        return [
            Beacon((place + 1) * dwell, network)
            for place, channel in enumerate(channels)
            for network in (self.network, *self.settings.neighbours)
            if network.channel == channel and self._is_heard(network, duration, pairing_id)
        ]

    def _is_heard(self, network: Network, duration: int, pairing_id: str | None) -> bool:
        if self.is_restricted:
            return False
        if network is self.network and not (self.is_reachable and duration >= self.settings.scan_duration):
            return False
        return network.answers_all or pairing_id in {None, network.pairing_id}

    def join(self, network: tuple[int, int, str], route_b_id: str, password: str) -> None:
        """Authenticate with the coordinator of this channel, PAN ID and MAC; what becomes of it is told later."""
        self._begin_story()
        self.session = None
        if network != self.place or not self._hears_join():
            self._fail_unheard()
            return
        credentials = (self.settings.route_b_id, self.settings.password)
        is_accepted = (route_b_id, password) == credentials and not self._refuses_join()
        end = self._joined if is_accepted else partial(self._happen, Happening.REFUSED)
        self._authenticate(end, is_accepted=is_accepted)

    def takes_association(self) -> bool:
        """Return whether the coordinator takes the module; a matter of its own where joining has two steps."""
        if self._failing_associations:
            self._failing_associations -= 1
            return False
        return True

    def rejoin(self) -> None:
        """Authenticate again with a living session."""
        self._begin_story()
        self._renew_session()

    def terminate(self) -> None:
        """End the session; what becomes of it is told later."""
        is_known = self._is_meter_talking and self.is_reachable
        self._begin_story()
        self.session = None
        if is_known:
            self._terminated = self._timeline.now
            self._later(TERMINATION / 4, partial(self._happen, Happening.SENT))
            self._later(TERMINATION, partial(self._happen, Happening.TERMINATED))
        else:
            self._later(TERMINATION_ALONE, partial(self._happen, Happening.TERMINATED_ALONE))

    def forget(self) -> None:
        """Forget the session and everything under way; the meter is not told."""
        self._begin_story()
        self.session = None

    def reset(self) -> None:
        """Forget everything."""
        self.forget()
        self.knows_neighbour = False

    def end_session(self) -> None:
        """Let the meter end the session."""
        self._lose_session(Happening.ENDED_BY_METER)

    def garble(self) -> None:
        """Let the keys of the two sides differ until they authenticate anew."""
        if self.session is not None:
            self.session.is_garbled = True

    def take_over(self) -> None:
        """Have a session that a former program began."""
        self.knows_neighbour = True
        self._begin_session()
        self._record.clear()

    def drop_session(self) -> None:
        """Let the meter forget the session without a word: it goes on acknowledging, but answers no more."""
        if self.session is not None:
            self.session.is_dropped = True

    def expire(self, *, is_renewed: bool = True) -> None:
        """Let the lifetime end; then the session is renewed, or lost."""
        if self.session is None:
            return
        self._begin_story()
        self.session.is_expired = True
        self._happen(Happening.EXPIRED)
        if is_renewed and self.is_reachable and not self.session.is_dropped:
            self._renew_session()
        else:
            self._later(UNHEARD, partial(self._lose_session, Happening.UNHEARD))

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
        if self._terminated is None:
            return False
        is_pausing = self._timeline.now - self._terminated < self.settings.rejoin_pause
        if self._timeline.is_instant:
            self._terminated = None
        return is_pausing

    def _fail_unheard(self) -> None:
        can_send = not (self.is_restricted or self.knows_neighbour)
        later = range(1, int((self.settings.unheard_time - UNHEARD_REPEATS[-1]) / LONGEST_REPEAT) + 1)
        for delay in (*UNHEARD_REPEATS, *(UNHEARD_REPEATS[-1] + LONGEST_REPEAT * place for place in later)):
            self._spend(0.0 if self.is_restricted else on_air(INITIATION))
            self._later(delay + 0.1, partial(self._happen, Happening.RESOLVING if can_send else Happening.NOT_SENT))
        self._later(self.settings.unheard_time, partial(self._happen, Happening.UNHEARD))

    def _authenticate(self, end: Action, *, is_accepted: bool) -> None:
        """Exchange the messages of an authentication, which takes the usual time, then end it."""
        messages = authentication(self.settings.route_b_id, self.settings.lifetime, is_accepted=is_accepted)
        step = self.settings.join_time / (len(messages) + 1)
        if not self.knows_neighbour:
            self.knows_neighbour = True
            self._later(step / 4, partial(self._happen, Happening.RESOLVING))
            self._later(step / 3, partial(self._happen, Happening.RESOLVED))
        self._later(step / 2, partial(self._happen, Happening.SENT))
        for place, message in enumerate(messages, start=1):
            datagram = self._datagram(Telegram(message), port=PANA_PORT, is_secured=False)
            self._later(place * step, partial(self._hand_over, datagram))
            self._later(place * step + step / 4, partial(self._happen, Happening.SENT))
            self._spend(on_air(len(message)))
        self._later(self.settings.join_time, end)

    def _joined(self) -> None:
        self._begin_session()
        if self.session is not None and self.deaf_sessions:
            self.deaf_sessions -= 1
            self.session.is_deaf = True
        self._later(INSTANCES, self._notices.announce_instances)

    def _begin_session(self) -> None:
        self.session = Session(is_garbled=self._garbled_sessions > 0)
        self._garbled_sessions = max(0, self._garbled_sessions - 1)
        self._happen(Happening.JOINED)
        part = RENEWAL if self.settings.renewal is Renewal.SILENT else 1.0
        when = self._clock() + timedelta(seconds=part * self.settings.lifetime)
        self._calendar.call_at(when, partial(self._end_lifetime, self.session))

    def _end_lifetime(self, session: Session) -> None:
        if session is not self.session or session.is_expired:
            return
        if self.settings.renewal is Renewal.SILENT and self.is_reachable and not session.is_dropped:
            self._renew_session()
        else:
            self.expire(is_renewed=self.settings.renewal is not Renewal.FAILS)

    def _renew_session(self) -> None:
        self._authenticate(self._begin_session, is_accepted=True)

    def _lose_session(self, happening: Happening) -> None:
        self._begin_story()
        self.session = None
        self._happen(happening)

    def send(
        self, payload: bytes, *, mac: str | None = None, port: int = ECHONET_PORT, is_secured: bool = True
    ) -> Transmission:
        """Send a datagram to a node, or to all; return how that goes."""
        self._flush_late()
        seconds = self._between(self.settings.transmit_time)
        sending = self._next_sending(mac, is_secured=is_secured)
        if port == ECHONET_PORT and sending is not Sending.REFUSED:
            self._record.datagrams_from_client.append(payload)
        if sending.is_on_air:
            self._spend(on_air(len(payload)))
        if sending.arrives and is_secured and port == ECHONET_PORT:
            self._later(seconds + 0.01, partial(self._deliver, payload))
        return Transmission(sending, seconds)

    def push(self, telegram: Telegram) -> None:
        """Let the meter send something of its own."""
        if self.is_joined and self.is_reachable and self._is_meter_talking:
            self._hand_over(self._datagram(telegram))

    @property
    def _is_meter_talking(self) -> bool:
        return self.is_answering and self.session is not None and not self.session.is_dropped

    def _next_sending(self, mac: str | None, *, is_secured: bool) -> Sending:
        if is_secured and not self.is_joined:
            return Sending.REFUSED
        if self.is_restricted:
            return Sending.RESTRICTED
        if not self.is_reachable or mac not in {None, self.network.mac}:
            return Sending.NOT_SENT
        return self.sendings.popleft() if self.sendings else Sending.SENT

    def _deliver(self, payload: bytes) -> None:
        """Let the meter have a datagram."""
        if not self._is_meter_talking or (self.session is not None and self.session.is_deaf):
            return
        self._notices.hear(payload)
        telegram = self.meter.answer(payload)
        if telegram is not None:
            self._send_back(self._datagram(telegram))

    def _send_back(self, answer: Datagram) -> None:
        """Let an answer come to the module, with what happens to it on its way."""
        fault = next_fault(self.faults, self.settings, self._chance)
        if fault is Fault.LATE:
            self._late.append(answer)
            if not self._timeline.is_instant:
                self._later(LATE, self._flush_late)
            return
        delay = self._between(self.settings.reply_time) + len(answer.data) / 100
        for part in [answer] if fault is None else EFFECTS[fault](answer):
            self._later(delay, partial(self._hand_over, part))

    def _flush_late(self) -> None:
        for datagram in self._late:
            self._hand_over(datagram)
        self._late.clear()

    def _hand_over(self, datagram: Datagram) -> None:
        if datagram.port == ECHONET_PORT:
            if self.session is not None and self.session.is_garbled:
                self._happen(Happening.UNDECIPHERABLE)
                return
            self._record.datagrams_to_client.append(datagram.data)
        self.on_datagram(datagram)

    def _datagram(self, telegram: Telegram, *, port: int = ECHONET_PORT, is_secured: bool = True) -> Datagram:
        lqi = max(0, min(0xFF, self.network.lqi + self._chance.randint(-4, 4)))
        return Datagram(
            mac=self.network.mac,
            data=telegram.payload,
            lqi=lqi,
            to_all=telegram.to_all,
            port=port,
            is_secured=is_secured,
        )

    def _announce_change(self, epc: int) -> None:
        self._later(CHANGE, lambda: self._notices.announce(Esv.INF, epc, to_all=True))

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
            self.restrict()
            self._calendar.call_at(self._clock() + HOUR, lambda: self.restrict(is_restricted=False))
