"""What is peculiar to a J11 module: it connects before it authenticates, and tells less."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import astuple, replace
from datetime import timedelta
from typing import Any

import pytest

from custom_components.broute.aiobroute import (
    BRouteError,
    Credentials,
    JoinError,
    JoinRefusedError,
    ModuleError,
    ModuleEvent,
    ModuleTimeoutError,
    Pan,
    PortError,
    SessionLostError,
    SmartMeter,
    connect,
)
from custom_components.broute.aiobroute.j11.module import J11Module, identify, link_to
from custom_components.broute.aiobroute.module import ODD_CHANNELS
from custom_components.broute.aiobroute.port import open_port
from tests.simulator import scenarios
from tests.simulator.j11 import frame
from tests.simulator.radio import RadioSettings, Sending
from tests.simulator.record import JOIN, SCAN
from tests.simulator.scenarios import PASSWORD, ROUTE_B_ID, Scenario
from tests.simulator.transport import SimulatedPort, simulated_port

from .virtual_time import clock, run

CREDENTIALS = Credentials(ROUTE_B_ID, PASSWORD)
PAN = Pan(channel=0x31, pan_id=0x8A3C, mac="001C640003D2A1B7")
PEER = bytes.fromhex(PAN.mac)
MAC_LOST = frame(0x601A, b"\x03" + PEER + b"\xd5")
PANA_LOST = frame(0x601A, b"\x04" + PEER + b"\xd5")
STARTED = frame(0x6019)


def dongle(scenario: Scenario = scenarios.NORMAL) -> Any:
    return simulated_port(scenario, module="j11", speed=1, clock=clock)


@asynccontextmanager
async def connected(**options: Any) -> AsyncIterator[tuple[SmartMeter, SimulatedPort]]:
    with dongle() as sim:
        async with await connect(sim.url, CREDENTIALS, **options) as meter:
            sim.record.clear()
            yield meter, sim
        assert sim.record.opens == sim.record.closes


def radio(sim: SimulatedPort) -> list[str]:
    """Return what the module was told to do on the air, without data."""
    names = [command.split()[0] for command in sim.record.commands]
    return [name for name in names if name in {"SCAN", "START_ROUTE_B", "START_PANA", "RESET"}]


def test_a_known_meter_takes_three_steps() -> None:
    async def main() -> None:
        with dongle() as sim:
            async with await connect(sim.url, CREDENTIALS, pan=PAN):
                assert radio(sim) == ["RESET", "START_ROUTE_B", "START_PANA"]

    run(main())


def test_a_first_connection_that_fails_is_tried_again_from_a_reset_module() -> None:
    async def main() -> None:
        with dongle(scenarios.FAILING_ASSOCIATION) as sim:
            async with await connect(sim.url, CREDENTIALS, pan=PAN) as meter:
                assert (await meter.read()).power is not None
            once = ["RESET", "START_ROUTE_B"]
            assert radio(sim) == [*once, "RESET", "SCAN", "START_ROUTE_B", "START_PANA"]
            listening = next(command for command in sim.record.commands if command.startswith("SCAN"))
            assert listening.startswith("SCAN 0600001000"), "on the one channel only"

    run(main())


def test_connections_that_always_fail_come_to_an_end() -> None:
    async def main() -> None:
        with dongle(Scenario(summary="", radio=RadioSettings(failing_associations=99))) as sim:
            with pytest.raises(JoinError) as caught:
                await connect(sim.url, CREDENTIALS)
            assert not isinstance(caught.value, JoinRefusedError)
            assert radio(sim).count("START_ROUTE_B") == 3
            assert not sim.record.count(JOIN)

    run(main())


def test_a_meter_that_is_not_heard_is_not_asked_again() -> None:
    async def main() -> None:
        with dongle(scenarios.NO_METER) as sim:
            with pytest.raises(BRouteError):
                await connect(sim.url, CREDENTIALS, pan=PAN)
            assert radio(sim) == ["RESET", "START_ROUTE_B", "RESET", *["SCAN"] * 5]

    run(main())


def test_another_meter_in_the_place_of_ours_is_scanned_for() -> None:
    async def main() -> None:
        with dongle() as sim:
            sim.exchange_meter()
            async with await connect(sim.url, CREDENTIALS, pan=PAN) as meter:
                assert meter.pan == replace(PAN, mac="001C640003D2FFFF")
            assert sim.record.count(SCAN) == sim.record.count(JOIN) == 1

    run(main())


def test_a_meter_with_another_pan_id_needs_no_scan() -> None:
    async def main() -> None:
        with dongle() as sim:
            async with await connect(sim.url, CREDENTIALS, pan=replace(PAN, pan_id=0x1111)) as meter:
                assert (await meter.read()).power is not None
            assert not sim.record.count(SCAN)

    run(main())


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (MAC_LOST, "the meter ended the session"),
        (STARTED, "the session was ended"),
        (frame(0x6028, b"\x03" + PEER), "the meter did not renew the session"),
    ],
)
def test_what_ends_a_session_at_once(said: bytes, reason: str) -> None:
    async def main() -> None:
        lost: list[SessionLostError] = []
        async with connected(pan=PAN, on_lost=lost.append) as (_, sim):
            sim.inject(said)
            await asyncio.sleep(0.1)
            assert [str(error) for error in lost] == [reason]

    run(main())


@pytest.mark.parametrize("end", [lambda sim: sim.air.end_session(), lambda sim: sim.air.expire()])
def test_a_lost_authentication_is_made_anew_at_once(end: Callable[[SimulatedPort], None]) -> None:
    async def main() -> None:
        events: list[ModuleEvent] = []
        async with connected(pan=PAN, on_event=events.append) as (meter, sim):
            end(sim)
            await asyncio.sleep(0.1)
            assert (await meter.read()).power is not None
            assert radio(sim) == ["START_PANA"]
        assert events == [ModuleEvent.JOINED, ModuleEvent.EXPIRED, ModuleEvent.JOINED]

    run(main())


def test_what_is_lost_again_at_once_is_not_made_anew() -> None:
    async def main() -> None:
        async with connected(pan=PAN) as (meter, sim):
            for _ in range(2):
                sim.air.end_session()
                await asyncio.sleep(61)
            sim.air.end_session()
            await asyncio.sleep(10)
            sim.record.clear()
            sim.air.end_session()
            await asyncio.sleep(1)
            with pytest.raises(SessionLostError, match="the meter ended the session"):
                await meter.read()
            assert not radio(sim)

    run(main())


def test_a_meter_that_does_not_take_it_is_lost() -> None:
    async def main() -> None:
        with dongle(scenarios.REFUSED_ONCE) as sim:
            sim.air._refused_joins = 0
            async with await connect(sim.url, CREDENTIALS, pan=PAN) as meter:
                sim.air._refused_joins = 1
                sim.air.end_session()
                await asyncio.sleep(0.1)
                with pytest.raises(SessionLostError, match="did not renew"):
                    await meter.read()

    run(main())


def test_an_authentication_that_cannot_be_made_is_lost() -> None:
    async def main() -> None:
        async with connected(pan=PAN) as (meter, sim):
            sim.module.network = None  # type: ignore[attr-defined]
            sim.inject(PANA_LOST)
            await asyncio.sleep(0.1)
            with pytest.raises(SessionLostError, match="was ended"):
                await meter.read()

    run(main())


def test_a_module_that_begins_by_itself_is_waited_for() -> None:
    async def main() -> None:
        async with connected(pan=PAN) as (meter, sim):
            sim.module.is_authenticating = True  # type: ignore[attr-defined]
            sim.air.expire()
            await asyncio.sleep(0.1)
            assert (await meter.read()).power is not None
            assert sim.record.happenings.count("JOINED") == 1

    run(main())


def test_nothing_stays_behind_of_an_authentication_that_is_under_way() -> None:
    async def main() -> None:
        async with connected(pan=PAN) as (_, sim):
            sim.air.expire()
            await asyncio.sleep(1)

    run(main())


def test_a_dongle_that_is_pulled_out_during_an_authentication() -> None:
    async def main() -> None:
        lost: list[SessionLostError] = []
        async with connected(pan=PAN, on_lost=lost.append) as (meter, sim):
            sim.air.expire()
            await asyncio.sleep(1)
            sim.unplug()
            with pytest.raises(SessionLostError):
                await meter.read()
            assert [str(error) for error in lost] == ["the port was closed"]

    run(main())


def test_what_is_lost_before_anybody_joined_means_nothing() -> None:
    async def main() -> None:
        with dongle() as sim:
            for at in (3, 11, 15):
                asyncio.get_running_loop().call_later(at, sim.inject, MAC_LOST + PANA_LOST)
            async with await connect(sim.url, CREDENTIALS) as meter:
                assert (await meter.read()).power is not None

    run(main())


def test_a_module_that_starts_anew_ends_what_it_was_asked_for() -> None:
    async def main() -> None:
        with dongle() as sim:
            asyncio.get_running_loop().call_later(5, sim.inject, STARTED)
            with pytest.raises(ModuleError, match="started anew during SCAN"):
                await connect(sim.url, CREDENTIALS)
            assert asyncio.get_running_loop().time() < 6

    run(main())


@pytest.mark.parametrize(
    ("said", "error"),
    [
        (frame(0x2008, b"\x10"), SessionLostError),
        (frame(0x2008, b"\x01"), ModuleError),
        (b"", ModuleTimeoutError),
    ],
)
def test_a_datagram_that_is_refused(said: bytes, error: type[BRouteError]) -> None:
    async def main() -> None:
        async with connected(pan=PAN) as (meter, sim):
            sim.air.sendings.append(Sending.SILENT)
            asyncio.get_running_loop().call_later(0.1, sim.inject, said)
            with pytest.raises(error):
                await meter.read()

    run(main())


def test_a_frame_that_breaks_off_is_given_up_after_a_second() -> None:
    async def main() -> None:
        events: list[ModuleEvent] = []
        async with connected(pan=PAN, on_event=events.append) as (_, sim):
            events.clear()
            sim.inject(frame(0x6018, bytes(500))[:40] + MAC_LOST)
            await asyncio.sleep(0.9)
            assert not events
            await asyncio.sleep(0.2)
            assert events == [ModuleEvent.ENDED_BY_METER]

    run(main())


def test_a_port_that_is_closed_waits_for_no_frame() -> None:
    async def main() -> None:
        async with connected(pan=PAN) as (_, sim):
            sim.inject(frame(0x6018, bytes(500))[:40])
            await asyncio.sleep(0.1)
        timers: list[Any] = asyncio.get_running_loop()._scheduled  # type: ignore[attr-defined]
        assert not [timer for timer in timers if not timer.cancelled() and "_fall_silent" in repr(timer)]

    run(main())


def test_each_channel_is_one_of_the_band() -> None:
    async def main() -> None:
        with dongle() as sim:
            module = await identify(await open_port(sim.url), patience=0.5)
            assert module is not None
            assert module.channels == ODD_CHANNELS
            assert round(module.scan_seconds(module.channels, 6), 1) == 8.6
            await module.prepare(CREDENTIALS)
            await module.leave()
            module.close()
            await module.wait_closed()

    run(main())


def test_a_port_that_other_datagrams_come_to() -> None:
    async def main() -> None:
        with dongle() as sim:
            got: list[bytes] = []
            module = J11Module(link_to(await open_port(sim.url)), "")
            other = bytes(16) + bytes.fromhex("02CC02CC8A3C0001C40001") + b"x"
            sim.inject(frame(0x6018, other))
            module.attach(on_datagram=lambda datagram: got.append(datagram.data), on_event=lambda _: None)
            sim.inject(frame(0x6018, other.replace(bytes.fromhex("02CC"), bytes.fromhex("0E1A"))))
            await asyncio.sleep(0.1)
            assert got == [b"x"]
            module.close()
            await module.wait_closed()

    run(main())


def test_nobody_answers_for_a_version() -> None:
    async def main() -> None:
        with simulated_port(scenarios.NORMAL, module="silent", speed=1, clock=clock) as sim:
            port = await open_port(sim.url)
            assert await identify(port, patience=0.5) is None
            port.close()
            with pytest.raises(PortError):
                port.write(b"x")
            await port.wait_closed()

    run(main())


@pytest.mark.parametrize(
    "scenario",
    [scenarios.TRUNCATED_LINES, scenarios.LOST_BYTES, scenarios.DOUBLED_BYTES, scenarios.BROKEN_DESCRIPTION],
    ids=lambda scenario: scenario.summary,
)
def test_a_bad_line_costs_time_but_no_truth(scenario: Scenario) -> None:
    async def main() -> None:
        readings = 0
        with dongle(scenario) as sim:
            for _ in range(10):
                try:
                    async with await connect(sim.url, CREDENTIALS, pan=PAN) as meter:
                        for _ in range(5):
                            reading = await meter.read()
                            readings += 1
                            lately = [clock() - timedelta(seconds=seconds) for seconds in range(40)]
                            assert reading.power in map(sim.meter.device.counters.power, lately)
                except BRouteError:
                    await asyncio.sleep(5)
            assert sim.record.opens == sim.record.closes
        assert readings > 5

    run(main())


async def outcome(scenario: Scenario, module: str) -> object:
    """Return what a connection and two readings come to: what is measured, or the kind of the error."""
    with simulated_port(scenario, module=module, speed=1, clock=clock) as sim:
        try:
            async with await connect(sim.url, CREDENTIALS) as meter:
                readings = [await meter.read() for _ in range(2)]
        except BRouteError as err:
            return type(err)
        has = [[value is not None for value in astuple(replace(reading, rssi=0))] for reading in readings]
        return has, meter.profile, meter.pan


LOSSY = {"LOST_BYTES", "DOUBLED_BYTES", "TRUNCATED_LINES", "BROKEN_DESCRIPTION", "LOST_ANSWERS"}
"""Which bytes are hit is another matter for other bytes; and which answers, where half of them are."""


TOLD = {"CHANNEL_BUSY", "GARBLED_SESSION"}
"""What an SK module does not tell: why a datagram was not sent, and that one could not be decrypted."""


@pytest.mark.parametrize("name", sorted(set(scenarios.SCENARIOS) - LOSSY - TOLD))
def test_each_situation_ends_alike_with_either_kind(name: str) -> None:
    scenario = scenarios.SCENARIOS[name]
    assert run(outcome(scenario, "j11")) == run(outcome(scenario, "bp35c2"))
