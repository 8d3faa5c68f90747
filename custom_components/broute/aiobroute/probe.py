"""Finding out what is on a serial port."""

from contextlib import AsyncExitStack
import logging

from .errors import ModuleError
from .module import WiSunModule
from .port import Port, open_port
from .skstack.module import identify as identify_sk

_LOGGER = logging.getLogger(__name__)

BAUDRATE = 115200
"""What every module is shipped with."""

OTHER_BAUDRATES = (57600, 38400, 19200, 9600)
"""What somebody may have set for good instead (SK 3.32)."""

WITHOUT_SPEED = ("socket://", "tcp://")
"""Serial URLs behind which nobody can set the speed."""

STUCK_SEND = b"\r" * 0x04D0
"""Ends an SKSENDTO whose data never came: until then a module takes every command for it."""


async def probe(url: str, *, patience: float) -> WiSunModule:
    """Open a port and return the module that answers on it; each question waits `patience` seconds.

    Raises:
        PortError: the port cannot be opened.
        ModuleError: nothing we know answers.

    """
    for baudrate in (BAUDRATE,) if url.startswith(WITHOUT_SPEED) else (BAUDRATE, *OTHER_BAUDRATES):
        async with AsyncExitStack() as stack:
            port = await open_port(url, baudrate=baudrate)
            stack.push_async_callback(_close, port)
            module = await _identify(port, patience if baudrate == BAUDRATE else patience / 2)
            if module is not None:
                _LOGGER.debug("%s has a %s", url, module.info)
                stack.pop_all()
                return module
    raise ModuleError(f"no Wi-SUN module answers on {url}")


async def _identify(port: Port, patience: float) -> WiSunModule | None:
    module = await identify_sk(port, patience=patience)
    if module is None:
        port.write(STUCK_SEND)
        module = await identify_sk(port, patience=patience)
    return module


async def _close(port: Port) -> None:
    port.close()
    await port.wait_closed()
