"""What a record made in Home Assistant leaves out, and has if a person asks for it after seeing it."""

from itertools import islice, product
from pathlib import Path
import re
from typing import TYPE_CHECKING, Any

from homeassistant.config_entries import ConfigEntryState
from homeassistant.data_entry_flow import FlowResultType, InvalidData
import pytest

from custom_components.broute.aiobroute.records.checker import check, kept_lines

from .aiobroute.test_record import PASSWORD, everything, secretive
from .home import dongle, elapse, entry_of, set_up, state_of, until
from .simulator import scenarios
from .simulator.echonet import property_map
from .test_replay import notes, replayed
from .test_report import HOUSE, SECRETS, SWITCH, begin, is_over, media, the_record, told

if TYPE_CHECKING:
    from homeassistant.config_entries import ConfigFlowResult
    from homeassistant.core import HomeAssistant
    from pytest_homeassistant_custom_component.common import MockConfigEntry

    from .simulator.dongle import Dongle

__all__ = ["media"]


def add_unknown(sim: Dongle) -> None:
    """Let the meter have a property that nobody knows."""
    registers = sim.meter.device.registers
    registers[0xF0] = lambda: b"\0\7"
    registers[0x9F] = lambda: property_map({*registers})


async def recorded(hass: HomeAssistant, entry: MockConfigEntry, sim: Dongle, *said: str) -> None:
    """Make a record in which the module says something that nobody knows."""
    await begin(hass)
    await elapse(hass, 5)
    for text in said:
        sim.inject(f"{text}\r\n".encode())
    await until(lambda: is_over(hass, entry), within=900)
    await hass.async_block_till_done()


async def options(hass: HomeAssistant, entry: MockConfigEntry) -> ConfigFlowResult:
    return await hass.config_entries.options.async_init(entry.entry_id)


async def form(hass: HomeAssistant, entry: MockConfigEntry) -> ConfigFlowResult:
    """Return the form that shows what was left out."""
    flow = await options(hass, entry)
    return await hass.config_entries.options.async_configure(flow["flow_id"], {"next_step_id": "keep_unknown"})


def choices(flow: ConfigFlowResult) -> dict[str, str]:
    """Return what can be chosen, by what was said."""
    assert flow["data_schema"] is not None
    (selector,) = flow["data_schema"].schema.values()
    return {option["label"].partition(": ")[2]: option["value"] for option in selector.config["options"]}


def chosen(flow: ConfigFlowResult) -> Any:
    """Return what is chosen already."""
    assert flow["data_schema"] is not None
    ((key, _),) = flow["data_schema"].schema.items()
    return key.description["suggested_value"]


async def choose(hass: HomeAssistant, flow: ConfigFlowResult, *names: str) -> ConfigFlowResult:
    answer = {"unknown": list(names)}
    return await hass.config_entries.options.async_configure(flow["flow_id"], answer)


def moved(folder: Path, name: str) -> Path:
    """Give a folder another name, under which nothing is yet."""
    new = folder.with_name(name)
    assert not new.exists()
    return folder.rename(new)


