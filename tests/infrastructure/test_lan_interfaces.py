"""Network interfaces that are there beside others, go, and come back; they exist for these tests only."""

import json
from pathlib import Path
import sys

import pytest

from tests.simulator import scenarios
from tests.simulator.process import ROOT

from .test_lan_ipv6 import METER, own_network_or_skip, run_in_own_network

pytestmark = [pytest.mark.usefixtures("socket_enabled"), pytest.mark.timeout(120)]

STACK = ROOT / "custom_components" / "broute"

BESIDE = """
import select, socket, struct
from aiobroute.lan.sockets import PORT, asking_socket, group_address, group_socket

home, other, own = map(socket.if_nametoindex, ("home0", "home1", "lo"))
for family, local in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
    here, there = group_socket(family, home), group_socket(family, other)
    asking, asking_own = asking_socket(family, home), asking_socket(family, own)
    for index, address, hear in (
        (other, group_address(family, other), there),
        (home, group_address(family, home), here),
        (own, (local, PORT), asking_own),
    ):
        for _ in range(8):  # As the port of the sender may decide who gets it.
            node = socket.socket(family, socket.SOCK_DGRAM)
            if family is socket.AF_INET:
                node.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, struct.pack("=4s4si", b"", b"", index))
            node.sendto(b"announced", address)
        waiting = [here, there, asking, asking_own]
        heard = []
        while ready := select.select(waiting, [], [], 0.3)[0]:
            heard += ready
            for each in ready:
                each.recv(100)
        print(family.name, [each.getsockname()[0] for each in heard], heard == [hear] * 8)

node = group_socket(socket.AF_INET, own)
asking_socket(socket.AF_INET, own).sendto(b"who", group_address(socket.AF_INET, own))
asked_by = node.recvfrom(100)[1]
print("answers go to", asked_by, asked_by == ("127.0.0.1", PORT))
"""

TWO_INTERFACES = """
set -eu
ip link set lo up
for number in 0 1; do
  ip link add home$number type veth peer name meter$number
  ip addr add 10.9.$number.1/24 dev home$number
  ip link set home$number up
  ip link set meter$number up
done
until [ "$(ip -6 -o addr show scope link -tentative | wc -l)" = 4 ]; do sleep 0.1; done
cd "$STACK"
"$PYTHON" -c "$BESIDE"
"""

GOING = """
cd "$STACK"
touch "$FOLDER/readings" "$FOLDER/said"
"$PYTHON" -m aiobroute watch --port "echonet://$SERIAL" --interval 1 --json > "$FOLDER/readings" 2> "$FOLDER/said" &
trap 'kill %1 %2; cat "$FOLDER/said" >&2' EXIT
lines() { wc -l < "$FOLDER/$1"; }
more() {
  wanted=$(($(lines "$1") + $2))
  until [ "$(lines "$1")" -ge "$wanted" ]; do kill -0 %1; kill -0 %2; sleep 0.1; done
}
more readings 2
ip link set home0 down
more said 1
ip link set home0 up
more readings 2
echo back
"""


async def test_what_comes_over_another_interface_is_not_heard() -> None:
    """Linux would give what is for a group to each socket of that port, and what is for us alone to any of them."""
    await own_network_or_skip()
    code, output, errors = await run_in_own_network(
        TWO_INTERFACES, PYTHON=sys.executable, STACK=str(STACK), BESIDE=BESIDE
    )
    assert code == 0, errors
    lines = output.splitlines()
    assert len(lines) == 7
    assert all(line.endswith("True") for line in lines), output


async def test_an_interface_that_goes_and_comes_back(tmp_path: Path) -> None:
    """The meter is read on; what could not be read meanwhile is said."""
    await own_network_or_skip()
    serial = scenarios.NORMAL.meter.serial
    code, output, errors = await run_in_own_network(
        METER + GOING,
        PYTHON=sys.executable,
        STACK=str(STACK),
        SERIAL=serial,
        READY=str(tmp_path / "ready"),
        FOLDER=str(tmp_path),
    )
    assert (code, output) == (0, "back\n"), errors
    readings = [json.loads(line) for line in (tmp_path / "readings").read_text().splitlines()]
    assert all(reading["power"] is not None for reading in readings)
