"""The parts of a run, with their hosts: one of a run on one host."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genvx.core.wire.runoperations import FindRuns
from genvx.errors import GenvxError, InvalidInput, UnknownRun

if TYPE_CHECKING:
    from genvx.core.runs.runinfo import RunInfo
    from genvx.core.wire.operation import Operation
    from genvx.fleet.ask import HostGroup
    from genvx.fleet.detaching.runs import RunHost


class Parts:
    """Parts are those of one run, by rank. Two are equal if they are of the same run."""

    def __init__(
        self,
        host: RunHost,
        info: RunInfo,
        *others: tuple[RunHost, RunInfo],
        note: str = "",
        fleet: HostGroup[RunHost] | None = None,
    ) -> None:
        """others: the other parts of a gang, by rank. note: what was said at its start. fleet: the
        hosts among which it moves.
        """
        self._places = {host: info, **dict(others)}
        self._note = note
        self._fleet = fleet

    @property
    def id(self) -> str:
        """The id of the run, and of its environment."""
        return self._first.id

    @property
    def host(self) -> RunHost:
        """The host of the run, or of its first part; it prints as its name."""
        return next(iter(self._places))

    @property
    def hosts(self) -> tuple[RunHost, ...]:
        """The hosts of all its parts that were found, by rank."""
        return tuple(self._places)

    @property
    def _first(self) -> RunInfo:
        return self._places[self.host]

    def _ask_all(self, question: Operation[RunInfo]) -> None:
        """Ask the hosts of all parts; one that fails does not keep the others from being asked."""
        failures: list[GenvxError] = []
        for host in self._places:
            try:
                self._learn(host, host.answer(question))
            except GenvxError as error:
                failures.append(error)
        if failures:
            raise failures[0]

    def _host_of(self, node: int | None) -> RunHost:
        if node is None:
            return self.host
        for host, info in self._places.items():
            if node == info.rank:
                return host
        raise InvalidInput(f"run {self.id} has no node {node!r} among its hosts")

    def _look(self, host: RunHost) -> RunInfo:
        # A host may answer anything.
        asked = FindRuns(self._first.asked_as, copies=self._first.pulled is not None)
        found = (each for each in host.answer(asked) if each.id == self.id)
        return self._learn(host, next(found, None))

    def _learn(self, host: RunHost, info: RunInfo | None) -> RunInfo:
        if info is None or info.id != self.id:
            raise UnknownRun(f"run {self.id} is no longer on {host.name}")
        self._places[host] = info
        return info

    @property
    def _key(self) -> tuple[object, str]:
        part = self._first.spec.part
        # By the nodes of all parts, because a host of one may not have answered.
        return (self.host.name if part is None else part.nodes, self.id)

    def __eq__(self, other: object) -> bool:
        return self._key == other._key if isinstance(other, Parts) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._key)

    def __repr__(self) -> str:
        return f"<Run {self._first.label_or_id} on {', '.join(h.name for h in self._places)}>"
