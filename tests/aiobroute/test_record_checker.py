"""What a record must not have in it, wherever and however it stands there."""

import ast
from collections.abc import Callable
import os
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings, strategies as st
import pytest

from custom_components.broute.aiobroute.records import checker
from custom_components.broute.aiobroute.records.checker import check

SECRETS = ("7C1E5A9B3D2F4860A8E6C4027B9D1F35", "Zq7vXk2wPm9s", "001C640003D2A1B7", "S18012345678")

ADDRESS = "FE80:0000:0000:0000:021C:641D:05F1:4AC9"
MAC = "001C641D05F14AC9"
HEAD = f"< line ERXUDP {ADDRESS} {ADDRESS} 0E1A 0E1A {MAC} DB 1 0 0012 "
PANA = HEAD.replace("0E1A", "02CC")

GOOD = (
    "= note version 1.0.0",
    "= note module J11 1.3.158A (0400)",
    "= note meter Toshiba F.0",
    "= note failed ModuleError ER10",
    "= open 115200",
    "= closed",
    "> line",
    "> line SKVER",
    "< line EVER 1.5.2",
    "< line-cr OK 01",
    "< bytes 12",
    "> line SKSETPWD C XXXXXXXXXXXX",
    "> line SKSETRBID B0B0B0B0B0B0B0B0B0B0B0B01DA0DF5F",
    f"> line SKJOIN {ADDRESS}",
    f"< line EVENT 21 {ADDRESS} 0 00",
    f"< line EINFO {ADDRESS} {MAC} 21 FFFF 0",
    "< line   Pan ID:1D6E",
    f"< line   Addr:{MAC}",
    "< line   PairID:1DA0DF5F",
    f"> data-open SKSENDTO 1 {ADDRESS} 0E1A 1 0 000E 1081000105FF010288016201E700",
    HEAD + "1081000102880105FF017201E704000001F8",
    HEAD + "1081000102880105FF0172018D0C" + b"X00000000000".hex().upper(),
    HEAD + "1081000102880105FF0172018311FE000016" + "00" * 13,
    HEAD + "1081000102880105FF01720181" + "0108",
    HEAD + "1081000102880105FF017201C010" + "B0" * 12 + "1DA0DF5F",
    HEAD + "1081000102880105FF017201F003000000",
    HEAD + "108100010EF0010EF0017301D50401028801",
    PANA + "00" * 40,
    "> frame 006B",
    "< frame 206B 01040001030000158A",
    "> frame 0054 " + b"B0B0B0B0B0B0B0B0B0B0B0B01DA0DF5FXXXXXXXXXXXX".hex().upper(),
    "> frame 0051 060003FFF001" + b"1DA0DF5F".hex().upper(),
    f"< frame 4051 000C01{MAC}1DE3D5",
    "< frame 4051 0104",
    f"< frame 2053 010C1DE3{MAC}D5",
    f"< frame 6028 01{MAC}",
    "< frame 6018 FE80000000000000021C641D05F14AC90E1A0E1A1DE30002D500121081000102880105FF017201E704000001F8",
    "< frame 6018 FE80000000000000021C641D05F14AC902CC02CC1DE30001D500020000",
    "< frame 7777 0000",
)

