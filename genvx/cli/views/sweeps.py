"""Sweeps: as they run, in a list, one in full, and as CSV and JSON."""

from __future__ import annotations

import math
import os
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from genvx.cli.schema.document import print_document
from genvx.cli.schema.sweeps import plain_sweep, plain_trial
from genvx.cli.show.output import Output
from genvx.cli.views.reports import parameters_line, shown_number
from genvx.core.quantities.ages import format_duration
from genvx.core.text import printable
from genvx.errors import StateError
from genvx.shown.cells import safe, terminal_size
from genvx.shown.colours import cut
from genvx.shown.columns import Fitting, table_for
from genvx.shown.console import say
from genvx.sweeps import store
from genvx.sweeps.away import away_of
from genvx.sweeps.ledger import Ledger
from genvx.sweeps.trial import ENDS, Stage, Trial

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from genvx.sweeps.coordinator import Coordinator
    from genvx.sweeps.spec import SweepSpec
    from genvx.sweeps.store import SweepDirectory

# How often what is shown is drawn again, at most.
_AGAIN = 0.2
_COLUMNS = ("TRIAL", "STATE", "VALUE", "STEP", "PARAMETERS", "HOST", "TOOK", "RUN")
_FITTING = Fitting(
    yielding={"PARAMETERS": 12, "HOST": 8},
    dropped=("STEP", "TOOK", "RUN", "HOST"),
    kept=("TRIAL",),
    coloured=("STATE",),
)
_LIST_FITTING = Fitting(
    yielding={"NAME": 8, "TRIALS": 12, "BEGAN": 11},
    dropped=("BEGAN", "NAME"),
    kept=("ID",),
    coloured=("STATE",),
)


def state_of(directory: SweepDirectory, ledger: Ledger) -> str:
    """Return how a sweep is: running, ended, away, when a host runs it or has left it, or left,
    when nobody runs it.
    """
    if ledger.ended:
        return "ended"
    if away_of(directory) is not None:
        return "away"
    return "running" if directory.is_run() else "left"


def sorted_trials(ledger: Ledger) -> list[Trial]:
    """Return all trials: the completed ones first, best first; then those that run, and others."""
    ranked = ledger.ranked()
    known = set(map(id, ranked))
    order = {stage: place for place, stage in enumerate((Stage.RUNNING, Stage.WAITING, *ENDS))}
    rest = [trial for trial in ledger.trials.values() if id(trial) not in known]
    rest.sort(key=lambda each: (order.get(each.stage, 1), each.number))
    return [*ranked, *rest]


def _row(trial: Trial) -> list[str]:
    return [
        str(trial.number),
        "starting" if trial.stage is Stage.ASKED else trial.stage.value,
        "" if trial.value is None else shown_number(trial.value),
        "" if trial.step is None else str(trial.step),
        parameters_line(trial.parameters),
        printable(trial.host, 60),
        "" if trial.seconds is None else format_duration(trial.seconds),
        trial.run,
    ]


def counts_line(spec: SweepSpec, ledger: Ledger) -> str:
    """Return how many trials are how far, on one line."""
    done = sum(trial.is_over for trial in ledger.trials.values())
    of = f" of {spec.trials}" if spec.trials else ""
    words = [f"{done}{of} done"]
    for word, stages in (
        ("running", (Stage.RUNNING,)),
        ("queued", (Stage.WAITING, Stage.QUEUED, Stage.ASKED)),
        ("failed", (Stage.FAILED,)),
        ("pruned", (Stage.PRUNED,)),
        ("cancelled", (Stage.CANCELLED,)),
    ):
        many = ledger.count(*stages)
        if many:
            words.append(f"{many} {word}")
    return ", ".join(words)


def best_line(ledger: Ledger) -> str:
    """Return the best trial on one line; empty while there is none."""
    best = ledger.best
    if best is None or best.value is None:
        return ""
    return (
        f"best: trial {best.number}, value {shown_number(best.value)}, "
        f"{parameters_line(best.parameters)}"
    )


