"""Debian's Chromium, logged in to a Home Assistant."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
import json
from pathlib import Path
import shutil

from playwright.async_api import Page, async_playwright

from .home_assistant import HomeAssistant
from .process import StepError

PROGRAM = "chromium"
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

DESKTOP = (1280, 1000)
PHONE = (390, 844)


def find_chromium() -> str:
    """Return the path of the browser.

    Raises:
        StepError: it is not installed, or would show boxes instead of kanji.

    """
    program = shutil.which(PROGRAM)
    if program is None or not CJK_FONTS.exists():
        raise StepError("Chromium and Japanese fonts are needed: apt install chromium fonts-noto-cjk")
    return program


@asynccontextmanager
async def browser(hass: HomeAssistant, *, lang: str, size: tuple[int, int] = DESKTOP) -> AsyncIterator[Page]:
    """Open a browser in which the user of a Home Assistant is logged in."""
    tokens = {
        "hassUrl": hass.address,
        "clientId": hass.client.client_id,
        "access_token": hass.client.tokens.access,
        "refresh_token": hass.client.tokens.refresh,
        "token_type": "Bearer",
        "expires_in": 1800,
        "expires": 0,  # the frontend fetches a fresh one at once
    }
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=find_chromium(), args=list(FLAGS))
        context = await chromium.new_context(
            base_url=hass.address,
            locale=lang,
            timezone_id="Asia/Tokyo",
            viewport={"width": size[0], "height": size[1]},
        )
        await context.add_init_script(f"localStorage.setItem('hassTokens', {json.dumps(json.dumps(tokens))})")
        try:
            yield await context.new_page()
        finally:
            await chromium.close()
