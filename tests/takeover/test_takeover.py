"""Moving over from Home Assistant's own integration: the real one, with momonga on a terminal, and a real recorder."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
import math
from pathlib import Path
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from homeassistant.components.energy.data import DeviceConsumption, async_get_manager
from homeassistant.components.lovelace.const import LOVELACE_DATA
from homeassistant.components.lovelace.dashboard import LovelaceStorage
from homeassistant.components.recorder.db_schema import States, StatesMeta, StatisticsMeta
from homeassistant.config_entries import (
    SOURCE_IGNORE,
    SOURCE_USER,
    ConfigEntryDisabler,
    ConfigEntryState,
    ConfigFlowResult,
)
from homeassistant.const import CONF_DEVICE, CONF_ID, CONF_PASSWORD
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import area_registry as ar, device_registry as dr, entity_registry as er
from homeassistant.helpers.recorder import get_instance, session_scope
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
from sqlalchemy import func, select

from ..aiobroute.virtual_time import START
from ..home import DOMAIN, MAC, dongle, entry_of, state, state_of
from ..recorder import bars
from ..simulator import scenarios
from ..simulator.dongle import Dongle
from ..simulator.meter import MeterSettings
from ..simulator.scenarios import PASSWORD, ROUTE_B_ID
from ..simulator.serve import Terminal
from ..stepped_time import stepped

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant

BUILT_IN = "route_b_smart_meter"
CREDENTIAL = ROUTE_B_ID.lower()
"""As it is in names of entities."""
OLD = f"sensor.route_b_smart_meter_{CREDENTIAL}_total_consumption"
NEW = "sensor.route_b_smart_meter_total_consumption"
OLD_POWER = OLD.replace("total_consumption", "instantaneous_power")
NEW_POWER = NEW.replace("total_consumption", "instantaneous_power")
KEYS = (
    "total_consumption",
    "instantaneous_power",
    "instantaneous_current_r_phase",
    "instantaneous_current_t_phase",
)
HOUR = timedelta(hours=1)
LONG_AGO = START - timedelta(days=120)
DAYS = 3
"""How many days the meter remembers."""


def real_life[T: Callable[..., Any]](test: T) -> T:
    """Run a test with threads, a terminal and a recorder that makes statistics."""
    for mark in (
        pytest.mark.stepped_time,
        pytest.mark.parametrize("enable_statistics", [True]),
        pytest.mark.usefixtures("recorder_mock", "_impatience"),
    ):
        test = mark(test)
    return test


@pytest.fixture
def _impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten momonga's pauses between requests, which only the patience of a real meter needs."""
    impatient = SimpleNamespace(sleep=lambda seconds: time.sleep(seconds / 100), monotonic=time.monotonic)
    monkeypatch.setattr("momonga.momonga.time", impatient)
    monkeypatch.setattr(f"homeassistant.components.{BUILT_IN}.coordinator.time", impatient)


@asynccontextmanager
async def terminal(folder: Path) -> AsyncIterator[tuple[Dongle, str]]:
    """Offer a dongle as a terminal, which any program can open."""
    link = folder / "dongle"
    sim = Dongle(replace(scenarios.SOLAR, meter=MeterSettings(solar=True, history_days=DAYS)), speed=math.inf)
    end = Terminal(sim, link)
    try:
        yield sim, str(link)
    finally:
        end.close()


def built_in(port: str, **changes: Any) -> MockConfigEntry:
    """Return the entry that the built-in integration makes of a meter."""
    data = {CONF_DEVICE: port, CONF_ID: ROUTE_B_ID, CONF_PASSWORD: PASSWORD}
    entry = {"domain": BUILT_IN, "title": "Route B Smart Meter", "unique_id": ROUTE_B_ID, "data": data}
    return MockConfigEntry(**(entry | changes))


async def loaded(hass: HomeAssistant, port: str) -> MockConfigEntry:
    """Set the built-in integration up."""
    entry = built_in(port)
    entry.add_to_hass(hass)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    assert state_of(entry) is ConfigEntryState.LOADED
    return entry


