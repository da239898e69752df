"""Submitting a run: its record is made, its supervisor is started, and says whether it goes on."""

from __future__ import annotations

import os
import select
import signal
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Optional

from genvx._version import __version__
from genvx.core.escalation import GRACE
from genvx.core.runs.run import MOST_PATIENCE, require_tags
from genvx.core.runs.runinfo import RunInfo
from genvx.core.runs.runstate import StopReason
from genvx.core.text import MESSAGE_LIMIT, printable
from genvx.core.value import replace
from genvx.core.wire.fields import Fields
from genvx.core.wire.plain import Malformed, dumps, loads
from genvx.core.wire.runcodec import STATE
from genvx.errors import GenvxError, InvalidInput, StateError, from_wire
from genvx.local import facts, fresh
from genvx.local.machine import Machine
from genvx.local.running.logind import outlive_logout
from genvx.local.runs import lock, projectdiff
from genvx.local.runs.clock import now
from genvx.local.runs.notify import kept, post
from genvx.local.runs.places import home_of, name_in, runs_root, shown_path
from genvx.local.runs.preparing import Preparation, made_for
from genvx.local.runs.record import Marks, StopRequest
from genvx.local.runs.shelf import RunShelf
from genvx.local.runs.supervisor import Supervisor

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Callable

    from genvx.core.runs.part import Meeting
    from genvx.core.runs.run import RunSpec
    from genvx.core.runs.runstate import RunState
    from genvx.local.trees.store import TreeStore

# So long a supervisor has to say that its run waits or runs.
_ACCEPTANCE = 60.0
_MOST_BYTES = 1 << 20
# Variables of the environment in which a run was submitted.
_OF_ANOTHER = ("GENVX_ENVIRONMENT_ID", "GENVX_RUN_ID", "GENVX_RUN_DIR")


def submit(
    host: Machine,
    asked: RunSpec,
    *,
    patience: Optional[float] = None,
    tags: tuple[str, ...] = (),
    fork: bool = False,
    meeting: Optional[Meeting] = None,
) -> RunInfo:
    """Start a run here that outlives us; return it as it was accepted: waiting, or running.

    asked: what is wanted; where and when it was submitted is filled in. patience: seconds to wait
    in line at most; None does not wait. tags: its first ones. fork: the supervisor is a copy of
    this process, which must have one thread and should be small; otherwise it is a fresh Python.
    meeting: where a part of a gang meets the others.

    Raises:
        NoCapacity, InvalidInput, StateError: it was not accepted, and nothing is left of it.
    """
    _require_start(host, asked)
    spec = replace(
        asked,
        machine=facts.machine_id(),
        host=facts.hostname(),
        submitted=now(),
        version=__version__,
        patience=asked.patience if patience is None else min(patience, MOST_PATIENCE),
    )
    shelf = RunShelf(runs_root(host.environ))
    require_tags(tags)
    with shelf.create(spec) as directory:
        try:
            projectdiff.write(directory, spec)
            kept.write(directory, spec)
            if tags:
                directory.write_marks(Marks(tags=tags))
            if meeting is not None:
                directory.write_meeting(meeting)
        except StateError:
            shelf.discard(name_in(spec))
            raise
    read, write = os.pipe()
    try:
        try:
            if fork:
                _fork(host, name_in(spec), shelf.root, patience, write)
            else:
                _spawn(host.environ, name_in(spec), shelf.root, patience, write)
        except OSError as error:
            shelf.discard(name_in(spec))
            raise StateError(f"cannot start the supervisor of the run: {error.strerror}") from None
        finally:
            os.close(write)
        state, note = _answer(read, shelf, name_in(spec))
    finally:
        os.close(read)
    shelf.accepted(name_in(spec))
    with shelf.open(name_in(spec)) as directory:
        path = shown_path(directory.path)
        port = None if spec.debug_port is None else directory.open_port()
    return RunInfo(spec.stored, state, note, tags=tags, directory=path, open_port=port)


def _require_start(host: Machine, asked: RunSpec) -> None:
    """Refuse what cannot start, before anything is taken for it."""
    from genvx.local.running.hold import find_command

    if asked.project is not None:
        _trees(host).require(asked.project.tree)
    # Shown whole, because a relative one is below the home of this host.
    cwd = os.path.join(home_of(host.environ), asked.cwd)
    if asked.cwd and asked.project is None and not os.path.isdir(cwd):
        raise InvalidInput(f"no such directory: {printable(cwd, 300)}")
    if asked.container is not None:
        from genvx.local.runs import container

        container.require(host, asked)
    elif asked.python is not None:
        from genvx.local.runs.runpython import require

        require(host, asked, made_for(asked))
    elif "/" not in asked.argv[0] and not asked.setup:
        find_command(asked.argv, {**host.environ, **asked.variables})
    kept.require_all(host, asked)
    if asked.debug_port is not None:
        from genvx.local.runs.debug import port

        port.require(host)