BAD = (
    ("SKVER", "no event"),
    ("= note Tanaka", "no event of a record"),
    ("= note port /dev/ttyUSB0", "no event of a record"),
    ("= open 192.168.1.20", "no event of a record"),
    ("= closed by Tanaka", "no event of a record"),
    ("> whisper SKVER", "no event of a record"),
    ("< line hello", "a line with something"),
    ("> line SKSETPWD C Zq7vXk2wPm9s", "a line with something"),
    ("> line SKSETRBID 7C1E5A9B3D2F4860A8E6C4027B9D1F35", "a line with something"),
    ("> line SKJOIN FE80:0000:0000:0000:021C:6400:03D2:A1B7", "a line with something"),
    ("< line   Pan ID:8A3C", "a line with something"),
    ("< line   Addr:001C640003D2A1B7", "a line with something"),
    ("< line   PairID:7B9D1F35", "a line with something"),
    ("< line ESREG 8A3C", "a line with something"),
    ("< line EVER 1.5.2 Tanaka", "a line with something"),
    (HEAD + "1081000102880105FF0172018D0C" + b"S18012345678".hex(), "property 8D"),
    (HEAD + "1081000102880105FF0172018D0C" + b"S18012345678".hex().upper(), "property 8D"),
    (HEAD + "1081000102880105FF0172018311FE00001653" + "00" * 12, "property 83"),
    (HEAD + "1081000102880105FF017201C010" + "7C" * 16, "property C0"),
    (HEAD + "1081000102880105FF017201F003000001", "property F0"),
    (HEAD + "1081000102880105FF0172018603000016", "property 86"),
    (HEAD + "1081000102880105FF017201811101" + "35" * 16, "property 81"),
    (HEAD + "1081000102880105FF017201E7050000000001", "property E7"),
    (HEAD + "108100010EF0010EF00173018D0153", "property 8D"),
    (HEAD + "1081000105FF0105FF017201E704000001F8", "no frame of the meter"),
    (HEAD + "00000000000000000000000000000001", "no frame of the meter"),
    (HEAD + "1081000102880105FF017201E704000001F8FF", "another length"),
    (HEAD + "1081000102880105FF017203E704000001F8", "another length"),
    (HEAD + "1081000102880105FF017201E709000001F8", "another length"),
    (PANA + "00" * 40 + "01", "PANA"),
    ("> frame", "a frame without a code"),
    ("> frame 0054 " + b"7C1E5A9B3D2F4860A8E6C4027B9D1F35Zq7vXk2wPm9s".hex().upper(), "a frame with something"),
    ("> frame 0051 060003FFF001" + b"7B9D1F35".hex().upper(), "a frame with something"),
    ("< frame 4051 000C01001C640003D2A1B71DE3D5", "a frame with something"),
    (f"< frame 4051 000C01{MAC}8A3CD5", "a frame with something"),
    ("< frame 2054 0107", "a frame with something"),
    ("< frame 7777 0001", "a frame with something"),
    ("< frame 6018 FE80000000000000021C641D05F14AC902CC02CC1DE30001D500020001", "PANA"),
    ("< frame 6018 FE80000000000000021C641D05F14AC90E1A0E1A1DE30002D500020001", "no frame of the meter"),
)


def text(*lines: str) -> str:
    return "broute-record 1\n" + "".join(f"     0.000 {line}\n" for line in lines)


def test_a_good_record() -> None:
    assert check(text(*GOOD), SECRETS) == []


@pytest.mark.parametrize(("line", "reason"), BAD)
def test_a_line_that_must_not_be_in_it(line: str, reason: str) -> None:
    (finding,) = check(text(*GOOD[:3], line, *GOOD[3:]))
    assert finding.line == 5
    assert reason in finding.reason


def test_anything_else_is_no_record() -> None:
    assert [finding.reason for finding in check("")] == ["this is no record"]
    assert check("hello\n")[0].reason == "this is no record"


def backwards(value: str) -> str:
    return bytes.fromhex(value)[::-1].hex()


FORMS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "lower": str.lower,
    "upper": str.upper,
    "hexadecimal": lambda value: value.encode().hex(),
    "HEXADECIMAL": lambda value: value.encode().hex().upper(),
    "hexadecimal, backwards": lambda value: value.encode()[::-1].hex(),
    "digits, backwards": lambda value: value.encode().hex()[::-1],
    "backwards": lambda value: value[::-1],
    "bytes, backwards": lambda value: backwards(value) if set(value) <= set("0123456789ABCDEF") else value[::-1],
    "with colons": lambda value: ":".join(value[place : place + 4] for place in range(0, len(value), 4)),
    "with spaces": lambda value: " ".join(value[place : place + 2] for place in range(0, len(value), 2)),
}

PLACES = ("note", "line", "data", "frame", "bare")


