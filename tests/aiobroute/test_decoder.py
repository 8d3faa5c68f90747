"""From bytes to messages, whatever the line does to them."""

import itertools
import logging
import re

from hypothesis import given, strategies as st
import pytest

from custom_components.broute.aiobroute.skstack.decoder import MAX_DATAGRAM, MAX_LINE, Decoder
from custom_components.broute.aiobroute.skstack.messages import (
    Event,
    Fail,
    Line,
    Message,
    Ok,
    PanDescriptor,
    ReceivedUdp,
)
from tests.transcripts import TRANSCRIPTS, needs_transcripts

METER = "FE80:0000:0000:0000:021C:6400:03D2:A1B7"
DONGLE = "FE80:0000:0000:0000:021D:1291:1234:5678"
PAYLOAD = bytes.fromhex("1081000102880105FF017201E704000001F8")
AWKWARD = bytes.fromhex("10810D0A20880105FF017201E7040D0A20F8")
"""A payload in which bytes look like the end of a line."""


def udp(head: str, payload: bytes, *, binary: bool = False, port: str = "0E1A") -> bytes:
    start = f"ERXUDP {METER} {DONGLE} {port} {port} 001C640003D2A1B7 {head} {len(payload):04X} ".encode()
    return start + (payload if binary else payload.hex().upper().encode()) + b"\r\n"


def received(payload: bytes, *, lqi: int | None = None, port: int = 0x0E1A, secured: bool = True) -> ReceivedUdp:
    return ReceivedUdp(source=METER, port=port, lqi=lqi, secured=secured, data=payload)


SESSION: list[tuple[bytes, Message | None]] = [
    (b"SKVER\r\n", Line("SKVER")),
    (b"EVER 1.5.2\r\n", Line("EVER 1.5.2")),
    (b"OK\r\n", Ok()),
    (b"OK 01\r", Ok("01")),
    (b"FAIL ER04\r\n", Fail("ER04")),
    (f"EVENT 20 {DONGLE} 0\r\n".encode(), Event(0x20, DONGLE)),
    (f"EVENT 21 {METER} 02\r\n".encode(), Event(0x21, METER, 2)),
    (f"EVENT 21 {METER} 0 00\r\n".encode(), Event(0x21, METER, 0)),
    (b"EVENT C0\r\n", Event(0xC0, "")),
    (
        (
            b"EPANDESC\r\n  Channel:31\r\n  Channel Page:09\r\n  Pan ID:8A3C\r\n  Addr:001C640003D2A1B7\r\n"
            b"  LQI:DD\r\n  Side:0\r\n  PairID:89ABCDEF\r\n"
        ),
        PanDescriptor(channel=0x31, pan_id=0x8A3C, mac="001C640003D2A1B7", lqi=0xDD, pair_id="89ABCDEF"),
    ),
    (udp("1", PAYLOAD), received(PAYLOAD)),
    (udp("1 0", AWKWARD, binary=True), received(AWKWARD)),
    (udp("B4 1 0", AWKWARD, binary=True), received(AWKWARD, lqi=0xB4)),
    (udp("0 0", b"\0\0\0\x28", port="02CC"), received(b"\0\0\0\x28", port=0x02CC, secured=False)),
    (udp("1 0", b"", binary=True), received(b"")),
    (b"\r\n", None),
    (f"EVENT 25 {METER}\r\n".encode(), Event(0x25, METER)),
]
STREAM = b"".join(data for data, _ in SESSION)
MESSAGES = [message for _, message in SESSION if message is not None]


def decode(*chunks: bytes) -> list[Message]:
    decoder = Decoder()
    return [message for chunk in chunks for message in decoder.receive(chunk)]


def test_every_kind_of_message() -> None:
    assert decode(STREAM) == MESSAGES


@given(st.lists(st.integers(0, len(STREAM)), max_size=30))
def test_any_cutting_gives_the_same_messages(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(STREAM)]
    assert decode(*(STREAM[a:b] for a, b in itertools.pairwise(edges))) == MESSAGES


def test_one_byte_at_a_time() -> None:
    assert decode(*(bytes((byte,)) for byte in STREAM)) == MESSAGES


@given(st.binary(max_size=200))
def test_any_bytes_are_survived(noise: bytes) -> None:
    # A line end closes the noise; bytes that a damaged length still promises are given, too.
    *_, last = decode(noise, b"\r\n" * (MAX_DATAGRAM + MAX_LINE), b"EVENT C0\r\n")
    assert last == Event(0xC0, "")


@given(st.binary(max_size=18), st.booleans())
def test_both_forms_of_a_payload(data: bytes, binary: bool) -> None:  # noqa: FBT001
    payload = b"\x10" + data
    assert decode(udp("1 0", payload, binary=binary)) == [received(payload)]


