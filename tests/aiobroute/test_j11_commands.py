"""The bytes of each command of a J11 module, and what counts as its answer."""

from collections.abc import Iterable
from dataclasses import replace

from hypothesis import given, strategies as st
import pytest

from custom_components.broute.aiobroute import Beacon, Credentials, ModuleError, Pan
from custom_components.broute.aiobroute.command import Command, OnceMoreError
from custom_components.broute.aiobroute.j11 import commands as c
from custom_components.broute.aiobroute.j11.commands import J11Command, Result
from custom_components.broute.aiobroute.j11.frame import Decoder, Frame
from custom_components.broute.aiobroute.j11.messages import (
    Code,
    ConnectionChanged,
    Message,
    NotUnderstood,
    PacketLost,
    PanaEnded,
    ReceivedUdp,
    Response,
    Scanned,
    Started,
    Unknown,
    channel_of,
    message_of,
    number_of,
)
from custom_components.broute.aiobroute.module import ODD_CHANNELS, JoinOutcome, SendOutcome
from tests.transcripts import TRANSCRIPTS, needs_transcripts

ROUTE_B_ID = "0123456789ABCDEF0123456789ABCDEF"
PAN = Pan(channel=55, pan_id=0x8A3C, mac="001C640003D2A1B7")
METER = Beacon(pan=PAN, rssi=-60, lqi=None, pair_id=None)

OTHERS: tuple[Message, ...] = (
    Response(Code.GET_VERSION, 0xF0),
    Unknown(0x60D1),
    ConnectionChanged(1),
    PacketLost(2),
    ReceivedUdp(source=PAN.address, port=0x0E1A, encrypted=True, rssi=-60, data=b""),
)
"""What any command may meet and has to leave alone."""


class Waiting(Exception):  # noqa: N818  # it is no error
    """The reply script is content to wait so long."""


def answer[T](command: J11Command[T], *messages: Message | None) -> T:
    """Return what a command makes of these messages."""
    script = command.replies()
    patience = next(script)
    try:
        for message in messages:
            patience = script.send(message)
    except StopIteration as end:
        result: T = end.value
        return result
    raise Waiting(patience)


def done(code: Code, data: str = "", result: int = Result.DONE) -> Message:
    return Response(code, result, bytes.fromhex(data))


@pytest.mark.parametrize(
    ("command", "sent"),
    [
        (c.reset(), "D0EA83FC 00D9 0004 0416 0000"),
        (c.get_version(1), "D0EA83FC 006B 0004 03A8 0000"),
        (c.set_up(33), "D0EA83FC 005F 0008 03A0 0009 05 00 04 00"),
        (c.set_up(55), "D0EA83FC 005F 0008 03A0 0014 05 00 0F 00"),
        (
            c.set_credentials(Credentials(ROUTE_B_ID, "0123456789AB")),
            (
                "D0EA83FC 0054 0030 03BD 09D4 3031323334353637383941424344454630313233343536373839414243444546"
                "303132333435363738394142"
            ),
        ),
        (c.scan("89ABCDEF", ODD_CHANNELS, 6), "D0EA83FC 0051 0012 039C 03FF 06 0003FFF0 01 3839414243444546"),
        (c.scan("89ABCDEF", {55}, 7), "D0EA83FC 0051 0012 039C 028E 07 00008000 01 3839414243444546"),
        (c.start_route_b(), "D0EA83FC 0053 0004 0390 0000"),
        (c.open_udp_port(), "D0EA83FC 0005 0006 0344 0028 0E1A"),
        (c.start_pana(), "D0EA83FC 0056 0004 0393 0000"),
        (
            c.send(PAN.address, bytes.fromhex("1081000105FF010288016202E700E800")),
            (
                "D0EA83FC 0008 002A 036B 08E2 FE80000000000000021C640003D2A1B7 0E1A 0E1A 0010"
                "1081000105FF010288016202E700E800"
            ),
        ),
        (c.end_pana(), "D0EA83FC 0057 0004 0394 0000"),
        (c.end_route_b(), "D0EA83FC 0058 0004 0395 0000"),
    ],
    ids=lambda value: value.name if isinstance(value, Command) else "",
)
def test_the_bytes_of_each_command(command: J11Command[object], sent: str) -> None:
    assert command.data == bytes.fromhex(sent)
    assert ROUTE_B_ID not in repr(command)


