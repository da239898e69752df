"""The tuner, advisor and assessor of an experiment, as tuners and pruners of genvx."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from genvx.core.sweeps.goal import Goal
from genvx.errors import InvalidInput
from genvx.fleet.remotes.yamltext import Pairs
from genvx.sweeps.nni import scalars
from genvx.sweeps.nni.section import Section
from genvx.sweeps.tuners.names import canonical, check_options

if TYPE_CHECKING:
    from collections.abc import Mapping

    from genvx.fleet.remotes.yamltext import Node, Place

_KEYS = ("name", "className", "codeDirectory", "classArgs")
_CUSTOM = "genvx runs no algorithms of your own; give the name of one that it has"
# The goal of those that do not name one, as NNI documents it.
_MINIMIZING = ("TPE", "Anneal")
_WITHOUT = ("Random", "GridSearch", "Batch", "random", "grid", "batch")
_MODES = ("optimize_mode", "optimize")


@dataclass(frozen=True)
class Algorithms:
    """What was chosen: as `tuner_of` takes it. seed: None if none is named."""

    tuner: str = "random"
    options: Mapping[str, Any] = field(default_factory=dict)
    pruner: str = ""
    pruner_options: Mapping[str, Any] = field(default_factory=dict)
    goal: Goal = Goal.MAXIMIZE
    seed: int | None = None
    batch: bool = False
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Algorithm:
    name: str
    ours: str
    options: dict[str, Any]
    goal: Goal | None
    place: Place


def algorithms(section: Section) -> Algorithms:
    """Read what a section says under tuner, advisor and assessor.

    Raises:
        InvalidRemotes: it names what genvx does not have, or has a fault.
    """
    if "tuner" in section and "advisor" in section:
        section.key_place("advisor").fail("give either a tuner or an advisor, not both")
    key = "advisor" if "advisor" in section else "tuner"
    notes = []
    if key not in section:
        notes.append("no tuner is named: random is used, and the largest value is the best")
        return _with_pruner(section, Algorithms(notes=tuple(notes)))
    found = _algorithm(section.need(key), key)
    seed = found.options.pop("seed", None)
    if seed is not None and (isinstance(seed, bool) or not isinstance(seed, int) or seed < 0):
        found.place.fail(f"seed is a whole number from 0 on, not {seed!r}")
    goal = found.goal
    if goal is None:
        goal = Goal.MINIMIZE if found.name in _MINIMIZING else Goal.MAXIMIZE
        why = "" if found.name in _WITHOUT else f", as {found.name} of NNI does without one"
        notes.append(f"no optimize_mode is named: {goal.value}{why}")
    if canonical(found.name).pruner:
        notes.append(
            f"{found.name}: parameters have no TRIAL_BUDGET; trials that fall behind are ended by "
            "what they report"
        )
    return _with_pruner(
        section,
        Algorithms(
            found.name,
            found.options,
            goal=goal,
            seed=seed,
            batch=found.ours == "batch",
            notes=tuple(notes),
        ),
    )


def _with_pruner(section: Section, chosen: Algorithms) -> Algorithms:
    if "assessor" not in section:
        return chosen
    found = _algorithm(section.need("assessor"), "assessor")
    if canonical(chosen.tuner).pruner:
        found.place.fail(f"{chosen.tuner} ends trials by itself; take away the assessor")
    if found.goal not in (None, chosen.goal):
        found.place.fail(f"the assessor is to {found.goal.value}, the tuner to {chosen.goal.value}")
    return Algorithms(
        chosen.tuner,
        chosen.options,
        found.name,
        found.options,
        chosen.goal,
        chosen.seed,
        chosen.batch,
        chosen.notes,
    )


def _algorithm(node: Node, what: str) -> _Algorithm:
    section = Section(node, f"the {what}", _KEYS)
    section.refuse({"className": _CUSTOM, "codeDirectory": _CUSTOM})
    name = section.need("name")
    options: dict[str, Any] = {}
    place = name.place
    given = section.get("classArgs")
    if given is not None:
        if not isinstance(given, Pairs):
            given.place.fail("classArgs are names with values")
        options = scalars.plain(given)
    try:
        known = canonical(scalars.text("name", name), pruner=what == "assessor")
        place = name.place if given is None else given.place
        check_options(known, options, (*_MODES, "seed"))
        modes = [str(options.pop(mode)) for mode in _MODES if mode in options]
        goal = Goal.parse(modes[0]) if modes else None
    except InvalidInput as error:
        place.fail(str(error))
    return _Algorithm(known.name, known.ours, options, goal, name.place)


__all__ = ["Algorithms", "algorithms"]
