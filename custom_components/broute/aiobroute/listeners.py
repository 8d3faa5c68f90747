"""Who listens before anybody does, and who may listen to everything."""

from typing import Protocol


def nobody(_: object) -> None:
    """Take what nobody listens to."""


class Tap(Protocol):
    """Hears everything that goes over a port, credentials included: whoever keeps it has to leave those out."""

    def opened(self, baudrate: int) -> None:
        """Hear that the port is open from now on."""

    def sent(self, data: bytes) -> None:
        """Hear what was said to the module."""

    def received(self, data: bytes) -> None:
        """Hear what came from the module, in pieces of any size."""

    def closed(self) -> None:
        """Hear that the port was closed, or went away."""
