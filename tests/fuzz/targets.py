"""What is fuzzed; each function takes one example and fails if something is not as it should be."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from hypothesis import strategies as st

from custom_components.broute.aiobroute import (
    PROPERTIES,
    BRouteError,
    Credentials,
    FrameError,
    MeterProfile,
    Pan,
    Values,
    connect,
)
from custom_components.broute.aiobroute.echonet.frame import Frame
from custom_components.broute.aiobroute.j11.frame import Decoder as J11Decoder
from custom_components.broute.aiobroute.j11.messages import message_of
from custom_components.broute.aiobroute.skstack.decoder import Decoder
from tests.aiobroute.virtual_time import clock, run
from tests.simulator import scenarios
from tests.simulator.echonet import Excess
from tests.simulator.faults import Fault
from tests.simulator.habits import ModuleSettings
from tests.simulator.j11 import J11Module, frame as j11_frame
from tests.simulator.radio import Sending
from tests.simulator.scenarios import PASSWORD, ROUTE_B_ID
from tests.simulator.transport import SimulatedPort, simulated_port

METER: Final = "FE80:0000:0000:0000:021C:6400:03D2:A1B7"
DONGLE: Final = "FE80:0000:0000:0000:021D:1291:1234:5678"
PAN: Final = Pan(channel=0x31, pan_id=0x8A3C, mac="001C640003D2A1B7")
PROFILE: Final = MeterProfile.from_raw({"E1": "01", "D3": "00000001", "D7": "06", "get": "7"})

PATIENCE: Final = 4 * 3600.0
"""Seconds of simulated time after which a connection hangs; a restriction, of which there may be some, is an hour."""

CONNECTIONS: Final = 5
"""One after the other, if something ends them."""

PAUSE: Final = 2.0
"""Seconds between two readings, or two connections."""

_numbers = st.integers(0, 255).map(lambda number: f"{number:02X}")
cuts = st.sampled_from([0] * 9 + [-1, -5, 13, 20])
_codes = st.sampled_from(sorted(PROPERTIES)) | st.integers(0, 255)
_counters = st.tuples(st.sampled_from((0xE0, 0xE3)), st.integers(0, 0xFFFF_FFFF).map(lambda count: count.to_bytes(4)))
_plausible = st.tuples(st.sampled_from((0xE0, 0xE3)), st.integers(0, 99_999_999).map(lambda count: count.to_bytes(4)))
_properties = st.lists(st.tuples(_codes, st.binary(max_size=20)) | _counters | _plausible, max_size=4)
_lies = st.sampled_from([0] * 9 + [-1, 1, 5, 2000])
"""By how much a number that is told of what follows is wrong."""


def _echonet(tid: int, esv: int, properties: list[tuple[int, bytes]], lie: int, cut: int) -> bytes:
    body = b"".join(bytes((code, len(data))) + data for code, data in properties)
    count = (len(properties) + lie) % 256
    whole = b"\x10\x81" + tid.to_bytes(2) + bytes.fromhex("02880105FF01") + bytes((esv, count)) + body
    return whole[: cut or None]


def _erxudp(payload: bytes, secured: int, cut: int, lie: int) -> bytes:
    length = max(0, len(payload) + 30 * lie) % 0x10000
    line = f"ERXUDP {METER} {DONGLE} 0E1A 0E1A 001C640003D2A1B7 {secured} 0 {length:04X} {payload.hex().upper()}"
    return line.encode()[: len(line) - cut] + b"\r\n"


def _j11(code: int, data: bytes, cut: int, lie: int) -> bytes:
    """Return a frame, or one whose header is sound and tells a wrong length."""
    head = j11_frame(code, data)[:6] + ((4 + len(data) + lie) % 0x10000).to_bytes(2)
    whole = head + (sum(head) & 0xFFFF).to_bytes(2) + j11_frame(code, data)[10:]
    return whole[: cut or None]


def _received(payload: bytes) -> bytes:
    """Return what tells of a datagram (UARTIF 3.2.5.1)."""
    head = bytes.fromhex(METER.replace(":", "") + "0E1A0E1A8A3C0002C4")
    return head + len(payload).to_bytes(2) + payload


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Something with the transaction ID of the request that is open, so that it may be taken for its answer."""

    esv: int
    properties: list[tuple[int, bytes]]
    lie: int
    cut: int
    secured: int

    def payload(self, tid: int) -> bytes:
        """Return the datagram."""
        return _echonet(tid, self.esv, self.properties, self.lie, self.cut)

    def told(self, tid: int, *, is_j11: bool) -> bytes:
        """Return what the module prints."""
        payload = self.payload(tid)
        return _j11(0x6018, _received(payload), 0, 0) if is_j11 else _erxudp(payload, self.secured, 0, 0)


