"""What a person with a bill does: type in a plan, and look at yesterday's cost."""

from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
import re
from typing import TYPE_CHECKING

from playwright.async_api import expect
import pytest

from custom_components.broute.energy.terms import LEVIES
from tests.demo.browser import go_back
from tests.demo.check import answers
from tests.demo.dashboard import FORMS, add_plan
from tests.demo.integration import DOMAIN, add_meter, choose_for_energy, find_bars, find_sensors
from tests.demo.process import Found, NotYet, until
from tests.demo.simulator import TOKYO, simulator

from .conftest import Person

if TYPE_CHECKING:
    from tests.demo.client import Client

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(900)]

WAIT = 300.0
"""Seconds until the costs of some days are there; some twenty are normal."""

STEPS = ((Decimal(120), Decimal("29.80")), (Decimal(300), Decimal("36.40")), (Decimal("Infinity"), Decimal("40.49")))
"""kWh of a month, and yen up to there."""
BASIC = 4 * Decimal("311.75")


async def type_in_plan(person: Person) -> None:
    """Type in three steps from an invented bill, in the dialog that a person opens."""
    words, page, dialog = person.words, person.page, person.dialog

    async def see(step: str) -> None:
        # Home Assistant ends a connection that says nothing for a minute, and on a busy machine this takes longer.
        await person.home.entries()
        await expect(dialog.title).to_have_text(words.ours(f"config_subentries.plan.step.{step}.title"))

    await person.open_integration()
    row = page.locator("ha-config-entry-row")
    await row.locator("ha-dropdown > ha-icon-button").first.click()
    await row.get_by_role("menuitem", name=words.ours("config_subentries.plan.initiate_flow.user")).click()
    await see("user")
    await dialog.element.get_by_text(words.ours("config_subentries.plan.step.user.menu_options.three_steps")).click()
    await see("contract")
    await dialog.fill({"name": "従量電灯B"})
    await dialog.submit()
    await see("steps")
    await dialog.fill({"limits": "300, 120", "prices": "29.80, 36.40, 40.49"})
    await dialog.submit()
    # What is wrong is said at its field.
    await expect(dialog.form.get_by_text(words.ours("config_subentries.plan.error.steps_fall"))).to_be_visible()
    await dialog.fill({"limits": "120, 300"})
    await dialog.submit()
    await see("basic")
    await dialog.fill({"ampere_price": "311.75", "amperes": "40"})
    await dialog.submit()
    await see("adjustments")
    await dialog.submit()
    await see("feed_in")
    await dialog.submit()
    await see("dashboard")
    await expect(dialog.form.get_by_role("switch").first).to_be_checked()
    await dialog.submit()
    await dialog.finish()


async def compare_plans(person: Person) -> None:
    """Have an offer, too, and do what the page about plans says: the action, in the developer tools."""
    words, page, client = person.words, person.page, person.home.hass.client
    contract = {**FORMS["contract"], "name": "新プラン", "energy": "one", "basic": "none", "valid_from": "2099-01-01"}
    await add_plan(client, {**FORMS, "contract": contract, "price": {"price": "31"}})
    await page.goto(f"/config/tools/action?service={DOMAIN}.compare_plans")
    call = words.frontend("panel.config.tools.tabs.actions.call_service")
    await page.get_by_role("button", name=call).click()
    answer = page.locator("ha-card", has_text=words.frontend("panel.config.tools.tabs.actions.response"))
    text = answer.locator(".cm-content")
    for name in ("従量電灯B", "新プラン"):
        await expect(text).to_contain_text(name)
    shown = await text.inner_text()
    (cost, offer), (energy, same) = [re.findall(rf"\b{key}: ([\d.]+)", shown) for key in ("cost", "energy")]
    assert energy == same
    # The offer has one price, and the levy, and nothing a month.
    assert Decimal(31) * Decimal(energy) < Decimal(offer) < Decimal(36) * Decimal(energy)
    assert cost != offer


def cost_of(day: date, before: Decimal, energy: Decimal) -> Decimal:
    """Return yen for the kWh of a day, by the bill of its month, on which others were before."""
    first = day.replace(day=1)
    following = (first + timedelta(days=31)).replace(day=1)
    # The bill of May is the first one with the levy of the year.
    levy = LEVIES[max(year for year in LEVIES if year <= (first.year if first.month >= 4 else first.year - 1))]
    yen, lower = levy * energy + BASIC / (following - first).days, Decimal(0)
    for upper, price in STEPS:
        yen += price * max(min(before + energy, upper) - max(before, lower), Decimal(0))
        lower = upper
    return yen


async def find_cost(client: Client, begin: datetime, yen: Decimal) -> Found[float] | NotYet:
    """Find what the bars of a day add up to, if that is right."""
    sensors = await find_sensors(client)
    if "cost" not in sensors:
        return NotYet(f"the sensors are {sorted(sensors)}")
    rows = await client.command(
        "recorder/statistics_during_period",
        start_time=begin.isoformat(),
        end_time=(begin + timedelta(days=1)).isoformat(),
        statistic_ids=[sensors["cost"].entity_id],
        period="hour",
        types=["change"],
    )
    found = sum(row["change"] or 0 for row in rows.get(sensors["cost"].entity_id, ()))
    return Found(found) if abs(found - float(yen)) < 0.01 else NotYet(f"yesterday cost {found} yen, not {yen}")


async def test_a_plan_from_a_bill(person: Person, tmp_path: Path) -> None:
    """Three steps, typed in; then the Energy dashboard has yesterday's cost, though the plan is new."""
    client, page = person.home.hass.client, person.page
    async with simulator(tmp_path, speed=20) as meter:
        await add_meter(client, answers(meter.port))
        await choose_for_energy(client, await find_sensors(client))
        yesterday = datetime.now(TOKYO).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=1)
        first = yesterday.replace(day=1)
        await until(partial(find_bars, client, first, yesterday + timedelta(days=1)), within=WAIT, pause=0.3)
        await type_in_plan(person)
        month, begin, end = [await meter.truth(at) for at in (first, yesterday, yesterday + timedelta(days=1))]
        yen = cost_of(yesterday.date(), begin.energy_in - month.energy_in, end.energy_in - begin.energy_in)
        found = await until(partial(find_cost, client, yesterday, yen), within=WAIT, pause=0.5)
        await page.goto("/energy/electricity")
        await go_back(page, person.words, 1)
        row = page.locator(
            "hui-energy-sources-table-card tr", has_text=person.words.ours("entity.sensor.energy_in.name")
        )
        await expect(row).to_contain_text(re.compile(rf"\D{round(found):,}(?![\d,])"))
        await compare_plans(person)
