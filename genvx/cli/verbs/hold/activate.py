"""genvx activate: open a shell that holds GPUs, here or on the best host that has them."""

from __future__ import annotations

from typing import Annotated

import typer

from genvx.cli.ask import options
from genvx.cli.ask.request import Request
from genvx.cli.ask.requesting import requesting
from genvx.cli.ask.where import Where, here
from genvx.cli.holds import inplace, local, remote
from genvx.errors import InvalidInput
from genvx.shell.answer import ELSEWHERE

InShell = Annotated[str | None, typer.Option("--in-shell", hidden=True)]
NoPrompt = Annotated[bool, typer.Option("--no-prompt", help="Leave the shell's prompt unchanged.")]


@requesting(loads=True)
def activate(
    context: typer.Context,
    request: Request,
    command: options.OptionalCommand = None,
    no_prompt: NoPrompt = False,
    in_shell: InShell = None,
) -> None:
    """Open a shell that holds GPUs until it ends.

    Without --gpus it holds none, and sees none. Leave it with exit, Ctrl-D or genvx deactivate.
    With genvx shell-init, your current shell holds them instead of a new one.

    Example: genvx activate --gpus 2 --name train
    """
    where = here(context)
    if in_shell is not None:
        asking = inplace.Asking.parse(in_shell)
        if where.remote or command:
            raise typer.Exit(ELSEWHERE)
        if asking.active:
            raise InvalidInput(
                "this shell is already activated; genvx attach adds GPUs, genvx deactivate leaves"
            )
        _in_shell(where, request, asking, prompted=not no_prompt)
        return
    if where.remote:
        raise typer.Exit(remote.open_remotely(where, request, command, prompted=not no_prompt))
    raise typer.Exit(local.locally(where, request, command, prompted=not no_prompt))


def _in_shell(where: Where, request: Request, asking: inplace.Asking, *, prompted: bool) -> None:
    from genvx.local.host import LocalHost

    where.fleet(request.selection)
    host = LocalHost()
    if asking.descriptor is None and asking.shell in inplace.HOLDS_ITSELF:
        inplace.place(host)
        return
    hold = local.held(host, request, asking.shell)
    joined = request.environment is not None
    inplace.enter(host, hold, asking, prompted=prompted, joined=joined)
