"""Running what uses devices: a command, a command in its turn, a shell in a terminal."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, Optional

from genvx.agent.holding import held
from genvx.agent.unread import Unread
from genvx.core.text import printable
from genvx.core.wire.progress import Behind
from genvx.core.wire.reply import Reply
from genvx.errors import InvalidInput
from genvx.local import shells

if TYPE_CHECKING:
    from genvx.agent.farend import FarEnd
    from genvx.core.line.turn import Turn
    from genvx.core.wire.job import Job
    from genvx.core.wire.ongoing import OpenShell, Run, RunInTurn
    from genvx.local.host import LocalHost


def _argv(host: LocalHost, job: Job) -> list[str]:
    """The words to execute: a command, which must exist, or the user's shell, which reads stdin."""
    if job.argv is None:
        return [shells.user_shell(host.environ)]
    from genvx.local.running.hold import find_command

    argv = list(job.argv)
    find_command(argv, host.environ)
    return argv


def _directory(job: Job) -> Optional[str]:
    if job.cwd is not None and not os.path.isdir(job.cwd):
        raise InvalidInput(f"no such directory: {printable(job.cwd, 200)}")
    return job.cwd


def run(end: FarEnd, asked: Run) -> int:
    """Run a command that holds devices; the command gets what follows on stdin."""
    argv, cwd = _argv(end.host, asked.job), _directory(asked.job)
    holding = held(end.host, asked.wanted)
    end.reply(asked, holding.grant)
    return holding.supervise(
        argv, stdout=end.out, watch_client=True, variables=dict(asked.job.variables), cwd=cwd
    )


def run_in_turn(end: FarEnd, asked: RunInTurn) -> int:
    """Run a command in an environment when its turn comes, and report whom it waits for."""
    from genvx.local.turns import take_turn

    argv = _argv(end.host, asked.job)
    command = " ".join(argv)
    last = [Behind("")]

    def tell(turn: Turn) -> None:
        last[0] = Behind(str(turn))
        again()

    def again() -> None:
        # Repeated, because a client that hears nothing for long takes the connection for lost.
        end.reply(asked, last[0])

    with end.host.join(asked.environment_id, command=command) as holding:
        turn = take_turn(
            end.host,
            asked.environment_id,
            command=command,
            patience=math.inf if asked.patience is None else asked.patience,
            tell=tell,
            stop=Unread(end.out, again),
        )
        try:
            end.reply(asked, holding.grant)
            # Background processes of the command keep the turn, as they keep the lease.
            os.set_inheritable(turn.descriptor, True)
            return holding.supervise(argv, stdout=end.out, watch_client=True)
        finally:
            turn.leave()


def open_shell(end: FarEnd, asked: OpenShell) -> int:
    """Join an environment and become the shell, or run a command, in the terminal of stdin."""
    from genvx.agent import program
    from genvx.local import answers

    environ = end.host.environ
    argv = None if asked.job is None else _argv(end.host, asked.job)
    shown = " ".join(argv) if argv else os.path.basename(shells.user_shell(os.environ))
    holding = end.host.join(asked.environment_id, command=shown)
    answers.leave(end.host.state, end.token, Reply())
    # From here on stdout is the terminal again, for the shell. The reply has gone by a file.
    os.dup2(end.out, 1)
    os.close(end.out)
    path = program.leave()
    if argv is not None:
        from genvx.shell.prepare import with_path

        return holding.supervise(argv, variables=with_path(environ, path))
    return holding.enter_shell(
        prompt=asked.prompt is not None, host=asked.prompt or "", login=True, path=path
    )
