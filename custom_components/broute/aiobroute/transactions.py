"""ECHONET Lite requests and their answers, one at a time."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import lru_cache
import logging
import math
from random import randrange
from typing import Self

from .capacity import Capacity
from .echonet.frame import NODE_PROFILE, SMART_METER, Esv, Frame, with_tid
from .echonet.properties import NOTHING, PROPERTIES, VOIDABLE, Values, is_void, map_of
from .errors import (
    BRouteError,
    FrameError,
    JoinError,
    MeterTimeoutError,
    PropertyRefusedError,
    SessionLostError,
)
from .path import Path
from .refusals import Refusals
from .session import Timing

_LOGGER = logging.getLogger(__name__)

ANSWERS: Mapping[Esv, Collection[Esv]] = {
    Esv.GET: (Esv.GET_RES, Esv.GET_SNA),
    Esv.SETC: (Esv.SET_RES, Esv.SETC_SNA),
}
"""Services that answer a service (EL2 3.2.5)."""

ANSWERING = frozenset().union(*ANSWERS.values())


@dataclass(frozen=True, slots=True)
class Notification:
    """What the meter told unasked (EL2 3.2.5)."""

    values: Values


@dataclass(frozen=True, slots=True)
class _Request:
    """What can be asked for again and again, each time as another transaction."""

    frame: Frame
    """Of transaction 0."""
    data: bytes
    """The same, encoded."""
    codes: tuple[int, ...]

    @classmethod
    def of(cls, frame: Frame) -> Self:
        return cls(frame, frame.encode(), tuple([code for code, _ in frame.properties]))

    def is_answered_by(self, frame: Frame) -> bool:
        """Compare object, service and properties: a notification can bear our TID by chance."""
        if frame.source != self.frame.destination or frame.esv not in ANSWERS[self.frame.esv]:
            return False
        # A meter that can answer nothing of it may leave everything out.
        return not frame.properties or not dict(frame.properties).keys().isdisjoint(self.codes)


@dataclass(frozen=True, slots=True)
class _Answer:
    """What the meter told, and which request it told it to."""

    request: _Request
    frame: Frame
    values: Values
    """What it tells of what was asked for."""


@dataclass(slots=True)
class _Exchange:
    """What is being sent until something of it is answered."""

    answer: asyncio.Future[_Answer]
    sent: dict[int, _Request] = field(default_factory=dict)
    """What was sent so far by its transaction; a late answer to any of it serves."""
    unreadable: _Answer | None = None
    """An answer of which nothing could be read."""

    def answered_by(self, frame: Frame, values: Values) -> _Answer | None:
        """Return an answer with the request that it is to; `None` if it is to none of ours."""
        request = self.sent.get(frame.tid)
        if request is None or not request.is_answered_by(frame):
            return None
        return _Answer(request, frame, values.only(request.codes))


@dataclass(slots=True)
class _Inquiry:
    """A Get in several exchanges: what is still to be asked for, and what was found."""

    refusals: Refusals
    pending: list[int]
    found: Values = NOTHING
    repeated: set[int] = field(default_factory=set)
    missed: dict[int, int] = field(default_factory=dict)
    """How often each one alone met silence, although others were answered."""
    is_silent: bool = False
    """Whether a group was not answered although it is not too large, but one of it was."""
    hint: tuple[int, frozenset[int]] | None = None
    """How many an answer may have had room for, and what it left out: it tells if that is answered next time."""
    fresh: float = math.inf
    """Seconds that all of it may take from the first answer on."""
    until: float = math.inf
    """By the event loop's clock."""

    def take(self, group: Sequence[int], values: Values, capacity: Capacity) -> None:
        """Take an answer to a group; what it left out is asked for again where that is worth it."""
        answered = values.data
        if self.hint is not None and not self.hint[1].isdisjoint(answered):
            capacity.limit(self.hint[0])
        places = [place for place, code in enumerate(group) if code in answered]
        last = places[-1] if places else -1
        is_cut = 0 < len(places) == last + 1 < len(group)
        self.hint = (len(places), frozenset(group[last + 1 :])) if is_cut else None
        capacity.prove(last + 1)
        if answered and not self.found.data:
            self.until = asyncio.get_running_loop().time() + self.fresh
        self.found = self.found.with_those(values)
        if gettable := map_of(values):
            self.refusals.gettable = gettable
            self.pending = [code for code in self.pending if self.refusals.names(code)]
        if len(places) == len(group) and self.refusals.are_none and VOIDABLE.isdisjoint(group):
            return  # As nearly always.
        again = []
        for place, code in enumerate(group):
            if code in answered and is_void(code, values):
                self.refusals.refused(code)
            elif code in answered:
                self.refusals.answered(code)
            elif not self.refusals.names(code):
                continue
            elif places and self.refusals.is_due(code) and (place > last or code not in self.repeated):
                again.append(code)
            else:
                self.refusals.refused(code)
        self.repeated.update(again)
        # The other way round, as a meter may stop at the first one that it refuses.
        self.pending = again[::-1] + self.pending


