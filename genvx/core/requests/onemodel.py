"""Narrows the hosts of a gang to one model of GPU."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genvx.core.gang import Choice, choose
from genvx.core.requests.models import is_model_text
from genvx.core.value import replace

if TYPE_CHECKING:
    from collections.abc import Mapping

    from genvx.core.requests.requirements import Requirements
    from genvx.core.snapshot import Snapshot


def choose_one_model(mixed: Choice, snapshots: Mapping[str, Snapshot], nodes: int) -> Choice:
    """Narrow a choice to one model of GPU: with mixed models the slowest GPU would hold up the
    others.

    Chosen is the model for which a gang of `nodes` nodes can start first. If several models have
    room on enough hosts, the one of the best hosts; otherwise one that enough hosts could ever
    have, and then the one with the most hosts.
    """
    wanted = mixed.requirements
    models = sorted(
        {
            device.name
            for snapshot in snapshots.values()
            for device in snapshot.devices
            if wanted.gpus and wanted.mismatch(device) is None
        }
    )
    if len(models) < 2:
        return mixed
    order = {name: place for place, name in enumerate(mixed.ready)}

    def merit(choice: Choice) -> tuple[bool, bool, int, int, int]:
        now, ever = len(choice.ready), len(choice.ready) + len(choice.later)
        places = sum(order.get(name, len(order)) for name in choice.ready[:nodes])
        return (now >= nodes, ever >= nodes, -places if now >= nodes else 0, now, ever)

    choices = [_of_model(wanted, model, snapshots) for model in models if is_model_text(model)]
    return max(choices, key=merit, default=mixed)


def _of_model(wanted: Requirements, model: str, snapshots: Mapping[str, Snapshot]) -> Choice:
    choice = choose(replace(wanted, models=(model,)), snapshots)
    # A request for "RTX 4090" also fits an "RTX 4090 D". What would be granted on a host that has
    # another fitting model is unknown, so such a host is left out.
    sure = {
        host
        for host, snapshot in snapshots.items()
        if all(
            device.name == model
            for device in snapshot.devices
            if choice.requirements.mismatch(device) is None
        )
    }
    return replace(
        choice,
        ready=tuple(host for host in choice.ready if host in sure),
        later=tuple(host for host in choice.later if host in sure),
    )
