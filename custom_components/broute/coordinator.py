"""The owner of the connection; what goes wrong with it becomes Home Assistant's words here."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict
from datetime import timedelta
import logging
from typing import TYPE_CHECKING, Any, override

from homeassistant.config_entries import ConfigEntry
from homeassistant.const import CONF_DEVICE, CONF_PASSWORD, RESTART_EXIT_CODE
from homeassistant.core import CoreState, callback
from homeassistant.exceptions import ConfigEntryAuthFailed
from homeassistant.helpers.update_coordinator import DataUpdateCoordinator, UpdateFailed
from homeassistant.util import dt as dt_util

from .aiobroute import (
    AirtimeError,
    BRouteError,
    Counters,
    Credentials,
    FrameError,
    JoinError,
    JoinRefusedError,
    MeterNotFoundError,
    MeterProfile,
    MeterTimeoutError,
    ModuleError,
    ModuleEvent,
    ModuleTimeoutError,
    Notification,
    Pan,
    PortBusyError,
    PortError,
    PortMissingError,
    Progress,
    Reading,
    SessionLostError,
    connect,
)
from .const import (
    CONF_MODULE,
    CONF_NOTIFICATIONS,
    CONF_PAN,
    CONF_PROFILE,
    CONF_ROUTE_B_ID,
    DOMAIN,
)
from .dongle.journal import async_journal
from .dongle.sharing import LEASE_TIME, PATIENCE, REJOIN_PAUSE, Lease, async_interval, async_sharers
from .energy.backfill import Backfill
from .energy.details import DETAILS, DETAILS_INTERVAL, Details
from .energy.source import HistoryUnavailableError
from .repairs import Issues

if TYPE_CHECKING:
    from datetime import datetime

    from homeassistant.core import Event, HomeAssistant

    from .aiobroute import ModuleInfo, SmartMeter

_LOGGER = logging.getLogger(__name__)

type MeterConfigEntry = ConfigEntry[MeterCoordinator]

READ_LIMIT = 90
"""Seconds; the three tries of a reading take 36 s, and more only while the module's airtime is used up."""

CONNECT_LIMIT = 1800
"""Seconds; two joins of twelve minutes, a scan of all passes and a meter that answers single properties need less."""

STARTUP_LIMIT = 30
"""Seconds that Home Assistant's start may wait; a known meter answers within 2, 6 or, if it refuses, 20."""

FAIR_PAUSE = 3
"""Times as long as it took in vain: a meter that is not found leaves most of the dongle's time to the others."""

OVERDUE = 40
"""Seconds that a reading may take before nothing old is shown any more; what is silent or lost is asked no longer."""

LEAVE_LIMIT = 3
"""Seconds that Home Assistant's stop may wait; a meter that takes leave does so within one."""

REFUSALS = 2
"""Connects in a row that a meter which was heard refused, twice each, before the credentials are asked for."""


class MeterExchangedError(BRouteError):
    """Another meter answers with the credentials of ours."""


ERROR_KEYS: Mapping[type[BRouteError], str] = {
    PortMissingError: "port_missing",
    PortBusyError: "port_busy",
    PortError: "port_error",
    ModuleTimeoutError: "module_error",
    ModuleError: "no_module",
    MeterNotFoundError: "no_meter",
    JoinRefusedError: "join_refused",
    JoinError: "join_unanswered",
    SessionLostError: "session_lost",
    MeterTimeoutError: "meter_silent",
    AirtimeError: "airtime",
    MeterExchangedError: "other_meter",
    BRouteError: "unexpected",
}
"""Translation keys, in the config flow and in exceptions; a kind without its own has that of its base."""


def error_key(err: BRouteError) -> str:
    """Return the translation key of what happened."""
    if isinstance(err, ModuleError) and err.code is not None:
        return "module_error"
    return next(ERROR_KEYS[kind] for kind in type(err).__mro__ if kind in ERROR_KEYS)


