"""A real recorder in virtual time: its thread is waited for whenever time is to go on."""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
import threading
from typing import TYPE_CHECKING, override

from homeassistant.components.recorder.statistics import statistics_during_period
from homeassistant.components.recorder.tasks import RecorderTask
from homeassistant.helpers.recorder import async_initialize_recorder, get_instance
from homeassistant.setup import async_setup_component

from .aiobroute.virtual_time import VirtualTimeLoop

if TYPE_CHECKING:
    from pathlib import Path

    from homeassistant.components.recorder.core import Recorder
    from homeassistant.core import HomeAssistant

MOMENT = 0.01
"""Seconds of real time that a recorder gets when nothing else is to be done."""


@dataclass(slots=True)
class _Reached(RecorderTask):
    """Tells when the queue was worked off up to here."""

    reached: threading.Event = field(default_factory=threading.Event)
    commit_before = False

    @override
    def run(self, instance: Recorder) -> None:
        self.reached.set()


async def start_recorder(hass: HomeAssistant, database: Path) -> None:
    """Set the recorder up with a database of its own."""
    async_initialize_recorder(hass)
    config = {"db_url": f"sqlite:///{database}", "commit_interval": 0}

    waiting: list[_Reached] = []

    def settle() -> bool:
        if not instance.async_recorder_ready.is_set():
            return not threading.Event().wait(MOMENT)
        if not waiting:
            waiting.append(_Reached())
            instance.queue_task(waiting[0])
        # It may itself be waiting for the event loop.
        if not waiting[0].reached.wait(MOMENT) and instance.is_alive():
            return False
        waiting.clear()
        return True

    loop = hass.loop
    assert isinstance(loop, VirtualTimeLoop)
    loop.threads_at_work += 1
    assert await async_setup_component(hass, "recorder", {"recorder": config})
    loop.threads_at_work -= 1
    instance = get_instance(hass)
    loop.settle = settle


async def bars(hass: HomeAssistant, statistic_id: str, first: datetime) -> dict[datetime, Decimal]:
    """Return the energy of each hour as the Energy dashboard shows it, in kWh."""
    recorder = get_instance(hass)
    await recorder.async_block_till_done()
    found = await recorder.async_add_executor_job(
        statistics_during_period, hass, first, None, {statistic_id}, "hour", {"energy": "kWh"}, {"change"}
    )
    return {
        datetime.fromtimestamp(row["start"], first.tzinfo): Decimal(repr(round(row["change"] or 0, 6)))
        for row in found.get(statistic_id, [])
    }
