"""The readings of one meter; what goes wrong with them becomes Home Assistant's words here."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
import logging
from typing import TYPE_CHECKING, Final, override

from homeassistant.config_entries import ConfigEntry
from homeassistant.const import CONF_DEVICE
from homeassistant.core import CoreState, callback
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.update_coordinator import DataUpdateCoordinator, UpdateFailed
from homeassistant.util import dt as dt_util

from .aiobroute import (
    CAUSES,
    BRouteError,
    Counters,
    JoinedMeter,
    JoinRefusedError,
    MeterProfile,
    MeterRefusedError,
    ModuleError,
    NodeNotFoundError,
    Notification,
    PortError,
    Reading,
    SessionLostError,
    cause_of,
    shown,
)
from .connection import Connection, MeterExchangedError
from .const import CONF_NODE, CONF_NOTIFICATIONS, DOMAIN
from .devices import meter_of
from .dongle.journal import async_journal
from .dongle.overdue import Overdue
from .dongle.reauth import async_reauthentication
from .dongle.sharing import LEASE_TIME, PATIENCE, async_interval
from .energy.accounting import Accounting
from .energy.backfill import Backfill
from .energy.details import Details, DetailsReader
from .energy.source import HistoryProgress, HistoryUnavailableError
from .repairs import UNHEARD, Issues

if TYPE_CHECKING:
    from datetime import datetime

    from homeassistant.core import Event, HomeAssistant

    from .aiobroute import ModuleInfo, SmartMeter

_LOGGER = logging.getLogger(__name__)

type MeterConfigEntry = ConfigEntry[MeterCoordinator]

READ_LIMIT: Final = 90
"""Seconds; the three tries of a reading take 36 s, and more only while the module's airtime is used up."""

STARTUP_LIMIT: Final = 30
"""Seconds that Home Assistant's start may wait; a known meter answers within 2, 6 or, if it refuses, 20."""

FAIR_PAUSE: Final = 3
"""Times as long as it took in vain: a meter that is not found leaves most of the dongle's time to the others."""

OVERDUE: Final = 40
"""Seconds that a reading may take before nothing old is shown any more; what is silent or lost is asked no longer."""

ERROR_KEYS: Mapping[type[BRouteError], str] = {**CAUSES, MeterExchangedError: "other_meter"}
"""Translation keys, in the config flow and in exceptions; a kind without its own has that of its base."""


def error_key(err: BRouteError) -> str:
    """Return the translation key of what happened."""
    return ERROR_KEYS[MeterExchangedError] if isinstance(err, MeterExchangedError) else cause_of(err)


