"""Whether a meter answers at an address, and what it calls itself."""

from collections.abc import Collection, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
import logging

from ..echonet.frame import NODE_PROFILE
from ..echonet.properties import IDENTIFICATION_NUMBER, SERIAL_NUMBER, Values
from ..errors import NodeUnreachableError
from ..node import Node, identity_of
from .asking import PATIENCE, ask
from .path import NodePath

_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Reached:
    """A meter that answered."""

    path: NodePath
    """Whoever has reached it closes it."""
    node: Node
    told: Values
    """What it told of what it was asked for."""


async def reach(address: str, ways: Sequence[bool], codes: Collection[int]) -> Reached | None:
    """Ask the meter at an address who it is, and for some properties; return `None` if none answers.

    The ways are tried in turn: strict, which is as nodes do, and not.

    Raises:
        NodePortBusyError: another program has the ECHONET Lite port for itself.

    """
    for is_strict in ways:
        try:
            path = await NodePath.open(address, is_strict=is_strict)
        except NodeUnreachableError as err:
            _LOGGER.debug("%s", err)
            return None
        async with AsyncExitStack() as stack:
            stack.push_async_callback(path.close)
            told = await _ask_who(path, codes)
            if told is not None:
                node = await _identify(path, address, told, is_strict=is_strict)
                stack.pop_all()
                return Reached(path, node, told)
    return None


async def _ask_who(path: NodePath, codes: Collection[int]) -> Values | None:
    """Ask for these and the serial number; then for that alone, as there are meters that answer few at once."""
    at_first, later = PATIENCE
    told = await ask(path, [*codes, SERIAL_NUMBER.code], patience=(at_first,))
    return told if told is not None else await ask(path, [SERIAL_NUMBER.code], patience=(later,))


async def _identify(path: NodePath, address: str, told: Values, *, is_strict: bool) -> Node:
    """Return a meter with what it calls itself: its serial number or, if it tells none, what its node does."""
    identity = identity_of(told.read(SERIAL_NUMBER))
    if identity is None:
        of_node = await ask(path, [IDENTIFICATION_NUMBER.code], NODE_PROFILE)
        identity = None if of_node is None else identity_of(of_node.read(IDENTIFICATION_NUMBER))
    # Without either, it is who is at that address.
    return Node(address=address, identity=identity or address, is_strict=is_strict)
