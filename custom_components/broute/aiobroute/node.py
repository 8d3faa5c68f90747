"""Meters that are nodes of the home network: where they are, and how a person names one."""

from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address
import re

from .address import shown
from .errors import NodeAddressError

SCHEME = "echonet://"

IDENTITY = re.compile(r"[0-9A-Za-z][0-9A-Za-z.-]{3,39}")
"""A serial number, or the identification number of a node in hexadecimal."""

ZONE = re.compile(r"[0-9A-Za-z_.:-]{1,15}")
"""The name of a network interface (Linux: at most 15 characters)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """Where a meter is to be found in the home network."""

    address: str
    """Numeric, with the name of the interface where it is valid there only; it may change."""
    identity: str = field(repr=False)
    """The meter's serial number, or what its node calls itself."""
    is_strict: bool = True
    """Whether it answers from the ECHONET Lite port."""


@dataclass(frozen=True, slots=True)
class Target:
    """What a URL means; one of the two is there."""

    address: str | None = None
    """A numeric address, with the name of the interface where it is valid there only."""
    identity: str | None = None
    """What the meter calls itself, wherever it is."""


def is_node(url: str) -> bool:
    """Return whether a URL means a meter of the home network."""
    return url.lower().startswith(SCHEME)


def url_of(identity: str) -> str:
    """Return the URL of a meter that is looked for by what it calls itself."""
    return f"{SCHEME}{identity}"


def identity_of(name: str | None) -> str | None:
    """Return a serial number as it can be in a URL; `None` if it tells nobody from others."""
    name = re.sub("[^0-9A-Z.-]", "-", (name or "").upper())
    return name if IDENTITY.fullmatch(name) and set(name.removeprefix("FE")) - set("0-.F") else None


def parse(url: str) -> Target:
    """Return what a URL means.

    Raises:
        NodeAddressError: it is neither an address of one node, nor what a meter calls itself.

    """
    text = url[len(SCHEME) :].removesuffix("/") if is_node(url) else ""
    if text.startswith("[") and text.endswith("]"):
        return Target(address=_numeric(text[1:-1], url))
    try:
        ip_address(text.partition("%")[0])
    except ValueError:
        pass
    else:
        return Target(address=_numeric(text, url))
    # What looks like an address that went wrong is no serial number.
    if not IDENTITY.fullmatch(text) or re.fullmatch(r"[\d.]+\.[\d.]*", text):
        raise NodeAddressError("is no address of a meter, and nothing that a meter calls itself", shown(url))
    return Target(identity=text.upper())


def _numeric(text: str, url: str) -> str:
    host, percent, zone = text.replace("%25", "%").partition("%")
    try:
        address: IPv4Address | IPv6Address = ip_address(host)
    except ValueError:
        raise NodeAddressError("is no numeric address", shown(url)) from None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if address.is_multicast or address.is_unspecified or str(address) == "255.255.255.255":
        raise NodeAddressError("is not the address of one node", shown(url))
    if not (isinstance(address, IPv6Address) and address.is_link_local):
        return str(address)
    if not percent or not ZONE.fullmatch(zone):
        raise NodeAddressError("needs the network interface behind it, such as %eth0", shown(url))
    return f"{address}%{zone}"
