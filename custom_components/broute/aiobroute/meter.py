"""One connected smart meter."""

from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum, auto
from functools import partial
import logging
from typing import Self

from .echonet.properties import (
    COEFFICIENT,
    CURRENTS,
    ENERGY_IN,
    ENERGY_OUT,
    POWER,
    AnyProperty,
    Property,
    Values,
)
from .errors import (
    JoinError,
    JoinRefusedError,
    ModuleTimeoutError,
    PropertyRefusedError,
    SessionLostError,
)
from .history import History
from .listeners import nobody
from .module import Beacon, Credentials, ModuleEvent, ModuleInfo, Pan
from .probe import probe
from .profile import CONSTANTS, MeterProfile
from .resumption import Resumed, resume
from .session import ScanPass, Session, State, Timing
from .transactions import Notification, Transactions

_LOGGER = logging.getLogger(__name__)

READING: tuple[AnyProperty, ...] = (POWER, CURRENTS, ENERGY_IN, ENERGY_OUT)
"""What one poll asks for, in one datagram."""


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


class Stage(Enum):
    """The steps of connecting."""

    PROBE = auto()
    SCAN = auto()
    JOIN = auto()
    WAIT = auto()
    """The meter does not answer yet; it may take minutes until it is certain that it will not."""
    READ = auto()


@dataclass(frozen=True, slots=True)
class Progress:
    """A step that begins now."""

    stage: Stage
    scan: ScanPass | None = None


class SmartMeter:
    """A meter that was joined; after an error of the connection another one is made."""

    def __init__(
        self,
        session: Session,
        transactions: Transactions,
        *,
        pan: Pan,
        module: ModuleInfo,
        profile: MeterProfile,
        first: Resumed | None = None,
    ) -> None:
        """Take over what `connect` has joined."""
        self.pan = pan
        """Where the meter is on the air: the next `connect` needs no scan with it."""
        self.module = module
        self.profile = profile
        self._session = session
        self._transactions = transactions
        self._first = first
        self.history = History(transactions, profile)
        """What the meter remembers."""

    async def __aenter__(self) -> Self:
        """Use the meter for the length of a `with`."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Release the port."""
        await self.close()

    @property
    def restricted(self) -> bool:
        """Return whether requests wait because the module's hourly airtime is used up (ARIB STD-T108)."""
        return self._session.restricted

    @property
    def is_lost(self) -> bool:
        """Return whether the session is over, so that another connection is needed."""
        return self._session.state is State.LOST

    @property
    def dropped(self) -> int:
        """Return how many datagrams were not the meter's, or not encrypted."""
        return self._session.dropped

    async def read(self) -> Reading:
        """Return the present measurements: one request, one answer.

        Raises:
            MeterTimeoutError: no answer.
            SessionLostError: the session is over; connect anew.
            ModuleError: the module does not do as it is told.
            PortError: the port went away.

        """
        values = self._told() or await self.get(*(row for row in READING if self.profile.has(row)))
        current_r, current_t = values.read(CURRENTS) or (None, None)
        return Reading(
            power=values.read(POWER),
            current_r=current_r,
            current_t=current_t,
            energy_in=self.profile.energy(values.read(ENERGY_IN)),
            energy_out=self.profile.energy(values.read(ENERGY_OUT)),
            rssi=self._transactions.rssi,
        )

    def _told(self) -> Values | None:
        """Return what the meter told while the session was found; it counts once."""
        first, self._first = self._first, None
        return None if first is None else first.fresh_values()

    async def get(self, *rows: AnyProperty) -> Values:
        """Return what the meter has of these; what it refused once is not asked for again.

        Raises:
            MeterTimeoutError: no answer.
            SessionLostError: the session is over.
            ModuleError: the module does not do as it is told.
            PortError: the port went away.

        """
        return await self.get_codes(*(row.code for row in rows))

    async def get_codes(self, *codes: int) -> Values:
        """Return what the meter has of these codes, which need not be known to us.

        Raises:
            MeterTimeoutError: no answer.
            SessionLostError: the session is over.
            ModuleError: the module does not do as it is told.
            PortError: the port went away.

        """
        return await self._transactions.get(codes)

    async def value[T](self, row: Property[T]) -> T | None:
        """Return one property; `None` if the meter has no value at present.

        Raises:
            PropertyRefusedError: the meter does not have it.
            MeterTimeoutError: no answer.
            SessionLostError: the session is over.
            ModuleError: the module does not do as it is told.
            PortError: the port went away.

        """
        values = await self.get(row)
        if row.code not in values.data:
            raise PropertyRefusedError(f"the meter does not have {row.name}")
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
        if self.profile.settable and row.code not in self.profile.settable:
            raise PropertyRefusedError(f"the meter does not let {row.name} be set")
        await self._transactions.set(row.code, data)

    async def leave(self) -> None:
        """End the session politely and release the port."""
        try:
            await self._session.leave()
        finally:
            await self.close()

    async def close(self) -> None:
        """Release the port and return when it is free; the session goes on in module and meter."""
        self._transactions.fail(SessionLostError("the connection was closed"))
        await self._session.close()


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
) -> SmartMeter:
    """Open the port, find the meter, join it and read what does not change.

    A module of the family that is given is asked for first. If a PAN is given, the session goes on that an earlier
    connection left in module and meter, unless it must be joined, which proves the credentials. If there is none, the
    PAN is joined without a scan; if it does not answer, the meter is scanned for. A profile that is given spares an
    exchange, as long as the meter has the MAC of that PAN. What the module tells of the session is passed on to
    `on_event`, for a record.

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
        session = await _open(stack, url, timing, family, on_event)
        first = None
        if pan is not None and not must_join:
            wanted = [row.code for row in READING if profile is None or profile.has(row)]
            try:
                first = await resume(session, credentials, pan, wanted)
            except ModuleTimeoutError as err:
                _LOGGER.debug("%s; asking for the module anew", err)
                await session.close()
                session = await _open(stack, url, timing, family, on_event)
        if pan is not None and first is not None:
            joined = pan
        else:
            await session.prepare(credentials)
            joined = await _join(session, credentials, pan, on_progress)
        on_progress(Progress(Stage.READ))
        transactions = Transactions(session, timing, on_notification)
        transactions.rssi = None if first is None else first.rssi

        def lost(error: SessionLostError) -> None:
            transactions.fail(error)
            on_lost(error)

        session.attach(on_datagram=transactions.datagram_received, on_lost=lost)
        if profile is None or pan is None or pan.mac != joined.mac:
            profile = await _read_profile(transactions)
        stack.pop_all()
        return SmartMeter(session, transactions, pan=joined, module=session.module, profile=profile, first=first)


async def _open(
    stack: AsyncExitStack,
    url: str,
    timing: Timing,
    family: str | None = None,
    on_event: Callable[[ModuleEvent], None] | None = None,
) -> Session:
    session = Session(await probe(url, patience=timing.probe, family=family), timing, on_event)
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


async def _read_profile(transactions: Transactions) -> MeterProfile:
    constants = await transactions.get([row.code for row in CONSTANTS])
    profile = MeterProfile.of(constants)
    if profile.has(COEFFICIENT):
        coefficient = await transactions.get([COEFFICIENT.code])
        profile = MeterProfile.of(Values({**constants.data, **coefficient.data}))
    _LOGGER.debug("%s", profile)
    return profile
