"""Options of genvx sweep, besides those of a request. Those that a run has are for each trial."""

from __future__ import annotations

from typing import Annotated

from genvx.cli.ask import runoptions
from genvx.cli.parse.declaring import Option

Parameter = Annotated[
    list[str] | None,
    Option(
        "-P",
        "--parameter",
        metavar="NAME=VALUES",
        help="lr=log:1e-5..1e-1, dropout=0..0.5, seed=int:0..9, layers=2,4,8.",
    ),
]
Config = Annotated[
    str | None,
    Option("--config", metavar="FILE", help="An experiment of NNI, in place of the options."),
]
Space = Annotated[
    str | None,
    Option("--space", metavar="FILE", help="A search space of NNI, as JSON."),
]
Trials = Annotated[
    int | None,
    Option("--trials", metavar="N", min=1, help="Number of trials (default: all there are)."),
]
Tuner = Annotated[
    str | None,
    Option(
        "--tuner",
        metavar="NAME",
        help="tpe, random, grid, evolution, gp, cmaes or qmc (default: tpe with Optuna).",
    ),
]
TunerOption = Annotated[
    list[str] | None,
    Option("--tuner-option", metavar="NAME=VALUE", help="An option of the tuner."),
]
Pruner = Annotated[
    str | None,
    Option("--pruner", metavar="NAME", help="End trials that fall behind: median or asha."),
]
Maximize = Annotated[bool, Option("--maximize", help="The largest value is best (default).")]
Minimize = Annotated[bool, Option("--minimize", help="The smallest value is best.")]
Metric = Annotated[
    str | None,
    Option(
        "--metric",
        metavar="REGEX",
        help="Find values in the output instead: 'val_acc=([0-9.]+)'.",
    ),
]
Concurrency = Annotated[
    int | None,
    Option(
        "--concurrency",
        metavar="N",
        min=1,
        help="Trials that run or wait at once (default: as many as fit).",
    ),
]
PerGpu = Annotated[
    int | None,
    Option("--max-per-gpu", metavar="K", min=1, help="Trials that share a GPU."),
]
Duration = Annotated[
    str | None,
    Option("--duration", metavar="TIME", help="Time limit of the whole sweep, such as 8h."),
]
StopWhen = Annotated[
    str | None,
    Option("--stop-when", metavar="'value > X'", help="End the sweep when a trial reports that."),
]
Retries = Annotated[
    int, runoptions.retries("Start a trial again that its host has lost, N times at most.")
]
Seed = Annotated[
    int | None,
    Option("--seed", metavar="N", min=0, help="The same seed gives the same trials."),
]
Notify = Annotated[list[str] | None, runoptions.notify("the sweep ends")]
Env = Annotated[list[str] | None, runoptions.env("all trials")]
Chdir = Annotated[str | None, runoptions.chdir("trials")]
Project = Annotated[
    str | None,
    runoptions.project(
        "Each trial runs in a copy of its own of this directory, which is sent to the hosts."
    ),
]
Python = Annotated[str | None, runoptions.python("trials find")]
Setup = Annotated[str | None, runoptions.setup("the command of each trial")]
OptunaStorage = Annotated[
    str | None,
    Option(
        "--optuna-storage",
        metavar="URL",
        help="Keep a copy there for optuna-dashboard: sqlite:///sweep.db, or a path.",
    ),
]
Detached = Annotated[
    bool,
    Option("-d", "--detach", help="Let the sweep go on without this terminal."),
]
On = Annotated[
    str | None,
    Option(
        "--on",
        metavar="HOST",
        help="Have this host run the sweep: it logs in to the others with its own keys.",
    ),
]
OnPython = Annotated[
    str | None,
    Option(
        "--on-python",
        metavar="auto|PATH|conda:NAME",
        help="The Python there that has what genvx needs; auto makes an environment (default).",
    ),
]
OnWheels = Annotated[
    str | None,
    Option(
        "--on-wheels",
        metavar="DIR",
        help="A directory here with all packages for that, for a host without an index.",
    ),
]
