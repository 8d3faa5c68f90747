"""The demo without a person: every step is compared with what the simulated meter says."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial
from itertools import pairwise
import json
from pathlib import Path
from zoneinfo import ZoneInfo

import serialx

from tests.simulator.echonet import Esv, Frame
from tests.simulator.scenarios import PASSWORD, ROUTE_B_ID

from .client import Client, Json
from .home_assistant import PROGRAM, HomeAssistant, complaints, home_assistant, parse_log
from .integration import DOMAIN, Sensor, add_meter, find_entry, find_sensors
from .process import Found, NotYet, Process, StepError, until
from .simulator import LAN, Simulator, Truth, simulator
from .steps import step

type Start = Callable[[], AbstractAsyncContextManager[HomeAssistant]]

SPEED = 20.0
"""A scan takes half a second instead of ten, and an answer a tenth of one."""

REPLY = timedelta(seconds=15)
"""The longest time between the meter's look at its counters and the new state in Home Assistant."""

DAYS = 30
HOURS = 24 * DAYS
LAST_MOMENTS = 3
"""Datagrams."""
STOPS = 2
"""Of Home Assistant, before its database is lost."""
JST = ZoneInfo("Asia/Tokyo")
HOUR = timedelta(hours=1)
# Each of these is only against hanging: a machine four times as slow keeps it.
QUIET = 3.0
"""Seconds; while it imports the history, a meter of the network is asked many times in each of them."""
SET_UP = 120.0
"""Seconds for the config flow; ten are normal."""
AGREEMENT = 240.0
"""Seconds until all sensors have a new value; a poll is due within sixty."""
IMPORT = 240.0
"""Seconds until a month of history is there; ten are normal over a radio of this speed."""
STEP = Decimal("0.1")
"""kWh, of the meter's counters."""

POLL = timedelta(seconds=60)
PERIOD = timedelta(minutes=5)

ENERGIES = ("energy_in", "energy_out")
UNITS = {"power": "W", "current": "A", "current_r": "A", "current_t": "A", "energy_in": "kWh", "energy_out": "kWh"}


def answers(port: str) -> Mapping[str, object]:
    """Return what a person types and chooses in the config flow."""
    credentials = {} if port.startswith("echonet:") else {"route_b_id": ROUTE_B_ID, "password": PASSWORD}
    return {"device": port, **credentials, "energy": True, "costs": False}


def difference(sensors: Mapping[str, Sensor], early: Truth, late: Truth) -> str | None:
    """Return how the sensors differ from a meter whose registers moved between two times."""
    if missing := UNITS.keys() - sensors.keys():
        return f"no sensor for {sorted(missing)}"
    for key, unit in UNITS.items():
        if sensors[key].unit != unit:
            return f"{key} is in {sensors[key].unit}, not in {unit}"
        if sensors[key].state in {"unknown", "unavailable"}:
            return f"{key} is {sensors[key].state}"
    for key in ENERGIES:
        lowest, value, highest = getattr(early, key), Decimal(sensors[key].state), getattr(late, key)
        if not lowest <= value <= highest:
            return f"{key} is {value} kWh, but the meter says {lowest} to {highest}"
    if int(sensors["power"].state) not in {early.power, late.power}:
        return f"power is {sensors['power'].state} W, but the meter says {early.power} or {late.power}"
    return None


async def agree(client: Client, meter: Simulator, *, since: datetime) -> str:
    """Wait until all sensors have a value newer than `since` that the meter had, too; return them as a text."""

    async def look() -> Found[str] | NotYet:
        sensors = await find_sensors(client)
        if "power" not in sensors or sensors["power"].reported < since:
            return NotYet(f"no new value since {since:%H:%M:%S}")
        reported = sensors["power"].reported
        if reason := difference(sensors, await meter.truth(reported - REPLY), await meter.truth(reported)):
            return NotYet(reason)
        return Found(", ".join(f"{sensors[key].state} {unit}" for key, unit in UNITS.items()))

    return await until(look, within=AGREEMENT, pause=0.3)


async def find_counters(client: Client) -> Mapping[str, Sensor]:
    """Return the sensors of both directions, of which each check needs both."""
    sensors = {key: sensor for key, sensor in (await find_sensors(client)).items() if key in ENERGIES}
    if sensors.keys() != set(ENERGIES):
        raise StepError.unexpected("instead of two counters there are", sorted(sensors))
    return sensors


