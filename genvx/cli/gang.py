"""A command on several hosts at once, as one job: prefixed output, one exit code."""

from __future__ import annotations

import queue
import sys
import threading
from typing import TYPE_CHECKING

from genvx.cli.show.waiting_line import WaitingLine
from genvx.cli.streams import forwarding, signal_there
from genvx.core.ask import Join
from genvx.core.gang import variables
from genvx.core.text import printable
from genvx.core.wire.operations import Job
from genvx.errors import GenvxError
from genvx.fleet import gang
from genvx.shown.console import say
from genvx.ssh.channels import close_channel

if TYPE_CHECKING:
    from genvx.cli.ask.request import Request
    from genvx.cli.ask.where import Where
    from genvx.fleet.remotehold import Started
    from genvx.fleet.sshhost import SSHHost

# After one has failed the others get SIGTERM, and this much time to end by themselves.
_GRACE = 10.0


def run_gang(
    where: Where,
    request: Request,
    nodes: int,
    command: list[str],
    address: str | None,
    *,
    mixed: bool,
) -> int:
    """Run a command on several hosts; return the exit code of the first that fails, or 0.

    address: where the others reach node 0; as we do by default. mixed: the model of GPU may differ.
    """
    with where.fleet(request.selection) as fleet, WaitingLine(request.requirements) as waiting:
        found = gang.take(
            fleet,
            request.ask(" ".join(command)),
            nodes,
            tell=waiting.stands_on,
            seen=where.look(fleet),
            mixed=mixed,
        )
        with found:
            waiting.clear()
            for host, hold in found.members:
                where.landed(host.name, hold.grant)
            return _Job(found).run(command, request.requirements.gpus, address)


class _Job:
    def __init__(self, found: gang.Gang) -> None:
        from genvx.fleet.sshhost import SSHHost

        self._gang = found
        self._hosts: list[SSHHost] = []
        self._environments: dict[SSHHost, str] = {}
        for host, hold in found.members:
            assert isinstance(host, SSHHost)
            self._hosts.append(host)
            self._environments[host] = hold.grant.environment
        self._ends: queue.SimpleQueue[tuple[SSHHost, int | GenvxError | BrokenPipeError]] = (
            queue.SimpleQueue()
        )
        self._lock = threading.Lock()
        self._width = max(len(host.name) for host in self._hosts)

    def run(self, command: list[str], gpus: int, address: str | None) -> int:
        names = [host.name for host in self._hosts]
        master = self._hosts[0]
        address, port = address or master.address, master.free_port()

        def start(host: SSHHost) -> Started:
            given = variables(names.index(host.name), names, gpus, address, port)
            wanted = Join(self._environments[host], " ".join(command))
            return host.start(wanted, Job(tuple(command), given))

        started = gang.at_once(
            start, self._hosts, on_interrupt=lambda each: close_channel(each.channel)
        )
        try:
            self._gang.release()  # the commands have joined, and hold the devices alone now
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
                break  # their hosts end what is left when our connections close
            if isinstance(end, BrokenPipeError):
                raise end  # nobody reads us any more: all hosts end what they run
            code = end if isinstance(end, int) else end.exit_code
            if code and first is None:
                first, patience = code, _GRACE
                why = f"exit code {end}" if isinstance(end, int) else printable(str(end), 300)
                say(f"genvx: {host.name}: {why}; the others are ended")
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
        out, err = (_Lines(self, host, stream) for stream in (sys.stdout, sys.stderr))
        try:
            end = command.communicate(stdin=None, write_out=out.write, write_err=err.write)
        except (GenvxError, BrokenPipeError) as error:
            end = error
        except OSError as error:
            end = GenvxError(f"the output cannot be written: {error.strerror}")
        out.end()
        err.end()
        self._ends.put((host, end))

    def print(self, host: SSHHost, line: bytes, stream: object) -> None:
        """One line of one host, whole: those of others do not get in between."""
        buffer = getattr(stream, "buffer", None)
        with self._lock:
            if buffer is not None:
                buffer.write(f"{host.name:<{self._width}} | ".encode() + line + b"\n")
                buffer.flush()


class _Lines:
    """Cuts a stream into lines; what a job prints is its own, control characters included."""

    def __init__(self, job: _Job, host: SSHHost, stream: object) -> None:
        self._job, self._host, self._stream = job, host, stream
        self._rest = b""

    def write(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._job.print(self._host, line, self._stream)

    def end(self) -> None:
        if self._rest:
            self._job.print(self._host, self._rest, self._stream)
