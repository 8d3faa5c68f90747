"""A meter of the home network where the soak has a dongle, in a network that nobody else is in."""

from contextlib import AbstractContextManager, contextmanager
import json
from typing import TYPE_CHECKING, Any, Final

from homeassistant.const import CONF_DEVICE

from tests.aiobroute.virtual_time import clock
from tests.simulator.lan import LanNode, own_place
from tests.simulator.transport import SimulatedPort, simulated_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

    from tests.simulator.meter import Meter, MeterSettings
    from tests.simulator.radio import RadioSettings
    from tests.simulator.record import Record
    from tests.simulator.scenarios import Scenario

LAN: Final = "lan"
"""No dongle, where a module is named."""


class NetworkMeter:
    """What a dongle is to a soak: something that can be out of reach, and whose meter can be another."""

    is_plugged = False
    """There is no stick."""

    def __init__(self, node: LanNode) -> None:
        self._node = node
        self._is_on = self._is_reachable = True

    @property
    def url(self) -> str:
        """What an entry has of the meter in place of a port."""
        return f"echonet://{self.meter.settings.serial}"

    @property
    def air(self) -> NetworkMeter:
        """What is between dongle and meter: here it is the same."""
        return self

    @property
    def airs(self) -> list[NetworkMeter]:
        """As of a dongle: all meters within reach."""
        return [self]

    @property
    def record(self) -> Record:
        """What went over the network."""
        return self._node.record

    @property
    def meter(self) -> Meter:
        """The one that is there now."""
        return self._node.meter

    @meter.setter
    def meter(self, meter: Meter) -> None:
        self._node.take_meter(meter)

    @property
    def settings(self) -> RadioSettings:
        """What happens to its answers."""
        return self._node.settings

    @settings.setter
    def settings(self, settings: RadioSettings) -> None:
        self._node.settings = settings

    @property
    def is_answering(self) -> bool:
        """Whether it says anything."""
        return self._node.is_answering

    @is_answering.setter
    def is_answering(self, is_answering: bool) -> None:
        self._node.mute(is_mute=not is_answering)

    def move(self) -> None:
        """Have another address, as after a restart of the router."""
        self._change()

    @property
    def is_reachable(self) -> bool:
        """Whether the network is there."""
        return self._is_reachable

    @is_reachable.setter
    def is_reachable(self, is_reachable: bool) -> None:
        self._is_reachable = is_reachable
        self._change()

    def clock(self) -> datetime:
        """Return the time."""
        return self._node.clock()

    def unplug(self) -> None:
        """Switch the meter's radio off."""
        self._is_on = False
        self._change()

    def plug(self) -> None:
        """Switch it on again."""
        self._is_on = True
        self._change()

    def exchange_meter(self, settings: MeterSettings | None = None, *, mac: str = "") -> None:  # noqa: ARG002  # of dongles
        """Let the utility bring another meter, which gets another address."""
        self._node.exchange_meter(settings)
        self._change()

    def _change(self) -> None:
        if self._is_on and self._is_reachable:
            # The router gives it whatever it likes.
            self._node.on(own_place())
        else:
            self._node.off()


@contextmanager
def network_meter(scenario: Scenario) -> Iterator[NetworkMeter]:
    """Have a meter in the network of this machine's own loop, in virtual time."""
    node = LanNode(scenario, clock=clock)
    node.on()
    try:
        yield NetworkMeter(node)
    finally:
        node.off()


def simulated_meter(scenario: Scenario, module: str) -> AbstractContextManager[SimulatedPort | NetworkMeter]:
    """Have a meter behind a dongle with a module, or in the network."""
    if module == LAN:
        return network_meter(scenario)
    return simulated_port(scenario, module=module, speed=1, clock=clock)


def data_of(sim: NetworkMeter) -> tuple[str, dict[str, Any]]:
    """Return the unique id and the data of the entry that the config flow makes."""
    identity = sim.meter.settings.serial
    node = {"address": "127.0.0.2", "identity": identity, "is_strict": True}
    return identity, {CONF_DEVICE: sim.url, "node": node}


def use_loop(folder: Path) -> None:
    """Let a Home Assistant that is not there yet look at this machine's own loop only."""
    storage = folder / ".storage"
    storage.mkdir(exist_ok=True)
    data = {"configured_adapters": ["lo"]}
    content = {"version": 1, "minor_version": 1, "key": "core.network", "data": data}
    (storage / "core.network").write_text(json.dumps(content))
