"""The state that the hosts of one fleet share.

Settings, known hosts, keys and secrets are read once; each jump host is connected to once; logins
at one server wait for slots.
"""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Any

from genvx.errors import GenvxError, HostUnreachable
from genvx.ssh.config.sshconfig import Settler
from genvx.ssh.credentials.keyring import Keyring
from genvx.ssh.credentials.secrets import Vault
from genvx.ssh.gateway import Gateway
from genvx.ssh.hostkey.hostkeys import KnownHosts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from genvx.ssh.config.options import SSHOptions
    from genvx.ssh.config.settings import Settings
    from genvx.ssh.config.target import Target
    from genvx.ssh.config.want import Locked, Want
    from genvx.ssh.deadline import Deadline

# sshd begins to drop connections when ten have not logged in yet (MaxStartups). Two are left for
# other people.
_LOGINS_AT_ONCE = 8


class Session:
    """Session is what the hosts of one fleet share; it may be used from several threads.

    open_link: opens a connection to a host through the given jump hosts (Link.open). keeps: whether
    connections are kept between questions.
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
        """Return the settings of a host, from ssh_config and the hostfile.

        Raises:
            HostError: ssh refuses its configuration.
        """
        return self._settler.settings(target)

    def known_hosts(self, files: tuple[str, ...]) -> KnownHosts:
        """Return the host keys of `files`, read at the first call.

        Raises:
            HostKeyError: a file exists but cannot be read.
        """
        with self._lock:
            if files not in self._known:
                self._known[files] = KnownHosts(files)
            return self._known[files]

    def forget_known_hosts(self) -> None:
        """Have known_hosts read again, after a key was added."""
        # Not at each change of a file: a fleet that is asked again and again reads it once.
        with self._lock:
            self._known.clear()

    def gateway(self, chain: str, config: str | None = None) -> Gateway:
        """Return the shared connection through the jump hosts `chain`, as in "a,user@b:2222".

        config: the ssh_config of the hosts behind them, where it differs from the fleet's.
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
        """Wait for a slot to log in to a server, so that only a few logins run at once.

        Many hosts may be one server: behind a jump host, or under several names.
        """
        with self._lock:
            slots = self._slots.setdefault(server, threading.Semaphore(_LOGINS_AT_ONCE))
        if not slots.acquire(timeout=deadline.left()):
            limit = round(deadline.seconds, 1)
            raise HostUnreachable(
                f"no answer from {server[0]} port {server[1]} within {limit:g} s",
                kind="timeout",
            )
        try:
            yield
        finally:
            slots.release()

    def unlock(self, locked: Mapping[str, Locked]) -> dict[str, GenvxError]:
        """Fetch the secrets that hosts want; return the hosts that stay locked, and why.

        Call it in the main thread: it may ask a person or run a command.
        """
        wants: dict[object, list[Want]] = {}
        for error in locked.values():
            if error.want is not None and error.want not in wants.get(error.want.source, []):
                wants.setdefault(error.want.source, []).append(error.want)
        # A source is asked once for all its hosts: nobody types one password for each host.
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
