"""Values that stand for those of a household: stable within a record, of the same form, and known as invented."""

from bisect import bisect_right
from collections.abc import Collection, Mapping
from decimal import ROUND_FLOOR, Decimal
import hashlib
import hmac
import re
import secrets

MARK = "1D"
"""Begins what is invented of an address, a PAN ID or a pairing ID: a checker can tell it from a real one."""

LINK_LOCAL = "FE80:0000:0000:0000:"
ALL_NODES = "FF02:0000:0000:0000:0000:0000:0000:0001"
NO_PAN = ("FFFF", "FFFE")
PASSWORD = "X" * 12
UNIVERSAL = 0x0200_0000_0000_0000
"""The bit of an EUI-64 that is the other way round in an address (SK 3.29)."""

LEAST, MOST = 0.3, 0.9
"""Between these is the secret factor of everything that is measured."""

SHIFT = 0.04
"""The most by which counters are shifted, as a part of the next power of ten."""

HIGHEST = 99_999_999
"""Highest legal counter; what is above it means that there is no value (APPX E0)."""


LEFT_OUT = 4
"""Bytes from which on something that was left out is looked for: less is anywhere by chance."""

CLOSE = 50
"""A number is close to another if they differ by less than one part in so many."""


SMALL = 0xFF
"""Numbers up to here are anywhere by chance."""


class Inventions:
    """Invents, and always the same for the same."""

    def __init__(self, key: bytes | None = None) -> None:
        """Take a secret that nobody keeps."""
        self._key = key or secrets.token_bytes(32)
        self._factor = Decimal(LEAST) + Decimal(MOST - LEAST) * self._share("factor")
        self._shifts: dict[str, int] = {}
        self.replaced: set[str] = set()
        """What was found and replaced, as text; whoever checks a record looks for it."""
        self.left_out: set[str] = set()
        """What was left out or is too short for that, in hexadecimal digits: nothing that is kept may repeat it."""
        self.asked: Collection[str] = ()
        """What of an unknown form a person has asked for."""
        self.met: list[str] = []
        """What of an unknown form was met, and can be asked for."""
        self._stand_ins: dict[str, str] = {}
        self._measured: set[int] = set()

    def mac(self, mac: str) -> str:
        """Return an EUI-64 of the same maker, 16 hexadecimal digits."""
        self.replaced.add(mac)
        return self._stands_in(mac, mac[:6] + MARK + self._digits("mac", mac, 8))

    def address(self, address: str) -> str:
        """Return an IPv6 address, of eight groups; that of a MAC belongs to the invented MAC."""
        if address == ALL_NODES:
            return address
        interface = int(address.replace(":", "")[16:], 16)
        invented = int(self.mac(f"{interface ^ UNIVERSAL:016X}"), 16) ^ UNIVERSAL
        digits = f"{invented:016X}"
        return self._stands_in(address, LINK_LOCAL + ":".join(digits[place : place + 4] for place in range(0, 16, 4)))

    def pan_id(self, pan_id: str) -> str:
        """Return a PAN ID, four hexadecimal digits."""
        if pan_id in NO_PAN:
            return pan_id
        self.left_out.add(pan_id)
        return self._stands_in(pan_id, MARK + self._digits("pan", pan_id, 2))

    def pair_id(self, pair_id: str) -> str:
        """Return the last eight characters of a Route B ID."""
        self.replaced.add(pair_id)
        return MARK + self._digits("pair", pair_id.upper(), 6)

    def route_b_id(self, route_b_id: str) -> str:
        """Return a Route B ID, 32 hexadecimal digits."""
        self.replaced.add(route_b_id)
        return "B0" * 12 + self.pair_id(route_b_id[-8:])

    def password(self, password: str) -> str:
        """Return a password, twelve characters."""
        self.replaced.add(password)
        return PASSWORD

    def serial_number(self, data: bytes) -> bytes:
        """Return the form of a serial number only: X for a letter, 0 for anything else that can be printed."""
        self.replaced.add(data.decode("latin-1").strip("\0 "))
        return bytes(ord("X") if chr(each).isalpha() else each if each in b"\0 " else ord("0") for each in data)

    def counter(self, direction: str, count: int) -> int:
        """Return a counter that runs slower by a secret factor, and is shifted; what is no count stays as it is."""
        if count > HIGHEST:
            return count
        self._note(count)
        if direction not in self._shifts:
            size = Decimal(SHIFT) * 10 ** len(str(count))
            self._shifts[direction] = int(size * self._share(direction))
        return int((count * self._factor).to_integral_value(ROUND_FLOOR)) + self._shifts[direction]

    def measured(self, value: int) -> int:
        """Return a power or a current by the same factor."""
        self._note(abs(value))
        return round(value * self._factor)

    def nothing(self, data: bytes) -> bytes:
        """Return as many zeros; nothing that is kept may have these data in it."""
        if len(data) >= LEFT_OUT:
            self.left_out.add(data.hex().upper())
        return bytes(len(data))

    def words(self, text: str) -> str:
        """Return a text of an unknown form with what stands for the addresses and PAN IDs that are known by now."""
        return _with_words(self._stand_ins, text)

    def without_words(self, text: str) -> str:
        """Return such a text as it is the same in each record."""
        return _with_words(dict.fromkeys(self._stand_ins.values(), "*"), text)

    def keeps(self, name: str, numbers: Collection[int]) -> bool:
        """Return whether a person has asked for something of an unknown form that has these numbers in it.

        It cannot be asked for if one of them comes close to a counter or a power of the household: the secret factor
        could be worked out from it.
        """
        if self._come_close(numbers):
            return False
        self.met.append(name)
        return name in self.asked

    def _come_close(self, numbers: Collection[int]) -> bool:
        """Return whether a number differs by less than a fiftieth from one that was measured."""
        measured = sorted(self._measured)
        for number in numbers:
            place = bisect_right(measured, number * CLOSE // (CLOSE + 1))
            if place < len(measured) and measured[place] * (CLOSE - 1) < number * CLOSE:
                return True
        return False

    def _note(self, number: int) -> None:
        """Remember what was measured, unless it is so small that it is anywhere."""
        if number > SMALL:
            self._measured.add(number)

    def _stands_in(self, real: str, invented: str) -> str:
        self._stand_ins[real] = invented
        return invented

    def _share(self, what: str) -> Decimal:
        """Return a number between 0 and 1."""
        return Decimal(int(self._digits("share", what, 12), 16)) / 16**12

    def _digits(self, kind: str, value: str, count: int) -> str:
        """Return hexadecimal digits that tell nothing of a value to anybody without the key."""
        return hmac.new(self._key, f"{kind} {value}".encode(), hashlib.sha256).hexdigest()[:count].upper()


def _with_words(words: Mapping[str, str], text: str) -> str:
    known = "|".join(sorted(words, key=len, reverse=True))
    return re.sub(rf"\b(?:{known})\b", lambda found: words[found[0]], text) if known else text
