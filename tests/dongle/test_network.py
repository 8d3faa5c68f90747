"""Ports in a network that do what they should not: what is told of it, and that all is well again by itself."""

import asyncio
from contextlib import asynccontextmanager, contextmanager
import errno
import socket
from typing import TYPE_CHECKING, Any, ClassVar, override

from homeassistant.config_entries import SOURCE_USER, ConfigEntryState
from homeassistant.const import CONF_DEVICE, STATE_UNAVAILABLE
from homeassistant.data_entry_flow import EVENT_DATA_ENTRY_FLOW_PROGRESSED
from homeassistant.helpers import issue_registry as ir
import pytest
import serialx

from ..home import CREDENTIALS, DOMAIN, dongle, elapse, entry_of, now, set_up, state, state_of, until
from ..simulator.network import FRONTS, Network
from ..simulator.transport import SimTransport

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from homeassistant.core import Event, HomeAssistant
    from pytest_homeassistant_custom_component.common import MockConfigEntry

    from ..simulator.transport import SimulatedPort

pytestmark = pytest.mark.usefixtures("socket_enabled")

POWER = "sensor.smart_meter_power"
HOUR = 3600

each_scheme = pytest.mark.parametrize("scheme", FRONTS)

BANNER = b"ser2net port tcp,4000 device /dev/ttyUSB0 [115200n81] (Debian GNU/Linux)\r\n\r\n"
NOP = b"\xff\xf1"
TIMING_MARK = b"\xff\xfd\x06"
"""A telnet server asks whether everything has been processed (RFC 860)."""


def issues(hass: HomeAssistant) -> set[str]:
    return {str(issue.translation_key) for issue in ir.async_get(hass).issues.values() if issue.domain == DOMAIN}


@asynccontextmanager
async def network(scheme: str, **options: Any) -> AsyncIterator[tuple[Network, str]]:
    """Offer a dongle in a network; yield its server and its URL."""
    with dongle() as sim:
        server = Network(sim, scheme, **options)
        async with server.listening() as address:
            yield server, f"{scheme}://{address}"


async def start(hass: HomeAssistant, url: str) -> MockConfigEntry:
    """Set up a meter whose port has this URL."""
    with dongle() as nobody:
        entry = entry_of(nobody, **{CONF_DEVICE: url})
        await set_up(hass, entry)
    return entry


def is_back(hass: HomeAssistant, entry: MockConfigEntry) -> bool:
    return state_of(entry) is ConfigEntryState.LOADED and state(hass, POWER) != STATE_UNAVAILABLE


async def leave(hass: HomeAssistant, entry: MockConfigEntry, server: Network) -> None:
    """Unload an entry, after which no connection is left."""
    assert await hass.config_entries.async_unload(entry.entry_id)
    await elapse(hass, 1)
    assert server.connections == []


@each_scheme
async def test_a_peer_that_vanishes_is_noticed_and_connected_to_anew(hass: HomeAssistant, scheme: str) -> None:
    async with network(scheme) as (server, url):
        entry = await start(hass, url)
        readings = entry.runtime_data.readings
        server.vanish()
        began = now()
        await until(lambda: entry.runtime_data.readings > readings)
        # The next poll is due within a minute, and notices by the silence.
        assert now() - began < 60 + 30
        assert is_back(hass, entry)
        assert server.dongle.record.opens == 2
        assert len(server.connections) == 1
        await leave(hass, entry, server)


@each_scheme
async def test_a_server_that_falls_silent_for_an_hour(hass: HomeAssistant, scheme: str) -> None:
    async with network(scheme) as (server, url):
        entry = await start(hass, url)
        server.is_silent = True
        server.vanish()
        await elapse(hass, HOUR - 200)
        assert state(hass, POWER) == STATE_UNAVAILABLE
        assert not issues(hass)
        await elapse(hass, 600)
        assert issues(hass) == {"no_module" if scheme == "socket" else "port_not_telnet"}
        server.is_silent = False
        await elapse(hass, 120)
        assert is_back(hass, entry)
        assert not issues(hass)
        assert len(server.connections) == 1
        await leave(hass, entry, server)


TOLD = {
    "socket": ("no_module", "No Wi-SUN module answered on {}"),
    "rfc2217": ("port_not_telnet", "{} does not respond as RFC 2217 requires; a raw TCP port needs socket://"),
}
"""What the form and the entry say of a server that says nothing."""


