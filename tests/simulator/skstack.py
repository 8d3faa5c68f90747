"""Pretend modules that speak SK commands: BP35A1, BP35C0/C2 and both RL7023 (SK, SK2)."""

from dataclasses import dataclass
from functools import partial
from random import Random
import re
from typing import TYPE_CHECKING

from .habits import ModuleSettings
from .radio import Happening, Sending
from .skcommands import COMMANDS, DEFAULTS, CommandError, Head, link_local, mac_of, parse_head

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .faults import Datagram
    from .habits import Former
    from .line import Line
    from .neighbourhood import Neighbourhood
    from .record import Record
    from .timeline import Action, Timeline

TO_ALL = "FF02:0000:0000:0000:0000:0000:0000:0001"

ECHO = 0.001
QUICK = 0.006
"""Seconds from a command to its OK."""
RESOLUTION = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """How a family of modules differs from the others."""

    version: str
    application: str | None
    """None: SKAPPVER is not known."""
    mac: str
    has_side: bool
    has_options: bool = True
    """Whether ROPT and WOPT are known; without, payloads are hexadecimal."""
    ends_energy_scan: bool = False
    """EEDSCAN is followed by an empty line."""


DIALECTS: Mapping[str, Dialect] = {
    "bp35a1": Dialect(
        version="1.2.10", application="rev26e", mac="001D129012345678", has_side=False, ends_energy_scan=True
    ),
    "bp35c2": Dialect(version="1.5.2", application="rev15", mac="001D129112345678", has_side=True),
    "rl7023": Dialect(version="1.2.8", application="rl7023-c", mac="001D129023456789", has_side=False),
    "rl7023dss": Dialect(version="1.5.2", application=None, mac="001D129123456789", has_side=True, has_options=False),
}

EVENTS: Mapping[Happening, tuple[int, str]] = {
    Happening.RESOLVING: (0x21, "02"),
    Happening.RESOLVED: (0x02, ""),
    Happening.SENT: (0x21, "00"),
    Happening.NOT_SENT: (0x21, "01"),
    Happening.JOINED: (0x25, ""),
    Happening.REFUSED: (0x24, ""),
    Happening.UNHEARD: (0x24, ""),
    Happening.ENDED_BY_METER: (0x26, ""),
    Happening.TERMINATED: (0x27, ""),
    Happening.TERMINATED_ALONE: (0x28, ""),
    Happening.EXPIRED: (0x29, ""),
    Happening.RESTRICTED: (0x32, ""),
    Happening.RELEASED: (0x33, ""),
}
"""Numbers and parameters (SK 4.8)."""
OWN_ADDRESS = {Happening.RESTRICTED, Happening.RELEASED}

OK = None
SENDINGS: Mapping[Sending, tuple[Happening | None, ...]] = {
    Sending.SENT: (Happening.SENT, OK),
    Sending.ACCEPTED_FIRST: (OK, Happening.SENT),
    Sending.NOT_SENT: (Happening.NOT_SENT, OK),
    Sending.RESOLVED: (Happening.RESOLVING, OK, Happening.RESOLVED, Happening.SENT),
    Sending.RESOLVED_FIRST: (Happening.RESOLVING, Happening.SENT, OK),
    Sending.UNRESOLVED: (Happening.RESOLVING, OK),
    Sending.SILENT: (),
    Sending.BUSY: (Happening.NOT_SENT, OK),
    Sending.RESTRICTED: (Happening.NOT_SENT, OK),
    Sending.FAILED: (Happening.NOT_SENT, OK),
    Sending.QUEUED: (OK, Happening.SENT),
}
"""What SKSENDTO prints, in order (SK 3.7)."""


