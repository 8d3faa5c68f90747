"""What a module says besides yes and no: once more, not now, wait; and what it never says."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from custom_components.broute.aiobroute import (
    BRouteError,
    Credentials,
    JoinError,
    JoinRefusedError,
    MeterNotFoundError,
    ModuleError,
    ModuleEvent,
    ModuleTimeoutError,
    Pan,
    PortError,
    Progress,
    SessionLostError,
    Stage,
    connect,
)
from custom_components.broute.aiobroute.module import JoinOutcome, SendOutcome
from custom_components.broute.aiobroute.skstack import commands as c
from custom_components.broute.aiobroute.skstack.dialects import TWO_SIDES
from custom_components.broute.aiobroute.skstack.messages import (
    ECHONET_PORT,
    PANA_PORT,
    Event,
    Fail,
    Line,
    Message,
    Ok,
    PanDescriptor,
    ReceivedUdp,
)
from tests.simulator import scenarios
from tests.simulator.habits import ModuleSettings
from tests.simulator.j11 import J11Module, frame
from tests.simulator.radio import RadioSettings, Sending
from tests.simulator.record import JOIN, LEAVE, SCAN
from tests.simulator.scenarios import PASSWORD, ROUTE_B_ID, Scenario
from tests.simulator.transport import SimulatedPort, simulated_port

from .virtual_time import clock, run

CREDENTIALS = Credentials(ROUTE_B_ID, PASSWORD)
PAN = Pan(channel=0x31, pan_id=0x8A3C, mac="001C640003D2A1B7")
ME = "FE80:0000:0000:0000:021D:1291:1234:5678"

both = pytest.mark.usefixtures("each_kind")


def dongle(scenario: Scenario = scenarios.NORMAL, **options: Any) -> Any:
    return simulated_port(scenario, speed=1, clock=clock, **options)


def habits(**settings: Any) -> Scenario:
    return Scenario(summary="", module=ModuleSettings(**settings))


def resets(sim: SimulatedPort) -> int:
    return sim.record.commands.count("SKRESET") + sim.record.commands.count("RESET")


# Once more


@both
@pytest.mark.parametrize("seed", range(12))
def test_a_command_that_is_wanted_once_more_is_given_once_more(seed: int) -> None:
    async def main() -> None:
        with dongle(habits(repetition_rate=0.1, seed=seed)) as sim:
            async with await connect(sim.url, CREDENTIALS) as meter:
                for _ in range(10):
                    assert (await meter.read()).power is not None
            assert sim.record.opens == 1

    run(main())


@both
@pytest.mark.parametrize("times", [1, 2, 3])
def test_three_times_are_not_too_often(times: int) -> None:
    async def main() -> None:
        with dongle(habits(repetitions=times)) as sim:
            async with await connect(sim.url, CREDENTIALS, pan=PAN) as meter:
                sim.module._repetitions = times
                began = asyncio.get_running_loop().time()
                assert (await meter.read()).power is not None
                assert asyncio.get_running_loop().time() - began < 5
            assert sim.record.opens == 1

    run(main())


@both
def test_what_is_wanted_once_more_for_ever_fails() -> None:
    async def main() -> None:
        with dongle() as sim:
            async with await connect(sim.url, CREDENTIALS, pan=PAN) as meter:
                sim.module._repetitions = 99
                sim.record.clear()
                with pytest.raises(ModuleError) as caught:
                    await meter.read()
                assert caught.value.code in {"ER09", "3D", "F0"}
                assert len([one for one in sim.record.commands if one.startswith("S")]) == 4
                # The module has said so, and goes on working.
                sim.module._repetitions = 0
                assert (await meter.read()).power is not None

    run(main())


def test_who_gives_up_while_a_module_wants_it_once_more_leaves_no_half_answer() -> None:
    async def main() -> None:
        with dongle() as sim:
            async with await connect(sim.url, CREDENTIALS, pan=PAN) as meter:
                sim.module._repetitions = 99
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.05):
                        await meter.read()
                assert meter.is_lost

    run(main())


# What got lost


@both
def test_a_scan_whose_answer_got_lost_is_a_scan() -> None:
    async def main() -> None:
        with dongle(scenarios.SCAN_UNANSWERED) as sim:
            async with await connect(sim.url, CREDENTIALS) as meter:
                assert meter.pan == PAN
            assert sim.record.count(SCAN) == 1

    run(main())


def answer[T](command: c.SkCommand[T], *messages: Message | None) -> T:
    script = command.replies()
    next(script)
    try:
        for message in messages:
            script.send(message)
    except StopIteration as end:
        result: T = end.value
        return result
    raise AssertionError("it is not content")


def test_a_join_whose_end_got_lost() -> None:
    heard = ReceivedUdp(source=PAN.address, port=PANA_PORT, lqi=None, secured=False, data=b"")
    told = ReceivedUdp(source=PAN.address, port=ECHONET_PORT, lqi=None, secured=True, data=b"")
    join, alive = c.skjoin(PAN.address), Line("EVER 1.2.10")
    assert answer(join, Ok(), heard, told, None) is JoinOutcome.JOINED
    assert answer(join, Ok(), heard, told, Event(0x24, PAN.address)) is JoinOutcome.REFUSED
    assert answer(join, Ok(), heard, alive, Ok(), alive) is None
    still = Event(0x21, PAN.address, 1)
    assert answer(join, Ok(), heard, alive, still, alive, heard, alive, still, alive, alive) is None
    with pytest.raises(AssertionError):
        answer(join, Ok(), heard, alive, still, alive, heard, alive)
    assert answer(join, Ok(), still, alive, alive) is None
    # A module that tells nothing of it may take its time; what is of the session before, or of others, proves nothing.
    other = replace(told, source=PAN.address.replace("A1B7", "FFFF"))
    assert answer(join, Ok(), told, alive, alive, alive, other, Event(0x24, PAN.address)) is JoinOutcome.UNHEARD
    assert answer(join, Ok(), told, heard, replace(told, secured=False), other, None) is None
    assert answer(join, heard, told, None) is JoinOutcome.JOINED


def test_an_ok_that_got_lost() -> None:
    found = PanDescriptor(channel=49, pan_id=1, mac=PAN.mac, lqi=9, pair_id=None)
    scan = c.skscan(TWO_SIDES, {49}, 6)
    assert answer(scan, Event(0x20, ME), found, Event(0x22, ME), None) == [found]
    assert answer(scan, Event(0x22, ME), Ok(), Event(0x20, ME), found, Event(0x22, ME)) == [found], "an older scan's"
    assert answer(c.skjoin(PAN.address), Event(0x25, PAN.address), None) is JoinOutcome.JOINED
    assert answer(c.skterm(), Event(0x27, PAN.address), None) is None
    assert answer(c.skver(1), Line("EVER 1.2.10"), None) == "1.2.10"
    send = c.sksendto(TWO_SIDES, PAN.address, b"x")
    assert answer(send, Event(0x21, PAN.address, 0), None) is SendOutcome.SENT
    assert answer(send, Event(0x21, PAN.address, 1), None) is SendOutcome.UNACKNOWLEDGED
    with pytest.raises(TimeoutError):
        answer(c.skjoin(PAN.address), None)


def test_a_join_that_is_refused_as_a_command() -> None:
    with pytest.raises(ModuleError, match="SKJOIN failed with ER06"):
        answer(c.skjoin(PAN.address), Fail("ER06"))
    assert answer(c.skjoin(PAN.address), Ok(), Fail("ER04"), Event(0x24, PAN.address)) is JoinOutcome.UNHEARD


@both
def test_a_module_that_is_pulled_out_while_it_authenticates_anew() -> None:
    async def main() -> None:
        with dongle() as sim:
            async with await connect(sim.url, CREDENTIALS, pan=PAN) as meter:
                sim.air.expire()
                await asyncio.sleep(1)
                sim.unplug()
                await asyncio.sleep(1)
                assert meter.is_lost

    run(main())


# Wait


@both
@pytest.mark.parametrize("seconds", [61, 311, 700])
def test_a_join_that_takes_long_is_the_meters_affair(seconds: float) -> None:
    async def main() -> None:
        told: list[tuple[float, Stage]] = []
        loop = asyncio.get_running_loop()

        def progressed(progress: Progress) -> None:
            told.append((round(loop.time() - began), progress.stage))

        radio = RadioSettings(unheard_joins=99, unheard_time=seconds)
        with dongle(Scenario(summary="", radio=radio)) as sim:
            began = loop.time()
            with pytest.raises(JoinError) as caught:
                await connect(sim.url, CREDENTIALS, pan=PAN, on_progress=progressed)
            assert not isinstance(caught.value, JoinRefusedError)
            joined = [at for at, stage in told if stage is Stage.JOIN]
            waited = [at for at, stage in told if stage is Stage.WAIT]
            assert [wait - join for wait, join in zip(waited, joined, strict=True)] == pytest.approx([40, 40], abs=1)
            assert sim.record.opens == 1
            assert sim.air.airtime.total < 10

    run(main())


@both
def test_a_join_that_succeeds_late_is_a_join() -> None:
    async def main() -> None:
        with dongle(Scenario(summary="", radio=RadioSettings(join_time=200))) as sim:
            async with await connect(sim.url, CREDENTIALS, pan=PAN) as meter:
                assert (await meter.read()).power is not None
            assert sim.record.count(JOIN) == 1

    run(main())


@both
def test_a_join_that_never_ends_is_ended() -> None:
    async def main() -> None:
        with dongle(Scenario(summary="", radio=RadioSettings(unheard_joins=99, unheard_time=3000))) as sim:
            began = asyncio.get_running_loop().time()
            with pytest.raises(JoinError):
                await connect(sim.url, CREDENTIALS, pan=PAN)
            assert asyncio.get_running_loop().time() - began < 2 * 800 + 60
            assert sim.record.count(LEAVE) == 2

    run(main())


@both
@pytest.mark.parametrize(("muted", "at_most"), [(0.4, 13), (3.5, 280)], ids=["only the event", "what follows, too"])
@pytest.mark.parametrize("refused", [0, 1])
def test_a_join_whose_end_got_lost_on_the_line(muted: float, at_most: float, refused: int) -> None:
    """The meter's own datagram proves a session; if that is lost as well, or there is none, a question does."""

    async def main() -> None:
        radio = RadioSettings(refused_joins=refused, rejoin_pause=10)
        with dongle(Scenario(summary="", radio=radio)) as sim:
            loop = asyncio.get_running_loop()

            async def lose() -> None:
                while not sim.record.count(JOIN):  # noqa: ASYNC110  # the simulator has no event for it
                    await asyncio.sleep(0.01)
                await asyncio.sleep(3.8)
                sim.line.is_mute = True
                await asyncio.sleep(muted)
                sim.line.is_mute = False

            losing = loop.create_task(lose())
            began = loop.time()
            async with await connect(sim.url, CREDENTIALS, pan=PAN) as meter:
                assert loop.time() - began < (280 if refused else at_most)
                assert (await meter.read()).power is not None
                # The module's own view of the session is right, too: a J11 module renews what the meter ended.
                sim.air.end_session()
                if isinstance(sim.module, J11Module):
                    assert (await meter.read()).power is not None
                else:
                    with pytest.raises(SessionLostError):
                        await meter.read()
            await losing
            assert sim.record.opens == 1

    run(main())


