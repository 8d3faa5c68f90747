"""Whether a record may be shown: knows its format from docs/records.md, and imports nothing of what writes it.

Two questions are asked. Is each line one that a record may have, with nothing in its fields but what is known as
invented? And is a secret of the household anywhere in it, in any form?
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
import re

PART = 8
"""Characters of a secret that are too many."""

HEX_PART = 10
"""The same of hexadecimal digits, as the end of a MAC: a record is full of them, and eight of them occur by chance."""

DIFFERENT = 4
"""Different characters that a part must have to be anybody's in particular."""

_MAC = "[0-9A-F]{6}1D[0-9A-F]{8}"
_INTERFACE = "[0-9A-F]{4}:[0-9A-F]{2}1D:[0-9A-F]{4}:[0-9A-F]{4}"
_ADDRESS = f"(?:FE80:0000:0000:0000:{_INTERFACE}|FF02(?::0000){{6}}:0001)"
_PAN = "(?:1D[0-9A-F]{2}|FFF[EF])"
_PAIR = "1D[0-9A-F]{6}"
_ID = f"(?:B0){{12}}{_PAIR}"
_PASSWORD = "X{12}"  # noqa: S105  # the form of an invented one

_COMMANDS = "|".join(
    (
        "SKVER|SKINFO|SKRESET|SKTERM",
        f"SKSREG S3 {_PAN}",
        "SKSREG (?:S2|S16|S17|SA2|SFB|SFE)(?: [0-9A-F]{1,2})?",
        f"SKSETPWD C {_PASSWORD}",
        f"SKSETRBID {_ID}",
        "SKSCAN 2 [0-9A-F]{8} [0-9A-F](?: 0)?",
        f"SKJOIN {_ADDRESS}",
    )
)
_ANSWERS = "|".join(
    (
        "OK(?: [0-9A-F]{2})?|FAIL ER[01][0-9]",
        r"EVER \d{1,2}(?:\.\d{1,2}){1,3}",
        "ESREG [0-9A-F]{1,2}",
        f"EINFO {_ADDRESS} {_MAC} [0-9A-F]{{2}} {_PAN} (?:FFFE|[01]) ?",
        f"EVENT [0-9A-F]{{2}}(?: {_ADDRESS})?(?: [0-9A-F])?(?: [0-9A-F]{{2}})? ?",
        "EPANDESC",
        " *(?:Channel|Channel Page|LQI):[0-9A-F]{2}| *Side:[0-9A-F]",
        f" *Pan ID:{_PAN}| *Addr:{_MAC}| *PairID:{_PAIR}",
    )
)
_TO_MODULE = re.compile(rf"SKSENDTO 1 {_ADDRESS} 0E1A [0-2](?: 0)? [0-9A-F]{{4}} (?P<payload>(?:[0-9A-F]{{2}})*)")
_FROM_MODULE = re.compile(
    rf"ERXUDP {_ADDRESS} {_ADDRESS} (?P<port>0E1A|02CC) (?P=port) {_MAC} (?:[0-9A-F]{{2}} )?[01] (?:[01] )?"
    r"[0-9A-F]{4} (?P<payload>(?:[0-9A-F]{2})*)"
)
_LINE = re.compile(f"(?:{_COMMANDS}|{_ANSWERS})?")

_EVENT = re.compile(r" *\d+\.\d{3} (?P<direction>[=<>]) (?P<kind>[a-z-]+)(?: (?P<content>.*))?")

_NOTE = re.compile(
    r"version [0-9a-z.]{1,20}"
    "|port (?:device|network)"
    "|step [a-z ]{1,40}"
    r"|module [A-Z0-9]{1,8} [0-9A-Z.]{1,20}(?: \([0-9A-F]{4}\))?"
    r"|meter (?:[A-Z][a-z]{1,15}|[0-9A-F]{6}|unknown) (?:[A-Z]\.\d|unknown)"
    "|worked [a-z ]{1,40}"
    "|failed [A-Z][A-Za-z]{1,25}Error(?: [A-Z0-9]{1,6})?"
    "|end (?:whole|stopped)"
)
"""What a record says of itself."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong with a record."""

    line: int
    """Counts from 1; 0 if it is in several."""
    reason: str


