"""Asks the hosts of a fleet again and again; a host that hangs is asked once, not once a round."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from genvx.core.wire.runoperations import ListRuns
from genvx.errors import HostUnreachable
from genvx.fleet.ask import HostGroup
from genvx.watching.clock import now
from genvx.watching.sight import Sight

if TYPE_CHECKING:
    from collections.abc import Iterator

    from genvx.core.runs.runinfo import RunInfo
    from genvx.core.snapshot import Snapshot
    from genvx.fleet.host import Host

# Of each host, in one question. More than start between two of these questions.
_MOST_RUNS = 200


class Rounds:
    """Rounds of questions to a fleet. Connections stay open from one round to the next, where the
    fleet keeps them.
    """

    def __init__(self, fleet: HostGroup[Host]) -> None:
        self._fleet: HostGroup[Host] = fleet
        # Host names of questions that have not returned, with the time at which each began.
        self._asked: dict[str, float] = {}

    def round(self) -> Iterator[Sight]:
        """Ask every host once; yield what each has shown, as it comes.

        A host has the fleet's timeout, and delays no other host. In the first round the fleet may
        ask a person for passwords; afterwards nobody may be there, and a host that wants one fails.
        """
        hanging = [host for host in self._fleet.hosts if host.name in self._asked]
        asked = [host for host in self._fleet.hosts if host.name not in self._asked]
        for host in hanging:
            # Its thread hangs where no deadline reaches, as in a resolver. Another one would only
            # hang, too, and after a day there would be thousands.
            since = time.monotonic() - self._asked.get(host.name, time.monotonic())
            yield Sight(host.name, now(), since, error=_hangs())
        if asked:
            group = self._fleet
            if hanging:
                group = _part(group, asked)
            yield from self._ask(group)
        self._fleet = _part(self._fleet, self._fleet.hosts)

    def runs(self) -> dict[str, tuple[RunInfo, ...]]:
        """Ask the hosts that do not hang for the newest of our runs; hosts that fail are left
        out.
        """
        asked = [host for host in self._fleet.hosts if host.name not in self._asked]
        if not asked:
            return {}
        question = ListRuns(most=_MOST_RUNS)
        answers = _part(self._fleet, asked).ask(lambda host: host.answer(question))
        return dict(answers.succeeded)

    def _ask(self, group: HostGroup[Host]) -> Iterator[Sight]:
        begun: dict[str, float] = {}

        def look(host: Host) -> tuple[float, Snapshot]:
            begun[host.name] = self._asked[host.name] = time.monotonic()
            try:
                snapshot = host.snapshot(sensors=True)
                return time.monotonic() - begun[host.name], snapshot
            finally:
                del self._asked[host.name]

        for name, answer, error in group.stream(look):
            if answer is not None:
                yield Sight(name, now(), answer[0], answer[1])
            else:
                took = time.monotonic() - begun.get(name, time.monotonic())
                yield Sight(name, now(), took, error=error)


def _part(group: HostGroup[Host], hosts: list[Host] | tuple[Host, ...]) -> HostGroup[Host]:
    """Some hosts of a group, asked as the group asks, but nobody for secrets."""
    return HostGroup(hosts, fanout=group.fanout, timeout=group.timeout)


def _hangs() -> HostUnreachable:
    return HostUnreachable("an earlier question has not returned yet", kind="timeout")
