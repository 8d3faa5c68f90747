"""What every Wi-SUN module can do for a session, whatever language it speaks."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Protocol

ALL_CHANNELS = frozenset(range(33, 61))
"""The 28 channel numbers of the SK commands, 200 kHz apart (SK 3.9)."""

LISTEN_DURATION = 6
"""Scan duration at which a single channel is listened to: half a second."""

ODD_CHANNELS = frozenset(range(33, 61, 2))
"""The centres of the 400 kHz channels on which every meter on record was found."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What the utility's two letters say."""

    route_b_id: str = field(repr=False)
    """32 hexadecimal digits, upper case."""
    password: str = field(repr=False)
    """12 characters."""

    @property
    def pair_id(self) -> str:
        """Return the part of the ID by which a scan finds the meter (SK 3.9)."""
        return self.route_b_id[-8:]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pan:
    """Where a meter is to be found on the air."""

    channel: int
    """Channel number of the SK commands, 33 to 60."""
    pan_id: int
    mac: str
    """EUI-64 of the meter, 16 hexadecimal digits."""

    @property
    def address(self) -> str:
        """Return the link-local IPv6 address that belongs to the MAC (SK 3.29)."""
        interface = f"{int(self.mac, 16) ^ 0x0200_0000_0000_0000:016X}"
        groups = ["FE80", "0000", "0000", "0000", *(interface[i : i + 4] for i in range(0, 16, 4))]
        return ":".join(groups)


@dataclass(frozen=True, slots=True, kw_only=True)
class Beacon:
    """A meter that answered a scan."""

    pan: Pan
    rssi: float
    """Signal strength in dBm."""
    lqi: int | None
    """Link quality as the module printed it; `None` from a module that tells dBm."""
    pair_id: str | None = field(repr=False)
    """Last eight characters of a Route B ID; `None` if the module did not tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Datagram:
    """A UDP datagram for the ECHONET Lite port."""

    source: str
    """IPv6 address, eight groups of four, upper case."""
    encrypted: bool
    data: bytes = field(repr=False)
    rssi: float | None
    """Signal strength of its last radio frame in dBm, where the module tells."""


class ModuleEvent(Enum):
    """What a module tells unasked about scan and session."""

    BEACON = auto()
    """A scan that is still going on was answered; who it is comes with the result."""
    JOINED = auto()
    RESUMED = auto()
    """The meter answered in a session that an earlier program left; told by the session itself, not by a module."""
    JOIN_FAILED = auto()
    ENDED_BY_METER = auto()
    ENDED = auto()
    END_UNANSWERED = auto()
    EXPIRED = auto()
    RESTRICTED = auto()
    RELEASED = auto()
    NOT_SENT = auto()
    """A datagram of ours found no way: a busy channel, no acknowledgement, or an address that nobody knows."""
    PORT_LOST = auto()


class SendOutcome(Enum):
    """What became of a datagram on its way into the air."""

    SENT = auto()
    """The meter's radio took it, or will in a moment."""
    UNACKNOWLEDGED = auto()
    BUSY = auto()
    """The channel is in use by others."""
    RESTRICTED = auto()
    """The module's hourly airtime is used up (ARIB STD-T108)."""


class JoinOutcome(Enum):
    """How a PANA authentication ended."""

    JOINED = auto()
    REFUSED = auto()
    UNHEARD = auto()


@dataclass(frozen=True, slots=True)
class ModuleInfo:
    """What a module says about itself."""

    family: str
    """`BP35A1` for modules with one radio side, `BP35C2` for those with two, `J11` for the binary protocol."""
    firmware: str


class WiSunModule(Protocol):
    """One open Wi-SUN module, used for one connection.

    Each method may raise `PortError`, `ModuleError` and `ModuleTimeoutError`; after the first and the last the port is
    closed.
    """

    @property
    def info(self) -> ModuleInfo:
        """Return what the module said about itself."""

    @property
    def channels(self) -> frozenset[int]:
        """Return the channels that the module can use."""

    def attach(self, *, on_datagram: Callable[[Datagram], None], on_event: Callable[[ModuleEvent], None]) -> None:
        """Send what arrives from now on to these two."""

    async def prepare(self, credentials: Credentials) -> None:
        """Drop every session and register the credentials, in volatile memory only."""

    async def adopt(self, credentials: Credentials, pan: Pan) -> None:
        """Take the module as a former program left it, and set right what can be set without a reset."""

    def resumed(self) -> None:
        """Take note that the session which was found goes on."""

    async def scan(self, channels: Collection[int], duration: int) -> list[Beacon]:
        """Return the meters that answer our pairing ID."""

    def scan_seconds(self, channels: Collection[int], duration: int) -> float:
        """Return how long such a scan takes."""

    async def join(self, pan: Pan) -> JoinOutcome:
        """Authenticate with the meter; a module that still answers is waited for as long as PANA may last."""

    async def send(self, address: str, data: bytes) -> SendOutcome:
        """Send an encrypted datagram."""

    async def leave(self) -> None:
        """End the session, if there is one."""

    def close(self) -> None:
        """Release the port, now."""

    async def wait_closed(self) -> None:
        """Return when the port is free for others."""
