"""Finding out what is on a serial port."""

from contextlib import AsyncExitStack
import logging

from .errors import ModuleError
from .module import WiSunModule
from .port import Port, open_port
from .skstack.module import identify as identify_sk

_LOGGER = logging.getLogger(__name__)

OTHER_BAUDRATES = (57600, 38400, 19200, 9600)
"""What somebody may have set for good instead of 115200 (SK 3.32)."""

STUCK_SEND = b"\r" * 0x04D0
"""Ends an SKSENDTO whose data never came: until then a module takes every command for it."""


async def probe(url: str, *, patience: float) -> WiSunModule:
    """Open a port and return the module that answers on it; each question waits `patience` seconds.

    Raises:
        PortError: the port cannot be opened.
        ModuleError: nothing we know answers.

    """
    async with AsyncExitStack() as stack:
        port = await open_port(url)
        stack.push_async_callback(_close, port)
        module: WiSunModule | None = await identify_sk(port, patience=patience)
        if module is None:
            port.write(STUCK_SEND)
            module = await identify_sk(port, patience=patience)
        if module is None and "://" not in url:
            module = await _identify_at_other_speeds(port, patience)
        if module is None:
            raise ModuleError(f"no Wi-SUN module answers on {url}")
        _LOGGER.debug("%s has a %s", url, module.info)
        stack.pop_all()
        return module


async def _identify_at_other_speeds(port: Port, patience: float) -> WiSunModule | None:
    for baudrate in OTHER_BAUDRATES:
        await port.set_baudrate(baudrate)
        if (module := await identify_sk(port, patience=patience / 2)) is not None:
            return module
    return None


async def _close(port: Port) -> None:
    port.close()
    await port.wait_closed()