async def chosen(client: Client) -> None:
    """See that the config flow has made the meter the one grid connection of the Energy dashboard."""
    sensors = await find_sensors(client)
    wanted = [sensors[key].entity_id for key in ("energy_in", "energy_out", "power")]
    sources = (await client.command("energy/get_prefs"))["energy_sources"]
    found = [[source[key] for key in ("stat_energy_from", "stat_energy_to", "stat_rate")] for source in sources]
    if found != [wanted]:
        raise StepError.unexpected("the Energy dashboard shows", sources)


async def accepted(client: Client, *, is_compiled: bool) -> None:
    """See that the recorder and the Energy dashboard take the energy sensors."""
    wanted = {sensor.entity_id for sensor in (await find_counters(client)).values()}
    rows = await client.command("recorder/list_statistic_ids", statistic_type="sum")
    offered = {row["statistic_id"]: row for row in rows}
    for statistic_id in wanted:
        row = offered.get(statistic_id)
        if row is None or row["unit_class"] != "energy" or row["statistics_unit_of_measurement"] != "kWh":
            raise StepError.unexpected(f"the recorder does not make sums of {statistic_id}", row)
    sources = (await client.command("energy/validate"))["energy_sources"]
    if len(sources) != 1:
        raise StepError.unexpected("energy/validate looks at something else", sources)
    issues = [issue for source in sources for issue in source]
    # Before Home Assistant's first compile, within five minutes, every sensor of the world has this one.
    tolerated = set() if is_compiled else {"statistics_not_defined"}
    if worse := [issue for issue in issues if issue["type"] not in tolerated]:
        raise StepError.unexpected("energy/validate complains", worse)
    complaints = await client.command("recorder/validate_statistics")
    if ours := {statistic_id: complaints[statistic_id] for statistic_id in wanted & complaints.keys()}:
        raise StepError.unexpected("recorder/validate_statistics complains", ours)


def wrong_bar(shown: Mapping[datetime, Decimal], true: Mapping[datetime, Decimal]) -> str | None:
    """Return how the bars differ from what the meter counted in these hours, the first difference only."""
    for hour, energy in sorted(true.items()):
        if hour not in shown or abs(shown[hour] - energy) > STEP / 1000:
            return f"{hour:%m-%d %H:%M} is {shown.get(hour)}, but the meter says {energy}"
    return None


async def remembered(client: Client, meter: Simulator) -> str:
    """Wait until each bar of a month is what the meter counted; return how many were compared."""
    sensors = await find_counters(client)
    # Home Assistant may not have compiled the hour that is just over.
    last = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - HOUR
    counters = [(hour, await meter.truth(hour)) for hour in (last - back * HOUR for back in range(HOURS, -1, -1))]
    true = {
        key: {hour: getattr(end, key) - getattr(begin, key) for (hour, begin), (_, end) in pairwise(counters)}
        for key in sensors
    }
    for key, energies in true.items():
        if len(energies) != HOURS or not sum(energies.values()):
            raise StepError(f"the meter has nothing to compare {key} with: {len(energies)} hours")

    async def look() -> Found[int] | NotYet:
        rows: Mapping[str, list[Json]] = await client.command(
            "recorder/statistics_during_period",
            start_time=(last - HOURS * HOUR).isoformat(),
            statistic_ids=[sensor.entity_id for sensor in sensors.values()],
            period="hour",
            units={"energy": "kWh"},
            types=["change"],
        )
        compared = 0
        for key, sensor in sensors.items():
            shown = {
                datetime.fromtimestamp(row["start"] / 1000, UTC): Decimal(str(row["change"]))
                for row in rows.get(sensor.entity_id, [])
            }
            if reason := wrong_bar(shown, true[key]):
                return NotYet(f"{key} of {reason}")
            compared += len(shown.keys() & true[key].keys())
        return Found(compared)

    compared = await until(look, within=IMPORT, pause=0.5)
    if compared != HOURS * len(ENERGIES):
        raise StepError(f"only {compared} bars were compared")
    return f"{compared} bars"


async def compiled(client: Client, meter: Simulator) -> str:
    """Wait for Home Assistant's own rows of the present five minutes, and compare them with the meter."""
    sensors, since = await find_counters(client), datetime.now(UTC)

    async def look() -> Found[Mapping[str, Json]] | NotYet:
        rows: Mapping[str, list[Json]] = await client.command(
            "recorder/statistics_during_period",
            start_time=(since - timedelta(hours=1)).isoformat(),
            statistic_ids=[sensor.entity_id for sensor in sensors.values()],
            period="5minute",
            units={"energy": "kWh"},
            types=["state", "sum"],
        )
        # Those from before are ours: they are what Home Assistant counts on from.
        newest = {key: rows[sensor.entity_id][-1] for key, sensor in sensors.items() if rows.get(sensor.entity_id)}
        own = {key: row for key, row in newest.items() if row["end"] / 1000 > since.timestamp()}
        return Found(own) if own.keys() == sensors.keys() else NotYet(f"there are own rows of {sorted(own)}")

    rows = await until(look, within=(2 * PERIOD).total_seconds(), pause=2)
    texts = []
    for key, row in rows.items():
        end = datetime.fromtimestamp(row["end"] / 1000, UTC)
        # The row holds the last reading before its end, so at most one poll old.
        early, late = await meter.truth(end - POLL - REPLY), await meter.truth(end)
        value, least, most = Decimal(str(row["state"])), getattr(early, key), getattr(late, key)
        if not least <= value <= most:
            raise StepError(f"the row of {key} says {value}, but the meter {least} to {most}")
        texts.append(f"{key} {value} kWh")
    return f"until {end.astimezone():%H:%M}: {', '.join(texts)}"


