"""A command that was started under a hold on this machine."""

from __future__ import annotations

import os
import subprocess
from typing import IO, TYPE_CHECKING, Optional

from genvx.core.command import SIGNALLED
from genvx.core.text import printable
from genvx.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from genvx.core.running import Stream


class LocalRunning:
    """A child process that holds the lease, as we do.

    `stdin`, `stdout` and `stderr` are binary files if subprocess.PIPE was asked for.
    """

    def __init__(
        self,
        args: Sequence[str],
        *,
        lease: int,
        variables: Mapping[str, str],
        cwd: Optional[str] = None,
        stdin: Stream = None,
        stdout: Stream = None,
        stderr: Stream = None,
    ) -> None:
        """Start the command. lease: the descriptor that it inherits.

        Raises:
            InvalidInput: there is no such command or directory.
        """
        self.args = list(args)
        # Popen reports a missing directory like a missing command: the message would name the wrong
        # one.
        if cwd is not None and not os.path.isdir(cwd):
            raise InvalidInput(f"no such directory: {printable(cwd, 200)}")
        try:
            self._process = subprocess.Popen(
                self.args,
                # Empty by default, as on a remote host: a command must not read the program's own
                # stdin.
                stdin=subprocess.DEVNULL if stdin is None else stdin,
                stdout=stdout,
                stderr=stderr,
                cwd=cwd,
                env=dict(variables),
                pass_fds=(lease,),
            )
        except OSError as error:
            raise InvalidInput(f"cannot run {printable(args[0], 100)}: {error.strerror}") from None

    @property
    def pid(self) -> int:
        """The pid of our child."""
        return self._process.pid

    @property
    def stdin(self) -> Optional[IO[bytes]]:
        """The pipe to the command's stdin, if there is one."""
        return self._process.stdin

    @property
    def stdout(self) -> Optional[IO[bytes]]:
        """The pipe from the command's stdout, if there is one."""
        return self._process.stdout

    @property
    def stderr(self) -> Optional[IO[bytes]]:
        """The pipe from the command's stderr, if there is one."""
        return self._process.stderr

    @property
    def returncode(self) -> Optional[int]:
        """The exit code, or 128 + the signal that ended the command; None until known."""
        return _code(self._process.returncode)

    @property
    def exited(self) -> bool:
        """Whether the command has exited, though what it has started may go on with its streams."""
        return self.poll() is not None

    def poll(self) -> Optional[int]:
        """Return the exit code if the command has ended, else None."""
        return _code(self._process.poll())

    def wait(self, timeout: Optional[float] = None) -> int:
        """Wait until the command ends; return its exit code.

        Raises:
            subprocess.TimeoutExpired: it has not ended within `timeout` seconds.
        """
        code = _code(self._process.wait(timeout))
        assert code is not None
        return code

    def communicate(
        self, input: Optional[bytes] = None, timeout: Optional[float] = None
    ) -> tuple[Optional[bytes], Optional[bytes]]:
        """Write `input` to stdin, read the pipes to their end, and wait; return the output.

        Raises:
            subprocess.TimeoutExpired: it has not ended within `timeout` seconds.
        """
        return self._process.communicate(input, timeout)

    def signal(self, number: int) -> None:
        """Send the command a signal; does nothing if it has ended."""
        self._process.send_signal(number)

    def kill(self) -> None:
        """Kill the command and wait until it is dead; processes that it has started live on."""
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """Close the pipes that are open."""
        for file in (self.stdin, self.stdout, self.stderr):
            if file is not None:
                file.close()


def _code(returncode: Optional[int]) -> Optional[int]:
    return SIGNALLED - returncode if returncode is not None and returncode < 0 else returncode
