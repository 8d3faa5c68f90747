"""What a record is made of: units of what goes over a port, and what is invented in them."""

import asyncio
from decimal import Decimal
import itertools
import re

from hypothesis import given, settings, strategies as st
import pytest

from custom_components.broute.aiobroute import Credentials, connect
from custom_components.broute.aiobroute.echonet.frame import SMART_METER, Esv, Frame
from custom_components.broute.aiobroute.records.household import shown as shown_payload
from custom_components.broute.aiobroute.records.invention import HIGHEST, Inventions
from custom_components.broute.aiobroute.records.redaction import shown
from custom_components.broute.aiobroute.records.units import Bytes, Data, Line, Packet, Splitter, units_of
from tests.simulator import scenarios
from tests.simulator.scenarios import PASSWORD, ROUTE_B_ID
from tests.simulator.transport import simulated_port

from .virtual_time import clock, run

MAC = "001C640003D2A1B7"
ADDRESS = "FE80:0000:0000:0000:021C:6400:03D2:A1B7"
HEAD = f"ERXUDP {ADDRESS} {ADDRESS} 0E1A 0E1A {MAC} 1 0 "
POWER = bytes.fromhex("1081000102880105FF017201E704000001F8")
OWN = Inventions(b"a secret")


class Ear:
    """Keeps what went over a port."""

    def __init__(self) -> None:
        self.sent_at_once: list[bytes] = []
        self.heard = b""
        self.happened: list[str] = []

    def opened(self, baudrate: int) -> None:
        self.happened.append(f"opened {baudrate}")

    def sent(self, data: bytes) -> None:
        self.sent_at_once.append(data)

    def received(self, data: bytes) -> None:
        self.heard += data

    def closed(self) -> None:
        self.happened.append("closed")


def listened(module: str, payload: str = "hex") -> Ear:
    ear = Ear()

    async def read() -> None:
        async with await connect(sim.url, Credentials(ROUTE_B_ID, PASSWORD), tap=ear) as meter:
            await meter.read()
            await meter.history.ask(await meter.history.today())

    with simulated_port(scenarios.SOLAR, module=module, payload=payload, speed=1, clock=clock) as sim:  # type: ignore[arg-type]
        run(read())
        assert len(ear.heard) == sim.record.bytes_to_host
        assert b"".join(ear.sent_at_once) == bytes(sim.record.received)
    return ear


@pytest.fixture(scope="module")
def ears() -> dict[str, Ear]:
    told = {
        f"{module} {payload}": listened(module, payload)
        for module in ("bp35c2", "bp35a1")
        for payload in ("hex", "binary")
    }
    return {**told, "j11": listened("j11")}


KINDS = ("bp35c2 hex", "bp35c2 binary", "bp35a1 hex", "bp35a1 binary", "j11")


@pytest.mark.parametrize("kind", KINDS)
def test_a_tap_hears_everything(kind: str, ears: dict[str, Ear]) -> None:
    assert ears[kind].happened == ["opened 115200", "closed"]
    units = [
        *itertools.chain.from_iterable(map(units_of, ears[kind].sent_at_once)),
        *Splitter().receive(ears[kind].heard),
    ]
    assert not [unit for unit in units if isinstance(unit, Bytes)], "all of it is understood"
    assert any(isinstance(unit, Data) for unit in units) == (kind != "j11")


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=30)
@given(data=st.data())
def test_any_cutting_gives_the_same_bytes(kind: str, ears: dict[str, Ear], data: st.DataObject) -> None:
    heard = ears[kind].heard
    edges = sorted(data.draw(st.lists(st.integers(0, len(heard)), max_size=40)))
    splitter = Splitter()
    units = [
        unit
        for begin, end in itertools.pairwise([0, *edges, len(heard)])
        for unit in splitter.receive(heard[begin:end])
    ]
    assert not [*splitter.flush()]
    assert b"".join(unit.encode() for unit in units if not isinstance(unit, Bytes)) == heard


