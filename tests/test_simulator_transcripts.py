"""The simulator prints what real dongles printed: transcripts from outside the project, replayed command by command.

Compared is the form of each line: words, their order and their lengths; values differ from device to device.
"""

from dataclasses import replace
from datetime import datetime, timedelta
import re
from typing import TYPE_CHECKING

import pytest

from tests.simulator.echonet import CONTROLLER, METER, Esv, Frame
from tests.simulator.host import Host, opened
from tests.simulator.household import JST
from tests.simulator.meter import MeterSettings
from tests.simulator.radio import Network, RadioSettings
from tests.simulator.scenarios import Scenario
from tests.simulator.transport import simulated_port
from tests.transcripts import needs_transcripts, transcript

if TYPE_CHECKING:
    from collections.abc import Iterator


pytestmark = needs_transcripts

ZEROS = Scenario(
    summary="a meter whose identity was blackened as in the transcripts",
    meter=MeterSettings(unit=0x02, digits=7),
    radio=RadioSettings(
        network=Network(channel=0x3B, pan_id=0, lqi=0xB2, pairing_id="00000000"),
        route_b_id="0" * 32,
        password="0" * 12,
        scan_duration=5,
    ),
)
STRONG = replace(ZEROS, radio=replace(ZEROS.radio, scan_duration=0))
ADDRESS = "FE80:0000:0000:0000:021C:6400:03D2:A1B7"
MAC = "001C640003D2A1B7"

type Exchange = tuple[str, list[str]]


def exchanges(lines: list[str]) -> Iterator[Exchange]:
    """Yield each command with the lines that follow it; both are marked by an arrow."""
    command, answers = "", list[str]()
    for line in lines:
        marked = re.search(r"(?:^|(?<= ))([<>]) (.*)", line)
        if marked is None:
            continue
        arrow, text = marked.groups()
        if arrow == ">":
            if command:
                yield command, answers
            command, answers = text, []
        else:
            answers.append(text)
    yield command, answers


def form(line: str) -> str:
    """Return a line with a sign for each digit of its values; the words of the protocol stay."""
    if line.startswith("ERXUDP"):
        *words, length, data = line.split(" ")
        assert int(length, 16) * 2 == len(data)
        # Services and property codes are the protocol's; TID, values and with them lengths are not.
        line = " ".join([*words, "DATA", data[:4], data[8:26]])
    line = re.sub(r"\b[0-9A-F]{4}(:[0-9A-F]{4}){7}\b", "ADDRESS", line)
    line = re.sub(r"(?<=[: ])[0-9A-F]{8,}(?=$| )", lambda match: "#" * len(match[0]), line)
    line = re.sub(r"(?<= )[0-9A-F]{2}(?= [0-9A-F]{2}\b|$)", "##", line) if line[:2] == "21" else line
    return re.sub(
        r"^(  Channel|  Channel Page|  Pan ID|  LQI):(.*)", lambda match: f"{match[1]}:{'#' * len(match[2])}", line
    )


async def lines_after(host: Host, data: bytes) -> list[str]:
    """Return the lines that come after some bytes, with bare carriage returns made visible."""
    received = (await host.exchange(data)).decode()
    return received.replace("\r\n", "\n").replace("\r", "<CR>\n").split("\n")[:-1]


def followed(wanted: list[str], lines: list[str]) -> bool:
    """Return whether the wanted lines come among the others, in their order."""
    remaining = iter([form(line) for line in lines])
    return all(form(line) in remaining for line in wanted)


def request_of(answer: str) -> bytes:
    """Return the Get that the answer in an ERXUDP line belongs to."""
    frame = Frame.decode(bytes.fromhex(answer.rsplit(" ", maxsplit=1)[-1]))
    properties = tuple((epc, b"") for epc, _ in frame.properties)
    return Frame(tid=1, source=CONTROLLER, destination=METER, service=Esv.GET, properties=properties).encode()


def is_notification(line: str) -> bool:
    return line.startswith("ERXUDP") and line.rsplit(" ", maxsplit=1)[-1][20:22] == "73"


