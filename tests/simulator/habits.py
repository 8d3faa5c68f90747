"""What a module of any kind may do besides its commands, and what it may be found in."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Former:
    """What another program has left in the module before the port is opened for the first time."""

    meter: int | None = 0
    """Which meter it has joined: 0 is the scenario's own, then come the others; `None`: it has joined none."""
    echo: bool = True
    prints_lqi: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ModuleSettings:
    """How a module answers commands."""

    repetitions: int = 0
    """The first commands that it does not take, and wants once more: ER09, or 3D, 2FFF and FFFF in turn."""
    repetition_rate: float = 0.0
    """The part of the later commands that it does not take."""
    loses_scan_answer: bool = False
    """The OK of SKSCAN, or the response to 0051, never arrives; all else of the scan does."""
    former: Former | None = None
    seed: int = 1
