"""Two meters on one dongle: turns, intervals, and whom a meter that is not there keeps waiting."""

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from homeassistant.config_entries import SETUP_RETRY_MAX_WAIT, ConfigEntry, ConfigEntryDisabler, ConfigEntryState
from homeassistant.const import CONF_DEVICE, CONF_PASSWORD, STATE_UNAVAILABLE
from homeassistant.core import CoreState
from homeassistant.data_entry_flow import FlowResultType, InvalidData
from homeassistant.helpers import entity_registry as er
import pytest

from custom_components.broute.coordinator import OVERDUE
from custom_components.broute.diagnostics import async_get_config_entry_diagnostics

from ..aiobroute.virtual_time import START, clock
from ..home import DOMAIN, dongle, elapse, entries_of, now, set_up, state, state_of, until
from ..recorder import bars
from ..simulator.scenarios import PASSWORD_2, ROUTE_B_ID_2, TWO_METERS
from ..simulator.transport import SimTransport
from ..soak.installation import Installation, in_a_house
from ..test_config_flow import start, submit
from ..test_resources import resources

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant
    from pytest_homeassistant_custom_component.common import MockConfigEntry

    from ..simulator.transport import SimulatedPort


async def set_up_both(hass: HomeAssistant, sim: SimulatedPort, **options: Any) -> list[MockConfigEntry]:
    entries = entries_of(sim, **options)
    for entry in entries:
        entry.add_to_hass(hass)
    assert await hass.config_entries.async_setup(entries[0].entry_id)
    await hass.async_block_till_done()
    assert [state_of(entry) for entry in entries] == [ConfigEntryState.LOADED] * 2
    return entries


def sensor_of(hass: HomeAssistant, entry: ConfigEntry, key: str) -> str:
    entity_id = er.async_get(hass).async_get_entity_id("sensor", DOMAIN, f"{entry.unique_id}_{key}")
    assert entity_id is not None
    return entity_id


def shown(hass: HomeAssistant, entry: ConfigEntry, key: str) -> str:
    """Return what a sensor of an entry shows."""
    return state(hass, sensor_of(hass, entry, key))


HOUR = timedelta(hours=1)


class Watch:
    """Sees when there are readings, whether they are true, and for how many seconds nothing was shown."""

    def __init__(self, hass: HomeAssistant, sim: SimulatedPort, entries: list[MockConfigEntry]) -> None:
        self.hass, self.sim, self.entries = hass, sim, entries
        self.power = [sensor_of(hass, entry, "power") for entry in entries]
        self.times: list[list[float]] = [[] for _ in entries]
        self.unavailable = [0 for _ in entries]

    async def look(self, seconds: float) -> None:
        until_then = now() + seconds
        seen = [entry.runtime_data.readings for entry in self.entries]
        while now() < until_then:
            await asyncio.sleep(2)
            for place, entry in enumerate(self.entries):
                if entry.runtime_data.readings != seen[place]:
                    seen[place] = entry.runtime_data.readings
                    self.times[place].append(now())
                    self._compare(place, entry)
                self.unavailable[place] += 2 * (state(self.hass, self.power[place]) == STATE_UNAVAILABLE)

    def _compare(self, place: int, entry: MockConfigEntry) -> None:
        """Hold what is shown to the registers of the very meter."""
        meter, at = self.sim.airs[place].meter, self.sim.clock()
        energy = Decimal(shown(self.hass, entry, "energy_in"))
        assert meter.energy_in(at - timedelta(seconds=5)) <= energy <= meter.energy_in(at)

    def longest(self, place: int) -> float:
        """Return the longest time between two readings."""
        times = self.times[place]
        return max(after - before for before, after in pairwise(times))


