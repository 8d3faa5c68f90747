"""The pictures in README and docs, in both languages, on a desk and on a phone: see --help."""

import argparse
import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
import io
from itertools import pairwise
from pathlib import Path
import sys
import tempfile
from typing import TYPE_CHECKING, Final

from PIL import Image

from tests.simulator.scenarios import PASSWORD, ROUTE_B_ID

from . import dashboard, pictures
from .browser import DESKTOP, EFFECT, PHONE, chromium, find_chromium, go_back, logged_in
from .flow_dialog import SET_UP, FlowDialog
from .home_assistant import NAMES, HomeAssistant, home_assistant
from .integration import DOMAIN, ENERGIES, add_solar, find_bars, find_entry, find_names, find_sensors, find_states
from .process import Found, NotYet, StepError, tail, until
from .simulator import TOKYO, Simulator, simulator, sunny_day
from .steps import say, step
from .words import Words

if TYPE_CHECKING:
    from playwright.async_api import FloatRect, Locator, Page, ViewportSize

    from .client import Client

SPEED = 1.0
"""What a person sees is what is in the pictures."""

LATER = 20.0
"""The radio's speed after the set-up: costs are shown when all that the meter remembers has been read."""

SETTLE = 1.5
"""Seconds until animations are over; the frontend tells nobody when they are."""

IMPORT = 600.0
"""Seconds until the history and its costs are there; some sixty are normal."""

BILLING = ("cost", "compensation")

ALL_TEXT = """() => {
    const read = node => node.nodeType === Node.TEXT_NODE ? node.data
        : ["STYLE", "SCRIPT"].includes(node.nodeName) ? ""
        : (node.value ?? "") + [...(node.shadowRoot?.childNodes ?? []), ...node.childNodes].map(read).join("");
    return read(document.body);
}"""

PATIENCE = 180_000
"""Milliseconds until something has to be there; a moment is normal, and this is only against hanging."""

REDRAWN = 3.0
"""Seconds within which a progress that is drawn anew shows its text again."""

SHARPNESS = 1.5
COLOURS = 255
"""A page of the frontend has hardly more, and a picture is half as big."""
MARGIN = 8
TALL: Final[ViewportSize] = {"width": 1280, "height": 1240}
"""The Energy dashboard down to its costs, and a device down to its diagnostics."""

HOUR = timedelta(hours=1)
PANELS = {"ja": "太陽光発電", "en": "Solar cells"}
DAYS = 90
MOST = 20
"""kWh in an hour."""
OWN_USE = Decimal("0.4")
"""kWh an hour that the house uses while the sun shines."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Photographer:
    """A browser, and the folder for its pictures."""

    page: Page
    folder: Path
    words: Words

    async def shoot(
        self,
        name: str,
        subject: Locator | None = None,
        *,
        focus: Locator | None = None,
        desk: ViewportSize = DESKTOP,
        entities: Mapping[str, str] | None = None,
        pasted: Path | None = None,
    ) -> None:
        """Take a picture of what is there now, as wide as a phone and as a desk; keep which texts it shows.

        On a desk, only the subject; on a phone, where one has to scroll, from the focus on.

        Raises:
            StepError: a text that the picture should show is not there.

        """
        texts = await self.wait_for(name, entities)
        for size, suffix in ((PHONE, "-phone"), (desk, "")):
            await self.page.set_viewport_size(size)
            await asyncio.sleep(SETTLE)
            clip = await _around(subject) if subject is not None and size is desk else None
            if focus is not None and size is PHONE:
                await focus.evaluate("element => element.scrollIntoView()")
            content = await self.page.screenshot(clip=clip)
            # The progress is drawn anew with each text.
            await until(partial(self._shows, texts), within=REDRAWN, pause=0.1)
            picture = Image.open(io.BytesIO(content)).convert("RGB")
            path = self.folder / f"{name}{suffix}.{self.words.lang}.png"
            picture.quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)
        page = pictures.digest(pasted) if pasted is not None else ""
        shown = pictures.Shown(digest=pictures.digest(path), texts=texts, page=page)
        pictures.write(self.folder, path.name, shown)

    async def wait_for(self, name: str, entities: Mapping[str, str] | None = None) -> Mapping[str, str]:
        """Wait until all texts of a picture are there; return them."""
        texts = pictures.subject(name, self.words.all_of_ours(), entities or {})
        await until(partial(self._shows, texts), within=EFFECT, pause=0.2)
        return texts

    async def _shows(self, texts: Mapping[str, str]) -> Found[int] | NotYet:
        """Find all texts on the page."""
        absent = pictures.missing(await self.page.evaluate(ALL_TEXT), texts)
        return NotYet(f"the page does not show {absent}") if absent else Found(len(texts))


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
    # The search is to last as long as its picture takes.
    await meter.order("reachable", on=False)
    await dialog.submit()
    await camera.shoot("progress", dialog.surface)
    await meter.order("reachable", on=True)
    await dialog.form.wait_for(timeout=SET_UP)
    await camera.shoot("first-reading", dialog.surface)
    await dialog.submit()
    await dialog.finish()


async def pages(camera: Photographer, hass: HomeAssistant, meter: Simulator) -> None:
    """Look at everything that is there after the set-up."""
    page = camera.page
    entry = await find_entry(hass.client)
    devices = await hass.client.command("config/device_registry/list")
    # A plan has a device of its own.
    device = next(each for each in devices if each["name"] == entry["title"])
    await page.goto(f"/config/devices/device/{device['id']}")
    await page.locator("ha-device-entities-card").first.wait_for()
    await camera.shoot(
        "device", desk=TALL, entities=await find_names(hass.client, camera.words.all_of_ours(), device["id"])
    )
    ago, (start, end) = await sunny_day(meter)
    await until(partial(find_bars, hass.client, start, end, keys=(*ENERGIES, *BILLING)), within=IMPORT)
    # While older days come in, the sums of newer ones are on the way.
    await until(partial(imported, hass.client), within=IMPORT)
    await until(partial(find_bars, hass.client, start, end, keys=(*ENERGIES, *BILLING)), within=IMPORT)
    await page.goto("/energy/electricity")
    await go_back(page, camera.words, ago)
    await camera.shoot("energy", desk=TALL, focus=page.locator("hui-energy-usage-graph-card"))


async def plan(hass: HomeAssistant, meter: Simulator, lang: str) -> None:
    """Add a plan, and what the solar cells make; then the rest of the meter's memory may come quickly."""
    await meter.order("speed", times=LATER)
    _, (start, end) = await sunny_day(meter)
    await add_solar(hass.client, PANELS[lang], await production(meter, start, end))
    await dashboard.add_plan(hass.client, in_dashboard=True)
    await until(partial(find_states, hass.client, BILLING), within=IMPORT)


