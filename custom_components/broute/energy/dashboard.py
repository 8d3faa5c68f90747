"""A place for the meter in the Energy dashboard: added if a person asked for it; nothing else is touched."""

from typing import TYPE_CHECKING, Any, Final

from homeassistant.components.energy.const import DOMAIN as ENERGY_DOMAIN
from homeassistant.components.energy.data import GridSourceType, async_get_manager
from homeassistant.components.sensor import DOMAIN as SENSOR_DOMAIN
from homeassistant.helpers import entity_registry as er

from ..const import CONF_ENERGY, CONF_PRICES, DOMAIN

COST: Final = "cost"
COMPENSATION: Final = "compensation"

PRICES: Final = (
    "stat_cost",
    "entity_energy_price",
    "number_energy_price",
    "stat_compensation",
    "entity_energy_price_export",
    "number_energy_price_export",
)
"""What a grid connection has of money; one of each three at most."""

if TYPE_CHECKING:
    from homeassistant.components.energy.data import SourceType
    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant


def has_dashboard(hass: HomeAssistant) -> bool:
    """Return whether there is an Energy dashboard."""
    return ENERGY_DOMAIN in hass.config.components


async def async_has_grid(hass: HomeAssistant) -> bool:
    """Return whether the dashboard has a grid connection already."""
    return any(source["type"] == "grid" for source in await _async_sources(hass))


async def async_add_if_requested(hass: HomeAssistant, entry: ConfigEntry) -> None:
    """Add a new meter to the dashboard, once; until that can be done, the request stays in the entry."""
    grid = _grid(hass, entry)
    if not entry.data.get(CONF_ENERGY) or not has_dashboard(hass) or grid is None:
        return
    sources = await _async_sources(hass)
    if not _statistics(grid) & {statistic for source in sources for statistic in _statistics(source)}:
        manager = await async_get_manager(hass)
        await manager.async_update({"energy_sources": [*sources, grid]})  # type: ignore[typeddict-item]  # the rest stays
    data = {key: value for key, value in entry.data.items() if key != CONF_ENERGY}
    hass.config_entries.async_update_entry(entry, data=data)


def cost_statistic_id(entry: ConfigEntry, kind: str) -> str:
    """Return the name of the statistic of what is paid or brought in."""
    return f"{DOMAIN}:{entry.entry_id.lower()}_{kind}"


async def async_price(hass: HomeAssistant, entry: ConfigEntry) -> str | None:
    """Return the price that the dashboard has for what the meter counts."""
    source = await _async_own(hass, entry)
    price = None if source is None else source.get("number_energy_price")
    return None if price is None else str(price)


async def async_is_cost_shown(hass: HomeAssistant, entry: ConfigEntry) -> bool:
    """Return whether the dashboard shows our costs."""
    source = await _async_own(hass, entry)
    return source is not None and source.get("stat_cost") == cost_statistic_id(entry, COST)


async def async_show_cost(hass: HomeAssistant, entry: ConfigEntry, *, is_shown: bool) -> None:
    """Let the dashboard show our costs, or what it had before; nothing else of it is touched."""
    source = await _async_own(hass, entry)
    if source is None or is_shown == await async_is_cost_shown(hass, entry):
        return
    if is_shown:
        before: dict[str, Any] = {key: source.get(key) for key in PRICES}
        hass.config_entries.async_update_entry(entry, data={**entry.data, CONF_PRICES: before})
        prices = dict.fromkeys(PRICES) | {"stat_cost": cost_statistic_id(entry, COST)}
        if source.get("stat_energy_to") is not None:
            prices["stat_compensation"] = cost_statistic_id(entry, COMPENSATION)
    else:
        prices = dict(entry.data.get(CONF_PRICES, dict.fromkeys(PRICES)))
    sources = [{**each, **prices} if each is source else each for each in await _async_sources(hass)]
    manager = await async_get_manager(hass)
    await manager.async_update({"energy_sources": sources})  # type: ignore[typeddict-item]  # the rest stays


async def _async_own(hass: HomeAssistant, entry: ConfigEntry) -> SourceType | None:
    """Return the grid connection that the meter is in the dashboard."""
    grid = _grid(hass, entry)
    if grid is None or not has_dashboard(hass):
        return None
    sources = await _async_sources(hass)
    return next((each for each in sources if each.get("stat_energy_from") == grid["stat_energy_from"]), None)


async def _async_sources(hass: HomeAssistant) -> list[SourceType]:
    manager = await async_get_manager(hass)
    return [] if manager.data is None else manager.data["energy_sources"]


def _statistics(source: SourceType) -> set[object]:
    """Return what a source shows, which must be shown by no other."""
    return {source.get(key) for key in ("stat_energy_from", "stat_energy_to", "stat_rate")} - {None}


def _grid(hass: HomeAssistant, entry: ConfigEntry) -> GridSourceType | None:
    """Return the grid connection that the meter is; its price is for a person to say."""
    registry = er.async_get(hass)
    energy_in, energy_out, power = (
        registry.async_get_entity_id(SENSOR_DOMAIN, DOMAIN, f"{entry.unique_id}_{key}")
        for key in ("energy_in", "energy_out", "power")
    )
    if energy_in is None or power is None:
        return None
    return GridSourceType(
        type="grid",
        stat_energy_from=energy_in,
        stat_energy_to=energy_out,
        stat_rate=power,
        stat_cost=None,
        entity_energy_price=None,
        number_energy_price=None,
        stat_compensation=None,
        entity_energy_price_export=None,
        number_energy_price_export=None,
        cost_adjustment_day=0,
    )