def check(text: str, secrets: Collection[str] = ()) -> list[Finding]:
    """Return what keeps a record from being shown: lines that must not be in it, and secrets that are."""
    head, *lines = text.removesuffix("\n").split("\n")
    findings = [] if head == "broute-record 1" else [Finding(1, "this is no record")]
    for number, line in enumerate(lines, 2):
        if (reason := _wrong(line)) is not None:
            findings.append(Finding(number, reason))
    return [*findings, *_told(text, secrets)]


def _wrong(line: str) -> str | None:
    """Return what is wrong with the form of a line."""
    if (found := _EVENT.fullmatch(line)) is None:
        return "no event"
    kind, _, end = found["kind"].partition("-")
    content = found["content"] or ""
    match found["direction"], kind:
        case "=", "open" if content.isdecimal() and len(content) <= 6 and not end:
            return None
        case "=", "closed" if not content and not end:
            return None
        case "=", "note" if _NOTE.fullmatch(content) and not end:
            return None
        case (("<" | ">"), "bytes") if content.isdecimal() and len(content) <= 6 and not end:
            return None
        case (("<" | ">"), ("line" | "data")) if end in ("", "cr", "lf", "open"):
            return _wrong_line(content)
        case ("<" | ">") as direction, "frame" if not end:
            return _wrong_frame(content, is_request=direction == ">")
    return "no event of a record"


def _wrong_line(content: str) -> str | None:
    if (found := _TO_MODULE.fullmatch(content)) is not None:
        return _wrong_payload(bytes.fromhex(found["payload"]))
    if (found := _FROM_MODULE.fullmatch(content)) is not None:
        payload = bytes.fromhex(found["payload"])
        if found["port"] == "02CC":
            return "PANA that is not left out" if any(payload) else None
        return _wrong_payload(payload)
    return None if _LINE.fullmatch(content) else "a line with something that is not known, or not invented"


def _fields(layout: str) -> re.Pattern[str]:
    return re.compile(layout.replace(" ", ""))


_HEX_ADDRESS = f"(?:FE80000000000000{_INTERFACE.replace(':', '')}|FF02(?:0000){{6}}0001)"
_HEX_ID = f"(?:{b'B0'.hex()}){{12}}"
_HEX_PAIR = f"{b'1D'.hex()}(?:3[0-9]|4[1-6]){{6}}"
_BYTE = "[0-9A-F]{2}"
_ZEROS = "(?:00)*"

_REQUESTS: Mapping[int, re.Pattern[str]] = {
    0x0005: _fields("[0-9A-F]{4}"),
    0x0008: _fields(f"{_HEX_ADDRESS} 0E1A 0E1A [0-9A-F]{{4}} (?P<payload>(?:{_BYTE})*)"),
    0x0051: _fields(f"(?:{_BYTE}){{6}} {_HEX_PAIR}"),
    0x0054: _fields(f"{_HEX_ID} {_HEX_PAIR} (?:58){{12}}"),
    0x005F: _fields(f"(?:{_BYTE}){{4}}"),
}
_RESULTS = (0x2005, 0x2051, 0x2054, 0x2056, 0x2057, 0x2058, 0x205F, 0x20D9, 0x2FFF, 0xFFFF)
_SAID: Mapping[int, re.Pattern[str]] = {
    **dict.fromkeys(_RESULTS, _fields(f"{_BYTE} {_ZEROS}")),
    0x2008: _fields(f"(?:{_BYTE}){{2}} {_ZEROS}"),
    0x2053: _fields(f"(?:{_BYTE}){{2}} {_PAN} {_MAC} {_BYTE} | {_BYTE} {_ZEROS}"),
    0x206B: _fields(f"{_BYTE} (?:(?:{_BYTE}){{8}})?"),
    0x4051: _fields(f"01 {_BYTE} | 00 (?:{_BYTE}){{2}} (?:{_MAC} {_PAN} {_BYTE})*"),
    0x6018: _fields(f"{_HEX_ADDRESS} (?P<port>0E1A|02CC) (?P=port) {_PAN} (?:{_BYTE}){{5}} (?P<payload>(?:{_BYTE})*)"),
    0x601A: _fields(f"{_BYTE} {_MAC} {_BYTE} | {_BYTE} {_ZEROS}"),
    0x6028: _fields(f"{_BYTE} {_MAC} | {_BYTE} {_ZEROS}"),
    0x6038: _fields(f"{_BYTE} {_HEX_ADDRESS} (?:{_BYTE}){{4}} | {_BYTE} {_ZEROS}"),
}
_NOTHING = _fields(_ZEROS)


