"""Connecting to the meter of an entry, over whatever leads to it."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from homeassistant.const import CONF_DEVICE, CONF_PASSWORD
from homeassistant.exceptions import ConfigEntryNotReady
from homeassistant.helpers.importlib import async_import_module

from .aiobroute import Credentials, JoinedMeter, Node, Pan, PortError, connect, is_node, loaded_later, nobody, shown
from .const import CONF_MODULE, CONF_NODE, CONF_PAN, CONF_ROUTE_B_ID
from .nodes import LAN, async_interfaces

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from homeassistant.core import HomeAssistant

    from .aiobroute import MeterProfile, ModuleEvent, Notification, Progress, SessionLostError
    from .aiobroute.lan import NodeMeter

type AnyMeter = JoinedMeter | NodeMeter


async def async_open(  # all but the first two may be left out
    hass: HomeAssistant,
    data: Mapping[str, Any],
    *,
    profile: MeterProfile | None = None,
    must_join: bool = False,
    on_progress: Callable[[Progress], None] = nobody,
    on_event: Callable[[ModuleEvent], None] = nobody,
    on_notification: Callable[[Notification], None] = nobody,
    on_lost: Callable[[SessionLostError], None] = nobody,
    on_other: Callable[[Node], None] = nobody,
) -> AnyMeter:
    """Connect to the meter that an entry's data tells of; tell which others are in the home network if it is not.

    Raises:
        BRouteError: it could not be done.

    """
    url: str = data[CONF_DEVICE]
    if is_node(url):
        await async_import_module(hass, LAN)
        from .aiobroute.lan import connect_node  # noqa: PLC0415  # it is loaded by now

        return await connect_node(
            url,
            node=Node(**data[CONF_NODE]) if CONF_NODE in data else None,
            profile=profile,
            interfaces=await async_interfaces(hass),
            on_progress=on_progress,
            on_notification=on_notification,
            on_lost=on_lost,
            on_other=on_other,
        )
    for name in loaded_later(data.get(CONF_MODULE)):
        await async_import_module(hass, name)
    try:
        return await connect(
            url,
            Credentials(data[CONF_ROUTE_B_ID], data[CONF_PASSWORD]),
            family=data.get(CONF_MODULE),
            pan=Pan(**data[CONF_PAN]) if CONF_PAN in data else None,
            profile=profile,
            must_join=must_join,
            on_progress=on_progress,
            on_event=on_event,
            on_notification=on_notification,
            on_lost=on_lost,
        )
    except ConfigEntryNotReady as err:
        # The port is a serial proxy, and the integration that offers it is not there.
        raise PortError(str(err), shown(url)) from err


def place_of(meter: AnyMeter) -> dict[str, Any]:
    """Return what an entry keeps of where the meter is, so that the next start need not look for it."""
    if isinstance(meter, JoinedMeter):
        return {CONF_MODULE: meter.module.family, CONF_PAN: asdict(meter.pan)}
    return {CONF_NODE: asdict(meter.node)}


def identity_in(place: Mapping[str, Any]) -> str:
    """Return what tells the meter of an entry from others: a MAC over the radio, else what its node calls itself."""
    return str(place[CONF_NODE]["identity"] if CONF_NODE in place else place[CONF_PAN]["mac"])
