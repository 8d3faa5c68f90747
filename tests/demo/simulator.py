"""The simulated dongle and meter, as a process of its own."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import count
import json
from pathlib import Path
import re
import sys
from zoneinfo import ZoneInfo

from tests.simulator.lan import own_place

from .client import Json
from .process import Found, NotYet, Process, StepError, running, until

TOKYO = ZoneInfo("Asia/Tokyo")
EXPORT = 3
"""kWh that the solar cells feed in on a sunny day, at least."""

LONGEST = 1 << 26
"""Bytes of an answer: the record of a long run is one line."""

LAN = "lan"
"""A meter without a dongle, where a module is named."""

START = 60.0
"""Seconds; one is normal, and this is only against hanging."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """What the meter's registers said at a time."""

    time: datetime
    energy_in: Decimal
    """kWh."""
    energy_out: Decimal
    """kWh."""
    power: int
    """W; negative is fed in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulator:
    """A simulator that runs, and its control port."""

    process: Process
    port: str
    """The serial port at which the dongle is, or the address of a meter in the network."""
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def order(self, what: str, **fields: object) -> Mapping[str, Json]:
        """Let something happen to the dongle or the meter, or ask about them (tests/simulator/serve.py)."""
        self.writer.write(json.dumps({"do": what, **fields}).encode() + b"\n")
        answer: Mapping[str, Json] = json.loads(await self.reader.readline())
        if not answer["ok"]:
            raise StepError.unexpected(f"the simulator cannot do {what}", answer.get("error"))
        return answer

    async def truth(self, at: datetime) -> Truth:
        """Return what the meter's registers said at a time."""
        answer = await self.order("counters", at=at.isoformat())
        return Truth(
            time=datetime.fromisoformat(answer["time"]),
            energy_in=Decimal(answer["energy_in"]),
            energy_out=Decimal(answer["energy_out"]),
            power=answer["power"],
        )


async def sunny_day(meter: Simulator, *, least: int = 1) -> tuple[int, tuple[datetime, datetime]]:
    """Return how many days ago, at least, the sun has last shone well, and when that day began and ended."""
    midnight = datetime.now(TOKYO).replace(hour=0, minute=0, second=0, microsecond=0)
    for ago in count(least):
        start, end = midnight - timedelta(days=ago), midnight - timedelta(days=ago - 1)
        if (await meter.truth(end)).energy_out - (await meter.truth(start)).energy_out > EXPORT:
            break
    return ago, (start, end)


@asynccontextmanager
async def simulator(
    folder: Path,
    *,
    module: str = "bp35c2",
    scenario: str = "SOLAR",
    speed: float = 1,
    shift: timedelta = timedelta(),
) -> AsyncIterator[Simulator]:
    """Run the simulator for the length of a `with`; its dongle is a pseudo terminal in the folder.

    The module `lan` is none: the meter is a node of this machine's own loop.

    The household's day may be ahead by some time, so that there is sun at night.
    """
    port, log = str(folder / "dongle"), folder / "simulator.log"
    command: list[str | Path] = [sys.executable, "-m", "tests.simulator", "--control", "127.0.0.1:0"]
    if module == LAN:
        place = own_place()
        port = f"echonet://{place.address}"
        command += ["--lan", f"{place.address}%{place.interface}"]
    else:
        command += ["--pty", port, "--module", module, "--speed", str(speed)]
    command += ["--scenario", scenario]
    command += ["--time-shift", str(shift.total_seconds())]

    async def control_port() -> Found[int] | NotYet:
        # A line that is being written may end in the middle of the number.
        if told := re.search(r"control \S+:(\d+)\n", log.read_text()):
            return Found(int(told[1]))
        return NotYet("it has not told its control port")

    async with running("The simulator", *command, log=log) as process:
        number = await process.unless_ended(until(control_port, within=START))
        reader, writer = await asyncio.open_connection("127.0.0.1", number, limit=LONGEST)
        try:
            yield Simulator(process=process, port=port, reader=reader, writer=writer)
        finally:
            writer.close()
