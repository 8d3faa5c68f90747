"""Readings and notifications: as a small table, as lines, or as JSON."""

import argparse
from collections.abc import Collection
from datetime import datetime
from decimal import Decimal

from .. import (
    CURRENTS,
    ENERGY_IN,
    ENERGY_OUT,
    JST,
    POWER,
    PROPERTIES,
    AnyProperty,
    Notification,
    Reading,
    SmartMeter,
)
from .columns import columns
from .words import plain, say, title

WEAK = -88.0
"""Signal strength in dBm below which Home Assistant's repair says that the connection is weak."""

HEAD = ("Time", "Power", "Current R", "Current T", "From the grid", "To the grid", "Signal")

WIDTHS = (19, 10, 9, 9, 14, 14, 10)
"""Characters of the columns of `watch`, whose lines come one by one."""


def print_reading(options: argparse.Namespace, meter: SmartMeter, reading: Reading) -> None:
    """Print one reading."""
    now = datetime.now(JST)
    if options.json:
        options.console.print_json(_row(meter, reading, now))
        return
    options.console.print(f"{now:%Y-%m-%d %H:%M:%S}")
    notes = {
        "Power": ", feeding into the grid" if (reading.power or 0) < 0 else "",
        "Signal": ", weak: move the dongle closer" if (reading.rssi or 0) < WEAK else "",
    }
    told = {label: cell for label, cell in zip(HEAD[1:], _cells(reading), strict=True) if cell}
    numbers = columns([(label, cell.partition(" ")[0]) for label, cell in told.items()], "<>")
    for number, (label, cell) in zip(numbers, told.items(), strict=True):
        options.console.print(f"{number} {cell.partition(' ')[2]}{notes.get(label, '')}".rstrip())


def print_head(options: argparse.Namespace) -> None:
    """Print what is above the lines of `print_line`."""
    if not options.json:
        options.console.print(_line(HEAD))


def print_line(options: argparse.Namespace, meter: SmartMeter, reading: Reading) -> None:
    """Print one reading of many."""
    now = datetime.now(JST)
    if options.json:
        options.console.print_json(_row(meter, reading, now))
    else:
        options.console.print(_line((f"{now:%Y-%m-%d %H:%M:%S}", *(cell or "-" for cell in _cells(reading)))))


def print_notification(options: argparse.Namespace, meter: SmartMeter, notification: Notification) -> None:
    """Print what the meter told unasked."""
    now = datetime.now(JST)
    for code, raw in notification.values.data.items():
        row = PROPERTIES.get(code)
        if options.json:
            value = plain(row.decode(raw), row.unit, meter.profile) if row else None
            options.console.print_json({"announced": f"{code:02X}", "name": row.name if row else None, "value": value})
        else:
            said = f"{code:02X} ({title(code)}): {say(code, raw, meter.profile)}"
            options.console.print(f"{now:%Y-%m-%d %H:%M:%S}  announced: {said}")


def _line(cells: Collection[str]) -> str:
    first, *others = (f"{cell:>{width}}" for cell, width in zip(cells, WIDTHS, strict=True))
    return "  ".join((first.strip().ljust(WIDTHS[0]), *others)).rstrip()


def _cells(reading: Reading) -> tuple[str, ...]:
    """Return each measurement with its unit; nothing where the meter has none."""

    def cell(value: float | Decimal | None, unit: str, row: AnyProperty | None = None) -> str:
        if value is not None:
            return f"{value:,} {unit}"
        return "refused" if row is not None and row.code in reading.refused else ""

    return (
        cell(reading.power, "W", POWER),
        cell(reading.current_r, "A", CURRENTS),
        cell(reading.current_t, "A", CURRENTS),
        cell(reading.energy_in, "kWh", ENERGY_IN),
        cell(reading.energy_out, "kWh", ENERGY_OUT),
        cell(reading.rssi, "dBm"),
    )


def _row(meter: SmartMeter, reading: Reading, now: datetime) -> dict[str, object]:
    """Return a reading for a program."""
    return {
        "time": now.isoformat(timespec="seconds"),
        "power": reading.power,
        "current_r": reading.current_r,
        "current_t": reading.current_t,
        "counter_in": reading.energy_in,
        "counter_out": reading.energy_out,
        # The former names of the two counters, for scripts that know them.
        "energy_in": reading.energy_in,
        "energy_out": reading.energy_out,
        "rssi": reading.rssi,
        "coefficient": meter.profile.coefficient,
        "unit": meter.profile.unit,
    }