@pytest.mark.parametrize(
    ("command", "messages", "expected"),
    [
        (c.reset(), [Started()], None),
        (c.get_version(1), [done(Code.GET_VERSION, "0400 01 03 0000158A")], "1.3.158A (0400)"),
        (c.set_up(33), [done(Code.SET_UP)], None),
        (c.open_udp_port(), [done(Code.OPEN_UDP_PORT, result=0x0A)], None),
        (c.start_route_b(), [done(Code.START_ROUTE_B, "0F 8A3C 001C640003D2A1B7 C4")], METER),
        (c.start_route_b(), [done(Code.START_ROUTE_B, result=0x0E)], None),
        (c.start_pana(), [done(Code.START_PANA), PanaEnded(JoinOutcome.JOINED)], JoinOutcome.JOINED),
        (c.start_pana(), [PanaEnded(JoinOutcome.REFUSED), done(Code.START_PANA)], JoinOutcome.REFUSED),
        (c.start_pana(), [done(Code.START_PANA, result=0x52), PanaEnded(JoinOutcome.UNHEARD)], JoinOutcome.UNHEARD),
        (c.end_pana(), [done(Code.END_PANA, result=0x37)], None),
        (c.end_route_b(), [done(Code.END_ROUTE_B)], None),
        (c.send(PAN.address, b"x"), [done(Code.SEND, "00")], SendOutcome.SENT),
        (c.send(PAN.address, b"x"), [done(Code.SEND, "10 1081")], SendOutcome.SENT),
        (c.send(PAN.address, b"x"), [done(Code.SEND, "1F")], SendOutcome.SENT),
        (c.send(PAN.address, b"x"), [done(Code.SEND, "02")], SendOutcome.RESTRICTED),
        (c.send(PAN.address, b"x"), [done(Code.SEND, "13")], SendOutcome.BUSY),
        (c.send(PAN.address, b"x"), [done(Code.SEND, "05")], SendOutcome.UNACKNOWLEDGED),
        (c.send(PAN.address, b"x"), [done(Code.SEND, "08")], SendOutcome.UNACKNOWLEDGED),
    ],
    ids=lambda value: value.name if isinstance(value, Command) else "",
)
def test_what_counts_as_an_answer(command: J11Command[object], messages: Iterable[Message], expected: object) -> None:
    others = OTHERS[command.name == "GET_VERSION" :]
    mixed = [each for message in messages for each in (*others, message)]
    assert answer(command, *mixed) == expected
    with pytest.raises(Waiting):
        answer(command, *mixed[:-1])


@pytest.mark.parametrize(
    ("command", "message", "told"),
    [
        (c.set_up(33), done(Code.SET_UP, result=0x34), "SET_UP failed with 34: not while Route B is in operation"),
        (c.start_pana(), done(Code.START_PANA, result=0x51), "START_PANA failed with 51: it has no credentials"),
        (c.scan("", {33}, 6), done(Code.SCAN, result=0x14), "SCAN failed with 14: not in this mode"),
        (c.get_version(1), done(Code.GET_VERSION, result=0x77), "GET_VERSION failed with 77: an unknown result"),
        (c.get_version(1), done(Code.GET_VERSION, "0400"), "GET_VERSION was answered in an unknown form"),
        (c.start_route_b(), done(Code.START_ROUTE_B, "0F"), "START_ROUTE_B was answered in an unknown form"),
        (c.send(PAN.address, b"x"), done(Code.SEND), "SEND was answered in an unknown form"),
        (c.send(PAN.address, b"x"), done(Code.SEND, result=0xF1), "SEND failed with F1: the data arrived damaged"),
    ],
    ids=lambda value: value.name if isinstance(value, Command) else "",
)
def test_what_a_module_refuses(command: J11Command[object], message: Message, told: str) -> None:
    with pytest.raises(ModuleError) as caught:
        answer(command, message)
    assert str(caught.value) == told
    assert caught.value.code == (told.partition("failed with ")[2][:2] or None)


