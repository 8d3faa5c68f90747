"""Every function of momonga beside its twin here, on one simulated meter whose clock stands still."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import date, datetime, time
from decimal import Decimal
import json
from pathlib import Path
from typing import Any

from custom_components.broute.aiobroute import JST, Counters, Credentials, SmartMeter, connect
from custom_components.broute.aiobroute.echonet import properties as p
from tests.simulator import scenarios
from tests.simulator.dongle import Dongle
from tests.simulator.meter import MeterSettings, Reverse
from tests.simulator.process import ROOT
from tests.simulator.scenarios import PASSWORD, ROUTE_B_ID, Scenario
from tests.simulator.serve import Terminal

PEER = ROOT / ".venv-peers" / "bin" / "python"
NOW = datetime(2026, 11, 23, 14, 37, 20, tzinfo=JST)
HALF_HOUR = datetime(2026, 11, 23, 14, 30, tzinfo=JST)
MINUTE = datetime(2026, 11, 23, 14, 37, tzinfo=JST)
SCENARIO = Scenario(
    summary="a second-generation meter with solar cells and a coefficient",
    meter=MeterSettings(release="R", solar=True, coefficient=2, reverse=Reverse.COUNTED, digits=8),
    radio=scenarios.NO_NOTICES.radio,
)

MOMONGA = """
import datetime, json, sys
from momonga import Momonga

def plain(value):
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (set, frozenset)):
        return sorted(f"{int(item):02X}" for item in value)
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, bytes):
        return value.hex().upper()
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    return value

half_hour, minute = datetime.datetime(2026, 11, 23, 14, 30), datetime.datetime(2026, 11, 23, 14, 37)
meter = Momonga("0123456789ABCDEF0123456789ABCDEF", "0123456789AB", sys.argv[1])
meter.internal_xmit_interval = 0.0
with meter:
    calls = {
        "get_historical_cumulative_energy_2": {"timestamp": half_hour, "num_of_data_points": 12},
        "get_historical_cumulative_energy_3": {"timestamp": minute, "num_of_data_points": 10},
        "get_historical_cumulative_energy_1": {"day": 1},
    }
    names = sorted(name for name in dir(meter) if name.startswith("get_") and name != "get_notification")
    order = [name for name in names if "time_for" not in name and "day_for" not in name]
    found = {name: plain(getattr(meter, name)(**calls.get(name, {}))) for name in order}
    found |= {name: plain(getattr(meter, name)()) for name in names if name not in found}
    for name in names:
        if "reverse" in getattr(meter, name).__code__.co_varnames:
            found[name + ", reverse"] = plain(getattr(meter, name)(reverse=True, **calls.get(name, {})))
