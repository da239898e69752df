"""Devices of this machine, held by a shell or a command."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genvx.cli.show.waiting_line import WaitingLine
from genvx.shown.console import say

if TYPE_CHECKING:
    from collections.abc import Callable

    from genvx.cli.ask.request import Request
    from genvx.cli.ask.where import Where
    from genvx.core.runs.container import Container
    from genvx.local.host import LocalHold, LocalHost


def locally(
    where: Where,
    request: Request,
    command: list[str] | None,
    *,
    prompted: bool,
    container: Container | None = None,
    checked: Callable[[], object] = lambda: None,
) -> int:
    """Take devices on this machine, and become the shell, or the parent of the command.

    container: in which it starts; the shell is one of the image then. checked: called before
    devices are taken, when nothing that was typed is wrong as far as is known.
    """
    from genvx.local.host import LocalHost

    # Refuses --only-host, --exclude-host and --tag, which have no meaning on one machine.
    where.fleet(request.selection)
    host = LocalHost()
    if container is not None:
        from genvx.local.runs.boxed import Boxed

        boxed = Boxed(host, container)
        checked()
        # With a dash, as in a run: no shell was activated in place.
        hold = held(host, request, " ".join(command) if command else f"-{container.image}")
        return boxed.supervise(hold, command or None)
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