async def released(meter: Simulator) -> None:
    """See that a port can be opened exclusively, and that a meter of the network is asked nothing more."""
    if meter.port.startswith("echonet:"):
        before = len((await meter.order("record"))["datagrams_from_client"])
        await asyncio.sleep(QUIET)
        if more := len((await meter.order("record"))["datagrams_from_client"]) - before:
            raise StepError(f"the meter was asked {more} times more")
        return
    _, writer = await serialx.open_serial_connection(meter.port, baudrate=115200, exclusive=True)
    writer.close()
    await writer.wait_closed()


def quiet(hass: HomeAssistant) -> None:
    """See that Home Assistant's log has nothing against us, and no secret."""
    records = parse_log(hass.log)
    if not any(record.logger.startswith(f"custom_components.{DOMAIN}") for record in records):
        raise StepError(f"there is nothing of ours among {len(records)} entries", hass.process.log)
    if found := complaints(records):
        raise StepError(f"{len(found)} in the log, the first: {found[0].level} {found[0].text}", hass.process.log)
    discreet("the log", hass.log)


def discreet(where: str, text: str) -> None:
    """See that a text has no credential in it."""
    for secret in (ROUTE_B_ID, PASSWORD):
        if secret.lower() in text.lower():
            raise StepError(f"{where} has a credential in it: {secret}")


async def nameless(client: Client) -> None:
    """See that no id or name is made of a credential."""
    shown = {
        "the entity registry": await client.command("config/entity_registry/list"),
        "the device registry": await client.command("config/device_registry/list"),
        "a state": await client.command("get_states"),
        "the config entry": await find_entry(client),
    }
    (entity_id,) = [sensor.entity_id for key, sensor in (await find_sensors(client)).items() if key == "power"]
    own = (entity_id, DOMAIN, entity_id, DOMAIN)
    for (where, content), name in zip(shown.items(), own, strict=True):
        if name not in (text := json.dumps(content)):
            raise StepError(f"{where} has nothing of ours")
        discreet(where, text)


def days_asked_for(datagrams: Iterable[str], today: date) -> set[date]:
    """Return the days whose history the meter was told to show (APPX E5)."""
    frames = [Frame.decode(bytes.fromhex(text)) for text in datagrams]
    chosen = [
        edt[0] for frame in frames for code, edt in frame.properties if frame.service == Esv.SET_C and code == 0xE5
    ]
    return {today - timedelta(days=back) for back in chosen}


def days_told(datagrams: Iterable[str], today: date) -> set[date]:
    """Return the days whose history the meter has told in both directions (APPX E2, E4)."""
    told: dict[int, set[date]] = {0xE2: set(), 0xE4: set()}
    for frame in (Frame.decode(bytes.fromhex(text)) for text in datagrams):
        for code, edt in frame.properties:
            if frame.service == Esv.GET_RES and code in told:
                told[code].add(today - timedelta(days=int.from_bytes(edt[:2])))
    return told[0xE2] & told[0xE4]


def lose_database(folder: Path) -> None:
    """Delete the recorder's database of a Home Assistant that does not run."""
    parts = sorted((folder / "config").glob("home-assistant_v2.db*"))
    if not parts:
        raise StepError("there is no database to delete")
    for part in parts:
        part.unlink()


def ended_well(process: Process) -> None:
    """See that a process ended as it should, and left nothing behind."""
    if process.fault:
        raise StepError(f"{process.name}: {process.fault}", process.log)


