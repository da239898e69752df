"""genvx detach: remove GPUs from an environment."""

from __future__ import annotations

from genvx.cli.ask import options
from genvx.cli.ask.own import meant
from genvx.cli.ask.wants import Device
from genvx.cli.ask.where import here
from genvx.cli.parse.declaring import Context


def detach(
    context: Context,
    device: Device = None,
    id: options.OwnEnvironment = None,
    json: options.Json = False,
) -> None:
    """Remove GPUs from an environment: all, or those named.

    Processes that use them go on, and keep them from others until they end.

    Example: genvx detach --device 3 --id my-env
    """
    from genvx.cli.views.grant import show

    named = [name.strip() for each in device or () for name in each.split(",")]
    where = here(context)
    with meant(where, id) as (host, environment):
        show(where, "detach", host.name, host.detach(environment, named), json=json)
