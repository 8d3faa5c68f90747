"""The doctor names what is wrong, in every situation that the simulator can play."""

import asyncio
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
import io
import json
import logging
from pathlib import Path
import re
import signal
import sys
from typing import Any

import pytest
import time_machine

from custom_components.broute.aiobroute import CAUSES, Credentials, __main__, connect
from custom_components.broute.aiobroute.cli.findings import CHECKS, TROUBLES, WORKING
from custom_components.broute.aiobroute.doctor import Check, Finding, Verdict, examine
from tests.simulator import scenarios
from tests.simulator.meter import Refusal
from tests.simulator.scenarios import PASSWORD, ROUTE_B_ID, SCENARIOS, Scenario
from tests.simulator.transport import SimulatedPort, simulated_port

from .test_record import PASSWORD as SECRET_PASSWORD, ROUTE_B_ID as SECRET_ID, secretive
from .virtual_time import START, clock, run, runner

ROOT = Path(__file__).parents[2]
TRANSLATIONS = ROOT / "custom_components" / "broute" / "translations"
CREDENTIALS = Credentials(ROUTE_B_ID, PASSWORD)

MINUTES = 4
"""That the doctor takes at most."""

FINE: set[tuple[str, str]] = set()
LATE_OR_LOST = {("session", "answers_late")}
NO_MODULE_THAT_MAKES_SENSE = {("module", "module_error"), ("scan", "module_error")}
BY_CHANCE = [FINE, LATE_OR_LOST, {("session", "module_error")}, {("scan", "heard_late")}, {("scan", "beacon_damaged")}]
"""A line that loses bytes is met where it happens to lose them; often what was lost is said once more."""

NAMED: Mapping[str, Collection[set[tuple[str, str]]]] = {
    "NORMAL": [FINE],
    "SOLAR": [FINE],
    "ONE_PHASE": [FINE],
    "COEFFICIENT": [FINE],
    "SECOND_GENERATION": [FINE],
    "NO_EXPORT_DATA": [FINE],
    "SHORT_HISTORY": [FINE],
    "WRONG_CLOCK": [{("clock", "clock")}],
    "LATE_MIDNIGHT": [FINE],
    "RIVAL": [FINE],  # It sets the day twice, and the history is read undisturbed afterwards.
    "MULTI_GET_REFUSED": [LATE_OR_LOST],
    "MULTI_GET_IGNORED": [LATE_OR_LOST],
    "NO_UNIT": [{("properties", "unit_untold"), ("history", "history_refused")}],
    "NO_DATA": [{("properties", "values_missing")}],
    "IMPOSSIBLE_VALUES": [{("properties", "values_missing")}],
    "LINE_ENDS": [FINE],
    "NO_METER": [{("scan", "no_meter")}],
    "STRANGERS": [FINE],
    "WEAK_RADIO": [{("scan", "weak_radio"), ("join", "join_unanswered")}],
    "REFUSED_ONCE": [{("join", "joined_second")}],
    "FAILING_ASSOCIATION": [FINE],  # The module tries again by itself.
    "REJOIN_PAUSE": [FINE],
    "SILENT_METER": [{("session", "meter_silent")}],
    "SLOW_METER": [LATE_OR_LOST],
    "STEADY_METER": [FINE],
    # What comes after a quarter of an hour cannot be seen in four minutes.
    "SHORT_SESSIONS": [FINE],
    "SESSION_EXPIRES": [FINE],
    "SESSION_LOST": [FINE],
    "REQUESTED_NOTICES": [FINE],
    "NO_NOTICES": [FINE],  # The meter names them, and half an hour is not waited for.
    "AWKWARD_SENDING": [{("session", "radio_unanswered")}],
    "SECOND_METER": [{("scan", "no_meter")}],  # Its ID is another one.
    "TWO_METERS": [FINE],
    "LATE_ANSWERS": [LATE_OR_LOST],
    "LOST_ANSWERS": [LATE_OR_LOST],
    "DUPLICATES": [FINE],
    "FOREIGN_FRAMES": [FINE],
    "UNENCRYPTED": [FINE],
    "BROKEN_FRAMES": [FINE],
    "WRONG_LENGTHS": [FINE],
    "ODD_ANSWERS": [FINE],
    "NOISE": [FINE],
    "SPLIT_BYTES": [FINE],
    "LOST_BYTES": BY_CHANCE,
    "DOUBLED_BYTES": BY_CHANCE,
    "TRUNCATED_LINES": [{each} for each in NO_MODULE_THAT_MAKES_SENSE],
    "CUT_DESCRIPTION": [FINE],
    "BROKEN_DESCRIPTION": [{("scan", "beacon_damaged")}, {("scan", "no_meter")}],
    "LATE_DESCRIPTION": [FINE],
    "LATE_REFUSAL": [{("join", "join_unanswered")}],
    "CHANNEL_BUSY": [{("session", "radio_unanswered")}, FINE],  # A J11 module tells it from a meter that is silent.
    "NO_AIRTIME": [LATE_OR_LOST, {("session", "airtime")}],  # An SK module does not tell why nothing was sent.
    "QUEUED": [FINE],
    "ONCE_MORE": [FINE],
    "SCAN_UNANSWERED": [FINE],
    "GARBLED_SESSION": [{("session", "session_second")}],
    "LEFT_JOINED": [FINE],
    "LEFT_ELSEWHERE": [FINE],
    "REFUSES_VALUES": [{("properties", "meter_refuses")}],
    "REFUSES_UNIT": [{("properties", "unit_untold")}],
    "REFUSES_COEFFICIENT": [FINE],
    "REFUSES_HISTORY": [FINE],  # It is asked for again.
    "NO_MAP": [
        {("properties", "map_untold"), ("history", "history_refused"), ("notifications", "announces_nothing")},
    ],
    "SIX_PER_GET": [FINE],
    "SHORT_ANSWERS": [FINE],
    "DEAF_SESSION": [{("session", "session_second")}],
}
"""What is found in each situation; all else is good, or was not looked at because of it."""


