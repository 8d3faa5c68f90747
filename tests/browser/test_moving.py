"""What a person does who has three years of statistics of another sensor."""

from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from playwright.async_api import expect
import pytest

from tests.demo.check import answers
from tests.demo.integration import add_meter, find_bars, find_sensors
from tests.demo.process import Found, NotYet, until
from tests.demo.simulator import TOKYO, simulator

from .conftest import Person

if TYPE_CHECKING:
    from tests.demo.client import Client
    from tests.demo.flow_dialog import FlowDialog

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(900)]

THEIRS: Final = "sensor.remo_energy"
"""Of a sensor that is no more; its statistics are."""
YEARS: Final = 3 * 365
HOUR: Final = timedelta(hours=1)
AT_ONCE: Final = 5000
WAIT: Final = 300.0
"""Seconds until all hours are written or gone; ten to twenty are normal."""


def bar(number: int) -> Decimal:
    """Return the kWh of an hour."""
    return Decimal(number % 17) / 10


async def put(client: Client, first: datetime, hours: int) -> None:
    """Import hours in Wh, as an integration does."""
    total = Decimal(0)
    rows = []
    for number in range(hours):
        total += bar(number) * 1000
        rows.append({"start": (first + number * HOUR).isoformat(), "sum": float(total), "state": float(total)})
    metadata = {
        "mean_type": 0,
        "has_sum": True,
        "name": None,
        "source": "recorder",
        "statistic_id": THEIRS,
        "unit_class": "energy",
        "unit_of_measurement": "Wh",
    }
    for begin in range(0, hours, AT_ONCE):
        await client.command("recorder/import_statistics", metadata=metadata, stats=rows[begin : begin + AT_ONCE])


async def added_up(client: Client, statistic_id: str, first: datetime, end: datetime) -> tuple[int, float]:
    """Return how many hours have a bar, and what they add up to."""
    rows = await client.command(
        "recorder/statistics_during_period",
        start_time=first.isoformat(),
        end_time=end.isoformat(),
        statistic_ids=[statistic_id],
        period="hour",
        units={"energy": "kWh"},
        types=["change"],
    )
    bars = [row["change"] or 0 for row in rows.get(statistic_id, ())]
    return len(bars), round(sum(bars), 3)


async def find_hours(
    client: Client, statistic_id: str, first: datetime, end: datetime, due: tuple[int, float]
) -> Found[None] | NotYet:
    """Find so many hours that add up to so many kWh."""
    hours, energy = await added_up(client, statistic_id, first, end)
    is_there = hours == due[0] and abs(energy - due[1]) < 0.01
    return Found(None) if is_there else NotYet(f"{hours} hours with {energy} kWh, not {due}")


async def choose(person: Person, item: str) -> FlowDialog:
    """Open the options, and choose one of them."""
    await person.open_integration()
    cogwheel = person.words.frontend("panel.config.integrations.config_entry.configure")
    await person.page.locator("ha-config-entry-row").get_by_role("button", name=cogwheel, exact=True).click()
    dialog = person.dialog
    await expect(dialog.title).to_have_text(person.words.ours("options.step.menu.title"))
    await dialog.element.get_by_text(person.words.ours(f"options.step.menu.menu_options.{item}"), exact=True).click()
    await expect(dialog.title).to_have_text(person.words.ours(f"options.step.{item}.title"))
    return dialog


async def test_three_years_of_another_sensor_are_continued_and_undone(person: Person, tmp_path: Path) -> None:
    """Previewed, done, in the Energy dashboard, and undone again."""
    client, page, words = person.home.hass.client, person.page, person.words
    async with simulator(tmp_path, speed=20) as meter:
        await add_meter(client, {**answers(meter.port), "energy": False})
        today = datetime.now(TOKYO).replace(hour=0, minute=0, second=0, microsecond=0)
        # The simulated meter remembers 99 days, today among them.
        ours, first = today - timedelta(days=98), today - timedelta(days=YEARS + 98)
        await until(partial(find_bars, client, ours, today), within=WAIT, pause=0.5)
        await put(client, first, 24 * (YEARS + 98))
        theirs = 24 * (YEARS + 98), float(sum(bar(number) for number in range(24 * (YEARS + 98))))
        await until(partial(find_hours, client, THEIRS, first, today, theirs), within=WAIT, pause=0.5)
        await client.command(
            "energy/save_prefs",
            energy_sources=[
                {
                    "type": "grid",
                    "stat_energy_from": THEIRS,
                    "stat_energy_to": None,
                    "stat_cost": None,
                    "entity_energy_price": None,
                    "number_energy_price": None,
                    "stat_compensation": None,
                    "entity_energy_price_export": None,
                    "number_energy_price_export": None,
                    "cost_adjustment_day": 0,
                }
            ],
        )
        sensor = (await find_sensors(client))["energy_in"].entity_id
        alone = await added_up(client, sensor, first, today)

        dialog = await choose(person, "continue_history")
        label = words.ours("options.step.continue_history.data.energy_in")
        await dialog.form.locator("ha-selector-select", has_text=label).locator("ha-select").click()
        await page.get_by_text(THEIRS).locator("visible=true").first.click()
        await dialog.submit()

        await expect(dialog.title).to_have_text(words.ours("options.step.preview.title"))
        energy = sum(bar(number) for number in range(24 * YEARS))
        told = words.ours(
            "common.continued",
            sensor=words.ours("entity.sensor.energy_in.name"),
            begin=f"{first:%Y-%m-%d %H:%M}",
            end=f"{ours:%Y-%m-%d %H:%M}",
            hours=f"{24 * YEARS:,}",
            energy=f"{energy:,.1f}",
            joint=f"{ours:%Y-%m-%d %H:%M}",
        )
        await expect(dialog.form).to_contain_text(told.replace("**", ""))
        assert await added_up(client, sensor, first, today) == alone, "nothing has happened yet"
        await expect(dialog.form.get_by_role("switch")).to_be_checked()
        await dialog.submit()
        await dialog.finish()
        due = alone[0] + 24 * YEARS, alone[1] + float(energy)
        await until(partial(find_hours, client, sensor, first, today, due), within=WAIT, pause=0.5)
        assert await find_hours(client, THEIRS, first, today, theirs) == Found(None), "it was touched"
        (source,) = (await client.command("energy/get_prefs"))["energy_sources"]
        assert source["stat_energy_from"] == sensor
        await page.goto("/energy/electricity")
        name = words.ours("entity.sensor.energy_in.name")
        await expect(page.locator("hui-energy-sources-table-card tr", has_text=name)).to_be_visible()

        dialog = await choose(person, "undo_history")
        await expect(dialog.form).to_contain_text(told.replace("**", ""))
        await dialog.submit()
        await dialog.finish()
        await until(partial(find_hours, client, sensor, first, today, alone), within=WAIT, pause=0.5)
        (source,) = (await client.command("energy/get_prefs"))["energy_sources"]
        assert source["stat_energy_from"] == THEIRS
        dialog = await choose(person, "continue_history")
        await dialog.close()
        await client.command("recorder/clear_statistics", statistic_ids=[THEIRS])
