"""A network in which a process is alone."""

import fcntl
import os
import socket
import struct

SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1


def own_network() -> None:
    """Give this process a network of its own, where that is allowed: several soaks would hear each other's meters."""
    try:
        os.unshare(os.CLONE_NEWNET | (0 if os.geteuid() == 0 else os.CLONE_NEWUSER))
    except OSError:
        return
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        request = struct.pack("16sh14x", b"lo", 0)
        flags = struct.unpack("16sh14x", fcntl.ioctl(sock, SIOCGIFFLAGS, request))[1]
        fcntl.ioctl(sock, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | IFF_UP))
