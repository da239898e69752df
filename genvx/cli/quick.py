"""The questions that people and scripts ask hundreds of times a day, answered without typer.

Importing typer and building its commands takes longer than the answer (`scripts/bench local`). With
any option but --json these verbs go through typer, like all others.
"""

from __future__ import annotations

import importlib
import os

# Each with its view.
_VERBS = {name: name for name in ("devices", "envs", "status", "queue", "policy", "doctor", "runs")}
_VERBS["check"] = "doctor"


def quick(arguments: list[str]) -> int | None:
    """Answer one of these verbs, alone or with --json, or a question of the shell functions.

    Return the exit code; None for any other command line.
    """
    if len(arguments) > 1 and arguments[0] in ("shell-refresh", "shell-leave"):
        from genvx.cli.holds import prompt

        if arguments[0] == "shell-leave":
            return prompt.leave(arguments[1])
        return prompt.refresh(arguments[1:])
    # For completion, a shell calls genvx with the typed words in a variable; app.py answers that.
    verb, options = arguments[:1], arguments[1:]
    if not verb or verb[0] not in _VERBS or "_GENVX_COMPLETE" in os.environ:
        return None
    if options not in ([], ["--json"]):
        return None
    # Imported here: the prompts of shells call `shell-refresh` often, and need neither.
    from genvx.cli.ask.where import Where
    from genvx.cli.show.output import Output

    where = Where()
    with where.fleet() as fleet:
        view = importlib.import_module(f"genvx.cli.views.{_VERBS[verb[0]]}")
        code: int = view.show(where, fleet, Output(json=bool(options)))
        return code
