"""The bench measures everything that it promises, and would notice a figure that went wrong."""

from dataclasses import replace
import json

import pytest

from custom_components.broute.aiobroute import MeterProfile

from .bench.__main__ import main
from .bench.figures import Figure, figures
from .bench.measurements import PROFILE
from .bench.report import bars, markdown, picture, table

PEERS = {
    "restart_warm": {"radio_warm"},
    "restart": {"built_in", "best", "radio"},
    "install": {"built_in", "best", "radio_install"},
    "cpu": {"built_in", "best", "floor"},
    "cpu_j11": {"broute_j11"},
    "restart_j11": {"broute_j11"},
    "cpu_lan": {"dongle"},
    "decode": {"momonga"},
    "import": {"momonga"},
    "history": {"momonga", "radio"},
    "lost_event": {"momonga"},
    "lost_silent": {"momonga"},
    "growth_cpu": {"first"},
    "linear_cpu": {"one"},
}


@pytest.mark.timeout(600)
@pytest.mark.usefixtures("socket_enabled")
def test_a_quick_run_measures_everything(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--quick", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["machine"]["versions"]["momonga"] == "0.7.0"
    measured = result["figures"]
    for key in figures():
        assert {"ours", *PEERS.get(key, ())} <= measured[key].keys(), key
    # What depends on no machine.
    assert measured["datagrams"] == {"ours": [2], "built_in": [6], "best": [2]}
    assert measured["descriptors"]["ours"] == [1]
    # What the meter tells unasked may be among so few polls; an echo of what is sent would be a fifth.
    assert measured["bytes"]["floor"] == pytest.approx(measured["bytes"]["ours"], rel=0.15)
    assert measured["bytes"]["ours"] < measured["bytes"]["best"] < measured["bytes"]["built_in"]


def test_the_meter_is_known_as_this_version_keeps_it() -> None:
    assert MeterProfile.from_raw(PROFILE).is_complete


def figure(ours: float, peer: float) -> Figure:
    return Figure(title="time", unit="s", limit=2, ratios={"momonga": 0.5}, samples={"ours": [ours], "momonga": [peer]})


def test_only_what_is_missed_by_far_is_a_failure() -> None:
    assert not list(figure(1, 2).misses())
    assert list(figure(1.1, 2).misses()) == ["momonga"]
    assert not list(figure(1.1, 2).failures())
    assert list(figure(2.1, 6).misses()) == ["limit"]
    assert not list(figure(2.1, 6).failures())
    assert list(figure(3, 6).failures()) == ["time: 3.00, at most 2 s wanted"]
    assert list(figure(1.3, 2).failures()) == ["time: 0.65 of momonga, at most 0.50 wanted"]


def test_what_is_not_measured_is_a_failure() -> None:
    nothing = replace(figure(1, 2), samples={})
    assert list(nothing.misses()) == ["momonga", "limit"]
    assert list(nothing.failures()) == ["time: momonga not measured", "time: limit not measured"]
    alone = replace(figure(1, 2), samples={"ours": [1.0], "momonga": []})
    assert list(alone.failures()) == ["time: momonga not measured"]
    for each in figures().values():
        assert any(each.failures()) == bool(each.ratios or each.limit is not None), each.title


def test_half_a_datagram_a_poll_is_a_failure() -> None:
    datagrams = replace(figures()["datagrams"], samples={"ours": [2.5]})
    assert list(datagrams.failures()) == ["datagrams a poll, out and in: 2.50, at most 2 wanted"]
    assert not list(replace(datagrams, samples={"ours": [2.005]}).failures())


def test_ratios_are_those_of_the_same_round() -> None:
    # The median of ours is 3, and that of the other one 20.
    paired = Figure(title="time", unit="s", samples={"ours": [1, 20, 3], "momonga": [2, 20, 60]})
    assert paired.ratio("momonga") == 0.5


def test_what_is_missed_is_told_in_every_form() -> None:
    measured = {"time": figure(3, 4)}
    row = "time, s aiobroute 1 3 3 3 ≤ 2 s missed"
    assert table(measured).splitlines()[1].split() == row.split()
    assert markdown(measured).splitlines()[3] == "|  | momonga | 1 | 4 | 4 | 4 | 0.75 | ≤ 0.50 | missed |"
    ours, peer = bars(measured).splitlines()[1:]
    assert (ours.count("█"), peer.count("█")) == (30, 40)
    assert picture(measured, "now").startswith(b"\x89PNG")
