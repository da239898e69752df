"""genvx activate: open a shell that holds GPUs, here or on the best host that has them."""

from __future__ import annotations

from typing import Annotated

from genvx.cli.ask import options
from genvx.cli.ask.request import Request
from genvx.cli.ask.requesting import requesting
from genvx.cli.ask.where import here
from genvx.cli.parse.declaring import Context, Exit, Option

InShell = Annotated[str | None, Option("--in-shell", hidden=True)]
NoPrompt = Annotated[bool, Option("--no-prompt", help="Leave the shell's prompt unchanged.")]


@requesting(loads=True)
def activate(
    context: Context,
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
        from genvx.cli.holds.inplace import activate_shell

        code = activate_shell(where, request, in_shell, command, prompted=not no_prompt)
    elif where.remote:
        from genvx.cli.holds.remote import open_remotely

        code = open_remotely(where, request, command, prompted=not no_prompt)
    else:
        from genvx.cli.holds.local import locally

        code = locally(where, request, command, prompted=not no_prompt)
    raise Exit(code)
