"""The connection to one meter, over a dongle that other meters may share."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from homeassistant.const import CONF_DEVICE, CONF_PASSWORD, RESTART_EXIT_CODE
from homeassistant.core import callback
from homeassistant.exceptions import ConfigEntryNotReady
from homeassistant.helpers.importlib import async_import_module

from ..aiobroute import (
    BRouteError,
    Credentials,
    FrameError,
    MeterProfile,
    ModuleEvent,
    Notification,
    Pan,
    PortError,
    Progress,
    SessionLostError,
    connect,
    loaded_later,
    shown,
)
from ..const import CONF_MODULE, CONF_PAN, CONF_PROFILE, CONF_ROUTE_B_ID
from .sharing import REJOIN_PAUSE, Lease, async_sharers

if TYPE_CHECKING:
    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant

    from ..aiobroute import JoinedMeter
    from .journal import Journal

CONNECT_LIMIT: Final = 1800
"""Seconds; two joins of twelve minutes, a scan of all passes and a meter that answers single properties need less."""

LEAVE_LIMIT: Final = 3
"""Seconds that Home Assistant's stop may wait; a meter that ends its session does so within one."""


class MeterExchangedError(BRouteError):
    """Another meter answers with the credentials of ours."""

    def __init__(self, pan: Pan) -> None:
        super().__init__("another meter answers")
        self.pan = pan


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
        self.meter: JoinedMeter | None = None
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

    async def open(self) -> JoinedMeter:
        """Connect to the meter, and keep what the next start need not look for.

        Raises:
            BRouteError: it could not be done.
            MeterExchangedError: another meter answers.
            TimeoutError: it takes too long.

        """
        meter = await self._connect(self._entry.data)
        self._journal.end()
        self._journal.note("connected", f"channel {meter.pan.channel}")
        self.must_join = False
        if meter.pan.mac != self._entry.unique_id:
            await meter.close()
            raise MeterExchangedError(meter.pan)
        self.meter = meter
        # The meter may have moved to another channel, and the dongle be another.
        self._keep({CONF_MODULE: meter.module.family, CONF_PAN: asdict(meter.pan)})
        self.keep_profile()
        return meter

    async def _connect(self, data: Mapping[str, Any]) -> JoinedMeter:
        for name in loaded_later(data.get(CONF_MODULE)):
            await async_import_module(self._hass, name)
        try:
            async with asyncio.timeout(CONNECT_LIMIT):
                return await connect(
                    data[CONF_DEVICE],
                    Credentials(data[CONF_ROUTE_B_ID], data[CONF_PASSWORD]),
                    family=data.get(CONF_MODULE),
                    pan=Pan(**data[CONF_PAN]),
                    profile=self.profile or _kept_profile(data),
                    must_join=self.must_join,
                    on_lost=self._on_lost,
                    on_notification=self._on_notification,
                    on_progress=self._progressed,
                    on_event=self._happened,
                )
        except ConfigEntryNotReady as err:
            # The port is a serial proxy, and the integration that offers it is not there.
            raise PortError(str(err), shown(data[CONF_DEVICE])) from err

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

    async def _leave(self, meter: JoinedMeter) -> None:
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


def _kept_profile(data: Mapping[str, Any]) -> MeterProfile | None:
    try:
        return MeterProfile.from_raw(data[CONF_PROFILE])
    except KeyError, FrameError:
        return None  # The meter will tell.


async def _end_session(meter: JoinedMeter) -> None:
    """End the session and release the port; a meter that does not answer is not waited for."""
    with suppress(BRouteError, TimeoutError):
        async with asyncio.timeout(LEAVE_LIMIT):
            await meter.leave()
