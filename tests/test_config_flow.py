"""Setting up, changing and re-authenticating a meter, with every byte on the line."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
import math
import re
from typing import TYPE_CHECKING, Any, override

from homeassistant.config_entries import SOURCE_IGNORE, SOURCE_USB, SOURCE_USER, ConfigEntryState, ConfigFlowResult
from homeassistant.const import CONF_DEVICE, CONF_PASSWORD
from homeassistant.core import callback
from homeassistant.data_entry_flow import (
    EVENT_DATA_ENTRY_FLOW_PROGRESS_UPDATE,
    EVENT_DATA_ENTRY_FLOW_PROGRESSED,
    FlowResultType,
    UnknownFlow,
)
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
import serialx

from .aiobroute.virtual_time import clock
from .home import (
    CREDENTIALS,
    DOMAIN,
    MAC,
    PAN,
    dongle,
    elapse,
    entry_of,
    look_for_sticks,
    now,
    set_up,
    state_of,
    stick,
    until,
)
from .simulator import scenarios
from .simulator.dongle import STRANGERS
from .simulator.meter import MeterSettings
from .simulator.radio import Network, RadioSettings
from .simulator.record import JOIN, SCAN
from .simulator.scenarios import PASSWORD, PASSWORD_2, ROUTE_B_ID, ROUTE_B_ID_2, Scenario

if TYPE_CHECKING:
    from homeassistant.core import Event, HomeAssistant

    from .simulator.transport import SimulatedPort

type Prepare = Callable[[SimulatedPort], None]


async def start(hass: HomeAssistant) -> ConfigFlowResult:
    flow = await hass.config_entries.flow.async_init(DOMAIN, context={"source": SOURCE_USER})
    assert flow["type"] is FlowResultType.FORM
    assert flow["step_id"] == "user"
    assert not flow["errors"]
    return flow


async def connect(hass: HomeAssistant, flow: ConfigFlowResult, typed: dict[str, str]) -> ConfigFlowResult:
    """Fill in a form and wait for the connection."""
    browser = Browser(hass)
    close = browser.open()
    flow = await hass.config_entries.flow.async_configure(flow["flow_id"], typed)
    await hass.async_block_till_done()
    close()
    return browser.last or flow


async def submit(hass: HomeAssistant, flow: ConfigFlowResult, typed: dict[str, str]) -> ConfigFlowResult:
    """Fill in a form, wait for the connection, and agree to what the last form offers."""
    flow = await connect(hass, flow, typed)
    if flow["type"] is FlowResultType.FORM and flow["step_id"] in FINISH:
        flow = await hass.config_entries.flow.async_configure(flow["flow_id"], {})
        await hass.async_block_till_done()
    return flow


FINISH = {"finish", "finish_export", "finish_network"}
"""The last form; a meter that counts what is fed in, or needs no dongle, has one of its own."""


def typed(sim: SimulatedPort, **changes: str) -> dict[str, str]:
    return {CONF_DEVICE: sim.url, **CREDENTIALS, **changes}


def data_of(entry: MockConfigEntry) -> dict[str, Any]:
    """Return an entry's data without what it remembers of the meter and the dongle."""
    return {key: value for key, value in entry.data.items() if key not in {"profile", "module"}}


def suggested(flow: ConfigFlowResult) -> dict[str, Any]:
    assert flow["data_schema"] is not None
    return {str(key): (key.description or {}).get("suggested_value") for key in flow["data_schema"].schema}


async def test_a_meter_is_set_up(hass: HomeAssistant, each_kind: str) -> None:
    with dongle() as sim:
        flow = await submit(hass, await start(hass), typed(sim))
        assert flow["type"] is FlowResultType.CREATE_ENTRY
        assert flow["title"] == "Smart meter"
        module = "BP35C2" if each_kind == "bp35c2" else "J11"
        assert {**flow["data"], "profile": None} == {**typed(sim), "module": module, "pan": PAN, "profile": None}
        assert flow["data"]["profile"]["E1"] == "01"
        entry = flow["result"]
        assert entry.unique_id == MAC
        assert entry.state is ConfigEntryState.LOADED
        # The flow closed the port before the entry opened it, and the entry knew where to find the meter.
        assert sim.record.opens == 2
        assert sim.record.closes == 1
        assert sim.record.count(SCAN) == 1


@pytest.mark.parametrize(
    ("route_b_id", "password"),
    [
        ("0123 4567 89AB CDEF 0123 4567 89AB CDEF", "0123 4567 89AB"),
        (" 01234567-89abcdef-01234567-89abcdef\t", f" {PASSWORD}\n"),
        # Letters that look like digits, and that no ID has.
        ("Oi23456789ABCDEFol23456789ABCDEF", PASSWORD),
        ("０１２３４５６７８９ＡＢＣＤＥＦ　０１２３４５６７８９ａｂｃｄｅｆ", "０１２３　４５６７　８９ＡＢ"),  # noqa: RUF001
    ],
)
async def test_spaces_case_full_width_and_misread_letters_are_forgiven(
    hass: HomeAssistant, route_b_id: str, password: str
) -> None:
    with dongle() as sim:
        flow = await submit(hass, await start(hass), typed(sim, route_b_id=route_b_id, password=password))
    assert flow["type"] is FlowResultType.CREATE_ENTRY
    assert flow["data"]["route_b_id"] == ROUTE_B_ID
    assert flow["data"][CONF_PASSWORD] == PASSWORD


