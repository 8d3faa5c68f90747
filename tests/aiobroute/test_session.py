"""The states of a session, and what the meter tells unasked."""

import asyncio
from collections.abc import Iterator
import logging
import os
import pty
from typing import Any, ClassVar, override

from hypothesis import given, strategies as st
import pytest
import serialx

from custom_components.broute.aiobroute import (
    Credentials,
    MeterNotFoundError,
    ModuleError,
    ModuleTimeoutError,
    Notification,
    Pan,
    PortError,
    SessionLostError,
    Timing,
    connect,
)
from custom_components.broute.aiobroute.module import ModuleEvent
from custom_components.broute.aiobroute.port import open_port
from custom_components.broute.aiobroute.probe import probe
from custom_components.broute.aiobroute.session import REASONS, TRANSITIONS, Session, State
from custom_components.broute.aiobroute.skstack.commands import sksreg_read
from custom_components.broute.aiobroute.skstack.dialects import ONE_SIDE, dialect_of
from custom_components.broute.aiobroute.skstack.module import SkModule, identify, link_to
from tests.simulator import scenarios
from tests.simulator.dongle import MODULES
from tests.simulator.radio import Sending
from tests.simulator.scenarios import PASSWORD, ROUTE_B_ID
from tests.simulator.transport import simulated_port

from .virtual_time import clock, run

CREDENTIALS = Credentials(ROUTE_B_ID, PASSWORD)
PAN = Pan(channel=0x31, pan_id=0x8A3C, mac="001C640003D2A1B7")
LOST = {State.LOST}

both = pytest.mark.usefixtures("each_kind")
"""For what a session does over either kind of module."""


@given(st.lists(st.sampled_from(ModuleEvent)))
def test_any_events_keep_the_rules(events: list[ModuleEvent]) -> None:
    state = State.JOINING
    for event in events:
        before, state = state, TRANSITIONS.get((state, event), state)
        assert state in LOST or before not in LOST, "a lost session stays lost"
        assert state is not State.EXPIRED or before in {State.JOINED, State.EXPIRED}, "only a session can expire"
        assert event is not ModuleEvent.PORT_LOST or state in LOST, "nothing survives its port"
        assert state is before or state is not State.LOST or event in REASONS, "a lost session has a reason"


@both
def test_there_is_no_session_to_renew() -> None:
    async def main() -> None:
        with simulated_port(scenarios.NORMAL, speed=1, clock=clock) as sim:
            session = Session(await probe(sim.url, patience=Timing().probe), Timing())
            with pytest.raises(SessionLostError, match="there is no session"):
                await session.renew()
            await session.close()

    run(main())


@both
def test_a_record_can_be_kept_of_what_happens() -> None:
    async def main() -> None:
        events: list[ModuleEvent] = []
        with simulated_port(scenarios.NORMAL, speed=1, clock=clock) as sim:
            async with await connect(sim.url, CREDENTIALS, pan=PAN, on_event=events.append) as meter:
                sim.air.sendings.append(Sending.NOT_SENT)
                await meter.read()
                sim.air.expire()
                await asyncio.sleep(10)
        happened = [ModuleEvent.JOINED, ModuleEvent.NOT_SENT, ModuleEvent.EXPIRED, ModuleEvent.JOINED]
        assert events == happened

    run(main())


@pytest.mark.parametrize("module", MODULES)
def test_each_network_that_is_heard_is_told_at_once(module: str) -> None:
    async def main() -> None:
        heard: list[float] = []
        loop = asyncio.get_running_loop()

        def happened(event: ModuleEvent) -> None:
            if event is ModuleEvent.BEACON:
                heard.append(loop.time())

        with simulated_port(scenarios.STRANGERS, module=module, speed=1, clock=clock) as sim:
            began = loop.time()
            async with await connect(sim.url, CREDENTIALS, on_event=happened):
                # A J11 module compares the pairing ID by itself, and keeps quiet about strangers.
                assert len(set(heard)) == len(heard) == (1 if module == "j11" else 2)
                # Not at the end of the scan, which takes nine seconds and is followed by a join of four.
                assert all(at - began < 9 for at in heard)

    run(main())


