"""Records that may be shown: written on the command line, and checked by something that knows nothing of the writer."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
import re
import signal
from typing import Any

import pytest

from custom_components.broute.aiobroute import __main__ as command_line
from custom_components.broute.aiobroute.cli.record import version_of
from custom_components.broute.aiobroute.records.checker import check
from tests.simulator import scenarios
from tests.simulator.record import LEAVE
from tests.simulator.scenarios import SCENARIOS, Scenario
from tests.simulator.transport import SimulatedPort, simulated_port

from .virtual_time import clock, runner

ROUTE_B_ID = "7C1E5A9B3D2F4860A8E6C4027B9D1F35"
PASSWORD = "Zq7vXk2wPm9s"


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


def secretive(scenario: Scenario) -> Scenario:
    """Return the same situation at a meter whose ID and password occur nowhere by chance."""
    network = replace(scenario.radio.network, pairing_id=ROUTE_B_ID[-8:])
    radio = replace(scenario.radio, route_b_id=ROUTE_B_ID, password=PASSWORD, network=network)
    return replace(scenario, radio=radio)


def record(sim: SimulatedPort, path: Path, *arguments: str) -> int:
    return command_line.main(["record", "--port", sim.url, "-o", str(path), "--quiet", *arguments])


def lines(path: Path) -> list[str]:
    """Return what a record says, without its times."""
    return [line[11:] for line in path.read_text().splitlines()[1:]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "record.txt"


@pytest.fixture
def sim(each_kind: str) -> Iterator[SimulatedPort]:  # noqa: ARG001  # it comes first
    with simulated_port(secretive(scenarios.SOLAR), speed=1, clock=clock) as port:
        yield port


once = pytest.mark.parametrize("each_kind", ["bp35c2"], indirect=True)


def test_a_record_of_everything(sim: SimulatedPort, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert record(sim, path) == 0
    said = lines(path)
    assert [line for line in said if line.startswith("= note worked")] == [
        "= note worked properties",
        "= note worked history of a day",
        "= note worked history of half hours",
        "= note worked readings",
        "= note worked announcements",
    ]
    assert said[-2:] == ["= closed", "= note end whole"]
    assert "= note meter Toshiba F.0" in said
    assert sum(" 00280880105FF0173" in line or "02880105FF0173" in line for line in said) >= 1, "an announcement"
    assert sim.record.count(LEAVE) == 1
    assert capsys.readouterr().out == f"{path}: {len(said) + 1} lines. Read it before you show it to anybody.\n"
    assert command_line.main(["record", "--check", str(path)]) == 0
    assert "your Route B ID and password are not in it" in capsys.readouterr().out


def test_a_meter_that_announces_nothing(path: Path) -> None:
    with simulated_port(secretive(scenarios.NO_NOTICES), speed=1, clock=clock) as sim:
        assert record(sim, path) == 0
    assert [line for line in lines(path) if line.startswith("= note")][-2:] == [
        "= note failed MeterTimeoutError",
        "= note end whole",
    ]


@once
def test_a_record_is_made_of_whole_lines_at_any_time(sim: SimulatedPort, path: Path, at: dict[float, Any]) -> None:
    found = []
    for second in range(1, 120, 7):
        at[second] = lambda: found.append(path.read_text())
    assert record(sim, path, "--minutes", "0") == 0
    whole = path.read_text()
    assert len(found) > 10
    assert all(text.endswith("\n") and whole.startswith(text) for text in found)


def test_a_record_can_be_ended(
    sim: SimulatedPort, path: Path, at: dict[float, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    at[300] = lambda: signal.raise_signal(signal.SIGTERM)
    assert record(sim, path) == 0
    assert lines(path)[-1] == "= note end stopped"
    assert capsys.readouterr().err == "stopped\n"
    assert sim.record.count(LEAVE) == 1
    assert not check(path.read_text(), [ROUTE_B_ID, PASSWORD])


@pytest.mark.parametrize("second", [0.1, 2, 10, 12, 20])
def test_a_record_can_be_ended_early(sim: SimulatedPort, path: Path, at: dict[float, Any], second: float) -> None:
    at[second] = lambda: signal.raise_signal(signal.SIGTERM)
    assert record(sim, path) == 0
    assert lines(path)[-1] == "= note end stopped"
    assert not check(path.read_text(), [ROUTE_B_ID, PASSWORD])


def test_a_record_of_a_refused_password(
    sim: SimulatedPort, path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BROUTE_PASSWORD", "Hd4nRt8yLc6b")
    assert record(sim, path) == 1
    assert lines(path)[-2:] == ["= note failed JoinRefusedError", "= note end whole"]
    assert capsys.readouterr().err == "aiobroute: the meter refused the Route B ID or password\n"
    assert not check(path.read_text(), ["Hd4nRt8yLc6b"])


def test_what_is_refused_ends_a_step_only(path: Path) -> None:
    with simulated_port(secretive(scenarios.NORMAL), speed=1, clock=clock) as sim:
        sim.meter.device.refuse(0xE2)
        assert record(sim, path, "--minutes", "0") == 0
    said = lines(path)
    step = said.index("= note step history of a day")
    assert [line for line in said[step:] if line.startswith("= note")][1] == "= note failed PropertyRefusedError"
    assert "= note worked readings" in said


def test_a_record_of_nothing(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line.main(["record", "--port", "/dev/does-not-exist", "-q", "-o", str(path)]) == 1
    assert lines(path) == [
        f"= note version {version_of(Path(command_line.__file__).parents[1])}",
        "= note port device",
        "= note step probe",
        "= note failed PortMissingError",
        "= note end whole",
    ]
    capsys.readouterr()


def test_something_else_on_the_port(path: Path) -> None:
    with simulated_port(secretive(scenarios.NORMAL), module="silent", speed=1, clock=clock) as sim:
        assert record(sim, path) == 1
    assert "= note failed ModuleMissingError" in lines(path)


@once
def test_a_record_that_would_tell_something_is_not_kept(
    sim: SimulatedPort, path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # Ten digits that each scan has, too: nothing else of a person comes so far.
    monkeypatch.setenv("BROUTE_ID", "2055555556" + ROUTE_B_ID[10:])
    assert record(sim, path) == 1
    assert not path.exists()
    assert "the record was deleted, as it must not be shown: line " in capsys.readouterr().err


def test_a_meter_that_can_do_little(path: Path) -> None:
    few = bytes.fromhex("82 8A 97 98 9D 9E 9F D7 E0 E1 E2 E5 E7 E8")
    with simulated_port(secretive(scenarios.NORMAL), speed=1, clock=clock) as sim:
        sim.meter.device.registers[0x9F] = lambda: bytes((len(few), *few))
        sim.meter.device.refuse(0x8D)
        assert record(sim, path, "--minutes", "0") == 0
    assert not [line for line in lines(path) if "half hours" in line]
    assert "= note worked history of a day" in lines(path)


@once
def test_a_file_that_is_there_is_not_written_over(
    sim: SimulatedPort, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path.write_text("something of value")
    assert record(sim, path) == 1
    assert path.read_text() == "something of value"
    assert f"{path} exists already: choose another name" in capsys.readouterr().err
    assert record(sim, path / "below") == 1
    assert f"{path / 'below'} cannot be written: Not a directory" in capsys.readouterr().err
    assert sim.record.opens == 0


def test_files_that_are_no_records(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def checked(content: bytes | None) -> str:
        if content is not None:
            path.write_bytes(content)
        assert command_line.main(["record", "--check", str(path)]) == 1
        return capsys.readouterr().err

    assert "cannot be read: No such file" in checked(None)
    assert "is no record" in checked("さくら".encode())
    assert "must not be shown: line 1: this is no record; line 2: no event; " in checked(b"hello\n" * 20)
    assert "and 10 more\n" in checked(b"hello\n" * 20)


@once
def test_a_record_can_be_checked_without_credentials(
    sim: SimulatedPort, path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert record(sim, path, "--minutes", "0") == 0
    monkeypatch.delenv("BROUTE_ID")
    monkeypatch.delenv("BROUTE_PASSWORD")
    assert command_line.main(["record", "--check", str(path)]) == 0
    assert "set BROUTE_ID and BROUTE_PASSWORD to look for them, too" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["record", "-o", "x"], "required: --port"),
        (["record", "--port", "x"], "one of the arguments -o/--output --check is required"),
        (["record", "--port", "x", "-o", "x", "--minutes", "many"], "choose a number of minutes from 0 to 1440"),
        (["record", "--port", "x", "-o", "x", "--minutes", "9999"], "choose a number of minutes from 0 to 1440"),
    ],
)
def test_wrong_usage(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        command_line.main(arguments)
    assert caught.value.code == 2
    assert said in capsys.readouterr().err.splitlines()[-1]


def test_a_version(path: Path) -> None:
    assert version_of(path.parent) == "unknown"
    (path.parent / "manifest.json").write_text('{"version": "2.3.4"}')
    assert version_of(path.parent) == "2.3.4"


def everything(sim: SimulatedPort) -> list[str]:
    """Return whatever of a simulated household and its dongle must not be seen."""
    device = sim.meter.device
    told = [device.read(code) for code in (0x8D, 0xC0)]
    networks = [sim.air.network, *sim.air.settings.neighbours]
    return [
        *(ROUTE_B_ID, PASSWORD),
        *(network.mac for network in networks),
        *(data.decode("latin-1").strip("\0 ") for data in told[:1] if data),
        *(data.hex() for data in told[1:] if data),
        *([identification[4:].hex()] if (identification := device.read(0x83)) else []),
    ]


@pytest.mark.parametrize("name", SCENARIOS)
def test_no_situation_tells_a_secret(name: str, each_kind: str, path: Path) -> None:
    with simulated_port(secretive(SCENARIOS[name]), speed=1, clock=clock) as sim:
        record(sim, path, "--minutes", "0")
        secrets = everything(sim)
    text = path.read_text()
    assert check(text, secrets) == []
    squeezed = re.sub("[^0-9a-z]", "", text.lower())
    for secret in secrets:
        for form in (secret.lower(), secret.encode().hex()):
            assert form not in squeezed
    assert each_kind in ("bp35c2", "j11")
    assert lines(path)[-1] == "= note end whole"
