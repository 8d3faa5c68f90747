"""A real Home Assistant with our integration: what it costs to start it, and what a poll takes of the event loop."""

import asyncio
from pathlib import Path
from tempfile import TemporaryDirectory
import time
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from homeassistant.bootstrap import async_setup_hass
from homeassistant.config_entries import ConfigEntry, ConfigEntryState
from homeassistant.runner import RuntimeConfig, create_event_loop

from tests.demo.home_assistant import free_port, write_config

from . import PASSWORD, ROUTE_B_ID, perform

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant

QUIET = 0.02
"""The part of a core that Home Assistant needs when it has come to rest."""

RESTLESS = 20
"""Seconds after which it is taken as it is."""


def _entry(url: str, profile: dict[str, str]) -> ConfigEntry[Any]:
    mac = "001C640003D2A1B7"
    pan = {"channel": 0x31, "pan_id": 0x8A3C, "mac": mac}
    data = {"device": url, "route_b_id": ROUTE_B_ID, "password": PASSWORD, "pan": pan, "profile": profile}
    return ConfigEntry(
        data=data,
        discovery_keys=MappingProxyType({}),
        domain="broute",
        minor_version=1,
        # The import goes on for minutes, at its leisure; here it would only blur what is measured.
        options={"import_history": False},
        source="user",
        subentries_data=(),
        title="Smart meter",
        unique_id=mac,
        version=1,
    )


class Spent:
    """CPU time of the process and of the event loop's thread from here on, in ms."""

    def __init__(self) -> None:
        self._began = time.process_time(), time.thread_time(), time.monotonic()

    def so_far(self) -> tuple[float, float, float]:
        """Return both, and the time that has passed."""
        now = time.process_time(), time.thread_time(), time.monotonic()
        process, thread, passed = ((end - begin) * 1000 for begin, end in zip(self._began, now, strict=True))
        return process, thread, passed


async def _rest() -> None:
    """Wait until Home Assistant does little by itself."""
    for _ in range(RESTLESS):
        spent = Spent()
        await asyncio.sleep(1)
        process, _, passed = spent.so_far()
        if process < QUIET * passed:
            return


async def _started(config: Path) -> HomeAssistant:
    runtime = RuntimeConfig(config_dir=str(config), skip_pip=True, log_rotate_days=None, log_no_color=True)
    hass = await async_setup_hass(runtime)
    assert hass is not None
    await hass.async_start()
    await hass.async_block_till_done()
    return hass


def home(url: str, profile: dict[str, str], warm_up: int, polls: int) -> Any:
    """Set the integration up in a Home Assistant that runs; then let it poll."""

    async def run(config: Path) -> Any:
        hass = await _started(config)
        await _rest()
        entry = _entry(url, profile)
        spent = Spent()
        await hass.config_entries.async_add(entry)
        start, _, _ = spent.so_far()
        state: ConfigEntryState = entry.state
        assert state is ConfigEntryState.LOADED, entry.reason
        for _ in range(warm_up):
            await entry.runtime_data.async_refresh()
        await _rest()
        spent = Spent()
        for _ in range(polls):
            await entry.runtime_data.async_refresh()
        _, loop, _ = spent.so_far()
        assert entry.runtime_data.last_update_success
        await hass.async_stop()
        return {"start": start, "poll": loop / polls}

    with TemporaryDirectory(prefix="broute-bench-", ignore_cleanup_errors=True) as folder:
        config = Path(folder)
        write_config(config, lang="en", port=free_port())
        (config / "configuration.yaml").write_text("recorder:\nhistory:\nenergy:\nusb:\n")
        return asyncio.run(run(config), loop_factory=create_event_loop)


if __name__ == "__main__":
    perform({"home": home})
