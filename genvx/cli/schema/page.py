"""A host as the page of genvx web has it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genvx.cli.schema.devices import plain_device
from genvx.cli.schema.hosts import failed_host, plain_host
from genvx.cli.schema.requests import plain_position
from genvx.cli.schema.runs import plain_run
from genvx.core.line.queue import line
from genvx.core.runs.runstate import is_over

if TYPE_CHECKING:
    from collections.abc import Sequence

    from genvx.cli.schema.document import Plain
    from genvx.core.runs.runinfo import RunInfo
    from genvx.watching.daylong import Curve, Day
    from genvx.watching.sight import Sight

# Runs of a host that are over and still shown, besides all that live.
_MOST_OVER = 20


def plain_sight(sight: Sight, runs: Sequence[RunInfo] | None, user: str | None = None) -> Plain:
    """Convert what a host has shown: its devices as `devices` has them, its line as `queue`, our
    runs as `runs`; None: these are not known. user: who we are there, if that is shown.
    """
    seen = {"seen_epoch_seconds": round(sight.at, 3)}
    if sight.snapshot is None:
        assert sight.error is not None
        return failed_host(sight.host, sight.error) | seen
    snapshot = sight.snapshot
    return plain_host(sight.host, snapshot) | {
        "devices": [plain_device(device, snapshot) for device in snapshot.devices],
        "tickets": [plain_position(position, snapshot) for position in line(snapshot)],
        "runs": None if runs is None else [plain_run(run) for run in _shown(runs)],
        **({} if user is None else {"user": user}),
        **seen,
    }


def _shown(runs: Sequence[RunInfo]) -> list[RunInfo]:
    over = [run for run in runs if is_over(run.state)][:_MOST_OVER]
    return [run for run in runs if not is_over(run.state) or run in over]


def plain_day(day: Day | None, note: str, *, users: bool) -> Plain:
    """Convert the use of the last day. note: what is wrong with the history. users: whether it is
    shown who held how many GPUs.
    """
    found: Plain = {
        "schema": "genvx/1",
        "verb": "web",
        "source": None if day is None else day.source,
        "note": note,
        "since_epoch_seconds": None if day is None else day.since,
        "step_seconds": None if day is None else day.step,
        "total": _plain_curve(None if day is None else day.total),
        "hosts": [],
        "users": None,
    }
    if day is not None:
        curves = day.hosts.items()
        found["hosts"] = [{"host": name, **_plain_curve(curve)} for name, curve in curves]
    if users:
        held = {} if day is None else day.users
        found["users"] = [
            {"user": user, "gpus": [None if each is None else round(each, 2) for each in gpus]}
            for user, gpus in held.items()
        ]
    return found


def _plain_curve(curve: Curve | None) -> Plain:
    return {
        "leased_percent": [] if curve is None else [_percent(each) for each in curve.leased],
        "busy_percent": [] if curve is None else [_percent(each) for each in curve.busy],
    }


def _percent(share: float | None) -> int | None:
    return None if share is None else round(100 * share)