def _wrong_frame(content: str, *, is_request: bool) -> str | None:
    code, _, data = content.partition(" ")
    if not re.fullmatch(f"{_BYTE}{_BYTE}", code):
        return "a frame without a code"
    form = (_REQUESTS if is_request else _SAID).get(int(code, 16), _NOTHING)
    if _NOTHING.fullmatch(data):
        return None
    if (found := form.fullmatch(data)) is None:
        return "a frame with something that is not known, or not invented"
    fields = found.groupdict()
    payload = bytes.fromhex(fields.get("payload") or "")
    if fields.get("port") == "02CC":
        return "PANA that is not left out" if any(payload) else None
    return _wrong_payload(payload)


_KEPT = {
    *(0x80, 0x82, 0x88, 0x89, 0x8A, 0x97, 0x98, 0x9D, 0x9E, 0x9F, 0xD0, 0xD3, 0xD7),
    *(0xE0, 0xE1, 0xE2, 0xE3, 0xE4, 0xE5, 0xE7, 0xE8, 0xEA, 0xEB, 0xEC, 0xED, 0xEE, 0xEF),
}
_SIZES: Mapping[int, Collection[int]] = {
    **dict.fromkeys((0x80, 0x88, 0xD7, 0xE1, 0xE5), (1,)),
    **dict.fromkeys((0x89, 0x97), (2,)),
    **dict.fromkeys((0x82, 0x98, 0xD3, 0xE0, 0xE3, 0xE7, 0xE8), (4,)),
    **dict.fromkeys((0x9D, 0x9E, 0x9F), range(1, 18)),
    **dict.fromkeys((0xEA, 0xEB), (11,)),
    **dict.fromkeys((0xE2, 0xE4), (194,)),
    **dict.fromkeys((0xED, 0xEF), (7,)),
    **dict.fromkeys((0xEC, 0xEE), range(15, 104)),
    0x8A: (3,),
    0xD0: (15,),
}
_OF_THE_NODE: Mapping[int, Collection[int]] = {0xD3: (3,), 0xD4: (2,), 0xD5: range(1, 20), 0xD6: range(1, 20)}
_NODE, _METER = b"\x0e\xf0", b"\x02\x88"


def _wrong_payload(payload: bytes) -> str | None:
    """Return what of an ECHONET Lite frame names a household, or is not known."""
    if not any(payload):
        return None
    owner = next((each for each in (payload[4:6], payload[7:9]) if each in (_NODE, _METER)), None)
    if payload[:2] != b"\x10\x81" or owner is None:
        return "a payload that is no frame of the meter"
    place = 12
    for _ in range(payload[11] if len(payload) > place else 0):
        if len(payload) < place + 2:
            return "a payload of another length"
        code, size = payload[place], payload[place + 1]
        data = payload[place + 2 : place + 2 + size]
        if any(data) and not _may_be_shown(owner, code, data):
            return f"property {code:02X} is not left out"
        place += 2 + size
    return None if place == len(payload) else "a payload of another length"