async def timed(url: str, credentials: Credentials = CREDENTIALS, **options: Any) -> tuple[list[Finding], float]:
    loop = asyncio.get_running_loop()
    begun = loop.time()
    findings = await examine(url, credentials, now=clock, **options)
    return findings, loop.time() - begun


def examined(scenario: Scenario = scenarios.NORMAL, **options: Any) -> list[Finding]:
    with simulated_port(scenario, speed=1, clock=clock, **options) as sim:
        return run(timed(sim.url))[0]


def troubles(findings: list[Finding]) -> set[tuple[str, str]]:
    return {
        (finding.check.value, finding.key) for finding in findings if finding.verdict in (Verdict.NOTICE, Verdict.BAD)
    }


def found(findings: list[Finding], check: Check) -> Finding:
    (finding,) = [finding for finding in findings if finding.check is check]
    return finding


@pytest.mark.parametrize("name", SCENARIOS)
def test_what_is_wrong_is_named(name: str, each_kind: str) -> None:
    with simulated_port(SCENARIOS[name], speed=1, clock=clock) as sim:
        findings, seconds = run(timed(sim.url))
        assert sim.record.opens == sim.record.closes >= 1
    assert [finding.check for finding in findings] == list(Check)
    assert troubles(findings) in NAMED[name], each_kind
    assert seconds <= MINUTES * 60
    broken = [finding.verdict for finding in findings].index(Verdict.BAD) if _is_barred(findings) else len(findings)
    assert {finding.key for finding in findings[broken + 1 :]} <= {"not_reached"}
    assert all(finding.key in {*TROUBLES, *WORKING} for finding in findings)


def _is_barred(findings: list[Finding]) -> bool:
    return any(finding.verdict is Verdict.BAD and finding.check.value in ENTRANCE for finding in findings)


ENTRANCE = {"port", "module", "credentials", "airtime", "scan", "join", "session"}


def test_there_is_a_row_for_each_situation() -> None:
    assert NAMED.keys() == SCENARIOS.keys()


def of_meter(**settings: Any) -> Scenario:
    return replace(scenarios.NORMAL, meter=replace(scenarios.NORMAL.meter, **settings))


