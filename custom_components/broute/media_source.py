"""The exported files and records in Home Assistant's media browser."""

from typing import TYPE_CHECKING, override

from homeassistant.components.media_player.const import MediaClass
from homeassistant.components.media_player.errors import BrowseError
from homeassistant.components.media_source import (
    BrowseMediaSource,
    MediaSource,
    MediaSourceItem,
    PlayMedia,
    Unresolvable,
)

from .const import DOMAIN
from .export import PATH, find, folder_of, kind_of, names_in

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant


async def async_get_media_source(hass: HomeAssistant) -> ExportedFiles:
    """Return the files, as the media browser asks for them."""
    return ExportedFiles(hass)


class ExportedFiles(MediaSource):
    """The files that `broute.export_history` and `broute.record_connection` have written."""

    name = "B-Route Smart Meter"

    def __init__(self, hass: HomeAssistant) -> None:
        super().__init__(DOMAIN)
        self._hass = hass

    @override
    async def async_browse_media(self, item: MediaSourceItem) -> BrowseMediaSource:
        if item.identifier:
            raise BrowseError("There are no folders")
        names = await self._hass.async_add_executor_job(names_in, folder_of(self._hass))
        return BrowseMediaSource(
            domain=DOMAIN,
            identifier=None,
            media_class=MediaClass.APP,
            media_content_type="",
            title=self.name,
            can_play=False,
            can_expand=True,
            children_media_class=MediaClass.URL,
            children=[
                BrowseMediaSource(
                    domain=DOMAIN,
                    identifier=name,
                    media_class=MediaClass.URL,
                    media_content_type=kind_of(name),
                    title=name,
                    can_play=True,
                    can_expand=False,
                )
                for name in names
            ],
        )

    @override
    async def async_resolve_media(self, item: MediaSourceItem) -> PlayMedia:
        path = await self._hass.async_add_executor_job(find, folder_of(self._hass), item.identifier)
        if path is None:
            raise Unresolvable("There is no such file")
        return PlayMedia(f"{PATH}/{path.name}", kind_of(path.name), path=path)
