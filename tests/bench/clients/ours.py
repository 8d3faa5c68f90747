"""Our own stack, without Home Assistant."""

import asyncio
from contextlib import suppress
import time
from typing import TYPE_CHECKING, Any

import serialx  # noqa: F401  # what we are compared with is loaded first

from . import PASSWORD, ROUTE_B_ID, Polls, descriptors, perform, ready, resident, threads, told

INTERPRETER = resident()
began = time.process_time()

from aiobroute import (  # noqa: E402  # after what it is compared with
    BRouteError,
    Credentials,
    MeterProfile,
    Pan,
    SessionLostError,
    SmartMeter,
    Timing,
    connect,
)
from aiobroute.echonet.frame import Frame  # noqa: E402
from aiobroute.echonet.properties import CURRENTS, ENERGY_IN, ENERGY_OUT, POWER, Values  # noqa: E402
from aiobroute.skstack.decoder import Decoder  # noqa: E402

IMPORT = time.process_time() - began

if TYPE_CHECKING:
    from collections.abc import Callable

CREDENTIALS = Credentials(ROUTE_B_ID, PASSWORD)
PAN = Pan(channel=0x31, pan_id=0x8A3C, mac="001C640003D2A1B7")


async def _connect(url: str, pace: float = 1.0, **options: Any) -> SmartMeter:
    patience = Timing()
    # The module is there: it is waited for where the machine has other work, and nothing waits where it has not.
    timing = Timing(answer=patience.answer / pace, rejoin_pause=patience.rejoin_pause / pace, probe=10 * patience.probe)
    return await connect(url, CREDENTIALS, timing=timing, **options)


def first(url: str, pace: float = 1.0, profile: dict[str, str] | None = None, family: str | None = None) -> Any:
    """Return the seconds to the first reading, and the meter's profile; one that is given spares the scan, too."""

    async def run() -> Any:
        began = time.monotonic()
        known = {"pan": PAN, "profile": MeterProfile.from_raw(profile), "family": family} if profile else {}
        async with await _connect(url, pace, **known) as meter:
            await meter.read()
            return {"seconds": time.monotonic() - began, "profile": dict(meter.profile.raw)}

    return asyncio.run(run())


def poll(url: str, warm_up: int, polls: int, blocks: int) -> Any:
    """Read again and again."""

    async def run() -> Any:
        open_before, threads_before = descriptors(), threads()
        async with await _connect(url, pan=PAN) as meter:
            for _ in range(warm_up):
                await meter.read()
            ready()
            told()
            measured = Polls(polls)
            for _ in range(polls * blocks):
                await meter.read()
                measured.end()
            return {
                "cpu": measured.cpu,
                "resident": measured.resident,
                "memory": resident() - INTERPRETER,
                "descriptors": descriptors() - open_before,
                "threads": threads() - threads_before,
            }

    return asyncio.run(run())


def load() -> Any:
    """Return the CPU time of the import."""
    return {"ms": IMPORT * 1000}


def decode(line: str, times: int) -> Any:
    """Return the microseconds from a received line to its four values."""
    data = line.encode() + b"\r\n"
    decoder = Decoder()

    def once() -> None:
        (message,) = decoder.receive(data)
        values = Values(dict(Frame.decode(message.data).properties))
        for row in (POWER, CURRENTS, ENERGY_IN, ENERGY_OUT):
            values.read(row)

    return {"us": _mean(once, times)}


def _mean(once: Callable[[], None], times: int) -> float:
    for _ in range(times // 10):
        once()
    began = time.process_time()
    for _ in range(times):
        once()
    return (time.process_time() - began) / times * 1e6


def history(url: str, days: int, pace: float) -> Any:
    """Read days of both directions while polls go on every ten seconds of the radio's time."""

    async def run() -> Any:
        loop = asyncio.get_running_loop()
        async with await _connect(url, pace, pan=PAN) as meter:
            ready()
            told()
            late: list[float] = []

            async def keep_polling() -> None:
                due = loop.time()
                while True:
                    due += 10 / pace
                    await asyncio.sleep(due - loop.time())
                    await meter.read()
                    late.append((loop.time() - due) * pace)

            began = time.monotonic()
            polling = loop.create_task(keep_polling())
            read = 0
            async for counters in meter.history.days(range(days)):
                read += len(counters)
            seconds = time.monotonic() - began
            polling.cancel()
            with suppress(asyncio.CancelledError):
                await polling
            return {"seconds": seconds, "counters": read, "late": late}

    return asyncio.run(run())


def lose(url: str, pace: float, *, event: bool) -> Any:
    """Return when the loss of the session was noticed: by an event, or by a poll."""

    async def run() -> Any:
        lost = asyncio.Event()

        def notice(_: SessionLostError) -> None:
            lost.set()

        async with await _connect(url, pace, pan=PAN, on_lost=notice) as meter:
            await meter.read()
            ready()
            if event:
                await lost.wait()
                return {"at": time.monotonic()}
            await asyncio.get_running_loop().run_in_executor(None, told)
            try:
                await meter.read()
            except BRouteError:
                return {"at": time.monotonic()}
            raise RuntimeError("the meter went on answering")

    return asyncio.run(run())


def crowd(urls: list[str], interval: float, polls: int) -> Any:
    """Read many meters in this process, each every so many seconds."""

    async def run() -> Any:
        loop = asyncio.get_running_loop()
        meters = await asyncio.gather(*(_connect(url, pan=PAN) for url in urls))
        late: list[float] = []

        async def keep_polling(meter: SmartMeter, due: float) -> None:
            for _ in range(polls):
                await asyncio.sleep(due - loop.time())
                late.append(loop.time() - due)
                await meter.read()
                due += interval

        began, cpu = loop.time(), time.process_time()
        offset = interval / len(meters)
        await asyncio.gather(*(keep_polling(meter, began + place * offset) for place, meter in enumerate(meters)))
        used, lasted = time.process_time() - cpu, loop.time() - began
        memory = resident() - INTERPRETER
        for meter in meters:
            await meter.close()
        done = polls * len(meters)
        return {"share": used / lasted * 100, "cpu": used / done * 1000, "late": max(late), "memory": memory}

    return asyncio.run(run())


if __name__ == "__main__":
    perform({task.__name__: task for task in (first, poll, load, decode, history, lose, crowd)})