def test_a_binary_payload_that_looks_like_digits() -> None:
    assert decode(udp("1 0", b"12", binary=True), b"OK\r\n" * 2)[0] == received(b"12")


@pytest.mark.parametrize("noise", [b"\xff\x00", b"\xf8 \x80", b"\x1b[A ", b"garbage ", b"\n\n"])
def test_noise_before_a_datagram_costs_nothing(noise: bytes) -> None:
    assert decode(noise + udp("1 0", PAYLOAD)) == [received(PAYLOAD)]


@pytest.mark.parametrize("noise", [b"\xff\x00", b"\n", b"\x80 "])
def test_noise_before_a_line_costs_nothing(noise: bytes) -> None:
    assert decode(noise + b"OK\r\n", noise + b"EVENT C0\r\n") == [Ok(), Event(0xC0, "")]


@pytest.mark.parametrize(
    "damaged",
    [
        udp("1 0", PAYLOAD)[:60] + b"\r\n",
        udp("1 0", PAYLOAD)[:-8] + b"\r\n",
        udp("1 0", PAYLOAD).replace(b"0012", b"0013"),
        udp("1 0", PAYLOAD).replace(b"0012", b"FFFF"),
        udp("1 0", PAYLOAD).replace(b"0012", b"00G2"),
        udp("1 0 1 0 0", PAYLOAD),
        udp("", PAYLOAD).replace(b"  ", b" "),
        udp("1 0", PAYLOAD).replace(b"1081", b"10X1"),
        udp("1 0", PAYLOAD).replace(METER.encode(), METER.encode()[1:]),
        udp("1 0", PAYLOAD, binary=True)[:-9] + b"\r\n",
        b"EVENT ZZ\r\n",
        b"x" * (2 * MAX_LINE) + b"\r\n",
    ],
)
def test_a_damaged_message_costs_only_itself(damaged: bytes, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    messages = decode(damaged + b"EVENT C0\r\n" * 40 + udp("1 0", AWKWARD))
    assert not [message for message in messages[:-1] if isinstance(message, ReceivedUdp)]
    assert messages[-1] == received(AWKWARD)
    assert "1081" not in caplog.text


def test_a_damaged_message_leaves_the_next_one() -> None:
    cut = udp("1 0", PAYLOAD, binary=True)[:-9] + b"\r\n"
    assert decode(cut + udp("1 0", AWKWARD))[-1] == received(AWKWARD)


BLOCK = SESSION[9][0]


def test_a_block_without_its_last_line_ends_with_the_scan() -> None:
    cut = BLOCK.replace(b"  PairID:89ABCDEF\r\n", b"")
    *_, descriptor, event = decode(cut + f"EVENT 22 {DONGLE} 0\r\n".encode())
    assert isinstance(descriptor, PanDescriptor)
    assert descriptor.pair_id is None
    assert event == Event(0x22, DONGLE)


def test_a_block_cut_in_half_is_left_out() -> None:
    cut = BLOCK.replace(b"  Addr:001C640003D2A1B7\r\n", b"")
    assert decode(cut + BLOCK) == [SESSION[9][1]]


def test_other_lines_may_stand_within_a_block() -> None:
    first, _, rest = BLOCK.partition(b"  Pan ID")
    datagram = udp("1 0", PAYLOAD)
    assert decode(first + datagram + b"  Pan ID" + rest) == [received(PAYLOAD), SESSION[9][1]]


def test_a_line_shows_only_what_holds_no_credential() -> None:
    assert repr(Line("EVER 1.5.2")) == "EVER 1.5.2"
    assert "0123" not in repr(Line("SKSETPWD C 0123456789AB"))
    assert "0123" not in repr(Line("SKSETRBID 0123456789ABCDEF"))


@needs_transcripts
def test_lines_of_a_real_bp35a1() -> None:
    text = (TRANSCRIPTS / "bp35a1_m5stickc_wire.txt").read_text()
    lines = re.findall(r"^\d+ < (.*)$", text, re.MULTILINE)
    messages = decode("\r\n".join((*lines, "")).encode())
    assert sum(line.startswith("ERXUDP") for line in lines) == sum(isinstance(m, ReceivedUdp) for m in messages) > 40
    assert sum(line == "OK" for line in lines) == sum(isinstance(m, Ok) for m in messages)
    assert sum(line.startswith("EVENT") for line in lines) == sum(isinstance(m, Event) for m in messages)
    assert sum(line == "EPANDESC" for line in lines) == sum(isinstance(m, PanDescriptor) for m in messages) == 1
    assert sum(isinstance(m, Line) for m in messages) == 1  # the address that SKLL64 answers with
