"""The brand images: those that Home Assistant serves, in its sizes, and drawn from the present drawing."""

from http import HTTPStatus
import io
from typing import TYPE_CHECKING

from homeassistant.components.brands.const import ALLOWED_IMAGES
from homeassistant.setup import async_setup_component
from PIL import Image, ImageChops
import pytest

from .brand import FOLDER, pictures
from .home import DOMAIN

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant
    from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

PICTURES = pictures()


def image(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data)).convert("RGBA")


def test_home_assistant_finds_all_it_looks_for_and_nothing_else() -> None:
    assert {path.name for path in FOLDER.iterdir()} == PICTURES.keys() == ALLOWED_IMAGES


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_shows_the_present_drawing(name: str) -> None:
    kept, drawn = image((FOLDER / name).read_bytes()), image(PICTURES[name])
    assert kept.size == drawn.size
    # Another processor may round differently.
    difference = max(ImageChops.difference(kept, drawn).tobytes())
    assert difference <= 2, f"run scripts/brand: {name} is of an older drawing"


@pytest.mark.parametrize(("suffix", "height"), [("", 256), ("@2x", 512)])
@pytest.mark.parametrize("theme", ["", "dark_"])
def test_pictures_have_the_sizes_of_the_brands_repository(theme: str, suffix: str, height: int) -> None:
    icon, logo = (image((FOLDER / f"{theme}{name}{suffix}.png").read_bytes()) for name in ("icon", "logo"))
    assert icon.size == (height, height)
    assert logo.height == height < logo.width
    for picture in (icon, logo):
        box = picture.getbbox()
        assert box is not None
        margins = (box[0], box[1], picture.width - box[2], picture.height - box[3])
        # Trimmed, and transparent in the corners.
        assert max(margins) < 8 * height // 256, margins
        assert picture.getpixel((0, 0)) == (0, 0, 0, 0)


def test_dark_pictures_are_lighter() -> None:
    def brightness(name: str) -> float:
        picture = image((FOLDER / name).read_bytes())
        shown = Image.new("RGBA", picture.size)
        shown.paste(picture, mask=picture.getchannel("A"))
        values = shown.convert("L").histogram(mask=picture.getchannel("A"))
        return sum(value * count for value, count in enumerate(values)) / sum(values)

    for name in ("icon.png", "logo.png"):
        assert brightness(f"dark_{name}") > brightness(name) + 20


async def test_home_assistant_serves_them(hass: HomeAssistant, hass_client: ClientSessionGenerator) -> None:
    assert await async_setup_component(hass, "brands", {})
    client = await hass_client()
    for name in PICTURES:
        response = await client.get(f"/api/brands/integration/{DOMAIN}/{name}")
        assert response.status == HTTPStatus.OK
        assert await response.read() == (FOLDER / name).read_bytes(), name
