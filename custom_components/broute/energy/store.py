"""The ledger on disk: Home Assistant's own storage, a file for each meter and month, which a person can read."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from homeassistant.helpers.storage import STORAGE_DIR, Store

from ..aiobroute import JST
from ..const import DOMAIN
from .ledger import (
    DIRECTIONS,
    HALF_HOUR_SECONDS,
    MICRO,
    SLOTS,
    UNKNOWN,
    Continued,
    Counts,
    Hour,
    Ledger,
    Month,
    Sample,
    Scale,
    Source,
    Tenure,
)

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant

_LOGGER = logging.getLogger(__name__)

VERSION: Final = 1

INDEX: Final = "ledger"

CONTINUED: Final = "continued"
"""Hours from before the ledger."""

FORMER: Final = "history"
"""What version 1.0 kept instead: since when which meter was counted, and what it had compared."""

NONE: Final = "none"
"""In place of a count: the meter was asked, and has no value."""

DAMAGED: Final = ".damaged-"
"""In the name of a file that was set aside, before the time."""

HOURS: Final = 24
"""In a day; Japan has no summer time."""
HOUR: Final = 2 * HALF_HOUR_SECONDS
"""Seconds."""

SPARSE: Final = {"polled": Source.POLL, "announced": Source.PUSH}
"""Names of the counters that are not from the meter's memory."""


type Verified = dict[str, tuple[int, float]]

type Before = dict[str, Continued]
"""By direction."""

type Index = tuple[list[Tenure], dict[str, dict[int, int]], Verified]


@dataclass(slots=True)
class LedgerStore:
    """Keeps the ledger of one entry in files."""

    hass: HomeAssistant
    entry_id: str
    ledger: Ledger = field(default_factory=Ledger)
    verified: Verified = field(default_factory=dict)
    """For each direction, up to when the recorder's rows were seen to be right, and in which run of Home Assistant."""
    _written: dict[str, Any] = field(default_factory=dict)

    async def async_load(self) -> None:
        """Read everything; what cannot be read is set aside under another name, and the rest is used."""
        found = await self.hass.async_add_executor_job(_load, self._folder, self._prefix)
        index, months, damaged, self.ledger.continued = found
        if index is not None:
            self.ledger.tenures, self.ledger.corrections, self.verified = index
        self.ledger.months = {(month.meter, month.name): month for month in months}
        self.ledger.damaged = damaged
        if index is None:
            self.ledger.find_tenures()

    async def async_save(self) -> None:
        """Write what has changed; what did not get there is written the next time."""
        ledger = self.ledger
        ledger.note_oldest()
        for meter, name in sorted(ledger.changed):
            month = ledger.months[meter, name]
            version = month.version
            if await self._async_write(f"{meter}.{name}", _month_as_dict(month)) and month.version == version:
                ledger.changed.discard((meter, name))
        await self.async_save_continued()
        if await self._async_write(INDEX, self._index_as_dict()):
            await self.hass.async_add_executor_job(_remove, self._folder, self._prefix + FORMER)

    async def async_save_continued(self) -> bool:
        """Write what was there before the ledger, if that has changed; return whether it is on disk."""
        ledger = self.ledger
        if not ledger.is_continued_changed:
            return True
        before = dict(ledger.continued)
        data = await self.hass.async_add_executor_job(_before_as_dict, before)
        is_there = await self._async_write(CONTINUED, data)
        if is_there and before == ledger.continued:
            ledger.is_continued_changed = False
        return is_there

    async def async_remove(self) -> None:
        """Delete everything."""
        await self.hass.async_add_executor_job(_remove, self._folder, self._prefix)

    @property
    def _folder(self) -> Path:
        return Path(self.hass.config.path(STORAGE_DIR))

    @property
    def _prefix(self) -> str:
        return f"{DOMAIN}.{self.entry_id}."

    async def _async_write(self, name: str, data: dict[str, Any]) -> bool:
        """Write a file and read it back."""
        if self._written.get(name) == data:
            return True
        store: Store[dict[str, Any]] = Store(self.hass, VERSION, self._prefix + name, atomic_writes=True)
        await store.async_save(data)
        is_there = await self.hass.async_add_executor_job(_is_on_disk, self._folder / store.key, data)
        if is_there and name == INDEX:
            self._written[name] = data
        if not is_there:
            _LOGGER.debug("Not written: %s", store.key)
        return is_there

    def _index_as_dict(self) -> dict[str, Any]:
        return {
            "meters": [_tenure_as_dict(tenure) for tenure in self.ledger.tenures],
            "corrections": {
                key: {_text(hour): str(Decimal(energy) / MICRO) for hour, energy in sorted(hours.items())}
                for key, hours in self.ledger.corrections.items()
            },
            "verified": {key: {"until": _text(until), "run": run} for key, (until, run) in self.verified.items()},
        }


def _text(at: int) -> str:
    return datetime.fromtimestamp(at, JST).isoformat()


