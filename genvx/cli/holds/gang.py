"""genvx remote run --nodes: a command on several hosts, with prefixed output and one exit code."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from genvx.cli.show.waiting_line import WaitingLine
from genvx.cli.views.ganglog import printer
from genvx.core.launchers import for_people
from genvx.fleet import gang
from genvx.fleet.gangjob import GangJob
from genvx.shown.console import say

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from genvx.cli.ask.request import Request
    from genvx.cli.ask.where import Where
    from genvx.cli.runs.detach import Several
    from genvx.core.runs.container import Container
    from genvx.fleet.sshhost import SSHHost


def run_gang(
    where: Where,
    request: Request,
    several: Several,
    command: list[str],
    given: Mapping[str, str],
    container: Container | None = None,
    *,
    checked: Callable[[], object] = lambda: None,
) -> int:
    """Run a command on several hosts; return the exit code of the first that fails, or 0.

    given: variables beside those of every such job. container: in which the command starts on each
    host. checked: called before a host is asked, when nothing that was typed is wrong as far as is
    known here.
    """
    with (
        where.remote_fleet(request.selection) as fleet,
        WaitingLine(request.requirements) as waiting,
    ):
        checked()
        found = gang.take(
            fleet,
            request.ask(" ".join(for_people(tuple(command)))),
            several.nodes,
            tell=waiting.stands_on,
            seen=where.look(fleet),
            mixed=several.mixed,
        )
        with found:
            waiting.clear()
            for host, hold in found.members:
                where.landed(host.name, hold.grant)
            width = max(len(host.name) for host, _ in found.members)
            job = GangJob(
                found,
                print_out=_by_name(printer(sys.stdout, width)),
                print_err=_by_name(printer(sys.stderr, width)),
                say=lambda line: say(f"genvx: {line}"),
            )
            gpus = request.requirements.gpus
            return job.run(command, gpus, several.address, given, container)


def _by_name(show: Callable[[str, bytes], None]) -> Callable[[SSHHost, bytes], None]:
    return lambda host, line: show(host.name, line)