@given(
    st.lists(
        st.one_of(st.binary(max_size=60), st.sampled_from((b"\r\n", b"\xd0\xf9\xee\x5d", HEAD.encode() + b"0004 ")))
    )
)
def test_of_noise_nothing_is_lost_and_nothing_invented(pieces: list[bytes]) -> None:
    splitter = Splitter()
    units = [unit for piece in pieces for unit in splitter.receive(piece)] + [*splitter.flush()]
    assert sum(unit.size if isinstance(unit, Bytes) else len(unit.encode()) for unit in units) == sum(map(len, pieces))


@given(st.binary(max_size=80))
def test_noise_is_not_kept(noise: bytes) -> None:
    for unit in [*units_of(noise), *Splitter().receive(noise + b"\r\n")]:
        text = str(shown(unit, OWN))
        assert text.isascii()
        assert text.isprintable()
        assert re.fullmatch(r"bytes \d+|line(-cr|-lf)?( (SK[A-Z]+|OK|EPANDESC))?", text), (
            "no more than words of the manual"
        )


@pytest.mark.parametrize(
    ("heard", "units"),
    [
        (b"OK\r\n", [Line("OK")]),
        (b"OK 01\r", [Line("OK 01", "-cr")]),
        (b"\n", [Line("", "-lf")]),
        (b"x" * 5000, [Bytes(5000)]),
        (
            b"abc" + Packet(0x206B, b"\1", is_request=False).encode(),
            [Bytes(3), Packet(0x206B, b"\1", is_request=False)],
        ),
        (bytes.fromhex("D0F9EE5D 206B 0005 0000 0001 01"), [Bytes(13)]),
        (
            Packet(0x206B, b"\1", is_request=False).encode()[:-1] + b"\2OK\r\n",
            [Bytes(1), Line("\xf9\xee\x5d\x20\x6b\0\5\3\xa4\0\1\2OK")],
        ),
        (
            HEAD.encode() + b"0012 " + POWER.hex().upper().encode() + b"\r\n",
            [Line(HEAD + "0012 " + POWER.hex().upper())],
        ),
        (HEAD.encode() + b"0012 " + POWER + b"\r\n", [Data(HEAD + "0012 ", POWER)]),
        (HEAD.encode() + b"0004 A\r\nB\r", [Data(HEAD + "0004 ", b"A\r\nB", "-cr")]),
        (
            HEAD.encode() + b"0012 10\r\n0123456789OK\r\nOK\r\n",
            [Bytes(len(HEAD) + 5), Line("10"), Line("0123456789OK"), Line("OK")],
        ),
        (HEAD.encode() + b"FFFF 10\r\n", [Bytes(len(HEAD) + 5), Line("10")]),
    ],
)
def test_what_a_module_says(heard: bytes, units: list[object]) -> None:
    splitter = Splitter()
    assert [*splitter.receive(heard), *splitter.flush()] == units


@pytest.mark.parametrize("size", range(2, 20))
def test_what_was_begun_is_waited_for(size: int) -> None:
    heard = HEAD.encode() + b"0002 \r\n\r\n"
    frame = Packet(0x206B, b"\1\2", is_request=False).encode()
    for whole in (heard, frame):
        splitter = Splitter()
        assert [*splitter.receive(whole[:-size])] == []
        assert len([*splitter.receive(whole[-size:])]) == 1


@pytest.mark.parametrize(
    ("sent", "units"),
    [
        (b"\r\nSKVER\r\n", [Line(""), Line("SKVER")]),
        (b"\r" * 40, [Bytes(40)]),
        (Packet(0x6B, b"", is_request=True).encode(), [Packet(0x6B, b"", is_request=True)]),
        (Packet(0x6B, b"", is_request=True).encode() + b"x", [Bytes(13)]),
        (bytes.fromhex("D0EA83FC"), [Bytes(4)]),
    ],
)
def test_what_is_said_to_a_module(sent: bytes, units: list[object]) -> None:
    assert list(units_of(sent)) == units


