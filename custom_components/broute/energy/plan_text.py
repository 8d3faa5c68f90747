"""What is typed into the forms of a plan: the kinds there are, numbers, dates and tables, in full or half width."""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Final
import unicodedata

ONE, STEPS, BANDS, MARKET = "one", "steps", "bands", "market"
ENERGIES: Final = (ONE, STEPS, BANDS, MARKET)
NONE, MONTH, AMPERE, KVA, DEMAND, MINIMUM = "none", "month", "ampere", "kva", "demand", "minimum"
BASICS: Final = (NONE, MONTH, AMPERE, KVA, DEMAND, MINIMUM)

MOST: Final = Decimal(1_000_000)
"""Yen or kWh; what is more is a slip of the finger."""


class InvalidTextError(ValueError):
    """What was typed is none of what was asked for."""


def _plain(text: str) -> str:
    """Return what was typed in full width as if it had been typed in half width."""
    return unicodedata.normalize("NFKC", text).replace("、", ",")


def numbers(text: str) -> list[str]:
    """Return the numbers of a line such as 120, 300.

    Raises:
        InvalidTextError: something in it is no number.

    """
    return [number(part) for part in _plain(text).split(",") if part.strip()]


def number(text: str) -> str:
    """Return a decimal number as it is kept; full-width digits and separators of thousands are understood.

    Raises:
        InvalidTextError: it is none, or larger than any price can be.

    """
    plain = _plain(text).replace(",", "").replace("円", "")
    for minus in ("\N{MINUS SIGN}", "▲", "△"):
        plain = plain.replace(minus, "-")
    try:
        found = Decimal(plain.strip())
    except InvalidOperation:
        raise InvalidTextError(text) from None
    if not found.is_finite() or abs(found) > MOST:
        raise InvalidTextError(text)
    return format(found, "f")


def table(text: str, length: int) -> dict[str, str]:
    """Return the lines of a table: a month (2026-04) or a year, and a number.

    Raises:
        InvalidTextError: a line is neither, or names the same twice.

    """
    found: dict[str, str] = {}
    for line in text.splitlines():
        if not line.strip():
            continue
        name, _, value = _plain(line).replace("=", ":").partition(":")
        key = name.strip().replace("/", "-")
        try:
            date.fromisoformat(f"{key}-01" if length == len("2026-04") else f"{key}-01-01")
        except ValueError:
            raise InvalidTextError(line) from None
        if key in found:
            raise InvalidTextError(line)
        found[key] = number(value)
    return dict(sorted(found.items()))


def lines(table: Mapping[str, str]) -> str:
    """Return a table as it is typed."""
    return "\n".join(f"{key}: {value}" for key, value in table.items())


def dates(text: str) -> list[str]:
    """Return the dates of a meter reading calendar, one a line or with commas between.

    Raises:
        InvalidTextError: something in it is no date.

    """
    found = []
    for part in _plain(text).replace("\n", ",").split(","):
        if part.strip():
            try:
                found.append(date.fromisoformat(part.strip().replace("/", "-")).isoformat())
            except ValueError:
                raise InvalidTextError(part) from None
    return sorted(set(found))
