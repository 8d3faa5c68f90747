"""What of an unknown form a record leaves out, and has if a person asks for it after seeing it."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
import errno
import os
from pathlib import Path
import re
import signal
import sys
from typing import Any

from hypothesis import HealthCheck, given, settings, strategies as st
import pytest

from custom_components.broute.aiobroute import __main__ as command_line
from custom_components.broute.aiobroute.records.checker import check, kept_lines
from custom_components.broute.aiobroute.records.invention import Inventions
from custom_components.broute.aiobroute.records.recorder import MOST, Recorder
from custom_components.broute.aiobroute.records.units import Packet
from tests.simulator import scenarios
from tests.simulator.echonet import property_map
from tests.simulator.transport import SimulatedPort, simulated_port

from .test_record import PASSWORD, ROUTE_B_ID, everything, lines, record, secretive
from .test_record_checker import FORMS, GOOD, HEAD, SECRETS, text
from .virtual_time import clock, runner

MAC = "001C640003D2A1B7"
ADDRESS = "FE80:0000:0000:0000:021C:6400:03D2:A1B7"
PAN_ID = "8A3C"
UDP = f"ERXUDP {ADDRESS} {ADDRESS} 0E1A 0E1A {MAC} 1 0 "
INVENTED = "FE80:0000:0000:0000:021C:641D:05F1:4AC9"


@pytest.fixture(autouse=True)
def at(monkeypatch: pytest.MonkeyPatch) -> dict[float, Callable[[], object]]:
    """Return what happens at which virtual time while a command runs; there is always something to wait for."""
    happenings: dict[float, Callable[[], object]] = {9e6: lambda: None}
    monkeypatch.setenv("BROUTE_ID", ROUTE_B_ID)
    monkeypatch.setenv("BROUTE_PASSWORD", PASSWORD)
    monkeypatch.setattr(asyncio, "run", runner(happenings))
    return happenings


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "record.txt"


@contextmanager
def house() -> Iterator[SimulatedPort]:
    """Have a meter with a property that nobody knows."""
    with simulated_port(secretive(scenarios.NORMAL), speed=1, clock=clock) as port:
        registers = port.meter.device.registers
        registers[0xF0] = lambda: b"\0\7"
        registers[0x9F] = lambda: property_map({*registers})
        yield port


@pytest.fixture
def sim(each_kind: str) -> Iterator[SimulatedPort]:  # noqa: ARG001  # it comes first
    with house() as port:
        yield port


once = pytest.mark.parametrize("each_kind", ["bp35c2"], indirect=True)


def says(sim: SimulatedPort, said: str) -> bytes:
    """Return something that a module says and nobody knows."""
    frame = Packet(0x7001, said.encode(), is_request=False).encode()
    return frame if sim.module.__class__.__module__.endswith("j11") else f"{said}\r\n".encode()


class Terminal:
    """Somebody sits before it, and types."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch
        # What is typed into a pseudo terminal comes a moment later, and virtual time does not wait for it.
        self._person: int | None
        side, self._person = os.pipe()
        self._stdin = os.fdopen(side)
        monkeypatch.setattr(self._stdin, "isatty", lambda: True)

    def sit_down(self) -> None:
        """Be there; pytest puts its own input in place before each test."""
        self._monkeypatch.setattr(sys, "stdin", self._stdin)
        self._monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
        self._monkeypatch.setenv("TERM", "dumb")

    def type(self, typed: str) -> None:
        assert self._person is not None
        os.write(self._person, typed.encode())

    def close(self) -> None:
        """Leave; nothing is typed any more."""
        if self._person is not None:
            os.close(self._person)
            self._person = None

    def take_away(self) -> None:
        self.close()
        self._stdin.close()


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    there = Terminal(monkeypatch)
    yield there
    there.take_away()


def listed(err: str) -> dict[str, str]:
    """Return what was shown, by its name."""
    return dict(re.findall(r"^  ([0-9a-f]{6})  line \d+(?: and \d+ more)? +(.*)$", err, re.MULTILINE))


