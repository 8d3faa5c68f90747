"""One smart meter that is a node of the home network."""

import asyncio
from collections.abc import Callable, Collection
from contextlib import AsyncExitStack
import logging

from ..echonet.properties import NOTHING
from ..errors import NodeNotFoundError, SessionLostError
from ..listeners import nobody
from ..meter import READING, Progress, SmartMeter, Stage, transactions_over
from ..node import Node, Target, parse
from ..profile import MeterProfile
from ..resumption import Resumed
from ..session import Timing
from ..transactions import Notification, Transactions
from .path import NodePath
from .reach import Reached, reach
from .search import find_nodes

_LOGGER = logging.getLogger(__name__)

TIMING = Timing(answer=4.0)
"""Less than over the radio: a node answers within a second, or its answer was lost."""


class NodeMeter(SmartMeter):
    """A meter that answers in the home network."""

    def __init__(
        self, path: NodePath, transactions: Transactions, profile: MeterProfile | None, node: Node, first: Resumed
    ) -> None:
        super().__init__(path, transactions, profile, first)
        self.node = node
        """Where the meter is, and what it calls itself: the next `connect_node` need not look for it."""


async def connect_node(  # all but the first may be left out
    url: str,
    *,
    node: Node | None = None,
    profile: MeterProfile | None = None,
    interfaces: Collection[str] | None = None,
    timing: Timing = TIMING,
    on_progress: Callable[[Progress], None] = nobody,
    on_notification: Callable[[Notification], None] = nobody,
    on_lost: Callable[[SessionLostError], None] = nobody,
    on_other: Callable[[Node], None] = nobody,
) -> NodeMeter:
    """Find the meter that a URL means in the home network, and read what does not change.

    The URL has its address, or what it calls itself. A node that was found before is asked first; if it is not there,
    or is another meter by now, the meter is looked for on the interfaces, by default on all. A profile that is given
    and complete spares an exchange, as long as it is the same meter. Other meters that answer meanwhile are told.

    Raises:
        NodeAddressError: the URL means no meter.
        NodePortBusyError: another program has the ECHONET Lite port for itself.
        NodeNotFoundError: no such meter answers.
        MeterTimeoutError: it answered once, but not again.

    """
    target = parse(url)
    on_progress(Progress(Stage.SEARCH))
    wanted = [row.code for row in READING if profile is None or profile.has(row)]
    answered = await _answered(target, node, wanted, interfaces, on_other)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(answered.path.close)
        on_progress(Progress(Stage.READ))
        known = profile if node is not None and node.identity == answered.node.identity else None
        transactions = transactions_over(answered.path, timing, known, on_notification, on_lost)
        is_whole = all(code in answered.told.data for code in wanted)
        first = Resumed(answered.told.only(wanted) if is_whole else NOTHING, None, asyncio.get_running_loop().time())
        meter = NodeMeter(answered.path, transactions, known, answered.node, first)
        if not meter.profile.is_complete:
            await meter.learn()
        stack.pop_all()
        return meter


async def _answered(
    target: Target,
    node: Node | None,
    wanted: Collection[int],
    interfaces: Collection[str] | None,
    on_other: Callable[[Node], None],
) -> Reached:
    """Ask where the meter is said to be, where it was, and at last everywhere."""
    identity = target.identity or (None if node is None else node.identity)
    if target.address is not None and (answered := await reach(target.address, (True, False), wanted)) is not None:
        return answered
    if node is not None and node.address != target.address:
        answered = await reach(node.address, (node.is_strict,), wanted)
        if answered is not None and answered.node.identity == identity:
            return answered
        if answered is not None:
            await answered.path.close()
    if identity is not None:
        _LOGGER.debug("the meter is looked for")
        for found in await find_nodes(interfaces, wanted=identity):
            where = found.node
            if where.identity != identity:
                on_other(where)
            elif answered := await reach(where.address, (where.is_strict,), wanted):
                return answered
    raise NodeNotFoundError("this meter does not answer in the home network")
