"""What bringing a database in line costs that has ten years of everything: `scripts/bench --statistics`."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
import gc
from pathlib import Path
import shutil
import sqlite3
from tempfile import TemporaryDirectory
import time
from types import SimpleNamespace
from typing import Any, Final

from tests import newer  # noqa: F401  # isort: skip  # before the harness

from homeassistant.core import CoreState, HomeAssistant
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.recorder import async_initialize_recorder, get_instance
from homeassistant.setup import async_setup_component
from pytest_homeassistant_custom_component.common import MockConfigEntry, async_test_home_assistant

from custom_components.broute.const import DOMAIN
from custom_components.broute.energy.accounts import Accounts
from custom_components.broute.energy.ledger import DIRECTIONS, MICRO, Ledger, Scale, Source
from custom_components.broute.energy.plans import steps_of
from custom_components.broute.energy.recorder import Changes, Reconciler
from custom_components.broute.energy.statistics import Derivation
from custom_components.broute.energy.tariff import Billing, Contract, Plan, SizeCharge, stepped

from .figures import Figure
from .stacks import ROOT

CACHE: Final = ROOT / "build" / "ten-years.db"
"""Made once: other sensors' rows, and none of ours."""

OTHERS: Final = 200
YEARS: Final = 10
ROWS: Final = 4_500_000
"""Of the other sensors, hours and five minutes together; as many as Home Assistant keeps of them in ten years."""

NOW: Final = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
SCALE: Final = Scale(100_000, 10**6)
HALF_HOUR: Final = timedelta(minutes=30)

FIGURES: Final = {
    "look": Figure(title="an hourly look, CPU", unit="ms", limit=100),
    "first": Figure(title="first import of 99 days, CPU in all", unit="s", limit=5),
    "start": Figure(title="first look after a start, CPU", unit="s"),
    "deleted": Figure(title="two years derived anew after the database was deleted", unit="s", limit=60),
    "first_plan": Figure(title="all costs of ten years written for the first plan", unit="s", limit=30),
    "changed_plan": Figure(title="all costs of ten years right after a plan was changed", unit="s", limit=30),
    "cost_rows": Figure(title="rows of costs written by a look without a change", unit="", limit=0),
    "hold": Figure(title="longest time at which the event loop is held, CPU", unit="ms", limit=20),
}

FILL: Final = """
WITH RECURSIVE hours(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM hours WHERE n + 1 < :hours),
sensors(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM sensors WHERE id < :sensors)
INSERT INTO statistics (created_ts, metadata_id, start_ts, state, sum)
SELECT :begin, id, :begin + n * :step, n * 0.3, n * 0.3 FROM sensors, hours
"""
META: Final = """
INSERT INTO statistics_meta (statistic_id, source, unit_of_measurement, has_mean, has_sum, mean_type)
VALUES ('sensor.other_' || :number, 'recorder', 'kWh', 0, 1, 0)
"""
OWN_META: Final = """
INSERT INTO statistics_meta (statistic_id, source, unit_of_measurement, has_mean, has_sum, mean_type)
VALUES (:id, 'recorder', 'kWh', 0, 1, 0)
"""
OWN_ROW: Final = "INSERT INTO statistics (created_ts, metadata_id, start_ts, state, sum) VALUES (?, ?, ?, ?, ?)"


@dataclass(slots=True)
class Meter:
    """What was used while something went on."""

    cpu: float = 0
    wall: float = 0
    hold: float = 0
    """Seconds of CPU that the event loop's thread took at the most between two rounds of the loop."""


def prepare() -> None:
    """Make the database of the other sensors, if it is not there."""
    if CACHE.exists():
        return
    CACHE.parent.mkdir(exist_ok=True)
    making = CACHE.with_suffix(".making")
    making.unlink(missing_ok=True)

    async def schema() -> None:
        async with home(making):
            pass

    asyncio.run(schema())
    hours = ROWS // OTHERS
    step = YEARS * 365 * 24 // hours * 3600
    begin = int(NOW.timestamp()) - hours * step
    with closing(sqlite3.connect(making)) as database, database:
        database.execute("PRAGMA synchronous = OFF")
        database.executemany(META, [{"number": number} for number in range(OTHERS)])
        database.execute(FILL, {"hours": hours, "sensors": OTHERS, "begin": begin, "step": step})
    making.rename(CACHE)


