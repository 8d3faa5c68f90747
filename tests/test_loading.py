"""What Home Assistant loads of ours when it starts: as much as a home without an electricity plan needs."""

from pathlib import Path
import subprocess
import sys

ROOT = Path(__file__).parents[1]

AT_THE_START = (
    "",
    ".binary_sensor",
    ".config_flow",
    ".diagnostics",
    ".media_source",
    ".repairs",
    ".sensor",
)
"""Home Assistant loads platforms that it may need together with the integration."""

LATER = (
    "aiobroute.__main__",
    "aiobroute.cli",
    "aiobroute.j11.commands",
    "aiobroute.j11.messages",
    "aiobroute.j11.module",
    "aiobroute.records",
    "answers",
    "cost_sensor",
    "energy.accounts",
    "energy.bill",
    "energy.cost_rows",
    "energy.figures",
    "energy.first_plan",
    "energy.half_hours",
    "energy.plans",
    "energy.price_history",
    "energy.prices",
    "energy.records",
    "energy.tariff",
    "takeover.move",
)


def test_nothing_is_loaded_that_most_homes_do_not_need() -> None:
    imports = "\n".join(f"import custom_components.broute{name}" for name in AT_THE_START)
    program = f"import sys\n{imports}\nprint(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S603  # our own program
    loaded = {name.removeprefix("custom_components.broute.") for name in run.stdout.split()}
    assert "energy.backfill" in loaded
    assert not loaded.intersection(LATER)


def test_what_a_kind_of_module_needs_can_be_loaded_before_it_is_heard() -> None:
    program = """
import sys
from importlib import import_module
from custom_components.broute.aiobroute import loaded_later
assert not loaded_later("BP35C2")
assert loaded_later("J11") == loaded_later(None)
list(map(import_module, loaded_later("J11")))
before = set(sys.modules)
from custom_components.broute.aiobroute.j11 import commands, messages, module
assert set(sys.modules) == before
"""
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)  # noqa: S603  # our own program
