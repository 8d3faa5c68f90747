"""The ledger alone: which counter wins, what is left out, what is still to be asked for."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import permutations, product

from hypothesis import given, strategies as st
import pytest

from custom_components.broute.aiobroute import JST, MeterProfile
from custom_components.broute.energy.ledger import (
    DIRECTIONS,
    ENERGY_IN,
    ENERGY_OUT,
    HALF_HOUR,
    HALF_HOUR_SECONDS,
    MICRO,
    SLOTS,
    UNKNOWN,
    Ledger,
    Lost,
    Month,
    Sample,
    Scale,
    Source,
    half_hours,
)

from .ledgers import BEGIN, TENTH, A, B, C, fill, ledger_of, moment, series

NOW = moment(BEGIN) + timedelta(days=3)
DAY = date(2026, 10, 30)
TOLD = (Source.POLL, Source.PUSH, Source.HISTORY)


def is_changed(ledger: Ledger) -> bool:
    """Return whether the index is to be written."""
    return ledger.is_index_changed


def known(ledger: Ledger, at: int, key: str = ENERGY_IN) -> tuple[int, Source, int]:
    """Return what is in a place: count, source, and whether the memory was asked in vain."""
    day = moment(at).astimezone(JST)
    month = ledger.months[ledger.tenures[-1].meter, f"{day:%Y-%m}"]
    slot = (at - month.begin) // HALF_HOUR_SECONDS
    counts = month.counts[key]
    return counts.values[slot], Source(counts.sources[slot]), counts.answered[slot]


def put(ledger: Ledger, at: int, count: int, source: Source, *, overrule: bool = False, late: int = 60) -> bool:
    now = moment(at) + timedelta(seconds=late)
    return ledger.put(ENERGY_IN, moment(at), count, source, TENTH, now=now, overrule=overrule)


@pytest.mark.parametrize(
    ("raw", "scale"),
    [
        ({"E1": "01", "D7": "06", "D3": "00000001"}, Scale(100_000, 10**6)),
        ({"E1": "02", "D7": "08", "D3": "00000001"}, Scale(10_000, 10**8)),
        ({"E1": "00", "D7": "05", "D3": "00000001"}, Scale(1_000_000, 10**5)),
        ({"E1": "0A", "D7": "06", "D3": "00000001"}, Scale(10_000_000, 10**6)),
        ({"E1": "01", "D7": "06", "D3": "0000000A"}, Scale(1_000_000, 10**6)),
        ({"E1": "01", "D3": "00000001"}, Scale(100_000, None)),
    ],
)
def test_the_scale_is_what_the_meter_tells(raw: dict[str, str], scale: Scale) -> None:
    assert Scale.of(MeterProfile.from_raw(raw)) == scale


def test_no_scale_without_a_unit() -> None:
    assert Scale.of(MeterProfile.from_raw({})) is None


@given(st.integers(0, 10**8), st.sampled_from([100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000]))
def test_a_count_is_found_again_from_its_energy(count: int, step: int) -> None:
    assert Scale(step, None).count(Decimal(count) * step / MICRO) == count


@given(st.lists(st.tuples(st.sampled_from(TOLD), st.integers(0, 3), st.booleans()), max_size=6))
def test_the_better_source_wins_and_of_equal_ones_the_first(told: list[tuple[Source, int, bool]]) -> None:
    ledger = ledger_of({})
    count, source = -1, Source.NOBODY
    for each, value, overrule in told:
        is_better = each > source or (each == source and overrule)
        is_new = is_better and (value, each) != (count, source)
        assert put(ledger, BEGIN, value, each, overrule=overrule) is is_new
        if is_new:
            count, source = value, each
        assert known(ledger, BEGIN)[:2] == (count, source)


@pytest.mark.parametrize("order", permutations(TOLD))
def test_in_whatever_order_they_come(order: tuple[Source, ...]) -> None:
    ledger = ledger_of({})
    for source in order:
        put(ledger, BEGIN, int(source), source)
    assert known(ledger, BEGIN) == (int(Source.HISTORY), Source.HISTORY, 0)


@pytest.mark.parametrize(("first", "second"), product(TOLD, TOLD))
def test_a_difference_to_what_is_better_is_told(
    caplog: pytest.LogCaptureFixture, first: Source, second: Source
) -> None:
    caplog.set_level("DEBUG")
    ledger = ledger_of({})
    put(ledger, BEGIN, 5, first)
    put(ledger, BEGIN, 5, second)
    assert not caplog.records
    put(ledger, BEGIN, 6, second)
    assert len(caplog.records) == (max(first, second) >= Source.PUSH)


@pytest.mark.parametrize("off", [1, 60, 1799, -1])
@pytest.mark.parametrize("source", TOLD)
def test_off_the_grid(caplog: pytest.LogCaptureFixture, off: int, source: Source) -> None:
    caplog.set_level("DEBUG")
    ledger = ledger_of({})
    assert not put(ledger, BEGIN + off, 5, source)
    assert (ledger.months, len(caplog.records)) == ({}, 1)


@pytest.mark.parametrize(
    ("source", "late", "is_taken"),
    [
        (Source.HISTORY, -600, True),
        (Source.HISTORY, -601, False),
        (Source.POLL, -601, False),
        (Source.PUSH, -600, True),
        (Source.PUSH, -601, False),
        (Source.PUSH, 45 * 60, True),
        (Source.PUSH, 45 * 60 + 1, False),
        (Source.POLL, 45 * 60 + 1, True),
        (Source.HISTORY, 99 * 86400, True),
    ],
)
def test_of_another_time(caplog: pytest.LogCaptureFixture, source: Source, late: int, *, is_taken: bool) -> None:
    caplog.set_level("DEBUG")
    ledger = ledger_of({})
    assert put(ledger, BEGIN, 5, source, late=late) is is_taken
    assert (len(ledger.months), len(caplog.records)) == (is_taken, not is_taken)


@given(st.integers(0, 400 * SLOTS), st.sampled_from(DIRECTIONS))
def test_every_half_hour_has_a_place_of_its_own(number: int, key: str) -> None:
    at = BEGIN + number * HALF_HOUR_SECONDS
    ledger = ledger_of({at: 12}, key=key)
    (month,) = ledger.months.values()
    day = moment(at).astimezone(JST)
    assert (month.year, month.month, month.name) == (day.year, day.month, f"{day:%Y-%m}")
    assert month.begin == datetime(day.year, day.month, 1, tzinfo=JST).timestamp()
    assert set(month.counts) == {key}
    counts = month.counts[key]
    following = datetime(day.year + day.month // 12, day.month % 12 + 1, 1, tzinfo=JST)
    assert len(counts.values) == len(counts.sources) == len(counts.answered) == month.days * SLOTS
    assert month.begin + month.days * 86400 == following.timestamp()
    found = [slot for slot, value in enumerate(counts.values) if value != -1]
    assert found == [(at - month.begin) // HALF_HOUR_SECONDS]
    assert ledger.energy(key, at) == Decimal("1.2")
    assert ledger.energy(key, at + HALF_HOUR_SECONDS) is None
    assert ledger.energy(({*DIRECTIONS} - {key}).pop(), at) is None
    assert ledger.energy(key, at + 800 * 86400) is None
    assert ledger.oldest() == moment(at)


@pytest.mark.parametrize("count", [0, 1, 999_999])
def test_a_counter_of_zero_is_a_counter(count: int) -> None:
    ledger = ledger_of({BEGIN: count})
    assert ledger.energy(ENERGY_IN, BEGIN) == Decimal(count) / 10


def test_what_changed_is_known_month_by_month() -> None:
    ledger = ledger_of({})
    assert put(ledger, BEGIN, 5, Source.POLL)
    assert ledger.changed == {(A, "2026-10")}
    version = ledger.months[A, "2026-10"].version
    ledger.changed.clear()
    assert not put(ledger, BEGIN, 5, Source.POLL, overrule=True)
    assert not ledger.changed
    assert ledger.months[A, "2026-10"].version == version
    assert put(ledger, BEGIN, 5, Source.PUSH)
    assert ledger.changed == {(A, "2026-10")}
    assert ledger.months[A, "2026-10"].version == version + 1
    assert put(ledger, BEGIN + 2 * 86400, 6, Source.PUSH)
    assert ledger.changed == {(A, "2026-10"), (A, "2026-11")}
    assert [each.begin for each in ledger.months.values()] == sorted(each.begin for each in ledger.months.values())


def test_asked_in_vain() -> None:
    ledger = ledger_of({})
    ledger.put_none(ENERGY_IN, moment(BEGIN), TENTH)
    assert known(ledger, BEGIN) == (-1, Source.NOBODY, 1)
    assert ledger.changed
    ledger.changed.clear()
    version = ledger.months[A, "2026-10"].version
    ledger.put_none(ENERGY_IN, moment(BEGIN), TENTH)
    assert not ledger.changed
    assert ledger.months[A, "2026-10"].version == version
    # What comes all the same is taken.
    assert put(ledger, BEGIN, 5, Source.POLL)
    assert known(ledger, BEGIN) == (5, Source.POLL, 0)


@pytest.mark.parametrize("source", TOLD)
def test_a_counter_is_not_lost_because_the_memory_has_none(source: Source) -> None:
    ledger = ledger_of({})
    put(ledger, BEGIN, 5, source)
    ledger.put_none(ENERGY_IN, moment(BEGIN), TENTH)
    assert known(ledger, BEGIN) == (5, source, int(source is not Source.HISTORY))
    assert BEGIN not in ledger.holes(ENERGY_IN, DAY)


@pytest.mark.parametrize(("source", "is_hole"), [(Source.POLL, True), (Source.PUSH, False), (Source.HISTORY, False)])
def test_holes(source: Source, *, is_hole: bool) -> None:
    ledger = ledger_of({})
    assert ledger.holes(ENERGY_IN, DAY) == list(half_hours(DAY))
    put(ledger, BEGIN + 7 * HALF_HOUR_SECONDS, 5, source)
    ledger.put_none(ENERGY_IN, moment(BEGIN + 9 * HALF_HOUR_SECONDS), TENTH)
    filled = [9] if is_hole else [7, 9]
    assert ledger.holes(ENERGY_IN, DAY) == [at for slot, at in enumerate(half_hours(DAY)) if slot not in filled]
    assert ledger.holes(ENERGY_OUT, DAY) == list(half_hours(DAY))
    assert ledger.holes(ENERGY_IN, DAY + timedelta(days=1)) == list(half_hours(DAY + timedelta(days=1)))


def test_the_first_of_equal_sources_stays_unless_somebody_says_otherwise() -> None:
    ledger = ledger_of({BEGIN: 100})
    assert not ledger.put(ENERGY_IN, moment(BEGIN), 101, Source.HISTORY, TENTH, now=NOW)
    assert known(ledger, BEGIN)[0] == 100


def lost(ledger: Ledger, until: int = BEGIN + 70 * 86_400, key: str = ENERGY_IN) -> list[tuple[str, int, int]]:
    return [(each.tenure.meter, each.begin, each.end) for each in ledger.lost(key, until)]


def test_a_month_that_is_lost() -> None:
    november, december, january = (
        month.begin for month in (Month(A, 2026, 11, TENTH), Month(A, 2026, 12, TENTH), Month(A, 2027, 1, TENTH))
    )
    ledger = ledger_of(series(BEGIN, 0, [1] * 48 * 40))
    ledger.hear(moment(december + 9 * 86_400), {ENERGY_IN: 5000}, TENTH)
    assert lost(ledger, december + 1) == []
    ledger.begin(B)
    since = ledger.tenures[-1].since
    assert since is not None
    assert lost(ledger) == [], "nobody knows how the new meter counts"
    ledger.hear(moment(since + 600), {ENERGY_IN: 9}, TENTH)
    assert lost(ledger) == [(B, since, january - 1)], "the present month has only begun"
    ledger.damaged = {(B, "2027-01")}
    assert lost(ledger) == [(B, since, january - 1), (B, january, BEGIN + 70 * 86_400)]
    ledger.damaged.clear()
    fill(ledger, {since + HALF_HOUR_SECONDS: 10})
    assert lost(ledger) == []
    assert lost(ledger, key=ENERGY_OUT)[1:3] == [(A, november, december - 1), (A, december, since)]
    for name, span in (
        ("2026-10", (A, BEGIN, november - 1)),
        ("2026-11", (A, november, december - 1)),
        ("2026-12", (A, december, since)),
    ):
        month = ledger.months.pop((A, name))
        first, ledger.tenures[0].first = ledger.tenures[0].first, Sample(BEGIN, {})
        assert lost(ledger) == [span]
        ledger.months[A, name], ledger.tenures[0].first = month, first
        # One that has been read again is still not whole: the meter may have forgotten a part of it.
        ledger.note_oldest()
        ledger.damaged = {(A, name)}
        assert lost(ledger) == [span]
        ledger.tenures[0].oldest.clear()
        ledger.damaged.clear()
    october = ledger.months.pop((A, "2026-10"))
    assert lost(ledger) == [], "what was before everything that is known is not missed"
    ledger.months[A, "2026-10"] = october
    ledger.note_oldest()
    del ledger.months[A, "2026-10"]
    assert lost(ledger) == [(A, BEGIN, november - 1)], "but what was known once is"


def test_the_first_half_hour_of_each_meter_and_direction_is_kept() -> None:
    ledger = ledger_of(series(BEGIN, 100, [1] * 10))
    ledger.note_oldest()
    assert ledger.tenures[0].oldest == {ENERGY_IN: (BEGIN, 100)}
    fill(ledger, {BEGIN + HALF_HOUR_SECONDS: 7}, key=ENERGY_OUT)
    ledger.months[A, "2026-10"].counts[ENERGY_IN].values[0] = 3
    ledger.note_oldest()
    first = ledger.months[A, "2026-10"].begin
    assert ledger.tenures[0].oldest == {ENERGY_IN: (first, 3), ENERGY_OUT: (BEGIN + HALF_HOUR_SECONDS, 7)}
    # Another meter begins after the one before was heard last, whatever it counted elsewhere; and the first comes back.
    ledger.begin(B)
    since = BEGIN + 10 * HALF_HOUR_SECONDS
    fill(ledger, {since - HALF_HOUR_SECONDS: 1, since: 2, since + HALF_HOUR_SECONDS: 3})
    ledger.note_oldest()
    assert ledger.tenures[1].oldest == {ENERGY_IN: (since + HALF_HOUR_SECONDS, 3)}
    ledger.begin(A)
    fill(ledger, {since + 60 * 86_400: 130})
    del ledger.months[A, "2026-10"]
    ledger.note_oldest()
    assert ledger.tenures[0].oldest[ENERGY_IN] == (first, 3)
    assert ledger.tenures[2].oldest == {ENERGY_IN: (since + 60 * 86_400, 130)}


def test_a_counter_right_where_the_next_meter_took_over_is_the_first_ones() -> None:
    ledger = ledger_of({BEGIN: 100})
    ledger.begin(B)
    assert ledger.tenures[1].since == BEGIN
    fill(ledger, {BEGIN: 7})
    ledger.note_oldest()
    assert [tenure.oldest for tenure in ledger.tenures] == [{ENERGY_IN: (BEGIN, 100)}, {}]


def test_how_many_half_hours_of_a_day_have_no_value() -> None:
    ledger = ledger_of({BEGIN: 100})
    ledger.put_none(ENERGY_IN, moment(BEGIN + HALF_HOUR_SECONDS), TENTH)
    ledger.begin(B)
    days = [DAY - timedelta(days=1), DAY, DAY + timedelta(days=1), DAY + timedelta(days=10)]
    assert [ledger.nones(ENERGY_IN, day) for day in days] == [0, 0, 0, 0]
    for slot in (0, 1, 47, 48):
        ledger.put_none(ENERGY_IN, moment(BEGIN + slot * HALF_HOUR_SECONDS), TENTH)
    ledger.put_none(ENERGY_OUT, moment(BEGIN), TENTH)
    assert [ledger.nones(ENERGY_IN, day) for day in days] == [0, 3, 1, 0]
    assert [ledger.nones(ENERGY_OUT, day) for day in days] == [0, 1, 0, 0]
    month = ledger.months[A, "2026-10"].counts[ENERGY_IN]
    assert sum(month.answered) == 1, "what the meter before has no value of is another matter"
    fill(ledger, {BEGIN: 7})
    assert ledger.energy(ENERGY_IN, BEGIN) == Decimal("0.7"), "and what it counted"
    ledger.begin(C)
    assert [ledger.nones(ENERGY_IN, day) for day in days] == [0, 0, 0, 0]
    assert ledger.energy(ENERGY_IN, BEGIN) is None


def recalled(ledger: Ledger, part: Lost, energies: Mapping[int, int]) -> dict[int, tuple[int, int]]:
    """Return what is known of the meter of a lost part, once the recorder has told: counts, and who told them."""
    ledger.recall(ENERGY_IN, part, {at: count * TENTH.step for at, count in energies.items()})
    return {
        month.begin + slot * HALF_HOUR_SECONDS: (value, month.counts[ENERGY_IN].sources[slot])
        for month in ledger.months.values()
        if month.meter == part.tenure.meter
        for slot, value in enumerate(month.counts[ENERGY_IN].values)
        if value != UNKNOWN
    }


def test_what_the_recorder_has_of_a_lost_month() -> None:
    ledger = ledger_of({BEGIN: 100})
    former = ledger.tenures[0]
    former.scale = TENTH
    last = BEGIN + 2 * 3600
    part = Lost(former, BEGIN, last)
    before = {BEGIN: (100, Source.HISTORY)}
    assert recalled(ledger, part, {BEGIN: 5}) == before, "what is known stays"
    assert recalled(ledger, part, {BEGIN - 3600: 5, last + HALF_HOUR_SECONDS: 5, BEGIN + 1: 5}) == before
    ledger.recall(ENERGY_IN, part, {BEGIN + 3600: 5 * TENTH.step + 1})
    ledger.changed.clear()
    assert recalled(ledger, part, {last: 120}) == {**before, last: (120, Source.POLL)}
    assert ledger.changed == {(A, "2026-10")}
    assert recalled(ledger, part, {last: 121})[last] == (120, Source.POLL)
    # Right where a meter took over, the recorder has the counter of the one before.
    ledger.begin(B)
    present = ledger.tenures[1]
    present.since = BEGIN
    part = Lost(present, BEGIN, last)
    ledger.recall(ENERGY_IN, part, {last: 1})
    assert (B, "2026-10") not in ledger.months, "nobody knows how it counts"
    present.scale = TENTH
    assert recalled(ledger, part, {BEGIN: 100, BEGIN + 3600: 7}) == {BEGIN + 3600: (7, Source.POLL)}


@pytest.mark.parametrize(("off", "is_found"), [(-1, False), (0, True), (4, True), (5, False)])
def test_the_first_counter_of_all_comes_back_though_no_row_ends_with_it(off: int, *, is_found: bool) -> None:
    ledger = ledger_of({BEGIN + 86_400: 9})
    tenure = ledger.tenures[0]
    tenure.scale = TENTH
    tenure.oldest = {ENERGY_IN: (BEGIN + off * HALF_HOUR_SECONDS, 3)}
    part = Lost(tenure, BEGIN, BEGIN + 4 * HALF_HOUR_SECONDS)
    found = recalled(ledger, part, {})
    assert (found.get(BEGIN + off * HALF_HOUR_SECONDS) == (3, Source.POLL)) is is_found
    ledger.recall(ENERGY_OUT, part, {})
    assert ENERGY_OUT not in ledger.months[A, "2026-10"].counts


def test_the_half_hours_of_a_day() -> None:
    times = list(half_hours(DAY))
    assert (times[0], len(times)) == (BEGIN, 48)
    assert HALF_HOUR.total_seconds() == HALF_HOUR_SECONDS
    assert times == [BEGIN + number * 1800 for number in range(48)]


def test_a_day_that_is_asked_for_again() -> None:
    ledger = ledger_of({})
    days = [DAY - timedelta(days=1), DAY, DAY + timedelta(days=1)]
    for at in (each for day in days for each in half_hours(day)):
        for key in DIRECTIONS:
            ledger.put_none(key, moment(at), TENTH)
    ledger.forget_none(ENERGY_IN, DAY)
    assert [len(ledger.holes(ENERGY_IN, day)) for day in days] == [0, 48, 0]
    assert [len(ledger.holes(ENERGY_OUT, day)) for day in days] == [0, 0, 0]
    (month,) = ledger.months.values()
    assert len(month.counts[ENERGY_IN].answered) == month.days * SLOTS
    # Days of which nothing is known are no matter.
    ledger.forget_none(ENERGY_IN, date(2020, 1, 1))
    Ledger.forget_none(ledger_of({BEGIN: 1}), ENERGY_OUT, DAY)


def test_the_new_meter_is_not_asked_for_what_it_counted_elsewhere() -> None:
    ledger = ledger_of({BEGIN: 5})
    ledger.hear(moment(BEGIN + 3 * HALF_HOUR_SECONDS), {ENERGY_IN: 6}, TENTH)
    assert ledger.begin(B)
    since = BEGIN + 3 * HALF_HOUR_SECONDS
    assert ledger.tenures[-1].since == since
    assert ledger.holes(ENERGY_IN, DAY) == [at for at in half_hours(DAY) if at > since]
    assert ledger.holes(ENERGY_IN, DAY - timedelta(days=1)) == []


def test_a_meter_begins_once() -> None:
    ledger = Ledger()
    assert not ledger.tenures
    assert not is_changed(ledger)
    assert ledger.begin(A)
    assert is_changed(ledger)
    ledger.is_index_changed = False
    assert not ledger.begin(A)
    assert not is_changed(ledger)
    assert ledger.tenure is ledger.tenures[0]
    assert [tenure.since for tenure in ledger.tenures] == [None]
    # Who was never heard has counted nothing here.
    assert ledger.begin(B)
    assert is_changed(ledger)
    assert [tenure.meter for tenure in ledger.tenures] == [A, B]
    assert ledger.tenures[-1].since is None


@pytest.mark.parametrize(("heard", "told"), product((None, -90, 90, 4000), (None, 0, 1)))
def test_a_meter_ends_where_it_was_last_heard(heard: int | None, told: int | None) -> None:
    ledger = ledger_of({})
    times = []
    if told is not None:
        for key in DIRECTIONS[: told + 1]:
            fill(ledger, {BEGIN - 86400: 1, BEGIN + told * HALF_HOUR_SECONDS: 2}, key=key)
        times.append(BEGIN + told * HALF_HOUR_SECONDS)
    if heard is not None:
        ledger.hear(moment(BEGIN + heard), {ENERGY_IN: 2}, TENTH)
        times.append(BEGIN + heard)
    ledger.begin(B)
    assert ledger.tenures[-1].since == max(times, default=None)


def test_another_meters_counters_do_not_matter_to_the_end_of_one() -> None:
    ledger = ledger_of({BEGIN: 1})
    ledger.begin(B)
    fill(ledger, {BEGIN + 86400: 2, BEGIN + 40 * 86400: 3})
    ledger.begin(A)
    assert ledger.tenures[-1].since == BEGIN + 40 * 86400
    ledger.begin(B)
    assert ledger.tenures[-1].since == BEGIN


def test_the_first_and_the_last_sample() -> None:
    ledger = ledger_of({})
    ledger.is_index_changed = False
    ledger.hear(moment(BEGIN), {ENERGY_IN: 1, ENERGY_OUT: 2}, TENTH)
    assert is_changed(ledger)
    ledger.is_index_changed = False
    ledger.hear(moment(BEGIN + 60), {ENERGY_IN: 3}, TENTH)
    (tenure,) = ledger.tenures
    assert tenure.first == Sample(BEGIN, {ENERGY_IN: 1, ENERGY_OUT: 2})
    assert tenure.last == Sample(BEGIN + 60, {ENERGY_IN: 3})
    assert tenure.scale == TENTH
    assert not ledger.is_index_changed, "a memory card does not like to be written each minute"


def test_a_meter_that_counts_otherwise_than_it_was_taken_for() -> None:
    ledger = ledger_of({BEGIN: 12, BEGIN + 86400 * 3: 13})
    ledger.hear(moment(BEGIN), {ENERGY_IN: 12}, TENTH)
    ledger.begin(B)
    fill(ledger, {BEGIN + 86400 * 4: 14})
    ledger.begin(A)
    fill(ledger, {BEGIN + 86400 * 5: 15})
    ledger.hear(moment(BEGIN + 86400 * 5), {ENERGY_IN: 15}, TENTH)
    ledger.changed.clear()
    ledger.is_index_changed = False
    versions = {place: month.version for place, month in ledger.months.items()}
    finer = Scale(10_000, 10**8)
    ledger.hear(moment(BEGIN + 86400 * 5), {ENERGY_IN: 15}, finer)
    assert is_changed(ledger)
    assert ledger.changed == {(A, "2026-10"), (A, "2026-11")}
    assert ledger.energy(ENERGY_IN, BEGIN) == Decimal("0.12")
    assert ledger.months[B, "2026-11"].scale == TENTH
    assert all((month.version > versions[place]) == (place[0] == A) for place, month in ledger.months.items())
    ledger.changed.clear()
    ledger.is_index_changed = False
    ledger.hear(moment(BEGIN + 86400 * 5 + 60), {ENERGY_IN: 15}, finer)
    assert not ledger.changed
    assert not is_changed(ledger)


def test_meters_are_found_again_from_their_months() -> None:
    ledger = ledger_of({BEGIN + 86400 * 40: 1, BEGIN + 86400 * 41: 3})
    ledger.begin(B)
    fill(ledger, {BEGIN: 1, BEGIN + 86400 * 3: 3})
    ledger.begin(C)
    fill(ledger, {BEGIN: 1, BEGIN + 86400 * 80: 3})
    ledger.tenures.clear()
    ledger.find_tenures()
    assert [(each.meter, each.since) for each in ledger.tenures] == [
        (B, None),
        (A, BEGIN + 86400 * 3),
        (C, BEGIN + 86400 * 41),
    ]
    empty = Ledger()
    empty.find_tenures()
    assert not empty.tenures


def test_a_month_without_a_counter_has_no_oldest() -> None:
    ledger = ledger_of({})
    assert ledger.oldest() is None
    ledger.put_none(ENERGY_IN, moment(BEGIN - 40 * 86400), TENTH)
    assert ledger.oldest() is None
    ledger.begin(B)
    fill(ledger, {BEGIN + 86400 * 5: 3}, key=ENERGY_OUT)
    assert ledger.oldest() == moment(BEGIN + 86400 * 5)
    fill(ledger, series(BEGIN, 5, [1, 1]))
    assert ledger.oldest() == moment(BEGIN)
    assert ledger.oldest() == datetime(2026, 10, 29, 15, tzinfo=UTC)


def test_corrections() -> None:
    ledger = ledger_of({})
    ledger.is_index_changed = False
    ledger.correct(ENERGY_IN, BEGIN, None)
    assert not is_changed(ledger)
    ledger.correct(ENERGY_IN, BEGIN, 5)
    assert is_changed(ledger)
    assert ledger.corrections == {ENERGY_IN: {BEGIN: 5}, ENERGY_OUT: {}}
    ledger.is_index_changed = False
    ledger.correct(ENERGY_IN, BEGIN, 5)
    assert not is_changed(ledger)
    ledger.correct(ENERGY_IN, BEGIN, 0)
    assert is_changed(ledger)
    assert ledger.corrections[ENERGY_IN] == {BEGIN: 0}
    ledger.is_index_changed = False
    ledger.correct(ENERGY_IN, BEGIN, None)
    assert is_changed(ledger)
    assert ledger.corrections[ENERGY_IN] == {}


@pytest.mark.parametrize(("year", "month", "days"), [(2026, 12, 31), (2027, 2, 28), (2028, 2, 29), (2026, 1, 31)])
def test_the_length_of_a_month(year: int, month: int, days: int) -> None:
    found = Month(A, year, month, TENTH)
    assert (found.days, found.name) == (days, f"{year}-{month:02}")
    assert len(found.direction(ENERGY_IN).values) == days * 48
    assert found.direction(ENERGY_IN) is found.direction(ENERGY_IN)


def test_before_the_first_meter_nothing_was_counted() -> None:
    assert Ledger().energy(ENERGY_IN, BEGIN) is None
