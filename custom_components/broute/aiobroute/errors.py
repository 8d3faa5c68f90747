"""What can go wrong between a program and a smart meter."""


class BRouteError(Exception):
    """Anything that keeps a reading from arriving."""


class PortError(BRouteError):
    """The serial port cannot be opened, or went away."""

    def __init__(self, reason: str, url: str = "") -> None:
        """`url` is shown and logged: it must have no secret in it."""
        super().__init__(f"{url}: {reason}" if url else reason)
        self.reason = reason
        """What happened, without the name of the port."""


class PortMissingError(PortError):
    """There is no such serial port."""


class PortBusyError(PortError):
    """Another program holds the serial port."""


class PortPermissionError(PortError):
    """This user may not open the serial port."""


class PortAddressError(PortError):
    """What should be a serial URL is none."""


class PortHostError(PortError):
    """The name of the host of a network port cannot be resolved."""


class PortRefusedError(PortError):
    """The host is there, but nothing listens on the network port."""


class PortUnreachableError(PortError):
    """The host of a network port does not answer."""


class PortClosedError(PortError):
    """The server closed the connection before it had passed anything on."""


class PortTelnetError(PortError):
    """The server speaks telnet where raw bytes were expected."""


class PortNotTelnetError(PortError):
    """The server does not answer as RFC 2217 wants it."""


class NodeAddressError(PortError):
    """What should mean a meter of the home network means none."""


class NodePortBusyError(PortError):
    """Another program has the UDP port of ECHONET Lite for itself."""


class ModuleError(BRouteError):
    """The module refused a command, or answers in a way that nobody understands."""

    def __init__(self, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        """The module's error code, such as `ER04` (SK 7); `None` where it gave none."""


class ModuleMissingError(ModuleError):
    """Nothing that we know answers on the port."""


class ModuleTimeoutError(ModuleError):
    """A command was not finished in time; the port is closed."""


class MeterNotFoundError(BRouteError):
    """The scan heard no meter with our pairing ID."""


class NodeNotFoundError(MeterNotFoundError):
    """The meter does not answer in the home network."""


class NodeUnreachableError(NodeNotFoundError):
    """There is no way to the address of the meter."""


class JoinError(BRouteError):
    """The meter did not answer the PANA authentication."""


class JoinRefusedError(JoinError):
    """A meter that was heard refused the PANA authentication."""


class SessionLostError(BRouteError):
    """There is no PANA session to send over."""


class MeterTimeoutError(BRouteError):
    """The request was sent, but the meter did not answer."""


class MeterRefusedError(BRouteError):
    """The meter answers, but tells nothing of what it was asked for; it may in a moment."""


class PropertyRefusedError(BRouteError):
    """The meter does not have, or would not set, what was asked for."""


class NoHistoryError(PropertyRefusedError):
    """There is no such history, now and later: the meter does not name it, or no meter remembers that day."""


class FrameError(BRouteError):
    """Bytes that are not what they should be."""


class AirtimeError(BRouteError):
    """The module has used up its airtime of this hour and sends nothing (ARIB STD-T108)."""


class HistoryError(BRouteError):
    """The meter's history could not be read undisturbed."""
