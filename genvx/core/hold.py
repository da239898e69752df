"""What every hold on devices can do, wherever these are."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Optional

from genvx.core.block import Block

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from genvx.core.command import Command, Running, Stream
    from genvx.core.device import Device
    from genvx.core.grant import Grant
    from genvx.errors import HostLost


class BaseHold(Block):
    """Devices that are held until `release`, the end of the block, or the death of this process."""

    grant: Grant

    @property
    def devices(self) -> tuple[Device, ...]:
        """The devices that are held."""
        return self.grant.devices

    @property
    def environment_id(self) -> str:
        """The id of the environment that holds them."""
        return self.grant.environment

    def on_loss(self, call: Callable[[HostLost], object]) -> None:
        """Have `call` called, in another thread, if the host of the devices is lost."""

    def start(
        self,
        command: Command,
        *,
        stdin: Stream = None,
        stdout: Stream = None,
        stderr: Stream = None,
        cwd: Optional[str] = None,
        env: Optional[Mapping[str, str]] = None,
    ) -> Running:
        """Start a command under this hold; a string goes through `sh -c`.

        What it leaves in the background keeps the devices until it ends.

        stdin, stdout, stderr: as for subprocess.Popen, but that stdin is empty by default. cwd: the
        directory that it starts in. env: variables on top of those of the hold.

        Raises:
            InvalidInput: there is no such command or directory, or a variable cannot be given.
            HostError: the host could not be asked.
        """
        raise NotImplementedError

    def run(
        self,
        command: Command,
        *,
        check: bool = False,
        capture_output: bool = False,
        input: Optional[bytes] = None,
        timeout: Optional[float] = None,
        cwd: Optional[str] = None,
        env: Optional[Mapping[str, str]] = None,
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a command under this hold until it ends; see `start`, and `subprocess.run`.

        capture_output: its output is in the result; otherwise it goes where ours goes. input: what
        its stdin has. timeout: seconds after which it is killed.

        Raises:
            subprocess.CalledProcessError: `check` is true and the command failed.
            subprocess.TimeoutExpired: it was killed after `timeout` seconds.
            InvalidInput, HostError: as for `start`.
        """
        pipe = subprocess.PIPE if capture_output else None
        stdin = None if input is None else subprocess.PIPE
        running = self.start(command, stdin=stdin, stdout=pipe, stderr=pipe, cwd=cwd, env=env)
        try:
            output = running.communicate(input, timeout)
            code = running.wait()
        except BaseException:
            running.kill()
            raise
        finally:
            running.close()
        if check and code:
            raise subprocess.CalledProcessError(code, command, *output)
        return subprocess.CompletedProcess(command, code, *output)

    def release(self) -> None:
        """Give the devices back. A second call does nothing."""
        raise NotImplementedError

    def _leave(self) -> None:
        self.release()
