"""One connected smart meter."""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import Enum, auto
from functools import partial
import logging
import math
from typing import Self, override

from .capacity import MOST, Capacity
from .echonet.properties import (
    COEFFICIENT,
    CURRENTS,
    EFFECTIVE_DIGITS,
    ENERGY_IN,
    ENERGY_OUT,
    ENERGY_UNIT,
    GET_MAP,
    POWER,
    SET_MAP,
    AnyProperty,
    Property,
    Values,
    is_void,
)
from .errors import (
    JoinError,
    JoinRefusedError,
    MeterRefusedError,
    ModuleTimeoutError,
    PropertyRefusedError,
    SessionLostError,
)
from .history import BOTH_DIRECTIONS, History
from .listeners import Tap, nobody
from .module import Beacon, Credentials, ModuleEvent, ModuleInfo, Pan
from .path import Path
from .probe import probe
from .profile import CONSTANTS, MAPS, MeterProfile
from .refusals import Refusals
from .resumption import Resumed, resume
from .session import ScanPass, Session, Timing
from .transactions import Notification, Transactions

_LOGGER = logging.getLogger(__name__)

READING: tuple[AnyProperty, ...] = (POWER, CURRENTS, ENERGY_IN, ENERGY_OUT)
"""What one poll asks for, in one datagram."""

FRESH = 40.0
"""Seconds that a reading may take from its first answer on, where it takes several exchanges: it tells of one time."""

ENERGY_CODES = frozenset({ENERGY_IN.code, ENERGY_OUT.code})

NEEDED: tuple[AnyProperty, ...] = (ENERGY_UNIT, COEFFICIENT, GET_MAP, EFFECTIVE_DIGITS)
"""Constants without which a reading may lack its energies: where they are not known yet, it asks for them, too."""

NEEDED_CODES = frozenset(row.code for row in NEEDED)

LEARNT: tuple[AnyProperty, ...] = tuple(dict.fromkeys((*NEEDED, *MAPS, *CONSTANTS)))
"""All that does not change, in the order in which it is needed."""

