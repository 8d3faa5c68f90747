"""What the tests share."""

import pytest

# Before Home Assistant puts the test harness's own folder of that name in front.
import custom_components  # noqa: F401


@pytest.fixture(autouse=True)
def _custom_integrations(request: pytest.FixtureRequest) -> None:
    if "hass" in request.fixturenames:
        request.getfixturevalue("enable_custom_integrations")


def pytest_configure(config: pytest.Config) -> None:
    # Home Assistant's own web server, which comes with `usb`, does what its aiohttp advises against.
    config.addinivalue_line("filterwarnings", "ignore::aiohttp.web_exceptions.NotAppKeyWarning")