def _answer(read: int, shelf: RunShelf, run: str) -> tuple[RunState, str]:
    """What the supervisor says of itself, and to its user. One that says nothing in time is told to
    stop.
    """
    data = b""
    # Not select(), which takes no descriptor above 1023: a program may have many files open.
    poll = select.poll()
    poll.register(read, select.POLLIN)
    while not data.endswith(b"\n") and len(data) < _MOST_BYTES:
        if not poll.poll(_ACCEPTANCE * 1000):
            with shelf.open(run) as directory:
                directory.request_stop(StopRequest(StopReason.ASKED, os.getuid(), GRACE))
            raise StateError(
                f"the supervisor of run {run} did not say in time whether it runs, and was asked "
                "to stop; runs info shows what became of it"
            )
        part = os.read(read, 65536)
        if not part:
            raise StateError("the supervisor of the run ended before it said why")
        data += part
    try:
        fields = Fields(loads(data), "the supervisor's answer")
        if fields.has("error"):
            raise from_wire(fields.string("error", 64), fields.text("message", 2000))
        return STATE.read(fields.raw("state")), fields.text("note", MESSAGE_LIMIT)
    except Malformed as error:
        raise StateError(f"the supervisor's answer cannot be read: {error}") from None


def _fork(host: Machine, run: str, root: str, patience: Optional[float], write: int) -> None:
    child = os.fork()
    if child == 0:
        try:
            os.setsid()
            if os.fork() == 0:
                supervise(lambda: Machine(environ=host.environ), run, root, patience, write)
        finally:
            os._exit(0)
    os.waitpid(child, 0)


def _spawn(
    environ: Mapping[str, str], run: str, root: str, patience: Optional[float], write: int
) -> None:
    words = [run, root, "" if patience is None else str(patience)]
    code = "from genvx.local.runs import __main__ as m; m.main()"
    pid = os.posix_spawn(
        sys.executable,
        fresh.command(code, *words),
        # By these a process belongs to the environment in which it was started, and ends with it.
        {name: text for name, text in environ.items() if name not in _OF_ANOTHER},
        file_actions=[(os.POSIX_SPAWN_DUP2, write, 1)],
    )
    os.waitpid(pid, 0)


def supervise(
    make_host: Callable[[], Machine],
    run: str,
    root: str,
    patience: Optional[float],
    write: int,
) -> None:
    """Be the supervisor of a run whose record is made; returns at its end.

    run: the name of its directory in `root`. write: the pipe on which the client waits for an
    answer.
    """
    pipe = [_leave(write)]

    def answer(words: Mapping[str, Any]) -> None:
        if pipe:  # the client waits for one answer
            descriptor = pipe.pop()
            with suppress(OSError):  # the client is gone; the run goes on
                os.write(descriptor, dumps(words) + b"\n")
            os.close(descriptor)

    def refuse(kind: str, message: str) -> None:
        if pipe:  # it was not accepted: once the client knows that, nothing of it is left
            shelf.discard(run)
            answer({"error": kind, "message": message})

    shelf = RunShelf(root)
    try:
        with shelf.open(run) as directory:
            spec = directory.spec()
            _say_where(directory.path, spec.id)
            note = outlive_logout(f"genvx-run-{spec.id}")
            host = make_host()
            if "SLURM_JOB_ID" in host.environ:
                from genvx.local.devices.allocated import shortened

                ends = shortened(host.environ, spec.seconds)
                note = "; ".join(each for each in (note, ends) if each)
            preparation = Preparation(host, spec, directory)
            held = lock.supervise(host.state, spec.id, directory.path)
            try:
                supervisor = Supervisor(
                    host,
                    spec,
                    directory,
                    lambda state: answer({"state": STATE.write(state), "note": note}),
                    preparation,
                    post.start(host.environ, spec, directory),
                )
                supervisor.run(patience=patience)
            finally:
                if spec.tty:
                    from genvx.local.runs import viewsocket

                    # Also after an error. Nobody looks for it once the supervisor's file is gone.
                    viewsocket.remove(host.state, spec.id)
                held.withdraw()
    except GenvxError as error:
        refuse(type(error).__name__, str(error))
    except (OSError, Malformed) as error:
        refuse(StateError.__name__, f"cannot supervise the run: {error}")


def _trees(host: Machine) -> TreeStore:
    # Imported here: most runs have no project, and hashlib would be a fifth of a supervisor's
    # memory.
    from genvx.local.trees.store import TreeStore, trees_root

    return TreeStore(trees_root(host.environ))


def _leave(write: int) -> int:
    """Close all descriptors of the client's; otherwise its connection could not end.

    Returns the number that the pipe has then.
    """
    for number in (signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)
    os.chdir("/")
    os.umask(0o077)
    kept = os.dup2(write, 3)
    os.set_inheritable(kept, False)
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in range(3):
        os.dup2(null, descriptor)
    os.closerange(kept + 1, 65536)
    return kept


def _say_where(directory: str, run: str) -> None:
    """Have what we say land in the run's directory, and be called by a name in ps and top."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
    own = os.open(os.path.join(directory, "supervisor.log"), flags, 0o600)
    os.dup2(own, 1)
    os.dup2(own, 2)
    os.close(own)
    with suppress(OSError), open("/proc/self/comm", "w", encoding="ascii") as file:
        file.write(f"genvx-{run}")
