"""The blueprints: imported, filled in and run by Home Assistant's own code."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
import re
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from homeassistant.components.automation.const import DOMAIN as AUTOMATION
from homeassistant.components.blueprint.importer import fetch_blueprint_from_url
from homeassistant.components.recorder.models import StatisticData, StatisticMeanType, StatisticMetaData
from homeassistant.components.recorder.statistics import async_import_statistics
from homeassistant.const import STATE_UNAVAILABLE
from homeassistant.helpers import entity_registry as er
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util, yaml as yaml_util
import pytest
from pytest_homeassistant_custom_component.common import async_fire_time_changed, async_mock_service
from pytest_homeassistant_custom_component.components.recorder.common import async_wait_recording_done

from .address import current
from .aiobroute.virtual_time import START
from .energy.test_backfill import DAY, MINUTE, house, live
from .home import dongle, elapse, entry_of, set_up
from .plans import CONTRACT, ONE_PRICE, fill_in
from .simulator import scenarios
from .simulator.meter import MeterSettings

if TYPE_CHECKING:
    from freezegun.api import FrozenDateTimeFactory
    from homeassistant.components.recorder.core import Recorder
    from homeassistant.core import HomeAssistant, ServiceCall
    from pytest_homeassistant_custom_component.test_util.aiohttp import AiohttpClientMocker

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "blueprints" / "automation" / "broute"
REPOSITORY = current()
BLUEPRINTS = sorted(path.stem for path in FOLDER.glob("*.yaml"))
ENGLISH = [name for name in BLUEPRINTS if not name.endswith("_ja")]
JST = ZoneInfo("Asia/Tokyo")

CURRENTS = {"current_r": "sensor.current_r", "current_t": "sensor.current_t"}
UNITS = {"W": ["W"], "kW": ["kW"], None: ["A", "kWh"]}
PHONE = "notify.phone"
BEFORE_MIDNIGHT = START.astimezone(JST).replace(hour=23, minute=0)


@pytest.fixture
def hass_config_dir(tmp_path: Path) -> str:
    """Let Home Assistant find the blueprints where a person who imported them has them."""
    blueprints = tmp_path / "blueprints" / AUTOMATION
    blueprints.mkdir(parents=True)
    (blueprints / "broute").symlink_to(FOLDER)
    return str(tmp_path)


@pytest.fixture(params=["", "_ja"], ids=["en", "ja"])
def language(request: pytest.FixtureRequest) -> str:
    """Return the end of the names in each language."""
    return str(request.param)


async def use(hass: HomeAssistant, name: str, **inputs: Any) -> list[ServiceCall]:
    """Make an automation of a blueprint; return what it will send to phones."""
    config = {"use_blueprint": {"path": f"broute/{name}.yaml", "input": inputs}}
    assert await async_setup_component(hass, "persistent_notification", {})
    assert await async_setup_component(hass, AUTOMATION, {AUTOMATION: [{"id": name, "alias": name, **config}]})
    await hass.async_block_till_done()
    (state,) = hass.states.async_all(AUTOMATION)
    assert state.state == "on"
    sent: list[ServiceCall] = async_mock_service(hass, "notify", "send_message")
    return sent


def notes(hass: HomeAssistant) -> dict[str, str]:
    """Return the texts that Home Assistant shows by itself."""
    return {key: note["message"] for key, note in hass.data.get("persistent_notification", {}).items()}


def draw(hass: HomeAssistant, *amperes: object) -> None:
    """Let the meter measure currents."""
    for sensor, ampere in zip(CURRENTS.values(), amperes, strict=False):
        hass.states.async_set(sensor, str(ampere))


def content(name: str) -> Any:
    return yaml_util.load_yaml(FOLDER / f"{name}.yaml")


def logic(node: Any) -> Any:
    """Return a blueprint without what a person reads."""
    match node:
        case dict():
            texts = {"name", "description", "label", "title", "message", "source_url", "unit_of_measurement"}
            return {key: logic(value) for key, value in node.items() if key not in texts}
        case list():
            return [logic(value) for value in node]
        case _:
            return node


@pytest.mark.parametrize("name", BLUEPRINTS)
async def test_a_blueprint_is_imported_from_its_address(
    hass: HomeAssistant, aioclient_mock: AiohttpClientMocker, name: str
) -> None:
    path = f"blueprints/automation/broute/{name}.yaml"
    aioclient_mock.get(f"https://raw.githubusercontent.com/{REPOSITORY}/main/{path}", text=(ROOT / path).read_text())
    address = f"https://github.com/{REPOSITORY}/blob/main/{path}"
    imported = await fetch_blueprint_from_url(hass, address)
    assert imported.blueprint.domain == AUTOMATION
    # The importer sets the address itself; the file has it for those who copy it by hand.
    assert content(name)["blueprint"]["source_url"] == address
    assert imported.blueprint.validate() is None
    assert imported.suggested_filename == f"{REPOSITORY.split('/')[0]}/{name}"
    assert all(field["name"] and field["description"] for field in imported.blueprint.inputs.values())


@pytest.mark.parametrize("name", ENGLISH)
def test_both_languages_do_the_same(name: str) -> None:
    assert logic(content(name)) == logic(content(f"{name}_ja"))
    texts = (FOLDER / f"{name}_ja.yaml").read_text()
    assert re.search("[ぁ-ん]", texts)


@pytest.mark.parametrize(("readme", "end"), [("README.md", ""), ("README.ja.md", "_ja")])
def test_the_readme_offers_each_blueprint(readme: str, end: str) -> None:
    text = (ROOT / readme).read_text()
    for name in ENGLISH:
        address = f"https://github.com/{REPOSITORY}/blob/main/blueprints/automation/broute/{name}{end}.yaml"
        link = address.replace(":", "%3A").replace("/", "%2F")
        assert f"https://my.home-assistant.io/redirect/blueprint_import/?blueprint_url={link}" in text


async def test_a_person_can_choose_the_right_entities_only(hass: HomeAssistant) -> None:
    with dongle(scenarios.SOLAR) as sim:
        entry = entry_of(sim)
        await set_up(hass, entry)
        await fill_in(hass, entry, ONE_PRICE)
        await elapse(hass, 60)
        entities = er.async_entries_for_config_entry(er.async_get(hass), entry.entry_id)
        offered = {}
        for name in ENGLISH:
            for key, field in content(name)["blueprint"]["input"].items():
                for wanted in field["selector"].get("entity", {}).get("filter", []):
                    if wanted.get("integration") == entry.domain:
                        offered[key] = {
                            entity.translation_key
                            for entity in entities
                            if (entity.domain, entity.original_device_class)
                            == (wanted["domain"], wanted["device_class"])
                            and entity.unit_of_measurement in UNITS[wanted.get("unit_of_measurement")]
                            and not (entity.disabled and key != "demand")
                        }
    assert offered == {
        "current_r": {"current", "current_r", "current_t"},
        "current_t": {"current", "current_r", "current_t"},
        "power": {"power"},
        "energy_in": {"energy_in", "energy_out", "period_energy"},
        "energy_out": {"energy_in", "energy_out", "period_energy"},
        "demand": {"running_demand", "period_peak", "contract_demand"},
    }


@pytest.mark.parametrize(
    ("method", "before", "after", "ampere"),
    [
        ("sum", (15, 20.9), (15.5, 20.5), 36),
        ("sum", (-9, 35.9), (-9, 36), 36),
        ("sum", (35.9, STATE_UNAVAILABLE), (36, STATE_UNAVAILABLE), 36),
        ("max", (35.9, 35.9), (35.9, 36.1), 36.1),
        ("max", (STATE_UNAVAILABLE, STATE_UNAVAILABLE), (36.1, 0), 36.1),
    ],
)
async def test_peak_warning(
    hass: HomeAssistant,
    language: str,
    method: str,
    before: tuple[object, ...],
    after: tuple[object, ...],
    ampere: float,
) -> None:
    draw(hass, *before)
    sent = await use(hass, f"peak_warning{language}", **CURRENTS, method=method, phones=[PHONE])
    await asyncio.sleep(3)
    assert not sent
    draw(hass, *after)
    await asyncio.sleep(3)
    (call,) = sent
    assert call.data["entity_id"] == [PHONE]
    assert re.findall(r"\d+(?:\.\d+)?", call.data["message"]) == [f"{ampere:.1f}", "40"]
    assert not notes(hass)


async def test_peak_warning_for_one_current_without_a_phone(hass: HomeAssistant, language: str) -> None:
    draw(hass, 10)
    sent = await use(hass, f"peak_warning{language}", current_r="sensor.current_r", ampere=30, share=100)
    draw(hass, 30)
    await asyncio.sleep(3)
    assert not sent
    assert notes(hass).keys() == {"broute_peak_warning"}


async def test_peak_warning_leaves_in_peace_and_does_what_else_is_to_be_done(
    hass: HomeAssistant, language: str
) -> None:
    off = async_mock_service(hass, "switch", "turn_off")
    heater = {"action": "switch.turn_off", "target": {"entity_id": "switch.heater"}}
    sent = await use(hass, f"peak_warning{language}", **CURRENTS, phones=[PHONE], pause=15, actions=[heater])
    for _ in range(7):
        draw(hass, 20, 20)
        await asyncio.sleep(60)
        draw(hass, 10, 10)
        await asyncio.sleep(60)
    assert len(sent) == len(off) == 1
    await asyncio.sleep(63)
    draw(hass, 20, 20)
    await asyncio.sleep(3)
    assert len(sent) == len(off) == 2


async def test_solar_surplus(hass: HomeAssistant, language: str) -> None:
    turned = async_mock_service(hass, "homeassistant", "turn_on"), async_mock_service(hass, "homeassistant", "turn_off")
    target = {"entity_id": ["switch.heater"]}

    async def feed_in(watts: int, minutes: float) -> tuple[int, int]:
        hass.states.async_set("sensor.power", str(-watts))
        await asyncio.sleep(minutes * 60)
        return len(turned[0]), len(turned[1])

    await feed_in(0, 0)
    await use(hass, f"solar_surplus{language}", power="sensor.power", devices=target)
    assert await feed_in(900, 4) == (0, 0)
    assert await feed_in(700, 1) == (0, 0)
    assert await feed_in(900, 4.9) == (0, 0)
    assert await feed_in(950, 0.2) == (1, 0)
    assert turned[0][0].data["entity_id"] == ["switch.heater"]
    assert await feed_in(100, 30) == (1, 0)
    assert await feed_in(-90, 30) == (1, 0)
    assert await feed_in(-2000, 3) == (1, 0)
    assert await feed_in(0, 3) == (1, 0)
    assert await feed_in(-200, 5.1) == (1, 1)
    assert turned[1][0].data["entity_id"] == ["switch.heater"]
    hass.states.async_set("sensor.power", STATE_UNAVAILABLE)
    await asyncio.sleep(600)
    assert await feed_in(900, 5.1) == (2, 1)


def count(hass: HomeAssistant, sensor: str, days: dict[datetime, float]) -> None:
    """Let a counter have moved by so much on each of these days."""
    total, rows = 0.0, []
    for day, energy in sorted(days.items()):
        for hour in range(24):
            total += energy / 24
            rows.append(StatisticData(start=day + timedelta(hours=hour), state=total, sum=total))
    metadata = StatisticMetaData(
        mean_type=StatisticMeanType.NONE,
        has_sum=True,
        name=None,
        source="recorder",
        statistic_id=sensor,
        unit_class="energy",
        unit_of_measurement="kWh",
    )
    async_import_statistics(hass, metadata, rows)


@pytest.mark.parametrize(
    ("days", "price", "has_export", "numbers"),
    [
        ({1: 12.0, 2: 10.5}, 31.0, True, ["12.0", "372", "+1.5", "3.0"]),
        ({1: 9.0, 2: 10.5}, 0, False, ["9.0", "-1.5"]),
        ({1: 9.0}, 0, False, ["9.0"]),
        ({2: 9.0}, 31.0, True, []),
        ({}, 31.0, True, []),
    ],
)
async def test_daily_report(
    recorder_mock: Recorder,  # noqa: ARG001  # it has the statistics
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    language: str,
    days: dict[int, float],
    price: float,
    has_export: bool,  # noqa: FBT001  # a parameter of the test
    numbers: list[str],
) -> None:
    await hass.config.async_set_time_zone(JST.key)
    midnight = (dt_util.now() + timedelta(days=1000)).replace(hour=0, minute=0, second=0, microsecond=0)
    freezer.move_to(midnight + timedelta(hours=6, minutes=59))
    # The first row of all has its whole sum as its change, so there is a day before.
    known = {midnight - timedelta(days=3): 1.0} if days else {}
    count(hass, "sensor.in", known | {midnight - timedelta(days=ago): energy for ago, energy in days.items()})
    count(hass, "sensor.out", {midnight - timedelta(days=ago): 3.0 for ago in days})
    await async_wait_recording_done(hass)
    exports = {"energy_out": ["sensor.out"]} if has_export else {}
    sent = await use(hass, f"daily_report{language}", energy_in="sensor.in", price=price, phones=[PHONE], **exports)
    freezer.move_to(midnight + timedelta(hours=7))
    async_fire_time_changed(hass)
    await hass.async_block_till_done()
    (call,) = sent
    assert re.findall(r"[-+]?\d+(?:\.\d+)?", call.data["message"]) == numbers
    assert call.data["message"].strip() == call.data["message"] != ""
    # Nobody waits for tomorrow's report.
    await hass.services.async_call(AUTOMATION, "turn_off", {"entity_id": "all"}, blocking=True)


def demand(hass: HomeAssistant, kilowatts: object) -> None:
    hass.states.async_set("sensor.demand", str(kilowatts))


async def test_demand_warning(hass: HomeAssistant, language: str) -> None:
    await hass.config.async_set_time_zone(JST.key)
    off = async_mock_service(hass, "switch", "turn_off")
    heater = {"action": "switch.turn_off", "target": {"entity_id": "switch.heater"}}
    begin = dt_util.now().replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)

    async def at(minute: float) -> int:
        await asyncio.sleep((begin + timedelta(minutes=minute) - dt_util.now()).total_seconds())
        return len(sent)

    demand(hass, 4.1)
    sent = await use(hass, f"demand_warning{language}", demand="sensor.demand", phones=[PHONE], actions=[heater])
    demand(hass, 4)
    sent.clear()
    off.clear()
    assert await at(1) == 0
    # A kettle in the first minutes.
    demand(hass, 9)
    assert await at(2.9) == 0
    demand(hass, 3.9)
    assert await at(12.5) == 0
    demand(hass, STATE_UNAVAILABLE)
    assert await at(14.5) == 0
    demand(hass, 4.52)
    # Two readings later at the latest, with a quarter of an hour left.
    assert await at(15.5) == 1
    (call,) = sent
    numbers = re.findall(r"\d+(?:[.:]\d+)?", call.data["message"])
    # 0.52 kW over half an hour are 1,040 W over a quarter.
    assert {"4.5", f"{begin:%H}:30", "4", "1040"} <= set(numbers)
    assert len(off) == 1
    assert not notes(hass)
    # Once is enough, but the next half-hour is another one, though the demand never fell.
    assert await at(32.9) == 1
    assert await at(33.1) == 2
    demand(hass, 3)
    assert await at(87) == 2
    # When it is too late to change anything.
    assert await at(88.5) == 2
    demand(hass, 4.1)
    assert await at(92.9) == 2
    assert await at(93.1) == 3
    await hass.services.async_call(AUTOMATION, "turn_off", {"entity_id": "all"}, blocking=True)


def test_bill_report(tmp_path: Path) -> None:
    async def story() -> None:
        scenario = replace(scenarios.SOLAR, meter=MeterSettings(solar=True, history_days=65))
        async with house(tmp_path, scenario) as (home, sim):
            await home.start()
            hass = home.hass
            folder = Path(hass.config.path("blueprints", AUTOMATION))
            await hass.async_add_executor_job(lambda: folder.mkdir(parents=True))
            (folder / "broute").symlink_to(FOLDER)
            await hass.config.async_set_time_zone(JST.key)
            contract = {**CONTRACT, "energy": "one", "basic": "none", "billing_day": 24}
            await fill_in(hass, home.entry, {**ONE_PRICE, "contract": contract})
            sent = async_mock_service(hass, "notify", "send_message")
            inputs = {"meter": home.entry.entry_id, "time": "00:20:00", "phones": [PHONE]}
            both = [
                {"id": name, "alias": name, "use_blueprint": {"path": f"broute/{name}.yaml", "input": inputs}}
                for name in ("bill_report", "bill_report_ja")
            ]
            assert await async_setup_component(hass, AUTOMATION, {AUTOMATION: both})
            midnight = BEFORE_MIDNIGHT.replace(hour=0) + DAY
            await elapse(hass, (midnight - dt_util.now()).total_seconds() + 25 * MINUTE)
            counter = sim.meter.energy_in
            used = counter(midnight) - counter(midnight.replace(month=10))
            before = counter(midnight.replace(month=10)) - counter(midnight.replace(month=9))
            assert len(sent) == 2
            for call in sent:
                message = call.data["message"]
                assert message.startswith("2026-10-24")
                assert "2026-11-23" in message
                assert f"{int(31 * used):,}" in message
                assert f"{int(31 * used) - int(31 * before):+,}" in message
                assert f"{used:.1f}" in message
                assert message.strip() == message
            await hass.services.async_call(AUTOMATION, "turn_off", {"entity_id": "all"}, blocking=True)

    live(story, BEFORE_MIDNIGHT)


PRICES = [12, 11, 10, 9, 8, 8, 9, 10, 11, 12, 13, 14, 15, 15, 14, 13, 16, 20, 22, 21, 18, 16, 14, 13]


@pytest.mark.parametrize("rows", ["numbers", "values", "prices"])
async def test_cheapest_hours_of_today(hass: HomeAssistant, language: str, rows: str) -> None:
    await hass.config.async_set_time_zone(JST.key)
    turned = async_mock_service(hass, "homeassistant", "turn_on"), async_mock_service(hass, "homeassistant", "turn_off")
    lists = {
        "numbers": PRICES,
        "values": [{"start": str(hour), "value": price} for hour, price in enumerate(PRICES)],
        "prices": [{"start": str(hour), "price": price} for hour, price in enumerate(PRICES)],
    }

    async def costs(price: object, today: object = lists[rows]) -> tuple[int, int]:
        hass.states.async_set("sensor.price", str(price), {"today": today})
        await elapse(hass, 1)
        return len(turned[0]), len(turned[1])

    await costs(12)
    target = {"entity_id": ["switch.heater"]}
    await use(hass, f"cheapest_hours{language}", price="sensor.price", attribute="today", devices=target, hours=4)
    turned[0].clear()
    turned[1].clear()
    assert await costs(9) == (1, 0)
    assert turned[0][0].data["entity_id"] == ["switch.heater"]
    assert await costs(10) == (1, 1)
    assert await costs(8) == (2, 1)
    # Unknown for a moment is nothing; at the next half-hour, nobody knows that it is cheap.
    assert await costs(STATE_UNAVAILABLE) == (2, 1)
    await elapse(hass, 1900)
    on, off = len(turned[0]), len(turned[1])
    assert on == 2
    assert off >= 2
    # Without a list, nothing is cheap.
    assert await costs(7, None) == (2, off + 1)
    assert await costs(6, []) == (2, off + 2)
    await hass.services.async_call(AUTOMATION, "turn_off", {"entity_id": "all"}, blocking=True)


async def test_cheapest_hours_of_what_was_recorded(
    recorder_mock: Recorder,  # noqa: ARG001  # it has the statistics
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    language: str,
) -> None:
    midnight = (dt_util.now() + timedelta(days=1000)).replace(hour=0, minute=0, second=0, microsecond=0)
    freezer.move_to(midnight)
    metadata = StatisticMetaData(
        mean_type=StatisticMeanType.ARITHMETIC,
        has_sum=False,
        name=None,
        source="recorder",
        statistic_id="sensor.price",
        unit_class=None,
        unit_of_measurement="JPY/kWh",
    )
    means = [
        StatisticData(start=midnight - timedelta(days=day, hours=24 - hour), mean=price, min=price, max=price)
        for day in range(7)
        for hour, price in enumerate(PRICES)
    ]
    async_import_statistics(hass, metadata, sorted(means, key=lambda row: row["start"]))
    await async_wait_recording_done(hass)
    hass.states.async_set("sensor.price", "12")
    turned = async_mock_service(hass, "homeassistant", "turn_on"), async_mock_service(hass, "homeassistant", "turn_off")
    target = {"entity_id": ["switch.heater"]}
    await use(hass, f"cheapest_hours{language}", price="sensor.price", devices=target, hours=4)
    for price, on, off in ((9, 1, 0), (9.5, 1, 1), (8, 2, 1)):
        hass.states.async_set("sensor.price", str(price))
        await hass.async_block_till_done()
        await async_wait_recording_done(hass)
        assert (len(turned[0]), len(turned[1])) == (on, off)
    await hass.services.async_call(AUTOMATION, "turn_off", {"entity_id": "all"}, blocking=True)
