"""The answer to a word that genvx does not have, if people mean something by it."""

from __future__ import annotations

import difflib
import re
from typing import Any

from genvx.cli.parse.scan import scan
from genvx.cli.words import misplaced
from genvx.cli.words.options import OPTIONS
from genvx.cli.words.runsverbs import RUNS_VERBS
from genvx.cli.words.verbs import VERBS
from genvx.core.text import printable


def meaning(error: Any, command: Any, words: list[str]) -> str | None:
    """Return the answer to a word that genvx does not have; None if the word is not known.

    error: why the words were refused. command: the click command of genvx.
    """
    option = getattr(error, "option_name", None)
    # Other errors name an option, too: one without its value, or with one that it does not take.
    if option is not None and hasattr(error, "possibilities"):
        return _answer(option, _instead(option, error.ctx, command), "genvx")
    path = ["genvx"]
    for _, word, found in scan(command, words):
        if word.startswith("-"):
            continue
        if found is None:
            if path == ["genvx", "remote"] and word in command.commands:
                return f"{word} is for this machine only: genvx {word}"
            if path == ["genvx", "remotes"]:
                shown = printable(word, 40)
                near = difflib.get_close_matches(word, command.commands["remotes"].commands, 1, 0.7)
                if near:
                    return f"there is no {shown} here; did you mean {near[0]}?"
                return (
                    f"genvx remotes status {shown} shows one; genvx --remote {shown} VERB asks it"
                )
            table, typed = (RUNS_VERBS, path[:-1]) if path[-1] == "runs" else (VERBS, path)
            if typed not in (["genvx"], ["genvx", "remote"]):
                return None
            answer = _answer(word, table.get(word), " ".join(typed))
            if answer is None and path == ["genvx"] and word in command.commands["remote"].commands:
                return f"{word} is for the hosts of genvx remote: genvx remote {word}"
            return answer
        path.append(word)
    return None


def plainly(reason: str) -> str:
    """Return why words were refused, as typer says it, in words for people."""
    reason = re.sub(r"is not a valid int(eger)?( range)?", "is not a whole number", reason)
    reason = re.sub(r"is not a valid float( range)?", "is not a number", reason)
    reason = re.sub(r"is not in the range (\S+)<=x<=(\S+)", r"is not from \1 to \2", reason)
    return re.sub(r"is not in the range x>=(\S+)", r"is less than \1", reason)


def _instead(option: str, context: Any, command: Any) -> str | None:
    """Return what to type in place of an option that does not exist."""
    path = "genvx" if context is None else context.command_path
    expected = misplaced.answer(option, path)
    if expected is not None:
        return expected
    ours, others = misplaced.elsewhere(option, path, command), OPTIONS.get(option)
    # At a verb that takes GPUs, people mean Slurm's -w (a node), not the --watch of other verbs.
    asks = context is not None and any("--spread" in each.opts for each in context.command.params)
    return (others or ours) if asks else (ours or others)


def _answer(word: str, answer: str | None, prefix: str) -> str | None:
    if answer is None:
        return None
    return f"there is no {printable(word, 40)} here; {answer.replace('{}', prefix)}"