async def test_a_person_sees_it_and_chooses(hass: HomeAssistant, media: Path) -> None:
    with dongle(HOUSE) as sim:
        add_unknown(sim)
        entry = entry_of(sim, **SECRETS)
        await set_up(hass, entry)
        assert (await options(hass, entry))["step_id"] == "init"
        await recorded(hass, entry, sim, "hello", "hello", f"ID {PASSWORD}")
        before = the_record(media)
        assert "hello" not in before
        assert "Messages of unknown meaning: 2, of which the file has 0." in told(hass, entry)["message"]
        assert "hello" not in told(hass, entry)["message"]
        menu = await options(hass, entry)
        assert menu["type"] is FlowResultType.MENU
        assert menu["menu_options"] == ["settings", "keep_unknown"]
        flow = await form(hass, entry)
        assert flow["description_placeholders"] == {"hidden": "1"}
        assert {*choices(flow)} == {"line: hello", "property F0: 0007"}
        assert chosen(flow) == []
        with pytest.raises(InvalidData):
            await choose(hass, flow, "another")
        reads = entry.runtime_data.readings
        done = await choose(hass, flow, choices(flow)["line: hello"])
        assert done["type"] is FlowResultType.CREATE_ENTRY
        await hass.async_block_till_done()
        assert entry.runtime_data.readings >= reads, "it was not reloaded"
        text = the_record(media)
        assert text.count("< line-kept hello\n") == 2
        assert len(kept_lines(text)) == 2
        assert check(text, everything(sim)) == []
        message = told(hass, entry)["message"]
        assert "of which the file has 1." in message
        assert "What you have chosen is in it, too." in message
        assert re.findall(r"\]\((/[^)]+)\)", message)
        assert notes(await replayed(text)) == notes(text)
        again = await form(hass, entry)
        assert chosen(again) == [choices(flow)["line: hello"]]
        await choose(hass, again)
        assert the_record(media) == before


async def test_a_meter_that_cannot_be_reached_has_it_as_well(hass: HomeAssistant, media: Path) -> None:
    with dongle(secretive(scenarios.NO_METER)) as sim:
        entry = entry_of(sim, **SECRETS)
        await set_up(hass, entry)
        assert state_of(entry) is ConfigEntryState.SETUP_RETRY
        await recorded(hass, entry, sim, "hello")
        flow = await form(hass, entry)
        await choose(hass, flow, *choices(flow).values())
        assert "< line-kept hello" in the_record(media)


async def test_what_fails_leaves_the_file_as_it_was(hass: HomeAssistant, media: Path) -> None:
    halves = PASSWORD[:4], PASSWORD[4:8]
    with dongle(HOUSE) as sim:
        entry = entry_of(sim, **SECRETS)
        await set_up(hass, entry)
        await recorded(hass, entry, sim, halves[0], "good morning", halves[1])
        flow = await form(hass, entry)
        before = the_record(media)
        names = [choices(flow)[f"line: {half}"] for half in halves]
        flow = await choose(hass, flow, *names)
        assert flow["errors"] == {"base": "record_together"}
        assert chosen(flow) == names
        assert the_record(media) == before
        away = moved(media, "away")
        flow = await choose(hass, flow, names[0])
        assert flow["errors"] == {"base": "record_gone"}
        assert moved(away, media.name) == media
        assert (await choose(hass, flow, names[0]))["type"] is FlowResultType.CREATE_ENTRY


async def test_it_is_forgotten(hass: HomeAssistant, media: Path) -> None:
    with dongle(HOUSE) as sim:
        entry = entry_of(sim, **SECRETS)
        await set_up(hass, entry)
        await recorded(hass, entry, sim, "hello")
        assert await hass.config_entries.async_reload(entry.entry_id)
        flow = await form(hass, entry)
        await begin(hass)
        late = await choose(hass, flow)
        assert late["type"] is FlowResultType.ABORT
        assert late["reason"] == "record_gone"
        assert (await options(hass, entry))["step_id"] == "init"
        await hass.services.async_call("switch", "turn_off", {"entity_id": SWITCH}, blocking=True)
        assert await hass.config_entries.async_remove(entry.entry_id)
    assert the_record(media)


async def test_many_lines_are_told_by_the_first(hass: HomeAssistant, media: Path) -> None:
    with dongle(HOUSE) as sim:
        entry = entry_of(sim, **SECRETS)
        await set_up(hass, entry)
        many = ("".join(pair) for pair in islice(product("ghijklmnopqr", repeat=2), 120))
        await recorded(hass, entry, sim, *["hello"] * 5, *many)
        flow = await form(hass, entry)
        assert flow["data_schema"] is not None
        (selector,) = flow["data_schema"].schema.values()
        labels = [option["label"] for option in selector.config["options"]]
        assert re.fullmatch(r"\d+, \d+, \d+, …: line: hello", labels[0])
        assert len(labels) == 100
    assert the_record(media)
