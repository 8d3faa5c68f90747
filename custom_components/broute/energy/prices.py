"""The prices that entities told, kept for good: the recorder deletes states after some days."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from homeassistant.core import callback
from homeassistant.helpers.storage import STORAGE_DIR, Store
from homeassistant.util.hass_dict import HassKey

from ..aiobroute import JST
from ..const import DOMAIN
from .ledger import HALF_HOUR_SECONDS, MICRO
from .price_history import Prices, async_prices
from .recorder import async_written

if TYPE_CHECKING:
    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant

_LOGGER = logging.getLogger(__name__)

VERSION: Final = 1

SLOTS: Final = 48
DAY: Final = 86_400

AGAIN: Final = 2 * DAY
"""Seconds for which a half-hour without a price is asked for again."""


@dataclass(slots=True)
class KeptPrices:
    """The prices of each half-hour by entity, in millionths of a yen per kWh by seconds since 1970."""

    hass: HomeAssistant
    entry_id: str
    known: dict[str, Prices] = field(default_factory=dict)
    changes: dict[str, int] = field(default_factory=dict)
    """How often each month has changed."""
    _looked: dict[str, tuple[int, int]] = field(default_factory=dict)
    """From when to when each was asked for."""
    _unsaved: set[str] = field(default_factory=set)
    _names: list[Mapping[str, str]] = field(default_factory=list)
    """What was renamed and not been looked for yet in what is kept."""
    _is_loaded: bool = False
    _saving: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def async_load(self) -> None:
        """Read what is kept, once."""
        if not self._is_loaded:
            known = await self.hass.async_add_executor_job(_load, self._folder, self._prefix)
            if not self._is_loaded:
                self.known, self._is_loaded = known, True
        self._rename()

    @callback
    def rename(self, names: Mapping[str, str]) -> None:
        """Keep for entities with new ids what was kept for them by the old ones."""
        self._names.append(names)
        if self._is_loaded:
            self._rename()

    def _rename(self) -> None:
        for names in self._names:
            moved = {new: self.known.pop(old) for old, new in names.items() if old in self.known}
            self._looked |= {new: self._looked.pop(old) for old, new in names.items() if old in self._looked}
            for entity, prices in moved.items():
                self.known[entity] = {**prices, **self.known.get(entity, {})}
                self._changed(prices)
        self._names.clear()

    async def async_update(self, entities: Iterable[str], first: int, now: int) -> None:
        """Read from the recorder what is new of the half-hours that are over, from the first one on.

        Raises:
            RecorderUnavailableError: the recorder cannot be asked at present.

        """
        end = now // HALF_HOUR_SECONDS * HALF_HOUR_SECONDS
        due = [entity for entity in entities if self._looked.get(entity, (end, 0)) != (first, end)]
        if not due:
            return
        await async_written(self.hass)
        for entity in due:
            asked = self._looked.get(entity)
            begin = first if asked is None or asked[0] > first else max(first, min(asked[1], end - AGAIN))
            found = await async_prices(self.hass, entity, begin, end)
            self._take(entity, found)
            self._looked[entity] = first, end
        await self.async_save()

    async def async_remove(self) -> None:
        """Delete everything."""
        self.hass.data.get(KEPT, {}).pop(self.entry_id, None)
        await self.hass.async_add_executor_job(_remove, self._folder, self._prefix)

    def _take(self, entity: str, found: Prices) -> None:
        """Keep what is new; what is known stays."""
        known = self.known.setdefault(entity, {})
        new = {start: price for start, price in found.items() if start not in known}
        known |= new
        self._changed(new)

    def _changed(self, starts: Iterable[int]) -> None:
        for month in {_month(start) for start in starts}:
            self.changes[month] = self.changes.get(month, 0) + 1
            self._unsaved.add(month)

    async def async_save(self) -> None:
        """Write the months that have changed."""
        await self.async_load()
        async with self._saving:
            for month in sorted(self._unsaved):
                self._unsaved.discard(month)
                try:
                    await self._async_save(month)
                except BaseException:
                    self._unsaved.add(month)
                    raise

    async def _async_save(self, month: str) -> None:
        # Entities may be renamed meanwhile.
        data = await self.hass.async_add_executor_job(_as_dict, dict(self.known), month)
        store: Store[dict[str, Any]] = Store(self.hass, VERSION, self._prefix + month, atomic_writes=True)
        await store.async_save(data)

    @property
    def _folder(self) -> Path:
        return Path(self.hass.config.path(STORAGE_DIR))

    @property
    def _prefix(self) -> str:
        return f"{DOMAIN}_prices.{self.entry_id}."


KEPT: Final[HassKey[dict[str, KeptPrices]]] = HassKey(f"{DOMAIN}_prices")
"""By entry."""


@callback
def prices_of(hass: HomeAssistant, entry: ConfigEntry) -> KeptPrices:
    """Return the prices of an entry, of which there is one set, whether the entry is loaded or not."""
    return hass.data.setdefault(KEPT, {}).setdefault(entry.entry_id, KeptPrices(hass, entry.entry_id))


def _month(start: int) -> str:
    return f"{datetime.fromtimestamp(start, JST):%Y-%m}"


def _as_dict(known: Mapping[str, Prices], month: str) -> dict[str, Any]:
    """Return a month: for each entity and day, yen per kWh of 48 half-hours."""
    begin = datetime.strptime(month, "%Y-%m").replace(tzinfo=JST)
    days = range(int(begin.timestamp()), int(begin.timestamp()) + 31 * DAY, DAY)
    return {
        entity: {
            f"{datetime.fromtimestamp(day, JST):%Y-%m-%d}": line
            for day in days
            if _month(day) == month and any(line := [_text(prices.get(start)) for start in _day(day)])
        }
        for entity, prices in known.items()
    }


def _day(begin: int) -> range:
    return range(begin, begin + DAY, HALF_HOUR_SECONDS)


def _text(price: int | None) -> str | None:
    return None if price is None else format(Decimal(price) / MICRO, "f")


def _load(folder: Path, prefix: str) -> dict[str, Prices]:
    """Return all months; one that is damaged is left out, and asked for anew."""
    known: dict[str, Prices] = {}
    for path in sorted(folder.glob(f"{prefix}*")):
        try:
            months = json.loads(path.read_text(encoding="utf-8"))["data"]
            for entity, days in months.items():
                found = known.setdefault(entity, {})
                for day, line in days.items():
                    begin = int(datetime.fromisoformat(day).replace(tzinfo=JST).timestamp())
                    for start, price in zip(_day(begin), line, strict=True):
                        if price is not None:
                            found[start] = int(Decimal(price) * MICRO)
        except (ArithmeticError, AttributeError, KeyError, OSError, TypeError, ValueError) as err:
            _LOGGER.warning("Prices that were kept cannot be read, and are asked for anew: %s: %s", path.name, err)
    return known


def _remove(folder: Path, prefix: str) -> None:
    for path in folder.glob(f"{prefix}*"):
        path.unlink()
