"""The brand images: one drawing of our own, and how it becomes the pictures that Home Assistant shows."""

from pathlib import Path

import resvg_py

DRAWING = Path(__file__).with_name("logo.svg")
FOLDER = Path(__file__).parents[2] / "custom_components" / "broute" / "brand"

LOGO, ICON = 'viewBox="7 4 813 252"', 'viewBox="2 4 252 252"'
"""What is seen of the drawing."""

DARK = "svg .house { fill: #3b9ac4 } svg .word { stroke: #d6eaf3 }"
"""Colours for a dark background; `svg` makes them win over the drawing's own."""

HEIGHT = 256


def pictures() -> dict[str, bytes]:
    """Return every picture, as PNG, by its file name."""
    logo = DRAWING.read_text()
    return {
        f"{theme}{name}{suffix}.png": resvg_py.svg_to_bytes(
            svg_string=drawing, height=HEIGHT * scale, skip_system_fonts=True, style_sheet=style
        )
        for theme, style in (("", None), ("dark_", DARK))
        for name, drawing in (("icon", logo.replace(LOGO, ICON)), ("logo", logo))
        for suffix, scale in (("", 1), ("@2x", 2))
    }