@pytest.mark.parametrize("result", [0x13, 0x3D, 0xF0, 0xF1, 0xF2, 0xF3])
def test_what_a_module_wants_once_more(result: int) -> None:
    for command, code in (
        (c.set_up(33), Code.SET_UP),
        (c.start_pana(), Code.START_PANA),
        (c.end_pana(), Code.END_PANA),
    ):
        with pytest.raises(OnceMoreError):
            answer(command, done(code, result=result))


def test_a_frame_that_a_module_does_not_understand_is_wanted_once_more() -> None:
    assert message_of(Frame(0x2FFF, b"\xf0")) == message_of(Frame(0xFFFF)) == NotUnderstood()
    for command in (c.set_up(33), c.start_pana(), c.scan("", {33}, 6), c.get_version(1), c.reset()):
        with pytest.raises(OnceMoreError, match="was not understood"):
            answer(command, NotUnderstood())
    begun = c.start_pana()
    with pytest.raises(Waiting):  # By then it is what asks whether the module is there.
        answer(begun, done(Code.START_PANA), NotUnderstood())
    scanning = c.scan("", {33, 35}, 6)
    with pytest.raises(Waiting):
        answer(scanning, Scanned(33, ()), NotUnderstood())


def test_a_response_that_got_lost() -> None:
    assert answer(c.start_pana(), PanaEnded(JoinOutcome.JOINED), None) is JoinOutcome.JOINED
    assert answer(c.scan("", {33}, 6), Scanned(33, (METER,)), None) == [METER]
    with pytest.raises(TimeoutError):
        answer(c.start_pana(), None)


def test_an_authentication_without_an_end() -> None:
    assert answer(c.start_pana(), done(Code.START_PANA), None) is None


def test_a_notification_of_an_end_that_got_lost() -> None:
    told = ReceivedUdp(source=PAN.address, port=0x0E1A, encrypted=True, rssi=-60, data=b"")
    begun = done(Code.START_PANA)
    assert answer(c.start_pana(), begun, told, None) is JoinOutcome.JOINED
    assert answer(c.start_pana(), begun, told, PanaEnded(JoinOutcome.REFUSED)) is JoinOutcome.REFUSED
    assert answer(c.start_pana(), begun, replace(told, encrypted=False), None) is None


def test_a_packet_that_cannot_be_read() -> None:
    source = "FE80000000000000021C640003D2A1B7"
    assert message_of(Frame(0x6038, bytes.fromhex(f"01{source}01010000"))) == PacketLost(1, PAN.address)
    assert message_of(Frame(0x6038, b"\x01")) == PacketLost(1)
    assert message_of(Frame(0x6038)) == Unknown(0x6038)


def test_a_start_of_the_module_ends_every_command_but_the_reset() -> None:
    for command in (c.get_version(1), c.scan("", {33}, 6), c.start_route_b(), c.start_pana(), c.end_pana()):
        with pytest.raises(ModuleError, match="started anew") as caught:
            answer(command, *OTHERS[command.name == "GET_VERSION" :], Started())
        assert caught.value.code is None
    assert answer(c.reset(), Started()) is None


def test_a_scan_ends_with_its_answer() -> None:
    silent = [Scanned(channel, ()) for channel in (33, 35, 37)]
    command = c.scan("89ABCDEF", {33, 35, 37, 55}, 6)
    found = Scanned(55, (METER,))
    assert answer(command, *silent, found, *OTHERS, done(Code.SCAN)) == [METER]
    with pytest.raises(Waiting):
        answer(command, *silent, found)


