"""A meter of the home network, set up without a dongle."""

from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING

from playwright.async_api import expect
import pytest
import pytest_asyncio

from tests.demo.check import answers
from tests.demo.home_assistant import complaints, parse_log
from tests.demo.integration import add_meter, find_sensors
from tests.demo.process import Found, NotYet, until
from tests.demo.simulator import LAN, simulator
from tests.simulator.lan import port_taken
from tests.simulator.meter import MeterSettings

from .conftest import PHONE_AT_NIGHT, PICTURES, Home, Person

if TYPE_CHECKING:
    from pathlib import Path

    from tests.demo.simulator import Simulator

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(600)]

SERIAL = MeterSettings().serial


async def _port_is_free() -> Found[None] | NotYet:
    """Wait for what goes on when its form is closed: the search for meters."""
    try:
        with port_taken():
            return Found(None)
    except OSError as err:
        return NotYet(f"the port is not free: {err}")


@pytest_asyncio.fixture(loop_scope="session")
async def meter(home: Home, echonet_port: None, tmp_path: Path) -> AsyncGenerator[Simulator]:  # noqa: ARG001  # first
    """Have a meter in the network that Home Assistant uses, which is this machine's own loop."""
    await home.hass.client.command("network/configure", config={"configured_adapters": ["lo"]})
    async with simulator(tmp_path, module=LAN) as running:
        yield running
    await home.hass.client.command("network/configure", config={"configured_adapters": []})
    await until(_port_is_free, within=60)


@pytest.mark.parametrize("_size", [pytest.param("desktop"), pytest.param("phone", marks=PHONE_AT_NIGHT)])
async def test_without_a_dongle(meter: Simulator, person: Person, _size: str) -> None:
    """From the choice to values, with nothing to type."""
    words, page, dialog, start = person.words, person.page, person.dialog, len(person.home.hass.log)
    PICTURES.mkdir(parents=True, exist_ok=True)
    await page.goto("/config/integrations/dashboard/add?domain=broute")
    await page.get_by_role("button", name="OK").click()
    choice = dialog.element.locator("step-flow-menu")
    await expect(choice.or_(dialog.form)).to_be_visible()
    if await choice.is_visible():  # This machine has a serial port.
        await page.screenshot(path=PICTURES / f"network-choice-{words.lang}-{_size}.png")
        await choice.get_by_text(words.ours("config.step.kind.menu_options.network")).click()
    await expect(dialog.title).to_have_text(words.ours("config.step.network.title"))
    await expect(dialog.form).to_contain_text(SERIAL)
    await expect(dialog.form).to_contain_text(words.ours("config.step.network.data_description.device"))
    await page.screenshot(path=PICTURES / f"network-form-{words.lang}-{_size}.png")
    await dialog.submit()
    await expect(dialog.form.get_by_role("listitem")).to_have_count(5)
    await expect(dialog.form.get_by_role("listitem").last).to_contain_text(SERIAL)
    await page.screenshot(path=PICTURES / f"network-reading-{words.lang}-{_size}.png")
    await dialog.submit()
    await dialog.finish()

    async def look() -> Found[str] | NotYet:
        sensors = await find_sensors(person.home.hass.client)
        power = sensors["power"].state if "power" in sensors else "missing"
        return Found(power) if power.lstrip("-").isdigit() else NotYet(f"the power is {power}")

    await until(look, within=60)
    assert complaints(parse_log(person.home.hass.log[start:])) == []
    assert (await meter.order("record"))["datagrams_from_client"]


async def test_from_the_network_to_a_dongle(meter: Simulator, person: Person) -> None:
    """See in the menu of the meter that it can be read in another way."""
    words, dialog = person.words, person.dialog
    client = person.home.hass.client
    await add_meter(client, answers(meter.port))
    await person.open_integration()
    await person.choose_from_menu("reconfigure")
    await expect(dialog.title).to_have_text(words.ours("config.step.network.title"))
    await expect(dialog.form).to_contain_text(SERIAL)
    await dialog.form.locator("ha-selector-select").click()
    other = person.page.get_by_text(words.ours("common.dongle_instead"))
    await expect(other.last).to_be_visible()
    await person.page.screenshot(path=PICTURES / f"network-list-{words.lang}.png")
    await other.last.click()
    await dialog.submit()
    await expect(dialog.title).to_have_text(words.ours("config.step.reconfigure.title"))
    await dialog.close()
