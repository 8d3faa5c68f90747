"""Records are replayed against Home Assistant's entities: what the meter told then is what a person sees now."""

from decimal import Decimal
from itertools import pairwise
import re
from typing import TYPE_CHECKING

from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import CONF_DEVICE, CONF_PASSWORD, EVENT_STATE_CHANGED
from homeassistant.core import Event, EventStateChangedData, callback
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from .answers import answering_port, exchanges_of, frame_in, record_of
from .home import DOMAIN, elapse, set_up, state_of
from .replay import read
from .simulator.echonet import Esv
from .test_replay import RECORDS, route_b_id
from .transcripts import needs_transcripts

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant

WORKED = {record.stem: text for record in RECORDS if "worked readings" in (text := record.read_text())}


def told(text: str, epc: int) -> list[bytes]:
    """Return each value of a property that the meter of a record told when it was asked."""
    heard = [frame_in(unit) for _, answer in exchanges_of(read(text)) for _, unit in answer]
    frames = [frame for frame in heard if frame is not None and frame.service in {Esv.GET_RES, Esv.GET_SNA}]
    return [edt for frame in frames for code, edt in frame.properties if code == epc and edt]


def distinct[T](values: list[T]) -> list[T]:
    """Return values without those that equal the one before."""
    return values[:1] + [after for before, after in pairwise(values) if after != before]


def pan_of(text: str) -> dict[str, int | str]:
    """Return where the meter of a record was found."""
    if (found := re.search(r"Channel:(\w+)[^>]*?Pan ID:(\w+)[^>]*?Addr:(\w+)", text)) is not None:
        channel, pan_id, mac = found.groups()
    else:
        found = re.search(r"< frame 4051 00(\w\w)01(\w{16})(\w{4})", text)
        assert found is not None
        channel, mac, pan_id = found.groups()
        # J11 counts the channels of 1 MHz from 4 on, SK those of half a megahertz from 33 on.
        channel = f"{33 + 2 * (int(channel, 16) - 4):X}"
    return {"channel": int(channel, 16), "pan_id": int(pan_id, 16), "mac": mac}


async def shown(hass: HomeAssistant, *texts: str, polls: int) -> tuple[dict[str, list[str]], list[str]]:
    """Return each state that each sensor of a replayed meter had, and what the records had no answer for."""
    states: dict[str, list[str]] = {}

    @callback
    def note(event: Event[EventStateChangedData]) -> None:
        if (new := event.data["new_state"]) is not None:
            states.setdefault(new.entity_id, []).append(new.state)

    hass.bus.async_listen(EVENT_STATE_CHANGED, note)
    with answering_port(*texts) as port:
        entry = MockConfigEntry(
            domain=DOMAIN,
            title="Smart meter",
            unique_id=str(pan_of(texts[0])["mac"]),
            data={
                CONF_DEVICE: port.url,
                "route_b_id": route_b_id(texts[0]),
                CONF_PASSWORD: "X" * 12,
                "pan": pan_of(texts[0]),
            },
            options={"import_history": False},
        )
        await set_up(hass, entry)
        await elapse(hass, 60)
        assert state_of(entry) is ConfigEntryState.LOADED, (entry.reason, port.unanswered)
        for _ in range(polls):
            await elapse(hass, 60)
        await hass.config_entries.async_unload(entry.entry_id)
        return states, port.unanswered


def signed(values: list[bytes]) -> list[int]:
    return [int.from_bytes(value, signed=True) for value in values]


@pytest.mark.parametrize("name", WORKED)
async def test_what_a_record_tells_is_shown(hass: HomeAssistant, name: str) -> None:
    text = WORKED[name]
    states, unanswered = await shown(hass, text, polls=8)
    assert unanswered == []
    power = distinct([str(value) for value in signed(told(text, 0xE7))])
    assert len(power) > 1
    assert states["sensor.smart_meter_power"] == [*power, "unavailable"]
    unit = Decimal(1).scaleb(-told(text, 0xE1)[0][0])
    energy = distinct([str(int.from_bytes(value) * unit) for value in told(text, 0xE0)])
    assert states["sensor.smart_meter_energy_import"] == [*energy, "unavailable"]


@needs_transcripts
async def test_what_a_real_meter_told_is_shown(hass: HomeAssistant) -> None:
    """Its scan, joining and answers; commands that its program did not need are answered by a simulated BP35A1."""
    text = record_of("bp35a1_m5stickc_wire.txt")
    states, unanswered = await shown(hass, text, WORKED["simulator-bp35a1"], polls=20)
    assert unanswered == []
    power = distinct([str(value) for value in signed(told(text, 0xE7))])
    assert len(power) == 18
    assert states["sensor.smart_meter_power"] == [*power, "unavailable"]
    for phase, part in (("r", slice(0, 2)), ("t", slice(2, 4))):
        amperes = [str(value * Decimal("0.1")) for value in signed([edt[part] for edt in told(text, 0xE8)])]
        assert states[f"sensor.smart_meter_current_{phase}_phase"] == [*distinct(amperes), "unavailable"]
    # That program asked for no counter.
    assert states["sensor.smart_meter_energy_import"] == ["unknown", "unavailable"]


async def test_a_question_without_an_answer_is_named(hass: HomeAssistant) -> None:
    text = WORKED["simulator-bp35a1"].replace("line SKRESET", "line SKTERM")
    with pytest.raises(AssertionError, match="line SKRESET"):
        await shown(hass, text, polls=0)
