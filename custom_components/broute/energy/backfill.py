"""Filling the ledger: what is missing is computed, the meter is asked for just that, and the recorder follows.

The one task that asks the meter for its history.
"""

import asyncio
from collections.abc import Mapping
from datetime import date, datetime, timedelta
import logging
from typing import TYPE_CHECKING, Any, Final

from homeassistant.components.sensor import DOMAIN as SENSOR_DOMAIN
from homeassistant.const import EVENT_HOMEASSISTANT_FINAL_WRITE, EVENT_RECORDER_5MIN_STATISTICS_GENERATED
from homeassistant.core import CALLBACK_TYPE, callback
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.event import async_call_later, async_track_utc_time_change
from homeassistant.util import dt as dt_util

from ..aiobroute import (
    HALF_HOURS,
    HISTORY_IN,
    HISTORY_OUT,
    JST,
    BRouteError,
    Day,
    HistoryError,
    PropertyRefusedError,
)
from ..const import DOMAIN
from .continued import Preview, continuing, own_hours, preview_of, undone
from .intake import KEYS, Intake
from .ledger import (
    DIRECTIONS,
    ENERGY_IN,
    ENERGY_OUT,
    HALF_HOUR,
    Continued,
    Scale,
    half_hours,
)
from .missing import Pauses, days_between, holes, hours_known, newest, newest_days, progress
from .recorder import (
    Changes,
    Reconciler,
    RecorderUnavailableError,
    Verified,
    async_former,
    async_hours,
    has_recorder,
    is_recorded,
)
from .source import HistoryUnavailableError, MeterSource
from .statistics import HOUR
from .store import LedgerStore

if TYPE_CHECKING:
    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import Event, HomeAssistant

    from ..aiobroute import SmartMeter

_LOGGER = logging.getLogger(__name__)

SPAN: Final = 11 * HALF_HOUR
"""Between the first and the last of the twelve half-hours of one answer (APPX EC)."""

LOOK_MINUTE: Final = 6
"""Of each hour: by then the recorder has made its rows, and a clock that is a little late shows the hour."""

CLOCK_TOLERANCE: Final = timedelta(minutes=30)
"""A meter whose clock is off by more dates its history wrongly by a half-hour or more."""

REFUSALS: Final = 3
"""After so many refused days in a row the others are asked for later."""

REST: Final = 600.0
"""Seconds between two rounds of which the first ended early."""

SAVE_INTERVAL: Final = 3300.0
"""Seconds, a little less than an hour: a memory card does not like to be written."""

PROGRESS: Final = timedelta(days=7)
"""How much further back the history goes when that is told again: each change is a line under Activity."""


