"""UDP sockets for ECHONET Lite, beside those of other programs; docs/ports.md says who gets which datagram."""

from contextlib import suppress
import errno
from ipaddress import ip_address
import socket
import struct

from ..errors import NodePortBusyError, NodeUnreachableError

PORT = 3610
"""Of both ends (EL2 1.2); answers go there, not to the port that asked."""

GROUPS = {socket.AF_INET: "224.0.23.0", socket.AF_INET6: "ff02::1"}
"""Where to find all nodes, and where they announce (EL2 1.2)."""

ALL_GROUPS = {socket.AF_INET: (socket.IPPROTO_IP, 49), socket.AF_INET6: (socket.IPPROTO_IPV6, 29)}
"""Linux: whether a socket gets what comes to groups that only other sockets have joined, on any interface (ip(7))."""

LOOP = "lo"
"""The machine's own; what is sent there to a group would come from the address of another interface."""

BIND_TO_DEVICE = 25
"""Linux: let a socket get only what comes over one interface (socket(7))."""

type SocketAddress = tuple[str, int] | tuple[str, int, int, int]
"""Of IPv4, and of IPv6, which ends with the number of an interface."""


def socket_address(address: str) -> tuple[socket.AddressFamily, SocketAddress]:
    """Return the family, and what sockets call a numeric address.

    Raises:
        NodeUnreachableError: its interface is not there.

    """
    host, _, zone = address.partition("%")
    if ip_address(host).version == 4:  # the version's name
        return socket.AF_INET, (host, PORT)
    try:
        return socket.AF_INET6, (host, PORT, 0, socket.if_nametoindex(zone) if zone else 0)
    except OSError as err:
        raise NodeUnreachableError(f"there is no network interface {zone}") from err


def address_of(source: SocketAddress) -> str:
    """Return the numeric address of who sent a datagram, with the interface if it is valid there only."""
    host = source[0].partition("%")[0]
    index = interface_of(source)
    if not index:
        return host
    try:
        return f"{host}%{socket.if_indextoname(index)}"
    except OSError:  # It went while the datagram was on its way.
        return host


def interface_of(address: SocketAddress) -> int:
    """Return the number of the interface behind an address; 0 where it is valid everywhere."""
    return 0 if len(address) == 2 else address[3]


def interfaces() -> list[str]:
    """Return the names of all network interfaces but the machine's own loop."""
    return [name for _, name in socket.if_nameindex() if name != LOOP]


def meter_socket(address: str, *, is_strict: bool) -> socket.socket:
    """Return a socket for what one node sends to us alone, and for what we send it.

    If it is strict, no datagram comes there but those from the node's ECHONET Lite port, and none is kept from the
    sockets of other programs. Otherwise it gets all that comes to our address from anywhere.

    Raises:
        NodePortBusyError: another program has the port for itself.
        NodeUnreachableError: there is no way to the node.

    """
    family, peer = socket_address(address)
    sock = _socket(family)
    try:
        if is_strict:
            _bind(sock, _anywhere(family))
            sock.connect(peer)
        else:
            _bind(sock, _own_address(family, peer))
    except OSError as err:
        sock.close()
        raise NodeUnreachableError(f"there is no way to the meter: {err.strerror}") from err
    except NodePortBusyError:
        sock.close()
        raise
    return sock


def group_socket(family: socket.AddressFamily, interface: int | str) -> socket.socket:
    """Return a socket for what comes to all nodes over an interface, by its number or one of our IPv4 addresses there.

    Raises:
        NodePortBusyError: another program has the port for itself.
        OSError: the interface takes part in no groups.

    """
    sock = _socket(family)
    group = GROUPS[family]
    try:
        if family is socket.AF_INET6:
            index = interface if isinstance(interface, int) else 0
            _bind(sock, (group, PORT, 0, index))
            member = socket.inet_pton(family, group) + struct.pack("@I", index)
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, member)
        else:
            _bind(sock, (group, PORT))
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, _member(group, interface))
    except (OSError, NodePortBusyError):
        sock.close()
        raise
    return sock


def asking_socket(family: socket.AddressFamily, index: int) -> socket.socket:
    """Return a socket from which to ask all nodes on an interface; it gets what comes there for us alone.

    Raises:
        NodePortBusyError: another program has the port for itself.
        OSError: nothing can be sent to groups there.

    """
    sock = _socket(family)
    try:
        with suppress(OSError):  # Linux only; before 5.7 it is for the administrator.
            sock.setsockopt(socket.SOL_SOCKET, BIND_TO_DEVICE, socket.if_indextoname(index).encode())
        # Bound to our own address, in place of the device, it would get what is for the socket of `meter_socket`.
        _bind(sock, _anywhere(family))
        if family is socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
        else:
            own = socket.inet_aton("127.0.0.1") if socket.if_indextoname(index) == LOOP else b""
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, struct.pack("=4s4si", b"", own, index))
    except (OSError, NodePortBusyError):
        sock.close()
        raise
    return sock


def group_address(family: socket.AddressFamily, index: int) -> SocketAddress:
    """Return where to send what all nodes on an interface are to hear."""
    group = GROUPS[family]
    return (group, PORT, 0, index) if family is socket.AF_INET6 else (group, PORT)


def _socket(family: socket.AddressFamily) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_DGRAM)
    sock.settimeout(0)
    # Either is enough for a program that sets the same one; Linux wants both sides to agree.
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    if family is socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    with suppress(OSError):  # Linux only.
        sock.setsockopt(*ALL_GROUPS[family], 0)
    return sock


def _bind(sock: socket.socket, address: SocketAddress) -> None:
    try:
        sock.bind(address)
    except OSError as err:
        if err.errno == errno.EADDRINUSE:
            raise NodePortBusyError(f"another program has UDP port {PORT} for itself") from err
        raise


def _anywhere(family: socket.AddressFamily) -> SocketAddress:
    return ("::", PORT, 0, 0) if family is socket.AF_INET6 else ("0.0.0.0", PORT)  # noqa: S104  # `connect` narrows it


def _own_address(family: socket.AddressFamily, peer: SocketAddress) -> SocketAddress:
    """Return the address from which a node is reached; asking for it sends nothing."""
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.connect(peer)
        own: SocketAddress = sock.getsockname()
    return (own[0], PORT, *own[2:])


def _member(group: str, interface: int | str) -> bytes:
    """Return how Linux names a group on an interface."""
    own, index = ("0.0.0.0", interface) if isinstance(interface, int) else (interface, 0)  # noqa: S104  # no address
    return struct.pack("=4s4si", socket.inet_aton(group), socket.inet_aton(own), index)
