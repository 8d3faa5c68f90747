"""A real ESPHome node on this machine, and a Home Assistant with what its ESPHome integration needs.

`python -m tests.infrastructure.esphome` makes both, which takes a minute or two the first time and nothing later.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
import json
import os
from pathlib import Path
import sys

import pytest

from tests.demo.environment import COMPONENTS, NEWER, _uv
from tests.demo.home_assistant import PROJECT, free_port
from tests.demo.process import StepError
from tests.demo.steps import say

from .servers import Server, dongle

ESPHOME = "2026.10.0"
HOME_ASSISTANT = "2026.10.4"
INTEGRATION = ("esphome", "bluetooth")
"""What the demo's Home Assistant has no packages for."""

NODE_FOLDER = PROJECT / ".venv-esphome"
HASS_FOLDER = PROJECT / ".venv-esphome-hass"
NAME = "wisun-node"
PORT_NAME = "Wi-SUN dongle"

# The device is what the node is started with: the host platform compiles its path in, and takes none of more than two
# parts. The port of the API would be compiled in, too.
NODE = f"""\
esphome:
  name: {NAME}
  on_boot:
    priority: 1000
    then:
      - lambda: id(node_api).set_port(atoi(getenv("NODE_PORT")));
host:
logger:
api:
  id: node_api
uart:
  port: /dev/stdin
  baud_rate: 115200
serial_proxy:
  - name: {PORT_NAME}
    port_type: TTL
"""

RECIPES = {
    NODE_FOLDER: f"{ESPHOME}\n{NODE}",
    HASS_FOLDER: "\n".join((HOME_ASSISTANT, *COMPONENTS, *INTEGRATION, *NEWER)),
}
"""What was made in another way is made anew."""


async def _node() -> None:
    """Install ESPHome and compile the node with the system's compiler.

    Raises:
        StepError: it cannot be done.

    """
    await _uv("venv", "--clear", "--python", sys.executable, NODE_FOLDER)
    await _uv("pip", "install", "--python", NODE_FOLDER, f"esphome=={ESPHOME}")
    (NODE_FOLDER / "node.yaml").write_text(NODE)
    child = await asyncio.create_subprocess_exec(
        NODE_FOLDER / "bin" / "esphome",
        *("compile", NODE_FOLDER / "node.yaml"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await child.communicate()
    if child.returncode:
        raise StepError(f"the node cannot be compiled (it needs g++):\n{output.decode(errors='replace')}")


async def _home_assistant() -> None:
    """Install a Home Assistant that can set up its ESPHome integration; serialx[esphome] is part of it.

    Raises:
        StepError: it cannot be done.

    """
    await _uv("venv", "--clear", "--python", sys.executable, HASS_FOLDER)
    install = ("pip", "install", "--python", HASS_FOLDER)
    await _uv(*install, f"homeassistant=={HOME_ASSISTANT}")
    (package,) = HASS_FOLDER.glob("lib/python*/site-packages/homeassistant")
    manifests = [package / "components" / name / "manifest.json" for name in (*COMPONENTS, *INTEGRATION)]
    wanted = [line for path in manifests for line in json.loads(path.read_text()).get("requirements", ())]
    await _uv(*install, "-c", package / "package_constraints.txt", *wanted)
    await _uv(*install, *NEWER)


def _is_made(folder: Path) -> bool:
    stamp = folder / "stamp"
    return stamp.exists() and stamp.read_text() == RECIPES[folder]


def hass_program(name: str) -> Path:
    """Return a program of the environment of Home Assistant; a test is skipped if it was not made, but not on CI."""
    if not (_is_made(NODE_FOLDER) and _is_made(HASS_FOLDER)):
        if os.environ.get("CI"):
            pytest.fail("no ESPHome node was made: scripts/esphome makes it")
        pytest.skip("no ESPHome node was made: scripts/esphome makes it, and runs these tests")
    return HASS_FOLDER / "bin" / name


@asynccontextmanager
async def node(folder: Path) -> AsyncIterator[Server]:
    """Offer a dongle by an ESPHome node."""
    (program,) = NODE_FOLDER.glob(f".esphome/build/{NAME}/**/program")
    async with dongle(folder, "pty") as device:
        number = free_port()
        environment = {**os.environ, "HOME": str(folder), "NODE_PORT": str(number)}
        url = f"esphome://127.0.0.1:{number}/?port_name={PORT_NAME.replace(' ', '+')}"
        log = folder / "esphome.log"
        async with Server(url, (str(program),), log, device=device, environment=environment) as server:
            yield server


async def _make() -> int:
    try:
        for folder, make in ((NODE_FOLDER, _node), (HASS_FOLDER, _home_assistant)):
            if not _is_made(folder):
                await make()
                (folder / "stamp").write_text(RECIPES[folder])
    except (StepError, OSError) as err:
        say(f"no ESPHome node: {err}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(_make()))
