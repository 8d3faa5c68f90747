"""What an entity said that a half-hour costs: by pure arithmetic, and in a real recorder with outages."""

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from hypothesis import example, given, strategies as st
import pytest

from custom_components.broute.energy.price_history import (
    NoPriceError,
    Run,
    async_prices,
    constant,
    held,
    price_of,
    segments,
)
from custom_components.broute.energy.prices import KeptPrices

from ..aiobroute.virtual_time import START, clock
from .test_backfill import MINUTE, house, live

if TYPE_CHECKING:
    from ..soak.installation import Installation

BEGIN = 1_750_000_000 // 1800 * 1800
HALF_HOUR = 1800
ENTITY = "sensor.market"


@pytest.mark.parametrize(
    ("state", "unit", "price"),
    [
        ("12.34", "JPY/kWh", "12.34"),
        ("-0.01", "円/kWh", "-0.01"),
        ("12340", "JPY/MWh", "12.34"),
        ("12.5", "¥/kWh", "12.5"),
        ("1.2e1", "yen / kWh", "12"),
        ("0.0125", "JPY/Wh", "12.5"),
    ],
)
def test_prices_and_their_units(state: str, unit: str, price: str) -> None:
    assert price_of(state, unit) == Decimal(price)


@pytest.mark.parametrize(
    ("state", "unit", "key"),
    [
        ("unavailable", "JPY/kWh", "price_unavailable"),
        ("Infinity", "JPY/kWh", "price_unavailable"),
        ("0.25", "EUR/kWh", "price_unit"),
        ("12", "JPY", "price_unit"),
        ("12", None, "price_unit"),
        ("-1000.01", "JPY/kWh", "price_too_high"),
    ],
)
def test_what_is_no_price(state: str, unit: str | None, key: str) -> None:
    with pytest.raises(NoPriceError) as caught:
        price_of(state, unit)
    assert caught.value.key == key


def slowly(changes: list[tuple[float, int | None]], runs: list[Run], begin: int, end: int) -> dict[int, int]:
    """Return the prices second by second."""
    found = {}
    for start in range(begin, end, HALF_HOUR):
        seconds: Counter[int] = Counter()
        for second in range(start, start + HALF_HOUR):
            run = next((run for run in runs if run.begin <= second < run.end), None)
            if run is not None:
                inside = [price for at, price in changes if run.begin <= at <= second]
                if inside and inside[-1] is not None:
                    seconds[inside[-1]] += 1
        if seconds.total() * 2 >= HALF_HOUR:
            most = max(seconds.values())
            winners = {price for price, count in seconds.items() if count == most}
            found[start] = min(winners) if len(winners) == 1 else -1
    return found


@example([(900, 1)], [])
@given(
    st.lists(st.tuples(st.integers(0, 3 * HALF_HOUR - 1), st.one_of(st.none(), st.integers(1, 3))), max_size=6),
    st.lists(st.integers(1, 3 * HALF_HOUR - 1), max_size=3, unique=True),
)
def test_each_half_hour_has_the_price_that_was_there_longest(
    changes: list[tuple[int, int | None]], ends: list[int]
) -> None:
    # Home Assistant is off for ten minutes now and then.
    runs, since = [], 0
    for end in sorted(ends):
        if end > since:
            runs.append(Run(BEGIN + since, BEGIN + end))
            since = end + 600
    runs.append(Run(BEGIN + since, BEGIN + 3 * HALF_HOUR + 600))
    by_time = {BEGIN + at: price for at, price in changes}
    ordered: list[tuple[float, int | None]] = [(at, by_time[at]) for at in sorted(by_time)]
    end = BEGIN + 3 * HALF_HOUR
    wanted = slowly(ordered, runs, BEGIN, end)
    found = held(segments(ordered, runs, end), BEGIN, end)
    assert found.keys() == wanted.keys()
    assert all(found[start] == price for start, price in wanted.items() if price != -1)


HOUR = 3600


