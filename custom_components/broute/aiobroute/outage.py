"""Why a port cannot be opened: what the libraries below say, as one of our own errors."""

import errno
import re
from socket import gaierror

from .address import hide, is_network, proposed, shown
from .errors import (
    PortAddressError,
    PortBusyError,
    PortError,
    PortHostError,
    PortMissingError,
    PortPermissionError,
    PortRefusedError,
    PortUnreachableError,
)

KINDS: tuple[tuple[type[PortError], str, frozenset[int], str], ...] = (
    (
        PortBusyError,
        "is in use by another program",
        frozenset({errno.EBUSY}),
        "already in use|busy",
    ),
    (
        PortHostError,
        "name not found",
        frozenset(),
        "resolv|[Nn]ame or service not known|No address associated",
    ),
    (
        PortRefusedError,
        "connection refused",
        frozenset({errno.ECONNREFUSED}),
        "refused|Connect call failed",
    ),
    (
        PortPermissionError,
        "no permission: add the user to the group dialout",
        frozenset({errno.EACCES, errno.EPERM}),
        "Permission denied",
    ),
    (
        PortUnreachableError,
        "the host does not answer",
        frozenset({errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ETIMEDOUT, errno.ECONNRESET}),
        "[Nn]ot connected|not loaded|connection closed|[Tt]imed? ?out",
    ),
    (
        PortMissingError,
        "does not exist",
        frozenset({errno.ENOENT, errno.ENODEV, errno.ENXIO}),
        "Serial proxy with name|No serial proxy|No device is attached|No ESPHome config entry",
    ),
)
"""Each kind with its text, the system's error numbers, and words of the libraries that have none."""

ERRNO = re.compile(r"\[Errno (-?\d+)\]")
"""How asyncio tells of several addresses that failed each in its way."""


def reason_of(url: str, error: Exception, seconds: float) -> PortError:
    """Return in our own words why a port could not be opened, after so many seconds."""
    name = shown(url)
    if not is_network(url) and (meant := proposed(url)) is not None:
        return PortAddressError(f"an address needs a scheme: {meant}", name)
    if isinstance(error, gaierror):
        return PortHostError("name not found", name)
    if isinstance(error, TimeoutError) and error.errno is None:
        return PortUnreachableError(f"did not open within {seconds:.0f} s", name)
    text = hide(url, str(error))
    numbers = _numbers(error)
    for kind, reason, known, words in KINDS:
        if numbers & known or (is_network(url) and not numbers and re.search(words, text)):
            return kind(reason, name)
    if "No handler registered" in text and is_network(url):
        return PortAddressError("needs the library of ESPHome: pip install 'serialx[esphome]'", name)
    if isinstance(error, ValueError):
        return PortAddressError(f"is no address of a port: {text}", name)
    detail = error.strerror if isinstance(error, OSError) and error.strerror else text
    return PortError(f"cannot be opened: {hide(url, detail)}", name)


def _numbers(error: Exception) -> set[int]:
    """Return the system's numbers of an error; of several addresses, those of each."""
    own = error.errno if isinstance(error, OSError) else None
    return {own} if own is not None else {int(number) for number in ERRNO.findall(str(error))}
