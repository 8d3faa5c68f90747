"""The half-hours that the ledger knows, by their start; what a look takes thousands of."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from itertools import chain
from typing import Final, override

from .ledger import HALF_HOUR, HALF_HOUR_SECONDS, MICRO

HOUR: Final = 3600
DAY: Final = 86_400

PART: Final = 50 * DAY
"""Seconds."""


class KnownEnergies(Mapping[datetime, Decimal | None]):
    """The ledger's half-hours."""

    def __init__(self, known: Mapping[int, int]) -> None:
        """`known` has millionths of a kWh by seconds since 1970."""
        self._known = known

    @override
    def __getitem__(self, start: datetime) -> Decimal | None:
        return Decimal(self._known[int(start.timestamp())]) / MICRO

    @override
    def get[T](self, start: datetime, default: T | None = None, /) -> Decimal | T | None:
        # A look goes through thousands of them.
        found = self._known.get(int(start.timestamp()))
        return default if found is None else Decimal(found) / MICRO

    @override
    def __contains__(self, start: object) -> bool:
        return isinstance(start, datetime) and int(start.timestamp()) in self._known

    @override
    def __iter__(self) -> Iterator[datetime]:
        return (datetime.fromtimestamp(at, UTC) for at in self._known)

    @override
    def __len__(self) -> int:
        return len(self._known)


class Slots(Mapping[int, int]):
    """Values by seconds since 1970, in parts: a single dictionary of ten years takes too long to grow."""

    def __init__(self) -> None:
        self._parts: dict[int, dict[int, int]] = {}

    def take(self, begin: int, end: int, found: Mapping[int, int]) -> bool:
        """Keep what was found for each half-hour within a time, or nothing; return whether one has changed."""
        is_new = False
        for start in range(begin, end, HALF_HOUR_SECONDS):
            part = self._parts.setdefault(start // PART, {})
            is_new = is_new or part.get(start) != found.get(start)
            if start in found:
                part[start] = found[start]
            else:
                part.pop(start, None)
        return is_new

    @override
    def __getitem__(self, start: int) -> int:
        return self._parts[start // PART][start]

    @override
    def __contains__(self, start: object) -> bool:
        return isinstance(start, int) and start in self._parts.get(start // PART, ())

    @override
    def __iter__(self) -> Iterator[int]:
        return chain.from_iterable(self._parts.values())

    @override
    def __len__(self) -> int:
        return sum(map(len, self._parts.values()))


def span_of(known: Mapping[int, int]) -> tuple[datetime, datetime] | None:
    """Return the beginning of the first half-hour, and the end of the last one."""
    if not known:
        return None
    return datetime.fromtimestamp(min(known), UTC), datetime.fromtimestamp(max(known), UTC) + HALF_HOUR


def parts_of_month(begin: int, days: int) -> list[tuple[int, int]]:
    """Return from when to when a month is taken, about a millisecond at a time.

    The last hour of the month before ends with its first counter.
    """
    starts = [begin + number * DAY for number in range(days)]
    return [(begin - HOUR, begin), *((start, start + DAY) for start in starts)]
