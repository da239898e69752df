"""The process that makes carriers: it has all that they need loaded, and one thread.

The keeper has many threads. A process that is forked from it would have locks that nobody lets go.
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import socket
from typing import TYPE_CHECKING, Any

from genvx.core.wire.plain import loads
from genvx.keeping.log import log

if TYPE_CHECKING:
    from collections.abc import Callable

_MOST = 64 * 1024


def begin(carry: Callable[[socket.socket, Any], object], unwanted: list[int]) -> socket.socket:
    """Start the process; return the socket on which it is told what to make: plain data, and the
    socket of the carrier. It ends when that is closed.

    carry: what a carrier does. unwanted: descriptors that are the keeper's alone. Call it while
    there is one thread.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    # What is there now stays; looking through it again would copy every page for each process.
    gc.collect()
    gc.freeze()
    if os.fork() == 0:
        try:
            ours.close()
            for descriptor in unwanted:
                os.close(descriptor)
            _tend(theirs, carry)
        finally:
            os._exit(0)
    theirs.close()
    return ours


def _tend(sock: socket.socket, carry: Callable[[socket.socket, Any], object]) -> None:
    # Nobody waits for carriers: they end when nobody needs them.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        asked, descriptors, _, _ = socket.recv_fds(sock, _MOST, 1)
        if not asked:
            return
        with contextlib.suppress(OSError):  # no more processes: the keeper sees its end closed
            if os.fork() == 0:
                sock.close()
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                _be_one(carry, socket.socket(fileno=descriptors[0]), asked)
        os.close(descriptors[0])


def _be_one(
    carry: Callable[[socket.socket, Any], object], keeper: socket.socket, asked: bytes
) -> None:
    try:
        carry(keeper, loads(asked))
    except Exception as error:  # the outermost frame: a fault of ours is a line in the log
        log(error)
    finally:
        os._exit(0)