def test_a_scan_that_is_answered_before_it_begins() -> None:
    command = c.scan("89ABCDEF", {33, 55}, 6)
    with pytest.raises(Waiting) as caught:
        answer(command, done(Code.SCAN))
    assert 1 < caught.value.args[0] < 2
    assert answer(command, done(Code.SCAN), Scanned(33, ()), Scanned(55, (METER,))) == [METER]
    assert answer(command, done(Code.SCAN), Scanned(55, (METER,)), None) == [METER], "the other channel got lost"


def test_every_result_that_means_something_has_a_meaning() -> None:
    assert set(Result) - set(c.MEANINGS) == {Result.DONE}


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        ("D0F9EE5D 6019 0004 0391 0000", Started()),
        ("D0F9EE5D 206B 000D 03AC 00A8 01 0400 01 03 0000158A", done(Code.GET_VERSION, "0400 01 03 0000158A")),
        ("D0F9EE5D 4051 0006 03AB 0005 01 04", Scanned(33, ())),
        ("D0F9EE5D 4051 0012 03B7 0447 00 0F 01 001C640003D2A1B7 8A3C C4", Scanned(55, (METER,))),
        ("D0F9EE5D 6028 000D 03A9 02AE 01 001C640003D2A1B7", PanaEnded(JoinOutcome.JOINED)),
        ("D0F9EE5D 601A 000E 039C 0375 04 001C640003D2A1B7 C4", ConnectionChanged(4)),
        (
            (
                "D0F9EE5D 6018 0037 03C3 0BAD FE80000000000000021C640003D2A1B7 0E1A 0E1A 8A3C 00 02 C4 0018"
                "1081000102880105FF017202E704000001F8E8040018000E"
            ),
            ReceivedUdp(
                source=PAN.address,
                port=0x0E1A,
                encrypted=True,
                rssi=-60,
                data=bytes.fromhex("1081000102880105FF017202E704000001F8E8040018000E"),
            ),
        ),
    ],
)
def test_what_frames_mean(frame: str, message: Message) -> None:
    (decoded,) = Decoder().receive(bytes.fromhex(frame))
    assert message_of(decoded) == message


@pytest.mark.parametrize(
    "frame",
    [
        Frame(0x6028),
        Frame(0x6028, b"\x07"),
        Frame(0x601A),
        Frame(0x6018, bytes(20)),
        Frame(0x6018, bytes(25) + b"\0\x05 4 B"),
        Frame(0x4051, b"\0\x0f\x02" + bytes(11)),
        Frame(0x206B),
        Frame(0x60D1),
        Frame(0x006B, b"\x01"),
    ],
)
def test_what_frames_do_not_mean(frame: Frame) -> None:
    assert message_of(frame) == Unknown(frame.code)


@given(st.integers(0, 0xFFFF), st.binary(max_size=60))
def test_any_frame_means_something_or_nothing(code: int, data: bytes) -> None:
    message = message_of(Frame(code, data))
    assert data.hex().upper() not in repr(message) or len(data) <= 2, "two bytes may happen to be the code"


def test_channels_have_two_numbers() -> None:
    assert [number_of(channel) for channel in sorted(ODD_CHANNELS)] == list(range(0x04, 0x12))
    assert all(channel_of(number_of(channel)) == channel for channel in ODD_CHANNELS)


@needs_transcripts
def test_frames_of_an_independent_library_mean_something() -> None:
    data = b"".join(
        bytes.fromhex(line.split()[1])
        for line in (TRANSCRIPTS / "j11_vectors.txt").read_text().splitlines()
        if line[:1] == "<"
    )
    messages = [message_of(frame) for frame in Decoder().receive(data)]
    assert len(messages) == 24
    assert not [message for message in messages if isinstance(message, Unknown)]
    scans = [message for message in messages if isinstance(message, Scanned)]
    assert [(scan.channel, len(scan.beacons)) for scan in scans] == [(39, 0), (49, 2)]
    (datagram,) = [message for message in messages if isinstance(message, ReceivedUdp)]
    assert datagram.data == bytes.fromhex("98765432")
