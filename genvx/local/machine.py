"""This machine as it is: its state directory, its policy, its devices, and its leases.

The modules that take and give devices (granting.py, waiting.py, turns.py) build on it; host.py
combines them into a Host.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from genvx._version import __version__
from genvx.core.leases.environments import environments, meant
from genvx.core.leases.lease import Lease
from genvx.core.snapshot import Snapshot
from genvx.core.text import COMMAND_LIMIT, printable
from genvx.core.value import replace
from genvx.errors import UnknownEnvironment
from genvx.local import facts, processes
from genvx.local.state import paths
from genvx.local.state.directory import StateDirectory
from genvx.local.state.saying import state_error
from genvx.local.state.store import LeaseStore

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Callable, Optional

    from genvx.core.device import Device
    from genvx.core.leases.environment import Environment
    from genvx.core.usage import DeviceUsage
    from genvx.local.devices.inventory import Inventory
    from genvx.local.rules import Rules

# Seconds in which the driver must answer a question that is not worth a longer wait.
_SOON = 3.0


class Machine:
    """This machine. Its state directory is opened, and checked, when it is first needed.

    environ: where $GENVX_STATE_DIR, $GENVX_SIMULATE and $SHELL are looked up; by default
    os.environ. survey: the function that reports the devices; by default NVML, or the simulation
    that $GENVX_SIMULATE asks for. places: its directories, if they are not the usual ones.
    """

    def __init__(
        self,
        name: str = "localhost",
        *,
        environ: Optional[Mapping[str, str]] = None,
        survey: Optional[Callable[[], Inventory]] = None,
        places: Optional[paths.Places] = None,
    ) -> None:
        self.name = name
        self.environ: Mapping[str, str] = os.environ if environ is None else environ
        self._given_survey = survey
        self.places = paths.USUAL if places is None else places
        self._state: Optional[StateDirectory] = None

    def _survey(self, *, sensors: bool = False) -> Inventory:
        if self._given_survey is not None:
            return self._given_survey()
        specification = self.environ.get("GENVX_SIMULATE", "")
        if specification:
            # Simulated hosts of one machine differ only in their state directories.
            seed = f"{facts.hostname()}:{paths.chosen_root(self.environ)}"
            from genvx.local.devices.simulated import simulate

            return simulate(specification, seed, sensors=sensors)
        from genvx.local.devices.deadline import deadline_in
        from genvx.local.devices.survey import survey

        return survey(deadline_in(self.environ), sensors=sensors)

    def survey(self, *, sensors: bool = False) -> Inventory:
        """Return the devices of this machine as they are now, as far as its policy lets us see
        them; within a job of Slurm, those of the job.

        sensors: whether to read their sensors, too.

        Raises:
            StateError: the policy cannot be read.
        """
        rules = self.rules()
        inventory = self._survey(sensors=sensors)
        if "SLURM_JOB_ID" in self.environ:
            from genvx.local.devices.allocated import within_job

            inventory = within_job(inventory, self.environ)
        return inventory if rules is None else rules.govern(inventory)

    def use_of(self, devices: Sequence[Device]) -> Mapping[str, DeviceUsage]:
        """Return the use of some devices now, by UUID; without those that do not answer soon."""
        if self._given_survey is not None or self.environ.get("GENVX_SIMULATE"):
            return self._survey().usage
        from genvx.local.devices.survey import survey

        return survey(_SOON, frozenset(device.index for device in devices)).usage

    def questions(self) -> frozenset[int]:
        """Return the pids of our children that were to ask the driver, and cannot be ended: it has
        not answered them.
        """
        if self._given_survey is not None or self.environ.get("GENVX_SIMULATE"):
            return frozenset()
        from genvx.local.devices.child import abandoned

        return abandoned()

    def rules(self) -> Optional[Rules]:
        """Return what the policy of this machine says about us; None without a policy.

        Raises:
            StateError: the policy cannot be read, or has a mistake.
        """
        # Read anew for each grant: an administrator's change counts from the next one on.
        root = self.places.state_root(self.environ)
        try:
            os.lstat(f"{root}/policy.toml")
        except (FileNotFoundError, NotADirectoryError):
            return None  # as on most machines, which need not import the rest
        except OSError as error:
            # There may be limits that we cannot see, so this must not count as none.
            raise state_error(error, f"look for {root}/policy.toml") from None
        from genvx.local.rules import Rules

        return Rules(root, self.state.uid)

    @property
    def state(self) -> StateDirectory:
        """The opened state directory; a new one once the machine has been provisioned.

        Raises:
            StateError: it is unsafe or unavailable.
        """
        if self._state is not None and self.places.is_superseded(self._state.root, self.environ):
            self._state = None  # not closed: another thread may be reading it
        if self._state is None:
            self._state = StateDirectory(
                self.places.state_root(self.environ), former=self.places.former_root(self.environ)
            )
        return self._state

    @property
    def store(self) -> LeaseStore:
        """The leases of the state directory."""
        return LeaseStore(self.state)

    def close(self) -> None:
        """Close the state directory. Leases that are held stay held."""
        if self._state is not None:
            self._state.close()
            self._state = None

    # Questions

    def snapshot(self, *, holders: bool = False, sensors: bool = False) -> Snapshot:
        """Return this host at this moment. Takes no lock.

        holders: whether to find the processes that hold its leases, for which all processes are
        examined. sensors: whether to read the sensors of its GPUs.

        Raises:
            StateError: the state directory is unsafe or cannot be read.
        """
        snapshot = self.snapshot_with(self.survey(sensors=sensors), reap=True)
        if not holders:
            return snapshot
        from genvx.local.holders import with_holders

        return replace(snapshot, leases=with_holders(snapshot.leases, self.store, self.state.uid))

    def snapshot_with(self, inventory: Inventory, *, reap: bool = False) -> Snapshot:
        """Return this host at this moment, with devices from an earlier survey."""
        # The clock is read after the scan: a lease that began during the scan must not be in the
        # future.
        scan = self.store.scan(reap=reap)
        boottime_ns, ends_ns = processes.boottime_ns(), None
        if "SLURM_JOB_ID" in self.environ:
            from genvx.local.devices.allocated import seconds_left

            left = seconds_left(self.environ)
            ends_ns = None if left is None else boottime_ns + round(left * 1e9)
        return Snapshot(
            hostname=facts.hostname(),
            version=__version__,
            boot_id=processes.boot_id(),
            boottime_ns=boottime_ns,
            driver=inventory.driver,
            devices=inventory.devices,
            usage=inventory.usage,
            leases=scan.leases,
            odd=scan.odd,
            tickets=scan.tickets,
            ends_ns=ends_ns,
        )

    # Environments of one's own

    def blank(
        self,
        environment: str,
        name: str,
        command: str,
        memory: Optional[int],
        *,
        pid: Optional[int] = None,
    ) -> Lease:
        """Return a lease of ours, beginning now, that has no devices yet.

        pid: the process whose lease it is; ours by default.
        """
        pid = pid or os.getpid()
        return Lease(
            id=os.urandom(8).hex(),
            owner=processes.owner_of(self.state.uid),
            environment_id=environment,
            name=name,
            devices=(),
            memory=memory,
            boot_id=processes.boot_id(),
            since_ns=processes.boottime_ns(),
            pid=pid,
            starttime=processes.starttime(pid),
            host=facts.hostname(),
            command=printable(command, COMMAND_LIMIT),
        )

    def mine(self, environment: str) -> Environment:
        """Return a living environment of one's own, by its id.

        Raises:
            UnknownEnvironment: there is none.
        """
        return environments(self.own_leases(environment))[0]

    def identify(self, environment: str) -> str:
        """Return the id of a living environment of one's own, named by its id or its name.

        Raises:
            UnknownEnvironment: there is none, or the name fits several.
        """
        leases = self.store.scan().leases
        # Only among our own: another user's environment may have the same name.
        key = meant((each for each in leases if each.owner.uid == self.state.uid), environment)
        if key is None:
            raise UnknownEnvironment(
                f"no active environment {printable(environment, 60)!r} of yours here"
            )
        return key[1]

    def own_leases(self, environment: str) -> tuple[Lease, ...]:
        """Return the leases of a living environment of one's own, oldest first.

        Raises:
            UnknownEnvironment: there is none.
        """
        key = (self.state.uid, environment)
        found = tuple(each for each in self.store.scan(reap=True).leases if each.key == key)
        if not found:
            raise UnknownEnvironment(f"no active environment {printable(environment, 60)!r} here")
        return found
