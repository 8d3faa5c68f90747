"""The parts of the demo that need no Home Assistant; the rest is checked by `scripts/demo --check`."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
import json
from pathlib import Path

import homeassistant.const
import pytest

from .demo.check import days_asked_for, days_told, difference, lose_database, wrong_bar
from .demo.environment import requirements
from .demo.home_assistant import INTEGRATION, PROJECT, UNTESTED, complaints, has_user, parse_log, write_config
from .demo.integration import Sensor
from .demo.process import TAIL, Found, NotYet, StepError, tail, until
from .demo.simulator import Truth

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
EARLY = Truth(time=NOW, energy_in=Decimal("100.1"), energy_out=Decimal("5.0"), power=-240)
LATE = Truth(time=NOW, energy_in=Decimal("100.2"), energy_out=Decimal("5.0"), power=300)
STATES = {
    "power": ("-240", "W"),
    "current": ("-1.2", "A"),
    "current_r": ("-1.2", "A"),
    "current_t": ("-1.2", "A"),
    "energy_in": ("100.2", "kWh"),
    "energy_out": ("5.0", "kWh"),
}
SENSORS = {
    key: Sensor(entity_id=f"sensor.{key}", key=key, device_class=None, unit=unit, state=state, reported=NOW)
    for key, (state, unit) in STATES.items()
}
LOG = f"""\
Something that is printed before there is a log
2026-11-24 00:18:51.155 WARNING (MainThread) [homeassistant.loader] {UNTESTED}
2026-11-24 00:18:51.156 INFO (MainThread) [homeassistant.setup] Setting up broute
2026-11-24 00:18:51.157 ERROR (MainThread) [homeassistant.core] Error doing job
Traceback (most recent call last):
  File "{INTEGRATION}/sensor.py", line 1, in <module>
