"""genvx activate: open a shell that holds GPUs, here or on the best host that has them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from genvx.cli import inplace
from genvx.cli.ask import options
from genvx.cli.ask.request import Request
from genvx.cli.ask.where import Where, here
from genvx.cli.show.waiting_line import WaitingLine
from genvx.core.wire.job import Job
from genvx.errors import InvalidInput
from genvx.shell.answer import ELSEWHERE
from genvx.shown.console import say

if TYPE_CHECKING:
    from genvx.local.host import LocalHold, LocalHost

InShell = Annotated[str | None, typer.Option("--in-shell", hidden=True)]
NoPrompt = Annotated[bool, typer.Option("--no-prompt", help="Leave the shell's prompt unchanged.")]


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
        raise typer.Exit(_remotely(where, request, command, prompted=not no_prompt))
    raise typer.Exit(locally(where, request, command, prompted=not no_prompt))


def _in_shell(where: Where, request: Request, asking: inplace.Asking, *, prompted: bool) -> None:
    from genvx.local.host import LocalHost

    where.fleet(request.selection)
    host = LocalHost()
    if asking.descriptor is None and asking.shell in inplace.HOLDS_ITSELF:
        inplace.place(host)
        return
    hold = _held(host, request, asking.shell)
    joined = request.environment is not None
    inplace.enter(host, hold, asking, prompted=prompted, joined=joined)


def locally(where: Where, request: Request, command: list[str] | None, *, prompted: bool) -> int:
    """Take devices on this machine, and become the shell, or the parent of the command."""
    from genvx.local.host import LocalHost

    # Refuses --only-host, --exclude-host and --tag, which have no meaning on one machine.
    where.fleet(request.selection)
    host = LocalHost()
    if command:
        host.find_command(command)
    shown = " ".join(command) if command else host.shell_name
    hold = _held(host, request, shown)
    if command:
        return hold.supervise(command)
    return hold.enter_shell(prompt=prompted)


def _held(host: LocalHost, request: Request, shown: str) -> LocalHold:
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


def _remotely(where: Where, request: Request, command: list[str] | None, *, prompted: bool) -> int:
    from genvx.fleet import running
    from genvx.fleet.terminal import open_shell

    # Without a terminal there is nothing to type into: like ssh, run the shell on our streams.
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return run_remotely(where, request, command)
    wanted = request.wanted(" ".join(command or ["shell"]))
    with where.remote_fleet(request.selection) as fleet:
        seen = where.look(fleet)
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
            return open_shell(host, hold, prompt=prompt, command=command)


def run_remotely(where: Where, request: Request, command: list[str] | None) -> int:
    """Run a command on the best host, with our streams; return its exit code.

    command: None runs the user's shell, which reads commands from stdin.
    """
    from genvx.fleet import running

    if command is not None and not command:
        raise InvalidInput("no command to run")
    wanted = request.wanted(" ".join(command or ["shell"]))
    job = Job(None if command is None else tuple(command))
    with where.remote_fleet(request.selection) as fleet:
        seen = where.look(fleet)
        with WaitingLine(request.requirements) as waiting:
            host, started = running.start(fleet, wanted, job, seen, tell=waiting.stands_on)
        where.landed(host.name, started.grant())
        return running.stream(host, started)
