"""The pictures of the documentation show today's texts and entities; if not, the failure says which to take again."""

import asyncio
import json
from pathlib import Path

from homeassistant.helpers import device_registry as dr, entity_registry as er
import pytest

from .demo import pictures
from .demo.dashboard import page_of
from .demo.home_assistant import NAMES
from .demo.words import Words
from .energy.test_backfill import MINUTE, house, live
from .plans import THREE_STEPS, fill_in

AGAIN = "take the pictures again: scripts/screenshots"
SHOWN = pictures.read()


def of_language(lang: str) -> dict[str, pictures.Shown]:
    """Return what the pictures in a language show, by their names."""
    return {name.partition(".")[0]: shown for name, shown in SHOWN.items() if name.endswith(f".{lang}.png")}


def entities_of(folder: Path) -> set[str]:
    """Return the keys of the names of the entities that the device of a meter with a plan has at first."""
    found: set[str] = set()

    async def story() -> None:
        async with house(folder) as (home, _):
            await home.start()
            await fill_in(home.hass, home.entry, THREE_STEPS)
            await asyncio.sleep(5 * MINUTE)
            registry = er.async_get(home.hass)
            (device,) = (
                each.id
                for each in dr.async_entries_for_config_entry(dr.async_get(home.hass), home.entry.entry_id)
                if each.name == home.entry.title
            )
            entities = er.async_entries_for_device(registry, device)
            found.update(f"entity.{each.domain}.{each.translation_key}.name" for each in entities if not each.disabled)

    live(story)
    return found


def test_each_picture_is_the_one_of_which_it_is_known_what_it_shows() -> None:
    files = {path.name: pictures.digest(path) for path in pictures.FOLDER.glob("*.png") if "-phone." not in path.name}
    assert files == {name: shown.digest for name, shown in SHOWN.items()}, AGAIN
    assert {name.partition(".")[0] for name in files} == {*pictures.SUBJECTS, "dashboard"}


def test_each_picture_shows_todays_texts_and_entities(tmp_path: Path) -> None:
    keys = entities_of(tmp_path)
    assert len(keys) > 7
    outdated = {}
    for lang in NAMES:
        texts, shown = Words(lang).all_of_ours(), of_language(lang)
        for name in pictures.SUBJECTS:
            now = pictures.subject(name, texts, {key: texts[key] for key in keys})
            if changed := pictures.changes(shown[name].texts, now):
                outdated[f"{name}.{lang}.png"] = changed
    assert outdated == {}, AGAIN


@pytest.mark.parametrize("lang", NAMES)
def test_the_picture_of_the_page_is_that_of_todays_page(lang: str) -> None:
    assert of_language(lang)["dashboard"].page == pictures.digest(page_of(lang)), AGAIN


def test_what_a_picture_does_not_show_is_found() -> None:
    texts = {"a": "Two **words**\n- {number} of {all}, about", "b": "Not there"}
    assert pictures.missing("… Two  words 3 of\n4, about …", texts) == ["b"]
    assert pictures.changes({"a": "old", "b": "gone"}, {"a": "new"}) == [
        "a: 'old' is 'new' now",
        "b: 'gone' is None now",
    ]


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    shown = pictures.Shown(digest="00", texts={"a": "あ"}, page="")
    assert pictures.read(tmp_path) == {}
    pictures.write(tmp_path, "b.ja.png", shown)
    pictures.write(tmp_path, "a.ja.png", shown)
    assert list(pictures.read(tmp_path)) == ["a.ja.png", "b.ja.png"]
    assert json.loads((tmp_path / pictures.RECORD).read_text())["b.ja.png"]["texts"] == {"a": "あ"}
    assert pictures.read(tmp_path)["a.ja.png"] == shown
