"""genvx remote run as it is typed most often: GPUs and a command, nothing else.

To load the verb, with all that it can do, takes longer than to start the command where connections
are kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from genvx.cli.ask import hostoptions, options
from genvx.cli.parse.declaring import Context, parameters_of
from genvx.cli.parse.loading import root
from genvx.cli.parse.plain import take_options
from genvx.core.value import replace
from genvx.errors import NoCapacity

if TYPE_CHECKING:
    from collections.abc import Callable

    from genvx.cli.ask.where import Where


def answering(words: list[str]) -> Callable[[], int] | None:
    """Return what runs the command of a command line; None if that is something else."""
    if words[:1] != ["remote"]:
        return None
    remote, rest = root().verbs["remote"], words[1:]
    hosts: dict[str, Any] = {}
    if not take_options(remote.parameters, rest, hosts) or rest[:1] != ["run"]:
        return None
    found = read(rest[1:])
    if found is None:
        return None

    def answer() -> int:
        gpus, command, quiet = found
        context = Context(remote.name, None, hosts, "run")
        remote.told(context, hosts)
        where: Where = context.obj
        return run(replace(where, quiet=True) if quiet else where, gpus, command)

    return answer


def _run(gpus: options.Gpus = None, quiet: hostoptions.Quiet = False) -> None:
    """Has the options that are read here."""


def read(words: list[str]) -> tuple[str, list[str], bool] | None:
    """Read what follows `run`: -g N, perhaps -q, and a command behind --.

    Return the GPUs, the command and whether -q was given; None if it is something else.
    """
    if "--" not in words or words[-1] == "--":
        return None
    end = words.index("--")
    asked, command = words[:end], words[end + 1 :]
    given: dict[str, Any] = {}
    if not take_options(parameters_of(_run), asked, given) or asked or "gpus" not in given:
        return None
    return given["gpus"], command, given.get("quiet", False)


def run(where: Where, gpus: str, command: list[str]) -> int:
    """Run a command on such devices of the best host; return its exit code, as the verb does."""
    from genvx.cli.ask.request import Request
    from genvx.cli.holds.remote import run_remotely
    from genvx.core.requests.requirements import Requirements

    request = Request(Requirements.parse(gpus))
    for note in where.remote_notes():
        where.note(note)
    try:
        return run_remotely(where, request, command)
    except NoCapacity as error:
        from genvx.cli.show.refusal import advise

        advise(error)
        raise
