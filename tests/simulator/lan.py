"""A meter that is a node of the home network: ECHONET Lite over UDP, as a second-generation meter on Wi-Fi has it."""

import asyncio
from collections import deque
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from ipaddress import ip_address
from itertools import count
import os
from random import Random
import socket
import struct
from typing import TYPE_CHECKING, Any

from .dongle import real_time
from .echonet import Esv
from .faults import ECHONET_PORT, EFFECTS, Datagram, Fault, next_fault
from .meter import Meter, MeterSettings
from .notices import Notices
from .record import Record
from .timeline import Calendar

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .echonet import Telegram
    from .meter import Clock
    from .radio import RadioSettings
    from .scenarios import Scenario

GROUPS = {4: "224.0.23.0", 6: "ff02::1"}
"""To which all nodes listen (EL2 1.2)."""

MULTICAST_ALL = {4: (socket.IPPROTO_IP, 49), 6: (socket.IPPROTO_IPV6, 29)}
"""Linux: whether a socket hears what comes to its group over interfaces on which others have joined it, too (ip(7))."""

LATE = 30.0
"""Seconds after which an answer comes that nobody waits for any more."""

MOST_UNDER_WAY = 1000
"""Answers, some of them sent already."""

type SocketAddress = tuple[str, int] | tuple[str, int, int, int]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a node is: a numeric address of this machine, and the interface on which it hears the group."""

    address: str
    interface: str

    def sender(self, port: int = ECHONET_PORT) -> socket.socket:
        """Return a socket from which to send, at this address."""
        version, index = self._version, socket.if_nametoindex(self.interface)
        sock = _socket(version)
        if version == 6:
            sock.bind((self.address, port, 0, index if ip_address(self.address).is_link_local else 0))
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
        else:
            sock.bind((self.address, port))
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, struct.pack("=4s4si", b"", b"", index))
        return sock

    def group_member(self) -> socket.socket:
        """Return a socket that hears what is sent to all."""
        version, index = self._version, socket.if_nametoindex(self.interface)
        sock = _socket(version)
        sock.bind(self.group)
        sock.setsockopt(*MULTICAST_ALL[version], 0)
        if version == 6:
            member = socket.inet_pton(socket.AF_INET6, GROUPS[6]) + struct.pack("@I", index)
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, member)
        else:
            member = struct.pack("=4s4si", socket.inet_aton(GROUPS[4]), b"", index)
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)
        return sock

    @property
    def _version(self) -> int:
        return ip_address(self.address).version

    @property
    def group(self) -> SocketAddress:
        """Where what it tells all is sent."""
        if self._version == 4:
            return GROUPS[4], ECHONET_PORT
        return GROUPS[6], ECHONET_PORT, 0, socket.if_nametoindex(self.interface)


_NUMBERS = count(2)


def own_place() -> Place:
    """Return a place that nobody outside of this machine can see, and no other process of it uses."""
    process = os.getpid()
    return Place(f"127.{100 + process // 250 % 150}.{process % 250}.{next(_NUMBERS) % 250}", "lo")


def _socket(version: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if version == 6 else socket.AF_INET, socket.SOCK_DGRAM)
    sock.setblocking(False)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    return sock


@contextmanager
def port_taken(interface: str = "lo") -> Iterator[None]:
    """Be another program that has the port of ECHONET Lite for itself, on one interface.

    Raises:
        OSError: others have it.

    """
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as sock:
        # For no other interface: a Home Assistant of other tests may look for meters there.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
        sock.bind(("127.0.0.1", ECHONET_PORT))
        yield


class LanNode:
    """A meter on the network; it may be somewhere else after a while, or off."""

    def __init__(
        self,
        scenario: Scenario,
        place: Place | None = None,
        *,
        clock: Clock = real_time,
        reply_time: tuple[float, float] = (0.005, 0.05),
        port: int = ECHONET_PORT,
    ) -> None:
        """`reply_time` is in seconds, from the request to its answer; `port` is from where it answers."""
        self.clock = clock
        self.record = Record()
        self.place = place or own_place()
        self.settings: RadioSettings = scenario.radio
        """What a network has in common with a radio: faults, announcements."""
        self.is_answering = scenario.radio.is_answering
        self.faults: deque[Fault] = deque()
        """What happens to the next answers, before the settings' chance."""
        self.meter: Meter = Meter(scenario.meter, clock)
        self._reply_time = reply_time
        self._port = port
        self._chance = Random(scenario.radio.seed)
        self._calendar = Calendar(clock, is_live=True)
        self._notices = Notices(self, clock, self._calendar)
        self._sockets: list[socket.socket] = []
        self._under_way: deque[asyncio.TimerHandle] = deque(maxlen=MOST_UNDER_WAY)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._meter_changed()
        self._notices.plan()

    @property
    def air(self) -> LanNode:
        """What a dongle has between its module and the meter: here there is nothing between."""
        return self

    @property
    def is_reachable(self) -> bool:
        """Whether it is on, and in the network."""
        return bool(self._sockets)

    def on(self, place: Place | None = None) -> None:
        """Come to the network, perhaps at another place, and tell all of it (EL2 4.3.1)."""
        self.off()
        self.place = place or self.place
        self._loop = loop = asyncio.get_running_loop()
        self._sockets = [self.place.sender(self._port), self.place.group_member()]
        if self._port != ECHONET_PORT:
            self._sockets.append(self.place.sender())
        for sock in self._sockets:
            loop.add_reader(sock, self._read, sock)
        self._calendar.start()
        loop.call_soon(self._notices.announce_instances)

    def off(self) -> None:
        """Leave the network without a word."""
        self._calendar.stop()
        for sending in self._under_way:
            sending.cancel()
        for sock in self._sockets:
            if self._loop is not None and not self._loop.is_closed():
                self._loop.remove_reader(sock)
            sock.close()
        self._sockets = []

    def mute(self, *, is_mute: bool) -> None:
        """Hear everything and say nothing, or answer again."""
        self.is_answering = not is_mute

    def tick(self) -> None:
        """Do what has become due by the clock."""
        self._calendar.catch_up()

    def announce(self, *codes: int) -> None:
        """Tell all what some properties have now."""
        self._notices.announce(self.settings.announces or Esv.INF, *codes, to_all=True)

    def exchange_meter(self, settings: MeterSettings | None = None) -> None:
        """Let the utility replace the meter; by default by one of the same kind whose counters begin at zero."""
        old = self.meter.settings
        settings = settings or replace(old, serial="S26087654321", installed=self.clock())
        self.take_meter(Meter(settings, self.clock))

    def take_meter(self, meter: Meter) -> None:
        """Let a meter be the one that is here from now on."""
        self.meter = meter
        self._meter_changed()

    def _meter_changed(self) -> None:
        self.meter.device.on_change = lambda epc: self._notices.announce(Esv.INF, epc, to_all=True)

    def _read(self, sock: socket.socket) -> None:
        with suppress(BlockingIOError):
            while self._sockets:
                self._receive(*sock.recvfrom(65_535))

    def _receive(self, data: bytes, source: SocketAddress) -> None:
        self._calendar.catch_up()
        self.record.datagrams_from_client.append(data)
        if not self.is_answering:
            return
        self._notices.hear(data)
        if (telegram := self.meter.answer(data)) is None:
            return
        answer = Datagram(mac="", data=telegram.payload, lqi=0, to_all=telegram.to_all)
        delay = self._chance.uniform(*self._reply_time)
        fault = next_fault(self.faults, self.settings, self._chance)
        if fault is Fault.LATE:
            delay = LATE
        sent = [answer] if fault is None or fault is Fault.LATE else EFFECTS[fault](answer)
        for place, each in enumerate(sent):
            if each.is_secured:
                sending = asyncio.get_running_loop().call_later(delay + place / 1000, self._send, each, source)
                self._under_way.append(sending)

    def tell(self, data: bytes, there: SocketAddress) -> None:
        """Send anything to anybody."""
        self._sockets[0].sendto(data, there)

    def push(self, telegram: Telegram) -> None:
        """Tell something unasked: on a network always to all."""
        if self.is_reachable and self.is_answering:
            self._send(Datagram(mac="", data=telegram.payload, lqi=0, to_all=True), self.place.group)

    def _send(self, datagram: Datagram, peer: SocketAddress) -> None:
        if not self._sockets:
            return
        self.record.datagrams_to_client.append(datagram.data)
        there: SocketAddress = self.place.group if datagram.to_all else _echonet_port_of(peer)
        if datagram.mac:
            stranger(self.place, datagram.data, there)
        else:
            self._sockets[0].sendto(datagram.data, there)


def _echonet_port_of(peer: SocketAddress) -> SocketAddress:
    """Return where a node gets its answers, from wherever it asked (EL2 1.2)."""
    return (peer[0], ECHONET_PORT) if len(peer) == 2 else (peer[0], ECHONET_PORT, peer[2], peer[3])


def stranger(place: Place, data: bytes, there: SocketAddress) -> None:
    """Send a datagram from another address of the same network, or from another port where there is none."""
    address = "127.0.0.99" if place.address.startswith("127.") else place.address
    with closing(replace(place, address=address).sender(0 if address == place.address else ECHONET_PORT)) as sock:
        sock.sendto(data, there)


@contextmanager
def lan_node(scenario: Scenario, place: Place | None = None, **options: Any) -> Iterator[LanNode]:
    """Have a meter in the network, in the running event loop."""
    node = LanNode(scenario, place, **options)
    node.on()
    try:
        yield node
    finally:
        node.off()
