"""Runs of other users, which root may end.

What another user has written there is their word only. So root reads and writes a run's directory
with the rights of its owner, and signals a process only once the kernel has shown that it is the
run's supervisor.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import signal
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from genvx.core.requests.requirements import Requirements
from genvx.core.runs.run import Moment, RunSpec
from genvx.core.runs.runinfo import RunInfo
from genvx.core.runs.runselect import chosen
from genvx.core.runs.runstate import Running, StopReason, is_over
from genvx.core.wire.plain import Malformed
from genvx.errors import GenvxError, StateError, UnknownRun
from genvx.local import facts, signals
from genvx.local.runs import lock
from genvx.local.runs.record import StopRequest
from genvx.local.runs.shelf import RunShelf

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Optional

    from genvx.core.runs.supervision import Supervision
    from genvx.local.runs.record import RunDirectory
    from genvx.local.state.directory import StateDirectory


def found(state: StateDirectory, wanted: str) -> list[RunInfo]:
    """Return the runs of others with a living supervisor whose id or its beginning was typed."""
    return [_info(each) for each in _supervisions(state, wanted)]


def stop(state: StateDirectory, wanted: str, grace: Optional[float], *, force: bool) -> RunInfo:
    """Have a run of another user end; return it as it was.

    Raises:
        UnknownRun: none is meant, or several are. StateError: the process that is named as its
        supervisor is none.
    """
    several = _supervisions(state, wanted)
    if len(several) != 1:
        raise UnknownRun(f"{len(several) or 'no'} runs of other users match; give the whole id")
    (supervision,) = several
    run = _info(supervision)
    if is_over(run.state):
        return run
    wait = run.spec.grace if grace is None else grace
    # Where it cannot be written, the signal alone asks for the same: it has our uid.
    with suppress(GenvxError, OSError), _as_owner(supervision), _opened(supervision) as directory:
        directory.request_stop(StopRequest(StopReason.ASKED, state.uid, wait, force))
    sent = []

    def meant() -> bool:
        if lock.is_supervisor(state, supervision):
            sent.append(supervision)
        return bool(sent)

    signals.send(supervision.pid, signal.SIGTERM, meant)
    if not sent and lock.supervision_of(state, supervision.owner.uid, run.id) is not None:
        raise StateError(
            f"process {supervision.pid} is not the supervisor of run {run.id} of "
            f"{supervision.owner}, and is not signalled; genvx release {run.id} --kill as that "
            "user ends what holds its GPUs"
        )
    return run


def _supervisions(state: StateDirectory, wanted: str) -> list[Supervision]:
    meant = chosen(wanted)
    living = [each for each in lock.living(state) if each.owner.uid != state.uid]
    return [each for each in living if each.id == wanted] or [
        each for each in living if meant.is_beginning_of(each.id)
    ]


def _info(supervision: Supervision) -> RunInfo:
    """The run as its record says it, as far as that can be read."""
    note = f"it is {supervision.owner}'s"
    try:
        with _as_owner(supervision), _opened(supervision) as directory:
            spec, (state, _) = directory.spec(), directory.state()
            if spec.id == supervision.id:
                return RunInfo(spec, state, note, log_bytes=directory.log_bytes())
    except (GenvxError, OSError, Malformed):
        pass
    unknown = Moment(0, 0)
    spec = RunSpec(
        supervision.id,
        ("?",),
        Requirements(0),
        facts.machine_id(),
        facts.hostname(),
        unknown,
    )
    running = Running(unknown, (), supervision.pid, supervision.starttime)
    return RunInfo(spec, running, f"{note}, and its record cannot be read")


def _opened(supervision: Supervision) -> RunDirectory:
    """The run's directory. Raises StateError if it is not one of its owner's."""
    root, name = os.path.split(supervision.directory)
    identifier = supervision.id
    # A part of a gang has its rank behind its id.
    directory = RunShelf(root).open(name if name.startswith(f"{identifier}.") else identifier)
    if directory.owner != supervision.owner.uid:
        directory.close()
        raise StateError("the directory of the run is not its owner's")
    return directory


@contextmanager
def _as_owner(supervision: Supervision) -> Iterator[None]:
    """Have only the owner's rights on files meanwhile; in this thread, as the kernel has it."""
    libc = ctypes.CDLL(None)
    uid = supervision.owner.uid
    try:
        gid = pwd.getpwuid(uid).pw_gid
    except KeyError:
        gid = uid
    before = os.geteuid(), os.getegid()
    libc.setfsgid(gid)
    libc.setfsuid(uid)
    try:
        # They report no error; asked for an impossible uid, they say which one there is.
        if ctypes.c_uint(libc.setfsuid(-1)).value != uid:
            raise StateError(f"cannot take the rights of {supervision.owner}")
        yield
    finally:
        libc.setfsuid(before[0])
        libc.setfsgid(before[1])
