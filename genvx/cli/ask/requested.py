"""What the options of a request mean together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genvx.cli.ask import options, wants
from genvx.cli.ask.request import Request
from genvx.cli.parse.declaring import FOR_EVER
from genvx.errors import InvalidInput

if TYPE_CHECKING:
    from genvx.core.device import VisibleAs
    from genvx.fleet.hosts.selection import Selection


def requested(
    gpus: options.Gpus = None,
    gpu_memory: options.GpuMemory = None,
    name: options.Name = "",
    min_memory: wants.MinMemory = None,
    device: wants.Device = None,
    spread: wants.Spread = False,
    pack: wants.Pack = False,
    over_subscribe: wants.Over = False,
    only_host: wants.OnlyHost = None,
    exclude_host: wants.ExcludeHost = None,
    tag: wants.Tag = None,
    wait: wants.Wait = None,
    time: wants.Time = None,
    visible_as: wants.Visible = None,
    id: wants.Id = None,
    no_load: wants.NoLoad = False,
) -> Request:
    """Return the request that these options make.

    Raises:
        InvalidInput: one of them makes no sense, or they contradict each other.
    """
    from genvx.core.requests.requirements import Requirements, Strategy

    if name:
        from genvx.project.keys import require_typed_name

        require_typed_name(name)
    if id is not None:
        if any(
            (
                *(gpus, gpu_memory, name, min_memory, device, spread, pack, over_subscribe),
                *(wait, time, visible_as),
            )
        ):
            raise InvalidInput(
                "--id joins an environment as it is; leave out the options that request GPUs"
            )
        if not id:
            raise InvalidInput("--id needs the id or name of an environment")
    if spread and pack:
        raise InvalidInput("give either --spread or --pack, not both")
    strategy = Strategy.SPREAD if spread else Strategy.PACK if pack else Strategy.FIT
    requirements = Requirements.parse(
        gpus,
        gpu_memory,
        min_memory=min_memory,
        devices=device or (),
        strategy=strategy,
        over=over_subscribe,
        visible_as=None if visible_as is None else visible_as_of(visible_as),
    )
    return Request(
        requirements,
        name,
        selection_of(only_host, exclude_host, tag),
        patience_of(wait),
        _seconds("--time", time),
        id,
        counted=gpus is not None or bool(requirements.gpus),
    )


def selection_of(
    only_host: list[str] | None, exclude_host: list[str] | None, tag: list[str] | None
) -> Selection:
    """Return the hosts that these options select."""
    from genvx.fleet.hosts.selection import Selection

    return Selection(_several(only_host), _several(exclude_host), _several(tag))


def patience_of(wait: str | None) -> float | None:
    """Parse the value of --wait: the most seconds to wait in line; None does not wait."""
    return float("inf") if wait == FOR_EVER else _seconds("--wait", wait)


def _seconds(option: str, text: str | None) -> float | None:
    from genvx.core.quantities.durations import parse_duration
    from genvx.core.quantities.naming import naming

    with naming(option):
        return None if text is None else parse_duration(text)


def visible_as_of(text: str) -> VisibleAs:
    """Parse the value of --visible-as.

    Raises:
        InvalidInput: the value is neither uuid nor index.
    """
    from genvx.core.device import VisibleAs

    try:
        return VisibleAs.parse(text)
    except InvalidInput as error:
        raise InvalidInput(f"--visible-as {error}") from None


def _several(texts: list[str] | None) -> tuple[str, ...]:
    return tuple(part.strip() for text in texts or () for part in text.split(",") if part.strip())
