"""Where says which hosts a verb is for: this machine, or those of `genvx remote`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, cast

from genvx.cli.parse.declaring import Context
from genvx.cli.show.reporting import INTERRUPTED_KIND, Reporting
from genvx.core.value import replace, value
from genvx.errors import FleetError, GenvxError, HostError, InvalidInput, kind_of
from genvx.fleet.defaults import FANOUT
from genvx.shown.console import tell
from genvx.ssh.defaults import HOST_LOST_AFTER, TIMEOUT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from genvx.core.requests.requirements import Requirements
    from genvx.core.runs.pulled import Way
    from genvx.core.snapshot import Snapshot
    from genvx.fleet.ask import HostGroup
    from genvx.fleet.fleet import Fleet
    from genvx.fleet.host import Host
    from genvx.fleet.hosts.hostspec import HostSpec
    from genvx.fleet.hosts.selection import Selection
    from genvx.fleet.outcomes import Outcomes
    from genvx.fleet.sshhost import SSHHost
    from genvx.keeping.warm import Warmth

T = TypeVar("T")

LOCAL_NAME = "localhost"


@value
class Where(Reporting):
    """Where holds the hosts of a verb and how to ask them; with `remote` False, this machine.

    timeout: total seconds allowed per host. fanout: the number of hosts asked at once.
    host_lost_after: seconds of silence after which a host in use counts as lost. named: the name of
    a remote. specs: hosts that are known already; None if the others say which. shelves: names of
    remotes that keep runs, beside these.
    """

    hostfile: str | None = None
    hosts: str | None = None
    named: str | None = None
    specs: tuple[HostSpec, ...] | None = None
    shelves: tuple[str, ...] = ()
    login: str | None = None
    timeout: float = TIMEOUT
    fanout: int = FANOUT
    exit_on_error: bool = False
    accept_new_host_keys: bool = False
    host_lost_after: float = HOST_LOST_AFTER

    @property
    def typed(self) -> str:
        """What somebody types to ask the same hosts again: genvx, or genvx remote with these."""
        if not self.remote:
            return "genvx"
        return self.way.typed

    @property
    def way(self) -> Way:
        """How the hosts were named."""
        from genvx.core.runs.pulled import Way

        return Way(self.named or "", self.hosts or "", self.hostfile or "", self.login or "")

    def fleet(self, selection: Selection | None = None) -> Fleet:
        """Make the fleet of the hosts, or of the selected ones; connect to none yet.

        Raises:
            InvalidHostfile: a line is bad. UnknownHost: no hosts are named, or none is selected.
            InvalidInput: both hosts and a hostfile are given, or a selection for this machine.
        """
        if not self.remote:
            if selection:
                raise InvalidInput(
                    "--only-host, --exclude-host and --tag select hosts of genvx remote"
                )
            from genvx.fleet.fleet import Fleet
            from genvx.local.host import LocalHost

            # fanout 0 asks in this thread: a thread for one local question only costs time.
            return Fleet([LocalHost(LOCAL_NAME)], fanout=0)
        return self.remote_fleet(selection)

    def remote_fleet(self, selection: Selection | None = None) -> Fleet[SSHHost]:
        """Make the fleet of the hosts of `genvx remote`, or of the selected ones.

        Raises: as `fleet`.
        """
        return self._connected(self.specs, selection)

    def _connected(
        self, specs: tuple[HostSpec, ...] | None, selection: Selection | None = None
    ) -> Fleet[SSHHost]:
        """The fleet of these hosts if they are known already, otherwise of those that are named."""
        from genvx.cli.ask.prompt import prompt
        from genvx.fleet.connect import connect

        return connect(
            self.hosts if specs is None else None,
            hostfile=self.hostfile if specs is None else None,
            remote=self.named if specs is None else None,
            specs=specs,
            selection=selection,
            login=self.login,
            fanout=self.fanout,
            timeout=self.timeout,
            accept_new_host_keys=self.accept_new_host_keys,
            host_lost_after=self.host_lost_after,
            prompt=prompt(),
            tell=tell,
            typed=self.typed,
        )

    def runs_fleet(self, *, asked: bool = False) -> Fleet[Any]:
        """Make the fleet of what has runs: the hosts, and shelves, which answer what is asked of
        runs and nothing else. asked: for questions alone, as of `asked_fleet`. Raises: as `fleet`.
        """
        if not self.remote or not (self.named or self.shelves):
            return self.asked_fleet() if asked else self.fleet()
        # Imported here: shelves are rare, and botocore is large.
        from genvx.cli.remotes.shelving import runs_fleet

        return runs_fleet(self, asked=asked)

    @property
    def keeps_runs(self) -> bool:
        """Whether the remote that is named keeps runs, and has no host."""
        if self.named is None or any(each in self.named for each in ",:"):
            return False
        import os

        from genvx.fleet.remotes.reading import remote_named

        return remote_named(self.named, os.environ).is_shelf

    def asked_fleet(self, selection: Selection | None = None) -> Fleet[Any]:
        """Make the fleet of the hosts, or of the selected ones, for questions alone: the keeper may
        answer them, and connections are opened only where it does not.

        Raises: as `fleet`.
        """
        warmth = self._warmth()
        if warmth is None:
            return self.fleet(selection)
        from genvx.fleet.connect import find
        from genvx.keeping.keptfleet import KeptFleet

        specs = find(
            self.hosts,
            hostfile=self.hostfile,
            remote=self.named,
            specs=self.specs,
            selection=selection,
            login=self.login,
            tell=tell,
        )
        return cast("Fleet[Any]", KeptFleet(specs, warmth, lambda: self._connected(specs)))

    def _warmth(self) -> Warmth | None:
        """What asks the keeper; None if it may not be asked."""
        # A keeper accepts no host key: that is for the command in which somebody said so.
        if not self.remote or self.accept_new_host_keys:
            return None
        from genvx.cli.ask.warmth import warmth

        return warmth(
            timeout=self.timeout, fanout=self.fanout, host_lost_after=self.host_lost_after
        )

    def _stream(
        self, fleet: HostGroup[Any], question: Callable[[Any], T], old: list[str] | None
    ) -> Iterator[tuple[str, T | None, GenvxError | None]]:
        warmth = self._warmth()
        if warmth is None:
            return fleet.stream(question)
        from genvx.keeping.keptfleet import KeptFleet

        if isinstance(fleet, KeptFleet):
            return fleet.stream(question, old=old)
        # What has connections of its own goes on with them.
        if any(host.connections.open for host in fleet.hosts):
            return fleet.stream(question)
        specs = [host.spec for host in fleet.hosts]
        return warmth.stream(
            specs, question, lambda names: fleet.only(names).stream(question), old=old
        )

    def remote_notes(self) -> list[str]:
        """Return what is written of the remote that is named and has no effect, a line each."""
        if self.named is None:
            return []
        import os

        from genvx.fleet.remotes.reading import remotes_named

        named = remotes_named(self.named, os.environ)
        return [f"{remote.name}: {note}" for remote in named for note in remote.notes]

    def ask(
        self, fleet: HostGroup[Any], question: Callable[[Host], T], *, old: list[str] | None = None
    ) -> Outcomes[T]:
        """Ask every host, with a progress line if it takes long.

        The question may be asked of the keeper, and be repeated: it does nothing but ask. old:
        where it is given, an answer that the keeper got within the last second is good enough, and
        the names of such hosts are added to it.

        Ctrl-C ends the waiting: answers that have come are kept, and the other hosts have failed as
        `interrupted`.

        Raises:
            GenvxError: the first failure, if this is the local host or -e was given.
        """
        if not self.remote:
            outcomes = fleet.ask(question)
            for failure in outcomes.failed.values():
                raise failure
            return outcomes
        # Imported here: threads are needed where many hosts are asked.
        from genvx.cli.show.progress import Progress
        from genvx.fleet.outcomes import Outcomes

        succeeded: dict[str, T] = {}
        failed: dict[str, GenvxError] = {}
        with Progress(len(fleet.hosts)) as progress:
            try:
                for name, value, error in self._stream(fleet, question, old):
                    if error is None:
                        succeeded[name] = value  # type: ignore[assignment]  # no error: a value
                    else:
                        failed[name] = error
                        if self.exit_on_error:
                            raise FleetError(f"{name}: {error}")
                    progress.update(len(succeeded), len(failed))
            except KeyboardInterrupt:
                # With no answer yet there is nothing to show: genvx ends as usual after Ctrl-C.
                if not succeeded:
                    raise
                for host in fleet.hosts:
                    if host.name not in succeeded:
                        late = HostError("had not answered before Ctrl-C", kind=INTERRUPTED_KIND)
                        failed.setdefault(host.name, late)
        # Hosts answer in any order. Results in the order of the fleet keep tables steady.
        order = [host.name for host in fleet.hosts]
        return Outcomes(
            {name: succeeded[name] for name in order if name in succeeded},
            {name: failed[name] for name in order if name in failed},
        )

    def look(self, fleet: Fleet, wanted: Requirements | None = None) -> Outcomes[Snapshot]:
        """Take a snapshot of every host, to choose one; raise KeyboardInterrupt on Ctrl-C.

        wanted: what is wanted of one host. A host that the keeper has seen within the last second
        is then not asked again, unless nothing seems to have room.
        """
        old: list[str] = []
        outcomes = self.ask(
            fleet, lambda host: host.snapshot(), old=None if wanted is None else old
        )
        if wanted is not None and old:
            from genvx.core.placing.ranking import rank

            # That a host has room, it decides again by itself. That none has must be true now.
            if not rank(wanted, outcomes.succeeded)[0]:
                outcomes = self.ask(fleet, lambda host: host.snapshot())
            else:
                outcomes = replace(outcomes, old=tuple(old))
        return _whole(outcomes)

    def find(self, fleet: Fleet, question: Callable[[Host], T]) -> Outcomes[T]:
        """Ask every host, to do something on one of them; raise KeyboardInterrupt on Ctrl-C."""
        return _whole(self.ask(fleet, question))


def _whole(outcomes: Outcomes[T]) -> Outcomes[T]:
    # After Ctrl-C people want nothing done, such as GPUs taken, not even on a host that did answer.
    if any(kind_of(error) == INTERRUPTED_KIND for error in outcomes.failed.values()):
        raise KeyboardInterrupt
    return outcomes


def here(context: Context) -> Where:
    """Return the hosts that the verb of this context is for."""
    return context.obj if isinstance(context.obj, Where) else Where()