print(json.dumps(found))
"""


def number(value: Decimal | int | None) -> float | None:
    return None if value is None else float(value)


def both(counters: Counters) -> dict[str, Any]:
    return {
        "timestamp": counters.start.replace(tzinfo=None).isoformat(),
        "cumulative energy": {
            "normal direction": number(counters.energy_in),
            "reverse direction": number(counters.energy_out),
        },
    }


def value_of[T](row: p.Property[T], show: Callable[[T], Any]) -> Callable[[SmartMeter], Awaitable[Any]]:
    async def twin(meter: SmartMeter) -> Any:
        value = await meter.value(row)
        assert value is not None
        return show(value)

    return twin


def energy_of(row: p.Property[int]) -> Callable[[SmartMeter], Awaitable[Any]]:
    async def twin(meter: SmartMeter) -> Any:
        count = await meter.value(row)
        return number(meter.profile.energy(count))

    return twin


def fixed_of(row: p.Property[p.FixedTimeCount]) -> Callable[[SmartMeter], Awaitable[Any]]:
    async def twin(meter: SmartMeter) -> Any:
        value = await meter.value(row)
        assert value is not None
        at = value.time.replace(tzinfo=None).isoformat()
        return {"timestamp": at, "cumulative energy": number(meter.profile.energy(value.count))}

    return twin


async def minute_energy(meter: SmartMeter) -> Any:
    value = await meter.value(p.MINUTE_ENERGY)
    assert value is not None
    counters = Counters(
        start=value.time,
        energy_in=meter.profile.energy(value.counts.energy_in),
        energy_out=meter.profile.energy(value.counts.energy_out),
    )
    return both(counters)


def day(direction: str) -> Callable[[SmartMeter], Awaitable[Any]]:
    async def twin(meter: SmartMeter) -> Any:
        return [number(getattr(counters, direction)) async for read in meter.history.days([1]) for counters in read]

    return twin


async def half_hours(meter: SmartMeter) -> Any:
    return [both(counters) for counters in reversed(await meter.history.half_hours(HALF_HOUR, 12))]


async def minutes(meter: SmartMeter) -> Any:
    return [both(counters) for counters in reversed(await meter.history.minutes(MINUTE, 10))]


def selector(value: p.HistorySelector) -> Any:
    assert value.time is not None
    return {"timestamp": value.time.replace(tzinfo=None).isoformat(), "number of data points": value.length}


def codes(value: frozenset[int]) -> list[str]:
    return [f"{code:02X}" for code in sorted(value)]


TWINS: dict[str, Callable[[SmartMeter], Awaitable[Any]]] = {
    "get_operation_status": value_of(p.OPERATION_STATUS, bool),
    # Deliberately a number: naming the place is up to the caller.
    "get_installation_location": value_of(p.INSTALLATION_LOCATION, lambda code: {0: "location not set"}[code]),
    "get_standard_version": value_of(p.STANDARD_VERSION, str),
    "get_fault_status": value_of(p.FAULT_STATUS, bool),
    "get_manufacturer_code": value_of(p.MANUFACTURER_CODE, str),
    "get_serial_number": value_of(p.SERIAL_NUMBER, str),
    "get_current_time_setting": value_of(p.CURRENT_TIME, time.isoformat),
    "get_current_date_setting": value_of(p.CURRENT_DATE, date.isoformat),
    "get_properties_for_status_notification": value_of(p.NOTIFICATION_MAP, codes),
    "get_properties_to_set_values": value_of(p.SET_MAP, codes),
    "get_properties_to_get_values": value_of(p.GET_MAP, codes),
    # Deliberately one value: only its maker's part has a meaning outside the utility.
    "get_route_b_id": value_of(
        p.ROUTE_B_ID, lambda text: {"manufacturer code": text[2:8], "authentication id": text[8:]}
    ),
    "get_one_minute_measured_cumulative_energy": minute_energy,
    "get_coefficient_for_cumulative_energy": value_of(p.COEFFICIENT, int),
    "get_number_of_effective_digits_for_cumulative_energy": value_of(p.EFFECTIVE_DIGITS, int),
    "get_measured_cumulative_energy": energy_of(p.ENERGY_IN),
    "get_measured_cumulative_energy, reverse": energy_of(p.ENERGY_OUT),
    "get_unit_for_cumulative_energy": value_of(p.ENERGY_UNIT, number),
    "get_historical_cumulative_energy_1": day("energy_in"),
    "get_historical_cumulative_energy_1, reverse": day("energy_out"),
    "get_day_for_historical_data_1": value_of(p.HISTORY_DAY, int),
    "get_instantaneous_power": value_of(p.POWER, int),
    "get_instantaneous_current": value_of(
        p.CURRENTS, lambda phases: {"r phase current": number(phases[0]), "t phase current": number(phases[1])}
    ),
    "get_cumulative_energy_measured_at_fixed_time": fixed_of(p.FIXED_TIME_IN),
    "get_cumulative_energy_measured_at_fixed_time, reverse": fixed_of(p.FIXED_TIME_OUT),
    "get_historical_cumulative_energy_2": half_hours,
    "get_historical_cumulative_energy_3": minutes,
    "get_time_for_historical_data_2": value_of(p.HALF_HOURS_SELECTOR, selector),
    "get_time_for_historical_data_3": value_of(p.MINUTES_SELECTOR, selector),
}
"""What each function of momonga is called here, and how its answer is said in momonga's words."""


def approximately(value: Any) -> Any:
    """Momonga's energies are binary floating point numbers."""
    match value:
        case float():
            return round(value, 6)
        case list():
            return [approximately(item) for item in value]
        case dict():
            return {key: approximately(item) for key, item in value.items()}
    return value


async def test_each_function_has_a_twin_that_agrees(tmp_path: Path) -> None:
    link = tmp_path / "dongle"
    dongle = Dongle(SCENARIO, speed=200, clock=lambda: NOW)
    terminal = Terminal(dongle, link)
    try:
        peer = await asyncio.create_subprocess_exec(
            PEER, "-c", MOMONGA, link, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        output, errors = await peer.communicate()
        assert peer.returncode == 0, errors.decode()
        theirs = json.loads(output)
        async with await connect(str(link), Credentials(ROUTE_B_ID, PASSWORD)) as meter:
            ours = {name: await twin(meter) for name, twin in TWINS.items()}
    finally:
        terminal.close()
    assert set(theirs) == set(ours)
    # Deliberately different: momonga dates a day by the clock of its host, we by the meter's.
    for name in ("get_historical_cumulative_energy_1", "get_historical_cumulative_energy_1, reverse"):
        theirs[name] = [row["cumulative energy"] for row in theirs[name]]
    for name, value in theirs.items():
        assert approximately(value) == approximately(ours[name]), name
