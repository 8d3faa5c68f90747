"""A command as data: its bytes, and what its answer looks like.

A reply script is a generator that is sent every message that arrives, also those meant for others, and returns the
answer. It yields how long it is content to wait for the next message in seconds, or `None` to leave that to the
command; when that time is over it is sent `None`. It raises `ModuleError` if the module refused the command,
`OnceMoreError` if the module only asks for the same again, and `TimeoutError` if it will not answer any more.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any

from .errors import ModuleError

type Script[M, T] = Generator[float | None, M | None, T]


class OnceMoreError(ModuleError):
    """The module did not understand the command, or is busy: the same command may succeed in a moment."""


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
    alive: "Command[M, Any] | None" = None
    """Asked each time those seconds are over: a module that answers it is waited for."""
    limit: float = 0.0
    """Seconds after which even such a module is waited for no longer; the script is sent `None`, and ends."""