LEARNT_CODES = frozenset(row.code for row in LEARNT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What the meter measures at one moment; `None` where it has no such measurement."""

    power: int | None
    """W; negative while feeding in."""
    current_r: Decimal | None
    """A, in steps of 0.1; negative while feeding in."""
    current_t: Decimal | None
    """A; `None` on a one-phase installation."""
    energy_in: Decimal | None
    """kWh taken from the grid, as on the meter's display."""
    energy_out: Decimal | None
    """kWh fed into the grid, as on the meter's display."""
    rssi: float | None
    """Signal strength of the answer in dBm, where the module tells."""
    refused: frozenset[int] = frozenset()
    """Codes of what the meter has, or may have, and refused this time: measurements, and what scales them."""


class Stage(Enum):
    """The steps of connecting."""

    PROBE = auto()
    SCAN = auto()
    JOIN = auto()
    WAIT = auto()
    """The meter does not answer yet; it may take minutes until it is certain that it will not."""
    READ = auto()
    SEARCH = auto()
    """A meter is asked, or looked for, in the home network."""


@dataclass(frozen=True, slots=True)
class Progress:
    """A step that begins now."""

    stage: Stage
    scan: ScanPass | None = None


class SmartMeter:
    """A meter that answers; after an error of the connection another one is made."""

    def __init__(
        self, path: Path, transactions: Transactions, profile: MeterProfile | None, first: Resumed | None = None
    ) -> None:
        self._path = path
        self._transactions = transactions
        self._first = first
        self._profile = profile or MeterProfile.of({})
        self._lacking: tuple[AnyProperty, ...] = ()
        self._days = Capacity(BOTH_DIRECTIONS, self._profile.days_per_get, asyncio.get_running_loop().time)
        self._look_for_gaps()
        self.history = History(transactions, lambda: self._profile, self._days, self._learn_scaling)
        """What the meter remembers."""

    async def __aenter__(self) -> Self:
        """Use the meter for the length of a `with`."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Release the port."""
        await self.close()

    @property
    def profile(self) -> MeterProfile:
        """Return the meter's identity, abilities and scaling as far as they are known by now."""
        per_get, days_per_get = self._transactions.capacity.proved or None, self._days.proved or None
        if (per_get, days_per_get) != (self._profile.per_get, self._profile.days_per_get):
            self._profile = replace(self._profile, per_get=per_get, days_per_get=days_per_get)
        return self._profile

    @property
    def restricted(self) -> bool:
        """Return whether requests wait because the module's hourly airtime is used up (ARIB STD-T108)."""
        return self._path.restricted

    @property
    def rssi(self) -> float | None:
        """Return the signal strength of the last datagram in dBm, where the module tells."""
        return self._transactions.rssi

    @property
    def is_lost(self) -> bool:
        """Return whether the connection is over, so that another one is needed."""
        return self._path.is_lost

    @property
    def dropped(self) -> int:
        """Return how many datagrams were not the meter's, or not encrypted by its session."""
        return self._path.dropped

    async def read(self) -> Reading:
        """Return the present measurements: one request, one answer.

        What the meter refuses at present is `None`, and named in the reading.

        Raises:
            MeterRefusedError: the meter answers, but tells none of them.
            MeterTimeoutError: no answer.
            SessionLostError: the session is over; connect anew.
            ModuleError: the module does not do as it is told.
            PortError: the port went away.

        """
        asked = self._measured
        values = self._told() or await self._get(asked, NEEDED_CODES, fresh=FRESH)
        refused = {code for code in asked if code not in values.data}
        if len(refused) == len(asked):
            raise MeterRefusedError("the meter answers, but refuses to tell anything at present")
        if self._unscaled_by and not refused.issuperset(ENERGY_CODES):
            refused |= set(filter(self._transactions.refusals.names, self._unscaled_by))
        current_r, current_t = values.read(CURRENTS) or (None, None)
        return Reading(
            power=values.read(POWER),
            current_r=current_r,
            current_t=current_t,
            energy_in=self._profile.energy(values.read(ENERGY_IN)),
            energy_out=self._profile.energy(values.read(ENERGY_OUT)),
            rssi=self._transactions.rssi,
            refused=frozenset(refused),
        )

    def _told(self) -> Values | None:
        """Return what the meter told while the session was found; it counts once."""
        first, self._first = self._first, None
        return None if first is None else first.fresh_values()

    async def learn(self) -> None:
        """Ask for what does not change, as far as it is not known yet.

        Raises:
            MeterTimeoutError: no answer.
            SessionLostError: the session is over.
            ModuleError: the module does not do as it is told.
            PortError: the port went away.

        """
        await self._get([row.code for row in CONSTANTS if row in self._lacking])
        _LOGGER.debug("%s", self.profile)

    async def _learn_scaling(self) -> bool:
        """Ask for what makes energies of counts and is not known yet; return whether there is any such thing."""
        codes = [row.code for row in NEEDED if row in self._lacking]
        await self._get(codes)
        return bool(codes)

    async def get(self, *rows: AnyProperty) -> Values:
        """Return what the meter tells of these; what it refuses is absent, and worth asking for again.

        Raises:
            MeterTimeoutError: no answer.
            SessionLostError: the session is over.
            ModuleError: the module does not do as it is told.
            PortError: the port went away.

        """
        return await self.get_codes(*(row.code for row in rows))

    async def get_codes(self, *codes: int) -> Values:
        """Return what the meter tells of these codes, which need not be known to us.

        Raises:
            MeterTimeoutError: no answer.
            SessionLostError: the session is over.
            ModuleError: the module does not do as it is told.
            PortError: the port went away.

        """
        return await self._get(tuple(dict.fromkeys(codes)), LEARNT_CODES)

    async def _get(self, codes: Collection[int], besides: Collection[int] = (), *, fresh: float = math.inf) -> Values:
        """Ask for these and, where there is room in the request, for constants that are not known yet."""
        is_learning = not LEARNT_CODES.isdisjoint(codes)
        if not self._lacking and not is_learning:
            return await self._transactions.get(codes, fresh=fresh)
        refusals = self._transactions.refusals
        lacking = [row.code for row in self._lacking if row.code in besides and row.code not in codes]
        # Where there is not room for all, those that are refused must not keep the others from being asked for.
        extra = sorted(filter(refusals.admits, lacking), key=refusals.last)
        room = max(self._transactions.capacity.most - len(codes), 1)
        values = await self._transactions.get(codes, besides=extra[:room], fresh=fresh)
        if extra or is_learning:
            self._take_constants(values)
        return values

    def _take_constants(self, values: Values) -> None:
        told = {code: edt for code, edt in values.data.items() if code in LEARNT_CODES and not is_void(code, values)}
        data = {**self._profile.data, **told}
        lasting = map(self._transactions.refusals.is_lasting, (GET_MAP.code, COEFFICIENT.code))
        if GET_MAP.code not in data and all(lasting):
            # Many meters have none; of one that does not say which it has, the third refusal counts.
            data.setdefault(COEFFICIENT.code, b"")
        if data != self._profile.data or not self._profile.unchecked.isdisjoint(told):
            before = self.profile
            self._profile = MeterProfile.of(
                data,
                per_get=before.per_get,
                days_per_get=before.days_per_get,
                unchecked=before.unchecked - told.keys(),
            )
            self._look_for_gaps()

    def _look_for_gaps(self) -> None:
        self._measured = tuple([row.code for row in READING if self._profile.has(row)])
        self._unscaled_by = self._profile.unscaled_by
        self._lacking = tuple(row for row in LEARNT if self._profile.lacks(row))
        self._transactions.refusals.gettable = self._profile.gettable

    async def value[T](self, row: Property[T]) -> T | None:
        """Return one property; `None` if the meter has no value at present.

        Raises:
            PropertyRefusedError: the meter does not have it, or refuses it at present.
            MeterTimeoutError: no answer.
            SessionLostError: the session is over.
            ModuleError: the module does not do as it is told.
            PortError: the port went away.

        """
        values = await self.get(row)
        if row.code not in values.data:
            raise PropertyRefusedError(f"the meter does not tell {row.name}")
        return values.read(row)

    async def set[T](self, row: Property[T], value: T) -> None:
        """Set a property.

        Raises:
            ValueError: the property cannot have this value.
            PropertyRefusedError: the meter would not.
            MeterTimeoutError: no answer.
            SessionLostError: the session is over.
            ModuleError: the module does not do as it is told.
            PortError: the port went away.

        """
        data = row.encode(value)
        if SET_MAP in self._lacking:
            await self.get(SET_MAP)
        if self.profile.settable and row.code not in self.profile.settable:
            raise PropertyRefusedError(f"the meter does not let {row.name} be set")
        await self._transactions.set(row.code, data)

    async def leave(self) -> None:
        """End what the meter knows of the connection, if it knows anything, and release the port."""
        await self.close()

    async def close(self) -> None:
        """Release the port and return when it is free; a session goes on in module and meter."""
        self._transactions.fail(SessionLostError("the connection was closed"))
        await self._path.close()


class JoinedMeter(SmartMeter):
    """A meter that was joined over a Wi-SUN module."""

    def __init__(  # the last may be left out
        self,
        session: Session,
        transactions: Transactions,
        profile: MeterProfile | None,
        *,
        pan: Pan,
        first: Resumed | None = None,
    ) -> None:
        super().__init__(session, transactions, profile, first)
        self.pan = pan
        """Where the meter is on the air: the next `connect` needs no scan with it."""
        self.module = session.module
        """What the module said about itself."""
        self._session = session

    @override
    async def leave(self) -> None:
        """Terminate the session (SKTERM) and release the port."""
        try:
            await self._session.leave()
        finally:
            await self.close()


async def connect(  # noqa: PLR0913  # all but the first two may be left out
    url: str,
    credentials: Credentials,
    *,
    family: str | None = None,
    pan: Pan | None = None,
    profile: MeterProfile | None = None,
    timing: Timing | None = None,
    must_join: bool = False,
    on_progress: Callable[[Progress], None] = nobody,
    on_notification: Callable[[Notification], None] = nobody,
    on_lost: Callable[[SessionLostError], None] = nobody,
    on_event: Callable[[ModuleEvent], None] = nobody,
    tap: Tap | None = None,
) -> JoinedMeter:
    """Open the port, find the meter, join it and read what does not change.

    A module of the family that is given is asked for first. If a PAN is given, the session goes on that an earlier
    connection left in module and meter, unless it must be joined, which proves the credentials. If there is none, the
    PAN is joined without a scan; if it does not answer, the meter is scanned for. A profile that is given and complete
    spares an exchange, as long as the meter has the MAC of that PAN. What the module tells of the session is passed on
    to `on_event`, for a record; `tap` hears everything that goes over the port.

    Raises:
        PortError: the port cannot be opened, or went away.
        ModuleError: no module answers, or it refused a command.
        MeterNotFoundError: no meter answers to the Route B ID.
        JoinRefusedError: the meter was heard and refused ID or password twice.
        JoinError: the meter did not answer the authentication.
        MeterTimeoutError: it joined, but answered no request.
        AirtimeError: the module may not send at present.

    """
    timing = timing or Timing()
    async with AsyncExitStack() as stack:
        on_progress(Progress(Stage.PROBE))
        session = await _open(stack, url, timing, family, on_event, tap)
        first = None
        if pan is not None and not must_join:
            wanted = [row.code for row in READING if profile is None or profile.has(row)]
            try:
                first = await resume(session, credentials, pan, wanted)
            except ModuleTimeoutError as err:
                _LOGGER.debug("%s; asking for the module anew", err)
                await session.close()
                session = await _open(stack, url, timing, family, on_event, tap)
        if pan is not None and first is not None:
            joined = pan
        else:
            await session.prepare(credentials)
            joined = await _join(session, credentials, pan, on_progress)
        on_progress(Progress(Stage.READ))
        meter = meter_over(
            session,
            timing,
            pan=joined,
            profile=profile if pan is not None and pan.mac == joined.mac else None,
            first=first,
            on_notification=on_notification,
            on_lost=on_lost,
        )
        if not meter.profile.is_complete:
            await meter.learn()
        stack.pop_all()
        return meter


def meter_over(  # the last four may be left out
    session: Session,
    timing: Timing,
    *,
    pan: Pan,
    profile: MeterProfile | None = None,
    first: Resumed | None = None,
    on_notification: Callable[[Notification], None] = nobody,
    on_lost: Callable[[SessionLostError], None] = nobody,
) -> JoinedMeter:
    """Return the meter that was joined, without asking it for anything yet."""
    transactions = transactions_over(session, timing, profile, on_notification, on_lost, renew=session.renew)
    transactions.rssi = None if first is None else first.rssi
    return JoinedMeter(session, transactions, profile, pan=pan, first=first)


def transactions_over(  # the last is of those paths only that have sessions
    path: Path,
    timing: Timing,
    profile: MeterProfile | None,
    on_notification: Callable[[Notification], None],
    on_lost: Callable[[SessionLostError], None],
    *,
    renew: Callable[[], Awaitable[None]] | None = None,
) -> Transactions:
    """Return what asks a meter over a path, of which a profile tells how much it answers in one Get."""
    now = asyncio.get_running_loop().time
    per_get = None if profile is None else profile.per_get
    transactions = Transactions(
        path, timing, on_notification, refusals=Refusals(now), capacity=Capacity(MOST, per_get, now), renew=renew
    )

    def lost(error: SessionLostError) -> None:
        transactions.fail(error)
        on_lost(error)

    path.attach(on_datagram=transactions.datagram_received, on_lost=lost)
    return transactions


async def _open(
    stack: AsyncExitStack,
    url: str,
    timing: Timing,
    family: str | None = None,
    on_event: Callable[[ModuleEvent], None] | None = None,
    tap: Tap | None = None,
) -> Session:
    session = Session(await probe(url, patience=timing.probe, family=family, tap=tap), timing, on_event)
    stack.push_async_callback(session.close)
    return session


async def find(
    url: str,
    credentials: Credentials,
    *,
    timing: Timing | None = None,
    on_progress: Callable[[Progress], None] = nobody,
) -> tuple[Beacon, ModuleInfo]:
    """Open the port and scan for the meter, without joining it.

    Raises:
        PortError: the port cannot be opened, or went away.
        ModuleError: no module answers, or it refused a command.
        MeterNotFoundError: no meter answers to the Route B ID.
        AirtimeError: the module may not send at present.

    """
    timing = timing or Timing()
    async with AsyncExitStack() as stack:
        on_progress(Progress(Stage.PROBE))
        session = await _open(stack, url, timing)
        await session.prepare(credentials)
        return await _scan(session, credentials, on_progress), session.module


async def _join(
    session: Session, credentials: Credentials, pan: Pan | None, on_progress: Callable[[Progress], None]
) -> Pan:
    waiting = partial(on_progress, Progress(Stage.WAIT))
    if pan is not None:
        on_progress(Progress(Stage.JOIN))
        try:
            await session.join(pan, waiting)
        except JoinRefusedError:
            # Only a meter that is really there may accuse the credentials.
            if await session.hears(pan):
                raise
        except JoinError as err:
            _LOGGER.debug("%s; scanning for it", err)
        else:
            return pan
    pan = (await _scan(session, credentials, on_progress)).pan
    on_progress(Progress(Stage.JOIN))
    await session.join(pan, waiting)
    return pan


async def _scan(session: Session, credentials: Credentials, on_progress: Callable[[Progress], None]) -> Beacon:
    return await session.scan(credentials, lambda scan: on_progress(Progress(Stage.SCAN, scan)))
