"""A low-voltage smart electric energy meter, class 0288 (APPX 3.3.25), and its node profile."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Literal

from .echonet import METER, PROFILE, Ability, Excess, Node, Telegram, property_map
from .household import EPOCH, JOULES_PER_KWH, JST, household

NO_ENERGY = bytes.fromhex("FFFFFFFE")
NO_CURRENT = bytes.fromhex("7FFE")

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

HALF_HOUR = timedelta(minutes=30)
MINUTE = timedelta(minutes=1)

type Clock = Callable[[], datetime]


class Reverse(Enum):
    """What a meter says of the energy that is fed in."""

    REFUSED = "it has no such property"
    NO_DATA = "the no-data code"
    COUNTED = "a counter"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """A time in which the meter was off, so that it has no history of it."""

    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Properties that a meter has, but does not tell or set for a while, as when it starts or is busy."""

    codes: tuple[int, ...]
    answers: int | None = None
    """So often for each of them."""
    time: timedelta | None = None
    """From when one of them is asked for first; without either, for ever."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterSettings:
    """What kind of meter it is, and what is wrong with it."""

    seed: int = 1
    unit: int = 0x01
    """Code of E1."""
    coefficient: int | None = None
    """D3, which most meters do not have."""
    digits: int = 6
    solar: bool = False
    """Whether the house feeds in."""
    reverse: Reverse | None = None
    """By default counted with solar cells; without, refused by older and without data on newer meters."""
    one_phase: bool = False
    release: Literal["F", "R"] = "F"
    history_days: int = 99
    gaps: tuple[Gap, ...] = ()
    misremembered: Mapping[datetime, str] = field(default_factory=dict)
    """What the history has of both directions at some times, in hexadecimal, whether they are over or not."""
    installed: datetime | None = None
    """The counters begin here at zero; nothing is known of the time before."""
    clock_offset: timedelta = timedelta()
    """How far the meter's clock is ahead of the true time."""
    roll_over: timedelta = timedelta()
    """How long after midnight E2 and E4 still mean the day before by today."""
    rival_day: int | None = None
    """Another controller sets E5 to this day right after us."""
    rival_turns: int = 1
    """How often it does."""
    most_per_get: int | None = None
    most_bytes: int | None = None
    """Bytes of one answer's properties."""
    excess: Excess = Excess.REFUSED
    """What becomes of a Get for more than that."""
    answers_many: bool = True
    stops_at_refusal: bool = False
    """Whether everything behind a refused property is refused, too."""
    ignored: tuple[int, ...] = ()
    """A Get with one of these stays without an answer."""
    refusals: tuple[Refusal, ...] = ()
    location: int = 0x00
    maker: str = "000016"
    serial: str = "S18012345678"
    values: Mapping[int, str] = field(default_factory=dict)
    """Values that some properties always have, in hexadecimal; an empty one means refused."""

    @property
    def reverse_kind(self) -> Reverse:
        """What the meter says of the energy that is fed in."""
        without = Reverse.REFUSED if self.release == "F" else Reverse.NO_DATA
        return self.reverse or (Reverse.COUNTED if self.solar else without)


