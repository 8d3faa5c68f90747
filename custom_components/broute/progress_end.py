"""The end of a progress in a flow, told so that the frontend takes it."""

import asyncio
from typing import TYPE_CHECKING, Any, Final

from homeassistant.core import HassJob, callback
from homeassistant.helpers.event import async_call_later

if TYPE_CHECKING:
    from datetime import datetime

    from homeassistant.core import CALLBACK_TYPE
    from homeassistant.data_entry_flow import FlowHandler

CALM: Final = 0.5
"""Seconds that the frontend needs to show what it has asked for; what changes meanwhile it does not notice."""

TRIES: Final = 6
"""Such times in which a frontend can begin to listen; a program that asks by itself never does."""

PAUSE: Final = 10.0
"""Seconds after which a frontend is told once more that has not asked for what comes next."""

MOST: Final = 60
"""Times; a window that is closed without a word never asks."""


class ProgressEnd:
    """Ends the progress of a flow when the frontend listens, and tells it again if that was missed nevertheless.

    It begins to listen a while after it shows a progress, and is deaf while it loads another text of it.
    """

    def __init__(self, flow: FlowHandler[Any, Any, Any]) -> None:
        self._flow = flow
        self._asked = 0
        self._asked_at = 0.0
        self._left = 0
        self._cancel: CALLBACK_TYPE | None = None

    @callback
    def asked(self) -> None:
        """Take note that the progress is shown: first by who began it, then by who listens."""
        self._asked += 1
        self._asked_at = self._flow.hass.loop.time()

    async def wait(self) -> None:
        """Return when the frontend listens."""
        for _ in range(TRIES):
            if self._asked > 1:
                break
            self._flow.async_notify_flow_changed()
            await asyncio.sleep(CALM)
        await asyncio.sleep(max(self._asked_at + CALM - self._flow.hass.loop.time(), 0))
        self._asked = 0

    @callback
    def begin(self) -> None:
        """Begin to tell; the platform itself tells it the first time."""
        self.taken()
        self._left = MOST
        self._wait()

    @callback
    def taken(self) -> None:
        """Tell it no more."""
        if self._cancel is not None:
            self._cancel()
            self._cancel = None

    @callback
    def _wait(self) -> None:
        self._cancel = async_call_later(self._flow.hass, PAUSE, HassJob(self._tell, cancel_on_shutdown=True))

    @callback
    def _tell(self, _: datetime) -> None:
        self._cancel = None
        self._flow.async_notify_flow_changed()
        self._left -= 1
        if self._left:
            self._wait()