def test_it_is_shown_and_comes_with_the_next_record(
    sim: SimulatedPort, path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], at: dict[float, Any]
) -> None:
    at[20] = lambda: sim.inject(says(sim, "hello"))
    assert record(sim, path, "--minutes", "0") == 0
    assert not kept_lines(path.read_text())
    err = capsys.readouterr().err
    shown = listed(err)
    assert "property F0: 0007" in shown.values()
    assert {"line: hello", "frame 7001: 68656C6C6F"} & set(shown.values())
    assert "--keep" in err
    second = tmp_path / "second.txt"
    with house() as again:
        at[20] = lambda: again.inject(says(again, "hello"))
        assert record(again, second, "--minutes", "0", "--keep", *shown) == 0
    assert "have it now" in capsys.readouterr().out
    said = lines(second)
    assert [line for line in said if "-kept" in line and "F0020007" in line]
    assert [line for line in said if line in ("< line-kept hello", "< frame-kept 7001 68656C6C6F")]
    assert command_line.main(["record", "--check", str(second)]) == 0
    out = capsys.readouterr().out
    numbers = ", ".join(map(str, kept_lines(second.read_text())))
    assert f"lines {numbers}: of an unknown form, and kept because somebody asked for it" in out


@once
def test_only_what_was_seen_is_kept(
    sim: SimulatedPort, path: Path, capsys: pytest.CaptureFixture[str], at: dict[float, Any]
) -> None:
    at[20] = lambda: sim.inject(b"hello\r\n")
    at[21] = lambda: sim.inject(b"hello there\r\n")
    assert record(sim, path, "--minutes", "0", "--keep", "000000") == 0
    assert not kept_lines(path.read_text())
    name = next(name for name, said in listed(capsys.readouterr().err).items() if said == "line: hello")
    path.unlink()
    with house() as again:
        at[20] = lambda: again.inject(b"hello\r\n")
        at[21] = lambda: again.inject(b"hello there\r\n")
        assert record(again, path, "--minutes", "0", "--keep", name) == 0
    assert [line for line in lines(path) if "-kept" in line] == ["< line-kept hello"]


@once
def test_a_person_is_asked(
    sim: SimulatedPort,
    path: Path,
    terminal: Terminal,
    capsys: pytest.CaptureFixture[str],
    at: dict[float, Any],
) -> None:
    terminal.sit_down()
    at[20] = lambda: sim.inject(b"hello\r\n")
    before: list[str] = []

    def answer() -> None:
        before.append(path.read_text())
        terminal.type("nothing\n")

    at[5000] = answer
    at[5001] = lambda: terminal.type("all\n")
    assert record(sim, path, "--minutes", "0") == 0
    assert before[0].endswith("= note end whole\n")
    assert "hello" not in before[0]
    err = capsys.readouterr().err
    assert err.count("Which of it may be in the file?") == 2
    assert "There is no nothing.\n" in err
    assert "< line-kept hello" in lines(path)
    changed = [
        (old, new) for old, new in zip(before[0].splitlines(), path.read_text().splitlines(), strict=True) if old != new
    ]
    assert [old.split(" < ")[0] == new.split(" < ")[0] for old, new in changed] == [True] * len(changed)
    assert not [*path.parent.glob("*.new")]


@once
@pytest.mark.parametrize("typed", ["\n", None])
def test_who_wants_nothing_gets_nothing(
    sim: SimulatedPort, path: Path, terminal: Terminal, at: dict[float, Any], typed: str | None
) -> None:
    terminal.sit_down()
    at[20] = lambda: sim.inject(b"hello\r\n")
    at[5000] = lambda: terminal.close() if typed is None else terminal.type(typed)
    assert record(sim, path, "--minutes", "0") == 0
    assert not kept_lines(path.read_text())


@once
def test_ctrl_c_in_answer_keeps_the_record(
    sim: SimulatedPort, path: Path, terminal: Terminal, capsys: pytest.CaptureFixture[str], at: dict[float, Any]
) -> None:
    terminal.sit_down()
    at[20] = lambda: sim.inject(b"hello\r\n")
    at[5000] = lambda: signal.raise_signal(signal.SIGINT)
    assert record(sim, path, "--minutes", "0") == 0
    assert capsys.readouterr().err.endswith("stopped\n")
    assert not kept_lines(path.read_text())


