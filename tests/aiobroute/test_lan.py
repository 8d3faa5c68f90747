"""Meters in the home network: found, read, lost and found again, in virtual time over the machine's own loop."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from decimal import Decimal
import logging
import os
import socket
import struct
from typing import Any, Self

from hypothesis import given, strategies as st
import pytest

from custom_components.broute.aiobroute import (
    MeterProfile,
    MeterTimeoutError,
    Node,
    NodeAddressError,
    NodeNotFoundError,
    NodePortBusyError,
    NodeUnreachableError,
    Notification,
    Progress,
    SessionLostError,
    Stage,
    is_node,
    url_of,
)
from custom_components.broute.aiobroute.echonet import properties as p
from custom_components.broute.aiobroute.lan import NodeMeter, connect_node, find_nodes
from custom_components.broute.aiobroute.lan.path import NodePath
from custom_components.broute.aiobroute.lan.search import has_meter
from custom_components.broute.aiobroute.lan.sockets import SocketAddress, address_of, interfaces
from custom_components.broute.aiobroute.node import Target, parse
from tests.simulator import scenarios
from tests.simulator.echonet import Excess
from tests.simulator.faults import Fault
from tests.simulator.lan import LanNode, lan_node, own_place
from tests.simulator.meter import MeterSettings
from tests.simulator.scenarios import Scenario

from .virtual_time import clock, run

SERIAL = f"S18{os.getpid():09}"
"""Of this process: others of the machine are heard, too."""

pytestmark = [pytest.mark.own_loop, pytest.mark.usefixtures("echonet_port")]

LOOP = ["lo"]


def of(scenario: Scenario, serial: str = SERIAL, **changes: Any) -> Scenario:
    """Return a scenario whose meter is none of another process."""
    return replace(scenario, meter=replace(scenario.meter, serial=serial, **changes))


def readings_of(node: LanNode) -> int:
    """Return how many requests were for the power."""
    return sum(data[10:11] == b"\x62" and b"\xe7\x00" in data[12:] for data in node.record.datagrams_from_client)


@asynccontextmanager
async def connected(
    scenario: Scenario = scenarios.SOLAR, *, sim: dict[str, Any] | None = None, **options: Any
) -> AsyncIterator[tuple[NodeMeter, LanNode]]:
    with lan_node(of(scenario), clock=clock, **(sim or {})) as node:
        async with await connect_node(f"echonet://{node.place.address}", **options) as meter:
            yield meter, node


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("echonet://192.168.1.20", Target(address="192.168.1.20")),
        ("ECHONET://192.168.1.20/", Target(address="192.168.1.20")),
        ("echonet://[fe80::1%eth0]", Target(address="fe80::1%eth0")),
        ("echonet://[FE80:0::1%25eth0]", Target(address="fe80::1%eth0")),
        ("echonet://fe80::1%wlan0", Target(address="fe80::1%wlan0")),
        ("echonet://[fd00::2]", Target(address="fd00::2")),
        ("echonet://[fd00::2%eth0]", Target(address="fd00::2")),
        ("echonet://[::ffff:192.168.1.20]", Target(address="192.168.1.20")),
        ("echonet://S18012345678", Target(identity="S18012345678")),
        ("echonet://s18012345678", Target(identity="S18012345678")),
        ("echonet://fe00001600533138303132333435363738", Target(identity="FE00001600533138303132333435363738")),
    ],
)
def test_what_a_url_means(url: str, target: Target) -> None:
    assert is_node(url)
    assert parse(url) == target


@pytest.mark.parametrize(
    "url",
    [
        "echonet://",
        "echonet:///",
        "echonet://[fe80::1]",
        "echonet://fe80::1",
        "echonet://[fe80::1%]",
        "echonet://[fe80::1%a b]",
        "echonet://[S18012345678]",
        "echonet://224.0.23.0",
        "echonet://[ff02::1%eth0]",
        "echonet://0.0.0.0",
        "echonet://255.255.255.255",
        "echonet://192.168.1",
        "echonet://192.168.1.300",
        "echonet://192.168.1.20:3610",
        "echonet://user@S18012345678",
        "echonet://S18",
        "/dev/ttyUSB0",
    ],
)
def test_what_means_no_meter(url: str) -> None:
    with pytest.raises(NodeAddressError):
        parse(url)


def test_a_reading() -> None:
    async def main() -> None:
        stages: list[Progress] = []
        async with connected(on_progress=stages.append) as (meter, node):
            reading = await meter.read()
            at = clock()
            assert reading.energy_in == node.meter.energy_in(at)
            assert reading.energy_out == node.meter.energy_out(at)
            assert reading.power == node.meter.power(at)
            assert reading.rssi is None
            assert not meter.restricted
            assert meter.profile.manufacturer == "Toshiba"
            assert meter.node == Node(address=node.place.address, identity=SERIAL)
        assert [progress.stage for progress in stages] == [Stage.SEARCH, Stage.READ]

    run(main(), over_network=True)


def test_a_known_meter_is_read_with_its_first_answer() -> None:
    async def main() -> None:
        async with connected() as (meter, node):
            known, profile = meter.node, MeterProfile.from_raw(meter.profile.raw)
            node.record.clear()
            begun = asyncio.get_running_loop().time()
            async with await connect_node(url_of(SERIAL), node=known, profile=profile) as again:
                reading = await again.read()
            assert reading.energy_in is not None
            assert asyncio.get_running_loop().time() - begun < 0.06
            assert readings_of(node) == 1

    run(main(), over_network=True)


def test_all_meters_are_found() -> None:
    async def main() -> None:
        with (
            lan_node(of(scenarios.SOLAR), clock=clock) as one,
            lan_node(of(scenarios.NORMAL, f"T{SERIAL[1:]}"), clock=clock) as two,
        ):
            found = {each.node.identity: each for each in await find_nodes(LOOP)}
            assert found[SERIAL].node.address == one.place.address
            assert found[f"T{SERIAL[1:]}"].node.address == two.place.address
            assert found[SERIAL].profile.manufacturer == "Toshiba"
            assert found[SERIAL].profile.serial_number == SERIAL

    run(main(), over_network=True)


def test_a_wanted_meter_ends_the_search() -> None:
    async def main() -> None:
        with lan_node(of(scenarios.SOLAR), clock=clock):
            begun = asyncio.get_running_loop().time()
            await find_nodes(LOOP, wanted=SERIAL)
            assert asyncio.get_running_loop().time() - begun < 0.5

    run(main(), over_network=True)


def test_nobody_is_found_where_nobody_is() -> None:
    async def main() -> None:
        found = await find_nodes(["lo", "none such"], wanted="NOBODY")
        assert SERIAL not in {each.node.identity for each in found}
        with pytest.raises(NodeNotFoundError):
            await connect_node(url_of("NOBODY"), interfaces=LOOP)
        with pytest.raises(NodeNotFoundError):
            await connect_node(f"echonet://{own_place().address}")

    run(main(), over_network=True)


def test_who_answers_instead_of_the_wanted_meter_is_told() -> None:
    async def main() -> None:
        others: list[Node] = []
        with lan_node(of(scenarios.SOLAR), clock=clock) as node:
            with pytest.raises(NodeNotFoundError):
                await connect_node(url_of("NOBODY"), interfaces=LOOP, on_other=others.append)
            assert (SERIAL, node.place.address) in {(other.identity, other.address) for other in others}
            others.clear()
            await (await connect_node(url_of(SERIAL), interfaces=LOOP, on_other=others.append)).close()
            assert SERIAL not in {other.identity for other in others}

    run(main(), over_network=True)


def test_a_meter_that_moved_is_found_again() -> None:
    async def main() -> None:
        lost: list[SessionLostError] = []
        with lan_node(of(scenarios.SOLAR), clock=clock) as node:
            async with await connect_node(url_of(SERIAL), interfaces=LOOP, on_lost=lost.append) as meter:
                await meter.read()
                node.on(own_place())
                with pytest.raises(MeterTimeoutError):
                    await meter.read()
                with pytest.raises(SessionLostError):
                    await meter.read()
                with pytest.raises(SessionLostError):
                    await meter.read()
                assert meter.is_lost
                assert len(lost) == 1
            async with await connect_node(url_of(SERIAL), node=meter.node, interfaces=LOOP) as again:
                assert again.node.address == node.place.address
                assert (await again.read()).power == node.meter.power(clock())

    run(main(), over_network=True)


def test_another_meter_at_the_address_is_not_taken_for_ours() -> None:
    async def main() -> None:
        async with connected() as (meter, node):
            await meter.read()
        with (
            lan_node(of(scenarios.NORMAL, f"T{SERIAL[1:]}"), node.place, clock=clock),
            lan_node(of(scenarios.SOLAR), clock=clock) as moved,
        ):
            async with await connect_node(url_of(SERIAL), node=meter.node, interfaces=LOOP) as again:
                assert again.node == Node(address=moved.place.address, identity=SERIAL)

    run(main(), over_network=True)


def test_what_it_tells_all() -> None:
    async def main() -> None:
        told: list[Notification] = []
        async with connected(on_notification=told.append) as (meter, node):
            await meter.read()
            node.announce(0xEA, 0xEB)
            await asyncio.sleep(0.1)
            assert [set(each.values.data) for each in told] == [{0xEA, 0xEB}]

    run(main(), over_network=True)


def test_what_a_second_meter_of_the_same_node_tells_is_not_ours() -> None:
    async def main() -> None:
        told: list[Notification] = []
        async with connected(on_notification=told.append) as (meter, node):
            await meter.read()
            for object_, power in (("028802", 111), ("028801", 222), ("028802", 333)):
                node.tell(bytes.fromhex(f"10810001{object_}05FF017301E704{power:08X}"), node.place.group)
            await asyncio.sleep(0.1)
            assert [each.values.read(p.POWER) for each in told] == [222]

    run(main(), over_network=True)


@pytest.mark.parametrize("fault", [each for each in Fault if each not in (Fault.LOST, Fault.LATE)])
def test_faults_of_single_datagrams(fault: Fault) -> None:
    async def main() -> None:
        async with connected() as (meter, node):
            await meter.read()
            for _ in range(3):
                node.faults.append(fault)
                assert (await meter.read()).power == node.meter.power(clock())

    run(main(), over_network=True)


@pytest.mark.parametrize("fault", [Fault.LOST, Fault.LATE])
def test_an_answer_that_does_not_come_is_asked_for_again(fault: Fault) -> None:
    async def main() -> None:
        async with connected() as (meter, node):
            await meter.read()
            node.faults += [fault, fault]
            begun = asyncio.get_running_loop().time()
            reading = await meter.read()
            assert reading.power is not None
            assert 4 < asyncio.get_running_loop().time() - begun < 9

    run(main(), over_network=True)


def test_a_meter_without_a_serial_number_is_known_by_its_node() -> None:
    async def main() -> None:
        async with connected(replace(scenarios.SOLAR, meter=MeterSettings(values={0x8D: ""}))) as (meter, node):
            assert meter.node.identity == "FE00001600" + SERIAL.encode().hex().upper()
            assert (await meter.read()).power == node.meter.power(clock())

    run(main(), over_network=True)


def test_a_meter_that_answers_from_another_port() -> None:
    async def main() -> None:
        with lan_node(of(scenarios.SOLAR), clock=clock, port=40_000) as node:
            async with await connect_node(f"echonet://{node.place.address}") as meter:
                assert not meter.node.is_strict
                assert (await meter.read()).power is not None
            async with await connect_node(url_of(SERIAL), node=meter.node) as again:
                assert (await again.read()).power is not None

    run(main(), over_network=True)


def test_it_takes_nothing_from_other_meters() -> None:
    """A socket that is open for all that comes to our address is second to those of single meters."""

    async def main() -> None:
        with lan_node(of(scenarios.SOLAR, f"T{SERIAL[1:]}"), clock=clock, port=40_000) as odd:
            async with connected() as (meter, node):
                await meter.read()
                async with await connect_node(f"echonet://{odd.place.address}") as other:
                    begun = asyncio.get_running_loop().time()
                    for _ in range(5):
                        assert (await meter.read()).power == node.meter.power(clock())
                        assert (await other.read()).power == odd.meter.power(clock())
                    assert asyncio.get_running_loop().time() - begun < 1, "none was asked twice"

    run(main(), over_network=True)


def test_the_history() -> None:
    async def main() -> None:
        async with connected() as (meter, node):
            counters = await meter.history.day(await meter.history.today())
            first = counters[0]
            assert first.energy_in == node.meter.energy_in(first.start)
            assert isinstance(first.energy_in, Decimal)
            await meter.set(p.INSTALLATION_LOCATION, 0x08)
            assert await meter.value(p.INSTALLATION_LOCATION) == 0x08

    run(main(), over_network=True)


def test_no_log_tells_the_serial_number(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    assert SERIAL not in repr(Node(address="192.168.1.20", identity=SERIAL))

    async def main() -> None:
        with lan_node(of(scenarios.SOLAR), clock=clock):
            async with await connect_node(url_of(SERIAL), interfaces=LOOP) as meter:
                await meter.read()

    run(main(), over_network=True)
    assert SERIAL not in caplog.text


class Anybody:
    """Another program, or node, on this machine."""

    def __init__(self, address: str, port: int = 3610, *, shares: bool = True) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.settimeout(0)
        if shares:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind((address, port))
        index = struct.pack("=4s4si", b"", b"", socket.if_nametoindex("lo"))
        self.socket.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, index)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def tell_all(self, data: bytes) -> None:
        self.socket.sendto(data, ("224.0.23.0", 3610))

    def heard(self) -> list[bytes]:
        found = []
        with suppress(BlockingIOError):
            while True:
                found.append(self.socket.recv(2000))
        return found


def listed(*objects: str, source: str = "0EF001", service: str = "73") -> bytes:
    """Return a node's list of objects, as it is announced."""
    data = bytes([len(objects)]) + bytes.fromhex("".join(objects))
    return bytes.fromhex(f"10810001{source}0EF001{service}01D5") + bytes([len(data)]) + data


