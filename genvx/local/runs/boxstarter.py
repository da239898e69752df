"""Commands in containers for a program that holds devices: it goes on beside them."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING, Optional

from genvx.core.command import require_variables, words_of
from genvx.core.leases.starter import Starter
from genvx.local.running.started import LocalRunning
from genvx.local.runs.boxed import BoxClient, Boxed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from genvx.core.command import Command
    from genvx.core.running import Stream
    from genvx.core.runs.container import Container
    from genvx.local.machine import Machine
    from genvx.local.running.hold import LocalHold
    from genvx.local.runs.box import Box

# Becomes the client, which finds the lease under the number that it passes on. subprocess gives a
# child each descriptor under the number that we have it.
_BECOME = "import os, sys; os.dup2(*map(int, sys.argv[1:3])); os.execv(sys.argv[3], sys.argv[3:])"


class BoxStarter(Starter):
    """Starts each command in a container of its own, under a hold.

    Raises: as `Boxed`.
    """

    def __init__(self, host: Machine, hold: LocalHold, container: Container) -> None:
        self._host, self._hold, self._container = host, hold, container
        self._usual = Boxed(host, container)

    def start(
        self,
        command: Command,
        *,
        stdin: Stream = None,
        stdout: Stream = None,
        stderr: Stream = None,
        cwd: Optional[str] = None,
        env: Optional[Mapping[str, str]] = None,
    ) -> BoxRunning:
        """Start a command as `Starter.start` says. Nothing of it is left once its end is known."""
        boxed = self._usual if cwd is None else Boxed(self._host, self._container, cwd)
        argv, variables = words_of(command), require_variables(env or {})
        box, client, its = boxed.prepared(self._hold, argv, variables, reads=stdin is not None)
        self._hold.keep_time(spare=os.getpid())
        return BoxRunning(
            self._hold,
            box,
            client,
            args=argv,
            variables={**self._hold.variables(), **its},
            cwd=boxed.place,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
        )

    def release(self) -> None:
        """Do nothing: what holds the devices is another."""


class BoxRunning(LocalRunning):
    """A command in a container; what is our child is the client of its runtime."""

    def __init__(
        self,
        hold: LocalHold,
        box: Box,
        client: Sequence[str],
        *,
        args: Sequence[str],
        variables: Mapping[str, str],
        cwd: str,
        stdin: Stream,
        stdout: Stream,
        stderr: Stream,
    ) -> None:
        self._client = BoxClient(box, hold) if box.has_client else None
        number = self._client.lease_as if self._client is not None else None
        lease = hold.descriptor
        if number not in (None, lease):
            client = [sys.executable, "-S", "-E", "-c", _BECOME, str(lease), str(number), *client]
        super().__init__(
            client,
            lease=lease,
            variables=variables,
            cwd=cwd,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
        )
        # Errors name what was asked for.
        self.args = list(args)
        self._process.args = tuple(args)

    def poll(self) -> Optional[int]:
        """Return the exit code if the command has ended, else None."""
        return self._known(super().poll())

    def wait(self, timeout: Optional[float] = None) -> int:
        """Wait until the command ends; return its exit code."""
        code = super().wait(timeout)
        self._known(code)
        return code

    def signal(self, number: int) -> None:
        """Send the command a signal; does nothing if it has ended."""
        if self._client is None or self.poll() is not None:
            super().signal(number)
        else:
            self._client.deliver(self.pid, signal.Signals(number))

    def kill(self) -> None:
        """Kill the command and wait until it is dead."""
        super().kill()
        self._known(super().poll())

    def _known(self, code: Optional[int]) -> Optional[int]:
        """End what the client has left behind, once that has ended."""
        client = self._client
        if code is not None and client is not None:
            self._client = None
            client.ended(code)
        return code
