"""ID and password are nowhere but in the entry, whatever happens."""

import asyncio
from dataclasses import replace
import gc
import json
import logging
from typing import TYPE_CHECKING, override

from homeassistant.config_entries import SOURCE_USER
from homeassistant.const import CONF_DEVICE, CONF_PASSWORD
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import device_registry as dr, entity_registry as er, issue_registry as ir
from homeassistant.helpers.json import JSONEncoder
from homeassistant.setup import async_setup_component
import probatio
from probatio.humanize import humanize_error
import pytest

from custom_components.broute.config_flow import CREDENTIALS_SCHEMA, SCHEMA, TAKEOVER_SCHEMA
from custom_components.broute.const import CONF_ROUTE_B_ID
from custom_components.broute.diagnostics import async_get_config_entry_diagnostics

from .home import DOMAIN, dongle, elapse, entry_of, until
from .simulator.dongle import MODULES
from .simulator.scenarios import SCENARIOS, Scenario

if TYPE_CHECKING:
    from collections.abc import Iterator

    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant
    from pytest_homeassistant_custom_component.common import MockConfigEntry

    from .simulator.transport import SimulatedPort

ROUTE_B_ID = "7C1E5A9B3D2F4860A8E6C4027B9D1F35"
PASSWORD = "Zq7vXk2wPm9s"
WRONG_PASSWORD = "Hd4nRt8yLc6b"

PART = 8
"""Characters; so much of a secret is too much, and as much as the pairing ID has."""


def parts() -> Iterator[str]:
    """Yield what must not be seen, as text and as the hexadecimal digits of its bytes."""
    for secret in (ROUTE_B_ID, PASSWORD, WRONG_PASSWORD):
        for place in range(len(secret) - PART + 1):
            part = secret[place : place + PART].lower()
            yield part
            yield part.encode().hex()
            yield part.upper().encode().hex()


PARTS = tuple(parts())


def leaks(text: str) -> set[str]:
    """Return the lines that tell something."""
    text = text.lower()
    if not any(part in text for part in PARTS):
        return set()
    return {line for line in text.splitlines() if any(part in line for part in PARTS)}


