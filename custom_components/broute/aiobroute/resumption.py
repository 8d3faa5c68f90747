"""Going on with the session that an earlier connection left in module and meter."""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass
from random import randrange

from .echonet.frame import SMART_METER, Esv, Frame
from .echonet.properties import Values
from .errors import FrameError
from .module import Credentials, Pan
from .session import Session

FRESH = 1.0
"""Seconds for which what the meter told in the meantime is as good as an answer."""


@dataclass(frozen=True, slots=True)
class Resumed:
    """What the meter answered in a session that goes on."""

    values: Values
    """Empty if it did not answer for everything."""
    rssi: float | None
    at: float
    """When, by the event loop's clock."""

    def fresh_values(self) -> Values | None:
        """Return the values, if there are any and they can still be shown as the present ones."""
        is_fresh = asyncio.get_running_loop().time() - self.at <= FRESH
        return self.values if self.values.data and is_fresh else None


async def resume(session: Session, credentials: Credentials, pan: Pan, codes: Collection[int]) -> Resumed | None:
    """Ask for properties before anything else; return what the meter answers, or `None` if there is no such session.

    Raises:
        AirtimeError: nothing may be sent at present.
        ModuleTimeoutError: the module does not answer; the port is closed.
        PortError: the port went away.

    """
    loop = asyncio.get_running_loop()
    # By chance, so that late answers to a former program are not taken for ours.
    request = Frame.get(randrange(1, 0x10000), codes)  # noqa: S311  # it is no secret
    answer: asyncio.Future[Resumed] = loop.create_future()

    def received(data: bytes, rssi: float | None) -> None:
        if not answer.done() and (values := answer_to(request, data)) is not None:
            answer.set_result(Resumed(values, rssi, loop.time()))

    session.attach(on_datagram=received, on_lost=lambda _: None)
    is_answered = await session.resume(credentials, pan, request.encode(), answer)
    return answer.result() if is_answered else None


def answer_to(request: Frame, data: bytes) -> Values | None:
    """Return all of what was asked for, or nothing of it; `None` if the datagram is no answer."""
    try:
        frame = Frame.decode(data)
    except FrameError:
        return None
    if (frame.tid, frame.source) != (request.tid, SMART_METER) or frame.esv not in (Esv.GET_RES, Esv.GET_SNA):
        return None
    found, wanted = dict(frame.properties), [code for code, _ in request.properties]
    try:
        return Values({code: found[code] for code in wanted} if all(map(found.get, wanted)) else {})
    except FrameError:
        return Values({})
