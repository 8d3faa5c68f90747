"""Pictures of everything that a person sees of the integration: see --help."""

import argparse
import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
import sys
import tempfile
from typing import TYPE_CHECKING

from tests.simulator.scenarios import PASSWORD

from .browser import DESKTOP, PHONE, chromium, find_chromium, logged_in
from .check import remembered
from .flow_dialog import SET_UP, FlowDialog
from .home_assistant import NAMES, HomeAssistant, home_assistant
from .integration import DOMAIN, choose_for_energy, find_entry, find_sensors
from .process import StepError, tail
from .simulator import Simulator, simulator
from .steps import say, step
from .words import Words

if TYPE_CHECKING:
    from playwright.async_api import Page

SPEED = 2.0
"""Slow enough to see the progress, fast enough not to be bored."""

SETTLE = 1.5
"""Seconds until animations are over; the frontend tells nobody when they are."""

PREVIOUS = "panel.lovelace.components.energy_period_selector.previous"


@dataclass(frozen=True, slots=True, kw_only=True)
class Photographer:
    """A browser, and the folder for its pictures."""

    page: Page
    folder: Path
    words: Words

    async def shoot(self, name: str, *, phone: bool = True) -> None:
        """Take a picture of what is there now, as wide as a desk and as a phone."""
        for size, suffix in ((PHONE, "-phone"), (DESKTOP, "")) if phone else ((DESKTOP, ""),):
            if phone:
                await self.page.set_viewport_size({"width": size[0], "height": size[1]})
                await asyncio.sleep(SETTLE)
            await self.page.screenshot(path=self.folder / f"{self.words.lang}-{name}{suffix}.png")


async def config_flow(camera: Photographer, meter: Simulator) -> None:
    """Set up the meter as a person would."""
    page, dialog = camera.page, FlowDialog(camera.page, camera.words)
    await page.goto(f"/config/integrations/dashboard/add?domain={DOMAIN}")
    await page.get_by_role("button", name="OK").click()
    await dialog.form.wait_for()
    await asyncio.sleep(SETTLE)
    await camera.shoot("1-form")
    await dialog.open_ports()
    await asyncio.sleep(SETTLE)
    await camera.shoot("2-ports", phone=False)
    await page.keyboard.press("Escape")
    await dialog.connect(meter.port, password="O123")
    await dialog.alert.wait_for()
    await camera.shoot("3-error")
    await dialog.fill({"password": PASSWORD})
    await dialog.submit()
    for number in range(1, 4):
        await dialog.progress.wait_for()
        await asyncio.sleep(3)
        await camera.shoot(f"4-progress-{number}", phone=False)
    await dialog.form.wait_for(timeout=SET_UP)
    await asyncio.sleep(SETTLE)
    await camera.shoot("5-finish")
    await dialog.submit()
    await dialog.finish()


async def pages(camera: Photographer, hass: HomeAssistant) -> None:
    """Look at everything that is there after the set-up."""
    page = camera.page
    entry = await find_entry(hass.client)
    devices = await hass.client.command("config/device_registry/list")
    device = next(device for device in devices if entry["entry_id"] in device["config_entries"])
    sensor = (await find_sensors(hass.client))["power"]
    for name, path, element in (
        ("6-integration", f"/config/integrations/integration/{DOMAIN}", "ha-config-entry-row"),
        ("7-device", f"/config/devices/device/{device['id']}", "ha-device-entities-card"),
        ("8-energy", "/energy/electricity", "hui-energy-usage-graph-card"),
        ("9-more-info", f"/config/entities?more-info-entity-id={sensor.entity_id}", "ha-more-info-info"),
    ):
        await page.goto(path)
        await page.locator(element).first.wait_for()
        await asyncio.sleep(2 * SETTLE)
        await camera.shoot(name)
        if name.endswith("energy"):
            await page.get_by_role("button", name=camera.words.frontend(PREVIOUS), exact=True).click()
            await asyncio.sleep(2 * SETTLE)
            await camera.shoot(f"{name}-yesterday", phone=False)


async def photograph(folder: Path, lang: str) -> None:
    """Take all pictures in one language."""
    with tempfile.TemporaryDirectory(prefix="broute-screenshots-") as state:
        async with AsyncExitStack() as stack:
            with step(f"{lang}: Home Assistant and the simulator start"):
                meter = await stack.enter_async_context(simulator(Path(state), speed=SPEED))
                hass = await stack.enter_async_context(home_assistant(Path(state), lang=lang))
                page = await stack.enter_async_context(
                    logged_in(await stack.enter_async_context(chromium()), hass, lang=lang)
                )
            camera = Photographer(page=page, folder=folder, words=Words(lang))
            try:
                with step(f"{lang}: the config flow"):
                    await config_flow(camera, meter)
                with step(f"{lang}: the pages"):
                    await choose_for_energy(hass.client, await find_sensors(hass.client))
                    await remembered(hass.client, meter)
                    await pages(camera, hass)
            except StepError:
                await page.screenshot(path=folder / f"{lang}-failure.png")
                say(tail(hass.process.log))
                raise


async def _photograph_all(folder: Path, langs: list[str]) -> None:
    find_chromium()
    for lang in langs:
        await photograph(folder, lang)


def main() -> int:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(prog="scripts/screenshots", description=__doc__)
    parser.add_argument("folder", type=Path, help="where the pictures go")
    parser.add_argument("--lang", choices=sorted(NAMES), action="append", help="only in this language")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    try:
        asyncio.run(_photograph_all(arguments.folder, arguments.lang or sorted(NAMES)))
    except StepError as err:
        say(f"FAILED    {err}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
