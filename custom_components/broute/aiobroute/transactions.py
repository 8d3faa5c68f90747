"""ECHONET Lite requests and their answers, one at a time."""

import asyncio
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
import logging
import os
from typing import override

from .echonet.frame import NODE_PROFILE, SMART_METER, Esv, Frame
from .echonet.properties import PROPERTIES, Values
from .errors import (
    BRouteError,
    FrameError,
    MeterTimeoutError,
    PropertyRefusedError,
    SessionLostError,
)
from .module import Datagram
from .session import Session, Timing

_LOGGER = logging.getLogger(__name__)

ANSWERS: Mapping[Esv, Collection[Esv]] = {
    Esv.GET: (Esv.GET_RES, Esv.GET_SNA),
    Esv.SETC: (Esv.SET_RES, Esv.SETC_SNA),
}
"""Services that answer a service (EL2 3.2.5)."""


@dataclass(frozen=True, slots=True)
class Notification:
    """What the meter told unasked (EL2 3.2.5)."""

    values: Values


@dataclass(slots=True)
class _Request:
    frame: Frame
    answer: asyncio.Future[Frame] = field(init=False)
    unreadable: Frame | None = None
    """An answer of which nothing could be read."""

    def is_answered_by(self, frame: Frame) -> bool:
        """Compare transaction, object, service and properties: a notification can bear our TID by chance."""
        asked = {code for code, _ in self.frame.properties}
        return (
            frame.tid == self.frame.tid
            and frame.source == self.frame.destination
            and frame.esv in ANSWERS[self.frame.esv]
            and not asked.isdisjoint(code for code, _ in frame.properties)
        )


