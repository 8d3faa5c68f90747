"""The command line, as a person or a program uses it."""

from argparse import Namespace
import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
import getpass
import itertools
import json
import logging
import os
from pathlib import Path
import re
import shlex
import signal
import sys
from typing import Any

import pytest

from custom_components.broute.aiobroute import __main__ as command_line
from custom_components.broute.aiobroute.cli.commands import COMMANDS
from tests.simulator import scenarios
from tests.simulator.record import LEAVE, SCAN
from tests.simulator.scenarios import PASSWORD, ROUTE_B_ID, Scenario
from tests.simulator.transport import SimulatedPort, simulated_port

from .virtual_time import clock, runner

ROOT = Path(__file__).parents[2]
PAN = "31:8A3C:001C640003D2A1B7"

pytestmark = pytest.mark.usefixtures("each_kind")
once = pytest.mark.parametrize("each_kind", ["bp35c2"], indirect=True)
"""For what the module in the dongle makes no difference to."""


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROUTE_ID", ROUTE_B_ID)
    monkeypatch.setenv("BROUTE_PASSWORD", PASSWORD)


@pytest.fixture(autouse=True)
def at(monkeypatch: pytest.MonkeyPatch) -> dict[float, Callable[[], object]]:
    """Return what happens at which virtual time while a command runs."""
    happenings: dict[float, Callable[[], object]] = {}

    monkeypatch.setattr(asyncio, "run", runner(happenings))
    return happenings


def stop() -> None:
    signal.raise_signal(signal.SIGTERM)


@pytest.fixture
def sim(each_kind: str) -> Iterator[SimulatedPort]:  # noqa: ARG001  # it comes first
    with simulated_port(scenarios.SOLAR, speed=1, clock=clock) as port:
        yield port


def run(sim: SimulatedPort, *arguments: str) -> int:
    return command_line.main([arguments[0], "--port", sim.url, *arguments[1:]])