@both
def test_a_meter_that_moved_is_found_although_the_module_takes_its_time() -> None:
    async def main() -> None:
        with dongle(scenarios.LATE_REFUSAL) as sim:
            async with await connect(sim.url, CREDENTIALS, pan=PAN) as meter:
                assert (await meter.read()).power is not None
            assert sim.record.count(SCAN) >= 1

    run(main())


@both
def test_a_module_that_dies_while_it_joins_is_to_blame_itself() -> None:
    async def main() -> None:
        with dongle(scenarios.LATE_REFUSAL) as sim:

            def die() -> None:
                sim.line.is_mute = True

            asyncio.get_running_loop().call_later(30, die)
            began = asyncio.get_running_loop().time()
            with pytest.raises(ModuleTimeoutError):
                await connect(sim.url, CREDENTIALS, pan=PAN)
            assert asyncio.get_running_loop().time() - began < 90

    run(main())


@both
def test_a_module_that_is_pulled_out_while_it_joins() -> None:
    async def main() -> None:
        with dongle(scenarios.LATE_REFUSAL) as sim:
            asyncio.get_running_loop().call_later(100, sim.unplug)
            with pytest.raises(PortError):
                await connect(sim.url, CREDENTIALS, pan=PAN)

    run(main())


@both
def test_a_join_that_takes_long_can_be_given_up() -> None:
    async def main() -> None:
        with dongle(scenarios.LATE_REFUSAL) as sim:
            for seconds in (20, 61, 100):
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(seconds):
                        await connect(sim.url, CREDENTIALS, pan=PAN)
                assert sim.record.opens == sim.record.closes
                sim.air._unheard_joins = 1
            sim.air._unheard_joins = 0
            async with await connect(sim.url, CREDENTIALS, pan=PAN) as meter:
                assert (await meter.read()).power is not None

    run(main())


