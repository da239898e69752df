"""Running what uses devices: a command, a command in its turn, a shell in a terminal."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, Optional

from genvx.agent.holding import held
from genvx.agent.unread import Unread
from genvx.core.requests.ask import Join
from genvx.core.text import printable
from genvx.core.wire.job import Job
from genvx.core.wire.progress import Behind
from genvx.core.wire.reply import Reply
from genvx.errors import InvalidInput
from genvx.local import shells

if TYPE_CHECKING:
    from collections.abc import Mapping

    from genvx.agent.farend import FarEnd
    from genvx.core.line.turn import Turn
    from genvx.core.runs.container import Container
    from genvx.core.wire.ongoing import OpenShell, Run, RunInTurn


def _argv(environ: Mapping[str, str], job: Job) -> list[str]:
    """The words to execute: a command, which must exist, or the user's shell, which reads stdin."""
    if job.argv is None:
        return [shells.user_shell(environ)]
    from genvx.local.running.hold import find_command

    argv = list(job.argv)
    # Inside of a run, a path counts from the run's directory, where we are not.
    if not job.in_run or "/" not in argv[0]:
        find_command(argv, {**environ, **job.variables})
    return argv


def _directory(job: Job) -> Optional[str]:
    if job.cwd is not None and not os.path.isdir(job.cwd):
        raise InvalidInput(f"no such directory: {printable(job.cwd, 200)}")
    return job.cwd


def run(end: FarEnd, asked: Run) -> int:
    """Run a command that holds devices; the command gets what follows on stdin."""
    if asked.job.in_run:
        return _run_inside(end, asked)
    if asked.job.container is not None:
        return _run_boxed(end, asked, asked.job.container)
    argv, cwd = _argv(end.host.environ, asked.job), _directory(asked.job)
    holding = held(end.host, asked.wanted)
    end.reply(asked, holding.grant)
    return holding.supervise(
        argv, stdout=end.out, watch_client=True, variables=dict(asked.job.variables), cwd=cwd
    )


def _run_inside(end: FarEnd, asked: Run) -> int:
    job = asked.job
    if not isinstance(asked.wanted, Join):
        raise InvalidInput("a command inside of a run joins the run's environment")
    with end.host.enter(asked.wanted.environment_id, command=asked.wanted.command) as entry:
        argv = entry.in_container(job.argv or (), job.cwd) or _argv(entry.environment(), job)
        entry.place(job.cwd)
        end.reply(asked, entry.hold.grant)
        return entry.supervise(
            argv, stdout=end.out, watch_client=True, variables=job.variables, cwd=job.cwd
        )


def _run_boxed(end: FarEnd, asked: Run, container: Container) -> int:
    # Imported here: few commands start in a container.
    from genvx.local.runs.boxed import Boxed

    job = asked.job
    boxed = Boxed(end.host, container, job.cwd)
    holding = held(end.host, asked.wanted)
    end.reply(asked, holding.grant)
    return boxed.supervise(
        holding, job.argv, stdout=end.out, watch_client=True, variables=job.variables
    )


def run_in_turn(end: FarEnd, asked: RunInTurn) -> int:
    """Run a command in an environment when its turn comes, and report whom it waits for."""
    from genvx.local.turns import take_turn

    argv = _argv(end.host.environ, asked.job)
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
    job = asked.job or Job()
    if job.in_run:
        return _open_inside(end, asked, job)
    if job.container is not None:
        return _open_boxed(end, asked, job, job.container)
    argv = None if job.argv is None else _argv(end.host.environ, job)
    holding = end.host.join(asked.environment_id, command=_shown(end, job))
    path = _take_terminal(end)
    if argv is not None:
        from genvx.shell.prepare import with_path

        return holding.supervise(argv, variables=with_path(end.host.environ, path))
    return holding.enter_shell(
        prompt=asked.prompt is not None, host=asked.prompt or "", login=True, path=path
    )


def _open_boxed(end: FarEnd, asked: OpenShell, job: Job, container: Container) -> int:
    from genvx.local.runs.boxed import Boxed

    boxed = Boxed(end.host, container, job.cwd)
    # With a dash, as in a run: no shell was activated in place.
    shown = " ".join(job.argv) if job.argv else f"-{container.image}"
    holding = end.host.join(asked.environment_id, command=shown)
    _take_terminal(end)
    # The end of the terminal is that of the client, so it ends the container.
    return boxed.supervise(holding, job.argv, watch_client=True, variables=job.variables)


def _open_inside(end: FarEnd, asked: OpenShell, job: Job) -> int:
    # With a dash, as ps shows a login shell. Without it, our lease would look like that of a shell
    # that was activated in place: the process that holds it, we, was started outside of the run.
    shown = _shown(end, job) if job.argv else f"-{_shown(end, job)}"
    with end.host.enter(asked.environment_id, command=shown) as entry:
        if job.argv is None:
            path, name = _take_terminal(end), asked.prompt
            # We stay: ssh has no exit code for a shell that a signal ends, as at the run's end.
            return entry.open_shell(prompt=name is not None, host=name or "", path=path, stays=True)
        # Before the terminal is taken: what cannot start is refused without one.
        argv = None if entry.has_container else _argv(entry.environment(), job)
        entry.place(job.cwd)
        path = _take_terminal(end)
        from genvx.shell.prepare import with_path

        inside = argv or entry.in_container(job.argv, job.cwd)
        assert inside is not None, "it is one of them"
        variables = {**with_path(entry.environment(), path), **job.variables}
        return entry.supervise(inside, variables=variables, cwd=job.cwd)


def _shown(end: FarEnd, job: Job) -> str:
    """The command that joins, for people to read."""
    return " ".join(job.argv) if job.argv else os.path.basename(shells.user_shell(end.host.environ))


def _take_terminal(end: FarEnd) -> str:
    """Say that we have joined, and leave the terminal to what runs in it; return the directory of
    the program `genvx` that it finds there.
    """
    from genvx.agent import program
    from genvx.local import answers

    answers.leave(end.host.state, end.token, Reply())
    # From here on stdout is the terminal again, for the shell. The reply has gone by a file.
    os.dup2(end.out, 1)
    os.close(end.out)
    return program.leave()
