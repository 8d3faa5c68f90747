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
from homeassistant.util.file import WriteError, write_utf8_file_atomic

from .aiobroute import BRouteError, Credentials, Progress
from .aiobroute.recording import Recording, RecordStep, Unknown
from .const import CONF_ROUTE_B_ID, DOMAIN
from .dongle.sharing import async_lease
from .export import LINK, PATH, RECORD, folder_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from pathlib import Path

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


MOST: Final = 100
"""Of what is unknown, so much is offered: a form has to be read."""

SHOWN_LINES: Final = 3


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
        self.written: WrittenReport | None = None
        """What became of it, if it was kept."""
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
        path = folder_of(self._hass) / f"{DOMAIN}_record_{dt_util.now():%Y%m%d_%H%M%S}{RECORD}"
        if (recording := self._recording) is None:
            self._tell("record_lost", self._words["record_empty"])
            return

        def keep() -> WrittenReport | None:
            text = "".join(self._lines)
            if recording.findings(text):
                return None
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="ascii", newline="")
            return WrittenReport(self._hass, recording, path, text, self._announce)

        try:
            self.written = await self._hass.async_add_executor_job(keep)
        except OSError as err:
            self._tell("record_lost", self._words["record_unwritable"].format(error=err.strerror))
            return
        if self.written is None:
            self._tell("record_lost", self._words["record_unsafe"])
        else:
            self._announce(self.written)

    @callback
    def _announce(self, written: WrittenReport) -> None:
        """Offer the file, and say what it does not have."""
        link = async_sign_path(self._hass, f"{PATH}/{written.path.name}", LINK)
        paragraphs = [f"[{written.path.name}]({link})", self._words["record_read_it"]]
        if self._is_failed:
            paragraphs.append(self._words["record_failed"])
        if written.kept:
            paragraphs.append(self._words["record_kept"])
        if unknown := len(written.unknown):
            paragraphs.append(self._words["record_unknown"].format(number=unknown, kept=len(written.kept)))
        self._tell("record_written", "\n\n".join(paragraphs))


class WrittenReport:
    """A record that is there, and what of an unknown form it can have if a person asks for it."""

    def __init__(
        self,
        hass: HomeAssistant,
        recording: Recording,
        path: Path,
        text: str,
        announce: Callable[[WrittenReport], None],
    ) -> None:
        """Look for it, which takes a while."""
        self._hass = hass
        self._recording = recording
        self._text = text
        self._announce = announce
        self.path = path
        self.unknown, self.hidden = recording.unknown(text)
        self.kept: list[str] = []
        """The names of what the file has by now."""

    @property
    def choices(self) -> dict[str, str]:
        """Return what there is, by its name: where, and what was said."""
        return {each.name: f"{_where(each)}: {each.text}" for each in self.unknown[:MOST]}

    async def async_keep(self, names: Collection[str]) -> str | None:
        """Let the file have what a person has asked for, and nothing else of it; return what fails."""
        asked = [each for each in self.unknown if each.name in names]

        def keep() -> str | None:
            text = self._recording.with_unknown(self._text, asked)
            if text is None:
                return "record_together"
            if not self.path.is_file():
                return "record_gone"
            try:
                write_utf8_file_atomic(str(self.path), text)
            except WriteError:
                return "record_unwritable"
            return None

        reason = await self._hass.async_add_executor_job(keep)
        if reason is None:
            self.kept = [each.name for each in asked]
            self._announce(self)
        return reason


def _where(unknown: Unknown) -> str:
    """Return the first lines in which it is."""
    first = ", ".join(map(str, unknown.lines[:SHOWN_LINES]))
    return f"{first}, …" if len(unknown.lines) > SHOWN_LINES else first
