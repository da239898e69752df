"""What starts commands under a hold on devices, and runs them to their end."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Optional

from genvx.core.block import Block

if TYPE_CHECKING:
    from collections.abc import Mapping

    from genvx.core.command import Command
    from genvx.core.running import Running, Stream


class Starter(Block):
    """Starts commands under a hold on devices: one of its own, or that of a run.

    After `release`, or the end of the block, what it has started holds the devices by itself.
    """

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

        Background processes of the command keep the devices until they end.

        stdin, stdout, stderr: as for subprocess.Popen, except that stdin is empty by default. cwd:
        the directory that the command starts in. env: variables added to those of the hold.

        Raises:
            InvalidInput: there is no such command or directory, or a variable cannot be passed.
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

        capture_output: whether the result has its output; otherwise the output goes where ours
        goes. input: bytes for its stdin. timeout: seconds after which it is killed.

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
            # A timeout or Ctrl-C leaves no command behind that would keep the devices.
            running.kill()
            raise
        finally:
            running.close()
        if check and code:
            raise subprocess.CalledProcessError(code, command, *output)
        return subprocess.CompletedProcess(command, code, *output)

    def release(self) -> None:
        """Let go. Idempotent."""
        raise NotImplementedError

    def _leave(self) -> None:
        self.release()
