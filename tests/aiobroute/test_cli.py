"""How the command line shows what it was told."""

from contextlib import suppress
from datetime import date, timedelta
from decimal import Decimal

from hypothesis import given, strategies as st
import pytest

from custom_components.broute.aiobroute import FrameError, MeterProfile
from custom_components.broute.aiobroute.cli.columns import bar, columns
from custom_components.broute.aiobroute.cli.missing import days
from custom_components.broute.aiobroute.cli.words import place, say
from custom_components.broute.aiobroute.echonet import properties as p

CELLS = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=9)

PROFILE = MeterProfile.of({0xE1: b"\x01", 0xD3: b"\x00\x00\x00\x01", 0x8A: bytes.fromhex("000016")})

TEXTS = {p.STANDARD_VERSION.code, p.SERIAL_NUMBER.code}
"""Have whatever the meter's maker wrote there."""

DAY = date(2026, 11, 23)


@given(st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=1, max_size=9))
def test_columns_are_below_each_other(rows: list[tuple[str, str, str]]) -> None:
    lines = columns(rows, "<><")
    widths = [max(len(row[place]) for row in rows) for place in range(3)]
    for (first, second, third), line in zip(rows, lines, strict=True):
        padded = line.ljust(sum(widths) + 4)
        assert padded[: widths[0]].rstrip() == first
        assert padded[widths[0] + 2 : widths[0] + 2 + widths[1]].lstrip() == second
        assert padded[widths[0] + widths[1] + 4 :].rstrip() == third
        assert not line.endswith(" ")


@given(st.floats(0, 1), st.floats(0, 1), st.integers(1, 40), st.sampled_from(["utf-8", "ascii", None]))
def test_a_bar_is_as_long_as_its_share(one: float, other: float, width: int, encoding: str | None) -> None:
    bars = [bar(share, width, encoding) for share in sorted((one, other))]
    assert len(bars[0]) <= len(bars[1]) <= width
    "".join(bars).encode(encoding or "ascii")
    assert bar(0, width, encoding) == ""
    assert len(bar(1, width, encoding)) == width


def test_a_bar_is_exact_to_an_eighth() -> None:
    assert [bar(eighths / 16, 2, "utf-8") for eighths in range(1, 17)] == [
        *("▏", "▎", "▍", "▌", "▋", "▊", "▉", "█"),
        *("█▏", "█▎", "█▍", "█▌", "█▋", "█▊", "█▉", "██"),
    ]


def test_days_in_a_row_are_told_together() -> None:
    missing = [
        (DAY - timedelta(days=back), part, "no answer") for back, part in ((3, ""), (1, ""), (0, ""), (0, "all"))
    ]
    assert days(missing) == ("2026-11-20: no answer; 2026-11-22 to 2026-11-23: no answer; 2026-11-23, all: no answer")


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (0x00, "not set"),
        (0x01, "code 01"),
        (0x08, "living room"),
        (0x0B, "living room 3"),
        (0x18, "kitchen"),
        (0x60, "garden"),
        (0x7F, "other 7"),
        (0x80, "code 80"),
        (0xFF, "not known"),
        ((1 << 128) + 7, "geographic position"),
    ],
)
def test_places(code: int, said: str) -> None:
    assert place(code) == said


@pytest.mark.parametrize(
    ("code", "data", "said"),
    [
        (0x80, "31", "off"),
        (0x88, "41", "fault"),
        (0x89, "0000", "none"),
        (0x89, "03E8", "code 03E8"),
        (0x8A, "000016", "Toshiba"),
        (0x82, "00005201", "R.1"),
        (0xD0, "07EA0B170E1E00000001E2FFFFFFFE", "48.2 kWh from the grid, no value to the grid at 2026-11-23 14:30"),
        (0xD3, "000F423F", "999999"),
        (0xE5, "00", "today"),
        (0xE5, "01", "yesterday"),
        (0xE5, "63", "99 days ago"),
        (0xE5, "FF", "no value"),
        (0xE7, "000F4240", "1,000,000 W"),
        (0xE8, "00187FFE", "R 2.4 A"),
        (0xE8, "7FFE7FFE", "no value"),
        (0xEC, "07EA0B170E1E01" + "000001E2" * 2, "48.2 kWh from the grid, 48.2 kWh to the grid at 2026-11-23 14:30"),
        (0xEC, "FFFF0B170E1E01" + "000001E2" * 2, "no time chosen"),
        (0xED, "07EA0B170E1E0C", "12 steps up to 2026-11-23 14:30"),
        (0xF0, "07", "07"),
    ],
)
def test_values_in_words(code: int, data: str, said: str) -> None:
    assert say(code, bytes.fromhex(data), PROFILE).startswith(said)


def test_a_counter_of_an_unknown_unit() -> None:
    assert say(0xE0, bytes.fromhex("0001E240"), MeterProfile.of({})) == "123,456 counts of an unknown unit"
    assert say(0x8A, bytes.fromhex("000016"), MeterProfile.of({})) == "000016"


def _data(code: int) -> st.SearchStrategy[tuple[int, bytes]]:
    sizes = p.PROPERTIES[code].sizes  # type: ignore[attr-defined]
    return st.sampled_from(sizes).flatmap(
        lambda size: st.tuples(st.just(code), st.binary(min_size=size, max_size=size))
    )


@given(st.sampled_from(sorted(p.PROPERTIES)).flatmap(_data))
def test_no_value_is_said_in_python(held: tuple[int, bytes]) -> None:
    with suppress(FrameError):
        said = say(*held, PROFILE)
        assert "None" not in said
        assert not {*"()[]{}='"} & {*said} or held[0] in TEXTS


def test_decimals_are_whole() -> None:
    assert say(0xE1, b"\x00", PROFILE) == f"{Decimal(1)} kWh"