class MeterCoordinator(DataUpdateCoordinator[Reading]):
    """Reads the meter again and again, and connects to it whenever there is no connection."""

    config_entry: MeterConfigEntry
    profile: MeterProfile
    """As the meter told at the last connect; not there before the first."""
    module: ModuleInfo
    """As `profile`."""
    history: Backfill
    """Set by whoever sets the entry up."""

    def __init__(self, hass: HomeAssistant, entry: MeterConfigEntry) -> None:
        """Connect at the first refresh, not yet."""
        super().__init__(
            hass,
            _LOGGER,
            config_entry=entry,
            name=entry.title,
            update_interval=async_interval(hass, entry),
            always_update=False,
        )
        self._meter: SmartMeter | None = None
        self._lease = Lease(hass, self._give_way)
        self._must_join = False
        """Whether the session that module and meter may still have is not worth going on with."""
        self._works = 0
        self._left = float("-inf")
        self._issues = Issues(hass, entry)
        self._journal = async_journal(hass, entry)
        self.details = Details()
        """What is asked for now and then, or told unasked; listeners are called for it, too."""
        self._details_due = 0.0
        self._is_polling = False
        self._is_overdue = False
        self.history_start: datetime | None = None
        """The oldest hour that was imported into the recorder."""
        self.readings = 0
        """How many there were."""

    async def async_close(self) -> None:
        """Release the port; a session that is ended instead could not be joined again for ten seconds."""
        if (meter := self._meter) is not None:
            self._meter = None
            await meter.close()
        self._give_way()

    async def async_stop(self, _: Event) -> None:
        """End the session politely; but not if Home Assistant is back in a moment, as the meter might refuse it."""
        await self.async_shutdown()
        self._works += 1  # Others have no use for the dongle any more.
        meter, self._meter = self._meter, None
        if meter is None:
            return
        if self.hass.exit_code == RESTART_EXIT_CODE:
            await meter.close()
            return
        await _async_end_session(meter)

    @override
    async def _async_update_data(self) -> Reading:
        begun = self.hass.loop.time()
        others = self._sharers - 1
        overdue = self.hass.loop.call_later(OVERDUE + PATIENCE * others, self._tell_overdue)
        # As a task of the entry it ends with an unload, whoever asked for the refresh.
        poll = self.config_entry.async_create_background_task(self.hass, self._async_poll(), f"{self.name} poll")
        try:
            return await poll
        finally:
            overdue.cancel()
            self.update_interval = async_interval(self.hass, self.config_entry)
            if others:  # To come to the meter takes its time, which is part of the interval.
                took = timedelta(seconds=self.hass.loop.time() - begun)
                self.update_interval = max(self.update_interval - took, timedelta(seconds=LEASE_TIME))

    @callback
    def _tell_overdue(self) -> None:
        """Show nothing old while a search goes on, which can take minutes."""
        if self.last_update_success and self.data is not None:
            self._is_overdue = True
            self.async_set_update_error(UpdateFailed(translation_domain=DOMAIN, translation_key="timeout"))

    @override
    def _async_refresh_finished(self) -> None:
        # The refresh compares with what was before it, and may find nothing new to show.
        if self._is_overdue and self.last_update_success:
            self.async_update_listeners()
        self._is_overdue = False

    async def _async_poll(self) -> Reading:
        meter = self._meter
        begun = self.hass.loop.time()
        self._is_polling = True
        try:
            async with asyncio.timeout(None if self._is_started else STARTUP_LIMIT), self._async_at_work():
                begun = self.hass.loop.time()
                async with self._lease.in_time():
                    reading = await self._async_read()
                self._ask_details_if_due()
        except (BRouteError, TimeoutError) as err:
            key = error_key(err) if isinstance(err, BRouteError) else self._timeout_key()
            self._journal.fail(f"failed: {key}", str(err))
            # Silence on an old connection is told at once, and a new one is made right after.
            pause = 0.0 if meter is not None and self._meter is meter else self._fair_pause(begun)
            if self._meter is not None:
                # Where nothing may be sent, nothing can be joined either.
                self._must_join = not self._meter.restricted
            await self.async_close()
            reason: dict[str, Any] = {
                "translation_domain": DOMAIN,
                "translation_key": key,
                "translation_placeholders": {"port": self.config_entry.data[CONF_DEVICE], "error": str(err)},
            }
            if self._issues.failed(key) >= REFUSALS:
                raise ConfigEntryAuthFailed(**reason) from err
            raise UpdateFailed(**reason, retry_after=pause) from err
        finally:
            self._is_polling = False
            self._journal.give_up()
        self.readings += 1
        self._issues.succeeded(reading)
        return reading

    @asynccontextmanager
    async def _async_at_work(self) -> AsyncIterator[None]:
        """Have the dongle, for as long as something is to be done; then until somebody else waits for it."""
        self._works += 1
        device = self.config_entry.data[CONF_DEVICE]
        try:
            if self._works == 1 and self._lease.is_held and self._lease.device != device:
                # The port has another name by now, by which the others know it.
                await self.async_close()
                self._lease.release()
            if not self._lease.is_held:
                if (pause := self._left + REJOIN_PAUSE - self.hass.loop.time()) > 0:
                    await asyncio.sleep(pause)
                await self._lease.take(device)
            yield
        finally:
            self._works -= 1
            self._give_way()

    @callback
    def _give_way(self) -> None:
        """Let others have the dongle, if nothing is under way; the session is kept for as long as nobody waits."""
        if self._works or not self._lease.is_held:
            return
        meter = self._meter
        if meter is None:
            self._lease.release()
        elif self._lease.is_requested:
            self._meter = None
            leaving = self._async_leave(meter)
            self.config_entry.async_create_background_task(self.hass, leaving, f"{self.name} leave")

    async def _async_leave(self, meter: SmartMeter) -> None:
        self._journal.note("turn over")
        self._left = self.hass.loop.time()
        async with self._lease.ending():
            await _async_end_session(meter)

    @asynccontextmanager
    async def async_meter(self) -> AsyncIterator[SmartMeter]:
        """Have the connection for something else than a reading; on a dongle that is shared, as soon as it is our turn.

        Raises:
            HistoryUnavailableError: there is no connection, or others have waited for too long.

        """
        async with self._async_at_work():
            if self._meter is None and self._sharers > 1:
                await self.async_refresh()
            if self._meter is None:
                raise HistoryUnavailableError("the meter is not connected", "history_no_connection")
            try:
                async with self._lease.in_time():
                    yield self._meter
            except TimeoutError as err:
                raise HistoryUnavailableError("another meter waits for the dongle", "history_no_turn") from err

    def _fair_pause(self, begun: float) -> float | None:
        """Return the seconds to the next try; the interval is enough for who shares the dongle with nobody."""
        if self._sharers == 1:
            return None
        took = self.hass.loop.time() - begun
        return max(FAIR_PAUSE * took, async_interval(self.hass, self.config_entry).total_seconds())

    @property
    def _sharers(self) -> int:
        return async_sharers(self.hass, self.config_entry.data[CONF_DEVICE])

    async def _async_read(self) -> Reading:
        if self._meter is not None:
            try:
                return await self._async_ask(self._meter)
            except (ModuleError, PortError, SessionLostError) as err:
                # An old connection ends for many reasons; a new one works, or says what is wrong.
                _LOGGER.debug("Connecting anew: %s", err)
                self._journal.give_up()
                self._journal.note("lost", str(err))
                self._must_join = True
                await self.async_close()
        self._meter = await self._async_connect()
        return await self._async_ask(self._meter)

    async def _async_ask(self, meter: SmartMeter) -> Reading:
        self._journal.begin("reply")
        async with asyncio.timeout(READ_LIMIT):
            reading = await meter.read()
        self._journal.end()
        return reading

    async def _async_connect(self) -> SmartMeter:
        data = self.config_entry.data
        async with asyncio.timeout(CONNECT_LIMIT):
            meter = await connect(
                data[CONF_DEVICE],
                Credentials(data[CONF_ROUTE_B_ID], data[CONF_PASSWORD]),
                family=data.get(CONF_MODULE),
                pan=Pan(**data[CONF_PAN]),
                profile=self._known_profile(),
                must_join=self._must_join,
                on_lost=self._lost,
                on_notification=self._notified,
                on_progress=self._progressed,
                on_event=self._happened,
            )
        self._journal.end()
        self._journal.note("connected", f"channel {meter.pan.channel}")
        self._must_join = False
        if meter.pan.mac != self.config_entry.unique_id:
            await meter.close()
            self._issues.exchanged(meter.pan)
            raise MeterExchangedError("another meter answers")
        self.profile, self.module = meter.profile, meter.module
        # The meter may have moved to another channel, and the dongle be another: the next start shall look for neither.
        found = {
            CONF_MODULE: meter.module.family,
            CONF_PAN: asdict(meter.pan),
            CONF_PROFILE: dict(meter.profile.raw),
        }
        self.hass.config_entries.async_update_entry(self.config_entry, data={**self.config_entry.data, **found})
        return meter

    @callback
    def _progressed(self, progress: Progress) -> None:
        step = progress.stage.name.lower()
        self._journal.begin(step)
        self._journal.note(step, f"pass {progress.scan.number} of {progress.scan.of}" if progress.scan else "")

    @callback
    def _happened(self, event: ModuleEvent) -> None:
        self._journal.note(f"event {event.name}")

    def _known_profile(self) -> MeterProfile | None:
        try:
            return MeterProfile.from_raw(self.config_entry.data[CONF_PROFILE])
        except KeyError, FrameError:
            return None  # The meter will tell.

    @callback
    def _ask_details_if_due(self) -> None:
        """Ask right after a reading: until the next one there is time."""
        if self._meter is not None and self.hass.loop.time() >= self._details_due:
            self._details_due = self.hass.loop.time() + DETAILS_INTERVAL
            asking = self._async_ask_details(self._meter)
            self.config_entry.async_create_background_task(self.hass, asking, f"{self.name} details")

    async def _async_ask_details(self, meter: SmartMeter) -> None:
        try:
            async with self._async_at_work(), self._lease.in_time():
                values = await meter.get(*(row for row in DETAILS if meter.profile.has(row)))
        except (BRouteError, TimeoutError) as err:
            _LOGGER.debug("No details: %s", err)
            self.details = self.details.unanswered()
        else:
            self.details = self.details.asked(values, self.profile, dt_util.utcnow())
        if self.details.clock_drift is not None:
            self._issues.checked_clock(self.details.clock_drift)
        self.async_update_listeners()

    @callback
    def _notified(self, notification: Notification) -> None:
        """Show what the meter tells unasked; a counter that it pushes may be newer than the last reading."""
        self._journal.note("notification")
        if self._meter is None:
            return  # Still connecting: the first reading will be newer.
        if not self.config_entry.options.get(CONF_NOTIFICATIONS, True):
            return
        self.details = self.details.told(notification.values, self.profile)
        if self.last_update_success and self.data is not None:
            self.data = self.details.newest(self.data)
        self.async_update_listeners()

    @property
    def meter(self) -> SmartMeter | None:
        """Return the connection, if there is one."""
        return self._meter

    @callback
    def async_remembered(self, counters: Sequence[Counters]) -> None:
        """Show what a newer part of the history tells, in order of time."""
        self.details = self.details.remembered(counters)
        self.async_update_listeners()

    @callback
    def async_port_appeared(self) -> None:
        """Connect at once, not at the next poll."""
        if not self.last_update_success:
            self.config_entry.async_create_background_task(self.hass, self.async_refresh(), f"{self.name} reconnect")

    @property
    def _is_started(self) -> bool:
        return self.hass.state is CoreState.running

    def _timeout_key(self) -> str:
        if self._meter is not None and self._meter.restricted:
            return "airtime"
        return "timeout" if self._is_started else "starting"

    @callback
    def _lost(self, err: SessionLostError) -> None:
        """Connect anew at once; a poll that is under way does so itself."""
        _LOGGER.debug("Lost: %s", err)
        if not self._is_polling:
            self.config_entry.async_create_background_task(
                self.hass, self.async_request_refresh(), f"{self.name} reconnect"
            )


async def _async_end_session(meter: SmartMeter) -> None:
    """End the session and release the port; a meter that does not answer is not waited for."""
    with suppress(BRouteError, TimeoutError):
        async with asyncio.timeout(LEAVE_LIMIT):
            await meter.leave()
