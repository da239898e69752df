"""genvx attach: add GPUs to an environment."""

from __future__ import annotations

from genvx.cli.ask import options
from genvx.cli.ask.own import meant
from genvx.cli.ask.wants import Device, MinMemory, Over
from genvx.cli.ask.where import here
from genvx.cli.parse.declaring import Context
from genvx.shown.console import say


def attach(
    context: Context,
    gpus: options.Gpus = None,
    gpu_memory: options.GpuMemory = None,
    min_memory: MinMemory = None,
    device: Device = None,
    over_subscribe: Over = False,
    id: options.OwnEnvironment = None,
    json: options.Json = False,
) -> None:
    """Add GPUs to an environment.

    Its shells see them at their next prompt; running commands do not.

    Example: genvx attach --gpus 1 --id my-env
    """
    from genvx.cli.views.grant import show
    from genvx.core.requests.requirements import Requirements

    wanted = Requirements.parse(
        gpus, gpu_memory, min_memory=min_memory, devices=device or (), over=over_subscribe
    )
    where = here(context)
    with meant(where, id) as (host, environment):
        grant = host.attach(environment, wanted)
        for note in grant.notes:
            say(f"genvx: {note}")
        show(where, "attach", host.name, grant, json=json)
