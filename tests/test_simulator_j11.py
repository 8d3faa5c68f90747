"""The simulated J11 module by itself: what the specification promises, byte by byte."""

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from .simulator import scenarios
from .simulator.host import Host, opened
from .simulator.j11 import FROM_MODULE, LONGEST, REQUEST, frame
from .simulator.radio import Sending
from .simulator.scenarios import PASSWORD, ROUTE_B_ID, Scenario
from .simulator.transport import SimulatedPort, simulated_port
from .transcripts import TRANSCRIPTS, needs_transcripts

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PEER = "001C640003D2A1B7"
ADDRESS = "FE80000000000000021C640003D2A1B7"
CREDENTIALS = (ROUTE_B_ID + PASSWORD).encode().hex()
GET = "1081000105FF010288016201E700"
OPENING = ["005F 05000C00", f"0054 {CREDENTIALS}", "0053", "0005 0E1A"]
"""On channel 0C, which is number 31 of the SK commands."""


class Client(Host):
    """Sends frames, and takes apart what comes."""

    async def do(self, *commands: str) -> list[str]:
        """Return the code and the data of each frame that comes after the last of these commands."""
        said = b""
        for command in commands:
            code, _, data = command.partition(" ")
            said = await self.exchange(frame(int(code, 16), bytes.fromhex(data), unique=REQUEST))
        return taken_apart(said)


def taken_apart(data: bytes) -> list[str]:
    """Return code and data of frames, with all their numbers checked."""
    frames = []
    while data:
        size = int.from_bytes(data[6:8]) + 8
        whole, data = data[:size], data[size:]
        code, payload = int.from_bytes(whole[4:6]), whole[12:]
        assert whole == frame(code, payload)
        frames.append(f"{code:04X} {payload.hex().upper()}".rstrip())
    return frames


@asynccontextmanager
async def client(scenario: Scenario = scenarios.NORMAL) -> AsyncIterator[tuple[Client, SimulatedPort]]:
    with simulated_port(scenario, module="j11") as sim:
        async with opened(sim) as host:
            yield Client(host._reader, host._writer), sim


def test_a_frame_is_that_of_the_specification() -> None:
    assert frame(0x00D9, unique=REQUEST).hex().upper() == "D0EA83FC00D9000404160000"
    assert frame(0x206B, bytes.fromhex("01040001030000158A")).hex().upper() == (
        "D0F9EE5D206B000D03AC00A801040001030000158A"
    )


