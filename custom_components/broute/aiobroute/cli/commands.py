"""What each command does."""

import argparse
import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress

from .. import (
    INSTALLATION_LOCATION,
    NOTIFICATION_MAP,
    PROPERTIES,
    SET_MAP,
    BRouteError,
    JoinRefusedError,
    MeterProfile,
    MeterRefusedError,
    NodeNotFoundError,
    Notification,
    Pan,
    SessionLostError,
    SmartMeter,
    connect,
    find,
    is_node,
    leaving,
    url_of,
)
from ..lan import FoundNode, connect_node, find_nodes
from .columns import columns
from .doctor import doctor
from .history import history
from .missing import MissingError, check, names
from .progress import show_progress
from .reading import WEAK, print_head, print_line, print_notification, print_reading
from .record import record
from .words import place, plain, say, title

RECONNECT_PAUSE = 10.0
"""Seconds between a failure and the next try of `watch`."""


async def read(options: argparse.Namespace) -> None:
    """Print one reading."""
    async with await _connect(options) as meter:
        reading = await meter.read()
        print_reading(options, meter, reading)
    check(reading.refused | meter.profile.unscaled_by)


async def watch(options: argparse.Namespace) -> None:
    """Print readings and notifications until that is given up."""
    options.family = options.node = None
    print_head(options)
    while True:
        told: asyncio.Queue[Notification | SessionLostError] = asyncio.Queue()
        try:
            meter = await _connect_again(options, told)
            async with leaving(meter):
                await _watch_meter(options, meter, told)
        except JoinRefusedError:
            raise
        except BRouteError as err:
            options.console.note(f"{err}; trying again in {RECONNECT_PAUSE:g} s")
            await asyncio.sleep(RECONNECT_PAUSE)


async def _connect_again(
    options: argparse.Namespace, told: asyncio.Queue[Notification | SessionLostError]
) -> SmartMeter:
    """Connect, and keep what spares the next time a search."""
    show = show_progress(options.console)
    if is_node(options.port):
        node = await connect_node(
            options.port,
            node=options.node,
            interfaces=options.interface,
            on_progress=show,
            on_notification=told.put_nowait,
            on_lost=told.put_nowait,
        )
        options.node = node.node
        return node
    meter = await connect(
        options.port,
        options.credentials,
        family=options.family,
        pan=options.pan,
        on_progress=show,
        on_notification=told.put_nowait,
        on_lost=told.put_nowait,
    )
    options.family, options.pan = meter.module.family, meter.pan
    return meter


async def _watch_meter(
    options: argparse.Namespace, meter: SmartMeter, told: asyncio.Queue[Notification | SessionLostError]
) -> None:
    due = asyncio.get_running_loop().time()
    while True:
        try:
            reading = await meter.read()
        except MeterRefusedError as err:  # It is there, and may tell the next time.
            options.console.note(str(err))
        else:
            print_line(options, meter, reading)
            if reading.refused:
                options.console.note(f"the meter refuses at present: {names(reading.refused)}")
        due += options.interval
        with suppress(TimeoutError):
            async with asyncio.timeout_at(due):
                while True:
                    news = await told.get()
                    if isinstance(news, SessionLostError):
                        raise news
                    print_notification(options, meter, news)


async def properties(options: argparse.Namespace) -> None:
    """Print what the meter has, a property a line."""
    async with await _connect(options) as meter:
        await meter.get(SET_MAP, NOTIFICATION_MAP)
        profile = meter.profile
        refused = {row.code for row in (SET_MAP, NOTIFICATION_MAP) if profile.lacks(row)}
        codes = sorted(profile.gettable | profile.settable | profile.announced)
        width = max((len(title(code)) for code in codes), default=0)
        for number, code in enumerate(codes, 1):
            options.console.count("reading property", number, len(codes))
            raw = (await meter.get_codes(code)).data.get(code)
            row, profile = PROPERTIES.get(code), meter.profile
            if raw is None and code in profile.gettable:
                refused.add(code)
            if row and row.unit == "kWh":
                refused |= profile.unscaled_by
            if options.json:
                options.console.print_json(_property(meter, code, raw))
            else:
                options.console.print(f"{code:02X}  {title(code):{width}}  {_said(code, raw, profile)}")
    if not profile.gettable:
        raise MissingError("the meter refuses at present: the list of its properties")
    check(refused)