@pytest.mark.parametrize(
    ("rows", "hours"),
    [
        ([12.5, 12.5, 12.5], [1]),
        ([12.5, 12.5, 12.5, 12.5], [1, 2]),
        ([12.5, 12.5, None], []),
        ([12.5, 12.5, (12.5, 13.0)], []),
        ([12.0, 12.5, 12.5, 12.5], [2]),
        ([(12.5, 13.0)] * 4, []),
        ([(None, None)] * 4, []),
        ([1000.5] * 4, []),
    ],
)
def test_a_price_is_that_of_an_hour_if_the_hours_beside_it_have_no_other(
    rows: list[float | tuple[float | None, float | None] | None], hours: list[int]
) -> None:
    known = {
        BEGIN + number * HOUR: row if isinstance(row, tuple) else (row, row)
        for number, row in enumerate(rows)
        if row is not None
    }
    wanted = {BEGIN + number * HOUR + part: 12_500_000 for number in hours for part in (0, HALF_HOUR)}
    assert constant(known, "JPY/kWh", BEGIN, BEGIN + 4 * HOUR) == wanted
    assert constant(known, "JPY", BEGIN, BEGIN + 4 * HOUR) == {}
    # Only hours that are within the time as a whole.
    within = {at: price for at, price in wanted.items() if BEGIN + HOUR <= at < BEGIN + 2 * HOUR}
    assert constant(known, "JPY/kWh", BEGIN + HOUR, BEGIN + 2 * HOUR) == within
    assert constant(known, "JPY/kWh", BEGIN + HOUR + 1, BEGIN + 2 * HOUR) == {}
    assert constant(known, "JPY/kWh", BEGIN + HOUR, BEGIN + 2 * HOUR - 1) == {}


def tell(home: Installation, state: str) -> None:
    home.hass.states.async_set(ENTITY, state, {"unit_of_measurement": "JPY/kWh"})


async def read(home: Installation) -> dict[datetime, Decimal]:
    """Return what is known of the prices since the start."""
    await home.hass.async_add_executor_job(home.hass.data["recorder_instance"].block_till_done)
    found = await async_prices(home.hass, ENTITY, int(START.timestamp()), int(clock().timestamp()))
    return {datetime.fromtimestamp(at, UTC): Decimal(price) / 10**6 for at, price in found.items()}