@pytest.mark.parametrize(
    ("commands", "expected"),
    [
        (["006B"], ["206B 01040001030000158A"]),
        (["00D9"], ["6019"]),
        (["0001"], ["2001 01020101"]),
        (["0107"], ["2107 37"]),
        (["005F 05000400"], ["205F 01"]),
        (["005F 05000400", "0107"], ["2107 0105000400"]),
        (["005F 05000400", "0001"], ["2001 01030101"]),
        (["005F 05001200"], ["205F 04"]),
        (["005F 04000400"], ["205F 04"]),
        (["005F 0500"], ["205F 11"]),
        (["006B 00"], ["206B 11"]),
        ([f"0054 {CREDENTIALS}"], ["2054 14"]),
        (["005F 05000400", f"0054 {CREDENTIALS}"], ["2054 01"]),
        (["005F 05000400", f"0054 {CREDENTIALS}", f"0054 {CREDENTIALS}"], ["2054 58"]),
        (["005F 05000400", f"0054 {CREDENTIALS}", "00D9", "0107"], ["2107 37"]),
        (["005F 05000400", f"0054 {CREDENTIALS[2:]}"], ["2054 11"]),
        (["0053"], ["2053 14"]),
        (["005F 03000400", "0053"], ["2053 14"]),
        (["005F 05000400", "0053"], ["2053 51"]),
        (["005F 05000400", f"0054 {CREDENTIALS}", "0053"], ["2053 0E"]),
        (OPENING[:3], [f"2053 010C8A3C{PEER}D5"]),
        ([*OPENING[:3], "0053"], ["2053 34"]),
        ([*OPENING[:3], "005F 05000400"], ["205F 34"]),
        ([*OPENING[:3], "0001"], ["2001 01030201"]),
        ([*OPENING[:3], "0058"], ["2058 01"]),
        (["0058"], ["2058 10"]),
        (["0056"], ["2056 10"]),
        (["0057"], ["2057 10"]),
        ([*OPENING[:3], "0057"], ["2057 53"]),
        (["00D2"], ["20D2 53"]),
        (["0005 0E1A"], ["2005 01"]),
        (["0005 0E1A", "0005 0E1A"], ["2005 0A"]),
        (["0005 0000"], ["2005 04"]),
        ([f"0005 {port:04X}" for port in range(1, 8)], ["2005 12"]),
        (["0005 0E1A", "0005 02CC", "0007"], ["2007 010202CC0E1A"]),
        (["0005 0E1A", "0006 0E1A"], ["2006 01"]),
        (["0006 0E1A"], ["2006 0B"]),
        ([*OPENING[:3], "0056"], ["2056 01", f"6028 01{PEER}"]),
        ([*OPENING, "0056", "0001"], ["2001 01030301"]),
        ([*OPENING, "0056", "00D2"], ["20D2 01", f"6028 01{PEER}"]),
        ([*OPENING, "0056", "0057"], ["2057 01"]),
        ([f"0008 {ADDRESS}0E1A0E1A000E{GET}"], ["2008 10"]),
        ([*OPENING, f"0008 {ADDRESS}0E1A0E1A000E{GET}"], ["2008 02"]),
        ([*OPENING, f"0008 {ADDRESS}0E1A0E1A000F{GET}"], ["2008 11"]),
        (["0051 060003FFF000"], ["2051 14"]),
        (["005F 05000400", "0051 0000000010000000000000000000"], ["2051 04"]),
        (["005F 05000400", "0051 060000000100"], ["2051 04"]),
        (["005F 05000400", "0051 06"], ["2051 11"]),
        ([*OPENING[:3], "0051 060003FFF000"], ["2051 34"]),
        (["005F 05000400", "0051 0600001800010000000000000000"], ["4051 010B", "4051 010C", "2051 01"]),
        (
            ["005F 05000400", f"0051 060000180001{ROUTE_B_ID[-8:].encode().hex()}"],
            ["4051 010B", f"4051 000C01{PEER}8A3CD5", "2051 01"],
        ),
        (["0099"], ["2099 03"]),
    ],
)
async def test_commands(commands: list[str], expected: list[str]) -> None:
    async with client() as (host, _):
        assert await host.do(*commands) == expected


async def test_a_wrong_password_is_told_from_silence() -> None:
    async with client() as (host, sim):
        wrong = f"0054 {(ROUTE_B_ID + 'BAD456789ABC').encode().hex()}"
        assert (await host.do(OPENING[0], wrong, *OPENING[2:], "0056"))[1] == f"6028 02{PEER}"
        sim.air.is_reachable = False
        assert (await host.do("0056"))[1] == f"6028 03{PEER}"


async def test_a_stranger_is_not_described_to_who_calls_the_own_meter() -> None:
    async with client(scenarios.STRANGERS) as (host, _):
        paired = await host.do("005F 05000400", f"0051 060003FFF001{ROUTE_B_ID[-8:].encode().hex()}")
        assert sum(said.startswith("4051 00") for said in paired) == 1
        everybody = await host.do("0051 060003FFF000")
        assert sum(said.startswith("4051 00") for said in everybody) == 2


@pytest.mark.parametrize(
    ("sending", "answer"),
    [
        (Sending.SENT, "2008 0100"),
        (Sending.ACCEPTED_FIRST, "2008 0110"),
        (Sending.RESOLVED, "2008 0100"),
        (Sending.NOT_SENT, "2008 0105"),
        (Sending.UNRESOLVED, "2008 0105"),
        (Sending.REFUSED, "2008 02"),
        (Sending.SILENT, None),
    ],
)
async def test_how_a_datagram_goes(sending: Sending, answer: str | None) -> None:
    async with client() as (host, sim):
        await host.do(*OPENING, "0056")
        sim.air.sendings.append(sending)
        said = await host.do(f"0008 {ADDRESS}0E1A0E1A000E{GET}")
        first = said.pop(0) if answer else None
        assert first in {answer, None if answer is None else answer + GET[:16]}
        assert len(said) == sending.arrives
        for received in said:
            head = f"6018 {ADDRESS}0E1A0E1A8A3C0002"
            assert received.startswith(head)
            assert received[len(head) + 2 :].startswith("00121081000102880105FF017201E704")


