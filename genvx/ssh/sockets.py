"""Sockets to the SSH port of a host: a TCP connection, or a ProxyCommand."""

from __future__ import annotations

import socket
import subprocess
import threading
from typing import TYPE_CHECKING, Any

from genvx.ssh.tokens import expand

if TYPE_CHECKING:
    from genvx.ssh.deadline import Deadline
    from genvx.ssh.sshconfig import Settings

# Seconds per address. A name with a dead first address would else use up the whole deadline.
CONNECT_TIMEOUT = 5.0
_AHEAD = 32_768
_PEACE = 30.0


class ReadAhead:
    """ReadAhead is a socket that reads large pieces and wakes up seldom.

    paramiko reads a packet in two or three small pieces, each a system call. It also wakes up ten
    times a second to see whether the socket was closed; here, closing wakes the reader.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._buffer = b""
        self._reading = threading.Lock()
        self._closing = False

    def recv(self, size: int) -> bytes:
        """Return up to `size` bytes; none after the end or after `close`."""
        with self._reading:
            if self._closing:
                return b""
            data = self._buffer or self._socket.recv(_AHEAD)
            self._buffer = data[size:]
        return data[:size]

    def settimeout(self, seconds: float | None) -> None:
        """Set the timeout of reads; less than 30 seconds counts as 30."""
        self._socket.settimeout(None if seconds is None else max(seconds, _PEACE))

    def close(self) -> None:
        """Close the socket, and wake a thread that reads from it."""
        # A peer that floods us keeps the reader busy even after the shutdown. The flag keeps it
        # from taking the lock again, which might never be free for us otherwise.
        self._closing = True
        shut(self._socket)
        # Closed only when the reader has left. The kernel gives the number of a closed descriptor
        # to the next connection, and a late reader would take that one's data.
        with self._reading:
            self._socket.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)


def shut(sock: Any) -> None:
    """Shut a socket down, which wakes a thread that waits on it; closing it would not."""
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # not connected yet, or closed already


def local(sock: Any) -> bool:
    """Return whether a socket leads to this machine, and not through a jump host or a command."""
    if not isinstance(sock, ReadAhead):
        return False
    import ipaddress

    try:
        return ipaddress.ip_address(sock.getpeername()[0].partition("%")[0]).is_loopback
    except (OSError, ValueError):
        return False


def connect(settings: Settings, deadline: Deadline, lost_after: float) -> ReadAhead:
    """Open a TCP connection to the first address that answers.

    lost_after: seconds after which a peer that acknowledges nothing is lost.

    Raises:
        OSError: no address answers, or the name cannot be resolved.
    """
    family = {"inet": socket.AF_INET, "inet6": socket.AF_INET6}.get(settings.family, 0)
    found = socket.getaddrinfo(settings.hostname, settings.port, family, socket.SOCK_STREAM)
    refused: OSError | None = None
    for kind, _, protocol, _, address in found:
        sock = socket.socket(kind, socket.SOCK_STREAM, protocol)
        try:
            deadline.closes(lambda sock=sock: shut(sock))  # type: ignore[misc]
            limit = settings.connect_timeout or CONNECT_TIMEOUT
            sock.settimeout(min(limit, deadline.left()))
            # Without TCP_NODELAY small packets wait for acknowledgements: 150 ms per login.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            # TCP_USER_TIMEOUT covers data that is not acknowledged, SO_KEEPALIVE idle connections.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _user_timeout(lost_after))
            sock.connect(address)
            return ReadAhead(sock)
        except OSError as error:
            sock.close()
            refused = error
        except BaseException:
            sock.close()
            raise
    assert refused is not None, "getaddrinfo gives an address or raises"
    raise refused


def _user_timeout(lost_after: float) -> int:
    """Return milliseconds for TCP_USER_TIMEOUT.

    Longer than ssh/pulse.py takes, whose message says more than the kernel's, and within the range
    of the option.
    """
    return min(int(lost_after * 1500), 2**31 - 1)


class Proxy:
    """Proxy runs a ProxyCommand as a socket: one end of a pair is its input and output.

    paramiko's ProxyCommand leaves its process and pipes behind, and another thread cannot wake it.
    """

    def __init__(self, settings: Settings) -> None:
        self._socket, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                # `exec`, as ssh does: `close` then ends the command itself, not only a shell.
                ["sh", "-c", f"exec {_command(settings)}"],
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=subprocess.DEVNULL,
            )

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)

    def wake(self) -> None:
        """Wake a thread that waits on the socket."""
        shut(self._socket)

    def close(self) -> None:
        """Close the socket and end the command."""
        self.wake()
        self._socket.close()
        self._process.kill()
        self._process.wait()


def _command(settings: Settings) -> str:
    return expand(settings.proxy_command or "", settings.tokens)
