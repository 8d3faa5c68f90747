"""Reading a meter, and what it tells unasked, whatever is between it and us."""

import asyncio
from contextlib import nullcontext, suppress
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

import pytest

from custom_components.broute.aiobroute import (
    JST,
    MeterTimeoutError,
    Notification,
    PropertyRefusedError,
    SessionLostError,
)
from custom_components.broute.aiobroute.echonet import properties as p
from tests.simulator import scenarios
from tests.simulator.faults import Fault
from tests.simulator.meter import MeterSettings
from tests.simulator.scenarios import Scenario

from .kinds import LAN, connected_to, is_in_network, run, sent_to
from .virtual_time import clock

pytestmark = [
    pytest.mark.usefixtures("any_kind"),
    pytest.mark.parametrize(
        "any_kind", ["bp35c2", "j11", pytest.param(LAN, marks=pytest.mark.own_loop)], indirect=True
    ),
]


def test_a_poll_is_one_datagram() -> None:
    async def main() -> None:
        async with connected_to(scenarios.SOLAR) as (meter, sim):
            await meter.read()
            sim.record.clear()
            for _ in range(3):
                await meter.read()
            assert len(sent_to(sim)) == 3

    run(main())


@pytest.mark.parametrize(
    "scenario",
    [
        scenarios.STRANGERS,
        scenarios.REFUSED_ONCE,
        scenarios.SLOW_METER,
        scenarios.DUPLICATES,
        scenarios.FOREIGN_FRAMES,
        scenarios.UNENCRYPTED,
        scenarios.BROKEN_FRAMES,
        scenarios.WRONG_LENGTHS,
        scenarios.ODD_ANSWERS,
        scenarios.NOISE,
        scenarios.SPLIT_BYTES,
        scenarios.CUT_DESCRIPTION,
        scenarios.LATE_DESCRIPTION,
        scenarios.MULTI_GET_REFUSED,
        scenarios.MULTI_GET_IGNORED,
        scenarios.REQUESTED_NOTICES,
    ],
    ids=lambda scenario: scenario.summary,
)
def test_what_happens_on_the_air_does_not_reach_a_reading(scenario: Scenario) -> None:
    run(_read_five_times(scenario))


def test_answers_that_come_too_late_do_not_reach_a_reading() -> None:
    """Over a network, three in a row that nobody waits for any more are silence; over the radio, they are heard."""
    with suppress(MeterTimeoutError) if is_in_network() else nullcontext():
        run(_read_five_times(scenarios.LATE_ANSWERS))


async def _read_five_times(scenario: Scenario) -> None:
    async with connected_to(scenario) as (meter, sim):
        for _ in range(5):
            reading = await meter.read()
            energy_in, _out = sim.meter.device.counters.raw(clock())
            assert reading.energy_in is not None
            assert abs(reading.energy_in - energy_in * Decimal("0.1")) <= Decimal("0.1")
            assert reading.power is not None
            assert abs(reading.power) < 10_000
            await asyncio.sleep(60)


@pytest.mark.parametrize("scenario", [scenarios.NO_DATA, scenarios.IMPOSSIBLE_VALUES])
def test_no_value_is_none(scenario: Scenario) -> None:
    async def main() -> None:
        async with connected_to(scenario) as (meter, _):
            reading = await meter.read()
            values = (reading.power, reading.energy_in, reading.current_r, reading.current_t)
            assert values == (None, None, None, None)

    run(main())


def test_a_one_phase_meter_has_no_t() -> None:
    async def main() -> None:
        async with connected_to(scenarios.ONE_PHASE) as (meter, _):
            reading = await meter.read()
            assert reading.current_r is not None
            assert reading.current_t is None

    run(main())


def test_a_coefficient_multiplies() -> None:
    async def main() -> None:
        async with connected_to(scenarios.COEFFICIENT) as (meter, sim):
            count, _ = sim.meter.device.counters.raw(clock())
            assert (await meter.read()).energy_in == count * Decimal("0.01") * 20

    run(main())


def test_without_a_unit_there_is_no_energy() -> None:
    async def main() -> None:
        async with connected_to(scenarios.NO_UNIT) as (meter, _):
            assert meter.profile.unit is None
            assert (await meter.read()).energy_in is None

    run(main())


