"""What the page can do: release environments and stop runs, those of the user who serves it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from genvx.core.runs.runstate import is_over, name_of
from genvx.core.text import is_identifier, printable
from genvx.core.wire.runoperations import FindRuns, StopRun
from genvx.errors import GenvxError, InvalidInput, NotOwner, UnknownEnvironment, UnknownRun

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from genvx.core.leases.environment import Environment
    from genvx.fleet.host import Host

    Act = Callable[[Host, Mapping[str, Any]], str]


class Acts:
    """Acts on the environments and runs of the user as whom we are logged in on each host.

    Root may end those of others with `genvx release` and `genvx runs stop`, but not here.
    """

    def __init__(self) -> None:
        self._users: dict[str, str] = {}

    def user(self, host: Host) -> str | None:
        """Return who we are on a host, which only the host knows; None if it cannot say now."""
        if host.name not in self._users:
            try:
                self._users[host.name] = host.entitlement().user
            except GenvxError:
                return None
        return self._users[host.name]

    def named(self, path: str) -> Act | None:
        """Return what a request to a path does, given a host and what the request says; it returns
        a line for the user. None if it does nothing.
        """
        return {"/api/release": self._release, "/api/stop": self._stop}.get(path)

    def _release(self, host: Host, asked: Mapping[str, Any]) -> str:
        identifier, kill = _identifier(asked, "environment"), asked.get("kill", False)
        if not isinstance(kill, bool):
            raise InvalidInput("kill is true or false")
        user = host.entitlement().user
        snapshot = host.snapshot(holders=not kill)
        there = [env for env in snapshot.environments if env.id == identifier]
        own = next((env for env in there if env.owner.name == user), None)
        if own is None and there:
            raise NotOwner(f"environment {identifier} belongs to {_said(there[0].owner.name)}")
        if own is None:
            raise UnknownEnvironment(f"no active environment {identifier} on {host.name}")
        ended = host.release(identifier, kill=kill)
        count = len(ended.devices)
        line = f"Released {_said(ended.label)} on {host.name}: {count} GPU{'s' * (count != 1)}"
        return line + _going_on(ended if kill else own)

    def _stop(self, host: Host, asked: Mapping[str, Any]) -> str:
        identifier = _identifier(asked, "run")
        # Without those of others, which root would find.
        found = host.answer(FindRuns(identifier))
        run = next((each for each in found if each.id == identifier and not each.pulled), None)
        if run is None:
            raise UnknownRun(f"no run {identifier} of yours on {host.name}")
        before = host.answer(StopRun(identifier))
        label = _said(before.label_or_id)
        if is_over(before.state):
            return f"Run {label} has ended already ({name_of(before.state)})"
        return f"Stopping run {label} on {host.name}"


def _identifier(asked: Mapping[str, Any], what: str) -> str:
    found = asked.get(what)
    if not isinstance(found, str) or not is_identifier(found):
        raise InvalidInput(f"{what} is missing, or no id")
    return found


def _going_on(env: Environment) -> str:
    pids = [str(holder.pid) for holder in env.holders or ()]
    if not pids:
        return ""
    return f"; these processes go on: {', '.join(pids[:5])}{', …' * (len(pids) > 5)}"


def _said(text: str) -> str:
    return printable(text, 80)
