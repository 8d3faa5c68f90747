"""`record`: a whole connection, written down so that it can be shown to others; and whether a file can be."""

import argparse
from collections.abc import Callable, Collection
import json
from pathlib import Path

from .. import BRouteError
from ..recording import Recording, RecordStep
from ..records.checker import Finding, check
from .console import Console
from .progress import show_progress

TEXTS = {
    "properties": "recording property",
    "readings": "recording reading",
    "announcements": "waiting for announcements (Ctrl-C ends it, and keeps the record), minute",
}
"""What is counted in each step."""

FINDINGS = 10
"""Of what is wrong with a file, so many are told."""


class RecordError(BRouteError):
    """There is no record that may be shown."""


async def record(options: argparse.Namespace) -> None:
    """Record a connection, or check a record.

    Raises:
        RecordError: there is none that may be shown.
        BRouteError: the connection failed; the record tells how.

    """
    if options.check is not None:
        _check_file(options.console, options.check, [options.credentials.route_b_id, options.credentials.password])
        return
    path: Path = options.output
    try:
        out = path.open("x", encoding="ascii", newline="\n")
    except FileExistsError:
        raise RecordError(f"{path} exists already: choose another name") from None
    except OSError as err:
        raise RecordError(f"{path} cannot be written: {err.strerror}") from None

    def write(line: str) -> None:
        out.write(line)
        out.flush()  # Whatever ends us, the file is whole up to here.

    recording = Recording(
        options.port,
        options.credentials,
        write,
        version=version_of(Path(__file__).parents[2]),
        minutes=options.minutes,
        on_progress=show_progress(options.console),
        on_step=_show(options.console),
    )
    try:
        await recording.run()
    finally:
        out.close()
        _finish(options.console, path, recording.secrets)


def _show(console: Console) -> Callable[[RecordStep], None]:
    """Return what takes the steps of a record."""

    def show(step: RecordStep) -> None:
        if step.number is None or step.of is None:
            console.step(step.name)
        else:
            console.count(TEXTS[step.name], step.number, step.of)

    return show


def _finish(console: Console, path: Path, secrets: Collection[str]) -> None:
    """Keep a record only if it may be shown."""
    text = path.read_text("ascii")
    if findings := check(text, secrets):
        path.unlink()
        raise RecordError(f"the record was deleted, as it must not be shown: {_said(findings)}")
    console.print(f"{path}: {text.count(chr(10))} lines. Read it before you show it to anybody.")


def _check_file(console: Console, path: Path, secrets: Collection[str]) -> None:
    try:
        text = path.read_text("ascii")
    except UnicodeDecodeError:
        raise RecordError(f"{path} is no record") from None
    except OSError as err:
        raise RecordError(f"{path} cannot be read: {err.strerror}") from None
    known = [secret for secret in secrets if secret]
    if findings := check(text, known):
        raise RecordError(f"{path} must not be shown: {_said(findings)}")
    looked = (
        "your Route B ID and password are not in it"
        if len(known) > 1
        else "set BROUTE_ID and BROUTE_PASSWORD to look for them, too"
    )
    console.print(f"{path}: nothing in it names a household; {looked}.")


def _said(findings: Collection[Finding]) -> str:
    said = [f"line {each.line}: {each.reason}" if each.line else each.reason for each in list(findings)[:FINDINGS]]
    more = [f"and {len(findings) - FINDINGS} more"] if len(findings) > FINDINGS else []
    return "; ".join((*said, *more))


def version_of(integration: Path) -> str:
    """Return the version of the integration that this is a part of, if it is."""
    manifest = integration / "manifest.json"
    return str(json.loads(manifest.read_text("utf-8"))["version"]) if manifest.exists() else "unknown"