class MeterCoordinator(DataUpdateCoordinator[Reading]):
    """Reads the meter again and again, and connects to it whenever there is no connection."""

    config_entry: MeterConfigEntry
    profile: MeterProfile
    """As the meter told at the last connect; not there before the first."""
    module: ModuleInfo | None
    """As `profile`; `None` where there is no dongle."""
    history: Backfill
    accounting: Accounting
    """Set while the entry is set up."""

    def __init__(self, hass: HomeAssistant, entry: MeterConfigEntry) -> None:
        super().__init__(
            hass,
            _LOGGER,
            config_entry=entry,
            name=entry.title,
            update_interval=async_interval(hass, entry),
            always_update=False,
        )
        self._journal = async_journal(hass, entry)
        self._connection = Connection(hass, entry, self._journal, on_lost=self._lost, on_notification=self._notified)
        self._issues = Issues(hass, entry)
        self._reauthentication = async_reauthentication(hass, entry)
        self._overdue = Overdue(hass, self._tell_overdue)
        self._details = DetailsReader(hass.loop.time)
        self._is_polling = False
        self._read_at = dt_util.utcnow()
        self.history_start: datetime | None = None
        """The oldest hour that was imported into the recorder."""
        self.history_progress: HistoryProgress | None = None
        """How far the meter's memory has been read."""
        self.readings = 0
        """How many there were."""

    @property
    def meter(self) -> SmartMeter | None:
        """Return the connection, if there is one."""
        return self._connection.meter

    @property
    def details(self) -> Details:
        """Return what is asked for now and then, or told unasked; listeners are called for it, too."""
        return self._details.details

    async def async_close(self) -> None:
        """Release the port; the session goes on in module and meter."""
        await self._connection.close()

    async def async_stop(self, _: Event) -> None:
        """End the session, unless Home Assistant is back in a moment."""
        await self.async_shutdown()
        await self._connection.stop()

    @override
    async def _async_update_data(self) -> Reading:
        begun = self.hass.loop.time()
        others = self._connection.sharers - 1
        with self._overdue.watching(OVERDUE + PATIENCE * others):
            # As a task of the entry it ends with an unload, also if the refresh was requested elsewhere.
            poll = self.config_entry.async_create_background_task(self.hass, self._async_poll(), f"{self.name} poll")
            try:
                return await poll
            finally:
                self.update_interval = async_interval(self.hass, self.config_entry)
                if others:  # To come to the meter takes its time, which is part of the interval.
                    took = timedelta(seconds=self.hass.loop.time() - begun)
                    self.update_interval = max(self.update_interval - took, timedelta(seconds=LEASE_TIME))

    @callback
    def _tell_overdue(self) -> bool:
        """Show nothing old while a search goes on, which can take minutes; return whether anything was shown."""
        if not self.last_update_success or self.data is None:
            return False
        self.async_set_update_error(UpdateFailed(translation_domain=DOMAIN, translation_key="timeout"))
        return True

    @override
    def _async_refresh_finished(self) -> None:
        if not self._overdue.take_back():
            return
        # The refresh compares with what was before it, and may find nothing new to show, or to log.
        if self.last_update_success:
            self.async_update_listeners()
        elif isinstance(self.last_exception, UpdateFailed):  # Otherwise it was unloaded.
            _LOGGER.error("Error fetching %s data: %s", self.name, self.last_exception)

    async def _async_poll(self) -> Reading:
        if wait := self._reauthentication.pause:
            # A whole second more, as the next refresh is planned to the second that has begun.
            raise self._update_failed("join_refused", "refused lately", wait + 1)
        connected = self.meter
        begun = self.hass.loop.time()
        self._is_polling = True
        try:
            async with asyncio.timeout(None if self._is_started else STARTUP_LIMIT), self._connection.in_use():
                begun = self.hass.loop.time()
                async with self._connection.in_time():
                    reading = await self._async_read()
                self._ask_details_if_due()
        except (BRouteError, TimeoutError) as err:
            key = error_key(err) if isinstance(err, BRouteError) else self._timeout_key()
            # Silence on an old connection is told at once, and a new one is made right after.
            pause = 0.0 if connected is not None and self.meter is connected else self._fair_pause(begun)
            raise await self._async_failed(err, key, pause) from err
        finally:
            self._is_polling = False
            self._journal.give_up()
        self.readings += 1
        self._read_at = dt_util.utcnow()
        self._issues.succeeded(reading)
        self._reauthentication.answered()
        return reading

    async def _async_failed(self, err: Exception, key: str, pause: float | None) -> UpdateFailed:
        """Do what a failed poll makes necessary; return what to tell."""
        detail = err.reason if isinstance(err, PortError) else str(err)
        if isinstance(err, MeterExchangedError) and CONF_NODE in err.place and self._issues.lasting() < UNHEARD:
            # In the home network another meter proves nothing: ours may be off for a while.
            err, key = NodeNotFoundError(str(err)), ERROR_KEYS[NodeNotFoundError]
        self._journal.fail(f"failed: {key}", detail)
        self._issues.failed(key, detail)
        if isinstance(err, MeterRefusedError):
            # The connection is good. What a meter refuses now it may tell at the next poll.
            return self._update_failed(key, detail, None)
        if self.meter is not None:
            # Where nothing may be sent, nothing can be joined either.
            self._connection.must_join = not self.meter.restricted
        await self._connection.close()
        if isinstance(err, MeterExchangedError):
            self._issues.exchanged(err.place)
        if isinstance(err, JoinRefusedError):
            self._reauthentication.refused()
            if wait := self._reauthentication.pause:
                pause = wait + 1
        else:
            self._reauthentication.failed()
        return self._update_failed(key, detail, pause)

    def _update_failed(self, key: str, error: str, pause: float | None) -> UpdateFailed:
        return UpdateFailed(
            translation_domain=DOMAIN,
            translation_key=key,
            translation_placeholders={"port": shown(self.config_entry.data[CONF_DEVICE]), "error": error},
            retry_after=pause,
        )

    @asynccontextmanager
    async def async_meter(self) -> AsyncIterator[SmartMeter]:
        """Use the connection for something else than a reading; on a shared dongle, when it is our turn.

        Raises:
            HistoryUnavailableError: there is no connection, or others have waited for too long.

        """
        async with self._connection.in_use():
            if self.meter is None and self._connection.sharers > 1:
                await self.async_refresh()
            if self.meter is None:
                raise HistoryUnavailableError("the meter is not connected", "history_no_connection")
            try:
                async with self._connection.in_time():
                    yield self.meter
            except TimeoutError as err:
                raise HistoryUnavailableError("another meter waits for the dongle", "history_no_turn") from err

    def _fair_pause(self, begun: float) -> float | None:
        """Return the seconds to the next try; the interval is enough for who shares the dongle with nobody."""
        if self._connection.sharers == 1:
            return None
        took = self.hass.loop.time() - begun
        return max(FAIR_PAUSE * took, async_interval(self.hass, self.config_entry).total_seconds())

    async def _async_read(self) -> Reading:
        if (meter := self.meter) is not None:
            try:
                return await self._async_ask(meter)
            except (ModuleError, PortError, SessionLostError) as err:
                # An old connection ends for many reasons; a new one works, or says what is wrong.
                _LOGGER.debug("Connecting anew: %s", err)
                self._journal.give_up()
                self._journal.note("lost", str(err))
                self._connection.must_join = True
                await self._connection.close()
        meter = await self._connection.open()
        # Whatever it tells or refuses to tell from now on, it has let us in.
        self._reauthentication.answered()
        self.profile = meter.profile
        self.module = meter.module if isinstance(meter, JoinedMeter) else None
        self.async_show_device()
        return await self._async_ask(meter)

    async def _async_ask(self, meter: SmartMeter) -> Reading:
        self._journal.begin("reply")
        try:
            async with asyncio.timeout(READ_LIMIT):
                reading = await meter.read()
        finally:
            self._take_profile(meter)
        self._journal.end()
        return reading

    @callback
    def _take_profile(self, meter: SmartMeter) -> None:
        """Take what the meter has told of itself by now."""
        if not self._connection.keep_profile():
            return
        self.profile = meter.profile
        self.async_show_device()

    @callback
    def async_show_device(self) -> None:
        """Show on the page of the device what meter and dongle say of themselves; what is not known stays as it was."""
        profile = self.profile
        if device := meter_of(self.hass, self.config_entry):
            dr.async_get(self.hass).async_update_device(
                device.id,
                manufacturer=profile.manufacturer or device.manufacturer,
                serial_number=profile.serial_number or device.serial_number,
                # The release of ECHONET Lite's appendix that the meter keeps to.
                sw_version=profile.version or device.sw_version,
                hw_version=None if self.module is None else f"{self.module.family} {self.module.firmware}",
            )

    @callback
    def _ask_details_if_due(self) -> None:
        """Ask right after a reading: until the next one there is time."""
        if self.meter is not None and self._details.is_due():
            asking = self._async_ask_details(self.meter)
            self.config_entry.async_create_background_task(self.hass, asking, f"{self.name} details")

    async def _async_ask_details(self, meter: SmartMeter) -> None:
        try:
            async with self._connection.in_use(), self._connection.in_time():
                await self._details.ask(meter)
        except (BRouteError, TimeoutError) as err:
            _LOGGER.debug("No details: %s", err)
            self._details.details = self.details.unanswered()
        if self.details.clock_drift is not None:
            self._issues.checked_clock(self.details.clock_drift)
        self.async_update_listeners()

    @callback
    def _notified(self, notification: Notification) -> None:
        """Show what the meter tells unasked; a counter that it pushes may be newer than the last reading."""
        self._journal.note("notification")
        if self.meter is None:
            return  # Still connecting: the first reading will be newer.
        if not self.config_entry.options.get(CONF_NOTIFICATIONS, True):
            return
        self._details.details = self.details.told(notification.values, self.profile)
        if self.last_update_success and self.data is not None:
            self.data = self.details.newest(self.data, self._read_at)
        self.async_update_listeners()

    @callback
    def async_remembered(self, counters: Sequence[Counters]) -> None:
        """Show what a newer part of the history tells, in order of time."""
        self._details.details = self.details.remembered(counters)
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
        if self.meter is not None and self.meter.restricted:
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