OTHERS = [
    listed("013001", "029001", "026001"),
    listed("028801", source="028801"),
    listed("028801", service="62"),
    listed("028801")[:-1],
    listed(),
    b"",
    b"\x10\x82hello",
    bytes.fromhex("108100010EF0010EF00173010000"),
]
"""An air conditioner, a lamp and a blind; and what is no list of objects."""


def test_what_other_nodes_say_is_no_meter() -> None:
    async def main() -> None:
        with Anybody(own_place().address) as other:
            search = asyncio.ensure_future(find_nodes(LOOP))
            await asyncio.sleep(0.1)
            for data in OTHERS:
                other.tell_all(data)
            found = await search
            assert other.socket.getsockname()[0] not in {each.node.address for each in found}
            asked = [data for data in other.heard() if data[10:11] == b"\x62"]
            assert not asked, "who has no meter is not asked who it is"

    run(main(), over_network=True)


def test_a_node_that_says_it_has_a_meter_and_never_answers() -> None:
    async def main() -> None:
        with Anybody(own_place().address) as other:
            search = asyncio.ensure_future(find_nodes(LOOP))
            await asyncio.sleep(0.1)
            for _ in range(3):
                other.tell_all(listed("028801", "028802"))
            found = await search
            assert other.socket.getsockname()[0] not in {each.node.address for each in found}
            assert len(other.heard()) == 2, "asked twice, and by one search only"

    run(main(), over_network=True)