@st.composite
def planted(draw: st.DrawFn) -> tuple[str, str]:
    """Return a record with a secret in it, and how it was hidden."""
    secret = draw(st.sampled_from(SECRETS))
    form = draw(st.sampled_from(sorted(FORMS)))
    value = FORMS[form](secret)
    if set(secret) <= set("0123456789ABCDEF") or len(secret) > 12:
        # The rest of it may be cut off: a part is too much, too.
        length = draw(st.integers(min(2 * len(value) // 3 + 2, len(value)), len(value)))
        begin = draw(st.integers(0, len(value) - length))
        value = value[begin : begin + length]
    cuts = sorted(draw(st.lists(st.integers(1, len(value) - 1), max_size=3)))
    pieces = [value[a:b] for a, b in zip([0, *cuts], [*cuts, len(value)], strict=True)]
    direction = draw(st.sampled_from("<>"))
    kind = draw(st.sampled_from(PLACES))
    before = {
        "note": "= note ",
        "line": f"{direction} line ",
        "data": HEAD,
        "frame": f"{direction} frame 7777 ",
        "bare": "",
    }
    lines = list(draw(st.lists(st.sampled_from(GOOD), min_size=1, max_size=12)))
    place = draw(st.integers(0, len(lines)))
    lines[place:place] = [before[kind] + piece for piece in pieces]
    return text(*lines), f"{form} {kind} {value}"


@settings(max_examples=1000, suppress_health_check=[HealthCheck.too_slow])
@given(planted())
def test_a_secret_is_found_wherever_it_is_planted(hidden: tuple[str, str]) -> None:
    record, how = hidden
    assert any("secret" in finding.reason for finding in check(record, SECRETS)), how


RECORDS = [path.read_text() for path in sorted((Path(__file__).parents[1] / "records").glob("*.txt"))]
"""Whole records, which may be shown as they are."""

COUNT = int(os.environ.get("PLANTED_RECORDS", "40"))
"""A whole record takes a tenth of a second: a thousand are for once in a while."""


def hidden(draw: st.DrawFn) -> str:
    """Return a secret in some form, perhaps with something between its characters."""
    value = FORMS[draw(st.sampled_from(sorted(FORMS)))](draw(st.sampled_from(SECRETS)))
    separator = draw(st.sampled_from(["", "", ":", "-", " ", ".", "\t"]))
    size = draw(st.integers(1, 6))
    return separator.join(value[place : place + size] for place in range(0, len(value), size))


def inserted(draw: st.DrawFn, lines: list[str], value: str) -> None:
    """Put it anywhere into a line."""
    number = draw(st.integers(1, len(lines) - 1))
    place = draw(st.integers(0, len(lines[number])))
    lines[number] = lines[number][:place] + value + lines[number][place:]


def written_over(draw: st.DrawFn, lines: list[str], value: str) -> None:
    """Let it take the place of as many characters, such as some within a payload."""
    number = draw(st.sampled_from([number for number, line in enumerate(lines) if len(line) > len(value) + 40]))
    place = draw(st.integers(11, len(lines[number]) - len(value)))
    lines[number] = lines[number][:place] + value + lines[number][place + len(value) :]


def spread(draw: st.DrawFn, lines: list[str], value: str) -> None:
    """Put pieces of it where the last words of lines in a row were that go the same way."""
    way = draw(st.sampled_from(["<", ">"]))
    chosen = [number for number, line in enumerate(lines) if line[11:12] == way]
    size = draw(st.integers(6, len(value)))
    pieces = [value[place : place + size] for place in range(0, len(value), size)]
    first = draw(st.integers(0, len(chosen) - len(pieces)))
    for number, piece in zip(chosen[first : first + len(pieces)], pieces, strict=True):
        lines[number] = lines[number][:13] + lines[number][13:].rpartition(" ")[0] + " " + piece


def on_lines_of_its_own(draw: st.DrawFn, lines: list[str], value: str) -> None:
    """Put pieces of it between lines, with or without the look of an event."""
    size = draw(st.integers(4, len(value)))
    looks = ("= note ", "< line ", "> bytes ", "< line-kept ", "< line-kept x ", "< frame-kept 7777 ")
    head = draw(st.sampled_from(["", *(f"     1.000 {look}" for look in looks), "#", "\t"]))
    place = draw(st.integers(1, len(lines)))
    lines[place:place] = [head + value[at : at + size] for at in range(0, len(value), size)]


WAYS = (inserted, written_over, spread, on_lines_of_its_own)


@st.composite
def spoiled(draw: st.DrawFn) -> str:
    """Return a whole record with a secret in an odd place."""
    lines = draw(st.sampled_from(RECORDS)).splitlines()
    draw(st.sampled_from(WAYS))(draw, lines, hidden(draw))
    return "\n".join(lines) + "\n"


@pytest.mark.timeout(300 + COUNT)
@settings(max_examples=COUNT, suppress_health_check=[HealthCheck.too_slow])
@given(spoiled())
def test_no_whole_record_with_a_secret_is_let_through(record: str) -> None:
    assert check(record, SECRETS)


def test_the_records_are_good_without() -> None:
    assert len(RECORDS) >= 4
    assert [check(record, SECRETS) for record in RECORDS] == [[]] * len(RECORDS)


@settings(max_examples=50)
@given(st.lists(st.sampled_from(GOOD), max_size=40))
def test_what_is_good_is_not_refused(lines: list[str]) -> None:
    assert check(text(*lines), SECRETS) == []


def test_a_pairing_id_alone() -> None:
    assert [finding.line for finding in check(text("< line   PairID:7B9D1F35"), ["7B9D1F35"])] == [2, 2]


def test_what_is_told_does_not_tell_the_secret() -> None:
    for finding in check(text(*SECRETS), SECRETS):
        assert not any(secret in finding.reason for secret in SECRETS)


def test_the_checker_knows_nothing_of_the_writer() -> None:
    tree = ast.parse(Path(checker.__file__).read_text())
    modules: list[Any] = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert set(modules) == {"collections.abc", "dataclasses"}