@pytest.mark.parametrize(
    ("settings", "check", "key"),
    [
        ({"refusals": (Refusal(codes=(0x97, 0x98)),)}, Check.CLOCK, "clock_untold"),
        ({"refusals": (Refusal(codes=(0x89,)),)}, Check.PROPERTIES, "properties_refused"),
        ({"refusals": (Refusal(codes=(0xE2,)),)}, Check.HISTORY, "history_refused"),
        ({"refusals": (Refusal(codes=(0xE5,)),)}, Check.HISTORY, "history_refused"),
        ({"ignored": (0xE2,)}, Check.HISTORY, "history_silent"),
        ({"rival_day": 3, "rival_turns": 99}, Check.HISTORY, "history_disturbed"),
        ({"installed": START - timedelta(hours=3)}, Check.HISTORY, "history_empty"),
        ({"clock_offset": timedelta(minutes=-5)}, Check.CLOCK, "clock_right"),
        ({"clock_offset": timedelta(minutes=-6)}, Check.CLOCK, "clock"),
    ],
)
def test_what_is_wrong_with_a_meter(settings: dict[str, Any], check: Check, key: str) -> None:
    assert found(examined(of_meter(**settings)), check).key == key


def test_a_meter_that_announces_nothing_and_has_no_history() -> None:
    few = bytes.fromhex("80 82 88 8A 97 98 9D 9E 9F D7 E0 E1 E7 E8")
    with simulated_port(scenarios.NORMAL, speed=1, clock=clock) as sim:
        sim.meter.device.registers[0x9F] = lambda: bytes((len(few), *few))
        sim.meter.device.registers[0x9D] = lambda: bytes.fromhex("028088")
        findings, _ = run(timed(sim.url))
    assert troubles(findings) == {("notifications", "announces_nothing"), ("history", "history_none")}


def test_what_is_announced_meanwhile_counts() -> None:
    def later() -> datetime:
        """Return what is ten seconds before a half-hour when the doctor begins."""
        return clock() + timedelta(minutes=22, seconds=20)

    soon = replace(scenarios.NORMAL.radio, announce_delay=timedelta(seconds=15))
    with simulated_port(replace(of_meter(values={0x9D: ""}), radio=soon), speed=1, clock=later) as sim:
        findings = run(examine(sim.url, CREDENTIALS, now=later))
    assert found(findings, Check.NOTIFICATIONS).key == "announces"


def test_a_radio_that_gets_weak_after_the_search(each_kind: str) -> None:
    async def weakened(sim: SimulatedPort) -> list[Finding]:
        def weaken() -> None:
            sim.air.network = replace(sim.air.network, lqi=0x28)

        asyncio.get_running_loop().call_later(15, weaken)
        return (await timed(sim.url))[0]

    with simulated_port(scenarios.NORMAL, speed=1, clock=clock) as sim:
        findings = run(weakened(sim))
    assert troubles(findings) == {("session", "weak_radio")}, each_kind


def test_a_module_that_tells_no_strength() -> None:
    assert troubles(examined(module="bp35a1")) == set()


def test_a_meter_that_is_heard_only_by_listening_longer(each_kind: str) -> None:
    slow = replace(scenarios.NORMAL, radio=replace(scenarios.NORMAL.radio, scan_duration=7))
    assert troubles(examined(slow)) == {("scan", "heard_late")}, each_kind


@pytest.mark.parametrize(
    ("credentials", "key"),
    [
        (Credentials(ROUTE_B_ID[1:], PASSWORD), "invalid_route_b_id"),
        (Credentials(ROUTE_B_ID[1:] + "G", PASSWORD), "invalid_route_b_id"),
        (Credentials(ROUTE_B_ID, PASSWORD + "1"), "invalid_password"),
        (Credentials("", ""), "invalid_route_b_id"),
    ],
)
def test_credentials_of_a_wrong_form(credentials: Credentials, key: str) -> None:
    with simulated_port(scenarios.NORMAL, speed=1, clock=clock) as sim:
        findings, _ = run(timed(sim.url, credentials))
        assert not [command for command in sim.record.commands if "SETPWD" in str(command)]
    assert troubles(findings) == {("credentials", key)}
    assert [finding.key for finding in findings[:2]] == ["port_opened", "module_answered"]
    assert {finding.key for finding in findings[3:]} == {"not_reached"}


