"""Operations that continue after their first reply: they hold devices, and run what uses them.

Each is passed this end of its call, and returns the exit code of the process.
"""

from __future__ import annotations

import contextlib
import math
import os
from typing import TYPE_CHECKING, Any, Callable, Optional

from genvx.agent.client import JOINS, TAKES, Client, Unread
from genvx.core.ask import Ask, Join, Wanted
from genvx.core.text import printable
from genvx.core.wire import ongoing
from genvx.core.wire.progress import Behind, Joined, NeverRan
from genvx.core.wire.reply import Reply
from genvx.errors import InvalidInput
from genvx.local import shells

if TYPE_CHECKING:
    from collections.abc import Mapping

    from genvx.agent.farend import FarEnd
    from genvx.core.standing import Standing
    from genvx.core.turn import Turn
    from genvx.core.wire.job import Job
    from genvx.core.wire.operation import Operation
    from genvx.core.wire.runoperations import WatchRun
    from genvx.local.host import LocalHost
    from genvx.local.running.hold import LocalHold

# Seconds that a client has to accept an offer. Meanwhile the devices are kept from all others.
_ANSWER = 30.0

# Seconds between checks whether a shell has joined. A person waits for it.
_LOOK = 0.05


def hold(end: FarEnd, asked: ongoing.Hold) -> int:
    """Hold devices until the client closes stdin, is gone, is silent too long, or its shell has
    joined.
    """
    client = Client(end.out, math.inf if asked.silence is None else asked.silence)
    waits = isinstance(asked.wanted, Ask) and asked.wanted.patience is not None
    with _taken(end, asked, client if waits else None) as held:
        end.reply(asked, held.grant)
        if waits and not client.says(TAKES, _ANSWER):
            return 0  # an offer that is not accepted goes to the next in line
        # The shell that joins has the same end of time. A hold under which nothing runs just ends.
        if client.says(JOINS, held.grant.seconds):
            _hand_over(end, asked, client)
    return 0


def _taken(end: FarEnd, asked: ongoing.Hold, client: Optional[Client]) -> LocalHold:
    """Acquire or join what is wanted. client: listens while we wait in line; None does not wait."""
    wanted = asked.wanted
    if client is None or isinstance(wanted, Join):
        return _held(end.host, wanted)

    def tell(standing: Standing) -> None:
        if client.wants_news(standing):
            end.reply(asked, standing)

    return end.host.wait(wanted, tell, client)


def _held(host: LocalHost, wanted: Wanted) -> LocalHold:
    if isinstance(wanted, Join):
        return host.join(wanted.environment_id, command=wanted.command)
    return host.acquire(wanted)


def _hand_over(end: FarEnd, asked: ongoing.Hold, client: Client) -> None:
    """Wait for the shell that joins under our call's token, and tell the client the result.

    Once the client closes stdin, its terminal has ended, and no shell will join any more.
    """
    from genvx.local import answers

    answer, over = None, False
    while answer is None and not over:
        # Look once more after the client is gone: the answer may have been left just before.
        over = client.wait(_LOOK)
        answer = answers.collect(end.host.state, end.token)
    # The client may have closed its other end, too; then nobody reads this.
    with contextlib.suppress(BrokenPipeError):
        if answer is not None and answer.error is not None:
            end.send(answer)
        else:
            end.reply(asked, NeverRan(shells.first_file()) if answer is None else Joined())


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


def run(end: FarEnd, asked: ongoing.Run) -> int:
    """Run a command that holds devices; the command gets what follows on stdin."""
    argv, cwd = _argv(end.host, asked.job), _directory(asked.job)
    held = _held(end.host, asked.wanted)
    end.reply(asked, held.grant)
    return held.supervise(
        argv, stdout=end.out, watch_client=True, variables=dict(asked.job.variables), cwd=cwd
    )


def run_in_turn(end: FarEnd, asked: ongoing.RunInTurn) -> int:
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

    with end.host.join(asked.environment_id, command=command) as held:
        turn = take_turn(
            end.host,
            asked.environment_id,
            command=command,
            patience=math.inf if asked.patience is None else asked.patience,
            tell=tell,
            stop=Unread(end.out, again),
        )
        try:
            end.reply(asked, held.grant)
            # Background processes of the command keep the turn, as they keep the lease.
            os.set_inheritable(turn.descriptor, True)
            return held.supervise(argv, stdout=end.out, watch_client=True)
        finally:
            turn.leave()


def open_shell(end: FarEnd, asked: ongoing.OpenShell) -> int:
    """Join an environment and become the shell, or run a command, in the terminal of stdin."""
    from genvx.agent import program
    from genvx.local import answers

    environ = end.host.environ
    argv = None if asked.job is None else _argv(end.host, asked.job)
    shown = " ".join(argv) if argv else os.path.basename(shells.user_shell(os.environ))
    held = end.host.join(asked.environment_id, command=shown)
    answers.leave(end.host.state, end.token, Reply())
    # From here on stdout is the terminal again, for the shell. The reply has gone by a file.
    os.dup2(end.out, 1)
    os.close(end.out)
    path = program.leave()
    if argv is not None:
        from genvx.shell.prepare import with_path

        return held.supervise(argv, variables=with_path(environ, path))
    return held.enter_shell(
        prompt=asked.prompt is not None, host=asked.prompt or "", login=True, path=path
    )


def watch(end: FarEnd, asked: WatchRun) -> int:
    """Send how a run is and its log as it grows, until it has ended or the client is gone."""
    client = Client(end.out)
    with contextlib.suppress(BrokenPipeError):  # it is gone; the run goes on
        for news in end.host.watch(asked, client.wait):
            end.reply(asked, news)
    return 0


ACTS: Mapping[type[Operation[Any]], Callable[[FarEnd, Any], int]] = {
    ongoing.Hold: hold,
    ongoing.Run: run,
    ongoing.RunInTurn: run_in_turn,
    ongoing.OpenShell: open_shell,
}


def acting(kind: type[Operation[Any]]) -> Callable[[FarEnd, Any], int]:
    """The function for operations of a class."""
    return ACTS.get(kind, watch)
