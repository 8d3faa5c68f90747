"""What the other tests wait with."""

from typing import Any

import pytest

from .aiobroute.virtual_time import run
from .home import now, until


def test_a_wait_goes_on_until_it_is_so() -> None:
    async def wait() -> float:
        await until(lambda: now() > 5)
        return now()

    assert 5 < run(wait()) < 6


def test_a_wait_has_an_end() -> None:
    async def wait() -> None:
        await until(lambda: False, within=60)

    with pytest.raises(AssertionError, match="not so within 60 s"):
        run(wait())


@pytest.mark.parametrize("answer", [None, 0, 1, "yes", object()])
def test_only_yes_and_no_are_answers(answer: Any) -> None:
    async def wait() -> None:
        await until(lambda: answer, within=60)

    with pytest.raises(AssertionError, match="neither yes nor no"):
        run(wait())