def test_a_wrong_password(each_kind: str) -> None:
    with simulated_port(scenarios.NORMAL, speed=1, clock=clock) as sim:
        findings, _ = run(timed(sim.url, Credentials(ROUTE_B_ID, "BAD456789ABC")))
    assert troubles(findings) == {("join", "join_refused")}, each_kind


@pytest.mark.parametrize("kind", ["silent", "echo", "modem", "gps", "zigbee", "terminal"])
def test_something_else_on_the_port(kind: str) -> None:
    findings = examined(module=kind)
    assert troubles(findings) == {("module", "no_module")}
    assert found(findings, Check.PORT).verdict is Verdict.GOOD


def test_no_port() -> None:
    findings, _ = run(timed("/dev/does-not-exist"))
    assert troubles(findings) == {("port", "port_missing")}
    assert found(findings, Check.PORT).details == ""


@pytest.mark.parametrize(("second", "check"), [(5, "scan"), (12, "join"), (18, "session"), (25, "properties")])
def test_a_dongle_that_is_unplugged_meanwhile(second: float, check: str) -> None:
    async def unplugged(sim: SimulatedPort) -> list[Finding]:
        asyncio.get_running_loop().call_later(second, sim.unplug)
        return (await timed(sim.url))[0]

    with simulated_port(scenarios.NORMAL, speed=1, clock=clock) as sim:
        findings = run(unplugged(sim))
    ((place, key),) = troubles(findings)
    assert place == check
    assert key in {"port_error", "session_lost"}
    assert {finding.key for finding in findings[[each.value for each in Check].index(check) + 1 :]} == {"not_reached"}


def test_a_session_that_the_meter_ends() -> None:
    async def ended(sim: SimulatedPort) -> list[Finding]:
        asyncio.get_running_loop().call_later(16, sim.air.end_session)
        return (await timed(sim.url))[0]

    with simulated_port(scenarios.NORMAL, speed=1, clock=clock) as sim:
        findings = run(ended(sim))
    assert troubles(findings) == {("session", "session_lost")}


def test_airtime_that_is_used_up_before() -> None:
    with simulated_port(scenarios.NORMAL, module="bp35a1", speed=1, clock=clock) as sim:
        sim.air.restrict()
        findings, seconds = run(timed(sim.url))
    assert troubles(findings) == {("airtime", "airtime")}
    assert seconds < 10


def test_airtime_that_is_used_up_for_a_moment() -> None:
    async def restricted(sim: SimulatedPort) -> list[Finding]:
        asyncio.get_running_loop().call_later(16, sim.air.restrict)
        asyncio.get_running_loop().call_later(40, sim.air.restrict, False)  # it is the only argument
        return (await timed(sim.url))[0]

    with simulated_port(scenarios.NORMAL, speed=1, clock=clock) as sim:
        findings = run(restricted(sim))
    assert troubles(findings) == {("session", "airtime")}


def test_everything_that_is_heard_is_told() -> None:
    others = scenarios.STRANGERS.radio.neighbours
    findings = examined(scenarios.STRANGERS)
    assert len(others) == 1
    assert found(findings, Check.SCAN).facts["others"] == "ch 47 -38.3 dBm"
    nobody_of_ours = replace(scenarios.STRANGERS.radio, route_b_id="F" * 32, network=replace(others[0], mac="1" * 16))
    findings = examined(replace(scenarios.STRANGERS, radio=nobody_of_ours))
    assert found(findings, Check.SCAN).key == "no_meter"
    assert found(findings, Check.SCAN).details.startswith("+ ch 47 -38.3 dBm")


def test_no_credential_is_logged(caplog: pytest.LogCaptureFixture, each_kind: str) -> None:
    caplog.set_level(logging.DEBUG)
    with simulated_port(secretive(scenarios.NORMAL), speed=1, clock=clock) as sim:
        findings, _ = run(timed(sim.url, Credentials(SECRET_ID, SECRET_PASSWORD)))
    assert troubles(findings) == set(), each_kind
    assert len(caplog.text) > 1000
    for secret in (SECRET_ID, SECRET_ID[-8:], SECRET_PASSWORD):
        assert secret not in caplog.text
        assert secret not in str(findings)


