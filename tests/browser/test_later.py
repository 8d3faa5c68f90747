"""What a person does with a meter that is set up: change its port, ask for help, put something right."""

from collections.abc import AsyncGenerator
import json
from pathlib import Path

from playwright.async_api import expect
import pytest
import pytest_asyncio

from tests.demo.check import answers
from tests.demo.flow_dialog import SET_UP
from tests.demo.integration import add_meter
from tests.demo.simulator import Simulator, simulator
from tests.simulator.meter import MeterSettings
from tests.simulator.radio import Network
from tests.simulator.scenarios import PASSWORD, ROUTE_B_ID

from .conftest import Person

OPTION_NUMBERS = ("limit", "interval", "airtime", "shortest", "most_airtime")

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(900)]


@pytest_asyncio.fixture(loop_scope="session")
async def meter(person: Person, tmp_path: Path) -> AsyncGenerator[Simulator]:
    """Set up a meter, and open the page of the integration."""
    async with simulator(tmp_path, speed=20) as running:
        await add_meter(person.home.hass.client, answers(running.port))
        await person.open_integration()
        yield running


def plugged_in_elsewhere(meter: Simulator, folder: Path) -> Path:
    """Return a second path to the dongle."""
    port = folder / "another"
    port.symlink_to(Path(meter.port).readlink())
    return port


async def test_another_port_and_the_diagnostics(person: Person, meter: Simulator, tmp_path: Path) -> None:
    """After the dongle was plugged in elsewhere, the file that a person hands on has the new port and no secret."""
    words = person.words
    moved = plugged_in_elsewhere(meter, tmp_path)
    await person.choose_from_menu("reconfigure")
    dialog = person.dialog
    await expect(dialog.title).to_have_text(words.ours("config.step.reconfigure.title"))
    await dialog.fill({"device": str(moved)})
    await dialog.submit()
    await expect(dialog.aborted).to_contain_text(words.core("config.abort.reconfigure_successful"), timeout=SET_UP)
    await dialog.close()

    async with person.page.expect_download() as download:
        await person.choose_from_menu("download_diagnostics")
    text = (await (await download.value).path()).read_text()
    about = json.loads(text)["data"]
    assert about["entry"]["data"]["device"] == str(moved)
    assert about["state"] == "loaded"
    for secret in (ROUTE_B_ID, ROUTE_B_ID[-8:], PASSWORD, Network().mac, MeterSettings().serial):
        assert secret not in text


async def test_the_options(person: Person, meter: Simulator) -> None:  # noqa: ARG001  # it has them
    """They begin with what is right for most homes; the interval is in seconds."""
    words = person.words
    cogwheel = words.frontend("panel.config.integrations.config_entry.configure")
    await person.page.locator("ha-config-entry-row").get_by_role("button", name=cogwheel, exact=True).click()
    dialog = person.dialog
    await dialog.element.get_by_text(words.ours("options.step.menu.menu_options.settings"), exact=True).click()
    await expect(dialog.title).to_have_text(words.ours("options.step.init.title"))
    first = words.ours("options.step.init.description", **dict.fromkeys(OPTION_NUMBERS, "")).split("\n")[0]
    await expect(dialog.form.get_by_text(first)).to_be_visible()
    interval = dialog.form.locator("ha-selector-number", has_text=words.ours("options.step.init.data.interval"))
    await expect(interval).to_contain_text(words.ours("selector.interval.unit_of_measurement.s"))
    await dialog.close()


async def test_a_dongle_that_was_pulled_out(person: Person, meter: Simulator) -> None:
    """The repairs say so, find the cause, and stop saying so when it is back."""
    words, page = person.words, person.page
    await meter.order("unplug")
    await page.goto("/config/repairs")
    issue = page.get_by_text(words.ours("issues.port_missing.title", title=words.ours("common.meter")))
    await issue.click()
    steps = "issues.port_missing.fix_flow.step"
    told = words.ours(f"{steps}.trouble.description", port=meter.port).split("\n")[0]
    await expect(page.get_by_text(told)).to_be_visible()
    await page.get_by_text(words.ours(f"{steps}.trouble.menu_options.examine")).click()
    await expect(page.get_by_text(words.ours("common.found_port_missing"))).to_be_visible()
    await expect(page.get_by_text(words.ours("common.found_not_reached")).first).to_be_visible()
    await meter.order("plug")
    await person.open_integration()
    await person.reload()
    await page.goto("/config/repairs")
    await expect(page.get_by_text(words.frontend("panel.config.repairs.no_repairs"))).to_be_visible()


async def test_another_meter_is_confirmed(person: Person, meter: Simulator) -> None:
    """The utility has exchanged the meter; one click, and everything goes on."""
    words, page, title = person.words, person.page, person.words.ours("common.meter")
    await meter.order("exchange")
    await person.reload()
    await expect(page.get_by_text(words.ours("exceptions.other_meter.message"))).to_be_visible()
    await page.goto("/config/repairs")
    await page.get_by_text(words.ours("issues.meter_exchanged.title", title=title)).click()
    dialog = person.dialog
    told = words.ours("issues.meter_exchanged.fix_flow.step.confirm.description", title=title).split("\n")[0]
    await expect(dialog.form.get_by_text(told)).to_be_visible()
    await dialog.submit()
    await expect(dialog.created).to_contain_text(words.frontend("dialogs.repair_flow.success.description"))
    await dialog.submit()
    await expect(page.get_by_text(words.frontend("panel.config.repairs.no_repairs"))).to_be_visible()
