"""What does not change as long as it is the same meter."""

from collections.abc import Mapping
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
)
from .errors import FrameError

_LOGGER = logging.getLogger(__name__)

MANUFACTURERS = {"00000B": "Panasonic", "000016": "Toshiba"}
"""Names of the manufacturer codes that we are sure of (APPX 8A)."""

CONSTANTS: tuple[AnyProperty, ...] = (
    ENERGY_UNIT,
    EFFECTIVE_DIGITS,
    MANUFACTURER_CODE,
    SERIAL_NUMBER,
    STANDARD_VERSION,
    NOTIFICATION_MAP,
    SET_MAP,
    GET_MAP,
)
"""Read once; the coefficient is asked on its own, as many meters refuse it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterProfile:
    """The meter's identity, abilities and scaling."""

    manufacturer: str | None
    """A name, or six hexadecimal digits where we have none."""
    serial_number: str | None = field(repr=False)
    version: str | None
    """Release of the class specification, such as `F.0`."""
    unit: Decimal | None
    """kWh for each count; `None`: the meter does not tell, and guessing would be wrong by powers of ten."""
    coefficient: int
    digits: int | None
    """The counter runs to 10 to this power and begins again."""
    gettable: frozenset[int]
    """Codes of what can be read; empty if the meter does not tell."""
    settable: frozenset[int]
    announced: frozenset[int]
    """Codes of what the meter tells unasked."""
    raw: Mapping[str, str] = field(repr=False, compare=False)
    """All of it as the meter sent it, in hexadecimal: what `from_raw` takes."""

    @classmethod
    def of(cls, values: Values) -> Self:
        """Take the values of `CONSTANTS`, and the coefficient if the meter has one."""
        code, coefficient = values.read(MANUFACTURER_CODE), values.read(COEFFICIENT)
        if coefficient == 0:
            _LOGGER.debug("a coefficient of 0 is taken for 1")
        return cls(
            manufacturer=None if code is None else MANUFACTURERS.get(code, code),
            serial_number=values.read(SERIAL_NUMBER),
            version=values.read(STANDARD_VERSION),
            unit=values.read(ENERGY_UNIT),
            # Zero is legal on paper, and would make every energy nothing.
            coefficient=coefficient or 1,
            digits=values.read(EFFECTIVE_DIGITS),
            gettable=values.read(GET_MAP) or frozenset(),
            settable=values.read(SET_MAP) or frozenset(),
            announced=values.read(NOTIFICATION_MAP) or frozenset(),
            raw={f"{code:02X}": data.hex().upper() for code, data in values.data.items()},
        )

    @classmethod
    def from_raw(cls, raw: Mapping[str, str]) -> Self:
        """Take what another connection to the same meter has read.

        Raises:
            FrameError: it is not what a meter sends.

        """
        try:
            data = {int(code, 16): bytes.fromhex(text) for code, text in raw.items()}
        except ValueError as err:
            raise FrameError(f"not a meter's profile: {err}") from err
        return cls.of(Values(data))

    def has(self, row: AnyProperty) -> bool:
        """Return whether it is worth asking for a property."""
        return not self.gettable or row.code in self.gettable

    def energy(self, count: int | None) -> Decimal | None:
        """Return the kWh that a count stands for (APPX 3.3.25)."""
        return None if count is None or self.unit is None else count * self.unit * self.coefficient
