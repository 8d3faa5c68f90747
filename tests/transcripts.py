"""Real dongles' logs: other people's, so they lie beside the checkout and not in it."""

from pathlib import Path

import pytest

TRANSCRIPTS = Path(__file__).parents[2] / "shared" / "transcripts"

needs_transcripts = pytest.mark.skipif(
    not TRANSCRIPTS.is_dir(), reason="the transcripts of real dongles are not part of the project"
)


def transcript(name: str) -> list[str]:
    """Return the lines of a transcript, without what its maker says about it."""
    lines = (TRANSCRIPTS / name).read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith(("#", "..."))]