@pytest.mark.parametrize(
    ("changes", "errors"),
    [
        ({"route_b_id": ROUTE_B_ID[:-1]}, {"route_b_id": "invalid_route_b_id"}),
        ({"route_b_id": ROUTE_B_ID + "0"}, {"route_b_id": "invalid_route_b_id"}),
        ({"route_b_id": ROUTE_B_ID[:-1] + "G"}, {"route_b_id": "invalid_route_b_id"}),
        ({"password": PASSWORD[:-1]}, {"password": "invalid_password"}),
        ({"password": PASSWORD + "C"}, {"password": "invalid_password"}),
        ({"password": PASSWORD[:-1] + "あ"}, {"password": "invalid_password"}),
        (
            {"route_b_id": "", "password": ""},
            {"route_b_id": "invalid_route_b_id", "password": "invalid_password"},
        ),
    ],
)
async def test_a_wrong_form_is_told_at_the_field(
    hass: HomeAssistant, changes: dict[str, str], errors: dict[str, str]
) -> None:
    with dongle() as sim:
        flow = await submit(hass, await start(hass), typed(sim, **changes))
        assert flow["type"] is FlowResultType.FORM
        assert flow["errors"] == errors
        assert suggested(flow) == typed(sim, **changes)
        assert not sim.record.opens
        flow = await submit(hass, flow, typed(sim))
    assert flow["type"] is FlowResultType.CREATE_ENTRY


class Nobody:
    """Holds a port and never reads."""

    def data_received(self, data: bytes) -> None:
        pass

    def unplugged(self) -> None:
        pass


def nothing(sim: SimulatedPort) -> None:
    pass


def unreachable(sim: SimulatedPort) -> None:
    sim.air.is_reachable = False


def mute(sim: SimulatedPort) -> None:
    sim.line.is_mute = True


def restricted(sim: SimulatedPort) -> None:
    sim.air.restrict()


def recover(sim: SimulatedPort) -> None:
    sim.plug()
    sim.close()
    sim.line.is_mute = False
    sim.air.is_reachable = sim.air.is_answering = True
    sim.air.is_restricted = False


@dataclass(frozen=True)
class Failure:
    """What is wrong, and what the form says."""

    errors: dict[str, str]
    prepare: Prepare = nothing
    scenario: Scenario = scenarios.NORMAL
    changes: dict[str, str] = field(default_factory=dict)
    seconds: float = math.inf
    reason: str = ""


FAILURES = {
    "missing": Failure({CONF_DEVICE: "port_missing"}, prepare=lambda sim: sim.unplug(), seconds=2),
    "busy": Failure({CONF_DEVICE: "port_busy"}, prepare=lambda sim: sim.open(Nobody()), seconds=2),
    "unknown scheme": Failure(
        {CONF_DEVICE: "port_error"}, changes={CONF_DEVICE: "nonsense://1"}, seconds=2, reason="cannot be opened: "
    ),
    "not loaded yet": Failure(
        {CONF_DEVICE: "port_error"},
        changes={CONF_DEVICE: "esphome-hass://1"},
        seconds=2,
        reason="ESPHome has not loaded yet",
    ),
    "something else": Failure({CONF_DEVICE: "no_module"}, prepare=mute, seconds=5),
    "nobody heard": Failure({"route_b_id": "no_meter"}, prepare=unreachable, seconds=180),
    "wrong id": Failure({"route_b_id": "no_meter"}, changes={"route_b_id": "F" * 32}, seconds=180),
    "id of the same end": Failure({"password": "join_refused"}, changes={"route_b_id": "F" * 24 + ROUTE_B_ID[-8:]}),
    "wrong password": Failure({"password": "join_refused"}, changes={"password": "BAD456789ABC"}, seconds=40),
    "join not answered": Failure(
        {"base": "join_unanswered"}, scenario=Scenario(summary="", radio=RadioSettings(unheard_joins=1)), seconds=60
    ),
    "joined in vain": Failure({"base": "meter_silent"}, scenario=scenarios.SILENT_METER, seconds=90),
    "airtime used up": Failure({"base": "airtime"}, prepare=restricted, seconds=5),
}


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
async def test_each_failure_has_its_own_message_and_can_be_put_right(
    hass: HomeAssistant, failure: Failure, each_kind: str
) -> None:
    if each_kind == "j11" and failure.prepare is restricted:
        pytest.skip("a J11 module says nothing of its airtime")
    with dongle(failure.scenario) as sim:
        flow = await start(hass)
        failure.prepare(sim)
        began = now()
        flow = await submit(hass, flow, typed(sim, **failure.changes))
        assert flow["type"] is FlowResultType.FORM
        assert flow["step_id"] == "user"
        assert flow["errors"] == failure.errors
        assert failure.reason in (flow["description_placeholders"] or {}).get("error", "")
        assert suggested(flow) == typed(sim, **failure.changes)
        assert now() - began < failure.seconds
        recover(sim)
        assert sim.record.opens == sim.record.closes
        flow = await submit(hass, flow, typed(sim))
    assert flow["type"] is FlowResultType.CREATE_ENTRY


