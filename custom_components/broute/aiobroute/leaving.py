"""What becomes of a connection when a person gives up."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from .errors import BRouteError
from .meter import SmartMeter

LEAVE_WITHIN = 1.0
"""Seconds for the end of the session, once a person wants to stop."""


@asynccontextmanager
async def leaving(meter: SmartMeter) -> AsyncIterator[None]:
    """Release the port in any case, and end the session if a person gives up."""
    try:
        yield
    except asyncio.CancelledError:
        # In the middle of a command, the port is closed by now; a silent module must not keep a person waiting.
        with suppress(BRouteError, TimeoutError):
            async with asyncio.timeout(LEAVE_WITHIN):
                await meter.leave()
        raise
    finally:
        await meter.close()