def test_what_asks_whether_a_module_is_there_may_be_refused() -> None:
    async def main() -> None:
        with dongle(scenarios.LATE_REFUSAL) as sim:
            asyncio.get_running_loop().call_later(50, setattr, sim.module, "_repetitions", 99)
            asyncio.get_running_loop().call_later(200, setattr, sim.module, "_repetitions", 0)
            async with await connect(sim.url, CREDENTIALS, pan=PAN) as meter:
                assert (await meter.read()).power is not None

    run(main())


# Not now: J11


@pytest.mark.parametrize("sending", [Sending.QUEUED, Sending.ACCEPTED_FIRST])
def test_a_datagram_in_a_queue_is_a_datagram_sent(sending: Sending) -> None:
    async def main() -> None:
        with dongle(module="j11") as sim:
            async with await connect(sim.url, CREDENTIALS, pan=PAN) as meter:
                sim.air.sendings.extend([sending] * 5)
                sim.record.clear()
                for _ in range(5):
                    await meter.read()
                assert not sim.record.count(JOIN)

    run(main())


def test_a_busy_channel_is_waited_for() -> None:
    async def main() -> None:
        with dongle(scenarios.CHANNEL_BUSY, module="j11") as sim:
            async with await connect(sim.url, CREDENTIALS, pan=PAN) as meter:
                sim.record.clear()
                assert (await meter.read()).power is not None
                assert not sim.record.count(JOIN) + resets(sim)

    run(main())


