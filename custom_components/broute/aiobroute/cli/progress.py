"""How far a connection is, in words."""

from collections.abc import Callable

from .. import Progress, Stage
from .console import Console

TEXTS = {
    Stage.PROBE: "looking for a Wi-SUN module on the port",
    Stage.JOIN: "connecting to the meter",
    Stage.WAIT: "the meter does not answer yet: waiting for up to twelve minutes",
    Stage.READ: "reading the meter",
    Stage.SEARCH: "looking for the meter in the home network",
}


def show_progress(console: Console) -> Callable[[Progress], None]:
    """Return what takes the steps of a connection."""

    def show(progress: Progress) -> None:
        if (found := progress.scan) is not None:
            console.step(f"looking for the meter, pass {found.number} of up to {found.of}", found.seconds)
        else:
            console.step(TEXTS[progress.stage])

    return show
