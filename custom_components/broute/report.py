"""A connection that is recorded for a report: at the entry's own port, checked, and offered for download."""

import asyncio
from typing import TYPE_CHECKING, Final

from homeassistant.components import persistent_notification
from homeassistant.components.http.auth import async_sign_path
from homeassistant.const import CONF_DEVICE, CONF_PASSWORD
from homeassistant.core import callback
from homeassistant.exceptions import ConfigEntryNotReady
from homeassistant.loader import async_get_integration
from homeassistant.util import dt as dt_util

from .aiobroute import BRouteError, Credentials, Progress
from .aiobroute.recording import Recording, RecordStep, may_be_shown
from .const import CONF_ROUTE_B_ID, DOMAIN
from .dongle.sharing import async_lease
from .export import LINK, PATH, RECORD, folder_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant

STEPS: Final[Mapping[str, str]] = {
    "turn": "record_turn",
    "probe": "record_probe",
    "scan": "record_scan",
    "join": "record_join",
    "wait": "record_join",
    "read": "record_read",
    "properties": "record_properties",
    "history of a day": "record_history",
    "history of half hours": "record_history",
    "history of minutes": "record_history",
    "readings": "record_readings",
    "announcements": "record_announcements",
}
"""The texts of the steps."""


class Report:
    """A record that is being made; nothing of it is on a disk before it was checked."""

    def __init__(self, hass: HomeAssistant, entry: ConfigEntry, minutes: int, words: Mapping[str, str]) -> None:
        self._hass = hass
        self._entry = entry
        self._minutes = minutes
        self._lines: list[str] = []
        self._recording: Recording | None = None
        self._words = words
        self._is_failed = False
        self.task = hass.async_create_background_task(self._async_run(), f"{entry.title} record")

    @callback
    def end(self) -> None:
        """End it, once: a second time would keep it from leaving the meter, and from being kept."""
        if not self.task.cancelling():
            self.task.cancel()

    async def _async_run(self) -> None:
        try:
            self._show(RecordStep(name="turn"))
            async with async_lease(self._hass, self._entry.data[CONF_DEVICE]):
                await self._async_record()
        finally:
            # Whatever has ended it, what there is by now is whole.
            await asyncio.shield(self._async_offer())

    async def _async_record(self) -> None:
        data = self._entry.data
        integration = await async_get_integration(self._hass, DOMAIN)
        self._recording = Recording(
            data[CONF_DEVICE],
            Credentials(data[CONF_ROUTE_B_ID], data[CONF_PASSWORD]),
            self._lines.append,
            version=str(integration.version),
            minutes=self._minutes,
            on_progress=self._progressed,
            on_step=self._show,
        )
        try:
            await self._recording.run()
        except BRouteError, ConfigEntryNotReady:  # The record tells what has failed.
            self._is_failed = True

    @callback
    def _progressed(self, progress: Progress) -> None:
        scan = progress.scan
        step = RecordStep(name=progress.stage.name.lower())
        self._show(step if scan is None else RecordStep(name="scan", number=scan.number, of=scan.of))

    @callback
    def _show(self, step: RecordStep) -> None:
        """Say how far it is, in the notification that has the link in the end."""
        counted = "" if step.number is None else f" {step.number}/{step.of}"
        self._tell("record_running", f"{self._words[STEPS[step.name]]}{counted}\n\n{self._words['record_hint']}")

    @callback
    def _tell(self, title: str, text: str) -> None:
        notification_id = f"{DOMAIN}_record_{self._entry.entry_id}"
        persistent_notification.async_create(self._hass, text, self._words[title], notification_id)

    async def _async_offer(self) -> None:
        """Check what was recorded, keep it if it may be shown, and say where it is."""
        name = f"{DOMAIN}_record_{dt_util.now():%Y%m%d_%H%M%S}{RECORD}"
        path = folder_of(self._hass) / name
        text = "".join(self._lines)
        secrets = set() if self._recording is None else self._recording.secrets

        def keep() -> bool:
            if not may_be_shown(text, secrets):
                return False
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="ascii", newline="")
            return True

        try:
            is_kept = await self._hass.async_add_executor_job(keep)
        except OSError as err:
            self._tell("record_lost", self._words["record_unwritable"].format(error=err.strerror))
            return
        if not is_kept:
            self._tell("record_lost", self._words["record_unsafe"] if text else self._words["record_empty"])
            return
        link = async_sign_path(self._hass, f"{PATH}/{name}", LINK)
        failed = f"\n\n{self._words['record_failed']}" if self._is_failed else ""
        self._tell("record_written", f"[{name}]({link})\n\n{self._words['record_read_it']}{failed}")