services = st.sampled_from([0x50, 0x51, 0x52, 0x53, 0x61, 0x62, 0x71, 0x72, 0x73, 0x74, 0x7A]) | st.integers(0, 255)
frames = st.builds(_echonet, st.integers(0, 9), services, _properties, _lies, cuts) | st.binary(max_size=60)
messages = st.one_of(
    st.builds(_erxudp, frames, st.integers(0, 1), st.integers(0, 3), _lies),
    st.builds(lambda number, parameter: f"EVENT {number} {METER} 0 {parameter}\r\n".encode(), _numbers, _numbers),
    _numbers.map(lambda number: f"FAIL ER{number}\r\n".encode()),
    st.sampled_from(
        [
            b"OK\r\n",
            b"OK 01\r",
            b"EVER 1.5.2\r\n",
            b"EINFO FE80::1 0 21 FFFF 0\r\n",
            b"EPANDESC\r\n  Channel:31\r\n",
            b"EPANDESC\r\n  Channel:31\r\n  Channel Page:09\r\n  Pan ID:8A3C\r\n  Addr:001C640003D2A1B7\r\n",
            b"ERXUDP ",
            b"\r\n",
        ]
    ),
    st.binary(max_size=40),
)
"""What a module may print, or might be taken for it."""

_j11_codes = st.sampled_from(
    [
        0x2FFF,
        0xFFFF,
        0x2005,
        0x2008,
        0x2051,
        0x2053,
        0x2056,
        0x2057,
        0x205F,
        0x206B,
        0x4051,
        0x6018,
        0x6019,
        0x601A,
        0x6028,
        0x6038,
    ]
)
_j11_data = st.binary(max_size=40) | st.builds(bytes, st.tuples(st.integers(0, 4))) | frames.map(_received)
j11_messages = st.builds(_j11, _j11_codes | st.integers(0, 0xFFFF), _j11_data, cuts, _lies)
"""The same of a module that speaks frames, some of which break off."""

HAPPENINGS: Final[Mapping[str, Callable[[SimulatedPort], Any]]] = {
    "end_session": lambda sim: sim.air.end_session(),
    "drop_session": lambda sim: sim.air.drop_session(),
    "expire": lambda sim: sim.air.expire(),
    "restrict": lambda sim: sim.air.restrict(),
    "release": lambda sim: sim.air.restrict(False),
    "mute": lambda sim: setattr(sim.line, "is_mute", True),
    "heard": lambda sim: setattr(sim.line, "is_mute", False),
    "unplug": lambda sim: sim.unplug(),
    "plug": lambda sim: sim.plug(),
    "silent": lambda sim: setattr(sim.air, "is_answering", False),
    "answering": lambda sim: setattr(sim.air, "is_answering", True),
    "refusing what scales": lambda sim: sim.meter.device.refuse(0xE1, 0xD3, 0x9F, answers=3),
    "few at once": lambda sim: sim.meter.limit(3, Excess.IGNORED),
    "many at once": lambda sim: sim.meter.limit(None),
    "slow": lambda sim: setattr(sim.air, "settings", replace(sim.air.settings, unheard_time=311.0)),
    "quick": lambda sim: setattr(sim.air, "settings", replace(sim.air.settings, unheard_time=38.0)),
    "unreachable": lambda sim: setattr(sim.air, "is_reachable", False),
    "reachable": lambda sim: setattr(sim.air, "is_reachable", True),
    "scan unanswered": lambda sim: setattr(sim.module, "habits", ModuleSettings(loses_scan_answer=True)),
    "refusing": lambda sim: sim.meter.device.refuse(0xE7, 0xE0, 0xE2, 0xE5, answers=2),
    "deaf": lambda sim: setattr(sim.air, "deaf_sessions", 1),
    "garble": lambda sim: sim.air.garble(),
    "once more": lambda sim: setattr(sim.module, "habits", ModuleSettings(repetition_rate=0.5)),
    "understood": lambda sim: setattr(sim.module, "habits", ModuleSettings()),
}

happenings = st.sampled_from([*HAPPENINGS, *Sending, *Fault])

