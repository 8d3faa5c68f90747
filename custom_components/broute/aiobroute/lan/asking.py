"""Questions to a node before there are transactions: who it is, and what it measures."""

import asyncio
from collections.abc import Collection, Iterable
import logging
from random import randrange

from ..echonet.frame import CONTROLLER, SMART_METER, Esv, Frame
from ..echonet.properties import Values
from ..errors import FrameError
from ..listeners import nobody
from .path import NodePath

_LOGGER = logging.getLogger(__name__)

PATIENCE = (0.7, 1.3)
"""Seconds to wait for an answer, each time; Wi-Fi repeats what it loses, but not for ever."""


async def ask(
    path: NodePath, codes: Collection[int], of: int = SMART_METER, *, patience: Iterable[float] = PATIENCE
) -> Values | None:
    """Return what an object of the node tells of these properties; `None` if it does not answer.

    What cannot be read is left out.

    Raises:
        SessionLostError: the way was closed.

    """
    request = Frame(
        # By chance, so that late answers to a former program are not taken for ours.
        tid=randrange(1, 0x10000),  # noqa: S311  # it is no secret
        source=CONTROLLER,
        destination=of,
        esv=Esv.GET,
        properties=tuple((code, b"") for code in codes),
    )
    answer: asyncio.Future[Values] = asyncio.get_running_loop().create_future()

    def received(data: bytes, _: float | None) -> None:
        if not answer.done() and (told := _answer_to(request, data)) is not None:
            answer.set_result(told)

    path.attach(on_datagram=received, on_lost=nobody)
    for seconds in patience:
        await path.send(request.encode())
        await asyncio.wait([answer], timeout=seconds)
        if answer.done():
            return answer.result()
    return None


def _answer_to(request: Frame, data: bytes) -> Values | None:
    """Return what an answer tells; `None` if the datagram is no answer to the request."""
    try:
        frame = Frame.decode(data)
    except FrameError:
        return None
    is_answer = frame.esv in (Esv.GET_RES, Esv.GET_SNA)
    if not is_answer or (frame.tid, frame.source) != (request.tid, request.destination):
        return None
    asked = {code for code, _ in request.properties}
    return Values({code: edt for code, edt in frame.properties if edt and code in asked and _is_readable(code, edt)})


def _is_readable(code: int, edt: bytes) -> bool:
    try:
        Values({code: edt})
    except FrameError as err:
        _LOGGER.debug("taken for refused: %s", err)
        return False
    return True