class Transactions:
    """Get and Set over a session, and the notifications that arrive meanwhile."""

    def __init__(self, session: Session, timing: Timing, on_notification: Callable[[Notification], None]) -> None:
        """Listen to the session from now on."""
        self.rssi: float | None = None
        """Signal strength of the last datagram in dBm."""
        self._session = session
        self._timing = timing
        self._on_notification = on_notification
        self._turn = asyncio.Lock()
        # By chance, so that late answers to a former program are not taken for ours.
        self._tid = int.from_bytes(os.urandom(2))
        self._refused: set[int] = set()
        self._several: bool | None = None  # Whether one Get may ask for several; unknown at first.
        self._request: _Request | None = None
        self._confirmations: set[asyncio.Task[None]] = set()

    async def get(self, codes: Collection[int]) -> Values:
        """Ask for properties, in one datagram if the meter can; what it refused once is not asked for again.

        Raises:
            MeterTimeoutError: no answer.
            SessionLostError: nothing to send over.

        """
        wanted = [code for code in codes if code not in self._refused]
        together = self._several is not False and len(wanted) > 1
        data = await self._get_together(wanted) if together else {}
        for code in wanted:
            if code not in data:
                alone = await self._get_alone(code)
                if alone and together:
                    _LOGGER.debug("the meter does not answer for several properties together")
                    self._several = False
                data |= alone
        return Values(data)

    async def set(self, code: int, data: bytes) -> None:
        """Set a property.

        Raises:
            PropertyRefusedError: the meter would not.
            MeterTimeoutError: no answer.
            SessionLostError: nothing to send over.

        """
        answer = await self._exchange(lambda tid: Frame.setc(tid, code, data), self._timing.tries)
        if answer.esv is Esv.SETC_SNA:
            raise PropertyRefusedError(f"the meter would not set {_named(code)}")

    def datagram_received(self, datagram: Datagram) -> None:
        """Take a datagram of the meter; damaged ones are left out."""
        try:
            frame = Frame.decode(datagram.data)
        except FrameError as err:
            _LOGGER.debug("skipped: %s", err)
            return
        try:
            values = _values(frame)
        except FrameError:
            frame = _readable(frame)
            values = _values(frame)
            if not values.data:
                if self._request is not None and self._request.is_answered_by(frame):
                    self._request.unreadable = frame
                return
        self.rssi = datagram.rssi
        _LOGGER.debug("< %s", _Shown(frame))
        if frame.esv in (Esv.INF, Esv.INFC) and frame.source in (SMART_METER, NODE_PROFILE):
            self._notification_received(frame, values)
        elif self._request is not None and self._request.is_answered_by(frame):
            if not self._request.answer.done():
                self._request.answer.set_result(frame)
        else:
            _LOGGER.debug("skipped: nobody asked for it")

    def fail(self, error: SessionLostError) -> None:
        """End the request that is waiting, and what confirms notifications."""
        for confirmation in self._confirmations:
            confirmation.cancel()
        if self._request is not None and not self._request.answer.done():
            self._request.answer.set_exception(error)
            self._request.answer.exception()  # Nobody misses it: it may come by another way, too.

    async def _get_together(self, codes: Collection[int]) -> dict[int, bytes]:
        tries = self._timing.tries if self._several else FIRST_TRIES
        try:
            answer = await self._exchange(lambda tid: Frame.get(tid, codes), tries)
        except MeterTimeoutError:
            if self._several:
                raise
            return {}
        self._several = True
        return {code: data for code, data in answer.properties if data and code in codes}

    async def _get_alone(self, code: int) -> dict[int, bytes]:
        answer = await self._exchange(lambda tid: Frame.get(tid, (code,)), self._timing.tries)
        data = dict(answer.properties)[code]
        if data:
            return {code: data}
        self._refused.add(code)
        return {}

    async def _exchange(self, build: Callable[[int], Frame], tries: int) -> Frame:
        async with self._turn:
            self._tid = self._tid % 0xFFFF + 1
            loop, frame = asyncio.get_running_loop(), build(self._tid)
            self._request = request = _Request(frame)
            try:
                # The same transaction is repeated: a late answer to the first sending serves as well.
                for _ in range(tries):
                    request.answer = loop.create_future()
                    _LOGGER.debug("> %s", _Shown(frame))
                    await self._session.send(frame.encode())
                    with suppress(TimeoutError):
                        async with asyncio.timeout(self._timing.answer):
                            return await request.answer
                if request.unreadable is not None:
                    return request.unreadable
                raise MeterTimeoutError(f"the meter did not answer {tries} times")
            finally:
                self._request = None

    def _notification_received(self, frame: Frame, values: Values) -> None:
        if frame.esv is Esv.INFC:
            task = asyncio.get_running_loop().create_task(self._confirm(frame))
            self._confirmations.add(task)
            task.add_done_callback(self._confirmations.discard)
        if frame.source == SMART_METER:
            self._on_notification(Notification(values))

    async def _confirm(self, frame: Frame) -> None:
        try:
            async with asyncio.timeout(CONFIRMATION_LIMIT):
                await self._session.send(frame.confirmation().encode())
        except (BRouteError, TimeoutError) as err:
            _LOGGER.debug("a notification stays unconfirmed: %s", err)


FIRST_TRIES = 2
"""Sendings of a first request for several properties, before it is split for a meter that answers only single ones."""

CONFIRMATION_LIMIT = 15.0
"""Seconds after which the meter repeats the notification anyway."""


def _values(frame: Frame) -> Values:
    return Values({code: data for code, data in frame.properties if data})


def _readable(frame: Frame) -> Frame:
    """Take what cannot be read for refused: it will be asked for alone, and the rest is good."""

    def readable(code: int, data: bytes) -> bytes:
        try:
            Values({code: data} if data else {})
        except FrameError as err:
            _LOGGER.debug("taken for refused: %s", err)
            return b""
        return data

    return replace(frame, properties=tuple((code, readable(code, data)) for code, data in frame.properties))


def _named(code: int) -> str:
    row = PROPERTIES.get(code)
    return f"{code:02X} ({row.name})" if row else f"{code:02X}"


@dataclass(frozen=True, slots=True)
class _Shown:
    """A frame for the log, without what identifies a household; put into words only if somebody reads them."""

    frame: Frame

    @override
    def __str__(self) -> str:
        properties = " ".join(
            f"{code:02X}={'***' if data and _is_private(code) else data.hex().upper()}"
            for code, data in self.frame.properties
        )
        return f"{self.frame.esv.name} {self.frame.tid:04X} {properties}"


def _is_private(code: int) -> bool:
    return code not in PROPERTIES or PROPERTIES[code].private