_asked = st.sampled_from((0xE7, 0xE8, 0xE0, 0xE3, 0xE1, 0xD3, 0x9F, 0xE2, 0xE4, 0xE5, 0x97, 0x98))
_told = st.lists(st.tuples(_asked, st.binary(max_size=6)) | _counters | _plausible, max_size=5)
_answering = st.sampled_from([*[0x72] * 6, *[0x52] * 3, 0x71, 0x51, 0x73, 0x74, 0x62, 0x7A, 0x00])
answers = st.builds(
    Answer, esv=_answering, properties=_told, lie=_lies, cut=cuts, secured=st.sampled_from([1, 1, 1, 0])
)
# One of the three first, so that each is drawn as often as the others.
_happening = st.sampled_from((messages | j11_messages, happenings, answers)).flatmap(lambda kind: kind)
steps = st.lists(st.tuples(st.floats(0, 30), _happening), max_size=12)


def serial_input(chunks: Sequence[bytes]) -> None:
    """Feed a decoder of each kind; whatever comes, a whole message behind it arrives."""
    j11 = J11Decoder()
    for chunk in chunks:
        for received in j11.receive(chunk):
            message_of(received)
    started = j11_frame(0x6019)
    # No frame that was announced is longer.
    assert [received for _ in range(120) for received in j11.receive(started)], "the decoder does not find its way back"
    decoder = Decoder()
    for chunk in chunks:
        list(decoder.receive(chunk))
    # A payload that was announced may still be waited for; nothing is longer.
    found = [message for _ in range(60) for message in decoder.receive(b"EVENT 25 " + METER.encode() + b"\r\n")]
    assert found, "the decoder does not find its way back"


def frame(data: bytes) -> None:
    """Decode a frame and its properties."""
    try:
        decoded = Frame.decode(data)
        values = Values({code: data for code, data in decoded.properties if data})
    except FrameError:
        return
    for code, row in PROPERTIES.items():
        value = row.decode(edt) if (edt := values.data.get(code)) else None
        if row.unit == "kWh" and isinstance(value, int):
            energy = PROFILE.energy(value)
            assert energy is not None
            assert 0 <= energy < 10_000_000


type Step = bytes | str | Sending | Fault | Answer


def conversation(module: str, planned: Sequence[tuple[float, Step]]) -> None:
    """Let something happen at any point: each connection ends in answers or in an error of ours, and none hangs."""

    async def main() -> None:
        with simulated_port(scenarios.SOLAR, module=module, speed=1, clock=clock) as sim:
            await connections(_meddle(sim, planned), lambda meddling: _use(sim, meddling))
            assert sim.record.opens == sim.record.closes, "the port is still open"

    run(main())


async def connections(
    meddle: Coroutine[Any, Any, None], use: Callable[[asyncio.Future[None]], Awaitable[None]]
) -> None:
    """Connect again and again for as long as something happens; none may hang."""
    meddling = asyncio.ensure_future(meddle)
    try:
        for _ in range(CONNECTIONS):
            async with asyncio.timeout(PATIENCE):
                await use(meddling)
            if meddling.done():
                break
    finally:
        meddling.cancel()
        (meddled,) = await asyncio.gather(meddling, return_exceptions=True)
    if isinstance(meddled, Exception):
        raise meddled


async def _use(sim: SimulatedPort, meddling: asyncio.Future[None]) -> None:
    """Do everything once, then read for as long as something happens."""
    credentials = Credentials(ROUTE_B_ID, PASSWORD)
    try:
        async with await connect(sim.url, credentials, pan=PAN, profile=PROFILE) as meter:
            await meter.read()
            async for _ in meter.history.days([1]):
                pass
            while not meddling.done():
                await meter.read()
                await asyncio.sleep(PAUSE)
            await meter.read()
            await meter.leave()
    except BRouteError:
        await asyncio.sleep(PAUSE)


async def _next_request(sim: SimulatedPort) -> bytes:
    """Return the next datagram of ours, which nobody has answered yet; after a minute without one, the last."""
    sent = sim.record.datagrams_from_client
    before = len(sent)
    for _ in range(600):
        if len(sent) > before:
            break
        await asyncio.sleep(0.1)
    return sent[-1] if sent else bytes(4)


async def _meddle(sim: SimulatedPort, planned: Sequence[tuple[float, Step]]) -> None:
    for pause, what in planned:
        await asyncio.sleep(pause)
        match what:
            case bytes():
                sim.inject(what)
            case Answer():
                request = await _next_request(sim)
                sim.inject(what.told(int.from_bytes(request[2:4]), is_j11=isinstance(sim.module, J11Module)))
            case Sending():
                sim.air.sendings.append(what)
            case Fault():
                sim.air.faults.append(what)
            case _:
                HAPPENINGS[what](sim)
