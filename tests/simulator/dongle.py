"""A whole dongle with everything behind it: port, module, radio, meters and houses."""

from dataclasses import replace
from datetime import datetime
import errno
from typing import TYPE_CHECKING, Literal, Protocol

from .air import Air
from .airtime import Airtime
from .household import JST
from .j11 import J11Module
from .line import Line
from .meter import Clock, Meter, MeterSettings
from .neighbourhood import Neighbourhood
from .record import Record
from .skstack import DIALECTS, SkModule
from .strangers import HABITS, Stranger
from .timeline import Calendar, Timeline

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .habits import ModuleSettings
    from .scenarios import Scenario

BAUD_RATE = 115_200

type Payload = Literal["hex", "binary"]


def real_time() -> datetime:
    """Return the present time."""
    return datetime.now(JST)


class Module(Protocol):
    """What a dongle has to know of its module."""

    habits: ModuleSettings

    def receive(self, data: bytes) -> None:
        """Take bytes from the host."""

    def power_up(self) -> None:
        """Begin anew, without any memory but the flash."""


class Host(Protocol):
    """Who has the port open."""

    def data_received(self, data: bytes) -> None:
        """Take bytes from the module."""

    def unplugged(self) -> None:
        """Lose the port."""


class Dongle:
    """A dongle that can be opened by one host at a time; its module goes on living between two of them."""

    def __init__(
        self,
        scenario: Scenario,
        *,
        module: str = "bp35c2",
        speed: float = 1.0,
        clock: Clock = real_time,
        payload: Payload = "hex",
        baud_rate: int = BAUD_RATE,
    ) -> None:
        self.clock = clock
        self.record = Record()
        self.line = Line(scenario.line)
        self.timeline = Timeline(speed)
        self._calendar = Calendar(clock, is_live=not self.timeline.is_instant)
        airtime = Airtime(clock)
        self.airs = [
            Air(each.radio, Meter(each.meter, clock), clock, self.timeline, self._calendar, self.record, airtime)
            for each in (scenario, *scenario.others)
        ]
        """The ways to the meters."""
        self.air = self.airs[0]
        self.neighbourhood = Neighbourhood(self.airs)
        self.habits = scenario.module
        self.module: Module = {**MODULES, **STRANGERS}[module](self, module, payload)
        self.is_plugged = True
        self.on_plugging: Callable[[], None] = lambda: None
        """Called when the dongle was pulled out or put in."""
        self._baud_rate = baud_rate
        self._host: Host | None = None
        self._is_legible = True

    @property
    def meter(self) -> Meter:
        """The meter at the other end, or the first of them."""
        return self.air.meter

    def open(self, host: Host, baud_rate: int = BAUD_RATE) -> None:
        """Give the port to a host.

        Raises:
            OSError: the dongle is not plugged in, or another program has it.

        """
        if not self.is_plugged:
            raise FileNotFoundError(errno.ENOENT, "No such file or directory")
        if self._host is not None:
            raise OSError(errno.EBUSY, "The port is already locked")
        self.record.opens += 1
        self.timeline.start()
        # What the module printed while nobody listened is lost.
        self.timeline.catch_up()
        self._calendar.catch_up()
        self._host = host
        self.tune(baud_rate)
        self._calendar.start()

    def tune(self, baud_rate: int) -> None:
        """Let the host talk at another speed; at a wrong one, neither understands the other."""
        self._is_legible = baud_rate == self._baud_rate
        self.line.host = self._print if self._host and self._is_legible else None

    def close(self) -> None:
        """Take the port from its host; the module keeps its session."""
        if self._host is None:
            return
        self.record.closes += 1
        self._host = None
        self.line.host = None
        self.timeline.stop()
        self._calendar.stop()

    def receive(self, data: bytes) -> None:
        """Take bytes from the host."""
        self.record.bytes_from_host += len(data)
        self._calendar.catch_up()
        self.record.received += data
        if self._is_legible:
            self.module.receive(data)

    def _print(self, data: bytes) -> None:
        if self._host is not None:
            self.record.bytes_to_host += len(data)
            self._host.data_received(data)

    def tick(self) -> None:
        """Do what has become due by the clock: notifications, the end of a session."""
        self._calendar.catch_up()

    def inject(self, data: bytes) -> None:
        """Print bytes that no module prints."""
        self.timeline.call_later(0, lambda: self.line.write_raw(data))

    def unplug(self) -> None:
        """Pull the dongle out; it loses all but its flash memory."""
        self.is_plugged = False
        host = self._host
        self.close()
        self.module.power_up()
        if host is not None:
            host.unplugged()
        self.on_plugging()

    def plug(self) -> None:
        """Put the dongle in again."""
        if self.is_plugged:
            return
        self.is_plugged = True
        # Its module starts now, not when it is opened.
        self.timeline.start()
        self.module.power_up()
        self.timeline.stop()
        self.on_plugging()

    def exchange_meter(self, settings: MeterSettings | None = None, *, mac: str = "001C640003D2FFFF") -> None:
        """Let the utility replace the meter; by default by one of the same kind whose counters begin at zero."""
        old = self.meter.settings
        settings = settings or replace(old, serial="S26087654321", installed=self.clock())
        self.air.meter = Meter(settings, self.clock)
        self.air.network = replace(self.air.network, mac=mac)
        self.air.drop_session()


def _sk_module(dongle: Dongle, name: str, payload: Payload) -> Module:
    return SkModule(
        name,
        dongle.neighbourhood,
        dongle.timeline,
        dongle.line,
        dongle.record,
        dongle.habits,
        prints_hex=payload == "hex",
    )


def _j11_module(dongle: Dongle, name: str, payload: Payload) -> Module:  # noqa: ARG001  # as its sibling
    return J11Module(dongle.neighbourhood, dongle.timeline, dongle.line, dongle.record, dongle.habits)


MODULES: Mapping[str, Callable[[Dongle, str, Payload], Module]] = {
    **dict.fromkeys(DIALECTS, _sk_module),
    "j11": _j11_module,
}
"""What can be inside the dongle, by name."""

STRANGERS: Mapping[str, Callable[[Dongle, str, Payload], Module]] = {
    name: lambda dongle, name, _: Stranger(dongle.line, HABITS[name]) for name in HABITS
}
"""What may be on the port instead, by name."""
