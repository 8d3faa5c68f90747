"""Our client reads a node of others: a meter that is made with the package echonetlite."""

import json
import sys
from typing import TYPE_CHECKING

import pytest

from tests.simulator.process import ROOT

from .test_lan_ipv6 import own_network_or_skip, run_in_own_network

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.usefixtures("socket_enabled"), pytest.mark.timeout(120)]

PEER = ROOT / ".venv-peers" / "bin" / "python"

NODE = """
from echonetlite.interfaces import monitor
from echonetlite.middleware import NodeProfile, NodeSuperObject
from echonetlite.protocol import EOJ, Message

class Answering:
    # The package counts its answers itself, where each has the number of its request (EL2 3.2.2).
    tid = None

    def on_did_receive_request(self, msg, from_node):
        self.tid = msg.tid
        super().on_did_receive_request(msg, from_node)
        self.tid = None

    def send(self, esv, props, to_eoj, to_node_id=None):
        msg = Message()
        msg.tid, msg.esv, msg.seoj, msg.deoj = self.tid, esv, self.eoj, to_eoj
        msg.properties, msg.opc = props, len(props)
        monitor.send(msg, to_node_id)

class Profile(Answering, NodeProfile):
    pass

class Meter(Answering, NodeSuperObject):
    pass

MEASURED = {
    0x8D: list(b"N26000000001"),
    0x8A: [0, 0, 0x16],
    0xD7: [6],
    0xE0: [0, 1, 0xE2, 0x40],
    0xE1: [1],
    0xE7: [0, 0, 1, 0xF4],
    0xE8: [0, 0x1E, 0, 0x0A],
}
meter = Meter(eoj=EOJ(0x02, 0x88, 0x01))
meter.properties.update(MEASURED)
meter.get_property_map += [code for code in MEASURED if code != 0x8A]
profile = Profile()
monitor.start(node_id="10.9.8.2", devices={str(each.eoj): each for each in (profile, meter)})
"""

SCRIPT = """
set -eu
ip link set lo up
ip link add home0 type veth peer name meter0
unshare --net bash -c '
  until ip link set meter0 up 2>/dev/null; do sleep 0.1; done
  ip addr add 10.9.8.2/24 dev meter0
  ip route add 224.0.0.0/4 dev meter0
  exec "$PEER" -c "$NODE" > "$TALK" 2>&1
' &
trap 'kill %1' EXIT
until [ "$(readlink /proc/$!/ns/net)" != "$(readlink /proc/$$/ns/net)" ]; do sleep 0.1; done
ip link set meter0 netns $!
ip addr add 10.9.8.1/24 dev home0
ip link set home0 up
cd "$STACK"
for _ in 1 2 3 4 5 6 7 8 9; do "$PYTHON" -m aiobroute scan --lan --interface home0 --json && break; done
"$PYTHON" -m aiobroute read --port echonet://10.9.8.2 --json
"$PYTHON" -m aiobroute read --port echonet://N26000000001 --interface home0 --json
"""


async def test_a_node_of_others(tmp_path: Path) -> None:
    """Found, and read by its address and by what it calls itself; it answers from another port than 3610."""
    await own_network_or_skip()
    names = {"PYTHON": sys.executable, "PEER": str(PEER), "STACK": str(ROOT / "custom_components" / "broute")}
    code, output, errors = await run_in_own_network(SCRIPT, NODE=NODE, TALK=str(tmp_path / "node"), **names)
    assert code == 0, errors
    found, by_address, by_name = map(json.loads, output.splitlines())
    assert (found["meter"], found["address"]) == ("N26000000001", "10.9.8.2")
    for reading in (by_address, by_name):
        assert (reading["power"], reading["current_r"], reading["current_t"]) == (500, 3, 1)
        assert float(reading["counter_in"]) == pytest.approx(12345.6)
