"""Nothing is left behind, however often and whenever something ends."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
import gc
from itertools import cycle
import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import CONF_DEVICE
import pytest

from .home import dongle, entry_of, now, set_up, without_history
from .simulator import scenarios
from .simulator.dongle import Dongle
from .simulator.network import Network
from .simulator.serve import Terminal
from .soak.installation import in_a_house

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant

    from .simulator.transport import SimulatedPort
    from .soak.installation import Installation

RELOADS = int(os.environ.get("RELOADS", "20"))
"""How often an entry is reloaded with a real port; a thousand times take some minutes for all kinds."""


REPAIR = Counter({"custom_components.broute.repairs.Outage": 1})
"""What an hour without the port leaves: a thousand reloads of one that is waited for are longer than that."""


def resources(hass: HomeAssistant) -> Counter[str]:
    """Count what a reload might leave behind."""
    gc.collect()
    loop: Any = asyncio.get_running_loop()
    ours = ("custom_components.broute", "serialx")
    objects = [type(thing) for thing in gc.get_objects()]
    counts = Counter(f"{kind.__module__}.{kind.__qualname__}" for kind in objects if kind.__module__.startswith(ours))
    counts["descriptors"] = len(list(Path("/proc/self/fd").iterdir()))
    counts["tasks"] = len(asyncio.all_tasks())
    counts["timers"] = sum(not timer.cancelled() for timer in loop._scheduled)
    counts["ports watched"] = len(hass.data["usb"]._port_event_callbacks)
    counts.update({f"listeners of {event}": len(listeners) for event, listeners in hass.bus._listeners.items()})
    return counts


def test_a_thousand_reloads_leave_nothing_behind() -> None:
    async def live(home: Installation, sim: SimulatedPort) -> None:
        async def reload(times: int) -> Counter[str]:
            for _ in range(times):
                assert await home.hass.config_entries.async_reload(home.entry.entry_id)
                sim.record.clear()
            await asyncio.sleep(100)
            return resources(home.hass)

        before = await reload(10)
        opens = sim.record.opens
        assert await reload(1000) == before
        assert (sim.record.opens - opens, sim.record.opens - sim.record.closes) == (1000, 1)

    in_a_house(scenarios.SOLAR, live)


def test_unloading_at_any_moment_takes_no_time_and_leaves_nothing_behind() -> None:
    """Be interrupted wherever a meter that moved to another channel keeps us: join, scan, join, reading."""

    async def live(home: Installation, sim: SimulatedPort) -> None:
        entries, entry_id = home.hass.config_entries, home.entry.entry_id
        channels = cycle((0x21, 0x3B))

        async def unload_after(seconds: float) -> float:
            sim.air.network = replace(sim.air.network, channel=next(channels))
            sim.air.end_session()
            await asyncio.sleep(seconds)
            began = now()
            assert await entries.async_unload(entry_id)
            needed = now() - began
            assert sim.record.opens == sim.record.closes
            await entries.async_setup(entry_id)
            await asyncio.sleep(20)
            return needed

        await unload_after(70)
        before = resources(home.hass)
        assert max([await unload_after(place / 2) for place in range(140)]) <= 2
        assert resources(home.hass) == before

    in_a_house(scenarios.SOLAR, live)


@asynccontextmanager
async def terminal(folder: Path) -> AsyncIterator[str]:
    """Offer a dongle as a terminal."""
    end = Terminal(Dongle(scenarios.NORMAL, speed=math.inf), folder / "dongle")
    try:
        yield str(folder / "dongle")
    finally:
        end.close()


@asynccontextmanager
async def server(scheme: str, **attributes: Any) -> AsyncIterator[str]:
    """Offer a dongle in a network, where something may be wrong."""
    with dongle() as sim:
        network = Network(sim, scheme)
        vars(network).update(attributes)
        async with network.listening() as address:
            yield f"{scheme}://{address}"


@asynccontextmanager
async def telnet() -> AsyncIterator[str]:
    """Offer telnet where raw bytes are expected."""
    async with server("rfc2217") as url:
        yield url.replace("rfc2217", "socket")


@asynccontextmanager
async def nothing(url: str) -> AsyncIterator[str]:
    """Offer what is not there."""
    yield url


PORTS: dict[str, tuple[Callable[[], AbstractAsyncContextManager[str]], ConfigEntryState]] = {
    "socket": (lambda: server("socket"), ConfigEntryState.LOADED),
    "rfc2217": (lambda: server("rfc2217"), ConfigEntryState.LOADED),
    "socket, silent": (lambda: server("socket", is_silent=True), ConfigEntryState.SETUP_RETRY),
    "rfc2217, silent": (lambda: server("rfc2217", is_silent=True), ConfigEntryState.SETUP_RETRY),
    "socket, closed": (lambda: server("socket", hangs_up=10_000), ConfigEntryState.SETUP_RETRY),
    "rfc2217, closed": (lambda: server("rfc2217", hangs_up=10_000), ConfigEntryState.SETUP_RETRY),
    "socket, telnet behind it": (telnet, ConfigEntryState.SETUP_RETRY),
    "socket, refused": (lambda: nothing("socket://127.0.0.1:1"), ConfigEntryState.SETUP_RETRY),
    "rfc2217, refused": (lambda: nothing("rfc2217://127.0.0.1:1"), ConfigEntryState.SETUP_RETRY),
    "path, missing": (lambda: nothing("/dev/serial/by-id/none"), ConfigEntryState.SETUP_RETRY),
    "esphome, no library": (lambda: nothing("esphome://127.0.0.1:1/?port_name=a"), ConfigEntryState.SETUP_RETRY),
    "esphome-hass, not loaded": (lambda: nothing("esphome-hass://esphome/1"), ConfigEntryState.SETUP_RETRY),
}
"""Each kind of port, and what becomes of an entry that has it."""


async def reload(hass: HomeAssistant, url: str, state: ConfigEntryState) -> None:
    """Reload an entry again and again; nothing more may be there than before."""
    with dongle() as nobody:
        entry = without_history(entry_of(nobody, **{CONF_DEVICE: url}))
    await set_up(hass, entry)

    async def again(times: int) -> Counter[str]:
        for _ in range(times):
            await hass.config_entries.async_reload(entry.entry_id)
            assert entry.state is state
        assert await hass.config_entries.async_unload(entry.entry_id)
        await asyncio.sleep(0.1)
        await hass.async_block_till_done()
        found = resources(hass)
        await hass.config_entries.async_setup(entry.entry_id)
        return found

    before = await again(5)
    # What other tests have left is collected at any time.
    assert await again(RELOADS) - before - REPAIR == Counter()
    # The port is about to go: nobody is to open it any more.
    assert await hass.config_entries.async_unload(entry.entry_id)


@pytest.mark.usefixtures("socket_enabled")
@pytest.mark.parametrize(("port", "state"), PORTS.values(), ids=PORTS)
async def test_reloads_of_each_kind_of_port_leave_nothing_behind(
    hass: HomeAssistant, port: Callable[[], AbstractAsyncContextManager[str]], state: ConfigEntryState
) -> None:
    async with port() as url:
        await reload(hass, url, state)


@pytest.mark.stepped_time
async def test_reloads_of_a_terminal_leave_nothing_behind(hass: HomeAssistant, tmp_path: Path) -> None:
    async with terminal(tmp_path) as path:
        await reload(hass, path, ConfigEntryState.LOADED)
