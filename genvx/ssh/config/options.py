"""The options of all SSH connections of a fleet."""

from __future__ import annotations

from dataclasses import dataclass

from genvx.ssh.defaults import HOST_LOST_AFTER, TIMEOUT, TYPED


@dataclass(frozen=True)
class SSHOptions:
    """SSHOptions are the options of all hosts of a fleet.

    timeout: total seconds allowed per host. config: an ssh_config in place of the usual ones.
    host_lost_after: seconds of silence after which a host that holds something of ours is lost.
    typed: what people type in front of a verb to ask these hosts, for messages.
    """

    timeout: float = TIMEOUT
    config: str | None = None
    accept_new_host_keys: bool = False
    host_lost_after: float = HOST_LOST_AFTER
    typed: str = TYPED
