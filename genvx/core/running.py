"""Running: the interface of every command that was started under a hold, wherever it runs."""

from __future__ import annotations

from typing import IO, Optional, Protocol, Union

# As in subprocess: None, subprocess.PIPE, subprocess.DEVNULL, a descriptor or an open file.
Stream = Union[None, int, IO[bytes]]


class Running(Protocol):
    """A command that was started under a hold.

    `stdin`, `stdout` and `stderr` are binary files where subprocess.PIPE was asked for. An exit
    code is 128 + n where signal n ended the command.
    """

    args: list[str]

    @property
    def stdin(self) -> Optional[IO[bytes]]:
        """The pipe to the command's stdin; None unless subprocess.PIPE was asked for."""

    @property
    def stdout(self) -> Optional[IO[bytes]]:
        """The pipe from the command's stdout; None unless subprocess.PIPE was asked for."""

    @property
    def stderr(self) -> Optional[IO[bytes]]:
        """The pipe from the command's stderr; None unless subprocess.PIPE was asked for."""

    @property
    def returncode(self) -> Optional[int]:
        """The command's exit code; None until `poll` or `wait` has seen its end."""

    @property
    def exited(self) -> bool:
        """Whether the command has exited, though what it has started may go on with its streams."""

    def poll(self) -> Optional[int]:
        """Return the exit code if the command has ended, else None."""

    def wait(self, timeout: Optional[float] = None) -> int:
        """Wait until the command ends; return its exit code.

        Raises:
            subprocess.TimeoutExpired: it has not ended within `timeout` seconds.
            HostError: the connection to its host is gone.
        """

    def communicate(
        self, input: Optional[bytes] = None, timeout: Optional[float] = None
    ) -> tuple[Optional[bytes], Optional[bytes]]:
        """Write `input` to stdin, read the pipes to their end, and wait; return the output.

        Raises: as `wait`.
        """

    def signal(self, number: int) -> None:
        """Send the command a signal; does nothing if it has ended."""

    def kill(self) -> None:
        """Kill the command (SIGKILL)."""

    def close(self) -> None:
        """Close the pipes that are open."""
