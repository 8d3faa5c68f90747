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

KEPT_PART, KEPT_HEX_PART, KEPT_DIFFERENT = 5, 6, 3
"""The same in what is kept of an unknown form, of which there is little: there, less is too much."""

SHORTEST = 4
"""Characters of a secret that is looked for, as a PAN ID has."""

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

_NEVER_KEPT = re.compile("SKSETPWD|SKSETRBID|02CC", re.IGNORECASE)
"""Commands with credentials, and PANA's port."""

LONGEST_KEPT = 200
"""Characters of a line."""

_ENDS = ("", "cr", "lf", "open")
"""How a line ends."""

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


def check(text: str, secrets: Collection[str] = (), left_out: Collection[str] = ()) -> list[Finding]:
    """Return what keeps a record from being shown: lines that must not be in it, and secrets that are.

    What of an unknown form was kept must not have in it what was left out elsewhere, in hexadecimal digits, either.
    """
    head, *lines = text.removesuffix("\n").split("\n")
    findings = [] if head == "broute-record 1" else [Finding(1, "this is no record")]
    kept: dict[int, list[str]] = {}
    for number, line in enumerate(lines, 2):
        if (reason := _wrong(line, kept.setdefault(number, []))) is not None:
            findings.append(Finding(number, reason))
    return [*findings, *_told(text, secrets), *_told_by_kept(text, kept, secrets, left_out)]


def kept_lines(text: str) -> list[int]:
    """Return the lines that have something of an unknown form, as somebody has asked for it; they count from 1."""
    found = ((number, _EVENT.fullmatch(line)) for number, line in enumerate(text.split("\n"), 1))
    return [number for number, event in found if event is not None and event["kind"].endswith("-kept")]


def _wrong(line: str, kept: list[str]) -> str | None:
    """Return what is wrong with the form of a line; add to `kept` what of an unknown form was asked for."""
    if (found := _EVENT.fullmatch(line)) is None:
        return "no event"
    kind, _, end = found["kind"].removesuffix("-kept").partition("-")
    content = found["content"] or ""
    if found["kind"].endswith("-kept"):
        is_heard = found["direction"] == "<"
        if is_heard and kind in ("line", "data") and end in _ENDS:
            return _wrong_kept_line(content, kept)
        is_frame = is_heard and kind == "frame" and not end
        return _wrong_frame(content, is_request=False, kept=kept) if is_frame else "no event of a record"
    return _wrong_event(found["direction"], kind, end, content)


def _wrong_event(direction: str, kind: str, end: str, content: str) -> str | None:
    match direction, kind:
        case "=", "open" if content.isdecimal() and len(content) <= 6 and not end:
            return None
        case "=", "closed" if not content and not end:
            return None
        case "=", "note" if _NOTE.fullmatch(content) and not end:
            return None
        case (("<" | ">"), "bytes") if content.isdecimal() and len(content) <= 6 and not end:
            return None
        case (("<" | ">"), ("line" | "data")) if end in _ENDS:
            return _wrong_line(content)
        case (("<" | ">"), "frame") if not end:
            return _wrong_frame(content, is_request=direction == ">")
    return "no event of a record"


def _wrong_kept_line(content: str, kept: list[str]) -> str | None:
    if _LINE.fullmatch(content) or _FROM_MODULE.fullmatch(content):
        return _wrong_line(content, kept)
    plain = _INVENTED.sub(" ", content)
    kept.append(plain)
    is_text = plain.isascii() and plain.isprintable() and len(plain) <= LONGEST_KEPT
    return _identifying(plain) if is_text and not _NEVER_KEPT.search(plain) else "a line that cannot be kept"


_INVENTED = re.compile(rf"\b(?:{_ADDRESS}|{_MAC})\b")


def _wrong_kept_data(data: bytes, kept: list[str]) -> str | None:
    kept.append(data.hex())
    if len(data) == 17 and data[0] == 0xFE:
        return "something that looks like an identification number"
    texts = re.findall("[ -~]+", data.decode("latin-1"))
    return next((reason for text in texts if (reason := _identifying(text)) is not None), None)


def _identifying(text: str) -> str | None:
    """Return why a text may name a household, whatever is in it: by the length of its words."""
    words = re.findall("[0-9a-z]+", text.lower())
    if any(len(word) >= PART and (_is_hex(word) or re.search("[0-9]", word)) for word in words):
        return "something as long as a number of a household"
    digits = 0
    for word in words:
        digits = digits + len(word) if _is_hex(word) and len(word) % 2 == 0 else 0
        if digits >= PART:
            return "something that looks like an address"
    return None


def _wrong_line(content: str, kept: list[str] | None = None) -> str | None:
    if (found := _TO_MODULE.fullmatch(content)) is not None:
        return _wrong_payload(bytes.fromhex(found["payload"]))
    if (found := _FROM_MODULE.fullmatch(content)) is not None:
        payload = bytes.fromhex(found["payload"])
        if found["port"] == "02CC":
            return "PANA that is not left out" if any(payload) else None
        return _wrong_payload(payload, kept)
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