@pytest.mark.parametrize(("interval", "hours"), [(60, 3), (10, 1)])
async def test_two_meters_take_turns(hass: HomeAssistant, interval: int, hours: int) -> None:
    with dongle(TWO_METERS) as sim:
        entries = await set_up_both(hass, sim, interval=interval)
        watch = Watch(hass, sim, entries)
        await watch.look(hours * 3600)
        promised = max(interval, 30)
        for place in (0, 1):
            assert watch.unavailable[place] == 0
            assert len(watch.times[place]) >= hours * 3600 / promised - 1
            assert watch.longest(place) <= promised + 12
        # No meter was asked in vain, and none within its pause.
        assert not {"REFUSED", "UNHEARD", "TERMINATED_ALONE"} & set(sim.record.happenings)
        assert sim.record.opens - sim.record.closes <= 1
        assert sim.air.airtime.last_hour() < 15


async def test_a_session_is_kept_while_nobody_else_wants_the_dongle(hass: HomeAssistant) -> None:
    with dongle(TWO_METERS) as sim:
        first, second = await set_up_both(hass, sim)
        await hass.config_entries.async_set_disabled_by(second.entry_id, ConfigEntryDisabler.USER)
        await elapse(hass, 120)
        opens = sim.record.opens
        await elapse(hass, 3600)
        assert sim.record.opens == opens
        assert first.runtime_data.update_interval == timedelta(seconds=60)


async def test_a_start_with_two_meters_takes_no_longer_than_two_starts(hass: HomeAssistant) -> None:
    with dongle(TWO_METERS) as sim:
        began = now()
        entries = await set_up_both(hass, sim)
        assert now() - began < 20
        for entry in entries:
            await hass.config_entries.async_unload(entry.entry_id)
        await elapse(hass, 30)
        hass.set_state(CoreState.starting)
        began = now()
        await asyncio.gather(*(hass.config_entries.async_setup(entry.entry_id) for entry in entries))
        assert now() - began < 14
        assert [state_of(entry) for entry in entries] == [ConfigEntryState.LOADED] * 2


async def test_home_assistant_does_not_wait_longer_for_two_meters_than_for_one(hass: HomeAssistant) -> None:
    with dongle(TWO_METERS) as sim:
        for air in sim.airs:
            air.is_reachable = False
        entries = entries_of(sim)
        for entry in entries:
            entry.add_to_hass(hass)
        hass.set_state(CoreState.starting)
        began = now()
        await hass.config_entries.async_setup(entries[0].entry_id)
        assert now() - began < 32
        assert [state_of(entry) for entry in entries] == [ConfigEntryState.SETUP_RETRY] * 2
        assert sim.record.opens == sim.record.closes
        for entry in entries:
            await hass.config_entries.async_unload(entry.entry_id)


@pytest.mark.parametrize("lost", [0, 1])
async def test_a_meter_out_of_reach_keeps_the_other_waiting_for_a_minute_at_most(
    hass: HomeAssistant, lost: int
) -> None:
    with dongle(TWO_METERS) as sim:
        entries = await set_up_both(hass, sim)
        sim.airs[lost].is_reachable = False
        watch = Watch(hass, sim, entries)
        await watch.look(2 * 3600)
        assert watch.unavailable[1 - lost] == 0
        assert watch.longest(1 - lost) <= 60 + 60 + 20
        assert len(watch.times[1 - lost]) >= 2 * 3600 / 80
        assert watch.unavailable[lost] >= 2 * 3600 - 60 - OVERDUE - 60
        sim.airs[lost].is_reachable = True
        await watch.look(420)
        assert shown(hass, entries[lost], "power") != STATE_UNAVAILABLE
        assert sim.air.airtime.last_hour() < 30


