"""The simulator as a program: terminals, TCP ports, control, signals."""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
import re
import signal

import pytest
import serialx

from tests.simulator import scenarios
from tests.simulator.household import household
from tests.simulator.meter import MeterSettings
from tests.simulator.process import controlled, simulator, started


async def ask(url: str, *commands: str) -> list[str]:
    """Return the last line that comes for each command."""
    reader, writer = await serialx.open_serial_connection(url, baudrate=115_200)
    lines = []
    for command in commands:
        writer.write(command.encode() + b"\r\n")
        echo = (await reader.readuntil(b"\r\n")).decode()
        lines.append(echo)
        while not lines[-1].startswith(("OK", "FAIL")):
            lines[-1] = (await reader.readuntil(b"\r\n")).decode()
    writer.close()
    await writer.wait_closed()
    return [line.strip() for line in lines]


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
async def test_a_terminal(tmp_path: Path, end: signal.Signals) -> None:
    link = tmp_path / "dongle"
    async with simulator("--pty", str(link), "--speed", "50", end=end) as ready:
        assert ready["port"] == str(link)
        assert ready["host"] is None
        # A dongle keeps what it was told between two hosts.
        assert await ask(str(link), "SKSREG SFE 0") == ["OK"]
        reader, writer = await serialx.open_serial_connection(str(link), baudrate=115_200)
        writer.write(b"SKVER\r\n")
        assert await reader.readuntil(b"OK\r\n") == b"EVER 1.5.2\r\nOK\r\n"
        with pytest.raises(OSError, match="locked"):
            await serialx.open_serial_connection(str(link), baudrate=115_200)
        writer.close()
        await writer.wait_closed()
    assert not link.is_symlink()


async def test_a_terminal_of_another_speed_is_silent(tmp_path: Path) -> None:
    link = tmp_path / "dongle"
    async with simulator("--pty", str(link), "--speed", "50"):
        reader, writer = await serialx.open_serial_connection(str(link), baudrate=9600)
        writer.write(b"SKVER\r\n")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(1), 0.3)
        writer.close()
        await writer.wait_closed()
        assert await ask(str(link), "SKVER") == ["OK"]


async def test_an_old_link_is_replaced(tmp_path: Path) -> None:
    link = tmp_path / "dongle"
    link.symlink_to("/dev/null")
    async with simulator("--pty", str(link), "--speed", "50"):
        assert await ask(str(link), "SKVER") == ["OK"]


@pytest.mark.usefixtures("socket_enabled")
async def test_a_tcp_port() -> None:
    async with simulator("--listen", "127.0.0.1:0", "--speed", "50", "--module", "bp35a1") as ready:
        url = ready["port"]
        assert re.fullmatch(r"socket://127\.0\.0\.1:\d+", url)
        assert await ask(url, "SKSREG SFE 0") == ["OK"]
        reader, writer = await serialx.open_serial_connection(url, baudrate=115_200)
        writer.write(b"SKVER\r\n")
        assert await reader.readuntil(b"OK\r\n") == b"EVER 1.2.10\r\nOK\r\n"
        second, second_writer = await serialx.open_serial_connection(url, baudrate=115_200)
        with suppress(ConnectionResetError):
            assert await second.read() == b""
        second_writer.close()
        writer.write(b"SKVER\r\n")
        assert await reader.readuntil(b"OK\r\n")
        writer.close()
        await writer.wait_closed()


