"""Simulated dongles for other processes: a pseudo terminal, a TCP port, and a control port."""

import asyncio
from contextlib import suppress
from datetime import datetime
import json
import os
import select
import termios
import tty
from typing import TYPE_CHECKING, cast, override

from .lan import LanNode

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from .dongle import Dongle

POLL = 0.05
"""Seconds between two checks whether the terminal is open."""

BAUD_RATES: Mapping[int, int] = {
    getattr(termios, f"B{rate}"): rate for rate in (9600, 19_200, 38_400, 57_600, 115_200, 230_400)
}


class Terminal:
    """A pseudo terminal under a name of its own; it may be opened any number of times, one after the other."""

    def __init__(self, dongle: Dongle, link: Path) -> None:
        self._dongle = dongle
        self._link = link
        self._loop = asyncio.get_running_loop()
        self._is_open = False
        self._is_there = False
        dongle.on_plugging = self._follow
        self._follow()
        self._timer = self._loop.call_later(POLL, self._look)

    def data_received(self, data: bytes) -> None:
        """Take bytes from the module; what does not fit is lost."""
        with suppress(BlockingIOError):
            os.write(self._master, data)

    def unplugged(self) -> None:
        """Lose the dongle."""
        self._hang_up()

    def close(self) -> None:
        """Remove the terminal."""
        self._timer.cancel()
        self._hang_up()
        self._dongle.close()
        self._disappear()

    def _follow(self) -> None:
        """Be there when the dongle is."""
        if not self._dongle.is_plugged:
            self._disappear()
        elif not self._is_there:
            self._appear()

    def _appear(self) -> None:
        self._master, slave = os.openpty()
        os.set_blocking(self._master, False)
        name = os.ttyname(slave)
        # From the first closing on, a terminal tells when nobody has it open.
        os.close(slave)
        self._link.unlink(missing_ok=True)
        self._link.symlink_to(name)
        self._is_there = True

    def _disappear(self) -> None:
        if self._is_there:
            self._is_there = False
            self._link.unlink(missing_ok=True)
            os.close(self._master)

    def _look(self) -> None:
        """Check whether the terminal is open."""
        self._timer = self._loop.call_later(POLL, self._look)
        if self._is_there and not self._is_open and self._has_host():
            self._pick_up()

    def _has_host(self) -> bool:
        poll = select.poll()
        poll.register(self._master, select.POLLIN)
        return not any(flags & select.POLLHUP for _, flags in poll.poll(0))

    def _pick_up(self) -> None:
        # A host that sets nothing would have its own words echoed by the kernel.
        tty.setraw(self._master, termios.TCSANOW)
        self._is_open = True
        self._dongle.open(self)
        self._loop.add_reader(self._master, self._read)

    def _read(self) -> None:
        try:
            data = os.read(self._master, 4096)
        except OSError:
            self._hang_up()
            self._dongle.close()
            return
        # The host sets the speed after it has opened the terminal.
        self._dongle.tune(BAUD_RATES.get(termios.tcgetattr(self._master)[5], 0))
        self._dongle.receive(data)

    def _hang_up(self) -> None:
        if self._is_open:
            self._is_open = False
            self._loop.remove_reader(self._master)


class Socket(asyncio.Protocol):
    """A TCP connection to the dongle; a second one at the same time is closed at once."""

    def __init__(self, dongle: Dongle) -> None:
        self._dongle = dongle
        self._transport: asyncio.Transport | None = None
        self._is_open = False

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        try:
            self._dongle.open(_Writer(self._transport))
        except OSError:
            self._transport.abort()
        else:
            self._is_open = True

    @override
    def data_received(self, data: bytes) -> None:
        self._dongle.receive(data)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        if self._is_open:
            self._dongle.close()


