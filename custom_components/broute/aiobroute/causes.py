"""What each error is called where words are found for it: on the command line, in Home Assistant, on a page."""

from collections.abc import Mapping

from .errors import (
    AirtimeError,
    BRouteError,
    JoinError,
    JoinRefusedError,
    MeterNotFoundError,
    MeterRefusedError,
    MeterTimeoutError,
    ModuleError,
    ModuleMissingError,
    NodeAddressError,
    NodeNotFoundError,
    NodePortBusyError,
    PortAddressError,
    PortBusyError,
    PortClosedError,
    PortError,
    PortHostError,
    PortMissingError,
    PortNotTelnetError,
    PortPermissionError,
    PortRefusedError,
    PortTelnetError,
    PortUnreachableError,
    SessionLostError,
)

CAUSES: Mapping[type[BRouteError], str] = {
    PortMissingError: "port_missing",
    PortBusyError: "port_busy",
    PortPermissionError: "port_permission",
    PortAddressError: "port_address",
    PortHostError: "port_host",
    PortRefusedError: "port_refused",
    PortUnreachableError: "port_unreachable",
    PortClosedError: "port_closed",
    PortTelnetError: "port_telnet",
    PortNotTelnetError: "port_not_telnet",
    NodeAddressError: "node_address",
    NodePortBusyError: "node_port_busy",
    PortError: "port_error",
    ModuleMissingError: "no_module",
    ModuleError: "module_error",
    NodeNotFoundError: "no_node",
    MeterNotFoundError: "no_meter",
    JoinRefusedError: "join_refused",
    JoinError: "join_unanswered",
    SessionLostError: "session_lost",
    MeterTimeoutError: "meter_silent",
    MeterRefusedError: "meter_refuses",
    AirtimeError: "airtime",
    BRouteError: "unexpected",
}
"""Stable names; a kind without its own has that of its base."""


def cause_of(err: BRouteError) -> str:
    """Return the name of what happened."""
    return next(CAUSES[kind] for kind in type(err).__mro__ if kind in CAUSES)
