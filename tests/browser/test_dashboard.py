"""The page that a person pastes as a dashboard."""

from collections.abc import Iterator
from pathlib import Path

from playwright.async_api import expect
import pytest

from tests.demo.check import answers
from tests.demo.client import Client, Json
from tests.demo.dashboard import PATH, paste, prepare, remove
from tests.demo.integration import add_meter, find_sensors
from tests.demo.process import Found, NotYet, until
from tests.demo.simulator import simulator

from .conftest import Person

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(900)]

BUILT_IN = {"gauge", "heading", "history-graph", "markdown", "statistics-graph", "tile"}


def cards_of(content: Json) -> Iterator[Json]:
    for view in content["views"]:
        for section in view["sections"]:
            yield from section["cards"]


def entities_of(card: Json) -> Iterator[str]:
    if "entity" in card:
        yield card["entity"]
    yield from (row["entity"] for row in card.get("entities", ()))


async def forecast(client: Client) -> float:
    """Return the bill that is expected; on a busy machine a reading may have failed meanwhile."""

    async def look() -> Found[float] | NotYet:
        state = (await find_sensors(client))["bill_forecast"].state
        return Found(float(state)) if state.replace(".", "").isdecimal() else NotYet(state)

    return await until(look, within=120)


async def test_a_page_to_paste(person: Person, tmp_path: Path) -> None:
    """All its cards are drawn, and each number is that of a sensor."""
    page, client = person.page, person.home.hass.client
    async with simulator(tmp_path, speed=20) as meter:
        await add_meter(client, answers(meter.port))
        await prepare(client)
        content = await paste(client, person.words.lang)
        try:
            states = {state["entity_id"]: state["state"] for state in await client.command("get_states")}
            cards = list(cards_of(content))
            assert {card["type"] for card in cards} <= BUILT_IN
            for card in cards:
                for entity_id in entities_of(card):
                    assert states[entity_id] not in {"unavailable", "unknown"}, entity_id
            await page.goto(f"/{PATH}")
            await expect(page.locator("hui-gauge-card")).to_be_visible()
            for kind, number in (("tile", 4), ("history-graph", 2), ("statistics-graph", 1), ("markdown", 2)):
                await expect(page.locator(f"hui-{kind}-card")).to_have_count(number)
            for card in cards:
                text = card.get("heading") or card.get("title") or card.get("name")
                if text is not None:
                    await expect(page.get_by_text(text).first).to_be_visible()
            await expect(page.locator("hui-error-card, hui-warning, ha-alert")).to_have_count(0)
            yen = f"{round(await forecast(client)):,}"
            await expect(page.locator("hui-tile-card", has_text=yen).first).to_be_visible()
            first, peak = (page.locator("hui-markdown-card").nth(number) for number in (0, 1))
            await expect(first).to_contain_text("-10")
            await expect(peak).to_contain_text(":")
        finally:
            await remove(client)