def test_what_is_invented_is_stable_and_of_the_same_form() -> None:
    assert OWN.mac(MAC) == OWN.mac(MAC) != Inventions(b"another").mac(MAC)
    assert OWN.mac(MAC)[:8] == "001C641D"
    assert OWN.address(ADDRESS).replace(":", "")[16:] == f"{int(OWN.mac(MAC), 16) ^ 1 << 57:016X}"
    assert OWN.route_b_id(ROUTE_B_ID)[-8:] == OWN.pair_id(ROUTE_B_ID[-8:])
    assert OWN.pan_id("8A3C")[:2] == "1D"
    assert OWN.pan_id("FFFF") == "FFFF"
    assert OWN.serial_number(b"S18-1234567\0") == b"X0000000000\0"
    assert OWN.address("FF02:0000:0000:0000:0000:0000:0000:0001") == "FF02:0000:0000:0000:0000:0000:0000:0001"


@given(st.binary(min_size=1), st.lists(st.integers(0, HIGHEST), min_size=2).map(sorted))
def test_counters_go_on_as_they_did_but_slower(key: bytes, counts: list[int]) -> None:
    inventions = Inventions(key)
    scaled = [inventions.counter("in", count) for count in counts]
    assert scaled == sorted(scaled)
    assert all(0 <= each <= HIGHEST for each in scaled)
    for (before, after), (first, second) in zip(itertools.pairwise(counts), itertools.pairwise(scaled), strict=True):
        assert second - first <= Decimal("0.9") * (after - before) + 1
        assert second - first >= Decimal("0.3") * (after - before) - 1
    assert inventions.counter("in", 0xFFFF_FFFE) == 0xFFFF_FFFE


def properties(payload: bytes) -> dict[int, bytes]:
    return dict(Frame.decode(payload).properties)


def frame(*told: tuple[int, str], source: int = SMART_METER) -> bytes:
    held = tuple((code, bytes.fromhex(data)) for code, data in told)
    return Frame(tid=1, source=source, destination=0x05FF01, esv=Esv.GET_RES, properties=held).encode()


