"""genvx activate: a shell that holds GPUs, here or on the best host that has them."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from genvx.cli import inplace
from genvx.cli.ask import options, own
from genvx.cli.ask.request import Request
from genvx.cli.ask.where import Where, here
from genvx.cli.show.waiting_line import WaitingLine
from genvx.cli.streams import stream
from genvx.core.ask import Join
from genvx.core.wire.operations import Job
from genvx.errors import InvalidInput
from genvx.fleet.host import Host
from genvx.fleet.remotehold import RemoteHold
from genvx.shown.console import say

if TYPE_CHECKING:
    from genvx.core.ask import Wanted
    from genvx.core.snapshot import Snapshot
    from genvx.fleet.fleet import Fleet, Outcomes
    from genvx.fleet.host import Hold
    from genvx.fleet.remotehold import Started
    from genvx.local.host import LocalHost
    from genvx.local.running.hold import LocalHold

InShell = Annotated[str | None, typer.Option("--in-shell", hidden=True)]
NoPrompt = Annotated[bool, typer.Option("--no-prompt", help="Leave the shell's prompt alone.")]


def activate(
    context: typer.Context,
    request: Request,
    command: options.OptionalCommand = None,
    no_prompt: NoPrompt = False,
    in_shell: InShell = None,
) -> None:
    """Open a shell that holds GPUs until it ends.

    Without --gpus it holds none, and sees none. Leave it with exit, Ctrl-D or genvx deactivate.
    After genvx shell-init it is the shell you are in that holds them.

    Example: genvx activate --gpus 2 --name train
    """
    where = here(context)
    if in_shell is not None:
        asking = inplace.Asking.parse(in_shell)
        if where.remote or command:
            raise typer.Exit(inplace.ELSEWHERE)
        if asking.active:
            raise InvalidInput(
                "this shell is activated already; genvx attach takes more, genvx deactivate leaves"
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
    """Take the devices here, and become the shell, or the command's parent."""
    from genvx.local import shells
    from genvx.local.host import LocalHost
    from genvx.local.running.hold import find_command

    where.fleet(request.selection)
    if command:
        find_command(command, os.environ)
    host = LocalHost()
    shown = " ".join(command) if command else os.path.basename(shells.user_shell(os.environ))
    hold = _held(host, request, shown)
    if command:
        return hold.supervise(command)
    return hold.enter_shell(prompt=prompted)


def _held(host: LocalHost, request: Request, shown: str) -> LocalHold:
    """What was asked for, held; we wait for it if that was asked, too. shown: what it is for."""
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
    from genvx.fleet.sshhost import SSHHost
    from genvx.fleet.terminal import open_shell

    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return run_remotely(where, request, command)

    shown = " ".join(command or ["shell"])

    def take(host: Host) -> tuple[Host, Hold]:
        assert isinstance(host, SSHHost)
        host.require_terminal()
        return host, host.acquire(request.ask(shown))

    with where.fleet(request.selection) as fleet:
        seen = where.look(fleet)
        host: Host
        hold: Hold
        if request.environment is not None:
            host, env = own.there(fleet, seen, request.environment)
            assert isinstance(host, SSHHost)
            hold = host.join(env.id, command=shown)
        elif request.wait is not None:
            host, hold = _in_line(fleet, request, seen, shown)
        else:
            host, hold = fleet.first_with_room(request.requirements, take, seen)
        with hold:
            assert isinstance(host, SSHHost)
            assert isinstance(hold, RemoteHold)
            where.landed(host.name, hold.grant)
            prompt = host.name if prompted else None
            return open_shell(host, hold, prompt=prompt, command=command)


def _in_line(
    fleet: Fleet, request: Request, seen: Outcomes[Snapshot], command: str
) -> tuple[Host, Hold]:
    """Wait in the lines of the hosts for devices; they are held through a connection then."""
    from genvx.fleet.line import wait_for_room

    assert request.wait is not None
    with WaitingLine(request.requirements) as waiting:
        return wait_for_room(fleet, request.ask(command), tell=waiting.stands_on, seen=seen)


def run_remotely(where: Where, request: Request, command: list[str] | None) -> int:
    """Run a command (None: the user's shell, reading stdin) on the best host, its streams
    as ours.
    """
    from genvx.fleet.sshhost import SSHHost

    if command is not None and not command:
        raise InvalidInput("no command to run")

    shown = " ".join(command or ["shell"])
    job = Job(None if command is None else tuple(command))

    def start(host: Host, wanted: Wanted) -> tuple[SSHHost, Started]:
        assert isinstance(host, SSHHost)
        return host, host.start(wanted, job)

    with where.fleet(request.selection) as fleet:
        seen = where.look(fleet)
        if request.environment is not None:
            home, env = own.there(fleet, seen, request.environment)
            host, started = start(home, Join(env.id, shown))
        elif request.wait is not None:
            found, hold = _in_line(fleet, request, seen, shown)
            with hold:
                # The command joins what we hold, and then holds it alone.
                host, started = start(found, Join(hold.environment_id, shown))
        else:
            host, started = fleet.first_with_room(
                request.requirements, lambda host: start(host, request.ask(shown)), seen
            )
        where.landed(host.name, started.grant())
        return stream(host, started)