def rows(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_read(sim: SimulatedPort, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(sim, "read", "--json") == 0
    out = capsys.readouterr().out
    (reading,) = [json.loads(line) for line in out.splitlines()]
    assert {"power", "current_r", "current_t", "energy_in", "energy_out", "coefficient", "unit"} <= set(reading)
    assert reading["unit"] == 0.1
    assert f'"energy_in": {reading["energy_in"]:.1f},' in out
    assert sim.record.opens == sim.record.closes == 1


@once
def test_what_a_library_logs_is_not_printed(
    sim: SimulatedPort,
    at: dict[float, Callable[[], object]],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    at[1.0] = lambda: logging.getLogger("serialx").error("something of its own")
    sim.air.is_reachable = False
    assert run(sim, "read") == 1
    assert "something of its own" not in capsys.readouterr().err


@once
def test_read_without_a_standard_input(sim: SimulatedPort, monkeypatch: pytest.MonkeyPatch) -> None:
    """As behind `<&-`."""
    monkeypatch.setattr(sys, "stdin", None)
    assert run(sim, "read") == 0


def test_read_for_a_person(sim: SimulatedPort, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(sim, "read", "--pan", PAN.lower()) == 0
    captured = capsys.readouterr()
    time, *lines = captured.out.splitlines()
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", time)
    shown = [re.fullmatch(r"(\D+?) +(-?[\d,]+(?:\.\d)?) (.*)", line) for line in lines]
    told = {found[1]: (found[2], found[3]) for found in shown if found}
    assert list(told) == ["Power", "Current R", "Current T", "From the grid", "To the grid", "Signal"]
    assert told["Power"] == (told["Power"][0], "W, feeding into the grid")
    assert told["Power"][0].startswith("-")
    assert told["From the grid"] == ("33,703.6", "kWh")
    assert told["Signal"][1] == "dBm"


@once
def test_no_energy_is_null(capsys: pytest.CaptureFixture[str]) -> None:
    with simulated_port(scenarios.ONE_PHASE, speed=1, clock=clock) as sim:
        assert run(sim, "read", "--json") == 0
        (reading,) = rows(capsys)
        assert run(sim, "read") == 0
        out = capsys.readouterr().out
    assert reading["energy_out"] is reading["counter_out"] is None
    assert reading["current_t"] is None
    assert "From the grid" in out
    assert "To the grid" not in out
    assert "Current T" not in out


@once
def test_a_weak_signal_is_called_weak(capsys: pytest.CaptureFixture[str]) -> None:
    radio = scenarios.NORMAL.radio
    far = replace(scenarios.NORMAL, radio=replace(radio, network=replace(radio.network, lqi=0x30)))
    with simulated_port(far, speed=1, clock=clock) as sim:
        assert run(sim, "scan") == 0
        assert run(sim, "read") == 0
    assert capsys.readouterr().out.count("dBm, weak: move the dongle closer") == 2


def test_scan(each_kind: str, sim: SimulatedPort, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(sim, "scan", "--json") == 0
    (found,) = rows(capsys)
    assert f"{found['channel']}:{found['pan_id']}:{found['mac']}" == PAN
    told = (found["module"], found["firmware"], found["lqi"], found["rssi"])
    assert told == (("BP35C2", "1.5.2", 221, -43.5) if each_kind == "bp35c2" else ("J11", "1.3.158A (0400)", None, -43))
    assert found["pan"] == PAN


@once
def test_what_scan_prints_last_can_be_copied(sim: SimulatedPort, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(sim, "scan") == 0
    *_, last = capsys.readouterr().out.splitlines()
    assert last == f"--pan {PAN}"
    assert run(sim, "read", *last.split(), "--json") == 0
    assert sim.record.count(SCAN) == 1


@once
def test_progress_where_lines_cannot_be_overwritten(sim: SimulatedPort, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(sim, "history", "--days", "12", "--csv") == 0
    assert capsys.readouterr().err.splitlines() == [
        "looking for a Wi-SUN module on the port",
        "looking for the meter, pass 1 of up to 4, 9 s",
        "connecting to the meter",
        "reading the meter",
        "reading day 1 of 12",
        "reading day 11 of 12",
        "reading day 12 of 12",
    ]


@once
@pytest.mark.parametrize("argument", ["--quiet", "-q", "--json"])
def test_no_progress_for_programs(argument: str, sim: SimulatedPort, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(sim, "read", argument) == 0
    assert not capsys.readouterr().err


def pretend_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")


def screen(text: str) -> list[str]:
    """Return each line that was to be seen at some time."""
    return [line.rstrip() for line in re.split(r"\r\x1b\[K|\n", text) if line]


@once
def test_progress_for_a_terminal(
    sim: SimulatedPort, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend_terminal(monkeypatch)
    assert run(sim, "history", "--json") == 0
    err = capsys.readouterr().err
    seen = screen(err)
    assert seen[0] == "looking for a Wi-SUN module on the port"
    assert f"|{'':20}| looking for the meter, pass 1 of up to 4, 0 of 9 s" in seen
    assert any(line.startswith(f"|{'█' * 10}") for line in seen), "the scan is half done"
    assert any(re.fullmatch(r"connecting to the meter, \d s", line) for line in seen)
    assert f"|{'':20}| reading day 1 of 1" in seen
    assert "\n" not in err
    assert err.endswith("\r\x1b[K"), "nothing is left of it"
    assert max(map(len, seen)) < 80


@once
def test_progress_in_a_narrow_terminal(
    sim: SimulatedPort, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend_terminal(monkeypatch)
    monkeypatch.setenv("COLUMNS", "40")
    assert run(sim, "read") == 0
    assert max(map(len, screen(capsys.readouterr().err))) == 39, "more would begin a line that stays"


@once
def test_progress_is_not_mixed_with_what_is_logged(
    sim: SimulatedPort, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend_terminal(monkeypatch)
    assert run(sim, "read", "--debug") == 0
    assert "\r" not in capsys.readouterr().err


@once
def test_quiet_on_a_terminal(
    sim: SimulatedPort, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend_terminal(monkeypatch)
    assert run(sim, "history", "--quiet") == 0
    assert not capsys.readouterr().err


def test_watch_reads_until_it_is_told_to_stop(
    sim: SimulatedPort, capsys: pytest.CaptureFixture[str], at: dict[float, Callable[[], object]]
) -> None:
    at[63] = stop
    assert run(sim, "watch", "--json", "--interval", "10", "--pan", PAN) == 0
    captured = capsys.readouterr()
    assert len(captured.out.splitlines()) == 6
    assert "stopped" in captured.err
    assert sim.record.count(LEAVE) == 1
    assert sim.record.opens == sim.record.closes == 1


@pytest.mark.parametrize("told", [25, 40], ids=["between two readings", "while it asks"])
def test_watch_is_told_to_stop_while_the_module_is_silent(
    sim: SimulatedPort, capsys: pytest.CaptureFixture[str], at: dict[float, Callable[[], object]], told: float
) -> None:
    late: list[str] = []
    at[20] = lambda: setattr(sim.line, "is_mute", True)
    at[told] = stop
    at[told + 3] = lambda: late.append("it still runs after three seconds")
    run(sim, "watch", "--json", "--interval", "30", "--pan", PAN)
    assert late == []
    assert "stopped" in capsys.readouterr().err
    assert sim.record.opens == sim.record.closes == 1


def test_watch_connects_again_by_itself(
    each_kind: str, sim: SimulatedPort, capsys: pytest.CaptureFixture[str], at: dict[float, Callable[[], object]]
) -> None:
    at |= {30: sim.air.end_session, 50: sim.unplug, 80: sim.plug, 120: stop}
    assert run(sim, "watch", "--json", "--interval", "10") == 0
    captured = capsys.readouterr()
    # A J11 module cannot tell that end from one of the lifetime, and authenticates again at once.
    assert ("the meter ended the session; trying again in 10 s" in captured.err) == (each_kind == "bp35c2")
    assert "does not exist; trying again" in captured.err
    assert len(captured.out.splitlines()) >= 6
    assert sim.record.count(SCAN) == 1


def test_watch_does_not_insist_on_a_wrong_password(
    sim: SimulatedPort, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BROUTE_PASSWORD", "BAD456789ABC")
    assert run(sim, "watch", "--quiet") == 1
    assert capsys.readouterr().err == "aiobroute: the meter refused the Route B ID or password\n"


def test_watch_tells_what_the_meter_announces(
    sim: SimulatedPort, capsys: pytest.CaptureFixture[str], at: dict[float, Callable[[], object]]
) -> None:
    at[1500] = stop
    assert run(sim, "watch", "--json", "--interval", "3600") == 0
    announced = {row["announced"]: row["value"] for row in rows(capsys) if "announced" in row}
    assert set(announced) == {"EA", "EB"}
    assert announced["EA"]["time"] == "2026-11-23T14:30:00+09:00"
    assert announced["EA"]["counter"] == pytest.approx(33703, abs=2)


@once
def test_watch_for_a_person(
    sim: SimulatedPort, capsys: pytest.CaptureFixture[str], at: dict[float, Callable[[], object]]
) -> None:
    at[40] = lambda: sim.meter.device.refuse(0xE3, answers=2)
    at[1500] = stop
    assert run(sim, "watch", "--interval", "600") == 0
    captured = capsys.readouterr()
    head, *lines = captured.out.splitlines()
    assert head.split("  ")[0] == "Time"
    readings = [line for line in lines if "announced" not in line]
    assert len(readings) == 3
    assert {len(line) for line in (head, *readings)} == {max(map(len, lines[:1]))}, "they are below each other"
    assert re.search(
        r" -[\d,]+ W  +-[\d.]+ A  +-[\d.]+ A +33,70\d\.\d kWh +17,\d\d\d\.\d kWh +-\d+\.\d dBm$", readings[0]
    )
    assert "refused" in readings[1]
    assert re.search(
        r"announced: EA \(energy at fixed time, from the grid\): 33,70\d\.\d kWh at 2026-11-23 14:30$",
        next(line for line in lines if "announced: EA" in line),
    )
    assert "the meter refuses at present: E3 (cumulative energy, to the grid)\n" in captured.err


@once
def test_watch_tells_of_something_unknown(
    sim: SimulatedPort, capsys: pytest.CaptureFixture[str], at: dict[float, Callable[[], object]]
) -> None:
    sim.meter.device.registers[0xF0] = lambda: b"\x07"
    at[100] = lambda: sim.meter.device.on_change(0xF0)
    at[200] = stop
    assert run(sim, "watch", "--interval", "3600") == 0
    assert "announced: F0 (unknown property): 07\n" in capsys.readouterr().out


def test_properties(sim: SimulatedPort, capsys: pytest.CaptureFixture[str]) -> None:
    sim.meter.device.registers[0xF0] = lambda: b"\x07"
    sim.meter.device.values[0x89] = b""
    assert run(sim, "properties", "--json") == 1
    captured = capsys.readouterr()
    assert captured.err == "aiobroute: the meter refuses at present: 89 (fault content)\n"
    found = {row["code"]: row for row in map(json.loads, captured.out.splitlines())}
    assert found["E7"]["unit"] == "W"
    assert found["E5"]["settable"]
    assert found["89"]["refused"]
    assert found["EA"]["value"]["time"] == "2026-11-23T14:00:00+09:00"
    assert found["E0"]["value"] == pytest.approx(33703, abs=2)
    assert len(found["E2"]["value"]["counters"]) == 48
    assert found["9E"]["value"] == ["81", "E5", "ED"]
    assert found["97"]["value"] == "14:07:00"
    assert found["E8"]["value"][0] is not None


@once
def test_properties_in_words(sim: SimulatedPort, capsys: pytest.CaptureFixture[str]) -> None:
    sim.meter.device.values[0x89] = b""
    assert run(sim, "properties") == 1
    captured = capsys.readouterr()
    assert re.findall(r"reading property (\d+) of 28", captured.err) == ["1", "11", "21", "28"]
    lines = captured.out.splitlines()
    begin = lines[0].rindex("on")
    assert {line[begin - 1] for line in lines} == {" "}, "they are below each other"
    assert " " not in {line[begin] for line in lines}
    told = {line[:2]: line[begin:] for line in lines}
    assert told["80"] == "on"
    assert told["81"] == "not set (can be set)"
    assert told["88"] == "no fault"
    assert told["89"] == "refused at present"
    assert told["8A"] == "Toshiba"
    assert told["97"] == "14:07"
    assert told["98"] == "2026-11-23"
    assert told["9E"] == "3 properties"
    assert told["D3"] == "1"
    assert told["D7"] == "6 digits"
    assert told["E1"] == "0.1 kWh"
    assert told["E2"] == "today: 29 of 48 half-hours"
    assert re.fullmatch(r"-\d,\d{3} W|-\d{1,3} W", told["E7"])
    assert re.fullmatch(r"R -\d+\.\d A, T -\d+\.\d A", told["E8"])
    assert re.fullmatch(r"33,70\d\.\d kWh at 2026-11-23 14:00", told["EA"])
    assert told["ED"] == "no time chosen (can be set)"
    assert not re.search(r"None|Decimal|datetime|[\[{(']{1}\d|frozenset", captured.out)


@once
def test_properties_of_a_second_generation_meter(capsys: pytest.CaptureFixture[str]) -> None:
    with simulated_port(scenarios.SECOND_GENERATION, speed=1, clock=clock) as sim:
        assert run(sim, "properties", "--json") == 0
    found = {row["code"]: row for row in rows(capsys)}
    assert found["D0"]["value"]["time"] == "2026-11-23T14:08:00+09:00"
    assert found["EE"]["value"]["counters"][0]["counter_in"] is not None
    assert found["EF"]["value"]["length"] == 10


def test_history_in_order_of_time(sim: SimulatedPort, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(sim, "history", "--days", "2", "--json") == 0
    history = rows(capsys)
    assert [row["start"] for row in history] == sorted(row["start"] for row in history)
    assert history[0]["start"] == "2026-11-22T00:00:00+09:00"
    assert len(history) == 48 + 29


@once
def test_history_of_one_day_as_csv(sim: SimulatedPort, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(sim, "history", "--date", "2026-11-20", "--csv") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "start,counter_in,counter_out"
    assert lines[1].startswith("2026-11-20T00:00:00+09:00,")
    assert len(lines) == 49


def csv(sim: SimulatedPort, capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, list[str]]:
    """Return the cells of each start, and its head as that of an empty one."""
    assert run(sim, "history", "--csv", *arguments) == 0
    return {start: cells for start, *cells in (line.split(",") for line in capsys.readouterr().out.splitlines())}


@once
def test_differences_are_those_of_the_counters(sim: SimulatedPort, capsys: pytest.CaptureFixture[str]) -> None:
    energies = csv(sim, capsys, "--date", "2026-11-21", "--differences")
    counters = csv(sim, capsys, "--days", "3")
    assert energies.pop("start") == ["energy_in", "energy_out"]
    assert counters.pop("start") == ["counter_in", "counter_out"]
    starts = list(counters)
    assert list(energies) == starts[:48], "the last half-hour ends at the next midnight"
    for start, following in itertools.pairwise(starts[:49]):
        for energy, before, after in zip(energies[start], counters[start], counters[following], strict=True):
            assert Decimal(energy) == Decimal(after) - Decimal(before)
    assert any(Decimal(energy) > 0 for energy, _ in energies.values())


@once
def test_the_running_half_hour_has_no_difference(sim: SimulatedPort, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(sim, "history", "--differences", "--json") == 0
    energies = rows(capsys)
    assert energies[-1]["start"] == "2026-11-23T13:30:00+09:00", "that of 14:00 is not over"
    assert len(energies) == 28
    assert set(energies[0]) == {"start", "energy_in", "energy_out"}


@once
def test_differences_of_a_counter_that_begins_anew(sim: SimulatedPort, capsys: pytest.CaptureFixture[str]) -> None:
    told = sim.meter.device.registers[0xE2]
    sim.meter.device.registers[0xE2] = lambda: (
        told()[:2] + b"".join((value % 1_000_000).to_bytes(4) for value in range(999_998, 1_000_046))
    )
    energies = csv(sim, capsys, "--date", "2026-11-21", "--differences")
    assert [energy for energy, _ in list(energies.values())[1:-1]] == ["0.1"] * 47


@once
def test_differences_need_both_counters(sim: SimulatedPort, capsys: pytest.CaptureFixture[str]) -> None:
    told = sim.meter.device.registers[0xE2]
    sim.meter.device.registers[0xE2] = lambda: told()[:22] + b"\xff\xff\xff\xfe" + told()[26:]
    assert run(sim, "history", "--date", "2026-11-21", "--differences", "--json") == 0
    energies = rows(capsys)
    assert [row["start"][11:16] for row in energies if row["energy_in"] is None] == ["02:00", "02:30"]
    assert None not in {row["energy_out"] for row in energies}
    assert run(sim, "history", "--date", "2026-11-21") == 0
    assert re.search(
        r"^2026-11-21  \S+ kWh from the grid \(46 of 48 half-hours\), ", capsys.readouterr().out, re.MULTILINE
    )


@once
def test_a_counter_that_goes_back_has_no_difference(capsys: pytest.CaptureFixture[str]) -> None:
    settings = replace(scenarios.NORMAL, meter=replace(scenarios.NORMAL.meter, values={0xD7: ""}))
    with simulated_port(settings, speed=1, clock=clock) as sim:
        told = sim.meter.device.registers[0xE2]
        sim.meter.device.registers[0xE2] = lambda: told()[:22] + bytes(4) + told()[26:]
        assert run(sim, "history", "--date", "2026-11-21", "--differences", "--json") == 0
        energies = rows(capsys)
    assert [row["start"][11:16] for row in energies if row["energy_in"] is None] == ["02:00"]


@once
def test_the_last_half_hour_of_a_day_can_be_missing(sim: SimulatedPort, capsys: pytest.CaptureFixture[str]) -> None:
    write = sim.meter.device.write
    sim.meter.device.write = (  # type: ignore[method-assign]
        lambda epc, edt: write(epc, edt) if edt[0] != 2 else False
    )
    assert run(sim, "history", "--date", "2026-11-20", "--differences", "--csv") == 1
    captured = capsys.readouterr()
    assert captured.out.splitlines()[-1] == "2026-11-20T23:30:00+09:00,,"
    assert "aiobroute: 2026-11-20, last half-hour from the grid: the meter would not set E5" in captured.err


@once
def test_the_last_half_hour_of_a_day_can_be_lost(sim: SimulatedPort, capsys: pytest.CaptureFixture[str]) -> None:
    write = sim.meter.device.write

    def break_off(epc: int, edt: bytes) -> bool:
        if edt[0] == 2:
            sim.air.end_session()
        return write(epc, edt)

    sim.meter.device.write = break_off  # type: ignore[method-assign]
    assert run(sim, "history", "--date", "2026-11-20", "--differences", "--csv") == 1
    captured = capsys.readouterr()
    assert len(captured.out.splitlines()) == 49
    assert "aiobroute: 2026-11-20, last half-hour: the meter ended the session" in captured.err


@once
def test_history_for_a_person(sim: SimulatedPort, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(sim, "history", "--days", "2") == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert re.split("  +", head) == ["Time", "Counter", "From the grid", "Counter", "To the grid"]
    assert [line for line in lines if not re.match(r"\d\d:", line)][::2] == ["", ""]
    sums = [line for line in lines if line.startswith("2026")]
    assert [line[:10] for line in sums] == ["2026-11-22", "2026-11-23"]
    assert re.fullmatch(r"2026-11-22  \d+\.\d kWh from the grid, \d+\.\d kWh to the grid", sums[0])
    half_hours = [line.split() for line in lines if re.match(r"\d\d:", line)]
    assert len(half_hours) == 48 + 29
    energies = [Decimal(cells[2]) for cells in half_hours[:48]]
    assert Decimal(sums[0].split()[1]) == sum(energies)
    assert len(half_hours[-1]) == 3, "what is not over has counters only"
    assert "██████████" in " ".join(lines)
    assert max(map(len, lines)) < 80, "as wide as a terminal"


@once
def test_history_for_a_person_without_what_is_sold(capsys: pytest.CaptureFixture[str]) -> None:
    with simulated_port(scenarios.NORMAL, speed=1, clock=clock) as sim:
        assert run(sim, "history", "--differences") == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert re.split("  +", head) == ["Time", "From the grid"]
    assert lines[-1].startswith("13:30"), "what is not over has no difference"


@once
def test_days_before_the_first_that_is_known_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    with simulated_port(scenarios.SHORT_HISTORY, speed=1, clock=clock) as sim:
        energies = csv(sim, capsys, "--days", "20", "--differences")
        counters = csv(sim, capsys, "--days", "20")
    assert list(energies)[1] == "2026-11-10T00:00:00+09:00"
    assert len(energies) == 1 + 13 * 48 + 28
    assert list(counters) == [*energies, "2026-11-23T14:00:00+09:00"]


@once
def test_a_history_that_is_given_up(
    sim: SimulatedPort, capsys: pytest.CaptureFixture[str], at: dict[float, Callable[[], object]]
) -> None:
    at[60] = stop
    assert run(sim, "history", "--days", "99", "--csv") == 0
    captured = capsys.readouterr()
    assert captured.err.splitlines()[-1] == "stopped"
    assert len(captured.out.splitlines()) > 48, "what was read by then"


@once
def test_days_that_are_refused_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    with simulated_port(scenarios.NORMAL, speed=1, clock=clock) as sim:
        write = sim.meter.device.write
        sim.meter.device.write = (  # type: ignore[method-assign]
            lambda epc, edt: write(epc, edt) if edt[0] < 2 else False
        )
        assert run(sim, "history", "--days", "4", "--csv") == 1
        captured = capsys.readouterr()
        lines = captured.out.splitlines()
        assert lines[1].startswith("2026-11-22T00:00:00+09:00,")
        assert lines[1].endswith(",")
        assert captured.err.splitlines()[-1] == (
            "aiobroute: 2026-11-20 to 2026-11-21, from the grid: the meter would not set E5 (day of history 1)"
        )
        assert run(sim, "history", "--date", "2026-11-20") == 1
        assert "the meter has no values for this time" in capsys.readouterr().out
        assert run(sim, "history", "--date", "2025-11-20") == 1
        assert "aiobroute: 2025-11-20: the meter remembers 99 days\n" in capsys.readouterr().err
        assert run(sim, "history", "--date", "2026-11-24") == 1
        assert "aiobroute: 2026-11-24: that day has not begun yet\n" in capsys.readouterr().err


@once
@pytest.mark.parametrize("code", [0xE2, 0xE4, 0xE5, 0x97])
def test_a_refusal_that_passes_leaves_no_day_out(
    code: int, sim: SimulatedPort, capsys: pytest.CaptureFixture[str]
) -> None:
    sim.meter.device.refuse(code, answers=1)
    assert run(sim, "history", "--days", "5", "--csv", "--quiet") == 0
    captured = capsys.readouterr()
    assert len(captured.out.splitlines()) == 1 + 4 * 48 + 29
    assert not captured.err


@once
@pytest.mark.parametrize("second", [8, 17])
@pytest.mark.parametrize("code", [0xE2, 0xE4, 0xE5])
def test_a_refusal_that_lasts_for_a_while_costs_one_day(
    code: int,
    second: float,
    sim: SimulatedPort,
    capsys: pytest.CaptureFixture[str],
    at: dict[float, Callable[[], object]],
) -> None:
    at[second] = lambda: sim.meter.device.refuse(code, time=timedelta(seconds=15))
    assert run(sim, "history", "--days", "5", "--csv", "--pan", PAN) == 1
    (line,) = (line for line in capsys.readouterr().err.splitlines() if line.startswith("aiobroute: "))
    assert len(set(re.findall(r"\d{4}-\d\d-\d\d", line))) == 1


@once
@pytest.mark.parametrize("code", [0xE1, 0xD3])
def test_a_history_without_what_makes_energies_of_counts_is_none(code: int, capsys: pytest.CaptureFixture[str]) -> None:
    meter = replace(scenarios.SOLAR.meter, coefficient=20)
    with simulated_port(replace(scenarios.SOLAR, meter=meter), speed=1, clock=clock) as sim:
        sim.meter.device.refuse(code, answers=4)
        assert run(sim, "history", "--csv", "--pan", PAN) == 0
        lines = capsys.readouterr().out.splitlines()
        assert len(lines) == 1 + 29
        assert lines[-1].split(",")[1] == f"{sim.meter.energy_in(clock().replace(minute=0, second=0)):f}"
        sim.meter.device.refuse(code)
        assert run(sim, "history", "--days", "2", "--csv", "--pan", PAN) == 1
        captured = capsys.readouterr()
        assert len(captured.out.splitlines()) == 1
        assert captured.err.count("the meter does not tell the unit or the coefficient of its counters") == 2
        assert captured.err.count("2026-11-22 to 2026-11-23, ") == 2


@once
@pytest.mark.parametrize(("scenario", "status"), [(scenarios.NO_MAP, 0), (scenarios.NO_UNIT, 1)])
def test_the_history_of_a_meter_that_never_tells_all_of_itself(
    scenario: Scenario, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    meter = replace(scenario.meter, solar=True)
    with simulated_port(replace(scenario, meter=meter), speed=1, clock=clock) as sim:
        assert run(sim, "history", "--csv", "--pan", PAN) == status
        assert len(capsys.readouterr().out.splitlines()) == (1 if status else 1 + 29)
        assert run(sim, "read", "--pan", PAN) == 1


@once
@pytest.mark.parametrize(("code", "answers"), [(0xE1, 3), (0xD3, 3), (0x9E, 2)])
def test_a_property_that_is_shown_without_what_belongs_to_it_is_named(
    code: int, answers: int, capsys: pytest.CaptureFixture[str]
) -> None:
    meter = replace(scenarios.SOLAR.meter, coefficient=20)
    with simulated_port(replace(scenarios.SOLAR, meter=meter), speed=1, clock=clock) as sim:
        sim.meter.device.refuse(code, answers=answers)
        status = run(sim, "properties", "--json", "--pan", PAN)
    captured = capsys.readouterr()
    found = {row["code"]: row for row in map(json.loads, captured.out.splitlines())}
    # Without a map, nobody knows whether there is more than what is shown.
    lacks = found["E0"]["value"] is None or code == 0x9E
    assert (status, f"{code:02X}" in captured.err) == (lacks, lacks)


@once
@pytest.mark.parametrize(("at_second", "is_read"), [(40, True), (17, False), (19, False)])
def test_a_history_that_breaks_off(
    at_second: float,
    sim: SimulatedPort,
    capsys: pytest.CaptureFixture[str],
    at: dict[float, Callable[[], object]],
    *,
    is_read: bool,
) -> None:
    at[at_second] = sim.air.end_session
    assert run(sim, "history", "--days", "99", "--csv") == 1
    captured = capsys.readouterr()
    assert (len(captured.out.splitlines()) > 48) == is_read
    assert "the meter ended the session" in captured.err
    assert ("and what is older" in captured.err) == is_read


@once
def test_another_controller_that_never_ends(capsys: pytest.CaptureFixture[str]) -> None:
    busy = replace(scenarios.RIVAL, meter=replace(scenarios.RIVAL.meter, rival_turns=99))
    with simulated_port(busy, speed=1, clock=clock) as sim:
        assert run(sim, "history", "--days", "4", "--csv") == 1
    captured = capsys.readouterr()
    assert "2026-11-23: day 0 could not be read undisturbed" in captured.err
    assert len(captured.out.splitlines()) == 1 + 48, "the day that the other one wants, too"


@once
@pytest.mark.parametrize(
    ("codes", "said"),
    [
        ((0xE0,), "aiobroute: the meter refuses at present: E0 (cumulative energy, from the grid)\n"),
        ((0xE1,), "aiobroute: the meter refuses at present: E1 (unit of cumulative energy)\n"),
        (
            (0xE7, 0xE8, 0xE0, 0xE3),
            "aiobroute: the meter answers, but refuses to tell anything at present\n",
        ),
    ],
)
def test_a_reading_that_lacks_something(
    codes: tuple[int, ...], said: str, sim: SimulatedPort, capsys: pytest.CaptureFixture[str]
) -> None:
    sim.meter.device.refuse(*codes)
    assert run(sim, "read", "--json") == 1
    captured = capsys.readouterr()
    assert captured.err == said
    assert len(captured.out.splitlines()) == (len(codes) == 1)


@once
def test_watch_goes_on_while_the_meter_refuses(
    sim: SimulatedPort, capsys: pytest.CaptureFixture[str], at: dict[float, Callable[[], object]]
) -> None:
    at[30] = lambda: sim.meter.device.refuse(0xE7, 0xE8, 0xE0, 0xE3, time=timedelta(seconds=25))
    at[70] = lambda: sim.meter.device.refuse(0xE3, answers=2)
    at[100] = stop
    assert run(sim, "watch", "--json", "--interval", "10", "--pan", PAN) == 0
    captured = capsys.readouterr()
    assert "the meter answers, but refuses to tell anything at present\n" in captured.err
    assert "the meter refuses at present: E3 (cumulative energy, to the grid)\n" in captured.err
    assert sim.record.opens == 1
    assert json.loads(captured.out.splitlines()[-1])["energy_out"] is not None


@once
def test_properties_of_a_meter_without_a_map(capsys: pytest.CaptureFixture[str]) -> None:
    with simulated_port(scenarios.NO_MAP, speed=1, clock=clock) as sim:
        assert run(sim, "properties") == 1
    assert "the list of its properties" in capsys.readouterr().err


@once
def test_somebody_who_has_seen_enough(sim: SimulatedPort, monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w") as out:  # noqa: PTH123  # no path, but a pipe
        monkeypatch.setattr(sys, "stdout", out)
        assert run(sim, "history", "--csv", "--pan", PAN) == 0
    assert sim.record.opens == sim.record.closes == 1


def test_set_installation_location(sim: SimulatedPort, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(sim, "set", "installation-location", "08") == 0
    assert sim.meter.device.read(0x81) == b"\x08"
    assert capsys.readouterr().out == "The installation location is now 08: living room.\n"
    assert run(sim, "set", "installation-location", "09", "--json") == 0
    assert sim.meter.device.read(0x81) == b"\x09"
    assert not capsys.readouterr().out


@once
def test_an_error_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with simulated_port(scenarios.NO_METER, speed=1, clock=clock) as sim:
        assert run(sim, "read", "--quiet") == 1
    assert capsys.readouterr().err == "aiobroute: no meter answers to this Route B ID\n"


@once
def test_the_password_is_asked_for(sim: SimulatedPort, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BROUTE_PASSWORD")
    monkeypatch.setattr(getpass, "getpass", lambda _: PASSWORD)
    assert run(sim, "read", "--id", "0123 4567 89ab cdef 0123 4567 89ab cdef", "--debug") == 0


@once
def test_what_a_letter_prints_is_understood(sim: SimulatedPort, monkeypatch: pytest.MonkeyPatch) -> None:
    full_width = {ord(each): ord(each) + 0xFEE0 for each in "0123456789ABCDEFabcdef"}
    monkeypatch.setenv("BROUTE_PASSWORD", f"{PASSWORD[:4]} {PASSWORD[4:]}".translate(full_width))
    route_b_id = "-".join(ROUTE_B_ID.lower()[place : place + 4] for place in range(0, 32, 4))
    assert run(sim, "read", "--id", route_b_id.translate(full_width)) == 0


@once
def test_a_password_that_nobody_can_type(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def nobody(_: str) -> str:
        raise EOFError

    monkeypatch.delenv("BROUTE_PASSWORD")
    monkeypatch.setattr(getpass, "getpass", nobody)
    with pytest.raises(SystemExit):
        command_line.main(["read", "--port", "x"])
    assert capsys.readouterr().err.endswith("aiobroute: error: no Route B password: set BROUTE_PASSWORD\n")


@once
def test_a_password_that_somebody_does_not_want_to_type(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(_: str) -> str:
        raise KeyboardInterrupt

    monkeypatch.delenv("BROUTE_PASSWORD")
    monkeypatch.setattr(getpass, "getpass", interrupt)
    assert command_line.main(["read", "--port", "x"]) == 0
    assert capsys.readouterr().err == "stopped\n"


@once
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["read"], "required: --port"),
        (
            ["read", "--port", "x", "--id", "12"],
            "--id: a Route B ID has 32 characters, each a digit or a letter from A",
        ),
        (["read", "--port", "x", "--id", ""], "error: no Route B ID: give --id ID, or set BROUTE_ID"),
        (["read", "--port", "x", "--pan", "31"], "--pan: a PAN looks like 31:8A3C:001C640003D2A1B7"),
        (["watch", "--port", "x", "--interval", "0"], "an interval is a number of seconds between 1 and 86400"),
        (["watch", "--port", "x", "--interval", "often"], "an interval is a number of seconds between 1 and 86400"),
        (["watch", "--port", "x", "--interval", "nan"], "an interval is a number of seconds between 1 and 86400"),
        (["history", "--port", "x", "--days", "101"], "the meter remembers 99 days besides today"),
        (["history", "--port", "x", "--days", "0"], "the meter remembers 99 days besides today"),
        (["history", "--port", "x", "--days", "all"], "the meter remembers 99 days besides today"),
        (["history", "--port", "x", "--date", "23.11.2026"], "a day looks like 2026-11-23, not 23.11.2026"),
        (["history", "--port", "x", "--date", "2026-11-31"], "a day looks like 2026-11-23, not 2026-11-31"),
        (["history", "--port", "x", "--csv", "--json"], "choose --csv or --json"),
        (["set", "--port", "x", "installation-location", "999"], "one byte has two hexadecimal digits, such as 08"),
        ([], "required: COMMAND"),
    ],
)
def test_wrong_usage(arguments: Sequence[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        command_line.main(arguments)
    assert caught.value.code == 2
    assert said in capsys.readouterr().err.splitlines()[-1]


@once
def test_an_id_that_nobody_gave(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("BROUTE_ID")
    with pytest.raises(SystemExit) as caught:
        command_line.main(["read", "--port", "x"])
    assert caught.value.code == 2
    assert capsys.readouterr().err.endswith("error: no Route B ID: give --id ID, or set BROUTE_ID\n")


@once
def test_a_password_of_another_length(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("BROUTE_PASSWORD", "short")
    with pytest.raises(SystemExit) as caught:
        command_line.main(["read", "--port", "x"])
    assert caught.value.code == 2
    err = capsys.readouterr().err
    assert "a Route B password has 12 letters and digits (BROUTE_PASSWORD)" in err
    assert "short" not in err


@once
def test_the_password_is_no_argument(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command_line.main(["read", "--port", "x", "--password", PASSWORD])
    assert "unrecognized arguments" in capsys.readouterr().err


@once
def test_the_commands_of_the_pages_are_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    async def take(options: Namespace) -> None:
        asked.append(options)

    for name in COMMANDS:
        monkeypatch.setitem(COMMANDS, name, take)
    pages = [ROOT / name for name in ("README.md", "README.ja.md", "docs/command-line.md")]
    text = "\n".join(page.read_text() for page in pages)
    lines = re.findall(r"^(?:\$ )?python -m aiobroute ([a-z].*)$", text, re.MULTILINE)
    for line in lines:
        assert command_line.main(shlex.split(line, comments=True)) == 0
    assert len(asked) == len(lines) > 9


@once
def test_the_names_on_the_page_are_those_of_the_output(sim: SimulatedPort, capsys: pytest.CaptureFixture[str]) -> None:
    page = (ROOT / "docs" / "command-line.md").read_text()
    for command in ("scan", "read", "properties", "history", "history --differences"):
        name, _, option = command.partition(" ")
        assert run(sim, name, "--json", *filter(None, [option])) == 0
        (cell,) = re.findall(rf"^\| `{command}`(?:, `watch`)? \| (.*) \|$", page, re.MULTILINE)
        told = re.findall(r"`(\w+)`", cell)
        assert set(rows(capsys)[0]) == set(told), command
