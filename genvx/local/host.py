"""LocalHost: gather facts, ask core, commit the answer.

What a local command and the far end of the wire both run. What only some acts need is imported by
those: a question asked of many machines costs mostly start-up.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, TypeVar

from genvx.core.text import printable
from genvx.errors import InvalidInput
from genvx.local import processes
from genvx.local.machine import Machine

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Callable, Optional

    from genvx.core.ask import Ask
    from genvx.core.grant import Finding, Grant
    from genvx.core.lease import Environment
    from genvx.core.policy import Entitlement
    from genvx.core.queue import Standing
    from genvx.core.requirements import Requirements
    from genvx.core.wire.operations import Operation
    from genvx.local.running.hold import LocalHold
    from genvx.local.waiting import Stop

R = TypeVar("R")


class LocalHost(Machine):
    """This machine, as a Host; see Machine for its arguments."""

    def __str__(self) -> str:
        return self.name

    def doctor(self) -> tuple[Finding, ...]:
        """Look at everything that genvx rests on here; never raises for what is wrong."""
        from genvx.local import doctor

        return doctor.examine(self.environ, self._survey)

    def entitlement(self) -> Entitlement:
        """What we may do here by the policy of this machine.

        Raises:
            StateError: it cannot be read, or has a mistake.
        """
        from genvx.core.policy import Entitlement, Limit, Policy

        rules = self.rules()
        if rules is None:
            return Entitlement(processes.owner_of(self.state.uid).name, Policy(), Limit())
        return Entitlement(rules.user, rules.policy, rules.limit)

    def answer(self, operation: Operation[R]) -> R:
        """Reply to an operation as a host over SSH would.

        Raises:
            InvalidInput: it is one that goes on after its reply; there are methods for these.
        """
        from genvx.local.questions import ANSWERS

        answer = ANSWERS.get(type(operation))
        if answer is None:
            raise InvalidInput(f"{type(operation).__name__} has no single reply")
        reply: R = answer(self, operation)
        return reply

    # Acts

    def acquire(self, ask: Ask) -> LocalHold:
        """Take devices for a new environment, or raise and change nothing.

        Those who wait for devices come before those who do not. When the time of the request is
        over, what runs under the hold is ended.

        Raises:
            NoCapacity: not enough devices are available; the message says why, device by device.
            Unsatisfiable: this host does not have as many of the kind.
            InvalidInput: the name or the id is none.
            StateError: the state directory is unsafe, full or read-only.
        """
        from genvx.local.granting import acquire

        return acquire(self, ask)

    def wait(
        self,
        ask: Ask,
        tell: Optional[Callable[[Standing], None]] = None,
        stop: Optional[Stop] = None,
    ) -> LocalHold:
        """Take devices as `acquire` does, and wait in line for them if need be: for ever, unless
        the request says how long.

        tell: called about once a second with the place in the line. stop: such as a
        threading.Event; ends the waiting when it is set.

        Raises:
            WaitedTooLong: they were not to be had in time. Unsatisfiable: they never are.
        """
        from genvx.local.waiting import wait

        return wait(self, ask, tell or (lambda standing: None), stop)

    def reserve(self, ask: Ask) -> Grant:
        """Take devices that nobody holds, for as long as the request lasts; `join` and `release`
        go by the grant's environment.

        Raises: as `acquire`.
        """
        from genvx.local.granting import reserve

        return reserve(self, ask)

    def join(self, environment: str, *, command: str = "") -> LocalHold:
        """Hold on to an environment of one's own that is alive, beside those who hold it already.

        Raises:
            UnknownEnvironment: there is none of that id of one's own. NoCapacity: others are in the
            way, again and again.
        """
        from genvx.local.granting import join

        return join(self, environment, command=command)

    def attach(self, environment: str, requirements: Requirements) -> Grant:
        """Give a living environment of one's own more devices; all who hold it have them then.

        Returns the whole of it. They are given back when the environment ends, or with `detach`.

        Raises: as `acquire`; UnknownEnvironment: there is none of that id of one's own.
        """
        from genvx.local.granting import attach

        return attach(self, environment, requirements)

    def detach(self, environment: str, devices: Sequence[str] = ()) -> Grant:
        """Take devices away from a living environment of one's own, named by label or UUID; all of
        them by default. Returns what is left of it.

        Raises:
            UnknownDevice: one of them is not in it; then nothing is changed.
            UnknownEnvironment: there is none of that id of one's own.
        """
        from genvx.local.granting import detach

        return detach(self, environment, devices)

    def grant_of(self, environment: str) -> Grant:
        """A living environment of one's own as it is now.

        Raises:
            UnknownEnvironment: there is none of that id of one's own.
        """

        from genvx.local.granting import granted

        return granted(self, environment)

    def release(self, environment: str, *, kill: bool = False) -> Environment:
        """End an environment, by id or by name; owners and root only. Its processes are left alone.

        kill: end them first, by TERM and 10 s later KILL; its holders are then those that live on.

        Raises:
            UnknownEnvironment: there is none. NotOwner: it is another user's.
        """
        from genvx.local.running.ending import release

        return release(self.store, environment, self.state.uid, kill=kill)

    def signal(self, environment: str, name: str, lease: str = "") -> None:
        """Send a signal, named without SIG, to whoever holds an environment of one's own by a
        lease; to all who hold it without one.

        sshd passes no signals on to root and to forced commands, so they take this way. A holder
        that is not the process that took the lease any more is left alone.

        Raises:
            InvalidInput: not a signal that is passed on. UnknownEnvironment: there is none.
        """
        from genvx.local.running import supervise

        number = {signal.name: signal for signal in supervise.PASSED_ON}.get(f"SIG{name}")
        if number is None:
            raise InvalidInput(f"not a signal that is passed on: {printable(name, 20)!r}")
        found = self.mine(environment)
        for each in self.store.scan().leases:
            if each.key == (found.owner.uid, found.id) and lease in ("", each.id):
                holder = processes.describe(each.pid)
                if holder is not None and (holder.uid, holder.starttime) == (
                    each.owner.uid,
                    each.starttime,
                ):
                    os.kill(each.pid, number)