def test_a_silent_meter_is_told_within_40_seconds() -> None:
    async def main() -> None:
        async with connected_to() as (meter, sim):
            sim.air.is_answering = False
            start = asyncio.get_running_loop().time()
            with pytest.raises(MeterTimeoutError):
                await meter.read()
            assert asyncio.get_running_loop().time() - start < 40
            sim.air.is_answering = True
            if is_in_network():
                with pytest.raises(SessionLostError, match="has to be looked for"):
                    await meter.read()
            else:
                assert (await meter.read()).power is not None

    run(main())


def test_the_next_answer_after_a_lost_one_serves() -> None:
    async def main() -> None:
        async with connected_to() as (meter, sim):
            sim.record.clear()
            sim.air.faults.append(Fault.LOST)
            assert (await meter.read()).power is not None
            first, second = sent_to(sim)
            assert first == second

    run(main())


def test_a_constant_that_cannot_be_read_does_not_keep_the_meter_out() -> None:
    async def main() -> None:
        scenario = replace(scenarios.SOLAR, meter=MeterSettings(solar=True, values={0x8D: "FF" * 12}))
        async with connected_to(scenario) as (meter, _):
            assert meter.profile.serial_number is None
            assert meter.profile.manufacturer == "Toshiba"
            assert (await meter.read()).energy_in is not None

    run(main())


def test_a_value_that_cannot_be_read_is_asked_for_again() -> None:
    async def main() -> None:
        async with connected_to(scenarios.SOLAR) as (meter, sim):
            await meter.read()
            asked = len(sent_to(sim))
            sim.meter.device.once[0xE0] = bytes(3)
            assert (await meter.read()).energy_in is not None
            assert len(sent_to(sim)) - asked == 2

    run(main())


def test_a_value_that_can_never_be_read_is_none() -> None:
    async def main() -> None:
        async with connected_to(scenarios.SOLAR) as (meter, sim):
            await meter.read()
            sim.meter.device.values[0xE0] = bytes(3)
            reading = await meter.read()
            assert reading.energy_in is None
            assert reading.power is not None
            asked = len(sent_to(sim))
            assert (await meter.read()).energy_in is None
            assert len(sent_to(sim)) - asked == 1

    run(main())


def test_one_property() -> None:
    async def main() -> None:
        async with connected_to() as (meter, sim):
            assert await meter.value(p.OPERATION_STATUS) is True
            assert await meter.value(p.FAULT_STATUS) is False
            sim.record.clear()
            for _ in range(2):
                with pytest.raises(PropertyRefusedError):
                    await meter.value(p.ENERGY_OUT)
            assert not sent_to(sim), "its map does not name it"

    run(main())


def test_set_and_read_back() -> None:
    async def main() -> None:
        async with connected_to() as (meter, sim):
            await meter.set(p.INSTALLATION_LOCATION, 0x08)
            assert await meter.value(p.INSTALLATION_LOCATION) == 0x08
            sim.record.clear()
            with pytest.raises(PropertyRefusedError, match="does not let"):
                await meter.set(p.MINUTES_SELECTOR, p.HistorySelector(clock(), 1))
            with pytest.raises(ValueError, match="cannot be set"):
                await meter.set(p.POWER, 1)
            assert not sent_to(sim)

    run(main())


def test_half_hours_are_announced() -> None:
    async def main() -> None:
        told: list[Notification] = []
        async with connected_to(scenarios.SOLAR, on_notification=told.append) as (_, sim):
            sim.record.clear()
            await asyncio.sleep(3600)
            assert not sent_to(sim)
            fixed = [notification.values.read(p.FIXED_TIME_IN) for notification in told]
            assert [value.time for value in fixed if value] == [
                datetime(2026, 11, 23, 14, 30, tzinfo=JST),
                datetime(2026, 11, 23, 15, 0, tzinfo=JST),
            ]
            for value in fixed:
                assert value is not None
                assert value.count == sim.meter.device.counters.raw(value.time)[0]

    run(main())


def test_a_notification_that_wants_an_answer_gets_one() -> None:
    async def main() -> None:
        told: list[Notification] = []
        async with connected_to(scenarios.REQUESTED_NOTICES, on_notification=told.append) as (_, sim):
            sim.record.clear()
            await asyncio.sleep(1800)
            assert len(told) == 1
            (answer,) = sent_to(sim)
            assert answer[10] == 0x7A

    run(main())


def test_a_fault_is_announced() -> None:
    async def main() -> None:
        told: list[Notification] = []
        async with connected_to(scenarios.NORMAL, on_notification=told.append) as (_, sim):
            sim.meter.device.set_faulty(faulty=True)
            await asyncio.sleep(5)
            assert [notification.values.read(p.FAULT_STATUS) for notification in told] == [True]

    run(main())