@once
def test_who_ends_it_is_asked_and_waited_for(
    sim: SimulatedPort, path: Path, terminal: Terminal, at: dict[float, Any]
) -> None:
    terminal.sit_down()
    ends: list[str] = []
    at[20] = lambda: sim.inject(b"hello\r\n")
    at[300] = lambda: signal.raise_signal(signal.SIGINT)
    at[5000] = lambda: terminal.type("all\n")

    def begin() -> Callable[[], object]:
        ends.append("begun")
        return lambda: ends.append("called off")

    arguments = ["record", "--port", sim.url, "-o", str(path), "--quiet"]
    assert command_line.main(arguments, on_stop=begin) == 0
    assert ends == ["begun", "called off"]
    said = lines(path)
    assert said[-1] == "= note end stopped"
    assert "< line-kept hello" in said


@once
def test_a_process_that_is_told_to_end_asks_nothing(
    sim: SimulatedPort, path: Path, terminal: Terminal, capsys: pytest.CaptureFixture[str], at: dict[float, Any]
) -> None:
    terminal.sit_down()
    at[20] = lambda: sim.inject(b"hello\r\n")
    at[300] = lambda: signal.raise_signal(signal.SIGTERM)
    assert record(sim, path) == 0
    assert "Which of it" not in capsys.readouterr().err
    assert not kept_lines(path.read_text())


@once
def test_a_file_that_cannot_be_written_stays_as_it_is(
    sim: SimulatedPort, path: Path, capsys: pytest.CaptureFixture[str], at: dict[float, Any]
) -> None:
    new = path.with_name("record.txt.new")
    new.write_text("something of value")
    at[20] = lambda: sim.inject(b"hello\r\n")
    assert record(sim, path, "--minutes", "0") == 0
    name = next(name for name, said in listed(capsys.readouterr().err).items() if said == "line: hello")
    path.unlink()
    with house() as again:
        at[20] = lambda: again.inject(b"hello\r\n")
        assert record(again, path, "--minutes", "0", "--keep", name) == 0
    assert f"{path} stays as it is: {new} cannot be written: {os.strerror(errno.EEXIST)}" in capsys.readouterr().err
    assert not kept_lines(path.read_text())
    assert new.read_text() == "something of value"


@once
def test_what_tells_something_only_together(
    sim: SimulatedPort, path: Path, terminal: Terminal, capsys: pytest.CaptureFixture[str], at: dict[float, Any]
) -> None:
    terminal.sit_down()
    for second, said in enumerate((PASSWORD[:4], "good morning", PASSWORD[4:8])):
        at[20.0 + second] = lambda said=said: sim.inject(f"{said}\r\n".encode())

    halves: list[str] = []

    def answer() -> None:
        names = {said: name for name, said in listed(capsys.readouterr().err).items()}
        halves.extend(names[f"line: {PASSWORD[begin : begin + 4]}"] for begin in (0, 4))
        terminal.type(f"{' '.join(halves)}\n")

    at[5000] = answer
    assert record(sim, path, "--minutes", "0") == 0
    assert len(halves) == 2
    assert "Together it may name your household: it stays out." in capsys.readouterr().err
    assert not kept_lines(path.read_text())


@once
def test_what_is_told_in_pieces_is_not_offered(
    sim: SimulatedPort, path: Path, capsys: pytest.CaptureFixture[str], at: dict[float, Any]
) -> None:
    for second in range(3):
        piece = PASSWORD[4 * second : 4 * second + 4]
        at[20.0 + second] = lambda piece=piece: sim.inject(f"{piece}\r\n".encode())
    assert record(sim, path, "--minutes", "0") == 0
    err = capsys.readouterr().err
    assert not listed(err)
    assert "4 more of it may name your household, and is not shown." in err
    assert not any(PASSWORD[place : place + 4] in err for place in (0, 4, 8))


def planted_in(sim: SimulatedPort) -> list[str]:
    """Return all of a household, and pieces of it, in all forms."""
    whole = [*everything(sim), PAN_ID, MAC[6:], ADDRESS[-9:]]
    halves = [secret[begin : begin + 8] for secret in whole for begin in range(0, len(secret) - 7, 5)]
    return list(dict.fromkeys(form(secret) for secret in (*whole, *halves) for form in FORMS.values() if _fits(secret)))


def _fits(secret: str) -> bool:
    return len(secret) % 2 == 0