@pytest.mark.parametrize("stranger", STRANGERS)
async def test_a_device_that_is_no_wi_sun_module_is_named_within_five_seconds(
    hass: HomeAssistant, stranger: str
) -> None:
    with dongle(module=stranger) as sim:
        flow = await start(hass)
        began = now()
        flow = await submit(hass, flow, typed(sim))
        assert flow["errors"] == {CONF_DEVICE: "no_module"}
        assert now() - began < 5
        assert sim.record.opens == sim.record.closes


async def test_a_module_that_refuses_a_command(hass: HomeAssistant) -> None:
    with dongle() as sim:
        flow = await start(hass)
        flow = await hass.config_entries.flow.async_configure(flow["flow_id"], typed(sim))
        await until(lambda: any(command.startswith("SKSETRBID") for command in sim.record.commands), 0.001)
        sim.inject(b"FAIL ER06\r\n")
        await hass.async_block_till_done()
        flow = await hass.config_entries.flow.async_configure(flow["flow_id"])
    assert flow["errors"] == {"base": "module_error"}


async def test_a_session_that_is_lost_at_once(hass: HomeAssistant) -> None:
    with dongle() as sim:
        flow = await start(hass)
        flow = await hass.config_entries.flow.async_configure(flow["flow_id"], typed(sim))
        await until(lambda: bool(sim.record.datagrams_from_client))
        sim.air.end_session()
        await hass.async_block_till_done()
        flow = await hass.config_entries.flow.async_configure(flow["flow_id"])
    assert flow["errors"] == {"base": "session_lost"}


class BrokenTransport(serialx.BaseSerialTransport):
    """Fails in a way that nobody thought of."""

    @override
    async def _connect(self, **_: Any) -> None:
        raise ZeroDivisionError

    @override
    def abort(self) -> None:
        self._closing = True
        self._call_protocol_connection_lost(None)

    close = abort


@contextmanager
def broken_port() -> Iterator[str]:
    unregister = serialx.register_uri_handler(
        scheme="broken://",
        unique_scheme="broken-1://",
        sync_cls=serialx.get_serial_classes("socket://")[0],
        async_transport_cls=BrokenTransport,  # type: ignore[type-abstract]
    )
    yield "broken://1"
    unregister()


async def test_what_nobody_thought_of_leaves_the_form_open(
    hass: HomeAssistant, caplog: pytest.LogCaptureFixture
) -> None:
    with broken_port() as url, dongle() as sim:
        flow = await submit(hass, await start(hass), typed(sim, device=url))
        assert flow["errors"] == {"base": "unexpected"}
        assert "ZeroDivisionError" in caplog.text
        caplog.clear()
        flow = await submit(hass, flow, typed(sim))
    assert flow["type"] is FlowResultType.CREATE_ENTRY


async def test_a_real_path_that_does_not_exist(hass: HomeAssistant) -> None:
    flow = await submit(hass, await start(hass), {CONF_DEVICE: "/dev/serial/by-id/none", **CREDENTIALS})
    assert flow["errors"] == {CONF_DEVICE: "port_missing"}


async def test_a_typed_name_that_may_change_is_replaced_by_one_that_does_not(
    hass: HomeAssistant, monkeypatch: pytest.MonkeyPatch
) -> None:
    with dongle() as sim:
        # What udev does on a real machine.
        links = {"/dev/ttyUSB0": sim.url}
        monkeypatch.setattr("homeassistant.components.usb.get_serial_by_id", lambda path: links.get(path, path))
        flow = await submit(hass, await start(hass), typed(sim, device="/dev/ttyUSB0"))
        assert flow["data"][CONF_DEVICE] == sim.url


RENDERING = 0.02
"""Seconds."""


@dataclass
class Browser:
    """Reloads the step whenever it is told to, as the frontend does."""

    hass: HomeAssistant
    shown: list[tuple[str, dict[str, str] | None]] = field(default_factory=list)
    ring: list[float] = field(default_factory=list)
    last: ConfigFlowResult | None = None
    delay: float = 0.0
    """Seconds until it does anything."""
    missed: int = 0
    """How often it asked for a flow that was over."""
    is_deaf: bool = False
    """While it puts another step in the place of the one that is shown."""

    def open(self) -> Callable[[], None]:
        """Listen, until that is called which is returned."""
        remove = [
            self.hass.bus.async_listen(EVENT_DATA_ENTRY_FLOW_PROGRESSED, self._reload),
            self.hass.bus.async_listen(EVENT_DATA_ENTRY_FLOW_PROGRESS_UPDATE, self._lease),
        ]

        def close() -> None:
            for each in remove:
                each()

        return close

    async def _reload(self, event: Event) -> None:
        await asyncio.sleep(self.delay)
        if self.is_deaf:
            return
        try:
            flow = await self.hass.config_entries.flow.async_configure(event.data["flow_id"])
        except UnknownFlow:
            self.missed += 1
            return
        await asyncio.sleep(self.delay)
        self.is_deaf = True
        await asyncio.sleep(RENDERING)
        self.is_deaf = False
        self.last = flow
        self.show(flow)

    def show(self, flow: ConfigFlowResult) -> None:
        """Look at what a request was answered with."""
        if flow["type"] is FlowResultType.SHOW_PROGRESS:
            step = (flow["progress_action"], dict(flow["description_placeholders"] or {}))
            if step not in self.shown:
                self.shown.append(step)

    @callback
    def _lease(self, event: Event) -> None:
        self.ring.append(event.data["progress"])


