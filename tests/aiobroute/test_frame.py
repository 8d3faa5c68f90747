"""ECHONET Lite frames."""

from hypothesis import given, strategies as st
import pytest

from custom_components.broute.aiobroute import FrameError
from custom_components.broute.aiobroute.echonet.frame import (
    CONTROLLER,
    NODE_PROFILE,
    SMART_METER,
    Esv,
    Frame,
)

CASES = [
    (
        "1081000105FF010288016204E700E800E000E300",
        Frame.get(1, (0xE7, 0xE8, 0xE0, 0xE3)),
    ),
    ("1081000605FF010288016101E50101", Frame.setc(6, 0xE5, b"\x01")),
    (
        "1081000502880105FF015202E704000001F8E300",
        Frame(
            tid=5,
            source=SMART_METER,
            destination=CONTROLLER,
            esv=Esv.GET_SNA,
            properties=((0xE7, b"\0\0\1\xf8"), (0xE3, b"")),
        ),
    ),
    (
        "108103610EF0010EF0017301D50401028801",
        Frame(
            tid=0x361,
            source=NODE_PROFILE,
            destination=NODE_PROFILE,
            esv=Esv.INF,
            properties=((0xD5, b"\1\2\x88\1"),),
        ),
    ),
]

objects = st.integers(0, 0xFFFFFF)
frames = st.builds(
    Frame,
    tid=st.integers(0, 0xFFFF),
    source=objects,
    destination=objects,
    esv=st.sampled_from(Esv),
    properties=st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=255)), max_size=255).map(tuple),
)


@pytest.mark.parametrize(("text", "frame"), CASES)
def test_both_directions(text: str, frame: Frame) -> None:
    assert frame.encode().hex().upper() == text
    assert Frame.decode(bytes.fromhex(text)) == frame


@given(frames)
def test_round_trip(frame: Frame) -> None:
    assert Frame.decode(frame.encode()) == frame


@given(frames, st.data())
def test_a_frame_cut_off_is_no_frame(frame: Frame, data: st.DataObject) -> None:
    encoded = frame.encode()
    length = data.draw(st.integers(0, len(encoded) - 1))
    with pytest.raises(FrameError):
        Frame.decode(encoded[:length])


@given(frames, st.binary(min_size=1, max_size=9))
def test_a_frame_that_goes_on_is_no_frame(frame: Frame, more: bytes) -> None:
    with pytest.raises(FrameError):
        Frame.decode(frame.encode() + more)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_frame_or_an_error(data: bytes) -> None:
    try:
        frame = Frame.decode(data)
    except FrameError:
        return
    assert frame.encode() == data


@pytest.mark.parametrize("text", ["1082000105FF010288016201E700", "1081000105FF010288019901E700"])
def test_other_formats_and_services(text: str) -> None:
    with pytest.raises(FrameError):
        Frame.decode(bytes.fromhex(text))


def test_a_notification_is_confirmed_with_its_own_codes() -> None:
    infc = Frame.decode(bytes.fromhex("1081000902880105FF017401EA0B07EA0B170E1E000001E240"))
    assert infc.confirmation().encode().hex().upper() == "1081000905FF010288017A01EA00"
