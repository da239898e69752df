"""genvx usage: GPU hours as a table, as bars, and as JSON."""

from __future__ import annotations

import functools
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from genvx.cli.schema.document import print_document
from genvx.core.quantities.ages import format_duration
from genvx.core.text import printable
from genvx.core.value import value
from genvx.shown.cells import safe, terminal_size
from genvx.shown.columns import Fitting
from genvx.watching.places import history_to_read
from genvx.watching.since import USUAL, parse_since
from genvx.watching.usage import UNKNOWN, By, Report

if TYPE_CHECKING:
    from genvx.cli.ask.where import Where
    from genvx.cli.show.output import Output
    from genvx.watching.usage import Use

_COLUMNS = ("LEASED", "BUSY", "MEAN", "PEAK", "SHARE", "WAITED", "LEASES")
_CSV_COLUMNS = (
    "GPU_HOURS_LEASED",
    "GPU_HOURS_BUSY",
    "MEAN_PERCENT",
    "PEAK_PERCENT",
    "SHARE_PERCENT",
    "WAITED_SECONDS",
    "LEASES",
)
_WIDTH, _LABEL = 60, 24
_STEPS = "▁▂▃▄▅▆▇█"
_PLAIN_STEPS = ".:-=+*#@"
# A monitor that has looked for this part of the time has missed no more than restarts.
_WHOLE = 0.98


@value
class Asked:
    """What is asked for. since, until: seconds since the epoch. history: a file; None is the usual
    one.
    """

    by: By
    since: float
    until: float
    history: str | None = None
    plot: bool = False

    @classmethod
    def usual(cls) -> Asked:
        """Return what is asked for where nothing is said."""
        return cls(By.USER, *parse_since(USUAL))


def show(where: Where, output: Output, asked: Asked) -> int:
    """Print the use of GPUs; return the exit code."""
    path = _history(where, asked)
    report = None if path is None else _of_history(where, path, asked)
    code = 0
    # A monitor that could not start, or did not run in this time, leaves a history without a look.
    unseen = report is not None and not report.watched and not report.uses
    if report is None or (unseen and asked.history is None):
        report, code = _of_runs(where, asked)
    if output.json:
        from genvx.cli.schema.usage import plain_report

        print_document("usage", **plain_report(report))
        return code
    if asked.plot:
        _plot(report)
    else:
        _table(report, output)
    if report.watched is None:
        where.note(
            "this is from the records of your runs, which is all that is known without the history "
            f"of a monitor; {where.typed} monitor keeps one"
        )
    elif not output.csv:
        _note_gaps(where, report)
    return code


def _history(where: Where, asked: Asked) -> Path | None:
    if asked.history is not None:
        return Path(os.path.abspath(os.path.expanduser(asked.history)))
    return history_to_read(os.environ, remote=where.remote)


def _of_history(where: Where, path: Path, asked: Asked) -> Report:
    # Imported here: it needs SQLite.
    from genvx.watching.historyusage import usage_of

    hosts = None
    if where.remote and (where.hosts or where.hostfile or where.named):
        with where.remote_fleet() as fleet:  # it connects to none
            hosts = frozenset(host.name for host in fleet.hosts)
    return usage_of(
        path,
        asked.by,
        asked.since,
        asked.until,
        hosts=hosts,
        group_of=_group_of,
        hourly=asked.plot,
    )


def _of_runs(where: Where, asked: Asked) -> tuple[Report, int]:
    from genvx.core.runs.runselect import Filter
    from genvx.core.wire.runoperations import MOST_RUNS, ListRuns
    from genvx.watching.runusage import usage_of_runs

    # By when they were submitted: one that began before the time and reaches into it is there, too,
    # unless it waited and ran for longer than that again.
    since = asked.since - (asked.until - asked.since)
    question = ListRuns(Filter(since_epoch_ns=max(0, round(since * 1e9))), MOST_RUNS)
    with where.fleet() as fleet:
        outcomes = where.ask(fleet, lambda host: host.answer(question))
    import pwd

    user = where.login or pwd.getpwuid(os.geteuid()).pw_name
    report = usage_of_runs(
        outcomes.succeeded,
        asked.by,
        asked.since,
        asked.until,
        user=user,
        group_of=_group_of,
    )
    return report, where.report(outcomes)


@functools.cache
def _group_of(user: str) -> str:
    """The main group of a user, as this machine knows it."""
    import grp
    import pwd

    try:
        return grp.getgrgid(pwd.getpwnam(user).pw_gid).gr_name
    except KeyError:
        return UNKNOWN


