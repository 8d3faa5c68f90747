"""What requests and their answers go over, whatever is below it."""

from collections.abc import Callable
from typing import Protocol

from .errors import SessionLostError


class Path(Protocol):
    """The way of ECHONET Lite frames between us and one meter; used once."""

    @property
    def is_lost(self) -> bool:
        """Return whether it is over, so that another one is needed."""

    @property
    def restricted(self) -> bool:
        """Return whether requests wait because nothing may be sent at present."""

    @property
    def dropped(self) -> int:
        """Return how many datagrams were not the meter's, or could have been somebody else's."""

    def attach(
        self, *, on_datagram: Callable[[bytes, float | None], None], on_lost: Callable[[SessionLostError], None]
    ) -> None:
        """Send what arrives from now on to these two; with a datagram comes its signal strength in dBm, if known."""

    async def send(self, data: bytes) -> None:
        """Send a frame to the meter.

        Raises:
            SessionLostError: the way is over.

        """

    async def close(self) -> None:
        """Release what it uses, and return when others can have it."""