def _at(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())


def _scale_as_dict(scale: Scale) -> dict[str, Any]:
    return {"kwh_per_count": str(Decimal(scale.step) / MICRO), "counts_to": scale.span}


def _scale_from_dict(stored: Mapping[str, Any]) -> Scale:
    span = stored["counts_to"]
    return Scale(int(Decimal(stored["kwh_per_count"]) * MICRO), None if span is None else int(span))


def _tenure_as_dict(tenure: Tenure) -> dict[str, Any]:
    return {
        "meter": tenure.meter,
        "scale": None if tenure.scale is None else _scale_as_dict(tenure.scale),
        "since": None if tenure.since is None else _text(tenure.since),
        "first": None if tenure.first is None else _sample_as_dict(tenure.first),
        "last": None if tenure.last is None else _sample_as_dict(tenure.last),
        "oldest": {key: {"time": _text(at), "count": count} for key, (at, count) in sorted(tenure.oldest.items())},
    }


def _tenure_from_dict(stored: Mapping[str, Any]) -> Tenure:
    scale, since, first, last = (stored[name] for name in ("scale", "since", "first", "last"))
    return Tenure(
        str(stored["meter"]),
        None if scale is None else _scale_from_dict(scale),
        None if since is None else _at(since),
        None if first is None else _sample_from_dict(first),
        None if last is None else _sample_from_dict(last),
        {key: (_at(each["time"]), _count(each["count"])) for key, each in stored.get("oldest", {}).items()},
    )


def _sample_as_dict(sample: Sample) -> dict[str, Any]:
    return {"time": _text(sample.at), **sample.counts}


def _sample_from_dict(stored: Mapping[str, Any]) -> Sample:
    return Sample(_at(stored["time"]), {key: int(stored[key]) for key in DIRECTIONS if key in stored})


def _month_as_dict(month: Month) -> dict[str, Any]:
    directions = {key: _counts_as_dict(month, counts) for key, counts in month.counts.items()}
    return {"meter": month.meter, "month": month.name, **_scale_as_dict(month.scale), **directions}


def _counts_as_dict(month: Month, counts: Counts) -> dict[str, Any]:
    """Return a line of 48 half-hours for each day, and what is not from the meter's memory."""
    days: dict[str, list[int | str | None]] = {}
    for day in range(month.days):
        slots = range(day * SLOTS, (day + 1) * SLOTS)
        line = [_from_memory(counts, slot) for slot in slots]
        if any(value is not None for value in line):
            days[f"{month.name}-{day + 1:02}"] = line
    others = {
        name: {
            _text(month.begin + slot * HALF_HOUR_SECONDS): counts.values[slot]
            for slot, known in enumerate(counts.sources)
            if known == source
        }
        for name, source in SPARSE.items()
    }
    return {"days": days, **others}


def _from_memory(counts: Counts, slot: int) -> int | str | None:
    if counts.sources[slot] == Source.HISTORY:
        return counts.values[slot]
    return NONE if counts.answered[slot] else None


def _month_from_dict(stored: Mapping[str, Any]) -> Month:
    """Take a month.

    Raises:
        ValueError: it is none.

    """
    year, number = stored["month"].split("-")
    month = Month(str(stored["meter"]), int(year), int(number), _scale_from_dict(stored))
    for key in DIRECTIONS:
        if key not in stored:
            continue
        counts = month.direction(key)
        for slot, value in _slots(month, stored[key]["days"]):
            if value == NONE:
                counts.answered[slot] = 1
            elif value is not None:
                counts.values[slot], counts.sources[slot] = _count(value), Source.HISTORY
        for name, source in SPARSE.items():
            for text, value in stored[key][name].items():
                slot, rest = divmod(_at(text) - month.begin, HALF_HOUR_SECONDS)
                if rest or not 0 <= slot < len(counts.values):
                    raise ValueError(f"{text} is no half-hour of {month.name}")
                counts.values[slot], counts.sources[slot] = _count(value), source
    return month


def _slots(month: Month, days: Mapping[str, Any]) -> Iterator[tuple[int, Any]]:
    for day, line in days.items():
        if not day.startswith(month.name) or len(line) != SLOTS:
            raise ValueError(f"{day} is no day of {month.name} with {SLOTS} half-hours")
        begin = (int(day[-2:]) - 1) * SLOTS
        if not 0 <= begin < month.days * SLOTS:
            raise ValueError(f"there is no {day}")
        yield from enumerate(line, begin)


