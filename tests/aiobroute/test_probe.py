"""Finding out what is on a port, without a byte that could harm anything else."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from hypothesis import given, settings, strategies as st
import pytest

from custom_components.broute.aiobroute import Credentials, ModuleError, PortError, Timing, connect, loaded_later
from custom_components.broute.aiobroute.module import WiSunModule
from custom_components.broute.aiobroute.port import open_port
from custom_components.broute.aiobroute.probe import J11_QUESTION, SK_QUESTION, STUCK_SEND, probe
from tests.simulator import scenarios
from tests.simulator.dongle import MODULES, STRANGERS
from tests.simulator.j11 import REQUEST, frame
from tests.simulator.scenarios import PASSWORD, ROUTE_B_ID
from tests.simulator.transport import SimulatedPort, simulated_port

from .virtual_time import clock, run

CREDENTIALS = Credentials(ROUTE_B_ID, PASSWORD)
PATIENCE = Timing().probe
FAMILIES = {
    "bp35a1": "BP35A1",
    "bp35c2": "BP35C2",
    "rl7023": "BP35A1",
    "rl7023dss": "BP35C2",
    "j11": "J11",
}
DATAGRAM = frame(0x6018, bytes(16) + bytes.fromhex("0E1A0E1A8A3C0002C40002") + b"\r\n")
LINE = b"ERXUDP FE80:0000:0000:0000:021C:6400:03D2:A1B7 FE80:0000:0000:0000:021D:1291:1234:5678 0E1A 0E1A "


def dongle(module: str, **options: Any) -> Any:
    return simulated_port(scenarios.NORMAL, module=module, speed=1, clock=clock, **options)


@pytest.mark.parametrize("family", FAMILIES.values())
def test_what_is_loaded_later_is_named_for_each_family(family: str) -> None:
    # tests/test_loading.py looks whether it is loaded then.
    assert loaded_later(family) == (loaded_later(None) if family == "J11" else ())
    assert loaded_later(None)


@asynccontextmanager
async def probed(sim: SimulatedPort, family: str | None = None) -> AsyncIterator[tuple[WiSunModule, float]]:
    """Yield what is found, and how long that took."""
    start = asyncio.get_running_loop().time()
    module = await probe(sim.url, patience=PATIENCE, family=family)
    try:
        yield module, asyncio.get_running_loop().time() - start
    finally:
        module.close()
        await module.wait_closed()


async def write(sim: SimulatedPort, data: bytes) -> None:
    """Be a program that dies after it has written this."""
    port = await open_port(sim.url)
    port.write(data)
    await asyncio.sleep(0.05)
    port.close()
    await port.wait_closed()


def test_every_kind_has_a_family() -> None:
    assert set(FAMILIES) == set(MODULES)


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize("family", [None, "BP35A1", "BP35C2", "J11"])
def test_every_module_is_found_whatever_was_expected(module: str, family: str | None) -> None:
    async def main() -> None:
        with dongle(module) as sim:
            async with probed(sim, family) as (found, seconds):
                assert found.info.family == FAMILIES[module]
                assert seconds < 0.5
                is_expected = family is not None and (family == "J11") == (module == "j11")
                if is_expected:
                    assert seconds < 0.1
                    assert (REQUEST in sim.record.received) == (module == "j11")
                    assert (b"SKVER" in sim.record.received) == (module != "j11")
            assert sim.record.opens == sim.record.closes == 1

    run(main())


@pytest.mark.parametrize("stranger", STRANGERS)
def test_anything_else_is_named_in_time(stranger: str) -> None:
    async def main() -> None:
        with dongle(stranger) as sim:
            start = asyncio.get_running_loop().time()
            with pytest.raises(ModuleError, match="no Wi-SUN module answers") as caught:
                await probe(sim.url, patience=PATIENCE)
            assert caught.value.code is None
            assert asyncio.get_running_loop().time() - start <= 3
            assert sim.record.opens == sim.record.closes
            asked = bytes(sim.record.received)
            assert (STUCK_SEND in asked) == (stranger in {"silent", "zigbee"}), "who talks is not waiting for data"
            for known in (STUCK_SEND, J11_QUESTION, SK_QUESTION):
                asked = asked.replace(known, b"")
            assert not asked, "nothing else is sent"

    run(main())


def test_what_is_asked_begins_no_frame_of_other_devices() -> None:
    begins = {
        "Silicon Labs Zigbee (ASH)": "7E 11 13 18 1A",
        "Texas Instruments Zigbee (MT)": "FE",
        "deCONZ and other SLIP": "C0",
        "ZiGate, Z-Wave": "01 06 15 18",
        "Insteon": "02",
        "EnOcean": "55",
        "u-blox": "B5",
        "NMEA": "24",
        "Hayes escape": "2B",
        "XMODEM": "01 04 06 15 18 43",
    }
    asked = set(SK_QUESTION + J11_QUESTION + STUCK_SEND)
    # One 04 stands in the length of the J11 frame; an XMODEM receiver takes it for the end of a file it never got.
    assert {name for name, codes in begins.items() if asked & set(bytes.fromhex(codes))} == {"XMODEM"}
    assert asked & set(bytes.fromhex(begins["XMODEM"])) == {0x04}
    assert b"AT" not in SK_QUESTION + J11_QUESTION


def test_a_j11_module_that_starts_is_found_by_its_notice() -> None:
    async def main() -> None:
        with dongle("j11") as sim:
            sim.unplug()
            sim.plug()
            async with probed(sim) as (found, seconds):
                assert found.info.family == "J11"
                assert 1 <= seconds < 1.2

    run(main())


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(DATAGRAM, id="whole"),
        pytest.param(DATAGRAM[7:] + DATAGRAM, id="the second half of one before"),
        pytest.param(DATAGRAM + b"\r\nFAIL ER04\r\n", id="a datagram that holds what others say"),
        pytest.param(b"\xff\x00OK\r\nEVER" + frame(0x60D1), id="noise"),
    ],
)
def test_a_j11_module_in_mid_session_tells_itself(said: bytes) -> None:
    async def main() -> None:
        with dongle("j11") as sim:
            asyncio.get_running_loop().call_later(0.1, sim.inject, said)
            async with probed(sim) as (found, seconds):
                assert found.info.family == "J11"
                assert 0.1 < seconds < 0.2, "before it was asked"

    run(main())


def test_a_j11_module_that_scans_for_a_former_program_is_interrupted() -> None:
    async def main() -> None:
        with dongle("j11") as sim:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(5):
                    await connect(sim.url, CREDENTIALS)
            assert sim.record.commands[-1].startswith("SCAN")
            await asyncio.sleep(1)
            async with probed(sim) as (found, _):
                assert found.info.firmware == "1.3.158A (0400)"
            async with await connect(sim.url, CREDENTIALS) as meter:
                assert (await meter.read()).power is not None

    run(main())


@pytest.mark.parametrize("family", [None, "J11"])
@pytest.mark.parametrize("pause", [0.0, 2.0])
def test_a_j11_module_with_half_a_frame_is_found(family: str | None, pause: float) -> None:
    async def main() -> None:
        with dongle("j11") as sim:
            await write(sim, frame(0x0008, bytes(200), unique=REQUEST)[:100])
            await asyncio.sleep(pause)
            async with probed(sim, family) as (found, seconds):
                assert found.info.family == "J11"
                assert seconds < 3

    run(main())


@pytest.mark.parametrize("left", [b"SKSENDTO 1 ", b"SKVER", J11_QUESTION[:7], b"\r\n\r\n"])
def test_an_sk_module_with_half_a_command_is_found(left: bytes) -> None:
    async def main() -> None:
        with dongle("bp35c2") as sim:
            await write(sim, left)
            async with probed(sim, "J11") as (found, seconds):
                assert found.info.family == "BP35C2"
                assert seconds < 1

    run(main())


def test_an_sk_module_that_waits_for_data_is_freed_though_it_is_not_silent() -> None:
    async def main() -> None:
        with dongle("bp35c2") as sim:
            await write(sim, f"SKSENDTO 1 {'FE80:' + '0000:' * 6 + '0001'} 0E1A 1 0 04D0 half".encode())
            loop = asyncio.get_running_loop()
            loop.call_later(0.2, sim.inject, LINE + b"001C640003D2A1B7 1 0 0002 1081\r\n")
            async with probed(sim) as (found, seconds):
                assert found.info.family == "BP35C2"
                assert seconds < 3

    run(main())


def test_what_claims_to_be_a_module_but_answers_nothing() -> None:
    async def main() -> None:
        for said in (b"FAIL ER04\r\n", b"OK\r\n", frame(0x6019)):
            with dongle("silent") as sim:
                asyncio.get_running_loop().call_later(0.1, sim.inject, said)
                with pytest.raises(ModuleError, match="no Wi-SUN module answers"):
                    await probe(sim.url, patience=PATIENCE)
                assert sim.record.opens == sim.record.closes

    run(main())


@pytest.mark.parametrize("at", [0.01, 0.5, 1.2, 2.0])
def test_a_port_that_goes_away_meanwhile(at: float) -> None:
    async def main() -> None:
        with dongle("silent") as sim:
            asyncio.get_running_loop().call_later(at, sim.unplug)
            with pytest.raises(PortError):
                await probe(sim.url, patience=PATIENCE)
            assert sim.record.opens == sim.record.closes

    run(main())


def test_a_module_that_says_something_and_is_gone() -> None:
    async def main() -> None:
        with dongle("silent") as sim:

            def go() -> None:
                sim.line.write_raw(frame(0x6019) + b"EVENT 21\r\n")
                sim.line.write_raw(frame(0x6019))
                sim.unplug()

            asyncio.get_running_loop().call_later(0.1, go)
            with pytest.raises(PortError):
                await probe(sim.url, patience=PATIENCE)

    run(main())


@settings(max_examples=40)
@given(st.sampled_from(["j11", "bp35c2", "silent"]), st.binary(max_size=40), st.floats(0, 2))
def test_any_noise_leaves_a_probe_with_an_answer(module: str, noise: bytes, at: float) -> None:
    async def main() -> None:
        with dongle(module) as sim:
            asyncio.get_running_loop().call_later(at, sim.inject, noise)
            try:
                async with probed(sim) as (found, seconds):
                    assert found.info.family == FAMILIES[module]
                    assert seconds < 3
            except ModuleError:
                assert module == "silent" or noise
            # A noise that was to come later finds the port closed.
            await asyncio.sleep(3)
            assert sim.record.opens == sim.record.closes

    run(main())
