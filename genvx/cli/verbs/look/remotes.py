"""genvx remotes: hosts by name, and how they are."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

from genvx.cli.ask import hostoptions, options
from genvx.cli.ask.where import Where, here
from genvx.cli.parse.declaring import Argument, Context, Exit, Group, Option
from genvx.cli.parse.remoteoption import names
from genvx.cli.show.output import Output
from genvx.core.quantities.durations import parse_seconds
from genvx.core.quantities.naming import naming
from genvx.core.value import replace
from genvx.errors import InvalidInput
from genvx.ssh.defaults import TIMEOUT

if TYPE_CHECKING:
    from genvx.fleet.remotes.remote import Remote

remotes = Group("Hosts by name, from remotes.yml.", alone=True)

Name = Annotated[str, Argument(metavar="NAME", help="Name of a remote.", autocompletion=names)]
MaybeName = Annotated[
    str,
    Argument(metavar="[NAME]", help="Name of a remote.", show_default=False, autocompletion=names),
]
Reinit = Annotated[bool, Option("--reinit", help="Run the init of the remote there.")]
Yes = Annotated[bool, Option("-y", "--yes", help="Ask no question.")]
Patience = Annotated[
    str,
    Option("--timeout", metavar="TIME", help="How long it may take until it runs, and lets us in."),
]
Terminate = Annotated[
    bool, Option("--terminate", help="End the machine and delete its disk, not only stop it.")
]
Force = Annotated[bool, Option("--force", help="Also delete what others have put into the bucket.")]
_PATIENCE = "10m"


@remotes.callback()
def listing(
    context: Context,
    json: options.Json = False,
    csv: options.Csv = False,
    style: options.Style = None,
    no_header: options.NoHeader = False,
) -> None:
    """Hosts by name, from remotes.yml.

    It lists them and connects to none. They are in ~/.config/genvx/remotes.yml, and in
    genvx-remotes.yml of a project, here or above.

    Example: genvx remotes
    """
    if context.invoked_subcommand is None:
        from genvx.cli.views.remotes import show

        show(Output(json, csv, not no_header, style=style))


@remotes.command("status")
def remotes_status(
    name: Name,
    timeout: hostoptions.Timeout = f"{TIMEOUT:g}",
    accept_new_host_keys: hostoptions.AcceptNew = False,
    json: options.Json = False,
) -> None:
    """Show whether a remote is available, and its GPUs.

    The exit code is 2 if it is not, and 4 if only some of its hosts are.

    Example: genvx remotes status lab
    """
    from genvx.cli.views.remotes import status

    where = Where(
        remote=True,
        named=name,
        timeout=parse_seconds(timeout),
        accept_new_host_keys=accept_new_host_keys,
    )
    raise Exit(status(where, json=json))


@remotes.command("start")
def remotes_start(
    name: Name,
    reinit: Reinit = False,
    yes: Yes = False,
    patience: Patience = _PATIENCE,
    json: options.Json = False,
) -> None:
    """Start a remote, if its type can be started; or run its init.

    A remote of type ec2 is started, or started again, and its init runs once. The exit code is that
    of init. For a remote of type slurm, Slurm is asked for an allocation, once. For a remote of
    type s3, the bucket is made.

    Example: genvx remotes start lab -y
    """
    where = Where(remote=True, named=name)
    raise Exit(_start(where, reinit, yes=yes, patience=patience, json=json))


@remotes.command("stop")
def remotes_stop(
    name: Name,
    yes: Yes = False,
    terminate: Terminate = False,
    force: Force = False,
    json: options.Json = False,
) -> None:
    """Stop a remote, if its type can be stopped.

    The disk of a remote of type ec2 is kept, and billed; --terminate deletes it. The allocation of
    a remote of type slurm is given back. For a remote of type s3, the bucket is deleted, with the
    runs in it.

    Example: genvx remotes stop lab
    """
    _stop(name, yes=yes, terminate=terminate, force=force, json=json)


def start(
    context: Context,
    name: MaybeName = "",
    reinit: Reinit = False,
    yes: Yes = False,
    patience: Patience = _PATIENCE,
    json: options.Json = False,
) -> None:
    """Start a remote, if its type can be started; or run its init.

    The exit code is that of init. genvx remotes start is the same.

    Example: genvx remote start lab -y
    """
    _require_name("start", name)
    where = alone(context, name)
    raise Exit(_start(where, reinit, yes=yes, patience=patience, json=json))


def stop(
    context: Context,
    name: MaybeName = "",
    yes: Yes = False,
    terminate: Terminate = False,
    force: Force = False,
    json: options.Json = False,
) -> None:
    """Stop a remote, if its type can be stopped.

    genvx remotes stop is the same; genvx remote runs stop ends runs.

    Example: genvx remote stop lab
    """
    _require_name("stop", name)
    _stop(alone(context, name).named or "", yes=yes, terminate=terminate, force=force, json=json)


def _require_name(verb: str, name: str) -> None:
    # Never that of --remote: with Guild, `stop --remote NAME` ends runs, and not the machine.
    if not name:
        raise InvalidInput(
            f"which remote? genvx remote {verb} NAME; genvx --remote NAME runs stop RUN ends a run"
        )


def alone(context: Context, name: str) -> Where:
    """Return where a remote is, which is named as the argument of a verb.

    Raises:
        InvalidInput: hosts are named by options, too.
    """
    where = here(context)
    if any((where.hosts, where.hostfile, where.named)):
        raise InvalidInput("give either the name of a remote or -H, --hostfile and --remote")
    return replace(where, named=name)


def _start(where: Where, reinit: bool, *, yes: bool, patience: str, json: bool) -> int:
    from genvx.cli.views import remotes as views

    remote = _named(where.named or "")
    if remote.is_shelf:
        from genvx.cli.remotes import shelving

        if reinit:
            raise InvalidInput(f"remote {remote.name} keeps runs, and has no init to run")
        return shelving.start(remote, json=json)
    if remote.type in ("ec2", "slurm"):
        with naming("--timeout"):
            seconds = parse_seconds(patience)
        if remote.type == "ec2":
            from genvx.cli.remotes import renting

            return renting.start(remote, reinit=reinit, yes=yes, patience=seconds, json=json)
        from genvx.cli.remotes import allocating

        return allocating.start(remote, reinit=reinit, patience=seconds, json=json)
    if reinit:
        return views.reinit(where, json=json)
    views.refuse(remote, "started")
    raise AssertionError("no such type can be started")


def _named(name: str) -> Remote:
    from genvx.fleet.remotes.reading import remote_named
    from genvx.shown.console import tell

    return remote_named(name, os.environ, tell)


def _stop(name: str, *, yes: bool, terminate: bool, force: bool, json: bool) -> None:
    from genvx.cli.remotes import allocating, renting
    from genvx.cli.views import remotes as views

    remote = _named(name)
    confirm = renting.confirmed(remote.name, yes=yes)
    if remote.is_shelf:
        from genvx.cli.remotes import shelving

        if terminate:
            raise InvalidInput(f"remote {remote.name} has no machine; stop deletes its bucket")
        shelving.stop(remote, confirm=confirm, force=force, json=json)
        return
    if force:
        raise InvalidInput(f"remote {name} has no bucket; --force is for remotes of type s3")
    if remote.type == "slurm":
        if terminate:
            raise InvalidInput(
                f"remote {name} has no machine of its own; stop gives its nodes back"
            )
        allocating.stop(remote, confirm=confirm, json=json)
        return
    if remote.type != "ec2":
        views.refuse(remote, "stopped")
    renting.stop(remote, yes=yes, terminate=terminate, json=json)
