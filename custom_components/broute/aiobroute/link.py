"""A port on which one command at a time is carried out, whatever language it is in."""

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
import logging
from typing import Any

from .command import Command, OnceMoreError, Script
from .errors import ModuleError, ModuleTimeoutError, PortError
from .listeners import nobody
from .port import Port

SILENCE = 1.0
"""Seconds after which what was begun is not continued; a module gives up on a frame of ours after as many."""


PAUSES = (0.1, 0.3, 0.6)
"""Seconds before a command is repeated that the module did not understand, or had no time for."""


class Link[M]:
    """Commands out, messages of the kind M in."""

    def __init__(
        self,
        port: Port,
        decode: Callable[[bytes], Iterable[M]],
        logger: logging.Logger,
        *,
        give_up: Callable[[], Iterable[M]] | None = None,
        line_end: bytes = b"",
    ) -> None:
        """Listen to the port from now on.

        `give_up` says what there is if nothing follows what was begun; `line_end` ends what is left of a command that
        the module did not understand.
        """
        self._port = port
        self._decode = decode
        self._give_up = give_up
        self._line_end = line_end
        self._silence: asyncio.TimerHandle | None = None
        self._logger = logger
        self._turn = asyncio.Lock()
        self._exchanges: list[_Exchange[M, Any]] = []
        """What is being carried out: one command, and a second one that asks whether the module is still there."""
        self.on_message: Callable[[M], None] = nobody
        self.on_lost: Callable[[], None] = _nothing
        port.attach(on_data=self._receive, on_lost=self._lost)

    async def run[T](self, command: Command[M, T]) -> T:
        """Carry out one command.

        Raises:
            ModuleError: the module refused it.
            ModuleTimeoutError: the answer was not complete in time; the port is closed.
            PortError: the port is, or was, closed.

        """
        try:
            return await self.attempt(command)
        except TimeoutError:
            self.abandon()
            raise ModuleTimeoutError(f"{command.name} was not answered") from None

    async def attempt[T](self, command: Command[M, T]) -> T:
        """Carry out one command, but leave the port open if there is no answer; repeat what was not understood.

        Raises:
            TimeoutError: the answer was not complete in time.
            ModuleError: the module refused it.
            PortError: the port is, or was, closed.

        """
        async with self._turn:
            try:
                for pause in PAUSES:
                    try:
                        return await self._carry_out(command)
                    except OnceMoreError as err:
                        self._logger.debug("%s; once more in %g s", err, pause)
                    await self._clear(pause)
                try:
                    return await self._carry_out(command)
                except OnceMoreError:
                    await self._clear(PAUSES[0])
                    raise
            except asyncio.CancelledError:
                # A half-read answer must not be left for the next command.
                self.abandon()
                raise

    async def _clear(self, pause: float) -> None:
        """Clear the rest of a command that was not understood, and the replies to it."""
        self._port.write(self._line_end)
        await asyncio.sleep(pause)

    async def _carry_out[T](self, command: Command[M, T]) -> T:
        self._logger.debug("> %s", command.name)
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._port.write(command.data)
        exchange = _Exchange(command.replies(), answer)
        self._exchanges.append(exchange)
        try:
            if command.alive is not None:
                await self._outlast(command, command.alive, exchange)
            exchange.end_after(command.timeout)
            return await answer
        finally:
            exchange.end()
            self._exchanges.remove(exchange)

    async def _outlast[T](self, command: Command[M, T], alive: Command[M, Any], exchange: "_Exchange[M, T]") -> None:
        """Wait for an answer as long as the module says that it is still there."""
        loop = asyncio.get_running_loop()
        limit = loop.time() + command.limit
        while not await exchange.is_over_within(command.timeout):
            if loop.time() >= limit:
                exchange.fall_silent()
                return
            with suppress(ModuleError):  # Who refuses is there.
                await self._carry_out(alive)

    def write(self, data: bytes) -> None:
        """Send bytes that belong to no command."""
        self._port.write(data)

    def abandon(self) -> None:
        """Close the port and call `on_lost`."""
        on_lost = self.on_lost
        self.close()
        on_lost()

    def close(self) -> None:
        """Close the port."""
        self.on_message, self.on_lost = nobody, _nothing
        self._end_silence()
        self._port.close()
        self._fail(PortError("was closed", self._port.url))

    async def wait_closed(self) -> None:
        """Return when the port can be opened again."""
        await self._port.wait_closed()

    def _receive(self, data: bytes) -> None:
        if self._give_up is not None:
            self._end_silence()
            self._silence = asyncio.get_running_loop().call_later(SILENCE, self._fall_silent, self._give_up)
        self._pass_on(self._decode(data))

    def _fall_silent(self, give_up: Callable[[], Iterable[M]]) -> None:
        self._silence = None
        self._pass_on(give_up())

    def _end_silence(self) -> None:
        if self._silence is not None:
            self._silence.cancel()
            self._silence = None

    def _pass_on(self, messages: Iterable[M]) -> None:
        for message in messages:
            self._logger.debug("< %s", message)
            for exchange in (*self._exchanges,):
                exchange.receive(message)
            self.on_message(message)
        for exchange in self._exchanges:
            exchange.wait()

    def _lost(self, error: PortError) -> None:
        self._fail(error)
        self.abandon()

    def _fail(self, error: PortError) -> None:
        for exchange in self._exchanges:
            exchange.fail(error)


class _Exchange[M, T]:
    """A command that is being carried out."""

    def __init__(self, replies: Script[M, T], answer: asyncio.Future[T]) -> None:
        self._replies = replies
        self._answer = answer
        self._silence: asyncio.TimerHandle | None = None
        self._end: asyncio.TimerHandle | None = None
        self._patience = next(replies)
        """Seconds that the script waits for the next message, if it says so."""
        self.wait()

    def receive(self, message: M | None) -> None:
        """Pass a message, or a timeout, to the reply script."""
        self._end_silence()
        if self._answer.done():
            return
        try:
            self._patience = self._replies.send(message)
        except StopIteration as end:
            self._answer.set_result(end.value)
        except (ModuleError, TimeoutError) as err:
            self.fail(err)

    def wait(self) -> None:
        """Wait for the next message, when all that arrived was passed on."""
        if self._patience is not None and self._silence is None and not self._answer.done():
            self._silence = asyncio.get_running_loop().call_later(self._patience, self.fall_silent)

    def fall_silent(self) -> None:
        """Tell the script that nothing more came in time."""
        self.receive(None)
        self.wait()

    async def is_over_within(self, seconds: float) -> bool:
        """Return whether the answer is there by then; the answer itself stays to be awaited."""
        await asyncio.wait([self._answer], timeout=seconds)
        return self._answer.done()

    def end_after(self, seconds: float) -> None:
        """Wait for the answer no longer than that."""
        # A timer alone costs half of what a timeout does, which cancels the task and takes that back.
        self._end = asyncio.get_running_loop().call_later(seconds, self.fail, TimeoutError())

    def fail(self, error: ModuleError | PortError | TimeoutError) -> None:
        """End with an error."""
        if not self._answer.done():
            self._answer.set_exception(error)

    def end(self) -> None:
        """Leave nothing behind."""
        self._end_silence()
        if self._end is not None:
            self._end.cancel()
        self._replies.close()
        self._answer.cancel()

    def _end_silence(self) -> None:
        if self._silence is not None:
            self._silence.cancel()
            self._silence = None


def _nothing() -> None:
    """Do nothing."""
