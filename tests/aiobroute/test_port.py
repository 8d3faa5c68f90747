"""Ports that do not open, and why: what a person is told, and what is kept from everybody."""

import asyncio
import errno
import logging
import socket
from typing import cast, override

from hypothesis import given, strategies as st
import pytest

from custom_components.broute.aiobroute import (
    Credentials,
    ModuleError,
    ModuleMissingError,
    PortAddressError,
    PortBusyError,
    PortClosedError,
    PortError,
    PortHostError,
    PortMissingError,
    PortNotTelnetError,
    PortPermissionError,
    PortRefusedError,
    PortTelnetError,
    PortUnreachableError,
    connect,
    proposed,
    shown,
)
from custom_components.broute.aiobroute.outage import reason_of
from custom_components.broute.aiobroute.port import open_port
from tests.simulator import scenarios
from tests.simulator.network import listening
from tests.simulator.scenarios import PASSWORD, ROUTE_B_ID
from tests.simulator.telnet import SET_MASKS, TelnetSocket
from tests.simulator.transport import simulated_port

from .virtual_time import clock, run

pytestmark = pytest.mark.usefixtures("socket_enabled")

CREDENTIALS = Credentials(ROUTE_B_ID, PASSWORD)
TELNET = b"\xff\xfb\x03\xff\xfd\x03\xff\xfb\x01\xff\xfe\x01\xff\xfd\x00\xff\xfb\x00\xff\xfd,"
"""How ser2net begins, before it knows whom it talks to."""
KEY = "c2VjcmV0LWtleS1vZi1hLW5vZGU+L3h5ejEyMzQ1Njc4OTA="


class Server(asyncio.Protocol):
    """Says something at once, and perhaps hangs up."""

    def __init__(self, words: bytes, *, hangs_up: bool) -> None:
        self._words = words
        self._hangs_up = hangs_up

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast("asyncio.Transport", transport)
        transport.write(self._words)
        if self._hangs_up:
            transport.close()


async def failure(url: str) -> tuple[Exception, float]:
    """Return what connecting ends with, and after how many seconds."""
    loop = asyncio.get_running_loop()
    begun = loop.time()
    with pytest.raises((PortError, ModuleError)) as caught:
        await connect(url, CREDENTIALS)
    return caught.value, loop.time() - begun


@pytest.mark.parametrize(
    ("scheme", "words", "hangs_up", "kind", "text", "seconds"),
    [
        ("socket", TELNET, False, PortTelnetError, "speaks telnet: use rfc2217://", 1),
        ("socket", b"Welcome to port 1\r\n" + TELNET, False, PortTelnetError, "speaks telnet: use rfc2217://", 1),
        ("socket", b"Port already in use\r\n", True, PortBusyError, "in use by another client", 1),
        ("socket", b"Device open failure: Value or file not found\r\n", True, PortClosedError, "the device behind", 1),
        ("socket", b"", True, PortClosedError, "often another client has it", 1),
        ("socket", b"SSH-2.0-OpenSSH_10.0\r\n", False, ModuleMissingError, "no Wi-SUN module answers", 5),
        ("socket", b"HTTP/1.0 400 Bad Request\r\n\r\n", True, PortError, "went away", 5),
        ("socket", b"", False, ModuleMissingError, "no Wi-SUN module answers", 5),
        ("rfc2217", TELNET + b"Port's device already in use\r\n", True, PortBusyError, "in use by another client", 1),
        ("rfc2217", TELNET, True, PortClosedError, "often another client has it", 1),
        ("rfc2217", b"", True, PortClosedError, "often another client has it", 1),
        ("rfc2217", TELNET, False, PortUnreachableError, "did not open within 5 s", 6),
        ("rfc2217", b"", False, PortNotTelnetError, "RFC 2217", 6),
        ("rfc2217", b"SSH-2.0-OpenSSH_10.0\r\n", False, PortNotTelnetError, "RFC 2217", 6),
        ("rfc2217", b"SSH-2.0-OpenSSH_10.0\r\n", True, PortNotTelnetError, "RFC 2217", 1),
        ("rfc2217", b"\xff\xfe\x00\xff\xfc\x00\xff\xfe\x2c", False, PortNotTelnetError, "RFC 2217", 1),
    ],
)
def test_a_server_that_is_no_port(
    scheme: str, words: bytes, kind: type[Exception], text: str, seconds: float, *, hangs_up: bool
) -> None:
    async def main() -> None:
        async with listening(lambda: Server(words, hangs_up=hangs_up)) as address:
            url = f"{scheme}://{address}"
            error, took = await failure(url)
            assert type(error) is kind
            assert text in str(error)
            assert str(error).count(url) == 1
            assert "is closed" not in str(error)
            assert took <= seconds

    run(main())


@pytest.mark.parametrize("scheme", ["socket", "rfc2217"])
def test_nobody_listens(scheme: str) -> None:
    async def main() -> None:
        async with listening(lambda: Server(b"", hangs_up=True)) as address:
            pass
        error, took = await failure(f"{scheme}://{address}")
        assert isinstance(error, PortRefusedError)
        assert str(error) == f"{scheme}://{address}: connection refused"
        assert took < 1

    run(main())


