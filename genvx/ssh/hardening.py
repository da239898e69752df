"""Which algorithms a connection offers."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    import paramiko


def harden(transport: paramiko.Transport, known: Sequence[str]) -> None:
    """Prefer kinds of host key that are known, and offer no broken algorithms."""
    options = transport.get_security_options()
    # A server with several keys shows the kind that the client prefers, so kinds in known_hosts
    # come first. An RSA key has three signature algorithms; that with SHA-1 (ssh-rsa) is left out.
    wanted = [
        name
        for kind in known
        for name in (("rsa-sha2-512", "rsa-sha2-256") if kind == "ssh-rsa" else (kind,))
        if name in options.key_types
    ]
    options.key_types = [
        *wanted,
        *(name for name in options.key_types if name not in wanted and name != "ssh-rsa"),
    ]
    # AES-GCM is cheapest by far where the machine has instructions for it, because no MAC has to be
    # computed besides. A server that has none of it takes the next.
    ciphers = [n for n in options.ciphers if "cbc" not in n and "3des" not in n]
    options.ciphers = sorted(ciphers, key=lambda name: "gcm" not in name)
    options.digests = [n for n in options.digests if "md5" not in n and "sha1" not in n]
    options.kex = [n for n in options.kex if not n.endswith("sha1")]