@asynccontextmanager
async def home(database: Path) -> AsyncIterator[HomeAssistant]:
    """Yield a Home Assistant whose recorder has compiled everything up to now."""
    async with async_test_home_assistant(initial_state=CoreState.not_running) as hass:
        async_initialize_recorder(hass)
        config = {"db_url": f"sqlite:///{database}", "commit_interval": 0, "auto_purge": False, "auto_repack": False}
        assert await async_setup_component(hass, "recorder", {"recorder": config})
        await hass.async_start()
        await get_instance(hass).async_recorder_ready.wait()
        with closing(sqlite3.connect(database, timeout=60)) as other, other:
            run = (NOW - timedelta(minutes=5)).strftime("%Y-%m-%d %H:%M:%S.000000")
            other.execute("INSERT OR IGNORE INTO statistics_runs (start) VALUES (?)", (run,))
        try:
            yield hass
        finally:
            await hass.async_stop(force=True)


def count_at(slot: int) -> int:
    """Return what a meter shows after some half-hours."""
    return (slot * 2 + slot % 3) % 10**6


def ledger_of(days: int) -> Ledger:
    """Return the half-hours of some days before now."""
    ledger = Ledger()
    ledger.begin("001C6400AAAAAAAA")
    number = days * 48
    for slot in range(number + 1):
        start = NOW - (number - slot) * HALF_HOUR
        for key in DIRECTIONS:
            ledger.put(key, start, count_at(slot), Source.HISTORY, SCALE, now=NOW)
    ledger.hear(NOW, {}, SCALE)
    return ledger


async def metered(work: Coroutine[Any, Any, None]) -> Meter:
    """Do something, and see what it takes; what Python's memory does at its own times is done before."""
    found, last = Meter(), time.thread_time()

    async def tick() -> None:
        nonlocal last
        while True:
            await asyncio.sleep(0)
            now = time.thread_time()
            found.hold, last = max(found.hold, now - last), now
            await asyncio.sleep(0.001)
            last = time.thread_time() if time.thread_time() - last < 0.001 else last

    gc.collect()
    ticker = asyncio.create_task(tick())
    await asyncio.sleep(0.01)
    found.hold = 0
    cpu, wall = time.process_time(), time.perf_counter()
    await work
    found.cpu, found.wall = time.process_time() - cpu, time.perf_counter() - wall
    ticker.cancel()
    return found


class Place:
    """Both directions of a meter in a Home Assistant."""

    def __init__(self, hass: HomeAssistant, ledger: Ledger) -> None:
        self.ledger = ledger
        self.changes = Changes()
        self._reconcilers = [Reconciler(hass, key) for key in DIRECTIONS]

    async def look(self) -> None:
        """Bring everything in line."""
        for each in self._reconcilers:
            await each.async_reconcile(self.ledger, f"sensor.smart_meter_{each.key}", self.changes)
            assert each.is_right


async def write_rows(database: Path, ledger: Ledger) -> None:
    """Put all rows of a ledger into a database, which nobody else has open."""
    with closing(sqlite3.connect(database)) as connection, connection:
        for key in DIRECTIONS:
            connection.execute(OWN_META, {"id": f"sensor.smart_meter_{key}"})
            (number,) = connection.execute("SELECT max(id) FROM statistics_meta").fetchone()
            chunks = await Derivation(key).chunks(ledger, int(NOW.timestamp()))
            rows = [row for chunk in chunks for row in chunk.rows]
            values = [(row.start, number, row.start, row.state / MICRO, row.sum / MICRO) for row in rows]
            connection.executemany(OWN_ROW, values)


