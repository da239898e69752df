"""The questions that people and scripts ask hundreds of times a day, answered without typer.

Importing typer and building its commands takes longer than the answer (`scripts/bench local`). With
any option but --json these verbs go through typer, like all others.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from genvx.cli.ask.where import Where
    from genvx.cli.show.output import Output

# Verbs that ask a fleet, each with its view.
_VIEWS: dict[tuple[str, ...], str] = {
    **{(name,): name for name in ("devices", "envs", "status", "queue", "policy", "doctor", "smi")},
    ("check",): "doctor",
    ("runs",): "runs",
    ("runs", "list"): "runs",
}
# Of other hosts, doctor and check also ask for the project of this directory, which the verb itself
# reads; smi looks for one host, and then asks that alone.
_HERE_ONLY = (("doctor",), ("check",), ("smi",))
# Options of `genvx remote`, and what they are for Where.
_HOSTS = {
    **dict.fromkeys(("-H", "--host"), "hosts"),
    **dict.fromkeys(("-f", "--hostfile"), "hostfile"),
    **dict.fromkeys(("-l", "--login"), "login"),
    **dict.fromkeys(("-r", "--remote"), "named"),
}


def quick(arguments: list[str]) -> int | None:
    """Answer one of these verbs, alone or with --json, or a question of the shell functions.

    The same with `remote` in front and the hosts. Return the exit code; None for any other command
    line.
    """
    if len(arguments) > 1 and arguments[0] in ("shell-refresh", "shell-leave"):
        from genvx.cli.holds import prompt

        if arguments[0] == "shell-leave":
            return prompt.leave(arguments[1])
        return prompt.refresh(arguments[1:])
    # For completion, a shell calls genvx with the typed words in a variable; app.py answers that.
    if "_GENVX_COMPLETE" in os.environ:
        return None
    hosts, words = _hosts(arguments)
    if hosts is not None and words[:1] == ["run"]:
        return _run(hosts, words[1:])
    json = words[-1:] == ["--json"]
    verb = tuple(words[:-1] if json else words)
    here_only = verb in _HERE_ONLY or verb in _WITHOUT_FLEET
    if (verb not in _VIEWS and verb not in _WITHOUT_FLEET) or (hosts is not None and here_only):
        return None
    # Imported here: the prompts of shells call `shell-refresh` often, and need neither.
    from genvx.cli.ask.where import Where
    from genvx.cli.show.output import Output

    where, output = Where(remote=hosts is not None, **(hosts or {})), Output(json=json)
    if verb in _WITHOUT_FLEET:
        return _WITHOUT_FLEET[verb](where, output)
    if verb == ("status",) and where.keeps_runs:
        return None
    runs = verb[0] == "runs"
    with where.runs_fleet(asked=True) if runs else where.asked_fleet() as fleet:
        view = importlib.import_module(f"genvx.cli.views.{_VIEWS[verb]}")
        code: int = view.show(where, fleet, output)
        return code


def _run(hosts: dict[str, Any], words: list[str]) -> int | None:
    from genvx.cli.holds import shortly

    found = shortly.read(words)
    if found is None:
        return None
    from genvx.cli.ask.where import Where

    gpus, command, quiet = found
    return shortly.run(Where(remote=True, quiet=quiet, **hosts), gpus, command)


def _remotes(where: Where, output: Output) -> int:
    from genvx.cli.views.remotes import show

    show(output)
    return 0


def _sweeps(where: Where, output: Output) -> int:
    from genvx.cli.views.sweeps import listing

    listing(output)
    return 0


def _usage(where: Where, output: Output) -> int:
    from genvx.cli.views.usage import Asked, show

    return show(where, output, Asked.usual())


# Verbs that ask no host, or only where files of this machine do not tell.
_WITHOUT_FLEET = {("remotes",): _remotes, ("sweeps", "list"): _sweeps, ("usage",): _usage}


def _hosts(arguments: list[str]) -> tuple[dict[str, Any] | None, list[str]]:
    """Read `remote` with its most usual options.

    Return the hosts of Where, None for this machine; and the words that are left.
    """
    if arguments[:1] != ["remote"]:
        return None, arguments
    hosts: dict[str, Any] = {}
    words = arguments[1:]
    while len(words) > 1 and words[0] in _HOSTS and not words[1].startswith("-"):
        # A second one counts for typer; whatever that says, it says.
        if _HOSTS[words[0]] in hosts:
            return None, []
        hosts[_HOSTS[words[0]]] = words[1]
        words = words[2:]
    return hosts, words
