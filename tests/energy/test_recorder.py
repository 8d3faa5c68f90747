"""Whatever is done to a real recorder's database, the next look makes it right."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
import time
from typing import TYPE_CHECKING, Any

from homeassistant.components.recorder.tasks import StopTask
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.recorder import get_instance
from homeassistant.util import dt as dt_util
import pytest
from sqlalchemy import event

from custom_components.broute.energy.ledger import ENERGY_IN, HALF_HOUR_SECONDS, Ledger
from custom_components.broute.energy.recorder import (
    Changes,
    Reconciler,
    RecorderUnavailableError,
    async_read,
    async_written,
)
from custom_components.broute.energy.statistics import CHUNK, HOUR as HOUR_SECONDS, chunk_of

from ..aiobroute.virtual_time import START
from ..recorder import ask, bars, full_disk
from ..simulator import scenarios
from ..simulator.meter import Gap, MeterSettings
from ..simulator.transport import SimulatedPort
from ..soak.costs import add_plans
from .ledgers import BEGIN, A, fill, ledger_of, moment, series
from .test_backfill import (
    DAY,
    EXPORT,
    HOUR,
    IMPORT,
    MINUTE,
    assert_true,
    call,
    count_days,
    house,
    live,
    lose_database,
    rename_table,
)

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant

    from ..databases import Database
    from ..soak.installation import Installation

FEW_DAYS = replace(scenarios.SOLAR, meter=MeterSettings(solar=True, history_days=5))


def database_of(home: Installation) -> Database:
    assert home.database is not None
    return home.database


def comparisons(home: Installation) -> list[str]:
    """Return a list to which each comparison of rows by their sums adds itself."""
    found: list[str] = []

    def executed(_: Any, __: Any, statement: str, *___: Any) -> None:
        if "GROUP BY" in statement and "sum(statistics.sum)" in statement:
            found.append(statement)

    event.listen(get_instance(home.hass).engine, "before_cursor_execute", executed)
    return found


def count_history(sim: SimulatedPort) -> int:
    """Return how often the meter was asked for anything that it remembers."""
    codes = {0xE2, 0xE4, 0xEC}
    return sum(bool(codes & set(data[12::2])) and data[10] == 0x62 for data in sim.record.datagrams_from_client)


def count_clock(sim: SimulatedPort) -> int:
    """Return how often the meter was asked for its time and date."""
    return sum(data[10:] == bytes.fromhex("6202 9700 9800") for data in sim.record.datagrams_from_client)


@pytest.mark.parametrize("after", [10, 90 * MINUTE], ids=["in the first import", "later"])
def test_the_disk_is_full_for_a_while(tmp_path: Path, after: float) -> None:
    async def story() -> None:
        async with house(tmp_path, FEW_DAYS) as (home, sim):
            await home.start()
            await asyncio.sleep(after)
            database_of(home).refuse_statistics()
            await asyncio.sleep(190 * MINUTE)
            database_of(home).accept_statistics()
            asked = count_days(sim)
            await asyncio.sleep(70 * MINUTE)
            await assert_true(home, sim, hours=24 * 4 + 15)
            assert count_days(sim) == asked, "what is known was asked for again"

    live(story)


def test_off_and_then_the_disk_is_full(tmp_path: Path) -> None:
    async def story() -> None:
        async with house(tmp_path, FEW_DAYS) as (home, sim):
            await home.start()
            await asyncio.sleep(20 * MINUTE)
            await home.stop()
            await asyncio.sleep(30 * 60 * MINUTE)
            database_of(home).refuse_statistics()
            await home.start()
            await asyncio.sleep(150 * MINUTE)
            database_of(home).accept_statistics()
            await asyncio.sleep(70 * MINUTE)
            await assert_true(home, sim, hours=24 * 5 + 20)

    live(story)


@pytest.mark.parametrize(
    ("hours", "last"),
    [
        # From 14:30 to 16:00: the last one, and how many.
        (0, "07EA 0B17 1000 04"),
        # From 23:00 on, over midnight.
        (8.5, "07EA 0B18 001E 04"),
    ],
)
def test_the_last_hours_are_asked_for_at_once_and_no_others(tmp_path: Path, hours: float, last: str) -> None:
    async def story() -> None:
        async with house(tmp_path, FEW_DAYS) as (home, sim):
            await home.start()
            await asyncio.sleep(20 * MINUTE + hours * 60 * MINUTE)
            await home.stop()
            await asyncio.sleep(2 * 60 * MINUTE)
            asked, sent = count_days(sim), len(sim.record.datagrams_from_client)
            await home.start()
            await asyncio.sleep(MINUTE)
            chosen = [data[12:] for data in sim.record.datagrams_from_client[sent:] if data[10] == 0x61]
            assert chosen == [bytes.fromhex(f"ED07 {last}")]
            assert count_days(sim) == asked
            await assert_true(home, sim, hours=24 * 4 + 15)

    live(story)


def test_days_that_were_answered_before_a_stop_are_not_asked_for_again(tmp_path: Path) -> None:
    async def story() -> None:
        async with house(tmp_path) as (home, sim):
            await home.start()
            await until_asked_for(sim, 30)
            await home.stop()
            await home.start()
            await asyncio.sleep(10 * MINUTE)
            # Only the one of which the answer was not waited for.
            assert count_days(sim) <= 100 + 1
            await assert_true(home, sim, hours=24 * 97)

    live(story)


def test_an_older_copy_of_the_database_is_put_back(tmp_path: Path) -> None:
    async def story() -> None:
        async with house(tmp_path, FEW_DAYS, interval=300) as (home, sim):
            await home.start()
            await asyncio.sleep(20 * MINUTE)
            database_of(home).keep("older")
            await asyncio.sleep(36 * 60 * MINUTE)
            await home.stop()
            database_of(home).put_back("older")
            asked = count_days(sim)
            await home.start()
            await asyncio.sleep(20 * MINUTE)
            await assert_true(home, sim, hours=24 * 5 + 22)
            assert count_days(sim) == asked

    live(story)


def test_the_database_is_deleted_and_corrections_by_hand_stay(tmp_path: Path) -> None:
    async def story() -> None:
        async with house(tmp_path, FEW_DAYS) as (home, sim):
            await home.start()
            await asyncio.sleep(20 * MINUTE)
            corrected = (START - 2 * DAY).replace(hour=10, minute=0, second=0)
            get_instance(home.hass).async_adjust_statistics(IMPORT, corrected, -0.2, "kWh")
            await asyncio.sleep(61 * MINUTE)
            before = {each: await bars(home.hass, each, START - 9 * DAY) for each in (IMPORT, EXPORT)}
            counter = sim.meter.energy_in
            assert before[IMPORT][corrected] == counter(corrected + HOUR) - counter(corrected) - Decimal("0.2")
            for _ in range(2):
                await home.stop()
                lose_database(tmp_path)
                asked = count_history(sim)
                await home.start()
                await asyncio.sleep(60)
                for each, shown in before.items():
                    assert await bars(home.hass, each, START - 9 * DAY) == shown
                assert count_history(sim) == asked, "the meter was asked for what is known"
            await call(home, "import_history", START - 2 * DAY, START - 2 * DAY)
            await assert_true(home, sim, hours=24 * 4 + 15)

    live(story)


def test_statistics_are_cleared(tmp_path: Path) -> None:
    async def story() -> None:
        async with house(tmp_path, FEW_DAYS) as (home, sim):
            await home.start()
            await asyncio.sleep(20 * MINUTE)
            await ask(home.hass, "recorder/clear_statistics", statistic_ids=[IMPORT])
            asked = count_days(sim)
            # What the recorder counts on from is looked at every five minutes, not only once an hour.
            await asyncio.sleep(7 * MINUTE)
            await assert_true(home, sim, hours=24 * 4 + 13)
            await asyncio.sleep(63 * MINUTE)
            await assert_true(home, sim, hours=24 * 4 + 15)
            assert count_days(sim) == asked

    live(story)


def test_an_hour_that_the_meter_does_not_remember_never_ends_above_the_next_one(tmp_path: Path) -> None:
    # The rows are compared ten days at a time, by UTC: the next hour is among those of the next ten.
    following = (START + timedelta(hours=-5)).replace(minute=0, second=0)
    assert following.timestamp() % (10 * DAY).total_seconds() == 0
    gap = Gap(start=following - timedelta(minutes=15), end=following + timedelta(minutes=15))
    scenario = replace(FEW_DAYS, meter=replace(FEW_DAYS.meter, gaps=(gap,)))
    lost = int((following - HOUR).timestamp())
    of_import = f"(select id from statistics_meta where statistic_id = '{IMPORT}')"  # noqa: S608  # a name of ours
    some = f"from statistics where metadata_id = {of_import}"
    states = f"select round(state, 4) {some} and start_ts between {lost - 3600} and {lost} order by start_ts"
    row = f"select metadata_id, created_ts, {lost}, state + 9, sum + 9 {some} and start_ts = {lost - 3600}"

    async def story() -> None:
        async with house(tmp_path, scenario) as (home, _):
            await home.start()
            await asyncio.sleep(20 * MINUTE)
            (before,) = database_of(home).column(states)
            database_of(home).execute(f"insert into statistics (metadata_id, created_ts, start_ts, state, sum) {row}")
            assert len(database_of(home).column(states)) == 2
            await asyncio.sleep(61 * MINUTE)
            assert database_of(home).column(states) == [before, before]

    live(story)


def test_a_sensor_is_disabled_for_thirty_hours(tmp_path: Path) -> None:
    async def story() -> None:
        async with house(tmp_path, FEW_DAYS, interval=300) as (home, sim):
            await home.start()
            await asyncio.sleep(20 * MINUTE)
            registry = er.async_get(home.hass)
            registry.async_update_entity(EXPORT, disabled_by=er.RegistryEntryDisabler.USER)
            await asyncio.sleep(30 * 60 * MINUTE)
            registry.async_update_entity(EXPORT, disabled_by=None)
            await asyncio.sleep(70 * MINUTE)
            await assert_true(home, sim, hours=24 * 5 + 20)

    live(story)


def test_it_is_looked_at_once_an_hour(tmp_path: Path) -> None:
    async def story() -> None:
        async with house(tmp_path, FEW_DAYS) as (home, sim):
            await home.start()
            await asyncio.sleep(70 * MINUTE)
            found, asked = comparisons(home), count_history(sim)
            await asyncio.sleep(180 * MINUTE)
            assert count_history(sim) == asked, "what the meter announces was asked for"
            # Of each direction before the meter was asked, and after it; written in between.
            assert 3 * 2 <= len(found) <= 3 * 2 * 4

    live(story)


LONG_KNOWN = "select round(state, 4) || ' ' || round(sum, 4) from statistics order by metadata_id, start_ts limit 1000"


@pytest.mark.parametrize(
    "change",
    [
        "update statistics set sum = sum + 0.5 where start_ts = (select min(start_ts) + 864000 from statistics)",
        "update statistics set state = state - 0.5 where start_ts = (select min(start_ts) + 864000 from statistics)",
        "delete from statistics where start_ts = (select min(start_ts) + 864000 from statistics)",
        "update statistics set sum = sum + 0.5 where start_ts < (select min(start_ts) + 2 * 86400 from statistics)",
        # The sums of all rows together stay as they are.
        (
            "update statistics set sum = sum + case start_ts - (select min(start_ts) from statistics)"
            " when 864000 then 0.5 when 871200 then -0.5 else 0 end"
        ),
    ],
)
def test_a_row_of_long_ago_is_changed(tmp_path: Path, change: str) -> None:
    async def story() -> None:
        scenario = replace(scenarios.SOLAR, meter=MeterSettings(solar=True, history_days=45))
        async with house(tmp_path, scenario) as (home, sim):
            await home.start()
            await asyncio.sleep(190 * MINUTE)
            before = database_of(home).column(LONG_KNOWN)
            database_of(home).execute(change)
            assert database_of(home).column(LONG_KNOWN) != before
            await asyncio.sleep(61 * MINUTE)
            assert database_of(home).column(LONG_KNOWN) == before
            await assert_true(home, sim, hours=24 * 44)

    live(story)


def test_nothing_is_looked_at_that_is_not_recorded(tmp_path: Path) -> None:
    async def story() -> None:
        async with house(tmp_path, FEW_DAYS, recorded=["light.*"]) as (home, _):
            await home.start()
            found = comparisons(home)
            await asyncio.sleep(180 * MINUTE)
            assert not found
            assert not await bars(home.hass, IMPORT, START - 9 * DAY)

    live(story)


def test_the_action_while_the_database_cannot_be_read(tmp_path: Path) -> None:
    async def story() -> None:
        async with house(tmp_path, FEW_DAYS) as (home, _):
            await home.start()
            await asyncio.sleep(20 * MINUTE)
            rename_table(tmp_path, "statistics", "mislaid")
            with pytest.raises(HomeAssistantError) as found:
                await call(home, "import_history", START - DAY, START - DAY)
            rename_table(tmp_path, "mislaid", "statistics")
            assert found.value.translation_key == "history_no_database"
            done = await call(home, "import_history", START - DAY, START - DAY)
            assert done["hours_read"] == 48

    live(story)


def test_a_recorder_that_is_never_ready(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        async with house(tmp_path, FEW_DAYS) as (home, sim):
            await home.start()
            await asyncio.sleep(20 * MINUTE)
            ready = get_instance(home.hass).async_recorder_ready
            ready.clear()
            begin = asyncio.get_running_loop().time()
            with pytest.raises(HomeAssistantError) as found:
                await call(home, "import_history", START - DAY, START - DAY)
            assert found.value.translation_key == "history_no_database"
            assert asyncio.get_running_loop().time() - begin < 5 * 60
            await asyncio.sleep(130 * MINUTE)
            told = [record for record in caplog.records if "The history waits" in record.getMessage()]
            assert len([record for record in told if record.levelname == "WARNING"]) == 1
            ready.set()
            await asyncio.sleep(70 * MINUTE)
            await assert_true(home, sim, hours=24 * 4 + 17)

    live(story)


def test_a_recorder_that_has_ended(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Home Assistant goes on without it, as after an error that it does not survive; so do all figures of today."""

    async def story() -> None:
        async with house(tmp_path, FEW_DAYS) as (home, sim):
            await home.start()
            add_plans(home.hass, home.entry, START.date())
            await asyncio.sleep(20 * MINUTE)
            recorder = get_instance(home.hass)
            # Its threads are busy, so what is asked for now is not begun when it ends, and cancelled.
            for _ in range(20):
                recorder.async_add_executor_job(time.sleep, 0.3)
            waiting = [asyncio.create_task(async_read(home.hass, id)) for _ in range(2)]
            await asyncio.sleep(0)
            waiting[0].cancel()
            recorder.queue_task(StopTask())
            await asyncio.wait(waiting)
            assert waiting[0].cancelled()
            assert isinstance(waiting[1].exception(), RecorderUnavailableError)
            assert await ask_for_yesterday(home) == "history_no_database"
            caplog.clear()
            shown = home.hass.states.get("sensor.smart_meter_cost")
            readings = home.entry.runtime_data.readings
            await asyncio.sleep(130 * MINUTE)
            assert home.entry.runtime_data.readings > readings + 100
            assert shown is not None
            assert home.hass.states.get("sensor.smart_meter_cost") != shown
            told = [each for each in caplog.records if each.name.startswith("custom_components.broute")]
            assert not [each for each in told if each.levelname == "ERROR"]
            assert len([each for each in told if each.levelname == "WARNING"]) <= 1
            await home.stop()
            await home.start()
            await asyncio.sleep(70 * MINUTE)
            await assert_true(home, sim, hours=24 * 4 + 17)

    live(story)