async def test_a_meter_that_cannot_be_set_up_keeps_the_other_waiting_for_a_minute_at_most(hass: HomeAssistant) -> None:
    with dongle(TWO_METERS) as sim:
        sim.airs[1].is_reachable = False
        entries = entries_of(sim)
        for entry in entries:
            entry.add_to_hass(hass)
        assert await hass.config_entries.async_setup(entries[0].entry_id)
        assert [state_of(entry) for entry in entries] == [ConfigEntryState.LOADED, ConfigEntryState.SETUP_RETRY]
        watch = Watch(hass, sim, entries[:1])
        await watch.look(2 * 3600)
        assert watch.unavailable == [0]
        assert watch.longest(0) <= 60 + 60 + 20
        sim.airs[1].is_reachable = True
        # How much of Home Assistant's wait is over by now differs from version to version.
        await elapse(hass, SETUP_RETRY_MAX_WAIT + 60)
        assert state_of(entries[1]) is ConfigEntryState.LOADED


async def test_a_meter_that_moved_is_found_although_another_one_waits(hass: HomeAssistant) -> None:
    with dongle(TWO_METERS) as sim:
        entries = await set_up_both(hass, sim)
        sim.airs[1].network = replace(sim.airs[1].network, channel=0x25, pan_id=0x4321)
        watch = Watch(hass, sim, entries)
        await watch.look(900)
        assert watch.unavailable[0] == 0
        assert shown(hass, entries[1], "power") != STATE_UNAVAILABLE
        assert entries[1].data["pan"]["channel"] == 0x25


async def test_a_stick_that_was_pulled_out_comes_back_for_both(hass: HomeAssistant) -> None:
    with dongle(TWO_METERS) as sim:
        entries = await set_up_both(hass, sim)
        sim.unplug()
        await elapse(hass, 300)
        assert [shown(hass, entry, "power") for entry in entries] == [STATE_UNAVAILABLE] * 2
        sim.plug()
        await elapse(hass, 120)
        assert STATE_UNAVAILABLE not in [shown(hass, entry, "power") for entry in entries]


async def test_a_dongle_that_gets_another_name(hass: HomeAssistant) -> None:
    with dongle(TWO_METERS) as sim:
        entries = await set_up_both(hass, sim)
        alias = f"{sim.url}-by-id"
        SimTransport.ports[alias] = sim
        for entry in entries:
            hass.config_entries.async_update_entry(entry, data={**entry.data, CONF_DEVICE: alias})
        await elapse(hass, 150)
        watch = Watch(hass, sim, entries)
        await watch.look(600)
        assert [len(times) >= 9 for times in watch.times] == [True] * 2
        assert watch.unavailable == [0, 0]
        for entry in entries:
            await hass.config_entries.async_unload(entry.entry_id)
        del SimTransport.ports[alias]


async def test_what_ends_while_another_waits_frees_the_dongle(hass: HomeAssistant) -> None:
    """Unload and reload each of both at any moment of a turn."""
    with dongle(TWO_METERS) as sim:
        entries = await set_up_both(hass, sim, interval=30)
        for place in range(60):
            entry, other = entries[place % 2], entries[1 - place % 2]
            await asyncio.sleep(place / 2)
            if place % 3:
                assert await hass.config_entries.async_reload(entry.entry_id)
            else:
                began = now()
                assert await hass.config_entries.async_unload(entry.entry_id)
                assert now() - began <= 4
                before = other.runtime_data.readings
                await asyncio.sleep(50)
                assert other.runtime_data.readings > before
                assert await hass.config_entries.async_setup(entry.entry_id)
            assert entry.state is ConfigEntryState.LOADED
            assert sim.record.opens - sim.record.closes <= 1
        watch = Watch(hass, sim, entries)
        await watch.look(300)
        assert [len(times) >= 9 for times in watch.times] == [True] * 2
        assert watch.unavailable == [0, 0]
        for entry in entries:
            await hass.config_entries.async_unload(entry.entry_id)
        await elapse(hass, 60)
        assert sim.record.opens == sim.record.closes


