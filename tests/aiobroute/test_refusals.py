"""A refusal is not for ever: what a meter does not tell now, it may tell in a moment; and what it never can."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise
from math import log2
from typing import Any

import pytest

from custom_components.broute.aiobroute import (
    MeterProfile,
    MeterRefusedError,
    MeterTimeoutError,
    Progress,
    PropertyRefusedError,
    Reading,
    SessionLostError,
    SmartMeter,
    Stage,
    connect,
)
from custom_components.broute.aiobroute.echonet import properties as p
from tests.simulator import scenarios
from tests.simulator.echonet import Excess
from tests.simulator.faults import Fault
from tests.simulator.meter import MeterSettings, Refusal
from tests.simulator.record import JOIN
from tests.simulator.scenarios import Scenario
from tests.simulator.transport import SimulatedPort, simulated_port

from .kinds import CREDENTIALS, NETWORK, PAN, AnySimulator, connected_to, run
from .virtual_time import clock

VALUES = (0xE7, 0xE8, 0xE0, 0xE3)

pytestmark = pytest.mark.usefixtures("any_kind")
once = pytest.mark.parametrize("any_kind", ["bp35c2", NETWORK], indirect=True)
"""For what the module in the dongle makes no difference to."""
by_dongle = pytest.mark.parametrize("any_kind", ["bp35c2", "j11"], indirect=True)
once_by_dongle = pytest.mark.parametrize("any_kind", ["bp35c2"], indirect=True)
"""For what counts requests: who is in the network is asked for more than that when it is found."""


@asynccontextmanager
async def connected(
    scenario: Scenario = scenarios.SOLAR, **options: Any
) -> AsyncIterator[tuple[SmartMeter, AnySimulator]]:
    async with connected_to(scenario, **options) as found:
        yield found


def a_meter(**settings: Any) -> Scenario:
    return replace(scenarios.SOLAR, meter=MeterSettings(**{"solar": True, **settings}))


def asked(sim: AnySimulator) -> list[list[int]]:
    """Return the codes of each Get."""
    return [list(datagram[12::2]) for datagram in sim.record.datagrams_from_client if datagram[10] == 0x62]


def is_true(sim: AnySimulator, reading: Reading) -> bool:
    """Compare with what the meter counts; the answer is a second old."""
    energy_in = sim.meter.energy_in(clock())
    step = sim.meter.energy_in(clock()) and Decimal(5)
    return reading.energy_in is not None and 0 <= energy_in - reading.energy_in <= step


async def tried(meter: SmartMeter) -> Reading | None:
    try:
        return await meter.read()
    except MeterRefusedError:
        return None


@by_dongle
@pytest.mark.parametrize("seconds", [70, 600, 3600])
def test_a_reading_in_which_everything_is_refused_is_none_and_the_next_one_that_is_not_serves(seconds: float) -> None:
    async def main() -> None:
        async with connected() as (meter, sim):
            sim.meter.device.refuse(*VALUES, time=timedelta(seconds=seconds))
            began = asyncio.get_running_loop().time()
            with pytest.raises(MeterRefusedError):
                await meter.read()
            exchanges = []
            while True:
                await asyncio.sleep(60)
                sim.record.clear()
                reading = await tried(meter)
                exchanges.append(len(asked(sim)))
                if reading is not None:
                    break
            assert asyncio.get_running_loop().time() - began <= seconds + 61
            assert is_true(sim, reading)
            assert reading.refused == frozenset()
            # A whole refusal may mean that it was too much at once, which is looked at more and more rarely.
            assert exchanges[-1] == 1
            assert sum(exchanges) <= 1.5 * len(exchanges) + 4

    run(main())


@once
@pytest.mark.parametrize("minutes", [1, 10, 60, 600])
@pytest.mark.parametrize("code", [0xE7, 0xE0, 0xE3])
def test_a_value_that_is_refused_comes_back_and_costs_little(code: int, minutes: int) -> None:
    async def main() -> None:
        async with connected() as (meter, sim):
            await meter.read()
            sim.meter.device.refuse(code, time=timedelta(minutes=minutes))
            sim.record.clear()
            polls = 0
            while True:
                reading = await meter.read()
                polls += 1
                if not reading.refused and polls > 1 and code in asked(sim)[-1]:
                    break
                await asyncio.sleep(60)
            assert polls <= 2 + max(minutes * 1.25, 1)
            extra = len(asked(sim)) - polls
            assert extra <= 4 * log2(minutes + 2)

    run(main())


@once_by_dongle
def test_the_pauses_grow_up_to_an_hour_and_never_end() -> None:
    async def main() -> None:
        async with connected() as (meter, sim):
            sim.meter.device.refuse(0xE3)
            times = []
            for _ in range(2 * 24 * 60):
                sim.record.clear()
                await meter.read()
                if any(0xE3 in codes for codes in asked(sim)):
                    times.append(asyncio.get_running_loop().time())
                await asyncio.sleep(60)
            pauses = [after - before for before, after in pairwise(times)]
            assert pauses[0] < 65
            assert all(after >= before - 62 for before, after in pairwise(pauses))
            assert 3500 < pauses[-1] < 3700
            assert isinstance(sim, SimulatedPort)
            assert sim.air.airtime.last_hour() < 36

    run(main())


@by_dongle
@pytest.mark.parametrize("answers", [1, 2])
@pytest.mark.parametrize("code", [0xE1, 0xD3, 0xD7, 0x9F, 0x8A])
def test_a_constant_that_is_refused_at_the_connect_is_right_at_the_first_reading(code: int, answers: int) -> None:
    async def main() -> None:
        refusal = Refusal(codes=(code,), answers=answers)
        async with connected(a_meter(unit=0x02, coefficient=20, refusals=(refusal,))) as (meter, sim):
            reading = await meter.read()
            assert is_true(sim, reading)
            assert meter.profile.is_complete
            assert (meter.profile.unit, meter.profile.coefficient) == (Decimal("0.01"), 20)

    run(main())


@pytest.mark.parametrize("code", [0xE1, 0xD3])
def test_no_energy_rather_than_a_wrong_one(code: int) -> None:
    async def main() -> None:
        refusal = Refusal(codes=(code,), time=timedelta(minutes=1))
        async with connected(a_meter(unit=0x02, coefficient=20, refusals=(refusal,))) as (meter, sim):
            reading = await meter.read()
            assert reading.power is not None
            assert reading.energy_in is None
            assert reading.energy_out is None
            assert code in reading.refused
            assert not meter.profile.is_complete
            await asyncio.sleep(60)
            reading = await meter.read()
            assert is_true(sim, reading)
            assert reading.refused == frozenset()
            assert meter.profile.is_complete

    run(main())


@once_by_dongle
def test_a_meter_without_a_map_has_no_coefficient_when_it_has_refused_it_three_times_over_a_minute() -> None:
    async def main() -> None:
        async with connected(scenarios.NO_MAP) as (meter, sim):
            for _ in range(4):
                reading = await meter.read()
                assert reading.energy_in is None
                assert 0xD3 in reading.refused
                await asyncio.sleep(15)
            await asyncio.sleep(60)
            assert is_true(sim, await meter.read())
            assert meter.profile.is_complete
            kept = MeterProfile.from_raw(meter.profile.raw)
            assert kept == meter.profile
        async with connected(scenarios.NO_MAP, profile=kept) as (meter, sim):
            assert not asked(sim)
            assert is_true(sim, await meter.read())
            # It is still asked for: a map that cannot be read does not say that there is none.
            sim.meter.device.registers[0xD3] = lambda: bytes(3) + b"\x14"
            for _ in range(3):
                await asyncio.sleep(60)
                reading = await meter.read()
            assert meter.profile.coefficient == 20
            assert reading.energy_in == sim.meter.energy_in(clock()) * 20

    run(main())


NO_MAP = {0x9F: "0280E1"}
"""A property map that cannot be one: it names neither power nor energy."""


@once_by_dongle
@pytest.mark.parametrize(
    ("settings", "refusals"),
    [
        ({"coefficient": None, "values": NO_MAP}, {}),
        ({"coefficient": None, "values": {0x9F: ""}, "most_per_get": 4}, {}),
        ({"coefficient": None, "values": {0x9F: ""}, "stops_at_refusal": True}, {}),
        ({"coefficient": None}, {0x9F: 10}),
        ({"coefficient": None, "most_per_get": 4}, {0x9F: 10}),
        # Unit and digits must not take the map's place in the request: it says that there is a coefficient.
        ({}, {0xE1: 2, 0xD7: 2, 0xD3: 5, 0x9F: 0.2}),
        ({}, {0xE1: 5, 0xD7: 5, 0xD3: 2, 0x9F: 0.2}),
        ({"most_per_get": 4}, {0xE1: 1, 0xD3: 3, 0x9F: 0.5}),
        ({"stops_at_refusal": True}, {0xD3: 2}),
        ({"ignored": (0x8D,)}, {0xD3: 2}),
    ],
)
def test_energies_come_and_are_right_whatever_is_refused_for_how_long(
    settings: dict[str, Any], refusals: dict[int, float]
) -> None:
    async def main() -> None:
        refused = tuple(Refusal(codes=(code,), time=timedelta(minutes=minutes)) for code, minutes in refusals.items())
        scenario = a_meter(**{"unit": 0x02, "coefficient": 20, "refusals": refused, **settings})
        async with connected(scenario) as (meter, sim):
            energies = []
            for _ in range(2 + int(max(3, *refusals.values(), 0) * 1.25)):
                reading = await tried(meter)
                assert reading is None or reading.energy_in is None or is_true(sim, reading)
                energies.append(reading and reading.energy_in)
                await asyncio.sleep(60)
            assert energies[-1] is not None
            assert meter.profile.is_complete

    run(main())


@once
@pytest.mark.parametrize("void", ["FFFFFFFE", "000F4240"])
def test_a_coefficient_without_a_value_is_not_known(void: str) -> None:
    async def main() -> None:
        kept = MeterProfile.from_raw({"E1": "02", "D3": void, "D7": "06"})
        assert (kept.coefficient, kept.is_complete) == (None, False)
        scenario = a_meter(unit=0x02, coefficient=20, values={0xD3: void, 0xD7: "FE"})
        for profile in (kept, None):
            async with connected(scenario, profile=profile) as (meter, sim):
                reading = await meter.read()
                assert (reading.energy_in, reading.refused) == (None, frozenset({0xD3}))
                assert not meter.profile.is_complete
                sim.meter.device.values.clear()
                await asyncio.sleep(60)
                assert is_true(sim, await meter.read())
                assert meter.profile.is_complete

    run(main())


def test_what_the_map_does_not_name_is_never_asked_for() -> None:
    async def main() -> None:
        async with connected(scenarios.NORMAL) as (meter, sim):
            assert meter.profile.coefficient == 1
            sim.record.clear()
            for _ in range(3):
                await meter.read()
                await meter.get(p.MINUTE_ENERGY, p.FIXED_TIME_OUT, p.FAULT_STATUS)
                await asyncio.sleep(60)
            assert {code for codes in asked(sim) for code in codes}.isdisjoint({0xD3, 0xE3, 0xEB, 0xD0})

    run(main())


@once
def test_a_map_of_no_use() -> None:
    async def main() -> None:
        async with connected(a_meter(values=NO_MAP)) as (meter, _):
            assert (await meter.read()).power is not None

    run(main())


FIRST = {"E1": "02", "D7": "06", "8A": "000016", "9D": "0280E0", "9F": "0AE0E1E3E7E8D3D79D9E9F"}
"""A profile as the first version kept it, which took one refusal of the coefficient for good."""


@by_dongle
def test_a_profile_of_the_first_version_is_checked_once() -> None:
    async def main() -> None:
        scenario = a_meter(unit=0x02, coefficient=20)
        old = MeterProfile.from_raw(FIRST)
        assert (old.coefficient, old.is_complete) == (None, False)
        async with connected(scenario, profile=old) as (meter, sim):
            assert len(asked(sim)) == 1
            assert is_true(sim, await meter.read())
            assert len(asked(sim)) == 2
            kept = MeterProfile.from_raw(meter.profile.raw)
        async with connected(scenario, profile=kept) as (meter, sim):
            assert not asked(sim)
            assert is_true(sim, await meter.read())

    run(main())


@once
def test_a_profile_of_the_first_version_that_was_wrong() -> None:
    async def main() -> None:
        old = MeterProfile.from_raw({**FIRST, "E1": "00", "D3": "00000001"})
        assert (old.coefficient, old.is_complete) == (1, False)
        async with connected(a_meter(unit=0x02, coefficient=20), profile=old) as (meter, sim):
            assert is_true(sim, await meter.read())

    run(main())


@once_by_dongle
def test_a_profile_of_the_first_version_that_the_meter_does_not_confirm_now() -> None:
    async def main() -> None:
        old = MeterProfile.from_raw({**FIRST, "D3": "00000014"})
        async with connected(a_meter(unit=0x02, coefficient=20), profile=old) as (meter, sim):
            sim.meter.device.refuse(0xE1, 0xD3, 0xD7, 0x9F)
        refusal = Refusal(codes=(0xE1, 0xD3, 0xD7, 0x9F), time=timedelta(minutes=3))
        async with connected(a_meter(unit=0x02, coefficient=20, refusals=(refusal,)), profile=old) as (meter, sim):
            assert is_true(sim, await meter.read())
            assert not meter.profile.is_complete
            for _ in range(6):
                await asyncio.sleep(60)
                await meter.read()
            assert meter.profile.is_complete

    run(main())


@by_dongle
def test_everything_that_scales_is_read_in_one_request() -> None:
    async def main() -> None:
        async with connected() as (meter, sim):
            assert asked(sim) == [[0xE1, 0xD7, 0xD3, 0x8A, 0x8D, 0x82, 0x9F]]
            await meter.read()
            assert meter.profile.settable == frozenset()
            await meter.get(p.FAULT_STATUS, p.CURRENT_TIME)
            assert asked(sim)[-1] == [0x88, 0x97, 0x9E, 0x9D]
            assert meter.profile.settable == {0x81, 0xE5, 0xED}
            assert meter.profile.announced >= {0xEA, 0xEB}

    run(main())


@by_dongle
@pytest.mark.parametrize("excess", [*Excess])
@pytest.mark.parametrize("most", [1, 2, 3, 4, 5, 6])
def test_how_many_properties_a_meter_answers_is_learnt(most: int, excess: Excess) -> None:
    async def main() -> None:
        scenario = a_meter(unit=0x02, coefficient=20, most_per_get=most, excess=excess)
        async with connected(scenario) as (meter, sim):
            assert is_true(sim, await meter.read())
            assert meter.profile.is_complete
            # Where the meter says nothing about its limit, it is looked for; silence may have been bad luck once.
            for _ in range({Excess.ALL_REFUSED: 2, Excess.IGNORED: 4}.get(excess, 0)):
                await asyncio.sleep(60)
                assert is_true(sim, await meter.read())
            sim.record.clear()
            for _ in range(3):
                await asyncio.sleep(60)
                assert is_true(sim, await meter.read())
            assert max(map(len, asked(sim))) <= most
            assert len(asked(sim)) == 3 * -(-4 // most)
            kept = MeterProfile.from_raw(meter.profile.raw)
        async with connected(scenario, profile=kept) as (meter, sim):
            began = asyncio.get_running_loop().time()
            assert is_true(sim, await meter.read())
            assert max(map(len, asked(sim))) <= most
            assert asyncio.get_running_loop().time() - began < 10

    run(main())


@once
def test_more_is_tried_again_after_a_day() -> None:
    async def main() -> None:
        async with connected(a_meter(most_per_get=2)) as (meter, sim):
            await meter.read()
            assert len(asked(sim)[-1]) == 2
            sim.meter._node = replace(sim.meter._node, ability=replace(sim.meter._node.ability, properties=None))
            await asyncio.sleep(86_400)
            sim.record.clear()
            await meter.read()
            assert [len(codes) for codes in asked(sim)] == [4]

    run(main())


@once_by_dongle
def test_a_lost_answer_does_not_look_like_a_limit() -> None:
    async def main() -> None:
        async with connected() as (meter, sim):
            for _ in range(5):
                sim.air.is_answering = False
                reading = asyncio.ensure_future(meter.read())
                await asyncio.sleep(24.2)
                sim.air.is_answering = True
                await reading
                sim.record.clear()
                await meter.read()
                assert len(asked(sim)) == 1

    run(main())


@once_by_dongle
@pytest.mark.parametrize("code", VALUES)
def test_a_property_at_which_the_meter_falls_silent(code: int) -> None:
    async def main() -> None:
        async with connected(a_meter(ignored=(code,))) as (meter, sim):
            readings = []
            for _ in range(8):
                with suppress(MeterTimeoutError):
                    readings.append(await meter.read())
                await asyncio.sleep(60)
            assert len(readings) >= 6
            assert {reading.refused for reading in readings} == {frozenset({code})}
            sim.record.clear()
            for _ in range(60):
                await asyncio.sleep(60)
                await meter.read()
            assert len(asked(sim)) <= 60 + 4 * 6

    run(main())


@once_by_dongle
@pytest.mark.parametrize("seed", range(3))
def test_a_reading_that_is_pieced_together_tells_of_one_time(seed: int) -> None:
    async def main() -> None:
        radio = replace(scenarios.SOLAR.radio, faults=(Fault.LOST,), fault_rate=0.5, seed=seed)
        pieces = 0
        async with connected(replace(scenarios.SOLAR, radio=radio)) as (meter, sim):
            for _ in range(300):
                before = len(sim.record.datagrams_to_client)
                with suppress(MeterTimeoutError):
                    power = (await meter.read()).power
                    last = [sim.meter.power(clock() - timedelta(seconds=age)) for age in range(51)]
                    assert power is None or power in last
                    pieces += len(sim.record.datagrams_to_client) - before > 1
                await asyncio.sleep(60)
        assert pieces > 10

    run(main())


@once_by_dongle
@pytest.mark.parametrize("refused", [(0xE7,), (0xE0,), (0xE3,), (0xE0, 0xE3)])
def test_a_meter_that_stops_at_the_first_property_that_it_refuses(refused: tuple[int, ...]) -> None:
    async def main() -> None:
        async with connected(a_meter(stops_at_refusal=True)) as (meter, sim):
            sim.meter.device.refuse(*refused)
            told: set[int] = set()
            for _ in range(20):
                reading = await tried(meter)
                told |= set(VALUES) - reading.refused if reading else set()
                await asyncio.sleep(60)
            assert told == set(VALUES) - set(refused)

    run(main())


def stage(*wanted: Stage) -> tuple[list[float], Callable[[Progress], None]]:
    times: list[float] = []

    def note(progress: Progress) -> None:
        if progress.stage in wanted:
            times.append(asyncio.get_running_loop().time())

    return times, note


@by_dongle
@pytest.mark.parametrize("is_known", [False, True])
def test_a_session_in_which_the_meter_is_deaf_is_begun_anew_at_once(*, is_known: bool) -> None:
    async def main() -> None:
        async with connected() as (meter, _):
            profile = meter.profile if is_known else None
        joined, note = stage(Stage.READ)
        async with connected(scenarios.DEAF_SESSION, profile=profile, on_progress=note) as (meter, sim):
            assert (await meter.read()).power is not None
            assert asyncio.get_running_loop().time() - joined[0] < 40
            assert sim.record.count(JOIN) == 2
            assert not meter.is_lost
            await asyncio.sleep(60)
            assert (await meter.read()).power is not None

    run(main())


@by_dongle
@pytest.mark.parametrize("is_known", [False, True])
@pytest.mark.parametrize("scenario", [scenarios.SILENT_METER, scenarios.DEAF_SESSION])
def test_a_meter_that_is_silent_after_the_join_is_told_within_forty_seconds(
    scenario: Scenario, *, is_known: bool
) -> None:
    async def main() -> None:
        async with connected() as (meter, _):
            profile = meter.profile if is_known else None
        joined, note = stage(Stage.READ)
        silent = replace(scenario, radio=replace(scenario.radio, deaf_sessions=9))
        with simulated_port(silent, speed=1, clock=clock) as sim:
            with pytest.raises(MeterTimeoutError):
                async with await connect(sim.url, CREDENTIALS, pan=PAN, profile=profile, on_progress=note) as meter:
                    await meter.read()
            assert asyncio.get_running_loop().time() - joined[0] <= 40
            assert sim.record.count(JOIN) == 2

    run(main())


@by_dongle
def test_a_meter_that_does_not_begin_another_session() -> None:
    async def main() -> None:
        joined, note = stage(Stage.READ)
        with simulated_port(scenarios.DEAF_SESSION, speed=1, clock=clock) as sim:

            def begin(progress: Progress) -> None:
                note(progress)
                if progress.stage is Stage.READ:
                    asyncio.get_running_loop().call_later(20, setattr, sim.air, "is_reachable", False)

            with pytest.raises((MeterTimeoutError, SessionLostError)):
                await connect(sim.url, CREDENTIALS, pan=PAN, on_progress=begin)
            assert asyncio.get_running_loop().time() - joined[0] <= 40

    run(main())


@once_by_dongle
def test_a_session_that_ends_while_the_meter_is_deaf() -> None:
    async def main() -> None:
        with simulated_port(scenarios.DEAF_SESSION, speed=1, clock=clock) as sim:

            def begin(progress: Progress) -> None:
                if progress.stage is Stage.READ:
                    asyncio.get_running_loop().call_later(20, sim.air.end_session)

            with pytest.raises(SessionLostError):
                await connect(sim.url, CREDENTIALS, pan=PAN, on_progress=begin)

    run(main())


def test_what_is_set_is_refused_for_now() -> None:
    async def main() -> None:
        async with connected() as (meter, sim):
            sim.meter.device.refuse(0x81, answers=1)
            with pytest.raises(PropertyRefusedError):
                await meter.set(p.INSTALLATION_LOCATION, 0x08)
            await meter.set(p.INSTALLATION_LOCATION, 0x08)
            sim.meter.device.refuse(0x88, answers=1)
            with pytest.raises(PropertyRefusedError, match="does not tell fault status"):
                await meter.value(p.FAULT_STATUS)
            assert await meter.value(p.FAULT_STATUS) is False

    run(main())