async def test_the_browser_shows_how_far_it_is(hass: HomeAssistant) -> None:
    browser = Browser(hass)
    browser.open()
    with dongle(scenarios.WEAK_RADIO) as sim:
        flow = await start(hass)
        browser.show(await hass.config_entries.flow.async_configure(flow["flow_id"], typed(sim)))
        await hass.async_block_till_done()
    assert list(dict.fromkeys(action for action, _ in browser.shown)) == ["probe", "scan", "join"]
    scans = [placeholders for action, placeholders in browser.shown if action == "scan" and placeholders]
    assert [(scan["number"], scan["seconds"]) for scan in scans if scan["heard"] == "0"] == [
        *(("1", seconds) for seconds in ("10", "5")),
        *(("2", seconds) for seconds in ("20", "15", "10", "5")),
        *(("3", seconds) for seconds in ("35", "30", "25", "20", "15")),
    ]
    assert {scan["of"] for scan in scans} == {"4"}
    assert browser.last is not None
    assert browser.last["errors"] == {"base": "join_unanswered"}
    assert min(browser.ring) == 0
    assert max(browser.ring) <= 1
    # Once a second, and at each step.
    assert len(browser.ring) > 60


async def test_the_browser_shows_that_the_meter_does_not_answer_yet(hass: HomeAssistant) -> None:
    browser = Browser(hass)
    browser.open()
    with dongle(scenarios.LATE_REFUSAL) as sim:
        flow = await start(hass)
        browser.show(await hass.config_entries.flow.async_configure(flow["flow_id"], typed(sim)))
        await hass.async_block_till_done()
    assert list(dict.fromkeys(action for action, _ in browser.shown)) == ["probe", "scan", "join", "wait"]
    assert browser.last is not None
    assert browser.last["errors"] == {"base": "join_unanswered"}, "the meter, not the dongle"


async def test_a_join_that_takes_long_can_be_given_up_in_the_browser(hass: HomeAssistant) -> None:
    with dongle(scenarios.LATE_REFUSAL) as sim:
        flow = await start(hass)
        await hass.config_entries.flow.async_configure(flow["flow_id"], typed(sim))
        await asyncio.sleep(100)
        assert sim.record.count(JOIN) == 1
        hass.config_entries.flow.async_abort(flow["flow_id"])
        await asyncio.sleep(1)
        assert sim.record.opens == sim.record.closes


async def test_the_browser_shows_what_is_heard(hass: HomeAssistant) -> None:
    browser = Browser(hass)
    browser.open()
    with dongle(scenarios.STRANGERS) as sim:
        flow = await start(hass)
        browser.show(await hass.config_entries.flow.async_configure(flow["flow_id"], typed(sim)))
        await hass.async_block_till_done()
    scans = [placeholders["heard"] for action, placeholders in browser.shown if action == "scan" and placeholders]
    assert list(dict.fromkeys(scans)) == ["0", "1", "2"]


@pytest.mark.parametrize(("delay", "shown"), [(0.0, ["probe", "scan", "join", "read"]), (5.0, ["scan", "read"])])
async def test_the_browser_sees_the_first_reading(hass: HomeAssistant, delay: float, shown: list[str]) -> None:
    """And the last that is shown before, whatever one that is slow does not show."""
    browser = Browser(hass, delay=delay)
    browser.open()
    with dongle() as sim:
        flow = await start(hass)
        browser.show(await hass.config_entries.flow.async_configure(flow["flow_id"], typed(sim)))
        await hass.async_block_till_done()
    assert list(dict.fromkeys(action for action, _ in browser.shown if action in shown)) == shown
    assert browser.last is not None
    assert browser.last["step_id"] == "finish"


@pytest.mark.usefixtures("each_kind")
@pytest.mark.parametrize("seconds", [0, 0.02, 3, 10, 12.5, 14, 15])
async def test_cancelling_at_any_time_frees_the_port(hass: HomeAssistant, seconds: float) -> None:
    with dongle() as sim:
        flow = await start(hass)
        await hass.config_entries.flow.async_configure(flow["flow_id"], typed(sim))
        await asyncio.sleep(seconds)
        hass.config_entries.flow.async_abort(flow["flow_id"])
        await elapse(hass, 1)  # Home Assistant does not wait for what it has cancelled.
        assert sim.record.opens == sim.record.closes
        assert not hass.config_entries.async_entries(DOMAIN)
        flow = await submit(hass, await start(hass), typed(sim))
    assert flow["type"] is FlowResultType.CREATE_ENTRY


async def test_the_last_form_of_a_house_that_only_buys(hass: HomeAssistant) -> None:
    with dongle() as sim:
        flow = await connect(hass, await start(hass), typed(sim))
        assert flow["step_id"] == "finish"
        shown = flow["description_placeholders"]
        assert shown is not None
        assert shown["power"] == f"{sim.meter.power(clock())} W"


