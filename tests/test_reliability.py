"""Back by itself, in seconds: what docs/reliability.md promises beyond the tests of each file."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
import logging
from typing import TYPE_CHECKING

from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import CONF_DEVICE, CONF_PASSWORD, RESTART_EXIT_CODE, STATE_UNAVAILABLE
from homeassistant.helpers import issue_registry as ir
import pytest

from custom_components.broute.diagnostics import async_get_config_entry_diagnostics

from .home import PAN, dongle, elapse, entry_of, now, set_up, state, state_of, until
from .recorder import bars
from .simulator import scenarios
from .simulator.radio import RadioSettings, Renewal, Sending
from .simulator.record import JOIN, SCAN
from .simulator.scenarios import Scenario
from .soak.installation import Installation, in_a_house

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from homeassistant.core import HomeAssistant

    from .simulator.transport import SimulatedPort

POWER = "sensor.smart_meter_power"

both = pytest.mark.usefixtures("each_kind")
"""For what is promised of either kind of module."""
HOUR = timedelta(hours=1)


async def seconds_to_start(home: Installation) -> float:
    """Return how long Home Assistant takes to have a reading."""
    began = now()
    await home.start()
    await until(lambda: home.readings is not None)
    return now() - began


async def journal(home: Installation) -> dict[str, Any]:
    found: dict[str, Any] = (await async_get_config_entry_diagnostics(home.hass, home.entry))["journal"]
    return found


STEADY = RadioSettings(rejoin_pause=10.0, reply_time=(0.6, 0.6))

REPLY = 0.343 + 0.01 + 0.6 + 0.5
"""Seconds of the radio for a reading at most: on the air, in the meter, and for its length."""


@both
def test_a_restart_goes_on_with_the_session_that_module_and_meter_still_have() -> None:
    async def live(home: Installation, sim: SimulatedPort) -> None:
        for pause in (0, 1, 5, 60):
            await home.stop(RESTART_EXIT_CODE)
            await asyncio.sleep(pause)
            sim.record.clear()
            assert await seconds_to_start(home) <= REPLY + 0.5
            assert not sim.record.count(SCAN) + sim.record.count(JOIN)
            await asyncio.sleep(30)

    in_a_house(Scenario(summary="", meter=scenarios.STEADY_METER.meter, radio=STEADY), live)


@both
async def test_whatever_begins_the_entry_anew_goes_on_with_the_session(hass: HomeAssistant) -> None:
    with dongle(Scenario(summary="", meter=scenarios.STEADY_METER.meter, radio=STEADY)) as sim:
        entry = entry_of(sim)
        await set_up(hass, entry)
        await elapse(hass, 100)
        entries = hass.config_entries
        for begin in (entries.async_reload, entries.async_unload, entries.async_setup):
            sim.record.clear()
            began = now()
            assert await begin(entry.entry_id)
            assert now() - began <= REPLY + 0.5
            assert not sim.record.count(JOIN)
        sim.record.clear()
        began = now()
        hass.config_entries.async_update_entry(entry, options={"interval": 30})
        await until(lambda: bool(sim.record.datagrams_to_client))
        assert now() - began <= REPLY + 0.5
        await elapse(hass, 40)
        assert not sim.record.count(JOIN)
        assert state(hass, POWER) != STATE_UNAVAILABLE


@both
async def test_a_session_that_proved_bad_is_not_gone_on_with(hass: HomeAssistant) -> None:
    with dongle(scenarios.NORMAL) as sim:
        await set_up(hass, entry_of(sim))
        await elapse(hass, 100)
        sim.air.drop_session()
        sim.record.clear()
        await until(lambda: sim.record.count(JOIN) > 0)
        await elapse(hass, 20)
        # The tries of the reading, and nothing more before the join.
        assert state(hass, POWER) != STATE_UNAVAILABLE
        assert sim.record.count(JOIN) == 1


def test_a_restart_without_a_session_takes_six_seconds_and_only_the_radio_takes_more_than_one_and_a_half(
    each_kind: str,
) -> None:
    async def live(home: Installation, sim: SimulatedPort) -> None:
        for pause in (0, 1, 5, 60):
            await home.stop(RESTART_EXIT_CODE)
            await asyncio.sleep(pause)
            sim.unplug()
            sim.plug()
            await asyncio.sleep(2)
            sim.record.clear()
            seconds = await seconds_to_start(home)
            radio = (await journal(home))["seconds"]
            # A J11 module starts anew and connects before it authenticates, which it does not tell apart.
            assert seconds <= (6 if each_kind == "bp35c2" else 8)
            assert seconds - radio["join"]["last"] - radio["reply"]["last"] <= 1.5
            assert not sim.record.count(SCAN)
            await asyncio.sleep(30)

    in_a_house(scenarios.REJOIN_PAUSE, live)


@both
@pytest.mark.parametrize(("pause", "limit"), [(0, 20), (5, 20), (15, 6)])
def test_a_start_right_after_a_stop_waits_for_the_meter_and_tells_nothing(
    pause: float, limit: float, each_kind: str
) -> None:
    async def live(home: Installation, sim: SimulatedPort) -> None:
        await home.stop()
        assert sim.record.happenings[-1] == "TERMINATED"
        await asyncio.sleep(pause)
        # Twice as much goes before the authentication of a J11 module, which is made twice.
        assert await seconds_to_start(home) <= limit + (0 if each_kind == "bp35c2" else 4)
        assert (await journal(home))["counts"]["connected"] == 1
        assert not [number for domain, number in ir.async_get(home.hass).issues if domain == "broute"]

    in_a_house(scenarios.REJOIN_PAUSE, live)


async def test_a_meter_on_another_channel_costs_one_join_and_then_a_scan(hass: HomeAssistant, each_kind: str) -> None:
    with dongle() as sim:
        entry = entry_of(sim)
        await set_up(hass, entry)
        sim.air.network = replace(sim.air.network, channel=0x39, pan_id=0x1234)
        sim.air.end_session()
        sim.record.clear()
        await elapse(hass, 120)
        radio = [command.split()[0] for command in sim.record.commands if command.startswith((*JOIN, *SCAN))]
        # A J11 module is told to authenticate anew first, and then hears that the meter is not there.
        assert radio == (
            ["SKJOIN", "SKSCAN", "SKJOIN"] if each_kind == "bp35c2" else ["START_PANA", "SCAN", "SCAN", "START_PANA"]
        )
        assert entry.data["pan"] == {**PAN, "channel": 0x39, "pan_id": 0x1234}
        assert state(hass, POWER) != STATE_UNAVAILABLE


async def seconds_until_anew(sim: SimulatedPort) -> float:
    """Return how long it takes until a new connection is begun."""
    began = now()
    sim.record.clear()
    await until(lambda: bool({"SKRESET", "RESET"} & set(sim.record.commands)))
    return now() - began


async def test_what_the_module_tells_is_acted_upon_within_a_second(hass: HomeAssistant) -> None:
    with dongle() as sim:
        await set_up(hass, entry_of(sim))
        await elapse(hass, 30)
        sim.air.end_session()
        assert await seconds_until_anew(sim) <= 1
        await elapse(hass, 30)
        # Expired: the module tries to renew the session by itself, for 38 s, and then tells.
        sim.air.expire(is_renewed=False)
        await until(lambda: sim.record.happenings[-1] == "UNHEARD")
        assert await seconds_until_anew(sim) <= 1
        await elapse(hass, 30)
        assert state(hass, POWER) != STATE_UNAVAILABLE
        assert not sim.record.count(SCAN)


@both
async def test_a_session_that_is_renewed_is_no_loss(hass: HomeAssistant) -> None:
    with dongle() as sim:
        await set_up(hass, entry_of(sim))
        await elapse(hass, 30)
        sim.air.expire()
        await elapse(hass, 120)
        assert sim.record.opens == 1
        assert state(hass, POWER) != STATE_UNAVAILABLE


@both
@pytest.mark.parametrize(("sending", "limit"), [(Sending.NOT_SENT, 1), (Sending.UNRESOLVED, 10), (Sending.SILENT, 17)])
async def test_a_datagram_that_cannot_be_sent_twice_makes_a_new_session(
    hass: HomeAssistant, sending: Sending, limit: float
) -> None:
    with dongle() as sim:
        await set_up(hass, entry_of(sim))
        await elapse(hass, 10)
        sim.record.clear()
        sim.air.sendings.extend([sending] * 2)
        await until(lambda: bool(sim.record.datagrams_from_client))
        assert await seconds_until_anew(sim) <= limit
        sim.air.sendings.clear()
        await elapse(hass, 12)
        assert state(hass, POWER) != STATE_UNAVAILABLE
        assert not sim.record.count(SCAN)


@both
@pytest.mark.parametrize("is_dropped", [True, False])
async def test_silence_is_told_within_forty_seconds(hass: HomeAssistant, *, is_dropped: bool) -> None:
    with dongle() as sim:
        await set_up(hass, entry_of(sim))
        await elapse(hass, 10)
        sim.record.clear()
        if is_dropped:
            sim.air.drop_session()
        else:
            sim.air.is_answering = False
        await until(lambda: bool(sim.record.datagrams_from_client))
        asked = now()
        await until(lambda: state(hass, POWER) == STATE_UNAVAILABLE)
        assert now() - asked <= 40
        sim.air.is_answering = True
        await elapse(hass, 12)
        assert state(hass, POWER) != STATE_UNAVAILABLE


def unreachable(sim: SimulatedPort) -> None:
    sim.air.is_reachable = False


def silent(sim: SimulatedPort) -> None:
    sim.air.is_answering = False


def refusing(sim: SimulatedPort) -> None:
    """Be heard, but refuse us: with credentials that are refused twice nobody goes on."""
    sim.air.settings = replace(sim.air.settings, password="ANOTHER45678")


def ends_soon(sim: SimulatedPort) -> None:
    """Let no session last, and none be renewed."""
    sim.air.settings = replace(sim.air.settings, lifetime=2, renewal=Renewal.FAILS)
    sim.air.end_session()


async def worst_airtime(sim: SimulatedPort, hours: float) -> float:
    """Return the most seconds of transmission in any hour."""
    worst = 0.0
    for _ in range(int(hours * 12)):
        await asyncio.sleep(300)
        worst = max(worst, sim.air.airtime.last_hour())
    return worst


@pytest.fixture
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    """Leave the log of a whole day unwritten."""
    caplog.set_level(logging.WARNING)


@pytest.mark.usefixtures("quiet")
@pytest.mark.timeout(600)
@pytest.mark.parametrize("trouble", [unreachable, silent, refusing, ends_soon])
@pytest.mark.parametrize(
    ("each_kind", "is_restarted"), [("bp35c2", True), ("bp35c2", False), ("j11", False)], indirect=["each_kind"]
)
def test_a_day_without_the_meter_costs_little_airtime(
    trouble: Callable[[SimulatedPort], None], each_kind: str, *, is_restarted: bool
) -> None:
    async def live(home: Installation, sim: SimulatedPort) -> None:
        trouble(sim)
        if is_restarted:
            await home.stop(RESTART_EXIT_CODE)
            await home.start()
        # A J11 module is joined every two seconds in the last of these, and no hour is unlike another.
        hours = 6 if trouble is ends_soon and each_kind == "j11" else 24
        assert await worst_airtime(sim, hours) < 36, "a tenth of what the law allows"

    in_a_house(scenarios.NORMAL, live)


def refuses_values(sim: SimulatedPort) -> None:
    sim.meter.device.refuse(0xE7, 0xE8, 0xE0, 0xE3)


def refuses_all(sim: SimulatedPort) -> None:
    """Refuse each property there is, maps and units included, from the beginning of a session on."""
    sim.meter.device.refuse(*range(0x80, 0x100))
    sim.air.end_session()


def falls_silent_at_one(sim: SimulatedPort) -> None:
    sim.meter.ignore(0xE7)


def is_deaf_in_each_session(sim: SimulatedPort) -> None:
    sim.air.deaf_sessions = 10**6
    sim.air.end_session()


def takes_minutes_to_refuse(sim: SimulatedPort) -> None:
    sim.air.settings = replace(sim.air.settings, unheard_time=311.0)
    unreachable(sim)


def sends(sending: Sending) -> Callable[[SimulatedPort], None]:
    def send(sim: SimulatedPort) -> None:
        sim.air.sendings.extend([sending] * 10**5)

    return send


def has_other_keys_in_each_session(sim: SimulatedPort) -> None:
    sim.air._garbled_sessions = 10**6
    sim.air.garble()


@pytest.mark.usefixtures("quiet", "each_kind")
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("each_kind", "trouble"),
    [
        *(
            (kind, trouble)
            for kind in ("bp35c2", "j11")
            for trouble in (
                refuses_values,
                refuses_all,
                falls_silent_at_one,
                is_deaf_in_each_session,
                takes_minutes_to_refuse,
                sends(Sending.NOT_SENT),
            )
        ),
        # Of these, only a J11 module tells.
        ("j11", sends(Sending.BUSY)),
        ("j11", sends(Sending.RESTRICTED)),
        ("j11", has_other_keys_in_each_session),
    ],
    indirect=["each_kind"],
)
def test_a_day_of_refusals_costs_little_airtime(trouble: Callable[[SimulatedPort], None]) -> None:
    async def live(_: Installation, sim: SimulatedPort) -> None:
        trouble(sim)
        assert await worst_airtime(sim, 24) < 36, "a tenth of what the law allows"

    in_a_house(scenarios.SOLAR, live)


def test_nothing_is_sent_while_the_airtime_is_used_up() -> None:
    async def live(home: Installation, sim: SimulatedPort) -> None:
        sim.air.restrict()
        spent = sim.air.airtime.total
        await asyncio.sleep(24 * 3600)
        assert home.readings is None
        assert sim.air.airtime.total - spent < 1
        sim.air.restrict(False)
        await asyncio.sleep(70)
        assert home.readings is not None

    in_a_house(scenarios.NORMAL, live)


REASONS: dict[str, tuple[Scenario, dict[str, Any], str]] = {
    "no port": (scenarios.NORMAL, {CONF_DEVICE: "/dev/serial/by-id/none"}, "/dev/serial/by-id/none does not exist."),
    "no such kind of port": (scenarios.NORMAL, {CONF_DEVICE: "telnet://here"}, "telnet://here cannot be opened"),
    "nobody heard": (scenarios.NO_METER, {}, "The meter was not heard. Is the dongle close enough to it?"),
    "refused": (scenarios.NORMAL, {CONF_PASSWORD: "OLD456789ABC"}, "The meter was heard, but it refused to connect:"),
    "no answer": (Scenario(summary="", radio=RadioSettings(unheard_joins=2)), {}, "The meter did not answer the"),
    "silent": (scenarios.SILENT_METER, {}, "The meter is connected, but did not answer"),
}


@both
@pytest.mark.parametrize("name", REASONS)
async def test_a_failed_start_says_what_to_do(hass: HomeAssistant, name: str) -> None:
    scenario, data, reason = REASONS[name]
    with dongle(scenario) as sim:
        entry = entry_of(sim, **data)
        await set_up(hass, entry)
        assert state_of(entry) is ConfigEntryState.SETUP_RETRY
        assert entry.reason is not None
        assert entry.reason.startswith(reason)
        assert sim.record.opens == sim.record.closes


@both
async def test_nothing_that_answers_like_a_module(hass: HomeAssistant) -> None:
    with dongle() as sim:
        sim.line.is_mute = True
        entry = entry_of(sim)
        await set_up(hass, entry)
        assert entry.reason == f"No Wi-SUN module answered on {sim.url}"
        sim.line.is_mute = False
        await elapse(hass, 20)
        assert state_of(entry) is ConfigEntryState.LOADED


async def test_airtime_that_is_used_up_at_the_start(hass: HomeAssistant) -> None:
    with dongle() as sim:
        sim.air.restrict()
        entry = entry_of(sim)
        await set_up(hass, entry)
        assert entry.reason is not None
        assert "used up the transmission time" in entry.reason


async def test_the_meter_is_listened_for_on_its_own_channel_before_the_password_is_accused(
    hass: HomeAssistant,
) -> None:
    with dongle() as sim:
        await set_up(hass, entry_of(sim, password="OLD456789ABC"))
        scans = [command for command in sim.record.commands if command.startswith("SKSCAN")]
        # One channel, of 28; 0.0096 s * (2 ** 6 + 1) = 0.6 s (SK 3.9).
        assert scans == ["SKSCAN 2 00010000 6 0"]
        assert sum(command.startswith("SKJOIN") for command in sim.record.commands) == 2


@pytest.mark.parametrize("imports", [True, False])
def test_an_exchanged_meter_makes_no_spike(*, imports: bool) -> None:
    async def live(home: Installation, sim: SimulatedPort) -> None:
        began, old = sim.clock(), sim.meter
        await asyncio.sleep(3 * 3600)
        sim.exchange_meter()
        exchanged, new = sim.clock(), sim.meter
        await until(lambda: home.exchange_issue is not None, 10)
        await home.confirm_exchange()
        await asyncio.sleep(3 * 3600)
        shown = await bars(home.hass, "sensor.smart_meter_energy_import", began)
        truth = old.energy_in(exchanged) - old.energy_in(began) + new.energy_in(max(shown) + HOUR)
        assert len(shown) >= 5
        assert all(0 <= bar < 3 for bar in shown.values()), "no household draws more in an hour of this one"
        # What the old meter counted after its last reading, nobody can read any more.
        assert abs(sum(shown.values()) - truth) < Decimal("0.5")

    in_a_house(scenarios.NORMAL, live, has_recorder=True, import_history=imports)
