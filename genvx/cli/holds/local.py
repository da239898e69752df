"""Devices of this machine, held by a shell or a command."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genvx.cli.show.waiting_line import WaitingLine
from genvx.shown.console import say

if TYPE_CHECKING:
    from collections.abc import Callable

    from genvx.cli.ask.request import Request
    from genvx.cli.ask.where import Where
    from genvx.local.host import LocalHold, LocalHost


def locally(
    where: Where,
    request: Request,
    command: list[str] | None,
    *,
    prompted: bool,
    checked: Callable[[], object] = lambda: None,
) -> int:
    """Take devices on this machine, and become the shell, or the parent of the command.

    checked: called before devices are taken, when nothing that was typed is wrong as far as is
    known.
    """
    from genvx.local.host import LocalHost

    # Refuses --only-host, --exclude-host and --tag, which have no meaning on one machine.
    where.fleet(request.selection)
    host = LocalHost()
    if command:
        host.find_command(command)
    checked()
    shown = " ".join(command) if command else host.shell_name
    hold = held(host, request, shown)
    if command:
        return hold.supervise(command)
    return hold.enter_shell(prompt=prompted)


def held(host: LocalHost, request: Request, shown: str) -> LocalHold:
    """Take what the request asks for, waiting if it says so. shown: the command, for people."""
    if request.environment is not None:
        hold = host.join(host.identify(request.environment), command=shown)
    elif request.wait is None:
        hold = host.acquire(request.ask(shown))
    else:
        with WaitingLine(request.requirements) as waiting:
            hold = host.wait(request.ask(shown), waiting.stands)
    for note in hold.grant.notes:
        say(f"genvx: {note}")
    return hold
