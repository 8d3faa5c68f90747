"""The history by half-hours, hours, days, months and billing periods."""

import csv
from datetime import date, timedelta
from decimal import Decimal
import io
import random

from hypothesis import given, settings, strategies as st
import pytest

from custom_components.broute.aiobroute import JST
from custom_components.broute.energy.bill import Usage, bill, periods
from custom_components.broute.energy.length import Length
from custom_components.broute.energy.records import Record, day_table, half_hour_table, records, sen
from custom_components.broute.energy.tariff import (
    HALF_HOUR,
    Billing,
    Contract,
    MonthlyCharge,
    Plan,
    Step,
    simple,
    stepped,
)

from .test_bill import half_hours, midnight

FIRST = date(2026, 1, 20)
END = date(2026, 4, 5)
STEPS = (Step(Decimal(120), Decimal("29.80")), Step(Decimal(300), Decimal("36.40")), Step(None, Decimal("40.49")))
PLAN = Plan(
    name="三段階",
    valid_from=date(2026, 2, 3),
    energy=stepped(STEPS),
    basic=MonthlyCharge(Decimal("1247.00")),
    billing=Billing(10),
    feed_in=simple(Decimal(16)),
)
CONTRACT = Contract((PLAN,))


def usage(seed: int = 0, missing: float = 0.05) -> Usage:
    """Return a time with holes."""
    chance = random.Random(seed)
    starts = half_hours(FIRST, END)
    taken = {start: Decimal(chance.randrange(12)) / 10 for start in starts if chance.random() >= missing}
    fed = {start: Decimal(chance.randrange(5)) / 10 for start in starts if chance.random() >= missing}
    return Usage(taken=taken, fed=fed)


def found(
    length: Length,
    used: Usage,
    first: date = FIRST,
    last: date = END - timedelta(days=1),
    contract: Contract | None = CONTRACT,
    since: date = FIRST,
) -> list[Record]:
    return records(contract, used, length, first, last, begins=[midnight(since)], now=midnight(END))


def add(each: list[Decimal | None]) -> Decimal | None:
    known = [value for value in each if value is not None]
    return sum(known, Decimal(0)) if known else None