def registered(hass: HomeAssistant, entry: MockConfigEntry, names: dict[str, str] | None = None) -> None:
    """Register what the built-in integration has of a meter, without setting it up."""
    entry.add_to_hass(hass)
    device = dr.async_get(hass).async_get_or_create(
        config_entry_id=entry.entry_id,
        identifiers={(BUILT_IN, str(entry.unique_id))},
        name=f"Route B Smart Meter {entry.unique_id}",
    )
    for key in KEYS:
        er.async_get(hass).async_get_or_create(
            "sensor",
            BUILT_IN,
            f"{entry.unique_id}_{key}",
            config_entry=entry,
            device_id=device.id,
            suggested_object_id=(names or {}).get(key, f"route_b_smart_meter_{entry.unique_id}_{key}"),
        )


async def live(hass: HomeAssistant, sim: Dongle, hours: float) -> None:
    """Let time pass in steps of five minutes; nobody is in the middle of a question when the clock is put forward."""
    for _ in range(round(hours * 12)):
        stepped().step(300)
        await silence(hass, sim, 4)
    # momonga breaks if it is closed while it asks, and on a busy machine its threads are slow to begin.
    await silence(hass, sim, 40)


async def silence(hass: HomeAssistant, sim: Dongle, moments: int) -> None:
    """Wait until nobody has asked for some hundredths of a second."""
    asked = -1
    while asked != (asked := len(sim.record.datagrams_from_client)):
        for _ in range(moments):
            await asyncio.sleep(0.01)
            await hass.async_block_till_done()


async def until(is_so: Callable[[], bool]) -> None:
    """Wait for real until something is so."""
    while (answer := is_so()) is not True:
        assert answer is False, f"{answer!r} is neither yes nor no"
        await asyncio.sleep(0.01)


async def furnish(hass: HomeAssistant) -> None:
    """Use the old names wherever Home Assistant can use them."""
    assert await async_setup_component(hass, "energy", {})
    assert await async_setup_component(hass, "lovelace", {})
    automation = {"alias": "Warn", "triggers": {"trigger": "state", "entity_id": OLD_POWER}, "actions": []}
    assert await async_setup_component(hass, "automation", {"automation": automation})
    manager = await async_get_manager(hass)
    fridge: DeviceConsumption = {"stat_consumption": "sensor.fridge"}
    await manager.async_update({"energy_sources": [grid(OLD, OLD_POWER)], "device_consumption": [fridge]})
    await hass.data[LOVELACE_DATA].dashboards[None].async_save(cards(OLD, OLD_POWER))
    area = ar.async_get(hass).async_create("Entrance")
    (device,) = dr.async_get(hass).devices
    dr.async_get(hass).async_update_device(device.id, area_id=area.id)
    er.async_get(hass).async_update_entity(OLD, icon="mdi:flash")
    await hass.async_block_till_done()


def grid(energy: str, power: str) -> Any:
    return {
        "type": "grid",
        "stat_energy_from": energy,
        "stat_energy_to": None,
        "stat_rate": power,
        "stat_cost": None,
        "entity_energy_price": None,
        "number_energy_price": 31.0,
        "stat_compensation": None,
        "entity_energy_price_export": None,
        "number_energy_price_export": None,
        "cost_adjustment_day": 0.0,
    }


def cards(energy: str, power: str) -> dict[str, Any]:
    text = f"{{{{ states('{power}') }}}} W, ¥{{{{ states('{energy}_cost') }}}}"
    return {"views": [{"cards": [{"type": "tile", "entity": energy}, {"type": "markdown", "content": text}]}]}


async def used(hass: HomeAssistant) -> tuple[Any, Any]:
    """Return the preferences of the Energy dashboard, and the dashboard."""
    manager = await async_get_manager(hass)
    return manager.data, await hass.data[LOVELACE_DATA].dashboards[None].async_load(force=False)


def recorded(hass: HomeAssistant) -> dict[str, int]:
    """Return how many states the recorder has by name, and the names of statistics."""
    with session_scope(hass=hass, read_only=True) as session:
        names = [str(name) for name in session.execute(select(StatisticsMeta.statistic_id)).scalars()]
        states = session.execute(
            select(StatesMeta.entity_id, func.count(States.state_id)).join(States).group_by(StatesMeta.entity_id)
        ).all()
        return dict.fromkeys(names, 0) | {str(name): number for name, number in states}


