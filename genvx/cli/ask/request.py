"""Request is what the user asked a verb for: which devices, where, and for how long."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genvx.core.requests.ask import Ask, Join
from genvx.core.value import field, value

if TYPE_CHECKING:
    from collections.abc import Callable

    from genvx.cli.ask.where import Where
    from genvx.core.requests.ask import Wanted
    from genvx.core.requests.requirements import Requirements
    from genvx.fleet.hosts.selection import Selection


def _any_host() -> Selection:
    # Imported here: a help page shows what can be asked for, and asks for nothing.
    from genvx.fleet.hosts.selection import Selection

    return Selection()


@value
class Request:
    """Request is what the user asked a verb for.

    wait: the most seconds to wait in line; infinity has no limit, None does not wait. time: seconds
    after which it is ended. environment: the id or name of an environment to join; the rest does
    not apply then. counted: whether a number of GPUs was given, which may be 0.
    """

    requirements: Requirements
    name: str = ""
    selection: Selection = field(default_factory=_any_host)
    wait: float | None = None
    time: float | None = None
    environment: str | None = None
    counted: bool = True

    @property
    def room(self) -> Requirements | None:
        """What is wanted of one host; None if an environment is joined."""
        return self.requirements if self.environment is None else None

    def ask(self, command: str) -> Ask:
        """Return the ask for a host. command: what it will run, for people to read."""
        return Ask(
            self.requirements, self.name, command=command, lasts=self.time, patience=self.wait
        )

    def wanted(self, command: str) -> Wanted:
        """Return the ask, or the environment to join."""
        if self.environment is not None:
            return Join(self.environment, command)
        return self.ask(command)


def assumed(where: Where, request: Request, what: str) -> Callable[[], None]:
    """Return what says, once, that `what` has no GPU because none was asked for, and which keys of
    a remote have no effect. A verb calls it when nothing that was typed is wrong.

    Raises:
        UnknownRemote: there is no such remote. InvalidRemotes: its file has a fault.
    """
    notes = where.remote_notes()
    if not request.counted and request.environment is None:
        notes.insert(0, f"without --gpus {what} holds no GPU, and sees none")

    def say() -> None:
        # It is reached again where a project that is changed meanwhile is read again.
        while notes:
            where.note(notes.pop(0))

    return say