async def test_a_whole_session_of_a_bp35a1() -> None:
    now = datetime(2022, 8, 1, 20, 1, tzinfo=JST)
    asked, sent = [], []
    with simulated_port(ZEROS, module="bp35a1", clock=lambda: now) as sim:
        async with opened(sim) as host:
            for command, answers in exchanges(transcript("bp35a1_m5stickc_wire.txt")):
                text = command.replace("0000:0000:0000:0000:0000:0000:0000:0000", ADDRESS)
                text = text.replace("SKLL64 0000000000000000", f"SKLL64 {MAC}")
                asked += [line for line in answers if is_notification(line)]
                wanted = [line for line in answers if not is_notification(line)]
                if text.startswith("SKSENDTO"):
                    lines = await lines_after(host, text.split("<")[0].encode() + request_of(wanted[-1]))
                    assert [form(line) for line in lines] == [form(line) for line in wanted]
                else:
                    lines = await lines_after(host, f"{text}\r\n".encode())
                    assert followed(wanted, lines), (command, wanted, lines)
                    sent += [line for line in lines if is_notification(line)]
            now += timedelta(minutes=30)
            sim.tick()
            sent += await lines_after(host, b"")
    assert [form(line) for line in sent] == [form(line) for line in asked]


async def test_constants_are_those_of_the_real_meter() -> None:
    """A refused D3, unit 02 and seven digits, byte for byte."""
    answers = [
        line for line in transcript("bp35a1_m5stickc_wire.txt") if re.search("ERXUDP.*(D300|E10102|D70107)$", line)
    ]
    assert len(answers) == 3
    with simulated_port(ZEROS) as sim:
        for line in answers:
            telegram = sim.meter.answer(request_of(line))
            assert telegram is not None
            assert telegram.payload.hex().upper() == line.split(" ")[-1]


async def test_vectors_of_a_bp35a1() -> None:
    with simulated_port(STRONG, module="bp35a1", payload="binary") as sim:
        async with opened(sim) as host:
            for command in ("SKSREG SFE 0", "SKSREG S3 8888", "SKSETRBID " + "0" * 32, f"SKADDNBR {ADDRESS} {MAC}"):
                await host.ask(command)
            for command, answers in exchanges(transcript("bp35a1_vectors.txt")):
                # Sleep is nothing that a meter is read with; the simulator does not know it.
                if command == "SKDSLEEP":
                    continue
                data = command.replace("<CR>", "\r").encode() if "<CR>" in command else f"{command}\r\n".encode()
                lines = await lines_after(host, data)
                wanted = ["" if line.startswith("(") else line for line in answers]
                assert [form(line) for line in lines] == [form(line) for line in wanted], command


@pytest.mark.parametrize(("name", "has_echo"), [("bp35c2_udg1wsne_readme.txt", False), ("bp35c2_issue5.txt", True)])
async def test_scans_and_a_send_of_a_bp35c2(name: str, *, has_echo: bool) -> None:
    with simulated_port(STRONG) as sim:
        async with opened(sim) as host:
            for command in ("SKSETPWD C " + "0" * 12, "SKSETRBID " + "0" * 32, "SKSREG S2 3B", "SKSREG S3 0"):
                await host.ask(command)
            await host.ask(f"SKJOIN {ADDRESS}")
            await host.ask(f"SKSREG SFE {int(has_echo)}")
            for command, answers in exchanges(transcript(name)):
                data = f"{command}\r\n".encode()
                if sent := re.fullmatch("(SKSENDTO 1 )(.{39})( .* )<bytes (.*)>", command):
                    data = (sent[1] + ADDRESS + sent[3]).encode() + bytes.fromhex(sent[4])
                lines = await lines_after(host, data)
                # The excerpt of the scan breaks off within its block.
                assert [form(line) for line in lines][: len(answers)] == [form(line) for line in answers], command


async def test_the_start_of_a_rs_wsuha_p_with_echo() -> None:
    with simulated_port(ZEROS) as sim:
        async with opened(sim) as host:
            for command in ("SKSREG S2 39", "SKSREG S3 8888"):
                await host.ask(command)
            lines = transcript("rs_wsuha_p_readme.txt")
            commands = [line for line in lines if line.startswith("SK")]
            received = [line for command in commands for line in await lines_after(host, f"{command}\r\n".encode())]
            # The excerpt breaks off before the scan ends.
            assert [form(line) for line in received][: len(lines)] == [form(line) for line in lines]
