"""Set the repository's address in all files that name it: `scripts/address OWNER/NAME`."""

import argparse
import json
from pathlib import Path
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT: Final = Path(__file__).parents[1]
MANIFEST: Final = Path("custom_components", "broute", "manifest.json")

FORM: Final = re.compile(r"(?P<owner>[A-Za-z0-9](?:-?[A-Za-z0-9]){0,38})/(?P<name>(?!\.{1,2}$)[\w.-]{1,100})", re.ASCII)
"""What GitHub takes for the names of an owner and a repository."""


class AddressError(Exception):
    """The address cannot be set."""


def current(root: Path = ROOT) -> str:
    """Return the address that the manifest has, as OWNER/NAME."""
    manifest: dict[str, str] = json.loads((root / MANIFEST).read_text())
    return urlsplit(manifest["documentation"]).path.strip("/")


def forms(address: str) -> list[str]:
    """Return how an address is written: in a link, within another link, in a link to HACS, and as a code owner."""
    owner, name = address.split("/")
    return [address, quote(address, safe=""), f"owner={owner}&repository={name}", f'"@{owner}"']


def texts(root: Path) -> dict[Path, str]:
    """Return the content of each file of the project that is a text.

    Raises:
        AddressError: it is not known which files belong to the project.

    """
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],  # noqa: S607  # the git of the PATH
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode:
        raise AddressError(f"this is no clone of the repository: {listed.stderr.strip()}")
    found = {}
    for name in filter(None, listed.stdout.split("\0")):
        path = root / name
        content = path.read_bytes() if path.is_file() else b"\0"
        if b"\0" not in content:
            found[path] = content.decode()
    return found


def left(root: Path, before: str, address: str) -> list[str]:
    """Return the lines, as FILE:LINE, that still name what an address has no longer."""
    gone = [part for part in before.split("/") if part.lower() not in address.lower()]
    parts = re.compile("|".join(map(re.escape, gone)), re.IGNORECASE)
    return [
        f"{path.relative_to(root)}:{number}"
        for path, text in texts(root).items()
        for number, line in enumerate(text.splitlines(), 1)
        if gone and parts.search(line)
    ]


def set_address(root: Path, address: str) -> list[Path]:
    """Write another address wherever the present one stands, and return the files that have changed.

    Raises:
        AddressError: GitHub has no such addresses, or it is not known which files belong to the project.

    """
    if FORM.fullmatch(address) is None:
        raise AddressError(f"{address!r} is no address of a repository: OWNER/NAME, as in home-assistant/core")
    replaced = dict(zip(forms(current(root)), forms(address), strict=True))
    either = re.compile("|".join(map(re.escape, replaced)))
    changed = []
    for path, text in texts(root).items():
        new = either.sub(lambda found: replaced[found[0]], text)
        if new != text:
            path.write_bytes(new.encode())
            changed.append(path)
    return changed


def main(arguments: Sequence[str] | None = None, root: Path = ROOT) -> int:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(prog="scripts/address", description=__doc__)
    parser.add_argument("address", metavar="OWNER/NAME", help="where the repository is on GitHub")
    address: str = parser.parse_args(arguments).address
    try:
        before = current(root)
        changed = set_address(root, address)
    except AddressError as err:
        print(f"FAILED    {err}", file=sys.stderr)
        return 2
    print(*(path.relative_to(root) for path in changed), f"{len(changed)} files: {before} is {address}", sep="\n")
    missed = left(root, before, address)
    if missed:
        print("FAILED    named in another form, set it by hand:", *missed, sep="\n", file=sys.stderr)
    return int(bool(missed))


if __name__ == "__main__":
    sys.exit(main())
