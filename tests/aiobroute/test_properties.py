"""Each property of the meter, from bytes and to bytes."""

from datetime import UTC, date, datetime, time, tzinfo
from decimal import Decimal
from typing import Any

from hypothesis import given, strategies as st
import pytest

from custom_components.broute.aiobroute import JST, PROPERTIES, FrameError, Property, Values
from custom_components.broute.aiobroute.echonet import properties as p

AT = datetime(2026, 11, 23, 14, 30, tzinfo=JST)
DAY = "0001" + "".join(f"{10000 + 3 * slot:08X}" for slot in range(47)) + "FFFFFFFE"

DECODED: list[tuple[Property[Any], str, object]] = [
    (p.OPERATION_STATUS, "30", True),
    (p.OPERATION_STATUS, "31", False),
    (p.INSTALLATION_LOCATION, "00", 0),
    (p.INSTALLATION_LOCATION, "01" + "00" * 15 + "07", (1 << 128) + 7),
    (p.STANDARD_VERSION, "00004600", "F.0"),
    (p.STANDARD_VERSION, "00005201", "R.1"),
    (p.IDENTIFICATION_NUMBER, "FE" + "000016" + "00" * 13, "FE000016" + "00" * 13),
    (p.MANUFACTURER_FAULT_CODE, "0300001601", "0300001601"),
    (p.FAULT_STATUS, "41", True),
    (p.FAULT_STATUS, "42", False),
    (p.FAULT_CONTENT, "03E8", 1000),
    (p.MANUFACTURER_CODE, "000016", "000016"),
    (p.SERIAL_NUMBER, b"S20G123 \0\0\0\0".hex(), "S20G123"),
    (p.CURRENT_TIME, "0E07", time(14, 7)),
    (p.CURRENT_DATE, "07EA0B17", date(2026, 11, 23)),
    (p.NOTIFICATION_MAP, "0580818 8EAEB".replace(" ", ""), {0x80, 0x81, 0x88, 0xEA, 0xEB}),
    (p.SET_MAP, "0381E5ED", {0x81, 0xE5, 0xED}),
    (p.SET_MAP, "00", set()),
    (
        p.GET_MAP,
        "1841414140404000624300414040430202",
        {0x80, 0x81, 0x82, 0x88, 0x8A, 0x8D, 0x97, 0x98, 0x9D, 0x9E, 0x9F, 0xD7}
        | {0xE0, 0xE1, 0xE2, 0xE3, 0xE4, 0xE5, 0xE7, 0xE8, 0xEA, 0xEB, 0xEC, 0xED},
    ),
    (p.ROUTE_B_ID, "00000016" + "00" * 12, "00000016" + "00" * 12),
    (
        p.MINUTE_ENERGY,
        "07EA0B170E1E000001E24000000929",
        p.MinuteCounts(AT, p.Counts(123456, 2345)),
    ),
    (p.COEFFICIENT, "000F423F", 999_999),
    (p.COEFFICIENT, "000F4240", None),
    (p.EFFECTIVE_DIGITS, "07", 7),
    (p.EFFECTIVE_DIGITS, "09", None),
    (p.ENERGY_IN, "0001E240", 123456),
    (p.ENERGY_IN, "05F5E0FF", 99_999_999),
    (p.ENERGY_IN, "05F5E100", None),
    (p.ENERGY_OUT, "FFFFFFFE", None),
    (p.ENERGY_UNIT, "01", Decimal("0.1")),
    (p.ENERGY_UNIT, "0D", Decimal(10000)),
    (p.HISTORY_IN, DAY, p.DayHistory(1, (*(10000 + 3 * slot for slot in range(47)), None))),
    (p.HISTORY_OUT, DAY, p.DayHistory(1, (*(10000 + 3 * slot for slot in range(47)), None))),
    (p.HISTORY_DAY, "63", 99),
    (p.HISTORY_DAY, "FF", None),
    (p.POWER, "000001F8", 504),
    (p.POWER, "FFFFFA24", -1500),
    (p.POWER, "80000001", -0x7FFFFFFF),
    (p.POWER, "80000000", None),
    (p.POWER, "7FFFFFFD", 0x7FFFFFFD),
    (p.POWER, "7FFFFFFE", None),
    (p.POWER, "7FFFFFFF", None),
    (p.CURRENTS, "00180014", (Decimal("2.4"), Decimal("2.0"))),
    (p.CURRENTS, "FFBF7FFE", (Decimal("-6.5"), None)),
    (p.CURRENTS, "80007FFF", (None, None)),
    (p.CURRENTS, "80017FFD", (Decimal("-3276.7"), Decimal("3276.5"))),
    (p.FIXED_TIME_IN, "07EA0B170E1E000001E240", p.FixedTimeCount(AT, 123456)),
    (p.FIXED_TIME_OUT, "07EA0B170E1E00FFFFFFFE", p.FixedTimeCount(AT, None)),
    (
        p.HALF_HOURS,
        "07EA0B170E1E020001E23A000009290001E233FFFFFFFE",
        p.HistorySpan(AT, (p.Counts(123450, 2345), p.Counts(123443, None))),
    ),
    (p.HALF_HOURS, "FFFFFFFFFFFF01FFFFFFFEFFFFFFFE", p.HistorySpan(None, (p.Counts(None, None),))),
    (p.HALF_HOURS_SELECTOR, "07EA0B170E1E0C", p.HistorySelector(AT, 12)),
    (p.HALF_HOURS_SELECTOR, "FFFFFFFFFFFF0C", p.HistorySelector(None, 12)),
    (p.MINUTES, "07EA0B170E1E010001E23A00000929", p.HistorySpan(AT, (p.Counts(123450, 2345),))),
    (p.MINUTES_SELECTOR, "07EA0B170E1E0A", p.HistorySelector(AT, 10)),
]

