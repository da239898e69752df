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
    fetching = caller.call(asked)
    try:
        while isinstance(fetching.last, Coming):
            fetching.next_reply(SILENCE, lambda: False)
        assert isinstance(fetching.last, Pulling)
        try:
            manifest = Manifest.read(read_frame(fetching.read, MOST_MANIFEST))
            sizes = [body.size for body in manifest.bodies()]
            known = Known.read(read_frame(fetching.read, MOST_MANIFEST)) if asked.names else None
        except Malformed as error:
            raise ProtocolError(f"the files are refused: {printable(str(error), 300)}") from None

        def bodies(wanted: list[int]) -> Iterator[bytes]:
            bits = lacking_of(wanted, len(sizes)).bits.encode("ascii")
            send_all(fetching, frame(bits, packed=False))
            return (read_frame(fetching.read, sizes[index]) for index in wanted)

        return fetching.last, target.take(manifest, bodies, known, choose, got)
    finally:
        close_channel(fetching.channel)
