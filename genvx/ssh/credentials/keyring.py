"""The private keys of files, each read once."""

from __future__ import annotations

import threading

import paramiko
from cryptography.exceptions import UnsupportedAlgorithm
from paramiko.pkey import UnknownKeyType

# What reading a key raises if it is damaged, or of a kind that genvx cannot use, such as one in a
# security token.
_UNUSABLE = (OSError, ValueError, paramiko.SSHException, UnknownKeyType, UnsupportedAlgorithm)


class Keyring:
    """Keyring holds the keys of files, each read once: reading an RSA key costs more than a login.

    It may be used from several threads.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._keys: dict[str, paramiko.PKey | None] = {}
        self._locked: set[str] = set()
        self._why: dict[str, str] = {}
        # Paths of keys that were read with a passphrase: OpenSSH's client would ask for it again.
        self.opened: set[str] = set()

    def key(self, path: str) -> paramiko.PKey | None:
        """Return the key of a file; None if it needs a passphrase or cannot be used."""
        with self._lock:
            if path not in self._keys:
                try:
                    self._keys[path] = paramiko.PKey.from_path(path)
                # TypeError is what cryptography raises for a key that needs a passphrase.
                except (TypeError, paramiko.PasswordRequiredException):
                    self._keys[path] = None
                    self._locked.add(path)
                except _UNUSABLE as error:
                    self._keys[path] = None
                    self._why[path] = _reason(error)
            return self._keys[path]

    def complaint(self, path: str) -> str | None:
        """Return why the key of a file cannot be used; None if it can, or needs a passphrase."""
        self.key(path)
        return self._why.get(path)

    def locked(self, path: str) -> bool:
        """Return whether the key of a file needs a passphrase that is not known yet."""
        self.key(path)
        return path in self._locked

    def open(self, path: str, passphrase: str) -> bool:
        """Read a key with its passphrase; return whether the passphrase was right."""
        with self._lock:
            try:
                self._keys[path] = paramiko.PKey.from_path(path, passphrase.encode())  # type: ignore[arg-type]
            except (TypeError, *_UNUSABLE):
                return False
            self._locked.discard(path)
            self.opened.add(path)
            return True


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return "it is damaged, or of a kind that genvx cannot use"