def test_a_meter_with_two_addresses_is_one() -> None:
    async def main() -> None:
        with lan_node(of(scenarios.SOLAR), clock=clock), lan_node(of(scenarios.SOLAR), clock=clock):
            assert [each.node.identity for each in await find_nodes(LOOP)].count(SERIAL) == 1

    run(main(), over_network=True)


def test_a_meter_that_is_gone_before_it_is_read() -> None:
    async def main() -> None:
        with lan_node(of(scenarios.SOLAR), clock=clock) as node:
            # The first answer says who it is; there is none when it is asked for more.
            node.faults += [Fault.DOUBLED, Fault.DOUBLED, Fault.LOST, Fault.LOST]
            with pytest.raises(NodeNotFoundError):
                await connect_node(url_of(SERIAL), interfaces=LOOP)

    run(main(), over_network=True)


@pytest.mark.parametrize("turns", range(12))
def test_a_connection_that_is_given_up_leaves_nothing(turns: int) -> None:
    async def main() -> None:
        with lan_node(of(scenarios.SOLAR), clock=clock) as node:
            connecting = asyncio.ensure_future(connect_node(f"echonet://{node.place.address}"))
            for _ in range(turns):
                await asyncio.sleep(0)
            connecting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await connecting

    run(main(), over_network=True)


