"""What a person may type into the forms of a plan, in full or half width."""

from datetime import date
from decimal import Decimal

from hypothesis import given, strategies as st
import pytest

from custom_components.broute.energy.plan_text import InvalidTextError, dates, lines, number, numbers, table

WIDE = str.maketrans("0123456789.,-:/", "０１２３４５６７８９．，－：／")  # noqa: RUF001  # as typed in Japanese


@given(st.decimals(-1_000_000, 1_000_000, places=2))
def test_a_number_is_kept_as_it_is_typed(typed: Decimal) -> None:
    assert number(f"{typed}") == number(f" {typed:,}円 ") == number(f"{typed:,}".translate(WIDE)) == f"{typed}"


@pytest.mark.parametrize(
    ("typed", "kept"),
    [("1e3", "1000"), ("1000000", "1000000"), ("-1,000,000", "-1000000"), ("▲1.5", "-1.5"), ("△0.5円", "-0.5")],
)
def test_a_number(typed: str, kept: str) -> None:
    assert number(typed) == kept


@pytest.mark.parametrize("typed", ["", "-", "1..2", "twelve", "1000000.01", "-1000001", "NaN", "Infinity", "1 2"])
def test_no_number(typed: str) -> None:
    with pytest.raises(InvalidTextError):
        number(typed)


def test_several_numbers() -> None:
    assert numbers("120, 300") == numbers("１２０、３００、") == ["120", "300"]  # noqa: RUF001  # as typed in Japanese
    assert numbers(" , ") == []
    with pytest.raises(InvalidTextError):
        numbers("120; 300")


@given(st.dictionaries(st.dates(date(1, 1, 1)).map(lambda day: f"{day:%Y-%m}".zfill(7)), st.integers(-99, 99).map(str)))
def test_a_table_is_typed_as_it_is_shown(kept: dict[str, str]) -> None:
    shown = lines(kept)
    for typed in (shown, shown.translate(WIDE), f"\n{shown}\n \n", shown.replace(":", "=")):
        assert table(typed, len("2026-04")) == dict(sorted(kept.items()))
    assert list(table(shown, len("2026-04"))) == sorted(kept)


def test_a_table_of_years() -> None:
    assert table("2026: 4.18\n2025：3.98", len("2026")) == {"2025": "3.98", "2026": "4.18"}  # noqa: RUF001  # typed so
    assert table("2026/04: 1\n2025/12:-2", len("2026-04")) == {"2025-12": "-2", "2026-04": "1"}
    assert table("", len("2026")) == {}


@pytest.mark.parametrize(
    ("typed", "length"),
    [
        ("2026", 4),
        ("26: 1", 4),
        ("2026-04: 1", 4),
        ("2026-13: 1", 7),
        ("2026: 1", 7),
        ("2026-W1: 1", 7),
        ("2026-04: one", 7),
        ("2026-04: 1\n2026/04: 2", 7),
        ("April: 1", 7),
    ],
)
def test_no_table(typed: str, length: int) -> None:
    with pytest.raises(InvalidTextError):
        table(typed, length)


def test_dates() -> None:
    assert dates("2026/04/10, 2026-03-11\n２０２６／０３／１１、 \n") == ["2026-03-11", "2026-04-10"]  # noqa: RUF001  # typed so
    assert dates("") == []
    with pytest.raises(InvalidTextError, match="31"):
        dates("2026-04-30, 2026-04-31")
