"""The defaults of .genvx.toml, for options of a request that were not typed."""

from __future__ import annotations

from typing import Any

from genvx.cli.parse.declaring import FOR_EVER
from genvx.project import reading
from genvx.shown.console import say

# Options that exclude each other: one that is typed also overrides the others of the file.
_OF_PYTHON = ("python", "setup", "wheels", "extra")
_OF_RUNS = ("project", *_OF_PYTHON)
_ALIKE = (("gpus", "device"), ("spread", "pack"))


def load(wanted: dict[str, Any], *, remote: bool, quiet: bool) -> None:
    """Add the values of this directory's .genvx.toml to options that were not given.

    Its values about hosts apply to genvx remote only.
    """
    path = reading.find()
    if path is None or wanted.get("id") is not None:
        return
    try:
        found = reading.load(path, unasked=True)
    except reading.Stranger as stranger:
        if not quiet:
            say(f"genvx: {stranger}")
        return
    values = {key.replace("-", "_"): value for key, value in found.items()}
    for key in _OF_RUNS:
        values.pop(key, None)
    if values.get("wait") is True:
        values["wait"] = FOR_EVER
    if not remote:
        for name in ("only_host", "exclude_host", "tag"):
            values.pop(name, None)
    for group in _ALIKE:
        if any(wanted[name] for name in group):
            for name in group:
                values.pop(name, None)
    # An option that was not typed is None, "" or False. `--gpus 0` is the text "0", which is true,
    # so it overrides the file.
    for name, value in values.items():
        if not wanted[name]:
            wanted[name] = value


def project() -> str | None:
    """The directory of the project that this directory's .genvx.toml names; None if none is."""
    path = reading.find()
    try:
        named = None if path is None else reading.load(path, unasked=True).get("project")
    except reading.Stranger as stranger:
        say(f"genvx: {stranger}")
        return None
    return None if path is None or named is None else str(path.parent / named)


def python() -> dict[str, Any]:
    """What this directory's .genvx.toml says of the Python of runs, by its keys."""
    path = reading.find()
    if path is None:
        return {}
    try:
        found = reading.load(path, unasked=True)
    except reading.Stranger:
        return {}  # `project` has said so
    if "wheels" in found:
        found["wheels"] = str(path.parent / found["wheels"])
    return {key: found[key] for key in _OF_PYTHON if key in found}