@pytest.mark.usefixtures("socket_enabled")
async def test_control(tmp_path: Path) -> None:
    link = tmp_path / "dongle"
    arguments = ["--pty", str(link), "--control", "127.0.0.1:0", "--scenario", "solar", "--speed", "50", "--seed", "7"]
    async with simulator(*arguments, "--clock-offset", "-90") as ready, controlled(ready) as control:
        await ask(str(link), "SKSETPWD C " + scenarios.PASSWORD, "SKSAVE")
        record = await control.do("record")
        assert record["commands"] == ["SKSETPWD C " + scenarios.PASSWORD, "SKSAVE"]
        assert record["flash_writes"] == ["SKSAVE"]
        assert record["opens"] == 1
        counters = await control.do("counters")
        assert Decimal(counters["energy_in"]) > 1000
        assert Decimal(counters["energy_out"]) > 100
        assert (await control.do("counters", at="2026-11-23T00:00:00+09:00"))["energy_in"]
        orders = ["session_drop", "session_end", "expire", "mute", "reachable", "hang", "exchange", "fault", "restrict"]
        for order in [*orders, "clear"]:
            assert await control.do(order) == {"ok": True}
        assert await control.do("inject", hex="0D0A") == {"ok": True}
        assert (await control.do("record"))["commands"] == []
        assert not (await control.do("nonsense"))["ok"]
        assert not (await control.say("{"))["ok"]
        assert not (await control.say("7"))["ok"]


@pytest.mark.usefixtures("socket_enabled")
async def test_the_radio_may_become_quicker(tmp_path: Path) -> None:
    """What is under way goes on at the new speed, without a jump."""
    arguments = ("--pty", str(tmp_path / "dongle"), "--control", "127.0.0.1:0", "--speed", "0.001")
    async with simulator(*arguments) as ready, controlled(ready) as control:
        slow = asyncio.ensure_future(ask(str(tmp_path / "dongle"), "SKVER"))
        assert not (await asyncio.wait([slow], timeout=0.3))[0]
        await control.do("speed", times=1000)
        assert await slow == ["OK"]


@pytest.mark.usefixtures("socket_enabled")
async def test_a_household_in_another_part_of_its_day(tmp_path: Path) -> None:
    """Its power is that of the shifted time, and the meter's clock is right all the same."""
    house = household(MeterSettings().seed, solar=True)
    shift, now = timedelta(hours=7), datetime.now(UTC)
    arguments = ("--pty", str(tmp_path / "dongle"), "--control", "127.0.0.1:0", "--scenario", "SOLAR")
    shifted = ("--time-shift", str(shift.total_seconds()))
    async with simulator(*arguments, *shifted) as ready, controlled(ready) as control:
        answer = await control.do("counters")
        told = datetime.fromisoformat(answer["time"])
        assert timedelta() <= told - now - shift < timedelta(minutes=1)
        assert answer["power"] == house.power(told)


@pytest.mark.usefixtures("socket_enabled")
async def test_a_dongle_is_unplugged_and_plugged_in_again(tmp_path: Path) -> None:
    link = tmp_path / "dongle"
    arguments = ["--pty", str(link), "--control", "127.0.0.1:0", "--speed", "50"]
    async with simulator(*arguments) as ready, controlled(ready) as control:
        reader, writer = await serialx.open_serial_connection(str(link), baudrate=115_200)
        while not (await control.do("record"))["opens"]:
            pass
        await control.do("unplug")
        with pytest.raises(OSError, match="disconnected"):
            await reader.read()
        writer.close()
        with pytest.raises(FileNotFoundError):
            await serialx.open_serial_connection(str(link), baudrate=115_200)
        await control.do("plug")
        assert await ask(str(link), "SKVER") == ["OK"]


async def run(*arguments: str) -> tuple[int | None, str, str]:
    process = await started(*arguments)
    output, errors = await process.communicate()
    return process.returncode, output.decode(), errors.decode()


async def test_the_list_of_scenarios() -> None:
    status, output, _ = await run("--list")
    assert status == 0
    assert {line.split("  ")[0]: line.split("  ")[-1].strip() for line in output.splitlines()} == {
        name: scenario.summary for name, scenario in scenarios.SCENARIOS.items()
    }


@pytest.mark.parametrize(
    "arguments", [[], ["--pty", "x", "--listen", "127.0.0.1:0"], ["--pty", "x", "--scenario", "y"]]
)
async def test_a_wrong_command_line(arguments: list[str]) -> None:
    status, _, errors = await run(*arguments)
    assert status == 2
    assert "usage:" in errors
