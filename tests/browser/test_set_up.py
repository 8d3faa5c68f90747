"""From "Add integration" to the first bars, and what is said if something is wrong."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from itertools import count
from pathlib import Path
import re
from typing import TYPE_CHECKING

from playwright.async_api import expect
import pytest

from tests.demo.browser import go_back
from tests.demo.flow_dialog import SET_UP
from tests.demo.home_assistant import complaints, parse_log
from tests.demo.integration import find_bars, find_sensors
from tests.demo.process import Found, NotYet, until
from tests.demo.simulator import TOKYO, Simulator, simulator, sunny_day
from tests.simulator.household import household
from tests.simulator.meter import MeterSettings
from tests.simulator.scenarios import PASSWORD

from .conftest import PHONE_AT_NIGHT, Person

if TYPE_CHECKING:
    from tests.demo.flow_dialog import Sight

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(900)]

IMPORT = 240.0
"""Seconds until three days of history are there; ten are normal at this speed."""

DRAW = 60.0
"""Seconds until the frontend has drawn what it has; one is normal."""

STEPS = (Decimal(0), Decimal("0.1"), Decimal("0.2"))
"""kWh by which a counter may have moved on since it was read."""

SPEED = 2
"""Of the radio: slow enough to see each step of the progress on a machine that is busy."""

ENERGIES = ("energy_in", "energy_out")
SENSORS = ("power", "current", "current_r", "current_t", *ENERGIES)

BARS = """chart => [chart.data].flat()
    .filter(series => series.type === "bar")
    .map(series => series.data.filter(bar => Math.abs((bar.value ?? bar)[1]) > 0).length)"""


async def test_the_first_ten_minutes(person: Person, tmp_path: Path) -> None:
    """From the form to bars that agree with the meter."""
    words, page, start = person.words, person.page, len(person.home.hass.log)
    async with simulator(tmp_path, speed=SPEED) as meter:
        await page.goto("/config/integrations/dashboard")
        await page.get_by_text(words.frontend("panel.config.integrations.add_integration")).click()
        await page.get_by_placeholder(words.frontend("panel.config.integrations.search_brand")).fill("B-Route")
        # This list has the names of custom integrations in no other language.
        await page.locator("ha-integration-list-item", has_text="B-Route Smart Meter").click()
        dialog = person.dialog
        await expect(dialog.title).to_have_text(words.ours("config.step.user.title"))
        await expect(dialog.form.get_by_text(words.ours("config.step.user.description"))).to_be_visible()
        for field in ("route_b_id", "password"):
            await expect(dialog.form.get_by_text(words.ours(f"config.step.user.data.{field}")).first).to_be_visible()
            await expect(
                dialog.form.get_by_text(words.ours(f"config.step.user.data_description.{field}"))
            ).to_be_visible()

        await dialog.connect(meter.port, password="O123")
        await expect(dialog.alert).to_have_text(words.ours("config.error.invalid_password"))
        await expect(dialog.field("route_b_id")).not_to_have_value("")
        await dialog.fill({"password": PASSWORD})
        await dialog.submit()
        assert_progress(person, await dialog.watch_progress())
        await assert_first_reading(person, meter)
        await dialog.submit()
        await expect(dialog.created.get_by_role("textbox").first).to_have_value(words.ours("common.meter"))
        await dialog.finish()

        await page.get_by_role("link", name=words.ours("title")).click()
        await page.locator("ha-config-entry-device-row").get_by_text(words.ours("common.meter")).click()
        await assert_device(person, meter)
        await assert_bars(person, meter)
        assert complaints(parse_log(person.home.hass.log[start:])) == []


def assert_progress(person: Person, sights: list[Sight]) -> None:
    """See that all steps were told, and that something moved."""
    texts = [" ".join(sight.text.split()) for sight in sights]
    for step in ("scan", "join", "read"):
        told = re.escape(person.words.ours(f"config.progress.{step}", number=1, of=4, seconds="@", heard="@"))
        assert any(re.search(told.replace("@", r"\d+"), text) for text in texts), (told, texts)
    percents = [sight.percent for sight in sights if sight.percent]
    assert len(set(percents)) > 2
    assert max(percents) <= 100


async def assert_first_reading(person: Person, meter: Simulator) -> None:
    """See what the meter has told, and the offer to show it on the Energy dashboard."""
    form, truth = person.dialog.form, await meter.truth(datetime.now(TOKYO))
    await expect(person.dialog.title).to_have_text(person.words.ours("config.step.finish_export.title"))
    await expect(form.get_by_role("listitem")).to_have_count(6)
    counters = [f"{truth.energy_in - step:,} kWh" for step in STEPS]
    await expect(form.get_by_role("listitem").nth(2)).to_contain_text(re.compile("|".join(map(re.escape, counters))))
    await expect(form.get_by_role("listitem").nth(5)).to_contain_text(MeterSettings().serial)
    # What the house uses of its own is not known to Home Assistant by itself.
    solar = filled_in(person, "config.step.finish_export.description").rsplit("**", 1)[1]
    await expect(form.get_by_text(solar)).to_be_visible()
    # The history is still to come: until then the dashboard is empty.
    coming = filled_in(person, "config.step.finish_export.description").rsplit("\n\n", 2)[1]
    await expect(form.get_by_text(coming)).to_be_visible()
    for switch in await form.get_by_role("switch").all():
        await expect(switch).to_be_checked()


def filled_in(person: Person, key: str) -> str:
    """Return the text of the last step, with nothing in its placeholders."""
    return person.words.ours(key, **dict.fromkeys(("power", "current", "energy", "energy_out", "rssi", "meter"), ""))


async def assert_device(person: Person, meter: Simulator) -> None:
    """See each sensor with its name and a value on the page of the device."""
    card = person.page.locator("ha-device-entities-card").first
    for key in SENSORS:
        name = card.get_by_text(person.words.ours(f"entity.sensor.{key}.name"), exact=True)
        await expect(name).to_be_visible()
    # How far the history is stands among the diagnostics, and gets to its end.
    progress = person.words.ours("entity.sensor.history_progress.name")
    row = person.page.locator("ha-device-entities-card hui-sensor-entity-row", has_text=progress)
    await expect(row).to_contain_text(re.compile(r"\b\d+(\.\d+)?\s?%"))
    sensors = await find_sensors(person.home.hass.client)
    assert all(sensors[key].state not in {"unknown", "unavailable"} for key in SENSORS)
    truth = await meter.truth(datetime.now(TOKYO))
    for key in ENERGIES:
        counter: Decimal = getattr(truth, key)
        shown = [card.get_by_text(f"{counter - step:,} kWh") for step in STEPS]
        await expect(shown[0].or_(shown[1]).or_(shown[2])).to_be_visible()


async def assert_bars(person: Person, meter: Simulator) -> None:
    """See a sunny day on the Energy dashboard, as the meter counted it: where there is nothing, nothing is compared."""
    client, page = person.home.hass.client, person.page
    # Yesterday's last hour may not be over for the recorder, if it is just past midnight.
    ago, (first, last) = await sunny_day(meter, least=2)
    early, late = await meter.truth(first), await meter.truth(last)

    async def drawn() -> Found[int] | NotYet:
        bars = sum(await page.locator("hui-energy-usage-graph-card ha-chart-base").evaluate(BARS))
        return Found(bars) if bars >= 24 else NotYet(f"{bars} bars are drawn")

    await until(partial(find_bars, client, first, last), within=IMPORT, pause=0.3)
    await page.goto("/energy/electricity")
    await go_back(page, person.words, ago)
    table = page.locator("hui-energy-sources-table-card")
    for key, sign in (("energy_in", ""), ("energy_out", "-")):
        row = table.locator("tr", has_text=person.words.ours(f"entity.sensor.{key}.name"))
        # The frontend shows no zeros at the end, and 5 is also the end of 15.
        energy = (getattr(late, key) - getattr(early, key)).normalize()
        await expect(row).to_contain_text(re.compile(rf"(?<![\d.,-]){re.escape(f'{sign}{energy:,f}')} kWh"))
    # The chart is drawn by itself, at its own time.
    await until(drawn, within=DRAW)


@pytest.mark.parametrize(
    ("scenario", "password", "error"),
    [("NO_METER", PASSWORD, "no_meter"), ("NORMAL", "BAD456789ABC", "join_refused")],
    ids=["no_meter", "wrong_password"],
)
async def test_what_is_wrong_is_said(person: Person, tmp_path: Path, scenario: str, password: str, error: str) -> None:
    """Everything that was typed is still there for the next try."""
    dialog = await person.start_adding()
    async with simulator(tmp_path, scenario=scenario, speed=50) as meter:
        await dialog.connect(meter.port, password=password)
        # The places of B, 5, 8 and B in the wrong password.
        told = person.words.ours(f"config.error.{error}", alike="1, 5, 8, 11")
        await expect(dialog.alert).to_have_text(told, timeout=SET_UP)
        await expect(dialog.field("password")).to_have_value(password)
        assert await dialog.form.locator("ha-form").evaluate("form => form.data.device") == meter.port


async def test_wrong_ports(person: Person, tmp_path: Path) -> None:
    dialog = await person.start_adding()
    await dialog.connect(str(tmp_path / "nothing"))
    await expect(dialog.alert).to_have_text(person.words.ours("config.error.port_missing"))


def sunshine() -> timedelta:
    """Return in how much time the sun will shine well on the simulated house for a while."""
    house, now = household(MeterSettings().seed, solar=True), datetime.now(UTC)
    for wait in (timedelta(minutes=30 * number) for number in count()):
        if all(house.power(now + wait + timedelta(minutes=minute)) < -500 for minute in range(20)):
            return wait
    raise AssertionError


async def test_a_house_that_feeds_in(person: Person, tmp_path: Path) -> None:
    """A negative power is said to be sold, beside the currents of both phases and the energy that was sold."""
    dialog = await person.start_adding()
    async with simulator(tmp_path, speed=50, shift=sunshine()) as meter:
        await dialog.connect(meter.port)
        await expect(dialog.title).to_have_text(person.words.ours("config.step.finish_export.title"), timeout=SET_UP)
        power, current, _, energy_out = [dialog.form.get_by_role("listitem").nth(number) for number in range(4)]
        sold = person.words.ours("common.feeding_in", power="@").replace("@", "")
        await expect(power).to_contain_text(re.compile(rf"[-\u2212][\d,]+ W{re.escape(sold)}"))
        await expect(current).to_contain_text(re.compile(r"R [-\u2212]?[\d.]+ A.*T [-\u2212]?[\d.]+ A"))
        await expect(energy_out).to_contain_text(re.compile(r"[\d,.]+ kWh"))


async def test_a_second_meter(person: Person, tmp_path: Path) -> None:
    """The switch for the Energy dashboard is off, with the reason, if there is a grid connection; none is added."""
    client = person.home.hass.client
    grid = {"type": "grid", "stat_energy_from": "sensor.other", "cost_adjustment_day": 0}
    await client.command("energy/save_prefs", energy_sources=[grid])
    before = (await client.command("energy/get_prefs"))["energy_sources"]
    dialog = await person.start_adding()
    async with simulator(tmp_path, speed=50) as meter:
        await dialog.connect(meter.port)
        await expect(dialog.title).to_have_text(person.words.ours("config.step.finish_export.title"), timeout=SET_UP)
        reason = person.words.ours("config.step.finish_export.data_description.energy")
        await expect(dialog.form.get_by_text(reason)).to_be_visible()
        switches = dialog.form.get_by_role("switch")
        await expect(switches).to_have_count(2)
        for number in range(2):
            await expect(switches.nth(number)).not_to_be_checked()
        await dialog.submit()
        await dialog.finish()
        assert (await client.command("energy/get_prefs"))["energy_sources"] == before


IS_DARK = """() => {
    const color = getComputedStyle(document.documentElement).getPropertyValue("--primary-background-color");
    return /^#[0-3]/.test(color.trim());
}"""
"""Whether what is behind everything has a dark colour: what the frontend says of it, it may say late."""


@PHONE_AT_NIGHT
async def test_on_a_phone_at_night(person: Person, tmp_path: Path) -> None:
    """On a narrow, dark page all of the form and of what was wrong can be read, and nothing is cut off."""
    page, dialog = person.page, await person.start_adding()
    await page.wait_for_function(IS_DARK)
    async with simulator(tmp_path, speed=50) as meter:
        await dialog.connect(meter.port, password="BAD456789ABC")
        told = person.words.ours("config.error.join_refused", alike="1, 5, 8, 11")
        await expect(dialog.alert).to_have_text(told, timeout=SET_UP)
        width = page.viewport_size["width"] if page.viewport_size else 0
        for part in (dialog.alert, dialog.field("password"), dialog.field("route_b_id")):
            await part.scroll_into_view_if_needed()
            box = await part.bounding_box()
            assert box is not None
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= width
