"""The connection to one meter, over a dongle that other meters may share, or in the home network."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from homeassistant.const import CONF_DEVICE, RESTART_EXIT_CODE
from homeassistant.core import callback

from .aiobroute import BRouteError, JoinedMeter, NodeNotFoundError
from .const import CONF_NODE, CONF_PROFILE
from .dongle.sharing import REJOIN_PAUSE, Lease, async_sharers
from .nodes import profile_of, reader_of
from .opening import async_open, identity_in, place_of

if TYPE_CHECKING:
    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant

    from .aiobroute import MeterProfile, ModuleEvent, Node, Notification, Progress, SessionLostError, SmartMeter
    from .dongle.journal import Journal
    from .opening import AnyMeter

CONNECT_LIMIT: Final = 1800
"""Seconds; two joins of twelve minutes, a scan of all passes and a meter that answers single properties need less."""

LEAVE_LIMIT: Final = 3
"""Seconds that Home Assistant's stop may wait; a meter that ends its session does so within one."""


class MeterExchangedError(BRouteError):
    """Another meter answers with the credentials of ours, or the only one in the home network that is nobody's."""

    def __init__(self, place: Mapping[str, Any]) -> None:
        super().__init__("another meter answers")
        self.place = place
        """What an entry keeps of where that meter is."""


class Connection:
    """Is made when it is needed, kept as long as nobody else waits for the dongle, and made anew after an error."""

    def __init__(
        self,
        hass: HomeAssistant,
        entry: ConfigEntry,
        journal: Journal,
        *,
        on_lost: Callable[[SessionLostError], None],
        on_notification: Callable[[Notification], None],
    ) -> None:
        self.meter: AnyMeter | None = None
        """As long as there is a connection."""
        self.profile: MeterProfile | None = None
        """What the meter has told so far; `None` before the first connection."""
        self.must_join = False
        """Whether the session that module and meter may still have is not worth going on with."""
        self._hass = hass
        self._entry = entry
        self._journal = journal
        self._on_lost = on_lost
        self._on_notification = on_notification
        self._lease = Lease(hass, self._give_way)
        self._uses = 0
        self._left = float("-inf")

    @property
    def sharers(self) -> int:
        """Return how many meters are set up on the dongle."""
        return async_sharers(self._hass, self._entry.data[CONF_DEVICE])

    def in_time(self) -> AbstractAsyncContextManager[None]:
        """Limit what is done to the deadline of the lease.

        Raises:
            TimeoutError: another meter has waited for the dongle for too long.

        """
        return self._lease.in_time()

    @asynccontextmanager
    async def in_use(self) -> AsyncIterator[None]:
        """Hold the dongle while something is done, and afterwards until another meter waits for it."""
        self._uses += 1
        device = self._entry.data[CONF_DEVICE]
        try:
            if self._uses == 1 and self._lease.is_held and self._lease.device != device:
                # The port has another name by now, by which the others know it.
                await self.close()
                self._lease.release()
            if not self._lease.is_held:
                if (pause := self._left + REJOIN_PAUSE - self._hass.loop.time()) > 0:
                    await asyncio.sleep(pause)
                await self._lease.take(device)
            yield
        finally:
            self._uses -= 1
            self._give_way()

    async def open(self) -> AnyMeter:
        """Connect to the meter, and keep what the next start need not look for.

        Raises:
            BRouteError: it could not be done.
            MeterExchangedError: another meter answers.
            TimeoutError: it takes too long.

        """
        meter = await self._open()
        place = place_of(meter)
        self._journal.end()
        self._journal.note("connected", f"channel {meter.pan.channel}" if isinstance(meter, JoinedMeter) else "")
        self.must_join = False
        if identity_in(place) != identity_in(self._entry.data):
            await meter.close()
            raise MeterExchangedError(place)
        self.meter = meter
        # The meter may have moved to another channel or address, and the dongle be another.
        self._keep(place)
        self.keep_profile()
        return meter

    async def _open(self) -> AnyMeter:
        data = self._entry.data
        others: list[Node] = []
        async with asyncio.timeout(CONNECT_LIMIT):
            try:
                return await async_open(
                    self._hass,
                    data,
                    profile=self.profile or profile_of(data),
                    must_join=self.must_join,
                    on_lost=self._on_lost,
                    on_notification=self._on_notification,
                    on_progress=self._progressed,
                    on_event=self._happened,
                    on_other=others.append,
                )
            except NodeNotFoundError:
                unread = [other for other in others if reader_of(self._hass, other.identity) is None]
                if len(unread) == 1:  # It may have taken the place of ours.
                    raise MeterExchangedError({CONF_NODE: asdict(unread[0])}) from None
                raise

    @callback
    def keep_profile(self) -> bool:
        """Keep what the meter has told, if it is complete; return whether it is news."""
        if self.meter is None or self.meter.profile is self.profile:
            return False
        self.profile = self.meter.profile
        if self.profile.is_complete:
            self._keep({CONF_PROFILE: dict(self.profile.raw)})
        return True

    async def close(self) -> None:
        """Release the port; a session that is ended instead could not be joined again for ten seconds."""
        if (meter := self.meter) is not None:
            self.meter = None
            await meter.close()
        self._give_way()

    async def stop(self) -> None:
        """Terminate the session, except before a restart of Home Assistant: the meter might refuse the next join."""
        self._uses += 1  # Others have no use for the dongle any more.
        meter, self.meter = self.meter, None
        if meter is None:
            return
        if self._hass.exit_code == RESTART_EXIT_CODE:
            await meter.close()
            return
        await _end_session(meter)

    @callback
    def _give_way(self) -> None:
        """Release the dongle if nothing is under way; the session is kept for as long as no other meter waits."""
        if self._uses or not self._lease.is_held:
            return
        meter = self.meter
        if meter is None:
            self._lease.release()
        elif self._lease.is_requested:
            self.meter = None
            self._entry.async_create_background_task(self._hass, self._leave(meter), f"{self._entry.title} leave")

    async def _leave(self, meter: SmartMeter) -> None:
        self._journal.note("turn over")
        self._left = self._hass.loop.time()
        async with self._lease.ending():
            await _end_session(meter)

    @callback
    def _keep(self, found: dict[str, object]) -> None:
        self._hass.config_entries.async_update_entry(self._entry, data={**self._entry.data, **found})

    @callback
    def _progressed(self, progress: Progress) -> None:
        step = progress.stage.name.lower()
        self._journal.begin(step)
        self._journal.note(step, f"pass {progress.scan.number} of {progress.scan.of}" if progress.scan else "")

    @callback
    def _happened(self, event: ModuleEvent) -> None:
        self._journal.note(f"event {event.name}")


async def _end_session(meter: SmartMeter) -> None:
    """End the session and release the port; a meter that does not answer is not waited for."""
    with suppress(BRouteError, TimeoutError):
        async with asyncio.timeout(LEAVE_LIMIT):
            await meter.leave()