class SkModule:
    """A module: bytes in, lines out after a while; the radio is in air.py."""

    def __init__(
        self,
        name: str,
        air: Neighbourhood,
        timeline: Timeline,
        line: Line,
        record: Record,
        habits: ModuleSettings = ModuleSettings(),  # noqa: B008  # it is frozen
        *,
        prints_hex: bool,
    ) -> None:
        self.dialect = DIALECTS[name]
        self.address = link_local(self.dialect.mac)
        self.prints_hex = prints_hex or not self.dialect.has_options
        self.air = air
        self.record = record
        self.line = line
        self.habits = habits
        self._timeline = timeline
        self._repetitions = habits.repetitions
        self._chance = Random(habits.seed)
        self.power_up()
        air.attach(self._happened, self._received)
        if habits.former is not None:
            self._take_over(habits.former)

    def power_up(self) -> None:
        """Begin anew, with nothing in the input."""
        self._input = bytearray()
        self._head: Head | None = None
        self._is_busy = False
        self._skips_line_feed = False
        self.restart()

    def restart(self) -> None:
        """Forget everything but the flash memory (SK 3.25)."""
        self.registers = dict(DEFAULTS)
        self.route_b_id = ""
        self.password = ""
        self.peer = self.address
        """Whom the PANA client talks to."""
        self.is_scanning = False
        self._life = object()
        self.air.reset()

    def _take_over(self, former: Former) -> None:
        """Be as a former program left it."""
        self.registers |= {"SFE": str(int(former.echo)), "SA2": str(int(former.prints_lqi))}
        if former.meter is None:
            return
        way = self.air.take_over(former.meter)
        self.route_b_id, self.password = way.settings.route_b_id, way.settings.password
        self.peer = link_local(way.network.mac)
        self.registers |= {
            "S2": f"{way.network.channel:02X}",
            "S3": f"{way.network.pan_id:04X}",
            "SA": self.route_b_id[-8:],
        }

    # What comes in

    def receive(self, data: bytes) -> None:
        """Take bytes from the host."""
        self._input += data
        self._work()

    def _work(self) -> None:
        """Do one thing after the other; while a command runs, input waits."""
        while not self._is_busy and self._input and self._take():
            pass

    def _take(self) -> bool:
        """Take the next line or payload from the input; return whether there was one."""
        if self._head is not None:
            return self._take_payload(self._head)
        if self._skips_line_feed:
            self._skips_line_feed = False
            self._input = self._input.removeprefix(b"\n")
        arguments = 6 if self.dialect.has_side else 5
        if head := re.match(rb"SKSENDTO(?: [^ \r]*){%d} " % arguments, bytes(self._input)):
            del self._input[: head.end()]
            self._begin_payload(head[0].decode("latin-1"))
            return True
        return self._take_line()

    def _take_line(self) -> bool:
        text, end, rest = self._input.partition(b"\r")
        if not end:
            return False
        self._input = rest.removeprefix(b"\n")
        # Who reads the line's end as it comes does not know yet whether a line feed follows.
        self._skips_line_feed = not rest
        self._execute(text.decode("latin-1"), end="\r\n" if rest.startswith(b"\n") else "\r")
        return True

    def _execute(self, text: str, end: str) -> None:
        words = text.split()
        name = words[0] if words else ""
        self._echo(text + (end if name in {"ROPT", "WOPT", "RUART", "WUART"} else "\r\n"))
        if not words:
            return
        self.record.commands.append(text)
        self._is_busy = True
        if self._wants_repetition():
            self.answer("FAIL ER09")
            return
        try:
            COMMANDS.get(name, _refuse)(self, words[1:])
        except CommandError as error:
            self.answer(f"FAIL {error}")

    def _wants_repetition(self) -> bool:
        if self._repetitions:
            self._repetitions -= 1
            return True
        return self._chance.random() < self.habits.repetition_rate

    def _begin_payload(self, text: str) -> None:
        """Read the head of SKSENDTO; its payload follows (SK 3.7)."""
        self._echo(text + "\r\n")
        self.record.commands.append(text.rstrip())
        if self._wants_repetition():
            # It knows of no payload: what follows is a line for it.
            self._is_busy = True
            self.answer("FAIL ER09")
            return
        try:
            self._head = parse_head(text.split()[1:], has_side=self.dialect.has_side)
        except CommandError as error:
            self._is_busy = True
            self.answer(f"FAIL {error}")

    def _take_payload(self, head: Head) -> bool:
        """Wait for every byte that was promised, without a time-out."""
        if len(self._input) < head.size:
            return False
        payload = bytes(self._input[: head.size])
        del self._input[: head.size]
        self._head = None
        self._is_busy = True
        self._send(head, payload)
        return True

    def _send(self, head: Head, payload: bytes) -> None:
        is_secured = head.security == 1 or (head.security == 2 and self.air.is_joined)
        mac = None if head.address == TO_ALL else mac_of(head.address)
        transmission = self.air.send(payload, mac=mac, port=head.port, is_secured=is_secured)
        if transmission.sending is Sending.REFUSED:
            self.answer("FAIL ER10")
            return
        steps = SENDINGS[transmission.sending]
        self._is_busy = OK in steps
        delay = transmission.seconds
        for step in steps:
            if step is OK:
                self.answer("OK", delay=delay)
            else:
                self.later(delay, partial(self.print, self._event(step, head.address)))
            delay += RESOLUTION if step is Happening.RESOLVING else ECHO

    # What goes out

    def print(self, text: str, end: str = "\r\n") -> None:
        """Print a line now."""
        self.line.write((text + end).encode("latin-1"))

    def later(self, delay: float, action: Action) -> None:
        """Do something after a delay, unless the module is reset first."""
        life = self._life
        self._timeline.call_later(delay, lambda: action() if life is self._life else None)

    def answer(self, *lines: str, delay: float = QUICK, end: str = "\r\n") -> None:
        """Print what ends a command, after a moment."""
        self.later(delay, lambda: self._finish(lines, end))

    def event(self, number: int, address: str, parameter: str = "") -> str:
        """Return an EVENT line (SK 4.8)."""
        side = " 0" if self.dialect.has_side else ""
        return f"EVENT {number:02X} {address}{side}{parameter and ' ' + parameter}"

    def _finish(self, lines: tuple[str, ...], end: str) -> None:
        for text in lines:
            self.print(text, end)
        self._is_busy = False
        self._work()

    def _echo(self, text: str) -> None:
        if self.registers["SFE"] == "1":
            self.later(ECHO, lambda: self.print(text, ""))

    def _event(self, happening: Happening, address: str) -> str:
        number, parameter = EVENTS[happening]
        return self.event(number, address, parameter)

    def _happened(self, happening: Happening) -> None:
        if happening not in EVENTS:
            return  # Of this, it says nothing.
        self.print(self._event(happening, self.address if happening in OWN_ADDRESS else self.peer))

    def _received(self, datagram: Datagram) -> None:
        """Print a datagram (SK 4.1)."""
        destination = TO_ALL if datagram.to_all else self.address
        words = ["ERXUDP", link_local(datagram.mac), destination, *[f"{datagram.port:04X}"] * 2, datagram.mac]
        if self.dialect.has_side and self.registers["SA2"] == "1":
            words.append(f"{datagram.lqi:02X}")
        words.append("1" if datagram.is_secured else "0")
        if self.dialect.has_side:
            words.append("0")
        words.append(f"{len(datagram.data):04X}")
        data = datagram.data.hex().upper().encode() if self.prints_hex else datagram.data
        self.line.write(" ".join(words).encode() + b" " + data + b"\r\n")


def _refuse(module: SkModule, arguments: list[str]) -> None:  # noqa: ARG001  # in the place of a command
    raise CommandError("ER04")
