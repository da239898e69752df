"""LocalHost: gather facts, ask core, commit the answer.

What a local command and the far end of the wire both run. What only some acts need is imported by
those: a question asked of many machines costs mostly start-up.
"""

from __future__ import annotations

import contextlib
import math
import os
import time
from typing import TYPE_CHECKING

from genvx._version import __version__
from genvx.core.device import Driver
from genvx.core.lease import Environment, Lease, conflicts, environments
from genvx.core.placement import Refusal
from genvx.core.queue import decide
from genvx.core.record import replace
from genvx.core.snapshot import Snapshot
from genvx.core.text import COMMAND_LIMIT, is_identifier, printable, require_name
from genvx.errors import InvalidInput, NoCapacity, UnknownEnvironment, Unsatisfiable
from genvx.local import processes
from genvx.local.inventory import Inventory
from genvx.local.paths import state_root
from genvx.local.state import StateDirectory, state_error
from genvx.local.store import LeaseStore

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator, Mapping
    from typing import Callable, Optional

    from genvx.core.grant import Finding, Grant
    from genvx.core.policy import Entitlement
    from genvx.core.queue import Standing
    from genvx.core.request import Requirements
    from genvx.core.ticket import Ticket
    from genvx.local.hold import LocalHold
    from genvx.local.rules import Rules
    from genvx.local.store import HeldLease
    from genvx.local.waiting import Stop

