"""genvx attach and genvx detach: add GPUs to an environment, or remove some."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Annotated

import typer

from genvx.cli.ask import candidates, options, own
from genvx.cli.ask.request import Device, MinMemory, Over
from genvx.cli.ask.where import here
from genvx.cli.show import schema
from genvx.cli.show.tables import Output
from genvx.core.requirements import Requirements
from genvx.shown.console import say
from genvx.shown.mine import has

if TYPE_CHECKING:
    from collections.abc import Iterator

    from genvx.core.grant import Grant
    from genvx.fleet.sshhost import SSHHost
    from genvx.local.host import LocalHost

Id = Annotated[
    str | None,
    typer.Option(
        "--id",
        metavar="ENV",
        help="Environment id or name (default: this shell's).",
        autocompletion=candidates.environments,
    ),
]


def attach(
    context: typer.Context,
    gpus: options.Gpus = None,
    gpu_memory: options.GpuMemory = None,
    min_memory: MinMemory = None,
    device: Device = None,
    over_subscribe: Over = False,
    id: Id = None,
    json: options.Json = False,
) -> None:
    """Add GPUs to an environment.

    Its shells see them at their next prompt; running commands do not.

    Example: genvx attach --gpus 1 --id my-env
    """
    wanted = Requirements.parse(
        gpus, gpu_memory, min_memory=min_memory, devices=device or (), over=over_subscribe
    )
    with _found(context, id) as (host, environment):
        grant = host.attach(environment, wanted)
        for note in grant.notes:
            say(f"genvx: {note}")
        _show(context, host, grant, json, "attach")


def detach(
    context: typer.Context, device: Device = None, id: Id = None, json: options.Json = False
) -> None:
    """Remove GPUs from an environment: all, or those named.

    Processes that use them go on, and keep them from others until they end.

    Example: genvx detach --device 3 --id my-env
    """
    named = [name.strip() for each in device or () for name in each.split(",")]
    with _found(context, id) as (host, environment):
        _show(context, host, host.detach(environment, named), json, "detach")


@contextlib.contextmanager
def _found(
    context: typer.Context, environment: str | None
) -> Iterator[tuple[LocalHost | SSHHost, str]]:
    """Yield the host of the environment that is meant, and its id."""
    where = here(context)
    if not where.remote:
        from genvx.local.host import LocalHost

        host = LocalHost()
        yield host, own.here(host, environment)
        return
    with where.remote_fleet() as fleet:
        there, env = own.on_one_host(where, fleet, environment)
        yield there, env.id


def _show(
    context: typer.Context, host: LocalHost | SSHHost, grant: Grant, json: bool, verb: str
) -> None:
    if json:
        Output(json=True).document(verb, [{"host": host.name, "ok": True, **schema.grant(grant)}])
        return
    place = f" on {host.name}" if here(context).remote else ""
    print(f"{has(grant)}{place}")
