"""genvx activate: open a shell that holds GPUs, here or on the best host that has them."""

from __future__ import annotations

from typing import Annotated

from genvx.cli.ask import options, runoptions
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
    image: runoptions.ImageOfShell = None,
    runtime: runoptions.RuntimeOfRun = None,
    mount: runoptions.MountOfRun = None,
    in_shell: InShell = None,
) -> None:
    """Open a shell that holds GPUs until it ends.

    Without --gpus it holds none, and sees none. Leave it with exit, Ctrl-D or genvx deactivate.
    With genvx shell-init, your current shell holds them instead of a new one. With --image it is
    a shell in a container, which has only these GPUs, and the directory in which it starts.

    Example: genvx activate --gpus 2 --name train
    """
    from genvx.fleet.containers import container_of

    where = here(context)
    inside = container_of(image, runtime, mount, remote=where.remote)
    prompted = not no_prompt
    if in_shell is not None:
        from genvx.cli.holds.inplace import activate_shell

        boxed = inside is not None
        code = activate_shell(where, request, in_shell, command, prompted=prompted, boxed=boxed)
    elif where.remote:
        from genvx.cli.holds.remote import open_remotely

        code = open_remotely(where, request, command, prompted=prompted, container=inside)
    else:
        from genvx.cli.holds.local import locally

        code = locally(where, request, command, prompted=prompted, container=inside)
    raise Exit(code)
