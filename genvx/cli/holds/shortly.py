"""genvx remote run as it is typed most often, without typer: GPUs and a command, nothing else.

Importing typer and building its commands takes longer than to start the command where connections
are kept. With any other option the verb goes through typer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from genvx.errors import NoCapacity

if TYPE_CHECKING:
    from genvx.cli.ask.where import Where


def read(words: list[str]) -> tuple[str, list[str], bool] | None:
    """Read what follows `run`: -g N, perhaps -q, and a command behind --.

    Return the GPUs, the command and whether -q was given; None if it is something else.
    """
    if "--" not in words:
        return None
    end = words.index("--")
    options, command = words[:end], words[end + 1 :]
    gpus, quiet = None, False
    while options:
        word = options.pop(0)
        if word in ("-q", "--quiet"):
            quiet = True
        elif word in ("-g", "--gpus") and options and not options[0].startswith("-"):
            # A second one counts for typer; whatever that says, it says.
            if gpus is not None:
                return None
            gpus = options.pop(0)
        elif word.startswith("--gpus=") and gpus is None:
            gpus = word.partition("=")[2]
        else:
            return None
    return None if gpus is None or not command else (gpus, command, quiet)


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
