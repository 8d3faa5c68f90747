"""Finding the meters in the home network."""

import asyncio
from collections.abc import Callable, Collection, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import product
import logging
from random import randrange
import socket

from ..echonet.frame import CONTROLLER, NODE_PROFILE, SMART_METER, Esv, Frame
from ..echonet.properties import MANUFACTURER_CODE, STANDARD_VERSION
from ..errors import FrameError
from ..listeners import nobody
from ..node import Node
from ..profile import MeterProfile
from .endpoint import Endpoint
from .reach import reach
from .sockets import GROUPS, PORT, SocketAddress, address_of, asking_socket, group_address, group_socket, interfaces

_LOGGER = logging.getLogger(__name__)

SECONDS = 2.0
"""For which the network is listened to; a node may wait a moment before it answers all at once (EL2 4.2)."""

AGAIN = 0.6
"""Seconds after which all are asked once more: a datagram to a group is never repeated by Wi-Fi."""

INSTANCES = (0xD5, 0xD6)
"""The list of a node's objects, as it is announced and as it is read (EL2 6.11)."""

MOST = 64
"""Nodes that are looked at in one search; a home has dozens, few of them meters."""

TOLD = (MANUFACTURER_CODE, STANDARD_VERSION)


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundNode:
    """A meter that answered."""

    node: Node
    profile: MeterProfile
    """What it says of itself; nothing else is known of it yet."""


async def find_nodes(
    names: Collection[str] | None = None,
    *,
    wanted: str | None = None,
    on_found: Callable[[FoundNode], None] = nobody,
) -> list[FoundNode]:
    """Ask all nodes on some network interfaces, by default on all, and return the meters among them.

    If one is wanted, by what it calls itself, the search ends with it.

    Raises:
        NodePortBusyError: another program has the port for itself.

    """
    search = _Search(wanted, on_found)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(search.close)
        for name, family in product(interfaces() if names is None else names, GROUPS):
            try:
                await search.listen(family, name)
            except OSError as err:
                _LOGGER.debug("%s is left out: %s", name, err)
        await search.run()
    return search.found


class _Search:
    """One search, over any number of interfaces."""

    def __init__(self, wanted: str | None, on_found: Callable[[FoundNode], None]) -> None:
        self.found: list[FoundNode] = []
        self._wanted = wanted
        self._on_found = on_found
        self._asking: list[tuple[Endpoint, SocketAddress]] = []
        self._endpoints: list[Endpoint] = []
        self._seen: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._done = asyncio.Event()

    async def listen(self, family: socket.AddressFamily, name: str) -> None:
        """Listen on an interface.

        Raises:
            NodePortBusyError: another program has the port for itself.
            OSError: it is not there, or takes part in no groups.

        """
        index = socket.if_nametoindex(name)
        self._endpoints.append(await Endpoint.open(group_socket(family, index), self._received))
        self._endpoints.append(await Endpoint.open(asking_socket(family, index), self._received))
        self._asking.append((self._endpoints[-1], group_address(family, index)))

    async def run(self) -> None:
        """Ask, and wait until everybody had the time to answer."""
        if not self._asking:
            return  # No interface takes part.
        # The second time as some may want it: a Get, which is answered to us alone.
        questions = [(Esv.INF_REQ, INSTANCES[0]), (Esv.GET, INSTANCES[1])]
        for (service, code), seconds in zip(questions, (AGAIN, SECONDS - AGAIN), strict=True):
            self._ask(service, code)
            if await self._ended_within(seconds):
                return
        await self._end_tasks()

    async def _end_tasks(self) -> None:
        # One that failed has found no meter.
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _ended_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                return await self._done.wait()
        except TimeoutError:
            return False

    def _ask(self, service: Esv, code: int) -> None:
        frame = Frame(
            tid=randrange(1, 0x10000),  # noqa: S311  # it is no secret
            source=CONTROLLER,
            destination=NODE_PROFILE,
            esv=service,
            properties=((code, b""),),
        )
        for endpoint, group in self._asking:
            endpoint.send(frame.encode(), group)

    def _received(self, data: bytes, source: SocketAddress) -> None:
        """Take a list of a node's objects, and ask the meter who it is."""
        address = address_of(source)
        if address in self._seen or len(self._seen) >= MOST or not has_meter(data):
            return
        self._seen.add(address)
        task = asyncio.get_running_loop().create_task(self._identify(address, is_strict=source[1] == PORT))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _identify(self, address: str, *, is_strict: bool) -> None:
        reached = await reach(address, (is_strict,), [row.code for row in TOLD])
        if reached is None:
            return
        await reached.path.close()
        if any(other.node.identity == reached.node.identity for other in self.found):
            return  # It has an address of each family, or two interfaces lead to it.
        found = FoundNode(node=reached.node, profile=MeterProfile.of(reached.told.data))
        self.found.append(found)
        self._on_found(found)
        if found.node.identity == self._wanted:
            self._done.set()

    async def close(self) -> None:
        """Close the sockets."""
        for task in self._tasks:
            task.cancel()
        await self._end_tasks()
        for endpoint in self._endpoints:
            await endpoint.close()


def has_meter(data: bytes) -> bool:
    """Return whether a datagram is a node's list of objects with a meter in it."""
    try:
        frame = Frame.decode(data)
    except FrameError:
        return False
    if frame.source != NODE_PROFILE or frame.esv not in (Esv.INF, Esv.INFC, Esv.GET_RES):
        return False
    lists = (edt for code, edt in frame.properties if code in INSTANCES)
    return any(SMART_METER in _objects(edt) for edt in lists)


def _objects(edt: bytes) -> Iterator[int]:
    """Yield the codes of a list of objects, which begins with their number."""
    yield from (int.from_bytes(edt[place : place + 3]) for place in range(1, len(edt) - 2, 3))
