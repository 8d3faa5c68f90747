"""A dongle that several meters share: one at a time has its lease."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Final
from weakref import WeakValueDictionary

from homeassistant.const import CONF_DEVICE
from homeassistant.core import callback
from homeassistant.util.hass_dict import HassKey

from ..const import CONF_INTERVAL, DOMAIN, SHORTEST_INTERVAL, UPDATE_INTERVAL

if TYPE_CHECKING:
    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant

PATIENCE: Final = 60.0
"""Seconds for which a lease goes on at most once another one is requested; a join that nobody hears takes 40."""

LEASE_TIME: Final = 15
"""Seconds that a lease usually takes at most: to leave one meter, join the next, read it, and ask for its details."""

REJOIN_PAUSE: Final = 11.0
"""Seconds from when we begin to end a session: for ten of them the meter may refuse the next one."""


class Dongle:
    """What is behind a serial URL; leases are given in the order in which it was asked for."""

    def __init__(self) -> None:
        self.waiting = 0
        """How many wait for their lease."""
        self._order = asyncio.Lock()
        self._holder: Lease | None = None

    async def pass_to(self, lease: Lease) -> None:
        """Return when the leases before are over."""
        self.waiting += 1
        if self._holder is not None:
            self._holder.request()
        try:
            await self._order.acquire()
        finally:
            self.waiting -= 1
            if not self.waiting and self._holder is not None:
                self._holder.withdraw()
        self._holder = lease

    def release(self) -> None:
        """End the lease; the next one in the queue begins."""
        self._holder = None
        self._order.release()


DONGLES: Final[HassKey[WeakValueDictionary[str, Dongle]]] = HassKey(f"{DOMAIN}_dongles")
"""By serial URL, as long as they are in use."""


class Lease:
    """The right to use a dongle, which its owner takes and releases repeatedly."""

    def __init__(self, hass: HomeAssistant, on_requested: Callable[[], None] = lambda: None) -> None:
        """`on_requested` is called each time another lease begins to wait for this one."""
        self._hass = hass
        self._on_wanted = on_requested
        self.device: str | None = None
        """The name of the dongle that we had last."""
        self._dongle: Dongle | None = None
        self._changing = asyncio.Lock()
        self._deadline: float | None = None
        self._limits: set[asyncio.Timeout] = set()

    @property
    def is_held(self) -> bool:
        """Return whether the dongle may be used."""
        return self._dongle is not None and not self._changing.locked()

    @property
    def is_requested(self) -> bool:
        """Return whether another lease waits for this one."""
        return self._dongle is not None and self._dongle.waiting > 0

    async def take(self, device: str) -> None:
        """Return when the dongle may be used."""
        async with self._changing:
            if self._dongle is not None:
                return
            dongle = self._hass.data.setdefault(DONGLES, WeakValueDictionary()).setdefault(device, Dongle())
            await dongle.pass_to(self)
            self._dongle, self.device = dongle, device
            self._deadline = self._hass.loop.time() + PATIENCE if dongle.waiting else None

    @callback
    def request(self) -> None:
        """Set a deadline for what is under way, as another lease waits."""
        if self._deadline is None:
            self._deadline = self._hass.loop.time() + PATIENCE
            for limit in self._limits:
                limit.reschedule(self._deadline)
        self._on_wanted()

    @callback
    def withdraw(self) -> None:
        """Cancel the deadline, as no other lease waits any more."""
        self._deadline = None
        for limit in self._limits:
            limit.reschedule(None)

    @asynccontextmanager
    async def in_time(self) -> AsyncIterator[None]:
        """Limit what is done to the deadline of the lease.

        Raises:
            TimeoutError: another lease has waited for too long.

        """
        async with asyncio.timeout_at(self._deadline) as limit:
            self._limits.add(limit)
            try:
                yield
            finally:
                self._limits.discard(limit)

    @asynccontextmanager
    async def ending(self) -> AsyncIterator[None]:
        """Release the lease after what comes last; requests meanwhile wait for a new one."""
        async with self._changing:
            try:
                yield
            finally:
                self.release()

    @callback
    def release(self) -> None:
        """Give it back; the port must be free."""
        if self._dongle is not None:
            dongle, self._dongle = self._dongle, None
            dongle.release()


@asynccontextmanager
async def async_lease(hass: HomeAssistant, device: str) -> AsyncIterator[None]:
    """Take a lease on a dongle once; the meters that use it wait."""
    lease = Lease(hass)
    await lease.take(device)
    try:
        yield
    finally:
        lease.release()


@callback
def async_sharers(hass: HomeAssistant, device: str) -> int:
    """Return how many meters are set up on a dongle."""
    entries = hass.config_entries.async_entries(DOMAIN, include_ignore=False, include_disabled=False)
    return sum(entry.data[CONF_DEVICE] == device for entry in entries)


@callback
def async_shortest(hass: HomeAssistant, entry: ConfigEntry) -> int:
    """Return the shortest time between two readings of a meter, in seconds."""
    sharers = async_sharers(hass, entry.data[CONF_DEVICE])
    return LEASE_TIME * sharers if sharers > 1 else SHORTEST_INTERVAL


@callback
def async_interval(hass: HomeAssistant, entry: ConfigEntry) -> timedelta:
    """Return the time between two readings: what was chosen, or what the other meters on the dongle leave."""
    chosen = entry.options.get(CONF_INTERVAL, UPDATE_INTERVAL.seconds)
    return timedelta(seconds=max(chosen, async_shortest(hass, entry)))
