"""The turns of this machine as its state directory has them."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Optional

from genvx.core.value import replace
from genvx.core.wire.plain import Malformed
from genvx.local import processes
from genvx.local.state import publishing
from genvx.local.state.content import read_content
from genvx.local.state.heldfile import HeldFile
from genvx.local.state.kinds import of_name, suffixes
from genvx.local.state.saying import saying
from genvx.local.state.turnkinds import CHOOSING, TURNS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from genvx.core.line.turn import Turn
    from genvx.local.machine import Machine
    from genvx.local.state.kinds import Kind
    from genvx.local.state.userdirectory import UserDirectory


def publish_turn(host: Machine, turn: Turn, kind: Kind) -> HeldFile:
    """Write a turn as a file that this process holds."""
    with saying("take a turn"), host.state.own() as directory:
        published = publishing.publish(turn.id, kind, kind.write(turn), directory)
        return HeldFile(kind.name(turn.id), *published)


def rivals_of(host: Machine, mine: Turn) -> list[Turn]:
    """Return the living turns of others on our devices, of environments that hold these devices."""
    holdings: dict[str, set[tuple[int, str]]] = {}
    for lease in host.store.scan().leases:
        for uuid in lease.devices:
            holdings.setdefault(uuid, set()).add(lease.key)
    found = []
    for turn in living_turns(host, mine):
        shared = set(turn.devices) & set(mine.devices)
        key = (turn.owner.uid, turn.environment_id)
        if turn.id != mine.id and any(key in holdings.get(uuid, ()) for uuid in shared):
            found.append(turn)
    return found


def living_turns(host: Machine, mine: Turn) -> Iterator[Turn]:
    """Yield all turns that live, ours among them."""
    for user in host.state.users():
        with suppress(OSError):
            for name in user.names(suffixes(TURNS))[0]:
                named = of_name(name, TURNS)
                if named is None:
                    continue
                kind, identifier = named
                try:
                    turn = _read(host, user, kind, identifier)
                except FileNotFoundError:
                    # He has chosen, and we may have listed the files before: look again.
                    turn = replace(mine, id=identifier, number=0) if kind is CHOOSING else None
                except (OSError, Malformed):
                    continue  # its own user has made it unreadable, and loses the turn
                if turn is not None:
                    yield turn


def _read(host: Machine, user: UserDirectory, kind: Kind, identifier: str) -> Optional[Turn]:
    """A turn if it lives; one of ours that does not is deleted.

    Raises:
        Malformed: it is none. OSError: it cannot be read.
    """
    name = kind.name(identifier)
    content = read_content(user, name)
    if not content.held:
        if user.uid == host.state.uid:
            os.unlink(name, dir_fd=user.descriptor)
        return None
    owner = processes.owner_of(user.uid)
    turn: Turn = kind.read(content.data, owner=owner, identifier=identifier)
    return turn
