"""Going on with the session that module and meter still have."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from custom_components.broute.aiobroute import (
    AirtimeError,
    BRouteError,
    Credentials,
    MeterProfile,
    ModuleEvent,
    Pan,
    Progress,
    Stage,
    connect,
)
from tests.simulator import scenarios
from tests.simulator.faults import Fault
from tests.simulator.habits import Former, ModuleSettings
from tests.simulator.j11 import J11Module, frame
from tests.simulator.j11commands import COMMANDS, Code, Request
from tests.simulator.radio import RadioSettings, Sending
from tests.simulator.record import JOIN, SCAN
from tests.simulator.scenarios import PASSWORD, ROUTE_B_ID, Scenario
from tests.simulator.transport import SimulatedPort, simulated_port

from .virtual_time import clock, run

CREDENTIALS = Credentials(ROUTE_B_ID, PASSWORD)
PAN = Pan(channel=0x31, pan_id=0x8A3C, mac="001C640003D2A1B7")
PROFILE = MeterProfile.from_raw({"E1": "01", "D7": "06", "D3": "00000001", "get": "7", "days": "2"})
REPLY = 0.343 + 0.01 + 0.6 + 0.5
"""Seconds that the radio needs for a reading at most: on the air, in the meter, and for its length."""

STEADY = RadioSettings(reply_time=(0.6, 0.6))
COLD = replace(scenarios.STEADY_METER, radio=STEADY)
LEFT = replace(COLD, module=scenarios.LEFT_JOINED.module)

both = pytest.mark.usefixtures("each_kind")


def dongle(scenario: Scenario, **options: Any) -> Any:
    return simulated_port(scenario, speed=1, clock=clock, **options)


def resets(sim: SimulatedPort) -> int:
    return sim.record.commands.count("SKRESET") + sim.record.commands.count("RESET")


async def first_reading(sim: SimulatedPort, **options: Any) -> float:
    """Return the seconds to the first reading, which is the meter's."""
    began = asyncio.get_running_loop().time()
    async with await connect(sim.url, CREDENTIALS, pan=PAN, profile=PROFILE, **options) as meter:
        reading = await meter.read()
        seconds = asyncio.get_running_loop().time() - began
        assert reading.power is not None
        assert reading.energy_in is not None
    return seconds


@both
def test_a_session_that_is_left_goes_on_within_a_reply_and_half_a_second(each_kind: str) -> None:
    async def main() -> None:
        family = "J11" if each_kind == "j11" else "BP35C2"
        with dongle(COLD) as sim:
            await first_reading(sim, family=family)
            for pause in (0, 1, 60, 3600):
                await asyncio.sleep(pause)
                sim.record.clear()
                assert await first_reading(sim, family=family) <= REPLY + 0.5
                assert not sim.record.count(JOIN) + sim.record.count(SCAN) + resets(sim)
                assert len(sim.record.datagrams_from_client) == 1

    run(main())


@pytest.mark.parametrize("module", ["bp35a1", "bp35c2", "rl7023", "rl7023dss", "j11"])
@pytest.mark.parametrize("payload", ["hex", "binary"])
@pytest.mark.parametrize("lqi", [False, True])
def test_what_another_program_left_is_read_as_it_is(module: str, payload: Any, *, lqi: bool) -> None:
    async def main() -> None:
        former = Former(echo=True, prints_lqi=lqi)
        with dongle(replace(LEFT, module=ModuleSettings(former=former)), module=module, payload=payload) as sim:
            assert await first_reading(sim) <= REPLY + 0.5 + 0.4  # A module of unknown kind is asked for both.
            assert not sim.record.count(JOIN) + resets(sim)
            async with await connect(sim.url, CREDENTIALS, pan=PAN, profile=PROFILE) as meter:
                assert ((await meter.read()).rssi is None) is (module in {"bp35a1", "rl7023"})
            if module != "j11":
                assert sim.module.registers["SFE"] == "0"

    run(main())


def never_joined(_: SimulatedPort) -> None:
    """Leave the module as it is after power up."""


def ended_by_us(sim: SimulatedPort) -> None:
    sim.air.take_over()
    sim.air.terminate()


def joined_to_nobody(sim: SimulatedPort) -> None:
    sim.air.take_over()
    sim.air.end_session()


@pytest.mark.parametrize("happened", [never_joined, ended_by_us, joined_to_nobody])
@pytest.mark.parametrize("module", ["bp35a1", "bp35c2", "rl7023dss", "j11"])
def test_no_session_costs_next_to_nothing(module: str, happened: Callable[[SimulatedPort], None]) -> None:
    """Compared with what begins with a reset, by the same module, over the same radio."""

    async def main() -> None:
        steady = replace(COLD, radio=RadioSettings(reply_time=(0.6, 0.6), transmit_time=(0.2, 0.2)))
        seconds = []
        for must_join in (True, False):
            with dongle(steady, module=module) as sim:
                happened(sim)
                await asyncio.sleep(1)
                seconds.append(await first_reading(sim, must_join=must_join))
                assert sim.record.count(JOIN) == resets(sim) == 1
                assert not sim.record.count(SCAN)
        anew, tried = seconds
        assert anew < tried <= anew + 0.3

    run(main())