async def ask_for_yesterday(home: Installation) -> str:
    """Give the action; return what it says is wrong, if anything."""
    try:
        await call(home, "import_history", START - DAY, START - DAY)
    except HomeAssistantError as err:
        return err.translation_key or repr(err)
    return ""


def test_sums_of_later_hours_are_moved_a_few_times_only(tmp_path: Path) -> None:
    """Each day that is imported moves all of them: they are written when twice as many days are there."""

    async def story() -> None:
        async with house(tmp_path) as (home, _):
            await home.start()
            looks = comparisons(home)
            await asyncio.sleep(25 * MINUTE)
            progress = home.entry.runtime_data.history_progress
            assert progress is not None
            assert progress.percent == 100
            assert 2 < len(looks) < 50

    live(story)


def test_the_meter_refuses_its_history_in_the_first_import(tmp_path: Path) -> None:
    async def story() -> None:
        async with house(tmp_path) as (home, sim):
            await home.start()
            await asyncio.sleep(25)
            values = sim.meter.device.values
            values[0xE2] = b""
            await asyncio.sleep(10)
            del values[0xE2]
            await asyncio.sleep(80 * MINUTE)
            await assert_true(home, sim, hours=2352)

    live(story)


def days_asked_for(sim: SimulatedPort) -> list[int]:
    """Return the days of which the history was asked for (E5), each once, as long ago as they are."""
    chosen = [data[14] for data in sim.record.datagrams_from_client if data[10] in (0x61, 0x6E) and data[12] == 0xE5]
    return list(dict.fromkeys(chosen))


