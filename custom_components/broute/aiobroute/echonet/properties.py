"""The properties of class 0288 and of its super class: one row each (APPX 3.3.25)."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
import struct
from typing import Any, Protocol

from ..errors import FrameError

JST = timezone(timedelta(hours=9), "JST")
"""Meters show Japanese time; there is no other in Japan, and no summer time."""

MAX_COUNT = 99_999_999
"""Highest legal cumulative energy; whatever is above it means that there is no value."""

UNITS: Mapping[int, Decimal] = {
    0x00: Decimal(1),
    0x01: Decimal("0.1"),
    0x02: Decimal("0.01"),
    0x03: Decimal("0.001"),
    0x04: Decimal("0.0001"),
    0x0A: Decimal(10),
    0x0B: Decimal(100),
    0x0C: Decimal(1000),
    0x0D: Decimal(10000),
}
"""kWh for each count, by the code of property E1."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Both cumulative energies at one time, in counts."""

    energy_in: int | None
    energy_out: int | None


@dataclass(frozen=True, slots=True)
class FixedTimeCount:
    """A cumulative energy at a full half-hour (EA, EB)."""

    time: datetime
    count: int | None


@dataclass(frozen=True, slots=True)
class MinuteCounts:
    """Both cumulative energies at a full minute (D0)."""

    time: datetime
    counts: Counts


@dataclass(frozen=True, slots=True)
class DayHistory:
    """The counters at each half-hour of a day, from its midnight on (E2, E4)."""

    day: int
    """0 is the meter's today, 1 its yesterday."""
    counts: tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class HistorySelector:
    """The newest time wanted, and how many steps back from it (ED, EF)."""

    time: datetime | None
    """`None`: not set yet."""
    length: int