@pytest.mark.timeout(120)
def test_whatever_is_said_of_a_household_is_not_kept(
    sim: SimulatedPort, path: Path, terminal: Terminal, capsys: pytest.CaptureFixture[str], at: dict[float, Any]
) -> None:
    terminal.sit_down()
    own = [value for value in planted_in(sim) if value.lower() != PAN_ID.lower()]
    at[60] = lambda: sim.inject(b"".join(says(sim, value) for value in own[:400]))
    at[61] = lambda: sim.inject(says(sim, "nothing of anybody"))
    at[5000] = lambda: terminal.type("all\n")
    assert record(sim, path, "--minutes", "0") == 0
    kept = [line for line in lines(path) if "-kept" in line]
    assert any("nothing of anybody" in line or b"nothing of anybody".hex().upper() in line for line in kept)
    squeezed = re.sub("[^0-9a-z]", "", "".join(kept).lower())
    for value in own:
        plain = re.sub("[^0-9a-z]", "", value.lower())
        assert plain not in squeezed
        assert plain.encode().hex() not in squeezed
    assert check(path.read_text(), everything(sim)) == []
    assert re.search(r"\d+ more of it may name", capsys.readouterr().err)


def recorded(*said: bytes, inventions: Inventions | None = None) -> tuple[str, Recorder]:
    """Return the record of what a module said."""
    now = [0.0]
    written: list[str] = []
    recorder = Recorder(written.append, lambda: now[0], inventions)
    recorder.opened(115200)
    for data in said:
        recorder.received(data)
        now[0] += 10.0
    recorder.closed()
    return "".join(written), recorder


def payload(*told: str, owner: str = "028801") -> bytes:
    """Return a line with properties in it."""
    data = f"10810001{owner}05FF0172{len(told):02X}{''.join(told)}"
    return f"{UDP}{len(data) // 2:04X} {data}\r\n".encode()


def offered(*said: bytes) -> list[str]:
    return [each.text for each in recorded(*said)[1].unknown()]


@pytest.mark.parametrize(
    ("said", "texts"),
    [
        (b"hello\r\n", ["line: hello"]),
        (b"hello\r", ["line: hello"]),
        (b"prompt> ", ["line: prompt>"]),
        (b"x" * 201 + b"\r\n", []),
        (b"  \r\n", []),
        (b"hell\xf6\r\n", []),
        (b"hell\0\r\n", []),
        (b"SKSETPWD C Zq7v\r\n", []),
        (b"sksetrbid 7C\r\n", []),
        (b"ERXTCP 02CC 1\r\n", []),
        (payload("F0020102"), ["property F0: 0102"]),
        (payload("F0020000"), []),
        (payload("F0020102", "F1020304", "D301AA"), ["property F0: 0102", "property F1: 0304"]),
        (payload("81110135353535353535353535353535353535", "8603000016", "8D0153", "C00101"), []),
        (payload("F0020102", "8D0153", "8302FE00", "D302AAAA", owner="0EF001"), ["property F0: 0102"]),
        (payload("F0020102", owner="013001"), []),
        (Packet(0x7001, b"\1\2", is_request=False).encode(), ["frame 7001: 0102"]),
        (Packet(0x7001, b"\0\0", is_request=False).encode(), []),
        (Packet(0x4051, b"\1abc", is_request=False).encode(), []),
        (f"{UDP}0002 ".encode() + b"\x10\x81\r\n", []),
        (f"{UDP.replace('0E1A', '0E1B')}0002 ".encode() + b"\x10\x81\r\n", []),
    ],
)
def test_what_can_be_asked_for(said: bytes, texts: list[str]) -> None:
    assert offered(said) == texts


@pytest.mark.parametrize("told", ["E004000186A0", "E704000186A0", "E0040000FFFF"])
@pytest.mark.parametrize("off", [-1000, -1, 0, 1, 1000])
def test_what_comes_close_to_a_counter_cannot_be_asked_for(told: str, off: int) -> None:
    number = int(told[6:], 16) + off
    before, after = number.to_bytes(3), number.to_bytes(4, "little")
    said = [
        *(f"count {number}\r\n".encode(), f"count {number:X}\r\n".encode()),
        *(payload(f"F2{len(data):02X}{data.hex().upper()}") for data in (before, after, b"\7" + before + b"\7")),
        Packet(0x7001, str(number).encode(), is_request=False).encode(),
    ]
    # Before it is known, too.
    assert offered(*said, payload(told), *said) == []
    assert len(offered(*said)) == len(said)


def test_what_is_far_from_a_counter_can_be_asked_for() -> None:
    assert len(offered(payload("E004000186A0", "F204000200FF"), b"count 110000\r\n", b"count 90000\r\n")) == 3
    assert len(offered(payload("E00400000064"), b"count 100\r\n")) == 1, "small numbers are everywhere"