def registries(hass: HomeAssistant) -> list[Any]:
    """Return all devices and entities, without when they were last changed."""
    devices = [
        (device.id, device.config_entry_id, device.identifiers, device.name, device.disabled_by)
        for device in dr.async_get(hass).devices
    ]
    entities = [
        (entity.entity_id, entity.id, entity.platform, entity.unique_id, entity.config_entry_id, entity.disabled_by)
        for entity in er.async_get(hass).entities.values()
    ]
    return sorted(devices) + sorted(entities)


async def start(hass: HomeAssistant) -> ConfigFlowResult:
    """Begin to add ours, and choose to move over."""
    flow = await hass.config_entries.flow.async_init(DOMAIN, context={"source": SOURCE_USER})
    assert flow["type"] is FlowResultType.MENU
    assert flow["menu_options"] == ["takeover", "new"]
    return await hass.config_entries.flow.async_configure(flow["flow_id"], {"next_step_id": "takeover"})


def suggested(flow: ConfigFlowResult) -> dict[str, Any]:
    assert flow["step_id"] == "takeover_confirm"
    assert flow["data_schema"] is not None
    return {str(key): key.description["suggested_value"] for key in flow["data_schema"].schema}


async def connect(hass: HomeAssistant, flow: ConfigFlowResult, **typed: str) -> ConfigFlowResult:
    """Confirm, wait for the end of the connecting, and take what the meter has shown."""
    flow = await hass.config_entries.flow.async_configure(flow["flow_id"], suggested(flow) | typed)
    assert flow["type"] is FlowResultType.SHOW_PROGRESS
    await until(lambda: hass.config_entries.flow.async_get(flow["flow_id"])["step_id"] != "connect")
    flow = await hass.config_entries.flow.async_configure(flow["flow_id"])
    if flow.get("step_id") in {"finish", "finish_export"}:
        flow = await hass.config_entries.flow.async_configure(flow["flow_id"], {})
    await hass.async_block_till_done()
    return flow


async def connect_quickly(hass: HomeAssistant, flow: ConfigFlowResult) -> ConfigFlowResult:
    """Do the same in virtual time."""
    flow = await hass.config_entries.flow.async_configure(flow["flow_id"], suggested(flow))
    while flow["type"] is FlowResultType.SHOW_PROGRESS:
        await asyncio.sleep(0.5)
        flow = await hass.config_entries.flow.async_configure(flow["flow_id"])
    return await hass.config_entries.flow.async_configure(flow["flow_id"], {})


def today() -> datetime:
    return datetime.now(START.tzinfo).replace(hour=0, minute=0, second=0, microsecond=0)


def history_start(hass: HomeAssistant) -> datetime | None:
    (entry,) = hass.config_entries.async_loaded_entries(DOMAIN)
    found: datetime | None = entry.runtime_data.history_start
    return found


async def assert_true(hass: HomeAssistant, sim: Dongle, statistic_id: str, *, hours: int) -> None:
    """Hold all bars to the meter, as soon as the last one was compared."""
    while wrong := wrong_bars(sim, shown := await bars(hass, statistic_id, LONG_AGO)):
        assert wrong == {max(shown)}
        await asyncio.sleep(0.05)
    assert len(shown) >= hours
    assert max(shown) - min(shown) == HOUR * (len(shown) - 1), "there are holes"


def wrong_bars(sim: Dongle, shown: dict[datetime, Decimal]) -> set[datetime]:
    """Return the hours whose bar is not what the meter counted."""
    return {hour for hour, bar in shown.items() if bar != sim.meter.energy_in(hour + HOUR) - sim.meter.energy_in(hour)}


