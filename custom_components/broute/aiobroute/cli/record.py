"""`record`: a whole connection, written down so that it can be shown to others; and whether a file can be."""

import argparse
from collections.abc import Callable, Collection, Sequence
import json
import os
from pathlib import Path

from .. import BRouteError
from ..recording import Recording, RecordStep
from ..records.checker import Finding, check, kept_lines
from ..records.recorder import Unknown
from .columns import columns
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


EVERYTHING = "all"
"""Said in place of names."""

QUESTION = f"Which of it may be in the file? Its names, `{EVERYTHING}`, or Enter for none: "


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
        text = _finish(options.console, path, recording)
        if asked := await _asked_for(options.console, recording, text, options.keep):
            _keep(options.console, path, recording.with_unknown(text, asked))


def _show(console: Console) -> Callable[[RecordStep], None]:
    """Return what takes the steps of a record."""

    def show(step: RecordStep) -> None:
        if step.number is None or step.of is None:
            console.step(step.name)
        else:
            console.count(TEXTS[step.name], step.number, step.of)

    return show


def _finish(console: Console, path: Path, recording: Recording) -> str:
    """Keep a record only if it may be shown, and return it."""
    text = path.read_text("ascii")
    if findings := recording.findings(text):
        path.unlink()
        raise RecordError(f"the record was deleted, as it must not be shown: {_said(findings)}")
    console.print(f"{path}: {text.count(chr(10))} lines. Read it before you show it to anybody.")
    return text


async def _asked_for(console: Console, recording: Recording, text: str, names: Collection[str]) -> Collection[Unknown]:
    """Show what of an unknown form was met, and return what a person wants to have in the record."""
    found, hidden = recording.unknown(text)
    if found:
        console.note("Nobody knows what this means, so only its length is in the file:")
        for row in columns([(each.name, _where(each), each.text) for each in found], "<<<"):
            console.note(f"  {row}")
    if hidden:
        console.note(f"{hidden} more of it may name your household, and is not shown.")
    if names or not found:
        return [each for each in found if each.name in names]
    return await _answered(console, found)


async def _answered(console: Console, found: Sequence[Unknown]) -> list[Unknown]:
    """Ask which of it is wanted, if somebody is there."""
    if not console.can_ask:
        console.note(f"To have some of it in a record: read it, then record again with --keep {found[0].name} or such.")
        return []
    console.note("It may tell something of you or your household all the same: read it first.")
    while True:
        wanted = (await console.ask(QUESTION)).split()
        wrong = {*wanted} - {each.name for each in found} - {EVERYTHING}
        if not wrong:
            return [each for each in found if each.name in wanted or EVERYTHING in wanted]
        console.note(f"There is no {' and no '.join(sorted(wrong))}.")


def _where(unknown: Unknown) -> str:
    more = len(unknown.lines) - 1
    return f"line {unknown.lines[0]}" + (f" and {more} more" if more else "")


def _keep(console: Console, path: Path, text: str | None) -> None:
    """Let a record take the place of the one that is there, at once: at any moment the file is one or the other."""
    if text is None:
        console.note("Together it may name your household: it stays out.")
        return
    new = path.with_name(f"{path.name}.new")
    try:
        with new.open("x", encoding="ascii", newline="\n") as out:
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
        new.replace(path)
    except OSError as err:
        console.note(f"{path} stays as it is: {new} cannot be written: {err.strerror}")
        return
    console.print(f"{path}: lines {', '.join(map(str, kept_lines(text)))} have it now.")


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
    if lines := kept_lines(text):
        # No form says what it tells.
        said = f"lines {', '.join(map(str, lines))}: of an unknown form, and kept because somebody asked for it"
        console.print(f"{said}. Nothing can be said of them but that no secret was found in them: read them.")


def _said(findings: Collection[Finding]) -> str:
    said = [f"line {each.line}: {each.reason}" if each.line else each.reason for each in list(findings)[:FINDINGS]]
    more = [f"and {len(findings) - FINDINGS} more"] if len(findings) > FINDINGS else []
    return "; ".join((*said, *more))


def version_of(integration: Path) -> str:
    """Return the version of the integration that this is a part of, if it is."""
    manifest = integration / "manifest.json"
    return str(json.loads(manifest.read_text("utf-8"))["version"]) if manifest.exists() else "unknown"
