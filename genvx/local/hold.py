"""LocalHold: devices that this process holds, and what it may run under them."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from typing import TYPE_CHECKING, Optional, Union

from genvx.core.text import printable
from genvx.errors import InvalidInput
from genvx.local import shells, supervise, timekeeper
from genvx.local.state import saying

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from genvx.core.grant import Grant
    from genvx.core.lease import Lease
    from genvx.local.host import LocalHost
    from genvx.local.store import HeldLease

Command = Union[str, Sequence[str]]


class LocalHold:
    """Devices of this machine that this process holds, until `release`, the end of the
    block, or its death.
    """

    def __init__(self, host: LocalHost, grant: Grant, held: HeldLease) -> None:
        self._host = host
        self._held = held
        self.grant = grant

    @property
    def descriptor(self) -> int:
        """The lease's descriptor: whoever inherits it holds the lease too."""
        return self._held.descriptor

    @property
    def lease(self) -> Lease:
        """As it is published."""
        return self._held.lease

    def environment(self) -> dict[str, str]:
        """The environment variables for what runs under this hold: the host's, and those of
        the grant.
        """
        return {**self._host.environ, **self.grant.variables}

    def run(self, command: Command, *, check: bool = False) -> subprocess.CompletedProcess[bytes]:
        """Run a command under this hold, with our standard streams; a string goes through `sh -c`.

        The command inherits the lease: what it leaves in the background keeps the devices until it
        ends.

        Raises:
            subprocess.CalledProcessError: `check` is true and the command failed.
            InvalidInput: there is no such command.
        """
        argv = ["sh", "-c", command] if isinstance(command, str) else list(command)
        try:
            return subprocess.run(
                argv, check=check, env=self.environment(), pass_fds=(self.descriptor,)
            )
        except (FileNotFoundError, PermissionError) as error:
            raise InvalidInput(f"cannot run {printable(argv[0], 100)}: {error.strerror}") from None

    def supervise(
        self,
        argv: Sequence[str],
        *,
        stdout: int = 1,
        watch_client: bool = False,
        variables: Optional[Mapping[str, str]] = None,
    ) -> int:
        """Run a command as its parent and pass signals on; return its exit code.

        For main threads only.

        Afterwards the lease is let go, unless a job in the background has inherited it.
        """
        try:
            return supervise.run(
                argv,
                {**self.environment(), **(variables or {})},
                lease=self.descriptor,
                stdout=stdout,
                watch_client=watch_client,
                own_group=watch_client,
                seconds=self.grant.seconds,
            )
        finally:
            self._held.leave()

    def enter_shell(self, *, prompt: bool = True, host: str = "", login: bool = False) -> int:
        """Become the user's shell, activated; the lease lives until it and all it started end.

        Returns only for shells that need a parent which holds the lease: then with their exit code.

        prompt: whether the shell's prompt says so. host: the name that it then says, too. login: as
        the first shell of a session, which it is after ssh.

        Raises:
            StateError: the shell's start-up files cannot be written.
        """
        environment = self.environment()
        shell = shells.prepare(
            self._host.state,
            environment,
            devices=environment["CUDA_VISIBLE_DEVICES"],
            prompt=self.grant.mark(host) if prompt else "",
            login=login,
            lease=self._path(),
        )
        environment.update(shell.variables)
        if shell.keeps_lease:
            with saying("hand the lease to the shell"):
                os.set_inheritable(self.descriptor, True)
                self.keep_time()
            supervise.execute(shell.argv, environment, shell.program)
        try:
            return supervise.run(
                shell.argv,
                environment,
                lease=self.descriptor,
                die_with_us=True,
                program=shell.program,
                seconds=self.grant.seconds,
            )
        finally:
            self._held.leave()

    def _path(self) -> str:
        """The path of the lease's file, at which a shell sees that something has changed; empty if
        it cannot be told, and then it does not look.
        """
        try:
            return os.readlink(f"/proc/self/fd/{self.descriptor}")
        except OSError:
            return ""

    def keep_time(self) -> None:
        """Have whatever holds the lease ended when its time is over, this process too."""
        if self.grant.seconds is not None:
            timekeeper.keep(self.descriptor, self.grant.seconds)

    def leave_to_time(self) -> None:
        """Let go of devices that are held for a time: they stay held until it is over, or until
        somebody releases the environment.
        """
        assert self.grant.seconds is not None, "what has no end would be free at once"
        self._held.abandon()

    def release(self) -> None:
        """Give the devices back. Twice is once."""
        self._held.withdraw()

    def __enter__(self) -> LocalHold:
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self.release()


def find_command(argv: Sequence[str], environ: Mapping[str, str]) -> None:
    """Raise InvalidInput if a command cannot be found, before anything is acquired for it."""
    if shutil.which(argv[0], path=environ.get("PATH", os.defpath)) is None:
        raise InvalidInput(f"command not found: {printable(argv[0], 100)}")