class Log(logging.Handler):
    """Keeps everything that is logged, tracebacks included."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []

    @override
    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(f"{record.name} {self.format(record)}")


@pytest.fixture
def log() -> Iterator[Log]:
    """Log everything of everybody."""
    handler, root = Log(), logging.getLogger()
    level = root.level
    levels = {name: logging.getLogger(name).level for name in list(logging.root.manager.loggerDict)}
    root.setLevel(logging.DEBUG)
    for name in levels:
        logging.getLogger(name).setLevel(logging.DEBUG)
    root.addHandler(handler)
    yield handler
    root.removeHandler(handler)
    root.setLevel(level)
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)


def credible(sim: SimulatedPort) -> MockConfigEntry:
    """Return an entry with the credentials that must not be seen."""
    return entry_of(sim, route_b_id=ROUTE_B_ID, **{CONF_PASSWORD: PASSWORD})


def secretive(scenario: Scenario) -> Scenario:
    """Return the same situation at a meter whose ID and password occur nowhere by chance."""
    network = replace(scenario.radio.network, pairing_id=ROUTE_B_ID[-8:])
    radio = replace(scenario.radio, route_b_id=ROUTE_B_ID, password=PASSWORD, network=network)
    return replace(scenario, radio=radio)


async def entered(hass: HomeAssistant, sim: SimulatedPort) -> str:
    """Set the meter up as a person does, with a wrong password first; return all that was shown."""
    flows = hass.config_entries.flow
    typed = {CONF_DEVICE: sim.url, "route_b_id": ROUTE_B_ID, CONF_PASSWORD: WRONG_PASSWORD}
    flow = await flows.async_init(DOMAIN, context={"source": SOURCE_USER})
    shown = []
    for password in (WRONG_PASSWORD, PASSWORD):
        if flow["type"] is FlowResultType.FORM:
            flow = await flows.async_configure(flow["flow_id"], {**typed, CONF_PASSWORD: password})
        while flow["type"] is FlowResultType.SHOW_PROGRESS:
            await hass.async_block_till_done()
            flow = await flows.async_configure(flow["flow_id"])
        shown += [flow.get("errors"), flow.get("title"), flow.get("description_placeholders")]
    await hass.async_block_till_done()
    return str(shown)


async def everything_shown(hass: HomeAssistant, entry: ConfigEntry) -> str:
    """Return what anybody can see of an entry: the file to hand on, names, states, issues, flows."""
    entities = er.async_entries_for_config_entry(er.async_get(hass), entry.entry_id)
    devices = dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)
    issues = [issue for issue in ir.async_get(hass).issues.values() if issue.domain == DOMAIN]
    # Home Assistant's own ids are drawn by chance, and one of them had eight digits of the Route B ID.
    drawn = dict.fromkeys(("id", "device_id", "via_device_id"))
    return "\n".join(
        [
            json.dumps(await async_get_config_entry_diagnostics(hass, entry), cls=JSONEncoder),
            *(str({**entity.extended_dict, **drawn}) for entity in entities),
            *(str({**device.dict_repr, **drawn}) for device in devices),
            *(str(state.as_dict()) for state in hass.states.async_all()),
            *(f"{issue.issue_id} {issue.data} {issue.translation_placeholders}" for issue in issues),
            *(str(flow) for flow in hass.config_entries.flow.async_progress()),
            f"{entry.title} {entry.unique_id} {entry.reason} {entry!r}",
        ]
    )


def ours() -> Iterator[object]:
    """Yield every object that is made of our code."""
    for thing in gc.get_objects():
        if type(thing).__module__.startswith("custom_components.broute"):
            yield thing


@pytest.mark.parametrize(
    ("name", "module"),
    [
        *((name, "bp35c2") for name in SCENARIOS),
        *((name, "j11") for name in ("NORMAL", "NOISE", "TRUNCATED_LINES", "SECOND_GENERATION", "FAILING_ASSOCIATION")),
    ],
)
async def test_no_situation_makes_anybody_tell(hass: HomeAssistant, log: Log, name: str, module: str) -> None:
    assert await async_setup_component(hass, "repairs", {})
    with dongle(secretive(SCENARIOS[name]), module=module) as sim:
        seen = [await entered(hass, sim)]
        if not (entries := hass.config_entries.async_entries(DOMAIN)):
            credible(sim).add_to_hass(hass)
            (entry,) = hass.config_entries.async_entries(DOMAIN)
            await hass.config_entries.async_setup(entry.entry_id)
        else:
            (entry,) = entries
        await elapse(hass, 120)
        seen.append(await everything_shown(hass, entry))
        hass.config_entries.async_update_entry(entry, data={**entry.data, CONF_PASSWORD: WRONG_PASSWORD})
        sim.air.end_session()
        await elapse(hass, 200)
        seen.append(await everything_shown(hass, entry))
        seen += [repr(thing) for thing in ours()]
        sim.unplug()
        await elapse(hass, 100)
        seen.append(await everything_shown(hass, entry))
        await hass.config_entries.async_unload(entry.entry_id)
        seen.append(await everything_shown(hass, entry))
    assert any("> SKSETPWD" in line or "> SET_CREDENTIALS" in line for line in log.lines)
    assert not leaks("\n".join([*seen, *log.lines]))


@pytest.mark.parametrize(
    "line",
    [
        f"SKSETPWD C {PASSWORD}",
        f"SKSETRBID {ROUTE_B_ID.lower()}",
        f"PairID:{ROUTE_B_ID[-8:]}",
        f"ERXUDP {b'SM'.hex()}{ROUTE_B_ID.encode().hex()}",
        f"{WRONG_PASSWORD[2:]!r}",
    ],
)
def test_a_leak_is_noticed(log: Log, line: str) -> None:
    logging.getLogger("custom_components.broute").debug("< %s", line)
    logging.getLogger("custom_components.broute").debug("nothing")
    assert leaks("\n".join(log.lines)) == {f"custom_components.broute < {line}".lower()}


async def next_command(sim: SimulatedPort, setup: asyncio.Task[bool]) -> None:
    """Wait for the next command."""
    known = len(sim.record.commands)
    await until(lambda: len(sim.record.commands) > known or setup.done(), 0.002)


@pytest.mark.parametrize("module", MODULES)
async def test_no_object_tells_while_a_connection_is_made(hass: HomeAssistant, module: str) -> None:
    """Look at everything that there is each time a command is on its way."""
    with dongle(secretive(SCENARIOS["NORMAL"]), module=module) as sim:
        entry = credible(sim)
        entry.add_to_hass(hass)
        setup = hass.async_create_task(hass.config_entries.async_setup(entry.entry_id))
        seen: set[str] = set()
        looks = 0
        while not setup.done():
            await next_command(sim, setup)
            seen |= {repr(thing) for thing in ours()} | {repr(task) for task in asyncio.all_tasks()}
            looks += 1
        assert looks >= 10
    assert not leaks("\n".join(seen))


@pytest.mark.parametrize("schema", [CREDENTIALS_SCHEMA, SCHEMA, TAKEOVER_SCHEMA])
def test_what_a_form_refuses_is_not_repeated(schema: probatio.Schema) -> None:
    typed = {str(key): {"typed": PASSWORD} for key in schema.schema if key in {CONF_ROUTE_B_ID, CONF_PASSWORD}}
    with pytest.raises(probatio.MultipleInvalid) as caught:
        schema(typed)
    told = humanize_error(typed, caught.value)
    assert CONF_PASSWORD in told
    assert not any(part in told.lower() for part in parts())