IMPOSSIBLE: list[tuple[Property[Any], str]] = [
    (p.OPERATION_STATUS, "32"),
    (p.FAULT_STATUS, "43"),
    (p.STANDARD_VERSION, "0000FF00"),
    (p.SERIAL_NUMBER, "FF" * 12),
    (p.CURRENT_TIME, "1800"),
    (p.CURRENT_DATE, "07EA0D17"),
    (p.GET_MAP, "0280"),
    (p.GET_MAP, "028080"),
    (p.GET_MAP, "10" + "01" * 15),
    (p.ENERGY_UNIT, "05"),
    (p.HISTORY_IN, "0064" + DAY[4:]),
    (p.HISTORY_DAY, "64"),
    (p.FIXED_TIME_IN, "07EA0B170E1E3C0001E240"),
    (p.HALF_HOURS, "07EA0B170E1E020001E23A00000929"),
    (p.HALF_HOURS_SELECTOR, "07EA0B170E1E0D"),
    (p.MINUTES_SELECTOR, "07EA0B170E1E00"),
]


def test_every_row_has_an_example() -> None:
    assert {row.code for row, _, _ in DECODED} == set(PROPERTIES)


@pytest.mark.parametrize(("row", "text", "value"), DECODED)
def test_decode(row: Property[Any], text: str, value: object) -> None:
    assert row.decode(bytes.fromhex(text)) == value


@pytest.mark.parametrize(("row", "text"), IMPOSSIBLE)
def test_an_impossible_content_is_an_error(row: Property[Any], text: str) -> None:
    with pytest.raises(FrameError):
        row.decode(bytes.fromhex(text))


@given(st.sampled_from(list(PROPERTIES.values())), st.binary(max_size=250))
def test_any_bytes_are_a_value_or_an_error(row: p.AnyProperty, data: bytes) -> None:
    try:
        row.decode(data)
    except FrameError:
        return


@given(st.sampled_from([row for row, _, _ in DECODED]), st.binary(max_size=250))
def test_another_length_is_an_error(row: Property[Any], data: bytes) -> None:
    if len(data) not in row.sizes:
        with pytest.raises(FrameError):
            row.decode(data)


@given(st.integers(-0x8000_0000, 0x7FFF_FFFF))
def test_every_power_is_legal_or_nothing(raw: int) -> None:
    value = p.POWER.decode(raw.to_bytes(4, signed=True))
    assert value == (raw if -0x8000_0000 < raw < 0x7FFF_FFFE else None)


@given(st.integers(0, 0xFFFF_FFFF))
def test_every_count_is_legal_or_nothing(raw: int) -> None:
    assert p.ENERGY_IN.decode(raw.to_bytes(4)) == (raw if raw <= 99_999_999 else None)


@given(st.integers(0, 99))
def test_a_day_there_and_back(day: int) -> None:
    assert p.HISTORY_DAY.decode(p.HISTORY_DAY.encode(day)) == day


@given(
    st.datetimes(datetime(2001, 1, 1), datetime(2099, 12, 31)),  # noqa: DTZ001 - the zone is given below
    st.integers(1, 12),
    st.sampled_from([UTC, JST]),
)
def test_a_selector_there_and_back(at: datetime, length: int, zone: tzinfo) -> None:
    at = at.replace(minute=at.minute // 30 * 30, second=0, microsecond=0, tzinfo=zone)
    selector = p.HistorySelector(at, length)
    assert p.HALF_HOURS_SELECTOR.decode(p.HALF_HOURS_SELECTOR.encode(selector)) == selector


@given(st.frozensets(st.integers(0x80, 0xFF)))
def test_maps_in_both_forms(codes: frozenset[int]) -> None:
    fields = bytes(sum(1 << bit for bit in range(8) if (8 + bit) * 16 + low in codes) for low in range(16))
    data = bytes((len(codes),)) + (bytes(sorted(codes)) if len(codes) < 16 else fields)
    assert p.GET_MAP.decode(data) == codes


@pytest.mark.parametrize(
    ("row", "value"),
    [
        (p.POWER, 1),
        (p.HISTORY_DAY, 100),
        (p.HISTORY_DAY, -1),
        (p.INSTALLATION_LOCATION, 256),
        (p.HALF_HOURS_SELECTOR, p.HistorySelector(AT.replace(minute=10), 1)),
        (p.HALF_HOURS_SELECTOR, p.HistorySelector(AT, 13)),
        (p.MINUTES_SELECTOR, p.HistorySelector(AT, 0)),
        (p.MINUTES_SELECTOR, p.HistorySelector(None, 1)),
        (p.MINUTES_SELECTOR, p.HistorySelector(AT.replace(tzinfo=None), 1)),
    ],
)
def test_what_cannot_be_set_is_an_error(row: Property[Any], value: object) -> None:
    with pytest.raises(ValueError, match=r"cannot|not between|not one byte|history"):
        row.encode(value)


def test_installation_location_is_set() -> None:
    assert p.INSTALLATION_LOCATION.encode(9) == b"\x09"


def test_values_keep_what_the_class_does_not_know() -> None:
    values = Values({0xE7: b"\0\0\1\xf8", 0xFA: b"x"})
    assert values.read(p.POWER) == 504
    assert values.read(p.ENERGY_IN) is None
    assert values.data[0xFA] == b"x"


def test_a_value_of_wrong_length_spoils_the_answer() -> None:
    with pytest.raises(FrameError):
        Values({0xE0: b"\0\0\1"})