def _said(code: int, raw: bytes | None, profile: MeterProfile) -> str:
    """Return a property for a person."""
    untold = "refused at present" if code in profile.gettable else "cannot be read"
    said = say(code, raw, profile) if raw else untold
    return f"{said} (can be set)" if code in profile.settable else said


def _property(meter: SmartMeter, code: int, raw: bytes | None) -> dict[str, object]:
    """Return a property for a program."""
    row = PROPERTIES.get(code)
    return {
        "code": f"{code:02X}",
        "name": row.name if row else None,
        "raw": raw.hex().upper() if raw else None,
        "value": plain(row.decode(raw), row.unit, meter.profile) if row and raw else None,
        "unit": row.unit if row else None,
        "settable": code in meter.profile.settable,
        "refused": raw is None,
    }


async def show_history(options: argparse.Namespace) -> None:
    """Print the half-hours of some days."""
    async with await _connect(options) as meter:
        await history(options, meter)


async def set_property(options: argparse.Namespace) -> None:
    """Set the installation location, which is the only property that a person may want to set."""
    async with await _connect(options) as meter:
        await meter.set(INSTALLATION_LOCATION, options.value)
    if not options.json:
        options.console.print(f"The installation location is now {options.value:02X}: {place(options.value)}.")


async def scan(options: argparse.Namespace) -> None:
    """Print where the meter is, and how the other commands find it."""
    if options.lan:
        await _scan_lan(options)
        return
    beacon, module = await find(options.port, options.credentials, on_progress=show_progress(options.console))
    pan = beacon.pan
    if options.json:
        options.console.print_json(
            {
                "channel": f"{pan.channel:02X}",
                "pan_id": f"{pan.pan_id:04X}",
                "mac": pan.mac,
                "pan": _pan(pan),
                "lqi": beacon.lqi,
                "rssi": beacon.rssi,
                "module": module.family,
                "firmware": module.firmware,
            }
        )
        return
    rows = (
        ("Meter", pan.mac),
        ("Channel", f"{pan.channel} ({pan.channel:02X} in hexadecimal)"),
        ("PAN ID", f"{pan.pan_id:04X}"),
        ("Signal", f"{beacon.rssi:g} dBm" + (", weak: move the dongle closer" if beacon.rssi < WEAK else "")),
        ("Module", f"{module.family}, firmware {module.firmware}"),
    )
    for line in (*columns(rows, "<<"), "", "With this, the other commands need no scan:", f"--pan {_pan(pan)}"):
        options.console.print(line)


async def _scan_lan(options: argparse.Namespace) -> None:
    """Print the meters in the home network, each as soon as it has answered."""
    options.console.step("looking for meters in the home network", 2.0)
    if not await find_nodes(options.interface, on_found=lambda found: _print_found(options, found)):
        raise NodeNotFoundError("no meter answers in the home network")


def _print_found(options: argparse.Namespace, found: FoundNode) -> None:
    node, url = found.node, url_of(found.node.identity)
    if options.json:
        row = {"meter": node.identity, "manufacturer": found.profile.manufacturer, "address": node.address, "port": url}
        options.console.print_json(row)
        return
    rows = (("Meter", node.identity), ("Maker", found.profile.manufacturer or "not told"), ("Address", node.address))
    for line in (*columns(rows, "<<"), "", "With this, the other commands read it:", f"--port {url}", ""):
        options.console.print(line)


def _pan(pan: Pan) -> str:
    return f"{pan.channel:02X}:{pan.pan_id:04X}:{pan.mac}"


async def _connect(options: argparse.Namespace) -> SmartMeter:
    if is_node(options.port):
        show = show_progress(options.console)
        return await connect_node(options.port, interfaces=options.interface, on_progress=show)
    return await connect(options.port, options.credentials, pan=options.pan, on_progress=show_progress(options.console))


COMMANDS: Mapping[str, Callable[[argparse.Namespace], Awaitable[None]]] = {
    "scan": scan,
    "read": read,
    "watch": watch,
    "properties": properties,
    "history": show_history,
    "set": set_property,
    "record": record,
    "doctor": doctor,
}
