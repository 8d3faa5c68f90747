"""The form of a blueprint, as a person fills it in."""

from functools import partial
from pathlib import Path
import re
from typing import Any

from homeassistant.util.yaml import load_yaml_dict
from playwright.async_api import Locator, expect
import pytest

from tests.demo.check import answers
from tests.demo.home_assistant import PROJECT
from tests.demo.integration import DOMAIN, add_meter
from tests.demo.process import Found, NotYet, until
from tests.demo.simulator import simulator

from .conftest import Person

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(900)]

FOLDER = PROJECT / "blueprints" / "automation" / "broute"
CURRENTS = ("current", "current_r", "current_t")

OPENING = 60.0
"""Seconds until a list is open; one is normal."""


async def offered(items: Locator, wanted: set[str]) -> Found[int] | NotYet:
    """Find exactly these names in a list."""
    names = {text.strip() for text in await items.all_inner_texts()} - {""}
    return Found(len(names)) if names == wanted else NotYet(f"{sorted(names)} are offered")


async def show_form(person: Person, name: str) -> tuple[dict[str, Any], Locator]:
    """Import a blueprint and open the form of a new automation; return the fields, and their rows."""
    words, page, client = person.words, person.page, person.home.hass.client
    path = FOLDER / f"{name}{'_ja' if words.lang == 'ja' else ''}.yaml"
    blueprint = load_yaml_dict(path)["blueprint"]
    await client.command(
        "blueprint/save", domain="automation", path=path.name, yaml=path.read_text(), allow_override=True
    )
    await page.goto("/config/blueprint/dashboard")
    await page.get_by_text(blueprint["name"]).first.click()
    rows = page.locator("blueprint-automation-editor ha-settings-row")
    await expect(rows).to_have_count(len(blueprint["input"]))
    for number, field in enumerate(blueprint["input"].values()):
        await expect(rows.nth(number)).to_contain_text(field["name"])
    return blueprint["input"], rows


async def choose_entity(row: Locator, name: str, wanted: set[str]) -> None:
    """Choose an entity in a field that offers exactly those that fit."""
    field = row.locator("ha-selector-entity")
    await expect(field).to_have_count(1)
    await field.locator("ha-picker-field").click()
    items = field.locator("ha-picker-combo-box ha-combo-box-item [slot=headline]")
    await until(partial(offered, items, wanted), within=OPENING, pause=0.3)
    await items.get_by_text(name, exact=True).first.click()
    await expect(field.locator("ha-picker-field")).to_contain_text(name)


async def test_the_peak_warning(person: Person, tmp_path: Path) -> None:
    """Each current has a field of its own, which offers the meter's currents only, and the limit is named."""
    words = person.words
    async with simulator(tmp_path, speed=20) as meter:
        await add_meter(person.home.hass.client, answers(meter.port))
        fields, rows = await show_form(person, "peak_warning")
        names = {key: words.ours(f"entity.sensor.{key}.name") for key in CURRENTS}
        for number, key in enumerate(fields):
            if key in CURRENTS:
                await choose_entity(rows.nth(number), names[key], set(names.values()))
        limit = rows.nth(list(fields).index("method"))
        for option in fields["method"]["selector"]["select"]["options"]:
            await expect(limit).to_contain_text(option["label"])


async def test_the_demand_warning(person: Person, tmp_path: Path) -> None:
    """The field offers the demand of the running half-hour only, and the automation is made of it."""
    words, page, client = person.words, person.page, person.home.hass.client
    async with simulator(tmp_path, speed=20) as meter:
        await add_meter(client, answers(meter.port))
        (demand,) = [
            entity["entity_id"]
            for entity in await client.command("config/entity_registry/list")
            if (entity["platform"], entity["translation_key"]) == (DOMAIN, "running_demand")
        ]
        await client.command("config/entity_registry/update", entity_id=demand, disabled_by=None)
        await person.open_integration()
        await person.reload()
        fields, rows = await show_form(person, "demand_warning")
        name = words.ours("entity.sensor.running_demand.name")
        await choose_entity(rows.nth(list(fields).index("demand")), name, {name})
        await page.get_by_role("button", name=words.frontend("common.save")).click()
        await expect(page).to_have_url(re.compile(r"/config/automation/edit/\d+$"))
        made = await client.get(f"/api/config/automation/config/{page.url.rpartition('/')[2]}")
        assert made["use_blueprint"]["input"] == {"demand": demand}
