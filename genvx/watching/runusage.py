"""Usage from the records of one's own runs: all that is known without a monitor."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genvx.core.runs.runstate import Waiting, end_of
from genvx.watching.history.runrows import times_of
from genvx.watching.usage import HOUR, UNKNOWN, By, Report, Sum, summed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from genvx.core.runs.runinfo import RunInfo


def usage_of_runs(
    runs: Mapping[str, Sequence[RunInfo]],
    by: By,
    since: float,
    until: float,
    *,
    user: str,
    group_of: Callable[[str], str],
) -> Report:
    """Return the use of GPUs by runs. runs: by the name of their host. user: whose they are.

    A run counts from the start of its last attempt to its end, with all of its GPUs whole: records
    do not say how much of a GPU a share was.
    """
    sums: dict[str, Sum] = {}
    keys = {By.USER: user, By.GROUP: group_of(user) if by is By.GROUP else ""}
    for host, found in runs.items():
        for run in found:
            spec = run.spec
            names = {
                By.HOST: host,
                By.PROJECT: "" if spec.project is None else spec.project.name,
                By.NAME: run.label or spec.name,
                # The model is known only where the request named it.
                By.MODEL: models[0] if len(models := spec.requirements.models) == 1 else "",
            }
            key = keys.get(by) or names.get(by) or UNKNOWN
            _add(sums, key, run, since, until)
    uses, total = summed(sums)
    return Report(by, since, until, uses, total)


def _add(sums: dict[str, Sum], key: str, run: RunInfo, since: float, until: float) -> None:
    started, ended = times_of(run)
    submitted, gpus = run.spec.submitted.epoch_ns / 1e9, run.spec.requirements.gpus
    waited_until = started if started is not None else ended
    if waited_until is None:
        waited_until = until
    waited = _overlap(submitted, waited_until, since, until)
    held = 0.0 if started is None else _overlap(started, ended or until, since, until)
    if not held and not (waited and isinstance(run.state, Waiting)):
        return
    total = sums.setdefault(key, Sum())
    total.leases += 1
    total.leased += gpus * held / HOUR
    if run.spec.patience is not None:
        total.waits(waited)
    end = end_of(run.state)
    percent = None if end is None else end.usage.gpu_utilization
    if percent is not None and gpus:
        total.saw(gpus * held, gpus * held * percent / 100, None)


def _overlap(begin: float, end: float, since: float, until: float) -> float:
    return max(0.0, min(end, until) - max(begin, since))
