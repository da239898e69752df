"""Options of genvx after a verb that does not have them, and what to type instead."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

# The most verbs that the general answer names.
_MOST = 3

_TAKEN_AWAY = "--device 0,3 names GPUs; without it all are given back"
_BY_ID = "--id ENV names an environment, by its id or its name"
_ONE = "{} smi --id ENV shows one environment, {} envs --name NAME who holds it"
_BACK = "{} detach --device 0 --id ENV gives one GPU back, {} release ENV all"
_RELEASED = "the environment is written without an option: {} release ENV"
_TURN = "a turn is on all GPUs of the environment; {} attach --gpus N adds GPUs"
_ENDS = "--time 2h ends it after a time"

# By verb and option. {} stands for "genvx" or "genvx remote", as the user typed it.
ANSWERS = {
    ("detach", "--gpus"): _TAKEN_AWAY,
    ("detach", "-g"): _TAKEN_AWAY,
    ("detach", "--gpu-memory"): _TAKEN_AWAY,
    ("detach", "--min-memory"): _TAKEN_AWAY,
    ("release", "--gpus"): _BACK,
    ("release", "-g"): _BACK,
    ("release", "--device"): _BACK,
    ("release", "--id"): _RELEASED,
    ("release", "--name"): _RELEASED,
    ("release", "-n"): _RELEASED,
    ("release", "--force"): "--kill ends its processes first",
    ("attach", "--name"): _BY_ID,
    ("attach", "-n"): _BY_ID,
    ("detach", "--name"): _BY_ID,
    ("detach", "-n"): _BY_ID,
    ("lock", "--name"): _BY_ID,
    ("lock", "-n"): _BY_ID,
    ("smi", "--name"): _BY_ID,
    ("smi", "-n"): _BY_ID,
    ("status", "--id"): _ONE,
    ("status", "--name"): _ONE,
    ("status", "-n"): _ONE,
    ("devices", "--id"): _ONE,
    ("envs", "--id"): _ONE,
    ("lock", "--gpus"): _TURN,
    ("lock", "-g"): _TURN,
    ("lock", "--device"): _TURN,
    ("lock", "--wait"): "it always waits; --timeout 10m waits at most 10 minutes",
    ("acquire", "--time"): "--for 2h says how long",
    ("acquire", "--wait"): "it takes what is free now; {} run --wait -- CMD waits",
    ("activate", "--for"): _ENDS,
    ("run", "--for"): _ENDS,
    ("sandbox up", "--hosts"): "--gpus has a number for each host: --gpus 8,8,8 is three hosts",
}


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