@real_life
async def test_everything_goes_on(hass: HomeAssistant, tmp_path: Path) -> None:
    async with terminal(tmp_path) as (sim, port):
        old = await loaded(hass, port)
        await furnish(hass)
        old_device = next(iter(dr.async_get(hass).devices))
        await live(hass, sim, 5)
        # The machine sleeps for a while, and what flowed meanwhile is heaped onto one hour.
        stepped().step(3 * 3600)
        await live(hass, sim, 2)
        before = await bars(hass, OLD, LONG_AGO)
        assert len(before) == 7
        assert len(wrong_bars(sim, before)) > 0
        states = (await get_instance(hass).async_add_executor_job(recorded, hass))[OLD_POWER]
        assert states > 30

        flow = await start(hass)
        assert suggested(flow) == {CONF_DEVICE: port, CONF_PASSWORD: PASSWORD}
        assert (flow["description_placeholders"] or {})["used_by"] == "Warn"
        flow = await connect(hass, flow)
        assert flow["type"] is FlowResultType.CREATE_ENTRY
        entry = flow["result"]
        assert entry.state is ConfigEntryState.LOADED
        assert set(entry.data) == {CONF_DEVICE, CONF_PASSWORD, "route_b_id", "module", "pan", "profile"}
        assert old.disabled_by is ConfigEntryDisabler.USER
        assert old.data == built_in(port).data

        # Statistics go on, and each bar is what the meter counted, also of the time before the built-in integration.
        await until(lambda: history_start(hass) == today() - timedelta(days=DAYS - 1))
        await assert_true(hass, sim, NEW, hours=24 * (DAYS - 1))
        await live(hass, sim, 2)
        await assert_true(hass, sim, NEW, hours=24 * (DAYS - 1) + 2)

        # The same entities, under names without a credential, on the same device in the same room.
        entities = er.async_get(hass)
        moved = entities.async_get(NEW)
        assert moved is not None
        assert (moved.platform, moved.unique_id, moved.icon) == (DOMAIN, f"{MAC}_energy_in", "mdi:flash")
        (device,) = dr.async_get(hass).devices
        assert (device.id, device.name, device.identifiers) == (old_device.id, "Smart meter", {(DOMAIN, MAC)})
        assert device.area_id == "entrance"
        assert device.sw_version == old_device.sw_version == "F.0"
        assert float(state(hass, NEW)) > 33000
        assert not [name for name in (*entities.entities, *hass.states.async_entity_ids()) if CREDENTIAL in name]
        names = await get_instance(hass).async_add_executor_job(recorded, hass)
        assert not [name for name in names if CREDENTIAL in name]
        assert names[NEW_POWER] > states
        assert {NEW, NEW_POWER, f"{NEW}_cost"} <= names.keys()

        # Whatever shows them does so still.
        energy, shown = await used(hass)
        assert energy["energy_sources"] == [grid(NEW, NEW_POWER)]
        assert energy["device_consumption"] == [{"stat_consumption": "sensor.fridge"}]
        assert shown == cards(NEW, NEW_POWER)
        assert float(state(hass, f"{NEW}_cost")) > 0

        # There is nothing more to take over.
        flow = await hass.config_entries.flow.async_init(DOMAIN, context={"source": SOURCE_USER})
        assert flow["type"] is FlowResultType.FORM
        assert await hass.config_entries.async_unload(entry.entry_id)
        await hass.async_block_till_done()


@real_life
async def test_an_energy_dashboard_that_stumbles_loses_nothing(hass: HomeAssistant, tmp_path: Path) -> None:
    async with terminal(tmp_path) as (_, port):
        await loaded(hass, port)
        await furnish(hass)
        manager = await async_get_manager(hass)
        # Written by something else than the browser: Home Assistant cannot make a cost sensor of it, nor remove it.
        source: Any = {"type": "grid", "stat_energy_from": OLD, "number_energy_price": 31.0}
        await manager.async_update({"energy_sources": []})  # type: ignore[typeddict-item]  # as the browser
        await manager.async_update({"energy_sources": [source]})  # type: ignore[typeddict-item]  # as the browser
        flow = await connect(hass, await start(hass))
        assert flow["result"].state is ConfigEntryState.LOADED
        assert manager.data is not None
        assert manager.data["energy_sources"] == [source | {"stat_energy_from": NEW}]
        await hass.config_entries.async_unload(flow["result"].entry_id)


