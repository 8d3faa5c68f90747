"""What the meter tells beside its readings."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import ROUND_FLOOR, Decimal
from typing import TYPE_CHECKING

from homeassistant.const import STATE_OFF, STATE_ON, STATE_UNAVAILABLE, STATE_UNKNOWN
from homeassistant.helpers import entity_registry as er
from hypothesis import given, strategies as st
import pytest

from custom_components.broute.aiobroute import JST, MeterProfile, Reading, Values
from custom_components.broute.energy.details import Details

from ..aiobroute.virtual_time import START, clock
from ..home import DOMAIN, MAC, dongle, elapse, entry_of, set_up, state, until
from ..simulator import scenarios
from ..simulator.echonet import Esv

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant

    from ..simulator.scenarios import Scenario

FAULT = "binary_sensor.smart_meter_fault"
IMPORT = "sensor.smart_meter_energy_import"
PROFILE = MeterProfile.from_raw({"E1": "01", "D3": "00000001"})


INFC = replace(scenarios.NORMAL, radio=replace(scenarios.NORMAL.radio, announces=Esv.INFC))
LATE = replace(scenarios.NORMAL, radio=replace(scenarios.NORMAL.radio, announce_delay=timedelta(minutes=4)))
READING = Reading(power=None, current_r=None, current_t=None, energy_in=None, energy_out=None, rssi=None)


def entity_id(hass: HomeAssistant, key: str) -> str:
    """Return the entity that shows something."""
    found = er.async_get(hass).async_get_entity_id("sensor", DOMAIN, f"{MAC}_{key}")
    assert found is not None
    return found


async def shown(hass: HomeAssistant, key: str) -> str:
    """Enable an entity that few want, and return what it shows."""
    registry = er.async_get(hass)
    found = entity_id(hass, key)
    for entity in list(registry.entities.values()):
        if entity.disabled:
            registry.async_update_entity(entity.entity_id, disabled_by=None)
    await elapse(hass, 45)  # Home Assistant sets the entry up again by itself, half a minute later.
    return state(hass, found)


async def test_few_want_them(hass: HomeAssistant) -> None:
    with dongle(scenarios.SECOND_GENERATION) as sim:
        entry = entry_of(sim)
        await set_up(hass, entry)
        await elapse(hass, 5)
        entities = er.async_entries_for_config_entry(er.async_get(hass), entry.entry_id)
        disabled = {e.unique_id.removeprefix(f"{MAC}_"): e.entity_category for e in entities if e.disabled}
        assert disabled.keys() >= {"rssi", "clock_drift", "fixed_in", "fixed_time", "minute_in"}
        # Whose contract is measured by demand looks at it each day.
        assert disabled.pop("running_demand") is None
        assert set(disabled.values()) == {"diagnostic"}


async def test_they_cost_one_request_for_five_readings(hass: HomeAssistant) -> None:
    with dongle(scenarios.SECOND_GENERATION) as sim:
        await set_up(hass, entry_of(sim))
        await elapse(hass, 30)
        before = len(sim.record.datagrams_from_client)
        await elapse(hass, 1500)
        assert 24 + 4 <= len(sim.record.datagrams_from_client) - before <= 25 + 5


async def test_the_fault_status(hass: HomeAssistant) -> None:
    with dongle() as sim:
        await set_up(hass, entry_of(sim))
        await elapse(hass, 5)
        assert state(hass, FAULT) == STATE_OFF
        # The change is announced; nobody has to ask.
        sim.meter.device.set_faulty(faulty=True)
        asked = len(sim.record.datagrams_from_client)
        await elapse(hass, 5)
        assert state(hass, FAULT) == STATE_ON
        assert len(sim.record.datagrams_from_client) == asked
        sim.air.is_answering = False
        await elapse(hass, 100)
        assert state(hass, FAULT) == STATE_UNAVAILABLE


async def test_what_is_not_answered_is_unknown(hass: HomeAssistant) -> None:
    with dongle() as sim:
        await set_up(hass, entry_of(sim))
        await elapse(hass, 30)
        assert state(hass, FAULT) == STATE_OFF
        # The reading is answered, what is asked for right after it is not.
        await until(lambda: clock() - START > timedelta(seconds=300))
        asked = len(sim.record.datagrams_from_client)
        await until(lambda: len(sim.record.datagrams_from_client) == asked + 2)
        sim.air.is_answering = False
        await elapse(hass, 40)
        assert state(hass, FAULT) == STATE_UNKNOWN
        assert state(hass, IMPORT) != STATE_UNAVAILABLE


@pytest.mark.parametrize(("scenario", "confirmations"), [(scenarios.NORMAL, 0), (INFC, 1)])
async def test_a_pushed_counter_is_shown_at_once(hass: HomeAssistant, scenario: Scenario, confirmations: int) -> None:
    with dongle(scenario) as sim:
        await set_up(hass, entry_of(sim))
        await elapse(hass, 30)
        before = Decimal(state(hass, IMPORT))
        # Whatever the meter is asked, it pushes the truth.
        sim.meter.device.values[0xE0] = bytes.fromhex(f"{int(before * 10):08X}")
        sent = 0
        while state(hass, IMPORT) == str(before):
            sent = len(sim.record.datagrams_from_client)
            await asyncio.sleep(0.1)
        half_hour = clock().replace(minute=30, second=0, microsecond=0)
        true = sim.meter.energy_in(half_hour).quantize(Decimal("0.1"), rounding=ROUND_FLOOR)
        assert Decimal(state(hass, IMPORT)) == true > before
        assert len(sim.record.datagrams_from_client) - sent == confirmations
        assert await shown(hass, "fixed_in") == str(true)
        assert datetime.fromisoformat(state(hass, entity_id(hass, "fixed_time"))) == half_hour


async def test_a_notification_older_than_the_last_reading_changes_nothing(hass: HomeAssistant) -> None:
    with dongle(LATE) as sim:
        await set_up(hass, entry_of(sim))
        seen = [Decimal(state(hass, IMPORT))]
        for _ in range(40):
            await elapse(hass, 60)
            seen.append(Decimal(state(hass, IMPORT)))
        assert seen == sorted(seen)
        assert seen[-1] > seen[0]


async def test_the_counters_of_a_second_generation_meter(hass: HomeAssistant) -> None:
    with dongle(scenarios.SECOND_GENERATION) as sim:
        await set_up(hass, entry_of(sim))
        await elapse(hass, 5)
        minute = Decimal(await shown(hass, "minute_in"))
        assert 0 <= sim.meter.energy_in(clock()) - minute < Decimal("0.2")


async def test_the_strength_of_the_radio(hass: HomeAssistant) -> None:
    with dongle(module="bp35c2") as sim:
        await set_up(hass, entry_of(sim))
        assert -100 < float(await shown(hass, "rssi")) < 0


@pytest.mark.parametrize("seconds", [-400, -30, 0, 30, 400])
async def test_the_drift_of_the_meter_s_clock(hass: HomeAssistant, seconds: int) -> None:
    meter = replace(scenarios.NORMAL.meter, clock_offset=timedelta(seconds=seconds))
    with dongle(replace(scenarios.NORMAL, meter=meter)) as sim:
        await set_up(hass, entry_of(sim))
        await elapse(hass, 5)
        drift = float(await shown(hass, "clock_drift"))
        # The meter shows no seconds: up to a minute of the difference cannot be seen.
        assert abs(drift) <= abs(seconds)
        assert abs(drift - seconds) <= 60


kwh = st.integers(0, 9_999_999).map(lambda count: f"{count:08X}")
moments = st.datetimes(datetime(2020, 1, 1), datetime(2099, 1, 1))  # noqa: DTZ001  # as the meter shows it


@given(kwh, kwh, moments, st.integers(-86_400, 86_400))
def test_a_pushed_counter_neither_lowers_a_reading_nor_replaces_a_later_one(
    read: str, pushed: str, fixed: datetime, later: int
) -> None:
    at = f"{fixed.year:04X}{fixed.month:02X}{fixed.day:02X}{fixed.hour:02X}{fixed.minute:02X}00"
    values = Values({0xEA: bytes.fromhex(at + pushed), 0xEB: bytes.fromhex(f"{at}FFFFFFFE")})
    reading = replace(READING, energy_in=PROFILE.energy(int(read, 16)))
    read_at = fixed.replace(second=0, tzinfo=JST) + timedelta(seconds=later)
    newest = Details().told(values, PROFILE).newest(reading, read_at)
    assert newest.energy_in in {int(read, 16) * Decimal("0.1"), int(pushed, 16) * Decimal("0.1")}
    assert newest.energy_in is not None
    rise = newest.energy_in - int(read, 16) * Decimal("0.1")
    # 50 kW, and a minute that the meter's clock does not show.
    assert 0 <= rise <= Decimal(50) * max(0, abs(later) + 60) / 3600
    assert rise == 0 or later < 60
    assert newest.energy_out is None


@pytest.mark.parametrize("minutes", [-4, 0, 4])
async def test_a_counter_from_before_it_began_again_is_not_shown_after_it(hass: HomeAssistant, minutes: int) -> None:
    meter = replace(scenarios.NORMAL.meter, clock_offset=timedelta(minutes=minutes))
    with dongle(replace(scenarios.NORMAL, meter=meter)) as sim:
        sim.meter.counters.set(energy_in=Decimal("99999.0"))
        await set_up(hass, entry := entry_of(sim))
        half_hour = START.replace(minute=30, second=0)
        await until(lambda: (fixed := entry.runtime_data.details.fixed_in) is not None and fixed.time == half_hour)
        await elapse(hass, 70)
        sim.meter.counters.set(energy_in=Decimal("0.3"))
        # Only a second reading proves that it began again.
        await until(lambda: state(hass, IMPORT) < "1")
        sim.meter.device.set_faulty(faulty=True)
        await until(lambda: state(hass, FAULT) == STATE_ON)
        assert float(state(hass, IMPORT)) < 1


@given(st.integers(-86_400, 86_400), st.integers(0, 86_400), st.integers(0, 120))
def test_a_clock_that_shows_no_seconds(offset: int, seconds: int, took: int) -> None:
    now = START + timedelta(seconds=seconds)
    shown = (now + timedelta(seconds=offset)).astimezone(JST)
    raw = {0x97: f"{shown.hour:02X}{shown.minute:02X}", 0x98: f"{shown.year:04X}{shown.month:02X}{shown.day:02X}"}
    values = Values({code: bytes.fromhex(text) for code, text in raw.items()})
    answered = now + timedelta(seconds=took)
    drift = Details().asked(values, PROFILE, answered, timedelta(seconds=took)).clock_drift
    assert drift is not None
    assert abs(drift.total_seconds() - offset) <= 60 + took
    assert abs(drift.total_seconds()) <= abs(offset)
