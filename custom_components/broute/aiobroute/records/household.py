"""ECHONET Lite as it may be shown: what is measured is scaled, and what names a household or is unknown is left out."""

from collections.abc import Callable, Mapping
import struct

from ..echonet.frame import NODE_PROFILE, SMART_METER, Frame
from ..echonet.properties import (
    COEFFICIENT,
    CURRENT_DATE,
    CURRENT_TIME,
    CURRENTS,
    EFFECTIVE_DIGITS,
    ENERGY_IN,
    ENERGY_OUT,
    ENERGY_UNIT,
    FAULT_CONTENT,
    FAULT_STATUS,
    FIXED_TIME_IN,
    FIXED_TIME_OUT,
    GET_MAP,
    HALF_HOURS,
    HALF_HOURS_SELECTOR,
    HISTORY_DAY,
    HISTORY_IN,
    HISTORY_OUT,
    IDENTIFICATION_NUMBER,
    INSTALLATION_LOCATION,
    MANUFACTURER_CODE,
    MANUFACTURER_FAULT_CODE,
    MINUTE_ENERGY,
    MINUTES,
    MINUTES_SELECTOR,
    NOTIFICATION_MAP,
    OPERATION_STATUS,
    POWER,
    PROPERTIES,
    ROUTE_B_ID,
    SERIAL_NUMBER,
    SET_MAP,
    STANDARD_VERSION,
)
from ..errors import FrameError
from .invention import Inventions
from .numbers import numbers_in

CLASS_BITS = 8
"""The lowest byte of an object code is its instance."""

KEPT = frozenset(
    row.code
    for row in (
        *(OPERATION_STATUS, STANDARD_VERSION, FAULT_STATUS, FAULT_CONTENT, MANUFACTURER_CODE, CURRENT_TIME),
        *(CURRENT_DATE, NOTIFICATION_MAP, SET_MAP, GET_MAP, COEFFICIENT, EFFECTIVE_DIGITS, ENERGY_UNIT, HISTORY_DAY),
        *(HALF_HOURS_SELECTOR, MINUTES_SELECTOR),
    )
)
"""What is the same in thousands of homes."""

OF_THE_NODE: Mapping[int, range] = {0xD3: range(3, 4), 0xD4: range(2, 3), 0xD5: range(1, 20), 0xD6: range(1, 20)}
"""What of the node profile is kept: numbers and lists of objects (EL2 6.11), by their lengths."""

NAMING = frozenset(row.code for row in (INSTALLATION_LOCATION, MANUFACTURER_FAULT_CODE, SERIAL_NUMBER, ROUTE_B_ID))
"""What of any object names a household or may, besides its identification number."""

_CURRENTS = struct.Struct(">hh")
LEGAL_CURRENT = range(-0x7FFF, 0x7FFE)
LEGAL_POWER = range(-0x7FFF_FFFF, 0x7FFF_FFFE)
"""Legal values; any other means that there is none (APPX E7, E8)."""

IN, OUT = "in", "out"


def shown(payload: bytes, inventions: Inventions) -> bytes:
    """Return a payload of the same length that may be shown; what is no frame of the meter becomes zeros."""
    try:
        frame = Frame.decode(payload)
    except FrameError:
        return inventions.nothing(payload)
    classes = (frame.source >> CLASS_BITS, frame.destination >> CLASS_BITS)
    show = next((OBJECTS[each] for each in classes if each in OBJECTS), None)
    if show is None:
        return inventions.nothing(payload)
    properties = tuple((code, show(code, data, inventions) if data else data) for code, data in frame.properties)
    head = payload[: len(payload) - sum(2 + len(data) for _, data in frame.properties)]
    return head + b"".join(bytes((code, len(data))) + data for code, data in properties)


