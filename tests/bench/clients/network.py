"""Our own stack with a meter of the home network, in a network in which only the two of them are."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
import time
from typing import Any

from aiobroute import MeterProfile, Node
from aiobroute.lan import NodeMeter, connect_node
import serialx  # noqa: F401  # as in `ours`, with which this is compared

from tests.own_network import own_network
from tests.simulator.process import simulator

from . import Polls, perform

ADDRESS = "127.0.0.2"
SERIAL = "S18012345678"


@asynccontextmanager
async def _meter() -> AsyncGenerator[None]:
    """Have a simulated meter, which answers after 5 to 50 ms."""
    own_network()
    async with simulator("--lan", f"{ADDRESS}%lo", "--scenario", "solar"):
        yield


async def _connect(profile: dict[str, str] | None = None) -> NodeMeter:
    known = MeterProfile.from_raw(profile) if profile else None
    return await connect_node(
        f"echonet://{SERIAL}", node=Node(address=ADDRESS, identity=SERIAL), profile=known, interfaces=["lo"]
    )


def first(profile: dict[str, str]) -> Any:
    """Return the seconds to the first reading of a meter that is known."""

    async def run() -> Any:
        async with _meter():
            began = time.monotonic()
            async with await _connect(profile) as meter:
                await meter.read()
                return {"seconds": time.monotonic() - began}

    return asyncio.run(run())


def poll(warm_up: int, polls: int) -> Any:
    """Read again and again."""

    async def run() -> Any:
        async with _meter(), await _connect() as meter:
            for _ in range(warm_up):
                await meter.read()
            measured = Polls(polls)
            for _ in range(polls):
                await meter.read()
                measured.end()
            return {"cpu": measured.cpu}

    return asyncio.run(run())


if __name__ == "__main__":
    perform({"first": first, "poll": poll})