@real_life
async def test_the_way_back(hass: HomeAssistant, tmp_path: Path) -> None:
    """As docs/migration.md describes it."""
    async with terminal(tmp_path) as (sim, port):
        old = await loaded(hass, port)
        await live(hass, sim, 2)
        flow = await connect(hass, await start(hass))
        await until(lambda: history_start(hass) == today() - timedelta(days=DAYS - 1))
        await live(hass, sim, 1)
        before = await bars(hass, NEW, LONG_AGO)
        await hass.config_entries.async_remove(flow["result"].entry_id)
        assert hass.states.get(NEW) is None
        assert await hass.config_entries.async_set_disabled_by(old.entry_id, None)
        await hass.async_block_till_done()
        assert state_of(old) is ConfigEntryState.LOADED
        await live(hass, sim, 0.5)
        er.async_get(hass).async_update_entity(OLD, new_entity_id=NEW)
        await hass.async_block_till_done()
        await live(hass, sim, 2)
        after = await bars(hass, NEW, LONG_AGO)
        assert after.items() >= before.items()
        assert len(after) == len(before) + 2
        first, last = min(after), max(after) + HOUR
        # Nothing is lost, though hours are as Home Assistant sees them again.
        counted = sim.meter.energy_in(last) - sim.meter.energy_in(first)
        assert sum(after.values()) <= counted + Decimal("0.2")
        # The built-in integration may miss readings on a busy machine, and asks no memory.
        shown = hass.states.get(NEW)
        assert shown is not None
        seen = min(Decimal(shown.state), sim.meter.energy_in(last)) - sim.meter.energy_in(first)
        assert sum(after.values()) >= seen - Decimal("0.2")
        # And forth again.
        flow = await start(hass)
        assert flow["step_id"] == "takeover_confirm"
        hass.config_entries.flow.async_abort(flow["flow_id"])
        await hass.config_entries.async_unload(old.entry_id)


def out_of_reach(_: HomeAssistant, sim: Dongle) -> None:
    sim.air.is_reachable = False


def converting(hass: HomeAssistant, _: Dongle) -> None:
    get_instance(hass).migration_in_progress = True


def ours_already(hass: HomeAssistant, _: Dongle) -> None:
    data = {CONF_DEVICE: "/dev/ttyUSB9"}
    MockConfigEntry(domain=DOMAIN, unique_id=MAC, data=data, disabled_by=ConfigEntryDisabler.USER).add_to_hass(hass)


@dataclass(frozen=True)
class Failure:
    """What is in the way, and what the form says; no error is an end of the flow."""

    errors: dict[str, str] | None
    prepare: Callable[[HomeAssistant, Dongle], None] = lambda _, __: None
    typed: dict[str, str] = field(default_factory=dict)


FAILURES = {
    "no such port": Failure({CONF_DEVICE: "port_missing"}, typed={CONF_DEVICE: "/dev/serial/by-id/none"}),
    "a meter without a dongle": Failure({CONF_DEVICE: "port_address"}, typed={CONF_DEVICE: "echonet://192.168.1.20"}),
    "no password": Failure({CONF_PASSWORD: "invalid_password"}, typed={CONF_PASSWORD: "1"}),
    "nobody heard": Failure({"base": "no_meter"}, prepare=out_of_reach),
    "a recorder at work": Failure({"base": "recorder_busy"}, prepare=converting),
    "a meter of ours": Failure(None, prepare=ours_already),
}