def _of_meter(code: int, data: bytes, inventions: Inventions) -> bytes:
    if (row := PROPERTIES.get(code)) is None:
        return _unknown(code, data, inventions)
    try:
        row.decode(data)
    except FrameError:
        return inventions.nothing(data)
    if code in KEPT or (code == INSTALLATION_LOCATION.code and len(data) == 1):
        return data
    return SHOWN.get(code, _zeros)(code, data, inventions)


def _of_node(code: int, data: bytes, inventions: Inventions) -> bytes:
    if code in OF_THE_NODE:
        return data if len(data) in OF_THE_NODE[code] else inventions.nothing(data)
    if code == IDENTIFICATION_NUMBER.code:
        return SHOWN[code](code, data, inventions)
    return _zeros(code, data, inventions) if code in NAMING else _unknown(code, data, inventions)


def _unknown(code: int, data: bytes, inventions: Inventions) -> bytes:
    """Return zeros, or the data if a person has asked for them."""
    if any(data) and inventions.keeps(f"property {code:02X}: {data.hex().upper()}", numbers_in(data)):
        return data
    return bytes(len(data))


def _zeros(_: int, data: bytes, inventions: Inventions) -> bytes:
    return inventions.nothing(data)


def _identification(_: int, data: bytes, inventions: Inventions) -> bytes:
    """Keep the form and the maker (EL2 6.11)."""
    if len(data) != 17 or data[0] != 0xFE:
        return inventions.nothing(data)
    inventions.replaced.add(data[4:].hex().upper())
    return data[:4] + bytes(len(data) - 4)


def _route_b_number(_: int, data: bytes, inventions: Inventions) -> bytes:
    return bytes.fromhex(inventions.route_b_id(data.hex().upper()))


def _counters(*directions: str, skip: int = 0) -> Callable[[int, bytes, Inventions], bytes]:
    """Scale numbers of four bytes behind some bytes that are kept; in turns of both directions, if there are two."""

    def show(_: int, data: bytes, inventions: Inventions) -> bytes:
        scaled = [
            inventions.counter(directions[place % len(directions)], int.from_bytes(data[at : at + 4])).to_bytes(4)
            for place, at in enumerate(range(skip, len(data), 4))
        ]
        return data[:skip] + b"".join(scaled)

    return show


def _power(_: int, data: bytes, inventions: Inventions) -> bytes:
    value = int.from_bytes(data, signed=True)
    return inventions.measured(value).to_bytes(4, signed=True) if value in LEGAL_POWER else data


def _currents(_: int, data: bytes, inventions: Inventions) -> bytes:
    values = (inventions.measured(each) if each in LEGAL_CURRENT else each for each in _CURRENTS.unpack(data))
    return _CURRENTS.pack(*values)


OBJECTS: Mapping[int, Callable[[int, bytes, Inventions], bytes]] = {
    SMART_METER >> CLASS_BITS: _of_meter,
    NODE_PROFILE >> CLASS_BITS: _of_node,
}

SHOWN: Mapping[int, Callable[[int, bytes, Inventions], bytes]] = {
    IDENTIFICATION_NUMBER.code: _identification,
    SERIAL_NUMBER.code: lambda _, data, inventions: inventions.serial_number(data),
    ROUTE_B_ID.code: _route_b_number,
    MINUTE_ENERGY.code: _counters(IN, OUT, skip=7),
    ENERGY_IN.code: _counters(IN),
    ENERGY_OUT.code: _counters(OUT),
    HISTORY_IN.code: _counters(IN, skip=2),
    HISTORY_OUT.code: _counters(OUT, skip=2),
    POWER.code: _power,
    CURRENTS.code: _currents,
    FIXED_TIME_IN.code: _counters(IN, skip=7),
    FIXED_TIME_OUT.code: _counters(OUT, skip=7),
    HALF_HOURS.code: _counters(IN, OUT, skip=7),
    MINUTES.code: _counters(IN, OUT, skip=7),
}
"""How each other property of the meter is shown; what is neither here nor kept becomes zeros."""
