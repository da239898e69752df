"""What a person typed after a verb: its options, and the words that follow."""

from __future__ import annotations

import getopt
import os
from typing import TYPE_CHECKING, Optional

from genvx.core.text import printable
from genvx.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from genvx.local.host import LocalHost

    # The values of each option, by its name.
    Given = dict[str, list[str]]


def parsed(verb: str, words: list[str], options: Sequence[str]) -> tuple[Given, list[str]]:
    """Return the options, and the words after them.

    Raises:
        InvalidInput: there is no such option, or its value is missing.
    """
    # getopt, not typer: the hosts have only the standard library.
    short = "g:o" if "gpus=" in options else ""
    if "wait=" in options:
        words = [*_with_value(words)]
    try:
        pairs, left = getopt.getopt(words, short, list(options))
    except getopt.GetoptError as error:
        raise InvalidInput(_refused(verb, error)) from None
    given: Given = {}
    for name, value in pairs:
        name = {"-g": "--gpus", "-o": "--over-subscribe"}.get(name, name)
        given.setdefault(name[2:], []).append(value)
    return given, left


def _with_value(words: Sequence[str]) -> Iterator[str]:
    """The words, of which a --wait without a time has an empty one: getopt knows no other."""
    for at, word in enumerate(words):
        if word == "--":
            yield from words[at:]
            return
        bare = word == "--wait" and not "".join(words[at + 1 : at + 2])[:1].isdigit()
        yield "--wait=" if bare else word


def _refused(verb: str, error: getopt.GetoptError) -> str:
    """Why options were refused, and what to type."""
    dashed = f"{'-' if len(error.opt) == 1 else '--'}{error.opt}"
    # The two mistakes that people make from habit get an answer that says what to type.
    if verb == "detach" and dashed in ("-g", "--gpus"):
        return f"detach has no {dashed}; --device 0,3 takes GPUs away, and without it all go"
    if dashed == "--json":
        return f"no --json here; from your own machine: genvx remote {verb} --json"
    return f"{verb}: {printable(error.msg, 100)}; see genvx --help"


def last(given: Given, name: str) -> Optional[str]:
    """Return the value of an option; the last one wins."""
    return given[name][-1] if name in given else None


def named(given: Given) -> list[str]:
    """Return the devices that --device names."""
    return [name.strip() for each in given.get("device", ()) for name in each.split(",")]


def environment(host: LocalHost, given: Given) -> str:
    """Return the id of the environment that the options name; by default this shell's."""
    wanted = last(given, "id")
    if wanted is not None:
        return host.identify(wanted)
    found = os.environ.get("GENVX_ENVIRONMENT_ID", "")
    if not found:
        raise InvalidInput("no environment is active in this shell; name one with --id")
    return found
