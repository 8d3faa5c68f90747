"""Whatever a meter refuses, leaves out or keeps silent about, in whatever order: no wrong value, and back by itself."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

from hypothesis import HealthCheck, given, settings, strategies as st
import pytest

from custom_components.broute.aiobroute import (
    BRouteError,
    MeterProfile,
    MeterRefusedError,
    Node,
    Reading,
    SmartMeter,
    connect,
    url_of,
)
from custom_components.broute.aiobroute.lan import connect_node
from tests.simulator import scenarios
from tests.simulator.echonet import Excess
from tests.simulator.faults import Fault
from tests.simulator.lan import LanNode, lan_node, own_place
from tests.simulator.meter import MeterSettings
from tests.simulator.transport import SimulatedPort, simulated_port

from .kinds import CREDENTIALS, PAN, AnySimulator
from .virtual_time import clock, run

METER: Final = replace(scenarios.SOLAR, meter=MeterSettings(solar=True, unit=0x02, coefficient=20))

LONGEST_READING: Final = 300.0
"""Seconds that a connection and a reading may take, the slowest of all refusals included."""

type Trouble = Callable[[Any], None]
"""Done to a simulator, of the kind that can have it."""


def _refusal(codes: set[int], answers: int | None, seconds: int) -> Trouble:
    time = timedelta(seconds=seconds) if answers is None else None
    return lambda sim: sim.meter.device.refuse(*codes, answers=answers, time=time)


def _ability(properties: int | None, excess: Excess, *, stops_at_refusal: bool) -> Trouble:
    def change(sim: AnySimulator) -> None:
        node = sim.meter._node
        ability = replace(node.ability, properties=properties, excess=excess, stops_at_refusal=stops_at_refusal)
        sim.meter._node = replace(node, ability=ability)

    return change


def _deaf(sim: SimulatedPort) -> None:
    sim.air.deaf_sessions = 1
    sim.air.end_session()


codes = st.just({0xD3}) | st.sets(st.sampled_from([0xE0, 0xE1, 0xE3, 0xE7, 0xE8, 0xD3, 0xD7, 0x8A]), min_size=1)
refusals = st.one_of(
    st.builds(_refusal, codes, st.none() | st.integers(1, 5), st.integers(1, 1800)),
    # A meter that tells for a minute neither its map nor a coefficient counts as one that has none.
    st.just(_refusal({0x9F}, 1, 0)),
)
of_each_kind = st.one_of(
    refusals,
    st.builds(_ability, st.none() | st.integers(1, 7), st.sampled_from(Excess), stops_at_refusal=st.booleans()),
    st.lists(st.sampled_from([Fault.LOST, Fault.LATE, Fault.DOUBLED]), max_size=4).map(
        lambda faults: lambda sim: sim.air.faults.extend(faults)
    ),
    st.sampled_from(
        [
            lambda sim: setattr(sim.air, "is_answering", False),
            lambda sim: setattr(sim.air, "is_answering", True),
        ]
    ),
)
"""What may begin, or end, between two readings."""

of_a_radio = of_each_kind | st.sampled_from(
    [_deaf, lambda sim: sim.air.end_session(), lambda sim: sim.air.drop_session()]
)
of_a_network = of_each_kind | st.sampled_from(
    [lambda sim: sim.off(), lambda sim: sim.on(), lambda sim: sim.on(own_place())]
)


def _heal(sim: AnySimulator) -> None:
    sim.meter.device.refusals.clear()
    _ability(None, Excess.REFUSED, stops_at_refusal=False)(sim)
    sim.air.faults.clear()
    sim.air.is_answering = True
    if isinstance(sim, LanNode):
        sim.on()
    else:
        sim.air.deaf_sessions = 0


class _Client:
    """Reads once a minute, connects anew after an error, and keeps a profile that is complete."""

    def __init__(self, sim: AnySimulator) -> None:
        self._sim = sim
        self._meter: SmartMeter | None = None
        self._profile: MeterProfile | None = None
        self._node: Node | None = None

    async def read(self) -> Reading | None:
        """Return a reading, if there is one."""
        try:
            async with asyncio.timeout(LONGEST_READING):
                if self._meter is None:
                    self._meter = await self._connect()
                reading = await self._meter.read()
        except MeterRefusedError:
            return None
        except BRouteError:
            await self.close()
            return None
        if self._meter.profile.is_complete:
            self._profile = MeterProfile.from_raw(self._meter.profile.raw)
        return reading

    async def _connect(self) -> SmartMeter:
        if not isinstance(self._sim, LanNode):
            return await connect(self._sim.url, CREDENTIALS, pan=PAN, profile=self._profile)
        url = url_of(self._sim.meter.settings.serial)
        meter = await connect_node(url, node=self._node, profile=self._profile, interfaces=["lo"])
        self._node = meter.node
        return meter

    async def close(self) -> None:
        meter, self._meter = self._meter, None
        if meter is not None:
            await meter.close()


def _check(sim: AnySimulator, reading: Reading, asked: float) -> None:
    """Compare a reading with the truth between when it was asked for and now."""
    now = clock()
    before = now - timedelta(seconds=asyncio.get_running_loop().time() - asked)
    for shown, truth in ((reading.energy_in, sim.meter.energy_in), (reading.energy_out, sim.meter.energy_out)):
        assert shown is None or truth(before) <= shown <= truth(now), "a wrong value, or an old one"
    assert not reading.refused >= {0xE0, 0xE3, 0xE7, 0xE8}, "nothing was told, and it is called a reading"
    assert reading.energy_in is not None or reading.refused & {0xE0, 0xE1, 0xD3}, "nobody says what is missing"


async def _converse(sim: AnySimulator, first: list[Trouble], plan: list[tuple[int, Trouble]]) -> None:
    """Read through all of these troubles, and see that everything is read again when they are over."""
    for trouble in first:
        trouble(sim)
    client, loop = _Client(sim), asyncio.get_running_loop()
    try:
        for polls, trouble in plan:
            for _ in range(polls):
                await _poll(sim, client)
            trouble(sim)
        await _poll(sim, client)
        _heal(sim)
        healed = loop.time()
        while not await _poll(sim, client):
            # The longest pause is a quarter of the time in which something was refused.
            assert loop.time() - healed <= max(healed, 240) / 4 + 1200, "it does not come back"
    finally:
        await client.close()


async def _poll(sim: AnySimulator, client: _Client) -> bool:
    """Return whether everything was told."""
    loop = asyncio.get_running_loop()
    asked = loop.time()
    reading = await client.read()
    if reading is not None:
        _check(sim, reading, asked)
    if isinstance(sim, SimulatedPort):
        assert sim.air.airtime.last_hour() <= 36, "a tenth of what the law allows"
    await asyncio.sleep(max(0.0, asked + 60 - loop.time()))
    return reading is not None and not reading.refused


def _plans(troubles: st.SearchStrategy[Trouble]) -> st.SearchStrategy[list[tuple[int, Trouble]]]:
    """Return after how many polls each trouble comes."""
    return st.lists(st.tuples(st.integers(0, 10), troubles), max_size=8)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("module", ["bp35c2", "j11"])
@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(first=st.lists(refusals, max_size=2), plan=_plans(of_a_radio))
def test_no_wrong_value_and_back_by_itself(module: str, first: list[Trouble], plan: list[tuple[int, Trouble]]) -> None:
    async def main() -> None:
        with simulated_port(METER, module=module, speed=1, clock=clock) as sim:
            await _converse(sim, first, plan)

    run(main())


@pytest.mark.timeout(300)
@pytest.mark.own_loop
@pytest.mark.usefixtures("echonet_port")
@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(first=st.lists(refusals, max_size=2), plan=_plans(of_a_network))
def test_the_same_over_the_network(first: list[Trouble], plan: list[tuple[int, Trouble]]) -> None:
    async def main() -> None:
        with lan_node(METER, clock=clock) as sim:
            await _converse(sim, first, plan)

    run(main(), over_network=True)
