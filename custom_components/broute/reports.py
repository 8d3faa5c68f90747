"""Which connections are being recorded for a report; each begins and ends here."""

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from homeassistant.const import EVENT_HOMEASSISTANT_STOP
from homeassistant.core import callback
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers.dispatcher import async_dispatcher_send
from homeassistant.helpers.importlib import async_import_module
from homeassistant.util.hass_dict import HassKey

from .const import DOMAIN
from .words import async_words

if TYPE_CHECKING:
    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import Event, HomeAssistant

    from .report import Report, WrittenReport

MINUTES: Final = 31
"""In which a meter tells its counters at a half-hour at least once."""

LONGEST: Final = 60
"""Minutes."""

REPORTS: Final[HassKey[dict[str, Report]]] = HassKey(f"{DOMAIN}_reports")
"""Those that are being made, by entry."""

LAST: Final[HassKey[dict[str, WrittenReport]]] = HassKey(f"{DOMAIN}_last_reports")
"""The last ones that left something out that a person may ask for. It is nowhere but in memory."""


def signal_of(entry: ConfigEntry) -> str:
    """Return the signal that a record has begun or ended."""
    return f"{DOMAIN}_record_{entry.entry_id}"


@callback
def async_is_recording(hass: HomeAssistant, entry: ConfigEntry) -> bool:
    """Return whether a record is being made."""
    return entry.entry_id in hass.data.get(REPORTS, {})


@callback
def async_last(hass: HomeAssistant, entry: ConfigEntry) -> WrittenReport | None:
    """Return the last record, if it left something out that a person may ask for."""
    return hass.data.get(LAST, {}).get(entry.entry_id)


@callback
def async_forget_last(hass: HomeAssistant, entry: ConfigEntry) -> None:
    """Forget what the last record left out."""
    hass.data.get(LAST, {}).pop(entry.entry_id, None)


async def async_begin(hass: HomeAssistant, entry: ConfigEntry, minutes: int = MINUTES) -> None:
    """Begin a record; the readings wait until it has ended.

    Raises:
        ServiceValidationError: there is one under way.

    """
    await async_import_module(hass, f"{__package__}.report")
    from .report import Report  # noqa: PLC0415  # it is loaded by now

    words = await async_words(hass)
    if async_is_recording(hass, entry):
        raise ServiceValidationError(translation_domain=DOMAIN, translation_key="record_running")
    async_forget_last(hass, entry)
    reports = hass.data.setdefault(REPORTS, {})
    report = reports[entry.entry_id] = Report(hass, entry, minutes, words)

    async def stop(_: Event) -> None:
        # Home Assistant has cancelled it by now, and waits for whoever waits for it.
        await async_end(hass, entry)

    end_listening = hass.bus.async_listen(EVENT_HOMEASSISTANT_STOP, stop)

    @callback
    def ended(_: asyncio.Task[None]) -> None:
        end_listening()
        reports.pop(entry.entry_id, None)
        if report.written is not None and report.written.unknown:
            hass.data.setdefault(LAST, {})[entry.entry_id] = report.written
        async_dispatcher_send(hass, signal_of(entry))

    report.task.add_done_callback(ended)
    async_dispatcher_send(hass, signal_of(entry))


async def async_end(hass: HomeAssistant, entry: ConfigEntry) -> None:
    """End a record, if there is one, and return when it was kept."""
    report = hass.data.get(REPORTS, {}).get(entry.entry_id)
    if report is not None:
        report.end()
        with suppress(asyncio.CancelledError):
            await asyncio.shield(asyncio.wait([report.task]))
