"""What takes long to work out, kept as long as what it was made of stays the same."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass


@dataclass(slots=True)
class Kept[T]:
    """What was worked out last."""

    _last: tuple[object, T] | None = None

    async def get(self, made_of: object, work_out: Callable[[], Awaitable[T]]) -> T:
        """Return what is made of something; it is worked out only if it was made of something else before."""
        if self._last is None or self._last[0] != made_of:
            self._last = made_of, await work_out()
        return self._last[1]
