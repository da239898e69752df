"""RemoteRunning is a command that runs under a hold on another machine."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from typing import IO, TYPE_CHECKING

from genvx.errors import GenvxError
from genvx.fleet.remote import writer
from genvx.fleet.terminals.pipes import PipeReader, feed
from genvx.ssh.ending import close_channel

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from genvx.core.leases.grant import Grant
    from genvx.core.running import Stream
    from genvx.core.wire.progress import Progress
    from genvx.fleet.remote import RemoteCommand


class RemoteRunning:
    """RemoteRunning is a command on a host; a thread of ours passes its streams.

    `stdin`, `stdout` and `stderr` are binary files where subprocess.PIPE was given.
    """

    def __init__(
        self,
        send_signal: Callable[[Grant, str], object],
        command: RemoteCommand[Progress],
        args: Sequence[str],
        *,
        stdin: Stream = None,
        stdout: Stream = None,
        stderr: Stream = None,
    ) -> None:
        self.args = list(args)
        self.stdin: IO[bytes] | None = None
        self._send_signal = send_signal
        self._command = command
        self._code: int | None = None
        self._error: Exception | None = None
        # Our pipe ends for the thread that passes the streams. It closes them at the end; otherwise
        # a reader of the pipe would never see the end of the output.
        self._ours: list[int] = []
        source = self._source(stdin)
        self.stdout, write_out = self._sink(stdout, 1)
        if stderr == subprocess.STDOUT:
            self.stderr, write_err = None, write_out
        else:
            self.stderr, write_err = self._sink(stderr, 2)
        # A daemon: a program that ends must not wait for a command that it has left.
        self._thread = threading.Thread(
            target=self._follow, args=(source, write_out, write_err), daemon=True
        )
        self._thread.start()

    def _source(self, stdin: Stream) -> int | None:
        if stdin is None or stdin == subprocess.DEVNULL:
            return None
        if stdin == subprocess.PIPE:
            read, write = os.pipe()
            self.stdin = os.fdopen(write, "wb", buffering=0)
            self._ours.append(read)
            return read
        return stdin if isinstance(stdin, int) else stdin.fileno()

    def _sink(self, wanted: Stream, usual: int) -> tuple[IO[bytes] | None, Callable[[bytes], None]]:
        if wanted == subprocess.DEVNULL:
            return None, lambda data: None
        if wanted == subprocess.PIPE:
            read, write = os.pipe()
            self._ours.append(write)
            return os.fdopen(read, "rb", buffering=0), writer(write)
        if wanted is None:
            return None, writer(usual)
        return None, writer(wanted if isinstance(wanted, int) else wanted.fileno())

    def _follow(
        self,
        source: int | None,
        write_out: Callable[[bytes], None],
        write_err: Callable[[bytes], None],
    ) -> None:
        try:
            self._code = self._command.communicate(source, write_out, write_err)
        except (GenvxError, OSError, EOFError) as error:
            self._error = error
        finally:
            for descriptor in self._ours:
                os.close(descriptor)

    @property
    def returncode(self) -> int | None:
        """The exit code, or 128 + the signal that ended the command; None until it is known."""
        return self._code

    @property
    def exited(self) -> bool:
        """Whether the command has exited, though what it has started may go on with its streams."""
        return not self._thread.is_alive() or self._command.channel.exit_status_ready()

    def poll(self) -> int | None:
        """Return the exit code if the command has ended, else None.

        Raises:
            HostError: the connection to its host is gone.
        """
        return None if self._thread.is_alive() else self.wait()

    def wait(self, timeout: float | None = None) -> int:
        """Wait until the command ends; return its exit code.

        Raises:
            subprocess.TimeoutExpired: it has not ended within `timeout` seconds.
            HostError: the connection to its host is gone.
        """
        self._thread.join(timeout)
        if self._thread.is_alive():
            assert timeout is not None
            raise subprocess.TimeoutExpired(self.args, timeout)
        if self._error is not None:
            raise self._error
        assert self._code is not None
        return self._code

    def communicate(
        self, input: bytes | None = None, timeout: float | None = None
    ) -> tuple[bytes | None, bytes | None]:
        """Write `input` to the command, read its pipes to their end, and wait.

        Return its output and its errors; None for one that is no pipe.

        Raises:
            subprocess.TimeoutExpired: it has not ended within `timeout` seconds.
            HostError: the connection to its host is gone.
        """
        # Written and read at the same time: a command that answers before it has read all of its
        # input would fill a pipe that nobody empties, and neither side go on.
        readers = [PipeReader(file) for file in (self.stdout, self.stderr)]
        if self.stdin is not None:
            threading.Thread(target=feed, args=(self.stdin, input or b""), daemon=True).start()
        self.wait(timeout)
        out, err = (reader.result() for reader in readers)
        return out, err

    def signal(self, number: int) -> None:
        """Send the command a signal; do nothing if it has ended.

        Raises:
            InvalidInput: the signal is not one that is passed on. HostError: the host could not be
            asked.
        """
        if self._thread.is_alive():
            name = signal.Signals(number).name.removeprefix("SIG")
            self._send_signal(self._command.grant(), name)

    def kill(self) -> None:
        """Close the channel; the host then sends SIGHUP, after a while SIGTERM, then SIGKILL."""
        close_channel(self._command.channel)

    def close(self) -> None:
        """Close the pipes to the command."""
        for file in (self.stdin, self.stdout, self.stderr):
            if file is not None:
                file.close()