class _Writer:
    """The host behind a TCP connection, as the dongle sees it."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._transport.write(data)

    def unplugged(self) -> None:
        self._transport.abort()


class Control(asyncio.Protocol):
    """A line of JSON in, a line of JSON out: what happens to the dongle, and what is true of its meter."""

    def __init__(self, dongle: Dongle | LanNode) -> None:
        self._dongle = dongle
        self._input = b""

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    @override
    def data_received(self, data: bytes) -> None:
        *lines, self._input = (self._input + data).split(b"\n")
        for line in lines:
            answer = self._answer(line)
            self._transport.write(json.dumps(answer).encode() + b"\n")

    def _answer(self, line: bytes) -> Mapping[str, object]:
        try:
            order = json.loads(line)
            if isinstance(self._dongle, LanNode):
                return LAN_ORDERS[order["do"]](self._dongle, order) or {"ok": True}
            return ORDERS[order["do"]](self._dongle, order) or {"ok": True}
        except (ValueError, KeyError, TypeError) as error:
            return {"ok": False, "error": f"{type(error).__name__}: {error}"}


def _counters(dongle: Dongle | LanNode, order: Mapping[str, object]) -> Mapping[str, object]:
    """Return what the meter's registers say at a time, by default now."""
    at = datetime.fromisoformat(str(order["at"])) if "at" in order else dongle.clock()
    return {
        "ok": True,
        "time": at.isoformat(),
        "energy_in": str(dongle.meter.energy_in(at)),
        "energy_out": str(dongle.meter.energy_out(at)),
        "power": dongle.meter.power(at),
    }


def _record(dongle: Dongle, order: Mapping[str, object]) -> Mapping[str, object]:
    """Return what went over the line and the air."""
    return {**_record_of(dongle, order), "airtime": dongle.air.airtime.total}


def _record_of(
    dongle: Dongle | LanNode,
    order: Mapping[str, object],  # noqa: ARG001  # as its siblings
) -> Mapping[str, object]:
    record = dongle.record
    return {
        "ok": True,
        "commands": record.commands,
        "datagrams_from_client": [data.hex().upper() for data in record.datagrams_from_client],
        "datagrams_to_client": [data.hex().upper() for data in record.datagrams_to_client],
        "happenings": record.happenings,
        "flash_writes": record.flash_writes,
        "bytes_from_host": record.bytes_from_host,
        "bytes_to_host": record.bytes_to_host,
        "opens": record.opens,
        "closes": record.closes,
    }


def _mute(dongle: Dongle, order: Mapping[str, object]) -> None:
    dongle.air.is_answering = not order.get("on", True)


def _reach(dongle: Dongle, order: Mapping[str, object]) -> None:
    dongle.air.is_reachable = bool(order.get("on", True))


def _restrict(dongle: Dongle, order: Mapping[str, object]) -> None:
    dongle.air.restrict(bool(order.get("on", True)))


def _hang(dongle: Dongle, order: Mapping[str, object]) -> None:
    dongle.line.is_mute = bool(order.get("on", True))


ORDERS: Mapping[str, Callable[[Dongle, Mapping[str, object]], Mapping[str, object] | None]] = {
    "counters": _counters,
    "record": _record,
    "clear": lambda dongle, _: dongle.record.clear(),
    "session_end": lambda dongle, _: dongle.air.end_session(),
    "session_drop": lambda dongle, _: dongle.air.drop_session(),
    "expire": lambda dongle, order: dongle.air.expire(is_renewed=bool(order.get("renewed", True))),
    "restrict": _restrict,
    "mute": _mute,
    "reachable": _reach,
    "hang": _hang,
    "exchange": lambda dongle, _: dongle.exchange_meter(),
    "fault": lambda dongle, order: dongle.meter.device.set_faulty(faulty=bool(order.get("on", True))),
    "speed": lambda dongle, order: dongle.timeline.change_speed(float(str(order["times"]))),
    "unplug": lambda dongle, _: dongle.unplug(),
    "plug": lambda dongle, _: dongle.plug(),
    "inject": lambda dongle, order: dongle.inject(bytes.fromhex(str(order["hex"]))),
}
"""What can be asked for; "on" and "renewed" are true if not given."""

LAN_ORDERS: Mapping[str, Callable[[LanNode, Mapping[str, object]], Mapping[str, object] | None]] = {
    "counters": _counters,
    "record": _record_of,
    "clear": lambda node, _: node.record.clear(),
    "mute": lambda node, order: node.mute(is_mute=bool(order.get("on", True))),
    "exchange": lambda node, _: node.exchange_meter(),
    "fault": lambda node, order: node.meter.device.set_faulty(faulty=bool(order.get("on", True))),
    "unplug": lambda node, _: node.off(),
    "plug": lambda node, _: node.on(),
}
"""The same, of a meter in the network."""
