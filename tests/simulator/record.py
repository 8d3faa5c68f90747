"""What went over the line and over the air, for tests to look at."""

from dataclasses import dataclass, field

SCAN, JOIN, LEAVE = ("SKSCAN", "SCAN"), ("SKJOIN", "START_PANA"), ("SKTERM", "END_PANA")
"""How the commands begin that look for a meter, join it and leave it, whatever the module."""


@dataclass(slots=True)
class Record:
    """Everything that a module received and did, credentials included."""

    commands: list[str] = field(default_factory=list)
    """What was taken as commands: lines without their ends and payloads, or names and data in hexadecimal."""
    received: bytearray = field(default_factory=bytearray)
    """Every byte from the host, at whatever speed."""
    datagrams_from_client: list[bytes] = field(default_factory=list)
    """ECHONET Lite payloads that the module was told to send."""
    datagrams_to_client: list[bytes] = field(default_factory=list)
    """ECHONET Lite payloads that were handed to the module, foreign and broken ones included."""
    happenings: list[str] = field(default_factory=list)
    """Names of what happened to the session and on the air."""
    flash_writes: list[str] = field(default_factory=list)
    """Commands that wrote the module's flash memory."""
    bytes_from_host: int = 0
    """Everything that came over the line, in both directions."""
    bytes_to_host: int = 0
    opens: int = 0
    closes: int = 0

    def count(self, what: tuple[str, str]) -> int:
        """Return how many commands were to scan, to join or to leave."""
        return sum(command.startswith(what) for command in self.commands)

    def clear(self) -> None:
        """Forget what went over the line and the air; the port's counts stay."""
        for entries in (self.commands, self.flash_writes, self.happenings):
            entries.clear()
        self.received.clear()
        self.datagrams_from_client.clear()
        self.datagrams_to_client.clear()
        self.bytes_from_host = self.bytes_to_host = 0
