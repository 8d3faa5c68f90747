"""The end of a progress in a flow, told so that the frontend takes it."""

import asyncio
from typing import TYPE_CHECKING, Any, Final

from homeassistant.core import HassJob, callback
from homeassistant.data_entry_flow import EVENT_DATA_ENTRY_FLOW_PROGRESSED
from homeassistant.helpers.event import async_call_later

if TYPE_CHECKING:
    from datetime import datetime

    from homeassistant.core import CALLBACK_TYPE
    from homeassistant.data_entry_flow import FlowHandler

CALM: Final = 0.5
"""Seconds that the frontend needs to show what it has asked for; it is deaf for a moment of them."""

PATIENCE: Final = 2.0
"""Seconds in which a frontend begins to listen, if there is one."""

LISTENING_PATIENCE: Final = 8.0
"""Seconds in which one that listens asks for what it was told: it may be busy, but has hardly missed it."""

SLOWER: Final = 4.0
"""Times as long as it took once, it may take the next time."""

TRIES: Final = 2
"""It may have begun to listen only after the first; a program that asks by itself never does."""

PAUSE: Final = 20.0
"""Seconds after which a frontend that listens is told once more, if it has not asked for what comes next."""

LONGEST: Final = 1200.0
"""Seconds for which it is told; a window that is closed without a word never asks."""


class ProgressEnd:
    """Ends the progress of a flow when the frontend listens, and tells it again if that was missed nevertheless.

    The frontend asks once for everything that it is told, however late. A flow that is over when it asks is an error to
    it. So it is told one thing at a time, and the end when it has asked for all.
    """

    def __init__(self, flow: FlowHandler[Any, Any, Any]) -> None:
        self._flow = flow
        self.is_quiet = False
        """Whether the platform need not tell of a change: who asks for the progress is answered with it."""
        self._is_begun = False
        self._is_heard = False
        """Whether somebody asks again and again: who listens, or who does not need to."""
        self._unasked = 0
        """How often it was told something that it has not asked for yet: more than once only if it took too long."""
        self._asked = asyncio.Event()
        self._told_at = 0.0
        """When it was told the first of these."""
        self._slowest = 0.0
        """Seconds that it has taken to ask."""
        self._until = 0.0
        """When it is told no more that the progress is over."""
        self._cancel: CALLBACK_TYPE | None = None

    @callback
    def tell(self) -> None:
        """Tell that the text has changed, unless it will be asked for anyway, or nobody listens."""
        if not self._has_listener or (self._unasked and self._now - self._told_at < self._patience * self._unasked):
            return
        if not self._unasked:
            self._told_at = self._now
        self._unasked += 1
        self.is_quiet = False
        self._flow.async_notify_flow_changed()
        self.is_quiet = True

    @callback
    def asked(self) -> None:
        """Take note that the progress is shown: first by who began it, then by who listens."""
        self._is_heard, self._is_begun = self._is_begun, True
        self.is_quiet = True
        if self._is_heard and self._unasked:
            self._slowest = max(self._slowest, self._now - self._told_at)
            self._unasked -= 1
        self._asked.set()

    async def wait(self) -> None:
        """Return when the frontend listens, and has nothing left to ask."""
        for _ in range(TRIES):
            self._asked.clear()
            if not self._is_heard:
                self.tell()
            elif not self._unasked:
                break
            await self._until_asked()
        await asyncio.sleep(CALM)
        self._is_begun = self._is_heard = False

    async def _until_asked(self) -> None:
        """Return when it was asked for all that was told, or nobody has asked, or begun to listen, for too long."""
        while True:
            try:
                async with asyncio.timeout(self._patience):
                    await self._asked.wait()
            except TimeoutError:
                self._unasked = 0
            if not self._unasked:
                return
            self._asked.clear()

    @property
    def _has_listener(self) -> bool:
        """Return whether there is a window that shows a progress, this one or another."""
        return EVENT_DATA_ENTRY_FLOW_PROGRESSED in self._flow.hass.bus.async_listeners()

    @property
    def _patience(self) -> float:
        """Seconds after which what was told is taken for missed, and nobody for there."""
        return max(LISTENING_PATIENCE, SLOWER * self._slowest) if self._has_listener else PATIENCE

    @property
    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    @callback
    def begin(self) -> None:
        """Begin to tell the end; the platform itself tells it the first time, whether anybody listens or not."""
        self.taken()
        self.is_quiet = False
        self._until = self._now + LONGEST
        self._wait()

    @callback
    def taken(self) -> None:
        """Tell it no more."""
        if self._cancel is not None:
            self._cancel()
            self._cancel = None

    @callback
    def _wait(self) -> None:
        pause = max(PAUSE, SLOWER * self._slowest) if self._has_listener else PATIENCE
        self._cancel = async_call_later(self._flow.hass, pause, HassJob(self._tell_end, cancel_on_shutdown=True))

    @callback
    def _tell_end(self, _: datetime) -> None:
        self._cancel = None
        self._flow.async_notify_flow_changed()
        if self._now < self._until:
            self._wait()