@pytest.mark.parametrize(
    ("event", "number"),
    [(ModuleEvent.ENDED_BY_METER, 0x26), (ModuleEvent.ENDED, 0x27), (ModuleEvent.END_UNANSWERED, 0x28)],
)
def test_each_end_of_a_session_is_told_at_once(event: ModuleEvent, number: int) -> None:
    async def main() -> None:
        lost: list[SessionLostError] = []
        with simulated_port(scenarios.NORMAL, speed=1, clock=clock) as sim:
            async with await connect(sim.url, CREDENTIALS, pan=PAN, on_lost=lost.append):
                sim.inject(f"EVENT {number:02X} {PAN.address} 0\r\n".encode())
                await asyncio.sleep(0.5)
                # Whatever else is told until the port is closed.
                for later in (0x20, 0x22, 0x24, 0x25, 0x26, 0x27, 0x28, 0x29, 0x32, 0x33):
                    sim.inject(f"EVENT {later:02X} {PAN.address} 0\r\n".encode())
                    await asyncio.sleep(0.5)
                assert [str(error) for error in lost] == [REASONS[event]]

    run(main())


def test_a_notification_that_cannot_be_read_is_left_out() -> None:
    async def main() -> None:
        told: list[Notification] = []
        with simulated_port(scenarios.NORMAL, speed=1, clock=clock) as sim:
            async with await connect(sim.url, CREDENTIALS, pan=PAN, on_notification=told.append) as meter:
                for properties in ("EA03000000", "EA030000008001FF", "EA03000000E704000001F4"):
                    count = properties.count("EA03") + (len(properties) > 10)
                    frame = f"1081000102880105FF0173{count:02X}{properties}"
                    head = f"ERXUDP {PAN.address} {PAN.address} 0E1A 0E1A {PAN.mac} DD 1 0 {len(frame) // 2:04X} "
                    sim.inject(f"{head}{frame}\r\n".encode())
                await asyncio.sleep(0.5)
                assert [list(notification.values.data) for notification in told] == [[0xE7]]
                await meter.read()

    run(main())


