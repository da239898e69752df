"""The defaults of .genvx.toml, for options of a request that were not typed."""

from __future__ import annotations

from typing import Any

from genvx.cli.parse.scan import FOR_EVER
from genvx.project import reading
from genvx.shown.console import say

# Options that exclude each other: one that is typed also overrides the others of the file.
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
    values.pop("project", None)  # of runs
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
    if path is None:
        return None
    try:
        named = reading.load(path, unasked=True).get("project")
    except reading.Stranger as stranger:
        say(f"genvx: {stranger}")
        return None
    return None if named is None else str(path.parent / named)