async def test_the_last_form_shows_the_first_reading(hass: HomeAssistant) -> None:
    with dongle(scenarios.SOLAR) as sim:
        flow = await connect(hass, await start(hass), typed(sim))
        assert flow["type"] is FlowResultType.FORM
        assert flow["step_id"] == "finish_export"
        shown = flow["description_placeholders"]
        assert shown is not None
        assert shown == {
            "power": f"{sim.meter.power(clock())} W (feeding in)",
            "current": shown["current"],
            "energy": f"{sim.meter.energy_in(clock()):,} kWh",
            "energy_out": f"{sim.meter.energy_out(clock()):,} kWh",
            "rssi": shown["rssi"],
            "meter": "Toshiba S18012345678",
        }
        assert re.fullmatch(r"-4\d dBm", shown["rssi"])
        assert re.fullmatch(r"R -?\d+\.\d A, T -?\d+\.\d A", shown["current"])
        # There is no Energy dashboard to be offered.
        assert not suggested(flow)
        # The port is free for as long as the person looks.
        assert sim.record.opens == sim.record.closes == 1
        assert not hass.config_entries.async_entries(DOMAIN)


async def test_what_a_meter_does_not_tell_has_a_dash(hass: HomeAssistant) -> None:
    values = {0xE0: "FFFFFFFE", 0xE7: "7FFFFFFE", 0x8A: "", 0x8D: ""}
    with dongle(Scenario(summary="", meter=MeterSettings(values=values)), module="bp35a1") as sim:
        flow = await connect(hass, await start(hass), typed(sim))
        assert flow["description_placeholders"] is not None
        assert {flow["description_placeholders"][name] for name in ("power", "energy", "meter")} == {"—"}
        flow = await hass.config_entries.flow.async_configure(flow["flow_id"], {})
        await hass.async_block_till_done()
    assert flow["type"] is FlowResultType.CREATE_ENTRY


async def test_a_last_form_that_is_closed_leaves_nothing_behind(hass: HomeAssistant) -> None:
    with dongle() as sim:
        flow = await connect(hass, await start(hass), typed(sim))
        hass.config_entries.flow.async_abort(flow["flow_id"])
        assert not hass.config_entries.async_entries(DOMAIN)
        flow = await submit(hass, await start(hass), typed(sim))
    assert flow["type"] is FlowResultType.CREATE_ENTRY


async def test_a_refusal_names_the_characters_that_may_have_been_misread(hass: HomeAssistant) -> None:
    with dongle() as sim:
        for password, places in (("wXO4l67e9fB1", "3, 5, 11, 12"), ("wXk4m67e9fhj", "—")):
            flow = await submit(hass, await start(hass), typed(sim, password=password))
            assert flow["errors"] == {CONF_PASSWORD: "join_refused"}
            assert flow["description_placeholders"] == {"stick": "", "alike": places, "used_by": "-"}


async def discovered(hass: HomeAssistant) -> list[ConfigFlowResult]:
    await hass.async_block_till_done(wait_background_tasks=True)
    return hass.config_entries.flow.async_progress_by_handler(DOMAIN)


async def test_a_stick_that_may_be_a_dongle_is_offered(hass: HomeAssistant) -> None:
    assert await async_setup_component(hass, "usb", {})
    with dongle() as sim:
        await look_for_sticks(hass, stick(sim.url))
        (card,) = await discovered(hass)
        assert card["context"]["source"] == SOURCE_USB
        assert card["context"]["title_placeholders"] == {"name": "FTDI FT230X Basic UART"}
        flow = await hass.config_entries.flow.async_configure(card["flow_id"])
        assert flow["step_id"] == "usb_confirm"
        assert suggested(flow) == {CONF_DEVICE: sim.url, "route_b_id": None, CONF_PASSWORD: None}
        # Nobody has said yet that it is one.
        assert not sim.record.opens
        flow = await submit(hass, flow, typed(sim, password="BAD456789ABC"))
        assert flow["step_id"] == "usb_confirm"
        assert flow["errors"] == {CONF_PASSWORD: "join_refused"}
        flow = await submit(hass, flow, typed(sim))
        assert flow["type"] is FlowResultType.CREATE_ENTRY
        assert flow["result"].unique_id == MAC
        assert flow["result"].data[CONF_DEVICE] == sim.url


@pytest.mark.parametrize(
    ("changes", "is_offered"),
    [
        ({}, True),
        # Chips with a name that a maker gave them, and other chips.
        ({"description": "Something Else"}, False),
        ({"manufacturer": "Somebody Else"}, False),
        ({"pid": "6001"}, False),
        ({"vid": "10C4", "pid": "EA60"}, False),
    ],
)
async def test_other_sticks_are_not_offered(hass: HomeAssistant, changes: dict[str, str], *, is_offered: bool) -> None:
    assert await async_setup_component(hass, "usb", {})
    await look_for_sticks(hass, replace(stick("/dev/ttyUSB0"), **changes))  # type: ignore[arg-type]
    assert bool(await discovered(hass)) == is_offered


async def test_a_stick_that_somebody_else_uses_is_not_offered(hass: HomeAssistant) -> None:
    assert await async_setup_component(hass, "usb", {})
    MockConfigEntry(domain="route_b_smart_meter", data={CONF_DEVICE: "/dev/ttyUSB0"}).add_to_hass(hass)
    await look_for_sticks(hass, stick("/dev/ttyUSB0"))
    assert not await discovered(hass)


