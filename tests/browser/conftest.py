"""One Home Assistant for each language, and a browser for each person."""

import asyncio
from collections.abc import AsyncGenerator, Generator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
import os
from pathlib import Path
import sys

from playwright.async_api import Browser, ConsoleMessage, Page, expect
import pytest
import pytest_asyncio
import pytest_socket

from tests.browser import slow_pages
from tests.demo.browser import DESKTOP, PHONE, chromium, find_chromium, logged_in
from tests.demo.flow_dialog import FlowDialog
from tests.demo.home_assistant import NAMES, PROJECT, HomeAssistant, home_assistant
from tests.demo.integration import DOMAIN
from tests.demo.process import StepError, tail
from tests.demo.steps import say
from tests.demo.words import Words

FAILED = pytest.StashKey[bool]()

PHONE_AT_NIGHT = pytest.mark.phone_at_night
"""Makes the page as wide as a phone, in the dark theme."""

PICTURES = PROJECT / "build" / "browser"

PATIENCE = 60_000
"""Milliseconds until something has to be there that needs no radio.

One second is normal, and ten on a machine that has much else to do; this is only against hanging.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """A Home Assistant in one language."""

    hass: HomeAssistant
    words: Words
    folder: Path

    async def entries(self) -> list[str]:
        """Return the ids of our entries."""
        entries = await self.hass.client.command("config_entries/get", domain=DOMAIN)
        return [entry["entry_id"] for entry in entries]


class Person:
    """A page of the browser, and what it complained about."""

    def __init__(self, page: Page, home: Home) -> None:
        self.page = page
        self.home = home
        self.troubles: list[str] = []
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self._failed(str(error)))

    @property
    def words(self) -> Words:
        """The language that is read."""
        return self.home.words

    @property
    def dialog(self) -> FlowDialog:
        """The dialog of a flow, if one is open."""
        return FlowDialog(self.page, self.words)

    async def start_adding(self) -> FlowDialog:
        """Ask Home Assistant to add the integration."""
        await self.page.goto(f"/config/integrations/dashboard/add?domain={DOMAIN}")
        await self.page.get_by_role("button", name="OK").click()
        await self.dialog.form.wait_for()
        return self.dialog

    async def open_integration(self) -> None:
        """Look at our page among the integrations."""
        await self.page.goto(f"/config/integrations/integration/{DOMAIN}")

    async def choose_from_menu(self, item: str) -> None:
        """Open the menu of the meter on our page, and choose something."""
        row = self.page.locator("ha-config-entry-row")
        await row.locator("ha-dropdown > ha-icon-button").first.click()
        text = self.words.frontend(f"panel.config.integrations.config_entry.{item}")
        await row.get_by_role("menuitem", name=text).click()

    async def reload(self) -> None:
        """Have the meter's entry loaded anew, and stay on the page until that has happened."""
        async with self.page.expect_response(lambda response: response.url.endswith("/reload")) as answer:
            await self.choose_from_menu("reload")
        assert (await answer.value).ok

    def _failed(self, error: str) -> None:
        """Take note of an exception; the websocket of a page that was left has this one."""
        if error != "disconnected":
            self.troubles.append(error)

    def _heard(self, message: ConsoleMessage) -> None:
        """Take note of errors, but not of those about the icons that others load from the internet."""
        url = message.location["url"]
        if message.type == "error" and ("/brands/" not in url or f"/{DOMAIN}/" in url):
            self.troubles.append(f"{message.text} ({url})")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the tests of a language share a process; with more processes than two, those of half of the files."""
    is_halved = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")) > len(NAMES)
    for item in items:
        callspec = getattr(item, "callspec", None)  # Only what is run with parameters has one.
        if callspec is not None and (lang := callspec.params.get("home")):
            half = "-set-up" if is_halved and item.path.stem in ("test_set_up", "test_costs") else ""
            item.add_marker(pytest.mark.xdist_group(f"{lang}{half}"))


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the pages run as on a slower machine."""
    parser.addoption("--slowness", type=float, default=1.0, help="how many times slower the browser is (tests/browser)")


@contextmanager
def _there_or_skipped() -> Iterator[None]:
    """Skip what needs a browser where none can be had; on CI that is a failure."""
    try:
        yield
    except StepError as err:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"{err}; scripts/setup --browser does it, where it may")


@asynccontextmanager
async def slowed(running: Browser, slowness: float) -> AsyncGenerator[None]:
    """Let the pages of a browser run as on a slower machine, for the length of a `with`."""
    if slowness <= 1:
        yield
        return
    session = await running.new_browser_cdp_session()
    processes = (await session.send("SystemInfo.getProcessInfo"))["processInfo"]
    pid = next(process["id"] for process in processes if process["type"] == "browser")
    command = (sys.executable, "-m", slow_pages.__name__, str(pid), str(slowness))
    helper = await asyncio.create_subprocess_exec(*command, cwd=PROJECT, stdout=asyncio.subprocess.PIPE)
    assert helper.stdout
    assert await helper.stdout.readline(), "the pages are not slowed down"
    try:
        yield
        assert helper.returncode is None, "the pages were not slowed down to the end"
    finally:
        with suppress(ProcessLookupError):
            helper.terminate()
        await helper.wait()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser(request: pytest.FixtureRequest) -> AsyncGenerator[Browser]:
    """Run Chromium."""
    with _there_or_skipped():
        find_chromium()
    pytest_socket.enable_socket()
    async with chromium() as running, slowed(running, request.config.getoption("--slowness")):
        yield running


@pytest_asyncio.fixture(
    scope="session",
    loop_scope="session",
    params=sorted(NAMES),
)
async def home(
    browser: Browser,  # noqa: ARG001  # without one, nothing is to be started
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncGenerator[Home]:
    """Run Home Assistant."""
    pytest_socket.enable_socket()
    folder = tmp_path_factory.mktemp(request.param)
    async with home_assistant(folder, lang=request.param) as hass:
        yield Home(hass=hass, words=Words(request.param), folder=folder)


@pytest.fixture(autouse=True)
def _with_sockets(socket_enabled: None) -> None:
    """Let tests talk to the processes that they start."""


@pytest.fixture(autouse=True)
def verify_cleanup() -> None:
    """Do without Home Assistant's own check: what runs here lives longer than a test, and in other processes."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    item.stash[FAILED] = item.stash.get(FAILED, False) or report.failed
    return report


@pytest_asyncio.fixture(loop_scope="session")
async def person(browser: Browser, home: Home, request: pytest.FixtureRequest) -> AsyncGenerator[Person]:
    """Open a page; afterwards nothing of ours is left in Home Assistant, and the browser has not complained."""
    expect.set_options(timeout=PATIENCE)
    is_phone = request.node.get_closest_marker("phone_at_night") is not None
    async with logged_in(
        browser,
        home.hass,
        lang=home.words.lang,
        size=PHONE if is_phone else DESKTOP,
        is_dark=is_phone,
    ) as page:
        page.set_default_timeout(PATIENCE)
        visitor = Person(page, home)
        yield visitor
        if request.node.stash.get(FAILED, False):
            PICTURES.mkdir(parents=True, exist_ok=True)
            picture = PICTURES / f"{request.node.name}.png"
            await page.screenshot(path=picture)
            say(f"{tail(home.hass.process.log)}\n{picture} is what the person saw")
    for entry_id in await home.entries():
        await home.hass.client.delete(f"/api/config/config_entries/entry/{entry_id}")
    await home.hass.client.command("energy/save_prefs", energy_sources=[])
    assert not visitor.troubles