def test_damaged_answers_while_it_connects() -> None:
    async def main() -> None:
        for fault in (Fault.TRUNCATED, Fault.NOT_ECHONET, Fault.FOREIGN_TID):
            with lan_node(of(scenarios.SOLAR), clock=clock) as node:
                node.faults.append(fault)
                async with await connect_node(f"echonet://{node.place.address}") as meter:
                    assert meter.node.identity == SERIAL

    run(main(), over_network=True)


def test_a_meter_without_any_name_is_who_is_at_its_address() -> None:
    async def main() -> None:
        scenario = replace(scenarios.SOLAR, meter=MeterSettings(serial="\0" * 12, maker="000000", values={0x8D: ""}))
        with lan_node(scenario, clock=clock) as node:
            async with await connect_node(f"echonet://{node.place.address}") as meter:
                assert parse(url_of(meter.node.identity)) == Target(address=node.place.address)

    run(main(), over_network=True)


def test_a_search_that_is_given_up_leaves_nothing() -> None:
    async def main() -> None:
        with Anybody(own_place().address) as other:
            search = asyncio.ensure_future(find_nodes(LOOP))
            await asyncio.sleep(0.1)
            other.tell_all(listed("028801"))
            await asyncio.sleep(0.1)
            given_up = asyncio.get_running_loop().time()
            search.cancel()
            with pytest.raises(asyncio.CancelledError):
                await search
            assert asyncio.get_running_loop().time() - given_up < 0.1, "nor is who was asked waited for"

    run(main(), over_network=True)


