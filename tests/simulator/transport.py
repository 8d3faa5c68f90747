"""Simulated dongles as serial URLs, without a socket, a thread or a patch."""

from contextlib import contextmanager
import errno
from itertools import count
import math
from typing import TYPE_CHECKING, ClassVar, Unpack, override

import serialx

from .dongle import BAUD_RATE, Dongle, Payload, real_time

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from serialx.common import ConnectKwargs, ModemPins, PortSettingsUpdate

    from .meter import Clock
    from .scenarios import Scenario

NUMBERS = count(1)

MODULE = "bp35c2"
"""What is in a dongle of which nothing is said."""


class SimulatedPort(Dongle):
    """A dongle and the URL that opens it."""

    url: str


class SimTransport(serialx.BaseSerialTransport):
    """A serial transport whose other end is a simulated dongle."""

    transport_name = "sim"
    ports: ClassVar[dict[str, SimulatedPort]] = {}
    """serialx knows transports by their class, so it is the class that has to find the dongle of a URL."""
    _port: SimulatedPort | None = None

    def data_received(self, data: bytes) -> None:
        """Take bytes from the module."""
        if not self._closing:
            self._protocol.data_received(data)

    def unplugged(self) -> None:
        """Lose the dongle."""
        self._port = None
        self._closing = True
        error = OSError(errno.EIO, "device disconnected or in use by another process")
        self._loop.call_soon(self._call_protocol_connection_lost, error)

    @override
    async def _connect(self, *, path: str | None = None, **kwargs: Unpack[ConnectKwargs]) -> None:
        port = self.ports.get(path or "")
        if port is None:
            raise FileNotFoundError(errno.ENOENT, "No such file or directory", path)
        port.open(self, kwargs.get("baudrate", BAUD_RATE))
        self._port = port
        self._call_protocol_connection_made()

    @override
    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._port is not None and not self._closing:
            self._loop.call_soon(self._port.receive, bytes(data))

    @override
    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        self.write(b"".join(list_of_data))

    @override
    def close(self) -> None:
        if self._closing:
            return
        self._closing = True
        self._mark_user_closed()
        self._loop.call_soon(self._close_port)

    @override
    def abort(self) -> None:
        self.close()

    def _close_port(self) -> None:
        if self._port is not None:
            self._port.close()
            self._port = None
        self._call_protocol_connection_lost(None)

    @override
    def get_write_buffer_size(self) -> int:
        return 0

    @override
    async def _flush(self) -> None:
        """Do nothing, as nothing waits to be written."""

    @override
    async def _get_modem_pins(self) -> ModemPins:
        return serialx.ModemPins()

    @override
    async def _set_modem_pins(self, modem_pins: ModemPins) -> None:
        """Ignore them, as a module does."""

    @override
    async def _reconfigure_port(self, update: PortSettingsUpdate) -> None:
        """Ignore it: a port is opened anew for another speed."""


@contextmanager
def offered(port: SimulatedPort, scheme: str) -> Iterator[None]:
    """Offer a port under a URL of its own."""
    number = next(NUMBERS)
    port.url = f"{scheme}://{number}"
    SimTransport.ports[port.url] = port
    unregister = serialx.register_uri_handler(
        scheme=f"{scheme}://",
        unique_scheme=f"{scheme}-{number}://",
        sync_cls=serialx.get_serial_classes("socket://")[0],
        async_transport_cls=SimTransport,
    )
    try:
        yield
    finally:
        unregister()
        del SimTransport.ports[port.url]


@contextmanager
def simulated_port(
    scenario: Scenario,
    *,
    module: str | None = None,
    speed: float = math.inf,
    clock: Clock = real_time,
    payload: Payload = "hex",
    baud_rate: int = BAUD_RATE,
) -> Iterator[SimulatedPort]:
    """Offer a dongle under a URL of its own; a port still open at the end goes on working until it is closed."""
    port = SimulatedPort(
        scenario, module=module or MODULE, speed=speed, clock=clock, payload=payload, baud_rate=baud_rate
    )
    with offered(port, "sim"):
        yield port
