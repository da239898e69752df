"""All verbs together: `genvx VERB` for this machine, `genvx remote [WHERE] VERB` for many hosts."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Annotated, Any

import typer

from genvx.cli import foreign
from genvx.cli.ask import candidates, options
from genvx.cli.ask.request import requesting, spell_out_wait
from genvx.cli.ask.where import Where
from genvx.cli.commands import Group, RemoteGroup, RemoteVerb, Verb
from genvx.cli.verbs.hold.acquire import acquire
from genvx.cli.verbs.hold.activate import activate
from genvx.cli.verbs.hold.attach import attach, detach
from genvx.cli.verbs.hold.deactivate import deactivate
from genvx.cli.verbs.hold.lock import lock
from genvx.cli.verbs.hold.release import release
from genvx.cli.verbs.hold.run import run
from genvx.cli.verbs.look.devices import devices
from genvx.cli.verbs.look.doctor import doctor
from genvx.cli.verbs.look.envs import envs
from genvx.cli.verbs.look.explain import explain
from genvx.cli.verbs.look.policy import policy
from genvx.cli.verbs.look.queue import queue
from genvx.cli.verbs.look.smi import smi
from genvx.cli.verbs.look.status import status
from genvx.cli.verbs.runs.group import runs
from genvx.cli.verbs.runs.watch import logs, watch
from genvx.cli.verbs.setup.admin import admin
from genvx.cli.verbs.setup.completion import completion
from genvx.cli.verbs.setup.config import config
from genvx.cli.verbs.setup.jupyter import jupyter
from genvx.cli.verbs.setup.sandbox import sandbox
from genvx.cli.verbs.setup.shell_init import shell_init
from genvx.cli.verbs.setup.ssh_config import ssh_config, ssh_proxy
from genvx.cli.verbs.setup.version import version
from genvx.core.text import printable
from genvx.core.units import parse_seconds
from genvx.errors import InvalidInput
from genvx.fleet.defaults import FANOUT
from genvx.shown.console import say
from genvx.ssh.defaults import HOST_LOST_AFTER, TIMEOUT

# Options of genvx end where the command begins: in `genvx run -g 1 python x.py -g 2`, the second -g
# belongs to x.py.
_WITH_COMMAND = {"allow_interspersed_args": False}
_HELP = options.HELP


# Depending on its version, typer depends on click or contains a copy; this is the class of either.
_UsageError: Any = next(c for c in typer.BadParameter.__mro__ if c.__name__ == "UsageError")


app = options.group("One pool of GPUs out of machines that are shared over SSH.")
remote = options.group(
    """The same verbs on many hosts.

    The hosts are those of -H or --hostfile, before or after the verb; otherwise those of the first
    of $GENVX_HOSTFILE, ./hostfile, ~/.config/genvx/hostfile and /etc/genvx/hostfile that exists.

    Example: genvx remote -H a,b devices
    """
)


def _print_version(wanted: bool) -> None:
    if wanted:
        version()
        raise typer.Exit


Version = Annotated[
    bool,
    typer.Option(
        "-V", "--version", is_eager=True, callback=_print_version, help="Show the version."
    ),
]
Verbs = Annotated[
    list[str] | None, typer.Argument(metavar="[VERB...]", help="Verb (default: all verbs).")
]
Hostfile = Annotated[
    str | None,
    typer.Option("-f", "--hostfile", metavar="FILE", help="File of hosts, one per line."),
]
Hosts = Annotated[
    str | None,
    typer.Option(
        "-H", "--host", metavar="A,B", help="Names of hosts.", autocompletion=candidates.hosts
    ),
]
Login = Annotated[
    str | None,
    typer.Option("-l", "--login", metavar="USER", help="User to log in as (default: as ssh does)."),
]
Timeout = Annotated[
    str, typer.Option("-t", "--timeout", metavar="SECONDS", help="Total seconds allowed per host.")
]
Fanout = Annotated[
    int,
    typer.Option("--fanout", metavar="N", min=1, max=4096, help="Number of hosts asked at once."),
]
ExitOnError = Annotated[
    bool, typer.Option("-e", "--exit-on-error", help="Stop at the first host that fails.")
]
Quiet = Annotated[
    bool,
    typer.Option("-q", "--quiet", help="Silence on failed hosts and on the host taken."),
]
AcceptNew = Annotated[
    bool, typer.Option("--accept-new-host-keys", help="Trust and remember unknown host keys.")
]

LostAfter = Annotated[
    str,
    typer.Option(
        "--host-lost-after",
        metavar="TIME",
        help="Silence after which a host in use counts as lost.",
    ),
]


@app.callback()
def _genvx(show_version: Version = False) -> None:
    """One pool of GPUs out of machines that are shared over SSH."""


@remote.callback()
def where(
    context: typer.Context,
    hostfile: Hostfile = None,
    hosts: Hosts = None,
    login: Login = None,
    timeout: Timeout = f"{TIMEOUT:g}",
    fanout: Fanout = FANOUT,
    exit_on_error: ExitOnError = False,
    quiet: Quiet = False,
    accept_new_host_keys: AcceptNew = False,
    host_lost_after: LostAfter = f"{HOST_LOST_AFTER:g}",
) -> None:
    """Keep the options that say which hosts a verb is for."""
    context.obj = Where(
        remote=True,
        hostfile=hostfile,
        hosts=hosts,
        login=login,
        timeout=parse_seconds(timeout),
        fanout=fanout,
        exit_on_error=exit_on_error,
        quiet=quiet,
        accept_new_host_keys=accept_new_host_keys,
        host_lost_after=_lost_after(host_lost_after),
    )


def _lost_after(text: str) -> float:
    seconds = parse_seconds(text)
    # Hosts are asked several times within it: with less, any slow network would lose them.
    if seconds < 1:
        raise InvalidInput("--host-lost-after must be at least 1 second")
    return seconds


# The headings under which the help lists verbs.
LOOK, RUNS, HOLD, SET_UP = "Look", "Runs", "Hold GPUs", "Set up"


def _register(
    section: str,
    verb: Callable[..., None],
    settings: dict[str, Any] = _HELP,
    *,
    name: str | None = None,
    remotely: bool = True,
) -> None:
    """Add a verb for this machine and, with `remotely`, the same verb for many hosts."""
    shared: dict[str, Any] = {"context_settings": settings, "rich_help_panel": section}
    app.command(name, cls=Verb, **shared)(verb)
    if remotely:
        remote.command(name, cls=RemoteVerb, **shared)(verb)


app.add_typer(remote, name="remote", rich_help_panel="Many hosts")
_register(LOOK, devices)
_register(LOOK, envs)
_register(LOOK, status)
_register(LOOK, queue)
_register(LOOK, requesting(explain, "name", "wait", "time", "id"))
_register(LOOK, policy)
_register(LOOK, doctor)
_register(LOOK, smi)
_register(RUNS, watch)
_register(RUNS, logs)
app.add_typer(runs(Group, Verb), name="runs", rich_help_panel=RUNS)
remote.add_typer(runs(RemoteGroup, RemoteVerb), name="runs", rich_help_panel=RUNS)
_register(HOLD, requesting(activate, loads=True), _WITH_COMMAND | _HELP)
_register(HOLD, requesting(run), _WITH_COMMAND | _HELP)
_register(HOLD, requesting(acquire, "wait", "time", "id"))
_register(HOLD, release)
_register(HOLD, attach)
_register(HOLD, detach)
_register(HOLD, lock, _WITH_COMMAND | _HELP)
_register(HOLD, deactivate, remotely=False)
app.add_typer(config, name="config", rich_help_panel=SET_UP)
_register(SET_UP, shell_init, name="shell-init", remotely=False)
_register(SET_UP, ssh_config, name="ssh-config")
app.add_typer(jupyter, name="jupyter", rich_help_panel=SET_UP)
_register(SET_UP, completion, remotely=False)
app.add_typer(sandbox, name="sandbox", rich_help_panel=SET_UP)
app.add_typer(admin, name="admin", rich_help_panel=SET_UP)
_register(SET_UP, version, remotely=False)
# Hidden: ssh calls it as a ProxyCommand; people do not type it.
remote.command("ssh-proxy", hidden=True, cls=RemoteVerb)(ssh_proxy)


@app.command("help", cls=Verb, context_settings=_HELP, rich_help_panel=SET_UP)
def help_(verb: Verbs = None) -> None:
    """Show the verbs of genvx, or the help of one.

    Example: genvx help remote run
    """
    raise typer.Exit(invoke([*(verb or []), "--help"]))


def invoke(arguments: list[str]) -> int:
    """Run the command line; return its exit code. A usage error is printed as one line."""
    command: Any = typer.main.get_command(app)
    if "_GENVX_COMPLETE" in os.environ:
        # A shell asks for completions; typer registers the shells only in completion_init.
        from typer.completion import completion_init  # type: ignore[attr-defined]

        completion_init()
        command.main(args=arguments, prog_name="genvx", standalone_mode=False)
    # `genvx` alone shows the help and exits with 0: click would call that a usage error.
    words = spell_out_wait(command, arguments) or ["--help"]
    try:
        # Not click's `main`: it handles closed streams itself, and differently from shown/door.py.
        with command.make_context("genvx", words) as context:
            result = command.invoke(context)
    except typer.Exit as end:
        return end.exit_code
    except _UsageError as error:
        context = error.ctx
        path = context.command_path if context is not None else "genvx"
        reason = printable(error.format_message(), 500).rstrip(".?")
        say(f"{path}: {foreign.meaning(error, command, words) or f'{reason}; see {path} --help'}")
        return InvalidInput.exit_code
    # Verbs end with typer.Exit or return nothing; click hands on what a callback returns.
    return result if isinstance(result, int) else 0


def root() -> Any:
    """Return the click command of genvx, for the generated reference."""
    return typer.main.get_command(app)