def test_a_channel_that_is_busy_for_long_ends_no_session() -> None:
    async def main() -> None:
        with dongle(module="j11") as sim:
            async with await connect(sim.url, CREDENTIALS, pan=PAN) as meter:
                sim.record.clear()
                sim.air.sendings.extend([Sending.BUSY] * 7)
                assert (await meter.read()).power is not None
                assert not meter.is_lost
                assert not sim.record.count(JOIN) + resets(sim)

    run(main())


@pytest.mark.parametrize("sending", [Sending.NOT_SENT, Sending.FAILED])
def test_a_datagram_that_is_not_acknowledged_twice_is_a_lost_link(sending: Sending) -> None:
    async def main() -> None:
        with dongle(module="j11") as sim:
            async with await connect(sim.url, CREDENTIALS, pan=PAN) as meter:
                sim.air.sendings.extend([sending] * 2)
                with pytest.raises(SessionLostError, match="radio does not answer"):
                    await meter.read()

    run(main())


def test_airtime_that_is_used_up_ends_no_session() -> None:
    async def main() -> None:
        told: list[ModuleEvent] = []
        loop = asyncio.get_running_loop()
        with dongle(module="j11") as sim:
            async with await connect(sim.url, CREDENTIALS, pan=PAN, on_event=told.append) as meter:
                sim.air.restrict()
                sim.record.clear()
                loop.call_later(1000, sim.air.restrict, False)
                loop.call_later(100, lambda: held.append(meter.restricted))
                held: list[bool] = []
                began = loop.time()
                assert (await meter.read()).power is not None
                # It does not tell when it may send again, and is tried every five minutes.
                assert 1000 < loop.time() - began < 1000 + 310
                assert held == [True]
                assert not meter.restricted
                assert not sim.record.count(JOIN) + resets(sim)
                tried = [name for name in sim.record.commands if name.startswith("SEND")]
                assert len(tried) <= 6
                assert told.count(ModuleEvent.RESTRICTED) == told.count(ModuleEvent.RELEASED) == len(tried) - 1

    run(main())


