"""What the tests share."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator, Iterator, Mapping
import fcntl
import logging
from pathlib import Path
import tempfile
from unittest.mock import patch

from hypothesis import settings
import ifaddr
import pytest
import pytest_socket
import time_machine

# Before Home Assistant puts the test harness's own folder of that name in front.
import custom_components  # noqa: F401

from .aiobroute.virtual_time import START, VirtualTimeLoop, clock
from .simulator import transport
from .stepped_time import SteppedLoop

ADAPTERS = "homeassistant.components.network.util.ifaddr.get_adapters"

settings.register_profile("any speed", settings.get_profile(settings.get_current_profile_name()), deadline=None)
settings.load_profile("any speed")


def pytest_configure(config: pytest.Config) -> None:
    # The test harness has every statement of the recorder logged, and printed by whatever runs without a capture.
    logging.getLogger("sqlalchemy.engine").setLevel(logging.WARNING)
    config.addinivalue_line("markers", "own_loop: may send datagrams over this machine's own loop")
    config.addinivalue_line("markers", "stepped_time: run in a loop whose clock can be put forward")
    # Home Assistant's own web server, which comes with `usb`, does what its aiohttp advises against.
    config.addinivalue_line("filterwarnings", "ignore::aiohttp.web_exceptions.NotAppKeyWarning")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None]:
    """Let datagrams go over this machine's own loop, where that is wanted: each address there is this machine."""
    yield
    # The test harness allows a single address, last of all, and for each test anew.
    if item.get_closest_marker("own_loop"):
        pytest_socket.enable_socket()
        pytest_socket.socket_allow_hosts(["127.0.0.0/8", "::1", "fe80::/10"])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Have threads and terminals first.

    momonga's serial library cannot wait for a file descriptor above 1023, and the USB watcher of each Home Assistant
    leaves four behind.
    """
    items.sort(key=lambda item: item.get_closest_marker("stepped_time") is None)


def pytest_asyncio_loop_factories(item: pytest.Item) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Let Home Assistant wait for radio and timers without a second's loss; a recorder has a thread of its own."""
    fixtures = getattr(item, "fixturenames", ())
    if item.get_closest_marker("stepped_time"):
        return {"stepped": SteppedLoop}
    if "hass" in fixtures and "recorder_mock" not in fixtures:
        return {"virtual": VirtualTimeLoop}
    return {"real": asyncio.new_event_loop}


@pytest.fixture(params=["bp35c2", "j11"])
def each_kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run a test once with each kind of module in the dongles of which it says nothing."""
    kind: str = request.param
    monkeypatch.setattr(transport, "MODULE", kind)
    return kind


@pytest.fixture(params=["bp35c2", "j11", pytest.param("lan", marks=(pytest.mark.own_loop, pytest.mark.slow))])
def any_kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run a test once with each kind of module and, in the slow job, with a meter of the home network."""
    kind: str = request.param
    if kind == "lan":
        request.getfixturevalue("echonet_port")
    monkeypatch.setattr(transport, "MODULE", kind)
    return kind


@pytest.fixture
def echonet_port() -> Iterator[None]:
    """Have the UDP port of ECHONET Lite for oneself: each test of this machine would hear the others' nodes."""
    with (Path(tempfile.gettempdir()) / "tests-of-udp-3610").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _adapter(name: str) -> ifaddr.Adapter:
    """Return a network interface with the address that the test harness has Home Assistant take for its own."""
    return ifaddr.Adapter(name, name, [ifaddr.IP("10.10.10.10", 24, name)], index=1)


@pytest.fixture(autouse=True, scope="session")
def mock_network() -> Iterator[None]:
    """Let Home Assistant have an interface that there is not, in place of the test harness's, which there may be.

    Nothing is sent to whatever network this machine is in.
    """
    with patch(ADAPTERS, return_value=[_adapter("none0")]):
        yield


@pytest.fixture
def home_network(echonet_port: None) -> Iterator[None]:  # noqa: ARG001  # it comes first
    """Let Home Assistant have this machine's own loop for its network."""
    with patch(ADAPTERS, return_value=[_adapter("lo")]):
        yield


@pytest.fixture
def mock_recorder_before_hass(recorder_db_url: str) -> None:
    """Let the database of a recorder be chosen in time: Home Assistant's fixture asks for this first."""


@pytest.fixture(autouse=True)
def _custom_integrations(request: pytest.FixtureRequest) -> None:
    if "home_network" in request.fixturenames:
        # Home Assistant begins after it, and has closed its sockets before another test has the port.
        request.getfixturevalue("home_network")
    if "hass" in request.fixturenames:
        request.getfixturevalue("enable_custom_integrations")


@pytest.fixture(autouse=True)
async def _virtual_time(configure_event_loop: None) -> AsyncGenerator[None]:  # noqa: ARG001  # it has to come first
    """Take the loop's own clock again: Home Assistant gives every loop the real one, because it is quicker to read.

    The clock on the wall goes with it.
    """
    loop = asyncio.get_running_loop()
    if not isinstance(loop, VirtualTimeLoop | SteppedLoop):
        yield
        return
    vars(loop).pop("time", None)
    if isinstance(loop, SteppedLoop):
        with time_machine.travel(START) as loop.wall:
            yield
        return
    with time_machine.travel(clock(), tick=False) as wall:
        loop.wall = wall
        yield
        loop.wall = None
