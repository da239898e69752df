"""The runs of a host as a store; and a store as a host of runs, for verbs that know only those."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from genvx.core.runs.runselect import chosen, newest_first
from genvx.core.wire.runoperations import (
    MOST_RUNS,
    Disposal,
    DisposeOfRun,
    FindRuns,
    ListRuns,
    MarkRun,
    RunDetails,
    ShowRun,
)
from genvx.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from genvx.core.projects.plan import Landed
    from genvx.core.runs.runinfo import RunInfo
    from genvx.core.wire.operation import Operation
    from genvx.core.wire.treeoperations import Pulling, PullRun
    from genvx.fleet.shelves.store import Content, Put, Store
    from genvx.fleet.shipping.fetching import Choose, Target
    from genvx.fleet.shipping.shipment import Sent

    R = TypeVar("R")


class HostStore:
    """The runs of a host as a store. take: has a run of elsewhere there."""

    def __init__(self, host: Any, take: Callable[..., Put]) -> None:
        self.name: str = host.name
        self._host = host
        self._take = take

    def list(self, *, deleted: bool = False) -> Sequence[RunInfo]:
        """Return the runs, and copies of runs; see Store.list."""
        found: Sequence[RunInfo] = self._host.answer(
            ListRuns(most=MOST_RUNS, deleted=deleted, copies=True)
        )
        return found

    def info(self, asked: ShowRun) -> RunDetails:
        """Return a run and the end of its log; see Store.info."""
        found: RunDetails = self._host.answer(asked)
        return found

    def put(
        self,
        content: Content,
        sent: Sent = lambda done, total: None,
        *,
        only_say: bool = False,
    ) -> Put:
        """Keep a run; see Store.put."""
        return self._take(content, sent, only_say=only_say)

    def get(
        self,
        asked: PullRun,
        target: Target,
        got: Sent = lambda done, total: None,
        choose: Choose = lambda known: (),
    ) -> tuple[Pulling, Landed]:
        """Have the files of a run in a directory here; see Store.get."""
        found: tuple[Pulling, Landed] = self._host.pull(asked, target, got, choose)
        return found

    def label(
        self, run: str, label: str | None, add: tuple[str, ...] = (), remove: tuple[str, ...] = ()
    ) -> RunInfo:
        """Give a run another label, or other tags; see Store.label."""
        return self._done(MarkRun(run, label, add, remove))

    def delete(self, run: str) -> RunInfo:
        """Move a run into the trash; see Store.delete."""
        return self._done(DisposeOfRun(run, Disposal.DELETE))

    def restore(self, run: str) -> RunInfo:
        """Take a run out of the trash; see Store.restore."""
        return self._done(DisposeOfRun(run, Disposal.RESTORE))

    def purge(self, run: str) -> RunInfo:
        """Delete a run in the trash for good; see Store.purge."""
        return self._done(DisposeOfRun(run, Disposal.PURGE))

    def close(self) -> None:
        """Close the connection, if there is one."""
        self._host.close()

    def _done(self, asked: Operation[RunInfo]) -> RunInfo:
        found: RunInfo = self._host.answer(asked)
        return found


class _Open:
    open = True


OPEN = _Open()
"""The connections of what is asked directly: no keeper of connections answers for it."""


class Shelf:
    """A store, as verbs on runs ask a host. What asks for more than runs is refused."""

    def __init__(self, store: Store) -> None:
        self.name = store.name
        self.connections = OPEN
        self.store = store

    def answer(self, asked: Operation[R]) -> R:
        """Answer what is asked of runs. Raises: as Store; InvalidInput: it is none of that."""
        found: Any = self._answer(asked)
        return found  # type: ignore[no-any-return]  # by its class

    def _answer(self, asked: Any) -> Any:
        store = self.store
        if isinstance(asked, ListRuns):
            runs = [run for run in store.list(deleted=asked.deleted) if asked.narrowed.matches(run)]
            return tuple(newest_first(runs)[: asked.most])
        if isinstance(asked, FindRuns):
            return self._found(asked)
        if isinstance(asked, ShowRun):
            return store.info(asked)
        if isinstance(asked, MarkRun):
            return store.label(asked.run, asked.label, asked.add, asked.remove)
        if isinstance(asked, DisposeOfRun):
            act = {
                Disposal.DELETE: store.delete,
                Disposal.RESTORE: store.restore,
                Disposal.PURGE: store.purge,
            }[asked.how]
            return act(asked.run)
        raise self._refusal()

    def pull(
        self,
        asked: PullRun,
        target: Target,
        got: Sent = lambda done, total: None,
        choose: Choose = lambda known: (),
    ) -> tuple[Pulling, Landed]:
        """Have the files of a run in a directory here; see Store.get."""
        return self.store.get(asked, target, got, choose)

    def close(self) -> None:
        """Let go of what it has open."""
        self.store.close()

    def __getattr__(self, name: str) -> Any:
        # Whatever else a host can do.
        if name.startswith("_"):
            raise AttributeError(name)
        raise self._refusal()

    def _found(self, asked: FindRuns) -> tuple[RunInfo, ...]:
        """The runs that may be meant; a whole id also means one in the trash, as on a host."""
        runs = newest_first(self.store.list(deleted=asked.deleted))
        meant = chosen(asked.wanted)
        if meant.count is not None:
            return tuple(runs[: meant.count])
        found = [run for run in runs if meant.matches(run) or run.asked_as == asked.wanted]
        if not found and not asked.deleted:
            trash = self.store.list(deleted=True)
            found = [run for run in trash if asked.wanted in (run.id, run.asked_as)]
        return tuple(found[:MOST_RUNS])

    def _refusal(self) -> InvalidInput:
        return InvalidInput(f"{self.name} keeps runs; nothing runs there")
