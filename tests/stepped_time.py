"""An event loop whose clock can be put forward: for what lives in threads, or behind a terminal, and waits for real."""

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, override

if TYPE_CHECKING:
    from time_machine import Traveller


class SteppedLoop(asyncio.SelectorEventLoop):
    """Its time goes on by itself, and with `step` all at once."""

    def __init__(self) -> None:
        super().__init__()
        self.ahead = 0.0
        self.wall: Traveller | None = None
        """The clock on the wall, which goes with this time."""

    @override
    def time(self) -> float:
        return super().time() + self.ahead

    def step(self, seconds: float) -> None:
        """Put all clocks forward."""
        assert self.wall is not None
        self.ahead += seconds
        self.wall.shift(timedelta(seconds=seconds))


def stepped() -> SteppedLoop:
    """Return the loop of a test that is run in one."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, SteppedLoop)
    return loop