async def check(folder: Path, *, lang: str, module: str, with_statistics: bool, program: Path = PROGRAM) -> None:
    """Let a new Home Assistant read the meter, then a second one in the same folder, and a third without the database.

    Raises:
        StepError: something is not as it should be.

    """
    async with AsyncExitStack() as stack:
        with step("the simulator offers a meter" if module == LAN else "the simulator offers a dongle") as details:
            meter = await stack.enter_async_context(simulator(folder, module=module, speed=SPEED))
            details.append(module)
        start = partial(home_assistant, folder, lang=lang, program=program, interface="lo" if module == LAN else None)
        await _first_start(start, meter, with_statistics=with_statistics)
        await _second_start(start, meter)
        await _third_start(start, meter, folder)
        if module != LAN:
            with step("the module's flash memory was not written to"):
                await _unwritten(meter)
        with step("the simulator ends"):
            await stack.aclose()
            ended_well(meter.process)


async def _first_start(start: Start, meter: Simulator, *, with_statistics: bool) -> None:
    async with AsyncExitStack() as stack:
        with step("Home Assistant starts and is onboarded") as details:
            hass = await stack.enter_async_context(start())
            details.append(await hass.version())
        client = hass.client
        with step("the config flow sets up the meter"):
            begin = datetime.now(UTC)
            entry_id = await hass.process.unless_ended(add_meter(client, answers(meter.port)), within=SET_UP)
        with step("the sensors agree with the meter") as details:
            details.append(await agree(client, meter, since=begin))
        with step("the Energy dashboard has got the meter"):
            await chosen(client)
        with step("the recorder and the Energy dashboard accept the sensors"):
            await accepted(client, is_compiled=False)
        with step("a month of bars before the set-up agrees with the meter") as details:
            details.append(await remembered(client, meter))
        if with_statistics:
            with step("Home Assistant's own statistics agree with the meter") as details:
                details.append(await compiled(client, meter))
                await accepted(client, is_compiled=True)
        with step("no id or name has a credential in it"):
            await nameless(client)
        with step("an entry that is switched off releases the port"):
            await client.command("config_entries/disable", entry_id=entry_id, disabled_by="user")
            await released(meter)
        with step("switched on again, the sensors agree with the meter"):
            begin = datetime.now(UTC)
            await client.command("config_entries/disable", entry_id=entry_id, disabled_by=None)
            await agree(client, meter, since=begin)
        await _end(stack, hass, meter)


async def _second_start(start: Start, meter: Simulator) -> None:
    async with AsyncExitStack() as stack:
        with step("Home Assistant starts again"):
            begin = datetime.now(UTC)
            hass = await stack.enter_async_context(start())
        with step("the sensors agree with the meter") as details:
            details.append(await agree(hass.client, meter, since=begin))
        with step("there is no step in the bars"):
            await remembered(hass.client, meter)
        with step("the Energy dashboard has the meter still, and once"):
            await chosen(hass.client)
        await _end(stack, hass, meter)


async def _third_start(start: Start, meter: Simulator, folder: Path) -> None:
    """Lose the recorder's database: what the meter has told before is kept elsewhere, and comes back from there."""
    record, today = await meter.order("record"), datetime.now(JST).date()
    # What was told while Home Assistant was being stopped may not have been taken, and just after midnight a meter does
    # not have all of yesterday yet.
    told = record["datagrams_to_client"][:-LAST_MOMENTS]
    known = {day for day in days_told(told, today) if day < today - timedelta(days=1)}
    before = len(record["datagrams_from_client"])
    if len(known) < DAYS:
        raise StepError(f"the meter has told only {len(known)} days, which is no history to lose")
    async with AsyncExitStack() as stack:
        with step("Home Assistant starts without the database it had"):
            lose_database(folder)
            hass = await stack.enter_async_context(start())
        with step("a month of bars is back and agrees with the meter") as details:
            details.append(await remembered(hass.client, meter))
        with step("the meter was not asked again for what it had told") as details:
            asked = (await meter.order("record"))["datagrams_from_client"][before:]
            if not asked:
                raise StepError("the meter was not asked for anything: is it the record?")
            again = known & days_asked_for(asked, datetime.now(JST).date())
            if len(again) > STOPS:  # At each stop, one answer may come that nobody waits for any more.
                raise StepError(f"it was asked for {len(again)} days again, among them {max(again)}")
            details.append(f"{len(known)} days")
        with step("the Energy dashboard has the meter still, and once"):
            await chosen(hass.client)
        await _end(stack, hass, meter)


async def _end(stack: AsyncExitStack, hass: HomeAssistant, meter: Simulator) -> None:
    with step("Home Assistant ends and releases the port"):
        await stack.aclose()
        ended_well(hass.process)
        await released(meter)
    with step("its log has no warning or error of ours, and no credential"):
        quiet(hass)


async def _unwritten(meter: Simulator) -> None:
    if writes := (await meter.order("record"))["flash_writes"]:
        raise StepError.unexpected("it was", writes)
