"""The tests with another version of Home Assistant than the oldest one: `python -m tests.versions 2026.11.0 …`.

Arguments after the version go to pytest. The environment is made the first time, which takes half a minute.
"""

import asyncio
from collections.abc import Iterator
import os
from pathlib import Path
import sys

from .demo.environment import NEWER, _uv, requirements
from .demo.home_assistant import PROJECT

RECIPE = Path(__file__).read_text()


def _dependencies(package: Path) -> Iterator[str]:
    """Yield what a Home Assistant that is installed wants to have beside it."""
    (metadata,) = package.parent.glob("homeassistant-*.dist-info/METADATA")
    for line in metadata.read_text().splitlines():
        if line.startswith("Requires-Dist: "):
            yield line.removeprefix("Requires-Dist: ")


async def python(version: str) -> Path:
    """Return the interpreter of an environment that has a version of Home Assistant beside what the tests need."""
    folder = PROJECT / f".venv-tests-{version}"
    stamp = folder / "stamp"
    wanted = (PROJECT / "requirements_test.txt").read_text()
    if not stamp.exists() or stamp.read_text() != RECIPE + wanted:
        await _uv("venv", "--clear", "--python", sys.executable, folder)
        install = ("pip", "install", "--python", folder)
        await _uv(*install, f"homeassistant=={version}")
        (package,) = folder.glob("lib/python*/site-packages/homeassistant")
        # The harness names the versions that it was made for; what this Home Assistant wants goes before.
        pins = dict.fromkeys((f"homeassistant=={version}", *_dependencies(package), *requirements(package), *NEWER))
        overrides = folder / "overrides.txt"
        overrides.write_text("\n".join(pins))
        names = {pin.partition("==")[0].lower() for pin in pins}
        lines = [line for line in wanted.splitlines() if line and not line.startswith("#")]
        own = [line for line in lines if line.partition("==")[0].lower() not in names]
        await _uv(*install, "--override", overrides, *own, *requirements(package), *NEWER)
        stamp.write_text(RECIPE + wanted)
    return folder / "bin" / "python"


def main() -> None:
    """Run pytest there, in the place of this process."""
    version, *arguments = sys.argv[1:]
    program = asyncio.run(python(version))
    os.execv(program, [str(program), "-m", "pytest", *arguments])  # noqa: S606  # an interpreter that we have made


if __name__ == "__main__":
    main()
