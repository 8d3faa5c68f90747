"""The figures for people: a table, bars in the terminal, a picture."""

from html import escape
from statistics import median
from typing import TYPE_CHECKING

import resvg_py

from .stacks import LABELS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from .figures import Figure

HEAD = ("figure", "whose", "n", "median", "min", "max", "ratio", "target", "")
WIDTH = 40
"""Characters of the longest bar in the terminal."""

COLOURS = {"ours": "#1f7a5a", "radio": "#8a8f98", "radio_install": "#8a8f98", "radio_warm": "#8a8f98"}
OTHERS = "#c98a2b"


def number(value: float) -> str:
    """Return a number with three digits that mean something."""
    if value == round(value) and abs(value) < 1e6:
        return f"{value:.0f}"
    return f"{value:.{2 if abs(value) < 10 else 1 if abs(value) < 100 else 0}f}"


def _title(figure: Figure) -> str:
    return f"{figure.title}, {figure.unit}" if figure.unit else figure.title


def rows(figures: Mapping[str, Figure]) -> Iterator[tuple[str, ...]]:
    """Yield the table: for each figure ours, then those that it is compared with."""
    for figure in figures.values():
        if "ours" not in figure.samples:
            continue
        missed = set(figure.misses())
        for key, samples in figure.samples.items():
            target = ratio = ""
            if key == "ours":
                target = "" if figure.limit is None else f"≤ {number(figure.limit)} {figure.unit}".rstrip()
                verdict = "" if figure.limit is None else "missed" if "limit" in missed else "met"
            else:
                ratio = "" if median(samples) == 0 else number(figure.ratio(key))
                target = f"≤ {number(figure.ratios[key])}" if key in figure.ratios else ""
                verdict = "" if key not in figure.ratios else "missed" if key in missed else "met"
            values = (str(len(samples)), number(median(samples)), number(min(samples)), number(max(samples)))
            title = _title(figure) if key == "ours" else ""
            yield (title, LABELS[key], *values, ratio, target, verdict)


def table(figures: Mapping[str, Figure]) -> str:
    """Return the table in columns."""
    lines = [HEAD, *rows(figures)]
    widths = [max(len(line[place]) for line in lines) for place in range(len(HEAD))]
    return "\n".join("  ".join(map(str.ljust, line, widths, strict=True)).rstrip() for line in lines)


def markdown(figures: Mapping[str, Figure]) -> str:
    """Return the table in Markdown."""
    lines = [HEAD, ("---", "---", *["--:"] * 5, "---", "---"), *rows(figures)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _compared(figures: Mapping[str, Figure]) -> Iterator[tuple[Figure, dict[str, float]]]:
    """Yield the medians of what has something to be compared with; zeros have no length."""
    for figure in figures.values():
        medians = {key: median(samples) for key, samples in figure.samples.items()}
        if len(medians) > 1 and min(medians.values()) > 0:
            yield figure, medians


def bars(figures: Mapping[str, Figure]) -> str:
    """Return the medians side by side, as bars of text; the longest of each figure has the full width."""
    lines = []
    for figure, medians in _compared(figures):
        lines.append(_title(figure))
        for key, value in medians.items():
            bar = "█" * max(1, round(value / max(medians.values()) * WIDTH))
            lines.append(f"  {LABELS[key]:22} {bar} {number(value)}")
    return "\n".join(lines)


def picture(figures: Mapping[str, Figure], caption: str) -> bytes:
    """Return the bars as PNG."""
    x, wide, high, place = 210, 560, 18, 40
    parts = []

    def text(left: int, words: str, style: str = "") -> None:
        parts.append(f'<text x="{left}" y="{place}" {style}>{escape(words)}</text>')

    text(12, caption, 'fill="#5b6068" font-size="10"')
    place += 14
    for figure, medians in _compared(figures):
        place += 26
        text(12, _title(figure), 'font-weight="bold"')
        for key, value in medians.items():
            place += high + 2
            length = max(2, round(value / max(medians.values()) * wide))
            text(24, LABELS[key])
            colour = COLOURS.get(key, OTHERS)
            parts.append(f'<rect x="{x}" y="{place - 13}" width="{length}" height="{high - 2}" fill="{colour}"/>')
            text(x + length + 6, number(value))
    drawing = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="860" height="{place + 20}" '
        f'font-family="DejaVu Sans" font-size="13" fill="#1b1f24"><rect width="100%" height="100%" fill="white"/>'
        f"{''.join(parts)}</svg>"
    )
    return resvg_py.svg_to_bytes(svg_string=drawing)
