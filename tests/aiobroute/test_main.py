"""The command line, as a person or a program uses it."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
import getpass
import json
import logging
import os
import signal
import sys
from typing import Any

import pytest

from custom_components.broute.aiobroute import __main__ as command_line
from tests.simulator import scenarios
from tests.simulator.record import LEAVE, SCAN
from tests.simulator.scenarios import PASSWORD, ROUTE_B_ID
from tests.simulator.transport import SimulatedPort, simulated_port

from .virtual_time import VirtualTimeLoop, clock

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

    def run_virtually[T](coroutine: Coroutine[Any, Any, T]) -> T:
        with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
            for when, happening in happenings.items():
                runner.get_loop().call_at(when, happening)
            return runner.run(coroutine)

    monkeypatch.setattr(asyncio, "run", run_virtually)
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
    (line,) = capsys.readouterr().err.splitlines()
    assert "something of its own" not in line


def test_read_for_a_person(sim: SimulatedPort, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(sim, "read", "--pan", PAN.lower()) == 0
    assert "  energy_in 3" in capsys.readouterr().out


@once
def test_no_energy_is_null(capsys: pytest.CaptureFixture[str]) -> None:
    with simulated_port(scenarios.ONE_PHASE, speed=1, clock=clock) as sim:
        assert run(sim, "read", "--json") == 0
        (reading,) = rows(capsys)
    assert reading["energy_out"] is None
    assert reading["current_t"] is None


def test_scan(each_kind: str, sim: SimulatedPort, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(sim, "scan", "--json") == 0
    (found,) = rows(capsys)
    assert f"{found['channel']}:{found['pan_id']}:{found['mac']}" == PAN
    told = (found["module"], found["firmware"], found["lqi"], found["rssi"])
    assert told == (("BP35C2", "1.5.2", 221, -43.5) if each_kind == "bp35c2" else ("J11", "1.3.158A (0400)", None, -43))


def test_progress_for_a_terminal(
    sim: SimulatedPort, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert run(sim, "read") == 0
    assert capsys.readouterr().err.splitlines() == [
        "asking the port for a Wi-SUN module",
        "scanning, pass 1 of 4: 9 s",
        "joining the meter",
        "reading the meter",
    ]


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
    assert run(sim, "watch") == 1
    assert capsys.readouterr().err == "JoinRefused: the meter refused the Route B ID or password\n"


def test_watch_tells_what_the_meter_announces(
    sim: SimulatedPort, capsys: pytest.CaptureFixture[str], at: dict[float, Callable[[], object]]
) -> None:
    at[1500] = stop
    assert run(sim, "watch", "--json", "--interval", "3600") == 0
    announced = {row["announced"]: row["value"] for row in rows(capsys) if "announced" in row}
    assert set(announced) == {"EA", "EB"}
    assert announced["EA"]["time"] == "2026-11-23T14:30:00+09:00"


def test_properties(sim: SimulatedPort, capsys: pytest.CaptureFixture[str]) -> None:
    sim.meter.device.registers[0xF0] = lambda: b"\x07"
    sim.meter.device.values[0x89] = b""
    assert run(sim, "properties", "--json") == 1
    captured = capsys.readouterr()
    assert captured.err == "Missing: refused at present: 89 (fault content)\n"
    found = {row["code"]: row for row in map(json.loads, captured.out.splitlines())}
    assert found["E7"]["unit"] == "W"
    assert found["E5"]["settable"]
    assert found["89"]["refused"]
    assert found["EA"]["value"]["time"] == "2026-11-23T14:00:00+09:00"
    assert found["E0"]["value"] == pytest.approx(33703, abs=2)
    assert len(found["E2"]["value"]["energy"]) == 48
    assert found["9E"]["value"] == ["81", "E5", "ED"]
    assert found["97"]["value"] == "14:07:00"
    assert found["E8"]["value"][0] is not None


@once
def test_properties_of_a_second_generation_meter(capsys: pytest.CaptureFixture[str]) -> None:
    with simulated_port(scenarios.SECOND_GENERATION, speed=1, clock=clock) as sim:
        assert run(sim, "properties", "--json") == 0
    found = {row["code"]: row for row in rows(capsys)}
    assert found["D0"]["value"]["time"] == "2026-11-23T14:08:00+09:00"
    assert found["EE"]["value"]["energy"][0]["energy_in"] is not None
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
    assert lines[0] == "start,energy_in,energy_out"
    assert lines[1].startswith("2026-11-20T00:00:00+09:00,")
    assert len(lines) == 49


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
        assert captured.err == (
            "Missing: 2026-11-20 (energy_in): the meter would not set E5 (day of history 1); "
            "2026-11-21 (energy_in): the meter would not set E5 (day of history 1)\n"
        )
        assert run(sim, "history", "--date", "2026-11-20") == 1
        assert run(sim, "history", "--date", "2025-11-20") == 1
        assert "2025-11-20: no meter remembers that day" in capsys.readouterr().err


@once
@pytest.mark.parametrize("code", [0xE2, 0xE4, 0xE5, 0x97])
def test_a_refusal_that_passes_leaves_no_day_out(
    code: int, sim: SimulatedPort, capsys: pytest.CaptureFixture[str]
) -> None:
    sim.meter.device.refuse(code, answers=1)
    assert run(sim, "history", "--days", "5", "--csv") == 0
    captured = capsys.readouterr()
    assert len(captured.out.splitlines()) == 1 + 4 * 48 + 29
    assert not captured.err


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
        ((0xE0,), "Missing: refused at present: E0 (cumulative energy, normal)\n"),
        ((0xE1,), "Missing: refused at present: E1 (unit of cumulative energy)\n"),
        (
            (0xE7, 0xE8, 0xE0, 0xE3),
            "MeterRefused: the meter answers, but refuses to tell anything at present\n",
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
    assert "refused at present: E3 (cumulative energy, reverse)\n" in captured.err
    assert sim.record.opens == 1
    assert json.loads(captured.out.splitlines()[-1])["energy_out"] is not None


@once
def test_properties_of_a_meter_without_a_map(capsys: pytest.CaptureFixture[str]) -> None:
    with simulated_port(scenarios.NO_MAP, speed=1, clock=clock) as sim:
        assert run(sim, "properties") == 1
    assert "the map of the properties" in capsys.readouterr().err


@once
def test_somebody_who_has_seen_enough(sim: SimulatedPort, monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w") as out:  # noqa: PTH123  # no path, but a pipe
        monkeypatch.setattr(sys, "stdout", out)
        assert run(sim, "history", "--csv", "--pan", PAN) == 0
    assert sim.record.opens == sim.record.closes == 1


def test_set_installation_location(sim: SimulatedPort) -> None:
    assert run(sim, "set", "installation-location", "08") == 0
    assert sim.meter.device.read(0x81) == b"\x08"


@once
def test_an_error_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with simulated_port(scenarios.NO_METER, speed=1, clock=clock) as sim:
        assert run(sim, "read") == 1
    assert capsys.readouterr().err == "MeterNotFound: no meter answers to this Route B ID\n"


@once
def test_the_password_is_asked_for(sim: SimulatedPort, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BROUTE_PASSWORD")
    monkeypatch.setattr(getpass, "getpass", lambda _: PASSWORD)
    assert run(sim, "read", "--id", "0123 4567 89ab cdef 0123 4567 89ab cdef", "--debug") == 0


@once
@pytest.mark.parametrize(
    ("arguments", "password"),
    [
        (["read"], PASSWORD),
        (["read", "--port", "x", "--id", "12"], PASSWORD),
        (["read", "--port", "x"], "short"),
        (["read", "--port", "x", "--pan", "31"], PASSWORD),
        (["watch", "--port", "x", "--interval", "0"], PASSWORD),
        (["history", "--port", "x", "--days", "101"], PASSWORD),
        (["set", "--port", "x", "installation-location", "999"], PASSWORD),
        ([], PASSWORD),
    ],
)
def test_wrong_usage(arguments: Sequence[str], password: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROUTE_PASSWORD", password)
    with pytest.raises(SystemExit) as caught:
        command_line.main(arguments)
    assert caught.value.code == 2