def test_it_says_what_it_is_at() -> None:
    checks: list[Check] = []
    told: list[Finding] = []
    with simulated_port(scenarios.SILENT_METER, speed=1, clock=clock) as sim:
        findings, _ = run(timed(sim.url, on_check=checks.append, on_finding=told.append))
    assert checks == list(Check)[: list(Check).index(Check.SESSION) + 1]
    assert told == findings


def test_nothing_is_changed_in_the_module_but_what_a_connection_changes(each_kind: str) -> None:
    async def usual(url: str) -> None:
        async with await connect(url, CREDENTIALS) as meter:
            await meter.read()

    with simulated_port(scenarios.NORMAL, speed=1, clock=clock) as sim:
        run(usual(sim.url))
        by_connection = set(sim.record.commands)
    with simulated_port(scenarios.NORMAL, speed=1, clock=clock) as sim:
        run(timed(sim.url))
        by_doctor = settings_of(sim)
        assert not sim.record.flash_writes
    assert len(by_doctor) > 5, each_kind
    assert by_doctor <= by_connection


def settings_of(sim: SimulatedPort) -> set[str]:
    """Return what the module was told but for datagrams."""
    return {command for command in sim.record.commands if not command.startswith(("SKSENDTO", "SEND "))}


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> dict[float, Callable[[], object]]:
    """Return what happens at which virtual time while a command runs; the clock on the wall stands still."""
    happenings: dict[float, Callable[[], object]] = {}
    monkeypatch.setenv("BROUTE_ID", ROUTE_B_ID)
    monkeypatch.setenv("BROUTE_PASSWORD", PASSWORD)
    monkeypatch.setattr(asyncio, "run", runner(happenings))
    return happenings


@pytest.fixture
def noon(at: dict[float, Callable[[], object]]) -> Iterator[dict[float, Callable[[], object]]]:
    with time_machine.travel(START, tick=False):
        yield at


def doctor(sim: SimulatedPort, *arguments: str) -> int:
    return __main__.main(["doctor", "--port", sim.url, "--quiet", *arguments])


@pytest.mark.usefixtures("noon")
def test_a_good_connection_on_the_command_line(capsys: pytest.CaptureFixture[str], each_kind: str) -> None:
    with simulated_port(scenarios.NORMAL, speed=1, clock=clock) as sim:
        assert doctor(sim) == 0
    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    assert [line.split("  ")[0] for line in lines] == [f"✔ {name}" for name in CHECKS.values()]
    assert lines[0] == f"✔ Port               The port can be opened. ({sim.url})"
    assert ("BP35C2, 1.5.2" in lines[1]) == (each_kind == "bp35c2")
    assert captured.err == ""


@pytest.mark.usefixtures("noon")
def test_a_bad_connection_on_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    with simulated_port(scenarios.WEAK_RADIO, speed=1, clock=clock) as sim:
        assert doctor(sim) == 1
    captured = capsys.readouterr()
    assert captured.out.splitlines()[4:9] == [
        "! Search             The radio signal of the meter is weak. (ch 49, -93.3 dBm)",
        "                     Move the dongle closer to the meter, away from metal; a USB extension cable helps most.",
        "✘ Connection         The meter was heard, but did not answer the connection request.",
        "                     Usually the radio signal is weak: move the dongle closer. Check ID and password, too.",
        "- Answers            Not examined, because of the problem above.",
    ]
    assert captured.err == "aiobroute: something is wrong: Connection\n"
    assert all(len(line) <= 120 for line in captured.out.splitlines())


@pytest.mark.usefixtures("noon")
def test_a_terminal_without_such_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(out, encoding="ascii", write_through=True))
    with simulated_port(scenarios.NO_METER, speed=1, clock=clock) as sim:
        assert doctor(sim) == 1
    assert [line[0] for line in out.getvalue().decode().splitlines() if line[0] != " "] == [*"++++x------"]


