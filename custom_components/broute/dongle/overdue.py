"""A reading that takes so long that what was read before is old."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from homeassistant.core import callback

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant


class Overdue:
    """Tells once, while a reading goes on, that it takes too long."""

    def __init__(self, hass: HomeAssistant, on_overdue: Callable[[], bool]) -> None:
        """Call `on_overdue` each time; it returns whether anything old was shown."""
        self._hass = hass
        self._on_overdue = on_overdue
        self._is_told = False

    @contextmanager
    def watching(self, seconds: float) -> Iterator[None]:
        """Do something that may take so many seconds."""
        timer = self._hass.loop.call_later(seconds, self._tell)
        try:
            yield
        finally:
            timer.cancel()

    @callback
    def take_back(self) -> bool:
        """Return whether it was told since the last time."""
        was_told, self._is_told = self._is_told, False
        return was_told

    @callback
    def _tell(self) -> None:
        self._is_told = self._on_overdue() or self._is_told
