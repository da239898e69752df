"""LocalHost: gather facts, ask core, commit the answer.

What a local command and the far end of the wire both run. What only some acts need is imported by
those: a question asked of many machines costs mostly start-up.
"""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING

from genvx._version import __version__
from genvx.core.device import Driver
from genvx.core.lease import Environment, Lease, environments, meant
from genvx.core.record import replace
from genvx.core.snapshot import Snapshot
from genvx.core.text import COMMAND_LIMIT, printable
from genvx.errors import InvalidInput, UnknownEnvironment
from genvx.local import processes
from genvx.local.inventory import Inventory
from genvx.local.paths import chosen_root, former_root, is_superseded, state_root
from genvx.local.state import StateDirectory, state_error
from genvx.local.store import LeaseStore

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Callable, Optional

    from genvx.core.grant import Finding, Grant
    from genvx.core.policy import Entitlement
    from genvx.core.queue import Standing
    from genvx.core.request import Requirements
    from genvx.local.hold import LocalHold
    from genvx.local.rules import Rules
    from genvx.local.waiting import Stop


class LocalHost:
    """This machine, as a Host. The state directory is opened when first needed, and checked then.

    environ: where $GENVX_STATE_DIR, $GENVX_SIMULATE and $SHELL are looked up; the process's own by
    default. survey: who tells the devices; NVML, or the simulation that $GENVX_SIMULATE asks for,
    by default.
    """

    def __init__(
        self,
        name: str = "localhost",
        *,
        environ: Optional[Mapping[str, str]] = None,
        survey: Optional[Callable[[], Inventory]] = None,
    ) -> None:
        self.name = name
        self.environ: Mapping[str, str] = os.environ if environ is None else environ
        self._survey = survey or self._usual_survey
        self._state: Optional[StateDirectory] = None

    def _usual_survey(self) -> Inventory:
        specification = self.environ.get("GENVX_SIMULATE", "")
        if specification:
            seed = f"{processes.hostname()}:{chosen_root(self.environ)}"
            from genvx.local.simulated import simulate

            return simulate(specification, seed)
        from genvx.local.survey import deadline_in, survey

        return survey(deadline_in(self.environ))

    def survey(self) -> Inventory:
        """The devices of this machine as they are now, and as its policy lets us see them.

        Raises:
            StateError: the policy cannot be read.
        """
        rules = self.rules()
        inventory = self._survey()
        return inventory if rules is None else rules.govern(inventory)

    def rules(self) -> Optional[Rules]:
        """What the policy of this machine says of us; None where there is none.

        Raises:
            StateError: it cannot be read, or has a mistake.
        """
        root = state_root(self.environ)
        try:
            os.lstat(f"{root}/policy.toml")
        except (FileNotFoundError, NotADirectoryError):
            return None  # as on most machines, and then the rest need not be imported
        except OSError as error:
            # Not known to be none: there may be limits.
            raise state_error(error, f"look for {root}/policy.toml") from None
        from genvx.local.rules import Rules

        return Rules(root, self.state.uid)

    @property
    def state(self) -> StateDirectory:
        """The opened state directory; another one once the machine is provisioned. Raises
        StateError if it is unsafe or cannot be had.
        """
        if self._state is not None and is_superseded(self._state.root, self.environ):
            self._state = None  # and left open: another thread may be reading it
        if self._state is None:
            self._state = StateDirectory(state_root(self.environ), former=former_root(self.environ))
        return self._state

    @property
    def store(self) -> LeaseStore:
        return LeaseStore(self.state)

    def __str__(self) -> str:
        return self.name

    def close(self) -> None:
        """Close what was opened. Leases that are held stay held."""
        if self._state is not None:
            self._state.close()
            self._state = None

    # Questions

    def snapshot(self, *, holders: bool = False) -> Snapshot:
        """This host at this moment. Takes no lock.

        holders: also which processes hold its leases, for which all processes are looked at.

        Raises:
            StateError: the state directory is unsafe or cannot be read.
        """
        snapshot = self.snapshot_with(self.survey(), reap=True)
        if not holders:
            return snapshot
        from genvx.local.holders import with_holders

        return replace(snapshot, leases=with_holders(snapshot.leases, self.store, self.state.uid))

    def snapshot_with(self, inventory: Inventory, *, reap: bool = False) -> Snapshot:
        """This host at this moment, with its devices as they were told before."""
        scan = self.store.scan(reap=reap)
        return Snapshot(
            hostname=processes.hostname(),
            version=__version__,
            boot_id=processes.boot_id(),
            boottime_ns=processes.boottime_ns(),
            driver=inventory.driver,
            devices=inventory.devices,
            usage=inventory.usage,
            leases=scan.leases,
            odd=scan.odd,
            tickets=scan.tickets,
        )

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

    # Acts

    def acquire(
        self,
        requirements: Requirements,
        *,
        name: str = "",
        environment: Optional[str] = None,
        command: str = "",
        ticket: Optional[str] = None,
        time: Optional[float] = None,
    ) -> LocalHold:
        """Take devices for a new environment, or raise and change nothing.

        Those who wait for devices come before those who do not.

        environment: the id for it; made up by default. command: what it will run, for people to
        read. ticket: the id of one's own place in the line. time: seconds after which whatever
        runs under the hold is ended; by default what the policy says, or never.

        Raises:
            NoCapacity: not enough devices are available; the message says why, device by device.
            Unsatisfiable: this host does not have as many of the kind.
            InvalidInput: the name or the id is none.
            StateError: the state directory is unsafe, full or read-only.
        """
        from genvx.local.granting import acquire

        return acquire(
            self,
            requirements,
            name=name,
            environment=environment,
            command=command,
            ticket=ticket,
            time=time,
        )

    def blank(
        self,
        environment: str,
        name: str,
        command: str,
        memory: Optional[int],
        *,
        pid: Optional[int] = None,
    ) -> Lease:
        """A lease of ours on nothing yet, since now. pid: whose it is, ours by default."""
        pid = pid or os.getpid()
        return Lease(
            id=os.urandom(8).hex(),
            owner=processes.owner_of(self.state.uid),
            environment=environment,
            name=name,
            devices=(),
            memory=memory,
            boot_id=processes.boot_id(),
            since_ns=processes.boottime_ns(),
            pid=pid,
            starttime=processes.starttime(pid),
            host=processes.hostname(),
            command=printable(command, COMMAND_LIMIT),
        )

    def wait(
        self,
        requirements: Requirements,
        *,
        name: str = "",
        command: str = "",
        patience: float = math.inf,
        tell: Optional[Callable[[Standing], None]] = None,
        stop: Optional[Stop] = None,
        time: Optional[float] = None,
        keeps: bool = True,
    ) -> LocalHold:
        """Take devices as `acquire` does, and wait in line for them if need be.

        patience: seconds to wait at most. tell: is told about once a second how it stands. stop:
        such as a threading.Event; ends the waiting when it is set. keeps: whether those behind get
        nothing of what we could use, while it is too little for us.

        Raises:
            WaitedTooLong: they were not to be had in time. Unsatisfiable: they never are.
        """
        from genvx.local.waiting import wait

        return wait(
            self,
            requirements,
            name=name,
            command=command,
            patience=patience,
            tell=tell or (lambda standing: None),
            stop=stop,
            time=time,
            keeps=keeps,
        )

    def reserve(
        self, requirements: Requirements, time: float, *, name: str = "", command: str = ""
    ) -> Grant:
        """Take devices for so many seconds, whoever lives or dies; `join` and `release` go by the
        grant's environment.

        Raises: as `acquire`.
        """
        from genvx.local.granting import reserve

        return reserve(self, requirements, time, name=name, command=command)

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
        from genvx.local.granting import grant_of

        found = self.mine(environment)
        inventory = self.survey() if found.devices else Inventory(Driver())
        return grant_of(found, inventory)

    def mine(self, environment: str) -> Environment:
        """A living environment of one's own, by its id.

        Raises:
            UnknownEnvironment: there is none.
        """
        return environments(self.own_leases(environment))[0]

    def identify(self, environment: str) -> str:
        """The id of a living environment of one's own that is named by its id or its name.

        Raises:
            UnknownEnvironment: there is none, or the name fits several.
        """
        leases = self.store.scan().leases
        key = meant((each for each in leases if each.owner.uid == self.state.uid), environment)
        if key is None:
            raise UnknownEnvironment(
                f"no active environment {printable(environment, 60)!r} of yours here"
            )
        return key[1]

    def own_leases(self, environment: str) -> tuple[Lease, ...]:
        """The leases of a living environment of one's own, oldest first.

        Raises:
            UnknownEnvironment: there is none.
        """
        key = (self.state.uid, environment)
        found = tuple(each for each in self.store.scan(reap=True).leases if each.key == key)
        if not found:
            raise UnknownEnvironment(f"no active environment {printable(environment, 60)!r} here")
        return found

    def release(self, environment: str, *, kill: bool = False) -> Environment:
        """End an environment, by id or by name; owners and root only. Its processes are left alone.

        kill: end them first, by TERM and 10 s later KILL; its holders are then those that live on.

        Raises:
            UnknownEnvironment: there is none. NotOwner: it is another user's.
        """
        from genvx.local.ending import release

        return release(self.store, environment, self.state.uid, kill=kill)

    def signal(self, environment: str, name: str, lease: str = "") -> None:
        """Send a signal, named without SIG, to whoever holds an environment of one's own by a
        lease; to all who hold it without one.

        sshd passes no signals on to root and to forced commands, so they take this way. A holder
        that is not the process that took the lease any more is left alone.

        Raises:
            InvalidInput: not a signal that is passed on. UnknownEnvironment: there is none.
        """
        from genvx.local import supervise

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
