"""Where says which hosts a verb is for: this machine, or those of `genvx remote`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from genvx.cli.ask.prompt import prompt
from genvx.cli.show.progress import Progress
from genvx.core.amounts import format_memory
from genvx.core.ranges import ranges
from genvx.core.snapshot import Snapshot
from genvx.errors import FleetError, GenvxError, HostError, InvalidInput, kind_of
from genvx.fleet.defaults import FANOUT
from genvx.fleet.fleet import Fleet, Outcomes
from genvx.fleet.host import Host
from genvx.shown.console import INTERRUPTED, say
from genvx.ssh.defaults import HOST_LOST_AFTER, TIMEOUT

if TYPE_CHECKING:
    import typer

    from genvx.core.grant import Grant
    from genvx.fleet.hostspec import Selection
    from genvx.fleet.sshhost import SSHHost

T = TypeVar("T")

LOCAL_NAME = "localhost"

_INTERRUPTED = "interrupted"


def _say(line: str) -> None:
    say(f"genvx: {line}")


@dataclass(frozen=True)
class Where:
    """Where holds the hosts of a verb and how to ask them; with `remote` False, this machine.

    timeout: total seconds allowed per host. fanout: the number of hosts asked at once.
    host_lost_after: seconds of silence after which a host in use counts as lost.
    """

    remote: bool = False
    hostfile: str | None = None
    hosts: str | None = None
    login: str | None = None
    timeout: float = TIMEOUT
    fanout: int = FANOUT
    exit_on_error: bool = False
    quiet: bool = False
    accept_new_host_keys: bool = False
    host_lost_after: float = HOST_LOST_AFTER

    @property
    def typed(self) -> str:
        """What somebody types to ask the same hosts again: genvx, or genvx remote with these."""
        if not self.remote:
            return "genvx"
        import shlex

        words = ["genvx", "remote"]
        words += ["-H", self.hosts] if self.hosts else []
        words += ["-f", self.hostfile] if self.hostfile else []
        return shlex.join(words)

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
            from genvx.local.host import LocalHost

            # fanout 0 asks in this thread: a thread for one local question only costs time.
            return Fleet([LocalHost(LOCAL_NAME)], fanout=0)
        return self.remote_fleet(selection)

    def remote_fleet(self, selection: Selection | None = None) -> Fleet[SSHHost]:
        """Make the fleet of the hosts of `genvx remote`, or of the selected ones.

        Raises: as `fleet`.
        """
        from genvx.fleet.connect import connect

        return connect(
            self.hosts,
            hostfile=self.hostfile,
            selection=selection,
            login=self.login,
            fanout=self.fanout,
            timeout=self.timeout,
            accept_new_host_keys=self.accept_new_host_keys,
            host_lost_after=self.host_lost_after,
            prompt=prompt(),
            tell=_say,
        )

    def ask(self, fleet: Fleet, question: Callable[[Host], T]) -> Outcomes[T]:
        """Ask every host, with a progress line if it takes long.

        Ctrl-C ends the waiting: answers that have come are kept, and the other hosts have failed as
        `interrupted`.

        Raises:
            GenvxError: the first failure, if this is the local host or -e was given.
        """
        succeeded: dict[str, T] = {}
        failed: dict[str, GenvxError] = {}
        with Progress(len(fleet.hosts)) as progress:
            try:
                for name, value, error in fleet.stream(question):
                    if error is None:
                        succeeded[name] = value  # type: ignore[assignment]  # no error: a value
                    else:
                        failed[name] = error
                        if not self.remote:
                            raise error
                        if self.exit_on_error:
                            raise FleetError(f"{name}: {error}")
                    progress.update(len(succeeded), len(failed))
            except KeyboardInterrupt:
                # With no answer yet there is nothing to show: genvx ends as usual after Ctrl-C.
                if not self.remote or not succeeded:
                    raise
                for host in fleet.hosts:
                    if host.name not in succeeded:
                        late = HostError("had not answered before Ctrl-C", kind=_INTERRUPTED)
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
        if any(kind_of(error) == _INTERRUPTED for error in outcomes.failed.values()):
            raise KeyboardInterrupt
        return outcomes

    def report(self, outcomes: Outcomes[T]) -> int:
        """Print which hosts failed, a line each; return the exit code."""
        late = [e for e in outcomes.failed.values() if kind_of(e) == _INTERRUPTED]
        if not self.quiet:
            for name, error in outcomes.failed.items():
                if error not in late:
                    say(f"{name}: {kind_of(error)}: {error}")
        if late:
            say(f"interrupted: {len(late)} of {len(outcomes)} hosts had not answered")
            return INTERRUPTED
        return FleetError.exit_code if outcomes.failed else 0

    def note(self, line: str) -> None:
        """Print a note about the answer, unless -q was given."""
        if not self.quiet:
            say(f"genvx: {line}")

    def landed(self, host: str, grant: Grant) -> None:
        """Print what was granted on which host, unless -q was given, and the notes of the host."""
        self.note(f"on {host}: {shown_devices(grant)}; environment {grant.label}")
        for note in grant.notes:
            say(f"genvx: {note}")

    def report_drivers(self, snapshots: Outcomes[Snapshot]) -> None:
        """Print the faults of drivers and devices, a line each, unless -q was given."""
        if self.quiet:
            return
        for name, snapshot in snapshots.succeeded.items():
            head = f"{name}: " if self.remote else "genvx: "
            if snapshot.driver.error is not None:
                say(f"{head}{snapshot.driver.error}")
            for note in snapshot.driver.notes:
                say(f"{head}{note}")


def shown_devices(grant: Grant) -> str:
    """Return the devices of a grant in a few words, such as `GPU 0, 1`."""
    if not grant.devices:
        return "no GPU"
    part = "" if grant.memory is None else f"{format_memory(grant.memory)} of "
    return f"{part}GPU {ranges(device.label for device in grant.devices)}"


def here(context: typer.Context) -> Where:
    """Return the hosts that the verb of this context is for."""
    return context.obj if isinstance(context.obj, Where) else Where()
