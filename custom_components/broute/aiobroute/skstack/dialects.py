"""How the families of SK modules differ when we send; what they print is read without knowing."""

from dataclasses import dataclass

from ..errors import ModuleError


@dataclass(frozen=True, slots=True)
class Dialect:
    """One family's forms of the commands."""

    family: str
    side: str
    """The word that names the Route B side of a module with two radio sides."""
    prints_lqi: bool
    """Whether SA2 makes ERXUDP show the signal strength. (The BP35A1 may use SA2 for its power.)"""


ONE_SIDE = Dialect("BP35A1", "", prints_lqi=False)
TWO_SIDES = Dialect("BP35C2", " 0", prints_lqi=True)


def dialect_of(einfo: str) -> Dialect:
    """Tell the family by the last word of the SKINFO answer (SK 3.2).

    Raises:
        ModuleError: no family we know answers like this.

    """
    match einfo.split():
        case ["EINFO", _, _, _, _, "FFFE"]:
            return ONE_SIDE
        case ["EINFO", _, _, _, _, "0" | "1"]:
            return TWO_SIDES
        case _:
            raise ModuleError("the module's SKINFO answer has an unknown form")
