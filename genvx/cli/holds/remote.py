"""Devices of the best host, held by a shell or a command there."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from genvx.cli.show.waiting_line import WaitingLine
from genvx.core.prelude import with_prelude
from genvx.core.wire.job import Job
from genvx.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable

    from genvx.cli.ask.request import Request
    from genvx.cli.ask.where import Where
    from genvx.core.runs.container import Container


def open_remotely(
    where: Where,
    request: Request,
    command: list[str] | None,
    *,
    prompted: bool,
    container: Container | None = None,
) -> int:
    """Open a shell on the best host, or run a command in its terminal; return the exit code.

    container: in which it starts; the shell is one of the image then.
    """
    from genvx.fleet import running
    from genvx.fleet.terminals.terminal import open_shell

    # Without a terminal there is nothing to type into: like ssh, run the shell on our streams.
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return run_remotely(where, request, command, container)
    wanted = request.wanted(" ".join(command or ["shell"]))
    with where.remote_fleet(request.selection) as fleet:
        seen = where.look(fleet, request.room)
        with WaitingLine(request.requirements) as waiting:
            host, hold = running.hold(
                fleet,
                wanted,
                seen,
                tell=waiting.stands_on,
                ready=lambda host: host.require_terminal(),
            )
        with hold:
            where.landed(host.name, hold.grant)
            # The shell joins and then holds the devices by itself. At the end of the block, `hold`
            # releases them only if that has not happened.
            prompt = host.name if prompted else None
            prelude = None if container else host.spec.prelude
            if command:
                command = [*(with_prelude(prelude, tuple(command)) or ())]
            elif prelude is not None:
                where.note(f"{prelude.key} is for commands; this shell is as it is")
            return open_shell(host, hold, prompt=prompt, command=command, container=container)


def run_remotely(
    where: Where,
    request: Request,
    command: list[str] | None,
    container: Container | None = None,
    *,
    checked: Callable[[], object] = lambda: None,
) -> int:
    """Run a command on the best host, with our streams; return its exit code.

    command: None runs the user's shell, which reads commands from stdin. container: in which it
    starts. checked: called before a host is asked, when nothing that was typed is wrong as far as
    is known here.
    """
    from genvx.fleet import running

    if command is not None and not command:
        raise InvalidInput("no command to run")
    wanted = request.wanted(" ".join(command or ["shell"]))
    job = Job(None if command is None else tuple(command), container=container)
    # A place in a line is held by a connection of ours.
    fleet_of = where.asked_fleet if request.wait is None else where.remote_fleet
    with fleet_of(request.selection) as fleet:
        checked()
        seen = where.look(fleet, request.room)
        with WaitingLine(request.requirements) as waiting:
            host, started = running.start(fleet, wanted, job, seen, tell=waiting.stands_on)
        where.landed(host.name, started.grant())
        return running.stream(host, started)
