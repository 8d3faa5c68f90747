"""The command line with a meter in the home network."""

import asyncio
from collections.abc import Callable, Iterator
import json
import os
import signal
from typing import Any

import pytest

from custom_components.broute.aiobroute import __main__ as command_line
from tests.simulator import scenarios
from tests.simulator.lan import LanNode, own_place

from .test_lan import SERIAL, of, readings_of
from .virtual_time import clock, runner

pytestmark = [pytest.mark.own_loop, pytest.mark.usefixtures("echonet_port")]


@pytest.fixture(autouse=True)
def at(monkeypatch: pytest.MonkeyPatch) -> dict[float, Callable[[], object]]:
    """Return what happens at which virtual time while a command runs; there are neither ID nor password."""
    happenings: dict[float, Callable[[], object]] = {}
    monkeypatch.setattr(asyncio, "run", runner(happenings, over_network=True))
    for name in ("BROUTE_ID", "BROUTE_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    return happenings


@pytest.fixture
def node(at: dict[float, Callable[[], object]]) -> Iterator[LanNode]:
    """Return a meter that is in the network as soon as the loop runs."""
    made = LanNode(of(scenarios.SOLAR), clock=clock)
    at[0.0] = made.on
    yield made
    made.off()


def call(command: str, *arguments: str) -> int:
    """Run a command that looks for a meter; nothing leaves this machine."""
    return command_line.main([command, "--interface", "lo", *arguments])


def run(node: LanNode, *arguments: str) -> int:
    return call(arguments[0], "--port", f"echonet://{node.place.address}", *arguments[1:])


def rows(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_read(node: LanNode, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(node, "read") == 0
    out = capsys.readouterr().out
    assert "Power" in out
    assert "Signal" not in out


def test_by_its_serial_number(node: LanNode, capsys: pytest.CaptureFixture[str]) -> None:
    assert node.meter.settings.serial == SERIAL
    assert call("read", "--port", f"echonet://{SERIAL.lower()}", "--json") == 0
    (reading,) = rows(capsys)
    assert reading["power"] is not None


def test_scan(node: LanNode, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("scan", "--lan") == 0
    captured = capsys.readouterr()
    assert f"Meter    {SERIAL}\nMaker    Toshiba\nAddress  {node.place.address}\n" in captured.out
    assert f"--port echonet://{SERIAL}\n" in captured.out
    assert "looking for meters in the home network" in captured.err


def test_scan_for_a_program(node: LanNode, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("scan", "--lan", "--json") == 0
    row = {
        "meter": SERIAL,
        "manufacturer": "Toshiba",
        "address": node.place.address,
        "port": f"echonet://{SERIAL}",
    }
    assert row in rows(capsys)


def test_watch(node: LanNode, at: dict[float, Callable[[], object]], capsys: pytest.CaptureFixture[str]) -> None:
    """It goes on when the meter has got another address."""

    def move() -> None:
        node.record.clear()
        node.on(own_place())

    at[25.0] = move
    at[90.0] = lambda: signal.raise_signal(signal.SIGTERM)
    assert call("watch", "--port", f"echonet://{SERIAL}", "--interval", "10", "--json") == 0
    readings = [row for row in rows(capsys) if "power" in row]
    assert len(readings) >= 5
    assert readings_of(node) >= 3


def test_history(node: LanNode, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(node, "history", "--json") == 0
    assert len(rows(capsys)) > 20


def test_properties(node: LanNode, capsys: pytest.CaptureFixture[str]) -> None:
    node.meter.device.values[0x89] = b""
    assert run(node, "properties", "--json") == 1
    captured = capsys.readouterr()
    assert captured.err == "aiobroute: the meter refuses at present: 89 (fault content)\n"
    found = {row["code"]: row for row in map(json.loads, captured.out.splitlines())}
    assert len(found) == 28
    assert found["8D"]["value"] == SERIAL
    assert len(found["E2"]["value"]["counters"]) == 48


def test_set_installation_location(node: LanNode, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(node, "set", "installation-location", "08") == 0
    assert node.meter.device.read(0x81) == b"\x08"
    assert capsys.readouterr().out == "The installation location is now 08: living room.\n"


def test_nobody_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("read", "--port", "echonet://NOBODY") == 1
    assert "this meter does not answer in the home network" in capsys.readouterr().err


def test_no_meter_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line.main(["scan", "--lan", "--interface", "nosuch0"]) == 1
    assert "no meter answers in the home network" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["scan"], "required: --port"),
        (["read", "--port", "/dev/ttyUSB0", "--interface", "lo"], "--interface is for meters in the home network"),
        (["scan", "--lan", "--port", "/dev/ttyUSB0"], "leave --port out"),
        (["scan", "--port", "echonet://S18012345678"], "`scan --lan`"),
        (["doctor", "--port", "echonet://S18012345678"], "needs a Wi-SUN dongle"),
        (["record", "-o", os.devnull, "--port", "echonet://S18012345678"], "needs a Wi-SUN dongle"),
        (["read", "--port", "echonet://S18012345678", "--pan", "31:8A3C:001C640003D2A1B7"], "--pan"),
    ],
)
def test_what_does_not_go_together(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command_line.main(arguments)
    assert words in capsys.readouterr().err


def test_an_address_that_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line.main(["read", "--port", "echonet://somebody:secret@192.168.1"]) == 1
    error = capsys.readouterr().err
    assert "is no address of a meter" in error
    assert "secret" not in error
