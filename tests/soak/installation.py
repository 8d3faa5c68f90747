"""A Home Assistant that stops and starts again, with everything that it keeps on disk."""

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
import logging
from pathlib import Path
import shutil
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, override
from unittest.mock import patch

from homeassistant import bootstrap, loader
from homeassistant.components import usb
from homeassistant.config_entries import SOURCE_USER, ConfigEntry, ConfigEntryState
from homeassistant.const import CONF_DEVICE, CONF_PASSWORD
from homeassistant.core import CoreState, HomeAssistant
from homeassistant.helpers import issue_registry as ir
from homeassistant.setup import async_setup_component
from pytest_homeassistant_custom_component.common import async_test_home_assistant
import time_machine

from tests.aiobroute.virtual_time import VirtualTimeLoop, clock
from tests.databases import Database, Sqlite, memory
from tests.home import DOMAIN, stick
from tests.recorder import start_recorder
from tests.simulator.transport import SimulatedPort, simulated_port

from .network import NetworkMeter, data_of, use_loop

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
    from random import Random

    from tests.simulator.scenarios import Scenario


async def last(chance: Random, least: float, most: float) -> None:
    """Let some seconds pass; a tenth of the most is as likely as the most."""
    await asyncio.sleep(least * (most / least) ** chance.random())


