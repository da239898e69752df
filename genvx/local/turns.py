"""Taking turns on devices that several share: one at a time, in the order in which they came.

Lamport's bakery, with files for each who waits in his own directory: whoever comes says that he
chooses, takes a number above all that he sees, and waits for those with smaller ones and for those
who are choosing just then. A turn lives while somebody holds its file's lock, so whoever dies is
waited for no more. Nothing is written over, and who does not hold a device is not waited for.
"""

from __future__ import annotations

import math
import os
import stat
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Optional

from genvx.core.text import COMMAND_LIMIT, is_identifier, printable
from genvx.core.units import format_duration
from genvx.core.value import replace, value
from genvx.core.wire.fields import Fields, Malformed, dumps, loads
from genvx.errors import InvalidInput, StateError, WaitedTooLong
from genvx.local import processes, waiting
from genvx.local.state import locks
from genvx.local.state.directory import saying
from genvx.local.state.heldfile import MOST_BYTES, HeldFile, publish
from genvx.local.state.userdirectory import MOST_OF_A_KIND

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Callable

    from genvx.core.claim import Owner
    from genvx.local.machine import Machine
    from genvx.local.state.userdirectory import UserDirectory
    from genvx.local.waiting import Stop

_TURN, _CHOOSING = ".turn", ".choosing"
_SOON, _LATER = 0.05, 0.5
# Nobody comes so far by taking turns: whoever has it has written it himself, and a number above it
# would be malformed to all others, who would not wait for it.
_LAST = 1 << 62


@value
class Turn:
    """Whose turn it may be. number: 0 while it is chosen."""

    id: str
    owner: Owner
    environment: str
    devices: tuple[str, ...]
    number: int = 0
    pid: int = 0
    command: str = ""

    @property
    def order(self) -> tuple[int, str]:
        return (self.number, self.id)

    def __str__(self) -> str:
        what = f" ({self.command})" if self.command else ""
        return f"{self.owner}, process {self.pid}{what}"


def take_turn(
    host: Machine,
    environment: str,
    *,
    command: str = "",
    patience: float = math.inf,
    tell: Callable[[Turn], None] = lambda turn: None,
    stop: Optional[Stop] = None,
) -> HeldFile:
    """Wait until it is our turn on the devices of an environment of our own; it is until the file
    that we return is let go, by all who inherit its descriptor.

    patience: seconds to wait at most. tell: is told for whom we wait, when that changes. stop: ends
    the waiting when it is set, such as a threading.Event.

    Raises:
        UnknownEnvironment: there is none of that id of one's own. InvalidInput: it has no devices.
        WaitedTooLong: it was not our turn in time. StateError: the state cannot be written, too
            many of one's own wait already, or somebody has taken the last number that there is.
    """
    devices = host.mine(environment).devices
    if not devices:
        raise InvalidInput(f"environment {environment} has no GPUs to take turns on")
    mine = Turn(
        id=os.urandom(8).hex(),
        owner=processes.owner_of(host.state.uid),
        environment=environment,
        devices=devices,
        pid=os.getpid(),
        command=printable(command, COMMAND_LIMIT),
    )
    end = monotonic() + patience
    if sum(turn.owner == mine.owner for turn in _turns(host, mine)) >= MOST_OF_A_KIND:
        raise StateError(
            f"{MOST_OF_A_KIND} commands of yours take turns on this machine already, and more "
            "might not be seen; wait for some of them to end"
        )
    choosing = _publish(host, mine, _CHOOSING)
    try:
        last = max(_rivals(host, mine), key=lambda turn: turn.number, default=mine)
        if last.number >= _LAST:
            raise StateError(f"there is no turn after that of {last}, who did not take it fairly")
        mine = replace(mine, number=last.number + 1)
        held = _publish(host, mine, _TURN)
    finally:
        choosing.withdraw()  # not before our turn is there: at each moment one of the two is
    try:
        if not any(turn.id == mine.id for turn in _turns(host, mine)):
            # Others would not wait for us.
            raise StateError(
                f"no turn was taken: {held.path} is not seen by others; 'genvx doctor' may say why"
            )
        told: Optional[Turn] = None
        pause = _SOON
        while True:
            before = [t for t in _rivals(host, mine) if not t.number or t.order < mine.order]
            if not before:
                return held
            first = min(before, key=lambda turn: turn.order)
            if monotonic() >= end:
                raise WaitedTooLong(
                    f"no turn on the GPUs within {format_duration(patience)}: {first} has it"
                )
            if first.number and (told is None or told.id != first.id):
                told = first
                tell(first)
            if waiting.pause(min(pause, max(0.0, end - monotonic())), stop):
                raise WaitedTooLong("the waiting was ended")
            pause = min(pause * 1.5, _LATER)
    except BaseException:
        held.withdraw()
        raise