def test_reloads_in_turn_leave_nothing_behind() -> None:
    async def live(home: Installation, sim: SimulatedPort) -> None:
        async def reload(times: int) -> Counter[str]:
            for number in range(times):
                assert await home.hass.config_entries.async_reload(home.entries[number % 2].entry_id)
                await asyncio.sleep(number % 7)
                sim.record.clear()
            await asyncio.sleep(600)
            return resources(home.hass)

        before = await reload(20)
        after = await reload(100)
        # A port may be open at this moment, and a notification was heard or not.
        passing = ("aiobroute", "serialx", "Energy", "Duration", "descriptors")
        for counts in (before, after):
            for name in [name for name in counts if any(part in name for part in passing)]:
                del counts[name]
        assert not after - before

    in_a_house(TWO_METERS, live)


async def test_home_assistant_stops_with_one_farewell(hass: HomeAssistant) -> None:
    with dongle(TWO_METERS) as sim:
        await set_up_both(hass, sim)
        await elapse(hass, 90)
        began = now()
        await hass.async_stop(force=True)
        assert now() - began < 1
        assert sim.record.happenings[-1] == "TERMINATED"
        opens = sim.record.opens
        assert opens == sim.record.closes
        await elapse(hass, 30)
        assert sim.record.opens == opens


def test_the_history_of_both_is_imported() -> None:
    async def live(home: Installation, sim: SimulatedPort) -> None:
        await asyncio.sleep(3 * 3600)
        for entry, air in zip(home.entries, sim.airs, strict=True):
            found = await bars(home.hass, sensor_of(home.hass, entry, "energy_in"), START - timedelta(days=10))
            assert len(found) >= 24 * 3 + 16
            for hour, bar in found.items():
                assert bar == air.meter.energy_in(hour + HOUR) - air.meter.energy_in(hour), hour
            assert max(found) >= clock() - 2 * HOUR
            # The readings went on meanwhile.
            assert entry.runtime_data.readings >= 0.9 * 3 * 60

    second = TWO_METERS.others[0]
    scenario = replace(
        TWO_METERS,
        meter=replace(TWO_METERS.meter, history_days=4),
        others=(replace(second, meter=replace(second.meter, history_days=4)),),
    )
    in_a_house(scenario, live, has_recorder=True)


async def test_a_second_meter_is_set_up_on_a_dongle_in_use(hass: HomeAssistant) -> None:
    with dongle(TWO_METERS) as sim:
        first, second = entries_of(sim)
        await set_up(hass, first)
        typed = {CONF_DEVICE: sim.url, "route_b_id": ROUTE_B_ID_2, CONF_PASSWORD: PASSWORD_2}
        flow = await submit(hass, await start(hass), {**typed, CONF_PASSWORD: "WRONG4567890"})
        assert flow["errors"] == {CONF_PASSWORD: "join_refused"}
        flow = await submit(hass, flow, typed)
        assert flow["type"] is FlowResultType.CREATE_ENTRY
        assert flow["result"].unique_id == second.unique_id
        assert flow["result"].state is ConfigEntryState.LOADED
        watch = Watch(hass, sim, [first, flow["result"]])
        await watch.look(600)
        assert [len(times) >= 9 for times in watch.times] == [True] * 2
        assert watch.unavailable == [0, 0]


async def test_a_flow_that_is_closed_gives_the_dongle_back(hass: HomeAssistant) -> None:
    with dongle(TWO_METERS) as sim:
        first, _ = entries_of(sim)
        await set_up(hass, first)
        sim.airs[1].is_reachable = False
        typed = {CONF_DEVICE: sim.url, "route_b_id": ROUTE_B_ID_2, CONF_PASSWORD: PASSWORD_2}
        flow = await hass.config_entries.flow.async_configure((await start(hass))["flow_id"], typed)
        await asyncio.sleep(30)
        hass.config_entries.flow.async_abort(flow["flow_id"])
        before = first.runtime_data.readings
        await elapse(hass, 70)
        assert first.runtime_data.readings > before
        assert first.runtime_data.last_update_success


