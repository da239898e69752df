"""known_hosts as OpenSSH reads it: is this key known, changed, revoked or unknown for this name?

Bad lines are passed over; they never make the good ones count for nothing. Nothing is ever accepted
because a file could not be read: a file that is there but unreadable is an error.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import re
import shlex
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from genvx.core.text import printable
from genvx.errors import HostKeyError
from genvx.ssh.wildcards import matches_any

if TYPE_CHECKING:
    from collections.abc import Iterable


class Verdict(Enum):
    KNOWN = "known"
    UNKNOWN = "unknown"
    CHANGED = "changed"
    REVOKED = "revoked"


@dataclass(frozen=True)
class _Row:
    marker: str
    names: str
    kind: str
    blob: bytes
    path: str


def fingerprint(blob: bytes) -> str:
    """A key's fingerprint as ssh prints it."""
    digest = base64.b64encode(hashlib.sha256(blob).digest()).decode("ascii")
    return "SHA256:" + digest.rstrip("=")


class KnownHosts:
    """The host keys of some files, read once.

    Rows by plain name are found by dictionary, the others one by one.
    """

    def __init__(self, files: Iterable[str]) -> None:
        self._plain: dict[str, list[_Row]] = {}
        self._others: list[_Row] = []
        for path in files:
            self._read(path)

    def _read(self, path: str) -> None:
        try:
            with open(path, "rb") as file:
                text = file.read().decode("utf-8", "surrogateescape")
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            raise HostKeyError(f"cannot read {printable(path, 200)}: {error.strerror}") from None
        for line in text.split("\n"):
            row = _parse(line, path)
            if row is None:
                continue
            if row.marker or re.search(r"[*?!|]", row.names):
                self._others.append(row)
            else:
                for name in row.names.lower().split(","):
                    self._plain.setdefault(name, []).append(row)

    def _rows(self, name: str) -> list[_Row]:
        return self._plain.get(name.lower(), []) + [
            row for row in self._others if _matches(row.names, name.lower())
        ]

    def kinds(self, name: str) -> tuple[str, ...]:
        """The kinds of key that are known for `name`: a server is asked for one of those."""
        return tuple(dict.fromkeys(row.kind for row in self._rows(name) if not row.marker))

    def judge(self, name: str, blob: bytes) -> Verdict:
        """What is known of a key that a server called `name` has shown."""
        rows = self._rows(name)
        if any(row.marker == "@revoked" and row.blob == blob for row in rows):
            return Verdict.REVOKED
        trusted = [row for row in rows if not row.marker]
        if any(row.blob == blob for row in trusted):
            return Verdict.KNOWN
        return Verdict.CHANGED if trusted else Verdict.UNKNOWN

    def where(self, name: str) -> str:
        """The file with a key that is known for `name`."""
        return next((row.path for row in self._rows(name) if not row.marker), "")

    def has_authority(self, name: str) -> bool:
        return any(row.marker == "@cert-authority" for row in self._rows(name))


def _parse(line: str, path: str) -> _Row | None:
    words = line.split()
    if not words or words[0].startswith("#"):
        return None
    marker = words.pop(0) if words[0].startswith("@") else ""
    if len(words) < 3 or marker not in ("", "@revoked", "@cert-authority"):
        return None
    try:
        blob = base64.b64decode(words[2], validate=True)
    except (binascii.Error, ValueError):
        return None
    return _Row(marker, words[0], words[1], blob, path)


def _matches(names: str, name: str) -> bool:
    """OpenSSH's match_hostname: patterns with * and ?, negation, and hashed names."""
    if names.startswith("|1|"):
        try:
            _, _, salt, wanted = names.split("|")
            key, digest = base64.b64decode(salt), base64.b64decode(wanted)
        except (ValueError, binascii.Error):
            return False
        return hmac.compare_digest(hmac.new(key, name.encode(), hashlib.sha1).digest(), digest)
    return matches_any(names.lower().split(","), name)


def refusal(
    verdict: Verdict, name: str, kind: str, blob: bytes, *, advice: str, known_in: str = ""
) -> HostKeyError:
    """The error for a key that is not known: its fingerprint, and what to do.

    advice: what to do about one that was never seen. known_in: the file with the old key.
    """
    shown = f"{kind} key {fingerprint(blob)}"
    if verdict is Verdict.REVOKED:
        return HostKeyError(f"the host key of {name} is revoked ({shown}); do not connect")
    if verdict is Verdict.CHANGED:
        usual = os.path.expanduser("~/.ssh/known_hosts")
        file = "" if known_in == usual else f" -f {printable(shlex.quote(known_in), 200)}"
        return HostKeyError(
            f"the host key of {name} has changed ({shown}): somebody may be in between; if the "
            f"host was reinstalled, remove the old key with ssh-keygen -R {shlex.quote(name)}{file}"
        )
    return HostKeyError(f"the host key of {name} is not known ({shown}){advice}")


def remember(path: str, name: str, kind: str, blob: bytes) -> None:
    """Append a key to a known_hosts file, in one write.

    Raises:
        HostKeyError: it cannot be written, so the key is not accepted either.
    """
    if path == os.devnull:
        return
    line = f"{name} {kind} {base64.b64encode(blob).decode('ascii')}\n"
    try:
        os.makedirs(os.path.dirname(path) or ".", mode=0o700, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            size = os.fstat(descriptor).st_size
            if size and os.pread(descriptor, 1, size - 1) != b"\n":
                line = "\n" + line
            os.write(descriptor, line.encode("ascii"))
        finally:
            os.close(descriptor)
    except OSError as error:
        raise HostKeyError(
            f"cannot remember the new key of {name} in {printable(path, 200)}: {error.strerror}"
        ) from None
