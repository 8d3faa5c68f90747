"""The ledger on disk: what was kept is there again, whatever happened to a file."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
import errno
import json
from pathlib import Path
import resource
import signal
from tempfile import TemporaryDirectory
from typing import Any

from homeassistant.core import HomeAssistant
from hypothesis import given, settings, strategies as st
import pytest

from custom_components.broute.energy.ledger import (
    DIRECTIONS,
    ENERGY_IN,
    ENERGY_OUT,
    UNKNOWN,
    Continued,
    Ledger,
    Sample,
    Scale,
    Source,
    Tenure,
)
from custom_components.broute.energy.statistics import HOUR
from custom_components.broute.energy.store import LedgerStore

from .ledgers import BEGIN, TENTH, A, B, fill, ledger_of, moment, series

ENTRY = "01JBROUTE"
HALF = 1800


@asynccontextmanager
async def home(folder: Path) -> AsyncIterator[HomeAssistant]:
    """Yield a Home Assistant with a folder of its own, as small as can be."""
    (folder / ".storage").mkdir(exist_ok=True)
    hass = HomeAssistant(str(folder))
    try:
        yield hass
    finally:
        await hass.async_stop(force=True)


def in_a_home(folder: Path, story: Callable[[HomeAssistant], Coroutine[Any, Any, None]]) -> None:
    async def live() -> None:
        async with home(folder) as hass:
            await story(hass)

    asyncio.run(live())


def kept(folder: Path, ledger: Ledger, verified: dict[str, tuple[int, float]] | None = None) -> None:
    """Write a ledger."""

    async def story(hass: HomeAssistant) -> None:
        await LedgerStore(hass, ENTRY, ledger, verified or {}).async_save()

    in_a_home(folder, story)


def loaded(folder: Path) -> LedgerStore:
    """Read what was written."""
    found = []

    async def story(hass: HomeAssistant) -> None:
        store = LedgerStore(hass, ENTRY)
        await store.async_load()
        found.append(store)

    in_a_home(folder, story)
    return found[0]


def files(folder: Path) -> dict[str, Path]:
    return {path.name.removeprefix(f"broute.{ENTRY}."): path for path in (folder / ".storage").iterdir()}


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what a person was told since the last time."""
    found = [
        record.getMessage()
        for record in caplog.records
        if record.levelname == "WARNING" and record.name.startswith("custom_components.broute")
    ]
    caplog.clear()
    return found


def two_months() -> Ledger:
    ledger = ledger_of(series(BEGIN, 100, [5] * 200))
    ledger.hear(moment(BEGIN + 5), {ENERGY_IN: 100, ENERGY_OUT: 3}, TENTH)
    return ledger


def assert_same(one: Ledger, other: Ledger) -> None:
    assert one.tenures == other.tenures
    assert one.corrections == other.corrections
    assert one.months.keys() == other.months.keys()
    for place, month in one.months.items():
        same = other.months[place]
        assert (month.meter, month.name, month.scale, month.begin) == (same.meter, same.name, same.scale, same.begin)
        assert month.counts == same.counts


samples = st.none() | st.builds(
    Sample, st.integers(0, 2**32), st.dictionaries(st.sampled_from(DIRECTIONS), st.integers(0, 10**8))
)
scales = st.builds(Scale, st.sampled_from([100, 1_000, 10_000, 100_000, 10**7]), st.none() | st.integers(1, 10**8))
tenures = st.builds(
    Tenure,
    st.sampled_from([A, B]),
    scale=st.none() | scales,
    since=st.none() | st.integers(0, 2**32),
    first=samples,
    last=samples,
    oldest=st.dictionaries(st.sampled_from(DIRECTIONS), st.tuples(st.integers(0, 2**32), st.integers(0, 10**8))),
)
places = st.integers(-60 * 48, 60 * 48).map(lambda slot: BEGIN + slot * HALF)
told = st.tuples(st.sampled_from(DIRECTIONS), places, st.integers(0, 10**8), st.sampled_from(Source))
energies = st.dictionaries(
    st.integers(0, 10**6).map(lambda hour: hour * 3600), st.integers(-(10**9), 10**9), max_size=3
)


