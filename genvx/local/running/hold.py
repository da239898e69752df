"""LocalHold: devices that this process holds, and the commands that it runs under them."""

from __future__ import annotations

import contextlib
import os
import shutil
from typing import TYPE_CHECKING, Any, Optional

from genvx.core import escalation
from genvx.core.leases.hold import BaseHold
from genvx.core.leases.lease import Part
from genvx.core.text import printable
from genvx.errors import CommandNotExecutable, CommandNotFound
from genvx.local.running import execute, supervise, timekeeper
from genvx.local.state.saying import saying

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from genvx.core.command import Command
    from genvx.core.leases.grant import Grant
    from genvx.core.leases.lease import Lease
    from genvx.core.running import Stream
    from genvx.local.machine import Machine
    from genvx.local.running.started import LocalRunning
    from genvx.local.state.held import HeldLease


class LocalHold(BaseHold):
    """Devices of this machine that this process holds until `release`, the end of the block, or its
    death.
    """

    def __init__(self, host: Machine, grant: Grant, held: HeldLease) -> None:
        self._host = host
        self._held = held
        self._time_is_kept = False
        self.grant = grant

    @property
    def descriptor(self) -> int:
        """The lease's descriptor; a process that inherits it holds the lease, too."""
        return self._held.descriptor

    @property
    def lease(self) -> Lease:
        """The lease as it is published."""
        return self._held.lease

    def is_published(self) -> bool:
        """Whether the devices are still held; False once the environment was released by id."""
        return self._held.is_published()

    @property
    def host(self) -> Any:
        """This machine, as a Host."""
        return self._host

    def variables(self) -> dict[str, str]:
        """Return the environment variables of what runs under this hold: the host's and the
        grant's.
        """
        environ = self._host.environ
        more: dict[str, str] = {}
        if "SLURM_JOB_ID" in environ:
            from genvx.local.devices.allocated import kept_names

            more = kept_names(environ)
        return {**environ, **more, **self.grant.variables}

    def start(
        self,
        command: Command,
        *,
        stdin: Stream = None,
        stdout: Stream = None,
        stderr: Stream = None,
        cwd: Optional[str] = None,
        env: Optional[Mapping[str, str]] = None,
    ) -> LocalRunning:
        """Start a command as `BaseHold.start` says; the command inherits the lease."""
        from genvx.core.command import require_variables, words_of
        from genvx.local.running.started import LocalRunning

        self.keep_time(spare=os.getpid())
        return LocalRunning(
            words_of(command),
            lease=self.descriptor,
            variables={**self.variables(), **require_variables(env or {})},
            cwd=cwd,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
        )

    def supervise(
        self,
        argv: Sequence[str],
        *,
        stdout: int = 1,
        watch_client: bool = False,
        variables: Optional[Mapping[str, str]] = None,
        cwd: Optional[str] = None,
        grace: float = escalation.GRACE,
        die_with_us: bool = False,
        alone: bool = False,
        client: Optional[supervise.Client] = None,
    ) -> int:
        """Run a command as its parent and pass signals on; return its exit code.

        For main threads only. Afterwards the lease is released, unless a background job has
        inherited it. grace: seconds between SIGTERM and SIGKILL when its time is over. die_with_us:
        whether the command gets SIGHUP if this process is killed. alone: whether signals are for
        the command only when its client is gone, and what it has left in the background goes on.
        client: what the command is a client of, if it is one. Once that has ended, the lease is
        released.
        """
        try:
            # A container has the lease, and is to get signals from its client alone.
            whole = client is not None
            self.keep_time(spare=os.getpid(), supervised=True, whole=whole, grace=grace)
            code = supervise.run(
                argv,
                {**self.variables(), **(variables or {})},
                lease=self.descriptor,
                client=client,
                stdout=stdout,
                cwd=cwd,
                watch_client=watch_client,
                own_group=watch_client and not alone,
                die_with_us=die_with_us,
                end_ns=self.lease.expires_ns,
                grace=grace,
            )
            if client is not None and client.ended(code):
                self.release()
            return code
        finally:
            self._held.leave()

    def enter_shell(
        self,
        *,
        prompt: bool = True,
        host: str = "",
        login: bool = False,
        path: str = "",
        variables: Optional[Mapping[str, str]] = None,
        cwd: Optional[str] = None,
        stays: bool = False,
    ) -> int:
        """Become the user's shell, activated; the lease lives until the shell and all it started
        end.

        Returns only for shells that need a parent to hold the lease, then with their exit code.

        prompt: whether the shell's prompt shows the environment. host: a name that the prompt
        shows, too. login: whether to start it as a login shell, as ssh does. path: a directory of
        programs that the shell finds after all others. variables: on top of those of the hold. cwd:
        the directory that it starts in. stays: be the parent of every shell.

        Raises:
            StateError: the shell's start-up files cannot be written.
        """
        from genvx.local import startfiles
        from genvx.shell.answer import answer

        environment = {**self.variables(), **(variables or {})}
        shell = startfiles.prepared(
            self._host.state,
            environment,
            answer=answer(self._path(), self.grant.mark(host) if prompt else "", self.grant),
            login=login,
            path=path,
        )
        environment.update(shell.variables)
        self._tell_of_windows()
        if shell.keeps_lease and not stays:
            if cwd is not None:
                os.chdir(cwd)
            with saying("hand the lease to the shell"):
                # Only now, just before exec: an inheritable descriptor would leak into any process
                # that another part of the program starts.
                os.set_inheritable(self.descriptor, True)
            self.keep_time()
            # We become the shell: its exit code, signals and terminal are its own, with no process
            # between.
            execute.execute(shell.argv, environment, shell.program)
        try:
            self.keep_time(spare=os.getpid(), supervised=True)
            return supervise.run(
                shell.argv,
                environment,
                lease=self.descriptor,
                cwd=cwd,
                # The shell may have closed the lease. If we are killed, the devices are free then,
                # and a shell that went on would use devices that somebody else holds.
                die_with_us=True,
                program=shell.program,
                end_ns=self.lease.expires_ns,
            )
        finally:
            self._held.leave()

    def _tell_of_windows(self) -> None:
        from genvx.local.running import windows

        with contextlib.suppress(OSError):  # only a note: the shell is opened anyway
            note = windows.announce(self._host.state, self._host.environ, self.grant, self._path())
            if note is not None:
                os.write(2, f"genvx: {note}\n".encode())

    def _path(self) -> str:
        """The path of the lease's file, at which a shell sees changes; empty if unknown."""
        try:
            return os.readlink(f"/proc/self/fd/{self.descriptor}")
        except OSError:
            return ""

    def keep_time(
        self,
        *,
        spare: Optional[int] = None,
        supervised: bool = False,
        whole: bool = False,
        grace: float = escalation.GRACE,
    ) -> None:
        """Have all processes that hold the lease ended at its end, also this one.

        There is one keeper, however often this is called.

        spare: a process that is left alive, and loses the lease. supervised: whether that process
        ends its command itself. whole: and all else that holds the lease. grace: seconds between
        SIGTERM and SIGKILL.

        Raises:
            StateError: the keeper cannot be started.
        """
        if self.lease.expires_ns is None or self._time_is_kept:
            return
        with saying("keep the time of the environment"):
            timekeeper.keep(
                self.descriptor,
                self.lease.expires_ns,
                spare=spare,
                supervised=supervised,
                whole=whole,
                grace=grace,
            )
        self._time_is_kept = True

    def leave_to_time(self) -> None:
        """Let go of a reservation, which then lives until its time is over or it is released."""
        assert self.lease.part is Part.RESERVED, "a held lease would end at once"
        self._held.abandon()

    def release(self) -> None:
        """Give the devices back. Idempotent."""
        self._held.withdraw()


def find_command(argv: Sequence[str], environ: Mapping[str, str]) -> None:
    """Check that a command exists, before anything is acquired for it.

    Raises:
        CommandNotFound: it does not exist. CommandNotExecutable: it is not executable.
    """
    path = environ.get("PATH", os.defpath)
    if shutil.which(argv[0], path=path) is not None:
        return
    shown = printable(argv[0], 100)
    if "/" in argv[0] and os.path.exists(argv[0]):
        raise CommandNotExecutable(f"not an executable file: {shown}")
    # Debian and others have no command of the one name, which most people type.
    other = "; python3 is there" if shown == "python" and shutil.which("python3", path=path) else ""
    raise CommandNotFound(f"command not found: {shown}{other}")
