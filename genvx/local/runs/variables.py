"""The variables of a run: what its command has on top of those of its environment. And the words
of its command, with what prepares them.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from genvx.core.prelude import plain, prelude_of, prepared
from genvx.core.runs.service import PORT_VARIABLES, with_port
from genvx.local.runs.record import PYTHON, REPORT, VARIABLES

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Optional

    from genvx.core.runs.part import Part
    from genvx.core.runs.run import RunSpec
    from genvx.core.runs.trial import Trial


def variables_of(
    spec: RunSpec, directory: str, around: Mapping[str, str], port: Optional[int] = None
) -> dict[str, str]:
    """The variables of a run's command, and of what is started inside of the run later.

    directory: the run's own directory. around: the variables among which these come. port: the one
    on which the run serves.
    """
    found = {
        **(_of_gang(spec, spec.part) if spec.part is not None else {}),
        "GENVX_RUN_ID": spec.id,
        "GENVX_RUN_DIR": directory,
        "GENVX_REPORT": os.path.join(directory, REPORT),
        **({} if port is None else dict.fromkeys(PORT_VARIABLES, str(port))),
        **spec.variables,
    }
    if spec.trial is not None:
        found.update(_of_trial(spec.trial, directory, {**around, **found}))
    return found


def _of_trial(trial: Trial, directory: str, others: Mapping[str, str]) -> dict[str, str]:
    ours = os.path.join(directory, PYTHON)
    path = [each for each in others.get("PYTHONPATH", "").split(os.pathsep) if each]
    return {
        "GENVX_SWEEP": trial.sweep,
        "GENVX_TRIAL": str(trial.number),
        "GENVX_PARAMETERS": trial.as_json,
        "PYTHONPATH": os.pathsep.join([ours, *(each for each in path if each != ours)]),
    }


def argv_of(spec: RunSpec, directory: str, port: Optional[int] = None) -> tuple[str, ...]:
    """The words with which the command of a run is started.

    directory: the run's own directory. What prepares the command leaves its variables there. port:
    the one on which the run serves.
    """
    argv, conda = with_port(spec.argv, port), ""
    if spec.container is not None:
        # The Python is that of the image, and nobody outside of it can use its variables.
        return prepared(plain(argv), setup=spec.setup, keep="")
    if spec.python is None and not spec.setup and prelude_of(argv) is None:
        return argv
    if spec.python is not None and spec.python.typed:
        argv = plain(argv)  # in place of the Python that its remote names
        conda = spec.python.where if spec.python.kind.value == "conda" else ""
    keep = os.path.join(directory, VARIABLES)
    return prepared(argv, conda=conda, setup=spec.setup, keep=keep)


def _of_gang(spec: RunSpec, part: Part) -> dict[str, str]:
    from genvx.core.jobvariables import variables

    gpus = spec.requirements.gpus
    return variables(part.rank, part.nodes, gpus, part.address, part.port)
