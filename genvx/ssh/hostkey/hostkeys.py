"""known_hosts as OpenSSH reads it: is this key known, changed, revoked or unknown for this name?

Bad lines are skipped, and the other lines still count. A file that exists but cannot be read is an
error: otherwise a changed or revoked key in it would look like an unknown one.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from genvx.core.text import printable
from genvx.errors import HostKeyError
from genvx.ssh.hostkey.knownrow import Row, matches_name, parse_row
from genvx.ssh.hostkey.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable


class KnownHosts:
    """KnownHosts holds the host keys of some files, each read once.

    Plain names are looked up in a dictionary; patterns, hashed names and marked rows are tried one
    by one.
    """

    def __init__(self, files: Iterable[str]) -> None:
        self._plain: dict[str, list[Row]] = {}
        self._others: list[Row] = []
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
            row = parse_row(line, path)
            if row is None:
                continue
            if row.marker or re.search(r"[*?!|]", row.names):
                self._others.append(row)
            else:
                for name in row.names.lower().split(","):
                    self._plain.setdefault(name, []).append(row)

    def _rows(self, name: str) -> list[Row]:
        return self._plain.get(name.lower(), []) + [
            row for row in self._others if matches_name(row.names, name.lower())
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
