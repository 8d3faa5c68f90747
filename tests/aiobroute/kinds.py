"""A meter behind each kind of module, and one in the home network, for tests that hold for all of them."""

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import pytest

from custom_components.broute.aiobroute import Credentials, Node, Pan, SmartMeter, connect
from custom_components.broute.aiobroute.echonet.frame import CONTROLLER
from custom_components.broute.aiobroute.lan import connect_node
from tests.simulator import transport
from tests.simulator.lan import LanNode, lan_node
from tests.simulator.scenarios import NORMAL, PASSWORD, ROUTE_B_ID, Scenario
from tests.simulator.transport import SimulatedPort, simulated_port

from . import virtual_time
from .virtual_time import clock

if TYPE_CHECKING:
    from datetime import datetime

CREDENTIALS: Final = Credentials(ROUTE_B_ID, PASSWORD)
PAN: Final = Pan(channel=0x31, pan_id=0x8A3C, mac="001C640003D2A1B7")

LAN: Final = "lan"
NETWORK: Final = pytest.param(LAN, marks=(pytest.mark.own_loop, pytest.mark.slow))
"""As a kind: there is no module. Each test has the port for itself, so many of them make a job of their own."""

type AnySimulator = SimulatedPort | LanNode


def is_in_network() -> bool:
    """Return whether the meter of this test is a node of the home network."""
    return transport.MODULE == LAN


@asynccontextmanager
async def connected_to(
    scenario: Scenario = NORMAL, time: Callable[[], datetime] = clock, **options: Any
) -> AsyncIterator[tuple[SmartMeter, AnySimulator]]:
    """Connect to a meter of this test's kind."""
    if is_in_network():
        with lan_node(scenario, clock=time) as node:
            # A profile is that of a node which is known.
            known = Node(address=node.place.address, identity=node.meter.settings.serial)
            options |= {"node": known} if "profile" in options else {}
            async with await connect_node(f"echonet://{node.place.address}", **options) as meter:
                yield meter, node
        return
    with simulated_port(scenario, speed=1, clock=time) as sim:
        async with await connect(sim.url, CREDENTIALS, pan=PAN, **options) as meter:
            yield meter, sim
        assert sim.record.opens == sim.record.closes
        assert not sim.record.flash_writes


def sent_to(sim: AnySimulator) -> list[bytes]:
    """Return what the meter got from us; a node of the network hears also what it tells all itself."""
    return [data for data in sim.record.datagrams_from_client if data[4:7] == CONTROLLER.to_bytes(3)]


def run[T](coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in virtual time."""
    return virtual_time.run(coroutine, over_network=is_in_network())