@pytest.mark.usefixtures("noon")
def test_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    with simulated_port(scenarios.WRONG_CLOCK, speed=1, clock=clock) as sim:
        assert doctor(sim, "--json") == 1
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["check"] for row in rows] == [check.value for check in Check]
    (clock_row,) = [row for row in rows if row["check"] == "clock"]
    assert clock_row.pop("facts")["minutes"] in (7, 8), "the clock on the wall stands still"
    assert clock_row == {
        "check": "clock",
        "verdict": "bad",
        "key": "clock",
        "what": TROUBLES["clock"][0],
        "to_do": TROUBLES["clock"][1],
    }
    assert {row["to_do"] for row in rows if row["verdict"] == "good"} == {None}


@pytest.mark.usefixtures("noon")
def test_the_progress_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    with simulated_port(scenarios.NORMAL, speed=1, clock=clock) as sim:
        assert __main__.main(["doctor", "--port", sim.url]) == 0
    told = capsys.readouterr().err.splitlines()
    assert told[:3] == ["examining: port", "examining: module", "examining: ID and password"]


@pytest.mark.usefixtures("noon")
def test_credentials_may_have_any_form(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROUTE_ID", "0123 4567")
    monkeypatch.setenv("BROUTE_PASSWORD", "short")
    with simulated_port(scenarios.NORMAL, speed=1, clock=clock) as sim:
        assert doctor(sim) == 1
    captured = capsys.readouterr()
    assert "✘ ID and password    The Route B ID has 32 digits" in captured.out
    assert "short" not in captured.out + captured.err
    assert "01234567" not in captured.out + captured.err


def test_it_can_be_ended(noon: dict[float, Callable[[], object]], capsys: pytest.CaptureFixture[str]) -> None:
    noon[20] = lambda: signal.raise_signal(signal.SIGTERM)
    with simulated_port(scenarios.NORMAL, speed=1, clock=clock) as sim:
        assert doctor(sim) == 0
        assert sim.record.opens == sim.record.closes
    captured = capsys.readouterr()
    assert captured.err == "stopped\n"
    assert captured.out.startswith("✔ Port ")


def table(page: str) -> set[tuple[str, str]]:
    """Return the rows of a page that have two cells."""
    text = (ROOT / "docs" / page).read_text()
    return {(row[1], row[2]) for row in re.finditer(r"^\| ([^|]+) \| ([^|]+) \|$", text, re.MULTILINE)}


def test_the_words_are_those_of_the_page() -> None:
    rows = table("troubleshooting.md")
    assert len(rows) > len(TROUBLES)
    assert set(TROUBLES.values()) <= rows


@pytest.mark.parametrize(
    ("language", "page", "form"),
    [("en", "troubleshooting.md", "{} {}"), ("ja", "troubleshooting.ja.md", "{}{}。")],
)
def test_home_assistant_has_the_same_words(language: str, page: str, form: str) -> None:
    texts = json.loads((TRANSLATIONS / f"{language}.json").read_text())["common"]
    shown = {form.format(what, to_do) for what, to_do in table(page)}
    assert {key.removeprefix("found_") for key in texts if key.startswith("found_")} == {*TROUBLES, *WORKING}
    assert {key.removeprefix("check_") for key in texts if key.startswith("check_")} == {check.value for check in Check}
    for key, words in TROUBLES.items():
        assert texts[f"found_{key}"] in shown, key
        assert language == "ja" or texts[f"found_{key}"] == " ".join(words)
    if language == "en":
        assert {key: texts[f"found_{key}"] for key in WORKING} == WORKING
        assert {check: texts[f"check_{check.value}"] for check in Check} == CHECKS


def test_every_error_has_words() -> None:
    # Only dongles are examined.
    assert set(CAUSES.values()) - {"no_node", "node_address", "node_port_busy"} <= TROUBLES.keys()


def test_every_finding_is_named_in_some_test() -> None:
    source = Path(__file__).read_text()
    assert [key for key in TROUBLES if f'"{key}"' not in source and key not in CAUSES.values()] == []