def test_a_flood_of_others_holds_up_nothing() -> None:
    """In a home with dozens of nodes, or with one that is out of its mind."""

    async def main() -> None:
        told: list[Notification] = []
        async with connected(on_notification=told.append) as (meter, node):
            await meter.read()
            with Anybody(own_place().address) as other:
                for number in range(1000):
                    for data in OTHERS:
                        other.tell_all(data)
                    other.tell_all(bytes.fromhex("1081000102880105FF017301E70400000001"))
                    if number % 100 == 0:
                        assert (await meter.read()).power == node.meter.power(clock())
            assert meter.dropped > 100
            assert not told

    run(main(), over_network=True)


def test_other_programs_keep_their_datagrams() -> None:
    async def main() -> None:
        with Anybody("0.0.0.0") as program, Anybody(own_place().address) as lamp:  # noqa: S104  # as programs do
            async with connected() as (meter, node):
                for _ in range(3):
                    lamp.socket.sendto(listed("029001"), ("127.0.0.1", 3610))
                    assert (await meter.read()).power == node.meter.power(clock())
            assert program.heard().count(listed("029001")) == 3

    run(main(), over_network=True)


def test_a_program_that_has_the_port_for_itself() -> None:
    async def main() -> None:
        with Anybody("127.0.0.1", shares=False):
            with pytest.raises(NodePortBusyError, match="another program"):
                await connect_node(f"echonet://{own_place().address}")
            with pytest.raises(NodePortBusyError):
                await find_nodes(LOOP)

    run(main(), over_network=True)


