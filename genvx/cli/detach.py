"""genvx run --detach: a run that its host keeps, started here or on the best host."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from genvx.core.run import HoldWhen, Moment, RunSpec
from genvx.core.runinfo import RunInfo
from genvx.core.runstate import (
    Failed,
    Waiting,
    end_of,
    name_of,
)
from genvx.core.units import parse_duration
from genvx.errors import InvalidInput, InvalidQuantity
from genvx.shown.console import say

if TYPE_CHECKING:
    from genvx.cli.ask.request import Request
    from genvx.cli.ask.where import Where


@dataclass(frozen=True)
class Detach:
    """What is said of a run besides its request for GPUs."""

    chdir: str = ""
    hold: int | None = None
    hold_when: HoldWhen = HoldWhen.ALWAYS
    retries: int = 0
    variables: dict[str, str] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    notify: str = ""

    @classmethod
    def parse(
        cls,
        chdir: str | None,
        hold: str | None,
        retries: int | None,
        env: list[str] | None,
        tags: list[str] | None,
        notify: str | None,
    ) -> Detach:
        """What the options say.

        Raises:
            InvalidInput: one of them makes no sense.
        """
        from genvx.core.command import require_variables
        from genvx.core.run import require_tags

        seconds, when = None, HoldWhen.ALWAYS
        if hold is not None:
            time, colon, word = hold.partition(":")
            try:
                seconds = max(1, round(parse_duration(time)))
                when = HoldWhen(word) if colon else HoldWhen.ALWAYS
            except InvalidQuantity as error:
                raise InvalidQuantity(f"--hold: {error}") from None
            except ValueError:
                raise InvalidInput("--hold is a time, as in 1h or 1h:on-failure") from None
        variables = {}
        for each in env or ():
            name, equals, text = each.partition("=")
            if not equals:
                raise InvalidInput("--env is NAME=VALUE")
            variables[name] = text
        require_variables(variables)
        every = require_tags(tuple(tags or ()))
        return cls(chdir or "", seconds, when, retries or 0, variables, every, notify or "")


def start_detached(
    where: Where, request: Request, command: list[str], asked: Detach, *, watched: bool = False
) -> int:
    """Start the run, print its id, and say what to type next; return the exit code.

    watched: also show its output until it ends, and return its exit code.
    """
    from genvx.fleet import runs

    if request.environment is not None:
        raise InvalidInput("--id joins an environment; a run with --detach is one of its own")
    chdir = asked.chdir
    if not where.remote:
        chdir = os.path.abspath(os.path.expanduser(chdir or "."))
    elif chdir == "~" or chdir.startswith("~/"):
        chdir = chdir[2:] or "."  # the directories of a host are counted from the home there
    spec = RunSpec(
        os.urandom(4).hex(),
        tuple(command),
        request.requirements,
        machine="",
        host="",
        submitted=Moment(0, 0),
        name=request.name,
        cwd=chdir,
        variables=asked.variables,
        seconds=None if request.time is None else max(1, round(request.time)),
        hold=asked.hold,
        hold_when=asked.hold_when,
        retries=asked.retries,
        notify=asked.notify,
        submitter=submitter(),
        stays=bool(request.selection),
    )
    with where.fleet(request.selection) as fleet:
        ours: Any = fleet  # every host of a verb has runs
        seen = where.look(fleet)
        host, run = runs.submit(ours, spec, seen, patience=request.wait, tags=asked.tags)
        code = announce(where, host.name, run)
        if code or not watched:
            return code
        from genvx.cli.following import follow

        return follow(where, fleet, host, run, looked=True)


def announce(where: Where, host: str, run: RunInfo) -> int:
    """Print the id of a run that was submitted, and what to type next; return the exit code."""
    print(run.id, flush=True)
    place = f" on {host}" if where.remote else ""
    where.note(f"run {run.label_or_id}{place} {beginning(run)}")
    if isinstance(run.state, Failed) and end_of(run.state) is None:
        say(f"genvx: {run.state.why}")
        return 1
    genvx = where.typed
    # A line each: in one, they would wrap in the middle of what people are to type.
    where.note(f"to see its output: {genvx} watch {run.id}")
    where.note(f"to end it: {genvx} runs stop {run.id}")
    return 0


def beginning(run: RunInfo) -> str:
    """What a run does that was just submitted, in words behind its name."""
    if isinstance(run.state, Waiting):
        return f"waits in line: place {run.state.place}" + (
            f" ({run.state.reason})" if run.state.reason else ""
        )
    devices = getattr(run.state, "devices", ())
    if not devices:
        return f"is {name_of(run.state)}, without a GPU"
    return f"is {name_of(run.state)} with {len(devices)} GPU{'' if len(devices) == 1 else 's'}"


def submitter() -> str:
    """Who submits a run from where, for people."""
    import getpass

    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"
