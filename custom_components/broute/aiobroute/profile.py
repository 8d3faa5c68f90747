"""What does not change as long as it is the same meter."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
import logging
from typing import Self

from .echonet.properties import (
    COEFFICIENT,
    EFFECTIVE_DIGITS,
    ENERGY_UNIT,
    GET_MAP,
    MANUFACTURER_CODE,
    NOTIFICATION_MAP,
    SERIAL_NUMBER,
    SET_MAP,
    STANDARD_VERSION,
    AnyProperty,
    Values,
    map_of,
)
from .errors import FrameError

_LOGGER = logging.getLogger(__name__)

MANUFACTURERS = {"00000B": "Panasonic", "000016": "Toshiba"}
"""Names of the manufacturer codes that we are sure of (APPX 8A)."""

SCALING: tuple[AnyProperty, ...] = (ENERGY_UNIT, COEFFICIENT, EFFECTIVE_DIGITS)
"""What makes kilowatt-hours of counts."""

CONSTANTS: tuple[AnyProperty, ...] = (
    ENERGY_UNIT,
    EFFECTIVE_DIGITS,
    COEFFICIENT,
    MANUFACTURER_CODE,
    SERIAL_NUMBER,
    STANDARD_VERSION,
    GET_MAP,
)
"""Read in one Get when a meter is met for the first time."""

MAPS: tuple[AnyProperty, ...] = (SET_MAP, NOTIFICATION_MAP)
"""Read later, as a reading does not need them."""

PER_GET, DAYS_PER_GET = ABILITIES = ("get", "days")
"""Names in `MeterProfile.raw` of what is no property: how much the meter answers in one Get."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterProfile:
    """The meter's identity, abilities and scaling, as far as it has told them."""

    manufacturer: str | None
    """A name, or six hexadecimal digits where we have none."""
    serial_number: str | None = field(repr=False)
    version: str | None
    """Release of the class specification, such as `F.0`."""
    unit: Decimal | None
    """kWh for each count; `None`: the meter does not tell, and guessing would be wrong by powers of ten."""
    coefficient: int | None
    """1 where the meter has none; `None`: it may have one, and has not told it yet."""
    digits: int | None
    """The counter runs to 10 to this power and begins again."""
    gettable: frozenset[int]
    """Codes of what can be read; empty if the meter does not tell."""
    settable: frozenset[int]
    announced: frozenset[int]
    """Codes of what the meter tells unasked."""
    per_get: int | None = field(compare=False)
    """The largest number of properties that the meter has answered in one Get."""
    days_per_get: int | None = field(compare=False)
    """The same of a day's histories: 2 if it answers for both directions together."""
    unchecked: frozenset[int]
    """Codes of what was kept by a version that took a refusal for good, and that the meter has not told again since."""
    data: Mapping[int, bytes] = field(repr=False, compare=False)
    """All of it as the meter sent it; what is empty was refused for long enough."""

    @classmethod
    def of(
        cls,
        data: Mapping[int, bytes],
        *,
        per_get: int | None = None,
        days_per_get: int | None = None,
        unchecked: Collection[int] = (),
    ) -> Self:
        """Take what is known of `CONSTANTS` and `MAPS`.

        Raises:
            FrameError: it is not what a meter sends.

        """
        values = Values({code: edt for code, edt in data.items() if edt})
        code, gettable = values.read(MANUFACTURER_CODE), map_of(values)
        return cls(
            manufacturer=None if code is None else MANUFACTURERS.get(code, code),
            serial_number=values.read(SERIAL_NUMBER),
            version=values.read(STANDARD_VERSION),
            unit=values.read(ENERGY_UNIT),
            coefficient=_coefficient(values, gettable, is_refused=data.get(COEFFICIENT.code) == b""),
            digits=values.read(EFFECTIVE_DIGITS),
            gettable=gettable,
            settable=values.read(SET_MAP) or frozenset(),
            announced=values.read(NOTIFICATION_MAP) or frozenset(),
            per_get=per_get,
            days_per_get=days_per_get,
            unchecked=frozenset(code for code in unchecked if not gettable or code in gettable),
            data=data,
        )

    @classmethod
    def from_raw(cls, raw: Mapping[str, str]) -> Self:
        """Take what another connection to the same meter has read.

        Raises:
            FrameError: it is not what a meter sends.

        """
        numbers = [raw.get(PER_GET), raw.get(DAYS_PER_GET)]
        try:
            data = {int(code, 16): bytes.fromhex(text) for code, text in raw.items() if code not in ABILITIES}
            per_get, days_per_get = (int(number) if number else None for number in numbers)
        except ValueError as err:
            raise FrameError(f"not a meter's profile: {err}") from err
        checkable = {row.code for row in (*SCALING, GET_MAP)}
        unchecked = () if PER_GET in raw else checkable & data.keys()
        return cls.of(data, per_get=per_get, days_per_get=days_per_get, unchecked=unchecked)

    @property
    def raw(self) -> Mapping[str, str]:
        """Return all of it as text: what `from_raw` takes."""
        numbers = {PER_GET: self.per_get, DAYS_PER_GET: self.days_per_get}
        return {f"{code:02X}": edt.hex().upper() for code, edt in self.data.items()} | {
            name: "" if number is None else str(number) for name, number in numbers.items()
        }

    @property
    def is_complete(self) -> bool:
        """Return whether all is known that makes kilowatt-hours of counts: then it can be kept."""
        return None not in (self.unit, self.coefficient, self.digits) and not self.unchecked

    @property
    def unscaled_by(self) -> frozenset[int]:
        """Return the codes of what keeps counts from being energies, because it is not known."""
        scaling = {ENERGY_UNIT.code: self.unit, COEFFICIENT.code: self.coefficient}
        return frozenset(code for code, value in scaling.items() if value is None)

    def has(self, row: AnyProperty) -> bool:
        """Return whether it is worth asking for a property."""
        return not self.gettable or row.code in self.gettable

    def lacks(self, row: AnyProperty) -> bool:
        """Return whether the meter may have a constant, and has not told it yet."""
        return self.has(row) and (not self.data.get(row.code) or row.code in self.unchecked)

    def energy(self, count: int | None) -> Decimal | None:
        """Return the kWh that a count stands for, if it is known (APPX 3.3.25)."""
        if count is None or self.unit is None or self.coefficient is None:
            return None
        return count * self.unit * self.coefficient


def _coefficient(values: Values, gettable: frozenset[int], *, is_refused: bool) -> int | None:
    """Return what counts are multiplied by; most meters have no such property, which the map tells."""
    if (coefficient := values.read(COEFFICIENT)) is not None:
        if coefficient == 0:
            _LOGGER.debug("a coefficient of 0 is taken for 1")
        # Zero is legal on paper, and would make every energy nothing.
        return coefficient or 1
    is_without = COEFFICIENT.code not in gettable if gettable else is_refused
    return 1 if is_without else None