def test_a_module_that_is_closed_is_released_by_nobody() -> None:
    async def main() -> None:
        with dongle(module="j11") as sim:
            told: list[ModuleEvent] = []
            async with await connect(sim.url, CREDENTIALS, pan=PAN, on_event=told.append) as meter:
                sim.air.restrict()
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(10):
                        await meter.read()
            await asyncio.sleep(4000)
            assert ModuleEvent.RELEASED not in told

    run(main())


def test_an_sk_module_whose_airtime_is_used_up_just_now_is_not_given_up() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with dongle() as sim:
            async with await connect(sim.url, CREDENTIALS, pan=PAN) as meter:
                sim.record.clear()
                loop.call_later(0.01, sim.air.restrict)
                loop.call_later(600, sim.air.restrict, False)
                sim.air.sendings.append(Sending.NOT_SENT)
                assert (await meter.read()).power is not None
                assert not sim.record.count(JOIN) + resets(sim)

    run(main())


# Keys that differ: J11


def undecipherable(source: str) -> bytes:
    return frame(0x6038, bytes.fromhex(f"01{source}01010000"))


def test_keys_that_differ_are_made_anew_at_once() -> None:
    async def main() -> None:
        events: list[ModuleEvent] = []
        loop = asyncio.get_running_loop()
        with dongle(module="j11") as sim:
            async with await connect(sim.url, CREDENTIALS, pan=PAN, on_event=events.append) as meter:
                sim.air.garble()
                sim.record.clear()
                began = loop.time()
                assert (await meter.read()).power is not None
                assert loop.time() - began < 15
                assert sim.record.count(JOIN) == 1
                assert not resets(sim)
            assert events[-2:] == [ModuleEvent.EXPIRED, ModuleEvent.JOINED]

    run(main())


@pytest.mark.parametrize("gap", [0.0, 0.5, 2.0])
def test_all_that_still_comes_with_the_old_keys_is_waited_out(gap: float) -> None:
    async def main() -> None:
        with dongle(module="j11") as sim:
            async with await connect(sim.url, CREDENTIALS, pan=PAN) as meter:
                sim.record.clear()
                told = undecipherable("FE80000000000000021C640003D2A1B7")
                sim.inject(told)
                asyncio.get_running_loop().call_later(gap, sim.inject, told)
                assert (await meter.read()).power is not None
                assert not meter.is_lost
                assert sim.record.count(JOIN) == 1
                assert not resets(sim)

    run(main())


def test_a_module_that_tells_of_the_end_that_it_was_told_to_make() -> None:
    async def main() -> None:
        with dongle(scenarios.DEAF_SESSION, module="j11") as sim:

            async def tell() -> None:
                await asyncio.sleep(24)
                while "END_ROUTE_B" not in sim.record.commands:  # noqa: ASYNC110  # the simulator has no event for it
                    await asyncio.sleep(0.005)
                sim.inject(frame(0x601A, bytes.fromhex("04001C640003D2A1B7C4")))

            telling = asyncio.get_running_loop().create_task(tell())
            async with await connect(sim.url, CREDENTIALS, pan=PAN) as meter:
                assert (await meter.read()).power is not None
            await telling
            assert sim.record.count(JOIN) == 2

    run(main())


