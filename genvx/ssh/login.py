"""Logging in: keys of files and of the agent, no authentication at all, a passphrase, a password.

In that order, so that nobody is asked for a secret while a key would do. Questions that only a
person could answer (keyboard-interactive) are refused: many hosts at once cannot ask them.
"""

from __future__ import annotations

import base64
import binascii
import os
import socket
import threading
from typing import TYPE_CHECKING, Any

import paramiko
from cryptography.exceptions import UnsupportedAlgorithm
from paramiko.agent import AgentKey, AgentSSH
from paramiko.pkey import UnknownKeyType

from genvx.core.text import printable
from genvx.errors import AuthenticationFailed
from genvx.ssh.secrets import Locked, Want
from genvx.ssh.sockets import shut

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from genvx.ssh.deadline import Deadline
    from genvx.ssh.secrets import Vault
    from genvx.ssh.sshconfig import Settings
    from genvx.ssh.target import Target

# sshd ends a connection after six failures; the last is kept for a password.
_MOST_KEYS = 5
_OPENSSH_MAGIC = b"openssh-key-v1\0"

# What reading a key raises that is damaged, or of a kind that is not for us, such as one that
# lives in a security token.
_UNUSABLE = (OSError, ValueError, paramiko.SSHException, UnknownKeyType, UnsupportedAlgorithm)

# What is left to try when a server names nothing: an empty list means that we are in.
_NOTHING = ["nothing"]


class Keyring:
    """The keys of files, each read once: an RSA key costs more to read than a login."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._keys: dict[str, paramiko.PKey | None] = {}
        self._locked: set[str] = set()
        self._why: dict[str, str] = {}
        self.opened: set[str] = set()  # with a passphrase

    def key(self, path: str) -> paramiko.PKey | None:
        """The key of a file; None if it is none of ours, or needs a passphrase."""
        with self._lock:
            if path not in self._keys:
                try:
                    self._keys[path] = paramiko.PKey.from_path(path)
                except (TypeError, paramiko.PasswordRequiredException):
                    self._keys[path] = None
                    self._locked.add(path)
                except _UNUSABLE as error:
                    self._keys[path] = None
                    self._why[path] = _reason(error)
            return self._keys[path]

    def complaint(self, path: str) -> str | None:
        """Why the key of a file cannot be used; None if it can, or only wants a passphrase."""
        self.key(path)
        return self._why.get(path)

    def locked(self, path: str) -> bool:
        """Whether the key of a file needs a passphrase that we have not had."""
        self.key(path)
        return path in self._locked

    def open(self, path: str, passphrase: str) -> bool:
        """Read a key with its passphrase; whether it was the right one."""
        with self._lock:
            try:
                self._keys[path] = paramiko.PKey.from_path(path, passphrase.encode())  # type: ignore[arg-type]
            except (TypeError, *_UNUSABLE):
                return False
            self._locked.discard(path)
            self.opened.add(path)
            return True


def public_blob(path: str) -> bytes | None:
    """The public half of a key, also of one that needs a passphrase; None if it cannot be told."""
    for name in (path, f"{path}.pub"):
        try:
            with open(name, "rb") as file:
                data = file.read(65536)
        except OSError:
            continue
        words = data.split()
        try:
            if len(words) > 1 and words[0].startswith((b"ssh-", b"ecdsa-", b"sk-")):
                return base64.b64decode(words[1], validate=True)
            if data.startswith(b"-----BEGIN OPENSSH PRIVATE KEY-----"):
                return _head_of(base64.b64decode(b"".join(data.split(b"\n")[1:-2])))
        except (binascii.Error, ValueError, EOFError):
            continue
    return None


def _head_of(data: bytes) -> bytes | None:
    # Cipher, derivation and its options come before the number of keys and the public half of each.
    if not data.startswith(_OPENSSH_MAGIC):
        return None
    message = paramiko.Message(data[len(_OPENSSH_MAGIC) :])
    for _ in range(3):
        message.get_binary()
    message.get_int()
    return message.get_binary() or None


class _Agent(AgentSSH):
    """The user's ssh-agent, through a connection of its own, which a deadline can end."""

    def __init__(self, path: str, deadline: Deadline) -> None:
        super().__init__()
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            deadline.closes(lambda: shut(sock))
            sock.settimeout(deadline.left())
            sock.connect(path)
            self._connect(sock)  # type: ignore[attr-defined]
        except BaseException:
            sock.close()
            raise

    def keys(self) -> list[_AgentKey]:
        return [_AgentKey(key.agent, key.blob, key.comment) for key in self.get_keys()]

    def close(self) -> None:
        self._close()  # type: ignore[attr-defined]


