"""What is worked out once."""

from custom_components.broute.energy.kept import Kept


async def test_nothing_is_worked_out_twice_in_a_row() -> None:
    kept, worked_out = Kept[int | None](), []

    async def work_out() -> int | None:
        worked_out.append(1)
        return len(worked_out) if len(worked_out) > 1 else None

    made_of = [1, 1, None, None, 1]
    assert [await kept.get(each, work_out) for each in made_of] == [None, None, 2, 2, 3]
