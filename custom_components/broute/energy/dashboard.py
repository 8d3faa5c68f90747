"""A place for the meter in the Energy dashboard: added if a person asked for it; nothing else is touched."""

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, Final, cast

from homeassistant.components.energy.const import DOMAIN as ENERGY_DOMAIN
from homeassistant.components.energy.data import GridSourceType, async_get_manager
from homeassistant.components.sensor import DOMAIN as SENSOR_DOMAIN
from homeassistant.helpers import entity_registry as er

from ..const import CONF_COSTS, CONF_ENERGY, CONF_PRICES, CONF_REPLACED, DOMAIN

COST: Final = "cost"
COMPENSATION: Final = "compensation"

ENERGIES: Final = ("stat_energy_from", "stat_energy_to")
"""What a grid connection shows."""

PRICES: Final = {
    COST: ("stat_cost", "entity_energy_price", "number_energy_price"),
    COMPENSATION: ("stat_compensation", "entity_energy_price_export", "number_energy_price_export"),
}
"""What a grid connection has of money for each direction: one of three at most."""

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


def cost_entity_id(hass: HomeAssistant, entry: ConfigEntry, kind: str) -> str | None:
    """Return the present name of the sensor of what is paid or brought in, if there is one."""
    return er.async_get(hass).async_get_entity_id(SENSOR_DOMAIN, DOMAIN, f"{entry.unique_id}_{kind}")


async def async_prices(hass: HomeAssistant, entry: ConfigEntry) -> tuple[str | None, str | None]:
    """Return the prices that the dashboard has for what the meter counts: of what is taken, and what is fed in."""
    source: Mapping[str, Any] = await async_own(hass, entry) or {}
    taken, fed = (source.get(key) for key in ("number_energy_price", "number_energy_price_export"))
    return None if taken is None else str(taken), None if fed is None else str(fed)


async def async_is_shown(hass: HomeAssistant, entry: ConfigEntry) -> bool:
    """Return whether the meter is in the dashboard."""
    return await async_own(hass, entry) is not None


async def async_is_cost_wanted(hass: HomeAssistant, entry: ConfigEntry) -> bool:
    """Return whether the dashboard shows our costs, or will as soon as there are any."""
    if entry.data.get(CONF_COSTS):
        return True
    source, sensor = await async_own(hass, entry), cost_entity_id(hass, entry, COST)
    return source is not None and sensor is not None and source.get("stat_cost") == sensor


async def async_want_cost(hass: HomeAssistant, entry: ConfigEntry, *, is_wanted: bool) -> None:
    """Set our costs in the dashboard as soon as there are any, or restore what it had before; all else stays."""
    if is_wanted == await async_is_cost_wanted(hass, entry):
        return
    data = {key: value for key, value in entry.data.items() if key != CONF_COSTS}
    if is_wanted:
        data[CONF_COSTS] = [COST, COMPENSATION]
    elif before := data.pop(CONF_PRICES, None):
        await _async_change(hass, entry, before)
    hass.config_entries.async_update_entry(entry, data=data)


async def async_show_cost_if_wanted(hass: HomeAssistant, entry: ConfigEntry) -> None:
    """Set those of our costs that exist by now in the dashboard, once: later changes by hand stay."""
    source = await async_own(hass, entry) if entry.data.get(CONF_COSTS) else None
    if source is None:
        return
    statistics = {COST: "stat_energy_from", COMPENSATION: "stat_energy_to"}
    for kind in entry.data[CONF_COSTS]:
        sensor = cost_entity_id(hass, entry, kind)
        if sensor is None or source.get(statistics[kind]) is None:
            continue
        before = {key: source.get(key) for key in PRICES[kind]}
        await _async_change(hass, entry, {**dict.fromkeys(PRICES[kind]), PRICES[kind][0]: sensor})
        left = [other for other in entry.data[CONF_COSTS] if other != kind]
        prices = {**entry.data.get(CONF_PRICES, {}), **before}
        hass.config_entries.async_update_entry(entry, data={**entry.data, CONF_COSTS: left, CONF_PRICES: prices})


async def async_shows(hass: HomeAssistant, statistic_ids: Collection[str]) -> bool:
    """Return whether the dashboard shows any of some statistics as from or to the grid."""
    if not has_dashboard(hass):
        return False
    return any({each.get(name) for name in ENERGIES} & {*statistic_ids} for each in await _async_sources(hass))


async def async_change_over(hass: HomeAssistant, entry: ConfigEntry, ours: Mapping[str, str]) -> None:
    """Show statistics of ours in place of others, and keep what was there before."""
    if not has_dashboard(hass):
        return
    before = await _async_sources(hass)
    sources: list[SourceType] = []
    replaced = list(entry.data.get(CONF_REPLACED, []))
    for source in before:
        names = {name: ours[str(source.get(name))] for name in ENERGIES if str(source.get(name)) in ours}
        others = {statistic for each in before if each is not source for statistic in _statistics(each)}
        if not names:
            sources.append(source)
        elif not {*names.values()} & others:
            sources.append(cast("SourceType", {**source, **names}))
            replaced.append({"before": source, "after": {**source, **names}})
        elif all(name in names for name in ENERGIES if source.get(name) is not None):
            # Ours are there already: both would count twice.
            replaced.append({"before": source, "after": None})
        else:
            sources.append(source)
    if sources == before:
        return
    manager = await async_get_manager(hass)
    await manager.async_update({"energy_sources": sources})  # type: ignore[typeddict-item]  # the rest stays
    hass.config_entries.async_update_entry(entry, data={**entry.data, CONF_REPLACED: replaced})


async def async_change_back(hass: HomeAssistant, entry: ConfigEntry) -> None:
    """Show again what was there before ours took its place, where nobody has changed that since."""
    replaced = entry.data.get(CONF_REPLACED)
    if not replaced or not has_dashboard(hass):
        return
    sources = list(await _async_sources(hass))
    for each in reversed(replaced):
        before, after = each["before"], each["after"]
        if after is None:
            shown = {statistic for source in sources for statistic in _statistics(source)}
            sources += [] if _statistics(before) & shown else [before]
        else:
            names = {name: before.get(name) for name in ENERGIES}
            sources = [
                cast("SourceType", {**source, **names})
                if all(source.get(name) == after.get(name) for name in ENERGIES)
                else source
                for source in sources
            ]
    manager = await async_get_manager(hass)
    await manager.async_update({"energy_sources": sources})  # type: ignore[typeddict-item]  # the rest stays
    data = {key: value for key, value in entry.data.items() if key != CONF_REPLACED}
    hass.config_entries.async_update_entry(entry, data=data)


async def _async_change(hass: HomeAssistant, entry: ConfigEntry, prices: Mapping[str, Any]) -> None:
    """Give the grid connection that the meter is other prices."""
    own = await async_own(hass, entry)
    sources = [{**each, **prices} if each is own else each for each in await _async_sources(hass)]
    manager = await async_get_manager(hass)
    await manager.async_update({"energy_sources": sources})  # type: ignore[typeddict-item]  # the rest stays


async def async_own(hass: HomeAssistant, entry: ConfigEntry) -> SourceType | None:
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
