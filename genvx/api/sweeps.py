"""Sweeps for programs: many runs of one command on the hosts of a fleet, and the best of them."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

from genvx.core.command import words_of
from genvx.core.requests.requirements import requirements_of
from genvx.core.sweeps.dimensions import Choice, Normal, Uniform, Whole
from genvx.core.sweeps.goal import Goal
from genvx.core.sweeps.shortform import dimension_of
from genvx.core.sweeps.space import SearchSpace
from genvx.errors import GenvxError, InvalidInput
from genvx.fleet.containers import container_of, require_no_python
from genvx.fleet.shipping.reading import python_of, read, shipping
from genvx.sweeps import store
from genvx.sweeps.coordinator import Coordinator
from genvx.sweeps.found import Sweep, Trial
from genvx.sweeps.reading import Metric
from genvx.sweeps.spec import Needs, SweepSpec
from genvx.sweeps.tuners.names import tuner_of

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Mapping, Sequence

    from genvx.core.command import Command
    from genvx.core.sweeps.dimensions import Dimension
    from genvx.fleet.ask import HostGroup
    from genvx.fleet.detaching.runs import RunHost
    from genvx.sweeps.observer import Observer
    from genvx.sweeps.trial import Trial as Known


class Values:
    """Values says which values a parameter can have; `log`, `uniform` and the like make it."""

    def __init__(self, make: Callable[[str], Dimension]) -> None:
        self.make = make


def log(low: float, high: float) -> Values:
    """Return the numbers from `low` to `high`, evenly by their logarithm."""
    return Values(lambda name: Uniform(name, low, high, None, True))


def uniform(low: float, high: float, step: float | None = None) -> Values:
    """Return the numbers from `low` to `high`; step: only its multiples."""
    return Values(lambda name: Uniform(name, low, high, step))


def integers(low: int, high: int, *, log: bool = False) -> Values:
    """Return the whole numbers from `low` to `high`, both included."""
    return Values(lambda name: Whole(name, low, high, log))


def choice(*values: Any) -> Values:
    """Return these values."""
    return Values(lambda name: Choice(name, values))


def normal(mean: float, deviation: float) -> Values:
    """Return normally distributed numbers."""
    return Values(lambda name: Normal(name, mean, deviation))


def sweep(
    hosts: HostGroup[RunHost],
    command: Command,
    space: Mapping[str, Any],
    *,
    trials: int | None = None,
    gpus: int | str = 0,
    memory: int | None = None,
    maximize: bool = True,
    tuner: str = "random",
    options: Mapping[str, Any] | None = None,
    pruner: str = "",
    seed: int | None = None,
    concurrency: int | None = None,
    duration: float | None = None,
    stop_when: str = "",
    metric: str = "",
    retries: int = 0,
    time_limit: float | None = None,
    name: str = "",
    cwd: str = "",
    env: Mapping[str, str] | None = None,
    project: str | os.PathLike[str] | None = None,
    python: str | None = None,
    extras: Sequence[str] = (),
    wheels: str | os.PathLike[str] | None = None,
    setup: str = "",
    image: str | None = None,
    runtime: str | None = None,
    mounts: str | Sequence[str] = (),
    observer: Observer | None = None,
    stop: threading.Event | None = None,
) -> Sweep:
    """Run a command with many different parameters on hosts; see `genvx.Fleet.sweep`."""
    code = None if project is None else read(os.fspath(project))
    packages = None if wheels is None else os.path.abspath(os.fspath(wheels))
    inside = container_of(image, runtime, mounts, remote=True)
    if inside is not None:
        require_no_python(python, wheels, extras)
        python = "none"
    its_python, trees = python_of(code, python, wheels=packages, extras=extras)
    spec = SweepSpec(
        os.urandom(4).hex(),
        tuple(words_of(command)),
        _space(space),
        requirements_of(gpus, memory, None),
        goal=Goal.MAXIMIZE if maximize else Goal.MINIMIZE,
        tuner=tuner,
        options=options or {},
        pruner=pruner,
        seed=int.from_bytes(os.urandom(4), "big") >> 1 if seed is None else seed,
        trials=trials,
        concurrency=concurrency,
        seconds=duration,
        retries=retries,
        stop_when=stop_when,
        metric=metric,
        time=None if time_limit is None else max(1, round(time_limit)),
        variables=env or {},
        cwd=cwd,
        project=None if code is None else code.recorded,
        directory=None if project is None else os.path.abspath(os.fspath(project)),
        python=its_python,
        needs=Needs(python, packages, tuple(extras)),
        setup=setup,
        container=inside,
        name=name,
        began_epoch_ns=time.time_ns(),
    )
    if trials is None and spec.space.size is None:
        raise InvalidInput("the space has no end; say how many trials there are")
    chosen = tuner_of(tuner, spec.space, spec.goal, spec.seed, spec.options, pruner=pruner)
    reader = Metric(metric) if metric else None
    directory = store.create(store.sweeps_root(os.environ), spec)
    directory.lock()
    try:
        coordinator = Coordinator(
            directory,
            hosts,
            chosen.tuner,
            observer,
            reader=reader,
            ship=shipping([] if code is None else [code, *trees]),
        )
        try:
            if stop is not None:
                _stop_when_set(stop, coordinator)
            why = coordinator.run()
        finally:
            coordinator.close()
    except GenvxError:
        directory.discard_unbegun()
        raise
    finally:
        directory.unlock()
    ledger = coordinator.ledger
    every = tuple(_shown(trial) for _, trial in sorted(ledger.trials.items()))
    by_number = {each.number: each for each in every}
    ranked = tuple(by_number[trial.number] for trial in ledger.ranked())
    return Sweep(spec.id, every, ranked, why)


def _stop_when_set(stop: threading.Event, coordinator: Coordinator) -> None:
    import threading

    def wait() -> None:
        stop.wait()
        coordinator.stop()

    threading.Thread(target=wait, daemon=True).start()


def _space(given: Mapping[str, Any]) -> SearchSpace:
    return SearchSpace(tuple(_dimension(name, each) for name, each in given.items()))


def _dimension(name: str, given: Any) -> Dimension:
    if isinstance(given, Values):
        return given.make(name)
    if isinstance(given, str):
        return dimension_of(f"{name}={given}")
    if isinstance(given, (list, tuple, range)):
        return Choice(name, tuple(given))
    raise InvalidInput(
        f"{name} is genvx.log(1e-5, 1e-1), a list of values, or text such as 'log:1e-5..1e-1'; "
        f"not {given!r}"
    )


def _shown(trial: Known) -> Trial:
    return Trial(
        trial.number,
        trial.parameters,
        trial.stage.value,
        trial.value,
        trial.run,
        trial.host,
        trial.seconds,
        trial.why,
    )
