"""The form of a blueprint, as a person fills it in."""

from functools import partial
from pathlib import Path

from homeassistant.util.yaml import load_yaml_dict
from playwright.async_api import Locator, expect
import pytest

from tests.demo.check import answers
from tests.demo.home_assistant import PROJECT
from tests.demo.integration import add_meter
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


async def test_the_peak_warning(person: Person, tmp_path: Path) -> None:
    """Each current has a field of its own, which offers the meter's currents only, and the limit is named."""
    words, page, client = person.words, person.page, person.home.hass.client
    path = FOLDER / f"peak_warning{'_ja' if words.lang == 'ja' else ''}.yaml"
    blueprint = load_yaml_dict(path)["blueprint"]
    fields = blueprint["input"]
    async with simulator(tmp_path, speed=20) as meter:
        await add_meter(client, answers(meter.port))
        await client.command(
            "blueprint/save", domain="automation", path=path.name, yaml=path.read_text(), allow_override=True
        )
        await page.goto("/config/blueprint/dashboard")
        await page.get_by_text(blueprint["name"]).first.click()
        editor = page.locator("blueprint-automation-editor")
        rows = editor.locator("ha-settings-row")
        await expect(rows).to_have_count(len(fields))
        for number, field in enumerate(fields.values()):
            await expect(rows.nth(number)).to_contain_text(field["name"])
        names = {key: words.ours(f"entity.sensor.{key}.name") for key in CURRENTS}
        for number, key in enumerate(fields):
            if key in CURRENTS:
                field = rows.nth(number).locator("ha-selector-entity")
                await expect(field).to_have_count(1)
                await field.locator("ha-picker-field").click()
                items = field.locator("ha-picker-combo-box ha-combo-box-item [slot=headline]")
                await until(partial(offered, items, set(names.values())), within=OPENING, pause=0.3)
                await items.get_by_text(names[key], exact=True).first.click()
                await expect(field.locator("ha-picker-field")).to_contain_text(names[key])
        limit = rows.nth(list(fields).index("method"))
        for option in fields["method"]["selector"]["select"]["options"]:
            await expect(limit).to_contain_text(option["label"])