def test_a_day_that_is_read_again_has_its_last_hour_too(tmp_path: Path) -> None:
    async def story() -> None:
        async with house(tmp_path, FEW_DAYS) as (home, sim):
            sim.meter.device.refuse(0xE2, 0xE4, 0xEC)
            await home.start()
            await asyncio.sleep(2 * MINUTE)
            sim.meter.device.refusals.clear()
            day = START - 3 * DAY
            told = await call(home, "import_history", day, day)
            assert told["hours_read"] == 24 * 2
            assert told["without_value"] == 0

    live(story)


def test_a_meter_that_refuses_its_history_is_left_alone_for_a_while(tmp_path: Path) -> None:
    """After three days in a row it will refuse the others, too."""

    async def story() -> None:
        async with house(tmp_path) as (home, sim):
            values = sim.meter.device.values
            values[0xE2] = b""
            await home.start()
            await asyncio.sleep(9 * MINUTE)
            assert days_asked_for(sim) == [0, 1, 2]
            await asyncio.sleep(100 * MINUTE)
            assert days_asked_for(sim) == [0, 1, 2, 3, 4, 5]
            del values[0xE2]
            await asyncio.sleep(80 * MINUTE)
            await assert_true(home, sim, hours=2352)

    live(story)


def test_two_days_that_are_refused_do_not_hold_up_the_others(tmp_path: Path) -> None:
    async def story() -> None:
        async with house(tmp_path) as (home, sim):
            values = sim.meter.device.values
            await home.start()
            await until_asked_for(sim, 1)
            values[0xE2] = b""
            await until_asked_for(sim, 3)
            del values[0xE2]
            await asyncio.sleep(2 * MINUTE)
            assert 10 in days_asked_for(sim)

    live(story)


