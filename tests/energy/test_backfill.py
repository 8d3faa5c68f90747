"""The meter's history in a real recorder, read back through Home Assistant's own public commands."""

import asyncio
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
import logging
from pathlib import Path
from sqlite3 import connect
from typing import TYPE_CHECKING, Any

from homeassistant.const import EVENT_STATE_CHANGED, STATE_UNAVAILABLE
from homeassistant.core import Context, Event, EventStateChangedData, callback
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError, Unauthorized
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.recorder import get_instance
from homeassistant.setup import async_setup_component
import pytest
import time_machine

from custom_components.broute.energy.source import HistoryProgress

from ..aiobroute.virtual_time import START, VirtualTimeLoop, clock
from ..databases import Sqlite
from ..home import dongle, entry_of, set_up
from ..recorder import ask, bars
from ..simulator import scenarios
from ..simulator.meter import Gap, MeterSettings
from ..simulator.scenarios import Scenario
from ..simulator.transport import SimulatedPort, simulated_port
from ..soak.energy import energy_soak
from ..soak.installation import Installation

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Sequence

    from homeassistant.core import HomeAssistant
    from pytest_homeassistant_custom_component.common import MockUser

IMPORT = "sensor.smart_meter_energy_import"
EXPORT = "sensor.smart_meter_energy_export"
SINCE = "sensor.smart_meter_history_since"
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
MINUTE = 60.0

NOTHING_PAID = dict.fromkeys(
    (
        "stat_cost",
        "stat_compensation",
        "entity_energy_price",
        "number_energy_price",
        "entity_energy_price_export",
        "number_energy_price_export",
    )
)

type Home = tuple[Installation, SimulatedPort]


@asynccontextmanager
async def house(
    folder: Path, scenario: Scenario = scenarios.SOLAR, *, recorded: Sequence[str] = (), **options: Any
) -> AsyncIterator[Home]:
    """Run Home Assistant with a recorder on a file; not started yet."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualTimeLoop)
    with time_machine.travel(clock(), tick=False) as wall, simulated_port(scenario, speed=1, clock=clock) as sim:
        loop.wall = wall
        home = Installation(folder, sim, lambda _: None, Sqlite(folder / "statistics.db"), options, recorded)
        try:
            yield home, sim
        finally:
            if home.is_running:
                await home.stop()
            loop.wall = loop.settle = None


def live(story: Callable[[], Coroutine[Any, Any, None]], start: datetime = START) -> None:
    """Run a story that begins at some time."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, VirtualTimeLoop)
        loop.now = (start - START).total_seconds()
        runner.run(story())


async def assert_true(home: Installation, sim: SimulatedPort, *, hours: int, first: datetime | None = None) -> None:
    """Hold all bars to the meter."""
    for entity_id, counter in ((IMPORT, sim.meter.energy_in), (EXPORT, sim.meter.energy_out)):
        shown = await bars(home.hass, entity_id, START - 120 * DAY)
        assert len(shown) >= hours
        for hour, bar in shown.items():
            if first is None or hour >= first:
                assert bar == counter(hour + HOUR) - counter(hour), hour
        assert max(shown) - min(shown) == HOUR * (len(shown) - 1), "there are holes"