async def test_who_waits_no_longer_hurries_nobody(hass: HomeAssistant) -> None:
    with dongle(TWO_METERS) as sim:
        first, _ = entries_of(sim)
        await set_up(hass, first)
        watch = Watch(hass, sim, [first])
        asked = len(sim.record.datagrams_from_client)
        sim.air.is_answering = False
        await until(lambda: len(sim.record.datagrams_from_client) > asked)
        typed = {CONF_DEVICE: sim.url, "route_b_id": ROUTE_B_ID_2, CONF_PASSWORD: PASSWORD_2}
        flow = await hass.config_entries.flow.async_configure((await start(hass))["flow_id"], typed)
        await asyncio.sleep(2)
        hass.config_entries.flow.async_abort(flow["flow_id"])
        sim.air.is_answering = True
        await watch.look(300)
        assert watch.unavailable == [0]


async def test_a_meter_moves_to_a_dongle_of_its_own(hass: HomeAssistant) -> None:
    with dongle(TWO_METERS) as sim, dongle(TWO_METERS) as new:
        first, second = await set_up_both(hass, sim)
        flow = await second.start_reconfigure_flow(hass)
        # Wrong at first, and on the dongle that the other one goes on using.
        typed = {CONF_DEVICE: sim.url, "route_b_id": ROUTE_B_ID_2, CONF_PASSWORD: "WRONG4567890"}
        flow = await submit(hass, flow, typed)
        assert flow["errors"] == {CONF_PASSWORD: "join_refused"}
        await elapse(hass, 90)
        assert state_of(second) is ConfigEntryState.LOADED
        flow = await submit(hass, flow, {CONF_DEVICE: new.url, "route_b_id": ROUTE_B_ID_2, CONF_PASSWORD: PASSWORD_2})
        assert flow["reason"] == "reconfigure_successful"
        await elapse(hass, 120)
        opens = sim.record.opens, new.record.opens
        await elapse(hass, 600)
        assert (sim.record.opens, new.record.opens) == opens
        assert first.runtime_data.last_update_success
        assert second.runtime_data.last_update_success


async def test_new_credentials_for_a_meter_that_shares_its_dongle(hass: HomeAssistant) -> None:
    with dongle(TWO_METERS) as sim:
        first, second = await set_up_both(hass, sim)
        sim.airs[1].settings = replace(sim.airs[1].settings, password="ANOTHER45678")
        await elapse(hass, 600)
        (flow,) = hass.config_entries.flow.async_progress_by_handler(DOMAIN)
        answer = await submit(hass, flow, {"route_b_id": ROUTE_B_ID_2, CONF_PASSWORD: "ANOTHER45678"})
        assert answer["reason"] == "reauth_successful"
        await elapse(hass, 120)
        for entry in (first, second):
            assert entry.runtime_data.last_update_success


async def test_the_form_offers_what_turns_allow(hass: HomeAssistant) -> None:
    with dongle(TWO_METERS) as sim:
        first, _ = await set_up_both(hass, sim, interval=10, notifications=True, import_history=True)
        flow = await hass.config_entries.options.async_init(first.entry_id)
        placeholders = flow["description_placeholders"]
        assert placeholders is not None
        assert (placeholders["interval"], placeholders["shortest"]) == ("30", "30")
        await elapse(hass, 3600)
        told, true = float(placeholders["airtime"]), sim.air.airtime.last_hour()
        assert true * 0.8 <= told <= true * 1.3
        with pytest.raises(InvalidData):
            await hass.config_entries.options.async_configure(
                flow["flow_id"], {"interval": 20, "notifications": True, "import_history": True}
            )
        hass.config_entries.options.async_abort(flow["flow_id"])
        about = await async_get_config_entry_diagnostics(hass, first)
        assert about["dongle"] == {"meters": 2}
        assert about["seconds_between_readings"] == 30