KEPT = 64
"""Requests that are kept as they were encoded, by the properties that they ask for."""


class Transactions:
    """Get and Set, and the notifications that arrive meanwhile."""

    def __init__(
        self,
        path: Path,
        timing: Timing,
        on_notification: Callable[[Notification], None],
        *,
        refusals: Refusals,
        capacity: Capacity,
        renew: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """`renew` begins another session, where there are sessions: a meter may be deaf in one."""
        self.rssi: float | None = None
        """Signal strength of the last datagram in dBm."""
        self.refusals = refusals
        self.capacity = capacity
        self._path = path
        self._renewal = renew
        self._timing = timing
        self._on_notification = on_notification
        self._turn = asyncio.Lock()
        # By chance, so that late answers to a former program are not taken for ours.
        self._tid = randrange(1, 0x10000)  # noqa: S311  # it is no secret
        self._is_heard = False
        """Whether the meter has answered anything in this session."""
        self._is_renewed = False
        # Each connection begins with another one.
        self._turns = int(asyncio.get_running_loop().time())
        self._exchange: _Exchange | None = None
        self._confirmations: set[asyncio.Task[None]] = set()
        # What is kept goes with the connection.
        self._getting = lru_cache(maxsize=KEPT)(_getting)

    async def get(
        self,
        codes: Collection[int],
        *,
        besides: Collection[int] = (),
        capacity: Capacity | None = None,
        fresh: float = math.inf,
    ) -> Values:
        """Ask for properties, as many in one datagram as the meter can answer.

        What the property map does not name is left out; what was refused lately, too, unless it is all that is asked
        for. What is asked for besides is never worth a request of its own before its time. No value gets older than
        `fresh` seconds while others are asked for: what is still missing by then is left out.

        Raises:
            MeterTimeoutError: no answer.
            SessionLostError: nothing to send over.

        """
        capacity = capacity or self.capacity
        wanted, silent = self.refusals.choose(codes, besides)
        inquiry = _Inquiry(self.refusals, wanted, fresh=fresh)
        while inquiry.pending and self._tries(inquiry):
            # Once a group met silence, one by one: it may be one of it at which the meter falls silent.
            number = 1 if inquiry.is_silent else capacity.most
            group, inquiry.pending = inquiry.pending[:number], inquiry.pending[number:]
            await self._inquire(inquiry, group, capacity)
        for code in silent:  # After the others, which it would keep from being answered.
            if self._tries(inquiry):
                await self._inquire(inquiry, [code], capacity)
        return inquiry.found

    def _tries(self, inquiry: _Inquiry) -> int:
        """Return how often a group may be asked for before what was found is too old."""
        if inquiry.until == math.inf:
            return self._timing.tries
        left = (inquiry.until - asyncio.get_running_loop().time()) / self._timing.answer
        return int(min(left, self._timing.tries))

    def _missed(self, inquiry: _Inquiry, code: int, tries: int) -> None:
        """Take note of what met silence, although something else was answered."""
        missed = inquiry.missed[code] = inquiry.missed.get(code, 0) + tries
        if missed > 1:
            self.refusals.refused(code, is_silent=True)
        else:
            inquiry.pending.append(code)

    async def _inquire(self, inquiry: _Inquiry, group: Sequence[int], capacity: Capacity) -> None:
        """Ask for a group; for one of it alone, if it is refused as a whole or meets silence."""
        tries = self._tries(inquiry)
        if len(group) == 1 and inquiry.found.data:
            # The others first, which are answered at once if only this one meets silence.
            tries = min(1 if inquiry.pending else tries, self._timing.tries - inquiry.missed.get(group[0], 0))
        try:
            answer = await self._request(self._plan(group, capacity, tries))
        except MeterTimeoutError:
            if not inquiry.found.data or len(group) > 1:
                raise
            self._missed(inquiry, group[0], tries)
            return
        asked, answered = answer.request.codes, answer.values
        if len(asked) < len(group):
            inquiry.is_silent = capacity.proved >= len(group)
            capacity.fall_silent(len(group))
        elif not answered.data and len(group) > 1 and any(self.refusals.is_due(code) for code in group):
            answer = await self._request([self._getting(self._one_of(group))] * max(self._tries(inquiry), 1))
            if answer.values.data:
                asked, answered = answer.request.codes, answer.values
                capacity.exceed(len(group))
        inquiry.pending = [code for code in group if code not in asked] + inquiry.pending
        inquiry.take(asked, answered, capacity)

    def _one_of(self, group: Sequence[int]) -> tuple[int]:
        """Return one of a group, each time another one: some may be refused, or ignored, by themselves."""
        self._turns += 1
        return (group[-self._turns % len(group)],)

    def _plan(self, group: Sequence[int], capacity: Capacity, tries: int) -> Sequence[_Request]:
        """Return what to ask for, one after the other, until something is answered."""
        whole = self._timing.tries - 1 if self._is_heard and capacity.proved >= len(group) else 1
        ones = [self._getting(self._one_of(group)) for _ in range(self._timing.tries - whole)]
        return ([self._getting(tuple(group))] * whole + ones)[:tries]

    async def set(self, code: int, data: bytes) -> None:
        """Set a property.

        Raises:
            PropertyRefusedError: the meter would not.
            MeterTimeoutError: no answer.
            SessionLostError: nothing to send over.

        """
        answer = await self._request([_Request.of(Frame.setc(0, code, data))] * self._timing.tries)
        if answer.frame.esv is Esv.SETC_SNA:
            raise PropertyRefusedError(f"the meter would not set {_named(code)}")

    def datagram_received(self, data: bytes, rssi: float | None) -> None:
        """Take a datagram of the meter; damaged ones are left out."""
        try:
            frame = Frame.decode(data)
        except FrameError as err:
            _LOGGER.debug("skipped: %s", err)
            return
        try:
            values = _values(frame)
        except FrameError:
            frame = _readable(frame)
            values = _values(frame)
            if not values.data:
                if self._exchange is not None and (answer := self._exchange.answered_by(frame, values)) is not None:
                    self._exchange.unreadable = answer
                return
        self.rssi = rssi
        if _LOGGER.isEnabledFor(logging.DEBUG):
            _LOGGER.debug("< %s", _shown(frame))
        self._is_heard = self._is_heard or (frame.source == SMART_METER and frame.esv in ANSWERING)
        if frame.esv in (Esv.INF, Esv.INFC) and frame.source in (SMART_METER, NODE_PROFILE):
            self._notification_received(frame, values)
        elif self._exchange is not None and (answer := self._exchange.answered_by(frame, values)) is not None:
            if not self._exchange.answer.done():
                self._exchange.answer.set_result(answer)
        else:
            _LOGGER.debug("skipped: nobody asked for it")

    def fail(self, error: SessionLostError) -> None:
        """End the request that is waiting, and what confirms notifications."""
        for confirmation in self._confirmations:
            confirmation.cancel()
        if self._exchange is not None and not self._exchange.answer.done():
            self._exchange.answer.set_exception(error)
            self._exchange.answer.exception()  # Nobody misses it: it may come by another way, too.

    async def _request(self, plan: Sequence[_Request]) -> _Answer:
        """Send what is planned, one after the other, until something is answered.

        The same request is repeated as the same transaction: a late answer to the first sending serves as well.
        """
        async with self._turn:
            loop = asyncio.get_running_loop()
            self._exchange = exchange = _Exchange(loop.create_future())
            begun = loop.time()
            try:
                for number, request in enumerate(plan):
                    limit = self._timing.answer
                    if number:
                        exchange.answer = loop.create_future()
                    if number == DEAF_TRIES and self._renewal is not None and not (self._is_heard or self._is_renewed):
                        await self._renew(self._renewal)
                        limit = max(min(limit, SILENCE_LIMIT - (loop.time() - begun)), SHORTEST_ANSWER)
                    tid = self._transaction_of(request, exchange)
                    if _LOGGER.isEnabledFor(logging.DEBUG):
                        _LOGGER.debug("> %s", _shown(replace(request.frame, tid=tid)))
                    await self._path.send(with_tid(request.data, tid))
                    expiry = loop.call_later(limit, _expire, exchange.answer)
                    try:
                        return await exchange.answer
                    except TimeoutError:
                        continue
                    finally:
                        expiry.cancel()
                if exchange.unreadable is not None:
                    return exchange.unreadable
                raise MeterTimeoutError(f"the meter did not answer {len(plan)} times")
            finally:
                self._exchange = None

    def _transaction_of(self, request: _Request, exchange: _Exchange) -> int:
        """Return the transaction as which a request was sent, or will be."""
        for tid, sent in exchange.sent.items():
            if sent is request:
                return tid
        self._tid = self._tid % 0xFFFF + 1
        exchange.sent[self._tid] = request
        return self._tid

    async def _renew(self, renewal: Callable[[], Awaitable[None]]) -> None:
        """Begin a new session, once: some meters answer nothing in the first one."""
        _LOGGER.debug("the meter answers nothing in this session; beginning another")
        self._is_renewed = True
        try:
            async with asyncio.timeout(RENEWAL_LIMIT):
                await renewal()
        except (JoinError, TimeoutError) as err:
            raise MeterTimeoutError("the meter answers nothing, and does not begin another session") from err

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
                await self._path.send(frame.confirmation().encode())
        except (BRouteError, TimeoutError) as err:
            _LOGGER.debug("a notification stays unconfirmed: %s", err)


DEAF_TRIES = 2
"""Requests of which none was answered in a session, before another session is begun."""

RENEWAL_LIMIT = 10.0
"""Seconds that another session may take to begin; a J11 module needs eight."""

SILENCE_LIMIT = 39.0
"""Seconds after which a meter is called silent that has answered nothing since it was joined."""

SHORTEST_ANSWER = 4.0
"""Seconds that a new session has to answer; most answers come within one."""

CONFIRMATION_LIMIT = 15.0
"""Seconds after which the meter repeats the notification anyway."""


def _expire(answer: asyncio.Future[_Answer]) -> None:
    """End the wait for an answer."""
    # It may have come in the same turn of the event loop.
    with suppress(asyncio.InvalidStateError):
        answer.set_exception(TimeoutError())


def _getting(codes: tuple[int, ...]) -> _Request:
    """Return a Get of some properties, always the same for the same ones."""
    return _Request.of(Frame.get(0, codes))


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


def _shown(frame: Frame) -> str:
    """Return a frame for the log, without what identifies a household."""
    properties = " ".join(
        f"{code:02X}={'***' if data and _is_private(code) else data.hex().upper()}" for code, data in frame.properties
    )
    return f"{frame.esv.name} {frame.tid:04X} {properties}"


def _is_private(code: int) -> bool:
    return code not in PROPERTIES or PROPERTIES[code].private
