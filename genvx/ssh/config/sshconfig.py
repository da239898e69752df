"""The effective ssh settings of a host, from OpenSSH's own parser.

`ssh -G` knows Include, Match and every token; a parser of our own would differ in some of them and
connect elsewhere. Where ssh is not installed, paramiko's reader is used, which knows less.
"""

from __future__ import annotations

import shutil
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from genvx.ssh.config.commandline import arguments
from genvx.ssh.config.patterns import Patterns, patterns
from genvx.ssh.config.sshanswer import ask_ssh, read_ourselves
from genvx.ssh.config.sshvalues import settings_of

if TYPE_CHECKING:
    from genvx.ssh.config.settings import Settings
    from genvx.ssh.config.target import Target


class Settler:
    """Settler finds the settings of hosts in ssh_config; the hostfile has precedence.

    ssh is asked once for all hosts that ssh_config treats alike: a process for each host would cost
    more than all the rest. config: a file in place of the usual ones. ssh: the program to ask;
    where there is none, paramiko's reader is used.
    """

    def __init__(self, config: str | None = None, *, ssh: str | None = "ssh") -> None:
        self._config = config
        self._ssh = None if ssh is None else shutil.which(ssh)
        self._lock = threading.Lock()
        self._files: dict[str | None, Patterns | None] = {}
        self._answers: dict[object, _Answer] = {}

    def settings(self, target: Target) -> Settings:
        """Return the settings of one host.

        Raises:
            HostError: ssh refuses the configuration.
        """
        config = target.ssh_config or self._config
        if self._ssh is None:
            return settings_of(target, read_ourselves(target, config))
        values = self._values(self._alike(target, config), target, config)
        jump = values.get("proxyjump", [""])[0].lower()
        if any(name in jump for name in (target.address.lower(), values.get("hostname", [""])[0])):
            # ssh refuses a host that is its own jump host, and tells that by name, port and user.
            values = self._values(target, target, config)
        return settings_of(target, values)

    def _alike(self, target: Target, config: str | None) -> object:
        """Return what is equal for all hosts of which ssh says the same."""
        with self._lock:
            if config not in self._files:
                self._files[config] = patterns(config)
            known = self._files[config]
        # The hostfile may use %C in the name of a key, which only ssh knows, for each connection.
        if known is None or "%" in (target.key or ""):
            return target
        # Without Match and tokens nothing in ssh_config depends on a port or a user. But it may set
        # them, so hosts for which they are given differ from those for which they are not.
        given = replace(target, port=target.port and 1, user=target.user and "-")
        return (*arguments(given, config), known.matching(target.address))

    def _values(self, alike: object, target: Target, config: str | None) -> dict[str, list[str]]:
        assert self._ssh is not None
        with self._lock:
            answer = self._answers.setdefault(alike, _Answer())
        # Threads with a host like this one wait here for the first to ask. The lock of the Settler
        # is free meanwhile: other hosts are not held up by a slow `Match exec`.
        with answer.lock:
            if answer.values is None:
                answer.values = ask_ssh(self._ssh, target, config)
                answer.address = target.address
            values = answer.values
        # ssh -G prints the address itself where no HostName is set; then this host has its own.
        if values.get("hostname") == [answer.address.lower()]:
            values = {**values, "hostname": [target.address.lower()]}
        return values


class _Answer:
    """What ssh said about `address`; the lock is held while ssh is asked."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.values: dict[str, list[str]] | None = None
        self.address = ""
