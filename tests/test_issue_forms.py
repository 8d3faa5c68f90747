"""The forms for reports: such as GitHub takes them, in both languages, and safe to fill in."""

from collections.abc import Iterator
import json
from pathlib import Path
import re
from typing import Any

from homeassistant.util import yaml as yaml_util
import pytest

from .address import current

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / ".github" / "ISSUE_TEMPLATE"
FORMS = sorted(path for path in FOLDER.glob("*.yml") if path.name != "config.yml")
TRANSLATIONS = ROOT / "custom_components" / "broute" / "translations"
KINDS = {"bug", "hardware", "wish"}

REQUIRED = {"name", "description", "body"}
KNOWN = REQUIRED | {"title", "labels", "assignees", "projects", "type"}

ATTRIBUTES = {
    "markdown": {"value"},
    "textarea": {"label", "description", "placeholder", "value", "render"},
    "input": {"label", "description", "placeholder", "value"},
    "dropdown": {"label", "description", "multiple", "options", "default"},
    "checkboxes": {"label", "description", "options"},
}
"""What GitHub knows of each type of an element (its syntax of issue forms)."""


def form_of(path: Path) -> dict[str, Any]:
    return {**yaml_util.parse_yaml(path.read_text())}  # type: ignore[dict-item]  # a form is an object


def fields(form: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield what a person fills in."""
    yield from (element for element in form["body"] if element["type"] != "markdown")


def test_there_is_each_form_in_both_languages() -> None:
    assert {path.name for path in FORMS} == {f"{kind}{lang}.yml" for kind in KINDS for lang in ("", ".ja")}


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_a_form_is_such_as_github_takes_it(path: Path) -> None:
    form = form_of(path)
    assert REQUIRED <= form.keys() <= KNOWN
    assert all(isinstance(form[key], str) and form[key].strip() for key in ("name", "description", "title"))
    assert len(form["name"]) <= 50
    assert len(form["description"]) <= 200
    ids = []
    for element in form["body"]:
        assert element.keys() <= {"type", "id", "attributes", "validations"}
        attributes = element["attributes"]
        assert attributes.keys() <= ATTRIBUTES[element["type"]]
        assert "value" in attributes if element["type"] == "markdown" else attributes["label"].strip()
        assert element.get("validations", {}).keys() <= {"required"}
    for element in fields(form):
        assert re.fullmatch(r"[A-Za-z0-9_-]+", element["id"])
        ids.append(element["id"])
        _look_at_options(element)
    assert ids
    assert len(ids) == len(set(ids))
    labels = [element["attributes"]["label"] for element in fields(form)]
    assert len(labels) == len(set(labels))


def _look_at_options(element: dict[str, Any]) -> None:
    options = element["attributes"].get("options")
    match element["type"]:
        case "dropdown":
            assert len(options) == len(set(options)) > 1
            assert all(isinstance(option, str) for option in options)
        case "checkboxes":
            assert options
            assert all(option.keys() <= {"label", "required"} for option in options)
            assert "required" not in element.get("validations", {}), "each box says that of itself"
        case _:
            assert options is None


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_both_languages_ask_for_the_same(kind: str) -> None:
    english, japanese = (form_of(FOLDER / f"{kind}{lang}.yml") for lang in ("", ".ja"))
    assert english["labels"] == japanese["labels"]
    assert [(each["type"], each.get("id")) for each in english["body"]] == [
        (each["type"], each.get("id")) for each in japanese["body"]
    ]
    for one, other in zip(fields(english), fields(japanese), strict=True):
        assert one.get("validations") == other.get("validations")
        assert len(one["attributes"].get("options", ())) == len(other["attributes"].get("options", ()))
        assert re.search(r"[ぁ-ん]|[ァ-ヶ]|[一-龠]", other["attributes"]["label"])


def test_names_of_forms_are_told_apart() -> None:
    names = [form_of(path)["name"] for path in FORMS]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("path", [path for path in FORMS if "wish" not in path.name], ids=lambda path: path.stem)
def test_a_report_is_promised_to_have_no_credentials(path: Path) -> None:
    (boxes,) = [element for element in fields(form_of(path)) if element["type"] == "checkboxes"]
    assert all(option["required"] for option in boxes["attributes"]["options"])
    assert boxes["id"] == "privacy"


@pytest.mark.parametrize(("lang", "texts"), [("", "en"), (".ja", "ja")])
def test_what_they_name_is_called_so(lang: str, texts: str) -> None:
    words = json.loads((TRANSLATIONS / f"{texts}.json").read_text())
    form = " ".join((FOLDER / f"hardware{lang}.yml").read_text().split())
    assert words["entity"]["switch"]["record"]["name"] in form
    assert words["issues"]["no_meter"]["fix_flow"]["step"]["trouble"]["menu_options"]["examine"] in form


@pytest.mark.parametrize("lang", ["", ".ja"])
def test_a_report_of_hardware_has_a_record(lang: str) -> None:
    (record,) = [each for each in fields(form_of(FOLDER / f"hardware{lang}.yml")) if each["id"] == "record"]
    assert record["validations"] == {"required": True}


def test_the_choice_of_forms() -> None:
    config = form_of(FOLDER / "config.yml")
    assert config.keys() == {"blank_issues_enabled", "contact_links"}
    assert config["blank_issues_enabled"] is False
    for link in config["contact_links"]:
        assert link.keys() == {"name", "url", "about"}


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yml")), ids=lambda path: path.stem)
def test_links_lead_somewhere(path: Path) -> None:
    links = re.findall(r"https://github.com/([\w.-]+/[\w.-]+)/blob/main/([\w./-]+)", path.read_text())
    assert links or "wish" in path.name
    for address, file in links:
        assert address == current()
        assert (ROOT / file).is_file()