async def test_a_stick_is_not_offered_where_a_meter_is_set_up(hass: HomeAssistant) -> None:
    with dongle() as sim:
        await set_up(hass, entry_of(sim))
        await look_for_sticks(hass, stick("/dev/ttyUSB7", serial="OTHER"))
        assert not await discovered(hass)


async def test_a_stick_that_is_to_be_ignored_is_not_offered_again(hass: HomeAssistant) -> None:
    assert await async_setup_component(hass, "usb", {})
    await look_for_sticks(hass, stick("/dev/ttyUSB0"))
    (card,) = await discovered(hass)
    await hass.config_entries.flow.async_init(
        DOMAIN,
        context={"source": SOURCE_IGNORE},
        data={"unique_id": card["context"]["unique_id"], "title": "FTDI FT230X Basic UART"},
    )
    await look_for_sticks(hass)
    await look_for_sticks(hass, stick("/dev/ttyUSB1"))
    assert not await discovered(hass)
    # But another one may be.
    await look_for_sticks(hass, stick("/dev/ttyUSB1"), stick("/dev/ttyUSB2", serial="OTHER"))
    assert len(await discovered(hass)) == 1


async def test_a_card_goes_when_the_meter_is_set_up_by_hand(hass: HomeAssistant) -> None:
    assert await async_setup_component(hass, "usb", {})
    with dongle() as sim:
        await look_for_sticks(hass, stick(sim.url))
        other = await start(hass)
        assert len(await discovered(hass)) == 2
        flow = await submit(hass, await start(hass), typed(sim))
        assert flow["type"] is FlowResultType.CREATE_ENTRY
        # A flow that was begun by hand stays.
        assert [flow["flow_id"] for flow in await discovered(hass)] == [other["flow_id"]]


async def test_a_stick_that_may_be_a_dongle_is_recommended_in_the_list_of_ports(hass: HomeAssistant) -> None:
    assert await async_setup_component(hass, "usb", {})
    # What the list is made of (components/usb, `usb/list_serial_ports`).
    matchers = hass.data["usb"].async_get_usb_matchers_for_device(stick("/dev/ttyUSB0"))
    assert DOMAIN in {matcher["domain"] for matcher in matchers}


async def test_the_same_meter_is_not_set_up_twice(hass: HomeAssistant) -> None:
    with dongle() as first, dongle() as second:
        # The utility may have sent another ID for it.
        entry_of(first, route_b_id=ROUTE_B_ID_2).add_to_hass(hass)
        flow = await submit(hass, await start(hass), typed(second))
        assert flow["type"] is FlowResultType.ABORT
        assert flow["reason"] == "already_configured"
        assert second.record.opens == second.record.closes == 1


async def test_the_same_meter_is_told_without_a_look_at_it(hass: HomeAssistant) -> None:
    with dongle() as sim:
        await set_up(hass, entry_of(sim))
        sim.record.clear()
        flow = await start(hass)
        flow = await hass.config_entries.flow.async_configure(flow["flow_id"], typed(sim))
        assert flow["type"] is FlowResultType.ABORT
        assert flow["reason"] == "already_configured"
        assert not sim.record.commands


async def test_an_entry_lends_its_port_to_a_flow(hass: HomeAssistant) -> None:
    with dongle(scenarios.REJOIN_PAUSE) as sim:
        entry = entry_of(sim)
        await set_up(hass, entry)
        flow = await submit(hass, await start(hass), typed(sim, route_b_id=ROUTE_B_ID_2))
        assert flow["errors"] == {"route_b_id": "no_meter"}
        # The flow had it between the entry's first time and the second.
        assert sim.record.closes == 2
        await elapse(hass, 70)
        assert sim.record.opens == 3
        assert entry.runtime_data.last_update_success


async def test_two_meters_on_two_dongles(hass: HomeAssistant) -> None:
    network = Network(mac="001C640003D2FFFF", channel=0x2F, pairing_id=ROUTE_B_ID_2[-8:])
    radio = RadioSettings(network=network, route_b_id=ROUTE_B_ID_2, password=PASSWORD_2)
    with dongle() as first, dongle(Scenario(summary="", radio=radio)) as second:
        await submit(hass, await start(hass), typed(first))
        flow = await submit(hass, await start(hass), typed(second, route_b_id=ROUTE_B_ID_2, password=PASSWORD_2))
        assert flow["type"] is FlowResultType.CREATE_ENTRY
        entries = hass.config_entries.async_entries(DOMAIN)
        assert [entry.state for entry in entries] == [ConfigEntryState.LOADED] * 2
        assert [entry.title for entry in entries] == ["Smart meter", "Smart meter 2"]


async def test_reconfigure_to_another_port(hass: HomeAssistant) -> None:
    with dongle() as old, dongle() as new:
        entry = entry_of(old)
        await set_up(hass, entry)
        flow = await entry.start_reconfigure_flow(hass)
        assert flow["step_id"] == "reconfigure"
        assert suggested(flow) == typed(old)
        flow = await submit(hass, flow, typed(new))
        assert flow["type"] is FlowResultType.ABORT
        assert flow["reason"] == "reconfigure_successful"
        assert data_of(entry) == {**typed(new), "pan": PAN}
        assert entry.state is ConfigEntryState.LOADED
        assert old.record.opens == old.record.closes == 1
        # A known meter needs no scan.
        assert not [command for command in new.record.commands if command.startswith("SKSCAN")]


