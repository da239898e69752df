"""Which of Optuna's samplers is behind each name, and how it is made."""

from __future__ import annotations

import importlib.util
import warnings
from typing import TYPE_CHECKING, Any

from genvx.errors import InvalidInput
from genvx.sweeps.tuners.optunadoor import optuna
from genvx.sweeps.tuners.study import StudyTuner

if TYPE_CHECKING:
    from collections.abc import Mapping

    from genvx.core.sweeps.goal import Goal
    from genvx.core.sweeps.space import SearchSpace

_STARTUP = 10
NEEDED = {"gp": ("torch", "scipy"), "cmaes": ("cmaes",), "qmc": ("scipy",)}


def study_tuner(
    name: str, space: SearchSpace, goal: Goal, seed: int, options: Mapping[str, Any]
) -> StudyTuner:
    """Return the tuner with the sampler of a name: tpe, evolution, gp, cmaes or qmc.

    Raises:
        InvalidInput: Optuna is missing, or what the sampler needs besides.
    """
    module = optuna(f"the tuner {name}")
    _require_packages(name)
    samplers = module.samplers

    def make(seed_of_trial: int) -> Any:
        if name == "tpe":
            # constant_liar: trials that still run count, so that those asked at once differ.
            return samplers.TPESampler(
                seed=seed_of_trial,
                n_startup_trials=options.get("startup", _STARTUP),
                n_ei_candidates=options.get("candidates", 24),
                multivariate=options.get("multivariate", False),
                constant_liar=True,
            )
        if name == "evolution":
            return samplers.NSGAIISampler(
                seed=seed_of_trial, population_size=options.get("population_size", 32)
            )
        if name == "gp":
            return samplers.GPSampler(
                seed=seed_of_trial, n_startup_trials=options.get("startup", _STARTUP)
            )
        if name == "cmaes":
            return samplers.CmaEsSampler(
                seed=seed_of_trial,
                n_startup_trials=options.get("startup", _STARTUP),
                warn_independent_sampling=False,
            )
        # Its points are one sequence: with another seed for each trial there would be none.
        return samplers.QMCSampler(
            scramble=True,
            seed=seed & 0xFFFFFFFF,
            warn_independent_sampling=False,
            warn_asynchronous_seeding=False,
        )

    def quietly(seed_of_trial: int) -> Any:
        # Older releases warn, for each sampler, that an argument of theirs may change.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", module.exceptions.ExperimentalWarning)
            return make(seed_of_trial)

    return StudyTuner(
        module, space, goal, seed, quietly, remembers=name in ("evolution", "cmaes", "qmc")
    )


def _require_packages(name: str) -> None:
    """Raise InvalidInput if a sampler lacks a package: some import what they need only after ten
    trials, in the middle of a sweep.
    """
    missing = [each for each in NEEDED.get(name, ()) if importlib.util.find_spec(each) is None]
    if missing:
        raise InvalidInput(
            f"the tuner {name} needs {' and '.join(missing)}: pip install {' '.join(missing)}"
        )


__all__ = ["study_tuner"]
