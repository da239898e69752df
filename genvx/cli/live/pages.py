"""The pages: which rows each has, in which columns, sorted and filtered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from genvx.cli.live import devicepage
from genvx.cli.live.known import Seen
from genvx.cli.live.rows import Row, Target, cell
from genvx.cli.show.output import Output
from genvx.cli.views import queue, runs
from genvx.core.quantities.amounts import format_memory, format_percent
from genvx.core.requests.ranges import folded
from genvx.core.runs.rungang import decisive
from genvx.core.value import value
from genvx.core.wire.runoperations import ListRuns
from genvx.fleet.detaching import runs as fleetruns
from genvx.fleet.outcomes import Outcomes
from genvx.shown import envs
from genvx.shown.colours import GREEN, RED, YELLOW, colour_of
from genvx.shown.columns import Fitting

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_STYLES = {GREEN: "good", YELLOW: "warn", RED: "bad"}


@value
class Page:
    """A page. title, brief: its name, and where there is little room. rows: of all hosts."""

    title: str
    brief: str
    columns: tuple[str, ...]
    fitting: Fitting
    rows: Callable[[Sequence[Seen]], list[Row]]


def _processes(hosts: Sequence[Seen]) -> list[Row]:
    found = []
    for seen in hosts:
        snapshot = seen.snapshot
        for device in () if snapshot is None else snapshot.devices:
            assert snapshot is not None
            foreign = set(snapshot.foreign(device))
            for process in snapshot.usage_of(device).processes or ():
                bare = process in foreign
                texts = (
                    seen.host,
                    device.label,
                    str(process.pid),
                    process.user,
                    format_memory(process.memory),
                    format_percent(process.utilization),
                    "no lease" if bare else "",
                    process.command,
                )
                order = (
                    seen.host,
                    device.index,
                    process.pid,
                    process.user,
                    process.memory or 0,
                    -1 if process.utilization is None else process.utilization,
                    not bare,
                    process.command,
                )
                cells = tuple(
                    cell(text, "warn" if bare and at == 6 else "") for at, text in enumerate(texts)
                )
                key = ("process", seen.host, device.uuid, str(process.pid))
                found.append(Row(key, seen.host, cells, order))
    return found


def _environments(hosts: Sequence[Seen]) -> list[Row]:
    found = []
    for seen in hosts:
        snapshot = seen.snapshot
        for env in () if snapshot is None else snapshot.environments:
            assert snapshot is not None
            texts = envs.row(env, snapshot, Output().since)[:-1]
            ages = {4: snapshot.age_seconds(env.since_ns), 6: env.expires_ns or 1 << 62}
            texts = [seen.host, *texts]
            order = tuple(ages.get(at, text) for at, text in enumerate(texts))
            item = (Target.of(seen.host, env),)
            key = ("environment", seen.host, str(env.owner.uid), env.id)
            found.append(Row(key, seen.host, tuple(map(cell, texts)), order, item))
    return found


def _runs(hosts: Sequence[Seen]) -> list[Row]:
    answers = Outcomes({seen.host: seen.runs for seen in hosts if seen.runs}, {})
    found = []
    # Nothing is asked: all states are there.
    for parts in fleetruns.grouped(answers, ListRuns(), lambda asked: answers):
        names = tuple(name for name, _ in parts)
        run = decisive([each for _, each in parts])
        texts = [folded(names), *runs.row(parts, Output())]
        cells = tuple(
            cell(text, _STYLES.get(colour_of(text), "held") if at == 3 else "")
            for at, text in enumerate(texts)
        )
        order: list[Any] = list(texts)
        order[5] = -run.spec.submitted.epoch_ns
        item = (Target("run", run.id, run.label_or_id, names),)
        found.append(Row(("run", run.id), names[0], cells, tuple(order), item))
    return found


def _line(hosts: Sequence[Seen]) -> list[Row]:
    snapshots = {seen.host: seen.snapshot for seen in hosts if seen.snapshot is not None}
    found = []
    for places in queue.requests_of(snapshots):
        names = [place.host for place in places]
        texts = [folded(names), *queue.row(places)]
        order: list[Any] = list(texts)
        order[5] = max(place.waiting for place in places)
        key = ("line", texts[1], texts[2])
        found.append(Row(key, names[0], tuple(map(cell, texts)), tuple(order)))
    return found


PAGES = (
    Page("GPUs", "GPUs", devicepage.COLUMNS, devicepage.FITTING, lambda hosts: []),
    Page(
        "Processes",
        "Procs",
        ("HOST", "GPU", "PID", "USER", "MEMORY", "UTIL", "LEASE", "COMMAND"),
        Fitting(
            yielding={"COMMAND": 12, "USER": 8}, dropped=("UTIL", "LEASE"), kept=("HOST", "PID")
        ),
        _processes,
    ),
    Page("Environments", "Envs", ("HOST", *envs.COLUMNS[:-1]), envs.FITTING, _environments),
    Page("Runs", "Runs", ("HOST", *runs.COLUMNS), runs.FITTING, _runs),
    Page("Line", "Line", ("HOST", *queue.COLUMNS), queue.FITTING, _line),
)
GPUS = 0
