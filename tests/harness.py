"""Loaded before the test harness of Home Assistant, which was made for 2026.10: lets it go with newer ones, too."""

# From 2026.11 on, this puts another library in the place of httpx before anybody has it.
import homeassistant  # noqa: F401  # isort: skip

# They change what the rest of Home Assistant imports, so they come first, as in the harness itself.
from pytest_homeassistant_custom_component import patch_json, patch_recorder, patch_time  # noqa: F401  # isort: skip

from homeassistant.components import logger
from homeassistant.components.logger import helpers

if not hasattr(logger, "_clear_logger_overwrites"):
    # The harness looks for it where it was until 2026.10.
    vars(logger)["_clear_logger_overwrites"] = helpers._clear_logger_overwrites
