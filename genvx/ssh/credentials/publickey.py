"""The public half of a key, which can be read without its passphrase."""

from __future__ import annotations

import base64
import binascii

import paramiko

_OPENSSH_MAGIC = b"openssh-key-v1\0"


def public_blob(path: str) -> bytes | None:
    """Return the public half of a key in SSH's wire format; None if it cannot be read.

    It works without the passphrase of the key.
    """
    # The file itself may hold a public key: ssh allows that for IdentityFile, with the private
    # half in the agent.
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
