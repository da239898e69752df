"""An experiment of NNI, as values of genvx."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from genvx.core.sweeps.goal import Goal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from genvx.core.sweeps.space import SearchSpace
    from genvx.fleet.hosts.hostspec import HostSpec


@dataclass(frozen=True)
class Machine:
    """A host of machineList. spec: how to reach it; its secrets are in it, and never shown.

    max_per_gpu: how many trials may share a GPU.
    """

    spec: HostSpec
    max_per_gpu: int = 1


@dataclass(frozen=True)
class Experiment:
    """What a configuration file of NNI asks for.

    source: the path of the file. name: for people; empty if it has none. command: words, with
    braces doubled: NNI puts nothing into a command, and `fill` changes nothing in this one. gpus:
    how many each trial gets; 0 means that it sees none, None that nothing is asked for and it sees
    what its host has. trials, duration, trial_duration: None where there is no limit; seconds.
    tuner, options, pruner, pruner_options: as `tuner_of` takes them. seed: None if the file names
    none. machines: empty if it names none. notes: what has no effect here, a line each.
    """

    source: str
    name: str
    command: tuple[str, ...]
    space: SearchSpace
    directory: str
    gpus: int | None
    concurrency: int
    trials: int | None = None
    duration: float | None = None
    trial_duration: float | None = None
    goal: Goal = Goal.MAXIMIZE
    tuner: str = "random"
    options: Mapping[str, Any] = field(default_factory=dict)
    pruner: str = ""
    pruner_options: Mapping[str, Any] = field(default_factory=dict)
    seed: int | None = None
    machines: tuple[Machine, ...] = ()
    notes: tuple[str, ...] = ()


__all__ = ["Experiment", "Machine"]
