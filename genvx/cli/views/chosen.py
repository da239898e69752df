"""Chosen selects the environments and devices to show: by name, user, or process."""

from __future__ import annotations

from genvx.core.device import Device
from genvx.core.leases.claim import Owner
from genvx.core.leases.environment import Environment
from genvx.core.snapshot import Snapshot
from genvx.core.value import value


@value
class Chosen:
    """Chosen is a selection; all conditions that are given must hold.

    name: the name of the environment, where * is any text, or its id. user: a name or a uid. pid: a
    holder of the environment, or a process on the device.
    """

    name: str | None = None
    user: str | None = None
    pid: int | None = None

    def __bool__(self) -> bool:
        return (self.name, self.user, self.pid) != (None, None, None)

    def environments(self, snapshot: Snapshot) -> tuple[Environment, ...]:
        """Return the environments of a host that are shown."""
        return tuple(env for env in snapshot.environments if self._shows(env, snapshot))

    def devices(self, snapshot: Snapshot) -> tuple[Device, ...]:
        """Return the devices of a host that are shown, by their environments or processes."""
        if not self:
            return snapshot.devices
        held = {uuid for env in self.environments(snapshot) for uuid in env.devices}
        return tuple(
            device
            for device in snapshot.devices
            if device.uuid in held or self._runs_on(device, snapshot)
        )

    def _shows(self, env: Environment, snapshot: Snapshot) -> bool:
        from genvx.ssh.config.wildcards import matches

        return (
            (self.name is None or env.id == self.name or matches(self.name, env.name))
            and (self.user is None or _is(env.owner, self.user))
            and (self.pid is None or self.pid in env.living_pids or self._uses(env, snapshot))
        )

    def _uses(self, env: Environment, snapshot: Snapshot) -> bool:
        """Return whether the process runs on a device of the environment, as its user."""
        return any(
            process.pid == self.pid and process.uid == env.owner.uid
            for uuid in env.devices
            if uuid in snapshot.usage
            for process in snapshot.usage[uuid].processes or ()
        )

    def _runs_on(self, device: Device, snapshot: Snapshot) -> bool:
        """Return whether a selected process runs on the device, in an environment or not."""
        return self.name is None and any(
            (self.pid is None or process.pid == self.pid)
            and (self.user is None or self.user in (process.user, str(process.uid)))
            for process in snapshot.usage_of(device).processes or ()
        )


def _is(owner: Owner, text: str) -> bool:
    return text in (owner.name, str(owner.uid), str(owner))