async def connect(hass: HomeAssistant, flow_id: str, url: str) -> dict[str, str]:
    """Fill in the form, ask for each progress as the frontend does, and return the errors."""
    flows = hass.config_entries.flow
    flow = await flows.async_configure(flow_id, {CONF_DEVICE: url, **CREDENTIALS})

    async def ask(_: Event) -> None:
        nonlocal flow
        flow = await flows.async_configure(flow_id)

    close = hass.bus.async_listen(EVENT_DATA_ENTRY_FLOW_PROGRESSED, ask)
    await hass.async_block_till_done()
    close()
    return dict(flow["errors"] or {})


@each_scheme
async def test_a_server_that_says_nothing_is_named_in_the_form(hass: HomeAssistant, scheme: str) -> None:
    async with network(scheme) as (server, url):
        server.is_silent = True
        flow = await hass.config_entries.flow.async_init(DOMAIN, context={"source": SOURCE_USER})
        began = now()
        assert await connect(hass, flow["flow_id"], url) == {CONF_DEVICE: TOLD[scheme][0]}
        assert now() - began < 6
        assert server.connections == []
        server.is_silent = False
        assert await connect(hass, flow["flow_id"], url) == {}
        await elapse(hass, 1)
        assert server.connections == []


@each_scheme
async def test_a_server_that_says_nothing_at_the_start(hass: HomeAssistant, scheme: str) -> None:
    async with network(scheme) as (server, url):
        server.is_silent = True
        entry = await start(hass, url)
        assert state_of(entry) is ConfigEntryState.SETUP_RETRY
        assert entry.reason == TOLD[scheme][1].format(url)
        server.is_silent = False
        await until(lambda: is_back(hass, entry), within=120)
        await leave(hass, entry, server)


@each_scheme
@pytest.mark.parametrize(
    ("greeting", "interruption"),
    [(BANNER, b""), (b"", NOP), (b"", TIMING_MARK), (BANNER, TIMING_MARK)],
    ids=["banner", "no operation", "timing mark", "both"],
)
async def test_what_a_server_says_beside_the_data(
    hass: HomeAssistant, scheme: str, greeting: bytes, interruption: bytes
) -> None:
    async with network(scheme, greeting=greeting, interruption=interruption) as (server, url):
        entry = await start(hass, url)
        assert is_back(hass, entry)
        readings = entry.runtime_data.readings
        await elapse(hass, HOUR)
        # Over a raw connection it spoils what the module says, which is asked for anew.
        assert entry.runtime_data.readings - readings >= 55
        assert server.dongle.record.opens == 1
        await until(lambda: is_back(hass, entry), within=120)
        await leave(hass, entry, server)


@each_scheme
async def test_a_server_that_takes_nobody_before_the_third_try(hass: HomeAssistant, scheme: str) -> None:
    async with network(scheme) as (server, url):
        server.hangs_up = 2
        entry = await start(hass, url)
        assert entry.reason == (
            f"{url} closed the connection at once: another client has it, or the device behind it is missing"
        )
        assert issues(hass) == {"port_closed"}
        await until(lambda: is_back(hass, entry), within=60)
        assert server.hangs_up == 0
        assert not issues(hass)
        await leave(hass, entry, server)


@each_scheme
async def test_a_server_that_is_started_later(hass: HomeAssistant, scheme: str) -> None:
    with dongle() as sim:
        server = Network(sim, scheme)
        async with server.listening() as address:
            port = int(address.rpartition(":")[2])
        entry = await start(hass, f"{scheme}://{address}")
        assert issues(hass) == {"port_refused"}
        await elapse(hass, 30)
        assert state_of(entry) is ConfigEntryState.SETUP_RETRY
        async with server.listening(port):
            await until(lambda: is_back(hass, entry), within=120)
            assert not issues(hass)
            await leave(hass, entry, server)


