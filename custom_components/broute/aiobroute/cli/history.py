"""The half-hours that the meter remembers, as a table, comma-separated values or JSON."""

import argparse
import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
import itertools
import sys

from .. import BRouteError, Day, Direction, HistoryError, MeterProfile, NoHistoryError, SmartMeter
from .columns import bar, columns
from .console import Console
from .missing import MissingError, days as said_days

HALF_HOUR = timedelta(minutes=30)
DAY = timedelta(days=1)
ZERO = Decimal(0)

BAR = 10
"""Characters of the bar of the highest half-hour."""

WORDS: Mapping[Direction, str] = {Direction.IN: "from the grid", Direction.OUT: "to the grid"}

COUNTERS: Mapping[Direction, str] = {Direction.IN: "counter_in", Direction.OUT: "counter_out"}
ENERGIES: Mapping[Direction, str] = {Direction.IN: "energy_in", Direction.OUT: "energy_out"}
"""As in `broute.get_history`."""


async def history(options: argparse.Namespace, meter: SmartMeter) -> None:
    """Read some days and print them, also if that is given up in between.

    Raises:
        MissingError: some of it was not told.
        BRouteError: nothing was.

    """
    found = _Found(await meter.history.today())
    is_for_a_person = not (options.csv or options.json)
    try:
        await _ask(options, meter, found)
        if options.differences or is_for_a_person:
            await _ask_for_midnight(meter, found)
    except asyncio.CancelledError:
        _print(options, found, meter.profile)
        raise
    _print(options, found, meter.profile)
    if found.missing:
        raise MissingError(said_days(found.missing))


@dataclass(slots=True)
class _Found:
    """What the meter told of some days, and why it did not tell the rest."""

    today: date
    """By the meter's own calendar."""
    days: list[date] = field(default_factory=list)
    """What was asked for and answered, the newest first."""
    counters: dict[Direction, dict[datetime, Decimal | None]] = field(default_factory=dict)
    """What the counters showed, in kWh, at each half-hour that has begun."""
    missing: list[tuple[date, str, str]] = field(default_factory=list)
    """Day, what of it, and why."""

    def add(self, answer: Day) -> None:
        """Take what was answered."""
        for direction, told in answer.energies.items():
            self.counters.setdefault(direction, {}).update(told)

    def starts(self) -> list[datetime]:
        """Return the half-hours of all days that were asked for, in order of time, as far as they have begun."""
        begun = {start for told in self.counters.values() for start in told}
        return sorted(start for start in begun if start.date() in self.days)

    def is_over(self, start: datetime) -> bool:
        """Return whether a half-hour has ended."""
        return start.date() != self.today or any(start + HALF_HOUR in told for told in self.counters.values())

    def energy(self, direction: Direction, start: datetime, profile: MeterProfile) -> Decimal | None:
        """Return the kWh of a half-hour, if both of its counters are known; a counter that is full begins anew."""
        told = self.counters.get(direction, {})
        before, after = told.get(start), told.get(start + HALF_HOUR)
        if before is None or after is None:
            return None
        if after < before and profile.digits is not None:
            after += profile.energy(10**profile.digits) or ZERO
        return after - before if after >= before else None


async def _ask(options: argparse.Namespace, meter: SmartMeter, found: _Found) -> None:
    """Ask for one day, or for today and the days before."""
    newest, of = (options.date, 1) if options.date else (found.today, options.days)
    for number in range(of):
        day = newest - number * DAY
        options.console.count("reading day", number + 1, of)
        try:
            found.add(answer := await meter.history.ask(day))
        except (NoHistoryError, HistoryError) as err:
            found.missing.append((day, "", str(err)))
            continue
        except BRouteError as err:
            if not found.days:
                raise
            found.missing.append((day, "and what is older", str(err)))
            break
        found.days.append(day)
        found.missing += [(day, WORDS[direction], str(err)) for direction, err in answer.failures.items()]


