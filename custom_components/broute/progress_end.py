"""The end of a progress in a flow, told to the frontend until it takes it."""

from typing import TYPE_CHECKING, Any, Final

from homeassistant.core import HassJob, callback
from homeassistant.helpers.event import async_call_later

if TYPE_CHECKING:
    from datetime import datetime

    from homeassistant.core import CALLBACK_TYPE
    from homeassistant.data_entry_flow import FlowHandler

SHOWN: Final = 1.0
"""Seconds until the frontend shows a progress. An end that comes earlier is lost on it."""

PAUSE: Final = 2.0
"""Seconds after which a frontend is told once more that has not asked for what comes next: a slow one loses events."""

MOST: Final = 300
"""Times; a window that is closed without a word never asks."""


class ProgressEnd:
    """Tells that the progress of a flow is over, again and again, until somebody goes on with the flow."""

    def __init__(self, flow: FlowHandler[Any, Any, Any]) -> None:
        self._flow = flow
        self._left = 0
        self._cancel: CALLBACK_TYPE | None = None

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
        job = HassJob(self._tell, cancel_on_shutdown=True)
        self._cancel = async_call_later(self._flow.hass, PAUSE, job)

    @callback
    def _tell(self, _: datetime) -> None:
        self._cancel = None
        self._flow.async_notify_flow_changed()
        self._left -= 1
        if self._left:
            self._wait()