def test_addresses_that_are_known_are_replaced() -> None:
    said = [f"FOUND {ADDRESS} {MAC} {PAN_ID} 1\r\n".encode(), payload("F0020102")]
    record, recorder = recorded(f"  Pan ID:{PAN_ID}\r\n".encode(), *said)
    found = recorder.unknown()
    whole = recorder.with_unknown(record, found)
    (line,) = re.findall("line-kept FOUND (.*)", whole)
    address, mac, pan_id, _ = line.split()
    assert f"  Pan ID:{pan_id}" in whole
    assert f"ERXUDP {address} " in whole
    assert f" {mac} " in whole
    assert check(whole, recorder.inventions.replaced, recorder.inventions.left_out) == []
    _, second = recorded(f"  Pan ID:{PAN_ID}\r\n".encode(), *said)
    assert [each.name for each in second.unknown()] == [each.name for each in found]
    assert [each.text for each in second.unknown()] != [each.text for each in found]


def test_there_is_an_end_of_what_is_kept_in_mind() -> None:
    _, recorder = recorded(*(f"no {number} of many\r\n".encode() for number in range(MOST + 5)))
    assert len(recorder.unknown()) == MOST


def test_what_we_say_is_not_asked_for() -> None:
    written: list[str] = []
    recorder = Recorder(written.append, lambda: 0.0)
    recorder.sent(b"SKNOBODY KNOWS\r\n")
    assert written[-1].endswith("> bytes 16\n")
    assert recorder.unknown() == []


KEPT = HEAD.replace("< line", "< line-kept")
KEPT_FINE = (
    "< line-kept hello",
    "< line-cr-kept VERSION 1.2.3",
    "< line-open-kept prompt>",
    "< line-kept OK",
    f"< line-kept FOUND {INVENTED} 001C641D05F14AC9 1D6E 22 0 00 1",
    KEPT + "1081000102880105FF017201F003000001",
    KEPT.replace("line", "data") + "1081000102880105FF017201F003000001",
    KEPT + "108100010EF00105FF0173018A0200A0",
    "< frame-kept 7777 0001",
    f"< frame-kept 6018 {INVENTED.replace(':', '')}0E1A0E1A1DE30002D500121081000102880105FF017201F004000001F8",
)
KEPT_BAD = (
    ("> line-kept hello", "no event of a record"),
    ("= note-kept hello", "no event of a record"),
    ("< bytes-kept 7", "no event of a record"),
    ("< frame-cr-kept 7777 0001", "no event of a record"),
    ("< line-kept hell\xf6", "cannot be kept"),
    ("< line-kept " + "x" * 201, "cannot be kept"),
    ("< line-kept SKSETPWD C abc", "cannot be kept"),
    ("< line-kept x 02cc", "cannot be kept"),
    ("< line-kept serial S1801234", "as long as a number"),
    ("< line-kept DEADBEEF", "as long as a number"),
    ("< line-kept 03D2:A1B7", "looks like an address"),
    ("< line-kept 00-1c-64-00", "looks like an address"),
    ("< line-kept x 001C64 y", "a part of a secret"),
    ("< line-kept x 64 1C 00 y", "a part of a secret"),
    ("< line-kept x 021C:64 y", "a part of a secret"),
    ("< line-kept " + HEAD[7:] + "1081000102880105FF017201F003000001", None),
    (KEPT + "1081000102880105FF0172018603000016", "property 86"),
    (KEPT + "1081000102880105FF017201E7050000000001", "property E7"),
    (KEPT + "108100010EF0010EF00173018D0153", "property 8D"),
    (KEPT + "1081000105FF0105FF017201E704000001F8", "no frame of the meter"),
    (KEPT + "1081000102880105FF017201F008" + b"S1801234".hex().upper(), "as long as a number"),
    (KEPT + "1081000102880105FF017201F011FE000016" + "31" * 13, "identification number"),
    (KEPT + "1081000102880105FF017201F003001C64", "a part of a secret"),
    (KEPT.replace("0E1A", "02CC") + "00000001", "PANA"),
    ("< frame-kept 7777 xy", "a frame with something"),
    ("< frame-kept 2054 0107", "a frame with something"),
    ("< frame-kept 7777 " + b"S1801234".hex(), "as long as a number"),
)


