"""The variables of a run: what its command has on top of those of its environment."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from genvx.core.runs.part import Part
    from genvx.core.runs.run import RunSpec


def variables_of(spec: RunSpec, directory: str) -> dict[str, str]:
    """The variables of a run's command, and of what is started inside of the run later.

    directory: the run's own directory.
    """
    return {
        **(_of_gang(spec, spec.part) if spec.part is not None else {}),
        "GENVX_RUN_ID": spec.id,
        "GENVX_RUN_DIR": directory,
        **spec.variables,
    }


def _of_gang(spec: RunSpec, part: Part) -> dict[str, str]:
    from genvx.core.jobvariables import variables

    gpus = spec.requirements.gpus
    return variables(part.rank, part.nodes, gpus, part.address, part.port)
