"""Turns on devices that several environments share: one at a time, in the order of arrival.

This is Lamport's bakery algorithm, with files for each waiting process in its user's directory. A
process announces that it is choosing, takes a number above all that it sees, and waits for those
with smaller numbers and for those that are choosing at that moment. A turn lives while a process
holds the lock of its file, so nobody waits for a dead process. No file is ever overwritten, and
nobody waits for a process that does not hold a shared device.
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

    from genvx.core.lease import Owner
    from genvx.local.machine import Machine
    from genvx.local.state.userdirectory import UserDirectory
    from genvx.local.waiting import Stop

_TURN, _CHOOSING = ".turn", ".choosing"
# Seconds between looks: short at first, so that quick commands follow each other closely, and
# longer in a long line.
_SOON, _LATER = 0.05, 0.5
# No number gets this high by taking turns: a user must have written it. A number above it would be
# malformed to all others, who would then not wait for us.
_LAST = 1 << 62


@value
class Turn:
    """A turn on devices, or one that is being chosen: then `number` is 0."""

    id: str
    owner: Owner
    environment: str
    devices: tuple[str, ...]
    number: int = 0
    pid: int = 0
    command: str = ""

    @property
    def order(self) -> tuple[int, str]:
        """The key that sorts turns; the id decides between equal numbers."""
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
    most: int = MOST_OF_A_KIND,
) -> HeldFile:
    """Wait until it is our turn on the devices of an environment of our own.

    The turn lasts until the returned file is let go, by us and by all that inherit its descriptor.

    patience: the most seconds to wait. tell: called with the turn that we wait for, whenever that
    changes. stop: ends the waiting when it is set, such as a threading.Event. most: commands of
    ours that may take turns here at once.

    Raises:
        UnknownEnvironment: one has no environment of that id. InvalidInput: it has no devices.
        WaitedTooLong: it was not our turn in time. StateError: the state cannot be written, too
        many processes of one's own wait already, or somebody has taken the last possible number.
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
    if sum(turn.owner == mine.owner for turn in _turns(host, mine)) >= most:
        raise StateError(
            f"{most} commands of yours take turns on this machine already, and more "
            "might not be seen; wait for some of them to end"
        )
    # Announced before the numbers are read. Otherwise we could read them, be delayed while another
    # process takes a larger number and its turn, and then publish a smaller one: both would go.
    choosing = _publish(host, mine, _CHOOSING)
    try:
        last = max(_rivals(host, mine), key=lambda turn: turn.number, default=mine)
        if last.number >= _LAST:
            raise StateError(
                f"no turn can follow that of {last}: its number is the last; it must end first"
            )
        mine = replace(mine, number=last.number + 1)
        held = _publish(host, mine, _TURN)
    finally:
        choosing.withdraw()  # only now: at each moment one of our two files exists
    try:
        if not any(turn.id == mine.id for turn in _turns(host, mine)):
            # Others cannot see our turn, so they would not wait for us.
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
    """Run a command as its parent when its turn comes; return its exit code.

    For main threads only.

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
    """The living turns of others on our devices, of environments that hold these devices."""
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
                    # That process has chosen, and its turn may have appeared after we listed the
                    # files. Count it as still choosing, so that we look again.
                    turn = replace(mine, id=identifier, number=0) if suffix == _CHOOSING else None
                except (OSError, Malformed):
                    continue  # its own user has made it unreadable, and loses the turn
                if turn is not None:
                    yield turn


def _read(host: Machine, user: UserDirectory, name: str) -> Optional[Turn]:
    """Read a turn; None if it is dead.

    Raises:
        Malformed: it is alive, but no turn. OSError: it cannot be read.
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
