"""The run of a trial: what its host is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genvx.core.requests.ask import Ask
from genvx.core.runs import trial as of_a_run
from genvx.core.sweeps.parameters import fill
from genvx.core.value import replace
from genvx.fleet.detaching.submission import spec_of

if TYPE_CHECKING:
    from genvx.core.runs.run import RunSpec
    from genvx.sweeps.spec import SweepSpec
    from genvx.sweeps.trial import Trial


def run_of(spec: SweepSpec, trial: Trial) -> RunSpec:
    """Return the run of a trial's present attempt.

    Raises:
        InvalidInput: a parameter cannot be put into the command.
    """
    made = spec_of(
        fill(spec.command, trial.parameters),
        Ask(spec.requirements, f"{spec.name or spec.id}.{trial.number}", lasts=spec.time),
        variables=spec.variables,
        cwd=spec.cwd,
        project=spec.project,
        python=spec.python,
        setup=spec.setup,
        # What is known of its host would not be true of another one.
        stays=True,
        trial=of_a_run.Trial(spec.id, trial.number, trial.parameters, spec.nni),
    )
    return replace(made, id=trial.run, container=spec.container)


def tags_of(spec: SweepSpec, trial: Trial) -> tuple[str, ...]:
    """Return the tags by which people find the run of a trial."""
    return (f"sweep={spec.id}", f"trial={trial.number}")