def test_a_first_session_whose_keys_differ() -> None:
    async def main() -> None:
        with dongle(scenarios.GARBLED_SESSION, module="j11") as sim:
            async with await connect(sim.url, CREDENTIALS) as meter:
                assert (await meter.read()).power is not None

    run(main())


@pytest.mark.parametrize("source", ["FE80000000000000021C640012345678", ""])
def test_what_of_others_cannot_be_decrypted_is_left(source: str) -> None:
    async def main() -> None:
        with dongle(module="j11") as sim:
            async with await connect(sim.url, CREDENTIALS, pan=PAN) as meter:
                sim.record.clear()
                sim.inject(undecipherable(source) if source else frame(0x6038, b"\x30"))
                await asyncio.sleep(10)
                assert not sim.record.count(JOIN)
                await meter.read()

    run(main())


def test_nobody_is_found_where_no_meter_is() -> None:
    async def main() -> None:
        scenario = replace(scenarios.LATE_REFUSAL, radio=RadioSettings(is_reachable=False, unheard_time=311))
        with dongle(scenario) as sim, pytest.raises(MeterNotFoundError):
            await connect(sim.url, CREDENTIALS, pan=PAN)

    run(main())


# A day of refusals


def refuses_joins(sim: SimulatedPort) -> None:
    sim.air._refused_joins = 10**9


def refuses_associations(sim: SimulatedPort) -> None:
    sim.air._failing_associations = 10**9


def is_not_reachable(sim: SimulatedPort) -> None:
    sim.air.is_reachable = False


def is_silent(sim: SimulatedPort) -> None:
    sim.air.is_answering = False


def is_busy(sim: SimulatedPort) -> None:
    sim.air.sendings.extend([Sending.BUSY] * 100_000)


def is_not_acknowledged(sim: SimulatedPort) -> None:
    sim.air.sendings.extend([Sending.NOT_SENT] * 100_000)


def is_restricted(sim: SimulatedPort) -> None:
    sim.air.sendings.extend([Sending.RESTRICTED] * 100_000)


def is_garbled(sim: SimulatedPort) -> None:
    sim.air._garbled_sessions = 10**9


def is_slow(sim: SimulatedPort) -> None:
    sim.air.settings = replace(sim.air.settings, unheard_time=311.0)
    sim.air.is_reachable = False


TROUBLES = (
    refuses_joins,
    refuses_associations,
    is_not_reachable,
    is_silent,
    is_busy,
    is_not_acknowledged,
    is_restricted,
    is_garbled,
    is_slow,
)


@both
@pytest.mark.parametrize(("happens", "hours"), [*((trouble, 1) for trouble in TROUBLES), (refuses_joins, 6)])
@pytest.mark.timeout(120)
def test_hours_of_refusals_cost_less_than_a_hundredth_of_each_on_the_air(
    happens: Callable[[SimulatedPort], None], hours: int
) -> None:
    """As a program does that tries again every minute."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        with dongle(scenarios.SOLAR) as sim:
            happens(sim)
            most, must_join = 0.0, False
            while loop.time() < 3600 * hours + 100:
                due = loop.time() + 60
                try:
                    async with await connect(sim.url, CREDENTIALS, pan=PAN, must_join=must_join) as meter:
                        for _ in range(5):
                            async with asyncio.timeout(90):
                                await meter.read()
                except BRouteError, TimeoutError:
                    must_join = not must_join
                most = max(most, sim.air.airtime.last_hour())
                sim.record.clear()
                await asyncio.sleep(max(0, due - loop.time()))
            assert most <= 36
            # Back by itself.
            heal(sim)
            async with await connect(sim.url, CREDENTIALS, pan=PAN) as meter:
                assert (await meter.read()).power is not None

    run(main())


def heal(sim: SimulatedPort) -> None:
    air = sim.air
    air._refused_joins = air._failing_associations = air._garbled_sessions = 0
    air.is_reachable = air.is_answering = True
    air.sendings.clear()
    air.settings = replace(air.settings, unheard_time=38.0)