async def until_asked_for(sim: SimulatedPort, day: int) -> None:
    """Wait until the history of a day, so long ago, is asked for."""
    while day not in days_asked_for(sim):  # noqa: ASYNC110  # the simulator tells nobody
        await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("jump", "after"), [(-DAY, 30), (-HOUR, 30), (HOUR, 90), (DAY, 66 * MINUTE - 1)], ids=["-1 d", "-1 h", "1 h", "1 d"]
)
def test_the_meters_clock_jumps_and_is_set_right(tmp_path: Path, jump: timedelta, after: float) -> None:
    async def story() -> None:
        scenario = replace(scenarios.SOLAR, meter=MeterSettings(solar=True, history_days=14))
        async with house(tmp_path, scenario) as (home, sim):
            await home.start()
            await asyncio.sleep(after)
            sim.meter.counters.clock_offset = jump
            await asyncio.sleep(100 * MINUTE)
            sim.meter.counters.clock_offset = timedelta()
            await asyncio.sleep(120 * MINUTE)
            await assert_true(home, sim, hours=24 * 13)

    live(story)


def test_a_clock_that_is_wrong_is_asked_for_at_pauses(tmp_path: Path) -> None:
    async def story() -> None:
        async with house(tmp_path, FEW_DAYS) as (home, sim):
            sim.meter.counters.clock_offset = DAY
            await home.start()
            await asyncio.sleep(5 * MINUTE)
            asked = count_clock(sim)
            await asyncio.sleep(240 * MINUTE)
            # Ten minutes after each look, and for that of each hour; readings come once a minute.
            assert 4 * 6 <= count_clock(sim) - asked <= 4 * 7
            assert count_history(sim) == 0
            assert "the meter's clock is off by" in str(last_error(home))
            sim.meter.counters.clock_offset = timedelta()
            await asyncio.sleep(40 * MINUTE)
            assert last_error(home) is None

    live(story)