class Live:
    """Live shows a sweep while it runs: a table on a terminal, elsewhere a line for each trial.

    quiet: show no lines of trials.
    """

    def __init__(self, spec: SweepSpec, *, quiet: bool = False) -> None:
        self.draws = sys.stdout.isatty() and not quiet
        self._spec = spec
        self._quiet = quiet
        self._sweep: Coordinator | None = None
        self._told: set[int] = set()
        self._named = False
        self._drawn = 0
        self._due = 0.0
        self._began = time.monotonic()
        self._ended_before = 0

    def show(self, sweep: Coordinator) -> None:
        """Show this sweep from now on."""
        self._sweep = sweep
        self._told = {n for n, trial in sweep.ledger.trials.items() if trial.is_over}
        self._ended_before = len(self._told)

    def __enter__(self) -> Live:
        return self

    def __exit__(self, *_: object) -> None:
        self._erase()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Leave the terminal alone for the block."""
        self._erase()
        yield

    def say(self, line: str) -> None:
        """Print a line for people, above the table."""
        self._erase()
        say(f"genvx: {line}")
        self._draw()

    def changed(self, trial: Trial | None) -> None:
        """Show a change."""
        if trial is not None and not self._named and not self._quiet:
            self._named = True
            trials = self._spec.trials
            many = f" of {trials} trial{'' if trials == 1 else 's'}" if trials else ""
            self.say(f"sweep {self._spec.id}{many}")
        if trial is not None and trial.is_over and trial.number not in self._told:
            self._told.add(trial.number)
            if not self.draws and not self._quiet:
                print(_line(trial), flush=True)
        if self.draws and time.monotonic() >= self._due:
            self._erase()
            self._draw()

    def conclude(self, why: str) -> None:
        """Print how the sweep has ended, and its best trials."""
        assert self._sweep is not None
        ledger = self._sweep.ledger
        if self.draws:
            table(self._spec, ledger, Output(), most=10)
        say(f"genvx: {why}: {counts_line(self._spec, ledger)}")
        line = best_line(ledger)
        if line:
            print(line, flush=True)

    def _erase(self) -> None:
        if self._drawn:
            sys.stdout.write(f"\x1b[{self._drawn}A\r\x1b[J")
            sys.stdout.flush()
            self._drawn = 0

    def _draw(self) -> None:
        if not self.draws or self._sweep is None:
            return
        self._due = time.monotonic() + _AGAIN
        columns, height = terminal_size(sys.stdout) or (80, 24)
        ledger = self._sweep.ledger
        rows = [_row(trial) for trial in sorted_trials(ledger)[: max(1, height - 7)]]
        shown = [[safe(cell, sys.stdout) for cell in row] for row in rows]
        drawn = table_for(sys.stdout, _COLUMNS, shown, _FITTING).lines if rows else ()
        lines = [*drawn, "", *self._below(ledger)]
        lines = [cut(line, columns - 1) for line in lines][: height - 1]
        sys.stdout.write("".join(f"{line}\n" for line in lines))
        sys.stdout.flush()
        self._drawn = len(lines)

    def _below(self, ledger: Ledger) -> list[str]:
        lines = [counts_line(self._spec, ledger) + self._left(ledger)]
        best = best_line(ledger)
        lines += [best] if best else []
        assert self._sweep is not None
        hosts = []
        for lane in self._sweep.lanes.values():
            runs = sum(
                trial.host == lane.name and trial.stage is Stage.RUNNING
                for trial in ledger.unfinished.values()
            )
            word = "away" if lane.silence else lane.closed or f"{runs} running"
            hosts.append(f"{lane.name}: {printable(word, 60)}")
        return [*lines, "; ".join(hosts)]

    def _left(self, ledger: Ledger) -> str:
        """How long the rest will probably take, by how long the trials have taken so far."""
        ended = sum(trial.is_over for trial in ledger.trials.values()) - self._ended_before
        if not ended or self._spec.trials is None:
            return ""
        left = self._spec.trials - ended - self._ended_before
        seconds = left * (time.monotonic() - self._began) / ended
        return f"; about {format_duration(round(seconds))} left" if left > 0 else ""


def _line(trial: Trial) -> str:
    words = [f"trial {trial.number}", trial.stage.value]
    if trial.value is not None:
        words.append(f"value {shown_number(trial.value)}")
    words.append(parameters_line(trial.parameters))
    if trial.host:
        words.append(f"on {printable(trial.host, 60)}")
    if trial.seconds is not None:
        words.append(format_duration(trial.seconds))
    if trial.why:
        words.append(f"({printable(trial.why, 200)})")
    return "  ".join(each for each in words if each)


def table(spec: SweepSpec, ledger: Ledger, output: Output, *, most: int | None = None) -> None:
    """Print the trials of a sweep as a table, or as CSV with a column for each parameter."""
    trials = sorted_trials(ledger)
    if output.csv:
        _csv(spec, trials, output)
        return
    shown = trials if most is None else trials[:most]
    summary = counts_line(spec, ledger)
    if len(shown) < len(trials):
        summary = f"The best {len(shown)} of {len(trials)}; {summary}"
    output.table(_COLUMNS, [_row(trial) for trial in shown], summary, fitting=_FITTING)


def _csv(spec: SweepSpec, trials: Sequence[Trial], output: Output) -> None:
    names = list(dict.fromkeys(name for trial in trials for name in trial.parameters))
    rows = [
        [
            str(trial.number),
            trial.stage.value,
            "" if trial.value is None or not math.isfinite(trial.value) else repr(trial.value),
            "" if trial.seconds is None else f"{trial.seconds:.3f}",
            trial.host,
            trial.run,
            *(_cell(trial.parameters, name) for name in names),
        ]
        for trial in sorted(trials, key=lambda each: each.number)
    ]
    columns = ("TRIAL", "STATE", "VALUE", "SECONDS", "HOST", "RUN", *names)
    output.table(columns, rows)


def _cell(parameters: Mapping[str, Any], name: str) -> str:
    from genvx.core.sweeps.parameters import text_of

    return printable(text_of(parameters[name]), 1000) if name in parameters else ""


def plainly(directory: SweepDirectory, *, verb: str, state: str | None = None) -> None:
    """Print a sweep and its trials as JSON. state: how it is, if its host has said so."""
    spec = directory.spec()
    ledger = Ledger.of(spec.goal, directory.events())
    trials = [plain_trial(trial) for _, trial in sorted(ledger.trials.items())]
    sweep = plain_sweep(spec, ledger, state or state_of(directory, ledger))
    print_document(verb, sweep=sweep, trials=trials)


def show(directory: SweepDirectory, output: Output, *, state: str | None = None) -> None:
    """Print one sweep in full. state: how it is, if its host has said so."""
    spec = directory.spec()
    ledger = Ledger.of(spec.goal, directory.events())
    if not output.csv:
        import shlex

        state = state or state_of(directory, ledger)
        away = away_of(directory)
        for key, text in {
            "sweep": f"{spec.id} ({spec.name})" if spec.name else spec.id,
            "state": state + (f" ({ledger.ended})" if ledger.ended else ""),
            "on": "" if away is None else f"{away.host}, in run {away.runs[-1]}" * bool(away.runs),
            "command": shlex.join(spec.command),
            "goal": f"{spec.goal.value}, with tuner {spec.tuner}",
            "best": best_line(ledger).removeprefix("best: "),
        }.items():
            if text:
                print(f"{key + ':':<9} {printable(text, 2000)}")
        print()
    table(spec, ledger, output)


def listing(output: Output) -> None:
    """Print a line for each sweep that was started on this machine."""
    found = []
    for directory in store.found(store.sweeps_root(os.environ)):
        try:
            spec = directory.spec()
            found.append((directory, spec, Ledger.of(spec.goal, directory.events())))
        except StateError as error:  # one that is damaged does not hide the others
            say(f"genvx: {error}")
    if output.json:
        sweeps = [
            plain_sweep(spec, led, state_of(directory, led)) for directory, spec, led in found
        ]
        print_document("sweep list", sweeps=sweeps)
        return
    rows = []
    for directory, spec, ledger in found:
        best = ledger.best
        rows.append(
            [
                spec.id,
                spec.name,
                state_of(directory, ledger),
                counts_line(spec, ledger),
                "" if best is None or best.value is None else shown_number(best.value),
                output.since(max(0.0, (time.time_ns() - spec.began_epoch_ns) / 1e9)),
            ]
        )
    many = len(rows)
    output.table(
        ("ID", "NAME", "STATE", "TRIALS", "BEST", "BEGAN"),
        rows,
        f"Total {many} sweep{'s' * (many != 1)}",
        fitting=_LIST_FITTING,
    )
