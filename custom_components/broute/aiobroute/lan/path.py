"""Datagrams between us and one node of the home network."""

from collections.abc import Callable
import logging
import socket

from ..errors import NodePortBusyError, SessionLostError
from ..listeners import nobody
from .endpoint import Endpoint
from .sockets import SocketAddress, group_socket, interface_of, meter_socket, socket_address

_LOGGER = logging.getLogger(__name__)

SILENT = 3
"""Requests in a row that stay unanswered before the meter is looked for anew."""


class NodePath:
    """The way to one node: a socket for what it sends to us alone, and one for what it tells all."""

    restricted = False
    """No law limits what is sent over a wire or Wi-Fi."""

    def __init__(self, address: str) -> None:
        """Use `open`."""
        self.is_lost = False
        """Whether the meter has to be looked for anew."""
        self.dropped = 0
        """Datagrams to all nodes, or to us, that were not the meter's."""
        self._source = socket_address(address)[1]
        self._unanswered = 0
        self._on_datagram: Callable[[bytes, float | None], None] = _unheard
        self._on_lost: Callable[[SessionLostError], None] = nobody
        self._endpoints: list[Endpoint] = []

    @classmethod
    async def open(cls, address: str, *, is_strict: bool = True) -> "NodePath":
        """Open the way to the node at an address; nothing is sent yet.

        Raises:
            NodePortBusyError: another program has the port for itself.
            NodeUnreachableError: there is no way to the node.

        """
        path = cls(address)
        own = meter_socket(address, is_strict=is_strict)
        # A group of IPv4 is joined by our own address, one of IPv6 by the interface's number.
        interface = own.getsockname()[0] if own.family == socket.AF_INET else interface_of(path._source)
        path._endpoints.append(await Endpoint.open(own, path._received))
        try:
            path._endpoints.append(await Endpoint.open(group_socket(own.family, interface), path._received))
        except (OSError, NodePortBusyError) as err:
            # The meter can be read; only what it tells unasked is not heard.
            _LOGGER.debug("announcements are not heard: %s", err)
        except BaseException:
            await path.close()
            raise
        return path

    def attach(
        self, *, on_datagram: Callable[[bytes, float | None], None], on_lost: Callable[[SessionLostError], None]
    ) -> None:
        """Send what arrives from now on to these two; there is no signal strength."""
        self._on_datagram, self._on_lost = on_datagram, on_lost

    async def send(self, data: bytes) -> None:
        """Send a frame to the meter; whether it arrives only an answer tells.

        Raises:
            SessionLostError: the meter has not answered for too long, or the way was closed.

        """
        if self._unanswered >= SILENT:
            self._lose("the meter does not answer at its address any more")
        if self.is_lost:
            raise SessionLostError("the meter has to be looked for")
        self._unanswered += 1
        own = self._endpoints[0]
        own.send(data, None if own.is_connected else self._source)

    async def close(self) -> None:
        """Close the sockets."""
        self._on_datagram, self._on_lost = _unheard, nobody
        self.is_lost = True
        for endpoint in self._endpoints:
            await endpoint.close()

    def _received(self, data: bytes, source: SocketAddress) -> None:
        """Take a datagram; anybody in the network can send one to all."""
        if source[0] != self._source[0] or interface_of(source) != interface_of(self._source):
            self.dropped += 1
            return
        self._unanswered = 0
        self._on_datagram(data, None)

    def _lose(self, reason: str) -> None:
        if not self.is_lost:
            self.is_lost = True
            _LOGGER.debug("%s", reason)
            self._on_lost(SessionLostError(reason))


def _unheard(_: bytes, __: float | None) -> None:
    """Take what nobody listens to."""
