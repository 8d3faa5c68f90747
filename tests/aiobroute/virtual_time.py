"""An event loop in which waiting takes no time: real radio delays, tests in milliseconds."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Mapping
from concurrent.futures import Executor
from contextlib import ExitStack, closing, contextmanager
from datetime import datetime, timedelta
import selectors
import socket
from typing import TYPE_CHECKING, Any, override

from custom_components.broute.aiobroute import JST

if TYPE_CHECKING:
    from time_machine import Traveller

START = datetime(2026, 11, 23, 14, 7, 30, tzinfo=JST)

MOMENT = 0.01
"""Seconds of real time after which what is under way is asked for again; most often it wakes the loop before."""


class _Selector(selectors.DefaultSelector):
    """Jumps ahead instead of waiting, unless a thread of the serial library is at work."""

    loop: VirtualTimeLoop

    @override
    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if self.loop.threads_at_work and timeout != 0:
            return super().select(1.0)
        assert timeout is not None, "nothing will ever happen"
        events = super().select(0)
        if not events and timeout and self.loop.settle is not None:
            if not self.loop.settle():
                return super().select(MOMENT)
            events = super().select(0)
        if not events:
            self.loop.now += timeout
            if self.loop.wall is not None:
                self.loop.wall.shift(timeout)
        return events


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """Its time goes on only while everything sleeps."""

    def __init__(self, settle: Callable[[], bool] | None = None) -> None:
        self.now = 0.0
        self.threads_at_work = 0
        self.wall: Traveller | None = None
        """The clock on the wall, if it shall go with this time."""
        self.settle = settle
        """Returns whether nothing is under way, in a thread beside or between two sockets: then time may go on."""
        selector = _Selector()
        selector.loop = self
        super().__init__(selector)
        # After half a year, a nanosecond more is the same float: what is due would never be done.
        self._clock_resolution = 1e-6

    @override
    def time(self) -> float:
        return self.now

    @override
    def run_in_executor[**P, T](
        self, executor: Executor | None, func: Callable[P, T], *args: P.args, **_: P.kwargs
    ) -> asyncio.Future[T]:
        future = super().run_in_executor(executor, func, *args)
        self.threads_at_work += 1
        future.add_done_callback(self._worked)
        return future

    @override
    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        self.threads_at_work += 1
        await super().shutdown_default_executor(timeout)

    def _worked(self, _: asyncio.Future[Any]) -> None:
        self.threads_at_work -= 1


def clock() -> datetime:
    """Return the virtual time of day; before and after the loop runs it stands still."""
    try:
        return START + timedelta(seconds=asyncio.get_running_loop().time())
    except RuntimeError:
        return START


class _Datagrams:
    """Tells whether all datagrams that were sent over this machine's own loop have arrived: it sends one more."""

    def __init__(self) -> None:
        self._sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._sock.settimeout(0)
        self._sock.bind(("127.0.0.1", 0))
        self._sock.connect(self._sock.getsockname())
        self._is_under_way = False

    def __call__(self) -> bool:
        if not self._is_under_way:
            self._sock.send(b".")
        try:
            self._sock.recv(1)
        except BlockingIOError:
            self._is_under_way = True
        else:
            self._is_under_way = False
        return not self._is_under_way

    def close(self) -> None:
        """Close the socket."""
        self._sock.close()


@contextmanager
def _runner(*, over_network: bool, debug: bool | None = None) -> Iterator[asyncio.Runner]:
    with ExitStack() as stack:
        datagrams = stack.enter_context(closing(_Datagrams())) if over_network else None
        yield stack.enter_context(asyncio.Runner(loop_factory=lambda: VirtualTimeLoop(datagrams), debug=debug))


def runner[T](
    happenings: Mapping[float, Callable[[], object]], *, over_network: bool = False
) -> Callable[[Coroutine[Any, Any, T]], T]:
    """Return what takes the place of `asyncio.run`: in virtual time, with what happens at which second of it."""

    def run_virtually(coroutine: Coroutine[Any, Any, T]) -> T:
        with _runner(over_network=over_network) as within:
            for when, happening in happenings.items():
                within.get_loop().call_at(when, happening)
            return within.run(coroutine)

    return run_virtually


def run[T](coroutine: Coroutine[Any, Any, T], *, over_network: bool = False) -> T:
    """Run a coroutine to its end in virtual time; no task may be left, and no error that nobody caught.

    Time goes on only when datagrams have arrived, where some are sent.
    """
    unhandled: list[dict[str, Any]] = []

    async def main() -> T:
        result = await coroutine
        left = asyncio.all_tasks() - {asyncio.current_task()}
        assert not left, left
        return result

    with _runner(over_network=over_network, debug=True) as runner:
        runner.get_loop().set_exception_handler(lambda _, context: unhandled.append(context))
        result = runner.run(main())
    assert not unhandled, unhandled
    return result
