"""What the energy side needs of a connected meter."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from homeassistant.core import CALLBACK_TYPE

from ..aiobroute import Counters, HistoryError, MeterProfile, Reading, SmartMeter
from .details import Details


class HistoryUnavailableError(HistoryError):
    """The meter cannot be asked at present, for a reason that a person can be told in their language."""

    def __init__(self, reason: str, key: str) -> None:
        super().__init__(reason)
        self.key = key


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryProgress:
    """How far the history has been read from the meter."""

    days: int
    """That a meter may remember."""
    days_read: int
    """Of these, for which nothing is left to be asked."""
    without_value: int
    """Half-hours since the oldest one, of each direction, of which the meter's memory has nothing."""
    error: str | None
    """Why the last attempt failed, if it did."""

    @property
    def percent(self) -> int:
        """Return how much has been read; 100 only if all has."""
        return 100 * self.days_read // self.days


class MeterSource(Protocol):
    """A meter that is connected to from time to time."""

    profile: MeterProfile
    """As the meter told at the last connect."""
    data: Reading
    """The last reading."""
    readings: int
    """How many there were."""
    history_start: datetime | None
    """The oldest hour that is known, for the person."""
    history_progress: HistoryProgress | None
    """How far the history has been read, for the person; `None` as long as it is not read."""

    @property
    def details(self) -> Details:
        """Return what the meter tells beside its readings."""

    @property
    def meter(self) -> SmartMeter | None:
        """Return the connection, if there is one."""

    def async_meter(self) -> AbstractAsyncContextManager[SmartMeter]:
        """Lend the connection.

        Raises:
            HistoryUnavailableError: there is none, or others have waited for the dongle for too long.

        """

    def async_remembered(self, counters: Sequence[Counters]) -> None:
        """Take a newer part of the history, in order of time."""

    def async_add_listener(self, update_callback: Callable[[], None], context: object = None) -> CALLBACK_TYPE:
        """Call back after each reading and each other change."""

    def async_update_listeners(self) -> None:
        """Call all listeners."""
