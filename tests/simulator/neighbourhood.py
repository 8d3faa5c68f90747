"""Everything that one module can reach: a meter, or several, of which one at a time has a session with it."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .air import Air, Session
    from .airtime import Airtime
    from .faults import Datagram
    from .radio import Beacon, Happening, Network, Transmission


class Neighbourhood:
    """The radio of a module, with a way through the air to each meter."""

    def __init__(self, airs: Sequence[Air]) -> None:
        self._airs = airs
        self._peer = airs[0]
        """Where the PANA client looks for its meter."""

    def attach(self, on_happening: Callable[[Happening], None], on_datagram: Callable[[Datagram], None]) -> None:
        """Tell the module from now on."""
        for air in self._airs:
            air.on_happening, air.on_datagram = on_happening, on_datagram

    @property
    def airtime(self) -> Airtime:
        """What the module has transmitted."""
        return self._peer.airtime

    @property
    def is_restricted(self) -> bool:
        """Whether the module may not send."""
        return self._peer.is_restricted

    @property
    def network(self) -> Network:
        """Where the meter of the session is to be found."""
        return self._peer.network

    @property
    def session(self) -> Session | None:
        """The module's only session."""
        return self._peer.session

    @property
    def is_joined(self) -> bool:
        """Whether datagrams can be sent."""
        return self._peer.is_joined

    @property
    def neighbours(self) -> list[Network]:
        """Whose addresses the module knows."""
        return [air.network for air in self._airs if air.knows_neighbour]

    def meet(self, mac: str) -> None:
        """Be told the address of a neighbour."""
        for air in self._airs:
            air.knows_neighbour |= air.network.mac == mac

    def scan(self, channels: Sequence[int], dwell: float, duration: int, pairing_id: str | None) -> list[Beacon]:
        """Return who is heard at which time; without a pairing ID, everybody."""
        self._peer.call(channels)
        heard = [beacon for air in self._airs for beacon in air.heard(channels, dwell, duration, pairing_id)]
        return sorted(heard, key=lambda beacon: beacon.delay)

    def takes_association(self, network: Network) -> bool:
        """Return whether the coordinator of a network lets the module in."""
        return any(air.takes_association() for air in self._airs if air.network == network)

    def join(self, network: tuple[int, int, str], route_b_id: str, password: str) -> None:
        """Authenticate with the meter at this place; a session with another one is dropped, without a word."""
        for air in self._airs:
            if air.place == network:
                self._peer = air
        for air in self._airs:
            if air is not self._peer:
                air.forget()
        self._peer.join(network, route_b_id, password)

    def take_over(self, number: int) -> Air:
        """Have a session with a meter that a former program began; return the way to it."""
        self._peer = self._airs[number]
        self._peer.take_over()
        return self._peer

    def rejoin(self) -> None:
        """Authenticate again with a living session."""
        self._peer.rejoin()

    def terminate(self) -> None:
        """End the session; what becomes of it is told later."""
        self._peer.terminate()

    def reset(self) -> None:
        """Forget the session and everything under way; no meter is told."""
        for air in self._airs:
            air.reset()

    def send(self, payload: bytes, *, mac: str | None, port: int, is_secured: bool = True) -> Transmission:
        """Send a datagram to a node, or to all; return how that goes."""
        return self._peer.send(payload, mac=mac, port=port, is_secured=is_secured)