async def _ask_for_midnight(meter: SmartMeter, found: _Found) -> None:
    """Ask for the counters at the end of the newest day, without which its last half-hour is not known."""
    if not found.days or found.days[0] >= found.today:
        return
    newest = found.days[0]
    try:
        answer = await meter.history.ask(newest + DAY)
    except BRouteError as err:
        found.missing.append((newest, "last half-hour", str(err)))
        return
    found.add(answer)
    found.missing += [(newest, f"last half-hour {WORDS[way]}", str(err)) for way, err in answer.failures.items()]


def _print(options: argparse.Namespace, found: _Found, profile: MeterProfile) -> None:
    console: Console = options.console
    if not (options.csv or options.json):
        for line in _table(found, profile, has_counters=not options.differences):
            console.print(line)
        return
    names = ENERGIES if options.differences else COUNTERS
    rows = list(_differences(found, profile) if options.differences else _counters(found))
    if options.json:
        for start, values in rows:
            console.print_json({"start": start.isoformat(), **{names[way]: values[way] for way in Direction}})
        return
    console.print(",".join(("start", *names.values())))
    for start, values in rows:
        cells = ("" if values[way] is None else str(values[way]) for way in Direction)
        console.print(",".join((start.isoformat(), *cells)))


type _Row = tuple[datetime, Mapping[Direction, Decimal | None]]


def _counters(found: _Found) -> Iterator[_Row]:
    """Yield what the counters showed, wherever one of them has a value."""
    for start in found.starts():
        values = {way: found.counters.get(way, {}).get(start) for way in Direction}
        if any(value is not None for value in values.values()):
            yield start, values


def _differences(found: _Found, profile: MeterProfile) -> Iterator[_Row]:
    """Yield the energy of each half-hour that is over, from the first one on that is known."""
    rows = (
        (start, {way: found.energy(way, start, profile) for way in Direction})
        for start in found.starts()
        if found.is_over(start)
    )
    return itertools.dropwhile(lambda row: not any(value is not None for value in row[1].values()), rows)


def _table(found: _Found, profile: MeterProfile, *, has_counters: bool) -> Iterator[str]:
    """Yield the lines of a table for a person, day by day."""
    ways = [way for way in Direction if any(value is not None for value in found.counters.get(way, {}).values())]
    energies = dict(_differences(found, profile))
    highest = max((value for row in energies.values() for value in row.values() if value), default=None)

    def cells(start: datetime) -> Iterator[str]:
        yield f"{start:%H:%M}"
        for way in ways:
            value = energies[start][way] if start in energies else None
            if has_counters:
                yield _number(found.counters[way].get(start))
            yield _number(value) if found.is_over(start) else ""
            yield bar(float(value / highest), BAR, sys.stdout.encoding) if value and highest else ""

    known = (dict(_counters(found)) if has_counters else {}) | energies
    starts = sorted(known)
    if not starts:
        yield "the meter has no values for this time"
        return
    rows = [_head(ways, has_counters=has_counters), *(list(cells(start)) for start in starts)]
    head, *lines = columns(rows, "<" + (">><" if has_counters else "><") * len(ways))
    yield head
    for day, of_day in itertools.groupby(zip(starts, lines, strict=True), lambda each: each[0].date()):
        half_hours = list(of_day)
        yield ""
        yield _sum(day, ways, [energies[start] for start, _ in half_hours if start in energies])
        yield from (line for _, line in half_hours)


def _head(ways: Sequence[Direction], *, has_counters: bool) -> list[str]:
    head = ["Time"]
    for way in ways:
        head += ["Counter"] if has_counters else []
        head += [WORDS[way].capitalize(), ""]
    return head


def _sum(day: date, ways: Sequence[Direction], energies: Sequence[Mapping[Direction, Decimal | None]]) -> str:
    """Return what flowed on a day, and of how many half-hours that is known if not of all."""
    sums = []
    for way in ways:
        known = [value for row in energies if (value := row[way]) is not None]
        of = "" if len(known) == len(energies) else f" ({len(known)} of {len(energies)} half-hours)"
        sums.append(f"{sum(known, ZERO):,} kWh {WORDS[way]}{of}")
    return f"{day}  {', '.join(sums)}"


def _number(value: Decimal | None) -> str:
    return "-" if value is None else f"{value:,}"
