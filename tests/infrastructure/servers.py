"""Serial servers that people really have, in front of a simulated dongle; each a process of its own."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
import os
from pathlib import Path
import shutil
import signal
import socket
import sys
from typing import Self
from urllib.parse import urlsplit

import pytest

from tests.demo.home_assistant import PROJECT, free_port
from tests.demo.process import Found, NotYet, running, until
from tests.simulator.scenarios import PASSWORD, ROUTE_B_ID

SPEED = "20"
BEGIN = 60.0
"""Seconds that Python may take to import everything on a busy machine; with ESPHome's library that is five."""

END = 3.0
"""Seconds that are promised to a person."""

START = 15.0
"""Seconds; each of them is up within one."""

SER2NET = """\
connection: &dongle
  accepter: {accepter},127.0.0.1,{number}
  connector: serialdev,{device},115200n81,local
"""


def program(name: str) -> str:
    """Return the path of a program; without it, a test is skipped, but not on CI."""
    if (found := shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")) is None:
        if os.environ.get("CI"):
            pytest.fail(f"{name} is not there: scripts/setup --servers installs it")
        pytest.skip(f"{name} is not there: apt install {name}")
    return found


class Server:
    """A server that can be killed, frozen and started again."""

    def __init__(
        self,
        url: str,
        command: Sequence[str],
        log: Path,
        *,
        device: str = os.devnull,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """`device` is what it is started with."""
        self.url = url
        self._command = command
        self._log = log
        self._device = device
        self._environment = environment
        self._child: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Run it, and return when it can be used."""
        with self._log.open("ab") as log:
            device = os.open(self._device, os.O_RDWR | os.O_NOCTTY)
            try:
                self._child = await asyncio.create_subprocess_exec(
                    *self._command, stdin=device, stdout=log, stderr=log, env=self._environment
                )
            finally:
                os.close(device)
        await until(self._is_there, within=START)

    def signal(self, number: signal.Signals) -> None:
        """Freeze it, or let it go on."""
        assert self._child is not None
        self._child.send_signal(number)

    async def kill(self) -> None:
        """End it without a word."""
        assert self._child is not None
        with suppress(ProcessLookupError):
            self._child.kill()
        await self._child.wait()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.kill()

    async def _is_there(self) -> Found[None] | NotYet:
        """Look whether it listens."""
        assert self._child is not None
        assert self._child.returncode is None, self._log.read_text()
        return Found(None) if is_offered(self.url) else NotYet("it does not listen")


def is_offered(url: str) -> bool:
    """Return whether a port is offered, without a connection that a single client would miss."""
    if "://" not in url:
        return os.path.lexists(url)
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", urlsplit(url).port))
        except OSError:
            return True
    return False


@asynccontextmanager
async def dongle(folder: Path, front: str) -> AsyncIterator[str]:
    """Run the simulator; yield its terminal or its address."""
    log, link = folder / "simulator.log", folder / "dongle"
    where = ["--pty", str(link)] if front == "pty" else ["--listen", "127.0.0.1:0"]

    async def ready() -> Found[str] | NotYet:
        text = log.read_text()
        _, is_ready, name = text.partition("ready: ")
        return Found(name.strip()) if is_ready else NotYet(text)

    command = (sys.executable, "-m", "tests.simulator", *where, "--speed", SPEED, "--scenario", "SOLAR")
    async with running("The simulator", *command, log=log) as process:
        yield await process.unless_ended(until(ready, within=START))


@asynccontextmanager
async def ser2net(folder: Path, accepter: str, scheme: str) -> AsyncIterator[Server]:
    """Offer a dongle by ser2net."""
    path = program("ser2net")
    async with dongle(folder, "pty") as device:
        number = free_port()
        (folder / "ser2net.yaml").write_text(SER2NET.format(accepter=accepter, number=number, device=device))
        command = (path, "-n", "-d", "-c", str(folder / "ser2net.yaml"))
        async with Server(f"{scheme}://127.0.0.1:{number}", command, folder / "ser2net.log") as server:
            yield server


@asynccontextmanager
async def ser2net_raw(folder: Path) -> AsyncIterator[Server]:
    """Offer a dongle as a raw TCP port."""
    async with ser2net(folder, "tcp", "socket") as server:
        yield server


@asynccontextmanager
async def ser2net_rfc2217(folder: Path) -> AsyncIterator[Server]:
    """Offer a dongle as an RFC 2217 port."""
    async with ser2net(folder, "telnet(rfc2217),tcp", "rfc2217") as server:
        yield server


@asynccontextmanager
async def pyserial(folder: Path) -> AsyncIterator[Server]:
    """Offer a dongle by pyserial's RFC 2217 server."""
    async with dongle(folder, "tcp") as url:
        number = free_port()
        command = (sys.executable, "-m", "tests.infrastructure.rfc2217_server", url, str(number))
        async with Server(f"rfc2217://127.0.0.1:{number}", command, folder / "pyserial.log") as server:
            yield server


@asynccontextmanager
async def socat(folder: Path) -> AsyncIterator[Server]:
    """Offer a dongle as a terminal on this side, whose other side is TCP."""
    path = program("socat")
    async with dongle(folder, "tcp") as url:
        link = folder / "socat"
        pty = f"pty,link={link},raw,echo=0,b115200"
        command = (path, pty, "tcp:" + url.removeprefix("socket://"))
        async with Server(str(link), command, folder / "socat.log") as server:
            yield server


SERVERS = {"ser2net raw": ser2net_raw, "ser2net RFC 2217": ser2net_rfc2217, "pyserial": pyserial, "socat": socat}


@asynccontextmanager
async def command_line(
    url: str, command: str, *arguments: str, python: str | Path = sys.executable
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run the command line; it does not stay behind."""
    child = await asyncio.create_subprocess_exec(
        python,
        *("-m", "custom_components.broute.aiobroute", command, "--port", url, "--json", *arguments),
        cwd=PROJECT,
        env={**os.environ, "BROUTE_ID": ROUTE_B_ID, "BROUTE_PASSWORD": PASSWORD},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield child
    finally:
        with suppress(ProcessLookupError):
            child.kill()
        await child.wait()


async def opening(child: asyncio.subprocess.Process) -> None:
    """Return when a command line that was just started is about to open its port, or has ended without it."""
    path = Path(f"/proc/{child.pid}/status")

    async def look() -> Found[None] | NotYet:
        try:
            status = path.read_text()  # noqa: ASYNC240  # no file of a disk
        except FileNotFoundError:
            return Found(None)
        mask = int(status.partition("SigCgt:")[2].split()[0], 16)
        # Python begins with a handler of SIGINT; that of SIGTERM is the command line's.
        is_caught = mask >> (signal.SIGTERM - 1) & 1
        return Found(None) if is_caught or "(zombie)" in status else NotYet("it is still being imported")

    await until(look, within=BEGIN)
    await asyncio.sleep(1)


async def interrupt(*children: asyncio.subprocess.Process) -> list[str]:
    """Press Ctrl-C; return what each says to a person, once all have ended in time."""
    for child in children:
        with suppress(ProcessLookupError):
            child.send_signal(signal.SIGINT)
    async with asyncio.timeout(END):
        return [(await child.communicate())[1].decode() for child in children]
