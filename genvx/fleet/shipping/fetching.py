"""Fetching what a run has made from its host: what is here already is not sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from genvx.core.projects.manifest import MOST_MANIFEST, Manifest
from genvx.core.projects.plan import Known
from genvx.core.projects.stream import frame, read_frame
from genvx.core.text import printable
from genvx.core.wire.plain import Malformed
from genvx.core.wire.treeoperations import Coming, Pulling, lacking_of
from genvx.errors import ProtocolError
from genvx.fleet.shipping.sending import SILENCE, send_all
from genvx.ssh.ending import close_channel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from genvx.core.projects.plan import Landed
    from genvx.core.wire.treeoperations import PullRun
    from genvx.fleet.caller import Caller
    from genvx.fleet.shipping.shipment import Sent

    # Called with the names of a run's files; returns those that are to be deleted in the target.
    Choose = Callable[[Known], Sequence[bytes]]


# What may be on its way at once. With paramiko's 2 MiB a host that is 60 ms away sends 30 MB/s.
_WINDOW = 16 << 20


class Target(Protocol):
    """Where the files go; as local.trees.landing.Landing."""

    def take(
        self,
        manifest: Manifest,
        bodies: Callable[[list[int]], Iterable[bytes]],
        known: Known | None,
        choose: Choose,
        got: Sent,
    ) -> Landed:
        """Have the files of a tree there."""


def nothing(known: Known) -> Sequence[bytes]:
    """Choose no file to be deleted."""
    return ()


def fetch(
    caller: Caller,
    asked: PullRun,
    target: Target,
    got: Sent = lambda done, total: None,
    choose: Choose = nothing,
) -> tuple[Pulling, Landed]:
    """Fetch the files of a run; return what the host says of it, and what became of the target.

    got: called with how many bytes of content have come, and how many are to come. choose: where
    `asked.names` is set, called with the names of the run's files; returns the names in the target
    that are to be deleted.

    Raises:
        HostError: the connection has ended; what has come stays. ProjectChanged: a file is written
        meanwhile. ProtocolError: what came cannot be written here. UnknownRun: there is none.
    """
    fetching = caller.call(asked, window=_WINDOW)
    try:
        while isinstance(fetching.last, Coming):
            fetching.next_reply(SILENCE, lambda: False)
        assert isinstance(fetching.last, Pulling)
        read = _Buffered(fetching.read).read
        try:
            manifest = Manifest.read(read_frame(read, MOST_MANIFEST))
            sizes = [body.size for body in manifest.bodies()]
            known = Known.read(read_frame(read, MOST_MANIFEST)) if asked.names else None
        except Malformed as error:
            raise ProtocolError(f"the files are refused: {printable(str(error), 300)}") from None

        def bodies(wanted: list[int]) -> Iterator[bytes]:
            bits = lacking_of(wanted, len(sizes)).bits.encode("ascii")
            send_all(fetching, frame(bits, packed=False))
            return (read_frame(read, sizes[index]) for index in wanted)

        return fetching.last, target.take(manifest, bodies, known, choose, got)
    finally:
        close_channel(fetching.channel)


class _Buffered:
    """Reads all that has come, and gives it away in pieces: paramiko moves what it keeps whenever a
    part of it is read.
    """

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self._read = read
        self._data = b""
        self._at = 0

    def read(self, size: int) -> bytes:
        """So many bytes at most; none at the end."""
        if self._at == len(self._data):
            self._data, self._at = self._read(_WINDOW), 0
        part = self._data[self._at : self._at + size]
        self._at += len(part)
        return part
