"""Tuners and pruners by name: those of genvx, and NNI's."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NoReturn

from genvx.core.text import printable
from genvx.errors import InvalidInput
from genvx.sweeps.tuners.own import BatchTuner, GridTuner, RandomTuner

if TYPE_CHECKING:
    from collections.abc import Sequence

    from genvx.core.sweeps.goal import Goal
    from genvx.core.sweeps.space import SearchSpace
    from genvx.sweeps.tuners.pruners import Pruner
    from genvx.sweeps.tuners.tuner import Tuner

TUNERS = ("tpe", "random", "grid", "batch", "evolution", "gp", "cmaes", "qmc")
PRUNERS = ("median", "asha")
_OWN = ("random", "grid", "batch")

# The options of each, with their least value; "bool" for yes or no.
_OPTIONS: Mapping[str, Mapping[str, int | str]] = {
    "tpe": {"startup": 1, "candidates": 1, "multivariate": "bool"},
    "random": {},
    "grid": {},
    "batch": {},
    "evolution": {"population_size": 2},
    "gp": {"startup": 1},
    "cmaes": {"startup": 1},
    "qmc": {},
    "median": {"start_step": 0, "trials": 1},
    "asha": {"min_steps": 1, "reduction": 2},
}


@dataclass(frozen=True)
class Chosen:
    """A tuner, and lines for people about what is not as they have written it."""

    tuner: Tuner
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Foreign:
    """A tuner or an assessor of NNI. name: as NNI writes it. ours: what is taken for it.

    pruner: what is taken beside it. options: NNI's options, each with ours for it; "" for one
    without an effect here. other: whether ours is another method, merely the nearest.
    """

    name: str
    ours: str
    pruner: str = ""
    other: bool = True
    options: Mapping[str, str] = field(default_factory=dict)


def needed_by(tuner: str) -> tuple[str, ...]:
    """Return the packages that a tuner needs besides genvx, as pip calls them."""
    if tuner in _OWN:
        return ()
    from genvx.sweeps.tuners.samplers import NEEDED

    return ("optuna", *NEEDED.get(tuner, ()))


def _none(*options: str) -> dict[str, str]:
    return dict.fromkeys(options, "")


_FOREIGN = {
    "tpe": Foreign("TPE", "tpe", other=False, options=_none("tpe_args")),
    "random": Foreign("Random", "random", other=False),
    "gridsearch": Foreign("GridSearch", "grid", other=False),
    "batch": Foreign("Batch", "batch", other=False),
    "anneal": Foreign("Anneal", "tpe"),
    "evolution": Foreign("Evolution", "evolution"),
    "smac": Foreign("SMAC", "tpe", options=_none("config_dedup")),
    "metis": Foreign(
        "Metis",
        "tpe",
        options={
            "cold_start_num": "startup",
            **_none("no_resampling", "no_candidates", "selection_num_starting_points"),
            **_none("exploration_probability"),
        },
    ),
    "gp": Foreign(
        "GP",
        "gp",
        other=False,
        options={
            "cold_start_num": "startup",
            **_none("utility", "kappa", "xi", "nu", "alpha", "selection_num_warm_up"),
            **_none("selection_num_starting_points"),
        },
    ),
    "dngo": Foreign(
        "DNGO", "tpe", options=_none("sample_size", "trials_per_update", "num_epochs_per_training")
    ),
    "hyperband": Foreign(
        "Hyperband", "random", "asha", options={"eta": "reduction", **_none("R", "exec_mode")}
    ),
    "bohb": Foreign(
        "BOHB",
        "tpe",
        "asha",
        options={
            "eta": "reduction",
            "min_budget": "min_steps",
            **_none("max_budget", "min_points_in_model", "top_n_percent", "num_samples"),
            **_none("random_fraction", "bandwidth_factor", "min_bandwidth", "config_space"),
        },
    ),
    "medianstop": Foreign(
        "Medianstop", "median", other=False, options={"start_step": "start_step"}
    ),
    "curvefitting": Foreign(
        "Curvefitting",
        "median",
        options={"start_step": "start_step", **_none("epoch_num", "threshold", "gap")},
    ),
}

# What NNI takes within tpe_args.
_TPE_ARGUMENTS = {
    "n_startup_jobs": "startup",
    "n_ei_candidates": "candidates",
    **_none("constant_liar_type", "linear_forgetting", "prior_weight", "gamma"),
}

_REFUSED = {
    "pbt": "trials of PBT go on from each other's checkpoints, which genvx does not give them",
    "ppo": "PPO is for neural architecture search, which genvx does not have",
    "networkmorphism": "it is for neural architecture search, which genvx does not have",
    "regularizedevolution": "it is for neural architecture search, which genvx does not have",
}


def tuner_of(
    name: str,
    space: SearchSpace,
    goal: Goal,
    seed: int,
    options: Mapping[str, Any] | None = None,
    *,
    pruner: str = "",
    pruner_options: Mapping[str, Any] | None = None,
) -> Chosen:
    """Return the tuner of a name: one of genvx, or NNI's, in any case.

    seed: from 0; the same gives the same trials, so it belongs into the journal. pruner: median or
    asha, or NNI's Medianstop or Curvefitting; empty for none.

    Raises:
        InvalidInput: there is no such tuner, pruner or option; the message lists those that there
        are. Or Optuna is not installed, and the message says what to install.
    """
    notes: list[str] = []
    chosen = _resolved(name, TUNERS, "tuner", notes)
    own, besides = _options(chosen, options or {}, notes)
    tuner = _tuner(chosen.ours, space, goal, seed, own)
    beside = chosen.pruner
    if pruner:
        ending = _resolved(pruner, PRUNERS, "pruner", notes)
        if beside:
            raise InvalidInput(f"{chosen.name} ends trials by itself; take away the pruner")
        beside = ending.ours
        besides, _ = _options(ending, pruner_options or {}, notes)
    elif pruner_options:
        raise InvalidInput("options of a pruner, but no pruner")
    if beside:
        # Imported here: most sweeps have none.
        from genvx.sweeps.tuners.pruners import Pruning

        tuner = Pruning(tuner, _pruner(beside, goal, besides))
    return Chosen(tuner, tuple(notes))


def canonical(name: str, *, pruner: bool = False) -> Foreign:
    """Return what is taken for the name of a tuner, or of a pruner; make nothing.

    Raises:
        InvalidInput: there is none of this name.
    """
    known = PRUNERS if pruner else TUNERS
    return _resolved(name, known, "pruner" if pruner else "tuner", [])


def check_options(chosen: Foreign, options: Mapping[str, Any], also: Sequence[str] = ()) -> None:
    """Check options before anything is made; raise InvalidInput for one that there is not.

    also: options that are for somebody else.
    """
    _options(replace(chosen, options={**chosen.options, **_none(*also)}), options, [])


def _resolved(name: str, known: tuple[str, ...], what: str, notes: list[str]) -> Foreign:
    word = name.strip().lower().replace("_", "").replace("-", "").replace(" ", "")
    for ending in ("tuner", "assessor", "advisor", "stopping"):
        word = word.removesuffix(ending) or word
    if what == "tuner" and word in _REFUSED:
        raise InvalidInput(f"no tuner {printable(name, 40)}: {_REFUSED[word]}")
    foreign = _FOREIGN.get(word)
    if foreign is not None and foreign.ours in known:
        beside = f" with the pruner {foreign.pruner}" if foreign.pruner else ""
        if word == "evolution":
            notes.append("Evolution: Optuna's NSGA-II is used in its place")
        elif foreign.other:
            notes.append(f"{foreign.name}: {foreign.ours}{beside} is used in its place")
        return foreign
    if word in known:
        return Foreign(word, word)
    theirs = [each.name for each in _FOREIGN.values() if each.ours in known]
    names = [*known, *(each for each in theirs if each.lower() not in known)]
    near = difflib.get_close_matches(word, [each.lower() for each in names], 1, 0.6)
    advice = f"did you mean {near[0]}? " if near else ""
    raise InvalidInput(f"no {what} {printable(name, 40)!r}; {advice}{what}s are {', '.join(names)}")


def _options(
    chosen: Foreign, options: Mapping[str, Any], notes: list[str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the options of ours for those of a tuner, and those for the pruner beside it."""
    known = {**{name: name for name in _OPTIONS[chosen.ours]}, **chosen.options}
    given = dict(options)
    if "tpe_args" in given and "tpe_args" in known:
        known |= _TPE_ARGUMENTS
        inner = given.pop("tpe_args")
        if not isinstance(inner, Mapping):
            raise InvalidInput(f"{chosen.name}: tpe_args are names with values")
        given |= inner
    own: dict[str, Any] = {}
    besides: dict[str, Any] = {}
    for name, found in given.items():
        if name not in known:
            _unknown(chosen, name, known)
        ours = known[name]
        if not ours:
            notes.append(f"{chosen.name}: {name} has no effect")
        elif ours in _OPTIONS[chosen.ours]:
            own[ours] = _checked(chosen.name, name, found, _OPTIONS[chosen.ours][ours])
        else:
            besides[ours] = _checked(chosen.name, name, found, _OPTIONS[chosen.pruner][ours])
    return own, besides


