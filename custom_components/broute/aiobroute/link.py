"""A port on which one command at a time is carried out, whatever language it is in."""

import asyncio
from collections.abc import Callable, Iterable
import logging
from typing import Any

from .command import Command, Script
from .errors import ModuleError, ModuleTimeoutError, PortError
from .listeners import nobody
from .port import Port

SILENCE = 1.0
"""Seconds after which what was begun is not continued; a module gives up on a frame of ours after as many."""


class Link[M]:
    """Commands out, messages of the kind M in."""

    def __init__(
        self,
        port: Port,
        decode: Callable[[bytes], Iterable[M]],
        logger: logging.Logger,
        *,
        give_up: Callable[[], Iterable[M]] | None = None,
    ) -> None:
        """Listen to the port from now on; `give_up` says what there is if nothing follows what was begun."""
        self._port = port
        self._decode = decode
        self._give_up = give_up
        self._silence: asyncio.TimerHandle | None = None
        self._logger = logger
        self._turn = asyncio.Lock()
        self._exchange: _Exchange[M, Any] | None = None
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
        """Carry out one command, but leave the port open if there is no answer.

        Raises:
            TimeoutError: the answer was not complete in time.
            ModuleError: the module refused it.
            PortError: the port is, or was, closed.

        """
        async with self._turn:
            self._logger.debug("> %s", command.name)
            answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
            self._port.write(command.data)
            self._exchange = exchange = _Exchange(command.replies(), answer)
            try:
                async with asyncio.timeout(command.timeout):
                    return await answer
            except asyncio.CancelledError:
                # A half-read answer must not be left for the next command.
                self.abandon()
                raise
            finally:
                exchange.end()
                self._exchange = None

    def write(self, data: bytes) -> None:
        """Send bytes that belong to no command."""
        self._port.write(data)

    def abandon(self) -> None:
        """Close the port and tell whoever listens."""
        on_lost = self.on_lost
        self.close()
        on_lost()

    def close(self) -> None:
        """Close the port."""
        self.on_message, self.on_lost = nobody, _nothing
        self._end_silence()
        self._port.close()
        if self._exchange is not None:
            self._exchange.fail(PortError(f"{self._port.url} was closed"))

    async def wait_closed(self) -> None:
        """Return when the port can be opened again."""
        await self._port.wait_closed()

    def _receive(self, data: bytes) -> None:
        self._end_silence()
        if self._give_up is not None:
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
            if self._exchange is not None:
                self._exchange.receive(message)
            self.on_message(message)

    def _lost(self, error: PortError) -> None:
        if self._exchange is not None:
            self._exchange.fail(error)
        self.abandon()


class _Exchange[M, T]:
    """A command that is being carried out."""

    def __init__(self, replies: Script[M, T], answer: asyncio.Future[T]) -> None:
        self._replies = replies
        self._answer = answer
        self._silence: asyncio.TimerHandle | None = None
        next(replies)

    def receive(self, message: M | None) -> None:
        """Let the reply script have a message, or the end of its patience."""
        self._end_silence()
        if self._answer.done():
            return
        try:
            patience = self._replies.send(message)
        except StopIteration as end:
            self._answer.set_result(end.value)
            return
        except ModuleError as err:
            self.fail(err)
            return
        if patience is not None:
            self._silence = asyncio.get_running_loop().call_later(patience, self.receive, None)

    def fail(self, error: ModuleError | PortError) -> None:
        """End with an error."""
        if not self._answer.done():
            self._answer.set_exception(error)

    def end(self) -> None:
        """Leave nothing behind."""
        self._end_silence()
        self._replies.close()

    def _end_silence(self) -> None:
        if self._silence is not None:
            self._silence.cancel()
            self._silence = None


def _nothing() -> None:
    """Do nothing."""
