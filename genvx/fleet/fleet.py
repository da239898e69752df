"""Fleet asks many hosts at once, and takes devices on the best of them or on several together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genvx.core.ask import Ask
from genvx.core.requirements import requirements_of
from genvx.core.value import replace
from genvx.fleet.ask import H, HostGroup
from genvx.fleet.defaults import FANOUT
from genvx.fleet.outcomes import Outcomes
from genvx.ssh.defaults import HOST_LOST_AFTER, TIMEOUT

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from genvx.fleet.gang import Gang
    from genvx.fleet.host import Hold, Host
    from genvx.fleet.hostspec import HostSpec
    from genvx.fleet.sshhost import SSHHost

__all__ = ["Fleet", "Outcomes", "connect_fleet"]

# Fleets of up to this many hosts keep connections between questions. Each costs a thread and a
# descriptor, and most systems allow a process 1,024 descriptors.
_MOST_KEPT = 512


class Fleet(HostGroup[H]):
    """Fleet is a number of hosts from which devices are taken; HostGroup has its arguments."""

    @classmethod
    def from_hostfile(
        cls, path: str, *, fanout: int = FANOUT, timeout: float = TIMEOUT
    ) -> Fleet[SSHHost]:
        """Make a fleet of the hosts of a hostfile, over SSH; connect to none yet.

        Raises:
            InvalidHostfile: the file cannot be read or has a bad line.
        """
        from genvx.fleet import hostfile

        return connect_fleet(hostfile.load(path), fanout=fanout, timeout=timeout)

    # Acts

    def activate(
        self,
        gpus: int | str = 0,
        *,
        memory: int | None = None,
        name: str = "",
        wait: float | None = None,
        time: float | None = None,
        visible_as: str | None = None,
    ) -> Hold:
        """Take devices on the best host that has them.

        gpus: a number, or a request such as "A100:2". memory: bytes per device; None takes whole
        devices. wait: the most seconds to wait in line; None does not wait. time: the most seconds
        to hold them. visible_as: "index" has CUDA_VISIBLE_DEVICES name them by number.

        Raises:
            NoCapacity: no host has room; `reasons` says why for each host. FleetError: no host
            answered. WaitedTooLong: the devices did not become free in time. InvalidInput: the
            request is invalid.
        """
        ask = Ask(requirements_of(gpus, memory, visible_as), name, lasts=time, patience=wait)
        if wait is not None:
            from genvx.fleet.line import wait_for_room

            return wait_for_room(self, ask)[1]

        def acquire(host: Host) -> Hold:
            return host.acquire(ask)

        return self.first_with_room(ask.requirements, acquire)

    def gang(
        self,
        nodes: int,
        gpus: int | str = 0,
        *,
        memory: int | None = None,
        name: str = "",
        wait: float | None = None,
        time: float | None = None,
        mixed: bool = False,
        visible_as: str | None = None,
    ) -> Gang[H]:
        """Take the same devices on each of `nodes` hosts, or none; `activate` says the rest.

        mixed: allow different models of GPU on different hosts.

        Raises:
            NoCapacity: too few hosts have room. WaitedTooLong: too few had room in time.
            Unsatisfiable: too few hosts can ever have room.
        """
        from genvx.fleet.gang import take

        ask = Ask(requirements_of(gpus, memory, visible_as), name, lasts=time, patience=wait)
        return take(self, ask, nodes, mixed=mixed)


def connect_fleet(
    specs: Sequence[HostSpec],
    *,
    fanout: int = FANOUT,
    timeout: float = TIMEOUT,
    user: str | None = None,
    config: str | None = None,
    accept_new_host_keys: bool = False,
    host_lost_after: float = HOST_LOST_AFTER,
    prompt: Callable[[str], str | None] | None = None,
    most_kept: int = _MOST_KEPT,
) -> Fleet[SSHHost]:
    """Make a fleet of hosts over SSH; each is connected to when it is first asked something.

    user: the login where the hostfile names none; not for jump hosts, as with ssh's -l. config: an
    ssh_config in place of the usual ones. host_lost_after: seconds of silence after which a host
    that holds something of ours is lost. prompt: asks a person for a password or a passphrase;
    without it nobody is asked. most_kept: a fleet of more hosts closes connections after each
    question.
    """
    # Imported here: paramiko and fabric take longer to load than a question to this machine takes.
    from genvx.fleet.sshhost import SSHHost
    from genvx.ssh.link import Link
    from genvx.ssh.options import SSHOptions
    from genvx.ssh.secrets import Vault
    from genvx.ssh.session import Session

    options = SSHOptions(timeout, config, accept_new_host_keys, host_lost_after)
    # `Link.open` is handed in: session.py would otherwise import link.py, which imports it.
    session = Session(options, Link.open, Vault(prompt), keeps=len(specs) <= most_kept)
    hosts = [SSHHost(replace(spec, user=spec.user or user), session) for spec in specs]
    return Fleet(hosts, fanout=fanout, timeout=timeout, unlock=session.unlock)