@settings(max_examples=30)
@given(
    st.lists(tenures, max_size=3),
    st.lists(told, max_size=30),
    st.tuples(energies, energies),
    st.dictionaries(st.sampled_from(DIRECTIONS), st.tuples(st.integers(0, 2**32), st.floats(0, 2**32))),
    scales,
)
def test_what_was_kept_is_there_again(
    terms: list[Tenure],
    counters: list[tuple[str, int, int, Source]],
    corrections: tuple[dict[int, int], dict[int, int]],
    verified: dict[str, tuple[int, float]],
    scale: Scale,
) -> None:
    ledger = Ledger()
    for meter in (B, A):
        ledger.begin(meter)
        for key, at, count, source in counters:
            if source is Source.NOBODY:
                ledger.put_none(key, moment(at), scale)
            else:
                ledger.put(key, moment(at), count, source, scale, now=moment(at))
    ledger.tenures = terms
    for key, hours in zip(DIRECTIONS, corrections, strict=True):
        for hour, energy in hours.items():
            ledger.correct(key, hour, energy)
    with TemporaryDirectory() as folder:
        kept(Path(folder), ledger, verified)
        assert not ledger.changed
        store = loaded(Path(folder))
        assert_same(store.ledger, ledger)
        assert store.verified == verified


def test_nothing_was_kept_yet(tmp_path: Path) -> None:
    store = loaded(tmp_path)
    assert_same(store.ledger, Ledger())
    assert store.verified == {}
    assert files(tmp_path) == {}


def test_a_person_can_read_it(tmp_path: Path) -> None:
    ledger = two_months()
    fill(ledger, {BEGIN + 86400 * 5: 1105}, source=Source.PUSH)
    fill(ledger, {BEGIN + 86400 * 6: 1106}, source=Source.POLL)
    ledger.put_none(ENERGY_IN, moment(BEGIN + 86400 * 4 + 10 * HALF), TENTH)
    ledger.correct(ENERGY_IN, BEGIN, 1_234_000)
    kept(tmp_path, ledger, {ENERGY_IN: (BEGIN, 12.5)})
    found = files(tmp_path)
    assert set(found) == {"ledger", f"{A}.2026-10", f"{A}.2026-11"}
    month = json.loads(found[f"{A}.2026-11"].read_text())
    assert (month["version"], month["key"]) == (1, f"broute.{ENTRY}.{A}.2026-11")
    data = month["data"]
    days = data["energy_in"].pop("days")
    assert data == {
        "meter": A,
        "month": "2026-11",
        "kwh_per_count": "0.1",
        "counts_to": 1_000_000,
        "energy_in": {
            "announced": {"2026-11-04T00:00:00+09:00": 1105},
            "polled": {"2026-11-05T00:00:00+09:00": 1106},
        },
    }
    assert list(days) == ["2026-11-01", "2026-11-02", "2026-11-03"]
    assert days["2026-11-01"] == [580 + 5 * slot for slot in range(48)]
    assert days["2026-11-03"] == [
        1060 + 5 * slot if slot <= 8 else "none" if slot == 10 else None for slot in range(48)
    ]
    assert json.loads(found["ledger"].read_text())["data"] == {
        "meters": [
            {
                "meter": A,
                "scale": {"kwh_per_count": "0.1", "counts_to": 1_000_000},
                "since": None,
                "first": {"time": "2026-10-30T00:00:05+09:00", "energy_in": 100, "energy_out": 3},
                "last": {"time": "2026-10-30T00:00:05+09:00", "energy_in": 100, "energy_out": 3},
                "oldest": {"energy_in": {"time": "2026-10-30T00:00:00+09:00", "count": 100}},
            }
        ],
        "corrections": {"energy_in": {"2026-10-30T00:00:00+09:00": "1.234"}, "energy_out": {}},
        "verified": {"energy_in": {"until": "2026-10-30T00:00:00+09:00", "run": 12.5}},
    }


