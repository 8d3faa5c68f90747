"""Whether an energy soak would notice anything, and the command line that runs many."""

from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Final, Literal

import pytest

from .aiobroute.virtual_time import START, clock
from .simulator.meter import Meter, MeterSettings
from .soak.__main__ import main
from .soak.compare import differences
from .soak.energy import EnergyResult, energy_soak, energy_story, heal
from .soak.former import border_of, continue_former
from .soak.house import DAY, HOUR, Service
from .soak.many import Order, run, seeds_of
from .soak.network import LAN
from .soak.outages import OUTAGES

if TYPE_CHECKING:
    from .soak.house import House

EXCHANGE: Final = datetime(2026, 11, 20, 16, 10, tzinfo=START.tzinfo)
NOON: Final = EXCHANGE.replace(hour=12, minute=0)

type Bars = dict[datetime, Decimal]


def hours(first: datetime, count: int) -> list[datetime]:
    return [first + HOUR * number for number in range(count)]


def exchange() -> tuple[list[Service], Bars]:
    """Return two meters, the second a used one, and bars that are right."""
    old = Meter(MeterSettings(unit=0x02, digits=7), clock)
    new = Meter(MeterSettings(unit=0x02, digits=7, seed=2, installed=EXCHANGE - 20 * DAY), clock)
    new.counters.set(Decimal(4321))
    services = [
        Service(meter=old, mac="A", begin=START - 200 * DAY, end=EXCHANGE, since=NOON - DAY, heard=EXCHANGE),
        Service(meter=new, mac="B", begin=EXCHANGE, since=EXCHANGE),
    ]
    services[0].known |= set(hours(NOON - 12 * HOUR, 16))
    services[1].known |= set(hours(NOON + 5 * HOUR, 12))
    shown = {hour: service.counted("energy_in", hour, hour + HOUR) for service in services for hour in service.known}
    half = NOON + 4.5 * HOUR
    shown[NOON + 4 * HOUR] = services[1].counted("energy_in", half, half + HOUR / 2)
    return services, shown


def test_bars_that_are_right() -> None:
    wrong, lost = differences(*arguments(*exchange()))
    assert not wrong
    assert lost == 0


def arguments(services: list[Service], shown: Bars) -> tuple[list[Service], Literal["energy_in"], Bars]:
    return services, "energy_in", dict(sorted(shown.items()))


def test_a_bar_that_is_off_by_one_count() -> None:
    services, shown = exchange()
    shown[NOON] += Decimal("0.01")
    wrong, lost = differences(*arguments(services, shown))
    assert [text[:23] for text in wrong] == ["2026-11-20 12 energy_in"]
    assert lost == Decimal("0.01")


def test_energy_that_is_shown_in_another_hour() -> None:
    services, shown = exchange()
    shown[NOON] += Decimal("0.01")
    shown[NOON + HOUR] -= Decimal("0.01")
    wrong, lost = differences(*arguments(services, shown))
    assert len(wrong) == 2
    assert lost == 0


def test_a_hole() -> None:
    services, shown = exchange()
    del shown[NOON]
    wrong, lost = differences(*arguments(services, shown))
    assert "None, in truth" in wrong[0]
    assert lost > 0


def test_bars_of_the_hour_before() -> None:
    services, shown = exchange()
    wrong, _ = differences(*arguments(services, {hour + HOUR: bar for hour, bar in shown.items()}))
    assert len(wrong) > 15


@pytest.mark.parametrize("kwh", [Decimal(4321), Decimal("-0.01"), Decimal(2)])
def test_a_difference_of_two_meters(kwh: Decimal) -> None:
    services, shown = exchange()
    shown[NOON + 4 * HOUR] = kwh
    wrong, lost = differences(*arguments(services, shown))
    assert "at the exchange" in wrong[0]
    assert lost == 0


@pytest.mark.parametrize("hour", [3, 4])
def test_a_difference_of_two_meters_whose_clocks_do_not_agree(hour: int) -> None:
    services, shown = exchange()
    services[1].begin = services[0].end = services[0].heard = EXCHANGE - HOUR / 5
    services[0].known = {known for known in services[0].known if known < NOON + 3 * HOUR}
    shown[NOON + 3 * HOUR] = services[0].counted("energy_in", NOON + 3 * HOUR, EXCHANGE - HOUR / 5)
    shown[NOON + 4 * HOUR] = services[1].counted("energy_in", NOON + 4 * HOUR, NOON + 5 * HOUR)
    assert not differences(*arguments(services, shown))[0]
    shown[NOON + hour * HOUR] += 5
    wrong, _ = differences(*arguments(services, shown))
    assert "at the exchange" in wrong[0]


def test_what_the_old_meter_counted_last_is_missing() -> None:
    services, shown = exchange()
    services[1].begin = services[0].end = services[0].heard = EXCHANGE + HOUR / 1.5
    shown[NOON + 4 * HOUR] = Decimal(0)
    wrong, _ = differences(*arguments(services, shown))
    assert "at the exchange" in wrong[0]


@pytest.mark.parametrize(("hour", "kwh"), [(30, "50.01"), (30, "-0.01")])
def test_a_bar_that_cannot_be(hour: int, kwh: str) -> None:
    services, shown = exchange()
    shown |= dict.fromkeys(hours(NOON + 17 * HOUR, hour - 17), Decimal(0)) | {NOON + HOUR * hour: Decimal(kwh)}
    wrong, _ = differences(*arguments(services, shown))
    assert "which cannot be" in wrong[0]


def test_another_house_s_energy() -> None:
    services, shown = exchange()
    shown |= dict.fromkeys(hours(NOON - 36 * HOUR, 24), Decimal(4))
    wrong, _ = differences(*arguments(services, shown))
    assert [" in all, of " in text for text in wrong] == [True]


