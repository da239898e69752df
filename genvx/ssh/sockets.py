"""Sockets to the SSH port of a host: a TCP connection, or a ProxyCommand."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

from genvx.ssh.ending import shut
from genvx.ssh.readahead import ReadAhead

if TYPE_CHECKING:
    from genvx.ssh.config.settings import Settings
    from genvx.ssh.deadline import Deadline

# Seconds per address. A name with a dead first address would else use up the whole deadline.
CONNECT_TIMEOUT = 5.0


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