@settings(max_examples=20)
@given(st.integers(0, 10**6), st.sampled_from(list(Length)), st.sampled_from([0, 0.05, 0.7, 1]))
def test_half_hours_add_up_to_whatever_is_asked_for(seed: int, length: Length, missing: float) -> None:
    used = usage(seed, missing)
    each = {record.start: record for record in found(Length.HALF_HOUR, used)}
    assert list(each) == half_hours(FIRST, END)
    for record in found(length, used):
        inside = [
            each.get(record.start + number * HALF_HOUR) for number in range((record.end - record.start) // HALF_HOUR)
        ]
        known = [half_hour for half_hour in inside if half_hour is not None]
        assert record.energy_in == add([one.energy_in for one in known])
        assert record.energy_out == add([one.energy_out for one in known])
        assert record.compensation == add([one.compensation for one in known])
        assert record.known_in == sum(one.energy_in is not None for one in known)
        assert record.known_out == sum(one.energy_out is not None for one in known)
        assert record.priced_in == sum(one.cost is not None for one in known)
        highest = max((one.energy_in for one in known if one.energy_in is not None), default=None)
        assert (None if record.peak is None else record.peak.demand) == (None if highest is None else 2 * highest)
        if not missing and length is not Length.MONTH:
            assert record.cost == add([one.cost for one in known])


def test_a_billing_period_that_is_over_has_its_bill() -> None:
    used = usage()
    made = found(Length.BILLING_PERIOD, used, date(2026, 2, 20), date(2026, 4, 4))
    assert [each.start for each in made] == [midnight(date(2026, 2, 10)), midnight(date(2026, 3, 10))]
    (period, _) = periods(CONTRACT, date(2026, 2, 20), date(2026, 3, 20))
    assert made[0].bill == bill(CONTRACT, used, period).total
    assert made[0].cost is not None
    # The levy and the total are rounded down.
    assert 0 <= made[0].cost - made[0].bill < 2
    # The running one has what is over so far.
    assert made[1].bill is None
    assert made[1].half_hours == 26 * 48
    assert made[1].end == midnight(date(2026, 4, 10))


def test_before_the_first_plan_there_is_energy_without_a_cost() -> None:
    used = usage(missing=0)
    for contract, priced in ((CONTRACT, 26 * 48), (None, 0)):
        (january, february) = found(Length.MONTH, used, FIRST, date(2026, 2, 28), contract)
        assert january.cost is None
        assert january.compensation is None
        assert january.priced_in == january.priced_out == 0
        # The month is whole, and most of it is before what is known.
        assert (january.half_hours, january.known_in) == (31 * 48, 12 * 48)
        assert february.priced_in == february.priced_out == priced
        assert february.energy_in == sum(
            (taken for start, taken in used.taken.items() if start.astimezone(JST).month == 2 and taken), Decimal(0)
        )
    assert not found(Length.BILLING_PERIOD, used, contract=None)
    assert not found(Length.BILLING_PERIOD, used, FIRST, date(2026, 2, 2))


@pytest.mark.parametrize("length", list(Length))
def test_what_is_not_known(length: Length) -> None:
    nothing = Usage(taken={})
    for record in found(length, nothing):
        told = (record.energy_in, record.energy_out, record.cost, record.compensation, record.peak, record.bill)
        assert told == (None,) * 6
        assert record.known_in == record.priced_in == 0
        assert record.half_hours > 0
    # Nobody wants the rows of a century before the meter was there.
    assert found(length, nothing, date(1950, 1, 1)) == found(length, nothing)
    # What is to come is not there yet.
    assert not found(length, nothing, END, END + timedelta(days=3)) or length in {Length.MONTH, Length.BILLING_PERIOD}


def test_a_running_day_ends_with_the_last_half_hour() -> None:
    used = usage(missing=0)
    now = midnight(FIRST) + timedelta(days=1, hours=10, minutes=44)
    made = records(CONTRACT, used, Length.DAY, FIRST, END, begins=[midnight(FIRST)], now=now)
    assert [each.half_hours for each in made] == [48, 21]


def test_days_before_any_half_hour_that_is_known_are_left_out() -> None:
    used, second = usage(missing=0), FIRST + timedelta(days=1)
    last = midnight(second) + timedelta(hours=23, minutes=30)
    for begins in ([last], [last, midnight(END)], [midnight(END), last]):
        made = records(CONTRACT, used, Length.DAY, FIRST, second, begins=begins, now=midnight(END))
        assert [each.start for each in made] == [midnight(second)]
    assert not records(CONTRACT, used, Length.DAY, FIRST, second, begins=[], now=midnight(END))


def read(text: str) -> list[list[str]]:
    assert text.count("\r\n") == text.count("\n")
    return list(csv.reader(io.StringIO(text, newline="")))


def test_a_table_of_half_hours() -> None:
    used = Usage(taken={midnight(date(2026, 3, 1)): Decimal("0.10"), midnight(date(2026, 3, 1)) + HALF_HOUR: None})
    made = found(Length.HALF_HOUR, used, date(2026, 3, 1), date(2026, 3, 1))
    heads, *rows = read(half_hour_table(made, ["開始", "買", "売", "最大", "円"]))
    assert heads == ["開始", "買", "売", "最大", "円"]
    assert len(rows) == 48
    assert made[0].cost is not None
    assert rows[0] == ["2026-03-01 00:00", "0.1", "", "0.2", format(sen(made[0].cost).normalize(), "f")]
    assert rows[1] == ["2026-03-01 00:30", "", "", "", ""]


def test_a_table_of_days() -> None:
    used = usage(missing=0.1)
    made = found(Length.HALF_HOUR, used, date(2026, 2, 28), date(2026, 3, 1))
    heads, *rows = read(day_table(made, "年月日"))
    assert (heads[0], heads[1], heads[2], heads[-1], len(heads)) == ("年月日", "00:00", "00:30", "23:30", 49)
    assert [row[0] for row in rows] == ["2026-02-28", "2026-03-01"]
    for row in rows:
        start = midnight(date.fromisoformat(row[0]))
        told = [None if text == "" else Decimal(text) for text in row[1:]]
        assert told == [used.taken.get(start + number * HALF_HOUR) for number in range(48)]


@pytest.mark.parametrize("is_over", [True, False])
def test_a_billing_period_that_is_just_over_has_its_bill(is_over: bool) -> None:  # noqa: FBT001  # a parameter
    used = usage(missing=0)
    end = midnight(date(2026, 3, 10))
    now = end if is_over else end - timedelta(seconds=1)
    days = date(2026, 2, 20), date(2026, 2, 20)
    (made,) = records(CONTRACT, used, Length.BILLING_PERIOD, *days, begins=[midnight(FIRST)], now=now)
    (period,) = periods(CONTRACT, days[0], days[0] + timedelta(days=1))
    assert made.bill == (bill(CONTRACT, used, period).total if is_over else None)
