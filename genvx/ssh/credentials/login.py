"""Logging in: keys from files and the agent, no authentication at all, a passphrase, a password.

In that order, so that nobody is asked for a secret where a key is enough. Questions that only a
person can answer (keyboard-interactive) are refused: many hosts at once cannot ask them.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import paramiko

from genvx.core.text import printable
from genvx.errors import AuthenticationFailed
from genvx.ssh.config.want import Locked, Want
from genvx.ssh.credentials.publickey import public_blob
from genvx.ssh.credentials.sshagent import Agent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from genvx.ssh.config.settings import Settings
    from genvx.ssh.config.target import Target
    from genvx.ssh.credentials.keyring import Keyring
    from genvx.ssh.credentials.secrets import Vault
    from genvx.ssh.deadline import Deadline

# sshd ends a connection after six failures (MaxAuthTries); the last try is kept for a password.
_MOST_KEYS = 5

# The remaining methods where a server names none. An empty list cannot say so: it means that the
# login succeeded.
_NOTHING = ["nothing"]


def not_accepted(
    settings: Settings, complaints: Sequence[str] = (), line: str = ""
) -> AuthenticationFailed:
    """Make the error for a login that the host refuses.

    complaints: why keys that were named cannot be used. line: the ssh command for people to try.
    """
    unusable = f" ({'; '.join(complaints)})" if complaints else ""
    return AuthenticationFailed(
        f"{settings.hostname} port {settings.port} does not accept {settings.user} with the keys "
        f"at hand{unusable}; try {line or f'ssh -l {settings.user} {settings.hostname}'}"
    )


class Login:
    """Login is a paramiko authentication strategy for one connection.

    ssh: the command with which a person would log in. begins: called when the handshake is over and
    the login begins. needed_secret: whether the login took a password, or a key that needed its
    passphrase.
    """

    def __init__(
        self,
        target: Target,
        settings: Settings,
        keyring: Keyring,
        vault: Vault,
        deadline: Deadline,
        ssh: str,
        begins: Callable[[], object] = lambda: None,
    ) -> None:
        self._target = target
        self._ssh = ssh
        self._settings = settings
        self._keyring = keyring
        self._vault = vault
        self._deadline = deadline
        self.needed_secret = False
        self._was_refused = False
        self._begins = begins

    def authenticate(self, transport: paramiko.Transport) -> None:
        """Log in.

        Raises:
            Locked: the host would accept a secret that is not known yet.
            AuthenticationFailed: the host accepts nothing that is at hand.
            ConnectionResetError: the connection was cut before the host had answered.
        """
        self._begins()
        try:
            self._authenticate(transport)
        except paramiko.AuthenticationException:
            # A server that hangs up because of too many failures says so, or has refused something
            # before. Otherwise nothing is wrong with the keys, and another try may succeed.
            dismissed = transport.packetizer.dismissed  # type: ignore[attr-defined]
            if transport.is_active() or self._was_refused or dismissed:
                raise
            why = "the connection was closed during the login"
            raise ConnectionResetError(errno.ECONNRESET, why) from None

    def _authenticate(self, transport: paramiko.Transport) -> None:
        # Each step returns the methods that the server still accepts; [] after a success.
        allowed = self._with_keys(transport)
        if allowed is None:
            allowed = self._with_nothing(transport)
        if allowed and "publickey" in allowed:
            allowed = self._with_locked_keys(transport, allowed)
        if allowed and "password" in allowed:
            allowed = self._with_password(transport)
        if not allowed:
            return
        where = f"{self._settings.hostname} port {self._settings.port}"
        if "keyboard-interactive" in allowed:
            unusable = "".join(f"; {complaint}" for complaint in self._complaints())
            raise AuthenticationFailed(
                f"{where} asks {self._settings.user} questions (keyboard-interactive), as for a "
                f"second factor; many hosts at once cannot ask them: log in with a key{unusable}"
            )
        raise not_accepted(self._settings, self._complaints(), self._ssh)

    def _complaints(self) -> list[str]:
        """Return which keys cannot be used, and why.

        Without it people would not know that a key they named was never offered.
        """
        whys = dict.fromkeys(self._settings.missing, "no such file")
        for path in self._settings.identities:
            why = self._keyring.complaint(path)
            if why is not None:
                # A public half alone is for the agent, which has the other.
                if not os.path.exists(path) and os.path.exists(f"{path}.pub"):
                    continue
                whys[path] = why
        return [f"key {printable(path, 200)}: {why}" for path, why in whys.items()]

    def _with_keys(self, transport: paramiko.Transport) -> list[str] | None:
        """Offer the keys that need no passphrase now.

        Return [] after a success, the remaining methods after a partial one, and None if no key
        was accepted.
        """
        for number, (key, secret) in enumerate(self._keys()):
            if number == _MOST_KEYS:
                break
            self.needed_secret = secret
            more = self._offer(transport, key)
            if more is not None:
                return more
        return None

    def _offer(self, transport: paramiko.Transport, key: paramiko.PKey) -> list[str] | None:
        """Offer one key: return [] after a success, the remaining methods after a partial success
        or where keys are not accepted at all, None if this key is not accepted.
        """
        try:
            more = transport.auth_publickey(self._settings.user, key)
        except paramiko.BadAuthenticationType as error:
            return _left(error)
        except paramiko.AuthenticationException:
            # A server that has had enough failures hangs up: no other method can follow.
            if not transport.is_active():
                raise
            self._was_refused = True
            return None
        # "publickey" as a second step (AuthenticationMethods publickey,publickey) wants another
        # key; only the same one could be offered again.
        return [method for method in more if method != "publickey"] or _NOTHING if more else []

    def _keys(self) -> Iterator[tuple[paramiko.PKey, bool]]:
        """Yield the keys of files, then those of the agent, and whether each took a passphrase."""
        for path in self._settings.identities:
            key = self._keyring.key(path)
            if key is not None:
                yield key, path in self._keyring.opened
        path = self._settings.agent
        if not path:
            return
        try:
            agent = Agent(path, self._deadline)
        except (OSError, paramiko.SSHException):
            return  # as with ssh, an agent that does not answer counts as one without keys
        try:
            keys = agent.keys()
            # Keys that the configuration names come before the others of the agent: a full agent
            # would use up the tries that sshd allows before the right key.
            wanted = {public_blob(path) for path in self._settings.identities}
            yield from ((key, False) for key in keys if key.blob in wanted)
            if not self._settings.identities_only:
                yield from ((key, False) for key in keys if key.blob not in wanted)
        finally:
            agent.close()

    def _with_nothing(self, transport: paramiko.Transport) -> list[str]:
        """Try without authentication: some servers accept that (Tailscale's); others answer with
        the methods that they accept.
        """
        try:
            more: list[str] = transport.auth_none(self._settings.user)
        except paramiko.BadAuthenticationType as error:
            return _left(error)
        return more

    def _with_locked_keys(self, transport: paramiko.Transport, allowed: list[str]) -> list[str]:
        for path in self._settings.identities:
            if not self._keyring.locked(path):
                continue
            want = Want.passphrase(self._target, path)
            secret = self._vault.get(want)
            if secret is None or not self._keyring.open(path, secret):
                if secret is not None:
                    self._vault.wrong(want)
                # A password that is at hand needs no question; a passphrase would.
                if "password" in allowed and self._has_password():
                    continue
                raise Locked(self._vault.advice(want), want)
            self.needed_secret = True
            key = self._keyring.key(path)
            assert key is not None, "it was just opened"
            more = self._offer(transport, key)
            if more is not None:
                return more
        return allowed

    def _has_password(self) -> bool:
        want = Want.password(self._target, self._settings.user)
        return bool(want.command or self._vault.get(want) is not None)

    def _with_password(self, transport: paramiko.Transport) -> list[str]:
        want = Want.password(self._target, self._settings.user)
        secret = self._vault.get(want)
        if secret is None:
            unusable = "".join(f"; {complaint}" for complaint in self._complaints())
            raise Locked(self._vault.advice(want) + unusable, want)
        try:
            more: list[str] = transport.auth_password(self._settings.user, secret, fallback=False)
        except paramiko.BadAuthenticationType as error:
            return _left(error)
        except paramiko.AuthenticationException:
            if not transport.is_active():
                raise
            self._vault.wrong(want)
            raise Locked(
                f"does not accept the password of {printable(self._settings.user, 80)}", want
            ) from None
        self.needed_secret = True
        return more


def _left(error: paramiko.BadAuthenticationType) -> list[str]:
    """Return the methods that a server accepts instead."""
    return list(error.allowed_types) or _NOTHING
