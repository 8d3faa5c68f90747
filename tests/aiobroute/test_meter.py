"""Connecting and reading, against every simulated module and situation, with real radio delays in virtual time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from decimal import Decimal
import logging
from typing import Any

import pytest

from custom_components.broute.aiobroute import (
    AirtimeError,
    BRouteError,
    Credentials,
    FrameError,
    JoinedMeter,
    JoinError,
    JoinRefusedError,
    MeterNotFoundError,
    MeterProfile,
    MeterTimeoutError,
    ModuleError,
    ModuleTimeoutError,
    Pan,
    PortBusyError,
    PortError,
    PortMissingError,
    Progress,
    SessionLostError,
    Stage,
    connect,
    find,
)
from tests.simulator import scenarios
from tests.simulator.radio import Sending
from tests.simulator.record import JOIN, LEAVE, SCAN
from tests.simulator.scenarios import PASSWORD, ROUTE_B_ID, Scenario
from tests.simulator.transport import SimulatedPort, simulated_port

from .virtual_time import clock, run

CREDENTIALS = Credentials(ROUTE_B_ID, PASSWORD)
PAN = Pan(channel=0x31, pan_id=0x8A3C, mac="001C640003D2A1B7")
MODULES = ("bp35c2", "bp35a1", "rl7023", "rl7023dss", "j11")
FAMILIES = {"bp35c2": "BP35C2", "rl7023dss": "BP35C2", "j11": "J11"}

pytestmark = pytest.mark.usefixtures("each_kind")
once = pytest.mark.parametrize("each_kind", ["bp35c2"], indirect=True)
"""For what only SK modules can do."""


@asynccontextmanager
async def connected(
    scenario: Scenario = scenarios.NORMAL, *, module: str | None = None, payload: Any = "hex", **options: Any
) -> AsyncIterator[tuple[JoinedMeter, SimulatedPort]]:
    with simulated_port(scenario, module=module, payload=payload, speed=1, clock=clock) as sim:
        async with await connect(sim.url, CREDENTIALS, **options) as meter:
            yield meter, sim
        assert sim.record.opens == sim.record.closes
        assert not sim.record.flash_writes


@once
@pytest.mark.parametrize("payload", ["hex", "binary"])
@pytest.mark.parametrize("module", MODULES)
def test_a_reading_from_every_module(module: str, payload: str) -> None:
    async def main() -> None:
        async with connected(scenarios.SOLAR, module=module, payload=payload) as (meter, sim):
            reading = await meter.read()
            energy_in, energy_out = sim.meter.device.counters.raw(clock())
            assert reading.energy_in == energy_in * Decimal("0.1")
            assert reading.energy_out == energy_out * Decimal("0.1")
            assert reading.power == sim.meter.device.counters.power(clock())
            assert reading.current_r is not None
            assert reading.current_t is not None
            assert abs((reading.current_r + reading.current_t) * 100 - reading.power) < 30
            assert (reading.rssi is not None) == (module in FAMILIES)
            assert meter.pan == PAN
            assert meter.module.family == FAMILIES.get(module, "BP35A1")
            assert meter.profile.manufacturer == "Toshiba"
            assert meter.profile.digits == 6

    run(main())


def test_a_known_pan_needs_no_scan(each_kind: str) -> None:
    async def main() -> None:
        async with connected() as (meter, _):
            profile = MeterProfile.from_raw(meter.profile.raw)
            assert profile == meter.profile
        with simulated_port(scenarios.NORMAL, speed=1, clock=clock) as sim:
            start = asyncio.get_running_loop().time()
            async with await connect(sim.url, CREDENTIALS, pan=PAN, profile=profile) as meter:
                await meter.read()
            # A J11 module starts anew and connects before it authenticates.
            assert asyncio.get_running_loop().time() - start < (6 if each_kind == "bp35c2" else 10)
            assert not sim.record.count(SCAN)
            assert len(sim.record.datagrams_from_client) == 1

    run(main())


def test_a_meter_that_moved_is_scanned_for() -> None:
    async def main() -> None:
        moved = Pan(channel=0x21, pan_id=0x1111, mac="001C640000000001")
        stages: list[Stage] = []
        async with connected(pan=moved, on_progress=lambda progress: stages.append(progress.stage)) as (meter, _):
            assert meter.pan == PAN
        assert stages == [Stage.PROBE, Stage.JOIN, Stage.SCAN, Stage.JOIN, Stage.READ]

    run(main())


def test_an_exchanged_meter_has_another_profile() -> None:
    async def main() -> None:
        async with connected() as (meter, _):
            old = meter.profile
        pan = Pan(channel=0x31, pan_id=0x8A3C, mac="001C640000000001")
        async with connected(scenarios.ONE_PHASE, pan=pan, profile=old) as (meter, _):
            assert meter.profile.unit == Decimal("0.01")

    run(main())


def test_what_is_no_profile() -> None:
    with pytest.raises(FrameError):
        MeterProfile.from_raw({"E1": "7F"})
    with pytest.raises(FrameError):
        MeterProfile.from_raw({"E1": "no"})


def test_progress_of_a_weak_radio(each_kind: str) -> None:
    async def main() -> None:
        seen: list[Progress] = []
        with simulated_port(scenarios.WEAK_RADIO, speed=1, clock=clock) as sim:
            with pytest.raises(JoinError):
                await connect(sim.url, CREDENTIALS, on_progress=seen.append)
            async with await connect(sim.url, CREDENTIALS, pan=PAN, on_progress=seen.append):
                pass
        scan, join = Stage.SCAN, Stage.JOIN
        assert [progress.stage for progress in seen] == [
            Stage.PROBE,
            scan,
            scan,
            scan,
            join,
            Stage.PROBE,
            join,
            Stage.READ,
        ]
        scans = [progress.scan for progress in seen if progress.scan]
        seconds = (8.7, 17.5, 34.7) if each_kind == "bp35c2" else (8.6, 8.6, 17.3)
        expected = [(number, 4, each) for number, each in enumerate(seconds, start=1)]
        assert [(scan.number, scan.of, round(scan.seconds, 1)) for scan in scans] == expected

    run(main())


def test_an_answer_that_comes_twice_in_one_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async with connected() as (meter, sim):
            write = sim.line.write

            def write_twice(data: bytes) -> None:
                write(data * 2 if data.startswith(b"ERXUDP") else data)

            monkeypatch.setattr(sim.line, "write", write_twice)
            assert (await meter.read()).power is not None
            assert (await meter.read()).power is not None

    run(main())


def test_values_that_look_like_line_ends() -> None:
    async def main() -> None:
        async with connected(scenarios.LINE_ENDS, payload="binary") as (meter, _):
            reading = await meter.read()
            assert reading.power == 0x0D0A
            assert reading.current_r == reading.current_t == Decimal(0x0D0A) / 10

    run(main())


def test_a_coefficient_of_zero_is_taken_for_one(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    profile = MeterProfile.from_raw({"E1": "01", "D3": "00000000"})
    assert profile.energy(10) == Decimal(1)
    assert "a coefficient of 0 is taken for 1" in caplog.messages


@pytest.mark.parametrize("known", [None, PAN])
def test_a_wrong_password_is_refused_twice(known: Pan | None) -> None:
    async def main() -> None:
        with simulated_port(scenarios.NORMAL, speed=1, clock=clock) as sim:
            with pytest.raises(JoinRefusedError):
                await connect(sim.url, Credentials(ROUTE_B_ID, "BAD456789ABC"), pan=known)
            assert sim.record.opens == sim.record.closes == 1
            assert sim.record.count(JOIN) == 2

    run(main())


def test_a_wrong_id_hears_nobody() -> None:
    async def main() -> None:
        with simulated_port(scenarios.NORMAL, speed=1, clock=clock) as sim, pytest.raises(MeterNotFoundError):
            await find(sim.url, Credentials("F" * 32, PASSWORD))

    run(main())


def test_find_tells_where_the_meter_is(each_kind: str) -> None:
    async def main() -> None:
        with simulated_port(scenarios.STRANGERS, speed=1, clock=clock) as sim:
            beacon, module = await find(sim.url, CREDENTIALS)
            assert beacon.pan == PAN
            told = (beacon.lqi, beacon.rssi, module.firmware)
            assert told == ((0xDD, -43.5, "1.5.2") if each_kind == "bp35c2" else (None, -43, "1.3.158A (0400)"))
            assert sim.record.opens == sim.record.closes == 1

    run(main())


def test_a_refusal_by_a_meter_that_is_gone_is_no_accusation() -> None:
    """The join with the known PAN is refused, but then nobody is heard on its channel."""

    async def main() -> None:
        with simulated_port(scenarios.REFUSED_ONCE, speed=1, clock=clock) as sim:

            def vanish(progress: Progress) -> None:
                if progress.stage is Stage.JOIN:
                    asyncio.get_running_loop().call_later(16, setattr, sim.air, "is_reachable", False)

            with pytest.raises(MeterNotFoundError):
                await connect(sim.url, Credentials(ROUTE_B_ID, "BAD456789ABC"), pan=PAN, on_progress=vanish)

    run(main())


def test_nobody_answers_the_authentication() -> None:
    async def main() -> None:
        with simulated_port(scenarios.WEAK_RADIO, speed=1, clock=clock) as sim:
            with pytest.raises(JoinError) as caught:
                await connect(sim.url, CREDENTIALS)
            assert not isinstance(caught.value, JoinRefusedError)

    run(main())


def test_a_port_that_is_missing_or_busy() -> None:
    async def main() -> None:
        with pytest.raises(PortMissingError):
            await connect("/dev/does-not-exist", CREDENTIALS)
        with pytest.raises(PortError, match="cannot be opened"):
            await connect("nonsense://somewhere", CREDENTIALS)
        async with connected() as (_, sim):
            with pytest.raises(PortBusyError):
                await connect(sim.url, CREDENTIALS)

    run(main())


def test_a_meter_that_never_answers() -> None:
    async def main() -> None:
        with simulated_port(scenarios.SILENT_METER, speed=1, clock=clock) as sim:
            with pytest.raises(MeterTimeoutError):
                await connect(sim.url, CREDENTIALS)
            assert sim.record.opens == sim.record.closes

    run(main())


@once
def test_the_meter_ends_the_session() -> None:
    async def main() -> None:
        lost: list[BRouteError] = []
        async with connected(on_lost=lost.append) as (meter, sim):
            reading = asyncio.ensure_future(meter.read())
            await asyncio.sleep(0.2)
            sim.air.end_session()
            with pytest.raises(SessionLostError, match="the meter ended the session"):
                await reading
            assert len(lost) == 1
            with pytest.raises(SessionLostError):
                await meter.read()
        assert len(lost) == 1

    run(main())


def test_a_renewed_session_goes_on() -> None:
    async def main() -> None:
        async with connected() as (meter, sim):
            sim.air.expire(is_renewed=True)
            await asyncio.sleep(0)
            reading = await meter.read()
            assert reading.power is not None

    run(main())


def test_a_session_that_is_not_renewed_is_lost() -> None:
    async def main() -> None:
        async with connected() as (meter, sim):
            sim.air.is_reachable = False
            sim.air.expire(is_renewed=False)
            await asyncio.sleep(0.1)
            with pytest.raises(SessionLostError, match="did not renew"):
                await meter.read()

    run(main())


@once
def test_a_renewal_that_never_ends_is_lost() -> None:
    async def main() -> None:
        async with connected() as (meter, sim):
            sim.inject(f"EVENT 29 {PAN.address} 0\r\n".encode())
            await asyncio.sleep(0.1)
            with pytest.raises(SessionLostError, match="not renewed in time"):
                await meter.read()

    run(main())


@once
def test_requests_wait_for_airtime() -> None:
    async def main() -> None:
        async with connected() as (meter, sim):
            sim.air.restrict()
            await asyncio.sleep(0.1)
            assert meter.restricted
            reading = asyncio.ensure_future(meter.read())
            await asyncio.sleep(1800)
            assert not reading.done()
            sim.air.restrict(False)
            assert (await reading).power is not None
            assert not meter.restricted

    run(main())


@once
def test_a_release_that_nobody_heard_of() -> None:
    async def main() -> None:
        async with connected() as (meter, sim):
            sim.air.restrict()
            await asyncio.sleep(0.1)
            # Waiting anew does not begin the hour anew.
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(1800):
                    await meter.read()
            sim.air.is_restricted = False
            begin = clock()
            assert (await meter.read()).power is not None
            assert timedelta(minutes=29) < clock() - begin < timedelta(minutes=31)
            assert not meter.restricted

    run(main())


@once
def test_waiting_for_airtime_can_be_given_up() -> None:
    async def main() -> None:
        async with connected() as (meter, sim):
            sim.air.restrict()
            await asyncio.sleep(0.1)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(30):
                    await meter.read()
            sim.air.restrict(False)
            assert (await meter.read()).power is not None

    run(main())


@once
@pytest.mark.parametrize("known", [None, PAN])
def test_without_airtime_nothing_is_begun(known: Pan | None) -> None:
    async def main() -> None:
        with simulated_port(scenarios.NORMAL, module="bp35a1", speed=1, clock=clock) as sim:
            sim.air.restrict()
            with pytest.raises(AirtimeError):
                await connect(sim.url, CREDENTIALS, pan=known)
            assert not sim.record.count(SCAN) + sim.record.count(JOIN)

    run(main())


def test_a_dongle_that_is_pulled_out() -> None:
    async def main() -> None:
        lost: list[BRouteError] = []
        with simulated_port(scenarios.NORMAL, speed=1, clock=clock) as sim:
            meter = await connect(sim.url, CREDENTIALS, on_lost=lost.append)
            reading = asyncio.ensure_future(meter.read())
            await asyncio.sleep(0.05)
            sim.unplug()
            with pytest.raises((PortError, SessionLostError)):
                await reading
            assert len(lost) == 1
            with pytest.raises(SessionLostError):
                await meter.read()
            await meter.close()

    run(main())


@pytest.mark.parametrize("at", [0.005, 0.03, 5.0, 11.0, 14.5])
def test_a_dongle_that_is_pulled_out_while_connecting(at: float) -> None:
    async def main() -> None:
        with simulated_port(scenarios.NORMAL, speed=1, clock=clock) as sim:
            asyncio.get_running_loop().call_later(at, sim.unplug)
            with pytest.raises((PortError, SessionLostError)):
                await connect(sim.url, CREDENTIALS)

    run(main())


@pytest.mark.parametrize("at", [0.005, 0.03, 5.0, 11.0, 14.5])
def test_connecting_can_be_cancelled_at_any_point(at: float) -> None:
    async def main() -> None:
        with simulated_port(scenarios.NORMAL, speed=1, clock=clock) as sim:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(at):
                    await connect(sim.url, CREDENTIALS)
            assert sim.record.opens == sim.record.closes == 1
            async with await connect(sim.url, CREDENTIALS, pan=PAN) as meter:
                await meter.read()

    run(main())


def test_cancelling_a_reading_while_it_is_sent_closes_the_port() -> None:
    async def main() -> None:
        async with connected() as (meter, sim):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await meter.read()
            with pytest.raises(SessionLostError):
                await meter.read()
            await asyncio.sleep(0)
            assert sim.record.closes == 1

    run(main())


def test_cancelling_a_reading_that_waits_for_its_answer_leaves_nothing_behind() -> None:
    async def main() -> None:
        async with connected() as (meter, sim):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.45):
                    await meter.read()
            assert (await meter.read()).power is not None
            assert sim.record.closes == 0

    run(main())


def test_a_link_that_takes_nothing_is_lost() -> None:
    async def main() -> None:
        async with connected() as (meter, sim):
            sim.air.sendings.extend([Sending.NOT_SENT, Sending.NOT_SENT])
            with pytest.raises(SessionLostError, match="radio does not answer"):
                await meter.read()

    run(main())


@pytest.mark.parametrize("sending", [*Sending])
def test_each_order_of_answers_to_a_sending(sending: Sending) -> None:
    async def main() -> None:
        async with connected() as (meter, sim):
            sim.air.sendings.append(sending)
            if sending is Sending.REFUSED:
                with pytest.raises(SessionLostError):
                    await meter.read()
            elif sending is Sending.SILENT:
                with pytest.raises(ModuleTimeoutError):
                    await meter.read()
            else:
                assert (await meter.read()).power is not None

    run(main())


def test_a_module_that_says_nothing_any_more() -> None:
    async def main() -> None:
        async with connected() as (meter, sim):
            sim.tune(300)
            with pytest.raises(ModuleTimeoutError):
                await meter.read()
            await asyncio.sleep(0)
            assert sim.record.closes == 1

    run(main())


def test_the_module_can_be_left_politely() -> None:
    async def main() -> None:
        with simulated_port(scenarios.NORMAL, speed=1, clock=clock) as sim:
            meter = await connect(sim.url, CREDENTIALS, pan=PAN)
            await meter.leave()
            assert sim.record.count(LEAVE) == 1
            assert sim.record.closes == 1
            meter = await connect(sim.url, CREDENTIALS, pan=PAN)
            sim.air.end_session()
            await asyncio.sleep(0.1)
            await meter.leave()
            assert sim.record.closes == 2

    run(main())


def test_nobody_on_the_port() -> None:
    async def main() -> None:
        with simulated_port(scenarios.NORMAL, speed=1, clock=clock, baud_rate=300) as sim:
            with pytest.raises(ModuleError, match="no Wi-SUN module"):
                await connect(sim.url, CREDENTIALS)
            assert sim.record.opens == sim.record.closes

    run(main())


def test_no_credential_reaches_a_log(each_kind: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    async def main() -> None:
        async with connected() as (meter, _):
            await meter.read()
        with simulated_port(scenarios.NORMAL, speed=1, clock=clock) as sim, pytest.raises(JoinRefusedError):
            await connect(sim.url, Credentials(ROUTE_B_ID, "BAD456789ABC"))

    run(main())
    assert ("SKSETPWD" if each_kind == "bp35c2" else "SET_CREDENTIALS") in caplog.text
    for secret in (ROUTE_B_ID, PASSWORD, "BAD456789ABC", ROUTE_B_ID[-8:], "S18012345678"):
        assert secret not in caplog.text
        assert secret.encode().hex().upper() not in caplog.text.upper()
    assert ROUTE_B_ID not in repr(CREDENTIALS)
