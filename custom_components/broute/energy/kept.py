"""What takes long to work out, kept as long as what it is made of stays the same."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

DAY: Final = timedelta(days=1)


@dataclass(slots=True)
class Kept[T]:
    """What was worked out last."""

    _last: tuple[object, T] | None = None

    async def get(self, made_of: object, work_out: Callable[[], Awaitable[T]]) -> T:
        """Return what is made of something; it is worked out only if it was made of something else before."""
        if self._last is None or self._last[0] != made_of:
            self._last = made_of, await work_out()
        return self._last[1]


def changes_within(days: Mapping[date, int], months: Mapping[str, int], first: date, end: date) -> tuple[int, int]:
    """Return how often the days from the first to before the last one have changed, and their months (2026-11)."""
    names = f"{first:%Y-%m}", f"{end:%Y-%m}"
    return (
        sum(days.get(first + number * DAY, 0) for number in range((end - first).days)),
        sum(number for month, number in months.items() if names[0] <= month <= names[1]),
    )