def test_a_counter_that_begins_again() -> None:
    meter = Meter(MeterSettings(unit=0x02, digits=7), clock)
    meter.counters.set(Decimal("99999.9"))
    service = Service(meter=meter, mac="A", begin=START, since=START)
    assert 1 < service.counted("energy_in", START, START + 5 * HOUR) < 10


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE statistics SET sum = sum + 0.3 WHERE id = {row}",
        "DELETE FROM statistics WHERE id = {row}",
        "DELETE FROM statistics",
    ],
)
def test_a_row_that_somebody_changed(statement: str) -> None:
    async def live(house: House, _: EnergyResult) -> None:
        await heal(house, clock())
        (row,) = house.database.column("SELECT max(id) - 30 FROM statistics")
        house.database.execute(statement.format(row=row))

    result = energy_story(MeterSettings(history_days=14), live)
    assert result.wrong
    assert result.hours > 280


def test_a_row_that_nobody_changed() -> None:
    async def live(house: House, _: EnergyResult) -> None:
        await heal(house, clock())

    assert not energy_story(MeterSettings(history_days=14), live).failures


@pytest.mark.parametrize(
    "statement",
    ["UPDATE statistics SET sum = sum + 0.3 WHERE id = {row}", "DELETE FROM statistics WHERE id = {row}", None],
)
def test_an_hour_of_another_sensor_that_somebody_changed(statement: str | None) -> None:
    async def live(house: House, _: EnergyResult) -> None:
        await house.last(60, 61)
        await continue_former(house)
        await heal(house, clock())
        ours = f"statistic_id = '{house.entity_id('energy_in')}' AND start_ts < {border_of(house).timestamp()}"
        tables = "statistics JOIN statistics_meta ON metadata_id = statistics_meta.id"
        (row,) = house.database.column(f"SELECT min(statistics.id) + 30 FROM {tables} WHERE {ours}")  # noqa: S608  # ours
        if statement is not None:
            house.database.execute(statement.format(row=row))

    result = energy_story(MeterSettings(history_days=14), live)
    assert bool(result.wrong) is (statement is not None), result.wrong
    assert all("by the other sensor" in text for text in result.wrong), result.wrong


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_an_outage_of_each_kind_that_concerns_the_database_with_the_history_of_another_sensor() -> None:
    async def live(house: House, result: EnergyResult) -> None:
        await house.last(60, 61)
        await continue_former(house)
        for name in ("database lost", "older database put back", "statistics cleared", "backup restored"):
            await OUTAGES[name](house)
            await heal(house, clock())
        result.is_continued = bool(house.home.entry.runtime_data.history.continues())

    result = energy_story(MeterSettings(history_days=14, solar=True), live)
    assert not result.failures
    assert result.is_continued


def test_nothing_was_compared() -> None:
    async def live(house: House, _: EnergyResult) -> None:
        # At a stop in the first moments, the recorder closes its database under those that have just begun to read.
        await house.last(900, 901)

    assert energy_story(MeterSettings(history_days=14), live).failures == ["no hour was compared"]


def test_a_warning() -> None:
    async def live(house: House, _: EnergyResult) -> None:
        await heal(house, clock())
        with house.disk_full():
            await house.last(900, 901)
        house.database.refuse_statistics()
        await house.last(900, 901)

    warnings = energy_story(MeterSettings(history_days=14), live).warnings
    assert 3 <= warnings.total() < 9


def test_a_list_of_seeds() -> None:
    assert seeds_of("1,5,9-12") == [1, 5, 9, 10, 11, 12]
    with pytest.raises(ValueError, match="invalid literal"):
        seeds_of("1-x")


@pytest.mark.timeout(300)
def test_many_seeds(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--energy", "--hours", "8", "--seeds", "3,4", "--history-days", "14"])
    head, *lines, summary, verdict = capsys.readouterr().out.splitlines()
    assert "wrong" in head
    assert {int(line.split()[0]) for line in lines if line.endswith((" ok", " failed"))} == {3, 4}
    assert summary.startswith("2 seeds, ")
    assert verdict.startswith(("all of them right", "failed: "))


def test_a_seed_that_breaks_off_is_one_that_failed() -> None:
    told: list[str] = []
    order = Order(days=1, module="none of ours", history_days=None, recorder="sqlite")
    assert run(order, [3, 4], told.append) == 2
    _, *lines, summary, verdict = told
    assert sorted(line.split(":")[0].strip() for line in lines) == ["3 broke off", "4 broke off"]
    assert summary.startswith("0 seeds, ")
    assert verdict == "failed: 3, 4"


@pytest.mark.timeout(300)
@pytest.mark.slow
def test_costs_are_compared_too() -> None:
    result = energy_soak(2 / 24, 3, history_days=14, has_costs=True)
    assert result.failures == []
    assert result.costs is not None
    assert result.costs > 70
    assert "no bar of costs was compared" in replace(result, costs=0).failures


@pytest.mark.own_loop
@pytest.mark.usefixtures("home_network")
def test_a_meter_of_the_network_that_is_exchanged() -> None:
    async def live(house: House, _: EnergyResult) -> None:
        begin = clock()
        await house.last(7200, 7200)
        house.note(begin)
        house.exchange(
            replace(house.sim.meter.settings, serial="S26000000001", seed=2), (Decimal(4321), Decimal(0)), clock()
        )
        await house.confirm_exchange()
        await heal(house, clock())

    result = energy_story(MeterSettings(unit=0x02, digits=7, history_days=14), live, module=LAN)
    assert not result.failures
    assert result.hours > 100