def last_error(home: Installation) -> object:
    """Return what the sensor of the import says of the last error."""
    told = home.hass.states.get("sensor.smart_meter_history_import")
    assert told is not None
    return told.attributes["last_error"]


@pytest.mark.usefixtures("recorder_mock")
async def test_what_is_not_recorded_cannot_be_wrong(hass: HomeAssistant) -> None:
    ledger, rows = ledger_of(series(BEGIN, 1000, [1] * 200)), Reconciler(hass, ENERGY_IN)
    get_instance(hass).entity_filter = lambda entity_id: entity_id != "sensor.energy"
    changes = Changes()
    await rows.async_reconcile(ledger, "sensor.energy", changes)
    assert await rows.async_check(ledger, "sensor.energy") is True
    assert (changes.imported, changes.corrected) == (0, 0)


@pytest.mark.usefixtures("recorder_mock")
async def test_rows_that_the_recorder_does_not_keep_are_not_right(hass: HomeAssistant) -> None:
    ledger = ledger_of(series(BEGIN, 1000, [1] * 200))
    rows = Reconciler(hass, ENERGY_IN)
    with full_disk(hass):
        await rows.async_reconcile(ledger, "sensor.energy", Changes())
        was_right = rows.is_right
        await async_written(hass)  # It was tried once more.
    changes = Changes()
    await rows.async_reconcile(ledger, "sensor.energy", changes)
    assert (was_right, rows.is_right) == (False, True)
    assert (changes.imported, changes.corrected) == (100, 0)
    shown = await bars(hass, "sensor.energy", moment(BEGIN - 3600))
    assert list(shown.values()) == [Decimal("0.2")] * 100
    fill(ledger, series(BEGIN + 100 * HOUR_SECONDS, 1200, [1] * 200))
    with full_disk(hass):
        await rows.async_reconcile(ledger, "sensor.energy", Changes())
    assert rows.is_right is False


