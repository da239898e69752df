"""known_hosts as OpenSSH reads it: is this key known, changed, revoked or unknown for this name?

Bad lines are skipped, and the other lines still count. A file that exists but cannot be read is an
error: otherwise a changed or revoked key in it would look like an unknown one.
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
    """Verdict says how a host key relates to known_hosts."""

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
    """Return the fingerprint of a key, as ssh prints it."""
    digest = base64.b64encode(hashlib.sha256(blob).digest()).decode("ascii")
    return "SHA256:" + digest.rstrip("=")


class KnownHosts:
    """KnownHosts holds the host keys of some files, each read once.

    Plain names are looked up in a dictionary; patterns, hashed names and marked rows are tried one
    by one.
    """

    def __init__(self, files: Iterable[str]) -> None:
        self._plain: dict[str, list[_Row]] = {}
        self._others: list[_Row] = []
        for path in files:
            self._read(path)

    def _read(self, path: str) -> None:
        try:
            # Any bytes may stand in a comment. Refusing the file for them would make every host
            # in it unknown.
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
        """Return the kinds of key that are known for `name`, in the order of the files.

        A server has one key of each kind; asking for a kind that is known avoids a false "unknown".
        """
        return tuple(dict.fromkeys(row.kind for row in self._rows(name) if not row.marker))

    def judge(self, name: str, blob: bytes) -> Verdict:
        """Judge the key that a server called `name` has shown."""
        rows = self._rows(name)
        # Revoked first: as with ssh, @revoked wins over a row that trusts the same key.
        if any(row.marker == "@revoked" and row.blob == blob for row in rows):
            return Verdict.REVOKED
        trusted = [row for row in rows if not row.marker]
        if any(row.blob == blob for row in trusted):
            return Verdict.KNOWN
        # A certificate authority alone leaves the key unknown, not changed: it signs many keys.
        return Verdict.CHANGED if trusted else Verdict.UNKNOWN

    def where(self, name: str) -> str:
        """Return the first file with a known key for `name`; empty if there is none."""
        return next((row.path for row in self._rows(name) if not row.marker), "")

    def has_authority(self, name: str) -> bool:
        """Return whether a certificate authority is known for `name`."""
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
    """Match a name as OpenSSH does: patterns with * and ?, negation, and hashed names."""
    # HashKnownHosts writes "|1|salt|HMAC-SHA1(salt, name)": each such row costs a hash.
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
    """Make the error for a key that is not accepted: its fingerprint, and what to do.

    advice: what to do about an unknown key. known_in: the file with the old key, if it changed.
    """
    shown = f"{kind} key {fingerprint(blob)}"
    if verdict is Verdict.REVOKED:
        return HostKeyError(f"the host key of {name} is revoked ({shown}); do not connect")
    if verdict is Verdict.CHANGED:
        usual = os.path.expanduser("~/.ssh/known_hosts")
        file = "" if known_in == usual else f" -f {printable(shlex.quote(known_in), 200)}"
        return HostKeyError(
            f"the host key of {name} has changed ({shown}): somebody may be intercepting the "
            "connection; if the host was reinstalled, remove the old key with ssh-keygen -R "
            f"{shlex.quote(name)}{file}"
        )
    return HostKeyError(f"the host key of {name} is not known ({shown}){advice}")


def remember(path: str, name: str, kind: str, blob: bytes) -> None:
    """Append a key to a known_hosts file, in one write.

    Raises:
        HostKeyError: the file cannot be written; the key is not accepted either.
    """
    if path == os.devnull:
        return
    line = f"{name} {kind} {base64.b64encode(blob).decode('ascii')}\n"
    try:
        os.makedirs(os.path.dirname(path) or ".", mode=0o700, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            # A last line without its end, as editors leave one, would merge with the new one, and
            # both keys be lost.
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
