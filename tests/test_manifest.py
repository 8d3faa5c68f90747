"""What Home Assistant wants to know beforehand."""

import json
from pathlib import Path
import re
from typing import TYPE_CHECKING

from homeassistant.loader import async_get_integration

from .address import current
from .home import DOMAIN

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant

ROOT = Path(__file__).parents[1]
INTEGRATION = ROOT / "custom_components" / DOMAIN
REPOSITORY = f"https://github.com/{current()}"


async def test_home_assistant_takes_the_manifest(hass: HomeAssistant) -> None:
    integration = await async_get_integration(hass, DOMAIN)
    assert integration.name == "B-Route Smart Meter"
    assert integration.config_flow
    assert integration.integration_type == "device"
    assert integration.iot_class == "local_polling"
    # The stack is vendored; the library is Home Assistant's own choice for holidays, at whatever version it has.
    assert integration.requirements == ["holidays>=0.106"]
    assert integration.issue_tracker == f"{REPOSITORY}/issues"
    assert integration.loggers == [f"custom_components.{DOMAIN}.aiobroute"]
    assert await integration.resolve_dependencies()


def test_the_manifest_is_in_order() -> None:
    manifest = json.loads((INTEGRATION / "manifest.json").read_text())
    assert list(manifest) == ["domain", "name", *sorted(manifest.keys() - {"domain", "name"})]
    assert manifest["domain"] == INTEGRATION.name
    assert manifest["codeowners"] == [f"@{current().split('/')[0]}"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", manifest["version"])
    # What is published under this version is taken from there.
    assert f"\n## [{manifest['version']}] - 20" in (ROOT / "CHANGELOG.md").read_text()
