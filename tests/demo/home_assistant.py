"""A real Home Assistant in a folder of its own, onboarded, on a loopback port."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
import json
from pathlib import Path
import re
import socket
import sys

import aiohttp

from .client import Client
from .process import Found, NotYet, Process, StepError, running, until

PROJECT = Path(__file__).parents[2]
INTEGRATION = PROJECT / "custom_components" / "broute"
PROGRAM = Path(sys.executable).with_name("hass")
HOST = "127.0.0.1"
START = 180.0
"""Seconds; three are normal, a cold disk and a busy machine are not, and this is only against hanging."""

RESTART = 100
"""The exit code by which Home Assistant asks to be started again."""

CONFIGURATION = """\
homeassistant:
  name: {name}
  time_zone: Asia/Tokyo
  country: JP
  currency: JPY
  language: {lang}
  unit_system: metric
  latitude: 35.68
  longitude: 139.76
  elevation: 10
frontend:
config:
automation:
history:
logbook:
energy:
usb:
recorder:
  commit_interval: 1
logger:
  default: info
  logs:
    custom_components.broute: debug
"""

NAMES = {"ja": "わが家", "en": "Home"}

UNTESTED = (
    "We found a custom integration broute which has not been tested by Home Assistant. This component might cause "
    "stability problems, be sure to disable it if you experience issues with Home Assistant"
)
"""Said of every custom integration."""

RECORD = re.compile(r"^\d{4}-\d\d-\d\d \S+ (?P<level>[A-Z]+) \(.*?\) \[(?P<logger>[^\]]+)\] ", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogRecord:
    """One entry of Home Assistant's log."""

    level: str
    logger: str
    text: str
    """With the traceback, if there is one."""


def parse_log(text: str) -> list[LogRecord]:
    """Cut a log into its entries."""
    heads = list(RECORD.finditer(text))
    ends = [*(head.start() for head in heads[1:]), len(text)][: len(heads)]
    return [
        LogRecord(level=head["level"], logger=head["logger"], text=text[head.end() : end].strip())
        for head, end in zip(heads, ends, strict=True)
    ]


def complaints(records: list[LogRecord], domain: str = "broute") -> list[LogRecord]:
    """Return the warnings and errors that have to do with an integration."""
    return [
        record
        for record in records
        if record.level in {"WARNING", "ERROR", "CRITICAL"}
        and domain in (record.logger + record.text).replace(str(PROJECT), "")
        and record.text != UNTESTED
    ]


def free_port(*preferred: int) -> int:
    """Return the first preferred port that is free, or any free one."""
    for number in (*preferred, 0):
        with socket.socket() as probe:
            # A port with connections in TIME_WAIT is free all the same.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with suppress(OSError):
                probe.bind((HOST, number))
                return int(probe.getsockname()[1])
    raise StepError("no free port")


def _store(config: Path, key: str, version: tuple[int, int], data: object) -> None:
    content = {"version": version[0], "minor_version": version[1], "key": key, "data": data}
    (config / ".storage" / key).write_text(json.dumps(content))


def write_config(config: Path, *, lang: str, port: int, interface: str | None = None) -> None:
    """Write what Home Assistant needs to start on a port, and link the integration into it.

    It may use one network interface only, in place of that which leads to the internet.
    """
    (config / ".storage").mkdir(parents=True, exist_ok=True)
    (config / "custom_components").mkdir(exist_ok=True)
    link = config / "custom_components" / "broute"
    link.unlink(missing_ok=True)
    link.symlink_to(INTEGRATION)
    (config / "configuration.yaml").write_text(CONFIGURATION.format(name=NAMES[lang], lang=lang))
    # `http:` in the YAML would be a change on probation: Home Assistant takes it back after five minutes, and exits.
    http = {
        "server_port": port,
        "server_host": [HOST],
        "cors_allowed_origins": [],
        "login_attempts_threshold": -1,
        "ip_ban_enabled": False,
        "ssl_profile": "modern",
        "use_x_frame_options": True,
        "created_at": "2026-01-01T00:00:00+00:00",
        "error": None,
        "error_message": None,
    }
    _store(config, "core.network", (1, 1), {"configured_adapters": [] if interface is None else [interface]})
    _store(config, "http", (2, 2), {"stable": http, "pending": None, "yaml_migration_done": True})
    if not (config / ".storage" / "onboarding").exists():
        # This step would also set up services on the internet, whose packages are not there.
        _store(config, "onboarding", (4, 1), {"done": ["core_config"]})


def has_user(config: Path) -> bool:
    """Whether Home Assistant was onboarded in this folder before."""
    return "user" in json.loads((config / ".storage" / "onboarding").read_text())["data"]["done"]


@dataclass(frozen=True, slots=True, kw_only=True)
class HomeAssistant:
    """A Home Assistant that runs, and its only user."""

    process: Process
    client: Client

    @property
    def address(self) -> str:
        """Where its frontend is."""
        return self.client.address

    @property
    def log(self) -> str:
        """Everything that it has logged so far."""
        return self.process.log.read_text(errors="replace")

    async def version(self) -> str:
        """Return its version."""
        return str((await self.client.command("get_config"))["version"])

    async def set_language(self, lang: str) -> None:
        """Choose the language of the frontend; names of entities follow the installation's."""
        await self.client.command("frontend/set_user_data", key="language", value={"language": lang})

    async def start(self, lang: str, *, is_new: bool) -> None:
        """Wait until it listens, make or log in its user, wait until everything is set up."""
        while True:
            with suppress(aiohttp.ClientConnectionError):
                await (self.client.onboard(lang) if is_new else self.client.log_in())
                break
            await asyncio.sleep(0.1)
        await self.client.connect()
        await until(self._state, within=START)
        await self.set_language(lang)

    async def _state(self) -> Found[str] | NotYet:
        state = str((await self.client.command("get_config"))["state"])
        return Found(state) if state == "RUNNING" else NotYet(f"its state is {state}")


@asynccontextmanager
async def home_assistant(
    folder: Path,
    *,
    lang: str = "ja",
    port: int | None = None,
    program: Path = PROGRAM,
    interface: str | None = None,
) -> AsyncIterator[HomeAssistant]:
    """Run Home Assistant for the length of a `with`; what it knows stays in the folder."""
    config, port = folder / "config", port or free_port()
    write_config(config, lang=lang, port=port, interface=interface)
    is_new = not has_user(config)
    command = (program, "-c", config, "--skip-pip", "--log-no-color")
    async with (
        aiohttp.ClientSession() as session,
        running("Home Assistant", *command, log=folder / "home-assistant.log") as process,
    ):
        hass = HomeAssistant(process=process, client=Client(f"http://{HOST}:{port}", session))
        try:
            await process.unless_ended(hass.start(lang, is_new=is_new), within=START)
            yield hass
        finally:
            await hass.client.close()
