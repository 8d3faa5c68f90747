"""Finding out what is on a serial port; docs/dongles.md has the reason for each byte."""

import asyncio
from collections.abc import Awaitable, Sequence
from contextlib import AsyncExitStack
import logging
from typing import Protocol

from .address import shown
from .errors import ModuleMissingError, PortError
from .j11.frame import FAMILY as J11, GET_VERSION, Decoder as J11Decoder, Frame as J11Frame
from .listeners import Tap
from .module import WiSunModule
from .port import Port, open_port
from .skstack.commands import CRLF, skver
from .skstack.decoder import Decoder as SkDecoder
from .skstack.messages import Event, Fail, Line, ReceivedUdp
from .skstack.module import identify as identify_sk

_LOGGER = logging.getLogger(__name__)

BAUDRATE = 115200
"""What every module is shipped with."""

OTHER_BAUDRATES = (57600, 38400, 19200, 9600)
"""What may have been set for good instead (SK 3.32); at slower ones UPS take single letters for orders."""

WITHOUT_SPEED = ("socket://", "tcp://")
"""Serial URLs behind which nobody can set the speed."""

SK_QUESTION = CRLF + skver(0).data
J11_QUESTION = J11Frame(GET_VERSION).encode()

STUCK_SEND = b"\r" * 0x04D0
"""Ends an SKSENDTO, or a frame, whose data never came: until then a module takes every command for it."""


def loaded_later(family: str | None) -> tuple[str, ...]:
    """Return which of our files a connection to a module of a family loads, or to one that is not known yet.

    A program whose event loop must not wait for files imports them before, in a thread of its own.
    """
    return (f"{__package__}.j11.module",) if family in (None, J11) else ()


class Identify(Protocol):
    """Takes a port on which a kind of module was heard."""

    def __call__(self, port: Port, *, patience: float) -> Awaitable[WiSunModule | None]:
        """Return the module, if it answers."""


async def probe(url: str, *, patience: float, family: str | None = None, tap: Tap | None = None) -> WiSunModule:
    """Open a port and return the module that answers on it; each question waits `patience` seconds.

    What has the family that is expected is asked nothing else.

    Raises:
        PortError: the port cannot be opened.
        ModuleMissingError: nothing that we know answers.
        ModuleError: what answers is not understood.

    """
    questions = (J11_QUESTION, SK_QUESTION) if family == J11 else (SK_QUESTION, J11_QUESTION)
    for baudrate in (BAUDRATE,) if url.startswith(WITHOUT_SPEED) else (BAUDRATE, *OTHER_BAUDRATES):
        async with AsyncExitStack() as stack:
            port = await open_port(url, baudrate=baudrate, tap=tap)
            stack.push_async_callback(_close, port)
            if baudrate == BAUDRATE:
                module = await _find(port, questions * 2, patience)
            else:
                module = await _find_sk(port, patience / 2)
            if module is not None:
                _LOGGER.debug("%s has a %s", port.url, module.info)
                stack.pop_all()
                return module
    raise ModuleMissingError(f"no Wi-SUN module answers on {shown(url)}")


async def _find(port: Port, questions: Sequence[bytes], patience: float) -> WiSunModule | None:
    ear = _Ear(port)
    identify = await ear.ask(questions, patience)
    if identify is not None and (module := await identify(port, patience=patience)) is not None:
        return module
    # Who says anything else does not wait for the rest of a datagram.
    if not ear.is_silent and identify is not identify_sk:
        return None
    port.write(STUCK_SEND)
    identify = await _Ear(port).ask(questions[:2], patience)
    return None if identify is None else await identify(port, patience=patience)


async def _find_sk(port: Port, patience: float) -> WiSunModule | None:
    """Try the other speeds, which no J11 module has."""
    identify = await _Ear(port).ask((SK_QUESTION,), patience)
    return None if identify is None else await identify(port, patience=patience)


class _Ear:
    """Listens for what only a Wi-SUN module says, whether it was asked or not."""

    def __init__(self, port: Port) -> None:
        self.is_silent = True
        self._port = port
        self._sk = SkDecoder()
        self._j11 = J11Decoder()
        self._heard: asyncio.Future[Identify] = asyncio.get_running_loop().create_future()
        port.attach(on_data=self._receive, on_lost=self._lost)

    async def ask(self, questions: Sequence[bytes], patience: float) -> Identify | None:
        """Return who takes the port, as soon as it is clear who that is; each question waits so many seconds.

        Raises:
            PortError: the port went away.

        """
        for question in questions:
            self._port.write(question)
            await asyncio.wait([self._heard], timeout=patience)
            if self._heard.done():
                return self._heard.result()
        return None

    def _receive(self, data: bytes) -> None:
        self.is_silent = False
        frames, messages = [*self._j11.receive(data)], [*self._sk.receive(data)]
        # A frame has checksums, and may hold any text.
        if not self._heard.done() and (frames or any(map(_is_sk, messages))):
            self._heard.set_result(_identify_j11 if frames else identify_sk)

    def _lost(self, error: PortError) -> None:
        if not self._heard.done():
            self._heard.set_exception(error)


def _is_sk(message: object) -> bool:
    """Return whether only an SK module says so; many a modem says OK."""
    match message:
        case Line(text):
            return text.startswith("EVER ")
        case Event() | Fail() | ReceivedUdp():
            return True
    return False


async def _identify_j11(port: Port, *, patience: float) -> WiSunModule | None:
    from .j11.module import identify  # noqa: PLC0415  # few homes have such a module

    return await identify(port, patience=patience)


async def _close(port: Port) -> None:
    port.close()
    await port.wait_closed()
