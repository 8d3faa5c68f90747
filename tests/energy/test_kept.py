"""What is worked out once."""

from collections.abc import Mapping
from datetime import date, timedelta

from hypothesis import example, given, strategies as st

from custom_components.broute.energy.kept import Kept, changes_within

days = st.dates(date(2026, 10, 25), date(2027, 2, 5))


async def test_nothing_is_worked_out_twice_in_a_row() -> None:
    kept, worked_out = Kept[int | None](), []

    async def work_out() -> int | None:
        worked_out.append(1)
        return len(worked_out) if len(worked_out) > 1 else None

    made_of = [1, 1, None, None, 1]
    assert [await kept.get(each, work_out) for each in made_of] == [None, None, 2, 2, 3]


@given(st.dictionaries(days, st.integers(1, 9)), st.dictionaries(days, st.integers(1, 9)), days, days)
@example({date(2026, 11, 1): 2}, {date(2026, 11, 30): 3}, date(2026, 11, 1), date(2026, 11, 2))
@example({date(2026, 11, 2): 2}, {date(2026, 11, 1): 3}, date(2026, 10, 31), date(2026, 11, 2))
@example({date(2026, 11, 1): 2}, {date(2026, 12, 1): 3}, date(2026, 10, 31), date(2026, 11, 30))
def test_changes_of_days_and_of_their_months(
    by_day: Mapping[date, int], by_month: Mapping[date, int], one: date, other: date
) -> None:
    first, end = sorted((one, other))
    within = [first + timedelta(days=number) for number in range((end - first).days + 1)]
    months = {f"{day:%Y-%m}": number for day, number in by_month.items()}
    touched = {f"{day:%Y-%m}" for day in within}
    assert changes_within(by_day, months, first, end) == (
        sum(by_day.get(day, 0) for day in within[:-1]),
        sum(number for month, number in months.items() if month in touched),
    )
