"""How each figure is measured, one round at a time."""

import asyncio
from dataclasses import dataclass
import time
from typing import TYPE_CHECKING, Any

from .process import client, meter, run, street
from .stacks import BEST, BROUTE_J11, BUILT_IN, FLOOR, HOME, MOMONGA, NETWORK, OURS, RADIO, Stack

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

type Samples = dict[str, dict[str, float]]
"""By figure, then by stack."""

PROFILE = {
    "E1": "01",
    "D7": "06",
    "8A": "000016",
    "8D": "533138303132333435363738",
    "82": "00004600",
    "9D": "05808188EAEB",
    "9E": "0381E5ED",
    "9F": "1C41414161404001624301414040430202",
    "D3": "00000001",
    "get": "7",
    "days": "2",
}
"""Of the simulated meter of SOLAR, as the integration keeps it from its first connect on."""

FAMILIES = {"bp35c2": "BP35C2", "j11": "J11"}
"""What the integration keeps of a simulated module."""

FAST = 100.0
"""Speed of the radio where only what a client does itself is measured: its pieces still come one after the other."""

LINE = (
    "ERXUDP FE80:0000:0000:0000:021C:6400:03D2:A1B7 FE80:0000:0000:0000:021D:1291:1234:5678 0E1A 0E1A "
    "001C640003D2A1B7 DD 1 0 0024 1081002A02880105FF017204E704000001F4E804001E000AE0040001E240E30400000457"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """How much is measured."""

    rounds: int
    pace: float
    """Divides the radio's delays and the clients' patience where real times are measured; 1 is real."""
    polls: int
    days: int
    growth: int
    """Blocks of polls in which growth is looked for; 1,000 polls each in a full run."""
    block: int
    meters: int
    interval: float
    """Seconds between two polls of one of many meters."""


FULL = Extent(rounds=5, pace=1, polls=200, days=99, growth=10, block=1000, meters=50, interval=10)
QUICK = Extent(rounds=1, pace=50, polls=10, days=4, growth=2, block=20, meters=5, interval=0.5)

HISTORY_PACE = 40.0
"""The history takes ten minutes at the radio's own pace; ratios stay, and are rather too bad than too good."""


def in_turn(stacks: Sequence[Stack], number: int) -> list[Stack]:
    """Let another one begin in each round."""
    start = number % len(stacks)
    return [*stacks[start:], *stacks[:start]]


async def importing(extent: Extent, number: int) -> Samples:  # noqa: ARG001  # as its siblings
    """Import each in a fresh process, from bytecode that another one has left behind."""
    milliseconds = {}
    for stack in in_turn((OURS, MOMONGA), number):
        await run(stack, "load")
        milliseconds[stack.key] = (await run(stack, "load"))["ms"]
    return {"import": milliseconds}


async def decoding(extent: Extent, number: int) -> Samples:
    """Let each decode the same line again and again."""
    times = extent.polls * 50
    return {
        "decode": {
            stack.key: (await run(stack, "decode", line=LINE, times=times))["us"]
            for stack in in_turn((OURS, MOMONGA), number)
        }
    }


async def polling(extent: Extent, number: int) -> Samples:
    """Poll one after the other, on simulators of the same kind."""
    samples: Samples = {figure: {} for figure in ("cpu", "bytes", "datagrams", "threads", "descriptors", "memory")}
    for stack in in_turn((OURS, BUILT_IN, BEST, FLOOR), number):
        options = {"warm_up": extent.polls // 4, "polls": extent.polls, "blocks": 1}
        async with (
            meter("solar", FAST) as (url, control),
            client(stack, "poll", url=url, **options, **stack.options) as polled,
        ):
            await polled.ready()
            await control.do("clear")
            await polled.tell()
            result = await polled.result()
            record = await control.do("record")
        samples["cpu"][stack.key] = result["cpu"][0]
        samples["bytes"][stack.key] = (record["bytes_from_host"] + record["bytes_to_host"]) / extent.polls
        if stack is FLOOR:
            continue
        datagrams = len(record["datagrams_from_client"]) + len(record["datagrams_to_client"])
        samples["datagrams"][stack.key] = datagrams / extent.polls
        for figure in ("threads", "descriptors", "memory"):
            samples[figure][stack.key] = result[figure]
    return samples


async def polling_j11(extent: Extent, number: int) -> Samples:
    """Poll a J11 module, one after the other."""
    cpu = {}
    for stack in in_turn((OURS, BROUTE_J11), number):
        options = {"warm_up": extent.polls // 4, "polls": extent.polls, "blocks": 1}
        async with (
            meter("solar", FAST, module="j11") as (url, _),
            client(stack, "poll", url=url, **options) as polled,
        ):
            await polled.ready()
            await polled.tell()
            cpu[stack.key] = (await polled.result())["cpu"][0]
    return {"cpu_j11": cpu}


async def polling_network(extent: Extent, number: int) -> Samples:
    """Poll a meter of the network, and one behind a dongle, one after the other."""

    async def over_network() -> float:
        result = await run(NETWORK, "poll", warm_up=extent.polls // 4, polls=extent.polls)
        return float(result["cpu"][0])

    async def over_dongle() -> float:
        options = {"warm_up": extent.polls // 4, "polls": extent.polls, "blocks": 1}
        async with meter("solar", FAST) as (url, _), client(OURS, "poll", url=url, **options) as polled:
            await polled.ready()
            await polled.tell()
            return float((await polled.result())["cpu"][0])

    cpu = {}
    for key in ("ours", "dongle") if number % 2 else ("dongle", "ours"):
        cpu[key] = await (over_network() if key == "ours" else over_dongle())
    return {"cpu_lan": cpu}


async def connecting_network(extent: Extent, number: int) -> Samples:  # noqa: ARG001  # as its siblings
    """Connect to a meter of the network that is known."""
    return {"restart_lan": {"ours": (await run(NETWORK, "first", profile=PROFILE))["seconds"]}}


async def connecting_j11(extent: Extent, number: int) -> Samples:  # noqa: ARG001  # as its siblings
    """Connect to a known meter over a J11 module in real time."""

    async def seconds(stack: Stack, **options: Any) -> float:
        async with meter("solar", extent.pace, module="j11") as (url, _):
            result = await run(stack, "first", url=url, **options)
        return float(result["seconds"]) * extent.pace

    ours, peer = await asyncio.gather(
        seconds(OURS, pace=extent.pace, profile=PROFILE, family="J11"), seconds(BROUTE_J11)
    )
    return {"restart_j11": {"ours": ours, "broute_j11": peer}}


async def resuming(extent: Extent, number: int) -> Samples:  # noqa: ARG001  # as its siblings
    """Connect in real time to a meter that was joined before, over each kind of module."""
    pace = extent.pace

    async def seconds(module: str) -> dict[str, float]:
        async with meter("steady_meter", pace, module=module) as (url, _):
            known = {"url": url, "pace": pace, "profile": PROFILE, "family": FAMILIES[module]}
            await run(OURS, "first", **known)
            samples = {"ours": await run(OURS, "first", **known)}
            if module != "j11":
                samples["radio_warm"] = await run(RADIO, "first", url=url, known=True, joined=True)
        return {key: float(sample["seconds"]) * pace for key, sample in samples.items()}

    lines, frames = await asyncio.gather(seconds("bp35c2"), seconds("j11"))
    return {"restart_warm": lines, "restart_warm_j11": frames}


async def connecting(extent: Extent, number: int) -> Samples:  # noqa: ARG001  # as its siblings
    """Connect in real time, all at once: they do nothing but wait for the radio."""

    async def seconds(stack: Stack, **options: Any) -> float:
        async with meter("solar", extent.pace) as (url, _):
            result = await run(stack, "first", url=url, **options)
        return float(result["seconds"]) * extent.pace

    pace = extent.pace
    restart, install, built_in, best, radio, radio_install = await asyncio.gather(
        seconds(OURS, pace=pace, profile=PROFILE),
        seconds(OURS, pace=pace),
        seconds(BUILT_IN, pace=pace, **BUILT_IN.options),
        seconds(BEST, pace=pace, **BEST.options),
        seconds(RADIO, known=True),
        seconds(RADIO, known=False),
    )
    # It keeps no PAN: every start of it is a first one.
    peers = {"built_in": built_in, "best": best}
    return {
        "restart": {"ours": restart, **peers, "radio": radio},
        "install": {"ours": install, **peers, "radio_install": radio_install},
    }


async def remembering(extent: Extent, number: int) -> Samples:  # noqa: ARG001  # as its siblings
    """Read the history; then send the same datagrams without a pause."""
    pace = max(extent.pace, HISTORY_PACE)

    async def read(stack: Stack) -> tuple[Any, str]:
        async with (
            meter("steady_meter", pace) as (url, control),
            client(stack, "history", url=url, days=extent.days, pace=pace) as reader,
        ):
            await reader.ready()
            await control.do("clear")
            await reader.tell()
            result = await reader.result()
            sent = (await control.do("record"))["datagrams_from_client"]
        return result, " ".join(sent)

    (ours, sent), (momonga, _) = await asyncio.gather(read(OURS), read(MOMONGA))
    async with meter("steady_meter", pace) as (url, _), client(RADIO, "replay", url=url) as radio:
        await radio.ready()
        await radio.tell(sent)
        await radio.tell()
        limit = await radio.result()
    late = {"ours": max(ours["late"])} if ours["late"] else {}
    return {
        "history": {
            "ours": ours["seconds"] * pace,
            "momonga": momonga["seconds"] * pace,
            "radio": limit["seconds"] * pace,
        },
        "history_late": late,
    }


async def losing(extent: Extent, number: int) -> Samples:  # noqa: ARG001  # as its siblings
    """Let the session end, with a word of the meter and without one."""

    async def seconds(stack: Stack, *, event: bool) -> float:
        async with (
            meter("solar", extent.pace) as (url, control),
            client(stack, "lose", url=url, pace=extent.pace, event=event) as loser,
        ):
            await loser.ready()
            began = time.monotonic()
            await control.do("session_end" if event else "session_drop")
            await loser.tell()
            noticed: float = (await loser.result())["at"]
        return (noticed - began) * (1 if event and stack is OURS else extent.pace)

    ours_event, ours_silent, event, silent = await asyncio.gather(
        seconds(OURS, event=True),
        seconds(OURS, event=False),
        seconds(MOMONGA, event=True),
        seconds(MOMONGA, event=False),
    )
    return {
        "lost_event": {"ours": ours_event, "momonga": event},
        "lost_silent": {"ours": ours_silent, "momonga": silent},
    }


async def crowding(extent: Extent, number: int) -> Samples:  # noqa: ARG001  # as its siblings
    """Read many meters in one process, at the radio's own pace; and one, to compare with."""
    polls = 3

    async def read(meters: int, speed: float, interval: float, polls: int) -> Any:
        async with street(meters, speed) as urls:
            return await run(OURS, "crowd", urls=urls, interval=interval, polls=polls)

    meters, speed = extent.meters, 10 / extent.interval
    many = await read(meters, speed, extent.interval, polls)
    # As many polls a second, so that the machine is as awake as before.
    one = await read(1, speed * 10, extent.interval / meters, meters)
    return {
        "crowd": {"ours": many["share"]},
        "crowd_late": {"ours": many["late"]},
        "linear_cpu": {"ours": many["cpu"], "one": one["cpu"]},
        "linear_memory": {"ours": (many["memory"] - one["memory"]) / (meters - 1)},
    }


async def growing(extent: Extent, number: int) -> Samples:  # noqa: ARG001  # as its siblings
    """Poll very often; compare the last block with the first."""
    async with meter("solar", 10 * FAST) as (url, _):
        options = {"warm_up": extent.block, "polls": extent.block, "blocks": extent.growth}
        async with client(OURS, "poll", url=url, **options) as poller:
            await poller.ready()
            await poller.tell()
            result = await poller.result()
    cpu, memory = result["cpu"], result["resident"]
    return {
        "growth_cpu": {"ours": cpu[-1], "first": cpu[0]},
        "growth_memory": {"ours": memory[-1], "first": memory[0]},
    }


async def housing(extent: Extent, number: int) -> Samples:
    """Set the integration up in a Home Assistant."""

    async def measured(polls: int) -> Any:
        async with meter("solar", FAST) as (url, _):
            return await run(HOME, "home", url=url, profile=PROFILE, warm_up=polls // 4, polls=polls)

    if number == 0:
        await measured(1)  # Leaves the bytecode behind, as any start before did.
    result = await measured(extent.polls)
    return {
        "home_start": {"ours": result["start"]},
        "home_poll": {"ours": result["poll"]},
    }


type Measurement = Callable[[Extent, int], Awaitable[Samples]]

BUSY: tuple[Measurement, ...] = (
    importing,
    decoding,
    polling,
    polling_j11,
    polling_network,
    connecting_network,
    remembering,
    crowding,
    growing,
    housing,
)
"""One after the other, round for round: nothing else shall use the machine."""

IDLE: tuple[Measurement, ...] = (connecting, connecting_j11, resuming, losing)
"""Minutes of waiting for a radio that is far away: all rounds go on at once, begun one after the other."""

STAGGER = 6.0
"""Seconds from one round of an idle measurement to the next."""
