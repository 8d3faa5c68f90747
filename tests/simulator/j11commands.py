"""What each command does to a pretend J11 module (UARTIF 3)."""

from dataclasses import dataclass
from enum import IntEnum
from functools import partial
from typing import TYPE_CHECKING

from .radio import Sending

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .j11 import J11Module
    from .radio import Beacon, Network

FIRMWARE = bytes.fromhex("0400 01 03 0000158A")

LOWEST, HIGHEST = 0x04, 0x11
ALL_MODES = {0x01, 0x02, 0x03, 0x05}
DUAL = 0x05
ID_SIZE, PASSWORD_SIZE, PAIRING_SIZE = 32, 12, 8
MOST_PORTS = 6

DWELL = 0.00964
ASSOCIATION = 1.0
NO_ASSOCIATION = 8.0
ASSOCIATION_DURATION = 0x0E
"""It calls the meter until it is heard, or gives up."""

WAITED, IN_QUEUE = 0x10, 0x0F
AIRTIME_USED_UP, CHANNEL_BUSY, NO_ACKNOWLEDGEMENT, OTHER = 0x02, 0x03, 0x05, 0x08
OUTCOMES: Mapping[Sending, tuple[int, float]] = {
    Sending.SENT: (0x00, 0.0),
    Sending.ACCEPTED_FIRST: (WAITED, 0.0),
    Sending.NOT_SENT: (NO_ACKNOWLEDGEMENT, 0.0),
    Sending.RESOLVED: (0x00, 0.5),
    Sending.RESOLVED_FIRST: (0x00, 0.5),
    Sending.UNRESOLVED: (NO_ACKNOWLEDGEMENT, 3.0),
    Sending.BUSY: (CHANNEL_BUSY, 0.0),
    Sending.RESTRICTED: (AIRTIME_USED_UP, 0.0),
    Sending.FAILED: (OTHER, 0.0),
    Sending.QUEUED: (WAITED | IN_QUEUE, 0.0),
}
"""How a sending is answered, and after how many more seconds (UARTIF 3.2.3.3)."""


class Code(IntEnum):
    """Commands."""

    GET_STATUS = 0x0001
    OPEN_UDP_PORT = 0x0005
    CLOSE_UDP_PORT = 0x0006
    GET_UDP_PORTS = 0x0007
    SEND = 0x0008
    SCAN = 0x0051
    START_ROUTE_B = 0x0053
    SET_CREDENTIALS = 0x0054
    START_PANA = 0x0056
    END_PANA = 0x0057
    END_ROUTE_B = 0x0058
    SET_UP = 0x005F
    GET_VERSION = 0x006B
    RENEW_PANA = 0x00D2
    RESET = 0x00D9
    GET_SETTINGS = 0x0107


class Result(IntEnum):
    """Table 34."""

    NOT_IN_LIST = 0x02
    UNKNOWN_COMMAND = 0x03
    WRONG_VALUE = 0x04
    PORT_IS_OPEN = 0x0A
    PORT_IS_CLOSED = 0x0B
    NOT_CONNECTED = 0x0E
    NOT_STARTED = 0x10
    WRONG_SIZE = 0x11
    TOO_MANY_PORTS = 0x12
    WRONG_MODE = 0x14
    ROUTE_B_IS_STARTED = 0x34
    NOTHING_IS_STARTED = 0x37
    BUSY = 0x3D
    NO_CREDENTIALS = 0x51
    IS_AUTHENTICATING = 0x52
    UNKNOWN_PEER = 0x53
    HAS_CREDENTIALS = 0x58


class ResultError(Exception):
    """A command is answered with something else than success."""

    def __init__(self, result: Result) -> None:
        super().__init__(result.name)
        self.result = result


@dataclass(frozen=True, slots=True)
class Request:
    """A command from the host."""

    code: int
    data: bytes


def sk_number(channel: int) -> int:
    """Return the number that SK commands, and the simulated air, have for a channel (UARTIF table 21)."""
    return 0x21 + 2 * (channel - LOWEST)


def _check(is_so: object, result: Result) -> None:
    if not is_so:
        raise ResultError(result)


def _check_size(request: Request, *sizes: int) -> None:
    _check(len(request.data) in sizes, Result.WRONG_SIZE)