def test_what_is_measured_is_scaled_alike() -> None:
    payload = frame((0xE7, "00002710"), (0xE8, "00640064"), (0xE0, "000186A0"), (0xE2, "0000" + "000186A0" * 48))
    told = properties(shown_payload(payload, OWN))
    power = int.from_bytes(told[0xE7])
    assert 3000 <= power <= 9000
    assert told[0xE8] == (power // 100).to_bytes(2) * 2 or abs(int.from_bytes(told[0xE8][:2]) - power / 100) <= 1
    assert told[0xE2] == bytes(2) + told[0xE0] * 48


@pytest.mark.parametrize(
    ("code", "data", "kept"),
    [
        (0xE7, "7FFFFFFE", "7FFFFFFE"),
        (0xE8, "7FFE7FFE", "7FFE7FFE"),
        (0xE0, "FFFFFFFE", "FFFFFFFE"),
        (0x97, "0E07", "0E07"),
        (0x97, "FF07", "0000"),
        (0x81, "08", "08"),
        (0x81, "01" + "35" * 16, "00" * 17),
        (0x83, "FE00001653" + "31" * 12, "FE000016" + "00" * 13),
        (0x83, "0000001653" + "31" * 12, "00" * 17),
        (0x86, "0300001601", "00" * 5),
        (0xF0, "0102", "0000"),
        (0xE0, "0102", "0000"),
        (0xE0, "", ""),
    ],
)
def test_what_is_kept_of_a_property(code: int, data: str, kept: str) -> None:
    assert properties(shown_payload(frame((code, data)), OWN)) == {code: bytes.fromhex(kept)}


@pytest.mark.parametrize(
    ("code", "data", "kept"),
    [
        (0xD5, "01028801", "01028801"),
        (0xD4, "0002", "0002"),
        (0xD4, "53313831", "00000000"),
        (0x83, "FE00001653" + "31" * 12, "FE000016" + "00" * 13),
        (0x8D, "5331", "0000"),
        (0xE0, "000186A0", "00000000"),
    ],
)
def test_what_is_kept_of_the_node(code: int, data: str, kept: str) -> None:
    assert properties(shown_payload(frame((code, data), source=0x0EF001), OWN)) == {code: bytes.fromhex(kept)}


def test_what_is_no_frame_of_the_meter_is_left_out() -> None:
    for payload in (b"S18012345678", frame((0xE7, "000001F8"), source=0x05FF01), frame((0xE7, "000001F8"))[:-1]):
        assert shown_payload(payload, OWN) == bytes(len(payload))


@pytest.mark.parametrize(
    ("unit", "said"),
    [
        (Line("SKSETPWD C Zq7vXk2wPm9s"), "line SKSETPWD C XXXXXXXXXXXX"),
        (Line("SKSETPWD C Zq7v"), "bytes 17"),
        (Line("SKSREG S1 ABCD"), "bytes 16"),
        (Line("hello"), "bytes 7"),
        (Line("EVENT 32"), "line EVENT 32"),
        (Line(HEAD + "0012 10810"), f"bytes {len(HEAD) + 12}"),
        (Data("SKSENDTO 2 ", b"abc", "-open"), "bytes 14"),
        (Data(HEAD.replace("0E1A", "02CC") + "0004 ", b"abcd"), "0004 00000000"),
        (Bytes(3), "bytes 3"),
        (Packet(0x0008, b"abc", is_request=True), "frame 0008 000000"),
        (
            Packet(0x0008, bytes(16) + bytes.fromhex("02CC02CC000261") + b"b", is_request=True),
            "frame 0008 " + "00" * 24,
        ),
        (Packet(0x0051, b"abc", is_request=True), "frame 0051 000000"),
        (Packet(0x0054, b"abc", is_request=True), "frame 0054 000000"),
        (Packet(0x0005, b"abc", is_request=True), "frame 0005 000000"),
        (Packet(0x0059, b"abc", is_request=True), "frame 0059 000000"),
        (Packet(0x2054, b"", is_request=False), "frame 2054"),
        (Packet(0x2054, b"\1abc", is_request=False), "frame 2054 01000000"),
        (Packet(0x2008, b"\1", is_request=False), "frame 2008 00"),
        (Packet(0x2053, b"\x0e", is_request=False), "frame 2053 0E"),
        (Packet(0x4051, b"\1abc", is_request=False), "frame 4051 00000000"),
        (Packet(0x4051, b"\0abc", is_request=False), "frame 4051 00000000"),
        (Packet(0x6018, b"abc", is_request=False), "frame 6018 000000"),
        (Packet(0x6018, bytes(40), is_request=False), "frame 6018 " + "00" * 40),
        (Packet(0x601A, b"\1", is_request=False), "frame 601A 01"),
        (Packet(0x6038, b"\1abc", is_request=False), "frame 6038 01000000"),
        (
            Packet(0x6038, b"\1" + bytes.fromhex("FF02" + "00" * 13 + "01") + b"\1\2\3\4", is_request=False),
            "frame 6038 01FF02" + "00" * 13 + "0101020304",
        ),
    ],
)
def test_what_is_shown(unit: Line | Data | Packet | Bytes, said: str) -> None:
    assert str(shown(unit, OWN)).endswith(said)


def test_a_tap_hears_that_a_port_went_away() -> None:
    ear = Ear()

    async def lose() -> None:
        async with await connect(sim.url, Credentials(ROUTE_B_ID, PASSWORD), tap=ear):
            sim.unplug()
            await asyncio.sleep(1)
            assert ear.happened == ["opened 115200", "closed"]

    with simulated_port(scenarios.NORMAL, speed=1, clock=clock) as sim:
        run(lose())
    assert ear.happened == ["opened 115200", "closed"]