async def reconfiguring(hass: HomeAssistant, sim: SimulatedPort) -> tuple[MockConfigEntry, ConfigFlowResult]:
    """Return a meter that is set up, and a change of it that has just been submitted."""
    entry = entry_of(sim)
    await set_up(hass, entry)
    flow = await entry.start_reconfigure_flow(hass)
    return entry, await hass.config_entries.flow.async_configure(flow["flow_id"], typed(sim))


async def test_reconfigure_on_the_port_that_the_entry_uses(hass: HomeAssistant) -> None:
    with dongle() as sim:
        entry = entry_of(sim)
        await set_up(hass, entry)
        flow = await submit(hass, await entry.start_reconfigure_flow(hass), typed(sim))
        assert flow["reason"] == "reconfigure_successful"
        assert entry.state is ConfigEntryState.LOADED


async def test_a_failed_reconfigure_leaves_the_meter_as_it_was(hass: HomeAssistant) -> None:
    with dongle() as sim:
        entry = entry_of(sim)
        await set_up(hass, entry)
        flow = await entry.start_reconfigure_flow(hass)
        flow = await submit(hass, flow, typed(sim, password="BAD456789ABC"))
        assert flow["errors"] == {CONF_PASSWORD: "join_refused"}
        assert entry.data[CONF_PASSWORD] == PASSWORD
        assert entry.state is ConfigEntryState.LOADED
        flow = await submit(hass, flow, typed(sim))
        assert flow["reason"] == "reconfigure_successful"


async def test_a_cancelled_reconfigure_leaves_the_meter_as_it_was(hass: HomeAssistant) -> None:
    with dongle() as sim:
        entry, flow = await reconfiguring(hass, sim)
        await asyncio.sleep(2)
        assert state_of(entry) is ConfigEntryState.NOT_LOADED
        hass.config_entries.flow.async_abort(flow["flow_id"])
        await elapse(hass, 1)  # Home Assistant does not wait for what it has cancelled.
        assert state_of(entry) is ConfigEntryState.LOADED


@pytest.mark.parametrize("is_closed", [True, False], ids=["aborted", "closed"])
async def test_a_reconfigure_of_which_nobody_sees_the_end(hass: HomeAssistant, *, is_closed: bool) -> None:
    with dongle() as sim:
        entry, flow = await reconfiguring(hass, sim)
        await asyncio.sleep(20)
        assert state_of(entry) is ConfigEntryState.NOT_LOADED
        if is_closed:
            hass.config_entries.flow.async_abort(flow["flow_id"])
            await elapse(hass, 1)
        else:
            await elapse(hass, 300)
        assert state_of(entry) is ConfigEntryState.LOADED


async def test_a_meter_that_is_removed_while_nobody_sees_the_end(
    hass: HomeAssistant, caplog: pytest.LogCaptureFixture
) -> None:
    with dongle() as sim:
        entry, _ = await reconfiguring(hass, sim)
        await asyncio.sleep(20)
        await hass.config_entries.async_remove(entry.entry_id)
        await elapse(hass, 400)
    assert "Error" not in caplog.text


FAST = Scenario(summary="", radio=RadioSettings(join_time=0.1, transmit_time=(0.01, 0.01), reply_time=(0.01, 0.01)))


@pytest.mark.parametrize("delay", [0.0, 0.3, 0.6, 1.2, 1.9, 3.0, 4.0, 6.0, 7.5])
@pytest.mark.parametrize("scenario", [scenarios.NORMAL, FAST])
async def test_a_slow_browser_asks_for_nothing_that_is_over(
    hass: HomeAssistant, scenario: Scenario, delay: float
) -> None:
    """The frontend would show an error in the place of the success."""
    browser = Browser(hass, delay=delay)
    with dongle(scenario) as sim:
        await reconfiguring(hass, sim)
        await asyncio.sleep(0.4)
        close = browser.open()
        await elapse(hass, 60)
        close()
        assert browser.last is not None
        assert browser.last["reason"] == "reconfigure_successful"
        assert browser.missed == 0


@pytest.mark.parametrize("delay", [9, 14, 25])
async def test_a_browser_that_was_very_slow_once_is_waited_for(hass: HomeAssistant, delay: float) -> None:
    browser = Browser(hass, delay=delay)
    told: list[Event] = []
    hass.bus.async_listen(EVENT_DATA_ENTRY_FLOW_PROGRESSED, told.append)
    with dongle() as sim:
        entry = entry_of(sim, pan={**PAN, "channel": 0x33})  # So that it has to be looked for.
        entry.add_to_hass(hass)
        flow = await entry.start_reconfigure_flow(hass)
        close = browser.open()
        await hass.config_entries.flow.async_configure(flow["flow_id"], typed(sim))
        await elapse(hass, 600)
        close()
        assert browser.last is not None
        assert browser.last.get("reason") == "reconfigure_successful", browser.last
        assert browser.missed == 0
        assert len(told) <= 6, "what it would show next is asked for with what it is told already"


async def test_an_end_that_nobody_will_ever_take_is_not_told_for_ever(hass: HomeAssistant) -> None:
    told: list[Event] = []
    with dongle() as sim:
        await reconfiguring(hass, sim)
        await elapse(hass, 1300)
        hass.bus.async_listen(EVENT_DATA_ENTRY_FLOW_PROGRESSED, told.append)
        await elapse(hass, 100)
        assert not told


