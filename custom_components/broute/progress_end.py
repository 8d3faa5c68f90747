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

PATIENCE: Final = 2.0
"""Seconds in which a frontend that listens asks for what has changed; one that was slower once gets more."""

SLOWER: Final = 4.0
"""Times as long as it took once, it may take the next time."""

TRIES: Final = 2
"""It may have begun to listen only after the first; a program that asks by itself never does."""

PAUSE: Final = 10.0
"""Seconds after which a frontend is told once more that has not asked for what comes next."""

MOST: Final = 60
"""Times; a window that is closed without a word never asks."""


class ProgressEnd:
    """Ends the progress of a flow when the frontend listens, and tells it again if that was missed nevertheless.

    It begins to listen a while after it shows a progress, and is deaf while it loads another text of it. Whatever it is
    told makes it ask once; an end between the two would make it ask for a flow that is over.
    """

    def __init__(self, flow: FlowHandler[Any, Any, Any]) -> None:
        self._flow = flow
        self._is_begun = False
        self._is_heard = False
        """Whether somebody asks again and again: who listens, or who does not need to."""
        self._unasked = 0
        """How often it was told something that it has not asked for yet."""
        self._asked = asyncio.Event()
        self._told_at: float | None = None
        """When it was told what it has certainly noticed, and has not asked for yet."""
        self._asked_at = float("-inf")
        self._slowest = 0.0
        """Seconds that it has taken to ask."""
        self._left = 0
        self._cancel: CALLBACK_TYPE | None = None

    @callback
    def tell(self) -> None:
        """Tell that the text has changed."""
        if not self._unasked and self._now - self._asked_at > CALM:
            self._told_at = self._now
        self._unasked += 1
        self._flow.async_notify_flow_changed()

    @callback
    def asked(self) -> None:
        """Take note that the progress is shown: first by who began it, then by who listens."""
        self._is_heard, self._is_begun = self._is_begun, True
        if self._is_heard:
            if self._told_at is not None:
                self._slowest = max(self._slowest, self._now - self._told_at)
                self._told_at = None
            self._asked_at = self._now
            self._unasked = max(self._unasked - 1, 0)
        self._asked.set()

    async def wait(self) -> None:
        """Return when the frontend listens, and has nothing left to ask."""
        for _ in range(TRIES):
            if not self._is_heard and not self._unasked:
                self.tell()
            await self._until_asked()
            if self._is_heard:
                break
        await asyncio.sleep(CALM)
        self._is_begun = self._is_heard = False

    async def _until_asked(self) -> None:
        """Return when it was asked for all that was told, or nobody has asked for too long."""
        while self._unasked:
            self._asked.clear()
            try:
                async with asyncio.timeout(max(PATIENCE, SLOWER * self._slowest)):
                    await self._asked.wait()
            except TimeoutError:
                self._unasked = 0

    @property
    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    @callback
    def begin(self) -> None:
        """Begin to tell the end; the platform itself tells it the first time."""
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
        self._cancel = async_call_later(self._flow.hass, PAUSE, HassJob(self._tell_end, cancel_on_shutdown=True))

    @callback
    def _tell_end(self, _: datetime) -> None:
        self._cancel = None
        self._flow.async_notify_flow_changed()
        self._left -= 1
        if self._left:
            self._wait()
