"""What a node of a cluster has: its GPUs, ports, address and a short directory."""

from __future__ import annotations

import contextlib
import fcntl
import glob
import ipaddress
import os
import shutil
import socket
import tempfile
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from genvx.engines.onhost.link import Link

# A state of a socket in /proc/net/tcp.
_LISTENS = "0A"
# How often a directory is deleted to which something still writes.
_TRIES = 20


def devices() -> list[str]:
    """The GPUs of this node, as CUDA_VISIBLE_DEVICES names them."""
    words = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
    return [word for word in words if word.startswith(("GPU-", "MIG-", "SIM-")) or word.isdigit()]


def free_ports(count: int) -> list[int]:
    """Ports that nothing has, of the kernel's choice."""
    with contextlib.ExitStack() as stack:
        socks = [stack.enter_context(socket.socket()) for _ in range(count)]
        for sock in socks:
            sock.bind(("", 0))
        return [sock.getsockname()[1] for sock in socks]


def strangers_on(port: int) -> set[int]:
    """The other users who listen on a TCP port of this machine, by uid.

    A port that was free may be another user's before our engine has it: they see it in `ps`. What
    they would be told there, such as Ray's token, lets them in.
    """
    found = set()
    for name in ("tcp", "tcp6"):
        with contextlib.suppress(OSError), open(f"/proc/net/{name}") as file:
            for words in map(str.split, file.readlines()[1:]):
                if words[3] == _LISTENS and int(words[1].rpartition(":")[2], 16) == port:
                    found.add(int(words[7]))
    return found - {os.getuid()}


def loopback(address: str) -> bool:
    """Whether an address is written as one of this machine alone."""
    if address == "localhost":
        return True
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(address).is_loopback
    return False


def own_address(meeting: str, rank: int, link: Link | None) -> str:
    """The address of this node for the others. meeting: that of node 0, as the client has it."""
    if loopback(meeting):
        # All nodes are on this machine. Ray takes 127.0.0.1 for the machine's outer address.
        return f"127.0.0.{2 + rank % 250}"
    if link is not None:
        return str(link.sock.getsockname()[0]).replace("::ffff:", "")
    with contextlib.suppress(OSError), socket.socket() as sock:
        found = socket.gethostbyname(meeting)
        sock.bind((found, 0))
        if not loopback(found):
            return found
    # The name leads elsewhere seen from here, as behind NAT: the address of the default route.
    with contextlib.suppress(OSError), socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.connect(("192.0.2.1", 9))
        return str(sock.getsockname()[0])
    return "127.0.0.1"


class Scratch:
    """A short directory of this node, for its secrets and the engine's sockets.

    One that a killed node has left is deleted by the next one, which knows it by its free lock.
    """

    def __init__(self, run: str, part: int | str, leads_to: str = "") -> None:
        """leads_to: where a link in it leads, `work`. Raises OSError where its path is taken."""
        for path in glob.glob("/tmp/gv-*"):
            self._reap(path)
        # Ray's sockets are below it, and their paths have 107 bytes.
        self.path = f"/tmp/gv-{run}-{part}"
        # Under this name only once it is complete and locked: another node that starts would take
        # it for left.
        new = tempfile.mkdtemp(prefix=f".gv-{run}-{part}-", dir="/tmp")
        self._lock = self._locked(new)
        try:
            if leads_to:
                os.symlink(leads_to, os.path.join(new, "work"))
            os.rename(new, self.path)
        except OSError:
            os.close(self._lock)
            shutil.rmtree(new, ignore_errors=True)
            raise

    def write(self, name: str, text: str) -> str:
        """Write a file that only we can read; return its path."""
        path = os.path.join(self.path, name)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(text)
        return path

    def remove(self) -> None:
        """Delete it all, also while processes that are ending still write to it."""
        for _ in range(_TRIES):
            shutil.rmtree(self.path, ignore_errors=True)
            if not os.path.exists(self.path):
                return
            time.sleep(0.1)

    @staticmethod
    def _locked(path: str) -> int:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            if os.fstat(fd).st_uid != os.getuid():
                raise BlockingIOError
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BaseException:
            os.close(fd)
            raise
        return fd

    def _reap(self, path: str) -> None:
        with contextlib.suppress(OSError):
            fd = self._locked(path)
            shutil.rmtree(path, ignore_errors=True)
            os.close(fd)
