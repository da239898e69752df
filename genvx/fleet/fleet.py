"""The face of a fleet: hosts addressed together, and devices taken on the best of them, or on
several at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from genvx.core.ask import Ask
from genvx.core.requirements import requirements_of
from genvx.core.value import replace
from genvx.fleet.ask import H, HostGroup, Outcomes
from genvx.fleet.defaults import FANOUT
from genvx.ssh.defaults import HOST_LOST_AFTER, TIMEOUT

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from genvx.fleet.gang import Gang
    from genvx.fleet.host import Hold, Host
    from genvx.fleet.hostspec import HostSpec
    from genvx.fleet.sshhost import SSHHost

__all__ = ["Fleet", "Outcomes", "connect_fleet"]

# Connections are kept between questions in fleets of up to this many hosts: each costs a thread and
# a descriptor, of which most systems give a process 1,024.
_MOST_KEPT = 512


class Fleet(HostGroup[H]):
    """Hosts from which devices are taken; see HostGroup for its arguments."""

    @classmethod
    def from_hostfile(
        cls, path: str, *, fanout: int = FANOUT, timeout: float = TIMEOUT
    ) -> Fleet[SSHHost]:
        """The hosts of a hostfile, over SSH. Nothing is connected yet.

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

        gpus: how many, or a request such as "A100:2". memory: bytes of each; None takes whole
        devices. wait: seconds to wait in line at most; None does not wait. time: seconds that they
        are held at most. visible_as: "index" has CUDA_VISIBLE_DEVICES name them by number.

        Raises:
            NoCapacity: no host has the room; `reasons` says why, host by host. FleetError: no host
            answered. WaitedTooLong: it was not to be had in time.
            InvalidInput: the request makes no sense.
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
        """Take the same devices on each of `nodes` hosts, or none at all; see `activate` for the
        rest.

        mixed: the model of GPU may differ among hosts.

        Raises:
            NoCapacity: too few hosts have the room. WaitedTooLong: not in time. Unsatisfiable: too
            few hosts ever have it.
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
    """A fleet of hosts over SSH. Nothing is connected before it is asked something.

    host_lost_after: seconds of silence after which a host that something depends on is lost.
    user: who logs in where the hostfile does not say; not on jump hosts, as with ssh's -l.
    prompt: asks a person for a password or a passphrase; without it nobody is asked. most_kept: in
    a fleet of more hosts connections are closed after each question.
    """
    # What only hosts over SSH need is loaded for these.
    from genvx.fleet.sshhost import SSHHost
    from genvx.ssh.link import Link
    from genvx.ssh.secrets import Vault
    from genvx.ssh.session import Session, SSHOptions

    options = SSHOptions(timeout, config, accept_new_host_keys, host_lost_after)
    session = Session(options, Link.open, Vault(prompt), keeps=len(specs) <= most_kept)
    hosts = [SSHHost(replace(spec, user=spec.user or user), session) for spec in specs]
    return Fleet(hosts, fanout=fanout, timeout=timeout, unlock=session.unlock)
