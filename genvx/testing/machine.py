"""FakeMachine: the devices, leases and line of a FakeHost."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from genvx._version import __version__
from genvx.core.device import Device, VisibleAs
from genvx.core.leases.claim import Owner
from genvx.core.leases.environments import environments
from genvx.core.leases.grant import Grant
from genvx.core.leases.lease import Lease
from genvx.core.line.queue import decide, position_of
from genvx.core.line.ticket import Ticket
from genvx.core.placing.refusal import Refusal
from genvx.core.snapshot import Snapshot
from genvx.core.text import printable, require_name
from genvx.core.usage import DeviceUsage, Driver
from genvx.errors import (
    GenvxError,
    NoCapacity,
    NotOwner,
    UnknownEnvironment,
    Unsatisfiable,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from genvx.core.leases.environment import Environment
    from genvx.core.line.standing import Standing
    from genvx.core.requests.ask import Ask

_numbers = itertools.count(1)


class FakeMachine:
    """FakeMachine is what a fake host has, in memory; FakeHost has its arguments.

    It goes on while nobody can ask the host: only FakeHost raises `error`.
    """

    def __init__(
        self,
        name: str,
        devices: int | Sequence[Device] = 1,
        *,
        leases: Sequence[Lease] = (),
        owner: Owner | None = None,
        error: GenvxError | None = None,
    ) -> None:
        self.name = name
        self.owner = owner or Owner(1000, "me")
        self.error = error
        self.devices = (
            tuple(devices)
            if not isinstance(devices, int)
            else tuple(
                Device(
                    f"SIM-{name}-{index}",
                    index,
                    "A100-80GB",
                    80 << 30,
                    simulated=True,
                    ordinal=index,
                )
                for index in range(devices)
            )
        )
        self._leases = list(leases)
        self._tickets: list[Ticket] = []

    def require_answer(self) -> None:
        """Raise `error`, if there is one."""
        if self.error is not None:
            raise self.error

    def look(self) -> Snapshot:
        """Return what there is now; the clock of the host advances by a second at each call."""
        return Snapshot(
            hostname=self.name,
            version=__version__,
            boot_id="fake",
            boottime_ns=next(_numbers) * 10**9,
            driver=Driver(version="simulated", simulated=True),
            devices=self.devices,
            usage={d.uuid: DeviceUsage(memory_used=0, utilization=0) for d in self.devices},
            leases=tuple(self._leases),
            tickets=tuple(self._tickets),
        )

    def grant(self, ask: Ask) -> Grant:
        """Take devices, or raise and change nothing."""
        require_name(ask.name)
        requirements = ask.requirements
        snapshot = self.look()
        decision = decide(requirements, snapshot)
        if isinstance(decision, Refusal):
            raise (Unsatisfiable if decision.never else NoCapacity)(str(decision))
        number = next(_numbers)
        lease = Lease(
            id=f"{number:016x}",
            owner=self.owner,
            environment_id=ask.environment_id or f"{number:08x}",
            name=ask.name,
            devices=tuple(device.uuid for device in decision.devices),
            memory=requirements.memory,
            boot_id="fake",
            since_ns=snapshot.boottime_ns,
            expires_ns=(
                None if ask.seconds is None else snapshot.boottime_ns + ask.seconds * 10**9
            ),
            command=printable(ask.command, 256),
            visible_as=requirements.visible_as or VisibleAs.UUID,
        )
        self._leases.append(lease)
        return Grant(
            lease.environment_id,
            ask.name,
            self.owner,
            decision.devices,
            requirements.memory,
            visible_as=lease.visible_as,
        )

    def grant_of(self, environment: str) -> Grant:
        """Return a living environment of the owner by its id.

        Raises:
            UnknownEnvironment: there is none.
        """
        for found in environments(self._leases):
            if (found.owner, found.id) == (self.owner, environment):
                devices = tuple(d for d in self.devices if d.uuid in found.devices)
                return Grant(found.id, found.name, self.owner, devices, found.memory)
        raise UnknownEnvironment(f"no active environment {printable(environment, 60)!r} here")

    def line_up(self, ask: Ask) -> Ticket:
        """Put a request at the end of the line, where it stays until `leave_line`."""
        number = next(_numbers)
        ticket = Ticket(
            id=f"{number:016x}",
            owner=self.owner,
            environment_id=ask.environment_id or f"{number:08x}",
            name=ask.name,
            requirements=ask.requirements,
            boot_id="fake",
            since_ns=number * 10**9,
            # Far in the future: a ticket of this host is never passed over as one of a stopped
            # process.
            seen_ns=1 << 62,
            command=printable(ask.command, 256),
            keeps=ask.keeps,
        )
        self._tickets.append(ticket)
        return ticket

    def standing_of(self, ticket: Ticket) -> Standing | None:
        """Return the place of a request in the line; None when it is its turn."""
        position = position_of(ticket.id, self.look())
        if position is None or position.offered or getattr(position.decision, "never", False):
            return None
        return position.standing

    def leave_line(self, ticket: Ticket) -> None:
        """Take a request out of the line. Idempotent."""
        if ticket in self._tickets:
            self._tickets.remove(ticket)

    def let_go(self, environment: str) -> Environment:
        """End an environment of the owner, by id or name.

        Raises:
            UnknownEnvironment: there is none. NotOwner: it belongs to somebody else.
        """
        found = [
            candidate
            for candidate in environments(self._leases)
            if environment and environment in (candidate.id, candidate.name)
        ]
        if not found:
            raise UnknownEnvironment(f"no active environment {printable(environment, 60)!r} here")
        mine = [candidate for candidate in found if candidate.owner == self.owner]
        if not mine:
            raise NotOwner(
                f"environment {printable(environment, 60)!r} belongs to {found[0].owner}; "
                "only its owner and root can release it"
            )
        if len(mine) > 1:
            raise UnknownEnvironment(
                f"several environments are named {printable(environment, 60)!r}; give the id: "
                + ", ".join(sorted(candidate.id for candidate in mine))
            )
        key = (mine[0].owner.uid, mine[0].id)
        self._leases = [lease for lease in self._leases if lease.key != key]
        return mine[0]
