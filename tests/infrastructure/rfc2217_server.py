"""pyserial's RFC 2217 server in front of a serial URL: one client at a time, as in its own example."""

from contextlib import suppress
import socket
import sys
from threading import Thread

import serial
from serial.rfc2217 import PortManager


class Client:
    """What pyserial writes its telnet to."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def write(self, data: bytes) -> None:
        with suppress(OSError):
            self._connection.sendall(data)


def serve(connection: socket.socket, port: serial.SerialBase) -> None:
    """Pass bytes on until the client leaves."""
    client = Client(connection)
    manager = PortManager(port, client)
    is_open = True

    def pass_on() -> None:
        while is_open:
            if data := port.read(port.in_waiting or 1):
                client.write(b"".join(manager.escape(data)))

    reader = Thread(target=pass_on, daemon=True)
    reader.start()
    with suppress(OSError):
        while data := connection.recv(1024):
            port.write(b"".join(manager.filter(data)))
    is_open = False
    reader.join()
    connection.close()


def main() -> None:
    """Serve a serial URL on a TCP port."""
    url, number = sys.argv[1:]
    with socket.create_server(("127.0.0.1", int(number))) as server:
        while True:
            connection, _ = server.accept()
            port = serial.serial_for_url(url, timeout=0.05)
            try:
                serve(connection, port)
            finally:
                port.close()


if __name__ == "__main__":
    main()