def test_what_may_be_kept() -> None:
    assert check(text(*GOOD, *KEPT_FINE), SECRETS) == []
    assert len(kept_lines(text(*GOOD, *KEPT_FINE))) == len(KEPT_FINE)
    assert kept_lines(text(*GOOD)) == []


@pytest.mark.parametrize(("line", "reason"), KEPT_BAD)
def test_what_must_not_be_kept_by_its_form(line: str, reason: str | None) -> None:
    findings = check(text(*GOOD, line))
    assert {finding.line for finding in findings} == (set() if reason is None else {len(GOOD) + 2})
    assert reason is None or any(reason in finding.reason for finding in findings)


@pytest.mark.parametrize("secret", [*SECRETS, PAN_ID, "8888"])
@pytest.mark.parametrize("form", FORMS)
def test_a_short_secret_is_found_in_what_was_kept(secret: str, form: str) -> None:
    value = FORMS[form](secret)
    lines = [f"< line-kept x {value} y"]
    if re.fullmatch("(?:[0-9A-Fa-f]{2})+", value):
        lines += [f"{KEPT}1081000102880105FF017201F0{len(value) // 2 + 2:02X}01{value.upper()}01"]
    lines += [f"< frame-kept 7777 01{value.encode().hex().upper()}"]
    for line in lines:
        assert check(text(*GOOD, line), [secret]), line


def test_a_password_of_signs_is_found_in_what_was_kept() -> None:
    assert check(text("< line-kept x !?!?!?!?!?!? y"), ["!?!?!?!?!?!?"])


def test_what_was_left_out_is_found_in_what_was_kept() -> None:
    pana = "0000004080020001C4F35AA1"
    lines = [f"< frame-kept 7777 01{pana[8:18]}02", f"< line-kept x {' '.join(pana[8:20])}"]
    for line in lines:
        assert check(text(line), [], [pana])
        assert not check(text(line)), "nothing else is wrong with it"
    assert check(text(f"< line-kept id {PAN_ID}"), [], [PAN_ID])


SHORT = (PAN_ID, MAC[-8:], ROUTE_B_ID[-8:])


@st.composite
def planted(draw: st.DrawFn) -> tuple[str, str]:
    """Return a record with a piece of a secret in something that was kept, and how it was hidden."""
    secret = draw(st.sampled_from((*SECRETS, *SHORT)))
    size = draw(st.integers(min(len(secret), 6), len(secret)))
    begin = draw(st.integers(0, (len(secret) - size) // 2)) * 2
    value = FORMS[draw(st.sampled_from(sorted(FORMS)))](secret[begin : begin + size] if size % 2 == 0 else secret)
    separator = draw(st.sampled_from(["", "", ":", "-", " ", "."]))
    every = draw(st.integers(1, 6))
    pieces = [value[place : place + every] for place in range(0, len(value), every)]
    kept = [f"< line-kept {draw(st.sampled_from(['', 'x ']))}{separator.join(pieces)}"]
    match draw(st.sampled_from(["line", "lines", "frame", "property", "wide"])):
        case "lines":
            kept = [f"< line-kept {piece}" for piece in pieces]
        case "frame":
            kept = [f"< frame-kept 7777 {value.encode().hex().upper()}"]
        case "property":
            kept = [f"{KEPT}1081000102880105FF017201F0{len(value):02X}{value.encode().hex().upper()}"]
        case "wide":
            kept = [f"< frame-kept 7777 {value.encode('utf-16-le').hex().upper()}"]
    around = draw(st.lists(st.sampled_from((*GOOD, *KEPT_FINE[:4])), min_size=1, max_size=8))
    place = draw(st.integers(0, len(around)))
    return text(*around[:place], *kept, *around[place:]), f"{value} {kept}"


@settings(max_examples=1000, suppress_health_check=[HealthCheck.too_slow])
@given(planted())
def test_a_piece_of_a_secret_in_what_was_kept_is_found(hidden: tuple[str, str]) -> None:
    record, how = hidden
    assert check(record, (*SECRETS, *SHORT)), how


@settings(max_examples=50)
@given(st.lists(st.sampled_from((*GOOD, *KEPT_FINE)), max_size=40))
def test_what_may_be_kept_is_not_refused(chosen: list[str]) -> None:
    assert check(text(*chosen), SECRETS) == []
