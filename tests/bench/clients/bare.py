"""The least that has to be said to a module, and not a moment's pause: how fast the radio is."""

import os
import re
import select
import termios
import time
import tty
from typing import Any

from . import PASSWORD, ROUTE_B_ID, perform, ready, told

PAN = ("31", "8A3C", "FE80:0000:0000:0000:021C:6400:03D2:A1B7")
READING = "E7 E8 E0 E3"


class Module:
    """A module of two radio sides, by its terminal."""

    def __init__(self, url: str) -> None:
        self._file = os.open(url, os.O_RDWR | os.O_NOCTTY)
        tty.setraw(self._file)
        attributes = termios.tcgetattr(self._file)
        attributes[4] = attributes[5] = termios.B115200
        termios.tcsetattr(self._file, termios.TCSANOW, attributes)
        self._input = b""
        self._address = ""
        self._tid = 0

    def say(self, line: str, until: str = "OK") -> list[str]:
        """Give a command; return what is printed until a line begins so."""
        self._write(line.encode() + b"\r\n")
        return self._until(until)

    def join(self, *, known: bool) -> None:
        """Authenticate with the meter, after a scan if it is not known."""
        self.say("SKRESET")
        self.say(f"SKSETPWD C {PASSWORD}")
        self.say(f"SKSETRBID {ROUTE_B_ID}")
        channel, pan_id, self._address = PAN if known else self._scan()
        self.say(f"SKSREG S2 {channel}")
        self.say(f"SKSREG S3 {pan_id}")
        self.say(f"SKJOIN {self._address}", "EVENT 25")

    def resume(self) -> None:
        """Take the session that the module still has with the known meter."""
        self._address = PAN[2]

    def exchange(self, datagram: bytes) -> None:
        """Send a datagram; wait for the meter's answer."""
        self._write(f"SKSENDTO 1 {self._address} 0E1A 1 0 {len(datagram):04X} ".encode() + datagram)
        answers = re.compile(f"ERXUDP {self._address} .* 1081{datagram[2:4].hex().upper()}028801")
        while not answers.match(self._until("ERXUDP")[-1]):
            pass

    def get(self, codes: str) -> None:
        """Ask for properties."""
        self._tid += 1
        wanted = [bytes((code, 0)) for code in bytes.fromhex(codes)]
        head = bytes.fromhex(f"1081{self._tid:04X}05FF0102880162{len(wanted):02X}")
        self.exchange(head + b"".join(wanted))

    def _scan(self) -> tuple[str, str, str]:
        """Find the meter, on the odd channels."""
        found = "\n".join(self.say("SKSCAN 2 05555555 6 0", "EVENT 22"))
        channel, pan_id, mac = re.findall(r"(?:Channel|Pan ID|Addr):(\S+)", found)
        interface = f"{int(mac, 16) ^ 0x0200_0000_0000_0000:016X}"
        return channel, pan_id, "FE80:0000:0000:0000:" + ":".join(interface[i : i + 4] for i in range(0, 16, 4))

    def _write(self, data: bytes) -> None:
        os.write(self._file, data)

    def _until(self, start: str) -> list[str]:
        lines: list[str] = []
        while not lines or not lines[-1].startswith(start):
            while b"\r\n" not in self._input:
                select.select([self._file], [], [])
                self._input += os.read(self._file, 4096)
            line, _, self._input = self._input.partition(b"\r\n")
            lines.append(line.decode().strip())
        return lines


def first(url: str, *, known: bool, joined: bool = False) -> Any:
    """Return the seconds to the first reading; one of an unknown meter needs its unit and coefficient, too."""
    began = time.monotonic()
    module = Module(url)
    if joined:
        module.resume()
    else:
        module.join(known=known)
    module.get(READING if known else f"E1 D3 {READING}")
    return {"seconds": time.monotonic() - began}


def replay(url: str) -> Any:
    """Return the seconds that given datagrams take, one after the other."""
    module = Module(url)
    module.join(known=True)
    ready()
    datagrams = [bytes.fromhex(text) for text in input().split()]
    told()
    began = time.monotonic()
    for datagram in datagrams:
        module.exchange(datagram)
    return {"seconds": time.monotonic() - began}


if __name__ == "__main__":
    perform({task.__name__: task for task in (first, replay)})
