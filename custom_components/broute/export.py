"""Files to download: written into the media folder, listed in the media browser, offered by a link."""

from datetime import date, timedelta
from enum import StrEnum
from http import HTTPStatus
from pathlib import Path
import re
from typing import TYPE_CHECKING, Final

from aiohttp import hdrs, web
from homeassistant.components import persistent_notification
from homeassistant.components.http.auth import async_sign_path
from homeassistant.helpers.http import KEY_HASS, HomeAssistantView
from homeassistant.util import raise_if_invalid_filename, slugify

from .const import DOMAIN
from .energy.length import Length
from .words import async_words

if TYPE_CHECKING:
    from collections.abc import Mapping

    from homeassistant.core import HomeAssistant
    from homeassistant.util.json import JsonValueType

    from .coordinator import MeterConfigEntry

FOLDER: Final = "broute"
ENDING: Final = ".csv"
RECORD: Final = ".txt"

ENCODING: Final = "utf-8-sig"
"""With a byte order mark; without one, Excel takes Japanese for something else."""

KINDS: Final[Mapping[str, str]] = {ENDING: "text/csv", RECORD: "text/plain"}
"""Content types of exported histories and of records of connections."""

OFFERED: Final = re.compile(rf".+\{ENDING}|{DOMAIN}_record_\d{{8}}_\d{{6}}\{RECORD}")
"""What is given out of the folder; a person may have put something else there."""

PATH: Final = "/api/broute/export"

LINK: Final = timedelta(days=1)
"""How long a link is good for."""

HEADS: Final = ("csv_start", "csv_energy_in", "csv_energy_out", "csv_demand", "csv_cost")


class Layout(StrEnum):
    """What one row of a file is."""

    HALF_HOUR = "half_hour"
    DAY = "day"
    """With a column for each of its half-hours, as sites want it that compare plans."""


async def async_export(
    hass: HomeAssistant, entry: MeterConfigEntry, first: date, last: date, layout: Layout
) -> dict[str, JsonValueType]:
    """Write the half-hours of some days into a file, and tell where it is.

    Raises:
        OSError: it cannot be written.

    """
    accounts = await entry.runtime_data.accounting.async_accounts()
    from .energy.records import day_table, half_hour_table  # noqa: PLC0415  # loaded with the accounts

    half_hours = await accounts.async_records(Length.HALF_HOUR, first, last)
    words = await async_words(hass)
    path = folder_of(hass) / f"{_name(hass, entry)}_{layout}_{first:%Y%m%d}-{last:%Y%m%d}{ENDING}"

    def write() -> None:
        heads = [words[key] for key in HEADS]
        table = (
            half_hour_table(half_hours, heads)
            if layout is Layout.HALF_HOUR
            else day_table(half_hours, words["csv_day"])
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(table, encoding=ENCODING, newline="")

    await hass.async_add_executor_job(write)
    link = async_sign_path(hass, f"{PATH}/{path.name}", LINK)
    persistent_notification.async_create(
        hass, f"[{path.name}]({link})", words["csv_written"], f"{DOMAIN}_export_{entry.entry_id}"
    )
    return {
        "path": str(path),
        "media_content_id": f"media-source://{DOMAIN}/{path.name}",
        "url": link,
        "half_hours": len(half_hours),
        "half_hours_unknown": sum(each.energy_in is None for each in half_hours),
    }


def folder_of(hass: HomeAssistant) -> Path:
    """Return the folder of the files: within that of the media, which other computers may see as well."""
    media = hass.config.media_dirs
    top = media.get("local") or next(iter(media.values()), hass.config.path("media"))
    return Path(top) / FOLDER


def names_in(folder: Path) -> list[str]:
    """Return the files that are there, the newest first."""
    if not folder.is_dir():
        return []
    files = [path for path in folder.iterdir() if OFFERED.fullmatch(path.name) and path.is_file()]
    return [path.name for path in sorted(files, key=lambda path: path.stat().st_mtime, reverse=True)]


def kind_of(name: str) -> str:
    """Return the content type of a file that is offered."""
    return KINDS[Path(name).suffix]


def find(folder: Path, name: str) -> Path | None:
    """Return a file of the folder; nothing of any other one is found."""
    try:
        raise_if_invalid_filename(name)
    except ValueError:
        return None
    return folder / name if name in names_in(folder) else None


def _name(hass: HomeAssistant, entry: MeterConfigEntry) -> str:
    """Return how the files of a meter begin; no two meters have the same."""
    slugs = [slugify(other.title) for other in hass.config_entries.async_entries(DOMAIN)]
    slug = slugify(entry.title)
    return slug if slugs.count(slug) == 1 else f"{slug}_{entry.entry_id.lower()}"


class ExportView(HomeAssistantView):
    """Downloads of the files, by a signed link or by a user who is logged in."""

    url = f"{PATH}/{{name}}"
    name = "api:broute:export"

    async def get(self, request: web.Request, name: str) -> web.StreamResponse:
        """Return a file."""
        hass = request.app[KEY_HASS]
        path = await hass.async_add_executor_job(find, folder_of(hass), name)
        if path is None:
            return web.Response(status=HTTPStatus.NOT_FOUND)
        headers = {
            hdrs.CONTENT_TYPE: f"{kind_of(name)}; charset=utf-8",
            hdrs.CONTENT_DISPOSITION: f'attachment; filename="{name}"',
        }
        return web.FileResponse(path, headers=headers)
