"""The price that the Energy dashboard has, as the first plan."""

from types import MappingProxyType
from typing import TYPE_CHECKING, cast

from homeassistant.config_entries import ConfigSubentry
from homeassistant.helpers.translation import async_get_translations

from ..const import CONF_COSTS, DOMAIN, SUBENTRY_PLAN
from .dashboard import async_own, async_prices
from .plans import plan_of_prices
from .price_history import price_of_state

if TYPE_CHECKING:
    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant


async def async_take_price(hass: HomeAssistant, entry: ConfigEntry) -> None:
    """Make the price that the dashboard has the first plan, if our costs are to take its place and there is no plan."""
    is_due = entry.data.get(CONF_COSTS) and all(
        each.subentry_type != SUBENTRY_PLAN for each in entry.subentries.values()
    )
    source = await async_own(hass, entry) if is_due else None
    if source is None:
        return
    price, feed_in = await async_prices(hass, entry)
    entity = cast("str | None", source.get("entity_energy_price"))
    if price is None and (entity is None or price_of_state(hass.states.get(entity)) is None):
        return
    texts = await async_get_translations(hass, hass.config.language, "common", {DOMAIN})
    name = texts[f"component.{DOMAIN}.common.price_of_dashboard"]
    plan = plan_of_prices(name, price, entity, feed_in)
    subentry = ConfigSubentry(data=MappingProxyType(plan), subentry_type=SUBENTRY_PLAN, title=name, unique_id=None)
    hass.config_entries.async_add_subentry(entry, subentry)