class Installation:
    """Home Assistant in a folder, with one meter."""

    def __init__(
        self,
        folder: Path,
        sim: SimulatedPort | NetworkMeter,
        attach: Callable[[HomeAssistant], None],
        database: Database | None = None,
        options: Mapping[str, Any] = MappingProxyType({}),
        recorded: Sequence[str] = (),
    ) -> None:
        self.starts = 0
        self.database = database
        self._recorded = recorded
        self._options = options
        self._attach = attach
        self._folder = folder
        self._sim = sim
        self._hass: HomeAssistant | None = None
        self._running = AsyncExitStack()

    @property
    def is_running(self) -> bool:
        """Whether there is a Home Assistant at present."""
        return self._hass is not None

    @property
    def hass(self) -> HomeAssistant:
        """The one that runs now."""
        assert self._hass is not None
        return self._hass

    @property
    def entry(self) -> ConfigEntry:
        """The entry of the meter, or of the first one."""
        return self.entries[0]

    @property
    def entries(self) -> list[ConfigEntry]:
        """One for each meter within the dongle's reach."""
        return self.hass.config_entries.async_entries(DOMAIN)

    @property
    def readings(self) -> tuple[int, int] | None:
        """Something that changes with each successful reading; `None` while there is nothing to see."""
        if self._hass is None or self.entry.state is not ConfigEntryState.LOADED:
            return None
        coordinator = self.entry.runtime_data
        return (id(coordinator), coordinator.readings) if coordinator.last_update_success else None

    async def start(self, *, has_integration: bool = True) -> None:
        """Start as a real one does: what is on disk, then the integrations, then everything else.

        As long as all its entries are disabled, an integration is not loaded.
        """
        self.starts += 1
        if isinstance(self._sim, NetworkMeter):
            use_loop(self._folder)
        home = async_test_home_assistant(
            load_registries=False, config_dir=str(self._folder), initial_state=CoreState.not_running
        )
        for part in ("async_bind", "start"):  # Nobody needs its web server, and others may have the port.
            self._running.enter_context(patch(f"homeassistant.components.http.HomeAssistantHTTP.{part}"))
        hass = await self._running.enter_async_context(home)
        # The harness hides what is not its own.
        hass.data.pop(loader.DATA_CUSTOM_COMPONENTS)
        assert await bootstrap.async_load_base_functionality(hass)
        if self.database is not None:
            await start_recorder(hass, self.database.url, self._recorded)
        own = (DOMAIN,) if has_integration else ()
        for component in ("homeassistant", "websocket_api", "usb", "repairs", *own):
            assert await async_setup_component(hass, component, {})
        usb.async_register_serial_port_scanner(hass, self._scan)
        self._hass = hass
        self._attach(hass)
        if self.starts == 1:
            for unique_id, data in _entries_of(self._sim):
                await hass.config_entries.async_add(self._entry_of(unique_id, data))
        await hass.async_start()

    async def stop(self, exit_code: int = 0) -> None:
        """Stop, with everything written to disk."""
        hass, self._hass = self.hass, None
        await hass.async_stop(exit_code)
        await self._running.aclose()

    async def kill(self) -> None:
        """End without a word: what is not on disk at this moment is lost."""
        with TemporaryDirectory(dir=memory()) as kept:
            self.back_up(Path(kept), "killed")
            await self.stop()
            self.restore(Path(kept), "killed")

    def back_up(self, folder: Path, name: str) -> None:
        """Copy what is on disk at this moment, as Home Assistant's own backup does; the database under a name."""
        shutil.copytree(self._folder, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.db*"))
        if self.database is not None:
            self.database.keep(name)

    def restore(self, folder: Path, name: str) -> None:
        """Replace everything by what was copied; Home Assistant has to be off."""
        for path in self._folder.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            elif ".db" not in path.name:
                path.unlink()
        shutil.copytree(folder, self._folder, dirs_exist_ok=True)
        if self.database is not None:
            self.database.put_back(name)

    def stored(self) -> list[Path]:
        """Return the files of the integration in Home Assistant's storage."""
        return sorted((self._folder / ".storage").glob(f"{DOMAIN}.*"))

    async def look_for_sticks(self) -> None:
        """Let the platform notice that the dongle was plugged in or pulled out."""
        if self._hass is not None:
            await self._hass.data["usb"]._async_scan_serial()

    @property
    def exchange_issue(self) -> str | None:
        """The issue that asks whether the meter was exchanged, if it is there."""
        issues = ir.async_get(self.hass).issues
        # One from before a restart is remembered, but not shown until it is raised again.
        shown = (name for (domain, name), issue in issues.items() if domain == DOMAIN and issue.active)
        return next((name for name in shown if name.startswith(("meter_exchanged", "node_exchanged"))), None)

    async def confirm_exchange(self) -> bool:
        """Do what that issue asks for, if it is there."""
        if (issue := self.exchange_issue) is None:
            return False
        flows = self.hass.data["repairs"]["flow_manager"]
        flow = await flows.async_init(DOMAIN, context={"issue_id": issue})
        await flows.async_configure(flow["flow_id"], {})
        await self.hass.async_block_till_done()
        return True

    def _scan(self, _: HomeAssistant) -> list[usb.USBDevice]:
        if not self._sim.is_plugged:
            return []
        return [stick(self._sim.url)]

    def _entry_of(self, unique_id: str, data: dict[str, Any]) -> ConfigEntry:
        return ConfigEntry(
            version=1,
            minor_version=1,
            domain=DOMAIN,
            title="Smart meter",
            data=data,
            options=self._options,
            source=SOURCE_USER,
            unique_id=unique_id,
            discovery_keys=MappingProxyType({}),
            subentries_data=(),
        )


def _entries_of(sim: SimulatedPort | NetworkMeter) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the unique id and the data of an entry for each meter within reach."""
    if isinstance(sim, NetworkMeter):
        yield data_of(sim)
        return
    for air in sim.airs:
        channel, pan_id, mac = air.place
        pan = {"channel": channel, "pan_id": pan_id, "mac": mac}
        credentials = {"route_b_id": air.settings.route_b_id, CONF_PASSWORD: air.settings.password}
        yield mac, {CONF_DEVICE: sim.url, **credentials, "pan": pan}


EXPECTED = ("Error fetching", "Error requesting", "Setup of config entry")
"""How Home Assistant's own errors begin: a meter is out of reach, or a stop breaks a setup off."""


class Unexpected(logging.Handler):
    """Collects what should never be logged."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.texts: Counter[str] = Counter()

    @override
    def emit(self, record: logging.LogRecord) -> None:
        """Keep tracebacks and errors; the coordinator itself tells of an outage by one line."""
        if not record.getMessage().startswith(EXPECTED):
            self.texts[self.format(record)] += 1


def in_a_house(
    scenario: Scenario,
    live: Callable[[Installation, SimulatedPort], Coroutine[Any, Any, None]],
    *,
    has_recorder: bool = False,
    **options: Any,
) -> None:
    """Let a Home Assistant live that can be stopped and started again."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualTimeLoop)
        with (
            time_machine.travel(clock(), tick=False) as loop.wall,
            TemporaryDirectory() as folder,
            simulated_port(scenario, speed=1, clock=clock) as sim,
        ):
            database = Sqlite(Path(folder) / "statistics.db") if has_recorder else None
            home = Installation(Path(folder), sim, lambda _: None, database, options)
            await home.start()
            await asyncio.sleep(600)
            try:
                await live(home, sim)
            finally:
                await home.stop()
        loop.wall = loop.settle = None

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(main())