def _unknown(chosen: Foreign, name: str, known: Mapping[str, str]) -> NoReturn:
    shown = printable(str(name), 40)
    if not known:
        raise InvalidInput(f"{chosen.name} has no options, and so no {shown!r}")
    near = difflib.get_close_matches(str(name), known, 1, 0.5)
    advice = f"did you mean {near[0]}?" if near else f"options are {', '.join(known)}"
    raise InvalidInput(f"{chosen.name} has no option {shown!r}; {advice}")


def _checked(tuner: str, name: str, found: Any, least: int | str) -> Any:
    if isinstance(least, str):
        words = {"true": True, "yes": True, "false": False, "no": False}
        answer = found if isinstance(found, bool) else words.get(str(found).lower())
        if answer is None:
            raise InvalidInput(
                f"{tuner}: {name} is true or false, not {printable(str(found), 40)!r}"
            )
        return answer
    number = found
    if isinstance(found, str) and found.isascii() and found.isdigit() and len(found) < 10:
        number = int(found)
    if isinstance(number, float) and number.is_integer():
        number = int(number)
    if isinstance(number, bool) or not isinstance(number, int) or not least <= number < 10**9:
        raise InvalidInput(
            f"{tuner}: {name} is a whole number from {least} on, not {printable(str(found), 40)!r}"
        )
    return number


def _tuner(
    name: str, space: SearchSpace, goal: Goal, seed: int, options: Mapping[str, Any]
) -> Tuner:
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 1 << 64:
        raise InvalidInput(f"a seed is a whole number from 0 on, not {printable(str(seed), 40)!r}")
    if name == "random":
        return RandomTuner(space, seed)
    if name == "grid":
        return GridTuner(space)
    if name == "batch":
        return BatchTuner(space)
    # Imported here: Optuna is an extra, and takes longer to load than all of genvx.
    from genvx.sweeps.tuners.samplers import study_tuner

    return study_tuner(name, space, goal, seed, options)


def _pruner(name: str, goal: Goal, options: Mapping[str, Any]) -> Pruner:
    from genvx.sweeps.tuners.pruners import Asha, Median

    return Median(goal, **options) if name == "median" else Asha(goal, **options)


__all__ = ["PRUNERS", "TUNERS", "Chosen", "Foreign", "canonical", "check_options", "tuner_of"]
