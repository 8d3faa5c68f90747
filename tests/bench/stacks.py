"""Who is measured: each in its own environment, with what it is told."""

from dataclasses import dataclass, field
import json
import os
from pathlib import Path
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).parents[2]
PEERS = ROOT / ".venv-peers" / "bin" / "python"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """A client, and how it is called."""

    key: str
    label: str
    client: str
    python: Path = PEERS
    options: Mapping[str, Any] = field(default_factory=dict)
    """Of the tasks that can be done in more than one way."""
    environment: Mapping[str, str] = field(default_factory=dict)

    def command(self, task: str, **options: Any) -> tuple[str, ...]:
        """Return the command line for a task."""
        module = f"tests.bench.clients.{self.client}"
        return (str(self.python), "-m", module, task, json.dumps(options))

    def surroundings(self) -> dict[str, str]:
        """Return the environment variables; bytecode is kept, as on every machine that has run it before."""
        return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"} | {
            **self.environment
        }


OURS = Stack(
    key="ours",
    label="aiobroute",
    client="ours",
    python=Path(sys.executable),
    # Without the integration around it, and so without Home Assistant.
    environment={"PYTHONPATH": str(ROOT / "custom_components" / "broute")},
)
NETWORK = Stack(
    key="ours",
    label=OURS.label,
    client="network",
    python=OURS.python,
    environment={"PYTHONPATH": f"{ROOT / 'custom_components' / 'broute'}:{ROOT}"},
)
BUILT_IN = Stack(key="built_in", label="momonga, as built in", client="momonga", options={"best": False})
BEST = Stack(key="best", label="momonga, at its best", client="momonga", options={"best": True})
MOMONGA = Stack(key="momonga", label="momonga", client="momonga")
RADIO = Stack(key="radio", label="the radio alone", client="bare")
BROUTE_J11 = Stack(key="broute_j11", label="broute-j11", client="broute_j11")
FLOOR = Stack(key="floor", label="asyncio, serialx alone", client="floor", python=Path(sys.executable))
HOME = Stack(key="ours", label="aiobroute in Home Assistant", client="home", python=Path(sys.executable))

LABELS = {
    **{stack.key: stack.label for stack in (OURS, BUILT_IN, BEST, MOMONGA, BROUTE_J11, FLOOR, RADIO)},
    "radio_install": RADIO.label,
    "radio_warm": RADIO.label,
    "first": "polls 1 to 1,000",
    "one": "one meter",
    "dongle": "aiobroute over a BP35C2",
}
"""What is printed for each key."""