@dataclass(frozen=True, slots=True)
class HistorySpan:
    """Counters going back in equal steps from a time, newest first (EC, EE)."""

    time: datetime | None
    """Time of the first entry; `None`: the selector was not set."""
    counts: tuple[Counts, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Property[T]:
    """One property: how its bytes become a value and, if it can be set, the other way round."""

    code: int
    name: str
    sizes: range
    """Legal lengths of the data in bytes."""
    parse: Callable[[bytes], T | None]
    build: Callable[[T], bytes] | None = None
    unit: str | None = None
    """W, A, kWh or `None`; an energy is a count here and becomes kWh by the meter's profile."""
    private: bool = False
    """Whether it identifies a household, so that no log shows it."""

    def decode(self, data: bytes) -> T | None:
        """Return the value, `None` if the meter has none at present.

        Raises:
            FrameError: the data has a wrong length or an impossible content.

        """
        if len(data) not in self.sizes:
            raise FrameError(f"{self.name} ({self.code:02X}) with {len(data)} bytes")
        try:
            return self.parse(data)
        except (ValueError, OverflowError) as err:
            raise FrameError(f"{self.name} ({self.code:02X}) cannot be read: {err}") from err

    def encode(self, value: T) -> bytes:
        """Return the bytes that set the value.

        Raises:
            ValueError: the property cannot be set, or not to this value.

        """
        if self.build is None:
            raise ValueError(f"{self.name} ({self.code:02X}) cannot be set")
        return self.build(value)


class AnyProperty(Protocol):
    """A property whose value's type does not matter."""

    @property
    def code(self) -> int:
        """Return the property code."""

    @property
    def name(self) -> str:
        """Return the name."""

    @property
    def unit(self) -> str | None:
        """Return the unit."""

    @property
    def private(self) -> bool:
        """Return whether it identifies a household."""

    def decode(self, data: bytes) -> object:
        """Return the value, or `None`."""


class Values:
    """What one answer or notification holds."""

    def __init__(self, data: Mapping[int, bytes], values: Mapping[int, Any] | None = None) -> None:
        """Take properties that were not refused, and their values if they were decoded before.

        Raises:
            FrameError: a property that we know has a wrong length or an impossible content.

        """
        self.data = data
        """Data by property code, of unknown properties, too."""
        self.decoded = _decoded(data) if values is None else values
        """Values by property code; `None` where the meter has none at present."""

    def only(self, codes: Collection[int]) -> "Values":
        """Return what it holds of some properties."""
        data = {code: edt for code, edt in self.data.items() if code in codes}
        if len(data) == len(self.data):
            return self
        return Values(data, {code: self.decoded.get(code) for code in data})

    def with_those(self, other: "Values") -> "Values":
        """Return what both hold; where both hold a property, the other's."""
        return Values({**self.data, **other.data}, {**self.decoded, **other.decoded}) if self.data else other

    def is_none(self, code: int) -> bool:
        """Return whether a property is absent, or the meter has no value of it at present."""
        return self.decoded.get(code) is None

    def read[T](self, row: Property[T]) -> T | None:
        """Return a value; `None` if it is absent or the meter has none at present."""
        value: T | None = self.decoded.get(row.code)
        return value


def _decoded(data: Mapping[int, bytes]) -> dict[int, Any]:
    return {code: row.decode(edt) for code, edt in data.items() if (row := PROPERTIES.get(code)) is not None}


def _exactly(size: int) -> range:
    return range(size, size + 1)


def _unsigned(data: bytes) -> int:
    return int.from_bytes(data)


def _between(lowest: int, highest: int) -> Callable[[bytes], int | None]:
    signed = lowest < 0

    def parse(data: bytes) -> int | None:
        value = int.from_bytes(data, signed=signed)
        return value if lowest <= value <= highest else None

    return parse


def _flag(on: int, off: int) -> Callable[[bytes], bool]:
    def parse(data: bytes) -> bool:
        if data[0] not in (on, off):
            raise ValueError(f"{data[0]:02X}")
        return data[0] == on

    return parse


_count = _between(0, MAX_COUNT)


_TWO_CURRENTS = struct.Struct(">hh")
_TENTH = Decimal("0.1")


def _currents(data: bytes) -> tuple[Decimal | None, Decimal | None]:
    """Read the phases R and T; a one-phase meter has no T."""
    r, t = _TWO_CURRENTS.unpack(data)
    return _current(r), _current(t)


def _current(raw: int) -> Decimal | None:
    return raw * _TENTH if -0x7FFF <= raw <= 0x7FFD else None


def _unit(data: bytes) -> Decimal:
    if data[0] not in UNITS:
        raise ValueError(f"unit {data[0]:02X}")
    return UNITS[data[0]]


def _datetime(data: bytes) -> datetime:
    """Read year, month, day, hour, minute and, if there is one, the second."""
    year, month, day, hour, minute, second = struct.unpack(">H5B", data.ljust(7, b"\0"))
    return datetime(year, month, day, hour, minute, second, tzinfo=JST)


def _fixed_time(data: bytes) -> FixedTimeCount:
    return FixedTimeCount(_datetime(data[:7]), _count(data[7:]))


def _counts(data: bytes) -> Counts:
    return Counts(_count(data[:4]), _count(data[4:]))


def _minute(data: bytes) -> MinuteCounts:
    return MinuteCounts(_datetime(data[:7]), _counts(data[7:]))


def _day_history(data: bytes) -> DayHistory:
    return DayHistory(_day(data[:2]), tuple(_count(data[i : i + 4]) for i in range(2, 194, 4)))


def _day(data: bytes) -> int:
    day = _unsigned(data)
    if day > 99:
        raise ValueError(f"day {day}")
    return day


def _selected_day(data: bytes) -> int | None:
    """Read the day of history 1; a meter on which it was never set says FF."""
    return None if data == b"\xff" else _day(data)


def _build_day(day: int) -> bytes:
    if not 0 <= day <= 99:
        raise ValueError(f"day {day} is not between 0 and 99")
    return bytes((day,))


def _selector(length: int) -> Callable[[bytes], HistorySelector]:
    def parse(data: bytes) -> HistorySelector:
        if not 1 <= data[6] <= length:
            raise ValueError(f"{data[6]} steps")
        return HistorySelector(_selected_time(data), data[6])

    return parse


def _selected_time(data: bytes) -> datetime | None:
    return None if data[:2] == b"\xff\xff" else _datetime(data[:6])


def _build_selector(minutes: int, length: int) -> Callable[[HistorySelector], bytes]:
    def build(selector: HistorySelector) -> bytes:
        at = selector.time
        if at is None or at.tzinfo is None:
            raise ValueError("a history needs a time with its zone")
        at = at.astimezone(JST)
        if at.minute % minutes or not 1 <= selector.length <= length:
            raise ValueError(f"{selector.length} steps from {at:%H:%M} is not a history")
        return struct.pack(">H5B", at.year, at.month, at.day, at.hour, at.minute, selector.length)

    return build


def _span(data: bytes) -> HistorySpan:
    if len(data) != 7 + 8 * data[6]:
        raise ValueError(f"{data[6]} entries in {len(data)} bytes")
    return HistorySpan(_selected_time(data[:6]), tuple(_counts(data[i : i + 8]) for i in range(7, len(data), 8)))


def _time(data: bytes) -> time:
    return time(*data)


def _date(data: bytes) -> date:
    return date(*struct.unpack(">HBB", data))


def _text(data: bytes) -> str:
    return data.decode("ascii").rstrip("\x00 ")


def _hex(data: bytes) -> str:
    return data.hex().upper()


def _version(data: bytes) -> str:
    """Read the release letter of the appendix and its revision, such as `R.1`."""
    return f"{data[2:3].decode('ascii')}.{data[3]}"


def _map(data: bytes) -> frozenset[int]:
    """Read a property map: a list below 16 properties, a bit field from there on (EL2 appendix 1)."""
    if data[0] < 16:
        codes = frozenset(data[1:])
    else:
        codes = frozenset(
            (8 + bit) * 16 + low for low, bits in enumerate(data[1:]) for bit in range(8) if bits >> bit & 1
        )
    if len(codes) != data[0] or len(data) != 1 + min(data[0], 16):
        raise ValueError(f"{len(codes)} of {data[0]} properties")
    return codes


def _build_location(code: int) -> bytes:
    if not 0 <= code <= 255:
        raise ValueError(f"installation location {code} is not one byte")
    return bytes((code,))


OPERATION_STATUS = Property(code=0x80, name="operation status", sizes=_exactly(1), parse=_flag(0x30, 0x31))
INSTALLATION_LOCATION = Property(
    code=0x81,
    name="installation location",
    sizes=range(1, 18, 16),
    parse=_unsigned,
    build=_build_location,
)
STANDARD_VERSION = Property(code=0x82, name="standard version", sizes=_exactly(4), parse=_version)
IDENTIFICATION_NUMBER = Property(code=0x83, name="identification number", sizes=_exactly(17), parse=_hex, private=True)
MANUFACTURER_FAULT_CODE = Property(code=0x86, name="manufacturer's fault code", sizes=range(1, 226), parse=_hex)
FAULT_STATUS = Property(code=0x88, name="fault status", sizes=_exactly(1), parse=_flag(0x41, 0x42))
FAULT_CONTENT = Property(code=0x89, name="fault content", sizes=_exactly(2), parse=_unsigned)
MANUFACTURER_CODE = Property(code=0x8A, name="manufacturer code", sizes=_exactly(3), parse=_hex)
SERIAL_NUMBER = Property(code=0x8D, name="serial number", sizes=_exactly(12), parse=_text, private=True)
CURRENT_TIME = Property(code=0x97, name="current time", sizes=_exactly(2), parse=_time)
CURRENT_DATE = Property(code=0x98, name="current date", sizes=_exactly(4), parse=_date)
NOTIFICATION_MAP = Property(code=0x9D, name="notification property map", sizes=range(1, 18), parse=_map)
SET_MAP = Property(code=0x9E, name="set property map", sizes=range(1, 18), parse=_map)
GET_MAP = Property(code=0x9F, name="get property map", sizes=range(1, 18), parse=_map)
ROUTE_B_ID = Property(code=0xC0, name="Route B identification number", sizes=_exactly(16), parse=_hex, private=True)
MINUTE_ENERGY = Property(code=0xD0, name="1-minute cumulative energy", sizes=_exactly(15), parse=_minute, unit="kWh")
COEFFICIENT = Property(code=0xD3, name="coefficient", sizes=_exactly(4), parse=_between(0, 999_999))
EFFECTIVE_DIGITS = Property(
    code=0xD7, name="effective digits of cumulative energy", sizes=_exactly(1), parse=_between(1, 8)
)
ENERGY_IN = Property(code=0xE0, name="cumulative energy, normal", sizes=_exactly(4), parse=_count, unit="kWh")
ENERGY_UNIT = Property(code=0xE1, name="unit of cumulative energy", sizes=_exactly(1), parse=_unit)
HISTORY_IN = Property(code=0xE2, name="history 1, normal", sizes=_exactly(194), parse=_day_history, unit="kWh")
ENERGY_OUT = Property(code=0xE3, name="cumulative energy, reverse", sizes=_exactly(4), parse=_count, unit="kWh")
HISTORY_OUT = Property(code=0xE4, name="history 1, reverse", sizes=_exactly(194), parse=_day_history, unit="kWh")
HISTORY_DAY = Property(code=0xE5, name="day of history 1", sizes=_exactly(1), parse=_selected_day, build=_build_day)
POWER = Property(
    code=0xE7,
    name="instantaneous power",
    sizes=_exactly(4),
    parse=_between(-0x7FFF_FFFF, 0x7FFF_FFFD),
    unit="W",
)
CURRENTS = Property(code=0xE8, name="instantaneous currents", sizes=_exactly(4), parse=_currents, unit="A")
FIXED_TIME_IN = Property(
    code=0xEA, name="energy at fixed time, normal", sizes=_exactly(11), parse=_fixed_time, unit="kWh"
)
FIXED_TIME_OUT = Property(
    code=0xEB, name="energy at fixed time, reverse", sizes=_exactly(11), parse=_fixed_time, unit="kWh"
)
HALF_HOURS = Property(code=0xEC, name="history 2", sizes=range(15, 104, 8), parse=_span, unit="kWh")
HALF_HOURS_SELECTOR = Property(
    code=0xED,
    name="time of history 2",
    sizes=_exactly(7),
    parse=_selector(12),
    build=_build_selector(30, 12),
)
MINUTES = Property(code=0xEE, name="history 3", sizes=range(15, 88, 8), parse=_span, unit="kWh")
MINUTES_SELECTOR = Property(
    code=0xEF,
    name="time of history 3",
    sizes=_exactly(7),
    parse=_selector(10),
    build=_build_selector(1, 10),
)

PROPERTIES: Mapping[int, AnyProperty] = {
    row.code: row for row in tuple(globals().values()) if isinstance(row, Property)
}
"""Every row of this file by its code."""


def map_of(values: Values) -> frozenset[int]:
    """Return the codes of what can be read; none if the meter does not tell, or names neither power nor energy."""
    gettable = values.read(GET_MAP) or frozenset()
    return frozenset() if gettable.isdisjoint((POWER.code, ENERGY_IN.code)) else gettable


VOIDABLE = frozenset({GET_MAP.code, COEFFICIENT.code, EFFECTIVE_DIGITS.code})
"""Constants for which an answer may have no value that could be used."""

NOTHING = Values({})


def is_void(code: int, values: Values) -> bool:
    """Return whether an answer for a constant has no value that could be used: as good as a refusal."""
    if code == GET_MAP.code:
        return not map_of(values)
    return code in VOIDABLE and values.is_none(code)