2026-11-24 00:18:51.158 WARNING (Recorder) [homeassistant.components.recorder] Something of its own
2026-11-24 00:18:51.159 WARNING (MainThread) [custom_components.broute.sensor] Ours
"""


def test_sensors_that_agree() -> None:
    assert difference(SENSORS, EARLY, LATE) is None


@pytest.mark.parametrize(
    ("key", "changes", "reason"),
    [
        ("energy_in", {"state": "100.3"}, "energy_in is 100.3 kWh, but the meter says 100.1 to 100.2"),
        ("energy_out", {"state": "4.9"}, "energy_out is 4.9 kWh, but the meter says 5.0 to 5.0"),
        ("power", {"state": "-241"}, "power is -241 W, but the meter says -240 or 300"),
        ("current_t", {"state": "unavailable"}, "current_t is unavailable"),
        ("power", {"unit": "kW"}, "power is in kW, not in W"),
    ],
)
def test_sensors_that_differ(key: str, changes: dict[str, str], reason: str) -> None:
    assert difference({**SENSORS, key: replace(SENSORS[key], **changes)}, EARLY, LATE) == reason  # type: ignore[arg-type]


def test_missing_sensor() -> None:
    sensors = {key: sensor for key, sensor in SENSORS.items() if key != "power"}
    assert difference(sensors, EARLY, LATE) == "no sensor for ['power']"


def test_log_is_cut_into_records() -> None:
    records = parse_log(LOG)
    assert [record.level for record in records] == ["WARNING", "INFO", "ERROR", "WARNING", "WARNING"]
    assert records[2].text.splitlines()[1] == "Traceback (most recent call last):"
    assert parse_log("nothing") == []


def test_complaints_are_ours() -> None:
    assert [record.logger for record in complaints(parse_log(LOG))] == [
        "homeassistant.core",
        "custom_components.broute.sensor",
    ]


def test_configuration_is_written_anew_and_knowledge_is_kept(tmp_path: Path) -> None:
    write_config(tmp_path, lang="ja", port=8123)
    assert not has_user(tmp_path)
    (tmp_path / ".storage" / "onboarding").write_text(json.dumps({"data": {"done": ["core_config", "user"]}}))
    write_config(tmp_path, lang="en", port=8124)
    assert has_user(tmp_path)
    assert "language: en" in (tmp_path / "configuration.yaml").read_text()
    assert json.loads((tmp_path / ".storage" / "http").read_text())["data"]["stable"]["server_port"] == 8124
    assert (tmp_path / "custom_components" / "broute").resolve() == INTEGRATION


def test_tail_of_a_log(tmp_path: Path) -> None:
    assert tail(tmp_path / "missing") == ""
    (tmp_path / "log").write_text("\n".join(map(str, range(100))))
    assert tail(tmp_path / "log").splitlines() == [str(number) for number in range(100 - TAIL, 100)]


def test_requirements_are_those_of_the_home_assistant_that_is_installed() -> None:
    found = dict(text.split("==") for text in requirements(Path(homeassistant.__file__).parent))
    assert found.keys() >= {"serialx", "home-assistant-frontend", "hassil"}
    pins = (PROJECT / "requirements_test.txt").read_text()
    if f"# Home Assistant {homeassistant.const.__version__}," not in pins:
        pytest.skip("another version is tried than the one that is pinned")
    for line in pins.splitlines():
        name, _, version = line.partition("==")
        if name in found:
            assert found[name] == version, "the pins of the test environment are not Home Assistant's"


async def test_only_what_is_found_ends_a_wait() -> None:
    looks: list[Found[bool] | NotYet] = [NotYet("nothing"), NotYet("half of it"), Found(value=False)]
    found = looks.copy()

    async def look() -> Found[bool] | NotYet:
        return found.pop(0)

    assert await until(look, within=60, pause=0) is False
    assert not found


async def test_a_wait_ends_with_what_was_seen_last() -> None:
    async def look() -> Found[int] | NotYet:
        return NotYet("22 rows of 1440")

    with pytest.raises(StepError, match=r"^after 0\.05 s: 22 rows of 1440$"):
        await until(look, within=0.05, pause=0.01)


@pytest.mark.parametrize("answer", [False, True, None, 0])
async def test_no_plain_answer_ends_a_wait(answer: object) -> None:
    async def ask() -> object:
        return answer

    # The type says so as well: the comment in the next line is refused where it is not needed.
    with pytest.raises(AssertionError):
        await until(ask, within=60)  # type: ignore[arg-type]


async def test_a_time_out_of_what_is_asked_is_none_of_the_wait() -> None:
    async def look() -> Found[int] | NotYet:
        raise TimeoutError("of a socket")

    with pytest.raises(TimeoutError, match="of a socket"):
        await until(look, within=60)


BARS = {NOW + timedelta(hours=number): Decimal(number) / 10 for number in range(3)}


def test_bars_that_are_the_meters() -> None:
    assert wrong_bar(BARS | {NOW - timedelta(hours=1): Decimal(9)}, BARS) is None


@pytest.mark.parametrize(
    ("shown", "reason"),
    [
        ({}, "11-24 12:00 is None, but the meter says 0"),
        ({NOW: Decimal(0)}, "11-24 13:00 is None, but the meter says 0.1"),
        (BARS | {NOW: Decimal("0.001")}, "11-24 12:00 is 0.001, but the meter says 0"),
    ],
)
def test_bars_that_are_not(shown: dict[datetime, Decimal], reason: str) -> None:
    assert wrong_bar(shown, BARS) == reason


def test_which_days_the_meter_was_asked_for() -> None:
    head, to_meter = "10810001", "05FF01028801"
    datagrams = [f"{head}{to_meter}6101E50102", f"{head}{to_meter}6201E200", f"{head}{to_meter}6101E50100"]
    assert days_asked_for(datagrams, date(2026, 3, 1)) == {date(2026, 2, 27), date(2026, 3, 1)}


def test_which_days_the_meter_has_told() -> None:
    head, to_us = "10810001", "02880105FF01"
    answers = [(0xE2, 2), (0xE4, 2), (0xE2, 3), (0xE4, 4)]
    datagrams = [f"{head}{to_us}7201{code:02X}02{day:04X}" for code, day in answers]
    refused = f"{head}{to_us}5201E200"
    assert days_told([*datagrams, refused], date(2026, 3, 1)) == {date(2026, 2, 27)}


def test_a_database_that_is_not_there_cannot_be_lost(tmp_path: Path) -> None:
    with pytest.raises(StepError):
        lose_database(tmp_path)
    (tmp_path / "config").mkdir()
    for name in ("home-assistant_v2.db", "home-assistant_v2.db-wal", "home-assistant.log"):
        (tmp_path / "config" / name).touch()
    lose_database(tmp_path)
    assert [path.name for path in (tmp_path / "config").iterdir()] == ["home-assistant.log"]
