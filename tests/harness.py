"""Loaded before the test harness of Home Assistant."""

# From 2026.11 on, this puts another library in the place of httpx before anybody has it.
import homeassistant  # noqa: F401  # isort: skip

# They change what the rest of Home Assistant imports, so they come first, as in the harness itself.
from pytest_homeassistant_custom_component import patch_json, patch_recorder, patch_time  # noqa: F401  # isort: skip

from . import newer  # noqa: F401
