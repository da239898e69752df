"""A row of a known_hosts file."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass

from genvx.ssh.config.wildcards import matches_any


@dataclass(frozen=True)
class Row:
    """Row says that a key belongs to hosts of these names, or is revoked, or is an authority's."""

    marker: str
    names: str
    kind: str
    blob: bytes
    path: str


def parse_row(line: str, path: str) -> Row | None:
    """Return the row in a line; None if there is none, or a damaged one."""
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
    return Row(marker, words[0], words[1], blob, path)


def matches_name(names: str, name: str) -> bool:
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