def run_in_turn(
    host: Machine,
    environment: str,
    command: Sequence[str],
    *,
    patience: float = math.inf,
    tell: Callable[[Turn], None] = lambda turn: None,
) -> int:
    """Run a command as its parent when its turn comes; return its exit code. For main threads only.

    Raises: as `take_turn`; CommandNotFound, CommandNotExecutable: it cannot be run.
    """
    from genvx.local.running import supervise
    from genvx.local.running.hold import find_command

    find_command(command, os.environ)
    turn = take_turn(host, environment, command=" ".join(command), patience=patience, tell=tell)
    try:
        return supervise.run(command, os.environ, lease=turn.descriptor)
    finally:
        turn.leave()


def _publish(host: Machine, turn: Turn, suffix: str) -> HeldFile:
    with saying("take a turn"), host.state.own() as directory:
        kept = os.dup(directory)
        try:
            while True:
                descriptor = publish(turn.id, suffix, _to_file(turn), directory)
                if descriptor is not None:
                    return HeldFile(turn.id + suffix, descriptor, kept)
        except BaseException:
            os.close(kept)
            raise


def _rivals(host: Machine, mine: Turn) -> list[Turn]:
    """The living turns of others on devices of ours, of those who hold these devices."""
    holdings: dict[str, set[tuple[int, str]]] = {}
    for lease in host.store.scan().leases:
        for uuid in lease.devices:
            holdings.setdefault(uuid, set()).add(lease.key)
    found = []
    for turn in _turns(host, mine):
        shared = set(turn.devices) & set(mine.devices)
        key = (turn.owner.uid, turn.environment)
        if turn.id != mine.id and any(key in holdings.get(uuid, ()) for uuid in shared):
            found.append(turn)
    return found


def _turns(host: Machine, mine: Turn) -> Iterator[Turn]:
    for user in host.state.users():
        with suppress(OSError):
            for name in user.names((_TURN, _CHOOSING))[0]:
                identifier, suffix = os.path.splitext(name)
                if not is_identifier(identifier):
                    continue
                try:
                    turn = _read(host, user, name)
                except FileNotFoundError:
                    # He has chosen, and we may have listed the files before: look again.
                    turn = replace(mine, id=identifier, number=0) if suffix == _CHOOSING else None
                except (OSError, Malformed):
                    continue  # his own doing
                if turn is not None:
                    yield turn


def _read(host: Machine, user: UserDirectory, name: str) -> Optional[Turn]:
    """A turn if it lives.

    Raises:
        Malformed: it lives, and is none. OSError: it cannot be read.
    """
    identifier, suffix = os.path.splitext(name)
    descriptor = user.open(name)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_uid != user.uid:
            return None
        if not locks.is_held(descriptor):
            if user.uid == host.state.uid:
                os.unlink(name, dir_fd=user.descriptor)
            return None
        data = os.pread(descriptor, MOST_BYTES, 0)
    finally:
        os.close(descriptor)
    fields = Fields(loads(data), "the turn")
    return Turn(
        id=identifier,
        owner=processes.owner_of(user.uid),
        environment=fields.identifier("env"),
        devices=fields.device_ids("devices"),
        number=fields.integer("number", 1, _LAST) if suffix == _TURN else 0,
        pid=fields.integer("pid", 0, 1 << 31),
        command=fields.exact_text("command", COMMAND_LIMIT),
    )


def _to_file(turn: Turn) -> bytes:
    return dumps(
        {
            "v": 1,
            "env": turn.environment,
            "devices": list(turn.devices),
            "number": turn.number,
            "pid": turn.pid,
            "command": turn.command,
        }
    )
