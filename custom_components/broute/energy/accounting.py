"""When the accounts of an entry are kept: from its first plan on, or from the first action that asks for them.

Most homes never type a plan in. What knows of money is loaded no sooner than it is needed, and not in the event loop.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from homeassistant.config_entries import SIGNAL_CONFIG_ENTRY_CHANGED
from homeassistant.core import callback
from homeassistant.helpers.dispatcher import async_dispatcher_connect
from homeassistant.helpers.importlib import async_import_module

from ..const import CONF_COSTS, SUBENTRY_PLAN

if TYPE_CHECKING:
    from homeassistant.config_entries import ConfigEntry, ConfigEntryChange
    from homeassistant.core import HomeAssistant

    from .accounts import Accounts
    from .backfill import Backfill
    from .source import MeterSource


class Accounting:
    """The accounts of one entry, as long as it is set up."""

    def __init__(self, hass: HomeAssistant, entry: ConfigEntry, source: MeterSource, history: Backfill) -> None:
        self.accounts: Accounts | None = None
        """Not there before they are needed."""
        self._hass = hass
        self._entry = entry
        self._source = source
        self._history = history
        self._loading = asyncio.Lock()
        self._is_started = False
        self._listeners: list[Callable[[Accounts], Awaitable[None]]] = []

    async def async_accounts(self) -> Accounts:
        """Return the accounts, which are begun if nobody has needed them before."""
        async with self._loading:
            if self.accounts is None:
                await async_import_module(self._hass, f"{__package__}.accounts")
                from .accounts import Accounts  # noqa: PLC0415  # it is loaded by now

                accounts = Accounts(self._hass, self._entry, self._source, self._history)
                for told in self._listeners:
                    await told(accounts)
                self.accounts = accounts
                if self._is_started:
                    accounts.async_start()
            return self.accounts

    async def async_load_if_needed(self) -> None:
        """Begin the accounts if there is a plan, or a price of the Energy dashboard that is to become one."""
        if self._is_needed:
            await self.async_accounts()

    async def async_when_loaded(self, told: Callable[[Accounts], Awaitable[None]]) -> None:
        """Call with the accounts, now or as soon as they are there."""
        self._listeners.append(told)
        if self.accounts is not None:
            await told(self.accounts)

    @callback
    def async_start(self) -> None:
        """Keep the accounts from now on, and begin them with the first plan."""
        self._is_started = True
        self._entry.async_on_unload(self._stop)
        self._entry.async_on_unload(
            async_dispatcher_connect(self._hass, SIGNAL_CONFIG_ENTRY_CHANGED, self._entry_changed)
        )
        if self.accounts is not None:
            self.accounts.async_start()

    @callback
    def _stop(self) -> None:
        """Begin nothing any more, also if an action asks for the accounts just now."""
        self._is_started = False
        self._listeners.clear()

    @property
    def _is_needed(self) -> bool:
        plans = (each for each in self._entry.subentries.values() if each.subentry_type == SUBENTRY_PLAN)
        return any(plans) or bool(self._entry.data.get(CONF_COSTS))

    @callback
    def _entry_changed(self, _: ConfigEntryChange, entry: ConfigEntry) -> None:
        if entry.entry_id == self._entry.entry_id and self.accounts is None and self._is_needed:
            self._entry.async_create_background_task(self._hass, self.async_accounts(), f"{entry.title} accounts")