async def test_a_name_that_is_not_found_for_an_hour(hass: HomeAssistant, monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    find = loop.getaddrinfo

    async def nowhere(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(-3, "Temporary failure in name resolution")

    async def found(_: Any, *arguments: Any, **options: Any) -> Any:
        return await find("127.0.0.1", *arguments, **options)

    async def never(*_: Any, **__: Any) -> Any:
        await asyncio.Event().wait()

    async with network("socket") as (server, url):
        named = url.replace("127.0.0.1", "wisun.example")
        monkeypatch.setattr(loop, "getaddrinfo", found)
        entry = await start(hass, named)
        monkeypatch.setattr(loop, "getaddrinfo", nowhere)
        server.vanish()
        await elapse(hass, HOUR - 200)
        assert not issues(hass)
        await elapse(hass, 600)
        assert issues(hass) == {"port_host"}
        # A name service that does not answer at all is another reason.
        monkeypatch.setattr(loop, "getaddrinfo", never)
        await elapse(hass, 200)
        assert issues(hass) == {"port_unreachable"}
        monkeypatch.setattr(loop, "getaddrinfo", found)
        await elapse(hass, 120)
        assert is_back(hass, entry)
        assert not issues(hass)
        await leave(hass, entry, server)


class ProxyTransport(SimTransport):
    """A serial proxy of a node that may be away: what serialx raises then is raised."""

    fault: ClassVar[Exception | None] = None
    dongle: ClassVar[SimulatedPort]

    @override
    async def _connect(self, *, path: str | None = None, **kwargs: Any) -> None:
        if self.fault is not None:
            raise self.fault
        await super()._connect(path=self.dongle.url, **kwargs)


@contextmanager
def proxy(scheme: str) -> Iterator[type[ProxyTransport]]:
    """Offer a dongle by a serial proxy."""
    with dongle() as sim:

        class Proxy(ProxyTransport):
            transport_name = scheme
            dongle = sim

        unregister = serialx.register_uri_handler(
            scheme=f"{scheme}://",
            unique_scheme=f"{scheme}-simulated://",
            sync_cls=serialx.get_serial_classes("socket://")[0],
            async_transport_cls=Proxy,
            weight=100,
        )
        try:
            yield Proxy
        finally:
            unregister()


REFUSED = "Error connecting to [AddrInfo('192.0.2.1')]: [Errno 111] Connect call failed ('192.0.2.1', 6053)"
OUTAGES = {
    "not connected": (serialx.SerialException("Not connected to node @ 192.0.2.1!"), "port_unreachable", HOUR),
    "of serialx 1.15": (ConnectionError("Not connected to node @ 192.0.2.1!"), "port_unreachable", HOUR),
    "timed out": (TimeoutError("Timeout waiting for DeviceInfoResponse"), "port_unreachable", HOUR),
    "entry not loaded": (serialx.SerialException("ESPHome config entry '1' is not loaded"), "port_unreachable", HOUR),
    "name not found": (serialx.SerialException("Error resolving IP address of node.local"), "port_host", HOUR),
    "something else": (serialx.SerialException("Invalid psk"), "port_error", HOUR),
    "refused": (serialx.SerialException(REFUSED), "port_refused", 0),
    "taken": (OSError(errno.EBUSY, "Serial proxy port is already in use"), "port_busy", 0),
    "renamed": (serialx.SerialException("Serial proxy with name 'Wi-SUN' does not exist"), "port_missing", 0),
}
"""What serialx raises, the repair, and after how many seconds it appears."""


@pytest.mark.parametrize(
    ("scheme", "name"), [("esphome", "not connected"), *(("esphome-hass", name) for name in OUTAGES)]
)
async def test_a_serial_proxy_that_cannot_be_opened(hass: HomeAssistant, scheme: str, name: str) -> None:
    fault, issue, patience = OUTAGES[name]
    with proxy(scheme) as node:
        entry = await start(hass, f"{scheme}://esphome/1?port_name=Wi-SUN")
        assert is_back(hass, entry)
        node.fault = fault
        node.dongle.unplug()
        await elapse(hass, max(patience - 200, 120))
        assert state(hass, POWER) == STATE_UNAVAILABLE
        assert issues(hass) == (set() if patience else {issue})
        await elapse(hass, 600)
        assert issues(hass) == {issue}
        node.dongle.plug()
        node.fault = None
        await elapse(hass, 120)
        assert is_back(hass, entry)
        assert not issues(hass)


async def test_a_serial_proxy_whose_integration_is_not_there(hass: HomeAssistant) -> None:
    """Home Assistant's own stand-in for it tells so in a way of its own."""
    url = "esphome-hass://esphome/1?port_name=Wi-SUN"
    entry = await start(hass, url)
    assert entry.reason == f"{url} cannot be opened, or was disconnected (ESPHome has not loaded yet)"
    assert not issues(hass)
    await elapse(hass, HOUR + 600)
    assert issues(hass) == {"port_error"}
    with proxy("esphome-hass"):
        await until(lambda: is_back(hass, entry), within=900)
        assert not issues(hass)
