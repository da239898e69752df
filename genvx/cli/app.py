"""The verbs, put together: `genvx VERB` for this machine, `genvx remote [WHERE] VERB` for many."""

from __future__ import annotations

import os
from typing import Annotated, Any

import typer

from genvx.cli import candidates, options
from genvx.cli.acquire import acquire
from genvx.cli.activate import activate
from genvx.cli.admin import admin
from genvx.cli.attach import attach, detach
from genvx.cli.completion import completion
from genvx.cli.config import config
from genvx.cli.deactivate import deactivate
from genvx.cli.devices import devices
from genvx.cli.doctor import doctor
from genvx.cli.envs import envs
from genvx.cli.explain import explain
from genvx.cli.jupyter import jupyter
from genvx.cli.lock import lock
from genvx.cli.main import say
from genvx.cli.policy import policy
from genvx.cli.queue import queue
from genvx.cli.release import release
from genvx.cli.request import requesting, spell_out_wait
from genvx.cli.run import run
from genvx.cli.sandbox import sandbox
from genvx.cli.shell_init import shell_init
from genvx.cli.smi import smi
from genvx.cli.ssh_config import ssh_config, ssh_proxy
from genvx.cli.status import status
from genvx.cli.version import version
from genvx.cli.where import Where
from genvx.core.text import printable
from genvx.core.units import parse_seconds
from genvx.errors import InvalidInput
from genvx.fleet.fleet import FANOUT, TIMEOUT

# Options of genvx end where the command begins: `genvx run -g 1 python x.py -g 2` gives -g 2 to
# x.py.
_WITH_COMMAND = {"allow_interspersed_args": False}
_HELP = options.HELP


# typer has click beside it or inside it, by its version; this is the class in either.
_UsageError: Any = next(c for c in typer.BadParameter.__mro__ if c.__name__ == "UsageError")


app = options.group("One pool of GPUs out of machines that are shared over SSH.")
remote = options.group("The same verbs on many hosts. Example: genvx remote -H a,b devices")

Hostfile = Annotated[
    str | None, typer.Option("-f", "--hostfile", metavar="FILE", help="The hosts, one a line.")
]
Hosts = Annotated[
    str | None,
    typer.Option("-H", "--host", metavar="A,B", help="The hosts.", autocompletion=candidates.hosts),
]
Login = Annotated[str | None, typer.Option("-l", "--login", metavar="USER", help="Log in as.")]
Timeout = Annotated[
    str, typer.Option("-t", "--timeout", metavar="SECONDS", help="For each host, over everything.")
]
Fanout = Annotated[
    int, typer.Option("--fanout", metavar="N", min=1, max=4096, help="Hosts asked at once.")
]
ExitOnError = Annotated[
    bool, typer.Option("-e", "--exit-on-error", help="Stop at the first host that fails.")
]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Say nothing of hosts that fail.")]
AcceptNew = Annotated[
    bool, typer.Option("--accept-new-host-keys", help="Trust and remember keys never seen.")
]


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
) -> None:
    """The same verbs on many hosts.

    Which hosts: --hostfile or -H; else $GENVX_HOSTFILE, ./hostfile, ~/.config/genvx/hostfile,
    /etc/genvx/hostfile.

    Example: genvx remote --hostfile h.txt activate --gpus 2
    """
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
    )


for _verb, _settings in (
    (devices, _HELP),
    (envs, _HELP),
    (requesting(activate, loads=True), _WITH_COMMAND | _HELP),
    (requesting(run), _WITH_COMMAND | _HELP),
    (requesting(explain, "name", "wait", "time", "id"), _HELP),
    (requesting(acquire, "wait", "time", "id"), _HELP),
    (status, _HELP),
    (release, _HELP),
    (queue, _HELP),
    (policy, _HELP),
    (doctor, _HELP),
):
    app.command(context_settings=_settings)(_verb)
    remote.command(context_settings=_settings)(_verb)
for _group in (app, remote):
    _group.command("ssh-config", context_settings=_HELP)(ssh_config)
remote.command("ssh-proxy", hidden=True)(ssh_proxy)
app.command(context_settings=_HELP)(attach)
app.command(context_settings=_HELP)(detach)
app.command(context_settings=_WITH_COMMAND | _HELP)(lock)
app.command(context_settings=_HELP)(smi)
app.command(context_settings=_HELP)(deactivate)
app.command("shell-init", context_settings=_HELP)(shell_init)
app.command(context_settings=_HELP)(version)
app.command(context_settings=_HELP)(completion)
app.add_typer(config, name="config")
app.add_typer(jupyter, name="jupyter")
app.add_typer(remote, name="remote")
app.add_typer(sandbox, name="sandbox")
app.add_typer(admin, name="admin")


def invoke(arguments: list[str]) -> int:
    """Run the command line; return its exit code. Errors of usage are said in one line here."""
    command: Any = typer.main.get_command(app)
    if "_GENVX_COMPLETE" in os.environ:
        # A shell asks for completions. typer knows the shells only after this.
        from typer.completion import completion_init  # type: ignore[attr-defined]

        completion_init()
    try:
        result = command.main(
            args=spell_out_wait(command, arguments) or ["--help"],
            prog_name="genvx",
            standalone_mode=False,
        )
    except _UsageError as error:
        context = error.ctx
        path = context.command_path if context is not None else "genvx"
        reason = printable(error.format_message(), 500).rstrip(".?")
        say(f"{path}: {reason}; see {path} --help")
        return InvalidInput.exit_code
    except typer.Abort:
        raise KeyboardInterrupt from None
    return result if isinstance(result, int) else 0


def root() -> Any:
    """The click command of everything, for the generated reference."""
    return typer.main.get_command(app)
