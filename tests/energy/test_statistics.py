"""The arithmetic of the history, against a model of Home Assistant's recorder (sensor/recorder.py)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

from hypothesis import given, settings, strategies as st
import pytest

from custom_components.broute.energy.statistics import FASTEST, HOUR, Counter, Recorded, Row, plan

BEGIN = datetime(2026, 11, 1, tzinfo=UTC)
STEP = timedelta(minutes=5)
KEPT = 10 * 24 * 12
"""Five-minute rows that are not purged."""


def hour(number: int) -> datetime:
    return BEGIN + number * HOUR


@dataclass
class Recorder:
    """What Home Assistant makes of the states of a counter."""

    hours: dict[datetime, Row] = field(default_factory=dict)
    minutes: list[Row] = field(default_factory=list)
    compiled: datetime = BEGIN

    def compile(self, start: datetime, state: Decimal | None) -> None:
        """Compile five minutes, in which the entity had this state at last."""
        self.compiled = start + STEP
        if state is not None:
            latest = self.minutes[-1] if self.minutes else None
            if latest is None:
                total = Decimal(0)
            elif state < latest.state * Decimal("0.9"):
                total = latest.sum + state
            else:
                total = latest.sum + state - latest.state
            self.minutes.append(Row(start, state, total))
        elif self.minutes and start - self.minutes[0].start > KEPT * STEP:
            self.minutes = [row for row in self.minutes if start - row.start < KEPT * STEP]
        if self.compiled.minute == 0:
            self._compile_hour(self.compiled - HOUR)

    def _compile_hour(self, start: datetime) -> None:
        inside = [row for row in self.minutes[-12:] if row.start >= start]
        if inside:
            assert start not in self.hours, "this costs all other entities their hour"
            self.hours[start] = Row(start, inside[-1].state, inside[-1].sum)

    def adjust(self, start: datetime, energy: Decimal) -> None:
        for time, row in self.hours.items():
            if time >= start.replace(minute=0):
                self.hours[time] = replace(row, sum=row.sum + energy)
        self.minutes = [replace(row, sum=row.sum + energy) if row.start >= start else row for row in self.minutes]

    def recorded(self) -> Recorded:
        """Return what the integration reads."""
        rows = [self.hours[time] for time in sorted(self.hours)]
        running = [row for row in self.minutes if not rows or row.start >= rows[-1].start] or self.minutes[-1:]
        return Recorded(rows=rows, running=running, compiled=self.compiled)

    def reconcile(self, known: Mapping[datetime, Decimal], counter: Counter, *, overrule: bool = False) -> int:
        """Do what the plan says; return how many rows were written."""
        if not known:
            return 0
        made = plan(self.recorded(), known, counter, overrule=overrule)
        if made.adjustment is not None:
            self.adjust(made.adjustment.start, made.adjustment.energy)
        for row in made.rows:
            assert row.end <= self.compiled
            self.hours[row.start] = row
        return len(made.rows)

    def changes(self) -> dict[datetime, Decimal]:
        """Return the bars."""
        rows = [self.hours[time] for time in sorted(self.hours)]
        sums = [Decimal(0), *(row.sum for row in rows)]
        return {row.start: row.sum - before for row, before in zip(rows, sums, strict=False)}


@dataclass
class Home:
    """A meter that counts a thousandth of what its energies say every 3.6 s, and a recorder."""

    energies: list[int]
    """0.1 kWh in each hour."""
    span: Decimal | None = None
    begin: Decimal = Decimal(5000)
    recorder: Recorder = field(default_factory=Recorder)

    def counter_at(self, time: datetime) -> Decimal:
        whole, part = divmod(time - BEGIN, HOUR)
        now = Decimal(self.energies[whole]) * Decimal(part / HOUR) if part else Decimal(0)
        count = self.begin * 10 + sum(self.energies[:whole]) + now.to_integral_value("ROUND_FLOOR")
        value = count / 10
        return value % self.span if self.span else value

    def known(self, first: int, last: int) -> dict[datetime, Decimal]:
        return {hour(number): self.counter_at(hour(number)) for number in range(first, last + 1)}

    def live(self, first: datetime, last: datetime, *, is_on: bool, is_filled: bool = False) -> None:
        """Let the recorder run for a while, with a poll a moment before each five minutes are over.

        What it missed while Home Assistant was off, it fills in with the last state.
        """
        time = first
        filled = self.recorder.minutes[-1].state if is_filled and self.recorder.minutes else None
        while time < last:
            poll = time + STEP - timedelta(seconds=13)
            self.recorder.compile(time, self.counter_at(poll) if is_on else filled)
            time += STEP

    def assert_true(self, hours: Iterable[int]) -> None:
        """Hold the bars of some hours to the meter, and what is between them to reason."""
        changes = self.recorder.changes()
        for number in hours:
            if hour(number + 1) <= self.recorder.compiled:
                energy = self.counter_at(hour(number + 1)) - self.counter_at(hour(number))
                assert changes[hour(number)] == (energy if energy >= 0 else energy + (self.span or 0)), number
        assert all(change >= 0 for change in changes.values())
        running = self.recorder.minutes[-1:]
        if running and self.recorder.hours:
            newest = self.recorder.hours[max(self.recorder.hours)]
            if running[-1].start >= newest.start:
                gained = running[-1].state - newest.state
                if self.span and gained < -self.span / 2:
                    gained += self.span
                assert running[-1].sum - newest.sum == gained, "the running hour will be wrong"


energies = st.integers(0, int(FASTEST) * 10)
counters = Counter(None)


def test_a_new_entry_newest_day_first() -> None:
    home = Home([3, 9, 13, 5, 7, 11, 3, 9, 13, 5, 0, 0, 7, 8, 9, 1])
    home.live(hour(10) + 6 * STEP, hour(10) + 7 * STEP, is_on=True)
    home.recorder.reconcile(home.known(8, 10), counters)
    home.recorder.reconcile(home.known(4, 8), counters)
    home.live(hour(10) + 7 * STEP, hour(12), is_on=True)
    home.recorder.reconcile(home.known(0, 4), counters)
    home.recorder.reconcile(home.known(10, 12), counters)
    home.assert_true(range(12))
    assert home.recorder.changes().keys() == {hour(number) for number in range(12)}
    assert home.recorder.reconcile(home.known(0, 12), counters) == 0


def test_history_before_the_recorder_has_anything() -> None:
    home = Home([3, 9, 13, 5, 7, 11, 3, 9])
    home.recorder.compiled = hour(5)
    home.recorder.reconcile(home.known(3, 5), counters)
    home.recorder.reconcile(home.known(0, 3), counters)
    home.live(hour(5), hour(5) + STEP, is_on=True)
    home.recorder.reconcile(home.known(4, 5), counters)
    home.live(hour(5) + STEP, hour(7), is_on=True)
    home.recorder.reconcile(home.known(5, 7), counters)
    home.assert_true(range(7))


@given(data=st.data())
@settings(max_examples=100, deadline=None)
def test_whatever_was_off_the_bars_are_the_meter_s(data: st.DataObject) -> None:
    """Random outages, passes and meters; each pass knows what the meter still remembers."""
    number = data.draw(st.integers(3, 60), label="hours")
    home = Home(
        data.draw(st.lists(st.integers(0, 40), min_size=number, max_size=number), label="energies"),
        begin=Decimal(data.draw(st.integers(0, 9_999), label="begin")),
        span=data.draw(st.sampled_from([None, Decimal(10_000)]), label="span"),
    )
    counter = Counter(home.span)
    if home.span is None and home.begin < 1:
        home.begin += 1
    memory = data.draw(st.integers(2, number), label="memory")
    time, is_on = BEGIN, False
    seen: set[int] = set()
    pieces: list[tuple[int, int]] = []
    since = 0
    while time < hour(number):
        is_on = data.draw(st.booleans(), label="on")
        until = min(time + data.draw(st.integers(1, 200), label="steps") * STEP, hour(number))
        home.live(time, until, is_on=is_on, is_filled=data.draw(st.booleans(), label="filled"))
        time = until
        now = (time - BEGIN) // HOUR
        if is_on:
            oldest = min(max(since, now - memory), now)
            # In some pieces, newest first.
            cuts = data.draw(st.lists(st.integers(oldest, now), max_size=4), label="cuts")
            for first, last in pairwise(sorted({oldest, now, *cuts})):
                pieces.insert(0, (first, last))
            while pieces:
                home.recorder.reconcile(home.known(*pieces.pop(0)), counter)
            seen |= set(range(oldest, now))
            home.assert_true(seen)
            assert home.recorder.reconcile(home.known(oldest, now), counter) == 0, "doing it again changes something"
            since = now


@pytest.mark.parametrize("overrule", [False, True])
def test_what_was_corrected_by_hand_is_left_alone(overrule: bool) -> None:  # noqa: FBT001
    home = Home([3, 9, 13, 5, 7, 11, 3, 9])
    home.live(BEGIN, hour(6), is_on=True)
    home.recorder.adjust(hour(3), Decimal("-0.2"))
    home.recorder.reconcile(home.known(0, 6), counters, overrule=overrule)
    changes = home.recorder.changes()
    assert changes[hour(3)] - Decimal("0.5") == (0 if overrule else Decimal("-0.2"))
    assert [changes[hour(number)] for number in (1, 2, 4, 5)] == [Decimal(e) / 10 for e in (9, 13, 7, 11)]
    home.live(hour(6), hour(8), is_on=True)
    home.recorder.reconcile(home.known(6, 8), counters)
    assert home.recorder.changes()[hour(7)] == Decimal("0.9")


@given(st.lists(st.integers(0, 30), min_size=3, max_size=30), st.integers(0, 29), st.integers(0, 99_999_999))
def test_one_impossible_value_is_lost_alone(counts: list[int], where: int, wrong: int) -> None:
    home = Home([*counts, 0])
    known = home.known(0, len(counts))
    where %= len(known)
    bad = known | {hour(where): Decimal(wrong) / 10}
    kept = counters.plausible(bad)
    assert {time: bad[time] for time in kept} == kept
    possible = all(
        counters.rise(bad[hour(i)], bad[hour(j)], (j - i) * HOUR) is not None
        for i in range(len(known))
        for j in range(i + 1, len(known))
    )
    assert len(kept) == len(known) - (not possible)
    if not possible and 0 < where < len(known) - 1:
        assert hour(where) not in kept


def test_an_exchanged_meter_goes_on_without_a_step() -> None:
    old = Home([10] * 6)
    old.live(BEGIN, hour(5), is_on=True)
    old.recorder.reconcile(old.known(0, 5), counters)
    before = old.recorder.changes()
    new = Home([10] * 20, begin=Decimal(90_000), recorder=old.recorder)
    counter = Counter(None, since=hour(5))
    new.live(hour(5), hour(8), is_on=False)
    new.live(hour(8) + 3 * STEP, hour(10), is_on=True)
    # The new meter was put up at half past six.
    new.recorder.reconcile(new.known(7, 10), counter)
    changes = new.recorder.changes()
    assert {time: changes[time] for time in before} == before
    assert [changes[hour(number)] for number in (7, 8, 9)] == [1, 1, 1]
    assert sum(changes.values()) == 8
    new.live(hour(10), hour(12), is_on=True)
    new.recorder.reconcile(new.known(10, 12), counter)
    assert [new.recorder.changes()[hour(number)] for number in (10, 11)] == [1, 1]


def test_silent_for_longer_than_the_recorder_keeps_its_minutes() -> None:
    home = Home([7] * 24 * 13)
    home.live(BEGIN, hour(24), is_on=True)
    home.recorder.reconcile(home.known(0, 24), counters)
    home.live(hour(24), hour(24 * 12), is_on=False)
    assert not home.recorder.minutes
    home.live(hour(24 * 12), hour(24 * 12 + 2), is_on=True)
    # The meter remembers only four days.
    home.recorder.reconcile(home.known(24 * 8, 24 * 12 + 2), counters)
    changes = home.recorder.changes()
    assert changes.pop(hour(24 * 8 - 1)) == Decimal("0.7") * 24 * 7
    assert set(changes.values()) == {Decimal("0.7")}
    home.assert_true(range(24 * 8, 24 * 12 + 2))
    assert sum(home.recorder.changes().values()) == Decimal("0.7") * (24 * 12 + 2)


def test_rows_that_were_filled_in_after_a_long_time() -> None:
    home = Home([40] * 24 * 9)
    home.live(BEGIN, hour(24), is_on=True)
    home.recorder.reconcile(home.known(0, 24), counters)
    home.live(hour(24), hour(24 * 8 + 5), is_on=False, is_filled=True)
    home.live(hour(24 * 8 + 5), hour(24 * 8 + 11), is_on=True)
    home.recorder.reconcile(home.known(24 * 8, 24 * 8 + 11), counters)
    for day in range(7, 0, -1):
        home.recorder.reconcile(home.known(24 * day, 24 * day + 24), counters)
    home.assert_true(range(24 * 8 + 11))


def test_nothing_is_known() -> None:
    made = plan(Recorded(rows=[], running=[], compiled=BEGIN), {}, counters)
    assert (made.adjustment, made.rows) == (None, ())
