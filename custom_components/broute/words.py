"""Texts that belong to no form or entity, in the language of the installation, by their own keys."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from homeassistant.core import callback
from homeassistant.helpers.translation import async_get_cached_translations, async_get_translations

from .const import DOMAIN

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant

CATEGORY = "common"


async def async_words(hass: HomeAssistant) -> dict[str, str]:
    """Return all of them."""
    return _by_key(await async_get_translations(hass, hass.config.language, CATEGORY, {DOMAIN}))


@callback
def async_cached_words(hass: HomeAssistant) -> dict[str, str]:
    """Return all of them if Home Assistant has read them, as it does for the names of entities; else none."""
    return _by_key(async_get_cached_translations(hass, hass.config.language, CATEGORY, DOMAIN))


def _by_key(texts: Mapping[str, str]) -> dict[str, str]:
    return {key.rpartition(".")[2]: text for key, text in texts.items()}
