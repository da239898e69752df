"""Activating the shell that somebody is in, with the functions of `genvx shell-init`.

bash and zsh hold the lease themselves: they ask where, open that, and ask again with the
descriptor. For the others a guardian holds it.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from genvx.cli.holds import local
from genvx.cli.holds.asking import Asking
from genvx.cli.holds.prompt import print_lines, tell
from genvx.errors import InvalidInput
from genvx.shell.answer import ELSEWHERE
from genvx.shown.console import say

if TYPE_CHECKING:
    from genvx.cli.ask.request import Request
    from genvx.cli.ask.where import Where
    from genvx.local.host import LocalHost
    from genvx.local.running.hold import LocalHold

_HOLDS_ITSELF = ("bash", "zsh")


def activate_shell(
    where: Where,
    request: Request,
    text: str,
    command: list[str] | None,
    *,
    prompted: bool,
    boxed: bool = False,
) -> int:
    """Activate the shell that asks, which says in `text` how; return the exit code.

    boxed: whether a shell in a container is wanted, which is another one.

    Raises:
        InvalidInput: it is activated already, or is no shell with our functions.
    """
    from genvx.local.host import LocalHost

    asking = Asking.parse(text)
    if where.remote or command or boxed:
        return ELSEWHERE
    if asking.active:
        raise InvalidInput(
            "this shell is already activated; genvx attach adds GPUs, genvx deactivate leaves"
        )
    where.fleet(request.selection)
    host = LocalHost()
    if asking.descriptor is None and asking.shell in _HOLDS_ITSELF:
        # It is to open a file for its lease there.
        print_lines([host.store.prepare()])
        return 0
    hold = local.held(host, request, asking.shell)
    _enter(host, hold, asking, prompted=prompted, joined=request.environment is not None)
    return 0


def _enter(
    host: LocalHost, hold: LocalHold, asking: Asking, *, prompted: bool, joined: bool
) -> None:
    """Hand what we hold to the shell, and tell it so. joined: whether others hold it, too."""
    from genvx.local.granting import joining
    from genvx.local.running import guardian, windows

    shell = joining.join(
        host,
        hold.grant.environment_id,
        command=asking.shell,
        pid=asking.pid,
        through=asking.descriptor,
    )
    hold.release()
    if asking.descriptor is None:
        guardian.guard(shell.descriptor, asking.pid)
    shell.keep_time(spare=asking.pid)
    mark = shell.grant.mark() if prompted else ""
    path = os.readlink(f"/proc/self/fd/{shell.descriptor}")
    note = None
    with contextlib.suppress(OSError):  # no reason not to activate the shell
        note = windows.announce(host.state, host.environ, shell.grant, path)
    if note is not None and not joined:
        say(f"genvx: {note}")
    tell(asking.shell, path, mark, shell.grant)
