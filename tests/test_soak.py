"""Short soaks, and whether a soak would notice anything."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from .aiobroute.virtual_time import VirtualTimeLoop
from .home import dongle, elapse, entry_of, set_up
from .simulator import scenarios
from .simulator.dongle import MODULES
from .soak.__main__ import main
from .soak.run import Readings, Result, soak
from .soak.truth import Total, Truth

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant

POWER = "sensor.smart_meter_power"


@pytest.mark.parametrize(("seed", "module"), enumerate(MODULES))
def test_hours_of_trouble(seed: int, module: str) -> None:
    result = soak(4, seed, module)
    assert not result.failures
    assert result.injected.total() > 10
    assert result.comparisons > 1000
    assert 0 < result.airtime < 36


def test_a_seed_brings_the_same_again(capsys: pytest.CaptureFixture[str]) -> None:
    reports = []
    for _ in range(2):
        assert main(["--hours", "1", "--seed", "3"]) == 0
        reports.append(capsys.readouterr().out)
    assert reports[0] == reports[1]


def test_a_failure_says_how_to_see_it_again(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--hours", "2", "--seed", "3", "--limit", "0", "--calm", "0.2"]) == 1
    report = capsys.readouterr().out
    assert "slow: " in report
    assert report.endswith("Again: scripts/soak --hours 2 --seed 3 --module bp35c2 --limit 0 --calm 0.2\n")


def test_everything_that_must_not_be_is_a_failure() -> None:
    result = Result(
        limit=10, slowest={"noise": 11, "silence": 9}, wrong=["power"], energy_lost=Decimal("0.01"), airtime=37
    )
    result.leaks |= {"tasks": 1, "timers": 0, "descriptors": -1}
    result.unexpected["Traceback"] += 2
    kinds = [failure.split(":")[0].split(",")[0] for failure in result.failures]
    assert kinds == ["nothing compared", "airtime", "slow", "wrong", "energy lost", "leaked", "unexpected"]
    assert not Result(limit=10, comparisons=1, airtime=36).failures


def test_readings_that_do_not_come_are_counted() -> None:
    readings = Readings()
    for gap, trouble in (
        (60, "-"),
        (62, "-"),
        (69, "noise"),
        (71, "noise"),
        (88, "noise"),
        (119, "silence"),
        (660, "off"),
    ):
        readings.add(gap, trouble)
    assert (readings.due, readings.came, readings.late, readings.missing) == (18, 7, 4, 11)
    assert readings.gaps == {"noise": 88, "silence": 119, "off": 660}
    assert readings.share == pytest.approx(38.9, abs=0.1)
    assert Readings().share == 0


def test_a_calm_house_is_read_each_minute() -> None:
    readings = soak(1, 0, "bp35c2", calm=30_000).readings
    assert readings.due > 100
    assert (readings.came, readings.late) == (readings.due, 0)


def test_time_goes_on_after_a_year() -> None:
    async def wait() -> float:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(2**25)
        done = asyncio.Event()
        loop.call_at(loop.time(), done.set)
        await done.wait()
        return loop.time()

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        assert runner.run(wait()) == 2**25


@pytest.mark.timeout(20)
def test_time_goes_on_after_threads_that_are_gone_were_asked_for_something() -> None:
    """A recorder that has just stopped takes no more jobs."""

    async def ask() -> None:
        gone = ThreadPoolExecutor()
        gone.shutdown()
        with pytest.raises(RuntimeError):
            await asyncio.get_running_loop().run_in_executor(gone, int)
        await asyncio.sleep(60)

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(ask())


async def test_a_wrong_value_is_noticed(hass: HomeAssistant) -> None:
    with dongle(scenarios.SOLAR) as sim:
        truth = Truth(sim)
        truth.attach(hass)
        await set_up(hass, entry_of(sim))
        await elapse(hass, 600)
        assert truth.comparisons > 30
        assert not truth.wrong
        hass.states.async_set(POWER, "4711")
        await hass.async_block_till_done()
        assert "power 4711" in truth.wrong.pop()


async def test_an_old_value_is_noticed(hass: HomeAssistant) -> None:
    with dongle() as sim:
        truth = Truth(sim)
        await set_up(hass, entry_of(sim))
        device = sim.meter.device
        device.values |= {code: device.read(code) or b"" for code in (0xE0, 0xE7, 0xE8)}
        truth.look(hass)
        assert not truth.wrong
        await elapse(hass, 2800)
        truth.look(hass)
        assert {text.split()[2] for text in truth.wrong} >= {"power", "energy_in"}


@pytest.mark.parametrize(
    ("values", "lost"),
    [
        (["100", "100.5", "103"], "0"),
        # A fall by less than a tenth takes away what came by mistake before.
        (["100", "102", "101", "103"], "0"),
        # Any other is taken for a new counter: a single zero would be worth everything that was ever counted.
        (["100", "0", "103"], "100"),
        # What is never said is missing.
        (["100", "102"], "1"),
    ],
)
def test_energy_that_is_missing_or_too_much_is_noticed(values: list[str], lost: str) -> None:
    total = Total()
    for value in values:
        total.add(Decimal(value))
    assert total.lost(Decimal(103), Decimal(103)) == Decimal(lost)


def test_a_new_counter_is_no_loss() -> None:
    total = Total()
    total.add(Decimal(100))
    total.add(Decimal(101))
    total.exchanged()
    total.add(Decimal("0.5"))
    assert total.sum == Decimal("1.5")
    assert total.lost(Decimal("0.5"), Decimal("0.5")) == 0
