"""Options of genvx after a verb that does not have them, and what to type instead."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from genvx.cli.words.expected import ANSWERS

if TYPE_CHECKING:
    from collections.abc import Iterator

# The most verbs that the general answer names.
_MOST = 3


def answer(option: str, path: str) -> str | None:
    """Return what to type instead of an option that people expect at this verb; None if none is.

    path: the verb, as in "genvx remote envs".
    """
    prefix, verb = _parted(path)
    found = ANSWERS.get((verb, option))
    return None if found is None else found.replace("{}", prefix)


def elsewhere(option: str, path: str, command: Any) -> str | None:
    """Return a message that says which verbs have the option; None if none has.

    command: the click command of genvx.
    """
    prefix, verb = _parted(path)
    remote = command.commands["remote"]
    if prefix == "genvx" and _has(remote, option):
        return "it is an option of genvx remote, as in: genvx remote -H A,B devices"
    group = command if prefix == "genvx" else remote
    verbs = [name for name, each in _verbs(group) if _has(each, option)]
    if not verbs:
        return None
    if not verb:
        return f"write it after a verb: {prefix} {verbs[0]} {option}"
    more = " and others" if len(verbs) > _MOST else ""
    return f"it is an option of {prefix} {', '.join(verbs[:_MOST])}{more}"


def _parted(path: str) -> tuple[str, str]:
    """Split a path into `genvx` or `genvx remote`, and the verb; "" if there is none."""
    words = path.split()
    at = 2 if words[1:2] == ["remote"] else 1
    return " ".join(words[:at]), " ".join(words[at:])


def _verbs(group: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if command.hidden or name == "remote":
            continue
        if hasattr(command, "commands"):
            yield from _verbs(command, f"{path}{name} ")
        else:
            yield f"{path}{name}", command


def _has(command: Any, option: str) -> bool:
    return any(option in param.opts for param in command.params)
