"""The statistics of another sensor, put into a recorder as Home Assistant's own commands do it."""

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from homeassistant.data_entry_flow import FlowResultType

from .recorder import ask, written

if TYPE_CHECKING:
    from homeassistant.config_entries import ConfigFlowResult
    from homeassistant.core import HomeAssistant

    from .soak.installation import Installation

REMO: Final = "sensor.remo_energy"
HOUR: Final = timedelta(hours=1)
KWH: Final = Decimal(1)

type Bars = Mapping[datetime, Decimal]


def use_of(hour: datetime) -> Decimal:
    """Return the kWh of an hour in a house of which only the other sensor knows."""
    return Decimal((hour.timetuple().tm_yday * 31 + hour.hour * 7) % 23) / 10


def hours(first: datetime, last: datetime, *holes: tuple[datetime, datetime]) -> dict[datetime, Decimal]:
    """Return what was used in each hour between two times but for some holes."""
    found = {first + number * HOUR: use_of(first + number * HOUR) for number in range((last - first) // HOUR)}
    return {hour: kwh for hour, kwh in found.items() if not any(begin <= hour < end for begin, end in holes)}


async def put(
    hass: HomeAssistant,
    bars: Bars,
    statistic_id: str = REMO,
    *,
    unit: str = "kWh",
    kwh: Decimal = KWH,
    begun: str = "0",
) -> None:
    """Import bars as the statistics of a sensor; a unit has so many kWh."""
    total = Decimal(begun)
    rows = []
    for hour, bar in bars.items():
        total += bar / kwh
        rows.append({"start": hour.isoformat(), "sum": float(total), "state": float(total % 100_000)})
    await put_rows(hass, rows, statistic_id, unit=unit)


async def put_rows(hass: HomeAssistant, rows: list[dict[str, Any]], statistic_id: str = REMO, *, unit: str) -> None:
    """Import rows as the statistics of a sensor, or as external ones."""
    is_external = ":" in statistic_id
    metadata = {
        "mean_type": 0,
        "has_sum": True,
        "name": "Elsewhere" if is_external else None,
        "source": statistic_id.split(":", maxsplit=1)[0] if is_external else "recorder",
        "statistic_id": statistic_id,
        "unit_class": "energy",
        "unit_of_measurement": unit,
    }
    for begin in range(0, len(rows), 500):
        await ask(hass, "recorder/import_statistics", metadata=metadata, stats=rows[begin : begin + 500])
    await written(hass)


async def choose(home: Installation, step: str = "continue_history") -> ConfigFlowResult:
    """Open the options and choose one of them."""
    options = home.hass.config_entries.options
    flow = await options.async_init(home.entry.entry_id)
    assert flow["type"] is FlowResultType.MENU
    return await options.async_configure(flow["flow_id"], {"next_step_id": step})


async def configure(home: Installation, flow: ConfigFlowResult, **typed: Any) -> ConfigFlowResult:
    """Fill in a form."""
    return await home.hass.config_entries.options.async_configure(flow["flow_id"], typed)


async def continue_history(home: Installation, **chosen: str) -> str:
    """Continue other sensors; return what was told before."""
    flow = await configure(home, await choose(home), **chosen)
    assert flow["step_id"] == "preview", flow
    assert flow["description_placeholders"] is not None
    told = flow["description_placeholders"]["history"]
    flow = await configure(home, flow)
    assert flow["type"] is FlowResultType.CREATE_ENTRY
    await asyncio.sleep(60)
    return told


async def undo(home: Installation) -> str:
    """Undo it; return what was told before."""
    flow = await choose(home, "undo_history")
    assert flow["description_placeholders"] is not None
    told = flow["description_placeholders"]["history"]
    flow = await configure(home, flow)
    assert flow["type"] is FlowResultType.CREATE_ENTRY
    await asyncio.sleep(60)
    return told
