"""A real recorder in virtual time: its thread is waited for whenever time is to go on."""

import asyncio
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
import logging
import queue
import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final, override
from unittest.mock import patch

from homeassistant.auth.const import GROUP_ID_ADMIN
from homeassistant.components.recorder.tasks import RecorderTask, SynchronizeTask
from homeassistant.components.websocket_api.connection import ActiveConnection
from homeassistant.components.websocket_api.http import WebSocketAdapter
from homeassistant.components.websocket_api.messages import message_to_json_bytes
from homeassistant.helpers.recorder import async_initialize_recorder, get_instance
from homeassistant.setup import async_setup_component
from homeassistant.util.json import json_loads_object
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from .aiobroute.virtual_time import MOMENT, VirtualTimeLoop

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from homeassistant.components.recorder.core import Recorder
    from homeassistant.core import HomeAssistant

ADMINISTRATOR: Final = "Administrator"


@dataclass(slots=True)
class _Reached(RecorderTask):
    """Tells when the queue was worked off up to here."""

    reached: threading.Event = field(default_factory=threading.Event)
    commit_before = False

    @override
    def run(self, instance: Recorder) -> None:
        # Something to do for the event loop, so that it wakes.
        instance.hass.loop.call_soon_threadsafe(self.reached.set)


class _Watched(queue.SimpleQueue[RecorderTask]):
    """A queue that knows whether anything was put into it lately."""

    was_used = True

    @override
    def put(self, item: RecorderTask, block: bool = True, timeout: float | None = None) -> None:
        self.was_used = True
        super().put(item, block, timeout)

    @override
    def put_nowait(self, item: RecorderTask) -> None:
        self.put(item)

    def put_unseen(self, item: RecorderTask) -> None:
        """Put something into it without which it counts as unused."""
        self.was_used = False
        super().put(item)


async def start_recorder(hass: HomeAssistant, url: str, recorded: Sequence[str] = ()) -> None:
    """Set the recorder up with a database of its own; of everything, or of the entities whose ids are like these."""
    async_initialize_recorder(hass)
    config: dict[str, Any] = {"db_url": url, "commit_interval": 0, "db_retry_wait": 0}
    if recorded:
        config["include"] = {"entity_globs": list(recorded)}

    loop = hass.loop
    assert isinstance(loop, VirtualTimeLoop)
    waiting: list[_Reached] = []

    def settle() -> bool:
        if not instance.async_recorder_ready.is_set():
            # It waits for Home Assistant's start, which may itself wait for some time to go by.
            return not threading.Event().wait(MOMENT)
        if not instance.is_alive():
            return True
        if waiting:
            if not waiting[0].reached.is_set():
                return False
            waiting.clear()
        if not watched.was_used:
            return True
        waiting.append(_Reached())
        watched.put_unseen(waiting[0])
        return False

    watched = _Watched()
    loop.threads_at_work += 1
    with patch("homeassistant.components.recorder.core.queue", SimpleNamespace(SimpleQueue=lambda: watched)):
        assert await async_setup_component(hass, "recorder", {"recorder": config})
    loop.threads_at_work -= 1
    instance = get_instance(hass)
    loop.settle = settle


async def ask(hass: HomeAssistant, command: str, **fields: Any) -> Any:
    """Give one of the commands that the frontend gives, as an administrator does, and return its result."""
    (user,) = [user for user in await hass.auth.async_get_users() if user.name == ADMINISTRATOR] or [
        await hass.auth.async_create_user(ADMINISTRATOR, group_ids=[GROUP_ID_ADMIN])
    ]
    answer: asyncio.Future[Any] = hass.loop.create_future()
    connection = ActiveConnection(
        WebSocketAdapter(logging.getLogger(__name__), {"connid": 0}), hass, answer.set_result, user, None, None
    )
    connection.async_handle({"id": 1, "type": command, **fields})
    message = await answer
    told = json_loads_object(message if isinstance(message, bytes | str) else message_to_json_bytes(message))
    assert told["success"], told
    return told["result"]


async def written(hass: HomeAssistant) -> None:
    """Wait until the recorder has written what was queued so far."""
    # Always: Home Assistant's own way does not wait for a task that is just being done.
    done: asyncio.Future[None] = hass.loop.create_future()
    get_instance(hass).queue_task(SynchronizeTask(done))
    await done


async def bars(hass: HomeAssistant, statistic_id: str, first: datetime) -> dict[datetime, Decimal]:
    """Return the energy of each hour as the Energy dashboard shows it, in kWh."""
    await written(hass)
    found = await ask(
        hass,
        "recorder/statistics_during_period",
        start_time=first.isoformat(),
        statistic_ids=[statistic_id],
        period="hour",
        units={"energy": "kWh"},
        types=["change"],
    )
    return {
        datetime.fromtimestamp(row["start"] / 1000, first.tzinfo): Decimal(repr(round(row["change"] or 0, 6)))
        for row in found.get(statistic_id, [])
    }


@contextmanager
def full_disk(hass: HomeAssistant) -> Iterator[None]:
    """Let the recorder's database refuse each new row of hours."""

    def refuse(*execution: Any) -> None:
        if str(execution[2]).startswith("INSERT INTO statistics "):
            raise OperationalError("INSERT", {}, Exception("database or disk is full"))

    engine = get_instance(hass).engine
    event.listen(engine, "before_cursor_execute", refuse)
    yield
    event.remove(engine, "before_cursor_execute", refuse)