_MOST_ATTEMPTS = 50
_BACK_OFF = 0.002


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
            seed = f"{processes.hostname()}:{state_root(self.environ)}"
            from genvx.local.simulated import simulate

            return simulate(specification, seed)
        from genvx.local import nvml

        return nvml.survey()

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
        """The opened state directory. Raises StateError if it is unsafe or cannot be had."""
        if self._state is None:
            self._state = StateDirectory(state_root(self.environ))
        return self._state

    @property
    def store(self) -> LeaseStore:
        return LeaseStore(self.state)

    def close(self) -> None:
        """Close what was opened. Leases that are held stay held."""
        if self._state is not None:
            self._state.close()
            self._state = None

    # Questions

    def snapshot(self) -> Snapshot:
        """This host at this moment. Takes no lock.

        Raises:
            StateError: the state directory is unsafe or cannot be read.
        """
        return self.snapshot_with(self.survey(), reap=True)

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
        import random

        from genvx.core.grant import Grant
        from genvx.local.hold import LocalHold

        require_name(name)
        if environment is not None and not is_identifier(environment):
            raise InvalidInput(f"not the id of an environment: {printable(environment, 40)!r}")
        identifier = environment or os.urandom(4).hex()
        rules = self.rules()
        if rules is not None:
            time = rules.time(requirements, time)
        seconds = None if time is None else max(1, round(time))
        notes: list[str] = []
        inventory = self.survey() if requirements.gpus else Inventory(Driver())
        memory = {device.uuid: device.memory for device in inventory.devices}
        chance = random.Random(os.urandom(8))
        for attempt in range(_MOST_ATTEMPTS):
            with self._turn(notes, needed=bool(requirements.gpus)):
                snapshot = self.snapshot_with(inventory)
                decision = decide(
                    requirements,
                    snapshot,
                    environment=(self.state.uid, identifier),
                    shuffle=chance if attempt else None,
                    ticket=ticket,
                )
                if isinstance(decision, Refusal):
                    raise (Unsatisfiable if decision.never else NoCapacity)(str(decision))
                lease = self._lease(identifier, name, command, requirements.memory)
                lease = replace(
                    lease,
                    devices=tuple(device.uuid for device in decision.devices),
                    expires_ns=None if seconds is None else lease.since_ns + seconds * 10**9,
                )
                if rules is not None:
                    rules.refuse_excess(requirements, lease, snapshot.leases, memory)
                held = self._claim(lease, memory, rules=rules)
            if held is not None:
                grant = Grant(
                    environment=identifier,
                    name=name,
                    owner=lease.owner,
                    devices=decision.devices,
                    memory=requirements.memory,
                    notes=tuple(dict.fromkeys(notes)),
                    seconds=seconds,
                )
                return LocalHold(self, grant, held)
            _back_off(chance, attempt)
        raise NoCapacity(
            f"{requirements} wanted, but others kept taking them first; try again in a moment"
        )

    def _claim(
        self,
        lease: Lease,
        memory: Mapping[str, Optional[int]],
        *,
        joins: bool = False,
        rules: Optional[Rules] = None,
    ) -> Optional[HeldLease]:
        """Publish a lease, look again, and withdraw it if another's is in the way: then None.

        Every lease goes this way, also one that joins an environment which holds its devices
        already. A scan takes a moment: a rival that has listed the files may find the first
        member's gone and not have listed the second's, and would take the environment for ended.
        Such a rival has published before it listed, so whoever joins after that sees it here.

        joins: it must have a fellow, too. rules: of the policy, which it must keep.
        """
        held = self.store.publish(lease)
        try:
            living = self.store.scan().leases
            alone = not any(o.key == lease.key and o.id != lease.id for o in living)
            collided = conflicts(lease, living, memory) or (joins and alone)
            excess = rules is not None and rules.excess(lease, living, memory)
        except BaseException:
            # An interrupt too: what was not verified must not stay published.
            held.withdraw()
            raise
        if not collided and not excess:
            return held
        held.withdraw()
        return None

    @contextlib.contextmanager
    def _turn(self, notes: list[str], *, needed: bool) -> Iterator[None]:
        if not needed:
            yield
            return
        with self.store.transaction(notes):
            yield

    def _lease(self, environment: str, name: str, command: str, memory: Optional[int]) -> Lease:
        pid = os.getpid()
        described = processes.describe(pid)
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
            starttime=described.starttime if described else 0,
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
        hold = self.acquire(requirements, name=name, command=command, time=time)
        hold.leave_to_time()
        return hold.grant

    def ticket(
        self,
        requirements: Requirements,
        environment: str,
        *,
        name: str,
        command: str,
        keeps: bool = True,
    ) -> Ticket:
        """A place in the line of this machine, from this moment on; not taken yet."""
        from genvx.core.ticket import Ticket

        lease = self._lease(environment, name, command, None)
        rules = self.rules()
        return Ticket(
            id=lease.id,
            owner=lease.owner,
            environment=environment,
            name=name,
            requirements=requirements,
            boot_id=lease.boot_id,
            since_ns=lease.since_ns,
            seen_ns=lease.since_ns,
            pid=lease.pid,
            starttime=lease.starttime,
            host=lease.host,
            command=lease.command,
            most=None if rules is None else rules.limit.gpus,
            most_memory=None if rules is None else rules.limit.memory,
            keeps=keeps,
        )

    def join(self, environment: str, *, command: str = "") -> LocalHold:
        """Hold on to an environment of one's own that is alive, beside those who hold it already.

        Raises:
            UnknownEnvironment: there is none of that id of one's own. NoCapacity: others are in the
            way, again and again.
        """
        import random

        from genvx.core.grant import Grant
        from genvx.local.hold import LocalHold

        inventory = self.survey() if self._mine(environment).devices else Inventory(Driver())
        devices = {device.uuid: device for device in inventory.devices}
        memory = {uuid: device.memory for uuid, device in devices.items()}
        chance = random.Random(os.urandom(8))
        for attempt in range(_MOST_ATTEMPTS):
            found = self._mine(environment)
            lease = replace(
                self._lease(found.id, found.name, command, found.memory),
                devices=found.devices,
                expires_ns=found.expires_ns,
            )
            held = self._claim(lease, memory, joins=True)
            if held is not None:
                grant = Grant(
                    environment=found.id,
                    name=found.name,
                    owner=found.owner,
                    devices=tuple(devices[uuid] for uuid in found.devices if uuid in devices),
                    memory=found.memory,
                    seconds=_left(found.expires_ns),
                )
                return LocalHold(self, grant, held)
            _back_off(chance, attempt)
        raise NoCapacity(
            f"environment {found.label} cannot be joined: others keep trying for its devices; try "
            "again in a moment"
        )

    def _mine(self, environment: str) -> Environment:
        for candidate in environments(self.store.scan().leases):
            if candidate.owner.uid == self.state.uid and candidate.id == environment:
                return candidate
        raise UnknownEnvironment(f"no active environment {printable(environment, 60)!r} here")

    def release(self, environment: str) -> Environment:
        """End an environment, by id or by name; owners and root only. Its processes are left alone.

        Raises:
            UnknownEnvironment: there is none. NotOwner: it is another user's.
        """
        return environments(self.store.release(environment))[0]

    def signal(self, environment: str, name: str) -> None:
        """Send a signal, named without SIG, to those who hold an environment of one's own.

        sshd passes no signals on to root and to forced commands, so they take this way. A holder
        that is not the process that took the lease any more is left alone.

        Raises:
            InvalidInput: not a signal that is passed on. UnknownEnvironment: there is none.
        """
        from genvx.local import supervise

        number = {signal.name: signal for signal in supervise.PASSED_ON}.get(f"SIG{name}")
        if number is None:
            raise InvalidInput(f"not a signal that is passed on: {printable(name, 20)!r}")
        found = self._mine(environment)
        for lease in self.store.scan().leases:
            if lease.key == (found.owner.uid, found.id):
                holder = processes.describe(lease.pid)
                if holder is not None and (holder.uid, holder.starttime) == (
                    lease.owner.uid,
                    lease.starttime,
                ):
                    os.kill(lease.pid, number)


def _back_off(chance: random.Random, attempt: int) -> None:
    """Let chance separate rivals.

    No tie-break: one could evict a lease that was granted already.
    """
    time.sleep(chance.random() * _BACK_OFF * (1 + attempt))


def _left(expires_ns: Optional[int]) -> Optional[int]:
    """Whole seconds until then."""
    if expires_ns is None:
        return None
    return max(0, expires_ns - processes.boottime_ns()) // 10**9
