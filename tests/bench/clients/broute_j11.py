"""broute-j11 0.1.0: one request for all four properties, and a meter that it knows from before."""

import asyncio
import time
from typing import Any

from broute_j11 import CachedNetwork, J11Session, SerialTransport, SessionConfig

from . import PASSWORD, ROUTE_B_ID, Polls, perform, ready, told


class Memory:
    """What a session before has found out."""

    def load(self) -> CachedNetwork:
        """Return where the meter is, in the channel numbers of J11 modules."""
        return CachedNetwork(channel=0x0C, pan_id=0x8A3C, mac_address=bytes.fromhex("001C640003D2A1B7"))

    def store(self, network: CachedNetwork) -> None:
        """Keep nothing."""


def _session(url: str) -> J11Session:
    config = SessionConfig(auth_id=ROUTE_B_ID, password=PASSWORD)
    return J11Session(SerialTransport(url), config, network_cache=Memory())


def first(url: str) -> Any:
    """Return the seconds to the first reading."""

    async def run() -> Any:
        began = time.monotonic()
        async with _session(url) as session:
            await session.async_read_meter()
            return {"seconds": time.monotonic() - began}

    return asyncio.run(run())


def poll(url: str, warm_up: int, polls: int, blocks: int) -> Any:
    """Read again and again."""

    async def run() -> Any:
        async with _session(url) as session:
            for _ in range(warm_up):
                await session.async_read_meter()
            ready()
            told()
            measured = Polls(polls)
            for _ in range(polls * blocks):
                await session.async_read_meter()
                measured.end()
            return {"cpu": measured.cpu}

    return asyncio.run(run())


if __name__ == "__main__":
    perform({"first": first, "poll": poll})
