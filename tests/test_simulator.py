"""The simulator does what the manuals say, and what its scenarios promise."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
import errno
from typing import TYPE_CHECKING, Any

import pytest
import serialx

from tests.aiobroute.virtual_time import clock, run
from tests.simulator import scenarios
from tests.simulator.echonet import CONTROLLER, METER, Esv, Excess, Frame, property_map
from tests.simulator.faults import Fault
from tests.simulator.host import Host, lines_of, opened
from tests.simulator.household import JST, household
from tests.simulator.line import LineSettings
from tests.simulator.meter import Gap, Meter, MeterSettings, Refusal, Reverse
from tests.simulator.radio import Renewal, Sending
from tests.simulator.transport import simulated_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from tests.simulator.scenarios import Scenario
    from tests.simulator.transport import SimulatedPort

ADDRESS = "FE80:0000:0000:0000:021C:6400:03D2:A1B7"
NOON = datetime(2026, 11, 23, 12, 0, 5, tzinfo=JST)


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self, now: datetime = NOON) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def move(self, **by: float) -> None:
        self.now += timedelta(**by)


class Client(Host):
    """A host that joins the meter and talks to it."""

    has_side = True
    _tid = 0

    async def join(self) -> None:
        await self.ask("SKSREG SFE 0")
        await self.ask("SKSETPWD C " + scenarios.PASSWORD)
        await self.ask("SKSETRBID " + scenarios.ROUTE_B_ID)
        await self.ask("SKSREG S2 31")
        await self.ask("SKSREG S3 8A3C")
        lines = await self.ask("SKJOIN " + ADDRESS)
        assert any(line.startswith("EVENT 25") for line in lines), lines

    async def send(self, payload: bytes, *, address: str = ADDRESS, security: int = 1) -> list[str]:
        side = "0 " if self.has_side else ""
        head = f"SKSENDTO 1 {address} 0E1A {security} {side}{len(payload):04X} "
        return lines_of(await self.exchange(head.encode() + payload))

    async def request(self, service: int, *properties: tuple[int, bytes], to: bytes = METER) -> list[Frame]:
        """Send a request; return the frames that come."""
        self._tid += 1
        frame = Frame(tid=self._tid, source=CONTROLLER, destination=to, service=service, properties=properties)
        return frames(await self.send(frame.encode()))

    async def get(self, *codes: int) -> dict[int, bytes]:
        """Return the properties of the only answer to a Get."""
        (answer,) = await self.request(Esv.GET, *((code, b"") for code in codes))
        assert answer.tid == self._tid
        return dict(answer.properties)


def frames(lines: list[str]) -> list[Frame]:
    """Return the ECHONET Lite frames of ERXUDP lines."""
    words = [line.split(" ") for line in lines if line.startswith("ERXUDP")]
    return [Frame.decode(bytes.fromhex(word[-1])) for word in words if word[3] == "0E1A"]


def events(lines: list[str]) -> list[str]:
    """Return number and parameter of EVENT lines."""
    words = [line.split(" ") for line in lines if line.startswith("EVENT")]
    return [" ".join([word[1], *(word[-1:] if word[1] == "21" else [])]) for word in words]


@asynccontextmanager
async def joined(
    scenario: Scenario, clock: Clock | None = None, module: str = "bp35c2", **options: Any
) -> AsyncIterator[tuple[SimulatedPort, Client]]:
    with simulated_port(scenario, clock=clock or Clock(), module=module, **options) as sim:
        async with client(sim) as host:
            host.has_side = module in {"bp35c2", "rl7023dss"}
            await host.join()
            yield sim, host


@asynccontextmanager
async def client(sim: SimulatedPort) -> AsyncIterator[Client]:
    async with opened(sim) as host:
        yield Client(host._reader, host._writer)


@pytest.mark.parametrize("solar", [False, True])
def test_energy_is_the_sum_of_power(*, solar: bool) -> None:
    house = household(7, solar=solar)
    noon = NOON.replace(second=0)
    before = house.energy(noon)
    for minutes in range(1, 24 * 60):
        at = noon + timedelta(minutes=minutes)
        after = house.energy(at)
        used = sum(house.power(at - timedelta(seconds=second)) for second in (60, 40, 20)) * 20
        assert (after.taken - before.taken) - (after.fed - before.fed) == used
        assert after.taken >= before.taken
        assert after.fed >= before.fed
        before = after


def test_a_sunny_house_takes_and_feeds() -> None:
    house = household(7, solar=True)
    start, end = house.energy(NOON), house.energy(NOON + timedelta(days=30))
    assert 100 < (end.taken - start.taken) / 3_600_000 < 700
    assert 50 < (end.fed - start.fed) / 3_600_000 < 700


def test_households_differ_by_their_seed() -> None:
    assert household(1, solar=False).energy(NOON) != household(2, solar=False).energy(NOON)


def meter(clock: Clock | None = None, **settings: Any) -> Meter:
    return Meter(MeterSettings(**settings), clock or Clock())


def read(meter: Meter, epc: int) -> bytes:
    value = meter.device.read(epc)
    assert value is not None
    return value


def slots(value: bytes) -> list[int]:
    return [int.from_bytes(value[place : place + 4]) for place in range(2, len(value), 4)]


def test_property_maps_follow_the_manuals_example() -> None:
    codes = bytes.fromhex("80818288 8A8D9798 9D9E9FD7 E0E1E2E3 E4E5E7E8 EAEBECED")
    assert property_map(set(codes)).hex().upper() == "1841414140404000624300414040430202"
    assert property_map({0xED, 0x81, 0xE5}).hex().upper() == "0381E5ED"


@pytest.mark.parametrize(
    "settings",
    [{}, {"solar": True, "coefficient": 1}, {"release": "R"}, {"values": {0xE1: ""}}, {"reverse": Reverse.NO_DATA}],
)
def test_property_maps_are_true(settings: dict[str, Any]) -> None:
    a_meter = meter(**settings)
    value = read(a_meter, 0x9F)
    listed = {(8 + bit) << 4 | low for low, byte in enumerate(value[1:]) for bit in range(8) if byte >> bit & 1}
    assert len(listed) == value[0]
    assert listed == {epc for epc in range(0x80, 0x100) if a_meter.device.read(epc)}
    settable = set(read(a_meter, 0x9E)[1:])
    assert settable == {0x81, 0xE5, 0xED, *([0xEF] if 0xEF in listed else [])}


def test_counters_are_those_of_the_truth() -> None:
    a_meter = meter(unit=0x02, coefficient=20, solar=True)
    raw = int.from_bytes(read(a_meter, 0xE0)), int.from_bytes(read(a_meter, 0xE3))
    assert a_meter.energy_in(NOON) == raw[0] * Decimal("0.01") * 20
    assert a_meter.energy_out(NOON) == raw[1] * Decimal("0.01") * 20


def test_counters_wrap_at_their_digits() -> None:
    clock = Clock()
    a_meter = meter(clock, digits=6)
    a_meter.counters.set(energy_in=Decimal("99999.9"))
    assert read(a_meter, 0xE0) == (999_999).to_bytes(4)
    clock.move(hours=6)
    assert a_meter.energy_in(clock.now) < 100


def test_currents_make_the_power_at_100_volts() -> None:
    clock = Clock()
    for settings in ({}, {"solar": True}):
        a_meter = meter(clock, **settings)
        for _ in range(48):
            clock.move(minutes=30)
            currents = read(a_meter, 0xE8)
            total = int.from_bytes(currents[:2], signed=True) + int.from_bytes(currents[2:], signed=True)
            assert 0 <= a_meter.power(clock.now) - 10 * total < 10


def test_one_phase_has_no_t_current() -> None:
    assert read(meter(one_phase=True), 0xE8)[2:].hex().upper() == "7FFE"


def test_a_day_of_history_is_the_counter_at_each_half_hour() -> None:
    a_meter = meter()
    assert a_meter.device.write(0xE5, b"\x01")
    value = read(a_meter, 0xE2)
    midnight = NOON.replace(hour=0, second=0) - timedelta(days=1)
    assert value[:2] == b"\0\x01"
    assert [raw * Decimal("0.1") for raw in slots(value)] == [
        a_meter.energy_in(midnight + slot * timedelta(minutes=30)) for slot in range(48)
    ]


def test_slots_of_the_future_are_unknown() -> None:
    a_meter = meter()
    a_meter.device.write(0xE5, b"\0")
    assert [raw == 0xFFFFFFFE for raw in slots(read(a_meter, 0xE2))] == [False] * 25 + [True] * 23


@pytest.mark.parametrize("days", [14, 30, 99])
def test_history_reaches_as_far_back_as_it_should(days: int) -> None:
    a_meter = meter(history_days=days)
    for day in (days - 1, days):
        a_meter.device.write(0xE5, bytes([day]))
        assert (slots(read(a_meter, 0xE2))[0] != 0xFFFFFFFE) == (day < days)


def test_history_has_gaps_where_the_meter_was_off() -> None:
    start = NOON.replace(hour=3, second=0)
    a_meter = meter(gaps=(Gap(start=start, end=start + timedelta(hours=2)),))
    assert [place for place, raw in enumerate(slots(read(a_meter, 0xE2))[:25]) if raw == 0xFFFFFFFE] == [6, 7, 8, 9]


def test_history_begins_with_the_installation() -> None:
    a_meter = meter(installed=NOON.replace(hour=5))
    history = slots(read(a_meter, 0xE2))
    assert history[10] == 0xFFFFFFFE
    assert history[11] == 1 or history[11] == 0
    assert a_meter.energy_in(NOON) < 20


def test_the_history_before_any_selection() -> None:
    a_meter = meter()
    assert read(a_meter, 0xE5) == b"\xff"
    assert read(a_meter, 0xED).hex().upper() == "FFFFFFFFFFFF0C"
    assert read(a_meter, 0xEC)[:7].hex().upper() == "07EA0B170C000C"


def test_history_2_counts_backwards() -> None:
    a_meter = meter(solar=True)
    assert a_meter.device.write(0xED, bytes.fromhex("07EA0B170B1E03"))
    value = read(a_meter, 0xEC)
    assert value[:7].hex().upper() == "07EA0B170B1E03"
    newest = NOON.replace(hour=11, minute=30, second=0)
    for place in range(3):
        at = newest - place * timedelta(minutes=30)
        entry = value[7 + 8 * place :]
        assert int.from_bytes(entry[:4]) * Decimal("0.1") == a_meter.energy_in(at)
        assert int.from_bytes(entry[4:8]) * Decimal("0.1") == a_meter.energy_out(at)


@pytest.mark.parametrize("value", ["07EA0B170B1F03", "07EA0B170B1E00", "07EA0B170B1E0D", "07EA0B1F0B1E03", "07EA0D01"])
def test_an_illegal_time_of_history_2_is_refused(value: str) -> None:
    assert not meter().device.write(0xED, bytes.fromhex(value))


def test_the_second_generation_counts_minutes() -> None:
    a_meter = meter(release="R", unit=0x04)
    minute = NOON.replace(second=0)
    assert read(a_meter, 0xD0)[:7].hex().upper() == "07EA0B170C0000"
    assert int.from_bytes(read(a_meter, 0xD0)[7:11]) * Decimal("0.0001") == a_meter.energy_in(minute)
    assert a_meter.device.write(0xEF, bytes.fromhex("07EA0B170B3B0A"))
    assert len(read(a_meter, 0xEE)) == 0x57
    assert len(read(a_meter, 0xC0)) == 16
    assert read(a_meter, 0xE3).hex().upper() == "FFFFFFFE"


def test_a_wrong_clock_dates_everything_wrongly() -> None:
    a_meter = meter(clock_offset=timedelta(minutes=40), unit=0x04)
    assert read(a_meter, 0x97) == bytes([12, 40])
    at_half_past = slots(read(a_meter, 0xE2))[25]
    assert at_half_past * Decimal("0.0001") == a_meter.energy_in(NOON - timedelta(minutes=10, seconds=5))


def test_the_day_may_roll_over_late() -> None:
    clock = Clock(NOON.replace(hour=0, minute=5))
    a_meter = meter(clock, roll_over=timedelta(minutes=10))
    a_meter.device.write(0xE5, b"\0")
    assert 0xFFFFFFFE not in slots(read(a_meter, 0xE2))
    clock.move(minutes=6)
    assert slots(read(a_meter, 0xE2))[1:] == [0xFFFFFFFE] * 47


def test_another_controller_may_set_the_day() -> None:
    a_meter = meter(rival_day=3, rival_turns=1)
    a_meter.device.write(0xE5, b"\x01")
    assert read(a_meter, 0xE2)[:2] == b"\0\x03"
    a_meter.device.write(0xE5, b"\x01")
    assert read(a_meter, 0xE2)[:2] == b"\0\x01"


def test_a_value_may_be_wrong_once() -> None:
    a_meter = meter()
    a_meter.device.once[0xE0] = b"\0\0\0\0"
    assert read(a_meter, 0xE0) == b"\0\0\0\0"
    assert read(a_meter, 0xE0) != b"\0\0\0\0"


def test_99_days_are_read_at_once() -> None:
    a_meter = meter(solar=True)
    for day in range(99):
        a_meter.device.write(0xE5, bytes([day]))
        assert len(read(a_meter, 0xE2)) == len(read(a_meter, 0xE4)) == 0xC2


def answer(request: str, **settings: Any) -> str | None:
    telegram = meter(**settings).answer(bytes.fromhex(request))
    return None if telegram is None else telegram.payload.hex().upper()


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        ("1081000105FF010288016201D300", "1081000102880105FF015201D300"),
        ("1081000105FF010288016101E50101", "1081000102880105FF017101E500"),
        ("1081000105FF010288016101E50164", "1081000102880105FF015101E50164"),
        ("1081000105FF010288016001E50101", None),
        ("1081000105FF010288016001E50164", "1081000102880105FF015001E50164"),
        ("1081000105FF010288016E01E5010101E500", "1081000102880105FF017E01E50001E50101"),
        ("1081000105FF010288016E01E5010101D300", "1081000102880105FF015E01E50001D300"),
        ("1081000105FF010288016301E100", "1081000102880105FF017301E10101"),
        ("1081000105FF010288016301D300", "1081000102880105FF015301D300"),
        ("1081000F05FF010EF0016201D600", "1081000F0EF00105FF017201D60401028801"),
        ("1081000E05FF010EF0016301D500", "1081000E0EF00105FF017301D50401028801"),
        ("1081000105FF010279016201E000", None),
        ("1081000905FF010288017A01EA00", None),
        ("1082000105FF010288016201D300", None),
        ("1081000105FF010288016201D30000", None),
        ("1081000105FF010288016202D300", None),
        ("1081000105FF010288016E01", None),
    ],
)
def test_services(request_: str, expected: str | None) -> None:
    assert answer(request_) == expected


def test_an_answer_to_all() -> None:
    telegram = meter().answer(bytes.fromhex("1081000E05FF010EF0016301D500"))
    assert telegram is not None
    assert telegram.to_all


def test_a_refused_property_is_empty_and_in_its_place() -> None:
    reply = answer("1081000505FF010288016203E100D300D700")
    assert reply == "1081000502880105FF015203E10101D300D70106"


def test_meters_that_do_not_like_many_properties() -> None:
    assert answer("1081000505FF010288016202E100D700", answers_many=False) is None
    assert answer("1081000505FF010288016201E100", answers_many=False)
    assert answer("1081000505FF010288016202E100D700", most_per_get=1) == "1081000502880105FF015202E10101D700"


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"most_per_get": 1, "excess": Excess.OMITTED}, "1081000502880105FF015201E10101"),
        ({"most_per_get": 1, "excess": Excess.ALL_REFUSED}, "1081000502880105FF015202E100D700"),
        ({"most_per_get": 1, "excess": Excess.IGNORED}, None),
        ({"most_bytes": 5, "excess": Excess.REFUSED}, "1081000502880105FF015202E10101D700"),
        ({"most_bytes": 6}, "1081000502880105FF017202E10101D70106"),
        ({"ignored": (0xD7,)}, None),
        ({"values": {0xE1: ""}, "stops_at_refusal": True}, "1081000502880105FF015202E100D700"),
        ({"values": {0xE1: ""}}, "1081000502880105FF015202E100D70106"),
    ],
)
def test_what_is_too_much_for_one_answer(settings: dict[str, Any], expected: str | None) -> None:
    assert answer("1081000505FF010288016202E100D700", **settings) == expected


def test_refusals_that_pass() -> None:
    clock = Clock()
    minute = timedelta(minutes=1)
    device = meter(
        clock, refusals=(Refusal(codes=(0xE1, 0xD7), answers=1), Refusal(codes=(0xE0, 0xE5), time=minute))
    ).device
    assert [device.read(0xE1), device.read(0xE1), device.read(0xD7), device.read(0xD7)] == [None, b"\1", None, b"\6"]
    assert not device.write(0xE5, b"\1")
    clock.now += minute / 2
    assert device.read(0xE0) is None
    clock.now += minute / 2
    assert device.read(0xE0) is not None
    assert device.write(0xE5, b"\1")
    device.refuse(0xE7)
    clock.now += 1000 * minute
    assert device.read(0xE7) is None
    device.refusals.clear()
    assert device.read(0xE7) is not None


@pytest.mark.parametrize(
    ("module", "command", "expected"),
    [
        ("bp35a1", "SKVER", ["EVER 1.2.10", "OK"]),
        ("bp35c2", "SKVER", ["EVER 1.5.2", "OK"]),
        ("bp35a1", "SKAPPVER", ["EAPPVER rev26e", "OK"]),
        ("rl7023", "SKAPPVER", ["EAPPVER rl7023-c", "OK"]),
        ("rl7023dss", "SKAPPVER", ["FAIL ER04"]),
        ("rl7023dss", "ROPT", ["FAIL ER04"]),
        (
            "bp35a1",
            "SKINFO",
            ["EINFO FE80:0000:0000:0000:021D:1290:1234:5678 001D129012345678 21 FFFF FFFE", "OK"],
        ),
        ("bp35c2", "SKINFO", ["EINFO FE80:0000:0000:0000:021D:1291:1234:5678 001D129112345678 21 FFFF 0", "OK"]),
        ("bp35c2", "SKSREG S02", ["ESREG 21", "OK"]),
        ("bp35c2", "SKSREG S2 20", ["FAIL ER06"]),
        ("bp35c2", "SKSREG SFB 1", ["FAIL ER06"]),
        ("bp35c2", "SKSREG SZZ", ["FAIL ER06"]),
        ("bp35c2", "SKSREG", ["FAIL ER05"]),
        ("bp35c2", "SKSCAN 2 FFFFFFFF 6", ["FAIL ER05"]),
        ("bp35a1", "SKSCAN 2 FFFFFFFF 6 0", ["FAIL ER05"]),
        ("bp35a1", "SKSCAN 1 FFFFFFFF 6", ["FAIL ER06"]),
        ("bp35c2", "SKSETPWD C 0123456789A", ["FAIL ER06"]),
        ("bp35c2", "SKSETRBID 0123456789ABCDEF", ["FAIL ER06"]),
        ("bp35c2", "SKLL64 001C640003D2A1B7", [ADDRESS]),
        ("bp35c2", "SKJOIN " + ADDRESS.lower(), ["FAIL ER06"]),
        ("bp35c2", "SKREJOIN", ["FAIL ER10"]),
        ("bp35c2", "SKTERM", ["FAIL ER10"]),
        ("bp35c2", "SKADDNBR " + ADDRESS + " 001C640003D2A1B7", ["OK"]),
        ("bp35c2", "SKTABLE 1", ["EADDR", "FE80:0000:0000:0000:021D:1291:1234:5678", "OK"]),
        ("bp35c2", "SKTABLE 2", ["ENEIGHBOR", "OK"]),
        ("bp35c2", "SKUDPPORT 3 02CC", ["OK"]),
        ("bp35c2", "SKLOAD", ["OK"]),
        ("bp35c2", "SKVER 1", ["FAIL ER05"]),
        ("bp35c2", "skver", ["FAIL ER04"]),
        ("bp35c2", "SKSOMETHING", ["FAIL ER04"]),
    ],
)
async def test_commands(module: str, command: str, expected: list[str]) -> None:
    with simulated_port(scenarios.NORMAL, module=module) as sim:
        async with opened(sim) as host:
            assert await host.ask(command) == [command, *expected]
    assert sim.record.commands == [command]


async def test_echo_can_be_turned_off_until_the_next_reset() -> None:
    with simulated_port(scenarios.NORMAL) as sim:
        async with opened(sim) as host:
            assert await host.ask("SKSREG SFE 0") == ["SKSREG SFE 0", "OK"]
            assert await host.ask("SKVER") == ["EVER 1.5.2", "OK"]
            assert await host.ask("SKRESET") == ["OK"]
            assert await host.ask("SKVER") == ["SKVER", "EVER 1.5.2", "OK"]


@pytest.mark.parametrize(("payload", "option"), [("hex", b"01"), ("binary", b"00")])
async def test_options_end_in_a_bare_carriage_return(payload: Any, option: bytes) -> None:
    with simulated_port(scenarios.NORMAL, payload=payload) as sim:
        async with opened(sim) as host:
            assert await host.exchange(b"ROPT\r") == b"ROPT\rOK " + option + b"\r"
            assert await host.exchange(b"ROPT\r\n") == b"ROPT\r\nOK " + option + b"\r"
            assert await host.exchange(b"RUART\r") == b"RUART\rOK 00\r"


async def test_what_would_wear_the_flash_is_recorded() -> None:
    with simulated_port(scenarios.NORMAL, payload="binary") as sim:
        async with opened(sim) as host:
            await host.ask("SKVER")
            assert sim.record.flash_writes == []
            for command in ("WOPT 01", "WUART 01", "SKSAVE", "SKERASE"):
                await host.ask(command)
            assert await host.exchange(b"ROPT\r") == b"ROPT\rOK 01\r"
    assert sim.record.flash_writes == ["WOPT 01", "WUART 01", "SKSAVE", "SKERASE"]


async def test_commands_may_come_byte_by_byte_and_all_at_once() -> None:
    with simulated_port(scenarios.NORMAL) as sim:
        async with opened(sim) as host:
            for byte in b"SKVE":
                assert await host.exchange(bytes([byte])) == b""
            assert await host.exchange(b"R\r") == b"SKVER\r\nEVER 1.5.2\r\nOK\r\n"
            assert await host.exchange(b"\nSKVER\r\nSKVER\r\n") == b"SKVER\r\nEVER 1.5.2\r\nOK\r\n" * 2


async def test_an_empty_line_is_only_echoed() -> None:
    with simulated_port(scenarios.NORMAL) as sim:
        async with opened(sim) as host:
            assert await host.exchange(b"\r\n") == b"\r\n"
    assert sim.record.commands == []


async def test_what_is_left_in_the_line_spoils_the_next_command() -> None:
    with simulated_port(scenarios.NORMAL) as sim:
        async with opened(sim) as host:
            assert await host.exchange(bytes.fromhex("D0EA83FC006B000403A80000")) == b""
            assert (await host.ask("SKVER"))[-1] == "FAIL ER04"
            assert (await host.ask("SKVER"))[-1] == "OK"


def block(lines: list[str]) -> list[str]:
    return [line for line in lines if line.startswith(("EPANDESC", "  "))]


@pytest.mark.parametrize("module", ["bp35c2", "bp35a1"])
async def test_only_a_scan_with_the_pairing_id_hears_the_meter(module: str) -> None:
    with simulated_port(scenarios.NORMAL, module=module) as sim:
        side = " 0" if module == "bp35c2" else ""
        async with opened(sim) as host:
            own = f"{(await host.ask('SKINFO'))[1].split(' ')[1]}{side}"
            await host.ask("SKSREG SFE 0")
            assert await host.ask("SKSCAN 2 FFFFFFFF 6" + side) == ["OK", "EVENT 22 " + own]
            await host.ask("SKSETRBID " + scenarios.ROUTE_B_ID)
            assert await host.ask("SKSCAN 2 FFFFFFFF 6" + side) == [
                "OK",
                "EVENT 20 " + own,
                "EPANDESC",
                "  Channel:31",
                "  Channel Page:09",
                "  Pan ID:8A3C",
                "  Addr:001C640003D2A1B7",
                "  LQI:DD",
                *(["  Side:0"] if side else []),
                "  PairID:89ABCDEF",
                "EVENT 22 " + own,
            ]


@pytest.mark.parametrize(("mask", "is_heard"), [("00010000", True), ("05555555", True), ("0AAAAAAA", False)])
async def test_only_the_channels_of_the_mask_are_scanned(mask: str, *, is_heard: bool) -> None:
    with simulated_port(scenarios.NORMAL) as sim:
        async with opened(sim) as host:
            await host.ask("SKSETRBID " + scenarios.ROUTE_B_ID)
            assert bool(block(await host.ask(f"SKSCAN 2 {mask} 6 0"))) == is_heard


async def test_a_scan_without_pairing_hears_everybody() -> None:
    with simulated_port(scenarios.STRANGERS) as sim:
        async with opened(sim) as host:
            lines = block(await host.ask("SKSCAN 3 FFFFFFFF 6 0"))
    assert [line for line in lines if "Addr" in line] == ["  Addr:001C640012345678", "  Addr:001C640003D2A1B7"]
    assert not any("PairID" in line for line in lines)


async def test_a_stranger_may_be_heard_first() -> None:
    with simulated_port(scenarios.STRANGERS) as sim:
        async with opened(sim) as host:
            await host.ask("SKSETRBID " + scenarios.ROUTE_B_ID)
            lines = block(await host.ask("SKSCAN 2 FFFFFFFF 6 0"))
    assert [line for line in lines if "PairID" in line] == ["  PairID:FEDCBA98", "  PairID:89ABCDEF"]


async def test_a_weak_meter_is_heard_by_a_long_scan_only() -> None:
    with simulated_port(scenarios.WEAK_RADIO) as sim:
        async with opened(sim) as host:
            await host.ask("SKSETRBID " + scenarios.ROUTE_B_ID)
            assert not block(await host.ask("SKSCAN 2 FFFFFFFF 6 0"))
            assert block(await host.ask("SKSCAN 2 FFFFFFFF 7 0"))


async def test_an_energy_scan() -> None:
    with simulated_port(scenarios.NORMAL, module="bp35a1") as sim:
        async with opened(sim) as host:
            lines = await host.ask("SKSCAN 0 00000003 2")
    assert lines[1:] == ["OK", "EVENT 1F FE80:0000:0000:0000:021D:1290:1234:5678", "EEDSCAN", "21 0B 22 05", ""]


async def test_a_description_may_come_late() -> None:
    with simulated_port(scenarios.LATE_DESCRIPTION) as sim:
        async with opened(sim) as host:
            await host.ask("SKSETRBID " + scenarios.ROUTE_B_ID)
            lines = await host.ask("SKSCAN 2 FFFFFFFF 6 0")
    assert lines.index("EPANDESC") > next(place for place, line in enumerate(lines) if line.startswith("EVENT 22"))


@pytest.mark.parametrize(("scenario", "size"), [(scenarios.CUT_DESCRIPTION, 8), (scenarios.BROKEN_DESCRIPTION, 4)])
async def test_a_description_may_be_interrupted(scenario: Scenario, size: int) -> None:
    with simulated_port(scenario) as sim:
        async with opened(sim) as host:
            await host.ask("SKSETRBID " + scenarios.ROUTE_B_ID)
            assert len(block(await host.ask("SKSCAN 2 FFFFFFFF 6 0"))) == size


async def test_a_scan_during_a_scan_is_accepted_and_never_begins() -> None:
    with simulated_port(scenarios.NORMAL) as sim:
        async with opened(sim) as host:
            lines = await host.exchange(b"SKSCAN 2 FFFFFFFF 6 0\r\nSKSCAN 2 FFFFFFFF 7 0\r\n")
    assert lines.count(b"OK\r\n") == 2
    assert lines.count(b"EVENT 22") == 1


async def test_a_reset_ends_a_scan() -> None:
    with simulated_port(scenarios.NORMAL) as sim:
        async with opened(sim) as host:
            assert b"EVENT 22" not in await host.exchange(b"SKSCAN 2 FFFFFFFF 6 0\r\nSKRESET\r\n")


async def test_joining_shows_the_authentication_with_the_id_in_clear_text() -> None:
    with simulated_port(scenarios.NORMAL) as sim:
        async with opened(sim) as host:
            await host.ask("SKSETPWD C " + scenarios.PASSWORD)
            await host.ask("SKSETRBID " + scenarios.ROUTE_B_ID)
            await host.ask("SKSREG S2 31")
            await host.ask("SKSREG S3 8A3C")
            lines = await host.ask("SKJOIN " + ADDRESS)
    assert lines[1] == "OK"
    assert events(lines)[:3] == ["21 02", "02", "21 00"]
    assert events(lines)[-1] == "25"
    pana = [line for line in lines if " 02CC 02CC 001C640003D2A1B7 0 0 " in line]
    assert pana[0].endswith(" 0028 00000028C0000002000000000000000100060000000400000000000500030000000400000000000C")
    assert any(("SM" + scenarios.ROUTE_B_ID).encode().hex().upper() in line for line in pana)
    assert lines[-1].endswith(" 1 0 0012 108100010EF0010EF0017301D50401028801")
    assert " FF02:0000:0000:0000:0000:0000:0000:0001 0E1A 0E1A " in lines[-1]


@pytest.mark.parametrize(("register", "is_heard"), [("S2 33", False), ("S3 1234", False), ("S16 384", True)])
async def test_joining_needs_channel_pan_and_credentials(register: str, *, is_heard: bool) -> None:
    with simulated_port(scenarios.NORMAL) as sim:
        async with opened(sim) as host:
            await host.ask("SKSETPWD C BADBADBADBAD")
            await host.ask("SKSETRBID " + scenarios.ROUTE_B_ID)
            await host.ask("SKSREG S2 31")
            await host.ask("SKSREG S3 8A3C")
            await host.ask("SKSREG " + register)
            lines = await host.ask("SKJOIN " + ADDRESS)
    assert events(lines)[-1] == "24"
    assert any(" 02CC " in line for line in lines) == is_heard
    assert sim.record.happenings[-1] == ("REFUSED" if is_heard else "UNHEARD")


async def test_the_session_survives_the_host() -> None:
    with simulated_port(scenarios.NORMAL, clock=Clock()) as sim:
        async with client(sim) as host:
            await host.join()
        async with client(sim) as host:
            assert (await host.get(0xE1)) == {0xE1: b"\x01"}
            await host.ask("SKRESET")
            assert (await host.send(b"\x10\x81"))[-1] == "FAIL ER10"
    assert (sim.record.opens, sim.record.closes) == (2, 2)


async def test_terminating() -> None:
    async with joined(scenarios.NORMAL) as (sim, host):
        lines = await host.ask("SKTERM")
        assert events(lines) == ["21 00", "27"]
        assert lines[1] == "OK"
        assert await host.ask("SKTERM") == ["FAIL ER10"]
        await host.join()
        sim.air.is_reachable = False
        assert events(await host.ask("SKTERM")) == ["28"]


async def test_rejoining() -> None:
    async with joined(scenarios.NORMAL) as (_, host):
        assert events(await host.ask("SKREJOIN"))[-1] == "25"
        assert await host.get(0xE1)


async def test_a_join_right_after_the_end_of_a_session_is_refused_once() -> None:
    async with joined(scenarios.REJOIN_PAUSE) as (_, host):
        await host.ask("SKTERM")
        assert events(await host.ask("SKJOIN " + ADDRESS))[-1] == "24"
        assert events(await host.ask("SKJOIN " + ADDRESS))[-1] == "25"


async def test_first_joins_may_fail() -> None:
    scenario = replace(scenarios.NORMAL, radio=replace(scenarios.NORMAL.radio, refused_joins=1, unheard_joins=1))
    with simulated_port(scenario) as sim:
        async with client(sim) as host:
            for _ in range(2):
                with pytest.raises(AssertionError):
                    await host.join()
            await host.join()
    assert [what for what in sim.record.happenings if what in {"UNHEARD", "REFUSED", "JOINED"}] == [
        "UNHEARD",
        "REFUSED",
        "JOINED",
    ]


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        (lambda air: air.end_session(), ["26"]),
        (lambda air: air.expire(), ["29", "25"]),
        (lambda air: air.expire(is_renewed=False), ["29", "24"]),
        (lambda air: (air.restrict(True), air.restrict(False)), ["32", "33"]),
    ],
)
async def test_the_session_ends(end: Callable[[Any], object], expected: list[str]) -> None:
    async with joined(scenarios.NORMAL) as (sim, host):
        end(sim.air)
        lines = lines_of(await host.heard())
        assert [event for event in events(lines) if event[:2] != "21"] == expected
        is_lost = expected[-1] in {"24", "26"}
        assert ((await host.send(b"\x10\x81"))[-1] == "FAIL ER10") == is_lost


async def test_a_dropped_session_is_acknowledged_and_silent() -> None:
    async with joined(scenarios.NORMAL) as (sim, host):
        sim.air.drop_session()
        assert events(await host.send(b"\x10\x81")) == ["21 00"]
        assert await host.request(Esv.GET, (0xE1, b"")) == []
        await host.ask("SKTERM")
        await host.join()
        assert await host.get(0xE1)


async def test_a_deaf_session_is_acknowledged_and_silent_until_the_next_one() -> None:
    async with joined(scenarios.DEAF_SESSION) as (_, host):
        for _ in range(3):
            assert await host.request(Esv.GET, (0xE1, b"")) == []
        await host.join()
        assert await host.get(0xE1)


@pytest.mark.parametrize(
    ("renewal", "expected"), [(Renewal.SILENT, ["25"]), (Renewal.LATE, ["29", "25"]), (Renewal.FAILS, ["29", "24"])]
)
async def test_a_session_has_a_lifetime(renewal: Renewal, expected: list[str]) -> None:
    clock = Clock()
    scenario = replace(scenarios.NORMAL, radio=replace(scenarios.NORMAL.radio, lifetime=900, renewal=renewal))
    async with joined(scenario, clock) as (sim, host):
        for _ in range(900):
            clock.move(seconds=1)
            sim.tick()
        lines = lines_of(await host.heard())
        assert [event for event in events(lines) if event[:2] not in {"21", "02"}] == expected


@pytest.mark.parametrize("module", ["bp35c2", "bp35a1", "rl7023", "rl7023dss"])
async def test_a_reading(module: str) -> None:
    async with joined(scenarios.NORMAL, module=module) as (sim, host):
        payload = bytes.fromhex("1081000105FF010288016203E700E800E000")
        lines = await host.send(payload)
        side = " 0" if module in {"bp35c2", "rl7023dss"} else ""
        assert lines[0] == f"EVENT 21 {ADDRESS}{side} 00"
        assert lines[1] == "OK"
        words = lines[2].split(" ")
        assert words[:2] == ["ERXUDP", ADDRESS]
        assert words[3:6] == ["0E1A", "0E1A", "001C640003D2A1B7"]
        assert words[6:-2] == (["1", "0"] if side else ["1"])
        assert int(words[-2], 16) * 2 == len(words[-1])
        values = dict(frames(lines)[0].properties)
        assert int.from_bytes(values[0xE0]) * Decimal("0.1") == sim.meter.energy_in(NOON)
        assert int.from_bytes(values[0xE7], signed=True) == sim.meter.power(NOON)
    assert sim.record.datagrams_from_client == [payload]
    assert sim.record.datagrams_to_client[-1] == frames(lines)[0].encode()


async def test_the_rssi_is_printed_on_request() -> None:
    async with joined(scenarios.NORMAL) as (_, host):
        await host.ask("SKSREG SA2 1")
        words = (await host.send(bytes.fromhex("1081000105FF010288016201E100")))[-1].split(" ")
        assert 0xD0 < int(words[6], 16) < 0xEA
        assert words[7:9] == ["1", "0"]


async def test_a_binary_payload_may_look_like_lines() -> None:
    async with joined(scenarios.LINE_ENDS, payload="binary") as (_, host):
        data = await host.exchange(
            f"SKSENDTO 1 {ADDRESS} 0E1A 1 0 0010 ".encode() + bytes.fromhex("1081000105FF010288016202E700E800")
        )
        assert data.endswith(bytes.fromhex("1081000102880105FF017202E70400000D0AE8040D0A0D0A") + b"\r\n")


async def test_the_head_of_a_send_is_echoed_with_a_line_end() -> None:
    async with joined(scenarios.NORMAL) as (_, host):
        await host.ask("SKSREG SFE 1")
        head = f"SKSENDTO 1 {ADDRESS} 0E1A 1 0 000E ".encode()
        assert await host.exchange(head) == head + b"\r\n"


async def test_a_half_sent_datagram_swallows_commands() -> None:
    async with joined(scenarios.NORMAL) as (sim, host):
        commands = list(sim.record.commands)
        assert await host.exchange(f"SKSENDTO 1 {ADDRESS} 0E1A 1 0 000E ".encode() + b"\x10\x81") == b""
        assert await host.ask("SKVER") == []
        assert await host.exchange(b"\r" * 5) != b""
        assert sim.record.commands[len(commands) + 1 :] == []
        assert (await host.ask("SKVER"))[-1] == "OK"


@pytest.mark.parametrize(
    "head",
    [
        "SKSENDTO 1 fe80:0000:0000:0000:021c:6400:03d2:a1b7 0E1A 1 0 0001 ",
        "SKSENDTO 1 FE80::21C:6400:3D2:A1B7 0E1A 1 0 0001 ",
        f"SKSENDTO 1 {ADDRESS} 0E1A 3 0 0001 ",
        f"SKSENDTO 1 {ADDRESS} 0E1A 1 0 0000 ",
        f"SKSENDTO 1 {ADDRESS} 0E1A 1 0 04D1 ",
    ],
)
async def test_a_send_with_a_wrong_head_is_refused(head: str) -> None:
    async with joined(scenarios.NORMAL) as (_, host):
        assert await host.exchange(head.encode()) == b"FAIL ER06\r\n"


async def test_a_send_of_the_other_dialect_is_refused_at_its_line_end() -> None:
    async with joined(scenarios.NORMAL) as (_, host):
        assert await host.exchange(f"SKSENDTO 1 {ADDRESS} 0E1A 1 0002 \r\n".encode()) == b"FAIL ER05\r\n"


OK = "OK"


@pytest.mark.parametrize(
    ("sending", "expected", "is_answered"),
    [
        (Sending.SENT, ["21 00", OK], True),
        (Sending.ACCEPTED_FIRST, [OK, "21 00"], True),
        (Sending.NOT_SENT, ["21 01", OK], False),
        (Sending.RESOLVED, ["21 02", OK, "02", "21 00"], True),
        (Sending.RESOLVED_FIRST, ["21 02", "21 00", OK], True),
        (Sending.UNRESOLVED, ["21 02", OK], False),
        (Sending.REFUSED, ["FAIL ER10"], False),
        (Sending.SILENT, [], False),
    ],
)
async def test_orders_of_sending(sending: Sending, expected: list[str], *, is_answered: bool) -> None:
    async with joined(scenarios.NORMAL) as (sim, host):
        sim.air.sendings.append(sending)
        lines = await host.send(bytes.fromhex("1081000105FF010288016201E100"))
        plain = [line for line in lines if not line.startswith("ERXUDP")]
        assert [*(events([line]) or [line] for line in plain)] == [[step] for step in expected]
        assert bool(frames(lines)) == is_answered


async def test_somebody_else_does_not_acknowledge() -> None:
    async with joined(scenarios.NORMAL) as (_, host):
        assert events(await host.send(b"\x10\x81", address=ADDRESS[:-1] + "8")) == ["21 01"]


async def test_what_is_not_encrypted_is_not_answered() -> None:
    payload = bytes.fromhex("1081000105FF010288016201E100")
    async with joined(scenarios.NORMAL) as (_, host):
        assert frames(await host.send(payload, security=0)) == []
        assert frames(await host.send(payload, security=2))


async def test_nothing_is_sent_while_the_airtime_is_used_up() -> None:
    clock = Clock()
    scenario = replace(scenarios.NORMAL, radio=replace(scenarios.NORMAL.radio, airtime_limit=0.2))
    async with joined(scenario, clock) as (sim, host):
        assert sim.air.airtime.total > 0.05
        while not sim.air.is_restricted:
            await host.send(bytes(200))
        assert (await host.ask("SKSREG SFB"))[0] == "ESREG 1"
        assert events(await host.send(b"\x10\x81")) == ["21 01"]
        assert not block(await host.ask("SKSCAN 2 FFFFFFFF 6 0"))
        clock.move(hours=1)
        sim.tick()
        assert b"EVENT 33" in await host.heard()
        assert int((await host.ask("SKSREG SFD"))[0][6:], 16) == int(sim.air.airtime.total * 1000)
        assert sim.air.airtime.last_hour() < 0.1


async def test_a_meter_that_does_not_answer() -> None:
    async with joined(scenarios.SILENT_METER) as (_, host):
        assert events(await host.send(bytes.fromhex("1081000105FF010288016201E100"))) == ["21 00"]


async def test_a_module_that_says_nothing() -> None:
    async with joined(scenarios.NORMAL) as (sim, host):
        sim.line.is_mute = True
        assert await host.ask("SKVER") == []
        sim.line.is_mute = False
        assert await host.ask("SKVER") == ["EVER 1.5.2", "OK"]


TRUE = bytes.fromhex("1081000102880105FF017202E10101D70106")


@pytest.mark.parametrize(
    ("fault", "count", "true_ones"),
    [
        (Fault.LOST, 0, []),
        (Fault.LATE, 0, []),
        (Fault.DOUBLED, 2, [0, 1]),
        (Fault.CONTRADICTED, 2, [0]),
        (Fault.FOREIGN_TID, 2, [1]),
        (Fault.FOREIGN_SENDER, 2, [1]),
        (Fault.FOREIGN_OBJECT, 2, [1]),
        (Fault.UNENCRYPTED, 2, [1]),
        (Fault.NOTIFICATION, 2, [1]),
        (Fault.TRUNCATED, 2, [1]),
        (Fault.WRONG_LENGTH, 2, [1]),
        (Fault.TRAILING, 2, [1]),
        (Fault.NOT_ECHONET, 2, [1]),
        (Fault.UNKNOWN_PROPERTY, 1, []),
        (Fault.REORDERED, 1, []),
    ],
)
async def test_faults(fault: Fault, count: int, true_ones: list[int]) -> None:
    async with joined(scenarios.NORMAL) as (sim, host):
        sim.air.faults.append(fault)
        lines = await host.send(bytes.fromhex("1081000105FF010288016202E100D700"))
        received = [bytes.fromhex(line.split(" ")[-1]) for line in lines if line.startswith("ERXUDP")]
        assert len(received) == count
        assert [place for place, data in enumerate(received) if data == TRUE] == true_ones
        lines = await host.send(bytes.fromhex("1081000105FF010288016202E100D700"))
        assert len(frames(lines)) == (2 if fault is Fault.LATE else 1)


async def test_every_scenario_can_be_opened() -> None:
    for name, scenario in scenarios.SCENARIOS.items():
        with simulated_port(scenario) as sim:
            async with opened(sim) as host:
                data = await host.exchange(b"SKVER\r\n")
                assert b"E" in data, name


async def test_noise_stands_between_the_lines() -> None:
    scenario = replace(scenarios.NOISE, line=replace(scenarios.NOISE.line, noise=1.0, unknown_events=1.0))
    with simulated_port(scenario) as sim:
        async with opened(sim) as host:
            lines = await host.ask("SKVER")
    assert [line for line in lines if line in {"SKVER", "EVER 1.5.2", "OK"}] == ["SKVER", "EVER 1.5.2", "OK"]
    assert sum(line.startswith("EVENT 7F ") for line in lines) == 3
    assert len(lines) >= 9


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (LineSettings(truncated=1.0), b"SKVEVER 1OK"),
        (LineSettings(lost_bytes=1.0), b""),
        (LineSettings(doubled_bytes=1.0), b"SSKKVVEERR\r\r\n\nEEVVEERR  11..55..22\r\r\n\nOOKK\r\r\n\n"),
    ],
)
async def test_lines_may_lose_bytes(line: LineSettings, expected: bytes) -> None:
    with simulated_port(replace(scenarios.NORMAL, line=line)) as sim:
        async with opened(sim) as host:
            assert await host.exchange(b"SKVER\r\n") == expected


async def test_the_energy_is_announced_each_half_hour() -> None:
    clock = Clock()
    async with joined(scenarios.SOLAR, clock) as (sim, host):
        clock.move(minutes=30)
        sim.tick()
        assert await host.heard() == b""
        clock.move(minutes=1)
        sim.tick()
        (notice,) = frames(lines_of(await host.heard()))
        assert notice.service == Esv.INF
        assert (notice.source, notice.destination) == (METER, CONTROLLER)
        values = dict(notice.properties)
        assert values[0xEA][:7].hex().upper() == "07EA0B170C1E00"
        half_past = NOON.replace(minute=30, second=0)
        assert int.from_bytes(values[0xEA][7:]) * Decimal("0.1") == sim.meter.energy_in(half_past)
        assert int.from_bytes(values[0xEB][7:]) * Decimal("0.1") == sim.meter.energy_out(half_past)
        # After a leap only the newest is announced.
        clock.move(days=1)
        sim.tick()
        assert len(frames(lines_of(await host.heard()))) == 1


@pytest.mark.parametrize(("is_answered", "expected"), [(True, 1), (False, 3)])
async def test_a_notification_that_wants_an_answer_is_repeated(*, is_answered: bool, expected: int) -> None:
    clock = Clock()
    async with joined(scenarios.REQUESTED_NOTICES, clock) as (sim, host):
        clock.move(minutes=31)
        sim.tick()
        heard = frames(lines_of(await host.heard()))
        assert heard[0].service == Esv.INFC
        if is_answered:
            reply = replace(
                heard[0], source=CONTROLLER, destination=METER, service=Esv.INFC_RES, properties=((0xEA, b""),)
            )
            await host.send(reply.encode())
        for _ in range(5):
            clock.move(seconds=25)
            sim.tick()
            heard += frames(lines_of(await host.heard()))
        assert len(heard) == expected
        assert len({frame.tid for frame in heard}) == 1


async def test_changes_are_announced() -> None:
    async with joined(scenarios.NORMAL) as (sim, host):
        sim.meter.device.set_faulty(faulty=True)
        (notice,) = frames(lines_of(await host.heard()))
        assert notice.properties == ((0x88, b"\x41"),)
        answered, notice = await host.request(Esv.SET_C, (0x81, b"\x09"))
        assert answered.service == Esv.SET_RES
        assert notice.properties == ((0x81, b"\x09"),)
        assert await host.get(0x88, 0x89) == {0x88: b"\x41", 0x89: b"\0\x01"}


async def test_notifications_can_be_absent() -> None:
    clock = Clock()
    async with joined(scenarios.NO_NOTICES, clock) as (sim, host):
        clock.move(minutes=31)
        sim.tick()
        assert await host.heard() == b""


async def test_the_meter_is_exchanged() -> None:
    clock = Clock()
    async with joined(scenarios.NORMAL, clock) as (sim, host):
        before = sim.meter.energy_in(clock.now)
        sim.exchange_meter()
        clock.move(hours=2)
        assert 0 < sim.meter.energy_in(clock.now) < 10 < before
        assert events(await host.send(b"\x10\x81")) == ["21 01"]
        await host.ask("SKTERM")
        lines = block(await host.ask("SKSCAN 2 FFFFFFFF 6 0"))
        assert "  Addr:001C640003D2FFFF" in lines
        assert events(await host.ask("SKJOIN FE80:0000:0000:0000:021C:6400:03D2:FFFF"))[-1] == "25"


async def test_a_port_is_opened_by_one_host_at_a_time() -> None:
    with simulated_port(scenarios.NORMAL) as sim:
        async with opened(sim):
            with pytest.raises(OSError, match="locked") as caught:
                await serialx.open_serial_connection(sim.url, baudrate=115_200)
            assert caught.value.errno == errno.EBUSY
        async with opened(sim):
            pass
    assert (sim.record.opens, sim.record.closes) == (2, 2)


async def test_an_unplugged_dongle_is_gone_until_it_is_plugged_in() -> None:
    with simulated_port(scenarios.NORMAL) as sim:
        reader, writer = await serialx.open_serial_connection(sim.url, baudrate=115_200)
        sim.unplug()
        with pytest.raises(OSError, match="disconnected") as caught:
            await reader.read()
        assert caught.value.errno == errno.EIO
        writer.write(b"SKVER\r\n")
        writer.close()
        with pytest.raises(FileNotFoundError):
            await serialx.open_serial_connection(sim.url, baudrate=115_200)
        sim.unplug()
        sim.plug()
        async with opened(sim) as host:
            assert await host.ask("SKVER") == ["SKVER", "EVER 1.5.2", "OK"]


async def test_an_unplugged_dongle_forgets_its_session() -> None:
    with simulated_port(scenarios.NORMAL) as sim:
        async with client(sim) as host:
            await host.join()
        sim.unplug()
        sim.plug()
        async with client(sim) as host:
            assert (await host.ask("SKTERM"))[-1] == "FAIL ER10"


async def test_two_dongles_have_two_urls() -> None:
    with simulated_port(scenarios.NORMAL) as one, simulated_port(scenarios.NORMAL, module="bp35a1") as two:
        async with opened(one) as first, opened(two) as second:
            assert (await first.ask("SKVER"))[1] == "EVER 1.5.2"
            assert (await second.ask("SKVER"))[1] == "EVER 1.2.10"
    with pytest.raises(serialx.SerialException):
        await serialx.open_serial_connection(one.url, baudrate=115_200)


async def test_an_unknown_dongle_does_not_exist() -> None:
    with simulated_port(scenarios.NORMAL), pytest.raises(FileNotFoundError):
        await serialx.open_serial_connection("sim://nobody", baudrate=115_200)


async def test_a_dongle_of_another_speed_is_silent() -> None:
    with simulated_port(scenarios.NORMAL, baud_rate=9600) as sim:
        async with opened(sim) as host:
            assert await host.ask("SKVER") == []
        async with opened(sim, 9600) as host:
            assert (await host.ask("SKVER"))[-1] == "OK"


async def test_bytes_can_be_injected() -> None:
    with simulated_port(scenarios.NORMAL) as sim:
        async with opened(sim) as host:
            sim.inject(b"EVENT 26 rubbish\r\n")
            assert await host.heard() == b"EVENT 26 rubbish\r\n"


async def test_the_transport_has_no_more_than_it_needs() -> None:
    with simulated_port(scenarios.NORMAL) as sim:
        loop = asyncio.get_running_loop()
        transport, _ = await serialx.create_serial_connection(loop, asyncio.Protocol, sim.url, baudrate=115_200)
        assert transport.get_write_buffer_size() == 0
        transport.writelines([b"SKVER", b"\r\n"])
        await transport.flush()
        assert isinstance(await transport.get_modem_pins(), serialx.ModemPins)
        await transport.set_modem_pins(dtr=True)
        transport.abort()
        transport.close()
        await transport.wait_closed()
    assert sim.record.commands == ["SKVER"]


async def test_delays_are_those_of_a_radio_divided_by_the_speed() -> None:
    loop = asyncio.get_running_loop()
    with simulated_port(scenarios.NORMAL, speed=100) as sim:
        reader, writer = await serialx.open_serial_connection(sim.url, baudrate=115_200)
        writer.write(b"SKSETRBID " + scenarios.ROUTE_B_ID.encode() + b"\r\nSKSCAN 2 FFFFFFFF 6 0\r\n")
        start = loop.time()
        await reader.readuntil(b"EVENT 20")
        heard = 100 * (loop.time() - start)
        await reader.readuntil(b"EVENT 22")
        ended = 100 * (loop.time() - start)
        writer.close()
        await writer.wait_closed()
    # A busy machine may add to it, nothing may take away.
    assert 10.6 <= heard <= ended
    assert 17.9 <= ended < 60


def test_closing_stops_everything_and_opening_goes_on() -> None:
    async def main() -> None:
        with simulated_port(scenarios.NORMAL, speed=1, clock=clock) as sim:
            async with opened(sim) as host:
                await host.ask("SKSETRBID " + scenarios.ROUTE_B_ID)
                await host.ask("SKSCAN 2 FFFFFFFF 4 0")
            printed = sim.record.bytes_to_host
            await asyncio.sleep(60)
            assert sim.record.bytes_to_host == printed
            async with opened(sim) as host:
                await asyncio.sleep(60)
                assert b"EVENT 22" in await host.heard()

    run(main())
