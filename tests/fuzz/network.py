"""A meter of the home network among datagrams of any kind, from itself and from others."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from hypothesis import strategies as st

from custom_components.broute.aiobroute import BRouteError, Node
from custom_components.broute.aiobroute.lan import connect_node, find_nodes
from tests.aiobroute.virtual_time import clock, run
from tests.simulator import scenarios
from tests.simulator.echonet import Excess
from tests.simulator.faults import Fault
from tests.simulator.lan import LanNode, lan_node, own_place, stranger

from .targets import PAUSE, PROFILE, Answer, answers, connections, frames

LAN: Final = "lan"
"""Where a module is named."""

US: Final = ("127.0.0.1", 3610)

HAPPENINGS: Final[Mapping[str, Callable[[LanNode], Any]]] = {
    "off": lambda node: node.off(),
    "on": lambda node: node.on(),
    "moved": lambda node: node.on(own_place()),
    "silent": lambda node: node.mute(is_mute=True),
    "answering": lambda node: node.mute(is_mute=False),
    "exchanged": lambda node: node.exchange_meter(),
    "refusing": lambda node: node.meter.device.refuse(0xE7, 0xE0, 0xE2, 0xE5, answers=2),
    "refusing what scales": lambda node: node.meter.device.refuse(0xE1, 0xD3, 0x9F, answers=3),
    "few at once": lambda node: node.meter.limit(3, Excess.IGNORED),
    "many at once": lambda node: node.meter.limit(None),
}

type Step = tuple[bytes, bool, bool] | Answer | str | Fault
"""A datagram with whether it goes to all, and comes from a stranger; or something that happens."""

_datagrams = st.tuples(frames | st.binary(max_size=1500), st.booleans(), st.booleans())
_happening = st.sampled_from((_datagrams, answers, st.sampled_from([*HAPPENINGS, *Fault]))).flatmap(lambda kind: kind)
steps = st.lists(st.tuples(st.floats(0, 30), _happening), max_size=12)


def conversation(planned: Sequence[tuple[float, Step]]) -> None:
    """Let something happen at any point: each connection ends in answers or in an error of ours, and none hangs."""

    async def main() -> None:
        with lan_node(scenarios.SOLAR, clock=clock) as node:
            known = Node(address=node.place.address, identity=node.meter.settings.serial)
            await connections(_meddle(node, planned), lambda meddling: _use(known, meddling))
            await find_nodes(["lo"])

    run(main(), over_network=True)


async def _use(known: Node, meddling: asyncio.Future[None]) -> None:
    """Do everything once, then read for as long as something happens."""
    url = f"echonet://{known.identity}"
    try:
        async with await connect_node(url, node=known, profile=PROFILE, interfaces=["lo"]) as meter:
            await meter.read()
            async for _ in meter.history.days([1]):
                pass
            while not meddling.done():
                await meter.read()
                await asyncio.sleep(PAUSE)
            await meter.read()
    except BRouteError:
        await asyncio.sleep(PAUSE)


async def _meddle(node: LanNode, planned: Sequence[tuple[float, Step]]) -> None:
    for pause, what in planned:
        await asyncio.sleep(pause)
        match what:
            case (data, is_to_all, is_strange):
                _send(node, data, is_to_all=is_to_all, is_strange=is_strange)
            case Answer():
                sent = node.record.datagrams_from_client
                before, tries = len(sent), 600
                while len(sent) == before and tries:
                    await asyncio.sleep(0.1)
                    tries -= 1
                tid = int.from_bytes(sent[-1][2:4]) if sent else 0
                _send(node, what.payload(tid), is_to_all=False, is_strange=not what.secured)
            case Fault():
                node.faults.append(what)
            case _:
                HAPPENINGS[what](node)


def _send(node: LanNode, data: bytes, *, is_to_all: bool, is_strange: bool) -> None:
    there = node.place.group if is_to_all else US
    if is_strange:
        stranger(node.place, data, there)
    elif node.is_reachable:
        node.tell(data, there)
