"""Debian's Chromium, logged in to a Home Assistant."""

from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import date, datetime, timedelta
from itertools import count
import json
from pathlib import Path
import re
import shutil
from typing import Final

from playwright.async_api import Browser, Page, Route, ViewportSize, async_playwright

from .home_assistant import HomeAssistant
from .process import Found, NotYet, StepError, until
from .simulator import TOKYO
from .words import Words

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--no-sandbox",  # inside a container there is no other user to become
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
CJK_FONTS = Path("/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc")

DESKTOP: Final[ViewportSize] = {"width": 1280, "height": 880}
PHONE: Final[ViewportSize] = {"width": 390, "height": 844}

EFFECT: Final = 60
"""Seconds until a click must have had its effect; a moment is normal, and this is only against hanging."""


def find_chromium() -> str:
    """Return the path of the browser.

    Raises:
        StepError: it is not installed, or would show boxes instead of kanji.

    """
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None or not CJK_FONTS.exists():
        raise StepError("Chromium and Japanese fonts are needed: apt install chromium fonts-noto-cjk")
    return program


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """Run the browser for the length of a `with`."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=find_chromium(), args=list(FLAGS))
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def logged_in(
    browser: Browser,
    hass: HomeAssistant,
    *,
    lang: str,
    sharpness: float = 1,
    size: ViewportSize = DESKTOP,
    is_dark: bool = False,
) -> AsyncIterator[Page]:
    """Open a page that is logged in to a Home Assistant, and has no internet."""
    tokens = {
        "hassUrl": hass.address,
        "clientId": hass.client.client_id,
        "access_token": hass.client.tokens.access,
        "refresh_token": hass.client.tokens.refresh,
        "token_type": "Bearer",
        "expires_in": 1800,
        "expires": 0,  # the frontend fetches a fresh one at once
    }
    context = await browser.new_context(
        base_url=hass.address,
        locale=lang,
        timezone_id="Asia/Tokyo",
        viewport=size,
        color_scheme="dark" if is_dark else "light",
        device_scale_factor=sharpness,
    )
    await context.add_init_script(f"localStorage.setItem('hassTokens', {json.dumps(json.dumps(tokens))})")
    await context.route(lambda url: not url.startswith(hass.address), _offline)
    try:
        yield await context.new_page()
    finally:
        await context.close()


async def _offline(route: Route) -> None:
    await route.abort("internetdisconnected")


async def go_back(page: Page, words: Words, days: int) -> None:
    """Look at the Energy dashboard so many days back.

    A click while the page still loads the day before has no effect, or one that is taken back once that is loaded. So
    only a day that stays counts, and it is asked for again until it does.
    """
    today = datetime.now(TOKYO).date()
    wanted, seen = today - timedelta(days=days), deque[date](maxlen=3)
    shown = page.locator("hui-energy-period-selector .header-title")

    async def arrived() -> Found[date] | NotYet:
        title = await shown.inner_text()
        number = int(re.findall(r"\d+", title)[-1])
        seen.append(next(day for day in _before(today) if day.day == number))
        if len(seen) == seen.maxlen and len(set(seen)) == 1:
            if seen[-1] == wanted:
                return Found(wanted)
            step = "previous" if seen[-1] > wanted else "next"
            name = words.frontend(f"panel.lovelace.components.energy_period_selector.{step}")
            await page.get_by_role("button", name=name, exact=True).click()
            seen.clear()
        return NotYet(title)

    await until(arrived, within=EFFECT * (days + 1), pause=0.3)


def _before(today: date) -> Iterator[date]:
    return (today - timedelta(days=ago) for ago in count())
