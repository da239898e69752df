"""This machine as it is: its state directory, its policy, its devices, and who holds what.

What takes and gives devices (granting.py, waiting.py, turns.py) rests on this; host.py puts all of
it together as a Host.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from genvx._version import __version__
from genvx.core.lease import Environment, Lease, environments, meant
from genvx.core.snapshot import Snapshot
from genvx.core.text import COMMAND_LIMIT, printable
from genvx.core.value import replace
from genvx.errors import UnknownEnvironment
from genvx.local import processes
from genvx.local.state import paths
from genvx.local.state.directory import StateDirectory, state_error
from genvx.local.state.store import LeaseStore

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Callable, Optional

    from genvx.local.devices.inventory import Inventory
    from genvx.local.rules import Rules


class Machine:
    """This machine. Its state directory is opened when first needed, and checked then.

    environ: where $GENVX_STATE_DIR, $GENVX_SIMULATE and $SHELL are looked up; the process's own by
    default. survey: who tells the devices; NVML, or the simulation that $GENVX_SIMULATE asks for,
    by default. places: its directories, elsewhere than usual.
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

    def _survey(self) -> Inventory:
        if self._given_survey is not None:
            return self._given_survey()
        specification = self.environ.get("GENVX_SIMULATE", "")
        if specification:
            seed = f"{processes.hostname()}:{paths.chosen_root(self.environ)}"
            from genvx.local.devices.simulated import simulate

            return simulate(specification, seed)
        from genvx.local.devices.survey import deadline_in, survey

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
        root = self.places.state_root(self.environ)
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
        if self._state is not None and self.places.is_superseded(self._state.root, self.environ):
            self._state = None  # not closed: another thread may be reading it
        if self._state is None:
            self._state = StateDirectory(
                self.places.state_root(self.environ), former=self.places.former_root(self.environ)
            )
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
