"""genvx attach and genvx detach: more or fewer GPUs in a living environment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from genvx.cli import candidates, options, own, plain
from genvx.cli.console import say
from genvx.cli.request import Device, MinMemory, Over
from genvx.cli.tables import Output
from genvx.core.request import Requirements

if TYPE_CHECKING:
    from genvx.core.grant import Grant
    from genvx.local.host import LocalHost

Id = Annotated[
    str | None,
    typer.Option(
        "--id",
        metavar="ENV",
        help="Of this environment, by id or name; by default that of this shell.",
        autocompletion=candidates.environments,
    ),
]


def attach(
    gpus: options.Gpus = None,
    gpu_memory: options.GpuMemory = None,
    min_memory: MinMemory = None,
    device: Device = None,
    over_subscribe: Over = False,
    id: Id = None,
    json: options.Json = False,
) -> None:
    """Give an environment more GPUs.

    Its shells see them at their next prompt; what runs already does not.

    Example: genvx attach --gpus 1
    """
    from genvx.local.host import LocalHost

    wanted = Requirements.parse(
        gpus, gpu_memory, min_memory=min_memory, devices=device or (), over=over_subscribe
    )
    host = LocalHost()
    grant = host.attach(own.here(host, id), wanted)
    for note in grant.notes:
        say(f"genvx: {note}")
    _show(host, grant, json, "attach")


def detach(device: Device = None, id: Id = None, json: options.Json = False) -> None:
    """Take GPUs away from an environment: all, or those named.

    What runs on them is left alone, and keeps them from others until it ends.

    Example: genvx detach --device 3
    """
    from genvx.local.host import LocalHost

    named = [name.strip() for each in device or () for name in each.split(",")]
    host = LocalHost()
    _show(host, host.detach(own.here(host, id), named), json, "detach")


def _show(host: LocalHost, grant: Grant, json: bool, verb: str) -> None:
    if json:
        Output(json=True).document(verb, [{"host": host.name, "ok": True, **plain.grant(grant)}])
        return
    devices = ", ".join(device.label for device in grant.devices) or "none"
    print(f"Environment {grant.label} has GPUs {devices}")