@pytest.mark.parametrize("result", [0x02, 0x06, 0x0B, 0x0E, 0x0F, 0x10, 0x14, 0x37, 0x51, 0x53])
def test_in_whatever_way_a_j11_module_refuses_to_send_it_is_joined_at_once(
    result: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        with dongle(LEFT, module="j11") as sim:

            def refuse(module: J11Module, request: Request) -> None:
                monkeypatch.undo()
                module.respond(request.code, result)

            monkeypatch.setitem(COMMANDS, Code.SEND, refuse)
            trying = asyncio.ensure_future(first_reading(sim))
            await asyncio.sleep(0.35 + 0.3)  # The first question is one for another kind of module.
            assert resets(sim) == 1
            await trying
            assert sim.record.count(JOIN) == 1

    run(main())


@both
def test_who_has_to_join_joins() -> None:
    async def main() -> None:
        with dongle(LEFT) as sim:
            with pytest.raises(BRouteError):
                await connect(sim.url, Credentials(ROUTE_B_ID, "BA9876543210"), pan=PAN, must_join=True)
            assert sim.record.count(JOIN)

    run(main())


def dropped(sim: SimulatedPort) -> None:
    sim.air.drop_session()


def not_acknowledged(sim: SimulatedPort) -> None:
    sim.air.sendings.append(Sending.NOT_SENT)


def unresolved(sim: SimulatedPort) -> None:
    sim.air.sendings.append(Sending.UNRESOLVED)


def unanswered(sim: SimulatedPort) -> None:
    sim.air.faults.append(Fault.LOST)


def unencrypted(sim: SimulatedPort) -> None:
    sim.air.faults.append(Fault.UNENCRYPTED)
    sim.air.drop_session()


def undecipherable(sim: SimulatedPort) -> None:
    sim.air.garble()


def moved(sim: SimulatedPort) -> None:
    sim.air.network = replace(sim.air.network, channel=0x39)
    sim.air.drop_session()


def unplugged(sim: SimulatedPort) -> None:
    sim.unplug()
    sim.plug()


def ended(sim: SimulatedPort) -> None:
    sim.air.end_session()


def expired(sim: SimulatedPort) -> None:
    sim.air.expire(is_renewed=False)


@both
@pytest.mark.parametrize(
    "happens",
    [
        dropped,
        not_acknowledged,
        unresolved,
        unanswered,
        unencrypted,
        undecipherable,
        moved,
        unplugged,
        ended,
        expired,
    ],
)
def test_a_session_that_is_none_any_more(happens: Callable[[SimulatedPort], None]) -> None:
    async def main() -> None:
        with dongle(LEFT) as sim:
            happens(sim)
            # Four seconds of silence, and a join; one that moved has to be found as well.
            assert await first_reading(sim) <= 4 + 9 + (45 if happens is moved else 0)
            assert sim.record.count(JOIN) >= 1

    run(main())


@both
@pytest.mark.parametrize("when", [0.05, 0.3, 0.5, 0.8])
@pytest.mark.parametrize("happens", [ended, expired, undecipherable, dropped])
def test_a_session_that_ends_while_it_is_tried(happens: Callable[[SimulatedPort], None], when: float) -> None:
    async def main() -> None:
        told: list[ModuleEvent] = []
        with dongle(LEFT) as sim:
            asyncio.get_running_loop().call_later(when, happens, sim)
            assert await first_reading(sim, on_event=told.append) <= 12
            assert ModuleEvent.JOINED in told or ModuleEvent.RESUMED in told

    run(main())


@both
def test_a_module_that_another_program_joined_to_another_meter() -> None:
    async def main() -> None:
        with dongle(replace(scenarios.LEFT_ELSEWHERE, meter=COLD.meter, radio=STEADY)) as sim:
            assert await first_reading(sim) <= 4 + 9
            assert sim.record.count(JOIN) == 1

    run(main())


@both
@pytest.mark.parametrize("must_join", [False, True])
def test_late_answers_to_a_former_program_are_not_taken_for_ours(*, must_join: bool) -> None:
    async def main() -> None:
        with dongle(LEFT) as sim:
            first: set[int] = set()
            for _ in range(12):
                sim.record.clear()
                async with await connect(sim.url, CREDENTIALS, pan=PAN, profile=PROFILE, must_join=must_join) as meter:
                    await meter.read()
                first.add(int.from_bytes(sim.record.datagrams_from_client[0][2:4]))
            assert len(first) > 6

    run(main())


@both
def test_not_all_of_a_reading_is_a_session_but_no_reading() -> None:
    async def main() -> None:
        for scenario in (scenarios.MULTI_GET_REFUSED, scenarios.NO_EXPORT_DATA):
            with dongle(replace(scenario, module=LEFT.module)) as sim:
                await first_reading(sim)
                assert not sim.record.count(JOIN)

    run(main())


@both
@pytest.mark.parametrize("fault", sorted(set(Fault) - {Fault.LOST, Fault.LATE}, key=str))
def test_what_comes_instead_of_the_answer_is_no_reading(fault: Fault) -> None:
    async def main() -> None:
        with dongle(LEFT) as sim:
            sim.air.faults.append(fault)
            async with await connect(sim.url, CREDENTIALS, pan=PAN, profile=PROFILE) as meter:
                assert not sim.record.count(JOIN)
                reading = await meter.read()
                assert reading.power == sim.meter.power(clock())

    run(main())


@both
def test_a_first_reading_is_shown_only_while_it_is_the_present_one() -> None:
    async def main() -> None:
        with dongle(LEFT) as sim:
            async with await connect(sim.url, CREDENTIALS, pan=PAN, profile=PROFILE) as meter:
                await asyncio.sleep(30)
                sim.record.clear()
                await meter.read()
                assert len(sim.record.datagrams_from_client) == 1

    run(main())


@both
def test_a_profile_that_is_not_known_is_read_in_the_session_that_goes_on() -> None:
    async def main() -> None:
        stages: list[Stage] = []

        def progressed(progress: Progress) -> None:
            stages.append(progress.stage)

        with dongle(LEFT) as sim:
            async with await connect(sim.url, CREDENTIALS, pan=PAN, on_progress=progressed) as meter:
                assert meter.profile.unit is not None
                assert (await meter.read()).energy_in is not None
            assert stages == [Stage.PROBE, Stage.READ]
            assert not sim.record.count(JOIN)

    run(main())


def test_nothing_is_sent_or_reset_where_nothing_may_be_sent() -> None:
    async def main() -> None:
        with dongle(LEFT) as sim:
            sim.air.restrict()
            with pytest.raises(AirtimeError):
                await connect(sim.url, CREDENTIALS, pan=PAN)
            assert not sim.record.datagrams_from_client
            assert not sim.record.count(JOIN) + resets(sim)
            sim.air.restrict(False)
            await first_reading(sim)
            assert not sim.record.count(JOIN)

    run(main())


def test_a_j11_module_that_may_not_send_is_neither_reset_nor_joined() -> None:
    async def main() -> None:
        with dongle(LEFT, module="j11") as sim:
            sim.air.restrict()
            with pytest.raises(AirtimeError):
                await connect(sim.url, CREDENTIALS, pan=PAN)
            assert not sim.record.count(JOIN) + resets(sim)
            sim.air.restrict(False)
            await first_reading(sim)
            assert not sim.record.count(JOIN)

    run(main())


def test_a_busy_channel_is_no_reason_to_join() -> None:
    async def main() -> None:
        with dongle(LEFT, module="j11") as sim:
            sim.air.sendings.extend([Sending.BUSY, Sending.BUSY])
            await first_reading(sim)
            assert not sim.record.count(JOIN)

    run(main())


@both
def test_a_module_that_hangs_in_the_middle_is_asked_for_anew() -> None:
    async def main() -> None:
        with dongle(LEFT) as sim:
            sim.air.sendings.append(Sending.SILENT)
            assert await first_reading(sim) <= 15 + 12
            assert sim.record.opens == sim.record.closes == 2
            assert sim.record.count(JOIN) == 1

    run(main())


def test_a_module_that_lacks_a_register_is_joined() -> None:
    async def main() -> None:
        with dongle(LEFT) as sim:
            del sim.module.registers["S17"]
            await first_reading(sim)
            assert sim.record.count(JOIN) == 1

    run(main())


def test_a_j11_module_whose_port_cannot_be_opened_is_joined() -> None:
    async def main() -> None:
        with dongle(LEFT, module="j11") as sim:
            sim.module.ports = set(range(1, 7))
            await first_reading(sim)
            assert sim.record.count(JOIN) == 1

    run(main())


def test_a_session_that_went_on_is_renewed_and_ended_like_any_other() -> None:
    async def main() -> None:
        with dongle(LEFT, module="j11") as sim:
            async with await connect(sim.url, CREDENTIALS, pan=PAN, profile=PROFILE) as meter:
                await meter.read()
                sim.air.expire()
                assert (await meter.read()).power is not None
                assert sim.record.count(JOIN) == 1
                sim.inject(frame(0x6019))
                await asyncio.sleep(1)
                assert meter.is_lost

    run(main())
