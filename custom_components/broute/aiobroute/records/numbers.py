"""Which numbers something of an unknown form may have in it."""

import re

SIZES = (2, 3, 4)
"""Bytes of a number that may be a counter or a power."""

LONGEST = 10
"""Digits of such a number."""


def numbers_in(data: bytes) -> set[int]:
    """Return all numbers that can be read in bytes, in either order of them."""
    found = numbers_said(data.decode("latin-1"))
    for size in SIZES:
        for place in range(len(data) - size + 1):
            part = data[place : place + size]
            found |= {int.from_bytes(part), int.from_bytes(part, "little")}
    return found


def numbers_said(text: str) -> set[int]:
    """Return all numbers in a text, decimal ones and hexadecimal ones."""
    decimals = {int(digits) for digits in re.findall("[0-9]+", text) if len(digits) <= LONGEST}
    return decimals | {int(digits, 16) for digits in re.findall("[0-9A-Fa-f]+", text) if len(digits) <= LONGEST}