async def test_datagrams_come_to_open_ports_only() -> None:
    async with client() as (host, _):
        await host.do(*OPENING[:3], "0056")
        assert len(await host.do(f"0008 {ADDRESS}0E1A0E1A000E{GET}")) == 1
        assert len(await host.do("0005 0E1A", f"0008 {ADDRESS}0E1A0E1A000E{GET}")) == 2


async def test_what_the_meter_does_to_the_session_is_told() -> None:
    async with client() as (host, sim):
        await host.do(*OPENING, "0056")
        sim.air.restrict()
        assert not await host.heard(), "it says nothing of its airtime"
        sim.air.restrict(False)
        sim.air.expire()
        assert taken_apart(await host.heard()) == [f"601A 04{PEER}D5", f"6028 01{PEER}"]
        sim.air.end_session()
        assert taken_apart(await host.heard()) == [f"601A 04{PEER}D5"]
        assert (await host.do("0057")) == ["2057 53"]


async def test_a_meter_that_ends_the_session_first() -> None:
    async with client() as (host, sim):
        await host.do(*OPENING, "0056")
        sim.receive(frame(0x0057, unique=REQUEST))
        sim.air.end_session()
        assert taken_apart(await host.heard()) == ["2057 01", f"601A 04{PEER}D5"]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"SKVER\r\n", []),
        (b"\xd0\xea\x83" + frame(0x006B, unique=REQUEST), ["206B 01040001030000158A"]),
        (frame(0x006B, unique=REQUEST)[:8] + bytes(4), ["206B F0"]),
        (frame(0x0005, b"\x0e\x1a", unique=REQUEST)[:-1] + b"\0", ["2005 F1"]),
        (frame(0x0008, bytes(LONGEST + 1), unique=REQUEST)[:20], ["2008 F3"]),
        (frame(0x0008, bytes(40), unique=REQUEST)[:20], ["2008 13"]),
        (REQUEST, []),
        (frame(0x006B), []),
        (frame(0x006B, unique=REQUEST) * 2, ["206B 01040001030000158A"] * 2),
    ],
)
async def test_bytes_that_are_no_frame(data: bytes, expected: list[str]) -> None:
    async with client() as (host, _):
        assert taken_apart(await host.exchange(data)) == expected
        assert await host.do("006B") == ["206B 01040001030000158A"]


async def test_a_module_that_scans_is_busy_and_can_be_reset() -> None:
    with simulated_port(scenarios.NORMAL, module="j11", speed=1) as sim:
        async with opened(sim):
            said: list[bytes] = []
            sim.line.host = said.append
            sim.receive(frame(0x005F, bytes.fromhex("05000400"), unique=REQUEST))
            sim.receive(frame(0x0051, bytes.fromhex("060003FFF000"), unique=REQUEST))
            sim.receive(frame(0x006B, unique=REQUEST))
            sim.receive(frame(0x00D9, unique=REQUEST))
            sim.receive(frame(0x006B, unique=REQUEST))
            assert sim.record.commands == ["SET_UP 05000400", "SCAN 060003FFF000", "GET_VERSION", "RESET"]
            assert not said, "it answers nothing after the reset, and is deaf until it has started"


@needs_transcripts
async def test_the_frames_of_an_independent_library() -> None:
    async with client() as (host, sim):
        for line in (TRANSCRIPTS / "j11_vectors.txt").read_text().splitlines():
            if line[:1] not in "<>" or not line:
                continue
            data = bytes.fromhex(line.split()[1])
            code, payload = int.from_bytes(data[4:6]), data[12:]
            if line[0] == "<":
                assert data == frame(code, payload, unique=FROM_MODULE)
                continue
            sim.record.clear()
            said = await host.exchange(data)
            if code == 0x00D9:
                continue
            # Each is understood; an answer that it does not arrive properly would be F0 or above.
            assert taken_apart(said)[0][:4] == f"{code + 0x2000:04X}"
            assert int(taken_apart(said)[0][5:7], 16) < 0xF0
            assert len(sim.record.commands) == 1
