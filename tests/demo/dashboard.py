"""The page that a person pastes as a dashboard, on a meter with a plan."""

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Final

from homeassistant.util.yaml import load_yaml

from .client import Client, Json
from .home_assistant import PROJECT
from .integration import DOMAIN, find_entry, find_sensors
from .process import Found, NotYet, StepError, until

if TYPE_CHECKING:
    from pathlib import Path

PATH: Final = "broute-page"
"""A path of a dashboard has a hyphen."""

HALF_HOUR: Final = "half_hour_in"
WAIT: Final = 300.0
"""Seconds until the costs are there; some twenty are normal."""

FORMS: Final[Mapping[str, Mapping[str, object]]] = {
    "user": {"next_step_id": "other"},
    "contract": {
        "name": "従量電灯B",
        "valid_from": "2020-01-01",
        "energy": "steps",
        "basic": "ampere",
        "billing_day": 10,
    },
    "steps": {"limits": "120, 300", "prices": "29.80, 36.40, 40.49"},
    "basic": {"ampere_price": "311.75", "amperes": "40", "is_halved": True},
    "adjustments": {"levies": "2025: 3.98\n2026: 4.18", "total_rounding": "down", "levy_rounding": "down"},
    "feed_in": {"feed_in": "16.00", "is_feed_in_by_hours": False},
}
"""What an invented bill says, by the steps of the flow."""


def page_of(lang: str) -> Path:
    """Return the file of the page."""
    return PROJECT / "docs" / f"dashboard.{lang}.yaml"


async def add_plan(
    client: Client, forms: Mapping[str, Mapping[str, object]] = FORMS, *, in_dashboard: bool = False
) -> None:
    """Type in a plan; its costs may be shown in the Energy dashboard."""
    forms = {**forms, "dashboard": {"in_dashboard": in_dashboard}}
    entry = await find_entry(client)
    resource = "/api/config/config_entries/subentries/flow"
    step = await client.post(resource, handler=[entry["entry_id"], "plan"])
    while step["type"] in {"form", "menu"}:
        if step.get("errors") or step["step_id"] not in forms:
            raise StepError.unexpected("the form of a plan", step)
        step = await client.post(f"{resource}/{step['flow_id']}", **forms[step["step_id"]])


async def prepare(client: Client) -> None:
    """Do what the page needs: a plan, and the sensor of the half-hours."""
    await add_plan(client)
    await show_half_hours(client)


async def show_half_hours(client: Client) -> None:
    """Enable the sensor of the half-hours, and wait until the page has all that it shows."""
    half_hour = await until(partial(_half_hours, client), within=WAIT)
    await client.command("config/entity_registry/update", entity_id=half_hour, disabled_by=None)
    entry = await find_entry(client)
    await client.post(f"/api/config/config_entries/entry/{entry['entry_id']}/reload")
    await until(partial(_costs, client), within=WAIT)


async def _half_hours(client: Client) -> Found[str] | NotYet:
    for entity in await client.command("config/entity_registry/list"):
        if (entity["platform"], entity["translation_key"]) == (DOMAIN, HALF_HOUR):
            return Found(str(entity["entity_id"]))
    return NotYet(f"there is no {HALF_HOUR}")


async def _costs(client: Client) -> Found[str] | NotYet:
    sensors = await find_sensors(client)
    for key in ("period_cost", "period_peak", HALF_HOUR):
        if key not in sensors or sensors[key].state in {"unavailable", "unknown"}:
            return NotYet(f"there is no {key}")
    cost = sensors["period_cost"]
    states = {state["entity_id"]: state["attributes"] for state in await client.command("get_states")}
    # The running half-hour, and the one before, may not be known yet.
    if (unknown := states[cost.entity_id]["hours_unknown"]) > 1:
        return NotYet(f"{unknown} hours of the period are not known")
    return Found(cost.state)


async def paste(client: Client, lang: str) -> Json:
    """Make a dashboard of the page; return its content."""
    content: Json = load_yaml(page_of(lang))
    await client.command(
        "lovelace/dashboards/create", url_path=PATH, title=content["title"], mode="storage", show_in_sidebar=True
    )
    await client.command("lovelace/config/save", url_path=PATH, config=content)
    return content


async def remove(client: Client) -> None:
    """Delete the dashboard."""
    for dashboard in await client.command("lovelace/dashboards/list"):
        if dashboard["url_path"] == PATH:
            await client.command("lovelace/dashboards/delete", dashboard_id=dashboard["id"])