class Counters:
    """Both counters at any time, and what the meter remembers of them."""

    def __init__(self, settings: MeterSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self.clock_offset = settings.clock_offset
        """How far the meter's clock is ahead of the true time now; what it remembers is dated by it."""
        self._household = household(settings.seed, solar=settings.solar)
        self._joules = int(JOULES_PER_KWH * UNITS[settings.unit] * (settings.coefficient or 1))
        start = self._household.energy(settings.installed or EPOCH)
        self._start_in, self._start_out = -start.taken, -start.fed

    def set(self, energy_in: Decimal | None = None, energy_out: Decimal | None = None) -> None:
        """Move a counter so that it has this value, in kWh, now."""
        now = self._household.energy(self._clock())
        if energy_in is not None:
            self._start_in = int(energy_in * JOULES_PER_KWH) - now.taken
        if energy_out is not None:
            self._start_out = int(energy_out * JOULES_PER_KWH) - now.fed

    def power(self, at: datetime) -> int:
        """Return the net power in W."""
        return self._household.power(at)

    def share(self, at: datetime) -> int:
        """Return the R phase's part of the load in per cent."""
        return self._household.share(at)

    def raw(self, at: datetime) -> tuple[int, int]:
        """Return the registers of both directions as they stand at a true time."""
        energy = self._household.energy(at)
        limit = 10**self._settings.digits
        taken = (energy.taken + self._start_in) // self._joules % limit
        fed = (energy.fed + self._start_out) // self._joules % limit
        return taken, fed

    def time(self) -> datetime:
        """Return the time that the meter's own clock shows."""
        return (self._clock() + self.clock_offset).astimezone(JST)

    def today(self) -> datetime:
        """Return the midnight that day 0 of the history begins with."""
        return (self.time() - self._settings.roll_over).replace(hour=0, minute=0, second=0, microsecond=0)

    def remembered(self, shown: datetime) -> tuple[bytes, bytes]:
        """Return the registers of both directions when the meter's clock showed a time."""
        if shown in self._settings.misremembered:
            wrong = bytes.fromhex(self._settings.misremembered[shown])
            return wrong, wrong
        if not self._is_known(shown):
            return NO_ENERGY, NO_ENERGY
        return self.encoded(shown - self.clock_offset)

    def encoded(self, at: datetime) -> tuple[bytes, bytes]:
        """Return the registers of both directions at a true time as they are sent."""
        taken, fed = self.raw(at)
        counts_reverse = self._settings.reverse_kind is Reverse.COUNTED
        return taken.to_bytes(4), fed.to_bytes(4) if counts_reverse else NO_ENERGY

    def _is_known(self, shown: datetime) -> bool:
        oldest = self.today() - timedelta(days=self._settings.history_days - 1)
        installed = self._settings.installed or EPOCH
        off = any(gap.start <= shown < gap.end for gap in self._settings.gaps)
        return max(oldest, installed) <= shown <= self.time() and not off


def _date(at: datetime) -> bytes:
    return at.year.to_bytes(2) + bytes([at.month, at.day])


def _minute(at: datetime) -> bytes:
    return _date(at) + bytes([at.hour, at.minute])


def _second(at: datetime) -> bytes:
    return _minute(at) + bytes([at.second])


@dataclass(slots=True)
class Selector:
    """The time and number of entries that a history by EC or EE is asked for (APPX 3.3.25 ED, EF)."""

    step: timedelta
    most: int
    newest: datetime | None = None
    count: int = 0

    def read(self) -> bytes:
        """Return the property ED or EF."""
        if self.newest is None:
            return bytes.fromhex("FFFFFFFFFFFF") + bytes([self.most])
        return _minute(self.newest) + bytes([self.count])

    def write(self, edt: bytes) -> bool:
        """Set it; return whether it was legal."""
        if len(edt) != 7 or not 1 <= edt[6] <= self.most:
            return False
        try:
            newest = datetime(int.from_bytes(edt[:2]), edt[2], edt[3], edt[4], edt[5], tzinfo=JST)
        except ValueError:
            return False
        if newest.minute * MINUTE % self.step:
            return False
        self.newest, self.count = newest, edt[6]
        return True

    def entries(self, counters: Counters) -> bytes:
        """Return the property EC or EE: newest first."""
        newest = self.newest or floor(counters.time(), self.step)
        count = self.count or self.most
        entries = [b"".join(counters.remembered(newest - place * self.step)) for place in range(count)]
        return _minute(newest) + bytes([count]) + b"".join(entries)


def floor(at: datetime, step: timedelta) -> datetime:
    """Return the last time of day that is a multiple of the step."""
    midnight = at.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight + (at - midnight) // step * step


@dataclass(slots=True)
class _Refusing:
    """A refusal that goes on."""

    clock: Clock
    refusal: Refusal
    counts: dict[int, int] = field(default_factory=dict)
    end: datetime | None = None

    def refuses(self, epc: int) -> bool:
        """Return whether a property is refused once more."""
        if epc not in self.refusal.codes:
            return False
        if self.refusal.answers is not None:
            self.counts[epc] = self.counts.get(epc, 0) + 1
            return self.counts[epc] <= self.refusal.answers
        if self.refusal.time is None:
            return True
        self.end = self.end or self.clock() + self.refusal.time
        return self.clock() < self.end


class MeterObject:
    """The object 028801: a register for each property code."""

    def __init__(self, settings: MeterSettings, counters: Counters, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self.counters = counters
        self.on_change: Callable[[int], None] = lambda _: None
        """Called with the code of a property that is announced when it changes."""
        self.once: dict[int, bytes] = {}
        """Values that are given out a single time."""
        self.values = {epc: bytes.fromhex(text) for epc, text in settings.values.items()}
        """Values that replace what is measured; empty means refused."""
        self.refusals = [_Refusing(clock, refusal) for refusal in settings.refusals]
        self.day = 0xFF
        self._rival_turns = settings.rival_turns if settings.rival_day is not None else 0
        self._half_hours = Selector(HALF_HOUR, 12)
        self._minutes = Selector(MINUTE, 10)
        self._location = bytes([settings.location])
        self._faulty = False
        self.registers = self._registers()

    def refuse(self, *codes: int, answers: int | None = None, time: timedelta | None = None) -> None:
        """Refuse properties from now on: so often, for so long, or until `refusals` is cleared."""
        self.refusals.append(_Refusing(self._clock, Refusal(codes=codes, answers=answers, time=time)))

    def _is_refused(self, epc: int) -> bool:
        # Each of them has its own count.
        return bool(sum(refusing.refuses(epc) for refusing in self.refusals))

    def read(self, epc: int) -> bytes | None:
        """Return a value."""
        if self._is_refused(epc):
            return None
        if epc in self.once:
            return self.once.pop(epc)
        if epc in self.values:
            return self.values[epc]
        register = self.registers.get(epc)
        return None if register is None else register()

    def write(self, epc: int, edt: bytes) -> bool:
        """Set a value."""
        if self._is_refused(epc) or self.values.get(epc) == b"":
            return False
        match epc:
            case 0x81 if len(edt) == 1 or (len(edt) == 17 and edt[0] == 1):
                self._location = edt
                self.on_change(epc)
                return True
            case 0xE5 if len(edt) == 1 and edt[0] <= 99:
                self.day = edt[0] if self._rival_turns == 0 else self._rival()
                return True
            case 0xED:
                return self._half_hours.write(edt)
            case 0xEF if self._settings.release == "R":
                return self._minutes.write(edt)
        return False

    def set_faulty(self, *, faulty: bool) -> None:
        """Set the fault status, which is announced."""
        self._faulty = faulty
        self.on_change(0x88)

    def _rival(self) -> int:
        self._rival_turns -= 1
        return self._settings.rival_day or 0

    def _registers(self) -> dict[int, Callable[[], bytes]]:
        """Return what this kind of meter has."""
        registers = self._identity() | self._measurements() | self._history()
        if self._settings.coefficient is not None:
            registers[0xD3] = lambda: (self._settings.coefficient or 0).to_bytes(4)
        if self._settings.reverse_kind is Reverse.REFUSED:
            for epc in (0xE3, 0xE4, 0xEB):
                del registers[epc]
        if self._settings.release == "R":
            registers |= self._second_generation()
        for epc in [epc for epc, edt in self.values.items() if not edt and epc in registers]:
            del registers[epc]
        announced = {0x80, 0x81, 0x88, 0xEA, 0xEB} & registers.keys()
        settable = {0x81, 0xE5, 0xED, 0xEF} & registers.keys()
        gettable = {*registers, 0x9D, 0x9E, 0x9F}
        maps = {0x9D: announced, 0x9E: settable, 0x9F: gettable}
        return registers | {epc: lambda codes=codes: property_map(codes) for epc, codes in maps.items()}

    def _identity(self) -> dict[int, Callable[[], bytes]]:
        maker = bytes.fromhex(self._settings.maker)
        serial = self._settings.serial.encode().ljust(12, b"\0")
        release = bytes.fromhex("00004600" if self._settings.release == "F" else "00005201")
        return {
            0x80: lambda: b"\x30",
            0x81: lambda: self._location,
            0x82: lambda: release,
            0x83: lambda: b"\xfe" + maker + b"\0" + serial,
            0x86: lambda: b"\0" + maker,
            0x88: lambda: b"\x41" if self._faulty else b"\x42",
            0x89: lambda: b"\0\x01" if self._faulty else b"\0\0",
            0x8A: lambda: maker,
            0x8D: lambda: serial,
            0x97: lambda: bytes([self.counters.time().hour, self.counters.time().minute]),
            0x98: lambda: _date(self.counters.time()),
        }

    def _measurements(self) -> dict[int, Callable[[], bytes]]:
        return {
            0xD7: lambda: bytes([self._settings.digits]),
            0xE0: lambda: self._now()[0],
            0xE1: lambda: bytes([self._settings.unit]),
            0xE3: lambda: self._now()[1],
            0xE7: lambda: self.counters.power(self._true_time()).to_bytes(4, signed=True),
            0xE8: self._currents,
            0xEA: lambda: self._fixed_time(0),
            0xEB: lambda: self._fixed_time(1),
        }

    def _history(self) -> dict[int, Callable[[], bytes]]:
        return {
            0xE2: lambda: self._day_history(0),
            0xE4: lambda: self._day_history(1),
            0xE5: lambda: bytes([self.day]),
            0xEC: lambda: self._half_hours.entries(self.counters),
            0xED: self._half_hours.read,
        }

    def _second_generation(self) -> dict[int, Callable[[], bytes]]:
        maker = bytes.fromhex(self._settings.maker)
        return {
            0xC0: lambda: b"\0" + maker + self._settings.serial.encode().ljust(12, b"\0"),
            0xD0: self._last_minute,
            0xEE: lambda: self._minutes.entries(self.counters),
            0xEF: self._minutes.read,
        }

    def _true_time(self) -> datetime:
        return self.counters.time() - self.counters.clock_offset

    def _now(self) -> tuple[bytes, bytes]:
        return self.counters.encoded(self._true_time())

    def _currents(self) -> bytes:
        """Return what the power makes at 100 V, in 0.1 A."""
        total = self.counters.power(self._true_time()) // 10
        if self._settings.one_phase:
            return total.to_bytes(2, signed=True) + NO_CURRENT
        phase_r = total * self.counters.share(self._true_time()) // 100
        return phase_r.to_bytes(2, signed=True) + (total - phase_r).to_bytes(2, signed=True)

    def _fixed_time(self, direction: int) -> bytes:
        newest = floor(self.counters.time(), HALF_HOUR)
        return _second(newest) + self.counters.remembered(newest)[direction]

    def _last_minute(self) -> bytes:
        newest = floor(self.counters.time(), MINUTE)
        return _second(newest) + b"".join(self.counters.remembered(newest))

    def _day_history(self, direction: int) -> bytes:
        """Return a day's 48 counters; before any day was chosen, today's."""
        day = self.day if self.day <= 99 else 0
        midnight = self.counters.today() - timedelta(days=day)
        slots = [self.counters.remembered(midnight + slot * HALF_HOUR)[direction] for slot in range(48)]
        return day.to_bytes(2) + b"".join(slots)


class ProfileObject:
    """The node profile 0EF001 (EL2 6.11)."""

    def __init__(self, settings: MeterSettings) -> None:
        maker = bytes.fromhex(settings.maker)
        self._values = {
            0x80: b"\x30",
            0x82: bytes.fromhex("010D0100"),
            0x83: b"\xfe" + maker + b"\0" + settings.serial.encode().ljust(12, b"\0"),
            0x8A: maker,
            0xD3: bytes.fromhex("000001"),
            0xD4: bytes.fromhex("0002"),
            0xD5: b"\x01" + METER,
            0xD6: b"\x01" + METER,
            0xD7: bytes.fromhex("010288"),
        }
        self._values[0x9D] = property_map({0x80, 0xD5})
        self._values[0x9E] = property_map(set())
        self._values[0x9F] = property_map({*self._values, 0x9F} - {0xD5})

    def read(self, epc: int) -> bytes | None:
        """Return a value."""
        return self._values.get(epc)

    def write(self, epc: int, edt: bytes) -> bool:  # noqa: ARG002  # nothing in it can be set
        """Refuse."""
        return False


class Meter:
    """The meter of a house: its truth, and its side of the conversation."""

    def __init__(self, settings: MeterSettings, clock: Clock) -> None:
        self.settings = settings
        self.counters = Counters(settings, clock)
        self.device = MeterObject(settings, self.counters, clock)
        ability = Ability(
            properties=settings.most_per_get,
            size=settings.most_bytes,
            excess=settings.excess,
            answers_many=settings.answers_many,
            stops_at_refusal=settings.stops_at_refusal,
            ignored=frozenset(settings.ignored),
        )
        self._node = Node({METER: self.device, PROFILE: ProfileObject(settings)}, ability)

    def energy_in(self, at: datetime) -> Decimal:
        """Return what the register showed at a true time, in kWh taken from the grid."""
        return self.counters.raw(at)[0] * self._kwh_per_count

    def energy_out(self, at: datetime) -> Decimal:
        """Return what the register showed at a true time, in kWh fed into the grid."""
        return self.counters.raw(at)[1] * self._kwh_per_count

    def power(self, at: datetime) -> int:
        """Return the net power in W; negative is fed in."""
        return self.counters.power(at)

    @property
    def _kwh_per_count(self) -> Decimal:
        return UNITS[self.settings.unit] * (self.settings.coefficient or 1)

    def limit(self, properties: int | None, excess: Excess = Excess.REFUSED) -> None:
        """Answer at most so many properties in one Get from now on."""
        ability = replace(self._node.ability, properties=properties, excess=excess)
        self._node = replace(self._node, ability=ability)

    def ignore(self, *codes: int) -> None:
        """Leave a Get with one of these without an answer from now on."""
        self._node = replace(self._node, ability=replace(self._node.ability, ignored=frozenset(codes)))

    def answer(self, payload: bytes) -> Telegram | None:
        """Return the answer to a request, if there is to be one."""
        return self._node.answer(payload)
