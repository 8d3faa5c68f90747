"""The plausibility of a counter: every true value passes, no single wrong one does."""

from decimal import Decimal
from typing import TYPE_CHECKING

from homeassistant.const import STATE_UNKNOWN
from hypothesis import given, strategies as st

from custom_components.broute.aiobroute import MeterProfile
from custom_components.broute.energy.plausibility import PlausibilityFilter
from custom_components.broute.energy.statistics import FASTEST

from ..home import dongle, elapse, entry_of, set_up, state, until

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant

IMPORT = "sensor.smart_meter_energy_import"
PROFILE = MeterProfile.from_raw({"E1": "01", "D3": "00000001", "D7": "06"})
SPAN = 1_000_000

seconds = st.integers(1, 100_000)
counts = st.integers(0, SPAN - 1)


def kwh(count: int) -> Decimal:
    return count * Decimal("0.1")


@given(counts, st.lists(st.tuples(seconds, st.integers(0, 100)), max_size=20))
def test_what_can_be_true_passes(first: int, steps: list[tuple[int, int]]) -> None:
    counter, at, count = PlausibilityFilter(PROFILE), 0, first
    assert counter.check(kwh(count), at) == kwh(count)
    for pause, percent in steps:
        at += pause
        count = (count + int(FASTEST * pause * 10 * percent / 100 / 3600)) % SPAN
        assert counter.check(kwh(count), at) == kwh(count)


@given(counts, counts, seconds)
def test_a_single_wrong_value_never_passes(count: int, wrong: int, pause: int) -> None:
    counter = PlausibilityFilter(PROFILE)
    counter.check(kwh(count), 0)
    rise = kwh((wrong - count) % SPAN)
    is_possible = rise <= Decimal(FASTEST) * pause / 3600 + kwh(1)
    assert counter.check(kwh(wrong), pause) == (kwh(wrong) if is_possible else None)
    if not is_possible:
        assert counter.check(kwh(count), pause + 60) == kwh(count)


@given(counts, counts, seconds)
def test_what_is_said_twice_is_accepted(count: int, new: int, pause: int) -> None:
    counter = PlausibilityFilter(PROFILE)
    counter.check(kwh(count), 0)
    counter.check(kwh(new), pause)
    assert counter.check(kwh(new), pause + 60) == kwh(new)


def test_two_different_wrong_values_do_not_confirm_each_other() -> None:
    counter = PlausibilityFilter(PROFILE)
    assert counter.check(kwh(5000), 0) == kwh(5000)
    assert counter.check(kwh(90_000), 60) is None
    assert counter.check(kwh(10), 120) is None
    assert counter.check(kwh(5003), 180) == kwh(5003)


def test_no_value_is_no_value() -> None:
    counter = PlausibilityFilter(MeterProfile.from_raw({}))
    assert counter.check(None, 0) is None
    assert counter.check(Decimal(7), 60) == 7
    # Nobody knows where this one begins again.
    assert counter.check(Decimal(6), 120) is None


async def test_a_wrong_byte_never_reaches_the_sensor(hass: HomeAssistant) -> None:
    with dongle() as sim:
        await set_up(hass, entry_of(sim))
        await elapse(hass, 30)  # From now on, between two polls.
        true = Decimal(state(hass, IMPORT))
        for wrong in ("00000000", "000F423F", "00070000"):
            sim.meter.device.once[0xE0] = bytes.fromhex(wrong)
            await elapse(hass, 60)
            assert not sim.meter.device.once
            assert state(hass, IMPORT) == STATE_UNKNOWN
            await elapse(hass, 60)
            assert 0 <= Decimal(state(hass, IMPORT)) - true < 1


async def test_a_counter_that_really_jumped_is_shown_after_the_second_look(hass: HomeAssistant) -> None:
    with dongle() as sim:
        await set_up(hass, entry_of(sim))
        await elapse(hass, 30)  # From now on, between two polls.
        sim.meter.device.values[0xE0] = bytes.fromhex("00000064")
        await elapse(hass, 60)
        assert state(hass, IMPORT) == STATE_UNKNOWN
        await elapse(hass, 60)
        assert state(hass, IMPORT) == "10.0"


async def test_a_wrong_value_right_after_a_restart(hass: HomeAssistant) -> None:
    with dongle() as sim:
        entry = entry_of(sim)
        await set_up(hass, entry)
        true = Decimal(state(hass, IMPORT))
        for wrong in ("00000000", "000F423F"):
            sim.meter.device.once[0xE0] = bytes.fromhex(wrong)
            await hass.config_entries.async_reload(entry.entry_id)
            await hass.async_block_till_done()
            assert not sim.meter.device.once
            assert state(hass, IMPORT) == STATE_UNKNOWN
            await elapse(hass, 70)
            assert 0 <= Decimal(state(hass, IMPORT)) - true < 1


async def test_news_of_other_kinds_confirm_nothing(hass: HomeAssistant) -> None:
    with dongle() as sim:
        await set_up(hass, entry_of(sim))
        # What is asked for now and then comes right after the sixth reading.
        await elapse(hass, 290)
        sim.meter.device.once[0xE0] = bytes.fromhex("000F423F")
        await until(lambda: not sim.meter.device.once)
        await elapse(hass, 15)
        assert state(hass, IMPORT) == STATE_UNKNOWN