@pytest.mark.parametrize("is_killed", [False, True])
def test_no_half_hour_has_the_price_of_another(tmp_path: Path, *, is_killed: bool) -> None:
    async def story() -> None:
        async with house(tmp_path) as (home, _):
            await home.start()
            first = START.replace(minute=0, second=0, microsecond=0)
            first += timedelta(minutes=30) * -((first - START) // timedelta(minutes=30))
            truth: dict[datetime, Decimal] = {}

            async def until(at: datetime) -> None:
                await asyncio.sleep((at - clock()).total_seconds())

            async def live_through(hours: int, begin: datetime) -> datetime:
                for number in range(2 * hours):
                    start = begin + number * timedelta(minutes=30)
                    await until(start + timedelta(seconds=20))
                    truth[start] = Decimal(10 + len(truth))
                    tell(home, str(truth[start]))
                end = begin + hours * timedelta(hours=1)
                await until(end + timedelta(seconds=1))
                return end

            at = await live_through(2, first)
            # It says nothing for an hour.
            tell(home, "unavailable")
            await until(at + timedelta(hours=1))
            at = await live_through(1, at + timedelta(hours=1))
            assert await read(home) == truth
            # Home Assistant is off for an hour and a half.
            await (home.kill() if is_killed else home.stop())
            await until(at + timedelta(minutes=85))
            await home.start()
            await until(at + timedelta(minutes=90))
            at = await live_through(1, at + timedelta(minutes=90))
            found = await read(home)
            if is_killed:
                # What was not on disk is lost with it.
                assert found.items() <= truth.items()
                assert len(found) >= len(truth) - 1
            else:
                assert found == truth

    live(story)


def test_prices_are_kept_when_the_recorder_forgets_them(tmp_path: Path) -> None:
    async def story() -> None:
        async with house(tmp_path) as (home, _):
            await home.start()
            tell(home, "12.5")
            await asyncio.sleep(95 * MINUTE)
            first, now = int(START.timestamp()), int(clock().timestamp())
            kept = KeptPrices(home.hass, "a")
            await kept.async_load()
            await kept.async_update({ENTITY}, first, now)
            assert set(kept.known[ENTITY].values()) == {12_500_000}
            assert len(kept.known[ENTITY]) >= 2
            changes = dict(kept.changes)
            assert changes == {f"{START:%Y-%m}": 1}
            await kept.async_update({ENTITY}, first, now)
            assert kept.changes == changes
            # A plan that begins earlier needs what is older.
            earlier = KeptPrices(home.hass, "b")
            await earlier.async_load()
            await earlier.async_update({ENTITY}, first + HALF_HOUR, now)
            assert earlier.known[ENTITY].items() < kept.known[ENTITY].items()
            await earlier.async_update({ENTITY}, first, now)
            assert earlier.known == kept.known
            # What is kept follows when the entity gets another id.
            earlier.rename({ENTITY: "sensor.another"})
            assert earlier.known == {"sensor.another": kept.known[ENTITY]}
            assert earlier.changes == {f"{START:%Y-%m}": 3}
            again = KeptPrices(home.hass, "a")
            await again.async_load()
            assert again.known == kept.known
            (file,) = (tmp_path / ".storage").glob("broute_prices.a.*")
            file.write_text("{")
            damaged = KeptPrices(home.hass, "a")
            await damaged.async_load()
            assert not damaged.known
            await damaged.async_update({ENTITY}, first, now)
            assert damaged.known == kept.known
            await damaged.async_remove()
            await earlier.async_remove()
            assert not list((tmp_path / ".storage").glob("broute_prices.*"))

    live(story)


def test_the_statistics_of_an_hour_say_nothing_of_a_half_hour_without_a_price(tmp_path: Path) -> None:
    """The only price of an hour is that of both half-hours where nothing tells better, and of one where states do."""

    async def story() -> None:
        async with house(tmp_path, import_history=False, interval=300) as (home, _):
            await home.start()
            first = START.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)

            async def until(hours: float) -> None:
                await asyncio.sleep((first + timedelta(hours=hours) - clock()).total_seconds())

            def tell_measured(state: str) -> None:
                attributes = {"unit_of_measurement": "JPY/kWh", "state_class": "measurement"}
                home.hass.states.async_set(ENTITY, state, attributes)

            await until(0)
            tell_measured("12.5")
            await until(2.5)
            tell_measured("unavailable")
            await until(3)
            tell_measured("12.5")
            # Home Assistant is off from 4:40 to 5:40, and what it tells afterwards is no price of before.
            await until(4.65)
            await home.stop()
            await until(5.65)
            await home.start()
            tell_measured("12.5")
            await until(7.05)
            found = await read(home)
            silent = {first + timedelta(hours=hours) for hours in (2.5, 4.5, 5)}
            wanted = {first + timedelta(minutes=30 * number) for number in range(14)} - silent
            assert {at for at in found if at >= first} == wanted
            assert set(found.values()) == {Decimal("12.5")}
            # Nobody knows any more when it was silent; when Home Assistant was off, the rows tell.
            await home.hass.services.async_call("recorder", "purge", {"keep_days": 0}, blocking=True)
            await asyncio.sleep(3 * MINUTE)
            found = await read(home)
            assert {first + timedelta(hours=hours) for hours in (1, 1.5, 2)} <= found.keys()
            assert not {first + timedelta(hours=hours) for hours in (4, 4.5, 5, 5.5)} & found.keys()

    live(story)


def test_the_statistics_of_an_hour_say_nothing_of_a_price_that_ended_in_it(tmp_path: Path) -> None:
    """It is told some seconds late, so that the row of an hour of silence has the price of before."""

    async def story() -> None:
        async with house(tmp_path, import_history=False, interval=300) as (home, _):
            await home.start()
            first = START.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
            told = ("9", "10", "12", "12", None, None, "15", "16", None, "11", *["20"] * 10)
            for number, price in enumerate(told):
                at = first + timedelta(minutes=30 * number, seconds=15)
                await asyncio.sleep((at - clock()).total_seconds())
                attributes = {"unit_of_measurement": "JPY/kWh", "state_class": "measurement"}
                home.hass.states.async_set(ENTITY, price or "unavailable", attributes)
            await asyncio.sleep(95 * MINUTE)
            truth = {
                first + timedelta(minutes=30 * number): Decimal(price) for number, price in enumerate(told) if price
            }
            assert truth.items() <= (await read(home)).items()
            await home.hass.services.async_call("recorder", "purge", {"keep_days": 0}, blocking=True)
            await asyncio.sleep(3 * MINUTE)
            found = await read(home)
            known = {at: price for at, price in found.items() if at < first + timedelta(minutes=30 * len(told))}
            assert known.items() <= truth.items()
            # The first hour of the last price begins with another one, and the second has that beside it.
            assert known.keys() == {first + timedelta(minutes=30 * number) for number in range(14, 20)}

    live(story)