async def test_an_end_that_the_browser_has_missed_is_told_again(hass: HomeAssistant) -> None:
    told: list[Event] = []
    with dongle() as sim:
        _, flow = await reconfiguring(hass, sim)
        await asyncio.sleep(37)
        hass.bus.async_listen(EVENT_DATA_ENTRY_FLOW_PROGRESSED, told.append)
        await asyncio.sleep(3)
        assert len(told) == 1, "who begins to listen is told at once"
        await asyncio.sleep(48)
        assert len(told) in {2, 3}
        assert told[0].data["flow_id"] == flow["flow_id"]
        flow = await hass.config_entries.flow.async_configure(flow["flow_id"])
        assert flow["reason"] == "reconfigure_successful"
        told.clear()
        await elapse(hass, 41)
        assert not told


@pytest.mark.parametrize("credentials", [CREDENTIALS, {**CREDENTIALS, CONF_PASSWORD: "WRONGPASSWOR"}])
async def test_an_end_is_not_told_to_who_has_seen_it(hass: HomeAssistant, credentials: dict[str, str]) -> None:
    told: list[Event] = []
    with dongle() as sim:
        flow = await start(hass)
        flow = await connect(hass, flow, {CONF_DEVICE: sim.url, **credentials})
        assert flow["type"] is FlowResultType.FORM
        hass.bus.async_listen(EVENT_DATA_ENTRY_FLOW_PROGRESSED, told.append)
        await elapse(hass, 41)
        assert not told, "a form that is loaded anew loses what a person types"


async def test_another_meter_does_not_take_the_place_of_the_old_one(hass: HomeAssistant) -> None:
    other = Scenario(summary="", radio=RadioSettings(network=Network(mac="001C640003D2FFFF", channel=0x2F)))
    with dongle() as sim, dongle(other) as wrong:
        entry = entry_of(sim)
        await set_up(hass, entry)
        flow = await submit(hass, await entry.start_reconfigure_flow(hass), typed(wrong))
        assert flow["errors"] == {"base": "other_meter"}
        assert data_of(entry) == {**typed(sim), "pan": PAN}
        assert entry.state is ConfigEntryState.LOADED


async def test_an_error_at_a_field_that_the_form_does_not_have_is_shown_above_it(hass: HomeAssistant) -> None:
    with dongle() as sim:
        entry = entry_of(sim)
        sim.unplug()
        entry.add_to_hass(hass)
        flow = await submit(hass, await entry.start_reauth_flow(hass), CREDENTIALS)
        assert flow["step_id"] == "reauth_confirm"
        assert flow["errors"] == {"base": "port_missing"}
        sim.plug()
        flow = await submit(hass, flow, CREDENTIALS)
        assert flow["reason"] == "reauth_successful"


async def test_new_credentials(hass: HomeAssistant) -> None:
    with dongle() as sim:
        entry = entry_of(sim, password="OLD456789ABC")
        await set_up(hass, entry)
        flow = await entry.start_reauth_flow(hass)
        assert flow["step_id"] == "reauth_confirm"
        assert suggested(flow) == {**CREDENTIALS, "password": "OLD456789ABC"}
        flow = await submit(hass, flow, {**CREDENTIALS, "password": "BAD456789ABC"})
        assert flow["step_id"] == "reauth_confirm"
        assert flow["errors"] == {CONF_PASSWORD: "join_refused"}
        flow = await submit(hass, flow, CREDENTIALS)
        assert flow["reason"] == "reauth_successful"
        assert data_of(entry) == {**typed(sim), "pan": PAN}
        assert entry.state is ConfigEntryState.LOADED


@pytest.mark.parametrize(("is_plugged", "shown"), [(True, ["scan", "join", "read"]), (False, ["probe"])])
async def test_a_browser_that_opens_late_misses_nothing(
    hass: HomeAssistant, *, is_plugged: bool, shown: list[str]
) -> None:
    """The answer that makes it show the progress takes longer than a look for the module, or for a missing port."""
    browser = Browser(hass)
    with dongle() as sim:
        if not is_plugged:
            sim.unplug()
        flow = await start(hass)
        await hass.config_entries.flow.async_configure(flow["flow_id"], typed(sim))
        await asyncio.sleep(0.5)
        browser.open()
        await hass.async_block_till_done()
    assert list(dict.fromkeys(action for action, _ in browser.shown)) == shown
    assert browser.last is not None
    assert browser.last["step_id"] == ("finish" if is_plugged else "user")


async def test_an_address_without_a_scheme_is_completed(hass: HomeAssistant) -> None:
    with dongle() as sim:
        flow = await submit(hass, await start(hass), typed(sim, device="192.168.1.20:4000"))
        assert flow["errors"] == {CONF_DEVICE: "port_scheme"}
        assert suggested(flow)[CONF_DEVICE] == "socket://192.168.1.20:4000"
        placeholders = flow["description_placeholders"]
        assert placeholders is not None
        assert placeholders["proposal"] == "socket://192.168.1.20:4000"
        flow = await submit(hass, flow, typed(sim))
    assert flow["type"] is FlowResultType.CREATE_ENTRY
