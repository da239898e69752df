"""GangJob runs a command on several hosts as one job; the first failure ends all of it."""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING

from genvx.core.escalation import GRACE
from genvx.core.jobvariables import variables
from genvx.core.launchers import for_people
from genvx.core.requests.ask import Join
from genvx.core.text import printable
from genvx.core.wire.job import Job
from genvx.errors import GenvxError
from genvx.fleet.gang import at_once
from genvx.fleet.terminals.forwarding import forwarding, signal_there
from genvx.ssh.ending import close_channel

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from genvx.core.runs.container import Container
    from genvx.fleet.gang import Gang
    from genvx.fleet.remotehold import Started
    from genvx.fleet.sshhost import SSHHost

    # Called with a line of a host's output, without its newline.
    Print = Callable[[SSHHost, bytes], None]


class GangJob:
    """GangJob runs a command on each host of a gang, on its devices.

    print_out, print_err: called with each line of output, one at a time. say: called with messages
    about the job itself.
    """

    def __init__(
        self,
        gang: Gang[SSHHost],
        *,
        print_out: Print,
        print_err: Print,
        say: Callable[[str], object],
    ) -> None:
        self._gang = gang
        self._hosts = [host for host, _ in gang.members]
        self._prints = (print_out, print_err)
        self._say = say
        self._ends: queue.SimpleQueue[tuple[SSHHost, int | GenvxError | BrokenPipeError]] = (
            queue.SimpleQueue()
        )
        self._lock = threading.Lock()

    def run(
        self,
        command: list[str],
        gpus: int,
        address: str | None,
        more: Mapping[str, str],
        container: Container | None = None,
    ) -> int:
        """Run the command on every host to its end; return the exit code of the first that fails,
        or 0. Call it in the main thread.

        gpus: the number on each host. address: where the other hosts reach the first one; by
        default the address by which we reach it. more: variables of the command on every host.
        container: in which it starts there.

        Raises:
            BrokenPipeError: nobody reads the output any more.
        """
        names = [host.name for host in self._hosts]
        master = self._hosts[0]
        address, port = address or master.address, master.free_port()
        environments = {host: hold.environment_id for host, hold in self._gang.members}

        def start(host: SSHHost) -> Started:
            given = {**more, **variables(names.index(host.name), names, gpus, address, port)}
            wanted = Join(environments[host], " ".join(for_people(tuple(command))))
            return host.start(wanted, Job(tuple(command), given, container=container))

        started = at_once(start, self._hosts, on_interrupt=lambda each: close_channel(each.channel))
        try:
            # The commands have joined the environments and hold the devices themselves. If we held
            # on, devices would stay taken on hosts whose command has ended.
            self._gang.release()
            with forwarding({host: each.grant() for host, each in started.items()}):
                return self._stream(started)
        finally:
            for each in started.values():
                close_channel(each.channel)

    def _stream(self, started: dict[SSHHost, Started]) -> int:
        for host, command in started.items():
            threading.Thread(target=self._follow, args=(host, command), daemon=True).start()
        first: int | None = None
        patience: float | None = None
        for _ in started:
            try:
                host, end = self._ends.get(timeout=patience)
            except queue.Empty:
                break  # what still runs is ended by its host when our connection closes
            if isinstance(end, BrokenPipeError):
                raise end  # nobody reads our output (`| head`): all hosts end what they run
            code = end if isinstance(end, int) else end.exit_code
            if code and first is None:
                # The others get SIGTERM, and this much time to end by themselves.
                first, patience = code, GRACE
                why = f"exit code {end}" if isinstance(end, int) else printable(str(end), 300)
                self._say(f"{host.name}: {why}; the others are ended")
                for other in started:
                    if other is not host:
                        threading.Thread(
                            target=signal_there,
                            args=(other, started[other].grant(), "TERM"),
                            daemon=True,
                        ).start()
        return first or 0

    def _follow(self, host: SSHHost, command: Started) -> None:
        end: int | GenvxError | BrokenPipeError
        out, err = (_Lines(host, each, self._lock) for each in self._prints)
        try:
            try:
                end = command.communicate(stdin=None, write_out=out.write, write_err=err.write)
            finally:
                out.end()
                err.end()
        except (GenvxError, BrokenPipeError) as error:
            end = error
        except OSError as error:
            end = GenvxError(f"the output cannot be written: {error.strerror}")
        self._ends.put((host, end))


class _Lines:
    """Prints whole lines of a stream, so that lines of different hosts do not mix."""

    def __init__(self, host: SSHHost, print_line: Print, lock: threading.Lock) -> None:
        self._host = host
        self._print_line = print_line
        self._lock = lock
        self._rest = b""

    def write(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        with self._lock:
            for line in lines:
                self._print_line(self._host, line)

    def end(self) -> None:
        if self._rest:
            with self._lock:
                self._print_line(self._host, self._rest)
