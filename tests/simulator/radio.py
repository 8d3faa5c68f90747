"""What a module's radio meets: networks, outcomes, and how well everything gets through."""

from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from typing import TYPE_CHECKING

from .echonet import Esv

if TYPE_CHECKING:
    from .faults import Fault

ROUTE_B_ID = "0123456789ABCDEF0123456789ABCDEF"
PASSWORD = "0123456789AB"


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
    UNDECIPHERABLE = "a datagram of the meter's cannot be decrypted"


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
    BUSY = "accepted, but not sent, as the channel is in use"
    RESTRICTED = "accepted, but not sent, as the airtime is used up"
    FAILED = "accepted, but not sent, and the reason is none of the others"
    QUEUED = "accepted and kept for a moment, then sent"

    @property
    def arrives(self) -> bool:
        """Whether the datagram reaches the meter."""
        return self in {
            Sending.SENT,
            Sending.ACCEPTED_FIRST,
            Sending.RESOLVED,
            Sending.RESOLVED_FIRST,
            Sending.QUEUED,
        }

    @property
    def is_on_air(self) -> bool:
        """Whether the module transmits at all."""
        return self not in {Sending.REFUSED, Sending.BUSY, Sending.RESTRICTED}


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
    """Its beacon comes even if another meter was called."""


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
    unheard_time: float = 38.0
    """Seconds until a module gives up joining; the repetitions of some go on for minutes."""
    garbled_sessions: int = 0
    """The first sessions whose datagrams from the meter the module cannot decrypt."""
    deaf_sessions: int = 0
    """The first sessions in which the meter acknowledges every request and answers none; the next one is as usual."""
    failing_associations: int = 0
    """The first connections of a module to the coordinator that come to nothing, where they are a step of their own."""
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
