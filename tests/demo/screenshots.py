"""The pictures in README and docs, in both languages, on a desk and on a phone: see --help."""

import argparse
import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
import io
from pathlib import Path
import sys
import tempfile
from typing import TYPE_CHECKING

from PIL import Image

from tests.simulator.scenarios import PASSWORD, ROUTE_B_ID

from . import dashboard
from .browser import DESKTOP, PHONE, chromium, find_chromium, go_back, logged_in
from .flow_dialog import SET_UP, FlowDialog
from .home_assistant import NAMES, PROJECT, HomeAssistant, home_assistant
from .integration import DOMAIN, find_bars, find_entry
from .process import StepError, tail, until
from .simulator import Simulator, simulator, sunny_day
from .steps import say, step
from .words import Words

if TYPE_CHECKING:
    from playwright.async_api import FloatRect, Locator, Page

FOLDER = PROJECT / "docs" / "images"
SPEED = 1.0
"""What a person sees is what is in the pictures."""

SETTLE = 1.5
"""Seconds until animations are over; the frontend tells nobody when they are."""

IMPORT = 600.0
"""Seconds until some days of history are there, at the radio's own speed."""

SHARPNESS = 1.5
COLOURS = 255
"""A page of the frontend has hardly more, and a picture is half as big."""
MARGIN = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Photographer:
    """A browser, and the folder for its pictures."""

    page: Page
    folder: Path
    words: Words

    async def shoot(self, name: str, subject: Locator | None = None, *, focus: Locator | None = None) -> None:
        """Take a picture of what is there now, as wide as a phone and as a desk.

        On a desk, only the subject; wherever one has to scroll, from the focus on.
        """
        for size, suffix in ((PHONE, "-phone"), (DESKTOP, "")):
            await self.page.set_viewport_size(size)
            await asyncio.sleep(SETTLE)
            clip = await _around(subject) if subject is not None and size is DESKTOP else None
            if focus is not None:
                await focus.evaluate("element => element.scrollIntoView()")
            picture = Image.open(io.BytesIO(await self.page.screenshot(clip=clip))).convert("RGB")
            picture.quantize(COLOURS, dither=Image.Dither.NONE).save(
                self.folder / f"{name}{suffix}.{self.words.lang}.png", optimize=True
            )


async def _around(subject: Locator) -> FloatRect:
    box = await subject.bounding_box()
    if box is None:
        raise StepError("what is to be in the picture is not there")
    return {
        "x": max(box["x"] - MARGIN, 0),
        "y": max(box["y"] - MARGIN, 0),
        "width": box["width"] + 2 * MARGIN,
        "height": box["height"] + 2 * MARGIN,
    }


async def config_flow(camera: Photographer, meter: Simulator) -> None:
    """Set up the meter as a person would."""
    page, dialog = camera.page, FlowDialog(camera.page, camera.words)
    await page.goto(f"/config/integrations/dashboard/add?domain={DOMAIN}")
    await page.get_by_role("button", name="OK").click()
    await dialog.form.wait_for()
    await dialog.fill({"device": "/dev/ttyUSB0", "route_b_id": ROUTE_B_ID, "password": PASSWORD})
    await camera.shoot("form", dialog.surface)
    await dialog.fill({"device": meter.port})
    await dialog.submit()
    await dialog.progress.get_by_role("progressbar").wait_for()
    await asyncio.sleep(3)
    await camera.shoot("progress", dialog.surface)
    await dialog.form.wait_for(timeout=SET_UP)
    await camera.shoot("first-reading", dialog.surface)
    await dialog.submit()
    await dialog.finish()


async def pages(camera: Photographer, hass: HomeAssistant, meter: Simulator) -> None:
    """Look at everything that is there after the set-up."""
    page = camera.page
    entry = await find_entry(hass.client)
    devices = await hass.client.command("config/device_registry/list")
    device = next(device for device in devices if entry["entry_id"] in device["config_entries"])
    await page.goto(f"/config/devices/device/{device['id']}")
    await page.locator("ha-device-entities-card").first.wait_for()
    await camera.shoot("device")
    ago, (start, end) = await sunny_day(meter)
    await until(partial(find_bars, hass.client, start, end), within=IMPORT)
    await page.goto("/energy/electricity")
    await go_back(page, camera.words, ago)
    await camera.shoot("energy", focus=page.locator("hui-energy-usage-graph-card"))


async def own_page(camera: Photographer, hass: HomeAssistant) -> None:
    """Look at the page that a person pastes as a dashboard."""
    await dashboard.prepare(hass.client)
    await dashboard.paste(hass.client, camera.words.lang)
    await camera.page.goto(f"/{dashboard.PATH}")
    await camera.page.locator("hui-statistics-graph-card ha-chart-base").wait_for()
    await camera.shoot("dashboard")


async def repair(camera: Photographer, hass: HomeAssistant, meter: Simulator) -> None:
    """Have the meter exchanged."""
    page, dialog = camera.page, FlowDialog(camera.page, camera.words)
    entry = await find_entry(hass.client)
    await meter.order("exchange")
    await hass.client.post(f"/api/config/config_entries/entry/{entry['entry_id']}/reload")
    await page.goto("/config/repairs")
    title = camera.words.ours("issues.meter_exchanged.title", title=entry["title"])
    await page.get_by_text(title).click(timeout=SET_UP)
    await dialog.form.wait_for()
    await camera.shoot("repair", dialog.surface)


async def photograph(folder: Path, lang: str) -> None:
    """Take all pictures in one language."""
    with tempfile.TemporaryDirectory(prefix="broute-screenshots-") as state:
        async with AsyncExitStack() as stack:
            with step(f"{lang}: Home Assistant and the simulator start"):
                meter = await stack.enter_async_context(simulator(Path(state), speed=SPEED))
                hass = await stack.enter_async_context(home_assistant(Path(state), lang=lang))
                browser = await stack.enter_async_context(chromium())
                page = await stack.enter_async_context(logged_in(browser, hass, lang=lang, sharpness=SHARPNESS))
            camera = Photographer(page=page, folder=folder, words=Words(lang))
            try:
                with step(f"{lang}: the config flow"):
                    await config_flow(camera, meter)
                with step(f"{lang}: the pages"):
                    await pages(camera, hass, meter)
                with step(f"{lang}: a page of one's own"):
                    await own_page(camera, hass)
                with step(f"{lang}: a repair"):
                    await repair(camera, hass, meter)
            except StepError:
                await page.screenshot(path=folder / f"failure.{lang}.png")
                say(tail(hass.process.log))
                raise


async def _photograph_all(folder: Path, langs: list[str]) -> None:
    find_chromium()
    for lang in langs:
        await photograph(folder, lang)


def main() -> int:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(prog="scripts/screenshots", description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=FOLDER, help="where the pictures go")
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