@pytest.mark.parametrize("silent_about", [frozenset(), SET_MASKS])
def test_an_rfc_2217_server_need_not_acknowledge_the_masks(silent_about: frozenset[int]) -> None:
    servers: list[TelnetSocket] = []

    async def main() -> None:
        with simulated_port(scenarios.NORMAL, speed=1, clock=clock) as sim:

            def serve() -> TelnetSocket:
                servers.append(TelnetSocket(sim, silent_about=silent_about))
                return servers[-1]

            async with listening(serve) as address:
                meter = await connect(f"rfc2217://{address}", CREDENTIALS)
                assert (await meter.read()).power is not None
                await meter.close()
        assert set(servers[0].commands) >= SET_MASKS
        assert 1 in servers[0].commands

    run(main())


@pytest.mark.parametrize(
    ("url", "error", "kind", "text"),
    [
        ("/dev/ttyUSB0", PermissionError(errno.EACCES, "Permission denied"), PortPermissionError, "dialout"),
        ("/dev/ttyUSB0", OSError(errno.EBUSY, "locked"), PortBusyError, "in use by another program"),
        ("/dev/ttyUSB0", FileNotFoundError(errno.ENOENT, "No such file"), PortMissingError, "does not exist"),
        ("/dev/ttyUSB0", OSError(errno.EIO, "Input/output error"), PortError, "cannot be opened: Input/output error"),
        ("/dev/ttyUSB0", ValueError("no such parity"), PortAddressError, "no address"),
        ("socket://h:1", OSError(errno.EHOSTUNREACH, "No route to host"), PortUnreachableError, "does not answer"),
        ("socket://h:1", TimeoutError(errno.ETIMEDOUT, "timed out"), PortUnreachableError, "does not answer"),
        ("socket://h:1", TimeoutError(), PortUnreachableError, "did not open within 7 s"),
        ("socket://h:1", socket.gaierror(-3, "Temporary failure in name resolution"), PortHostError, "name not found"),
        (
            "socket://h:1",
            OSError("Multiple exceptions: [Errno 111] Connect call failed ('::1'), [Errno 101] unreachable"),
            PortRefusedError,
            "connection refused",
        ),
        (
            "esphome://n:1/?port_name=a",
            RuntimeError("ESPHome config entry '1' is not loaded"),
            PortUnreachableError,
            "",
        ),
        ("esphome://n:1/?port_name=a", RuntimeError("Error resolving IP address of n"), PortHostError, ""),
        ("esphome://n:1/?port_name=a", ValueError("Serial proxy with name 'a' does not exist"), PortMissingError, ""),
        ("esphome://n:1/?port_name=a", RuntimeError("No handler registered for"), PortAddressError, "serialx[esphome]"),
        ("esphome://n:1/?port_name=a", RuntimeError("serial port is busy"), PortBusyError, ""),
    ],
)
def test_each_reason_is_told_in_our_own_words(url: str, error: Exception, kind: type[Exception], text: str) -> None:
    told = reason_of(url, error, 7.2)
    assert type(told) is kind
    assert text in told.reason
    assert str(told) == f"{url}: {told.reason}"


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("192.168.1.20:4000", "socket://192.168.1.20:4000"),
        ("ser2net.local:4000/", "socket://ser2net.local:4000"),
        ("[fe80::1]:4000", "socket://[fe80::1]:4000"),
        ("socket://192.168.1.20:4000", None),
        ("/dev/ttyUSB0", None),
        ("COM3", None),
        ("", None),
    ],
)
def test_an_address_without_a_scheme_is_completed(typed: str, meant: str | None) -> None:
    assert proposed(typed) == meant
    if meant is not None:
        with pytest.raises(PortAddressError, match="needs a scheme"):
            run(open_port(typed))


@pytest.mark.parametrize("url", ["socket://h", "socket://[h:1", "socket://h:99999"])
def test_what_is_no_address(url: str) -> None:
    with pytest.raises(PortAddressError):
        run(open_port(url))


@pytest.mark.parametrize(
    ("url", "seen"),
    [
        (f"esphome://node:6053/?port_name=Wi-SUN&key={KEY}", "esphome://node:6053/?port_name=Wi-SUN&key=***"),
        ("esphome://user:pass@node/?password=x", "esphome://***@node/?password=***"),
        ("rfc2217://192.168.1.20:4001", "rfc2217://192.168.1.20:4001"),
        ("esphome-hass://esphome/01ABC?port_name=a+b", "esphome-hass://esphome/01ABC?port_name=a+b"),
        ("/dev/serial/by-id/usb-1", "/dev/serial/by-id/usb-1"),
        ("socket://[h:1", "socket://[h:1"),
    ],
)
def test_a_key_in_an_address_is_not_shown(url: str, seen: str) -> None:
    assert shown(url) == seen


@given(st.text(st.characters(exclude_characters="&#", exclude_categories=["Cs", "Cc", "Zs"]), min_size=8))
def test_no_key_is_ever_shown(key: str) -> None:
    url = f"esphome://node:6053/?key={key}&port_name=a"
    assert key not in shown(url)
    error = reason_of(url, RuntimeError(f"Invalid PSK {key} for {url}"), 1)
    assert key not in str(error)


def test_a_key_is_in_no_log(caplog: pytest.LogCaptureFixture) -> None:
    url = f"socket://127.0.0.1:1/?key={KEY}"
    with caplog.at_level(logging.DEBUG), pytest.raises(PortError) as caught:
        run(open_port(url))
    assert KEY not in str(caught.value)
    assert KEY not in caplog.text
