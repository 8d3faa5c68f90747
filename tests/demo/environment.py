"""A Home Assistant of any version, in a virtual environment of its own."""

import asyncio
from collections.abc import Iterator
import json
import os
from pathlib import Path
import shutil
import sys

from .home_assistant import PROJECT
from .process import StepError

COMPONENTS = ("usb", "hassio", "frontend", "conversation", "ffmpeg", "camera", "tts", "infrared", "radio_frequency")
"""What Home Assistant sets up in the demo, and would install packages for at its start."""

NEWER = ("pymicro-vad==2.1.0", "pyspeex-noise==2.0.1")
"""Home Assistant's own pins of these have no wheels for Python 3.14; only voice would notice."""

RECIPE = Path(__file__).read_text()
"""An environment that was made in another way is made anew."""


def requirements(package: Path) -> Iterator[str]:
    """Yield what the demo's components need, at the pins of the Home Assistant that is installed there."""
    for component in COMPONENTS:
        manifest = json.loads((package / "components" / component / "manifest.json").read_text())
        yield from manifest.get("requirements", ())


async def environment(version: str) -> Path:
    """Return the program of a version of Home Assistant; the first time it is installed, which takes a minute.

    Raises:
        StepError: it cannot be installed.

    """
    folder = PROJECT / f".venv-{version}"
    program, stamp = folder / "bin" / "hass", folder / "stamp"
    if not stamp.exists() or stamp.read_text() != RECIPE:
        await _uv("venv", "--clear", "--python", sys.executable, folder)
        install = ("pip", "install", "--python", folder)
        await _uv(*install, f"homeassistant=={version}")
        (package,) = folder.glob("lib/python*/site-packages/homeassistant")
        await _uv(*install, "-c", package / "package_constraints.txt", *requirements(package))
        await _uv(*install, *NEWER)
        stamp.write_text(RECIPE)
    return program


async def _uv(*arguments: str | Path) -> None:
    # The uv that scripts/setup found, or fetched.
    uv = shutil.which("uv") or PROJECT / ".tools" / "bin" / "uv"
    child = await asyncio.create_subprocess_exec(
        uv, *arguments, env={**os.environ, "UV_SYSTEM_CERTS": "true"}, stderr=asyncio.subprocess.PIPE
    )
    _, errors = await child.communicate()
    if child.returncode:
        raise StepError(f"uv {arguments[0]} did not succeed: {errors.decode(errors='replace').strip()}")
