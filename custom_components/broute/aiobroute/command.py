"""A command as data: its bytes, and what its answer looks like.

A reply script is a generator that is sent every message that arrives, whoever it is for, and returns the answer. It
yields how long it is content to wait for the next message in seconds, or `None` to leave that to the command; when
that time is over it is sent `None`. It raises `ModuleError` if the module refused the command.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass, field

type Script[M, T] = Generator[float | None, M | None, T]


@dataclass(frozen=True, slots=True)
class Command[M, T]:
    """What a module is told, by messages of the kind M answered with a T."""

    name: str
    """What a log may show of it."""
    data: bytes = field(repr=False)
    """May hold a credential."""
    replies: Callable[[], Script[M, T]]
    timeout: float
    """Seconds until the answer must be complete."""
