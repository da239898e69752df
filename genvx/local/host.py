"""LocalHost: gathers facts, asks core, and carries out the decision.

A local command and the agent on a remote host both run this. Modules that only some acts need are
imported by those: start-up is most of what a question to many machines costs.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, TypeVar

from genvx.core.text import printable
from genvx.errors import InvalidInput
from genvx.local import processes
from genvx.local.machine import Machine

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator, Sequence
    from typing import Callable, Optional, Union

    from genvx.core.finding import Finding
    from genvx.core.leases.environment import Environment
    from genvx.core.leases.grant import Grant
    from genvx.core.leases.starter import Starter
    from genvx.core.line.standing import Standing
    from genvx.core.line.turn import Turn
    from genvx.core.policies.policy import Entitlement
    from genvx.core.projects.plan import Known, Landed
    from genvx.core.requests.ask import Ask
    from genvx.core.requests.requirements import Requirements
    from genvx.core.runs.container import Container
    from genvx.core.runs.run import RunSpec
    from genvx.core.runs.runinfo import RunInfo
    from genvx.core.wire.operation import Operation
    from genvx.core.wire.runoperations import LogNews, WatchRun
    from genvx.core.wire.treeoperations import Pulling, PullRun
    from genvx.core.wire.viewoperation import ViewRun
    from genvx.local.enforcing.enforcer import Enforcer
    from genvx.local.running.hold import LocalHold as LocalHold  # for those who hold what we give
    from genvx.local.runs.entering import Entry
    from genvx.local.trees.landing import Landing
    from genvx.local.trees.project import LocalProject
    from genvx.local.waiting import Stop

R = TypeVar("R")


class LocalHost(Machine):
    """This machine as a Host; see Machine for the arguments."""

    def __str__(self) -> str:
        return self.name

    @property
    def python(self) -> str:
        """The Python of this program, in which workers of executors run, too."""
        return sys.executable

    def doctor(self) -> tuple[Finding, ...]:
        """Check everything that genvx depends on here; never raises because something is wrong."""
        from genvx.local.doctor.examination import examine
        from genvx.local.runs.places import runs_root

        cache = self.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
        rooms = {"runs": runs_root(self.environ), "environments": f"{cache}/genvx"}
        # The unfiltered survey: hidden devices are checked, too, and a broken policy must not hide
        # the rest.
        return examine(self.environ, self._survey, self.places, rooms)

    def entitlement(self) -> Entitlement:
        """Return what the policy of this machine allows us.

        Raises:
            StateError: the policy cannot be read, or has a mistake.
        """
        from genvx.core.policies.limit import Limit
        from genvx.core.policies.policy import Entitlement, Policy

        rules = self.rules()
        if rules is None:
            return Entitlement(processes.owner_of(self.state.uid).name, Policy(), Limit())
        return Entitlement(rules.user, rules.policy, rules.limit)

    def enforcer(self, tell: Callable[[str], object], *, dry_run: bool = False) -> Enforcer:
        """Return what enforces the policy of this machine, round by round: as root on everybody,
        otherwise on our own processes and environments.

        tell: called with a line about what is missing. dry_run: it only says what it would do.
        """
        from genvx.local.enforcing.enforcer import Enforcer

        return Enforcer(self, tell, dry_run=dry_run)

    def answer(self, operation: Operation[R]) -> R:
        """Reply to an operation as a host over SSH would.

        Raises:
            InvalidInput: the operation continues after its reply; use the host's methods for these.
        """
        from genvx.local.questions import answering

        answer = answering(type(operation))
        if answer is None:
            raise InvalidInput(f"{type(operation).__name__} has no single reply")
        reply: R = answer(self, operation)
        return reply

    def watch(self, asked: WatchRun, pause: Callable[[float], bool]) -> Iterator[LogNews]:
        """How a run is, and its log as it grows; the last is a LogEnd.

        pause: waits so many seconds; True ends the watching.

        Raises:
            UnknownRun: there is none. NotOwner: it is another user's.
        """
        from genvx.local.runs.watching import watch

        return watch(self, asked, pause)

    def submit_and_watch(
        self,
        spec: RunSpec,
        pause: Callable[[float], bool],
        *,
        reports: bool = False,
        patience: Optional[float] = None,
        tags: tuple[str, ...] = (),
    ) -> tuple[RunInfo, Iterator[LogNews]]:
        """Start a run as `submit` does; return also what `watch` would yield of it."""
        from genvx.core.wire.runoperations import WatchRun

        run = self.submit(spec, patience=patience, tags=tags)
        return run, self.watch(WatchRun(run.id, offset=0, reports=reports), pause)

    def view(
        self, asked: ViewRun, pause: Callable[[float], bool]
    ) -> Iterator[Union[RunInfo, socket.socket]]:
        """How a run is until it has begun, then a socket: its terminal, for viewing.Frames.

        pause: waits so many seconds; True ends it.

        Raises:
            InvalidInput: it has no terminal, or is over. UnknownRun: there is none. NotOwner: it is
            another user's.
        """
        from genvx.local.runs.viewing import view

        return view(self, asked, pause)

    # What people run here

    @property
    def shell_name(self) -> str:
        """The name of the user's shell, such as bash."""
        from genvx.local.shells import user_shell

        return os.path.basename(user_shell(self.environ))

    def find_command(self, command: Sequence[str]) -> None:
        """Look for a command before anything is acquired for it.

        Raises:
            CommandNotFound: it is not there. CommandNotExecutable: it is no program.
        """
        from genvx.local.running.hold import find_command

        find_command(command, self.environ)

    def run_in_turn(
        self,
        environment: str,
        command: Sequence[str],
        *,
        patience: float,
        tell: Callable[[Turn], None],
    ) -> int:
        """Run a command as its parent when its turn on the devices of an environment comes; return
        its exit code. For main threads only. Arguments and errors are those of turns.run_in_turn.
        """
        from genvx.local.turnruns import run_in_turn

        return run_in_turn(self, environment, command, patience=patience, tell=tell)

    def write_tcsh_file(self) -> str:
        """Write the file that tcsh reads whenever genvx is typed; return its path.

        Raises:
            StateError: it cannot be written.
        """
        from genvx.local.startfiles import write_tcsh_file

        return write_tcsh_file(self.state)

    # Acts

    def acquire(self, ask: Ask) -> LocalHold:
        """Take devices for a new environment, or raise and change nothing.

        Waiting requests come before those that do not wait. When the time of the request is over,
        what runs under the hold is ended.

        Raises:
            NoCapacity: not enough devices are available; the message says why, device by device.
            Unsatisfiable: this host does not have enough devices of this kind.
            InvalidInput: the name or the id is not valid.
            StateError: the state directory is unsafe, full or read-only.
        """
        from genvx.local.granting.acquiring import acquire

        return acquire(self, ask)

    def wait(
        self,
        ask: Ask,
        tell: Optional[Callable[[Standing], None]] = None,
        stop: Optional[Stop] = None,
    ) -> LocalHold:
        """Take devices as `acquire` does, and wait in line for them if necessary.

        It waits for ever, unless the request says how long.

        tell: called with the position in the line when that may have changed, and every few
        seconds. stop: ends the waiting when it is set, such as a threading.Event.

        Raises:
            WaitedTooLong: they did not become available in time. Unsatisfiable: they never will.
        """
        from genvx.local.waiting import wait

        return wait(self, ask, tell or (lambda standing: None), stop)

    def reserve(self, ask: Ask) -> Grant:
        """Take devices for as long as the request lasts, without a process that holds them.

        `join` and `release` find them by the grant's environment.

        Raises: as `acquire`.
        """
        from genvx.local.granting.reserving import reserve

        return reserve(self, ask)

    def submit(
        self, spec: RunSpec, *, patience: Optional[float] = None, tags: tuple[str, ...] = ()
    ) -> RunInfo:
        """Start a run here that outlives us; returns once it waits or runs.

        Raises: as `acquire`, or with patience as `wait`; then nothing is left of it.
        """
        from genvx.core.wire.runoperations import SubmitRun

        return self.answer(SubmitRun(spec, patience, tags))

    def send_tree(
        self, shipment: LocalProject, sent: Callable[[int, int], object] = lambda done, total: None
    ) -> None:
        """Store the code of a run, unless it is here.

        sent: called with how many bytes of content were stored, and how many are to be.

        Raises:
            StateError: it cannot be written. ProjectChanged: a file is changed meanwhile.
        """
        from genvx.local.trees.keeping import keep

        keep(self.environ, shipment, sent)

    def pull(
        self,
        asked: PullRun,
        target: Landing,
        got: Callable[[int, int], object] = lambda done, total: None,
        choose: Callable[[Known], Sequence[bytes]] = lambda known: (),
    ) -> tuple[Pulling, Landed]:
        """Copy what a run here has made. Arguments and errors: as those of a host over SSH."""
        from genvx.local.runs.made import bring

        return bring(self, asked, target, got, choose)

    def join(self, environment: str, *, command: str = "") -> LocalHold:
        """Hold a living environment of one's own, beside the processes that hold it already.

        Raises:
            UnknownEnvironment: one has no environment of that id. NoCapacity: others kept colliding
            with us.
        """
        from genvx.local.granting.joining import join

        return join(self, environment, command=command)

    def enter(self, run: str, *, command: str = "") -> Entry:
        """Join the environment of a live run of one's own, and have what starts inside of it.

        Raises:
            UnknownRun: there is none. NotOwner: it is another user's. InvalidInput: it waits, has
            moved or is over.
        """
        from genvx.local.runs.entering import enter

        return enter(self, run, command=command or self.shell_name)

    def boxed(self, hold: LocalHold, container: Container) -> Starter:
        """Return what starts commands in containers under a hold of ours.

        Raises:
            Unsatisfiable: there is no runtime, or it does not answer. InvalidInput: a mount has no
            source.
        """
        from genvx.local.runs.boxstarter import BoxStarter

        return BoxStarter(self, hold, container)

    def attach(self, environment: str, requirements: Requirements) -> Grant:
        """Give a living environment of one's own more devices; all its holders have them then.

        Returns the whole environment. The devices are given back when it ends, or with `detach`.

        Raises: as `acquire`; UnknownEnvironment: one has no environment of that id.
        """
        from genvx.local.granting.amending import attach

        return attach(self, environment, requirements)

    def detach(self, environment: str, devices: Sequence[str] = ()) -> Grant:
        """Take devices, named by label or UUID, from a living environment of one's own; by default
        all.

        Returns what is left of the environment.

        Raises:
            UnknownDevice: one of them is not in it; then nothing is changed.
            UnknownEnvironment: one has no environment of that id.
        """
        from genvx.local.granting.amending import detach

        return detach(self, environment, devices)

    def grant_of(self, environment: str) -> Grant:
        """Return a living environment of one's own as it is now.

        Raises:
            UnknownEnvironment: one has no environment of that id.
        """

        from genvx.local.granting.grants import granted

        return granted(self, environment)

    def release(self, environment: str, *, kill: bool = False) -> Environment:
        """End an environment, named by id or name; for its owner and root only.

        Its processes live on, unless `kill` is true: then they are ended first, by TERM and 10 s
        later KILL, and the holders of the result are those that still live.

        Raises:
            UnknownEnvironment: there is none. NotOwner: it is another user's.
        """
        from genvx.local.running.release import release

        return release(self.store, environment, self.state.uid, kill=kill)

    def signal(self, environment: str, name: str, lease: str = "") -> None:
        """Send a signal, named without SIG, to the processes that took an environment of one's own.

        lease: if given, only to the process that took this lease. sshd passes no signals on to root
        and to forced commands, so these go this way. A pid that is another process by now gets
        none.

        Raises:
            InvalidInput: not a signal that is passed on. UnknownEnvironment: there is none.
        """
        from genvx.local.running import execute

        number = {signal.name: signal for signal in execute.PASSED_ON}.get(f"SIG{name}")
        if number is None:
            raise InvalidInput(f"not a signal that is passed on: {printable(name, 20)!r}")
        found = self.mine(environment)
        for each in self.store.scan().leases:
            if each.key == (found.owner.uid, found.id) and lease in ("", each.id):
                # The pid in the lease was written when the lease was taken. Its start time tells
                # whether it is still the same process, and the uid whether it is the owner's.
                holder = processes.describe(each.pid)
                if holder is not None and (holder.uid, holder.starttime) == (
                    each.owner.uid,
                    each.starttime,
                ):
                    os.kill(each.pid, number)