def _get_status(module: J11Module, request: Request) -> None:
    _check_size(request, 0)
    route_b = 0x01 if module.network is None else 0x03 if module.air.is_joined else 0x02
    module.respond(request.code, data=bytes([0x02 if module.settings is None else 0x03, route_b, 0x01]))


def _open_udp_port(module: J11Module, request: Request) -> None:
    _check_size(request, 2)
    port = int.from_bytes(request.data)
    _check(port, Result.WRONG_VALUE)
    _check(port not in module.ports, Result.PORT_IS_OPEN)
    _check(len(module.ports) < MOST_PORTS, Result.TOO_MANY_PORTS)
    module.ports.add(port)
    module.respond(request.code)


def _close_udp_port(module: J11Module, request: Request) -> None:
    _check_size(request, 2)
    port = int.from_bytes(request.data)
    _check(port in module.ports, Result.PORT_IS_CLOSED)
    module.ports.remove(port)
    module.respond(request.code)


def _get_udp_ports(module: J11Module, request: Request) -> None:
    _check_size(request, 0)
    ports = b"".join(port.to_bytes(2) for port in sorted(module.ports))
    module.respond(request.code, data=bytes([len(module.ports)]) + ports)


def _send(module: J11Module, request: Request) -> None:
    address, port, payload = request.data[:16], request.data[18:20], request.data[22:]
    _check(len(request.data) > 22 and int.from_bytes(request.data[20:22]) == len(payload), Result.WRONG_SIZE)
    _check(module.network, Result.NOT_STARTED)
    first, *rest = address[8:]
    mac = None if address[0] == 0xFF else bytes([first ^ 0x02, *rest]).hex().upper()
    transmission = module.air.send(payload, mac=mac, port=int.from_bytes(port))
    if transmission.sending is Sending.REFUSED:
        raise ResultError(Result.NOT_IN_LIST)
    if transmission.sending not in OUTCOMES:
        return
    outcome, more = OUTCOMES[transmission.sending]
    # Real modules repeat the beginning of what was sent.
    module.respond(request.code, data=bytes([outcome]) + payload[:8], delay=transmission.seconds + more)


def _scan(module: J11Module, request: Request) -> None:
    _check_size(request, 6, 6 + PAIRING_SIZE)
    duration, mask, is_paired = request.data[0], int.from_bytes(request.data[1:5]), request.data[5]
    channels = [channel for channel in range(LOWEST, HIGHEST + 1) if mask >> channel & 1]
    _check(module.settings, Result.WRONG_MODE)
    _check(module.network is None, Result.ROUTE_B_IS_STARTED)
    _check(1 <= duration <= 0x0E and mask == sum(1 << channel for channel in channels), Result.WRONG_VALUE)
    module.busy_with = Code.SCAN
    dwell = DWELL * 2**duration
    pairing = request.data[6:].decode("latin-1") if is_paired else None
    beacons = module.air.scan([sk_number(channel) for channel in channels], dwell, duration, pairing)
    # Unlike an SK module it cannot tell whose beacon it heard, so it compares by itself.
    networks = [beacon.network for beacon in beacons if pairing in {None, beacon.network.pairing_id}]
    for place, channel in enumerate(channels, start=1):
        heard = [network for network in networks if network.channel == sk_number(channel)]
        module.later(place * dwell, partial(module.notify_scanned, _heard(channel, heard)))
    end = module.lose_answer if module.habits.loses_scan_answer else partial(module.finish, request.code)
    module.later(len(channels) * dwell + 0.1, end)


def _heard(channel: int, networks: list[Network]) -> bytes:
    if not networks:
        return bytes([0x01, channel])
    return bytes([0x00, channel, len(networks)]) + b"".join(map(_described, networks))


def _described(network: Network) -> bytes:
    return bytes.fromhex(network.mac) + network.pan_id.to_bytes(2) + _rssi(network)


def _rssi(network: Network) -> bytes:
    return round(0.275 * network.lqi - 104.27).to_bytes(1, signed=True)


