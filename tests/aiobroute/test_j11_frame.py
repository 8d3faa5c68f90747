"""From bytes to frames of a J11 module, whatever the line does to them."""

import itertools
import logging

from hypothesis import given, strategies as st
import pytest

from custom_components.broute.aiobroute.j11.frame import FROM_MODULE, MAX_DATA, REQUEST, Decoder, Frame
from tests.transcripts import TRANSCRIPTS, needs_transcripts

STARTED = bytes.fromhex("D0F9EE5D6019000403910000")
PASSED_ON = st.builds(Frame, st.integers(0, 0xFFFF), st.binary(max_size=MAX_DATA))


def said(frame: Frame) -> bytes:
    """Return a frame as a module sends it, by the table of the specification."""
    head = FROM_MODULE + frame.code.to_bytes(2) + (4 + len(frame.data)).to_bytes(2)
    return head + (sum(head) % 0x10000).to_bytes(2) + (sum(frame.data) % 0x10000).to_bytes(2) + frame.data


SESSION = [
    Frame(0x6019),
    Frame(0x206B, bytes.fromhex("01040001030000158A")),
    Frame(0x2054, b"\x01"),
    Frame(0x4051, bytes.fromhex("000F01001C640003D2A1B78A3CC4")),
    Frame(0x6018, FROM_MODULE + bytes(30) + STARTED),
    Frame(0x2008, bytes.fromhex("0100")),
    Frame(0x6018, b"\xff" * MAX_DATA),
    Frame(0x6028, bytes.fromhex("01001C640003D2A1B7")),
]
"""One of them holds another in its data."""
STREAM = b"".join(map(said, SESSION))


def decode(*chunks: bytes) -> list[Frame]:
    decoder = Decoder()
    return [frame for chunk in chunks for frame in decoder.receive(chunk)]


def test_a_request_as_the_specification_has_it() -> None:
    assert Frame(0x00D9).encode().hex().upper() == "D0EA83FC00D9000404160000"
    assert Frame(0x005F, bytes((5, 0, 4, 0))).encode().hex().upper() == "D0EA83FC005F000803A0000905000400"


def test_two_frames_in_one_read() -> None:
    assert decode(STREAM) == SESSION


def test_one_byte_at_a_time() -> None:
    assert decode(*(bytes((byte,)) for byte in STREAM)) == SESSION


@given(st.lists(st.integers(0, len(STREAM)), max_size=30))
def test_any_cutting_gives_the_same_frames(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(STREAM)]
    assert decode(*(STREAM[a:b] for a, b in itertools.pairwise(edges))) == SESSION


@given(PASSED_ON, st.binary(max_size=40).filter(lambda noise: FROM_MODULE[:1] not in noise))
def test_garbage_before_a_frame_costs_nothing(frame: Frame, noise: bytes) -> None:
    assert decode(noise + said(frame) + noise + STARTED) == [frame, Frame(0x6019)]


@given(st.binary(max_size=200), st.booleans())
def test_any_bytes_are_survived(noise: bytes, begins: bool) -> None:  # noqa: FBT001
    decoder = Decoder()
    frames = [*decoder.receive(FROM_MODULE * begins + noise), *decoder.receive(STARTED), *decoder.give_up()]
    assert frames[-1] == Frame(0x6019)
    assert list(decoder.receive(STARTED)) == [Frame(0x6019)]


@given(st.sampled_from(SESSION), st.data())
def test_one_wrong_byte_costs_one_frame(frame: Frame, data: st.DataObject) -> None:
    right = said(frame)
    place = data.draw(st.integers(0, len(right) - 1))
    wrong = bytearray(right)
    wrong[place] ^= data.draw(st.integers(1, 0xFF))
    decoder = Decoder()
    frames = [*decoder.receive(bytes(wrong) + STARTED), *decoder.give_up()]
    assert frames[-1] == Frame(0x6019)
    # What stands in the data of a damaged frame is a frame of its own.
    assert set(frames) == {Frame(0x6019)}


@given(st.sampled_from(SESSION), st.data())
def test_a_frame_cut_off_by_a_reset_costs_only_itself(frame: Frame, data: st.DataObject) -> None:
    whole = said(frame)
    part = whole[: data.draw(st.integers(0, min(len(whole) - 1, 40)))]
    decoder = Decoder()
    assert [*decoder.receive(part + STARTED), *decoder.give_up()] == [Frame(0x6019)]
    assert list(decoder.receive(STREAM)) == SESSION


@pytest.mark.parametrize("length", [0, 3, MAX_DATA + 5, 0xFFFF])
def test_a_length_that_cannot_be_is_no_frame(length: int) -> None:
    head = FROM_MODULE + bytes.fromhex("6018") + length.to_bytes(2)
    assert decode(head + sum(head).to_bytes(2) + bytes(2) + STARTED) == [Frame(0x6019)]


def test_an_echo_is_no_frame() -> None:
    assert decode(Frame(0x006B).encode() + b"SKVER\r\nOK\r\n" + STARTED) == [Frame(0x6019)]


def test_a_damaged_frame_is_told_without_its_bytes(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    assert decode(said(Frame(0x6018, b"secret"))[:-1] + b"?", said(Frame(0x6018))[:8] + b"??" + STARTED)
    assert "damaged data" in caplog.text
    assert "damaged header" in caplog.text
    assert "secret" not in caplog.text
    assert "secret" not in repr(Frame(0x0054, b"secret"))


@needs_transcripts
def test_frames_of_an_independent_library() -> None:
    lines = [line.split() for line in (TRANSCRIPTS / "j11_vectors.txt").read_text().splitlines() if line[:1] in "<>"]
    assert len(lines) == 48
    for direction, text, _ in lines:
        data = bytes.fromhex(text)
        frame = Frame(int.from_bytes(data[4:6]), data[12:])
        if direction == ">":
            assert data.startswith(REQUEST)
            assert frame.encode() == data
        else:
            assert decode(data) == [frame]
            assert said(frame) == data