def _count(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value <= UNKNOWN:
        raise ValueError(f"{value!r} is no count")
    return value


def _index_from_dict(stored: Mapping[str, Any]) -> Index:
    corrections = {
        key: {_at(hour): int(Decimal(energy) * MICRO) for hour, energy in stored["corrections"].get(key, {}).items()}
        for key in DIRECTIONS
    }
    verified = {key: (_at(each["until"]), float(each["run"])) for key, each in stored["verified"].items()}
    return [_tenure_from_dict(tenure) for tenure in stored["meters"]], corrections, verified


def _index_of_former(stored: Mapping[str, Any]) -> Index:
    """Take what version 1.0 knew: when the meter was exchanged."""
    meter, since = stored["meter"], stored["since"]
    tenures = [] if meter is None else [Tenure(str(meter), since=None if since is None else _at(since))]
    return tenures, {key: {} for key in DIRECTIONS}, {}


def _before_as_dict(before: Before) -> dict[str, Any]:
    return {key: _continued_as_dict(continued) for key, continued in sorted(before.items())}


def _continued_as_dict(continued: Continued) -> dict[str, Any]:
    """Return a line of 24 hours for each day, in millionths of a kWh, and what the recorder had of ours."""
    days: dict[str, list[int | None]] = {}
    for start, energy, _ in continued.copied:
        at = datetime.fromtimestamp(start, JST)
        days.setdefault(f"{at:%Y-%m-%d}", [None] * HOURS)[at.hour] = energy
    return {
        "statistic": continued.statistic_id,
        "from": _text(continued.begin),
        "to": _text(continued.end),
        "days": days,
        "own": {_text(start): {"energy": energy, "state": state} for start, energy, state in continued.own},
    }


def _continued_from_dict(stored: Mapping[str, Any]) -> Continued:
    """Take hours from before the ledger.

    Raises:
        ValueError: they are none.

    """
    hours: list[Hour] = []
    for day, line in stored["days"].items():
        if len(line) != HOURS:
            raise ValueError(f"{day} is no day with {HOURS} hours")
        begin = _at(f"{day}T00:00:00+09:00")
        hours += [
            (begin + number * HOUR, _count(energy), UNKNOWN) for number, energy in enumerate(line) if energy is not None
        ]
    for text, each in stored["own"].items():
        energy, state = each["energy"], each["state"]
        if not isinstance(energy, int) or not isinstance(state, int):
            raise TypeError(f"{text} has no energy")
        hours.append((_at(text), energy, state))
    statistic = stored["statistic"]
    is_known = statistic is None or isinstance(statistic, str)
    if not is_known or [*sorted({start for start, _, _ in hours})] != [start for start, _, _ in hours]:
        raise ValueError("its hours are not in order")
    return Continued.of(statistic, _at(stored["from"]), _at(stored["to"]), hours)


def _load(folder: Path, prefix: str) -> tuple[Index | None, list[Month], set[tuple[str, str]], Before]:
    """Return what the files hold, and which months were set aside, now or before."""
    index: Index | None = None
    before: Before = {}
    months = []
    for path in sorted(folder.glob(f"{prefix}*")):  # The former one comes before the index.
        name = path.name.removeprefix(prefix)
        try:
            if name == INDEX:
                index = _index_from_dict(_read(path))
            elif name == CONTINUED:
                before = {key: _continued_from_dict(each) for key, each in _read(path).items() if key in DIRECTIONS}
            elif name == FORMER and index is None:
                index = _index_of_former(_read(path))
            elif _is_month(name):
                month = _month_from_dict(_read(path))
                if name != f"{month.meter}.{month.name}":
                    raise ValueError(f"it is of {month.meter}, {month.name}")  # noqa: TRY301  # set aside like all others
                months.append(month)
        except (ArithmeticError, AttributeError, KeyError, OSError, TypeError, ValueError) as err:
            _set_aside(path, err)
    names = [path.name.removeprefix(prefix).rpartition(DAMAGED)[0] for path in folder.glob(f"{prefix}*{DAMAGED}*")]
    damaged = {(name.split(".")[0], name.split(".")[1]) for name in names if _is_month(name)}
    return index, months, damaged, before


def _is_month(name: str) -> bool:
    """Return whether a file is that of a month: what was set aside is not."""
    return len(name.split(".")) == 2 and name.split(".")[1].replace("-", "").isdecimal()


def _read(path: Path) -> Mapping[str, Any]:
    """Return what a file of Home Assistant's storage holds.

    Raises:
        ValueError: it is damaged, or of another version.

    """
    envelope = json.loads(path.read_text(encoding="utf-8"))
    if envelope["version"] != VERSION:
        raise ValueError(f"version {envelope['version']} is not known")
    data: Mapping[str, Any] = envelope["data"]
    return data


def _set_aside(path: Path, err: Exception) -> None:
    aside = path.with_name(f"{path.name}{DAMAGED}{datetime.now(UTC):%Y%m%d%H%M%S}")
    path.rename(aside)
    _LOGGER.warning("A part of the meter's ledger cannot be read and was set aside as %s: %s", aside.name, err)


def _is_on_disk(path: Path, data: Mapping[str, Any]) -> bool:
    try:
        return _read(path) == data
    except KeyError, OSError, TypeError, ValueError:
        return False


def _remove(folder: Path, prefix: str) -> None:
    for path in folder.glob(f"{prefix}*"):
        path.unlink()
