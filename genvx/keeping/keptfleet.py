"""A fleet that is asked through a keeper and whose commands carriers carry, where possible.

For all else a host of it stands for the same host over SSH, to which it connects then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, cast

from genvx.core.value import replace
from genvx.errors import CommandNotFound
from genvx.fleet.ask import HostGroup
from genvx.fleet.questions import Questions
from genvx.keeping import asking

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from genvx.core.leases.grant import Grant
    from genvx.core.requests.ask import Wanted
    from genvx.core.wire.job import Job
    from genvx.core.wire.operation import Operation
    from genvx.core.wire.progress import Progress
    from genvx.errors import GenvxError
    from genvx.fleet.hosts.hostspec import HostSpec
    from genvx.fleet.remote import RemoteCommand
    from genvx.keeping.carried import Carried
    from genvx.keeping.warm import Warmth

R = TypeVar("R")
T = TypeVar("T")


class KeptFleet(HostGroup["FleetHost"]):
    """KeptFleet is a number of hosts that are asked through a keeper.

    open_cold: makes the same fleet over SSH, for those that cannot be.
    """

    def __init__(
        self,
        specs: Sequence[HostSpec],
        warmth: Warmth,
        open_cold: Callable[[], HostGroup[Any]],
    ) -> None:
        super().__init__([FleetHost(spec, self) for spec in specs])
        self._specs = tuple(specs)
        self.warmth = warmth
        self._open_cold = open_cold
        self._opened: HostGroup[Any] | None = None

    def stream(
        self, question: Callable[[Any], T], *, old: list[str] | None = None
    ) -> Iterator[tuple[str, T | None, GenvxError | None]]:
        """Ask every host and yield each outcome as it comes, as HostGroup does.

        old: as of `Warmth.stream`.
        """
        return self.stream_of(self._specs, question, old=old)

    def stream_of(
        self,
        specs: Sequence[HostSpec],
        question: Callable[[Any], T],
        *,
        old: list[str] | None = None,
    ) -> Iterator[tuple[str, T | None, GenvxError | None]]:
        """Ask some of the hosts."""

        def cold(names: list[str]) -> Iterator[tuple[str, T | None, GenvxError | None]]:
            return self._cold.only(names).stream(question)

        return self.warmth.stream(specs, question, cold, old=old)

    @property
    def _cold(self) -> HostGroup[Any]:
        # One for all questions: a table that is drawn again and again keeps its connections.
        if self._opened is None:
            self._opened = self._open_cold()
        return self._opened

    def cold(self, name: str) -> Any:
        """Return the host with this name as one over SSH."""
        return self._cold.host(name)

    def connected(self, name: str) -> bool:
        """Whether a host had to be asked without the keeper, so that there is a connection."""
        return self._opened is not None and bool(self._opened.host(name).connections.open)

    def close(self) -> None:
        """Close the connections of hosts that were asked without the keeper."""
        if self._opened is not None:
            self._opened.close()


class FleetHost(Questions):
    """FleetHost is a host of a KeptFleet."""

    def __init__(self, spec: HostSpec, fleet: KeptFleet) -> None:
        self.name = spec.name
        self._spec = spec
        self._fleet = fleet
        self._carried: Carried | None = None

    @property
    def spec(self) -> HostSpec:
        """The host's line of the hostfile."""
        return self._spec

    def close(self) -> None:
        """The fleet closes what is open."""

    def answer(self, operation: Operation[R], *, patience: float = 0.0) -> R:
        """Perform an operation with one reply on the host, and return the reply."""
        ((_, value, error),) = self._fleet.stream_of(
            [self._spec], lambda host: host.answer(operation, patience=patience)
        )
        if error is not None:
            raise error
        return cast("R", value)

    def start(self, wanted: Wanted, job: Job) -> RemoteCommand[Progress]:
        """Start a command on the host, as SSHHost does; through a carrier, if there is one."""
        # What is connected already asks nobody else.
        if asking.keepable(self._spec) and not self._fleet.connected(self.name):
            from genvx.core.prelude import with_prelude
            from genvx.core.requests.ask import Ask
            from genvx.fleet.offer import offering

            asked = offering(self._spec, wanted) if isinstance(wanted, Ask) else wanted
            whole = job
            if job.container is None:  # whose Python is the image's
                whole = replace(job, argv=with_prelude(self._spec.prelude, job.argv))
            try:
                self._carried = self._fleet.warmth.carry(self._spec, asked, whole)
            except CommandNotFound as error:
                raise error.on(self.name) from None
            if self._carried is not None:
                return self._carried
        started: RemoteCommand[Progress] = self._fleet.cold(self.name).start(wanted, job)
        return started

    def signal(self, grant: Grant, name: str) -> None:
        """Send a signal, named without SIG, to the command of a grant."""
        if self._carried is not None:
            self._carried.signal(grant, name)
        else:
            self._fleet.cold(self.name).signal(grant, name)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._fleet.cold(self.name), name)
