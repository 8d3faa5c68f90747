"""Values of properties as a person reads them, and as a program does."""

from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

from .. import (
    CURRENTS,
    EFFECTIVE_DIGITS,
    ENERGY_UNIT,
    FAULT_CONTENT,
    FAULT_STATUS,
    HISTORY_DAY,
    INSTALLATION_LOCATION,
    MANUFACTURER_CODE,
    OPERATION_STATUS,
    POWER,
    PROPERTIES,
    Counts,
    DayHistory,
    FixedTimeCount,
    HistorySelector,
    HistorySpan,
    MeterProfile,
    MinuteCounts,
)

PLACES = (
    *("", "living room", "dining room", "kitchen", "bathroom", "toilet", "washroom", "corridor"),
    *("room", "stairway", "entrance", "storeroom", "garden", "garage", "balcony", "other"),
)
"""Bits 6 to 3 of the installation location (APPX 2.2, property 81)."""

BYTE = 0xFF

NAMED: Mapping[int, str] = {0x00: "not set", 0xFF: "not known"}
"""What of the same property is no place."""


def title(code: int) -> str:
    """Return what a property is called; the specification calls the two directions normal and reverse."""
    row = PROPERTIES.get(code)
    if row is None:
        return "unknown property"
    return row.name.replace("normal", "from the grid").replace("reverse", "to the grid")


def currents(phases: tuple[Decimal | None, Decimal | None]) -> str:
    """Return the currents of the phases that there are."""
    told = {name: value for name, value in zip("RT", phases, strict=True) if value is not None}
    return ", ".join(f"{name} {value:,} A" for name, value in told.items()) or "no value"


def day(number: int) -> str:
    """Return what the meter calls a day, 0 being today."""
    return {0: "today", 1: "yesterday"}.get(number, f"{number} days ago")


def place(code: int) -> str:
    """Return where the meter says it is installed; places of a kind are numbered from 0."""
    if code > BYTE:
        return "geographic position"
    if code in NAMED or code >> 3 not in range(1, len(PLACES)):
        return NAMED.get(code, f"code {code:02X}")
    name, number = PLACES[code >> 3], code & 7
    return f"{name} {number}" if number else name


FORMS: Mapping[int, Callable[[Any], str]] = {
    OPERATION_STATUS.code: lambda is_on: "on" if is_on else "off",
    INSTALLATION_LOCATION.code: place,
    FAULT_STATUS.code: lambda is_faulty: "fault" if is_faulty else "no fault",
    FAULT_CONTENT.code: lambda fault: f"code {fault:04X}" if fault else "none",
    EFFECTIVE_DIGITS.code: "{} digits".format,
    ENERGY_UNIT.code: "{} kWh".format,
    HISTORY_DAY.code: day,
    POWER.code: "{:,} W".format,
    CURRENTS.code: currents,
}
"""How values are said that have a form of their own."""


def say(code: int, raw: bytes, profile: MeterProfile) -> str:
    """Return in words what a property holds."""
    row = PROPERTIES.get(code)
    if row is None:
        return raw.hex().upper()
    value = row.decode(raw)
    if value is None:
        return "no value"
    if code in FORMS:
        return FORMS[code](value)
    if code == MANUFACTURER_CODE.code:
        return profile.manufacturer or str(value)
    match value:
        case int() if row.unit == "kWh":
            return energy(value, profile)
        case date() | time():
            return clock(value)
        case frozenset():
            return f"{len(value)} properties"
    return _counts(value, profile) or str(value)


def _counts(value: object, profile: MeterProfile) -> str | None:
    """Return in words what counters showed at some time."""

    def both(counts: Counts) -> str:
        return f"{energy(counts.energy_in, profile)} from the grid, {energy(counts.energy_out, profile)} to the grid"

    match value:
        case FixedTimeCount(at, count):
            return f"{energy(count, profile)} at {clock(at)}"
        case MinuteCounts(at, counts):
            return f"{both(counts)} at {clock(at)}"
        case DayHistory(number, known):
            return f"{day(number)}: {sum(count is not None for count in known)} of {len(known)} half-hours"
        case HistorySelector(None) | HistorySpan(None):
            return "no time chosen"
        case HistorySelector(datetime() as at, length):
            return f"{length} steps up to {clock(at)}"
        case HistorySpan(datetime() as at, steps):
            return f"{both(steps[0])} at {clock(at)}, and {len(steps) - 1} steps before"
    return None


def energy(count: int | None, profile: MeterProfile) -> str:
    """Return what a counter shows, in kWh if its unit is known."""
    if count is None:
        return "no value"
    kwh = profile.energy(count)
    return f"{count:,} counts of an unknown unit" if kwh is None else f"{kwh:,} kWh"


def clock(at: date | time) -> str:
    """Return a time of the meter as its clock shows it."""
    match at:
        case datetime():
            return f"{at:%Y-%m-%d %H:%M}"
        case time():
            return f"{at:%H:%M}"
    return at.isoformat()


def plain(value: object, unit: str | None, profile: MeterProfile) -> object:
    """Return a property's value in kWh where it is a counter's, and in nothing that JSON does not have."""

    def counters(counts: Counts) -> dict[str, object]:
        return {
            "counter_in": profile.energy(counts.energy_in),
            "counter_out": profile.energy(counts.energy_out),
        }

    match value:
        case int() if unit == "kWh":
            return profile.energy(value)
        case FixedTimeCount(at, count):
            return {"time": at.isoformat(), "counter": profile.energy(count)}
        case MinuteCounts(at, counts):
            return {"time": at.isoformat(), **counters(counts)}
        case DayHistory(number, known):
            return {"day": number, "counters": [profile.energy(count) for count in known]}
        case HistorySelector(at, length):
            return {"time": at and at.isoformat(), "length": length}
        case HistorySpan(at, steps):
            return {"time": at and at.isoformat(), "counters": [counters(counts) for counts in steps]}
        case frozenset():
            return [f"{code:02X}" for code in sorted(value)]
        case date() | time():
            return value.isoformat()
        case _:
            return value