@real_life
@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
async def test_nothing_is_touched_if_it_cannot_be_done(hass: HomeAssistant, tmp_path: Path, failure: Failure) -> None:
    async with terminal(tmp_path) as (sim, port):
        old = await loaded(hass, port)
        await furnish(hass)
        flow = await start(hass)
        failure.prepare(hass, sim)
        before = registries(hass), await used(hass)
        flow = await hass.config_entries.flow.async_configure(flow["flow_id"], suggested(flow) | failure.typed)
        while flow["type"] is FlowResultType.SHOW_PROGRESS:
            await asyncio.sleep(0.05)
            flow = await hass.config_entries.flow.async_configure(flow["flow_id"])
        if failure.errors is None:
            assert flow["reason"] == "already_configured"
        else:
            assert flow["errors"] == failure.errors
        sim.air.is_reachable = True
        get_instance(hass).migration_in_progress = False
        await hass.async_block_till_done()
        assert state_of(old) is ConfigEntryState.LOADED
        assert (registries(hass), await used(hass)) == before
        assert float(state(hass, OLD)) > 33000
        if failure.errors is not None:
            flow = await connect(hass, flow, **suggested(flow) | {CONF_DEVICE: port, CONF_PASSWORD: PASSWORD})
            assert flow["type"] is FlowResultType.CREATE_ENTRY
            await hass.config_entries.async_unload(flow["result"].entry_id)
        await hass.config_entries.async_unload(old.entry_id)


@real_life
@pytest.mark.parametrize("moment", ["stopping", "connecting", "connected"])
async def test_closing_the_dialog_lets_the_built_in_integration_go_on(
    hass: HomeAssistant, tmp_path: Path, moment: str
) -> None:
    async with terminal(tmp_path) as (sim, port):
        old = await loaded(hass, port)
        flow = await start(hass)
        sim.record.clear()
        sim.air.is_answering = moment != "connecting"
        await hass.config_entries.flow.async_configure(flow["flow_id"], suggested(flow))
        if moment == "stopping":
            while state_of(old) is ConfigEntryState.LOADED:  # noqa: ASYNC110  # nobody tells when it is so
                await asyncio.sleep(0)
            assert state_of(old) is ConfigEntryState.UNLOAD_IN_PROGRESS
        elif moment == "connecting":
            await until(lambda: any(command.startswith("SKJOIN") for command in sim.record.commands))
            sim.air.is_answering = True
        else:
            await hass.async_block_till_done()
            assert state_of(old) is ConfigEntryState.NOT_LOADED
        hass.config_entries.flow.async_abort(flow["flow_id"])
        await until(lambda: state_of(old) is not ConfigEntryState.LOADED)
        await until(lambda: state_of(old) is ConfigEntryState.LOADED)
        await hass.config_entries.async_unload(old.entry_id)


async def test_a_meter_that_tells_no_unit_stays_where_it_is(hass: HomeAssistant) -> None:
    with dongle(scenarios.NO_UNIT) as sim:
        old = built_in(sim.url, disabled_by=ConfigEntryDisabler.USER)
        registered(hass, old)
        before = registries(hass)
        flow = await connect(hass, await start(hass))
        assert flow["errors"] == {"base": "no_unit"}
        assert registries(hass) == before


async def test_what_cannot_be_stopped_is_left_alone(hass: HomeAssistant) -> None:
    with dongle() as sim:
        old = built_in(sim.url)
        registered(hass, old)
        old.mock_state(hass, ConfigEntryState.FAILED_UNLOAD)
        flow = await connect(hass, await start(hass))
        assert flow["errors"] == {"base": "still_running"}
        assert not sim.record.opens


async def test_names_that_a_person_has_given_stay_and_others_are_not_taken_twice(hass: HomeAssistant) -> None:
    with dongle() as sim:
        old = built_in(sim.url, disabled_by=ConfigEntryDisabler.USER)
        registered(hass, old, {"total_consumption": "bought"})
        hass.states.async_set(NEW_POWER, "1")
        flow = await connect(hass, await start(hass))
        assert flow["type"] is FlowResultType.CREATE_ENTRY
        assert state(hass, "sensor.bought") != "unavailable"
        assert state(hass, f"{NEW_POWER}_2") != "unavailable"
        assert state(hass, NEW_POWER) == "1"