class _AgentKey(AgentKey):
    """A key of the agent's that the user may keep it from using (ssh-add -c)."""

    def sign_ssh_data(self, data: Any, algorithm: str | None = None) -> Any:
        try:
            return super().sign_ssh_data(data, algorithm)
        except paramiko.SSHException:
            # Raised in paramiko's thread it would end the connection; this one key is refused.
            return b""


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return "it is damaged, or of a kind that genvx cannot use"


def not_accepted(
    settings: Settings, complaints: Sequence[str] = (), line: str = ""
) -> AuthenticationFailed:
    """There is no way in with what we have.

    complaints: keys that were named and cannot be used. line: how ssh would log in.
    """
    unusable = f" ({'; '.join(complaints)})" if complaints else ""
    return AuthenticationFailed(
        f"{settings.hostname} port {settings.port} does not accept {settings.user} with the keys "
        f"at hand{unusable}; try {line or f'ssh -l {settings.user} {settings.hostname}'}"
    )


class Login:
    """An authentication strategy of paramiko's for one connection.

    ssh: the line with which a person would log in.
    needed_secret: we came in with a password, or a key that needed its passphrase.
    """

    def __init__(
        self,
        target: Target,
        settings: Settings,
        keyring: Keyring,
        vault: Vault,
        deadline: Deadline,
        ssh: str,
    ) -> None:
        self._target = target
        self._ssh = ssh
        self._settings = settings
        self._keyring = keyring
        self._vault = vault
        self._deadline = deadline
        self.needed_secret = False

    def authenticate(self, transport: paramiko.Transport) -> None:
        """Log in.

        Raises:
            Locked: a secret is wanted. AuthenticationFailed: there is no way in for us.
        """
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
        """Which keys were named and cannot be used, and why: else nobody knows that they were not
        even tried.
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
        """Offer the keys that ask for nothing. [] means: we are in; None: not, and nothing more
        is known.
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
        """Log in with a key: the methods that are left, [] if we are in, None if this key is not
        accepted.
        """
        try:
            more = transport.auth_publickey(self._settings.user, key)
        except paramiko.BadAuthenticationType as error:
            return _left(error)
        except paramiko.AuthenticationException:
            if not transport.is_active():
                raise
            return None
        # A second step that is a key, too, would be the same key again.
        return [method for method in more if method != "publickey"] or _NOTHING if more else []

    def _keys(self) -> Iterator[tuple[paramiko.PKey, bool]]:
        """Keys, and whether each needed a passphrase."""
        for path in self._settings.identities:
            key = self._keyring.key(path)
            if key is not None:
                yield key, path in self._keyring.opened
        path = self._settings.agent
        if not path:
            return
        try:
            agent = _Agent(path, self._deadline)
        except (OSError, paramiko.SSHException):
            return  # as with ssh: an agent that does not answer has no keys
        try:
            keys = agent.keys()
            wanted = {public_blob(path) for path in self._settings.identities}
            yield from ((key, False) for key in keys if key.blob in wanted)
            if not self._settings.identities_only:
                yield from ((key, False) for key in keys if key.blob not in wanted)
        finally:
            agent.close()

    def _with_nothing(self, transport: paramiko.Transport) -> list[str]:
        """No authentication at all is how some servers work (Tailscale's); the others say here
        what they take.
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
    """The methods that a server takes instead."""
    return list(error.allowed_types) or _NOTHING