def messages(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what the integration has logged."""
    return [record.getMessage() for record in caplog.records if record.name.startswith("custom_components.broute")]


def test_a_new_entry(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        async with house(tmp_path) as (home, sim):
            caplog.set_level("INFO", "custom_components.broute")
            await home.start()
            coordinator = home.entry.runtime_data
            oldest: set[datetime | None] = set()
            coordinator.async_add_listener(lambda: oldest.add(coordinator.history_start))
            progress: dict[int, None] = {}

            def look() -> None:
                if (found := coordinator.history_progress) is not None:
                    progress.setdefault(found.percent)

            coordinator.async_add_listener(look)
            await asyncio.sleep(25)
            # Yesterday is there within seconds.
            shown = await bars(home.hass, IMPORT, START - 120 * DAY)
            assert min(shown) <= START.replace(hour=0, minute=0, second=0) - DAY
            await asyncio.sleep(15 * MINUTE)
            assert home.entry.runtime_data.readings >= 15, "a poll had to wait"
            await assert_true(home, sim, hours=24 * 98 + 14)
            told = messages(caplog)
            assert [text.split()[0] for text in told] == ["Reading", "Read"]
            assert coordinator.history_start == START.replace(hour=0, minute=0, second=0) - 98 * DAY
            assert 2 < len(oldest) <= 98 // 7 + 1, "each change is a line under Activity"
            assert list(progress) == sorted(progress)
            assert len(progress) > 90
            assert coordinator.history_progress == HistoryProgress(days=100, days_read=100, without_value=0, error=None)
            told_at_the_device = home.hass.states.get("sensor.smart_meter_history_import")
            assert told_at_the_device is not None
            assert told_at_the_device.state == "100"
            assert told_at_the_device.attributes["oldest"] == coordinator.history_start.isoformat()
            assert told_at_the_device.attributes["last_error"] is None
            assert coordinator.history.as_dict() == {
                "is_loaded": True,
                "oldest": coordinator.history_start.isoformat(),
                "meters_so_far": 1,
                "months": 4,
                "days_complete": 100,
                "days_that_a_meter_may_remember": 100,
                "half_hours_missing": 0,
                "days_to_be_asked_for_again": 0,
                "hours_of_other_sensors": {},
                "corrected_by_hand": {"energy_in": 0, "energy_out": 0},
                "statistics_are_right": {"energy_in": True, "energy_out": True},
                "last_error": None,
            }
            # And every hour from now on, as soon as it is over.
            await asyncio.sleep(180 * MINUTE)
            await assert_true(home, sim, hours=24 * 98 + 17)
            asked = len(sim.record.datagrams_from_client)
            await asyncio.sleep(60 * MINUTE)
            # The polls, what is asked beside them, and one hour of both directions.
            assert len(sim.record.datagrams_from_client) - asked <= 60 + 12 + 2 + 1
            assert messages(caplog) == told

    live(story)


@pytest.mark.parametrize(
    "start",
    [
        START.replace(hour=23, minute=59, second=50),
        START.replace(hour=0, minute=0, second=10),
        START.replace(minute=29, second=58),
        START.replace(minute=59, second=55),
        START.replace(minute=0, second=5),
    ],
    ids=lambda start: f"{start:%H:%M:%S}",
)
def test_an_installation_at_any_time(tmp_path: Path, start: datetime) -> None:
    async def story() -> None:
        async with house(tmp_path, replace(scenarios.SOLAR, meter=MeterSettings(solar=True, history_days=3))) as (
            home,
            sim,
        ):
            await home.start()
            await asyncio.sleep(130 * MINUTE)
            await assert_true(home, sim, hours=24 + 2)

    live(story, start)


def test_after_an_outage(tmp_path: Path) -> None:
    async def story() -> None:
        scenario = replace(scenarios.SOLAR, meter=MeterSettings(solar=True, history_days=14))
        async with house(tmp_path, scenario) as (home, sim):
            await home.start()
            await asyncio.sleep(60 * MINUTE)
            read = count_days(sim)
            await home.stop()
            await asyncio.sleep(53 * 60 * MINUTE)
            await home.start()
            await asyncio.sleep(30 * MINUTE)
            await assert_true(home, sim, hours=24 * 12 + 53)
            # Only the days of the outage were asked for; the recorder was off, too.
            assert count_days(sim) - read == 3
            sim.unplug()
            await asyncio.sleep(4 * 60 * MINUTE)
            sim.plug()
            await asyncio.sleep(30 * MINUTE)
            await assert_true(home, sim, hours=24 * 12 + 57)
            assert count_days(sim) - read == 3, "the twelve half-hours of one answer are enough"

    live(story)


def count_days(sim: SimulatedPort) -> int:
    """Return how many days were asked for (E2, alone or with E4)."""
    questions = {bytes.fromhex("6201E200"), bytes.fromhex("6202E200E400")}
    return sum(data[10:] in questions for data in sim.record.datagrams_from_client)


@pytest.mark.slow
@pytest.mark.timeout(600)  # Twice eighty hours of polls.
def test_whatever_was_off_the_bars_are_those_of_a_home_that_was_always_on(tmp_path: Path) -> None:
    scenario = replace(scenarios.SOLAR, meter=MeterSettings(solar=True, history_days=14))
    begin = START.replace(hour=0, minute=0, second=0) - 5 * DAY
    found: list[dict[str, dict[datetime, Decimal]]] = []

    def lived(name: str, between: Callable[[Installation, SimulatedPort], Coroutine[Any, Any, None]]) -> None:
        async def story() -> None:
            folder = tmp_path / name
            folder.mkdir()
            async with house(folder, scenario, interval=300) as (home, sim):
                await home.start()
                await asyncio.sleep(60 * MINUTE)
                await between(home, sim)
                await asyncio.sleep(START.timestamp() + 80 * 60 * MINUTE - clock().timestamp())
                found.append({each: await bars(home.hass, each, begin) for each in (IMPORT, EXPORT)})

        live(story)

    async def always_on(_: Installation, __: SimulatedPort) -> None:
        """Nothing happens."""

    async def with_outages(home: Installation, sim: SimulatedPort) -> None:
        await home.stop()
        await asyncio.sleep(27.4 * 60 * MINUTE)
        await home.start()
        await asyncio.sleep(100)
        await home.kill()
        await asyncio.sleep(3 * 60 * MINUTE)
        await home.start()
        await asyncio.sleep(2 * 60 * MINUTE)
        sim.unplug()
        await asyncio.sleep(7.7 * 60 * MINUTE)
        sim.plug()
        await asyncio.sleep(90 * MINUTE)
        sim.air.is_reachable = False
        await asyncio.sleep(13.2 * 60 * MINUTE)
        sim.air.is_reachable = True

    lived("on", always_on)
    lived("off", with_outages)
    on, off = found
    assert len(on[IMPORT]) >= 5 * 24 + 92
    assert on == off


def test_a_recorder_that_is_behind(tmp_path: Path) -> None:
    async def story() -> None:
        scenario = replace(scenarios.SOLAR, meter=MeterSettings(solar=True, history_days=3))
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualTimeLoop)
        async with house(tmp_path, scenario) as (home, sim):
            await home.start()
            recorder, settle = get_instance(home.hass), loop.settle
            for hours in (0.5, 3):
                # Nothing is written meanwhile, as during a backup; what is to be written waits.
                await recorder.lock_database()
                loop.settle = None
                await asyncio.sleep(hours * 60 * MINUTE)
                loop.settle = settle
                assert recorder.unlock_database()
                await asyncio.sleep(70 * MINUTE)
                await assert_true(home, sim, hours=24 + 14)

    live(story)


def test_a_meter_that_is_heard_again_is_asked_at_once(tmp_path: Path) -> None:
    async def story() -> None:
        scenario = replace(scenarios.SOLAR, meter=MeterSettings(solar=True, history_days=3))
        async with house(tmp_path, scenario) as (home, sim):
            await home.start()
            await asyncio.sleep(20 * MINUTE)
            sim.air.is_reachable = False
            # It would be asked at 16:16 and 16:26.
            await asyncio.sleep((START.replace(hour=16, minute=17, second=0) - clock()).total_seconds())
            sim.air.is_reachable = True
            await asyncio.sleep(7 * MINUTE)
            await assert_true(home, sim, hours=24 + 15)

    live(story)


@pytest.mark.parametrize(("hour", "hours"), [(3, 4), (22, 4), (22, 30)])
def test_while_the_meter_had_no_power(tmp_path: Path, hour: int, hours: int) -> None:
    begin = START.replace(hour=hour, minute=0, second=0) - 3 * DAY

    async def story() -> None:
        gap = Gap(start=begin, end=begin + hours * HOUR)
        scenario = replace(scenarios.NORMAL, meter=MeterSettings(history_days=5, gaps=(gap,)))
        async with house(tmp_path, scenario) as (home, sim):
            await home.start()
            await asyncio.sleep(15 * MINUTE)
            shown = await bars(home.hass, IMPORT, START - 120 * DAY)
            counter = sim.meter.energy_in
            assert sum(shown.values()) == counter(max(shown) + HOUR) - counter(min(shown))
            wrong = [each for each, bar in shown.items() if bar != counter(each + HOUR) - counter(each)]
            # What flowed meanwhile is in the last hour of the gap.
            assert wrong == [begin + (hours - 1) * HOUR]

    live(story)


def test_through_the_public_commands(tmp_path: Path) -> None:
    async def story() -> None:
        scenario = replace(scenarios.SOLAR, meter=MeterSettings(solar=True, history_days=3))
        async with house(tmp_path, scenario) as (home, _):
            await home.start()
            await asyncio.sleep(70 * MINUTE)
            found = await ask(home.hass, "recorder/list_statistic_ids", statistic_type="sum")
            assert {row["statistic_id"] for row in found} == {IMPORT, EXPORT}
            assert {row["statistics_unit_of_measurement"] for row in found} == {"kWh"}
            assert not await ask(home.hass, "recorder/validate_statistics")
            assert await async_setup_component(home.hass, "energy", {})
            grid = {"type": "grid", "stat_energy_from": IMPORT, "stat_energy_to": EXPORT, "cost_adjustment_day": 0}
            await ask(home.hass, "energy/save_prefs", energy_sources=[{**NOTHING_PAID, **grid}])
            assert (await ask(home.hass, "energy/validate"))["energy_sources"] == [[]]

    live(story)


@pytest.mark.parametrize(
    ("days_ago", "hour", "wrong"),
    [(1, 10, "00000001"), (1, 10, "000E0000"), (1, 0, "00000001"), (0, 22, "00000001"), (0, 14, "000E0000")],
    ids=["falls", "rises too fast", "falls at midnight", "is of the future", "is the newest one"],
)
def test_a_wrong_value_in_the_history(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, days_ago: int, hour: int, wrong: str
) -> None:
    begin = START.replace(hour=hour, minute=0, second=0) - days_ago * DAY

    async def story() -> None:
        meter = MeterSettings(solar=True, history_days=4, misremembered={begin: wrong})
        async with house(tmp_path, replace(scenarios.SOLAR, meter=meter)) as (home, sim):
            caplog.set_level("DEBUG", "custom_components.broute")
            await home.start()
            await asyncio.sleep(25 * MINUTE)
            for entity_id, counter in ((IMPORT, sim.meter.energy_in), (EXPORT, sim.meter.energy_out)):
                shown = await bars(home.hass, entity_id, START - 120 * DAY)
                assert len(shown) >= 24 * 3 + 12
                # What it spoils is the hour before and the one after, not what flowed in both.
                spoilt = {each for each in (begin - HOUR, begin) if each <= max(shown)}
                for each, bar in shown.items():
                    assert each in spoilt or bar == counter(each + HOUR) - counter(each), each
                both = sum(counter(each + HOUR) - counter(each) for each in spoilt)
                assert sum(shown.get(each, 0) for each in spoilt) == both
            told = [text for text in messages(caplog) if "left out" in text.lower()]
            # Of a time in the future both directions are left out at once, otherwise each on its own.
            assert len(told) == (1 if begin > START else 2)
            assert all(str(begin) in text or str(begin.astimezone(UTC)) in text for text in told)

    live(story)


def lose_database(folder: Path) -> None:
    for file in folder.glob("statistics.db*"):
        file.unlink()


def rename_table(folder: Path, before: str, after: str) -> None:
    with closing(connect(folder / "statistics.db")) as database:
        database.execute(f"alter table {before} rename to {after}")


def test_another_database(tmp_path: Path) -> None:
    async def story() -> None:
        scenario = replace(scenarios.SOLAR, meter=MeterSettings(solar=True, history_days=5))
        async with house(tmp_path, scenario) as (home, sim):
            await home.start()
            await asyncio.sleep(20 * MINUTE)
            await home.stop()
            # Home Assistant begins a new one when the old one is damaged, or was not in the backup.
            lose_database(tmp_path)
            await asyncio.sleep(100 * MINUTE)
            await home.start()
            await asyncio.sleep(20 * MINUTE)
            await assert_true(home, sim, hours=24 * 4 + 15)

    live(story)


def test_how_far_the_history_goes_back_while_it_is_read(tmp_path: Path) -> None:
    async def story() -> None:
        scenario = replace(scenarios.SOLAR, meter=MeterSettings(solar=True, history_days=40))
        async with house(tmp_path, scenario) as (home, _):
            await home.start()
            await asyncio.sleep(20)
            er.async_get(home.hass).async_update_entity(SINCE, disabled_by=None)
            await home.hass.config_entries.async_reload(home.entry.entry_id)
            shown = list[str]()

            @callback
            def changed(event: Event[EventStateChangedData]) -> None:
                if event.data["entity_id"] == SINCE and (new := event.data["new_state"]) is not None:
                    shown.append(new.state)

            home.hass.bus.async_listen(EVENT_STATE_CHANGED, changed)
            await asyncio.sleep(30 * MINUTE)
            told = [datetime.fromisoformat(each) for each in shown if each.startswith("2026-")]
            assert told[-1] == START.replace(hour=0, minute=0, second=0) - 39 * DAY
            # Some days further back each time: every one is a line under Activity.
            assert 3 <= len(told) <= 8
            assert all(before - after >= 7 * DAY for before, after in pairwise(told[1:-1]))
            # It is kept as soon as it is read, not at the stop only.
            assert any(".2026-10" in file.name for file in home.stored())

    live(story)


def test_how_far_the_history_goes_back(tmp_path: Path) -> None:
    async def story() -> None:
        scenario = replace(scenarios.SOLAR, meter=MeterSettings(solar=True, history_days=3))
        async with house(tmp_path, scenario) as (home, sim):
            await home.start()
            await asyncio.sleep(20 * MINUTE)
            registry = er.async_get(home.hass)
            assert home.hass.states.get(SINCE) is None
            registry.async_update_entity(SINCE, disabled_by=None)
            await home.hass.config_entries.async_reload(home.entry.entry_id)
            await asyncio.sleep(MINUTE)
            shown = home.hass.states.get(SINCE)
            assert shown is not None
            assert shown.state.startswith("2026-11-")
            # It is nothing that the meter is asked for.
            sim.unplug()
            await asyncio.sleep(2 * MINUTE)
            power = home.hass.states.get("sensor.smart_meter_power")
            assert power is not None
            assert power.state == STATE_UNAVAILABLE
            assert home.hass.states.get(SINCE) == shown

    live(story)


def test_a_sensor_that_is_switched_on_later(tmp_path: Path) -> None:
    async def story() -> None:
        scenario = replace(scenarios.SOLAR, meter=MeterSettings(solar=True, history_days=3))
        async with house(tmp_path, scenario) as (home, sim):
            await home.start()
            registry = er.async_get(home.hass)
            registry.async_update_entity(EXPORT, disabled_by=er.RegistryEntryDisabler.USER)
            await asyncio.sleep(200 * MINUTE)
            registry.async_update_entity(EXPORT, disabled_by=None)
            await asyncio.sleep(20 * MINUTE)
            await assert_true(home, sim, hours=24 * 2 + 16)
            # From now on nothing is missing.
            read = count_days(sim)
            await home.hass.config_entries.async_reload(home.entry.entry_id)
            await asyncio.sleep(20 * MINUTE)
            assert count_days(sim) == read

    live(story)


def test_a_database_that_cannot_be_read_for_a_while(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        scenario = replace(scenarios.SOLAR, meter=MeterSettings(solar=True, history_days=3))
        async with house(tmp_path, scenario) as (home, sim):
            await home.start()
            await asyncio.sleep((60 - START.minute + 5) * MINUTE)
            rename_table(tmp_path, "statistics", "mislaid")
            await asyncio.sleep(2 * MINUTE)
            rename_table(tmp_path, "mislaid", "statistics")
            assert "cannot be read" in caplog.text
            await asyncio.sleep(60 * MINUTE)
            await assert_true(home, sim, hours=24 * 2 + 15)

    live(story)


@pytest.mark.parametrize("import_history", [True, False])
def test_a_ledger_that_cannot_be_read_for_a_while(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, *, import_history: bool
) -> None:
    async def story() -> None:
        scenario = replace(scenarios.SOLAR, meter=MeterSettings(solar=True, history_days=3))
        async with house(tmp_path, scenario, import_history=import_history) as (home, sim):
            await home.start()
            await asyncio.sleep(10 * MINUTE)
            await home.stop()
            caplog.clear()
            # It cannot be set aside either: with what is put behind it, the name would be too long.
            damaged = tmp_path / ".storage" / f"broute.{home_entry_id(tmp_path)}.{'0' * 210}.2026-11"
            damaged.write_text("{")
            await home.start()
            with pytest.raises(HomeAssistantError, match=r"could not be read: .*File name too long"):
                await call(home, "get_history", START, START)
            await asyncio.sleep(130 * MINUTE)
            (message,) = {text for text in messages(caplog) if "The history waits" in text}
            assert "OSError" in message
            assert len([text for text in messages(caplog) if text == message]) == 1
            assert not [record for record in caplog.records if record.exc_info and record.levelno > logging.DEBUG]
            damaged.unlink()
            await asyncio.sleep(70 * MINUTE)
            assert home.entry.runtime_data.history.as_dict()["is_loaded"]
            if import_history:
                await assert_true(home, sim, hours=24 * 2 + 16)

    live(story)


def home_entry_id(folder: Path) -> str:
    """Return the entry of the only meter of which something is kept."""
    (name,) = {path.name.split(".")[1] for path in (folder / ".storage").glob("broute.*.ledger")}
    return name


def test_the_option_switches_it_off(tmp_path: Path) -> None:
    async def story() -> None:
        async with house(tmp_path, import_history=False) as (home, sim):
            await home.start()
            await asyncio.sleep(20 * MINUTE)
            assert not await bars(home.hass, IMPORT, START - 120 * DAY)
            assert count_days(sim) == 0

    live(story)


def test_the_action_adds_to_what_was_compared_before_the_option_was_switched_off(tmp_path: Path) -> None:
    async def story() -> None:
        scenario = replace(scenarios.SOLAR, meter=MeterSettings(solar=True, history_days=20))
        async with house(tmp_path, scenario) as (home, sim):
            await home.start()
            await asyncio.sleep(15 * MINUTE)
            for is_on in (False, True):
                home.hass.config_entries.async_update_entry(home.entry, options={"import_history": is_on})
                await home.hass.config_entries.async_reload(home.entry.entry_id)
                if not is_on:
                    await call(home, "import_history", START - 3 * DAY, START - 2 * DAY)
            asked = count_days(sim)
            await asyncio.sleep(15 * MINUTE)
            assert count_days(sim) - asked <= 1, "everything is compared anew"

    live(story)


def test_a_meter_that_is_removed_while_it_is_imported_leaves_nothing_behind(tmp_path: Path) -> None:
    async def story() -> None:
        async with house(tmp_path) as (home, _):
            await home.start()
            await asyncio.sleep(30)
            assert await home.hass.config_entries.async_remove(home.entry.entry_id)
            await asyncio.sleep(60)
            await home.stop()
            assert not list((tmp_path / ".storage").glob("broute.*"))

    live(story)


def test_a_meter_without_history(tmp_path: Path) -> None:
    async def story() -> None:
        async with house(tmp_path, scenarios.NO_UNIT) as (home, sim):
            await home.start()
            await asyncio.sleep(20 * MINUTE)
            assert count_days(sim) == 0

    live(story)


async def call(home: Installation, action: str, first: datetime, last: datetime, **data: Any) -> Any:
    return await home.hass.services.async_call(
        "broute",
        action,
        {"first_day": first.date().isoformat(), "last_day": last.date().isoformat(), **data},
        blocking=True,
        return_response=True,
    )


async def test_the_action_without_a_recorder(hass: HomeAssistant) -> None:
    with dongle() as sim:
        await set_up(hass, entry_of(sim))
        days = {"first_day": "2026-11-20", "last_day": "2026-11-21"}
        with pytest.raises(HomeAssistantError, match="without its recorder"):
            await hass.services.async_call("broute", "import_history", days, blocking=True)


async def test_only_administrators_overrule_statistics(
    hass: HomeAssistant, hass_admin_user: MockUser, hass_read_only_user: MockUser
) -> None:
    async def call_as(action: str, user: MockUser | None) -> None:
        await hass.services.async_call(
            "broute",
            action,
            {"first_day": "2026-11-20", "last_day": "2026-11-21"},
            blocking=True,
            return_response=True,
            context=Context(user_id=user and user.id),
        )

    with dongle() as sim:
        await set_up(hass, entry_of(sim))
        with pytest.raises(Unauthorized):
            await call_as("import_history", hass_read_only_user)
        for user in (hass_admin_user, None):  # Nobody: an automation.
            with pytest.raises(HomeAssistantError, match="without its recorder"):
                await call_as("import_history", user)
        await call_as("get_history", hass_read_only_user)


def test_the_actions(tmp_path: Path) -> None:
    async def story() -> None:
        scenario = replace(scenarios.SOLAR, meter=MeterSettings(solar=True, history_days=5))
        async with house(tmp_path, scenario) as (home, sim):
            await home.start()
            await asyncio.sleep(20 * MINUTE)
            answer = await call(home, "get_history", START - 2 * DAY, START - DAY)
            rows = answer["half_hours"]
            assert len(rows) == 96
            for row in rows:
                begin = datetime.fromisoformat(row["start"])
                end = begin + timedelta(minutes=30)
                assert Decimal(str(round(row["energy_in"], 3))) == sim.meter.energy_in(end) - sim.meter.energy_in(begin)
            assert rows[0]["start"] == "2026-11-21T00:00:00+09:00"
            today = await call(home, "get_history", START, START)
            assert len(today["half_hours"]) == 28
            # A bar is corrected by hand; only the action overrules it.
            corrected = (START - 2 * DAY).replace(hour=10, minute=0, second=0)
            recorder = get_instance(home.hass)
            recorder.async_adjust_statistics(IMPORT, corrected, -0.2, "kWh")
            await asyncio.sleep(61 * MINUTE)
            counter = sim.meter.energy_in
            shown = await bars(home.hass, IMPORT, START - 120 * DAY)
            assert shown[corrected] == counter(corrected + HOUR) - counter(corrected) - Decimal("0.2")
            done = await call(home, "import_history", START - 2 * DAY, START - 2 * DAY)
            assert done["hours_read"] == 48
            assert done["corrected"] >= 1
            assert done["imported"] == done["without_value"] == 0
            await assert_true(home, sim, hours=24 * 4)
            # A day that the meter no longer has is no error.
            assert (await call(home, "import_history", START - 50 * DAY, START - 49 * DAY))["without_value"] == 96
            with pytest.raises(ServiceValidationError):
                await call(home, "get_history", START, START - DAY)
            with pytest.raises(ServiceValidationError):
                await call(home, "get_history", START, START, config_entry_id="nobody")
            sim.unplug()
            await asyncio.sleep(2 * MINUTE)
            with pytest.raises(HomeAssistantError, match="there is no connection"):
                await call(home, "import_history", START, START)
            assert len((await call(home, "get_history", START, START))["half_hours"]) >= 28

    live(story)


def test_what_was_answered_stays_though_an_action_fails(tmp_path: Path) -> None:
    async def story() -> None:
        async with house(tmp_path, import_history=False) as (home, sim):
            await home.start()
            await asyncio.sleep(MINUTE)
            days = START - 9 * DAY, START - DAY
            assert (await call(home, "get_history", *days))["half_hours"] == []
            importing = asyncio.ensure_future(call(home, "import_history", *days))
            await asyncio.sleep(30)
            sim.unplug()
            with pytest.raises(HomeAssistantError):
                await importing
            assert len((await call(home, "get_history", *days))["half_hours"]) >= 2 * 48

    live(story)


def test_the_last_half_hour(tmp_path: Path) -> None:
    async def story() -> None:
        async with house(tmp_path) as (home, sim):
            await home.start()
            await asyncio.sleep(MINUTE)
            registry = er.async_get(home.hass)
            entity_id = "sensor.smart_meter_energy_import_in_the_last_half_hour"
            registry.async_update_entity(entity_id, disabled_by=None)
            for minutes in (2, 30, 30):
                await asyncio.sleep(minutes * MINUTE)
                state = home.hass.states.get(entity_id)
                assert state is not None
                begin = state.attributes["last_reset"]
                begin = datetime.fromisoformat(begin) if isinstance(begin, str) else begin
                end = begin + timedelta(minutes=30)
                assert Decimal(state.state) == sim.meter.energy_in(end) - sim.meter.energy_in(begin)
                assert timedelta() <= clock() - end < timedelta(minutes=31)

    live(story)


@pytest.mark.parametrize(
    "days", [3, pytest.param(13, marks=pytest.mark.slow), pytest.param(28, marks=pytest.mark.slow)]
)
def test_back_before_the_meter_shows_the_hour(tmp_path: Path, days: int) -> None:
    """The recorder counts on from a state that is days old, and would count all of it once more."""

    async def story() -> None:
        slow = timedelta(minutes=4)
        scenario = replace(scenarios.SOLAR, meter=MeterSettings(solar=True, history_days=30, clock_offset=-slow))
        async with house(tmp_path, scenario) as (home, sim):
            await home.start()
            await asyncio.sleep(20 * MINUTE)
            await home.stop()
            back = (clock() + days * DAY).replace(minute=2, second=0)
            await asyncio.sleep((back - clock()).total_seconds())
            await home.start()
            await asyncio.sleep(130 * MINUTE)
            for entity_id, counter in ((IMPORT, sim.meter.energy_in), (EXPORT, sim.meter.energy_out)):
                shown = await bars(home.hass, entity_id, START - 120 * DAY)
                assert len(shown) > 24 * days
                for hour, bar in shown.items():
                    assert bar == counter(hour + HOUR + slow) - counter(hour + slow), hour

    live(story)


def test_away_for_longer_than_the_meter_remembers(tmp_path: Path) -> None:
    async def story() -> None:
        async with house(tmp_path) as (home, sim):
            await home.start()
            await asyncio.sleep(15 * MINUTE)
            await home.stop()
            await asyncio.sleep(101 * 24 * 60 * MINUTE)
            await home.start()
            await asyncio.sleep(15 * MINUTE)
            # What is far apart is the days that nobody remembers.
            first = clock().replace(hour=0, minute=0, second=0) - 98 * DAY
            for entity_id, counter in ((IMPORT, sim.meter.energy_in), (EXPORT, sim.meter.energy_out)):
                shown = await bars(home.hass, entity_id, first)
                assert len(shown) >= 24 * 98
                assert all(bar == counter(hour + HOUR) - counter(hour) for hour, bar in shown.items())

    live(story)


def test_days_before_the_meter_was_exchanged_are_asked_for(tmp_path: Path) -> None:
    async def story() -> None:
        async with house(tmp_path) as (home, sim):
            await home.start()
            await asyncio.sleep(15 * MINUTE)
            settings = replace(sim.meter.settings, serial="S26087654321", installed=clock() - 30 * DAY)
            sim.exchange_meter(settings, mac="001C640003D2FFFF")
            await asyncio.sleep(60 * MINUTE)
            assert await home.confirm_exchange()
            await asyncio.sleep(120 * MINUTE)
            await call(home, "import_history", START - 5 * DAY, START - 4 * DAY)
            asked = len(sim.record.datagrams_from_client)
            await asyncio.sleep(120 * MINUTE)
            assert len(sim.record.datagrams_from_client) - asked < 200, "the same day is read again and again"
            last = max(await bars(home.hass, IMPORT, START))
            assert clock() - last < 2.2 * HOUR, "the newest hours are not there"

    live(story)


@pytest.mark.timeout(300)
def test_days_in_which_this_and_that_is_off() -> None:
    result = energy_soak(4, seed=33)
    assert not result.failures
    assert result.outages.total() > 2
    assert result.hours > 1500