@pytest.mark.parametrize("one_phase", [True, False])
async def test_a_phase_that_the_meter_does_not_have_goes_away(
    hass: HomeAssistant,
    one_phase: bool,  # noqa: FBT001  # a parameter of the test
) -> None:
    with dongle(replace(scenarios.NORMAL, meter=MeterSettings(one_phase=one_phase))) as sim:
        old = built_in(sim.url, disabled_by=ConfigEntryDisabler.USER)
        registered(hass, old)
        flow = await connect(hass, await start(hass))
        entities = er.async_get(hass)
        moved = {entity.entity_id for entity in er.async_entries_for_config_entry(entities, flow["result"].entry_id)}
        names = {NEW.replace("total_consumption", key) for key in KEYS[: 3 if one_phase else 4]}
        assert {name for name in moved if BUILT_IN in name} == names
        assert not er.async_entries_for_config_entry(entities, old.entry_id)


async def test_what_has_nothing_to_do_with_the_meter_stays_as_it_is(hass: HomeAssistant, tmp_path: Path) -> None:
    with dongle() as sim:
        registered(hass, built_in(sim.url, disabled_by=ConfigEntryDisabler.USER))
        file = tmp_path / "own.yaml"
        file.write_text(f"views: [{{cards: [{{type: tile, entity: {OLD}}}]}}]")
        own = {"mode": "yaml", "title": "Own", "filename": str(file), "show_in_sidebar": False}
        assert await async_setup_component(hass, "lovelace", {"lovelace": {"dashboards": {"my-own": own}}})
        dashboards = hass.data[LOVELACE_DATA].dashboards
        dashboards["other"] = LovelaceStorage(hass, {"id": "other", "url_path": "other"})
        await dashboards["other"].async_save(cards("sensor.other", f"{OLD}_of_another"))
        # The Energy dashboard belongs to the recorder, which is not there; its preferences are.
        hass.config.components.add("energy")
        manager = await async_get_manager(hass)
        await manager.async_update({"energy_sources": [grid("sensor.other", "sensor.power")]})  # type: ignore[typeddict-item]  # as the browser
        flow = await connect(hass, await start(hass))
        assert flow["type"] is FlowResultType.CREATE_ENTRY
        assert state(hass, NEW) != "unavailable"
        assert manager.data is not None
        assert manager.data["energy_sources"] == [grid("sensor.other", "sensor.power")]
        assert await dashboards["other"].async_load(force=False) == cards("sensor.other", f"{OLD}_of_another")
        assert OLD in file.read_text()


async def test_one_of_several_meters_is_chosen_by_its_port(hass: HomeAssistant) -> None:
    with dongle() as sim:
        registered(hass, built_in("/dev/ttyUSB9", unique_id="F" * 32, disabled_by=ConfigEntryDisabler.USER))
        old = built_in(sim.url, disabled_by=ConfigEntryDisabler.USER)
        registered(hass, old)
        built_in("", source=SOURCE_IGNORE, unique_id="ignored", data={}).add_to_hass(hass)
        flow = await start(hass)
        assert flow["step_id"] == "takeover"
        assert flow["data_schema"] is not None
        (field,) = flow["data_schema"].schema.values()
        assert [option["label"] for option in field.config["options"]] == ["/dev/ttyUSB9", sim.url]
        flow = await hass.config_entries.flow.async_configure(flow["flow_id"], {"takes_over": old.entry_id})
        flow = await connect(hass, flow)
        assert flow["type"] is FlowResultType.CREATE_ENTRY
        assert state(hass, NEW) != "unavailable"


async def test_another_meter_can_be_set_up_beside(hass: HomeAssistant) -> None:
    registered(hass, built_in("/dev/ttyUSB9", disabled_by=ConfigEntryDisabler.USER))
    flow = await hass.config_entries.flow.async_init(DOMAIN, context={"source": SOURCE_USER})
    flow = await hass.config_entries.flow.async_configure(flow["flow_id"], {"next_step_id": "new"})
    assert flow["type"] is FlowResultType.FORM
    assert flow["step_id"] == "user"


async def test_what_was_removed_meanwhile_is_not_missed(hass: HomeAssistant) -> None:
    with dongle() as sim:
        entry = entry_of(sim, takes_over="gone")
        entry.add_to_hass(hass)
        assert await hass.config_entries.async_setup(entry.entry_id)
        assert "takes_over" not in entry.data
        assert await hass.config_entries.async_unload(entry.entry_id)
