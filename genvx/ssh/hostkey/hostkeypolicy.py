"""Judges each host key, in paramiko's place."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import paramiko

from genvx.ssh import sockets
from genvx.ssh.config import commandline
from genvx.ssh.hostkey import hostkeymemory, hostkeyrefusal
from genvx.ssh.hostkey.verdict import Verdict

if TYPE_CHECKING:
    from genvx.ssh.config.settings import Settings
    from genvx.ssh.config.target import Target
    from genvx.ssh.session import Session


class HostKeyPolicy(paramiko.MissingHostKeyPolicy):
    """HostKeyPolicy judges each host key.

    paramiko is given no known hosts of its own, so it finds no key and asks the policy about all.
    """

    def __init__(self, target: Target, session: Session, settings: Settings, sock: Any) -> None:
        self._target = target
        self._session = session
        self._settings = settings
        self._sock = sock

    def missing_host_key(
        self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey
    ) -> None:
        """Return if a key is accepted; raise HostKeyError if not."""
        settings = self._settings
        if settings.trusts_localhost and not settings.host_key_alias and sockets.local(self._sock):
            return
        known = self._session.known_hosts(settings.known_hosts)
        name, blob = settings.key_name, key.asbytes()
        verdict = known.judge(name, blob)
        if verdict is Verdict.UNKNOWN and settings.other_key_name:
            # As ssh does: a host on another port may be known by its plain name. A different key
            # under that name proves nothing, as it may belong to the server on port 22.
            other = known.judge(settings.other_key_name, blob)
            verdict = verdict if other is Verdict.CHANGED else other
        if verdict is Verdict.KNOWN:
            return
        options = self._session.options
        accept = options.accept_new_host_keys or settings.accept_new
        if verdict is Verdict.UNKNOWN and accept and settings.remembers:
            hostkeymemory.remember(settings.remembers, name, key.get_name(), blob)
            # Other threads may hold the rows as they were before: the file is read again.
            self._session.forget_known_hosts()
            return
        authority = known.has_authority(name)
        raise hostkeyrefusal.refusal(
            verdict,
            name,
            key.get_name(),
            blob,
            advice=self._advice(key.get_name(), authority=authority),
            known_in=known.where(name),
        )

    def _advice(self, kind: str, *, authority: bool) -> str:
        if not self._settings.remembers or self._settings.remembers == os.devnull:
            return "; nothing is remembered: UserKnownHostsFile in ssh_config names no file"
        line = commandline.advised_line(
            self._target,
            self._settings,
            self._session.options.config,
            plain_key=kind,
            authority=authority,
        )
        if authority:
            return (
                ", only a certificate authority is, which genvx cannot check; compare it, and "
                f"remember it with: {line}"
            )
        return f"; compare it, then answer yes to: {line} (or use --accept-new-host-keys)"
