"""Meters of the home network: where Home Assistant looks for them, and which it knows already."""

import asyncio
from contextlib import suppress
import logging
from typing import TYPE_CHECKING, Final

from homeassistant.components import network
from homeassistant.helpers.importlib import async_import_module

from .aiobroute import FrameError, MeterProfile, NodePortBusyError, identity_of, nobody
from .const import CONF_NODE, CONF_PROFILE, DOMAIN

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from typing import Any

    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant

    from .aiobroute.lan import FoundNode

_LOGGER = logging.getLogger(__name__)

LAN: Final = f"{__package__}.aiobroute.lan"
"""Loaded only where a meter of the home network is looked for."""


async def async_interfaces(hass: HomeAssistant) -> list[str]:
    """Return the network interfaces that Home Assistant is to use (Settings > System > Network)."""
    return [adapter["name"] for adapter in await network.async_get_adapters(hass) if adapter["enabled"]]


class NodeSearch:
    """The meters that answer in the home network; they are asked for beside whatever else is done."""

    def __init__(self, hass: HomeAssistant, but: str | None, interfaces: Collection[str]) -> None:
        """Use `async_begin`."""
        self._hass = hass
        self._but = but
        self.found: list[FoundNode] = []
        """In the order in which they answered."""
        self.on_found: Callable[[FoundNode], None] = nobody
        """Called for each from now on."""
        self._heard = asyncio.Event()
        self.task = hass.async_create_background_task(self._async_run(interfaces), f"{DOMAIN} search")

    @classmethod
    async def async_begin(cls, hass: HomeAssistant, but: str | None = None) -> NodeSearch:
        """Begin; meters that are set up are left out, apart from that of one entry."""
        await async_import_module(hass, LAN)
        return cls(hass, but, await async_interfaces(hass))

    async def async_heard_within(self, seconds: float) -> bool:
        """Return whether a meter has answered by then."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._heard.wait()
        return bool(self.found)

    async def _async_run(self, interfaces: Collection[str]) -> None:
        from .aiobroute.lan import find_nodes  # noqa: PLC0415  # it is loaded by now

        try:
            await find_nodes(interfaces, on_found=self._take)
        except NodePortBusyError as err:
            # Who chooses a meter nevertheless is told.
            _LOGGER.debug("no meter can be looked for: %s", err)
        finally:
            self._heard.set()

    def _take(self, found: FoundNode) -> None:
        if reader_of(self._hass, found.node.identity, self._but) is None:
            self.found.append(found)
            self._heard.set()
            self.on_found(found)


def reader_of(hass: HomeAssistant, identity: str, but: str | None = None) -> ConfigEntry | None:
    """Return the entry, apart from one, that reads a meter, over whatever leads to it."""
    for entry in hass.config_entries.async_entries(DOMAIN, include_ignore=False):
        if entry.entry_id != but and identity in _identities(entry):
            return entry
    return None


def _identities(entry: ConfigEntry) -> set[str | None]:
    """Return what the meter of an entry calls itself."""
    profile = profile_of(entry.data)
    return {
        entry.data[CONF_NODE]["identity"] if CONF_NODE in entry.data else None,
        None if profile is None else identity_of(profile.serial_number),
    }


def profile_of(data: Mapping[str, Any]) -> MeterProfile | None:
    """Return what the meter of an entry has told of itself, if that was kept."""
    try:
        return MeterProfile.from_raw(data[CONF_PROFILE])
    except KeyError, FrameError:
        return None  # The meter will tell.
