"""Ways to a host's SSH port, as sockets: a TCP connection, or a ProxyCommand."""

from __future__ import annotations

import socket
import subprocess
import threading
from typing import TYPE_CHECKING, Any

from genvx.ssh.tokens import expand

if TYPE_CHECKING:
    from genvx.ssh.deadline import Deadline
    from genvx.ssh.sshconfig import Settings

CONNECT_TIMEOUT = 5.0
_AHEAD = 32_768
_PEACE = 30.0


class ReadAhead:
    """A socket that is read in large pieces, and in peace.

    paramiko reads a packet in two or three small ones: each would be a system call. And it wakes up
    ten times a second to see whether somebody has closed it; here closing wakes it.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._buffer = b""
        self._reading = threading.Lock()
        self._closing = False

    def recv(self, size: int) -> bytes:
        with self._reading:
            if self._closing:
                return b""
            data = self._buffer or self._socket.recv(_AHEAD)
            self._buffer = data[size:]
        return data[:size]

    def settimeout(self, seconds: float | None) -> None:
        self._socket.settimeout(None if seconds is None else max(seconds, _PEACE))

    def close(self) -> None:
        # A peer that floods us keeps the reader busy even after that: it must not come back, or we
        # might never have our turn.
        self._closing = True
        shut(self._socket)
        # Not before the reader has left: its descriptor would be the next connection's, and it
        # would sleep on that.
        with self._reading:
            self._socket.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)


def shut(sock: Any) -> None:
    """Wake whoever waits on a socket; closing alone would not."""
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # not connected yet, or closed already


def local(sock: Any) -> bool:
    """Whether a socket leads straight to this machine, not through another or a command."""
    if not isinstance(sock, ReadAhead):
        return False
    import ipaddress

    try:
        return ipaddress.ip_address(sock.getpeername()[0].partition("%")[0]).is_loopback
    except (OSError, ValueError):
        return False


def connect(settings: Settings, deadline: Deadline, lost_after: float) -> ReadAhead:
    """A TCP connection to the first address that answers.

    lost_after: seconds after which a peer is gone that acknowledges nothing.

    Raises:
        OSError: none does.
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
            # Without it small packets wait for each other's acknowledgements: 150 ms a login.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
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
    """Milliseconds: longer than ssh/pulse.py takes, which says what has happened, and not longer
    than the kernel can count.
    """
    return min(int(lost_after * 1500), 2**31 - 1)


class Proxy:
    """A ProxyCommand as a socket: what it reads and writes is one end of a pair, the other is ours.

    paramiko's own leaves its process and pipes behind, and cannot be woken from another thread.
    """

    def __init__(self, settings: Settings) -> None:
        self._socket, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                ["sh", "-c", f"exec {_command(settings)}"],
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=subprocess.DEVNULL,
            )

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)

    def wake(self) -> None:
        """End whatever waits on the socket."""
        shut(self._socket)

    def close(self) -> None:
        self.wake()
        self._socket.close()
        self._process.kill()
        self._process.wait()


def _command(settings: Settings) -> str:
    return expand(settings.proxy_command or "", settings.tokens)
