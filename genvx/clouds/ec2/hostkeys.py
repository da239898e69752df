"""The host keys that a new machine prints on its console, which only its owner can read."""

from __future__ import annotations

import base64
import binascii
import re

_BEGIN, _END = "-----BEGIN SSH HOST KEY KEYS-----", "-----END SSH HOST KEY KEYS-----"
_KEY = re.compile(
    r"\b(ssh-ed25519|ecdsa-sha2-nistp(?:256|384|521)|ssh-rsa) ([A-Za-z0-9+/]{40,2000}={0,2})"
)


def host_keys(console: str) -> list[tuple[str, bytes]]:
    """Return the kind and the bytes of each host key of the last list that cloud-init printed;
    none if there is no complete one.
    """
    before, found, _ = console.rpartition(_END)
    if not found or _BEGIN not in before:
        return []
    keys = []
    for kind, text in _KEY.findall(before.rpartition(_BEGIN)[2]):
        try:
            blob = base64.b64decode(text, validate=True)
        except binascii.Error:
            continue
        # A key begins with the length and the name of its kind.
        if blob.startswith(len(kind).to_bytes(4, "big") + kind.encode()):
            keys.append((kind, blob))
    return keys
