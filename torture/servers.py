"""Servers that misbehave, on loopback."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Callable, Iterator

Behaviour = Callable[[socket.socket, threading.Event], None]


def silent(connection: socket.socket, stop: threading.Event) -> None:
    """Accepts and says nothing."""
    stop.wait()


def dripping(connection: socket.socket, stop: threading.Event) -> None:
    """A byte of an endless banner now and then, so that no single read ever times out."""
    while not stop.wait(0.1):
        connection.sendall(b"x")


def dripping_lines(connection: socket.socket, stop: threading.Event) -> None:
    """Lines before the banner, for ever."""
    while not stop.wait(0.1):
        connection.sendall(b"welcome\r\n")


def banner_then_silence(connection: socket.socket, stop: threading.Event) -> None:
    connection.sendall(b"SSH-2.0-OpenSSH_9.9\r\n")
    stop.wait()


def banner_then_garbage(connection: socket.socket, stop: threading.Event) -> None:
    connection.sendall(b"SSH-2.0-OpenSSH_9.9\r\n" + os.urandom(4096))
    stop.wait()


def huge_packet(connection: socket.socket, stop: threading.Event) -> None:
    connection.sendall(b"SSH-2.0-OpenSSH_9.9\r\n\x7f\xff\xff\xff\x04\x14" + b"\0" * 65536)
    stop.wait()


def garbage(connection: socket.socket, stop: threading.Event) -> None:
    connection.sendall(os.urandom(4096) + b"\n")
    stop.wait()


def flooding(connection: socket.socket, stop: threading.Event) -> None:
    while not stop.is_set():
        connection.sendall(b"y" * 65536)


def old_protocol(connection: socket.socket, stop: threading.Event) -> None:
    connection.sendall(b"SSH-1.5-ancient\r\n")
    stop.wait()


def closing(connection: socket.socket, stop: threading.Event) -> None:
    """Closes at once."""


def closing_after_banner(connection: socket.socket, stop: threading.Event) -> None:
    connection.sendall(b"SSH-2.0-OpenSSH_9.9\r\n")


BEHAVIOURS: list[Behaviour] = [
    silent,
    dripping,
    dripping_lines,
    banner_then_silence,
    banner_then_garbage,
    huge_packet,
    garbage,
    flooding,
    old_protocol,
    closing,
    closing_after_banner,
]


@contextlib.contextmanager
def misbehaving(behaviour: Behaviour) -> Iterator[int]:
    """Serve on a port of loopback; gives the port."""
    stop = threading.Event()
    threads: list[threading.Thread] = []
    connections: list[socket.socket] = []

    def serve(connection: socket.socket) -> None:
        with connection:
            try:
                behaviour(connection, stop)
            except OSError:
                pass  # the client has had enough

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            connections.append(connection)
            thread = threading.Thread(target=serve, args=(connection,))
            threads.append(thread)
            thread.start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        acceptor = threading.Thread(target=accept)
        acceptor.start()
        try:
            yield listener.getsockname()[1]
        finally:
            stop.set()
            listener.shutdown(socket.SHUT_RDWR)
    acceptor.join()
    for connection in connections:
        # The kernel of a client that read what was left and then closed keeps a sender waiting for
        # a minute: the window was shut, and nobody is there to open it.
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
    for thread in threads:
        thread.join()
