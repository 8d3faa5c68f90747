"""The meter's own history: each half-hour at its right time, whatever midnight and others do to it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from custom_components.broute.aiobroute import (
    JST,
    Counters,
    Direction,
    HistoryError,
    MeterProfile,
    MeterTimeoutError,
    NoHistoryError,
    PropertyRefusedError,
    SessionLostError,
    SmartMeter,
)
from custom_components.broute.aiobroute.echonet import properties as p
from tests.simulator import scenarios
from tests.simulator.echonet import Excess
from tests.simulator.meter import Gap, MeterSettings
from tests.simulator.scenarios import Scenario

from .kinds import NETWORK, AnySimulator, connected_to, is_in_network, run
from .virtual_time import START, clock

pytestmark = [
    pytest.mark.usefixtures("any_kind"),
    pytest.mark.parametrize("any_kind", ["bp35c2", NETWORK], indirect=True),
]

MIDNIGHT = datetime(2026, 11, 24, tzinfo=JST)
HALF_HOUR = timedelta(minutes=30)


def started(at: datetime) -> Callable[[], datetime]:
    """Return a clock that shows this time at the start of the virtual time."""
    return lambda: clock() - START + at


@asynccontextmanager
async def connected(
    scenario: Scenario = scenarios.SOLAR, at: datetime = START, **options: Any
) -> AsyncIterator[tuple[SmartMeter, AnySimulator]]:
    async with connected_to(scenario, started(at), **options) as found:
        yield found


def is_true(sim: AnySimulator, counters: Counters) -> bool:
    """Compare with the counters that the meter really had when its clock showed the time."""
    settings = sim.meter.settings
    taken, fed = sim.meter.device.counters.raw(counters.start - settings.clock_offset)
    unit = Decimal("0.1")
    return (counters.energy_in, counters.energy_out) == (taken * unit, fed * unit if settings.solar else None)


async def read(meter: SmartMeter, *days: int) -> list[Counters]:
    return [counters async for day in meter.history.days(days) for counters in day]


def test_a_whole_day() -> None:
    async def main() -> None:
        async with connected() as (meter, sim):
            sim.record.clear()
            history = await read(meter, 1)
            assert [counters.start for counters in history] == [
                datetime(2026, 11, 22, tzinfo=JST) + slot * HALF_HOUR for slot in range(48)
            ]
            assert all(is_true(sim, counters) for counters in history)
            # The clock, then the day, and one answer for both directions.
            assert len(sim.record.datagrams_from_client) == 3

    run(main())


@pytest.mark.parametrize("seconds", range(-40, 20, 2))
def test_a_date_stays_the_same_over_midnight(seconds: int) -> None:
    async def main() -> None:
        async with connected(at=MIDNIGHT + timedelta(seconds=seconds)) as (meter, sim):
            day = (MIDNIGHT - timedelta(days=1)).date()
            history = await meter.history.day(day)
            assert len(history) == 48
            assert {counters.start.date() for counters in history} == {day}
            assert all(is_true(sim, counters) for counters in history)

    run(main())


@pytest.mark.parametrize("days", [-1, 100])
def test_a_date_that_no_meter_remembers(days: int) -> None:
    async def main() -> None:
        async with connected() as (meter, _):
            with pytest.raises(PropertyRefusedError):
                await meter.history.day(START.date() - timedelta(days=days))

    run(main())


def test_today_has_what_is_over() -> None:
    async def main() -> None:
        async with connected(scenarios.NORMAL) as (meter, sim):
            history = await read(meter, 0)
            assert history[-1].start == datetime(2026, 11, 23, 14, 0, tzinfo=JST)
            assert len(history) == 29
            assert all(is_true(sim, counters) for counters in history)
            assert await meter.history.today() == START.date()

    run(main())


def test_many_days_take_one_answer_each_and_let_a_poll_through() -> None:
    async def main() -> None:
        async with connected() as (meter, sim):
            sim.record.clear()
            waits: list[float] = []
            loop = asyncio.get_running_loop()

            async def poll() -> None:
                while True:
                    begin = loop.time()
                    await meter.read()
                    waits.append(loop.time() - begin)
                    await asyncio.sleep(10)

            polling = asyncio.ensure_future(poll())
            history = await read(meter, *range(99))
            polling.cancel()
            assert len(history) == 98 * 48 + 29
            assert all(is_true(sim, counters) for counters in history)
            # The first reading of a meter in the network was told when it was found.
            polls = len(waits) - is_in_network()
            assert len(sim.record.datagrams_from_client) == 1 + 99 * 2 + polls
            assert max(waits) < 10

    run(main())


def test_reading_can_be_cancelled_at_any_point() -> None:
    async def main() -> None:
        async with connected() as (meter, _):
            for step in range(100):
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.05 + 0.01 * step if is_in_network() else 0.5 + 0.37 * step):
                        await read(meter, *range(99))
                if meter.is_lost:  # It was cancelled while it sent: then the port is closed.
                    break
            else:
                # A datagram is sent at once.
                assert is_in_network(), "no sending was cancelled"
                assert len(await read(meter, 1)) == 48

    run(main())


@pytest.mark.parametrize("seconds_before", range(0, 60, 5))
@pytest.mark.parametrize("scenario", [scenarios.SOLAR, scenarios.LATE_MIDNIGHT, scenarios.WRONG_CLOCK])
def test_no_half_hour_is_misdated_over_midnight(scenario: Scenario, seconds_before: int) -> None:
    async def main() -> None:
        at = MIDNIGHT - scenario.meter.clock_offset - timedelta(seconds=seconds_before - 4)
        async with connected(scenario, at) as (meter, sim):
            history = await read(meter, *range(4))
            assert len(history) > 3 * 48 - 1
            assert all(is_true(sim, counters) for counters in history)
            assert len({counters.start for counters in history}) == len(history) or seconds_before

    run(main())


@pytest.mark.parametrize("minutes", [1, 5, 9, 10, 11, 29, 30, 31, 32])
@pytest.mark.parametrize("scenario", [scenarios.SOLAR, scenarios.LATE_MIDNIGHT])
def test_after_midnight_the_content_tells_which_day_it_is(scenario: Scenario, minutes: int) -> None:
    async def main() -> None:
        async with connected(scenario, MIDNIGHT + timedelta(minutes=minutes)) as (meter, sim):
            history = await read(meter, 2)
            assert len(history) == 48
            assert all(is_true(sim, counters) for counters in history)

    run(main())


def test_a_meter_that_shows_nothing_after_midnight_is_looked_at_again() -> None:
    async def main() -> None:
        off = Gap(start=MIDNIGHT - timedelta(days=1), end=MIDNIGHT + timedelta(minutes=1))
        scenario = replace(scenarios.SOLAR, meter=MeterSettings(solar=True, gaps=(off,)))
        async with connected(scenario, MIDNIGHT + timedelta(minutes=2)) as (meter, sim):
            history = await read(meter, 2)
            assert len(history) == 48
            assert all(is_true(sim, counters) for counters in history)
            assert sim.clock() > MIDNIGHT + timedelta(minutes=30)

    run(main())


def test_what_the_meter_does_not_know_is_left_out() -> None:
    async def main() -> None:
        off = Gap(start=MIDNIGHT - timedelta(hours=40), end=MIDNIGHT - timedelta(hours=38))
        scenario = replace(scenarios.SOLAR, meter=MeterSettings(solar=True, gaps=(off,)))
        async with connected(scenario) as (meter, sim):
            history = await read(meter, 1)
            assert len(history) == 44
            assert all(is_true(sim, counters) for counters in history)

    run(main())


def test_a_value_of_the_future_is_left_out() -> None:
    async def main() -> None:
        async with connected(scenarios.SOLAR) as (meter, sim):
            counts = bytes(2) + b"".join((1000 + slot).to_bytes(4) for slot in range(48))
            sim.meter.device.values[0xE2] = counts
            sim.meter.device.values[0xE4] = counts
            assert [counters.start.hour for counters in await read(meter, 0)][-1] == 14

    run(main())


def test_another_controller_is_noticed() -> None:
    async def main() -> None:
        async with connected(scenarios.RIVAL) as (meter, sim):
            history = await read(meter, 1)
            assert {counters.start.day for counters in history} == {22}
            assert all(is_true(sim, counters) for counters in history)

    run(main())


def test_another_controller_after_midnight() -> None:
    async def main() -> None:
        async with connected(scenarios.RIVAL, MIDNIGHT + timedelta(minutes=5)) as (meter, sim):
            history = await read(meter, 1)
            assert {counters.start.day for counters in history} == {23}
            assert all(is_true(sim, counters) for counters in history)

    run(main())


def test_another_controller_that_never_ends() -> None:
    async def main() -> None:
        busy = replace(scenarios.RIVAL, meter=MeterSettings(rival_day=3, rival_turns=99))
        async with connected(busy) as (meter, sim):
            with pytest.raises(HistoryError):
                await read(meter, 1)
            selector = bytes.fromhex("07EA0B17000001") + bytes(8)
            sim.meter.device.values[0xEC] = selector
            with pytest.raises(HistoryError):
                await meter.history.half_hours(START.replace(minute=0, second=0), 2)

    run(main())


def test_a_meter_without_history_or_clock() -> None:
    async def main() -> None:
        async with connected(scenarios.NORMAL) as (meter, sim):
            sim.meter.device.values |= {0xE2: b"", 0xEC: b""}
            with pytest.raises(PropertyRefusedError, match="history"):
                await read(meter, 1)
            with pytest.raises(PropertyRefusedError, match="history 2"):
                await meter.history.half_hours(START.replace(minute=0, second=0), 2)
        async with connected(scenarios.NORMAL) as (meter, sim):
            sim.meter.device.values[0x97] = b""
            with pytest.raises(PropertyRefusedError, match="time"):
                await meter.history.clock()

    run(main())


def test_the_last_six_hours() -> None:
    async def main() -> None:
        async with connected() as (meter, sim):
            newest = datetime(2026, 11, 23, 14, 0, tzinfo=JST)
            sim.record.clear()
            history = await meter.history.half_hours(newest, 12)
            assert [counters.start for counters in history] == [newest - back * HALF_HOUR for back in range(11, -1, -1)]
            assert all(is_true(sim, counters) for counters in history)
            assert len(sim.record.datagrams_from_client) == 2

    run(main())


def test_the_last_minutes_of_a_second_generation_meter() -> None:
    async def main() -> None:
        async with connected(scenarios.SECOND_GENERATION) as (meter, sim):
            newest = datetime(2026, 11, 23, 14, 5, tzinfo=JST)
            history = await meter.history.minutes(newest, 10)
            assert [counters.start.minute for counters in history] == [56, 57, 58, 59, 0, 1, 2, 3, 4, 5]
            taken, _ = sim.meter.device.counters.raw(newest)
            assert history[-1].energy_in == taken * Decimal("0.001")
            minute = await meter.value(p.MINUTE_ENERGY)
            assert minute is not None
            assert minute.time.second == 0

    run(main())


def test_the_clock_of_the_meter() -> None:
    async def main() -> None:
        async with connected(scenarios.WRONG_CLOCK) as (meter, sim):
            shown = await meter.history.clock()
            assert abs(shown - sim.clock() - timedelta(minutes=7)) < timedelta(seconds=65)

    run(main())


ONCE = [0xE2, 0xE4, 0xE5, 0x97, 0x98]


@pytest.mark.parametrize("jump", [timedelta(days=-1), timedelta(days=1)])
def test_a_clock_that_is_set_right(jump: timedelta) -> None:
    async def main() -> None:
        async with connected() as (meter, sim):
            counters = sim.meter.counters
            counters.clock_offset = jump
            wrong = await meter.history.today()
            counters.clock_offset = timedelta()
            assert await meter.history.today() == wrong, "it is asked once a day only"
            await meter.history.clock()
            assert await meter.history.today() == wrong - jump
            day = wrong - jump - timedelta(days=1)
            assert all(is_true(sim, each) for each in (await meter.history.day(day)))

    run(main())


@pytest.mark.parametrize("seconds", [0, 59, 3599, 5 * 3600])
def test_a_clock_that_goes_on_is_used(seconds: int) -> None:
    async def main() -> None:
        async with connected() as (meter, sim):
            await meter.history.today()
            await asyncio.sleep(seconds)
            await meter.history.clock()
            sim.record.clear()
            await meter.history.today()
            assert not sim.record.datagrams_from_client

    run(main())


@pytest.mark.parametrize("answers", [1, 2])
@pytest.mark.parametrize("code", ONCE)
def test_a_refusal_that_passes_leaves_nothing_out(code: int, answers: int) -> None:
    async def main() -> None:
        async with connected() as (meter, sim):
            sim.meter.device.refuse(code, answers=answers)
            history = await read(meter, *range(1, 4))
            assert len(history) == 3 * 48
            assert all(is_true(sim, counters) for counters in history)

    run(main())


@pytest.mark.parametrize("refused", [Direction.IN, Direction.OUT])
def test_each_direction_is_refused_on_its_own(refused: Direction) -> None:
    async def main() -> None:
        day = START.date() - timedelta(days=1)
        async with connected() as (meter, sim):
            sim.meter.device.refuse(0xE2 if refused is Direction.IN else 0xE4, time=timedelta(minutes=5))
            answer = await meter.history.ask(day)
            (told,) = answer.energies
            assert told is not refused
            assert len(answer.energies[told]) == len(answer.counters) == 48
            assert answer.failures.keys() == {refused}
            assert isinstance(answer.failures[refused], PropertyRefusedError)
            assert not isinstance(answer.failures[refused], NoHistoryError)
            with pytest.raises(PropertyRefusedError):
                await meter.history.day(day)
            await asyncio.sleep(400)
            answer = await meter.history.ask(day)
            assert not answer.failures
            assert all(is_true(sim, counters) for counters in answer.counters)

    run(main())


@pytest.mark.parametrize("code", [0xE5, 0x97])
def test_a_day_that_is_refused_says_nothing_about_the_next(code: int) -> None:
    async def main() -> None:
        async with connected() as (meter, sim):
            sim.meter.device.refuse(code, time=timedelta(seconds=30))
            day = START.date()
            answers = []
            for _ in range(6):
                answers.append(await meter.history.ask(day))
                await asyncio.sleep(10)
                day -= timedelta(days=1)
            assert answers[0].failures.keys() == {*Direction}
            assert not answers[0].energies
            assert not answers[-1].failures
            assert len(answers[-1].counters) == 48

    run(main())


def test_silence_is_a_failure_of_the_day() -> None:
    async def main() -> None:
        day = START.date() - timedelta(days=1)
        silent = replace(scenarios.SOLAR, meter=MeterSettings(solar=True, ignored=(0xE4,)))
        async with connected(silent) as (meter, sim):
            answer = await meter.history.ask(day)
            assert answer.failures.keys() == {Direction.OUT}
            assert len(answer.counters) == 48
            sim.air.is_answering = False
            if is_in_network():
                # A meter that was silent so often has to be looked for.
                with pytest.raises(SessionLostError):
                    await meter.history.ask(day)
                return
            answer = await meter.history.ask(day)
            assert {type(error) for error in answer.failures.values()} == {MeterTimeoutError}
            assert answer.failures.keys() == {*Direction}

    run(main())


def test_no_value_is_an_answer() -> None:
    async def main() -> None:
        async with connected(scenarios.SHORT_HISTORY) as (meter, _):
            answer = await meter.history.ask(START.date() - timedelta(days=20))
            assert not answer.failures
            assert answer.counters == []
            assert set(answer.energies[Direction.IN].values()) == {None}
            assert len(answer.energies[Direction.IN]) == 48
            assert Direction.OUT not in answer.energies, "its map does not name it"
            with pytest.raises(NoHistoryError):
                await meter.history.ask(START.date() - timedelta(days=100))
        async with connected(replace(scenarios.NORMAL, meter=MeterSettings(values={0xE2: ""}))) as (meter, _):
            with pytest.raises(NoHistoryError):
                await meter.history.ask(START.date())

    run(main())


@pytest.mark.parametrize("excess", [*Excess])
def test_a_meter_that_cannot_answer_for_both_directions_together_is_remembered(excess: Excess) -> None:
    async def main() -> None:
        short = replace(scenarios.SOLAR, meter=MeterSettings(solar=True, most_bytes=230, excess=excess))
        async with connected(short) as (meter, sim):
            assert len(await read(meter, 1, 2, 3)) == 3 * 48
            profile = MeterProfile.from_raw(meter.profile.raw)
        async with connected(short, profile=profile) as (meter, sim):
            sim.record.clear()
            history = await read(meter, 1, 2)
            assert len(history) == 2 * 48
            assert all(is_true(sim, counters) for counters in history)
            # The clock, then for each day the day and an answer for each direction.
            assert len(sim.record.datagrams_from_client) == 1 + 2 * 3

    run(main())