def _start_route_b(module: J11Module, request: Request) -> None:
    _check_size(request, 0)
    _check(module.settings and module.settings[0] == DUAL, Result.WRONG_MODE)
    _check(module.credentials, Result.NO_CREDENTIALS)
    _check(module.network is None, Result.ROUTE_B_IS_STARTED)
    assert module.settings is not None
    assert module.credentials is not None
    module.busy_with = Code.START_ROUTE_B
    channel, pairing = sk_number(module.settings[2]), module.credentials[0][-PAIRING_SIZE:]
    beacons = module.air.scan([channel], ASSOCIATION, ASSOCIATION_DURATION, pairing)
    ours = [beacon for beacon in beacons if beacon.network.pairing_id == pairing]
    if ours and module.air.takes_association(ours[0].network):
        module.later(ASSOCIATION, partial(_associated, module, ours[0]))
    else:
        module.later(NO_ASSOCIATION, partial(module.finish, request.code, Result.NOT_CONNECTED))


def _associated(module: J11Module, beacon: Beacon) -> None:
    network = module.network = beacon.network
    assert module.settings is not None
    where = bytes([module.settings[2]]) + network.pan_id.to_bytes(2) + bytes.fromhex(network.mac) + _rssi(network)
    module.finish(Code.START_ROUTE_B, data=where)


def _set_credentials(module: J11Module, request: Request) -> None:
    _check_size(request, ID_SIZE + PASSWORD_SIZE)
    _check(module.settings, Result.WRONG_MODE)
    _check(module.credentials is None, Result.HAS_CREDENTIALS)
    text = request.data.decode("latin-1")
    module.credentials = text[:ID_SIZE], text[ID_SIZE:]
    module.respond(request.code)


def _start_pana(module: J11Module, request: Request) -> None:
    _check_size(request, 0)
    _check(module.network, Result.NOT_STARTED)
    _check(not module.is_authenticating, Result.IS_AUTHENTICATING)
    assert module.network is not None
    assert module.credentials is not None
    module.is_authenticating = True
    module.respond(request.code)
    place = module.network.channel, module.network.pan_id, module.network.mac
    module.air.join(place, *module.credentials)


def _renew_pana(module: J11Module, request: Request) -> None:
    _check_size(request, 0)
    _check(module.air.session, Result.UNKNOWN_PEER)
    module.respond(request.code)
    module.air.rejoin()


def _end_pana(module: J11Module, request: Request) -> None:
    _check_size(request, 0)
    _check(module.network, Result.NOT_STARTED)
    _check(module.air.session, Result.UNKNOWN_PEER)
    module.busy_with = Code.END_PANA
    module.air.terminate()


def _end_route_b(module: J11Module, request: Request) -> None:
    _check_size(request, 0)
    _check(module.network, Result.NOT_STARTED)
    module.network = None
    module.is_authenticating = False
    module.air.reset()
    module.respond(request.code)


def _set_up(module: J11Module, request: Request) -> None:
    _check_size(request, 4)
    mode, sleep, channel, power = request.data
    _check(module.network is None, Result.ROUTE_B_IS_STARTED)
    is_legal = mode in ALL_MODES and sleep <= 1 and LOWEST <= channel <= HIGHEST and power <= 2
    _check(is_legal, Result.WRONG_VALUE)
    module.settings = request.data
    module.respond(request.code)


def _get_version(module: J11Module, request: Request) -> None:
    _check_size(request, 0)
    module.respond(request.code, data=FIRMWARE)


def _reset(module: J11Module, request: Request) -> None:
    _check_size(request, 0)
    module.restart()


def _get_settings(module: J11Module, request: Request) -> None:
    _check_size(request, 0)
    _check(module.settings, Result.NOTHING_IS_STARTED)
    module.respond(request.code, data=module.settings or b"")


COMMANDS: Mapping[Code, Callable[[J11Module, Request], None]] = {
    Code.GET_STATUS: _get_status,
    Code.OPEN_UDP_PORT: _open_udp_port,
    Code.CLOSE_UDP_PORT: _close_udp_port,
    Code.GET_UDP_PORTS: _get_udp_ports,
    Code.SEND: _send,
    Code.SCAN: _scan,
    Code.START_ROUTE_B: _start_route_b,
    Code.SET_CREDENTIALS: _set_credentials,
    Code.START_PANA: _start_pana,
    Code.END_PANA: _end_pana,
    Code.END_ROUTE_B: _end_route_b,
    Code.SET_UP: _set_up,
    Code.GET_VERSION: _get_version,
    Code.RENEW_PANA: _renew_pana,
    Code.RESET: _reset,
    Code.GET_SETTINGS: _get_settings,
}
