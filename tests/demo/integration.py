"""What a person does with the integration: add a meter, look at its sensors, choose them for the Energy dashboard."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import accumulate

from .client import Client, Json
from .process import Found, NotYet, StepError

DOMAIN = "broute"
PRICE = 31.0
"""Yen for a kWh taken from the grid."""
COMPENSATION = 8.5
"""Yen for a kWh fed into it."""
SOLAR = "demo:solar"
"""The statistic of what solar cells make."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sensor:
    """A sensor of the integration that is switched on."""

    entity_id: str
    key: str
    """Its translation key, which says what it measures."""
    device_class: str | None
    unit: str | None
    state: str
    reported: datetime
    """When this value came."""


async def add_meter(client: Client, answers: Mapping[str, object]) -> str:
    """Go through the config flow with answers to its questions; return the id of the entry."""
    step = await client.post("/api/config/config_entries/flow", handler=DOMAIN, show_advanced_options=False)
    while True:
        match step["type"]:
            case "create_entry":
                return str(step["result"]["entry_id"])
            case "form":
                step = await client.post(_resource(step), **_answers(step, answers))
            case "menu":
                step = await client.post(_resource(step), next_step_id=_kind(answers))
            case "progress":
                await asyncio.sleep(0.2)
                step = await client.get(_resource(step))
            case "abort":
                raise StepError(f"the config flow was aborted: {step['reason']}")
            case other:
                raise StepError(f"the config flow has a step that nobody expected: {other}")


def _kind(answers: Mapping[str, object]) -> str:
    """Return the way to the meter that a person chooses."""
    return "network" if str(answers["device"]).startswith("echonet:") else "new"


def _resource(step: Json) -> str:
    return f"/api/config/config_entries/flow/{step['flow_id']}"


def _answers(step: Json, answers: Mapping[str, object]) -> Mapping[str, object]:
    if step.get("errors"):
        raise StepError(f"the form {step['step_id']} shows {step['errors']}")
    fields = step["data_schema"] or []
    unanswered = [field["name"] for field in fields if field.get("required") and field["name"] not in answers]
    if unanswered:
        raise StepError(f"the form {step['step_id']} has fields that nobody expected: {unanswered}")
    return {field["name"]: answers[field["name"]] for field in fields if field["name"] in answers}


async def find_entry(client: Client) -> Json:
    """Return the entry of the meter, or None."""
    entries = await client.command("config_entries/get", domain=DOMAIN)
    return entries[0] if entries else None


async def find_sensors(client: Client) -> Mapping[str, Sensor]:
    """Return the sensors by their keys."""
    states = {state["entity_id"]: state for state in await client.command("get_states")}
    entities = [entity for entity in await client.command("config/entity_registry/list") if _is_ours(entity)]
    sensors = [_sensor(entity, states[entity["entity_id"]]) for entity in entities if entity["entity_id"] in states]
    return {sensor.key: sensor for sensor in sensors}


def _is_ours(entity: Json) -> bool:
    return entity["platform"] == DOMAIN and entity["entity_id"].startswith("sensor.") and not entity["disabled_by"]


def _sensor(entity: Json, state: Json) -> Sensor:
    return Sensor(
        entity_id=entity["entity_id"],
        key=entity["translation_key"],
        device_class=state["attributes"].get("device_class"),
        unit=state["attributes"].get("unit_of_measurement"),
        state=state["state"],
        reported=datetime.fromisoformat(state["last_reported"]),
    )


async def choose_for_energy(client: Client, sensors: Mapping[str, Sensor]) -> None:
    """Make the meter the grid connection of the Energy dashboard, with prices."""
    energy_in, energy_out, power = (sensors.get(key) for key in ("energy_in", "energy_out", "power"))
    if energy_in is None or power is None:
        raise StepError(f"there are no sensors of energy and power among {sorted(sensors)}")
    grid = {
        "type": "grid",
        "stat_energy_from": energy_in.entity_id,
        "stat_energy_to": energy_out.entity_id if energy_out else None,
        "stat_rate": power.entity_id,
        "stat_cost": None,
        "entity_energy_price": None,
        "number_energy_price": PRICE,
        "stat_compensation": None,
        "entity_energy_price_export": None,
        "number_energy_price_export": COMPENSATION if energy_out else None,
        "cost_adjustment_day": 0,
    }
    await client.command("energy/save_prefs", energy_sources=[grid])


ENERGIES = ("energy_in", "energy_out")


async def find_bars(
    client: Client, start: datetime, end: datetime, *, keys: Sequence[str] = ENERGIES
) -> Found[int] | NotYet:
    """Find a row of each sensor in the recorder for each hour between two times; return how many hours."""
    sensors = await find_sensors(client)
    if not sensors.keys() >= set(keys):
        return NotYet(f"the sensors are {sorted(sensors)}")
    ids = [sensors[key].entity_id for key in keys]
    rows = await client.command(
        "recorder/statistics_during_period",
        start_time=start.isoformat(),
        end_time=end.isoformat(),
        statistic_ids=ids,
        period="hour",
        types=["change"],
    )
    hours = (end - start) // timedelta(hours=1)
    found = [len(rows.get(statistic_id, ())) for statistic_id in ids]
    return Found(hours) if found == [hours] * len(ids) and hours > 0 else NotYet(f"{found} bars of {hours} each")


async def find_states(client: Client, keys: Sequence[str]) -> Found[str] | NotYet:
    """Find sensors by their keys, each with a value; return the values."""
    sensors = await find_sensors(client)
    states = [sensors[key].state if key in sensors else "missing" for key in keys]
    found = ", ".join(states)
    return NotYet(found) if {"missing", "unknown", "unavailable"} & set(states) else Found(found)


async def find_names(client: Client, texts: Mapping[str, str], device_id: str) -> Mapping[str, str]:
    """Return the names of the entities of a device that are switched on, by their keys in the translations."""
    entities = await client.command("config/entity_registry/list")
    keys = [
        f"entity.{entity['entity_id'].partition('.')[0]}.{entity['translation_key']}.name"
        for entity in entities
        if entity["device_id"] == device_id and not entity["disabled_by"]
    ]
    return {key: texts[key] for key in keys}


async def add_solar(client: Client, name: str, hours: Sequence[tuple[datetime, Decimal]]) -> None:
    """Let the Energy dashboard know what solar cells made in some hours, as another device would tell it."""
    sums = accumulate(energy for _, energy in hours)
    await client.command(
        "recorder/import_statistics",
        metadata={
            "has_mean": False,
            "mean_type": 0,
            "has_sum": True,
            "name": name,
            "source": SOLAR.partition(":")[0],
            "statistic_id": SOLAR,
            "unit_class": "energy",
            "unit_of_measurement": "kWh",
        },
        stats=[
            {"start": start.isoformat(), "state": float(total), "sum": float(total)}
            for (start, _), total in zip(hours, sums, strict=True)
        ],
    )
    sources = (await client.command("energy/get_prefs"))["energy_sources"]
    source = {"type": "solar", "stat_energy_from": SOLAR, "config_entry_solar_forecast": None}
    await client.command("energy/save_prefs", energy_sources=[*sources, source])