def _may_be_shown(owner: bytes, code: int, data: bytes) -> bool:
    if code == 0x83:
        return len(data) == 17 and data[0] == 0xFE and not any(data[4:])
    if owner == _NODE:
        return len(data) in _OF_THE_NODE.get(code, ())
    match code:
        case 0x81:
            return len(data) == 1
        case 0x8D:
            return not set(data) - set(b"X0 \0")
        case 0xC0:
            return re.fullmatch(_ID, data.hex().upper()) is not None
    return len(data) in _SIZES.get(code, ())


def _told(text: str, secrets: Collection[str]) -> Iterator[Finding]:
    """Yield which secrets are in a record: as text or hexadecimal digits, backwards, in pieces, over several lines."""
    parts = {part: secret for secret in secrets for part in _parts(secret)}
    # A pairing ID has eight: alone, it is looked for as a word.
    words = {secret.lower(): secret for secret in secrets if len(secret) == PART}
    lines = text.split("\n")
    told = _seen(lines, parts, words)
    found = set()
    if told:
        found = {(number, secret) for number, line in enumerate(lines, 1) for secret in _seen([line], parts, words)}
    found |= {(0, secret) for secret in told - {secret for _, secret in found}}
    yield from (Finding(number, f"a secret of {len(secret)} characters") for number, secret in sorted(found))


def _seen(lines: Sequence[str], parts: Mapping[str, str], words: Mapping[str, str]) -> set[str]:
    """Return which secrets can be seen in lines."""
    seen = {words[word] for line in lines for word in re.findall(r"\w+", line.lower()) if word in words}
    for view in _views(lines):
        for size in {len(part) for part in parts}:
            windows = {view[place : place + size] for place in range(len(view) - size + 1)}
            seen |= {parts[part] for part in windows & parts.keys()}
    return seen


def _parts(secret: str) -> Iterator[str]:
    """Yield what must not be seen of a secret, without what separates its characters."""
    plain = _squeezed(secret)
    digits = secret.encode().hex()
    for form, size in ((plain, HEX_PART if _is_hex(plain) else PART), (digits, 2 * PART)):
        backwards = "".join(reversed(re.findall("..", form)))
        for each in {form, form[::-1], backwards}:
            for place in range(len(each) - size + 1):
                part = each[place : place + size]
                if len(set(part)) >= DIFFERENT:
                    yield part


def _is_hex(plain: str) -> bool:
    return re.fullmatch("[0-9a-f]*", plain) is not None


def _squeezed(text: str) -> str:
    return re.sub("[^0-9a-z]", "", text.lower())


def _views(lines: Sequence[str]) -> Iterator[str]:
    """Yield what can be read in lines: all of it, what goes one way, and what stands at the end of each."""
    yield _squeezed("".join(lines))
    said = [_said(line) for line in lines]
    for directions in ("=<>?", "<", ">"):
        chosen = [content for direction, content in said if direction in directions]
        yield _squeezed("".join(chosen))
        yield _squeezed("".join(content.rpartition(" ")[2] for content in chosen))
        yield _squeezed("".join(_HEAD.sub("", content, count=1) for content in chosen))


_HEAD = re.compile(
    "^(?:(?:ERXUDP(?: [0-9A-F:]{39}){2}(?: [0-9A-F]{4}){2} [0-9A-F]{16}(?: [0-9A-F]{1,2}){1,3}"
    "|SKSENDTO 1 [0-9A-F:]{39} [0-9A-F]{4} [0-9A-F](?: [0-9A-F])?) )?[0-9A-F]{4} "
)
"""What stands before a payload, or before the data of a frame."""


def _said(line: str) -> tuple[str, str]:
    """Return who says something in a line, and what."""
    if (found := _EVENT.fullmatch(line)) is not None:
        return found["direction"], found["content"] or ""
    return "?", re.sub(r"^ *\d+\.\d+ ", "", line)
