"""The dialog in which a flow asks its questions, as a person uses it."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from playwright.async_api import Locator, Page, TimeoutError as PlaywrightTimeoutError, expect

from tests.simulator.scenarios import PASSWORD, ROUTE_B_ID

from .words import Words

SET_UP = 240_000
"""Milliseconds; a scan of all channels and two joins take a sixth of them on a machine with nothing else to do."""

HAS_TAKEN = """(form, [field, value]) => new Promise(answer => {
    const end = performance.now() + 500;
    const look = () => {
        if (form.data?.[field] === value) answer(true);
        else if (performance.now() > end) answer(false);
        else requestAnimationFrame(look);
    };
    look();
})"""

MOMENT = 10_000
"""Milliseconds after which a field is looked for anew."""

TYPING = 120
"""Seconds for a field, the list of ports included; a moment is normal, and this is only against hanging."""

WATCH = """dialog => new Promise(ended => {
    const seen = [];
    const read = node => node.nodeType === Node.TEXT_NODE ? node.data
        : [...(node.shadowRoot ?? node).childNodes].map(read).join("");
    const look = () => {
        if (dialog.shadowRoot.querySelector("step-flow-form, step-flow-create-entry, step-flow-abort")) ended(seen);
        else requestAnimationFrame(look);
        const step = dialog.shadowRoot.querySelector("step-flow-progress");
        if (!step) return;
        const ring = step.shadowRoot.querySelector("ha-progress-ring");
        const now = [read(step.shadowRoot), ring?.value ?? null];
        if (String(now) !== String(seen.at(-1))) seen.push(now);
    };
    look();
})"""


@dataclass(frozen=True, slots=True)
class Sight:
    """What a progress showed at a moment."""

    text: str
    percent: float | None


class FlowDialog:
    """Answers, and tells what is shown."""

    def __init__(self, page: Page, words: Words) -> None:
        self._words = words
        self._page = page
        self.element = page.locator("dialog-data-entry-flow")
        self.title = self.element.locator(".dialog-title")
        self.surface = self.element.locator("dialog")
        self.form = self.element.locator("step-flow-form")
        self.progress = self.element.locator("step-flow-progress")
        self.created = self.element.locator("step-flow-create-entry")
        self.aborted = self.element.locator("step-flow-abort")
        self.alert = self.form.locator("ha-alert")

    def field(self, name: str) -> Locator:
        """Return where something is typed."""
        if name == "device":
            return self.form.locator("ha-selector-serial_port input")
        return self.form.locator(f"input[name={name}]")

    async def fill(self, fields: Mapping[str, str]) -> None:
        """Type into fields."""
        for name, text in fields.items():
            async with asyncio.timeout(TYPING):
                await self._fill(name, text)

    async def connect(self, device: str, *, route_b_id: str = ROUTE_B_ID, password: str = PASSWORD) -> None:
        """Type everything, and send it."""
        await self.fill({"device": device, "route_b_id": route_b_id, "password": password})
        await self.submit()

    async def open_ports(self) -> Locator:
        """Open the list of ports; return its last line, which lets one be typed."""
        await self.form.locator("ha-selector-serial_port ha-picker-field").click()
        text = self._words.frontend("components.selectors.serial_port.enter_manually")
        return self._page.locator("ha-combo-box-item", has_text=text)

    async def submit(self) -> None:
        """Press the one button."""
        await self.element.locator("ha-button[slot=primaryAction]").click()

    async def watch_progress(self) -> list[Sight]:
        """Look at the progress until it is over; return everything that was seen, without repetitions."""
        await self.progress.wait_for()
        return [Sight(*now) for now in await self.element.evaluate(WATCH)]

    async def finish(self) -> None:
        """Wait for the entry that was made, and leave."""
        await self.created.wait_for(timeout=SET_UP)
        await self.submit()
        await expect(self.created).to_be_hidden()

    async def close(self) -> None:
        """Leave without an answer."""
        await self.element.get_by_role("button", name=self._words.frontend("common.close")).first.click()
        await expect(self.element.locator("ha-dialog")).to_be_hidden()

    async def _fill(self, name: str, text: str) -> None:
        """Type into a field; what is typed while the form is being drawn gets lost, and is typed again.

        The field of the port can become a list again, when the ports that there are have been found.
        """
        has_taken = False
        while not has_taken:
            try:
                if name == "device":
                    await self._enter_port_manually()
                await self.field(name).fill(text, timeout=MOMENT)
            except PlaywrightTimeoutError:
                continue
            has_taken = await self.form.locator("ha-form").evaluate(HAS_TAKEN, [name, text])

    async def _enter_port_manually(self) -> None:
        """Have a field to type the port into, as it is after the list was asked for it."""
        if not await self.field("device").is_visible():
            await (await self.open_ports()).click(timeout=MOMENT)
            await self.field("device").wait_for(timeout=MOMENT)
