"""Store is what keeps runs: a shelf in a bucket, the runs of a host; Content is what comes to it.

tests/clouds/test_stores.py holds all of them to what is said here. Others are registered under the
entry point group genvx.stores, by the type of their remotes: a callable that takes a Remote
(genvx.fleet.remotes.remote) and returns a Store.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from genvx.core.projects.manifest import Manifest
    from genvx.core.projects.plan import Landed
    from genvx.core.runs.runinfo import RunInfo
    from genvx.core.wire.runoperations import RunDetails, ShowRun
    from genvx.core.wire.treeoperations import Pulling, PullRun
    from genvx.fleet.shipping.fetching import Choose, Target
    from genvx.fleet.shipping.shipment import Sent


class Content(Protocol):
    """A run and its files, all of them. made: the names of those that were not in its project.

    left_out: what cannot be copied, in words.
    """

    run: RunInfo
    manifest: Manifest
    made: frozenset[bytes]
    left_out: tuple[str, ...]

    def bodies(self, wanted: Sequence[int]) -> Iterable[bytes]:
        """The contents with these indices. Raises ProjectChanged: a file is written meanwhile."""


class Put(NamedTuple):
    """What a store has of a run. new: whether anything is new there. files: how many there are.
    size: the bytes of content that were sent, or would be.
    """

    new: bool
    files: int
    size: int


# isinstance() checks only that an object has all these methods; it is used in tests.
@runtime_checkable
class Store(Protocol):
    """Store keeps runs. A run is named by its id; one of several parts by RunInfo.asked_as.

    Every method may raise CloudError or HostError: the store could not be asked, or somebody else
    has changed the run meanwhile. All but `list` and `put` raise UnknownRun where there is no such
    run.
    """

    name: str

    def list(self, *, deleted: bool = False) -> Sequence[RunInfo]:
        """Return the runs, in any order; deleted: those in the trash."""

    def info(self, asked: ShowRun) -> RunDetails:
        """Return a run and the end of its log."""

    def put(self, content: Content, sent: Sent = ..., *, only_say: bool = False) -> Put:
        """Keep a run. It is there whole, or not at all; what is there already is not sent.

        Raises:
            InvalidInput: it is in the trash there.
        """

    def get(
        self, asked: PullRun, target: Target, got: Sent = ..., choose: Choose = ...
    ) -> tuple[Pulling, Landed]:
        """Have the files of a run in a directory here. Arguments: as shipping.fetching.fetch."""

    def label(
        self, run: str, label: str | None, add: tuple[str, ...] = (), remove: tuple[str, ...] = ()
    ) -> RunInfo:
        """Give a run another label, or other tags; None leaves the label, "" removes it."""

    def delete(self, run: str) -> RunInfo:
        """Move a run into the trash."""

    def restore(self, run: str) -> RunInfo:
        """Take a run out of the trash."""

    def purge(self, run: str) -> RunInfo:
        """Delete a run in the trash for good, and what no other run has."""

    def close(self) -> None:
        """Let go of what it has open."""
