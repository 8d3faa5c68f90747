"""Read Japanese smart meters over Route B, natively async."""

from .echonet.properties import JST, PROPERTIES, Property, Values
from .errors import (
    AirtimeError,
    BRouteError,
    FrameError,
    JoinError,
    JoinRefusedError,
    MeterNotFoundError,
    MeterTimeoutError,
    ModuleError,
    ModuleTimeoutError,
    PortBusyError,
    PortError,
    PortMissingError,
    PropertyRefusedError,
    SessionLostError,
)
from .meter import Progress, Reading, SmartMeter, Stage, connect, find
from .module import Beacon, Credentials, ModuleInfo, Pan
from .profile import MeterProfile
from .session import ScanPass, Timing
from .transactions import Notification

__all__ = [
    "JST",
    "PROPERTIES",
    "AirtimeError",
    "BRouteError",
    "Beacon",
    "Credentials",
    "FrameError",
    "JoinError",
    "JoinRefusedError",
    "MeterNotFoundError",
    "MeterProfile",
    "MeterTimeoutError",
    "ModuleError",
    "ModuleInfo",
    "ModuleTimeoutError",
    "Notification",
    "Pan",
    "PortBusyError",
    "PortError",
    "PortMissingError",
    "Progress",
    "Property",
    "PropertyRefusedError",
    "Reading",
    "ScanPass",
    "SessionLostError",
    "SmartMeter",
    "Stage",
    "Timing",
    "Values",
    "connect",
    "find",
]
