"""Nothing is left behind, however often and whenever something ends."""

import asyncio
from collections import Counter
from dataclasses import replace
import gc
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .home import now
from .simulator import scenarios
from .soak.installation import in_a_house

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant

    from .simulator.transport import SimulatedPort
    from .soak.installation import Installation


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
