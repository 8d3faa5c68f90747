"""Serial URLs, as people type them and as they may be shown."""

import re
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit

HARMLESS = re.compile("port_.*|mode|baudrate")
"""Parameters of a serial URL that say which port it is; any other may be a key or a password."""

HIDDEN = "***"

NETWORK = ("socket://", "tcp://", "rfc2217://", "esphome://", "esphome-hass://")

HOST_AND_PORT = re.compile(r"([\w.-]+|\[[0-9A-Fa-f:.]+\]):\d{1,5}/?")


def is_network(url: str) -> bool:
    """Return whether a port is reached over a network."""
    return url.lower().startswith(NETWORK)


def proposed(url: str) -> str | None:
    """Return what is likely meant by an address without a scheme, such as 192.168.1.20:4000."""
    return f"socket://{url.rstrip('/')}" if HOST_AND_PORT.fullmatch(url) else None


def shown(url: str) -> str:
    """Return a serial URL without the secrets in it."""
    if (parts := _split(url)) is None:
        return url
    parameters = [(name, _shown(name, value)) for name, value in parse_qsl(parts.query, keep_blank_values=True)]
    query = urlencode(parameters, safe="*/:") if any(value == HIDDEN for _, value in parameters) else parts.query
    user, at, host = parts.netloc.rpartition("@")
    return parts._replace(netloc=f"{HIDDEN if user else ''}{at}{host}", query=query).geturl()


def hide(url: str, text: str) -> str:
    """Return a text about a port without the secrets of its URL."""
    text = text.replace(url, shown(url))
    for secret in _secrets(url):
        text = text.replace(secret, HIDDEN)
    return text


def _secrets(url: str) -> list[str]:
    if (parts := _split(url)) is None:
        return []
    values = [value for name, value in parse_qsl(parts.query) if not HARMLESS.fullmatch(name)]
    # Each parameter as it is written, too: a plus is a space in a parsed query.
    written = [
        value
        for name, _, value in (pair.partition("=") for pair in parts.query.split("&"))
        if not HARMLESS.fullmatch(name)
    ]
    user = parts.netloc.rpartition("@")[0]
    return [secret for secret in (*values, *written, user, *user.split(":")) if secret]


def _shown(name: str, value: str) -> str:
    return value if HARMLESS.fullmatch(name) else HIDDEN


def _split(url: str) -> SplitResult | None:
    """Return the parts of a URL, if it is one."""
    try:
        return urlsplit(url) if "://" in url else None
    except ValueError:
        return None