def _wrong_frame(content: str, *, is_request: bool, kept: list[str] | None = None) -> str | None:
    code, _, data = content.partition(" ")
    if not re.fullmatch(f"{_BYTE}{_BYTE}", code):
        return "a frame without a code"
    form = (_REQUESTS if is_request else _SAID).get(int(code, 16), _NOTHING)
    if _NOTHING.fullmatch(data):
        return None
    if kept is not None and form is _NOTHING and re.fullmatch(f"(?:{_BYTE})*", data):
        return _wrong_kept_data(bytes.fromhex(data), kept)
    if (found := form.fullmatch(data)) is None:
        return "a frame with something that is not known, or not invented"
    fields = found.groupdict()
    payload = bytes.fromhex(fields.get("payload") or "")
    if fields.get("port") == "02CC":
        return "PANA that is not left out" if any(payload) else None
    return _wrong_payload(payload, kept)


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


_NAMING = {0x81, 0x83, 0x86, 0x8D, 0xC0}
_KNOWN: Mapping[bytes, Collection[int]] = {_NODE: {*_NAMING, *_OF_THE_NODE}, _METER: {*_NAMING, *_KEPT}}
"""Of these codes nothing is kept that has another form."""


def _wrong_payload(payload: bytes, kept: list[str] | None = None) -> str | None:
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
            if kept is None or code in _KNOWN[owner]:
                return f"property {code:02X} is not left out"
            if (reason := _wrong_kept_data(data, kept)) is not None:
                return reason
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
    parts = {
        part: secret for secret in secrets for part in _parts(secret, HEX_PART if _is_hex(_squeezed(secret)) else PART)
    }
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


def _told_by_kept(
    text: str, kept: Mapping[int, Sequence[str]], secrets: Collection[str], left_out: Collection[str]
) -> Iterator[Finding]:
    """Yield where something that was kept tells a secret, a small part of one, or what was left out elsewhere."""
    pieces = {number: texts for number, texts in kept.items() if texts}
    if not pieces:
        return
    parts = {part for secret in (*secrets, *_makers(text)) for part in _small_parts(secret, KEPT_HEX_PART)}
    parts |= {part for each in left_out for part in _small_parts(each, HEX_PART)}
    whole = {secret.lower() for secret in secrets if len(secret) >= SHORTEST}
    telling = [
        number
        for number, texts in pieces.items()
        if _has(texts, parts) or any(secret in each.lower() for each in texts for secret in whole)
    ]
    if not telling and _has([each for texts in pieces.values() for each in texts], parts):
        telling = [0]
    yield from (Finding(number, "a part of a secret in what was kept") for number in telling)


def _has(pieces: Sequence[str], parts: Collection[str]) -> bool:
    """Return whether a part is in pieces of text or hexadecimal digits, or in all of them together."""
    words = [re.findall("[0-9a-z]+", piece.lower()) for piece in pieces]
    views = {
        *map(_squeezed, pieces),
        "".join(word for each in words for word in each),
        # With something before each part of it, or between them.
        "".join(word for each in words for word in each[1:]),
        "".join(each[-1] for each in words if each),
        "".join(word for each in words for word in each if _is_hex(word)),
    }
    views |= {_squeezed(bytes.fromhex(piece).decode("latin-1")) for piece in pieces if _is_data(piece)}
    return any(
        view[place : place + size] in parts
        for view in views
        for size in {len(part) for part in parts}
        for place in range(len(view) - size + 1)
    )


def _small_parts(secret: str, hex_part: int) -> Iterator[str]:
    """Yield what must not be seen of a secret in what was kept; a short one is looked for as a whole."""
    plain = _squeezed(secret)
    size = min(len(plain), hex_part if _is_hex(plain) else KEPT_PART)
    if size >= SHORTEST:
        yield from _parts(secret, size, size, min(KEPT_DIFFERENT, len(set(plain))))


def _makers(text: str) -> set[str]:
    """Return how real addresses of the devices in a record would begin, as those do that were invented."""
    interfaces = re.findall(f"FE80:?(?:0000:?){{3}}({_INTERFACE}|{_INTERFACE.replace(':', '')})", text)
    macs = re.findall(rf"\b{_MAC}\b", text)
    begins = {found.replace(":", "")[:6] for found in (*interfaces, *macs)}
    # One bit is the other way round in an IPv6 address.
    return begins | {f"{int(begin[:2], 16) ^ 2:02X}{begin[2:]}" for begin in begins}


def _parts(secret: str, size: int, encoded: int = PART, different: int = DIFFERENT) -> Iterator[str]:
    """Yield what must not be seen of a secret, without what separates its characters; `encoded`, of its digits."""
    for form, length in ((_squeezed(secret), size), (secret.encode().hex(), 2 * encoded)):
        backwards = "".join(reversed(re.findall("..", form)))
        for each in {form, form[::-1], backwards}:
            for place in range(len(each) - length + 1):
                part = each[place : place + length]
                if len(set(part)) >= different:
                    yield part


def _is_data(piece: str) -> bool:
    return re.fullmatch("(?:[0-9a-f]{2})*", piece) is not None


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