def plan(price: str) -> Plan:
    """Return three steps and what else is on a bill."""
    limits, prices = ("120", "300"), ("29.80", price, "40.49")
    return Plan(
        valid_from=date(2000, 1, 1),
        energy=stepped(steps_of(limits, prices)),
        basic=SizeCharge(Decimal("311.75"), Decimal(4)),
        billing=Billing(10),
    )


class Costs:
    """The costs of a meter in a Home Assistant."""

    def __init__(self, hass: HomeAssistant, ledger: Ledger) -> None:
        self._entry = MockConfigEntry(domain=DOMAIN, unique_id="001C6400AAAAAAAA", title="Smart meter")
        unique_id = f"{self._entry.unique_id}_cost"
        er.async_get(hass).async_get_or_create("sensor", DOMAIN, unique_id, suggested_object_id="smart_meter_cost")
        source: Any = SimpleNamespace(data=SimpleNamespace(energy_in=None, energy_out=None), readings=0)
        history: Any = SimpleNamespace(ledger=ledger)
        self._accounts = Accounts(hass, self._entry, source, history)

    async def look(self, made: Plan) -> None:
        """Bring everything in line with a plan: the second look at the same ledger writes."""
        self._accounts.contract = Contract((made,))
        for _ in range(2):
            await self._accounts._async_account()  # it rests between two looks
        assert self._accounts.is_right

    @property
    def written(self) -> int:
        """Return how many rows were written."""
        return self._accounts._rows["cost"].written  # nobody else wants to know


async def measure_costs(folder: Path, keep: Callable[[str, float, Meter], None]) -> None:
    """Add a plan, change it, and look again."""
    ledger, before = ledger_of(YEARS * 365), 0
    async with home(folder / "costs.db") as hass:
        costs = Costs(hass, ledger)
        for key, price in (("first_plan", "36.40"), ("changed_plan", "37.40"), ("cost_rows", "37.40")):
            used = await metered(costs.look(plan(price)))
            written, before = costs.written - before, costs.written
            if key == "cost_rows":
                keep(key, written, used)
            else:
                assert written > YEARS * 365 * 24 - 24 * 40, written
                keep(key, used.wall, used)


async def measure(folder: Path) -> dict[str, Figure]:
    """Do everything once."""
    holds = []

    def keep(key: str, value: float, used: Meter) -> None:
        FIGURES[key].samples.setdefault("ours", []).append(value)
        holds.append(used.hold)

    copy = folder / "ten-years.db"
    shutil.copyfile(CACHE, copy)
    async with home(copy) as hass:
        recent = Place(hass, ledger_of(99))
        used = await metered(recent.look())
        assert recent.changes.imported == 2 * 99 * 24
        keep("first", used.cpu, used)
    shutil.copyfile(CACHE, copy)
    await write_rows(copy, ledger_of(YEARS * 365))
    async with home(copy) as hass:
        old = Place(hass, ledger_of(YEARS * 365))
        used = await metered(old.look())
        assert old.changes.imported == 0
        keep("start", used.cpu, used)
        for count in range(5):
            for key in DIRECTIONS:
                old.ledger.put(
                    key, NOW, count_at(YEARS * 365 * 48) + count, Source.HISTORY, SCALE, now=NOW, overrule=True
                )
            used = await metered(old.look())
            keep("look", used.cpu * 1000, used)
        # A new database, as after the old one was deleted.
    async with home(folder / "new.db") as hass:
        two = Place(hass, ledger_of(2 * 365))
        used = await metered(two.look())
        assert two.changes.imported == 2 * 2 * 365 * 24
        keep("deleted", used.wall, used)
    await measure_costs(folder, keep)
    FIGURES["hold"].samples["ours"] = [max(holds) * 1000]
    return FIGURES


def run() -> dict[str, Figure]:
    """Measure, in a folder of its own."""
    prepare()
    with TemporaryDirectory(prefix="broute-bench-", dir=CACHE.parent) as folder:
        return asyncio.run(measure(Path(folder)))
