"""`doctor`: what keeps a meter from being read, and what to do about it."""

import argparse
from collections.abc import Callable
import sys
import textwrap

from .. import BRouteError
from ..doctor import Check, Finding, Verdict, examine
from .columns import can_print
from .console import Console
from .findings import CHECKS, TROUBLES, WORKING

MARKS = {Verdict.GOOD: "✔", Verdict.NOTICE: "!", Verdict.BAD: "✘", Verdict.SKIPPED: "-"}
PLAIN_MARKS = {Verdict.GOOD: "+", Verdict.NOTICE: "!", Verdict.BAD: "x", Verdict.SKIPPED: "-"}
"""Where the others cannot be printed."""

WIDTH = 120


class CauseError(BRouteError):
    """Something keeps the meter from being read."""


async def doctor(options: argparse.Namespace) -> None:
    """Examine a connection, and say what was found at each check.

    Raises:
        CauseError: something is wrong.

    """
    console: Console = options.console
    findings = await examine(
        options.port,
        options.credentials,
        on_check=lambda check: console.step(f"examining: {_in_sentence(check)}"),
        on_finding=_show_json(console) if options.json else _show(console),
    )
    if wrong := [CHECKS[finding.check] for finding in findings if finding.verdict is Verdict.BAD]:
        raise CauseError(f"something is wrong: {', '.join(wrong)}")


def _in_sentence(check: Check) -> str:
    name = CHECKS[check]
    return name if name.startswith("ID") else name.lower()


def _words(finding: Finding) -> tuple[str, str]:
    """Return what was found, and what to do, if anything is to be done."""
    return TROUBLES[finding.key] if finding.key in TROUBLES else (WORKING[finding.key], "")


def _show(console: Console) -> Callable[[Finding], None]:
    is_plain = not can_print("".join(MARKS.values()), sys.stdout.encoding)
    marks, width = PLAIN_MARKS if is_plain else MARKS, max(map(len, CHECKS.values()))

    def show(finding: Finding) -> None:
        what, to_do = _words(finding)
        details = f" ({finding.details})" if finding.facts else ""
        head = f"{marks[finding.verdict]} {CHECKS[finding.check]:{width}}  "
        for begin, text in ((head, what + details), (" " * len(head), to_do)):
            for line in textwrap.wrap(text, WIDTH, initial_indent=begin, subsequent_indent=" " * len(head)):
                console.print(line)

    return show


def _show_json(console: Console) -> Callable[[Finding], None]:
    def show(finding: Finding) -> None:
        what, to_do = _words(finding)
        console.print_json(
            {
                "check": finding.check.value,
                "verdict": finding.verdict.value,
                "key": finding.key,
                "facts": dict(finding.facts),
                "what": what,
                "to_do": to_do or None,
            }
        )

    return show
