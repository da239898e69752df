"""What the hosts of one fleet share: settings, known hosts, keys and secrets, each read once; jump
hosts, each connected to once; and slots at logging in.
"""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from genvx.errors import GenvxError, HostUnreachable
from genvx.ssh.defaults import HOST_LOST_AFTER, TIMEOUT
from genvx.ssh.gateway import Gateway
from genvx.ssh.hostkeys import KnownHosts
from genvx.ssh.login import Keyring
from genvx.ssh.secrets import Vault
from genvx.ssh.sshconfig import Settler

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from genvx.ssh.deadline import Deadline
    from genvx.ssh.secrets import Locked, Want
    from genvx.ssh.sshconfig import Settings
    from genvx.ssh.target import Target

# sshd begins to drop connections when ten have not logged in yet.
_LOGINS_AT_ONCE = 8


@dataclass(frozen=True)
class SSHOptions:
    """What holds for all hosts of a fleet.

    config: instead of the usual ssh_config. host_lost_after: seconds of silence after which a host
    that something of ours depends on is lost.
    """

    timeout: float = TIMEOUT
    config: str | None = None
    accept_new_host_keys: bool = False
    host_lost_after: float = HOST_LOST_AFTER


class Session:
    """What the hosts of one fleet share.

    open_link: opens a connection to a host, through the jump hosts that are named (Link.open).
    keeps: whether connections are kept between questions.
    """

    def __init__(
        self,
        options: SSHOptions,
        open_link: Callable[[Target, Session, Deadline, str | None], Any],
        vault: Vault | None = None,
        *,
        keeps: bool = True,
    ) -> None:
        self.options = options
        self._open_any_link = open_link
        self.keeps = keeps
        self.vault = vault or Vault()
        self.keyring = Keyring()
        self._settler = Settler(options.config)
        self._lock = threading.Lock()
        self._known: dict[tuple[str, ...], KnownHosts] = {}
        self._gateways: dict[tuple[str, str | None], Gateway] = {}
        self._slots: dict[tuple[str, int], threading.Semaphore] = {}

    def settings(self, target: Target) -> Settings:
        """What ssh_config and the hostfile say of a host; raise HostError if ssh refuses."""
        return self._settler.settings(target)

    def known_hosts(self, files: tuple[str, ...]) -> KnownHosts:
        with self._lock:
            if files not in self._known:
                self._known[files] = KnownHosts(files)
            return self._known[files]

    def forget_known_hosts(self) -> None:
        with self._lock:
            self._known.clear()

    def gateway(self, chain: str, config: str | None = None) -> Gateway:
        """The shared connection through the jump hosts "a,user@b:2222"; the last is where
        it ends.

        config: the ssh_config of whoever is behind them, where it is not that of all.
        """
        with self._lock:
            key = (chain, config)
            if key not in self._gateways:
                self._gateways[key] = Gateway(chain, self._open_link, config)
            return self._gateways[key]

    def _open_link(self, target: Target, deadline: Deadline, through: str | None) -> Any:
        return self._open_any_link(target, self, deadline, through)

    @contextlib.contextmanager
    def login_slot(self, server: tuple[str, int], deadline: Deadline) -> Iterator[None]:
        """Log in to one server with few at a time: under several names it may be many hosts."""
        with self._lock:
            slots = self._slots.setdefault(server, threading.Semaphore(_LOGINS_AT_ONCE))
        if not slots.acquire(timeout=deadline.left()):
            raise HostUnreachable(
                f"no answer from {server[0]} port {server[1]} within {deadline.seconds:g} s",
                kind="timeout",
            )
        try:
            yield
        finally:
            slots.release()

    def unlock(self, locked: Mapping[str, Locked]) -> dict[str, GenvxError]:
        """Get the secrets that hosts want; return those hosts that stay locked, and why.

        For the main thread: a person, or a command, may be asked.
        """
        wants: dict[object, list[Want]] = {}
        for error in locked.values():
            if error.want is not None and error.want not in wants.get(error.want.source, []):
                wants.setdefault(error.want.source, []).append(error.want)
        failed: dict[object, GenvxError | None] = {}
        for source, group in wants.items():
            try:
                if not self.vault.fetch(group, self._fits):
                    failed[source] = None
            except GenvxError as error:
                failed[source] = error
        return {
            name: failed.get(error.want.source if error.want else None) or error
            for name, error in locked.items()
            if error.want is None or error.want.source in failed
        }

    def _fits(self, want: Want, secret: str) -> bool:
        return want.kind != "passphrase" or self.keyring.open(want.of, secret)
