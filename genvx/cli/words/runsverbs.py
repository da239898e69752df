"""Words that people type behind genvx runs, and what genvx has in their place."""

from __future__ import annotations

from genvx.cli.words.runsanswers import (
    AGAIN,
    CALLED,
    DIFFERS,
    GONE,
    INSIDE,
    ONE_RUN,
    OUTPUT,
    PAST,
    STOP,
    SUBMIT,
)

RUNS_VERBS = {
    "ls": PAST,
    "show": ONE_RUN,
    "status": ONE_RUN,
    "inspect": ONE_RUN,
    "select": ONE_RUN,
    "diff": f"{DIFFERS}, {{}} runs info RUN --diff how the code differed from its commit",
    "logs": OUTPUT,
    "log": OUTPUT,
    "cat": OUTPUT,
    "tail": OUTPUT,
    "watch": "{} watch RUN shows the output of a run until it ends; {} runs -w redraws the table",
    "kill": STOP,
    "cancel": STOP,
    "rm": GONE,
    "remove": GONE,
    "start": SUBMIT,
    "submit": SUBMIT,
    "run": SUBMIT,
    "rerun": AGAIN,
    "requeue": AGAIN,
    "retry": AGAIN,
    "rename": CALLED,
    "mark": CALLED,
    "comment": CALLED,
    "wait": "{} watch RUN waits for the end of a run",
    "exec": INSIDE,
}