def _table(report: Report, output: Output) -> None:
    head = report.by.value.upper()
    if output.csv:
        rows = [[use.key, *_numbers(use)] for use in report.uses]
        output.table((head, *_CSV_COLUMNS), rows)
        return
    rows = [[use.key, *_cells(use)] for use in report.uses]
    total = report.total
    since = time.strftime("%Y-%m-%d %H:%M", time.localtime(report.since))
    summary = f"Total {_hours(total.leased)} of GPUs leased since {since}"
    if total.busy is not None:
        summary += f", {_hours(total.busy)} busy"
    fitting = Fitting(dropped=("LEASES", "WAITED", "PEAK", "SHARE"), kept=(head,))
    output.table((head, *_COLUMNS), rows, summary, fitting=fitting)


def _cells(use: Use) -> list[str]:
    return [
        _hours(use.leased),
        UNKNOWN if use.busy is None else _hours(use.busy),
        UNKNOWN if use.mean is None else f"{use.mean:.0f}%",
        UNKNOWN if use.peak is None else f"{use.peak}%",
        f"{use.share:.0f}%",
        UNKNOWN if use.waited is None else format_duration(use.waited),
        str(use.leases),
    ]


def _numbers(use: Use) -> list[str]:
    """The cells of CSV: numbers without units, and nothing where one is unknown."""
    numbers = (use.leased, use.busy, use.mean, use.peak, use.share, use.waited, use.leases)
    return [
        "" if each is None else f"{each:.4f}" if isinstance(each, float) else str(each)
        for each in numbers
    ]


def _hours(hours: float) -> str:
    if hours < 1:
        return format_duration(round(hours * 3600))
    return f"{hours:.0f} h" if hours >= 100 else f"{hours:.1f} h"


def _note_gaps(where: Where, report: Report) -> None:
    """Say what the history does not know of the time."""
    assert report.watched is not None
    whole = report.until - report.since
    if report.watched < _WHOLE * whole:
        where.note(
            f"the monitor has looked for {format_duration(report.watched)} of "
            f"{format_duration(whole)}; leases that it never saw are missing"
        )
    uncertain = report.total.uncertain
    if uncertain >= 0.1 and uncertain >= (1 - _WHOLE) * report.total.leased:
        where.note(
            f"leases ended while nobody looked: they may have lasted {_hours(uncertain)} longer"
        )


# Bars


def _plot(report: Report) -> None:
    """Print a bar for each key: the hours leased, and within them those busy."""
    fancy = _can_print(_STEPS + "█░")
    busy_mark, leased_mark = ("█", "░") if fancy else ("#", "-")
    columns = (terminal_size(sys.stdout) or (80, 24))[0]
    label = min(_LABEL, max((len(use.key) for use in report.uses), default=0))
    width = max(10, min(_WIDTH, columns - label - 22))
    most = max((use.leased for use in report.uses), default=0.0)
    for use in report.uses:
        length = round(width * use.leased / most) if most else 0
        busy = min(length, round(width * (use.busy or 0.0) / most)) if most else 0
        bar = busy_mark * busy + leased_mark * (length - busy)
        key = safe(printable(use.key, label), sys.stdout)
        print(f"{key:<{label}}  {bar:<{width}}  {_hours(use.leased)}".rstrip())
    known = [percent for _, percent in report.hourly if percent is not None]
    if known:
        steps = _STEPS if fancy else _PLAIN_STEPS
        line = "".join(
            " " if percent is None else steps[min(7, int(percent / 12.5))]
            for _, percent in _fitted(report.hourly, columns - 2)
        )
        begin = time.strftime("%Y-%m-%d %H:%M", time.localtime(report.hourly[0][0] * 3600))
        print(f"\nUtilization of all GPUs, by the hour, from {begin}; at most {max(known):.0f}%:")
        print(line.rstrip() or "-")
    print(f"\n{busy_mark} busy, {leased_mark} leased")


def _fitted(
    hourly: tuple[tuple[int, float | None], ...], width: int
) -> list[tuple[int, float | None]]:
    """As many columns as fit: each the mean of some hours."""
    size = max(1, -(-len(hourly) // max(1, width)))
    found: list[tuple[int, float | None]] = []
    for at in range(0, len(hourly), size):
        known = [percent for _, percent in hourly[at : at + size] if percent is not None]
        found.append((hourly[at][0], sum(known) / len(known) if known else None))
    return found


def _can_print(text: str) -> bool:
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