@pytest.mark.parametrize("most", [1, 2, 4])
def test_a_meter_that_ignores_a_question_for_much(most: int) -> None:
    async def main() -> None:
        with lan_node(of(scenarios.SOLAR), clock=clock) as node:
            node.meter.limit(most, Excess.IGNORED)
            found = await find_nodes(LOOP)
            assert SERIAL in {each.node.identity for each in found}
            async with await connect_node(f"echonet://{node.place.address}") as meter:
                assert meter.node.identity == SERIAL
                assert (await meter.read()).power == node.meter.power(clock())

    run(main(), over_network=True)


def test_an_interface_that_is_not_there() -> None:
    async def main() -> None:
        with pytest.raises(NodeNotFoundError):
            await connect_node("echonet://[fe80::1%nosuch0]")

    run(main(), over_network=True)


def test_an_address_to_which_there_is_no_way() -> None:
    async def main() -> None:
        for is_strict in (True, False):
            with pytest.raises(NodeUnreachableError):
                await NodePath.open("fe80::1%lo", is_strict=is_strict)

    run(main(), over_network=True)


def test_ipv6_without_groups() -> None:
    """The machine's own loop has none; test_lan_ipv6.py has both ends and the group."""

    async def main() -> None:
        path = await NodePath.open("::1")
        await path.close()
        with pytest.raises(SessionLostError):
            await path.send(b"")

    run(main(), over_network=True)


@pytest.mark.parametrize("code", [0x8D, 0xE7])
def test_what_cannot_be_read_is_left_out(code: int) -> None:
    async def main() -> None:
        scenario = replace(scenarios.SOLAR, meter=MeterSettings(values={code: "01"}))
        async with connected(scenario) as (meter, node):
            reading = await meter.read()
            assert reading.energy_in == node.meter.energy_in(clock())
            assert (reading.power is None) == (code == 0xE7)

    run(main(), over_network=True)


@pytest.mark.parametrize(
    ("source", "address"),
    [
        (("192.168.1.20", 3610), "192.168.1.20"),
        (("fd00::1", 3610, 0, 0), "fd00::1"),
        (("fe80::1", 3610, 0, 1), "fe80::1%lo"),
        (("fe80::1%lo", 3610, 0, 1), "fe80::1%lo"),
        (("fe80::1", 3610, 0, 9999), "fe80::1"),
    ],
)
def test_who_sent_a_datagram(source: SocketAddress, address: str) -> None:
    assert address_of(source) == address


@given(st.binary(max_size=60) | st.binary(max_size=40).map(lambda data: listed("028801")[:-3] + data))
def test_no_datagram_ends_a_search(data: bytes) -> None:
    assert has_meter(data) in {True, False}


@given(st.text(max_size=40).map(lambda text: f"echonet://{text}"))
def test_whatever_is_typed_is_a_target_or_an_error(url: str) -> None:
    with suppress(NodeAddressError):
        target = parse(url)
        assert (target.address is None) != (target.identity is None)


def test_all_interfaces_are_asked_but_the_machines_own_loop() -> None:
    assert set(interfaces()) == {name for _, name in socket.if_nameindex()} - {"lo"}
