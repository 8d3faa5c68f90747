"""The repository's address can be set with one command, in all places."""

import json
from pathlib import Path
import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from .address import MANIFEST, ROOT, current, left, main, texts

if TYPE_CHECKING:
    from collections.abc import Iterable

NEW = "Example-1/a.Repository"


def copied(target: Path, paths: Iterable[Path]) -> Path:
    """Return a clone of its own with some of the project's files."""
    for path in paths:
        place = target / path.relative_to(ROOT)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, place)
    subprocess.run(["git", "init", "-q", target], check=True)  # noqa: S603, S607  # the git of the PATH
    return target


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return copied(tmp_path / "project", texts(ROOT).keys() - {Path(__file__)})


def test_it_is_set_in_all_places_and_back_again(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before, address = texts(project), current(project)
    assert main([NEW], project) == 0
    changed = re.findall(r"(\d+) files", capsys.readouterr().out)
    after = texts(project)
    assert changed == [str(sum(before[path] != after[path] for path in before))]
    assert not any(part.lower() in text.lower() for part in address.split("/") for text in after.values())
    manifest = json.loads((project / MANIFEST).read_text())
    assert manifest["documentation"] == f"https://github.com/{NEW}"
    assert manifest["issue_tracker"] == f"https://github.com/{NEW}/issues"
    assert manifest["codeowners"] == ["@Example-1"]
    readme = (project / "README.md").read_text()
    assert "owner=Example-1&repository=a.Repository" in readme
    assert "github.com%2FExample-1%2Fa.Repository%2Fblob" in readme
    assert main([address], project) == 0
    assert texts(project) == before


@pytest.mark.parametrize(
    "form",
    ["{owner}.github.io", "https:\\/\\/github.com\\/{owner}\\/{name}", "{OWNER}", "/{name}/", "{owner}%252F{name}"],
)
def test_a_place_that_was_missed_is_named(project: Path, capsys: pytest.CaptureFixture[str], form: str) -> None:
    owner, name = current(project).split("/")
    (project / "docs" / "more.md").write_text(f"One\n{form.format(owner=owner, OWNER=owner.title(), name=name)}\n")
    assert main([NEW], project) == 1
    assert capsys.readouterr().err.splitlines()[1:] == ["docs/more.md:2"]


def test_what_stays_is_not_missed(project: Path) -> None:
    name = current(project).split("/")[1]
    assert main([f"example/{name}"], project) == 0
    assert left(project, current(project), current(project)) == []


@pytest.mark.parametrize(
    "address",
    [
        *("", "/", "owner", "owner/", "/name", "owner/name/", "owner/name/more", "https://github.com/owner/name"),
        *("@owner/name", "owner-/name", "o--o/name", "own er/name", "所有者/name", f"{'o' * 40}/name"),
        *("owner/..", "owner/.", "owner/na me", "owner/名", f"owner/{'n' * 101}", "owner/name\n"),
    ],
)
def test_what_is_no_address_changes_nothing(project: Path, capsys: pytest.CaptureFixture[str], address: str) -> None:
    before = texts(project)
    assert main([address], project) == 2
    assert "OWNER/NAME, as in home-assistant/core" in capsys.readouterr().err
    assert texts(project) == before


def test_files_without_a_repository_are_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    manifest = tmp_path / MANIFEST
    manifest.parent.mkdir(parents=True)
    shutil.copy(ROOT / MANIFEST, manifest)
    assert main([NEW], tmp_path) == 2
    assert "no clone" in capsys.readouterr().err
    assert manifest.read_text() == (ROOT / MANIFEST).read_text()