def spoil(text: Callable[[str], str]) -> Callable[[Path], None]:
    """Return what changes the text of a file."""

    def do(path: Path) -> None:
        path.write_text(text(path.read_text()))

    return do


def alter(*place: str | int, value: object) -> Callable[[Path], None]:
    """Return what puts another value into a file."""

    def do(path: Path) -> None:
        stored = within = json.loads(path.read_text())
        for name in place[:-1]:
            within = within[name]
        within[place[-1]] = value
        path.write_text(json.dumps(stored))

    return do


def as_bytes(path: Path) -> None:
    path.write_bytes(b"\xff\xfe\x00")


def as_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


DAY = ("data", "energy_in", "days", "2026-11-01")
DAMAGES = {
    "empty": spoil(lambda _: ""),
    "cut off": spoil(lambda text: text[: len(text) // 2]),
    "no object": spoil(lambda _: "[]"),
    "no envelope": spoil(lambda _: "{}"),
    "a number": spoil(lambda _: "5"),
    "no text": as_bytes,
    "a folder": as_folder,
    "of another version": alter("version", value=2),
    "no version": alter("version", value=None),
    "no data": alter("data", value=None),
    "another meter": alter("data", "meter", value=B),
    "another month": alter("data", "month", value="2026-10"),
    "no month": alter("data", "month", value="never"),
    "month 13": alter("data", "month", value="2026-13"),
    "month as a number": alter("data", "month", value=202611),
    "no unit": alter("data", "kwh_per_count", value="much"),
    "unit of nothing": alter("data", "kwh_per_count", value=None),
    "digits as a word": alter("data", "counts_to", value="all"),
    "a direction that is none": alter("data", "energy_in", value=[]),
    "no days": alter("data", "energy_in", "days", value=None),
    "a short day": alter(*DAY, value=[1] * 47),
    "a long day": alter(*DAY, value=[1] * 49),
    "a day that is a number": alter(*DAY, value=5),
    "a day of another month": alter("data", "energy_in", "days", "2026-12-01", value=[1] * 48),
    "day 0": alter("data", "energy_in", "days", "2026-11-00", value=[1] * 48),
    "day 31 of thirty": alter("data", "energy_in", "days", "2026-11-31", value=[1] * 48),
    "a word instead of a count": alter(*DAY, value=["some"] * 48),
    "a fraction": alter(*DAY, value=[1.5] * 48),
    "below zero": alter(*DAY, value=[-1] * 48),
    "true": alter(*DAY, value=[True] * 48),
    "off the grid": alter("data", "energy_in", "polled", "2026-11-05T00:10:00+09:00", value=5),
    "of the month before": alter("data", "energy_in", "polled", "2026-10-31T23:30:00+09:00", value=5),
    "of the month after": alter("data", "energy_in", "announced", "2026-12-01T00:00:00+09:00", value=5),
    "polled below zero": alter("data", "energy_in", "polled", "2026-11-05T00:00:00+09:00", value=-1),
    "polled nothing": alter("data", "energy_in", "polled", value=None),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_a_damaged_month_is_set_aside(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: Callable[[Path], None]
) -> None:
    kept(tmp_path, two_months())
    damage(files(tmp_path)[f"{A}.2026-11"])
    caplog.clear()
    ledger = loaded(tmp_path).ledger
    assert set(ledger.months) == {(A, "2026-10")}
    assert [tenure.meter for tenure in ledger.tenures] == [A]
    (aside,) = (name for name in files(tmp_path) if "damaged" in name)
    assert aside.startswith(f"{A}.2026-11.damaged-")
    assert f"{A}.2026-11" not in files(tmp_path)
    (warning,) = warnings(caplog)
    assert aside in warning
    assert ledger.damaged == {(A, "2026-11")}
    # Told once; and what the meter tells again gets its old name.
    store = loaded(tmp_path)
    assert not warnings(caplog)
    assert store.ledger.damaged == {(A, "2026-11")}, "what it lost may have to be taken back from the recorder yet"
    fill(store.ledger, {BEGIN + 86400 * 3: 5})
    kept(tmp_path, store.ledger)
    assert {aside, f"{A}.2026-11"} < set(files(tmp_path))
    assert set(loaded(tmp_path).ledger.months) == {(A, "2026-10"), (A, "2026-11")}


@pytest.mark.parametrize(
    "damage",
    [
        spoil(lambda text: text[:-20]),
        alter("version", value=2),
        alter("data", "meters", value=5),
        alter("data", "meters", value=[{}]),
        alter("data", "meters", 0, "oldest", value={"energy_in": {"time": "2026-10-30T00:00:00+09:00", "count": "x"}}),
        alter("data", "corrections", value=[]),
        alter("data", "corrections", "energy_in", value={"some day": "1"}),
        alter("data", "corrections", "energy_in", value={"2026-10-30T00:00:00+09:00": "much"}),
        alter("data", "verified", value={"energy_in": {"until": "2026-10-30T00:00:00+09:00", "run": "x"}}),
        alter("data", "verified", value=None),
    ],
)
def test_without_the_index_the_months_tell_which_meters_there_were(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: Callable[[Path], None]
) -> None:
    ledger = two_months()
    ledger.begin(B)
    fill(ledger, {BEGIN + 86400 * 40: 5})
    kept(tmp_path, ledger)
    damage(files(tmp_path)["ledger"])
    caplog.clear()
    store = loaded(tmp_path)
    assert [tenure.meter for tenure in store.ledger.tenures] == [A, B]
    assert store.ledger.tenures[1].since == BEGIN + 200 * HALF
    assert store.ledger.months.keys() == ledger.months.keys()
    assert store.verified == {}
    assert len(warnings(caplog)) == 1


def test_of_another_entry(tmp_path: Path) -> None:
    ledger = two_months()
    kept(tmp_path, ledger)

    async def story(hass: HomeAssistant) -> None:
        other = LedgerStore(hass, "01JOTHER", two_months())
        await other.async_save()
        fresh = LedgerStore(hass, "01JTHIRD")
        await fresh.async_load()
        assert_same(fresh.ledger, Ledger())
        await other.async_remove()

    in_a_home(tmp_path, story)
    assert set(files(tmp_path)) == {"ledger", f"{A}.2026-10", f"{A}.2026-11"}
    assert_same(loaded(tmp_path).ledger, ledger)


def test_no_more_is_written_than_has_changed(tmp_path: Path) -> None:
    async def story(hass: HomeAssistant) -> None:
        store = LedgerStore(hass, ENTRY, two_months())
        await store.async_save()

        def written() -> dict[str, int]:
            return {name: path.stat().st_ino for name, path in files(tmp_path).items()}  # Another file each time.

        before = written()
        await store.async_save()
        assert written() == before
        fill(store.ledger, {BEGIN + 86400 * 10: 5000})
        await store.async_save()
        assert {name for name, number in written().items() if before[name] != number} == {f"{A}.2026-11"}
        before = written()
        store.ledger.correct(ENERGY_IN, BEGIN, 5)
        await store.async_save()
        assert {name for name, number in written().items() if before[name] != number} == {"ledger"}
        before = written()
        store.verified[ENERGY_IN] = (BEGIN, 1.0)
        await store.async_save()
        assert {name for name, number in written().items() if before[name] != number} == {"ledger"}

    in_a_home(tmp_path, story)


def test_what_did_not_get_to_the_disk_is_written_the_next_time(tmp_path: Path) -> None:
    """Let each write of more than some bytes fail, as on a full disk (root may write into any folder)."""
    ledger = two_months()

    async def story(hass: HomeAssistant) -> None:
        store = LedgerStore(hass, ENTRY, ledger)
        await store.async_save()
        before = {name: path.read_bytes() for name, path in files(tmp_path).items()}
        fill(ledger, {BEGIN + 86400 * 10: 5000})
        ledger.correct(ENERGY_IN, BEGIN, 5)
        hours = [(BEGIN - 23 * HOUR, 1_250_000, UNKNOWN)]
        ledger.begin_with(ENERGY_IN, Continued.of("sensor.former", BEGIN - 23 * HOUR, BEGIN, hours))
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        former = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
        try:
            with pytest.raises(OSError, match="File too large") as found:
                (tmp_path / "probe").write_bytes(bytes(200))
            assert found.value.errno == errno.EFBIG
            await store.async_save()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
            signal.signal(signal.SIGXFSZ, former)
        # What was there is whole.
        for name, content in before.items():
            assert files(tmp_path)[name].read_bytes() == content
        assert ledger.changed == {(A, "2026-11")}
        assert ledger.is_continued_changed
        await store.async_save()
        assert not ledger.changed
        assert not ledger.is_continued_changed

    in_a_home(tmp_path, story)
    assert_same(loaded(tmp_path).ledger, ledger)


def former(folder: Path, data: object, version: int = 1) -> None:
    """Leave what version 1.0 kept."""
    (folder / ".storage").mkdir(exist_ok=True)
    text = json.dumps({"version": version, "minor_version": 1, "key": f"broute.{ENTRY}.history", "data": data})
    (folder / ".storage" / f"broute.{ENTRY}.history").write_text(text)


@pytest.mark.parametrize(
    ("data", "terms"),
    [
        ({"meter": A, "since": "2026-10-30T00:00:00+09:00", "energy_in": []}, [Tenure(A, since=BEGIN)]),
        ({"meter": A, "since": None}, [Tenure(A)]),
        ({"meter": None, "since": None}, []),
    ],
)
def test_what_version_1_0_kept(tmp_path: Path, data: object, terms: list[Tenure]) -> None:
    former(tmp_path, data)
    store = loaded(tmp_path)
    assert store.ledger.tenures == terms
    assert store.ledger.corrections == {ENERGY_IN: {}, ENERGY_OUT: {}}
    assert store.verified == {}
    assert set(files(tmp_path)) == {"history"}, "it goes when the new one is there"
    kept(tmp_path, store.ledger)
    assert set(files(tmp_path)) == {"ledger"}
    assert loaded(tmp_path).ledger.tenures == terms


def test_what_version_1_0_kept_does_not_count_any_more(tmp_path: Path) -> None:
    kept(tmp_path, two_months())
    former(tmp_path, {"meter": B, "since": None})
    assert [tenure.meter for tenure in loaded(tmp_path).ledger.tenures] == [A]


@pytest.mark.parametrize("data", [{}, [], None, {"meter": A}, {"meter": A, "since": "once"}])
def test_what_version_1_0_kept_is_damaged(tmp_path: Path, caplog: pytest.LogCaptureFixture, data: object) -> None:
    former(tmp_path, data)
    store = loaded(tmp_path)
    assert store.ledger.tenures == []
    (name,) = files(tmp_path)
    assert name.startswith("history.damaged-")
    assert len(warnings(caplog)) == 1


def test_everything_goes(tmp_path: Path) -> None:
    kept(tmp_path, two_months())
    files(tmp_path)[f"{A}.2026-11"].write_text("")
    loaded(tmp_path)
    former(tmp_path, {})
    assert len(files(tmp_path)) == 4

    async def story(hass: HomeAssistant) -> None:
        await LedgerStore(hass, ENTRY).async_remove()

    in_a_home(tmp_path, story)
    assert files(tmp_path) == {}


def continued_ledger(hours: list[tuple[int, int, int]], statistic_id: str | None = "sensor.former") -> Ledger:
    ledger = ledger_of(series(BEGIN, 100, [1, 2]))
    continued = Continued.of(statistic_id, BEGIN - 500 * HOUR, BEGIN, hours)
    ledger.begin_with(ENERGY_IN, continued)
    return ledger


@given(
    st.dictionaries(st.integers(0, 400), st.integers(0, 10**9), max_size=40),
    st.dictionaries(st.integers(401, 499), st.tuples(st.integers(-5, 10**9), st.integers(0, 10**12)), max_size=10),
    st.sampled_from(["sensor.former", None]),
)
@settings(max_examples=25)
def test_hours_from_before_it_are_there_again(
    copied: dict[int, int], own: dict[int, tuple[int, int]], statistic_id: str | None
) -> None:
    begin = BEGIN - 500 * HOUR
    hours = [(begin + place * HOUR, energy, UNKNOWN) for place, energy in sorted(copied.items())]
    hours += [(begin + place * HOUR, *values) for place, values in sorted(own.items())]
    ledger = continued_ledger(hours, statistic_id)
    with TemporaryDirectory() as folder:
        kept(Path(folder), ledger)
        assert not ledger.is_continued_changed
        assert loaded(Path(folder)).ledger.continued == ledger.continued
        ledger.begin_with(ENERGY_IN, None)
        kept(Path(folder), ledger)
        assert loaded(Path(folder)).ledger.continued == {}


def test_hours_from_before_it_can_be_read_by_a_person(tmp_path: Path) -> None:
    kept(tmp_path, continued_ledger([(BEGIN - 23 * HOUR, 1_250_000, UNKNOWN), (BEGIN - HOUR, 7, 12_000_000)]))
    (told,) = json.loads(files(tmp_path)["continued"].read_text())["data"].values()
    assert told["statistic"] == "sensor.former"
    assert told["days"] == {"2026-10-29": [None, 1_250_000, *[None] * 22]}
    assert told["own"] == {"2026-10-29T23:00:00+09:00": {"energy": 7, "state": 12_000_000}}


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data["days"].update({"2026-10-29": [1] * 23}),
        lambda data: data["days"].update({"2026-10-29": ["1"] * 24}),
        lambda data: data["days"].update({"2026-10-29": [-1] * 24}),
        lambda data: data["days"].update({"2026-10-28": [1] * 24}),
        lambda data: data["own"].update({"2026-10-29T23:00:00+09:00": {"energy": 7, "state": "much"}}),
        lambda data: data["own"].update({"2026-10-01T23:00:00+09:00": {"energy": 7, "state": 5}}),
        lambda data: data.update(statistic=5),
        lambda data: data.pop("from"),
    ],
)
def test_damaged_hours_from_before_it_are_set_aside(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: Callable[[dict[str, Any]], object]
) -> None:
    kept(tmp_path, continued_ledger([(BEGIN - 23 * HOUR, 1_250_000, UNKNOWN)]))
    file = files(tmp_path)["continued"]
    stored = json.loads(file.read_text())
    damage(stored["data"][ENERGY_IN])
    file.write_text(json.dumps(stored))
    ledger = loaded(tmp_path).ledger
    assert ledger.continued == {}
    assert ledger.months
    assert [record.getMessage() for record in caplog.records if "set aside" in record.getMessage()]
    assert any(name.startswith("continued.damaged-") for name in files(tmp_path))


def test_what_comes_before_it_is_written_by_itself(tmp_path: Path) -> None:
    async def story(hass: HomeAssistant) -> None:
        store = LedgerStore(hass, ENTRY, continued_ledger([(BEGIN - 23 * HOUR, 1_250_000, UNKNOWN)]))
        assert await store.async_save_continued()
        assert set(files(tmp_path)) == {"continued"}
        files(tmp_path)["continued"].unlink()
        assert await store.async_save_continued()
        assert not files(tmp_path), "it has not changed"

    in_a_home(tmp_path, story)
