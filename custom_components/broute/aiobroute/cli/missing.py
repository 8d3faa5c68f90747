"""What was asked for, and not told."""

from collections.abc import Collection, Iterable
from datetime import date, timedelta

from .. import BRouteError
from .words import title

DAY = timedelta(days=1)


class MissingError(BRouteError):
    """Something of what was asked for was not told."""


def check(refused: Collection[int]) -> None:
    """Do nothing if everything was told.

    Raises:
        MissingError: the meter refused something.

    """
    if refused:
        raise MissingError(f"the meter refuses at present: {names(refused)}")


def names(codes: Collection[int]) -> str:
    """Return codes with what they are called."""
    return ", ".join(f"{code:02X} ({title(code)})" for code in sorted(codes))


def days(missing: Iterable[tuple[date, str, str]]) -> str:
    """Return which days are missing, what of them and why; days in a row that have the same reason are one."""
    spans: list[tuple[date, date, str, str]] = []
    for day, part, reason in sorted(missing, key=lambda each: (each[1:], each[0])):
        if spans and spans[-1][1:] == (day - DAY, part, reason):
            spans[-1] = (spans[-1][0], day, part, reason)
        else:
            spans.append((day, day, part, reason))
    return "; ".join(
        (f"{first}" if first == last else f"{first} to {last}") + (f", {part}" if part else "") + f": {reason}"
        for first, last, part, reason in sorted(spans)
    )