@pytest.mark.usefixtures("recorder_mock")
async def test_what_the_recorder_counts_on_from(hass: HomeAssistant) -> None:
    ledger, rows = Ledger(), Reconciler(hass, ENERGY_IN)
    ledger.begin(A)
    assert await rows.async_check(ledger, "sensor.energy") is False
    await rows.async_reconcile(ledger, "sensor.energy", Changes())
    # As long as nothing is known there is nothing to count on from.
    assert await rows.async_check(ledger, "sensor.energy") is True
    fill(ledger, series(BEGIN, 1000, [1] * 200))
    assert await rows.async_check(ledger, "sensor.energy") is False
    await rows.async_reconcile(ledger, "sensor.energy", Changes())
    assert await rows.async_check(ledger, "sensor.energy") is True


@pytest.mark.usefixtures("recorder_mock")
async def test_rows_of_long_ago_that_have_not_changed_are_not_compared_again(hass: HomeAssistant) -> None:
    end = chunk_of(int(dt_util.utcnow().timestamp()))
    ledger = ledger_of(series(end - 5 * CHUNK, 1000, [1] * (5 * CHUNK // HALF_HOUR_SECONDS)))
    rows, compared = Reconciler(hass, ENERGY_IN), list[int]()

    def executed(_: Any, __: Any, statement: str, parameters: tuple[int, ...], *___: Any) -> None:
        if "GROUP BY" in statement and "sum(statistics.sum)" in statement:
            compared.append(min(chunk_of(number + HOUR_SECONDS) for number in parameters if number > end - 9 * CHUNK))

    event.listen(get_instance(hass).engine, "before_cursor_execute", executed)
    await rows.async_reconcile(ledger, "sensor.energy", Changes())
    assert compared[0] == end - 5 * CHUNK
    await rows.async_reconcile(ledger, "sensor.energy", Changes())
    assert compared[-1] == end - CHUNK


@pytest.mark.usefixtures("recorder_mock")
@pytest.mark.parametrize("later", [0, 1])
async def test_hours_that_only_the_recorder_knows_at_the_end_of_a_chunk(hass: HomeAssistant, later: int) -> None:
    border = chunk_of(BEGIN) + CHUNK
    counts = series(border - 12 * HOUR_SECONDS, 1000, [1, 2, 3, 4, 5, 6] * 8)
    await Reconciler(hass, ENERGY_IN).async_reconcile(ledger_of(counts), "sensor.energy", Changes())
    before = await bars(hass, "sensor.energy", moment(border - CHUNK))
    assert len(before) == 24
    unknown = range(border - 3 * HOUR_SECONDS + 1, border + (1 + later) * HOUR_SECONDS)
    ledger = ledger_of({at: count for at, count in counts.items() if at not in unknown})
    changes = Changes()
    await Reconciler(hass, ENERGY_IN).async_reconcile(ledger, "sensor.energy", changes)
    assert await bars(hass, "sensor.energy", moment(border - CHUNK)) == before
    assert (changes.imported, changes.corrected) == (0, 0)


@pytest.mark.usefixtures("recorder_mock")
async def test_the_rows_of_the_first_sensor_of_a_database_are_not_those_of_one_that_is_new(hass: HomeAssistant) -> None:
    other = ledger_of(series(BEGIN, 50, [3] * 200))
    await Reconciler(hass, ENERGY_IN).async_reconcile(other, "sensor.other", Changes())
    changes = Changes()
    ledger = ledger_of(series(BEGIN, 1000, [1] * 200))
    await Reconciler(hass, ENERGY_IN).async_reconcile(ledger, "sensor.energy", changes)
    assert (changes.imported, changes.corrected) == (100, 0)