def test_a_confirmation_that_cannot_be_sent_is_left(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    async def main() -> None:
        with simulated_port(scenarios.REQUESTED_NOTICES, speed=1, clock=clock) as sim:
            async with await connect(sim.url, CREDENTIALS, pan=PAN):
                sim.air.restrict()
                await asyncio.sleep(1800)
                assert "stays unconfirmed" in caplog.text

    run(main())


def test_closing_ends_a_confirmation_that_waits() -> None:
    async def main() -> None:
        with simulated_port(scenarios.REQUESTED_NOTICES, speed=1, clock=clock) as sim:
            told = asyncio.Event()
            async with await connect(sim.url, CREDENTIALS, pan=PAN, on_notification=lambda _: told.set()):
                sim.air.restrict()
                await told.wait()
            await asyncio.sleep(0)

    run(main())


@both
def test_what_is_not_the_meters_is_dropped_and_counted() -> None:
    async def main() -> None:
        with simulated_port(scenarios.UNENCRYPTED, speed=1, clock=clock) as sim:
            async with await connect(sim.url, CREDENTIALS, pan=PAN) as meter:
                await meter.read()
                assert meter.dropped == len(sim.record.datagrams_from_client)

    run(main())


@both
def test_a_day_of_short_sessions() -> None:
    async def main() -> None:
        with simulated_port(scenarios.SESSION_EXPIRES, speed=1, clock=clock) as sim:
            async with await connect(sim.url, CREDENTIALS, pan=PAN) as meter:
                for _ in range(24 * 4):
                    assert (await meter.read()).power is not None
                    await asyncio.sleep(900)
                assert sim.record.opens == 1
                assert sim.air.airtime.last_hour() < 10

    run(main())


def test_a_first_join_that_ends_at_once() -> None:
    async def main() -> None:
        with simulated_port(scenarios.NORMAL, speed=1, clock=clock) as sim:

            def end() -> None:
                sim.line.write_raw(f"EVENT 25 {PAN.address} 0\r\nEVENT 26 {PAN.address} 0\r\n".encode())

            asyncio.get_running_loop().call_later(2, end)
            with pytest.raises(SessionLostError, match="the meter ended the session"):
                await connect(sim.url, CREDENTIALS, pan=PAN)

    run(main())


@pytest.mark.parametrize("baud_rate", [115200, 57600, 9600])
def test_a_module_at_another_speed_is_found(baud_rate: int) -> None:
    async def main() -> None:
        with simulated_port(scenarios.NORMAL, speed=1, clock=clock, baud_rate=baud_rate) as sim:
            async with await connect(sim.url, CREDENTIALS, pan=PAN) as meter:
                assert (await meter.read()).energy_in is not None

    run(main())


def test_a_module_that_waits_for_the_rest_of_a_datagram_is_freed() -> None:
    async def main() -> None:
        with simulated_port(scenarios.NORMAL, speed=1, clock=clock) as sim:
            port = await open_port(sim.url)
            port.write(f"SKSENDTO 1 {PAN.address} 0E1A 1 0 0100 half".encode())
            await asyncio.sleep(1)
            port.close()
            await port.wait_closed()
            async with await connect(sim.url, CREDENTIALS, pan=PAN) as meter:
                assert (await meter.read()).power is not None

    run(main())


def test_a_port_says_nothing_before_somebody_listens() -> None:
    async def main() -> None:
        with simulated_port(scenarios.NORMAL, speed=1, clock=clock) as sim:
            port = await open_port(sim.url)
            sim.inject(b"EVENT C0\r\n")
            await asyncio.sleep(1)
            sim.unplug()
            await asyncio.sleep(1)
            with pytest.raises(PortError, match="went away"):
                port.write(b"x")

    run(main())


def test_timing_stays_within_the_promises() -> None:
    timing = Timing()
    assert timing.answer * timing.tries < 40
    assert timing.answer * timing.tries > 20


def test_a_module_that_nobody_knows() -> None:
    with pytest.raises(ModuleError, match="unknown form"):
        dialect_of("EINFO FE80:0000:0000:0000:021D:1291:1234:5678 001D129112345678 21 FFFF 2")


def test_a_register_that_a_module_lacks_means_no_restriction() -> None:
    async def main() -> None:
        with simulated_port(scenarios.NORMAL, module="rl7023", speed=1, clock=clock) as sim:
            link = link_to(await open_port(sim.url))
            with pytest.raises(ModuleError, match="ER06"):
                await link.run(sksreg_read("SFA"))
            module = SkModule(link, ONE_SIDE, "1.2.10")
            with pytest.raises(ModuleError, match="too long"):
                await module.send(PAN.address, bytes(1233))
            module.close()

    run(main())


class ScriptedTransport(serialx.BaseSerialTransport):
    """A port whose other end never opens, or answers only what it knows."""

    transport_name = "scripted"
    answers: ClassVar[dict[bytes, bytes]] = {}
    opens = True
    lets_go = True

    @override
    async def _connect(self, *, path: str | None = None, **kwargs: Any) -> None:
        if not self.opens:
            await asyncio.sleep(3600)
        self._call_protocol_connection_made()

    @override
    def write(self, data: bytes | bytearray | memoryview) -> None:
        for line in bytes(data).split(b"\r\n"):
            if line in self.answers:
                self._loop.call_soon(self._protocol.data_received, self.answers[line])

    @override
    def get_write_buffer_size(self) -> int:
        return 0

    @override
    async def _flush(self) -> None:
        """Nothing waits to be written."""

    @override
    async def _get_modem_pins(self) -> serialx.ModemPins:
        return serialx.ModemPins()

    @override
    async def _set_modem_pins(self, modem_pins: serialx.ModemPins) -> None:
        """There are none."""

    @override
    async def _reconfigure_port(self, update: Any) -> None:
        """There is no speed."""

    @override
    def abort(self) -> None:
        if not self._closing:
            self._closing = True
            self._mark_user_closed()
            if self.lets_go:
                self._loop.call_soon(self._call_protocol_connection_lost, None)

    close = abort


@pytest.fixture
def scripted() -> Iterator[type[ScriptedTransport]]:
    class Transport(ScriptedTransport):
        answers: ClassVar[dict[bytes, bytes]] = {
            b"SKVER": b"EVER 1.5.2\r\nOK\r\n",
            b"SKINFO": f"EINFO {PAN.address} 001D129112345678 21 FFFF 0\r\nOK\r\n".encode(),
            b"SKRESET": b"OK\r\n",
            b"SKSREG SFE 0": b"OK\r\n",
            b"SKSREG SA2 1": b"OK\r\n",
            f"SKSETPWD C {PASSWORD}".encode(): b"OK\r\n",
            f"SKSETRBID {ROUTE_B_ID}".encode(): b"OK\r\n",
        }

    unregister = serialx.register_uri_handler(
        scheme="scripted://",
        unique_scheme="scripted-1://",
        sync_cls=serialx.get_serial_classes("socket://")[0],
        async_transport_cls=Transport,
    )
    yield Transport
    unregister()


def test_a_port_that_does_not_open(scripted: type[ScriptedTransport]) -> None:
    scripted.opens = False
    with pytest.raises(PortError, match="did not open within 10 s"):
        run(connect("scripted://", CREDENTIALS))


def test_a_port_that_never_lets_go_is_waited_for_once(scripted: type[ScriptedTransport]) -> None:
    """As of a proxy that is frozen: those who close one after the other do not wait one after the other."""
    scripted.lets_go = False

    async def story() -> float:
        loop = asyncio.get_running_loop()
        port = await open_port("scripted://")
        began = loop.time()
        for _ in range(3):
            port.close()
            await port.wait_closed()
        return loop.time() - began

    assert run(story()) == 1


def test_a_port_that_is_no_serial_port() -> None:
    with pytest.raises(PortError, match="cannot be opened"):
        run(connect("/", CREDENTIALS))


def test_a_module_without_the_register_of_the_airtime(scripted: type[ScriptedTransport]) -> None:
    """The answer to the next command is missing, so that the connecting ends there."""
    scripted.answers[b"SKSREG SFB"] = b"FAIL ER06\r\n"
    scripted.answers[b"SKSREG S2 31"] = b"FAIL ER09\r\n"
    with pytest.raises(ModuleError, match="ER09"):
        run(connect("scripted://", CREDENTIALS, pan=PAN))


def test_a_module_that_falls_silent_while_it_is_prepared(scripted: type[ScriptedTransport]) -> None:
    scripted.answers.pop(b"SKSREG SFE 0")
    with pytest.raises(ModuleTimeoutError, match="SKSREG SFE 0"):
        run(connect("scripted://", CREDENTIALS, pan=PAN))
    scripted.answers[b"SKSREG SFE 0"] = b"OK\r\n"
    with pytest.raises(ModuleTimeoutError, match="SKSREG SFB"):
        run(connect("scripted://", CREDENTIALS, pan=PAN))


def test_a_beacon_whose_description_never_comes(scripted: type[ScriptedTransport]) -> None:
    events = f"OK\r\nEVENT 20 {PAN.address} 0\r\nEVENT 22 {PAN.address} 0\r\n".encode()
    scripted.answers |= {
        b"SKSREG SFB": b"ESREG 0\r\nOK\r\n",
        b"SKSCAN 2 05555555 6 0": events,
        b"SKSCAN 2 0FFFFFFF 6 0": events,
        b"SKSCAN 2 0FFFFFFF 7 0": events,
        b"SKSCAN 2 0FFFFFFF 8 0": events,
    }
    with pytest.raises(MeterNotFoundError):
        run(connect("scripted://", CREDENTIALS))


def test_a_session_that_cannot_be_ended(scripted: type[ScriptedTransport]) -> None:
    scripted.answers[b"SKTERM"] = b"FAIL ER09\r\n"

    async def main() -> None:
        module = await identify(await open_port("scripted://"), patience=0.5)
        assert module is not None
        with pytest.raises(ModuleError, match="ER09"):
            await module.leave()
        module.close()
        await module.wait_closed()

    run(main())


def test_the_serial_library_logs_no_byte_of_ours(caplog: pytest.LogCaptureFixture) -> None:
    """Over a real pseudo-terminal, as the library logs what it writes there."""
    caplog.set_level(logging.DEBUG)

    async def main() -> None:
        host, module = pty.openpty()
        port = await open_port(os.ttyname(module))
        arrived = asyncio.Event()
        port.attach(on_data=lambda _: arrived.set(), on_lost=lambda _: None)
        port.write(b"SKSETPWD C " + PASSWORD.encode())
        os.write(host, b"SKSETRBID " + ROUTE_B_ID.encode())
        async with asyncio.timeout(5):
            await arrived.wait()
        logging.getLogger("serialx.descriptor_transport").debug("of another port")
        port.close()
        await port.wait_closed()
        os.close(host)
        os.close(module)

    asyncio.run(main())
    assert "of another port" in caplog.text
    assert PASSWORD not in caplog.text
    assert ROUTE_B_ID not in caplog.text
