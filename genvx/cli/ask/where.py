"""Where says which hosts a verb is for: this machine, or those of `genvx remote`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from genvx.cli.show.reporting import INTERRUPTED_KIND, Reporting
from genvx.core.value import value
from genvx.errors import FleetError, GenvxError, HostError, InvalidInput, kind_of
from genvx.fleet.defaults import FANOUT
from genvx.shown.console import say
from genvx.ssh.defaults import HOST_LOST_AFTER, TIMEOUT

if TYPE_CHECKING:
    import typer

    from genvx.core.runs.pulled import Way
    from genvx.core.snapshot import Snapshot
    from genvx.fleet.fleet import Fleet
    from genvx.fleet.host import Host
    from genvx.fleet.hosts.hostspec import HostSpec, Selection
    from genvx.fleet.outcomes import Outcomes
    from genvx.fleet.sshhost import SSHHost

T = TypeVar("T")

LOCAL_NAME = "localhost"


def _say(line: str) -> None:
    say(f"genvx: {line}")


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
        from genvx.cli.ask.prompt import prompt
        from genvx.fleet.connect import connect

        return connect(
            self.hosts,
            hostfile=self.hostfile,
            remote=self.named,
            specs=self.specs,
            selection=selection,
            login=self.login,
            fanout=self.fanout,
            timeout=self.timeout,
            accept_new_host_keys=self.accept_new_host_keys,
            host_lost_after=self.host_lost_after,
            prompt=prompt(),
            tell=_say,
            typed=self.typed,
        )

    def runs_fleet(self) -> Fleet[Any]:
        """Make the fleet of what has runs: the hosts, and shelves, which answer what is asked of
        runs and nothing else. Raises: as `fleet`.
        """
        if not self.remote or not (self.named or self.shelves):
            return self.fleet()
        # Imported here: shelves are rare, and boto3 is large.
        from genvx.cli.shelving import runs_fleet

        return runs_fleet(self)

    @property
    def keeps_runs(self) -> bool:
        """Whether the remote that is named keeps runs, and has no host."""
        if self.named is None or any(each in self.named for each in ",:"):
            return False
        import os

        from genvx.fleet.remotes.reading import remote_named

        return remote_named(self.named, os.environ).is_shelf

    def remote_notes(self) -> list[str]:
        """Return what is written of the remote that is named and has no effect, a line each."""
        if self.named is None:
            return []
        import os

        from genvx.fleet.remotes.reading import remote_named

        remote = remote_named(self.named, os.environ)
        return [f"{remote.name}: {note}" for note in remote.notes]

    def ask(self, fleet: Fleet, question: Callable[[Host], T]) -> Outcomes[T]:
        """Ask every host, with a progress line if it takes long.

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
                for name, value, error in fleet.stream(question):
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

    def look(self, fleet: Fleet) -> Outcomes[Snapshot]:
        """Take a snapshot of every host, to choose one; raise KeyboardInterrupt on Ctrl-C."""
        outcomes = self.ask(fleet, lambda host: host.snapshot())
        # After Ctrl-C people do not want GPUs taken, not even on a host that did answer.
        if any(kind_of(error) == INTERRUPTED_KIND for error in outcomes.failed.values()):
            raise KeyboardInterrupt
        return outcomes


def here(context: typer.Context) -> Where:
    """Return the hosts that the verb of this context is for."""
    return context.obj if isinstance(context.obj, Where) else Where()
