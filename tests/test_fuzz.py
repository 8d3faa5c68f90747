"""A short run of the fuzzer, always the same."""

from collections import Counter

import pytest

from .fuzz.__main__ import fuzz, main
from .fuzz.network import LAN
from .simulator.dongle import MODULES


@pytest.mark.parametrize("module", sorted(MODULES))
def test_anything_at_any_point(module: str) -> None:
    executed: Counter[str] = Counter()
    fuzz([module], 1, executed, scale=0.5)
    assert executed["conversation"] >= 10


@pytest.mark.own_loop
@pytest.mark.usefixtures("echonet_port")
def test_anything_in_the_home_network() -> None:
    executed: Counter[str] = Counter()
    fuzz([LAN], 1, executed, scale=0.5)
    assert executed["conversation"] >= 10


def test_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--minutes", "0", "--seed", "1", "--module", "bp35c2"]) == 0
    assert "conversation" in capsys.readouterr().out
