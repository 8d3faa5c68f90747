"""Text in columns, and little bars."""

from collections.abc import Sequence

EIGHTHS = " ▏▎▍▌▋▊▉"
"""What is drawn of a character of a bar."""
FULL = "█"


def columns(rows: Sequence[Sequence[str]], sides: str) -> list[str]:
    """Return rows as aligned lines; `sides` has `<` or `>` for each column."""
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    return [
        "  ".join(f"{cell:{side}{width}}" for cell, side, width in zip(row, sides, widths, strict=True)).rstrip()
        for row in rows
    ]


def bar(share: float, width: int, encoding: str | None) -> str:
    """Return a bar for a share between 0 and 1; its length is exact to an eighth where that can be printed."""
    if not can_print(FULL + EIGHTHS, encoding):
        return "#" * round(share * width)
    full, eighths = divmod(round(share * width * len(EIGHTHS)), len(EIGHTHS))
    return (FULL * full + EIGHTHS[eighths]).rstrip()


def can_print(text: str, encoding: str | None) -> bool:
    """Return whether an encoding has all these characters; `None` is the least there is."""
    try:
        text.encode(encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True