async def production(meter: Simulator, start: datetime, end: datetime) -> list[tuple[datetime, Decimal]]:
    """Return what solar cells may have made in each hour, in kWh: what was fed in, and what the house took of it."""
    hours = [start + timedelta(hours=number) for number in range((end - start) // HOUR + 1)]
    counts = [(await meter.truth(hour)).energy_out for hour in hours]
    fed_in = [after - before for before, after in pairwise(counts)]
    return [(hour, energy + OWN_USE if energy else energy) for hour, energy in zip(hours, fed_in, strict=False)]


async def imported(client: Client) -> Found[str] | NotYet:
    """Find that all days that the meter remembers have been read, and are in the statistics."""
    sensors = await find_sensors(client)
    state = sensors["history_progress"].state if "history_progress" in sensors else "missing"
    if state not in {"100", "100.0"}:
        return NotYet(f"{state} % of the history are imported")
    ids = [sensors[key].entity_id for key in ENERGIES]
    begin = datetime.now(TOKYO) - timedelta(days=DAYS)
    rows = await client.command(
        "recorder/statistics_during_period",
        start_time=begin.isoformat(),
        statistic_ids=ids,
        period="hour",
        types=["change"],
    )
    # No hour of this household has more.
    worst = max(abs(row["change"]) for statistic_id in ids for row in rows[statistic_id][1:])
    return Found(state) if worst < MOST else NotYet(f"an hour has {worst} kWh")


async def own_page(camera: Photographer, hass: HomeAssistant) -> None:
    """Look at the page that a person pastes as a dashboard."""
    await dashboard.show_half_hours(hass.client)
    await dashboard.paste(hass.client, camera.words.lang)
    await camera.page.goto(f"/{dashboard.PATH}")
    await camera.page.locator("hui-statistics-graph-card ha-chart-base").wait_for()
    await camera.shoot("dashboard", pasted=dashboard.page_of(camera.words.lang))


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


async def photograph(folder: Path, lang: str, *, is_dark: bool) -> None:
    """Take all pictures in one language."""
    with tempfile.TemporaryDirectory(prefix="broute-screenshots-") as state:
        async with AsyncExitStack() as stack:
            with step(f"{lang}: Home Assistant and the simulator start"):
                meter = await stack.enter_async_context(simulator(Path(state), speed=SPEED))
                hass = await stack.enter_async_context(home_assistant(Path(state), lang=lang))
                browser = await stack.enter_async_context(chromium())
                page = await stack.enter_async_context(
                    logged_in(browser, hass, lang=lang, sharpness=SHARPNESS, is_dark=is_dark)
                )
            page.set_default_timeout(PATIENCE)
            camera = Photographer(page=page, folder=folder, words=Words(lang))
            try:
                with step(f"{lang}: the config flow"):
                    await config_flow(camera, meter)
                with step(f"{lang}: a plan and solar cells"):
                    await plan(hass, meter, lang)
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


async def _photograph_all(folder: Path, langs: list[str], *, is_dark: bool) -> None:
    find_chromium()
    for lang in langs:
        await photograph(folder, lang, is_dark=is_dark)


def main() -> int:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(prog="scripts/screenshots", description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=pictures.FOLDER, help="where the pictures go")
    parser.add_argument("--lang", choices=sorted(NAMES), action="append", help="only in this language")
    parser.add_argument("--dark", action="store_true", help="in the dark theme; give another folder for these")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    try:
        asyncio.run(_photograph_all(arguments.folder, arguments.lang or sorted(NAMES), is_dark=arguments.dark))
    except StepError as err:
        say(f"FAILED    {err}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