class Backfill:
    """Keeps ledger and statistics of one entry complete; the owner of the task that does it."""

    def __init__(self, hass: HomeAssistant, entry: ConfigEntry, source: MeterSource, *, is_enabled: bool) -> None:
        """If enabled, the meter is asked for what is missing, and statistics are written.

        Without a recorder nobody needs what is missing.
        """
        self._hass = hass
        self._entry = entry
        self._source = source
        self._store = LedgerStore(hass, entry.entry_id)
        self.ledger = self._store.ledger
        self._intake = Intake(self.ledger)
        self._reconcilers = {key: Reconciler(hass, key) for key in DIRECTIONS}
        self._lock = asyncio.Lock()
        self._is_loaded = False
        self._wanted = asyncio.Event()
        self._is_look_wanted = True
        self._is_behind = True
        self._is_enabled = is_enabled and has_recorder(hass)
        self._is_continued_new = False
        """Whether what comes before the ledger has changed, and the recorder does not know yet."""
        self._meter: SmartMeter | None = None
        self._readings = 0
        self._pauses = Pauses()
        self._unconfirmed: list[Day] = []
        """Days that were answered since the meter's clock was seen to be right."""
        self._saved: float | None = None
        self._error: str | None = None
        """Why the last look at everything ended early."""
        self._recorder_error: str | None = None
        self._cancel_look: CALLBACK_TYPE = _nothing
        self._cancel_hours: CALLBACK_TYPE = _nothing

    @callback
    def async_start(self) -> None:
        """Take what the meter tells, and what it is asked for, from now on."""
        entry, hass = self._entry, self._hass
        entry.async_on_unload(self._async_save)
        entry.async_on_unload(self._source.async_add_listener(self._updated))
        entry.async_on_unload(hass.bus.async_listen(EVENT_HOMEASSISTANT_FINAL_WRITE, self._async_final_write))
        entry.async_create_background_task(hass, self._async_run(), f"{entry.title} history")
        if self._is_enabled:
            self._cancel_hours = async_track_utc_time_change(hass, self._hour_is_over, minute=LOOK_MINUTE, second=0)
            entry.async_on_unload(
                hass.bus.async_listen(EVENT_RECORDER_5MIN_STATISTICS_GENERATED, self._recorder_compiled)
            )

    async def async_load(self) -> None:
        """Read the ledger, if it has not been read yet."""
        # While the meter's memory is read, the lock is taken for minutes.
        if not self._is_loaded:
            await self._async_load()

    async def _async_load(self) -> None:
        async with self._lock:
            if self._is_loaded:
                return
            await self._store.async_load()
            for key, (until, run) in self._store.verified.items():
                self._reconcilers[key].verified = Verified(until, run)
            if self.ledger.begin(str(self._entry.unique_id)):
                for reconciler in self._reconcilers.values():
                    reconciler.verified = None
            self._is_loaded = True
            self._updated()
            if self.ledger.is_index_changed:
                await self._store.async_save()
            self._tell_oldest()

    async def async_import(self, first: date, last: date) -> dict[str, int]:
        """Read days again, including those that are known or were corrected by hand; return what was done.

        Raises:
            HistoryUnavailableError: there is no connection to the meter, or no recorder that can be read.
            BRouteError: the meter did not answer.

        """
        if not has_recorder(self._hass):
            raise HistoryUnavailableError("there is no recorder", "history_no_recorder")
        await self.async_load()
        changes = Changes()
        async with self._lock:
            # What was corrected by hand until now is kept, but for these days.
            await self._async_reconcile_or_refuse(Changes())
            scale = self._known_scale()
            await self._async_see_clock()
            for day in reversed(days_between(first, last)):
                for key in DIRECTIONS:
                    self.ledger.forget_none(key, day)
                await self._async_take_day(day, scale, overrule=True)
                for key, corrections in self.ledger.corrections.items():
                    for hour in [hour for hour in corrections if hour in set(half_hours(day))]:
                        self.ledger.correct(key, hour, None)
            # The last hour of the last day ends with the first counter of the next.
            if last < dt_util.utcnow().astimezone(JST).date():
                await self._async_take_day(last + timedelta(days=1), scale)
            await self._async_reconcile_or_refuse(changes, overrule=True)
        read, asked = hours_known(self.ledger, self._statistic_ids(), first, last, dt_util.utcnow())
        return {
            "hours_read": read,
            "imported": changes.imported,
            "corrected": changes.corrected,
            "without_value": asked - read,
        }

    def continues(self) -> dict[str, str]:
        """Return which other sensors are continued, by direction."""
        found = {key: continued.statistic_id for key, continued in self.ledger.continued.items()}
        return {key: statistic_id for key, statistic_id in found.items() if statistic_id is not None}

    def continuable(self) -> dict[str, str]:
        """Return our statistics that can continue others, by direction.

        Raises:
            HistoryUnavailableError: the recorder does not keep them, or nobody writes the history there.

        """
        if not self._is_enabled:
            raise HistoryUnavailableError("the import of the history is switched off", "history_off")
        found = {
            key: statistic_id
            for key, statistic_id in self._statistic_ids().items()
            if is_recorded(self._hass, statistic_id)
        }
        if not found:
            raise HistoryUnavailableError("the recorder does not keep the counters", "history_excluded")
        return found

    async def async_preview(self, key: str, statistic_id: str | None = None) -> Preview | None:
        """Return what comes before the ledger if another sensor is continued, or comes there now.

        `None` if that is nothing.

        Raises:
            HistoryUnavailableError: the recorder does not keep our counters, or cannot be read.

        """
        await self.async_load()
        ledger, own_id = self.ledger, self.continuable().get(key)
        first, before = await self._reconcilers[key].async_first(ledger), ledger.continued.get(key)
        if first is None or own_id is None:
            return None
        if statistic_id is None:
            return None if before is None else preview_of(before, first)
        try:
            theirs = await async_former(self._hass, statistic_id, first)
            rows = [] if before is not None else await async_hours(self._hass, own_id, 0, first - HOUR + 1)
        except RecorderUnavailableError as err:
            raise HistoryUnavailableError(str(err), "history_no_database") from err
        own = own_hours(rows) if before is None else before.own
        return await self._hass.async_add_executor_job(continuing, statistic_id, theirs, own, first, before)

    async def async_continue(self, previews: Mapping[str, Preview]) -> None:
        """Continue other sensors; the recorder follows."""
        await self._async_begin_with({key: preview.continued for key, preview in previews.items()})

    async def async_discontinue(self) -> None:
        """Let hours that were copied go again."""
        await self._async_begin_with({key: undone(self.ledger.continued[key]) for key in self.continues()})

    async def _async_begin_with(self, changes: Mapping[str, Continued]) -> None:
        """Keep what comes before the ledger, then look at the recorder: who is killed meanwhile finds it again."""
        # Sums of which only some are moved look like a correction by hand, if all of them were right before.
        for key in changes:
            self._reconcilers[key].verified = None
            self._store.verified.pop(key, None)
        await self._store.async_save()
        for key, continued in changes.items():
            self.ledger.begin_with(key, continued)
        await self._store.async_save_continued()
        self._is_continued_new = True
        self._look()

    def as_dict(self) -> dict[str, Any]:
        """Return the state of the history for the diagnostics; no meter is named."""
        now, days = dt_util.utcnow(), newest_days(dt_util.utcnow())
        missing = [len(self._holes(day, now)) for day in days] if self._is_loaded else []
        oldest = self.ledger.oldest()
        return {
            "is_loaded": self._is_loaded,
            "oldest": None if oldest is None else oldest.isoformat(),
            "meters_so_far": len(self.ledger.tenures),
            "months": len(self.ledger.months),
            "days_complete": sum(not number for number in missing),
            "days_that_a_meter_may_remember": len(days),
            "half_hours_missing": sum(missing),
            "days_to_be_asked_for_again": len(self._pauses),
            "hours_of_other_sensors": {key: len(each.copied) for key, each in self.ledger.continued.items()},
            "corrected_by_hand": {key: len(hours) for key, hours in self.ledger.corrections.items()},
            "statistics_are_right": {key: each.is_right for key, each in self._reconcilers.items()},
            "last_error": self._last_error,
        }

    async def _async_run(self) -> None:
        while True:
            self._wanted.clear()
            try:
                await self.async_load()
                if not self._is_enabled:
                    return
                is_look = await self._async_round()
            except RecorderUnavailableError as err:
                self._recorder_error = self._said(err)
            except BRouteError as err:
                _LOGGER.debug("The history waits: %s", err)
                self._error = str(err)
                self._look_in(REST)
            except Exception as err:  # noqa: BLE001  # whatever it is, it must not be the end of the history
                self._error = self._said(err)
                self._look_in(REST)
            else:
                self._recorder_error = None
                self._error = None if is_look else self._error
            if self._is_loaded:
                self._tell_progress()
            await self._wanted.wait()

    async def _async_round(self) -> bool:
        """Look at everything if that is due, otherwise only at what the recorder counts on from; return whether it is.

        Raises:
            RecorderUnavailableError: the recorder cannot be asked at present.
            BRouteError: the meter did not answer.

        """
        is_look, self._is_look_wanted = self._is_look_wanted, False
        async with self._lock:
            if not is_look and await self._async_is_right():
                return False
            error: RecorderUnavailableError | None = None
            try:
                await self._async_reconcile(Changes())
            except RecorderUnavailableError as err:
                error = err  # The meter can be asked all the same.
            if is_look:
                await self._async_fill()
                await self._async_save_if_due()
            if error is not None:
                raise error
        return is_look

    async def _async_fill(self) -> None:
        """Ask the meter for what the ledger has not, the newest first."""
        profile = self._source.profile
        scale = Scale.of(profile)
        if scale is None or not profile.has(HISTORY_IN):
            return
        self._is_behind = True
        is_first = not self.ledger.months
        if is_first:
            _LOGGER.info("Reading what the meter remembers, newest day first")
        try:
            await self._async_fill_newest(scale)
            await self._async_fill_days()
        finally:
            self._keep_unconfirmed()
            self._tell_newest()
            self._tell_oldest()
        self._is_behind = False
        if is_first:
            _LOGGER.info("Read what the meter remembers; the history goes back to %s", self._source.history_start)

    async def _async_fill_newest(self, scale: Scale) -> None:
        """Ask for the last hours in one exchange, where the meter can, and nothing older is missing nearby."""
        now = dt_util.utcnow()
        missing = [at for day in newest_days(now, 2) for at in self._holes(day, now)]
        if not missing or not self._source.profile.has(HALF_HOURS):
            return
        begin, end = (datetime.fromtimestamp(at, JST) for at in (min(missing), max(missing)))
        if end - begin > SPAN:
            return
        length = (end - begin) // HALF_HOUR + 1
        try:
            async with self._source.async_meter() as meter:
                await self._async_check_clock(meter, is_known=False)
                found = {counters.start: counters for counters in await meter.history.half_hours(end, length)}
                await self._async_check_clock(meter, is_known=False)
        except PropertyRefusedError as err:
            _LOGGER.debug("Asking for the day instead: %s", err)
            return
        for number in range(length):
            start = begin + number * HALF_HOUR
            for key in DIRECTIONS:
                counters = found.get(start)
                energy = None if counters is None else getattr(counters, key)
                self._intake.take_remembered(key, start, energy, scale, dt_util.utcnow(), overrule=False)
        await self._async_reconcile_quietly()

    async def _async_fill_days(self) -> None:
        """Ask for each day that has half-hours of which nothing is known."""
        refused = read = written = 0
        is_clock_known = False
        for day in newest_days(dt_util.utcnow()):
            if not self._holes(day, dt_util.utcnow()) or not self._pauses.is_over(day, self._hass.loop.time()):
                continue
            if refused == REFUSALS:
                self._look_in(REST)
                break
            answer = await self._async_ask_day(day, is_clock_known=is_clock_known)
            self._unconfirmed.append(answer)
            is_clock_known = True
            is_answered = not answer.failures
            refused = 0 if is_answered else refused + 1
            read += is_answered
            self._tell_progress()
            # Each time the sums of all later hours change: the fewer times, the better.
            if (read >= 2 * written or self._is_continued_new) and is_answered:
                written = read
                await self._async_confirm()
                self._tell_newest()
                await self._async_reconcile_quietly()
                self._tell_oldest(PROGRESS)
        if self._unconfirmed:
            await self._async_confirm()
            await self._async_reconcile_quietly()
        if (left := self._pauses.left(self._hass.loop.time())) is not None:
            self._look_in(max(left, REST))

    async def _async_ask_day(self, day: date, *, is_clock_known: bool) -> Day:
        """Ask for a day; what is not answered is asked for again later.

        Raises:
            HistoryUnavailableError: there is no connection to the meter, or its clock is wrong.
            BRouteError: the meter did not answer.

        """
        async with self._source.async_meter() as meter:
            await self._async_check_clock(meter, is_known=is_clock_known)
            try:
                answer = await meter.history.ask(day)
            except HistoryUnavailableError:
                raise
            except (HistoryError, PropertyRefusedError) as err:
                answer = Day(date=day, energies={}, failures=dict.fromkeys(KEYS, err))
        for direction, reason in answer.failures.items():
            _LOGGER.debug("Nothing of %s, %s: %s", day, direction.value, reason)
        if answer.failures:
            self._pauses.begin(day, self._hass.loop.time())
        else:
            self._pauses.end(day)
        return answer

    async def _async_take_day(self, day: date, scale: Scale, *, overrule: bool = False) -> None:
        """Ask for a day, and put it into the ledger at once: what comes after it may fail.

        Raises:
            HistoryUnavailableError: there is no connection to the meter, or its clock is wrong.
            BRouteError: the meter did not answer.

        """
        answer = await self._async_ask_day(day, is_clock_known=True)
        await self._async_see_clock()
        self._intake.take_day(answer, scale, dt_util.utcnow(), overrule=overrule)

    async def _async_confirm(self) -> None:
        """Put the days that were answered into the ledger, if the meter's clock, which dates them, is still right.

        Raises:
            HistoryUnavailableError: there is no connection to the meter, or its clock is wrong.
            BRouteError: the meter did not answer.

        """
        await self._async_see_clock()
        self._take_unconfirmed(self._known_scale())
        self._unconfirmed.clear()

    def _keep_unconfirmed(self) -> None:
        """Put the days that were answered into the ledger by what is known of the clock: nothing more can be asked."""
        drift, scale = self._source.details.clock_drift, Scale.of(self._source.profile)
        if scale is not None and drift is not None and abs(drift) <= CLOCK_TOLERANCE:
            self._take_unconfirmed(scale)
        self._unconfirmed.clear()

    def _take_unconfirmed(self, scale: Scale) -> None:
        for answer in self._unconfirmed:
            self._intake.take_day(answer, scale, dt_util.utcnow(), overrule=False)

    def _known_scale(self) -> Scale:
        """Return how the meter counts.

        Raises:
            HistoryUnavailableError: it has not told.

        """
        scale = Scale.of(self._source.profile)
        if scale is None:
            raise HistoryUnavailableError("the meter does not tell the unit of its counters", "history_no_connection")
        return scale

    async def _async_see_clock(self) -> None:
        async with self._source.async_meter() as meter:
            await self._async_check_clock(meter, is_known=False)

    async def _async_check_clock(self, meter: SmartMeter, *, is_known: bool) -> None:
        """Take no history while the meter's clock is wrong; it is asked for, unless what is known of it is enough.

        Raises:
            HistoryUnavailableError: it is wrong.

        """
        drift = self._source.details.clock_drift if is_known else None
        if drift is None:
            drift = await meter.history.clock() - dt_util.utcnow()
        if abs(drift) > CLOCK_TOLERANCE:
            self._unconfirmed.clear()
            raise HistoryUnavailableError(f"the meter's clock is off by {drift}", "history_wrong_clock")

    async def _async_reconcile(self, changes: Changes, *, overrule: bool = False) -> None:
        self._is_continued_new = False
        for key, statistic_id in self._statistic_ids().items():
            reconciler, before = self._reconcilers[key], self.ledger.continued.get(key)
            await reconciler.async_reconcile(self.ledger, statistic_id, changes, overrule=overrule)
            if self.ledger.continued.get(key) is not before:
                reconciler.verified = None
            if (verified := reconciler.verified) is not None:
                self._store.verified[key] = (verified.until, verified.run)

    async def _async_reconcile_or_refuse(self, changes: Changes, *, overrule: bool = False) -> None:
        """Bring the recorder in line for a person who waits.

        Raises:
            HistoryUnavailableError: that cannot be done at present.

        """
        try:
            await self._async_reconcile(changes, overrule=overrule)
        except RecorderUnavailableError as err:
            raise HistoryUnavailableError(str(err), "history_no_database") from err

    async def _async_reconcile_quietly(self) -> None:
        """Bring the recorder in line while the meter is being asked, which goes on if that cannot be done."""
        try:
            await self._async_reconcile(Changes())
        except RecorderUnavailableError as err:
            self._recorder_error = self._said(err)

    async def _async_is_right(self) -> bool:
        return all(
            [
                await self._reconcilers[key].async_check(self.ledger, statistic_id)
                for key, statistic_id in self._statistic_ids().items()
            ]
        )

    def _holes(self, day: date, now: datetime) -> list[int]:
        """Return the half-hours of a day that the meter is to be asked for, in either direction."""
        return holes(self.ledger, self._keys(), day, now)

    def _keys(self) -> list[str]:
        """Return the directions of which the meter has a memory."""
        return [ENERGY_IN, *([ENERGY_OUT] if self._source.profile.has(HISTORY_OUT) else [])]

    @callback
    def _updated(self) -> None:
        """Take a new reading, and what the meter announced."""
        if not self._is_loaded:
            return
        source, now = self._source, dt_util.utcnow()
        scale = Scale.of(source.profile)
        if scale is not None:
            if source.readings != self._readings:
                self._readings = source.readings
                self._intake.take_reading(source.data, scale, now)
            for key, fixed in ((ENERGY_IN, source.details.fixed_in), (ENERGY_OUT, source.details.fixed_out)):
                self._intake.take_announced(key, fixed, scale, now)
        if source.meter is not None and source.meter is not self._meter and self._is_behind:
            self._look()
        self._meter = source.meter

    @callback
    def _look(self) -> None:
        self._is_look_wanted = True
        self._wanted.set()

    @callback
    def _hour_is_over(self, _: datetime) -> None:
        self._look()

    @callback
    def _recorder_compiled(self, _: Event[Any]) -> None:
        self._wanted.set()

    def _look_in(self, seconds: float) -> None:
        """Look again in some time, if the entry is still there."""

        @callback
        def look(_: datetime) -> None:
            self._look()

        self._cancel_look()
        self._cancel_look = async_call_later(self._hass, seconds, look)

    async def _async_save_if_due(self) -> None:
        now = self._hass.loop.time()
        if self._saved is None or now - self._saved >= SAVE_INTERVAL:
            self._saved = now
            await self._store.async_save()

    async def _async_save(self) -> None:
        """Write what is to be kept; nothing is left to be written when the entry is removed."""
        self._cancel_look()
        self._cancel_hours()
        if self._is_loaded:
            self._keep_unconfirmed()
            await self._store.async_save()

    async def _async_final_write(self, _: Event[Any]) -> None:
        await self._async_save()

    @property
    def _last_error(self) -> str | None:
        return self._recorder_error or self._error

    def _said(self, err: Exception) -> str:
        """Warn once of what lasts, in one line; return it."""
        error = str(err) if isinstance(err, RecorderUnavailableError) else repr(err)
        if error not in {self._error, self._recorder_error}:
            _LOGGER.warning("The history waits for its next look: %s", error)
            _LOGGER.debug("It happened here", exc_info=err)
        return error

    def _tell_oldest(self, step: timedelta = timedelta(0)) -> None:
        """Show how far the history goes back, if that has changed by some time."""
        oldest, told = self.ledger.oldest(), self._source.history_start
        if oldest is not None and (told is None or (oldest != told and abs(told - oldest) >= step)):
            self._source.history_start = oldest
            self._source.async_update_listeners()

    def _tell_progress(self) -> None:
        """Show how much of the meter's memory has been read."""
        just_read = {each.date for each in self._unconfirmed if not each.failures}
        now_read = progress(self.ledger, self._keys(), just_read, dt_util.utcnow(), self._last_error)
        if now_read != self._source.history_progress:
            self._source.history_progress = now_read
            self._source.async_update_listeners()

    def _tell_newest(self) -> None:
        """Show what the last half-hours were."""
        self._source.async_remembered(newest(self.ledger, dt_util.utcnow()))

    def _statistic_ids(self) -> dict[str, str]:
        """Return the entities that have statistics; a person may have given them other names meanwhile."""
        registry = er.async_get(self._hass)
        found = {}
        for key in DIRECTIONS:
            entity_id = registry.async_get_entity_id(SENSOR_DOMAIN, DOMAIN, f"{self._entry.unique_id}_{key}")
            entity = None if entity_id is None else registry.async_get(entity_id)
            if entity is not None and not entity.disabled:
                found[key] = entity.entity_id
        return found


def _nothing() -> None:
    pass
