"""genvx sweeps: sweeps that were started on this machine, however they are."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated

from genvx.cli.ask import options, sweepoptions
from genvx.cli.ask.where import here
from genvx.cli.parse.declaring import Argument, Context, Exit, Group, Option
from genvx.cli.show.output import Output
from genvx.core.value import replace
from genvx.errors import InvalidInput

if TYPE_CHECKING:
    from genvx.sweeps.store import SweepDirectory

sweeps = Group("Sweeps: list, show, stop, resume and export them.")

WhichSweep = Annotated[
    str,
    Argument(
        metavar="[SWEEP]",
        help="Its id, the beginning of one, its name, or a number: 1 is the latest.",
        show_default=False,
    ),
]
Plot = Annotated[bool, Option("--plot", help="Draw values and importance with characters.")]
Html = Annotated[
    str | None,
    Option("--html", metavar="FILE", help="Write a page with plots; it loads nothing."),
]
Port = Annotated[
    int | None,
    Option(
        "--port",
        metavar="N",
        min=1,
        max=65535,
        help="Listen there (default: 6006, or the next that is free).",
    ),
]
Optuna = Annotated[
    str | None,
    Option("--optuna", metavar="FILE", help="Write a journal file of Optuna instead."),
]


def _found(wanted: str) -> SweepDirectory:
    from genvx.sweeps import store

    return store.find(store.sweeps_root(os.environ), wanted)


def _looked_at(context: Context, wanted: str) -> tuple[SweepDirectory, str | None]:
    """Return a sweep, and how it is if a host runs it, which is asked."""
    from genvx.sweeps.away import away_of

    directory = _found(wanted)
    if away_of(directory) is None:
        return directory, None
    from genvx.cli.sweeps import elsewhere

    return directory, elsewhere.refresh(here(context), directory)


@sweeps.command("list")
def list_(
    json: options.Json = False,
    csv: options.Csv = False,
    style: options.Style = None,
    no_header: options.NoHeader = False,
    timestamp: options.Timestamp = False,
) -> None:
    """Show the sweeps that were started on this machine, the newest first.

    Example: genvx sweeps list
    """
    from genvx.cli.views.sweeps import listing

    listing(Output(json, csv, not no_header, timestamp=timestamp, style=style))


@sweeps.command()
def show(
    context: Context,
    sweep: WhichSweep = "",
    plot: Plot = False,
    html: Html = None,
    json: options.Json = False,
    csv: options.Csv = False,
    style: options.Style = None,
    no_header: options.NoHeader = False,
) -> None:
    """Show a sweep: its trials, the best first.

    Example: genvx sweeps show 1
    """
    from genvx.cli.views import sweeps as view

    directory, state = _looked_at(context, sweep)
    if html is not None:
        from genvx.cli.views.sweeppage import write_page

        write_page(directory, html)
        return
    if json:
        view.plainly(directory, verb="sweep show", state=state)
        return
    view.show(directory, Output(json, csv, not no_header, style=style), state=state)
    if plot:
        from genvx.cli.views.sweepplot import drawn
        from genvx.shown.cells import terminal_size

        columns, _ = terminal_size(sys.stdout) or (80, 24)
        print(drawn(directory, columns), end="")


@sweeps.command()
def stop(context: Context, sweep: WhichSweep = "") -> None:
    """End all trials of a sweep, and the sweep.

    Example: genvx sweeps stop 1
    """
    from genvx.cli.sweeps import terminal
    from genvx.sweeps.away import away_of

    directory = _found(sweep)
    away = away_of(directory)
    if away is not None:
        from genvx.cli.sweeps import elsewhere

        raise Exit(elsewhere.stop(here(context), directory, away))
    if directory.why_ended():
        print(f"Sweep {directory.id} has ended already")
        return
    if directory.ask_to_stop():
        print(f"Stopping sweep {directory.id}")
        return
    raise Exit(terminal.run_sweep(here(context), directory, [], stops=True))


@sweeps.command()
def resume(
    context: Context,
    sweep: WhichSweep = "",
    optuna_storage: sweepoptions.OptunaStorage = None,
    on_python: sweepoptions.OnPython = None,
    on_wheels: sweepoptions.OnWheels = None,
    json: options.Json = False,
) -> None:
    """Go on with a sweep that nobody runs: its trials are found, and none runs twice.

    One that was stopped, or whose time was over, goes on with new trials. One that was started
    with --on goes on at its host.

    Example: genvx sweeps resume 1
    """
    from genvx.cli.sweeps import terminal
    from genvx.sweeps.away import away_of

    directory = _found(sweep)
    away = away_of(directory)
    if away is not None:
        from genvx.cli.sweeps import elsewhere

        if optuna_storage is not None:
            raise InvalidInput("--optuna-storage is for sweeps that this machine runs")
        if on_python is not None or on_wheels is not None:
            away = replace(away, python=on_python, wheels=on_wheels and os.path.abspath(on_wheels))
        raise Exit(elsewhere.resume(here(context), directory, away))
    if on_python is not None or on_wheels is not None:
        raise InvalidInput(f"--on-python and --on-wheels: this machine runs sweep {directory.id}")
    if directory.why_ended() in ("trials", "space"):
        raise InvalidInput(f"sweep {directory.id} has ended: there are no more trials")
    trees = terminal.trees_of(directory.spec())
    code = terminal.run_sweep(here(context), directory, trees, json=json, storage=optuna_storage)
    raise Exit(code)


@sweeps.command()
def tensorboard(context: Context, sweep: WhichSweep = "", port: Port = None) -> None:
    """Show the event files of all trials in one TensorBoard here, until Ctrl-C.

    They are copied here, those of trials that run again and again. A trial writes them in its
    directory, or below it.

    Example: genvx sweeps tensorboard 1
    """
    from genvx.cli.sweeps.board import board
    from genvx.sweeps.away import away_of

    directory, _ = _looked_at(context, sweep)
    where = here(context)
    if away_of(directory) is None:
        raise Exit(board(where, directory, port))
    from genvx.cli.sweeps import elsewhere

    raise Exit(board(where, directory, port, lambda: elsewhere.refresh(where, directory)))


@sweeps.command()
def export(
    context: Context,
    sweep: WhichSweep = "",
    optuna: Optuna = None,
    json: options.Json = False,
    no_header: options.NoHeader = False,
) -> None:
    """Print the trials of a sweep as CSV, with a column for each parameter; or as JSON.

    Example: genvx sweeps export 1 > trials.csv
    """
    from genvx.cli.views import sweeps as view

    directory, state = _looked_at(context, sweep)
    if optuna is not None:
        from genvx.sweeps.mirroring import export_study

        export_study(directory, optuna)
    elif json:
        view.plainly(directory, verb="sweep export", state=state)
    else:
        view.show(directory, Output(csv=True, header=not no_header))
